// What is known of the registers' values: constants, offsets from the frame pointer, and how many of the lower bits can
// be set. One forward pass over the blocks, repeated until loops agree with themselves.
import {
  BPF_ADD, BPF_ALU, BPF_ALU64, BPF_AND, BPF_ARSH, BPF_ATOMIC, BPF_CALL, BPF_CMPXCHG, BPF_DIV, BPF_END, BPF_FETCH, BPF_IMM, BPF_JMP32, BPF_LD,
  BPF_LDX, BPF_LOAD_ACQ, BPF_LSH, BPF_MEMSX, BPF_MOD, BPF_MOV, BPF_MUL, BPF_NEG, BPF_OR, BPF_RSH, BPF_ST, BPF_STORE_REL, BPF_STX, BPF_SUB,
  BPF_TO_BE, BPF_X, BPF_XOR, bpfBytes, bpfClass, bpfMode, bpfOp, bpfSrc,
} from "../insn.ts";
import { Helper } from "../uapi.ts";
import { CALL, functionReference, successors, type Graph, type Slots } from "./program.ts";

/**
 * What a register holds. `constant`: the number (low, high). `func`, `map`: the number of the `lddw` at slot `low`. `frame`: r10 + low.
 * `bits8` to `bits32`: no bit above is set. `any`: nothing is known.
 */
export const Kind = { none: 0, constant: 1, func: 2, map: 3, frame: 4, bits8: 5, bits16: 6, bits32: 7, any: 8 } as const;

export const REGISTERS = 11;
const FP = 10;

export class Values {
  readonly kind = new Uint8Array(REGISTERS);
  readonly low = new Int32Array(REGISTERS);
  readonly high = new Int32Array(REGISTERS);
}

/** The values at the start of each block. */
export interface BlockValues {
  readonly kind: Uint8Array;
  readonly low: Int32Array;
  readonly high: Int32Array;
}

export interface ValueOptions {
  /** Whether the `lddw` at a slot loads a map's address. */
  readonly isMap: (slot: number) => boolean;
  /** Calls leave r1 to r5 undefined. */
  readonly clobber: boolean;
  /** The function is where the program starts: its registers are 0 but for r1 and r2. */
  readonly main: boolean;
}

export function loadValues(values: Values, blocks: BlockValues, block: number): void {
  // One by one: sub-arrays would be garbage for every block.
  for (let register = 0, at = block * REGISTERS; register < REGISTERS; register++, at++) {
    values.kind[register] = blocks.kind[at]!;
    values.low[register] = blocks.low[at]!;
    values.high[register] = blocks.high[at]!;
  }
}

/** The least of `bits8`… `any` that holds for a number with these halves. */
const bitsOf = (low: number, high: number): number =>
  high !== 0 ? Kind.any : low >>> 8 === 0 ? Kind.bits8 : low >>> 16 === 0 ? Kind.bits16 : Kind.bits32;

/** How many bits a register can have set, as a kind. */
export function width(values: Values, register: number): number {
  switch (values.kind[register]) {
    case Kind.constant:
      return bitsOf(values.low[register]!, values.high[register]!);
    case Kind.func:
      return Kind.bits32;
    case Kind.map:
      return Kind.any;
    case Kind.frame: {
      const offset = values.low[register]!;
      return offset <= 0 && offset >= -512 ? Kind.bits32 : Kind.any;
    }
    default:
      return values.kind[register]!;
  }
}

