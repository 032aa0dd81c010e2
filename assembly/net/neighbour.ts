// The neighbour table: which MAC address stands behind a next hop. States, timers and their order follow
// net/core/neighbour.c; the protocol is in arp.ts. Entries are keyed by (device, 16-byte address).
import {
  CONF_NEIGH_BASE_REACHABLE_MS, CONF_NEIGH_DELAY_PROBE_S, CONF_NEIGH_GC_STALE_S, CONF_NEIGH_MCAST_SOLICIT, CONF_NEIGH_QUEUE_BYTES,
  CONF_NEIGH_RETRANS_MS, CONF_NEIGH_UCAST_SOLICIT, DROP_NEIGH_CREATEFAIL, DROP_NEIGH_FAILED, DROP_NEIGH_QUEUEFULL,
  NUD_DELAY, NUD_FAILED, NUD_INCOMPLETE, NUD_NOARP, NUD_PERMANENT, NUD_PROBE, NUD_REACHABLE, NUD_STALE,
} from "../abi/net";
import { CONF6_NEIGH_BASE_REACHABLE_TIME_MS, NTF_ROUTER } from "../abi/net6";
import { ENOENT, ENOMEM, EINVAL, EPERM, OBS_NEIGH } from "../abi/core";
import { FULL } from "../features";
import { NetDevice, Netns, Skb } from "../layout";
import { hashWord, mix32 } from "../mm/hash";
import { node } from "../mm/node";
import { randomBelow } from "../mm/rng";
import { kfree, kmalloc } from "../mm/slab";
import { HZ, NS_PER_JIFFY, Timer, timerDelete, timerMod, timerPending } from "../mm/timer";
import { observeRecord, tracing } from "../trace/observe";
import { ICMPV6_ADDR_UNREACH, ICMPV6_DEST_UNREACH } from "../wire/icmp6";
import { ETH_HEADER_LEN, ETH_P_IPV6, EthernetView } from "../wire/ethernet";
import { isMapped4 } from "../wire/bytes";
import { Ipv4View } from "../wire/ipv4";
import { arpSolicit } from "./arp";
import { devQueueXmit } from "./dev";
import { flowCommit, flowRecording, flowsInvalidate } from "./flow";
import { icmpSend } from "./icmp";
import { icmp6Send } from "./icmp6";
import { conf6, inet6Of } from "./inet6";
import { ndiscSolicit } from "./ndisc";
import { skbDrop, skbEnsureHeadroom, skbPush } from "./skb";
import { devConf } from "./sysctl";
import { TIMER_NEIGHBOUR, TIMER_NEIGHBOUR_GC } from "./timers";

const NUD_IN_TIMER: u32 = NUD_INCOMPLETE | NUD_REACHABLE | NUD_DELAY | NUD_PROBE;
const NUD_VALID: u32 = NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY;
const NUD_CONNECTED: u32 = NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE;

/** neighUpdate: the new address may replace a valid one. */
export const NEIGH_OVERRIDE: u32 = 1;
/** neighUpdate: asked for by the driver. */
export const NEIGH_ADMIN: u32 = 2;
/** neighUpdate: another address makes what is known suspect, but does not replace it. */
export const NEIGH_WEAK_OVERRIDE: u32 = 4;
/** neighUpdate: whether it is a router is known, and it is one. */
export const NEIGH_OVERRIDE_ISROUTER: u32 = 8;
export const NEIGH_ISROUTER: u32 = 16;

/** net.ipv4.neigh.default.gc_thresh3: no more entries than this that nobody set by hand. */
const ENTRIES_MAX: u32 = 1024;

@unmanaged export class Neighbour {
  // Timer comes first: its address is this entry's.
  timerNext: usize; timerPrev: usize;
  timerExpires: u64;
  timerKind: u32;
  timerOwner: usize;
  next: usize; // Neighbour: hash chain
  dev: usize; // NetDevice
  hi: u64; lo: u64;
  state: u32; // NUD_*
  mac0: u32; mac1: u32;
  probes: u32;
  confirmed: u64; updated: u64; used: u64; // jiffies
  // Packets that wait for the address, a FIFO of Skb.
  queueHead: usize; queueTail: usize; queueBytes: u32;
  flags: u32; // NTF_ROUTER
}

