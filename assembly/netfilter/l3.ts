// What matches, targets and connection tracking ask of a packet of either family: where its L4 header is, which protocol it has, how
// long it is. Of IPv6 the walk over extension headers has found it (net/ip6-ext.ts, as ipv6_find_hdr).
import {
  MATCH_CONNTRACK, MATCH_DESTINATION, MATCH_FRAGMENT, MATCH_ICMP, MATCH_IPRANGE, MATCH_RECENT, MATCH_SOURCE, TARGET_DNAT, TARGET_ECN,
  TARGET_MASQUERADE, TARGET_NETMAP, TARGET_REDIRECT, TARGET_REJECT, TARGET_SNAT, TARGET_TEE,
} from "../abi/netfilter";
import {
  MATCH_AH, MATCH_REALM, MATCH_RECENT6, MATCH_SOURCE6, MATCH_SRH6, TARGET_HMARK, TARGET_HMARK6, TARGET_SNAT6, TARGET_TPROXY,
} from "../abi/xtables";
import { FULL } from "../features";
import { Skb } from "../layout";
import { be16 } from "../wire/bytes";
import { pseudo4 } from "../wire/checksum";
import { pseudo6 } from "../wire/ipv6";

/** Is the header at `ip` one of IPv6? */
@inline export function isV6(ip: usize): bool {
  return FULL && (load<u8>(ip) & 0xf0) == 0x60;
}

/** Bytes of the packet from its IP header on, as it says and as are there. */
@inline export function ipLength(skb: Skb): u32 {
  return isV6(skb.network) ? <u32>(skb.tail - skb.network) : be16(skb.network, 2);
}

/** Bytes of the packet from its IP header on that can be looked at. */
@inline export function ipBytes(skb: Skb): u32 {
  const there = <u32>(skb.tail - skb.network);
  return isV6(skb.network) ? there : min<u32>(be16(skb.network, 2), there);
}

/** Where the L4 header is, from the IP header on; of an IPv6 packet whose headers are cut short: behind its end. */
@inline export function l4Offset(skb: Skb): u32 {
  const ip = skb.network;
  return isV6(ip) ? offset6(skb) : (<u32>load<u8>(ip) & 15) << 2;
}
function offset6(skb: Skb): u32 {
  return skb.nextHeader > 255 ? 0x10000000 : <u32>(skb.transport - skb.network);
}

/** The protocol behind all extension headers; more than 255: they are cut short. */
@inline export function l4Protocol(skb: Skb): u32 {
  return isV6(skb.network) ? skb.nextHeader : <u32>load<u8>(skb.network, 9);
}

/** The fragment offset in units of 8 bytes. */
@inline export function fragmentUnits(skb: Skb): u32 {
  return isV6(skb.network) ? skb.fragOffset >>> 3 : be16(skb.network, 6) & 0x1fff;
}

/** A running sum of the pseudo-header of the packet whose IP header is at `ip`. */
export function pseudoSum(ip: usize, protocol: u32, length: u32): u64 {
  return isV6(ip) ? pseudo6(load<u64>(ip, 8), load<u64>(ip, 16), load<u64>(ip, 24), load<u64>(ip, 32), protocol, length)
    : pseudo4(load<u32>(ip, 12), load<u32>(ip, 16), protocol, length);
}

export const FAMILY4: u32 = 1, FAMILY6: u32 = 2;

/** The family whose tables alone may have the match; FAMILY4 | FAMILY6: either. */
export function matchFamily(kind: u32): u32 {
  switch (kind) {
    case MATCH_SOURCE: case MATCH_DESTINATION: case MATCH_FRAGMENT: case MATCH_ICMP: case MATCH_IPRANGE: case MATCH_CONNTRACK:
    case MATCH_RECENT: case MATCH_AH: case MATCH_REALM:
      return FAMILY4;
    default: return (kind >= MATCH_SOURCE6 && kind <= MATCH_SRH6) || kind == MATCH_RECENT6 ? FAMILY6 : FAMILY4 | FAMILY6;
  }
}

export function targetFamily(kind: u32): u32 {
  switch (kind) {
    case TARGET_SNAT: case TARGET_DNAT: case TARGET_MASQUERADE: case TARGET_REDIRECT: case TARGET_NETMAP: case TARGET_REJECT:
    case TARGET_TEE: case TARGET_ECN: case TARGET_TPROXY: case TARGET_HMARK:
      return FAMILY4;
    default: return kind >= TARGET_SNAT6 && kind <= TARGET_HMARK6 ? FAMILY6 : FAMILY4 | FAMILY6;
  }
}
