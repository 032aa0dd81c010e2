// The compiled evaluator of tables. Rules that name single addresses, protocols, ports or devices stand in hash tables, one per
// chain and set of fields named; a packet meets only those rules of a chain that stand in its buckets, and those that stand in no
// hash table, in the order of their numbers. Each rule met is looked at as a whole: a bucket may hold too much, never too
// little. What passes is what the plain evaluator (xtables.ts) lets pass, to the last counter, random number and nanosecond charged.
import {
  BLOB_CHAIN, BLOB_HEADER, EXT_HEADER, MATCH_DESTINATION, MATCH_FRAGMENT, MATCH_IN, MATCH_OUT, MATCH_PROTOCOL, MATCH_SOURCE, MATCH_TCP, MATCH_UDP,
  NF_ACCEPT, NF_DROP, PORTS_INV_DPORT, PORTS_INV_SPORT, RULE_HEADER, TARGET_ACCEPT, TARGET_DROP, TARGET_GOTO, TARGET_JUMP, TARGET_NONE,
  TARGET_RETURN, TRACE_CONTINUE, TRACE_GOTO, TRACE_JUMP, TRACE_RETURN,
} from "../abi/netfilter";
import { MATCH_DESTINATION6, MATCH_SOURCE6 } from "../abi/xtables";
import { FULL } from "../features";
import { NetDevice, Netns, Skb } from "../layout";
import { hashWord, mix32 } from "../mm/hash";
import { charge } from "../mm/node";
import { kfree, kmalloc } from "../mm/slab";
import { COST_RULE } from "../net/costs";
import { be16 } from "../wire/bytes";
import { IPPROTO_TCP, IPPROTO_UDP } from "../wire/ipv4";
import { fragmentUnits, ipBytes, isV6, l4Offset, l4Protocol } from "./l3";
import { MATCH_HOTDROP, MATCH_NO, match } from "./match";
import { XtTable } from "./state";
import { target } from "./target";
import { XT_CONTINUE, count, policy, traceRule } from "./xtables";

/** No rule. */
const NONE: u32 = 0xffffffff;

// The fields that a rule names a single value of.
const FIELD_SOURCE: u32 = 1, FIELD_DESTINATION: u32 = 2, FIELD_PROTOCOL: u32 = 4, FIELD_SPORT: u32 = 8, FIELD_DPORT: u32 = 16,
  FIELD_IN: u32 = 32, FIELD_OUT: u32 = 64, FIELD_SETS: u32 = 128;

/** A chain has at most so many hash tables; rules that name other fields are met by every packet. */
const GROUPS_MAX: u32 = 7;
/** Fewer rules that name the same fields get no hash table; a chain with fewer of them altogether has none. */
const GROUP_MIN: u32 = 4;
const CHAIN_MIN: u32 = 8;

// The index of a table: u32 per chain (where its groups stand, 0: it has none), u32 per rule (its offset from the first rule), u32 per
// rule (the next one of its list), then the groups of each chain: {u32 count, u32 the first rule without a group}, per group {u32
// fields, u32 mask, u32 buckets}, and the buckets, each the number of a rule.
const GROUPS_HEADER: u32 = 8;
const GROUP: u32 = 12;

/**
 * A chain that is being run: {u32 chain, u32 rule behind its last, u32 rule behind the last one passed, u32 groups}, and for the rules
 * without a group and each group the next rule to be met.
 */
const FRAME: u32 = 16 + 4 + GROUPS_MAX * 4;

/** Bytes of the stack for tables whose jumps go `depth` deep. */
export function compiledStackBytes(depth: u32): u32 {
  return (depth + 1) * FRAME;
}

// The values that the last call of fieldsOf or packetFields found: the next one overwrites them.
let source: u32 = 0, destination: u32 = 0, protocol: u32 = 0, sport: u32 = 0, dport: u32 = 0;
let in0: u64 = 0, in1: u64 = 0, out0: u64 = 0, out1: u64 = 0;

