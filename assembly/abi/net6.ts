// Numbers that the kernel and its driver share: IPv6. See core.ts. Links, routes, rules and neighbours of both families go by the
// records of net.ts; a record's address tells its family.

/** {u32 -, u32 on}: is IPv6 on in new namespaces (the module's parameter disable_ipv6)? Sets it in the initial one, too. */
export const NET_IPV6_DEFAULT: u32 = 0x160;
/** {netns, u32 skip}: GROUP_* records, what `ip -6 maddress` shows. */
export const NET_GROUP_LIST: u32 = 0x161;
/** {netns}: u64 by SNMP6_* number, those by ICMPv6 type behind them. */
export const NET_SNMP6: u32 = 0x162;
/** {netns, u32 skip}: GROUP_* records, the anycast addresses (/proc/net/anycast6). */
export const NET_ANYCAST_LIST: u32 = 0x163;
/** {netns, u32 skip}: RULE_* records of IPv6. */
export const NET_RULE6_LIST: u32 = 0x164;
/** RULE_* records, addresses of IPv6. */
export const NET_RULE6_ADD: u32 = 0x165;
export const NET_RULE6_DELETE: u32 = 0x166;
/** {netns, u32 ifindex, u32 -, u32 -, 16 bytes}: net.ipv6.conf.DEV.stable_secret; ifindex CONF_OF_*. */
export const NET_STABLE_SECRET_SET: u32 = 0x167;
/** {netns, u32 ifindex}: the 16 bytes, or -EIO. */
export const NET_STABLE_SECRET_GET: u32 = 0x168;
/** {netns, u32 ifindex, u32 join (0: leave), u32 -, 16 bytes group}: membership of a program (IPV6_JOIN_GROUP, IPV6_JOIN_ANYCAST). */
export const NET_GROUP_CHANGE: u32 = 0x169;

export const GROUP_IFINDEX: u32 = 0;
export const GROUP_USERS: u32 = 4;
export const GROUP_FLAGS: u32 = 8;
export const GROUP_ADDRESS: u32 = 16;
export const GROUP_BYTES: u32 = 32;

// ADDRESS_FLAGS (include/uapi/linux/if_addr.h)
export const IFA_F_TEMPORARY: u32 = 0x01;
export const IFA_F_NODAD: u32 = 0x02;
export const IFA_F_OPTIMISTIC: u32 = 0x04;
export const IFA_F_DADFAILED: u32 = 0x08;
export const IFA_F_HOMEADDRESS: u32 = 0x10;
export const IFA_F_DEPRECATED: u32 = 0x20;
export const IFA_F_TENTATIVE: u32 = 0x40;
export const IFA_F_PERMANENT: u32 = 0x80;
export const IFA_F_MANAGETEMPADDR: u32 = 0x100;
export const IFA_F_NOPREFIXROUTE: u32 = 0x200;
export const IFA_F_STABLE_PRIVACY: u32 = 0x800;
/** ADDRESS_VALID, ADDRESS_PREFERRED: forever. */
export const LIFETIME_INFINITY: u32 = 0xffffffff;

// How an interface identifier is made (conf.addr_gen_mode)
export const IN6_ADDR_GEN_MODE_EUI64: u32 = 0;
export const IN6_ADDR_GEN_MODE_NONE: u32 = 1;
export const IN6_ADDR_GEN_MODE_STABLE_PRIVACY: u32 = 2;
export const IN6_ADDR_GEN_MODE_RANDOM: u32 = 3;

// ROUTE_PREF (RFC 4191)
export const ICMPV6_ROUTER_PREF_LOW: u32 = 3;
export const ICMPV6_ROUTER_PREF_MEDIUM: u32 = 0;
export const ICMPV6_ROUTER_PREF_HIGH: u32 = 1;
export const ICMPV6_ROUTER_PREF_INVALID: u32 = 2;

// NEIGH_FLAGS (include/uapi/linux/neighbour.h)
export const NTF_PROXY: u32 = 0x08;
export const NTF_ROUTER: u32 = 0x80;

