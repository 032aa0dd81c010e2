// Loading of a table, net/ipv4/netfilter/ip_tables.c (translate_table, do_replace): the blob is checked as a whole before it
// takes the old table's place at once; packets see the old rules or the new ones.
import { EINVAL, ELOOP, ENOENT, ENOMEM, ERANGE } from "../abi/core";
import {
  ADDRTYPE_LIMIT_IN, ADDRTYPE_LIMIT_OUT, BLOB_CHAIN, BLOB_HEADER, CONNTRACK_DATA, EXT_HEADER, HOOK_FORWARD, HOOK_INPUT,
  HOOK_OUTPUT, HOOK_POSTROUTING, HOOK_PREROUTING, MATCH_ADDRTYPE, MATCH_CONNMARK, MATCH_CONNTRACK, MATCH_DESTINATION, MATCH_ECN,
  MATCH_FRAGMENT, MATCH_HASHLIMIT, MATCH_ICMP, MATCH_IN, MATCH_IPRANGE, MATCH_LENGTH, MATCH_LIMIT, MATCH_MAC, MATCH_MARK,
  MATCH_MULTIPORT, MATCH_OUT, MATCH_PHYSDEV, MATCH_PKTTYPE, MATCH_PROTOCOL, MATCH_RECENT, MATCH_RPFILTER, MATCH_SET, MATCH_SOURCE, MATCH_STATE,
  MATCH_STATISTIC, MATCH_TCP, MATCH_TOS, MATCH_TTL, MATCH_UDP, NAT_RANGE_BYTES, NF_ACCEPT, NF_DROP, POLICY_USER, REPLACE_TEST,
  RULE_HEADER, TABLES, TABLES_ALL, TABLE_FILTER, TABLE_MANGLE, TABLE_NAT, TABLE_RAW, TARGET_ACCEPT, TARGET_CLASSIFY, TARGET_CONNMARK,
  TARGET_DNAT, TARGET_DROP, TARGET_ECN, TARGET_GOTO, TARGET_JUMP, TARGET_LOG, TARGET_MARK, TARGET_MASQUERADE, TARGET_NETMAP,
  TARGET_NONE, TARGET_NOTRACK, TARGET_REDIRECT, TARGET_REJECT, TARGET_RETURN, TARGET_SNAT, TARGET_TCPMSS, TARGET_TEE, TARGET_TOS,
  TARGET_TTL,
} from "../abi/netfilter";
import {
  CTT_NOTRACK, TARGET_CT, TARGET_HMARK6, TARGET_NETMAP6, TARGET_NFQUEUE, TARGET_SET, TARGET_SNAT6, XT_FIRST, XT_STATEFUL,
} from "../abi/xtables";
import { FULL } from "../features";
import { Netns } from "../layout";
import { kfree, kmalloc } from "../mm/slab";
import {
  HASHLIMIT_NAME, HASHLIMIT_NAME_AT, HASHLIMIT_STATE_AT, LIMIT_STATE_AT, RECENT_NAME, RECENT_NAME_AT, RECENT_STATE_AT,
  STATISTIC_STATE_AT, hashlimitExit, hashlimitInit, limitInit, recentExit, recentInit, statisticInit,
} from "./match-rate";
import { SET_NAME } from "./ipset";
import {
  matchMoreEnable, matchMoreExit, matchMoreInit, matchMorePlace, matchMoreTracks, matchMoreValid,
} from "./match-more";
import { SET_NAME_AT, SET_STATE_AT, TARGET_SET_STATE, setExit, setInit, targetSetExit, targetSetInit } from "./match-set";
import { compiledStackBytes, indexBuild, indexFree } from "./compiled";
import { nftEnsure, nftHooks, nftHooks6, nftSequence } from "../nft/ruleset";
import { NfNet, XtTable, nfNet, nfTable, nfTableSet, trackUsers } from "./state";
import { targetMorePlace, targetMoreSize } from "./target-more";
import { target6Place } from "./target-ipv6";
import { FAMILY4, FAMILY6, matchFamily, targetFamily } from "./l3";
import { NESTED_MAX, STACK_ENTRY, tableHooks } from "./xtables";

