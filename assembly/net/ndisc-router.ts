// Hosts and their routers: solicitations sent, advertisements taken (net/ipv6/ndisc.c, ndisc_router_discovery; addrconf.c,
// addrconf_prefix_rcv; route.c, rt6_route_rcv). RFC 4861 section 6.3, RFC 4862 section 5.5, RFC 4191.
import {
  DROP_IPV6_NDISC_BAD_OPTIONS, DROP_NOT_SPECIFIED, DROP_PKT_TOO_SMALL, NUD_STALE, ROUTE_F_APPEND, RTN_UNICAST, RTPROT_RA, RT_TABLE_MAIN,
} from "../abi/net";
import {
  CONF6_ACCEPT_RA_DEFRTR, CONF6_ACCEPT_RA_FROM_LOCAL, CONF6_ACCEPT_RA_MIN_HOP_LIMIT, CONF6_ACCEPT_RA_MIN_LFT, CONF6_ACCEPT_RA_MTU,
  CONF6_ACCEPT_RA_PINFO, CONF6_ACCEPT_RA_RTR_PREF, CONF6_ACCEPT_RA_RT_INFO_MAX_PLEN, CONF6_ACCEPT_RA_RT_INFO_MIN_PLEN,
  CONF6_ADDR_GEN_MODE, CONF6_AUTOCONF, CONF6_FORWARDING, CONF6_HOP_LIMIT, CONF6_MAX_ADDRESSES, CONF6_MTU,
  CONF6_NEIGH_BASE_REACHABLE_TIME_MS, CONF6_NEIGH_GC_STALE_TIME, CONF6_NEIGH_RETRANS_TIME_MS, CONF6_OPTIMISTIC_DAD,
  CONF6_RA_DEFRTR_METRIC, CONF6_ROUTER_SOLICITATIONS, CONF6_ROUTER_SOLICITATION_DELAY, CONF6_ROUTER_SOLICITATION_INTERVAL,
  CONF6_ROUTER_SOLICITATION_MAX_INTERVAL, ICMPV6_ROUTER_PREF_INVALID, ICMPV6_ROUTER_PREF_MEDIUM, IFA_F_MANAGETEMPADDR, IFA_F_OPTIMISTIC,
  IFA_F_STABLE_PRIVACY, IFA_F_TENTATIVE, IN6_ADDR_GEN_MODE_RANDOM, IN6_ADDR_GEN_MODE_STABLE_PRIVACY, LIFETIME_INFINITY,
} from "../abi/net6";
import { NetDevice, Netns, Skb } from "../layout";
import { node } from "../mm/node";
import { randomBelow } from "../mm/rng";
import { kfree, kmalloc } from "../mm/slab";
import { HZ, NS_PER_JIFFY, Timer, timerMod } from "../mm/timer";
import { be16, be32 } from "../wire/bytes";
import {
  NDISC_ROUTER_SOLICITATION, ND_OPT_MTU, ND_OPT_PREFIX_INFO, ND_OPT_ROUTE_INFO, ND_OPT_SOURCE_LL_ADDR,
} from "../wire/icmp6";
import { ALL_ROUTERS_LO, IPV6_MIN_MTU, Ipv6View, MULTICAST_LINK_HI, isAny6, isLinkLocal6, isMulticast6 } from "../wire/ipv6";
import { Address6, acceptsRa, autoconfigure, checkAddress, eui64, linkLocalOf, route } from "./addrconf";
import { FibEntry, FibTable, fibTable, bucketOf, maskHi, maskLo } from "./fib";
import { RTF6_ADDRCONF, RTF6_DEFAULT, RTF6_PREFIX_RT, RTF6_PREF_SHIFT, RTF6_ROUTEINFO, fib6Delete, fib6Insert } from "./fib6";
import { IF_RA_MANAGED, IF_RA_OTHERCONF, IF_RA_RCVD, IF_READY, IF_RS_SENT, Inet6Dev, conf6, confAll6, inet6Of } from "./inet6";
import { ndiscAlloc, ndiscOption, ndiscSend, optionAt, putLinkOption } from "./ndisc";
import {
  NEIGH_ISROUTER, NEIGH_OVERRIDE, NEIGH_OVERRIDE_ISROUTER, NEIGH_WEAK_OVERRIDE, Neighbour, neighFindOrCreate, neighReachTime, neighUpdate,
} from "./neighbour";
import { skbLength } from "./skb";
import { stableAddress } from "./stable-privacy";
import { TIMER_ROUTER_SOLICIT } from "./timers";

const NS_PER_S: u64 = 1_000_000_000;

