// Calls between functions of the program, callbacks, and the stack they need together. kernel/bpf/verifier.c:
// check_func_call, push_callback_call, prepare_func_exit, check_max_stack_depth.

import type { Insn } from "../insn.ts";
import { Helper, MAX_BPF_STACK, MAX_CALL_FRAMES, MapType, ProgType } from "../uapi.ts";
import { checkArgOffset, checkHelperMem } from "./args.ts";
import { prepareArgs } from "./btf.ts";
import { callsAsyncCallback, isKfuncCall, isPseudoCall, isPseudoFunc } from "./cfg.ts";
import { kfuncName } from "./disasm.ts";
import { Reject, type Env } from "./env.ts";
import { dynptrValid, markDynptrReg, markInvalid } from "./objects.ts";
import { findPreviousEntry, pushPath, pushState, widenImpreciseScalars } from "./paths.ts";
import { markChainPrecision } from "./precision.ts";
import { ARG } from "./protos.ts";
import {
  CONST_PTR_TO_DYNPTR, CONST_PTR_TO_MAP, DYNPTR_TYPE_SKB, DYNPTR_TYPE_SKB_META, DYNPTR_TYPE_XDP, DynptrType, PTR_MAYBE_NULL, PTR_TO_BTF_ID, PTR_TO_CTX, PTR_TO_MAP_KEY,
  PTR_TO_MAP_VALUE, PTR_TO_STACK, SCALAR_VALUE, isPktPointerAny, regIsNull, regTypeString, typeMayBeNull, type RegState,
} from "./reg.ts";
import { checkRegArg } from "./regs.ts";
import { invalidScalar, withinRange } from "./retval.ts";
import { FuncState, VerifierState, type RetvalRange } from "./state.ts";
import type { MapSpec } from "./types.ts";

/** clear_all_pkt_pointers: the packet may have moved. */
export function clearPktPointers(env: Env): void {
  env.cur.forEachReg((reg) => {
    // Slices of dynptrs of packets point into the packet as well.
    if (isPktPointerAny(reg.type) || (reg.type & (DYNPTR_TYPE_SKB | DYNPTR_TYPE_XDP | DYNPTR_TYPE_SKB_META)) !== 0) markInvalid(env, reg);
  });
}

/** clear_caller_saved_regs. */
export function clearCallerSaved(env: Env, regs: readonly RegState[]): void {
  for (let r = 0; r <= 5; r++) {
    regs[r]!.markNotInit();
    checkRegArg(env, r, "dst-no-mark");
  }
}

type SetCallee = (caller: FuncState, callee: FuncState) => void;

/** setup_func_entry: a new frame on top of `state`. */
function setupEntry(env: Env, subprog: number, callsite: number, set: SetCallee, state: VerifierState): void {
  if (state.curframe + 1 >= MAX_CALL_FRAMES) {
    env.reject("E2BIG", `the call stack of ${state.curframe + 2} frames is too deep`);
  }
  const caller = state.frame;
  const callee = new FuncState(callsite, state.curframe + 1, subprog);
  callee.regs[10]!.markPointer(PTR_TO_STACK);
  callee.regs[10]!.frameno = callee.frameno;
  callee.asyncEntryCnt = caller.asyncEntryCnt;
  env.scratchEverything();
  set(caller, callee);
  state.frames[state.curframe + 1] = callee;
  state.curframe++;
}

