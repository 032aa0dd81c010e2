// Targets of the full kernel only: dispatch, and CT, TPROXY, TCPOPTSTRIP, HMARK (net/netfilter/xt_CT.c, xt_TPROXY.c, xt_TCPOPTSTRIP.c,
// xt_HMARK.c).
import {
  EXT_HEADER, HOOK_PREROUTING, IP_CT_UNTRACKED, NF_ACCEPT, NF_DROP, NF_QUEUE, TABLE_MANGLE, TABLE_RAW,
} from "../abi/netfilter";
import { NFQ_VERDICT_BYPASS } from "../abi/queue";
import {
  CTT_NOTRACK, HMARK_CT, HMARK_L3, HMARK_SPI, NFQ_BYPASS, NFQ_CPU_FANOUT, TARGET_CONTINUE, TARGET_CT, TARGET_HMARK, TARGET_NFQUEUE, TARGET_SET,
  TARGET_TCPOPTSTRIP, TARGET_TPROXY, TARGET_TRACE, CTT_ZONE_MARK,
} from "../abi/xtables";
import { NetDevice, Netns, Skb } from "../layout";
import { hashWord, jhash3, mix32 } from "../mm/hash";
import { selectAddress } from "../net/ip-output";
import { SK_TRANSPARENT, Socket } from "../sock/socket";
import { connectionLookup, socketLookup } from "../sock/lookup";
import { be16, raw4 } from "../wire/bytes";
import { checksumPatch16 } from "../wire/checksum";
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../wire/ipv4";
import { foundAt, foundFragment, ip6Follow } from "../net/ip6-ext";
import { IPPROTO_ICMPV6 } from "../wire/ipv6";
import { ctTuple, icmpIsError, skbCt } from "./conntrack";
import { fragmentUnits, ipBytes, isV6, l4Offset, l4Protocol } from "./l3";
import { target6Size } from "./target-ipv6";
import { bytes6 } from "./address6";
import { targetSet } from "./match-set";
import { XtTable } from "./state";
import { Tuple, protoHasPorts } from "./tuple";
import { XT_CONTINUE } from "./xtables";

/** Bit of Skb.nfFlags: TPROXY chose the socket in `sock`. */
export const NFF_TPROXY: u32 = 1;
/** Bit of Skb.nfFlags: sent by a raw socket of root's that is none of this kernel's sockets (NF_LOCAL_OUT). */
export const NFF_RAW: u32 = 2;
/** Bit 31 of Skb.ctTemplate: CT was here. */
export const CT_TEMPLATE: u32 = 0x80000000;

/** See `target`. */
export function targetMore(at: usize, skb: Skb, ns: Netns, t: XtTable, inDev: usize, outDev: usize): u32 {
  const d = at + EXT_HEADER;
  switch (<u32>load<u8>(at)) {
    case TARGET_CONTINUE: case TARGET_TRACE: return XT_CONTINUE;
    case TARGET_CT: return ctTarget(d, skb);
    case TARGET_SET:
      targetSet(d, skb, t, inDev, outDev);
      return XT_CONTINUE;
    case TARGET_TPROXY: return tproxy(d, skb, ns, inDev);
    case TARGET_TCPOPTSTRIP: return tcpoptstrip(d, skb);
    case TARGET_HMARK: return hmark(d, skb);
    case TARGET_NFQUEUE: return nfqueue(d, skb);
    default: return NF_DROP;
  }
}

/** Bytes of data; 0xffffffff: there is no such target. */
export function targetMoreSize(kind: u32): u32 {
  switch (kind) {
    case TARGET_TRACE: return 0;
    case TARGET_CONTINUE: return 4;
    case TARGET_NFQUEUE: return 8;
    case TARGET_TPROXY: return 16;
    case TARGET_CT: return 20;
    case TARGET_TCPOPTSTRIP: return 32;
    case TARGET_HMARK: return 36;
    case TARGET_SET: return 124;
    default: return target6Size(kind);
  }
}

/** checkentry: may it stand in this table, at these hooks, with this protocol (0: any)? */
export function targetMorePlace(kind: u32, table: u32, hooks: u32, protocol: u32): bool {
  switch (kind) {
    case TARGET_CT: case TARGET_TRACE: return table == TABLE_RAW;
    case TARGET_TPROXY:
      return table == TABLE_MANGLE && !(hooks & ~(1 << HOOK_PREROUTING)) && (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP);
    case TARGET_TCPOPTSTRIP: return table == TABLE_MANGLE && protocol == IPPROTO_TCP;
    case TARGET_HMARK: return table == TABLE_MANGLE;
    default: return true;
  }
}

