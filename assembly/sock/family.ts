// What sockets ask about the family of an address or a packet. In the core kernel everything is IPv4, and none of this is there.
import { FULL } from "../features";
import { isMapped4, mapped4, raw4 } from "../wire/bytes";
import { pseudo4 } from "../wire/checksum";
import { IPV4_HEADER_LEN, Ipv4View } from "../wire/ipv4";
import { IPV6_HEADER_LEN, Ipv6View, pseudo6 } from "../wire/ipv6";

/** Socket.flags: AF_INET6, whose "any" address is "::". */
export const SK_INET6: u32 = 1024;
/** IPV6_V6ONLY */
export const SK_V6ONLY: u32 = 2048;

@inline export function isSix(hi: u64, lo: u64): bool {
  return FULL && !isMapped4(hi, lo & 0xffffffff);
}

/** Bytes of the IP header in front of what goes to that address. */
@inline export function ipHeader(hi: u64, lo: u64): u32 {
  return isSix(hi, lo) ? IPV6_HEADER_LEN : IPV4_HEADER_LEN;
}

// The addresses that readAddresses() found: of the destination, and of the source.
export let toHi: u64 = 0;
export let toLo: u64 = 0;
export let fromHi: u64 = 0;
export let fromLo: u64 = 0;

/** Reads both addresses of the IP header at `network`, of either family. */
export function readAddresses(network: usize): void {
  if (FULL && load<u8>(network) >>> 4 == 6) {
    const ip = Ipv6View.at(network);
    toHi = ip.destinationHi;
    toLo = ip.destinationLo;
    fromHi = ip.sourceHi;
    fromLo = ip.sourceLo;
    return;
  }
  const ip = Ipv4View.at(network);
  toHi = 0;
  toLo = mapped4(ip.destination);
  fromHi = 0;
  fromLo = mapped4(ip.source);
}

/** Running sum of the pseudo-header, in either order of the addresses. */
export function pseudoSum(aHi: u64, aLo: u64, bHi: u64, bLo: u64, protocol: u32, length: u32): u64 {
  if (isSix(aHi, aLo)) return pseudo6(aHi, aLo, bHi, bLo, protocol, length);
  return pseudo4(raw4(aLo), raw4(bLo), protocol, length);
}

/** Does a socket that is bound to its family's "any" address (`anyLo`: the low word) take packets to `hi:lo`? */
@inline export function anyTakes(anyLo: u64, flags: u32, hi: u64, lo: u64): bool {
  if (!FULL) return true;
  return anyLo == 0 ? isSix(hi, lo) || (flags & SK_V6ONLY) == 0 : !isSix(hi, lo);
}
