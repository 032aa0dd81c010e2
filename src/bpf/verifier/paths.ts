// Paths still to be walked, and the end of a path: push_stack, pop_stack, update_branch_counts, and the visits of loops
// whose precise registers are only known when the loop was walked whole. kernel/bpf/verifier.c.

import type { Env, SccVisit } from "./env.ts";
import { markAllScalarsPrecise, propagatePrecision } from "./precision.ts";
import { SCALAR_VALUE, type RegState } from "./reg.ts";
import { frameInsnIdx, type VerifierState } from "./state.ts";
import { IdMap, regsExact } from "./equal.ts";

/** BPF_COMPLEXITY_LIMIT_JMP_SEQ. */
const MAX_PENDING = 8192;
/** MAX_BACKEDGE_ITERS. */
const MAX_BACKEDGE_ITERATIONS = 64;

/** push_stack: a copy of the current state, to go on from `insnIdx` later. */
export function pushPath(env: Env, insnIdx: number, prevInsnIdx: number): VerifierState {
  const state = env.cur.clone();
  return pushState(env, state, insnIdx, prevInsnIdx);
}

export function pushState(env: Env, state: VerifierState, insnIdx: number, prevInsnIdx: number): VerifierState {
  env.pending.push({ state, insnIdx, prevInsnIdx, logPosition: env.log.length });
  if (env.pending.length > MAX_PENDING) {
    env.reject("E2BIG", `The sequence of ${env.pending.length} jumps is too complex.`);
  }
  if (state.parent !== null) state.parent.branches++;
  return state;
}

/** compute_scc_callchain: the loop a state is in, with the calls that lead to it; "" outside of loops. */
function sccKey(env: Env, state: VerifierState): string {
  let key = "";
  for (let f = 0; f <= state.curframe; f++) {
    const idx = frameInsnIdx(state, f);
    const scc = env.aux[idx]!.scc;
    if (scc !== 0) return `${key}s${scc}`;
    key += `${idx},`;
  }
  return "";
}

/** maybe_enter_scc: a new state in a loop is the first of its visit. */
export function maybeEnterScc(env: Env, state: VerifierState): void {
  const key = sccKey(env, state);
  if (key === "") return;
  let visit = env.sccVisits.get(key);
  if (visit === undefined) {
    visit = { entry: null, backedges: [] };
    env.sccVisits.set(key, visit);
  }
  if (visit.entry !== null) return;
  visit.entry = state;
  if ((env.log.level & 2) !== 0) env.verbose(`SCC enter (${key.replace("s", "")})\n`);
}

/** incomplete_read_marks: whether the state is in a loop with back edges that are not settled. */
export function incompleteMarks(env: Env, state: VerifierState): boolean {
  if (env.sccVisits.size === 0) return false;
  const key = sccKey(env, state);
  return key !== "" && (env.sccVisits.get(key)?.backedges.length ?? 0) > 0;
}

/** add_scc_backedge. */
export function addBackedge(env: Env, equal: VerifierState, state: VerifierState): void {
  const visit = env.sccVisits.get(sccKey(env, equal));
  if (visit === undefined) env.bug("add backedge: no visit info");
  visit.backedges.push(state);
}

function propagateBackedges(env: Env, visit: SccVisit): void {
  for (let round = 0, changed = true; changed; round++) {
    if (round >= MAX_BACKEDGE_ITERATIONS) {
      for (const backedge of visit.backedges) markAllScalarsPrecise(env, backedge);
      break;
    }
    changed = false;
    for (const backedge of visit.backedges) {
      if (propagatePrecision(env, backedge.equalState!, backedge)) changed = true;
    }
  }
  visit.backedges = [];
}

function maybeExitScc(env: Env, state: VerifierState): void {
  if (env.sccVisits.size === 0) return;
  const key = sccKey(env, state);
  if (key === "") return;
  const visit = env.sccVisits.get(key);
  if (visit === undefined || visit.entry !== state) return;
  if ((env.log.level & 2) !== 0) env.verbose(`SCC exit (${key.replace("s", "")})\n`);
  visit.entry = null;
  propagateBackedges(env, visit);
}

/** update_branch_counts: the path of `state` ended. */
export function updateBranchCounts(env: Env, state: VerifierState): void {
  for (let at: VerifierState | null = state; at !== null; at = at.parent) {
    at.branches--;
    if (at.branches > 0) break;
    maybeExitScc(env, at);
  }
}

/** same_callsites. */
export function sameCallsites(a: VerifierState, b: VerifierState): boolean {
  if (a.curframe !== b.curframe) return false;
  for (let f = a.curframe; f >= 0; f--) if (a.frames[f]!.callsite !== b.frames[f]!.callsite) return false;
  return true;
}

/** find_prev_entry: the state this path was in when it last passed `insnIdx`. */
export function findPreviousEntry(env: Env, cur: VerifierState | null, insnIdx: number): VerifierState | null {
  if (cur === null) return null;
  const states = env.explored[insnIdx];
  if (states === undefined) return null;
  for (let i = states.length - 1; i >= 0; i--) {
    const { state } = states[i]!;
    if (state.branches > 0 && state.dfsDepth < cur.dfsDepth && sameCallsites(state, cur)) return state;
  }
  return null;
}

/** widen_imprecise_scalars: loop counters and sums that nothing depends on become unknown, so that loops converge. */
export function widenImpreciseScalars(env: Env, old: VerifierState, cur: VerifierState): void {
  const ids = new IdMap(env.idGen);
  const widen = (before: RegState, after: RegState): void => {
    if (before.type !== SCALAR_VALUE || after.type !== SCALAR_VALUE) return;
    if (before.precise || after.precise || regsExact(before, after, ids)) return;
    after.markUnknown(false);
  };
  for (let f = old.curframe; f >= 0; f--) {
    const before = old.frames[f]!;
    const after = cur.frames[f]!;
    for (let r = 0; r < 11; r++) widen(before.regs[r]!, after.regs[r]!);
    for (let spi = 0; spi < before.spilled.length; spi++) {
      if (spi < after.spilled.length && before.isSpilled(spi) && after.isSpilled(spi)) {
        widen(before.spilledAt(spi), after.spilledAt(spi));
      }
    }
  }
}
