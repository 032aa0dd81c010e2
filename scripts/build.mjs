// npm run build: the kernel, the bundles, the declarations; prints the sizes and fails when one is over its limit.
//   --quiet        only errors
//   --only=kernel  no bundles; --only=full, --only=debug, --only=core: that kernel alone
//   --for=cli      what dist/cli.js needs: the full kernel and the bundles, without the declarations and the checks
import { buildBundles, shippedSizes } from "./lib/bundle.mjs";
import { buildKernel } from "./lib/kernel.mjs";

/** Gzipped bytes: what is aimed at, and what fails the build. docs/decisions/build-and-packaging.md says where they part. */
const KERNEL = { aim: 256 * 1024, limit: 256 * 1024 };
const CORE = { aim: 64 * 1024, limit: 64 * 1024 };
const PAGE = { aim: 140 * 1024, limit: 223 * 1024 };

const root = new URL("../", import.meta.url);
const quiet = process.argv.includes("--quiet");
const option = (name) => process.argv.find((arg) => arg.startsWith(`--${name}=`))?.slice(`--${name}=`.length);
const say = (text) => {
  if (!quiet) process.stdout.write(`${text}\n`);
};
const kib = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`;

async function main() {
  const started = performance.now();
  const took = () => `${Math.round(performance.now() - started)} ms`;
  const forCli = option("for") === "cli";
  const only = option("only");
  const variants = forCli ? ["full"] : only === undefined || only === "kernel" ? undefined : [only];
  const kernel = buildKernel(root, variants).then((rebuilt) => say(`kernel: ${rebuilt ? "built" : "up to date"} (${took()})`));
  if (only !== undefined) return kernel;
  if (forCli) return Promise.all([kernel, buildBundles(root, { declarations: false })]);
  await kernel;
  const sizes = shippedSizes(root, await buildBundles(root));
  let failed = false;
  for (const [name, bytes, { aim, limit }] of [
    ["kernel.wasm, gzipped", sizes.kernel, KERNEL],
    ["kernel-core.wasm, gzipped", sizes.core, CORE],
    ["browser bundle with kernel, gzipped", sizes.page, PAGE],
  ]) {
    const over = bytes > limit;
    failed ||= over;
    const line = `${name}: ${kib(bytes)} of ${kib(aim)}`;
    if (over) process.stderr.write(`${line}: over the limit of ${kib(limit)}\n`);
    else say(line);
  }
  say(`dist: built (${took()} in all)`);
  if (failed) process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  process.stderr.write(`build: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
