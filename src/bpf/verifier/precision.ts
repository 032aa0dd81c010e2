// Which scalars had to be exactly what they were: when a value decides something, the path is walked back to where the
// value came from and every register and stack slot on the way is marked precise in the states passed. States that
// differ only in scalars that are not precise are equal. kernel/bpf/verifier.c: __mark_chain_precision and
// backtrack_insn; kernel/bpf/backtrack.c in later kernels.

import * as op from "../insn.ts";
import { Helper } from "../uapi.ts";
import { callsSyncCallback, isKfuncCall, isPseudoCall } from "./cfg.ts";
import type { Env } from "./env.ts";
import { SCALAR_VALUE } from "./reg.ts";
import {
  INSN_F_DST_REG_STACK, INSN_F_SRC_REG_STACK, INSN_F_STACK_ACCESS, type HistoryEntry, type LinkedReg, type VerifierState,
} from "./state.ts";

const ARGS = 0x3e;
const FP = 10;

/** Registers and slots still looked for, by frame: struct backtrack_state. */
class Backtrack {
  frame = 0;
  readonly regs = new Int32Array(9);
  readonly low = new Int32Array(9);
  readonly high = new Int32Array(9);

  reset(): void {
    this.frame = 0;
    this.regs.fill(0);
    this.low.fill(0);
    this.high.fill(0);
  }

  empty(): boolean {
    for (let f = 0; f <= this.frame; f++) if ((this.regs[f]! | this.low[f]! | this.high[f]!) !== 0) return false;
    return true;
  }

  hasReg(reg: number): boolean {
    return (this.regs[this.frame]! & (1 << reg)) !== 0;
  }

  setReg(reg: number, frame = this.frame): void {
    this.regs[frame]! |= 1 << reg;
  }

  clearReg(reg: number, frame = this.frame): void {
    this.regs[frame]! &= ~(1 << reg);
  }

  hasSlot(frame: number, spi: number): boolean {
    return ((spi < 32 ? this.low[frame]! : this.high[frame]!) & (1 << (spi & 31))) !== 0;
  }

  setSlot(frame: number, spi: number): void {
    if (spi < 32) this.low[frame]! |= 1 << spi;
    else this.high[frame]! |= 1 << (spi - 32);
  }

  clearSlot(frame: number, spi: number): void {
    if (spi < 32) this.low[frame]! &= ~(1 << spi);
    else this.high[frame]! &= ~(1 << (spi - 32));
  }

  noSlots(frame: number): boolean {
    return (this.low[frame]! | this.high[frame]!) === 0;
  }

  regText(frame: number): string {
    const names: string[] = [];
    for (let r = 0; r < 32; r++) if ((this.regs[frame]! & (1 << r)) !== 0) names.push(`r${r}`);
    return names.join(",");
  }

  slotText(frame: number): string {
    const names: string[] = [];
    for (let spi = 0; spi < 64; spi++) if (this.hasSlot(frame, spi)) names.push(`${-(spi + 1) * 8}`);
    return names.join(",");
  }
}

const backtracks = new WeakMap<Env, Backtrack>();

function backtrack(env: Env): Backtrack {
  let bt = backtracks.get(env);
  if (bt === undefined) {
    bt = new Backtrack();
    backtracks.set(env, bt);
  }
  return bt;
}

function syncLinked(bt: Backtrack, linked: readonly LinkedReg[] | null): void {
  if (linked === null) return;
  const wanted = linked.some((reg) =>
    reg.isReg ? (bt.regs[reg.frameno]! & (1 << reg.index)) !== 0 : bt.hasSlot(reg.frameno, reg.index));
  if (!wanted) return;
  for (const reg of linked) {
    if (reg.isReg) bt.setReg(reg.index, reg.frameno);
    else bt.setSlot(reg.frameno, reg.index);
  }
}