/** A setting of its device in its family: `number` is a CONF_NEIGH_*, which CONF6_NEIGH_* follow in order. */
function parm(n: Neighbour, number: u32): i32 {
  const dev = changetype<NetDevice>(n.dev);
  if (FULL && dev.inet6 != 0 && !isMapped4(n.hi, n.lo & 0xffffffff)) {
    return conf6(dev, number - CONF_NEIGH_BASE_REACHABLE_MS + CONF6_NEIGH_BASE_REACHABLE_TIME_MS);
  }
  return devConf(dev, number);
}

/** For how long it counts as reachable, jiffies. */
function reachTime(n: Neighbour): u64 {
  const dev = changetype<NetDevice>(n.dev);
  return <u64>(FULL && dev.inet6 != 0 && !isMapped4(n.hi, n.lo & 0xffffffff) ? inet6Of(dev).reachable : dev.reachable);
}

/** Half to one and a half of a base in ms, in jiffies (neigh_rand_reach_time). */
export function neighReachTime(ms: u32): u32 {
  const base = <u32>(<u64>ms * HZ / 1000);
  return base == 0 ? 0 : randomBelow(base) + (base >> 1);
}

@unmanaged class NeighbourTable {
  // Timer of the sweep comes first, so that it lies as a Timer lies.
  gcNext: usize; gcPrev: usize; gcExpires: u64; gcKind: u32; gcOwner: usize;
  buckets: usize; // Neighbour[mask + 1]
  mask: u32;
  count: u32;
}

/** net.ipv4.neigh.default.gc_thresh1: fewer entries are never swept. */
const ENTRIES_KEPT: u32 = 128;

export function neighInit(ns: Netns): bool {
  ns.neighbours = kmalloc(<u32>offsetof<NeighbourTable>());
  if (ns.neighbours == 0) return false;
  const table = changetype<NeighbourTable>(ns.neighbours);
  table.mask = 15;
  table.buckets = kmalloc(16 << 2);
  table.gcKind = TIMER_NEIGHBOUR_GC;
  table.gcOwner = changetype<usize>(ns);
  return table.buckets != 0;
}

/** The namespace ends; its devices have taken their entries with them. */
export function neighExit(ns: Netns): void {
  if (ns.neighbours == 0) return;
  const table = changetype<NeighbourTable>(ns.neighbours);
  if (FULL) timerDelete(gcTimer(table));
  kfree(table.buckets, (table.mask + 1) << 2);
  kfree(ns.neighbours, <u32>offsetof<NeighbourTable>());
}

@inline function jiffies(): u64 {
  return node().now / NS_PER_JIFFY;
}

/** How long a neighbour of this device counts as reachable: half to one and a half of the base (neigh_rand_reach_time). */
export function neighDeviceInit(dev: NetDevice): void {
  dev.reachable = neighReachTime(<u32>devConf(dev, CONF_NEIGH_BASE_REACHABLE_MS));
  // No second draw: with one for each family what follows from a seed would depend on the kernel's size.
  if (FULL && dev.inet6 != 0) inet6Of(dev).reachable = dev.reachable;
}

function bucketOf(table: NeighbourTable, dev: usize, hi: u64, lo: u64): usize {
  // By ifindex, not by address: the order of a listing depends on nothing but the configuration.
  const h = hashWord(hashWord(hashWord(changetype<NetDevice>(dev).ifindex, <u32>lo), <u32>(lo >> 32)), <u32>hi ^ <u32>(hi >> 32));
  return table.buckets + <usize>((mix32(h) & table.mask) << 2);
}

/** The entry, or 0. */
export function neighFind(dev: NetDevice, hi: u64, lo: u64): usize {
  const last = dev.neighbour;
  if (last != 0 && changetype<Neighbour>(last).lo == lo && changetype<Neighbour>(last).hi == hi) return last;
  const table = changetype<NeighbourTable>(changetype<Netns>(dev.ns).neighbours);
  let at = <usize>load<u32>(bucketOf(table, changetype<usize>(dev), hi, lo));
  for (; at != 0; at = changetype<Neighbour>(at).next) {
    const n = changetype<Neighbour>(at);
    if (n.lo == lo && n.hi == hi && n.dev == changetype<usize>(dev)) {
      dev.neighbour = at;
      return at;
    }
  }
  return 0;
}

