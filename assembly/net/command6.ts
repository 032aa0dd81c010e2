// The driver's requests about IPv6: those of net/command.ts whose record carries an IPv6 address, and those of abi/net6.ts.
import { EACCES, EEXIST, EHOSTUNREACH, EINVAL, ENETDOWN, ENODEV, ENOENT, ENOMEM, MAILBOX_BYTES } from "../abi/core";
import {
  ADDRESS_BYTES, ADDRESS_FLAGS, ADDRESS_IFINDEX, ADDRESS_IP, ADDRESS_METRIC, ADDRESS_PEER, ADDRESS_PREFERRED, ADDRESS_PREFIX,
  ADDRESS_SCOPE, ADDRESS_VALID, CONF_OF_ALL, CONF_OF_DEFAULT, NEIGH_BYTES, NEIGH_FLAGS, NEIGH_IFINDEX, NEIGH_IP, NEIGH_STATE, NEXTHOP_BYTES,
  NEXTHOP_GATEWAY, NEXTHOP_IFINDEX, NEXTHOP_WEIGHT, ROUTE_BYTES, ROUTE_DST, ROUTE_EXPIRES, ROUTE_FLAGS, ROUTE_F_APPEND, ROUTE_F_ONLINK,
  ROUTE_F_REPLACE, ROUTE_GATEWAY, ROUTE_IFINDEX, ROUTE_METRIC, ROUTE_MTU, ROUTE_NEXTHOPS, ROUTE_PREF, ROUTE_PREFIX, ROUTE_PROTOCOL,
  ROUTE_SOURCE, ROUTE_TABLE, ROUTE_TYPE, RTN_ANYCAST, RTN_BLACKHOLE, RTN_LOCAL, RTN_THROW, RTN_UNICAST, RTPROT_BOOT,
  RT_TABLE_LOCAL, RT_TABLE_MAIN, NUD_NOARP,
} from "../abi/net";
import {
  CONF6_ADDR_GEN_MODE, CONF6_DISABLE_IPV6, CONF6_FORWARDING, CONF6_MAX, CONF6_MTU, GROUP_ADDRESS, GROUP_BYTES, GROUP_FLAGS,
  GROUP_IFINDEX, GROUP_USERS, IN6_ADDR_GEN_MODE_NONE, IN6_ADDR_GEN_MODE_RANDOM, IN6_ADDR_GEN_MODE_STABLE_PRIVACY, LIFETIME_INFINITY,
  NET_ANYCAST_LIST, NET_GROUP_CHANGE, NET_GROUP_LIST, NET_IPV6_DEFAULT, NET_RULE6_ADD, NET_RULE6_DELETE, NET_RULE6_LIST, NET_SNMP6,
  NET_STABLE_SECRET_GET, NET_STABLE_SECRET_SET, NTF_PROXY, SNMP6_MAX, SYSCTL6, SYSCTL6_MAX, SYSCTL_CONF6,
} from "../abi/net6";
import { RULE_BYTES } from "../abi/net";
import { NetDevice, Netns } from "../layout";
import { node } from "../mm/node";
import { kfree, kmalloc } from "../mm/slab";
import { isMapped4 } from "../wire/bytes";
import { IPV6_MIN_MTU, isLinkLocal6, isMulticast6 } from "../wire/ipv6";
import {
  Address6, Anycast6, address6Add, address6Delete, addrconfDown, addrconfUp, addressOf, anycastJoin, anycastLeave, checkAddress,
  forwardingChanged, lifetimeLeft, linkLocalMake, linkLocalOf,
} from "./addrconf";
import { ruleChange, ruleList } from "./command";
import { deviceFind } from "./devices";
import { FibEntry, maskHi, maskLo, ruleDelete } from "./fib";
import {
  LOOKUP_IFACE, RTF6_DEFAULT, RTF6_PREF_SHIFT, fib6Delete, fib6Error, fib6FlushDevice, fib6FlushHops, fib6Insert, fib6Lookup, fib6Purge,
  preferenceOf,
} from "./fib6";
import { Netns6, conf6, inet6Of, netns6, rtScope6 } from "./inet6";
import { inet6AddrType, needsDevice, route6Lookup } from "./ip6-route";
import { Group6, groupJoin, groupLeave } from "./mcast6";
import { NEXTHOPS_MAX, nexthopAt, nexthopsFree, nexthopsNew } from "./multipath";
import { Proxy6, proxyChange } from "./ndisc-proxy";
import { RTF_GATEWAY, Route } from "./route";

