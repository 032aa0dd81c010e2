// The forwarding information base: per table a hash of routes by (prefix length, prefix), and a bitmap of the lengths in use,
// longest first. One code path for both families: keys are 16 bytes, an IPv4 /24 has length 120.
// Order among routes of one prefix and which of two wins: net/ipv4/fib_trie.c, fib_table_insert and fib_table_lookup.
import { EEXIST, ENOMEM, ENETUNREACH, ESRCH, EINVAL, EHOSTUNREACH, EACCES, EAGAIN } from "../abi/core";
import {
  ROUTE_F_APPEND, ROUTE_F_REPLACE, RTN_BLACKHOLE, RTN_LOCAL, RTN_PROHIBIT, RTN_THROW, RTN_UNREACHABLE, RT_TABLE_DEFAULT,
  FR_ACT_GOTO, FR_ACT_NOP, FR_ACT_PROHIBIT, FR_ACT_TO_TBL, FR_ACT_UNREACHABLE, RT_TABLE_LOCAL, RT_TABLE_MAIN, RULE_ACTION, RULE_BYTES,
  RULE_DST, RULE_DST_PREFIX, RULE_F_INVERT, RULE_IIF, RULE_MARK, RULE_MASK, RULE_PREF, RULE_SRC, RULE_SRC_PREFIX,
  RULE_TABLE,
} from "../abi/net";
import { FULL } from "../features";
import { NetDevice, Netns } from "../layout";
import { kfree, kmalloc } from "../mm/slab";
import { isMapped4 } from "../wire/bytes";
import { flowDport, flowProtocol, flowSport, flowTos, flowUid, nexthopAt, nexthopBy, nexthopCount, nexthopUsable, nexthopsCopy, nexthopsFree, nexthopsSame } from "./multipath";

/** A route. */
@unmanaged export class FibEntry {
  next: usize; // FibEntry: hash chain; routes of one prefix stand together, by metric
  prefix: u32; // bits, 96 + those of IPv4
  hi: u64; lo: u64;
  type: u32;
  scope: u32;
  metric: u32;
  flags: u32; // ROUTE_F_ONLINK
  dev: usize; // NetDevice, 0: blackhole and the like
  mtu: u32; // 0: the device's
  gatewayHi: u64; gatewayLo: u64; // all zero: none
  sourceHi: u64; sourceLo: u64; // all zero: none
  protocol: u32;
  table: u32;
  nexthops: usize; // net/multipath.ts: several next hops, of which dev and gateway are the first; 0: one
  rtf: u32; // IPv6: RTF6_* of net/fib6.ts
  expires: u64; // IPv6: ns, 0: never
  lwt: usize; // bpf/hooks/lwt.ts: programs of the route, 0: none
}

@unmanaged export class FibTable {
  next: usize; // FibTable of the namespace
  id: u32;
  count: u32;
  buckets: usize; // FibEntry[mask + 1]
  mask: u32;
  lengths: usize; // u32[129]: routes by prefix length
  // Lengths in use: bit n - 65, bit n - 1, and 0.
  long: u64; short: u64; zero: u32;
}

@unmanaged export class FibRule {
  next: usize; // FibRule of the namespace, by preference
  preference: u32;
  table: u32;
  mark: u32; mask: u32;
  iif: u32;
  sourcePrefix: u32; destinationPrefix: u32;
  sourceHi: u64; sourceLo: u64; destinationHi: u64; destinationLo: u64;
  // As in a RULE_* record
  action: u32; target: u32; flags: u32; oif: u32; tos: u32; protocol: u32; sport: u32; dport: u32; suppress: u32;
  suppressGroup: u32; uidFirst: u32; uidEnd: u32; tunId: u32;
}

/** Why the last fibLookup gave nothing: -errno. */
export let fibError: i32 = 0;

/** The part of an address above `prefix` bits: the two words as they stand in memory. */
export function maskHi(hi: u64, prefix: u32): u64 {
  if (prefix >= 64) return hi;
  return prefix == 0 ? 0 : hi & bswap<u64>(<u64>-1 << <u64>(64 - prefix));
}
export function maskLo(lo: u64, prefix: u32): u64 {
  if (prefix <= 64) return 0;
  return prefix >= 128 ? lo : lo & bswap<u64>(<u64>-1 << <u64>(128 - prefix));
}

