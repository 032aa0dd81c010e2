// Numbers that the kernel and its driver share: links, addresses, routes, neighbours, sysctls, counters, drop reasons. See
// core.ts.

// Requests (0x100 + n). Records begin with {u32 netns handle}; *_LIST answers whole records from number `skip` on.
/** The initial namespace: no record. Returns its handle. */
export const NET_NETNS_HOST: u32 = 0x100;
/** A new namespace: no record. Returns its handle. */
export const NET_NETNS_ADD: u32 = 0x101;
/** Takes a namespace away with all that is in it. */
export const NET_NETNS_DELETE: u32 = 0x102;
/** LINK_* record; returns the ifindex. */
export const NET_LINK_ADD: u32 = 0x103;
/** {netns, u32 ifindex} */
export const NET_LINK_DELETE: u32 = 0x104;
/** SETLINK_* record. */
export const NET_LINK_SET: u32 = 0x105;
/** {netns, u32 skip}: LINKINFO_* records. */
export const NET_LINK_LIST: u32 = 0x106;
/** {netns, 16 bytes name}; returns the ifindex. */
export const NET_LINK_FIND: u32 = 0x107;
/** {netns, u32 ifindex}: one LINKINFO_* record. */
export const NET_LINK_GET: u32 = 0x108;
/** ADDRESS_* record. */
export const NET_ADDRESS_ADD: u32 = 0x109;
export const NET_ADDRESS_DELETE: u32 = 0x10a;
export const NET_ADDRESS_LIST: u32 = 0x10b;
/** ROUTE_* record. */
export const NET_ROUTE_ADD: u32 = 0x10c;
export const NET_ROUTE_DELETE: u32 = 0x10d;
/** {netns, u32 skip, u32 table (0: all)} */
export const NET_ROUTE_LIST: u32 = 0x10e;
/** RULE_* record. */
export const NET_RULE_ADD: u32 = 0x10f;
export const NET_RULE_DELETE: u32 = 0x110;
export const NET_RULE_LIST: u32 = 0x111;
/** NEIGH_* record. */
export const NET_NEIGH_SET: u32 = 0x112;
export const NET_NEIGH_DELETE: u32 = 0x113;
export const NET_NEIGH_LIST: u32 = 0x114;
/** FDB_* record. */
export const NET_FDB_SET: u32 = 0x115;
export const NET_FDB_DELETE: u32 = 0x116;
/** {netns, u32 skip, u32 ifindex} */
export const NET_FDB_LIST: u32 = 0x117;
/** {netns, u32 SYSCTL_* number, u32 ifindex or CONF_OF_*, i32 value}; get returns {i32 value}. Numbers from SYSCTL_CONF are per device. */
export const NET_SYSCTL_GET: u32 = 0x118;
export const NET_SYSCTL_SET: u32 = 0x119;
/** {netns}: u64 by DROP_* number. */
export const NET_DROPS: u32 = 0x11a;
/** {netns}: u64 by SNMP_* number. */
export const NET_SNMP: u32 = 0x11b;
/** GET_* record (without its last 16 bytes where only `oif` and `mark` are asked about): one ROUTE_* record (type, ifindex, gateway, src, mtu), as `ip route get`. */
export const NET_ROUTE_GET: u32 = 0x11c;
/** BRIDGE_* record. */
export const NET_BRIDGE_SET: u32 = 0x11d;
/** {netns, u32 ifindex}: one BRIDGE_* record. */
export const NET_BRIDGE_GET: u32 = 0x11e;
/** BRVLAN_* record. */
export const NET_BRVLAN_SET: u32 = 0x11f;
export const NET_BRVLAN_DELETE: u32 = 0x120;
/** {netns, u32 skip, u32 ifindex}: BRVLAN_* records. */
export const NET_BRVLAN_LIST: u32 = 0x121;
/** {netns, u32 ifindex, u32 from, u32 to}: a priority map of a VLAN device; from | 0x80000000: egress. */
export const NET_VLAN_MAP: u32 = 0x122;
/** {netns, u32 ifindex, u32 op (1 add, 0 delete), u32 -, 6 bytes MAC}: a source of a macvlan of that mode. */
export const NET_MACVLAN_SOURCE: u32 = 0x123;
/** {netns, u32 ifindex}: opens a tun or tap for the driver; returns its port. {netns, ifindex, 1}: closes it. */
export const NET_TAP_OPEN: u32 = 0x124;
/** {netns, u32 ifindex, u32 length, bytes}: a frame (tap) or packet (tun) comes in by the device. */
export const NET_TAP_SEND: u32 = 0x125;
/** A frame of the outbox of a tun or tap carries this bit and its port instead of an ifindex. */
export const TAP_PORT: u32 = 0x80000000;
/** QDISC_* record. */
export const NET_QDISC_SET: u32 = 0x126;
/** {netns, u32 ifindex, u32 handle (0: the root, with all below; TC_INGRESS; a class; what hangs on a class)} */
export const NET_QDISC_DELETE: u32 = 0x127;
/** {netns, u32 skip, u32 ifindex}: QDISC_* records, classes among them. */
export const NET_QDISC_LIST: u32 = 0x128;
/** FILTER_* record; returns its number. */
export const NET_FILTER_ADD: u32 = 0x129;
/** {netns, u32 ifindex, u32 parent, u32 preference (0: all)} */
export const NET_FILTER_DELETE: u32 = 0x12a;
/** {netns, u32 skip, u32 ifindex, u32 parent}: FILTER_* records. */
export const NET_FILTER_LIST: u32 = 0x12b;
/** {netns, u32 skip, u32 ifindex}: {6 bytes MAC}, the sources of a macvlan, 8 bytes each. */
export const NET_MACVLAN_SOURCES: u32 = 0x12c;

/** {netns, u32 ifindex}: MISS_* records, oldest first; those are forgotten. */
export const NET_VXLAN_MISSES: u32 = 0x170;

export const DEV_LOOPBACK: u32 = 1;
export const DEV_VETH: u32 = 2;
export const DEV_BRIDGE: u32 = 3;
export const DEV_VXLAN: u32 = 4;
export const DEV_NIC: u32 = 5;
// Only in kernel.wasm
export const DEV_VLAN: u32 = 6;
export const DEV_MACVLAN: u32 = 7;
export const DEV_IPVLAN: u32 = 8;
export const DEV_DUMMY: u32 = 9;
export const DEV_IFB: u32 = 10;
export const DEV_TUN: u32 = 11;
export const DEV_TAP: u32 = 12;
export const DEV_IPIP: u32 = 13;
export const DEV_GRE: u32 = 14;
export const DEV_GRETAP: u32 = 15;
export const DEV_GENEVE: u32 = 16;
export const DEV_KINDS: u32 = 17;