const CHAINS_MAX: u32 = 1 << 20;
const RULES_MAX: u32 = 1 << 24;
const NOT: u32 = 0xffffffff;
const ALL_HOOKS: u32 = 0x1f;
const XT_BYTES: u32 = <u32>offsetof<XtTable>();

/** See NF_REPLACE. */
export function tableReplace(ns: Netns, table: u32, flags: u32, blob: usize, bytes: u32): i32 {
  if (table >= (FULL ? TABLES_ALL : TABLES) || bytes < BLOB_HEADER) return -EINVAL;
  const nf = nfNet(ns);
  const at = kmalloc(XT_BYTES);
  if (at == 0) return -ENOMEM;
  const t = changetype<XtTable>(at);
  let result = take(t, table, blob, bytes);
  if (result == 0) result = checkRules(t);
  if (result == 0) result = checkChains(t, table, nf);
  const mapAt: usize = t.rulesAt == 0 ? 0 : blob + <usize>t.blobBytes;
  if (result == 0) result = checkCounters(t, nf, table, mapAt, bytes - t.blobBytes);
  if (result == 0) result = allocate(t);
  if (result == 0) result = stateInit(t, nf);
  // A packet that was held goes on behind this table: hooks are a list.
  if (FULL && result == 0 && t.queues != 0 && nftEnsure(ns, nf) == 0) result = -ENOMEM;
  if (result < 0 || flags & REPLACE_TEST) {
    tableFree(t, nf);
    return result;
  }
  const old = nfTable(nf, table);
  countersTake(t, old, mapAt);
  trackUsers(nf, table, <i32>t.conntrackUsers);
  nfTableSet(nf, table, at);
  if (FULL && old == 0) store<u32>(changetype<usize>(nf) + offsetof<NfNet>("sequence0") + (<usize>table << 2), nftSequence(nf));
  if (old != 0) {
    trackUsers(nf, table, -<i32>changetype<XtTable>(old).conntrackUsers);
    tableFree(changetype<XtTable>(old), nf);
  }
  hooksUpdate(nf);
  ns.ruleGeneration++;
  return 0;
}

/** Takes a table away, as when its namespace ends. */
export function tableRemove(nf: NfNet, table: u32): void {
  const at = nfTable(nf, table);
  if (at == 0) return;
  trackUsers(nf, table, -<i32>changetype<XtTable>(at).conntrackUsers);
  nfTableSet(nf, table, 0);
  tableFree(changetype<XtTable>(at), nf);
  hooksUpdate(nf);
}

/** Finds out anew at which hooks something is registered, and in what order. */
export function hooksUpdate(nf: NfNet): void {
  nf.hooks = hooksFrom(nf, nf.conntrackUsers, 0) | (FULL ? nftHooks(nf) : 0);
  if (FULL) nf.hooks6 = hooksFrom(nf, nf.conntrackUsers6, TABLES) | nftHooks6(nf);
}

function hooksFrom(nf: NfNet, users: u32, first: u32): u32 {
  let hooks: u32 = users != 0 ? ALL_HOOKS & ~(1 << HOOK_FORWARD) : 0;
  for (let i = first; i < first + TABLES; i++) {
    if (nfTable(nf, i) != 0) hooks |= tableHooks(i);
  }
  return hooks;
}

/** Copies chains and rules into the arena: from here on nobody else can change them. */
function take(t: XtTable, table: u32, blob: usize, bytes: u32): i32 {
  const chains = load<u32>(blob), rules = load<u32>(blob, 4), ruleBytes = load<u32>(blob, 8);
  const builtins = popcnt<u32>(tableHooks(table));
  if (chains < builtins || chains > CHAINS_MAX || rules > RULES_MAX || ruleBytes & 3) return -EINVAL;
  const size = <u64>BLOB_HEADER + <u64>chains * <u64>BLOB_CHAIN + <u64>ruleBytes;
  if (size > <u64>bytes) return -EINVAL;
  t.blobBytes = <u32>size;
  t.blob = kmalloc(t.blobBytes);
  if (t.blob == 0) return -ENOMEM;
  memory.copy(t.blob, blob, <usize>t.blobBytes);
  t.chains = chains;
  t.rules = rules;
  t.builtins = builtins;
  t.rulesAt = t.blob + BLOB_HEADER + <usize>(chains * BLOB_CHAIN);
  return 0;
}

