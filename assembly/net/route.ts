// Routing decisions: net/ipv4/route.c. The answer of an input decision stands in the packet (rt* of Skb), that of an output
// decision in a Route.
import { EACCES, EHOSTUNREACH, EINVAL, ENETUNREACH, ENODEV } from "../abi/core";
import {
  CONF_ACCEPT_LOCAL, CONF_BC_FORWARDING, CONF_FORWARDING, CONF_ROUTE_LOCALNET, CONF_RP_FILTER, CONF_SEND_REDIRECTS,
  CONF_SHARED_MEDIA, CONF_SRC_VALID_MARK, DEV_LOOPBACK, DROP_IP_INVALID_DEST, DROP_IP_INVALID_SOURCE, DROP_IP_LOCALNET,
  DROP_IP_LOCAL_SOURCE, DROP_IP_RPFILTER, RTN_BROADCAST, RTN_LOCAL, RTN_MULTICAST, RTN_UNICAST, RTN_UNREACHABLE,
  RT_SCOPE_HOST, RT_SCOPE_LINK, RT_TABLE_LOCAL,
} from "../abi/net";
import { OBS_ROUTE } from "../abi/core";
import { FULL } from "../features";
import { NetDevice, Netns, Skb } from "../layout";
import { charge } from "../mm/node";
import { kfree, kmalloc } from "../mm/slab";
import { observeRecord, tracing } from "../trace/observe";
import { isMapped4, mapped4, raw4 } from "../wire/bytes";
import { ETH_P_IP } from "../wire/ethernet";
import { IPPROTO_IGMP, Ipv4View } from "../wire/ipv4";
import { addressOnlink, inetSelectAddr, isInterfaceAddress, isLoopback4, isMulticast4 } from "./address";
import { COST_ROUTE } from "./costs";
import { deviceFind } from "./devices";
import { FibEntry, FibTable, fibError, fibLookup, fibTable, fibTableLookup, rulesCustom } from "./fib";
import { flowClear, flowFrom, flowSet, multipathSelect, nexthopBy } from "./multipath";
import { pmtuOf, redirectOf } from "./peers";
import { devConf, maxConf, orConf } from "./sysctl";
import { vxlanGroupJoined } from "./vxlan-options";

/** The answer of routeOutput. */
@unmanaged export class Route {
  type: u32; // RTN_*
  dev: usize; // NetDevice out
  gatewayHi: u64; gatewayLo: u64; // next hop: the gateway, or the destination where it is on the link
  sourceHi: u64; sourceLo: u64; // preferred source address
  mtu: u32;
  flags: u32; // RTF_*
}

/** The next hop is a gateway. */
export const RTF_GATEWAY: u32 = 1;
/** For this host. */
export const RTF_LOCAL: u32 = 2;
/** An ICMP redirect is in order when it is forwarded (IPSKB_DOREDIRECT). */
export const RTF_REDIRECT: u32 = 4;
/** Made by routeInput. */
const RTF_INPUT: u32 = 8;

/** 255.255.255.255 */
const BROADCAST_RAW: u32 = 0xffffffff;
const LOOPBACK_RAW: u32 = 0x0100007f;
/** The all-hosts group, 224.0.0.1, which every device belongs to. */
const ALL_HOSTS_RAW: u32 = 0x010000e0;
const ANY_LO: u64 = 0xffff0000;

/** The MTU that the last outputMake found, before the path's. */
let mtuFound: u32 = 0;

/** Why routeInput refused: a DROP_* reason. */
export let routeDrop: u32 = 0;

/** RTN_* of an address by the local table alone (inet_addr_type). */
export function inetAddrType(ns: Netns, hi: u64, lo: u64): u32 {
  if (isMapped4(hi, lo)) {
    const raw = raw4(lo);
    if (raw == 0 || raw == BROADCAST_RAW) return RTN_BROADCAST;
    if (isMulticast4(raw)) return RTN_MULTICAST;
  }
  const at = fibTableLookup(changetype<FibTable>(fibTable(ns, RT_TABLE_LOCAL, false)), hi, lo, 0, 0);
  return at == 0 ? RTN_UNICAST : changetype<FibEntry>(at).type;
}

/** Is `dev` a member of the group (ip_check_mc)? Each device has joined the all-hosts group, and VXLAN devices join theirs. */
function groupJoined(ns: Netns, dev: NetDevice, raw: u32): bool {
  return raw == ALL_HOSTS_RAW || (FULL && ns.vxlans != 0 && vxlanGroupJoined(ns, raw, dev.ifindex));
}

