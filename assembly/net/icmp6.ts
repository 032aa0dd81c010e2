// ICMPv6: net/ipv6/icmp.c.
import {
  DEV_LOOPBACK, DROP_ICMP_CSUM, DROP_NOT_SPECIFIED, DROP_PKT_TOO_SMALL, PACKET_HOST, RTN_ANYCAST, RTN_LOCAL, SNMP_ICMP_OUTRATELIMITGLOBAL,
} from "../abi/net";
import {
  SNMP6_ICMP_INCSUMERRORS, SNMP6_ICMP_INERRORS, SNMP6_ICMP_INMSGS, SNMP6_ICMP_INTYPE, SNMP6_ICMP_OUTMSGS, SNMP6_ICMP_OUTRATELIMITHOST,
  SNMP6_ICMP_OUTTYPE, SNMP6_IP_OUTNOROUTES, SYSCTL6_ANYCAST_SRC_ECHO_REPLY, SYSCTL6_AUTO_FLOWLABELS, SYSCTL6_ICMP_ECHO_IGNORE_ALL,
  SYSCTL6_ICMP_ECHO_IGNORE_ANYCAST, SYSCTL6_ICMP_ECHO_IGNORE_MULTICAST, SYSCTL6_ICMP_ERROR_ANYCAST_AS_UNICAST, SYSCTL6_ICMP_RATELIMIT,
  SYSCTL6_ICMP_RATEMASK,
} from "../abi/net6";
import { NetDevice, Netns, Skb } from "../layout";
import { hashWord, mix32 } from "../mm/hash";
import { nfCtAttach } from "../netfilter/hooks";
import { sockEchoReply6, sockIcmpError6 } from "../sock/receive6";
import { be32, putBe32 } from "../wire/bytes";
import { checksumAdd, checksumFold } from "../wire/checksum";
import {
  ICMP6_HEADER_LEN, ICMPV6_ECHO_REPLY, ICMPV6_ECHO_REQUEST, ICMPV6_MGM_QUERY, ICMPV6_PARAMPROB, ICMPV6_PKT_TOOBIG,
  ICMPV6_UNK_OPTION, NDISC_REDIRECT, NDISC_ROUTER_SOLICITATION,
} from "../wire/icmp6";
import {
  IPPROTO_ICMPV6, IPV6_HEADER_LEN, IPV6_MIN_MTU, Ipv6View, isAny6, isLinkLocal6, isMulticast6, pseudo6,
} from "../wire/ipv6";
import { anycastOf, checkAddress } from "./addrconf";
import { saddrHi, saddrLo, sourceFor } from "./addrconf-select";
import { globalAllow, globalConsume } from "./icmp";
import { netns6, snmp6Inc, sysctl6 } from "./inet6";
import { NEXTHDR_BAD, foundAt, ip6Follow } from "./ip6-ext";
import { ip6SendRouted } from "./ip6-output";
import { route6Output, routePrefix } from "./ip6-route";
import { mldQuery } from "./mcast6";
import { ndiscReceive } from "./ndisc";
import { peerAllowEvery, pmtuUpdate } from "./peers";
import { Route } from "./route";
import { skbAlloc, skbDrop, skbFree, skbLength } from "./skb";

// As in icmp.ts: the kernel's ICMP socket is taken while it sends. Never true between two calls of the kernel.
let sending: bool = false;

/** Counts a message on its way out. */
export function icmp6OutCount(ns: Netns, type: u32): void {
  snmp6Inc(ns, SNMP6_ICMP_OUTMSGS);
  snmp6Inc(ns, SNMP6_ICMP_OUTTYPE + type);
}

/** Makes the checksum of a message of `length` bytes at `at` right. */
export function icmp6Checksum(at: usize, length: u32, sourceHi: u64, sourceLo: u64, hi: u64, lo: u64): void {
  store<u16>(at, 0, 2);
  const sum = checksumAdd(pseudo6(sourceHi, sourceLo, hi, lo, IPPROTO_ICMPV6, length), at, length);
  store<u16>(at, <u16>~checksumFold(sum), 2);
}