function hashOf(fields: u32): u32 {
  let h: u32 = fields;
  if (fields & FIELD_SOURCE) h = hashWord(h, source);
  if (fields & FIELD_DESTINATION) h = hashWord(h, destination);
  if (fields & (FIELD_PROTOCOL | FIELD_SPORT | FIELD_DPORT)) {
    h = hashWord(h, (fields & FIELD_PROTOCOL ? protocol << 16 : 0) | (fields & FIELD_DPORT ? dport : 0));
    if (fields & FIELD_SPORT) h = hashWord(h, sport);
  }
  if (fields & FIELD_IN) h = hashName(h, in0, in1);
  if (fields & FIELD_OUT) h = hashName(h, out0, out1);
  return mix32(h);
}

function hashName(seed: u32, a: u64, b: u64): u32 {
  return hashWord(hashWord(seed, <u32>a ^ <u32>(b >> 32)), <u32>(a >> 32) ^ <u32>b);
}

/** Does a name under a mask mean one device alone: does the mask reach a zero byte? */
function nameWhole(d: usize): bool {
  for (let i: usize = 0; i < 16; i++) {
    if (load<u8>(d + i, 16) != 0xff) return false;
    if (load<u8>(d + i) == 0) return true;
  }
  return false;
}

/**
 * The fields that a rule names single values of, before the first match that remembers, draws or may find that the packet can not be
 * judged.
 */
function fieldsOf(rule: usize): u32 {
  const end = rule + <usize>load<u32>(rule, 4);
  let fields: u32 = 0;
  for (let m = rule + RULE_HEADER; m < end; m += <usize>load<u16>(m, 2)) {
    const d = m + EXT_HEADER, inverted = load<u8>(m, 1) != 0;
    switch (<u32>load<u8>(m)) {
      case MATCH_SOURCE:
        if (!inverted && load<u32>(d, 4) == 0xffffffff) { fields |= FIELD_SOURCE; source = load<u32>(d); }
        break;
      case MATCH_DESTINATION:
        if (!inverted && load<u32>(d, 4) == 0xffffffff) { fields |= FIELD_DESTINATION; destination = load<u32>(d); }
        break;
      // Of IPv6 a word made from the address: what has the same word is met in vain.
      case MATCH_SOURCE6:
        if (FULL && !inverted && (load<u64>(d, 16) & load<u64>(d, 24)) == u64.MAX_VALUE) { fields |= FIELD_SOURCE; source = word6(d); }
        break;
      case MATCH_DESTINATION6:
        if (FULL && !inverted && (load<u64>(d, 16) & load<u64>(d, 24)) == u64.MAX_VALUE) { fields |= FIELD_DESTINATION; destination = word6(d); }
        break;
      case MATCH_PROTOCOL:
        if (!inverted && load<u32>(d) < 256) { fields |= FIELD_PROTOCOL; protocol = load<u32>(d); }
        break;
      case MATCH_IN:
        if (!inverted && nameWhole(d)) { fields |= FIELD_IN; in0 = load<u64>(d) & load<u64>(d, 16); in1 = load<u64>(d, 8) & load<u64>(d, 24); }
        break;
      case MATCH_OUT:
        if (!inverted && nameWhole(d)) { fields |= FIELD_OUT; out0 = load<u64>(d) & load<u64>(d, 16); out1 = load<u64>(d, 8) & load<u64>(d, 24); }
        break;
      case MATCH_FRAGMENT: break;
      case MATCH_TCP: case MATCH_UDP: {
        const tcp = <u32>load<u8>(m) == MATCH_TCP;
        if (!(fields & FIELD_PROTOCOL) || protocol != (tcp ? IPPROTO_TCP : IPPROTO_UDP)) return fields;
        if (tcp && load<u8>(d, 10) != 0) return fields; // looks at options, which may be cut short
        const invertedPorts = tcp ? <u32>load<u8>(d, 11) : load<u32>(d, 8);
        if (!(invertedPorts & PORTS_INV_SPORT) && load<u16>(d) == load<u16>(d, 2)) { fields |= FIELD_SPORT; sport = <u32>load<u16>(d); }
        if (!(invertedPorts & PORTS_INV_DPORT) && load<u16>(d, 4) == load<u16>(d, 6)) { fields |= FIELD_DPORT; dport = <u32>load<u16>(d, 4); }
        break;
      }
      default: return fields;
    }
  }
  return fields;
}

