// Putting fragments together (net/ipv4/ip_fragment.c, inet_fragment.c; for connection tracking nf_defrag_ipv4.c). Overlap ends
// the whole datagram (RFC 5722), what was there already is ignored.
import {
  DROP_DUP_FRAG, DROP_FRAG_REASM_TIMEOUT, DROP_NOT_SPECIFIED, DROP_NO_MEMORY, RTN_LOCAL, SNMP_IPEXT_REASMOVERLAPS,
  SNMP_IP_REASMFAILS, SNMP_IP_REASMOKS, SNMP_IP_REASMREQDS, SNMP_IP_REASMTIMEOUT, SYSCTL_IPFRAG_HIGH_THRESH,
  SYSCTL_IPFRAG_TIME,
} from "../abi/net";
import { NetDevice, Netns, Skb } from "../layout";
import { kfree, kmalloc } from "../mm/slab";
import { Timer, timerAfter, timerDelete } from "../mm/timer";
import { nfDefragNeeded } from "../netfilter/hooks";
import { putBe16 } from "../wire/bytes";
import { ETH_HEADER_LEN } from "../wire/ethernet";
import { ICMP_TIME_EXCEEDED } from "../wire/icmp";
import { IP_DF, IP_MF, IP_OFFSET, Ipv4View } from "../wire/ipv4";
import { icmpSend } from "./icmp";
import { IPSKB_FRAG_PMTU, IPSKB_IGNORE_DF } from "./ip-input";
import { routeInput } from "./route";
import { skbAlloc, skbCopyRoute, skbDrop, skbFree, skbLength } from "./skb";
import { snmpInc } from "./snmp";
import { sysctl } from "./sysctl";
import { TIMER_FRAGMENT } from "./timers";

// Who wants it whole (enum ip_defrag_users): datagrams of different users are never mixed.
export const DEFRAG_LOCAL: u32 = 0;
export const DEFRAG_IN: u32 = 1;
export const DEFRAG_OUT: u32 = 2;
export const DEFRAG_BRIDGE: u32 = 3;

const LENGTH: usize = 2, FRAGMENT: usize = 6;
const FIRST_IN: u32 = 1, LAST_IN: u32 = 2;
/** A datagram in more pieces than this is no datagram. */
const PIECES_MAX: u32 = 8192;

@unmanaged class FragQueue {
  // Timer comes first: its address is this queue's.
  timerNext: usize; timerPrev: usize;
  timerExpires: u64;
  timerKind: u32;
  timerOwner: usize;
  next: usize; // FragQueue of the namespace
  ns: usize; // Netns
  source: u32; destination: u32;
  id: u32; protocol: u32; user: u32;
  head: usize; // Skb in order of offset; cb0: offset, cb1: end, of the payload
  flags: u32;
  length: u32; // end of the last fragment so far
  have: u32; // bytes so far
  bytes: u32; // of memory
  count: u32;
  maxSize: u32; maxDfSize: u32;
  ecn: u32; // 1 << (tos & 3) of every fragment
}

/**
 * Before connection tracking: fragments wait until their datagram is whole (ipv4_conntrack_defrag). Null (0): the fragment was
 * taken. Anything that is no fragment comes back as it is, and so do fragments where nothing tracks connections.
 */
@inline export function ipDefragHook(skb: Skb, ns: Netns, user: u32): Skb {
  return (Ipv4View.at(skb.network).fragment & (IP_MF | IP_OFFSET)) == 0 ? skb : defragHook(skb, ns, user);
}

function defragHook(skb: Skb, ns: Netns, user: u32): Skb {
  if (!nfDefragNeeded(ns)) return skb;
  const whole = ipDefrag(skb, ns, user);
  if (changetype<usize>(whole) != 0) whole.ipFlags |= IPSKB_IGNORE_DF;
  return whole;
}

/**
 * Takes a fragment (`network` set, `data` at the IP header). The whole datagram, once its last missing piece is this one; null (0)
 * while it is not, or when the piece was dropped.
 */
export function ipDefrag(skb: Skb, ns: Netns, user: u32): Skb {
  snmpInc(ns, SNMP_IP_REASMREQDS);
  const at = find(skb, ns, user);
  if (at == 0) {
    snmpInc(ns, SNMP_IP_REASMFAILS);
    skbDrop(skb, ns, skb.dev, DROP_NO_MEMORY);
    return changetype<Skb>(0);
  }
  const queue = changetype<FragQueue>(at);
  if (!insert(queue, skb, ns)) return changetype<Skb>(0);
  if (queue.flags == (FIRST_IN | LAST_IN) && queue.have == queue.length) return reassemble(queue, ns);
  return changetype<Skb>(0);
}

