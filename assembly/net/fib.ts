// The forwarding information base: per table a hash of routes by (prefix length, prefix), and a bitmap of the lengths in use,
// longest first. One code path for both families: keys are 16 bytes, an IPv4 /24 has length 120.
// Order among routes of one prefix and which of two wins: net/ipv4/fib_trie.c, fib_table_insert and fib_table_lookup.
import { EEXIST, ENOMEM, ENETUNREACH, ESRCH, EINVAL, EHOSTUNREACH, EACCES, EAGAIN } from "../abi/core";
import {
  ROUTE_F_APPEND, ROUTE_F_REPLACE, RTN_BLACKHOLE, RTN_LOCAL, RTN_PROHIBIT, RTN_THROW, RTN_UNREACHABLE, RT_TABLE_DEFAULT,
  RT_TABLE_LOCAL, RT_TABLE_MAIN,
} from "../abi/net";
import { NetDevice, Netns } from "../layout";
import { kfree, kmalloc } from "../mm/slab";

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

@unmanaged class FibRule {
  next: usize; // FibRule of the namespace, by preference
  preference: u32;
  table: u32;
  mark: u32; mask: u32;
  iif: u32;
  sourcePrefix: u32; destinationPrefix: u32;
  sourceHi: u64; sourceLo: u64; destinationHi: u64; destinationLo: u64;
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
    && ruleAdd(ns, 0, RT_TABLE_LOCAL, 0, 0, 0, 0, 0, 0, 0, 0, 0) == 0
    && ruleAdd(ns, 32766, RT_TABLE_MAIN, 0, 0, 0, 0, 0, 0, 0, 0, 0) == 0
    && ruleAdd(ns, 32767, RT_TABLE_DEFAULT, 0, 0, 0, 0, 0, 0, 0, 0, 0) == 0;
}

