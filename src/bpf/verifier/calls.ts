// Helper calls: checks the arguments, then says what they leave behind. kernel/bpf/verifier.c: check_helper_call.

import type { Insn } from "../insn.ts";
import { Helper, MapFlag, MapType } from "../uapi.ts";
import { checkArg, checkConstString, newMeta, type CallMeta } from "./args.ts";
import { findKernelStruct } from "./btf.ts";
import { helperName } from "./disasm.ts";
import type { Env } from "./env.ts";
import { checkFormat } from "./format.ts";
import { checkMapHelper } from "./map-compat.ts";
import { checkMemAccess } from "./memory.ts";
import {
  acquireReference, checkResourceLeak, dynptrState, releaseReference, unmarkDynptrSlots,
} from "./objects.ts";
import { pushPath } from "./paths.ts";
import { markChainPrecision } from "./precision.ts";
import { ARG, HELPER_MAX, RET, helperChangesPacket, helperProto, type HelperProto } from "./protos.ts";
import {
  DynptrType, PTR_MAYBE_NULL, PTR_TO_BTF_ID, PTR_TO_MAP_VALUE, PTR_TO_MEM, PTR_TO_SOCKET, PTR_TO_SOCK_COMMON,
  PTR_TO_TCP_SOCK, baseType, regIsNull, regTypeString, typeMayBeNull, type RegState, MEM_RDONLY,
} from "./reg.ts";
import { regBoundsSync } from "./scalar.ts";
import { clearCallerSaved, clearPktPointers, prepareExit, pushCallback } from "./subprog.ts";

const MAX_ERRNO = 4095;
/** nr_cpu_ids where programs are verified for no kernel in particular. */
const CPUS = 2;

/** record_func_map: the map of a call, for the JIT, and read-only maps. */
function recordMap(env: Env, meta: CallMeta): void {
  switch (meta.funcId) {
    case Helper.tail_call:
    case Helper.map_lookup_elem:
    case Helper.map_update_elem:
    case Helper.map_delete_elem:
    case Helper.map_push_elem:
    case Helper.map_pop_elem:
    case Helper.map_peek_elem:
    case Helper.for_each_map_elem:
    case Helper.redirect_map:
    case Helper.map_lookup_percpu_elem:
      break;
    default:
      return;
  }
  const { map, funcId } = meta;
  if (map === null) env.bug("expected map for helper call");
  if (
    (map.flags & MapFlag.RDONLY_PROG) !== 0 &&
    (funcId === Helper.map_delete_elem || funcId === Helper.map_update_elem || funcId === Helper.map_push_elem ||
      funcId === Helper.map_pop_elem)
  ) {
    env.reject("EACCES", "write into map forbidden");
  }
  const aux = env.aux[env.insnIdx]!;
  if (aux.map === null) aux.map = map;
  else if (aux.map !== map) aux.mapPoison = true;
}

/** record_func_key: a tail call with a constant index. */
function recordKey(env: Env, meta: CallMeta): void {
  const aux = env.aux[env.insnIdx]!;
  if (meta.funcId !== Helper.tail_call) {
    if (meta.constKey < 0n) aux.keyPoison = true;
    else if (aux.constKey === null) aux.constKey = meta.constKey;
    else if (aux.constKey !== meta.constKey) aux.keyPoison = true;
    return;
  }
  const { map } = meta;
  if (map === null || map.type !== MapType.PROG_ARRAY) env.reject("EINVAL", "expected prog array map for tail call");
  const key = env.reg(3);
  if (!key.isConst() || key.varOff.value >= BigInt(map.maxEntries)) {
    aux.keyPoison = true;
    return;
  }
  markChainPrecision(env, 3);
  if (aux.constKey === null) aux.constKey = key.varOff.value;
  else if (aux.constKey !== key.varOff.value) aux.keyPoison = true;
}

/** is_acquire_function. */
function acquires(funcId: number): boolean {
  return funcId === Helper.sk_lookup_tcp || funcId === Helper.sk_lookup_udp || funcId === Helper.skc_lookup_tcp ||
    funcId === Helper.ringbuf_reserve || funcId === Helper.kptr_xchg;
}

function acquiresFromMap(funcId: number, meta: CallMeta): boolean {
  return funcId === Helper.map_lookup_elem &&
    (meta.map?.type === MapType.SOCKMAP || meta.map?.type === MapType.SOCKHASH);
}

/** is_ptr_cast_function. */
const casts = (funcId: number): boolean =>
  funcId === Helper.tcp_sock || funcId === Helper.sk_fullsock || (funcId >= Helper.skc_to_tcp6_sock && funcId <= Helper.skc_to_udp6_sock) ||
  funcId === Helper.skc_to_unix_sock || funcId === Helper.skc_to_mptcp_sock;

