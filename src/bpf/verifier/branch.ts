// Conditional jumps: whether the way is known, what each way tells of the registers compared, packet bounds and null
// checks. kernel/bpf/verifier.c: check_cond_jmp_op, is_branch_taken, regs_refine_cond_op, try_match_pkt_pointers,
// mark_ptr_or_null_regs, sync_linked_regs.

import * as op from "../insn.ts";
import type { Insn } from "../insn.ts";
import { MapType } from "../uapi.ts";
import type { Env } from "./env.ts";
import { releaseReferenceNoMark } from "./objects.ts";
import { findPreviousEntry, pushPath, widenImpreciseScalars } from "./paths.ts";
import { markChainPrecision } from "./precision.ts";
import {
  AT_PKT_END, BEYOND_PKT_END, BPF_ADD_CONST, CONST_PTR_TO_MAP, NON_OWN_REF, PTR_MAYBE_NULL, PTR_TO_BTF_ID, PTR_TO_MAP_KEY, PTR_TO_MAP_VALUE,
  PTR_TO_MEM, PTR_TO_PACKET, PTR_TO_PACKET_END, PTR_TO_PACKET_META, PTR_TO_SOCKET, PTR_TO_SOCK_COMMON, PTR_TO_STACK,
  PTR_TO_TCP_SOCK, PTR_TO_XDP_SOCK, PTR_TRUSTED, PTR_UNTRUSTED, MEM_ALLOC, RegState, SCALAR_VALUE, baseType, isPktPointerAny,
  typeIsNonOwningRef, typeIsPtrAllocObj, typeMayBeNull,
} from "./reg.ts";
import { checkRegArg } from "./regs.ts";
import { addRanges, regBoundsContradict, regBoundsSync } from "./scalar.ts";
import { isPointerValue } from "./stack.ts";
import { INSN_F_DST_REG_STACK, INSN_F_SRC_REG_STACK, type LinkedReg, type VerifierState } from "./state.ts";
import {
  tnumAnd, tnumConst, tnumIntersect, tnumOr, tnumOverlap, tnumSubreg, tnumSubregIsConst, tnumWithSubreg,
} from "./tnum.ts";

/** The condition that holds where `a` was compared with `b`, seen from `b`: flip_opcode. */
const FLIP: Readonly<Record<number, number>> = {
  [op.BPF_JEQ]: op.BPF_JEQ, [op.BPF_JNE]: op.BPF_JNE, [op.BPF_JSET]: op.BPF_JSET,
  [op.BPF_JGE]: op.BPF_JLE, [op.BPF_JGT]: op.BPF_JLT, [op.BPF_JLE]: op.BPF_JGE, [op.BPF_JLT]: op.BPF_JGT,
  [op.BPF_JSGE]: op.BPF_JSLE, [op.BPF_JSGT]: op.BPF_JSLT, [op.BPF_JSLE]: op.BPF_JSGE, [op.BPF_JSLT]: op.BPF_JSGT,
};

/** "No bit of the mask is set": the opposite of BPF_JSET, which no instruction has. */
const JSET_NOT = op.BPF_JSET | op.BPF_X;

/** The condition that holds where another does not: rev_opcode. */
const REVERSE: Readonly<Record<number, number>> = {
  [op.BPF_JEQ]: op.BPF_JNE, [op.BPF_JNE]: op.BPF_JEQ, [op.BPF_JSET]: JSET_NOT,
  [op.BPF_JGE]: op.BPF_JLT, [op.BPF_JGT]: op.BPF_JLE, [op.BPF_JLE]: op.BPF_JGT, [op.BPF_JLT]: op.BPF_JGE,
  [op.BPF_JSGE]: op.BPF_JSLT, [op.BPF_JSGT]: op.BPF_JSLE, [op.BPF_JSLE]: op.BPF_JSGT, [op.BPF_JSLT]: op.BPF_JSGE,
};

/** is_reg_const: a scalar of one value, in its lower half for 32-bit comparisons. */
const isRegConst = (reg: RegState, jmp32: boolean): boolean =>
  reg.type === SCALAR_VALUE && (jmp32 ? tnumSubregIsConst(reg.varOff) : reg.varOff.mask === 0n);
