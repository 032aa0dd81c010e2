// A register as the verifier sees it: struct bpf_reg_state of include/linux/bpf_verifier.h, with the names of register
// types and their flags from include/linux/bpf.h.

import type { BtfType, BtfTypes, MapSpec } from "./types.ts";
import { TNUM_UNKNOWN, U64_MAX, tnumConst, type Tnum } from "./tnum.ts";

/** enum bpf_reg_type: what a register holds. */
export const NOT_INIT = 0;
export const SCALAR_VALUE = 1;
export const PTR_TO_CTX = 2;
export const CONST_PTR_TO_MAP = 3;
export const PTR_TO_MAP_VALUE = 4;
export const PTR_TO_MAP_KEY = 5;
export const PTR_TO_STACK = 6;
export const PTR_TO_PACKET_META = 7;
export const PTR_TO_PACKET = 8;
export const PTR_TO_PACKET_END = 9;
export const PTR_TO_FLOW_KEYS = 10;
export const PTR_TO_SOCKET = 11;
export const PTR_TO_SOCK_COMMON = 12;
export const PTR_TO_TCP_SOCK = 13;
export const PTR_TO_TP_BUFFER = 14;
export const PTR_TO_XDP_SOCK = 15;
export const PTR_TO_BTF_ID = 16;
export const PTR_TO_MEM = 17;
export const PTR_TO_ARENA = 18;
export const PTR_TO_BUF = 19;
export const PTR_TO_FUNC = 20;
export const CONST_PTR_TO_DYNPTR = 21;

/** enum bpf_type_flag, shared by register, argument and return types. */
export const PTR_MAYBE_NULL = 1 << 8;
export const MEM_RDONLY = 1 << 9;
export const MEM_RINGBUF = 1 << 10;
export const MEM_USER = 1 << 11;
export const MEM_PERCPU = 1 << 12;
export const OBJ_RELEASE = 1 << 13;
export const PTR_UNTRUSTED = 1 << 14;
export const MEM_UNINIT = 1 << 15;
export const DYNPTR_TYPE_LOCAL = 1 << 16;
export const DYNPTR_TYPE_RINGBUF = 1 << 17;
export const MEM_FIXED_SIZE = 1 << 18;
export const MEM_ALLOC = 1 << 19;
export const PTR_TRUSTED = 1 << 20;
export const MEM_RCU = 1 << 21;
export const NON_OWN_REF = 1 << 22;
export const DYNPTR_TYPE_SKB = 1 << 23;
export const DYNPTR_TYPE_XDP = 1 << 24;
export const MEM_ALIGNED = 1 << 25;
export const MEM_WRITE = 1 << 26;
export const DYNPTR_TYPE_SKB_META = 1 << 27;
export const DYNPTR_TYPE_FLAG_MASK =
  DYNPTR_TYPE_LOCAL | DYNPTR_TYPE_RINGBUF | DYNPTR_TYPE_SKB | DYNPTR_TYPE_XDP | DYNPTR_TYPE_SKB_META;

export const baseType = (type: number): number => type & 0xff;
export const typeFlag = (type: number): number => type & ~0xff;
export const typeMayBeNull = (type: number): boolean => (type & PTR_MAYBE_NULL) !== 0;
export const typeIsRdonlyMem = (type: number): boolean => (type & MEM_RDONLY) !== 0;

/** Ends of the signed and 32-bit ranges. */
export const S64_MIN = -0x8000_0000_0000_0000n;
export const S64_MAX = 0x7fff_ffff_ffff_ffffn;
export const S32_MIN = -0x8000_0000;
export const S32_MAX = 0x7fff_ffff;
export const U32_MAX = 0xffff_ffff;

/** Ids of scalars that differ from their base by a constant have this bit: BPF_ADD_CONST. */
export const BPF_ADD_CONST = 0x8000_0000;

/** Ranges of pointers compared with the end of the packet: AT_PKT_END and BEYOND_PKT_END. */
export const AT_PKT_END = -1;
export const BEYOND_PKT_END = -2;

/** enum bpf_dynptr_type. */
export const DynptrType = { INVALID: 0, LOCAL: 1, RINGBUF: 2, SKB: 3, XDP: 4, SKB_META: 5 } as const;

