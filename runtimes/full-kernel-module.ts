/** The full kernel as an imported module, as `kernel-module.ts` has the core's. */
export { default as fullKernelModule } from "../build/kernel.plain.wasm";
