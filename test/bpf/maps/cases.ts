/**
 * Questions about maps that the kernel answered for good (`npm run recordings` has nothing to do with them: record.mjs asks this machine's
 * kernel) and that the tests put to ours. They come from a fixed seed, so that only answers are recorded.
 */

import { ARGUMENTS, FLAGS_AT, FOUND_AT, RESULT_AT, VALUE_AT, type Call } from "./programs.ts";

/** Who is asked: `errno` 0 is success. */
export interface Target {
  create(map: MapQuestion): { readonly errno: number; readonly fd: number };
  close(fd: number): void;
  lookup(fd: number, key: Uint8Array, size: number, flags: number): { readonly errno: number; readonly value: Uint8Array };
  lookupAndDelete(fd: number, key: Uint8Array, size: number, flags: number): { readonly errno: number; readonly value: Uint8Array };
  update(fd: number, key: Uint8Array, value: Uint8Array, flags: number): number;
  delete(fd: number, key: Uint8Array): number;
  nextKey(fd: number, key: Uint8Array | undefined, size: number): { readonly errno: number; readonly key: Uint8Array };
  batch(fd: number, question: BatchQuestion): { readonly errno: number; readonly count: number; readonly next: Uint8Array; readonly keys: Uint8Array; readonly values: Uint8Array };
  freeze(fd: number): number;
  /** Runs the program of a call (programs.ts) on the map with these arguments; they as it leaves them. */
  call(fd: number, map: MapQuestion, call: Call, args: Uint8Array): Uint8Array;
  /** Takes the records that are in a ring buffer. */
  consume(fd: number, map: MapQuestion): readonly Uint8Array[];
  info(fd: number): { readonly flags: number; readonly maxEntries: number; readonly extra: number };
}

export interface MapQuestion {
  readonly type: number;
  readonly key: number;
  readonly value: number;
  readonly entries: number;
  readonly flags?: number;
  readonly extra?: number;
  readonly inner?: number;
  readonly name?: string;
  /** Offset of a bpf_spin_lock in the value. */
  readonly spinLock?: number;
}

export interface BatchQuestion {
  readonly operation: "lookup" | "take" | "update" | "delete";
  readonly count: number;
  readonly from?: Uint8Array | undefined;
  readonly keys?: Uint8Array;
  readonly values?: Uint8Array;
  readonly keySize: number;
  readonly valueSize: number;
  readonly elementFlags?: number;
  readonly flags?: number;
}

/** CPUs that were possible where it was recorded. */
export const CPUS = 2;

/** Small and the same everywhere: mulberry32. */
export function dice(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

// Creation

/** A shape of each type that is accepted, by BPF_MAP_TYPE_*. */
const PLAIN: readonly (readonly [type: number, key: number, value: number, entries: number, flags: number])[] = [
  [0, 4, 4, 4, 0], [1, 4, 8, 4, 0], [2, 4, 8, 4, 0], [3, 4, 4, 4, 0], [4, 4, 4, 4, 0], [5, 4, 8, 4, 0], [6, 4, 8, 4, 0], [7, 4, 64, 4, 0],
  [8, 4, 4, 4, 0], [9, 4, 8, 4, 0], [10, 4, 8, 4, 0], [11, 8, 8, 4, 1], [12, 4, 4, 4, 0], [13, 4, 4, 4, 0], [14, 4, 4, 4, 0], [15, 4, 4, 4, 0],
  [16, 4, 4, 2, 0], [17, 4, 4, 4, 0], [18, 4, 4, 4, 0], [19, 16, 8, 0, 0], [20, 4, 8, 4, 0], [21, 16, 8, 0, 0], [22, 0, 8, 4, 0], [23, 0, 8, 4, 0],
  [24, 4, 8, 0, 1], [25, 4, 4, 4, 0], [27, 0, 0, 4096, 0], [28, 4, 8, 0, 1], [29, 4, 8, 0, 1], [30, 0, 8, 4, 0],
  [31, 0, 0, 4096, 0], [32, 4, 8, 0, 1],
];
const KEYS = [0, 1, 2, 3, 4, 5, 6, 8, 12, 16, 17, 20, 64, 260, 261, 512, 513];
const VALUES = [0, 1, 2, 4, 5, 8, 12, 16, 24, 32, 1016, 1024, 32760, 32768, 32769, 65408, 65416, 65535, 0x80000000];
const ENTRIES = [0, 1, 2, 3, 4, 1000, 4096, 8192, 12288];
const FLAG_BITS = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 0x100000, 0x80000000];

