// Calls of kfuncs. kernel/bpf/verifier.c: check_kfunc_call, check_kfunc_args, process_iter_next_call.

import type { Insn } from "../insn.ts";
import { checkArgOffset, checkHelperMem, checkMapField, checkMemSize, processDynptr, structMatches } from "./args.ts";
import { findKernelStruct } from "./btf.ts";
import type { Env } from "./env.ts";
import { kfuncMeta, type KfuncMeta } from "./kfuncs.ts";
import { checkMemAccess } from "./memory.ts";
import {
  acquireReference, checkResourceLeak, dynptrState, irqFlagSpi, iterPlaceFree, iterSpi, iterValid,
  markIterSlots, releaseReference, unmarkIterSlots,
} from "./objects.ts";
import { findPreviousEntry, pushPath, widenImpreciseScalars } from "./paths.ts";
import { markChainPrecision } from "./precision.ts";
import { ARG } from "./protos.ts";
import {
  CONST_PTR_TO_MAP, DYNPTR_TYPE_SKB, DYNPTR_TYPE_SKB_META, DYNPTR_TYPE_XDP, DynptrType, IterState, MEM_ALLOC, MEM_RCU,
  MEM_RDONLY, MEM_UNINIT, PTR_MAYBE_NULL, PTR_TO_BTF_ID, PTR_TO_CTX, PTR_TO_MEM, PTR_TO_STACK, PTR_TRUSTED,
  PTR_UNTRUSTED, SCALAR_VALUE, baseType, regIsNull, regTypeString, typeMayBeNull,
} from "./reg.ts";
import { checkRegArg } from "./regs.ts";
import { STACK_INVALID, STACK_IRQ_FLAG } from "./state.ts";
import { clearCallerSaved, clearPktPointers } from "./subprog.ts";

const DYNPTRS = { skb: DynptrType.SKB, xdp: DynptrType.XDP, skb_meta: DynptrType.SKB_META } as const;

interface Found {
  size: number;
  refObjId: number;
  dynptrId: number;
  dynptrType: number;
  cloned: number;
  iterFrame: number;
  iterSpi: number;
}

