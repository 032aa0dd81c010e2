// Matches of packets of IPv6 where they differ from IPv4's: net/ipv6/netfilter/ip6_tables.c (ip6_packet_match), ip6t_*.c,
// net/netfilter/xt_addrtype.c, xt_iprange.c. Extension headers are found as ipv6_find_hdr finds them.
import {
  ADDRTYPE_INV_DESTINATION, ADDRTYPE_INV_SOURCE, ADDRTYPE_LIMIT_IN, ADDRTYPE_LIMIT_OUT, IPRANGE_DESTINATION, IPRANGE_INV_DESTINATION,
  IPRANGE_INV_SOURCE, IPRANGE_SOURCE, MATCH_ADDRTYPE, MATCH_LENGTH, MATCH_PKTTYPE, MATCH_PROTOCOL, MATCH_RPFILTER, MATCH_TOS, MATCH_TTL,
  RPFILTER_ACCEPT_LOCAL, RPFILTER_INVERT, RPFILTER_LOOSE, RPFILTER_VALID_MARK,
} from "../abi/netfilter";
import { DEV_LOOPBACK, PACKET_HOST, PACKET_MULTICAST } from "../abi/net";
import {
  AH6_INV_LENGTH, AH6_INV_SPI, AH6_LENGTH, AH6_RESERVED, FRAG6_FIRST, FRAG6_INV_IDS, FRAG6_LAST, FRAG6_MORE, FRAG6_RESERVED,
  MATCH_AH6, MATCH_CONNTRACK6, MATCH_DESTINATION6, MATCH_EUI64, MATCH_FRAG6, MATCH_ICMP6, MATCH_IPRANGE6, MATCH_IPV6HEADER, MATCH_MH6,
  MATCH_OPTS6, MATCH_RT6, MATCH_SOURCE6, MATCH_SRH6, OPTS6_INV_LENGTH, OPTS6_LENGTH, OPTS6_MAX, OPTS6_OPTIONS, RT6_ADDRESSES,
  RT6_INV_LENGTH, RT6_INV_SEGMENTS, RT6_INV_TYPE, RT6_LENGTH, RT6_MAX, RT6_NOT_STRICT, RT6_RESERVED, RT6_TYPE, SRH6_LAST_EQ,
  SRH6_LAST_GT, SRH6_LAST_LT, SRH6_LENGTH_EQ, SRH6_LENGTH_GT, SRH6_LENGTH_LT, SRH6_LSID, SRH6_NEXTHDR, SRH6_NSID, SRH6_PSID,
  SRH6_SEGS_EQ, SRH6_SEGS_GT, SRH6_SEGS_LT, SRH6_TAG,
} from "../abi/xtables";
import { NetDevice, Netns, Skb } from "../layout";
import { be16, be32 } from "../wire/bytes";
import { NEXTHDR_AUTH, NEXTHDR_DEST, NEXTHDR_FRAGMENT, NEXTHDR_HOP, NEXTHDR_NONE, NEXTHDR_ROUTING } from "../wire/ipv6";
import { IPSKB_LOOPED } from "../net/ip-input";
import { nf6AddressType, nf6Reverse } from "./ipv6-routes";
import { matchConntrack } from "./match-ct";
import { MATCH_HOTDROP, MATCH_NO, MATCH_YES } from "./match";

const IPPROTO_MH: u32 = 135;
const ESP: u32 = 50;

/** What `match6` answers for a match that is the same for both families. */
export const MATCH_OTHER: u32 = 3;

@inline function verdict(yes: bool): u32 { return yes ? MATCH_YES : MATCH_NO; }

/** Is it an extension header (ipv6_ext_hdr)? */
@inline function isExtension(next: u32): bool {
  return next == NEXTHDR_HOP || next == NEXTHDR_ROUTING || next == NEXTHDR_FRAGMENT || next == NEXTHDR_AUTH || next == NEXTHDR_NONE
    || next == NEXTHDR_DEST;
}

@inline function later(skb: Skb): bool { return (skb.fragOffset & 0xfff8) != 0; }