/** The local and main tables and the three rules of a new namespace; false: no memory. */
export function fibInit(ns: Netns): bool {
  return fibTable(ns, RT_TABLE_LOCAL, true) != 0 && fibTable(ns, RT_TABLE_MAIN, true) != 0
    && rulesInit(ns, changetype<usize>(ns) + offsetof<Netns>("rules"))
    && ruleInit(ns, changetype<usize>(ns) + offsetof<Netns>("rules"), 32767, RT_TABLE_DEFAULT)
    // fib6_rules_net_init: IPv6 has no table "default".
    && (!FULL || rulesInit(ns, changetype<usize>(ns) + offsetof<Netns>("rules6")));
}

export function fibExit(ns: Netns): void {
  rulesFree(changetype<usize>(ns) + offsetof<Netns>("rules"));
  if (FULL) rulesFree(changetype<usize>(ns) + offsetof<Netns>("rules6"));
  while (ns.fib != 0) {
    const table = changetype<FibTable>(ns.fib);
    ns.fib = table.next;
    for (let b: u32 = 0; b <= table.mask; b++) {
      let at = <usize>load<u32>(table.buckets + <usize>(b << 2));
      while (at != 0) {
        const next = changetype<FibEntry>(at).next;
        if (FULL) nexthopsFree(changetype<FibEntry>(at));
        kfree(at, <u32>offsetof<FibEntry>());
        at = next;
      }
    }
    kfree(table.buckets, (table.mask + 1) << 2);
    kfree(table.lengths, 129 << 2);
    kfree(changetype<usize>(table), <u32>offsetof<FibTable>());
  }
}

function rulesFree(link: usize): void {
  while (load<u32>(link) != 0) {
    const rule = changetype<FibRule>(<usize>load<u32>(link));
    store<u32>(link, <u32>rule.next);
    kfree(changetype<usize>(rule), <u32>offsetof<FibRule>());
  }
}

/** The table of that number; 0: there is none (and none was wanted, or no memory). */
export function fibTable(ns: Netns, id: u32, create: bool): usize {
  for (let at = ns.fib; at != 0; at = changetype<FibTable>(at).next) {
    if (changetype<FibTable>(at).id == id) return at;
  }
  if (!create) return 0;
  const at = kmalloc(<u32>offsetof<FibTable>());
  if (at == 0) return 0;
  const table = changetype<FibTable>(at);
  table.id = id;
  table.mask = 15;
  table.buckets = kmalloc(16 << 2);
  table.lengths = kmalloc(129 << 2);
  if (table.buckets == 0 || table.lengths == 0) {
    kfree(table.buckets, 16 << 2);
    kfree(table.lengths, 129 << 2);
    kfree(at, <u32>offsetof<FibTable>());
    return 0;
  }
  table.next = ns.fib;
  ns.fib = at;
  return at;
}

/** -errno that a route of this type gives (fib_props); 0 for those that lead somewhere. */
export function routeTypeError(type: u32): i32 {
  switch (type) {
    case RTN_BLACKHOLE: return -EINVAL;
    case RTN_UNREACHABLE: return -EHOSTUNREACH;
    case RTN_PROHIBIT: return -EACCES;
    case RTN_THROW: return -EAGAIN;
    default: return 0;
  }
}

/**
 * The route for a destination as the rules say (fib_rules_lookup): a FibEntry, or 0 with fibError set. `scope` is the widest
 * scope a route may have; `oif` 0 for any.
 */
