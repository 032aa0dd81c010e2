// Targets of IPv6's tables where they differ from IPv4's: REJECT (net/ipv6/netfilter/nf_reject_ipv6.c), NPT (ip6t_NPT.c), TEE
// (nf_dup_ipv6.c), TPROXY (net/netfilter/xt_TPROXY.c). NAT stands in nat.ts, HMARK in target-more.ts.
import {
  HOOK_INPUT, HOOK_OUTPUT, HOOK_POSTROUTING, HOOK_PREROUTING, IPS_CONFIRMED, IP_CT_UNTRACKED, NFCT_TIMEOUT_TCP, NF_DROP, TABLE_FILTER,
  TABLE_MANGLE, TABLE_NAT,
} from "../abi/netfilter";
import {
  NAT_RANGE6_BYTES, REJECT6_ECHOREPLY, REJECT6_POLICY_FAIL, REJECT6_TCP_RESET, TARGET_DNAT6, TARGET_HMARK6, TARGET_MASQUERADE6,
  TARGET_NETMAP6, TARGET_NPT, TARGET_REDIRECT6, TARGET_REJECT6, TARGET_SNAT6, TARGET_TEE6, TARGET_TPROXY6,
} from "../abi/xtables";
import { Netns, Skb } from "../layout";
import { icmp6Send } from "../net/icmp6";
import { skbAlloc, skbCopy, skbFree } from "../net/skb";
import { be32 } from "../wire/bytes";
import { checksumAdd, checksumFold } from "../wire/checksum";
import { ICMPV6_DEST_UNREACH, ICMPV6_HDR_FIELD, ICMPV6_PARAMPROB } from "../wire/icmp6";
import { IPPROTO_TCP, IPPROTO_UDP } from "../wire/ipv4";
import { IPPROTO_ICMPV6, Ipv6View, NEXTHDR_NONE, isAny6, isMulticast6 } from "../wire/ipv6";
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN, TcpView } from "../wire/tcp";
import { ctAttach, ctRefresh, ctTuple, l4ChecksumOk, skbCt } from "./conntrack";
import { nf6Output, nf6SendTo } from "./ipv6-routes";
import { pseudoSum } from "./l3";
import { natTarget6 } from "./nat";
import { tproxy6 } from "./socket-ipv6";
import { nfNet, setting } from "./state";
import { hmark } from "./target-more";
import { verifies } from "./target-reject";
import { Tuple } from "./tuple";
import { XT_CONTINUE } from "./xtables";

const TCP_CLOSE: u32 = 8;
const IPV6_BYTES: u32 = 40;

/** See `target`. */
export function target6(kind: u32, d: usize, skb: Skb, ns: Netns, hook: u32, inDev: usize, outDev: usize): u32 {
  switch (kind) {
    case TARGET_REJECT6: return reject6(load<u32>(d), skb, ns);
    case TARGET_NPT: return npt(d, skb, ns);
    case TARGET_TEE6:
      tee6(d, skb, ns, hook);
      return XT_CONTINUE;
    case TARGET_TPROXY6: return tproxy6(d, skb, ns, inDev);
    case TARGET_HMARK6: return hmark(d, skb);
    default: return natTarget6(kind, skb, ns, hook, inDev, outDev, d);
  }
}

/** Bytes of data; 0xffffffff: there is no such target. */
export function target6Size(kind: u32): u32 {
  switch (kind) {
    case TARGET_SNAT6: case TARGET_DNAT6: case TARGET_MASQUERADE6: case TARGET_REDIRECT6: case TARGET_NETMAP6: return NAT_RANGE6_BYTES;
    case TARGET_REJECT6: return 4;
    case TARGET_TPROXY6: return 28;
    case TARGET_TEE6: return 16;
    case TARGET_NPT: return 48;
    case TARGET_HMARK6: return 60;
    default: return 0xffffffff;
  }
}

