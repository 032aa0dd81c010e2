// The verifier: decides whether Linux 6.18 would load a program, and says why not in its words. kernel/bpf/verifier.c:
// bpf_check, do_check. Pure: the same program and options give the same verdict, log and facts.

import * as op from "../insn.ts";
import type { Insn } from "../insn.ts";
import { Helper, MapType, ProgType } from "../uapi.ts";
import { checkAlu } from "./alu.ts";
import { prepareArgs, skipModifiers, Kind } from "./btf.ts";
import { checkCondJump } from "./branch.ts";
import { checkHelperCall } from "./calls.ts";
import {
  addSubprogs, callsSyncCallback, checkCfg, checkSubprogs, computeLiveRegisters, computePostorder, computeScc, jumpOffset,
} from "./cfg.ts";
import { Env, Reject } from "./env.ts";
import { checkKfuncCall } from "./kfunc-calls.ts";
import { StackLiveness } from "./liveness.ts";
import { checkMapProgram } from "./map-compat.ts";
import { checkAtomic, checkLoad, checkMemAccess, checkPtrOffset, checkStoreReg, savePointerType } from "./memory.ts";
import { checkResourceLeak, markDynptrReg } from "./objects.ts";
import { updateBranchCounts } from "./paths.ts";
import { isStateVisited } from "./prune.ts";
import {
  CONST_PTR_TO_MAP, DynptrType, PTR_MAYBE_NULL, PTR_TO_BTF_ID, PTR_TO_CTX, PTR_TO_FUNC, PTR_TO_MAP_VALUE, PTR_TO_MEM, PTR_TO_STACK,
  PTR_TRUSTED, PTR_UNTRUSTED, MEM_PERCPU, SCALAR_VALUE,
} from "./reg.ts";
import { checkRegArg } from "./regs.ts";
import { checkReturnCode } from "./retval.ts";
import { FuncState, VerifierState } from "./state.ts";
import { MAX_VAR_OFF } from "./stack.ts";
import { checkFuncCall, checkMaxStackDepth, clearCallerSaved, prepareExit } from "./subprog.ts";
import type { Errno, ProgramSpec, SlotAux, VerifierAux, VerifyOptions, VerifyResult } from "./types.ts";

export type * from "./types.ts";

/** Opcodes that exist: bpf_opcode_in_insntable. */
let opcodes: Uint8Array | undefined;

function knownOpcodes(): Uint8Array {
  if (opcodes !== undefined) return opcodes;
  const table = new Uint8Array(256);
  const add = (...codes: number[]): void => codes.forEach((code) => (table[code] = 1));
  for (const cls of [op.BPF_ALU, op.BPF_ALU64]) {
    for (let operation = op.BPF_ADD; operation <= op.BPF_ARSH; operation += 0x10) {
      if (operation === op.BPF_NEG) add(cls | operation);
      else add(cls | operation | op.BPF_K, cls | operation | op.BPF_X);
    }
  }
  add(op.BPF_ALU | op.BPF_END | op.BPF_TO_LE, op.BPF_ALU | op.BPF_END | op.BPF_TO_BE, op.BPF_ALU64 | op.BPF_END | op.BPF_TO_LE);
  for (const operation of [
    op.BPF_JEQ, op.BPF_JNE, op.BPF_JGT, op.BPF_JGE, op.BPF_JLT, op.BPF_JLE, op.BPF_JSGT, op.BPF_JSGE, op.BPF_JSLT, op.BPF_JSLE,
    op.BPF_JSET,
  ]) {
    for (const cls of [op.BPF_JMP, op.BPF_JMP32]) add(cls | operation | op.BPF_K, cls | operation | op.BPF_X);
  }
  add(op.BPF_JMP | op.BPF_JA, op.BPF_JMP32 | op.BPF_JA, op.BPF_JMP | op.BPF_JCOND, op.BPF_JMP | op.BPF_CALL, op.BPF_JMP | op.BPF_EXIT);
  for (const size of [op.BPF_B, op.BPF_H, op.BPF_W, op.BPF_DW]) {
    add(op.BPF_LDX | op.BPF_MEM | size, op.BPF_STX | op.BPF_MEM | size, op.BPF_ST | op.BPF_MEM | size, op.BPF_STX | op.BPF_ATOMIC | size);
    if (size === op.BPF_DW) continue;
    add(op.BPF_LDX | op.BPF_MEMSX | size, op.BPF_LD | op.BPF_ABS | size, op.BPF_LD | op.BPF_IND | size);
  }
  add(op.BPF_LD | op.BPF_IMM | op.BPF_DW);
  opcodes = table;
  return table;
}