// Flags of a device beside "up" (include/uapi/linux/if.h)
export const IFF_POINTOPOINT: u32 = 0x10;
export const IFF_NOARP: u32 = 0x80;
export const IFF_PROMISC: u32 = 0x100;
export const IFF_ALLMULTI: u32 = 0x200;
export const IFF_MULTICAST: u32 = 0x1000;
/** Not Linux's: the device has been up once, so that it has a queueing discipline (dev_activate). */
export const IFF_ACTIVATED: u32 = 0x80000000;

// NET_LINK_ADD
export const LINK_KIND: u32 = 4;
export const LINK_FLAGS: u32 = 8; // LINK_F_*
export const LINK_MTU: u32 = 12; // 0: the kind's default
export const LINK_NAME: u32 = 16; // 16 bytes; empty: vethN and the like
export const LINK_MAC: u32 = 32; // 6 bytes
export const LINK_PEER_NETNS: u32 = 40;
export const LINK_PEER_MTU: u32 = 44;
export const LINK_PEER_NAME: u32 = 48;
export const LINK_PEER_MAC: u32 = 64;
export const LINK_VNI: u32 = 72;
export const LINK_DSTPORT: u32 = 76;
export const LINK_LOCAL: u32 = 80; // 16 bytes
export const LINK_LOWER: u32 = 96; // ifindex of the device the outer packets go by, 0: any
export const LINK_MODE: u32 = 100; // MACVLAN_MODE_*, IPVLAN_MODE_*
export const LINK_TTL: u32 = 104; // of the outer header, 0: the inner one's (IPIP, GRE), the namespace's (VXLAN, Geneve)
export const LINK_TOS: u32 = 108; // of the outer header, 1: the inner one's
export const LINK_IKEY: u32 = 112; // GRE, in host order
export const LINK_OKEY: u32 = 116;
export const LINK_REMOTE: u32 = 120; // 16 bytes: the tunnel's other end, VXLAN's default destination; all zero: none
export const LINK_SPORT_LOW: u32 = 136; // VXLAN: u32 each, first and last + 1; both 0: the namespace's range
export const LINK_SPORT_HIGH: u32 = 140;
export const LINK_AGEING: u32 = 144; // VXLAN: seconds, 0: 300
export const LINK_MAXADDRESS: u32 = 148; // VXLAN: entries of the forwarding database, 0: no limit of its own
export const LINK_BYTES: u32 = 152;
export const LINK_F_MAC: u32 = 1;
export const LINK_F_PEER_MAC: u32 = 2;
export const LINK_F_NOLEARNING: u32 = 4;
export const LINK_F_NOUDPCSUM: u32 = 8;
export const LINK_F_NOPMTUDISC: u32 = 16; // IPIP, GRE: DF is not set by itself
export const LINK_F_DF: u32 = 32; // VXLAN, Geneve: df set
export const LINK_F_L2MISS: u32 = 64;
export const LINK_F_L3MISS: u32 = 128;
export const LINK_F_IKEY: u32 = 256;
export const LINK_F_OKEY: u32 = 512;
export const LINK_F_ICSUM: u32 = 1024;
export const LINK_F_OCSUM: u32 = 2048;
export const LINK_F_8021AD: u32 = 4096; // VLAN: TPID 0x88a8
export const LINK_F_PRIVATE: u32 = 8192; // ipvlan
export const LINK_F_VEPA: u32 = 16384; // ipvlan
export const LINK_F_NOPROMISC: u32 = 32768; // macvlan passthru
export const LINK_F_TTL_INHERIT: u32 = 0x10000; // VXLAN: the inner header's TTL
export const LINK_F_DF_INHERIT: u32 = 0x20000; // VXLAN: DF as the inner header has it
export const LINK_F_PROXY: u32 = 0x40000; // VXLAN: answers ARP from the neighbour table
export const LINK_F_GBP: u32 = 0x80000; // VXLAN: the mark travels as group policy
export const LINK_F_UDP6ZEROCSUMTX: u32 = 0x100000; // VXLAN over IPv6
export const LINK_F_UDP6ZEROCSUMRX: u32 = 0x200000;

export const MACVLAN_MODE_PRIVATE: u32 = 1; // include/uapi/linux/if_link.h
export const MACVLAN_MODE_VEPA: u32 = 2;
export const MACVLAN_MODE_BRIDGE: u32 = 4;
export const MACVLAN_MODE_PASSTHRU: u32 = 8;
export const MACVLAN_MODE_SOURCE: u32 = 16;
export const IPVLAN_MODE_L2: u32 = 0;
export const IPVLAN_MODE_L3: u32 = 1;
export const IPVLAN_MODE_L3S: u32 = 2;

// NET_LINK_SET; SETLINK_MASK says which fields hold (SET_*)
export const SETLINK_IFINDEX: u32 = 4;
export const SETLINK_MASK: u32 = 8;
export const SETLINK_UP: u32 = 12;
export const SETLINK_MTU: u32 = 16;
export const SETLINK_MASTER: u32 = 20; // ifindex, 0: none
export const SETLINK_NETNS: u32 = 24;
export const SETLINK_PORT_FLAGS: u32 = 28; // BRPORT_*
export const SETLINK_PORT_MASK: u32 = 32;
export const SETLINK_NAME: u32 = 36;
export const SETLINK_MAC: u32 = 52;
export const SETLINK_FLAGS: u32 = 60; // IFF_*
export const SETLINK_FLAGS_MASK: u32 = 64;
export const SETLINK_BYTES: u32 = 68;
export const SET_UP: u32 = 1;
export const SET_MTU: u32 = 2;
export const SET_MASTER: u32 = 4;
export const SET_NETNS: u32 = 8;
export const SET_PORT: u32 = 16;
export const SET_NAME: u32 = 32;
export const SET_MAC: u32 = 64;
export const SET_FLAGS: u32 = 128;

// Flags of a bridge port (include/linux/if_bridge.h)
export const BRPORT_HAIRPIN: u32 = 1;
export const BRPORT_LEARNING: u32 = 2;
export const BRPORT_FLOOD: u32 = 4;
export const BRPORT_MCAST_FLOOD: u32 = 8;
export const BRPORT_BCAST_FLOOD: u32 = 16;
export const BRPORT_ISOLATED: u32 = 32;
export const BRPORT_LOCKED: u32 = 64;
/** The port's state is not "forwarding". */
export const BRPORT_BLOCKED: u32 = 128;
/** … but "learning". */
export const BRPORT_BLOCKED_LEARNS: u32 = 256;
/** "disabled" rather than "blocking". */
export const BRPORT_DISABLED: u32 = 512;
export const BRPORT_ALL: u32 = 1023;

