// Addresses of IPv6: how they come (by hand, from the link, from routers), whether somebody else has them already, how long they hold, and
// the routes and groups that come and go with them (net/ipv6/addrconf.c, anycast.c).
import { EACCES, EADDRNOTAVAIL, EEXIST, EINVAL, ENOMEM } from "../abi/core";
import {
  DEV_GRE, DEV_IPIP, DEV_IPVLAN, DEV_LOOPBACK, DEV_TUN, IFF_NOARP, ROUTE_F_APPEND, RTN_ANYCAST, RTN_LOCAL, RTN_MULTICAST, RTN_UNICAST,
  RTPROT_KERNEL, RT_SCOPE_LINK, RT_TABLE_LOCAL, RT_TABLE_MAIN,
} from "../abi/net";
import {
  CONF6_ACCEPT_DAD, CONF6_ACCEPT_RA, CONF6_ADDR_GEN_MODE, CONF6_DAD_TRANSMITS, CONF6_DISABLE_IPV6, CONF6_ENHANCED_DAD,
  CONF6_FORWARDING, CONF6_KEEP_ADDR_ON_DOWN, CONF6_MTU, CONF6_NDISC_NOTIFY, CONF6_NEIGH_RETRANS_TIME_MS, CONF6_OPTIMISTIC_DAD,
  CONF6_ROUTER_SOLICITATIONS, CONF6_ROUTER_SOLICITATION_DELAY, IFA_F_DADFAILED, IFA_F_DEPRECATED, IFA_F_NODAD, IFA_F_NOPREFIXROUTE,
  IFA_F_OPTIMISTIC, IFA_F_PERMANENT, IFA_F_STABLE_PRIVACY, IFA_F_TENTATIVE, IN6_ADDR_GEN_MODE_EUI64, IN6_ADDR_GEN_MODE_NONE,
  IN6_ADDR_GEN_MODE_RANDOM, LIFETIME_INFINITY,
} from "../abi/net6";
import { NetDevice, Netns } from "../layout";
import { node } from "../mm/node";
import { random32, randomBelow } from "../mm/rng";
import { kfree, kmalloc } from "../mm/slab";
import { HZ, NS_PER_JIFFY, Timer, timerAfter, timerDelete, timerMod } from "../mm/timer";
import { ALL_NODES_LO, ALL_ROUTERS_LO, IPV6_MIN_MTU, LINK_LOCAL_HI, MULTICAST_LINK_HI, isAny6, isLinkLocal6, isLoopback6, isMulticast6, solicitedNodeLo } from "../wire/ipv6";
import { FibEntry, FibTable, maskHi, maskLo } from "./fib";
import { RTF6_ADDRCONF, RTF6_PREFIX_RT, fib6Delete, fib6Insert, fib6Purge, isFamily4 } from "./fib6";
import { IF_RA_RCVD, IF_READY, IF_RS_SENT, Inet6Dev, conf6, confAll6, inet6Of, rtScope6, scope6 } from "./inet6";
import { groupJoin, groupLeave, mcastDown, mcastUp, mldDadComplete } from "./mcast6";
import { Ipvlan } from "./ipvlan";
import { ndiscSendNa, ndiscSendNs } from "./ndisc";
import { routerSolicitStart } from "./ndisc-router";
import { neighFlush6 } from "./neighbour";
import { stableAddress } from "./stable-privacy";
import { TIMER_ADDRESS6, TIMER_DAD } from "./timers";
import { tunnelLocal4 } from "./tunnel";

@unmanaged export class Address6 {
  // Timer of duplicate address detection, then that of the lifetimes.
  dadNext: usize; dadPrev: usize; dadExpires: u64; dadKind: u32; dadOwner: usize;
  lifeNext: usize; lifePrev: usize; lifeExpires: u64; lifeKind: u32; lifeOwner: usize;
  next: usize; // Address6 of the device
  dev: usize; // NetDevice
  prefix: u32;
  flags: u32; // IFA_F_*
  hi: u64; lo: u64;
  peerHi: u64; peerLo: u64; // all zero: none
  valid: u32; preferred: u32; // s, LIFETIME_INFINITY
  updated: u64; // ns: when they were set
  probes: u32; // still to send
  metric: u32; // of the prefix route, 0: 256
  nonce: u64; // of our own solicitations, 6 bytes (RFC 7527)
  routed: u32; // the local route stands
  autoconf: u32; // made of an advertised prefix
  dadCount: u32; // identifiers tried (stable privacy)
}

/** A group of routers that an address stands for (struct ifacaddr6). */
@unmanaged export class Anycast6 {
  next: usize; // Anycast6 of the device
  users: u32;
  hi: u64; lo: u64;
}

const ADDRESS_BYTES: u32 = <u32>offsetof<Address6>();
const ANYCAST_BYTES: u32 = <u32>offsetof<Anycast6>();
const PRIO_ADDRCONF: u32 = 256;

