// Neighbour discovery, RFC 4861: solicitations and advertisements of neighbours (net/ipv6/ndisc.c). Entries stand in the table that both
// families share (neighbour.ts).
import {
  DEV_LOOPBACK, DROP_IPV6_NDISC_BAD_CODE, DROP_IPV6_NDISC_BAD_OPTIONS, DROP_IPV6_NDISC_FRAG, DROP_IPV6_NDISC_HOP_LIMIT,
  DROP_IPV6_NDISC_NS_OTHERHOST, DROP_NOT_SPECIFIED, DROP_PKT_TOO_SMALL, NUD_FAILED, NUD_REACHABLE, NUD_STALE, PACKET_HOST,
  RTN_MULTICAST, RTN_UNICAST,
} from "../abi/net";
import {
  CONF6_ACCEPT_UNTRACKED_NA, CONF6_DROP_UNSOLICITED_NA, CONF6_FORCE_TLLAO, CONF6_FORWARDING, CONF6_NDISC_TCLASS,
  CONF6_NEIGH_PROXY_DELAY, CONF6_PROXY_NDP, CONF6_SUPPRESS_FRAG_NDISC, IFA_F_OPTIMISTIC, IFA_F_TENTATIVE,
} from "../abi/net6";
import { NetDevice, Netns, Skb } from "../layout";
import { be32, putBe32 } from "../wire/bytes";
import { ETH_P_IPV6 } from "../wire/ethernet";
import {
  NDISC_NEIGHBOUR_ADVERTISEMENT, NDISC_NEIGHBOUR_SOLICITATION, NDISC_ROUTER_ADVERTISEMENT, NDISC_ROUTER_SOLICITATION,
  ND_OPT_NONCE, ND_OPT_SOURCE_LL_ADDR, ND_OPT_TARGET_LL_ADDR,
} from "../wire/icmp6";
import {
  ALL_NODES_LO, IPPROTO_ICMPV6, IPV6_HEADER_LEN, Ipv6View, MULTICAST_LINK_HI, isAny6, isMulticast6, isSolicitedNode6, solicitedNodeLo,
} from "../wire/ipv6";
import { Address6, addressOf, anycastOf, dadFailed, linkLocalOf } from "./addrconf";
import { saddrHi, saddrLo, sourceFor } from "./addrconf-select";
import { icmp6Checksum, icmp6OutCount } from "./icmp6";
import { conf6, confAll6, inet6Of } from "./inet6";
import { IP6SKB_FRAGMENTED } from "./ip6-ext";
import { IP6SKB_NOLOOP, ip6LocalOut } from "./ip6-output";
import { proxyDelay6, proxyFind, proxyIsRouter } from "./ndisc-proxy";
import { ndiscRedirect } from "./ndisc-redirect";
import { routerAdvertisement, routerSolicitation } from "./ndisc-router";
import {
  NEIGH_ISROUTER, NEIGH_OVERRIDE, NEIGH_OVERRIDE_ISROUTER, NEIGH_WEAK_OVERRIDE, Neighbour, neighFind, neighFindOrCreate, neighUpdate,
} from "./neighbour";
import { skbAlloc, skbDrop, skbFree, skbLength, skbPush } from "./skb";

/** ND messages have travelled no further than the link. */
export const HOP_LIMIT: u32 = 255;
const NA_ROUTER: u32 = 0x80000000, NA_SOLICITED: u32 = 0x40000000, NA_OVERRIDE: u32 = 0x20000000;

/** An ND message of `length` bytes, zero, to be filled in and given to ndiscSend(); null (0): no buffer. */
export function ndiscAlloc(length: u32): Skb {
  const skb = skbAlloc(length);
  if (changetype<usize>(skb) == 0) return skb;
  skb.tail = skb.data + <usize>length;
  memory.fill(skb.data, 0, <usize>length);
  return skb;
}

