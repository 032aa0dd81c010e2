/** The package as npm would publish it: packed, judged by publint and attw, installed into an empty project, used. */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { build } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";

const execute = promisify(execFile);
const root = resolve(import.meta.dirname, "../..");
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Record<string, unknown>;

let folder = "";
let tarball = "";

async function run(command: string, args: readonly string[], cwd: string): Promise<string> {
  const { stdout } = await execute(command, args, { cwd, maxBuffer: 1 << 26, timeout: 60_000 });
  return stdout;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "kubewire-package-"));
  const listed = await run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder], root);
  const [packed] = Object.values(JSON.parse(listed) as Record<string, { filename: string }>);
  tarball = join(folder, packed!.filename);
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "empty", private: true, type: "module" }));
  await run("npm", ["install", "--offline", "--no-audit", "--no-fund", tarball], folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("the tarball holds what is listed, and no sources or tests", async () => {
  const files = (await run("tar", ["-tzf", tarball], folder)).trim().split("\n");
  for (const path of [
    "examples/first-run/web.yaml",
    "LICENSE",
    "README.md",
    "build/kernel.wasm",
    "build/kernel.plain.wasm",
    "build/kernel-core.wasm",
    "build/kernel-core.plain.wasm",
    "dist/node.js",
  ]) {
    expect(files).toContain(`package/${path}`);
  }
  expect(files.filter((path) => /^package\/(?:src|assembly|runtimes|test|scripts|node_modules)\//.test(path))).toEqual(
    [],
  );
  expect(files.filter((path) => path.endsWith(".ts") && !path.endsWith(".d.ts"))).toEqual([]);
});

test("it installs alone: nothing else comes with it", async () => {
  const tree = JSON.parse(await run("npm", ["ls", "--all", "--json"], folder)) as {
    dependencies: Record<string, { dependencies?: object }>;
  };
  expect(Object.keys(tree.dependencies)).toEqual(["kubewire"]);
  expect(tree.dependencies["kubewire"]!.dependencies).toBeUndefined();
});

test("import('kubewire/node') gives createCluster, and the kernel compiles", async () => {
  const script = `const { createCluster, platform } = await import("kubewire/node");
    const module = await platform.loadKernel(true);
    console.log(typeof createCluster, WebAssembly.Module.exports(module).length > 0);`;
  expect(await run(process.execPath, ["--input-type=module", "-e", script], folder)).toBe("function true\n");
});

test("each entry resolves to a file, and the neutral ones import in Node", async () => {
  const script = `for (const entry of ${JSON.stringify(Object.keys(manifest["exports"] as object))}) {
      const url = import.meta.resolve("kubewire" + entry.slice(1));
      (await import("node:fs")).accessSync(new URL(url));
    }
    await import("kubewire");
    await import("kubewire/kernel");
    console.log("ok");`;
  expect(await run(process.execPath, ["--input-type=module", "-e", script], folder)).toBe("ok\n");
});

test("the bin runs", async () => {
  expect(await run(join(folder, "node_modules/.bin/kubewire"), ["--version"], folder)).toBe(
    `${String(manifest["version"])}\n`,
  );
});

test("Deno imports kubewire/deno from node_modules", async () => {
  const script = `const { createCluster, platform } = await import("kubewire/deno");
    console.log(typeof createCluster, (await platform.loadKernel(false)) instanceof WebAssembly.Module);`;
  const args = ["eval", "--node-modules-dir=manual", script];
  expect(await run(join(root, "node_modules/.bin/deno"), args, folder)).toBe("function true\n");
});

test("workerd serves a worker that imports kubewire/edge, its kernel as a module", async () => {
  const script = `import { createCluster, platform } from "./dist/edge.js";
    export default { async test() {
      const module = await platform.loadKernel(false);
      if (typeof createCluster !== "function" || WebAssembly.Module.exports(module).length === 0) throw new Error("bad");
    } };`;
  const config = `using Workerd = import "/workerd/workerd.capnp";
    const config :Workerd.Config = (services = [(name = "main", worker = .main)]);
    const main :Workerd.Worker = (
      modules = [
        (name = "main.js", esModule = embed "main.js"),
        (name = "dist/edge.js", esModule = embed "node_modules/kubewire/dist/edge.js"),
        (name = "build/kernel-core.plain.wasm", wasm = embed "node_modules/kubewire/build/kernel-core.plain.wasm"),
      ],
      compatibilityDate = "2026-11-01",
      compatibilityFlags = ["nodejs_compat"],
    );`;
  writeFileSync(join(folder, "main.js"), script);
  writeFileSync(join(folder, "edge.capnp"), config);
  await run(join(root, "node_modules/.bin/workerd"), ["test", "edge.capnp"], folder);
});

test("a page bundler finds the kernel and both workers", async () => {
  const page = join(folder, "page");
  mkdirSync(page);
  writeFileSync(join(page, "index.html"), '<!doctype html><script type="module" src="./main.js"></script>');
  const script = `import { openWorker, platform } from "kubewire/browser";
    globalThis.kubewire = { openWorker, platform };`;
  writeFileSync(join(page, "main.js"), script);
  await build({ root: page, base: "./", logLevel: "error", configFile: false, build: { assetsInlineLimit: 0 } });
  const assets = readdirSync(join(page, "dist/assets")).map((name) => name.replace(/-[\w-]{8}\./, "."));
  const expected = ["kernel-core.wasm", "kernel-core.plain.wasm", "web-site-worker.js", "worker-main.js"];
  expect(assets).toEqual(expect.arrayContaining(expected));
});

test("jsr.json and package.json agree on the version, and JSR would take it", async () => {
  const jsr = JSON.parse(readFileSync(join(root, "jsr.json"), "utf8")) as { version: string };
  expect(jsr.version).toBe(manifest["version"]);
  const args = ["publish", "--config", "jsr.json", "--dry-run", "--allow-dirty", "--no-check", "--quiet"];
  await run(join(root, "node_modules/.bin/deno"), args, root);
});

test("a strict TypeScript project checks against the declarations", async () => {
  const types = `import { createCluster } from "kubewire/node";
    export const cluster: ReturnType<typeof createCluster> = createCluster();
    // @ts-expect-error: the declarations say what createCluster takes
    createCluster(42);\n`;
  writeFileSync(join(folder, "use.ts"), types);
  for (const entry of ["browser", "worker", "edge", "deno", "kernel", "bpf"]) {
    writeFileSync(join(folder, `${entry}.ts`), `export * from "kubewire/${entry}";\n`);
  }
  const options = [
    "--strict",
    "--noEmit",
    "--target",
    "es2023",
    "--lib",
    "es2023,dom,dom.iterable",
    "--module",
    "nodenext",
  ];
  const files = ["use.ts", "browser.ts", "worker.ts", "edge.ts", "deno.ts", "kernel.ts"];
  await run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), ...options, ...files], folder);
});

