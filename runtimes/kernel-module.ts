/**
 * The kernel as an imported module: at the edge nothing may be compiled while a request is served. The path holds
 * from `runtimes/` and from `dist/` alike (see `files.ts`).
 */
export { default as kernelModule } from "../build/kernel-core.plain.wasm";
