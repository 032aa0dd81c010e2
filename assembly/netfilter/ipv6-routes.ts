// What netfilter asks of IPv6's routes and addresses: net/netfilter/xt_addrtype.c, net/ipv6/netfilter/ip6t_rpfilter.c, nf_reject_ipv6.c,
// nf_dup_ipv6.c, net/netfilter/nf_nat_masquerade.c, nf_nat_redirect.c.
import { RTN_ANYCAST, RTN_BLACKHOLE, RTN_LOCAL, RTN_MULTICAST, RTN_PROHIBIT, RTN_THROW, RTN_UNICAST, RTN_UNREACHABLE, RTN_UNSPEC } from "../abi/net";
import { EACCES, EINVAL } from "../abi/core";
import { IFA_F_OPTIMISTIC, IFA_F_TENTATIVE } from "../abi/net6";
import { NetDevice, Netns, Skb } from "../layout";
import { Address6, anycastOf, checkAddress } from "../net/addrconf";
import { saddrHi, saddrLo, sourceFor } from "../net/addrconf-select";
import { FibEntry } from "../net/fib";
import { LOOKUP_IFACE, fib6Error, fib6Lookup } from "../net/fib6";
import { inet6Of } from "../net/inet6";
import { ipRouteMeHarder } from "../net/ip-output";
import { hopLimitOf, ip6LocalOutBuilt, ip6RouteMeHarder } from "../net/ip6-output";
import { route6Lookup } from "../net/ip6-route";
import { Route, skbSetRoute } from "../net/route";
import { skbFree } from "../net/skb";
import { Ipv6View, isAny6, isLinkLocal6, isLoopback6, isMulticast6, isSiteLocal6 } from "../wire/ipv6";
import { isV6 } from "./l3";

const LOOPBACK_IFINDEX: u32 = 1;

/** The packet of either family is routed anew. 0 or -errno. */
export function routeMeHarder(skb: Skb, ns: Netns): i32 {
  return isV6(skb.network) ? ip6RouteMeHarder(skb, ns) : ipRouteMeHarder(skb, ns);
}

/** match_type6: is the address at `at` of one of the types (bit per RTN_*)? */
export function nf6AddressType(ns: Netns, dev: usize, at: usize, mask: u32): bool {
  const hi = load<u64>(at), lo = load<u64>(at, 8);
  if (mask & (1 << RTN_MULTICAST) && !isMulticast6(hi)) return false;
  if (mask & (1 << RTN_UNICAST) && (isMulticast6(hi) || isAny6(hi, lo))) return false;
  if (mask & (1 << RTN_UNSPEC) && !isAny6(hi, lo)) return false;
  if (!(mask & (1 << RTN_LOCAL | 1 << RTN_ANYCAST | 1 << RTN_UNREACHABLE))) return true;
  return (mask & lookedUp(ns, dev, hi, lo, mask)) != 0;
}

/** match_lookup_rt6. */
function lookedUp(ns: Netns, dev: usize, hi: u64, lo: u64, mask: u32): u32 {
  let types: u32 = mask & (1 << RTN_LOCAL) && checkAddress(ns, hi, lo, dev, true) ? 1 << RTN_LOCAL : 0;
  const found = fib6Lookup(ns, hi, lo, 0, 0, 0, dev == 0 ? 0 : changetype<NetDevice>(dev).ifindex, 0, 0);
  if (found == 0) return 1 << RTN_UNREACHABLE;
  const entry = changetype<FibEntry>(found);
  if (fib6Error != 0 || isError(entry.type)) return 1 << RTN_UNREACHABLE;
  if (dev == 0 && entry.type == RTN_LOCAL) types |= 1 << RTN_LOCAL;
  if (entry.type == RTN_ANYCAST || (entry.dev != 0 && anycastOf(ns, changetype<NetDevice>(entry.dev), hi, lo))) types |= 1 << RTN_ANYCAST;
  return types;
}

@inline function isError(type: u32): bool {
  return type == RTN_BLACKHOLE || type == RTN_UNREACHABLE || type == RTN_PROHIBIT || type == RTN_THROW;
}

/** rpfilter_lookup_reverse6: does the way back to the source go out of the device by which the packet came? */
export function nf6Reverse(ns: Netns, skb: Skb, inDev: usize, loose: bool, acceptLocal: bool, mark: u32): bool {
  const ip = Ipv6View.at(skb.network), dev = changetype<NetDevice>(inDev);
  const unicast = !isMulticast6(ip.destinationHi) && !isAny6(ip.destinationHi, ip.destinationLo);
  const link = isLinkLocal6(ip.sourceHi);
  const found = fib6Lookup(ns, ip.sourceHi, ip.sourceLo, unicast ? ip.destinationHi : 0, unicast ? ip.destinationLo : 0, LOOPBACK_IFINDEX,
    link || !loose ? dev.ifindex : 0, mark, link ? LOOKUP_IFACE : 0);
  if (found == 0 || fib6Error != 0) return false;
  const entry = changetype<FibEntry>(found);
  if (isError(entry.type) || entry.type == RTN_ANYCAST) return false;
  if (entry.type == RTN_LOCAL) return acceptLocal;
  return loose || entry.dev == inDev;
}

