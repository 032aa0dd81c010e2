// Matches that remember: net/netfilter/xt_statistic.c, xt_limit.c, xt_hashlimit.c, xt_recent.c. A rule's own memory begins anew
// when its table is replaced, as with the kernel; hashlimit's and recent's tables go by name and live as long as a rule
// names them.
import {
  HASHLIMIT_BYTES, HASHLIMIT_DIP, HASHLIMIT_DPT, HASHLIMIT_INVERT, HASHLIMIT_SIP, HASHLIMIT_SPT, RECENT_CHECK, RECENT_DESTINATION,
  RECENT_REAP, RECENT_REMOVE, RECENT_SET, RECENT_TTL, RECENT_UPDATE,
} from "../abi/netfilter";
import { FULL } from "../features";
import { Skb } from "../layout";
import { mix32 } from "../mm/hash";
import { node } from "../mm/node";
import { random32 } from "../mm/rng";
import { kfree, kmalloc } from "../mm/slab";
import { HZ, NS_PER_JIFFY } from "../mm/timer";
import { address6, hold6, release6 } from "./address6";
import { ipBytes, ipLength, isV6, l4Offset, l4Protocol } from "./l3";
import { MATCH_HOTDROP, MATCH_NO, MATCH_YES } from "./match";
import { NfNet, XtTable } from "./state";
import { protoHasPorts } from "./tuple";

@inline function jiffies(): u64 { return node().now / NS_PER_JIFFY; }
@inline function stateAt(t: XtTable, d: usize, offset: usize): usize { return t.state + <usize>load<u32>(d + offset); }

// statistic: state {u32 count}
export const STATISTIC_STATE_AT: u32 = 12;

export function statisticInit(d: usize, state: usize): void {
  store<u32>(state, load<u32>(d, 8));
}

export function matchStatistic(d: usize, t: XtTable): bool {
  if (load<u32>(d) == 0) return (random32() & 0x7fffffff) < load<u32>(d, 4);
  const state = stateAt(t, d, STATISTIC_STATE_AT);
  const count = load<u32>(state) == load<u32>(d, 4) ? 0 : load<u32>(state) + 1;
  store<u32>(state, count);
  return count == 0;
}

// limit: state {u64 jiffies, u32 credit, u32 most, u32 cost}
export const LIMIT_STATE_AT: u32 = 8;
const IPPROTO_DCCP: u32 = 33, IPPROTO_ESP: u32 = 50, IPPROTO_AH: u32 = 51;
const LIMIT_CREDITS: u32 = 128; // CREDITS_PER_JIFFY with HZ = 250
const LIMIT_SCALE: u32 = 10000;

function limitCredits(user: u32): u32 {
  const perSecond = <u32>HZ * LIMIT_CREDITS;
  return user > 0xffffffff / perSecond ? user / LIMIT_SCALE * perSecond : user * perSecond / LIMIT_SCALE;
}

/** False: so slow that the arithmetic of the kernel overflows (ERANGE). */
export function limitInit(d: usize, state: usize): bool {
  const average = load<u32>(d), burst = load<u32>(d, 4);
  const cost = limitCredits(average), most = limitCredits(average * burst);
  if (burst == 0 || most < cost) return false;
  store<u64>(state, jiffies());
  store<u32>(state, most, 8);
  store<u32>(state, most, 12);
  store<u32>(state, cost, 16);
  return true;
}

export function matchLimit(d: usize, t: XtTable): bool {
  const state = stateAt(t, d, LIMIT_STATE_AT);
  const now = jiffies();
  const credit = min<u64>(<u64>load<u32>(state, 8) + (now - load<u64>(state)) * <u64>LIMIT_CREDITS, <u64>load<u32>(state, 12));
  const cost = <u64>load<u32>(state, 16);
  store<u64>(state, now);
  const yes = credit >= cost;
  store<u32>(state, <u32>(yes ? credit - cost : credit), 8);
  return yes;
}

