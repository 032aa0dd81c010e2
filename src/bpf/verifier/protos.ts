// Prototypes of all helpers and which program types may call them, as Linux 6.18 has them (struct bpf_func_proto and
// the *_func_proto functions of kernel/bpf/helpers.c, net/core/filter.c, kernel/trace/bpf_trace.c and others).
//
// A prototype is written as a line of text, "FLAGS RETURN(ARGUMENTS)", and read when it is first asked for:
//   flags      g GPL programs only, p takes packet pointers, s may sleep
//   return     int, void, or a pointer; `?` may be NULL
//   arguments  as ARG_*: `map` ARG_CONST_MAP_PTR, `mem[8]` memory of a fixed size, `size0` ARG_CONST_SIZE_OR_ZERO, ...
//              with flags behind: +uninit is written before it is read, +write, +ro, +release, +aligned, `?` NULL allowed

import { AttachType, Helper, ProgType } from "../uapi.ts";
import type { Env } from "./env.ts";
import {
  DYNPTR_TYPE_LOCAL, DYNPTR_TYPE_RINGBUF, MEM_ALIGNED, MEM_FIXED_SIZE, MEM_RDONLY, MEM_RINGBUF, MEM_UNINIT, MEM_WRITE,
  OBJ_RELEASE, PTR_MAYBE_NULL, PTR_TRUSTED,
} from "./reg.ts";

/** enum bpf_arg_type. */
export const ARG = {
  map: 1, key: 2, value: 3, mem: 4, arena: 5, size: 6, size0: 7, ctx: 8, any: 9, spin_lock: 10, sock_common: 11,
  sock: 12, btf: 13, ringbuf_mem: 14, alloc_size0: 15, btf_sock_common: 16, percpu_btf: 17, func: 18, stack: 19,
  str: 20, timer: 21, kptr_dest: 22, dynptr: 23,
} as const;

/** enum bpf_return_type. */
export const RET = {
  int: 0, void: 1, value: 2, sock: 3, tcp_sock: 4, sock_common: 5, mem: 6, mem_or_btf: 7, btf: 8,
} as const;

const FLAGS: Readonly<Record<string, number>> = {
  ro: MEM_RDONLY, ringbuf: MEM_RINGBUF, release: OBJ_RELEASE, uninit: MEM_UNINIT, local: DYNPTR_TYPE_LOCAL,
  ringbufdyn: DYNPTR_TYPE_RINGBUF, trusted: PTR_TRUSTED, aligned: MEM_ALIGNED, write: MEM_WRITE,
};

/** struct bpf_func_proto. */
export interface HelperProto {
  readonly gplOnly: boolean;
  readonly pktAccess: boolean;
  readonly mightSleep: boolean;
  /** RET with flags. */
  readonly ret: number;
  /** ARG with flags. */
  readonly args: readonly number[];
  /** Bytes of fixed-size memory arguments. */
  readonly sizes: readonly number[];
  /** Kernel structures of BTF arguments, by position. */
  readonly btfArgs: readonly (string | undefined)[];
  readonly btfRet: string | undefined;
}

