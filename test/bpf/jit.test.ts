// The compiler alone against the reference interpreter: random programs, graphs that no source language makes, large and deep ones.
import { describe, expect, test } from "vitest";
import { encodeInsns, type Insn } from "../../src/bpf/insn.ts";
import { compile } from "../../src/bpf/jit/index.ts";
import { DATA_AT, STACK_AT, newMemory, runCompiled } from "./compiled.ts";
import { PACKET, randomOf, structured, wild, type Random } from "./programs.ts";
import { interpret, type Machine, type Outcome } from "./reference.ts";

const memory = newMemory();
const view = new DataView(memory.buffer);
const packet = new Uint8Array(memory.buffer, DATA_AT, PACKET);

/** What one engine makes of a program: its outcome and the packet afterwards. */
function observed(run: (machine: Omit<Machine, "memory">) => Outcome, seed: number, machine: Partial<Machine>): { outcome: Outcome; packet: string } {
  for (let at = 0; at < PACKET; at++) packet[at] = (at * 37 + seed * 11) & 0xff;
  const outcome = run({ r1: BigInt(DATA_AT), r2: BigInt(PACKET), fp: STACK_AT + 512, ...machine });
  return { outcome, packet: Buffer.from(packet).toString("hex") };
}

/** The packet and the stack up to the frame that runs. */
const owns = (address: bigint, bytes: number, _write: boolean, fp: number): boolean => {
  const end = address + BigInt(bytes);
  return (address >= BigInt(DATA_AT) && end <= BigInt(DATA_AT + PACKET)) || (address >= BigInt(STACK_AT) && end <= BigInt(fp));
};

function compare(make: (random: Random) => Uint8Array, seed: number, machine: Partial<Machine>, checked: boolean): void {
  const program = make(randomOf(seed));
  const expected = observed((rest) => interpret(program, { memory: view, ...rest }), seed, machine);
  const got = observed((rest) => runCompiled(program, memory, rest, { checked }), seed, machine);
  const told = `seed ${seed}${checked ? " checked" : ""} ${Buffer.from(program).toString("hex")}`;
  expect({ told, ...got }).toEqual({ told, ...expected });
}

describe("random programs", () => {
  test("structured ones give the same with and without checks", () => {
    for (let seed = 1; seed <= 400; seed++) {
      compare(structured, seed, {}, false);
      compare(structured, seed, { fuel: 1_000_000, owns }, true);
    }
  });

  test("wild ones end with the same fault at the same slot", () => {
    for (let seed = 1; seed <= 800; seed++) compare(wild, seed, { fuel: 500, owns }, true);
  });
});

/** Slots from hex, blanks skipped. */
const slots = (text: string): Uint8Array => Buffer.from(text.replace(/\s+/g, ""), "hex");