/** The entry, made if need be; 0: the table is full, or no memory. */
export function neighFindOrCreate(dev: NetDevice, hi: u64, lo: u64): usize {
  const found = neighFind(dev, hi, lo);
  if (found != 0) return found;
  const table = changetype<NeighbourTable>(changetype<Netns>(dev.ns).neighbours);
  if (table.count >= ENTRIES_MAX && !evict(table)) return 0;
  const at = kmalloc(<u32>offsetof<Neighbour>());
  if (at == 0) return 0;
  const n = changetype<Neighbour>(at);
  n.timerKind = TIMER_NEIGHBOUR;
  n.timerOwner = at;
  n.dev = changetype<usize>(dev);
  n.hi = hi;
  n.lo = lo;
  const now = jiffies();
  n.updated = now;
  n.used = now;
  // neigh_alloc, __neigh_create: nothing is confirmed yet.
  const base = <u64>parm(n, CONF_NEIGH_BASE_REACHABLE_MS) * HZ / 1000;
  n.confirmed = now > base << 1 ? now - (base << 1) : 0;
  const bucket = bucketOf(table, n.dev, hi, lo);
  n.next = <usize>load<u32>(bucket);
  store<u32>(bucket, <u32>at);
  table.count++;
  if (FULL && table.count >= ENTRIES_KEPT && !timerPending(gcTimer(table))) timerMod(gcTimer(table), now + GC_EVERY);
  if (table.count > table.mask << 1) grow(table);
  return at;
}

/** base_reachable_time / 2 */
const GC_EVERY: u64 = 15 * 250;

@inline function gcTimer(table: NeighbourTable): Timer {
  return changetype<Timer>(changetype<usize>(table) + offsetof<NeighbourTable>("gcNext"));
}

/** The sweep: what failed, and what nobody has used for gc_stale_time, while there are many (neigh_periodic_work). */
export function neighGc(at: usize): void {
  const table = changetype<NeighbourTable>(changetype<Netns>(at).neighbours);
  if (table.count < ENTRIES_KEPT) return;
  const now = jiffies();
  for (let b: u32 = 0; b <= table.mask; b++) {
    let link = table.buckets + <usize>(b << 2);
    for (let e = <usize>load<u32>(link); e != 0; e = <usize>load<u32>(link)) {
      const n = changetype<Neighbour>(e);
      if (n.used < n.confirmed) n.used = n.confirmed;
      const stale = <u64>parm(n, CONF_NEIGH_GC_STALE_S) * HZ;
      if ((n.state & (NUD_PERMANENT | NUD_IN_TIMER)) == 0 && (n.state == NUD_FAILED || now > n.used + stale)) remove(table, link, e);
      else link = e + offsetof<Neighbour>("next");
    }
  }
  timerMod(gcTimer(table), now + GC_EVERY);
}

function grow(table: NeighbourTable): void {
  const before = table.mask + 1;
  const buckets = kmalloc(before << 3);
  if (buckets == 0) return;
  const old = table.buckets;
  table.buckets = buckets;
  table.mask = (before << 1) - 1;
  for (let b: u32 = 0; b < before; b++) {
    let at = <usize>load<u32>(old + <usize>(b << 2));
    while (at != 0) {
      const n = changetype<Neighbour>(at);
      const next = n.next;
      const bucket = bucketOf(table, n.dev, n.hi, n.lo);
      n.next = <usize>load<u32>(bucket);
      store<u32>(bucket, <u32>at);
      at = next;
    }
  }
  kfree(old, before << 2);
}