export function fibLookup(ns: Netns, hi: u64, lo: u64, sourceHi: u64, sourceLo: u64, iif: u32, oif: u32, mark: u32,
  scope: u32): usize {
  let jumpTo: u32 = 0;
  for (let at = ns.rules; at != 0; at = changetype<FibRule>(at).next) {
    const rule = changetype<FibRule>(at);
    if (FULL && rule.preference < jumpTo) continue;
    if (!ruleMatches(ns, rule, hi, lo, sourceHi, sourceLo, iif, oif, mark)) continue;
    if (FULL && rule.action != FR_ACT_TO_TBL) {
      // fib4_rule_action
      if (rule.action == FR_ACT_GOTO) {
        if (ruleExists(ns.rules, rule.target)) jumpTo = rule.target;
        continue;
      }
      if (rule.action == FR_ACT_NOP) continue;
      fibError = rule.action == FR_ACT_UNREACHABLE ? -ENETUNREACH : rule.action == FR_ACT_PROHIBIT ? -EACCES : -EINVAL;
      return 0;
    }
    const table = fibTable(ns, rule.table, false);
    if (table == 0) continue;
    const entry = fibTableLookup(changetype<FibTable>(table), hi, lo, oif, scope);
    if (entry != 0) {
      // fib4_rule_suppress: a route that is no more specific than that does not count.
      if (FULL && rule.suppress != 0 && changetype<FibEntry>(entry).prefix < 96 + rule.suppress) continue;
      // … nor one by a device of that group: all are in group 0.
      if (FULL && rule.suppressGroup == 1 && changetype<FibEntry>(entry).dev != 0) continue;
      return entry;
    }
    if (fibError != -EAGAIN) return 0;
  }
  fibError = -ENETUNREACH;
  return 0;
}

/** Does a route go by this gateway on this device (ip_fib_check_default)? */
export function fibHasGateway(ns: Netns, dev: usize, lo: u64): bool {
  for (let t = ns.fib; t != 0; t = changetype<FibTable>(t).next) {
    const table = changetype<FibTable>(t);
    for (let b: u32 = 0; b <= table.mask; b++) {
      for (let at = <usize>load<u32>(table.buckets + <usize>(b << 2)); at != 0; at = changetype<FibEntry>(at).next) {
        const entry = changetype<FibEntry>(at);
        if (entry.dev == dev && entry.gatewayLo == lo) return true;
        if (entry.nexthops == 0) continue;
        for (let i: u32 = 0; i < nexthopCount(entry.nexthops); i++) {
          if (nexthopAt(entry.nexthops, i).dev == dev && nexthopAt(entry.nexthops, i).gatewayLo == lo) return true;
        }
      }
    }
  }
  return false;
}

/** Does the rule speak about such a packet (fib_rule_match)? Of either family. */
export function ruleMatches(ns: Netns, rule: FibRule, hi: u64, lo: u64, sourceHi: u64, sourceLo: u64, iif: u32, oif: u32, mark: u32): bool {
  let matches = ((mark ^ rule.mark) & rule.mask) == 0 && (rule.iif == 0 || rule.iif == iif)
    && (rule.sourcePrefix == 0 || (maskHi(sourceHi, rule.sourcePrefix) == rule.sourceHi
      && maskLo(sourceLo, rule.sourcePrefix) == rule.sourceLo))
    && (rule.destinationPrefix == 0 || (maskHi(hi, rule.destinationPrefix) == rule.destinationHi
      && maskLo(lo, rule.destinationPrefix) == rule.destinationLo));
  if (FULL && ns.routeMore != 0) {
    matches = matches && (rule.oif == 0 || rule.oif == oif) && (rule.tos == 0 || ((rule.tos ^ flowTos) & TOS_LEGACY) == 0)
      && (rule.protocol == 0 || rule.protocol == flowProtocol) && inRange(rule.sport, flowSport) && inRange(rule.dport, flowDport)
      // Packets bring no tunnel's id: nothing here receives by metadata.
      && (rule.uidEnd == 0 || (flowUid >= rule.uidFirst && flowUid < rule.uidEnd)) && rule.tunId == 0;
    if (rule.flags & RULE_F_INVERT) matches = !matches;
  }
  return matches;
}

/** From `action` on, as many bytes as in a RULE_* record. */
const RULE_MORE: usize = 52;

/** INET_DSCP_LEGACY_TOS_MASK */
const TOS_LEGACY: u32 = 0x1c;