test("publint finds nothing", async () => {
  const { messages } = await publint({
    pkgDir: join(folder, "node_modules/kubewire"),
    level: "suggestion",
    strict: true,
    pack: false,
  });
  expect(messages.map((message) => formatMessage(message, manifest))).toEqual([]);
});

test("are the types wrong? no", async () => {
  const args = [
    join(root, "node_modules/@arethetypeswrong/cli/dist/index.js"),
    tarball,
    "--profile",
    "esm-only",
    "--format",
    "json",
  ];
  const wasm = ["--exclude-entrypoints", "./kernel.wasm", "./kernel.plain.wasm", "./kernel-core.wasm", "./kernel-core.plain.wasm", "./service-worker.js"];
  const { analysis } = JSON.parse(await run(process.execPath, [...args, ...wasm], folder)) as {
    analysis: { problems: { kind: string; entrypoint?: string; resolutionKind?: string }[]; entrypoints: object };
  };
  expect(Object.keys(analysis.entrypoints)).toContain("./node");
  const esmOnly = analysis.problems.filter(
    ({ kind, resolutionKind }) =>
      kind !== "CJSResolvesToESM" && resolutionKind !== "node10" && resolutionKind !== "node16-cjs",
  );
  expect(esmOnly).toEqual([]);
});