/** Whether a map takes so much memory that a node of ours has not got it. */
const huge = ({ value, entries }: MapQuestion): boolean => value < 1 << 22 && value * entries > 1 << 28;

/** Shapes to be asked of BPF_MAP_CREATE. Maps of maps get a plain array as the inner map. */
export function* creations(): Generator<MapQuestion> {
  for (const question of shapes()) if (!huge(question)) yield question;
}

function* shapes(): Generator<MapQuestion> {
  for (const [type, key, value, entries, flags] of PLAIN) {
    const base = { type, key, value, entries, flags };
    yield base;
    for (const other of KEYS) yield { ...base, key: other };
    for (const other of VALUES) yield { ...base, value: other };
    for (const other of ENTRIES) yield { ...base, entries: other };
    for (const a of FLAG_BITS) {
      yield { ...base, flags: a };
      for (const b of FLAG_BITS) if (a < b) yield { ...base, flags: (flags | a | b) >>> 0 };
    }
    for (const extra of [1, 5, 15, 16, 4294967296]) yield { ...base, extra };
    for (const name of ["a", "a_b.C9", "a-b", "a b", "0123456789abcde", "é"]) yield { ...base, name };
  }
  const roll = dice(1);
  const pick = <T>(list: readonly T[]): T => list[roll(list.length)]!;
  for (let i = 0; i < 6000; i++) {
    const [type, key, value, entries, flags] = pick(PLAIN);
    const extra = roll(4) === 0 ? pick([0, 1, 7, 16]) : 0;
    yield {
      type, key: roll(3) === 0 ? pick(KEYS) : key, value: roll(3) === 0 ? pick(VALUES) : value, entries: roll(3) === 0 ? pick(ENTRIES) : entries,
      flags: (roll(2) === 0 ? flags : flags | pick(FLAG_BITS) | (roll(2) === 0 ? pick(FLAG_BITS) : 0)) >>> 0, extra,
    };
  }
}

/** Answers as they are recorded: without the question, and of long ones a beginning and a number that stands for the whole. */
export function answersOf(lines: readonly string[]): string[] {
  return lines.map((line) => {
    const colon = line.indexOf(": ");
    const answer = colon < 0 ? line : line.slice(colon + 2);
    if (answer.length <= 160) return answer;
    let hash = 0;
    for (let i = 0; i < answer.length; i++) hash = (Math.imul(hash, 31) + answer.charCodeAt(i)) >>> 0;
    return `${answer.slice(0, 60)} … ${answer.length} ${hash}`;
  });
}

// Elements

/** A map that operations are tried on. */
export interface Script {
  readonly name: string;
  readonly map: MapQuestion;
  readonly operations: number;
  /** Bytes of a key: values that each may have. Few, so that keys meet. */
  key(roll: (below: number) => number): Uint8Array;
}

const bytesOf = (length: number, alphabet: number) => (roll: (below: number) => number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i === 0 ? roll(alphabet) : roll(6) === 0 ? roll(2) : 0));
const indexBelow = (most: number) => (roll: (below: number) => number): Uint8Array => {
  const key = new Uint8Array(4);
  new DataView(key.buffer).setUint32(0, roll(20) === 0 ? 0xffffffff : roll(most), true);
  return key;
};
const prefixKey = (length: number) => (roll: (below: number) => number): Uint8Array => {
  const key = new Uint8Array(4 + length);
  new DataView(key.buffer).setUint32(0, roll(30) === 0 ? length * 8 + 1 : roll(3) === 0 ? roll(length * 8 + 1) : Math.min(length * 8, roll(12)), true);
  for (let i = 4; i < key.length; i++) key[i] = roll(2) === 0 ? (roll(4) << 6) & 255 : roll(8) === 0 ? roll(256) : 0;
  return key;
};
const none = (): Uint8Array => new Uint8Array(0);

