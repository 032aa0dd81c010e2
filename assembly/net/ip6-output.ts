// Sending IPv6: route, header, OUTPUT, POSTROUTING, neighbour, device (net/ipv6/ip6_output.c).
import { EMSGSIZE, ENETUNREACH, ENOBUFS, EPERM } from "../abi/core";
import { HOOK_OUTPUT, HOOK_POSTROUTING, NF_ACCEPT, NF_STOLEN } from "../abi/netfilter";
import {
  DEV_LOOPBACK, DROP_IP_OUTNOROUTES, DROP_NETFILTER, DROP_NOT_SPECIFIED, DROP_NO_MEMORY, DROP_PKT_TOO_BIG, IFF_NOARP, RTN_MULTICAST,
} from "../abi/net";
import {
  CONF6_DISABLE_IPV6, CONF6_HOP_LIMIT, SNMP6_IP_FRAGCREATES, SNMP6_IP_FRAGFAILS, SNMP6_IP_FRAGOKS, SNMP6_IP_OUTDISCARDS,
  SNMP6_IP_OUTMCASTOCTETS, SNMP6_IP_OUTMCASTPKTS, SNMP6_IP_OUTNOROUTES, SNMP6_IP_OUTOCTETS, SNMP6_IP_OUTREQUESTS,
  SNMP6_IP_OUTTRANSMITS,
} from "../abi/net6";
import { cgroupLets } from "./ip-output";
import { NetDevice, Netns, Skb } from "../layout";
import { random32 } from "../mm/rng";
import { nfHook6 } from "../netfilter/hooks6";
import { nfSkbShare } from "../netfilter/hooks";
import { putBe16 } from "../wire/bytes";
import { ETH_HEADER_LEN, ETH_P_IPV6, EthernetView } from "../wire/ethernet";
import { ICMPV6_PKT_TOOBIG } from "../wire/icmp6";
import {
  IPV6_HEADER_LEN, IPV6_MIN_MTU, Ipv6View, NEXTHDR_DEST, NEXTHDR_FRAGMENT, NEXTHDR_HOP, NEXTHDR_ROUTING, isMulticast6, multicastScope6,
} from "../wire/ipv6";
import { devQueueXmit, netifRx } from "./dev";
import { autoLabel, icmp6Send } from "./icmp6";
import { conf6, confAll6, snmp6Add, snmp6Inc } from "./inet6";
import { FRAG_HEADER_LEN, IP6_MF, ip6Walk } from "./ip6-ext";
import { DEFRAG6_OUT, ip6DefragHook } from "./ip6-frag";
import { inet6AddrType, route6Lookup, route6Output } from "./ip6-route";
import { IPSKB_IGNORE_DF, IPSKB_LOOPED } from "./ip-input";
import { memberOf } from "./mcast6";
import { neighOutput } from "./neighbour";
import { RTF_LOCAL, Route, skbSetRoute } from "./route";
import { skbAlloc, skbCopy, skbCopyRoute, skbDrop, skbEnsureHeadroom, skbFree, skbLength, skbPush } from "./skb";
import { RTN_LOCAL } from "../abi/net";

// Why the packet in OUTPUT could not be routed anew, which its sender is told instead of -EPERM. 0 between two calls.
let rerouteError: i32 = 0;

/** Skb.ipFlags: the kernel's own message, which does not come back to it (MC6_LOOP off). */
export const IP6SKB_NOLOOP: u32 = 0x1000;

/** The hop limit of packets out of `dev` (ip6_dst_hoplimit). */
export function hopLimitOf(ns: Netns, dev: usize): u32 {
  return <u32>(dev != 0 && changetype<NetDevice>(dev).inet6 != 0 ? conf6(changetype<NetDevice>(dev), CONF6_HOP_LIMIT)
    : confAll6(ns, CONF6_HOP_LIMIT));
}

/**
 * Sends an L4 packet of this host with the route at hand: `data` at the L4 header, its checksum right. `hops` 0: the default. Takes the
 * packet in every case. 0 or -errno (-EPERM: a hook dropped it). What is longer than the path's MTU goes in fragments.
 */