/** Steps back over a call, exit or jump; false when that can't be done. */
function backtrackJump(env: Env, bt: Backtrack, idx: number, after: number, hist: HistoryEntry | null): boolean {
  const insn = env.insns[idx]!;
  const operation = insn.code & 0xf0;
  if (isPseudoCall(insn)) {
    const subprog = env.findSubprog(idx + insn.imm + 1);
    if (env.subprogs[subprog]!.isGlobal) {
      if ((bt.regs[bt.frame]! & ARGS) !== 0) env.bug(`global subprog unexpected regs ${bt.regs[bt.frame]!.toString(16)}`);
      bt.clearReg(0);
      return true;
    }
    if ((bt.regs[bt.frame]! & ~ARGS) !== 0) env.bug(`static subprog unexpected regs ${bt.regs[bt.frame]!.toString(16)}`);
    if (!bt.noSlots(bt.frame)) env.bug(`static subprog leftover stack slots`);
    if (bt.frame === 0) env.bug("subprog exit from frame 0");
    bt.regs[bt.frame - 1]! |= bt.regs[bt.frame]! & ARGS;
    bt.regs[bt.frame] = 0;
    bt.frame--;
    return true;
  }
  if (callsSyncCallback(insn) && idx !== after - 1) {
    if ((bt.regs[bt.frame]! & ~ARGS) !== 0) env.bug(`callback unexpected regs ${bt.regs[bt.frame]!.toString(16)}`);
    if (!bt.noSlots(bt.frame)) env.bug("callback leftover stack slots");
    bt.regs[bt.frame] = 0;
    if (bt.frame === 0) env.bug("subprog exit from frame 0");
    bt.frame--;
    return true;
  }
  if (operation === op.BPF_CALL) {
    if (isKfuncCall(insn) && insn.imm === 0) return false;
    bt.clearReg(0);
    if ((bt.regs[bt.frame]! & ARGS) !== 0) env.bug(`backtracking call unexpected regs ${bt.regs[bt.frame]!.toString(16)}`);
    if (insn.src === 0 && insn.imm === Helper.tail_call && after - idx !== 1) {
      // A tail call that succeeds leaves its function: what follows is in the caller.
      bt.frame++;
    }
    return true;
  }
  if (operation === op.BPF_EXIT) {
    if (after >= 0 && env.aux[after]!.callsCallback) bt.regs[bt.frame]! &= ~ARGS;
    if ((bt.regs[bt.frame]! & ARGS) !== 0) env.bug(`backtracking exit unexpected regs ${bt.regs[bt.frame]!.toString(16)}`);
    const wanted = after - 1 >= 0 && isPseudoCall(env.insns[after - 1]!) && bt.hasReg(0);
    bt.clearReg(0);
    bt.frame++;
    if (wanted) bt.setReg(0);
    return true;
  }
  if (operation !== op.BPF_JA && (insn.code & 8) === op.BPF_X) {
    if (!bt.hasReg(insn.dst) && !bt.hasReg(insn.src)) return true;
    const flags = hist?.flags ?? 0;
    if ((flags & INSN_F_SRC_REG_STACK) === 0) bt.setReg(insn.src);
    if ((flags & INSN_F_DST_REG_STACK) === 0) bt.setReg(insn.dst);
  }
  return true;
}

/** backtrack_insn: what is looked for before `idx`, given what is looked for behind it; false: give up (-ENOTSUPP). */
function backtrackInsn(env: Env, bt: Backtrack, idx: number, after: number, hist: HistoryEntry | null): boolean {
  const insn = env.insns[idx]!;
  if (insn.code === 0) return true;
  if ((env.log.level & 2) !== 0) {
    env.verbose(`mark_precise: frame${bt.frame}: regs=${bt.regText(bt.frame)} stack=${bt.slotText(bt.frame)} before ${idx}: ` +
      `${env.insnText(idx)}\n`);
  }
  const linked = hist?.linked ?? null;
  syncLinked(bt, linked);
  const cls = insn.code & 7;
  const stackAccess = hist !== null && (hist.flags & INSN_F_STACK_ACCESS) !== 0;
  switch (cls) {
    case op.BPF_ALU:
    case op.BPF_ALU64: {
      if (!bt.hasReg(insn.dst)) return true;
      const operation = insn.code & 0xf0;
      if (operation === op.BPF_END || operation === op.BPF_NEG) return true;
      if (operation === op.BPF_MOV) bt.clearReg(insn.dst);
      if ((insn.code & 8) === op.BPF_X && insn.src !== FP) bt.setReg(insn.src);
      break;
    }
    case op.BPF_STX:
    case op.BPF_LDX: {
      const atomicLoad = cls === op.BPF_STX && (insn.code & 0xe0) === op.BPF_ATOMIC && insn.imm === op.BPF_LOAD_ACQ;
      if (cls === op.BPF_LDX || atomicLoad) {
        if (!bt.hasReg(insn.dst)) return true;
        bt.clearReg(insn.dst);
        if (!stackAccess) return true;
        bt.setSlot(hist!.frameno, hist!.spi);
        break;
      }
      if (bt.hasReg(insn.dst)) return false;
      if (!stackAccess || !bt.hasSlot(hist!.frameno, hist!.spi)) return true;
      bt.clearSlot(hist!.frameno, hist!.spi);
      bt.setReg(insn.src);
      break;
    }
    case op.BPF_ST:
      if (bt.hasReg(insn.dst)) return false;
      if (!stackAccess || !bt.hasSlot(hist!.frameno, hist!.spi)) return true;
      bt.clearSlot(hist!.frameno, hist!.spi);
      break;
    case op.BPF_LD: {
      if (!bt.hasReg(insn.dst)) return true;
      bt.clearReg(insn.dst);
      const mode = insn.code & 0xe0;
      if (mode === op.BPF_IND || mode === op.BPF_ABS) return false;
      break;
    }
    default: {
      const frame = bt.frame;
      if (!backtrackJump(env, bt, idx, after, hist)) return false;
      if (bt.frame !== frame) return true;
    }
  }
  syncLinked(bt, linked);
  return true;
}

