// node test/bpf/conformance/record.mjs: asks the kernel of this machine (root, Linux) what every program of programs.ts gives, and writes
// one file a group: r0 and, where it changed, the memory, for each of the group's inputs.
import { writeFileSync } from "node:fs";
import { importTs } from "../../../scripts/lib/run-ts.mjs";

const root = new URL("../../../", import.meta.url);
const { startHost } = await importTs(root, "test/bpf/host/host.ts");
const { rawRunner } = await importTs(root, "test/bpf/host/raw.ts");
const { conformanceGroups, programBytes } = await importTs(root, "test/bpf/conformance/programs.ts");

const host = startHost({ root });
const run = rawRunner(host);
const hex = (bytes) => Buffer.from(bytes).toString("hex");
let [programs, runs] = [0, 0];
for (const { group, inputs, programs: all } of conformanceGroups()) {
  const cases = [];
  for (const { name, insns, judged } of all) {
    const r0 = [];
    const memory = [];
    for (const input of inputs) {
      const answer = run(programBytes(judged ?? insns), Uint8Array.from(Buffer.from(input, "hex")));
      if (answer.error !== undefined) throw new Error(`${group}, ${name}: ${answer.error}`);
      // RFC 9669: cmpxchg32 zeroes the upper half of r0; the kernel's x86 JIT once does not.
      if (/cmpxchg w .*: r0/.test(name) && answer.r0 >> 32n !== 0n) throw new Error(`${group}, ${name}: r0 is ${answer.r0.toString(16)}`);
      r0.push(answer.r0.toString(16));
      memory.push(hex(answer.memory) === input ? "" : hex(answer.memory));
      runs++;
    }
    programs++;
    cases.push({ name, program: hex(programBytes(insns)), r0: r0.join(" "), ...(memory.some(Boolean) ? { memory } : {}), ...(judged ? { unverified: true } : {}) });
  }
  const lines = cases.map((each) => `  ${JSON.stringify(each)}`).join(",\n");
  writeFileSync(
    new URL(`test/bpf/conformance/${group}.json`, root), `{"kernel": ${JSON.stringify(host.kernel)}, "inputs": ${JSON.stringify(inputs)}, "cases": [\n${lines}\n]}\n`,
  );
}
process.stdout.write(`${programs} programs, ${runs} runs\n`);
process.exit(0);