function setConf(dev: NetDevice, number: u32, value: i32): void {
  store<i32>(inet6Of(dev).conf + (<usize>number << 2), value);
}

/** ndisc_send_rs */
function sendSolicitation(dev: NetDevice, sourceHi: u64, sourceLo: u64): void {
  const skb = ndiscAlloc(16);
  if (changetype<usize>(skb) == 0) return;
  store<u8>(skb.data, <u8>NDISC_ROUTER_SOLICITATION);
  putLinkOption(skb.data + 8, ND_OPT_SOURCE_LL_ADDR, dev.mac0, dev.mac1);
  ndiscSend(skb, dev, sourceHi, sourceLo, MULTICAST_LINK_HI, ALL_ROUTERS_LO);
}

/** The link's own address is in use: routers are asked for, again and again until one answers. */
export function routerSolicitStart(dev: NetDevice, sourceHi: u64, sourceLo: u64): void {
  const own = inet6Of(dev);
  sendSolicitation(dev, sourceHi, sourceLo);
  // rfc3315_s14_backoff_init: 0.9 to 1.1 of it
  own.rsInterval = <u32>((<u64>(900000 + randomBelow(200001)) * <u64>max<i32>(conf6(dev, CONF6_ROUTER_SOLICITATION_INTERVAL), 0)) / 1000);
  own.rsProbes = 1;
  own.flags |= IF_RS_SENT;
  arm(own, own.rsInterval);
}

function arm(own: Inet6Dev, ms: u32): void {
  own.rsKind = TIMER_ROUTER_SOLICIT;
  own.rsOwner = changetype<usize>(own);
  timerMod(changetype<Timer>(changetype<usize>(own)), node().now / NS_PER_JIFFY + <u64>ms * HZ / 1000);
}

/** addrconf_rs_timer */
export function routerSolicitTimer(at: usize): void {
  const own = changetype<Inet6Dev>(at), dev = changetype<NetDevice>(own.dev);
  if ((own.flags & IF_READY) == 0 || !acceptsRa(dev) || (own.flags & IF_RA_RCVD) != 0) return;
  const most = conf6(dev, CONF6_ROUTER_SOLICITATIONS);
  if (most >= 0 && <i32>own.rsProbes >= most) return;
  own.rsProbes++;
  const link = linkLocalOf(dev, IFA_F_TENTATIVE);
  if (link == 0) return;
  sendSolicitation(dev, changetype<Address6>(link).hi, changetype<Address6>(link).lo);
  // rfc3315_s14_backoff_update: twice, give or take a tenth, up to the longest
  const longest = <u64>max<i32>(conf6(dev, CONF6_ROUTER_SOLICITATION_MAX_INTERVAL), 0) * 1000;
  let next = <u64>(1900000 + randomBelow(200001)) * <u64>own.rsInterval / 1000000;
  if (next > longest) next = <u64>(900000 + randomBelow(200001)) * longest / 1000000;
  own.rsInterval = <u32>next;
  arm(own, <i32>own.rsProbes == most ? <u32>max<i32>(conf6(dev, CONF6_ROUTER_SOLICITATION_DELAY), 0) * 1000 : own.rsInterval);
}

/** A host asks for routers (ndisc_recv_rs): a router notes who. -1: handled, else why not. */
export function routerSolicitation(skb: Skb, dev: NetDevice): i32 {
  const ip = Ipv6View.at(skb.network);
  if (skbLength(skb) < 8) return DROP_PKT_TOO_SMALL;
  if (conf6(dev, CONF6_FORWARDING) == 0 || isAny6(ip.sourceHi, ip.sourceLo)) return DROP_NOT_SPECIFIED;
  if (!ndiscOption(skb.data + 8, skb.tail, ND_OPT_SOURCE_LL_ADDR)) return DROP_IPV6_NDISC_BAD_OPTIONS;
  const link = optionAt;
  if (link != 0 && load<u8>(link, 1) != 1) return DROP_NOT_SPECIFIED;
  const at = neighFindOrCreate(dev, ip.sourceHi, ip.sourceLo);
  if (at == 0) return DROP_NOT_SPECIFIED;
  neighUpdate(changetype<Neighbour>(at), link != 0, link != 0 ? load<u32>(link, 2) : 0, link != 0 ? <u32>load<u16>(link, 6) : 0, NUD_STALE,
    NEIGH_WEAK_OVERRIDE | NEIGH_OVERRIDE | NEIGH_OVERRIDE_ISROUTER);
  return -1;
}