/** Sends an ND message (ndisc_send_skb): makes its checksum and its header, and runs OUTPUT. `source` may be ::. */
export function ndiscSend(skb: Skb, dev: NetDevice, sourceHi: u64, sourceLo: u64, hi: u64, lo: u64, hopLimit: u32 = HOP_LIMIT): void {
  const ns = changetype<Netns>(dev.ns);
  const type = <u32>load<u8>(skb.data), length = skbLength(skb);
  icmp6Checksum(skb.data, length, sourceHi, sourceLo, hi, lo);
  skb.transport = skb.data;
  skb.network = skbPush(skb, IPV6_HEADER_LEN);
  skb.protocol = ETH_P_IPV6;
  skb.nextHeader = IPPROTO_ICMPV6;
  Ipv6View.at(skb.network).write(<u32>conf6(dev, CONF6_NDISC_TCLASS), 0, length, IPPROTO_ICMPV6, hopLimit, sourceHi, sourceLo, hi, lo);
  ndiscRoute(skb, dev, hi, lo);
  icmp6OutCount(ns, type);
  ip6LocalOut(skb, ns);
}

/** The way onto the link itself (icmp6_dst_alloc). */
export function ndiscRoute(skb: Skb, dev: NetDevice, hi: u64, lo: u64): void {
  skb.rtType = isMulticast6(hi) ? RTN_MULTICAST : RTN_UNICAST;
  skb.rtDev = changetype<usize>(dev);
  skb.rtMtu = dev.mtu;
  skb.rtGatewayHi = hi;
  skb.rtGatewayLo = lo;
  skb.ipFlags |= IP6SKB_NOLOOP;
}

/** A link-layer address option of 8 bytes. */
export function putLinkOption(at: usize, type: u32, mac0: u32, mac1: u32): void {
  store<u8>(at, <u8>type);
  store<u8>(at, 1, 1);
  store<u32>(at, mac0, 2);
  store<u16>(at, <u16>mac1, 6);
}

/** Asks who has `target` (ndisc_send_ns). A source of :: asks for ourselves; `nonce` tells our own question from another's, 0: none. */
export function ndiscSendNs(dev: NetDevice, targetHi: u64, targetLo: u64, hi: u64, lo: u64, sourceHi: u64, sourceLo: u64, nonce: u64): void {
  const any = isAny6(sourceHi, sourceLo);
  const skb = ndiscAlloc(24 + (any ? 0 : 8) + (nonce != 0 ? 8 : 0));
  if (changetype<usize>(skb) == 0) return;
  store<u8>(skb.data, <u8>NDISC_NEIGHBOUR_SOLICITATION);
  store<u64>(skb.data, targetHi, 8);
  store<u64>(skb.data, targetLo, 16);
  let at = skb.data + 24;
  if (!any) {
    putLinkOption(at, ND_OPT_SOURCE_LL_ADDR, dev.mac0, dev.mac1);
    at += 8;
  }
  if (nonce != 0) {
    store<u64>(at, nonce << 16);
    store<u8>(at, <u8>ND_OPT_NONCE);
    store<u8>(at, 1, 1);
  }
  ndiscSend(skb, dev, sourceHi, sourceLo, hi, lo);
}

/** Says who has `target` (ndisc_send_na). */
export function ndiscSendNa(dev: NetDevice, hi: u64, lo: u64, targetHi: u64, targetLo: u64, router: bool, solicited: bool, replace: bool,
  option: bool): void {
  const ns = changetype<Netns>(dev.ns);
  const own = addressOf(dev, targetHi, targetLo);
  let sourceHi = targetHi, sourceLo = targetLo, overrides = replace, options = option;
  if (own != 0) {
    if (changetype<Address6>(own).flags & IFA_F_OPTIMISTIC) overrides = false;
    options = options || conf6(dev, CONF6_FORCE_TLLAO) != 0;
  } else {
    // An anycast or proxied address.
    if (!sourceFor(ns, changetype<usize>(dev), hi, lo)) return;
    sourceHi = saddrHi;
    sourceLo = saddrLo;
  }
  const skb = ndiscAlloc(options ? 32 : 24);
  if (changetype<usize>(skb) == 0) return;
  store<u8>(skb.data, <u8>NDISC_NEIGHBOUR_ADVERTISEMENT);
  putBe32(skb.data, 4, (router ? NA_ROUTER : 0) | (solicited ? NA_SOLICITED : 0) | (overrides ? NA_OVERRIDE : 0));
  store<u64>(skb.data, targetHi, 8);
  store<u64>(skb.data, targetLo, 16);
  if (options) putLinkOption(skb.data + 24, ND_OPT_TARGET_LL_ADDR, dev.mac0, dev.mac1);
  ndiscSend(skb, dev, sourceHi, sourceLo, hi, lo);
}

