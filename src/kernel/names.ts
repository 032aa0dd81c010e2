/** Names of the numbers of abi/net.ts, as /proc and the kernel's headers have them. */

/** By SNMP_* number. */
export const SNMP_NAMES: readonly string[] = (
  "Ip.InReceives Ip.InHdrErrors Ip.InAddrErrors Ip.ForwDatagrams Ip.InUnknownProtos Ip.InDiscards " +
  "Ip.InDelivers Ip.OutRequests Ip.OutDiscards Ip.OutNoRoutes Ip.ReasmTimeout Ip.ReasmReqds Ip.ReasmOKs " +
  "Ip.ReasmFails Ip.FragOKs Ip.FragFails Ip.FragCreates Ip.OutTransmits IpExt.InNoRoutes " +
  "IpExt.InTruncatedPkts IpExt.InMcastPkts IpExt.OutMcastPkts IpExt.InBcastPkts IpExt.OutBcastPkts " +
  "IpExt.InOctets IpExt.OutOctets IpExt.InMcastOctets IpExt.OutMcastOctets IpExt.InBcastOctets " +
  "IpExt.OutBcastOctets IpExt.InCsumErrors IpExt.InNoECTPkts IpExt.InECT1Pkts IpExt.InECT0Pkts " +
  "IpExt.InCEPkts IpExt.ReasmOverlaps Icmp.InMsgs Icmp.InErrors Icmp.InCsumErrors Icmp.InDestUnreachs " +
  "Icmp.InTimeExcds Icmp.InParmProbs Icmp.InSrcQuenchs Icmp.InRedirects Icmp.InEchos Icmp.InEchoReps " +
  "Icmp.InTimestamps Icmp.InTimestampReps Icmp.InAddrMasks Icmp.InAddrMaskReps Icmp.OutMsgs Icmp.OutErrors " +
  "Icmp.OutRateLimitGlobal Icmp.OutRateLimitHost Icmp.OutDestUnreachs Icmp.OutTimeExcds Icmp.OutParmProbs " +
  "Icmp.OutSrcQuenchs Icmp.OutRedirects Icmp.OutEchos Icmp.OutEchoReps Icmp.OutTimestamps " +
  "Icmp.OutTimestampReps Icmp.OutAddrMasks Icmp.OutAddrMaskReps Tcp.ActiveOpens Tcp.PassiveOpens " +
  "Tcp.AttemptFails Tcp.EstabResets Tcp.CurrEstab Tcp.InSegs Tcp.OutSegs Tcp.RetransSegs Tcp.InErrs " +
  "Tcp.OutRsts Tcp.InCsumErrors Udp.InDatagrams Udp.NoPorts Udp.InErrors Udp.OutDatagrams Udp.RcvbufErrors " +
  "Udp.SndbufErrors Udp.InCsumErrors Udp.IgnoredMulti Udp.MemErrors "
).trimEnd().split(" ");

/** By DROP_* number. */
export const DROP_NAMES: readonly string[] = (
  "NOT_SPECIFIED NOMEM CPU_BACKLOG DEV_READY PKT_TOO_SMALL OTHERHOST UNHANDLED_PROTO IP_CSUM IP_INHDR " +
  "NETFILTER_DROP RECURSION_LIMIT IP_RPFILTER UNICAST_IN_L2_MULTICAST IP_NOPROTO IP_OUTNOROUTES " +
  "NEIGH_CREATEFAIL NEIGH_FAILED NEIGH_QUEUEFULL ICMP_CSUM INVALID_PROTO IP_INADDRERRORS IP_INNOROUTES " +
  "IP_LOCAL_SOURCE IP_INVALID_SOURCE IP_LOCALNET IP_INVALID_DEST PKT_TOO_BIG DUP_FRAG FRAG_REASM_TIMEOUT " +
  "VXLAN_INVALID_HDR VXLAN_VNI_NOT_FOUND MAC_INVALID_SOURCE NO_TX_TARGET IP_TUNNEL_ECN LOCAL_MAC " +
  "MAC_IEEE_MAC_CONTROL BRIDGE_INGRESS_STP_STATE NO_SOCKET SOCKET_RCVBUFF SOCKET_CLOSE TCP_CSUM UDP_CSUM " +
  "TCP_FLAGS TCP_OLD_DATA TCP_OVERWINDOW TCP_RESET TCP_INVALID_SEQUENCE TCP_INVALID_ACK_SEQUENCE " +
  "TCP_OFOMERGE TCP_ZEROWINDOW HDR_TRUNC SOCKET_BACKLOG TCP_CLOSE IP_OUTNOROUTES QDISC_DROP TC_INGRESS FULL_RING " +
  "IPV6DISABLED IPV6_NDISC_FRAG IPV6_NDISC_HOP_LIMIT IPV6_NDISC_BAD_CODE IPV6_NDISC_BAD_OPTIONS IPV6_NDISC_NS_OTHERHOST VXLAN_ENTRY_EXISTS XDP TC_EGRESS BPF_CGROUP_EGRESS SOCKET_FILTER "
).trimEnd().split(" ");

