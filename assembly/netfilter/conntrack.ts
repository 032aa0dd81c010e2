// Connection tracking, net/netfilter/nf_conntrack_core.c: one table per node over (namespace, tuple). Every entry stands in
// it twice, once per direction. Entries live from their first packet; until POSTROUTING or INPUT confirms them they belong
// to that packet alone and go with it.
import { ENOENT } from "../abi/core";
import {
  CT_RECORD_ADDRESSES, CT_RECORD_BYTES, CT_RECORD_FLAGS, CT_RECORD_ORIG, CT_RECORD_REPLY, CT_RECORD_STATE, CT_RECORD_WSCALE, HOOK_PREROUTING,
  IPS_ASSURED, IPS_CONFIRMED, IPS_DYING, IPS_EXPECTED, IPS_HELPER, IPS_OFFLOAD, IPS_SEEN_REPLY, IPS_SRC_NAT_DONE, IP_CT_ESTABLISHED,
  IP_CT_ESTABLISHED_REPLY, IP_CT_NEW, IP_CT_RELATED, IP_CT_RELATED_REPLY, IP_CT_UNTRACKED, NFCT_CHECKSUM, NFCT_MAX,
  NFSTAT_CLASH_RESOLVE, NFSTAT_DROP, NFSTAT_EARLY_DROP, NFSTAT_ICMP_ERROR, NFSTAT_INSERT_FAILED, NFSTAT_INVALID, NF_ACCEPT,
  NF_DROP, NF_REPEAT,
} from "../abi/netfilter";
import { OBS_CT } from "../abi/core";
import { Netns, Skb } from "../layout";
import { SCRATCH_BURST, SCRATCH_TRACK, charge, node, scratch } from "../mm/node";
import { copyBytes } from "../mm/copy";
import { kfree, kmalloc } from "../mm/slab";
import { Timer, timerAfter, timerDelete } from "../mm/timer";
import { COST_CONNTRACK } from "../net/costs";
import { flowTracked } from "../net/flow";
import { TIMER_CONNTRACK_GC } from "../net/timers";
import { observeRecord, tracing } from "../trace/observe";
import { checksumAdd, checksumFold } from "../wire/checksum";
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../wire/ipv4";
import { IPPROTO_ICMPV6, NEXTHDR_NONE } from "../wire/ipv6";
import { FULL } from "../features";
import { ctCount, ctExtend, ctUnextend } from "./conntrack-ext";
import { bytes6, sweep6 } from "./address6";
import { icmpTrack, icmp6Track, genericTrack, sctpTrack, udpTrack, udpliteTrack } from "./conntrack-proto";
import { tcpCanEarlyDrop, tcpTrack } from "./conntrack-tcp";
import { FTP_BYTES, expectFind, expectForget, helperRun } from "./expect";
import { icmp6Error } from "./conntrack-icmp6";
import { fragmentUnits, ipBytes, isV6, l4Offset, l4Protocol, pseudoSum } from "./l3";
import { NfNet, nfNet, setting, statCount } from "./state";
import {
  IPPROTO_GRE, IPPROTO_SCTP, IPPROTO_UDPLITE, TUPLE_BYTES, Tuple, tupleCopy, tupleEqual, tupleFromPacket, tupleHash, tupleHashWords,
  tupleHold, tupleInvert, tupleRelease,
} from "./tuple";

/**
 * One connection in a slot of 160 bytes; what an established one is asked for stands in the first 64. `next0`, `next1` chain it by its original and its reply tuple; a link is the
 * address of an entry plus 1 if it continues at that entry's reply side.
 */
@unmanaged export class Conntrack {
  next0: usize;
  next1: usize;
  ns: usize; // Netns
  status: u32;
  // tuple orig
  orig0: u64; orig1: u64;
  // tuple reply
  reply0: u64; reply1: u64;
  /** ns on the node's clock; before confirmation: ns from then on. */
  timeout: u64;
  /** By direction, what became of its packets (net/flow.ts): generation << 12 | number of the program. */
  flow0: u32; flow1: u32;
  use: u32;
  mark: u32;
  id: u32;
  /** The next of the same source (net/nf_nat_core.c, nat_bysource). */
  bysource: usize;
  masqIfindex: u32;
  /** Of the protocol: TCP, SCTP. */
  state: u32;
  // TCP (conntrack-tcp.ts): per direction {u32 end, u32 maxend, u32 maxwin, u32 maxack, u8 scale, u8 flags, u16 0}
  seen0a: u64; seen0b: u64; seen0c: u32;
  seen1a: u32; seen1b: u64; seen1c: u64;
  lastSeq: u32; lastAck: u32; lastEnd: u32;
  lastWin: u16; lastWscale: u8; lastFlags: u8;
  lastDir: u8; lastIndex: u8; retrans: u8;
  /** HELPER_* that watches it. */
  helper: u8;
  /** What is counted and labelled, where that is switched on (conntrack-ext.ts). */
  ext: usize;
  /** FTP's notes (expect.ts). */
  ftp: usize;
  /** The connection that announced this one (an expectation came true); a reference. */
  master: usize;
}

