// Sending IPv4: route, header, OUTPUT, POSTROUTING, neighbour, device.
import { EHOSTUNREACH } from "../abi/core";
import { NetDevice, Netns, Skb } from "../layout";
import { skbFree } from "./skb";

/** The answer of routeOutput and routeInput: one per instance, read at once. */
@unmanaged export class Route {
  type: u32; // RTN_*
  dev: usize; // NetDevice out
  gatewayHi: u64; gatewayLo: u64; // next hop: the gateway, or the destination where it is on the link
  sourceHi: u64; sourceLo: u64; // preferred source address
  mtu: u32;
}

/**
 * Routes a packet of this host (ip_route_output_key). `source` may be "any" (hi = 0, lo = 0xffff0000). Fills `into`; 0, or
 * -ENETUNREACH, -EHOSTUNREACH, -EACCES, -EINVAL as the route's type has it.
 */
export function routeOutput(ns: Netns, destinationHi: u64, destinationLo: u64, sourceHi: u64, sourceLo: u64, oif: u32,
  mark: u32, tos: u32, into: Route): i32 {
  return -EHOSTUNREACH;
}

/**
 * Sends an L4 packet of this host: `data` at the L4 header, its checksum already right for source and destination. Builds the
 * IP header, runs OUTPUT and POSTROUTING, finds the neighbour, sends. Takes the packet in every case. 0 or -errno
 * (-EPERM: a hook dropped it; -EMSGSIZE: longer than the MTU with DF).
 */
export function ipSend(skb: Skb, ns: Netns, sourceHi: u64, sourceLo: u64, destinationHi: u64, destinationLo: u64,
  protocol: u32, tos: u32, ttl: u32, df: bool): i32 {
  skbFree(skb);
  return -EHOSTUNREACH;
}

/** Is this one of the namespace's own addresses (local table)? */
export function addressIsLocal(ns: Netns, hi: u64, lo: u64): bool {
  return false;
}

/** RTN_* of an address by the local table alone, as xt_addrtype and bind() see it (inet_addr_type). */
export function addressType(ns: Netns, hi: u64, lo: u64): u32 {
  return 0;
}

/** The address that packets out of `dev` towards `hi:lo` carry (inet_select_addr with scope universe); low word, 0: none. */
export function selectAddress(dev: NetDevice, hi: u64, lo: u64): u64 {
  return 0;
}

/** Sends an ICMP error about `about` (icmp_send): all of RFC 1122's and Linux's reasons not to are looked at here. Does not take `about`. */
export function icmpSend(about: Skb, ns: Netns, type: u32, code: u32, info: u32): void {}

/** After NAT changed a local packet in OUTPUT: routes it anew (ip_route_me_harder). 0 or -errno. */
export function ipRouteMeHarder(skb: Skb, ns: Netns): i32 {
  return 0;
}

/** Sends a packet whose IP header is complete (`network` = `data`), made by the kernel itself (a RST, TEE's copy): route, OUTPUT … */
export function ipLocalOut(skb: Skb, ns: Netns): i32 {
  skbFree(skb);
  return -EHOSTUNREACH;
}
