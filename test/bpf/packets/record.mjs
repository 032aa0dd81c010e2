// node test/bpf/packets/record.mjs [--from N] [--count N] [--out FILE]: asks this machine's kernel (root, Linux) what the cases of
// programs.ts do, and writes those that its verifier accepts with its answers; without --out compares ours with them and prints what differs.
import { readFileSync, writeFileSync } from "node:fs";
import { buildKernel } from "../../../scripts/lib/kernel.mjs";
import { importTs } from "../../../scripts/lib/run-ts.mjs";

const root = new URL("../../../", import.meta.url);
const option = (name, otherwise) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : process.argv[at + 1];
};
const { startHost } = await importTs(root, "test/bpf/host/host.ts");
const { ERRNO } = await importTs(root, "test/bpf/host/names.ts");
const { digest, packetCase } = await importTs(root, "test/bpf/packets/programs.ts");
const host = startHost({ root });
const bytes = (text = "") => Uint8Array.from(Buffer.from(text, "hex"));
const hex = (data) => Buffer.from(data).toString("hex");

function ask(each) {
  const { fd } = host.load({ type: each.type, insns: bytes(each.program), license: "GPL", logLevel: 0 });
  if (fd < 0) return undefined;
  const ran = host.run(fd, { dataIn: bytes(each.data_in), ...(each.ctx_in && { ctxIn: bytes(each.ctx_in) }), dataRoom: 20000 });
  host.close(fd);
  const errno = ran.errno === 0 ? "" : (ERRNO[ran.errno] ?? `${ran.errno}`);
  return { errno, retval: errno ? 0 : ran.retval, data_out: errno ? "" : hex(ran.dataOut), ctx_out: errno || !each.ctx_in ? "" : hex(ran.ctxOut) };
}

const from = Number(option("from", "1")), count = Number(option("count", "300")), out = option("out");
const cases = [];
let refused = 0;
for (let seed = from; cases.length < count && refused < count * 4; seed++) {
  const each = packetCase(seed);
  const expect = ask(each);
  if (expect === undefined) refused++;
  else cases.push({ seed, ...each, expect });
}
console.info(`${cases.length} cases, ${refused} refused by the verifier`);
if (out !== undefined) {
  const lines = cases.map(({ seed, expect }) => JSON.stringify([seed, expect.errno || expect.retval, digest(expect)]));
  writeFileSync(out, `{ "kernel": "Linux 6.18", "cases": [\n${lines.join(",\n")}\n] }\n`);
}
else {
  await buildKernel(root, ["debug"]);
  const { newMachine, runPacketCase } = await importTs(root, "test/bpf/packets/run.ts");
  const { context, programs } = newMachine(new WebAssembly.Module(readFileSync(new URL("build/kernel.debug.wasm", root))));
  let wrong = 0;
  for (const { seed, expect, ...each } of cases) {
    for (const verified of [true, false]) {
      const got = runPacketCase(context, programs, each, verified);
      if (JSON.stringify(got) === JSON.stringify(expect)) continue;
      if (++wrong <= Number(option("show", "8"))) console.info(seed, each.type, verified, each.note, `\n  in   ${each.data_in}\n  host`, expect, "\n  ours", got);
      break;
    }
  }
  console.info(`${wrong} differ`);
}
process.exit(0);
