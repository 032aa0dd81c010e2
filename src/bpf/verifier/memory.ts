// Loads, stores and atomics: what each kind of pointer may be used for and what a load gives.
// kernel/bpf/verifier.c: check_mem_access and the check_*_access functions.

import * as op from "../insn.ts";
import type { Insn } from "../insn.ts";
import { MapFlag, MapType, ProgType } from "../uapi.ts";
import { btfStructAccess, findKernelStruct } from "./btf.ts";
import { ctxAccess, socketAccess } from "./context.ts";
import type { Env } from "./env.ts";
import {
  CONST_PTR_TO_MAP, MEM_ALLOC, MEM_PERCPU, MEM_RCU, MEM_RDONLY, MEM_USER, NON_OWN_REF, PTR_MAYBE_NULL, PTR_TO_ARENA,
  PTR_TO_BTF_ID, PTR_TO_BUF, PTR_TO_CTX, PTR_TO_FLOW_KEYS, PTR_TO_MAP_KEY, PTR_TO_MAP_VALUE, PTR_TO_MEM,
  PTR_TO_PACKET, PTR_TO_PACKET_META, PTR_TO_SOCKET, PTR_TO_SOCK_COMMON, PTR_TO_STACK, PTR_TO_TCP_SOCK,
  PTR_TO_TP_BUFFER, PTR_TO_XDP_SOCK, PTR_TRUSTED, PTR_UNTRUSTED, SCALAR_VALUE, S64_MIN, baseType, isPktPointer,
  isSkPointer, regTypeString, typeFlag, typeIsAlloc, typeIsRdonlyMem, typeMayBeNull, type RegState,
} from "./reg.ts";
import { coerceToSize, coerceToSizeSx, unknownOfSize } from "./scalar.ts";
import { MAX_VAR_OFF, checkStackBounds, checkStackRead, checkStackWrite, isPointerValue } from "./stack.ts";
import { tnumAdd, tnumConst, tnumIsAligned, tnumString } from "./tnum.ts";
import type { AccessKind, MapSpec } from "./types.ts";
import { retvalRange } from "./retval.ts";
import { checkRegArg } from "./regs.ts";

export type Access = "read" | "write";

/** sizeof(struct bpf_flow_keys). */
const FLOW_KEYS_SIZE = 56;
/** NET_IP_ALIGN as the verifier assumes it. */
const IP_ALIGN = 2;

const ALIGNMENT_NAMES: Readonly<Record<number, string>> = {
  [PTR_TO_FLOW_KEYS]: "flow keys ", [PTR_TO_MAP_KEY]: "key ", [PTR_TO_MAP_VALUE]: "value ", [PTR_TO_CTX]: "context ",
  [PTR_TO_STACK]: "stack ", [PTR_TO_SOCKET]: "sock ", [PTR_TO_SOCK_COMMON]: "sock_common ", [PTR_TO_TCP_SOCK]: "tcp_sock ",
  [PTR_TO_XDP_SOCK]: "xdp_sock ",
};

/** check_ptr_alignment. */
function checkAlignment(env: Env, reg: RegState, off: number, size: number, strictOnce: boolean): void {
  if (size === 1 || reg.type === PTR_TO_ARENA) return;
  const strict = env.strictAlignment || strictOnce || reg.type === PTR_TO_STACK;
  if (!strict) return;
  if (reg.type === PTR_TO_PACKET || reg.type === PTR_TO_PACKET_META) {
    if (!tnumIsAligned(tnumAdd(reg.varOff, tnumConst(BigInt(IP_ALIGN + reg.off + off))), size)) {
      env.reject("EACCES", `misaligned packet access off ${IP_ALIGN}+${tnumString(reg.varOff)}+${reg.off}+${off} size ${size}`);
    }
    return;
  }
  if (!tnumIsAligned(tnumAdd(reg.varOff, tnumConst(BigInt(reg.off + off))), size)) {
    env.reject("EACCES",
      `misaligned ${ALIGNMENT_NAMES[reg.type] ?? ""}access off ${tnumString(reg.varOff)}+${reg.off}+${off} size ${size}`);
  }
}