@inline function dadTimer(a: Address6): Timer {
  return changetype<Timer>(changetype<usize>(a));
}
@inline function lifeTimer(a: Address6): Timer {
  return changetype<Timer>(changetype<usize>(a) + offsetof<Address6>("lifeNext"));
}

/** The device's address, or 0. */
export function addressOf(dev: NetDevice, hi: u64, lo: u64): usize {
  if (dev.inet6 == 0) return 0;
  for (let at = inet6Of(dev).addresses; at != 0; at = changetype<Address6>(at).next) {
    if (changetype<Address6>(at).lo == lo && changetype<Address6>(at).hi == hi) return at;
  }
  return 0;
}

/**
 * Is it an address of this host that is in use (ipv6_chk_addr)? Those of the link only by `dev`; `strict`: all only by it. 0 for `dev`:
 * any device.
 */
export function checkAddress(ns: Netns, hi: u64, lo: u64, devAt: usize, strict: bool): bool {
  const here = strict || (devAt != 0 && (isLinkLocal6(hi) || isLoopback6(hi, lo)));
  for (let d = ns.devices; d != 0; d = changetype<NetDevice>(d).next) {
    if (here && d != devAt) continue;
    const at = addressOf(changetype<NetDevice>(d), hi, lo);
    if (at != 0 && ((changetype<Address6>(at).flags & IFA_F_TENTATIVE) == 0 || (changetype<Address6>(at).flags & IFA_F_OPTIMISTIC) != 0)) return true;
  }
  return false;
}

/** Is it an anycast address of the host (ipv6_chk_acast_addr_src): of the link only by `dev`? */
export function anycastOf(ns: Netns, dev: NetDevice, hi: u64, lo: u64): bool {
  const here = isLinkLocal6(hi);
  for (let d = ns.devices; d != 0; d = changetype<NetDevice>(d).next) {
    if ((here && d != changetype<usize>(dev)) || changetype<NetDevice>(d).inet6 == 0) continue;
    for (let at = inet6Of(changetype<NetDevice>(d)).anycast; at != 0; at = changetype<Anycast6>(at).next) {
      if (changetype<Anycast6>(at).lo == lo && changetype<Anycast6>(at).hi == hi) return true;
    }
  }
  return false;
}

/** A link-local address of the device that has none of the `banned` flags, or 0 (ipv6_get_lladdr). */
export function linkLocalOf(dev: NetDevice, banned: u32): usize {
  if (dev.inet6 == 0) return 0;
  for (let at = inet6Of(dev).addresses; at != 0; at = changetype<Address6>(at).next) {
    if (isLinkLocal6(changetype<Address6>(at).hi) && (changetype<Address6>(at).flags & banned) == 0) return at;
  }
  return 0;
}

/**
 * `ip -6 address add` (inet6_addr_add). `valid` and `preferred` in s, LIFETIME_INFINITY for ever. 0, -EEXIST, -EADDRNOTAVAIL, -EACCES
 * (IPv6 is disabled there), -EINVAL or -ENOMEM.
 */
export function address6Add(dev: NetDevice, hi: u64, lo: u64, prefix: u32, peerHi: u64, peerLo: u64, flags: u32, valid: u32, preferred: u32,
  metric: u32): i32 {
  if (valid == 0 || preferred > valid) return -EINVAL;
  if (dev.inet6 == 0 || conf6(dev, CONF6_DISABLE_IPV6) != 0) return -EACCES;
  // ipv6_find_idev: all groups are told about once more.
  if (dev.up) mcastUp(dev);
  multicastRoute(dev);
  let wanted = flags & (IFA_F_NODAD | IFA_F_NOPREFIXROUTE | IFA_F_OPTIMISTIC | 0x110 | IFA_F_STABLE_PRIVACY);
  if ((wanted & (IFA_F_NODAD | IFA_F_OPTIMISTIC)) == (IFA_F_NODAD | IFA_F_OPTIMISTIC)) return -EINVAL;
  // ipv6_allow_optimistic_dad
  if (conf6(dev, CONF6_OPTIMISTIC_DAD) == 0 && confAll6(changetype<Netns>(dev.ns), CONF6_OPTIMISTIC_DAD) == 0) wanted &= ~IFA_F_OPTIMISTIC;
  if (valid == LIFETIME_INFINITY) wanted |= IFA_F_PERMANENT;
  if (preferred == 0) wanted |= IFA_F_DEPRECATED;
  const at = create(dev, hi, lo, prefix, wanted);
  if (at < 4096) return -<i32>at;
  const a = changetype<Address6>(at);
  a.peerHi = peerHi;
  a.peerLo = peerLo;
  a.metric = metric;
  setLifetimes(a, valid, preferred);
  if ((wanted & IFA_F_NOPREFIXROUTE) == 0) prefixRoute(a, true);
  dadStart(a);
  return 0;
}