@inline function chainOf(t: XtTable, chain: u32): usize {
  return t.blob + BLOB_HEADER + <usize>(chain * BLOB_CHAIN);
}

/** Every chain's rules follow the last chain's; every rule, match and target is well formed. Counts state and conntrack users. */
function checkRules(t: XtTable): i32 {
  const bytes = t.blobBytes - BLOB_HEADER - t.chains * BLOB_CHAIN;
  let offset: u32 = 0, number: u32 = 0;
  for (let i: u32 = 0; i < t.chains; i++) {
    const chain = chainOf(t, i);
    const rules = load<u32>(chain, 4), policy = load<u32>(chain, 12);
    if (load<u32>(chain) != offset || load<u32>(chain, 8) != number || rules > t.rules - number) return -EINVAL;
    if (i < t.builtins ? policy != NF_ACCEPT && policy != NF_DROP : policy != POLICY_USER) return -EINVAL;
    for (let r: u32 = 0; r < rules; r++) {
      if (bytes - offset < RULE_HEADER + EXT_HEADER) return -EINVAL;
      const rule = t.rulesAt + <usize>offset;
      const size = load<u32>(rule), targetAt = load<u32>(rule, 4);
      if (size > bytes - offset || size & 3 || targetAt & 3 || targetAt < RULE_HEADER || targetAt > size
        || size - targetAt < EXT_HEADER) return -EINVAL;
      let m: u32 = RULE_HEADER;
      while (m < targetAt) {
        const at = rule + <usize>m, left = targetAt - m;
        const length: u32 = left < EXT_HEADER ? 0 : <u32>load<u16>(at, 2);
        if (length < EXT_HEADER || length > left || length & 3 || !matchValid(at, length - EXT_HEADER)) return -EINVAL;
        const kind = <u32>load<u8>(at);
        const stateful = stateOffset(kind);
        if (stateful != NOT) {
          store<u32>(at + EXT_HEADER + <usize>stateful, t.stateBytes);
          t.stateBytes += stateSize(kind);
        }
        if (kind == MATCH_CONNTRACK || kind == MATCH_STATE || kind == MATCH_CONNMARK || (FULL && matchMoreTracks(kind))) t.conntrackUsers++;
        m += length;
      }
      const target = rule + <usize>targetAt, kind = <u32>load<u8>(target);
      if (<u32>load<u16>(target, 2) != size - targetAt || size - targetAt - EXT_HEADER != targetSize(kind)) return -EINVAL;
      if (kind == TARGET_JUMP || kind == TARGET_GOTO) {
        const to = load<u32>(target, EXT_HEADER);
        if (to < t.builtins || to >= t.chains) return -EINVAL;
      }
      if (FULL && kind >= XT_STATEFUL) {
        store<u32>(target + EXT_HEADER, t.stateBytes);
        t.stateBytes += TARGET_SET_STATE;
      }
      if (FULL && kind == TARGET_NFQUEUE) t.queues = 1;
      // NOTRACK alone does not switch tracking on.
      const tracks = FULL && kind == TARGET_CT && (load<u32>(target, EXT_HEADER) & CTT_NOTRACK) == 0;
      if (kind == TARGET_CONNMARK || tracks || (kind >= TARGET_SNAT && kind <= TARGET_NETMAP)
        || (FULL && kind >= TARGET_SNAT6 && kind <= TARGET_NETMAP6)) t.conntrackUsers++;
      offset += size;
      number++;
    }
  }
  return offset == bytes && number == t.rules ? 0 : -EINVAL;
}

// A chain while the graph is walked: {u32 colour, u32 depth below, u32 hooks it is reached from, u32 caller on the path + 1,
// u32 next rule, u32 rules left, u32 the next finished before}.
const WALK: u32 = 28;
const WHITE: u32 = 0, GREY: u32 = 1, BLACK: u32 = 2;

