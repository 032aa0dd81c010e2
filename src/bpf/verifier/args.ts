// Arguments of helpers: which registers a parameter takes, and the memory behind them. kernel/bpf/verifier.c:
// check_func_arg, check_reg_type, check_helper_mem_access, check_mem_size_reg, process_*_func.

import { Helper, MapType } from "../uapi.ts";
import { helperName } from "./disasm.ts";
import type { Env } from "./env.ts";
import { checkBuffer, checkMapAccess, checkMapAccessType, checkMemAccess, checkMemRegion, checkPacketAccess, checkPtrOffset, mayAccessPacket } from "./memory.ts";
import {
  acquireLock, dynptrPlaceFree, dynptrSpi, dynptrState, dynptrTypeOfArg, dynptrValid, findLock, invalidateNonOwning,
  markDynptrRead, markDynptrSlots, releaseLock,
} from "./objects.ts";
import { dynptrTypeName } from "./log.ts";
import { markChainPrecision, markSlotPrecision } from "./precision.ts";
import { ARG, type HelperProto } from "./protos.ts";
import {
  CONST_PTR_TO_DYNPTR, CONST_PTR_TO_MAP, DYNPTR_TYPE_FLAG_MASK, MEM_ALIGNED, MEM_ALLOC, MEM_FIXED_SIZE, MEM_PERCPU,
  MEM_RCU, MEM_RDONLY, MEM_RINGBUF, MEM_UNINIT, MEM_WRITE, OBJ_RELEASE, PTR_MAYBE_NULL, PTR_TO_ARENA, PTR_TO_BTF_ID, PTR_TO_BUF,
  PTR_TO_CTX, PTR_TO_FUNC, PTR_TO_MAP_KEY, PTR_TO_MAP_VALUE, PTR_TO_MEM, PTR_TO_PACKET, PTR_TO_PACKET_META,
  PTR_TO_SOCKET, PTR_TO_SOCK_COMMON, PTR_TO_STACK, PTR_TO_TCP_SOCK, PTR_TO_XDP_SOCK, PTR_TRUSTED, SCALAR_VALUE, baseType,
  isPktPointer, regIsNull, regTypeString, typeIsAlloc, typeIsRdonlyMem, typeMayBeNull, type RegState,
} from "./reg.ts";
import { checkRegArg } from "./regs.ts";
import { checkStackRange, isPointerValue, type RawMode } from "./stack.ts";
import { REF_TYPE_LOCK, STACK_SPILL, STACK_ZERO } from "./state.ts";
import type { MapSpec } from "./types.ts";
import { tnumAdd, tnumConst, tnumIsAligned, tnumString } from "./tnum.ts";

/** What was found while arguments were checked: bpf_call_arg_meta. */
export interface CallMeta extends RawMode {
  readonly funcId: number;
  readonly pktAccess: boolean;
  map: MapSpec | null;
  mapUid: number;
  /** Constant array index that the key is; -1 for none. */
  constKey: bigint;
  releaseRegno: number;
  refObjId: number;
  memSize: number;
  /** Largest value of the size argument. */
  maxSize: bigint;
  subprogno: number;
  dynptrId: number;
}

export function newMeta(funcId: number, pktAccess: boolean): CallMeta {
  return {
    funcId, pktAccess, map: null, mapUid: 0, constKey: -1n, releaseRegno: 0, refObjId: 0, memSize: 0, maxSize: 0n, subprogno: 0,
    dynptrId: 0, raw: false, regno: 0, accessSize: 0,
  };
}

const MEMORY = [
  PTR_TO_STACK, PTR_TO_PACKET, PTR_TO_PACKET_META, PTR_TO_MAP_KEY, PTR_TO_MAP_VALUE, PTR_TO_MEM, PTR_TO_MEM | MEM_RINGBUF,
  PTR_TO_BUF, PTR_TO_BTF_ID | PTR_TRUSTED,
];
const SCALARS = [SCALAR_VALUE];
const MAP_VALUES = [PTR_TO_MAP_VALUE];