/** Maps that `lddw` may point into: those with map_direct_value_addr. */
const DIRECT_VALUES: readonly number[] = [MapType.ARRAY, MapType.ARENA];

/** resolve_pseudo_ldimm64: the form of every instruction, and the maps. */
function resolvePseudo(env: Env): void {
  const { insns, spec } = env;
  const table = knownOpcodes();
  const maps = new Set<object>();
  for (let i = 0; i < insns.length; i++) {
    const insn = insns[i]!;
    if ((insn.code & 7) === op.BPF_LDX) {
      const mode = insn.code & 0xe0;
      if ((mode !== op.BPF_MEM && mode !== op.BPF_MEMSX) || insn.imm !== 0) env.reject("EINVAL", "BPF_LDX uses reserved fields");
    }
    if (op.isLddw(insn)) {
      const next = insns[i + 1];
      if (next === undefined || next.code !== 0 || next.dst !== 0 || next.src !== 0 || next.off !== 0) {
        env.reject("EINVAL", "invalid bpf_ld_imm64 insn");
      }
      const slot = i++;
      if (insn.src === 0 || insn.src === op.BPF_PSEUDO_FUNC) continue;
      if (insn.src === op.BPF_PSEUDO_BTF_ID) {
        if (spec.ksyms?.has(slot) !== true) env.reject("ENOENT", `ldimm64 insn specifies invalid btf_id ${insn.imm}.`);
        continue;
      }
      const isValue = insn.src === op.BPF_PSEUDO_MAP_VALUE || insn.src === op.BPF_PSEUDO_MAP_IDX_VALUE;
      const isMap = insn.src === op.BPF_PSEUDO_MAP_FD || insn.src === op.BPF_PSEUDO_MAP_IDX;
      if (!isValue && !(isMap && next.imm === 0)) env.reject("EINVAL", "unrecognized bpf_ld_imm64 insn");
      const map = spec.maps.get(slot);
      if (map === undefined) env.reject("EBADF", `fd ${insn.imm} is not pointing to valid bpf_map`);
      if (!maps.has(map)) {
        maps.add(map);
        if (maps.size > 64) env.reject("E2BIG", "The total number of maps per program has reached the limit of 64");
        checkMapProgram(env, map);
      }
      if (!isValue) continue;
      const off = next.imm >>> 0;
      if (BigInt(off) >= MAX_VAR_OFF) env.reject("EINVAL", `direct value offset of ${off} is not allowed`);
      if (!DIRECT_VALUES.includes(map.type)) env.reject("EINVAL", "no direct value access support for this map type");
      if (map.type === MapType.ARRAY && (map.maxEntries !== 1 || off >= map.valueSize)) {
        env.reject(map.maxEntries !== 1 ? "ENOTSUPP" : "EINVAL", `invalid access to map value pointer, value_size=${map.valueSize} off=${off}`);
      }
      continue;
    }
    if (table[insn.code] !== 1) env.reject("EINVAL", `unknown opcode ${insn.code.toString(16).padStart(2, "0")}`);
  }
}

