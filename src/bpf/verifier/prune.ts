// Where paths meet: compares the current state with those seen before at an instruction, ends the path when one was as
// safe, and decides which states to keep. kernel/bpf/verifier.c: is_state_visited, clean_live_states.

import { kfuncMeta } from "./kfuncs.ts";
import { isKfuncCall, isMayGoto } from "./cfg.ts";
import type { Env, StateListEntry } from "./env.ts";
import { EXACT, NOT_EXACT, RANGE_WITHIN, statesEqual } from "./equal.ts";
import { addBackedge, incompleteMarks, maybeEnterScc, sameCallsites } from "./paths.ts";
import { markAllScalarsImprecise, propagatePrecision } from "./precision.ts";
import { IterState } from "./reg.ts";
import { STACK_INVALID, STACK_ITER, type VerifierState, frameInsnIdx } from "./state.ts";

/** Longest history before a state is kept whatever else says. */
const MAX_HISTORY = 40;

/** clean_verifier_state: forgets registers and slots that are not read any more. */
function cleanState(env: Env, state: VerifierState): void {
  if (state.cleaned) return;
  state.cleaned = true;
  for (let f = 0; f <= state.curframe; f++) {
    const frame = state.frames[f]!;
    const live = env.aux[frameInsnIdx(state, f)]!.liveRegs;
    for (let r = 0; r < 10; r++) if ((live & (1 << r)) === 0) frame.regs[r]!.markNotInit();
    if (frame.allocated === 0) continue;
    const { low, high } = env.liveness.aliveSlots(state, f);
    for (let spi = 0; spi < frame.allocated / 8; spi++) {
      if (((spi < 32 ? low : high) & (1 << (spi & 31))) !== 0) continue;
      frame.spilled[spi] = null;
      frame.slotType.fill(STACK_INVALID, spi * 8, spi * 8 + 8);
    }
  }
}

function cleanLiveStates(env: Env, states: readonly StateListEntry[], cur: VerifierState): void {
  for (const { state } of states) {
    if (state.branches > 0 || state.cleaned || !sameCallsites(state, cur) || incompleteMarks(env, state)) continue;
    cleanState(env, state);
  }
}

/** states_maybe_looping: a cheap look before the real comparison. */
function maybeLooping(old: VerifierState, cur: VerifierState): boolean {
  if (old.curframe !== cur.curframe) return false;
  const a = old.frame;
  const b = cur.frame;
  for (let r = 0; r < 11; r++) {
    const x = a.regs[r]!;
    const y = b.regs[r]!;
    if (x.type !== y.type || x.off !== y.off || x.umin !== y.umin || x.umax !== y.umax || x.varOff.value !== y.varOff.value ||
      x.varOff.mask !== y.varOff.mask) return false;
  }
  return true;
}

/** iter_active_depths_differ: an iterator that moved on between the two. */
function iterDepthsDiffer(old: VerifierState, cur: VerifierState): boolean {
  for (let f = 0; f <= old.curframe; f++) {
    const frame = old.frames[f]!;
    for (let spi = 0; spi < frame.allocated / 8; spi++) {
      if (frame.slotType[spi * 8] !== STACK_ITER) continue;
      const slot = frame.spilledAt(spi);
      if (slot.iterState !== IterState.ACTIVE) continue;
      if (cur.frames[f]!.spilled[spi]?.iterDepth !== slot.iterDepth) return true;
    }
  }
  return false;
}

function isIterNext(env: Env, slot: number): boolean {
  const insn = env.insns[slot]!;
  return isKfuncCall(insn) && kfuncMeta(insn.imm)?.iterator === "next";
}

function iteratorActive(cur: VerifierState): boolean {
  const reg = cur.regs[1]!;
  const spi = (-(reg.off + Number(BigInt.asIntN(64, reg.varOff.value))) - 1) >> 3;
  return cur.frames[reg.frameno]?.spilled[spi]?.iterState === IterState.ACTIVE;
}