// NET_LINK_LIST, NET_LINK_GET
export const LINKINFO_IFINDEX: u32 = 0;
export const LINKINFO_KIND: u32 = 4;
export const LINKINFO_UP: u32 = 8;
export const LINKINFO_MTU: u32 = 12;
export const LINKINFO_MASTER: u32 = 16;
export const LINKINFO_PEER: u32 = 20; // ifindex in the peer's namespace
export const LINKINFO_MAC: u32 = 24;
export const LINKINFO_NAME: u32 = 32;
export const LINKINFO_STATS: u32 = 48; // u64: rx packets, bytes, dropped, tx packets, bytes, dropped
export const LINKINFO_PORT_FLAGS: u32 = 96;
export const LINKINFO_VNI: u32 = 100;
export const LINKINFO_FLAGS: u32 = 104; // IFF_* that are set beside "up"
export const LINKINFO_LOWER: u32 = 108; // ifindex of the lower device, 0: none
export const LINKINFO_LINK_NETNS: u32 = 112; // handle of the namespace of the peer or lower device where it is another one, else 0
export const LINKINFO_MODE: u32 = 116; // as LINK_MODE
export const LINKINFO_OPTIONS: u32 = 120; // LINK_F_*
export const LINKINFO_DSTPORT: u32 = 124;
export const LINKINFO_LOCAL: u32 = 128;
export const LINKINFO_REMOTE: u32 = 144;
export const LINKINFO_IKEY: u32 = 160;
export const LINKINFO_OKEY: u32 = 164;
export const LINKINFO_TTL: u32 = 168;
export const LINKINFO_TOS: u32 = 172;
export const LINKINFO_SPORT_LOW: u32 = 176;
export const LINKINFO_SPORT_HIGH: u32 = 180;
export const LINKINFO_AGEING: u32 = 184;
export const LINKINFO_MAXADDRESS: u32 = 188;
export const LINKINFO_L2MISSES: u32 = 192; // VXLAN: how often the forwarding database had no answer, with l2miss
export const LINKINFO_L3MISSES: u32 = 196; // … and the neighbour table, with proxy and l3miss
export const LINKINFO_BYTES: u32 = 200;

export const MISS_KIND: u32 = 0; // MISS_*
export const MISS_MAC: u32 = 4;
export const MISS_IP: u32 = 16;
export const MISS_BYTES: u32 = 32;
/** The forwarding database has no remote VTEP for a MAC (l2miss), the neighbour table no MAC for an address (l3miss). */
export const MISS_L2: u32 = 1;
export const MISS_L3: u32 = 2;

export const ADDRESS_IFINDEX: u32 = 4;
export const ADDRESS_PREFIX: u32 = 8; // bits of the 16-byte address: 96 + those of IPv4
export const ADDRESS_SCOPE: u32 = 12;
export const ADDRESS_IP: u32 = 16;
export const ADDRESS_PEER: u32 = 32; // all zero: none; the prefix is the peer's
export const ADDRESS_BROADCAST: u32 = 48; // all zero: none
export const ADDRESS_SKIP: u32 = 4; // NET_ADDRESS_LIST
export const ADDRESS_FLAGS: u32 = 64; // IFA_F_* of net6.ts (IPv6)
export const ADDRESS_VALID: u32 = 68; // lifetimes in s, LIFETIME_INFINITY; 0 in a request: forever (IPv6)
export const ADDRESS_PREFERRED: u32 = 72;
export const ADDRESS_METRIC: u32 = 76; // of the prefix route, 0: 256 (IPv6)
export const ADDRESS_BYTES: u32 = 80;

export const ROUTE_FLAGS: u32 = 4; // ROUTE_F_*; NET_ROUTE_LIST: skip
export const ROUTE_TABLE: u32 = 8; // 0: by type
export const ROUTE_TYPE: u32 = 12; // RTN_*; NET_ROUTE_DELETE: 0: any
export const ROUTE_PREFIX: u32 = 16;
export const ROUTE_SCOPE: u32 = 20; // RT_SCOPE_NOWHERE: by type and gateway
export const ROUTE_IFINDEX: u32 = 24;
export const ROUTE_METRIC: u32 = 28;
export const ROUTE_MTU: u32 = 32;
export const ROUTE_PROTOCOL: u32 = 36;
export const ROUTE_DST: u32 = 48;
export const ROUTE_GATEWAY: u32 = 64; // all zero: none
export const ROUTE_SOURCE: u32 = 80; // all zero: none
export const ROUTE_NEXTHOPS: u32 = 40; // how many NEXTHOP_* follow a NET_ROUTE_ADD record; in a list: of how many next hops this is one
export const ROUTE_WEIGHT: u32 = 44; // in a list
export const ROUTE_PREF: u32 = 96; // ICMPV6_ROUTER_PREF_* (IPv6)
export const ROUTE_EXPIRES: u32 = 100; // s, 0: never (IPv6)
export const ROUTE_BYTES: u32 = 104;
export const NEXTHOP_IFINDEX: u32 = 0;
export const NEXTHOP_WEIGHT: u32 = 4; // 1 to 256
export const NEXTHOP_FLAGS: u32 = 8; // ROUTE_F_ONLINK
export const NEXTHOP_GATEWAY: u32 = 16;
export const NEXTHOP_BYTES: u32 = 32;
export const ROUTE_F_REPLACE: u32 = 1;
export const ROUTE_F_ONLINK: u32 = 2;
export const ROUTE_F_APPEND: u32 = 4;
export const ROUTE_F_REDIRECT: u32 = 0x100; // NET_ROUTE_GET: an ICMP redirect is in order

// NET_ROUTE_GET
export const GET_OIF: u32 = 4;
export const GET_MARK: u32 = 8;
export const GET_IIF: u32 = 12; // 0: a packet of this host
export const GET_DST: u32 = 16;
export const GET_SRC: u32 = 32; // all zero: any
export const GET_TOS: u32 = 48;
export const GET_PROTOCOL: u32 = 52;
export const GET_SPORT: u32 = 56;
export const GET_DPORT: u32 = 60;
export const GET_BYTES: u32 = 64;