// hashlimit: tables by name; entries by address and ports.
export const HASHLIMIT_STATE_AT: u32 = 36;
export const HASHLIMIT_NAME_AT: u32 = 40;
export const HASHLIMIT_NAME: u32 = 256;
export const RECENT_STATE_AT: u32 = 16;
export const RECENT_NAME_AT: u32 = 20;
export const RECENT_NAME: u32 = 200;
const RECENT6_NAME_AT: u32 = 32;
const BUCKETS: u32 = 256;
const HASHLIMIT_CREDITS: u64 = 549755813888; // CREDITS_PER_JIFFY with HZ = 250
/** CREDITS_PER_JIFFY_BYTES */
const BYTE_CREDITS: u64 = 16777216;
const HASHLIMIT_SCALE: u64 = 1000000; // XT_HASHLIMIT_SCALE_v2

@unmanaged class Named {
  next: usize;
  name: usize;
  nameBytes: u32;
  use: u32;
  buckets: usize; // hashlimit: entries by hash; recent: the list's head, oldest first
  count: u32;
  last: usize; // recent: newest entry
  stamps: u32; // recent: how many times an entry remembers
}

@unmanaged class HashlimitEntry {
  next: usize;
  src: u32; dst: u32; ports: u32;
  expires: u64; // jiffies
  prev: u64; // jiffies
  credit: u64;
  reserve: u32;
  /** Addresses are of IPv6, and held. */
  six: u32;
}

function hashlimitFree(e: HashlimitEntry): void {
  if (FULL && e.six != 0) {
    release6(e.src);
    release6(e.dst);
  }
  kfree(changetype<usize>(e), <u32>offsetof<HashlimitEntry>());
}

/** The number of the address at `at`, of which only the first `bits` bits count (hashlimit_ipv6_mask). */
export function masked6(at: usize, bits: u32): u32 {
  const hi: u64 = bits >= 64 ? u64.MAX_VALUE : bits == 0 ? 0 : u64.MAX_VALUE << <u64>(64 - bits);
  const lo: u64 = bits >= 128 ? u64.MAX_VALUE : bits <= 64 ? 0 : u64.MAX_VALUE << <u64>(128 - bits);
  return address6(load<u64>(at) & bswap<u64>(hi), load<u64>(at, 8) & bswap<u64>(lo));
}

/** The named table of a rule; a reference more. 0: no memory. */
function named(list: usize, name: usize, nameBytes: u32, buckets: u32): usize {
  let at = load<usize>(list);
  while (at != 0) {
    const n = changetype<Named>(at);
    if (memory.compare(n.name, name, <usize>nameBytes) == 0) {
      n.use++;
      return at;
    }
    at = n.next;
  }
  at = kmalloc(<u32>offsetof<Named>());
  const copy = kmalloc(nameBytes);
  const table: usize = buckets == 0 ? 1 : kmalloc(buckets << 2);
  if (at == 0 || copy == 0 || table == 0) {
    if (at != 0) kfree(at, <u32>offsetof<Named>());
    if (copy != 0) kfree(copy, nameBytes);
    if (buckets != 0 && table != 0) kfree(table, buckets << 2);
    return 0;
  }
  memory.copy(copy, name, <usize>nameBytes);
  const n = changetype<Named>(at);
  n.name = copy;
  n.nameBytes = nameBytes;
  n.use = 1;
  n.buckets = buckets == 0 ? 0 : table;
  n.next = load<usize>(list);
  store<usize>(list, at);
  return at;
}

function unnamed(list: usize, at: usize): void {
  let link = list;
  while (load<usize>(link) != at) link = load<usize>(link);
  const n = changetype<Named>(at);
  store<usize>(link, n.next);
  kfree(n.name, n.nameBytes);
  kfree(at, <u32>offsetof<Named>());
}

/** state {u32 table}. False: no memory. */
export function hashlimitInit(d: usize, state: usize, nf: NfNet): bool {
  const list = changetype<usize>(nf) + offsetof<NfNet>("hashlimits");
  store<usize>(state, named(list, d + HASHLIMIT_NAME_AT, HASHLIMIT_NAME, BUCKETS));
  return load<usize>(state) != 0;
}