export const CT_BYTES: u32 = 160;
const ORIG: usize = 16, REPLY: usize = 32;
/** UDP: when the connection counts as a stream (u64 ns), where TCP has its windows. */
export const CT_STREAM_AT: usize = offsetof<Conntrack>("seen0a");

/** The node's table (`Node.conntrack`). */
@unmanaged class CtTable {
  buckets: usize; // tagged links
  /** While the table grows: half as many buckets, of which the first `moved` are empty; else 0. */
  older: usize;
  moved: u32;
  /** Entries by source: Conntrack, the newest first; 0 until NAT asks. */
  bysource: usize;
  sourceMask: u32;
  mask: u32;
  count: u32;
  nextId: u32;
  /** Where the next sweep begins. */
  cursor: u32;
  timer: Timer;
}
const TIMER_AT: usize = offsetof<CtTable>("timer");
const TABLE_BYTES: u32 = <u32>(offsetof<CtTable>() + 8);
const FIRST_BUCKETS: u32 = 256;
const BUCKETS_MAX: u32 = 0x2000000;
/** Buckets that go over when so many entries have begun: twice as fast as the next growth comes. */
const MOVE_BUCKETS: u32 = 64, MOVE_EVERY: u32 = 16;

const NS: u64 = 1_000_000_000;
const GC_INTERVAL: u64 = 20 * NS;
const GC_BUCKETS: u32 = 4096;
const EARLY_DROP_BUCKETS: u32 = 8;

@inline export function ctTuple(ct: Conntrack, reply: bool): usize {
  return changetype<usize>(ct) + (reply ? REPLY : ORIG);
}

@inline function ctDirectionNext(entry: usize, side: usize): usize {
  return load<usize>(entry + (side << 2));
}

@inline export function ctIsReply(ctinfo: u32): bool {
  return ctinfo >= IP_CT_ESTABLISHED_REPLY && ctinfo != IP_CT_UNTRACKED;
}

/** The packet's connection, or null (0). */
@inline export function skbCt(skb: Skb): Conntrack {
  return changetype<Conntrack>(skb.nfct);
}

function table(): CtTable {
  const n = node();
  if (n.conntrack == 0) {
    const at = kmalloc(TABLE_BYTES);
    if (at == 0) return changetype<CtTable>(0);
    const t = changetype<CtTable>(at);
    t.buckets = kmalloc(FIRST_BUCKETS << 2);
    if (t.buckets == 0) {
      kfree(at, TABLE_BYTES);
      return changetype<CtTable>(0);
    }
    t.mask = FIRST_BUCKETS - 1;
    const timer = gcTimer(t);
    timer.kind = TIMER_CONNTRACK_GC;
    timer.owner = at;
    n.conntrack = at;
  }
  return changetype<CtTable>(n.conntrack);
}

/** Where the chain of a hash begins. */
@inline function bucketOf(t: CtTable, hash: u32): usize {
  const i = hash & (t.mask >>> 1);
  return t.older != 0 && i >= t.moved ? t.older + (<usize>i << 2) : t.buckets + (<usize>(hash & t.mask) << 2);
}

@inline function gcTimer(t: CtTable): Timer {
  return changetype<Timer>((changetype<usize>(t) + TIMER_AT + 7) & ~7);
}

/** How long until the entry ends, in ns; 0: it is over. */
export function ctExpires(ct: Conntrack): u64 {
  if (!(ct.status & IPS_CONFIRMED)) return ct.timeout;
  const now = node().now;
  return ct.timeout > now ? ct.timeout - now : 0;
}

/** Restarts the entry's timeout (nf_ct_refresh). */
export function ctRefresh(ct: Conntrack, seconds: u32): void {
  const ns = <u64>seconds * NS;
  ct.timeout = ct.status & IPS_CONFIRMED ? node().now + ns : ns;
}

// Look-up

/** The link (entry, +1: reply side) of a tuple, or 0. Entries found over are taken away on the way. */
function find(ns: Netns, tuple: usize): usize {
  const t = changetype<CtTable>(node().conntrack);
  if (changetype<usize>(t) == 0) return 0;
  const bucket = bucketOf(t, tupleHash(tuple, ns.id));
  let link = load<usize>(bucket);
  while (link != 0) {
    const entry = link & ~1, side = link & 1;
    const next = ctDirectionNext(entry, side);
    if (tupleEqual(entry + ORIG + (side << 4), tuple) && changetype<Conntrack>(entry).ns == changetype<usize>(ns)) {
      if (ctExpires(changetype<Conntrack>(entry)) != 0) return link;
      ctKill(changetype<Conntrack>(entry));
      // Both sides may have stood in this bucket: begin anew.
      link = load<usize>(bucket);
      continue;
    }
    link = next;
  }
  return 0;
}

