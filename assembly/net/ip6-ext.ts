// Extension headers of IPv6 (net/ipv6/exthdrs.c, exthdrs_core.c; RFC 8200 section 4).
//
// The walk: ip6Walk() follows the chain once, when a packet comes in or is built, without judging it, and leaves in the packet
//   skb.nextHeader   the protocol behind the chain; NEXTHDR_BAD: the chain is cut short
//   skb.transport    where that protocol's header begins (of a later fragment: where its piece begins)
//   skb.fragHeader   where the fragment header stands, from `network` on; 0: none
//   skb.fragOffset   its offset and IP6_MF in host order
// This is what netfilter looks at. Judging, header by header, is done where Linux does it: hop-by-hop options before PREROUTING, all
// others by who the packet is for (ip6-input.ts).
import { DROP_IP_INHDR, DROP_NOT_SPECIFIED, DROP_PKT_TOO_SMALL, DROP_UNHANDLED_PROTO, PACKET_HOST } from "../abi/net";
import {
  SNMP6_IP_INADDRERRORS, SNMP6_IP_INHDRERRORS, SYSCTL6_MAX_DST_OPTS_LENGTH, SYSCTL6_MAX_DST_OPTS_NUMBER, SYSCTL6_MAX_HBH_LENGTH,
  SYSCTL6_MAX_HBH_OPTS_NUMBER,
} from "../abi/net6";
import { NetDevice, Netns, Skb } from "../layout";
import { be16, be32 } from "../wire/bytes";
import { ICMPV6_HDR_FIELD, ICMPV6_PARAMPROB, ICMPV6_UNK_OPTION } from "../wire/icmp6";
import {
  IPV6_HEADER_LEN, Ipv6View, NEXTHDR_AUTH, NEXTHDR_DEST, NEXTHDR_FRAGMENT, NEXTHDR_HOP, NEXTHDR_NONE, NEXTHDR_ROUTING, isMulticast6,
} from "../wire/ipv6";
import { icmp6Send } from "./icmp6";
import { snmp6Inc, sysctl6 } from "./inet6";
import { skbDrop, skbLength } from "./skb";

/** Skb.nextHeader of a packet whose chain of headers is cut short. */
export const NEXTHDR_BAD: u32 = 0x100;
export const IP6_MF: u32 = 1;
export const IP6_OFFSET: u32 = 0xfff8;
export const FRAG_HEADER_LEN: u32 = 8;

// Skb.ipFlags of an IPv6 packet beside those of IPv4 that mean the same (IP6SKB_*).
/** Had a fragment header, or was put together from fragments. */
export const IP6SKB_FRAGMENTED: u32 = 0x100;
/** Carries a router alert, whose value is in the packet. */
export const IP6SKB_ROUTERALERT: u32 = 0x200;
/** Went by a routing header that is at its end. */
export const IP6SKB_SRCRT: u32 = 0x400;
/** Was forwarded by this host. */
export const IP6SKB_FORWARDED: u32 = 0x800;

const OPT_PAD1: u32 = 0, OPT_PADN: u32 = 1, OPT_ROUTERALERT: u32 = 5, OPT_JUMBO: u32 = 194;

/** Headers that a chain runs through. */
@inline export function isExtension(next: u32): bool {
  return next == NEXTHDR_HOP || next == NEXTHDR_ROUTING || next == NEXTHDR_FRAGMENT || next == NEXTHDR_AUTH || next == NEXTHDR_NONE
    || next == NEXTHDR_DEST;
}

// Where the last ip6Follow ended.
export let foundAt: usize = 0;
export let foundFragment: usize = 0;

/**
 * Follows a chain that begins with header `next` at `at`, up to `end`; `fragments`: also behind a fragment header that is not the
 * first. Returns the protocol at `foundAt` (`foundFragment`: the fragment header on the way, 0: none), or NEXTHDR_BAD.
 */
export function ip6Follow(at: usize, end: usize, first: u32, fragments: bool): u32 {
  let next = first, p = at;
  foundFragment = 0;
  // Every header takes 8 bytes at least: the end comes.
  while (isExtension(next) && next != NEXTHDR_NONE) {
    if (p + 8 > end) {
      foundAt = p;
      return NEXTHDR_BAD;
    }
    let length: u32;
    if (next == NEXTHDR_FRAGMENT) {
      foundFragment = p;
      if ((be16(p, 2) & IP6_OFFSET) != 0) {
        foundAt = fragments ? p + 8 : p;
        return fragments ? <u32>load<u8>(p) : NEXTHDR_FRAGMENT;
      }
      length = 8;
    } else length = next == NEXTHDR_AUTH ? (<u32>load<u8>(p, 1) + 2) << 2 : (<u32>load<u8>(p, 1) + 1) << 3;
    if (p + <usize>length > end) {
      foundAt = p;
      return NEXTHDR_BAD;
    }
    next = <u32>load<u8>(p);
    p += <usize>length;
  }
  foundAt = p;
  return next;
}