const EIO: i32 = 5;

/** `op` is one of abi/net6.ts; the record stands at `record`, the answer replaces it. */
export function net6Command(op: u32, ns: Netns, record: usize, length: u32): i32 {
  switch (op) {
    case NET_IPV6_DEFAULT: return ipv6Default(ns, load<u32>(record, 4) != 0);
    case NET_GROUP_LIST: return groupList(ns, record, load<u32>(record, 4), false);
    case NET_ANYCAST_LIST: return groupList(ns, record, load<u32>(record, 4), true);
    case NET_SNMP6: {
      memory.copy(record, netns6(ns).snmp, SNMP6_MAX << 3);
      return SNMP6_MAX << 3;
    }
    case NET_RULE6_ADD: return length < RULE_BYTES ? -EINVAL : ruleChange(ns, changetype<usize>(ns) + offsetof<Netns>("rules6"), record);
    case NET_RULE6_DELETE: return ruleDelete(ns, changetype<usize>(ns) + offsetof<Netns>("rules6"), load<u32>(record, 4), load<u32>(record, 8));
    case NET_RULE6_LIST: return ruleList(ns.rules6, record, load<u32>(record, 4));
    case NET_STABLE_SECRET_SET: return secretSet(ns, load<u32>(record, 4), record + 16);
    case NET_STABLE_SECRET_GET: return secretGet(ns, load<u32>(record, 4), record);
    case NET_GROUP_CHANGE: return groupChange(ns, record);
    default: return -ENOENT;
  }
}

/** The module's parameter: the node's new namespaces, and the one it was asked of. */
function ipv6Default(ns: Netns, on: bool): i32 {
  node().ipv6 = on ? 1 : 0;
  return sysctl6Set(ns, SYSCTL_CONF6 + CONF6_DISABLE_IPV6, CONF_OF_ALL, on ? 0 : 1);
}

// ---- Addresses

/** NET_ADDRESS_ADD, NET_ADDRESS_DELETE of an IPv6 address. */
export function address6Change(dev: NetDevice, record: usize, add: bool): i32 {
  const hi = load<u64>(record, ADDRESS_IP), lo = load<u64>(record, ADDRESS_IP + 8), prefix = load<u32>(record, ADDRESS_PREFIX);
  if (prefix > 128) return -EINVAL;
  if (!add) return address6Delete(dev, hi, lo, prefix);
  const valid = load<u32>(record, ADDRESS_VALID), preferred = load<u32>(record, ADDRESS_PREFERRED);
  return address6Add(dev, hi, lo, prefix, load<u64>(record, ADDRESS_PEER), load<u64>(record, ADDRESS_PEER + 8), load<u32>(record, ADDRESS_FLAGS),
    valid == 0 ? LIFETIME_INFINITY : valid, valid == 0 ? LIFETIME_INFINITY : preferred, load<u32>(record, ADDRESS_METRIC));
}

/** The IPv6 part of NET_ADDRESS_LIST: from record `skip` on, `index` of which came before; bytes. */
export function address6List(ns: Netns, to: usize, skip: u32, before: u32, room: u32): i32 {
  let index = before, bytes: u32 = 0;
  for (let d = ns.devices; d != 0; d = changetype<NetDevice>(d).next) {
    const dev = changetype<NetDevice>(d);
    if (dev.inet6 == 0) continue;
    for (let at = inet6Of(dev).addresses; at != 0; at = changetype<Address6>(at).next) {
      if (bytes + ADDRESS_BYTES > room) return <i32>bytes;
      if (index++ < skip) continue;
      const a = changetype<Address6>(at), p = to + <usize>bytes;
      memory.fill(p, 0, ADDRESS_BYTES);
      store<u32>(p, dev.ifindex, ADDRESS_IFINDEX);
      store<u32>(p, a.prefix, ADDRESS_PREFIX);
      store<u32>(p, rtScope6(a.hi, a.lo), ADDRESS_SCOPE);
      store<u64>(p, a.hi, ADDRESS_IP);
      store<u64>(p, a.lo, ADDRESS_IP + 8);
      store<u64>(p, a.peerHi, ADDRESS_PEER);
      store<u64>(p, a.peerLo, ADDRESS_PEER + 8);
      store<u32>(p, a.flags, ADDRESS_FLAGS);
      store<u32>(p, lifetimeLeft(a, a.valid), ADDRESS_VALID);
      store<u32>(p, lifetimeLeft(a, a.preferred), ADDRESS_PREFERRED);
      store<u32>(p, a.metric, ADDRESS_METRIC);
      bytes += ADDRESS_BYTES;
    }
  }
  return <i32>bytes;
}

