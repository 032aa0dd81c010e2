// Running of tables, net/ipv4/netfilter/ip_tables.c, and the plain evaluator: rules in order, jumps by a stack of return addresses. It
// only reads the checked blob; counters and what matches remember stand apart, so that the compiled evaluator (compiled.ts) can take its
// place.
import { OBS_HOOK, OBS_RULE } from "../abi/core";
import {
  BLOB_CHAIN, BLOB_HEADER, EXT_HEADER, NF_ACCEPT, NF_DROP, NF_STOLEN, RULE_HEADER, TABLES, TABLE_FILTER_HOOKS, TABLE_MANGLE_HOOKS,
  TABLE_NAT_HOOKS, TABLE_RAW_HOOKS, TABLE_SECURITY_HOOKS, TARGET_ACCEPT, TARGET_DROP, TARGET_GOTO, TARGET_JUMP, TARGET_NONE,
  TARGET_RETURN, TRACE_CONTINUE, TRACE_GOTO, TRACE_JUMP, TRACE_RETURN,
} from "../abi/netfilter";
import { FULL } from "../features";
import { Netns, Skb } from "../layout";
import { charge } from "../mm/node";
import { COST_RULE } from "../net/costs";
import { flowCounter, flowRecording } from "../net/flow";
import { observeRecord, tracing } from "../trace/observe";
import { ipLength } from "./l3";
import { compiledFits, compiledStackBytes, runCompiled } from "./compiled";
import { MATCH_HOTDROP, MATCH_NO, match } from "./match";
import { NfNet, XtTable, nfTable } from "./state";
import { target } from "./target";

/** What `target` answers for "go on with the next rule"; everything else is a verdict NF_*. */
export const XT_CONTINUE: u32 = 0xffffffff;

/** A table may be entered again while it is being run (a reply made by REJECT, a copy made by TEE): so often. */
export const NESTED_MAX: u32 = 3;
/** An entry of the stack: {u32 next rule, u32 rules left, u32 number of the next rule, u32 chain}. */
export const STACK_ENTRY: u32 = 16;

/** The hooks of a table, bit per HOOK_*. */
export function tableHooks(table: u32): u32 {
  switch (table % TABLES) {
    case 0: return TABLE_RAW_HOOKS;
    case 1: return TABLE_MANGLE_HOOKS;
    case 2: return TABLE_NAT_HOOKS;
    case 3: return TABLE_FILTER_HOOKS;
    default: return TABLE_SECURITY_HOOKS;
  }
}

/** Runs the packet through the table's chain of this hook (ipt_do_table). NF_ACCEPT, NF_DROP or NF_STOLEN. */
export function iptDoTable(skb: Skb, ns: Netns, nf: NfNet, table: u32, hook: u32, inDev: usize, outDev: usize): u32 {
  const at = nfTable(nf, table);
  if (at == 0) return NF_ACCEPT;
  const t = changetype<XtTable>(at);
  if (t.nested >= NESTED_MAX) return NF_DROP;
  const stack = t.stack + <usize>(t.nested * (t.index != 0 ? compiledStackBytes(t.depth) : t.depth * STACK_ENTRY));
  const builtin = popcnt<u32>(tableHooks(table) & ((1 << hook) - 1));
  t.nested++;
  const verdict = !nf.plain && compiledFits(t, skb, inDev, outDev)
    ? runCompiled(t, stack, skb, ns, table, hook, builtin, inDev, outDev)
    : run(t, stack, skb, ns, table, hook, builtin, inDev, outDev);
  t.nested--;
  if (tracing() && verdict != NF_STOLEN) {
    const record = observeRecord(OBS_HOOK, skb, changetype<usize>(ns), inDev != 0 ? inDev : outDev, 12);
    if (record != 0) {
      store<u32>(record, hook);
      store<u32>(record, table, 4);
      store<u32>(record, verdict, 8);
    }
  }
  return verdict;
}

