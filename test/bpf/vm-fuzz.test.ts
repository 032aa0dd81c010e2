/**
 * Programs that no verifier has seen: random bytes, and random instructions that call every helper with whatever stands in the registers. None may
 * trap, run on for ever, or touch what is not its own: programs and maps beside them stay as they were, and what they took is given back.
 */
import { expect, test } from "vitest";
import { MapType, ProgType } from "../../src/bpf/uapi.ts";
import { createBpfMaps } from "../../src/kernel/bpf-maps.ts";
import { KernelError } from "../../src/kernel/netns.ts";
import { bpfMachine } from "./machine.ts";

/** xorshift32, so that a seed names a program. */
const random = (seed: number): ((below: number) => number) => {
  let x = (seed * 2654435761) >>> 0 || 1;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    x >>>= 0;
    return x % below;
  };
};

const slot = (code: number, dst: number, src: number, off: number, imm: number): number[] => [
  code, dst | (src << 4), off & 255, (off >> 8) & 255, imm & 255, (imm >> 8) & 255, (imm >> 16) & 255, imm >>> 24,
];

/** Numbers that are at edges, or addresses of something. */
const interesting = (next: (below: number) => number, addresses: readonly number[]): number => {
  switch (next(6)) {
    case 0: return 0;
    case 1: return -1;
    case 2: return next(64);
    case 3: return (next(65536) << 16) | next(65536);
    case 4: return 1 << next(32);
    default: return addresses[next(addresses.length)]! + (next(3) === 0 ? next(64) - 32 : 0);
  }
};

const ALU = [0x07, 0x0f, 0x17, 0x1f, 0x27, 0x2f, 0x37, 0x3f, 0x47, 0x57, 0x5f, 0x67, 0x6f, 0x77, 0x7f, 0x87, 0x97, 0x9f, 0xa7, 0xaf, 0xb7, 0xbf, 0xc7, 0xcf, 0x04, 0x0c, 0x24, 0x34, 0xb4, 0xbc, 0xdc];
const MEMORY = [0x61, 0x69, 0x71, 0x79, 0x81, 0x89, 0x91, 0x62, 0x6a, 0x72, 0x7a, 0x63, 0x6b, 0x73, 0x7b, 0xc3, 0xdb];
const JUMPS = [0x05, 0x15, 0x1d, 0x25, 0x2d, 0x35, 0x45, 0x55, 0x5d, 0x65, 0x75, 0xa5, 0xb5, 0xc5, 0xd5, 0x16, 0x26, 0x56];
const ATOMICS = [0x00, 0x01, 0x40, 0x41, 0x50, 0x51, 0xa0, 0xa1, 0xe1, 0xf1];

function program(next: (below: number) => number, addresses: readonly number[], helpers: readonly number[]): Uint8Array {
  const count = 4 + next(40);
  const slots: number[][] = [];
  while (slots.length < count) {
    const dst = next(10), src = next(11);
    switch (next(6)) {
      case 0: {
        const code = ALU[next(ALU.length)]!;
        const x = (code & 8) !== 0 && code !== 0xdc;
        slots.push(slot(code, dst, x ? src : 0, 0, code === 0x87 || x ? 0 : code === 0xdc ? 16 << next(3) : interesting(next, addresses)));
        break;
      }
      case 1: {
        const code = MEMORY[next(MEMORY.length)]!;
        const kind = code & 7;
        const imm = code === 0xc3 || code === 0xdb ? ATOMICS[next(ATOMICS.length)]! : kind === 2 ? next(65536) : 0;
        slots.push(slot(code, kind === 1 ? dst : next(11), kind === 2 ? 0 : code === 0xc3 || code === 0xdb ? next(10) : src, -8 * next(66) + 8, imm));
        break;
      }
      case 2: {
        const code = JUMPS[next(JUMPS.length)]!;
        slots.push(slot(code, code === 0x05 ? 0 : dst, (code & 8) !== 0 ? src : 0, next(count) - slots.length - 1, (code & 8) !== 0 || code === 0x05 ? 0 : interesting(next, addresses)));
        break;
      }
      case 3: { // a pointer
        const to = 1 + next(9);
        if (next(2) === 0) slots.push(slot(0xbf, to, 10, 0, 0), slot(0x07, to, 0, 0, -8 * (1 + next(64))));
        else slots.push(slot(0xb4, to, 0, 0, interesting(next, addresses)));
        break;
      }
      default: {
        for (let r = 1; r <= 5; r++) {
          const how = next(5);
          if (how === 0) slots.push(slot(0xbf, r, 10, 0, 0), slot(0x07, r, 0, 0, -8 * (1 + next(16))));
          else if (how < 4) slots.push(slot(next(2) === 0 ? 0xb7 : 0xb4, r, 0, 0, interesting(next, addresses)));
        }
        slots.push(slot(0x85, 0, 0, 0, helpers[next(helpers.length)]!));
      }
    }
  }
  slots.push(slot(0x95, 0, 0, 0, 0));
  return Uint8Array.from(slots.flat());
}