@inline function word6(at: usize): u32 {
  const word = load<u64>(at) * 0x9e3779b97f4a7c15 ^ load<u64>(at, 8);
  return <u32>word ^ <u32>(word >> 32);
}

/** The packet's values. False: a fragment or a header cut short, which only the plain evaluator judges. */
function packetFields(skb: Skb, inDev: usize, outDev: usize): bool {
  const ip = skb.network;
  if (fragmentUnits(skb) != 0) return false;
  protocol = l4Protocol(skb);
  if (isV6(ip)) {
    if (protocol > 255) return false;
    source = word6(ip + 8);
    destination = word6(ip + 24);
  } else {
    source = load<u32>(ip, 12);
    destination = load<u32>(ip, 16);
  }
  sport = 0;
  dport = 0;
  if (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP) {
    const header = l4Offset(skb);
    if (header + (protocol == IPPROTO_TCP ? 20 : 8) > ipBytes(skb)) return false;
    sport = be16(ip + <usize>header, 0);
    dport = be16(ip + <usize>header, 2);
  }
  in0 = 0; in1 = 0; out0 = 0; out1 = 0;
  if (inDev != 0) { in0 = changetype<NetDevice>(inDev).name0; in1 = changetype<NetDevice>(inDev).name1; }
  if (outDev != 0) { out0 = changetype<NetDevice>(outDev).name0; out1 = changetype<NetDevice>(outDev).name1; }
  return true;
}

@inline function indexRules(t: XtTable): usize { return t.index + (<usize>t.chains << 2); }
@inline function indexNext(t: XtTable): usize { return indexRules(t) + (<usize>t.rules << 2); }

/**
 * Counts the rules of a chain by the fields they name, and marks in `counts` those that get a hash table by setting the top bit.
 * Returns the bytes of the chain's groups and buckets, 0: it gets none.
 */
function plan(t: XtTable, chain: usize, counts: usize): u32 {
  const rules = load<u32>(chain, 4);
  if (rules < CHAIN_MIN) return 0;
  memory.fill(counts, 0, FIELD_SETS << 2);
  let rule = t.rulesAt + <usize>load<u32>(chain);
  for (let i: u32 = 0; i < rules; i++) {
    const at = counts + <usize>(fieldsOf(rule) << 2);
    store<u32>(at, load<u32>(at) + 1);
    rule += <usize>load<u32>(rule);
  }
  let groups: u32 = 0, grouped: u32 = 0, bytes = GROUPS_HEADER;
  for (let fields: u32 = 1; fields < FIELD_SETS && groups < GROUPS_MAX; fields++) {
    const at = counts + <usize>(fields << 2), many = load<u32>(at);
    if (many < GROUP_MIN || fields == FIELD_PROTOCOL) continue;
    store<u32>(at, many | 0x80000000);
    groups++;
    grouped += many;
    bytes += GROUP + (bucketsFor(many) << 2);
  }
  return grouped < CHAIN_MIN ? 0 : bytes;
}

function bucketsFor(rules: u32): u32 {
  return <u32>1 << (32 - clz<u32>(rules));
}

/** Builds the index of a checked table. Without memory, or where it would not help, there is none. */
export function indexBuild(t: XtTable): void {
  const counts = kmalloc(FIELD_SETS << 2);
  if (counts == 0) return;
  let groupBytes: u64 = 0;
  for (let i: u32 = 0; i < t.chains; i++) groupBytes += <u64>plan(t, chainAt(t, i), counts);
  const head = (t.chains + t.rules * 2) << 2;
  if (groupBytes != 0 && <u64>head + groupBytes < 0x10000000) {
    t.indexBytes = head + <u32>groupBytes;
    t.index = kmalloc(t.indexBytes);
    if (t.index != 0) fill(t, counts, t.index + <usize>head);
  }
  kfree(counts, FIELD_SETS << 2);
}