/**
 * mark_source_chains and the checks that need it: no circles, how deep jumps go, and that every match and target stands where
 * packets may come to it. Chains that no packet reaches are not looked at, as in the kernel.
 */
function checkChains(t: XtTable, table: u32, nf: NfNet): i32 {
  const walk = kmalloc(t.chains * WALK);
  if (walk == 0) return -ENOMEM;
  let result = 0, finished: u32 = 0, deepest: u32 = 0;
  for (let i: u32 = 0; i < t.builtins && result == 0; i++) {
    let at: u32 = i;
    enterChain(t, walk, at, 0);
    while (true) {
      const w = walk + <usize>(at * WALK);
      const left = load<u32>(w, 20);
      if (left == 0) {
        store<u32>(w, BLACK);
        store<u32>(w, finished, 24);
        finished = at + 1;
        const caller = load<u32>(w, 12);
        if (caller == 0) break;
        const up = walk + <usize>((caller - 1) * WALK);
        store<u32>(up, max<u32>(load<u32>(up, 4), load<u32>(w, 4) + 1), 4);
        at = caller - 1;
        continue;
      }
      const rule = <usize>load<u32>(w, 16);
      store<u32>(w, <u32>rule + load<u32>(rule), 16);
      store<u32>(w, left - 1, 20);
      const target = rule + <usize>load<u32>(rule, 4), kind = <u32>load<u8>(target);
      if (kind != TARGET_JUMP && kind != TARGET_GOTO) continue;
      const to = load<u32>(target, EXT_HEADER);
      const v = walk + <usize>(to * WALK);
      const colour = load<u32>(v);
      if (colour == GREY) { result = -ELOOP; break; }
      if (colour == BLACK) {
        store<u32>(w, max<u32>(load<u32>(w, 4), load<u32>(v, 4) + 1), 4);
        continue;
      }
      enterChain(t, walk, to, at + 1);
      at = to;
    }
    deepest = max<u32>(deepest, load<u32>(walk + <usize>(i * WALK), 4));
  }
  t.depth = deepest;
  // Callers finish after what they call: going back from the last finished, every chain's hooks are known before its callees'.
  const hooks = tableHooks(table);
  let bit: u32 = 0;
  for (let i: u32 = 0; i < t.builtins; i++) {
    while (!(hooks & (1 << bit))) bit++;
    store<u32>(walk + <usize>(i * WALK), 1 << bit++, 8);
  }
  while (finished != 0 && result == 0) {
    const at = finished - 1, w = walk + <usize>(at * WALK), chain = chainOf(t, at);
    let rule = t.rulesAt + <usize>load<u32>(chain);
    const mask = load<u32>(w, 8);
    for (let left = load<u32>(chain, 4); left > 0 && result == 0; left--) {
      if (!placeValid(rule, table, mask)) result = -EINVAL;
      const target = rule + <usize>load<u32>(rule, 4), kind = <u32>load<u8>(target);
      if (kind == TARGET_JUMP || kind == TARGET_GOTO) {
        const v = walk + <usize>(load<u32>(target, EXT_HEADER) * WALK);
        store<u32>(v, load<u32>(v, 8) | mask, 8);
      }
      rule += <usize>load<u32>(rule);
    }
    finished = load<u32>(w, 24);
  }
  // Chains that nothing reaches still may not hold what has no place in this table.
  for (let i: u32 = t.builtins; i < t.chains && result == 0; i++) {
    if (load<u32>(walk + <usize>(i * WALK)) != WHITE) continue;
    const chain = chainOf(t, i);
    let rule = t.rulesAt + <usize>load<u32>(chain);
    for (let left = load<u32>(chain, 4); left > 0 && result == 0; left--) {
      if (!placeValid(rule, table, 0)) result = -EINVAL;
      rule += <usize>load<u32>(rule);
    }
  }
  kfree(walk, t.chains * WALK);
  return result;
}

function enterChain(t: XtTable, walk: usize, chain: u32, caller: u32): void {
  const w = walk + <usize>(chain * WALK), c = chainOf(t, chain);
  store<u32>(w, GREY);
  store<u32>(w, caller, 12);
  store<u32>(w, <u32>(t.rulesAt + <usize>load<u32>(c)), 16);
  store<u32>(w, load<u32>(c, 4), 20);
}