/** mark_all_scalars_precise: for paths that can't be walked back; every state before `start` keeps all its scalars. */
export function markAllScalarsPrecise(env: Env, start: VerifierState): void {
  const verbose = (env.log.level & 2) !== 0;
  if (verbose) env.verbose(`mark_precise: frame${start.curframe}: falling back to forcing all scalars precise\n`);
  for (let state = start.parent; state !== null; state = state.parent) {
    for (let f = 0; f <= state.curframe; f++) {
      const frame = state.frames[f]!;
      for (let r = 0; r < FP; r++) {
        const reg = frame.regs[r]!;
        if (reg.type !== SCALAR_VALUE || reg.precise) continue;
        reg.precise = true;
        if (verbose) env.verbose(`force_precise: frame${f}: forcing r${r} to be precise\n`);
      }
      for (let spi = 0; spi < frame.spilled.length; spi++) {
        const reg = frame.spilled[spi];
        if (!reg || !frame.isSpilled(spi) || reg.type !== SCALAR_VALUE || reg.precise) continue;
        reg.precise = true;
        if (verbose) env.verbose(`force_precise: frame${f}: forcing fp${-(spi + 1) * 8} to be precise\n`);
      }
    }
  }
}

/** mark_all_scalars_imprecise: a new state starts without marks. */
export function markAllScalarsImprecise(state: VerifierState): void {
  for (let f = 0; f <= state.curframe; f++) {
    const frame = state.frames[f]!;
    for (let r = 0; r < FP; r++) if (frame.regs[r]!.type === SCALAR_VALUE) frame.regs[r]!.precise = false;
    for (let spi = 0; spi < frame.spilled.length; spi++) {
      const reg = frame.spilled[spi];
      if (reg && frame.isSpilled(spi) && reg.type === SCALAR_VALUE) reg.precise = false;
    }
  }
}