function groupList(ns: Netns, to: usize, skip: u32, anycast: bool): i32 {
  let index: u32 = 0, bytes: u32 = 0;
  for (let d = ns.devices; d != 0; d = changetype<NetDevice>(d).next) {
    const dev = changetype<NetDevice>(d);
    if (dev.inet6 == 0) continue;
    for (let at = anycast ? inet6Of(dev).anycast : inet6Of(dev).groups; at != 0;) {
      if (bytes + GROUP_BYTES > MAILBOX_BYTES) return <i32>bytes;
      const entry = changetype<Anycast6>(at), group = changetype<Group6>(at);
      const p = to + <usize>bytes;
      at = anycast ? entry.next : group.next;
      if (index++ < skip) continue;
      memory.fill(p, 0, GROUP_BYTES);
      store<u32>(p, dev.ifindex, GROUP_IFINDEX);
      store<u32>(p, anycast ? entry.users : group.users, GROUP_USERS);
      if (!anycast) store<u32>(p, group.flags, GROUP_FLAGS);
      store<u64>(p, anycast ? entry.hi : group.hi, GROUP_ADDRESS);
      store<u64>(p, anycast ? entry.lo : group.lo, GROUP_ADDRESS + 8);
      bytes += GROUP_BYTES;
    }
  }
  return <i32>bytes;
}

function groupChange(ns: Netns, record: usize): i32 {
  const at = deviceFind(ns, load<u32>(record, 4));
  if (at == 0) return -ENODEV;
  const dev = changetype<NetDevice>(at), join = load<u32>(record, 8) != 0;
  const hi = load<u64>(record, 16), lo = load<u64>(record, 24);
  if (dev.inet6 == 0 || isMapped4(hi, lo & 0xffffffff)) return -EINVAL;
  if (isMulticast6(hi)) return join ? groupJoin(dev, hi, lo) : groupLeave(dev, hi, lo);
  if (join && checkAddress(ns, hi, lo, 0, false)) return -EINVAL;
  return join ? anycastJoin(dev, hi, lo) : anycastLeave(dev, hi, lo);
}

// ---- Routes

/** NET_ROUTE_ADD, NET_ROUTE_DELETE of IPv6 (inet6_rtm_newroute, ip6_route_info_create). */
export function route6Change(ns: Netns, record: usize, add: bool, length: u32): i32 {
  const at = kmalloc(<u32>offsetof<FibEntry>());
  if (at == 0) return -ENOMEM;
  const spec = changetype<FibEntry>(at);
  let result = parse(ns, record, spec, add);
  if (result == 0 && load<u32>(record, ROUTE_NEXTHOPS) != 0) result = parseHops(ns, record, spec, add, length);
  if (result == 0) {
    result = add ? fib6Insert(ns, spec, load<u32>(record, ROUTE_FLAGS) & (ROUTE_F_REPLACE | ROUTE_F_APPEND)) : fib6Delete(ns, spec);
  }
  nexthopsFree(spec);
  kfree(at, <u32>offsetof<FibEntry>());
  return result;
}