/** check_btf_func: functions by func_info. */
function checkFuncInfo(env: Env): void {
  const { spec, subprogs } = env;
  const { btf, funcInfo } = spec;
  if (btf === undefined || funcInfo === undefined || funcInfo.length === 0) {
    for (const subprog of subprogs) {
      if (subprogs.length > 1 && subprog.hasLdAbs && subprog.start !== 0) {
        env.reject("EINVAL", "LD_ABS is not allowed in subprogs without BTF");
      }
      if (subprogs.length > 1 && subprog.hasTailCall && subprog.start !== 0) {
        env.reject("EINVAL", "tail_call is not allowed in subprogs without BTF");
      }
    }
    return;
  }
  if (funcInfo.length !== subprogs.length) {
    env.reject("EINVAL", "number of funcs in func_info doesn't match number of subprogs");
  }
  funcInfo.forEach((info, i) => {
    const subprog = subprogs[i]!;
    if (info.slot !== subprog.start) {
      env.reject("EINVAL", "func_info BTF section doesn't match subprog layout in BPF program");
    }
    const func = btf.types[info.type];
    const proto = func?.type === undefined ? undefined : btf.types[func.type];
    if (func === undefined || func.kind !== Kind.FUNC || proto === undefined || proto.kind !== Kind.FUNC_PROTO) {
      env.reject("EINVAL", `invalid type id ${info.type} in func info`);
    }
    subprog.name = func.name;
    subprog.funcType = func;
    subprog.funcProto = proto;
    subprog.isGlobal = i > 0 && func.linkage === 1;
    const returns = skipModifiers(btf, proto.type ?? 0);
    const scalar = returns !== undefined && (returns.kind === Kind.INT || returns.kind === Kind.ENUM || returns.kind === Kind.ENUM64);
    if (i > 0 && !scalar) {
      if (subprog.hasLdAbs) env.reject("EINVAL", "LD_ABS is only allowed in functions that return 'int'.");
      if (subprog.hasTailCall) env.reject("EINVAL", "tail_call is only allowed in functions that return 'int'.");
    }
  });
}

/** check_ld_imm: BPF_LD with BPF_IMM. */
function checkLoadImm(env: Env, insn: Insn): void {
  if ((insn.code & 0x18) !== op.BPF_DW) env.reject("EINVAL", "invalid BPF_LD_IMM insn");
  if (insn.off !== 0) env.reject("EINVAL", "BPF_LD_IMM64 uses reserved fields");
  checkRegArg(env, insn.dst, "dst");
  const dst = env.reg(insn.dst);
  const next = env.insns[env.insnIdx + 1]!;
  if (insn.src === 0) {
    dst.type = SCALAR_VALUE;
    dst.setConst((BigInt(next.imm >>> 0) << 32n) | BigInt(insn.imm >>> 0));
    return;
  }
  if (insn.src === op.BPF_PSEUDO_BTF_ID) {
    const symbol = env.spec.ksyms!.get(env.insnIdx)!;
    if (symbol.struct === undefined && symbol.percpu !== true) {
      dst.markPointer(PTR_TO_MEM | 1 << 9);
      dst.memSize = symbol.size;
    } else {
      dst.markPointer(PTR_TO_BTF_ID | (symbol.percpu === true ? MEM_PERCPU : 0));
      dst.btfType = { kind: Kind.STRUCT, name: symbol.struct ?? "" };
    }
    return;
  }
  if (insn.src === op.BPF_PSEUDO_FUNC) {
    const subprog = env.findSubprog(env.insnIdx + insn.imm + 1);
    const info = env.subprogs[subprog]!;
    if (info.funcType === null) env.reject("EINVAL", "missing btf func_info");
    if (info.isGlobal || info.funcType.linkage !== 0) env.reject("EINVAL", "callback function not static");
    dst.markPointer(PTR_TO_FUNC);
    dst.subprogno = subprog;
    return;
  }
  const map = env.spec.maps.get(env.insnIdx)!;
  if (insn.src === op.BPF_PSEUDO_MAP_VALUE || insn.src === op.BPF_PSEUDO_MAP_IDX_VALUE) {
    dst.markPointer(PTR_TO_MAP_VALUE);
    dst.off = next.imm;
  } else {
    dst.markPointer(CONST_PTR_TO_MAP);
  }
  dst.map = map;
}

