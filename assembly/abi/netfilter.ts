// Numbers that the kernel and its driver share: hooks, verdicts, tables, rules, connections. See core.ts.

// include/uapi/linux/netfilter.h, netfilter_ipv4.h
export const NF_DROP: u32 = 0;
export const NF_ACCEPT: u32 = 1;
export const NF_STOLEN: u32 = 2;
export const NF_QUEUE: u32 = 3;
export const NF_REPEAT: u32 = 4;
export const HOOK_PREROUTING: u32 = 0;
export const HOOK_INPUT: u32 = 1;
export const HOOK_FORWARD: u32 = 2;
export const HOOK_OUTPUT: u32 = 3;
export const HOOK_POSTROUTING: u32 = 4;

// Tables, and the hooks at which each has a chain (bit per HOOK_*). The built-in chains of a table are its first chains, in
// the order of the hooks.
export const TABLE_RAW: u32 = 0;
export const TABLE_MANGLE: u32 = 1;
export const TABLE_NAT: u32 = 2;
export const TABLE_FILTER: u32 = 3;
export const TABLE_SECURITY: u32 = 4;
export const TABLES: u32 = 5;
// The tables of IPv6 have the same numbers, TABLES more; the same goes for what records say of them.
export const TABLES_ALL: u32 = 10;
export const TABLE_RAW_HOOKS: u32 = 0x09;
export const TABLE_MANGLE_HOOKS: u32 = 0x1f;
export const TABLE_NAT_HOOKS: u32 = 0x1b;
export const TABLE_FILTER_HOOKS: u32 = 0x0e;
export const TABLE_SECURITY_HOOKS: u32 = 0x0e;

// Requests.
/**
 * Replaces a table as a whole: {u32 netns, u32 table, u32 flags (REPLACE_*)}; the blob is the upload. Returns 0 or -EBADF,
 * -EINVAL (malformed, or a match or target where it may not stand), -ELOOP (chains call each other in a circle), -ERANGE
 * (a limit too coarse), -ENOENT (a set that does not exist), -ENOMEM; then the old table stays.
 */
export const NF_REPLACE: u32 = 0x201;
/** {u32 netns, u32 table, u32 first, u32 count}: answer = {u64 packets, u64 bytes} of counters from `first`; returns bytes. */
export const NF_COUNTERS: u32 = 0x202;
/** {u32 netns, u32 table, u32 first, u32 count}: sets counters to zero. */
export const NF_ZERO: u32 = 0x203;
/** {u32 netns, u32 number of a setting (NFCT_*)}: returns it. */
export const NF_GET: u32 = 0x204;
/** {u32 netns, u32 number of a setting, u32 value}. */
export const NF_SET: u32 = 0x205;
/** {u32 netns, u32 cursor}: answer = {u32 next cursor (0: that was all), u32 entries} and CT_RECORD_BYTES each; returns bytes. */
export const NF_CT_LIST: u32 = 0x206;
/** {u32 netns, u32 ct id}: deletes the entry; -ENOENT. */
export const NF_CT_DELETE: u32 = 0x207;
/** {u32 netns, u32 NFSTAT_*}: returns the counter. */
export const NF_STAT: u32 = 0x208;
// 0x209 to 0x20b and 0x20d to 0x20f are IP sets': abi/ipset.ts.
/** {u32 netns, u32 length, IP packet}: sends it as a raw socket with IP_HDRINCL does; 0 or -errno. */
export const NF_LOCAL_OUT: u32 = 0x20c;

/**
 * CTSET_* record: a connection made or changed by hand (ctnetlink). With id 0 it is made: 0, -EEXIST, -EINVAL (not a tuple), -ENOMEM; else
 * the one of that id is changed: 0 or -ENOENT.
 */
export const NF_CT_SET: u32 = 0x2e0;
/** {u32 netns, u32 id}: what a connection carries beside its record: CTEXT_*; returns bytes or -ENOENT. */
export const NF_CT_EXTRA: u32 = 0x2e1;

/** {u32 netns, u32 1: rules are looked at one after the other, 0: by their index}: which evaluator the namespace's tables get. */
export const NF_EVALUATOR: u32 = 0x2f0;

export const REPLACE_TEST: u32 = 1; // only check the blob

// The blob of NF_REPLACE: {u32 chains, u32 rules, u32 bytes of all rules, u32 0}, chains {u32 offset of the first rule from
// the first rule of all, u32 rules, u32 rules before, u32 policy}, rules, then per counter (rules, then built-in chains) a
// u32: the number of the counter it goes on from, all ones: from zero; u32 how many {u32 counter, u32 0, u64 packets,
// u64 bytes} follow that set counters.
export const BLOB_HEADER: u32 = 16;
export const BLOB_CHAIN: u32 = 16;
export const POLICY_USER: u32 = 0xff;

