// Network address translation, net/netfilter/nf_nat_core.c, nf_nat_proto.c, nf_nat_redirect.c, nf_nat_masquerade.c. The mapping
// of a connection is its reply tuple; packets are rewritten to look like the inverse of the other direction's tuple.
import { OBS_NAT } from "../abi/core";
import {
  HOOK_INPUT, HOOK_OUTPUT, HOOK_POSTROUTING, IPS_CONFIRMED, IPS_DST_NAT, IPS_DST_NAT_DONE, IPS_SRC_NAT, IPS_SRC_NAT_DONE,
  IP_CT_NEW, IP_CT_RELATED, IP_CT_RELATED_REPLY, NAT_RANGE_BYTES, NAT_RANGE_MAP_IPS, NAT_RANGE_PERSISTENT,
  NAT_RANGE_PROTO_OFFSET, NAT_RANGE_PROTO_RANDOM, NAT_RANGE_PROTO_RANDOM_FULLY, NAT_RANGE_PROTO_SPECIFIED, NF_ACCEPT, NF_DROP,
  TABLES, TABLE_NAT, TARGET_DNAT, TARGET_MASQUERADE, TARGET_NETMAP, TARGET_REDIRECT, TARGET_SNAT,
} from "../abi/netfilter";
import { TARGET_DNAT6, TARGET_MASQUERADE6, TARGET_NETMAP6, TARGET_SNAT6 } from "../abi/xtables";
import { FULL } from "../features";
import { NetDevice, Netns, Skb } from "../layout";
import { jhash2 } from "../mm/hash";
import {
  SCRATCH_NAT_ADDRESS, SCRATCH_NAT_BINDING, SCRATCH_NAT_PACKET, SCRATCH_NAT_SETUP, SCRATCH_NAT_TARGET, charge, scratch as place,
} from "../mm/node";
import { random32 } from "../mm/rng";
import { clearBytes, copyBytes } from "../mm/copy";
import { kfree, kmalloc } from "../mm/slab";
import { COST_NAT_NEW } from "../net/costs";
import { foundAt, ip6Follow } from "../net/ip6-ext";
import { selectAddress } from "../net/ip-output";
import { nftDoChain } from "../nft/eval";
import { ENTRY_NFT_NAT, ENTRY_TABLE, HOOKS6, HOOK_ENTRY_BYTES, NftChain, hookCount, hookEntries, nftNet } from "../nft/ruleset";
import { observeRecord, tracing } from "../trace/observe";
import { mapped4, raw4 } from "../wire/bytes";
import { checksum, checksumAdd, checksumFold, checksumPatch16, checksumPatch32 } from "../wire/checksum";
import { NDISC_REDIRECT } from "../wire/icmp6";
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../wire/ipv4";
import { IPPROTO_ICMPV6, NEXTHDR_NONE } from "../wire/ipv6";
import { address6, bytes6 } from "./address6";
import {
  Conntrack, ctBysource, ctBysourceAdd, ctFindReply, ctIsReply, ctKill, ctTuple, ctTupleTaken, l4ChecksumOk,
  skbCt, CT_STREAM_AT,
} from "./conntrack";
import { crc32c } from "./conntrack-proto";
import { nf6FirstAddress, nf6SelectSource, routeMeHarder } from "./ipv6-routes";
import { ipBytes, isV6, l4Offset, l4Protocol, pseudoSum } from "./l3";
import { compare6 } from "./match-ipv6";
import { NfNet } from "./state";
import {
  IPPROTO_GRE, IPPROTO_SCTP, Tuple, protoHasPorts, tupleCopy, tupleEqual, tupleHold, tupleInvert, tupleRelease,
} from "./tuple";
import { iptDoTable } from "./xtables";

const RANDOM_ALL: u32 = NAT_RANGE_PROTO_RANDOM | NAT_RANGE_PROTO_RANDOM_FULLY;
const ATTEMPTS: u32 = 128;
/** The last so many attempts may take the port of a connection that is in TIME_WAIT. */
const HARDER: u32 = 32;