export function forwardValues(slots: Slots, graph: Graph, liveIn: Uint16Array, options: ValueOptions): BlockValues {
  const { count } = graph;
  const blocks: BlockValues = {
    kind: new Uint8Array(count * REGISTERS),
    low: new Int32Array(count * REGISTERS),
    high: new Int32Array(count * REGISTERS),
  };
  for (let register = 0; register < REGISTERS; register++) {
    const argument = register >= 1 && register <= (options.main ? 2 : 5);
    blocks.kind[register] = argument ? Kind.any : Kind.constant;
  }
  if (options.main) blocks.kind[1] = Kind.bits32;
  blocks.kind[FP] = Kind.frame;

  const values = new Values();
  const dirty = new Uint8Array(count);
  dirty[0] = 1;
  let again = true;
  let current = 0;
  const flow = (to: number): void => {
    if (!join(values, blocks, to, liveIn[to]!)) return;
    dirty[to] = 1;
    if (to <= current) again = true;
  };
  while (again) {
    again = false;
    for (current = 0; current < count; current++) {
      if (dirty[current] === 0) continue;
      dirty[current] = 0;
      loadValues(values, blocks, current);
      const stop = graph.stop[current]!;
      for (let slot = graph.start[current]!; slot < stop; slot++) {
        if (slots.second[slot] === 0) step(slots, slot, values, options);
      }
      successors(graph, current, flow);
    }
  }
  return blocks;
}

/** Joins the values at the end of a block into those of one that follows; whether they changed. Only live registers count. */
function join(values: Values, blocks: BlockValues, to: number, live: number): boolean {
  let changed = false;
  for (let register = 0; register < REGISTERS; register++) {
    const at = to * REGISTERS + register;
    const old = blocks.kind[at]!;
    if (old === Kind.any) continue;
    const kind = register === FP || (live & (1 << register)) !== 0 ? values.kind[register]! : Kind.any;
    const low = values.low[register]!;
    const high = values.high[register]!;
    if (old === Kind.none) {
      blocks.kind[at] = kind;
      blocks.low[at] = low;
      blocks.high[at] = high;
      changed = true;
      continue;
    }
    if (old === kind && (kind >= Kind.bits8 || (blocks.low[at] === low && blocks.high[at] === high))) continue;
    const was = old === Kind.constant ? bitsOf(blocks.low[at]!, blocks.high[at]!) : old === Kind.func ? Kind.bits32 : old < Kind.bits8 ? Kind.any : old;
    const wide = Math.max(was, kind === Kind.any ? Kind.any : width(values, register));
    // A frame pointer that joins another value is one no longer: see frame.ts.
    if (wide === old) continue;
    blocks.kind[at] = wide;
    blocks.low[at] = 0;
    blocks.high[at] = 0;
    changed = true;
  }
  return changed;
}

const number64 = (low: number, high: number): bigint => (BigInt(high) << 32n) | BigInt(low >>> 0);

/** The number that a register is known to hold. */
export function knownNumber(slots: Slots, values: Values, register: number): { low: number; high: number } | undefined {
  switch (values.kind[register]) {
    case Kind.constant:
      return { low: values.low[register]!, high: values.high[register]! };
    case Kind.func:
      return { low: slots.imm[values.low[register]!]!, high: 0 };
    case Kind.map: {
      const slot = values.low[register]!;
      return { low: slots.imm[slot]!, high: slots.imm[slot + 1]! };
    }
    default:
      return undefined;
  }
}

function put(values: Values, register: number, kind: number, low = 0, high = 0): void {
  values.kind[register] = kind;
  values.low[register] = low;
  values.high[register] = high;
}

