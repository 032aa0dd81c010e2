// Routing decisions of IPv6 (net/ipv6/route.c). As in route.ts, the answer of an input decision stands in the packet (rt* of Skb), that of
// an output decision in a Route. RTN_UNREACHABLE stands for a route whose use is an error, with the errno in `rtMtu`.
import { EACCES, EADDRNOTAVAIL, EINVAL, ENETUNREACH, ENODEV } from "../abi/core";
import {
  DEV_LOOPBACK, RTN_ANYCAST, RTN_LOCAL, RTN_MULTICAST, RTN_UNICAST, RTN_UNREACHABLE, RT_TABLE_LOCAL,
} from "../abi/net";
import { CONF6_FORWARDING, CONF6_MTU, SYSCTL6_FIB_MULTIPATH_HASH_POLICY } from "../abi/net6";
import { OBS_ROUTE } from "../abi/core";
import { NetDevice, Netns, Skb } from "../layout";
import { hashWord, mix32 } from "../mm/hash";
import { charge } from "../mm/node";
import { observeRecord, tracing } from "../trace/observe";
import { be16, isMapped4 } from "../wire/bytes";
import { ICMP6_HEADER_LEN } from "../wire/icmp6";
import { IPPROTO_TCP, IPPROTO_UDP } from "../wire/ipv4";
import { IPPROTO_ICMPV6, IPV6_HEADER_LEN, IPV6_MIN_MTU, Ipv6View, isLinkLocal6, isLoopback6, isMulticast6 } from "../wire/ipv6";
import { COST_ROUTE } from "./costs";
import { deviceFind } from "./devices";
import { FibEntry, FibTable, fibTable } from "./fib";
import { LOOKUP_IFACE, LOOKUP_REACHABLE, fib6Error, fib6Lookup, fib6TableLookup } from "./fib6";
import { confAll6, conf6, netns6, sysctl6 } from "./inet6";
import { NEXTHDR_BAD } from "./ip6-ext";
import { Nexthop, flowClear, flowDport, flowProtocol, flowSet, flowSport, nexthopAt, nexthopCount } from "./multipath";
import { pmtuOf, redirectHi, redirectOf6 } from "./peers";
import { RTF_GATEWAY, RTF_LOCAL, Route } from "./route";
import { saddrHi, saddrLo, sourceFor } from "./addrconf-select";

/** Prefix length of the route that the last look-up found. */
export let routePrefix: u32 = 0;

/** rt6_need_strict: such a destination means a device, too. */
export function needsDevice(hi: u64, lo: u64): bool {
  return isMulticast6(hi) || isLinkLocal6(hi) || isLoopback6(hi, lo);
}

/** The flow of a packet on its way, for rules and multipath: `network` and the walk are done. */
export function flowFrom6(skb: Skb): void {
  const next = skb.nextHeader, l4 = skb.transport;
  const ports = (next == IPPROTO_TCP || next == IPPROTO_UDP) && skb.fragHeader == 0 && l4 + 4 <= skb.tail;
  flowSet(next == NEXTHDR_BAD ? 0 : next, ports ? be16(l4, 0) : 0, ports ? be16(l4, 2) : 0, Ipv6View.at(skb.network).trafficClass);
}

/** Routes a packet that came in by `dev` (ip6_route_input). */
export function route6Input(skb: Skb, ns: Netns, dev: NetDevice): void {
  charge(COST_ROUTE);
  const ip = Ipv6View.at(skb.network);
  const hi = ip.destinationHi, lo = ip.destinationLo;
  let strict = needsDevice(hi, lo) ? LOOKUP_IFACE : 0;
  if (confAll6(ns, CONF6_FORWARDING) == 0) strict |= LOOKUP_REACHABLE;
  if (ns.routeMore != 0) flowFrom6(skb);
  // The device stands for "oif" in the choice, too: a route out of it is preferred.
  let entry = changetype<FibEntry>(isMapped4(hi, lo & 0xffffffff) ? 0
    : fib6Lookup(ns, hi, lo, ip.sourceHi, ip.sourceLo, dev.ifindex, dev.ifindex, skb.mark, strict));
  skb.rtFlags = 0;
  if (changetype<usize>(entry) == 0 || fib6Error != 0) {
    skb.rtType = RTN_UNREACHABLE;
    skb.rtDev = ns.loopback;
    skb.rtMtu = <u32>-(changetype<usize>(entry) == 0 && fib6Error == 0 ? -ENETUNREACH : fib6Error);
  } else if (entry.type == RTN_LOCAL || entry.type == RTN_ANYCAST) {
    skb.rtType = entry.type;
    skb.rtFlags = RTF_LOCAL;
    skb.rtDev = ns.loopback;
    skb.rtMtu = changetype<NetDevice>(ns.loopback).mtu;
  } else {
    const hop = entry.nexthops == 0 ? changetype<Nexthop>(0) : selectHop(ns, entry, 0, ip.sourceHi, ip.sourceLo, hi, lo, ip.flowLabel, skb);
    const several = changetype<usize>(hop) != 0;
    const devAt = several ? hop.dev : entry.dev;
    const gatewayHi = several ? hop.gatewayHi : entry.gatewayHi, gatewayLo = several ? hop.gatewayLo : entry.gatewayLo;
    const gateway = (gatewayHi | gatewayLo) != 0;
    skb.rtType = isMulticast6(hi) ? RTN_MULTICAST : RTN_UNICAST;
    skb.rtDev = devAt;
    if (gateway) skb.rtFlags = RTF_GATEWAY;
    skb.rtGatewayHi = gateway ? gatewayHi : hi;
    skb.rtGatewayLo = gateway ? gatewayLo : lo;
    // Cached exceptions hold for forwarded packets, too (rt6_find_cached_rt).
    if (ns.redirectsHeard != 0) {
      const other = redirectOf6(ns, hi, lo, skb.rtGatewayHi, skb.rtGatewayLo);
      if (other != 0) {
        skb.rtGatewayHi = redirectHi;
        skb.rtGatewayLo = other;
      }
    }
    skb.rtMtu = pmtuOf(ns, hi, lo, mtuOf(entry, changetype<NetDevice>(devAt)));
  }
  flowClear();
  if (tracing()) traceRoute(skb, ns, hi, lo);
}

