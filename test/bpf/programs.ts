// Random programs for comparing engines. `structured` ones end by themselves and touch only what is theirs; `wild` ones jump wherever they
// like (loops with several entries too) and touch anything, so they want fuel and checked memory.
import { encodeInsns, type Insn } from "../../src/bpf/insn.ts";

export type Random = (below: number) => number;

/** A small generator (xorshift32) with a seed: the same programs on every machine. */
export function randomOf(seed: number): Random {
  let state = (seed * 2654435761 + 88172645) >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % below;
  };
}

const ALU = [0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80, 0x90, 0xa0, 0xb0, 0xc0, 0xd0];
const JUMPS = [0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xa0, 0xb0, 0xc0, 0xd0];
const NUMBERS = [0, 1, -1, 2, 7, 8, 31, 32, 33, 63, 64, 127, 255, 256, 0x7fff, 0xffff, 0x10000, 0x7fffffff, -0x80000000, -2, 0x12345678];
const SIZES = [0x00, 0x08, 0x10, 0x18];
const BYTES = [4, 2, 1, 8];
/** Bytes at r1, all of which a program may use. */
export const PACKET = 64;

const insn = (code: number, dst: number, src: number, off: number, imm: number): Insn => ({ code, dst, src, off, imm });
const number = (random: Random): number => (random(3) === 0 ? (random(0x10000) << 16) | random(0x10000) : NUMBERS[random(NUMBERS.length)]!);

/** One arithmetic instruction (or lddw's two slots) on r0 to r5 and r7 to r9; r6 holds the packet. */
function arithmetic(random: Random, registers: readonly number[]): Insn[] {
  const dst = registers[random(registers.length)]!;
  const src = registers[random(registers.length)]!;
  const wide = random(2) === 0;
  const family = wide ? 7 : 4;
  if (random(16) === 0) return [insn(0x18, dst, 0, 0, number(random)), insn(0, 0, 0, 0, number(random))];
  const op = ALU[random(ALU.length)]!;
  if (op === 0xd0) return [insn(0xd0 | (wide ? 7 : 4 | (random(2) << 3)), dst, 0, 0, [16, 32, 64][random(3)]!)];
  if (op === 0x80) return [insn(family | op, dst, 0, 0, 0)];
  const register = random(2) === 0;
  const shift = op === 0x60 || op === 0x70 || op === 0xc0;
  if (op === 0xb0 && register && random(2) === 0) {
    return [insn(family | 0x08 | op, dst, src, wide ? [8, 16, 32][random(3)]! : [8, 16][random(2)]!, 0)];
  }
  const off = (op === 0x30 || op === 0x90) && random(2) === 0 ? 1 : 0;
  if (register) return [insn(family | 0x08 | op, dst, src, off, 0)];
  return [insn(family | op, dst, 0, off, shift ? random(wide ? 64 : 32) : number(random))];
}

/** Loads, stores and atomic operations inside of the frame or the packet. */
function memory(random: Random, registers: readonly number[]): Insn[] {
  const dst = registers[random(registers.length)]!;
  const stack = random(3) !== 0;
  const base = stack ? 10 : 6;
  const size = random(4);
  const bytes = BYTES[size]!;
  const room = stack ? 48 : PACKET;
  const aligned = random(4) !== 0;
  let off = random(room - bytes + 1);
  if (aligned) off -= off % bytes;
  if (stack) off -= 48;
  if (stack && bytes === 4 && random(2) === 0) return [insn(random(2) === 0 ? 0x61 : 0x81, dst, 10, -64 + 4 * random(4), 0)];
  if (stack && bytes === 4 && random(2) === 0) return [insn(0x63, 10, dst, -64 + 4 * random(4), 0)];
  switch (random(8)) {
    case 0: return [insn(0x62 | SIZES[size]!, base, 0, off, number(random))];
    case 1: case 2: return [insn(0x63 | SIZES[size]!, base, dst, off, 0)];
    case 3: return bytes === 8 ? [insn(0x79, dst, base, off, 0)] : [insn(0x81 | SIZES[size]!, dst, base, off, 0)];
    case 4: {
      if (bytes < 4) return [insn(0x61, dst, base, stack ? -8 : 4, 0)];
      const op = [0x00, 0x40, 0x50, 0xa0, 0x01, 0x41, 0x51, 0xa1, 0xe1, 0xf1][random(10)]!;
      return [insn(0xc3 | SIZES[size]!, base, dst, off - (off % bytes), op)];
    }
    case 5: {
      // The same place by another register.
      if (!stack) return [insn(0x61 | SIZES[size]!, dst, base, off, 0)];
      return [insn(0xbf, dst, 10, 0, 0), insn(0x07, dst, 0, 0, -64), insn(0x61 | SIZES[size]!, dst, dst, off + 64, 0)];
    }
    default: return [insn(0x61 | SIZES[size]!, dst, base, off, 0)];
  }
}

function jump(random: Random, registers: readonly number[], off: number): Insn {
  const op = JUMPS[random(JUMPS.length)]! | (random(2) === 0 ? 5 : 6);
  const dst = registers[random(registers.length)]!;
  if (random(2) === 0) return insn(op | 0x08, dst, registers[random(registers.length)]!, off, 0);
  return insn(op, dst, 0, off, number(random));
}

