// Packets that wait for a program's word (net/netfilter/nf_queue.c, nfnetlink_queue.c): those that a rule sent to a queue with a
// listener, and those that came to a program registered at a hook. The driver takes them, and its verdict sends them on from the
// place at which they left the hook.
import { EBUSY, EINVAL, ENOENT, ENOMEM, ENOSPC } from "../abi/core";
import {
  HOOK_OUTPUT, HOOK_POSTROUTING, NF_ACCEPT, NF_DROP, NF_QUEUE, NF_REPEAT, NF_STOLEN,
} from "../abi/netfilter";
import { DROP_NETFILTER } from "../abi/net";
import {
  NFQR_BYTES, NFQR_CAPTURED, NFQR_HOOK, NFQR_ID, NFQR_IN, NFQR_LENGTH, NFQR_MARK, NFQR_OUT, NFQR_PHYS_IN, NFQR_PHYS_OUT, NFQR_PROGRAM,
  NFQR_PROTOCOL, NFQR_QUEUE, NFQR_SIZE, NFQ_FLAG_FAIL_OPEN, NFQ_PROGRAMS, NFQ_PROGRAM_IPV6, NFQ_VERDICT_BYPASS, NFQ_VERDICT_MARK, NFQ_VERDICT_PACKET,
} from "../abi/queue";
import { NetDevice, Netns, Skb } from "../layout";
import { node } from "../mm/node";
import { kfree, kmalloc } from "../mm/slab";
import { netHooked } from "../net/hooked";
import { ip6Walk } from "../net/ip6-ext";
import { skbDrop, skbFree, skbLength, skbResize } from "../net/skb";
import { nftEnsure } from "../nft/ruleset";
import { IPV4_HEADER_LEN, Ipv4View } from "../wire/ipv4";
import { IPV6_HEADER_LEN, Ipv6View, NEXTHDR_HOP } from "../wire/ipv6";
import { nfHookFrom } from "./hooks";
import { nfHookFrom6 } from "./hooks6";
import { routeMeHarder } from "./ipv6-routes";
import { isV6 } from "./l3";
import { NfNet, nfNet } from "./state";
import { hooksUpdate } from "./table";

@unmanaged class Queue {
  next: usize;
  number: u32;
  flags: u32;
  max: u32;
  range: u32;
  waiting: u32;
  dropped: u32;
  packets: u32;
}

/** A packet that waits: where in the hook it left, and what a new route would depend on. */
@unmanaged class Parked {
  next: usize;
  id: u32;
  queue: u32; // its number, or NFQR_PROGRAM | id
  taken: u32;
  skb: usize;
  hook: u32;
  kind: u32; ref: usize; // the hook's entry
  inDev: usize; outDev: usize;
  mark: u32;
  // What nf_ip_saveroute and nf_ip6_saveroute keep: of IPv4 both addresses are in the first.
  tos: u32;
  address0: u64; address1: u64; address2: u64; address3: u64;
}

@unmanaged class QueueNet {
  queues: usize; // Queue list
  head: usize; tail: usize; // Parked, the oldest first
  nextId: u32;
  programs: u32; // so many are registered
  // NFQ_PROGRAMS times {u32 PROGRAM_*, u32 hook, i32 priority, u32 sequence} follow
}
const REPEATS: u32 = 64;
const PROGRAM_IPV4: u32 = 1;
export const PROGRAM_IPV6: u32 = 2;
const PROGRAM_BYTES: u32 = 16;
const QUEUENET_BYTES: u32 = <u32>offsetof<QueueNet>() + NFQ_PROGRAMS * PROGRAM_BYTES;

