// What a path holds: references that must be released, dynptrs and iterators on the stack.
// kernel/bpf/verifier.c: acquire_reference, mark_stack_slots_dynptr, mark_stack_slots_iter and their opposites.

import type { Env } from "./env.ts";
import {
  CONST_PTR_TO_DYNPTR, DYNPTR_TYPE_LOCAL, DYNPTR_TYPE_RINGBUF, DYNPTR_TYPE_SKB, DYNPTR_TYPE_SKB_META, DYNPTR_TYPE_XDP,
  DynptrType, IterState, PTR_MAYBE_NULL, PTR_TO_MEM, PTR_TO_STACK, type RegState, typeIsNonOwningRef,
} from "./reg.ts";
import {
  type FuncState, REF_TYPE_PTR, type Reference, STACK_DYNPTR, STACK_INVALID, STACK_ITER, STACK_IRQ_FLAG,
  type VerifierState,
} from "./state.ts";

/** acquire_reference: an id that must be released on every path. */
export function acquireReference(env: Env): number {
  const id = env.newId();
  env.cur.refs.push({ type: REF_TYPE_PTR, id, insnIdx: env.insnIdx });
  return id;
}

/** release_reference_nomark; false when nothing with that id is held. */
export function releaseReferenceNoMark(state: VerifierState, id: number): boolean {
  const at = state.refs.findIndex((ref) => ref.type === REF_TYPE_PTR && ref.id === id);
  if (at < 0) return false;
  // The kernel moves the last into the gap.
  const last = state.refs.pop()!;
  if (at < state.refs.length) state.refs[at] = last;
  return true;
}

/** mark_reg_invalid: a pointer to what is gone. */
export function markInvalid(env: Env, reg: RegState): void {
  if (env.allowPtrLeaks) reg.markUnknown(false);
  else reg.markNotInit();
}

/** release_reference: also spoils every copy of the pointer. */
export function releaseReference(env: Env, id: number): boolean {
  if (!releaseReferenceNoMark(env.cur, id)) return false;
  env.cur.forEachReg((reg) => {
    if (reg.refObjId === id) markInvalid(env, reg);
  });
  return true;
}

/** invalidate_non_owning_refs. */
export function invalidateNonOwning(env: Env): void {
  env.cur.forEachReg((reg) => {
    if (typeIsNonOwningRef(reg.type)) markInvalid(env, reg);
  });
}

/** Locks held: acquire_lock_state and its search. */
export function acquireLock(env: Env, type: number, id: number, ptr: unknown): void {
  const { cur } = env;
  cur.refs.push({ type, id, insnIdx: env.insnIdx, ptr });
  cur.activeLocks++;
  cur.activeLockId = id;
  cur.activeLockPtr = ptr;
}

export const findLock = (state: VerifierState, type: number, id: number, ptr: unknown): Reference | undefined =>
  state.refs.find((ref) => (ref.type & type) !== 0 && ref.id === id && ref.ptr === ptr);

export function releaseLock(state: VerifierState, type: number, id: number, ptr: unknown): boolean {
  const at = state.refs.findIndex((ref) => ref.type === type && ref.id === id && ref.ptr === ptr);
  if (at < 0) return false;
  const last = state.refs.pop()!;
  if (at < state.refs.length) state.refs[at] = last;
  state.activeLocks--;
  const previous = [...state.refs].reverse().find((ref) => ref.ptr !== undefined);
  state.activeLockId = previous?.id ?? 0;
  state.activeLockPtr = previous?.ptr ?? null;
  return true;
}

/** check_resource_leak: `what` ends the program or never returns; `locks` says that no region may be open either. */
export function checkResourceLeak(env: Env, exception: boolean, locks: boolean, what: string): void {
  const { cur } = env;
  if (locks && cur.activeLocks > 0) env.reject("EINVAL", `${what} cannot be used inside bpf_spin_lock-ed region`);
  if (exception || cur.curframe === 0) {
    let leaks = false;
    for (const ref of cur.refs) {
      if (ref.type !== REF_TYPE_PTR) continue;
      env.verbose(`Unreleased reference id=${ref.id} alloc_insn=${ref.insnIdx}\n`);
      leaks = true;
    }
    if (leaks) env.reject("EINVAL", `${what} would lead to reference leak`);
  }
  if (!locks) return;
  if (cur.activeIrqId !== 0) env.reject("EINVAL", `${what} cannot be used inside bpf_local_irq_save-ed region`);
  if (cur.activeRcuLocks !== 0) env.reject("EINVAL", `${what} cannot be used inside bpf_rcu_read_lock-ed region`);
  if (cur.activePreemptLocks !== 0) env.reject("EINVAL", `${what} cannot be used inside bpf_preempt_disable-ed region`);
}

const RANGE = -2;

