// The structures, tracepoints and functions of Linux that programs read by CO-RE, as src/bpf/kernel-types.generated.ts, from the BTF of a
// running Linux 6.18 (x86-64): node scripts/generate-bpf-types.mjs [/sys/kernel/btf/vmlinux]. Small ones whole, large ones with the members
// listed here; offsets and sizes are the kernel's own, so that programs compute the same numbers here and there.
import { readFileSync, writeFileSync } from "node:fs";
import { importTs } from "./lib/run-ts.mjs";

const root = new URL("../", import.meta.url);
const words = (text) => text.split(/\s+/).filter((word) => word !== "");

const WHOLE = words(`
  sk_buff sk_buff_head skb_shared_info possible_net_t sock_common kuid_t kgid_t kernel_cap_t nsproxy upid new_utsname xdp_buff
  xdp_txq_info xdp_frame xdp_mem_info iphdr ipv6hdr ethhdr tcphdr udphdr icmphdr icmp6hdr arphdr vlan_hdr vlan_ethhdr in6_addr in_addr
  sockaddr sockaddr_in sockaddr_in6 nf_conntrack nf_conntrack_zone nf_conntrack_tuple_hash nf_conntrack_tuple nf_conntrack_man
  nf_inet_addr nf_conntrack_man_proto nf_hook_state bpf_nf_ctx bpf_ct_opts pt_regs fred_cs fred_ss __sk_buff xdp_md bpf_sock
  bpf_sock_addr bpf_sock_ops bpf_sk_lookup sk_msg_md sk_reuseport_md bpf_sockopt bpf_sysctl bpf_cgroup_dev_ctx bpf_perf_event_data
  bpf_fib_lookup bpf_tunnel_key bpf_tcp_sock bpf_sock_tuple bpf_redir_neigh bpf_flow_keys bpf_raw_tracepoint_args bpf_pidns_info
  bpf_spin_lock bpf_res_spin_lock bpf_timer bpf_wq bpf_dynptr bpf_list_head bpf_list_node bpf_rb_root bpf_rb_node bpf_refcount
  bpf_iter_num bpf_devmap_val bpf_cpumap_val bpf_lpm_trie_key_u8 bpf_lpm_trie_key_hdr qstr path list_head hlist_node hlist_nulls_node
  rb_node rb_root rb_root_cached refcount_t atomic_t atomic64_t hlist_head callback_head skb_shared_hwtstamps kref refcount_struct
  trace_entry trace_event_raw_kfree_skb trace_event_raw_consume_skb trace_event_raw_net_dev_template trace_event_raw_net_dev_xmit
  trace_event_raw_net_dev_start_xmit trace_event_raw_inet_sock_set_state trace_event_raw_tcp_retransmit_skb trace_event_raw_tcp_event_sk
  trace_event_raw_sys_enter trace_event_raw_sys_exit trace_event_raw_sched_switch trace_event_raw_sched_wakeup_template
  trace_event_raw_sched_process_exec trace_event_raw_sched_process_exit trace_event_raw_sched_process_template
  trace_event_raw_sched_process_fork trace_event_raw_xdp_exception trace_event_raw_tcp_probe trace_event_raw_icmp_send
  trace_event_raw_fib_table_lookup trace_event_raw_neigh_update trace_event_raw_sock_exceed_buf_limit
  trace_event_raw_udp_fail_queue_rcv_skb bpf_iter_meta bpf_iter__task bpf_iter__tcp bpf_iter__udp bpf_iter__bpf_map
  bpf_iter__bpf_map_elem bpf_iter__bpf_prog bpf_iter__bpf_sk_storage_map bpf_iter__sockmap bpf_iter__netlink tcp_congestion_ops
  rate_sample ack_sample minmax minmax_sample flowi4 fib_result
`);