/** The match at `m` of a packet of IPv6: MATCH_*, or MATCH_OTHER. */
export function match6(m: usize, d: usize, skb: Skb, ns: Netns, inDev: usize, outDev: usize): u32 {
  const ip = skb.network, inverted = load<u8>(m, 1) != 0;
  let yes = false;
  switch (<u32>load<u8>(m)) {
    case MATCH_SOURCE6: yes = under(ip + 8, d); break;
    case MATCH_DESTINATION6: yes = under(ip + 24, d); break;
    case MATCH_PROTOCOL: {
      const protocol = skb.nextHeader;
      // A chain cut short, or a later fragment that begins with another extension header, can not be judged.
      if (protocol > 255 || (later(skb) && isExtension(protocol) && protocol != NEXTHDR_NONE)) return MATCH_HOTDROP;
      yes = protocol == load<u32>(d);
      break;
    }
    case MATCH_LENGTH: {
      const length = be16(ip, 4) + 40;
      yes = length >= <u32>load<u16>(d) && length <= <u32>load<u16>(d, 2);
      break;
    }
    case MATCH_TTL: {
      const hops = <u32>load<u8>(ip, 7), mode = load<u32>(d), value = load<u32>(d, 4);
      yes = mode == 0 ? hops == value : mode == 1 ? hops != value : mode == 2 ? hops < value : hops > value;
      break;
    }
    case MATCH_TOS: yes = (((be16(ip, 0) >>> 4) & 0xff) & load<u32>(d, 4)) == load<u32>(d); break;
    case MATCH_PKTTYPE: {
      let type = skb.pktType;
      if (skb.ipFlags & IPSKB_LOOPED) type = load<u8>(ip, 24) == 0xff ? PACKET_MULTICAST : PACKET_HOST;
      yes = type == load<u32>(d);
      break;
    }
    case MATCH_ADDRTYPE: yes = matchAddrtype(d, skb, ns, inDev, outDev); break;
    case MATCH_RPFILTER: yes = matchRpfilter(load<u32>(d), skb, ns, inDev); break;
    case MATCH_CONNTRACK6: yes = matchConntrack(d, skb); break;
    case MATCH_IPRANGE6: yes = matchIprange(d, ip); break;
    case MATCH_ICMP6: return matchIcmp(d, skb, inverted);
    case MATCH_FRAG6: return matchFrag(d, skb);
    case MATCH_OPTS6: return matchOptions(d, skb);
    case MATCH_RT6: return matchRouting(d, skb);
    case MATCH_AH6: return matchAh(d, skb);
    case MATCH_MH6: return matchMobility(d, skb, inverted);
    case MATCH_SRH6: return matchSegments(d, skb);
    case MATCH_EUI64: return matchEui64(skb);
    case MATCH_IPV6HEADER: return matchHeaders(d, skb, inverted);
    default: return MATCH_OTHER;
  }
  return verdict(yes != inverted);
}

export function match6Valid(kind: u32, d: usize, length: u32): bool {
  switch (kind) {
    case MATCH_SOURCE6: case MATCH_DESTINATION6: return length == 32;
    case MATCH_ICMP6: case MATCH_MH6: return length == 4;
    case MATCH_FRAG6: case MATCH_AH6: return length == 16;
    case MATCH_OPTS6: return length == 48 && load<u32>(d, 12) <= OPTS6_MAX;
    case MATCH_RT6: return length == 280 && load<u32>(d, 20) <= RT6_MAX;
    case MATCH_EUI64: return length == 0;
    case MATCH_IPV6HEADER: return length == 8;
    case MATCH_IPRANGE6: return length == 68;
    case MATCH_CONNTRACK6: return length == 168;
    case MATCH_SRH6: return length == 112;
    default: return false;
  }
}

/** Is the address at `at` the one at `d` under the mask behind it? */
@inline function under(at: usize, d: usize): bool {
  return (load<u64>(at) & load<u64>(d, 16)) == load<u64>(d) && (load<u64>(at, 8) & load<u64>(d, 24)) == load<u64>(d, 8);
}

