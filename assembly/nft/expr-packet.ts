// What rules read and write of the packet itself: net/netfilter/nft_payload.c, nft_meta.c, nft_exthdr.c, nft_rt.c, and of the
// routing table: net/ipv4/netfilter/nft_fib_ipv4.c.
import { HOOK_FORWARD, HOOK_PREROUTING, NFCT_REALTIME } from "../abi/netfilter";
import {
  NFTBASE_LINK, NFTBASE_NETWORK, NFTFIBR_ADDRTYPE, NFTFIBR_OIF, NFTFIB_IIF, NFTFIB_MARK, NFTFIB_OIF, NFTFIB_PRESENT, NFTFIB_SADDR,
  NFTMETA_BRI_IIFNAME, NFTMETA_BRI_OIFNAME, NFTMETA_CPU, NFTMETA_DAY, NFTMETA_HOUR, NFTMETA_IIF, NFTMETA_IIFGROUP, NFTMETA_IIFNAME, NFTMETA_IIFTYPE, NFTMETA_L4PROTO, NFTMETA_LENGTH, NFTMETA_MARK, NFTMETA_NFPROTO,
  NFTMETA_OIF, NFTMETA_OIFNAME, NFTMETA_OIFGROUP, NFTMETA_OIFTYPE, NFTMETA_PKTTYPE, NFTMETA_PRIORITY, NFTMETA_PROTOCOL, NFTMETA_RANDOM, NFTMETA_SKGID, NFTMETA_SKUID, NFTMETA_TIME,
  NFTRT_NEXTHOP, NFTV_BREAK, NFTV_CONTINUE,
} from "../abi/nft";
import { DEV_LOOPBACK, PACKET_BROADCAST, PACKET_HOST, PACKET_MULTICAST, RTN_LOCAL, RTN_UNICAST } from "../abi/net";
import { NetDevice, Netns, Skb } from "../layout";
import { node } from "../mm/node";
import { random32 } from "../mm/rng";
import { kfree, kmalloc } from "../mm/slab";
import { FibEntry, fibLookup } from "../net/fib";
import { Route, addressType, routeOutput, selectAddress } from "../net/ip-output";
import { be16, mapped4, raw4 } from "../wire/bytes";
import { checksumPatch16 } from "../wire/checksum";
import { IPPROTO_TCP, IPPROTO_UDP } from "../wire/ipv4";
import { IPPROTO_ICMPV6 } from "../wire/ipv6";
import { nf6FibDevice, nf6FibType, nf6ReverseMtu } from "../netfilter/ipv6-routes";
import { fragmentUnits, ipBytes, ipLength, isV6, l4Offset, l4Protocol } from "../netfilter/l3";
import { extensionHeader } from "../netfilter/match-ipv6";
import { skbCreds } from "../netfilter/match-more";
import { nfNet, setting } from "../netfilter/state";
import { NFF_FRAME, NFF_NO_TRANSPORT, padded } from "./ops";

const IPPROTO_AH: u32 = 51;
const ARPHRD_ETHER: u32 = 1, ARPHRD_LOOPBACK: u32 = 772;

/** Of frames only what carries IPv4 has a transport header. */
@inline function headerBytes(skb: Skb): u32 {
  if (skb.nfFlags & NFF_FRAME) return (<u32>load<u8>(skb.network) & 15) << 2;
  const ah = authentication(skb);
  return ah != 0 ? <u32>(ah - skb.network) : l4Offset(skb);
}

/** nft_set_pktinfo_ipv6 takes an authentication header for the transport's (IP6_FH_F_AUTH), xtables looks behind it. 0: there is none. */
function authentication(skb: Skb): usize {
  const ip = skb.network;
  return isV6(ip) && <u32>load<u8>(ip, 6) != l4Protocol(skb) ? extensionHeader(skb, IPPROTO_AH) : 0;
}

@inline function fragmentOffset(skb: Skb): u32 {
  return skb.nfFlags & NFF_FRAME ? be16(skb.network, 6) & 0x1fff : fragmentUnits(skb);
}