function run(t: XtTable, stack: usize, skb: Skb, ns: Netns, table: u32, hook: u32, builtin: u32, inDev: usize,
  outDev: usize): u32 {
  let chain = builtin;
  let chainAt = t.blob + BLOB_HEADER + <usize>(chain * BLOB_CHAIN);
  let rule = t.rulesAt + <usize>load<u32>(chainAt);
  let left = load<u32>(chainAt, 4), number = load<u32>(chainAt, 8), depth: u32 = 0;
  while (true) {
    if (left == 0) {
      // The end of a chain returns; the end of the built-in chain is its policy.
      if (depth == 0) return policy(t, skb, ns, table, hook, builtin, inDev, outDev);
      depth--;
      const entry = stack + <usize>(depth * STACK_ENTRY);
      rule = <usize>load<u32>(entry);
      left = load<u32>(entry, 4);
      number = load<u32>(entry, 8);
      chain = load<u32>(entry, 12);
      continue;
    }
    charge(COST_RULE);
    const bytes = load<u32>(rule), targetAt = rule + <usize>load<u32>(rule, 4);
    let m = rule + RULE_HEADER, matched: u32 = 1;
    while (m < targetAt) {
      matched = match(m, skb, ns, t, table, hook, inDev, outDev);
      if (matched != 1) break;
      m += <usize>load<u16>(m, 2);
    }
    if (matched == MATCH_HOTDROP) return NF_DROP;
    if (matched == MATCH_NO) {
      rule += <usize>bytes;
      left--;
      number++;
      continue;
    }
    count(t, number, skb);
    const kind = <u32>load<u8>(targetAt);
    const here = number - load<u32>(t.blob + BLOB_HEADER + <usize>(chain * BLOB_CHAIN), 8) + 1;
    rule += <usize>bytes;
    left--;
    number++;
    if (kind == TARGET_NONE) {
      traceRule(skb, ns, table, hook, chain, here, TRACE_CONTINUE, inDev, outDev);
      continue;
    }
    if (kind == TARGET_RETURN) {
      traceRule(skb, ns, table, hook, chain, here, TRACE_RETURN, inDev, outDev);
      left = 0;
      continue;
    }
    if (kind == TARGET_JUMP || kind == TARGET_GOTO) {
      const to = load<u32>(targetAt, EXT_HEADER);
      traceRule(skb, ns, table, hook, chain, here, (kind == TARGET_JUMP ? TRACE_JUMP : TRACE_GOTO) | to, inDev, outDev);
      if (kind == TARGET_JUMP) {
        const entry = stack + <usize>(depth * STACK_ENTRY);
        store<u32>(entry, <u32>rule);
        store<u32>(entry, left, 4);
        store<u32>(entry, number, 8);
        store<u32>(entry, chain, 12);
        depth++;
      }
      chain = to;
      chainAt = t.blob + BLOB_HEADER + <usize>(chain * BLOB_CHAIN);
      rule = t.rulesAt + <usize>load<u32>(chainAt);
      left = load<u32>(chainAt, 4);
      number = load<u32>(chainAt, 8);
      continue;
    }
    let verdict = NF_ACCEPT;
    if (kind == TARGET_DROP) verdict = NF_DROP;
    else if (kind != TARGET_ACCEPT) verdict = target(targetAt, skb, ns, t, hook, inDev, outDev);
    traceRule(skb, ns, table, hook, chain, here, verdict == XT_CONTINUE ? TRACE_CONTINUE : verdict, inDev, outDev);
    if (verdict != XT_CONTINUE) return verdict;
  }
  return NF_DROP;
}

/** The counter `number` counts the packet. */
@inline export function count(t: XtTable, number: u32, skb: Skb): void {
  const counter = t.counters + (<usize>number << 4);
  if (FULL && flowRecording(skb)) flowCounter(counter);
  store<u64>(counter, load<u64>(counter) + 1);
  store<u64>(counter, load<u64>(counter, 8) + <u64>ipLength(skb), 8);
}

/** The end of a built-in chain. */
export function policy(t: XtTable, skb: Skb, ns: Netns, table: u32, hook: u32, chain: u32, inDev: usize, outDev: usize): u32 {
  count(t, t.rules + chain, skb);
  const verdict = load<u32>(t.blob + BLOB_HEADER + <usize>(chain * BLOB_CHAIN), 12);
  traceRule(skb, ns, table, hook, chain, 0, verdict, inDev, outDev);
  return verdict;
}

/** Records a rule that matched, with what came of it; rule 0 is the policy. */
export function traceRule(skb: Skb, ns: Netns, table: u32, hook: u32, chain: u32, number: u32, verdict: u32, inDev: usize,
  outDev: usize): void {
  if (!tracing()) return;
  const record = observeRecord(OBS_RULE, skb, changetype<usize>(ns), inDev != 0 ? inDev : outDev, 20);
  if (record == 0) return;
  store<u32>(record, hook);
  store<u32>(record, table, 4);
  store<u32>(record, chain, 8);
  store<u32>(record, number, 12);
  store<u32>(record, verdict, 16);
}
