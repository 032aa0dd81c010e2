// A program's slots become the interpreter's instructions (ops.ts), and are checked for form on the way: what kernel/bpf/verifier.c refuses
// in resolve_pseudo_ldimm64, check_subprogs and do_check_insn without looking at any register's value. Holds whether or not the verifier ran.
import {
  BPF_BAD_END, BPF_BAD_FRAME_POINTER, BPF_BAD_HELPER, BPF_BAD_JUMP, BPF_BAD_KFUNC, BPF_BAD_LDDW, BPF_BAD_OPCODE, BPF_BAD_REGISTER, BPF_BAD_RESERVED,
  BPF_LOAD_F_VERIFIED, BPF_SLOT_PROBE,
} from "../abi/bpf";
import { EINVAL, ENOMEM } from "../abi/core";
import { kfree, kmalloc } from "../mm/slab";
import { bpfHelperKnown } from "./helpers/index";
import {
  ALU32_K, ALU32_X, ALU64_K, ALU64_X, ATOMIC, CALLX, CATOMIC, CLDX, CLDXS, CST, CSTX, EXIT, FUEL, HELPER, JA, JMP32_K, JMP32_X, JMP64_K, JMP64_X,
  LDX, LDXS, LDX_PROBE, LD_ABS, LD_IND, LOCAL_CALL, MAY_GOTO, MOV, MOVSX32_16, MOVSX32_8, MOVSX64_16, MOVSX64_32, MOVSX64_8, NOP, OP_BYTES, SDIV, SMOD,
  ST, STX, SWAP16, SWAP32, SWAP64, TAIL_CALL, ZEXT16, ZEXT32,
} from "./ops";
import { BpfProg } from "./prog";

// Classes and modes, include/uapi/linux/bpf_common.h and bpf.h
const CLASS_LD: u32 = 0, CLASS_LDX: u32 = 1, CLASS_ST: u32 = 2, CLASS_STX: u32 = 3, CLASS_ALU: u32 = 4, CLASS_JMP: u32 = 5, CLASS_JMP32: u32 = 6,
  CLASS_ALU64: u32 = 7;
const LDDW: u32 = 0x18, JA32: u32 = 0x06, CALL: u32 = 0x85, CALL_X: u32 = 0x8d, EXIT_CODE: u32 = 0x95, JA_CODE: u32 = 0x05, JCOND: u32 = 0xe5;
const MODE_ABS: u32 = 0x20, MODE_IND: u32 = 0x40, MODE_MEM: u32 = 0x60, MODE_MEMSX: u32 = 0x80, MODE_ATOMIC: u32 = 0xc0;
const HELPER_TAIL_CALL: u32 = 12;
const KFUNC_FIRST: u32 = 0x10000;

// Notes on slots
const LEADER: u8 = 1; // something jumps or returns here
const SECOND: u8 = 2; // second half of an lddw

/** One slot of the program as it was given. */
@unmanaged class Slot {
  code: u8;
  registers: u8;
  off: i16;
  imm: i32;
}

/**
 * Checks the slots at `slots` and makes the program's code. `probes`: BPF_SLOT_* by slot, or 0. Returns 0, -ENOMEM, or -EINVAL with {slot, reason,
 * detail} at `answer`.
 */
export function decode(prog: BpfProg, slots: usize, probes: usize, answer: usize): i32 {
  const count = prog.slots;
  const notes = kmalloc(count);
  prog.entries = kmalloc(count << 2);
  if (notes == 0 || prog.entries == 0) {
    kfree(notes, count);
    return -ENOMEM;
  }
  const unchecked = (prog.flags & BPF_LOAD_F_VERIFIED) != 0;
  let error = 0;
  let slot: u32 = 0;
  for (; slot < count && error == 0; slot++) {
    const reason = checkSlot(slots, slot, count, notes, answer);
    if (reason == 0) {
      if (load<u8>(slots + <usize>(slot << 3)) == <u8>LDDW) slot++;
      continue;
    }
    store<u32>(answer, slot);
    store<u32>(answer, reason, 4);
    error = -EINVAL;
  }
  if (error == 0) error = checkEnds(slots, count, notes, answer);
  if (error == 0 && !emit(prog, slots, probes, notes, unchecked)) error = -ENOMEM;
  kfree(notes, count);
  return error;
}

