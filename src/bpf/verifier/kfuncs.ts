// Kfuncs: kernel functions that programs call by number (ours, see uapi.ts). Arguments and flags follow their
// definitions in kernel/bpf/helpers.c, net/core/filter.c, net/netfilter/nf_conntrack_bpf.c and others.

import { Kfunc, ProgType } from "../uapi.ts";

/** What an argument is. "size" bounds the memory argument before it. */
export type KfuncArg =
  | "ctx" | "scalar" | "const" | "iter" | "iter-new" | "dynptr" | "dynptr-new" | "mem" | "mem?" | "mem-write" | "size" | "const-size"
  | "btf" | "owned" | "string" | "map" | "irq-flag" | "irq-flag-new" | "ignored" | "lock" | "callback" | "wq";

export interface KfuncMeta {
  readonly name: string;
  readonly args: readonly KfuncArg[];
  /** What it returns: a number, nothing, a pointer to a structure, or memory of the constant size given. */
  readonly ret: "int" | "void" | "struct" | "slice" | "element";
  /** Structure of "struct". */
  readonly struct?: string;
  /** Bytes of memory arguments whose size is that of their type, and of the element of iterators. */
  readonly size?: number;
  readonly nullable?: boolean;
  readonly acquire?: boolean;
  readonly release?: boolean;
  readonly sleepable?: boolean;
  readonly changesPacket?: boolean;
  readonly callback?: "sync" | "async";
  readonly iterator?: "new" | "next" | "destroy";
  readonly iterKind?: string;
  readonly iterSlots?: number;
  /** Structure of "btf" and "owned" arguments, by position. */
  readonly structs?: readonly (string | undefined)[];
  /** Dynptr type that "dynptr-new" makes. */
  readonly dynptr?: "skb" | "xdp" | "skb_meta";
  /** Program types that have it; all when missing. */
  readonly types?: readonly ProgType[];
}

const CT_TYPES = [ProgType.XDP, ProgType.SCHED_CLS, ProgType.SCHED_ACT];
const SKB_TYPES = [
  ProgType.SCHED_CLS, ProgType.SCHED_ACT, ProgType.SK_SKB, ProgType.SOCKET_FILTER, ProgType.CGROUP_SKB, ProgType.LWT_OUT,
  ProgType.LWT_IN, ProgType.LWT_XMIT, ProgType.LWT_SEG6LOCAL, ProgType.NETFILTER, ProgType.TRACING,
];
const XDP = [ProgType.XDP];

const K = (name: string, args: readonly KfuncArg[], ret: KfuncMeta["ret"], more: Partial<KfuncMeta> = {}): KfuncMeta =>
  ({ name, args, ret, ...more });