/** What checkentry of matches and targets asks of table and hooks. */
function placeValid(rule: usize, number: u32, mask: u32, compat: bool = false): bool {
  const targetAt = rule + <usize>load<u32>(rule, 4);
  const table = FULL ? number % TABLES : number;
  const family = number >= TABLES ? FAMILY6 : FAMILY4;
  if (FULL && !(targetFamily(<u32>load<u8>(targetAt)) & family)) return false;
  let protocol: u32 = 0, protocolInverted = false, syn = false;
  for (let m = rule + RULE_HEADER; m < targetAt; m += <usize>load<u16>(m, 2)) {
    const kind = <u32>load<u8>(m), d = m + EXT_HEADER;
    if (FULL && !(matchFamily(kind) & family)) return false;
    if (kind == MATCH_PROTOCOL) {
      protocol = load<u32>(d);
      protocolInverted = load<u8>(m, 1) != 0;
    } else if (kind == MATCH_TCP) {
      syn = syn || ((load<u8>(d, 9) & 2) != 0 && !(load<u8>(d, 11) & 4));
    } else if (kind == MATCH_ADDRTYPE) {
      const limit = load<u32>(d, 4);
      if (limit & ADDRTYPE_LIMIT_IN && limit & ADDRTYPE_LIMIT_OUT) return false;
      if (limit & ADDRTYPE_LIMIT_OUT && mask & (1 << HOOK_PREROUTING | 1 << HOOK_INPUT)) return false;
      if (limit & ADDRTYPE_LIMIT_IN && mask & (1 << HOOK_POSTROUTING | 1 << HOOK_OUTPUT)) return false;
      // Broadcast, blackhole and prohibited addresses are IPv4's alone (addrtype_mt_checkentry_v1).
      if (FULL && number >= TABLES && (load<u16>(d) | load<u16>(d, 2)) & 0x148) return false;
    } else if (FULL && (kind >= XT_FIRST || kind == MATCH_PHYSDEV)) {
      if (!matchMorePlace(m, mask, protocolInverted ? 0 : protocol)) return false;
    } else if (kind == MATCH_MAC) {
      if (mask & (1 << HOOK_OUTPUT | 1 << HOOK_POSTROUTING)) return false;
    } else if (kind == MATCH_RPFILTER) {
      if ((table != TABLE_RAW && table != TABLE_MANGLE) || mask & ~(1 << HOOK_PREROUTING)) return false;
    }
  }
  const tcp = protocol == 6 && !protocolInverted;
  switch (<u32>load<u8>(targetAt)) {
    case TARGET_SNAT: return table == TABLE_NAT && !(mask & ~(1 << HOOK_POSTROUTING | 1 << HOOK_INPUT));
    case TARGET_DNAT: case TARGET_REDIRECT: return table == TABLE_NAT && !(mask & ~(1 << HOOK_PREROUTING | 1 << HOOK_OUTPUT));
    case TARGET_MASQUERADE: return table == TABLE_NAT && !(mask & ~(1 << HOOK_POSTROUTING));
    case TARGET_NETMAP: return table == TABLE_NAT;
    case TARGET_REJECT:
      return table == TABLE_FILTER && !(mask & ~(1 << HOOK_INPUT | 1 << HOOK_FORWARD | 1 << HOOK_OUTPUT))
        && (load<u32>(targetAt, EXT_HEADER) != 7 || tcp) && load<u32>(targetAt, EXT_HEADER) <= 8
        && load<u32>(targetAt, EXT_HEADER) != 4;
    case TARGET_NOTRACK: return table == TABLE_RAW;
    case TARGET_TOS: case TARGET_TTL: return table == TABLE_MANGLE;
    case TARGET_ECN: return table == TABLE_MANGLE && (!(load<u32>(targetAt, EXT_HEADER) & 0xf0) || tcp);
    case TARGET_CLASSIFY: return !(mask & ~(1 << HOOK_OUTPUT | 1 << HOOK_FORWARD | 1 << HOOK_POSTROUTING));
    case TARGET_TCPMSS:
      return tcp && (syn || compat) && (load<u32>(targetAt, EXT_HEADER) != 0xffff
        || !(mask & ~(1 << HOOK_FORWARD | 1 << HOOK_OUTPUT | 1 << HOOK_POSTROUTING)));
    default:
      if (FULL && number >= TABLES && <u32>load<u8>(targetAt) >= TARGET_SNAT6 && <u32>load<u8>(targetAt) <= TARGET_HMARK6) {
        return target6Place(targetAt + EXT_HEADER, <u32>load<u8>(targetAt), table, mask, protocolInverted ? 0 : protocol);
      }
      return !FULL || targetMorePlace(<u32>load<u8>(targetAt), table, mask, protocolInverted ? 0 : protocol);
  }
}

