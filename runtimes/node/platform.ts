/** Node: the main thread, or a worker of it. */
import { readFile } from "node:fs/promises";
import type { Platform } from "../../src/platform.ts";
import { canShareMemory, kernelUrl, nodeSiteWorkerUrl } from "../files.ts";
import { nodeEndpoint } from "./endpoint.ts";

export const platform: Platform = {
  name: "node",
  sharedMemory: canShareMemory(),
  loadKernel: async (shared) => WebAssembly.compile(await readFile(kernelUrl(shared))),
  entropy: (into) => void crypto.getRandomValues(into as Uint8Array<ArrayBuffer>),
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  wake(afterMs, run) {
    const timer = setTimeout(run, afterMs);
    return () => clearTimeout(timer);
  },
  hop: (run) => void setImmediate(run),
  readFile: (path) => readFile(path),
  // Threads and random numbers are loaded when they are asked for: they are a tenth of the time that importing this library takes.
  async spawnWorker() {
    const { Worker } = await import("node:worker_threads");
    const worker = new Worker(nodeSiteWorkerUrl());
    return nodeEndpoint(worker, () => void worker.terminate());
  },
};