/** What NAT chooses from: the data of a NAT target (NAT_RANGE_BYTES), of IPv6 made from it. */
@unmanaged export class NatRange {
  flags: u32;
  lo: u32; hi: u32; // addresses, host order
  portLo: u16; portHi: u16;
  base: u16; pad: u16;
  // IPv6: where the 16 bytes of the addresses are
  lo6: usize; hi6: usize;
}

/** Does the hook change sources (HOOK2MANIP)? */
@inline function manipSource(hook: u32): bool {
  return hook == HOOK_POSTROUTING || hook == HOOK_INPUT;
}

/**
 * What NAT does at a hook (nf_nat_ipv4_fn and its callers): asks the nat table about the first packet of a connection, binds
 * it to itself if no rule did, translates. `skb.rtDev` is forgotten when the destination changed before routing.
 */
export function natHook(skb: Skb, ns: Netns, nf: NfNet, hook: u32, inDev: usize, outDev: usize): u32 {
  const ct = skbCt(skb);
  if (skb.nfct == 0) return NF_ACCEPT;
  const ctinfo = skb.ctinfo;
  let verdict = NF_ACCEPT;
  if ((ctinfo == IP_CT_RELATED || ctinfo == IP_CT_RELATED_REPLY)
    && l4Protocol(skb) == (isV6(skb.network) ? IPPROTO_ICMPV6 : IPPROTO_ICMP)) {
    if (!icmpReplyTranslation(skb, ct, ns, hook)) return NF_DROP;
  } else {
    verdict = natPacket(skb, ct, ns, nf, hook, inDev, outDev);
    if (verdict != NF_ACCEPT) return verdict;
  }
  if (hook == HOOK_OUTPUT && skb.nfct != 0) {
    // The route was found for the destination as the program saw it.
    const reply = ctIsReply(skb.ctinfo);
    if (Tuple.at(ctTuple(ct, reply)).dst != Tuple.at(ctTuple(ct, !reply)).src && routeMeHarder(skb, ns) < 0) return NF_DROP;
  }
  return NF_ACCEPT;
}

/** nf_nat_inet_fn. */
function natPacket(skb: Skb, ct: Conntrack, ns: Netns, nf: NfNet, hook: u32, inDev: usize, outDev: usize): u32 {
  const source = manipSource(hook), ctinfo = skb.ctinfo;
  const done = source ? IPS_SRC_NAT_DONE : IPS_DST_NAT_DONE;
  if ((ctinfo == IP_CT_NEW || ctinfo == IP_CT_RELATED || ctinfo == IP_CT_RELATED_REPLY) && !(ct.status & done)) {
    charge(COST_NAT_NEW);
    const table = isV6(skb.network) ? TABLE_NAT + TABLES : TABLE_NAT;
    const verdict = FULL && nf.nft != 0 ? natChains(skb, ct, ns, nf, hook, done, inDev, outDev)
      : iptDoTable(skb, ns, nf, table, hook, inDev, outDev);
    if (verdict != NF_ACCEPT) return verdict;
    if (!(ct.status & done)) {
      if (nullBinding(ct, ns, source) != NF_ACCEPT) return NF_DROP;
    }
  } else if (hook == HOOK_POSTROUTING && ct.masqIfindex != 0 && !ctIsReply(ctinfo) && outDev != 0
    && ct.masqIfindex != changetype<NetDevice>(outDev).ifindex) {
    // The route went over to another device: the address we took is not that device's.
    ctKill(ct);
    return NF_DROP;
  }
  const reply = ctIsReply(ctinfo);
  let bit = source ? IPS_SRC_NAT : IPS_DST_NAT;
  if (reply) bit ^= IPS_SRC_NAT | IPS_DST_NAT;
  if (!(ct.status & bit)) return NF_ACCEPT;
  const to = place(SCRATCH_NAT_PACKET);
  tupleInvert(to, ctTuple(ct, !reply));
  return manipPacket(skb, ns, skb.network, ipBytes(skb), to, source, true) ? NF_ACCEPT : NF_DROP;
}

