// Routes with several next hops (net/ipv4/fib_semantics.c, fib_select_multipath; net/ipv4/route.c, fib_multipath_hash), and the keys of a
// packet that they and `ip rule` look at beside its addresses. The kernel's hash has a seed of the boot; this one has the namespace's.
import { SYSCTL_FIB_MULTIPATH_HASH_POLICY } from "../abi/net";
import { NetDevice, Netns, Skb } from "../layout";
import { hashWord, mix32 } from "../mm/hash";
import { kfree, kmalloc } from "../mm/slab";
import { be16 } from "../wire/bytes";
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, IPV4_HEADER_LEN, IP_MF, IP_OFFSET, Ipv4View } from "../wire/ipv4";
import { FibEntry } from "./fib";
import { inetSelectAddr } from "./address";
import { sysctl } from "./sysctl";

/** More than these in one route are refused. */
export const NEXTHOPS_MAX: u32 = 64;

@unmanaged export class Nexthop {
  dev: usize; // NetDevice
  weight: u32;
  flags: u32; // ROUTE_F_ONLINK
  gatewayHi: u64; gatewayLo: u64; // all zero: none
}

// {u32 count, u32 -, Nexthop[count]}
const FIRST: usize = 8;

@inline export function nexthopCount(list: usize): u32 {
  return load<u32>(list);
}
@inline export function nexthopAt(list: usize, i: u32): Nexthop {
  return changetype<Nexthop>(list + FIRST + <usize>(i * <u32>offsetof<Nexthop>()));
}

function listBytes(count: u32): u32 {
  return <u32>FIRST + count * <u32>offsetof<Nexthop>();
}

export function nexthopsFree(entry: FibEntry): void {
  if (entry.nexthops == 0) return;
  kfree(entry.nexthops, listBytes(nexthopCount(entry.nexthops)));
  entry.nexthops = 0;
}

export function nexthopsNew(count: u32): usize {
  const at = kmalloc(listBytes(count));
  if (at != 0) store<u32>(at, count);
  return at;
}

/** A copy for an entry of its own; 0: no memory. */
export function nexthopsCopy(list: usize): usize {
  const at = nexthopsNew(nexthopCount(list));
  if (at != 0) memory.copy(at, list, <usize>listBytes(nexthopCount(list)));
  return at;
}

export function nexthopsSame(a: usize, b: usize): bool {
  if (a == 0 || b == 0) return a == b;
  return nexthopCount(a) == nexthopCount(b) && memory.compare(a + FIRST, b + FIRST, listBytes(nexthopCount(a)) - <u32>FIRST) == 0;
}

/** The first next hop that is up and, where one is asked for, goes out of `oif`; 0: none. */
export function nexthopUsable(list: usize, oif: u32): usize {
  for (let i: u32 = 0; i < nexthopCount(list); i++) {
    const dev = changetype<NetDevice>(nexthopAt(list, i).dev);
    if (dev.up && (oif == 0 || dev.ifindex == oif)) return changetype<usize>(nexthopAt(list, i));
  }
  return 0;
}

/** Does a next hop go out of `dev`? The one that does, or 0. */
export function nexthopBy(list: usize, dev: usize): usize {
  for (let i: u32 = 0; i < nexthopCount(list); i++) if (nexthopAt(list, i).dev == dev) return changetype<usize>(nexthopAt(list, i));
  return 0;
}

// What is known about the packet that is being routed; set before a look-up, gone after it.
/** IP's protocol, 0: not known. */
export let flowProtocol: u32 = 0;
/** Source and destination port in host order. */
export let flowSport: u32 = 0;
export let flowDport: u32 = 0;
export let flowTos: u32 = 0;
/** Of the program that sends; what is forwarded, and what the kernel sends, counts as root's. */
export let flowUid: u32 = 0;

export function flowSet(protocol: u32, sport: u32, dport: u32, tos: u32): void {
  flowProtocol = protocol;
  flowSport = sport;
  flowDport = dport;
  flowTos = tos;
}

export function flowOwner(uid: u32): void {
  flowUid = uid;
}

export function flowClear(): void {
  flowUid = 0;
  flowSet(0, 0, 0, 0);
}