/** The flow label that a socket's packets get by themselves (ip6_make_flowlabel): a hash of the flow. */
export function autoLabel(ns: Netns, sourceHi: u64, sourceLo: u64, hi: u64, lo: u64, protocol: u32, ports: u32): u32 {
  if (sysctl6(ns, SYSCTL6_AUTO_FLOWLABELS) == 0) return 0;
  let h = hashWord(netns6(ns).seed, ports);
  h = hashWord(hashWord(h, <u32>(sourceLo >> 32) ^ <u32>sourceLo), <u32>(sourceHi >> 32) ^ <u32>sourceHi);
  h = hashWord(hashWord(h, <u32>(lo >> 32) ^ <u32>lo), <u32>(hi >> 32) ^ <u32>hi);
  return mix32(hashWord(h, protocol)) & 0xfffff;
}

/** Is the packet an ICMPv6 error, or something that can not be told from one (is_ineligible)? */
function ineligible(about: Skb): bool {
  const next = ip6Follow(about.network + <usize>IPV6_HEADER_LEN, about.tail, Ipv6View.at(about.network).nextHeader, false);
  if (next != IPPROTO_ICMPV6) return false;
  return foundAt >= about.tail || <u32>load<u8>(foundAt) < 128;
}

/** May a message of that type be limited (icmpv6_mask_allow says no)? */
function limitedType(ns: Netns, type: u32): bool {
  return type < 128 && type != ICMPV6_PKT_TOOBIG
    && ((<u32>sysctl6(ns, SYSCTL6_ICMP_RATEMASK + (type >>> 5)) >>> (type & 31)) & 1) != 0;
}

/**
 * Sends an ICMPv6 error about `about` (`network` set): all reasons not to are looked at here (icmp6_send). `info` is the second word of the
 * header in host order: an MTU, a pointer. Does not take `about`.
 */
export function icmp6Send(about: Skb, ns: Netns, type: u32, code: u32, info: u32): void {
  if (sending || about.dev == 0 || about.network == 0 || about.network + <usize>IPV6_HEADER_LEN > about.tail) return;
  const ip = Ipv6View.at(about.network);
  const dev = changetype<NetDevice>(about.dev);
  const toHi = ip.sourceHi, toLo = ip.sourceLo;
  let sourceHi: u64 = 0, sourceLo: u64 = 0;
  if (checkAddress(ns, ip.destinationHi, ip.destinationLo, about.dev, false) || anycastOf(ns, dev, ip.destinationHi, ip.destinationLo)) {
    sourceHi = ip.destinationHi;
    sourceLo = ip.destinationLo;
  }
  if (isMulticast6(ip.destinationHi) || about.pktType != PACKET_HOST) {
    // opt_unrec: an option whose type begins with 10 is answered to a group, too.
    const option = type == ICMPV6_PARAMPROB && code == ICMPV6_UNK_OPTION && about.network + <usize>info < about.tail
      && (load<u8>(about.network + <usize>info) & 0xc0) == 0x80;
    if (type != ICMPV6_PKT_TOOBIG && !option) return;
    sourceHi = 0;
    sourceLo = 0;
  }
  if (isAny6(toHi, toLo) || isMulticast6(toHi) || ineligible(about)) return;
  const limited = limitedType(ns, type);
  if (limited && dev.kind != DEV_LOOPBACK && !globalAllow(ns, SNMP_ICMP_OUTRATELIMITGLOBAL)) return;
  const inDev = about.inDev != 0 ? about.inDev : about.dev;
  const oif: u32 = isLinkLocal6(toHi) ? changetype<NetDevice>(inDev).ifindex : 0;
  const route = changetype<Route>(ns.scratch);
  if ((sourceHi | sourceLo) == 0) {
    // icmpv6_rt_has_prefsrc, else the address of the device by which it came.
    if (about.inDev != 0 && sourceFor(ns, about.inDev, toHi, toLo)) {
      sourceHi = saddrHi;
      sourceLo = saddrLo;
    }
  }
  if (route6Output(ns, toHi, toLo, sourceHi, sourceLo, oif, 0, route) != 0) {
    // icmpv6_xrlim_allow: what can not be sent counts as limited.
    if (limited && dev.kind != DEV_LOOPBACK) {
      snmp6Inc(ns, SNMP6_IP_OUTNOROUTES);
      snmp6Inc(ns, SNMP6_ICMP_OUTRATELIMITHOST);
    }
    return;
  }
  if (limited && dev.kind != DEV_LOOPBACK && !hostAllow(ns, route, toHi, toLo)) return;
  if (route.type == RTN_ANYCAST && sysctl6(ns, SYSCTL6_ICMP_ERROR_ANYCAST_AS_UNICAST) == 0) return;
  // At most 1280 bytes in all (RFC 4443 section 2.4 (c)).
  const length = min<u32>(<u32>(about.tail - about.network), IPV6_MIN_MTU - IPV6_HEADER_LEN - ICMP6_HEADER_LEN);
  const skb = skbAlloc(ICMP6_HEADER_LEN + length);
  if (changetype<usize>(skb) == 0) return;
  skb.tail = skb.data + <usize>(ICMP6_HEADER_LEN + length);
  memory.copy(skb.data + ICMP6_HEADER_LEN, about.network, <usize>length);
  nfCtAttach(skb, about);
  transmit(skb, ns, route, toHi, toLo, type, code, info, 0);
}

