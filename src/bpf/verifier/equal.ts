// When one state is as safe as another: kernel/bpf/verifier.c: regsafe, stacksafe, refsafe, states_equal;
// kernel/bpf/states.c in later kernels.

import type { Env } from "./env.ts";
import {
  BPF_ADD_CONST, NOT_INIT, PTR_TO_ARENA, PTR_TO_BUF, PTR_TO_MAP_KEY, PTR_TO_MAP_VALUE, PTR_TO_MEM, PTR_TO_PACKET,
  PTR_TO_PACKET_META, PTR_TO_STACK, PTR_TO_TP_BUFFER, RegState, SCALAR_VALUE, baseType,
} from "./reg.ts";
import {
  type FuncState, REF_TYPE_LOCK_MASK, STACK_DYNPTR, STACK_INVALID, STACK_IRQ_FLAG, STACK_ITER, STACK_MISC, STACK_SPILL,
  STACK_ZERO, type VerifierState, frameInsnIdx,
} from "./state.ts";
import { tnumIn } from "./tnum.ts";

/** How alike two states must be: as safe; every scalar within the old one's range; the same. */
export const NOT_EXACT = 0;
export const EXACT = 1;
export const RANGE_WITHIN = 2;
export type Exactness = typeof NOT_EXACT | typeof EXACT | typeof RANGE_WITHIN;

/** Pairs of ids that were found to mean the same: bpf_idmap. */
export class IdMap {
  private readonly old: number[] = [];
  private readonly cur: number[] = [];
  private next: number;

  constructor(idGen: number) {
    this.next = idGen;
  }

  /** check_ids. */
  same(old: number, cur: number): boolean {
    if ((old !== 0) !== (cur !== 0)) return false;
    if (old === 0) return true;
    for (let i = 0; i < this.old.length; i++) {
      if (this.old[i] === old) return this.cur[i] === cur;
      if (this.cur[i] === cur) return false;
    }
    this.old.push(old);
    this.cur.push(cur);
    return true;
  }

  /** check_scalar_ids: a scalar without an id is like one whose id nothing else has. */
  sameScalar(old: number, cur: number): boolean {
    return this.same(old !== 0 ? old : ++this.next, cur !== 0 ? cur : ++this.next);
  }
}

/** What memcmp up to var_off compares. */
function sameObject(a: RegState, b: RegState): boolean {
  return a.type === b.type && a.off === b.off && a.range === b.range && a.map === b.map && a.mapUid === b.mapUid &&
    a.memSize === b.memSize && a.dynptrId === b.dynptrId && a.subprogno === b.subprogno && a.btfType === b.btfType &&
    a.dynptrType === b.dynptrType && a.dynptrFirst === b.dynptrFirst && a.iterKind === b.iterKind &&
    a.iterState === b.iterState && a.iterDepth === b.iterDepth;
}

function sameBounds(a: RegState, b: RegState): boolean {
  return a.varOff.value === b.varOff.value && a.varOff.mask === b.varOff.mask && a.umin === b.umin && a.umax === b.umax &&
    a.smin === b.smin && a.smax === b.smax && a.u32min === b.u32min && a.u32max === b.u32max && a.s32min === b.s32min &&
    a.s32max === b.s32max;
}

/** regs_exact. */
export function regsExact(old: RegState, cur: RegState, ids: IdMap): boolean {
  return sameObject(old, cur) && sameBounds(old, cur) && ids.same(old.id, cur.id) && ids.same(old.refObjId, cur.refObjId);
}

/** range_within. */
function rangeWithin(old: RegState, cur: RegState): boolean {
  return old.umin <= cur.umin && old.umax >= cur.umax && old.smin <= cur.smin && old.smax >= cur.smax &&
    old.u32min <= cur.u32min && old.u32max >= cur.u32max && old.s32min <= cur.s32min && old.s32max >= cur.s32max;
}

/** regsafe: whether what was safe with `old` is safe with `cur`. */
function regSafe(old: RegState, cur: RegState, ids: IdMap, exact: Exactness): boolean {
  if (exact === EXACT) return regsExact(old, cur, ids);
  if (old.type === NOT_INIT) return true;
  if (old.type !== cur.type) return false;
  switch (baseType(old.type)) {
    case SCALAR_VALUE:
      if (!old.precise && exact === NOT_EXACT) return true;
      if ((old.id & BPF_ADD_CONST) !== (cur.id & BPF_ADD_CONST)) return false;
      if ((old.id & BPF_ADD_CONST) !== 0 && old.off !== cur.off) return false;
      return rangeWithin(old, cur) && tnumIn(old.varOff, cur.varOff) && ids.sameScalar(old.id, cur.id);
    case PTR_TO_MAP_KEY:
    case PTR_TO_MAP_VALUE:
    case PTR_TO_MEM:
    case PTR_TO_BUF:
    case PTR_TO_TP_BUFFER:
      return sameObject(old, cur) && rangeWithin(old, cur) && tnumIn(old.varOff, cur.varOff) && ids.same(old.id, cur.id) &&
        ids.same(old.refObjId, cur.refObjId);
    case PTR_TO_PACKET_META:
    case PTR_TO_PACKET:
      return old.range <= cur.range && old.off === cur.off && ids.same(old.id, cur.id) && rangeWithin(old, cur) &&
        tnumIn(old.varOff, cur.varOff);
    case PTR_TO_STACK:
      return regsExact(old, cur, ids) && old.frameno === cur.frameno;
    case PTR_TO_ARENA:
      return true;
    default:
      return regsExact(old, cur, ids);
  }
}

