// Where IPv6 delivers: the protocols of this host.
import { Netns, Skb } from "../layout";
import { skbFree } from "../net/skb";

/** As sockReceive (receive.ts) for a packet of IPv6: `data` at the L4 header, `network` and `transport` set. */
export function sockReceive6(skb: Skb, ns: Netns, protocol: u32): bool {
  return false;
}

/** An echo reply for this host. Takes it. */
export function sockEchoReply6(skb: Skb, ns: Netns): void {
  skbFree(skb);
}

/** An ICMPv6 error about what this host sent: the quoted IPv6 header at `inner`, its protocol `next` at `l4`. */
export function sockIcmpError6(ns: Netns, type: u32, code: u32, info: u32, inner: usize, l4: usize, next: u32): void {
}