function find(skb: Skb, ns: Netns, user: u32): usize {
  const ip = Ipv4View.at(skb.network);
  for (let at = ns.fragments; at != 0; at = changetype<FragQueue>(at).next) {
    const queue = changetype<FragQueue>(at);
    if (queue.id == ip.id && queue.source == ip.source && queue.destination == ip.destination
      && queue.protocol == ip.protocol && queue.user == user) return at;
  }
  if (ns.fragmentBytes > <u32>sysctl(ns, SYSCTL_IPFRAG_HIGH_THRESH)) return 0;
  const at = kmalloc(<u32>offsetof<FragQueue>());
  if (at == 0) return 0;
  const queue = changetype<FragQueue>(at);
  queue.ns = changetype<usize>(ns);
  queue.source = ip.source;
  queue.destination = ip.destination;
  queue.id = ip.id;
  queue.protocol = ip.protocol;
  queue.user = user;
  queue.timerKind = TIMER_FRAGMENT;
  queue.timerOwner = at;
  queue.next = ns.fragments;
  ns.fragments = at;
  ns.fragmentBytes += <u32>offsetof<FragQueue>();
  queue.bytes = <u32>offsetof<FragQueue>();
  timerAfter(changetype<Timer>(at), <u64>sysctl(ns, SYSCTL_IPFRAG_TIME) * 1_000_000_000);
  return at;
}

/** ip_frag_queue; false: the fragment, or the whole queue, was dropped. */
function insert(queue: FragQueue, skb: Skb, ns: Netns): bool {
  const ip = Ipv4View.at(skb.network);
  const header = ip.headerLength;
  const fragment = ip.fragment;
  const offset = (fragment & IP_OFFSET) << 3;
  let end = offset + skbLength(skb) - header;
  if ((fragment & IP_MF) == 0) {
    // Bytes beyond this end, or another end, have been seen: the pieces do not belong together.
    if (end < queue.length || ((queue.flags & LAST_IN) != 0 && end != queue.length)) return discard(queue, skb, ns);
    queue.flags |= LAST_IN;
    queue.length = end;
  } else {
    end &= ~7;
    if (end > queue.length) {
      if (queue.flags & LAST_IN) return discard(queue, skb, ns);
      queue.length = end;
    }
  }
  if (end == offset || queue.count >= PIECES_MAX) return discard(queue, skb, ns);

  const head = changetype<usize>(queue) + offsetof<FragQueue>("head");
  let link = head;
  for (let at = <usize>load<u32>(link); at != 0; at = <usize>load<u32>(link)) {
    const other = changetype<Skb>(at);
    if (<u32>other.cb0 >= end) break;
    if (<u32>other.cb1 <= offset) {
      link = at; // `next` is the first field
      continue;
    }
    // They share bytes. Wholly inside a run, pieces that came one behind the other: a duplicate; else an overlap.
    let runEnd = <u32>other.cb1;
    for (let next = other.next; next != 0 && changetype<Skb>(next).cb2 == other.cb2; next = changetype<Skb>(next).next) {
      runEnd = <u32>changetype<Skb>(next).cb1;
    }
    if (<u32>other.cb2 <= offset && runEnd >= end) {
      skbDrop(skb, ns, skb.dev, DROP_DUP_FRAG);
      return false;
    }
    snmpInc(ns, SNMP_IPEXT_REASMOVERLAPS);
    return discard(queue, skb, ns);
  }
  skb.next = <usize>load<u32>(link);
  store<u32>(link, <u32>changetype<usize>(skb));
  skb.cb0 = <u64>offset;
  skb.cb1 = <u64>end;
  // inet_frag_queue_insert: what follows the last piece goes on with its run, anything else begins one.
  skb.cb2 = skb.next == 0 && link != head && <u32>changetype<Skb>(link).cb1 == offset ? changetype<Skb>(link).cb2 : <u64>offset;
  queue.count++;
  queue.have += end - offset;
  queue.bytes += skb.size;
  ns.fragmentBytes += skb.size;
  queue.ecn |= 1 << (ip.tos & 3);
  if (offset == 0) queue.flags |= FIRST_IN;
  const size = end - offset + header;
  queue.maxSize = max<u32>(queue.maxSize, size);
  if (fragment & IP_DF) queue.maxDfSize = max<u32>(queue.maxDfSize, size);
  return true;
}

function discard(queue: FragQueue, skb: Skb, ns: Netns): bool {
  snmpInc(ns, SNMP_IP_REASMFAILS);
  skbDrop(skb, ns, skb.dev, DROP_NOT_SPECIFIED);
  destroy(queue, DROP_NOT_SPECIFIED);
  return false;
}

function destroy(queue: FragQueue, reason: u32): void {
  const ns = changetype<Netns>(queue.ns);
  timerDelete(changetype<Timer>(changetype<usize>(queue)));
  let link = changetype<usize>(ns) + offsetof<Netns>("fragments");
  while (load<u32>(link) != 0 && <usize>load<u32>(link) != changetype<usize>(queue)) {
    link = <usize>load<u32>(link) + offsetof<FragQueue>("next");
  }
  if (load<u32>(link) != 0) store<u32>(link, <u32>queue.next);
  ns.fragmentBytes -= queue.bytes;
  let at = queue.head;
  while (at != 0) {
    const skb = changetype<Skb>(at);
    at = skb.next;
    skbDrop(skb, ns, skb.dev, reason);
  }
  kfree(changetype<usize>(queue), <u32>offsetof<FragQueue>());
}