const PROTOS: Readonly<Record<string, string>> = {
  map_lookup_elem: "p value?(map, key)",
  map_update_elem: "p int(map, key, value, any)",
  map_delete_elem: "p int(map, key)",
  probe_read: "g int(mem+uninit+write, size0, any)",
  ktime_get_ns: "int()",
  trace_printk: "g int(mem+ro, size)",
  get_prandom_u32: "int()",
  get_smp_processor_id: "int()",
  skb_store_bytes: "int(ctx, any, mem+ro, size, any)",
  l3_csum_replace: "int(ctx, any, any, any, any)",
  l4_csum_replace: "int(ctx, any, any, any, any)",
  tail_call: "void(ctx, map, any)",
  clone_redirect: "int(ctx, any, any)",
  get_current_pid_tgid: "int()",
  get_current_uid_gid: "int()",
  get_current_comm: "int(mem+uninit+write, size)",
  get_cgroup_classid: "int(ctx)",
  skb_vlan_push: "int(ctx, any, any)",
  skb_vlan_pop: "int(ctx)",
  skb_get_tunnel_key: "int(ctx, mem+uninit+write, size, any)",
  skb_set_tunnel_key: "int(ctx, mem+ro, size, any)",
  perf_event_read: "g int(map, any)",
  redirect: "int(any, any)",
  get_route_realm: "int(ctx)",
  perf_event_output: "g int(ctx, map, any, mem+ro, size0)",
  skb_load_bytes: "int(ctx, any, mem+uninit+write, size)",
  get_stackid: "g int(ctx, map, any)",
  csum_diff: "p int(mem+ro?, size0, mem+ro?, size0, any)",
  skb_get_tunnel_opt: "int(ctx, mem+uninit+write, size)",
  skb_set_tunnel_opt: "int(ctx, mem+ro, size)",
  skb_change_proto: "int(ctx, any, any)",
  skb_change_type: "int(ctx, any)",
  skb_under_cgroup: "int(ctx, map, any)",
  get_hash_recalc: "int(ctx)",
  get_current_task: "g int()",
  current_task_under_cgroup: "int(map, any)",
  skb_change_tail: "int(ctx, any, any)",
  skb_pull_data: "int(ctx, any)",
  csum_update: "int(ctx, any)",
  set_hash_invalid: "int(ctx)",
  get_numa_node_id: "int()",
  skb_change_head: "int(ctx, any, any)",
  xdp_adjust_head: "int(ctx, any)",
  probe_read_str: "g int(mem+uninit+write, size0, any)",
  get_socket_cookie: "int(ctx)",
  get_socket_uid: "int(ctx)",
  set_hash: "int(ctx, any)",
  setsockopt: "int(ctx, any, any, mem+ro, size)",
  skb_adjust_room: "int(ctx, any, any, any)",
  redirect_map: "int(map, any, any)",
  sk_redirect_map: "int(ctx, map, any, any)",
  sock_map_update: "p int(ctx, map, key, any)",
  xdp_adjust_meta: "int(ctx, any)",
  perf_event_read_value: "g int(map, any, mem+uninit+write, size)",
  perf_prog_read_value: "g int(ctx, mem+uninit+write, size)",
  getsockopt: "int(ctx, any, any, mem+uninit+write, size)",
  sock_ops_cb_flags_set: "int(ctx, any)",
  msg_redirect_map: "int(ctx, map, any, any)",
  msg_apply_bytes: "int(ctx, any)",
  msg_cork_bytes: "int(ctx, any)",
  msg_pull_data: "int(ctx, any, any, any)",
  bind: "int(ctx, mem+ro, size)",
  xdp_adjust_tail: "int(ctx, any)",
  skb_get_xfrm_state: "int(ctx, any, mem+uninit+write, size, any)",
  get_stack: "g int(ctx, mem+uninit+write, size0, any)",
  skb_load_bytes_relative: "int(ctx, any, mem+uninit+write, size, any)",
  fib_lookup: "g int(ctx, mem+write, size, any)",
  sock_hash_update: "p int(ctx, map, key, any)",
  msg_redirect_hash: "int(ctx, map, key, any)",
  sk_redirect_hash: "int(ctx, map, key, any)",
  lwt_push_encap: "int(ctx, any, mem+ro, size)",
  lwt_seg6_store_bytes: "int(ctx, any, mem+ro, size)",
  lwt_seg6_adjust_srh: "int(ctx, any, any)",
  lwt_seg6_action: "int(ctx, any, mem+ro, size)",
  skb_cgroup_id: "int(ctx)",
  get_current_cgroup_id: "int()",
  get_local_storage: "value(map, any)",
  sk_select_reuseport: "int(ctx, map, key, any)",
  skb_ancestor_cgroup_id: "int(ctx, any)",
  sk_lookup_tcp: "p sock?(ctx, mem+ro, size0, any, any)",
  sk_lookup_udp: "p sock?(ctx, mem+ro, size0, any, any)",
  sk_release: "int(btf_sock_common+release)",
  map_push_elem: "p int(map, value, any)",
  map_pop_elem: "int(map, value+uninit+write)",
  map_peek_elem: "int(map, value+uninit+write)",
  msg_push_data: "int(ctx, any, any, any)",
  msg_pop_data: "int(ctx, any, any, any)",
  spin_lock: "void(spin_lock)",
  spin_unlock: "void(spin_lock)",
  sk_fullsock: "sock?(sock_common)",
  tcp_sock: "tcp_sock?(sock_common)",
  skb_ecn_set_ce: "int(ctx)",
  get_listener_sock: "sock?(sock_common)",
  skc_lookup_tcp: "p sock_common?(ctx, mem+ro, size0, any, any)",
  tcp_check_syncookie: "gp int(btf_sock_common, mem+ro, size, mem+ro, size)",
  sysctl_get_name: "int(ctx, mem+write, size, any)",
  sysctl_get_current_value: "int(ctx, mem+uninit+write, size)",
  sysctl_get_new_value: "int(ctx, mem+uninit+write, size)",
  sysctl_set_new_value: "int(ctx, mem+ro, size)",
  strtol: "int(mem+ro, size, any, mem[8]+uninit+aligned+write)",
  strtoul: "int(mem+ro, size, any, mem[8]+uninit+aligned+write)",
  sk_storage_get: "value?(map, ctx, value?, any)",
  sk_storage_delete: "int(map, btf_sock_common)",
  send_signal: "int(any)",
  tcp_gen_syncookie: "gp int(btf_sock_common, mem+ro, size, mem+ro, size)",
  skb_output: "g int(btf, map, any, mem+ro, size0)",
  probe_read_user: "g int(mem+uninit+write, size0, any)",
  probe_read_kernel: "g int(mem+uninit+write, size0, any)",
  probe_read_user_str: "g int(mem+uninit+write, size0, any)",
  probe_read_kernel_str: "g int(mem+uninit+write, size0, any)",
  tcp_send_ack: "int(btf, any)",
  send_signal_thread: "int(any)",
  jiffies64: "int()",
  read_branch_records: "g int(ctx, mem+write?, size0, any)",
  get_ns_current_pid_tgid: "int(any, any, mem+uninit+write, size)",
  xdp_output: "g int(btf, map, any, mem+ro, size0)",
  get_netns_cookie: "int(ctx?)",
  get_current_ancestor_cgroup_id: "int(any)",
  sk_assign: "int(ctx, btf_sock_common, any)",
  ktime_get_boot_ns: "int()",
  seq_printf: "g int(btf, mem+ro, size, mem+ro?, size0)",
  seq_write: "g int(btf, mem+ro, size0)",
  sk_cgroup_id: "int(btf_sock_common)",
  sk_ancestor_cgroup_id: "int(btf_sock_common, any)",
  ringbuf_output: "int(map, mem+ro, size0, any)",
  ringbuf_reserve: "mem+ringbuf?(map, alloc_size0, any)",
  ringbuf_submit: "void(ringbuf_mem+release, any)",
  ringbuf_discard: "void(ringbuf_mem+release, any)",
  ringbuf_query: "int(map, any)",
  csum_level: "int(ctx, any)",
  skc_to_tcp6_sock: "btf?(btf_sock_common)",
  skc_to_tcp_sock: "btf?(btf_sock_common)",
  skc_to_tcp_timewait_sock: "btf?(btf_sock_common)",
  skc_to_tcp_request_sock: "btf?(btf_sock_common)",
  skc_to_udp6_sock: "btf?(btf_sock_common)",
  get_task_stack: "int(btf, mem+uninit+write, size0, any)",
  load_hdr_opt: "int(ctx, mem+write, size, any)",
  store_hdr_opt: "int(ctx, mem+ro, size, any)",
  reserve_hdr_opt: "int(ctx, any, any)",
  inode_storage_get: "value?(map, btf?, value?, any)",
  inode_storage_delete: "int(map, btf?)",
  d_path: "int(btf, mem+write, size0)",
  copy_from_user: "s int(mem+uninit+write, size0, any)",
  snprintf_btf: "int(mem+write, size, mem+ro, size, any)",
  seq_printf_btf: "g int(btf, mem+ro, size0, any)",
  skb_cgroup_classid: "int(ctx)",
  redirect_neigh: "int(any, mem+ro?, size0, any)",
  per_cpu_ptr: "mem_or_btf+ro?(percpu_btf, any)",
  this_cpu_ptr: "mem_or_btf+ro(percpu_btf)",
  redirect_peer: "int(any, any)",
  task_storage_get: "value?(map, btf?, value?, any)",
  task_storage_delete: "int(map, btf?)",
  get_current_task_btf: "g btf+trusted()",
  bprm_opts_set: "int(btf, any)",
  ktime_get_coarse_ns: "int()",
  ima_inode_hash: "s int(btf, mem+uninit+write, size)",
  sock_from_file: "btf?(btf)",
  check_mtu: "g int(ctx, any, mem[4]+aligned+write, any, any)",
  for_each_map_elem: "int(map, func, stack?, any)",
  snprintf: "g int(mem+write?, size0, str, mem+ro?, size0)",
  sys_bpf: "int(any, mem+ro, size)",
  btf_find_by_name_kind: "int(mem+ro, size, any, any)",
  sys_close: "int(any)",
  timer_init: "g int(timer, map, any)",
  timer_set_callback: "g int(timer, func)",
  timer_start: "g int(timer, any, any)",
  timer_cancel: "g int(timer)",
  get_func_ip: "g int(ctx)",
  get_attach_cookie: "int(ctx)",
  task_pt_regs: "g btf(btf)",
  get_branch_snapshot: "g int(mem+uninit+write, size0)",
  trace_vprintk: "g int(mem+ro, size, mem+ro?, size0)",
  skc_to_unix_sock: "btf?(btf_sock_common)",
  kallsyms_lookup_name: "int(mem+ro, size0, any, mem[8]+uninit+aligned+write)",
  find_vma: "int(btf, any, func, stack?, any)",
  loop: "int(any, func, stack?, any)",
  strncmp: "int(mem+ro, size, str)",
  get_func_arg: "int(ctx, any, mem[8]+uninit+aligned+write)",
  get_func_ret: "int(ctx, mem[8]+uninit+aligned+write)",
  get_func_arg_cnt: "int(ctx)",
  get_retval: "int()",
  set_retval: "int(any)",
  xdp_get_buff_len: "int(btf)",
  xdp_load_bytes: "int(ctx, any, mem+uninit+write, size)",
  xdp_store_bytes: "int(ctx, any, mem+ro, size)",
  copy_from_user_task: "gs int(mem+uninit+write, size0, any, btf, any)",
  skb_set_tstamp: "int(ctx, any, any)",
  ima_file_hash: "s int(btf, mem+uninit+write, size)",
  kptr_xchg: "btf?(kptr_dest, btf+release?)",
  map_lookup_percpu_elem: "p value?(map, key, any)",
  skc_to_mptcp_sock: "btf?(sock_common)",
  dynptr_from_mem: "int(mem+uninit+write, size0, any, dynptr+uninit+local+write)",
  ringbuf_reserve_dynptr: "int(map, any, any, dynptr+uninit+ringbufdyn+write)",
  ringbuf_submit_dynptr: "void(dynptr+release+ringbufdyn, any)",
  ringbuf_discard_dynptr: "void(dynptr+release+ringbufdyn, any)",
  dynptr_read: "int(mem+uninit+write, size0, dynptr+ro, any, any)",
  dynptr_write: "int(dynptr+ro, any, mem+ro, size0, any)",
  dynptr_data: "mem?(dynptr+ro, any, alloc_size0)",
  tcp_raw_gen_syncookie_ipv4: "gp int(mem[20]+ro, mem+ro, size0)",
  tcp_raw_gen_syncookie_ipv6: "gp int(mem[40]+ro, mem+ro, size0)",
  tcp_raw_check_syncookie_ipv4: "gp int(mem[20]+ro, mem[20]+ro)",
  tcp_raw_check_syncookie_ipv6: "gp int(mem[40]+ro, mem[20]+ro)",
  ktime_get_tai_ns: "int()",
  user_ringbuf_drain: "int(map, func, stack?, any)",
  cgrp_storage_get: "value?(map, btf?, value?, any)",
  cgrp_storage_delete: "int(map, btf?)",
};

