// src/ and runtimes/ -> dist/: one ES module per entry of package.json, with the declarations beside it.
import { build } from "esbuild";
import { execFile } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { abiHash } from "./abi.mjs";
import { SHIPPABLE } from "./licenses.mjs";
import { writeDescriptions } from "./descriptions.mjs";

/** What every cluster loads: the part that threads of nodes have, and all of it. */
export const CORES = ["src/crew.ts", "src/cluster.ts"];

// Every file lands in dist/ itself: `new URL("../build/kernel.wasm", import.meta.url)` then means the same from
// dist/ as from runtimes/ (see runtimes/files.ts).
// Names stay, for stack traces; white space goes: parsing is a tenth of the time to the first answer.
const SERVER = {
  cores: CORES,
  minifyWhitespace: true,
  minifySyntax: true,
  target: "node20",
  entries: {
    node: "runtimes/node/index.ts",
    deno: "runtimes/deno/index.ts",
    index: "src/index.ts",
    client: "src/client/index.ts",
    kernel: "src/kernel/index.ts",
    "bpf-node": "runtimes/node/bpf.ts",
    "bpf-deno": "runtimes/deno/bpf.ts",
    "node-site-worker": "runtimes/node/site-worker.ts",
    "deno-site-worker": "runtimes/deno/site-worker.ts",
  },
};
// One file of its own: the command-line parser it bundles is CommonJS, which needs a `require` for Node's own modules.
const CLI = {
  target: "node20",
  platform: "node",
  banner: {
    js: `import { createRequire as requireOf } from "node:module";\nconst require = requireOf(import.meta.url);`,
  },
  entries: { cli: "runtimes/node/cli.ts" },
};
const WEB = {
  target: "es2022",
  minify: true,
  cores: CORES,
  entries: {
    browser: "runtimes/browser/index.ts",
    worker: "runtimes/worker/index.ts",
    "worker-main": "runtimes/worker/main.ts",
    "web-site-worker": "runtimes/browser/site-worker.ts",
    "service-worker": "runtimes/browser/service-worker.ts",
  },
};
// A worker of workerd names each of its modules: one is best, so nothing is split off.
const EDGE = { target: "es2022", minify: true, splitting: false, entries: { edge: "runtimes/edge/index.ts", "bpf-edge": "runtimes/edge/bpf.ts" } };
// Apart from the cluster's, whose page would get the kernel's driver in more pieces.
const WEB_BPF = { target: "es2022", minify: true, splitting: false, entries: { "bpf-browser": "runtimes/browser/bpf.ts" } };

const TYPES = {
  "deno.js": "runtimes/deno/index.d.ts",
  "index.js": "src/index.d.ts",
  "client.js": "src/client/index.d.ts",
  "kernel.js": "src/kernel/index.d.ts",
  "bpf-deno.js": "runtimes/deno/bpf.d.ts",
};

/**
 * esbuild's options that every bundle of this repository shares: scripts, tests and benches use them too.
 * @param {URL} root
 * @returns {import("esbuild").BuildOptions}
 */
export function bundleOptions(root) {
  writeDescriptions(root);
  return {
    absWorkingDir: fileURLToPath(root),
    bundle: true,
    format: "esm",
    define: { __KUBEWIRE_ABI__: JSON.stringify(abiHash(root)) },
    // The edge imports the kernel as a module; its path is the same from dist/ as from runtimes/.
    external: ["node:*", "*.wasm"],
    legalComments: "none",
    logLevel: "warning",
    charset: "utf8",
  };
}

async function bundle(root, outdir, { entries, cores, ...given }) {
  const options = {
    ...bundleOptions(root),
    entryPoints: Object.entries(entries).map(([out, path]) => ({ in: path, out })),
    outdir,
    chunkNames: "chunk-[hash]",
    splitting: true,
    metafile: true,
    ...given,
  };
  return (cores === undefined ? await build(options) : await buildTogether(root, cores, options)).metafile;
}

/**
 * esbuild makes a file of whatever some entries and modules imported on use share and others do not: the core in a dozen pieces, which compress
 * worse than one and take a millisecond each to load. So the modules imported on use import all of the core, which is there when they are: the
 * first of `cores` that imports them, so that the threads of nodes load no control plane. Cores await nothing at their top level: a module that
 * does would wait for itself.
 */
export async function buildTogether(root, cores, options) {
  const { metafile: { inputs } } = await build({ ...options, metafile: true, write: false });
  const later = new Map();
  for (const core of cores.filter((path) => inputs[path] !== undefined)) {
    const closure = new Set([core]);
    for (const path of closure) {
      for (const { path: next, kind, external } of inputs[path].imports) {
        if (external) continue;
        closure.add(next);
        if (kind === "dynamic-import" && !later.has(next)) later.set(next, core);
      }
    }
  }
  // Nothing of the core is there for its side effects: that it has been imported is what counts, and esbuild says so.
  return build({ ...options, plugins: [afterCore(root, later)], logOverride: { "ignored-bare-import": "silent" } });
}

