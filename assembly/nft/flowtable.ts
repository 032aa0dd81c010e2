// Flowtables: net/netfilter/nft_flow_offload.c, nf_flow_table_core.c and nf_flow_table_ip.c of Linux 6.18. Connections that a rule enters
// (`flow add`) go on right at the ingress of the devices that the flowtable names, past all hooks and past routing:
//
//   ingress ──► flowtableInput ──┬─ entered, whole, fits ──► addresses and TTL rewritten ──► neighbour
//                                └─ anything else ─────────► the way of all packets
//
// An entry stands twice in the table, once per direction, by that direction's tuple and the device its packets come in by. It holds its
// connection, which is marked IPS_OFFLOAD as long. IPv4 over plain devices; what comes with a VLAN tag goes the way of all packets.
import { IPS_CONFIRMED, IPS_DYING, IPS_OFFLOAD, IPS_SEEN_REPLY, NFCT_TIMEOUT_UDP, NFCT_TIMEOUT_UDP_STREAM, NF_ACCEPT, NF_STOLEN } from "../abi/netfilter";
import { RTN_UNICAST } from "../abi/net";
import { NFTCHAIN_FLOWTABLE, NFTCHAIN_FLOW_COUNTER, NFTV_BREAK, NFTV_CONTINUE } from "../abi/nft";
import { NetDevice, Netns, Skb } from "../layout";
import { charge, node } from "../mm/node";
import { kfree, kmalloc } from "../mm/slab";
import { Timer, timerAfter, timerDelete } from "../mm/timer";
import { Conntrack, ctExpires, ctIsReply, ctPut, ctRefresh, ctTuple, skbCt } from "../netfilter/conntrack";
import { ctCount } from "../netfilter/conntrack-ext";
import { tcpAssured, tcpKept, tcpOffloaded, tcpReturned } from "../netfilter/conntrack-tcp";
import { isV6 } from "../netfilter/l3";
import { nfNet, setting } from "../netfilter/state";
import { Tuple, tupleHashWords } from "../netfilter/tuple";
import { COST_FORWARD } from "../net/costs";
import { deviceFind } from "../net/devices";
import { neighOutput } from "../net/neighbour";
import { Route, routeOutputKey } from "../net/route";
import { TIMER_FLOWTABLE_GC } from "../net/timers";
import { mapped4 } from "../wire/bytes";
import { checksumFold } from "../wire/checksum";
import { ETH_P_IP } from "../wire/ethernet";
import { IPPROTO_TCP, IPPROTO_UDP, IPV4_HEADER_LEN } from "../wire/ipv4";
import { NftChain } from "./ruleset";

/** What one flowtable has (`NftChain.flows`). */
@unmanaged class Flowtable {
  buckets: usize; // links: the address of an Offload, plus 1 if it continues at that entry's reply side
  mask: u32;
  count: u32;
  timer: Timer;
}
const TIMER_AT: usize = offsetof<Flowtable>("timer");
const TABLE_BYTES: u32 = <u32>(((TIMER_AT + 7) & ~7) + offsetof<Timer>());
const FIRST_BUCKETS: u32 = 64, BUCKETS_MAX: u32 = 1 << 20;

/** An entry (struct flow_offload); behind it both directions: {u32 ifindex in, u32 ifindex out, u32 MTU, u32 0, u64 hi, u64 lo of the next hop}. */
@unmanaged class Offload {
  next0: usize; next1: usize;
  ct: usize;
  flags: u32; // CLOSING, TEARDOWN
  timeout: u64; // ns
  routeGeneration: u32;
  pad: u32;
}
const SIDES: usize = 32, SIDE_BYTES: usize = 32;
const OFFLOAD_BYTES: u32 = <u32>(SIDES + 2 * SIDE_BYTES);
/** A FIN or RST has passed: when it ends the connection is closed. */
const CLOSING: u32 = 1;
const TEARDOWN: u32 = 2;

const NS: u64 = 1_000_000_000;
const FLOW_TIMEOUT: u32 = 30, CT_DAY: u32 = 86400, CT_MIN: u64 = 300 * NS;
const ZONE: u64 = 0xffff00000000; // in the second word of a tuple
const TCP_FIN: u32 = 1, TCP_SYN: u32 = 2, TCP_RST: u32 = 4;

@inline function timerOf(t: Flowtable): Timer {
  return changetype<Timer>((changetype<usize>(t) + TIMER_AT + 7) & ~7);
}

@inline function sideOf(entry: usize, side: usize): usize {
  return entry + SIDES + side * SIDE_BYTES;
}

@inline function ctOf(entry: usize): Conntrack {
  return changetype<Conntrack>(changetype<Offload>(entry).ct);
}