// {type 134, code, checksum, hop limit, flags, lifetime} {reachable time} {retrans timer} options
/** ndisc_router_discovery; -1: handled, else why not. */
export function routerAdvertisement(skb: Skb, ns: Netns, dev: NetDevice): i32 {
  const ip = Ipv6View.at(skb.network), at = skb.data, own = inet6Of(dev);
  const options = at + 16;
  const fromHi = ip.sourceHi, fromLo = ip.sourceLo;
  if (!isLinkLocal6(fromHi)) return DROP_NOT_SPECIFIED;
  if (options > skb.tail) return DROP_PKT_TOO_SMALL;
  if (!ndiscOption(options, skb.tail, ND_OPT_SOURCE_LL_ADDR)) return DROP_IPV6_NDISC_BAD_OPTIONS;
  const link = optionAt;
  const accepted = acceptsRa(dev);
  const foreign = conf6(dev, CONF6_ACCEPT_RA_FROM_LOCAL) != 0 || !checkAddress(ns, fromHi, fromLo, changetype<usize>(dev), false);
  const least = <u32>max<i32>(conf6(dev, CONF6_ACCEPT_RA_MIN_LFT), 0);
  if (accepted) {
    if (own.flags & IF_RS_SENT) own.flags |= IF_RA_RCVD;
    const bits = <u32>load<u8>(at, 5);
    own.flags = (own.flags & ~(IF_RA_MANAGED | IF_RA_OTHERCONF)) | ((bits & 0x80) != 0 ? IF_RA_MANAGED : 0) | ((bits & 0x40) != 0 ? IF_RA_OTHERCONF : 0);
    const lifetime = be16(at, 6);
    if (conf6(dev, CONF6_ACCEPT_RA_DEFRTR) != 0 && (lifetime == 0 || lifetime >= least) && foreign) {
      let preference = (bits >>> 3) & 3;
      if (preference == ICMPV6_ROUTER_PREF_INVALID || conf6(dev, CONF6_ACCEPT_RA_RTR_PREF) == 0) preference = ICMPV6_ROUTER_PREF_MEDIUM;
      defaultRouter(ns, dev, fromHi, fromLo, preference, lifetime);
      const hops = <i32>load<u8>(at, 4);
      if (hops != 0 && conf6(dev, CONF6_ACCEPT_RA_MIN_HOP_LIMIT) <= hops) setConf(dev, CONF6_HOP_LIMIT, hops);
    }
    timers(dev, be32(at, 8), be32(at, 12));
  }
  const found = neighFindOrCreate(dev, fromHi, fromLo);
  if (found != 0) {
    if (link != 0 && load<u8>(link, 1) != 1) return DROP_NOT_SPECIFIED;
    neighUpdate(changetype<Neighbour>(found), link != 0, link != 0 ? load<u32>(link, 2) : 0, link != 0 ? <u32>load<u16>(link, 6) : 0, NUD_STALE,
      NEIGH_WEAK_OVERRIDE | NEIGH_OVERRIDE | NEIGH_OVERRIDE_ISROUTER | NEIGH_ISROUTER);
  }
  if (!accepted) return found != 0 ? -1 : DROP_NOT_SPECIFIED;
  if (foreign && conf6(dev, CONF6_ACCEPT_RA_RTR_PREF) != 0) {
    for (let p = options; p < skb.tail; p += <usize>load<u8>(p, 1) << 3) {
      if (<u32>load<u8>(p) == ND_OPT_ROUTE_INFO) routeInformation(ns, dev, p, fromHi, fromLo, least);
    }
  }
  if (conf6(dev, CONF6_ACCEPT_RA_PINFO) != 0) {
    for (let p = options; p < skb.tail; p += <usize>load<u8>(p, 1) << 3) {
      if (<u32>load<u8>(p) == ND_OPT_PREFIX_INFO) prefixInformation(ns, dev, p, link != 0, least);
    }
  }
  if (conf6(dev, CONF6_ACCEPT_RA_MTU) != 0) {
    ndiscOption(options, skb.tail, ND_OPT_MTU);
    if (optionAt != 0) {
      const mtu = be32(optionAt, 4);
      if (mtu >= IPV6_MIN_MTU && mtu <= dev.mtu && <u32>conf6(dev, CONF6_MTU) != mtu) {
        setConf(dev, CONF6_MTU, <i32>mtu);
        ns.routeGeneration++;
      }
    }
  }
  return found != 0 ? -1 : DROP_NOT_SPECIFIED;
}