// Counters: as /proc/net/snmp6 names them.
export const SNMP6_IP_INRECEIVES: u32 = 0;
export const SNMP6_IP_INHDRERRORS: u32 = 1;
export const SNMP6_IP_INTOOBIGERRORS: u32 = 2;
export const SNMP6_IP_INNOROUTES: u32 = 3;
export const SNMP6_IP_INADDRERRORS: u32 = 4;
export const SNMP6_IP_INUNKNOWNPROTOS: u32 = 5;
export const SNMP6_IP_INTRUNCATEDPKTS: u32 = 6;
export const SNMP6_IP_INDISCARDS: u32 = 7;
export const SNMP6_IP_INDELIVERS: u32 = 8;
export const SNMP6_IP_OUTFORWDATAGRAMS: u32 = 9;
export const SNMP6_IP_OUTREQUESTS: u32 = 10;
export const SNMP6_IP_OUTDISCARDS: u32 = 11;
export const SNMP6_IP_OUTNOROUTES: u32 = 12;
export const SNMP6_IP_REASMTIMEOUT: u32 = 13;
export const SNMP6_IP_REASMREQDS: u32 = 14;
export const SNMP6_IP_REASMOKS: u32 = 15;
export const SNMP6_IP_REASMFAILS: u32 = 16;
export const SNMP6_IP_FRAGOKS: u32 = 17;
export const SNMP6_IP_FRAGFAILS: u32 = 18;
export const SNMP6_IP_FRAGCREATES: u32 = 19;
export const SNMP6_IP_INMCASTPKTS: u32 = 20;
export const SNMP6_IP_OUTMCASTPKTS: u32 = 21;
export const SNMP6_IP_INOCTETS: u32 = 22;
export const SNMP6_IP_OUTOCTETS: u32 = 23;
export const SNMP6_IP_INMCASTOCTETS: u32 = 24;
export const SNMP6_IP_OUTMCASTOCTETS: u32 = 25;
export const SNMP6_IP_INBCASTOCTETS: u32 = 26;
export const SNMP6_IP_OUTBCASTOCTETS: u32 = 27;
export const SNMP6_IP_INNOECTPKTS: u32 = 28;
export const SNMP6_IP_INECT1PKTS: u32 = 29;
export const SNMP6_IP_INECT0PKTS: u32 = 30;
export const SNMP6_IP_INCEPKTS: u32 = 31;
export const SNMP6_IP_OUTTRANSMITS: u32 = 32;
export const SNMP6_ICMP_INMSGS: u32 = 33;
export const SNMP6_ICMP_INERRORS: u32 = 34;
export const SNMP6_ICMP_OUTMSGS: u32 = 35;
export const SNMP6_ICMP_OUTERRORS: u32 = 36;
export const SNMP6_ICMP_INCSUMERRORS: u32 = 37;
export const SNMP6_ICMP_OUTRATELIMITHOST: u32 = 38;
export const SNMP6_UDP_INDATAGRAMS: u32 = 39;
export const SNMP6_UDP_NOPORTS: u32 = 40;
export const SNMP6_UDP_INERRORS: u32 = 41;
export const SNMP6_UDP_OUTDATAGRAMS: u32 = 42;
export const SNMP6_UDP_RCVBUFERRORS: u32 = 43;
export const SNMP6_UDP_SNDBUFERRORS: u32 = 44;
export const SNMP6_UDP_INCSUMERRORS: u32 = 45;
export const SNMP6_UDP_IGNOREDMULTI: u32 = 46;
export const SNMP6_UDP_MEMERRORS: u32 = 47;
/** Behind them: what came in and what went out by ICMPv6 type, 256 each. */
export const SNMP6_ICMP_INTYPE: u32 = 48;
export const SNMP6_ICMP_OUTTYPE: u32 = 304;
export const SNMP6_MAX: u32 = 560;

