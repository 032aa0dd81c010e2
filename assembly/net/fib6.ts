// Routes of IPv6 in the forwarding information base that both families share (net/ipv6/ip6_fib.c, route.c): which of two wins, and in
// which order those of one prefix stand, differs. Keys and tables are those of fib.ts; an IPv6 /64 has length 64.
import { EAGAIN, EACCES, EEXIST, EINVAL, ENETUNREACH, ENOMEM, ESRCH } from "../abi/core";
import {
  FR_ACT_GOTO, FR_ACT_NOP, FR_ACT_PROHIBIT, FR_ACT_TO_TBL, FR_ACT_UNREACHABLE, NUD_FAILED, ROUTE_F_APPEND, ROUTE_F_REPLACE, RTN_LOCAL,
  RTN_ANYCAST,
} from "../abi/net";
import { ICMPV6_ROUTER_PREF_HIGH, ICMPV6_ROUTER_PREF_LOW } from "../abi/net6";
import { NetDevice, Netns } from "../layout";
import { node } from "../mm/node";
import { kfree, kmalloc } from "../mm/slab";
import {
  FibEntry, FibRule, FibTable, bucketOf, counted, fibRemove, fibTable, forgetNexthops, maskHi, maskLo, routeTypeError, ruleExists,
  ruleMatches,
} from "./fib";
import { Nexthop, nexthopAt, nexthopCount, nexthopsFree, nexthopsNew } from "./multipath";
import { Neighbour, neighFind } from "./neighbour";

// FibEntry.rtf: where a route comes from (include/uapi/linux/ipv6_route.h), and the preference of its router.
/** Made by a router advertisement or an address. */
export const RTF6_ADDRCONF: u32 = 1;
/** A default router that was advertised. */
export const RTF6_DEFAULT: u32 = 2;
/** The on-link prefix of an address or an advertisement. */
export const RTF6_PREFIX_RT: u32 = 4;
/** Advertised by a route information option. */
export const RTF6_ROUTEINFO: u32 = 8;
export const RTF6_PREF_SHIFT: u32 = 8;

// How strictly a route has to go out of `oif`.
export const LOOKUP_IFACE: u32 = 1;
/** Routers that do not answer come last. */
export const LOOKUP_REACHABLE: u32 = 2;

/** Why the last fib6Lookup gave nothing: -errno. */
export let fib6Error: i32 = 0;

/** The route's preference, ICMPV6_ROUTER_PREF_*. */
@inline export function preferenceOf(entry: FibEntry): u32 {
  return (entry.rtf >>> RTF6_PREF_SHIFT) & 3;
}

/**
 * The route for a destination as the rules of IPv6 say (fib6_rule_lookup): a FibEntry, or 0 with fib6Error set. A route whose type is an
 * error is found, too: `fib6Error` is then what it answers, else 0.
 */
export function fib6Lookup(ns: Netns, hi: u64, lo: u64, sourceHi: u64, sourceLo: u64, iif: u32, oif: u32, mark: u32, strict: u32): usize {
  let jumpTo: u32 = 0;
  for (let at = ns.rules6; at != 0; at = changetype<FibRule>(at).next) {
    const rule = changetype<FibRule>(at);
    if (rule.preference < jumpTo || !ruleMatches(ns, rule, hi, lo, sourceHi, sourceLo, iif, oif, mark)) continue;
    if (rule.action != FR_ACT_TO_TBL) {
      if (rule.action == FR_ACT_GOTO) {
        if (ruleExists(ns.rules6, rule.target)) jumpTo = rule.target;
        continue;
      }
      if (rule.action == FR_ACT_NOP) continue;
      fib6Error = rule.action == FR_ACT_UNREACHABLE ? -ENETUNREACH : rule.action == FR_ACT_PROHIBIT ? -EACCES : -EINVAL;
      return 0;
    }
    const table = fibTable(ns, rule.table, false);
    if (table == 0) continue;
    const entry = fib6TableLookup(changetype<FibTable>(table), hi, lo, oif, strict);
    if (entry == 0) continue;
    const error = routeTypeError(changetype<FibEntry>(entry).type);
    if (error == -EAGAIN) continue;
    // fib6_rule_suppress
    if (rule.suppress != 0 && changetype<FibEntry>(entry).prefix < rule.suppress) continue;
    fib6Error = error;
    return entry;
  }
  fib6Error = -ENETUNREACH;
  return 0;
}

/** fib6_table_lookup: from the longest match up, the best of the routes of a prefix; routers that fail are a second choice. */
export function fib6TableLookup(table: FibTable, hi: u64, lo: u64, oif: u32, strict: u32): usize {
  const found = lookup(table, hi, lo, oif, strict);
  if (found != 0 || (strict & LOOKUP_REACHABLE) == 0) return found;
  return lookup(table, hi, lo, oif, strict & ~LOOKUP_REACHABLE);
}

