/** `kubewire/bpf` in workerd, where programs are interpreted: nothing may be compiled while a request is served. */
import { bpfOn } from "../../src/bpf/index.ts";
import { fullKernelModule } from "../full-kernel-module.ts";

export * from "../../src/bpf/index.ts";
export const { loadObject, loadInstructions } = /* @__PURE__ */ bpfOn(async () => fullKernelModule);