/** ip6_mtu */
export function mtuOf(entry: FibEntry, dev: NetDevice): u32 {
  const own: u32 = changetype<usize>(entry) != 0 ? entry.mtu : 0;
  return min<u32>(own != 0 ? own : dev.inet6 != 0 ? <u32>conf6(dev, CONF6_MTU) : IPV6_MIN_MTU, 65575);
}

/** fib6_select_path: by the hash of the flow (rt6_multipath_hash, policy 0: addresses, flow label and protocol; 1: ports instead of the label). */
export function selectHop(ns: Netns, entry: FibEntry, oif: u32, sourceHi: u64, sourceLo: u64, hi: u64, lo: u64, label: u32, skb: Skb): Nexthop {
  const list = entry.nexthops, count = nexthopCount(list);
  let total: u32 = 0, first: usize = 0;
  for (let i: u32 = 0; i < count; i++) {
    const hop = nexthopAt(list, i);
    const dev = changetype<NetDevice>(hop.dev);
    if (!dev.up) continue;
    if (oif != 0 && dev.ifindex == oif) return hop;
    if (first == 0) first = changetype<usize>(hop);
    total += hop.weight;
  }
  if (first == 0) return nexthopAt(list, 0);
  let fromHi = sourceHi, fromLo = sourceLo, toHi = hi, toLo = lo, extra = label, protocol = flowProtocol;
  if (changetype<usize>(skb) != 0 && skb.nextHeader == IPPROTO_ICMPV6 && skb.transport + <usize>(ICMP6_HEADER_LEN + IPV6_HEADER_LEN) <= skb.tail
    && <u32>load<u8>(skb.transport) < 128) {
    // ip6_multipath_l3_keys: an error goes the way of what it is about, in its direction.
    const inner = Ipv6View.at(skb.transport + <usize>ICMP6_HEADER_LEN);
    fromHi = inner.destinationHi;
    fromLo = inner.destinationLo;
    toHi = inner.sourceHi;
    toLo = inner.sourceLo;
    extra = inner.flowLabel;
    protocol = inner.nextHeader;
  }
  let h = ns.flowSeed;
  h = hash64(hash64(h, fromHi), fromLo);
  h = hash64(hash64(h, toHi), toLo);
  h = hashWord(h, sysctl6(ns, SYSCTL6_FIB_MULTIPATH_HASH_POLICY) == 1 ? (flowSport << 16) | flowDport : extra);
  const hash = mix32(hashWord(h, protocol)) >>> 1;
  let weight: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const hop = nexthopAt(list, i);
    if (!changetype<NetDevice>(hop.dev).up) continue;
    weight += hop.weight;
    if (<u64>hash <= (((<u64>weight << 31) + (total >>> 1)) / total) - 1) return hop;
  }
  return changetype<Nexthop>(first);
}

function hash64(h: u32, value: u64): u32 {
  return hashWord(hashWord(h, <u32>value), <u32>(value >> 32));
}

/**
 * Routes a packet of this host (ip6_dst_lookup_tail). A source of :: lets the route choose one (RFC 6724). Fills `into`; 0, or -ENETUNREACH,
 * -EACCES, -EINVAL, -EHOSTUNREACH as the route's type has it, -EADDRNOTAVAIL: no source fits.
 */
export function route6Output(ns: Netns, hi: u64, lo: u64, sourceHi: u64, sourceLo: u64, oif: u32, mark: u32, into: Route): i32 {
  const result = route6Lookup(ns, hi, lo, sourceHi, sourceLo, oif, mark, 0, into);
  if (result != 0) return result;
  if ((sourceHi | sourceLo) != 0) return 0;
  return (into.sourceHi | into.sourceLo) == 0 ? -EADDRNOTAVAIL : 0;
}