/** memcmp of two addresses: below zero, zero, above. */
export function compare6(a: usize, b: usize): i32 {
  const x = bswap<u64>(load<u64>(a)), y = bswap<u64>(load<u64>(b));
  if (x != y) return x < y ? -1 : 1;
  const z = bswap<u64>(load<u64>(a, 8)), w = bswap<u64>(load<u64>(b, 8));
  return z == w ? 0 : z < w ? -1 : 1;
}

function matchIprange(d: usize, ip: usize): bool {
  const flags = load<u32>(d);
  if (flags & IPRANGE_SOURCE
    && (compare6(ip + 8, d + 4) >= 0 && compare6(ip + 8, d + 20) <= 0) == ((flags & IPRANGE_INV_SOURCE) != 0)) return false;
  return !(flags & IPRANGE_DESTINATION)
    || (compare6(ip + 24, d + 36) >= 0 && compare6(ip + 24, d + 52) <= 0) != ((flags & IPRANGE_INV_DESTINATION) != 0);
}

/** match_type6 of both addresses. */
function matchAddrtype(d: usize, skb: Skb, ns: Netns, inDev: usize, outDev: usize): bool {
  const flags = load<u32>(d, 4), source = <u32>load<u16>(d), destination = <u32>load<u16>(d, 2), ip = skb.network;
  const dev = flags & ADDRTYPE_LIMIT_IN ? inDev : flags & ADDRTYPE_LIMIT_OUT ? outDev : 0;
  if (source != 0 && nf6AddressType(ns, dev, ip + 8, source) == ((flags & ADDRTYPE_INV_SOURCE) != 0)) return false;
  return destination == 0 || nf6AddressType(ns, dev, ip + 24, destination) != ((flags & ADDRTYPE_INV_DESTINATION) != 0);
}

/** net/ipv6/netfilter/ip6t_rpfilter.c. */
function matchRpfilter(flags: u32, skb: Skb, ns: Netns, inDev: usize): bool {
  const inverted = (flags & RPFILTER_INVERT) != 0, ip = skb.network;
  // rpfilter_is_loopback: also the copy of a group packet that its sender gets.
  if (inDev == 0 || changetype<NetDevice>(inDev).kind == DEV_LOOPBACK || (skb.ipFlags & IPSKB_LOOPED) != 0) return !inverted;
  if ((load<u64>(ip, 8) | load<u64>(ip, 16)) == 0) return !inverted;
  return nf6Reverse(ns, skb, inDev, (flags & RPFILTER_LOOSE) != 0, (flags & RPFILTER_ACCEPT_LOCAL) != 0,
    flags & RPFILTER_VALID_MARK ? skb.mark : 0) != inverted;
}

/** icmp6_match. */
function matchIcmp(d: usize, skb: Skb, inverted: bool): u32 {
  if (later(skb)) return MATCH_NO;
  const at = skb.transport;
  if (at + 8 > skb.tail) return MATCH_HOTDROP;
  const code = load<u8>(at, 1);
  return verdict((load<u8>(at) == load<u8>(d) && code >= load<u8>(d, 1) && code <= load<u8>(d, 2)) != inverted);
}

// Extension headers. `findAt` is where the last findHeader found one.
let findAt: usize = 0;
const FOUND: i32 = 1, MISSING: i32 = 0, TRUNCATED: i32 = -1;

/** The first header `want` of the chain (ipv6_find_hdr with a target): FOUND, MISSING or TRUNCATED. */
function findHeader(skb: Skb, want: u32): i32 {
  const end = skb.tail;
  let next = <u32>load<u8>(skb.network, 6), at = skb.network + 40;
  while (true) {
    const found = next == want;
    if (!isExtension(next) || next == NEXTHDR_NONE) {
      findAt = at;
      return found ? FOUND : MISSING;
    }
    if (at + 2 > end) return TRUNCATED;
    let length: usize = 8;
    if (next == NEXTHDR_FRAGMENT) {
      if (at + 4 > end) return TRUNCATED;
      if ((be16(at, 2) & 0xfff8) != 0) {
        findAt = at;
        return found ? FOUND : MISSING;
      }
    } else length = next == NEXTHDR_AUTH ? (<usize>load<u8>(at, 1) + 2) << 2 : (<usize>load<u8>(at, 1) + 1) << 3;
    if (found) {
      findAt = at;
      return FOUND;
    }
    next = <u32>load<u8>(at);
    at += length;
  }
  return TRUNCATED;
}