/** Prototypes that differ by program type: helper, then "types: prototype". */
const VARIANTS: Readonly<Record<string, readonly (readonly [readonly ProgType[], string])[]>> = {
  get_socket_cookie: [[[ProgType.TRACING, ProgType.SYSCALL, ProgType.LSM], "int(btf_sock_common?)"]],
  sk_storage_get: [
    [[ProgType.TRACING, ProgType.SYSCALL, ProgType.LSM], "value?(map, btf?, value?, any)"],
    [
      [
        ProgType.SCHED_CLS, ProgType.SCHED_ACT, ProgType.CGROUP_SKB, ProgType.SOCK_OPS, ProgType.SK_MSG,
        ProgType.CGROUP_SOCK_ADDR, ProgType.CGROUP_SOCKOPT, ProgType.STRUCT_OPS,
      ],
      "value?(map, btf_sock_common, value?, any)",
    ],
  ],
  sk_storage_delete: [[[ProgType.TRACING, ProgType.SYSCALL, ProgType.LSM], "int(map, btf?)"]],
  setsockopt: [
    [[ProgType.CGROUP_SOCKOPT, ProgType.LSM, ProgType.TRACING], "int(btf_sock_common, any, any, mem+ro, size)"],
  ],
  getsockopt: [
    [[ProgType.CGROUP_SOCKOPT, ProgType.LSM, ProgType.TRACING], "int(btf_sock_common, any, any, mem+uninit+write, size)"],
  ],
  get_cgroup_classid: [
    [
      [
        ProgType.CGROUP_SKB, ProgType.CGROUP_SOCK, ProgType.CGROUP_SOCK_ADDR, ProgType.CGROUP_SOCKOPT,
        ProgType.CGROUP_DEVICE, ProgType.CGROUP_SYSCTL, ProgType.SOCK_OPS, ProgType.SK_MSG,
      ],
      "int()",
    ],
  ],
  sk_assign: [[[ProgType.SK_LOOKUP], "int(ctx, sock?, any)"]],
  xdp_get_buff_len: [[[ProgType.XDP], "int(ctx)"]],
};