/** A packet leaves the hook at the entry {kind, ref} by `verdict` (NF_QUEUE | …). What becomes of it: NF_STOLEN, it waits. */
export function nfQueue(skb: Skb, ns: Netns, nf: NfNet, hook: u32, kind: u32, ref: usize, verdict: u32, inDev: usize, outDev: usize): u32 {
  const at = queueFind(nf, verdict >>> 16);
  if (at == 0) return verdict & NFQ_VERDICT_BYPASS ? NF_ACCEPT : NF_DROP;
  const queue = changetype<Queue>(at);
  if (queue.waiting >= queue.max) {
    if (queue.flags & NFQ_FLAG_FAIL_OPEN) return NF_ACCEPT;
    queue.dropped++;
    return NF_DROP;
  }
  if (!park(nf, skb, queue.number, hook, kind, ref, inDev, outDev)) {
    queue.dropped++;
    return NF_DROP;
  }
  queue.waiting++;
  queue.packets++;
  return NF_STOLEN;
}

/** A packet came to the program `id` of the entry {kind, ref = id}. */
export function nfProgram(skb: Skb, nf: NfNet, hook: u32, kind: u32, id: usize, inDev: usize, outDev: usize): u32 {
  return park(nf, skb, NFQR_PROGRAM | <u32>id, hook, kind, id, inDev, outDev) ? NF_STOLEN : NF_DROP;
}

/** The program registered as number `id`: {u32 PROGRAM_IPV4 or PROGRAM_IPV6, u32 hook, i32 priority, u32 sequence}, or 0. */
export function nfProgramAt(nf: NfNet, id: u32): usize {
  const at = nf.queues == 0 ? 0 : programAt(nf, id);
  return at == 0 || load<u32>(at) == 0 ? 0 : at;
}

/** How many programs the namespace has. */
export function nfPrograms(nf: NfNet): u32 {
  return nf.queues == 0 ? 0 : netOf(nf).programs;
}

// Requests

export function queueBind(nf: NfNet, number: u32, flags: u32, max: u32, range: u32): i32 {
  if (number > 0xffff) return -EINVAL;
  if (queueFind(nf, number) != 0) return -EBUSY;
  if (!ensure(nf)) return -ENOMEM;
  const at = kmalloc(<u32>offsetof<Queue>());
  if (at == 0) return -ENOMEM;
  const queue = changetype<Queue>(at), net = netOf(nf);
  queue.number = number;
  queue.flags = flags;
  queue.max = max;
  queue.range = range;
  queue.next = net.queues;
  net.queues = at;
  return 0;
}

export function queueUnbind(ns: Netns, nf: NfNet, number: u32): i32 {
  const at = queueFind(nf, number);
  if (at == 0) return -ENOENT;
  const net = netOf(nf);
  dropOf(ns, net, number);
  let link = changetype<usize>(net) + offsetof<QueueNet>("queues");
  while (load<usize>(link) != at) link = load<usize>(link) + offsetof<Queue>("next");
  store<usize>(link, changetype<Queue>(at).next);
  kfree(at, <u32>offsetof<Queue>());
  return 0;
}

export function queueStat(nf: NfNet, number: u32, record: usize): i32 {
  const at = queueFind(nf, number);
  if (at == 0) return -ENOENT;
  store<u32>(record, changetype<Queue>(at).waiting);
  store<u32>(record, changetype<Queue>(at).dropped, 4);
  store<u32>(record, changetype<Queue>(at).packets, 8);
  return 12;
}

export function programAdd(ns: Netns, nf: NfNet, hook: u32, priority: i32, flags: u32): i32 {
  if (hook > HOOK_POSTROUTING || flags > NFQ_PROGRAM_IPV6) return -EINVAL;
  if (!ensure(nf)) return -ENOMEM;
  const sequence = nftEnsure(ns, nf);
  if (sequence == 0) return -ENOMEM;
  for (let id: u32 = 0; id < NFQ_PROGRAMS; id++) {
    const at = programAt(nf, id);
    if (load<u32>(at) != 0) continue;
    store<u32>(at, flags & NFQ_PROGRAM_IPV6 ? PROGRAM_IPV6 : PROGRAM_IPV4);
    store<u32>(at, hook, 4);
    store<i32>(at, priority, 8);
    store<u32>(at, sequence, 12);
    netOf(nf).programs++;
    hooksUpdate(nf);
    ns.ruleGeneration++;
    return <i32>id;
  }
  return -ENOSPC;
}