@inline function chainAt(t: XtTable, chain: u32): usize {
  return t.blob + BLOB_HEADER + <usize>(chain * BLOB_CHAIN);
}

function fill(t: XtTable, counts: usize, groupsAt: usize): void {
  const ruleAt = indexRules(t), next = indexNext(t);
  let rule = t.rulesAt;
  for (let i: u32 = 0; i < t.rules; i++) {
    store<u32>(ruleAt + (<usize>i << 2), <u32>(rule - t.rulesAt));
    rule += <usize>load<u32>(rule);
  }
  let at = groupsAt;
  for (let i: u32 = 0; i < t.chains; i++) {
    const chain = chainAt(t, i), first = load<u32>(chain, 8);
    const bytes = plan(t, chain, counts);
    let groups: u32 = 0;
    if (bytes != 0) {
      store<u32>(t.index + (<usize>i << 2), <u32>at);
      for (let fields: u32 = 1; fields < FIELD_SETS; fields++) {
        if (load<i32>(counts + <usize>(fields << 2)) >= 0) continue;
        const group = at + GROUPS_HEADER + <usize>(groups * GROUP);
        store<u32>(group, fields);
        store<u32>(group, bucketsFor(load<u32>(counts + <usize>(fields << 2)) & 0x7fffffff) - 1, 4);
        groups++;
      }
      store<u32>(at, groups);
      let buckets = at + GROUPS_HEADER + <usize>(groups * GROUP);
      for (let g: u32 = 0; g < groups; g++) {
        const group = at + GROUPS_HEADER + <usize>(g * GROUP);
        const size = (<usize>load<u32>(group, 4) + 1) << 2;
        store<u32>(group, <u32>buckets, 8);
        memory.fill(buckets, 0xff, size);
        buckets += size;
      }
    }
    // From the last rule to the first, so that every list is in order.
    let plain = NONE;
    for (let n = first + load<u32>(chain, 4); n-- > first;) {
      const r = t.rulesAt + <usize>load<u32>(ruleAt + (<usize>n << 2));
      let list: usize = 0;
      if (groups != 0) {
        const fields = fieldsOf(r);
        for (let g: u32 = 0; g < groups; g++) {
          const group = at + GROUPS_HEADER + <usize>(g * GROUP);
          if (load<u32>(group) == fields) list = <usize>load<u32>(group, 8) + (<usize>(hashOf(fields) & load<u32>(group, 4)) << 2);
        }
      }
      if (list != 0) {
        store<u32>(next + (<usize>n << 2), load<u32>(list));
        store<u32>(list, n);
      } else {
        store<u32>(next + (<usize>n << 2), plain);
        plain = n;
      }
    }
    if (bytes != 0) store<u32>(at, plain, 4);
    at += <usize>bytes;
  }
}

export function indexFree(t: XtTable): void {
  if (t.index != 0) kfree(t.index, t.indexBytes);
}

/** Puts the rules of a chain that the packet is to meet into the frame. */
function enter(t: XtTable, frame: usize, chain: u32): void {
  const c = chainAt(t, chain);
  const first = load<u32>(c, 8), rules = load<u32>(c, 4);
  const groups = <usize>load<u32>(t.index + (<usize>chain << 2));
  store<u32>(frame, chain);
  store<u32>(frame, first + rules, 4);
  store<u32>(frame, first, 8);
  if (groups == 0) {
    store<u32>(frame, 0, 12);
    store<u32>(frame, rules == 0 ? NONE : first, 16);
    return;
  }
  const many = load<u32>(groups);
  store<u32>(frame, many, 12);
  store<u32>(frame, load<u32>(groups, 4), 16);
  for (let g: u32 = 0; g < many; g++) {
    const group = groups + GROUPS_HEADER + <usize>(g * GROUP);
    const bucket = <usize>load<u32>(group, 8) + (<usize>(hashOf(load<u32>(group)) & load<u32>(group, 4)) << 2);
    store<u32>(frame + 20 + <usize>(g << 2), load<u32>(bucket));
  }
}