/** compatible_reg_types: register types each kind of argument takes. */
const COMPATIBLE: Readonly<Record<number, readonly number[]>> = {
  [ARG.map]: [CONST_PTR_TO_MAP],
  [ARG.key]: MEMORY,
  [ARG.value]: MEMORY,
  [ARG.size]: SCALARS,
  [ARG.size0]: SCALARS,
  [ARG.alloc_size0]: SCALARS,
  [ARG.ctx]: [PTR_TO_CTX],
  [ARG.sock_common]: [PTR_TO_SOCK_COMMON, PTR_TO_SOCKET, PTR_TO_TCP_SOCK, PTR_TO_XDP_SOCK],
  [ARG.btf_sock_common]: [
    PTR_TO_SOCK_COMMON, PTR_TO_SOCKET, PTR_TO_TCP_SOCK, PTR_TO_XDP_SOCK, PTR_TO_BTF_ID, PTR_TO_BTF_ID | PTR_TRUSTED,
  ],
  [ARG.sock]: [PTR_TO_SOCKET],
  [ARG.btf]: [PTR_TO_BTF_ID, PTR_TO_BTF_ID | PTR_TRUSTED, PTR_TO_BTF_ID | MEM_RCU],
  [ARG.spin_lock]: [PTR_TO_MAP_VALUE, PTR_TO_BTF_ID | MEM_ALLOC],
  [ARG.mem]: MEMORY,
  [ARG.ringbuf_mem]: [PTR_TO_MEM | MEM_RINGBUF],
  [ARG.percpu_btf]: [PTR_TO_BTF_ID | MEM_PERCPU, PTR_TO_BTF_ID | MEM_PERCPU | MEM_RCU, PTR_TO_BTF_ID | MEM_PERCPU | PTR_TRUSTED],
  [ARG.func]: [PTR_TO_FUNC],
  [ARG.stack]: [PTR_TO_STACK],
  [ARG.str]: MAP_VALUES,
  [ARG.timer]: MAP_VALUES,
  [ARG.kptr_dest]: [PTR_TO_MAP_VALUE, PTR_TO_BTF_ID | MEM_ALLOC],
  [ARG.dynptr]: [PTR_TO_STACK, CONST_PTR_TO_DYNPTR],
};

/** Structures that may stand for a struct sock_common or another one they begin with. */
const SOCK_STRUCTS = new Set([
  "sock_common", "sock", "tcp_sock", "tcp6_sock", "udp_sock", "udp6_sock", "unix_sock", "inet_sock", "tcp_timewait_sock",
  "tcp_request_sock", "inet_connection_sock", "inet_timewait_sock", "request_sock", "inet_request_sock", "mptcp_sock",
]);

/** btf_struct_ids_match: the same structure, or one that begins with it. */
export function structMatches(actual: string | undefined, wanted: string): boolean {
  if (actual === undefined || actual === "" || actual === wanted) return true;
  return wanted === "sock_common" && SOCK_STRUCTS.has(actual);
}

/** check_reg_type. */
function checkRegType(env: Env, regno: number, arg: number, struct: string | undefined, meta: CallMeta): void {
  const reg = env.reg(regno);
  const types = COMPATIBLE[baseType(arg)];
  if (types === undefined) env.bug(`unsupported arg type ${arg}`);
  let { type } = reg;
  if ((arg & MEM_RDONLY) !== 0) type &= ~MEM_RDONLY;
  if ((arg & PTR_MAYBE_NULL) !== 0) type &= ~PTR_MAYBE_NULL;
  if (baseType(arg) === ARG.mem) type &= ~DYNPTR_TYPE_FLAG_MASK;
  if (meta.funcId === Helper.kptr_xchg && typeIsAlloc(type) && regno === 2) type &= ~(MEM_ALLOC | MEM_PERCPU);
  if (!types.includes(type)) {
    env.reject("EACCES", `R${regno} type=${regTypeString(reg.type)} expected=${types.map(regTypeString).join(", ")}`);
  }
  if (baseType(reg.type) !== PTR_TO_BTF_ID) return;
  if (types === MEMORY) {
    if ((arg & MEM_RDONLY) === 0) {
      env.reject("EACCES", `${helperName(meta.funcId)}() may write into memory pointed by R${regno} type=${regTypeString(reg.type)}`);
    }
    return;
  }
  if (typeMayBeNull(reg.type) && (!typeMayBeNull(arg) || (arg & OBJ_RELEASE) !== 0)) {
    env.reject("EACCES", `Possibly NULL pointer passed to helper arg${regno}`);
  }
  const wanted = baseType(arg) === ARG.btf_sock_common ? "sock_common" : struct;
  if (wanted !== undefined && !structMatches(reg.btfType?.name, wanted)) {
    env.reject("EACCES", `R${regno} is of type ${reg.btfType?.name ?? ""} but ${wanted} is expected`);
  }
}