/** Makes room as neigh_forced_gc does: the entry that was used longest ago and that nobody set by hand goes. */
function evict(table: NeighbourTable): bool {
  let oldest: usize = 0, oldestLink: usize = 0;
  for (let b: u32 = 0; b <= table.mask; b++) {
    let link = table.buckets + <usize>(b << 2);
    for (let at = <usize>load<u32>(link); at != 0; at = <usize>load<u32>(link)) {
      const n = changetype<Neighbour>(at);
      if ((n.state & (NUD_PERMANENT | NUD_NOARP)) == 0
        && (oldest == 0 || n.used < changetype<Neighbour>(oldest).used)) {
        oldest = at;
        oldestLink = link;
      }
      link = at + offsetof<Neighbour>("next");
    }
  }
  if (oldest == 0) return false;
  remove(table, oldestLink, oldest);
  return true;
}

function remove(table: NeighbourTable, link: usize, at: usize): void {
  const n = changetype<Neighbour>(at);
  if (FULL) flowsInvalidate();
  store<u32>(link, <u32>n.next);
  changetype<NetDevice>(n.dev).neighbour = 0;
  table.count--;
  timerDelete(changetype<Timer>(at));
  purge(n, DROP_NEIGH_FAILED);
  kfree(at, <u32>offsetof<Neighbour>());
}

/** Takes the entries of a device away: `permanent` ones too when it ends, the others when it goes down (neigh_flush_dev). */
export function neighFlush(dev: NetDevice, permanent: bool): void {
  const table = changetype<NeighbourTable>(changetype<Netns>(dev.ns).neighbours);
  for (let b: u32 = 0; b <= table.mask; b++) {
    let link = table.buckets + <usize>(b << 2);
    for (let at = <usize>load<u32>(link); at != 0; at = <usize>load<u32>(link)) {
      const n = changetype<Neighbour>(at);
      if (n.dev == changetype<usize>(dev) && (permanent || (n.state & NUD_PERMANENT) == 0)) remove(table, link, at);
      else link = at + offsetof<Neighbour>("next");
    }
  }
}

/** IPv6 goes down on the device: all of its neighbours of that family, those set by hand too (neigh_ifdown of nd_tbl). */
export function neighFlush6(dev: NetDevice): void {
  const table = changetype<NeighbourTable>(changetype<Netns>(dev.ns).neighbours);
  for (let b: u32 = 0; b <= table.mask; b++) {
    let link = table.buckets + <usize>(b << 2);
    for (let at = <usize>load<u32>(link); at != 0; at = <usize>load<u32>(link)) {
      const n = changetype<Neighbour>(at);
      if (n.dev == changetype<usize>(dev) && !isMapped4(n.hi, n.lo & 0xffffffff)) remove(table, link, at);
      else link = at + offsetof<Neighbour>("next");
    }
  }
}

/** A device ends: no waiting packet may go on naming it as the one it came by. */
export function neighForgetDevice(ns: Netns, dev: NetDevice): void {
  const table = changetype<NeighbourTable>(ns.neighbours);
  for (let b: u32 = 0; b <= table.mask; b++) {
    let at = <usize>load<u32>(table.buckets + <usize>(b << 2));
    for (; at != 0; at = changetype<Neighbour>(at).next) {
      for (let s = changetype<Neighbour>(at).queueHead; s != 0; s = changetype<Skb>(s).next) {
        const skb = changetype<Skb>(s);
        if (skb.inDev == changetype<usize>(dev)) skb.inDev = 0;
        if (skb.bridgeDev == changetype<usize>(dev)) skb.bridgeDev = 0;
      }
    }
  }
}

/** `ip neigh del`. */
export function neighDelete(dev: NetDevice, hi: u64, lo: u64): i32 {
  const table = changetype<NeighbourTable>(changetype<Netns>(dev.ns).neighbours);
  let link = bucketOf(table, changetype<usize>(dev), hi, lo);
  for (let at = <usize>load<u32>(link); at != 0; at = <usize>load<u32>(link)) {
    const n = changetype<Neighbour>(at);
    if (n.lo == lo && n.hi == hi && n.dev == changetype<usize>(dev)) {
      remove(table, link, at);
      return 0;
    }
    link = at + offsetof<Neighbour>("next");
  }
  return -ENOENT;
}

/** `ip neigh replace`. */
export function neighSet(dev: NetDevice, hi: u64, lo: u64, mac0: u32, mac1: u32, state: u32): i32 {
  const at = neighFindOrCreate(dev, hi, lo);
  if (at == 0) return -ENOMEM;
  return neighUpdate(changetype<Neighbour>(at), true, mac0, mac1, state, NEIGH_OVERRIDE | NEIGH_ADMIN);
}