const UNBOUNDED = new RegState();
UNBOUNDED.type = SCALAR_VALUE;

/** scalar_reg_for_stack: eight bytes that hold one scalar, or that were written as bytes, which is an unknown one. */
function slotScalar(env: Env, frame: FuncState, spi: number): RegState | null {
  if (frame.isSpilledScalar(spi, true)) return frame.spilled[spi]!;
  for (let i = spi * 8; i < spi * 8 + 8; i++) {
    const type = frame.slotType[i]!;
    if (type !== STACK_MISC && !(type === STACK_INVALID && env.allowUninitStack)) return null;
  }
  return UNBOUNDED;
}

function stackSafe(env: Env, old: FuncState, cur: FuncState, ids: IdMap, exact: Exactness): boolean {
  for (let i = 0; i < old.allocated; i++) {
    const type = old.slotType[i]!;
    if (exact === EXACT && (i >= cur.allocated || type !== cur.slotType[i])) return false;
    if (type === STACK_INVALID || (env.allowUninitStack && type === STACK_MISC)) continue;
    if (i >= cur.allocated) return false;
    const spi = i >> 3;
    const oldScalar = slotScalar(env, old, spi);
    const curScalar = oldScalar === null ? null : slotScalar(env, cur, spi);
    if (oldScalar !== null && curScalar !== null) {
      if (!regSafe(oldScalar, curScalar, ids, exact)) return false;
      i = spi * 8 + 7;
      continue;
    }
    if (type === STACK_MISC && cur.slotType[i] === STACK_ZERO) continue;
    if (type !== cur.slotType[i]) return false;
    if (i % 8 !== 7) continue;
    switch (type) {
      case STACK_SPILL:
        if (!regSafe(old.spilledAt(spi), cur.spilledAt(spi), ids, exact)) return false;
        break;
      case STACK_DYNPTR: {
        const a = old.spilledAt(spi);
        const b = cur.spilledAt(spi);
        if (a.dynptrType !== b.dynptrType || a.dynptrFirst !== b.dynptrFirst || !ids.same(a.refObjId, b.refObjId)) return false;
        break;
      }
      case STACK_ITER: {
        const a = old.spilledAt(spi);
        const b = cur.spilledAt(spi);
        if (a.iterKind !== b.iterKind || a.iterState !== b.iterState || !ids.same(a.refObjId, b.refObjId)) return false;
        break;
      }
      case STACK_IRQ_FLAG: {
        const a = old.spilledAt(spi);
        const b = cur.spilledAt(spi);
        if (!ids.same(a.refObjId, b.refObjId) || a.irqLock !== b.irqLock) return false;
        break;
      }
    }
  }
  return true;
}

function refSafe(old: VerifierState, cur: VerifierState, ids: IdMap): boolean {
  if (old.refs.length !== cur.refs.length || old.activeLocks !== cur.activeLocks) return false;
  if (old.activePreemptLocks !== cur.activePreemptLocks || old.activeRcuLocks !== cur.activeRcuLocks) return false;
  if (!ids.same(old.activeIrqId, cur.activeIrqId)) return false;
  if (!ids.same(old.activeLockId, cur.activeLockId) || old.activeLockPtr !== cur.activeLockPtr) return false;
  for (let i = 0; i < old.refs.length; i++) {
    const a = old.refs[i]!;
    const b = cur.refs[i]!;
    if (!ids.same(a.id, b.id) || a.type !== b.type) return false;
    if ((a.type & REF_TYPE_LOCK_MASK) !== 0 && a.ptr !== b.ptr) return false;
  }
  return true;
}

function framesEqual(env: Env, old: FuncState, cur: FuncState, insnIdx: number, ids: IdMap, exact: Exactness): boolean {
  if (old.callbackDepth > cur.callbackDepth) return false;
  const live = env.aux[insnIdx]!.liveRegs;
  for (let r = 0; r < 11; r++) {
    if ((live & (1 << r)) !== 0 && !regSafe(old.regs[r]!, cur.regs[r]!, ids, exact)) return false;
  }
  return stackSafe(env, old, cur, ids, exact);
}

/** states_equal. */
export function statesEqual(env: Env, old: VerifierState, cur: VerifierState, exact: Exactness): boolean {
  if (old.curframe !== cur.curframe || old.inSleepable !== cur.inSleepable) return false;
  const ids = new IdMap(env.idGen);
  if (!refSafe(old, cur, ids)) return false;
  for (let f = 0; f <= old.curframe; f++) {
    if (old.frames[f]!.callsite !== cur.frames[f]!.callsite) return false;
    if (!framesEqual(env, old.frames[f]!, cur.frames[f]!, frameInsnIdx(old, f), ids, exact)) return false;
  }
  return true;
}