/** The limit by host (icmpv6_xrlim_allow): the wider its prefix, the more it may have. */
function hostAllow(ns: Netns, route: Route, hi: u64, lo: u64): bool {
  if (changetype<NetDevice>(route.dev).kind != DEV_LOOPBACK) {
    let every = <u32>sysctl6(ns, SYSCTL6_ICMP_RATELIMIT) / 4;
    if (routePrefix < 128) every >>>= (128 - routePrefix) >>> 5;
    if (!peerAllowEvery(ns, hi, lo, every)) {
      snmp6Inc(ns, SNMP6_ICMP_OUTRATELIMITHOST);
      return false;
    }
  }
  globalConsume(ns);
  return true;
}

function transmit(skb: Skb, ns: Netns, route: Route, hi: u64, lo: u64, type: u32, code: u32, info: u32, trafficClass: u32): void {
  const at = skb.data;
  store<u8>(at, <u8>type);
  store<u8>(at, <u8>code, 1);
  putBe32(at, 4, info);
  icmp6Checksum(at, skbLength(skb), route.sourceHi, route.sourceLo, hi, lo);
  icmp6OutCount(ns, type);
  const label = autoLabel(ns, route.sourceHi, route.sourceLo, hi, lo, IPPROTO_ICMPV6, (type << 8) | code);
  sending = true;
  ip6SendRouted(skb, ns, route, hi, lo, IPPROTO_ICMPV6, trafficClass, label, 0);
  sending = false;
}