/** The route of a prefix by that router and device that an advertisement made, or 0. */
function advertised(ns: Netns, dev: NetDevice, hi: u64, lo: u64, prefix: u32, gatewayHi: u64, gatewayLo: u64, flag: u32): usize {
  const table = changetype<FibTable>(fibTable(ns, RT_TABLE_MAIN, false));
  for (let at = <usize>load<u32>(bucketOf(table, hi, lo, prefix)); at != 0; at = changetype<FibEntry>(at).next) {
    const e = changetype<FibEntry>(at);
    if (e.prefix == prefix && e.lo == lo && e.hi == hi && e.dev == changetype<usize>(dev) && (e.rtf & flag) == flag
      && e.gatewayHi == gatewayHi && e.gatewayLo == gatewayLo) return at;
  }
  return 0;
}

/** rt6_add_dflt_router and what follows it: a lifetime of 0 takes the router out of the list. */
function defaultRouter(ns: Netns, dev: NetDevice, hi: u64, lo: u64, preference: u32, lifetime: u32): void {
  const metric = <u32>conf6(dev, CONF6_RA_DEFRTR_METRIC);
  let at = advertised(ns, dev, 0, 0, 0, hi, lo, RTF6_ADDRCONF | RTF6_DEFAULT);
  if (at != 0 && (lifetime == 0 || changetype<FibEntry>(at).metric != metric)) {
    change(ns, dev, 0, 0, 0, hi, lo, changetype<FibEntry>(at).metric, 0, 0, false);
    at = 0;
  }
  const expires = node().now + <u64>lifetime * NS_PER_S;
  const rtf = RTF6_ADDRCONF | RTF6_DEFAULT | (preference << RTF6_PREF_SHIFT);
  if (at == 0) {
    if (lifetime != 0) change(ns, dev, 0, 0, 0, hi, lo, metric, rtf, expires, true);
    return;
  }
  changetype<FibEntry>(at).rtf = rtf;
  changetype<FibEntry>(at).expires = expires;
}

function change(ns: Netns, dev: NetDevice, hi: u64, lo: u64, prefix: u32, gatewayHi: u64, gatewayLo: u64, metric: u32, rtf: u32, expires: u64,
  add: bool): void {
  const at = kmalloc(<u32>offsetof<FibEntry>());
  if (at == 0) return;
  const spec = changetype<FibEntry>(at);
  spec.hi = hi;
  spec.lo = lo;
  spec.prefix = prefix;
  spec.type = RTN_UNICAST;
  spec.dev = changetype<usize>(dev);
  spec.gatewayHi = gatewayHi;
  spec.gatewayLo = gatewayLo;
  spec.metric = metric;
  spec.protocol = RTPROT_RA;
  spec.table = RT_TABLE_MAIN;
  spec.rtf = rtf;
  spec.expires = expires;
  if (add) fib6Insert(ns, spec, ROUTE_F_APPEND);
  else fib6Delete(ns, spec);
  kfree(at, <u32>offsetof<FibEntry>());
}

/** Reachable time and retransmission timer, ms; 0 leaves them as they are. */
function timers(dev: NetDevice, reachable: u32, retrans: u32): void {
  if (retrans != 0 && retrans < 0x7fffffff) setConf(dev, CONF6_NEIGH_RETRANS_TIME_MS, max<i32>(<i32>retrans, 10));
  if (reachable == 0 || reachable > 0x7fffffff) return;
  const value = max<i32>(<i32>reachable, 100);
  if (value == conf6(dev, CONF6_NEIGH_BASE_REACHABLE_TIME_MS)) return;
  setConf(dev, CONF6_NEIGH_BASE_REACHABLE_TIME_MS, value);
  setConf(dev, CONF6_NEIGH_GC_STALE_TIME, <i32>(<u64>value * 3 / 1000));
  inet6Of(dev).reachable = neighReachTime(<u32>value);
}