/** find() by the two words of a tuple, for established connections of IPv4: one that is over by `now` is not found, nothing is changed. */
@inline export function ctLookup(ns: Netns, first: u64, second: u64, now: u64): usize {
  const t = changetype<CtTable>(node().conntrack);
  if (changetype<usize>(t) == 0) return 0;
  let link = load<usize>(bucketOf(t, tupleHashWords(first, second, ns.id)));
  while (link != 0) {
    const entry = link & ~1, side = link & 1;
    if (load<u64>(entry + ORIG + (side << 4)) == first && load<u64>(entry + ORIG + 8 + (side << 4)) == second
      && changetype<Conntrack>(entry).ns == changetype<usize>(ns)) {
      return changetype<Conntrack>(entry).timeout > now ? link : 0;
    }
    link = ctDirectionNext(entry, side);
  }
  return 0;
}

/** No connection remembers a program any more: their generations begin anew. */
export function ctFlowsForget(): void {
  const t = changetype<CtTable>(node().conntrack);
  if (changetype<usize>(t) == 0) return;
  settle(t);
  for (let i: u32 = 0; i <= t.mask; i++) {
    for (let link = load<usize>(t.buckets + (<usize>i << 2)); link != 0; link = ctDirectionNext(link & ~1, link & 1)) {
      store<u64>(link & ~1, 0, offsetof<Conntrack>("flow0"));
    }
  }
}

/** So few connections stay in the caches by themselves. */
const PREFETCH_MIN: u32 = 32768;

/** Are there so many connections that ctTouchBucket and ctTouchEntry pay? */
export function ctManyConnections(): bool {
  const t = changetype<CtTable>(node().conntrack);
  return changetype<usize>(t) != 0 && t.count >= PREFETCH_MIN;
}

/**
 * The first link of the bucket in which the connection of an IP packet stands, if it is there, and 0 if it has none. To read the buckets
 * of many packets one after the other, and then their entries, costs little more than one alone: memory answers them at once.
 */
export function ctTouchBucket(ns: Netns, ip: usize, length: u32): usize {
  const tuple = scratch(SCRATCH_TRACK);
  if (!tupleFromPacket(tuple, ip, length)) return 0;
  const t = changetype<CtTable>(node().conntrack);
  return load<usize>(bucketOf(t, tupleHash(tuple, ns.id)));
}

/** Reads an entry; the answer means nothing. */
export function ctTouchEntry(link: usize): u32 {
  const entry = changetype<Conntrack>(link & ~1);
  return link == 0 ? 0 : entry.status ^ entry.flow0;
}

/** Is this reply tuple in use by another connection than `but` (nf_conntrack_tuple_taken)? */
export function ctTupleTaken(ns: Netns, tuple: usize, but: Conntrack): bool {
  const link = find(ns, tuple);
  if (link == 0) return false;
  const other = changetype<Conntrack>(link & ~1);
  // Two packets of one flow, both not yet confirmed when they began: not a clash.
  return !tupleEqual(ctTuple(other, false), ctTuple(but, false));
}

/** The entry of a tuple for NAT's last resort (nf_nat_used_tuple_harder): null (0) unless found by its reply side. */
export function ctFindReply(ns: Netns, tuple: usize): Conntrack {
  const link = find(ns, tuple);
  return changetype<Conntrack>(link & 1 ? link & ~1 : <usize>0);
}

/** The connection of which this is the original tuple or the reply's, or null (0). */
export function ctFindTuple(ns: Netns, tuple: usize): Conntrack {
  return changetype<Conntrack>(find(ns, tuple) & ~1);
}

/** First entry of a source's chain, for NAT (find_appropriate_src). */
export function ctBysource(ns: Netns, orig: usize): usize {
  const t = changetype<CtTable>(node().conntrack);
  if ((t.bysource == 0 || t.sourceMask < t.mask >>> 3) && !sourcesBuild(t)) return 0;
  return load<usize>(t.bysource + (<usize>(sourceHash(ns, orig) & t.sourceMask) << 2));
}

/**
 * Enters all whose source is decided on by source: when NAT first wants to know (what maps at random never does), and when there are many
 * more than then. False: no memory.
 */
function sourcesBuild(t: CtTable): bool {
  settle(t);
  const mask = t.mask >>> 1, bytes = (mask + 1) << 2;
  const table = kmalloc(bytes);
  if (table == 0) return t.bysource != 0;
  if (t.bysource != 0) kfree(t.bysource, (t.sourceMask + 1) << 2);
  t.bysource = table;
  t.sourceMask = mask;
  for (let i: u32 = 0; i <= t.mask; i++) {
    for (let link = load<usize>(t.buckets + (<usize>i << 2)); link != 0; link = ctDirectionNext(link & ~1, link & 1)) {
      const ct = changetype<Conntrack>(link & ~1);
      if (!(link & 1) && ct.status & IPS_SRC_NAT_DONE) ctBysourceAdd(ct);
    }
  }
  return true;
}

function sourceHash(ns: Netns, orig: usize): u32 {
  const tuple = Tuple.at(orig);
  return (tuple.src * 0x85ebca6b ^ (<u32>tuple.sport << 8) ^ <u32>tuple.proto ^ ns.id * 0xc2b2ae35) * 0x9e3779b1 >>> 7;
}