export function hashlimitExit(state: usize, nf: NfNet): void {
  const at = load<usize>(state), n = changetype<Named>(at);
  if (at == 0 || --n.use != 0) return;
  for (let i: u32 = 0; i < BUCKETS; i++) {
    let entry = load<usize>(n.buckets + (<usize>i << 2));
    while (entry != 0) {
      const next = load<usize>(entry);
      hashlimitFree(changetype<HashlimitEntry>(entry));
      entry = next;
    }
  }
  kfree(n.buckets, BUCKETS << 2);
  unnamed(changetype<usize>(nf) + offsetof<NfNet>("hashlimits"), at);
}

function hashlimitCost(average: u64): u64 {
  return average * (HZ * HASHLIMIT_CREDITS / HASHLIMIT_SCALE);
}

export function matchHashlimit(d: usize, skb: Skb, t: XtTable): u32 {
  const table = changetype<Named>(load<usize>(stateAt(t, d, HASHLIMIT_STATE_AT)));
  const mode = load<u32>(d, 12), ip = skb.network, now = jiffies();
  const six = isV6(ip);
  const src = mode & HASHLIMIT_SIP ? six ? masked6(ip + 8, load<u32>(d, 16)) : load<u32>(ip, 12) & load<u32>(d, 16) : 0;
  const dst = mode & HASHLIMIT_DIP ? six ? masked6(ip + 24, load<u32>(d, 20)) : load<u32>(ip, 16) & load<u32>(d, 20) : 0;
  let ports: u32 = 0;
  if (mode & (HASHLIMIT_SPT | HASHLIMIT_DPT)) {
    // proto_ports_offset; whatever stands there in a later fragment, too.
    const protocol = l4Protocol(skb);
    const at = l4Offset(skb) + (protocol == IPPROTO_AH ? 4 : 0);
    if (protoHasPorts(protocol) || protocol == IPPROTO_DCCP || protocol == IPPROTO_ESP || protocol == IPPROTO_AH) {
      if (at + 4 > ipBytes(skb)) return MATCH_HOTDROP;
      ports = load<u32>(ip + <usize>at) & ((mode & HASHLIMIT_SPT ? 0xffff : 0) | (mode & HASHLIMIT_DPT ? 0xffff0000 : 0));
    }
  }
  const bucket = table.buckets + (<usize>(mix32(src ^ rotl<u32>(dst, 7) ^ rotl<u32>(ports, 13)) & (BUCKETS - 1)) << 2);
  const bytes = FULL && (mode & HASHLIMIT_BYTES) != 0;
  const most: u64 = bytes ? BYTE_CREDITS * HZ : hashlimitCost(load<u64>(d)) * <u64>load<u32>(d, 8);
  let cost: u64 = bytes ? (load<u64>(d) * (HZ * BYTE_CREDITS)) >> 32 : hashlimitCost(load<u64>(d));
  const life = <u64>load<u32>(d, 32) * HZ / 1000;
  let link = bucket, entry = changetype<HashlimitEntry>(0);
  while (load<usize>(link) != 0) {
    const e = changetype<HashlimitEntry>(load<usize>(link));
    if (e.src == src && e.dst == dst && e.ports == ports && (!FULL || (e.six != 0) == six)) {
      entry = e;
      break;
    }
    if (e.expires <= now) {
      store<usize>(link, e.next);
      hashlimitFree(e);
      table.count--;
      continue;
    }
    link = changetype<usize>(e);
  }
  if (changetype<usize>(entry) == 0) {
    const max = load<u32>(d, 28);
    const at: usize = max != 0 && table.count >= max ? 0 : kmalloc(<u32>offsetof<HashlimitEntry>());
    if (at == 0) return MATCH_HOTDROP;
    entry = changetype<HashlimitEntry>(at);
    entry.src = src;
    entry.dst = dst;
    entry.ports = ports;
    if (FULL && six) {
      entry.six = 1;
      hold6(src);
      hold6(dst);
    }
    entry.prev = now;
    entry.credit = most;
    entry.reserve = load<u32>(d, 8);
    entry.next = load<usize>(bucket);
    store<usize>(bucket, at);
    table.count++;
  } else {
    const gained = (now - entry.prev) * (bytes ? BYTE_CREDITS : HASHLIMIT_CREDITS);
    entry.credit = min<u64>(entry.credit + gained, most);
    entry.prev = now;
  }
  entry.expires = now + life;
  if (bytes) {
    // hashlimit_byte_cost: a packet costs by the 16 bytes; the burst is so many fillings more.
    cost = min<u64>((<u64>(ipLength(skb) >>> 4) + 1) * cost, most);
    if (entry.credit < cost && entry.reserve != 0) {
      entry.reserve--;
      entry.credit = most;
    }
  }
  const inverted = (mode & HASHLIMIT_INVERT) != 0;
  if (entry.credit >= cost) {
    entry.credit -= cost;
    return inverted ? MATCH_NO : MATCH_YES;
  }
  return inverted ? MATCH_YES : MATCH_NO;
}

