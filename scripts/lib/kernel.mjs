// assembly/ -> build/kernel.wasm (shared memory), build/kernel.plain.wasm, build/kernel.debug.wasm (assertions on).
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { abiHash } from "./abi.mjs";
import { assertStateless, toPlain, withCustomSection } from "./wasm.mjs";

const OUTPUTS = ["kernel.wasm", "kernel.plain.wasm", "kernel.debug.wasm"];

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
    "node_modules/assemblyscript/package.json",
  ]) {
    add(new URL(path, root));
  }
  return hash.digest("hex");
}

/** Runs asc for one target of asconfig.json. Rejects with the compiler's own messages. */
function asc(root, target) {
  const cwd = fileURLToPath(root);
  const args = ["node_modules/assemblyscript/bin/asc.js", "--config", "asconfig.json", "--target", target];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { cwd, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      if (error !== null) reject(new Error(`asc --target ${target} failed:\n${stdout}${stderr}`));
      else resolve();
    });
  });
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
  await Promise.all([asc(root, "shared"), asc(root, "debug")]);
  const abi = abiHash(root);
  const finish = (from, to) => {
    const bytes = readFileSync(new URL(from, build));
    assertStateless(bytes, to);
    const finished = withCustomSection(bytes, "kubewire.abi", abi);
    if (!WebAssembly.validate(finished)) throw new Error(`${to} does not validate`);
    writeFileSync(new URL(to, build), finished);
    rmSync(new URL(from, build));
    return finished;
  };
  const shared = finish("kernel.asc.wasm", "kernel.wasm");
  finish("kernel.debug.asc.wasm", "kernel.debug.wasm");
  const plain = toPlain(shared);
  if (!WebAssembly.validate(plain)) throw new Error("kernel.plain.wasm does not validate");
  writeFileSync(new URL("kernel.plain.wasm", build), plain);
  writeFileSync(keyFile, key);
  return true;
}