/** check_func_arg_reg_off: which pointers may have moved. */
export function checkArgOffset(env: Env, reg: RegState, regno: number, arg: number): void {
  if ((arg & OBJ_RELEASE) !== 0) {
    if (baseType(arg) === ARG.dynptr && reg.type === PTR_TO_STACK) return;
    if (reg.off !== 0) {
      env.reject("EINVAL", `R${regno} must have zero offset when passed to release func or trusted arg to kfunc`);
    }
    checkPtrOffset(env, reg, regno, false);
    return;
  }
  switch (baseType(reg.type)) {
    case PTR_TO_STACK:
    case PTR_TO_PACKET:
    case PTR_TO_PACKET_META:
    case PTR_TO_MAP_KEY:
    case PTR_TO_MAP_VALUE:
    case PTR_TO_MEM:
    case PTR_TO_BUF:
    case PTR_TO_ARENA:
    case SCALAR_VALUE:
      if (!typeMayBeNull(reg.type)) return;
      break;
    case PTR_TO_BTF_ID:
      checkPtrOffset(env, reg, regno, true);
      return;
  }
  checkPtrOffset(env, reg, regno, false);
}

/** check_helper_mem_access: `size` bytes that the helper reads, or writes. */
export function checkHelperMem(env: Env, regno: number, size: number, write: boolean, zeroAllowed: boolean, raw: RawMode | null): void {
  const reg = env.reg(regno);
  switch (baseType(reg.type)) {
    case PTR_TO_PACKET:
    case PTR_TO_PACKET_META:
      checkPacketAccess(env, regno, reg.off, size, zeroAllowed);
      return;
    case PTR_TO_MAP_KEY:
      if (write) env.reject("EACCES", `R${regno} cannot write into ${regTypeString(reg.type)}`);
      checkMemRegion(env, regno, reg.off, size, reg.map!.keySize, false);
      return;
    case PTR_TO_MAP_VALUE:
      if (typeMayBeNull(reg.type)) break;
      checkMapAccessType(env, regno, reg.off, size, write ? "write" : "read");
      checkMapAccess(env, regno, reg.off, size, zeroAllowed, true);
      return;
    case PTR_TO_MEM:
      if (typeIsRdonlyMem(reg.type) && write) env.reject("EACCES", `R${regno} cannot write into ${regTypeString(reg.type)}`);
      checkMemRegion(env, regno, reg.off, size, reg.memSize, zeroAllowed);
      return;
    case PTR_TO_BUF:
      if (typeIsRdonlyMem(reg.type) && write) env.reject("EACCES", `R${regno} cannot write into ${regTypeString(reg.type)}`);
      checkBuffer(env, typeIsRdonlyMem(reg.type) ? "rdonly" : "rdwr", reg, regno, reg.off, size);
      return;
    case PTR_TO_STACK:
      checkStackRange(env, regno, reg.off, size, zeroAllowed, write, raw);
      return;
    case PTR_TO_BTF_ID:
      if (!write) return;
      break;
  }
  if (zeroAllowed && size === 0 && regIsNull(reg)) return;
  env.reject("EACCES", `R${regno} type=${regTypeString(reg.type)} expected=${regTypeString(PTR_TO_STACK)}`);
}

/** BPF_MAX_VAR_SIZ. */
const MAX_VAR_SIZE = 1n << 29n;

/** check_mem_size_reg: the size in R`regno` of the memory in the register before it. */
export function checkMemSize(env: Env, regno: number, write: boolean, zeroAllowed: boolean, meta: CallMeta | null): void {
  const reg = env.reg(regno);
  if (meta !== null) meta.maxSize = reg.umax;
  const raw = reg.isConst() ? meta : null;
  if (reg.smin < 0n) env.reject("EACCES", `R${regno} min value is negative, either use unsigned or 'var &= const'`);
  if (reg.umin === 0n && !zeroAllowed) {
    env.reject("EACCES", `R${regno} invalid zero-sized read: u64=[${reg.umin},${reg.umax}]`);
  }
  if (reg.umax >= MAX_VAR_SIZE) {
    env.reject("EACCES", `R${regno} unbounded memory access, use 'var &= const' or 'if (var < const)'`);
  }
  checkHelperMem(env, regno - 1, Number(reg.umax), write, zeroAllowed, raw);
  markChainPrecision(env, regno);
}