const ZERO_SEED = 64;
export const SCRIPTS: readonly Script[] = [
  { name: "hash", map: { type: 1, key: 4, value: 8, entries: 8, flags: ZERO_SEED }, operations: 700, key: bytesOf(4, 14) },
  { name: "hash, one entry", map: { type: 1, key: 4, value: 4, entries: 1, flags: ZERO_SEED }, operations: 150, key: bytesOf(4, 3) },
  { name: "hash, long keys", map: { type: 1, key: 16, value: 24, entries: 13, flags: ZERO_SEED }, operations: 700, key: bytesOf(16, 16) },
  { name: "hash, odd sizes, not preallocated", map: { type: 1, key: 7, value: 5, entries: 10, flags: ZERO_SEED | 1 }, operations: 700, key: bytesOf(7, 14) },
  { name: "hash, 13-byte keys", map: { type: 1, key: 13, value: 1, entries: 40, flags: ZERO_SEED }, operations: 500, key: bytesOf(13, 30) },
  { name: "hash, 24-byte keys", map: { type: 1, key: 24, value: 3, entries: 20, flags: ZERO_SEED }, operations: 500, key: bytesOf(24, 16) },
  { name: "hash with a lock", map: { type: 1, key: 8, value: 16, entries: 6, flags: ZERO_SEED, spinLock: 4 }, operations: 500, key: bytesOf(8, 9) },
  { name: "array with a lock", map: { type: 2, key: 4, value: 16, entries: 4, spinLock: 0 }, operations: 300, key: indexBelow(6) },
  { name: "per-CPU hash", map: { type: 5, key: 4, value: 12, entries: 8, flags: ZERO_SEED }, operations: 500, key: bytesOf(4, 12) },
  { name: "per-CPU hash, not preallocated", map: { type: 5, key: 5, value: 8, entries: 8, flags: ZERO_SEED | 1 }, operations: 500, key: bytesOf(5, 12) },
  { name: "array", map: { type: 2, key: 4, value: 12, entries: 5 }, operations: 300, key: indexBelow(7) },
  { name: "array, mappable", map: { type: 2, key: 4, value: 3, entries: 5, flags: 1024 }, operations: 150, key: indexBelow(7) },
  { name: "per-CPU array", map: { type: 6, key: 4, value: 12, entries: 5 }, operations: 300, key: indexBelow(7) },
  { name: "LRU of 16", map: { type: 9, key: 4, value: 8, entries: 16, flags: ZERO_SEED }, operations: 900, key: bytesOf(4, 40) },
  { name: "LRU of 3", map: { type: 9, key: 4, value: 8, entries: 3, flags: ZERO_SEED }, operations: 400, key: bytesOf(4, 8) },
  { name: "LRU of 1", map: { type: 9, key: 4, value: 8, entries: 1, flags: ZERO_SEED }, operations: 200, key: bytesOf(4, 4) },
  { name: "LRU of 300", map: { type: 9, key: 8, value: 4, entries: 300, flags: ZERO_SEED }, operations: 2500, key: (roll) => bytesOf(8, 256)(roll).fill(roll(3), 1, 2) },
  { name: "LRU, a list for each CPU", map: { type: 9, key: 4, value: 8, entries: 16, flags: ZERO_SEED | 2 }, operations: 900, key: bytesOf(4, 24) },
  { name: "LRU of 5, a list for each CPU", map: { type: 9, key: 4, value: 8, entries: 5, flags: ZERO_SEED | 2 }, operations: 300, key: bytesOf(4, 9) },
  { name: "per-CPU LRU", map: { type: 10, key: 4, value: 8, entries: 16, flags: ZERO_SEED }, operations: 700, key: bytesOf(4, 30) },
  { name: "per-CPU LRU, a list for each CPU", map: { type: 10, key: 6, value: 4, entries: 10, flags: ZERO_SEED | 2 }, operations: 700, key: bytesOf(6, 20) },
  { name: "LPM of 4 bytes", map: { type: 11, key: 8, value: 8, entries: 12, flags: 1 }, operations: 900, key: prefixKey(4) },
  { name: "LPM of 1 byte", map: { type: 11, key: 5, value: 1, entries: 200, flags: 1 }, operations: 900, key: prefixKey(1) },
  { name: "LPM of 16 bytes", map: { type: 11, key: 20, value: 4, entries: 30, flags: 1 }, operations: 900, key: prefixKey(16) },
  { name: "LPM of 7 bytes", map: { type: 11, key: 11, value: 4, entries: 30, flags: 1 }, operations: 600, key: prefixKey(7) },
  { name: "queue", map: { type: 22, key: 0, value: 6, entries: 4 }, operations: 400, key: none },
  { name: "stack", map: { type: 23, key: 0, value: 6, entries: 4 }, operations: 400, key: none },
  { name: "queue of 1", map: { type: 22, key: 0, value: 4, entries: 1 }, operations: 80, key: none },
  { name: "stack of 1", map: { type: 23, key: 0, value: 4, entries: 1 }, operations: 80, key: none },
  { name: "bloom filter", map: { type: 30, key: 0, value: 8, entries: 10, flags: ZERO_SEED }, operations: 400, key: none },
  { name: "bloom filter, 3 functions", map: { type: 30, key: 0, value: 5, entries: 6, flags: ZERO_SEED, extra: 3 }, operations: 400, key: none },
  { name: "stack traces", map: { type: 7, key: 4, value: 64, entries: 5 }, operations: 120, key: indexBelow(10) },
  { name: "programs", map: { type: 3, key: 4, value: 4, entries: 3 }, operations: 150, key: indexBelow(5) },
  { name: "perf events", map: { type: 4, key: 4, value: 4, entries: 3 }, operations: 150, key: indexBelow(5) },
  { name: "cgroups", map: { type: 8, key: 4, value: 4, entries: 3 }, operations: 100, key: indexBelow(5) },
  { name: "ring buffer", map: { type: 27, key: 0, value: 0, entries: 4096 }, operations: 60, key: none },
  { name: "user ring buffer", map: { type: 31, key: 0, value: 0, entries: 4096 }, operations: 60, key: none },
  { name: "devices", map: { type: 14, key: 4, value: 4, entries: 3 }, operations: 150, key: indexBelow(5) },
  { name: "devices with programs", map: { type: 14, key: 4, value: 8, entries: 3 }, operations: 150, key: indexBelow(5) },
  { name: "devices by hash", map: { type: 25, key: 4, value: 4, entries: 4 }, operations: 200, key: indexBelow(6) },
  { name: "CPUs", map: { type: 16, key: 4, value: 4, entries: 3 }, operations: 150, key: indexBelow(5) },
  { name: "CPUs with programs", map: { type: 16, key: 4, value: 8, entries: 3 }, operations: 150, key: indexBelow(5) },
  { name: "XDP sockets", map: { type: 17, key: 4, value: 4, entries: 3 }, operations: 100, key: indexBelow(5) },
  { name: "sockets", map: { type: 15, key: 4, value: 4, entries: 3 }, operations: 100, key: indexBelow(5) },
  { name: "sockets, cookies", map: { type: 15, key: 4, value: 8, entries: 3 }, operations: 100, key: indexBelow(5) },
  { name: "sockets by hash", map: { type: 18, key: 5, value: 8, entries: 3 }, operations: 100, key: bytesOf(5, 5) },
  { name: "reuseport sockets", map: { type: 20, key: 4, value: 8, entries: 3 }, operations: 100, key: indexBelow(5) },
  { name: "cgroup storage", map: { type: 19, key: 16, value: 8, entries: 0 }, operations: 60, key: bytesOf(16, 3) },
  { name: "per-CPU cgroup storage", map: { type: 21, key: 8, value: 8, entries: 0 }, operations: 60, key: bytesOf(8, 3) },
  { name: "hash that may only be read", map: { type: 1, key: 4, value: 4, entries: 4, flags: 8 }, operations: 60, key: bytesOf(4, 4) },
  { name: "hash that may only be written", map: { type: 1, key: 4, value: 4, entries: 4, flags: 16 }, operations: 60, key: bytesOf(4, 4) },
  { name: "LPM that may only be written", map: { type: 11, key: 8, value: 4, entries: 4, flags: 17 }, operations: 60, key: prefixKey(4) },
];