/** The walk over a packet whose fixed header is sound (`network` set, `tail` behind its payload). */
export function ip6Walk(skb: Skb): void {
  const base = skb.network;
  const next = Ipv6View.at(base).nextHeader;
  skb.fragHeader = 0;
  skb.fragOffset = 0;
  if (!isExtension(next)) {
    skb.nextHeader = next;
    skb.transport = base + <usize>IPV6_HEADER_LEN;
    return;
  }
  skb.nextHeader = ip6Follow(base + <usize>IPV6_HEADER_LEN, skb.tail, next, true);
  skb.transport = foundAt;
  if (foundFragment != 0) {
    skb.fragHeader = <u32>(foundFragment - base);
    skb.fragOffset = be16(foundFragment, 2);
  }
}

/**
 * The hop-by-hop options of a packet that came in (ipv6_parse_hopopts): false, they were not sound, or a packet with them is to be
 * thrown away, and it was.
 */
export function ip6HopOptions(skb: Skb, ns: Netns, dev: NetDevice): bool {
  const at = skb.network + <usize>IPV6_HEADER_LEN;
  const room = <u32>(skb.tail - at);
  const length: u32 = room < 8 ? 8 : (<u32>load<u8>(at, 1) + 1) << 3;
  let sound = false;
  if (room < length || length > <u32>sysctl6(ns, SYSCTL6_MAX_HBH_LENGTH)) skbDrop(skb, ns, changetype<usize>(dev), DROP_NOT_SPECIFIED);
  else sound = parseOptions(skb, ns, dev, at, length, true, sysctl6(ns, SYSCTL6_MAX_HBH_OPTS_NUMBER));
  if (!sound) snmp6Inc(ns, SNMP6_IP_INHDRERRORS);
  return sound;
}

/** ip6_parse_tlv; false: the packet is gone. */
function parseOptions(skb: Skb, ns: Netns, dev: NetDevice, header: usize, length: u32, hop: bool, most: i32): bool {
  const refuseUnknown = most < 0;
  const countMax = <u32>(most < 0 ? -most : most);
  let at = header + 2, left = length - 2, count: u32 = 0, padding: u32 = 0;
  while (left > 0) {
    const type = <u32>load<u8>(at);
    if (type == OPT_PAD1) {
      if (++padding > 7) return malformed(skb, ns, dev);
      at++;
      left--;
      continue;
    }
    if (left < 2) return malformed(skb, ns, dev);
    const bytes = <u32>load<u8>(at, 1) + 2;
    if (bytes > left) return malformed(skb, ns, dev);
    if (type == OPT_PADN) {
      padding += bytes;
      if (padding > 7) return malformed(skb, ns, dev);
      for (let i: u32 = 2; i < bytes; i++) if (load<u8>(at + <usize>i) != 0) return malformed(skb, ns, dev);
    } else {
      if (++count > countMax) return malformed(skb, ns, dev);
      if (hop && type == OPT_ROUTERALERT) {
        if (bytes != 4) return malformed(skb, ns, dev);
        skb.ipFlags |= IP6SKB_ROUTERALERT;
      } else if (hop && type == OPT_JUMBO) {
        if (!jumbo(skb, ns, dev, at, bytes)) return false;
      } else if (!unknownOption(skb, ns, dev, type, <u32>(at - skb.network), refuseUnknown)) return false;
      padding = 0;
    }
    at += <usize>bytes;
    left -= bytes;
  }
  return true;
}

function malformed(skb: Skb, ns: Netns, dev: NetDevice): bool {
  skbDrop(skb, ns, changetype<usize>(dev), DROP_IP_INHDR);
  return false;
}