/** __check_mem_access: writes why not and returns false when [off, off + size) is not within `memSize` bytes. */
function withinMemory(env: Env, regno: number, off: bigint, size: number, memSize: number, zeroAllowed: boolean): boolean {
  if (off >= 0n && (size > 0 || (size === 0 && zeroAllowed)) && off + BigInt(size) <= BigInt(memSize)) return true;
  const reg = env.reg(regno);
  const shown = BigInt.asIntN(32, off);
  switch (reg.type) {
    case PTR_TO_MAP_KEY:
      env.verbose(`invalid access to map key, key_size=${memSize} off=${shown} size=${size}\n`);
      break;
    case PTR_TO_MAP_VALUE:
      env.verbose(`invalid access to map value, value_size=${memSize} off=${shown} size=${size}\n`);
      break;
    case PTR_TO_PACKET:
    case PTR_TO_PACKET_META:
      env.verbose(`invalid access to packet, off=${shown} size=${size}, R${regno}(id=${reg.id},off=${shown},r=${memSize})\n`);
      break;
    default:
      env.verbose(`invalid access to memory, mem_size=${memSize >>> 0} off=${shown} size=${size}\n`);
  }
  return false;
}

const NEGATIVE = "min value is negative, either use unsigned index or do a if (index >=0) check.";

/** check_mem_region_access: memory of a known size. */
export function checkMemRegion(env: Env, regno: number, off: number, size: number, memSize: number, zeroAllowed: boolean): void {
  const reg = env.reg(regno);
  const fixed = BigInt(off);
  const min = reg.smin + fixed;
  if (reg.smin < 0n && (reg.smin === S64_MIN || BigInt.asIntN(32, min) !== min || min < 0n)) {
    env.reject("EACCES", `R${regno} ${NEGATIVE}`);
  }
  if (!withinMemory(env, regno, min, size, memSize, zeroAllowed)) {
    env.reject("EACCES", `R${regno} min value is outside of the allowed memory range`);
  }
  if (reg.umax >= MAX_VAR_OFF) {
    env.reject("EACCES", `R${regno} unbounded memory access, make sure to bounds check any such access`);
  }
  if (!withinMemory(env, regno, reg.umax + fixed, size, memSize, zeroAllowed)) {
    env.reject("EACCES", `R${regno} max value is outside of the allowed memory range`);
  }
}

const FIELD_NAMES: Readonly<Record<string, string>> = {
  spin_lock: "bpf_spin_lock", res_spin_lock: "bpf_res_spin_lock", timer: "bpf_timer", workqueue: "bpf_wq",
  task_work: "bpf_task_work", list_head: "bpf_list_head", list_node: "bpf_list_node", rb_root: "bpf_rb_root",
  rb_node: "bpf_rb_node", refcount: "bpf_refcount", kptr_unref: "kptr", kptr_ref: "kptr", kptr_percpu: "percpu_kptr",
  uptr: "uptr",
};

/** check_map_access: a map value, of which fields like locks may only be touched by their helpers. */
export function checkMapAccess(env: Env, regno: number, off: number, size: number, zeroAllowed: boolean, helper: boolean): void {
  const reg = env.reg(regno);
  const map = reg.map!;
  checkMemRegion(env, regno, off, size, map.valueSize, zeroAllowed);
  for (const field of map.fields ?? []) {
    const start = BigInt(field.offset);
    if (!(reg.smin + BigInt(off) < start + BigInt(field.size) && start < reg.umax + BigInt(off) + BigInt(size))) continue;
    const name = FIELD_NAMES[field.kind] ?? field.kind;
    if (!field.kind.startsWith("kptr") && field.kind !== "uptr") {
      env.reject("EACCES", `${name} cannot be accessed directly by load/store`);
    }
    if (helper) env.reject("EACCES", `${name} cannot be accessed indirectly by helper`);
    if (!reg.isConst()) env.reject("EACCES", `${name} access cannot have variable offset`);
    const at = BigInt(off) + reg.varOff.value;
    if (start !== at) env.reject("EACCES", `${name} access misaligned expected=${field.offset} off=${at}`);
    if (size !== 8) env.reject("EACCES", `${name} access size must be BPF_DW`);
  }
}