// recent: a table's entries in order of use. ip_list_tot, and how many times one remembers.
const RECENT_MAX: u32 = 100;

@unmanaged class RecentEntry {
  next: usize;
  prev: usize;
  address: u32;
  ttl: u8;
  pad: u8;
  index: u16;
  used: u32; // stamps that are set
  // u32 stamps follow, jiffies
}
/** RecentEntry.pad of an entry whose address is of IPv6, and held. */
const RECENT_SIX: u8 = 1;
const ENTRY_BYTES: u32 = 24;

/** state {u32 table}. False: no memory. */
export function recentInit(d: usize, state: usize, nf: NfNet): bool {
  return recentTable(d + RECENT_NAME_AT, load<u32>(d, 8), state, nf);
}

/** The same for rules of IPv6; both families share the tables. */
export function recent6Init(d: usize, state: usize, nf: NfNet): bool {
  return recentTable(d + RECENT6_NAME_AT, load<u32>(d, 12), state, nf);
}

function recentTable(name: usize, hits: u32, state: usize, nf: NfNet): bool {
  const list = changetype<usize>(nf) + offsetof<NfNet>("recents");
  const at = named(list, name, RECENT_NAME, 0);
  store<usize>(state, at);
  if (at == 0) return false;
  const n = changetype<Named>(at);
  let stamps: u32 = hits == 0 ? 32 : 1;
  while (stamps < hits) stamps <<= 1;
  if (n.use == 1) {
    n.stamps = stamps;
  } else if (stamps > n.stamps) {
    // A rule that counts further: what was remembered is forgotten, as the entries are too short.
    recentFlush(n);
    n.stamps = stamps;
  }
  return true;
}

export function recentExit(state: usize, nf: NfNet): void {
  const at = load<usize>(state), n = changetype<Named>(at);
  if (at == 0 || --n.use != 0) return;
  recentFlush(n);
  unnamed(changetype<usize>(nf) + offsetof<NfNet>("recents"), at);
}

function recentFlush(n: Named): void {
  while (n.buckets != 0) recentRemove(n, changetype<RecentEntry>(n.buckets));
}

function recentUnlink(n: Named, e: RecentEntry): void {
  if (e.prev != 0) changetype<RecentEntry>(e.prev).next = e.next;
  else n.buckets = e.next;
  if (e.next != 0) changetype<RecentEntry>(e.next).prev = e.prev;
  else n.last = e.prev;
}

function recentAppend(n: Named, e: RecentEntry): void {
  e.prev = n.last;
  e.next = 0;
  if (n.last != 0) changetype<RecentEntry>(n.last).next = changetype<usize>(e);
  else n.buckets = changetype<usize>(e);
  n.last = changetype<usize>(e);
}

function recentRemove(n: Named, e: RecentEntry): void {
  recentUnlink(n, e);
  n.count--;
  if (FULL && e.pad == RECENT_SIX) release6(e.address);
  kfree(changetype<usize>(e), ENTRY_BYTES + (n.stamps << 2));
}

/** recent_entry_update: the present time is one stamp more. */
function recentStamp(n: Named, e: RecentEntry, now: u32): void {
  const index = <u32>e.index & (n.stamps - 1);
  store<u32>(changetype<usize>(e) + ENTRY_BYTES + <usize>(index << 2), now);
  e.index = <u16>((index + 1) & (n.stamps - 1));
  if (e.used < n.stamps) e.used++;
  recentUnlink(n, e);
  recentAppend(n, e);
}