// A rule: {u32 bytes, u32 offset of the target}, matches, target. Match and target: {u8 kind, u8 inverted, u16 bytes}, data.
export const RULE_HEADER: u32 = 8;
export const EXT_HEADER: u32 = 4;

// Matches; data after each. Addresses are raw, ports in host order, lo and hi inclusive.
export const MATCH_SOURCE: u32 = 1; // u32 address, u32 mask
export const MATCH_DESTINATION: u32 = 2; // u32 address, u32 mask
export const MATCH_IN: u32 = 3; // 16 bytes name, 16 bytes mask
export const MATCH_OUT: u32 = 4; // the same
export const MATCH_PROTOCOL: u32 = 5; // u32 protocol
export const MATCH_FRAGMENT: u32 = 6; // nothing
export const MATCH_TCP: u32 = 7; // u16 sport lo, hi, u16 dport lo, hi, u8 flag mask, u8 flags, u8 option, u8 inverted (PORTS_INV_*)
export const MATCH_UDP: u32 = 8; // u16 sport lo, hi, u16 dport lo, hi, u32 inverted
export const MATCH_ICMP: u32 = 9; // u8 type (255: any), u8 code lo, u8 code hi, u8 0
export const MATCH_MULTIPORT: u32 = 10; // u16 MULTIPORT_*, u16 count, {u16 lo, u16 hi}[count]
export const MATCH_ADDRTYPE: u32 = 11; // u16 source types, u16 destination types (bit per RTN_*), u32 ADDRTYPE_*
export const MATCH_CONNTRACK: u32 = 12; // CONNTRACK_DATA bytes, see there
export const MATCH_STATE: u32 = 13; // u32 states (bit per ctinfo, CTSTATE_*)
export const MATCH_MARK: u32 = 14; // u32 mark, u32 mask
export const MATCH_CONNMARK: u32 = 15; // u32 mark, u32 mask
export const MATCH_STATISTIC: u32 = 16; // u32 0 random, 1 nth; u32 probability or every-1; u32 count to begin with; u32 state
export const MATCH_LIMIT: u32 = 17; // u32 average, u32 burst, u32 state
export const MATCH_HASHLIMIT: u32 = 18; // u64 average, u32 burst, u32 HASHLIMIT_*, u32 source mask, u32 destination mask, u32 size, u32 max, u32 expire ms, u32 state, 256 bytes name
export const MATCH_RECENT: u32 = 19; // u32 RECENT_*, u32 seconds, u32 hit count, u32 mask, u32 state, 200 bytes name
export const MATCH_PHYSDEV: u32 = 20; // 16+16 bytes in, 16+16 bytes out, u32 PHYSDEV_* to look at, u32 inverted
export const MATCH_LENGTH: u32 = 21; // u16 lo, u16 hi
export const MATCH_TTL: u32 = 22; // u32 mode (0 equal, 1 not equal, 2 less, 3 greater), u32 ttl
export const MATCH_TOS: u32 = 23; // u32 value, u32 mask
export const MATCH_MAC: u32 = 24; // 6 bytes, u16 0
export const MATCH_PKTTYPE: u32 = 25; // u32 PACKET_*
export const MATCH_IPRANGE: u32 = 26; // u32 IPRANGE_*, u32 source lo, hi, u32 destination lo, hi (host order)
export const MATCH_SET: u32 = 27; // u32 SETDIM_* of dimension 1..3 (2 bits each), u32 SETFLAG_*, u32 state, 32 bytes name
export const MATCH_ECN: u32 = 28; // u32 ECN_*, u32 ip ect
export const MATCH_RPFILTER: u32 = 29; // u32 RPFILTER_*

export const PORTS_INV_SPORT: u32 = 1;
export const PORTS_INV_DPORT: u32 = 2;
export const TCP_INV_FLAGS: u32 = 4;
export const TCP_INV_OPTION: u32 = 8;
export const MULTIPORT_SOURCE: u32 = 0;
export const MULTIPORT_DESTINATION: u32 = 1;
export const MULTIPORT_EITHER: u32 = 2;
export const ADDRTYPE_INV_SOURCE: u32 = 1;
export const ADDRTYPE_INV_DESTINATION: u32 = 2;
export const ADDRTYPE_LIMIT_IN: u32 = 4;
export const ADDRTYPE_LIMIT_OUT: u32 = 8;