const PARTS = {
  net_device: `
    name ifindex mtu flags priv_flags type hard_header_len addr_len dev_addr perm_addr nd_net operstate num_rx_queues real_num_rx_queues
    num_tx_queues real_num_tx_queues features tx_queue_len group ip_ptr ifalias min_mtu max_mtu state promiscuity allmulti link_mode
    xdp_prog qdisc needed_headroom needed_tailroom broadcast`,
  net: "net_cookie ns hash_mix loopback_dev ifindex",
  ns_common: "inum ops",
  sock: `
    __sk_common sk_rcvbuf sk_sndbuf sk_wmem_queued sk_wmem_alloc sk_mark sk_priority sk_protocol sk_type sk_uid sk_err sk_err_soft
    sk_socket sk_forward_alloc sk_max_ack_backlog sk_ack_backlog sk_shutdown sk_gso_type sk_gso_max_size sk_pacing_rate
    sk_max_pacing_rate sk_rcvlowat sk_drops sk_ino sk_user_data sk_kern_sock sk_backlog sk_receive_queue sk_write_queue sk_rx_dst
    sk_dst_cache sk_rcvtimeo sk_sndtimeo sk_stamp sk_omem_alloc sk_route_caps`,
  inet_sock: "sk pinet6 inet_saddr inet_sport inet_id uc_ttl tos min_ttl mc_ttl pmtudisc rcv_tos",
  inet_connection_sock: `
    icsk_inet icsk_rto icsk_rto_min icsk_ca_state icsk_retransmits icsk_backoff icsk_pending icsk_pmtu_cookie icsk_ca_ops
    icsk_syn_retries icsk_probes_out icsk_user_timeout icsk_bind_hash icsk_ulp_ops icsk_af_ops`,
  tcp_sock: `
    inet_conn snd_cwnd snd_ssthresh srtt_us mdev_us mdev_max_us rttvar_us packets_out retrans_out snd_nxt snd_una snd_sml rcv_nxt rcv_wnd
    rcv_wup rcv_ssthresh snd_wnd max_window mss_cache advmss bytes_acked bytes_received bytes_sent bytes_retrans segs_in segs_out
    data_segs_in data_segs_out total_retrans lost_out sacked_out lost delivered delivered_ce write_seq pushed_seq copied_seq
    tcp_header_len snd_cwnd_cnt snd_cwnd_clamp snd_cwnd_stamp prior_cwnd prior_ssthresh tcp_mstamp tcp_clock_cache lsndtime rcv_tstamp
    retrans_stamp undo_marker undo_retrans reordering keepalive_time keepalive_intvl window_clamp urg_data app_limited rate_delivered
    rate_interval_us rtt_min notsent_lowat ecn_flags`,
  tcp6_sock: "tcp",
  udp_sock: "inet pending encap_type len",
  udp6_sock: "udp",
  ipv6_pinfo: "saddr hop_limit mcast_hops tclass",
  tcp_request_sock: "req rcv_isn snt_isn txhash rcv_nxt",
  inet_request_sock: "req ir_mark snd_wscale rcv_wscale",
  request_sock: "__req_common sk ts_recent timeout mss num_retrans num_timeout",
  tcp_timewait_sock: "tw_sk tw_rcv_wnd",
  inet_timewait_sock: "__tw_common tw_substate tw_mark tw_sport",
  task_struct: `
    pid tgid comm real_parent parent group_leader cred real_cred nsproxy mm start_time start_boottime flags __state exit_code exit_signal
    utime stime prio static_prio normal_prio rt_priority cgroups signal files fs loginuid sessionid nvcsw nivcsw thread_pid on_cpu policy
    exit_state stack jobctl personality recent_used_cpu wake_cpu min_flt maj_flt tasks ptrace`,
  cred: "uid gid suid sgid euid egid fsuid fsgid securebits cap_inheritable cap_permitted cap_effective user_ns",
  css_set: "dfl_cgrp",
  cgroup: "self flags level max_depth kn",
  cgroup_subsys_state: "cgroup id serial_nr",
  kernfs_node: "id name mode",
  pid: "level numbers",
  pid_namespace: "level ns",
  user_namespace: "level owner group ns",
  uts_namespace: "name ns",
  signal_struct: "live nr_threads",
  mnt_namespace: "ns",
  ipc_namespace: "ns",
  cgroup_namespace: "ns",
  xdp_rxq_info: "dev queue_index reg_state frag_size",
  nf_conn: "ct_general timeout zone tuplehash status ct_net mark secmark master",
  bpf_map: "map_type key_size value_size max_entries map_extra map_flags id name",
  bpf_prog: "type expected_attach_type len jited_len tag",
  bpf_prog_aux: "id name",
  sk_msg: "data data_end apply_bytes cork_bytes flags sk sk_redir",
  sk_psock: "sk apply_bytes eval",
  socket: "state type flags file sk",
  file: "f_flags f_mode f_inode f_pos private_data",
  inode: "i_mode i_uid i_gid i_ino i_size i_rdev",
  linux_binprm: "filename interp argc envc file",
  dentry: "d_name d_inode d_parent",
  skb_frag: "len offset",
  seq_file: "count size",
  msghdr: "msg_name msg_namelen msg_flags",
  proto: "name",
  neighbour: "ha dev nud_state",
};

