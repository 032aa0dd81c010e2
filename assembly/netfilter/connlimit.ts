// How many connections a client has: net/netfilter/xt_connlimit.c, nf_conncount.c. A rule remembers the connections it has seen by
// client; those that are over are noticed when the client is looked at again.
import { CONNLIMIT_DADDR, CONNLIMIT_INVERT } from "../abi/xtables";
import { Netns, Skb } from "../layout";
import { mix32 } from "../mm/hash";
import { node } from "../mm/node";
import { kfree, kmalloc } from "../mm/slab";
import { NS_PER_JIFFY } from "../mm/timer";
import { IPS_ASSURED } from "../abi/netfilter";
import { IPPROTO_TCP } from "../wire/ipv4";
import { FULL } from "../features";
import { hold6, release6 } from "./address6";
import { Conntrack, ctFindTuple, ctTuple, skbCt } from "./conntrack";
import { ipBytes, isV6 } from "./l3";
import { masked6 } from "./match-rate";
import { MATCH_HOTDROP, MATCH_NO, MATCH_YES } from "./match";
import { XtTable } from "./state";
import { Tuple, tupleCopy, tupleEqual, tupleFromPacket, tupleHold, tupleRelease } from "./tuple";

const BUCKETS: u32 = 256; // CONNCOUNT_SLOTS
const GC_MAX_NODES: u32 = 8; // CONNCOUNT_GC_MAX_NODES

@unmanaged class Client {
  next: usize;
  address: u32;
  zone: u32;
  first: usize; // Seen, newest first
  count: u32;
  lastGc: u32; // jiffies
  /** The address is of IPv6, and held. */
  six: u32;
}
@unmanaged class Seen {
  next: usize;
  jiffies: u32;
  tuple0: u64; tuple1: u64;
}
const CLIENT_BYTES: u32 = <u32>offsetof<Client>(), SEEN_BYTES: u32 = <u32>offsetof<Seen>();

/** state {u32 buckets}. False: no memory. */
export function connlimitInit(state: usize): bool {
  store<usize>(state, kmalloc(BUCKETS << 2));
  return load<usize>(state) != 0;
}

export function connlimitExit(state: usize): void {
  const buckets = load<usize>(state);
  if (buckets == 0) return;
  for (let i: u32 = 0; i < BUCKETS; i++) {
    let at = load<usize>(buckets + (<usize>i << 2));
    while (at != 0) {
      const client = changetype<Client>(at);
      while (client.first != 0) {
        const seen = client.first;
        client.first = load<usize>(seen);
        seenFree(seen);
      }
      at = client.next;
      if (FULL && client.six != 0) release6(client.address);
      kfree(changetype<usize>(client), CLIENT_BYTES);
    }
  }
  kfree(buckets, BUCKETS << 2);
}

export function matchConnlimit(d: usize, skb: Skb, t: XtTable, ns: Netns): u32 {
  const limit = load<u32>(d, 4), flags = load<u32>(d, 8), mask = load<u32>(d, 12);
  const tuple = kmalloc(32);
  if (tuple == 0) return MATCH_HOTDROP;
  let known = skb.nfct != 0;
  if (known) tupleCopy(tuple, ctTuple(skbCt(skb), false));
  else if (!tupleFromPacket(tuple, skb.network, ipBytes(skb))) {
    kfree(tuple, 32);
    return MATCH_HOTDROP;
  }
  const address = isV6(skb.network) ? masked6(skb.network + (flags & CONNLIMIT_DADDR ? 24 : 8), mask)
    : load<u32>(skb.network + (flags & CONNLIMIT_DADDR ? 16 : 12)) & mask;
  const count = countOf(load<usize>(t.state + <usize>load<u32>(d)), address, tuple, ns, known && (skbCt(skb).status & IPS_ASSURED) != 0);
  kfree(tuple, 32);
  if (count == 0) return MATCH_HOTDROP;
  return (count > limit) != ((flags & CONNLIMIT_INVERT) != 0) ? MATCH_YES : MATCH_NO;
}

