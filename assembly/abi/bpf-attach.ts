// Numbers that the kernel and its driver share: attaching programs (group 0x480 of OP_BPF). Attach types, flags and modes are upstream's
// (include/uapi/linux/bpf.h, if_link.h).

/** ATTACH_* record: BPF_PROG_ATTACH, RTM_SETLINK with IFLA_XDP. 0 or -errno. */
export const BPF_ATTACH: u32 = 0x480;
/** ATTACH_* record: BPF_PROG_DETACH. ATTACH_PROG 0: whichever stands there, where that is enough. */
export const BPF_DETACH: u32 = 0x481;
/** ATTACH_* record: BPF_LINK_CREATE; returns the link's handle. */
export const BPF_LINK_CREATE: u32 = 0x482;
/** {u32 link, u32 program, u32 BPF_F_REPLACE or 0, u32 old program} */
export const BPF_LINK_UPDATE: u32 = 0x483;
/** {u32 link}: BPF_LINK_DETACH: the link remains without a target. */
export const BPF_LINK_DETACH: u32 = 0x484;
/** {u32 link}: its last holder lets go: it is detached and ends. */
export const BPF_LINK_FREE: u32 = 0x485;
/** {u32 link}: answer LINK_* record. */
export const BPF_LINK_INFO: u32 = 0x486;
/** ATTACH_* record (type, target, ifindex, BPF_F_QUERY_EFFECTIVE): answer {u64 revision, u32 count, u32 flags, QUERY_* records}. */
export const BPF_QUERY: u32 = 0x487;
/** {u32 parent's id, 0: the root}: a new cgroup; returns its id. */
export const BPF_CGROUP_NEW: u32 = 0x488;
/** {u32 id}: -EBUSY while it has children. */
export const BPF_CGROUP_DELETE: u32 = 0x489;
/** {u32 socket or namespace handle, u32 cgroup id}: where it belongs; a namespace's: sockets that are made in it from now on. */
export const BPF_CGROUP_JOIN: u32 = 0x48a;
/** {u32 socket, u32 kind SOCKFILTER_*, u32 program or count of classic instructions, instructions}: SO_ATTACH_FILTER and its kin. */
export const BPF_SOCK_FILTER: u32 = 0x48b;
/** {u32 netns, u32 prefix bits, u32 table, 16 bytes destination, u32 in, u32 out, u32 xmit program}: programs of a route; 0: none. */
export const BPF_ROUTE_LWT: u32 = 0x48c;
/** {u32 netns, u32 ifindex}: answer {u32 mode, u32 program id, u64 tag, u32 jited, u32 -, 16 bytes name}; mode 0: none. */
export const BPF_XDP_INFO: u32 = 0x48d;
/** {}: answer {u32 programs not run, u32 XDP exceptions, u32 failed redirects}. */
export const BPF_HOOK_STATS: u32 = 0x48e;

export const ATTACH_TYPE: u32 = 0;
export const ATTACH_PROG: u32 = 4; // handle
export const ATTACH_TARGET: u32 = 8; // handle of a namespace; a cgroup's id; a map's handle
export const ATTACH_IFINDEX: u32 = 12;
export const ATTACH_FLAGS: u32 = 16; // BPF_F_*; XDP_FLAGS_*
export const ATTACH_RELATIVE: u32 = 20; // handle or id of a program or link, as the flags say; 0: none
export const ATTACH_REPLACED: u32 = 24; // handle of a program
export const ATTACH_REVISION: u32 = 32; // u64, 0: any
export const ATTACH_PF: u32 = 40; // netfilter: NFPROTO_IPV4 or NFPROTO_IPV6
export const ATTACH_HOOK: u32 = 44;
export const ATTACH_PRIORITY: u32 = 48; // i32
export const ATTACH_NF_FLAGS: u32 = 52; // BPF_F_NETFILTER_IP_DEFRAG
export const ATTACH_BYTES: u32 = 56;

export const LINKI_ID: u32 = 0;
export const LINKI_TYPE: u32 = 4; // attach type
export const LINKI_PROG: u32 = 8; // id
export const LINKI_TARGET: u32 = 12; // namespace handle or cgroup id; 0: gone
export const LINKI_IFINDEX: u32 = 16;
export const LINKI_PRIORITY: u32 = 20;
export const LINKI_HOOK: u32 = 24;
export const LINKI_PF: u32 = 28;
export const LINKI_BYTES: u32 = 32;

export const QUERY_PROG: u32 = 0; // id
export const QUERY_LINK: u32 = 4; // id, 0: none
export const QUERY_FLAGS: u32 = 8;
export const QUERY_TYPE: u32 = 12; // of the program
export const QUERY_TAG: u32 = 16; // u64
export const QUERY_NAME: u32 = 24; // 16 bytes
export const QUERY_BYTES: u32 = 40;

export const XDP_FLAGS_UPDATE_IF_NOEXIST: u32 = 1;
export const XDP_FLAGS_SKB_MODE: u32 = 2;
export const XDP_FLAGS_DRV_MODE: u32 = 4;
export const XDP_FLAGS_HW_MODE: u32 = 8;
export const XDP_FLAGS_REPLACE: u32 = 16;
export const XDP_MODE_DRV: u32 = 1;
export const XDP_MODE_SKB: u32 = 2;

export const BPF_F_ALLOW_OVERRIDE: u32 = 1;
export const BPF_F_ALLOW_MULTI: u32 = 2;
export const BPF_F_QUERY_EFFECTIVE: u32 = 1;

export const SOCKFILTER_NONE: u32 = 0;
export const SOCKFILTER_BPF: u32 = 1; // SO_ATTACH_BPF
export const SOCKFILTER_CLASSIC: u32 = 2; // SO_ATTACH_FILTER
export const SOCKFILTER_REUSEPORT: u32 = 3; // SO_ATTACH_REUSEPORT_EBPF

export const BPF_XDP: u32 = 37;
export const BPF_TCX_INGRESS: u32 = 46;
export const BPF_TCX_EGRESS: u32 = 47;
export const BPF_FLOW_DISSECTOR: u32 = 17;
export const BPF_SK_LOOKUP: u32 = 36;
export const BPF_NETFILTER: u32 = 45;