/** The first entry from bucket `b` on, behind `at` in its chain (0: the chain's head): for listings. */
export function neighBuckets(ns: Netns): u32 {
  return changetype<NeighbourTable>(ns.neighbours).mask + 1;
}
export function neighBucket(ns: Netns, b: u32): usize {
  return <usize>load<u32>(changetype<NeighbourTable>(ns.neighbours).buckets + <usize>(b << 2));
}

/**
 * Sends an IP packet (`data` at its header) to the neighbour `hi:lo` on `dev` (neigh_output, neigh_resolve_output). Takes the
 * packet.
 */
export function neighOutput(skb: Skb, dev: NetDevice, hi: u64, lo: u64): void {
  const at = neighFindOrCreate(dev, hi, lo);
  if (at == 0) {
    skbDrop(skb, changetype<Netns>(dev.ns), changetype<usize>(dev), DROP_NEIGH_CREATEFAIL);
    return;
  }
  const n = changetype<Neighbour>(at);
  n.used = jiffies();
  if ((n.state & NUD_CONNECTED) == 0 && !eventSend(n, skb)) return;
  if (FULL && flowRecording(skb)) flowCommit(skb, n, dev);
  neighTransmit(n, skb, dev);
}

/** Writes the Ethernet header and hands the frame to the device. */
function neighTransmit(n: Neighbour, packet: Skb, dev: NetDevice): void {
  const skb = skbEnsureHeadroom(packet, ETH_HEADER_LEN, dev);
  if (changetype<usize>(skb) == 0) return;
  traceNeigh(n, skb, dev);
  const at = skbPush(skb, ETH_HEADER_LEN);
  skb.mac = at;
  EthernetView.at(at).write(n.mac0, n.mac1, dev.mac0, dev.mac1, skb.protocol);
  devQueueXmit(skb, dev);
}

function traceNeigh(n: Neighbour, skb: Skb, dev: NetDevice): void {
  if (!tracing()) return;
  const at = observeRecord(OBS_NEIGH, skb, dev.ns, changetype<usize>(dev), 32);
  if (at == 0) return;
  store<u32>(at, n.state);
  store<u64>(at, n.hi, 4);
  store<u64>(at, n.lo, 12);
  store<u32>(at, n.mac0, 20);
  store<u16>(at, <u16>n.mac1, 24);
}

/** Before sending over an entry that is not confirmed: true when the packet may go now (__neigh_event_send). */
function eventSend(n: Neighbour, skb: Skb): bool {
  const dev = changetype<NetDevice>(n.dev);
  const now = jiffies();
  if ((n.state & (NUD_CONNECTED | NUD_DELAY | NUD_PROBE)) != 0) return true;
  let probe = false;
  if ((n.state & (NUD_STALE | NUD_INCOMPLETE)) == 0) {
    if (parm(n, CONF_NEIGH_MCAST_SOLICIT) == 0) {
      n.state = NUD_FAILED;
      n.updated = now;
      skbDrop(skb, changetype<Netns>(dev.ns), n.dev, DROP_NEIGH_FAILED);
      return false;
    }
    n.probes = <u32>parm(n, CONF_NEIGH_UCAST_SOLICIT);
    n.state = NUD_INCOMPLETE;
    n.updated = now;
    arm(n, now + retransJiffies(n));
    probe = true;
  } else if (n.state & NUD_STALE) {
    n.state = NUD_DELAY;
    n.updated = now;
    arm(n, now + <u64>parm(n, CONF_NEIGH_DELAY_PROBE_S) * HZ);
    return true;
  }
  // INCOMPLETE: wait, at the expense of the oldest if there is no room.
  const limit = <u32>parm(n, CONF_NEIGH_QUEUE_BYTES);
  while (n.queueBytes + skb.size > limit && n.queueHead != 0) {
    skbDrop(dequeue(n), changetype<Netns>(dev.ns), n.dev, DROP_NEIGH_QUEUEFULL);
  }
  skb.next = 0;
  if (n.queueTail != 0) changetype<Skb>(n.queueTail).next = changetype<usize>(skb);
  else n.queueHead = changetype<usize>(skb);
  n.queueTail = changetype<usize>(skb);
  n.queueBytes += skb.size;
  if (probe) sendProbe(n);
  return false;
}