// MATCH_CONNTRACK: include/uapi/linux/netfilter/xt_conntrack.h (flag values as there).
export const CTM_STATE: u32 = 1;
export const CTM_PROTO: u32 = 2;
export const CTM_ORIGSRC: u32 = 4;
export const CTM_ORIGDST: u32 = 8;
export const CTM_REPLSRC: u32 = 16;
export const CTM_REPLDST: u32 = 32;
export const CTM_STATUS: u32 = 64;
export const CTM_EXPIRES: u32 = 128;
export const CTM_ORIGSRC_PORT: u32 = 256;
export const CTM_ORIGDST_PORT: u32 = 512;
export const CTM_REPLSRC_PORT: u32 = 1024;
export const CTM_REPLDST_PORT: u32 = 2048;
export const CTM_DIRECTION: u32 = 4096; // inverted: reply
export const CTMD_FLAGS: u32 = 0; // u16 what to look at, u16 inverted
export const CTMD_STATE: u32 = 4; // u32 CTSTATE_*
export const CTMD_STATUS: u32 = 8; // u32 IPS_*
export const CTMD_PROTO: u32 = 12; // u32
export const CTMD_EXPIRES: u32 = 16; // u32 lo, hi, seconds
export const CTMD_ADDRESSES: u32 = 24; // {u32 address, u32 mask} of origsrc, origdst, replsrc, repldst
export const CTMD_PORTS: u32 = 56; // {u16 lo, u16 hi} of the same
export const CONNTRACK_DATA: u32 = 72;

export const CTSTATE_INVALID: u32 = 1;
export const CTSTATE_ESTABLISHED: u32 = 2;
export const CTSTATE_RELATED: u32 = 4;
export const CTSTATE_NEW: u32 = 8;
export const CTSTATE_UNTRACKED: u32 = 64;
export const CTSTATE_SNAT: u32 = 128;
export const CTSTATE_DNAT: u32 = 256;

export const HASHLIMIT_DIP: u32 = 1; // include/uapi/linux/netfilter/xt_hashlimit.h
export const HASHLIMIT_DPT: u32 = 2;
export const HASHLIMIT_SIP: u32 = 4;
export const HASHLIMIT_SPT: u32 = 8;
export const HASHLIMIT_INVERT: u32 = 16;
export const HASHLIMIT_BYTES: u32 = 32;
export const RECENT_CHECK: u32 = 1; // include/uapi/linux/netfilter/xt_recent.h
export const RECENT_SET: u32 = 2;
export const RECENT_UPDATE: u32 = 4;
export const RECENT_REMOVE: u32 = 8;
export const RECENT_TTL: u32 = 16;
export const RECENT_REAP: u32 = 32;
export const RECENT_DESTINATION: u32 = 64;
export const PHYSDEV_IN: u32 = 1; // include/uapi/linux/netfilter/xt_physdev.h
export const PHYSDEV_OUT: u32 = 2;
export const PHYSDEV_BRIDGED: u32 = 4;
export const PHYSDEV_ISIN: u32 = 8;
export const PHYSDEV_ISOUT: u32 = 16;
export const IPRANGE_SOURCE: u32 = 1;
export const IPRANGE_DESTINATION: u32 = 2;
export const IPRANGE_INV_SOURCE: u32 = 16;
export const IPRANGE_INV_DESTINATION: u32 = 32;
export const SETDIM_SOURCE: u32 = 1;
export const SETDIM_DESTINATION: u32 = 2;
export const SETFLAG_RETURN_NOMATCH: u32 = 1;
export const SETFLAG_SKIP_COUNTERS: u32 = 2;
export const SETFLAG_SKIP_SUBCOUNTERS: u32 = 4;
export const ECN_IP: u32 = 1;
export const ECN_ECE: u32 = 2;
export const ECN_CWR: u32 = 4;
export const ECN_INV_IP: u32 = 16;
export const ECN_INV_ECE: u32 = 32;
export const ECN_INV_CWR: u32 = 64;
export const RPFILTER_LOOSE: u32 = 1;
export const RPFILTER_VALID_MARK: u32 = 2;
export const RPFILTER_ACCEPT_LOCAL: u32 = 4;
export const RPFILTER_INVERT: u32 = 8;