function lookup(table: FibTable, hi: u64, lo: u64, oif: u32, strict: u32): usize {
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
    } else return 0;
    const best = bestOf(table, maskHi(hi, prefix), maskLo(lo, prefix), prefix, oif, strict);
    if (best != 0) return best;
  }
}

/** Of the routes of one prefix, of those with the lowest metric that do at all, the one with the highest score (rt6_select). */
function bestOf(table: FibTable, hi: u64, lo: u64, prefix: u32, oif: u32, strict: u32): usize {
  let best: usize = 0, bestScore = -1, metric: u32 = 0;
  for (let at = <usize>load<u32>(bucketOf(table, hi, lo, prefix)); at != 0; at = changetype<FibEntry>(at).next) {
    const entry = changetype<FibEntry>(at);
    if (entry.lo != lo || entry.prefix != prefix || entry.hi != hi) continue;
    if (best != 0 && entry.metric != metric) break;
    const score = scoreOf(entry, oif, strict);
    if (score > bestScore) {
      best = at;
      bestScore = score;
      metric = entry.metric;
    }
  }
  return best;
}

/** rt6_score_route; below 0: not this one. */
function scoreOf(entry: FibEntry, oif: u32, strict: u32): i32 {
  if (entry.expires != 0 && entry.expires <= node().now) return -1;
  if (entry.nexthops == 0) return hopScore(entry, entry.dev, entry.gatewayHi, entry.gatewayLo, oif, strict);
  let best = -1;
  for (let i: u32 = 0; i < nexthopCount(entry.nexthops); i++) {
    const hop = nexthopAt(entry.nexthops, i);
    best = max<i32>(best, hopScore(entry, hop.dev, hop.gatewayHi, hop.gatewayLo, oif, strict));
  }
  return best;
}

function hopScore(entry: FibEntry, devAt: usize, gatewayHi: u64, gatewayLo: u64, oif: u32, strict: u32): i32 {
  const dev = changetype<NetDevice>(devAt);
  if (devAt == 0) return -1;
  // A route that is an error stands on loopback, up or not.
  if (!dev.up && entry.type != RTN_LOCAL && entry.type != RTN_ANYCAST && routeTypeError(entry.type) == 0) return -1;
  const fits = oif == 0 || dev.ifindex == oif;
  if (!fits && (strict & LOOKUP_IFACE) != 0) return -1;
  const preference = preferenceOf(entry);
  // IPV6_DECODE_PREF: low, medium, high
  const decoded = preference == ICMPV6_ROUTER_PREF_LOW ? 1 : preference == ICMPV6_ROUTER_PREF_HIGH ? 3 : 2;
  if ((strict & LOOKUP_REACHABLE) != 0 && (gatewayHi | gatewayLo) != 0) {
    const at = neighFind(dev, gatewayHi, gatewayLo);
    if (at != 0 && (changetype<Neighbour>(at).state & NUD_FAILED) != 0) return -1;
  }
  return (fits ? 2 : 0) | (decoded << 2);
}

/** May routes of one prefix and metric share its traffic (rt6_qualify_for_ecmp)? */
function shares(entry: FibEntry): bool {
  return (entry.gatewayHi | entry.gatewayLo) != 0 && (entry.rtf & RTF6_ADDRCONF) == 0;
}

/**
 * Puts a copy of `spec` into its table (fib6_add_rt2node): ROUTE_F_REPLACE, ROUTE_F_APPEND (also what the kernel itself adds), or neither
 * (NLM_F_EXCL). One that can share the traffic of its like becomes one of its next hops. 0, -EEXIST, -ENOMEM.
 */