/** net.ipv4.*, net.bridge.* and net.netfilter.* by SYSCTL_* number; "-": not read under a name of its own. */
export const SYSCTL_NAMES: readonly string[] = (
  "net.ipv4.ip_default_ttl net.ipv4.ip_no_pmtu_disc net.ipv4.ip_nonlocal_bind net.ipv4.ip_forward_use_pmtu - " +
  "- net.ipv4.ip_unprivileged_port_start net.ipv4.ipfrag_time net.ipv4.ipfrag_high_thresh " +
  "net.ipv4.ipfrag_low_thresh net.ipv4.ipfrag_max_dist net.ipv4.icmp_echo_ignore_all " +
  "net.ipv4.icmp_echo_ignore_broadcasts net.ipv4.icmp_errors_use_inbound_ifaddr " +
  "net.ipv4.icmp_ignore_bogus_error_responses net.ipv4.icmp_ratelimit net.ipv4.icmp_ratemask " +
  "net.ipv4.icmp_msgs_per_sec net.ipv4.icmp_msgs_burst net.bridge.bridge-nf-call-iptables " +
  "net.bridge.bridge-nf-call-ip6tables net.bridge.bridge-nf-call-arptables net.ipv4.tcp_abort_on_overflow " +
  "net.ipv4.tcp_adv_win_scale net.ipv4.tcp_base_mss net.ipv4.tcp_ecn net.ipv4.tcp_fin_timeout " +
  "net.ipv4.tcp_keepalive_intvl net.ipv4.tcp_keepalive_probes net.ipv4.tcp_keepalive_time " +
  "net.ipv4.tcp_max_syn_backlog net.ipv4.tcp_max_tw_buckets net.ipv4.tcp_min_snd_mss " +
  "net.ipv4.tcp_mtu_probing net.ipv4.tcp_orphan_retries net.ipv4.tcp_reordering net.ipv4.tcp_retries1 " +
  "net.ipv4.tcp_retries2 net.ipv4.tcp_rfc1337 net.ipv4.tcp_rto_max_ms net.ipv4.tcp_rto_min_us " +
  "net.ipv4.tcp_sack net.ipv4.tcp_slow_start_after_idle net.ipv4.tcp_syn_retries net.ipv4.tcp_synack_retries " +
  "net.ipv4.tcp_syncookies net.ipv4.tcp_timestamps net.ipv4.tcp_tw_reuse net.ipv4.tcp_window_scaling - - - - " +
  "net.core.somaxconn net.core.rmem_default net.core.wmem_default net.netfilter.nf_conntrack_acct " +
  "net.netfilter.nf_conntrack_buckets net.netfilter.nf_conntrack_checksum " +
  "net.netfilter.nf_conntrack_expect_max net.netfilter.nf_conntrack_generic_timeout " +
  "net.netfilter.nf_conntrack_gre_timeout net.netfilter.nf_conntrack_gre_timeout_stream " +
  "net.netfilter.nf_conntrack_icmp_timeout net.netfilter.nf_conntrack_log_invalid " +
  "net.netfilter.nf_conntrack_max net.netfilter.nf_conntrack_sctp_timeout_closed " +
  "net.netfilter.nf_conntrack_sctp_timeout_cookie_echoed net.netfilter.nf_conntrack_sctp_timeout_cookie_wait " +
  "net.netfilter.nf_conntrack_sctp_timeout_established " +
  "net.netfilter.nf_conntrack_sctp_timeout_heartbeat_sent " +
  "net.netfilter.nf_conntrack_sctp_timeout_shutdown_ack_sent " +
  "net.netfilter.nf_conntrack_sctp_timeout_shutdown_recd " +
  "net.netfilter.nf_conntrack_sctp_timeout_shutdown_sent net.netfilter.nf_conntrack_tcp_be_liberal " +
  "net.netfilter.nf_conntrack_tcp_ignore_invalid_rst net.netfilter.nf_conntrack_tcp_loose " +
  "net.netfilter.nf_conntrack_tcp_max_retrans net.netfilter.nf_conntrack_tcp_timeout_close " +
  "net.netfilter.nf_conntrack_tcp_timeout_close_wait net.netfilter.nf_conntrack_tcp_timeout_established " +
  "net.netfilter.nf_conntrack_tcp_timeout_fin_wait net.netfilter.nf_conntrack_tcp_timeout_last_ack " +
  "net.netfilter.nf_conntrack_tcp_timeout_max_retrans net.netfilter.nf_conntrack_tcp_timeout_syn_recv " +
  "net.netfilter.nf_conntrack_tcp_timeout_syn_sent net.netfilter.nf_conntrack_tcp_timeout_time_wait " +
  "net.netfilter.nf_conntrack_tcp_timeout_unacknowledged net.netfilter.nf_conntrack_timestamp " +
  "net.netfilter.nf_conntrack_udp_timeout net.netfilter.nf_conntrack_udp_timeout_stream " +
  "net.ipv4.fib_multipath_hash_policy "
).trimEnd().split(" ");

/** net.ipv4.conf.DEV.* by CONF_* number. */
export const CONF_NAMES: readonly string[] = (
  "forwarding rp_filter send_redirects accept_redirects secure_redirects shared_media accept_source_route " +
  "accept_local route_localnet arp_ignore arp_announce arp_accept arp_filter arp_notify proxy_arp " +
  "src_valid_mark log_martians bc_forwarding promote_secondaries drop_gratuitous_arp " +
  "drop_unicast_in_l2_multicast proxy_arp_pvlan "
).trimEnd().split(" ");

/** net.ipv4.neigh.DEV.* by CONF_* number less that of CONF_NEIGH_BASE_REACHABLE_MS. */
export const NEIGH_NAMES: readonly string[] = (
  "base_reachable_time_ms retrans_time_ms delay_first_probe_time gc_stale_time ucast_solicit mcast_solicit " +
  "unres_qlen_bytes proxy_delay "
).trimEnd().split(" ");
