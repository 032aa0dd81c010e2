/**
 * Attaching eBPF programs to the simulated kernel itself: kprobes and fentry on named functions, tracepoints, raw tracepoints. What
 * perf_event_open(2), BPF_RAW_TRACEPOINT_OPEN and BPF_LINK_CREATE do. The points are listed in docs/bpf-tracing.md.
 */
import * as abi from "../../assembly/abi/bpf-trace.ts";
import * as net from "../../assembly/abi/net.ts";
import { linkOf, type AttachableProgram, type BpfLink } from "./bpf-attach.ts";
import type { NodeKernelHandle } from "./kernel.ts";
import { KernelError } from "./netns.ts";

const SYSCALLS: Readonly<Record<string, number>> = {
  socket: abi.TRACE_SYS_SOCKET, bind: abi.TRACE_SYS_BIND, connect: abi.TRACE_SYS_CONNECT, listen: abi.TRACE_SYS_LISTEN, accept4: abi.TRACE_SYS_ACCEPT4,
  sendto: abi.TRACE_SYS_SENDTO, recvfrom: abi.TRACE_SYS_RECVFROM, shutdown: abi.TRACE_SYS_SHUTDOWN, close: abi.TRACE_SYS_CLOSE,
};

/** Points by category and name, as events/CATEGORY/NAME of tracefs. */
export const TRACEPOINTS: Readonly<Record<string, number>> = {
  "skb/kfree_skb": abi.TRACE_KFREE_SKB,
  "skb/consume_skb": abi.TRACE_CONSUME_SKB,
  "net/netif_receive_skb": abi.TRACE_NETIF_RECEIVE_SKB,
  "net/net_dev_queue": abi.TRACE_NET_DEV_QUEUE,
  "net/net_dev_xmit": abi.TRACE_NET_DEV_XMIT,
  "sock/inet_sock_set_state": abi.TRACE_INET_SOCK_SET_STATE,
  "tcp/tcp_retransmit_skb": abi.TRACE_TCP_RETRANSMIT_SKB,
  "sched/sched_process_exec": abi.TRACE_SCHED_PROCESS_EXEC,
  "sched/sched_process_exit": abi.TRACE_SCHED_PROCESS_EXIT,
  "sched/sched_process_fork": abi.TRACE_SCHED_PROCESS_FORK,
  ...Object.fromEntries(Object.entries(SYSCALLS).flatMap(([name, point]) => [[`syscalls/sys_enter_${name}`, point], [`syscalls/sys_exit_${name}`, point + abi.TRACE_SYS_EXIT]])),
};

/** Points by the names of functions. */
export const FUNCTIONS: Readonly<Record<string, number>> = {
  ip_rcv: abi.TRACE_IP_RCV,
  ip_forward: abi.TRACE_IP_FORWARD,
  ip_local_deliver: abi.TRACE_IP_LOCAL_DELIVER,
  ip_output: abi.TRACE_IP_OUTPUT,
  __ip_local_out: abi.TRACE_IP_LOCAL_OUT,
  __dev_queue_xmit: abi.TRACE_DEV_QUEUE_XMIT,
  nf_hook_slow: abi.TRACE_NF_HOOK_SLOW,
  tcp_v4_rcv: abi.TRACE_TCP_V4_RCV,
  udp_rcv: abi.TRACE_UDP_RCV,
  icmp_rcv: abi.TRACE_ICMP_RCV,
  arp_rcv: abi.TRACE_ARP_RCV,
  ipv6_rcv: abi.TRACE_IPV6_RCV,
  tcp_v4_connect: abi.TRACE_TCP_V4_CONNECT,
  tcp_sendmsg: abi.TRACE_TCP_SENDMSG,
  udp_sendmsg: abi.TRACE_UDP_SENDMSG,
  tcp_set_state: abi.TRACE_TCP_SET_STATE,
  tcp_close: abi.TRACE_TCP_CLOSE,
  tcp_retransmit_skb: abi.TRACE_TCP_RETRANSMIT,
};
/** Functions whose return can be watched, too. */
const RETURNING: ReadonlySet<string> = new Set(["tcp_v4_connect", "tcp_sendmsg", "udp_sendmsg"]);