/** Are the data of a match of the right length? `length` is without the header. */
function matchValid(at: usize, length: u32): bool {
  switch (<u32>load<u8>(at)) {
    case MATCH_SOURCE: case MATCH_DESTINATION: case MATCH_MARK: case MATCH_CONNMARK: case MATCH_TTL: case MATCH_TOS:
    case MATCH_MAC: case MATCH_ADDRTYPE: case MATCH_ECN:
      return length == 8;
    case MATCH_IN: case MATCH_OUT: return length == 32;
    case MATCH_PROTOCOL: case MATCH_ICMP: case MATCH_STATE: case MATCH_LENGTH: case MATCH_PKTTYPE: case MATCH_RPFILTER:
      return length == 4;
    case MATCH_FRAGMENT: return length == 0;
    case MATCH_TCP: case MATCH_UDP: case MATCH_LIMIT: return length == 12;
    case MATCH_STATISTIC: return length == 16;
    case MATCH_MULTIPORT: return length >= 4 && length == 4 + (<u32>load<u16>(at + EXT_HEADER, 2) << 2);
    case MATCH_CONNTRACK: return length == CONNTRACK_DATA;
    case MATCH_HASHLIMIT: return length == HASHLIMIT_NAME_AT + HASHLIMIT_NAME;
    case MATCH_RECENT: return length == RECENT_NAME_AT + RECENT_NAME && load<u32>(at + EXT_HEADER, 8) <= 65535;
    case MATCH_IPRANGE: return length == 20;
    case MATCH_SET: return FULL && length == SET_NAME_AT + SET_NAME;
    default: return FULL && matchMoreValid(<u32>load<u8>(at), at + EXT_HEADER, length);
  }
}

function targetSize(kind: u32): u32 {
  switch (kind) {
    case TARGET_NONE: case TARGET_ACCEPT: case TARGET_DROP: case TARGET_RETURN: case TARGET_LOG: case TARGET_NOTRACK: return 0;
    case TARGET_JUMP: case TARGET_GOTO: case TARGET_REJECT: case TARGET_TCPMSS: case TARGET_TEE: case TARGET_CLASSIFY: return 4;
    case TARGET_MARK: case TARGET_TOS: case TARGET_TTL: case TARGET_ECN: return 8;
    case TARGET_CONNMARK: return 16;
    case TARGET_SNAT: case TARGET_DNAT: case TARGET_MASQUERADE: case TARGET_REDIRECT: case TARGET_NETMAP: return NAT_RANGE_BYTES;
    default: return FULL ? targetMoreSize(kind) : NOT;
  }
}

/**
 * One rule apart from any table, as nft_compat keeps matches and targets in rules of nftables: a table of a chain nobody else runs.
 * 0: no memory, 1: malformed, or what only a table can hold.
 */