const constValue = (reg: RegState, jmp32: boolean): bigint =>
  jmp32 ? reg.varOff.value & 0xffff_ffffn : reg.varOff.value;

/** is_scalar_branch_taken for 32-bit comparisons: plain numbers. */
function scalarTaken32(a: RegState, b: RegState, operation: number): boolean | null {
  switch (operation) {
    case op.BPF_JEQ:
    case op.BPF_JNE: {
      const equal = operation === op.BPF_JEQ;
      const t1 = tnumSubreg(a.varOff);
      const t2 = tnumSubreg(b.varOff);
      if (t1.mask === 0n && t2.mask === 0n) return (t1.value === t2.value) === equal;
      if (!tnumOverlap(t1, t2)) return !equal;
      if (a.u32min > b.u32max || a.u32max < b.u32min || a.s32min > b.s32max || a.s32max < b.s32min) return !equal;
      return null;
    }
    case op.BPF_JGT:
      return a.u32min > b.u32max ? true : a.u32max <= b.u32min ? false : null;
    case op.BPF_JSGT:
      return a.s32min > b.s32max ? true : a.s32max <= b.s32min ? false : null;
    case op.BPF_JLT:
      return a.u32max < b.u32min ? true : a.u32min >= b.u32max ? false : null;
    case op.BPF_JSLT:
      return a.s32max < b.s32min ? true : a.s32min >= b.s32max ? false : null;
    case op.BPF_JGE:
      return a.u32min >= b.u32max ? true : a.u32max < b.u32min ? false : null;
    case op.BPF_JSGE:
      return a.s32min >= b.s32max ? true : a.s32max < b.s32min ? false : null;
    case op.BPF_JLE:
      return a.u32max <= b.u32min ? true : a.u32min > b.u32max ? false : null;
    case op.BPF_JSLE:
      return a.s32max <= b.s32min ? true : a.s32min > b.s32max ? false : null;
    default:
      return null;
  }
}

function scalarTaken64(a: RegState, b: RegState, operation: number): boolean | null {
  switch (operation) {
    case op.BPF_JEQ:
    case op.BPF_JNE: {
      const equal = operation === op.BPF_JEQ;
      if (a.varOff.mask === 0n && b.varOff.mask === 0n) return (a.varOff.value === b.varOff.value) === equal;
      if (!tnumOverlap(a.varOff, b.varOff)) return !equal;
      if (a.umin > b.umax || a.umax < b.umin || a.smin > b.smax || a.smax < b.smin) return !equal;
      if (a.u32min > b.u32max || a.u32max < b.u32min || a.s32min > b.s32max || a.s32max < b.s32min) return !equal;
      return null;
    }
    case op.BPF_JGT:
      return a.umin > b.umax ? true : a.umax <= b.umin ? false : null;
    case op.BPF_JSGT:
      return a.smin > b.smax ? true : a.smax <= b.smin ? false : null;
    case op.BPF_JLT:
      return a.umax < b.umin ? true : a.umin >= b.umax ? false : null;
    case op.BPF_JSLT:
      return a.smax < b.smin ? true : a.smin >= b.smax ? false : null;
    case op.BPF_JGE:
      return a.umin >= b.umax ? true : a.umax < b.umin ? false : null;
    case op.BPF_JSGE:
      return a.smin >= b.smax ? true : a.smax < b.smin ? false : null;
    case op.BPF_JLE:
      return a.umax <= b.umin ? true : a.umin > b.umax ? false : null;
    case op.BPF_JSLE:
      return a.smax <= b.smin ? true : a.smin > b.smax ? false : null;
    default:
      return null;
  }
}

function jsetTaken(a: RegState, b: RegState, jmp32: boolean): boolean | null {
  let value = a;
  let mask = b;
  if (!isRegConst(mask, jmp32)) [value, mask] = [mask, value];
  if (!isRegConst(mask, jmp32)) return null;
  const bits = constValue(mask, jmp32);
  const tnum = jmp32 ? tnumSubreg(value.varOff) : value.varOff;
  if ((~tnum.mask & tnum.value & bits) !== 0n) return true;
  return ((tnum.mask | tnum.value) & bits) === 0n ? false : null;
}