/** checkentry: may it stand in this table, at these hooks, with this protocol (0: any)? */
export function target6Place(at: usize, kind: u32, table: u32, hooks: u32, protocol: u32): bool {
  const post = <u32>(1 << HOOK_POSTROUTING | 1 << HOOK_INPUT), pre = <u32>(1 << HOOK_PREROUTING | 1 << HOOK_OUTPUT);
  switch (kind) {
    case TARGET_SNAT6: return table == TABLE_NAT && !(hooks & ~post);
    case TARGET_DNAT6: case TARGET_REDIRECT6: return table == TABLE_NAT && !(hooks & ~pre);
    case TARGET_MASQUERADE6: return table == TABLE_NAT && !(hooks & ~(1 << HOOK_POSTROUTING));
    case TARGET_NETMAP6: return table == TABLE_NAT;
    case TARGET_REJECT6: {
      const how = load<u32>(at);
      return table == TABLE_FILTER && how <= 8 && how != REJECT6_ECHOREPLY && (how != REJECT6_TCP_RESET || protocol == IPPROTO_TCP);
    }
    case TARGET_TPROXY6:
      return table == TABLE_MANGLE && !(hooks & ~(1 << HOOK_PREROUTING)) && (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP);
    case TARGET_NPT: return table == TABLE_MANGLE && !(hooks & ~(load<u32>(at) != 0 ? post : pre)) && nptValid(at);
    case TARGET_HMARK6: return table == TABLE_MANGLE;
    default: return true;
  }
}

/** `how` is REJECT6_*. Always NF_DROP. */
export function reject6(how: u32, skb: Skb, ns: Netns): u32 {
  if (how == REJECT6_TCP_RESET) reset(skb, ns);
  else if (how != REJECT6_ECHOREPLY) unreachable(how >= REJECT6_POLICY_FAIL ? how - 2 : how, skb, ns);
  return NF_DROP;
}

/** nf_send_unreach6: only about packets whose payload is whole, as far as that can be told. */
function unreachable(code: u32, skb: Skb, ns: Netns): void {
  const l4 = skb.transport, protocol = skb.nextHeader;
  if (protocol > 255 || protocol == NEXTHDR_NONE || l4 >= skb.tail || (skb.fragOffset & 0xfff8) != 0) return;
  const room = <u32>(skb.tail - l4);
  if (verifies(protocol, l4, room) && !l4ChecksumOk(skb.network, l4, room, protocol)) return;
  icmp6Send(skb, ns, ICMPV6_DEST_UNREACH, code, 0);
}

/** nf_send_reset6. */
function reset(skb: Skb, ns: Netns): void {
  const from = Ipv6View.at(skb.network), room = <u32>(skb.tail - skb.transport);
  if (isMulticast6(from.sourceHi) || isMulticast6(from.destinationHi) || isAny6(from.sourceHi, from.sourceLo)
    || isAny6(from.destinationHi, from.destinationLo)) return;
  if (skb.nextHeader != IPPROTO_TCP || skb.transport + 20 > skb.tail || (skb.fragOffset & 0xfff8) != 0) return;
  const th = TcpView.at(skb.transport);
  if (th.flags & TCP_RST || !l4ChecksumOk(skb.network, skb.transport, room, IPPROTO_TCP)) return;
  const answer = skbAlloc(IPV6_BYTES + 20);
  if (changetype<usize>(answer) == 0) return;
  answer.tail = answer.data + <usize>IPV6_BYTES + 20;
  answer.network = answer.data;
  answer.transport = answer.data + <usize>IPV6_BYTES;
  answer.protocol = 0x86dd;
  answer.nextHeader = IPPROTO_TCP;
  answer.id = skb.id;
  const acks = (th.flags & TCP_ACK) != 0;
  const segment = room - min<u32>(th.headerLength, room) + (th.flags & TCP_SYN ? 1 : 0) + (th.flags & TCP_FIN ? 1 : 0);
  const tcp = TcpView.at(answer.transport);
  tcp.write(th.destinationPort, th.sourcePort, acks ? th.acknowledgment : 0,
    acks ? 0 : be32(changetype<usize>(th), 4) + segment, 20, acks ? TCP_RST : TCP_RST | TCP_ACK, 0);
  Ipv6View.at(answer.network).write(0, 0, 20, IPPROTO_TCP, 64, from.destinationHi, from.destinationLo, from.sourceHi, from.sourceLo);
  tcp.checksum = ~checksumFold(checksumAdd(pseudoSum(answer.network, IPPROTO_TCP, 20), answer.transport, 20)) & 0xffff;
  ctAttach(answer, skb);
  // The connection is at its end, whatever the answer does (nf_conntrack_tcp_set_closing).
  if (skb.nfct != 0) {
    const ct = skbCt(skb);
    if (ct.status & IPS_CONFIRMED && <u32>Tuple.at(ctTuple(ct, false)).proto == IPPROTO_TCP && ct.state != TCP_CLOSE) {
      ct.state = TCP_CLOSE;
      ctRefresh(ct, setting(nfNet(ns), NFCT_TIMEOUT_TCP + TCP_CLOSE));
    }
  }
  nf6Output(answer, ns);
}