/** ipv6_add_addr: an address in the device's list, tentative; or a small number, the errno. */
function create(dev: NetDevice, hi: u64, lo: u64, prefix: u32, flags: u32): usize {
  if (isAny6(hi, lo) || isMulticast6(hi) || (isLoopback6(hi, lo) && dev.kind != DEV_LOOPBACK)) return EADDRNOTAVAIL;
  if (addressOf(dev, hi, lo) != 0) return EEXIST;
  const at = kmalloc(ADDRESS_BYTES);
  if (at == 0) return ENOMEM;
  const a = changetype<Address6>(at);
  a.dadKind = TIMER_DAD;
  a.dadOwner = at;
  a.lifeKind = TIMER_ADDRESS6;
  a.lifeOwner = at;
  a.dev = changetype<usize>(dev);
  a.prefix = prefix;
  a.hi = hi;
  a.lo = lo;
  a.flags = flags;
  if ((flags & IFA_F_NODAD) == 0) a.flags |= IFA_F_TENTATIVE;
  a.valid = LIFETIME_INFINITY;
  a.preferred = LIFETIME_INFINITY;
  // ipv6_link_dev_addr: by scope, the widest first, behind those of its own.
  let link = changetype<usize>(inet6Of(dev)) + offsetof<Inet6Dev>("addresses");
  const scope = listScope(hi, lo);
  for (let other = <usize>load<u32>(link); other != 0; other = <usize>load<u32>(link)) {
    // A new one stands before those of its scope.
    if (listScope(changetype<Address6>(other).hi, changetype<Address6>(other).lo) <= scope) break;
    link = other + offsetof<Address6>("next");
  }
  a.next = <usize>load<u32>(link);
  store<u32>(link, <u32>at);
  return at;
}

// ipv6_addr_src_scope: node-local addresses come last.
function listScope(hi: u64, lo: u64): u32 {
  return isLoopback6(hi, lo) ? 1 : scope6(hi, lo);
}

/** Sets how long it holds, from now on. */
export function setLifetimes(a: Address6, valid: u32, preferred: u32): void {
  a.valid = valid;
  a.preferred = preferred;
  a.updated = node().now;
  if (valid == LIFETIME_INFINITY) a.flags |= IFA_F_PERMANENT;
  else a.flags &= ~IFA_F_PERMANENT;
  if (preferred != 0) a.flags &= ~IFA_F_DEPRECATED;
  else a.flags |= IFA_F_DEPRECATED;
  lifeArm(a);
}

function lifeArm(a: Address6): void {
  let first = a.valid;
  if ((a.flags & IFA_F_DEPRECATED) == 0) first = min<u32>(first, a.preferred);
  if (first == LIFETIME_INFINITY) timerDelete(lifeTimer(a));
  else timerMod(lifeTimer(a), (a.updated + <u64>first * 1_000_000_000 + NS_PER_JIFFY - 1) / NS_PER_JIFFY);
}

/** A lifetime is over (addrconf_verify_rtnl). */
export function address6Timer(at: usize): void {
  const a = changetype<Address6>(at);
  const passed = (node().now - a.updated) / 1_000_000_000;
  if (a.valid != LIFETIME_INFINITY && passed >= <u64>a.valid) {
    remove(a);
    return;
  }
  if (a.preferred != LIFETIME_INFINITY && passed >= <u64>a.preferred) a.flags |= IFA_F_DEPRECATED;
  lifeArm(a);
}

/** Seconds that are left of a lifetime. */
export function lifetimeLeft(a: Address6, lifetime: u32): u32 {
  if (lifetime == LIFETIME_INFINITY) return lifetime;
  const passed = (node().now - a.updated) / 1_000_000_000;
  return passed >= <u64>lifetime ? 0 : lifetime - <u32>passed;
}

/** `ip -6 address del` (inet6_addr_del). 0 or -EADDRNOTAVAIL. */
export function address6Delete(dev: NetDevice, hi: u64, lo: u64, prefix: u32): i32 {
  const at = addressOf(dev, hi, lo);
  if (at == 0 || changetype<Address6>(at).prefix != prefix) return -EADDRNOTAVAIL;
  remove(changetype<Address6>(at));
  return 0;
}

/** `ip -6 address change`: lifetimes and flags of one that is there (inet6_addr_modify). */
export function address6Modify(a: Address6, flags: u32, valid: u32, preferred: u32, metric: u32): i32 {
  if (valid == 0 || preferred > valid) return -EINVAL;
  const had = (a.flags & IFA_F_NOPREFIXROUTE) == 0;
  a.flags = (a.flags & ~(IFA_F_NODAD | IFA_F_NOPREFIXROUTE | IFA_F_DEPRECATED)) | (flags & (IFA_F_NODAD | IFA_F_NOPREFIXROUTE));
  if (had && (metric != a.metric || (flags & IFA_F_NOPREFIXROUTE) != 0)) prefixRoute(a, false);
  a.metric = metric;
  setLifetimes(a, valid, preferred);
  if ((flags & IFA_F_NOPREFIXROUTE) == 0) prefixRoute(a, true);
  return 0;
}

