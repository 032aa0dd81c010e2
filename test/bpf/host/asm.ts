/** Instructions by name, for programs that tests and fuzzers write down: `alu(64, "add", 0, { reg: 3 })`. Registers are numbers. */
import {
  BPF_ADD, BPF_ALU, BPF_ALU64, BPF_AND, BPF_ARSH, BPF_ATOMIC, BPF_B, BPF_CALL, BPF_CMPXCHG, BPF_DIV, BPF_DW, BPF_END, BPF_EXIT, BPF_FETCH, BPF_H,
  BPF_IMM, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JLE, BPF_JLT, BPF_JMP, BPF_JMP32, BPF_JNE, BPF_JSET, BPF_JSGE, BPF_JSGT, BPF_JSLE, BPF_JSLT,
  BPF_LD, BPF_LDX, BPF_LOAD_ACQ, BPF_LSH, BPF_MEM, BPF_MEMSX, BPF_MOD, BPF_MOV, BPF_MUL, BPF_NEG, BPF_OR, BPF_PSEUDO_CALL, BPF_RSH, BPF_ST,
  BPF_STORE_REL, BPF_STX, BPF_SUB, BPF_W, BPF_X, BPF_XCHG, BPF_XOR, type Insn,
} from "../../../src/bpf/insn.ts";

export type Width = 32 | 64;
export type Operand = { readonly reg: number } | { readonly imm: number };

const insn = (code: number, dst = 0, src = 0, off = 0, imm = 0): Insn => ({ code, dst, src, off, imm });

/** Arithmetic with two operands; name -> operation and offset. */
export const ALU_OPS = {
  add: [BPF_ADD, 0], sub: [BPF_SUB, 0], mul: [BPF_MUL, 0], div: [BPF_DIV, 0], sdiv: [BPF_DIV, 1], or: [BPF_OR, 0], and: [BPF_AND, 0],
  lsh: [BPF_LSH, 0], rsh: [BPF_RSH, 0], mod: [BPF_MOD, 0], smod: [BPF_MOD, 1], xor: [BPF_XOR, 0], mov: [BPF_MOV, 0], arsh: [BPF_ARSH, 0],
} as const;
export type AluOp = keyof typeof ALU_OPS;

export const JUMP_OPS = {
  jeq: BPF_JEQ, jgt: BPF_JGT, jge: BPF_JGE, jset: BPF_JSET, jne: BPF_JNE, jsgt: BPF_JSGT, jsge: BPF_JSGE, jlt: BPF_JLT, jle: BPF_JLE,
  jslt: BPF_JSLT, jsle: BPF_JSLE,
} as const;
export type JumpOp = keyof typeof JUMP_OPS;

export const SIZES = { b: BPF_B, h: BPF_H, w: BPF_W, dw: BPF_DW } as const;
export type Size = keyof typeof SIZES;
export const SIZE_BYTES: Readonly<Record<Size, number>> = { b: 1, h: 2, w: 4, dw: 8 };

export const ATOMIC_OPS = {
  add: BPF_ADD, or: BPF_OR, and: BPF_AND, xor: BPF_XOR, fetch_add: BPF_ADD | BPF_FETCH, fetch_or: BPF_OR | BPF_FETCH,
  fetch_and: BPF_AND | BPF_FETCH, fetch_xor: BPF_XOR | BPF_FETCH, xchg: BPF_XCHG, cmpxchg: BPF_CMPXCHG,
} as const;
export type AtomicOp = keyof typeof ATOMIC_OPS;

const operand = (code: number, dst: number, from: Operand, off: number): Insn =>
  "reg" in from ? insn(code | BPF_X, dst, from.reg, off) : insn(code, dst, 0, off, from.imm);

export const alu = (width: Width, op: AluOp, dst: number, from: Operand): Insn =>
  operand((width === 64 ? BPF_ALU64 : BPF_ALU) | ALU_OPS[op][0], dst, from, ALU_OPS[op][1]);

export const mov = (dst: number, from: number | Operand): Insn => alu(64, "mov", dst, typeof from === "number" ? { imm: from } : from);

export const neg = (width: Width, dst: number): Insn => insn((width === 64 ? BPF_ALU64 : BPF_ALU) | BPF_NEG, dst);

/** Sign-extending move of the lowest `bits`. */
export const movsx = (width: Width, bits: 8 | 16 | 32, dst: number, src: number): Insn =>
  insn((width === 64 ? BPF_ALU64 : BPF_ALU) | BPF_MOV | BPF_X, dst, src, bits);

export const swap = (kind: "le" | "be" | "bswap", bits: 16 | 32 | 64, dst: number): Insn =>
  insn((kind === "bswap" ? BPF_ALU64 : BPF_ALU) | BPF_END | (kind === "be" ? BPF_X : 0), dst, 0, 0, bits);

/** Conditional jump over `distance` slots. */
export const jump = (width: Width, op: JumpOp, dst: number, from: Operand, distance: number): Insn =>
  operand((width === 64 ? BPF_JMP : BPF_JMP32) | JUMP_OPS[op], dst, from, distance);

export const ja = (distance: number): Insn => insn(BPF_JMP | BPF_JA, 0, 0, distance);
/** `gotol`: the distance in imm. */
export const ja32 = (distance: number): Insn => insn(BPF_JMP32 | BPF_JA, 0, 0, 0, distance);
export const exit = (): Insn => insn(BPF_JMP | BPF_EXIT);
export const helper = (id: number): Insn => insn(BPF_JMP | BPF_CALL, 0, 0, 0, id);
/** Call of a subprogram `distance` slots behind the next one. */
export const call = (distance: number): Insn => insn(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, distance);

export const ldx = (size: Size, dst: number, src: number, off: number): Insn => insn(BPF_LDX | BPF_MEM | SIZES[size], dst, src, off);
export const ldxsx = (size: "b" | "h" | "w", dst: number, src: number, off: number): Insn => insn(BPF_LDX | BPF_MEMSX | SIZES[size], dst, src, off);
export const stx = (size: Size, dst: number, off: number, src: number): Insn => insn(BPF_STX | BPF_MEM | SIZES[size], dst, src, off);
export const st = (size: Size, dst: number, off: number, imm: number): Insn => insn(BPF_ST | BPF_MEM | SIZES[size], dst, 0, off, imm);
export const atomic = (size: "w" | "dw", op: AtomicOp, dst: number, off: number, src: number): Insn =>
  insn(BPF_STX | BPF_ATOMIC | SIZES[size], dst, src, off, ATOMIC_OPS[op]);
export const loadAcquire = (size: Size, dst: number, src: number, off: number): Insn =>
  insn(BPF_STX | BPF_ATOMIC | SIZES[size], dst, src, off, BPF_LOAD_ACQ);
export const storeRelease = (size: Size, dst: number, off: number, src: number): Insn =>
  insn(BPF_STX | BPF_ATOMIC | SIZES[size], dst, src, off, BPF_STORE_REL);

/** Both slots of `lddw` with a number; `src` BPF_PSEUDO_*. */
export const lddw = (dst: number, value: bigint, src = 0): Insn[] => [
  insn(BPF_LD | BPF_IMM | BPF_DW, dst, src, 0, Number(BigInt.asIntN(32, value))), insn(0, 0, 0, 0, Number(BigInt.asIntN(32, value >> 32n))),
];