/** No jump goes into an lddw, and the program does not run off its end. */
function checkEnds(slots: usize, count: u32, notes: usize, answer: usize): i32 {
  for (let slot: u32 = 0; slot < count; slot++) {
    if ((load<u8>(notes + <usize>slot) & (LEADER | SECOND)) != (LEADER | SECOND)) continue;
    store<u32>(answer, slot - 1);
    store<u32>(answer, BPF_BAD_JUMP, 4);
    store<u32>(answer, slot, 8);
    return -EINVAL;
  }
  const last = slots + <usize>((count - 1) << 3);
  const code = <u32>load<u8>(last);
  if (code == EXIT_CODE || code == JA_CODE || code == JA32) {
    if (!(load<u8>(notes + <usize>(count - 1)) & SECOND)) return 0;
  }
  store<u32>(answer, count - 1);
  store<u32>(answer, BPF_BAD_END, 4);
  return -EINVAL;
}

/** One slot by itself: 0, or BPF_BAD_*, its detail at `answer` + 8. Notes where it may go. */
function checkSlot(slots: usize, slot: u32, count: u32, notes: usize, answer: usize): u32 {
  const s = changetype<Slot>(slots + <usize>(slot << 3));
  const code = <u32>s.code, dst = <u32>s.registers & 15, src = <u32>s.registers >>> 4, off = <i32>s.off, imm = s.imm;
  store<u32>(answer, code, 8);
  if (dst > 10 || src > 10) {
    store<u32>(answer, dst > 10 ? dst : src, 8);
    return BPF_BAD_REGISTER;
  }
  switch (code & 7) {
    case CLASS_ALU: case CLASS_ALU64: {
      const bad = checkAlu(code, dst, src, off, imm);
      if (bad != 0) return bad;
      return dst == 10 ? BPF_BAD_FRAME_POINTER : 0;
    }
    case CLASS_JMP: case CLASS_JMP32: return checkJump(s, slot, count, notes, answer);
    case CLASS_LD: {
      if (code == LDDW) {
        if (slot + 1 >= count) return BPF_BAD_LDDW;
        const next = changetype<Slot>(slots + <usize>((slot + 1) << 3));
        if (next.code != 0 || next.registers != 0 || next.off != 0) return BPF_BAD_LDDW;
        store<u8>(notes + <usize>(slot + 1), load<u8>(notes + <usize>(slot + 1)) | SECOND);
        if (off != 0 || src > 6) return BPF_BAD_RESERVED;
        return dst == 10 ? BPF_BAD_FRAME_POINTER : 0;
      }
      const mode = code & 0xe0;
      if ((mode != MODE_ABS && mode != MODE_IND) || (code & 0x18) == 0x18) return BPF_BAD_OPCODE;
      return dst != 0 || off != 0 || (mode == MODE_ABS && src != 0) ? BPF_BAD_RESERVED : 0;
    }
    case CLASS_LDX: {
      const mode = code & 0xe0;
      if (mode != MODE_MEM && (mode != MODE_MEMSX || (code & 0x18) == 0x18)) return BPF_BAD_OPCODE;
      if (imm != 0) return BPF_BAD_RESERVED;
      return dst == 10 ? BPF_BAD_FRAME_POINTER : 0;
    }
    case CLASS_ST:
      if ((code & 0xe0) != MODE_MEM) return BPF_BAD_OPCODE;
      return src != 0 ? BPF_BAD_RESERVED : 0;
    default: {
      const mode = code & 0xe0;
      if (mode == MODE_MEM) return imm != 0 ? BPF_BAD_RESERVED : 0;
      if (mode != MODE_ATOMIC) return BPF_BAD_OPCODE;
      return checkAtomic(code & 0x18, imm, dst, src, answer);
    }
  }
}