function inRange(range: u32, port: u32): bool {
  return range == 0 || (port >= (range & 0xffff) && port <= range >>> 16);
}

export function ruleExists(first: usize, preference: u32): bool {
  for (let at = first; at != 0; at = changetype<FibRule>(at).next) {
    if (changetype<FibRule>(at).preference == preference) return true;
  }
  return false;
}

/** The longest match of one table, or 0: fibError says -EAGAIN (go on with the next table) or what the route's type answers. */
export function fibTableLookup(table: FibTable, hi: u64, lo: u64, oif: u32, scope: u32): usize {
  let long = table.long, short = table.short, zero = table.zero;
  if (FULL && (short | <u64>zero) != 0 && isMapped4(hi, lo & 0xffffffff)) {
    // What is wider than all of IPv4 is IPv6's.
    long &= ~(((<u64>1) << 31) - 1);
    short = 0;
    zero = 0;
  }
  while (true) {
    let prefix: u32 = 0;
    if (long != 0) {
      prefix = 128 - <u32>clz<u64>(long);
      long &= ~(<u64>1 << <u64>(prefix - 65));
    } else if (short != 0) {
      prefix = 64 - <u32>clz<u64>(short);
      short &= ~(<u64>1 << <u64>(prefix - 1));
    } else if (zero != 0) {
      prefix = 0;
      zero = 0;
    } else break;
    const khi = maskHi(hi, prefix), klo = maskLo(lo, prefix);
    let at = <usize>load<u32>(bucketOf(table, khi, klo, prefix));
    for (; at != 0; at = changetype<FibEntry>(at).next) {
      const entry = changetype<FibEntry>(at);
      if (entry.lo != klo || entry.prefix != prefix || entry.hi != khi) continue;
      if (entry.scope < scope) continue;
      const error = routeTypeError(entry.type);
      if (error != 0) {
        fibError = error;
        return 0;
      }
      if (FULL && entry.nexthops != 0) {
        if (nexthopUsable(entry.nexthops, oif) == 0) continue;
      } else if (entry.dev != 0) {
        const dev = changetype<NetDevice>(entry.dev);
        if (!dev.up && entry.type != RTN_LOCAL) continue;
        if (oif != 0 && dev.ifindex != oif) continue;
      }
      return at;
    }
  }
  fibError = -EAGAIN;
  return 0;
}

@inline export function bucketOf(table: FibTable, hi: u64, lo: u64, prefix: u32): usize {
  // Multiplicative (Knuth, volume 3, 6.4): the high half depends on every bit.
  const h = (lo ^ rotl<u64>(hi, 23) ^ <u64>prefix) * 0x9e3779b97f4a7c15;
  return table.buckets + <usize>((<u32>(h >> 40) & table.mask) << 2);
}

/** Puts a copy of `spec` into its table. ROUTE_F_REPLACE, ROUTE_F_APPEND or neither (NLM_F_EXCL). 0, -EEXIST, -ENOMEM. */
export function fibInsert(ns: Netns, spec: FibEntry, how: u32): i32 {
  const tableAt = fibTable(ns, spec.table, true);
  if (tableAt == 0) return -ENOMEM;
  const table = changetype<FibTable>(tableAt);
  spec.hi = maskHi(spec.hi, spec.prefix);
  spec.lo = maskLo(spec.lo, spec.prefix);
  // `link` is where the new one goes: behind all of lower metric, and behind its equals when appended.
  let link = bucketOf(table, spec.hi, spec.lo, spec.prefix);
  let first: usize = 0;
  for (let at = <usize>load<u32>(link); at != 0; at = <usize>load<u32>(link)) {
    const entry = changetype<FibEntry>(at);
    if (entry.prefix == spec.prefix && entry.lo == spec.lo && entry.hi == spec.hi) {
      if (entry.metric > spec.metric) break;
      if (entry.metric == spec.metric) {
        if (how == 0) return -EEXIST;
        if (how & ROUTE_F_APPEND) {
          if (sameRoute(entry, spec)) return -EEXIST;
        } else if (first == 0) first = at;
      }
    }
    link = at; // `next` is the first field
  }
  ns.routeGeneration++;
  if (FULL && spec.nexthops != 0) {
    spec.nexthops = nexthopsCopy(spec.nexthops);
    if (spec.nexthops == 0) return -ENOMEM;
    ns.routeMore++;
  }
  if (first != 0) {
    const old = changetype<FibEntry>(first);
    if (FULL) forgetNexthops(ns, old);
    spec.next = old.next;
    memory.copy(first, changetype<usize>(spec), offsetof<FibEntry>());
    return 0;
  }
  const at = kmalloc(<u32>offsetof<FibEntry>());
  if (at == 0) {
    if (FULL) forgetNexthops(ns, spec);
    return -ENOMEM;
  }
  memory.copy(at, changetype<usize>(spec), offsetof<FibEntry>());
  changetype<FibEntry>(at).next = <usize>load<u32>(link);
  store<u32>(link, <u32>at);
  counted(table, spec.prefix);
  return 0;
}