/** Asks for a neighbour's address (ndisc_solicit). `packet`: the IPv6 header of the packet that waits, 0: none. */
export function ndiscSolicit(dev: NetDevice, hi: u64, lo: u64, packet: usize, unicast: bool): void {
  let sourceHi: u64 = 0, sourceLo: u64 = 0;
  if (packet != 0) {
    const ip = Ipv6View.at(packet);
    const own = addressOf(dev, ip.sourceHi, ip.sourceLo);
    if (own != 0 && (changetype<Address6>(own).flags & (IFA_F_TENTATIVE | IFA_F_OPTIMISTIC)) == 0) {
      sourceHi = ip.sourceHi;
      sourceLo = ip.sourceLo;
    }
  }
  if (isAny6(sourceHi, sourceLo)) {
    const link = linkLocalOf(dev, IFA_F_TENTATIVE | IFA_F_OPTIMISTIC);
    if (link == 0) return;
    sourceHi = changetype<Address6>(link).hi;
    sourceLo = changetype<Address6>(link).lo;
  }
  ndiscSendNs(dev, hi, lo, unicast ? hi : MULTICAST_LINK_HI, unicast ? lo : solicitedNodeLo(lo), sourceHi, sourceLo, 0);
}

/** conf.ndisc_notify: tells everybody the device's addresses anew (ndisc_send_unsol_na), its MAC has changed. */
export function ndiscAnnounce(dev: NetDevice): void {
  if (dev.inet6 == 0) return;
  for (let at = inet6Of(dev).addresses; at != 0; at = changetype<Address6>(at).next) {
    const a = changetype<Address6>(at);
    if (a.flags & IFA_F_TENTATIVE) continue;
    ndiscSendNa(dev, MULTICAST_LINK_HI, ALL_NODES_LO, a.hi, a.lo, conf6(dev, CONF6_FORWARDING) != 0, false, true, true);
  }
}

/**
 * The options from `at` up to `end` (ndisc_parse_options): false, a length is zero or leads beyond the end. The first option of the type
 * `wanted` is in `optionAt`, 0: none.
 */
export let optionAt: usize = 0;
export function ndiscOption(at: usize, end: usize, wanted: u32): bool {
  optionAt = 0;
  let p = at;
  while (p < end) {
    if (p + 8 > end) return false;
    const length = <usize>load<u8>(p, 1) << 3;
    if (length == 0 || p + length > end) return false;
    if (optionAt == 0 && <u32>load<u8>(p) == wanted) optionAt = p;
    p += length;
  }
  return true;
}

/** An ND message for this host, `data` at its header (ndisc_rcv). Takes the packet. */
export function ndiscReceive(skb: Skb, ns: Netns, dev: NetDevice, type: u32): void {
  const ip = Ipv6View.at(skb.network);
  let reason: i32;
  if ((skb.ipFlags & IP6SKB_FRAGMENTED) != 0 && conf6(dev, CONF6_SUPPRESS_FRAG_NDISC) != 0) reason = DROP_IPV6_NDISC_FRAG;
  else if (ip.hopLimit != HOP_LIMIT) reason = DROP_IPV6_NDISC_HOP_LIMIT;
  else if (load<u8>(skb.data, 1) != 0) reason = DROP_IPV6_NDISC_BAD_CODE;
  else if (type == NDISC_NEIGHBOUR_SOLICITATION) reason = solicitation(skb, ns, dev);
  else if (type == NDISC_NEIGHBOUR_ADVERTISEMENT) reason = advertisement(skb, ns, dev);
  else if (type == NDISC_ROUTER_ADVERTISEMENT) reason = routerAdvertisement(skb, ns, dev);
  else if (type == NDISC_ROUTER_SOLICITATION) reason = routerSolicitation(skb, dev);
  else reason = ndiscRedirect(skb, ns, dev);
  if (reason < 0) skbFree(skb);
  else skbDrop(skb, ns, changetype<usize>(dev), <u32>reason);
}