// NPT. data: {u32 source, u32 source bits, u32 destination bits, u32 0, 16 bytes source prefix, 16 bytes destination prefix}

/** ip6t_npt_checkentry: nothing behind the prefixes. */
export function nptValid(d: usize): bool {
  return prefixValid(d + 16, load<u32>(d, 4)) && prefixValid(d + 32, load<u32>(d, 8));
}
function prefixValid(at: usize, bits: u32): bool {
  if (bits > 64 || load<u64>(at, 8) != 0) return false;
  return bits == 64 || (bswap<u64>(load<u64>(at)) << <u64>bits) == 0;
}

function npt(d: usize, skb: Skb, ns: Netns): u32 {
  const source = load<u32>(d) != 0, ip = skb.network;
  if (!mapPrefix(d, ip + (source ? 8 : 24))) {
    icmp6Send(skb, ns, ICMPV6_PARAMPROB, ICMPV6_HDR_FIELD, source ? 8 : 24);
    return NF_DROP;
  }
  // The address in a packet that an error sends back.
  const icmp = skb.transport;
  if (<u32>load<u8>(ip, 6) == IPPROTO_ICMPV6 && icmp + 48 <= skb.tail && load<u8>(icmp) < 128) {
    const inner = icmp + 8 + (source ? 24 : 8), bits = load<u32>(d, 4);
    const mask: u64 = bits == 0 ? 0 : bswap<u64>(u64.MAX_VALUE << <u64>(64 - bits));
    if ((load<u64>(inner) & mask) == load<u64>(d, 16)) mapPrefix(d, inner);
  }
  return XT_CONTINUE;
}

/** ip6t_npt_map_pfx: the other prefix, and a word changed so that checksums stay right (RFC 6296). */
function mapPrefix(d: usize, at: usize): bool {
  const bits = max<u32>(load<u32>(d, 4), load<u32>(d, 8));
  for (let i: u32 = 0; i < bits; i += 32) {
    const mask: u32 = bits - i >= 32 ? 0 : bswap<u32>((<u32>1 << (i + 32 - bits)) - 1);
    const word = at + <usize>(i >>> 3);
    store<u32>(word, (load<u32>(word) & mask) | (~mask & load<u32>(d + 32 + <usize>(i >>> 3))));
  }
  let index: u32 = 3;
  if (bits > 48) {
    index = 4;
    while (index < 8 && load<u16>(at + <usize>(index << 1)) == 0xffff) index++;
    if (index == 8) return false;
  }
  // csum_sub adds the complement.
  const from = checksumFold(checksumAdd(0, d + 16, 16)), to = checksumFold(checksumAdd(0, d + 32, 16));
  const adjustment = checksumFold(<u64>from + <u64>(~to & 0xffff));
  const field = at + <usize>(index << 1);
  const sum = checksumFold(<u64>load<u16>(field) + <u64>adjustment);
  store<u16>(field, sum == 0xffff ? 0 : <u16>sum);
  return true;
}

/** nf_dup_ipv6: a copy, not tracked, goes to the gateway; copies are not copied again. */
function tee6(gateway: usize, skb: Skb, ns: Netns, hook: u32): void {
  const nf = nfNet(ns);
  if (nf.duplicating) return;
  const copy = skbCopy(skb);
  if (changetype<usize>(copy) == 0) return;
  copy.data = copy.network;
  copy.nextHeader = skb.nextHeader;
  copy.fragHeader = skb.fragHeader;
  copy.fragOffset = skb.fragOffset;
  copy.ctinfo = IP_CT_UNTRACKED;
  // Against loops between two hosts that copy to each other.
  if (hook == HOOK_PREROUTING || hook == HOOK_INPUT) store<u8>(copy.network, load<u8>(copy.network, 7) - 1, 7);
  copy.inDev = 0;
  nf.duplicating = 1;
  if (!nf6SendTo(copy, ns, load<u64>(gateway), load<u64>(gateway, 8))) skbFree(copy);
  nf.duplicating = 0;
}