const hex = (bytes: Uint8Array): string => {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
};

/** Values of these types are handles, of the host's as of ours: none is valid. */
const HANDLES = [3, 4, 8, 12, 13, 15, 17, 18, 20];

/** Plays a script; one line for each operation. */
export function play(target: Target, script: Script, seed: number): string[] {
  const { map } = script;
  const perCpu = map.type === 5 || map.type === 6 || map.type === 10 || map.type === 21;
  const value = perCpu ? CPUS * ((map.value + 7) & ~7) : map.value;
  const roll = dice(seed);
  const { fd, errno } = target.create(map);
  const lines = [`create ${errno}`];
  if (errno !== 0) return lines;
  const devices = map.type === 14 || map.type === 25;
  const newValue = (): Uint8Array => {
    const bytes = Uint8Array.from({ length: value }, () => roll(256));
    if (map.type === 30) bytes.fill(0).fill(roll(40), 0, 1);
    // Descriptors that nobody has; device 1 is the loopback everywhere, 7777 is no device; a queue of few packets.
    if (HANDLES.includes(map.type)) new DataView(bytes.buffer).setUint32(0, 0x7ffffff0 + roll(8), true);
    if (HANDLES.includes(map.type) && value === 8) new DataView(bytes.buffer).setUint32(4, roll(5) === 0 ? 1 : 0, true);
    if (devices) new DataView(bytes.buffer).setUint32(0, [0, 1, 7777][roll(3)]!, true);
    if (devices && value === 8) new DataView(bytes.buffer).setUint32(4, [0, 0xffffffff, 0x7ffffff0][roll(3)]!, true);
    if (map.type === 16 && value === 8) new DataView(bytes.buffer).setUint32(4, [0, 0xffffffff, 0x7ffffff0][roll(3)]!, true);
    if (map.type === 16) new DataView(bytes.buffer).setUint32(0, [0, 64, 16385][roll(3)]!, true);
    // The padding of a per-CPU part is not the value's.
    if (perCpu) for (let i = 0; i < bytes.length; i++) if (i % ((map.value + 7) & ~7) >= map.value) bytes[i] = 0;
    return bytes;
  };
  const flagsOf = (): number => [0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 8][roll(13)]!;
  let last: Uint8Array | undefined;
  let position: Uint8Array | undefined;
  for (let i = 0; i < script.operations; i++) {
    const what = roll(100);
    if (what < 45) {
      const key = script.key(roll);
      const flags = flagsOf();
      lines.push(`update ${hex(key)} ${flags}: ${target.update(fd, key, newValue(), flags)}`);
    } else if (what < 62) {
      const key = script.key(roll);
      const flags = roll(12) === 0 ? flagsOf() : 0;
      const asked = map.type === 30 ? newValue() : undefined;
      const { errno: error, value: found } = target.lookup(fd, asked ?? key, value, flags);
      lines.push(`lookup ${hex(asked ?? key)} ${flags}: ${error === 0 && asked === undefined ? hex(found) : error}`);
    } else if (what < 77) {
      const key = script.key(roll);
      lines.push(`delete ${hex(key)}: ${target.delete(fd, key)}`);
    } else if (what < 87) {
      const key = roll(4) === 0 ? undefined : roll(2) === 0 ? last : script.key(roll);
      const { errno: error, key: next } = target.nextKey(fd, key, map.key);
      if (error === 0) last = next;
      lines.push(`next ${key === undefined ? "-" : hex(key)}: ${error === 0 ? hex(next) : error}`);
    } else if (what < 93) {
      const key = script.key(roll);
      const flags = roll(8) === 0 ? flagsOf() : 0;
      const { errno: error, value: found } = target.lookupAndDelete(fd, key, value, flags);
      lines.push(`take ${hex(key)} ${flags}: ${error === 0 ? hex(found) : error}`);
    } else if (what < 99 && map.key > 0) {
      const operation = (["lookup", "lookup", "take", "update", "delete"] as const)[roll(5)]!;
      const count = roll(6);
      const keys = new Uint8Array(count * map.key), values = new Uint8Array(count * value);
      for (let n = 0; n < count; n++) {
        keys.set(script.key(roll), n * map.key);
        values.set(newValue(), n * value);
      }
      const elementFlags = roll(6) === 0 ? flagsOf() : 0, flags = roll(20) === 0 ? 1 : 0;
      const reading = operation === "lookup" || operation === "take";
      const from = roll(2) === 0 ? undefined : position;
      const answer = target.batch(fd, { operation, count, from: reading ? from : undefined, keys, values, keySize: map.key, valueSize: value, elementFlags, flags });
      let line = `batch ${operation} ${count} ${elementFlags} ${flags}: ${answer.errno}`;
      if (answer.errno === 0 || answer.errno === 2 || answer.errno === 28) line += ` ${answer.count}`;
      if (reading && answer.count > 0 && (answer.errno === 0 || answer.errno === 2)) {
        line += ` ${hex(answer.keys.subarray(0, answer.count * map.key))} ${hex(answer.values.subarray(0, answer.count * value))}`;
        position = answer.errno === 0 ? answer.next.slice(0, Math.max(4, map.key)) : undefined;
      }
      lines.push(line);
    } else if (map.key > 0) {
      let line = "all:";
      let key: Uint8Array | undefined;
      for (let n = 0; n < 400; n++) {
        const { errno: error, key: next } = target.nextKey(fd, key, map.key);
        if (error !== 0) {
          line += ` ${error}`;
          break;
        }
        const { errno: missing, value: found } = target.lookup(fd, next, value, 0);
        line += ` ${hex(next)}=${missing === 0 ? hex(found) : missing}`;
        key = next;
      }
      lines.push(line);
    }
  }
  const { flags, maxEntries, extra } = target.info(fd);
  lines.push(`info ${flags} ${maxEntries} ${extra}`, `freeze ${target.freeze(fd)} ${target.freeze(fd)} ${target.update(fd, script.key(roll), newValue(), 0)}`);
  target.close(fd);
  return lines;
}

