// Dispatch of targets by number, and those that change marks or header fields: net/netfilter/xt_mark.c, xt_connmark.c, xt_DSCP.c,
// xt_HL.c, xt_TCPMSS.c, xt_TEE.c, xt_CLASSIFY.c, xt_CT.c, net/ipv4/netfilter/ipt_ECN.c.
import {
  ECNOP_CWR, ECNOP_ECE, ECNOP_IP, EXT_HEADER, HOOK_INPUT, HOOK_PREROUTING, IP_CT_UNTRACKED, NF_DROP, TARGET_CLASSIFY,
  TARGET_CONNMARK, TARGET_DNAT, TARGET_ECN, TARGET_LOG, TARGET_MARK, TARGET_MASQUERADE, TARGET_NETMAP, TARGET_NOTRACK,
  TARGET_REDIRECT, TARGET_REJECT, TARGET_SNAT, TARGET_TCPMSS, TARGET_TEE, TARGET_TOS, TARGET_TTL,
} from "../abi/netfilter";
import { TARGET_HMARK6, TARGET_SNAT6 } from "../abi/xtables";
import { FULL } from "../features";
import { Netns, Skb } from "../layout";
import { kfree, kmalloc } from "../mm/slab";
import { flowRecording, flowTarget } from "../net/flow";
import { Route, ipLocalOut, routeOutput } from "../net/ip-output";
import { skbCopy, skbFree } from "../net/skb";
import { be16, mapped4, putBe16 } from "../wire/bytes";
import { checksumPatch16 } from "../wire/checksum";
import { IPPROTO_TCP, Ipv4View } from "../wire/ipv4";
import { Ipv6View } from "../wire/ipv6";
import { skbCt } from "./conntrack";
import { nf6ReverseMtu } from "./ipv6-routes";
import { fragmentUnits, ipBytes, isV6, l4Offset } from "./l3";
import { natTarget } from "./nat";
import { XtTable, nfNet } from "./state";
import { target6 } from "./target-ipv6";
import { CT_TEMPLATE, targetMore } from "./target-more";
import { reject } from "./target-reject";
import { XT_CONTINUE } from "./xtables";

const NO_CLAMP: u32 = 0xffff;

/** Runs the target at `at` (checked when the table was loaded): XT_CONTINUE or a verdict. */
export function target(at: usize, skb: Skb, ns: Netns, t: XtTable, hook: u32, inDev: usize, outDev: usize): u32 {
  const d = at + EXT_HEADER, kind = <u32>load<u8>(at);
  if (FULL && flowRecording(skb)) flowTarget(at, skb);
  switch (kind) {
    case TARGET_MARK:
      skb.mark = (skb.mark & ~load<u32>(d, 4)) ^ load<u32>(d);
      return XT_CONTINUE;
    case TARGET_CONNMARK: return connmark(d, skb);
    case TARGET_SNAT: case TARGET_DNAT: case TARGET_MASQUERADE: case TARGET_REDIRECT: case TARGET_NETMAP:
      return natTarget(kind, skb, ns, hook, inDev, outDev, d);
    case TARGET_REJECT: return reject(load<u32>(d), skb, ns);
    case TARGET_LOG: return XT_CONTINUE;
    case TARGET_NOTRACK:
      if (skb.nfct == 0 && skb.ctinfo == 0 && !(FULL && skb.ctTemplate & CT_TEMPLATE)) skb.ctinfo = IP_CT_UNTRACKED;
      return XT_CONTINUE;
    case TARGET_TCPMSS: return tcpmss(load<u32>(d), skb, ns);
    case TARGET_TOS: {
      const ip = skb.network;
      if (isV6(ip)) {
        const view = Ipv6View.at(ip), old = view.trafficClass;
        view.changeTrafficClass(0, (old & ~load<u32>(d, 4)) ^ load<u32>(d));
        return XT_CONTINUE;
      }
      const before = <u32>load<u8>(ip, 1);
      setByte(ip, 1, (before & ~load<u32>(d, 4)) ^ load<u32>(d));
      return XT_CONTINUE;
    }
    case TARGET_TTL: {
      const six = isV6(skb.network);
      const mode = load<u32>(d), value = load<u32>(d, 4), ttl = <u32>load<u8>(skb.network + (six ? 7 : 8));
      const after = mode == 0 ? value : mode == 1 ? min<u32>(ttl + value, 255) : ttl > value ? ttl - value : 0;
      if (six) {
        store<u8>(skb.network, <u8>after, 7);
        return XT_CONTINUE;
      }
      setByte(skb.network, 8, after);
      return XT_CONTINUE;
    }
    case TARGET_TEE:
      tee(load<u32>(d), skb, ns, hook);
      return XT_CONTINUE;
    case TARGET_CLASSIFY:
      skb.priority = load<u32>(d);
      return XT_CONTINUE;
    case TARGET_ECN: return ecn(d, skb);
    default:
      if (FULL && kind >= TARGET_SNAT6 && kind <= TARGET_HMARK6) return target6(kind, d, skb, ns, hook, inDev, outDev);
      return FULL ? targetMore(at, skb, ns, t, inDev, outDev) : NF_DROP;
  }
}