/** check_ld_abs: BPF_LD_ABS and BPF_LD_IND, which load from the packet of R6 and end the program when they can't. */
function checkLoadAbs(env: Env, insn: Insn): void {
  const { type } = env.spec;
  const mode = insn.code & 0xe0;
  if (type !== ProgType.SOCKET_FILTER && type !== ProgType.SCHED_CLS && type !== ProgType.SCHED_ACT) {
    env.reject("EINVAL", "BPF_LD_[ABS|IND] instructions not allowed for this program type");
  }
  if (insn.dst !== 0 || insn.off !== 0 || (insn.code & 0x18) === op.BPF_DW || (mode === op.BPF_ABS && insn.src !== 0)) {
    env.reject("EINVAL", "BPF_LD_[ABS|IND] uses reserved fields");
  }
  checkRegArg(env, 6, "src");
  checkResourceLeak(env, false, true, "BPF_LD_[ABS|IND]");
  const ctx = env.reg(6);
  if (ctx.type !== PTR_TO_CTX) env.reject("EINVAL", "at the time of BPF_LD_ABS|IND R6 != pointer to skb");
  if (mode === op.BPF_IND) checkRegArg(env, insn.src, "src");
  checkPtrOffset(env, ctx, 6, false);
  clearCallerSaved(env, env.regs);
  env.reg(0).markUnknown(false);
}

/** What to do after an instruction. */
const NEXT = 0;
const PATH_ENDS = 1;
const JUMPED = 2;

/** BPF_EXIT. */
function checkExit(env: Env, insn: Insn): number {
  if ((insn.code & 8) !== op.BPF_K || insn.imm !== 0 || insn.src !== 0 || insn.dst !== 0 || (insn.code & 7) === op.BPF_JMP32) {
    env.reject("EINVAL", "BPF_EXIT uses reserved fields");
  }
  checkResourceLeak(env, false, env.cur.curframe === 0, "BPF_EXIT instruction in main prog");
  if (env.cur.curframe > 0) {
    prepareExit(env);
    return JUMPED;
  }
  checkReturnCode(env);
  return PATH_ENDS;
}

function checkCall(env: Env, insn: Insn): number {
  if (
    (insn.code & 8) !== op.BPF_K || (insn.src !== op.BPF_PSEUDO_KFUNC_CALL && insn.off !== 0) ||
    insn.src > op.BPF_PSEUDO_KFUNC_CALL || insn.dst !== 0 || (insn.code & 7) === op.BPF_JMP32
  ) {
    env.reject("EINVAL", "BPF_CALL uses reserved fields");
  }
  if (env.cur.activeLocks > 0 && insn.src !== op.BPF_PSEUDO_CALL) {
    const allowed = insn.src === 0 && (insn.imm === Helper.spin_unlock || insn.imm === Helper.kptr_xchg);
    if (!allowed) env.reject("EINVAL", "function calls are not allowed while holding a lock");
  }
  if (insn.src === op.BPF_PSEUDO_CALL) {
    checkFuncCall(env, insn);
  } else if (insn.src === op.BPF_PSEUDO_KFUNC_CALL) {
    if (checkKfuncCall(env, insn)) return PATH_ENDS;
  } else {
    checkHelperCall(env, insn);
  }
  env.markRegScratched(0);
  return NEXT;
}