/**
 * Routes a packet that came in by `dev` (ip_route_input_noref). 0: the rt* fields of the packet say where to; the type
 * RTN_UNREACHABLE stands for a route whose use is an error, with the errno in `rtMtu` (ip_error answers). -EINVAL: a martian,
 * `routeDrop` says which.
 */
export function routeInput(skb: Skb, ns: Netns, dev: NetDevice, destination: u32, source: u32, tos: u32): i32 {
  charge(COST_ROUTE);
  if (FULL && ns.routeMore != 0) {
    // ARP asks without a packet.
    if (skb.network != 0 && skb.network >= skb.data - 60 && skb.protocol == ETH_P_IP) flowFrom(skb.network, skb.tail);
    else flowSet(0, 0, 0, tos);
    skb.rtFlags = RTF_INPUT;
    const result = inputSlow(skb, ns, dev, destination, source);
    flowClear();
    if (result == 0 && tracing()) traceRoute(skb, ns, destination);
    return result;
  }
  const slot = slotOf(ns, destination, source, dev.ifindex);
  if (slot != 0 && slotFits(slot, ns, destination, source, dev.ifindex, skb.mark)) {
    const known = changetype<Decision>(slot);
    skb.rtFlags = known.flags;
    skb.rtType = RTN_UNICAST;
    skb.rtDev = known.dev;
    skb.rtMtu = known.mtu;
    skb.rtGatewayHi = known.gatewayHi;
    skb.rtGatewayLo = known.gatewayLo;
    if (tracing()) traceRoute(skb, ns, destination);
    return 0;
  }
  skb.rtFlags = RTF_INPUT;
  const result = inputSlow(skb, ns, dev, destination, source);
  if (result == 0) {
    if (skb.rtType == RTN_UNICAST) rememberInput(skb, ns, dev, destination, source);
    if (tracing()) traceRoute(skb, ns, destination);
  }
  return result;
}

// Decisions about packets that go on to another host, direct-mapped. One holds while routes, rules, devices, addresses and their
// sysctls are those it was made by: all of them move the namespace's routeGeneration on.
const DECISIONS: u32 = 128;
/** In `iif`: about a packet of this host; the rest is the device that was asked for. */
const OUTPUT: u32 = 0x80000000;

@unmanaged export class Decision {
  destination: u32; source: u32; // raw
  iif: u32;
  mark: u32;
  generation: u32;
  flags: u32;
  dev: usize; // NetDevice out, 0: none
  mtu: u32;
  gatewayHi: u64; gatewayLo: u64;
  sourceLo: u64; // output: the preferred source
}

const DECISION: u32 = <u32>((offsetof<Decision>() + 7) & ~7);

/** Neighbouring addresses stand in neighbouring slots. */
@inline function slotOf(ns: Netns, destination: u32, source: u32, iif: u32): usize {
  if (ns.routes == 0) return 0;
  const n = bswap<u32>(source) + bswap<u32>(destination) * 11 + iif * 37;
  return ns.routes + <usize>((n & (DECISIONS - 1)) * DECISION);
}

@inline function slotFits(slot: usize, ns: Netns, destination: u32, source: u32, iif: u32, mark: u32): bool {
  const known = changetype<Decision>(slot);
  return known.destination == destination && known.source == source && known.iif == iif && known.mark == mark
    && known.generation == ns.routeGeneration && known.dev != 0;
}

/** The decision about a packet that goes on, without a mark; 0: there is none that holds. */
@inline export function routeKnown(ns: Netns, destination: u32, source: u32, iif: u32): usize {
  const slot = slotOf(ns, destination, source, iif);
  return slot != 0 && ns.routeMore == 0 && slotFits(slot, ns, destination, source, iif, 0) ? slot : 0;
}

/** Only a namespace that forwards remembers. */
function rememberInput(skb: Skb, ns: Netns, dev: NetDevice, destination: u32, source: u32): void {
  if (ns.routes == 0) {
    ns.routes = kmalloc(DECISIONS * DECISION);
    if (ns.routes == 0) return;
  }
  const known = changetype<Decision>(slotOf(ns, destination, source, dev.ifindex));
  known.destination = destination;
  known.source = source;
  known.iif = dev.ifindex;
  known.mark = skb.mark;
  known.generation = ns.routeGeneration;
  known.flags = skb.rtFlags;
  known.dev = skb.rtDev;
  known.mtu = skb.rtMtu;
  known.gatewayHi = skb.rtGatewayHi;
  known.gatewayLo = skb.rtGatewayLo;
}