export function ip6SendRouted(packet: Skb, ns: Netns, route: Route, hi: u64, lo: u64, protocol: u32, trafficClass: u32, label: u32,
  hops: u32): i32 {
  skbSetRoute(packet, route);
  const skb = skbEnsureHeadroom(packet, IPV6_HEADER_LEN + ETH_HEADER_LEN, changetype<NetDevice>(ns.loopback));
  if (changetype<usize>(skb) == 0) return -ENOBUFS;
  const length = skbLength(skb);
  skb.transport = skb.data;
  skb.network = skbPush(skb, IPV6_HEADER_LEN);
  skb.protocol = ETH_P_IPV6;
  skb.nextHeader = protocol;
  Ipv6View.at(skb.network).write(trafficClass, label, length > 65535 ? 0 : length, protocol, hops != 0 ? hops : hopLimitOf(ns, route.dev),
    route.sourceHi, route.sourceLo, hi, lo);
  skb.ipFlags |= IPSKB_IGNORE_DF;
  return ip6LocalOut(skb, ns);
}

/** The same, and finds the route. `label`: a flow label is made of the flow. */
export function ip6Send(packet: Skb, ns: Netns, sourceHi: u64, sourceLo: u64, hi: u64, lo: u64, oif: u32, protocol: u32, trafficClass: u32,
  hops: u32, label: bool): i32 {
  const ports = load<u32>(packet.data);
  const route = changetype<Route>(ns.scratch);
  const result = route6Output(ns, hi, lo, sourceHi, sourceLo, oif, packet.mark, route);
  if (result != 0) {
    if (result == -ENETUNREACH) snmp6Inc(ns, SNMP6_IP_OUTNOROUTES);
    skbDrop(packet, ns, 0, DROP_IP_OUTNOROUTES);
    return result;
  }
  return ip6SendRouted(packet, ns, route, hi, lo, protocol, trafficClass,
    label ? autoLabel(ns, route.sourceHi, route.sourceLo, hi, lo, protocol, ports) : 0, hops);
}

/** After NAT or a mark changed a local packet in OUTPUT: routes it anew (ip6_route_me_harder). 0 or -errno. */
export function ip6RouteMeHarder(skb: Skb, ns: Netns): i32 {
  const ip = Ipv6View.at(skb.network);
  const route = changetype<Route>(ns.scratch);
  const strict = isMulticast6(ip.destinationHi) || (ip.destinationHi & 0xc0ff) == 0x80fe;
  const oif = strict && skb.rtDev != 0 ? changetype<NetDevice>(skb.rtDev).ifindex : 0;
  const own = inet6AddrType(ns, ip.sourceHi, ip.sourceLo) == RTN_LOCAL;
  const result = route6Lookup(ns, ip.destinationHi, ip.destinationLo, own ? ip.sourceHi : 0, own ? ip.sourceLo : 0, oif, skb.mark,
    ip.flowLabel, route);
  if (result != 0) {
    rerouteError = result;
    snmp6Inc(ns, SNMP6_IP_OUTNOROUTES);
    return result;
  }
  skbSetRoute(skb, route);
  return 0;
}

/**
 * Sends what a raw socket brings with its own header (rawv6_send_hdrinc), `data` at it. Its source takes no part in routing.
 */
export function ip6RawOut(skb: Skb, ns: Netns): i32 {
  const ip = Ipv6View.at(skb.data);
  const route = changetype<Route>(ns.scratch);
  const result = route6Lookup(ns, ip.destinationHi, ip.destinationLo, 0, 0, 0, skb.mark, 0, route);
  if (result != 0) {
    skbDrop(skb, ns, 0, DROP_IP_OUTNOROUTES);
    return result;
  }
  if (skbLength(skb) > changetype<NetDevice>(route.dev).mtu) {
    skbDrop(skb, ns, route.dev, DROP_PKT_TOO_BIG);
    return -EMSGSIZE;
  }
  skbSetRoute(skb, route);
  return ip6LocalOut(prepared(skb), ns);
}