@inline function protocolOf(skb: Skb): u32 {
  return skb.nfFlags & NFF_FRAME ? <u32>load<u8>(skb.network, 9) : authentication(skb) != 0 ? IPPROTO_AH : l4Protocol(skb);
}

/** Where `length` bytes at `offset` of a header stand, or 0: the packet has not so many. */
function locate(base: u32, offset: u32, length: u32, skb: Skb): usize {
  const ip = skb.network;
  if (base == NFTBASE_LINK) {
    return skb.mac != 0 && offset + length <= <u32>(ip - skb.mac) ? skb.mac + <usize>offset : 0;
  }
  if (base > NFTBASE_NETWORK && skb.nfFlags & NFF_NO_TRANSPORT) return 0;
  const start = base == NFTBASE_NETWORK ? offset : headerBytes(skb) + offset;
  return start + length <= (skb.nfFlags & NFF_FRAME ? <u32>(skb.tail - ip) : ipBytes(skb)) ? ip + <usize>start : 0;
}

/** Bytes of the Ethernet header of a frame whose tag stands apart, as they were on the wire (nft_payload_copy_vlan). */
function tagged(register: usize, offset: u32, length: u32, skb: Skb): u32 {
  if (skb.mac == 0 || offset + length > 18) return NFTV_BREAK;
  for (let i: u32 = 0; i < length; i++) {
    const at = offset + i;
    const byte = at < 12 ? <u32>load<u8>(skb.mac + <usize>at) : at < 16 ? skb.vlan >>> ((15 - at) << 3) & 255 : <u32>load<u8>(skb.mac + <usize>(at - 4));
    store<u8>(register + <usize>i, <u8>byte);
  }
  return NFTV_CONTINUE;
}

export function nftPayload(op: usize, register: usize, skb: Skb): u32 {
  const base = <u32>load<u8>(op, 4), length = <u32>load<u8>(op, 5), offset = <u32>load<u16>(op, 6);
  if (base == NFTBASE_LINK && skb.vlan != 0 && offset + length > 12) {
    if (length & 3) store<u32>(register + <usize>(length & ~3), 0);
    return tagged(register, offset, length, skb);
  }
  const at = locate(base, offset, length, skb);
  if (at == 0) return NFTV_BREAK;
  // The kernel's shorter way for aligned small fields does not look whether this is the first fragment.
  const fast = length <= 4 && length != 3 && offset % length == 0;
  if (base > NFTBASE_NETWORK && !fast && fragmentOffset(skb) != 0) return NFTV_BREAK;
  if (length & 3) store<u32>(register + <usize>(length & ~3), 0);
  memory.copy(register, at, <usize>length);
  return NFTV_CONTINUE;
}

/** nft_payload_set_eval: writes, and patches the checksum over what was written. */
export function nftPayloadSet(op: usize, register: usize, skb: Skb): u32 {
  const base = <u32>load<u8>(op, 4), length = <u32>load<u8>(op, 5), offset = <u32>load<u16>(op, 6);
  const ip = skb.network;
  if (base > NFTBASE_NETWORK && fragmentOffset(skb) != 0) return NFTV_BREAK;
  const at = locate(base, offset, length, skb);
  if (at == 0) return NFTV_BREAK;
  const field: usize = load<u8>(op, 8) != 0 ? locate(base, <u32>load<u16>(op, 10), 2, skb) : 0;
  const inner: usize = load<u8>(op, 9) != 0 ? l4Checksum(skb) : 0;
  // A UDP datagram without checksum stays without.
  const none = base > NFTBASE_NETWORK && protocolOf(skb) == IPPROTO_UDP && field != 0 && load<u16>(field) == 0;
  // Where the next hop is the destination itself, it is the new one (rt6_nexthop).
  const six = isV6(ip), direct = six && base == NFTBASE_NETWORK && skb.rtGatewayHi == load<u64>(ip, 24) && skb.rtGatewayLo == load<u64>(ip, 32);
  const start = at & 1 ? (at - ip) & 1 ? at - 1 : at : (at - ip) & 1 ? at - 1 : at;
  for (let word = start; word < at + <usize>length; word += 2) {
    const before = <u32>load<u16>(word);
    for (let i: usize = 0; i < 2; i++) {
      const byte = word + i;
      if (byte >= at && byte < at + <usize>length) store<u8>(byte, load<u8>(register + (byte - at)));
    }
    const after = <u32>load<u16>(word);
    if (after == before) continue;
    if (field != 0 && !none) checksumPatch16(field, before, after);
    if (inner != 0) checksumPatch16(inner, before, after);
  }
  if (direct) {
    skb.rtGatewayHi = load<u64>(ip, 24);
    skb.rtGatewayLo = load<u64>(ip, 32);
  }
  return NFTV_CONTINUE;
}

