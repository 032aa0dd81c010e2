// npm run digest [-- ARGS]: the parity scenario in every runtime, with every kind of memory and several numbers of
// workers (0: the nodes run in the thread of the control plane). Prints a table; exits 1 when any two digests differ, or
// a run fails. `--seed N`, `--loss P`, `-f PATH`, `--from POD` and `--to URL` are those of `kubewire digest`;
// `--only RUNTIME` runs a part of the table.
import { buildBundles } from "./lib/bundle.mjs";
import { buildKernel } from "./lib/kernel.mjs";
import { importTs } from "./lib/run-ts.mjs";

const root = new URL("../", import.meta.url);

const WORKERS = [0, 1, 2, 4];

/** runtime of the harness, workers, shared memory */
const RUNS = [
  ...["node", "deno"].flatMap((name) => [true, false].flatMap((shared) => WORKERS.map((n) => [name, n, shared]))),
  ...WORKERS.map((n) => ["chromium+isolated", n, true]),
  ...WORKERS.map((n) => ["chromium", n, false]),
  ["chromium-worker+isolated", 0, true],
  ["chromium-worker", 0, false],
  ["workerd", 0, false],
];

const OPTIONS = {
  "--seed": "seed",
  "--loss": "loss",
  "-f": "filename",
  "--from": "from",
  "--to": "to",
  "--only": "only",
};
const NUMBERS = ["seed", "loss"];

function parseArgs(argv) {
  const options = { from: "shop/client", to: "http://web.shop.svc.cluster.local/" };
  for (let n = 0; n < argv.length; n += 2) {
    const [flag, text] = [argv[n], argv[n + 1]];
    const name = OPTIONS[flag];
    if (name === undefined) throw new Error(`unknown option ${flag}`);
    if (text === undefined) throw new Error(`${flag} needs a value`);
    options[name] = NUMBERS.includes(name) ? Number(text) : text;
    if (Number.isNaN(options[name])) throw new Error(`${flag} ${text}: not a number`);
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
  const { only, seed, loss, ...named } = parseArgs(process.argv.slice(2));
  await buildKernel(root, ["full", "core"]);
  await buildBundles(root, { declarations: false });
  const { run } = await importTs(root, "test/runtimes/harness/index.ts");
  const { nodeHost } = await importTs(root, "runtimes/node/host.ts");
  const { readScenario } = await importTs(root, "src/cli/scenario.ts");
  const scenario = await readScenario(nodeHost([]), named);
  print(["runtime", "workers", "memory", "sha256", "seconds"]);
  const digests = new Set();
  let failed = 0;
  for (const [runtime, workers, shared] of RUNS) {
    if (only !== undefined && !runtime.startsWith(only)) continue;
    const memory = shared ? "shared" : "plain";
    const started = performance.now();
    const seconds = () => ((performance.now() - started) / 1000).toFixed(2);
    try {
      const args = { shared, options: { scenario, seed, loss, workers } };
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