/** check_map_access_type: BPF_F_RDONLY_PROG and BPF_F_WRONLY_PROG. */
export function checkMapAccessType(env: Env, regno: number, off: number, size: number, access: Access): void {
  const map = env.reg(regno).map!;
  if (access === "write" && (map.flags & MapFlag.RDONLY_PROG) !== 0) {
    env.reject("EACCES", `write into map forbidden, value_size=${map.valueSize} off=${off} size=${size}`);
  }
  if (access === "read" && (map.flags & MapFlag.WRONLY_PROG) !== 0) {
    env.reject("EACCES", `read from map forbidden, value_size=${map.valueSize} off=${off} size=${size}`);
  }
}

/** check_packet_access. */
export function checkPacketAccess(env: Env, regno: number, off: number, size: number, zeroAllowed: boolean): void {
  const reg = env.reg(regno);
  if (reg.smin < 0n) env.reject("EACCES", `R${regno} ${NEGATIVE}`);
  if (reg.range < 0) env.reject("EINVAL", `R${regno} offset is outside of the packet`);
  if (!withinMemory(env, regno, BigInt(off), size, reg.range, zeroAllowed)) {
    env.reject("EACCES", `R${regno} offset is outside of the packet`);
  }
  const end = off + Number(reg.umax) + size - 1;
  if (end > env.maxPktOffset) env.maxPktOffset = end;
}

/** may_access_direct_pkt_data for loads and stores; `helper` gives the helper's pkt_access in place of them. */
export function mayAccessPacket(env: Env, access: Access, helper: boolean | null): boolean {
  switch (env.spec.type) {
    case ProgType.LWT_IN:
    case ProgType.LWT_OUT:
    case ProgType.LWT_SEG6LOCAL:
    case ProgType.SK_REUSEPORT:
    case ProgType.FLOW_DISSECTOR:
    case ProgType.CGROUP_SKB:
      if (access === "write") return false;
      if (helper !== null) return helper;
      env.directWrite = true;
      return true;
    case ProgType.SCHED_CLS:
    case ProgType.SCHED_ACT:
    case ProgType.XDP:
    case ProgType.LWT_XMIT:
    case ProgType.SK_SKB:
    case ProgType.SK_MSG:
      if (helper !== null) return helper;
      env.directWrite = true;
      return true;
    case ProgType.CGROUP_SOCKOPT:
      if (access === "write") env.directWrite = true;
      return true;
    default:
      return false;
  }
}

/** __check_ptr_off_reg: pointers that must be used as they came. */
export function checkPtrOffset(env: Env, reg: RegState, regno: number, fixedAllowed: boolean): void {
  if (reg.off < 0) env.reject("EACCES", `negative offset ${regTypeString(reg.type)} ptr R${regno} off=${reg.off} disallowed`);
  if (!fixedAllowed && reg.off !== 0) {
    env.reject("EACCES", `dereference of modified ${regTypeString(reg.type)} ptr R${regno} off=${reg.off} disallowed`);
  }
  if (!reg.isConst() || reg.varOff.value !== 0n) {
    env.reject("EACCES", `variable ${regTypeString(reg.type)} access var_off=${tnumString(reg.varOff)} disallowed`);
  }
}

/** __check_buffer_access: buffers whose size is checked when the program is attached. */
export function checkBuffer(env: Env, name: string, reg: RegState, regno: number, off: number, size: number): void {
  if (off < 0) env.reject("EACCES", `R${regno} invalid ${name} buffer access: off=${off}, size=${size}`);
  if (!reg.isConst() || reg.varOff.value !== 0n) {
    env.reject("EACCES", `R${regno} invalid variable buffer offset: off=${off}, var_off=${tnumString(reg.varOff)}`);
  }
}