/** get_constant_map_key: a constant on the stack; undefined when the key is something else. */
function constantKey(env: Env, key: RegState, size: number): bigint | undefined {
  if (key.type !== PTR_TO_STACK || !key.isConst()) return undefined;
  const frame = env.cur.frames[key.frameno]!;
  const last = -(key.off + Number(BigInt.asIntN(64, key.varOff.value))) - 1;
  const spi = last >> 3;
  let zeros = 0;
  for (let i = last; i >= spi * 8 && frame.slotType[i] === STACK_ZERO; i--) zeros++;
  if (zeros >= size) return 0n;
  if (!frame.isSpilledScalar(spi, false)) return undefined;
  let spilled = 0;
  for (let i = last; i >= spi * 8 && frame.slotType[i] === STACK_SPILL; i--) spilled++;
  const reg = frame.spilled[spi]!;
  if (spilled !== size || !reg.isConst()) return undefined;
  markSlotPrecision(env, key.frameno, spi);
  return reg.varOff.value;
}

/** process_spin_lock. */
function processSpinLock(env: Env, regno: number, lock: boolean): void {
  const reg = env.reg(regno);
  const { map } = reg;
  if (!reg.isConst()) {
    env.reject("EINVAL", `R${regno} doesn't have constant offset. bpf_spin_lock has to be at the constant offset`);
  }
  if (map === null) env.reject("EINVAL", "local 'kptr' has no valid bpf_spin_lock");
  if (map.hasBtf !== true && map.fields === undefined) {
    env.reject("EINVAL", `map '${map.name}' has to have BTF in order to use bpf_spin_lock`);
  }
  const field = map.fields?.find((candidate) => candidate.kind === "spin_lock");
  if (field === undefined) env.reject("EINVAL", `map '${map.name}' has no valid bpf_spin_lock`);
  const at = reg.varOff.value + BigInt(reg.off);
  if (BigInt(field.offset) !== at) {
    env.reject("EINVAL", `off ${at} doesn't point to 'struct bpf_spin_lock' that is at ${field.offset}`);
  }
  const { cur } = env;
  if (lock) {
    if (cur.activeLocks > 0 && cur.refs.some((ref) => ref.type === REF_TYPE_LOCK)) {
      env.reject("EINVAL", "Locking two bpf_spin_locks are not allowed");
    }
    acquireLock(env, REF_TYPE_LOCK, reg.id, map);
    return;
  }
  if (cur.activeLocks === 0) env.reject("EINVAL", "bpf_spin_unlock without taking a lock");
  if (findLock(cur, REF_TYPE_LOCK, reg.id, map) === undefined) env.reject("EINVAL", "bpf_spin_unlock of different lock");
  if (reg.id !== cur.activeLockId || map !== cur.activeLockPtr) env.reject("EINVAL", "bpf_spin_unlock cannot be out of order");
  if (!releaseLock(cur, REF_TYPE_LOCK, reg.id, map)) env.reject("EINVAL", "bpf_spin_unlock of different lock");
  invalidateNonOwning(env);
}

const FIELD_STRUCTS: Readonly<Record<string, string>> = { timer: "bpf_timer", workqueue: "bpf_wq" };

/** check_map_field_pointer: a pointer to the timer or work queue of a map value. */
export function checkMapField(env: Env, regno: number, kind: "timer" | "workqueue"): void {
  const reg = env.reg(regno);
  const map = reg.map!;
  const struct = FIELD_STRUCTS[kind]!;
  if (!reg.isConst()) {
    env.reject("EINVAL", `R${regno} doesn't have constant offset. ${struct} has to be at the constant offset`);
  }
  if (map.hasBtf !== true && map.fields === undefined) {
    env.reject("EINVAL", `map '${map.name}' has to have BTF in order to use ${struct}`);
  }
  const field = map.fields?.find((candidate) => candidate.kind === kind);
  if (field === undefined) env.reject("EINVAL", `map '${map.name}' has no valid ${struct}`);
  const at = reg.varOff.value + BigInt(reg.off);
  if (BigInt(field.offset) !== at) {
    env.reject("EINVAL", `off ${at} doesn't point to 'struct ${struct}' that is at ${field.offset}`);
  }
}

