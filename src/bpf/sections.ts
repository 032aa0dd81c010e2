/**
 * What a program's section name says: its type, attach type and flags. The table is libbpf's (tools/lib/bpf/libbpf.c, section_defs): a name
 * ending in `+` stands for itself and for itself with `/` and an argument.
 */
import { AttachType as A, ProgFlag, ProgType as P, type ProgType } from "./uapi.ts";

export interface SectionDef {
  /** As in the table. */
  readonly section: string;
  readonly type: ProgType;
  readonly attachType: number;
  /** ProgFlag bits of BPF_PROG_LOAD. */
  readonly flags: number;
  /** The argument names a function, hook or type in the kernel's BTF. */
  readonly attachBtf: boolean;
}

const { SLEEPABLE, XDP_HAS_FRAGS } = ProgFlag;
type Row = readonly [section: string, type: ProgType, attachType?: number, flags?: number];

const bothNames = (name: string, type: ProgType, attachType: number, sleepable = true): Row[] => [
  [`${name}+`, type, attachType],
  ...(sleepable ? [[`${name}.s+`, type, attachType, SLEEPABLE] as const] : []),
];

const rows = (): Row[] => [
  ["socket", P.SOCKET_FILTER],
  ["sk_reuseport/migrate", P.SK_REUSEPORT, A.SK_REUSEPORT_SELECT_OR_MIGRATE],
  ["sk_reuseport", P.SK_REUSEPORT, A.SK_REUSEPORT_SELECT],
  ...bothNames("kprobe", P.KPROBE, 0, false),
  ...bothNames("uprobe", P.KPROBE, 0),
  ...bothNames("kretprobe", P.KPROBE, 0, false),
  ...bothNames("uretprobe", P.KPROBE, 0),
  ...bothNames("kprobe.multi", P.KPROBE, A.TRACE_KPROBE_MULTI, false),
  ...bothNames("kretprobe.multi", P.KPROBE, A.TRACE_KPROBE_MULTI, false),
  ...bothNames("kprobe.session", P.KPROBE, A.TRACE_KPROBE_SESSION, false),
  ...bothNames("uprobe.multi", P.KPROBE, A.TRACE_UPROBE_MULTI),
  ...bothNames("uretprobe.multi", P.KPROBE, A.TRACE_UPROBE_MULTI),
  ...bothNames("uprobe.session", P.KPROBE, A.TRACE_UPROBE_SESSION),
  ...bothNames("ksyscall", P.KPROBE, 0, false),
  ...bothNames("kretsyscall", P.KPROBE, 0, false),
  ...bothNames("usdt", P.KPROBE, 0),
  ["tc/ingress", P.SCHED_CLS, A.TCX_INGRESS],
  ["tc/egress", P.SCHED_CLS, A.TCX_EGRESS],
  ["tcx/ingress", P.SCHED_CLS, A.TCX_INGRESS],
  ["tcx/egress", P.SCHED_CLS, A.TCX_EGRESS],
  ["tc", P.SCHED_CLS],
  ["classifier", P.SCHED_CLS],
  ["action", P.SCHED_ACT],
  ["netkit/primary", P.SCHED_CLS, A.NETKIT_PRIMARY],
  ["netkit/peer", P.SCHED_CLS, A.NETKIT_PEER],
  ["tracepoint+", P.TRACEPOINT],
  ["tp+", P.TRACEPOINT],
  ["raw_tracepoint+", P.RAW_TRACEPOINT],
  ["raw_tp+", P.RAW_TRACEPOINT],
  ["raw_tracepoint.w+", P.RAW_TRACEPOINT_WRITABLE],
  ["raw_tp.w+", P.RAW_TRACEPOINT_WRITABLE],
  ["tp_btf+", P.TRACING, A.TRACE_RAW_TP],
  ...bothNames("fentry", P.TRACING, A.TRACE_FENTRY),
  ...bothNames("fmod_ret", P.TRACING, A.MODIFY_RETURN),
  ...bothNames("fexit", P.TRACING, A.TRACE_FEXIT),
  ["freplace+", P.EXT],
  ...bothNames("lsm", P.LSM, A.LSM_MAC),
  ["lsm_cgroup+", P.LSM, A.LSM_CGROUP],
  ...bothNames("iter", P.TRACING, A.TRACE_ITER),
  ["syscall", P.SYSCALL, 0, SLEEPABLE],
  ["xdp.frags/devmap", P.XDP, A.XDP_DEVMAP, XDP_HAS_FRAGS],
  ["xdp/devmap", P.XDP, A.XDP_DEVMAP],
  ["xdp.frags/cpumap", P.XDP, A.XDP_CPUMAP, XDP_HAS_FRAGS],
  ["xdp/cpumap", P.XDP, A.XDP_CPUMAP],
  ["xdp.frags", P.XDP, A.XDP, XDP_HAS_FRAGS],
  ["xdp", P.XDP, A.XDP],
  ["perf_event", P.PERF_EVENT],
  ["lwt_in", P.LWT_IN],
  ["lwt_out", P.LWT_OUT],
  ["lwt_xmit", P.LWT_XMIT],
  ["lwt_seg6local", P.LWT_SEG6LOCAL],
  ["sockops", P.SOCK_OPS, A.CGROUP_SOCK_OPS],
  ["sk_skb/stream_parser", P.SK_SKB, A.SK_SKB_STREAM_PARSER],
  ["sk_skb/stream_verdict", P.SK_SKB, A.SK_SKB_STREAM_VERDICT],
  ["sk_skb/verdict", P.SK_SKB, A.SK_SKB_VERDICT],
  ["sk_skb", P.SK_SKB],
  ["sk_msg", P.SK_MSG, A.SK_MSG_VERDICT],
  ["lirc_mode2", P.LIRC_MODE2, A.LIRC_MODE2],
  ["flow_dissector", P.FLOW_DISSECTOR, A.FLOW_DISSECTOR],
  ["cgroup_skb/ingress", P.CGROUP_SKB, A.CGROUP_INET_INGRESS],
  ["cgroup_skb/egress", P.CGROUP_SKB, A.CGROUP_INET_EGRESS],
  ["cgroup/skb", P.CGROUP_SKB],
  ["cgroup/sock_create", P.CGROUP_SOCK, A.CGROUP_INET_SOCK_CREATE],
  ["cgroup/sock_release", P.CGROUP_SOCK, A.CGROUP_INET_SOCK_RELEASE],
  ["cgroup/sock", P.CGROUP_SOCK, A.CGROUP_INET_SOCK_CREATE],
  ["cgroup/post_bind4", P.CGROUP_SOCK, A.CGROUP_INET4_POST_BIND],
  ["cgroup/post_bind6", P.CGROUP_SOCK, A.CGROUP_INET6_POST_BIND],
  ["cgroup/bind4", P.CGROUP_SOCK_ADDR, A.CGROUP_INET4_BIND],
  ["cgroup/bind6", P.CGROUP_SOCK_ADDR, A.CGROUP_INET6_BIND],
  ["cgroup/connect4", P.CGROUP_SOCK_ADDR, A.CGROUP_INET4_CONNECT],
  ["cgroup/connect6", P.CGROUP_SOCK_ADDR, A.CGROUP_INET6_CONNECT],
  ["cgroup/connect_unix", P.CGROUP_SOCK_ADDR, A.CGROUP_UNIX_CONNECT],
  ["cgroup/sendmsg4", P.CGROUP_SOCK_ADDR, A.CGROUP_UDP4_SENDMSG],
  ["cgroup/sendmsg6", P.CGROUP_SOCK_ADDR, A.CGROUP_UDP6_SENDMSG],
  ["cgroup/sendmsg_unix", P.CGROUP_SOCK_ADDR, A.CGROUP_UNIX_SENDMSG],
  ["cgroup/recvmsg4", P.CGROUP_SOCK_ADDR, A.CGROUP_UDP4_RECVMSG],
  ["cgroup/recvmsg6", P.CGROUP_SOCK_ADDR, A.CGROUP_UDP6_RECVMSG],
  ["cgroup/recvmsg_unix", P.CGROUP_SOCK_ADDR, A.CGROUP_UNIX_RECVMSG],
  ["cgroup/getpeername4", P.CGROUP_SOCK_ADDR, A.CGROUP_INET4_GETPEERNAME],
  ["cgroup/getpeername6", P.CGROUP_SOCK_ADDR, A.CGROUP_INET6_GETPEERNAME],
  ["cgroup/getpeername_unix", P.CGROUP_SOCK_ADDR, A.CGROUP_UNIX_GETPEERNAME],
  ["cgroup/getsockname4", P.CGROUP_SOCK_ADDR, A.CGROUP_INET4_GETSOCKNAME],
  ["cgroup/getsockname6", P.CGROUP_SOCK_ADDR, A.CGROUP_INET6_GETSOCKNAME],
  ["cgroup/getsockname_unix", P.CGROUP_SOCK_ADDR, A.CGROUP_UNIX_GETSOCKNAME],
  ["cgroup/sysctl", P.CGROUP_SYSCTL, A.CGROUP_SYSCTL],
  ["cgroup/getsockopt", P.CGROUP_SOCKOPT, A.CGROUP_GETSOCKOPT],
  ["cgroup/setsockopt", P.CGROUP_SOCKOPT, A.CGROUP_SETSOCKOPT],
  ["cgroup/dev", P.CGROUP_DEVICE, A.CGROUP_DEVICE],
  ...bothNames("struct_ops", P.STRUCT_OPS, 0),
  ["sk_lookup", P.SK_LOOKUP, A.SK_LOOKUP],
  ["netfilter", P.NETFILTER, A.NETFILTER],
];

