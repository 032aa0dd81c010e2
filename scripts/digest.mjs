// npm run digest [-- ARGS]: the parity scenario in every runtime, with every kind of memory and several numbers of
// workers. Prints a table; exits 1 when any two digests differ, or a run fails. `--seed N`, `--loss P` and
// `--only RUNTIME` narrow or change what is run; the first two go to the scenario.
import { buildBundles } from "./lib/bundle.mjs";
import { buildKernel } from "./lib/kernel.mjs";
import { importTs } from "./lib/run-ts.mjs";

const root = new URL("../", import.meta.url);

/** runtime of the harness, workers, shared memory */
const RUNS = [
  ...[true, false].flatMap((shared) => [1, 2, 4].map((workers) => ["node", workers, shared])),
  ...[true, false].flatMap((shared) => [1, 2, 4].map((workers) => ["deno", workers, shared])),
  ...[1, 2, 4].map((workers) => ["chromium+isolated", workers, true]),
  ...[1, 2, 4].map((workers) => ["chromium", workers, false]),
  ["chromium-worker+isolated", 1, true],
  ["chromium-worker", 1, false],
  ["workerd", 1, false],
];

function parseArgs(argv) {
  const options = {};
  for (let n = 0; n < argv.length; n += 2) {
    const [name, value] = [argv[n], argv[n + 1]];
    if (value === undefined) throw new Error(`${name} needs a value`);
    if (name === "--seed" || name === "--loss") {
      options[name.slice(2)] = Number(value);
      if (!Number.isFinite(options[name.slice(2)])) throw new Error(`${name} ${value}: not a number`);
    } else if (name === "--only") options.only = value;
    else throw new Error(`unknown option ${name}`);
  }
  return options;
}

function print(columns) {
  const widths = [26, 8, 7, 64, 8];
  process.stdout.write(
    `${columns
      .map((text, n) => String(text).padEnd(widths[n]))
      .join(" ")
      .trimEnd()}\n`,
  );
}

async function main() {
  const { only, ...scenario } = parseArgs(process.argv.slice(2));
  await buildKernel(root);
  await buildBundles(root);
  const { run } = await importTs(root, "test/runtimes/harness/index.ts");
  print(["runtime", "workers", "memory", "sha256", "seconds"]);
  const digests = new Set();
  let failed = 0;
  for (const [runtime, workers, shared] of RUNS) {
    if (only !== undefined && !runtime.startsWith(only)) continue;
    const memory = shared ? "shared" : "plain";
    const started = performance.now();
    const seconds = () => ((performance.now() - started) / 1000).toFixed(2);
    try {
      const args = { shared, options: { ...scenario, workers } };
      const { sha256 } = await run(runtime, { root, entry: "test/runtimes/entries/digest.ts", args });
      digests.add(sha256);
      print([runtime, workers, memory, sha256, seconds()]);
    } catch (error) {
      failed++;
      print([runtime, workers, memory, "failed", seconds()]);
      process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    }
  }
  if (failed > 0) process.stderr.write(`${failed} runs failed\n`);
  if (digests.size > 1) process.stderr.write(`${digests.size} different digests\n`);
  if (failed > 0 || digests.size !== 1) process.exitCode = 1;
  else process.stdout.write("all equal\n");
}

try {
  await main();
} catch (error) {
  process.stderr.write(`digest: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