function checkAtomic(size: u32, imm: i32, dst: u32, src: u32, answer: usize): u32 {
  store<u32>(answer, imm, 8);
  switch (imm) {
    case 0x100: return dst == 10 ? BPF_BAD_FRAME_POINTER : 0; // BPF_LOAD_ACQ
    case 0x110: return 0; // BPF_STORE_REL
    case 0x00: case 0x40: case 0x50: case 0xa0: return size == 0 || size == 0x18 ? 0 : BPF_BAD_OPCODE;
    case 0x01: case 0x41: case 0x51: case 0xa1: case 0xe1:
      if (size != 0 && size != 0x18) return BPF_BAD_OPCODE;
      return src == 10 ? BPF_BAD_FRAME_POINTER : 0;
    case 0xf1: return size == 0 || size == 0x18 ? 0 : BPF_BAD_OPCODE;
    default: return BPF_BAD_OPCODE;
  }
}

/** check_alu_op: which fields an operation uses. */
function checkAlu(code: u32, dst: u32, src: u32, off: i32, imm: i32): u32 {
  const operation = code & 0xf0, x = (code & 8) != 0;
  switch (operation) {
    case 0x80: // NEG
      if (x) return BPF_BAD_OPCODE;
      return src != 0 || off != 0 || imm != 0 ? BPF_BAD_RESERVED : 0;
    case 0xd0: // END: in class ALU64 a swap in any case
      if ((code & 7) == CLASS_ALU64 && x) return BPF_BAD_OPCODE;
      return src != 0 || off != 0 || (imm != 16 && imm != 32 && imm != 64) ? BPF_BAD_RESERVED : 0;
    case 0xb0: // MOV, with sign extension
      if (!x) return src != 0 || off != 0 ? BPF_BAD_RESERVED : 0;
      if (imm != 0) return BPF_BAD_RESERVED;
      if (off == 0 || off == 8 || off == 16 || (off == 32 && (code & 7) == CLASS_ALU64)) return 0;
      return BPF_BAD_RESERVED;
    case 0xe0: case 0xf0: return BPF_BAD_OPCODE;
    default: {
      const divides = operation == 0x30 || operation == 0x90;
      if (off != 0 && !(divides && off == 1)) return BPF_BAD_RESERVED;
      return (x ? imm != 0 : src != 0) ? BPF_BAD_RESERVED : 0;
    }
  }
}

function checkJump(s: Slot, slot: u32, count: u32, notes: usize, answer: usize): u32 {
  const code = <u32>s.code, dst = <u32>s.registers & 15, src = <u32>s.registers >>> 4, off = <i32>s.off, imm = s.imm;
  switch (code) {
    case EXIT_CODE:
      if (dst != 0 || src != 0 || off != 0 || imm != 0) return BPF_BAD_RESERVED;
      return leader(slot + 1, count, notes);
    case CALL:
      if (dst != 0 || (off != 0 && src != 2)) return BPF_BAD_RESERVED;
      leader(slot + 1, count, notes);
      if (src == 1) return jump(<i64>slot + 1 + <i64>imm, count, notes, answer);
      store<u32>(answer, imm, 8);
      if (src == 2) return <u32>imm >= KFUNC_FIRST && bpfHelperKnown(imm) ? 0 : BPF_BAD_KFUNC;
      if (src != 0) return BPF_BAD_RESERVED;
      return <u32>imm < KFUNC_FIRST && bpfHelperKnown(imm) ? 0 : BPF_BAD_HELPER;
    case CALL_X:
      // The register is dst, or imm as older compilers have it.
      if (off != 0 || src != 0 || <u32>imm > 10 || (dst != 0 && imm != 0)) return BPF_BAD_RESERVED;
      return leader(slot + 1, count, notes);
    case JA_CODE:
      if (dst != 0 || src != 0 || imm != 0) return BPF_BAD_RESERVED;
      leader(slot + 1, count, notes);
      return jump(<i64>slot + 1 + <i64>off, count, notes, answer);
    case JA32:
      if (dst != 0 || src != 0 || off != 0) return BPF_BAD_RESERVED;
      leader(slot + 1, count, notes);
      return jump(<i64>slot + 1 + <i64>imm, count, notes, answer);
    case JCOND: // may_goto
      if (dst != 0 || src != 0 || imm != 0) return BPF_BAD_RESERVED;
      leader(slot + 1, count, notes);
      return jump(<i64>slot + 1 + <i64>off, count, notes, answer);
    default: {
      const operation = code & 0xf0;
      if (operation == 0 || operation == 0x80 || operation == 0x90 || operation > 0xd0) return BPF_BAD_OPCODE;
      if (code & 8 ? imm != 0 : src != 0) return BPF_BAD_RESERVED;
      leader(slot + 1, count, notes);
      return jump(<i64>slot + 1 + <i64>off, count, notes, answer);
    }
  }
}