const BTF_ARGS: Readonly<Record<string, readonly (string | undefined)[]>> = {
  skb_output: ["sk_buff"],
  xdp_output: ["xdp_buff"],
  xdp_get_buff_len: ["xdp_buff"],
  tcp_send_ack: ["tcp_sock"],
  seq_printf: ["seq_file"],
  seq_write: ["seq_file"],
  seq_printf_btf: ["seq_file"],
  get_task_stack: ["task_struct"],
  inode_storage_get: [undefined, "inode"],
  inode_storage_delete: [undefined, "inode"],
  d_path: ["path"],
  task_storage_get: [undefined, "task_struct"],
  task_storage_delete: [undefined, "task_struct"],
  bprm_opts_set: ["linux_binprm"],
  ima_inode_hash: ["inode"],
  ima_file_hash: ["file"],
  sock_from_file: ["file"],
  task_pt_regs: ["task_struct"],
  find_vma: ["task_struct"],
  copy_from_user_task: [undefined, undefined, undefined, "task_struct"],
  cgrp_storage_get: [undefined, "cgroup"],
  cgrp_storage_delete: [undefined, "cgroup"],
  sk_storage_get: [undefined, "sock_common"],
  sk_storage_delete: [undefined, "sock_common"],
};

const BTF_RETURNS: Readonly<Record<string, string>> = {
  skc_to_tcp6_sock: "tcp6_sock",
  skc_to_tcp_sock: "tcp_sock",
  skc_to_tcp_timewait_sock: "tcp_timewait_sock",
  skc_to_tcp_request_sock: "tcp_request_sock",
  skc_to_udp6_sock: "udp6_sock",
  skc_to_unix_sock: "unix_sock",
  skc_to_mptcp_sock: "mptcp_sock",
  get_current_task_btf: "task_struct",
  sock_from_file: "socket",
  task_pt_regs: "pt_regs",
};