const ENUMS = words(`
  skb_drop_reason xdp_action sock_type nf_inet_hooks nf_ip_trace_comments tcp_ca_state bpf_ret_code bpf_adj_room_mode bpf_hdr_start_off
  skb_tstamp_type pid_type ip_conntrack_info ip_conntrack_dir ip_conntrack_status bpf_cgroup_iter_order rx_handler_result xdp_buff_flags
  tcx_action_base bpf_lwt_encap_mode bpf_check_mtu_ret bpf_stack_build_id_status bpf_task_fd_type
`);

const TRACEPOINTS = words(`
  kfree_skb consume_skb netif_receive_skb netif_rx net_dev_queue net_dev_xmit net_dev_start_xmit inet_sock_set_state tcp_retransmit_skb
  tcp_send_reset tcp_receive_reset tcp_destroy_sock tcp_probe tcp_rcv_space_adjust tcp_retransmit_synack sock_exceed_buf_limit
  sock_rcvqueue_full udp_fail_queue_rcv_skb sys_enter sys_exit sched_switch sched_wakeup sched_wakeup_new sched_process_exec
  sched_process_exit sched_process_fork xdp_exception xdp_redirect xdp_redirect_err icmp_send fib_table_lookup neigh_update neigh_create
  skb_copy_datagram_iovec napi_poll tcp_bad_csum tcp_cong_state_set inet_sk_error_report qdisc_dequeue qdisc_enqueue
`);

const FUNCTIONS = words(`
  ip_rcv ip_rcv_core ip_rcv_finish ip_local_deliver ip_local_deliver_finish ip_forward ip_output ip_finish_output ip_finish_output2
  ip_local_out __ip_local_out ip_queue_xmit __ip_queue_xmit ip_send_skb ip_mc_output ip_do_fragment ip_defrag ip_route_input_noref
  ip_route_output_key_hash ipv6_rcv ip6_input ip6_forward ip6_output ip6_finish_output ip6_xmit __dev_queue_xmit dev_hard_start_xmit
  netif_receive_skb __netif_receive_skb_core netif_rx br_handle_frame br_forward vxlan_rcv vxlan_xmit veth_xmit arp_rcv arp_send
  arp_process icmp_rcv __icmp_send icmp_reply icmpv6_rcv neigh_resolve_output tcp_v4_connect tcp_v6_connect tcp_v4_rcv tcp_v6_rcv
  tcp_v4_do_rcv tcp_rcv_established tcp_rcv_state_process tcp_sendmsg tcp_recvmsg tcp_close tcp_set_state tcp_connect tcp_retransmit_skb
  tcp_write_xmit __tcp_transmit_skb tcp_v4_send_reset tcp_send_fin tcp_reset tcp_ack tcp_data_queue tcp_conn_request tcp_v4_syn_recv_sock
  tcp_drop_reason tcp_done inet_csk_accept inet_csk_listen_start inet_listen inet_bind inet_accept inet_stream_connect inet_release
  udp_sendmsg udp_recvmsg udp_rcv udpv6_sendmsg udp_queue_rcv_skb udp_destroy_sock ping_rcv raw_sendmsg nf_hook_slow nf_conntrack_in
  nf_nat_inet_fn ipt_do_table ip6t_do_table nft_do_chain __nf_conntrack_confirm sk_skb_reason_drop consume_skb skb_clone __kfree_skb
  kfree_skb_list_reason security_socket_connect security_socket_bind security_socket_create security_socket_sendmsg fib_table_lookup
  __fib_lookup sk_alloc sk_free sock_def_readable wake_up_new_task do_exit tcf_classify __sys_connect __sys_bind __sys_accept4
  __sys_socket __sys_sendto __sys_recvfrom do_unlinkat bpf_fentry_test1 bpf_fentry_test2 bpf_fentry_test3 bpf_fentry_test4
  bpf_fentry_test5 bpf_fentry_test6 bpf_fentry_test7 bpf_fentry_test8 bpf_fentry_test9 bpf_modify_return_test bpf_lsm_socket_connect
  bpf_lsm_socket_bind bpf_lsm_socket_create bpf_lsm_socket_sendmsg bpf_lsm_socket_recvmsg bpf_lsm_socket_listen bpf_lsm_file_open
  bpf_lsm_bprm_check_security bpf_lsm_task_alloc bpf_iter_task bpf_iter_tcp bpf_iter_udp bpf_iter_bpf_map bpf_iter_bpf_map_elem bpf_iter_bpf_prog bpf_iter_sockmap
`);