// {24, length, prefix length, preference} {lifetime} prefix
/** rt6_route_rcv */
function routeInformation(ns: Netns, dev: NetDevice, at: usize, gatewayHi: u64, gatewayLo: u64, least: u32): void {
  const length = <u32>load<u8>(at, 1), prefix = <u32>load<u8>(at, 2), preference = (<u32>load<u8>(at, 3) >>> 3) & 3, lifetime = be32(at, 4);
  if (prefix == 0 && conf6(dev, CONF6_ACCEPT_RA_DEFRTR) == 0) return;
  if (lifetime != 0 && lifetime < least) return;
  if (<i32>prefix < conf6(dev, CONF6_ACCEPT_RA_RT_INFO_MIN_PLEN) || <i32>prefix > conf6(dev, CONF6_ACCEPT_RA_RT_INFO_MAX_PLEN)) return;
  if (length > 3 || prefix > 128 || (prefix > 64 && length < 3) || (prefix > 0 && length < 2) || preference == ICMPV6_ROUTER_PREF_INVALID) return;
  const hi: u64 = prefix == 0 ? 0 : maskHi(load<u64>(at, 8), prefix), lo: u64 = prefix > 64 ? maskLo(load<u64>(at, 16), prefix) : 0;
  const flag = prefix == 0 ? RTF6_DEFAULT : RTF6_ROUTEINFO;
  const found = advertised(ns, dev, hi, lo, prefix, gatewayHi, gatewayLo, RTF6_ADDRCONF | flag);
  const rtf = RTF6_ADDRCONF | RTF6_ROUTEINFO | (prefix == 0 ? RTF6_DEFAULT : 0) | (preference << RTF6_PREF_SHIFT);
  const expires: u64 = lifetime == LIFETIME_INFINITY ? 0 : node().now + <u64>lifetime * NS_PER_S;
  if (found == 0) {
    if (lifetime != 0) change(ns, dev, hi, lo, prefix, gatewayHi, gatewayLo, 1024, rtf, expires, true);
    return;
  }
  if (lifetime == 0) {
    change(ns, dev, hi, lo, prefix, gatewayHi, gatewayLo, changetype<FibEntry>(found).metric, 0, 0, false);
    return;
  }
  changetype<FibEntry>(found).rtf = rtf;
  changetype<FibEntry>(found).expires = expires;
}

// {3, 4, prefix length, L A flags} {valid} {preferred} {-} prefix
/** addrconf_prefix_rcv */
function prefixInformation(ns: Netns, dev: NetDevice, at: usize, sourceLink: bool, least: u32): void {
  if (load<u8>(at, 1) < 4) return;
  const prefix = <u32>load<u8>(at, 2), bits = <u32>load<u8>(at, 3), valid = be32(at, 4), preferred = be32(at, 8);
  const hi = load<u64>(at, 16), lo = load<u64>(at, 24);
  if (isMulticast6(hi) || isLinkLocal6(hi) || preferred > valid || (valid != 0 && valid < least)) return;
  if ((bits & 0x80) != 0 && prefix <= 128) {
    const keyHi = maskHi(hi, prefix), keyLo = maskLo(lo, prefix);
    const found = advertised(ns, dev, keyHi, keyLo, prefix, 0, 0, RTF6_ADDRCONF | RTF6_PREFIX_RT);
    const expires: u64 = valid == LIFETIME_INFINITY ? 0 : node().now + <u64>valid * NS_PER_S;
    if (found == 0) {
      if (valid != 0) {
        route(dev, RTN_UNICAST, RT_TABLE_MAIN, keyHi, keyLo, prefix, 256, expires, RTF6_ADDRCONF | RTF6_PREFIX_RT, true);
      }
    } else if (valid == 0) route(dev, RTN_UNICAST, RT_TABLE_MAIN, keyHi, keyLo, prefix, 256, 0, 0, false);
    else changetype<FibEntry>(found).expires = expires;
  }
  if ((bits & 0x40) == 0 || conf6(dev, CONF6_AUTOCONF) == 0 || prefix != 64) return;
  const mode = <u32>conf6(dev, CONF6_ADDR_GEN_MODE);
  let flags: u32 = 0, id: u64 = 0;
  if (mode == IN6_ADDR_GEN_MODE_STABLE_PRIVACY || mode == IN6_ADDR_GEN_MODE_RANDOM) {
    id = stableAddress(dev, hi, 0);
    if (id != 0) flags = IFA_F_STABLE_PRIVACY;
  }
  if (id == 0) id = eui64(dev);
  if (id == 0) return;
  let have: i32 = 0;
  for (let a = inet6Of(dev).addresses; a != 0; a = changetype<Address6>(a).next) have++;
  const most = conf6(dev, CONF6_MAX_ADDRESSES);
  const known = checkOwn(dev, hi, id);
  if (!known && most != 0 && have >= most) return;
  if ((conf6(dev, CONF6_OPTIMISTIC_DAD) != 0 || confAll6(ns, CONF6_OPTIMISTIC_DAD) != 0) && confAll6(ns, CONF6_FORWARDING) == 0 && sourceLink) {
    flags |= IFA_F_OPTIMISTIC;
  }
  autoconfigure(dev, hi, id, valid, preferred, flags | IFA_F_MANAGETEMPADDR);
}

function checkOwn(dev: NetDevice, hi: u64, lo: u64): bool {
  for (let a = inet6Of(dev).addresses; a != 0; a = changetype<Address6>(a).next) {
    if (changetype<Address6>(a).hi == hi && changetype<Address6>(a).lo == lo) return true;
  }
  return false;
}