/** do_check_insn. */
function checkInsn(env: Env, insn: Insn): number {
  switch (insn.code & 7) {
    case op.BPF_ALU:
    case op.BPF_ALU64:
      checkAlu(env, insn);
      return NEXT;
    case op.BPF_LDX:
      checkLoad(env, insn, false, (insn.code & 0xe0) === op.BPF_MEMSX);
      return NEXT;
    case op.BPF_STX:
      if ((insn.code & 0xe0) === op.BPF_ATOMIC) {
        checkAtomic(env, insn);
        return NEXT;
      }
      if ((insn.code & 0xe0) !== op.BPF_MEM || insn.imm !== 0) env.reject("EINVAL", "BPF_STX uses reserved fields");
      checkStoreReg(env, insn, false);
      return NEXT;
    case op.BPF_ST: {
      if ((insn.code & 0xe0) !== op.BPF_MEM || insn.src !== 0) env.reject("EINVAL", "BPF_ST uses reserved fields");
      checkRegArg(env, insn.dst, "src");
      const { type } = env.reg(insn.dst);
      checkMemAccess(env, env.insnIdx, insn.dst, insn.off, op.bpfBytes(insn.code), "write", -1, false, false);
      savePointerType(env, type, false);
      return NEXT;
    }
    case op.BPF_JMP:
    case op.BPF_JMP32:
      env.jmpsProcessed++;
      switch (insn.code & 0xf0) {
        case op.BPF_CALL:
          return checkCall(env, insn);
        case op.BPF_JA: {
          const narrow = (insn.code & 7) === op.BPF_JMP;
          if ((insn.code & 8) !== op.BPF_K || insn.src !== 0 || insn.dst !== 0 || (narrow ? insn.imm !== 0 : insn.off !== 0)) {
            env.reject("EINVAL", "BPF_JA uses reserved fields");
          }
          env.insnIdx += jumpOffset(insn) + 1;
          return JUMPED;
        }
        case op.BPF_EXIT:
          return checkExit(env, insn);
        default:
          checkCondJump(env, insn);
          return NEXT;
      }
    default: {
      const mode = insn.code & 0xe0;
      if (mode === op.BPF_ABS || mode === op.BPF_IND) {
        checkLoadAbs(env, insn);
        return NEXT;
      }
      if (mode !== op.BPF_IMM) env.reject("EINVAL", "invalid BPF_LD mode");
      checkLoadImm(env, insn);
      env.insnIdx++;
      env.aux[env.insnIdx]!.seen = true;
      return NEXT;
    }
  }
}

/** do_check: walks every path from env.cur on. */
function walk(env: Env): void {
  const popLog = (env.log.level & 2) === 0;
  let printState = false;
  let prev = -1;
  for (;;) {
    env.curHist = null;
    env.prevInsnIdx = prev;
    if (env.insnIdx >= env.insns.length || env.insnIdx < 0) {
      env.reject("EFAULT", `invalid insn idx ${env.insnIdx} insn_cnt ${env.insns.length}`);
    }
    const insn = env.insns[env.insnIdx]!;
    if (++env.insnProcessed > env.insnLimit) {
      env.reject("E2BIG", `BPF program is too large. Processed ${env.insnProcessed} insn`);
    }
    const { cur } = env;
    const here = env.insnIdx;
    cur.lastInsnIdx = prev;
    cur.insnIdx = here;
    const aux = env.aux[here]!;
    let outcome = NEXT;
    let pruned = false;
    if (aux.prunePoint) {
      pruned = isStateVisited(env, here);
      if (pruned && env.log.level > 0) {
        env.verbose(printState ? `\nfrom ${prev} to ${here}: safe\n` : `${here}: safe\n`);
      }
    }
    if (!pruned) {
      if (aux.jmpPoint) env.recordHistory(cur, null, null);
      if ((env.log.level & 2) !== 0 && printState) {
        env.verbose(`\nfrom ${prev} to ${here}:`);
        env.printState(cur, cur.curframe, true);
        printState = false;
      }
      if (env.log.level > 0) {
        if (env.scratchedRegs !== 0 || env.scratchedSlots.size > 0) env.printInsnState(cur, cur.curframe);
        env.printLine(here, "; ");
        const start = env.log.length;
        env.verbose(`${here}: ${env.insnText(here)}\n`);
        env.prevInsnPrintLen = env.log.length - start;
        env.prevLogPos = env.log.length;
      }
      aux.seen = true;
      prev = here;
      env.liveness.resetWrites();
      outcome = checkInsn(env, insn);
      env.liveness.commitWrites(env.cur, here);
      if (outcome === NEXT) {
        env.insnIdx++;
        continue;
      }
      if (outcome === JUMPED) {
        if ((insn.code & 0xf0) === op.BPF_EXIT) printState = true;
        continue;
      }
    }
    // The path ends: the next one waiting goes on.
    env.scratchEverything();
    env.liveness.update(env.cur);
    updateBranchCounts(env, env.cur);
    const next = env.pending.pop();
    if (next === undefined) return;
    if (popLog) env.log.reset(next.logPosition);
    env.cur = next.state;
    env.insnIdx = next.insnIdx;
    prev = next.prevInsnIdx;
    printState = true;
  }
}