/** Where the first header `kind` of the chain is, 0: there is none. */
export function extensionHeader(skb: Skb, kind: u32): usize {
  return findHeader(skb, kind) == FOUND ? findAt : 0;
}

/** frag_mt6 */
function matchFrag(d: usize, skb: Skb): u32 {
  const found = findHeader(skb, NEXTHDR_FRAGMENT);
  if (found != FOUND) return found == TRUNCATED ? MATCH_HOTDROP : MATCH_NO;
  const at = findAt;
  if (at + 8 > skb.tail) return MATCH_HOTDROP;
  const flags = load<u32>(d, 12), id = be32(at, 4), fragment = be16(at, 2);
  if ((id >= load<u32>(d) && id <= load<u32>(d, 4)) == ((flags & FRAG6_INV_IDS) != 0)) return MATCH_NO;
  return verdict(!(flags & FRAG6_RESERVED && (load<u8>(at, 1) != 0 || (fragment & 6) != 0))
    && !(flags & FRAG6_FIRST && (fragment & 0xfff8) != 0) && !(flags & FRAG6_MORE && !(fragment & 1))
    && !(flags & FRAG6_LAST && (fragment & 1) != 0));
}

/** hbh_mt6: options in the order in which they are wanted. */
function matchOptions(d: usize, skb: Skb): u32 {
  const found = findHeader(skb, load<u32>(d));
  if (found != FOUND) return found == TRUNCATED ? MATCH_HOTDROP : MATCH_NO;
  const at = findAt, end = skb.tail;
  if (at + 2 > end) return MATCH_HOTDROP;
  let left = (<u32>load<u8>(at, 1) + 1) << 3;
  if (<u32>(end - at) < left) return MATCH_NO; // packet smaller than it says
  const flags = load<u32>(d, 8);
  const fits = !(flags & OPTS6_LENGTH) || (load<u32>(d, 4) == left) != ((flags & OPTS6_INV_LENGTH) != 0);
  if (!fits) return MATCH_NO;
  if (!(flags & OPTS6_OPTIONS)) return MATCH_YES;
  let p = at + 2;
  left -= 2;
  const wanted = load<u32>(d, 12);
  for (let i: u32 = 0; i < wanted; i++) {
    if (left < 1 || p >= end) return MATCH_NO;
    const want = <u32>load<u16>(d + 16 + <usize>(i << 1));
    const type = <u32>load<u8>(p);
    if (type != want >>> 8) return MATCH_NO;
    let length: u32 = 1;
    if (type != 0) {
      if (left < 2 || p + 2 > end) return MATCH_NO;
      const size = <u32>load<u8>(p, 1);
      if ((want & 255) != 255 && size != (want & 255)) return MATCH_NO;
      length = size + 2;
    }
    p += <usize>length;
    if ((p > end || left < length) && i + 1 < wanted) return MATCH_NO;
    left = left < length ? 0 : left - length;
  }
  return MATCH_YES;
}