// include/uapi/linux/rtnetlink.h
export const RTN_UNSPEC: u32 = 0;
export const RTN_UNICAST: u32 = 1;
export const RTN_LOCAL: u32 = 2;
export const RTN_BROADCAST: u32 = 3;
export const RTN_ANYCAST: u32 = 4;
export const RTN_MULTICAST: u32 = 5;
export const RTN_BLACKHOLE: u32 = 6;
export const RTN_UNREACHABLE: u32 = 7;
export const RTN_PROHIBIT: u32 = 8;
export const RTN_THROW: u32 = 9;
export const RT_SCOPE_UNIVERSE: u32 = 0;
export const RT_SCOPE_SITE: u32 = 200;
export const RT_SCOPE_LINK: u32 = 253;
export const RT_SCOPE_HOST: u32 = 254;
export const RT_SCOPE_NOWHERE: u32 = 255;
export const RT_TABLE_DEFAULT: u32 = 253;
export const RT_TABLE_MAIN: u32 = 254;
export const RT_TABLE_LOCAL: u32 = 255;
export const RTPROT_KERNEL: u32 = 2;
export const RTPROT_REDIRECT: u32 = 1;
export const RTPROT_BOOT: u32 = 3;
export const RTPROT_RA: u32 = 9;

export const RULE_PREF: u32 = 4; // NET_RULE_LIST: skip
export const RULE_TABLE: u32 = 8;
export const RULE_MARK: u32 = 12;
export const RULE_MASK: u32 = 16;
export const RULE_IIF: u32 = 20;
export const RULE_SRC_PREFIX: u32 = 24;
export const RULE_DST_PREFIX: u32 = 28;
export const RULE_SRC: u32 = 32;
export const RULE_DST: u32 = 48;
export const RULE_ACTION: u32 = 64; // FR_ACT_*; 0: FR_ACT_TO_TBL
export const RULE_TARGET: u32 = 68; // FR_ACT_GOTO: preference of the rule
export const RULE_FLAGS: u32 = 72; // RULE_F_*
export const RULE_OIF: u32 = 76;
export const RULE_TOS: u32 = 80;
export const RULE_IPPROTO: u32 = 84;
export const RULE_SPORT: u32 = 88; // first | last << 16, 0: any
export const RULE_DPORT: u32 = 92;
export const RULE_SUPPRESS_PREFIX: u32 = 96; // bits + 1, 0: none
export const RULE_SUPPRESS_GROUP: u32 = 100; // device group + 1, 0: none
export const RULE_UID_FIRST: u32 = 104;
export const RULE_UID_END: u32 = 108; // last + 1, 0: any
export const RULE_TUN_ID: u32 = 112; // 0: any
export const RULE_BYTES: u32 = 120;
export const RULE_F_INVERT: u32 = 2; // include/uapi/linux/fib_rules.h
export const FR_ACT_TO_TBL: u32 = 1;
export const FR_ACT_GOTO: u32 = 2;
export const FR_ACT_NOP: u32 = 3;
export const FR_ACT_BLACKHOLE: u32 = 6;
export const FR_ACT_UNREACHABLE: u32 = 7;
export const FR_ACT_PROHIBIT: u32 = 8;

export const NEIGH_IFINDEX: u32 = 4; // NET_NEIGH_LIST: skip
export const NEIGH_STATE: u32 = 8; // NUD_*
export const NEIGH_FLAGS: u32 = 12; // NTF_* of net6.ts
export const NEIGH_IP: u32 = 16;
export const NEIGH_MAC: u32 = 32;
export const NEIGH_BYTES: u32 = 40;
// include/uapi/linux/neighbour.h
export const NUD_INCOMPLETE: u32 = 0x01;
export const NUD_REACHABLE: u32 = 0x02;
export const NUD_STALE: u32 = 0x04;
export const NUD_DELAY: u32 = 0x08;
export const NUD_PROBE: u32 = 0x10;
export const NUD_FAILED: u32 = 0x20;
export const NUD_NOARP: u32 = 0x40;
export const NUD_PERMANENT: u32 = 0x80;

export const FDB_IFINDEX: u32 = 4; // NET_FDB_LIST: skip
export const FDB_FLAGS: u32 = 8; // FDB_F_*; in a list: FDB_S_*
export const FDB_HAS_DST: u32 = 12; // 1: a remote VTEP (VXLAN); 0: a port of a bridge
export const FDB_MAC: u32 = 16;
export const FDB_DST: u32 = 24;
export const FDB_VID: u32 = 40; // VLAN of a bridge's entry, 0: any
export const FDB_SEQUENCE: u32 = 44; // in a list, of a bridge's entry: the larger, the younger
export const FDB_BYTES: u32 = 48;
export const FDB_F_APPEND: u32 = 1;
export const FDB_F_EXCL: u32 = 2; // -EEXIST where there is one (`bridge fdb add`)
export const FDB_F_LOCAL: u32 = 4; // the host's own (`local`)
export const FDB_S_PERMANENT: u32 = 0;
export const FDB_S_STATIC: u32 = 1;
export const FDB_S_REACHABLE: u32 = 2;

// NET_BRIDGE_SET, NET_BRIDGE_GET; BRIDGE_MASK says which fields hold (a bit by field, from BRIDGE_AGEING on)
export const BRIDGE_IFINDEX: u32 = 4;
export const BRIDGE_MASK: u32 = 8;
export const BRIDGE_AGEING: u32 = 12; // seconds / 100
export const BRIDGE_VLAN_FILTERING: u32 = 16;
export const BRIDGE_DEFAULT_PVID: u32 = 20;
export const BRIDGE_VLAN_PROTOCOL: u32 = 24;
export const BRIDGE_GROUP_FWD_MASK: u32 = 28;
export const BRIDGE_BYTES: u32 = 32;

export const BRVLAN_IFINDEX: u32 = 4; // of a port, or of the bridge itself
export const BRVLAN_FIRST: u32 = 8;
export const BRVLAN_LAST: u32 = 12;
export const BRVLAN_FLAGS: u32 = 16; // BRVLAN_F_*
export const BRVLAN_BYTES: u32 = 20;
export const BRVLAN_F_PVID: u32 = 2; // include/uapi/linux/if_bridge.h
export const BRVLAN_F_UNTAGGED: u32 = 4;