describe("graphs", () => {
  /** Compiles a program, and compares it checked and (it must end by itself) unchecked with the interpreter. */
  const same = (program: Uint8Array): bigint => {
    for (const checked of [false, true]) compare(() => program, 1, checked ? { fuel: 10_000_000, owns } : {}, checked);
    return interpret(program, { memory: view, r1: BigInt(DATA_AT), r2: BigInt(PACKET), fp: STACK_AT + 512 }).r0;
  };

  test("a loop with two entries", () => {
    // r0 = 0; if r2 > 50 goto b; a: r0 += 1; b: r0 += 10; if r0 < 100 goto a; exit
    expect(same(slots("b700000000000000 2502010032000000 0700000001000000 070000000a000000 a500fdff64000000 9500000000000000"))).toBe(109n);
  });

  test("loops with several entries inside of one another, and one that begins at the first slot", () => {
    const random = randomOf(5);
    for (let round = 0; round < 200; round++) {
      // Blocks that each count r0 up and go to two of the others, until it is 200.
      const blocks = 3 + random(9);
      const program = new Uint8Array(blocks * 4 * 8 + 8);
      const at = new DataView(program.buffer);
      for (let block = 0; block < blocks; block++) {
        const put = (n: number, code: number, dst: number, off: number, imm: number): void => {
          at.setUint8((4 * block + n) * 8, code);
          at.setUint8((4 * block + n) * 8 + 1, dst);
          at.setInt16((4 * block + n) * 8 + 2, off, true);
          at.setInt32((4 * block + n) * 8 + 4, imm, true);
        };
        put(0, 0x07, 0, 0, 1 + block);
        put(1, 0x25, 0, 4 * blocks - (4 * block + 2), 200);
        put(2, 0x45, 0, 4 * random(blocks) - (4 * block + 3), 1 << random(4));
        put(3, 0x05, 0, 4 * random(blocks) - (4 * block + 4), 0);
      }
      program[4 * blocks * 8] = 0x95;
      same(program);
    }
  });

  test("15,000 ifs one in the other", () => {
    const deep: number[] = [];
    const nested = 15_000;
    for (let n = 0; n < nested; n++) deep.push(0x07, 0, 0, 0, 1, 0, 0, 0, 0xa5, 0, (2 * (nested - n - 1)) & 0xff, ((2 * (nested - n - 1)) >> 8) & 0xff, n >>> 0 & 0xff, (n >> 8) & 0xff, 0, 0);
    same(Uint8Array.from([...deep, 0x95, 0, 0, 0, 0, 0, 0, 0]));
  });

  test("100,000 instructions", () => {
    const random = randomOf(9);
    const parts: Uint8Array[] = [];
    let bytes = 0;
    while (bytes < 800_000) {
      const part = structured(random);
      // One program behind the other: an exit becomes a jump to the next slot.
      const single = part.slice();
      for (let at = 0; at < single.length; at += 8) if (single[at] === 0x95) single.set([0x05, 0, 0, 0, 0, 0, 0, 0], at);
      if (single.some((code, at) => at % 8 === 0 && code === 0x85)) continue;
      parts.push(single);
      bytes += single.length;
    }
    // r1 is the packet's at the start of each part: nothing else writes it.
    const program = new Uint8Array(bytes + 8);
    let at = 0;
    for (const part of parts) {
      program.set(part, at);
      at += part.length;
    }
    program[at] = 0x95;
    compare(() => program, 1, {}, false);
    expect(() => new WebAssembly.Module(compile(program, { shared: false, checked: true }).bytes)).not.toThrow();
  }, 60_000);
});

const insn = (code: number, dst: number, src: number, off: number, imm: number): Insn => ({ code, dst, src, off, imm });

test("a program that calls itself is as deep as frames go", () => {
  // call 1; exit; 2: call 0; exit
  const program = encodeInsns([insn(0x85, 0, 1, 0, 1), insn(0x95, 0, 0, 0, 0), insn(0x85, 0, 1, 0, -3), insn(0x95, 0, 0, 0, 0)]);
  compare(() => program, 1, { fuel: 1000, owns }, true);
});

test("bpf_loop: in place when its callback is known, by the helper when it is not", () => {
  const callback = 11;
  const loop = (count: number, flags: number, hidden: boolean): Uint8Array => encodeInsns([
    insn(0xbf, 6, 1, 0, 0), insn(0xb4, 1, 0, 0, count), insn(0x18, 2, 4, 0, callback), insn(0, 0, 0, 0, 0), insn(0xbf, 3, 6, 0, 0),
    insn(0xb7, 4, 0, 0, flags),
    // Through the stack the compiler does not follow it.
    ...(hidden ? [insn(0x7b, 10, 2, -8, 0), insn(0x79, 2, 10, -8, 0)] : [insn(0xbf, 0, 6, 0, 0), insn(0xbf, 0, 6, 0, 0)]),
    insn(0x85, 0, 0, 0, 181), insn(0x0f, 0, 0, 0, 0), insn(0x95, 0, 0, 0, 0),
    // callback(index, ctx): *ctx += index, ends at 7.
    insn(0xdb, 2, 1, 0, 0), insn(0xb7, 0, 0, 0, 0), insn(0x55, 1, 0, 1, 7), insn(0xb7, 0, 0, 0, 1), insn(0x95, 0, 0, 0, 0),
  ]);
  // Linux: bpf_loop in kernel/bpf/bpf_iter.c.
  const helper: Machine["helper"] = (id, [n = 0n, target = 0n, ctx = 0n, flags = 0n], { call }) => {
    expect(id).toBe(181);
    if (flags !== 0n) return BigInt.asUintN(64, -22n);
    const count = BigInt.asUintN(32, n);
    if (count > 8388608n) return BigInt.asUintN(64, -7n);
    for (let at = 0n; at < count; at++) if (call(Number(target), at, ctx) !== 0n) return at + 1n;
    return count;
  };
  for (const [count, flags] of [[0, 0], [3, 0], [20, 0], [20, 1], [8388609, 0], [8388609, 1], [-1, 0]] as const) {
    for (const hidden of [false, true]) {
      for (const checked of [false, true]) compare(() => loop(count, flags, hidden), 1, { helper, ...(checked ? { fuel: 100_000, owns } : {}) }, checked);
    }
  }
});