/** The transport checksum that covers the addresses (nft_payload_l4csum_offset), or 0. */
function l4Checksum(skb: Skb): usize {
  const protocol = protocolOf(skb);
  if (fragmentOffset(skb) != 0) return 0;
  if (protocol == IPPROTO_ICMPV6 && isV6(skb.network)) return locate(2, 2, 2, skb);
  if (protocol == IPPROTO_TCP) return locate(2, 16, 2, skb);
  if (protocol != IPPROTO_UDP && protocol != 136) return 0;
  const at = locate(2, 6, 2, skb);
  return at == 0 || load<u16>(at) == 0 ? 0 : at;
}

@inline function put(register: usize, value: u32): u32 {
  store<u32>(register, bswap<u32>(value));
  return NFTV_CONTINUE;
}

function putName(register: usize, dev: usize): u32 {
  store<u64>(register, dev == 0 ? 0 : changetype<NetDevice>(dev).name0);
  store<u64>(register, dev == 0 ? 0 : changetype<NetDevice>(dev).name1, 8);
  return NFTV_CONTINUE;
}

/** Seconds since 1970. */
function realSeconds(inDev: usize, outDev: usize): u64 {
  const ns = changetype<Netns>(changetype<NetDevice>(inDev != 0 ? inDev : outDev).ns);
  return <u64>setting(nfNet(ns), NFCT_REALTIME) + node().now / 1_000_000_000;
}

/** nft_meta_get_eval. Values shorter than a register stand at its begin. */
export function nftMeta(key: u32, register: usize, skb: Skb, inDev: usize, outDev: usize): u32 {
  if (skb.nfFlags & NFF_FRAME) {
    if (key == NFTMETA_LENGTH) return put(register, <u32>(skb.tail - skb.data));
    if (key == NFTMETA_PROTOCOL) return put(register, skb.protocol << 16);
    if (key == NFTMETA_L4PROTO && skb.nfFlags & NFF_NO_TRANSPORT) return NFTV_BREAK;
    if (key == NFTMETA_NFPROTO) return put(register, skb.protocol == 0x0800 ? 2 << 24 : skb.protocol == 0x86dd ? 10 << 24 : 0);
    if (key == NFTMETA_PKTTYPE) return put(register, skb.pktType << 24);
  }
  switch (key) {
    case NFTMETA_TIME: store<u64>(register, bswap<u64>(realSeconds(inDev, outDev) * 1_000_000_000)); return NFTV_CONTINUE;
    case NFTMETA_DAY: return put(register, <u32>((realSeconds(inDev, outDev) / 86400 + 4) % 7) << 24);
    case NFTMETA_HOUR: return put(register, <u32>(realSeconds(inDev, outDev) % 86400));
    case NFTMETA_SKUID: case NFTMETA_SKGID: {
      const id = skbCreds(skb, changetype<Netns>(changetype<NetDevice>(outDev != 0 ? outDev : inDev).ns), key == NFTMETA_SKGID);
      return id < 0 ? NFTV_BREAK : put(register, <u32>id);
    }
    case NFTMETA_BRI_IIFNAME: case NFTMETA_BRI_OIFNAME: {
      const dev = key == NFTMETA_BRI_IIFNAME ? inDev : outDev;
      const bridge = dev == 0 ? 0 : changetype<NetDevice>(dev).master;
      return bridge == 0 ? NFTV_BREAK : putName(register, bridge);
    }
    case NFTMETA_IIFGROUP: case NFTMETA_OIFGROUP:
      return (key == NFTMETA_IIFGROUP ? inDev : outDev) == 0 ? NFTV_BREAK : put(register, 0);
    case NFTMETA_LENGTH: return put(register, ipLength(skb));
    case NFTMETA_PROTOCOL: return put(register, (isV6(skb.network) ? <u32>0x86dd : 0x0800) << 16);
    case NFTMETA_NFPROTO: return put(register, (isV6(skb.network) ? <u32>10 : 2) << 24);
    case NFTMETA_L4PROTO: {
      const protocol = protocolOf(skb);
      return protocol > 255 ? NFTV_BREAK : put(register, protocol << 24);
    }
    case NFTMETA_PRIORITY: return put(register, skb.priority);
    case NFTMETA_MARK: return put(register, skb.mark);
    case NFTMETA_IIF: return put(register, inDev == 0 ? 0 : changetype<NetDevice>(inDev).ifindex);
    case NFTMETA_OIF: return put(register, outDev == 0 ? 0 : changetype<NetDevice>(outDev).ifindex);
    case NFTMETA_IIFNAME: return putName(register, inDev);
    case NFTMETA_OIFNAME: return putName(register, outDev);
    case NFTMETA_IIFTYPE: case NFTMETA_OIFTYPE: {
      const dev = key == NFTMETA_IIFTYPE ? inDev : outDev;
      if (dev == 0) return NFTV_BREAK;
      return put(register, (changetype<NetDevice>(dev).kind == DEV_LOOPBACK ? ARPHRD_LOOPBACK : ARPHRD_ETHER) << 16);
    }
    case NFTMETA_PKTTYPE: return put(register, packetType(skb) << 24);
    case NFTMETA_CPU: return put(register, 0);
    case NFTMETA_RANDOM: return put(register, random32());
    default: return NFTV_BREAK;
  }
}