/** btf_check_func_arg_match: what a global function is given. */
function checkGlobalArgs(env: Env, index: number): void {
  const args = prepareArgs(env, index);
  args.forEach((arg, i) => {
    const regno = i + 1;
    const reg = env.reg(regno);
    switch (arg.kind) {
      case "anything":
        if (reg.type !== SCALAR_VALUE) env.reject("EINVAL", `R${regno} is not a scalar`);
        break;
      case "ctx":
        checkArgOffset(env, reg, regno, ARG.any);
        if (reg.type !== PTR_TO_CTX) env.reject("EINVAL", `arg#${i} expects pointer to ctx`);
        break;
      case "mem":
        checkArgOffset(env, reg, regno, ARG.any);
        checkMem(env, regno, arg.size);
        if (!arg.nullable && typeMayBeNull(reg.type)) env.reject("EINVAL", `arg#${i} is expected to be non-NULL`);
        break;
      case "dynptr":
        checkArgOffset(env, reg, regno, ARG.dynptr);
        if (reg.type !== PTR_TO_STACK && reg.type !== CONST_PTR_TO_DYNPTR) {
          env.reject("EINVAL", `arg#${i} expected pointer to stack or const struct bpf_dynptr`);
        }
        if (!dynptrValid(env, reg)) env.reject("EINVAL", `Expected an initialized dynptr as arg #${i}`);
        break;
      case "btf":
        if (reg.type === SCALAR_VALUE && !(arg.nullable && regIsNull(reg)) && arg.untrusted !== true) {
          env.reject("EINVAL", `R${regno} type=${regTypeString(reg.type)} expected=ptr_, trusted_ptr_, rcu_ptr_`);
        }
        break;
      default:
        break;
    }
  });
}

/** check_mem_reg: memory that the function may read and write. */
function checkMem(env: Env, regno: number, size: number): void {
  const reg = env.reg(regno);
  if (regIsNull(reg)) return;
  const { type } = reg;
  if (typeMayBeNull(type)) reg.type &= ~PTR_MAYBE_NULL;
  checkHelperMem(env, regno, size, false, true, null);
  checkHelperMem(env, regno, size, true, true, null);
  reg.type = type;
}

/** check_func_call: BPF_PSEUDO_CALL. */
export function checkFuncCall(env: Env, insn: Insn): void {
  const index = env.findSubprog(env.insnIdx + insn.imm + 1);
  const subprog = env.subprogs[index]!;
  const { cur } = env;
  const caller = cur.frame;
  env.slots[env.insnIdx]!.subprogram = subprog.start;
  if (subprog.isGlobal) {
    if (cur.activeLocks > 0) {
      env.reject("EINVAL", "global function calls are not allowed while holding a lock,\nuse static function instead");
    }
    if (subprog.mightSleep && (cur.activeRcuLocks > 0 || cur.activePreemptLocks > 0 || cur.activeIrqId !== 0 || !cur.inSleepable)) {
      env.reject("EINVAL", "global functions that may sleep are not allowed in non-sleepable context,\n" +
        "i.e., in a RCU/IRQ/preempt-disabled section, or in\na non-sleepable BPF program context");
    }
    try {
      checkGlobalArgs(env, index);
    } catch (error) {
      if (!(error instanceof Reject)) throw error;
      env.verbose(`Caller passes invalid args into func#${index} ('${subprog.name}')\n`);
      throw error;
    }
    env.verbose(`Func#${index} ('${subprog.name}') is global and assumed valid.\n`);
    if (subprog.changesPktData) clearPktPointers(env);
    subprog.called = true;
    clearCallerSaved(env, caller.regs);
    caller.regs[0]!.markUnknown(false);
    return;
  }
  setupEntry(env, index, env.insnIdx, (from, to) => {
    for (let r = 1; r <= 5; r++) to.regs[r]!.set(from.regs[r]!);
  }, cur);
  for (let r = 0; r <= 5; r++) caller.regs[r]!.markNotInit();
  env.scratchedRegs |= 0x3f;
  env.insnIdx = subprog.start - 1;
  if (env.log.level > 0) {
    env.verbose("caller:\n");
    env.printState(cur, caller.frameno, true);
    env.verbose("callee:\n");
    env.printState(cur, cur.curframe, true);
  }
}

