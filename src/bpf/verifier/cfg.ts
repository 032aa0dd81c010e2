// The program as a graph: subprograms, reachability, order of slots, loops, and registers that are read later.
// kernel/bpf/verifier.c: add_subprog_and_kfunc, check_subprogs, check_cfg, compute_postorder, compute_scc,
// compute_live_registers; kernel/bpf/cfg.c in later kernels.

import * as op from "../insn.ts";
import type { Insn } from "../insn.ts";
import { Helper } from "../uapi.ts";
import type { Env, Subprog } from "./env.ts";
import { helperChangesPacket, helperProto, isAsyncCallbackHelper, isSyncCallbackHelper, protoArgCount } from "./protos.ts";
import { kfuncMeta } from "./kfuncs.ts";

const MAX_SUBPROGS = 256;
/** Registers a call leaves with new values or none: r0 to r5. */
const CALLER_SAVED = 0x3f;

export const isPseudoFunc = (insn: Insn): boolean => op.isLddw(insn) && insn.src === op.BPF_PSEUDO_FUNC;
export const isPseudoCall = (insn: Insn): boolean =>
  insn.code === (op.BPF_JMP | op.BPF_CALL) && insn.src === op.BPF_PSEUDO_CALL;
export const isKfuncCall = (insn: Insn): boolean =>
  insn.code === (op.BPF_JMP | op.BPF_CALL) && insn.src === op.BPF_PSEUDO_KFUNC_CALL;
export const isHelperCall = (insn: Insn): boolean => insn.code === (op.BPF_JMP | op.BPF_CALL) && insn.src === 0;
export const isMayGoto = (insn: Insn): boolean => insn.code === (op.BPF_JMP | op.BPF_JCOND) && insn.src === 0;

/** Distance of a jump: `gotol` has it in imm. */
export const jumpOffset = (insn: Insn): number => (insn.code === (op.BPF_JMP32 | op.BPF_JA) ? insn.imm : insn.off);

/** Helpers and kfuncs whose callback runs before they return, and those whose callback runs some time later. */
export function callsSyncCallback(insn: Insn): boolean {
  if (isHelperCall(insn)) return isSyncCallbackHelper(insn.imm);
  return isKfuncCall(insn) && kfuncMeta(insn.imm)?.callback === "sync";
}

export function callsAsyncCallback(insn: Insn): boolean {
  if (isHelperCall(insn)) return isAsyncCallbackHelper(insn.imm);
  return isKfuncCall(insn) && kfuncMeta(insn.imm)?.callback === "async";
}

function newSubprog(start: number): Subprog {
  return {
    start, end: start, name: "", stackDepth: 0, isGlobal: false, isCallback: false, isAsyncCallback: false,
    isExceptionCallback: false, hasTailCall: false, tailCallReachable: false, hasLdAbs: false, changesPktData: false,
    mightSleep: false, called: false, funcType: null, funcProto: null, unreliable: false, args: null,
    postorderStart: 0, postorderEnd: 0,
  };
}

/** add_subprog_and_kfunc: finds where subprograms start. */
export function addSubprogs(env: Env): void {
  const { insns } = env;
  const starts = new Set([0]);
  for (let i = 0; i < insns.length; i++) {
    const insn = insns[i]!;
    if (!isPseudoFunc(insn) && !isPseudoCall(insn)) continue;
    const target = i + insn.imm + 1;
    if (target < 0 || target >= insns.length) env.reject("EINVAL", "call to invalid destination");
    starts.add(target);
    if (starts.size >= MAX_SUBPROGS) env.reject("E2BIG", "too many subprograms");
  }
  env.subprogs = [...starts].sort((a, b) => a - b).map(newSubprog);
  env.subprogs.forEach((subprog, index) => (subprog.end = env.subprogs[index + 1]?.start ?? insns.length));
  if ((env.log.level & 2) !== 0) env.subprogs.forEach((subprog, i) => env.verbose(`func#${i} @${subprog.start}\n`));
}