// Programs

export interface ProgramScript extends Script {
  readonly calls: readonly Call[];
}

const ELEMENTS: readonly Call[] = ["lookup", "lookup", "lookup", "update", "update", "update", "delete", "stale-update", "stale-delete"];
export const PROGRAM_SCRIPTS: readonly ProgramScript[] = [
  { name: "hash", map: { type: 1, key: 4, value: 8, entries: 6, flags: ZERO_SEED }, operations: 500, key: bytesOf(4, 10), calls: ELEMENTS },
  { name: "hash, not preallocated", map: { type: 1, key: 7, value: 9, entries: 6, flags: ZERO_SEED | 1 }, operations: 400, key: bytesOf(7, 10), calls: ["lookup", "update", "delete"] },
  { name: "array", map: { type: 2, key: 4, value: 5, entries: 4 }, operations: 250, key: indexBelow(6), calls: ELEMENTS },
  { name: "per-CPU hash", map: { type: 5, key: 4, value: 12, entries: 6, flags: ZERO_SEED }, operations: 400, key: bytesOf(4, 10), calls: [...ELEMENTS, "percpu"] },
  { name: "per-CPU array", map: { type: 6, key: 4, value: 12, entries: 4 }, operations: 250, key: indexBelow(6), calls: [...ELEMENTS, "percpu"] },
  { name: "LRU of 12", map: { type: 9, key: 4, value: 8, entries: 12, flags: ZERO_SEED }, operations: 1200, key: bytesOf(4, 24), calls: ELEMENTS },
  { name: "LRU of 2", map: { type: 9, key: 4, value: 8, entries: 2, flags: ZERO_SEED }, operations: 400, key: bytesOf(4, 6), calls: ELEMENTS },
  { name: "LRU of 200", map: { type: 9, key: 4, value: 4, entries: 200, flags: ZERO_SEED }, operations: 2500, key: (roll) => bytesOf(4, 256)(roll).fill(roll(2), 1, 2), calls: ["lookup", "update", "update", "update"] },
  { name: "LRU of 20, a list for each CPU", map: { type: 9, key: 4, value: 8, entries: 20, flags: ZERO_SEED | 2 }, operations: 1000, key: bytesOf(4, 30), calls: ELEMENTS },
  { name: "per-CPU LRU", map: { type: 10, key: 4, value: 8, entries: 12, flags: ZERO_SEED }, operations: 900, key: bytesOf(4, 24), calls: [...ELEMENTS, "percpu"] },
  { name: "LPM", map: { type: 11, key: 8, value: 8, entries: 12, flags: 1 }, operations: 700, key: prefixKey(4), calls: ["lookup", "lookup", "update", "delete"] },
  { name: "queue", map: { type: 22, key: 0, value: 6, entries: 3 }, operations: 250, key: none, calls: ["push", "push", "pop", "peek"] },
  { name: "stack", map: { type: 23, key: 0, value: 6, entries: 3 }, operations: 250, key: none, calls: ["push", "push", "pop", "peek"] },
  { name: "bloom filter", map: { type: 30, key: 0, value: 8, entries: 8, flags: ZERO_SEED }, operations: 200, key: none, calls: ["push", "peek"] },
  { name: "ring buffer", map: { type: 27, key: 0, value: 0, entries: 4096 }, operations: 900, key: none, calls: ["output", "output", "output", "output", "query"] },
];