/** What a callback gets, by the helper that calls it. */
function callbackState(env: Env, kind: number | "wq", map: MapSpec | null, mapUid: number): { set: SetCallee; ret: RetvalRange } {
  const mapArgs = (callee: FuncState): void => {
    callee.regs[1]!.markPointer(CONST_PTR_TO_MAP);
    callee.regs[2]!.markPointer(PTR_TO_MAP_KEY);
    callee.regs[3]!.markPointer(PTR_TO_MAP_VALUE);
    for (let r = 1; r <= 3; r++) {
      callee.regs[r]!.map = map;
      callee.regs[r]!.mapUid = mapUid;
    }
  };
  const anyRet = { min: 0, max: 1 };
  switch (kind) {
    case Helper.loop:
      return {
        set: (caller, callee) => {
          callee.regs[1]!.markUnknown(false);
          callee.regs[2]!.set(caller.regs[3]!);
          callee.inCallback = true;
          callee.callbackRet = anyRet;
        },
        ret: anyRet,
      };
    case Helper.for_each_map_elem:
      return {
        set: (caller, callee) => {
          mapArgs(callee);
          callee.regs[4]!.set(caller.regs[3]!);
          callee.inCallback = true;
          callee.callbackRet = anyRet;
        },
        ret: anyRet,
      };
    case Helper.user_ringbuf_drain:
      return {
        set: (caller, callee) => {
          markDynptrReg(callee.regs[1]!, DynptrType.LOCAL, true, env.newId());
          callee.regs[2]!.set(caller.regs[3]!);
          callee.inCallback = true;
          callee.callbackRet = anyRet;
        },
        ret: anyRet,
      };
    case Helper.find_vma:
      return {
        set: (caller, callee) => {
          callee.regs[1]!.set(caller.regs[1]!);
          callee.regs[2]!.markPointer(PTR_TO_BTF_ID);
          callee.regs[2]!.btfType = { kind: 4, name: "vm_area_struct" };
          callee.regs[3]!.set(caller.regs[4]!);
          callee.inCallback = true;
          callee.callbackRet = anyRet;
        },
        ret: anyRet,
      };
    default:
      return {
        set: (_caller, callee) => {
          mapArgs(callee);
          callee.inAsyncCallback = true;
          callee.callbackRet = { min: 0, max: 0 };
        },
        ret: { min: 0, max: 0 },
      };
  }
}

const FOR_EACH: readonly number[] = [
  MapType.HASH, MapType.PERCPU_HASH, MapType.LRU_HASH, MapType.LRU_PERCPU_HASH, MapType.ARRAY, MapType.PERCPU_ARRAY,
  MapType.ARENA,
];

/** push_callback_call. */
export function pushCallback(env: Env, insn: Insn, subprogno: number, kind: number | "wq", map: MapSpec | null, mapUid: number): void {
  const { cur } = env;
  const caller = cur.frame;
  const subprog = env.subprogs[subprogno]!;
  if (kind === Helper.for_each_map_elem && (map === null || !FOR_EACH.includes(map.type))) {
    env.reject("EINVAL", "callback function not allowed for map");
  }
  subprog.isCallback = true;
  env.slots[env.insnIdx]!.subprogram = subprog.start;
  const { set } = callbackState(env, kind, map, mapUid);
  if (callsAsyncCallback(insn)) {
    subprog.isAsyncCallback = true;
    const state = new VerifierState();
    state.branches = 1;
    const frame = new FuncState(-1, 0, subprogno);
    frame.regs[10]!.markPointer(PTR_TO_STACK);
    frame.asyncEntryCnt = caller.asyncEntryCnt + 1;
    state.frames.push(frame);
    state.inSleepable = kind === "wq";
    set(caller, frame);
    pushState(env, state, subprog.start, env.insnIdx);
    return;
  }
  const state = pushPath(env, subprog.start, env.insnIdx);
  setupEntry(env, subprogno, env.insnIdx, set, state);
  state.callbackUnrollDepth++;
  state.frames[state.curframe - 1]!.callbackDepth++;
  caller.callbackDepth = 0;
}