/** bpf_base_func_proto, with the helpers that tracing shares: all types have them. */
const BASE =
  "map_lookup_elem map_update_elem map_delete_elem ktime_get_ns trace_printk get_prandom_u32 " +
  "get_smp_processor_id tail_call get_current_pid_tgid get_current_uid_gid get_current_comm get_cgroup_classid " +
  "perf_event_read get_current_task current_task_under_cgroup get_numa_node_id perf_event_read_value " +
  "get_current_cgroup_id map_push_elem map_pop_elem map_peek_elem spin_lock spin_unlock strtol strtoul " +
  "send_signal probe_read_user probe_read_kernel probe_read_user_str probe_read_kernel_str send_signal_thread " +
  "jiffies64 get_ns_current_pid_tgid get_current_ancestor_cgroup_id ktime_get_boot_ns ringbuf_output " +
  "ringbuf_reserve ringbuf_submit ringbuf_discard ringbuf_query get_task_stack copy_from_user snprintf_btf " +
  "per_cpu_ptr this_cpu_ptr task_storage_get task_storage_delete get_current_task_btf for_each_map_elem snprintf " +
  "timer_init timer_set_callback timer_start timer_cancel task_pt_regs get_branch_snapshot trace_vprintk " +
  "find_vma loop strncmp copy_from_user_task kptr_xchg map_lookup_percpu_elem dynptr_from_mem " +
  "ringbuf_reserve_dynptr ringbuf_submit_dynptr ringbuf_discard_dynptr dynptr_read dynptr_write dynptr_data " +
  "ktime_get_tai_ns user_ringbuf_drain cgrp_storage_get cgrp_storage_delete";

/** Helpers that need CAP_PERFMON whatever the type. */
const PERFMON =
  "trace_printk get_current_comm perf_event_read get_current_task perf_event_read_value send_signal " +
  "probe_read_user probe_read_kernel probe_read_user_str probe_read_kernel_str send_signal_thread " +
  "skc_to_tcp6_sock skc_to_tcp_sock skc_to_tcp_timewait_sock skc_to_tcp_request_sock skc_to_udp6_sock " +
  "get_task_stack copy_from_user snprintf_btf get_current_task_btf snprintf sys_bpf task_pt_regs " +
  "get_branch_snapshot trace_vprintk skc_to_unix_sock find_vma copy_from_user_task skc_to_mptcp_sock";

const TO_SOCK =
  "skc_to_tcp6_sock skc_to_tcp_sock skc_to_tcp_timewait_sock skc_to_tcp_request_sock skc_to_udp6_sock " +
  "skc_to_unix_sock skc_to_mptcp_sock ktime_get_coarse_ns";