/** Plays a script with programs, and some elements from outside; one line for each operation. */
export function playPrograms(target: Target, script: ProgramScript, seed: number): string[] {
  const { map, calls } = script;
  const perCpu = map.type === 5 || map.type === 6 || map.type === 10, ring = map.type === 27;
  const value = perCpu ? CPUS * ((map.value + 7) & ~7) : map.value;
  const roll = dice(seed);
  const { fd, errno } = target.create(map);
  const lines = [`create ${errno}`];
  for (let i = 0; i < script.operations; i++) {
    const what = roll(20);
    if (what > 1) {
      const call = calls[roll(calls.length)]!;
      const args = new Uint8Array(ARGUMENTS);
      args.set(script.key(roll));
      for (let n = 0; n < 64; n++) args[VALUE_AT + n] = roll(256);
      if (map.type === 30) args.fill(0, VALUE_AT, FLAGS_AT).fill(roll(30), VALUE_AT, VALUE_AT + 1).copyWithin(FOUND_AT, VALUE_AT, VALUE_AT + map.value);
      args[FLAGS_AT] = call === "percpu" ? roll(4) : call === "query" ? roll(6) : roll(2) === 0 ? 0 : roll(5);
      if (ring) args[0] = roll(64);
      const after = target.call(fd, map, call, args);
      lines.push(`${call} ${hex(args.subarray(0, Math.max(map.key, ring ? 1 : 0)))} ${args[FLAGS_AT]}: ${new DataView(after.buffer, after.byteOffset).getBigInt64(RESULT_AT, true)} ${hex(after.subarray(FOUND_AT, FOUND_AT + map.value))}`);
    } else if (ring) {
      if (roll(6) === 0) lines.push(`records: ${target.consume(fd, map).map(hex).join(" ")}`);
    } else if (what === 1 && map.key > 0) {
      const key = script.key(roll), bytes = new Uint8Array(value).fill(roll(256));
      if (perCpu) for (let n = 0; n < bytes.length; n++) if (n % ((map.value + 7) & ~7) >= map.value) bytes[n] = 0;
      lines.push(`update from outside: ${target.update(fd, key, bytes, 0)}`);
    } else if (map.key > 0) {
      let line = "all:";
      let key: Uint8Array | undefined;
      for (let n = 0; n < 250; n++) {
        const { errno: error, key: next } = target.nextKey(fd, key, map.key);
        if (error !== 0) break;
        line += ` ${hex(next)}=${hex(target.lookup(fd, next, value, 0).value)}`;
        key = next;
      }
      lines.push(line);
    }
  }
  target.close(fd);
  return lines;
}

