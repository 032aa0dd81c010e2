/** workerd (Cloudflare Workers) with `nodejs_compat`: no threads, no shared memory, no compiling in a request. */
import type { Platform } from "../../src/platform.ts";
import { kernelModule } from "../kernel-module.ts";

declare const setImmediate: (run: () => void) => unknown;

export const platform: Platform = {
  name: "edge",
  sharedMemory: false,
  async loadKernel(shared) {
    if (shared) throw new Error("the edge has the kernel for plain memory only");
    return kernelModule;
  },
  entropy: (into) => void crypto.getRandomValues(into as Uint8Array<ArrayBuffer>),
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  wake(afterMs, run) {
    const timer = setTimeout(run, afterMs);
    return () => clearTimeout(timer);
  },
  // A MessageChannel hop interleaves with microtasks here; setImmediate does not.
  hop: (run) => void setImmediate(run),
};