function parse(ns: Netns, record: usize, spec: FibEntry, add: bool): i32 {
  const type = load<u32>(record, ROUTE_TYPE), ifindex = load<u32>(record, ROUTE_IFINDEX), prefix = load<u32>(record, ROUTE_PREFIX);
  spec.type = add && type == 0 ? RTN_UNICAST : type;
  spec.prefix = prefix;
  spec.hi = load<u64>(record, ROUTE_DST);
  spec.lo = load<u64>(record, ROUTE_DST + 8);
  spec.gatewayHi = load<u64>(record, ROUTE_GATEWAY);
  spec.gatewayLo = load<u64>(record, ROUTE_GATEWAY + 8);
  spec.sourceHi = load<u64>(record, ROUTE_SOURCE);
  spec.sourceLo = load<u64>(record, ROUTE_SOURCE + 8);
  spec.metric = load<u32>(record, ROUTE_METRIC);
  spec.mtu = load<u32>(record, ROUTE_MTU);
  spec.protocol = load<u32>(record, ROUTE_PROTOCOL);
  spec.flags = load<u32>(record, ROUTE_FLAGS) & ROUTE_F_ONLINK;
  spec.table = load<u32>(record, ROUTE_TABLE);
  if (spec.table == 0) spec.table = spec.type == RTN_LOCAL || spec.type == RTN_ANYCAST ? RT_TABLE_LOCAL : RT_TABLE_MAIN;
  const preference = load<u32>(record, ROUTE_PREF) & 3, expires = load<u32>(record, ROUTE_EXPIRES);
  spec.rtf = preference << RTF6_PREF_SHIFT;
  if (expires != 0) spec.expires = node().now + <u64>expires * 1_000_000_000;
  if (prefix > 128 || spec.type > RTN_THROW) return -EINVAL;
  if (ifindex != 0) {
    spec.dev = deviceFind(ns, ifindex);
    if (spec.dev == 0) return -ENODEV;
  }
  const rejects = spec.type >= RTN_BLACKHOLE;
  if (rejects) {
    // fib6_nh_init: on loopback, whatever device was named.
    spec.dev = add ? ns.loopback : 0;
    spec.gatewayHi = 0;
    spec.gatewayLo = 0;
  }
  if (!add) return 0;
  // Host bits beyond the prefix are refused by iproute2, the kernel cuts them off (ipv6_addr_prefix).
  spec.hi = maskHi(spec.hi, prefix);
  spec.lo = maskLo(spec.lo, prefix);
  if (spec.metric == 0) spec.metric = 1024; // IP6_RT_PRIO_USER
  if (spec.protocol == 0) spec.protocol = RTPROT_BOOT;
  if ((spec.sourceHi | spec.sourceLo) != 0 && !checkAddress(ns, spec.sourceHi, spec.sourceLo, 0, false)) return -EINVAL;
  if (rejects || load<u32>(record, ROUTE_NEXTHOPS) != 0) return 0;
  return hopCheck(ns, spec);
}

/** ip6_validate_gw and what fib6_nh_init asks of a device. */
function hopCheck(ns: Netns, spec: FibEntry): i32 {
  const hi = spec.gatewayHi, lo = spec.gatewayLo;
  if ((hi | lo) != 0) {
    if (isMapped4(hi, lo & 0xffffffff) || isMulticast6(hi)) return -EINVAL;
    // One of our own is no router (ipv6_chk_addr_and_flags).
    const own = inet6AddrType(ns, hi, lo) == RTN_LOCAL || (spec.dev != 0 && addressOf(changetype<NetDevice>(spec.dev), hi, lo) != 0);
    if (own) return -EINVAL;
    if (isLinkLocal6(hi)) {
      if (spec.dev == 0) return -EINVAL;
    } else if (spec.flags & ROUTE_F_ONLINK) {
      if (spec.dev == 0) return -EINVAL;
    } else {
      // ip6_nh_lookup_table, ip6_route_check_nh: it is reached without another gateway.
      const oif: u32 = spec.dev == 0 ? 0 : changetype<NetDevice>(spec.dev).ifindex;
      const via = fib6Lookup(ns, hi, lo, 0, 0, 1, oif, 0, oif != 0 ? LOOKUP_IFACE : 0);
      if (via == 0 || fib6Error != 0) return -EHOSTUNREACH;
      const entry = changetype<FibEntry>(via);
      if ((entry.gatewayHi | entry.gatewayLo) != 0 || entry.nexthops != 0) return -EHOSTUNREACH;
      if (spec.dev == 0) spec.dev = entry.dev;
    }
  }
  if (spec.dev == 0) return -ENODEV;
  const dev = changetype<NetDevice>(spec.dev);
  if (dev.inet6 == 0 || conf6(dev, CONF6_DISABLE_IPV6) != 0) return -EACCES;
  return dev.up ? 0 : -ENETDOWN;
}
function parseHops(ns: Netns, record: usize, spec: FibEntry, add: bool, length: u32): i32 {
  const count = load<u32>(record, ROUTE_NEXTHOPS);
  if (count > NEXTHOPS_MAX || length < ROUTE_BYTES + count * NEXTHOP_BYTES || spec.type != RTN_UNICAST) return -EINVAL;
  if (!add) return 0;
  const list = nexthopsNew(count);
  if (list == 0) return -ENOMEM;
  spec.nexthops = list;
  for (let i: u32 = count; i-- > 0;) {
    const from = record + <usize>(ROUTE_BYTES + i * NEXTHOP_BYTES), hop = nexthopAt(list, i);
    const weight = load<u32>(from, NEXTHOP_WEIGHT), ifindex = load<u32>(from, NEXTHOP_IFINDEX);
    if (weight == 0 || weight > 256) return -EINVAL;
    spec.dev = ifindex == 0 ? 0 : deviceFind(ns, ifindex);
    if (ifindex != 0 && spec.dev == 0) return -ENODEV;
    spec.gatewayHi = load<u64>(from, NEXTHOP_GATEWAY);
    spec.gatewayLo = load<u64>(from, NEXTHOP_GATEWAY + 8);
    // "Device only routes can not be added for IPv6 using the multipath API."
    if ((spec.gatewayHi | spec.gatewayLo) == 0) return -EINVAL;
    const result = hopCheck(ns, spec);
    if (result != 0) return result;
    for (let j = i + 1; j < count; j++) {
      const other = nexthopAt(list, j);
      if (other.dev == spec.dev && other.gatewayHi == spec.gatewayHi && other.gatewayLo == spec.gatewayLo) return -EEXIST;
    }
    hop.weight = weight;
    hop.dev = spec.dev;
    hop.gatewayHi = spec.gatewayHi;
    hop.gatewayLo = spec.gatewayLo;
  }
  return 0;
}