/** NAT has decided on the entry's source (nf_nat_setup_info): from now on others of that source find it. */
export function ctBysourceAdd(ct: Conntrack): void {
  const t = changetype<CtTable>(node().conntrack);
  if (t.bysource == 0) return;
  let at = t.bysource + (<usize>(sourceHash(changetype<Netns>(ct.ns), ctTuple(ct, false)) & t.sourceMask) << 2);
  // Connections decide in the order in which they began, but for packets that were held.
  while (load<usize>(at) != 0 && <i32>(changetype<Conntrack>(load<usize>(at)).id - ct.id) > 0) at = load<usize>(at) + offsetof<Conntrack>("bysource");
  ct.bysource = load<usize>(at);
  store<usize>(at, changetype<usize>(ct));
}

// Life

/** A reference less; the last one frees. */
export function ctPut(ct: Conntrack): void {
  if (--ct.use != 0) return;
  const t = changetype<CtTable>(node().conntrack);
  if (ct.status & IPS_SRC_NAT_DONE && t.bysource != 0) {
    let at = t.bysource + (<usize>(sourceHash(changetype<Netns>(ct.ns), ctTuple(ct, false)) & t.sourceMask) << 2);
    while (load<usize>(at) != 0 && load<usize>(at) != changetype<usize>(ct)) {
      at = load<usize>(at) + offsetof<Conntrack>("bysource");
    }
    if (load<usize>(at) != 0) store<usize>(at, ct.bysource);
  }
  t.count--;
  if (FULL) {
    tupleRelease(ctTuple(ct, false));
    tupleRelease(ctTuple(ct, true));
  }
  ctUnextend(ct);
  if (FULL && ct.ftp != 0) kfree(ct.ftp, FTP_BYTES);
  if (FULL && ct.master != 0) ctPut(changetype<Conntrack>(ct.master));
  if (ct.ns != 0) nfNet(changetype<Netns>(ct.ns)).conntrackCount--;
  kfree(changetype<usize>(ct), CT_BYTES);
}

/** Takes a confirmed entry out of the table (nf_ct_kill); false: it was not there any more. */
export function ctKill(ct: Conntrack): bool {
  if ((ct.status & (IPS_CONFIRMED | IPS_DYING)) != IPS_CONFIRMED) return false;
  ct.status |= IPS_DYING;
  if (FULL && ct.helper != 0) expectForget(nfNet(changetype<Netns>(ct.ns)), changetype<usize>(ct));
  unlink(ct, 0);
  unlink(ct, 1);
  ctPut(ct);
  return true;
}

function unlink(ct: Conntrack, side: usize): void {
  const t = changetype<CtTable>(node().conntrack);
  const want = changetype<usize>(ct) | side;
  const hash = tupleHash(ctTuple(ct, side != 0), changetype<Netns>(ct.ns).id);
  let at = bucketOf(t, hash);
  while (load<usize>(at) != 0) {
    const link = load<usize>(at);
    const next = (link & ~1) + ((link & 1) << 2);
    if (link == want) {
      store<usize>(at, load<usize>(next));
      return;
    }
    at = next;
  }
}

function link(t: CtTable, ct: Conntrack, side: usize): void {
  const hash = tupleHash(ctTuple(ct, side != 0), changetype<Netns>(ct.ns).id);
  const bucket = bucketOf(t, hash);
  store<usize>(changetype<usize>(ct) + (side << 2), load<usize>(bucket));
  store<usize>(bucket, changetype<usize>(ct) | side);
}

/**
 * Twice as many buckets. Entries go over a few at a time as others begin (moveBuckets), so that no packet waits for all of them. Without
 * memory the chains just get longer.
 */
function grow(t: CtTable): void {
  if (t.mask >= BUCKETS_MAX - 1) return;
  settle(t);
  const bytes = (t.mask + 1) << 3, buckets = kmalloc(bytes);
  if (buckets == 0) return;
  t.older = t.buckets;
  t.moved = 0;
  t.buckets = buckets;
  t.mask = (t.mask << 1) | 1;
}

/** Moves the entries of the next `many` of the older buckets; those of one chain keep their order. */
function moveBuckets(t: CtTable, many: u32): void {
  const old = (t.mask + 1) >>> 1, end = many < old - t.moved ? t.moved + many : old;
  // Read ahead: memory answers for many at once.
  let sum: u32 = 0;
  for (let i = t.moved; i < end; i++) {
    const at = load<usize>(t.older + (<usize>i << 2));
    if (at != 0) sum += load<u32>(at & ~1);
  }
  store<u32>(scratch(SCRATCH_BURST), sum);
  while (t.moved < end) {
    // Chains are built at their heads: turn them round first.
    let turned: usize = 0, at = load<usize>(t.older + (<usize>t.moved << 2));
    while (at != 0) {
      const field = (at & ~1) + ((at & 1) << 2);
      const next = load<usize>(field);
      store<usize>(field, turned);
      turned = at;
      at = next;
    }
    t.moved++;
    while (turned != 0) {
      const next = ctDirectionNext(turned & ~1, turned & 1);
      link(t, changetype<Conntrack>(turned & ~1), turned & 1);
      turned = next;
    }
  }
  if (end == old) {
    kfree(t.older, old << 2);
    t.older = 0;
  }
}

