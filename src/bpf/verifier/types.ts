// What goes into the verifier and what comes out: the shapes that loader, JIT and tests share with it. Numbers are
// those of src/bpf/uapi.ts; a slot is the index of an 8-byte instruction in the whole program, subprograms included.

import type { Insn } from "../insn.ts";
import type { AttachType, MapType, ProgType } from "../uapi.ts";

/** One type of a BTF section, as `btf__type_by_id` gives it; `kind` is BTF_KIND_*. */
export interface BtfType {
  readonly kind: number;
  readonly name: string;
  /** Bytes of integers, structures, unions, enums and data sections. */
  readonly size?: number;
  /** Type pointed to, aliased, qualified, returned, or of a variable or tag. */
  readonly type?: number;
  /** Struct and union members: offset in bits, `bits` of a bit field or 0. */
  readonly members?: readonly { readonly name: string; readonly type: number; readonly offset: number; readonly bits: number }[];
  /** BTF_KIND_FUNC_PROTO. */
  readonly params?: readonly { readonly name: string; readonly type: number }[];
  /** BTF_KIND_ARRAY: element type and count. */
  readonly element?: number;
  readonly count?: number;
  /** BTF_KIND_FUNC: 0 static, 1 global, 2 extern. */
  readonly linkage?: number;
  /** BTF_KIND_DECL_TAG: parameter or member it belongs to, -1 for the declaration itself. */
  readonly component?: number;
}

/** The types of an object or of the kernel, by id; 0 is void (undefined). */
export interface BtfTypes {
  readonly types: readonly (BtfType | undefined)[];
}

/** A field of a map value (or of an allocated object) that only helpers may touch: btf_field. */
export interface MapField {
  readonly kind: "spin_lock" | "res_spin_lock" | "timer" | "workqueue" | "task_work" | "kptr_unref" | "kptr_ref" |
    "kptr_percpu" | "list_head" | "list_node" | "rb_root" | "rb_node" | "refcount" | "uptr";
  /** In bytes. */
  readonly offset: number;
  readonly size: number;
  /** Kptrs: name of the kernel structure pointed to. */
  readonly struct?: string;
}

/** A map as the verifier needs to know it: struct bpf_map. */
export interface MapSpec {
  readonly name: string;
  readonly type: MapType;
  /** Bytes of a key and of a value as given to BPF_MAP_CREATE. */
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  /** MapFlag bits. */
  readonly flags: number;
  /** Template of an array or hash of maps. */
  readonly inner?: MapSpec;
  /** Special fields of the value, by offset. */
  readonly fields?: readonly MapField[];
  /** Whether the map has BTF of key and value (spin locks, timers, sk storage need it). */
  readonly hasBtf?: boolean;
  /** Bytes of a frozen read-only array (`.rodata`): loads from it are constants. */
  readonly frozen?: Uint8Array;
}

/** An entry of func_info: where a function starts and its BTF_KIND_FUNC id. */
export interface FuncInfo {
  readonly slot: number;
  readonly type: number;
}

/** An entry of line_info, printed into the log as `; source line @ file:line`. */
export interface LineInfo {
  readonly slot: number;
  readonly line: string;
  readonly file?: string;
  readonly number?: number;
}