/** xt_ct_target: the template is noted, connection tracking takes it up. */
function ctTarget(d: usize, skb: Skb): u32 {
  // The first of them decides.
  if (skb.nfct != 0 || skb.ctinfo != 0 || skb.ctTemplate & CT_TEMPLATE) return XT_CONTINUE;
  const flags = load<u32>(d);
  if (flags & CTT_NOTRACK) {
    skb.ctinfo = IP_CT_UNTRACKED;
    return XT_CONTINUE;
  }
  const original = flags & CTT_ZONE_MARK ? skb.mark & 0xffff : <u32>load<u16>(d, 4);
  const reply = flags & CTT_ZONE_MARK ? skb.mark & 0xffff : <u32>load<u16>(d, 6);
  skb.ctZone = original | (reply << 16);
  skb.ctTemplate = CT_TEMPLATE | load<u32>(d, 8) & 255;
  return XT_CONTINUE;
}

/** tproxy_tg4. */
function tproxy(d: usize, skb: Skb, ns: Netns, inDev: usize): u32 {
  const ip = skb.network, header = (<u32>load<u8>(ip) & 15) << 2;
  const protocol = <u32>load<u8>(ip, 9);
  if ((load<u16>(ip, 6) & 0xff1f) != 0 || header + 8 > ipBytes(skb)) return NF_DROP;
  const l4 = ip + <usize>header;
  const source = load<u32>(ip, 12), destination = load<u32>(ip, 16), sport = be16(l4, 0), dport = be16(l4, 2);
  let address = load<u32>(d);
  if (address == 0 && inDev != 0) address = raw4(selectAddress(changetype<NetDevice>(inDev), 0, 0xffff0000));
  if (address == 0) address = destination;
  const port: u32 = load<u16>(d, 4) != 0 ? <u32>load<u16>(d, 4) : dport;
  let at = connectionLookup(ns, protocol, source, sport, destination, dport);
  if (at == 0 || changetype<Socket>(at).kind >= 8) at = socketLookup(ns, protocol, source, sport, address, port);
  if (at == 0 || changetype<Socket>(at).kind >= 8 || !(changetype<Socket>(at).flags & SK_TRANSPARENT)) return NF_DROP;
  skb.mark = (skb.mark & ~load<u32>(d, 12)) ^ load<u32>(d, 8);
  skb.sock = changetype<Socket>(at).handle;
  skb.nfFlags |= NFF_TPROXY;
  return NF_ACCEPT;
}

/** tcpoptstrip_mangle_packet: the options become padding. */
function tcpoptstrip(d: usize, skb: Skb): u32 {
  const ip = skb.network, length = ipBytes(skb), header = l4Offset(skb);
  if (fragmentUnits(skb) != 0) return XT_CONTINUE;
  if (header + 20 > length) return NF_DROP;
  const th = ip + <usize>header, end = (<u32>load<u8>(th, 12) >>> 4) << 2;
  if (end < 20 || header + end > length) return NF_DROP;
  for (let i: u32 = 20; i < end - 1;) {
    const code = <u32>load<u8>(th + <usize>i);
    const size: u32 = code < 2 ? 1 : max<u32>(<u32>load<u8>(th + <usize>i, 1), 1);
    if (i + size > end) break;
    if ((load<u32>(d + <usize>((code >>> 5) << 2)) >>> (code & 31)) & 1) {
      for (let j: u32 = 0; j < size; j++) {
        const word = th + <usize>((i + j) & ~1), before = <u32>load<u16>(word);
        store<u8>(th + <usize>(i + j), 1);
        checksumPatch16(th + 16, before, <u32>load<u16>(word));
      }
    }
    i += size;
  }
  return XT_CONTINUE;
}

/** {u16 first, u16 queues, u32 flags}: to one queue, or by the addresses to one of several (nfqueue_tg_v3, nfqueue_hash). */
function nfqueue(d: usize, skb: Skb): u32 {
  const queues = <u32>load<u16>(d, 2), flags = load<u32>(d, 4);
  let number = <u32>load<u16>(d);
  // One CPU: with its number as the choice it is always the first.
  if (queues > 1 && !(flags & NFQ_CPU_FANOUT)) {
    const ip = skb.network, six = isV6(ip);
    const source = six ? load<u32>(ip, 20) : load<u32>(ip, 12), destination = six ? load<u32>(ip, 36) : load<u32>(ip, 16);
    const hash = mix32(hashWord(min<u32>(source, destination), max<u32>(source, destination)) ^ l4Protocol(skb));
    number += <u32>((<u64>hash * <u64>queues) >> 32);
  }
  return NF_QUEUE | (number << 16) | (flags & NFQ_BYPASS ? NFQ_VERDICT_BYPASS : 0);
}

