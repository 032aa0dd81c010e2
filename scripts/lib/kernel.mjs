// assembly/ -> build/kernel.wasm (shared memory), build/kernel.plain.wasm, build/kernel.debug.wasm (assertions on), and
// build/kernel-core.wasm, build/kernel-core.plain.wasm: the same source with the switch of assembly/features.ts off.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { abiHash } from "./abi.mjs";
import { assertStateless, toPlain, withCustomSection } from "./wasm.mjs";

const OUTPUTS = ["kernel.wasm", "kernel.plain.wasm", "kernel.debug.wasm", "kernel-core.wasm", "kernel-core.plain.wasm"];

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

/** The module of one target of a configuration. Rejects with the compiler's own messages. */
function asc(root, target, config = "asconfig.json") {
  const cwd = fileURLToPath(root);
  const outFile = `build/.${target}-${createHash("sha256").update(config).digest("hex").slice(0, 8)}-${process.pid}.wasm`;
  const args = ["node_modules/assemblyscript/bin/asc.js", "--config", config, "--target", target];
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

/** Builds what is out of date; returns whether anything was. */
export async function buildKernel(root) {
  const build = new URL("build/", root);
  mkdirSync(build, { recursive: true });
  const keyFile = new URL(".kernel-key", build);
  const key = inputsKey(root);
  const fresh =
    existsSync(keyFile) &&
    readFileSync(keyFile, "utf8") === key &&
    OUTPUTS.every((name) => existsSync(new URL(name, build)));
  if (fresh) return false;

  rmSync(keyFile, { force: true });
  const core = coreSources(root);
  const [shared, debug, small] = await Promise.all([
    asc(root, "shared").then((bytes) => inlined(root, bytes)),
    asc(root, "debug"),
    asc(root, "shared", core.config),
  ]);
  rmSync(core.folder, { recursive: true });
  const abi = abiHash(root);
  const finish = (name, bytes) => {
    assertStateless(bytes, name);
    const finished = withCustomSection(bytes, "kubewire.abi", abi);
    if (!WebAssembly.validate(finished)) throw new Error(`${name} does not validate`);
    replaceFile(new URL(name, build), finished);
  };
  finish("kernel.wasm", shared);
  finish("kernel.debug.wasm", debug);
  finish("kernel.plain.wasm", toPlain(shared));
  finish("kernel-core.wasm", small);
  finish("kernel-core.plain.wasm", toPlain(small));
  writeFileSync(keyFile, key);
  return true;
}