/** nft_meta_get_eval_pkttype_lo: what this host sent itself counts by its address. */
function packetType(skb: Skb): u32 {
  if (skb.inDev != 0 && changetype<NetDevice>(skb.inDev).kind != DEV_LOOPBACK) return skb.pktType;
  if (isV6(skb.network)) return load<u8>(skb.network, 24) == 0xff ? PACKET_MULTICAST : PACKET_HOST;
  const address = bswap<u32>(load<u32>(skb.network, 16));
  return address >>> 28 == 14 ? PACKET_MULTICAST : address == 0xffffffff ? PACKET_BROADCAST : PACKET_HOST;
}

export function nftMetaSet(key: u32, register: usize, skb: Skb): void {
  const value = bswap<u32>(load<u32>(register));
  if (key == NFTMETA_MARK) skb.mark = value;
  else if (key == NFTMETA_PRIORITY) skb.priority = value;
  else if (key == NFTMETA_PKTTYPE && value >>> 24 <= 3) skb.pktType = value >>> 24;
}

/** nft_fib4_eval_type, nft_fib4_eval. */
export function nftFib(op: usize, register: usize, skb: Skb, ns: Netns, hook: u32, inDev: usize, outDev: usize): u32 {
  const flags = load<u32>(op, 4), result = load<u32>(op, 8), ip = skb.network;
  if (isV6(ip)) return fib6(flags, result, register, skb, ns, hook, inDev, outDev);
  const source = load<u32>(ip, 12), destination = load<u32>(ip, 16);
  const address = flags & NFTFIB_SADDR ? source : destination;
  const dev = flags & NFTFIB_OIF ? outDev : flags & NFTFIB_IIF ? inDev : 0;
  if (result == NFTFIBR_ADDRTYPE) {
    let type = addressType(ns, 0, mapped4(address));
    // Limited to a device, an address of another one is like any other (inet_dev_addr_type).
    if (dev != 0 && type == RTN_LOCAL && raw4(selectAddress(changetype<NetDevice>(dev), 0, mapped4(address))) != address) {
      type = RTN_UNICAST;
    }
    return put(register, type);
  }
  let found: usize = 0;
  const group = (destination & 0xf0) == 0xe0 || destination == 0xffffffff;
  if (hook == HOOK_PREROUTING && inDev != 0 && (skb.pktType == 5 || changetype<NetDevice>(inDev).kind == DEV_LOOPBACK)) {
    found = inDev;
  } else if ((source & 0xff) == 0 && group) {
    found = inDev;
  } else {
    const iif = flags & NFTFIB_SADDR && hook == HOOK_FORWARD && flags & NFTFIB_IIF && outDev != 0
      ? changetype<NetDevice>(outDev).ifindex : 1;
    const other = flags & NFTFIB_SADDR ? destination : source;
    const at = fibLookup(ns, 0, mapped4(address), 0, usableSource(other), iif, 0, flags & NFTFIB_MARK ? skb.mark : 0, 0);
    if (at != 0) {
      const entry = changetype<FibEntry>(at);
      if (entry.type != RTN_LOCAL && (dev == 0 || entry.dev == dev)) found = dev == 0 ? entry.dev : dev;
    }
  }
  if (flags & NFTFIB_PRESENT) return put(register, found == 0 ? 0 : 1 << 24);
  if (result == NFTFIBR_OIF) return put(register, found == 0 ? 0 : changetype<NetDevice>(found).ifindex);
  return putName(register, found);
}

