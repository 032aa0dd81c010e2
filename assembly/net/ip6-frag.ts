// Putting fragments of IPv6 together (net/ipv6/reassembly.c; for connection tracking net/ipv6/netfilter/nf_conntrack_reasm.c).
import {
  DROP_DUP_FRAG, DROP_FRAG_REASM_TIMEOUT, DROP_NOT_SPECIFIED, DROP_NO_MEMORY,
} from "../abi/net";
import {
  SNMP6_IP_INHDRERRORS, SNMP6_IP_REASMFAILS, SNMP6_IP_REASMOKS, SNMP6_IP_REASMREQDS, SNMP6_IP_REASMTIMEOUT, SYSCTL6_IP6FRAG_HIGH_THRESH,
  SYSCTL6_IP6FRAG_TIME,
} from "../abi/net6";
import { NetDevice, Netns, Skb } from "../layout";
import { kfree, kmalloc } from "../mm/slab";
import { Timer, timerAfter } from "../mm/timer";
import { nfDefragNeeded6 } from "../netfilter/hooks6";
import { be16 } from "../wire/bytes";
import { ICMPV6_EXC_FRAGTIME, ICMPV6_HDR_FIELD, ICMPV6_TIME_EXCEED } from "../wire/icmp6";
import { IPPROTO_TCP, IPPROTO_UDP } from "../wire/ipv4";
import { IPPROTO_ICMPV6, IPV6_HEADER_LEN, Ipv6View, NEXTHDR_NONE } from "../wire/ipv6";
import { icmp6Send } from "./icmp6";
import {
  FRAG_DUP, FRAG_FIRST_IN, FRAG_OVERLAP, FRAG_USED, InetFragQueue, fragCameBy, fragComplete, fragCopy, fragEcnBad, fragEcnCongested, fragExtent,
  fragInsert, fragRelease, fragUnlink, fragWhole,
} from "./inet-fragment";
import { Netns6, netns6, snmp6Inc, sysctl6 } from "./inet6";
import { FRAG_HEADER_LEN, IP6SKB_FRAGMENTED, IP6_MF, IP6_OFFSET, NEXTHDR_BAD, foundAt, ip6Follow, ip6Walk, paramProblem } from "./ip6-ext";
import { needsDevice } from "./ip6-route";
import { IPSKB_IGNORE_DF } from "./ip-input";
import { skbDrop } from "./skb";
import { TIMER_FRAGMENT6 } from "./timers";

// Who wants it whole (enum ip6_defrag_users): datagrams of different users are never mixed.
export const DEFRAG6_LOCAL: u32 = 0;
export const DEFRAG6_IN: u32 = 1;
export const DEFRAG6_OUT: u32 = 2;

const ICMPV6_HDR_INCOMP: u32 = 3;
const PAYLOAD_MAX: u32 = 65535;

@unmanaged class FragQueue6 extends InetFragQueue {
  id: u32; user: u32;
  sourceHi: u64; sourceLo: u64; destinationHi: u64; destinationLo: u64;
  ifindex: u32; // 0: any, where the addresses are the whole world's
}

/**
 * Before connection tracking: fragments wait until their datagram is whole (ipv6_defrag). Null (0): the fragment was taken. What is no
 * fragment comes back as it is, and so do fragments where nothing tracks connections.
 */
@inline export function ip6DefragHook(skb: Skb, ns: Netns, user: u32): Skb {
  return skb.fragHeader == 0 || !nfDefragNeeded6(ns) ? skb : defragHook(skb, ns, user);
}

// nf_ct_frag6_gather
function defragHook(skb: Skb, ns: Netns, user: u32): Skb {
  // An atomic fragment stays as it is.
  if ((skb.fragOffset & (IP6_OFFSET | IP6_MF)) == 0) return skb;
  if (truncatedHeaders(skb)) {
    skbDrop(skb, ns, skb.dev, DROP_NOT_SPECIFIED);
    return changetype<Skb>(0);
  }
  const at = find(skb, ns, user);
  if (at == 0) {
    skbDrop(skb, ns, skb.dev, DROP_NO_MEMORY);
    return changetype<Skb>(0);
  }
  const queue = changetype<FragQueue6>(at);
  const problem = insert(queue, skb, ns);
  if (problem > 0) skbDrop(skb, ns, skb.dev, DROP_NOT_SPECIFIED);
  if (problem != 0 || !fragComplete(queue)) return changetype<Skb>(0);
  const whole = reassemble(queue, ns);
  if (changetype<usize>(whole) != 0) whole.ipFlags |= IPSKB_IGNORE_DF;
  return whole;
}