/** ipv6_del_addr: with the routes and groups that nobody else needs. */
function remove(a: Address6): void {
  const dev = changetype<NetDevice>(a.dev);
  let link = changetype<usize>(inet6Of(dev)) + offsetof<Inet6Dev>("addresses");
  while (<usize>load<u32>(link) != changetype<usize>(a)) link = <usize>load<u32>(link) + offsetof<Address6>("next");
  store<u32>(link, <u32>a.next);
  timerDelete(dadTimer(a));
  timerDelete(lifeTimer(a));
  withdraw(a);
  // check_cleanup_prefix_route
  let needed = (a.flags & IFA_F_NOPREFIXROUTE) != 0;
  for (let at = inet6Of(dev).addresses; at != 0 && !needed; at = changetype<Address6>(at).next) {
    const other = changetype<Address6>(at);
    needed = other.prefix == a.prefix && maskHi(other.hi ^ a.hi, a.prefix) == 0 && maskLo(other.lo ^ a.lo, a.prefix) == 0
      && (other.flags & IFA_F_NOPREFIXROUTE) == 0;
  }
  if (!needed) prefixRoute(a, false);
  forgetSource(changetype<Netns>(dev.ns), a.hi, a.lo);
  kfree(changetype<usize>(a), ADDRESS_BYTES);
}

/** fib6_remove_prefsrc: routes that preferred it choose anew. */
function forgetSource(ns: Netns, hi: u64, lo: u64): void {
  for (let t = ns.fib; t != 0; t = changetype<FibTable>(t).next) {
    const table = changetype<FibTable>(t);
    for (let b: u32 = 0; b <= table.mask; b++) {
      for (let at = <usize>load<u32>(table.buckets + <usize>(b << 2)); at != 0; at = changetype<FibEntry>(at).next) {
        const entry = changetype<FibEntry>(at);
        if (isFamily4(entry) || entry.sourceHi != hi || entry.sourceLo != lo) continue;
        entry.sourceHi = 0;
        entry.sourceLo = 0;
      }
    }
  }
  ns.routeGeneration++;
}

/** What an address that is in use has (RTM_NEWADDR of __ipv6_ifa_notify): the local route, its groups. */
function announce(a: Address6): void {
  const dev = changetype<NetDevice>(a.dev);
  if (!a.routed) route(dev, RTN_LOCAL, RT_TABLE_LOCAL, a.hi, a.lo, 128, 0, 0, 0, true);
  a.routed = 1;
  if (conf6(dev, CONF6_FORWARDING) != 0) joinAnycast(a);
  if ((a.peerHi | a.peerLo) != 0) route(dev, RTN_UNICAST, RT_TABLE_MAIN, a.peerHi, a.peerLo, 128, metricOf(a), 0, 0, true);
}

/** RTM_DELADDR. */
function withdraw(a: Address6): void {
  const dev = changetype<NetDevice>(a.dev);
  if (conf6(dev, CONF6_FORWARDING) != 0) leaveAnycast(a);
  groupLeave(dev, MULTICAST_LINK_HI, solicitedNodeLo(a.lo));
  if ((a.peerHi | a.peerLo) != 0) route(dev, RTN_UNICAST, RT_TABLE_MAIN, a.peerHi, a.peerLo, 128, metricOf(a), 0, 0, false);
  if (a.routed) route(dev, RTN_LOCAL, RT_TABLE_LOCAL, a.hi, a.lo, 128, 0, 0, 0, false);
  a.routed = 0;
}

function metricOf(a: Address6): u32 {
  return a.metric != 0 ? a.metric : PRIO_ADDRCONF;
}

/** The route to the prefix (addrconf_prefix_route), for as long as the address holds. */
function prefixRoute(a: Address6, add: bool): void {
  const dev = changetype<NetDevice>(a.dev);
  const expires: u64 = a.valid == LIFETIME_INFINITY ? 0 : a.updated + <u64>a.valid * 1_000_000_000;
  const peer = (a.peerHi | a.peerLo) != 0 && a.prefix != 128;
  const hi = peer ? a.peerHi : a.hi, lo = peer ? a.peerLo : a.lo;
  route(dev, RTN_UNICAST, RT_TABLE_MAIN, hi, lo, a.prefix, metricOf(a), expires, 0, add);
}