/** check_subprogs: jumps stay inside, and no subprogram runs into the next. */
export function checkSubprogs(env: Env): void {
  for (const subprog of env.subprogs) {
    for (let i = subprog.start; i < subprog.end; i++) {
      const insn = env.insns[i]!;
      const { code } = insn;
      const cls = code & 7;
      if (isHelperCall(insn) && insn.imm === Helper.tail_call) {
        subprog.hasTailCall = true;
        subprog.tailCallReachable = true;
      }
      if (cls === op.BPF_LD && ((code & 0xe0) === op.BPF_ABS || (code & 0xe0) === op.BPF_IND)) subprog.hasLdAbs = true;
      if ((cls === op.BPF_JMP || cls === op.BPF_JMP32) && (code & 0xf0) !== op.BPF_CALL && (code & 0xf0) !== op.BPF_EXIT) {
        const target = i + jumpOffset(insn) + 1;
        if (target < subprog.start || target >= subprog.end) {
          env.reject("EINVAL", `jump out of range from insn ${i} to ${target}`);
        }
      }
    }
    const { code } = env.insns[subprog.end - 1]!;
    if (code !== (op.BPF_JMP | op.BPF_EXIT) && code !== (op.BPF_JMP32 | op.BPF_JA) && code !== (op.BPF_JMP | op.BPF_JA)) {
      env.reject("EINVAL", "last insn is not an exit or jmp");
    }
  }
}

const DISCOVERED = 0x10;
const EXPLORED = 0x20;
const FALLTHROUGH = 1;
const BRANCH = 2;

/** check_cfg: every slot is reached; marks where paths meet, so that states are compared and history is kept there. */
export function checkCfg(env: Env): void {
  const { insns, aux } = env;
  const state = new Uint8Array(insns.length);
  const stack: number[] = [];

  /** Returns whether `w` must be walked before going on with `t`. */
  const push = (t: number, w: number, edge: number): boolean => {
    if (edge === FALLTHROUGH && state[t]! >= (DISCOVERED | FALLTHROUGH)) return false;
    if (edge === BRANCH && state[t]! >= (DISCOVERED | BRANCH)) return false;
    if (w < 0 || w >= insns.length) {
      env.printLine(t, `${t}: `);
      env.reject("EINVAL", `jump out of range from insn ${t} to ${w}`);
    }
    if (edge === BRANCH) {
      aux[w]!.prunePoint = true;
      aux[w]!.jmpPoint = true;
    }
    if (state[w] === 0) {
      state[t] = DISCOVERED | edge;
      state[w] = DISCOVERED;
      stack.push(w);
      return true;
    }
    if (state[w] === EXPLORED) state[t] = DISCOVERED | edge;
    return false;
  };

  const mark = (slot: number): void => {
    const target = aux[slot];
    if (target === undefined) return;
    target.prunePoint = true;
    target.jmpPoint = true;
  };

  const visitCall = (t: number, visitCallee: boolean): boolean => {
    const insn = insns[t]!;
    const next = t + (op.isLddw(insn) ? 2 : 1);
    if (push(t, next, FALLTHROUGH)) return true;
    mark(next);
    if (!visitCallee) return false;
    const callee = t + insn.imm + 1;
    aux[t]!.prunePoint = true;
    const from = env.subprogs[env.containingSubprog(t)]!;
    const to = env.subprogs[env.containingSubprog(callee)]!;
    from.changesPktData ||= to.changesPktData;
    from.mightSleep ||= to.mightSleep;
    return push(t, callee, BRANCH);
  };

  const visit = (t: number): boolean => {
    const insn = insns[t]!;
    if (isPseudoFunc(insn)) return visitCall(t, true);
    const cls = insn.code & 7;
    if (cls !== op.BPF_JMP && cls !== op.BPF_JMP32) return push(t, t + (op.isLddw(insn) ? 2 : 1), FALLTHROUGH);
    switch (insn.code & 0xf0) {
      case op.BPF_EXIT:
        return false;
      case op.BPF_CALL: {
        const here = aux[t]!;
        if (callsAsyncCallback(insn)) here.prunePoint = true;
        if (callsSyncCallback(insn)) {
          here.callsCallback = true;
          here.forceCheckpoint = true;
          here.prunePoint = true;
          here.jmpPoint = true;
        }
        const subprog = env.subprogs[env.containingSubprog(t)]!;
        if (isHelperCall(insn)) {
          if (helperProto(env, insn.imm)?.mightSleep === true) subprog.mightSleep = true;
          if (helperChangesPacket(insn.imm)) subprog.changesPktData = true;
        } else if (isKfuncCall(insn)) {
          const meta = kfuncMeta(insn.imm);
          if (meta?.iterator === "next") {
            here.prunePoint = true;
            here.forceCheckpoint = true;
          }
          if (meta?.sleepable === true) subprog.mightSleep = true;
          if (meta?.changesPacket === true) subprog.changesPktData = true;
        }
        return visitCall(t, insn.src === op.BPF_PSEUDO_CALL);
      }
      case op.BPF_JA: {
        if ((insn.code & 8) !== op.BPF_K) env.reject("EINVAL", "");
        const target = t + jumpOffset(insn) + 1;
        const more = push(t, target, FALLTHROUGH);
        mark(target);
        return more;
      }
      default:
        aux[t]!.prunePoint = true;
        if (isMayGoto(insn)) aux[t]!.forceCheckpoint = true;
        return push(t, t + 1, FALLTHROUGH) || push(t, t + insn.off + 1, BRANCH);
    }
  };

  state[0] = DISCOVERED;
  stack.push(0);
  const walk = (): void => {
    while (stack.length > 0) {
      const t = stack[stack.length - 1]!;
      if (visit(t)) continue;
      state[t] = EXPLORED;
      stack.pop();
    }
  };
  walk();
  if (env.exceptionCallback >= 0) {
    const { start } = env.subprogs[env.exceptionCallback]!;
    if (state[start] === 0) {
      state[start] = DISCOVERED;
      stack.push(start);
      walk();
    }
  }
  for (let i = 0; i < insns.length; i++) {
    if (state[i] !== EXPLORED) env.reject("EINVAL", `unreachable insn ${i}`);
    if (op.isLddw(insns[i]!)) {
      if (i + 1 < insns.length && state[i + 1] !== 0) env.reject("EINVAL", `jump into the middle of ldimm64 insn ${i}`);
      i++;
    }
  }
}

