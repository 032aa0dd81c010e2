// Numbers of the matches and targets beyond the core's (abi/netfilter.ts): what only the full kernel evaluates. Layouts as there;
// data follows the 4-byte header. Numbers from XT_STATEFUL on begin their data with the u32 offset of their state.

export const XT_FIRST: u32 = 40;
export const XT_STATEFUL: u32 = 96;

export const MATCH_SCTP: u32 = 40; // u16 sport lo, hi, dport lo, hi, u8 inverted (PORTS_INV_*), u8 mode (0 none, 1 any, 2 all, 3 only), u8 chunks inverted, u8 flag entries, u32[8] chunk bits, {u8 chunk, u8 flags, u8 mask, u8 0}[8]
export const MATCH_DCCP: u32 = 41; // u16 sport lo, hi, dport lo, hi, u8 inverted (PORTS_INV_*, DCCP_INV_*), u8 option, u16 packet types
export const MATCH_TCPMSS: u32 = 42; // u16 lo, hi
export const MATCH_AH: u32 = 43; // u32 spi lo, hi
export const MATCH_ESP: u32 = 44; // u32 spi lo, hi
export const MATCH_REALM: u32 = 45; // u32 realm, mask
export const MATCH_CPU: u32 = 46; // u32 cpu
export const MATCH_DEVGROUP: u32 = 47; // u32 DEVGROUP_*, u32 source group, mask, destination group, mask
export const MATCH_CONNLABEL: u32 = 48; // u32 bit, u32 1: set it
export const MATCH_CONNBYTES: u32 = 49; // u64 from, u64 to, u32 what (0 packets, 1 bytes, 2 average), u32 direction (0 original, 1 reply, 2 both)
export const MATCH_CLUSTER: u32 = 50; // u32 nodes, u32 mask, u32 seed
export const MATCH_CGROUP: u32 = 51; // u32 classid; all ones: the root's path
export const MATCH_OWNER: u32 = 52; // u32 OWNER_* to look at, u32 inverted, u32 uid lo, hi, gid lo, hi
export const MATCH_POLICY: u32 = 53; // u32 1: `none` matches (nothing here is transformed)
export const MATCH_SOCKET: u32 = 54; // u32 SOCKET_*
export const MATCH_BPF: u32 = 55; // u32 instructions, {u16 code, u8 jt, u8 jf, u32 k}[]
export const MATCH_U32: u32 = 56; // u32 tests, each {u8 numbers, u8 values, u16 0, {u32 number, u32 operation before it}[], {u32 lo, u32 hi}[]}
export const MATCH_STRING: u32 = 57; // u16 from, to, u8 length, u8 1: any case, u16 0, 128 bytes
export const MATCH_TIME: u32 = 58; // u32 date start, stop, day start, stop, month days, u8 week days, u8 TIME_*, u16 0
export const MATCH_HELPER: u32 = 59; // u32 HELPER_* number; 0: any
export const MATCH_NEVER: u32 = 60; // u32 0: needs something that is never here
export const MATCH_QUOTA: u32 = 96; // u32 state, u32 0, u64 bytes
export const MATCH_CONNLIMIT: u32 = 97; // u32 state, u32 limit, u32 CONNLIMIT_*, u32 mask
export const MATCH_SET_COUNTERS: u32 = 98; // u32 state, u32 dims, u32 flags, u8 packets op, u8 bytes op, u16 0, u64 packets, u64 bytes, 32 bytes name

export const DCCP_INV_TYPES: u32 = 4;
export const DCCP_INV_OPTION: u32 = 8;
export const DCCP_TYPES: u32 = 16;
export const DEVGROUP_SOURCE: u32 = 1;
export const DEVGROUP_INV_SOURCE: u32 = 2;
export const DEVGROUP_DESTINATION: u32 = 4;
export const DEVGROUP_INV_DESTINATION: u32 = 8;
export const OWNER_UID: u32 = 1; // include/uapi/linux/netfilter/xt_owner.h
export const OWNER_GID: u32 = 2;
export const OWNER_SOCKET: u32 = 4;
export const SOCKET_TRANSPARENT: u32 = 1; // include/uapi/linux/netfilter/xt_socket.h
export const SOCKET_NOWILDCARD: u32 = 2;
export const SOCKET_RESTORESKMARK: u32 = 4;
export const TIME_CONTIGUOUS: u32 = 2; // include/uapi/linux/netfilter/xt_time.h
export const CONNLIMIT_INVERT: u32 = 1; // include/uapi/linux/netfilter/xt_connlimit.h
export const CONNLIMIT_DADDR: u32 = 2;
export const HELPER_FTP: u32 = 1;
export const HELPER_TFTP: u32 = 2;
export const HELPER_OTHER: u32 = 255; // no helper of this name is there

export const TARGET_CT: u32 = 40; // u32 CTT_*, u16 zone original, u16 zone reply, u32 HELPER_*, u32 events (bit per IPCT_*), u32 expectation events
export const TARGET_NFQUEUE: u32 = 41; // u16 first, u16 queues, u32 NFQ_*
export const TARGET_TPROXY: u32 = 42; // u32 address (raw), u16 port (host order), u16 0, u32 mark, u32 mask
export const TARGET_TRACE: u32 = 43; // nothing
export const TARGET_TCPOPTSTRIP: u32 = 44; // u32[8] bits of options
export const TARGET_HMARK: u32 = 45; // u32 source mask, u32 destination mask, u32 port mask, u32 port set, u32 protocol mask, u32 rnd, u32 mod, u32 offset, u32 HMARK_*
export const TARGET_CONTINUE: u32 = 46; // u32 0: has no effect on packets (AUDIT, CHECKSUM, NFLOG, IDLETIMER, LED)
export const TARGET_SET: u32 = 96; // u32 state, u32 0, then add, del, map: {u32 dims, 32 bytes name} each; u32 timeout (all ones: the set's), u32 SETT_*

export const CTT_NOTRACK: u32 = 1;
export const CTT_ZONE_MARK: u32 = 2;
export const NFQ_BYPASS: u32 = 1;
export const NFQ_CPU_FANOUT: u32 = 2;
export const HMARK_CT: u32 = 1;
export const HMARK_SPI: u32 = 2;
export const HMARK_L3: u32 = 4;
export const SETT_EXIST: u32 = 1;
export const SETT_MAP_MARK: u32 = 2;
export const SETT_MAP_PRIO: u32 = 4;
export const SETT_MAP_QUEUE: u32 = 8;