/** rt_mt6 */
function matchRouting(d: usize, skb: Skb): u32 {
  const found = findHeader(skb, NEXTHDR_ROUTING);
  if (found != FOUND) return found == TRUNCATED ? MATCH_HOTDROP : MATCH_NO;
  const at = findAt, end = skb.tail;
  if (at + 4 > end) return MATCH_HOTDROP;
  const length = (<u32>load<u8>(at, 1) + 1) << 3, flags = load<u32>(d, 16);
  if (<u32>(end - at) < length) return MATCH_NO;
  const left = <u32>load<u8>(at, 3);
  if ((left >= load<u32>(d, 4) && left <= load<u32>(d, 8)) == ((flags & RT6_INV_SEGMENTS) != 0)) return MATCH_NO;
  if (flags & RT6_LENGTH && (load<u32>(d, 12) == length) == ((flags & RT6_INV_LENGTH) != 0)) return MATCH_NO;
  if (flags & RT6_TYPE && (load<u32>(d) == <u32>load<u8>(at, 2)) == ((flags & RT6_INV_TYPE) != 0)) return MATCH_NO;
  if (flags & RT6_RESERVED && (at + 8 > end || load<u32>(at, 4) != 0)) return MATCH_NO;
  if (!(flags & RT6_ADDRESSES)) return MATCH_YES;
  const wanted = load<u32>(d, 20), there: u32 = length < 8 ? 0 : (length - 8) >>> 4;
  if (flags & RT6_NOT_STRICT) {
    if (wanted > there) return MATCH_NO;
    let next: u32 = 0;
    for (let i: u32 = 0; i < there && next < wanted; i++) {
      if (same(at + 8 + <usize>(i << 4), d + 24 + <usize>(next << 4))) next++;
    }
    return verdict(next == wanted);
  }
  if (wanted > there) return MATCH_NO;
  for (let i: u32 = 0; i < wanted; i++) {
    if (!same(at + 8 + <usize>(i << 4), d + 24 + <usize>(i << 4))) return MATCH_NO;
  }
  return verdict(wanted == there);
}

@inline function same(a: usize, b: usize): bool {
  return load<u64>(a) == load<u64>(b) && load<u64>(a, 8) == load<u64>(b, 8);
}

/** ah_mt6 */
function matchAh(d: usize, skb: Skb): u32 {
  const found = findHeader(skb, NEXTHDR_AUTH);
  if (found != FOUND) return found == TRUNCATED ? MATCH_HOTDROP : MATCH_NO;
  const at = findAt, flags = load<u32>(d, 12);
  if (at + 12 > skb.tail) return MATCH_HOTDROP;
  const length = (<u32>load<u8>(at, 1) + 2) << 2, spi = be32(at, 4);
  if ((spi >= load<u32>(d) && spi <= load<u32>(d, 4)) == ((flags & AH6_INV_SPI) != 0)) return MATCH_NO;
  // Without --ahlen the length is 0, which every length fits unless inverted.
  const wanted = load<u32>(d, 8);
  if (flags & (AH6_LENGTH | AH6_INV_LENGTH) && (wanted == 0 || wanted == length) == ((flags & AH6_INV_LENGTH) != 0)) return MATCH_NO;
  return verdict(!(flags & AH6_RESERVED) || load<u16>(at, 2) == 0);
}

/** mh_mt6: the packet's protocol is mobility. */
function matchMobility(d: usize, skb: Skb, inverted: bool): u32 {
  if (later(skb)) return MATCH_NO;
  const at = skb.transport;
  if (at + 6 > skb.tail || skb.nextHeader != IPPROTO_MH) return MATCH_HOTDROP;
  if (load<u8>(at) != NEXTHDR_NONE) return MATCH_HOTDROP; // nothing may follow
  const type = load<u8>(at, 2);
  return verdict((type >= load<u8>(d) && type <= load<u8>(d, 1)) != inverted);
}

/** eui64_mt6: the source's interface identifier is the one made from the frame's MAC. */
function matchEui64(skb: Skb): u32 {
  const mac = skb.mac, ip = skb.network;
  if (mac == 0 || mac + 14 > skb.network) return later(skb) ? MATCH_NO : MATCH_HOTDROP;
  if (load<u16>(mac, 12) != 0xdd86) return MATCH_NO;
  const want = <u64>(load<u8>(mac, 6) ^ 2) | <u64>load<u16>(mac, 7) << 8 | <u64>0xfeff << 24 | <u64>load<u16>(mac, 9) << 40 | <u64>load<u8>(mac, 11) << 56;
  return verdict(load<u64>(ip, 16) == want);
}