// NET_QDISC_SET. A class of HTB is a record of its own: QDISC_KIND is QDISC_HTB_CLASS and QDISC_HANDLE its classid.
export const QDISC_IFINDEX: u32 = 4;
export const QDISC_KIND: u32 = 8;
export const QDISC_HANDLE: u32 = 12; // major << 16 | minor
export const QDISC_PARENT: u32 = 16; // 0: the root
export const QDISC_LIMIT: u32 = 20; // packets (pfifo, netem) or bytes (bfifo, tbf); 0: the default
export const QDISC_RATE: u32 = 24; // u64 bytes per second
export const QDISC_PEAK: u32 = 32; // u64: tbf's peak rate, a class' ceil; 0: none
export const QDISC_BURST: u32 = 40; // u64 ns: bytes at the rate
export const QDISC_PEAK_BURST: u32 = 48; // u64 ns at the peak rate, a class' cburst
export const QDISC_DELAY: u32 = 56; // u64 ns
export const QDISC_JITTER: u32 = 64; // u64 ns
export const QDISC_LOSS: u32 = 72; // probabilities: of 2^32
export const QDISC_DUPLICATE: u32 = 76;
export const QDISC_REORDER: u32 = 80;
export const QDISC_GAP: u32 = 84;
export const QDISC_CORRUPT: u32 = 88;
export const QDISC_DEFAULT: u32 = 92; // HTB: minor of the class for what no filter names
export const QDISC_PRIO: u32 = 96; // of a class
export const QDISC_QUANTUM: u32 = 100; // of a class; HTB's r2q, 0: 10
export const QDISC_STATS: u32 = 104; // u64 bytes, packets; u32 dropped, overlimits, backlog bytes, backlog packets
export const QDISC_LOSS_CORR: u32 = 136;
export const QDISC_DELAY_CORR: u32 = 140;
export const QDISC_DUPLICATE_CORR: u32 = 144;
export const QDISC_REORDER_CORR: u32 = 148;
export const QDISC_CORRUPT_CORR: u32 = 152;
export const QDISC_LEVEL: u32 = 156; // of a class, in a list: 0 for a leaf
export const QDISC_LENDED: u32 = 160; // in a list; of HTB itself: packets sent directly
export const QDISC_BORROWED: u32 = 164;
export const QDISC_TOKENS: u32 = 168; // i64 ns, of a class, in a list
export const QDISC_CTOKENS: u32 = 176;
export const QDISC_BYTES: u32 = 184;
export const QDISC_PFIFO: u32 = 1;
export const QDISC_BFIFO: u32 = 2;
export const QDISC_PFIFO_FAST: u32 = 3;
export const QDISC_TBF: u32 = 4;
export const QDISC_NETEM: u32 = 5;
export const QDISC_HTB: u32 = 6;
export const QDISC_INGRESS: u32 = 7;
export const QDISC_HTB_CLASS: u32 = 8;
export const QDISC_CLSACT: u32 = 9;
export const TC_INGRESS: u32 = 0xffff0000; // a filter's parent: the ingress hook
export const TC_CLSACT_INGRESS: u32 = 0xfffffff2;
export const TC_CLSACT_EGRESS: u32 = 0xfffffff3;

export const FILTER_IFINDEX: u32 = 4;
export const FILTER_PARENT: u32 = 8;
export const FILTER_PREF: u32 = 12;
export const FILTER_PROTOCOL: u32 = 16; // ethertype, 0x0003: all
export const FILTER_KIND: u32 = 20; // FILTER_*
export const FILTER_HANDLE: u32 = 24; // fw: the mark
export const FILTER_MASK: u32 = 28; // fw
export const FILTER_CLASSID: u32 = 32;
export const FILTER_ACTION: u32 = 36; // TC_ACT_*
export const FILTER_TARGET: u32 = 40; // ifindex of a redirect or mirror
export const FILTER_KEYS: u32 = 44; // u32: how many of the eight that follow
export const FILTER_KEY: u32 = 48; // {u32 value, u32 mask (both as they stand in the packet), i32 offset from the IP header}
export const FILTER_HITS: u32 = 144; // u64 packets, bytes
export const FILTER_BYTES: u32 = 160;
export const FILTER_U32: u32 = 1;
export const FILTER_FW: u32 = 2;
export const FILTER_MATCHALL: u32 = 3;
/** cls_bpf: FILTER_TARGET is the program's handle (in a list its id), FILTER_KEYS TCA_BPF_FLAG_*, the tag in FILTER_KEY, the name behind it. */
export const FILTER_BPF: u32 = 4;
export const TCA_BPF_FLAG_ACT_DIRECT: u32 = 1;
export const TC_ACT_CLASSIFY: u32 = 0;
export const TC_ACT_REDIRECT: u32 = 1; // mirred egress redirect
export const TC_ACT_MIRROR: u32 = 2; // mirred egress mirror
export const TC_ACT_DROP: u32 = 3;
export const TC_ACT_PASS: u32 = 4;

export const PACKET_HOST: u32 = 0; // include/uapi/linux/if_packet.h
export const PACKET_BROADCAST: u32 = 1;
export const PACKET_MULTICAST: u32 = 2;
export const PACKET_OTHERHOST: u32 = 3;
export const PACKET_OUTGOING: u32 = 4;

// Why a packet was dropped: named as include/net/dropreason-core.h names it; where the name differs, its name follows.
export const DROP_NOT_SPECIFIED: u32 = 0;
export const DROP_NO_MEMORY: u32 = 1; // NOMEM
export const DROP_BACKLOG: u32 = 2; // CPU_BACKLOG
export const DROP_DEV_DOWN: u32 = 3; // DEV_READY
export const DROP_PKT_TOO_SMALL: u32 = 4;
export const DROP_OTHERHOST: u32 = 5;
export const DROP_UNHANDLED_PROTO: u32 = 6;
export const DROP_IP_CSUM: u32 = 7;
export const DROP_IP_INHDR: u32 = 8;
export const DROP_NETFILTER: u32 = 9; // NETFILTER_DROP
export const DROP_TOO_MANY_HOPS: u32 = 10; // RECURSION_LIMIT
export const DROP_IP_RPFILTER: u32 = 11;
export const DROP_UNICAST_IN_L2_MULTICAST: u32 = 12;
export const DROP_IP_NOPROTO: u32 = 13;
export const DROP_IP_OUTNOROUTES: u32 = 14;
export const DROP_NEIGH_CREATEFAIL: u32 = 15;
export const DROP_NEIGH_FAILED: u32 = 16;
export const DROP_NEIGH_QUEUEFULL: u32 = 17;
export const DROP_ICMP_CSUM: u32 = 18;
export const DROP_INVALID_PROTO: u32 = 19;
export const DROP_IP_INADDRERRORS: u32 = 20;
export const DROP_IP_INNOROUTES: u32 = 21;
export const DROP_IP_LOCAL_SOURCE: u32 = 22;
export const DROP_IP_INVALID_SOURCE: u32 = 23;
export const DROP_IP_LOCALNET: u32 = 24;
export const DROP_IP_INVALID_DEST: u32 = 25;
export const DROP_PKT_TOO_BIG: u32 = 26;
export const DROP_DUP_FRAG: u32 = 27;
export const DROP_FRAG_REASM_TIMEOUT: u32 = 28;
export const DROP_VXLAN_INVALID_HDR: u32 = 29;
export const DROP_VXLAN_VNI_NOT_FOUND: u32 = 30;
export const DROP_MAC_INVALID_SOURCE: u32 = 31;
export const DROP_NO_TX_TARGET: u32 = 32;
export const DROP_IP_TUNNEL_ECN: u32 = 33;
export const DROP_LOCAL_MAC: u32 = 34;
export const DROP_MAC_IEEE_MAC_CONTROL: u32 = 35;
export const DROP_BRIDGE_NO_PORT: u32 = 36; // BRIDGE_INGRESS_STP_STATE
export const DROP_NO_SOCKET: u32 = 37;
export const DROP_SOCKET_RCVBUFF: u32 = 38;
export const DROP_SOCKET_CLOSE: u32 = 39;
export const DROP_TCP_CSUM: u32 = 40;
export const DROP_UDP_CSUM: u32 = 41;
export const DROP_TCP_FLAGS: u32 = 42;
export const DROP_TCP_OLD_DATA: u32 = 43;
export const DROP_TCP_OVERWINDOW: u32 = 44;
export const DROP_TCP_RESET: u32 = 45;
export const DROP_TCP_INVALID_SEQUENCE: u32 = 46;
export const DROP_TCP_INVALID_ACK_SEQUENCE: u32 = 47;
export const DROP_TCP_OFOMERGE: u32 = 48;
export const DROP_TCP_ZEROWINDOW: u32 = 49;
export const DROP_HDR_TRUNC: u32 = 50;
export const DROP_SOCKET_BACKLOG: u32 = 51;
export const DROP_TCP_CLOSE: u32 = 52;
export const DROP_BLACKHOLE_ROUTE: u32 = 53; // IP_OUTNOROUTES
export const DROP_QDISC_DROP: u32 = 54;
export const DROP_TC_INGRESS: u32 = 55;
export const DROP_FULL_RING: u32 = 56;
export const DROP_IPV6_DISABLED: u32 = 57; // IPV6DISABLED
export const DROP_IPV6_NDISC_FRAG: u32 = 58;
export const DROP_IPV6_NDISC_HOP_LIMIT: u32 = 59;
export const DROP_IPV6_NDISC_BAD_CODE: u32 = 60;
export const DROP_IPV6_NDISC_BAD_OPTIONS: u32 = 61;
export const DROP_IPV6_NDISC_NS_OTHERHOST: u32 = 62;
export const DROP_VXLAN_ENTRY_EXISTS: u32 = 63;
export const DROP_XDP: u32 = 64;
export const DROP_TC_EGRESS: u32 = 65;
export const DROP_BPF_CGROUP_EGRESS: u32 = 66;
export const DROP_SOCKET_FILTER: u32 = 67;
export const DROPS_MAX: u32 = 68;