const takesBtf = (type: ProgType): boolean => type === P.TRACING || type === P.LSM || type === P.EXT;
const matches = (section: string, name: string): boolean => {
  if (!section.endsWith("+")) return section === name;
  const prefix = section.slice(0, -1);
  return name === prefix || name.startsWith(`${prefix}/`);
};

/** The definition that a section name (without `?`) falls under; undefined when libbpf knows none. */
export function sectionDef(name: string): SectionDef | undefined {
  const row = rows().find(([section]) => matches(section, name));
  if (row === undefined) return undefined;
  const [section, type, attachType = 0, flags = 0] = row;
  return { section, type, attachType, flags, attachBtf: takesBtf(type) };
}

/** Names of program types as bpftool prints them. */
const TYPE_NAMES: Readonly<Record<number, string>> = {
  [P.SOCKET_FILTER]: "socket_filter", [P.KPROBE]: "kprobe", [P.SCHED_CLS]: "sched_cls", [P.SCHED_ACT]: "sched_act", [P.TRACEPOINT]: "tracepoint",
  [P.XDP]: "xdp", [P.PERF_EVENT]: "perf_event", [P.CGROUP_SKB]: "cgroup_skb", [P.CGROUP_SOCK]: "cgroup_sock", [P.LWT_IN]: "lwt_in",
  [P.LWT_OUT]: "lwt_out", [P.LWT_XMIT]: "lwt_xmit", [P.SOCK_OPS]: "sock_ops", [P.SK_SKB]: "sk_skb", [P.CGROUP_DEVICE]: "cgroup_device",
  [P.SK_MSG]: "sk_msg", [P.RAW_TRACEPOINT]: "raw_tracepoint", [P.CGROUP_SOCK_ADDR]: "cgroup_sock_addr", [P.LWT_SEG6LOCAL]: "lwt_seg6local",
  [P.LIRC_MODE2]: "lirc_mode2", [P.SK_REUSEPORT]: "sk_reuseport", [P.FLOW_DISSECTOR]: "flow_dissector", [P.CGROUP_SYSCTL]: "cgroup_sysctl",
  [P.RAW_TRACEPOINT_WRITABLE]: "raw_tracepoint_writable", [P.CGROUP_SOCKOPT]: "cgroup_sockopt", [P.TRACING]: "tracing",
  [P.STRUCT_OPS]: "struct_ops", [P.EXT]: "ext", [P.LSM]: "lsm", [P.SK_LOOKUP]: "sk_lookup", [P.SYSCALL]: "syscall", [P.NETFILTER]: "netfilter",
};

export const progTypeName = (type: number): string => TYPE_NAMES[type] ?? String(type);

/** The type of a bpftool name; undefined when there is none. */
export function progTypeOf(name: string): ProgType | undefined {
  const found = Object.entries(TYPE_NAMES).find(([, own]) => own === name);
  return found === undefined ? undefined : (Number(found[0]) as ProgType);
}