/** do_refine_retval_range. */
function refineReturn(reg: RegState, funcId: number, meta: CallMeta): void {
  switch (funcId) {
    case Helper.get_stack:
    case Helper.get_task_stack:
    case Helper.probe_read_str:
    case Helper.probe_read_kernel_str:
    case Helper.probe_read_user_str:
      reg.smax = meta.maxSize;
      reg.s32max = Number(BigInt.asIntN(32, meta.maxSize));
      reg.smin = BigInt(-MAX_ERRNO);
      reg.s32min = -MAX_ERRNO;
      regBoundsSync(reg);
      break;
    case Helper.get_smp_processor_id:
      reg.umin = reg.smin = 0n;
      reg.umax = reg.smax = BigInt(CPUS - 1);
      reg.u32min = reg.s32min = 0;
      reg.u32max = reg.s32max = CPUS - 1;
      regBoundsSync(reg);
      break;
  }
}

/** check_bpf_snprintf_call: the format and the number of its arguments. */
function checkSnprintf(env: Env): void {
  const bytes = env.reg(5);
  if (bytes.varOff.value % 8n !== 0n) env.reject("EINVAL", "");
  const format = checkConstString(env, 3);
  const wrong = checkFormat(format ?? "", Number(bytes.varOff.value / 8n));
  if (wrong) env.reject("EINVAL", "Invalid format string");
}

/** What a call of bpf_loop is, for the JIT: update_loop_inline_state. */
function noteLoop(env: Env, subprogno: number): void {
  const aux = env.aux[env.insnIdx]!;
  if (!aux.loopFits) return;
  if (regIsNull(env.reg(4))) markChainPrecision(env, 4);
  else aux.loopFits = false;
  if (aux.loopCallback === -1) aux.loopCallback = subprogno;
  else if (aux.loopCallback !== subprogno) aux.loopFits = false;
}

/** Sets R0 by the prototype. */
function setReturn(env: Env, proto: HelperProto, meta: CallMeta): void {
  const r0 = env.reg(0);
  const base = proto.ret & 0xff;
  let flags = proto.ret & ~0xff;
  switch (base) {
    case RET.int:
      r0.markUnknown(false);
      break;
    case RET.void:
      r0.markNotInit();
      break;
    case RET.value: {
      const { map } = meta;
      if (map === null) env.bug("unexpected null map_ptr");
      if (
        meta.funcId === Helper.map_lookup_elem && (map.type === MapType.ARRAY || map.type === MapType.PERCPU_ARRAY) &&
        meta.constKey >= 0n && meta.constKey < BigInt(map.maxEntries)
      ) {
        flags &= ~PTR_MAYBE_NULL;
      }
      r0.markPointer(PTR_TO_MAP_VALUE | flags);
      r0.map = map;
      r0.mapUid = meta.mapUid;
      const locks = map.fields?.some((field) => field.kind === "spin_lock" || field.kind === "res_spin_lock") ?? false;
      if ((flags & PTR_MAYBE_NULL) === 0 && locks) r0.id = env.newId();
      break;
    }
    case RET.sock:
      r0.markPointer(PTR_TO_SOCKET | flags);
      break;
    case RET.sock_common:
      r0.markPointer(PTR_TO_SOCK_COMMON | flags);
      break;
    case RET.tcp_sock:
      r0.markPointer(PTR_TO_TCP_SOCK | flags);
      break;
    case RET.mem:
      r0.markPointer(PTR_TO_MEM | flags);
      r0.memSize = meta.memSize;
      break;
    case RET.mem_or_btf: {
      r0.markPointer(PTR_TO_MEM | (flags & ~MEM_RDONLY));
      r0.memSize = meta.memSize;
      break;
    }
    case RET.btf: {
      r0.markPointer(PTR_TO_BTF_ID | flags);
      const name = proto.btfRet ?? "";
      const struct = findKernelStruct(env, name);
      r0.btf = struct?.btf ?? null;
      r0.btfType = struct?.type ?? { kind: 4, name };
      break;
    }
  }
  if (typeMayBeNull(r0.type)) r0.id = env.newId();
}