/** ICMPv6 for this host, `data` at its header (icmpv6_rcv). Takes the packet. */
export function icmp6Receive(skb: Skb, ns: Netns, dev: NetDevice): void {
  snmp6Inc(ns, SNMP6_ICMP_INMSGS);
  const ip = Ipv6View.at(skb.network), length = skbLength(skb);
  const sum = checksumAdd(pseudo6(ip.sourceHi, ip.sourceLo, ip.destinationHi, ip.destinationLo, IPPROTO_ICMPV6, length), skb.data, length);
  if (checksumFold(sum) != 0xffff) {
    snmp6Inc(ns, SNMP6_ICMP_INCSUMERRORS);
    snmp6Inc(ns, SNMP6_ICMP_INERRORS);
    skbDrop(skb, ns, changetype<usize>(dev), DROP_ICMP_CSUM);
    return;
  }
  if (length < ICMP6_HEADER_LEN) {
    snmp6Inc(ns, SNMP6_ICMP_INERRORS);
    skbDrop(skb, ns, changetype<usize>(dev), DROP_PKT_TOO_SMALL);
    return;
  }
  const type = <u32>load<u8>(skb.data);
  snmp6Inc(ns, SNMP6_ICMP_INTYPE + type);
  if (type == ICMPV6_ECHO_REQUEST) {
    if (sysctl6(ns, SYSCTL6_ICMP_ECHO_IGNORE_ALL) != 0 || !echoReply(skb, ns, dev)) {
      skbDrop(skb, ns, changetype<usize>(dev), DROP_NOT_SPECIFIED);
      return;
    }
  } else if (type == ICMPV6_ECHO_REPLY) {
    sockEchoReply6(skb, ns);
    return;
  } else if (type >= NDISC_ROUTER_SOLICITATION && type <= NDISC_REDIRECT) {
    ndiscReceive(skb, ns, dev, type);
    return;
  } else if (type == ICMPV6_MGM_QUERY) mldQuery(skb, ns, dev);
  else if (type < 128) errorReceived(skb, ns, type);
  skbFree(skb);
}

/** icmpv6_echo_reply; false: none is in order. */
function echoReply(about: Skb, ns: Netns, dev: NetDevice): bool {
  const ip = Ipv6View.at(about.network);
  const group = isMulticast6(ip.destinationHi), anycast = about.rtType == RTN_ANYCAST;
  if (group && sysctl6(ns, SYSCTL6_ICMP_ECHO_IGNORE_MULTICAST) != 0) return false;
  if (anycast && sysctl6(ns, SYSCTL6_ICMP_ECHO_IGNORE_ANYCAST) != 0) return false;
  const own = about.rtType == RTN_LOCAL || (anycast && sysctl6(ns, SYSCTL6_ANYCAST_SRC_ECHO_REPLY) != 0);
  const route = changetype<Route>(ns.scratch);
  // Preferably by the way it came.
  if (route6Output(ns, ip.sourceHi, ip.sourceLo, own ? ip.destinationHi : 0, own ? ip.destinationLo : 0, dev.ifindex, 0, route) != 0) return true;
  const length = skbLength(about);
  const skb = skbAlloc(length);
  if (changetype<usize>(skb) == 0) return true;
  skb.tail = skb.data + <usize>length;
  memory.copy(skb.data, about.data, <usize>length);
  transmit(skb, ns, route, ip.sourceHi, ip.sourceLo, ICMPV6_ECHO_REPLY, <u32>load<u8>(about.data, 1), be32(about.data, 4), ip.trafficClass);
  return true;
}

/** An error about something this host sent (icmpv6_notify). */
function errorReceived(skb: Skb, ns: Netns, type: u32): void {
  const inner = skb.data + <usize>ICMP6_HEADER_LEN;
  if (inner + <usize>IPV6_HEADER_LEN > skb.tail) {
    snmp6Inc(ns, SNMP6_ICMP_INERRORS);
    return;
  }
  const ip = Ipv6View.at(inner);
  const next = ip6Follow(inner + <usize>IPV6_HEADER_LEN, skb.tail, ip.nextHeader, false);
  if (next == NEXTHDR_BAD || foundAt + 8 > skb.tail) {
    snmp6Inc(ns, SNMP6_ICMP_INERRORS);
    return;
  }
  const info = be32(skb.data, 4);
  const l4 = foundAt;
  const known = sockIcmpError6(ns, type, <u32>load<u8>(skb.data, 1), info, inner, l4, next);
  if (known && type == ICMPV6_PKT_TOOBIG && info >= IPV6_MIN_MTU) pmtuUpdate(ns, ip.destinationHi, ip.destinationLo, info, IPV6_MIN_MTU);
}