/** DROP_* of this kernel by the name that enum skb_drop_reason has for it, where that is not the same. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  NO_MEMORY: "NOMEM", BACKLOG: "CPU_BACKLOG", DEV_DOWN: "DEV_READY", NETFILTER: "NETFILTER_DROP", TOO_MANY_HOPS: "RECURSION_LIMIT", BRIDGE_NO_PORT: "BRIDGE_INGRESS_STP_STATE",
  BLACKHOLE_ROUTE: "IP_OUTNOROUTES", IPV6_DISABLED: "IPV6DISABLED",
};

export interface TraceOptions {
  /** bpf_get_attach_cookie */
  readonly cookie?: bigint;
}

export interface KernelTracing {
  /** kprobe and fentry; with `atReturn` kretprobe and fexit. ENOENT for a function that is not in {@link FUNCTIONS}; EINVAL for a program of another type. */
  attachFunction(program: AttachableProgram, name: string, options?: TraceOptions & { readonly atReturn?: boolean }): BpfLink;
  /** tracepoint: `skb/kfree_skb`; raw tracepoint and tp_btf: `kfree_skb`. ENOENT, EINVAL. */
  attachTracepoint(program: AttachableProgram, name: string, options?: TraceOptions): BpfLink;
  /**
   * Something happened outside of the kernel: runs the programs of a tracepoint of category sched. `record`: as events/sched/NAME/format has it, without the
   * common fields. ENOENT for another tracepoint, EINVAL for a record that is too long.
   */
  tell(name: string, record: Uint8Array): void;
  /** Events that did not run their programs, because one of them was running (nothing a program does is watched). */
  missed(): bigint;
}

/** `reasonOf`: the number of a member of enum skb_drop_reason, without its prefix; such as `dropReasons` of `kubewire/bpf`. */
export function tracingOf({ context }: NodeKernelHandle, reasonOf: (name: string) => number | undefined): KernelTracing {
  const { instance } = context;
  let told = false;
  const tell = (): void => {
    told = true;
    const reasons: number[] = [];
    for (const [name, number] of Object.entries(net)) if (name.startsWith("DROP_")) reasons[number as number] = reasonOf(OTHER_NAMES[name.slice(5)] ?? name.slice(5)) ?? reasonOf("NOT_SPECIFIED")!;
    instance.view.setUint32(0, reasons.length, true);
    reasons.forEach((reason, i) => instance.view.setUint16(4 + 2 * i, reason, true));
    context.command(abi.BPF_TRACE_REASONS, 4 + 2 * reasons.length, "bpf tracing");
  };
  const attach = (program: AttachableProgram, point: number | undefined, what: string, flags: number, { cookie = 0n }: TraceOptions): BpfLink => {
    if (point === undefined) throw new KernelError("ENOENT", `${what}: No such file or directory`);
    if (!told) tell();
    const { view } = instance;
    view.setUint32(0, program.handle, true);
    view.setUint32(4, point, true);
    view.setUint32(8, flags, true);
    view.setUint32(12, 0, true);
    view.setBigUint64(16, cookie, true);
    return linkOf(context, context.command(abi.BPF_TRACE_ATTACH, 24, what));
  };
  return {
    attachFunction(program, name, { atReturn = false, ...options } = {}) {
      return attach(program, atReturn && !RETURNING.has(name) ? undefined : FUNCTIONS[name], name, atReturn ? abi.TRACE_AT_RETURN : 0, options);
    },
    attachTracepoint(program, name, options = {}) {
      const found = name.includes("/") ? name : Object.keys(TRACEPOINTS).find((whole) => whole.endsWith(`/${name}`)) ?? name;
      return attach(program, TRACEPOINTS[found], name, 0, options);
    },
    tell(name, record) {
      const point = name.startsWith("sched/") ? TRACEPOINTS[name] : undefined;
      if (point === undefined) throw new KernelError("ENOENT", `${name}: No such file or directory`);
      instance.view.setUint32(0, point, true);
      instance.view.setUint32(4, record.length, true);
      instance.view.setBigUint64(8, 0n, true);
      instance.u8.set(record, 16);
      context.command(abi.BPF_TRACE_EMIT, 16 + record.length, name);
    },
    missed() {
      context.command(abi.BPF_TRACE_STATS, 0, "bpf tracing");
      return instance.view.getBigUint64(0, true);
    },
  };
}
