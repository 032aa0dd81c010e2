// Truths about maps that hold for any operations: they agree with plain models, they give their memory back, and no bytes make them trap.
import { describe, expect, test } from "vitest";
import { BPF_MAP_CREATE, BPF_USER_RINGBUF_PUT } from "../../../assembly/abi/bpf-maps.ts";
import type { BpfMap } from "../../../src/kernel/bpf-maps.ts";
import { SCRIPTS, dice, play, creations } from "./cases.ts";
import { errnoOf, mapMachine, ourTarget } from "./target.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

describe("against models", () => {
  test.each([1, 3, 4, 8, 12, 13, 16, 36])("hash with keys of %i bytes is a Map", async (keySize) => {
    const { maps } = await mapMachine();
    const roll = dice(keySize);
    const map = maps.create({ type: 1, keySize, valueSize: 5, maxEntries: 700, flags: keySize & 1 });
    const model = new Map<string, string>();
    const newKey = (): Uint8Array => Uint8Array.from({ length: keySize }, (_, i) => (i === 0 || i === keySize - 1 ? roll(40) : 0));
    for (let i = 0; i < 2500; i++) {
      const key = newKey();
      const known = model.has(hex(key));
      switch (roll(4)) {
        case 0:
          expect(map.delete(key)).toBe(model.delete(hex(key)));
          break;
        case 1: {
          const found = map.lookup(key);
          expect(found === undefined ? undefined : hex(found)).toBe(model.get(hex(key)));
          break;
        }
        default: {
          const value = Uint8Array.from({ length: 5 }, () => roll(256));
          const flags = [0, 0, 1, 2][roll(4)]!;
          const expected = flags === 1 && known ? 17 : flags === 2 && !known ? 2 : !known && model.size === 700 ? 7 : 0;
          expect(errnoOf(() => map.update(key, value, flags))).toBe(expected);
          if (expected === 0) model.set(hex(key), hex(value));
        }
      }
    }
    expect(map.info().count).toBe(model.size);
    const all = [...map.elements()].map(({ key, value }) => [hex(key), hex(value)] as const);
    expect(new Map(all)).toEqual(model);
    expect(all.length).toBe(model.size);
  });

  test.each([1, 3, 4, 6, 16])("LPM trie of %i bytes finds the longest prefix", async (bytes) => {
    const { maps } = await mapMachine();
    const roll = dice(bytes);
    const map = maps.create({ type: 11, keySize: 4 + bytes, valueSize: 4, maxEntries: 400, flags: 1 });
    const bits = (key: Uint8Array, length: number): string =>
      Array.from({ length }, (_, i) => (key[4 + (i >> 3)]! >> (7 - (i & 7))) & 1).join("");
    const newKey = (length = roll(bytes * 8 + 1)): Uint8Array => {
      const key = new Uint8Array(4 + bytes);
      key[0] = length & 255;
      key[1] = length >> 8;
      for (let i = 4; i < key.length; i++) key[i] = roll(3) === 0 ? roll(256) : 0;
      return key;
    };
    const lengthOf = (key: Uint8Array): number => key[0]! | (key[1]! << 8);
    const model = new Map<string, number>();
    for (let i = 0; i < 500; i++) {
      const key = newKey();
      const prefix = bits(key, lengthOf(key));
      if (roll(3) === 0) expect(map.delete(key)).toBe(model.delete(prefix));
      else if (model.size < 400 || model.has(prefix)) {
        map.update(key, new Uint8Array(Uint32Array.of(i).buffer));
        model.set(prefix, i);
      }
      const asked = newKey(roll(2) === 0 ? bytes * 8 : undefined);
      let longest: number | undefined;
      for (let length = lengthOf(asked); length >= 0 && longest === undefined; length--) longest = model.get(bits(asked, length));
      const found = map.lookup(asked);
      expect(found === undefined ? undefined : new DataView(found.buffer).getUint32(0, true)).toBe(longest);
    }
    expect([...map.elements()].length).toBe(model.size);
  });

  test("an LRU never has more elements than it may, and keeps the newest", async () => {
    const { maps } = await mapMachine();
    const map = maps.create({ type: 9, keySize: 4, valueSize: 4, maxEntries: 50 });
    for (let i = 0; i < 1000; i++) {
      const key = new Uint8Array(Uint32Array.of(i).buffer);
      map.update(key, key);
      expect(map.lookup(key)).toEqual(key);
      expect(map.info().count).toBeLessThanOrEqual(50);
    }
  });
});

