// eBPF instructions, RFC 9669: opcodes under the names of Linux's include/uapi/linux/bpf.h and bpf_common.h, and the
// two ways of holding a program: 8-byte slots as in objects, and one decoded `Insn` a slot.
//
//   0        1        2        4                 8
//  ├─ code ─┼ src|dst ┼─ off ──┼────── imm ──────┤   little endian; dst is the lower half of byte 1
//
// `lddw` (BPF_LD | BPF_IMM | BPF_DW) takes two slots: the upper half of its number is the second slot's imm, whose
// other fields are 0. Jumps and calls count slots.

/** Instruction classes: the lowest three bits of `code`. */
export const BPF_LD = 0x00;
export const BPF_LDX = 0x01;
export const BPF_ST = 0x02;
export const BPF_STX = 0x03;
export const BPF_ALU = 0x04;
export const BPF_JMP = 0x05;
export const BPF_JMP32 = 0x06;
export const BPF_ALU64 = 0x07;

/** Operand source of arithmetic and jumps: the immediate or the register. */
export const BPF_K = 0x00;
export const BPF_X = 0x08;

/** Width of loads and stores. */
export const BPF_W = 0x00;
export const BPF_H = 0x08;
export const BPF_B = 0x10;
export const BPF_DW = 0x18;

/** Mode of loads and stores. BPF_PROBE_* are what Linux's verifier turns loads into; they never come from outside. */
export const BPF_IMM = 0x00;
export const BPF_ABS = 0x20;
export const BPF_IND = 0x40;
export const BPF_MEM = 0x60;
export const BPF_MEMSX = 0x80;
export const BPF_ATOMIC = 0xc0;

/** Arithmetic. Offset 1 makes BPF_DIV and BPF_MOD signed; offset 8, 16 or 32 makes BPF_MOV sign-extending. */
export const BPF_ADD = 0x00;
export const BPF_SUB = 0x10;
export const BPF_MUL = 0x20;
export const BPF_DIV = 0x30;
export const BPF_OR = 0x40;
export const BPF_AND = 0x50;
export const BPF_LSH = 0x60;
export const BPF_RSH = 0x70;
export const BPF_NEG = 0x80;
export const BPF_MOD = 0x90;
export const BPF_XOR = 0xa0;
export const BPF_MOV = 0xb0;
export const BPF_ARSH = 0xc0;
export const BPF_END = 0xd0;

/** Byte order of BPF_END (in place of BPF_K and BPF_X); in class BPF_ALU64, BPF_END swaps always. */
export const BPF_TO_LE = 0x00;
export const BPF_TO_BE = 0x08;

/** Jumps. BPF_JMP32 | BPF_JA takes its distance from imm; BPF_CALL | BPF_X is `callx`, which Linux refuses. */
export const BPF_JA = 0x00;
export const BPF_JEQ = 0x10;
export const BPF_JGT = 0x20;
export const BPF_JGE = 0x30;
export const BPF_JSET = 0x40;
export const BPF_JNE = 0x50;
export const BPF_JSGT = 0x60;
export const BPF_JSGE = 0x70;
export const BPF_CALL = 0x80;
export const BPF_EXIT = 0x90;
export const BPF_JLT = 0xa0;
export const BPF_JLE = 0xb0;
export const BPF_JSLT = 0xc0;
export const BPF_JSLE = 0xd0;
export const BPF_JCOND = 0xe0;

/** Atomic operations (imm of BPF_STX | BPF_ATOMIC): BPF_ADD, BPF_AND, BPF_OR, BPF_XOR, with BPF_FETCH, and these. */
export const BPF_FETCH = 0x01;
export const BPF_XCHG = 0xe0 | BPF_FETCH;
export const BPF_CMPXCHG = 0xf0 | BPF_FETCH;
export const BPF_LOAD_ACQ = 0x100;
export const BPF_STORE_REL = 0x110;

/** src of `lddw`: what its imm stands for. */
export const BPF_PSEUDO_MAP_FD = 1;
export const BPF_PSEUDO_MAP_VALUE = 2;
export const BPF_PSEUDO_BTF_ID = 3;
export const BPF_PSEUDO_FUNC = 4;
export const BPF_PSEUDO_MAP_IDX = 5;
export const BPF_PSEUDO_MAP_IDX_VALUE = 6;

/** src of a call: 0 is a helper. */
export const BPF_PSEUDO_CALL = 1;
export const BPF_PSEUDO_KFUNC_CALL = 2;

/** Registers programs may name: r0 to r10; r10 is the frame pointer. */
export const BPF_REG_FP = 10;
export const MAX_BPF_REG = 11;

/** Most instruction slots of a program (BPF_MAXINSNS without CAP_BPF, BPF_COMPLEXITY_LIMIT_INSNS with it). */
export const BPF_MAXINSNS = 4096;
export const BPF_COMPLEXITY_LIMIT_INSNS = 1_000_000;

/** One slot, decoded. `off` and `imm` are signed; `dst` and `src` are 0 to 15. */
export interface Insn {
  code: number;
  dst: number;
  src: number;
  off: number;
  imm: number;
}

/** Class, width, mode, operation and operand source of an opcode. */
export const bpfClass = (code: number): number => code & 0x07;
export const bpfSize = (code: number): number => code & 0x18;
export const bpfMode = (code: number): number => code & 0xe0;
export const bpfOp = (code: number): number => code & 0xf0;
export const bpfSrc = (code: number): number => code & 0x08;

/** Bytes a load or store of this opcode moves: 1, 2, 4 or 8. */
export function bpfBytes(code: number): number {
  switch (code & 0x18) {
    case BPF_W:
      return 4;
    case BPF_H:
      return 2;
    case BPF_B:
      return 1;
    default:
      return 8;
  }
}

/** Whether a slot is the first of an `lddw`. */
export const isLddw = (insn: Insn): boolean => insn.code === (BPF_LD | BPF_IMM | BPF_DW);

/**
 * Decodes a program, one `Insn` a slot (also the second slot of `lddw`).
 * Throws a RangeError when `bytes` is no multiple of 8.
 */
export function decodeInsns(bytes: Uint8Array): Insn[] {
  if (bytes.length % 8 !== 0) throw new RangeError(`program of ${bytes.length} bytes: slots have 8`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const insns: Insn[] = new Array(bytes.length / 8);
  for (let slot = 0, at = 0; at < bytes.length; slot++, at += 8) {
    const registers = view.getUint8(at + 1);
    insns[slot] = {
      code: view.getUint8(at),
      dst: registers & 0xf,
      src: registers >> 4,
      off: view.getInt16(at + 2, true),
      imm: view.getInt32(at + 4, true),
    };
  }
  return insns;
}

/** The slots of a program as bytes: the inverse of `decodeInsns`. */
export function encodeInsns(insns: readonly Insn[]): Uint8Array {
  const bytes = new Uint8Array(insns.length * 8);
  const view = new DataView(bytes.buffer);
  for (let slot = 0; slot < insns.length; slot++) {
    const insn = insns[slot]!;
    view.setUint8(slot * 8, insn.code);
    view.setUint8(slot * 8 + 1, (insn.src << 4) | (insn.dst & 0xf));
    view.setInt16(slot * 8 + 2, insn.off, true);
    view.setInt32(slot * 8 + 4, insn.imm, true);
  }
  return bytes;
}
