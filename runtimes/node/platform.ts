/** Node: the main thread, or a worker of it. */
import { webcrypto } from "node:crypto";
import { readFile } from "node:fs/promises";
import { Worker } from "node:worker_threads";
import type { Platform } from "../../src/platform.ts";
import { canShareMemory, kernelUrl, nodeSiteWorkerUrl } from "../files.ts";
import { nodeEndpoint } from "./endpoint.ts";

export const platform: Platform = {
  name: "node",
  sharedMemory: canShareMemory(),
  loadKernel: async (shared) => WebAssembly.compile(await readFile(kernelUrl(shared))),
  entropy: (into) => void webcrypto.getRandomValues(into as Uint8Array<ArrayBuffer>),
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  wake(afterMs, run) {
    const timer = setTimeout(run, afterMs);
    return () => clearTimeout(timer);
  },
  hop: (run) => void setImmediate(run),
  spawnWorker() {
    const worker = new Worker(nodeSiteWorkerUrl());
    return nodeEndpoint(worker, () => void worker.terminate());
  },
};