/** The namespace ends. */
export function routesExit(ns: Netns): void {
  kfree(ns.routes, DECISIONS * DECISION);
}

function traceRoute(skb: Skb, ns: Netns, destination: u32): void {
  const at = observeRecord(OBS_ROUTE, skb, changetype<usize>(ns), skb.dev, 40);
  if (at == 0) return;
  store<u32>(at, skb.rtType);
  store<u32>(at, skb.rtDev == 0 ? 0 : changetype<NetDevice>(skb.rtDev).ifindex, 4);
  store<u64>(at, skb.rtGatewayHi, 8);
  store<u64>(at, skb.rtGatewayLo, 16);
  store<u64>(at, 0, 24);
  store<u64>(at, mapped4(destination), 32);
}

function martian(reason: u32): i32 {
  routeDrop = reason;
  return -EINVAL;
}

function inputSlow(skb: Skb, ns: Netns, dev: NetDevice, destination: u32, source: u32): i32 {
  const destinationLo = mapped4(destination), sourceLo = mapped4(source);
  const localnet = orConf(dev, CONF_ROUTE_LOCALNET);
  if (isMulticast4(source) || source == BROADCAST_RAW) return martian(DROP_IP_INVALID_SOURCE);
  if (isMulticast4(destination)) {
    if (!groupJoined(ns, dev, destination)) return martian(DROP_IP_INVALID_DEST);
    // ip_mc_validate_source
    if (isLoopback4(source) && !localnet) return martian(DROP_IP_LOCALNET);
    if (source == 0) {
      // 0.0.0.0 may speak to its link (224.0.0.0/24), and IGMP to any group: it has no address yet.
      if ((destination & 0xffffff) != 0xe0 && Ipv4View.at(skb.network).protocol != IPPROTO_IGMP) {
        return martian(DROP_IP_INVALID_SOURCE);
      }
    } else {
      const valid = validateSource(skb, ns, dev, source, 0, 0);
      if (valid < 0) return valid;
    }
    return inputLocal(skb, ns, RTN_MULTICAST);
  }
  if (destination == BROADCAST_RAW || (source == 0 && destination == 0)) return inputBroadcast(skb, ns, dev, source);
  if (source == 0) return martian(DROP_IP_INVALID_SOURCE);
  if (destination == 0) return martian(DROP_IP_INVALID_DEST);
  if ((isLoopback4(destination) || isLoopback4(source)) && !localnet) return martian(DROP_IP_LOCALNET);

  const at = fibLookup(ns, 0, destinationLo, 0, sourceLo, dev.ifindex, 0, skb.mark, 0);
  const forwarding = devConf(dev, CONF_FORWARDING) != 0;
  if (at == 0) return inputError(skb, ns, forwarding ? -fibError : EHOSTUNREACH);
  let entry = changetype<FibEntry>(at);
  if (entry.type == RTN_BROADCAST && !orConf(dev, CONF_BC_FORWARDING)) return inputBroadcast(skb, ns, dev, source);
  if (entry.type == RTN_LOCAL) {
    const valid = validateSource(skb, ns, dev, source, destination, 0);
    if (valid < 0) return valid;
    return inputLocal(skb, ns, RTN_LOCAL);
  }
  if (!forwarding) return inputError(skb, ns, EHOSTUNREACH);
  if (entry.type != RTN_UNICAST) return martian(DROP_IP_INVALID_DEST);

  if (FULL && entry.nexthops != 0) entry = changetype<FibEntry>(multipathSelect(ns, entry, sourceLo, destinationLo, 0, skb));
  // __mkroute_input
  const out = changetype<NetDevice>(entry.dev);
  const gateway = (entry.gatewayHi | entry.gatewayLo) != 0;
  const valid = validateSource(skb, ns, dev, source, destination, out.ifindex);
  if (valid < 0) return valid;
  skb.rtType = RTN_UNICAST;
  skb.rtDev = entry.dev;
  skb.rtMtu = entry.mtu != 0 ? entry.mtu : out.mtu;
  skb.rtGatewayHi = gateway ? entry.gatewayHi : 0;
  skb.rtGatewayLo = gateway ? entry.gatewayLo : destinationLo;
  if (gateway) skb.rtFlags |= RTF_GATEWAY;
  if (FULL && ns.routeMore != 0) {
    const other = redirectOf(ns, 0, destinationLo, skb.rtGatewayLo);
    if (other != 0) skb.rtGatewayLo = other;
  }
  if (entry.dev == changetype<usize>(dev) && valid != 0 && orConf(out, CONF_SEND_REDIRECTS)
    && (orConf(out, CONF_SHARED_MEDIA)
      || addressOnlink(out, 0, sourceLo, entry.gatewayHi, entry.gatewayLo))) {
    skb.rtFlags |= RTF_REDIRECT;
  }
  return 0;
}