/** A packet of the kernel's own with its header complete (a RST, TEE's copy); a route that it has (`rtDev`) stands. */
export function ip6LocalOutBuilt(skb: Skb, ns: Netns, oif: u32): i32 {
  if (skb.rtDev == 0) {
    const ip = Ipv6View.at(skb.data);
    const route = changetype<Route>(ns.scratch);
    const own = inet6AddrType(ns, ip.sourceHi, ip.sourceLo) == RTN_LOCAL;
    const result = route6Lookup(ns, ip.destinationHi, ip.destinationLo, own ? ip.sourceHi : 0, own ? ip.sourceLo : 0, oif, skb.mark,
      ip.flowLabel, route);
    if (result != 0) {
      if (result == -ENETUNREACH) snmp6Inc(ns, SNMP6_IP_OUTNOROUTES);
      skbDrop(skb, ns, 0, DROP_IP_OUTNOROUTES);
      return result;
    }
    skbSetRoute(skb, route);
  }
  return ip6LocalOut(prepared(skb), ns);
}

function prepared(skb: Skb): Skb {
  skb.network = skb.data;
  skb.protocol = ETH_P_IPV6;
  ip6Walk(skb);
  return skb;
}

/** ip6_local_out and dst_output: `network`, the route and the walk are there. */
export function ip6LocalOut(packet: Skb, ns: Netns): i32 {
  snmp6Inc(ns, SNMP6_IP_OUTREQUESTS);
  packet.inDev = 0;
  const skb = ip6DefragHook(packet, ns, DEFRAG6_OUT);
  if (changetype<usize>(skb) == 0) return 0;
  const before = rerouteError;
  rerouteError = 0;
  const verdict = nfHook6(HOOK_OUTPUT, skb, ns, 0, skb.rtDev);
  const error = rerouteError;
  rerouteError = before;
  if (verdict == NF_STOLEN) return 0;
  if (verdict != NF_ACCEPT) {
    skbDrop(skb, ns, skb.rtDev, DROP_NETFILTER);
    return error != 0 ? error : -EPERM;
  }
  return dst6Output(skb, ns);
}

/** A packet that has its route leaves (ip6_output). */
export function dst6Output(skb: Skb, ns: Netns): i32 {
  const dev = changetype<NetDevice>(skb.rtDev);
  skb.dev = skb.rtDev;
  if (dev.inet6 == 0 || conf6(dev, CONF6_DISABLE_IPV6) != 0) {
    snmp6Inc(ns, SNMP6_IP_OUTDISCARDS);
    skbDrop(skb, ns, skb.rtDev, DROP_NOT_SPECIFIED);
    return 0;
  }
  const verdict = nfHook6(HOOK_POSTROUTING, skb, ns, skb.inDev, skb.rtDev);
  if (verdict == NF_STOLEN) return 0;
  if (verdict != NF_ACCEPT) {
    skbDrop(skb, ns, skb.rtDev, DROP_NETFILTER);
    return -EPERM;
  }
  return finish6(skb, ns);
}

/** After POSTROUTING (ip6_finish_output). */
export function finish6(skb: Skb, ns: Netns): i32 {
  if (skb.sock != 0 && !cgroupLets(skb, ns)) return -EPERM;
  const length = skbLength(skb);
  if (length > skb.rtMtu || (skb.fragMax != 0 && length > skb.fragMax)) return fragment(skb, ns, skb.rtMtu);
  finishOutput6(skb, ns);
  return 0;
}