/** ip_frag_reasm: one packet of all the pieces, with the first one's header. */
function reassemble(queue: FragQueue, ns: Netns): Skb {
  const first = changetype<Skb>(queue.head);
  const header = Ipv4View.at(first.network).headerLength;
  const total = header + queue.length;
  const lengthsBytes = 8 + (queue.count << 1);
  const keep = queue.user != DEFRAG_LOCAL;
  const none = changetype<Skb>(0);
  // ip_frag_ecn_table: congestion on one piece is congestion, but a piece that can not show it does not go with one that can.
  const badEcn = (queue.ecn & 1) != 0 && queue.ecn != 1;
  const whole = total > 65535 || badEcn ? none : skbAlloc(total);
  const lengths = changetype<usize>(whole) != 0 && keep ? kmalloc(lengthsBytes) : 0;
  if (changetype<usize>(whole) == 0 || (keep && lengths == 0)) {
    if (changetype<usize>(whole) != 0) skbDrop(whole, ns, 0, DROP_NO_MEMORY);
    snmpInc(ns, SNMP_IP_REASMFAILS);
    destroy(queue, DROP_NOT_SPECIFIED);
    return none;
  }
  whole.id = first.id;
  whole.dev = first.dev;
  whole.inDev = first.inDev;
  whole.bridgeDev = first.bridgeDev;
  whole.physIn = first.physIn;
  whole.protocol = first.protocol;
  whole.pktType = first.pktType;
  whole.mark = first.mark;
  whole.hops = first.hops;
  whole.sock = first.sock;
  whole.ipFlags = first.ipFlags;
  skbCopyRoute(first, whole);
  whole.network = whole.data;
  whole.transport = whole.data + <usize>header;
  whole.tail = whole.data + <usize>total;
  if (first.mac != 0) {
    whole.mac = whole.data - ETH_HEADER_LEN;
    memory.copy(whole.mac, first.mac, ETH_HEADER_LEN);
  }
  memory.copy(whole.data, first.network, <usize>header);
  let index: u32 = 0;
  for (let at = queue.head; at != 0; at = changetype<Skb>(at).next) {
    const skb = changetype<Skb>(at);
    const length = <u32>skb.cb1 - <u32>skb.cb0;
    memory.copy(whole.transport + <usize>skb.cb0, skb.network + <usize>Ipv4View.at(skb.network).headerLength, <usize>length);
    if (keep) store<u16>(lengths + 8 + <usize>(index << 1), <u16>length);
    index++;
  }
  if (keep) {
    store<u32>(lengths, lengthsBytes);
    store<u32>(lengths, queue.count, 4);
    whole.fragLengths = lengths;
    whole.fragMax = max<u32>(queue.maxSize, queue.maxDfSize);
  }
  const ip = Ipv4View.at(whole.network);
  const df = queue.maxDfSize == queue.maxSize;
  if (df) whole.ipFlags |= IPSKB_FRAG_PMTU;
  if ((queue.ecn & 8) != 0) store<u8>(whole.network, load<u8>(whole.network, 1) | 3, 1);
  putBe16(whole.network, LENGTH, total);
  putBe16(whole.network, FRAGMENT, df ? IP_DF : 0);
  ip.updateChecksum();
  snmpInc(ns, SNMP_IP_REASMOKS);
  forget(queue);
  return whole;
}

/** The pieces have become a whole: they go without being counted as dropped. */
function forget(queue: FragQueue): void {
  let at = queue.head;
  queue.head = 0;
  destroy(queue, DROP_NOT_SPECIFIED);
  while (at != 0) {
    const skb = changetype<Skb>(at);
    at = skb.next;
    skbFree(skb);
  }
}

/** The rest did not come in time (ip_expire). */
export function fragTimer(owner: usize): void {
  const queue = changetype<FragQueue>(owner);
  const ns = changetype<Netns>(queue.ns);
  snmpInc(ns, SNMP_IP_REASMFAILS);
  snmpInc(ns, SNMP_IP_REASMTIMEOUT);
  if ((queue.flags & FIRST_IN) != 0) {
    const skb = changetype<Skb>(queue.head);
    const ip = Ipv4View.at(skb.network);
    // Only who wanted it delivered here says so.
    const routed = routeInput(skb, ns, changetype<NetDevice>(skb.dev), ip.destination, ip.source, ip.tos) == 0;
    if (routed && (queue.user == DEFRAG_LOCAL || skb.rtType == RTN_LOCAL)) icmpSend(skb, ns, ICMP_TIME_EXCEEDED, 1, 0);
  }
  destroy(queue, DROP_FRAG_REASM_TIMEOUT);
}

/** Queues with pieces that came by the device (0: all) end with it. */
export function fragFlush(ns: Netns, dev: usize): void {
  let at = ns.fragments;
  while (at != 0) {
    const queue = changetype<FragQueue>(at);
    at = queue.next;
    let named = dev == 0;
    for (let s = queue.head; s != 0; s = changetype<Skb>(s).next) {
      if (changetype<Skb>(s).dev == dev || changetype<Skb>(s).inDev == dev || changetype<Skb>(s).bridgeDev == dev) named = true;
    }
    if (named) destroy(queue, DROP_NOT_SPECIFIED);
  }
}