/** iptables' nat table and nftables' chains of type nat, by priority, until one has decided. */
function natChains(skb: Skb, ct: Conntrack, ns: Netns, nf: NfNet, hook: u32, done: u32, inDev: usize, outDev: usize): u32 {
  const at = isV6(skb.network) ? hook + HOOKS6 : hook;
  const n = nftNet(nf), entries = hookEntries(n, at), count = hookCount(n, at);
  let verdict = NF_ACCEPT;
  for (let i: u32 = 0; i < count && verdict == NF_ACCEPT && !(ct.status & done); i++) {
    const entry = entries + <usize>(i * HOOK_ENTRY_BYTES), kind = load<u32>(entry, 8);
    if (kind == ENTRY_NFT_NAT) {
      verdict = nftDoChain(changetype<NftChain>(<usize>load<u32>(entry, 12)), skb, ns, nf, hook, inDev, outDev);
    } else if (kind == ENTRY_TABLE + TABLE_NAT) {
      verdict = iptDoTable(skb, ns, nf, at == hook ? TABLE_NAT : TABLE_NAT + TABLES, hook, inDev, outDev);
    }
  }
  return verdict;
}

function nullBinding(ct: Conntrack, ns: Netns, source: bool): u32 {
  const range = place(SCRATCH_NAT_BINDING);
  const r = changetype<NatRange>(range);
  const reply = Tuple.at(ctTuple(ct, true));
  clearBytes(range, 32);
  r.flags = NAT_RANGE_MAP_IPS;
  const address = source ? reply.dst : reply.src;
  if (FULL && reply.family != 0) {
    r.lo6 = bytes6(address);
    r.hi6 = r.lo6;
  } else {
    r.lo = bswap<u32>(address);
    r.hi = r.lo;
  }
  return natSetup(ct, ns, range, source);
}

/** nf_nat_setup_info: decides on the source or destination of a new connection. */
export function natSetup(ct: Conntrack, ns: Netns, range: usize, source: bool): u32 {
  if (ct.status & IPS_CONFIRMED) return NF_ACCEPT;
  const done = source ? IPS_SRC_NAT_DONE : IPS_DST_NAT_DONE;
  if (ct.status & done) return NF_DROP;
  const current = place(SCRATCH_NAT_SETUP), chosen = current + 16;
  tupleInvert(current, ctTuple(ct, true));
  uniqueTuple(chosen, current, changetype<NatRange>(range), ct, ns, source, current + 32);
  if (!tupleEqual(current, chosen)) {
    // Held before the old ones are let go: they may be the same.
    if (FULL) {
      tupleHold(chosen);
      tupleRelease(ctTuple(ct, true));
    }
    tupleInvert(ctTuple(ct, true), chosen);
    ct.status |= source ? IPS_SRC_NAT : IPS_DST_NAT;
  }
  ct.status |= done;
  if (source) ctBysourceAdd(ct);
  return NF_ACCEPT;
}

/** nf_nat_used_tuple. */
function used(tuple: usize, ct: Conntrack, ns: Netns, scratch: usize): bool {
  tupleInvert(scratch, tuple);
  return ctTupleTaken(ns, scratch, ct);
}

/** nf_nat_used_tuple_harder: near the end of the search a connection in TIME_WAIT gives way to one that is ahead of it. */
function usedHarder(tuple: usize, ct: Conntrack, ns: Netns, left: u32, scratch: usize): bool {
  if (!used(tuple, ct, ns, scratch)) return false;
  if (left > HARDER || <u32>Tuple.at(tuple).proto != IPPROTO_TCP || ct.state != 1) return true;
  const other = ctFindReply(ns, scratch);
  if (changetype<usize>(other) == 0 || other.state < 7 || !(other.status & IPS_SRC_NAT)) return true;
  const mine = load<u32>(changetype<usize>(ct) + CT_STREAM_AT), theirs = load<u32>(changetype<usize>(other) + CT_STREAM_AT);
  return <i32>(mine - theirs) <= 0 || !ctKill(other);
}