/** A packet that fits goes to its neighbour (ip6_finish_output2). */
export function finishOutput6(packet: Skb, ns: Netns): void {
  const dev = changetype<NetDevice>(packet.rtDev);
  const ip = Ipv6View.at(packet.network);
  const hi = ip.destinationHi, lo = ip.destinationLo, group = isMulticast6(hi), loopback = dev.kind == DEV_LOOPBACK;
  if (group) {
    if (!loopback && (packet.ipFlags & IP6SKB_NOLOOP) == 0 && memberOf(dev, hi, lo)) {
      loopBack(packet, ns, dev);
      if (ip.hopLimit == 0) {
        snmp6Inc(ns, SNMP6_IP_OUTDISCARDS);
        skbDrop(packet, ns, packet.rtDev, DROP_NOT_SPECIFIED);
        return;
      }
    }
    snmp6Inc(ns, SNMP6_IP_OUTMCASTPKTS);
    snmp6Add(ns, SNMP6_IP_OUTMCASTOCTETS, skbLength(packet));
    if (multicastScope6(hi) <= 1 && !loopback) {
      skbDrop(packet, ns, packet.rtDev, DROP_NOT_SPECIFIED);
      return;
    }
  }
  snmp6Inc(ns, SNMP6_IP_OUTTRANSMITS);
  snmp6Add(ns, SNMP6_IP_OUTOCTETS, skbLength(packet));
  if (!group && !loopback && (dev.flags & IFF_NOARP) == 0) {
    neighOutput(packet, dev, packet.rtGatewayHi, packet.rtGatewayLo);
    return;
  }
  // ndisc_constructor: groups have their addresses by rule (ipv6_eth_mc_map), without neighbour discovery everybody has the device's own.
  const skb = skbEnsureHeadroom(packet, ETH_HEADER_LEN, dev);
  if (changetype<usize>(skb) == 0) return;
  const eth = EthernetView.at(skbPush(skb, ETH_HEADER_LEN));
  skb.mac = skb.data;
  if (loopback) eth.write(0, 0, 0, 0, ETH_P_IPV6);
  else if (group) writeGroup(eth, lo, dev);
  else eth.write(dev.mac0, dev.mac1, dev.mac0, dev.mac1, ETH_P_IPV6);
  devQueueXmit(skb, dev);
}

/** 33:33 and the low 32 bits, RFC 2464 section 7. */
export function writeGroup(eth: EthernetView, lo: u64, dev: NetDevice): void {
  const low = <u32>(lo >> 32);
  eth.write(0x3333 | (low << 16), low >>> 16, dev.mac0, dev.mac1, ETH_P_IPV6);
}

/** A copy of what we send to a group that we belong to (dev_loopback_xmit). */
function loopBack(skb: Skb, ns: Netns, dev: NetDevice): void {
  const copy = skbCopy(skb);
  if (changetype<usize>(copy) == 0) return;
  skbCopyRoute(skb, copy);
  nfSkbShare(copy, skb);
  copy.ipFlags = IPSKB_LOOPED;
  const verdict = nfHook6(HOOK_POSTROUTING, copy, ns, 0, changetype<usize>(dev));
  if (verdict == NF_ACCEPT) loopBackFinish6(copy, dev);
  else if (verdict != NF_STOLEN) skbDrop(copy, ns, changetype<usize>(dev), DROP_NETFILTER);
}

export function loopBackFinish6(copy: Skb, dev: NetDevice): void {
  EthernetView.at(skbPush(copy, ETH_HEADER_LEN)).write(dev.mac0, dev.mac1, dev.mac0, dev.mac1, ETH_P_IPV6);
  netifRx(copy, dev);
}

/** The end of what every fragment repeats (ip6_find_1stfragopt); where its last "next header" field stands is in `unfragmentedNext`. */
let unfragmentedNext: u32 = 6;
function unfragmentable(skb: Skb): u32 {
  const base = skb.network;
  let offset = IPV6_HEADER_LEN, next = Ipv6View.at(base).nextHeader, at: u32 = 6, seenRouting = false;
  while (base + <usize>(offset + 8) <= skb.tail) {
    if (next == NEXTHDR_ROUTING) seenRouting = true;
    // Destination options belong to it only in front of a routing header.
    if (next != NEXTHDR_HOP && next != NEXTHDR_ROUTING && (next != NEXTHDR_DEST || seenRouting)) break;
    if (next == NEXTHDR_DEST && <u32>load<u8>(base + <usize>offset) != NEXTHDR_ROUTING) break;
    const length = (<u32>load<u8>(base + <usize>offset, 1) + 1) << 3;
    if (base + <usize>(offset + length) > skb.tail) break;
    at = offset;
    next = <u32>load<u8>(base + <usize>offset);
    offset += length;
  }
  unfragmentedNext = at;
  return offset;
}