export function programRemove(ns: Netns, nf: NfNet, id: u32): i32 {
  const at = id < NFQ_PROGRAMS ? nfProgramAt(nf, id) : 0;
  if (at == 0) return -ENOENT;
  dropOf(ns, netOf(nf), NFQR_PROGRAM | id);
  store<u32>(at, 0);
  netOf(nf).programs--;
  hooksUpdate(nf);
  ns.ruleGeneration++;
  return 0;
}

/** Writes what nobody has seen yet; returns bytes. */
export function queueTake(nf: NfNet, to: usize, room: u32): i32 {
  if (nf.queues == 0) return 0;
  let used: u32 = 0;
  for (let at = netOf(nf).head; at != 0; at = changetype<Parked>(at).next) {
    const parked = changetype<Parked>(at);
    if (parked.taken) continue;
    const skb = changetype<Skb>(parked.skb);
    const length = <u32>(skb.tail - skb.network), queue = queueFind(nf, parked.queue);
    const captured = queue == 0 ? length : min<u32>(length, changetype<Queue>(queue).range);
    const size = (NFQR_BYTES + captured + 3) & ~3;
    if (size > room - used) break;
    const record = to + <usize>used;
    store<u32>(record, size, NFQR_SIZE);
    store<u32>(record, parked.queue, NFQR_QUEUE);
    store<u32>(record, parked.id, NFQR_ID);
    store<u32>(record, parked.hook, NFQR_HOOK);
    store<u32>(record, skb.protocol, NFQR_PROTOCOL);
    store<u32>(record, indexOf(parked.inDev), NFQR_IN);
    store<u32>(record, indexOf(parked.outDev), NFQR_OUT);
    store<u32>(record, skb.physIn, NFQR_PHYS_IN);
    store<u32>(record, skb.physOut, NFQR_PHYS_OUT);
    store<u32>(record, skb.mark, NFQR_MARK);
    store<u32>(record, length, NFQR_LENGTH);
    store<u32>(record, captured, NFQR_CAPTURED);
    memory.copy(record + NFQR_BYTES, skb.network, <usize>captured);
    parked.taken = 1;
    node().parked--;
    used += size;
  }
  return <i32>used;
}

/** The word on a packet (nfqnl_recv_verdict, nf_reinject). `packet`: its new bytes, if the flags say so. */
export function queueVerdict(ns: Netns, nf: NfNet, id: u32, verdict: u32, flags: u32, mark: u32, packet: usize, bytes: u32): i32 {
  const at = nf.queues == 0 ? 0 : parkedFind(nf, id);
  if (at == 0) return -ENOENT;
  let code = verdict & 0xff;
  if (code > NF_REPEAT || (code == NF_QUEUE && verdict >>> 16 > 0xffff)) return -EINVAL;
  const parked = changetype<Parked>(at);
  let skb = changetype<Skb>(parked.skb);
  if (flags & NFQ_VERDICT_PACKET && code != NF_DROP && code != NF_STOLEN) {
    const six = isV6(skb.network);
    if (!(six ? sound6(packet, bytes) : sound(packet, bytes))) return -EINVAL;
    skb = skbResize(skb, bytes);
    if (changetype<usize>(skb) == 0) return -ENOMEM;
    memory.copy(skb.network, packet, <usize>bytes);
    if (six) ip6Walk(skb);
    else skb.transport = skb.network + <usize>Ipv4View.at(skb.network).headerLength;
    parked.skb = changetype<usize>(skb);
  }
  if (flags & NFQ_VERDICT_MARK) skb.mark = mark;
  // A program that never stops asking for the same packet would be run for ever.
  if (code == NF_REPEAT && ++skb.hops > REPEATS) code = NF_DROP;
  const hook = parked.hook, kind = parked.kind, ref = parked.ref, inDev = parked.inDev, outDev = parked.outDev;
  const reroute = hook == HOOK_OUTPUT && (code == NF_ACCEPT || code == NF_QUEUE || code == NF_REPEAT) && otherWay(parked, skb);
  release(nf, parked);
  if (code == NF_STOLEN) {
    skbFree(skb);
    return 0;
  }
  if (code == NF_DROP || (reroute && routeMeHarder(skb, ns) < 0)) {
    skbDrop(skb, ns, inDev != 0 ? inDev : outDev, DROP_NETFILTER);
    return 0;
  }
  const out = hook == HOOK_OUTPUT ? skb.rtDev : outDev;
  let result = NF_ACCEPT;
  if (code == NF_QUEUE) result = nfQueue(skb, ns, nf, hook, kind, ref, verdict, inDev, out);
  if (result == NF_ACCEPT) {
    result = isV6(skb.network) ? nfHookFrom6(hook, skb, ns, inDev, out, kind, ref, code == NF_REPEAT)
      : nfHookFrom(hook, skb, ns, inDev, out, kind, ref, code == NF_REPEAT);
  }
  if (result == NF_ACCEPT) netHooked(hook, skb, ns, inDev, out);
  else if (result != NF_STOLEN) skbDrop(skb, ns, inDev != 0 ? inDev : out, DROP_NETFILTER);
  return 0;
}