function portInRange(tuple: usize, range: NatRange, source: bool): bool {
  const t = Tuple.at(tuple), proto = <u32>t.proto;
  let port: u32 = 0;
  if (proto == IPPROTO_ICMP || (FULL && proto == IPPROTO_ICMPV6)) port = <u32>bswap<u16>(t.sport);
  else if (protoHasPorts(proto)) port = <u32>bswap<u16>(source ? t.sport : t.dport);
  else return true;
  return port >= <u32>range.portLo && port <= <u32>range.portHi;
}

function inRange(tuple: usize, range: NatRange): bool {
  const six = FULL && Tuple.at(tuple).family != 0;
  if (six && range.flags & NAT_RANGE_MAP_IPS) {
    const at = bytes6(Tuple.at(tuple).src);
    if (compare6(at, range.lo6) < 0 || compare6(at, range.hi6) > 0) return false;
  }
  const address = bswap<u32>(Tuple.at(tuple).src);
  if (!six && range.flags & NAT_RANGE_MAP_IPS && (address < range.lo || address > range.hi)) return false;
  return !(range.flags & NAT_RANGE_PROTO_SPECIFIED) || portInRange(tuple, range, true);
}

/** get_unique_tuple. `scratch`: 32 bytes. */
function uniqueTuple(to: usize, orig: usize, range: NatRange, ct: Conntrack, ns: Netns, source: bool, scratch: usize): void {
  const random = (range.flags & RANDOM_ALL) != 0;
  if (source && !random) {
    if (inRange(orig, range)) {
      if (!used(orig, ct, ns, scratch)) {
        tupleCopy(to, orig);
        return;
      }
    } else if (appropriateSource(to, orig, range, ns, scratch) && !used(to, ct, ns, scratch)) {
      return;
    }
  }
  tupleCopy(to, orig);
  pickAddress(to, range, source, scratch);
  if (!random) {
    if (range.flags & NAT_RANGE_PROTO_SPECIFIED) {
      if (!(range.flags & NAT_RANGE_PROTO_OFFSET) && portInRange(to, range, source)
        && (range.portLo == range.portHi || !used(to, ct, ns, scratch))) return;
    } else if (!used(to, ct, ns, scratch)) {
      return;
    }
  }
  uniquePort(to, range, ct, ns, source, scratch);
}

/** find_appropriate_src: the mapping that this source address and port has already. */
function appropriateSource(to: usize, orig: usize, range: NatRange, ns: Netns, scratch: usize): bool {
  const want = Tuple.at(orig);
  let at = ctBysource(ns, orig);
  while (at != 0) {
    const other = changetype<Conntrack>(at);
    const t = Tuple.at(ctTuple(other, false));
    if (other.ns == changetype<usize>(ns) && t.src == want.src && t.sport == want.sport && t.proto == want.proto
      && t.zone == want.zone) {
      tupleInvert(to, ctTuple(other, true));
      const result = Tuple.at(to);
      result.dst = want.dst;
      result.dport = want.dport;
      if (inRange(to, range)) return true;
    }
    at = other.bysource;
  }
  return false;
}

/** find_best_ips_proto for IPv4: by hash of the source, so that a client keeps its address. `scratch`: 16 bytes. */
function pickAddress(tuple: usize, range: NatRange, source: bool, scratch: usize): void {
  if (!(range.flags & NAT_RANGE_MAP_IPS)) return;
  const t = Tuple.at(tuple);
  if (FULL && t.family != 0) {
    pickAddress6(t, range, source);
    return;
  }
  let address = range.lo;
  if (range.lo != range.hi) {
    // The kernel hashes all four words of its address union.
    store<u64>(scratch, <u64>t.src);
    store<u64>(scratch, 0, 8);
    const persistent = (range.flags & NAT_RANGE_PERSISTENT) != 0;
    const j = jhash2(scratch, 4, persistent ? 0 : t.dst ^ <u32>t.zone);
    address += <u32>((<u64>j * <u64>(range.hi - range.lo + 1)) >> 32);
  }
  if (source) t.src = bswap<u32>(address);
  else t.dst = bswap<u32>(address);
}