/** ipv6header_mt6: which headers there are. */
function matchHeaders(d: usize, skb: Skb, inverted: bool): u32 {
  let next = <u32>load<u8>(skb.network, 6), left = <u32>(skb.tail - skb.network) - 40, found: u32 = 0;
  let at = skb.network + 40;
  while (isExtension(next)) {
    if (next == NEXTHDR_NONE) {
      found |= 0x02;
      break;
    }
    if (left < 2) return MATCH_NO;
    const length: u32 = next == NEXTHDR_FRAGMENT ? 8 : next == NEXTHDR_AUTH ? (<u32>load<u8>(at, 1) + 2) << 2 : (<u32>load<u8>(at, 1) + 1) << 3;
    switch (next) {
      case NEXTHDR_HOP: found |= 0x80; break;
      case NEXTHDR_ROUTING: found |= 0x20; break;
      case NEXTHDR_FRAGMENT: found |= 0x10; break;
      case NEXTHDR_AUTH: found |= 0x08; break;
      case NEXTHDR_DEST: found |= 0x40; break;
      default: break;
    }
    next = <u32>load<u8>(at);
    if (length > left) {
      left = 0;
      break;
    }
    left -= length;
    at += <usize>length;
  }
  if (next == ESP) {
    if (left < 2) return MATCH_NO;
    found |= 0x04;
  } else if (next != NEXTHDR_NONE) found |= 0x01;
  const wanted = load<u32>(d);
  if (load<u32>(d, 4) != 0) return verdict((found & wanted) == (inverted ? 0 : wanted));
  return verdict((found == wanted) != inverted);
}

/** srh1_mt6 */
function matchSegments(d: usize, skb: Skb): u32 {
  const found = findHeader(skb, NEXTHDR_ROUTING);
  if (found != FOUND || findAt + 8 > skb.tail) return MATCH_NO;
  const at = findAt, length = (<u32>load<u8>(at, 1) + 1) << 3, flags = load<u32>(d, 8), inverted = load<u32>(d, 12);
  if (<u32>(skb.tail - at) < length || load<u8>(at, 2) != 4) return MATCH_NO;
  const left = <u32>load<u8>(at, 3), last = <u32>load<u8>(at, 4), size = <u32>load<u8>(at, 1);
  if (left > last || <u32>8 + ((last + 1) << 4) > length) return MATCH_NO;
  if (!test(flags, inverted, SRH6_NEXTHDR, load<u8>(at) == load<u8>(d))) return MATCH_NO;
  if (!test(flags, inverted, SRH6_LENGTH_EQ, size == <u32>load<u8>(d, 1)) || !test(flags, inverted, SRH6_LENGTH_GT, size > <u32>load<u8>(d, 1))
    || !test(flags, inverted, SRH6_LENGTH_LT, size < <u32>load<u8>(d, 1))) return MATCH_NO;
  if (!test(flags, inverted, SRH6_SEGS_EQ, left == <u32>load<u8>(d, 2)) || !test(flags, inverted, SRH6_SEGS_GT, left > <u32>load<u8>(d, 2))
    || !test(flags, inverted, SRH6_SEGS_LT, left < <u32>load<u8>(d, 2))) return MATCH_NO;
  if (!test(flags, inverted, SRH6_LAST_EQ, last == <u32>load<u8>(d, 3)) || !test(flags, inverted, SRH6_LAST_GT, last > <u32>load<u8>(d, 3))
    || !test(flags, inverted, SRH6_LAST_LT, last < <u32>load<u8>(d, 3))) return MATCH_NO;
  if (!test(flags, inverted, SRH6_TAG, be16(at, 6) == <u32>load<u16>(d, 4))) return MATCH_NO;
  // Segments stand last to first: the one before is behind the present one.
  if (flags & SRH6_PSID && (left == last || under(at + 8 + <usize>((left + 1) << 4), d + 16) == ((inverted & SRH6_PSID) != 0))) return MATCH_NO;
  if (flags & SRH6_NSID && (left == 0 || under(at + 8 + <usize>((left - 1) << 4), d + 48) == ((inverted & SRH6_NSID) != 0))) return MATCH_NO;
  return verdict(!(flags & SRH6_LSID) || under(at + 8, d + 80) != ((inverted & SRH6_LSID) != 0));
}

@inline function test(flags: u32, inverted: u32, bit: u32, yes: bool): bool {
  return !(flags & bit) || yes != ((inverted & bit) != 0);
}