/** Asks for its MAC without a packet that waits (neigh_event_send with none). */
export function neighAsk(n: Neighbour): void {
  if ((n.state & (NUD_CONNECTED | NUD_DELAY | NUD_PROBE | NUD_STALE | NUD_INCOMPLETE)) != 0) return;
  n.probes = <u32>parm(n, CONF_NEIGH_UCAST_SOLICIT);
  n.state = NUD_INCOMPLETE;
  n.updated = jiffies();
  arm(n, n.updated + retransJiffies(n));
  sendProbe(n);
}

/** Is its MAC known? */
export function neighValid(n: Neighbour): bool {
  return (n.state & NUD_VALID) != 0;
}

function dequeue(n: Neighbour): Skb {
  const skb = changetype<Skb>(n.queueHead);
  n.queueHead = skb.next;
  if (n.queueHead == 0) n.queueTail = 0;
  n.queueBytes -= skb.size;
  skb.next = 0;
  return skb;
}

function purge(n: Neighbour, reason: u32): void {
  const dev = changetype<NetDevice>(n.dev);
  while (n.queueHead != 0) skbDrop(dequeue(n), changetype<Netns>(dev.ns), n.dev, reason);
}

function retransJiffies(n: Neighbour): u64 {
  return max<u64>(<u64>parm(n, CONF_NEIGH_RETRANS_MS) * HZ / 1000, HZ / 100);
}

@inline function arm(n: Neighbour, expires: u64): void {
  timerMod(changetype<Timer>(changetype<usize>(n)), expires);
}

/** One request, for the newest packet that waits (neigh_probe). */
function sendProbe(n: Neighbour): void {
  const dev = changetype<NetDevice>(n.dev);
  const probes = n.probes++;
  const unicast = probes < <u32>parm(n, CONF_NEIGH_UCAST_SOLICIT);
  const packet = n.queueTail;
  if (FULL && !isMapped4(n.hi, n.lo & 0xffffffff)) {
    const six = packet != 0 && changetype<Skb>(packet).protocol == ETH_P_IPV6;
    ndiscSolicit(dev, n.hi, n.lo, six ? changetype<Skb>(packet).network : 0, unicast);
    return;
  }
  const source = packet != 0 && changetype<Skb>(packet).network != 0
    ? Ipv4View.at(changetype<Skb>(packet).network).source : 0;
  arpSolicit(dev, n.hi, n.lo, source, unicast, n.mac0, n.mac1);
}

/** The entry's timer (neigh_timer_handler). */
export function neighTimer(at: usize): void {
  const n = changetype<Neighbour>(at);
  const dev = changetype<NetDevice>(n.dev);
  const now = jiffies();
  const reachable = reachTime(n);
  const delay = <u64>parm(n, CONF_NEIGH_DELAY_PROBE_S) * HZ;
  let next = now + HZ;
  if ((n.state & NUD_IN_TIMER) == 0) return;
  if (n.state & NUD_REACHABLE) {
    if (now <= n.confirmed + reachable) next = n.confirmed + reachable;
    else if (now <= n.used + delay) {
      n.state = NUD_DELAY;
      n.updated = now;
      next = now + delay;
    } else {
      n.state = NUD_STALE;
      n.updated = now;
    }
  } else if (n.state & NUD_DELAY) {
    if (now <= n.confirmed + delay) {
      n.state = NUD_REACHABLE;
      n.updated = now;
      next = n.confirmed + reachable;
    } else {
      n.state = NUD_PROBE;
      n.updated = now;
      n.probes = 0;
      next = now + retransJiffies(n);
    }
  } else next = now + retransJiffies(n);

  const probesMax = <u32>parm(n, CONF_NEIGH_UCAST_SOLICIT)
    + (n.state & NUD_PROBE ? 0 : <u32>parm(n, CONF_NEIGH_MCAST_SOLICIT));
  if ((n.state & (NUD_INCOMPLETE | NUD_PROBE)) != 0 && n.probes >= probesMax) {
    n.state = NUD_FAILED;
    n.updated = now;
    invalidate(n);
    return;
  }
  if (n.state & NUD_IN_TIMER) arm(n, max<u64>(next, now + HZ / 100));
  if (n.state & (NUD_INCOMPLETE | NUD_PROBE)) sendProbe(n);
}