/** Changes one byte of the IP header and patches its checksum. */
function setByte(ip: usize, offset: usize, value: u32): void {
  const word = offset & ~1;
  const before = <u32>load<u16>(ip + word);
  store<u8>(ip + offset, <u8>value);
  checksumPatch16(ip + 10, before, <u32>load<u16>(ip + word));
}

function connmark(d: usize, skb: Skb): u32 {
  if (skb.nfct == 0) return XT_CONTINUE;
  const ct = skbCt(skb), mode = load<u32>(d);
  const ctmark = load<u32>(d, 4), ctmask = load<u32>(d, 8), nfmask = load<u32>(d, 12);
  if (mode == 0) ct.mark = (ct.mark & ~ctmask) ^ ctmark;
  else if (mode == 1) ct.mark = (ct.mark & ~ctmask) ^ (skb.mark & nfmask);
  else skb.mark = (skb.mark & ~nfmask) ^ (ct.mark & ctmask);
  return XT_CONTINUE;
}

function ecn(d: usize, skb: Skb): u32 {
  const operations = load<u32>(d), ip = skb.network;
  if (operations & ECNOP_IP) setByte(ip, 1, (<u32>load<u8>(ip, 1) & ~3) | (load<u32>(d, 4) & 3));
  if (!(operations & (ECNOP_ECE | ECNOP_CWR)) || <u32>load<u8>(ip, 9) != IPPROTO_TCP) return XT_CONTINUE;
  const header = (<u32>load<u8>(ip) & 15) << 2;
  if (header + 20 > ipBytes(skb)) return NF_DROP;
  const th = ip + <usize>header;
  const before = <u32>load<u16>(th, 12);
  const off = <u8>((operations & ECNOP_ECE ? 64 : 0) | (operations & ECNOP_CWR ? 128 : 0));
  store<u8>(th, load<u8>(th, 13) & ~off, 13);
  const after = <u32>load<u16>(th, 12);
  if (after != before) checksumPatch16(th + 16, before, after);
  return XT_CONTINUE;
}

/** tcpmss_mangle_packet. */
function tcpmss(wanted: u32, skb: Skb, ns: Netns): u32 {
  const ip = skb.network, length = ipBytes(skb), six = isV6(ip);
  const header = l4Offset(skb);
  if (fragmentUnits(skb) != 0) return XT_CONTINUE;
  if (header + 20 > length) return NF_DROP;
  const th = ip + <usize>header, room = length - header;
  const tcpHeader = (<u32>load<u8>(th, 12) >>> 4) << 2;
  if (tcpHeader < 20 || tcpHeader > room) return NF_DROP;
  let mss = wanted;
  if (wanted == NO_CLAMP) {
    const mtu = min<u32>(skb.rtMtu, six ? nf6ReverseMtu(skb, ns) : reverseMtu(skb, ns)), headers: u32 = six ? 60 : 40;
    if (mtu <= headers) return NF_DROP;
    mss = mtu - headers;
  }
  let i: u32 = 20;
  while (i + 4 <= tcpHeader) {
    const code = <u32>load<u8>(th + <usize>i);
    if (code == 2 && load<u8>(th + <usize>i, 1) == 4) {
      const before = be16(th + <usize>i, 2);
      // Never greater than the host said.
      if (before <= mss) return XT_CONTINUE;
      // The field may stand at an odd place: the checksum sums the words of the header as they lie.
      patchField(th, i + 2, mss);
      return XT_CONTINUE;
    }
    if (code < 2) i++;
    else i += max<u32>(<u32>load<u8>(th + <usize>i, 1), 1);
  }
  if (room > tcpHeader || tcpHeader >= 60) return XT_CONTINUE;
  if (skb.tail + 4 > skb.end) return XT_CONTINUE;
  memory.copy(th + 24, th + 20, <usize>(room - 20));
  skb.tail += 4;
  // Where no MSS is named the other side takes what any host takes (RFC 879, RFC 2460).
  insertMss(ip, th, room, min<u32>(mss, six ? 1220 : 536));
  return XT_CONTINUE;
}

