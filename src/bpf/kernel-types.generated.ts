// Written by scripts/generate-bpf-types.mjs from the BTF of Linux 6.18 for x86-64: names, offsets and sizes.
export const KERNEL_TYPES = `
typedef unsigned long long __u64;
typedef __u64 u64;
typedef u64 netdev_features_t;
typedef unsigned int __u32;
typedef __u32 u32;
typedef unsigned char __u8;
typedef __u8 u8;
typedef __u64 __addrpair;
typedef __u32 __be32;
typedef unsigned short __u16;
typedef __u32 __portpair;
typedef __u16 __be16;
typedef long long __s64;
typedef __s64 s64;
typedef unsigned int fmode_t;
typedef unsigned short umode_t;
typedef unsigned int __kernel_uid32_t;
typedef __kernel_uid32_t uid_t;
typedef unsigned int __kernel_gid32_t;
typedef __kernel_gid32_t gid_t;
typedef u32 __kernel_dev_t;
typedef __kernel_dev_t dev_t;
typedef long long __kernel_loff_t;
typedef __kernel_loff_t loff_t;
typedef __u16 u16;
typedef s64 ktime_t;
typedef __u32 __wsum;
typedef unsigned int sk_buff_data_t;
enum xdp_mem_type { MEM_TYPE_PAGE_SHARED, MEM_TYPE_PAGE_ORDER0, MEM_TYPE_PAGE_POOL, MEM_TYPE_XSK_BUFF_POOL, MEM_TYPE_MAX };
typedef __u16 __sum16;
typedef unsigned short __kernel_sa_family_t;
typedef __kernel_sa_family_t sa_family_t;
typedef u16 u_int16_t;
typedef u8 u_int8_t;
typedef int __s32;
typedef __s32 s32;
enum skb_drop_reason { SKB_NOT_DROPPED_YET, SKB_CONSUMED, SKB_DROP_REASON_NOT_SPECIFIED, SKB_DROP_REASON_NO_SOCKET,
  SKB_DROP_REASON_SOCKET_CLOSE, SKB_DROP_REASON_SOCKET_FILTER, SKB_DROP_REASON_SOCKET_RCVBUFF, SKB_DROP_REASON_UNIX_DISCONNECT,
  SKB_DROP_REASON_UNIX_SKIP_OOB, SKB_DROP_REASON_PKT_TOO_SMALL, SKB_DROP_REASON_TCP_CSUM, SKB_DROP_REASON_UDP_CSUM,
  SKB_DROP_REASON_NETFILTER_DROP, SKB_DROP_REASON_OTHERHOST, SKB_DROP_REASON_IP_CSUM, SKB_DROP_REASON_IP_INHDR,
  SKB_DROP_REASON_IP_RPFILTER, SKB_DROP_REASON_UNICAST_IN_L2_MULTICAST, SKB_DROP_REASON_XFRM_POLICY, SKB_DROP_REASON_IP_NOPROTO,
  SKB_DROP_REASON_PROTO_MEM, SKB_DROP_REASON_TCP_AUTH_HDR, SKB_DROP_REASON_TCP_MD5NOTFOUND, SKB_DROP_REASON_TCP_MD5UNEXPECTED,
  SKB_DROP_REASON_TCP_MD5FAILURE, SKB_DROP_REASON_TCP_AONOTFOUND, SKB_DROP_REASON_TCP_AOUNEXPECTED, SKB_DROP_REASON_TCP_AOKEYNOTFOUND,
  SKB_DROP_REASON_TCP_AOFAILURE, SKB_DROP_REASON_SOCKET_BACKLOG, SKB_DROP_REASON_TCP_FLAGS, SKB_DROP_REASON_TCP_ABORT_ON_DATA,
  SKB_DROP_REASON_TCP_ZEROWINDOW, SKB_DROP_REASON_TCP_OLD_DATA, SKB_DROP_REASON_TCP_OVERWINDOW, SKB_DROP_REASON_TCP_OFOMERGE,
  SKB_DROP_REASON_TCP_RFC7323_PAWS, SKB_DROP_REASON_TCP_RFC7323_PAWS_ACK, SKB_DROP_REASON_TCP_RFC7323_TW_PAWS,
  SKB_DROP_REASON_TCP_RFC7323_TSECR, SKB_DROP_REASON_TCP_LISTEN_OVERFLOW, SKB_DROP_REASON_TCP_OLD_SEQUENCE,
  SKB_DROP_REASON_TCP_INVALID_SEQUENCE, SKB_DROP_REASON_TCP_INVALID_END_SEQUENCE, SKB_DROP_REASON_TCP_INVALID_ACK_SEQUENCE,
  SKB_DROP_REASON_TCP_RESET, SKB_DROP_REASON_TCP_INVALID_SYN, SKB_DROP_REASON_TCP_CLOSE, SKB_DROP_REASON_TCP_FASTOPEN,
  SKB_DROP_REASON_TCP_OLD_ACK, SKB_DROP_REASON_TCP_TOO_OLD_ACK, SKB_DROP_REASON_TCP_ACK_UNSENT_DATA, SKB_DROP_REASON_TCP_OFO_QUEUE_PRUNE,
  SKB_DROP_REASON_TCP_OFO_DROP, SKB_DROP_REASON_IP_OUTNOROUTES, SKB_DROP_REASON_BPF_CGROUP_EGRESS, SKB_DROP_REASON_IPV6DISABLED,
  SKB_DROP_REASON_NEIGH_CREATEFAIL, SKB_DROP_REASON_NEIGH_FAILED, SKB_DROP_REASON_NEIGH_QUEUEFULL, SKB_DROP_REASON_NEIGH_DEAD,
  SKB_DROP_REASON_NEIGH_HH_FILLFAIL, SKB_DROP_REASON_TC_EGRESS, SKB_DROP_REASON_SECURITY_HOOK, SKB_DROP_REASON_QDISC_DROP,
  SKB_DROP_REASON_QDISC_OVERLIMIT, SKB_DROP_REASON_QDISC_CONGESTED, SKB_DROP_REASON_CAKE_FLOOD, SKB_DROP_REASON_FQ_BAND_LIMIT,
  SKB_DROP_REASON_FQ_HORIZON_LIMIT, SKB_DROP_REASON_FQ_FLOW_LIMIT, SKB_DROP_REASON_CPU_BACKLOG, SKB_DROP_REASON_XDP,
  SKB_DROP_REASON_TC_INGRESS, SKB_DROP_REASON_UNHANDLED_PROTO, SKB_DROP_REASON_SKB_CSUM, SKB_DROP_REASON_SKB_GSO_SEG,
  SKB_DROP_REASON_SKB_UCOPY_FAULT, SKB_DROP_REASON_DEV_HDR, SKB_DROP_REASON_DEV_READY, SKB_DROP_REASON_FULL_RING, SKB_DROP_REASON_NOMEM,
  SKB_DROP_REASON_HDR_TRUNC, SKB_DROP_REASON_TAP_FILTER, SKB_DROP_REASON_TAP_TXFILTER, SKB_DROP_REASON_ICMP_CSUM,
  SKB_DROP_REASON_INVALID_PROTO, SKB_DROP_REASON_IP_INADDRERRORS, SKB_DROP_REASON_IP_INNOROUTES, SKB_DROP_REASON_IP_LOCAL_SOURCE,
  SKB_DROP_REASON_IP_INVALID_SOURCE, SKB_DROP_REASON_IP_LOCALNET, SKB_DROP_REASON_IP_INVALID_DEST, SKB_DROP_REASON_PKT_TOO_BIG,
  SKB_DROP_REASON_DUP_FRAG, SKB_DROP_REASON_FRAG_REASM_TIMEOUT, SKB_DROP_REASON_FRAG_TOO_FAR, SKB_DROP_REASON_TCP_MINTTL,
  SKB_DROP_REASON_IPV6_BAD_EXTHDR, SKB_DROP_REASON_IPV6_NDISC_FRAG, SKB_DROP_REASON_IPV6_NDISC_HOP_LIMIT,
  SKB_DROP_REASON_IPV6_NDISC_BAD_CODE, SKB_DROP_REASON_IPV6_NDISC_BAD_OPTIONS, SKB_DROP_REASON_IPV6_NDISC_NS_OTHERHOST,
  SKB_DROP_REASON_QUEUE_PURGE, SKB_DROP_REASON_TC_COOKIE_ERROR, SKB_DROP_REASON_PACKET_SOCK_ERROR, SKB_DROP_REASON_TC_CHAIN_NOTFOUND,
  SKB_DROP_REASON_TC_RECLASSIFY_LOOP, SKB_DROP_REASON_VXLAN_INVALID_HDR, SKB_DROP_REASON_VXLAN_VNI_NOT_FOUND,
  SKB_DROP_REASON_MAC_INVALID_SOURCE, SKB_DROP_REASON_VXLAN_ENTRY_EXISTS, SKB_DROP_REASON_NO_TX_TARGET, SKB_DROP_REASON_IP_TUNNEL_ECN,
  SKB_DROP_REASON_TUNNEL_TXINFO, SKB_DROP_REASON_LOCAL_MAC, SKB_DROP_REASON_ARP_PVLAN_DISABLE, SKB_DROP_REASON_MAC_IEEE_MAC_CONTROL,
  SKB_DROP_REASON_BRIDGE_INGRESS_STP_STATE, SKB_DROP_REASON_CAN_RX_INVALID_FRAME, SKB_DROP_REASON_CANFD_RX_INVALID_FRAME,
  SKB_DROP_REASON_CANXL_RX_INVALID_FRAME, SKB_DROP_REASON_PFMEMALLOC, SKB_DROP_REASON_DUALPI2_STEP_DROP, SKB_DROP_REASON_PSP_INPUT,
  SKB_DROP_REASON_PSP_OUTPUT, SKB_DROP_REASON_RECURSION_LIMIT, SKB_DROP_REASON_MAX, SKB_DROP_REASON_SUBSYS_MASK = 4294901760 };
typedef _Bool bool;
typedef int __kernel_pid_t;
typedef __kernel_pid_t pid_t;
typedef unsigned long __kernel_ulong_t;
typedef __kernel_ulong_t __kernel_size_t;
typedef __kernel_size_t size_t;
typedef short __s16;
typedef __s16 s16;
typedef u8 dscp_t;
typedef u32 u_int32_t;
enum xdp_action { XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX, XDP_REDIRECT };
enum sock_type { SOCK_STREAM = 1, SOCK_DGRAM, SOCK_RAW, SOCK_RDM, SOCK_SEQPACKET, SOCK_DCCP, SOCK_PACKET = 10 };
enum nf_inet_hooks { NF_INET_PRE_ROUTING, NF_INET_LOCAL_IN, NF_INET_FORWARD, NF_INET_LOCAL_OUT, NF_INET_POST_ROUTING, NF_INET_NUMHOOKS,
  NF_INET_INGRESS = 5 };
enum nf_ip_trace_comments { NF_IP_TRACE_COMMENT_RULE, NF_IP_TRACE_COMMENT_RETURN, NF_IP_TRACE_COMMENT_POLICY };
enum tcp_ca_state { TCP_CA_Open, TCP_CA_Disorder, TCP_CA_CWR, TCP_CA_Recovery, TCP_CA_Loss };
enum bpf_ret_code { BPF_OK, BPF_DROP = 2, BPF_REDIRECT = 7, BPF_LWT_REROUTE = 128, BPF_FLOW_DISSECTOR_CONTINUE };
enum bpf_adj_room_mode { BPF_ADJ_ROOM_NET, BPF_ADJ_ROOM_MAC };
enum bpf_hdr_start_off { BPF_HDR_START_MAC, BPF_HDR_START_NET };
enum skb_tstamp_type { SKB_CLOCK_REALTIME, SKB_CLOCK_MONOTONIC, SKB_CLOCK_TAI, __SKB_CLOCK_MAX = 2 };
enum pid_type { PIDTYPE_PID, PIDTYPE_TGID, PIDTYPE_PGID, PIDTYPE_SID, PIDTYPE_MAX };
enum ip_conntrack_info { IP_CT_ESTABLISHED, IP_CT_RELATED, IP_CT_NEW, IP_CT_IS_REPLY, IP_CT_ESTABLISHED_REPLY = 3, IP_CT_RELATED_REPLY,
  IP_CT_NUMBER, IP_CT_UNTRACKED = 7 };
enum ip_conntrack_dir { IP_CT_DIR_ORIGINAL, IP_CT_DIR_REPLY, IP_CT_DIR_MAX };
enum ip_conntrack_status { IPS_EXPECTED_BIT, IPS_EXPECTED, IPS_SEEN_REPLY_BIT = 1, IPS_SEEN_REPLY, IPS_ASSURED_BIT = 2, IPS_ASSURED = 4,
  IPS_CONFIRMED_BIT = 3, IPS_CONFIRMED = 8, IPS_SRC_NAT_BIT = 4, IPS_SRC_NAT = 16, IPS_DST_NAT_BIT = 5, IPS_DST_NAT = 32, IPS_NAT_MASK =
  48, IPS_SEQ_ADJUST_BIT = 6, IPS_SEQ_ADJUST = 64, IPS_SRC_NAT_DONE_BIT = 7, IPS_SRC_NAT_DONE = 128, IPS_DST_NAT_DONE_BIT = 8,
  IPS_DST_NAT_DONE = 256, IPS_NAT_DONE_MASK = 384, IPS_DYING_BIT = 9, IPS_DYING = 512, IPS_FIXED_TIMEOUT_BIT = 10, IPS_FIXED_TIMEOUT =
  1024, IPS_TEMPLATE_BIT = 11, IPS_TEMPLATE = 2048, IPS_UNTRACKED_BIT = 12, IPS_UNTRACKED = 4096, IPS_NAT_CLASH_BIT = 12, IPS_NAT_CLASH =
  4096, IPS_HELPER_BIT = 13, IPS_HELPER = 8192, IPS_OFFLOAD_BIT = 14, IPS_OFFLOAD = 16384, IPS_HW_OFFLOAD_BIT = 15, IPS_HW_OFFLOAD =
  32768, IPS_UNCHANGEABLE_MASK = 56313, __IPS_MAX_BIT = 16 };
enum bpf_cgroup_iter_order { BPF_CGROUP_ITER_ORDER_UNSPEC, BPF_CGROUP_ITER_SELF_ONLY, BPF_CGROUP_ITER_DESCENDANTS_PRE,
  BPF_CGROUP_ITER_DESCENDANTS_POST, BPF_CGROUP_ITER_ANCESTORS_UP };
enum rx_handler_result { RX_HANDLER_CONSUMED, RX_HANDLER_ANOTHER, RX_HANDLER_EXACT, RX_HANDLER_PASS };
enum xdp_buff_flags { XDP_FLAGS_HAS_FRAGS = 1, XDP_FLAGS_FRAGS_PF_MEMALLOC, XDP_FLAGS_FRAGS_UNREADABLE = 4 };
enum tcx_action_base { TCX_NEXT = -1, TCX_PASS, TCX_DROP = 2, TCX_REDIRECT = 7 };
enum bpf_lwt_encap_mode { BPF_LWT_ENCAP_SEG6, BPF_LWT_ENCAP_SEG6_INLINE, BPF_LWT_ENCAP_IP };
enum bpf_check_mtu_ret { BPF_MTU_CHK_RET_SUCCESS, BPF_MTU_CHK_RET_FRAG_NEEDED, BPF_MTU_CHK_RET_SEGS_TOOBIG };
enum bpf_stack_build_id_status { BPF_STACK_BUILD_ID_EMPTY, BPF_STACK_BUILD_ID_VALID, BPF_STACK_BUILD_ID_IP };
enum bpf_task_fd_type { BPF_FD_TYPE_RAW_TRACEPOINT, BPF_FD_TYPE_TRACEPOINT, BPF_FD_TYPE_KPROBE, BPF_FD_TYPE_KRETPROBE, BPF_FD_TYPE_UPROBE,
  BPF_FD_TYPE_URETPROBE };
enum sk_rst_reason { SK_RST_REASON_NOT_SPECIFIED, SK_RST_REASON_NO_SOCKET, SK_RST_REASON_TCP_INVALID_ACK_SEQUENCE,
  SK_RST_REASON_TCP_RFC7323_PAWS, SK_RST_REASON_TCP_TOO_OLD_ACK, SK_RST_REASON_TCP_ACK_UNSENT_DATA, SK_RST_REASON_TCP_FLAGS,
  SK_RST_REASON_TCP_OLD_ACK, SK_RST_REASON_TCP_ABORT_ON_DATA, SK_RST_REASON_TCP_TIMEWAIT_SOCKET, SK_RST_REASON_INVALID_SYN,
  SK_RST_REASON_TCP_ABORT_ON_CLOSE, SK_RST_REASON_TCP_ABORT_ON_LINGER, SK_RST_REASON_TCP_ABORT_ON_MEMORY, SK_RST_REASON_TCP_STATE,
  SK_RST_REASON_TCP_KEEPALIVE_TIMEOUT, SK_RST_REASON_TCP_DISCONNECT_WITH_DATA, SK_RST_REASON_MPTCP_RST_EUNSPEC,
  SK_RST_REASON_MPTCP_RST_EMPTCP, SK_RST_REASON_MPTCP_RST_ERESOURCE, SK_RST_REASON_MPTCP_RST_EPROHIBIT, SK_RST_REASON_MPTCP_RST_EWQ2BIG,
  SK_RST_REASON_MPTCP_RST_EBADPERF, SK_RST_REASON_MPTCP_RST_EMIDDLEBOX, SK_RST_REASON_ERROR, SK_RST_REASON_MAX };
enum netdev_tx { __NETDEV_TX_MIN = -2147483648, NETDEV_TX_OK = 0, NETDEV_TX_BUSY = 16 };
typedef unsigned int gfp_t;
struct bpf_prog [96] {
  enum bpf_prog_type type @4; enum bpf_attach_type expected_attach_type @8; u32 len @12; u32 jited_len @16; union [32] { u8 tag[8] @0; }
  @20;
};
struct ns_common [80] {
  struct proc_ns_operations *ops @16; unsigned int inum @24;
};
struct net [4288] {
  u32 ifindex @12; struct ns_common ns @152; u32 hash_mix @432; struct net_device *loopback_dev @440; u64 net_cookie @4160;
};
typedef struct [8] {
  struct net *net @0;
} possible_net_t;
struct net_device [2496] {
  union [8] { struct [8] { unsigned long priv_flags : 32 @0; } @0; } @0; unsigned int real_num_tx_queues @40; unsigned int mtu @56;
  unsigned short needed_headroom @60; unsigned long state @168; unsigned int flags @176; unsigned short hard_header_len @180;
  netdev_features_t features @184; struct bpf_prog *xdp_prog @200; int ifindex @224; unsigned int real_num_rx_queues @228; possible_net_t
  nd_net @264; char name[16] @280; struct dev_ifalias *ifalias @304; unsigned short needed_tailroom @474; unsigned int min_mtu @528;
  unsigned int max_mtu @532; unsigned short type @536; int group @540; unsigned int operstate @768; unsigned char link_mode @772; unsigned
  char perm_addr[32] @775; unsigned char addr_len @808; unsigned int promiscuity @936; unsigned int allmulti @940; struct in_device
  *ip_ptr @952; unsigned char *dev_addr @968; unsigned int num_rx_queues @976; unsigned char broadcast[32] @1000; unsigned int
  num_tx_queues @1056; struct Qdisc *qdisc @1064; unsigned int tx_queue_len @1072;
};
struct rb_node [24] {
  unsigned long __rb_parent_color @0; struct rb_node *rb_right @8; struct rb_node *rb_left @16;
};
struct list_head [16] {
  struct list_head *next @0; struct list_head *prev @8;
};
struct hlist_node [16] {
  struct hlist_node *next @0; struct hlist_node **pprev @8;
};
struct proto [448] {
  char name[32] @392;
};
struct in6_addr [16] {
  union [16] { __u8 u6_addr8[16] @0; __be16 u6_addr16[8] @0; __be32 u6_addr32[4] @0; } in6_u @0;
};
typedef struct [8] {
  s64 counter @0;
} atomic64_t;
struct hlist_nulls_node [16] {
  struct hlist_nulls_node *next @0; struct hlist_nulls_node **pprev @8;
};
typedef struct [4] {
  int counter @0;
} atomic_t;
struct refcount_struct [4] {
  atomic_t refs @0;
};
typedef struct refcount_struct refcount_t;
struct sock_common [136] {
  union [8] { __addrpair skc_addrpair @0; struct [8] { __be32 skc_daddr @0; __be32 skc_rcv_saddr @4; } @0; } @0; union [4] { unsigned int
  skc_hash @0; __u16 skc_u16hashes[2] @0; } @8; union [4] { __portpair skc_portpair @0; struct [4] { __be16 skc_dport @0; __u16 skc_num
  @2; } @0; } @12; unsigned short skc_family @16; unsigned char skc_state @18; unsigned char skc_reuse : 4 @19; unsigned char
  skc_reuseport : 1 @19.4; unsigned char skc_ipv6only : 1 @19.5; unsigned char skc_net_refcnt : 1 @19.6; int skc_bound_dev_if @20; union
  [16] { struct hlist_node skc_bind_node @0; struct hlist_node skc_portaddr_node @0; } @24; struct proto *skc_prot @40; possible_net_t
  skc_net @48; struct in6_addr skc_v6_daddr @56; struct in6_addr skc_v6_rcv_saddr @72; atomic64_t skc_cookie @88; union [8] { unsigned
  long skc_flags @0; struct sock *skc_listener @0; struct inet_timewait_death_row *skc_tw_dr @0; } @96; int skc_dontcopy_begin[0] @104;
  union [16] { struct hlist_node skc_node @0; struct hlist_nulls_node skc_nulls_node @0; } @104; unsigned short skc_tx_queue_mapping @120;
  unsigned short skc_rx_queue_mapping @122; union [4] { int skc_incoming_cpu @0; u32 skc_rcv_wnd @0; u32 skc_tw_rcv_nxt @0; } @124;
  refcount_t skc_refcnt @128; int skc_dontcopy_end[0] @132; union [4] { u32 skc_rxhash @0; u32 skc_window_clamp @0; u32 skc_tw_snd_nxt @0;
  } @132;
};
struct sk_buff_head [24] {
  union [16] { struct [16] { struct sk_buff *next @0; struct sk_buff *prev @8; } @0; } @0; __u32 qlen @16;
};
typedef struct [4] {
  uid_t val @0;
} kuid_t;
typedef struct [4] {
  gid_t val @0;
} kgid_t;
struct inode [616] {
  umode_t i_mode @0; kuid_t i_uid @4; kgid_t i_gid @8; unsigned long i_ino @64; dev_t i_rdev @76; loff_t i_size @80;
};
struct file [184] {
  fmode_t f_mode @4; void *private_data @24; struct inode *f_inode @32; unsigned int f_flags @40; loff_t f_pos @112;
};
struct socket [128] {
  unsigned int state @0; short type @4; unsigned long flags @8; struct file *file @16; struct sock *sk @24;
};
struct sock [784] {
  struct sock_common __sk_common @0; atomic_t sk_drops @136; struct sk_buff_head sk_receive_queue @168; struct [24] { atomic_t rmem_alloc
  @0; int len @4; struct sk_buff *head @8; struct sk_buff *tail @16; } sk_backlog @192; struct dst_entry *sk_rx_dst @216; int sk_rcvbuf
  @244; long sk_rcvtimeo @272; int sk_rcvlowat @280; int sk_err @284; struct socket *sk_socket @288; int sk_forward_alloc @356; atomic_t
  sk_omem_alloc @368; int sk_err_soft @372; int sk_wmem_queued @376; refcount_t sk_wmem_alloc @380; struct sk_buff_head sk_write_queue
  @400; unsigned long sk_pacing_rate @488; unsigned long sk_max_pacing_rate @504; long sk_sndtimeo @512; u32 sk_priority @520; u32 sk_mark
  @524; kuid_t sk_uid @528; u16 sk_protocol @532; u16 sk_type @534; struct dst_entry *sk_dst_cache @536; netdev_features_t sk_route_caps
  @544; u16 sk_gso_type @552; unsigned int sk_gso_max_size @556; int sk_sndbuf @568; u8 sk_kern_sock : 1 @574.1; u8 sk_shutdown @575; u32
  sk_ack_backlog @600; u32 sk_max_ack_backlog @604; unsigned long sk_ino @608; ktime_t sk_stamp @640; void *sk_user_data @656;
};
struct sk_buff [224] {
  union [24] { struct [24] { struct sk_buff *next @0; struct sk_buff *prev @8; union [8] { struct net_device *dev @0; unsigned long
  dev_scratch @0; } @16; } @0; struct rb_node rbnode @0; struct list_head list @0; } @0; struct sock *sk @24; union [8] { ktime_t tstamp
  @0; u64 skb_mstamp_ns @0; } @32; char cb[48] @40; union [16] { struct [16] { unsigned long _skb_refdst @0; void *destructor @8; } @0;
  struct list_head tcp_tsorted_anchor @0; unsigned long _sk_redir @0; } @88; unsigned long _nfct @104; unsigned int len @112; unsigned int
  data_len @116; __u16 mac_len @120; __u16 hdr_len @122; __u16 queue_mapping @124; __u8 __cloned_offset[0] @126; __u8 cloned : 1 @126;
  __u8 nohdr : 1 @126.1; __u8 fclone : 2 @126.2; __u8 peeked : 1 @126.4; __u8 head_frag : 1 @126.5; __u8 pfmemalloc : 1 @126.6; __u8
  pp_recycle : 1 @126.7; __u8 active_extensions @127; union [56] { struct [56] { __u8 __pkt_type_offset[0] @0; __u8 pkt_type : 3 @0; __u8
  ignore_df : 1 @0.3; __u8 dst_pending_confirm : 1 @0.4; __u8 ip_summed : 2 @0.5; __u8 ooo_okay : 1 @0.7; __u8 __mono_tc_offset[0] @1;
  __u8 tstamp_type : 2 @1; __u8 tc_at_ingress : 1 @1.2; __u8 tc_skip_classify : 1 @1.3; __u8 remcsum_offload : 1 @1.4; __u8
  csum_complete_sw : 1 @1.5; __u8 csum_level : 2 @1.6; __u8 inner_protocol_type : 1 @2; __u8 l4_hash : 1 @2.1; __u8 sw_hash : 1 @2.2; __u8
  no_fcs : 1 @2.3; __u8 encapsulation : 1 @2.4; __u8 encap_hdr_csum : 1 @2.5; __u8 csum_valid : 1 @2.6; __u8 nf_trace : 1 @2.7; __u8
  redirected : 1 @3; __u8 from_ingress : 1 @3.1; __u8 nf_skip_egress : 1 @3.2; __u8 slow_gro : 1 @3.3; __u8 unreadable : 1 @3.4; __u16
  tc_index @4; u16 alloc_cpu @6; union [4] { __wsum csum @0; struct [4] { __u16 csum_start @0; __u16 csum_offset @2; } @0; } @8; __u32
  priority @12; int skb_iif @16; __u32 hash @20; union [4] { u32 vlan_all @0; struct [4] { __be16 vlan_proto @0; __u16 vlan_tci @2; } @0;
  } @24; union [4] { unsigned int napi_id @0; unsigned int sender_cpu @0; } @28; __u32 secmark @32; union [4] { __u32 mark @0; __u32
  reserved_tailroom @0; } @36; union [2] { __be16 inner_protocol @0; __u8 inner_ipproto @0; } @40; __u16 inner_transport_header @42; __u16
  inner_network_header @44; __u16 inner_mac_header @46; __be16 protocol @48; __u16 transport_header @50; __u16 network_header @52; __u16
  mac_header @54; } @0; struct [56] { __u8 __pkt_type_offset[0] @0; __u8 pkt_type : 3 @0; __u8 ignore_df : 1 @0.3; __u8
  dst_pending_confirm : 1 @0.4; __u8 ip_summed : 2 @0.5; __u8 ooo_okay : 1 @0.7; __u8 __mono_tc_offset[0] @1; __u8 tstamp_type : 2 @1;
  __u8 tc_at_ingress : 1 @1.2; __u8 tc_skip_classify : 1 @1.3; __u8 remcsum_offload : 1 @1.4; __u8 csum_complete_sw : 1 @1.5; __u8
  csum_level : 2 @1.6; __u8 inner_protocol_type : 1 @2; __u8 l4_hash : 1 @2.1; __u8 sw_hash : 1 @2.2; __u8 no_fcs : 1 @2.3; __u8
  encapsulation : 1 @2.4; __u8 encap_hdr_csum : 1 @2.5; __u8 csum_valid : 1 @2.6; __u8 nf_trace : 1 @2.7; __u8 redirected : 1 @3; __u8
  from_ingress : 1 @3.1; __u8 nf_skip_egress : 1 @3.2; __u8 slow_gro : 1 @3.3; __u8 unreadable : 1 @3.4; __u16 tc_index @4; u16 alloc_cpu
  @6; union [4] { __wsum csum @0; struct [4] { __u16 csum_start @0; __u16 csum_offset @2; } @0; } @8; __u32 priority @12; int skb_iif @16;
  __u32 hash @20; union [4] { u32 vlan_all @0; struct [4] { __be16 vlan_proto @0; __u16 vlan_tci @2; } @0; } @24; union [4] { unsigned int
  napi_id @0; unsigned int sender_cpu @0; } @28; __u32 secmark @32; union [4] { __u32 mark @0; __u32 reserved_tailroom @0; } @36; union
  [2] { __be16 inner_protocol @0; __u8 inner_ipproto @0; } @40; __u16 inner_transport_header @42; __u16 inner_network_header @44; __u16
  inner_mac_header @46; __be16 protocol @48; __u16 transport_header @50; __u16 network_header @52; __u16 mac_header @54; } headers @0; }
  @128; sk_buff_data_t tail @184; sk_buff_data_t end @188; unsigned char *head @192; unsigned char *data @200; unsigned int truesize @208;
  refcount_t users @212; struct skb_ext *extensions @216;
};
struct skb_shared_hwtstamps [8] {
  union [8] { ktime_t hwtstamp @0; void *netdev_data @0; } @0;
};
struct skb_frag [16] {
  unsigned int len @8; unsigned int offset @12;
};
typedef struct skb_frag skb_frag_t;
struct skb_shared_info [320] {
  __u8 flags @0; __u8 meta_len @1; __u8 nr_frags @2; __u8 tx_flags @3; unsigned short gso_size @4; unsigned short gso_segs @6; struct
  sk_buff *frag_list @8; union [8] { struct skb_shared_hwtstamps hwtstamps @0; } @16; unsigned int gso_type @24; u32 tskey @28; atomic_t
  dataref @32; union [8] { struct [8] { u32 xdp_frags_size @0; u32 xdp_frags_truesize @4; } @0; void *destructor_arg @0; } @40; skb_frag_t
  frags[17] @48;
};
typedef struct [8] {
  u64 val @0;
} kernel_cap_t;
struct new_utsname [390] {
  char sysname[65] @0; char nodename[65] @65; char release[65] @130; char version[65] @195; char machine[65] @260; char domainname[65]
  @325;
};
struct uts_namespace [488] {
  struct new_utsname name @0; struct ns_common ns @408;
};
struct ipc_namespace [1200] {
  struct ns_common ns @1120;
};
struct mnt_namespace [200] {
  struct ns_common ns @0;
};
struct pid_namespace [344] {
  unsigned int level @64; struct ns_common ns @112;
};
struct cgroup_namespace [104] {
  struct ns_common ns @0;
};
struct nsproxy [72] {
  refcount_t count @0; struct uts_namespace *uts_ns @8; struct ipc_namespace *ipc_ns @16; struct mnt_namespace *mnt_ns @24; struct
  pid_namespace *pid_ns_for_children @32; struct net *net_ns @40; struct time_namespace *time_ns @48; struct time_namespace
  *time_ns_for_children @56; struct cgroup_namespace *cgroup_ns @64;
};
struct upid [16] {
  int nr @0; struct pid_namespace *ns @8;
};
struct xdp_rxq_info [64] {
  struct net_device *dev @0; u32 queue_index @8; u32 reg_state @12; u32 frag_size @24;
};
struct xdp_txq_info [8] {
  struct net_device *dev @0;
};
struct xdp_buff [56] {
  void *data @0; void *data_end @8; void *data_meta @16; void *data_hard_start @24; struct xdp_rxq_info *rxq @32; struct xdp_txq_info *txq
  @40; union [8] { struct [8] { u32 frame_sz @0; u32 flags @4; } @0; u64 frame_sz_flags_init @0; } @48;
};
struct xdp_frame [40] {
  void *data @0; u32 len @8; u32 headroom @12; u32 metasize @16; enum xdp_mem_type mem_type : 32 @20; struct net_device *dev_rx @24; u32
  frame_sz @32; u32 flags @36;
};
struct xdp_mem_info [8] {
  u32 type @0; u32 id @4;
};
struct iphdr [20] {
  __u8 ihl : 4 @0; __u8 version : 4 @0.4; __u8 tos @1; __be16 tot_len @2; __be16 id @4; __be16 frag_off @6; __u8 ttl @8; __u8 protocol @9;
  __sum16 check @10; union [8] { struct [8] { __be32 saddr @0; __be32 daddr @4; } @0; struct [8] { __be32 saddr @0; __be32 daddr @4; }
  addrs @0; } @12;
};
struct ipv6hdr [40] {
  __u8 priority : 4 @0; __u8 version : 4 @0.4; __u8 flow_lbl[3] @1; __be16 payload_len @4; __u8 nexthdr @6; __u8 hop_limit @7; union [32]
  { struct [32] { struct in6_addr saddr @0; struct in6_addr daddr @16; } @0; struct [32] { struct in6_addr saddr @0; struct in6_addr daddr
  @16; } addrs @0; } @8;
};
struct ethhdr [14] {
  unsigned char h_dest[6] @0; unsigned char h_source[6] @6; __be16 h_proto @12;
};
struct tcphdr [20] {
  __be16 source @0; __be16 dest @2; __be32 seq @4; __be32 ack_seq @8; __u16 ae : 1 @12; __u16 res1 : 3 @12.1; __u16 doff : 4 @12.4; __u16
  fin : 1 @13; __u16 syn : 1 @13.1; __u16 rst : 1 @13.2; __u16 psh : 1 @13.3; __u16 ack : 1 @13.4; __u16 urg : 1 @13.5; __u16 ece : 1
  @13.6; __u16 cwr : 1 @13.7; __be16 window @14; __sum16 check @16; __be16 urg_ptr @18;
};
struct udphdr [8] {
  __be16 source @0; __be16 dest @2; __be16 len @4; __sum16 check @6;
};
struct icmphdr [8] {
  __u8 type @0; __u8 code @1; __sum16 checksum @2; union [4] { struct [4] { __be16 id @0; __be16 sequence @2; } echo @0; __be32 gateway
  @0; struct [4] { __be16 __unused @0; __be16 mtu @2; } frag @0; __u8 reserved[4] @0; } un @4;
};
struct icmp6hdr [8] {
  __u8 icmp6_type @0; __u8 icmp6_code @1; __sum16 icmp6_cksum @2; union [4] { __be32 un_data32[1] @0; __be16 un_data16[2] @0; __u8
  un_data8[4] @0; } icmp6_dataun @4;
};
struct arphdr [8] {
  __be16 ar_hrd @0; __be16 ar_pro @2; unsigned char ar_hln @4; unsigned char ar_pln @5; __be16 ar_op @6;
};
struct vlan_hdr [4] {
  __be16 h_vlan_TCI @0; __be16 h_vlan_encapsulated_proto @2;
};
struct vlan_ethhdr [18] {
  union [12] { struct [12] { unsigned char h_dest[6] @0; unsigned char h_source[6] @6; } @0; struct [12] { unsigned char h_dest[6] @0;
  unsigned char h_source[6] @6; } addrs @0; } @0; __be16 h_vlan_proto @12; __be16 h_vlan_TCI @14; __be16 h_vlan_encapsulated_proto @16;
};
struct in_addr [4] {
  __be32 s_addr @0;
};
struct sockaddr [16] {
  sa_family_t sa_family @0; union [14] { char sa_data_min[14] @0; struct [0] { struct [0] { } __empty_sa_data @0; char sa_data[0] @0; }
  @0; } @2;
};
struct sockaddr_in [16] {
  __kernel_sa_family_t sin_family @0; __be16 sin_port @2; struct in_addr sin_addr @4; unsigned char __pad[8] @8;
};
struct sockaddr_in6 [28] {
  unsigned short sin6_family @0; __be16 sin6_port @2; __be32 sin6_flowinfo @4; struct in6_addr sin6_addr @8; __u32 sin6_scope_id @24;
};
struct nf_conntrack [4] {
  refcount_t use @0;
};
struct nf_conntrack_zone [4] {
  u16 id @0; u8 flags @2; u8 dir @3;
};
union nf_inet_addr [16] {
  __u32 all[4] @0; __be32 ip @0; __be32 ip6[4] @0; struct in_addr in @0; struct in6_addr in6 @0;
};
union nf_conntrack_man_proto [2] {
  __be16 all @0; struct [2] { __be16 port @0; } tcp @0; struct [2] { __be16 port @0; } udp @0; struct [2] { __be16 id @0; } icmp @0;
  struct [2] { __be16 port @0; } dccp @0; struct [2] { __be16 port @0; } sctp @0; struct [2] { __be16 key @0; } gre @0;
};
struct nf_conntrack_man [20] {
  union nf_inet_addr u3 @0; union nf_conntrack_man_proto u @16; u_int16_t l3num @18;
};
struct nf_conntrack_tuple [40] {
  struct nf_conntrack_man src @0; struct [20] { union nf_inet_addr u3 @0; union [2] { __be16 all @0; struct [2] { __be16 port @0; } tcp
  @0; struct [2] { __be16 port @0; } udp @0; struct [2] { u_int8_t type @0; u_int8_t code @1; } icmp @0; struct [2] { __be16 port @0; }
  dccp @0; struct [2] { __be16 port @0; } sctp @0; struct [2] { __be16 key @0; } gre @0; } u @16; u_int8_t protonum @18; struct [0] { }
  __nfct_hash_offsetend @19; u_int8_t dir @19; } dst @20;
};
struct nf_conntrack_tuple_hash [56] {
  struct hlist_nulls_node hnnode @0; struct nf_conntrack_tuple tuple @16;
};
struct nf_hook_state [48] {
  u8 hook @0; u8 pf @1; struct net_device *in @8; struct net_device *out @16; struct sock *sk @24; struct net *net @32; void *okfn @40;
};
struct bpf_nf_ctx [16] {
  struct nf_hook_state *state @0; struct sk_buff *skb @8;
};
struct bpf_ct_opts [16] {
  s32 netns_id @0; s32 error @4; u8 l4proto @8; u8 dir @9; u16 ct_zone_id @10; u8 ct_zone_dir @12; u8 reserved[3] @13;
};
struct fred_cs [8] {
  u64 cs : 16 @0; u64 sl : 2 @2; u64 wfe : 1 @2.2;
};
struct fred_ss [8] {
  u64 ss : 16 @0; u64 sti : 1 @2; u64 swevent : 1 @2.1; u64 nmi : 1 @2.2; u64 vector : 8 @4; u64 type : 4 @6; u64 enclave : 1 @7; u64 lm :
  1 @7.1; u64 nested : 1 @7.2; u64 insnlen : 4 @7.4;
};
struct pt_regs [168] {
  unsigned long r15 @0; unsigned long r14 @8; unsigned long r13 @16; unsigned long r12 @24; unsigned long bp @32; unsigned long bx @40;
  unsigned long r11 @48; unsigned long r10 @56; unsigned long r9 @64; unsigned long r8 @72; unsigned long ax @80; unsigned long cx @88;
  unsigned long dx @96; unsigned long si @104; unsigned long di @112; unsigned long orig_ax @120; unsigned long ip @128; union [8] { u16
  cs @0; u64 csx @0; struct fred_cs fred_cs @0; } @136; unsigned long flags @144; unsigned long sp @152; union [8] { u16 ss @0; u64 ssx
  @0; struct fred_ss fred_ss @0; } @160;
};
struct bpf_flow_keys [56] {
  __u16 nhoff @0; __u16 thoff @2; __u16 addr_proto @4; __u8 is_frag @6; __u8 is_first_frag @7; __u8 is_encap @8; __u8 ip_proto @9; __be16
  n_proto @10; __be16 sport @12; __be16 dport @14; union [32] { struct [8] { __be32 ipv4_src @0; __be32 ipv4_dst @4; } @0; struct [32] {
  __u32 ipv6_src[4] @0; __u32 ipv6_dst[4] @16; } @0; } @16; __u32 flags @48; __be32 flow_label @52;
};
struct bpf_sock [80] {
  __u32 bound_dev_if @0; __u32 family @4; __u32 type @8; __u32 protocol @12; __u32 mark @16; __u32 priority @20; __u32 src_ip4 @24; __u32
  src_ip6[4] @28; __u32 src_port @44; __be16 dst_port @48; __u32 dst_ip4 @52; __u32 dst_ip6[4] @56; __u32 state @72; __s32
  rx_queue_mapping @76;
};
struct __sk_buff [192] {
  __u32 len @0; __u32 pkt_type @4; __u32 mark @8; __u32 queue_mapping @12; __u32 protocol @16; __u32 vlan_present @20; __u32 vlan_tci @24;
  __u32 vlan_proto @28; __u32 priority @32; __u32 ingress_ifindex @36; __u32 ifindex @40; __u32 tc_index @44; __u32 cb[5] @48; __u32 hash
  @68; __u32 tc_classid @72; __u32 data @76; __u32 data_end @80; __u32 napi_id @84; __u32 family @88; __u32 remote_ip4 @92; __u32
  local_ip4 @96; __u32 remote_ip6[4] @100; __u32 local_ip6[4] @116; __u32 remote_port @132; __u32 local_port @136; __u32 data_meta @140;
  union [8] { struct bpf_flow_keys *flow_keys @0; } @144; __u64 tstamp @152; __u32 wire_len @160; __u32 gso_segs @164; union [8] { struct
  bpf_sock *sk @0; } @168; __u32 gso_size @176; __u8 tstamp_type @180; __u64 hwtstamp @184;
};
struct xdp_md [24] {
  __u32 data @0; __u32 data_end @4; __u32 data_meta @8; __u32 ingress_ifindex @12; __u32 rx_queue_index @16; __u32 egress_ifindex @20;
};
struct bpf_sock_addr [72] {
  __u32 user_family @0; __u32 user_ip4 @4; __u32 user_ip6[4] @8; __u32 user_port @24; __u32 family @28; __u32 type @32; __u32 protocol
  @36; __u32 msg_src_ip4 @40; __u32 msg_src_ip6[4] @44; union [8] { struct bpf_sock *sk @0; } @64;
};
struct bpf_sock_ops [224] {
  __u32 op @0; union [16] { __u32 args[4] @0; __u32 reply @0; __u32 replylong[4] @0; } @4; __u32 family @20; __u32 remote_ip4 @24; __u32
  local_ip4 @28; __u32 remote_ip6[4] @32; __u32 local_ip6[4] @48; __u32 remote_port @64; __u32 local_port @68; __u32 is_fullsock @72;
  __u32 snd_cwnd @76; __u32 srtt_us @80; __u32 bpf_sock_ops_cb_flags @84; __u32 state @88; __u32 rtt_min @92; __u32 snd_ssthresh @96;
  __u32 rcv_nxt @100; __u32 snd_nxt @104; __u32 snd_una @108; __u32 mss_cache @112; __u32 ecn_flags @116; __u32 rate_delivered @120; __u32
  rate_interval_us @124; __u32 packets_out @128; __u32 retrans_out @132; __u32 total_retrans @136; __u32 segs_in @140; __u32 data_segs_in
  @144; __u32 segs_out @148; __u32 data_segs_out @152; __u32 lost_out @156; __u32 sacked_out @160; __u32 sk_txhash @164; __u64
  bytes_received @168; __u64 bytes_acked @176; union [8] { struct bpf_sock *sk @0; } @184; union [8] { void *skb_data @0; } @192; union
  [8] { void *skb_data_end @0; } @200; __u32 skb_len @208; __u32 skb_tcp_flags @212; __u64 skb_hwtstamp @216;
};
struct bpf_sk_lookup [72] {
  union [8] { union [8] { struct bpf_sock *sk @0; } @0; __u64 cookie @0; } @0; __u32 family @8; __u32 protocol @12; __u32 remote_ip4 @16;
  __u32 remote_ip6[4] @20; __be16 remote_port @36; __u32 local_ip4 @40; __u32 local_ip6[4] @44; __u32 local_port @60; __u32
  ingress_ifindex @64;
};
struct sk_msg_md [80] {
  union [8] { void *data @0; } @0; union [8] { void *data_end @0; } @8; __u32 family @16; __u32 remote_ip4 @20; __u32 local_ip4 @24; __u32
  remote_ip6[4] @28; __u32 local_ip6[4] @44; __u32 remote_port @60; __u32 local_port @64; __u32 size @68; union [8] { struct bpf_sock *sk
  @0; } @72;
};
struct sk_reuseport_md [56] {
  union [8] { void *data @0; } @0; union [8] { void *data_end @0; } @8; __u32 len @16; __u32 eth_protocol @20; __u32 ip_protocol @24;
  __u32 bind_inany @28; __u32 hash @32; union [8] { struct bpf_sock *sk @0; } @40; union [8] { struct bpf_sock *migrating_sk @0; } @48;
};
struct bpf_sockopt [40] {
  union [8] { struct bpf_sock *sk @0; } @0; union [8] { void *optval @0; } @8; union [8] { void *optval_end @0; } @16; __s32 level @24;
  __s32 optname @28; __s32 optlen @32; __s32 retval @36;
};
struct bpf_sysctl [8] {
  __u32 write @0; __u32 file_pos @4;
};
struct bpf_cgroup_dev_ctx [12] {
  __u32 access_type @0; __u32 major @4; __u32 minor @8;
};
typedef struct pt_regs bpf_user_pt_regs_t;
struct bpf_perf_event_data [184] {
  bpf_user_pt_regs_t regs @0; __u64 sample_period @168; __u64 addr @176;
};
struct bpf_fib_lookup [64] {
  __u8 family @0; __u8 l4_protocol @1; __be16 sport @2; __be16 dport @4; union [2] { __u16 tot_len @0; __u16 mtu_result @0; } @6; __u32
  ifindex @8; union [4] { __u8 tos @0; __be32 flowinfo @0; __u32 rt_metric @0; } @12; union [16] { __be32 ipv4_src @0; __u32 ipv6_src[4]
  @0; } @16; union [16] { __be32 ipv4_dst @0; __u32 ipv6_dst[4] @0; } @32; union [4] { struct [4] { __be16 h_vlan_proto @0; __be16
  h_vlan_TCI @2; } @0; __u32 tbid @0; } @48; union [12] { struct [4] { __u32 mark @0; } @0; struct [12] { __u8 smac[6] @0; __u8 dmac[6]
  @6; } @0; } @52;
};
struct bpf_tunnel_key [44] {
  __u32 tunnel_id @0; union [16] { __u32 remote_ipv4 @0; __u32 remote_ipv6[4] @0; } @4; __u8 tunnel_tos @20; __u8 tunnel_ttl @21; union
  [2] { __u16 tunnel_ext @0; __be16 tunnel_flags @0; } @22; __u32 tunnel_label @24; union [16] { __u32 local_ipv4 @0; __u32 local_ipv6[4]
  @0; } @28;
};
struct bpf_tcp_sock [112] {
  __u32 snd_cwnd @0; __u32 srtt_us @4; __u32 rtt_min @8; __u32 snd_ssthresh @12; __u32 rcv_nxt @16; __u32 snd_nxt @20; __u32 snd_una @24;
  __u32 mss_cache @28; __u32 ecn_flags @32; __u32 rate_delivered @36; __u32 rate_interval_us @40; __u32 packets_out @44; __u32 retrans_out
  @48; __u32 total_retrans @52; __u32 segs_in @56; __u32 data_segs_in @60; __u32 segs_out @64; __u32 data_segs_out @68; __u32 lost_out
  @72; __u32 sacked_out @76; __u64 bytes_received @80; __u64 bytes_acked @88; __u32 dsack_dups @96; __u32 delivered @100; __u32
  delivered_ce @104; __u32 icsk_retransmits @108;
};
struct bpf_sock_tuple [36] {
  union [36] { struct [12] { __be32 saddr @0; __be32 daddr @4; __be16 sport @8; __be16 dport @10; } ipv4 @0; struct [36] { __be32 saddr[4]
  @0; __be32 daddr[4] @16; __be16 sport @32; __be16 dport @34; } ipv6 @0; } @0;
};
struct bpf_redir_neigh [20] {
  __u32 nh_family @0; union [16] { __be32 ipv4_nh @0; __u32 ipv6_nh[4] @0; } @4;
};
struct bpf_raw_tracepoint_args [0] {
  __u64 args[0] @0;
};
struct bpf_pidns_info [8] {
  __u32 pid @0; __u32 tgid @4;
};
struct bpf_spin_lock [4] {
  __u32 val @0;
};
struct bpf_res_spin_lock [4] {
  u32 val @0;
};
struct bpf_timer [16] {
  __u64 __opaque[2] @0;
};
struct bpf_wq [16] {
  __u64 __opaque[2] @0;
};
struct bpf_dynptr [16] {
  __u64 __opaque[2] @0;
};
struct bpf_list_head [16] {
  __u64 __opaque[2] @0;
};
struct bpf_list_node [24] {
  __u64 __opaque[3] @0;
};
struct bpf_rb_root [16] {
  __u64 __opaque[2] @0;
};
struct bpf_rb_node [32] {
  __u64 __opaque[4] @0;
};
struct bpf_refcount [4] {
  __u32 __opaque[1] @0;
};
struct bpf_iter_num [8] {
  __u64 __opaque[1] @0;
};
struct bpf_devmap_val [8] {
  __u32 ifindex @0; union [4] { int fd @0; __u32 id @0; } bpf_prog @4;
};
struct bpf_cpumap_val [8] {
  __u32 qsize @0; union [4] { int fd @0; __u32 id @0; } bpf_prog @4;
};
struct bpf_lpm_trie_key_hdr [4] {
  __u32 prefixlen @0;
};
struct bpf_lpm_trie_key_u8 [4] {
  union [4] { struct bpf_lpm_trie_key_hdr hdr @0; __u32 prefixlen @0; } @0; __u8 data[0] @4;
};
struct qstr [16] {
  union [8] { struct [8] { u32 hash @0; u32 len @4; } @0; u64 hash_len @0; } @0; unsigned char *name @8;
};
struct dentry [192] {
  struct dentry *d_parent @24; union [16] { struct qstr d_name @0; } @32; struct inode *d_inode @48;
};
struct path [16] {
  struct vfsmount *mnt @0; struct dentry *dentry @8;
};
struct rb_root [8] {
  struct rb_node *rb_node @0;
};
struct rb_root_cached [16] {
  struct rb_root rb_root @0; struct rb_node *rb_leftmost @8;
};
struct hlist_head [8] {
  struct hlist_node *first @0;
};
struct callback_head [16] {
  struct callback_head *next @0; void *func @8;
};
struct kref [4] {
  refcount_t refcount @0;
};
struct trace_entry [8] {
  unsigned short type @0; unsigned char flags @2; unsigned char preempt_count @3; int pid @4;
};
struct trace_event_raw_kfree_skb [40] {
  struct trace_entry ent @0; void *skbaddr @8; void *location @16; void *rx_sk @24; unsigned short protocol @32; enum skb_drop_reason
  reason @36; char __data[0] @40;
};
struct trace_event_raw_consume_skb [24] {
  struct trace_entry ent @0; void *skbaddr @8; void *location @16; char __data[0] @24;
};
struct trace_event_raw_net_dev_template [24] {
  struct trace_entry ent @0; void *skbaddr @8; unsigned int len @16; u32 __data_loc_name @20; char __data[0] @24;
};
struct trace_event_raw_net_dev_xmit [32] {
  struct trace_entry ent @0; void *skbaddr @8; unsigned int len @16; int rc @20; u32 __data_loc_name @24; char __data[0] @28;
};
struct trace_event_raw_net_dev_start_xmit [64] {
  struct trace_entry ent @0; u32 __data_loc_name @8; u16 queue_mapping @12; void *skbaddr @16; bool vlan_tagged @24; u16 vlan_proto @26;
  u16 vlan_tci @28; u16 protocol @30; u8 ip_summed @32; unsigned int len @36; unsigned int data_len @40; int network_offset @44; bool
  transport_offset_valid @48; int transport_offset @52; u8 tx_flags @56; u16 gso_size @58; u16 gso_segs @60; u16 gso_type @62; char
  __data[0] @64;
};
struct trace_event_raw_inet_sock_set_state [72] {
  struct trace_entry ent @0; void *skaddr @8; int oldstate @16; int newstate @20; __u16 sport @24; __u16 dport @26; __u16 family @28;
  __u16 protocol @30; __u8 saddr[4] @32; __u8 daddr[4] @36; __u8 saddr_v6[16] @40; __u8 daddr_v6[16] @56; char __data[0] @72;
};
struct trace_event_raw_tcp_retransmit_skb [80] {
  struct trace_entry ent @0; void *skbaddr @8; void *skaddr @16; int state @24; __u16 sport @28; __u16 dport @30; __u16 family @32; __u8
  saddr[4] @34; __u8 daddr[4] @38; __u8 saddr_v6[16] @42; __u8 daddr_v6[16] @58; int err @76; char __data[0] @80;
};
struct trace_event_raw_tcp_event_sk [72] {
  struct trace_entry ent @0; void *skaddr @8; __u16 sport @16; __u16 dport @18; __u16 family @20; __u8 saddr[4] @22; __u8 daddr[4] @26;
  __u8 saddr_v6[16] @30; __u8 daddr_v6[16] @46; __u64 sock_cookie @64; char __data[0] @72;
};
struct trace_event_raw_sys_enter [64] {
  struct trace_entry ent @0; long id @8; unsigned long args[6] @16; char __data[0] @64;
};
struct trace_event_raw_sys_exit [24] {
  struct trace_entry ent @0; long id @8; long ret @16; char __data[0] @24;
};
struct trace_event_raw_sched_switch [64] {
  struct trace_entry ent @0; char prev_comm[16] @8; pid_t prev_pid @24; int prev_prio @28; long prev_state @32; char next_comm[16] @40;
  pid_t next_pid @56; int next_prio @60; char __data[0] @64;
};
struct trace_event_raw_sched_wakeup_template [36] {
  struct trace_entry ent @0; char comm[16] @8; pid_t pid @24; int prio @28; int target_cpu @32; char __data[0] @36;
};
struct trace_event_raw_sched_process_exec [20] {
  struct trace_entry ent @0; u32 __data_loc_filename @8; pid_t pid @12; pid_t old_pid @16; char __data[0] @20;
};
struct trace_event_raw_sched_process_exit [36] {
  struct trace_entry ent @0; char comm[16] @8; pid_t pid @24; int prio @28; bool group_dead @32; char __data[0] @33;
};
struct trace_event_raw_sched_process_template [20] {
  struct trace_entry ent @0; u32 __data_loc_comm @8; pid_t pid @12; int prio @16; char __data[0] @20;
};
struct trace_event_raw_sched_process_fork [24] {
  struct trace_entry ent @0; u32 __data_loc_parent_comm @8; pid_t parent_pid @12; u32 __data_loc_child_comm @16; pid_t child_pid @20; char
  __data[0] @24;
};
struct trace_event_raw_xdp_exception [20] {
  struct trace_entry ent @0; int prog_id @8; u32 act @12; int ifindex @16; char __data[0] @20;
};
struct trace_event_raw_tcp_probe [136] {
  struct trace_entry ent @0; __u8 saddr[28] @8; __u8 daddr[28] @36; __u16 sport @64; __u16 dport @66; __u16 family @68; __u32 mark @72;
  __u16 data_len @76; __u32 snd_nxt @80; __u32 snd_una @84; __u32 snd_cwnd @88; __u32 ssthresh @92; __u32 snd_wnd @96; __u32 srtt @100;
  __u32 rcv_wnd @104; __u64 sock_cookie @112; void *skbaddr @120; void *skaddr @128; char __data[0] @136;
};
struct trace_event_raw_icmp_send [40] {
  struct trace_entry ent @0; void *skbaddr @8; int type @16; int code @20; __u8 saddr[4] @24; __u8 daddr[4] @28; __u16 sport @32; __u16
  dport @34; unsigned short ulen @36; char __data[0] @38;
};
struct trace_event_raw_fib_table_lookup [76] {
  struct trace_entry ent @0; u32 tb_id @8; int err @12; int oif @16; int iif @20; u8 proto @24; __u8 tos @25; __u8 scope @26; __u8 flags
  @27; __u8 src[4] @28; __u8 dst[4] @32; __u8 gw4[4] @36; __u8 gw6[16] @40; u16 sport @56; u16 dport @58; char name[16] @60; char
  __data[0] @76;
};
struct trace_event_raw_neigh_update [152] {
  struct trace_entry ent @0; u32 family @8; u32 __data_loc_dev @12; u8 lladdr[32] @16; u8 lladdr_len @48; u8 flags @49; u8 nud_state @50;
  u8 type @51; u8 dead @52; int refcnt @56; __u8 primary_key4[4] @60; __u8 primary_key6[16] @64; unsigned long confirmed @80; unsigned
  long updated @88; unsigned long used @96; u8 new_lladdr[32] @104; u8 new_state @136; u32 update_flags @140; u32 pid @144; char __data[0]
  @148;
};
struct trace_event_raw_sock_exceed_buf_limit [96] {
  struct trace_entry ent @0; char name[32] @8; long sysctl_mem[3] @40; long allocated @64; int sysctl_rmem @72; int rmem_alloc @76; int
  sysctl_wmem @80; int wmem_alloc @84; int wmem_queued @88; int kind @92; char __data[0] @96;
};
struct trace_event_raw_udp_fail_queue_rcv_skb [76] {
  struct trace_entry ent @0; int rc @8; __u16 sport @12; __u16 dport @14; __u16 family @16; __u8 saddr[28] @18; __u8 daddr[28] @46; char
  __data[0] @74;
};
struct seq_file [120] {
  size_t size @8; size_t count @24;
};
struct bpf_iter_meta [24] {
  union [8] { struct seq_file *seq @0; } @0; u64 session_id @8; u64 seq_num @16;
};
struct pid [144] {
  unsigned int level @4; struct upid numbers[0] @144;
};
struct user_namespace [672] {
  int level @200; kuid_t owner @204; kgid_t group @208; struct ns_common ns @216;
};
struct cred [184] {
  kuid_t uid @8; kgid_t gid @12; kuid_t suid @16; kgid_t sgid @20; kuid_t euid @24; kgid_t egid @28; kuid_t fsuid @32; kgid_t fsgid @36;
  unsigned int securebits @40; kernel_cap_t cap_inheritable @48; kernel_cap_t cap_permitted @56; kernel_cap_t cap_effective @64; struct
  user_namespace *user_ns @144;
};
struct signal_struct [1144] {
  atomic_t live @4; int nr_threads @8;
};
struct cgroup_subsys_state [208] {
  struct cgroup *cgroup @0; int id @72; u64 serial_nr @80;
};
struct kernfs_node [136] {
  char *name @16; umode_t mode @62; u64 id @96;
};
struct cgroup [2240] {
  struct cgroup_subsys_state self @0; unsigned long flags @208; int level @216; int max_depth @220; struct kernfs_node *kn @256;
};
struct css_set [544] {
  struct cgroup *dfl_cgrp @112;
};
struct task_struct [3264] {
  unsigned int __state @24; void *stack @32; unsigned int flags @44; unsigned int ptrace @48; int on_cpu @52; int recent_used_cpu @96; int
  wake_cpu @100; int prio @108; int static_prio @112; int normal_prio @116; unsigned int rt_priority @120; unsigned int policy @780;
  struct list_head tasks @1056; struct mm_struct *mm @1136; int exit_state @1160; int exit_code @1164; int exit_signal @1168; unsigned
  long jobctl @1176; unsigned int personality @1184; pid_t pid @1264; pid_t tgid @1268; struct task_struct *real_parent @1280; struct
  task_struct *parent @1288; struct task_struct *group_leader @1328; struct pid *thread_pid @1368; u64 utime @1488; u64 stime @1496;
  unsigned long nvcsw @1536; unsigned long nivcsw @1544; u64 start_time @1552; u64 start_boottime @1560; unsigned long min_flt @1568;
  unsigned long maj_flt @1576; struct cred *real_cred @1728; struct cred *cred @1736; char comm[16] @1752; struct fs_struct *fs @1816;
  struct files_struct *files @1824; struct nsproxy *nsproxy @1840; struct signal_struct *signal @1848; kuid_t loginuid @1952; unsigned int
  sessionid @1956; struct css_set *cgroups @2376;
};
struct bpf_iter__task [16] {
  union [8] { struct bpf_iter_meta *meta @0; } @0; union [8] { struct task_struct *task @0; } @8;
};
struct bpf_iter__tcp [24] {
  union [8] { struct bpf_iter_meta *meta @0; } @0; union [8] { struct sock_common *sk_common @0; } @8; uid_t uid @16;
};
struct ipv6_pinfo [128] {
  struct in6_addr saddr @0; s16 hop_limit @32; u8 tclass @35; u8 mcast_hops @38;
};
struct inet_sock [1016] {
  struct sock sk @0; struct ipv6_pinfo *pinet6 @784; __be32 inet_saddr @808; __s16 uc_ttl @812; __be16 inet_sport @814; atomic_t inet_id
  @824; __u8 tos @828; __u8 min_ttl @829; __u8 mc_ttl @830; __u8 pmtudisc @831; __u8 rcv_tos @832;
};
struct udp_sock [1344] {
  struct inet_sock inet @0; int pending @1024; __u8 encap_type @1028; __u16 len @1048;
};
struct bpf_iter__udp [32] {
  union [8] { struct bpf_iter_meta *meta @0; } @0; union [8] { struct udp_sock *udp_sk @0; } @8; uid_t uid @16; int bucket @24;
};
struct bpf_map [296] {
  enum bpf_map_type map_type @64; u32 key_size @68; u32 value_size @72; u32 max_entries @76; u64 map_extra @80; u32 map_flags @88; u32 id
  @92; char name[16] @136;
};
struct bpf_iter__bpf_map [16] {
  union [8] { struct bpf_iter_meta *meta @0; } @0; union [8] { struct bpf_map *map @0; } @8;
};
struct bpf_iter__bpf_map_elem [32] {
  union [8] { struct bpf_iter_meta *meta @0; } @0; union [8] { struct bpf_map *map @0; } @8; union [8] { void *key @0; } @16; union [8] {
  void *value @0; } @24;
};
struct bpf_iter__bpf_prog [16] {
  union [8] { struct bpf_iter_meta *meta @0; } @0; union [8] { struct bpf_prog *prog @0; } @8;
};
struct bpf_iter__bpf_sk_storage_map [32] {
  union [8] { struct bpf_iter_meta *meta @0; } @0; union [8] { struct bpf_map *map @0; } @8; union [8] { struct sock *sk @0; } @16; union
  [8] { void *value @0; } @24;
};
struct bpf_iter__sockmap [32] {
  union [8] { struct bpf_iter_meta *meta @0; } @0; union [8] { struct bpf_map *map @0; } @8; union [8] { void *key @0; } @16; union [8] {
  struct sock *sk @0; } @24;
};
struct bpf_iter__netlink [16] {
  union [8] { struct bpf_iter_meta *meta @0; } @0; union [8] { struct netlink_sock *sk @0; } @8;
};
struct tcp_congestion_ops [192] {
  void *ssthresh @0; void *cong_avoid @8; void *set_state @16; void *cwnd_event @24; void *in_ack_event @32; void *pkts_acked @40; void
  *min_tso_segs @48; void *cong_control @56; void *undo_cwnd @64; void *sndbuf_expand @72; void *get_info @80; char name[16] @88; struct
  module *owner @104; struct list_head list @112; u32 key @128; u32 flags @132; void *init @136; void *release @144;
};
struct rate_sample [72] {
  u64 prior_mstamp @0; u32 prior_delivered @8; u32 prior_delivered_ce @12; s32 delivered @16; s32 delivered_ce @20; long interval_us @24;
  u32 snd_interval_us @32; u32 rcv_interval_us @36; long rtt_us @40; int losses @48; u32 acked_sacked @52; u32 prior_in_flight @56; u32
  last_end_seq @60; bool is_app_limited @64; bool is_retrans @65; bool is_ack_delayed @66;
};
struct ack_sample [12] {
  u32 pkts_acked @0; s32 rtt_us @4; u32 in_flight @8;
};
struct minmax_sample [8] {
  u32 t @0; u32 v @4;
};
struct minmax [24] {
  struct minmax_sample s[3] @0;
};
struct flowi4 [56] {
  __be32 saddr @40; __be32 daddr @44;
};
struct fib_result [48] {
  __be32 prefix @0; unsigned char prefixlen @4; unsigned char nh_sel @5; unsigned char type @6; unsigned char scope @7; u32 tclassid @8;
  dscp_t dscp @12; struct fib_nh_common *nhc @16; struct fib_info *fi @24; struct fib_table *table @32; struct hlist_head *fa_head @40;
};
struct inet_connection_sock [1400] {
  struct inet_sock icsk_inet @0; struct inet_bind_bucket *icsk_bind_hash @1088; __u32 icsk_rto @1184; __u32 icsk_rto_min @1188; __u32
  icsk_pmtu_cookie @1200; struct tcp_congestion_ops *icsk_ca_ops @1208; struct inet_connection_sock_af_ops *icsk_af_ops @1216; struct
  tcp_ulp_ops *icsk_ulp_ops @1224; __u8 icsk_ca_state : 5 @1248; __u8 icsk_retransmits @1249; __u8 icsk_pending @1250; __u8 icsk_backoff
  @1251; __u8 icsk_syn_retries @1252; __u8 icsk_probes_out @1253; u32 icsk_user_timeout @1292;
};
struct tcp_sock [2304] {
  struct inet_connection_sock inet_conn @0; u32 max_window @1400; u32 rcv_ssthresh @1404; u32 reordering @1408; u32 notsent_lowat @1412;
  u32 snd_wnd @1436; u32 mss_cache @1440; u32 snd_cwnd @1444; u32 lost_out @1452; u32 sacked_out @1456; u16 tcp_header_len @1460; u32
  copied_seq @1464; u32 rttvar_us @1476; u32 retrans_out @1480; u16 advmss @1484; u16 urg_data @1486; u32 lost @1488; u32 snd_ssthresh
  @1492; struct minmax rtt_min @1496; u32 segs_out @1536; u32 data_segs_out @1540; u64 bytes_sent @1544; u32 snd_sml @1552; u32 write_seq
  @1576; u32 pushed_seq @1580; u32 lsndtime @1584; u32 mdev_us @1588; u8 ecn_flags @1640; u64 tcp_clock_cache @1648; u64 tcp_mstamp @1656;
  u32 rcv_nxt @1664; u32 snd_nxt @1668; u32 snd_una @1672; u32 window_clamp @1676; u32 srtt_us @1680; u32 packets_out @1684; u32 delivered
  @1692; u32 delivered_ce @1696; u32 app_limited @1716; u32 rcv_wnd @1720; u32 rcv_tstamp @1724; u64 bytes_received @1752; u32 segs_in
  @1760; u32 data_segs_in @1764; u32 rcv_wup @1768; u32 rate_delivered @1780; u32 rate_interval_us @1784; u64 bytes_acked @1824; u32
  mdev_max_us @1924; u32 snd_cwnd_cnt @1932; u32 snd_cwnd_clamp @1936; u32 snd_cwnd_stamp @1944; u32 prior_cwnd @1948; u32 prior_ssthresh
  @2168; u32 retrans_stamp @2176; u32 undo_marker @2180; int undo_retrans @2184; u64 bytes_retrans @2192; u32 total_retrans @2200;
  unsigned int keepalive_time @2220; unsigned int keepalive_intvl @2224;
};
struct tcp6_sock [2432] {
  struct tcp_sock tcp @0;
};
struct udp6_sock [1472] {
  struct udp_sock udp @0;
};
struct request_sock [232] {
  struct sock_common __req_common @0; u16 mss @144; u8 num_retrans @146; u8 num_timeout : 7 @147.1; u32 ts_recent @148; struct sock *sk
  @200; u32 timeout @224;
};
struct inet_request_sock [256] {
  struct request_sock req @0; u16 snd_wscale : 4 @232; u16 rcv_wscale : 4 @232.4; u32 ir_mark @236;
};
struct tcp_request_sock [312] {
  struct inet_request_sock req @0; u32 txhash @276; u32 rcv_isn @280; u32 snt_isn @284; u32 rcv_nxt @304;
};
struct inet_timewait_sock [216] {
  struct sock_common __tw_common @0; __u32 tw_mark @136; unsigned char tw_substate @140; __be16 tw_sport @142;
};
struct tcp_timewait_sock [248] {
  struct inet_timewait_sock tw_sk @0; u32 tw_rcv_wnd @216;
};
struct nf_conn [248] {
  struct nf_conntrack ct_general @0; u32 timeout @8; struct nf_conntrack_zone zone @12; struct nf_conntrack_tuple_hash tuplehash[2] @16;
  unsigned long status @128; possible_net_t ct_net @136; struct nf_conn *master @160; u_int32_t mark @168; u_int32_t secmark @172;
};
struct bpf_prog_aux [1304] {
  u32 id @32; char name[16] @1016;
};
struct sk_msg [712] {
  void *data @640; void *data_end @648; u32 apply_bytes @656; u32 cork_bytes @660; u32 flags @664; struct sock *sk_redir @680; struct sock
  *sk @688;
};
struct sk_psock [696] {
  struct sock *sk @0; u32 apply_bytes @16; u32 eval @24;
};
struct linux_binprm [408] {
  struct file *file @64; int argc @88; int envc @92; char *filename @96; char *interp @104;
};
struct msghdr [104] {
  void *msg_name @0; int msg_namelen @8; unsigned int msg_flags @68;
};
struct neighbour [328] {
  u8 nud_state @156; unsigned char ha[32] @176; struct net_device *dev @320;
};
typedef void (*btf_trace_kfree_skb)(void *, struct sk_buff *, void *, enum skb_drop_reason, struct sock *);
typedef void (*btf_trace_consume_skb)(void *, struct sk_buff *, void *);
typedef void (*btf_trace_netif_receive_skb)(void *, struct sk_buff *);
typedef void (*btf_trace_netif_rx)(void *, struct sk_buff *);
typedef void (*btf_trace_net_dev_queue)(void *, struct sk_buff *);
typedef void (*btf_trace_net_dev_xmit)(void *, struct sk_buff *, int, struct net_device *, unsigned int);
typedef void (*btf_trace_net_dev_start_xmit)(void *, struct sk_buff *, struct net_device *);
typedef void (*btf_trace_inet_sock_set_state)(void *, struct sock *, int, int);
typedef void (*btf_trace_tcp_retransmit_skb)(void *, struct sock *, struct sk_buff *, int);
typedef void (*btf_trace_tcp_send_reset)(void *, struct sock *, struct sk_buff *, enum sk_rst_reason);
typedef void (*btf_trace_tcp_receive_reset)(void *, struct sock *);
typedef void (*btf_trace_tcp_destroy_sock)(void *, struct sock *);
typedef void (*btf_trace_tcp_probe)(void *, struct sock *, struct sk_buff *);
typedef void (*btf_trace_tcp_rcv_space_adjust)(void *, struct sock *);
typedef void (*btf_trace_tcp_retransmit_synack)(void *, struct sock *, struct request_sock *);
typedef void (*btf_trace_sock_exceed_buf_limit)(void *, struct sock *, struct proto *, long, int);
typedef void (*btf_trace_sock_rcvqueue_full)(void *, struct sock *, struct sk_buff *);
typedef void (*btf_trace_udp_fail_queue_rcv_skb)(void *, int, struct sock *, struct sk_buff *);
typedef void (*btf_trace_sys_enter)(void *, struct pt_regs *, long);
typedef void (*btf_trace_sys_exit)(void *, struct pt_regs *, long);
typedef void (*btf_trace_sched_switch)(void *, bool, struct task_struct *, struct task_struct *, unsigned int);
typedef void (*btf_trace_sched_wakeup)(void *, struct task_struct *);
typedef void (*btf_trace_sched_wakeup_new)(void *, struct task_struct *);
typedef void (*btf_trace_sched_process_exec)(void *, struct task_struct *, pid_t, struct linux_binprm *);
typedef void (*btf_trace_sched_process_exit)(void *, struct task_struct *, bool);
typedef void (*btf_trace_sched_process_fork)(void *, struct task_struct *, struct task_struct *);
typedef void (*btf_trace_xdp_exception)(void *, struct net_device *, struct bpf_prog *, u32);
typedef void (*btf_trace_xdp_redirect)(void *, struct net_device *, struct bpf_prog *, void *, int, enum bpf_map_type, u32, u32);
typedef void (*btf_trace_xdp_redirect_err)(void *, struct net_device *, struct bpf_prog *, void *, int, enum bpf_map_type, u32, u32);
typedef void (*btf_trace_icmp_send)(void *, struct sk_buff *, int, int);
typedef void (*btf_trace_fib_table_lookup)(void *, u32, struct flowi4 *, struct fib_nh_common *, int);
typedef void (*btf_trace_neigh_update)(void *, struct neighbour *, u8 *, u8, u32, u32);
typedef void (*btf_trace_neigh_create)(void *, struct neigh_table *, struct net_device *, void *, struct neighbour *, bool);
typedef void (*btf_trace_skb_copy_datagram_iovec)(void *, struct sk_buff *, int);
typedef void (*btf_trace_napi_poll)(void *, struct napi_struct *, int, int);
typedef void (*btf_trace_tcp_bad_csum)(void *, struct sk_buff *);
typedef void (*btf_trace_tcp_cong_state_set)(void *, struct sock *, u8);
typedef void (*btf_trace_inet_sk_error_report)(void *, struct sock *);
typedef void (*btf_trace_qdisc_dequeue)(void *, struct Qdisc *, struct netdev_queue *, int, struct sk_buff *);
typedef void (*btf_trace_qdisc_enqueue)(void *, struct Qdisc *, struct netdev_queue *, struct sk_buff *);
int ip_rcv(struct sk_buff *skb, struct net_device *dev, struct packet_type *pt, struct net_device *orig_dev);
struct sk_buff *ip_rcv_core(struct sk_buff *skb, struct net *net);
int ip_rcv_finish(struct net *net, struct sock *sk, struct sk_buff *skb);
int ip_local_deliver(struct sk_buff *skb);
int ip_local_deliver_finish(struct net *net, struct sock *sk, struct sk_buff *skb);
int ip_forward(struct sk_buff *skb);
int ip_output(struct net *net, struct sock *sk, struct sk_buff *skb);
int ip_finish_output(struct net *net, struct sock *sk, struct sk_buff *skb);
int ip_finish_output2(struct net *net, struct sock *sk, struct sk_buff *skb);
int ip_local_out(struct net *net, struct sock *sk, struct sk_buff *skb);
int __ip_local_out(struct net *net, struct sock *sk, struct sk_buff *skb);
int ip_queue_xmit(struct sock *sk, struct sk_buff *skb, struct flowi *fl);
int __ip_queue_xmit(struct sock *sk, struct sk_buff *skb, struct flowi *fl, __u8 tos);
int ip_send_skb(struct net *net, struct sk_buff *skb);
int ip_mc_output(struct net *net, struct sock *sk, struct sk_buff *skb);
int ip_do_fragment(struct net *net, struct sock *sk, struct sk_buff *skb, void *output);
int ip_defrag(struct net *net, struct sk_buff *skb, u32 user);
enum skb_drop_reason ip_route_input_noref(struct sk_buff *skb, __be32 daddr, __be32 saddr, dscp_t dscp, struct net_device *dev);
struct rtable *ip_route_output_key_hash(struct net *net, struct flowi4 *fl4, struct sk_buff *skb);
int ipv6_rcv(struct sk_buff *skb, struct net_device *dev, struct packet_type *pt, struct net_device *orig_dev);
int ip6_input(struct sk_buff *skb);
int ip6_forward(struct sk_buff *skb);
int ip6_output(struct net *net, struct sock *sk, struct sk_buff *skb);
int ip6_finish_output(struct net *net, struct sock *sk, struct sk_buff *skb);
int ip6_xmit(struct sock *sk, struct sk_buff *skb, struct flowi6 *fl6, __u32 mark, struct ipv6_txoptions *opt, int tclass, u32 priority);
int __dev_queue_xmit(struct sk_buff *skb, struct net_device *sb_dev);
struct sk_buff *dev_hard_start_xmit(struct sk_buff *first, struct net_device *dev, struct netdev_queue *txq, int *ret);
int netif_receive_skb(struct sk_buff *skb);
int __netif_receive_skb_core(struct sk_buff **pskb, bool pfmemalloc, struct packet_type **ppt_prev);
int netif_rx(struct sk_buff *skb);
enum rx_handler_result br_handle_frame(struct sk_buff **pskb);
void br_forward(struct net_bridge_port *to, struct sk_buff *skb, bool local_rcv, bool local_orig);
int vxlan_rcv(struct sock *sk, struct sk_buff *skb);
enum netdev_tx vxlan_xmit(struct sk_buff *skb, struct net_device *dev);
enum netdev_tx veth_xmit(struct sk_buff *skb, struct net_device *dev);
int arp_rcv(struct sk_buff *skb, struct net_device *dev, struct packet_type *pt, struct net_device *orig_dev);
void arp_send(int type, int ptype, __be32 dest_ip, struct net_device *dev, __be32 src_ip, unsigned char *dest_hw, unsigned char *src_hw,
  unsigned char *target_hw);
int arp_process(struct net *net, struct sock *sk, struct sk_buff *skb);
int icmp_rcv(struct sk_buff *skb);
void __icmp_send(struct sk_buff *skb_in, int type, int code, __be32 info, struct inet_skb_parm *parm);
void icmp_reply(struct icmp_bxm *icmp_param, struct sk_buff *skb);
int icmpv6_rcv(struct sk_buff *skb);
int neigh_resolve_output(struct neighbour *neigh, struct sk_buff *skb);
int tcp_v4_connect(struct sock *sk, struct sockaddr *uaddr, int addr_len);
int tcp_v6_connect(struct sock *sk, struct sockaddr *uaddr, int addr_len);
int tcp_v4_rcv(struct sk_buff *skb);
int tcp_v6_rcv(struct sk_buff *skb);
int tcp_v4_do_rcv(struct sock *sk, struct sk_buff *skb);
void tcp_rcv_established(struct sock *sk, struct sk_buff *skb);
enum skb_drop_reason tcp_rcv_state_process(struct sock *sk, struct sk_buff *skb);
int tcp_sendmsg(struct sock *sk, struct msghdr *msg, size_t size);
int tcp_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags);
void tcp_close(struct sock *sk, long timeout);
void tcp_set_state(struct sock *sk, int state);
int tcp_connect(struct sock *sk);
int tcp_retransmit_skb(struct sock *sk, struct sk_buff *skb, int segs);
bool tcp_write_xmit(struct sock *sk, unsigned int mss_now, int nonagle, int push_one, gfp_t gfp);
int __tcp_transmit_skb(struct sock *sk, struct sk_buff *skb, int clone_it, gfp_t gfp_mask, u32 rcv_nxt);
void tcp_v4_send_reset(struct sock *sk, struct sk_buff *skb, enum sk_rst_reason reason);
void tcp_send_fin(struct sock *sk);
void tcp_reset(struct sock *sk, struct sk_buff *skb);
int tcp_ack(struct sock *sk, struct sk_buff *skb, int flag);
void tcp_data_queue(struct sock *sk, struct sk_buff *skb);
int tcp_conn_request(struct request_sock_ops *rsk_ops, struct tcp_request_sock_ops *af_ops, struct sock *sk, struct sk_buff *skb);
struct sock *tcp_v4_syn_recv_sock(struct sock *sk, struct sk_buff *skb, struct request_sock *req, struct dst_entry *dst, struct
  request_sock *req_unhash, bool *own_req, void *opt_child_init);
void tcp_drop_reason(struct sock *sk, struct sk_buff *skb, enum skb_drop_reason reason);
void tcp_done(struct sock *sk);
struct sock *inet_csk_accept(struct sock *sk, struct proto_accept_arg *arg);
int inet_csk_listen_start(struct sock *sk);
int inet_listen(struct socket *sock, int backlog);
int inet_bind(struct socket *sock, struct sockaddr *uaddr, int addr_len);
int inet_accept(struct socket *sock, struct socket *newsock, struct proto_accept_arg *arg);
int inet_stream_connect(struct socket *sock, struct sockaddr *uaddr, int addr_len, int flags);
int inet_release(struct socket *sock);
int udp_sendmsg(struct sock *sk, struct msghdr *msg, size_t len);
int udp_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags);
int udp_rcv(struct sk_buff *skb);
int udpv6_sendmsg(struct sock *sk, struct msghdr *msg, size_t len);
int udp_queue_rcv_skb(struct sock *sk, struct sk_buff *skb);
void udp_destroy_sock(struct sock *sk);
enum skb_drop_reason ping_rcv(struct sk_buff *skb);
int raw_sendmsg(struct sock *sk, struct msghdr *msg, size_t len);
int nf_hook_slow(struct sk_buff *skb, struct nf_hook_state *state, struct nf_hook_entries *e, unsigned int s);
unsigned int nf_conntrack_in(struct sk_buff *skb, struct nf_hook_state *state);
unsigned int nf_nat_inet_fn(void *priv, struct sk_buff *skb, struct nf_hook_state *state);
unsigned int ipt_do_table(void *priv, struct sk_buff *skb, struct nf_hook_state *state);
unsigned int ip6t_do_table(void *priv, struct sk_buff *skb, struct nf_hook_state *state);
unsigned int nft_do_chain(struct nft_pktinfo *pkt, void *priv);
int __nf_conntrack_confirm(struct sk_buff *skb);
void sk_skb_reason_drop(struct sock *sk, struct sk_buff *skb, enum skb_drop_reason reason);
void consume_skb(struct sk_buff *skb);
struct sk_buff *skb_clone(struct sk_buff *skb, gfp_t gfp_mask);
void __kfree_skb(struct sk_buff *skb);
void kfree_skb_list_reason(struct sk_buff *segs, enum skb_drop_reason reason);
int security_socket_connect(struct socket *sock, struct sockaddr *address, int addrlen);
int security_socket_bind(struct socket *sock, struct sockaddr *address, int addrlen);
int security_socket_create(int family, int type, int protocol, int kern);
int security_socket_sendmsg(struct socket *sock, struct msghdr *msg, int size);
int fib_table_lookup(struct fib_table *tb, struct flowi4 *flp, struct fib_result *res, int fib_flags);
int __fib_lookup(struct net *net, struct flowi4 *flp, struct fib_result *res, unsigned int flags);
struct sock *sk_alloc(struct net *net, int family, gfp_t priority, struct proto *prot, int kern);
void sk_free(struct sock *sk);
void sock_def_readable(struct sock *sk);
void wake_up_new_task(struct task_struct *p);
void do_exit(long code);
int tcf_classify(struct sk_buff *skb, struct tcf_block *block, struct tcf_proto *tp, struct tcf_result *res, bool compat_mode);
int __sys_connect(int fd, struct sockaddr *uservaddr, int addrlen);
int __sys_bind(int fd, struct sockaddr *umyaddr, int addrlen);
int __sys_accept4(int fd, struct sockaddr *upeer_sockaddr, int *upeer_addrlen, int flags);
int __sys_socket(int family, int type, int protocol);
int __sys_sendto(int fd, void *buff, size_t len, unsigned int flags, struct sockaddr *addr, int addr_len);
int __sys_recvfrom(int fd, void *ubuf, size_t size, unsigned int flags, struct sockaddr *addr, int *addr_len);
int do_unlinkat(int dfd, struct filename *name);
int bpf_fentry_test1(int a);
int bpf_fentry_test2(int a, u64 b);
int bpf_fentry_test3(char a, int b, u64 c);
int bpf_fentry_test4(void *a, char b, int c, u64 d);
int bpf_fentry_test5(u64 a, void *b, short c, int d, u64 e);
int bpf_fentry_test6(u64 a, void *b, short c, int d, void *e, u64 f);
int bpf_fentry_test7(struct bpf_fentry_test_t *arg);
int bpf_fentry_test8(struct bpf_fentry_test_t *arg);
u32 bpf_fentry_test9(u32 *a);
int bpf_modify_return_test(int a, int *b);
int bpf_lsm_socket_connect(struct socket *sock, struct sockaddr *address, int addrlen);
int bpf_lsm_socket_bind(struct socket *sock, struct sockaddr *address, int addrlen);
int bpf_lsm_socket_create(int family, int type, int protocol, int kern);
int bpf_lsm_socket_sendmsg(struct socket *sock, struct msghdr *msg, int size);
int bpf_lsm_socket_recvmsg(struct socket *sock, struct msghdr *msg, int size, int flags);
int bpf_lsm_socket_listen(struct socket *sock, int backlog);
int bpf_lsm_file_open(struct file *file);
int bpf_lsm_bprm_check_security(struct linux_binprm *bprm);
int bpf_lsm_task_alloc(struct task_struct *task, u64 clone_flags);
int bpf_iter_task(struct bpf_iter_meta *meta, struct task_struct *task);
int bpf_iter_tcp(struct bpf_iter_meta *meta, struct sock_common *sk_common, uid_t uid);
int bpf_iter_udp(struct bpf_iter_meta *meta, struct udp_sock *udp_sk, uid_t uid, int bucket);
int bpf_iter_bpf_map(struct bpf_iter_meta *meta, struct bpf_map *map);
int bpf_iter_bpf_map_elem(struct bpf_iter_meta *meta, struct bpf_map *map, void *key, void *value);
int bpf_iter_bpf_prog(struct bpf_iter_meta *meta, struct bpf_prog *prog);
int bpf_iter_sockmap(struct bpf_iter_meta *meta, struct bpf_map *map, void *key, struct sock *sk);
`;