/** process_dynptr_func. */
export function processDynptr(env: Env, regno: number, arg: number, made: number, cloneRefId: number): void {
  const reg = env.reg(regno);
  if (reg.type !== PTR_TO_STACK && reg.type !== CONST_PTR_TO_DYNPTR) {
    env.reject("EINVAL", `arg#${regno - 1} expected pointer to stack or const struct bpf_dynptr`);
  }
  if ((arg & MEM_UNINIT) !== 0) {
    if (!dynptrPlaceFree(env, reg)) env.reject("EINVAL", "Dynptr has to be an uninitialized dynptr");
    for (let i = 0; i < 16; i += 8) checkMemAccess(env, env.insnIdx, regno, i, 8, "write", -1, false, false);
    markDynptrSlots(env, reg, made, cloneRefId);
    return;
  }
  if (reg.type === CONST_PTR_TO_DYNPTR && (arg & MEM_RDONLY) === 0) {
    env.reject("EINVAL", "cannot pass pointer to const bpf_dynptr, the helper mutates it");
  }
  if (!dynptrValid(env, reg)) env.reject("EINVAL", `Expected an initialized dynptr as arg #${regno - 1}`);
  const wanted = dynptrTypeOfArg(arg);
  if (wanted !== 0 && dynptrState(env, reg)!.dynptrType !== wanted) {
    env.reject("EINVAL", `Expected a dynptr of type ${dynptrTypeName(wanted)} as arg #${regno - 1}`);
  }
  markDynptrRead(env, reg);
}

/** check_reg_const_str: a string in a read-only map. */
export function checkConstString(env: Env, regno: number): string | null {
  const reg = env.reg(regno);
  const map = reg.map;
  if (reg.type !== PTR_TO_MAP_VALUE || map === null) env.reject("EINVAL", `R${regno} is not a pointer to a map value`);
  if (map.frozen === undefined || (map.flags & 0x80) === 0) env.reject("EACCES", `R${regno} does not point to a readonly map'`);
  if (!reg.isConst()) env.reject("EACCES", `R${regno} is not a constant address'`);
  checkMapAccess(env, regno, reg.off, map.valueSize - reg.off, false, true);
  const start = reg.off + Number(reg.varOff.value);
  const end = map.frozen.indexOf(0, start);
  if (end < 0) env.reject("EINVAL", "string is not zero-terminated");
  return String.fromCharCode(...map.frozen.subarray(start, end));
}

/** process_kptr_func: the destination of kptr_xchg. */
function processKptr(env: Env, regno: number): void {
  const reg = env.reg(regno);
  const map = reg.map;
  if (map === null) return;
  if (!reg.isConst()) {
    env.reject("EINVAL", `R${regno} doesn't have constant offset. kptr has to be at the constant offset`);
  }
  if (map.hasBtf !== true && map.fields === undefined) {
    env.reject("EINVAL", `map '${map.name}' has to have BTF in order to use bpf_kptr_xchg`);
  }
  const at = reg.off + Number(reg.varOff.value);
  const field = map.fields?.find((candidate) => candidate.kind.startsWith("kptr") && candidate.offset === at);
  if (field === undefined) env.reject("EACCES", `off=${at} doesn't point to kptr`);
  if (field.kind === "kptr_unref") env.reject("EACCES", `off=${at} kptr isn't referenced kptr`);
}

/** resolve_map_arg_type: maps of sockets take sockets as values. */
function resolveMapArg(env: Env, meta: CallMeta, arg: number): number {
  if (meta.map === null) env.bug("invalid map_ptr to access map->type");
  switch (meta.map.type) {
    case MapType.SOCKMAP:
    case MapType.SOCKHASH:
      if (arg !== ARG.value) env.reject("EINVAL", "invalid arg_type for sockmap/sockhash");
      return ARG.btf_sock_common;
    case MapType.BLOOM_FILTER:
      return meta.funcId === Helper.map_peek_elem ? ARG.value : arg;
    default:
      return arg;
  }
}