/** check_helper_call. */
export function checkHelperCall(env: Env, insn: Insn): void {
  const funcId = insn.imm;
  const named = `${helperName(funcId)}#${funcId}`;
  if (funcId < 0 || funcId >= HELPER_MAX) env.reject("EINVAL", `invalid func unknown#${funcId}`);
  const proto = helperProto(env, funcId);
  if (proto === undefined) env.reject("EINVAL", `program of this type cannot use helper ${named}`);
  if (proto.gplOnly && !/GPL/.test(env.spec.license)) {
    env.reject("EINVAL", "cannot call GPL-restricted function from non-GPL compatible program");
  }
  const { cur } = env;
  if (proto.mightSleep && !cur.inSleepable) env.reject("EINVAL", "helper call might sleep in a non-sleepable prog");
  let changesPacket = helperChangesPacket(funcId);
  const meta = newMeta(funcId, proto.pktAccess);
  if (proto.mightSleep) {
    if (cur.activeRcuLocks > 0) env.reject("EINVAL", `sleepable helper ${named} in rcu_read_lock region`);
    if (cur.activePreemptLocks > 0) env.reject("EINVAL", `sleepable helper ${named} in non-preemptible region`);
    if (cur.activeIrqId !== 0) env.reject("EINVAL", `sleepable helper ${named} in IRQ-disabled region`);
  }
  const slot = env.insnIdx;
  for (let i = 0; i < proto.args.length; i++) checkArg(env, i, meta, proto);
  recordMap(env, meta);
  recordKey(env, meta);
  // What the helper wrote is bytes now, and was allowed to be nothing before.
  const { regno, accessSize } = meta;
  for (let i = 0; i < accessSize; i++) checkMemAccess(env, slot, regno, i, 1, "write", -1, false, false);
  if (meta.releaseRegno !== 0) {
    const reg = env.reg(meta.releaseRegno);
    let released = true;
    if (baseType(proto.args[meta.releaseRegno - 1]!) === ARG.dynptr) unmarkDynptrSlots(env, reg);
    else if (meta.refObjId !== 0) released = releaseReference(env, meta.refObjId);
    else released = regIsNull(reg);
    if (!released) env.reject("EINVAL", `func ${named} reference has not been acquired before`);
  }
  switch (funcId) {
    case Helper.tail_call:
      checkResourceLeak(env, false, true, "tail_call");
      break;
    case Helper.get_local_storage:
      if (!regIsNull(env.reg(2))) env.reject("EINVAL", "get_local_storage() doesn't support non-zero flags");
      break;
    case Helper.for_each_map_elem:
    case Helper.timer_set_callback:
    case Helper.find_vma:
    case Helper.user_ringbuf_drain:
      pushCallback(env, insn, meta.subprogno, funcId, meta.map, meta.mapUid);
      break;
    case Helper.snprintf:
      checkSnprintf(env);
      break;
    case Helper.loop:
      noteLoop(env, meta.subprogno);
      markChainPrecision(env, 1);
      if (BigInt(cur.frame.callbackDepth) < env.reg(1).umax) {
        pushCallback(env, insn, meta.subprogno, funcId, null, 0);
      } else {
        cur.frame.callbackDepth = 0;
        if ((env.log.level & 2) !== 0) env.verbose(`frame${cur.curframe} bpf_loop iteration limit reached\n`);
      }
      break;
    case Helper.dynptr_from_mem:
      if (env.reg(1).type !== PTR_TO_MAP_VALUE) {
        env.reject("EACCES", `Unsupported reg type ${regTypeString(env.reg(1).type)} for bpf_dynptr_from_mem data`);
      }
      break;
    case Helper.dynptr_data: {
      const state = dynptrState(env, env.reg(1));
      meta.dynptrId = state?.id ?? 0;
      meta.refObjId = state?.refObjId ?? 0;
      break;
    }
    case Helper.dynptr_write: {
      const type = dynptrState(env, env.reg(1))?.dynptrType;
      if (type === DynptrType.SKB || type === DynptrType.SKB_META) changesPacket = true;
      break;
    }
    case Helper.set_retval:
      break;
  }
  clearCallerSaved(env, env.regs);
  setReturn(env, proto, meta);
  const r0 = env.reg(0);
  if (funcId === Helper.dynptr_data) r0.dynptrId = meta.dynptrId;
  if (casts(funcId) || funcId === Helper.dynptr_data) {
    r0.refObjId = meta.refObjId;
  } else if (acquires(funcId) || acquiresFromMap(funcId, meta)) {
    const id = acquireReference(env);
    r0.id = id;
    r0.refObjId = id;
  }
  if (proto.ret === RET.int) refineReturn(r0, funcId, meta);
  checkMapHelper(env, meta.map, funcId);
  if (funcId === Helper.tail_call) {
    if (cur.curframe > 0) {
      // The target returns to this function's caller, as if it had been the one called.
      pushPath(env, env.insnIdx + 1, env.insnIdx);
      clearPktPointers(env);
      env.reg(0).markUnknown(false);
      prepareExit(env);
      env.insnIdx--;
    }
    return;
  }
  if (changesPacket) {
    env.changesPacket = true;
    clearPktPointers(env);
  }
}

