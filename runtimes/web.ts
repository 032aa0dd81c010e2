/**
 * What pages and dedicated workers of a browser have in common. Memory may be shared only where the page is
 * cross-origin isolated: elsewhere Chromium still makes shared memories but cannot post them.
 */
import type { Endpoint, Platform } from "../src/platform.ts";
import { webEndpoint } from "./endpoint.ts";
import { canShareMemory, coreKernelUrl } from "./files.ts";

/** The path is literal so that bundlers of pages see the worker and bundle it. */
export function spawnSiteWorker(): Endpoint {
  const worker = new Worker(new URL("../dist/web-site-worker.js", import.meta.url), { type: "module" });
  return webEndpoint(worker, () => worker.terminate());
}

/** Compiles what a server has sent. */
export async function compile(response: Response): Promise<WebAssembly.Module> {
  if (!response.ok) throw new Error(`${response.url}: HTTP ${response.status}`);
  // compileStreaming insists on the media type, which not every static server knows.
  const streamable = response.headers.get("content-type") === "application/wasm";
  return streamable ? WebAssembly.compileStreaming(response) : WebAssembly.compile(await response.arrayBuffer());
}

export function webPlatform(name: "browser" | "worker"): Platform {
  const { port1, port2 } = new MessageChannel();
  const queue: (() => void)[] = [];
  port1.onmessage = () => queue.shift()?.();
  return {
    name,
    sharedMemory: globalThis.crossOriginIsolated === true && canShareMemory(),
    loadKernel: async (shared) => compile(await fetch(coreKernelUrl(shared))),
    entropy: (into) => void crypto.getRandomValues(into as Uint8Array<ArrayBuffer>),
    wallMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    wake(afterMs, run) {
      const timer = setTimeout(run, afterMs);
      return () => clearTimeout(timer);
    },
    hop(run) {
      queue.push(run);
      port2.postMessage(0);
    },
    spawnWorker: spawnSiteWorker,
  };
}