/** is_pkt_ptr_branch_taken: a pointer that was found at or behind the end stays there. */
function packetTaken(dst: RegState, src: RegState, operation: number): boolean | null {
  let pkt: RegState;
  let condition = operation;
  if (src.type === PTR_TO_PACKET_END) {
    pkt = dst;
  } else if (dst.type === PTR_TO_PACKET_END) {
    pkt = src;
    condition = FLIP[operation]!;
  } else {
    return null;
  }
  if (pkt.range >= 0) return null;
  switch (condition) {
    case op.BPF_JLE:
    case op.BPF_JGT:
      return pkt.range === BEYOND_PKT_END ? condition === op.BPF_JGT : null;
    case op.BPF_JLT:
    case op.BPF_JGE:
      return condition === op.BPF_JGE;
    default:
      return null;
  }
}

/** reg_not_null: pointers that are never NULL. */
function notNull(reg: RegState): boolean {
  const { type } = reg;
  if (typeMayBeNull(type)) return false;
  switch (baseType(type)) {
    case PTR_TO_SOCKET:
    case PTR_TO_TCP_SOCK:
    case PTR_TO_MAP_VALUE:
    case PTR_TO_MAP_KEY:
    case PTR_TO_SOCK_COMMON:
    case CONST_PTR_TO_MAP:
      return true;
    case PTR_TO_MEM:
      return (type & PTR_UNTRUSTED) === 0;
    case PTR_TO_BTF_ID:
      return reg.refObjId !== 0 || ((type & (PTR_TRUSTED | MEM_ALLOC | NON_OWN_REF)) !== 0 && (type & PTR_UNTRUSTED) === 0);
    default:
      return false;
  }
}

/** is_branch_taken: true or false when the way is certain. */
function branchTaken(dst: RegState, src: RegState, operation: number, jmp32: boolean): boolean | null {
  if (isPktPointerAny(dst.type) && isPktPointerAny(src.type) && !jmp32) return packetTaken(dst, src, operation);
  if (dst.type !== SCALAR_VALUE || src.type !== SCALAR_VALUE) {
    let pointer = dst;
    let other = src;
    let condition = operation;
    if (!isRegConst(other, jmp32)) {
      condition = FLIP[operation]!;
      [pointer, other] = [other, pointer];
    }
    if (!isRegConst(other, jmp32) || !notNull(pointer) || constValue(other, jmp32) !== 0n) return null;
    if (condition === op.BPF_JEQ) return false;
    return condition === op.BPF_JNE ? true : null;
  }
  if (operation === op.BPF_JSET) return jsetTaken(dst, src, jmp32);
  return jmp32 ? scalarTaken32(dst, src, operation) : scalarTaken64(dst, src, operation);
}

const maxBig = (a: bigint, b: bigint): bigint => (a > b ? a : b);
const minBig = (a: bigint, b: bigint): bigint => (a < b ? a : b);

