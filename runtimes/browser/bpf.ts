/** `kubewire/bpf` in a page or a worker of it. */
import { bpfOn } from "../../src/bpf/index.ts";
import { kernelUrl } from "../files.ts";
import { compile } from "../web.ts";

export * from "../../src/bpf/index.ts";
export const { loadObject, loadInstructions } = /* @__PURE__ */ bpfOn(async () => compile(await fetch(kernelUrl(false))));