const afterCore = (root, later) => ({
  name: "after-core",
  setup({ onLoad, onResolve }) {
    const cores = new Map([...later].map(([path, core]) => [fileURLToPath(new URL(path, root)), core]));
    onResolve({ filter: /^core:/ }, ({ path }) => ({ path: fileURLToPath(new URL(path.slice("core:".length), root)) }));
    onLoad({ filter: /\.ts$/ }, ({ path }) => {
      const core = cores.get(path);
      return core === undefined ? undefined : { contents: `${readFileSync(path, "utf8")}\nimport "core:${core}";\n`, loader: "ts" };
    });
  },
});

function declarations(root, outdir) {
  const cwd = fileURLToPath(root);
  return new Promise((resolve, reject) => {
    const args = ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json", "--outDir", `${outdir}/types`];
    execFile(process.execPath, args, { cwd, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      if (error !== null) reject(new Error(`tsc -p tsconfig.build.json failed:\n${stdout}${stderr}`));
      else resolve();
    });
  });
}

/**
 * Makes the emitted declarations readable without this repository's compiler options: imports end in `.js`, and
 * the portable number types of assembly/abi.ts become `number`.
 */
function finishDeclarations(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) finishDeclarations(new URL(`${entry.name}/`, folder));
    else if (entry.name.endsWith(".d.ts")) {
      const file = new URL(entry.name, folder);
      const before = readFileSync(file, "utf8");
      const after = before
        .replace(/((?:from|import)\s*\(?\s*["']\.{1,2}\/[^"']*)\.ts(["'])/g, "$1.js$2")
        .replace(/: (?:[ui](?:8|16|32)|[ui]size|f64);/g, ": number;");
      if (after !== before) writeFileSync(file, after);
    }
  }
}

/**
 * Bundles all entries into dist/; returns which of its files a page loads. Without `declarations` a dist/ is for running only, not
 * for publishing.
 */
export async function buildBundles(root, { declarations: typed = true } = {}) {
  // Built aside and moved, so that a dist/ in use is gone for a moment only.
  const outdir = `.cache/dist-${process.pid}`;
  const dist = new URL(`${outdir}/`, root);
  rmSync(dist, { recursive: true, force: true });
  mkdirSync(dist, { recursive: true });
  const bundles = [WEB, SERVER, CLI, EDGE, WEB_BPF].map((entries) => bundle(root, outdir, entries));
  const failed = (await Promise.allSettled([...bundles, typed && declarations(root, outdir)])).find(({ status }) => status === "rejected");
  if (failed !== undefined) {
    rmSync(dist, { recursive: true, force: true });
    throw failed.reason;
  }
  const metafiles = await Promise.all(bundles);
  writeFileSync(new URL("THIRD-PARTY-LICENSES.txt", dist), thirdPartyLicenses(root, metafiles));
  if (typed) finishDeclarations(new URL("types/", dist));
  const cli = new URL("cli.js", dist);
  writeFileSync(cli, `#!/usr/bin/env node\n${readFileSync(cli, "utf8")}`);
  chmodSync(cli, 0o755);
  // Deno and JSR find the declarations of a plain JavaScript file by this comment.
  for (const [file, types] of Object.entries(TYPES)) {
    const url = new URL(file, dist);
    writeFileSync(url, `/* @ts-self-types="./types/${types}" */\n${readFileSync(url, "utf8")}`);
  }

  const [web] = metafiles;
  const target = new URL("dist/", root);
  rmSync(target, { recursive: true, force: true });
  renameSync(dist, target);
  return staticClosure(web, `${outdir}/browser.js`).map((path) => path.slice(outdir.length + 1));
}

/** Gzipped bytes of the kernels, and of what a page loads: the files of dist/ that buildBundles returned and the kernel. */
export function shippedSizes(root, pageFiles) {
  const gzipped = (path) => gzipSync(readFileSync(new URL(path, root)), { level: 9 }).length;
  const core = gzipped("build/kernel-core.wasm");
  const page = pageFiles.reduce((sum, path) => sum + gzipped(`dist/${path}`), core);
  return { kernel: gzipped("build/kernel.wasm"), core, page };
}

/** The licenses of the packages whose code is in the bundles, which their terms ask to pass on. */
function thirdPartyLicenses(root, metafiles) {
  const folders = new Set();
  for (const { inputs } of metafiles) {
    for (const path of Object.keys(inputs)) {
      const folder = /^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(path)?.[0];
      if (folder !== undefined) folders.add(folder);
    }
  }
  return [...folders]
    .sort()
    .map((folder) => {
      const url = new URL(`${folder}/`, root);
      const { name, version, license } = JSON.parse(readFileSync(new URL("package.json", url), "utf8"));
      if (!SHIPPABLE.includes(license))
        throw new Error(`${name} is bundled, but its license (${license}) is not among ${SHIPPABLE}`);
      const file = readdirSync(url).find((entry) => /^licen[cs]e/i.test(entry));
      const text = file === undefined ? "" : `\n${readFileSync(new URL(file, url), "utf8").trim()}\n`;
      return `${name} ${version} (${license})\n${text}`;
    })
    .join(`\n${"-".repeat(80)}\n\n`);
}

/** The output files that loading `entry` loads. */
function staticClosure({ outputs }, entry) {
  const seen = new Set([entry]);
  for (const path of seen) {
    for (const { path: next, kind } of outputs[path].imports) {
      if (kind === "import-statement" && outputs[next] !== undefined) seen.add(next);
    }
  }
  return [...seen];
}