function checkKfuncArg(env: Env, meta: KfuncMeta, index: number, found: Found): void {
  const regno = index + 1;
  const reg = env.reg(regno);
  const kind = meta.args[index]!;
  checkRegArg(env, regno, "src");
  if (kind === "scalar" || kind === "const" || kind === "size" || kind === "const-size") {
    if (reg.type !== SCALAR_VALUE) env.reject("EINVAL", `R${regno} is not a scalar`);
  }
  if (reg.refObjId !== 0 && kind !== "iter") found.refObjId = reg.refObjId;
  switch (kind) {
    case "scalar":
    case "ignored":
      return;
    case "const":
    case "const-size":
      if (!reg.isConst()) env.reject("EINVAL", `R${regno} must be a known constant`);
      markChainPrecision(env, regno);
      found.size = Number(BigInt.asUintN(32, reg.varOff.value));
      if (kind === "const-size") {
        const memory = env.reg(regno - 1);
        if (!regIsNull(memory)) checkMemSize(env, regno, true, true, null);
      }
      return;
    case "size":
      checkMemSize(env, regno, meta.args[index - 1] === "mem-write", true, null);
      return;
    case "ctx":
      if (reg.type !== PTR_TO_CTX) {
        env.reject("EINVAL", `arg#${index} expected pointer to ctx, but got ${regTypeString(reg.type)}`);
      }
      checkArgOffset(env, reg, regno, ARG.ctx);
      return;
    case "mem":
    case "mem?":
    case "mem-write":
      if (kind === "mem?" && regIsNull(reg)) return;
      if (typeMayBeNull(reg.type)) env.reject("EACCES", `Possibly NULL pointer passed to trusted arg${index}`);
      checkArgOffset(env, reg, regno, ARG.mem);
      if (meta.args[index + 1] !== "size" && meta.args[index + 1] !== "const-size") {
        const size = meta.size ?? 1;
        checkHelperMem(env, regno, size, false, false, null);
        if (kind === "mem-write") checkHelperMem(env, regno, size, true, false, null);
      }
      return;
    case "map":
      if (reg.type !== CONST_PTR_TO_MAP) env.reject("EINVAL", `pointer in R${regno} isn't map pointer`);
      return;
    case "string":
      if (baseType(reg.type) === SCALAR_VALUE) env.reject("EINVAL", `arg#${index} doesn't point to a const string`);
      return;
    case "btf":
    case "owned": {
      const struct = meta.structs?.[index];
      if (typeMayBeNull(reg.type)) env.reject("EACCES", `Possibly NULL pointer passed to trusted arg${index}`);
      const trusted = (reg.type & (PTR_TRUSTED | MEM_ALLOC | MEM_RCU)) !== 0 || reg.refObjId !== 0;
      if (baseType(reg.type) !== PTR_TO_BTF_ID) {
        env.reject("EINVAL", `arg#${index} pointer type STRUCT ${struct ?? ""} must point to scalar, or struct with scalar`);
      }
      if (!trusted || (reg.type & PTR_UNTRUSTED) !== 0) env.reject("EINVAL", `R${regno} must be referenced or trusted`);
      if (kind === "owned" && reg.refObjId === 0) env.reject("EINVAL", `release kernel function ${meta.name} expects refcounted PTR_TO_BTF_ID`);
      checkArgOffset(env, reg, regno, ARG.btf);
      if (struct !== undefined && !structMatches(reg.btfType?.name, struct)) {
        env.reject("EINVAL", `kernel function ${meta.name} args#${index} expected pointer to STRUCT ${struct} but R${regno} ` +
          `has a pointer to STRUCT ${reg.btfType?.name ?? ""}`);
      }
      return;
    }
    case "dynptr-new": {
      const made = meta.dynptr === undefined ? found.dynptrType : DYNPTRS[meta.dynptr];
      processDynptr(env, regno, MEM_UNINIT | ARG.dynptr, made, found.cloned);
      return;
    }
    case "dynptr": {
      processDynptr(env, regno, MEM_RDONLY | ARG.dynptr, 0, 0);
      const state = dynptrState(env, reg);
      found.dynptrId = state?.id ?? 0;
      found.dynptrType = state?.dynptrType ?? 0;
      found.cloned = state?.refObjId ?? 0;
      return;
    }
    case "iter-new":
    case "iter": {
      if (reg.type !== PTR_TO_STACK) env.reject("EINVAL", `arg#${index} expected pointer to an iterator on stack`);
      const slots = meta.iterSlots!;
      if (kind === "iter-new") {
        if (!iterPlaceFree(env, reg, slots)) {
          env.reject("EINVAL", `expected uninitialized iter_${meta.iterKind} as arg #${index}`);
        }
        for (let i = 0; i < slots * 8; i += 8) checkMemAccess(env, env.insnIdx, regno, i, 8, "write", -1, false, false);
        markIterSlots(env, reg, meta.iterKind!, slots);
        return;
      }
      if (!iterValid(env, reg, meta.iterKind!, slots)) {
        env.reject("EINVAL", `expected an initialized iter_${meta.iterKind} as arg #${index}`);
      }
      const spi = iterSpi(env, reg, slots);
      for (let i = 0; i < slots; i++) env.liveness.markRead(reg.frameno, spi - i);
      found.iterFrame = reg.frameno;
      found.iterSpi = spi;
      if (meta.iterator === "destroy") unmarkIterSlots(env, reg, slots);
      return;
    }
    case "irq-flag-new":
    case "irq-flag": {
      if (reg.type !== PTR_TO_STACK) env.reject("EINVAL", `arg#${index} doesn't point to an irq flag on stack`);
      processIrqFlag(env, regno, kind === "irq-flag-new", index);
      return;
    }
    case "wq":
      checkMapField(env, regno, "workqueue");
      return;
    default:
      return;
  }
}

