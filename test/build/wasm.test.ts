/** What the build does to the compiler's output, on modules written out byte by byte, and on the kernel itself. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { abiHash } from "../../scripts/lib/abi.mjs";
import { assertStateless, memoryFlagOffset, toPlain, withCustomSection } from "../../scripts/lib/wasm.mjs";

const HEADER = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const text = (name: string): number[] => [name.length, ...new TextEncoder().encode(name)];
const section = (id: number, ...content: number[]): number[] => [id, content.length, ...content];
const TYPES = section(1, 1, 0x60, 0, 0);

/** A module that imports a function, a table, a global and a shared memory, in this order. */
const IMPORTS = section(
  2,
  4,
  ...[...text("env"), ...text("f"), 0, 0],
  ...[...text("env"), ...text("t"), 1, 0x70, 1, 1, 0x80, 0x01],
  ...[...text("env"), ...text("g"), 3, 0x7f, 0],
  ...[...text("env"), ...text("memory"), 2, 3, 1, 2],
);
const module = (...sections: number[][]): Uint8Array => Uint8Array.from([...HEADER, ...sections.flat()]);
const FUNCTION = [...section(3, 1, 0)];
const CODE = section(10, 1, 2, 0, 0x0b);

test("the plain module differs by one bit, in the limits of the imported memory", () => {
  const shared = module(TYPES, IMPORTS);
  expect(WebAssembly.validate(shared as Uint8Array<ArrayBuffer>)).toBe(true);
  const plain = toPlain(shared);
  const differing = [...plain.keys()].filter((at) => plain[at] !== shared[at]);
  expect(differing).toEqual([memoryFlagOffset(shared)]);
  expect([shared[differing[0]!], plain[differing[0]!]]).toEqual([3, 1]);
  expect(WebAssembly.validate(plain as Uint8Array<ArrayBuffer>)).toBe(true);
  expect(() => toPlain(plain)).toThrow("not shared");
});

test("a data section and a start function are refused, an empty data section is not", () => {
  const data = section(11, 1, 0, 0x41, 0, 0x0b, 1, 7);
  expect(() => assertStateless(module(TYPES, IMPORTS, data), "kernel.wasm")).toThrow("kernel.wasm has a data section");
  expect(() => assertStateless(module(TYPES, FUNCTION, section(8, 0), CODE), "kernel.wasm")).toThrow("start function");
  assertStateless(module(TYPES, IMPORTS, section(11, 0)), "kernel.wasm");
  assertStateless(module(TYPES, FUNCTION, CODE), "kernel.wasm");
});

test("what is no module, or half of one, is refused", () => {
  expect(() => assertStateless(Uint8Array.of(1, 2, 3), "x")).toThrow("not a WebAssembly module");
  expect(() => memoryFlagOffset(module(TYPES))).toThrow("imports no memory");
  expect(() => memoryFlagOffset(module(TYPES, IMPORTS).subarray(0, 20))).toThrow("truncated");
});

test("the custom section is found by the engine", () => {
  const bytes = withCustomSection(module(TYPES), "kubewire.abi", "a".repeat(200));
  const [found] = WebAssembly.Module.customSections(new WebAssembly.Module(bytes), "kubewire.abi");
  expect(new TextDecoder().decode(found)).toBe("a".repeat(200));
});

test("the kernels are stateless, of this ABI, and shared and plain differ by one byte", () => {
  const root = new URL("../../", import.meta.url);
  const [shared, plain, debug, core, corePlain] = ["kernel", "kernel.plain", "kernel.debug", "kernel-core", "kernel-core.plain"].map(
    (name) => new Uint8Array(readFileSync(new URL(`build/${name}.wasm`, root))),
  );
  for (const bytes of [shared!, plain!, debug!, core!, corePlain!]) {
    assertStateless(bytes, "kernel");
    const compiled = new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>);
    expect(new TextDecoder().decode(WebAssembly.Module.customSections(compiled, "kubewire.abi")[0])).toBe(
      abiHash(root),
    );
  }
  expect([...shared!.keys()].filter((at) => shared![at] !== plain![at])).toEqual([memoryFlagOffset(shared!)]);
  expect([...core!.keys()].filter((at) => core![at] !== corePlain![at])).toEqual([memoryFlagOffset(core!)]);
});
