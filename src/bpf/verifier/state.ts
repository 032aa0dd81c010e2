// States of a verification: frames with registers and stack, what a path holds (references, locks), and the history
// that precision tracking walks back. include/linux/bpf_verifier.h: bpf_func_state, bpf_verifier_state.

import { MAX_BPF_STACK } from "../uapi.ts";
import { RegState, SCALAR_VALUE } from "./reg.ts";

/** enum bpf_stack_slot_type, one a byte. */
export const STACK_INVALID = 0;
export const STACK_SPILL = 1;
export const STACK_MISC = 2;
export const STACK_ZERO = 3;
export const STACK_DYNPTR = 4;
export const STACK_ITER = 5;
export const STACK_IRQ_FLAG = 6;

export const SLOT_BYTES = 8;
export const STACK_SLOTS = MAX_BPF_STACK / SLOT_BYTES;

/** Kinds of references a path may hold: enum ref_state_type. */
export const REF_TYPE_PTR = 1;
export const REF_TYPE_IRQ = 2;
export const REF_TYPE_LOCK = 4;
export const REF_TYPE_RES_LOCK = 8;
export const REF_TYPE_RES_LOCK_IRQ = 16;
export const REF_TYPE_LOCK_MASK = REF_TYPE_LOCK | REF_TYPE_RES_LOCK | REF_TYPE_RES_LOCK_IRQ;

/** Something acquired that must be released: bpf_reference_state. `ptr` is the map or object of a lock. */
export interface Reference {
  readonly type: number;
  readonly id: number;
  readonly insnIdx: number;
  readonly ptr?: unknown;
}

/** Flags of history entries. */
export const INSN_F_STACK_ACCESS = 1 << 9;
export const INSN_F_DST_REG_STACK = 1 << 10;
export const INSN_F_SRC_REG_STACK = 1 << 11;

/** A register or stack slot that shares its scalar with others: linked_reg. */
export interface LinkedReg {
  readonly frameno: number;
  readonly isReg: boolean;
  /** Register number or stack slot. */
  readonly index: number;
}

/** One step of a path that is not just "the next instruction", or whose effects need to be remembered. */
export interface HistoryEntry {
  readonly idx: number;
  readonly prevIdx: number;
  /** INSN_F_* with frame and slot of stack accesses beside. */
  flags: number;
  frameno: number;
  spi: number;
  linked: readonly LinkedReg[] | null;
}

/** Bounds a callback's or program's return value must be in. */
export interface RetvalRange {
  readonly min: number;
  readonly max: number;
}

export class FuncState {
  readonly regs: RegState[];
  /** Slot of the call that made this frame; -1 for the first. */
  callsite: number;
  frameno: number;
  subprogno: number;
  asyncEntryCnt = 0;
  inCallback = false;
  inAsyncCallback = false;
  inExceptionCallback = false;
  callbackRet: RetvalRange = { min: 0, max: 0 };
  /** Times the callback of the current call was walked. */
  callbackDepth = 0;
  /** Bytes of stack that are tracked; a multiple of 8. */
  allocated = 0;
  /** Type of byte i: that at fp - 1 - i. */
  slotType: Uint8Array = NO_BYTES;
  /** What was spilled at fp - 8 * (i + 1); null is NOT_INIT. */
  spilled: (RegState | null)[] = [];

  constructor(callsite: number, frameno: number, subprogno: number, regs?: RegState[]) {
    this.callsite = callsite;
    this.frameno = frameno;
    this.subprogno = subprogno;
    if (regs !== undefined) {
      this.regs = regs;
      return;
    }
    this.regs = [];
    for (let i = 0; i < 11; i++) this.regs.push(new RegState());
  }

  clone(): FuncState {
    const regs: RegState[] = new Array(11);
    for (let i = 0; i < 11; i++) regs[i] = this.regs[i]!.clone();
    const copy = new FuncState(this.callsite, this.frameno, this.subprogno, regs);
    copy.asyncEntryCnt = this.asyncEntryCnt;
    copy.inCallback = this.inCallback;
    copy.inAsyncCallback = this.inAsyncCallback;
    copy.inExceptionCallback = this.inExceptionCallback;
    copy.callbackRet = this.callbackRet;
    copy.callbackDepth = this.callbackDepth;
    copy.allocated = this.allocated;
    if (this.allocated > 0) {
      copy.slotType = this.slotType.slice();
      const count = this.spilled.length;
      const spilled: (RegState | null)[] = new Array(count);
      for (let i = 0; i < count; i++) {
        const reg = this.spilled[i]!;
        spilled[i] = reg === null ? null : reg.clone();
      }
      copy.spilled = spilled;
    }
    return copy;
  }