const TYPES = [ProgType.UNSPEC, ProgType.XDP, ProgType.SCHED_CLS, ProgType.KPROBE, ProgType.CGROUP_SOCK_ADDR, ProgType.SK_LOOKUP, ProgType.SOCK_OPS, ProgType.CGROUP_SKB];

test.each([1, 2])("random programs, seed %i", async (seed) => {
  const { programs, kernel } = await bpfMachine();
  const maps = createBpfMaps(kernel.context);
  const made = [MapType.ARRAY, MapType.HASH, MapType.RINGBUF, MapType.LRU_HASH, MapType.QUEUE].map((type) => maps.create({
    name: `map${type}`, type, keySize: type === MapType.RINGBUF || type === MapType.QUEUE ? 0 : 4, valueSize: type === MapType.RINGBUF ? 0 : 16,
    maxEntries: type === MapType.RINGBUF ? 4096 : 8,
  }));
  // What must not change: programs, and a map that no program is told of.
  const witnesses = Array.from({ length: 16 }, (_, i) => programs.load({ type: ProgType.XDP, program: Uint8Array.from([...slot(0xb7, 0, 0, 0, i + 1000), ...slot(0x95, 0, 0, 0, 0)]) }));
  const kept = maps.create({ name: "kept", type: MapType.ARRAY, keySize: 4, valueSize: 64, maxEntries: 64 });
  const before = Uint8Array.from({ length: 64 }, (_, i) => i ^ 0x5a);
  for (let key = 0; key < 64; key++) kept.update(Uint8Array.from([key, 0, 0, 0]), before);

  const helpers = Array.from({ length: 211 }, (_, i) => i + 1).filter((id) => {
    try {
      programs.load({ type: ProgType.XDP, program: Uint8Array.from([...slot(0x85, 0, 0, 0, id), ...slot(0x95, 0, 0, 0, 0)]) }).free();
      return true;
    } catch {
      return false;
    }
  });
  expect(helpers.length).toBeGreaterThan(80);
  const addresses = [...made.map(({ address }) => address), kept.address, kept.data, witnesses[0]!.address, 0x400, 0x4000, 0x10000, 0x60040];
  const next = random(seed);
  let ran = 0, ended = 0;
  for (let n = 0; n < 500; n++) {
    const type = TYPES[next(TYPES.length)]!;
    const code = n % 8 === 0 ? Uint8Array.from({ length: 8 * (1 + next(12)) }, () => next(256)) : program(next, addresses, helpers);
    let loaded;
    try {
      loaded = programs.load({ type, program: code, maps: made.map(({ address }) => address) });
    } catch (error) {
      expect(error).toBeInstanceOf(KernelError);
      continue;
    }
    ran++;
    try {
      if (type === ProgType.UNSPEC || n % 3 === 0) {
        if (loaded.run(new Uint8Array(64), { fuel: 20_000n }).fault !== undefined) ended++;
      } else {
        const packet = type === ProgType.XDP || type === ProgType.SCHED_CLS || type === ProgType.CGROUP_SKB;
        const { fault } = loaded.testRun(packet ? { dataIn: new Uint8Array(64) } : { ctxIn: new Uint8Array(72) });
        if (fault !== undefined) ended++;
      }
    } catch (error) {
      if (!(error instanceof KernelError)) throw new Error(`seed ${seed}, program ${n}: ${Buffer.from(code).toString("hex")}: ${String(error)}`, { cause: error });
    }
    loaded.free();
  }
  expect(ran).toBeGreaterThan(300);
  expect(ended).toBeGreaterThan(50);
  witnesses.forEach((witness, i) => expect(witness.run(new Uint8Array(0)).r0).toBe(BigInt(i + 1000)));
  for (let key = 0; key < 64; key++) expect(kept.lookup(Uint8Array.from([key, 0, 0, 0]))).toEqual(before);
});