/** Takes one instruction into account. */
export function step(slots: Slots, slot: number, values: Values, options: ValueOptions): void {
  const code = slots.code[slot]!;
  const dst = slots.dst[slot]!;
  switch (bpfClass(code)) {
    case BPF_LD:
      if (bpfMode(code) !== BPF_IMM) put(values, 0, Kind.any);
      else if (functionReference(slots, slot) !== undefined) put(values, dst, Kind.func, slot);
      else if (options.isMap(slot)) put(values, dst, Kind.map, slot);
      else put(values, dst, Kind.constant, slots.imm[slot]!, slots.imm[slot + 1]!);
      return;
    case BPF_LDX:
      put(values, dst, bpfMode(code) === BPF_MEMSX ? Kind.any : loaded(bpfBytes(code)));
      return;
    case BPF_ST:
      return;
    case BPF_STX: {
      if (bpfMode(code) !== BPF_ATOMIC) return;
      const what = slots.imm[slot]!;
      if (what === BPF_STORE_REL) return;
      if (what === BPF_LOAD_ACQ) put(values, dst, loaded(bpfBytes(code)));
      else if (what === BPF_CMPXCHG) put(values, 0, loaded(bpfBytes(code)));
      else if ((what & BPF_FETCH) !== 0) put(values, slots.src[slot]!, loaded(bpfBytes(code)));
      return;
    }
    case BPF_ALU:
    case BPF_ALU64:
      alu(slots, slot, values);
      return;
    default:
      if (bpfOp(code) !== BPF_CALL || bpfClass(code) === BPF_JMP32) return;
      put(values, 0, code === CALL && slots.src[slot] === 0 && slots.imm[slot] === Helper.map_lookup_elem ? Kind.bits32 : Kind.any);
      if (options.clobber) for (let register = 1; register <= 5; register++) put(values, register, Kind.any);
  }
}

const loaded = (bytes: number): number => (bytes === 1 ? Kind.bits8 : bytes === 2 ? Kind.bits16 : bytes === 4 ? Kind.bits32 : Kind.any);

function alu(slots: Slots, slot: number, values: Values): void {
  const code = slots.code[slot]!;
  const dst = slots.dst[slot]!;
  const src = slots.src[slot]!;
  const wide = bpfClass(code) === BPF_ALU64;
  const op = bpfOp(code);
  const register = bpfSrc(code) === BPF_X && op !== BPF_NEG && op !== BPF_END;
  const off = slots.off[slot]!;
  const imm = slots.imm[slot]!;

  if (wide && op === BPF_MOV && off === 0 && register) {
    put(values, dst, values.kind[src]!, values.low[src]!, values.high[src]!);
    return;
  }
  if (wide && (op === BPF_ADD || op === BPF_SUB)) {
    // Frame pointer and a number that fits.
    const by = register ? (values.kind[src] === Kind.constant && values.high[src] === values.low[src]! >> 31 ? values.low[src]! : undefined) : imm;
    if (values.kind[dst] === Kind.frame && by !== undefined) {
      const offset = op === BPF_ADD ? values.low[dst]! + by : values.low[dst]! - by;
      put(values, dst, Math.abs(offset) < 0x10000000 ? Kind.frame : Kind.any, offset);
      return;
    }
    if (op === BPF_ADD && register && values.kind[src] === Kind.frame && values.kind[dst] === Kind.constant && values.high[dst] === values.low[dst]! >> 31) {
      const offset = values.low[src]! + values.low[dst]!;
      put(values, dst, Math.abs(offset) < 0x10000000 ? Kind.frame : Kind.any, offset);
      return;
    }
  }
  const result = foldedResult(slots, slot, values);
  if (result !== undefined) {
    put(values, dst, Kind.constant, result.low, result.high);
    return;
  }
  put(values, dst, resultWidth(code, op, wide, register, off, imm, values, dst, src));
}

/** What arithmetic gives whose operands are known. */
export function foldedResult(slots: Slots, slot: number, values: Values): { low: number; high: number } | undefined {
  const code = slots.code[slot]!;
  const op = bpfOp(code);
  const imm = slots.imm[slot]!;
  const register = bpfSrc(code) === BPF_X && op !== BPF_NEG && op !== BPF_END;
  // Most are not known, and most that are, are moves.
  if (op !== BPF_MOV && (values.kind[slots.dst[slot]!]! > Kind.map || values.kind[slots.dst[slot]!] === Kind.none)) return undefined;
  if (op === BPF_MOV && !register) return { low: imm, high: bpfClass(code) === BPF_ALU64 ? imm >> 31 : 0 };
  const right = register ? knownNumber(slots, values, slots.src[slot]!) : { low: imm, high: imm >> 31 };
  if (right === undefined) return undefined;
  const left = op === BPF_MOV ? right : knownNumber(slots, values, slots.dst[slot]!);
  if (left === undefined) return undefined;
  const result = fold(code, slots.off[slot]!, imm, number64(left.low, left.high), number64(right.low, right.high));
  return result === undefined ? undefined : { low: Number(BigInt.asIntN(32, result)), high: Number(BigInt.asIntN(32, result >> 32n)) };
}