/** Numbers of NET_SYSCTL_GET and NET_SYSCTL_SET from here on: net.ipv6.conf.DEV and net.ipv6.neigh.DEV, SYSCTL_CONF6 + CONF6_*. */
export const SYSCTL_CONF6: u32 = 0x200;
export const CONF6_FORWARDING: u32 = 0;
export const CONF6_HOP_LIMIT: u32 = 1;
export const CONF6_MTU: u32 = 2;
export const CONF6_ACCEPT_RA: u32 = 3;
export const CONF6_ACCEPT_REDIRECTS: u32 = 4;
export const CONF6_AUTOCONF: u32 = 5;
export const CONF6_DAD_TRANSMITS: u32 = 6;
export const CONF6_ROUTER_SOLICITATIONS: u32 = 7;
export const CONF6_ROUTER_SOLICITATION_INTERVAL: u32 = 8;
export const CONF6_ROUTER_SOLICITATION_DELAY: u32 = 9;
export const CONF6_ROUTER_SOLICITATION_MAX_INTERVAL: u32 = 10;
export const CONF6_ACCEPT_RA_DEFRTR: u32 = 11;
export const CONF6_ACCEPT_RA_FROM_LOCAL: u32 = 12;
export const CONF6_ACCEPT_RA_MIN_HOP_LIMIT: u32 = 13;
export const CONF6_ACCEPT_RA_MIN_LFT: u32 = 14;
export const CONF6_ACCEPT_RA_MTU: u32 = 15;
export const CONF6_ACCEPT_RA_PINFO: u32 = 16;
export const CONF6_ACCEPT_RA_RT_INFO_MAX_PLEN: u32 = 17;
export const CONF6_ACCEPT_RA_RT_INFO_MIN_PLEN: u32 = 18;
export const CONF6_ACCEPT_RA_RTR_PREF: u32 = 19;
export const CONF6_ACCEPT_SOURCE_ROUTE: u32 = 20;
export const CONF6_ACCEPT_DAD: u32 = 21;
export const CONF6_ADDR_GEN_MODE: u32 = 22;
export const CONF6_DISABLE_IPV6: u32 = 23;
export const CONF6_DROP_UNICAST_IN_L2_MULTICAST: u32 = 24;
export const CONF6_DROP_UNSOLICITED_NA: u32 = 25;
export const CONF6_ACCEPT_UNTRACKED_NA: u32 = 26;
export const CONF6_FORCE_FORWARDING: u32 = 27;
export const CONF6_FORCE_MLD_VERSION: u32 = 28;
export const CONF6_FORCE_TLLAO: u32 = 29;
export const CONF6_KEEP_ADDR_ON_DOWN: u32 = 30;
export const CONF6_MAX_ADDRESSES: u32 = 31;
export const CONF6_MLDV1_UNSOLICITED_REPORT_INTERVAL: u32 = 32;
export const CONF6_MLDV2_UNSOLICITED_REPORT_INTERVAL: u32 = 33;
export const CONF6_NDISC_NOTIFY: u32 = 34;
export const CONF6_NDISC_TCLASS: u32 = 35;
export const CONF6_OPTIMISTIC_DAD: u32 = 36;
export const CONF6_PROXY_NDP: u32 = 37;
export const CONF6_RA_DEFRTR_METRIC: u32 = 38;
export const CONF6_SUPPRESS_FRAG_NDISC: u32 = 39;
export const CONF6_USE_OIF_ADDRS_ONLY: u32 = 40;
export const CONF6_USE_OPTIMISTIC: u32 = 41;
export const CONF6_ENHANCED_DAD: u32 = 42;
export const CONF6_ROUTER_PROBE_INTERVAL: u32 = 43;
export const CONF6_NEIGH_BASE_REACHABLE_TIME_MS: u32 = 44;
export const CONF6_NEIGH_RETRANS_TIME_MS: u32 = 45;
export const CONF6_NEIGH_DELAY_FIRST_PROBE_TIME: u32 = 46;
export const CONF6_NEIGH_GC_STALE_TIME: u32 = 47;
export const CONF6_NEIGH_UCAST_SOLICIT: u32 = 48;
export const CONF6_NEIGH_MCAST_SOLICIT: u32 = 49;
export const CONF6_NEIGH_UNRES_QLEN_BYTES: u32 = 50;
export const CONF6_NEIGH_PROXY_DELAY: u32 = 51;
export const CONF6_NEIGH_MCAST_RESOLICIT: u32 = 52;
export const CONF6_NEIGH_APP_SOLICIT: u32 = 53;
export const CONF6_NEIGH_ANYCAST_DELAY: u32 = 54;
export const CONF6_MAX: u32 = 55;

/** Numbers from here on are the namespace's: SYSCTL6 + SYSCTL6_*. */
export const SYSCTL6: u32 = 0x300;
export const SYSCTL6_BINDV6ONLY: u32 = 0;
export const SYSCTL6_IP_NONLOCAL_BIND: u32 = 1;
export const SYSCTL6_ANYCAST_SRC_ECHO_REPLY: u32 = 2;
export const SYSCTL6_FIB_MULTIPATH_HASH_POLICY: u32 = 3;
export const SYSCTL6_IP6FRAG_HIGH_THRESH: u32 = 4;
export const SYSCTL6_IP6FRAG_LOW_THRESH: u32 = 5;
export const SYSCTL6_IP6FRAG_TIME: u32 = 6;
export const SYSCTL6_MAX_DST_OPTS_LENGTH: u32 = 7;
export const SYSCTL6_MAX_DST_OPTS_NUMBER: u32 = 8;
export const SYSCTL6_MAX_HBH_LENGTH: u32 = 9;
export const SYSCTL6_MAX_HBH_OPTS_NUMBER: u32 = 10;
export const SYSCTL6_MLD_QRV: u32 = 11;
export const SYSCTL6_AUTO_FLOWLABELS: u32 = 12;
export const SYSCTL6_ICMP_ECHO_IGNORE_ALL: u32 = 13;
export const SYSCTL6_ICMP_ECHO_IGNORE_ANYCAST: u32 = 14;
export const SYSCTL6_ICMP_ECHO_IGNORE_MULTICAST: u32 = 15;
export const SYSCTL6_ICMP_ERROR_ANYCAST_AS_UNICAST: u32 = 16;
export const SYSCTL6_ICMP_RATELIMIT: u32 = 17;
export const SYSCTL6_ROUTE_MTU_EXPIRES: u32 = 18;
export const SYSCTL6_ROUTE_MIN_ADV_MSS: u32 = 19;
export const SYSCTL6_FWMARK_REFLECT: u32 = 20;
/** Four words: net.ipv6.icmp.ratemask, a bit by type. */
export const SYSCTL6_ICMP_RATEMASK: u32 = 21;
export const SYSCTL6_MAX: u32 = 25;
