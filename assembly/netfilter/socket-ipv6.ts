// The socket match and TPROXY of IPv6, net/netfilter/xt_socket.c, xt_TPROXY.c. Programs have no sockets of IPv6 here: no packet has one.
import { NF_DROP } from "../abi/netfilter";
import { Netns, Skb } from "../layout";

/** nf_sk_lookup_slow_v6. */
export function matchSocket6(flags: u32, skb: Skb, ns: Netns): bool {
  return false;
}

/** tproxy_tg6: without a socket to take it the packet is dropped. */
export function tproxy6(d: usize, skb: Skb, ns: Netns, inDev: usize): u32 {
  return NF_DROP;
}
