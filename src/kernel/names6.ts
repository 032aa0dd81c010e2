/** Names of IPv6's sysctls and counters by their numbers in assembly/abi/net6.ts. */
import { SNMP6_ICMP_INTYPE, SNMP6_ICMP_OUTTYPE } from "../../assembly/abi/net6.ts";

/** net.ipv6.conf.DEV.* by CONF6_*. */
export const CONF6_NAMES: readonly string[] = `
  forwarding hop_limit mtu accept_ra accept_redirects autoconf dad_transmits router_solicitations
  router_solicitation_interval router_solicitation_delay router_solicitation_max_interval accept_ra_defrtr
  accept_ra_from_local accept_ra_min_hop_limit accept_ra_min_lft accept_ra_mtu accept_ra_pinfo
  accept_ra_rt_info_max_plen accept_ra_rt_info_min_plen accept_ra_rtr_pref accept_source_route accept_dad
  addr_gen_mode disable_ipv6 drop_unicast_in_l2_multicast drop_unsolicited_na accept_untracked_na force_forwarding
  force_mld_version force_tllao keep_addr_on_down max_addresses mldv1_unsolicited_report_interval
  mldv2_unsolicited_report_interval ndisc_notify ndisc_tclass optimistic_dad proxy_ndp ra_defrtr_metric
  suppress_frag_ndisc use_oif_addrs_only use_optimistic enhanced_dad router_probe_interval
`.trim().split(/\s+/);

/** net.ipv6.neigh.DEV.*, from CONF6_NEIGH_BASE_REACHABLE_TIME_MS on. */
export const NEIGH6_NAMES: readonly string[] = `
  base_reachable_time_ms retrans_time_ms delay_first_probe_time gc_stale_time ucast_solicit mcast_solicit
  unres_qlen_bytes proxy_delay mcast_resolicit app_solicit anycast_delay
`.trim().split(/\s+/);

/** net.ipv6.* by SYSCTL6_*. */
export const SYSCTL6_NAMES: readonly string[] = `
  bindv6only ip_nonlocal_bind anycast_src_echo_reply fib_multipath_hash_policy ip6frag_high_thresh ip6frag_low_thresh
  ip6frag_time max_dst_opts_length max_dst_opts_number max_hbh_length max_hbh_opts_number mld_qrv auto_flowlabels
  icmp.echo_ignore_all icmp.echo_ignore_anycast icmp.echo_ignore_multicast icmp.error_anycast_as_unicast
  icmp.ratelimit route.mtu_expires route.min_adv_mss fwmark_reflect
`.trim().split(/\s+/);

const SNMP6: readonly string[] = `
  Ip6InReceives Ip6InHdrErrors Ip6InTooBigErrors Ip6InNoRoutes Ip6InAddrErrors Ip6InUnknownProtos Ip6InTruncatedPkts
  Ip6InDiscards Ip6InDelivers Ip6OutForwDatagrams Ip6OutRequests Ip6OutDiscards Ip6OutNoRoutes Ip6ReasmTimeout
  Ip6ReasmReqds Ip6ReasmOKs Ip6ReasmFails Ip6FragOKs Ip6FragFails Ip6FragCreates Ip6InMcastPkts Ip6OutMcastPkts
  Ip6InOctets Ip6OutOctets Ip6InMcastOctets Ip6OutMcastOctets Ip6InBcastOctets Ip6OutBcastOctets Ip6InNoECTPkts
  Ip6InECT1Pkts Ip6InECT0Pkts Ip6InCEPkts Ip6OutTransmits Icmp6InMsgs Icmp6InErrors Icmp6OutMsgs Icmp6OutErrors
  Icmp6InCsumErrors Icmp6OutRateLimitHost Udp6InDatagrams Udp6NoPorts Udp6InErrors Udp6OutDatagrams Udp6RcvbufErrors
  Udp6SndbufErrors Udp6InCsumErrors Udp6IgnoredMulti Udp6MemErrors
`.trim().split(/\s+/);

const ICMP6_TYPES: Readonly<Record<number, string>> = {
  1: "DestUnreachs", 2: "PktTooBigs", 3: "TimeExcds", 4: "ParmProblems", 128: "Echos", 129: "EchoReplies", 130: "GroupMembQueries",
  131: "GroupMembResponses", 132: "GroupMembReductions", 133: "RouterSolicits", 134: "RouterAdvertisements", 135: "NeighborSolicits",
  136: "NeighborAdvertisements", 137: "Redirects", 143: "MLDv2Reports",
};

/** The name of a counter, as /proc/net/snmp6 has it. */
export function snmp6Name(number: number): string {
  if (number < SNMP6_ICMP_INTYPE) return SNMP6[number] ?? `${number}`;
  const out = number >= SNMP6_ICMP_OUTTYPE;
  const type = number - (out ? SNMP6_ICMP_OUTTYPE : SNMP6_ICMP_INTYPE);
  const name = ICMP6_TYPES[type];
  return `Icmp6${out ? "Out" : "In"}${name ?? `Type${type}`}`;
}