// Maps of maps

/** Every type as the inner map, and inner maps that differ from the first in one thing. */
export function innerMaps(target: Target): string[] {
  const lines: string[] = [];
  const templates: MapQuestion[] = PLAIN.filter(([type]) => type !== 0).map(([type, key, value, entries, flags]) => ({ type, key, value, entries, flags }));
  const key = new Uint8Array(4);
  for (const outer of [12, 13]) {
    const bad = target.create({ type: outer, key: 4, value: 4, entries: 2, inner: 0x7ffffff0 });
    lines.push(`${outer} of nothing: ${bad.errno}`);
    for (const template of templates) {
      if (template.type === 12 || template.type === 13) {
        const leaf = target.create({ type: 1, key: 4, value: 4, entries: 2 });
        const nested = target.create({ type: template.type, key: 4, value: 4, entries: 2, inner: leaf.fd });
        lines.push(`${outer} of ${template.type}: ${target.create({ type: outer, key: 4, value: 4, entries: 2, inner: nested.fd }).errno}`);
        continue;
      }
      const first = target.create(template);
      const map = target.create({ type: outer, key: 4, value: 4, entries: 2, inner: first.fd });
      lines.push(`${outer} of ${template.type}: ${first.errno} ${map.errno}`);
      if (map.errno !== 0 || first.errno !== 0) continue;
      for (const other of [
        template, { ...template, entries: template.entries * 2 }, { ...template, value: template.value + 8 }, { ...template, key: template.key + 4 },
        { ...template, flags: (template.flags ?? 0) ^ 64 }, { ...template, flags: (template.flags ?? 0) ^ 1 }, { ...template, flags: 4096 },
        { type: 1, key: 4, value: 8, entries: 4 },
      ]) {
        const inner = target.create(other);
        if (inner.errno !== 0) continue;
        const value = new Uint8Array(new Uint32Array([inner.fd]).buffer);
        for (const flags of [0, 1, 2, 4]) lines.push(`  ${JSON.stringify(other)} ${flags}: ${target.update(map.fd, key, value, flags)}`);
        lines.push(`  delete ${target.delete(map.fd, key)} ${target.delete(map.fd, key)} ${target.update(map.fd, Uint8Array.of(2, 0, 0, 0), value, 0)}`);
        target.close(inner.fd);
      }
      target.close(map.fd);
      target.close(first.fd);
    }
  }
  // An inner array that may have any number of elements.
  const first = target.create({ type: 2, key: 4, value: 4, entries: 2, flags: 4096 });
  const map = target.create({ type: 12, key: 4, value: 4, entries: 2, inner: first.fd });
  for (const other of [{ type: 2, key: 4, value: 4, entries: 9, flags: 4096 }, { type: 2, key: 4, value: 4, entries: 9 }]) {
    const inner = target.create(other);
    lines.push(`any number ${other.flags ?? 0}: ${target.update(map.fd, key, new Uint8Array(new Uint32Array([inner.fd]).buffer), 0)}`);
  }
  return lines;
}