/** Kernel structures behind map pointers, with their sizes on x86-64. */
function mapStruct(type: number): readonly [string, number] | undefined {
  switch (type) {
    case MapType.ARRAY:
    case MapType.PERCPU_ARRAY:
    case MapType.PROG_ARRAY:
    case MapType.PERF_EVENT_ARRAY:
    case MapType.CGROUP_ARRAY:
    case MapType.ARRAY_OF_MAPS:
      return ["bpf_array", 312];
    case MapType.HASH:
    case MapType.PERCPU_HASH:
    case MapType.LRU_HASH:
    case MapType.LRU_PERCPU_HASH:
    case MapType.HASH_OF_MAPS:
      return ["bpf_htab", 832];
    case MapType.LPM_TRIE:
      return ["lpm_trie", 400];
    case MapType.QUEUE:
    case MapType.STACK:
      return ["bpf_queue_stack", 312];
    case MapType.RINGBUF:
    case MapType.USER_RINGBUF:
      return ["bpf_ringbuf_map", 304];
    case MapType.DEVMAP:
    case MapType.DEVMAP_HASH:
      return ["bpf_dtab", 344];
    case MapType.CPUMAP:
      return ["bpf_cpu_map", 304];
    case MapType.XSKMAP:
      return ["xsk_map", 304];
    case MapType.SOCKMAP:
      return ["bpf_stab", 376];
    case MapType.SOCKHASH:
      return ["bpf_shtab", 384];
    case MapType.STACK_TRACE:
      return ["bpf_stack_map", 320];
    case MapType.REUSEPORT_SOCKARRAY:
      return ["reuseport_array", 296];
    case MapType.SK_STORAGE:
    case MapType.INODE_STORAGE:
    case MapType.TASK_STORAGE:
    case MapType.CGRP_STORAGE:
      return ["bpf_local_storage_map", 448];
    case MapType.BLOOM_FILTER:
      return ["bpf_bloom_filter", 312];
    case MapType.CGROUP_STORAGE:
    case MapType.PERCPU_CGROUP_STORAGE:
      return ["bpf_cgroup_storage_map", 328];
    case MapType.ARENA:
      return ["bpf_arena", 400];
    default:
      return undefined;
  }
}

/** check_ptr_to_map_access: reading fields of struct bpf_map. */
function mapPointerAccess(env: Env, regno: number, off: number, size: number, access: Access, valueRegno: number): void {
  const map = env.reg(regno).map!;
  const found = mapStruct(map.type);
  if (found === undefined) env.reject("ENOTSUPP", `map_ptr access not supported for map type ${map.type}`);
  const [name, bytes] = found;
  if (!env.allowPtrLeaks) {
    env.reject("EPERM", `'struct ${name}' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN`);
  }
  if (off < 0) env.reject("EACCES", `R${regno} is ${name} invalid negative access: off=${off}`);
  if (access !== "read") env.reject("EACCES", `only read from ${name} is supported`);
  if (off + size > bytes) env.reject("EACCES", `access beyond struct ${name} at off ${off} size ${size}`);
  const struct = findKernelStruct(env, name);
  if (struct !== null) {
    const result = btfStructAccess(env, struct, off, size, "read");
    if (valueRegno < 0) return;
    if (result.pointsTo !== null) {
      const reg = env.reg(valueRegno);
      reg.markPointer(PTR_TO_BTF_ID | PTR_UNTRUSTED);
      reg.btf = env.options.kernelBtf!;
      reg.btfType = result.pointsTo;
      return;
    }
  }
  if (valueRegno >= 0) env.reg(valueRegno).markUnknown(false);
}

/** check_ptr_to_btf_access: a field of a kernel (or allocated) structure. */
function btfAccess(env: Env, regno: number, off: number, size: number, access: Access, valueRegno: number): void {
  const reg = env.reg(regno);
  const name = reg.btfType?.name ?? "";
  if (!env.allowPtrLeaks) {
    env.reject("EPERM", `'struct ${name}' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN`);
  }
  if (!/GPL/.test(env.spec.license) && !typeIsAlloc(reg.type)) {
    env.reject("EINVAL", `Cannot access kernel 'struct ${name}' from non-GPL compatible program`);
  }
  if (off < 0) env.reject("EACCES", `R${regno} is ptr_${name} invalid negative access: off=${off}`);
  if (!reg.isConst() || reg.varOff.value !== 0n) {
    env.reject("EACCES", `R${regno} is ptr_${name} invalid variable offset: off=${off}, var_off=${tnumString(reg.varOff)}`);
  }
  if ((reg.type & MEM_USER) !== 0) env.reject("EACCES", `R${regno} is ptr_${name} access user memory: off=${off}`);
  if ((reg.type & MEM_PERCPU) !== 0) env.reject("EACCES", `R${regno} is ptr_${name} access percpu memory: off=${off}`);
  if (access === "write" && !typeIsAlloc(reg.type)) env.reject("EACCES", "only read is supported");
  if (typeIsAlloc(reg.type) && (reg.type & (NON_OWN_REF | MEM_RCU)) === 0 && reg.refObjId === 0) {
    env.bug("ref_obj_id for allocated object must be non-zero");
  }
  const result = reg.btfType === null ? { pointsTo: null } : btfStructAccess(env, { btf: reg.btf!, type: reg.btfType }, off, size, access);
  if (access !== "read" || valueRegno < 0) return;
  const { btf, type } = reg;
  const target = env.reg(valueRegno);
  if (result.pointsTo === null) {
    target.markUnknown(false);
    return;
  }
  const untrusted = (type & (PTR_UNTRUSTED | PTR_TRUSTED | MEM_RCU)) !== 0 || (typeFlag(type) & MEM_ALLOC) !== 0;
  target.markPointer(PTR_TO_BTF_ID | (untrusted ? PTR_UNTRUSTED : 0));
  target.btf = btf;
  target.btfType = result.pointsTo;
}