/** A route of the kernel's own. */
export function route(dev: NetDevice, type: u32, table: u32, hi: u64, lo: u64, prefix: u32, metric: u32, expires: u64, rtf: u32, add: bool): void {
  const at = kmalloc(<u32>offsetof<FibEntry>());
  if (at == 0) return;
  const ns = changetype<Netns>(dev.ns);
  const spec = changetype<FibEntry>(at);
  spec.hi = maskHi(hi, prefix);
  spec.lo = maskLo(lo, prefix);
  spec.prefix = prefix;
  spec.type = type;
  spec.scope = 0;
  spec.metric = metric;
  spec.dev = changetype<usize>(dev);
  spec.protocol = RTPROT_KERNEL;
  spec.table = table;
  spec.expires = expires;
  spec.rtf = rtf;
  if (add) fib6Insert(ns, spec, ROUTE_F_APPEND);
  else fib6Delete(ns, spec);
  kfree(at, <u32>offsetof<FibEntry>());
}

/** addrconf_add_mroute */
function multicastRoute(dev: NetDevice): void {
  if (dev.kind != DEV_LOOPBACK && dev.up) route(dev, RTN_MULTICAST, RT_TABLE_LOCAL, 0xff, 0, 8, PRIO_ADDRCONF, 0, 0, true);
}

// ---- Duplicate address detection (RFC 4862 section 5.4, RFC 7527)

/** addrconf_dad_begin */
function dadStart(a: Address6): void {
  const dev = changetype<NetDevice>(a.dev), ns = changetype<Netns>(dev.ns);
  if (dev.kind != DEV_LOOPBACK && !(dev.flags & IFF_NOARP)) groupJoin(dev, MULTICAST_LINK_HI, solicitedNodeLo(a.lo));
  if ((dev.flags & IFF_NOARP) != 0 || dev.kind == DEV_LOOPBACK
    || (confAll6(ns, CONF6_ACCEPT_DAD) < 1 && conf6(dev, CONF6_ACCEPT_DAD) < 1)
    || (a.flags & IFA_F_TENTATIVE) == 0 || (a.flags & IFA_F_NODAD) != 0) {
    const announceIt = (a.flags & (IFA_F_TENTATIVE | IFA_F_OPTIMISTIC)) == IFA_F_TENTATIVE;
    a.flags &= ~(IFA_F_TENTATIVE | IFA_F_OPTIMISTIC | IFA_F_DADFAILED);
    dadCompleted(a, announceIt);
    return;
  }
  if ((inet6Of(dev).flags & IF_READY) == 0) return; // it waits for the link
  if (a.flags & IFA_F_OPTIMISTIC) {
    route(dev, RTN_LOCAL, RT_TABLE_LOCAL, a.hi, a.lo, 128, 0, 0, 0, true);
    a.routed = 1;
  }
  dadKick(a);
}

function dadKick(a: Address6): void {
  const dev = changetype<NetDevice>(a.dev);
  const most = <u32>max<i32>(conf6(dev, CONF6_ROUTER_SOLICITATION_DELAY), 0) * <u32>HZ;
  const wait: u32 = (a.flags & IFA_F_OPTIMISTIC) != 0 || most == 0 ? 0 : randomBelow(most);
  a.nonce = 0;
  if (conf6(dev, CONF6_ENHANCED_DAD) != 0 || confAll6(changetype<Netns>(dev.ns), CONF6_ENHANCED_DAD) != 0) {
    a.nonce = (<u64>random32() << 16) | <u64>(random32() & 0xffff) | 1;
  }
  a.probes = <u32>max<i32>(conf6(dev, CONF6_DAD_TRANSMITS), 0);
  timerMod(dadTimer(a), node().now / NS_PER_JIFFY + <u64>wait);
}

/** The next solicitation for our own address, or the end of waiting for who has it (addrconf_dad_work). */
export function dadTimerFire(at: usize): void {
  const a = changetype<Address6>(at);
  const dev = changetype<NetDevice>(a.dev);
  if ((inet6Of(dev).flags & IF_READY) == 0) return;
  if (a.probes == 0) {
    const announceIt = (a.flags & (IFA_F_TENTATIVE | IFA_F_OPTIMISTIC)) == IFA_F_TENTATIVE;
    a.flags &= ~(IFA_F_TENTATIVE | IFA_F_OPTIMISTIC | IFA_F_DADFAILED);
    dadCompleted(a, announceIt);
    return;
  }
  a.probes--;
  timerMod(dadTimer(a), node().now / NS_PER_JIFFY
    + max<u64>(<u64>conf6(dev, CONF6_NEIGH_RETRANS_TIME_MS) * HZ / 1000, HZ / 100));
  ndiscSendNs(dev, a.hi, a.lo, MULTICAST_LINK_HI, solicitedNodeLo(a.lo), 0, 0, a.nonce);
}