/** nft_fib6_eval_type, nft_fib6_eval. */
function fib6(flags: u32, result: u32, register: usize, skb: Skb, ns: Netns, hook: u32, inDev: usize, outDev: usize): u32 {
  const address = skb.network + (flags & NFTFIB_SADDR ? 8 : 24);
  const dev = flags & NFTFIB_OIF ? outDev : flags & NFTFIB_IIF ? inDev : 0;
  if (result == NFTFIBR_ADDRTYPE) return put(register, nf6FibType(ns, skb, dev, address, flags & NFTFIB_MARK ? skb.mark : 0));
  let found: usize = 0;
  const loops = hook == HOOK_PREROUTING && inDev != 0 && (skb.pktType == 5 || changetype<NetDevice>(inDev).kind == DEV_LOOPBACK);
  // What comes from nowhere in particular, on the link: neighbour discovery.
  const none = (load<u64>(skb.network, 8) | load<u64>(skb.network, 16)) == 0;
  if (loops || (none && flags & NFTFIB_SADDR)) found = inDev;
  else found = nf6FibDevice(ns, skb, dev, address, skb.network + (flags & NFTFIB_SADDR ? 24 : 8), flags & NFTFIB_MARK ? skb.mark : 0);
  if (flags & NFTFIB_PRESENT) return put(register, found == 0 ? 0 : 1 << 24);
  if (result == NFTFIBR_OIF) return put(register, found == 0 ? 0 : changetype<NetDevice>(found).ifindex);
  return putName(register, found);
}

/** nft_exthdr_ipv6_eval. */
export function nftExthdr(op: usize, register: usize, skb: Skb): u32 {
  const kind = <u32>load<u8>(op, 4), offset = <u32>load<u8>(op, 5), length = <u32>load<u8>(op, 6);
  const at = isV6(skb.network) ? extensionHeader(skb, kind) : 0;
  if (load<u8>(op, 7) != 0) return put(register, at == 0 ? 0 : 1 << 24);
  if (at == 0 || at + <usize>(offset + length) > skb.tail) return NFTV_BREAK;
  memory.fill(register, 0, <usize>padded(length));
  memory.copy(register, at + <usize>offset, <usize>length);
  return NFTV_CONTINUE;
}

/** get_saddr: no group, no broadcast, not zero. */
function usableSource(raw: u32): u64 {
  return (raw & 0xf0) == 0xe0 || raw == 0xffffffff || (raw & 0xff) == 0 ? 0xffff0000 : mapped4(raw);
}