const LOOKUP = "sk_lookup_tcp sk_lookup_udp sk_release skc_lookup_tcp";
const LWT =
  "get_route_realm perf_event_output skb_load_bytes csum_diff skb_under_cgroup get_hash_recalc skb_pull_data " + TO_SOCK;
const COOKIES = "tcp_check_syncookie tcp_gen_syncookie tcp_raw_gen_syncookie_ipv4 tcp_raw_gen_syncookie_ipv6 " +
  "tcp_raw_check_syncookie_ipv4 tcp_raw_check_syncookie_ipv6";
const TRACE = "probe_read perf_event_output get_stackid probe_read_str get_stack get_func_ip get_attach_cookie";
const STORAGE = "sk_storage_get sk_storage_delete";
const TRACING =
  "probe_read perf_event_output get_stackid probe_read_str get_socket_cookie get_stack skb_output xdp_output d_path " +
  "sock_from_file get_func_ip xdp_get_buff_len skc_to_tcp6_sock skc_to_tcp_sock skc_to_tcp_timewait_sock " +
  "skc_to_tcp_request_sock skc_to_udp6_sock skc_to_unix_sock skc_to_mptcp_sock " + STORAGE;
const TC =
  "skb_store_bytes l3_csum_replace l4_csum_replace clone_redirect skb_vlan_push skb_vlan_pop skb_get_tunnel_key " +
  "skb_set_tunnel_key redirect get_route_realm perf_event_output skb_load_bytes csum_diff skb_get_tunnel_opt " +
  "skb_set_tunnel_opt skb_change_proto skb_change_type skb_under_cgroup get_hash_recalc skb_change_tail skb_pull_data " +
  "csum_update set_hash_invalid skb_change_head get_socket_cookie get_socket_uid set_hash skb_adjust_room " +
  "skb_get_xfrm_state skb_load_bytes_relative fib_lookup skb_cgroup_id skb_ancestor_cgroup_id sk_fullsock tcp_sock " +
  "skb_ecn_set_ce get_listener_sock get_netns_cookie sk_assign csum_level skb_cgroup_classid redirect_neigh " +
  `redirect_peer check_mtu skb_set_tstamp ${STORAGE} ${LOOKUP} ${COOKIES} ${TO_SOCK}`;

