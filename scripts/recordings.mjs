// npm run recordings -- PATH...: replays recordings against this kernel and its driver. For every file (or every file of a
// directory): `FILE: P/T match`, and the first difference of each record or case that does not. Formats by content: a case of the
// netfilter oracle (its result in ../results/ beside it), iptables-rules.json, cli-errors.json. Exits 1 when anything differs.
// `--all` compares the counters of /proc/net/snmp and of conntrack, too.
import { readFileSync, readdirSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { buildKernel } from "./lib/kernel.mjs";
import { importTs } from "./lib/run-ts.mjs";

const root = new URL("../", import.meta.url);

const filesOf = (path) =>
  statSync(path).isDirectory()
    ? readdirSync(path).filter((name) => name.endsWith(".json")).sort().map((name) => join(path, name))
    : [path];

async function main() {
  const args = process.argv.slice(2);
  const all = args.includes("--all");
  const paths = args.filter((arg) => !arg.startsWith("--"));
  if (paths.length === 0) throw new Error("usage: npm run recordings -- [--all] PATH...");
  await buildKernel(root);
  const { createReplayer } = await importTs(root, "src/replay/index.ts");
  const replayer = createReplayer(new WebAssembly.Module(readFileSync(new URL("build/kernel.wasm", root))));
  let bad = 0;
  for (const path of paths) {
    const summary = { matched: 0, total: 0, lines: [] };
    for (const file of filesOf(path)) {
      const content = JSON.parse(readFileSync(file, "utf8"));
      const result = () => JSON.parse(readFileSync(join(dirname(file), "..", "results", basename(file)), "utf8"));
      const { matched, total, differences } = await replayer.replay(content, result, { all });
      summary.matched += matched;
      summary.total += total;
      for (const line of differences) summary.lines.push(`${basename(file)}: ${line}`);
    }
    process.stdout.write(`${path}: ${summary.matched}/${summary.total} match\n`);
    for (const line of summary.lines) process.stdout.write(`  ${line.length > 400 ? `${line.slice(0, 400)}…` : line}\n`);
    bad += summary.total - summary.matched;
  }
  process.exitCode = bad === 0 ? 0 : 1;
}

await main();