/** addrconf_dad_completed */
function dadCompleted(a: Address6, notify: bool): void {
  const dev = changetype<NetDevice>(a.dev), ns = changetype<Netns>(dev.ns);
  timerDelete(dadTimer(a));
  announce(a);
  const lonely = isLinkLocal6(a.hi) && lonelyLinkLocal(dev, a);
  if (lonely) mldDadComplete(dev);
  if (notify && (conf6(dev, CONF6_NDISC_NOTIFY) != 0 || confAll6(ns, CONF6_NDISC_NOTIFY) != 0)) {
    ndiscSendNa(dev, MULTICAST_LINK_HI, ALL_NODES_LO, a.hi, a.lo, conf6(dev, CONF6_FORWARDING) != 0, false, true, true);
  }
  if (lonely && acceptsRa(dev) && conf6(dev, CONF6_ROUTER_SOLICITATIONS) != 0 && dev.kind != DEV_LOOPBACK && dev.kind != DEV_IPIP) {
    routerSolicitStart(dev, a.hi, a.lo);
  }
}

/** Is it the first of the link that is in use (ipv6_lonely_lladdr)? */
function lonelyLinkLocal(dev: NetDevice, a: Address6): bool {
  for (let at = inet6Of(dev).addresses; at != 0; at = changetype<Address6>(at).next) {
    const other = changetype<Address6>(at);
    if (at != changetype<usize>(a) && isLinkLocal6(other.hi)
      && (other.flags & (IFA_F_PERMANENT | IFA_F_TENTATIVE | IFA_F_OPTIMISTIC | IFA_F_DADFAILED)) == IFA_F_PERMANENT) return false;
  }
  return true;
}

/** ipv6_accept_ra: a host does, a router only with 2. */
export function acceptsRa(dev: NetDevice): bool {
  const value = conf6(dev, CONF6_ACCEPT_RA);
  return conf6(dev, CONF6_FORWARDING) != 0 ? value == 2 : value != 0;
}

/** Somebody else has it (addrconf_dad_failure). */
export function dadFailed(a: Address6): void {
  const dev = changetype<NetDevice>(a.dev);
  // An identifier that was made up is made up anew, idgen_retries times.
  if ((a.flags & IFA_F_STABLE_PRIVACY) != 0 && a.dadCount < 3) {
    const count = a.dadCount + 1, hi = a.hi, prefix = a.prefix, valid = a.valid, preferred = a.preferred, autoconf = a.autoconf;
    const link = isLinkLocal6(hi);
    remove(a);
    const lo = stableAddress(dev, hi, count);
    const at = lo == 0 ? <usize>0 : create(dev, hi, lo, prefix, IFA_F_STABLE_PRIVACY | (link ? IFA_F_PERMANENT : 0));
    if (at < 4096) return;
    const fresh = changetype<Address6>(at);
    fresh.dadCount = count;
    fresh.autoconf = autoconf;
    setLifetimes(fresh, valid, preferred);
    if (link) prefixRoute(fresh, true);
    dadStart(fresh);
    return;
  }
  timerDelete(dadTimer(a));
  if (a.flags & IFA_F_PERMANENT) {
    a.flags |= IFA_F_TENTATIVE | IFA_F_DADFAILED;
    a.flags &= ~IFA_F_OPTIMISTIC;
    // accept_dad 2: the link's own address stands for its MAC, which somebody else has.
    if (isLinkLocal6(a.hi) && (conf6(dev, CONF6_ACCEPT_DAD) > 1 || confAll6(changetype<Netns>(dev.ns), CONF6_ACCEPT_DAD) > 1)
      && a.lo == eui64(dev)) {
      store<i32>(inet6Of(dev).conf + (CONF6_DISABLE_IPV6 << 2), 1);
      addrconfDown(dev, false);
    }
  } else remove(a);
}

// ---- The device goes up and down

/** The interface identifier of a MAC (RFC 4291 appendix A), 0: the device has none. */
export function eui64(dev: NetDevice): u64 {
  if (dev.kind == DEV_GRE) {
    // addrconf_ifid_gre: ::5efe:a.b.c.d
    const local = tunnelLocal4(dev);
    return local == 0 ? 0 : (<u64>local << 32) | 0xfe5e0000 | (isPrivate4(local) ? 0 : 2);
  }
  if (dev.kind == DEV_IPIP || dev.kind == DEV_TUN || dev.kind == DEV_LOOPBACK) return 0;
  if (dev.kind == DEV_IPVLAN) {
    // The lower device's MAC with the number of this one (dev_id of addrconf_ifid_eui48).
    const id = <u64>changetype<Ipvlan>(dev.priv).id;
    return <u64>(dev.mac0 & 0xffffff) | ((id >> 8) << 24) | ((id & 0xff) << 32) | (<u64>(dev.mac0 >>> 24) << 40) | (<u64>dev.mac1 << 48);
  }
  return <u64>((dev.mac0 & 0xffffff) ^ 2) | 0xfeff000000 | (<u64>(dev.mac0 >>> 24) << 40) | (<u64>dev.mac1 << 48);
}

/** __ipv6_isatap_ifid: addresses that are not the whole world's. */
function isPrivate4(raw: u32): bool {
  const a = raw & 0xff, b = (raw >>> 8) & 0xff;
  return a == 0 || a == 127 || a == 10 || (a == 172 && (b & 0xf0) == 16) || (a == 169 && b == 254) || (a == 192 && b == 168);
}