test("maps that end give all their memory back, whatever was in them", async () => {
  const target = await ourTarget();
  const { kernel, maps } = await mapMachine(2);
  const probe = maps.create({ type: 2, keySize: 4, valueSize: 4, maxEntries: 1 });
  const before = kernel.memory().used;
  const roll = dice(5);
  for (const { map: { type, key, value, entries, flags = 0, spinLock } } of SCRIPTS) {
    if (spinLock !== undefined) continue;
    const map = maps.create({ type, keySize: key, valueSize: value, maxEntries: entries, flags });
    for (let i = 0; i < 300; i++) {
      const bytes = Uint8Array.from({ length: key }, (_, n) => (n === 0 ? roll(30) : 0));
      errnoOf(() => map.update(bytes, new Uint8Array(map.valueBytes).fill(1), 0));
      if (roll(3) === 0) errnoOf(() => void map.delete(bytes));
    }
    map.close();
    expect([type, flags, kernel.memory().used]).toEqual([type, flags, before]);
  }
  // Maps in maps outlive their handle, and end with what holds them.
  const inner = maps.create({ type: 1, keySize: 4, valueSize: 4, maxEntries: 9 });
  for (const type of [12, 13]) {
    const outer = maps.create({ type, keySize: 4, valueSize: 4, maxEntries: 3, inner });
    const other = maps.create({ type: 1, keySize: 4, valueSize: 4, maxEntries: 70 });
    for (let n = 0; n < 3; n++) outer.updateHandle(Uint8Array.of(n, 0, 0, 0), n === 1 ? inner.handle : other.handle);
    other.close();
    outer.updateHandle(Uint8Array.of(2, 0, 0, 0), inner.handle);
    expect(maps.ids().length).toBe(4);
    outer.delete(Uint8Array.of(0, 0, 0, 0));
    expect(maps.ids().length).toBe(3);
    outer.close();
  }
  inner.close();
  expect(maps.ids()).toEqual([probe.id]);
  expect(kernel.memory().used).toBe(before);
  expect(play(target, SCRIPTS[0]!, 1)[0]).toBe("create 0");
});

test("requests of any bytes get an answer", async () => {
  const { kernel, instance, maps } = await mapMachine();
  const roll = dice(7);
  const all: BpfMap[] = [];
  for (const question of creations()) {
    if (all.length === 60) break;
    if (question.value > 4096 || question.type === 12 || question.type === 13 || roll(20) !== 0) continue;
    errnoOf(() => all.push(maps.create({ type: question.type, keySize: question.key, valueSize: question.value, maxEntries: question.entries, flags: question.flags ?? 0 })));
  }
  expect(all.length).toBe(60);
  for (let i = 0; i < 15_000; i++) {
    const length = roll(3) === 0 ? roll(200) : 64;
    for (let at = 0; at < length; at++) instance.u8[at] = roll(4) === 0 ? roll(256) : 0;
    instance.view.setUint32(0, all[roll(all.length)]!.handle, true);
    if (roll(2) === 0) instance.view.setUint32(4, roll(5), true);
    if (roll(2) === 0) instance.view.setUint32(8, roll(20), true);
    const op = BPF_MAP_CREATE + roll(BPF_USER_RINGBUF_PUT - BPF_MAP_CREATE + 6);
    // Maps of any size may be asked for: not of the whole memory.
    if (op === BPF_MAP_CREATE && (instance.view.getUint32(8, true) > 4096 || instance.view.getUint32(12, true) > 4096)) continue;
    if (roll(8) === 0) instance.upload(Uint8Array.from({ length: roll(100) }, () => roll(3)));
    expect(kernel.context.command(op, length, "fuzz", true)).toBeGreaterThan(-600);
  }
});
