/** `kubewire/bpf` in workerd, where programs are interpreted: nothing may be compiled while a request is served. */
import kernel from "../../build/kernel.plain.wasm";
import { bpfOn } from "../../src/bpf/index.ts";

export * from "../../src/bpf/index.ts";
export const { loadObject, loadInstructions } = /* @__PURE__ */ bpfOn(async () => kernel);