/** All entries stand in `buckets`: for whoever walks through them. */
@inline function settle(t: CtTable): void {
  if (t.older != 0) moveBuckets(t, t.mask);
}

/** net.netfilter.nf_conntrack_buckets was set: at least so many, at once (nf_conntrack_hash_resize). The table is the node's. */
export function ctResize(buckets: u32): void {
  const t = table();
  if (changetype<usize>(t) == 0) return;
  while (t.mask < min<u32>(buckets, BUCKETS_MAX) - 1) {
    const before = t.mask;
    grow(t);
    if (t.mask == before) return;
  }
  settle(t);
}

/** An unconfirmed entry, owned by the caller; null (0): table full or no memory. */
export function ctCreate(ns: Netns, nf: NfNet, tuple: usize, reply: usize): Conntrack {
  const t = table();
  if (changetype<usize>(t) == 0) return changetype<Conntrack>(0);
  const max = setting(nf, NFCT_MAX);
  if (max != 0 && nf.conntrackCount >= max && !earlyDrop(t, ns, nf, tuple)) {
    statCount(nf, NFSTAT_DROP);
    return changetype<Conntrack>(0);
  }
  const at = kmalloc(CT_BYTES);
  if (at == 0) return changetype<Conntrack>(0);
  const ct = changetype<Conntrack>(at);
  ct.ns = changetype<usize>(ns);
  ct.use = 1;
  ct.id = ++t.nextId;
  tupleCopy(at + ORIG, tuple);
  tupleCopy(at + REPLY, reply);
  if (FULL) {
    tupleHold(tuple);
    tupleHold(reply);
  }
  ctExtend(ct, nf);
  nf.conntrackCount++;
  // Two links to an entry: no more links than buckets.
  if (++t.count << 1 > t.mask) grow(t);
  if (t.older != 0 && t.nextId % MOVE_EVERY == 0) moveBuckets(t, MOVE_BUCKETS);
  return ct;
}

/** Makes room: takes the first entry that is over or not assured from a few buckets (early_drop). */
function earlyDrop(t: CtTable, ns: Netns, nf: NfNet, tuple: usize): bool {
  const hash = tupleHash(tuple, ns.id);
  for (let i: u32 = 0; i < EARLY_DROP_BUCKETS; i++) {
    let link = load<usize>(bucketOf(t, hash + i));
    while (link != 0) {
      const ct = changetype<Conntrack>(link & ~1);
      if (ct.ns == changetype<usize>(ns) && !(FULL && ct.status & IPS_OFFLOAD)
        && (ctExpires(ct) == 0 || !(ct.status & IPS_ASSURED)
          || (<u32>Tuple.at(ctTuple(ct, false)).proto == IPPROTO_TCP && tcpCanEarlyDrop(ct)))
        && ctKill(ct)) {
        statCount(nf, NFSTAT_EARLY_DROP);
        return true;
      }
      link = ctDirectionNext(link & ~1, link & 1);
    }
  }
  return false;
}

/** The sweep: takes away what is over in a bounded part of the table, and comes again while there is anything. */
export function ctGc(owner: usize): void {
  const t = changetype<CtTable>(owner);
  const buckets = min<u32>(t.mask + 1, GC_BUCKETS);
  for (let i: u32 = 0; i < buckets; i++) {
    const bucket = bucketOf(t, t.cursor);
    t.cursor++;
    let link = load<usize>(bucket);
    while (link != 0) {
      const ct = changetype<Conntrack>(link & ~1);
      if (ctExpires(ct) == 0 && ctKill(ct)) {
        link = load<usize>(bucket);
        continue;
      }
      link = ctDirectionNext(link & ~1, link & 1);
    }
  }
  if (t.count != 0) timerAfter(gcTimer(t), GC_INTERVAL);
}

/** All entries of a namespace go with it. Packets that still hold one keep it until they end. */
export function ctNetnsExit(ns: Netns): void {
  if (FULL) expectForget(nfNet(ns), 0);
  const t = changetype<CtTable>(node().conntrack);
  if (changetype<usize>(t) == 0) return;
  settle(t);
  for (let i: u32 = 0; i <= t.mask; i++) {
    const bucket = t.buckets + (<usize>i << 2);
    let link = load<usize>(bucket);
    while (link != 0) {
      const ct = changetype<Conntrack>(link & ~1);
      if (ct.ns == changetype<usize>(ns) && ctKill(ct)) {
        link = load<usize>(bucket);
        continue;
      }
      link = ctDirectionNext(link & ~1, link & 1);
    }
  }
  if (t.count == 0) timerDelete(gcTimer(t));
}

