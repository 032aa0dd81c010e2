/** workerd: the bundle as a worker with `nodejs_compat`, asked once over HTTP. */
import { spawn } from "node:child_process";
import { readFile, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Readable } from "node:stream";
import type { Bundle, Outcome } from "./index.ts";

const COMPATIBILITY_DATE = "2026-11-01";

/**
 * The modules are named by their paths below the root, so that the bundle's relative imports resolve; the files are
 * found from the configuration, which stands beside the bundle.
 */
const config = (path: string, kernel: string): string => `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .main)],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const main :Workerd.Worker = (
  modules = [
    (name = "${path}", esModule = embed "${basename(path)}"),
    (name = "build/${kernel}", wasm = embed "../build/${kernel}"),
  ],
  compatibilityDate = "${COMPATIBILITY_DATE}",
  compatibilityFlags = ["nodejs_compat"],
);
`;

export async function runInWorkerd({ root, path, args, timeoutMs, kernel }: Bundle): Promise<Outcome> {
  const file = join(root, `${path}.capnp`);
  await writeFile(file, config(path, kernel));
  const workerd = spawn(join(root, "node_modules/.bin/workerd"), ["serve", "--control-fd=3", file], {
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
  let log = "";
  for (const stream of [workerd.stdout, workerd.stderr]) stream?.on("data", (chunk) => (log += String(chunk)));
  const ended = new Promise<void>((resolve) => workerd.once("close", () => resolve()));
  try {
    const port = await listeningPort(workerd.stdio[3] as Readable, ended, () => log);
    const response = await fetch(`http://127.0.0.1:${port}/`, {
      method: "POST",
      body: JSON.stringify(args),
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (!response.ok) throw new Error(`workerd: HTTP ${response.status}\n${await response.text()}\n${log}`);
    const outcome = (await response.json()) as Outcome;
    const peak = /^VmHWM:\s*(\d+) kB$/m.exec(
      await readFile(`/proc/${workerd.pid}/status`, "utf8").catch(() => ""),
    )?.[1];
    return peak === undefined ? outcome : { ...outcome, peakBytes: Number(peak) * 1024 };
  } finally {
    workerd.kill("SIGKILL");
    await ended;
    await rm(file, { force: true });
  }
}

/** workerd reports each socket it listens on as a line of JSON. */
function listeningPort(control: Readable, ended: Promise<void>, log: () => string): Promise<number> {
  return new Promise((resolve, reject) => {
    let text = "";
    control.on("data", (chunk) => {
      text += String(chunk);
      const port = /"event"\s*:\s*"listen".*?"port"\s*:\s*(\d+)/.exec(text)?.[1];
      if (port !== undefined) resolve(Number(port));
    });
    void ended.then(() => reject(new Error(`workerd did not start\n${log()}`)));
  });
}