/** find_best_ips_proto for IPv6: word by word, with the whole range of words behind one that is not the last address's. */
function pickAddress6(t: Tuple, range: NatRange, source: bool): void {
  const lo = range.lo6, hi = range.hi6;
  let first = load<u64>(lo), second = load<u64>(lo, 8);
  if (compare6(lo, hi) != 0) {
    const persistent = (range.flags & NAT_RANGE_PERSISTENT) != 0, from = bytes6(t.dst), place_ = place(SCRATCH_NAT_ADDRESS);
    let j = jhash2(bytes6(t.src), 4, persistent ? 0 : load<u32>(from, 12) ^ <u32>t.zone);
    let whole = false;
    // The destination is read as it is being written, where it is what is chosen.
    copyBytes(place_, bytes6(source ? t.src : t.dst), 16);
    for (let i: usize = 0; i < 16; i += 4) {
      const least = whole ? 0 : bswap<u32>(load<u32>(lo + i));
      const span = whole ? 0xffffffff : bswap<u32>(load<u32>(hi + i)) - least + 1;
      const word = bswap<u32>(least + <u32>((<u64>j * <u64>span) >> 32));
      store<u32>(place_ + i, word);
      if (word != load<u32>(hi + i)) whole = true;
      if (!persistent) j ^= source ? load<u32>(from + i) : word;
    }
    first = load<u64>(place_);
    second = load<u64>(place_, 8);
  }
  const chosen = address6(first, second);
  if (chosen == 0) return;
  if (source) t.src = chosen;
  else t.dst = chosen;
}

/** nf_nat_l4proto_unique_tuple. */
function uniquePort(tuple: usize, range: NatRange, ct: Conntrack, ns: Netns, source: bool, scratch: usize): void {
  const t = Tuple.at(tuple), proto = <u32>t.proto;
  const specified = (range.flags & NAT_RANGE_PROTO_SPECIFIED) != 0;
  const icmp = proto == IPPROTO_ICMP || (FULL && proto == IPPROTO_ICMPV6);
  if (!icmp && !protoHasPorts(proto)) return;
  const onSource = icmp || source;
  const port = <u32>bswap<u16>(onSource ? t.sport : t.dport);
  let lo: u32 = 0, size: u32 = 65536;
  if (specified) {
    lo = min<u32>(<u32>range.portLo, <u32>range.portHi);
    size = max<u32>(<u32>range.portLo, <u32>range.portHi) - lo + 1;
  } else if (!icmp) {
    if (!source) return; // another destination port is another service
    if (port < 512) { lo = 1; size = 511; }
    else if (port < 1024) { lo = 600; size = 424; }
    else { lo = 1024; size = 64512; }
  }
  let offset: u32 = 0;
  if (range.flags & NAT_RANGE_PROTO_OFFSET) offset = (port - <u32>range.base) & 0xffff;
  else if (range.flags & RANDOM_ALL || source) offset = random32() & 0xffff;
  let attempts = min<u32>(size, ATTEMPTS);
  while (true) {
    for (let i: u32 = 0; i < attempts; i++) {
      const value = bswap<u16>(<u16>(lo + offset % size));
      offset = (offset + 1) & 0xffff;
      if (onSource) t.sport = value;
      else t.dport = value;
      if (!usedHarder(tuple, ct, ns, attempts - i, scratch)) return;
    }
    if (attempts >= size || attempts < 16) return;
    attempts >>= 1;
    offset = random32() & 0xffff;
  }
}

// Targets