// The packet path

/** Attaches the entry to the packet; the packet's reference is the caller's. */
@inline function attach(skb: Skb, ct: Conntrack, ctinfo: u32): void {
  skb.nfct = changetype<usize>(ct);
  skb.ctinfo = ctinfo;
}

export function ctDetach(skb: Skb): void {
  const ct = skb.nfct;
  skb.nfct = 0;
  skb.ctinfo = 0;
  if (ct != 0) ctPut(changetype<Conntrack>(ct));
}

/** True when the L4 checksum over all of the payload is right (nf_ip_checksum, nf_ip6_checksum). */
export function l4ChecksumOk(ip: usize, l4: usize, length: u32, protocol: u32): bool {
  const pseudo = isV6(ip) || protocol == IPPROTO_TCP || protocol == IPPROTO_UDP;
  // Without a pseudo-header the sum goes over the IPv4 header, too, which is 0xffff: a message of zeros alone is right.
  const sum: u64 = pseudo ? pseudoSum(ip, protocol, length) : 0xffff;
  return checksumFold(checksumAdd(sum, l4, length)) == 0xffff;
}

/** nf_conntrack_in: finds or begins the packet's connection. */
export function ctIn(skb: Skb, ns: Netns, hook: u32): u32 {
  // Seen before (loopback), or not to be tracked.
  if (skb.nfct != 0 || skb.ctinfo == IP_CT_UNTRACKED) return NF_ACCEPT;
  charge(COST_CONNTRACK);
  if (FULL) flowTracked(skb);
  const nf = nfNet(ns);
  const verdict = track(skb, ns, nf, hook, scratch(SCRATCH_TRACK), scratch(SCRATCH_TRACK) + TUPLE_BYTES);
  if (tracing() && skb.nfct != 0) {
    const at = observeRecord(OBS_CT, skb, changetype<usize>(ns), skb.dev, 16);
    if (at != 0) {
      const ct = skbCt(skb);
      store<u32>(at, skb.ctinfo);
      store<u32>(at, ct.id, 4);
      store<u32>(at, <u32>Tuple.at(ctTuple(ct, false)).proto, 8);
      store<u32>(at, ct.state, 12);
    }
  }
  return verdict;
}

function track(skb: Skb, ns: Netns, nf: NfNet, hook: u32, tuple: usize, other: usize): u32 {
  const ip = skb.network, length = ipBytes(skb), six = isV6(ip);
  const header = l4Offset(skb), protocol = l4Protocol(skb);
  if (fragmentUnits(skb) != 0 || header > length || (six && protocol == NEXTHDR_NONE)) {
    statCount(nf, NFSTAT_INVALID);
    return NF_ACCEPT;
  }
  const l4 = ip + <usize>header, room = length - header;
  if (six) {
    sweep6();
    if (protocol == IPPROTO_ICMPV6 && icmp6Error(skb, ns, nf, hook, l4, room, tuple, other) != 0) return NF_ACCEPT;
  } else if (protocol == IPPROTO_ICMP) {
    const answer = icmpError(skb, ns, nf, hook, l4, room, tuple, other);
    if (answer != 0) return NF_ACCEPT;
  }
  for (let round = 0; round < 2; round++) {
    if (!tupleFromPacket(tuple, ip, length)) break;
    if (FULL) Tuple.at(tuple).zone = <u16>skb.ctZone;
    let ctinfo = IP_CT_NEW;
    let entry = find(ns, tuple);
    if (entry == 0) {
      if (!tupleInvert(other, tuple)) break;
      if (FULL) Tuple.at(other).zone = <u16>(skb.ctZone >>> 16);
      entry = changetype<usize>(ctCreate(ns, nf, tuple, other));
      if (entry == 0) return NF_DROP;
      if (FULL && nf.expectCount != 0 && expectFind(nf, changetype<Conntrack>(entry))) ctinfo = IP_CT_RELATED;
    } else {
      const found = changetype<Conntrack>(entry & ~1);
      found.use++;
      if (entry & 1) ctinfo = IP_CT_ESTABLISHED_REPLY;
      else if (found.status & IPS_SEEN_REPLY) ctinfo = IP_CT_ESTABLISHED;
      else if (found.status & IPS_EXPECTED) ctinfo = IP_CT_RELATED;
    }
    const ct = changetype<Conntrack>(entry & ~1);
    attach(skb, ct, ctinfo);
    const verdict = handle(ct, nf, ip, l4, room, protocol, hook, ctinfo);
    if (verdict > 0) {
      if (FULL && skb.ctTemplate & 255 && !(ct.status & IPS_CONFIRMED)) {
        // The trackers begin with that byte clear.
        ct.helper = <u8>skb.ctTemplate;
        ct.status |= IPS_HELPER;
      }
      ctCount(ct, (entry & 1) != 0, length);
      if (ctinfo == IP_CT_ESTABLISHED_REPLY) ct.status |= IPS_SEEN_REPLY;
      return NF_ACCEPT;
    }
    ctDetach(skb);
    // An attempt to reopen a closed connection: the old entry is gone, begin a new one.
    if (verdict == -<i32>NF_REPEAT) continue;
    break;
  }
  statCount(nf, NFSTAT_INVALID);
  return NF_ACCEPT;
}