/** bpf_map_direct_read: a load from a frozen read-only array. */
function frozenValue(map: MapSpec, off: number, size: number, signed: boolean): bigint {
  let value = 0n;
  for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(map.frozen![off + i] ?? 0);
  return signed ? BigInt.asIntN(size * 8, value) : value;
}

/** check_map_kptr_access: loads and stores of kernel pointers in map values. */
function kptrAccess(
  env: Env, field: NonNullable<MapSpec["fields"]>[number], access: Access, valueRegno: number, insn: Insn,
): void {
  const cls = insn.code & 7;
  if ((insn.code & 0xe0) !== op.BPF_MEM) env.reject("EACCES", "kptr in map can only be accessed using BPF_MEM instruction mode");
  if (cls !== op.BPF_LDX && (field.kind === "kptr_ref" || field.kind === "kptr_percpu")) {
    env.reject("EACCES", "store to referenced kptr disallowed");
  }
  if (access === "read") {
    const reg = env.reg(valueRegno);
    reg.markPointer(PTR_TO_BTF_ID | PTR_MAYBE_NULL | (field.kind === "kptr_percpu" ? MEM_RCU : PTR_UNTRUSTED));
    reg.id = env.newId();
    const struct = findKernelStruct(env, field.struct ?? "");
    reg.btf = struct?.btf ?? null;
    reg.btfType = struct?.type ?? { kind: 4, name: field.struct ?? "" };
    return;
  }
  if (cls === op.BPF_STX) {
    const value = env.reg(valueRegno);
    const isNull = value.type === SCALAR_VALUE && value.isConst() && value.varOff.value === 0n;
    if (!isNull && (baseType(value.type) !== PTR_TO_BTF_ID || value.btfType?.name !== field.struct)) {
      env.reject("EACCES", `invalid kptr access, R${valueRegno} type=${regTypeString(value.type)}${value.btfType?.name ?? ""} `);
    }
  } else if (insn.imm !== 0) {
    env.reject("EACCES", `BPF_ST imm must be 0 when storing to kptr at off=${field.offset}`);
  }
}

function readUnknown(env: Env, valueRegno: number): void {
  if (valueRegno >= 0) env.reg(valueRegno).markUnknown(false);
}

/**
 * check_mem_access: one load or store of `size` bytes at R`regno` + off. `valueRegno` is the register loaded or
 * stored; -1 for BPF_ST and for the memory of helpers.
 */