/** From the IP header of a packet on its way; ports only where they are (fib4_rules_early_flow_dissect). */
export function flowFrom(network: usize, tail: usize): void {
  const ip = Ipv4View.at(network);
  const l4 = network + <usize>ip.headerLength;
  const ports = (ip.protocol == IPPROTO_TCP || ip.protocol == IPPROTO_UDP) && (ip.fragment & (IP_OFFSET | IP_MF)) == 0 && l4 + 4 <= tail;
  flowSet(ip.protocol, ports ? be16(l4, 0) : 0, ports ? be16(l4, 2) : 0, ip.tos);
}

/** fib_multipath_hash: 31 bits. Policy 0 by addresses (of an ICMP error: of what it is about), 1 by ports and protocol as well. */
function flowHash(ns: Netns, sourceLo: u64, destinationLo: u64, skb: Skb): u32 {
  const policy = sysctl(ns, SYSCTL_FIB_MULTIPATH_HASH_POLICY);
  let source = <u32>(sourceLo >> 32), destination = <u32>(destinationLo >> 32);
  let h = ns.flowSeed;
  if (policy == 1) {
    h = hashWord(h, source);
    h = hashWord(h, destination);
    h = hashWord(h, (flowSport << 16) | flowDport);
    return mix32(hashWord(h, flowProtocol)) >>> 1;
  }
  if (changetype<usize>(skb) != 0 && flowProtocol == IPPROTO_ICMP && skb.network != 0) {
    // ip_multipath_l3_keys: an error goes the way of the packet it is about, in its direction.
    const icmp = skb.network + <usize>Ipv4View.at(skb.network).headerLength;
    const inner = Ipv4View.at(icmp + 8);
    if (icmp + 8 + IPV4_HEADER_LEN <= skb.tail && isError(<u32>load<u8>(icmp))) {
      source = inner.destination;
      destination = inner.source;
    }
  }
  h = hashWord(h, source);
  return mix32(hashWord(h, destination)) >>> 1;
}

function isError(type: u32): bool {
  return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

/**
 * The next hop of a route with several, as a route with that one alone: the namespace's own copy, read at once. `skb` null (0): a
 * packet of this host. One whose source a next hop's device would choose is preferred, then the one the hash falls to.
 */
export function multipathSelect(ns: Netns, entry: FibEntry, sourceLo: u64, destinationLo: u64, oif: u32, skb: Skb): usize {
  const list = entry.nexthops, count = nexthopCount(list);
  let total: u32 = 0;
  for (let i: u32 = 0; i < count; i++) if (changetype<NetDevice>(nexthopAt(list, i).dev).up) total += nexthopAt(list, i).weight;
  let chosen: usize = 0, best = -1;
  if (oif != 0) chosen = nexthopUsable(list, oif);
  else if (total != 0) {
    const hash = flowHash(ns, sourceLo, destinationLo, skb);
    const asked = changetype<usize>(skb) == 0 && (sourceLo >> 32) != 0;
    let weight: u32 = 0;
    for (let i: u32 = 0; i < count; i++) {
      const hop = nexthopAt(list, i);
      const dev = changetype<NetDevice>(hop.dev);
      if (!dev.up) continue;
      weight += hop.weight;
      // fib_rebalance: DIV_ROUND_CLOSEST
      const bound = (((<u64>weight << 31) + (total >>> 1)) / total) - 1;
      let score = <u64>hash <= bound ? 1 : 0;
      if (asked && inetSelectAddr(dev, hop.gatewayHi, hop.gatewayLo, entry.scope) == sourceLo) score += 2;
      if (score > best) {
        best = score;
        chosen = changetype<usize>(hop);
        if (score == 3 || (!asked && score == 1)) break;
      }
    }
  }
  if (ns.chosen == 0) ns.chosen = kmalloc(<u32>offsetof<FibEntry>());
  if (ns.chosen == 0 || chosen == 0) return changetype<usize>(entry);
  const one = changetype<FibEntry>(ns.chosen);
  memory.copy(ns.chosen, changetype<usize>(entry), offsetof<FibEntry>());
  one.nexthops = 0;
  one.dev = changetype<Nexthop>(chosen).dev;
  one.gatewayHi = changetype<Nexthop>(chosen).gatewayHi;
  one.gatewayLo = changetype<Nexthop>(chosen).gatewayLo;
  return ns.chosen;
}

/** The namespace ends. */
export function multipathExit(ns: Netns): void {
  if (ns.chosen != 0) kfree(ns.chosen, <u32>offsetof<FibEntry>());
}