const INTS = {
  "long unsigned int": "unsigned long", "long int": "long", "short unsigned int": "unsigned short", "short int": "short",
  "long long unsigned int": "unsigned long long", "long long int": "long long",
};
const WIDTH = 138;

const { parseBtf, BtfKind: K } = await importTs(root, "src/bpf/btf.ts");
const btf = parseBtf(readFileSync(process.argv[2] ?? "/sys/kernel/btf/vmlinux"));
const wanted = new Map([...WHOLE.map((name) => [name, undefined]), ...Object.entries(PARTS).map(([name, list]) => [name, new Set(words(list))])]);
const simple = [];
const structs = [];
const prototypes = [];
const done = new Set();

const isComposite = (type) => type !== undefined && (type.kind === K.STRUCT || type.kind === K.UNION);
const wordOf = (type) => (type.kind === K.STRUCT ? "struct" : "union");
const structOf = (name) => btf.find(name, K.STRUCT) || btf.find(name, K.UNION);

/** The typedef that names an anonymous structure. */
function typedefOf(id) {
  for (let type = btf.type(id); type !== undefined; type = btf.type(type.type ?? 0)) {
    if (type.kind === K.TYPEDEF && isComposite(btf.resolved(id)) && btf.resolved(id).name === "") return type.name;
    if (![K.CONST, K.VOLATILE, K.RESTRICT, K.TYPE_TAG, K.TYPEDEF].includes(type.kind)) return undefined;
  }
  return undefined;
}

/** Whether a member of this type can stand in a structure by value. */
function isKnown(id) {
  const type = btf.resolved(id);
  if (type === undefined) return false;
  if (type.kind === K.ARRAY) return isKnown(type.element);
  if (!isComposite(type)) return [K.INT, K.PTR, K.ENUM, K.ENUM64].includes(type.kind);
  if (type.name !== "") return wanted.has(type.name);
  const name = typedefOf(id);
  return name === undefined || wanted.has(name);
}

/** `type name`, as C writes it. */
function declare(id, name) {
  const type = btf.type(id);
  if (type === undefined) return `void ${name}`.trim();
  switch (type.kind) {
    case K.INT:
      return `${INTS[type.name] ?? type.name} ${name}`.trim();
    case K.ENUM:
    case K.ENUM64:
      if (type.name === "") return `unsigned int ${name}`.trim();
      addEnum(type.name);
      return `enum ${type.name} ${name}`.trim();
    case K.STRUCT:
    case K.UNION:
      if (type.name === "") return `${body(id, wordOf(type), undefined).replace(/\n\s*/g, " ")} ${name}`.trim();
      addStruct(type.name);
      return `${wordOf(type)} ${type.name} ${name}`.trim();
    case K.FWD:
      return `${type.kflag ? "union" : "struct"} ${type.name} ${name}`.trim();
    case K.TYPEDEF: {
      const target = btf.resolved(id);
      if (target?.kind !== K.INT && !isComposite(target)) return declare(type.type, name);
      addTypedef(type.name, id);
      return `${type.name} ${name}`.trim();
    }
    case K.PTR: {
      const target = btf.resolved(type.type);
      const nameless = isComposite(target) && target.name === "" && !wanted.has(typedefOf(type.type));
      if (target?.kind === K.FUNC_PROTO || target?.kind === K.ARRAY || nameless) return `void *${name}`;
      return declare(type.type, `*${name}`);
    }
    case K.ARRAY:
      return declare(type.element, `${name}[${type.count}]`);
    default:
      return declare(type.type, name);
  }
}

function addTypedef(name, id) {
  if (done.has(`typedef ${name}`)) return;
  done.add(`typedef ${name}`);
  const target = btf.resolved(id);
  if (target.kind === K.INT) simple.push(`typedef ${declare(btf.type(id).type, name)};`);
  else if (target.name === "") structs.push(`typedef ${body(btf.resolve(id), wordOf(target), wanted.get(name))} ${name};`);
  else {
    addStruct(target.name);
    structs.push(`typedef ${wordOf(target)} ${target.name} ${name};`);
  }
}