function inputBroadcast(skb: Skb, ns: Netns, dev: NetDevice, source: u32): i32 {
  if (source != 0) {
    const valid = validateSource(skb, ns, dev, source, 0, 0);
    if (valid < 0) return valid;
  }
  return inputLocal(skb, ns, RTN_BROADCAST);
}

function inputLocal(skb: Skb, ns: Netns, type: u32): i32 {
  skb.rtType = type;
  skb.rtFlags |= RTF_LOCAL;
  skb.rtDev = ns.loopback;
  skb.rtMtu = changetype<NetDevice>(ns.loopback).mtu;
  return 0;
}

function inputError(skb: Skb, ns: Netns, errno: i32): i32 {
  if (errno == EINVAL) {
    // A blackhole: ip_error says nothing about it.
    skb.rtMtu = EINVAL;
  } else skb.rtMtu = <u32>errno;
  skb.rtType = RTN_UNREACHABLE;
  skb.rtDev = ns.loopback;
  return 0;
}

/**
 * May a packet with this source come in by `dev` (fib_validate_source)? 1: yes, and its sender is on the link; 0: yes; -EINVAL: no.
 * `oif`: the device it goes out of, 0 for local delivery.
 */
function validateSource(skb: Skb, ns: Netns, dev: NetDevice, source: u32, destination: u32, oif: u32): i32 {
  const filter = maxConf(dev, CONF_RP_FILTER);
  const lo = mapped4(source);
  if (filter == 0 && (dev.ifindex != oif || !orConf(dev, CONF_SEND_REDIRECTS))) {
    if (orConf(dev, CONF_ACCEPT_LOCAL)) return 0;
    if (!rulesCustom(ns)) return isInterfaceAddress(ns, 0, lo) ? martian(DROP_IP_LOCAL_SOURCE) : 0;
  }
  // __fib_validate_source: the way back to the source.
  const mark = devConf(dev, CONF_SRC_VALID_MARK) != 0 || orConf(dev, CONF_SRC_VALID_MARK) ? skb.mark : 0;
  const iif = oif != 0 ? oif : 1;
  let at = fibLookup(ns, 0, lo, 0, mapped4(destination), iif, 0, mark, 0);
  if (at == 0) return filter != 0 ? martian(DROP_IP_RPFILTER) : 0;
  let entry = changetype<FibEntry>(at);
  if (entry.type != RTN_UNICAST && (entry.type != RTN_LOCAL || !orConf(dev, CONF_ACCEPT_LOCAL))) {
    return martian(DROP_IP_LOCAL_SOURCE);
  }
  if (entry.dev == changetype<usize>(dev) || (FULL && entry.nexthops != 0 && nexthopBy(entry.nexthops, changetype<usize>(dev)) != 0)
    || (entry.type == RTN_LOCAL && dev.kind == DEV_LOOPBACK)) {
    return nearby(entry);
  }
  if (dev.addresses == 0) return filter != 0 ? martian(DROP_IP_RPFILTER) : 0;
  if (filter == 1) return martian(DROP_IP_RPFILTER);
  at = fibLookup(ns, 0, lo, 0, mapped4(destination), iif, dev.ifindex, mark, 0);
  if (at == 0) return 0;
  entry = changetype<FibEntry>(at);
  return entry.type == RTN_UNICAST ? nearby(entry) : 0;
}

/** 1 when the route has no gateway: its next hop's scope is at least RT_SCOPE_HOST. */
function nearby(entry: FibEntry): i32 {
  return (entry.gatewayHi | entry.gatewayLo) == 0 ? 1 : 0;
}