/** count_tree: connections of this client with this one; 0: no memory. */
function countOf(buckets: usize, address: u32, tuple: usize, ns: Netns, assured: bool): u32 {
  const zone = <u32>Tuple.at(tuple).zone;
  const bucket = buckets + (<usize>(mix32(address ^ zone) & (BUCKETS - 1)) << 2);
  let at = load<usize>(bucket);
  while (at != 0 && (changetype<Client>(at).address != address || changetype<Client>(at).zone != zone)) at = changetype<Client>(at).next;
  if (at == 0) {
    at = kmalloc(CLIENT_BYTES);
    if (at == 0) return 0;
    const client = changetype<Client>(at);
    client.address = address;
    if (FULL && Tuple.at(tuple).family != 0) {
      client.six = 1;
      hold6(address);
    }
    client.zone = zone;
    client.lastGc = jiffies();
    client.next = load<usize>(bucket);
    store<usize>(bucket, at);
    return add(client, tuple) ? client.count : 0;
  }
  return countIn(changetype<Client>(at), tuple, ns, assured);
}

/** A list of its own, as nft's `ct count` keeps for a rule or an element (nft_connlimit.c); 0: no memory. */
export function conncountNew(): usize {
  const at = kmalloc(CLIENT_BYTES);
  if (at != 0) changetype<Client>(at).lastGc = jiffies();
  return at;
}

export function conncountFree(at: usize): void {
  const client = changetype<Client>(at);
  while (client.first != 0) {
    const seen = client.first;
    client.first = load<usize>(seen);
    kfree(seen, SEEN_BYTES);
  }
  kfree(at, CLIENT_BYTES);
}

/** Connections of the list with this one; 0: no memory, or no connection could be made of the packet. */
export function conncount(at: usize, skb: Skb, ns: Netns): u32 {
  const tuple = kmalloc(32);
  if (tuple == 0) return 0;
  let known = skb.nfct != 0, count: u32 = 0;
  if (known) tupleCopy(tuple, ctTuple(skbCt(skb), false));
  if (known || tupleFromPacket(tuple, skb.network, ipBytes(skb))) {
    const client = changetype<Client>(at);
    count = client.count == 0 ? add(client, tuple) ? 1 : 0 : countIn(client, tuple, ns, known && (skbCt(skb).status & IPS_ASSURED) != 0);
  }
  kfree(tuple, 32);
  return count;
}

function countIn(client: Client, tuple: usize, ns: Netns, assured: bool): u32 {
  const now = jiffies();
  if (now != client.lastGc) {
    let collected: u32 = 0;
    let link = changetype<usize>(client) + offsetof<Client>("first");
    while (load<usize>(link) != 0 && collected <= GC_MAX_NODES) {
      const seen = changetype<Seen>(load<usize>(link));
      const own = changetype<usize>(seen) + offsetof<Seen>("tuple0");
      const ct = ctFindTuple(ns, own);
      const same = tupleEqual(own, tuple);
      let over = false;
      // One that is assured was counted long ago: then all are looked at (nf_conncount_gc_list), else up to its own place.
      if (changetype<usize>(ct) == 0) over = true;
      else if (same && !assured) return client.count;
      else over = alreadyClosed(ct);
      if (over) {
        store<usize>(link, seen.next);
        seenFree(changetype<usize>(seen));
        client.count--;
        collected++;
        continue;
      }
      link = changetype<usize>(seen);
    }
    client.lastGc = now;
  }
  if (assured) return client.count;
  return add(client, tuple) ? client.count : 0;
}

function add(client: Client, tuple: usize): bool {
  const at = kmalloc(SEEN_BYTES);
  if (at == 0) return false;
  const seen = changetype<Seen>(at);
  tupleCopy(at + offsetof<Seen>("tuple0"), tuple);
  tupleHold(tuple);
  seen.jiffies = jiffies();
  // At the end, so that the oldest are looked at first.
  let link = changetype<usize>(client) + offsetof<Client>("first");
  while (load<usize>(link) != 0) link = load<usize>(link);
  store<usize>(link, at);
  client.count++;
  return true;
}

function seenFree(at: usize): void {
  tupleRelease(at + offsetof<Seen>("tuple0"));
  kfree(at, SEEN_BYTES);
}

function alreadyClosed(ct: Conntrack): bool {
  return <u32>Tuple.at(ctTuple(ct, false)).proto == IPPROTO_TCP && (ct.state == 7 || ct.state == 8);
}

@inline function jiffies(): u32 {
  return <u32>(node().now / NS_PER_JIFFY);
}
