// Lookups that the compiler puts in place, against the interpreter, which calls the helper.
import { expect, test } from "vitest";
import { encodeInsns, type Insn } from "../../src/bpf/insn.ts";
import { jit } from "../../src/bpf/jit/install.ts";
import { MapType, ProgType } from "../../src/bpf/uapi.ts";
import { createBpfMaps } from "../../src/kernel/bpf-maps.ts";
import { bpfMachine } from "./machine.ts";

const insn = (code: number, dst: number, src: number, off: number, imm: number): Insn => ({ code, dst, src, off, imm });

/** Where the program has its key, in r2, and how it got there. The index is the u32 at r1. */
const KEYS: Readonly<Record<string, readonly Insn[]>> = {
  "in 4 bytes of the frame": [insn(0x61, 3, 1, 0, 0), insn(0x63, 10, 3, -4, 0), insn(0xbf, 2, 10, 0, 0), insn(0x07, 2, 0, 0, -4)],
  "as half of 8 bytes": [insn(0x79, 3, 1, 0, 0), insn(0x7b, 10, 3, -16, 0), insn(0xbf, 2, 10, 0, 0), insn(0x07, 2, 0, 0, -16)],
  "as the upper half of 8 bytes": [
    insn(0x61, 3, 1, 0, 0), insn(0x67, 3, 0, 0, 32), insn(0x7b, 10, 3, -16, 0), insn(0xbf, 2, 10, 0, 0), insn(0x07, 2, 0, 0, -12),
  ],
  "in the memory argument": [insn(0xbf, 2, 1, 0, 0)],
  "in the frame, across two words": [insn(0x61, 3, 1, 0, 0), insn(0x63, 10, 3, -10, 0), insn(0xbf, 2, 10, 0, 0), insn(0x07, 2, 0, 0, -10)],
};

const MAPS = [
  { type: MapType.ARRAY, valueSize: 4 }, { type: MapType.ARRAY, valueSize: 12 }, { type: MapType.ARRAY, valueSize: 24 },
  { type: MapType.PERCPU_ARRAY, valueSize: 8 }, { type: MapType.HASH, valueSize: 8 }, { type: MapType.LRU_HASH, valueSize: 16 },
];

/** Adds 1 to the first word of the element and returns what is there; -1 where there is none. */
const program = (key: readonly Insn[], map: number): { bytes: Uint8Array; slot: number } => ({
  slot: key.length,
  bytes: encodeInsns([
    ...key, insn(0x18, 1, 0, 0, map), insn(0, 0, 0, 0, 0), insn(0x85, 0, 0, 0, 1), insn(0x55, 0, 0, 2, 0), insn(0xb7, 0, 0, 0, -1),
    insn(0x95, 0, 0, 0, 0), insn(0xbf, 6, 0, 0, 0), insn(0xb7, 1, 0, 0, 1), insn(0xc3, 6, 1, 0, 0), insn(0x61, 0, 6, 0, 0), insn(0x95, 0, 0, 0, 0),
  ]),
});

const ENTRIES = 5;
const INDEXES = [0, 1, 4, 5, 6, 255, 256, 0x7fffffff, 0x80000000, 0xffffffff];

test.each(Object.keys(KEYS))("the key %s", async (how) => {
  const { instance, kernel, programs } = await bpfMachine();
  const maps = createBpfMaps(kernel.context);
  for (const { type, valueSize } of MAPS) {
    const answers = (["interpreter", "jit", "checked"] as const).map((engine) => {
      const map = maps.create({ type, keySize: 4, valueSize, maxEntries: ENTRIES });
      for (let at = 0; at < ENTRIES; at++) {
        const value = new Uint8Array(valueSize);
        value[0] = 10 + at;
        map.update(Uint8Array.of(at, 0, 0, 0), value);
      }
      const { bytes, slot } = program(KEYS[how]!, map.address);
      const loaded = programs.load({ type: ProgType.XDP, program: bytes, verified: engine !== "checked", maps: [map.address] });
      const array = type === MapType.ARRAY || type === MapType.PERCPU_ARRAY ? { array: { data: map.data, stride: map.stride, entries: ENTRIES } } : {};
      const options = { checked: engine === "checked", maps: new Map([[slot, { keySize: 4, valueSize, ...array }]]) };
      const compiled = engine === "interpreter" ? undefined : jit(instance, loaded, bytes, options);
      expect(compiled?.jited).not.toBe(false);
      const results = [...INDEXES, ...INDEXES].map((index) => {
        const memory = new Uint8Array(8);
        new DataView(memory.buffer).setUint32(0, index, true);
        const { r0, fault } = loaded.run(memory);
        return `${index}: ${fault?.message ?? BigInt.asIntN(64, r0)}`;
      });
      if (compiled?.jited === true) compiled.remove();
      loaded.free();
      return results;
    });
    expect(answers[1]).toEqual(answers[0]);
    expect(answers[2]).toEqual(answers[0]);
    // A small LRU has dropped some already.
    if (type === MapType.LRU_HASH) continue;
    expect(answers[0]!.slice(0, 4)).toEqual(["0: 11", "1: 12", "4: 15", "5: -1"]);
    expect(answers[0]![10]).toBe("0: 12");
  }
});
