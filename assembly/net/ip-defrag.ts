// Putting fragments of IPv4 together (net/ipv4/ip_fragment.c; for connection tracking nf_defrag_ipv4.c).
import {
  DROP_DUP_FRAG, DROP_FRAG_REASM_TIMEOUT, DROP_NOT_SPECIFIED, DROP_NO_MEMORY, RTN_LOCAL, SNMP_IPEXT_REASMOVERLAPS,
  SNMP_IP_REASMFAILS, SNMP_IP_REASMOKS, SNMP_IP_REASMREQDS, SNMP_IP_REASMTIMEOUT, SYSCTL_IPFRAG_HIGH_THRESH,
  SYSCTL_IPFRAG_TIME,
} from "../abi/net";
import { NetDevice, Netns, Skb } from "../layout";
import { kfree, kmalloc } from "../mm/slab";
import { Timer, timerAfter } from "../mm/timer";
import { nfDefragNeeded } from "../netfilter/hooks";
import { putBe16 } from "../wire/bytes";
import { ICMP_TIME_EXCEEDED } from "../wire/icmp";
import { IP_DF, IP_MF, IP_OFFSET, Ipv4View } from "../wire/ipv4";
import { icmpSend } from "./icmp";
import {
  FRAG_DUP, FRAG_FIRST_IN, FRAG_OVERLAP, FRAG_USED, InetFragQueue, fragCameBy, fragComplete, fragCopy, fragEcnBad, fragEcnCongested, fragExtent,
  fragInsert, fragRelease, fragUnlink, fragWhole,
} from "./inet-fragment";
import { IPSKB_FRAG_PMTU, IPSKB_IGNORE_DF } from "./ip-input";
import { routeInput } from "./route";
import { skbDrop, skbLength } from "./skb";
import { snmpInc } from "./snmp";
import { sysctl } from "./sysctl";
import { TIMER_FRAGMENT } from "./timers";

// Who wants it whole (enum ip_defrag_users): datagrams of different users are never mixed.
export const DEFRAG_LOCAL: u32 = 0;
export const DEFRAG_IN: u32 = 1;
export const DEFRAG_OUT: u32 = 2;
export const DEFRAG_BRIDGE: u32 = 3;

const LENGTH: usize = 2, FRAGMENT: usize = 6;
@unmanaged class FragQueue extends InetFragQueue {
  source: u32; destination: u32;
  id: u32; protocol: u32; user: u32;
  maxDfSize: u32;
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
  return fragComplete(queue) ? reassemble(queue, ns) : changetype<Skb>(0);
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
  const more = (fragment & IP_MF) != 0;
  let end = offset + skbLength(skb) - header;
  if (more) end &= ~7;
  if (!fragExtent(queue, offset, end, more)) return discard(queue, skb, ns);
  const size = end - offset + header;
  const result = fragInsert(queue, skb, offset, end, size, ip.tos);
  if (result == FRAG_DUP) {
    skbDrop(skb, ns, skb.dev, DROP_DUP_FRAG);
    return false;
  }
  if (result == FRAG_OVERLAP) {
    snmpInc(ns, SNMP_IPEXT_REASMOVERLAPS);
    return discard(queue, skb, ns);
  }
  ns.fragmentBytes += skb.size;
  if (fragment & IP_DF) queue.maxDfSize = max<u32>(queue.maxDfSize, size);
  return true;
}

function discard(queue: FragQueue, skb: Skb, ns: Netns): bool {
  snmpInc(ns, SNMP_IP_REASMFAILS);
  skbDrop(skb, ns, skb.dev, DROP_NOT_SPECIFIED);
  destroy(queue, DROP_NOT_SPECIFIED);
  return false;
}

/** `reason` as of fragRelease. */
function destroy(queue: FragQueue, reason: u32): void {
  const ns = changetype<Netns>(queue.ns);
  fragUnlink(queue, changetype<usize>(ns) + offsetof<Netns>("fragments"));
  ns.fragmentBytes -= queue.bytes;
  fragRelease(queue, ns, reason);
  kfree(changetype<usize>(queue), <u32>offsetof<FragQueue>());
}

/** ip_frag_reasm: one packet of all the pieces, with the first one's header. */
function reassemble(queue: FragQueue, ns: Netns): Skb {
  const first = changetype<Skb>(queue.head);
  const header = Ipv4View.at(first.network).headerLength;
  const total = header + queue.length, keep = queue.user != DEFRAG_LOCAL;
  const whole = total > 65535 || fragEcnBad(queue) ? changetype<Skb>(0) : fragWhole(queue, header, keep);
  if (changetype<usize>(whole) == 0) {
    snmpInc(ns, SNMP_IP_REASMFAILS);
    destroy(queue, DROP_NOT_SPECIFIED);
    return whole;
  }
  let index: u32 = 0;
  for (let at = queue.head; at != 0; at = changetype<Skb>(at).next) {
    const skb = changetype<Skb>(at);
    fragCopy(whole, skb, skb.network + <usize>Ipv4View.at(skb.network).headerLength, index++);
  }
  if (keep) whole.fragMax = max<u32>(queue.maxSize, queue.maxDfSize);
  const ip = Ipv4View.at(whole.network);
  const df = queue.maxDfSize == queue.maxSize;
  if (df) whole.ipFlags |= IPSKB_FRAG_PMTU;
  if (fragEcnCongested(queue)) store<u8>(whole.network, load<u8>(whole.network, 1) | 3, 1);
  putBe16(whole.network, LENGTH, total);
  putBe16(whole.network, FRAGMENT, df ? IP_DF : 0);
  ip.updateChecksum();
  snmpInc(ns, SNMP_IP_REASMOKS);
  destroy(queue, FRAG_USED);
  return whole;
}

/** The rest did not come in time (ip_expire). */
export function fragTimer(owner: usize): void {
  const queue = changetype<FragQueue>(owner);
  const ns = changetype<Netns>(queue.ns);
  snmpInc(ns, SNMP_IP_REASMFAILS);
  snmpInc(ns, SNMP_IP_REASMTIMEOUT);
  if ((queue.flags & FRAG_FIRST_IN) != 0) {
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
    if (fragCameBy(queue, dev)) destroy(queue, DROP_NOT_SPECIFIED);
  }
}