export function matchRecent(d: usize, skb: Skb, t: XtTable, forwarded: bool, inverted: bool): u32 {
  const what = load<u32>(d), ip = skb.network;
  return recent(stateAt(t, d, RECENT_STATE_AT), what, load<u32>(d, 4), load<u32>(d, 8),
    load<u32>(ip + (what & RECENT_DESTINATION ? 16 : 12)) & load<u32>(d, 12), load<u8>(ip, 8), skb, forwarded, inverted, 0);
}

/** The same of a packet of IPv6. */
export function matchRecent6(d: usize, skb: Skb, t: XtTable, forwarded: bool, inverted: bool): u32 {
  const what = load<u32>(d, 4), at = skb.network + (what & RECENT_DESTINATION ? 24 : 8);
  const address = address6(load<u64>(at) & load<u64>(d, 16), load<u64>(at, 8) & load<u64>(d, 24));
  return recent(t.state + <usize>load<u32>(d), what, load<u32>(d, 8), load<u32>(d, 12), address, load<u8>(skb.network, 7), skb, forwarded,
    inverted, RECENT_SIX);
}

function recent(state: usize, what: u32, seconds: u32, hitCount: u32, address: u32, hops: u8, skb: Skb, forwarded: bool, inverted: bool,
  family: u8): u32 {
  const n = changetype<Named>(load<usize>(state));
  // The TTL as it was before forwarding.
  const ttl: u8 = hops + (forwarded && skb.inDev != 0 ? 1 : 0);
  const now = <u32>jiffies();
  let e = changetype<RecentEntry>(n.buckets);
  while (changetype<usize>(e) != 0 && (e.address != address || e.pad != family || (what & RECENT_TTL && e.ttl != ttl))) {
    e = changetype<RecentEntry>(e.next);
  }
  let yes = false;
  if (changetype<usize>(e) == 0) {
    if (!(what & RECENT_SET)) return inverted ? MATCH_YES : MATCH_NO;
    if (n.count >= RECENT_MAX) recentRemove(n, changetype<RecentEntry>(n.buckets));
    const at = kmalloc(ENTRY_BYTES + (n.stamps << 2));
    if (at == 0) return MATCH_HOTDROP;
    e = changetype<RecentEntry>(at);
    e.address = address;
    e.pad = family;
    if (FULL && family == RECENT_SIX) hold6(address);
    e.ttl = ttl;
    recentAppend(n, e);
    n.count++;
    recentStamp(n, e, now);
    return inverted ? MATCH_NO : MATCH_YES;
  }
  if (what & RECENT_SET) {
    yes = true;
  } else if (what & RECENT_REMOVE) {
    recentRemove(n, e);
    return inverted ? MATCH_NO : MATCH_YES;
  } else if (what & (RECENT_CHECK | RECENT_UPDATE)) {
    const since = now - seconds * <u32>HZ;
    let hits: u32 = 0;
    for (let i: u32 = 0; i < e.used; i++) {
      if (seconds != 0 && <i32>(load<u32>(changetype<usize>(e) + ENTRY_BYTES + <usize>(i << 2)) - since) < 0) continue;
      if (hitCount == 0 || ++hits >= hitCount) { yes = true; break; }
    }
    if (what & RECENT_REAP) {
      // The oldest entry goes when even its latest time is past.
      const oldest = changetype<RecentEntry>(n.buckets);
      const latest = (<u32>oldest.index + n.stamps - 1) & (n.stamps - 1);
      const keep = oldest == e && (what & RECENT_UPDATE) != 0 && yes;
      if (!keep && <i32>(load<u32>(changetype<usize>(oldest) + ENTRY_BYTES + <usize>(latest << 2)) - since) < 0) {
        const gone = oldest == e;
        recentRemove(n, oldest);
        if (gone) return yes != inverted ? MATCH_YES : MATCH_NO;
      }
    }
  }
  const result = yes != inverted;
  if (what & RECENT_SET || (what & RECENT_UPDATE && result)) {
    recentStamp(n, e, now);
    e.ttl = ttl;
  }
  return result ? MATCH_YES : MATCH_NO;
}