// Counters: as /proc/net/snmp and /proc/net/netstat name them.
export const SNMP_IP_INRECEIVES: u32 = 0;
export const SNMP_IP_INHDRERRORS: u32 = 1;
export const SNMP_IP_INADDRERRORS: u32 = 2;
export const SNMP_IP_FORWDATAGRAMS: u32 = 3;
export const SNMP_IP_INUNKNOWNPROTOS: u32 = 4;
export const SNMP_IP_INDISCARDS: u32 = 5;
export const SNMP_IP_INDELIVERS: u32 = 6;
export const SNMP_IP_OUTREQUESTS: u32 = 7;
export const SNMP_IP_OUTDISCARDS: u32 = 8;
export const SNMP_IP_OUTNOROUTES: u32 = 9;
export const SNMP_IP_REASMTIMEOUT: u32 = 10;
export const SNMP_IP_REASMREQDS: u32 = 11;
export const SNMP_IP_REASMOKS: u32 = 12;
export const SNMP_IP_REASMFAILS: u32 = 13;
export const SNMP_IP_FRAGOKS: u32 = 14;
export const SNMP_IP_FRAGFAILS: u32 = 15;
export const SNMP_IP_FRAGCREATES: u32 = 16;
export const SNMP_IP_OUTTRANSMITS: u32 = 17;
export const SNMP_IPEXT_INNOROUTES: u32 = 18;
export const SNMP_IPEXT_INTRUNCATEDPKTS: u32 = 19;
export const SNMP_IPEXT_INMCASTPKTS: u32 = 20;
export const SNMP_IPEXT_OUTMCASTPKTS: u32 = 21;
export const SNMP_IPEXT_INBCASTPKTS: u32 = 22;
export const SNMP_IPEXT_OUTBCASTPKTS: u32 = 23;
export const SNMP_IPEXT_INOCTETS: u32 = 24;
export const SNMP_IPEXT_OUTOCTETS: u32 = 25;
export const SNMP_IPEXT_INMCASTOCTETS: u32 = 26;
export const SNMP_IPEXT_OUTMCASTOCTETS: u32 = 27;
export const SNMP_IPEXT_INBCASTOCTETS: u32 = 28;
export const SNMP_IPEXT_OUTBCASTOCTETS: u32 = 29;
export const SNMP_IPEXT_INCSUMERRORS: u32 = 30;
export const SNMP_IPEXT_INNOECTPKTS: u32 = 31;
export const SNMP_IPEXT_INECT1PKTS: u32 = 32;
export const SNMP_IPEXT_INECT0PKTS: u32 = 33;
export const SNMP_IPEXT_INCEPKTS: u32 = 34;
export const SNMP_IPEXT_REASMOVERLAPS: u32 = 35;
export const SNMP_ICMP_INMSGS: u32 = 36;
export const SNMP_ICMP_INERRORS: u32 = 37;
export const SNMP_ICMP_INCSUMERRORS: u32 = 38;
export const SNMP_ICMP_INDESTUNREACHS: u32 = 39;
export const SNMP_ICMP_INTIMEEXCDS: u32 = 40;
export const SNMP_ICMP_INPARMPROBS: u32 = 41;
export const SNMP_ICMP_INSRCQUENCHS: u32 = 42;
export const SNMP_ICMP_INREDIRECTS: u32 = 43;
export const SNMP_ICMP_INECHOS: u32 = 44;
export const SNMP_ICMP_INECHOREPS: u32 = 45;
export const SNMP_ICMP_INTIMESTAMPS: u32 = 46;
export const SNMP_ICMP_INTIMESTAMPREPS: u32 = 47;
export const SNMP_ICMP_INADDRMASKS: u32 = 48;
export const SNMP_ICMP_INADDRMASKREPS: u32 = 49;
export const SNMP_ICMP_OUTMSGS: u32 = 50;
export const SNMP_ICMP_OUTERRORS: u32 = 51;
export const SNMP_ICMP_OUTRATELIMITGLOBAL: u32 = 52;
export const SNMP_ICMP_OUTRATELIMITHOST: u32 = 53;
export const SNMP_ICMP_OUTDESTUNREACHS: u32 = 54;
export const SNMP_ICMP_OUTTIMEEXCDS: u32 = 55;
export const SNMP_ICMP_OUTPARMPROBS: u32 = 56;
export const SNMP_ICMP_OUTSRCQUENCHS: u32 = 57;
export const SNMP_ICMP_OUTREDIRECTS: u32 = 58;
export const SNMP_ICMP_OUTECHOS: u32 = 59;
export const SNMP_ICMP_OUTECHOREPS: u32 = 60;
export const SNMP_ICMP_OUTTIMESTAMPS: u32 = 61;
export const SNMP_ICMP_OUTTIMESTAMPREPS: u32 = 62;
export const SNMP_ICMP_OUTADDRMASKS: u32 = 63;
export const SNMP_ICMP_OUTADDRMASKREPS: u32 = 64;
export const SNMP_TCP_ACTIVEOPENS: u32 = 65;
export const SNMP_TCP_PASSIVEOPENS: u32 = 66;
export const SNMP_TCP_ATTEMPTFAILS: u32 = 67;
export const SNMP_TCP_ESTABRESETS: u32 = 68;
export const SNMP_TCP_CURRESTAB: u32 = 69;
export const SNMP_TCP_INSEGS: u32 = 70;
export const SNMP_TCP_OUTSEGS: u32 = 71;
export const SNMP_TCP_RETRANSSEGS: u32 = 72;
export const SNMP_TCP_INERRS: u32 = 73;
export const SNMP_TCP_OUTRSTS: u32 = 74;
export const SNMP_TCP_INCSUMERRORS: u32 = 75;
export const SNMP_UDP_INDATAGRAMS: u32 = 76;
export const SNMP_UDP_NOPORTS: u32 = 77;
export const SNMP_UDP_INERRORS: u32 = 78;
export const SNMP_UDP_OUTDATAGRAMS: u32 = 79;
export const SNMP_UDP_RCVBUFERRORS: u32 = 80;
export const SNMP_UDP_SNDBUFERRORS: u32 = 81;
export const SNMP_UDP_INCSUMERRORS: u32 = 82;
export const SNMP_UDP_IGNOREDMULTI: u32 = 83;
export const SNMP_UDP_MEMERRORS: u32 = 84;
export const SNMP_MAX: u32 = 85;

