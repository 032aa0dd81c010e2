// npm run bench -- NAME [--json] [--runs N]: runs bench/NAME.ts, on one core where `taskset` can see to it, and
// prints what was measured under which commit, runtime and machine. Benches measure in fresh processes of their own.
import { execFile, execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { CORES, buildBundles, buildTogether, bundleOptions } from "./lib/bundle.mjs";
import { buildKernel } from "./lib/kernel.mjs";
import { importTs } from "./lib/run-ts.mjs";

const root = new URL("../", import.meta.url);

function parseArgs(argv) {
  const options = { json: false, runs: 7 };
  for (let n = 0; n < argv.length; n++) {
    if (argv[n] === "--json") options.json = true;
    else if (argv[n] === "--runs" && Number(argv[n + 1]) >= 1) options.runs = Number(argv[++n]);
    else if (options.name === undefined && /^[a-z][a-z0-9-]*$/.test(argv[n])) options.name = argv[n];
    else throw new Error(`unknown argument ${argv[n]}`);
  }
  if (options.name === undefined || !existsSync(new URL(`bench/${options.name}.ts`, root))) {
    const names = readdirSync(new URL("bench/", root)).filter((name) => name.endsWith(".ts"));
    throw new Error(`which bench? bench/ has ${names.map((name) => name.slice(0, -3)).join(", ")}`);
  }
  return options;
}

const output = (command, args) => {
  try {
    return execFileSync(command, args, {
      cwd: fileURLToPath(root),
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return undefined;
  }
};

/** Ends a command line that runs on the first allowed core only; empty where that is not possible. */
const pin = output("taskset", ["-c", "0", "true"]) === undefined ? [] : ["taskset", "-c", "0"];

/** Where and with what the numbers were taken. */
const circumstances = () => ({
  commit: `${output("git", ["rev-parse", "--short", "HEAD"]) ?? "unknown"}${output("git", ["status", "--porcelain", "-uno"]) ? "+changes" : ""}`,
  runtime: `node ${process.versions.node}`,
  machine: `${cpus()[0]?.model.trim() ?? "unknown"}, ${cpus().length} cores${pin.length > 0 ? ", pinned to one" : ""}`,
});

/**
 * Bundles a TypeScript file with all its packages and returns a function that runs it in a new process: its JSON. What is imported on use
 * is a file of its own, as in dist/. `pinned: false`: for what has threads of its own.
 */
async function prepare(path, { pinned = true, flags = [], timeoutMs = 600_000 } = {}) {
  const name = `bench-${randomBytes(6).toString("hex")}`;
  const outfile = `.cache/${name}.mjs`;
  // yaml's build for Node is CommonJS, which a module can not bundle: take the one for browsers, as dist/ does.
  const alias = { yaml: fileURLToPath(new URL("node_modules/yaml/browser/index.js", root)) };
  await buildTogether(root, CORES, {
    ...bundleOptions(root), entryPoints: [{ in: path, out: name }], outdir: ".cache", outExtension: { ".js": ".mjs" }, splitting: true, chunkNames: `${name}-[hash]`,
    platform: "node", target: "node20", minify: true, alias,
  });
  const [command, ...args] = [...(pinned ? pin : []), process.execPath, ...flags, outfile];
  return {
    run: (...more) =>
      new Promise((resolve, reject) => {
        execFile(
          command,
          [...args, ...more],
          { cwd: fileURLToPath(root), timeout: timeoutMs },
          (error, stdout, stderr) => {
            if (error !== null) reject(new Error(`${path}: ${error.message}\n${stderr}`));
            else resolve(JSON.parse(stdout.trimEnd().split("\n").at(-1)));
          },
        );
      }),
    dispose() {
      for (const file of readdirSync(new URL(".cache/", root))) {
        if (file.startsWith(name)) rmSync(new URL(`.cache/${file}`, root), { force: true });
      }
    },
  };
}

async function main() {
  const options = parseArgs(process.argv.slice(2));
  await buildKernel(root, ["full", "core"]);
  await buildBundles(root, { declarations: false });
  const bench = await importTs(root, `bench/${options.name}.ts`);
  const result = await bench.main({ prepare, runs: options.runs });
  const facts = circumstances();
  if (options.json)
    process.stdout.write(`${JSON.stringify({ bench: options.name, ...facts, ...result.data }, null, 2)}\n`);
  else
    process.stdout.write(
      `${options.name}: commit ${facts.commit}, ${facts.runtime}, ${facts.machine}\n${result.text}\n`,
    );
}

try {
  await main();
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