/** A program to be verified: BPF_PROG_LOAD. */
export interface ProgramSpec {
  readonly type: ProgType;
  /** expected_attach_type; 0 where the type has none. */
  readonly attachType: AttachType | number;
  /** As in the object's `license` section: "GPL", "Dual MIT/GPL", ... */
  readonly license: string;
  /** Slots. `lddw` of maps keep src BPF_PSEUDO_MAP_FD or _MAP_VALUE; their map is found by `maps`, not by imm. */
  readonly insns: readonly Insn[];
  /** Map of an `lddw` by its first slot. */
  readonly maps: ReadonlyMap<number, MapSpec>;
  /** ProgFlag bits. */
  readonly flags?: number;
  /** All capabilities, or CAP_BPF and CAP_NET_ADMIN without CAP_PERFMON. "all" is the default. */
  readonly caps?: "all" | "bpf";
  readonly btf?: BtfTypes;
  readonly funcInfo?: readonly FuncInfo[];
  readonly lineInfo?: readonly LineInfo[];
  /** What a tracing, LSM or struct_ops program attaches to: function prototype in the kernel's BTF. */
  readonly attachTo?: { readonly name: string; readonly proto: BtfType; readonly btf: BtfTypes };
  /** Kernel symbols of `lddw` with BPF_PSEUDO_BTF_ID, by first slot: bytes of the variable, or its structure. */
  readonly ksyms?: ReadonlyMap<number, { readonly struct?: string; readonly size: number; readonly percpu?: boolean }>;
}

export interface VerifyOptions {
  /** 0 none, 1 instructions of the path refused, 2 every instruction with states, | 4 statistics. */
  readonly logLevel?: number;
  /** Characters of log to keep, from the end as the kernel's rotating log does. */
  readonly logSize?: number;
  /** The kernel's BTF, for BTF-typed pointers and kfuncs. */
  readonly kernelBtf?: BtfTypes;
  /** Instructions that may be walked: 1,000,000. */
  readonly insnLimit?: number;
}

/** What a memory access goes through; what the JIT may rely on. "mixed": different kinds on different paths. */
export type AccessKind =
  | "ctx" | "stack" | "packet" | "packet_meta" | "flow_keys" | "map_value" | "mem" | "btf" | "sock" | "arena" | "mixed";

/** Facts about one slot that hold on every path. */
export interface SlotAux {
  /** Whether any path reaches the slot. */
  seen: boolean;
  /** Loads, stores and atomics: kind of the address. */
  access?: AccessKind;
  /** Helper calls with one and the same map: that map. */
  map?: MapSpec;
  /** Map helpers whose key is a constant u32 on every path. */
  constantKey?: number;
  /** tail_call with one map and one constant index. */
  tailCallIndex?: number;
  /** Conditional jumps that go only one way: the way. */
  branch?: "taken" | "fallthrough";
  /** bpf_loop that may be inlined: slot of its callback. */
  inlineLoop?: number;
  /** Subprogram called or referenced: its first slot. */
  subprogram?: number;
}

export interface SubprogramAux {
  readonly start: number;
  readonly end: number;
  readonly name: string;
  /** Bytes of stack used, rounded up to 8. */
  readonly stackDepth: number;
  readonly callback: boolean;
  readonly global: boolean;
}

export interface VerifierAux {
  readonly slots: readonly SlotAux[];
  readonly subprograms: readonly SubprogramAux[];
  /** Context words of 4 bytes that are read and written: bit n is bytes 4n to 4n+3. */
  readonly ctxRead: bigint;
  readonly ctxWritten: bigint;
  /** Whether any direct packet write or packet-changing helper is in the program. */
  readonly changesPacket: boolean;
  /** Instructions walked, as in the log's last line. */
  readonly processed: number;
  readonly stackDepth: number;
}

/** Names of errors as errno(3) has them. */
export type Errno = "EPERM" | "E2BIG" | "EACCES" | "EFAULT" | "EINVAL" | "ENOMEM" | "ENOENT" | "EBADF" | "EOPNOTSUPP" |
  "ENOTSUPP" | "ELOOP" | "ENOSPC" | "ERANGE" | "EAGAIN" | "EDEADLK" | "ESRCH";

export interface VerifyResult {
  readonly verdict: "accept" | "reject";
  /** Set when rejected. */
  readonly errno?: Errno;
  /** The whole log: ends with the reason and `processed N insns ...`. */
  readonly log: string;
  /** The last line before the statistics: the reason; empty when accepted. */
  readonly message: string;
  readonly aux: VerifierAux;
}