/** A device goes: what waits and came in or would leave by it is dropped (nfqnl_dev_drop). */
export function nfQueueDevice(dev: NetDevice): void {
  const d = changetype<usize>(dev);
  for (let n = node().netns; n != 0; n = changetype<Netns>(n).next) {
    const ns = changetype<Netns>(n);
    if (ns.netfilter == 0 || nfNet(ns).queues == 0) continue;
    let at = netOf(nfNet(ns)).head;
    while (at != 0) {
      const parked = changetype<Parked>(at), skb = changetype<Skb>(parked.skb);
      at = parked.next;
      if (parked.inDev == d || parked.outDev == d || skb.dev == d || skb.inDev == d || skb.rtDev == d || skb.bridgeDev == d) drop(ns, parked);
    }
  }
}

/** Takes all of a namespace away: what waits, queues and programs. */
export function nfQueueExit(ns: Netns, nf: NfNet): void {
  if (nf.queues == 0) return;
  const net = netOf(nf);
  while (net.head != 0) drop(ns, changetype<Parked>(net.head));
  while (net.queues != 0) queueUnbind(ns, nf, changetype<Queue>(net.queues).number);
  kfree(nf.queues, QUEUENET_BYTES);
  nf.queues = 0;
}

// Details

@inline function netOf(nf: NfNet): QueueNet {
  return changetype<QueueNet>(nf.queues);
}

@inline function programAt(nf: NfNet, id: u32): usize {
  return nf.queues + offsetof<QueueNet>() + <usize>(id * PROGRAM_BYTES);
}

function ensure(nf: NfNet): bool {
  if (nf.queues == 0) nf.queues = kmalloc(QUEUENET_BYTES);
  return nf.queues != 0;
}

function queueFind(nf: NfNet, number: u32): usize {
  if (nf.queues == 0) return 0;
  for (let at = netOf(nf).queues; at != 0; at = changetype<Queue>(at).next) {
    if (changetype<Queue>(at).number == number) return at;
  }
  return 0;
}

function parkedFind(nf: NfNet, id: u32): usize {
  for (let at = netOf(nf).head; at != 0; at = changetype<Parked>(at).next) {
    if (changetype<Parked>(at).id == id) return at;
  }
  return 0;
}

