// npm run build: the kernel, the bundles, the declarations; prints the sizes and fails when one is over its limit.
import { buildBundles } from "./lib/bundle.mjs";
import { buildKernel } from "./lib/kernel.mjs";

/** Gzipped bytes: what is aimed at, and what fails the build. docs/decisions/build-and-packaging.md says where they part. */
const KERNEL = { aim: 256 * 1024, limit: 256 * 1024 };
const CORE = { aim: 64 * 1024, limit: 64 * 1024 };
const PAGE = { aim: 140 * 1024, limit: 220 * 1024 };

const root = new URL("../", import.meta.url);
const quiet = process.argv.includes("--quiet");
const only = process.argv.find((arg) => arg.startsWith("--only="))?.slice("--only=".length);
const say = (text) => {
  if (!quiet) process.stdout.write(`${text}\n`);
};
const kib = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`;

async function main() {
  const started = performance.now();
  const rebuilt = await buildKernel(root);
  say(`kernel: ${rebuilt ? "built" : "up to date"} (${Math.round(performance.now() - started)} ms)`);
  if (only === "kernel") return;
  const sizes = await buildBundles(root);
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
  say(`dist: built (${Math.round(performance.now() - started)} ms in all)`);
  if (failed) process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  process.stderr.write(`build: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