/** `flow add` (nft_flow_offload_eval): NFTV_CONTINUE when the packet's connection was entered, else NFTV_BREAK. */
export function flowtableAdd(chainAt: usize, skb: Skb, ns: Netns, inDev: usize): u32 {
  const chain = changetype<NftChain>(chainAt), ip = skb.network;
  if (chainAt == 0 || !(chain.flags & NFTCHAIN_FLOWTABLE) || isV6(ip) || (load<u8>(ip) & 15) != 5 || skb.nfct == 0 || inDev == 0) return NFTV_BREAK;
  const ct = skbCt(skb), protocol = <u32>Tuple.at(ctTuple(ct, false)).proto;
  if (protocol == IPPROTO_TCP) {
    const th = ip + IPV4_HEADER_LEN;
    if (th + 20 > skb.tail || (<u32>load<u8>(th, 13) & (TCP_FIN | TCP_RST)) != 0 || !tcpAssured(ct)) return NFTV_BREAK;
  } else if (protocol != IPPROTO_UDP) return NFTV_BREAK;
  if (ct.helper != 0 || (ct.status & (IPS_CONFIRMED | IPS_DYING | IPS_OFFLOAD)) != IPS_CONFIRMED) return NFTV_BREAK;
  const side: usize = ctIsReply(skb.ctinfo) ? 1 : 0;
  // The way back: to where the packet came from, by the device it came in by (nft_flow_route).
  const dev = changetype<NetDevice>(inDev), route = changetype<Route>(ns.scratch);
  const result = routeOutputKey(ns, 0, mapped4(Tuple.at(ctTuple(ct, side != 0)).src), 0, 0xffff0000, dev.ifindex, skb.mark, route);
  if (result != 0 || route.type != RTN_UNICAST || skb.rtType != RTN_UNICAST) return NFTV_BREAK;
  const out = changetype<NetDevice>(skb.rtDev), back = changetype<NetDevice>(route.dev);
  const entry = kmalloc(OFFLOAD_BYTES);
  if (entry == 0) return NFTV_BREAK;
  sideSet(sideOf(entry, side), back.ifindex, out.ifindex, skb.rtMtu, skb.rtGatewayHi, skb.rtGatewayLo);
  sideSet(sideOf(entry, 1 - side), out.ifindex, back.ifindex, route.mtu, route.gatewayHi, route.gatewayLo);
  const o = changetype<Offload>(entry);
  o.ct = changetype<usize>(ct);
  o.timeout = node().now + <u64>FLOW_TIMEOUT * NS;
  o.routeGeneration = ns.routeGeneration;
  if (!insert(chain, entry)) {
    kfree(entry, OFFLOAD_BYTES);
    return NFTV_BREAK;
  }
  ct.use++;

  ct.status |= IPS_OFFLOAD;
  if (protocol == IPPROTO_TCP) tcpOffloaded(ct);
  ctRefresh(ct, CT_DAY);
  return NFTV_CONTINUE;
}

function sideSet(at: usize, iif: u32, oif: u32, mtu: u32, hi: u64, lo: u64): void {
  store<u32>(at, iif);
  store<u32>(at, oif, 4);
  store<u32>(at, mtu, 8);
  store<u64>(at, hi, 16);
  store<u64>(at, lo, 24);
}

