// Where IP delivers: the protocols of this host.
import { Netns, Skb } from "../layout";
import { skbFree } from "../net/skb";

/**
 * A packet for this host after INPUT: `data` at the L4 header, `network` and `transport` set. Returns false when no
 * protocol of that number is known (the caller answers protocol unreachable); the packet is then still the caller's.
 */
export function sockReceive(skb: Skb, ns: Netns, protocol: u32): bool {
  skbFree(skb);
  return true;
}

/**
 * An ICMP error about a packet that this host sent. `inner` is the address of the quoted IP header, `length` how much of
 * it was quoted. Connected UDP sockets get the errno, TCP treats it as RFC 1122 section 4.2.3.9 says.
 */
export function sockIcmpError(ns: Netns, type: u32, code: u32, info: u32, inner: usize, length: u32): void {}

/** An ICMP echo reply for this host: a ping socket may wait for it. `data` at the ICMP header. */
export function sockEchoReply(skb: Skb, ns: Netns): void {
  skbFree(skb);
}

export function sockNetnsInit(ns: Netns): bool { return true; }
export function sockNetnsExit(ns: Netns): void {}
