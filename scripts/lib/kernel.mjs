// assembly/ -> build/kernel.wasm (shared memory), build/kernel.plain.wasm, build/kernel.debug.wasm (assertions on), and
// build/kernel-core.wasm, build/kernel-core.plain.wasm: the same source with the switch of assembly/features.ts off.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { abiHash } from "./abi.mjs";
import { assertStateless, toPlain, withCustomSection } from "./wasm.mjs";

/** What each variant is compiled to. `debug` has its assertions on; `core` is what pages and the edge load. */
const OUTPUTS = {
  full: ["kernel.wasm", "kernel.plain.wasm"],
  debug: ["kernel.debug.wasm"],
  core: ["kernel-core.wasm", "kernel-core.plain.wasm"],
};

/** Everything the kernel's bytes depend on, as one hash. */
function inputsKey(root) {
  const hash = createHash("sha256");
  const add = (url) => hash.update(`${url.href.slice(root.href.length)}\0`).update(readFileSync(url));
  const walk = (folder) => {
    for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (entry.isDirectory()) walk(new URL(`${entry.name}/`, folder));
      else if (entry.name.endsWith(".ts")) add(new URL(entry.name, folder));
    }
  };
  walk(new URL("assembly/", root));
  for (const path of [
    "asconfig.json",
    "scripts/lib/kernel.mjs",
    "scripts/lib/wasm.mjs",
    "scripts/lib/inline.mjs",
    "node_modules/assemblyscript/package.json",
  ]) {
    add(new URL(path, root));
  }
  return hash.digest("hex");
}

const SWITCH = "export const FULL: bool = true;";

/** A copy of the sources with the switch off, and a configuration for it. Returns the configuration's path. */
function coreSources(root) {
  const folder = new URL(`.cache/core-${process.pid}/`, root);
  cpSync(new URL("assembly/", root), new URL("assembly/", folder), { recursive: true });
  const file = new URL("assembly/features.ts", folder);
  const source = readFileSync(file, "utf8");
  if (!source.includes(SWITCH)) throw new Error(`assembly/features.ts has no line "${SWITCH}"`);
  writeFileSync(file, source.replace(SWITCH, SWITCH.replace("true", "false")));
  const config = JSON.parse(readFileSync(new URL("asconfig.json", root), "utf8"));
  writeFileSync(new URL("asconfig.json", folder), JSON.stringify({ ...config, entries: [`${fileURLToPath(folder)}assembly/index.ts`] }));
  return { folder, config: fileURLToPath(new URL("asconfig.json", folder)) };
}

/** The full kernel calls programs that were compiled to Wasm by way of its table, where the driver puts them; they call its exports. */
const FULL = ["assembly/bpf/exports.ts", "--exportTable"];

/** The module of one target of a configuration. Rejects with the compiler's own messages. */
function asc(root, target, { config = "asconfig.json", options = [] } = {}) {
  const cwd = fileURLToPath(root);
  const outFile = `build/.${target}-${createHash("sha256").update(config).digest("hex").slice(0, 8)}-${process.pid}.wasm`;
  const args = ["node_modules/assemblyscript/bin/asc.js", "--config", config, "--target", target, ...options];
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [...args, "--outFile", outFile],
      { cwd, maxBuffer: 1 << 26 },
      (error, stdout, stderr) => {
        const file = new URL(outFile, root);
        if (error !== null) reject(new Error(`asc --target ${target} failed:\n${stdout}${stderr}`));
        else resolve(readFileSync(file));
        rmSync(file, { force: true });
      },
    );
  });
}

/** The module with more of its calls inlined (see inline.mjs): larger and faster, for where size does not count. */
function inlined(root, bytes) {
  const name = `.inline-${process.pid}`;
  const [from, to] = [`build/${name}.in.wasm`, `build/${name}.out.wasm`];
  writeFileSync(new URL(from, root), bytes);
  return new Promise((resolve, reject) => {
    execFile(process.execPath, ["scripts/lib/inline.mjs", from, to], { cwd: fileURLToPath(root) }, (error, stdout, stderr) => {
      if (error !== null) reject(new Error(`inlining failed:\n${stdout}${stderr}`));
      else resolve(readFileSync(new URL(to, root)));
      for (const file of [from, to]) rmSync(new URL(file, root), { force: true });
    });
  });
}

/** Written beside and renamed, so that who reads meanwhile sees the old file or the new one. */
function replaceFile(url, bytes) {
  const beside = new URL(`${url.href}.${process.pid}`);
  writeFileSync(beside, bytes);
  renameSync(beside, url);
}

const COMPILE = {
  full: (root) => asc(root, "shared", { options: FULL }).then((bytes) => inlined(root, bytes)),
  debug: (root) => asc(root, "debug", { options: FULL }),
  async core(root) {
    const { folder, config } = coreSources(root);
    try {
      return await asc(root, "shared", { config });
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};

/**
 * Builds those of `variants` that are out of date; returns whether any was.
 * @param {URL} root
 * @param {("full" | "debug" | "core")[]} variants
 */
export async function buildKernel(root, variants = Object.keys(OUTPUTS)) {
  const build = new URL("build/", root);
  mkdirSync(build, { recursive: true });
  const key = inputsKey(root);
  const keyFile = (variant) => new URL(`.${variant}-key`, build);
  const stale = variants.filter((variant) => {
    const file = keyFile(variant);
    const made = existsSync(file) && readFileSync(file, "utf8") === key;
    return !made || !OUTPUTS[variant].every((name) => existsSync(new URL(name, build)));
  });
  const abi = stale.length > 0 ? abiHash(root) : undefined;
  const make = async (variant) => {
    rmSync(keyFile(variant), { force: true });
    const bytes = await COMPILE[variant](root);
    for (const name of OUTPUTS[variant]) {
      assertStateless(bytes, name);
      const finished = withCustomSection(name.endsWith(".plain.wasm") ? toPlain(bytes) : bytes, "kubewire.abi", abi);
      if (!WebAssembly.validate(finished)) throw new Error(`${name} does not validate`);
      replaceFile(new URL(name, build), finished);
    }
    writeFileSync(keyFile(variant), key);
  };
  await Promise.all(stale.map(make));
  return stale.length > 0;
}