/** The same, where no source at all will do as well (ip6_route_output). */
export function route6Lookup(ns: Netns, hi: u64, lo: u64, sourceHi: u64, sourceLo: u64, oif: u32, mark: u32, label: u32, into: Route): i32 {
  charge(COST_ROUTE);
  let strict: u32 = 0;
  const anySource = (sourceHi | sourceLo) == 0;
  if (needsDevice(hi, lo) || (oif != 0 && anySource)) strict = LOOKUP_IFACE;
  if (confAll6(ns, CONF6_FORWARDING) == 0) strict |= LOOKUP_REACHABLE;
  if (oif != 0 && deviceFind(ns, oif) == 0) return -ENODEV;
  const at: usize = isMapped4(hi, lo & 0xffffffff) ? 0 : fib6Lookup(ns, hi, lo, sourceHi, sourceLo, 1, oif, mark, strict);
  flowClear();
  if (at == 0) return fib6Error != 0 ? fib6Error : -ENETUNREACH;
  if (fib6Error != 0) return fib6Error;
  const entry = changetype<FibEntry>(at);
  routePrefix = entry.prefix;
  into.flags = 0;
  into.sourceHi = sourceHi;
  into.sourceLo = sourceLo;
  const local = entry.type == RTN_LOCAL || entry.type == RTN_ANYCAST;
  const hop = entry.nexthops == 0 ? changetype<Nexthop>(0) : selectHop(ns, entry, oif, sourceHi, sourceLo, hi, lo, label, changetype<Skb>(0));
  const several = changetype<usize>(hop) != 0;
  const devAt = several ? hop.dev : entry.dev;
  if (anySource) {
    if ((entry.sourceHi | entry.sourceLo) != 0) {
      into.sourceHi = entry.sourceHi;
      into.sourceLo = entry.sourceLo;
    } else if (sourceFor(ns, devAt, hi, lo)) {
      into.sourceHi = saddrHi;
      into.sourceLo = saddrLo;
    }
  }
  if (local) {
    into.type = entry.type;
    into.flags = RTF_LOCAL;
    into.dev = ns.loopback;
    into.gatewayHi = hi;
    into.gatewayLo = lo;
    into.mtu = changetype<NetDevice>(ns.loopback).mtu;
    return 0;
  }
  const dev = changetype<NetDevice>(devAt);
  const gatewayHi = several ? hop.gatewayHi : entry.gatewayHi, gatewayLo = several ? hop.gatewayLo : entry.gatewayLo;
  const gateway = (gatewayHi | gatewayLo) != 0;
  into.type = isMulticast6(hi) ? RTN_MULTICAST : RTN_UNICAST;
  into.dev = devAt;
  into.gatewayHi = gateway ? gatewayHi : hi;
  into.gatewayLo = gateway ? gatewayLo : lo;
  if (gateway) into.flags = RTF_GATEWAY;
  if (dev.kind == DEV_LOOPBACK) into.flags |= RTF_LOCAL;
  if (ns.redirectsHeard != 0 && into.type == RTN_UNICAST) {
    const other = redirectOf6(ns, hi, lo, into.gatewayHi, into.gatewayLo);
    if (other != 0) {
      into.gatewayHi = redirectHi;
      into.gatewayLo = other;
    }
  }
  into.mtu = pmtuOf(ns, hi, lo, mtuOf(entry, dev));
  return 0;
}

/** RTN_* of an address by the local table alone: RTN_LOCAL, RTN_ANYCAST, RTN_MULTICAST or RTN_UNICAST. */
export function inet6AddrType(ns: Netns, hi: u64, lo: u64): u32 {
  if (isMulticast6(hi)) return RTN_MULTICAST;
  const at = fib6TableLookup(changetype<FibTable>(fibTable(ns, RT_TABLE_LOCAL, false)), hi, lo, 0, 0);
  return at == 0 ? RTN_UNICAST : changetype<FibEntry>(at).type;
}

/** What ip6_pkt_discard and ip6_pkt_prohibit answer for an errno: a code of destination unreachable, or -1: nothing. */
export function errorCode6(errno: u32): i32 {
  if (errno == EACCES) return 1;
  return errno == EINVAL ? -1 : 0;
}

function traceRoute(skb: Skb, ns: Netns, hi: u64, lo: u64): void {
  const at = observeRecord(OBS_ROUTE, skb, changetype<usize>(ns), skb.dev, 40);
  if (at == 0) return;
  store<u32>(at, skb.rtType);
  store<u32>(at, skb.rtDev == 0 ? 0 : changetype<NetDevice>(skb.rtDev).ifindex, 4);
  store<u64>(at, skb.rtGatewayHi, 8);
  store<u64>(at, skb.rtGatewayLo, 16);
  store<u64>(at, hi, 24);
  store<u64>(at, lo, 32);
}
