/**
 * Where the package's own files are. Written so that the relative paths hold from `runtimes/` (from source) and from
 * `dist/` (bundles) alike, and in the literal form that bundlers of web pages look for and copy.
 */

/** URL of the kernel for shared or for plain memory. */
export const kernelUrl = (shared: boolean): URL =>
  shared ? new URL("../build/kernel.wasm", import.meta.url) : new URL("../build/kernel.plain.wasm", import.meta.url);

/** The same of the core kernel, which pages load. */
export const coreKernelUrl = (shared: boolean): URL =>
  shared
    ? new URL("../build/kernel-core.wasm", import.meta.url)
    : new URL("../build/kernel-core.plain.wasm", import.meta.url);

export const nodeSiteWorkerUrl = (): URL => new URL("../dist/node-site-worker.js", import.meta.url);
export const denoSiteWorkerUrl = (): URL => new URL("../dist/deno-site-worker.js", import.meta.url);

/** A file of the package, by its path from the package's root. */
export const packageUrl = (path: string): URL => new URL(`../${path}`, import.meta.url);

/** Whether this runtime can make a shared memory at all. */
export function canShareMemory(): boolean {
  try {
    return new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer instanceof SharedArrayBuffer;
  } catch {
    return false;
  }
}