/** process_irq_flag. */
function processIrqFlag(env: Env, regno: number, save: boolean, index: number): void {
  const reg = env.reg(regno);
  const { cur } = env;
  const frame = cur.frames[reg.frameno]!;
  if (save) {
    if (irqFlagSpi(env, reg, false) === -1) env.reject("EINVAL", `expected uninitialized irq flag as arg#${index}`);
    checkMemAccess(env, env.insnIdx, regno, 0, 8, "write", -1, false, false);
    const spi = irqFlagSpi(env, reg, false);
    const id = env.newId();
    cur.refs.push({ type: 2, id, insnIdx: env.insnIdx });
    cur.activeIrqId = id;
    const slot = frame.spilledAt(spi);
    slot.markPointer(PTR_TO_STACK);
    slot.refObjId = id;
    frame.slotType.fill(STACK_IRQ_FLAG, spi * 8, spi * 8 + 8);
    env.liveness.markWrite(frame.frameno, spi);
    return;
  }
  const spi = irqFlagSpi(env, reg, true);
  if (spi < 0) env.reject("EINVAL", `expected an initialized irq flag as arg#${index}`);
  env.liveness.markRead(frame.frameno, spi);
  const id = frame.spilledAt(spi).refObjId;
  if (id !== cur.activeIrqId) {
    const held = cur.refs.find((ref) => ref.id === cur.activeIrqId);
    env.reject("EACCES",
      `cannot restore irq state out of order, expected id=${cur.activeIrqId} acquired at insn_idx=${held?.insnIdx ?? 0}`);
  }
  cur.refs = cur.refs.filter((ref) => ref.id !== id);
  cur.activeIrqId = [...cur.refs].reverse().find((ref) => ref.type === 2)?.id ?? 0;
  frame.spilledAt(spi).markNotInit();
  frame.slotType.fill(STACK_INVALID, spi * 8, spi * 8 + 8);
  env.liveness.markWrite(frame.frameno, spi);
}

/** process_iter_next_call: one path with another element, and one that is done. */
function iterNext(env: Env, found: Found): void {
  const { cur } = env;
  const iter = cur.frames[found.iterFrame]!.spilledAt(found.iterSpi);
  if (iter.iterState === IterState.ACTIVE) {
    const previous = findPreviousEntry(env, cur.parent, env.insnIdx);
    const queued = pushPath(env, env.insnIdx + 1, env.insnIdx);
    const other = queued.frames[found.iterFrame]!.spilledAt(found.iterSpi);
    other.iterState = IterState.ACTIVE;
    other.iterDepth++;
    if (previous !== null) widenImpreciseScalars(env, previous, queued);
    queued.regs[0]!.type &= ~PTR_MAYBE_NULL;
  }
  iter.iterState = IterState.DRAINED;
  const r0 = env.reg(0);
  r0.clear();
  r0.type = SCALAR_VALUE;
  r0.setConst(0n);
}

/** Regions that kfuncs open and close. */
function regions(env: Env, meta: KfuncMeta): void {
  const { cur } = env;
  switch (meta.name) {
    case "bpf_rcu_read_lock":
      cur.activeRcuLocks++;
      return;
    case "bpf_rcu_read_unlock":
      if (cur.activeRcuLocks === 0) env.reject("EINVAL", `unmatched rcu read unlock (kernel function ${meta.name})`);
      cur.activeRcuLocks--;
      return;
    case "bpf_preempt_disable":
      cur.activePreemptLocks++;
      return;
    case "bpf_preempt_enable":
      if (cur.activePreemptLocks === 0) {
        env.reject("EINVAL", `unmatched attempt to enable preemption (kernel function ${meta.name})`);
      }
      cur.activePreemptLocks--;
      return;
    default:
      if (meta.sleepable !== true) return;
      if (!cur.inSleepable) env.reject("EACCES", `program must be sleepable to call sleepable kfunc ${meta.name}`);
      if (cur.activeRcuLocks > 0) env.reject("EACCES", `kernel func ${meta.name} is sleepable within rcu_read_lock region`);
      if (cur.activePreemptLocks > 0) env.reject("EACCES", `kernel func ${meta.name} is sleepable within non-preemptible region`);
  }
}