/** A route of that prefix length was put into the table. */
export function counted(table: FibTable, prefix: u32): void {
  lengthUsed(table, prefix, 1);
  table.count++;
  if (table.count > table.mask << 1) grow(table);
}

export function forgetNexthops(ns: Netns, entry: FibEntry): void {
  if (entry.nexthops == 0) return;
  ns.routeMore--;
  nexthopsFree(entry);
}

function sameRoute(a: FibEntry, b: FibEntry): bool {
  return a.type == b.type && a.scope == b.scope && a.dev == b.dev && a.gatewayHi == b.gatewayHi
    && a.gatewayLo == b.gatewayLo && a.sourceLo == b.sourceLo && a.sourceHi == b.sourceHi
    && (!FULL || nexthopsSame(a.nexthops, b.nexthops));
}

/**
 * Deletes the first route that agrees with `spec`; there zero (type, dev, gateway, source, metric) and RT_SCOPE_NOWHERE leave open
 * (fib_table_delete). 0 or -ESRCH.
 */
export function fibDelete(ns: Netns, spec: FibEntry): i32 {
  const tableAt = fibTable(ns, spec.table, false);
  if (tableAt == 0) return -ESRCH;
  const table = changetype<FibTable>(tableAt);
  spec.hi = maskHi(spec.hi, spec.prefix);
  spec.lo = maskLo(spec.lo, spec.prefix);
  let link = bucketOf(table, spec.hi, spec.lo, spec.prefix);
  for (let at = <usize>load<u32>(link); at != 0; at = <usize>load<u32>(link)) {
    const e = changetype<FibEntry>(at);
    if (e.prefix == spec.prefix && e.lo == spec.lo && e.hi == spec.hi && (spec.type == 0 || spec.type == e.type)
      && (spec.scope == 255 || spec.scope == e.scope) && (spec.metric == 0 || spec.metric == e.metric)
      && (!FULL || spec.nexthops == 0 || nexthopsSame(spec.nexthops, e.nexthops))
      && (spec.dev == 0 || spec.dev == e.dev)
      && ((spec.gatewayHi | spec.gatewayLo) == 0 || (spec.gatewayHi == e.gatewayHi && spec.gatewayLo == e.gatewayLo))
      && ((spec.sourceHi | spec.sourceLo) == 0 || (spec.sourceHi == e.sourceHi && spec.sourceLo == e.sourceLo))) {
      fibRemove(ns, table, link, at);
      return 0;
    }
    link = at;
  }
  return -ESRCH;
}

export function fibRemove(ns: Netns, table: FibTable, link: usize, at: usize): void {
  store<u32>(link, <u32>changetype<FibEntry>(at).next);
  lengthUsed(table, changetype<FibEntry>(at).prefix, -1);
  table.count--;
  if (FULL) forgetNexthops(ns, changetype<FibEntry>(at));
  kfree(at, <u32>offsetof<FibEntry>());
  ns.routeGeneration++;
}

/**
 * Deletes what a device or an address takes with it: routes by `dev` (all of them, or, going down, all but local ones), or
 * routes that prefer the source `hi:lo` (fib_sync_down_dev, fib_sync_down_addr).
 */
