/** What the command line stands on in Node: arguments, files, output, signals. */
import { open, readFile, readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { version } from "../../package.json";
import { signingKey } from "../signing-key.ts";
import type { CliHost } from "../../src/platform.ts";
import { packageUrl } from "../files.ts";
import { platform } from "./platform.ts";

export const nodeHost = (args: readonly string[]): CliHost => ({
  platform,
  version,
  args,
  env: process.env,
  stdout: (text) => void process.stdout.write(text),
  stderr: (text) => void process.stderr.write(text),
  stdin: () => process.stdin,
  readFile: async (path) => readFile(path),
  readDirectory: async (path) => (await readdir(path)).sort(),
  async writeFile(path, chunks, mode) {
    const file = await open(path, "w", mode);
    try {
      // `write` may take a part only; `writeFile` goes on until all is written.
      for (const chunk of chunks) await file.writeFile(chunk);
    } finally {
      await file.close();
    }
  },
  packageFile: (path) => fileURLToPath(packageUrl(path)),
  onStop(run) {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => run(signal));
  },
  signingKey,
  openNetdev: async (address, onFrame) => (await import("../netdev.ts")).openNetdev(address, onFrame),
  // Deno runs the same command by its `node:` modules.
  serveHttps: async (options) => (process.versions["deno"] === undefined ? await import("./serve.ts") : await import("../deno/serve.ts")).serveHttps(options),
});
