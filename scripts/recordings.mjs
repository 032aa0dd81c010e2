// npm run recordings -- PATH...: replays recordings against this kernel and its driver. For every file (or every file of a
// directory): `FILE: P/T match`, and the first difference of each record or case that does not; the cases of a directory are told
// together. Formats by content: a case of the netfilter oracle (its result in ../results/ beside it), iptables-rules.json,
// cli-errors.json, cli-outputs.json; other files of a directory are said not to be replayed. Exits 1 when anything differs.
// Cases of eBPF objects (`cases`, objects in build/LEVEL/ beside the file) and verdicts (`programs`) run interpreted and compiled.
// `--all` compares the counters of /proc/net/snmp and of conntrack, too.
// A scenario of the API server (NAME.jsonl) is replayed on a fresh one in process, by $KUBEWIRE_SHARED/recordings/replay.mjs;
// those that want controllers beside it (`mode` in index.json) are replayed with them.
import { readFileSync, readdirSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { buildKernel } from "./lib/kernel.mjs";
import { importTs } from "./lib/run-ts.mjs";

const root = new URL("../", import.meta.url);

const filesOf = (path) =>
  statSync(path).isDirectory()
    ? readdirSync(path).filter((name) => /\.jsonl?$/.test(name) && name !== "index.json").sort().map((name) => join(path, name))
    : [path];

async function main() {
  const args = process.argv.slice(2);
  const all = args.includes("--all");
  const paths = args.filter((arg) => !arg.startsWith("--"));
  if (paths.length === 0) throw new Error("usage: npm run recordings -- [--all] PATH...");
  const replayer = lazily(async () => {
    await buildKernel(root, ["full"]);
    const { createReplayer } = await importTs(root, "src/replay/index.ts");
    return createReplayer(new WebAssembly.Module(readFileSync(new URL("build/kernel.wasm", root))));
  });
  const exchanges = lazily(() => exchangeReplayer());
  const bpf = lazily(() => bpfReplayer());
  let bad = 0;
  const report = (name, { matched, total, lines }) => {
    process.stdout.write(`${name}: ${matched}/${total} match\n`);
    for (const line of lines.map((text) => text.replaceAll("\n", "\\n"))) process.stdout.write(`  ${line.length > 400 ? `${line.slice(0, 400)}…` : line}\n`);
    bad += total - matched;
  };
  for (const path of paths) {
    const cases = { matched: 0, total: 0, lines: [] };
    for (const file of filesOf(path)) {
      if (file.endsWith(".jsonl")) {
        report(file, await (await exchanges())(file));
        continue;
      }
      const content = JSON.parse(readFileSync(file, "utf8"));
      if (isBpf(content)) {
        report(file, (await bpf())(file, content));
        continue;
      }
      const result = () => JSON.parse(readFileSync(join(dirname(file), "..", "results", basename(file)), "utf8"));
      let summary;
      try {
        summary = await (await replayer()).replay(content, result, { all });
      } catch (error) {
        if (file === path) throw error;
        process.stdout.write(`${file}: ${error.message}\n`);
        continue;
      }
      const lines = summary.differences.map((line) => `${basename(file)}: ${line}`);
      if (file === path || !Array.isArray(content.packets)) report(file, { ...summary, lines });
      else {
        cases.matched += summary.matched;
        cases.total += summary.total;
        cases.lines.push(...lines);
      }
    }
    if (cases.total > 0) report(path, cases);
  }
  process.exitCode = bad === 0 ? 0 : 1;
}

const isBpf = (content) => Array.isArray(content.cases) || (content.programs ?? []).some?.((program) => program.program_hex !== undefined);

/** Replays cases and verdicts of eBPF. */
async function bpfReplayer() {
  await buildKernel(root, ["full"]);
  const { caseDifference, verdictDifference, KernelInstance, newKernelMemory } = await importTs(root, "scripts/lib/bpf-recordings.ts");
  const module = new WebAssembly.Module(readFileSync(new URL("build/kernel.wasm", root)));
  return (file, { cases = [], programs = [] }) => {
    const summary = { matched: 0, total: 0, lines: [] };
    const count = (name, difference) => {
      summary.total++;
      if (difference === undefined) summary.matched++;
      else summary.lines.push(`${name}: ${difference}`);
    };
    for (const recorded of cases) {
      for (const level of recorded.levels ?? ["."]) {
        const elf = readFileSync(join(dirname(file), "build", level, `${recorded.object}.o`));
        const differences = ["interpreter", "jit"].map((engine) => caseDifference(new KernelInstance(module, newKernelMemory(true)), elf, recorded, { engine }));
        count(`${recorded.object} ${recorded.name} ${level}`, differences[0] ?? differences[1]);
      }
    }
    for (const recorded of programs) count(recorded.name, verdictDifference(recorded));
    return summary;
  };
}

function lazily(make) {
  let made;
  return () => (made ??= make());
}

/** What a scenario was recorded on: the API server alone (`api`), or with controllers (`cluster`). */
function modeOf(file) {
  try {
    return JSON.parse(readFileSync(join(dirname(file), "index.json"), "utf8")).scenarios[basename(file, ".jsonl")]?.mode ?? "api";
  } catch {
    return "api";
  }
}

/** Replays one scenario of API exchanges on a server of its own. */
async function exchangeReplayer() {
  const shared = process.env.KUBEWIRE_SHARED ?? fileURLToPath(new URL("../shared", root));
  const { compare, fetchTransport, loadScenario, send } = await import(pathToFileURL(join(shared, "recordings/replay.mjs")).href);
  const { ADMIN_TOKEN, createExchangeServer } = await importTs(root, "scripts/lib/exchange-server.ts");
  return async (file) => {
    const transport = fetchTransport({ fetch: createExchangeServer(undefined, modeOf(file) === "cluster"), token: ADMIN_TOKEN });
    const answers = new Map();
    const summary = { matched: 0, total: 0, lines: [] };
    for (const step of loadScenario(file)) {
      let live;
      let differences;
      const until = performance.now() + (step.poll ?? 0);
      do {
        if (live !== undefined) await new Promise((resolve) => setTimeout(resolve, 100));
        live = await send(transport, step.request, answers, step.response);
        differences = compare(step, live);
      } while (differences.length > 0 && performance.now() < until);
      if (live.body) answers.set(step.name, live.body);
      if (step.setup) continue;
      summary.total++;
      if (differences.length === 0) summary.matched++;
      else {
        const { path, want, got } = differences[0];
        const shown = (value) => (value === undefined ? "(absent)" : JSON.stringify(value));
        summary.lines.push(`${step.name}: ${step.request.method} ${step.request.path} -> ${live.status}: ${path}: want ${shown(want)}, got ${shown(got)}`);
      }
    }
    return summary;
  };
}

await main();