export function fibFlush(ns: Netns, dev: usize, gone: bool, hi: u64, lo: u64): void {
  for (let t = ns.fib; t != 0; t = changetype<FibTable>(t).next) {
    const table = changetype<FibTable>(t);
    for (let b: u32 = 0; b <= table.mask; b++) {
      let link = table.buckets + <usize>(b << 2);
      for (let at = <usize>load<u32>(link); at != 0; at = <usize>load<u32>(link)) {
        const e = changetype<FibEntry>(at);
        const several = FULL && dev != 0 && e.nexthops != 0 && nexthopBy(e.nexthops, dev) != 0;
        // Of several next hops one that is down is passed over; one whose device ends takes the route with it.
        const goes = several ? gone || nexthopUsable(e.nexthops, 0) == 0 : dev != 0 ? e.dev == dev && (gone || e.type != RTN_LOCAL)
          : (hi | lo) != 0 && e.sourceHi == hi && e.sourceLo == lo;
        if (goes) fibRemove(ns, table, link, at);
        else link = at;
      }
    }
  }
}

function lengthUsed(table: FibTable, prefix: u32, by: i32): void {
  const at = table.lengths + <usize>(prefix << 2);
  const count = load<u32>(at) + by;
  store<u32>(at, count);
  if (prefix > 64) {
    const bit = <u64>1 << <u64>(prefix - 65);
    table.long = count == 0 ? table.long & ~bit : table.long | bit;
  } else if (prefix > 0) {
    const bit = <u64>1 << <u64>(prefix - 1);
    table.short = count == 0 ? table.short & ~bit : table.short | bit;
  } else table.zero = count;
}

/** Doubles the buckets; routes of one prefix keep their order. Without memory the chains just get longer. */
function grow(table: FibTable): void {
  const before = table.mask + 1;
  const wanted = before << 1;
  const buckets = kmalloc(wanted << 2);
  if (buckets == 0) return;
  const old = table.buckets;
  table.buckets = buckets;
  table.mask = wanted - 1;
  for (let b: u32 = 0; b < before; b++) {
    let at = <usize>load<u32>(old + <usize>(b << 2));
    while (at != 0) {
      const entry = changetype<FibEntry>(at);
      const next = entry.next;
      let link = bucketOf(table, entry.hi, entry.lo, entry.prefix);
      while (load<u32>(link) != 0) link = <usize>load<u32>(link);
      store<u32>(link, <u32>at);
      entry.next = 0;
      at = next;
    }
  }
  kfree(old, before << 2);
}

/** `ip rule add` into one of the namespace's lists, `rules` or `rules6`, RULE_* record; 0, -EEXIST, -EINVAL or -ENOMEM. Rules of one preference keep their order of arrival. */
export function ruleAdd(ns: Netns, list: usize, record: usize): i32 {
  const at = kmalloc(<u32>offsetof<FibRule>());
  if (at == 0) return -ENOMEM;
  const rule = changetype<FibRule>(at);
  rule.preference = load<u32>(record, RULE_PREF);
  rule.table = load<u32>(record, RULE_TABLE);
  rule.mask = load<u32>(record, RULE_MASK);
  rule.mark = load<u32>(record, RULE_MARK) & rule.mask;
  rule.iif = load<u32>(record, RULE_IIF);
  rule.sourcePrefix = load<u32>(record, RULE_SRC_PREFIX);
  rule.sourceHi = maskHi(load<u64>(record, RULE_SRC), rule.sourcePrefix);
  rule.sourceLo = maskLo(load<u64>(record, RULE_SRC + 8), rule.sourcePrefix);
  rule.destinationPrefix = load<u32>(record, RULE_DST_PREFIX);
  rule.destinationHi = maskHi(load<u64>(record, RULE_DST), rule.destinationPrefix);
  rule.destinationLo = maskLo(load<u64>(record, RULE_DST + 8), rule.destinationPrefix);
  rule.action = FR_ACT_TO_TBL;
  if (FULL) memory.copy(at + offsetof<FibRule>("action"), record + RULE_ACTION, RULE_MORE);
  if (rule.action == 0) rule.action = FR_ACT_TO_TBL;
  let link = list;
  for (let r = <usize>load<u32>(link); r != 0; r = <usize>load<u32>(link)) {
    const other = changetype<FibRule>(r);
    if (other.preference > rule.preference) break;
    if (other.preference == rule.preference && sameRule(at, r)) {
      kfree(at, <u32>offsetof<FibRule>());
      return -EEXIST;
    }
    link = r;
  }
  rule.next = <usize>load<u32>(link);
  store<u32>(link, <u32>at);
  if (FULL && hasMore(rule)) ns.routeMore++;
  ns.routeGeneration++;
  return 0;
}

