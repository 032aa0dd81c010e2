// Where IPv6 delivers: the protocols of this host, which are those of IPv4 (udp.ts, ping.ts, tcp/), and errors about what it sent.
import { EACCES, ECONNREFUSED, EHOSTUNREACH, EMSGSIZE, ENETUNREACH, EPROTO } from "../abi/core";
import { SNMP6_ICMP_INERRORS } from "../abi/net6";
import { Netns, Skb } from "../layout";
import { snmp6Inc } from "../net/inet6";
import { ICMPV6_DEST_UNREACH, ICMPV6_PARAMPROB, ICMPV6_PKT_TOOBIG, ICMPV6_TIME_EXCEED, NDISC_REDIRECT } from "../wire/icmp6";
import { IPPROTO_TCP, IPPROTO_UDP } from "../wire/ipv4";
import { IPPROTO_ICMPV6 } from "../wire/ipv6";
import { pingError } from "./ping";
import { sockEchoReply, sockReceive } from "./receive";
import { tcpError } from "./tcp/error";
import { udpError } from "./udp";

/** As sockReceive (receive.ts) for a packet of IPv6: `data` at the L4 header, `network` and `transport` set. */
export function sockReceive6(skb: Skb, ns: Netns, protocol: u32): bool {
  return sockReceive(skb, ns, protocol);
}

/** An echo reply for this host. Takes it. */
export function sockEchoReply6(skb: Skb, ns: Netns): void {
  sockEchoReply(skb, ns);
}

/**
 * An ICMPv6 error, or a redirect, about what this host sent: the quoted IPv6 header at `inner`, its protocol `next` at `l4`, of which eight
 * bytes are there at least. True: it is about a flow of ours, so that what it says of the path may be believed (the err_handlers of
 * net/ipv6: tcp_v6_err, __udp6_lib_err, icmpv6_err).
 */
export function sockIcmpError6(ns: Netns, type: u32, code: u32, info: u32, inner: usize, l4: usize, next: u32): bool {
  let errno = EPROTO;
  let hard = false;
  if (type == ICMPV6_DEST_UNREACH) {
    // tab_unreach of net/ipv6/icmp.c
    hard = code == 1 || code > 3;
    errno = code == 0 ? ENETUNREACH : code == 2 || code == 3 ? EHOSTUNREACH : code == 4 ? ECONNREFUSED : code < 7 ? EACCES : EPROTO;
  } else if (type == ICMPV6_PKT_TOOBIG) {
    errno = EMSGSIZE;
    hard = true;
  } else if (type == ICMPV6_TIME_EXCEED) errno = EHOSTUNREACH;
  else if (type == ICMPV6_PARAMPROB) hard = true;
  else if (type == NDISC_REDIRECT) errno = 0;
  let known = true;
  if (next == IPPROTO_TCP) known = tcpError(ns, inner, l4, errno, type == ICMPV6_PKT_TOOBIG, info);
  else if (next == IPPROTO_UDP) known = udpError(ns, inner, l4, l4 + 8, errno, hard);
  else if (next == IPPROTO_ICMPV6) {
    if (errno != 0) pingError(ns, inner, l4, errno);
  } else return false;
  if (!known) snmp6Inc(ns, SNMP6_ICMP_INERRORS);
  return known;
}
