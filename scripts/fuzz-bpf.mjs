// npm run fuzz:bpf -- [--kind raw|run|verdict] [--seed S] [--programs N] [--first N] [--minutes M] [--out DIR]: random eBPF programs in the
// kernel of this machine and in every engine of ours (raw: with r1 = memory; run: XDP and tc with maps, helpers, tail calls), or mutated
// programs before both verifiers (test/bpf/fuzz/README.md). Needs root, Linux and a C compiler. What differs is made small, printed
// as disassembly and written to DIR (.cache/fuzz-bpf). Exits 1 when results differ, or verdicts on more than one program in a hundred.
import { mkdirSync, readFileSync, readdirSync, existsSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { buildKernel } from "./lib/kernel.mjs";
import { importTs } from "./lib/run-ts.mjs";

const root = new URL("../", import.meta.url);
const text = (value) => ({ type: "string", default: value });
const MOST_VERDICTS_APART = 0.01;

async function main() {
  const { values } = parseArgs({
    options: {
      kind: text("run"), seed: text("1"), programs: text("1000"), first: text("0"), minutes: text("600"), out: text(".cache/fuzz-bpf"), bpf: text("10"),
      engines: text("all"),
    },
  });
  mkdirSync(values.out, { recursive: true });
  const started = Date.now();
  const until = () => Date.now() - started > Number(values.minutes) * 60_000;
  const range = { seed: Number(values.seed), first: Number(values.first), programs: Number(values.programs), until };
  const { startHost } = await importTs(root, "test/bpf/host/host.ts");
  const host = startHost({ root });
  const print = (line) => process.stdout.write(`${line}\n`);
  let figures;
  if (values.kind === "verdict") figures = await verdicts({ ...range, host, values, print });
  else {
    await buildKernel(root, ["full"]);
    const module = new WebAssembly.Module(readFileSync(new URL("build/kernel.wasm", root)));
    const { ENGINES, createMachine } = await importTs(root, "test/bpf/fuzz/ours.ts");
    const machines = ENGINES.filter((name) => values.engines === "all" || values.engines.split(",").includes(name)).map((name) => createMachine(module, name));
    const { disassemble } = await importTs(root, "test/bpf/fuzz/disassemble.ts");
    const onFound = (found) => {
      print(`${found.name}, ${found.engine}: ${found.difference}\n${disassemble(found.program)}`);
      writeFileSync(join(values.out, `${found.name}-${found.engine.replace(" ", "-")}.json`), `${JSON.stringify(found, null, 1)}\n`);
    };
    const fuzzer = values.kind === "raw" ? (await importTs(root, "test/bpf/fuzz/raw.ts")).fuzzRaw : (await importTs(root, "test/bpf/fuzz/run.ts")).fuzzRuns;
    figures = fuzzer({ ...range, host, careful: startHost({ root, caps: "bpf" }), machines, onFound });
    if (figures.differ > 0) process.exitCode = 1;
  }
  print(`Linux ${release()}, ${values.kind}, seed ${values.seed}: ${JSON.stringify(figures)}, ${((Date.now() - started) / 1000).toFixed(0)} s`);
}

/** Objects that clang built, wherever they are found. */
function objectFiles() {
  const shared = resolve(process.env.KUBEWIRE_SHARED ?? "../shared");
  const folders = [join(shared, "bpf/samples/build"), "test/bpf/objects", ".cache/bpf", "examples/ebpf"];
  return folders.filter((folder) => existsSync(folder)).flatMap((folder) =>
    readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(".o")).sort().map((name) => join(folder, name)));
}

async function verdicts({ host, values, print, ...range }) {
  const { startHost } = await importTs(root, "test/bpf/host/host.ts");
  const { fuzzVerdicts } = await importTs(root, "test/bpf/fuzz/verdict.ts");
  const { generatedSeeds, objectSeeds } = await importTs(root, "test/bpf/fuzz/seeds.ts");
  const { verify } = await importTs(root, "src/bpf/verifier/index.ts");
  const seeds = [...objectSeeds(objectFiles().map((path) => ({ path, bytes: new Uint8Array(readFileSync(path)) }))), ...generatedSeeds(range.seed, 40)];
  const { disassemble } = await importTs(root, "test/bpf/fuzz/disassemble.ts");
  const { figures, disagreements, messages } = fuzzVerdicts({
    ...range, hosts: { all: host, bpf: startHost({ root, caps: "bpf" }) }, verify, seeds, bpfOneIn: Number(values.bpf) || undefined,
    onDisagreement(found) {
      const program = Buffer.from(found.program).toString("hex");
      writeFileSync(join(values.out, `verdict-${range.seed}-${found.number}.txt`), `${JSON.stringify({ ...found, program, log: undefined })}\n${disassemble(program)}\n${found.log}`);
    },
  });
  const tally = (pairs) => [...pairs].sort(([, a], [, b]) => b - a).map(([pair, count]) => `${String(count).padStart(6)}  ${pair}`).join("\n");
  const apart = new Map();
  const side = ({ accepted, message }) => (accepted ? "accepts" : message);
  for (const { kernel, ours, number } of disagreements) {
    const pair = `${side(kernel)}  |  ${side(ours)}`.replace(/-?\b0x[0-9a-f]+|-?\b\d+/g, "N");
    const known = apart.get(pair) ?? { count: 0, numbers: [] };
    known.count++;
    if (known.numbers.length < 4) known.numbers.push(number);
    apart.set(pair, known);
  }
  print("kernel  |  ours, where verdicts differ:");
  for (const [pair, { count, numbers }] of [...apart].sort(([, a], [, b]) => b.count - a.count)) print(`${String(count).padStart(6)}  ${pair}  (${numbers.join(", ")})`);
  print("kernel  |  ours, where both refuse in other words:");
  print(tally(messages));
  if (figures.programs - figures.agreed > figures.programs * MOST_VERDICTS_APART) process.exitCode = 1;
  return { ...figures, agreement: `${((100 * figures.agreed) / figures.programs).toFixed(2)}%` };
}

await main();
process.exit();