/** The NAT targets: `range` is their data. */
export function natTarget(kind: u32, skb: Skb, ns: Netns, hook: u32, inDev: usize, outDev: usize, range: usize): u32 {
  const ct = skbCt(skb);
  if (skb.nfct == 0) return NF_DROP;
  if (kind == TARGET_SNAT) return natSetup(ct, ns, range, true);
  if (kind == TARGET_DNAT) return natSetup(ct, ns, range, false);
  const from = changetype<NatRange>(range);
  const copy = place(SCRATCH_NAT_TARGET);
  copyBytes(copy, range, NAT_RANGE_BYTES);
  const to = changetype<NatRange>(copy);
  to.flags |= NAT_RANGE_MAP_IPS;
  let verdict = NF_DROP;
  if (kind == TARGET_NETMAP) {
    const source = manipSource(hook);
    const mask = ~(from.lo ^ from.hi);
    const address = bswap<u32>(load<u32>(skb.network + (source ? 12 : 16)));
    to.lo = (address & ~mask) | (from.lo & mask);
    to.hi = to.lo;
    verdict = natSetup(ct, ns, copy, source);
  } else if (kind == TARGET_MASQUERADE) {
    if (Tuple.at(ctTuple(ct, false)).src == 0) {
      verdict = NF_ACCEPT;
    } else if (outDev != 0) {
      const dev = changetype<NetDevice>(outDev);
      let hi = skb.rtGatewayHi, lo = skb.rtGatewayLo;
      if (hi == 0 && lo == 0) lo = mapped4(load<u32>(skb.network, 16));
      to.lo = bswap<u32>(raw4(selectAddress(dev, hi, lo)));
      to.hi = to.lo;
      if (to.lo != 0) {
        ct.masqIfindex = dev.ifindex;
        verdict = natSetup(ct, ns, copy, true);
      }
    }
  } else if (kind == TARGET_REDIRECT) {
    if (hook == HOOK_OUTPUT) to.lo = 0x7f000001;
    else if (inDev != 0) to.lo = bswap<u32>(raw4(selectAddress(changetype<NetDevice>(inDev), 0, 0xffff0000)));
    to.hi = to.lo;
    if (to.lo != 0) verdict = natSetup(ct, ns, copy, false);
  }
  return verdict;
}

/** Those of IPv6; `data` is theirs. */
export function natTarget6(kind: u32, skb: Skb, ns: Netns, hook: u32, inDev: usize, outDev: usize, data: usize): u32 {
  const ct = skbCt(skb);
  if (skb.nfct == 0) return NF_DROP;
  const copy = place(SCRATCH_NAT_TARGET), to = changetype<NatRange>(copy), chosen = copy + 32;
  to.flags = load<u32>(data);
  copyBytes(copy + offsetof<NatRange>("portLo"), data + 36, 8);
  to.lo6 = data + 4;
  to.hi6 = data + 20;
  if (kind == TARGET_SNAT6) return natSetup(ct, ns, copy, true);
  if (kind == TARGET_DNAT6) return natSetup(ct, ns, copy, false);
  to.flags |= NAT_RANGE_MAP_IPS;
  const source = manipSource(hook);
  if (kind == TARGET_NETMAP6) {
    // netmap_tg6
    const at = skb.network + (source ? 8 : 24);
    for (let i: usize = 0; i < 16; i += 8) {
      const mask = ~(load<u64>(data + 4 + i) ^ load<u64>(data + 20 + i));
      store<u64>(chosen + i, (load<u64>(at + i) & ~mask) | (load<u64>(data + 4 + i) & mask));
    }
  } else if (kind == TARGET_MASQUERADE6) {
    if (outDev == 0 || !nf6SelectSource(ns, outDev, skb.network + 24, chosen)) return NF_DROP;
    ct.masqIfindex = changetype<NetDevice>(outDev).ifindex;
  } else if (hook == HOOK_OUTPUT) {
    store<u64>(chosen, 0);
    store<u64>(chosen, 0x0100000000000000, 8);
  } else if (inDev == 0 || !nf6FirstAddress(changetype<NetDevice>(inDev), skb.network + 24, chosen)) return NF_DROP;
  to.lo6 = chosen;
  to.hi6 = chosen;
  return natSetup(ct, ns, copy, kind == TARGET_MASQUERADE6 || (kind == TARGET_NETMAP6 && source));
}

// Packets

/**
 * nf_nat_ipv4_manip_pkt: makes source (or destination) of the packet whose IP header is at `ip` what `target` says. `trace`:
 * this is the outer packet, and someone may be watching.
 */