export function xtRuleNew(rule: usize, bytes: u32, nf: NfNet): usize {
  if (bytes < RULE_HEADER + EXT_HEADER || load<u32>(rule) != bytes) return 1;
  const at = kmalloc(XT_BYTES);
  if (at == 0) return 0;
  const t = changetype<XtTable>(at), head = BLOB_HEADER + BLOB_CHAIN;
  t.blobBytes = head + bytes;
  t.blob = kmalloc(t.blobBytes);
  let result = -ENOMEM;
  if (t.blob != 0) {
    store<u32>(t.blob, 1);
    store<u32>(t.blob, 1, 4);
    store<u32>(t.blob, bytes, 8);
    t.chains = 1;
    t.rules = 1;
    t.rulesAt = t.blob + head;
    memory.copy(t.rulesAt, rule, <usize>bytes);
    store<u32>(chainOf(t, 0), 1, 4);
    store<u32>(chainOf(t, 0), POLICY_USER, 12);
    result = checkRules(t);
    if (result == 0) {
      const kind = <u32>load<u8>(t.rulesAt + <usize>load<u32>(t.rulesAt, 4));
      if (kind == TARGET_ACCEPT || kind == TARGET_DROP || kind == TARGET_RETURN || kind == TARGET_JUMP || kind == TARGET_GOTO) result = -EINVAL;
    }
    if (result == 0 && t.stateBytes != 0) {
      t.state = kmalloc(t.stateBytes);
      if (t.state == 0) result = -ENOMEM;
    }
    if (result == 0) result = stateInit(t, nf);
  }
  if (result == 0) return at;
  tableFree(t, nf);
  return result == -ENOMEM ? 0 : 1;
}

export function xtRuleFree(at: usize, nf: NfNet): void {
  tableFree(changetype<XtTable>(at), nf);
}

/** May the rule stand where packets of these hooks come to it (checkentry of its matches and its target)? */
export function xtRulePlace(nf: NfNet, rule: usize, bytes: u32, table: u32, hooks: u32): i32 {
  const at = xtRuleNew(rule, bytes, nf);
  if (at < 16) return at == 0 ? -ENOMEM : -EINVAL;
  const valid = placeValid(changetype<XtTable>(at).rulesAt, table, hooks, true);
  xtRuleFree(at, nf);
  return valid ? 0 : -EINVAL;
}

/** Where in its data a match keeps the offset of its state; NOT: it has none. */
function stateOffset(kind: u32): u32 {
  switch (kind) {
    case MATCH_STATISTIC: return STATISTIC_STATE_AT;
    case MATCH_LIMIT: return LIMIT_STATE_AT;
    case MATCH_HASHLIMIT: return HASHLIMIT_STATE_AT;
    case MATCH_RECENT: return RECENT_STATE_AT;
    case MATCH_SET: return SET_STATE_AT;
    default: return FULL && kind >= XT_STATEFUL ? 0 : NOT;
  }
}

function stateSize(kind: u32): u32 {
  return kind == MATCH_LIMIT ? 24 : 8;
}

/** The map from the old counters, and the counters that are set. */
function checkCounters(t: XtTable, nf: NfNet, table: u32, map: usize, bytes: u32): i32 {
  const counters = t.rules + t.builtins;
  if (<u64>bytes < (<u64>counters << 2) + 4) return -EINVAL;
  const old = nfTable(nf, table);
  const have: u32 = old == 0 ? 0 : changetype<XtTable>(old).rules + changetype<XtTable>(old).builtins;
  for (let i: u32 = 0; i < counters; i++) {
    const from = load<u32>(map + (<usize>i << 2));
    if (from != NOT && from >= have) return -EINVAL;
  }
  const set = map + (<usize>counters << 2);
  const count = load<u32>(set);
  if (<u64>bytes != (<u64>counters << 2) + 4 + <u64>count * 24) return -EINVAL;
  for (let i: u32 = 0; i < count; i++) {
    if (load<u32>(set + 4 + <usize>(i * 24)) >= counters) return -EINVAL;
  }
  return 0;
}

function countersTake(t: XtTable, old: usize, map: usize): void {
  const counters = t.rules + t.builtins;
  for (let i: u32 = 0; i < counters; i++) {
    const from = load<u32>(map + (<usize>i << 2));
    if (from != NOT) memory.copy(t.counters + (<usize>i << 4), changetype<XtTable>(old).counters + (<usize>from << 4), 16);
  }
  const set = map + (<usize>counters << 2);
  for (let i: u32 = 0, count = load<u32>(set); i < count; i++) {
    const entry = set + 4 + <usize>(i * 24);
    memory.copy(t.counters + (<usize>load<u32>(entry) << 4), entry + 8, 16);
  }
}

