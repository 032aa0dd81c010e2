// Matches of TCP, UDP and ICMP headers: net/netfilter/xt_tcpudp.c, xt_multiport.c, xt_ecn.c. A header that is cut short makes the
// packet one that can not be judged; fragments that are not the first do not match.
import {
  ECN_CWR, ECN_ECE, ECN_INV_CWR, ECN_INV_ECE, ECN_INV_IP, ECN_IP, MULTIPORT_DESTINATION, MULTIPORT_SOURCE, PORTS_INV_DPORT,
  PORTS_INV_SPORT, TCP_INV_FLAGS, TCP_INV_OPTION,
} from "../abi/netfilter";
import { Skb } from "../layout";
import { be16 } from "../wire/bytes";
import { IPPROTO_TCP } from "../wire/ipv4";
import { fragmentUnits, ipBytes, isV6, l4Offset, l4Protocol } from "./l3";
import { MATCH_HOTDROP, MATCH_NO, MATCH_YES } from "./match";

/** True when `want` bytes of the L4 header are there. */
@inline function hasL4(skb: Skb, want: u32): bool {
  return l4Offset(skb) + want <= ipBytes(skb);
}

@inline function inPorts(d: usize, port: u32): bool {
  return port >= <u32>load<u16>(d) && port <= <u32>load<u16>(d, 2);
}

export function matchTcp(d: usize, skb: Skb): u32 {
  const ip = skb.network, offset = fragmentUnits(skb);
  // A fragment that begins eight bytes into the header could overwrite its flags.
  // (Of IPv6 the kernel compares bytes with that 1: none do.)
  if (offset != 0) return offset == 1 && !isV6(ip) ? MATCH_HOTDROP : MATCH_NO;
  if (!hasL4(skb, 20)) return MATCH_HOTDROP;
  const th = ip + <usize>l4Offset(skb);
  const inverted = <u32>load<u8>(d, 11);
  if (inPorts(d, be16(th, 0)) == ((inverted & PORTS_INV_SPORT) != 0)) return MATCH_NO;
  if (inPorts(d + 4, be16(th, 2)) == ((inverted & PORTS_INV_DPORT) != 0)) return MATCH_NO;
  const flags = load<u8>(th, 13) & load<u8>(d, 8);
  if ((flags == load<u8>(d, 9)) == ((inverted & TCP_INV_FLAGS) != 0)) return MATCH_NO;
  const option = <u32>load<u8>(d, 10);
  if (option == 0) return MATCH_YES;
  const header = (<u32>load<u8>(th, 12) >>> 4) << 2;
  if (header < 20 || !hasL4(skb, header)) return MATCH_HOTDROP;
  let found = false;
  for (let i: u32 = 20; i < header;) {
    const code = <u32>load<u8>(th + <usize>i);
    if (code == option) { found = true; break; }
    if (code < 2 || i + 1 >= header) i++;
    else i += max<u32>(<u32>load<u8>(th + <usize>i, 1), 1);
  }
  return found != ((inverted & TCP_INV_OPTION) != 0) ? MATCH_YES : MATCH_NO;
}

export function matchUdp(d: usize, skb: Skb): u32 {
  const ip = skb.network;
  if (fragmentUnits(skb) != 0) return MATCH_NO;
  if (!hasL4(skb, 8)) return MATCH_HOTDROP;
  const udp = ip + <usize>l4Offset(skb);
  const inverted = load<u32>(d, 8);
  if (inPorts(d, be16(udp, 0)) == ((inverted & PORTS_INV_SPORT) != 0)) return MATCH_NO;
  return inPorts(d + 4, be16(udp, 2)) != ((inverted & PORTS_INV_DPORT) != 0) ? MATCH_YES : MATCH_NO;
}

export function matchIcmp(d: usize, skb: Skb, inverted: bool): u32 {
  const ip = skb.network;
  if (fragmentUnits(skb) != 0) return MATCH_NO;
  if (!hasL4(skb, 8)) return MATCH_HOTDROP;
  const icmp = ip + <usize>l4Offset(skb);
  const type = load<u8>(d), code = load<u8>(icmp, 1);
  const yes = type == 255 || (load<u8>(icmp) == type && code >= load<u8>(d, 1) && code <= load<u8>(d, 2));
  return yes != inverted ? MATCH_YES : MATCH_NO;
}

export function matchMultiport(d: usize, skb: Skb, inverted: bool): u32 {
  const ip = skb.network;
  if (fragmentUnits(skb) != 0) return MATCH_NO;
  if (!hasL4(skb, 4)) return MATCH_HOTDROP;
  const l4 = ip + <usize>l4Offset(skb);
  const side = <u32>load<u16>(d), count = <u32>load<u16>(d, 2);
  const source = be16(l4, 0), destination = be16(l4, 2);
  let yes = false;
  for (let i: u32 = 0; i < count && !yes; i++) {
    const range = d + 4 + <usize>(i << 2);
    yes = (side != MULTIPORT_DESTINATION && inPorts(range, source)) || (side != MULTIPORT_SOURCE && inPorts(range, destination));
  }
  return yes != inverted ? MATCH_YES : MATCH_NO;
}

export function matchEcn(d: usize, skb: Skb): u32 {
  const ip = skb.network, want = load<u32>(d);
  if (want & ECN_IP
    && (((isV6(ip) ? <u32>load<u8>(ip, 1) >>> 4 : <u32>load<u8>(ip, 1)) & 3) == load<u32>(d, 4)) == ((want & ECN_INV_IP) != 0)) return MATCH_NO;
  if (!(want & (ECN_ECE | ECN_CWR))) return MATCH_YES;
  if (l4Protocol(skb) != IPPROTO_TCP || fragmentUnits(skb) != 0) return MATCH_NO;
  if (!hasL4(skb, 20)) return MATCH_NO;
  const flags = <u32>load<u8>(ip + <usize>l4Offset(skb), 13);
  if (want & ECN_ECE && ((flags & 64) != 0) == ((want & ECN_INV_ECE) != 0)) return MATCH_NO;
  if (want & ECN_CWR && ((flags & 128) != 0) == ((want & ECN_INV_CWR) != 0)) return MATCH_NO;
  return MATCH_YES;
}
