// Redirects: "there is a better first hop", RFC 4861 section 8 (net/ipv6/ndisc.c, ndisc_send_redirect, ndisc_redirect_rcv; route.c,
// rt6_do_redirect).
import { DROP_IPV6_NDISC_BAD_OPTIONS, DROP_NOT_SPECIFIED, DROP_PKT_TOO_SMALL, NUD_STALE } from "../abi/net";
import { CONF6_ACCEPT_REDIRECTS, CONF6_FORWARDING, IFA_F_TENTATIVE, SNMP6_ICMP_INERRORS } from "../abi/net6";
import { NetDevice, Netns, Skb } from "../layout";
import { NDISC_REDIRECT, ND_OPT_REDIRECT_HDR, ND_OPT_TARGET_LL_ADDR } from "../wire/icmp6";
import { IPV6_HEADER_LEN, IPV6_MIN_MTU, Ipv6View, isLinkLocal6, isMulticast6 } from "../wire/ipv6";
import { Address6, linkLocalOf } from "./addrconf";
import { conf6, snmp6Inc } from "./inet6";
import { NEXTHDR_BAD, foundAt, ip6Follow } from "./ip6-ext";
import { route6Lookup } from "./ip6-route";
import { ndiscAlloc, ndiscOption, ndiscSend, optionAt, putLinkOption } from "./ndisc";
import {
  NEIGH_ISROUTER, NEIGH_OVERRIDE, NEIGH_OVERRIDE_ISROUTER, NEIGH_WEAK_OVERRIDE, Neighbour, neighFindOrCreate, neighUpdate, neighValid,
} from "./neighbour";
import { peerAllowEvery, redirectLearn6 } from "./peers";
import { RTF_GATEWAY, Route } from "./route";
import { sockIcmpError6 } from "../sock/receive6";
import { skbLength } from "./skb";

const MESSAGE: u32 = 40; // {137, 0, checksum, 0} target, destination

/**
 * Tells the sender of `skb` that `target` is the better first hop towards its destination (ndisc_send_redirect); `direct`: the destination
 * itself is. Does not take the packet.
 */
export function ndiscSendRedirect(skb: Skb, ns: Netns, dev: NetDevice, targetHi: u64, targetLo: u64, direct: bool): void {
  const ip = Ipv6View.at(skb.network);
  const link = linkLocalOf(dev, IFA_F_TENTATIVE);
  if (link == 0 || (!direct && !isLinkLocal6(targetHi))) return;
  const sourceHi = changetype<Address6>(link).hi, sourceLo = changetype<Address6>(link).lo;
  const route = changetype<Route>(ns.scratch);
  if (route6Lookup(ns, ip.sourceHi, ip.sourceLo, sourceHi, sourceLo, dev.ifindex, 0, 0, route) != 0 || (route.flags & RTF_GATEWAY) != 0) return;
  if (!peerAllowEvery(ns, ip.sourceHi, ip.sourceLo, 250)) return;
  const at = neighFindOrCreate(dev, targetHi, targetLo);
  if (at == 0) return;
  const n = changetype<Neighbour>(at), known = neighValid(n);
  const before = MESSAGE + (known ? 8 : 0);
  const quoted = min<u32>(IPV6_MIN_MTU - IPV6_HEADER_LEN - before, skbLength(skb) + 8) & ~7;
  const out = ndiscAlloc(before + quoted);
  if (changetype<usize>(out) == 0) return;
  store<u8>(out.data, <u8>NDISC_REDIRECT);
  store<u64>(out.data, targetHi, 8);
  store<u64>(out.data, targetLo, 16);
  store<u64>(out.data, ip.destinationHi, 24);
  store<u64>(out.data, ip.destinationLo, 32);
  if (known) putLinkOption(out.data + MESSAGE, ND_OPT_TARGET_LL_ADDR, n.mac0, n.mac1);
  const option = out.data + <usize>before;
  store<u8>(option, <u8>ND_OPT_REDIRECT_HDR);
  store<u8>(option, <u8>(quoted >>> 3), 1);
  memory.copy(option + 8, skb.network, <usize>(quoted - 8));
  ndiscSend(out, dev, sourceHi, sourceLo, ip.sourceHi, ip.sourceLo);
}

/** ndisc_redirect_rcv; -1: handled, else why not. Believed from the router that is used, by a host that takes redirects. */
export function ndiscRedirect(skb: Skb, ns: Netns, dev: NetDevice): i32 {
  const ip = Ipv6View.at(skb.network), at = skb.data;
  if (!isLinkLocal6(ip.sourceHi)) return DROP_NOT_SPECIFIED;
  if (skbLength(skb) < MESSAGE) return DROP_PKT_TOO_SMALL;
  if (!ndiscOption(at + MESSAGE, skb.tail, ND_OPT_TARGET_LL_ADDR)) return DROP_IPV6_NDISC_BAD_OPTIONS;
  const link = optionAt;
  const targetHi = load<u64>(at, 8), targetLo = load<u64>(at, 16), hi = load<u64>(at, 24), lo = load<u64>(at, 32);
  if (isMulticast6(hi)) return DROP_NOT_SPECIFIED;
  const direct = hi == targetHi && lo == targetLo;
  if (!direct && !isLinkLocal6(targetHi)) return DROP_NOT_SPECIFIED;
  if (conf6(dev, CONF6_FORWARDING) != 0 || conf6(dev, CONF6_ACCEPT_REDIRECTS) == 0) return DROP_NOT_SPECIFIED;
  if (link != 0 && load<u8>(link, 1) != 1) return DROP_NOT_SPECIFIED;
  // About a flow of ours, where it quotes one (icmpv6_notify, ip6_redirect_no_header).
  ndiscOption(at + MESSAGE, skb.tail, ND_OPT_REDIRECT_HDR);
  if (optionAt != 0 && !quotesOurs(ns, optionAt + 8, optionAt + (<usize>load<u8>(optionAt, 1) << 3))) return DROP_NOT_SPECIFIED;
  const route = changetype<Route>(ns.scratch);
  if (route6Lookup(ns, hi, lo, 0, 0, dev.ifindex, 0, 0, route) != 0) return DROP_NOT_SPECIFIED;
  if (route.dev != changetype<usize>(dev) || route.gatewayHi != ip.sourceHi || route.gatewayLo != ip.sourceLo) return DROP_NOT_SPECIFIED;
  const found = neighFindOrCreate(dev, targetHi, targetLo);
  if (found == 0) return DROP_NOT_SPECIFIED;
  neighUpdate(changetype<Neighbour>(found), link != 0, link != 0 ? load<u32>(link, 2) : 0, link != 0 ? <u32>load<u16>(link, 6) : 0, NUD_STALE,
    NEIGH_WEAK_OVERRIDE | NEIGH_OVERRIDE | (direct ? 0 : NEIGH_OVERRIDE_ISROUTER | NEIGH_ISROUTER));
  redirectLearn6(ns, hi, lo, targetHi, targetLo, ip.sourceHi, ip.sourceLo);
  return -1;
}

function quotesOurs(ns: Netns, inner: usize, end: usize): bool {
  const next = inner + <usize>IPV6_HEADER_LEN > end ? NEXTHDR_BAD
    : ip6Follow(inner + <usize>IPV6_HEADER_LEN, end, Ipv6View.at(inner).nextHeader, false);
  if (next == NEXTHDR_BAD || foundAt + 8 > end) {
    snmp6Inc(ns, SNMP6_ICMP_INERRORS);
    return false;
  }
  return sockIcmpError6(ns, NDISC_REDIRECT, 0, 0, inner, foundAt, next);
}