/** nf_conntrack_handle_packet: positive accepts, -NF_ACCEPT is an invalid packet, -NF_REPEAT wants a new entry. */
function handle(ct: Conntrack, nf: NfNet, ip: usize, l4: usize, room: u32, protocol: u32, hook: u32, ctinfo: u32): i32 {
  const verify = hook == HOOK_PREROUTING && setting(nf, NFCT_CHECKSUM) != 0;
  if (protocol == IPPROTO_TCP) return tcpTrack(ct, nf, ip, l4, room, verify, ctinfo);
  if (protocol == IPPROTO_UDP) return udpTrack(ct, nf, ip, l4, room, verify);
  if (protocol == IPPROTO_ICMP) return icmpTrack(ct, nf);
  if (FULL && protocol == IPPROTO_ICMPV6) return icmp6Track(ct, nf);
  if (FULL && protocol == IPPROTO_UDPLITE) return udpliteTrack(ct, nf, ip, l4, room, verify);
  if (protocol == IPPROTO_SCTP) return sctpTrack(ct, nf, l4, room, verify, ctinfo);
  return genericTrack(ct, nf, protocol == IPPROTO_GRE);
}

/**
 * nf_conntrack_icmpv4_error. 0: an ordinary ICMP packet, go on; 1: done, the packet is RELATED or invalid.
 */
function icmpError(skb: Skb, ns: Netns, nf: NfNet, hook: u32, icmp: usize, room: u32, tuple: usize, other: usize): u32 {
  const ip = skb.network;
  let good = room >= 8;
  if (good && hook == HOOK_PREROUTING && setting(nf, NFCT_CHECKSUM) != 0) good = l4ChecksumOk(ip, icmp, room, IPPROTO_ICMP);
  const type = good ? <u32>load<u8>(icmp) : 255;
  if (good && type <= 18) {
    if (!icmpIsError(type)) return 0;
    if (ctRelate(skb, ns, icmp + 8, room - 8, load<u32>(ip, 16), tuple, other)) return 1;
  }
  statCount(nf, NFSTAT_ICMP_ERROR);
  return 1;
}

/**
 * nf_conntrack_inet_error: attaches the connection of the packet quoted at `inner`. The outer destination has to be who sent the quoted
 * packet, as that side of the connection sees itself. False: it belongs to none.
 */
export function ctRelate(skb: Skb, ns: Netns, inner: usize, length: u32, destination: u32, tuple: usize, other: usize): bool {
  if (!tupleFromPacket(tuple, inner, length) || !tupleInvert(other, tuple)) return false;
  if (FULL) Tuple.at(other).zone = <u16>skb.ctZone;
  const link = find(ns, other);
  if (link == 0 || Tuple.at((link & ~1) + ORIG + ((link & 1) << 4)).dst != destination) return false;
  const ct = changetype<Conntrack>(link & ~1);
  ct.use++;
  attach(skb, ct, link & 1 ? IP_CT_RELATED_REPLY : IP_CT_RELATED);
  return true;
}