/** A frame, `data` behind its Ethernet header, at the ingress of a device (nf_flow_offload_ip_hook): NF_ACCEPT, or NF_STOLEN. */
export function flowtableInput(chain: NftChain, skb: Skb, ns: Netns, inDev: NetDevice): u32 {
  const ip = skb.data, left = <u32>(skb.tail - ip);
  if (chain.flows == 0 || skb.protocol != ETH_P_IP || skb.vlan != 0 || left < IPV4_HEADER_LEN + 8) return NF_ACCEPT;
  const first = load<u8>(ip), third = load<u32>(ip, 8), protocol = third >>> 8 & 255, l4 = ip + IPV4_HEADER_LEN;
  // Options, fragments, the last hop.
  if ((first & 15) != 5 || (load<u16>(ip, 6) & 0xff3f) != 0 || (third & 0xff) <= 1) return NF_ACCEPT;
  if (protocol == IPPROTO_TCP ? left < IPV4_HEADER_LEN + 20 : protocol != IPPROTO_UDP) return NF_ACCEPT;
  const pair = load<u64>(ip, 12), ports = load<u32>(l4);
  const link = lookup(changetype<Flowtable>(chain.flows), pair, <u64>ports | <u64>protocol << 48, inDev.ifindex);
  if (link == 0) return NF_ACCEPT;
  const entry = link & ~1, way = sideOf(entry, link & 1), o = changetype<Offload>(entry), ct = ctOf(entry);
  if (o.flags & TEARDOWN || ct.status & IPS_DYING) return NF_ACCEPT;
  // The entry may know an older MTU.
  if (left > load<u32>(way, 8)) return over(entry);
  if (protocol == IPPROTO_TCP) {
    const flags = <u32>load<u8>(l4, 13);
    if (flags & TCP_SYN && o.flags & CLOSING) return over(entry);
    if (flags & (TCP_FIN | TCP_RST)) o.flags |= CLOSING;
  }
  const out = deviceFind(ns, load<u32>(way, 4));
  if (o.routeGeneration != ns.routeGeneration || out == 0 || !changetype<NetDevice>(out).up) return over(entry);
  charge(COST_FORWARD);
  o.timeout = node().now + <u64>FLOW_TIMEOUT * NS;
  // nf_flow_nat_ip: to what the other direction's tuple answers.
  const other = ctTuple(ct, (link & 1) == 0), target = rotl<u64>(load<u64>(other), 32), towards = rotl<u32>(load<u32>(other, 8), 16);
  let changed: u64 = 0;
  if (target != pair || towards != ports) {
    changed = (~pair & 0xffffffff) + (~pair >> 32) + (target & 0xffffffff) + (target >> 32);
    const field = l4 + (protocol == IPPROTO_TCP ? 16 : 6);
    if (protocol == IPPROTO_TCP || load<u16>(field) != 0) {
      const sum = ~checksumFold(<u64>(~<u32>load<u16>(field) & 0xffff) + changed + <u64>~ports + <u64>towards) & 0xffff;
      store<u16>(field, <u16>(sum == 0 && protocol == IPPROTO_UDP ? 0xffff : sum));
    }
    store<u32>(l4, towards);
    store<u64>(ip, target, 12);
  }
  const before = third & 0xffff, sum = <u64>(~(third >>> 16) & 0xffff) + <u64>(~before & 0xffff) + <u64>(before - 1) + changed;
  store<u32>(ip, (before - 1) | (~checksumFold(sum) & 0xffff) << 16, 8);
  if (chain.flags & NFTCHAIN_FLOW_COUNTER) ctCount(ct, (link & 1) != 0, left);
  skb.network = ip;
  skb.transport = l4;
  skb.inDev = changetype<usize>(inDev);
  skb.dev = out;
  skb.rtType = RTN_UNICAST;
  skb.rtDev = out;
  neighOutput(skb, changetype<NetDevice>(out), load<u64>(way, 16), load<u64>(way, 24));
  return NF_STOLEN;
}

/** The entry does no longer hold: this packet goes the way of all. */
function over(entry: usize): u32 {
  teardown(entry);
  return NF_ACCEPT;
}

// The table

/** The link of a tuple's two words (zones are not looked at) and a device, or 0 (flow_offload_lookup). */
function lookup(t: Flowtable, first: u64, second: u64, iif: u32): usize {
  let link = load<usize>(t.buckets + (<usize>(tupleHashWords(first, second, iif) & t.mask) << 2));
  while (link != 0) {
    const entry = link & ~1, side = link & 1, tuple = ctTuple(ctOf(entry), side != 0);
    if (load<u64>(tuple) == first && (load<u64>(tuple, 8) & ~ZONE) == second && load<u32>(sideOf(entry, side)) == iif) return link;
    link = load<usize>(entry + (side << 2));
  }
  return 0;
}

function bucketOf(t: Flowtable, entry: usize, side: usize): usize {
  const tuple = ctTuple(ctOf(entry), side != 0);
  return t.buckets + (<usize>(tupleHashWords(load<u64>(tuple), load<u64>(tuple, 8) & ~ZONE, load<u32>(sideOf(entry, side))) & t.mask) << 2);
}

function link(t: Flowtable, entry: usize, side: usize): void {
  const bucket = bucketOf(t, entry, side);
  store<usize>(entry + (side << 2), load<usize>(bucket));
  store<usize>(bucket, entry | side);
}

function unlink(t: Flowtable, entry: usize, side: usize): void {
  for (let at = bucketOf(t, entry, side); load<usize>(at) != 0;) {
    const found = load<usize>(at), next = (found & ~1) + ((found & 1) << 2);
    if (found == (entry | side)) {
      store<usize>(at, load<usize>(next));
      return;
    }
    at = next;
  }
}