export function checkMemAccess(
  env: Env, slot: number, regno: number, insnOff: number, size: number, access: Access, valueRegno: number,
  strictOnce: boolean, signed: boolean,
): void {
  const reg = env.reg(regno);
  checkAlignment(env, reg, insnOff, size, strictOnce);
  const off = insnOff + reg.off;
  const write = access === "write";
  const leak = (where: string): void => {
    if (write && valueRegno >= 0 && isPointerValue(env.allowPtrLeaks, env.reg(valueRegno))) {
      env.reject("EACCES", `R${valueRegno} leaks addr into ${where}`);
    }
  };
  let kind: AccessKind = "mem";
  switch (baseType(reg.type)) {
    case PTR_TO_MAP_KEY:
      if (reg.type !== PTR_TO_MAP_KEY) return invalidAccess(env, regno);
      if (write) env.reject("EACCES", `write to change key R${regno} not allowed`);
      checkMemRegion(env, regno, off, size, reg.map!.keySize, false);
      readUnknown(env, valueRegno);
      break;
    case PTR_TO_MAP_VALUE: {
      if (reg.type !== PTR_TO_MAP_VALUE) return invalidAccess(env, regno);
      kind = "map_value";
      leak("map");
      const map = reg.map!;
      checkMapAccessType(env, regno, off, size, access);
      checkMapAccess(env, regno, off, size, false, false);
      const field = reg.isConst() ? map.fields?.find((f) =>
        (f.kind.startsWith("kptr") || f.kind === "uptr") && BigInt(f.offset) === BigInt(off) + reg.varOff.value) : undefined;
      if (field !== undefined) {
        kptrAccess(env, field, access, valueRegno, env.insns[slot]!);
      } else if (!write && valueRegno >= 0) {
        const target = env.reg(valueRegno);
        if (reg.isConst() && map.frozen !== undefined && (map.flags & MapFlag.RDONLY_PROG) !== 0) {
          const value = frozenValue(map, off + Number(reg.varOff.value), size, signed);
          target.clear();
          target.type = SCALAR_VALUE;
          target.setConst(value);
        } else {
          target.markUnknown(false);
        }
      }
      break;
    }
    case PTR_TO_MEM: {
      const readOnly = typeIsRdonlyMem(reg.type);
      if (typeMayBeNull(reg.type)) return invalidAccess(env, regno);
      if (write && readOnly) env.reject("EACCES", `R${regno} cannot write into ${regTypeString(reg.type)}`);
      leak("mem");
      if (!readOnly || (reg.type & PTR_UNTRUSTED) === 0) checkMemRegion(env, regno, off, size, reg.memSize, false);
      if (!write || readOnly) readUnknown(env, valueRegno);
      break;
    }
    case PTR_TO_CTX: {
      kind = "ctx";
      leak("ctx");
      checkPtrOffset(env, reg, regno, false);
      checkCtxAccess(env, slot, off, size, access, valueRegno);
      break;
    }
    case PTR_TO_STACK:
      kind = "stack";
      checkStackBounds(env, regno, off, size, write);
      if (write) checkStackWrite(env, regno, off, size, valueRegno, slot);
      else checkStackRead(env, regno, off, size, valueRegno);
      break;
    case PTR_TO_PACKET:
    case PTR_TO_PACKET_META:
      kind = reg.type === PTR_TO_PACKET ? "packet" : "packet_meta";
      if (write && !mayAccessPacket(env, access, null)) env.reject("EACCES", "cannot write into packet");
      leak("packet");
      checkPacketAccess(env, regno, off, size, false);
      if (!write) readUnknown(env, valueRegno);
      break;
    case PTR_TO_FLOW_KEYS:
      kind = "flow_keys";
      leak("flow keys");
      if (off < 0 || off + size > FLOW_KEYS_SIZE) {
        env.reject("EACCES", `invalid access to flow keys off=${off} size=${size}`);
      }
      if (!write) readUnknown(env, valueRegno);
      break;
    case PTR_TO_SOCKET:
    case PTR_TO_SOCK_COMMON:
    case PTR_TO_TCP_SOCK:
    case PTR_TO_XDP_SOCK:
      if (!isSkPointer(reg.type)) return invalidAccess(env, regno);
      kind = "sock";
      if (write) env.reject("EACCES", `R${regno} cannot write into ${regTypeString(reg.type)}`);
      if (reg.smin < 0n) env.reject("EACCES", `R${regno} ${NEGATIVE}`);
      if (!socketAccess(reg.type, off, size)) {
        env.reject("EACCES", `R${regno} invalid ${regTypeString(reg.type)} access off=${off} size=${size}`);
      }
      readUnknown(env, valueRegno);
      break;
    case PTR_TO_TP_BUFFER:
      checkBuffer(env, "tracepoint", reg, regno, off, size);
      if (!write) readUnknown(env, valueRegno);
      break;
    case PTR_TO_BTF_ID:
      if (typeMayBeNull(reg.type)) return invalidAccess(env, regno);
      kind = "btf";
      btfAccess(env, regno, off, size, access, valueRegno);
      break;
    case CONST_PTR_TO_MAP:
      kind = "btf";
      mapPointerAccess(env, regno, off, size, access, valueRegno);
      break;
    case PTR_TO_BUF:
      if (typeMayBeNull(reg.type)) return invalidAccess(env, regno);
      if ((reg.type & MEM_RDONLY) !== 0 && write) {
        env.reject("EACCES", `R${regno} cannot write into ${regTypeString(reg.type)}`);
      }
      checkBuffer(env, (reg.type & MEM_RDONLY) !== 0 ? "rdonly" : "rdwr", reg, regno, off, size);
      if (!write) readUnknown(env, valueRegno);
      break;
    case PTR_TO_ARENA:
      kind = "arena";
      if (!write) readUnknown(env, valueRegno);
      break;
    default:
      return invalidAccess(env, regno);
  }
  env.noteAccess(slot, kind);
  if (write || valueRegno < 0 || size === 8) return;
  const value = env.reg(valueRegno);
  if (value.type !== SCALAR_VALUE) return;
  if (signed) coerceToSizeSx(value, size);
  else if (value.varOff.mask === 0xffff_ffff_ffff_ffffn) unknownOfSize(value, size);
  else coerceToSize(value, size);
}