/** regs_refine_cond_op: narrows two scalars of which `a condition b` is known. */
function refine(one: RegState, two: RegState, condition: number, jmp32: boolean): void {
  let a = one;
  let b = two;
  let operation = condition;
  if (operation === op.BPF_JGE || operation === op.BPF_JGT || operation === op.BPF_JSGE || operation === op.BPF_JSGT) {
    operation = FLIP[operation]!;
    [a, b] = [b, a];
  }
  switch (operation) {
    case op.BPF_JEQ:
      if (jmp32) {
        a.u32min = b.u32min = Math.max(a.u32min, b.u32min);
        a.u32max = b.u32max = Math.min(a.u32max, b.u32max);
        a.s32min = b.s32min = Math.max(a.s32min, b.s32min);
        a.s32max = b.s32max = Math.min(a.s32max, b.s32max);
        const low = tnumIntersect(tnumSubreg(a.varOff), tnumSubreg(b.varOff));
        a.varOff = tnumWithSubreg(a.varOff, low);
        b.varOff = tnumWithSubreg(b.varOff, low);
      } else {
        a.umin = b.umin = maxBig(a.umin, b.umin);
        a.umax = b.umax = minBig(a.umax, b.umax);
        a.smin = b.smin = maxBig(a.smin, b.smin);
        a.smax = b.smax = minBig(a.smax, b.smax);
        a.varOff = b.varOff = tnumIntersect(a.varOff, b.varOff);
      }
      break;
    case op.BPF_JNE: {
      if (!isRegConst(b, jmp32)) [a, b] = [b, a];
      if (!isRegConst(b, jmp32)) break;
      const value = constValue(b, jmp32);
      if (jmp32) {
        const low = Number(value);
        if (a.u32min === low) a.u32min++;
        if (a.u32max === low) a.u32max--;
        if (a.s32min === (low | 0)) a.s32min++;
        if (a.s32max === (low | 0)) a.s32max--;
      } else {
        const signed = BigInt.asIntN(64, value);
        if (a.umin === value) a.umin++;
        if (a.umax === value) a.umax--;
        if (a.smin === signed) a.smin++;
        if (a.smax === signed) a.smax--;
      }
      break;
    }
    case op.BPF_JSET: {
      if (!isRegConst(b, jmp32)) [a, b] = [b, a];
      if (!isRegConst(b, jmp32)) break;
      const value = constValue(b, jmp32);
      // Only one bit tells which bit is set.
      if (value === 0n || (value & (value - 1n)) !== 0n) break;
      a.varOff = jmp32
        ? tnumWithSubreg(a.varOff, tnumOr(tnumSubreg(a.varOff), tnumConst(value)))
        : tnumOr(a.varOff, tnumConst(value));
      break;
    }
    case JSET_NOT: {
      if (!isRegConst(b, jmp32)) [a, b] = [b, a];
      if (!isRegConst(b, jmp32)) break;
      const value = constValue(b, jmp32);
      // On a path that no run takes the ranges could contradict the bits.
      a.unbounded();
      a.varOff = jmp32
        ? tnumWithSubreg(a.varOff, tnumAnd(tnumSubreg(a.varOff), tnumConst(~value)))
        : tnumAnd(a.varOff, tnumConst(~value));
      break;
    }
    case op.BPF_JLE:
      if (jmp32) {
        a.u32max = Math.min(a.u32max, b.u32max);
        b.u32min = Math.max(a.u32min, b.u32min);
      } else {
        a.umax = minBig(a.umax, b.umax);
        b.umin = maxBig(a.umin, b.umin);
      }
      break;
    case op.BPF_JLT:
      if (jmp32) {
        a.u32max = Math.min(a.u32max, b.u32max - 1);
        b.u32min = Math.max(a.u32min + 1, b.u32min);
      } else {
        a.umax = minBig(a.umax, b.umax - 1n);
        b.umin = maxBig(a.umin + 1n, b.umin);
      }
      break;
    case op.BPF_JSLE:
      if (jmp32) {
        a.s32max = Math.min(a.s32max, b.s32max);
        b.s32min = Math.max(a.s32min, b.s32min);
      } else {
        a.smax = minBig(a.smax, b.smax);
        b.smin = maxBig(a.smin, b.smin);
      }
      break;
    case op.BPF_JSLT:
      if (jmp32) {
        a.s32max = Math.min(a.s32max, b.s32max - 1);
        b.s32min = Math.max(a.s32min + 1, b.s32min);
      } else {
        a.smax = minBig(a.smax, b.smax - 1n);
        b.smin = maxBig(a.smin + 1n, b.smin);
      }
      break;
  }
}

/** reg_set_min_max: narrows the registers of both ways. */
function setMinMax(true1: RegState, true2: RegState, false1: RegState, false2: RegState, operation: number, jmp32: boolean): void {
  if (false1.type !== SCALAR_VALUE || false2.type !== SCALAR_VALUE) return;
  refine(false1, false2, REVERSE[operation]!, jmp32);
  regBoundsSync(false1);
  regBoundsSync(false2);
  refine(true1, true2, operation, jmp32);
  regBoundsSync(true1);
  regBoundsSync(true2);
  regBoundsContradict(true1);
  regBoundsContradict(true2);
  regBoundsContradict(false1);
  regBoundsContradict(false2);
}

/** Registers and slots that hold one scalar: LINKED_REGS_MAX of them; others forget that they do. */
const LINKED_REGS_MAX = 6;