/** bpf_insn_successors: within the subprogram; calls fall through. Returns [first, second], -1 for none. */
export function successors(insns: readonly Insn[], slot: number): [number, number] {
  const insn = insns[slot]!;
  const cls = insn.code & 7;
  if (cls !== op.BPF_JMP && cls !== op.BPF_JMP32) return [slot + (op.isLddw(insn) ? 2 : 1), -1];
  switch (insn.code & 0xf0) {
    case op.BPF_EXIT:
      return [-1, -1];
    case op.BPF_CALL:
      return [slot + 1, -1];
    case op.BPF_JA:
      return [slot + jumpOffset(insn) + 1, -1];
    default:
      return [slot + 1, slot + insn.off + 1];
  }
}

/** compute_postorder: slots of each subprogram, successors first. */
export function computePostorder(env: Env): void {
  const state = new Uint8Array(env.insns.length);
  const stack: number[] = [];
  for (const subprog of env.subprogs) {
    subprog.postorderStart = env.postorder.length;
    stack.push(subprog.start);
    while (stack.length > 0) {
      const top = stack[stack.length - 1]!;
      if (state[top]! >= 1) {
        if (state[top] === 1) env.postorder.push(top);
        state[top] = 2;
        stack.pop();
        continue;
      }
      state[top] = 1;
      for (const next of successors(env.insns, top)) if (next >= 0 && state[next] === 0) stack.push(next);
    }
    subprog.postorderEnd = env.postorder.length;
  }
}

/** compute_scc: numbers loops (Tarjan). */
export function computeScc(env: Env): void {
  const { insns } = env;
  const count = insns.length;
  const order = new Int32Array(count);
  const low = new Int32Array(count);
  const onStack = new Uint8Array(count);
  const nodes: number[] = [];
  const work: number[] = [];
  const edge: number[] = [];
  let next = 1;
  let scc = 1;
  for (const root of env.subprogs.map((subprog) => subprog.start)) {
    if (order[root] !== 0) continue;
    work.push(root);
    edge.push(0);
    while (work.length > 0) {
      const w = work[work.length - 1]!;
      const e = edge[edge.length - 1]!;
      const targets = successors(insns, w);
      if (e === 0 && order[w] === 0) {
        order[w] = low[w] = next++;
        nodes.push(w);
        onStack[w] = 1;
      }
      if (e < 2) {
        edge[edge.length - 1] = e + 1;
        const target = targets[e]!;
        if (target < 0) continue;
        if (order[target] === 0) {
          work.push(target);
          edge.push(0);
        } else if (onStack[target] === 1 && order[target]! < low[w]!) {
          low[w] = order[target]!;
        }
        continue;
      }
      work.pop();
      edge.pop();
      const parent = work[work.length - 1];
      if (parent !== undefined && low[w]! < low[parent]!) low[parent] = low[w]!;
      if (low[w] !== order[w]) continue;
      const loops = nodes[nodes.length - 1] !== w || targets.includes(w);
      for (;;) {
        const member = nodes.pop()!;
        onStack[member] = 0;
        if (loops) env.aux[member]!.scc = scc;
        if (member === w) break;
      }
      if (loops) scc++;
    }
  }
}