function invalidAccess(env: Env, regno: number): never {
  return env.reject("EACCES", `R${regno} invalid mem access '${regTypeString(env.reg(regno).type)}'`);
}

/** Loads and stores of the context: check_ctx_access. */
function checkCtxAccess(env: Env, slot: number, off: number, size: number, access: Access, valueRegno: number): void {
  const field = ctxAccess(env, off, size, access === "write");
  if (field === undefined) {
    env.verbose(`invalid bpf_context access off=${off} size=${size}\n`);
    env.printLine(slot, "; ");
    env.reject("EACCES", "");
  }
  const words = ((1n << BigInt((off % 4) + size + 3 >> 2)) - 1n) << BigInt(off >> 2);
  if (access === "write") env.ctxWritten |= words;
  else env.ctxRead |= words;
  if (off + size > env.maxCtxOffset) env.maxCtxOffset = off + size;
  if (access === "write" || valueRegno < 0) return;
  const reg = env.reg(valueRegno);
  if (field.type === SCALAR_VALUE) {
    reg.markUnknown(false);
    if (field.isRetval === true) {
      const range = retvalRange(env);
      if (range !== null) {
        reg.smin = BigInt(range.min);
        reg.smax = BigInt(range.max);
      }
    }
    return;
  }
  reg.markPointer(field.type);
  if (typeMayBeNull(field.type)) reg.id = env.newId();
  if (baseType(field.type) === PTR_TO_BTF_ID) {
    const struct = field.struct === undefined ? null : findKernelStruct(env, field.struct);
    reg.btf = struct?.btf ?? null;
    reg.btfType = struct?.type ?? { kind: 4, name: field.struct ?? "" };
  }
}

/** BPF_LDX. */
export function checkLoad(env: Env, insn: Insn, strictOnce: boolean, signed: boolean): void {
  checkRegArg(env, insn.src, "src");
  checkRegArg(env, insn.dst, "dst-no-mark");
  const type = env.reg(insn.src).type;
  checkMemAccess(env, env.insnIdx, insn.src, insn.off, op.bpfBytes(insn.code), "read", insn.dst, strictOnce, signed);
  savePointerType(env, type, true);
}

/** BPF_STX with BPF_MEM, and store-release. */
export function checkStoreReg(env: Env, insn: Insn, strictOnce: boolean): void {
  checkRegArg(env, insn.src, "src");
  checkRegArg(env, insn.dst, "src");
  const type = env.reg(insn.dst).type;
  checkMemAccess(env, env.insnIdx, insn.dst, insn.off, op.bpfBytes(insn.code), "write", insn.src, strictOnce, false);
  savePointerType(env, type, false);
}

/** reg_type_mismatch_ok: pointers whose loads are the same instruction whatever they point to. */
function mismatchOk(type: number): boolean {
  switch (baseType(type)) {
    case PTR_TO_CTX:
    case PTR_TO_SOCKET:
    case PTR_TO_SOCK_COMMON:
    case PTR_TO_TCP_SOCK:
    case PTR_TO_XDP_SOCK:
    case PTR_TO_BTF_ID:
    case PTR_TO_ARENA:
      return false;
    default:
      return true;
  }
}

