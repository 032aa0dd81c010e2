/** `kubewire`, the command, in Node. What it does is in src/cli; here is only what it stands on. */
import { readFile, readdir, open } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { main } from "../../src/cli/main.ts";
import type { CliHost } from "../../src/platform.ts";
import { version } from "../../package.json";
import { packageUrl } from "../files.ts";
import { platform } from "./platform.ts";

const host: CliHost = {
  platform,
  version,
  args: process.argv.slice(2),
  env: process.env,
  stdout: (text) => void process.stdout.write(text),
  stderr: (text) => void process.stderr.write(text),
  readFile: async (path) => readFile(path),
  readDirectory: async (path) => (await readdir(path)).sort(),
  async writeFile(path, chunks) {
    const file = await open(path, "w");
    try {
      for (const chunk of chunks) await file.write(chunk);
    } finally {
      await file.close();
    }
  },
  packageFile: (path) => fileURLToPath(packageUrl(path)),
  onStop(run) {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => run(signal));
  },
};

process.exitCode = await main(host);