/** check_func_arg: argument `index` of a helper. */
export function checkArg(env: Env, index: number, meta: CallMeta, proto: HelperProto): void {
  const regno = index + 1;
  const reg = env.reg(regno);
  let arg = proto.args[index]!;
  checkRegArg(env, regno, "src");
  if (arg === ARG.any) {
    if (isPointerValue(env.allowPtrLeaks, reg)) env.reject("EACCES", `R${regno} leaks addr into helper function`);
    return;
  }
  if (isPktPointer(reg.type) && !mayAccessPacket(env, "read", meta.pktAccess)) {
    env.reject("EACCES", "helper access to the packet is not allowed");
  }
  if (baseType(arg) === ARG.value) arg = resolveMapArg(env, meta, arg);
  if (!(regIsNull(reg) && typeMayBeNull(arg))) {
    checkRegType(env, regno, arg, proto.btfArgs[index], meta);
    checkArgOffset(env, reg, regno, arg);
  }
  if ((arg & OBJ_RELEASE) !== 0) {
    if (baseType(arg) === ARG.dynptr) {
      if (reg.type !== PTR_TO_STACK) env.reject("EINVAL", "cannot release unowned const bpf_dynptr");
      const spi = dynptrSpi(env, reg);
      if (spi < 0 || (env.cur.frames[reg.frameno]!.spilled[spi]?.refObjId ?? 0) === 0) {
        env.reject("EINVAL", `arg ${regno} is an unacquired reference`);
      }
    } else if (reg.refObjId === 0 && !regIsNull(reg)) {
      env.reject("EINVAL", `R${regno} must be referenced when passed to release function`);
    }
    meta.releaseRegno = regno;
  }
  if (reg.refObjId !== 0 && baseType(arg) !== ARG.kptr_dest) {
    if (meta.refObjId !== 0) {
      env.reject("EACCES", `more than one arg with ref_obj_id R${regno} ${reg.refObjId} ${meta.refObjId}`);
    }
    meta.refObjId = reg.refObjId;
  }
  const write = (arg & MEM_WRITE) !== 0;
  switch (baseType(arg)) {
    case ARG.map:
      if (meta.map !== null && (meta.map !== reg.map || meta.mapUid !== reg.mapUid)) {
        env.reject("EINVAL",
          `timer pointer in R1 map_uid=${meta.mapUid} doesn't match map pointer in R2 map_uid=${reg.mapUid}`);
      }
      meta.map = reg.map;
      meta.mapUid = reg.mapUid;
      break;
    case ARG.key: {
      if (meta.map === null) env.bug("invalid map_ptr to access map->key");
      const { keySize, type } = meta.map;
      checkHelperMem(env, regno, keySize, false, false, null);
      if (type === MapType.ARRAY || type === MapType.PERCPU_ARRAY) meta.constKey = constantKey(env, reg, keySize) ?? -1n;
      break;
    }
    case ARG.value:
      if (typeMayBeNull(arg) && regIsNull(reg)) return;
      if (meta.map === null) env.bug("invalid map_ptr to access map->value");
      meta.raw = (arg & MEM_UNINIT) !== 0;
      checkHelperMem(env, regno, meta.map.valueSize, write, false, meta);
      break;
    case ARG.spin_lock:
      processSpinLock(env, regno, meta.funcId === Helper.spin_lock);
      break;
    case ARG.timer:
      checkMapField(env, regno, "timer");
      meta.mapUid = reg.mapUid;
      meta.map = reg.map;
      break;
    case ARG.func:
      meta.subprogno = reg.subprogno;
      break;
    case ARG.mem:
      meta.raw = (arg & MEM_UNINIT) !== 0;
      if ((arg & MEM_FIXED_SIZE) !== 0) {
        const size = proto.sizes[index]!;
        checkHelperMem(env, regno, size, write, false, meta);
        if ((arg & MEM_ALIGNED) !== 0) {
          const place = tnumAdd(reg.varOff, tnumConst(BigInt(reg.off)));
          if (size > 1 && !tnumIsAligned(place, size)) {
            const desc = reg.type === PTR_TO_STACK ? "stack " : reg.type === PTR_TO_MAP_VALUE ? "value " : "";
            env.reject("EACCES", `misaligned ${desc}access off ${tnumString(reg.varOff)}+${reg.off}+0 size ${size}`);
          }
        }
      }
      break;
    case ARG.size:
    case ARG.size0:
      checkMemSize(env, regno, (proto.args[index - 1]! & MEM_WRITE) !== 0, baseType(arg) === ARG.size0, meta);
      break;
    case ARG.dynptr:
      processDynptr(env, regno, arg, dynptrTypeOfArg(arg), 0);
      break;
    case ARG.alloc_size0:
      if (!reg.isConst()) env.reject("EACCES", `R${regno} is not a known constant'`);
      meta.memSize = Number(BigInt.asUintN(32, reg.varOff.value));
      markChainPrecision(env, regno);
      break;
    case ARG.str:
      checkConstString(env, regno);
      break;
    case ARG.kptr_dest:
      processKptr(env, regno);
      break;
  }
}