  /** grow_stack_state: tracks at least `bytes`. */
  grow(bytes: number): void {
    const size = Math.min(MAX_BPF_STACK, (bytes + 7) & ~7);
    if (size <= this.allocated) return;
    const types = new Uint8Array(size);
    types.set(this.slotType);
    this.slotType = types;
    while (this.spilled.length < size / SLOT_BYTES) this.spilled.push(null);
    this.allocated = size;
  }

  /** The register spilled at slot `spi`, made if there is none. */
  spilledAt(spi: number): RegState {
    return (this.spilled[spi] ??= new RegState());
  }

  /** is_spilled_reg: whether the byte at the lowest address of the slot is of a spill. */
  isSpilled(spi: number): boolean {
    return this.slotType[spi * SLOT_BYTES + 7] === STACK_SPILL;
  }

  /** is_spilled_scalar_reg: a spilled scalar; `full` wants all eight bytes. */
  isSpilledScalar(spi: number, full: boolean): boolean {
    const reg = this.spilled[spi];
    return this.slotType[spi * SLOT_BYTES + (full ? 0 : 7)] === STACK_SPILL && reg?.type === SCALAR_VALUE;
  }
}

const NO_BYTES = new Uint8Array(0);

export class VerifierState {
  frames: FuncState[] = [];
  curframe = 0;
  parent: VerifierState | null = null;
  /** Paths that start here and are not walked to their end yet. */
  branches = 0;
  insnIdx = 0;
  lastInsnIdx = 0;
  firstInsnIdx = 0;
  history: HistoryEntry[] = [];
  dfsDepth = 0;
  callbackUnrollDepth = 0;
  mayGotoDepth = 0;
  inSleepable = false;
  /** Dead registers and slots were cleared. */
  cleaned = false;
  refs: Reference[] = [];
  activeLocks = 0;
  activePreemptLocks = 0;
  activeIrqId = 0;
  activeLockId = 0;
  activeLockPtr: unknown = null;
  activeRcuLocks = 0;
  /** Of a back edge: the state it was found equal to. */
  equalState: VerifierState | null = null;

  /** copy_verifier_state. */
  clone(): VerifierState {
    const copy = new VerifierState();
    for (let i = 0; i <= this.curframe; i++) copy.frames.push(this.frames[i]!.clone());
    copy.curframe = this.curframe;
    copy.parent = this.parent;
    copy.branches = this.branches;
    copy.insnIdx = this.insnIdx;
    copy.lastInsnIdx = this.lastInsnIdx;
    copy.firstInsnIdx = this.firstInsnIdx;
    // Entries are shared until one of the two changes its last: see recordHistory.
    copy.history = this.history.slice();
    copy.dfsDepth = this.dfsDepth;
    copy.callbackUnrollDepth = this.callbackUnrollDepth;
    copy.mayGotoDepth = this.mayGotoDepth;
    copy.inSleepable = this.inSleepable;
    copy.refs = this.refs.slice();
    copy.activeLocks = this.activeLocks;
    copy.activePreemptLocks = this.activePreemptLocks;
    copy.activeIrqId = this.activeIrqId;
    copy.activeLockId = this.activeLockId;
    copy.activeLockPtr = this.activeLockPtr;
    copy.activeRcuLocks = this.activeRcuLocks;
    copy.equalState = this.equalState;
    return copy;
  }

  get frame(): FuncState {
    return this.frames[this.curframe]!;
  }

  get regs(): RegState[] {
    return this.frames[this.curframe]!.regs;
  }

  /** Every register and spilled register of every frame: bpf_for_each_reg_in_vstate. */
  forEachReg(visit: (reg: RegState, frame: FuncState) => void): void {
    for (let f = 0; f <= this.curframe; f++) {
      const frame = this.frames[f]!;
      for (let i = 0; i < 11; i++) visit(frame.regs[i]!, frame);
      for (let spi = 0; spi < frame.spilled.length; spi++) {
        const reg = frame.spilled[spi];
        if (reg && frame.slotType[spi * SLOT_BYTES + 7] === STACK_SPILL) visit(reg, frame);
      }
    }
  }
}

/** frame_insn_idx: where frame `index` of a state stands: its next instruction, or its call. */
export const frameInsnIdx = (state: VerifierState, index: number): number =>
  index === state.curframe ? state.insnIdx : state.frames[index + 1]!.callsite;