/** Helpers of each type beside BASE. */
const EXTRAS: Readonly<Record<number, string>> = {
  [ProgType.SOCKET_FILTER]:
    `perf_event_output skb_load_bytes get_socket_cookie get_socket_uid skb_load_bytes_relative get_netns_cookie ${TO_SOCK}`,
  [ProgType.KPROBE]: TRACE,
  [ProgType.TRACEPOINT]: TRACE,
  [ProgType.RAW_TRACEPOINT]: TRACE,
  [ProgType.RAW_TRACEPOINT_WRITABLE]: TRACE,
  [ProgType.PERF_EVENT]: `${TRACE} perf_prog_read_value read_branch_records`,
  [ProgType.SCHED_CLS]: TC,
  [ProgType.SCHED_ACT]: TC,
  [ProgType.XDP]:
    "redirect perf_event_output csum_diff xdp_adjust_head redirect_map xdp_adjust_meta xdp_adjust_tail fib_lookup " +
    `check_mtu xdp_get_buff_len xdp_load_bytes xdp_store_bytes ${LOOKUP} ${COOKIES} ${TO_SOCK}`,
  [ProgType.CGROUP_SKB]:
    "perf_event_output skb_load_bytes get_socket_cookie get_socket_uid skb_load_bytes_relative skb_cgroup_id " +
    "get_local_storage skb_ancestor_cgroup_id sk_fullsock tcp_sock skb_ecn_set_ce get_listener_sock get_netns_cookie " +
    `sk_cgroup_id sk_ancestor_cgroup_id ${STORAGE} ${LOOKUP} ${TO_SOCK}`,
  [ProgType.CGROUP_SOCK]:
    "perf_event_output get_socket_cookie get_local_storage sk_storage_get get_netns_cookie ktime_get_coarse_ns " +
    "get_retval set_retval",
  [ProgType.LWT_IN]: `lwt_push_encap ${LWT}`,
  [ProgType.LWT_OUT]: LWT,
  [ProgType.LWT_XMIT]:
    "skb_store_bytes l3_csum_replace l4_csum_replace clone_redirect skb_get_tunnel_key skb_set_tunnel_key redirect " +
    "skb_get_tunnel_opt skb_set_tunnel_opt skb_change_tail csum_update set_hash_invalid skb_change_head lwt_push_encap " +
    `csum_level ${LWT}`,
  [ProgType.LWT_SEG6LOCAL]: `lwt_seg6_store_bytes lwt_seg6_adjust_srh lwt_seg6_action ${LWT}`,
  [ProgType.SOCK_OPS]:
    "perf_event_output get_socket_cookie setsockopt sock_map_update getsockopt sock_ops_cb_flags_set sock_hash_update " +
    `get_local_storage tcp_sock get_netns_cookie load_hdr_opt store_hdr_opt reserve_hdr_opt ${STORAGE} ${TO_SOCK}`,
  [ProgType.SK_SKB]:
    "skb_store_bytes perf_event_output skb_load_bytes skb_change_tail skb_pull_data skb_change_head get_socket_cookie " +
    `get_socket_uid skb_adjust_room sk_redirect_map sk_redirect_hash ${LOOKUP} ${TO_SOCK}`,
  [ProgType.CGROUP_DEVICE]: "perf_event_output get_local_storage",
  [ProgType.SK_MSG]:
    "perf_event_output msg_redirect_map msg_apply_bytes msg_cork_bytes msg_pull_data msg_redirect_hash msg_push_data " +
    `msg_pop_data get_netns_cookie ${STORAGE} ${TO_SOCK}`,
  [ProgType.SK_REUSEPORT]:
    "skb_load_bytes get_socket_cookie skb_load_bytes_relative sk_select_reuseport ktime_get_coarse_ns",
  [ProgType.FLOW_DISSECTOR]: `skb_load_bytes ${TO_SOCK}`,
  [ProgType.CGROUP_SYSCTL]:
    "perf_event_output get_local_storage sysctl_get_name sysctl_get_current_value sysctl_get_new_value " +
    "sysctl_set_new_value ktime_get_coarse_ns",
  [ProgType.CGROUP_SOCKOPT]: `perf_event_output get_local_storage tcp_sock get_netns_cookie get_retval set_retval ${STORAGE}`,
  [ProgType.CGROUP_SOCK_ADDR]:
    "perf_event_output get_socket_cookie setsockopt getsockopt get_local_storage get_netns_cookie " +
    `${STORAGE} ${LOOKUP} ${TO_SOCK}`,
  [ProgType.SK_LOOKUP]: `perf_event_output sk_release sk_assign ${TO_SOCK}`,
  [ProgType.SYSCALL]: `${TRACING} sys_bpf btf_find_by_name_kind sys_close kallsyms_lookup_name`,
  [ProgType.TRACING]: TRACING,
  [ProgType.LSM]: `${TRACING} inode_storage_get inode_storage_delete bprm_opts_set ima_inode_hash ima_file_hash ` +
    "get_attach_cookie setsockopt getsockopt get_retval set_retval",
};

const SOCK_ADDR_RETVAL: readonly number[] = [
  AttachType.CGROUP_INET4_BIND, AttachType.CGROUP_INET6_BIND, AttachType.CGROUP_INET4_CONNECT,
  AttachType.CGROUP_INET6_CONNECT, AttachType.CGROUP_UDP4_SENDMSG, AttachType.CGROUP_UDP6_SENDMSG,
  AttachType.CGROUP_UNIX_CONNECT, AttachType.CGROUP_UNIX_SENDMSG,
];

/** Helpers that hang on the attach type. */
function attachExtras(type: number, attach: number): string {
  switch (type) {
    case ProgType.CGROUP_SOCK_ADDR: {
      const connect = attach === AttachType.CGROUP_INET4_CONNECT || attach === AttachType.CGROUP_INET6_CONNECT;
      return (connect ? "bind " : "") + (SOCK_ADDR_RETVAL.includes(attach) ? "get_retval set_retval" : "");
    }
    case ProgType.CGROUP_SYSCTL:
      return attach === AttachType.CGROUP_SYSCTL ? "get_retval set_retval" : "";
    case ProgType.CGROUP_DEVICE:
      return attach === AttachType.CGROUP_DEVICE ? "get_retval set_retval" : "";
    case ProgType.CGROUP_SOCKOPT:
      return attach === AttachType.CGROUP_SETSOCKOPT ? "setsockopt getsockopt" : "";
    case ProgType.TRACING:
      switch (attach) {
        case AttachType.TRACE_ITER:
          return "seq_printf seq_write seq_printf_btf";
        case AttachType.TRACE_RAW_TP:
          return "get_attach_cookie";
        default:
          return "get_attach_cookie get_func_arg get_func_ret get_func_arg_cnt";
      }
    default:
      return "";
  }
}

const HELPERS: Readonly<Record<string, number>> = Helper;

function helperSet(names: string): Set<number> {
  const ids = new Set<number>();
  for (const name of names.split(" ")) if (name !== "") ids.add(HELPERS[name]!);
  return ids;
}