function manipPacket(skb: Skb, ns: Netns, ip: usize, length: u32, target: usize, source: bool, trace: bool): bool {
  if (isV6(ip)) return manipPacket6(skb, ns, ip, length, target, source, trace);
  const header = (<u32>load<u8>(ip) & 15) << 2;
  if (header < 20 || header > length) return false;
  const t = Tuple.at(target);
  const at = ip + (source ? 12 : 16);
  const before = load<u32>(at), after = source ? t.src : t.dst;
  const proto = <u32>t.proto;
  const l4 = ip + <usize>header, room = length - header;
  let oldPort: u32 = 0, newPort: u32 = 0;
  if (protoHasPorts(proto)) {
    if (room < 8) return false;
    const port = l4 + (source ? 0 : 2);
    const value = source ? t.sport : t.dport;
    const was = load<u16>(port);
    oldPort = <u32>bswap<u16>(was);
    newPort = <u32>bswap<u16>(value);
    store<u16>(port, value);
    if (proto == IPPROTO_TCP) {
      // The first eight bytes of a quoted segment have no checksum.
      if (room >= 20) patchL4(l4 + 16, before, after, was, value);
    } else if (proto == IPPROTO_SCTP) {
      if (room >= 12 && trace) store<u32>(l4, crc32c(l4, room), 8);
    } else if (load<u16>(l4, 6) != 0) {
      patchL4(l4 + 6, before, after, was, value);
      if (load<u16>(l4, 6) == 0) store<u16>(l4, 0xffff, 6);
    }
  } else if (proto == IPPROTO_GRE) {
    // gre_manip_pkt: half of PPTP's header has to be there, and a version that is not known can not be translated.
    if (room < 8 || (!source && (load<u8>(l4, 1) & 7) > 1)) return false;
  } else if (proto == IPPROTO_ICMP) {
    if (room < 8) return false;
    const type = <u32>load<u8>(l4);
    if (type == 0 || type == 8 || (type >= 13 && type <= 18)) {
      const was = load<u16>(l4, 4);
      oldPort = <u32>bswap<u16>(was);
      newPort = <u32>bswap<u16>(t.sport);
      checksumPatch16(l4 + 2, <u32>was, <u32>t.sport);
      store<u16>(l4, t.sport, 4);
    }
  }
  checksumPatch32(ip + 10, before, after);
  store<u32>(at, after);
  if (trace && tracing()) {
    const record = observeRecord(OBS_NAT, skb, changetype<usize>(ns), skb.dev, 48);
    if (record != 0) {
      store<u32>(record, source ? 0 : 1);
      store<u32>(record, proto, 4);
      store<u64>(record, 0, 8);
      store<u64>(record, mapped4(before), 16);
      store<u64>(record, 0, 24);
      store<u64>(record, mapped4(after), 32);
      store<u32>(record, oldPort, 40);
      store<u32>(record, newPort, 44);
    }
  }
  return true;
}