function collectLinked(state: VerifierState, id: number, linked: LinkedReg[]): void {
  const base = id & ~BPF_ADD_CONST;
  const visit = (reg: RegState, frameno: number, isReg: boolean, index: number): void => {
    if (reg.type !== SCALAR_VALUE || (reg.id & ~BPF_ADD_CONST) !== base) return;
    if (linked.length < LINKED_REGS_MAX) linked.push({ frameno, isReg, index });
    else reg.id = 0;
  };
  for (let f = state.curframe; f >= 0; f--) {
    const frame = state.frames[f]!;
    for (let r = 0; r < 10; r++) visit(frame.regs[r]!, f, true, r);
    for (let spi = 0; spi < frame.spilled.length; spi++) {
      const reg = frame.spilled[spi];
      if (reg && frame.isSpilled(spi)) visit(reg, f, false, spi);
    }
  }
}

const distance = new RegState();
distance.type = SCALAR_VALUE;

/** sync_linked_regs: what was learnt of `known` holds of the registers linked to it. */
function syncLinked(state: VerifierState, known: RegState, linked: readonly LinkedReg[]): void {
  for (const entry of linked) {
    const frame = state.frames[entry.frameno]!;
    const reg = entry.isReg ? frame.regs[entry.index]! : frame.spilledAt(entry.index);
    if (reg.type !== SCALAR_VALUE || reg === known) continue;
    if ((reg.id & ~BPF_ADD_CONST) !== (known.id & ~BPF_ADD_CONST)) continue;
    if (((reg.id & BPF_ADD_CONST) === 0 && (known.id & BPF_ADD_CONST) === 0) || reg.off === known.off) {
      reg.set(known);
      continue;
    }
    const { off, id } = reg;
    distance.setConst(BigInt(off) - BigInt(known.off));
    reg.set(known);
    addRanges(reg, distance);
    reg.off = off;
    reg.id = id;
  }
}

/** MAX_PACKET_OFF. */
const MAX_PACKET_OFF = 0xffff;

/** find_good_pkt_pointers: pointers of one base may reach as far as `dst` was found to be in the packet. */
function findGoodPktPointers(state: VerifierState, dst: RegState, type: number, rightOpen: boolean): void {
  if (dst.off < 0 || (dst.off === 0 && rightOpen)) return;
  if (dst.umax > BigInt(MAX_PACKET_OFF) || dst.umax + BigInt(dst.off) > BigInt(MAX_PACKET_OFF)) return;
  const range = dst.off + (rightOpen ? 1 : 0);
  const { id } = dst;
  state.forEachReg((reg) => {
    if (reg.type === type && reg.id === id && reg.range < range) reg.range = range;
  });
}

function markPktEnd(state: VerifierState, regno: number, open: boolean): void {
  const reg = state.regs[regno]!;
  if (reg.type !== PTR_TO_PACKET) return;
  reg.range = open ? BEYOND_PKT_END : AT_PKT_END;
}

const isInitPacket = (reg: RegState): boolean =>
  reg.type === PTR_TO_PACKET && reg.id === 0 && reg.off === 0 && reg.isConst() && reg.varOff.value === 0n;

/** try_match_pkt_pointers. */
function matchPktPointers(insn: Insn, dst: RegState, src: RegState, here: VerifierState, there: VerifierState): boolean {
  if ((insn.code & 8) !== op.BPF_X || (insn.code & 7) === op.BPF_JMP32) return false;
  const left = (dst.type === PTR_TO_PACKET && src.type === PTR_TO_PACKET_END) ||
    (dst.type === PTR_TO_PACKET_META && isInitPacket(src));
  const right = (dst.type === PTR_TO_PACKET_END && src.type === PTR_TO_PACKET) ||
    (isInitPacket(dst) && src.type === PTR_TO_PACKET_META);
  if (!left && !right) return false;
  const pkt = left ? dst : src;
  const regno = left ? insn.dst : insn.src;
  const operation = left ? insn.code & 0xf0 : FLIP[insn.code & 0xf0];
  // Seen as `packet pointer <condition> end`, whichever side it was written on.
  switch (operation) {
    case op.BPF_JGT:
      findGoodPktPointers(here, pkt, pkt.type, false);
      markPktEnd(there, regno, true);
      return true;
    case op.BPF_JGE:
      findGoodPktPointers(here, pkt, pkt.type, true);
      markPktEnd(there, regno, false);
      return true;
    case op.BPF_JLT:
      findGoodPktPointers(there, pkt, pkt.type, true);
      markPktEnd(here, regno, false);
      return true;
    case op.BPF_JLE:
      findGoodPktPointers(there, pkt, pkt.type, false);
      markPktEnd(here, regno, true);
      return true;
    default:
      return false;
  }
}