/** __nft_fib6_eval_type: RTN_* of the address at `at`. */
export function nf6FibType(ns: Netns, skb: Skb, dev: usize, at: usize, mark: u32): u32 {
  const hi = load<u64>(at), lo = load<u64>(at, 8);
  if (isMulticast6(hi)) return RTN_MULTICAST;
  const own = checkAddress(ns, hi, lo, dev, true);
  const found = fib6Lookup(ns, hi, lo, 0, 0, LOOPBACK_IFINDEX, dev == 0 ? 0 : changetype<NetDevice>(dev).ifindex, mark, dev == 0 ? 0 : LOOKUP_IFACE);
  if (found == 0) return own ? RTN_LOCAL : RTN_UNREACHABLE;
  const entry = changetype<FibEntry>(found);
  if (fib6Error != 0 || isError(entry.type)) return fib6Error == -<i32>EACCES ? RTN_PROHIBIT : fib6Error == -<i32>EINVAL ? RTN_BLACKHOLE : RTN_UNREACHABLE;
  if (entry.type == RTN_ANYCAST || (entry.dev != 0 && anycastOf(ns, changetype<NetDevice>(entry.dev), hi, lo))) return RTN_ANYCAST;
  return own || (dev == 0 && entry.type == RTN_LOCAL) ? RTN_LOCAL : RTN_UNICAST;
}

/** nft_fib6_eval: the device by which the address at `at` is reached from `from`, only `dev` if that is not 0; 0: none. */
export function nf6FibDevice(ns: Netns, skb: Skb, dev: usize, at: usize, from: usize, mark: u32): usize {
  const unicast = !isMulticast6(load<u64>(from)) && !isAny6(load<u64>(from), load<u64>(from, 8));
  const link = isLinkLocal6(load<u64>(at));
  const index = dev == 0 ? 0 : changetype<NetDevice>(dev).ifindex;
  const found = fib6Lookup(ns, load<u64>(at), load<u64>(at, 8), unicast ? load<u64>(from) : 0, unicast ? load<u64>(from, 8) : 0, LOOPBACK_IFINDEX,
    index, mark, dev != 0 && link ? LOOKUP_IFACE : 0);
  if (found == 0 || fib6Error != 0) return 0;
  const entry = changetype<FibEntry>(found);
  if (isError(entry.type) || entry.type == RTN_LOCAL || entry.type == RTN_ANYCAST) return 0;
  return dev != 0 && entry.dev != dev ? 0 : entry.dev;
}

/** ipv6_dev_get_saddr for the destination at `destination`: the source goes to `into`; false: there is none. */
export function nf6SelectSource(ns: Netns, dev: usize, destination: usize, into: usize): bool {
  if (!sourceFor(ns, dev, load<u64>(destination), load<u64>(destination, 8))) return false;
  store<u64>(into, saddrHi);
  store<u64>(into, saddrLo, 8);
  return true;
}

/** Scope bits of an address (ipv6_addr_scope): loopback 0x10, link 0x20, site 0x40, 0: global or a group. */
function scopeBits(hi: u64, lo: u64): u32 {
  if (isLoopback6(hi, lo)) return 0x10;
  if (isLinkLocal6(hi)) return 0x20;
  return isSiteLocal6(hi) ? 0x40 : 0;
}

/** nf_nat_redirect_ipv6: the first address of the device that can be used, of the destination's scope; false: there is none. */
export function nf6FirstAddress(dev: NetDevice, destination: usize, into: usize): bool {
  const own = inet6Of(dev);
  if (changetype<usize>(own) == 0) return false;
  const scope = scopeBits(load<u64>(destination), load<u64>(destination, 8));
  for (let at = own.addresses; at != 0; at = changetype<Address6>(at).next) {
    const a = changetype<Address6>(at);
    if (a.flags & IFA_F_TENTATIVE && !(a.flags & IFA_F_OPTIMISTIC)) continue;
    if (scope != 0 && !(scope & scopeBits(a.hi, a.lo))) continue;
    store<u64>(into, a.hi);
    store<u64>(into, a.lo, 8);
    return true;
  }
  return false;
}

/** Sends a packet of the kernel's own whose header lacks the hop limit alone. Takes it. */
export function nf6Output(skb: Skb, ns: Netns): void {
  const ip = Ipv6View.at(skb.network), route = changetype<Route>(ns.scratch);
  if (route6Lookup(ns, ip.destinationHi, ip.destinationLo, ip.sourceHi, ip.sourceLo, 0, skb.mark, 0, route) < 0) {
    skbFree(skb);
    return;
  }
  skbSetRoute(skb, route);
  ip.hopLimit = hopLimitOf(ns, route.dev);
  ip6LocalOutBuilt(skb, ns, 0);
}

/** Sends a packet to a gateway, whatever its destination (nf_dup_ipv6_route). False: no way there, the packet is still the caller's. */
export function nf6SendTo(skb: Skb, ns: Netns, hi: u64, lo: u64): bool {
  const route = changetype<Route>(ns.scratch);
  if (route6Lookup(ns, hi, lo, 0, 0, 0, 0, 0, route) < 0) return false;
  skbSetRoute(skb, route);
  if (skb.rtGatewayHi == 0 && skb.rtGatewayLo == 0) {
    skb.rtGatewayHi = hi;
    skb.rtGatewayLo = lo;
  }
  ip6LocalOutBuilt(skb, ns, 0);
  return true;
}

/** MTU of the way back to the source (tcpmss_reverse_mtu). */
export function nf6ReverseMtu(skb: Skb, ns: Netns): u32 {
  const ip = Ipv6View.at(skb.network), route = changetype<Route>(ns.scratch);
  return route6Lookup(ns, ip.sourceHi, ip.sourceLo, 0, 0, 0, 0, 0, route) < 0 ? 0xffffffff : route.mtu;
}
