/** `kubewire/bpf` in Deno. */
import { bpfOn } from "../../src/bpf/index.ts";
import { kernelUrl } from "../files.ts";

declare const Deno: { readFile(path: URL): Promise<Uint8Array<ArrayBuffer>> };

export * from "../../src/bpf/index.ts";
export const { loadObject, loadInstructions } = /* @__PURE__ */ bpfOn(async () => WebAssembly.compile(await Deno.readFile(kernelUrl(false))));