/** mark_ptr_not_null_reg. */
export function markNotNull(reg: RegState): void {
  if (baseType(reg.type) === PTR_TO_MAP_VALUE) {
    const map = reg.map!;
    if (map.inner !== undefined) {
      reg.type = CONST_PTR_TO_MAP;
      reg.map = map.inner;
      if (map.inner.fields?.some((field) => field.kind === "timer" || field.kind === "workqueue" || field.kind === "task_work")) {
        reg.mapUid = reg.id;
      }
    } else if (map.type === MapType.XSKMAP) {
      reg.type = PTR_TO_XDP_SOCK;
    } else if (map.type === MapType.SOCKMAP || map.type === MapType.SOCKHASH) {
      reg.type = PTR_TO_SOCKET;
    } else {
      reg.type = PTR_TO_MAP_VALUE;
    }
    return;
  }
  reg.type &= ~PTR_MAYBE_NULL;
}

/** reg_may_point_to_spin_lock: objects whose identity a lock needs. */
const maySpinLock = (reg: RegState): boolean => {
  if (reg.type === PTR_TO_MAP_VALUE) {
    return reg.map?.fields?.some((field) => field.kind === "spin_lock" || field.kind === "res_spin_lock") ?? false;
  }
  return typeIsPtrAllocObj(reg.type);
};

/** mark_ptr_or_null_regs: everything of one id is NULL, or not. */
function markPtrOrNull(state: VerifierState, regno: number, isNull: boolean): void {
  const { id, refObjId } = state.regs[regno]!;
  if (refObjId !== 0 && refObjId === id && isNull) releaseReferenceNoMark(state, id);
  state.forEachReg((reg) => {
    if (!typeMayBeNull(reg.type) || reg.id !== id) return;
    if (reg.smin !== 0n || reg.smax !== 0n || !reg.isConst()) return;
    if (!typeIsPtrAllocObj(reg.type) && !typeIsNonOwningRef(reg.type) && reg.off !== 0) return;
    if (isNull) {
      reg.type = SCALAR_VALUE;
      reg.id = 0;
      reg.refObjId = 0;
      return;
    }
    markNotNull(reg);
    if (!maySpinLock(reg)) reg.id = 0;
  });
}

/** BPF_JCOND: `may_goto` jumps after some number of rounds that nobody knows. */
function checkMayGoto(env: Env, insn: Insn): void {
  if (insn.code !== (op.BPF_JMP | op.BPF_JCOND) || insn.src !== 0 || insn.dst !== 0 || insn.imm !== 0) {
    env.reject("EINVAL", `invalid may_goto imm ${insn.imm}`);
  }
  const previous = findPreviousEntry(env, env.cur.parent, env.insnIdx);
  const queued = pushPath(env, env.insnIdx + 1, env.insnIdx);
  queued.mayGotoDepth++;
  if (previous !== null) widenImpreciseScalars(env, previous, queued);
  env.insnIdx += insn.off;
}

const fakeTrue = new RegState();
const fakeFalse = new RegState();