function addEnum(name) {
  // Those are made of the numbers in uapi.ts.
  if (done.has(`enum ${name}`) || /^bpf_(map_type|prog_type|attach_type|func_id)$/.test(name)) return;
  done.add(`enum ${name}`);
  let next = 0n;
  const values = btf.type(btf.find(name, K.ENUM) || btf.find(name, K.ENUM64)).values.map((value) => {
    const text = value.value === next ? value.name : `${value.name} = ${value.value}`;
    next = value.value + 1n;
    return text;
  });
  simple.push(`enum ${name} { ${values.join(", ")} };`);
}

function addStruct(name) {
  if (done.has(name) || !wanted.has(name)) return;
  done.add(name);
  const id = structOf(name);
  if (id === 0) throw new Error(`struct ${name}: not in this kernel`);
  structs.push(`${body(id, `${wordOf(btf.type(id))} ${name}`, wanted.get(name))};`);
}

/** `head [size] { members with their offsets }`; `names` undefined: all. */
function body(id, head, names) {
  const found = new Set();
  const has = ({ name, type }) => names === undefined || (name !== "" ? names.has(name) : (btf.resolved(type)?.members ?? []).some(has));
  const lines = (type) => type.members.filter(has).flatMap((member) => {
    const own = btf.resolved(member.type);
    const at = `@${Math.floor(member.offset / 8)}${member.offset % 8 === 0 ? "" : `.${member.offset % 8}`}`;
    if (member.name === "") {
      const inner = isComposite(own) ? lines(own) : [];
      return inner.length === 0 ? [] : [`${wordOf(own)} [${own.size}] { ${inner.join(" ")} } ${at};`];
    }
    found.add(member.name);
    if (!isKnown(member.type)) {
      if (names === undefined) return [];
      throw new Error(`${head}.${member.name}: of a type that is not taken over`);
    }
    return [`${declare(member.type, member.name)}${member.bits > 0 ? ` : ${member.bits}` : ""} ${at};`];
  });
  const type = btf.type(id);
  const text = lines(type).join(" ");
  for (const name of names ?? []) if (!found.has(name)) throw new Error(`${head}.${name}: not in this kernel`);
  return `${head} [${type.size}] {\n  ${text}\n}`;
}

const parameters = (proto) => proto.params.map(({ type, name }) => (type === 0 ? "..." : declare(type, name))).join(", ") || "void";

function wrap(text) {
  return text.split("\n").flatMap((line) => {
    const indent = /^ */.exec(line)[0];
    const rows = [];
    let row = indent;
    for (const word of line.trim().split(" ")) {
      if (row.length + word.length + 1 > WIDTH && row.trim() !== "") {
        rows.push(row);
        row = indent === "" ? "  " : indent;
      }
      row += `${row.trim() === "" ? "" : " "}${word}`;
    }
    return [...rows, row];
  }).join("\n");
}

for (const name of wanted.keys()) {
  const typedef = btf.find(name, K.TYPEDEF);
  if (structOf(name) !== 0 || typedef === 0) addStruct(name);
  else addTypedef(name, typedef);
}
for (const name of ENUMS) addEnum(name);
for (const name of TRACEPOINTS) {
  const proto = btf.type(btf.type(btf.type(btf.find(`btf_trace_${name}`, K.TYPEDEF)).type).type);
  prototypes.push(`typedef ${declare(proto.type, `(*btf_trace_${name})`)}(${parameters(proto)});`);
}
for (const name of FUNCTIONS) {
  const id = btf.find(name, K.FUNC);
  if (id === 0) throw new Error(`function ${name}: not in this kernel`);
  const proto = btf.type(btf.type(id).type);
  prototypes.push(`${declare(proto.type, name)}(${parameters(proto)});`);
}
const text = [...simple, ...structs, ...prototypes].map(wrap).join("\n");
writeFileSync(new URL("src/bpf/kernel-types.generated.ts", root),
  `// Written by scripts/generate-bpf-types.mjs from the BTF of Linux 6.18 for x86-64: names, offsets and sizes.\nexport const KERNEL_TYPES = \`\n${text}\n\`;\n`);