// Targets; data after each.
export const TARGET_NONE: u32 = 0; // the rule only counts
export const TARGET_ACCEPT: u32 = 1;
export const TARGET_DROP: u32 = 2;
export const TARGET_RETURN: u32 = 3;
export const TARGET_JUMP: u32 = 4; // u32 chain
export const TARGET_GOTO: u32 = 5; // u32 chain
export const TARGET_MARK: u32 = 6; // u32 mark, u32 mask
export const TARGET_CONNMARK: u32 = 7; // u32 mode (0 set, 1 save, 2 restore), u32 ctmark, u32 ctmask, u32 nfmask
export const TARGET_SNAT: u32 = 8; // NAT range: u32 NAT_RANGE_*, u32 lo, hi address (host order), u16 lo, hi port, u16 base port, u16 0
export const TARGET_DNAT: u32 = 9; // the same
export const TARGET_MASQUERADE: u32 = 10; // the same
export const TARGET_REDIRECT: u32 = 11; // the same
export const TARGET_NETMAP: u32 = 12; // the same
export const TARGET_REJECT: u32 = 13; // u32 REJECT_*
export const TARGET_LOG: u32 = 14; // nothing: only counted
export const TARGET_NOTRACK: u32 = 15; // nothing
export const TARGET_TCPMSS: u32 = 16; // u32 mss, 0xffff: clamp to path MTU
export const TARGET_TOS: u32 = 17; // u32 value, u32 mask
export const TARGET_TTL: u32 = 18; // u32 mode (0 set, 1 increase, 2 decrease), u32 value
export const TARGET_TEE: u32 = 19; // u32 gateway (raw)
export const TARGET_CLASSIFY: u32 = 20; // u32 priority
export const TARGET_ECN: u32 = 21; // u32 operations (ECNOP_*), u32 ip ect
export const NAT_RANGE_BYTES: u32 = 20;

export const ECNOP_IP: u32 = 1; // include/uapi/linux/netfilter_ipv4/ipt_ECN.h
export const ECNOP_ECE: u32 = 16;
export const ECNOP_CWR: u32 = 32;

// include/uapi/linux/netfilter/nf_nat.h
export const NAT_RANGE_MAP_IPS: u32 = 1;
export const NAT_RANGE_PROTO_SPECIFIED: u32 = 2;
export const NAT_RANGE_PROTO_RANDOM: u32 = 4;
export const NAT_RANGE_PERSISTENT: u32 = 8;
export const NAT_RANGE_PROTO_RANDOM_FULLY: u32 = 16;
export const NAT_RANGE_PROTO_OFFSET: u32 = 32;

// include/uapi/linux/netfilter_ipv4/ipt_REJECT.h
export const REJECT_NET_UNREACHABLE: u32 = 0;
export const REJECT_HOST_UNREACHABLE: u32 = 1;
export const REJECT_PROT_UNREACHABLE: u32 = 2;
export const REJECT_PORT_UNREACHABLE: u32 = 3;
export const REJECT_ECHOREPLY: u32 = 4;
export const REJECT_NET_PROHIBITED: u32 = 5;
export const REJECT_HOST_PROHIBITED: u32 = 6;
export const REJECT_TCP_RESET: u32 = 7;
export const REJECT_ADMIN_PROHIBITED: u32 = 8;

// OBS_RULE: the verdict where it is none of NF_*. TRACE_JUMP and TRACE_GOTO carry the chain in the low 24 bits.
export const TRACE_CONTINUE: u32 = 0x10000000;
export const TRACE_RETURN: u32 = 0x11000000;
export const TRACE_JUMP: u32 = 0x12000000;
export const TRACE_GOTO: u32 = 0x13000000;
export const TRACE_KIND: u32 = 0xff000000;

// include/uapi/linux/netfilter/nf_conntrack_common.h
export const IP_CT_ESTABLISHED: u32 = 0;
export const IP_CT_RELATED: u32 = 1;
export const IP_CT_NEW: u32 = 2;
export const IP_CT_ESTABLISHED_REPLY: u32 = 3;
export const IP_CT_RELATED_REPLY: u32 = 4;
export const IP_CT_UNTRACKED: u32 = 7;
export const IPS_EXPECTED: u32 = 0x1;
export const IPS_SEEN_REPLY: u32 = 0x2;
export const IPS_ASSURED: u32 = 0x4;
export const IPS_CONFIRMED: u32 = 0x8;
export const IPS_SRC_NAT: u32 = 0x10;
export const IPS_DST_NAT: u32 = 0x20;
export const IPS_SRC_NAT_DONE: u32 = 0x80;
export const IPS_DST_NAT_DONE: u32 = 0x100;
export const IPS_DYING: u32 = 0x200;
export const IPS_HELPER: u32 = 0x2000;
export const IPS_OFFLOAD: u32 = 0x4000;