/** check_cond_jmp_op: sets env.insnIdx to the jump itself or, when it is certainly taken, to before its target. */
export function checkCondJump(env: Env, insn: Insn): void {
  const operation = insn.code & 0xf0;
  const isReg = (insn.code & 8) === op.BPF_X;
  const jmp32 = (insn.code & 7) === op.BPF_JMP32;
  if (operation === op.BPF_JA || operation > op.BPF_JCOND) {
    env.reject("EINVAL", `invalid BPF_JMP/JMP32 opcode ${operation.toString(16)}`);
  }
  if (operation === op.BPF_JCOND) return checkMayGoto(env, insn);
  checkRegArg(env, insn.dst, "src");
  const here = env.cur;
  const { regs } = here;
  const dst = regs[insn.dst]!;
  let src: RegState;
  let flags = 0;
  if (isReg) {
    if (insn.imm !== 0) env.reject("EINVAL", "BPF_JMP/JMP32 uses reserved fields");
    checkRegArg(env, insn.src, "src");
    src = regs[insn.src]!;
    if (!(isPktPointerAny(dst.type) && isPktPointerAny(src.type)) && isPointerValue(env.allowPtrLeaks, src)) {
      env.reject("EACCES", `R${insn.src} pointer comparison prohibited`);
    }
    if (src.type === PTR_TO_STACK) flags |= INSN_F_SRC_REG_STACK;
    if (dst.type === PTR_TO_STACK) flags |= INSN_F_DST_REG_STACK;
  } else {
    if (insn.src !== 0) env.reject("EINVAL", "BPF_JMP/JMP32 uses reserved fields");
    src = fakeFalse;
    src.clear();
    src.type = SCALAR_VALUE;
    src.setConst(BigInt(insn.imm));
    if (dst.type === PTR_TO_STACK) flags |= INSN_F_DST_REG_STACK;
  }
  if (flags !== 0) env.recordHistory(here, { flags, frameno: 0, spi: 0 }, null);
  const taken = branchTaken(dst, src, operation, jmp32);
  const aux = env.aux[env.insnIdx]!;
  if (taken !== null) {
    if (dst.type === SCALAR_VALUE) markChainPrecision(env, insn.dst);
    if (isReg && src.type === SCALAR_VALUE) markChainPrecision(env, insn.src);
    if (taken) aux.jumpTaken = true;
    else aux.jumpFell = true;
    if (env.log.level > 0) env.printInsnState(here, here.curframe);
    if (taken) env.insnIdx += insn.off;
    return;
  }
  aux.jumpTaken = true;
  aux.jumpFell = true;
  const linked: LinkedReg[] = [];
  if (isReg && src.type === SCALAR_VALUE && src.id !== 0) collectLinked(here, src.id, linked);
  if (dst.type === SCALAR_VALUE && dst.id !== 0) collectLinked(here, dst.id, linked);
  if (linked.length > 1) env.recordHistory(here, null, linked);
  const there = pushPath(env, env.insnIdx + insn.off + 1, env.insnIdx);
  const otherDst = there.regs[insn.dst]!;
  const otherSrc = isReg ? there.regs[insn.src]! : fakeTrue.set(src);
  setMinMax(otherDst, otherSrc, dst, src, operation, jmp32);
  if (isReg && src.type === SCALAR_VALUE && src.id !== 0) {
    syncLinked(here, src, linked);
    syncLinked(there, otherSrc, linked);
  }
  if (dst.type === SCALAR_VALUE && dst.id !== 0) {
    syncLinked(here, dst, linked);
    syncLinked(there, otherDst, linked);
  }
  // A pointer equal to one that is not NULL is not NULL either.
  if (
    !jmp32 && isReg && isPointerValue(false, src) && isPointerValue(false, dst) &&
    typeMayBeNull(src.type) !== typeMayBeNull(dst.type) && baseType(src.type) !== PTR_TO_BTF_ID &&
    baseType(dst.type) !== PTR_TO_BTF_ID
  ) {
    const equal = operation === op.BPF_JEQ ? there.regs : operation === op.BPF_JNE ? regs : null;
    if (equal !== null) markNotNull(equal[typeMayBeNull(src.type) ? insn.src : insn.dst]!);
  }
  if (
    !jmp32 && !isReg && insn.imm === 0 && (operation === op.BPF_JEQ || operation === op.BPF_JNE) && typeMayBeNull(dst.type)
  ) {
    markPtrOrNull(here, insn.dst, operation === op.BPF_JNE);
    markPtrOrNull(there, insn.dst, operation === op.BPF_JEQ);
  } else if (!matchPktPointers(insn, dst, regs[insn.src]!, here, there) && isPointerValue(env.allowPtrLeaks, dst)) {
    env.reject("EACCES", `R${insn.dst} pointer comparison prohibited`);
  }
  if (env.log.level > 0) env.printInsnState(here, here.curframe);
}