/** Resolution failed: whoever waits learns that the host is unreachable (neigh_invalidate, arp_error_report). */
function invalidate(n: Neighbour): void {
  const dev = changetype<NetDevice>(n.dev);
  const ns = changetype<Netns>(dev.ns);
  while (n.queueHead != 0 && n.state == NUD_FAILED) {
    const skb = dequeue(n);
    if (FULL && skb.protocol == ETH_P_IPV6) icmp6Send(skb, ns, ICMPV6_DEST_UNREACH, ICMPV6_ADDR_UNREACH, 0);
    else icmpSend(skb, ns, 3, 1, 0);
    skbDrop(skb, ns, n.dev, DROP_NEIGH_FAILED);
  }
}

/** Something was heard, or set, about a neighbour (__neigh_update). `known`: the MAC was given. 0, -EPERM, -EINVAL. */
export function neighUpdate(n: Neighbour, known: bool, newMac0: u32, newMac1: u32, wanted: u32, flags: u32): i32 {
  const dev = changetype<NetDevice>(n.dev);
  const old = n.state;
  const now = jiffies();
  let state = wanted;
  if ((flags & NEIGH_ADMIN) == 0 && (old & (NUD_NOARP | NUD_PERMANENT)) != 0) return -EPERM;
  if ((state & NUD_VALID) == 0) {
    timerDelete(changetype<Timer>(changetype<usize>(n)));
    n.state = state;
    if ((old & (NUD_INCOMPLETE | NUD_PROBE)) != 0 && (state & NUD_FAILED) != 0) invalidate(n);
    return 0;
  }
  if (!known && (old & NUD_VALID) == 0) return -EINVAL;
  let changed = known && ((old & NUD_VALID) == 0 || newMac0 != n.mac0 || newMac1 != n.mac1);
  if (state & NUD_CONNECTED) n.confirmed = now;
  if (old & NUD_VALID) {
    if (FULL && changed && (flags & (NEIGH_OVERRIDE | NEIGH_WEAK_OVERRIDE)) == NEIGH_WEAK_OVERRIDE && (old & NUD_CONNECTED) != 0) {
      // The old address stays, to be asked for again.
      changed = false;
      state = NUD_STALE;
      if (state != old) n.updated = now;
    } else if (changed && (flags & NEIGH_OVERRIDE) == 0) return 0;
    else if (!changed && state == NUD_STALE && (flags & NEIGH_ADMIN) == 0) state = old;
  }
  if (state != old || changed) n.updated = now;
  if (state != old) {
    timerDelete(changetype<Timer>(changetype<usize>(n)));
    if (state & NUD_PROBE) n.probes = 0;
    if (state & NUD_IN_TIMER) arm(n, now + (state & NUD_REACHABLE ? reachTime(n) : 0));
    n.state = state;
  }
  if (changed) {
    n.mac0 = newMac0;
    n.mac1 = newMac1;
    if ((state & NUD_CONNECTED) == 0) {
      const base = <u64>parm(n, CONF_NEIGH_BASE_REACHABLE_MS) * HZ / 1000;
      n.confirmed = now > base << 1 ? now - (base << 1) : 0;
    }
  }
  // neigh_update_is_router
  if (FULL && (flags & NEIGH_OVERRIDE_ISROUTER) != 0) n.flags = (n.flags & ~NTF_ROUTER) | (flags & NEIGH_ISROUTER ? NTF_ROUTER : 0);
  if (state == old) return 0;
  if ((old & NUD_VALID) == 0) {
    while ((n.state & NUD_VALID) != 0 && n.queueHead != 0) neighTransmit(n, dequeue(n), dev);
  }
  return 0;
}

/** True when frames may go to it at once; a bridge asks this about the target of a redirected frame. */
export function neighConnected(n: Neighbour): bool {
  return (n.state & NUD_CONNECTED) != 0;
}