/** Does it look at more than addresses, devices and mark? */
function hasMore(rule: FibRule): bool {
  return (rule.uidEnd | rule.tunId | rule.oif | rule.tos | rule.protocol | rule.sport | rule.dport | (rule.flags & RULE_F_INVERT)) != 0;
}

/** One of the three rules of a new namespace; false: no memory. */
function rulesInit(ns: Netns, list: usize): bool {
  return ruleInit(ns, list, 0, RT_TABLE_LOCAL) && ruleInit(ns, list, 32766, RT_TABLE_MAIN);
}
function ruleInit(ns: Netns, list: usize, preference: u32, table: u32): bool {
  const record = kmalloc(RULE_BYTES);
  if (record == 0) return false;
  store<u32>(record, preference, RULE_PREF);
  store<u32>(record, table, RULE_TABLE);
  const result = ruleAdd(ns, list, record);
  kfree(record, RULE_BYTES);
  return result == 0;
}

/** All but `next` alike? */
function sameRule(a: usize, b: usize): bool {
  for (let i: usize = 4; i < offsetof<FibRule>(); i += 4) if (load<u32>(a + i) != load<u32>(b + i)) return false;
  return true;
}

/** `ip rule del` by preference and table (0: any table). 0 or -ENOENT as -ESRCH. */
export function ruleDelete(ns: Netns, list: usize, preference: u32, table: u32): i32 {
  let link = list;
  for (let r = <usize>load<u32>(link); r != 0; r = <usize>load<u32>(link)) {
    const rule = changetype<FibRule>(r);
    if (rule.preference == preference && (table == 0 || rule.table == table)) {
      store<u32>(link, <u32>rule.next);
      if (FULL && hasMore(rule)) ns.routeMore--;
      kfree(r, <u32>offsetof<FibRule>());
      ns.routeGeneration++;
      return 0;
    }
    link = r;
  }
  return -ESRCH;
}

/** Has anybody added rules of their own (fib4_has_custom_rules)? */
export function rulesCustom(ns: Netns): bool {
  let count: u32 = 0;
  for (let r = ns.rules; r != 0; r = changetype<FibRule>(r).next) {
    if (changetype<FibRule>(r).mask != 0 || changetype<FibRule>(r).table < RT_TABLE_DEFAULT) return true;
    count++;
  }
  return count != 3;
}

/** One rule as a RULE_* record; the next rule, or 0. */
export function ruleWrite(at: usize, to: usize): usize {
  const rule = changetype<FibRule>(at);
  store<u32>(to, rule.preference, 4);
  store<u32>(to, rule.table, 8);
  store<u32>(to, rule.mark, 12);
  store<u32>(to, rule.mask, 16);
  store<u32>(to, rule.iif, 20);
  store<u32>(to, rule.sourcePrefix, 24);
  store<u32>(to, rule.destinationPrefix, 28);
  store<u64>(to, rule.sourceHi, 32);
  store<u64>(to, rule.sourceLo, 40);
  store<u64>(to, rule.destinationHi, 48);
  store<u64>(to, rule.destinationLo, 56);
  memory.copy(to + RULE_ACTION, at + offsetof<FibRule>("action"), RULE_MORE);
  store<u32>(to + RULE_ACTION + RULE_MORE, 0);
  return rule.next;
}