/** do_check_common: the program, or one of its global functions on its own. */
function checkFrom(env: Env, index: number): void {
  const subprog = env.subprogs[index]!;
  const state = new VerifierState();
  state.branches = 1;
  state.inSleepable = env.sleepable;
  const frame = new FuncState(-1, 0, index);
  state.frames.push(frame);
  env.cur = state;
  env.pending.length = 0;
  env.explored.fill(undefined);
  env.exploredSize = 0;
  env.sccVisits.clear();
  const { regs } = frame;
  regs[10]!.markPointer(PTR_TO_STACK);
  env.insnIdx = subprog.start;
  if (index > 0 || subprog.isExceptionCallback) {
    const args = prepareArgs(env, index);
    args.forEach((arg, i) => {
      const reg = regs[i + 1]!;
      switch (arg.kind) {
        case "ctx":
          reg.markPointer(PTR_TO_CTX);
          break;
        case "anything":
          reg.markUnknown(false);
          break;
        case "dynptr":
          markDynptrReg(reg, DynptrType.LOCAL, true, env.newId());
          break;
        case "mem":
          reg.markPointer(PTR_TO_MEM | (arg.nullable ? PTR_MAYBE_NULL : 0));
          reg.memSize = arg.size;
          if (arg.nullable) reg.id = env.newId();
          break;
        default:
          reg.markPointer(PTR_TO_BTF_ID | (arg.trusted === true ? PTR_TRUSTED : PTR_UNTRUSTED) | (arg.nullable ? PTR_MAYBE_NULL : 0));
          reg.btf = env.spec.btf ?? null;
          reg.btfType = arg.btfType ?? null;
          if (arg.nullable) reg.id = env.newId();
      }
    });
  } else {
    regs[1]!.markPointer(PTR_TO_CTX);
  }
  env.scratchEverything();
  env.prevLogPos = 0;
  walk(env);
  if ((env.log.level & 2) === 0) env.log.reset(0);
}

/** do_check_subprogs: global functions that are called, until no more are found. */
function checkGlobals(env: Env): void {
  const done = new Set<number>();
  for (let again = true; again; ) {
    again = false;
    env.subprogs.forEach((subprog, index) => {
      if (index === 0 || !subprog.isGlobal || !subprog.called || done.has(index)) return;
      done.add(index);
      again = true;
      env.verbose(`Validating ${subprog.name}() func#${index}...\n`);
      checkFrom(env, index);
      if ((env.log.level & 2) !== 0) {
        env.verbose(`Func#${index} ('${subprog.name}') is safe for any args that match its prototype\n`);
      }
    });
  }
}

function check(env: Env): void {
  const { spec } = env;
  if (spec.insns.length === 0 || spec.insns.length > op.BPF_COMPLEXITY_LIMIT_INSNS) throw new Reject("E2BIG");
  if (spec.caps === "bpf" && NEEDS_PERFMON.includes(spec.type)) throw new Reject("EPERM");
  addSubprogs(env);
  checkSubprogs(env);
  checkFuncInfo(env);
  resolvePseudo(env);
  checkCfg(env);
  computePostorder(env);
  computeScc(env);
  env.liveness = new StackLiveness(env);
  computeLiveRegisters(env);
  checkFrom(env, 0);
  checkGlobals(env);
  checkMaxStackDepth(env);
}