/** prepare_func_exit: back to the caller, or to the call of the callback. */
export function prepareExit(env: Env): void {
  const { cur } = env;
  const callee = cur.frame;
  const r0 = callee.regs[0]!;
  if (r0.type === PTR_TO_STACK) env.reject("EINVAL", "cannot return stack pointer to the caller");
  const caller = cur.frames[cur.curframe - 1]!;
  if (callee.inCallback) {
    if (r0.type !== SCALAR_VALUE) env.reject("EACCES", "R0 not a scalar value");
    markChainPrecision(env, 0);
    if (!withinRange(r0, callee.callbackRet)) invalidScalar(env, r0, callee.callbackRet, "At callback return", "R0");
  } else {
    caller.regs[0]!.set(r0);
  }
  const inCallback = callee.inCallback;
  env.insnIdx = inCallback ? callee.callsite : callee.callsite + 1;
  if (env.log.level > 0) {
    env.verbose("returning from callee:\n");
    env.printState(cur, callee.frameno, true);
    env.verbose(`to caller at ${env.insnIdx}:\n`);
    env.printState(cur, caller.frameno, true);
  }
  cur.frames.pop();
  cur.curframe--;
  if (!inCallback) return;
  const previous = findPreviousEntry(env, cur, env.insnIdx);
  if (previous !== null) widenImpreciseScalars(env, previous, cur);
}

const roundDepth = (depth: number): number => (Math.max(depth, 1) + 15) & ~15;

/** Types whose programs get stacks of their own from the x86-64 JIT. */
const PRIVATE_STACK: readonly number[] = [
  ProgType.KPROBE, ProgType.TRACEPOINT, ProgType.PERF_EVENT, ProgType.RAW_TRACEPOINT, ProgType.TRACING, ProgType.LSM,
];

/** check_max_stack_depth: no chain of calls may need more than 512 bytes. */
export function checkMaxStackDepth(env: Env): void {
  const privateStack = PRIVATE_STACK.includes(env.spec.type);
  env.subprogs.forEach((subprog, index) => {
    if (index === 0 || subprog.isAsyncCallback) walkDepth(env, index, privateStack);
  });
}

function walkDepth(env: Env, root: number, privateStack: boolean): void {
  const path: { index: number; next: number; depth: number }[] = [];
  const enter = (index: number, before: number): void => {
    const subprog = env.subprogs[index]!;
    if (index !== root && subprog.hasTailCall && before >= 256) {
      env.reject("EACCES",
        `tail_calls are not allowed when call stack of previous frames is ${before} bytes. Too large`);
    }
    const own = roundDepth(subprog.stackDepth);
    if (privateStack && own >= 64) {
      if (own > MAX_BPF_STACK) env.reject("EACCES", `stack size of subprog ${index} is ${own}. Too large`);
      path.push({ index, next: subprog.start, depth: before });
      return;
    }
    const depth = before + own;
    if (depth > MAX_BPF_STACK) {
      env.reject("EACCES", `combined stack size of ${path.length + 1} calls is ${depth}. Too large`);
    }
    path.push({ index, next: subprog.start, depth });
  };
  enter(root, 0);
  let tailCallReachable = false;
  while (path.length > 0) {
    const top = path[path.length - 1]!;
    const subprog = env.subprogs[top.index]!;
    let called = -1;
    while (top.next < subprog.end) {
      const slot = top.next++;
      const insn = env.insns[slot]!;
      if (isKfuncCall(insn) && kfuncName(insn.imm) === "bpf_throw") {
        const inCallback = path.find((entry) => env.subprogs[entry.index]!.isCallback);
        if (inCallback !== undefined) {
          env.reject("EINVAL", `bpf_throw kfunc (insn ${slot}) cannot be called from callback subprog ${inCallback.index}`);
        }
      }
      if (!isPseudoCall(insn) && !isPseudoFunc(insn)) continue;
      const index = env.findSubprog(slot + insn.imm + 1);
      const target = env.subprogs[index]!;
      if (target.isAsyncCallback) {
        if (target.hasTailCall) env.bug("subprog has tail_call and async cb");
        if (!isPseudoCall(insn)) continue;
      }
      called = index;
      break;
    }
    if (called >= 0) {
      if (subprog.hasTailCall) tailCallReachable = true;
      if (path.length >= MAX_CALL_FRAMES) {
        env.reject("E2BIG", `the call stack of ${path.length + 1} frames is too deep !`);
      }
      enter(called, top.depth);
      continue;
    }
    path.pop();
  }
  if (tailCallReachable) env.subprogs[root]!.tailCallReachable = true;
}