/** flow_offload_add. False: no memory. */
function insert(chain: NftChain, entry: usize): bool {
  if (chain.flows == 0) {
    const at = kmalloc(TABLE_BYTES), buckets = kmalloc(FIRST_BUCKETS << 2);
    if (at == 0 || buckets == 0) {
      if (at != 0) kfree(at, TABLE_BYTES);
      if (buckets != 0) kfree(buckets, FIRST_BUCKETS << 2);
      return false;
    }
    const t = changetype<Flowtable>(at);
    t.buckets = buckets;
    t.mask = FIRST_BUCKETS - 1;
    timerOf(t).kind = TIMER_FLOWTABLE_GC;
    timerOf(t).owner = at;
    chain.flows = at;
  }
  const t = changetype<Flowtable>(chain.flows);
  if (t.count > t.mask && t.mask < BUCKETS_MAX) grow(t);
  link(t, entry, 0);
  link(t, entry, 1);
  t.count++;
  if (timerOf(t).next == 0) timerAfter(timerOf(t), NS);
  return true;
}

/** Twice as many buckets, if there is memory. */
function grow(t: Flowtable): void {
  const size = t.mask + 1, before = t.buckets, buckets = kmalloc(size << 3);
  if (buckets == 0) return;
  t.buckets = buckets;
  t.mask = (size << 1) - 1;
  for (let i: u32 = 0; i < size; i++) {
    let at = load<usize>(before + (<usize>i << 2));
    while (at != 0) {
      const next = load<usize>((at & ~1) + ((at & 1) << 2));
      link(t, at & ~1, at & 1);
      at = next;
    }
  }
  kfree(before, size << 2);
}

// The end of an entry

/** Conntrack has the connection back (flow_offload_teardown, flow_offload_fixup_ct); the sweep takes the entry away. */
function teardown(entry: usize): void {
  const o = changetype<Offload>(entry), ct = ctOf(entry);
  ct.status &= ~IPS_OFFLOAD;
  if (o.flags & TEARDOWN) return;
  o.flags |= TEARDOWN;
  const nf = nfNet(changetype<Netns>(ct.ns)), closing = (o.flags & CLOSING) != 0;
  let seconds: u32;
  let idle = o.timeout <= node().now;
  if (<u32>Tuple.at(ctTuple(ct, false)).proto == IPPROTO_TCP) {
    seconds = tcpReturned(ct, nf, closing);
    if (closing) idle = false;
  } else seconds = setting(nf, ct.status & IPS_SEEN_REPLY ? NFCT_TIMEOUT_UDP_STREAM : NFCT_TIMEOUT_UDP);
  // It was idle for as long as the flowtable waited.
  if (idle) seconds = seconds > FLOW_TIMEOUT ? seconds - FLOW_TIMEOUT : 0;
  if (closing || ctExpires(ct) > <u64>seconds * NS) ctRefresh(ct, seconds);
}

function remove(t: Flowtable, entry: usize): void {
  unlink(t, entry, 0);
  unlink(t, entry, 1);
  t.count--;
  ctPut(ctOf(entry));
  kfree(entry, OFFLOAD_BYTES);
}

/** Ends what is idle, what is over, and with `all` everything (nf_flow_offload_gc_step). */
function sweep(t: Flowtable, all: bool): void {
  const now = node().now;
  for (let i: u32 = 0; i <= t.mask; i++) {
    const bucket = t.buckets + (<usize>i << 2);
    let at = load<usize>(bucket);
    while (at != 0) {
      const entry = at & ~1, o = changetype<Offload>(entry), ct = ctOf(entry);
      if (!(at & 1)) {
        if (all || o.timeout <= now || ct.status & IPS_DYING) teardown(entry);
        if (o.flags & TEARDOWN) {
          remove(t, entry);
          at = load<usize>(bucket);
          continue;
        }
        keep(ct);
      }
      at = load<usize>(entry + ((at & 1) << 2));
    }
  }
}

/** Conntrack does not see the connection's packets: it must not end there (nf_flow_table_extend_ct_timeout). */
function keep(ct: Conntrack): void {
  if (ctExpires(ct) >= CT_MIN || !(ct.status & IPS_OFFLOAD)) return;
  const seconds = <u32>Tuple.at(ctTuple(ct, false)).proto == IPPROTO_TCP ? tcpKept(ct) : CT_DAY;
  if (seconds != 0) ctRefresh(ct, seconds);
}

/** The timer of a flowtable that has entries. */
export function flowtableGc(owner: usize): void {
  const t = changetype<Flowtable>(owner);
  sweep(t, false);
  if (t.count != 0) timerAfter(timerOf(t), NS);
}

/** A flowtable is deleted: its connections go the way of all again. */
export function flowtableFree(at: usize): void {
  const t = changetype<Flowtable>(at);
  sweep(t, true);
  timerDelete(timerOf(t));
  kfree(t.buckets, (t.mask + 1) << 2);
  kfree(at, TABLE_BYTES);
}