/** addrconf_notify, NETDEV_UP. */
export function addrconfUp(dev: NetDevice): void {
  const own = inet6Of(dev);
  if (dev.inet6 == 0 || conf6(dev, CONF6_DISABLE_IPV6) != 0 || dev.mtu < IPV6_MIN_MTU) return;
  own.flags |= IF_READY;
  store<i32>(own.conf + (CONF6_MTU << 2), <i32>dev.mtu);
  // addrconf_permanent_addr: those that were kept come back.
  const kept = own.addresses;
  mcastUp(dev);
  if (dev.kind == DEV_LOOPBACK) {
    const at = create(dev, 0, ALL_NODES_LO, 128, IFA_F_PERMANENT);
    if (at >= 4096) {
      changetype<Address6>(at).flags &= ~IFA_F_TENTATIVE;
      announce(changetype<Address6>(at));
    }
  } else {
    multicastRoute(dev);
    linkLocalMake(dev);
  }
  for (let at = kept; at != 0;) {
    const a = changetype<Address6>(at);
    at = a.next;
    if (dev.kind == DEV_LOOPBACK && isLoopback6(a.hi, a.lo)) continue;
    if ((a.flags & IFA_F_NOPREFIXROUTE) == 0) prefixRoute(a, true);
    dadStart(a);
  }
}

/** addrconf_addr_gen: the address that every link has, made as addr_gen_mode says. */
export function linkLocalMake(dev: NetDevice): void {
  let mode = <u32>conf6(dev, CONF6_ADDR_GEN_MODE);
  if (dev.kind == DEV_TUN && mode == IN6_ADDR_GEN_MODE_EUI64) mode = IN6_ADDR_GEN_MODE_RANDOM;
  if (mode == IN6_ADDR_GEN_MODE_NONE) return;
  const ns = changetype<Netns>(dev.ns);
  let flags = IFA_F_PERMANENT;
  if (mode != IN6_ADDR_GEN_MODE_EUI64) flags |= IFA_F_STABLE_PRIVACY;
  if ((conf6(dev, CONF6_OPTIMISTIC_DAD) != 0 || confAll6(ns, CONF6_OPTIMISTIC_DAD) != 0) && conf6(dev, CONF6_FORWARDING) == 0) {
    flags |= IFA_F_OPTIMISTIC;
  }
  const lo = mode == IN6_ADDR_GEN_MODE_EUI64 ? eui64(dev) : stableAddress(dev, LINK_LOCAL_HI, 0);
  if (lo == 0) return;
  const at = create(dev, LINK_LOCAL_HI, lo, 64, flags);
  if (at < 4096) return;
  prefixRoute(changetype<Address6>(at), true);
  dadStart(changetype<Address6>(at));
}

/** addrconf_ifdown: routes and neighbours are the caller's business. `gone`: the device ends or leaves the namespace. */
export function addrconfDown(dev: NetDevice, gone: bool): void {
  if (dev.inet6 == 0) return;
  const own = inet6Of(dev), ns = changetype<Netns>(dev.ns);
  const keep = !gone && conf6(dev, CONF6_DISABLE_IPV6) == 0
    && (confAll6(ns, CONF6_KEEP_ADDR_ON_DOWN) > 0 || (confAll6(ns, CONF6_KEEP_ADDR_ON_DOWN) == 0 && conf6(dev, CONF6_KEEP_ADDR_ON_DOWN) > 0));
  own.flags &= ~(IF_RS_SENT | IF_RA_RCVD | IF_READY);
  timerDelete(changetype<Timer>(changetype<usize>(own)));
  let at = own.addresses;
  while (at != 0) {
    const a = changetype<Address6>(at);
    at = a.next;
    if (keep && (a.flags & IFA_F_PERMANENT) != 0 && !isLinkLocal6(a.hi) && !isLoopback6(a.hi, a.lo)) {
      withdraw(a);
      timerDelete(dadTimer(a));
      if ((a.flags & IFA_F_NODAD) == 0) a.flags |= IFA_F_TENTATIVE;
    } else remove(a);
  }
  while (gone && own.anycast != 0) {
    const entry = changetype<Anycast6>(own.anycast);
    own.anycast = entry.next;
    kfree(changetype<usize>(entry), ANYCAST_BYTES);
  }
  neighFlush6(dev);
  mcastDown(dev, gone);
  fib6Purge(ns, changetype<usize>(dev), RTF6_ADDRCONF | RTF6_PREFIX_RT, 0);
}

/** The device's MTU is another (NETDEV_CHANGEMTU): below 1280 bytes there is no IPv6. */
export function mtu6Changed(dev: NetDevice): void {
  if (dev.inet6 == 0) return;
  const own = inet6Of(dev), ready = (own.flags & IF_READY) != 0;
  if (dev.mtu < IPV6_MIN_MTU) {
    if (ready) addrconfDown(dev, false);
    return;
  }
  store<i32>(own.conf + (CONF6_MTU << 2), <i32>dev.mtu);
  if (dev.up && !ready) addrconfUp(dev);
}