function park(nf: NfNet, skb: Skb, queue: u32, hook: u32, kind: u32, ref: usize, inDev: usize, outDev: usize): bool {
  const at = kmalloc(<u32>offsetof<Parked>());
  if (at == 0) return false;
  const parked = changetype<Parked>(at), net = netOf(nf);
  parked.id = ++net.nextId;
  parked.queue = queue;
  parked.skb = changetype<usize>(skb);
  parked.hook = hook;
  parked.kind = kind;
  parked.ref = ref;
  parked.inDev = inDev;
  parked.outDev = outDev;
  parked.mark = skb.mark;
  if (isV6(skb.network)) {
    parked.address0 = load<u64>(skb.network, 8);
    parked.address1 = load<u64>(skb.network, 16);
    parked.address2 = load<u64>(skb.network, 24);
    parked.address3 = load<u64>(skb.network, 32);
  } else {
    parked.tos = <u32>load<u8>(skb.network, 1);
    parked.address0 = load<u64>(skb.network, 12);
  }
  if (net.tail != 0) changetype<Parked>(net.tail).next = at;
  else net.head = at;
  net.tail = at;
  node().parked++;
  return true;
}

/** Forgets a packet that waits; the packet itself is the caller's. */
function release(nf: NfNet, parked: Parked): void {
  const net = netOf(nf), queue = queueFind(nf, parked.queue);
  if (queue != 0) changetype<Queue>(queue).waiting--;
  if (!parked.taken) node().parked--;
  let before: usize = 0, at = net.head;
  while (at != changetype<usize>(parked)) {
    before = at;
    at = changetype<Parked>(at).next;
  }
  if (before != 0) changetype<Parked>(before).next = parked.next;
  else net.head = parked.next;
  if (net.tail == at) net.tail = before;
  kfree(at, <u32>offsetof<Parked>());
}

function drop(ns: Netns, parked: Parked): void {
  const skb = changetype<Skb>(parked.skb);
  release(nfNet(ns), parked);
  skbDrop(skb, ns, 0, DROP_NETFILTER);
}

function dropOf(ns: Netns, net: QueueNet, queue: u32): void {
  let at = net.head;
  while (at != 0) {
    const parked = changetype<Parked>(at);
    at = parked.next;
    if (parked.queue == queue) drop(ns, parked);
  }
}

/** A rewritten packet is trusted as one that was received: its header has to be. */
function sound(packet: usize, bytes: u32): bool {
  if (bytes < IPV4_HEADER_LEN || bytes > 65535) return false;
  const ip = Ipv4View.at(packet), header = ip.headerLength;
  return <u32>load<u8>(packet) >>> 4 == 4 && header >= IPV4_HEADER_LEN && header <= bytes && ip.length == bytes;
}

/** The same of IPv6; the hop-by-hop options are not looked at again, so they have to be there. */
function sound6(packet: usize, bytes: u32): bool {
  if (bytes < IPV6_HEADER_LEN || bytes > 65535) return false;
  const ip = Ipv6View.at(packet);
  if (ip.version != 6 || ip.payloadLength + IPV6_HEADER_LEN != bytes) return false;
  if (ip.nextHeader != NEXTHDR_HOP) return true;
  return bytes >= IPV6_HEADER_LEN + 8 && IPV6_HEADER_LEN + ((<u32>load<u8>(packet + <usize>IPV6_HEADER_LEN, 1) + 1) << 3) <= bytes;
}

/** Is what a route depends on another than when the packet was held (nf_ip_reroute, nf_ip6_reroute)? */
function otherWay(parked: Parked, skb: Skb): bool {
  const ip = skb.network;
  if (parked.mark != skb.mark) return true;
  if (!isV6(ip)) return parked.tos != <u32>load<u8>(ip, 1) || parked.address0 != load<u64>(ip, 12);
  return parked.address0 != load<u64>(ip, 8) || parked.address1 != load<u64>(ip, 16) || parked.address2 != load<u64>(ip, 24)
    || parked.address3 != load<u64>(ip, 32);
}

@inline function indexOf(dev: usize): u32 {
  return dev == 0 ? 0 : changetype<NetDevice>(dev).ifindex;
}