/** Walks back from `start` with what `bt` looks for. Returns whether any state got a new mark. */
function markChain(env: Env, bt: Backtrack, start: VerifierState): boolean {
  let state: VerifierState | null = start;
  let first = start.firstInsnIdx;
  let last = start.insnIdx;
  let after = -1;
  let skip = true;
  let changed = false;
  const verbose = (env.log.level & 2) !== 0;
  if (bt.empty()) return false;
  for (;;) {
    if (verbose) {
      env.verbose(`mark_precise: frame${bt.frame}: last_idx ${last} first_idx ${first} subseq_idx ${after} \n`);
    }
    const { history }: VerifierState = state;
    let count = history.length;
    if (last < 0) {
      // The entry of a global function: its scalar arguments are whatever the caller gives.
      const frame = state.frames[0]!;
      for (let r = 1; r <= 5; r++) {
        if (bt.hasReg(r) && frame.regs[r]!.type === SCALAR_VALUE && !frame.regs[r]!.precise) {
          frame.regs[r]!.precise = true;
          changed = true;
        }
      }
      if (state.curframe !== 0 || frame.subprogno === 0 || (bt.regs[0]! & ~ARGS) !== 0 || !bt.noSlots(0)) {
        bt.reset();
        env.bug("backtracking func entry unexpected state");
      }
      bt.reset();
      return changed;
    }
    for (let i = last; ; ) {
      const entry: HistoryEntry | null = count > 0 && history[count - 1]!.idx === i ? history[count - 1]! : null;
      if (skip) {
        skip = false;
      } else if (!backtrackInsn(env, bt, i, after, entry)) {
        markAllScalarsPrecise(env, start);
        bt.reset();
        return true;
      }
      if (bt.empty()) {
        bt.reset();
        return changed;
      }
      after = i;
      if (i === state.firstInsnIdx && (count === 0 || (count === 1 && history[0]!.idx === i))) break;
      if (entry !== null) {
        i = entry.prevIdx;
        count--;
      } else {
        i--;
      }
      if (i < 0) env.bug("backtracking idx out of range");
    }
    state = state.parent;
    if (state === null) break;
    for (let f = bt.frame; f >= 0; f--) {
      const frame = state.frames[f]!;
      for (let r = 0; r < 11; r++) {
        if ((bt.regs[f]! & (1 << r)) === 0) continue;
        const reg = frame.regs[r]!;
        if (reg.type !== SCALAR_VALUE || reg.precise) {
          bt.clearReg(r, f);
        } else {
          reg.precise = true;
          changed = true;
        }
      }
      if (!bt.noSlots(f)) {
        for (let spi = 0; spi < 64; spi++) {
          if (!bt.hasSlot(f, spi)) continue;
          if (spi >= frame.spilled.length || !frame.isSpilledScalar(spi, false) || frame.spilled[spi]!.precise) {
            bt.clearSlot(f, spi);
          } else {
            frame.spilled[spi]!.precise = true;
            changed = true;
          }
        }
      }
      if (verbose) {
        env.verbose(`mark_precise: frame${f}: parent state regs=${bt.regText(f)} stack=${bt.slotText(f)}: `);
        env.printState(state, f, true);
      }
    }
    if (bt.empty()) {
      bt.reset();
      return changed;
    }
    after = first;
    last = state.lastInsnIdx;
    first = state.firstInsnIdx;
  }
  if (!bt.empty()) markAllScalarsPrecise(env, start);
  bt.reset();
  return true;
}

/** mark_chain_precision: register `regno` of the current frame must be exactly what it is. */
export function markChainPrecision(env: Env, regno: number): void {
  if (regno < 0) return;
  const bt = backtrack(env);
  bt.reset();
  bt.frame = env.cur.curframe;
  if (env.reg(regno).type !== SCALAR_VALUE) env.bug(`backtracking misuse`);
  bt.setReg(regno);
  markChain(env, bt, env.cur);
}

/** mark_chain_precision_batch for one spilled scalar of any frame. */
export function markSlotPrecision(env: Env, frameno: number, spi: number): void {
  const bt = backtrack(env);
  bt.reset();
  bt.frame = env.cur.curframe;
  bt.setSlot(frameno, spi);
  markChain(env, bt, env.cur);
}

/** propagate_precision: what was precise in `old` is so in the path that led to `cur`. Returns whether marks are new. */
export function propagatePrecision(env: Env, old: VerifierState, cur: VerifierState): boolean {
  const bt = backtrack(env);
  bt.reset();
  const verbose = (env.log.level & 2) !== 0;
  for (let f = old.curframe; f >= 0; f--) {
    const frame = old.frames[f]!;
    const names: string[] = [];
    for (let r = 0; r < FP; r++) {
      const reg = frame.regs[r]!;
      if (reg.type !== SCALAR_VALUE || !reg.precise) continue;
      bt.setReg(r, f);
      if (verbose) names.push(`r${r}`);
    }
    for (let spi = 0; spi < frame.spilled.length; spi++) {
      const reg = frame.spilled[spi];
      if (!reg || !frame.isSpilled(spi) || reg.type !== SCALAR_VALUE || !reg.precise) continue;
      bt.setSlot(f, spi);
      if (verbose) names.push(`fp${-(spi + 1) * 8}`);
    }
    if (names.length > 0) env.verbose(`frame ${f}: propagating ${names.join(",")}\n`);
  }
  bt.frame = cur.curframe;
  return markChain(env, bt, cur);
}
