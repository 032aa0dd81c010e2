// IPv6, RFC 8200.
//   0       4               12                                    31
//  ├version┼─ traffic class ┼─────────── flow label ──────────────┤  0
//  ├──────── payload length ────────┼── next header ─┼─ hop limit ─┤  4
//  ├──────────────────────── source, 16 bytes ─────────────────────┤  8
//  ├────────────────────── destination, 16 bytes ──────────────────┤ 24
import { be16, putBe16 } from "./bytes";

export const IPV6_HEADER_LEN: u32 = 40;
export const IPV6_MIN_MTU: u32 = 1280;

// Next headers (include/net/ipv6.h). Those of IPv4 keep their numbers.
export const NEXTHDR_HOP: u32 = 0;
export const NEXTHDR_ROUTING: u32 = 43;
export const NEXTHDR_FRAGMENT: u32 = 44;
export const NEXTHDR_AUTH: u32 = 51;
export const IPPROTO_ICMPV6: u32 = 58;
export const NEXTHDR_NONE: u32 = 59;
export const NEXTHDR_DEST: u32 = 60;

const LENGTH: usize = 4, NEXT: usize = 6, HOPS: usize = 7, SOURCE: usize = 8, DESTINATION: usize = 24;

@unmanaged export class Ipv6View {
  @inline static at(p: usize): Ipv6View { return changetype<Ipv6View>(p); }

  @inline get version(): u32 { return <u32>load<u8>(changetype<usize>(this)) >>> 4; }
  /** ipv6_get_dsfield */
  @inline get trafficClass(): u32 { return (be16(changetype<usize>(this), 0) >>> 4) & 0xff; }
  /** The low 20 bits of the first word. */
  @inline get flowLabel(): u32 { return bswap<u32>(load<u32>(changetype<usize>(this))) & 0xfffff; }
  /** Bytes behind this header. */
  @inline get payloadLength(): u32 { return be16(changetype<usize>(this), LENGTH); }
  @inline set payloadLength(value: u32) { putBe16(changetype<usize>(this), LENGTH, value); }
  @inline get nextHeader(): u32 { return <u32>load<u8>(changetype<usize>(this) + NEXT); }
  @inline set nextHeader(value: u32) { store<u8>(changetype<usize>(this) + NEXT, <u8>value); }
  @inline get hopLimit(): u32 { return <u32>load<u8>(changetype<usize>(this) + HOPS); }
  @inline set hopLimit(value: u32) { store<u8>(changetype<usize>(this) + HOPS, <u8>value); }
  // The two words of an address, as bytes.ts has them.
  @inline get sourceHi(): u64 { return load<u64>(changetype<usize>(this) + SOURCE); }
  @inline get sourceLo(): u64 { return load<u64>(changetype<usize>(this) + SOURCE + 8); }
  @inline get destinationHi(): u64 { return load<u64>(changetype<usize>(this) + DESTINATION); }
  @inline get destinationLo(): u64 { return load<u64>(changetype<usize>(this) + DESTINATION + 8); }
  @inline get sourceAt(): usize { return changetype<usize>(this) + SOURCE; }
  @inline get destinationAt(): usize { return changetype<usize>(this) + DESTINATION; }

  /** ipv6_change_dsfield: the bits of `value`, where `mask` has zeros. */
  changeTrafficClass(mask: u32, value: u32): void {
    const tc = (this.trafficClass & mask) | value;
    putBe16(changetype<usize>(this), 0, 0x6000 | (tc << 4) | (be16(changetype<usize>(this), 0) & 15));
  }

  write(trafficClass: u32, flowLabel: u32, payload: u32, next: u32, hops: u32, sourceHi: u64, sourceLo: u64, destinationHi: u64,
    destinationLo: u64): void {
    const p = changetype<usize>(this);
    store<u32>(p, bswap<u32>(0x60000000 | ((trafficClass & 0xff) << 20) | (flowLabel & 0xfffff)));
    putBe16(p, LENGTH, payload);
    store<u8>(p, <u8>next, NEXT);
    store<u8>(p, <u8>hops, HOPS);
    store<u64>(p, sourceHi, SOURCE);
    store<u64>(p, sourceLo, SOURCE + 8);
    store<u64>(p, destinationHi, DESTINATION);
    store<u64>(p, destinationLo, DESTINATION + 8);
  }
}

/** Running sum of the pseudo-header (RFC 8200 section 8.1). */
export function pseudo6(sourceHi: u64, sourceLo: u64, destinationHi: u64, destinationLo: u64, protocol: u32, length: u32): u64 {
  let sum: u64 = <u64>(protocol << 24) + <u64>bswap<u32>(length);
  sum += (sourceHi & 0xffffffff) + (sourceHi >> 32) + (sourceLo & 0xffffffff) + (sourceLo >> 32);
  return sum + (destinationHi & 0xffffffff) + (destinationHi >> 32) + (destinationLo & 0xffffffff) + (destinationLo >> 32);
}

// Kinds of addresses, asked of the two words (include/net/ipv6.h; net/ipv6/addrconf_core.c).

@inline export function isAny6(hi: u64, lo: u64): bool { return (hi | lo) == 0; }
@inline export function isLoopback6(hi: u64, lo: u64): bool { return hi == 0 && lo == 0x0100000000000000; }
@inline export function isMulticast6(hi: u64): bool { return (hi & 0xff) == 0xff; }
/** fe80::/10 */
@inline export function isLinkLocal6(hi: u64): bool { return (hi & 0xc0ff) == 0x80fe; }
/** fec0::/10 */
@inline export function isSiteLocal6(hi: u64): bool { return (hi & 0xc0ff) == 0xc0fe; }
/** ff02::/16 and ff01::/16 like it. */
@inline export function multicastScope6(hi: u64): u32 { return <u32>(hi >> 8) & 15; }

/** fe80:: */
export const LINK_LOCAL_HI: u64 = 0x80fe;
/** ff02:: */
export const MULTICAST_LINK_HI: u64 = 0x02ff;
/** …::1 and …::2 */
export const ALL_NODES_LO: u64 = 0x0100000000000000;
export const ALL_ROUTERS_LO: u64 = 0x0200000000000000;
/** …::16, the routers that speak MLDv2. */
export const ALL_MLD2_ROUTERS_LO: u64 = 0x1600000000000000;

/** The low word of the solicited-node group of an address, ff02::1:ffXX:XXXX. */
@inline export function solicitedNodeLo(lo: u64): u64 {
  return (lo & 0xffffff0000000000) | 0x000000ff01000000;
}
/** Is it one, of whatever address? */
@inline export function isSolicitedNode6(hi: u64, lo: u64): bool {
  return hi == MULTICAST_LINK_HI && (lo & 0xffffffffff) == 0x000000ff01000000;
}