/** ndisc_recv_ns; -1: handled, else why not. */
function solicitation(skb: Skb, ns: Netns, dev: NetDevice): i32 {
  const ip = Ipv6View.at(skb.network), at = skb.data;
  if (skbLength(skb) < 24) return DROP_PKT_TOO_SMALL;
  const targetHi = load<u64>(at, 8), targetLo = load<u64>(at, 16);
  const dad = isAny6(ip.sourceHi, ip.sourceLo);
  if (isMulticast6(targetHi)) return DROP_NOT_SPECIFIED;
  if (dad && !isSolicitedNode6(ip.destinationHi, ip.destinationLo)) return DROP_NOT_SPECIFIED;
  if (!ndiscOption(at + 24, skb.tail, ND_OPT_NONCE)) return DROP_IPV6_NDISC_BAD_OPTIONS;
  const nonce: u64 = optionAt != 0 && load<u8>(optionAt, 1) == 1 ? load<u64>(optionAt) >> 16 : 0;
  ndiscOption(at + 24, skb.tail, ND_OPT_SOURCE_LL_ADDR);
  const link = optionAt;
  if (link != 0 && (load<u8>(link, 1) != 1 || dad)) return DROP_NOT_SPECIFIED;
  const group = isMulticast6(ip.destinationHi);
  const own = addressOf(dev, targetHi, targetLo);
  let router: i32 = -1;
  if (own != 0) {
    const a = changetype<Address6>(own);
    if (a.flags & (IFA_F_TENTATIVE | IFA_F_OPTIMISTIC)) {
      if (dad) {
        if (nonce == 0 || a.nonce != nonce) dadFailed(a);
        return DROP_NOT_SPECIFIED;
      }
      if ((a.flags & IFA_F_OPTIMISTIC) == 0) return DROP_NOT_SPECIFIED;
    }
  } else {
    let ours = anycastOf(ns, dev, targetHi, targetLo);
    if (!ours && conf6(dev, CONF6_FORWARDING) != 0 && (confAll6(ns, CONF6_PROXY_NDP) != 0 || conf6(dev, CONF6_PROXY_NDP) != 0)) {
      const proxy = proxyFind(ns, dev, targetHi, targetLo);
      ours = proxy != 0;
      if (ours) router = proxyIsRouter(proxy);
    }
    if (!ours) return DROP_IPV6_NDISC_NS_OTHERHOST;
    if (skb.pktType != PACKET_HOST && group && conf6(dev, CONF6_NEIGH_PROXY_DELAY) != 0) {
      // Answers for others wait a while, so that the host itself may answer first.
      proxyDelay6(dev, ip.sourceHi, ip.sourceLo, targetHi, targetLo, link, router < 0 ? conf6(dev, CONF6_FORWARDING) : router);
      return DROP_NOT_SPECIFIED;
    }
  }
  if (router < 0) router = conf6(dev, CONF6_FORWARDING);
  ndiscAnswer(dev, ip.sourceHi, ip.sourceLo, targetHi, targetLo, link, router != 0, group);
  return -1;
}

/** The answer to a solicitation from `from`, whose link-layer address option stands at `link` (0: none). */
export function ndiscAnswer(dev: NetDevice, fromHi: u64, fromLo: u64, targetHi: u64, targetLo: u64, link: usize, router: bool, group: bool): void {
  const own = addressOf(dev, targetHi, targetLo) != 0;
  if (isAny6(fromHi, fromLo)) {
    ndiscSendNa(dev, MULTICAST_LINK_HI, ALL_NODES_LO, targetHi, targetLo, router, false, own, true);
    return;
  }
  const at = !group || link != 0 ? neighFindOrCreate(dev, fromHi, fromLo) : neighFind(dev, fromHi, fromLo);
  if (at == 0) return;
  neighUpdate(changetype<Neighbour>(at), link != 0, link != 0 ? load<u32>(link, 2) : 0, link != 0 ? <u32>load<u16>(link, 6) : 0, NUD_STALE,
    NEIGH_WEAK_OVERRIDE | NEIGH_OVERRIDE);
  ndiscSendNa(dev, fromHi, fromLo, targetHi, targetLo, router, true, own && group, group);
}