/** States of an open-coded iterator: enum bpf_iter_state. */
export const IterState = { INVALID: 0, ACTIVE: 1, DRAINED: 2 } as const;

/**
 * One register or spilled register. Fields beside the bounds have meaning by type; the others keep their zero. 64-bit
 * bounds are BigInts (u64 below 2^64, s64 signed), 32-bit ones are numbers (u32 below 2^32, s32 signed).
 */
export class RegState {
  type = NOT_INIT;
  /** Fixed part of a pointer's offset; of scalars with BPF_ADD_CONST the distance from their base. */
  off = 0;
  varOff: Tnum = TNUM_UNKNOWN;
  umin = 0n;
  umax = U64_MAX;
  smin = S64_MIN;
  smax = S64_MAX;
  u32min = 0;
  u32max = U32_MAX;
  s32min = S32_MIN;
  s32max = S32_MAX;
  /** Registers of one id are the same scalar, or the same pointer before its null check, or in the same object. */
  id = 0;
  refObjId = 0;
  dynptrId = 0;
  /** Frame that a PTR_TO_STACK points into. */
  frameno = 0;
  precise = false;
  /** Packet pointers: bytes behind the start that were compared with the end. */
  range = 0;
  map: MapSpec | null = null;
  /** Tells inner maps of different lookups apart. */
  mapUid = 0;
  /** PTR_TO_MEM: bytes. PTR_TO_BUF: largest access allowed is checked elsewhere. */
  memSize = 0;
  /** PTR_TO_FUNC: subprogram. */
  subprogno = 0;
  /** PTR_TO_BTF_ID and iterators: the structure. */
  btf: BtfTypes | null = null;
  btfType: BtfType | null = null;
  /** Dynptr slots: DynptrType, and whether it is the first of the two. */
  dynptrType = 0;
  dynptrFirst = false;
  /** Iterator slots. */
  iterKind = "";
  iterState = 0;
  iterDepth = 0;
  /** Irq flag slots: whether taken by a lock. */
  irqLock = false;

  /** Takes over everything of `from`. */
  set(from: RegState): this {
    this.type = from.type;
    this.off = from.off;
    this.varOff = from.varOff;
    this.umin = from.umin;
    this.umax = from.umax;
    this.smin = from.smin;
    this.smax = from.smax;
    this.u32min = from.u32min;
    this.u32max = from.u32max;
    this.s32min = from.s32min;
    this.s32max = from.s32max;
    this.id = from.id;
    this.refObjId = from.refObjId;
    this.dynptrId = from.dynptrId;
    this.frameno = from.frameno;
    this.precise = from.precise;
    this.range = from.range;
    this.map = from.map;
    this.mapUid = from.mapUid;
    this.memSize = from.memSize;
    this.subprogno = from.subprogno;
    this.btf = from.btf;
    this.btfType = from.btfType;
    this.dynptrType = from.dynptrType;
    this.dynptrFirst = from.dynptrFirst;
    this.iterKind = from.iterKind;
    this.iterState = from.iterState;
    this.iterDepth = from.iterDepth;
    this.irqLock = from.irqLock;
    return this;
  }

  clone(): RegState {
    return new RegState().set(this);
  }

  /** Everything but the bounds back to zero. */
  clear(): void {
    this.type = NOT_INIT;
    this.off = 0;
    this.id = 0;
    this.refObjId = 0;
    this.dynptrId = 0;
    this.frameno = 0;
    this.precise = false;
    this.range = 0;
    this.map = null;
    this.mapUid = 0;
    this.memSize = 0;
    this.subprogno = 0;
    this.btf = null;
    this.btfType = null;
    this.dynptrType = 0;
    this.dynptrFirst = false;
    this.iterKind = "";
    this.iterState = 0;
    this.iterDepth = 0;
    this.irqLock = false;
  }

  /** __mark_reg_unbounded: forgets the ranges, keeps the bits known. */
  unbounded(): void {
    this.umin = 0n;
    this.umax = U64_MAX;
    this.smin = S64_MIN;
    this.smax = S64_MAX;
    this.u32min = 0;
    this.u32max = U32_MAX;
    this.s32min = S32_MIN;
    this.s32max = S32_MAX;
  }