export function fib6Insert(ns: Netns, spec: FibEntry, how: u32): i32 {
  const tableAt = fibTable(ns, spec.table, true);
  if (tableAt == 0) return -ENOMEM;
  const table = changetype<FibTable>(tableAt);
  spec.hi = maskHi(spec.hi, spec.prefix);
  spec.lo = maskLo(spec.lo, spec.prefix);
  let link = bucketOf(table, spec.hi, spec.lo, spec.prefix), sibling: usize = 0, old: usize = 0, oldLink: usize = 0;
  for (let at = <usize>load<u32>(link); at != 0; at = <usize>load<u32>(link)) {
    const entry = changetype<FibEntry>(at);
    if (entry.prefix == spec.prefix && entry.lo == spec.lo && entry.hi == spec.hi) {
      if (entry.metric > spec.metric) break;
      if (entry.metric == spec.metric) {
        if (how == 0) return -EEXIST;
        if (how & ROUTE_F_REPLACE) {
          if (old == 0 || (shares(entry) == shares(spec) && shares(changetype<FibEntry>(old)) != shares(spec))) {
            old = at;
            oldLink = link;
          }
        } else if (hasHop(entry, spec.dev, spec.gatewayHi, spec.gatewayLo)) {
          // One that holds for ever goes on to.
          if (entry.expires != 0) entry.expires = spec.expires;
          return -EEXIST;
        } else if (sibling == 0 && shares(entry) && shares(spec)) sibling = at;
      }
    }
    link = at; // `next` is the first field
  }
  if (sibling != 0) return addHops(ns, changetype<FibEntry>(sibling), spec);
  const at = kmalloc(<u32>offsetof<FibEntry>());
  if (at == 0) return -ENOMEM;
  memory.copy(at, changetype<usize>(spec), offsetof<FibEntry>());
  const made = changetype<FibEntry>(at);
  made.nexthops = 0;
  if (spec.nexthops != 0) {
    made.nexthops = nexthopsNew(nexthopCount(spec.nexthops));
    if (made.nexthops == 0) {
      kfree(at, <u32>offsetof<FibEntry>());
      return -ENOMEM;
    }
    for (let i: u32 = 0; i < nexthopCount(spec.nexthops); i++) copyHop(made.nexthops, i, nexthopAt(spec.nexthops, i));
    ns.routeMore++;
  }
  if (old != 0) {
    made.next = changetype<FibEntry>(old).next;
    store<u32>(oldLink, <u32>at);
    forgetNexthops(ns, changetype<FibEntry>(old));
    kfree(old, <u32>offsetof<FibEntry>());
    ns.routeGeneration++;
    return 0;
  }
  made.next = <usize>load<u32>(link);
  store<u32>(link, <u32>at);
  counted(table, spec.prefix);
  ns.routeGeneration++;
  return 0;
}

function hasHop(entry: FibEntry, dev: usize, hi: u64, lo: u64): bool {
  if (entry.nexthops == 0) return entry.dev == dev && entry.gatewayHi == hi && entry.gatewayLo == lo;
  for (let i: u32 = 0; i < nexthopCount(entry.nexthops); i++) {
    const hop = nexthopAt(entry.nexthops, i);
    if (hop.dev == dev && hop.gatewayHi == hi && hop.gatewayLo == lo) return true;
  }
  return false;
}

function copyHop(list: usize, i: u32, from: Nexthop): void {
  memory.copy(changetype<usize>(nexthopAt(list, i)), changetype<usize>(from), offsetof<Nexthop>());
}

function hopOf(hop: Nexthop, entry: FibEntry): void {
  hop.dev = entry.dev;
  hop.weight = 1;
  hop.flags = entry.flags;
  hop.gatewayHi = entry.gatewayHi;
  hop.gatewayLo = entry.gatewayLo;
}

/** The next hops of `more` go behind those of `entry`. */
function addHops(ns: Netns, entry: FibEntry, more: FibEntry): i32 {
  const have: u32 = entry.nexthops == 0 ? 1 : nexthopCount(entry.nexthops), add: u32 = more.nexthops == 0 ? 1 : nexthopCount(more.nexthops);
  const list = nexthopsNew(have + add);
  if (list == 0) return -ENOMEM;
  for (let i: u32 = 0; i < have; i++) {
    if (entry.nexthops == 0) hopOf(nexthopAt(list, i), entry);
    else copyHop(list, i, nexthopAt(entry.nexthops, i));
  }
  for (let i: u32 = 0; i < add; i++) {
    if (more.nexthops == 0) hopOf(nexthopAt(list, have + i), more);
    else copyHop(list, have + i, nexthopAt(more.nexthops, i));
  }
  if (entry.nexthops == 0) ns.routeMore++;
  else nexthopsFree(entry);
  entry.nexthops = list;
  ns.routeGeneration++;
  return 0;
}

/** One next hop less; the last but one makes it a plain route again. */
function dropHop(ns: Netns, entry: FibEntry, index: u32): bool {
  const count = nexthopCount(entry.nexthops);
  if (count <= 2) {
    const left = nexthopAt(entry.nexthops, index == 0 ? 1 : 0);
    entry.dev = left.dev;
    entry.flags = left.flags;
    entry.gatewayHi = left.gatewayHi;
    entry.gatewayLo = left.gatewayLo;
    forgetNexthops(ns, entry);
  } else {
    const list = nexthopsNew(count - 1);
    if (list == 0) return false;
    for (let i: u32 = 0, to: u32 = 0; i < count; i++) if (i != index) copyHop(list, to++, nexthopAt(entry.nexthops, i));
    nexthopsFree(entry);
    entry.nexthops = list;
    const first = nexthopAt(list, 0);
    entry.dev = first.dev;
    entry.gatewayHi = first.gatewayHi;
    entry.gatewayLo = first.gatewayLo;
  }
  ns.routeGeneration++;
  return true;
}

