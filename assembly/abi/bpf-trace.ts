// Numbers that the kernel and its driver share: tracing programs (commands 0x4a0.. of OP_BPF).

/**
 * {u32 program, u32 point TRACE_*, u32 TRACE_AT_RETURN or 0, u32 -, u64 cookie}: the program runs at the point from now on; returns a link's handle.
 * -EINVAL: no such point, or no program for it; -E2BIG.
 */
export const BPF_TRACE_ATTACH: u32 = 0x4a0;
/** {u32 count, u16[] reasons}: enum skb_drop_reason by DROP_*, for kfree_skb. */
export const BPF_TRACE_REASONS: u32 = 0x4a1;
/** {}: answer = u64 programs that did not run because one was running. */
export const BPF_TRACE_STATS: u32 = 0x4a2;
/**
 * {u32 point, u32 bytes, u64 id of a task, record}: something happened outside of the kernel (a container's program began), told as the tracepoint's
 * record from behind its trace_entry.
 */
export const BPF_TRACE_EMIT: u32 = 0x4a3;

/** At the function's end instead of its beginning. */
export const TRACE_AT_RETURN: u32 = 1;

// Tracepoints: events/CATEGORY/NAME.
export const TRACE_KFREE_SKB: u32 = 1; // skb:kfree_skb
export const TRACE_CONSUME_SKB: u32 = 2; // skb:consume_skb
export const TRACE_NETIF_RECEIVE_SKB: u32 = 3; // net:netif_receive_skb
export const TRACE_NET_DEV_QUEUE: u32 = 4; // net:net_dev_queue
export const TRACE_NET_DEV_XMIT: u32 = 5; // net:net_dev_xmit
export const TRACE_INET_SOCK_SET_STATE: u32 = 6; // sock:inet_sock_set_state
export const TRACE_TCP_RETRANSMIT_SKB: u32 = 7; // tcp:tcp_retransmit_skb
export const TRACE_SCHED_PROCESS_EXEC: u32 = 8; // sched:sched_process_exec
export const TRACE_SCHED_PROCESS_EXIT: u32 = 9; // sched:sched_process_exit
export const TRACE_SCHED_PROCESS_FORK: u32 = 10; // sched:sched_process_fork
// syscalls:sys_enter_NAME; sys_exit_NAME are TRACE_SYS_EXIT above them.
export const TRACE_SYS_SOCKET: u32 = 12;
export const TRACE_SYS_BIND: u32 = 13;
export const TRACE_SYS_CONNECT: u32 = 14;
export const TRACE_SYS_LISTEN: u32 = 15;
export const TRACE_SYS_ACCEPT4: u32 = 16;
export const TRACE_SYS_SENDTO: u32 = 17;
export const TRACE_SYS_RECVFROM: u32 = 18;
export const TRACE_SYS_SHUTDOWN: u32 = 19;
export const TRACE_SYS_CLOSE: u32 = 20;
export const TRACE_SYS_EXIT: u32 = 9; // TRACE_SYS_SOCKET + this: sys_exit_socket
// Functions: kprobes, fentry.
export const TRACE_IP_RCV: u32 = 32;
export const TRACE_IP_FORWARD: u32 = 33;
export const TRACE_IP_LOCAL_DELIVER: u32 = 34;
export const TRACE_IP_OUTPUT: u32 = 35;
export const TRACE_IP_LOCAL_OUT: u32 = 36; // __ip_local_out
export const TRACE_DEV_QUEUE_XMIT: u32 = 37; // __dev_queue_xmit
export const TRACE_NF_HOOK_SLOW: u32 = 38;
export const TRACE_TCP_V4_RCV: u32 = 39;
export const TRACE_UDP_RCV: u32 = 40;
export const TRACE_ICMP_RCV: u32 = 41;
export const TRACE_ARP_RCV: u32 = 42;
export const TRACE_IPV6_RCV: u32 = 43;
export const TRACE_TCP_V4_CONNECT: u32 = 44;
export const TRACE_TCP_SENDMSG: u32 = 45;
export const TRACE_UDP_SENDMSG: u32 = 46;
export const TRACE_TCP_SET_STATE: u32 = 47;
export const TRACE_TCP_CLOSE: u32 = 48;
export const TRACE_TCP_RETRANSMIT: u32 = 49; // tcp_retransmit_skb
export const TRACE_POINTS: u32 = 64;

// Where Linux 6.18 for x86-64 has the members that programs read: the copies that they are given are laid out so (src/bpf/kernel-types.generated.ts).
export const SKBUFF_DEV: u32 = 16;
export const SKBUFF_SK: u32 = 24;
export const SKBUFF_TSTAMP: u32 = 32;
export const SKBUFF_LEN: u32 = 112;
export const SKBUFF_MAC_LEN: u32 = 120;
export const SKBUFF_PKT_TYPE: u32 = 128; // three bits
export const SKBUFF_PRIORITY: u32 = 140;
export const SKBUFF_IIF: u32 = 144;
export const SKBUFF_VLAN_PROTO: u32 = 152;
export const SKBUFF_VLAN_TCI: u32 = 154;
export const SKBUFF_MARK: u32 = 164;
export const SKBUFF_PROTOCOL: u32 = 176;
export const SKBUFF_TRANSPORT: u32 = 178;
export const SKBUFF_NETWORK: u32 = 180;
export const SKBUFF_MAC: u32 = 182;
export const SKBUFF_TAIL: u32 = 184;
export const SKBUFF_END: u32 = 188;
export const SKBUFF_HEAD: u32 = 192;
export const SKBUFF_DATA: u32 = 200;
export const SKBUFF_TRUESIZE: u32 = 208;
export const SKBUFF_USERS: u32 = 212;
export const SKBUFF_BYTES: u32 = 224;
export const NETDEV_MTU: u32 = 56;
export const NETDEV_FLAGS: u32 = 176;
export const NETDEV_IFINDEX: u32 = 224;
export const NETDEV_NET: u32 = 264;
export const NETDEV_NAME: u32 = 280;
export const NETDEV_TYPE: u32 = 536;
export const NETDEV_ADDR_LEN: u32 = 808;
export const NETDEV_ADDR: u32 = 968;
export const NETDEV_BYTES: u32 = 2496;
export const NET_INUM: u32 = 176;
export const NET_COOKIE: u32 = 4160;
export const NET_BYTES: u32 = 4288;
export const KSOCK_DADDR: u32 = 0;
export const KSOCK_RCV_SADDR: u32 = 4;
export const KSOCK_DPORT: u32 = 12; // network order
export const KSOCK_NUM: u32 = 14; // host order
export const KSOCK_FAMILY: u32 = 16;
export const KSOCK_STATE: u32 = 18;
export const KSOCK_NET: u32 = 48;
export const KSOCK_V6_DADDR: u32 = 56;
export const KSOCK_V6_RCV_SADDR: u32 = 72;
export const KSOCK_MARK: u32 = 524;
export const KSOCK_UID: u32 = 528;
export const KSOCK_PROTOCOL: u32 = 532;
export const KSOCK_TYPE: u32 = 534;
export const KSOCK_SPORT: u32 = 814; // inet_sport of inet_sock, network order
export const KSOCK_BYTES: u32 = 2304; // of tcp_sock