// Settings by number: net.netfilter.*; timeouts in seconds. The TCP ones are the states' numbers.
export const NFCT_TIMEOUT_TCP: u32 = 0; // + state 1..9
export const NFCT_TIMEOUT_TCP_RETRANS: u32 = 10;
export const NFCT_TIMEOUT_TCP_UNACK: u32 = 11;
export const NFCT_TIMEOUT_UDP: u32 = 12;
export const NFCT_TIMEOUT_UDP_STREAM: u32 = 13;
export const NFCT_TIMEOUT_ICMP: u32 = 14;
export const NFCT_TIMEOUT_GENERIC: u32 = 15;
export const NFCT_TIMEOUT_GRE: u32 = 16;
export const NFCT_TIMEOUT_GRE_STREAM: u32 = 17;
export const NFCT_TIMEOUT_SCTP: u32 = 18; // + state 1..9
export const NFCT_CHECKSUM: u32 = 28;
export const NFCT_TCP_LOOSE: u32 = 29;
export const NFCT_TCP_BE_LIBERAL: u32 = 30;
export const NFCT_TCP_MAX_RETRANS: u32 = 31;
export const NFCT_TCP_IGNORE_INVALID_RST: u32 = 32;
export const NFCT_MAX: u32 = 33;
export const NFCT_COUNT: u32 = 34; // read only
export const NFCT_ACCT: u32 = 35;
export const NFCT_EXPECT_MAX: u32 = 36;
/** Seconds of the epoch at which the node's clock stood at 0. */
export const NFCT_REALTIME: u32 = 37;
export const NFCT_TIMEOUT_ICMPV6: u32 = 38;
export const NFCT_SETTINGS: u32 = 39;

// nf_conntrack's statistics, as /proc/net/stat/nf_conntrack names them.
export const NFSTAT_FOUND: u32 = 0;
export const NFSTAT_INVALID: u32 = 1;
export const NFSTAT_INSERT: u32 = 2;
export const NFSTAT_INSERT_FAILED: u32 = 3;
export const NFSTAT_DROP: u32 = 4;
export const NFSTAT_EARLY_DROP: u32 = 5;
export const NFSTAT_ICMP_ERROR: u32 = 6;
export const NFSTAT_CLASH_RESOLVE: u32 = 7;
export const NFSTATS: u32 = 8;

// A connection in the answer of NF_CT_LIST: {u32 id, u32 status, u32 mark, u32 timeout in ms, tuple orig, tuple reply,
// u24 protocol state, u8 helper (abi/xtables.ts HELPER_*), u8[2] wscale, u8[2] TCP flags}; tuple = {u32 source, u32 destination (raw), u16 sport, u16 dport (network order;
// ICMP: id, type | code << 8), u16 zone, u8 protocol, u8 family}.
export const CT_RECORD_BYTES: u32 = 120;
/** Of IPv6 (the tuples' family is 10) the addresses stand here, 16 bytes each: source and destination of orig, then of reply. */
export const CT_RECORD_ADDRESSES: u32 = 56;
export const CT_RECORD_ORIG: u32 = 16;
export const CT_RECORD_REPLY: u32 = 32;
export const CT_RECORD_STATE: u32 = 48;
export const CT_RECORD_WSCALE: u32 = 52;
export const CT_RECORD_FLAGS: u32 = 54;

export const CTSET_ID: u32 = 4;
export const CTSET_MASK: u32 = 8; // CTSET_F_*: what is changed
export const CTSET_STATUS: u32 = 12; // IPS_*; bits are added, none goes
export const CTSET_TIMEOUT: u32 = 16; // seconds
export const CTSET_MARK: u32 = 20;
export const CTSET_STATE: u32 = 24; // of the protocol
export const CTSET_ORIG: u32 = 32; // tuples as in CT_RECORD_*
export const CTSET_REPLY: u32 = 48;
export const CTSET_LABELS: u32 = 64; // 16 bytes
export const CTSET_LABELS_MASK: u32 = 80; // 16 bytes: those that are given
export const CTSET_BYTES: u32 = 96;
export const CTSET_F_STATUS: u32 = 1;
export const CTSET_F_TIMEOUT: u32 = 2;
export const CTSET_F_MARK: u32 = 4;
export const CTSET_F_STATE: u32 = 8;
export const CTSET_F_LABELS: u32 = 16;

export const CTEXT_FLAGS: u32 = 0; // CTEXT_HAS_*
export const CTEXT_USE: u32 = 4; // references
export const CTEXT_COUNTERS: u32 = 8; // u64 packets, bytes; of replies the same
export const CTEXT_LABELS: u32 = 40; // 16 bytes
export const CTEXT_BYTES: u32 = 56;
export const CTEXT_HAS_COUNTERS: u32 = 1;
export const CTEXT_HAS_LABELS: u32 = 2;