/**
 * Deletes the first route that agrees with `spec`, where zero (type, dev, gateway, metric, protocol) leaves open; of several next hops only
 * the one that a gateway names (ip6_route_del). 0 or -ESRCH.
 */
export function fib6Delete(ns: Netns, spec: FibEntry): i32 {
  const tableAt = fibTable(ns, spec.table, false);
  if (tableAt == 0) return -ESRCH;
  const table = changetype<FibTable>(tableAt);
  spec.hi = maskHi(spec.hi, spec.prefix);
  spec.lo = maskLo(spec.lo, spec.prefix);
  const gateway = (spec.gatewayHi | spec.gatewayLo) != 0;
  let link = bucketOf(table, spec.hi, spec.lo, spec.prefix);
  for (let at = <usize>load<u32>(link); at != 0; at = <usize>load<u32>(link)) {
    const e = changetype<FibEntry>(at);
    if (e.prefix == spec.prefix && e.lo == spec.lo && e.hi == spec.hi && (spec.type == 0 || spec.type == e.type)
      && (spec.metric == 0 || spec.metric == e.metric) && (spec.protocol == 0 || spec.protocol == e.protocol)) {
      if (e.nexthops == 0) {
        if ((spec.dev == 0 || spec.dev == e.dev) && (!gateway || (spec.gatewayHi == e.gatewayHi && spec.gatewayLo == e.gatewayLo))) {
          fibRemove(ns, table, link, at);
          return 0;
        }
      } else {
        for (let i: u32 = 0; i < nexthopCount(e.nexthops); i++) {
          const hop = nexthopAt(e.nexthops, i);
          if ((spec.dev != 0 && spec.dev != hop.dev) || (gateway && (spec.gatewayHi != hop.gatewayHi || spec.gatewayLo != hop.gatewayLo))) {
            continue;
          }
          if (gateway) return dropHop(ns, e, i) ? 0 : -ENOMEM;
          fibRemove(ns, table, link, at);
          return 0;
        }
      }
    }
    link = at;
  }
  return -ESRCH;
}

/** Next hops by a device that goes down or ends leave their routes (fib6_ifdown); what is left of a route stays. */
export function fib6FlushHops(ns: Netns, dev: usize): void {
  for (let t = ns.fib; t != 0; t = changetype<FibTable>(t).next) {
    const table = changetype<FibTable>(t);
    for (let b: u32 = 0; b <= table.mask; b++) {
      for (let at = <usize>load<u32>(table.buckets + <usize>(b << 2)); at != 0; at = changetype<FibEntry>(at).next) {
        const entry = changetype<FibEntry>(at);
        if (entry.nexthops == 0 || isFamily4(entry)) continue;
        for (let i: u32 = 0; entry.nexthops != 0 && i < nexthopCount(entry.nexthops);) {
          if (nexthopAt(entry.nexthops, i).dev != dev || !dropHop(ns, entry, i)) i++;
        }
      }
    }
  }
}

/** IPv6 is disabled on a device: its routes of that family go. */
export function fib6FlushDevice(ns: Netns, dev: usize): void {
  for (let t = ns.fib; t != 0; t = changetype<FibTable>(t).next) {
    const table = changetype<FibTable>(t);
    for (let b: u32 = 0; b <= table.mask; b++) {
      let link = table.buckets + <usize>(b << 2);
      for (let at = <usize>load<u32>(link); at != 0; at = <usize>load<u32>(link)) {
        const e = changetype<FibEntry>(at);
        if (e.dev == dev && !isFamily4(e) && routeTypeError(e.type) == 0) fibRemove(ns, table, link, at);
        else link = at;
      }
    }
  }
}

/** Is it a route of IPv4? */
@inline export function isFamily4(entry: FibEntry): bool {
  return entry.prefix >= 96 && entry.hi == 0 && <u32>entry.lo == 0xffff0000;
}

/** Routes whose time is over go, and those that `flags` (RTF6_*) names all (fib6_run_gc, rt6_purge_dflt_routers): by `dev`, 0: any. */
export function fib6Purge(ns: Netns, dev: usize, flags: u32, exceptDev: usize): void {
  const now = node().now;
  for (let t = ns.fib; t != 0; t = changetype<FibTable>(t).next) {
    const table = changetype<FibTable>(t);
    for (let b: u32 = 0; b <= table.mask; b++) {
      let link = table.buckets + <usize>(b << 2);
      for (let at = <usize>load<u32>(link); at != 0; at = <usize>load<u32>(link)) {
        const e = changetype<FibEntry>(at);
        const named = (e.rtf & flags) != 0 && (dev == 0 || e.dev == dev) && (exceptDev == 0 || e.dev != exceptDev);
        if (named || (e.expires != 0 && e.expires <= now)) fibRemove(ns, table, link, at);
        else link = at;
      }
    }
  }
}