/** What a ROUTE_* record of a list says beyond IPv4's. */
export function route6Write(entry: FibEntry, p: usize): void {
  store<u32>(p, preferenceOf(entry), ROUTE_PREF);
  const now = node().now;
  if (entry.expires != 0) store<u32>(p, entry.expires <= now ? 1 : <u32>((entry.expires - now) / 1_000_000_000) + 1, ROUTE_EXPIRES);
}

/** `ip -6 route get`: {netns, oif, mark, -, destination, source}. */
export function route6Get(ns: Netns, record: usize): i32 {
  const hi = load<u64>(record, 16), lo = load<u64>(record, 24), sourceHi = load<u64>(record, 32), sourceLo = load<u64>(record, 40);
  const oif = load<u32>(record, 4);
  const route = changetype<Route>(ns.scratch);
  const result = route6Lookup(ns, hi, lo, sourceHi, sourceLo, oif, load<u32>(record, 8), 0, route);
  if (result != 0) return result;
  // The entry itself, for what a decision does not keep.
  const at = fib6Lookup(ns, hi, lo, sourceHi, sourceLo, 1, oif, load<u32>(record, 8), needsDevice(hi, lo) ? LOOKUP_IFACE : 0);
  memory.fill(record, 0, ROUTE_BYTES);
  store<u32>(record, route.type, ROUTE_TYPE);
  store<u32>(record, 128, ROUTE_PREFIX);
  store<u32>(record, changetype<NetDevice>(route.dev).ifindex, ROUTE_IFINDEX);
  store<u32>(record, route.mtu, ROUTE_MTU);
  store<u64>(record, hi, ROUTE_DST);
  store<u64>(record, lo, ROUTE_DST + 8);
  if (route.flags & RTF_GATEWAY) {
    store<u64>(record, route.gatewayHi, ROUTE_GATEWAY);
    store<u64>(record, route.gatewayLo, ROUTE_GATEWAY + 8);
  }
  store<u64>(record, route.sourceHi, ROUTE_SOURCE);
  store<u64>(record, route.sourceLo, ROUTE_SOURCE + 8);
  if (at != 0) {
    const entry = changetype<FibEntry>(at);
    store<u32>(record, entry.metric, ROUTE_METRIC);
    store<u32>(record, entry.table, ROUTE_TABLE);
    store<u32>(record, entry.protocol, ROUTE_PROTOCOL);
    route6Write(entry, record);
  }
  return ROUTE_BYTES;
}

// ---- Neighbours

