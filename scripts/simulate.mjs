// npm run simulate -- [--seeds 1-1000] [--faults 0,2] [--ops 1,3] [--shrink] [--verbose]: runs test/simulation for these seeds, in this
// process. With lists of faults or operations only those of the plan (`none`: without any). Prints what failed, and how to see it again.
import { fileURLToPath } from "node:url";
import { buildKernel } from "./lib/kernel.mjs";
import { importTs } from "./lib/run-ts.mjs";

const root = new URL("../", import.meta.url);
process.chdir(fileURLToPath(root));

const say = (line) => void process.stdout.write(`${line}\n`);

function parseArgs(argv) {
  const options = { from: 1, to: 20, shrink: false, verbose: false };
  const numbers = (text) => (text === "none" ? [] : text.split(",").map(Number));
  for (let n = 0; n < argv.length; n++) {
    if (argv[n] === "--seeds") [options.from, options.to = options.from] = argv[++n].split("-").map(Number);
    else if (argv[n] === "--faults") options.faults = numbers(argv[++n]);
    else if (argv[n] === "--ops") options.ops = numbers(argv[++n]);
    else if (argv[n] === "--shrink") options.shrink = true;
    else if (argv[n] === "--verbose") options.verbose = true;
    else throw new Error(`unknown argument ${argv[n]}`);
  }
  return options;
}

const { from, to, faults, ops, ...options } = parseArgs(process.argv.slice(2));
await buildKernel(root, ["full"]);
const { planOf, simulate, shrink, chosen, report } = await importTs(root, "test/simulation/simulate.ts");
let failed = 0;
const begun = Date.now();
for (let seed = from; seed <= to; seed++) {
  const plan = chosen(planOf(seed), { faults, ops });
  const start = Date.now();
  const outcome = await simulate(plan, options.verbose ? say : undefined);
  const wrong = outcome.violations.length + outcome.unrest.length > 0;
  if (wrong) {
    failed++;
    say(report(options.shrink ? await shrink(plan) : plan, outcome));
  }
  if (wrong || options.verbose || seed % 25 === 0) say(`seed ${seed}: ${Date.now() - start} ms for ${(outcome.virtualMs / 1000).toFixed(0)} s, ${outcome.revisions} revisions, ${(process.memoryUsage.rss() / 1e6).toFixed(0)} MB`);
}
say(`${to - from + 1} seeds, ${failed} failed, ${((Date.now() - begun) / 1000).toFixed(0)} s`);
process.exitCode = failed > 0 ? 1 : 0;