/** icmp_is_err */
export function icmpIsError(type: u32): bool {
  return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

/** __nf_conntrack_confirm, at the end of POSTROUTING and INPUT: the entry enters the table. */
export function ctConfirm(skb: Skb, ns: Netns): u32 {
  const ct = skbCt(skb);
  if (FULL && skb.nfct != 0 && ct.helper != 0 && skb.ctinfo != IP_CT_RELATED_REPLY) helperRun(nfNet(ns), ct, skb);
  if (skb.nfct == 0 || ct.status & IPS_CONFIRMED) return NF_ACCEPT;
  if (ctIsReply(skb.ctinfo)) return NF_ACCEPT;
  const nf = nfNet(ns);
  const clash = find(ns, ctTuple(ct, false));
  if (clash != 0) {
    // Another packet of the flow was confirmed first: join it if both were translated alike (nf_ct_resolve_clash).
    const winner = changetype<Conntrack>(clash & ~1);
    const protocol = <u32>Tuple.at(ctTuple(ct, false)).proto;
    if (!(clash & 1) && protocol == IPPROTO_UDP && tupleEqual(ctTuple(winner, true), ctTuple(ct, true))) {
      winner.use++;
      const ctinfo = winner.status & IPS_SEEN_REPLY ? IP_CT_ESTABLISHED : skb.ctinfo;
      ctDetach(skb);
      attach(skb, winner, ctinfo);
      statCount(nf, NFSTAT_CLASH_RESOLVE);
      return NF_ACCEPT;
    }
  }
  if (clash != 0 || find(ns, ctTuple(ct, true)) != 0) {
    statCount(nf, NFSTAT_INSERT_FAILED);
    statCount(nf, NFSTAT_DROP);
    return NF_DROP;
  }
  ct.use++;
  ctInsert(ct);
  return NF_ACCEPT;
}

/** The entry goes into the table; the reference is the table's. */
export function ctInsert(ct: Conntrack): void {
  const t = table();
  ct.timeout += node().now;
  ct.status |= IPS_CONFIRMED;
  link(t, ct, 0);
  link(t, ct, 1);
  const timer = gcTimer(t);
  if (timer.next == 0) timerAfter(timer, GC_INTERVAL);
}

/** nf_conntrack_attach: an answer made here (ICMP error, RST) belongs to the connection of what it answers. */
export function ctAttach(skb: Skb, about: Skb): void {
  if (skb.nfct != 0) return;
  if (about.nfct == 0) {
    // Related to no connection, as the answer to an untracked packet is: tracked, whatever a rule says.
    if (about.ctinfo == IP_CT_UNTRACKED) skb.ctinfo = IP_CT_RELATED;
    return;
  }
  const ct = skbCt(about);
  ct.use++;
  attach(skb, ct, ctIsReply(about.ctinfo) ? IP_CT_RELATED : IP_CT_RELATED_REPLY);
}

// The driver's requests

/** Writes entries from bucket `cursor` on; see NF_CT_LIST. */
export function ctList(ns: Netns, cursor: u32, to: usize, room: u32): u32 {
  const t = changetype<CtTable>(node().conntrack);
  let bytes: u32 = 8, entries: u32 = 0, bucket = cursor;
  if (changetype<usize>(t) != 0) settle(t);
  while (changetype<usize>(t) != 0 && bucket <= t.mask) {
    let need: u32 = 0;
    let link = load<usize>(t.buckets + (<usize>bucket << 2));
    while (link != 0) {
      if (!(link & 1)) need += CT_RECORD_BYTES;
      link = ctDirectionNext(link & ~1, link & 1);
    }
    if (bytes + need > room) {
      if (entries == 0) { bucket++; continue; } // a chain longer than an answer: passed over
      break;
    }
    link = load<usize>(t.buckets + (<usize>bucket << 2));
    while (link != 0) {
      const ct = changetype<Conntrack>(link & ~1);
      if (!(link & 1) && ct.ns == changetype<usize>(ns) && ctExpires(ct) != 0) {
        const at = to + <usize>bytes;
        store<u32>(at, ct.id);
        store<u32>(at, ct.status, 4);
        store<u32>(at, ct.mark, 8);
        store<u32>(at, <u32>min<u64>(ctExpires(ct) / 1_000_000, 0xffffffff), 12);
        tupleCopy(at + CT_RECORD_ORIG, ctTuple(ct, false));
        tupleCopy(at + CT_RECORD_REPLY, ctTuple(ct, true));
        if (FULL && Tuple.at(ctTuple(ct, false)).family != 0) {
          for (let i: usize = 0; i < 4; i++) copyBytes(at + CT_RECORD_ADDRESSES + (i << 4), bytes6(load<u32>(ctTuple(ct, i > 1) + ((i & 1) << 2))), 16);
        } else memory.fill(at + CT_RECORD_ADDRESSES, 0, 64);
        store<u32>(at, ct.state | (<u32>ct.helper << 24), CT_RECORD_STATE);
        const tcp = <u32>Tuple.at(ctTuple(ct, false)).proto == IPPROTO_TCP;
        const seen = changetype<usize>(ct) + CT_STREAM_AT;
        store<u16>(at, tcp ? <u16>load<u8>(seen, 16) | (<u16>load<u8>(seen, 36) << 8) : 0, CT_RECORD_WSCALE);
        store<u16>(at, tcp ? <u16>load<u8>(seen, 17) | (<u16>load<u8>(seen, 37) << 8) : 0, CT_RECORD_FLAGS);
        bytes += CT_RECORD_BYTES;
        entries++;
      }
      link = ctDirectionNext(link & ~1, link & 1);
    }
    bucket++;
  }
  store<u32>(to, changetype<usize>(t) != 0 && bucket <= t.mask ? bucket : 0);
  store<u32>(to, entries, 4);
  return bytes;
}

/** Takes the entry `id` of a namespace away. */
export function ctDelete(ns: Netns, id: u32): i32 {
  const ct = ctById(ns, id);
  return changetype<usize>(ct) != 0 && ctKill(ct) ? 0 : -ENOENT;
}

/** The entry `id` of a namespace, or null (0). */
export function ctById(ns: Netns, id: u32): Conntrack {
  const t = changetype<CtTable>(node().conntrack);
  if (changetype<usize>(t) != 0) settle(t);
  for (let i: u32 = 0; changetype<usize>(t) != 0 && i <= t.mask; i++) {
    let link = load<usize>(t.buckets + (<usize>i << 2));
    while (link != 0) {
      const ct = changetype<Conntrack>(link & ~1);
      if (ct.id == id && ct.ns == changetype<usize>(ns)) return ct;
      link = ctDirectionNext(link & ~1, link & 1);
    }
  }
  return changetype<Conntrack>(0);
}
