// npm run fuzz:kernel -- [--packets N] [--seed S] [--first N] [--minutes M] [--oracles N] [--most N] [--out DIR] [--raw]: random cases
// through the kernel of this machine and through ours (test/kernel/fuzz/README.md). Needs root and Linux. What differs is made
// small and written to DIR (.cache/fuzz). Exits 1 when anything differs.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { parseArgs } from "node:util";
import { fileURLToPath, pathToFileURL } from "node:url";
import { resolve } from "node:path";
import { buildKernel } from "./lib/kernel.mjs";
import { importTs } from "./lib/run-ts.mjs";

const root = new URL("../", import.meta.url);
const text = (value) => ({ type: "string", default: value });

async function main() {
  const { values } = parseArgs({
    options: {
      packets: text("10000"), seed: text("1"), first: text("0"), minutes: text("600"), oracles: text("2"), most: text("1000"),
      out: text(".cache/fuzz"), raw: { type: "boolean", default: false }, debug: { type: "boolean", default: false },
    },
  });
  await buildKernel(root, [values.debug ? "debug" : "full"]);
  const { fuzz, startOracleScript } = await importTs(root, "test/kernel/fuzz/fuzzer.ts");
  const { KernelInstance, newKernelMemory } = await importTs(root, "src/kernel/memory.ts");
  if (process.platform !== "linux" || process.getuid() !== 0) throw new Error("needs Linux and root: it compares with the kernel of this machine");
  const module = new WebAssembly.Module(readFileSync(new URL(values.debug ? "build/kernel.debug.wasm" : "build/kernel.wasm", root)));
  const script = fileURLToPath(new URL("test/kernel/fuzz/runner.py", root));
  const shared = pathToFileURL(`${resolve(process.env.KUBEWIRE_SHARED ?? "../shared")}/`);
  const oracles = Array.from({ length: Number(values.oracles) }, () => startOracleScript(script, shared));
  const started = Date.now();
  mkdirSync(values.out, { recursive: true });
  const onFound = ({ oracleCase, difference, want, got }) =>
    writeFileSync(`${values.out}/${oracleCase.name}.json`, `${JSON.stringify({ difference, case: oracleCase, want, got }, null, 1)}\n`);
  const outcome = await fuzz({
    seed: Number(values.seed), packets: Number(values.packets), first: Number(values.first), ms: Number(values.minutes) * 60_000,
    most: Number(values.most), instance: () => new KernelInstance(module, newKernelMemory(true)), oracles, minimise: !values.raw,
    now: Date.now, onFound, onCase: (line) => process.stdout.write(`${line}\n`),
  });
  for (const oracle of oracles) oracle.close();
  const { found, ...figures } = outcome;
  process.stdout.write(
    `Linux ${release()}, seed ${values.seed}: ${JSON.stringify(figures)}, ${found.length} differ, ${((Date.now() - started) / 1000).toFixed(0)} s\n`,
  );
  process.exitCode = found.length === 0 ? 0 : 1;
}

await main();