function allocate(t: XtTable): i32 {
  t.counterBytes = (t.rules + t.builtins) << 4;
  t.counters = kmalloc(t.counterBytes);
  if (t.stateBytes != 0) t.state = kmalloc(t.stateBytes);
  indexBuild(t);
  t.stackBytes = (t.index != 0 ? compiledStackBytes(t.depth) : t.depth * STACK_ENTRY) * NESTED_MAX;
  if (t.stackBytes != 0) t.stack = kmalloc(t.stackBytes);
  return t.counters == 0 || (t.stateBytes != 0 && t.state == 0) || (t.stackBytes != 0 && t.stack == 0) ? -ENOMEM : 0;
}

/** Sets up what matches remember, in the order of the rules. */
function stateInit(t: XtTable, nf: NfNet): i32 {
  if (t.stateBytes == 0 && !FULL) return 0;
  let rule = t.rulesAt;
  for (let i: u32 = 0; i < t.rules; i++) {
    const target = rule + <usize>load<u32>(rule, 4);
    for (let m = rule + RULE_HEADER; m < target; m += <usize>load<u16>(m, 2)) {
      const kind = <u32>load<u8>(m), where = stateOffset(kind);
      if (FULL) matchMoreEnable(kind, nf);
      if (where == NOT) continue;
      const d = m + EXT_HEADER, state = t.state + <usize>load<u32>(d + <usize>where);
      if (kind == MATCH_STATISTIC) statisticInit(d, state);
      else if (kind == MATCH_LIMIT) { if (!limitInit(d, state)) return -ERANGE; }
      else if (kind == MATCH_HASHLIMIT) { if (!hashlimitInit(d, state, nf)) return -ENOMEM; }
      else if (kind == MATCH_RECENT) { if (!recentInit(d, state, nf)) return -ENOMEM; }
      else if (FULL) {
        const result = kind == MATCH_SET ? setInit(d, state, nf) ? 1 : -1 : matchMoreInit(kind, d, state, nf);
        if (result <= 0) return result == 0 ? -ENOMEM : -ENOENT;
      }
    }
    if (FULL && <u32>load<u8>(target) == TARGET_SET) {
      const d = target + EXT_HEADER;
      if (!targetSetInit(d, t.state + <usize>load<u32>(d), nf)) return -ENOENT;
    }
    rule += <usize>load<u32>(rule);
  }
  return 0;
}

function tableFree(t: XtTable, nf: NfNet): void {
  if (t.state != 0) {
    let rule = t.rulesAt;
    for (let i: u32 = 0; i < t.rules; i++) {
      const target = rule + <usize>load<u32>(rule, 4);
      for (let m = rule + RULE_HEADER; m < target; m += <usize>load<u16>(m, 2)) {
        const kind = <u32>load<u8>(m), d = m + EXT_HEADER;
        if (kind == MATCH_HASHLIMIT) hashlimitExit(t.state + <usize>load<u32>(d, HASHLIMIT_STATE_AT), nf);
        else if (kind == MATCH_RECENT) recentExit(t.state + <usize>load<u32>(d, RECENT_STATE_AT), nf);
        else if (FULL && kind == MATCH_SET) setExit(t.state + <usize>load<u32>(d, SET_STATE_AT));
        else if (FULL && kind >= XT_STATEFUL) matchMoreExit(kind, t.state + <usize>load<u32>(d), nf);
      }
      if (FULL && <u32>load<u8>(target) == TARGET_SET) targetSetExit(t.state + <usize>load<u32>(target, EXT_HEADER));
      rule += <usize>load<u32>(rule);
    }
    kfree(t.state, t.stateBytes);
  }
  if (t.blob != 0) kfree(t.blob, t.blobBytes);
  if (t.counters != 0) kfree(t.counters, t.counterBytes);
  if (t.stack != 0) kfree(t.stack, t.stackBytes);
  indexFree(t);
  kfree(changetype<usize>(t), XT_BYTES);
}