/** is_state_visited: whether the rest of this path is known to be safe. */
export function isStateVisited(env: Env, insnIdx: number): boolean {
  const { cur } = env;
  const force = env.testStateFreq || env.aux[insnIdx]!.forceCheckpoint || cur.history.length > MAX_HISTORY;
  let add = force ||
    (env.jmpsProcessed - env.prevJmpsProcessed >= 2 && env.insnProcessed - env.prevInsnProcessed >= 8);
  const states = (env.explored[insnIdx] ??= []);
  cleanLiveStates(env, states, cur);
  let count = 0;
  // The newest state is looked at first.
  for (let i = states.length - 1; i >= 0; i--) {
    const entry = states[i]!;
    const old = entry.state;
    count++;
    let hit = false;
    let loop = false;
    if (old.branches > 0) {
      const frame = old.frame;
      if (frame.inAsyncCallback && frame.asyncEntryCnt !== cur.frame.asyncEntryCnt) {
        // Another round of the same timer: not a loop.
      } else if (isIterNext(env, insnIdx)) {
        if (statesEqual(env, old, cur, RANGE_WITHIN) && iteratorActive(cur)) hit = loop = true;
      } else if (env.aux[insnIdx]!.callsCallback) {
        hit = statesEqual(env, old, cur, RANGE_WITHIN);
      } else {
        if (isMayGoto(env.insns[insnIdx]!) && old.mayGotoDepth !== cur.mayGotoDepth && statesEqual(env, old, cur, RANGE_WITHIN)) {
          hit = loop = true;
        } else if (
          maybeLooping(old, cur) && statesEqual(env, old, cur, EXACT) && !iterDepthsDiffer(old, cur) &&
          old.mayGotoDepth === cur.mayGotoDepth && old.callbackUnrollDepth === cur.callbackUnrollDepth
        ) {
          env.printLine(insnIdx, "; ");
          env.verbose(`infinite loop detected at insn ${insnIdx}\n`);
          env.verbose("cur state:");
          env.printState(cur, cur.curframe, true);
          env.verbose("old state:");
          env.printState(old, cur.curframe, true);
          env.reject("EINVAL", "");
        }
      }
      if (!hit && !force && env.jmpsProcessed - env.prevJmpsProcessed < 20 && env.insnProcessed - env.prevInsnProcessed < 100) {
        add = false;
      }
    } else {
      loop = incompleteMarks(env, old);
      hit = statesEqual(env, old, cur, loop ? RANGE_WITHIN : NOT_EXACT);
    }
    if (hit) {
      entry.hits++;
      if (env.aux[env.insnIdx]!.jmpPoint) env.recordHistory(cur, null, null);
      propagatePrecision(env, old, cur);
      if (loop) {
        const backedge = cur.clone();
        backedge.equalState = old;
        backedge.insnIdx = insnIdx;
        addBackedge(env, old, backedge);
      }
      return true;
    }
    if (add) entry.misses++;
    const patience = env.aux[insnIdx]!.forceCheckpoint && old.branches > 0 ? 64 : 3;
    if (entry.misses > entry.hits * patience + patience) {
      states.splice(i, 1);
      env.exploredSize--;
    }
  }
  if (env.maxStatesPerInsn < count) env.maxStatesPerInsn = count;
  if (!add) return false;
  env.totalStates++;
  env.exploredSize++;
  if (env.exploredSize > env.peakStates) env.peakStates = env.exploredSize;
  env.prevJmpsProcessed = env.jmpsProcessed;
  env.prevInsnProcessed = env.insnProcessed;
  markAllScalarsImprecise(cur);
  const state = cur.clone();
  state.insnIdx = insnIdx;
  maybeEnterScc(env, state);
  cur.parent = state;
  cur.firstInsnIdx = insnIdx;
  cur.dfsDepth = state.dfsDepth + 1;
  cur.history = [];
  states.push({ state, hits: 0, misses: 0 });
  return false;
}