/** True when the packet can be run by the table's index: then `runCompiled` is next. */
export function compiledFits(t: XtTable, skb: Skb, inDev: usize, outDev: usize): bool {
  return t.index != 0 && packetFields(skb, inDev, outDev);
}

/** As xtables.ts' run. `stack` has room for compiledStackBytes. */
export function runCompiled(t: XtTable, stack: usize, skb: Skb, ns: Netns, table: u32, hook: u32, builtin: u32, inDev: usize,
  outDev: usize): u32 {
  const ruleAt = indexRules(t), next = indexNext(t);
  let frame = stack;
  // A packet made by a target of this table may run the table itself and leave other values: they are needed at chains only.
  const source0 = source, destination0 = destination, ports0 = sport << 16 | dport, protocol0 = protocol;
  const ina = in0, inb = in1, outa = out0, outb = out1;
  enter(t, frame, builtin);
  while (true) {
    let best = load<u32>(frame, 16), list: usize = frame + 16;
    const lists = frame + 20 + (<usize>load<u32>(frame, 12) << 2);
    for (let at = frame + 20; at < lists; at += 4) {
      if (load<u32>(at) < best) { best = load<u32>(at); list = at; }
    }
    if (best == NONE) {
      charge(COST_RULE * (load<u32>(frame, 4) - load<u32>(frame, 8)));
      if (frame == stack) return policy(t, skb, ns, table, hook, builtin, inDev, outDev);
      frame -= FRAME;
      continue;
    }
    charge(COST_RULE * (best + 1 - load<u32>(frame, 8)));
    store<u32>(frame, best + 1, 8);
    store<u32>(list, load<u32>(next + (<usize>best << 2)));
    const rule = t.rulesAt + <usize>load<u32>(ruleAt + (<usize>best << 2));
    const targetAt = rule + <usize>load<u32>(rule, 4);
    let matched: u32 = 1;
    for (let m = rule + RULE_HEADER; m < targetAt; m += <usize>load<u16>(m, 2)) {
      matched = match(m, skb, ns, t, table, hook, inDev, outDev);
      if (matched != 1) break;
    }
    if (matched == MATCH_NO) continue;
    if (matched == MATCH_HOTDROP) return NF_DROP;
    count(t, best, skb);
    const kind = <u32>load<u8>(targetAt), chain = load<u32>(frame);
    const here = best - load<u32>(chainAt(t, chain), 8) + 1;
    if (kind == TARGET_NONE) {
      traceRule(skb, ns, table, hook, chain, here, TRACE_CONTINUE, inDev, outDev);
      continue;
    }
    if (kind == TARGET_RETURN) {
      traceRule(skb, ns, table, hook, chain, here, TRACE_RETURN, inDev, outDev);
      if (frame == stack) return policy(t, skb, ns, table, hook, builtin, inDev, outDev);
      frame -= FRAME;
      continue;
    }
    if (kind == TARGET_JUMP || kind == TARGET_GOTO) {
      const to = load<u32>(targetAt, EXT_HEADER);
      traceRule(skb, ns, table, hook, chain, here, (kind == TARGET_JUMP ? TRACE_JUMP : TRACE_GOTO) | to, inDev, outDev);
      if (kind == TARGET_JUMP) frame += FRAME;
      enter(t, frame, to);
      continue;
    }
    let verdict = NF_ACCEPT;
    if (kind == TARGET_DROP) verdict = NF_DROP;
    else if (kind != TARGET_ACCEPT) {
      verdict = target(targetAt, skb, ns, t, hook, inDev, outDev);
      source = source0; destination = destination0; protocol = protocol0; sport = ports0 >>> 16; dport = ports0 & 0xffff;
      in0 = ina; in1 = inb; out0 = outa; out1 = outb;
    }
    traceRule(skb, ns, table, hook, chain, here, verdict == XT_CONTINUE ? TRACE_CONTINUE : verdict, inDev, outDev);
    if (verdict != XT_CONTINUE) return verdict;
  }
  return NF_DROP;
}