/** save_aux_ptr_type: one instruction can't be used with pointers that need different code. */
export function savePointerType(env: Env, type: number, allowMismatch: boolean): void {
  const aux = env.aux[env.insnIdx]!;
  if (aux.ptrType === -1) {
    aux.ptrType = type;
    return;
  }
  const differ = type !== aux.ptrType && (!mismatchOk(type) || !mismatchOk(aux.ptrType));
  if (!differ) return;
  const isBtf = (t: number): boolean => baseType(t) === PTR_TO_BTF_ID || (baseType(t) === PTR_TO_MEM && (t & MEM_RDONLY) !== 0);
  if (allowMismatch && isBtf(type) && isBtf(aux.ptrType)) {
    aux.ptrType = PTR_TO_BTF_ID | PTR_UNTRUSTED;
    return;
  }
  env.reject("EINVAL", "same insn cannot be used with different pointers");
}

/** Whether R`regno` may be the target of atomics: atomic_ptr_type_ok. */
function atomicPointerOk(env: Env, regno: number): boolean {
  const { type } = env.reg(regno);
  return type !== PTR_TO_CTX && !isPktPointer(type) && type !== PTR_TO_FLOW_KEYS && !isSkPointer(type);
}

function atomicReadModifyWrite(env: Env, insn: Insn): void {
  const size = op.bpfBytes(insn.code);
  if (size < 4) env.reject("EINVAL", "invalid atomic operand size");
  checkRegArg(env, insn.src, "src");
  checkRegArg(env, insn.dst, "src");
  if (insn.imm === op.BPF_CMPXCHG) {
    checkRegArg(env, 0, "src");
    if (isPointerValue(env.allowPtrLeaks, env.reg(0))) env.reject("EACCES", "R0 leaks addr into mem");
  }
  if (isPointerValue(env.allowPtrLeaks, env.reg(insn.src))) env.reject("EACCES", `R${insn.src} leaks addr into mem`);
  if (!atomicPointerOk(env, insn.dst)) {
    env.reject("EACCES", `BPF_ATOMIC stores into R${insn.dst} ${regTypeString(env.reg(insn.dst).type)} is not allowed`);
  }
  let load = -1;
  if ((insn.imm & op.BPF_FETCH) !== 0) {
    load = insn.imm === op.BPF_CMPXCHG ? 0 : insn.src;
    checkRegArg(env, load, "dst");
  }
  // Two passes over a load, as a fetch into a register of what may be a spilled scalar must not carry it over.
  checkMemAccess(env, env.insnIdx, insn.dst, insn.off, size, "read", -1, true, false);
  if (load >= 0) {
    checkMemAccess(env, env.insnIdx, insn.dst, insn.off, size, "read", load, true, false);
  }
  checkMemAccess(env, env.insnIdx, insn.dst, insn.off, size, "write", -1, true, false);
}

/** check_atomic. */
export function checkAtomic(env: Env, insn: Insn): void {
  switch (insn.imm) {
    case op.BPF_ADD:
    case op.BPF_ADD | op.BPF_FETCH:
    case op.BPF_AND:
    case op.BPF_AND | op.BPF_FETCH:
    case op.BPF_OR:
    case op.BPF_OR | op.BPF_FETCH:
    case op.BPF_XOR:
    case op.BPF_XOR | op.BPF_FETCH:
    case op.BPF_XCHG:
    case op.BPF_CMPXCHG:
      atomicReadModifyWrite(env, insn);
      return;
    case op.BPF_LOAD_ACQ:
      checkRegArg(env, insn.src, "src");
      if (!atomicPointerOk(env, insn.src)) {
        env.reject("EACCES", `BPF_ATOMIC loads from R${insn.src} ${regTypeString(env.reg(insn.src).type)} is not allowed`);
      }
      checkLoad(env, insn, true, false);
      return;
    case op.BPF_STORE_REL:
      checkRegArg(env, insn.dst, "src");
      if (!atomicPointerOk(env, insn.dst)) {
        env.reject("EACCES", `BPF_ATOMIC stores into R${insn.dst} ${regTypeString(env.reg(insn.dst).type)} is not allowed`);
      }
      checkStoreReg(env, insn, true);
      return;
    default:
      env.reject("EINVAL", `BPF_ATOMIC uses invalid atomic opcode ${(insn.imm & 0xffffffff).toString(16).padStart(2, "0")}`);
  }
}