function build(): Map<number, KfuncMeta> {
  const list: KfuncMeta[] = [
    K("bpf_iter_num_new", ["iter-new", "scalar", "scalar"], "int", { iterator: "new", iterKind: "num", iterSlots: 1 }),
    K("bpf_iter_num_next", ["iter"], "element", { iterator: "next", iterKind: "num", iterSlots: 1, size: 4 }),
    K("bpf_iter_num_destroy", ["iter"], "void", { iterator: "destroy", iterKind: "num", iterSlots: 1 }),
    K("bpf_iter_bits_new", ["iter-new", "mem", "scalar"], "int", { iterator: "new", iterKind: "bits", iterSlots: 2, size: 8 }),
    K("bpf_iter_bits_next", ["iter"], "element", { iterator: "next", iterKind: "bits", iterSlots: 2, size: 4 }),
    K("bpf_iter_bits_destroy", ["iter"], "void", { iterator: "destroy", iterKind: "bits", iterSlots: 2 }),
    K("bpf_dynptr_from_skb", ["ctx", "scalar", "dynptr-new"], "int", { dynptr: "skb", types: SKB_TYPES }),
    K("bpf_dynptr_from_skb_meta", ["ctx", "scalar", "dynptr-new"], "int", { dynptr: "skb_meta", types: SKB_TYPES }),
    K("bpf_dynptr_from_xdp", ["ctx", "scalar", "dynptr-new"], "int", { dynptr: "xdp", types: XDP }),
    K("bpf_dynptr_slice", ["dynptr", "scalar", "mem?", "const-size"], "slice", { nullable: true }),
    K("bpf_dynptr_slice_rdwr", ["dynptr", "scalar", "mem?", "const-size"], "slice", { nullable: true }),
    K("bpf_dynptr_adjust", ["dynptr", "scalar", "scalar"], "int"),
    K("bpf_dynptr_is_null", ["dynptr"], "int"),
    K("bpf_dynptr_is_rdonly", ["dynptr"], "int"),
    K("bpf_dynptr_size", ["dynptr"], "int"),
    K("bpf_dynptr_clone", ["dynptr", "dynptr-new"], "int"),
    K("bpf_dynptr_copy", ["dynptr", "scalar", "dynptr", "scalar", "scalar"], "int"),
    K("bpf_dynptr_memset", ["dynptr", "scalar", "scalar", "scalar"], "int"),
    K("bpf_xdp_ct_lookup", ["ctx", "mem", "size", "mem-write", "size"], "struct",
      { struct: "nf_conn", nullable: true, acquire: true, types: XDP }),
    K("bpf_skb_ct_lookup", ["ctx", "mem", "size", "mem-write", "size"], "struct",
      { struct: "nf_conn", nullable: true, acquire: true, types: CT_TYPES }),
    K("bpf_xdp_ct_alloc", ["ctx", "mem", "size", "mem-write", "size"], "struct",
      { struct: "nf_conn___init", nullable: true, acquire: true, types: XDP }),
    K("bpf_skb_ct_alloc", ["ctx", "mem", "size", "mem-write", "size"], "struct",
      { struct: "nf_conn___init", nullable: true, acquire: true, types: CT_TYPES }),
    K("bpf_ct_insert_entry", ["owned"], "struct",
      { struct: "nf_conn", nullable: true, acquire: true, release: true, structs: ["nf_conn___init"], types: CT_TYPES }),
    K("bpf_ct_release", ["owned"], "void", { release: true, structs: ["nf_conn"], types: CT_TYPES }),
    K("bpf_ct_set_timeout", ["btf", "scalar"], "void", { structs: ["nf_conn___init"], types: CT_TYPES }),
    K("bpf_ct_change_timeout", ["btf", "scalar"], "int", { structs: ["nf_conn"], types: CT_TYPES }),
    K("bpf_ct_set_status", ["btf", "scalar"], "int", { structs: ["nf_conn___init"], types: CT_TYPES }),
    K("bpf_ct_change_status", ["btf", "scalar"], "int", { structs: ["nf_conn"], types: CT_TYPES }),
    K("bpf_ct_set_nat_info", ["btf", "mem", "scalar", "scalar"], "int",
      { structs: ["nf_conn___init"], size: 16, types: [ProgType.XDP, ProgType.SCHED_CLS] }),
    K("bpf_xdp_metadata_rx_timestamp", ["ctx", "mem-write"], "int", { size: 8, types: XDP }),
    K("bpf_xdp_metadata_rx_hash", ["ctx", "mem-write", "mem-write"], "int", { size: 4, types: XDP }),
    K("bpf_xdp_metadata_rx_vlan_tag", ["ctx", "mem-write", "mem-write"], "int", { size: 2, types: XDP }),
    K("bpf_xdp_pull_data", ["ctx", "scalar"], "int", { changesPacket: true, types: XDP }),
    K("bpf_rcu_read_lock", [], "void"),
    K("bpf_rcu_read_unlock", [], "void"),
    K("bpf_preempt_disable", [], "void"),
    K("bpf_preempt_enable", [], "void"),
    K("bpf_local_irq_save", ["irq-flag-new"], "void"),
    K("bpf_local_irq_restore", ["irq-flag"], "void"),
    K("bpf_cast_to_kern_ctx", ["ctx"], "struct", {}),
    K("bpf_rdonly_cast", ["btf", "const"], "struct", {}),
    K("bpf_map_sum_elem_count", ["map"], "int"),
    K("bpf_task_acquire", ["btf"], "struct", { struct: "task_struct", nullable: true, acquire: true, structs: ["task_struct"] }),
    K("bpf_task_release", ["owned"], "void", { release: true, structs: ["task_struct"] }),
    K("bpf_task_from_pid", ["scalar"], "struct", { struct: "task_struct", nullable: true, acquire: true }),
    K("bpf_task_from_vpid", ["scalar"], "struct", { struct: "task_struct", nullable: true, acquire: true }),
    K("bpf_task_under_cgroup", ["btf", "btf"], "int", { structs: ["task_struct", "cgroup"] }),
    K("bpf_cgroup_acquire", ["btf"], "struct", { struct: "cgroup", nullable: true, acquire: true, structs: ["cgroup"] }),
    K("bpf_cgroup_release", ["owned"], "void", { release: true, structs: ["cgroup"] }),
    K("bpf_cgroup_ancestor", ["btf", "scalar"], "struct", { struct: "cgroup", nullable: true, acquire: true, structs: ["cgroup"] }),
    K("bpf_cgroup_from_id", ["scalar"], "struct", { struct: "cgroup", nullable: true, acquire: true }),
    K("bpf_throw", ["scalar"], "void"),
    K("bpf_sock_addr_set_sun_path", ["ctx", "mem", "size"], "int", { types: [ProgType.CGROUP_SOCK_ADDR] }),
    K("bpf_sock_ops_enable_tx_tstamp", ["ctx", "scalar"], "int", { types: [ProgType.SOCK_OPS] }),
    K("bpf_session_is_return", [], "int", { types: [ProgType.KPROBE] }),
    K("bpf_session_cookie", [], "element", { size: 8, types: [ProgType.KPROBE] }),
    ...["bpf_strcmp", "bpf_strcasecmp", "bpf_strspn", "bpf_strcspn", "bpf_strstr"].map((name) => K(name, ["string", "string"], "int")),
    ...["bpf_strchr", "bpf_strchrnul", "bpf_strrchr"].map((name) => K(name, ["string", "scalar"], "int")),
    K("bpf_strlen", ["string"], "int"),
    K("bpf_strnlen", ["string", "scalar"], "int"),
    K("bpf_strnchr", ["string", "scalar", "scalar"], "int"),
    K("bpf_strnstr", ["string", "string", "scalar"], "int"),
  ];
  const ids: Readonly<Record<string, number>> = Kfunc;
  return new Map(list.map((meta) => [ids[meta.name]!, meta]));
}

let metas: Map<number, KfuncMeta> | undefined;

/** What a kfunc number means; undefined for numbers that are none or that the verifier does not know. */
export function kfuncMeta(id: number): KfuncMeta | undefined {
  metas ??= build();
  return metas.get(id);
}