/** A NEIGH_* record with NTF_PROXY. */
export function proxy6Change(ns: Netns, record: usize, add: bool): i32 {
  return proxyChange(ns, load<u32>(record, NEIGH_IFINDEX), load<u64>(record, NEIGH_IP), load<u64>(record, NEIGH_IP + 8),
    load<u32>(record, NEIGH_FLAGS), add);
}

/** The proxies, behind the neighbours of a list. */
export function proxy6List(ns: Netns, to: usize, skip: u32, before: u32, room: u32): i32 {
  let index = before, bytes: u32 = 0;
  for (let at = netns6(ns).proxies; at != 0; at = changetype<Proxy6>(at).next) {
    if (bytes + NEIGH_BYTES > room) return <i32>bytes;
    if (index++ < skip) continue;
    const p = to + <usize>bytes, proxy = changetype<Proxy6>(at);
    memory.fill(p, 0, NEIGH_BYTES);
    store<u32>(p, proxy.ifindex, NEIGH_IFINDEX);
    store<u32>(p, NUD_NOARP, NEIGH_STATE);
    store<u32>(p, proxy.flags | NTF_PROXY, NEIGH_FLAGS);
    store<u64>(p, proxy.hi, NEIGH_IP);
    store<u64>(p, proxy.lo, NEIGH_IP + 8);
    bytes += NEIGH_BYTES;
  }
  return <i32>bytes;
}

// ---- sysctls

function locate(ns: Netns, number: u32, target: u32): usize {
  const n = netns6(ns);
  if (number >= SYSCTL6) return number - SYSCTL6 < SYSCTL6_MAX ? n.sysctls + (<usize>(number - SYSCTL6) << 2) : 0;
  const conf = number - SYSCTL_CONF6;
  if (conf >= CONF6_MAX) return 0;
  let table = target == CONF_OF_ALL ? n.confAll : n.confDefault;
  if (target < CONF_OF_DEFAULT) {
    const dev = deviceFind(ns, target);
    if (dev == 0 || changetype<NetDevice>(dev).inet6 == 0) return 0;
    table = inet6Of(changetype<NetDevice>(dev)).conf;
  }
  return table + (<usize>conf << 2);
}

export function sysctl6Get(ns: Netns, number: u32, target: u32, into: usize): i32 {
  const at = locate(ns, number, target);
  if (at == 0) return number < SYSCTL6 ? -ENODEV : -ENOENT;
  store<i32>(into, load<i32>(at));
  return 4;
}

/** addrconf_sysctl_*: what a setting does beyond being one. */
export function sysctl6Set(ns: Netns, number: u32, target: u32, value: i32): i32 {
  const at = locate(ns, number, target);
  if (at == 0) return number < SYSCTL6 ? -ENODEV : -ENOENT;
  const conf = number - SYSCTL_CONF6, before = load<i32>(at);
  if (number >= SYSCTL6) {
    store<i32>(at, value);
    return 0;
  }
  const devAt: usize = target < CONF_OF_DEFAULT ? deviceFind(ns, target) : 0;
  if (conf == CONF6_MTU && (value < <i32>IPV6_MIN_MTU || (devAt != 0 && <u32>value > changetype<NetDevice>(devAt).mtu))) return -EINVAL;
  if (conf == CONF6_ADDR_GEN_MODE) {
    if (value < 0 || value > <i32>IN6_ADDR_GEN_MODE_RANDOM) return -EINVAL;
    if (value == <i32>IN6_ADDR_GEN_MODE_STABLE_PRIVACY && devAt != 0 && inet6Of(changetype<NetDevice>(devAt)).secret == 0
      && netns6(ns).secretDefault == 0) return -EINVAL;
  }
  store<i32>(at, value);
  ns.routeGeneration++;
  const on = value != 0;
  if (conf == CONF6_FORWARDING) {
    if (target == CONF_OF_ALL) {
      store<i32>(netns6(ns).confDefault + (CONF6_FORWARDING << 2), value);
      for (let d = ns.devices; d != 0; d = changetype<NetDevice>(d).next) forward(changetype<NetDevice>(d), value);
    } else if (devAt != 0 && (before != 0) != on) forwardingChanged(changetype<NetDevice>(devAt));
    if (on) fib6Purge(ns, target == CONF_OF_ALL ? 0 : devAt, target == CONF_OF_DEFAULT ? 0 : RTF6_DEFAULT, 0);
  } else if (conf == CONF6_DISABLE_IPV6) {
    if (target == CONF_OF_ALL) {
      store<i32>(netns6(ns).confDefault + (CONF6_DISABLE_IPV6 << 2), value);
      for (let d = ns.devices; d != 0; d = changetype<NetDevice>(d).next) disable(changetype<NetDevice>(d), value);
    } else if (devAt != 0 && (before != 0) != on) {
      store<i32>(at, before);
      disable(changetype<NetDevice>(devAt), value);
    }
  } else if (conf == CONF6_ADDR_GEN_MODE && devAt != 0 && changetype<NetDevice>(devAt).up && before != value) {
    // addrconf_sysctl_addr_gen_mode: an address is made where there was none to be made.
    const dev = changetype<NetDevice>(devAt);
    if (before == <i32>IN6_ADDR_GEN_MODE_NONE && linkLocalOf(dev, 0) == 0) linkLocalMake(dev);
  }
  return 0;
}