function resultWidth(code: number, op: number, wide: boolean, register: boolean, off: number, imm: number, values: Values, dst: number, src: number): number {
  const limit = wide ? Kind.any : Kind.bits32;
  const left = width(values, dst);
  const right = register ? width(values, src) : imm < 0 && wide ? Kind.any : bitsOf(imm, 0);
  switch (op) {
    case BPF_MOV:
      return Math.min(off === 0 ? right : limit, limit);
    case BPF_AND:
      return Math.min(left, right, limit);
    case BPF_OR:
    case BPF_XOR:
      return Math.min(Math.max(left, right), limit);
    case BPF_RSH:
      return Math.min(left, limit);
    case BPF_DIV:
      return off === 0 ? Math.min(left, limit) : limit;
    case BPF_MOD:
      return off === 0 ? Math.min(left, limit) : limit;
    case BPF_ARSH:
      // Of a number whose sign is not set.
      return wide && left !== Kind.any ? left : !wide && left < Kind.bits32 ? left : limit;
    case BPF_ADD:
    case BPF_MUL:
      // Two bytes add and multiply to at most two bytes, two halves to four, two words to eight.
      if (op === BPF_ADD && Math.max(left, right) < Kind.bits32) return Math.max(left, right) + 1;
      if (op === BPF_MUL && Math.max(left, right) < Kind.bits32) return Math.max(left, right) + 1;
      return limit;
    case BPF_END:
      if (imm === 16) return Kind.bits16;
      if (imm === 32) return Kind.bits32;
      return (code & BPF_TO_BE) === 0 && !wide ? left : Kind.any;
    default:
      return limit;
  }
}

/** The 64 bits that arithmetic on two known numbers gives; undefined: left to run time. */
function fold(code: number, off: number, imm: number, left: bigint, right: bigint): bigint | undefined {
  const wide = bpfClass(code) === BPF_ALU64;
  const bits = wide ? 64 : 32;
  const a = BigInt.asUintN(bits, left);
  const b = BigInt.asUintN(bits, right);
  const shift = b & BigInt(bits - 1);
  const signed = (value: bigint): bigint => BigInt.asIntN(bits, value);
  const result = ((): bigint | undefined => {
    switch (bpfOp(code)) {
      case BPF_ADD: return a + b;
      case BPF_SUB: return a - b;
      case BPF_MUL: return a * b;
      case BPF_AND: return a & b;
      case BPF_OR: return a | b;
      case BPF_XOR: return a ^ b;
      case BPF_LSH: return a << shift;
      case BPF_RSH: return a >> shift;
      case BPF_ARSH: return signed(a) >> shift;
      case BPF_NEG: return -a;
      case BPF_MOV: return off === 0 ? b : BigInt.asIntN(off, b);
      case BPF_DIV:
        if (b === 0n) return 0n;
        return off === 0 ? a / b : signed(a) / signed(b);
      case BPF_MOD:
        if (b === 0n) return a;
        return off === 0 ? a % b : signed(a) % signed(b);
      case BPF_END:
        if (!wide && (code & BPF_TO_BE) === 0) return BigInt.asUintN(imm, left);
        return undefined;
      default: return undefined;
    }
  })();
  if (result === undefined) return undefined;
  return BigInt.asUintN(bpfOp(code) === BPF_END ? 64 : bits, result);
}