/** A fragment header at `transport` of a packet for this host (ipv6_frag_rcv). The packet to go on with, or null (0). */
export function ip6FragmentReceive(skb: Skb, ns: Netns, dev: NetDevice): Skb {
  const none = changetype<Skb>(0), header = skb.transport;
  const headers = <u32>(header - skb.network);
  if ((skb.ipFlags & IP6SKB_FRAGMENTED) != 0) return headerProblem(skb, ns, dev, headers);
  snmp6Inc(ns, SNMP6_IP_REASMREQDS);
  if (Ipv6View.at(skb.network).payloadLength == 0 || header + <usize>FRAG_HEADER_LEN > skb.tail) return headerProblem(skb, ns, dev, headers);
  skb.fragHeader = headers;
  skb.fragOffset = be16(header, 2);
  if ((skb.fragOffset & (IP6_OFFSET | IP6_MF)) == 0) {
    // An atomic fragment (RFC 6946).
    snmp6Inc(ns, SNMP6_IP_REASMOKS);
    skb.transport = header + <usize>FRAG_HEADER_LEN;
    skb.nhoff = headers;
    skb.ipFlags |= IP6SKB_FRAGMENTED;
    skb.fragMax = <u32>(skb.tail - skb.network);
    return skb;
  }
  if (truncatedHeaders(skb)) {
    snmp6Inc(ns, SNMP6_IP_INHDRERRORS);
    paramProblem(skb, ns, dev, ICMPV6_HDR_INCOMP, 0, DROP_NOT_SPECIFIED);
    return none;
  }
  const at = find(skb, ns, DEFRAG6_LOCAL);
  if (at == 0) {
    snmp6Inc(ns, SNMP6_IP_REASMFAILS);
    skbDrop(skb, ns, changetype<usize>(dev), DROP_NO_MEMORY);
    return none;
  }
  const queue = changetype<FragQueue6>(at);
  const problem = insert(queue, skb, ns);
  if (problem > 0) {
    snmp6Inc(ns, SNMP6_IP_INHDRERRORS);
    paramProblem(skb, ns, dev, ICMPV6_HDR_FIELD, <u32>problem, DROP_NOT_SPECIFIED);
  }
  if (problem != 0 || !fragComplete(queue)) return none;
  return reassemble(queue, ns);
}

function headerProblem(skb: Skb, ns: Netns, dev: NetDevice, pointer: u32): Skb {
  snmp6Inc(ns, SNMP6_IP_INHDRERRORS);
  paramProblem(skb, ns, dev, ICMPV6_HDR_FIELD, pointer, DROP_NOT_SPECIFIED);
  return changetype<Skb>(0);
}

/** A first fragment has to hold all headers up to the protocol's own (ipv6frag_thdr_truncated; RFC 8200 section 4.5). */
function truncatedHeaders(skb: Skb): bool {
  if ((skb.fragOffset & IP6_OFFSET) != 0) return false;
  const next = ip6Follow(skb.network + <usize>IPV6_HEADER_LEN, skb.tail, Ipv6View.at(skb.network).nextHeader, false);
  if (next == NEXTHDR_BAD) return true;
  const room = <u32>(skb.tail - foundAt);
  switch (next) {
    case IPPROTO_TCP: return room < 20;
    case IPPROTO_UDP: return room < 8;
    case IPPROTO_ICMPV6: return room < 8;
    case NEXTHDR_NONE: return false;
    default: return room < 1;
  }
}

function find(skb: Skb, ns: Netns, user: u32): usize {
  const ip = Ipv6View.at(skb.network), n = netns6(ns);
  const id = load<u32>(skb.network + <usize>skb.fragHeader, 4);
  const ifindex: u32 = needsDevice(ip.destinationHi, ip.destinationLo) && skb.dev != 0 ? changetype<NetDevice>(skb.dev).ifindex : 0;
  for (let at = n.fragments; at != 0; at = changetype<FragQueue6>(at).next) {
    const queue = changetype<FragQueue6>(at);
    if (queue.id == id && queue.sourceLo == ip.sourceLo && queue.destinationLo == ip.destinationLo && queue.user == user
      && queue.sourceHi == ip.sourceHi && queue.destinationHi == ip.destinationHi && queue.ifindex == ifindex) return at;
  }
  if (n.fragmentBytes > <u32>sysctl6(ns, SYSCTL6_IP6FRAG_HIGH_THRESH)) return 0;
  const at = kmalloc(<u32>offsetof<FragQueue6>());
  if (at == 0) return 0;
  const queue = changetype<FragQueue6>(at);
  queue.ns = changetype<usize>(ns);
  queue.id = id;
  queue.user = user;
  queue.sourceHi = ip.sourceHi;
  queue.sourceLo = ip.sourceLo;
  queue.destinationHi = ip.destinationHi;
  queue.destinationLo = ip.destinationLo;
  queue.ifindex = ifindex;
  queue.timerKind = TIMER_FRAGMENT6;
  queue.timerOwner = at;
  queue.next = n.fragments;
  n.fragments = at;
  queue.bytes = <u32>offsetof<FragQueue6>();
  n.fragmentBytes += queue.bytes;
  timerAfter(changetype<Timer>(at), <u64>sysctl6(ns, SYSCTL6_IP6FRAG_TIME) * 1_000_000_000);
  return at;
}

