/** Deno: the main thread, or a worker of it. */
import type { Platform } from "../../src/platform.ts";
import { webEndpoint } from "../endpoint.ts";
import { canShareMemory, denoSiteWorkerUrl, kernelUrl } from "../files.ts";

// The part of Deno that the web platform has not; its own type package would collide with Node's.
declare const Deno: { readFile(path: URL | string): Promise<Uint8Array<ArrayBuffer>> };
declare const setImmediate: (run: () => void) => unknown;

export const platform: Platform = {
  name: "deno",
  sharedMemory: canShareMemory(),
  loadKernel: async (shared) => {
    const url = kernelUrl(shared);
    // From a registry the package's files come over HTTPS.
    if (url.protocol !== "file:") return WebAssembly.compileStreaming(fetch(url));
    return WebAssembly.compile(await Deno.readFile(url));
  },
  entropy: (into) => void crypto.getRandomValues(into as Uint8Array<ArrayBuffer>),
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  wake(afterMs, run) {
    const timer = setTimeout(run, afterMs);
    return () => clearTimeout(timer);
  },
  hop: (run) => void setImmediate(run),
  readFile: (path) => Deno.readFile(path),
  spawnWorker() {
    const worker = new Worker(denoSiteWorkerUrl(), { type: "module" });
    return webEndpoint(worker, () => worker.terminate());
  },
};