/** See ip-output.ts: routeOutput (ip_route_output_key_hash_rcu). */
export function routeOutputKey(ns: Netns, hi: u64, destinationLo: u64, sourceHi: u64, sourceLo: u64, oif: u32, mark: u32,
  into: Route): i32 {
  const destination = raw4(destinationLo), source = sourceLo == ANY_LO ? 0 : raw4(sourceLo);
  if (FULL && ns.routeMore != 0) {
    charge(COST_ROUTE);
    const result = outputSlow(ns, hi, destinationLo, sourceHi, sourceLo, oif, mark, into);
    flowClear();
    return result;
  }
  if (routeRemembered(ns, destination, source, oif, mark, into)) return 0;
  charge(COST_ROUTE);
  const slot = slotOf(ns, destination, source, OUTPUT | oif);
  if (slot == 0) return outputSlow(ns, hi, destinationLo, sourceHi, sourceLo, oif, mark, into);
  const known = changetype<Decision>(slot);
  const result = outputSlow(ns, hi, destinationLo, sourceHi, sourceLo, oif, mark, into);
  if (result == 0 && into.type == RTN_UNICAST && destination != 0) {
    known.destination = destination;
    known.source = source;
    known.iif = OUTPUT | oif;
    known.mark = mark;
    known.generation = ns.routeGeneration;
    known.flags = into.flags;
    known.dev = into.dev;
    known.mtu = mtuFound;
    known.gatewayHi = into.gatewayHi;
    known.gatewayLo = into.gatewayLo;
    known.sourceLo = into.sourceLo;
  }
  return result;
}

/** Fills `into` with a decision made before for a packet of this host (a `source` that is not 0 is its own); false: there is none. */
export function routeRemembered(ns: Netns, destination: u32, source: u32, oif: u32, mark: u32, into: Route): bool {
  const slot = slotOf(ns, destination, source, OUTPUT | oif);
  if (slot == 0 || !slotFits(slot, ns, destination, source, OUTPUT | oif, mark)) return false;
  charge(COST_ROUTE);
  const known = changetype<Decision>(slot);
  into.type = RTN_UNICAST;
  into.dev = known.dev;
  into.gatewayHi = known.gatewayHi;
  into.gatewayLo = known.gatewayLo;
  into.sourceHi = 0;
  into.sourceLo = known.sourceLo;
  into.mtu = pmtuOf(ns, 0, mapped4(destination), known.mtu);
  into.flags = known.flags;
  return true;
}

function outputSlow(ns: Netns, hi: u64, destinationLo: u64, sourceHi: u64, sourceLo: u64, oif: u32, mark: u32,
  into: Route): i32 {
  let lo = destinationLo;
  let source = sourceLo == ANY_LO ? <u64>0 : sourceLo;
  let outIf = oif;
  const destination = raw4(lo);
  const group = isMulticast4(destination), limited = destination == BROADCAST_RAW;
  into.flags = 0;
  if (source != 0) {
    const raw = raw4(source);
    if (isMulticast4(raw) || raw == BROADCAST_RAW) return -EINVAL;
    if (inetAddrType(ns, 0, source) != RTN_LOCAL) return -EINVAL;
    if (outIf == 0 && (group || limited)) {
      const dev = deviceOf(ns, source);
      if (dev == 0) return -EINVAL;
      return outputMake(ns, dev, limited ? RTN_BROADCAST : RTN_MULTICAST, 0, lo, source, into);
    }
  }
  let outDev: usize = 0;
  if (outIf != 0) {
    outDev = deviceFind(ns, outIf);
    if (outDev == 0) return -ENODEV;
    const dev = changetype<NetDevice>(outDev);
    if (!dev.up) return -ENETUNREACH;
    // 224.0.0/24 and 255.255.255.255 never leave the link: no look-up.
    if (limited || (destination & 0xffffff) == 0xe0) {
      if (source == 0) source = inetSelectAddr(dev, 0, 0, RT_SCOPE_LINK);
      return outputMake(ns, outDev, limited ? RTN_BROADCAST : RTN_MULTICAST, 0, lo, source, into);
    }
    if (source == 0) {
      if (group) source = inetSelectAddr(dev, 0, 0, 0);
      else if (destination == 0) source = inetSelectAddr(dev, 0, 0, RT_SCOPE_HOST);
    }
  }
  if (destination == 0) {
    lo = source != 0 ? source : mapped4(LOOPBACK_RAW);
    return outputMake(ns, ns.loopback, RTN_LOCAL, 0, lo, lo, into);
  }
  const at = fibLookup(ns, hi, lo, sourceHi, source == 0 ? ANY_LO : source, 1, outIf, mark, 0);
  if (at == 0) {
    if (outDev == 0) return fibError == -ENETUNREACH ? -ENETUNREACH : fibError;
    // A device was named: its link is taken for the destination's.
    if (source == 0) source = inetSelectAddr(changetype<NetDevice>(outDev), 0, 0, RT_SCOPE_LINK);
    return outputMake(ns, outDev, group ? RTN_MULTICAST : RTN_UNICAST, 0, lo, source, into);
  }
  let entry = changetype<FibEntry>(at);
  if (FULL && entry.nexthops != 0) {
    entry = changetype<FibEntry>(multipathSelect(ns, entry, source, lo, outIf, changetype<Skb>(0)));
  }
  if (entry.type == RTN_LOCAL) {
    if (source == 0) source = entry.sourceLo != 0 ? entry.sourceLo : lo;
    return outputMake(ns, ns.loopback, RTN_LOCAL, at, lo, source, into);
  }
  if (source == 0) {
    source = entry.sourceLo != 0 ? entry.sourceLo
      : inetSelectAddr(changetype<NetDevice>(entry.dev), entry.gatewayHi, entry.gatewayLo, entry.scope);
  }
  const type = group ? RTN_MULTICAST : limited ? RTN_BROADCAST : entry.type;
  return outputMake(ns, entry.dev, type, changetype<usize>(entry), lo, source, into);
}