/** ipv6_hop_jumbo: no packet here is longer than 65575 bytes, so that none is right. */
function jumbo(skb: Skb, ns: Netns, dev: NetDevice, at: usize, bytes: u32): bool {
  const offset = <u32>(at - skb.network);
  if (bytes != 6 || (offset & 3) != 2) return malformed(skb, ns, dev);
  const length = be32(at, 2);
  if (length <= 65535) return paramProblem(skb, ns, dev, ICMPV6_HDR_FIELD, offset + 2, DROP_IP_INHDR);
  if (Ipv6View.at(skb.network).payloadLength != 0) return paramProblem(skb, ns, dev, ICMPV6_HDR_FIELD, offset, DROP_IP_INHDR);
  if (length > skbLength(skb) - IPV6_HEADER_LEN) {
    skbDrop(skb, ns, changetype<usize>(dev), DROP_PKT_TOO_SMALL);
    return false;
  }
  skb.tail = skb.network + <usize>(length + IPV6_HEADER_LEN);
  return true;
}

/** What the two high bits of its type say (ip6_tlvopt_unknown). */
function unknownOption(skb: Skb, ns: Netns, dev: NetDevice, type: u32, offset: u32, refuse: bool): bool {
  const action = type >>> 6;
  if (!refuse) {
    if (action == 0) return true;
    if (action == 2 || (action == 3 && !isMulticast6(Ipv6View.at(skb.network).destinationHi))) {
      return paramProblem(skb, ns, dev, ICMPV6_UNK_OPTION, offset, DROP_UNHANDLED_PROTO);
    }
  }
  skbDrop(skb, ns, changetype<usize>(dev), DROP_UNHANDLED_PROTO);
  return false;
}

/** Says what is wrong at `pointer` and drops the packet (icmpv6_param_prob_reason). Always false. */
export function paramProblem(skb: Skb, ns: Netns, dev: NetDevice, code: u32, pointer: u32, reason: u32): bool {
  icmp6Send(skb, ns, ICMPV6_PARAMPROB, code, pointer);
  skbDrop(skb, ns, changetype<usize>(dev), reason);
  return false;
}

/** Destination options at `transport`, of a packet for this host (ipv6_destopt_rcv); false: the packet is gone. */
export function ip6DestinationOptions(skb: Skb, ns: Netns, dev: NetDevice): bool {
  const at = skb.transport, room = <u32>(skb.tail - at);
  const length: u32 = room < 8 ? 8 : (<u32>load<u8>(at, 1) + 1) << 3;
  if (room < length) {
    snmp6Inc(ns, SNMP6_IP_INHDRERRORS);
    skbDrop(skb, ns, changetype<usize>(dev), DROP_NOT_SPECIFIED);
    return false;
  }
  if (length > <u32>sysctl6(ns, SYSCTL6_MAX_DST_OPTS_LENGTH)) {
    skbDrop(skb, ns, changetype<usize>(dev), DROP_NOT_SPECIFIED);
    return false;
  }
  if (!parseOptions(skb, ns, dev, at, length, false, sysctl6(ns, SYSCTL6_MAX_DST_OPTS_NUMBER))) {
    snmp6Inc(ns, SNMP6_IP_INHDRERRORS);
    return false;
  }
  skb.nhoff = <u32>(at - skb.network);
  skb.transport = at + <usize>length;
  return true;
}

/** A routing header at `transport` (ipv6_rthdr_rcv): one that is at its end is passed over, no other is followed. */
export function ip6RoutingHeader(skb: Skb, ns: Netns, dev: NetDevice): bool {
  const at = skb.transport, room = <u32>(skb.tail - at);
  const length: u32 = room < 8 ? 8 : (<u32>load<u8>(at, 1) + 1) << 3;
  if (room < length) {
    snmp6Inc(ns, SNMP6_IP_INHDRERRORS);
    skbDrop(skb, ns, changetype<usize>(dev), DROP_NOT_SPECIFIED);
    return false;
  }
  if (isMulticast6(Ipv6View.at(skb.network).destinationHi) || skb.pktType != PACKET_HOST) {
    snmp6Inc(ns, SNMP6_IP_INADDRERRORS);
    skbDrop(skb, ns, changetype<usize>(dev), DROP_NOT_SPECIFIED);
    return false;
  }
  const type = <u32>load<u8>(at, 2);
  // Segment routing, of which conf.seg6_enabled and rpl_seg_enabled are off.
  if (type == 3 || type == 4) {
    skbDrop(skb, ns, changetype<usize>(dev), DROP_NOT_SPECIFIED);
    return false;
  }
  if (load<u8>(at, 3) != 0) {
    snmp6Inc(ns, SNMP6_IP_INHDRERRORS);
    return paramProblem(skb, ns, dev, ICMPV6_HDR_FIELD, <u32>(at - skb.network) + 2, DROP_NOT_SPECIFIED);
  }
  skb.ipFlags |= IP6SKB_SRCRT;
  skb.nhoff = <u32>(at - skb.network);
  skb.transport = at + <usize>length;
  return true;
}