/** Statements: straight code, if, if-else, counted loops (their counters live in the frame below -64, or in r8), local calls. */
function statements(random: Random, depth: number, calls: ((at: number) => Insn) | undefined, registers: readonly number[], loops: { next: number }): Insn[] {
  const out: Insn[] = [];
  const count = 1 + random(5);
  for (let n = 0; n < count; n++) {
    const what = depth > 3 ? random(5) : random(9);
    if (what < 3) out.push(...arithmetic(random, registers));
    else if (what < 5) out.push(...memory(random, registers));
    else if (what === 5 && calls !== undefined && random(2) === 0) {
      // A callee finds the packet in r1; afterwards r1 to r5 are nobody's.
      out.push(insn(0xbf, 1, 6, 0, 0), calls(0));
      for (const register of [2, 3, 4, 5]) out.push(insn(0xb7, register, 0, 0, number(random)));
    }
    else if (what < 7) {
      const body = statements(random, depth + 1, calls, registers, loops);
      out.push(jump(random, registers, body.length), ...body);
    } else if (what === 7) {
      const one = statements(random, depth + 1, calls, registers, loops);
      const other = statements(random, depth + 1, calls, registers, loops);
      out.push(jump(random, registers, one.length + 1), ...one, insn(0x05, 0, 0, other.length, 0), ...other);
    } else if (loops.next > -200) {
      const counter = loops.next;
      loops.next -= 8;
      const body = statements(random, depth + 1, undefined, registers, loops);
      // *(u64 *)(r10 + counter) = 0; do { body; r7 = ++counter } while (r7 < n)
      out.push(insn(0x7a, 10, 0, counter, 0), ...body, insn(0x79, 7, 10, counter, 0), insn(0x07, 7, 0, 0, 1), insn(0x7b, 10, 7, counter, 0));
      out.push(insn(0xa5, 7, 0, -(body.length + 4), 2 + random(3)));
    }
  }
  return out;
}

/** A program that ends, keeps to its frame and to the 64 bytes at r1, and has up to two subprograms. */
export function structured(random: Random): Uint8Array {
  const registers = [0, 2, 3, 4, 5, 7, 9];
  const subprograms = random(3);
  const parts: { at: number; code: Insn[] }[] = [];
  for (let part = 0; part <= subprograms; part++) {
    const callable = part < subprograms;
    const code: Insn[] = [insn(0xbf, 6, 1, 0, 0)];
    for (const register of registers) code.push(insn(0xb7, register, 0, 0, number(random)));
    for (let off = -48; off < 0; off += 8) code.push(insn(0x7a, 10, 0, off, number(random)));
    for (let off = -64; off < -48; off += 4) code.push(insn(0x62, 10, 0, off, number(random)));
    const call = callable
      ? (): Insn => insn(0x85, 0, 1, 0, part + 1 + random(subprograms - part))
      : undefined;
    const body = statements(random, 0, call, registers, { next: -72 });
    code.push(...body, insn(0x95, 0, 0, 0, 0));
    parts.push({ at: 0, code });
  }
  const all: Insn[] = [];
  for (const part of parts) {
    part.at = all.length;
    all.push(...part.code);
  }
  all.forEach((each, slot) => {
    if (each.code === 0x85 && each.src === 1) each.imm = parts[each.imm]!.at - slot - 1;
  });
  return encodeInsns(all);
}

/** Jumps anywhere, touches anything; may run for ever. */
export function wild(random: Random): Uint8Array {
  const registers = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
  const all: Insn[] = [];
  const length = 5 + random(60);
  while (all.length < length) {
    const what = random(10);
    if (what < 4) all.push(...arithmetic(random, registers));
    else if (what < 6) all.push(...memory(random, registers));
    else if (what < 9) all.push(jump(random, registers, 0));
    else all.push(insn(random(3) === 0 ? 0x06 : 0x05, 0, 0, 0, 0));
    if (random(8) === 0) {
      const [base, bytes] = [[1, 6, 10, registers[random(10)]!][random(4)]!, random(4)];
      all.push(insn((random(2) === 0 ? 0x61 : 0x63) | SIZES[bytes]!, base === 10 ? 10 : base, random(10), random(140) - 70, 0));
      if (all.at(-1)!.code % 8 === 1) [all.at(-1)!.dst, all.at(-1)!.src] = [all.at(-1)!.src, base];
    }
    if (random(20) === 0) all.push(insn(0x95, 0, 0, 0, 0));
    if (random(30) === 0) all.push(insn(0xbf, random(10), 10, 0, 0));
  }
  all.push(insn(0x95, 0, 0, 0, 0));
  const starts = all.flatMap((_, slot) => (slot > 0 && all[slot - 1]!.code === 0x18 ? [] : [slot]));
  all.forEach((each, slot) => {
    const kind = each.code & 7;
    if (slot > 0 && all[slot - 1]!.code === 0x18) return;
    if ((kind !== 5 && kind !== 6) || each.code === 0x95) return;
    const to = starts[random(starts.length)]! - slot - 1;
    if (each.code === 0x06) each.imm = to;
    else each.off = to;
  });
  return encodeInsns(all);
}
