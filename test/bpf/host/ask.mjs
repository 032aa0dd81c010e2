// node test/bpf/host/ask.mjs: the host's kernel behind the batch and the verifier protocol of ../shared/bpf/PROTOCOL.md, JSON lines on
// stdin and stdout. {"program", "memory"} -> {"r0", "memory"} or {"error"}; {"op": "verify", ..., "log": 0|1|2|4} -> {"verdict", "errno",
// "log"}; {"op": "run", type, program, maps, relocs, data_in, ctx_in, repeat, "dump": {map: keyBytes}} -> {"errno", "retval", "duration",
// "data_out", "ctx_out"}; {"op": "map", "map": {...}} -> {"errno"}. Needs root and Linux.
import { createInterface } from "node:readline";
import { importTs } from "../../../scripts/lib/run-ts.mjs";

const root = new URL("../../../", import.meta.url);
const { ERRNO } = await importTs(root, "test/bpf/host/names.ts");
const { startHost } = await importTs(root, "test/bpf/host/host.ts");
const { rawRunner } = await importTs(root, "test/bpf/host/raw.ts");

const hosts = { all: startHost({ root }), bpf: startHost({ root, caps: "bpf" }) };
const raw = rawRunner(hosts.all);
const hex = (bytes) => Buffer.from(bytes).toString("hex");
const bytes = (text = "") => Uint8Array.from(Buffer.from(text.replace(/\s/g, ""), "hex"));

function load(host, { type, attach = 0, license = "GPL", flags, maps = {}, relocs = [], program, log = 2 }) {
  const fds = Object.fromEntries(Object.entries(maps).map(([name, map]) => [name, host.createMap({ ...map, spinLock: map.spin_lock, name })]));
  const loaded = host.load({
    type, attach, license, flags, insns: bytes(program), logLevel: log,
    relocs: relocs.map(({ slot, kind, name, addend }) => ({ slot, kind, fd: fds[name], addend })),
  });
  return { ...loaded, fds };
}

function answer(question) {
  if (question.op === undefined) {
    const { r0, memory, error } = raw(bytes(question.program), bytes(question.memory));
    return error === undefined ? { r0: `0x${r0.toString(16)}`, memory: hex(memory) } : { error };
  }
  const host = hosts[question.caps ?? "all"];
  if (question.op === "map") {
    const { fd, errno } = host.tryCreateMap({ ...question.map, spinLock: question.map.spin_lock });
    host.close(fd);
    return { errno: errno === 0 ? "" : (ERRNO[errno] ?? errno) };
  }
  const { fd, errno, log, fds } = load(host, question);
  try {
    if (question.op === "verify") return { verdict: fd < 0 ? "reject" : "accept", errno: ERRNO[errno] ?? errno, log };
    if (fd < 0) return { error: log };
    const ran = host.run(fd, { dataIn: bytes(question.data_in), ctxIn: bytes(question.ctx_in), repeat: question.repeat });
    const maps = Object.fromEntries(Object.entries(question.maps ?? {}).filter(([, { key }]) => key > 0).map(([name, { key, value }]) => [
      name, host.entries(fds[name], key, value).map((each) => ({ key: hex(each.key), value: hex(each.value) })),
    ]));
    return { errno: ERRNO[ran.errno] ?? ran.errno, retval: ran.retval, duration: ran.duration, data_out: hex(ran.dataOut), ctx_out: hex(ran.ctxOut), maps };
  } finally {
    host.close(fd, ...Object.values(fds));
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  let reply;
  try {
    reply = answer(JSON.parse(line));
  } catch (error) {
    reply = { error: String(error?.message ?? error) };
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
process.exit(0);
