// What names one direction of a connection, include/net/netfilter/nf_conntrack_tuple.h. 16 bytes for IPv4:
//   0           4             8        10       12      14       15
//  ├─ source ──┼ destination ┼─ sport ─┼─ dport ┼─ zone ┼ protocol ┼ family ┤
// Addresses raw, of IPv6 by their number (address6.ts); ports in network order as they stand in the packet. ICMP: sport is the id, dport
// type | code << 8. The family is 0 for IPv4.
import { FULL } from "../features";
import { foundAt, foundFragment, ip6Follow } from "../net/ip6-ext";
import { be16 } from "../wire/bytes";
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../wire/ipv4";
import { IPPROTO_ICMPV6, NEXTHDR_NONE } from "../wire/ipv6";
import { address6, hold6, release6 } from "./address6";

export const TUPLE_BYTES: usize = 16;
/** Tuple.family of IPv6. */
export const AF_INET6: u8 = 10;
export const IPPROTO_GRE: u32 = 47;
const GRE_PROTO_PPP: u16 = 0x0b88; // in network order
export const IPPROTO_SCTP: u32 = 132;
export const IPPROTO_UDPLITE: u32 = 136;

@unmanaged export class Tuple {
  src: u32;
  dst: u32;
  sport: u16;
  dport: u16;
  zone: u16;
  proto: u8;
  family: u8;

  @inline static at(p: usize): Tuple { return changetype<Tuple>(p); }
}

/** True for protocols whose ports NAT may change. */
export function protoHasPorts(proto: u32): bool {
  return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP || proto == IPPROTO_UDPLITE;
}

@inline export function tupleEqual(a: usize, b: usize): bool {
  return load<u64>(a) == load<u64>(b) && load<u64>(a, 8) == load<u64>(b, 8);
}

@inline export function tupleCopy(to: usize, from: usize): void {
  store<u64>(to, load<u64>(from));
  store<u64>(to, load<u64>(from, 8), 8);
}

export function tupleHash(t: usize, ns: u32): u32 {
  return tupleHashWords(load<u64>(t), load<u64>(t, 8), ns);
}

/** The same of a tuple's two words. */
@inline export function tupleHashWords(first: u64, second: u64, ns: u32): u32 {
  const h = (first ^ <u64>ns << 17) * 0x9e3779b97f4a7c15 ^ rotl<u64>(second * 0xc2b2ae3d27d4eb4f, 31);
  return <u32>((h ^ h >> 32) * 0x9fb21c651e98df25 >> 32);
}

/**
 * Fills `t` from the packet whose IP header is at `ip` with `length` bytes there (nf_ct_get_tuple). False: a fragment that is
 * not the first, or too short.
 */
export function tupleFromPacket(t: usize, ip: usize, length: u32): bool {
  if (length < 20) return false;
  if (FULL && (load<u8>(ip) & 0xf0) == 0x60) return tupleFromPacket6(t, ip, length);
  const header = (<u32>load<u8>(ip) & 15) << 2;
  if (header < 20 || header > length) return false;
  if ((load<u16>(ip, 6) & 0xff1f) != 0) return false; // the fragment offset, in network order
  const tuple = Tuple.at(t);
  tuple.src = load<u32>(ip, 12);
  tuple.dst = load<u32>(ip, 16);
  store<u64>(t, 0, 8);
  return tuplePorts(t, <u32>load<u8>(ip, 9), ip + <usize>header, length - header);
}

/** The same of a packet of IPv6; false also without memory. */
function tupleFromPacket6(t: usize, ip: usize, length: u32): bool {
  if (length < 40) return false;
  const end = ip + <usize>length, proto = ip6Follow(ip + 40, end, <u32>load<u8>(ip, 6), false);
  // Cut short, no header behind the others, or a later fragment.
  if (proto > 255 || proto == NEXTHDR_NONE || foundAt > end || (foundFragment != 0 && (be16(foundFragment, 2) & 0xfff8) != 0)) return false;
  const l4 = foundAt;
  const tuple = Tuple.at(t);
  tuple.src = address6(load<u64>(ip, 8), load<u64>(ip, 16));
  tuple.dst = address6(load<u64>(ip, 24), load<u64>(ip, 32));
  store<u64>(t, 0, 8);
  tuple.family = AF_INET6;
  return tuple.src != 0 && tuple.dst != 0 && tuplePorts(t, proto, l4, <u32>(end - l4));
}

/** What is in the L4 header at `l4`, of which `room` bytes are there. */
function tuplePorts(t: usize, proto: u32, l4: usize, room: u32): bool {
  const tuple = Tuple.at(t);
  tuple.proto = <u8>proto;
  if (protoHasPorts(proto)) {
    if (room < 4) return false;
    store<u32>(t, load<u32>(l4), 8);
  } else if (proto == IPPROTO_ICMP || (FULL && proto == IPPROTO_ICMPV6)) {
    if (room < 8) return false;
    tuple.sport = load<u16>(l4, 4);
    tuple.dport = load<u16>(l4);
  } else if (proto == IPPROTO_GRE && room >= 8 && (load<u8>(l4, 1) & 7) == 1 && load<u16>(l4, 2) != GRE_PROTO_PPP) {
    return false; // gre_pkt_to_tuple: version 1 is PPTP's alone
  }
  return true;
}

/** The tuple of the other direction (nf_ct_invert_tuple); false: this kind of ICMP has no answer. `to` and `from` differ. */
export function tupleInvert(to: usize, from: usize): bool {
  const a = Tuple.at(to), b = Tuple.at(from);
  a.src = b.dst;
  a.dst = b.src;
  store<u32>(to, load<u32>(from, 12), 12);
  const six = FULL && <u32>b.proto == IPPROTO_ICMPV6;
  if (<u32>b.proto == IPPROTO_ICMP || six) {
    a.sport = b.sport;
    const inverse = six ? icmp6Inverse(<u32>b.dport & 0xff) : icmpInverse(<u32>b.dport & 0xff);
    a.dport = <u16>((<u32>b.dport & 0xff00) | (inverse & 0xff));
    return inverse != 0xffff;
  }
  a.sport = b.dport;
  a.dport = b.sport;
  return true;
}

/** The addresses of a tuple of IPv6 are held, or not any more. */
export function tupleHold(t: usize): void {
  if (Tuple.at(t).family == 0) return;
  hold6(Tuple.at(t).src);
  hold6(Tuple.at(t).dst);
}
export function tupleRelease(t: usize): void {
  if (Tuple.at(t).family == 0) return;
  release6(Tuple.at(t).src);
  release6(Tuple.at(t).dst);
}

// net/netfilter/nf_conntrack_proto_icmpv6.c, invmap: echo and node information
function icmp6Inverse(type: u32): u32 {
  return type == 128 || type == 129 || type == 139 || type == 140 ? type == 139 ? 140 : type == 140 ? 139 : type ^ 1 : 0xffff;
}

// net/netfilter/nf_conntrack_proto_icmp.c, invmap
function icmpInverse(type: u32): u32 {
  switch (type) {
    case 8: return 0;
    case 0: return 8;
    case 13: return 14;
    case 14: return 13;
    case 15: return 16;
    case 16: return 15;
    case 17: return 18;
    case 18: return 17;
    default: return 0xffff;
  }
}