// ---- Routers, and the addresses that all of them answer to

/** conf.DEV.forwarding changed (dev_forward_change). */
export function forwardingChanged(dev: NetDevice): void {
  const own = inet6Of(dev);
  const on = conf6(dev, CONF6_FORWARDING) != 0;
  // Loopback is no IFF_MULTICAST device.
  for (let i: u32 = dev.kind == DEV_LOOPBACK ? 3 : 0; i < 3; i++) {
    // ff02::2, ff01::2, ff05::2
    const hi: u64 = i == 0 ? 0x02ff : i == 1 ? 0x01ff : 0x05ff;
    if (on) groupJoin(dev, hi, ALL_ROUTERS_LO);
    else groupLeave(dev, hi, ALL_ROUTERS_LO);
  }
  for (let at = own.addresses; at != 0; at = changetype<Address6>(at).next) {
    const a = changetype<Address6>(at);
    if (a.flags & IFA_F_TENTATIVE) continue;
    if (on) joinAnycast(a);
    else leaveAnycast(a);
  }
}

/** The subnet-router anycast address (RFC 4291 section 2.6.1). */
function joinAnycast(a: Address6): void {
  if (a.prefix >= 127) return;
  const hi = maskHi(a.hi, a.prefix), lo = maskLo(a.lo, a.prefix);
  if (!isAny6(hi, lo)) anycastJoin(changetype<NetDevice>(a.dev), hi, lo);
}
function leaveAnycast(a: Address6): void {
  if (a.prefix < 127) anycastLeave(changetype<NetDevice>(a.dev), maskHi(a.hi, a.prefix), maskLo(a.lo, a.prefix));
}

/** __ipv6_dev_ac_inc. 0 or -ENOMEM. */
export function anycastJoin(dev: NetDevice, hi: u64, lo: u64): i32 {
  const own = inet6Of(dev);
  for (let at = own.anycast; at != 0; at = changetype<Anycast6>(at).next) {
    const entry = changetype<Anycast6>(at);
    if (entry.hi == hi && entry.lo == lo) {
      entry.users++;
      return 0;
    }
  }
  const at = kmalloc(ANYCAST_BYTES);
  if (at == 0) return -ENOMEM;
  const entry = changetype<Anycast6>(at);
  entry.hi = hi;
  entry.lo = lo;
  entry.users = 1;
  entry.next = own.anycast;
  own.anycast = at;
  route(dev, RTN_ANYCAST, RT_TABLE_LOCAL, hi, lo, 128, 0, 0, 0, true);
  groupJoin(dev, MULTICAST_LINK_HI, solicitedNodeLo(lo));
  return 0;
}

export function anycastLeave(dev: NetDevice, hi: u64, lo: u64): i32 {
  let link = changetype<usize>(inet6Of(dev)) + offsetof<Inet6Dev>("anycast");
  for (let at = <usize>load<u32>(link); at != 0; at = <usize>load<u32>(link)) {
    const entry = changetype<Anycast6>(at);
    if (entry.hi == hi && entry.lo == lo) {
      if (--entry.users > 0) return 0;
      store<u32>(link, <u32>entry.next);
      groupLeave(dev, MULTICAST_LINK_HI, solicitedNodeLo(lo));
      route(dev, RTN_ANYCAST, RT_TABLE_LOCAL, hi, lo, 128, 0, 0, 0, false);
      kfree(at, ANYCAST_BYTES);
      return 0;
    }
    link = at; // `next` is the first field
  }
  return -EADDRNOTAVAIL;
}

/**
 * An address of an advertised prefix (addrconf_prefix_rcv_add_addr): made where there is none and the prefix is preferred, else given its new
 * lifetimes; two hours are the least that a stranger can leave (RFC 4862 section 5.5.3 (e)).
 */
export function autoconfigure(dev: NetDevice, hi: u64, lo: u64, valid: u32, preferred: u32, flags: u32): void {
  let at = addressOf(dev, hi, lo), created = false;
  if (at == 0) {
    if (valid == 0) return;
    at = create(dev, hi, lo, 64, flags);
    if (at < 4096) return;
    changetype<Address6>(at).autoconf = 1;
    created = true;
  }
  const a = changetype<Address6>(at);
  if (!created && (a.flags & IFA_F_PERMANENT) != 0) return;
  let holds = valid;
  if (!created) {
    const left = lifetimeLeft(a, a.valid);
    if (valid <= 7200 && valid <= left) holds = min<u32>(left, 7200);
  }
  setLifetimes(a, holds, min<u32>(preferred, holds));
  a.flags &= ~IFA_F_PERMANENT;
  if (holds == LIFETIME_INFINITY) timerDelete(lifeTimer(a));
  if (created) dadStart(a);
}