/** Writes a 16-bit field at any place of the TCP header and patches the checksum. */
function patchField(th: usize, offset: u32, value: u32): void {
  for (let i: u32 = 0; i < 2; i++) {
    const at = offset + i, word = th + <usize>(at & ~1);
    const before = <u32>load<u16>(word);
    store<u8>(th + <usize>at, <u8>(i == 0 ? value >>> 8 : value));
    checksumPatch16(th + 16, before, <u32>load<u16>(word));
  }
}

/** Writes an MSS option into the four bytes made free behind the fixed header; the segment, `room` bytes until now, has no data. */
function insertMss(ip: usize, th: usize, room: u32, mss: u32): void {
  store<u8>(th + 20, 2);
  store<u8>(th + 21, 4);
  putBe16(th, 22, mss);
  checksumPatch16(th + 16, <u32>bswap<u16>(<u16>room), <u32>bswap<u16>(<u16>(room + 4)));
  checksumPatch16(th + 16, 0, <u32>load<u16>(th, 20));
  checksumPatch16(th + 16, 0, <u32>load<u16>(th, 22));
  const before = <u32>load<u16>(th, 12);
  store<u8>(th, load<u8>(th, 12) + 0x10, 12);
  checksumPatch16(th + 16, before, <u32>load<u16>(th, 12));
  if (isV6(ip)) {
    putBe16(ip, 4, be16(ip, 4) + 4);
    return;
  }
  const total = <u32>load<u16>(ip, 2);
  putBe16(ip, 2, be16(ip, 2) + 4);
  checksumPatch16(ip + 10, total, <u32>load<u16>(ip, 2));
}

/** MTU of the way back to the source (tcpmss_reverse_mtu). */
function reverseMtu(skb: Skb, ns: Netns): u32 {
  const at = kmalloc(<u32>offsetof<Route>());
  if (at == 0) return skb.rtMtu;
  const route = changetype<Route>(at);
  const result = routeOutput(ns, 0, mapped4(load<u32>(skb.network, 12)), 0, 0xffff0000, 0, 0, 0, route);
  const mtu = result < 0 ? 0xffffffff : route.mtu;
  kfree(at, <u32>offsetof<Route>());
  return mtu;
}

/** nf_dup_ipv4: a copy, not tracked, goes to the gateway; copies are not copied again. */
export function tee(gateway: u32, skb: Skb, ns: Netns, hook: u32): void {
  const nf = nfNet(ns);
  if (nf.duplicating) return;
  const at = kmalloc(<u32>offsetof<Route>());
  if (at == 0) return;
  const route = changetype<Route>(at);
  const copy = skbCopy(skb);
  if (changetype<usize>(copy) != 0) {
    const ip = copy.network;
    copy.data = ip;
    copy.tail = ip + <usize>min<u32>(be16(ip, 2), <u32>(copy.tail - ip));
    copy.ctinfo = IP_CT_UNTRACKED;
    // Its pieces stay with the original: it is cut anew, at the longest of them.
    copy.fragMax = skb.fragMax;
    copy.ipFlags = skb.ipFlags;
    store<u8>(ip, load<u8>(ip, 6) | 0x40, 6);
    // Against loops between two hosts that copy to each other.
    if (hook == HOOK_PREROUTING || hook == HOOK_INPUT) store<u8>(ip, load<u8>(ip, 8) - 1, 8);
    Ipv4View.at(ip).updateChecksum();
    const result = routeOutput(ns, 0, mapped4(gateway), 0, 0xffff0000, 0, 0, <u32>load<u8>(ip, 1), route);
    if (result < 0) {
      skbFree(copy);
    } else {
      copy.rtType = route.type;
      copy.rtDev = route.dev;
      copy.rtMtu = route.mtu;
      copy.rtGatewayHi = route.gatewayHi;
      copy.rtGatewayLo = route.gatewayLo;
      copy.inDev = 0;
      nf.duplicating = 1;
      ipLocalOut(copy, ns);
      nf.duplicating = 0;
    }
  }
  kfree(at, <u32>offsetof<Route>());
}