/** nft_rt_get_eval: what is known of the way out. */
export function nftRt(key: u32, register: usize, skb: Skb, ns: Netns): u32 {
  if (skb.rtDev == 0 && skb.rtType == 0) return NFTV_BREAK;
  if (key == NFTRT_NEXTHOP) {
    if (isV6(skb.network)) {
      const none = (skb.rtGatewayHi | skb.rtGatewayLo) == 0;
      store<u64>(register, none ? load<u64>(skb.network, 24) : skb.rtGatewayHi);
      store<u64>(register, none ? load<u64>(skb.network, 32) : skb.rtGatewayLo, 8);
      return NFTV_CONTINUE;
    }
    const gateway = raw4(skb.rtGatewayLo);
    store<u32>(register, gateway != 0 ? gateway : load<u32>(skb.network, 16));
    return NFTV_CONTINUE;
  }
  // get_tcpmss: the smaller of both ways.
  if (isV6(skb.network)) {
    const smaller = min<u32>(skb.rtMtu, nf6ReverseMtu(skb, ns));
    return put(register, (smaller <= 60 ? 0xffff : min<u32>(smaller - 60, 0xffff)) << 16);
  }
  const at = kmalloc(<u32>offsetof<Route>());
  if (at == 0) return NFTV_BREAK;
  const route = changetype<Route>(at);
  const back = routeOutput(ns, 0, mapped4(load<u32>(skb.network, 12)), 0, 0xffff0000, 0, 0, 0, route);
  const mtu = back < 0 ? skb.rtMtu : min<u32>(skb.rtMtu, route.mtu);
  kfree(at, <u32>offsetof<Route>());
  return put(register, (mtu <= 40 ? 0xffff : min<u32>(mtu - 40, 0xffff)) << 16);
}

/** Where a TCP option stands, or 0. */
function option(kind: u32, skb: Skb): usize {
  if (protocolOf(skb) != IPPROTO_TCP || fragmentOffset(skb) != 0) return 0;
  const th = locate(2, 0, 20, skb);
  if (th == 0) return 0;
  const header = (<u32>load<u8>(th, 12) >>> 4) << 2;
  if (header < 20 || locate(2, 0, header, skb) == 0) return 0;
  let i: u32 = 20;
  while (i < header) {
    const code = <u32>load<u8>(th + <usize>i);
    const length: u32 = code < 2 ? 1 : i + 1 < header ? max<u32>(<u32>load<u8>(th + <usize>i, 1), 1) : header;
    if (code == kind) return i + length <= header ? th + <usize>i : 0;
    if (code == 0) return 0;
    i += length;
  }
  return 0;
}

export function nftTcpOption(op: usize, register: usize, skb: Skb): u32 {
  const at = option(<u32>load<u8>(op, 4), skb), offset = <u32>load<u8>(op, 5), length = <u32>load<u8>(op, 6);
  if (load<u8>(op, 7) != 0) return put(register, at == 0 ? 0 : 1 << 24);
  if (at == 0 || (load<u8>(at) > 1 && offset + length > <u32>load<u8>(at, 1))) return NFTV_BREAK;
  memory.fill(register, 0, <usize>padded(length));
  memory.copy(register, at + <usize>offset, <usize>length);
  return NFTV_CONTINUE;
}

/** nft_exthdr_tcp_set_eval: an MSS is only ever lowered. */
export function nftTcpOptionSet(op: usize, register: usize, skb: Skb): u32 {
  const kind = <u32>load<u8>(op, 4), offset = <u32>load<u8>(op, 5), length = <u32>load<u8>(op, 6);
  const at = option(kind, skb);
  if (at == 0 || length > 4 || offset + length > <u32>load<u8>(at, 1)) return NFTV_CONTINUE;
  const th = skb.network + <usize>headerBytes(skb);
  if (kind == 2 && length == 2 && be16(at, 2) <= be16(register, 0)) return NFTV_CONTINUE;
  for (let i: u32 = 0; i < length; i++) {
    const byte = at + <usize>(offset + i), word = th + ((byte - th) & ~1);
    const before = <u32>load<u16>(word);
    store<u8>(byte, load<u8>(register + <usize>i));
    const after = <u32>load<u16>(word);
    if (after != before) checksumPatch16(th + 16, before, after);
  }
  return NFTV_CONTINUE;
}