/** compute_insn_live_regs: registers an instruction reads and writes. */
function useDef(env: Env, insn: Insn): { use: number; def: number } {
  const src = 1 << insn.src;
  const dst = 1 << insn.dst;
  const mode = insn.code & 0xe0;
  switch (insn.code & 7) {
    case op.BPF_LD:
      if (mode === op.BPF_IMM) return { use: 0, def: dst };
      return { use: (1 << 6) | (mode === op.BPF_IND ? src : 0), def: CALLER_SAVED };
    case op.BPF_LDX:
      return { use: src, def: dst };
    case op.BPF_ST:
      return { use: dst, def: 0 };
    case op.BPF_STX:
      if (mode !== op.BPF_ATOMIC) return { use: dst | src, def: 0 };
      switch (insn.imm) {
        case op.BPF_CMPXCHG:
          return { use: 1 | dst | src, def: 1 };
        case op.BPF_LOAD_ACQ:
          return { use: src, def: dst };
        case op.BPF_STORE_REL:
          return { use: dst | src, def: 0 };
        default:
          return { use: dst | src, def: (insn.imm & op.BPF_FETCH) !== 0 ? src : 0 };
      }
    case op.BPF_ALU:
    case op.BPF_ALU64:
      switch (insn.code & 0xf0) {
        case op.BPF_END:
          return { use: dst, def: dst };
        case op.BPF_MOV:
          return { use: (insn.code & 8) === op.BPF_K ? 0 : src, def: dst };
        default:
          return { use: dst | ((insn.code & 8) === op.BPF_K ? 0 : src), def: dst };
      }
    default:
      switch (insn.code & 0xf0) {
        case op.BPF_JA:
        case op.BPF_JCOND:
          return { use: 0, def: 0 };
        case op.BPF_EXIT:
          return { use: 1, def: 0 };
        case op.BPF_CALL: {
          let parameters = 5;
          if (isHelperCall(insn)) {
            const proto = helperProto(env, insn.imm);
            if (proto !== undefined) parameters = protoArgCount(proto);
          } else if (isKfuncCall(insn)) {
            parameters = kfuncMeta(insn.imm)?.args.length ?? 5;
          }
          return { use: ((1 << (parameters + 1)) - 1) & ~1, def: CALLER_SAVED };
        }
        default:
          return { use: dst | ((insn.code & 8) === op.BPF_K ? 0 : src), def: 0 };
      }
  }
}

/** compute_live_registers: which registers are read later, before each slot, whatever path is taken. */
export function computeLiveRegisters(env: Env): void {
  const { insns, aux, postorder } = env;
  const uses = new Uint16Array(insns.length);
  const defs = new Uint16Array(insns.length);
  const first = new Int32Array(insns.length);
  const second = new Int32Array(insns.length);
  for (const slot of postorder) {
    const { use, def } = useDef(env, insns[slot]!);
    uses[slot] = use;
    defs[slot] = def;
    const [a, b] = successors(insns, slot);
    first[slot] = a;
    second[slot] = b;
  }
  for (let changed = true; changed; ) {
    changed = false;
    for (const slot of postorder) {
      let out = 0;
      if (first[slot]! >= 0) out |= aux[first[slot]!]!.liveRegs;
      if (second[slot]! >= 0) out |= aux[second[slot]!]!.liveRegs;
      const live = (out & ~defs[slot]!) | uses[slot]!;
      if (live !== aux[slot]!.liveRegs) {
        aux[slot]!.liveRegs = live;
        changed = true;
      }
    }
  }
  if ((env.log.level & 2) === 0) return;
  env.verbose("Live regs before insn:\n");
  for (let i = 0; i < insns.length; i++) {
    const { scc, liveRegs } = aux[i]!;
    let regs = "";
    for (let r = 0; r < 10; r++) regs += (liveRegs & (1 << r)) !== 0 ? `${r}` : ".";
    env.verbose(`${scc !== 0 ? `${scc}`.padStart(3) + " " : "    "}${`${i}`.padStart(3)}: ${regs} ${env.insnText(i)}\n`);
    if (op.isLddw(insns[i]!)) i++;
  }
}