export function fibExit(ns: Netns): void {
  while (ns.rules != 0) {
    const rule = changetype<FibRule>(ns.rules);
    ns.rules = rule.next;
    kfree(changetype<usize>(rule), <u32>offsetof<FibRule>());
  }
  while (ns.fib != 0) {
    const table = changetype<FibTable>(ns.fib);
    ns.fib = table.next;
    for (let b: u32 = 0; b <= table.mask; b++) {
      let at = <usize>load<u32>(table.buckets + <usize>(b << 2));
      while (at != 0) {
        const next = changetype<FibEntry>(at).next;
        kfree(at, <u32>offsetof<FibEntry>());
        at = next;
      }
    }
    kfree(table.buckets, (table.mask + 1) << 2);
    kfree(table.lengths, 129 << 2);
    kfree(changetype<usize>(table), <u32>offsetof<FibTable>());
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
function routeTypeError(type: u32): i32 {
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
  for (let at = ns.rules; at != 0; at = changetype<FibRule>(at).next) {
    const rule = changetype<FibRule>(at);
    if (((mark ^ rule.mark) & rule.mask) != 0) continue;
    if (rule.iif != 0 && rule.iif != iif) continue;
    if (rule.sourcePrefix != 0 && (maskHi(sourceHi, rule.sourcePrefix) != rule.sourceHi
      || maskLo(sourceLo, rule.sourcePrefix) != rule.sourceLo)) continue;
    if (rule.destinationPrefix != 0 && (maskHi(hi, rule.destinationPrefix) != rule.destinationHi
      || maskLo(lo, rule.destinationPrefix) != rule.destinationLo)) continue;
    const table = fibTable(ns, rule.table, false);
    if (table == 0) continue;
    const entry = fibTableLookup(changetype<FibTable>(table), hi, lo, oif, scope);
    if (entry != 0) return entry;
    if (fibError != -EAGAIN) return 0;
  }
  fibError = -ENETUNREACH;
  return 0;
}

/** The longest match of one table, or 0: fibError says -EAGAIN (go on with the next table) or what the route's type answers. */
export function fibTableLookup(table: FibTable, hi: u64, lo: u64, oif: u32, scope: u32): usize {
  let long = table.long, short = table.short, zero = table.zero;
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
      if (entry.dev != 0) {
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

@inline function bucketOf(table: FibTable, hi: u64, lo: u64, prefix: u32): usize {
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
  if (first != 0) {
    const old = changetype<FibEntry>(first);
    spec.next = old.next;
    memory.copy(first, changetype<usize>(spec), offsetof<FibEntry>());
    return 0;
  }
  const at = kmalloc(<u32>offsetof<FibEntry>());
  if (at == 0) return -ENOMEM;
  memory.copy(at, changetype<usize>(spec), offsetof<FibEntry>());
  changetype<FibEntry>(at).next = <usize>load<u32>(link);
  store<u32>(link, <u32>at);
  lengthUsed(table, spec.prefix, 1);
  table.count++;
  if (table.count > table.mask << 1) grow(table);
  return 0;
}

function sameRoute(a: FibEntry, b: FibEntry): bool {
  return a.type == b.type && a.scope == b.scope && a.dev == b.dev && a.gatewayHi == b.gatewayHi
    && a.gatewayLo == b.gatewayLo && a.sourceLo == b.sourceLo && a.sourceHi == b.sourceHi;
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
      && (spec.dev == 0 || spec.dev == e.dev)
      && ((spec.gatewayHi | spec.gatewayLo) == 0 || (spec.gatewayHi == e.gatewayHi && spec.gatewayLo == e.gatewayLo))
      && ((spec.sourceHi | spec.sourceLo) == 0 || (spec.sourceHi == e.sourceHi && spec.sourceLo == e.sourceLo))) {
      remove(ns, table, link, at);
      return 0;
    }
    link = at;
  }
  return -ESRCH;
}

function remove(ns: Netns, table: FibTable, link: usize, at: usize): void {
  store<u32>(link, <u32>changetype<FibEntry>(at).next);
  lengthUsed(table, changetype<FibEntry>(at).prefix, -1);
  table.count--;
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
        const goes = dev != 0 ? e.dev == dev && (gone || e.type != RTN_LOCAL)
          : (hi | lo) != 0 && e.sourceHi == hi && e.sourceLo == lo;
        if (goes) remove(ns, table, link, at);
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

/** `ip rule add`; 0, -EEXIST or -ENOMEM. Rules of one preference keep their order of arrival. */
export function ruleAdd(ns: Netns, preference: u32, table: u32, mark: u32, mask: u32, iif: u32, sourcePrefix: u32,
  sourceHi: u64, sourceLo: u64, destinationPrefix: u32, destinationHi: u64, destinationLo: u64): i32 {
  const at = kmalloc(<u32>offsetof<FibRule>());
  if (at == 0) return -ENOMEM;
  const rule = changetype<FibRule>(at);
  rule.preference = preference;
  rule.table = table;
  rule.mark = mark & mask;
  rule.mask = mask;
  rule.iif = iif;
  rule.sourcePrefix = sourcePrefix;
  rule.sourceHi = maskHi(sourceHi, sourcePrefix);
  rule.sourceLo = maskLo(sourceLo, sourcePrefix);
  rule.destinationPrefix = destinationPrefix;
  rule.destinationHi = maskHi(destinationHi, destinationPrefix);
  rule.destinationLo = maskLo(destinationLo, destinationPrefix);
  let link = changetype<usize>(ns) + offsetof<Netns>("rules");
  for (let r = <usize>load<u32>(link); r != 0; r = <usize>load<u32>(link)) {
    const other = changetype<FibRule>(r);
    if (other.preference > preference) break;
    if (other.preference == preference && sameRule(rule, other)) {
      kfree(at, <u32>offsetof<FibRule>());
      return -EEXIST;
    }
    link = r;
  }
  rule.next = <usize>load<u32>(link);
  store<u32>(link, <u32>at);
  ns.routeGeneration++;
  return 0;
}

function sameRule(a: FibRule, b: FibRule): bool {
  return a.table == b.table && a.mark == b.mark && a.mask == b.mask && a.iif == b.iif
    && a.sourcePrefix == b.sourcePrefix && a.sourceHi == b.sourceHi && a.sourceLo == b.sourceLo
    && a.destinationPrefix == b.destinationPrefix && a.destinationHi == b.destinationHi
    && a.destinationLo == b.destinationLo;
}

/** `ip rule del` by preference and table (0: any table). 0 or -ENOENT as -ESRCH. */
export function ruleDelete(ns: Netns, preference: u32, table: u32): i32 {
  let link = changetype<usize>(ns) + offsetof<Netns>("rules");
  for (let r = <usize>load<u32>(link); r != 0; r = <usize>load<u32>(link)) {
    const rule = changetype<FibRule>(r);
    if (rule.preference == preference && (table == 0 || rule.table == table)) {
      store<u32>(link, <u32>rule.next);
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
  return rule.next;
}