/** stack_slot_obj_get_spi: slot of an object of `slots` slots that R points to; RANGE when the stack is too short yet. */
function objectSpi(env: Env, reg: RegState, what: string, slots: number): number {
  if (!reg.isConst()) {
    env.verbose(`${what} has to be at a constant offset\n`);
    return -1;
  }
  const off = reg.off + Number(BigInt.asIntN(64, reg.varOff.value));
  const spi = (-off - 1) >> 3;
  if (off % 8 !== 0 || spi + 1 < slots) {
    env.verbose(`cannot pass in ${what} at an offset=${off}\n`);
    return -1;
  }
  const frame = env.cur.frames[reg.frameno]!;
  return spi - slots + 1 >= 0 && spi < frame.allocated / 8 ? spi : RANGE;
}

const refcounted = (type: number): boolean => type === DynptrType.RINGBUF;

/** arg_to_dynptr_type. */
export function dynptrTypeOfArg(arg: number): number {
  if ((arg & DYNPTR_TYPE_LOCAL) !== 0) return DynptrType.LOCAL;
  if ((arg & DYNPTR_TYPE_RINGBUF) !== 0) return DynptrType.RINGBUF;
  if ((arg & DYNPTR_TYPE_SKB) !== 0) return DynptrType.SKB;
  if ((arg & DYNPTR_TYPE_XDP) !== 0) return DynptrType.XDP;
  if ((arg & DYNPTR_TYPE_SKB_META) !== 0) return DynptrType.SKB_META;
  return DynptrType.INVALID;
}

/** dynptr_get_spi; negative when R does not point to a place for a dynptr. */
export const dynptrSpi = (env: Env, reg: RegState): number => objectSpi(env, reg, "dynptr", 2);

/** __mark_dynptr_reg. */
export function markDynptrReg(reg: RegState, type: number, first: boolean, id: number): void {
  reg.markPointer(CONST_PTR_TO_DYNPTR);
  reg.id = id;
  reg.dynptrType = type;
  reg.dynptrFirst = first;
}

function clearDynptrSlots(env: Env, frame: FuncState, spi: number): void {
  for (const slot of [spi, spi - 1]) {
    env.markSlotScratched(slot);
    frame.slotType.fill(STACK_INVALID, slot * 8, slot * 8 + 8);
    frame.spilledAt(slot).markNotInit();
    env.liveness.markWrite(frame.frameno, slot);
  }
}

/** destroy_if_dynptr_stack_slot: a write to half of a dynptr ends it. */
export function destroyIfDynptrSlot(env: Env, frame: FuncState, slot: number): void {
  if (frame.slotType[slot * 8] !== STACK_DYNPTR) return;
  const spi = frame.spilledAt(slot).dynptrFirst ? slot : slot + 1;
  const main = frame.spilledAt(spi);
  if (refcounted(main.dynptrType)) env.reject("EINVAL", "cannot overwrite referenced dynptr");
  const { id } = main;
  env.cur.forEachReg((reg) => {
    if ((reg.type === PTR_TO_MEM || reg.type === (PTR_TO_MEM | PTR_MAYBE_NULL)) && reg.dynptrId === id) markInvalid(env, reg);
  });
  clearDynptrSlots(env, frame, spi);
}

/** mark_stack_slots_dynptr: makes the two slots R points to a dynptr. */
export function markDynptrSlots(env: Env, reg: RegState, type: number, cloneRefId: number): void {
  const spi = dynptrSpi(env, reg);
  if (spi < 0) env.reject(spi === RANGE ? "ERANGE" : "EINVAL", "");
  const frame = env.cur.frames[reg.frameno]!;
  destroyIfDynptrSlot(env, frame, spi);
  destroyIfDynptrSlot(env, frame, spi - 1);
  frame.slotType.fill(STACK_DYNPTR, (spi - 1) * 8, (spi + 1) * 8);
  if (type === DynptrType.INVALID) env.reject("EINVAL", "");
  const id = env.newId();
  markDynptrReg(frame.spilledAt(spi), type, true, id);
  markDynptrReg(frame.spilledAt(spi - 1), type, false, id);
  if (refcounted(type)) {
    const ref = cloneRefId !== 0 ? cloneRefId : acquireReference(env);
    frame.spilledAt(spi).refObjId = ref;
    frame.spilledAt(spi - 1).refObjId = ref;
  }
  for (const slot of [spi, spi - 1]) {
    env.markSlotScratched(slot);
    env.liveness.markWrite(frame.frameno, slot);
  }
}

/** unmark_stack_slots_dynptr: ends a dynptr, its clones and slices. */
export function unmarkDynptrSlots(env: Env, reg: RegState): void {
  const spi = dynptrSpi(env, reg);
  if (spi < 0) env.reject("EINVAL", "");
  const frame = env.cur.frames[reg.frameno]!;
  const main = frame.spilledAt(spi);
  if (!refcounted(main.dynptrType)) {
    clearDynptrSlots(env, frame, spi);
    return;
  }
  const ref = main.refObjId;
  releaseReference(env, ref);
  for (let i = 1; i < frame.allocated / 8; i++) {
    const spilled = frame.spilled[i];
    if (!spilled || spilled.refObjId !== ref || frame.slotType[i * 8] !== STACK_DYNPTR) continue;
    if (spilled.dynptrFirst) clearDynptrSlots(env, frame, i);
  }
}