/** nf_nat_ipv6_manip_pkt: the same for the packet whose fixed header is at `ip`. */
function manipPacket6(skb: Skb, ns: Netns, ip: usize, length: u32, target: usize, source: bool, trace: bool): bool {
  if (length < 40) return false;
  const t = Tuple.at(target), end = ip + <usize>length, at = ip + (source ? 8 : 24), to = bytes6(source ? t.src : t.dst);
  const protocol = ip6Follow(ip + 40, end, <u32>load<u8>(ip, 6), false), l4 = foundAt;
  let oldPort: u32 = 0, newPort: u32 = 0;
  // Behind headers that can not be followed only the address is changed.
  if (protocol < 256 && protocol != NEXTHDR_NONE && l4 <= end) {
    const proto = <u32>t.proto, room = <u32>(end - l4);
    if (protoHasPorts(proto)) {
      if (room < 8) return false;
      const port = l4 + (source ? 0 : 2), value = source ? t.sport : t.dport, was = load<u16>(port);
      oldPort = <u32>bswap<u16>(was);
      newPort = <u32>bswap<u16>(value);
      store<u16>(port, value);
      if (proto == IPPROTO_TCP) {
        if (room >= 20) patch6(l4 + 16, at, to, was, value);
      } else if (proto == IPPROTO_SCTP) {
        if (room >= 12 && trace) store<u32>(l4, crc32c(l4, room), 8);
      } else if (load<u16>(l4, 6) != 0) {
        patch6(l4 + 6, at, to, was, value);
        if (load<u16>(l4, 6) == 0) store<u16>(l4, 0xffff, 6);
      }
    } else if (proto == IPPROTO_GRE) {
      if (room < 8 || (!source && (load<u8>(l4, 1) & 7) > 1)) return false;
    } else if (proto == IPPROTO_ICMPV6) {
      if (room < 8) return false;
      const type = <u32>load<u8>(l4), was = load<u16>(l4, 4), echo = type == 128 || type == 129;
      if (echo) {
        oldPort = <u32>bswap<u16>(was);
        newPort = <u32>bswap<u16>(t.sport);
        store<u16>(l4, t.sport, 4);
      }
      // ICMPv6's checksum covers the addresses, too.
      patch6(l4 + 2, at, to, was, echo ? t.sport : was);
    }
  }
  if (trace && tracing()) {
    const record = observeRecord(OBS_NAT, skb, changetype<usize>(ns), skb.dev, 48);
    if (record != 0) {
      store<u32>(record, source ? 0 : 1);
      store<u32>(record, <u32>t.proto, 4);
      copyBytes(record + 8, at, 16);
      copyBytes(record + 24, to, 16);
      store<u32>(record, oldPort, 40);
      store<u32>(record, newPort, 44);
    }
  }
  copyBytes(at, to, 16);
  return true;
}

/** A checksum that covers an address of 16 bytes and a port. */
function patch6(field: usize, from: usize, to: usize, port: u16, newPort: u16): void {
  for (let i: usize = 0; i < 16; i += 4) checksumPatch32(field, load<u32>(from + i), load<u32>(to + i));
  checksumPatch16(field, <u32>port, <u32>newPort);
}

/** A checksum that covers the address by its pseudo-header, and a port. */
function patchL4(field: usize, address: u32, newAddress: u32, port: u16, newPort: u16): void {
  checksumPatch32(field, address, newAddress);
  checksumPatch16(field, <u32>port, <u32>newPort);
}

/** nf_nat_icmp_reply_translation: an error about a translated connection, and the packet quoted in it. */
function icmpReplyTranslation(skb: Skb, ct: Conntrack, ns: Netns, hook: u32): bool {
  const ip = skb.network, length = ipBytes(skb), six = isV6(ip);
  const header = l4Offset(skb);
  if (length < header + 8 + (six ? 40 : 20)) return false;
  const icmp = ip + <usize>header, room = length - header;
  if (!l4ChecksumOk(ip, icmp, room, six ? IPPROTO_ICMPV6 : IPPROTO_ICMP)) return false;
  if (<u32>load<u8>(icmp) == (six ? NDISC_REDIRECT : 5)) {
    // A redirect names a gateway by the address that one side sees: not to be passed on through NAT.
    const done = IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE;
    if ((ct.status & done) != done || ct.status & (IPS_SRC_NAT | IPS_DST_NAT)) return false;
  }
  const source = manipSource(hook), reply = ctIsReply(skb.ctinfo);
  let bit = source ? IPS_SRC_NAT : IPS_DST_NAT;
  if (reply) bit ^= IPS_SRC_NAT | IPS_DST_NAT;
  if (!(ct.status & bit)) return true;
  if (!manipPacket(skb, ns, icmp + 8, room - 8, ctTuple(ct, !reply), !source, false)) return false;
  store<u16>(icmp, 0, 2);
  store<u16>(icmp, six ? <u16>(~checksumFold(checksumAdd(pseudoSum(ip, IPPROTO_ICMPV6, room), icmp, room)) & 0xffff)
    : <u16>checksum(icmp, room), 2);
  const target = kmalloc(16);
  if (target == 0) return false;
  tupleInvert(target, ctTuple(ct, !reply));
  Tuple.at(target).proto = <u8>(six ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
  const ok = manipPacket(skb, ns, ip, length, target, source, true);
  kfree(target, 16);
  return ok;
}