/** Sends the packet in pieces (ip6_fragment): those it came in where they fit, else as large as the MTU lets them be. */
function fragment(skb: Skb, ns: Netns, pathMtu: u32): i32 {
  const head = unfragmentable(skb), nextAt = unfragmentedNext;
  const total = skbLength(skb) - head;
  let mtu = pathMtu, result = 0;
  if (((skb.ipFlags & IPSKB_IGNORE_DF) == 0 && skbLength(skb) > mtu) || skb.fragMax > mtu) result = -EMSGSIZE;
  else {
    if (skb.fragMax != 0) mtu = max<u32>(skb.fragMax, IPV6_MIN_MTU);
    if (mtu < head + FRAG_HEADER_LEN + 8) result = -EMSGSIZE;
  }
  if (result != 0) {
    skb.dev = skb.rtDev;
    icmp6Send(skb, ns, ICMPV6_PKT_TOOBIG, 0, pathMtu);
    snmp6Inc(ns, SNMP6_IP_FRAGFAILS);
    skbDrop(skb, ns, skb.rtDev, DROP_PKT_TOO_BIG);
    return result;
  }
  const id = random32();
  const most = mtu - head - FRAG_HEADER_LEN;
  if (skb.fragLengths != 0 && piecesFit(skb.fragLengths, most, total)) {
    const count = load<u32>(skb.fragLengths, 4);
    for (let i: u32 = 0, offset: u32 = 0; i < count && result == 0; i++) {
      const length = <u32>load<u16>(skb.fragLengths + 8 + <usize>(i << 1));
      result = piece(skb, ns, head, nextAt, offset, length, i + 1 < count, id);
      offset += length;
    }
  } else {
    for (let offset: u32 = 0; offset < total && result == 0;) {
      const left = total - offset;
      const length = left <= most ? left : most & ~7;
      result = piece(skb, ns, head, nextAt, offset, length, offset + length < total, id);
      offset += length;
    }
  }
  if (result == 0) {
    snmp6Inc(ns, SNMP6_IP_FRAGOKS);
    skbFree(skb);
    return 0;
  }
  snmp6Inc(ns, SNMP6_IP_FRAGFAILS);
  skbDrop(skb, ns, skb.rtDev, DROP_NO_MEMORY);
  return result;
}

function piecesFit(lengths: usize, most: u32, total: u32): bool {
  const count = load<u32>(lengths, 4);
  let sum: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const length = <u32>load<u16>(lengths + 8 + <usize>(i << 1));
    if (length > most || ((length & 7) != 0 && i + 1 < count)) return false;
    sum += length;
  }
  return sum == total;
}

function piece(skb: Skb, ns: Netns, head: u32, nextAt: u32, offset: u32, length: u32, more: bool, id: u32): i32 {
  const part = skbAlloc(head + FRAG_HEADER_LEN + length);
  if (changetype<usize>(part) == 0) return -ENOBUFS;
  part.network = part.data;
  memory.copy(part.data, skb.network, <usize>head);
  const header = part.data + <usize>head;
  store<u8>(header, load<u8>(part.data + <usize>nextAt));
  store<u8>(part.data + <usize>nextAt, <u8>NEXTHDR_FRAGMENT);
  store<u8>(header, 0, 1);
  putBe16(header, 2, offset | (more ? IP6_MF : 0));
  store<u32>(header, id, 4);
  memory.copy(header + FRAG_HEADER_LEN, skb.network + <usize>(head + offset), <usize>length);
  part.tail = header + <usize>(FRAG_HEADER_LEN + length);
  Ipv6View.at(part.network).payloadLength = head + FRAG_HEADER_LEN + length - IPV6_HEADER_LEN;
  part.id = skb.id;
  part.dev = skb.dev;
  part.inDev = skb.inDev;
  part.protocol = skb.protocol;
  part.pktType = skb.pktType;
  part.mark = skb.mark;
  part.priority = skb.priority;
  part.hops = skb.hops;
  part.vlan = skb.vlan;
  skbCopyRoute(skb, part);
  ip6Walk(part);
  snmp6Inc(ns, SNMP6_IP_FRAGCREATES);
  finishOutput6(part, ns);
  return 0;
}