/** is_dynptr_reg_valid_uninit. */
export function dynptrPlaceFree(env: Env, reg: RegState): boolean {
  if (reg.type === CONST_PTR_TO_DYNPTR) return false;
  const spi = dynptrSpi(env, reg);
  return spi >= 0 || spi === RANGE;
}

/** is_dynptr_reg_valid_init. */
export function dynptrValid(env: Env, reg: RegState): boolean {
  if (reg.type === CONST_PTR_TO_DYNPTR) return true;
  const spi = dynptrSpi(env, reg);
  if (spi < 0) return false;
  const frame = env.cur.frames[reg.frameno]!;
  if (frame.slotType[spi * 8] !== STACK_DYNPTR || !frame.spilledAt(spi).dynptrFirst) return false;
  for (let i = (spi - 1) * 8; i < (spi + 1) * 8; i++) if (frame.slotType[i] !== STACK_DYNPTR) return false;
  return true;
}

/** The register state of a dynptr argument: of the stack slot, or the register itself. */
export function dynptrState(env: Env, reg: RegState): RegState | null {
  if (reg.type === CONST_PTR_TO_DYNPTR) return reg;
  const spi = dynptrSpi(env, reg);
  return spi < 0 ? null : env.cur.frames[reg.frameno]!.spilledAt(spi);
}

/** mark_dynptr_read. */
export function markDynptrRead(env: Env, reg: RegState): void {
  if (reg.type === CONST_PTR_TO_DYNPTR) return;
  const spi = dynptrSpi(env, reg);
  if (spi < 0) return;
  env.liveness.markRead(reg.frameno, spi);
  env.liveness.markRead(reg.frameno, spi - 1);
}

/** iter_get_spi. */
export const iterSpi = (env: Env, reg: RegState, slots: number): number => objectSpi(env, reg, "iter", slots);

/** mark_stack_slots_iter. */
export function markIterSlots(env: Env, reg: RegState, kind: string, slots: number): void {
  const spi = iterSpi(env, reg, slots);
  if (spi < 0) env.reject(spi === RANGE ? "ERANGE" : "EINVAL", "");
  const frame = env.cur.frames[reg.frameno]!;
  const id = acquireReference(env);
  for (let i = 0; i < slots; i++) {
    const slot = frame.spilledAt(spi - i);
    slot.markPointer(PTR_TO_STACK);
    slot.refObjId = i === 0 ? id : 0;
    slot.iterKind = kind;
    slot.iterState = IterState.ACTIVE;
    slot.iterDepth = 0;
    frame.slotType.fill(STACK_ITER, (spi - i) * 8, (spi - i + 1) * 8);
    env.liveness.markWrite(frame.frameno, spi - i);
    env.markSlotScratched(spi - i);
  }
}

/** unmark_stack_slots_iter. */
export function unmarkIterSlots(env: Env, reg: RegState, slots: number): void {
  const spi = iterSpi(env, reg, slots);
  if (spi < 0) env.reject("EINVAL", "");
  const frame = env.cur.frames[reg.frameno]!;
  releaseReference(env, frame.spilledAt(spi).refObjId);
  for (let i = 0; i < slots; i++) {
    frame.spilledAt(spi - i).markNotInit();
    frame.slotType.fill(STACK_INVALID, (spi - i) * 8, (spi - i + 1) * 8);
    env.liveness.markWrite(frame.frameno, spi - i);
    env.markSlotScratched(spi - i);
  }
}

/** is_iter_reg_valid_uninit: the place may be made an iterator. */
export function iterPlaceFree(env: Env, reg: RegState, slots: number): boolean {
  const spi = iterSpi(env, reg, slots);
  if (spi === RANGE) return true;
  if (spi < 0) return false;
  const frame = env.cur.frames[reg.frameno]!;
  for (let i = (spi - slots + 1) * 8; i < (spi + 1) * 8; i++) if (frame.slotType[i] === STACK_ITER) return false;
  return true;
}

/** is_iter_reg_valid_init: an iterator of that kind is there. */
export function iterValid(env: Env, reg: RegState, kind: string, slots: number): boolean {
  const spi = iterSpi(env, reg, slots);
  if (spi < 0) return false;
  const frame = env.cur.frames[reg.frameno]!;
  for (let i = 0; i < slots; i++) {
    const slot = frame.spilledAt(spi - i);
    if ((i === 0) !== (slot.refObjId !== 0) || slot.iterKind !== kind) return false;
    for (let j = 0; j < 8; j++) if (frame.slotType[(spi - i) * 8 + j] !== STACK_ITER) return false;
  }
  return true;
}

/** is_irq_flag_reg_valid_uninit and _init. */
export function irqFlagSpi(env: Env, reg: RegState, initialised: boolean): number {
  const spi = objectSpi(env, reg, "irq_flag", 1);
  if (spi === RANGE) return initialised ? -1 : RANGE;
  if (spi < 0) return -1;
  const frame = env.cur.frames[reg.frameno]!;
  for (let i = spi * 8; i < spi * 8 + 8; i++) if ((frame.slotType[i] === STACK_IRQ_FLAG) !== initialised) return -1;
  return spi;
}