/** ip6_frag_queue: 0, it was put in; above 0, where the header is wrong, and the packet is still the caller's; -1: it is gone. */
function insert(queue: FragQueue6, skb: Skb, ns: Netns): i32 {
  const ip = Ipv6View.at(skb.network);
  const offset = skb.fragOffset & IP6_OFFSET;
  const length = <u32>(skb.tail - skb.network) - skb.fragHeader - FRAG_HEADER_LEN;
  const end = offset + length;
  if (end > PAYLOAD_MAX) return <i32>(skb.fragHeader + 2);
  const more = (skb.fragOffset & IP6_MF) != 0;
  if (more && (end & 7) != 0) return 4; // the payload's length
  if (!fragExtent(queue, offset, end, more)) return discard(queue, skb, ns);
  const result = fragInsert(queue, skb, offset, end, <u32>(skb.tail - skb.network), ip.trafficClass);
  if (result == FRAG_DUP) {
    skbDrop(skb, ns, skb.dev, DROP_DUP_FRAG);
    return -1;
  }
  if (result == FRAG_OVERLAP) return discard(queue, skb, ns);
  netns6(ns).fragmentBytes += skb.size;
  return 0;
}

function discard(queue: FragQueue6, skb: Skb, ns: Netns): i32 {
  if (queue.user == DEFRAG6_LOCAL) snmp6Inc(ns, SNMP6_IP_REASMFAILS);
  skbDrop(skb, ns, skb.dev, DROP_NOT_SPECIFIED);
  destroy(queue, DROP_NOT_SPECIFIED);
  return -1;
}

/** `reason` as of fragRelease. */
function destroy(queue: FragQueue6, reason: u32): void {
  const ns = changetype<Netns>(queue.ns), n = netns6(ns);
  fragUnlink(queue, changetype<usize>(n) + offsetof<Netns6>("fragments"));
  n.fragmentBytes -= queue.bytes;
  fragRelease(queue, ns, reason);
  kfree(changetype<usize>(queue), <u32>offsetof<FragQueue6>());
}

/** One packet of all the pieces, with the first one's headers and no fragment header (ip6_frag_reasm). */
function reassemble(queue: FragQueue6, ns: Netns): Skb {
  const first = changetype<Skb>(queue.head);
  const head = first.fragHeader, local = queue.user == DEFRAG6_LOCAL;
  const total = head + queue.length;
  const whole = total - IPV6_HEADER_LEN > PAYLOAD_MAX || fragEcnBad(queue) ? changetype<Skb>(0) : fragWhole(queue, head, !local);
  if (changetype<usize>(whole) == 0) {
    if (local) snmp6Inc(ns, SNMP6_IP_REASMFAILS);
    destroy(queue, DROP_NOT_SPECIFIED);
    return whole;
  }
  whole.ipFlags |= IP6SKB_FRAGMENTED;
  // The field that named the fragment header names what it named.
  const nextAt = fragmentNamedBy(first);
  store<u8>(whole.data + <usize>nextAt, load<u8>(first.network + <usize>head));
  const body = whole.transport;
  let index: u32 = 0;
  for (let at = queue.head; at != 0; at = changetype<Skb>(at).next) {
    const skb = changetype<Skb>(at);
    fragCopy(whole, skb, skb.network + <usize>(skb.fragHeader + FRAG_HEADER_LEN), index++);
  }
  whole.fragMax = queue.maxSize;
  const ip = Ipv6View.at(whole.network);
  ip.payloadLength = total - IPV6_HEADER_LEN;
  if (fragEcnCongested(queue)) ip.changeTrafficClass(0xff, 3);
  ip6Walk(whole);
  whole.nhoff = nextAt;
  whole.transport = local ? body : whole.transport;
  if (local) snmp6Inc(ns, SNMP6_IP_REASMOKS);
  destroy(queue, FRAG_USED);
  return whole;
}

/** Where the "next header" field stands that says 44. */
function fragmentNamedBy(skb: Skb): u32 {
  let at: u32 = 6, p = IPV6_HEADER_LEN;
  while (p < skb.fragHeader) {
    at = p;
    p += (<u32>load<u8>(skb.network + <usize>p, 1) + 1) << 3;
  }
  return at;
}

/** The rest did not come in time (ip6frag_expire_frag_queue). */
export function frag6Timer(owner: usize): void {
  const queue = changetype<FragQueue6>(owner), ns = changetype<Netns>(queue.ns);
  if (queue.user == DEFRAG6_LOCAL) {
    snmp6Inc(ns, SNMP6_IP_REASMFAILS);
    snmp6Inc(ns, SNMP6_IP_REASMTIMEOUT);
    if ((queue.flags & FRAG_FIRST_IN) != 0) {
      const first = changetype<Skb>(queue.head);
      icmp6Send(first, ns, ICMPV6_TIME_EXCEED, ICMPV6_EXC_FRAGTIME, 0);
    }
  }
  destroy(queue, DROP_FRAG_REASM_TIMEOUT);
}

/** Queues with pieces that came by the device (0: all) end with it. */
export function frag6Flush(ns: Netns, dev: usize): void {
  if (ns.inet6 == 0) return;
  let at = netns6(ns).fragments;
  while (at != 0) {
    const queue = changetype<FragQueue6>(at);
    at = queue.next;
    if (fragCameBy(queue, dev)) destroy(queue, DROP_NOT_SPECIFIED);
  }
}