// sysctls of a namespace by number; the driver knows their names (src/kernel/sysctls.ts), net/sysctl.ts their defaults.
export const SYSCTL_IP_DEFAULT_TTL: u32 = 0;
export const SYSCTL_IP_NO_PMTU_DISC: u32 = 1;
export const SYSCTL_IP_NONLOCAL_BIND: u32 = 2;
export const SYSCTL_IP_FORWARD_USE_PMTU: u32 = 3;
export const SYSCTL_IP_PORT_LOW: u32 = 4;
export const SYSCTL_IP_PORT_HIGH: u32 = 5;
export const SYSCTL_IP_UNPRIVILEGED_PORT_START: u32 = 6;
export const SYSCTL_IPFRAG_TIME: u32 = 7;
export const SYSCTL_IPFRAG_HIGH_THRESH: u32 = 8;
export const SYSCTL_IPFRAG_LOW_THRESH: u32 = 9;
export const SYSCTL_IPFRAG_MAX_DIST: u32 = 10;
export const SYSCTL_ICMP_ECHO_IGNORE_ALL: u32 = 11;
export const SYSCTL_ICMP_ECHO_IGNORE_BROADCASTS: u32 = 12;
export const SYSCTL_ICMP_ERRORS_USE_INBOUND_IFADDR: u32 = 13;
export const SYSCTL_ICMP_IGNORE_BOGUS_ERROR_RESPONSES: u32 = 14;
export const SYSCTL_ICMP_RATELIMIT: u32 = 15;
export const SYSCTL_ICMP_RATEMASK: u32 = 16;
export const SYSCTL_ICMP_MSGS_PER_SEC: u32 = 17;
export const SYSCTL_ICMP_MSGS_BURST: u32 = 18;
export const SYSCTL_BRIDGE_NF_CALL_IPTABLES: u32 = 19;
export const SYSCTL_BRIDGE_NF_CALL_IP6TABLES: u32 = 20;
export const SYSCTL_BRIDGE_NF_CALL_ARPTABLES: u32 = 21;
export const SYSCTL_TCP_ABORT_ON_OVERFLOW: u32 = 22;
export const SYSCTL_TCP_ADV_WIN_SCALE: u32 = 23;
export const SYSCTL_TCP_BASE_MSS: u32 = 24;
export const SYSCTL_TCP_ECN: u32 = 25;
export const SYSCTL_TCP_FIN_TIMEOUT: u32 = 26;
export const SYSCTL_TCP_KEEPALIVE_INTVL: u32 = 27;
export const SYSCTL_TCP_KEEPALIVE_PROBES: u32 = 28;
export const SYSCTL_TCP_KEEPALIVE_TIME: u32 = 29;
export const SYSCTL_TCP_MAX_SYN_BACKLOG: u32 = 30;
export const SYSCTL_TCP_MAX_TW_BUCKETS: u32 = 31;
export const SYSCTL_TCP_MIN_SND_MSS: u32 = 32;
export const SYSCTL_TCP_MTU_PROBING: u32 = 33;
export const SYSCTL_TCP_ORPHAN_RETRIES: u32 = 34;
export const SYSCTL_TCP_REORDERING: u32 = 35;
export const SYSCTL_TCP_RETRIES1: u32 = 36;
export const SYSCTL_TCP_RETRIES2: u32 = 37;
export const SYSCTL_TCP_RFC1337: u32 = 38;
export const SYSCTL_TCP_RTO_MAX_MS: u32 = 39;
export const SYSCTL_TCP_RTO_MIN_US: u32 = 40;
export const SYSCTL_TCP_SACK: u32 = 41;
export const SYSCTL_TCP_SLOW_START_AFTER_IDLE: u32 = 42;
export const SYSCTL_TCP_SYN_RETRIES: u32 = 43;
export const SYSCTL_TCP_SYNACK_RETRIES: u32 = 44;
export const SYSCTL_TCP_SYNCOOKIES: u32 = 45;
export const SYSCTL_TCP_TIMESTAMPS: u32 = 46;
export const SYSCTL_TCP_TW_REUSE: u32 = 47;
export const SYSCTL_TCP_WINDOW_SCALING: u32 = 48;
export const SYSCTL_TCP_RMEM_DEFAULT: u32 = 49;
export const SYSCTL_TCP_RMEM_MAX: u32 = 50;
export const SYSCTL_TCP_WMEM_DEFAULT: u32 = 51;
export const SYSCTL_TCP_WMEM_MAX: u32 = 52;
export const SYSCTL_CORE_SOMAXCONN: u32 = 53;
export const SYSCTL_CORE_RMEM_DEFAULT: u32 = 54;
export const SYSCTL_CORE_WMEM_DEFAULT: u32 = 55;
export const SYSCTL_NF_CONNTRACK_ACCT: u32 = 56;
export const SYSCTL_NF_CONNTRACK_BUCKETS: u32 = 57;
export const SYSCTL_NF_CONNTRACK_CHECKSUM: u32 = 58;
export const SYSCTL_NF_CONNTRACK_EXPECT_MAX: u32 = 59;
export const SYSCTL_NF_CONNTRACK_GENERIC_TIMEOUT: u32 = 60;
export const SYSCTL_NF_CONNTRACK_GRE_TIMEOUT: u32 = 61;
export const SYSCTL_NF_CONNTRACK_GRE_TIMEOUT_STREAM: u32 = 62;
export const SYSCTL_NF_CONNTRACK_ICMP_TIMEOUT: u32 = 63;
export const SYSCTL_NF_CONNTRACK_LOG_INVALID: u32 = 64;
export const SYSCTL_NF_CONNTRACK_MAX: u32 = 65;
export const SYSCTL_NF_CONNTRACK_SCTP_TIMEOUT_CLOSED: u32 = 66;
export const SYSCTL_NF_CONNTRACK_SCTP_TIMEOUT_COOKIE_ECHOED: u32 = 67;
export const SYSCTL_NF_CONNTRACK_SCTP_TIMEOUT_COOKIE_WAIT: u32 = 68;
export const SYSCTL_NF_CONNTRACK_SCTP_TIMEOUT_ESTABLISHED: u32 = 69;
export const SYSCTL_NF_CONNTRACK_SCTP_TIMEOUT_HEARTBEAT_SENT: u32 = 70;
export const SYSCTL_NF_CONNTRACK_SCTP_TIMEOUT_SHUTDOWN_ACK_SENT: u32 = 71;
export const SYSCTL_NF_CONNTRACK_SCTP_TIMEOUT_SHUTDOWN_RECD: u32 = 72;
export const SYSCTL_NF_CONNTRACK_SCTP_TIMEOUT_SHUTDOWN_SENT: u32 = 73;
export const SYSCTL_NF_CONNTRACK_TCP_BE_LIBERAL: u32 = 74;
export const SYSCTL_NF_CONNTRACK_TCP_IGNORE_INVALID_RST: u32 = 75;
export const SYSCTL_NF_CONNTRACK_TCP_LOOSE: u32 = 76;
export const SYSCTL_NF_CONNTRACK_TCP_MAX_RETRANS: u32 = 77;
export const SYSCTL_NF_CONNTRACK_TCP_TIMEOUT_CLOSE: u32 = 78;
export const SYSCTL_NF_CONNTRACK_TCP_TIMEOUT_CLOSE_WAIT: u32 = 79;
export const SYSCTL_NF_CONNTRACK_TCP_TIMEOUT_ESTABLISHED: u32 = 80;
export const SYSCTL_NF_CONNTRACK_TCP_TIMEOUT_FIN_WAIT: u32 = 81;
export const SYSCTL_NF_CONNTRACK_TCP_TIMEOUT_LAST_ACK: u32 = 82;
export const SYSCTL_NF_CONNTRACK_TCP_TIMEOUT_MAX_RETRANS: u32 = 83;
export const SYSCTL_NF_CONNTRACK_TCP_TIMEOUT_SYN_RECV: u32 = 84;
export const SYSCTL_NF_CONNTRACK_TCP_TIMEOUT_SYN_SENT: u32 = 85;
export const SYSCTL_NF_CONNTRACK_TCP_TIMEOUT_TIME_WAIT: u32 = 86;
export const SYSCTL_NF_CONNTRACK_TCP_TIMEOUT_UNACKNOWLEDGED: u32 = 87;
export const SYSCTL_NF_CONNTRACK_TIMESTAMP: u32 = 88;
export const SYSCTL_NF_CONNTRACK_UDP_TIMEOUT: u32 = 89;
export const SYSCTL_NF_CONNTRACK_UDP_TIMEOUT_STREAM: u32 = 90;
export const SYSCTL_FIB_MULTIPATH_HASH_POLICY: u32 = 91;
export const SYSCTL_MAX: u32 = 92;