  unbounded64(): void {
    this.umin = 0n;
    this.umax = U64_MAX;
    this.smin = S64_MIN;
    this.smax = S64_MAX;
  }

  unbounded32(): void {
    this.u32min = 0;
    this.u32max = U32_MAX;
    this.s32min = S32_MIN;
    this.s32max = S32_MAX;
  }

  /** ___mark_reg_known: the bounds of a constant; type and the rest stay. */
  setConst(value: bigint): void {
    const unsigned = BigInt.asUintN(64, value);
    const low = Number(unsigned & 0xffff_ffffn);
    this.varOff = tnumConst(unsigned);
    this.umin = this.umax = unsigned;
    this.smin = this.smax = BigInt.asIntN(64, value);
    this.u32min = this.u32max = low;
    this.s32min = this.s32max = low | 0;
  }

  /** __mark_reg_known: `value`, of no object. */
  markKnown(value: bigint): void {
    this.off = 0;
    this.id = 0;
    this.refObjId = 0;
    this.setConst(value);
  }

  /** __mark_reg_unknown_imprecise, then `precise`. */
  markUnknown(precise: boolean): void {
    this.clear();
    this.type = SCALAR_VALUE;
    this.varOff = TNUM_UNKNOWN;
    this.precise = precise;
    this.unbounded();
  }

  markNotInit(): void {
    this.markUnknown(false);
    this.type = NOT_INIT;
  }

  /** mark_reg_known_zero for a pointer of `type`. */
  markPointer(type: number): void {
    this.clear();
    this.type = type;
    this.setConst(0n);
  }

  isConst(): boolean {
    return this.varOff.mask === 0n;
  }
}

/** register_is_null: the constant 0. */
export const regIsNull = (reg: RegState): boolean =>
  reg.type === SCALAR_VALUE && reg.varOff.mask === 0n && reg.varOff.value === 0n;

/** register_is_const. */
export const regIsConst = (reg: RegState): boolean => reg.type === SCALAR_VALUE && reg.varOff.mask === 0n;

export const isPktPointer = (type: number): boolean => type === PTR_TO_PACKET || type === PTR_TO_PACKET_META;
export const isPktPointerAny = (type: number): boolean => isPktPointer(type) || type === PTR_TO_PACKET_END;
export const isSkPointer = (type: number): boolean =>
  type === PTR_TO_SOCKET || type === PTR_TO_TCP_SOCK || type === PTR_TO_SOCK_COMMON || type === PTR_TO_XDP_SOCK;
/** type_is_alloc, type_is_ptr_alloc_obj, type_is_non_owning_ref. */
export const typeIsAlloc = (type: number): boolean => (type & MEM_ALLOC) !== 0;
export const typeIsPtrAllocObj = (type: number): boolean => baseType(type) === PTR_TO_BTF_ID && typeIsAlloc(type);
export const typeIsNonOwningRef = (type: number): boolean => typeIsPtrAllocObj(type) && (type & NON_OWN_REF) !== 0;

const NAMES = [
  "?", "scalar", "ctx", "map_ptr", "map_value", "map_key", "fp", "pkt_meta", "pkt", "pkt_end", "flow_keys", "sock",
  "sock_common", "tcp_sock", "tp_buffer", "xdp_sock", "ptr_", "mem", "arena", "buf", "func", "dynptr_ptr",
];

/** reg_type_str: the name of a type with its flags, as logs have it. */
export function regTypeString(type: number): string {
  const base = baseType(type);
  const prefix =
    (type & MEM_RDONLY ? "rdonly_" : "") + (type & MEM_RINGBUF ? "ringbuf_" : "") + (type & MEM_USER ? "user_" : "") +
    (type & MEM_PERCPU ? "percpu_" : "") + (type & MEM_RCU ? "rcu_" : "") +
    (type & PTR_UNTRUSTED ? "untrusted_" : "") + (type & PTR_TRUSTED ? "trusted_" : "");
  const postfix = type & PTR_MAYBE_NULL ? (base === PTR_TO_BTF_ID ? "or_null_" : "_or_null") : "";
  return prefix + (NAMES[base] ?? "?") + postfix;
}