/** Types that BPF_PROG_LOAD refuses without CAP_PERFMON. */
const NEEDS_PERFMON: readonly number[] = [
  ProgType.KPROBE, ProgType.TRACEPOINT, ProgType.PERF_EVENT, ProgType.RAW_TRACEPOINT, ProgType.RAW_TRACEPOINT_WRITABLE,
  ProgType.TRACING, ProgType.LSM, ProgType.STRUCT_OPS, ProgType.EXT,
];

function slotFacts(env: Env): SlotAux[] {
  return env.aux.map((aux, slot): SlotAux => {
    const facts = env.slots[slot]!;
    facts.seen = aux.seen;
    if (aux.access !== null) facts.access = aux.access;
    if (aux.map !== null && !aux.mapPoison) {
      facts.map = aux.map;
      if (aux.constKey !== null && !aux.keyPoison) {
        if (env.insns[slot]!.imm === Helper.tail_call) facts.tailCallIndex = Number(aux.constKey);
        else facts.constantKey = Number(aux.constKey);
      }
    }
    if (aux.jumpTaken !== aux.jumpFell) facts.branch = aux.jumpTaken ? "taken" : "fallthrough";
    if (aux.loopCallback >= 0 && aux.loopFits && callsSyncCallback(env.insns[slot]!)) {
      facts.inlineLoop = env.subprogs[aux.loopCallback]!.start;
    }
    return facts;
  });
}

function facts(env: Env): VerifierAux {
  return {
    slots: slotFacts(env),
    subprograms: env.subprogs.map((subprog) => ({
      start: subprog.start, end: subprog.end, name: subprog.name, stackDepth: subprog.stackDepth,
      callback: subprog.isCallback, global: subprog.isGlobal,
    })),
    ctxRead: env.ctxRead,
    ctxWritten: env.ctxWritten,
    changesPacket: env.changesPacket || env.directWrite,
    processed: env.insnProcessed,
    stackDepth: env.subprogs[0]?.stackDepth ?? 0,
  };
}

/** Last line of a log: the reason. */
function lastLine(text: string): string {
  let end = text.length;
  while (end > 0 && text[end - 1] === "\n") end--;
  return text.slice(text.lastIndexOf("\n", end - 1) + 1, end);
}

/**
 * Verifies a program as BPF_PROG_LOAD would. Never throws for what the program contains: a program that is refused is an
 * answer with errno, the reason as `message`, and the log.
 */
export function verify(program: ProgramSpec, options: VerifyOptions = {}): VerifyResult {
  const env = new Env(program, options);
  let errno: Errno | undefined;
  try {
    check(env);
  } catch (error) {
    if (!(error instanceof Reject)) throw error;
    errno = error.errno;
  }
  const body = env.log.text();
  const message = errno === undefined ? "" : lastLine(body);
  if ((env.log.level & 4) !== 0) {
    env.verbose("verification time 0 usec\n");
    env.verbose(`stack depth ${env.subprogs.map((subprog) => subprog.stackDepth).join("+")}\n`);
  }
  if (env.subprogs.length > 0) {
    env.verbose(`processed ${env.insnProcessed} insns (limit ${env.insnLimit}) max_states_per_insn ${env.maxStatesPerInsn} ` +
      `total_states ${env.totalStates} peak_states ${env.peakStates} mark_read ${env.longestMarkRead}\n`);
  }
  let log = env.log.text();
  if (options.logSize !== undefined && log.length > options.logSize) log = log.slice(log.length - options.logSize);
  const aux = facts(env);
  return errno === undefined ? { verdict: "accept", log, message, aux } : { verdict: "reject", errno, log, message, aux };
}