function leader(slot: u32, count: u32, notes: usize): u32 {
  if (slot < count) store<u8>(notes + <usize>slot, load<u8>(notes + <usize>slot) | LEADER);
  return 0;
}

function jump(to: i64, count: u32, notes: usize, answer: usize): u32 {
  if (to < 0 || to >= <i64>count) {
    store<u32>(answer, <u32>to, 8);
    return BPF_BAD_JUMP;
  }
  return leader(<u32>to, count, notes);
}

/** All instructions, and FUEL before each piece of an unverified program. */
function emit(prog: BpfProg, slots: usize, probes: usize, notes: usize, unchecked: bool): bool {
  const count = prog.slots;
  store<u8>(notes, load<u8>(notes) | LEADER);
  // Slots that a callback is called by are named by lddw alone.
  for (let slot: u32 = 0; slot < count; slot++) {
    const s = changetype<Slot>(slots + <usize>(slot << 3));
    if (s.code == <u8>LDDW && s.registers >>> 4 == 4 && <u32>s.imm < count) leader(s.imm, count, notes);
  }
  let ops: u32 = 0;
  for (let slot: u32 = 0; slot < count; slot++) {
    const note = load<u8>(notes + <usize>slot);
    if (note & SECOND) continue;
    store<u32>(prog.entries + <usize>(slot << 2), ops);
    ops += !unchecked && (note & LEADER) ? 2 : 1;
  }
  prog.codeBytes = ops * <u32>OP_BYTES;
  prog.code = kmalloc(prog.codeBytes);
  if (prog.code == 0) {
    prog.codeBytes = 0;
    return false;
  }
  for (let slot: u32 = 0; slot < count; slot++) {
    const entry = prog.entries + <usize>(slot << 2);
    if (!(load<u8>(notes + <usize>slot) & SECOND)) store<u32>(entry, <u32>(prog.code + <usize>load<u32>(entry) * OP_BYTES));
  }
  let fuel: usize = 0; // imm of the FUEL that counts
  for (let slot: u32 = 0; slot < count; slot++) {
    const note = load<u8>(notes + <usize>slot);
    if (note & SECOND) continue;
    let op = <usize>load<u32>(prog.entries + <usize>(slot << 2));
    if (!unchecked) {
      if (note & LEADER) {
        store<u16>(op, <u16>FUEL);
        fuel = op + 8;
        op += OP_BYTES;
      }
      store<u64>(fuel, load<u64>(fuel) + 1);
    }
    const probe = probes != 0 && (load<u8>(probes + <usize>slot) & <u8>BPF_SLOT_PROBE) != 0;
    emitOne(prog, op, slots + <usize>(slot << 3), slot, unchecked, probe);
  }
  return true;
}

function put(op: usize, number: u32, imm: i64): void {
  store<u16>(op, <u16>number);
  store<i64>(op, imm, 8);
}

function target(prog: BpfProg, op: usize, slot: u32): void {
  store<u32>(op, load<u32>(prog.entries + <usize>(slot << 2)), 4);
}

/** Width of a load or store: 0 a byte to 3 eight bytes. */
function width(code: u32): u32 {
  switch (code & 0x18) {
    case 0x00: return 2;
    case 0x08: return 1;
    case 0x10: return 0;
    default: return 3;
  }
}

