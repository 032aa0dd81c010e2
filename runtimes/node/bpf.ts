/** `kubewire/bpf` in Node. */
import { readFile } from "node:fs/promises";
import { bpfOn } from "../../src/bpf/index.ts";
import { kernelUrl } from "../files.ts";

export * from "../../src/bpf/index.ts";
export const { loadObject, loadInstructions } = /* @__PURE__ */ bpfOn(async () => WebAssembly.compile(await readFile(kernelUrl(false))));