/** Numbers from here on are per device: SYSCTL_CONF + CONF_*. */
export const SYSCTL_CONF: u32 = 0x100;
/** Instead of an ifindex: net.ipv4.conf.all, net.ipv4.conf.default. */
export const CONF_OF_ALL: u32 = 0xffffffff;
export const CONF_OF_DEFAULT: u32 = 0xfffffffe;
export const CONF_FORWARDING: u32 = 0;
export const CONF_RP_FILTER: u32 = 1;
export const CONF_SEND_REDIRECTS: u32 = 2;
export const CONF_ACCEPT_REDIRECTS: u32 = 3;
export const CONF_SECURE_REDIRECTS: u32 = 4;
export const CONF_SHARED_MEDIA: u32 = 5;
export const CONF_ACCEPT_SOURCE_ROUTE: u32 = 6;
export const CONF_ACCEPT_LOCAL: u32 = 7;
export const CONF_ROUTE_LOCALNET: u32 = 8;
export const CONF_ARP_IGNORE: u32 = 9;
export const CONF_ARP_ANNOUNCE: u32 = 10;
export const CONF_ARP_ACCEPT: u32 = 11;
export const CONF_ARP_FILTER: u32 = 12;
export const CONF_ARP_NOTIFY: u32 = 13;
export const CONF_PROXY_ARP: u32 = 14;
export const CONF_SRC_VALID_MARK: u32 = 15;
export const CONF_LOG_MARTIANS: u32 = 16;
export const CONF_BC_FORWARDING: u32 = 17;
export const CONF_PROMOTE_SECONDARIES: u32 = 18;
export const CONF_DROP_GRATUITOUS_ARP: u32 = 19;
export const CONF_DROP_UNICAST_IN_L2_MULTICAST: u32 = 20;
export const CONF_PROXY_ARP_PVLAN: u32 = 21;
export const CONF_NEIGH_BASE_REACHABLE_MS: u32 = 22;
export const CONF_NEIGH_RETRANS_MS: u32 = 23;
export const CONF_NEIGH_DELAY_PROBE_S: u32 = 24;
export const CONF_NEIGH_GC_STALE_S: u32 = 25;
export const CONF_NEIGH_UCAST_SOLICIT: u32 = 26;
export const CONF_NEIGH_MCAST_SOLICIT: u32 = 27;
export const CONF_NEIGH_QUEUE_BYTES: u32 = 28;
export const CONF_NEIGH_PROXY_DELAY_MS: u32 = 29;
export const CONF_MAX: u32 = 30;