/** ndisc_recv_na */
function advertisement(skb: Skb, ns: Netns, dev: NetDevice): i32 {
  const ip = Ipv6View.at(skb.network), at = skb.data;
  if (skbLength(skb) < 24) return DROP_PKT_TOO_SMALL;
  const targetHi = load<u64>(at, 8), targetLo = load<u64>(at, 16), flags = be32(at, 4);
  const solicited = (flags & NA_SOLICITED) != 0;
  if (isMulticast6(targetHi) || (isMulticast6(ip.destinationHi) && solicited)) return DROP_NOT_SPECIFIED;
  if (!solicited && conf6(dev, CONF6_DROP_UNSOLICITED_NA) != 0) return DROP_NOT_SPECIFIED;
  if (!ndiscOption(at + 24, skb.tail, ND_OPT_TARGET_LL_ADDR)) return DROP_IPV6_NDISC_BAD_OPTIONS;
  const link = optionAt;
  if (link != 0 && load<u8>(link, 1) != 1) return DROP_NOT_SPECIFIED;
  const own = addressOf(dev, targetHi, targetLo);
  if (own != 0) {
    if (dev.kind != DEV_LOOPBACK && (changetype<Address6>(own).flags & IFA_F_TENTATIVE) != 0) dadFailed(changetype<Address6>(own));
    return DROP_NOT_SPECIFIED;
  }
  let found = neighFind(dev, targetHi, targetLo);
  let state = solicited ? NUD_REACHABLE : NUD_STALE;
  if (found == 0 && link != 0 && conf6(dev, CONF6_FORWARDING) != 0 && acceptsUntracked(dev, ip.sourceHi, ip.sourceLo)) {
    // RFC 9131
    found = neighFindOrCreate(dev, targetHi, targetLo);
    state = NUD_STALE;
  }
  if (found == 0) return DROP_NOT_SPECIFIED;
  const n = changetype<Neighbour>(found);
  if (n.state & NUD_FAILED) return DROP_NOT_SPECIFIED;
  const mac0 = link != 0 ? load<u32>(link, 2) : 0, mac1 = link != 0 ? <u32>load<u16>(link, 6) : 0;
  // Our own answer for another does not replace what we know of it.
  if (link != 0 && mac0 == dev.mac0 && mac1 == dev.mac1 && confAll6(ns, CONF6_FORWARDING) != 0 && confAll6(ns, CONF6_PROXY_NDP) != 0
    && proxyFind(ns, dev, targetHi, targetLo) != 0) return DROP_NOT_SPECIFIED;
  neighUpdate(n, link != 0, mac0, mac1, state, NEIGH_WEAK_OVERRIDE | NEIGH_OVERRIDE_ISROUTER
    | ((flags & NA_OVERRIDE) != 0 ? NEIGH_OVERRIDE : 0) | ((flags & NA_ROUTER) != 0 ? NEIGH_ISROUTER : 0));
  return -1;
}

/** accept_untracked_na: 1 from anybody, 2 from who shares a subnet with us. */
function acceptsUntracked(dev: NetDevice, hi: u64, lo: u64): bool {
  const mode = conf6(dev, CONF6_ACCEPT_UNTRACKED_NA);
  if (mode != 2) return mode == 1;
  for (let at = inet6Of(dev).addresses; at != 0; at = changetype<Address6>(at).next) {
    const a = changetype<Address6>(at);
    if (a.prefix <= 64 ? ((a.hi ^ hi) & maskOf(a.prefix)) == 0 : a.hi == hi && ((a.lo ^ lo) & maskOf(a.prefix - 64)) == 0) return true;
  }
  return false;
}

function maskOf(bits: u32): u64 {
  return bits == 0 ? 0 : bswap<u64>(<u64>-1 << <u64>(64 - bits));
}
