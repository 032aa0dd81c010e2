// node test/bpf/fuzz/record-verdicts.mjs: asks the kernel of this machine (root, Linux) about mutants of the samples' smaller programs and of
// random ones, and writes verdicts.json with what it said. verdicts.test.ts asks our verifier.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { importTs } from "../../../scripts/lib/run-ts.mjs";

const root = new URL("../../../", import.meta.url);
const { startHost } = await importTs(root, "test/bpf/host/host.ts");
const { complete, hostMaps, kernelVerdict, mutant } = await importTs(root, "test/bpf/fuzz/verdict.ts");
const { generatedSeeds, objectSeeds } = await importTs(root, "test/bpf/fuzz/seeds.ts");
const { encodeInsns } = await importTs(root, "src/bpf/insn.ts");

const CASES = 320;
const MOST_SLOTS = 75;
const folder = join(resolve(process.env.KUBEWIRE_SHARED ?? "../shared"), "bpf/samples/build/v3");
const objects = readdirSync(folder).sort().map((name) => ({ path: name, bytes: new Uint8Array(readFileSync(join(folder, name))) }));
const seeds = [...objectSeeds(objects), ...generatedSeeds(3, 60)].filter(({ insns }) => insns.length <= MOST_SLOTS);
const hosts = { all: startHost({ root }), bpf: startHost({ root, caps: "bpf" }) };
const fds = { all: new Map(), bpf: new Map() };
const cases = [];
for (let number = 0; cases.length < CASES; number++) {
  const { seed, program } = mutant(seeds, 9, number);
  if (!complete(program) || program.insns.length === 0) continue;
  const caps = number % 6 === 0 ? "bpf" : "all";
  const host = hosts[caps];
  if (!fds[caps].has(seed)) fds[caps].set(seed, hostMaps(host, seed.mapSpecs));
  const { accepted, errno, message } = kernelVerdict(host, seed, program, fds[caps].get(seed));
  // Every other one refused, and none for being too large.
  if (accepted === (cases.length % 2 === 0) || /too large|too complex|verifier bug/.test(message)) continue;
  cases.push({
    seed: seeds.indexOf(seed), program: Buffer.from(encodeInsns(program.insns)).toString("hex"), functions: program.functions, caps,
    maps: program.maps.map(({ slot, map, kind, addend }) => [slot, map, kind, addend]), ...(accepted ? {} : { errno, message }),
  });
}
const used = seeds.map(({ name, type, attach, license, withBtf, mapSpecs }, n) => (cases.some(({ seed }) => seed === n) ? { name, type, attach, license, withBtf, mapSpecs } : null));
const lines = (list) => list.map((each) => `  ${JSON.stringify(each)}`).join(",\n");
writeFileSync(new URL("test/bpf/fuzz/verdicts.json", root), `{"kernel": ${JSON.stringify(hosts.all.kernel)}, "seeds": [\n${lines(used)}\n], "cases": [\n${lines(cases)}\n]}\n`);
process.stdout.write(`${cases.length} verdicts, ${cases.filter(({ message }) => message !== undefined).length} refusals\n`);
process.exit(0);