function forward(dev: NetDevice, value: i32): void {
  if (dev.inet6 == 0) return;
  const changed = (conf6(dev, CONF6_FORWARDING) != 0) != (value != 0);
  store<i32>(inet6Of(dev).conf + (CONF6_FORWARDING << 2), value);
  if (changed) forwardingChanged(dev);
}

function disable(dev: NetDevice, value: i32): void {
  if (dev.inet6 == 0) return;
  const changed = (conf6(dev, CONF6_DISABLE_IPV6) != 0) != (value != 0);
  store<i32>(inet6Of(dev).conf + (CONF6_DISABLE_IPV6 << 2), value);
  if (!changed || !dev.up) return;
  if (value == 0) {
    addrconfUp(dev);
    return;
  }
  addrconfDown(dev, false);
  fib6FlushHops(changetype<Netns>(dev.ns), changetype<usize>(dev));
  fib6FlushDevice(changetype<Netns>(dev.ns), changetype<usize>(dev));
}

function secretSet(ns: Netns, target: u32, from: usize): i32 {
  const n = netns6(ns);
  let link: usize = changetype<usize>(n) + (target == CONF_OF_ALL ? offsetof<Netns6>("secretAll") : offsetof<Netns6>("secretDefault"));
  let dev = changetype<NetDevice>(0);
  if (target < CONF_OF_DEFAULT) {
    const at = deviceFind(ns, target);
    if (at == 0) return -ENODEV;
    dev = changetype<NetDevice>(at);
    if (dev.inet6 == 0) return -ENODEV;
  }
  let secret: usize = changetype<usize>(dev) != 0 ? inet6Of(dev).secret : <usize>load<u32>(link);
  if (secret == 0) {
    secret = kmalloc(16);
    if (secret == 0) return -ENOMEM;
    if (changetype<usize>(dev) != 0) inet6Of(dev).secret = secret;
    else store<u32>(link, <u32>secret);
  }
  memory.copy(secret, from, 16);
  // addrconf_sysctl_stable_secret: the mode follows.
  if (changetype<usize>(dev) != 0) store<i32>(inet6Of(dev).conf + (CONF6_ADDR_GEN_MODE << 2), <i32>IN6_ADDR_GEN_MODE_STABLE_PRIVACY);
  else if (target == CONF_OF_DEFAULT) {
    store<i32>(n.confDefault + (CONF6_ADDR_GEN_MODE << 2), <i32>IN6_ADDR_GEN_MODE_STABLE_PRIVACY);
    for (let d = ns.devices; d != 0; d = changetype<NetDevice>(d).next) {
      if (changetype<NetDevice>(d).inet6 != 0) {
        store<i32>(inet6Of(changetype<NetDevice>(d)).conf + (CONF6_ADDR_GEN_MODE << 2), <i32>IN6_ADDR_GEN_MODE_STABLE_PRIVACY);
      }
    }
  }
  return 0;
}

function secretGet(ns: Netns, target: u32, to: usize): i32 {
  let secret = target == CONF_OF_ALL ? netns6(ns).secretAll : netns6(ns).secretDefault;
  if (target < CONF_OF_DEFAULT) {
    const at = deviceFind(ns, target);
    if (at == 0 || changetype<NetDevice>(at).inet6 == 0) return -ENODEV;
    secret = inet6Of(changetype<NetDevice>(at)).secret;
  }
  if (secret == 0) return -EIO;
  memory.copy(to, secret, 16);
  return 16;
}