// __mkroute_output
function outputMake(ns: Netns, devAt: usize, type: u32, entryAt: usize, lo: u64, source: u64, into: Route): i32 {
  const dev = changetype<NetDevice>(devAt);
  if (isLoopback4(raw4(source)) && dev.kind != DEV_LOOPBACK && !orConf(dev, CONF_ROUTE_LOCALNET)) return -EINVAL;
  const entry = changetype<FibEntry>(entryAt);
  const gateway = entryAt != 0 && type == RTN_UNICAST && (entry.gatewayHi | entry.gatewayLo) != 0;
  into.type = type;
  into.dev = devAt;
  into.gatewayHi = gateway ? entry.gatewayHi : 0;
  into.gatewayLo = gateway ? entry.gatewayLo : lo;
  into.sourceHi = 0;
  into.sourceLo = source;
  into.mtu = entryAt != 0 && entry.mtu != 0 ? entry.mtu : dev.mtu;
  mtuFound = into.mtu;
  if (type == RTN_UNICAST) into.mtu = pmtuOf(ns, 0, lo, into.mtu);
  if (FULL && type == RTN_UNICAST && ns.routeMore != 0) {
    // rt_bind_exception: a redirect that was heard
    const other = redirectOf(ns, 0, lo, into.gatewayLo);
    if (other != 0) into.gatewayLo = other;
  }
  into.flags = (gateway ? RTF_GATEWAY : 0)
    | (type == RTN_LOCAL || type == RTN_BROADCAST || dev.kind == DEV_LOOPBACK
      || (type == RTN_MULTICAST && groupJoined(ns, dev, raw4(lo))) ? RTF_LOCAL : 0);
  return 0;
}

/** The device that has the address (__ip_dev_find). */
function deviceOf(ns: Netns, lo: u64): usize {
  const at = fibTableLookup(changetype<FibTable>(fibTable(ns, RT_TABLE_LOCAL, false)), 0, lo, 0, 0);
  return at == 0 ? 0 : changetype<FibEntry>(at).dev;
}

/** Puts an output decision into the packet. */
export function skbSetRoute(skb: Skb, route: Route): void {
  skb.rtType = route.type;
  skb.rtFlags = route.flags;
  skb.rtDev = route.dev;
  skb.rtMtu = route.mtu;
  skb.rtGatewayHi = route.gatewayHi;
  skb.rtGatewayLo = route.gatewayLo;
}

/** What ip_error answers for an errno: an ICMP code, or -1. */
export function errorCode(errno: u32): i32 {
  switch (errno) {
    case EHOSTUNREACH: return 1;
    case ENETUNREACH: return 0;
    case EACCES: return 13;
    default: return -1;
  }
}