/** check_kfunc_call. Returns true for bpf_throw, which ends the path. */
export function checkKfuncCall(env: Env, insn: Insn): boolean {
  const meta = kfuncMeta(insn.imm);
  if (meta === undefined) env.reject("EINVAL", `kernel btf_id ${insn.imm} is not a function`);
  if (!/GPL/.test(env.spec.license)) env.reject("EINVAL", "cannot call kernel function from non-GPL compatible program");
  if (meta.types !== undefined && !meta.types.includes(env.spec.type)) {
    env.reject("EACCES", `calling kernel function ${meta.name} is not allowed`);
  }
  const found: Found = { size: 0, refObjId: 0, dynptrId: 0, dynptrType: 0, cloned: 0, iterFrame: 0, iterSpi: 0 };
  for (let i = 0; i < meta.args.length; i++) checkKfuncArg(env, meta, i, found);
  regions(env, meta);
  if (meta.release === true && !releaseReference(env, found.refObjId)) {
    env.reject("EINVAL", `kfunc ${meta.name}#${insn.imm} reference has not been acquired before`);
  }
  if (meta.name === "bpf_throw") {
    checkResourceLeak(env, true, true, "bpf_throw");
    return true;
  }
  const contextType = env.reg(1).type;
  clearCallerSaved(env, env.regs);
  const r0 = env.reg(0);
  switch (meta.ret) {
    case "int":
      r0.markUnknown(false);
      break;
    case "void":
      break;
    case "element":
      r0.markPointer(PTR_TO_MEM | (meta.iterator === undefined ? 0 : PTR_MAYBE_NULL | MEM_RDONLY));
      r0.memSize = meta.size ?? 0;
      if (typeMayBeNull(r0.type)) r0.id = env.newId();
      break;
    case "slice": {
      let type = PTR_TO_MEM | PTR_MAYBE_NULL;
      if (found.dynptrType === DynptrType.SKB) type |= DYNPTR_TYPE_SKB;
      if (found.dynptrType === DynptrType.XDP) type |= DYNPTR_TYPE_XDP;
      if (found.dynptrType === DynptrType.SKB_META) type |= DYNPTR_TYPE_SKB_META;
      if (meta.name === "bpf_dynptr_slice") type |= MEM_RDONLY;
      r0.markPointer(type);
      r0.memSize = found.size;
      r0.dynptrId = found.dynptrId;
      r0.refObjId = found.cloned;
      r0.id = env.newId();
      break;
    }
    case "struct": {
      const name = meta.struct ?? "";
      r0.markPointer(PTR_TO_BTF_ID | (meta.acquire === true ? 0 : contextType === PTR_TO_CTX ? PTR_TRUSTED : PTR_UNTRUSTED) |
        (meta.nullable === true ? PTR_MAYBE_NULL : 0));
      const struct = findKernelStruct(env, name);
      r0.btf = struct?.btf ?? null;
      r0.btfType = struct?.type ?? { kind: 4, name };
      if (meta.nullable === true) r0.id = env.newId();
      if (meta.acquire === true) {
        const id = acquireReference(env);
        if (meta.nullable === true) r0.id = id;
        r0.refObjId = id;
      }
      break;
    }
  }
  if (meta.changesPacket === true) {
    env.changesPacket = true;
    clearPktPointers(env);
  }
  if (meta.iterator === "next") iterNext(env, found);
  return false;
}