function emitOne(prog: BpfProg, op: usize, at: usize, slot: u32, unchecked: bool, probe: bool): void {
  const s = changetype<Slot>(at);
  const code = <u32>s.code, src = <u32>s.registers >>> 4, off = <i32>s.off, imm = <i64>s.imm;
  const dst = <u32>s.registers & 15;
  store<u8>(op, <u8>(dst << 3), 2);
  store<u8>(op, <u8>(src << 3), 3);
  store<i32>(op, off, 4);
  const w = width(code);
  switch (code & 7) {
    case CLASS_ALU: case CLASS_ALU64: put(op, aluOp(code, off, <u32>s.imm), imm); return;
    case CLASS_JMP: case CLASS_JMP32: emitJump(prog, op, s, slot); return;
    case CLASS_LD:
      if (code == LDDW) put(op, ALU64_K + MOV, <i64>(<u64>load<u32>(at, 4) | (<u64>load<u32>(at, 12) << 32)));
      else {
        put(op, (code & 0xe0) == MODE_ABS ? LD_ABS : LD_IND, imm);
        store<u32>(op, w, 4);
      }
      return;
    case CLASS_LDX: {
      const sign = (code & 0xe0) == MODE_MEMSX;
      if (probe) put(op, LDX_PROBE, <i64>(w | (sign ? 4 : 0)));
      else put(op, sign ? (unchecked ? LDXS : CLDXS) + w : (unchecked ? LDX : CLDX) + w, 0);
      return;
    }
    case CLASS_ST: put(op, (unchecked ? ST : CST) + w, imm); return;
    default:
      if ((code & 0xe0) == MODE_MEM) put(op, (unchecked ? STX : CSTX) + w, 0);
      else put(op, unchecked ? ATOMIC : CATOMIC, <i64><u64>(load<u32>(at, 4) | (w << 16)));
  }
}

function aluOp(code: u32, off: i32, imm: u32): u32 {
  const operation = code >>> 4, x = (code & 8) != 0, wide = (code & 7) == CLASS_ALU64;
  if (operation == 0xd) {
    if (!wide && !x) return imm == 16 ? ZEXT16 : imm == 32 ? ZEXT32 : NOP; // le
    return imm == 16 ? SWAP16 : imm == 32 ? SWAP32 : SWAP64;
  }
  if (operation == 0xb && x && off != 0) {
    if (wide) return off == 8 ? MOVSX64_8 : off == 16 ? MOVSX64_16 : MOVSX64_32;
    return off == 8 ? MOVSX32_8 : MOVSX32_16;
  }
  const base = wide ? (x ? ALU64_X : ALU64_K) : x ? ALU32_X : ALU32_K;
  if (off == 1) return base + (operation == 3 ? SDIV : SMOD);
  return base + operation;
}

function emitJump(prog: BpfProg, op: usize, s: Slot, slot: u32): void {
  const code = <u32>s.code, off = <i32>s.off, imm = <i64>s.imm, src = <u32>s.registers >>> 4;
  switch (code) {
    case EXIT_CODE: put(op, EXIT, 0); return;
    case CALL:
      if (src == 1) {
        put(op, LOCAL_CALL, 0);
        target(prog, op, slot + 1 + <u32>s.imm);
      } else put(op, src == 0 && s.imm == <i32>HELPER_TAIL_CALL ? TAIL_CALL : HELPER, <i64><u64>load<u32>(changetype<usize>(s), 4));
      return;
    case CALL_X:
      put(op, CALLX, 0);
      if (s.imm != 0) store<u8>(op, <u8>(s.imm << 3), 2);
      return;
    case JA_CODE: put(op, JA, 0); target(prog, op, slot + 1 + <u32>off); return;
    case JA32: put(op, JA, 0); target(prog, op, slot + 1 + <u32>s.imm); return;
    case JCOND: put(op, MAY_GOTO, 0); target(prog, op, slot + 1 + <u32>off); return;
    default: {
      const x = (code & 8) != 0;
      put(op, ((code & 7) == CLASS_JMP32 ? (x ? JMP32_X : JMP32_K) : x ? JMP64_X : JMP64_K) + (code >>> 4), imm);
      target(prog, op, slot + 1 + <u32>off);
    }
  }
}

/** The slot of the instruction at `pc`: the last one that begins at or before it. */
export function slotOf(prog: BpfProg, pc: usize): u32 {
  let found: u32 = 0;
  for (let slot: u32 = 0; slot < prog.slots; slot++) {
    const entry = <usize>load<u32>(prog.entries + <usize>(slot << 2));
    if (entry == 0) continue;
    if (entry > pc) break;
    found = slot;
  }
  return found;
}