const sets = new Map<string, Set<number>>();
let perfmon: Set<number> | undefined;

/** Whether programs of this type, attach type and capability have the helper. */
function helperAvailable(env: Env, id: number): boolean {
  const { type, attachType, caps } = env.spec;
  perfmon ??= helperSet(PERFMON);
  if (caps === "bpf" && perfmon.has(id)) return false;
  const key = `${type}:${attachType}`;
  let set = sets.get(key);
  if (set === undefined) {
    set = helperSet(`${BASE} ${EXTRAS[type] ?? ""} ${attachExtras(type, attachType)}`);
    sets.set(key, set);
  }
  return set.has(id);
}

function parseType(text: string, kinds: Readonly<Record<string, number>>): { type: number; size: number } {
  let rest = text;
  let type = 0;
  let size = 0;
  if (rest.endsWith("?")) {
    type |= PTR_MAYBE_NULL;
    rest = rest.slice(0, -1);
  }
  const [head, ...flags] = rest.split("+");
  for (const flag of flags) type |= FLAGS[flag]!;
  const bracket = head!.indexOf("[");
  if (bracket >= 0) {
    size = Number(head!.slice(bracket + 1, -1));
    type |= MEM_FIXED_SIZE;
  }
  return { type: type | kinds[bracket >= 0 ? head!.slice(0, bracket) : head!]!, size };
}

function parseProto(name: string, text: string): HelperProto {
  const open = text.indexOf("(");
  const head = text.slice(0, open).split(" ");
  const flags = head.length > 1 ? head[0]! : "";
  const args = text.slice(open + 1, -1).split(", ").filter((arg) => arg !== "").map((arg) => parseType(arg, ARG));
  return {
    gplOnly: flags.includes("g"),
    pktAccess: flags.includes("p"),
    mightSleep: flags.includes("s"),
    ret: parseType(head[head.length - 1]!, RET).type,
    args: args.map((arg) => arg.type),
    sizes: args.map((arg) => arg.size),
    btfArgs: BTF_ARGS[name] ?? [],
    btfRet: BTF_RETURNS[name],
  };
}

const parsed = new Map<string, HelperProto>();
let names: Map<number, string> | undefined;

/** get_helper_proto: undefined when programs of this type may not call it or no such helper exists. */
export function helperProto(env: Env, id: number): HelperProto | undefined {
  names ??= new Map(Object.keys(HELPERS).map((name) => [HELPERS[name]!, name]));
  const name = names.get(id);
  if (name === undefined || !helperAvailable(env, id)) return undefined;
  let text = PROTOS[name];
  if (text === undefined) return undefined;
  for (const [types, other] of VARIANTS[name] ?? []) if (types.includes(env.spec.type)) text = other;
  const key = `${name} ${text}`;
  let proto = parsed.get(key);
  if (proto === undefined) {
    proto = parseProto(name, text);
    parsed.set(key, proto);
  }
  return proto;
}

export const protoArgCount = (proto: HelperProto): number => proto.args.length;

/** __BPF_FUNC_MAX_ID. */
export const HELPER_MAX = 212;

/** bpf_helper_changes_pkt_data: packet pointers are invalid afterwards. */
export function helperChangesPacket(id: number): boolean {
  switch (id) {
    case Helper.clone_redirect:
    case Helper.l3_csum_replace:
    case Helper.l4_csum_replace:
    case Helper.lwt_push_encap:
    case Helper.lwt_seg6_action:
    case Helper.lwt_seg6_adjust_srh:
    case Helper.lwt_seg6_store_bytes:
    case Helper.msg_pop_data:
    case Helper.msg_pull_data:
    case Helper.msg_push_data:
    case Helper.skb_adjust_room:
    case Helper.skb_change_head:
    case Helper.skb_change_proto:
    case Helper.skb_change_tail:
    case Helper.skb_pull_data:
    case Helper.skb_store_bytes:
    case Helper.skb_vlan_pop:
    case Helper.skb_vlan_push:
    case Helper.store_hdr_opt:
    case Helper.xdp_adjust_head:
    case Helper.xdp_adjust_meta:
    case Helper.xdp_adjust_tail:
    case Helper.tail_call:
      return true;
    default:
      return false;
  }
}

/** is_sync_callback_calling_function. */
export const isSyncCallbackHelper = (id: number): boolean =>
  id === Helper.for_each_map_elem || id === Helper.find_vma || id === Helper.loop || id === Helper.user_ringbuf_drain;

/** is_async_callback_calling_function. */
export const isAsyncCallbackHelper = (id: number): boolean => id === Helper.timer_set_callback;