/** hmark_tg_v4. data: see TARGET_HMARK; that of IPv6 has masks of 16 bytes. */
export function hmark(data: usize, skb: Skb): u32 {
  let ip = skb.network, length = ipBytes(skb);
  const six = isV6(ip), d = six ? data + 24 : data;
  const flags = load<u32>(d, 32), portMask = load<u32>(d, 8), portSet = load<u32>(d, 12);
  let source: u32 = 0, destination: u32 = 0, ports: u32 = 0, protocol: u32 = 0;
  const layer3 = (flags & HMARK_L3) != 0;
  if (flags & HMARK_CT) {
    if (skb.nfct == 0) return XT_CONTINUE;
    const orig = Tuple.at(ctTuple(skbCt(skb), false)), reply = Tuple.at(ctTuple(skbCt(skb), true));
    source = six ? fold6(bytes6(orig.src), data) : orig.src & load<u32>(d);
    destination = six ? fold6(bytes6(reply.src), data + 16) : reply.src & load<u32>(d, 4);
    if (!layer3) {
      const icmp = six ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
      protocol = <u32>orig.proto & load<u32>(d, 16);
      if (<u32>orig.proto != icmp) ports = swapPorts(<u32>orig.sport | (<u32>reply.sport << 16), portMask, portSet);
    }
  } else {
    let header = l4Offset(skb), kind = six ? skb.nextHeader : <u32>load<u8>(ip, 9), fragment = six ? skb.fragOffset & 0xfff8 : <u32>load<u16>(ip, 6) & 0xff3f;
    if (six) {
      if (kind > 255) return XT_CONTINUE;
      if (kind == IPPROTO_ICMPV6 && header + 48 <= length && load<u8>(ip + <usize>header) < 128) {
        ip += <usize>header + 8;
        length -= header + 8;
        kind = ip6Follow(ip + 40, ip + <usize>length, <u32>load<u8>(ip, 6), false);
        header = <u32>(foundAt - ip);
        fragment = foundFragment != 0 ? be16(foundFragment, 2) & 0xfff8 : 0;
        if (kind > 255) return XT_CONTINUE;
      }
      source = fold6(ip + 8, data);
      destination = fold6(ip + 24, data + 16);
    } else {
      if (kind == IPPROTO_ICMP && header + 28 <= length && icmpIsError(<u32>load<u8>(ip + <usize>header))) {
        ip += <usize>header + 8;
        length -= header + 8;
        header = (<u32>load<u8>(ip) & 15) << 2;
        kind = <u32>load<u8>(ip, 9);
        fragment = <u32>load<u16>(ip, 6) & 0xff3f;
      }
      source = load<u32>(ip, 12) & load<u32>(d);
      destination = load<u32>(ip, 16) & load<u32>(d, 4);
    }
    if (!layer3) {
      protocol = kind & load<u32>(d, 16);
      const l4 = ip + <usize>header;
      if (fragment == 0 && (kind == 50 || kind == 51 || kind == 33 || protoHasPorts(kind)) && header + 8 <= length) {
        ports = load<u32>(l4 + (kind == 51 ? 4 : 0));
        ports = flags & HMARK_SPI && (kind == 50 || kind == 51) ? (ports & portMask) | portSet : swapPorts(ports, portMask, portSet);
      }
    }
  }
  const a = bswap<u32>(source), b = bswap<u32>(destination);
  const hash = jhash3(min<u32>(a, b), max<u32>(a, b), ports, load<u32>(d, 20)) ^ protocol;
  skb.mark = <u32>((<u64>hash * <u64>load<u32>(d, 24)) >> 32) + load<u32>(d, 28);
  return XT_CONTINUE;
}

/** hmark_addr6_mask */
function fold6(at: usize, mask: usize): u32 {
  const word = (load<u64>(at) & load<u64>(mask)) ^ (load<u64>(at, 8) & load<u64>(mask, 8));
  return <u32>word ^ <u32>(word >> 32);
}

/** hmark_swap_ports: the greater port is the upper half. */
function swapPorts(ports: u32, mask: u32, set: u32): u32 {
  const p = (ports & mask) | set;
  const a = <u32>bswap<u16>(<u16>p), b = <u32>bswap<u16>(<u16>(p >>> 16));
  return b > a ? (b << 16) | a : (a << 16) | b;
}
