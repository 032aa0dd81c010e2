// The five hooks of IPv6 (include/uapi/linux/netfilter_ipv6.h): what runs at them, and in what order, is as with IPv4 (hooks.ts). A packet
// comes with `skb.protocol` ETH_P_IPV6, `skb.network` = `skb.data` at its fixed header, and what net/ip6-ext.ts' walk found:
// `skb.nextHeader`, `skb.transport`, `skb.fragHeader`, `skb.fragOffset`. Whoever changes headers walks anew (ip6Walk).
import { OBS_LOCAL_IN } from "../abi/core";
import {
  HOOK_INPUT, HOOK_OUTPUT, HOOK_POSTROUTING, HOOK_PREROUTING, NF_ACCEPT, NF_DROP, NF_QUEUE, TABLES, TABLE_FILTER, TABLE_MANGLE, TABLE_NAT,
  TABLE_RAW, TABLE_SECURITY,
} from "../abi/netfilter";
import { NFTCHAIN_ROUTE } from "../abi/nft";
import { Netns, Skb } from "../layout";
import { charge } from "../mm/node";
import { COST_HOOK } from "../net/costs";
import { nftDoChain } from "../nft/eval";
import {
  ENTRY_CONFIRM, ENTRY_CONNTRACK, ENTRY_NAT, ENTRY_NFT, ENTRY_NFT_NAT, ENTRY_PROGRAM, ENTRY_TABLE, HOOKS6, HOOK_ENTRY_BYTES, NftChain,
  hookCount, hookEntries, nftNet,
} from "../nft/ruleset";
import { observeRecord, tracing } from "../trace/observe";
import { ctConfirm, ctIn } from "./conntrack";
import { routeMeHarder } from "./ipv6-routes";
import { natHook } from "./nat";
import { nfProgram, nfQueue } from "./queue";
import { NfNet, nfNet } from "./state";
import { iptDoTable } from "./xtables";

/**
 * Runs everything registered at `hook` for IPv6. NF_ACCEPT: go on with the packet, whose addresses may have changed. NF_DROP: the
 * caller drops it. NF_STOLEN: it is no longer the caller's.
 */
export function nfHook6(hook: u32, skb: Skb, ns: Netns, inDev: usize, outDev: usize): u32 {
  const nf = nfNet(ns);
  let verdict = NF_ACCEPT;
  if (nf.hooks6 & (1 << hook)) {
    charge(COST_HOOK);
    verdict = nf.nft != 0 ? runEntries(hook, skb, ns, nf, inDev, outDev, 0) : runTables(hook, skb, ns, nf, inDev, outDev);
  }
  if (hook == HOOK_INPUT && verdict == NF_ACCEPT && tracing()) observeDelivery(skb, ns, inDev);
  return verdict;
}

function runTables(hook: u32, skb: Skb, ns: Netns, nf: NfNet, inDev: usize, outDev: usize): u32 {
  const first = hook == HOOK_PREROUTING || hook == HOOK_OUTPUT, last = hook == HOOK_INPUT || hook == HOOK_POSTROUTING;
  const tracked = nf.conntrackUsers6 != 0, nat = nf.table7 != 0;
  let verdict = NF_ACCEPT;
  if (first) {
    if (nf.table5 != 0) verdict = iptDoTable(skb, ns, nf, TABLES + TABLE_RAW, hook, inDev, outDev);
    if (verdict == NF_ACCEPT && tracked) verdict = ctIn(skb, ns, hook);
  }
  if (verdict == NF_ACCEPT && nf.table6 != 0) verdict = mangle(skb, ns, nf, hook, inDev, outDev);
  if (verdict == NF_ACCEPT && first && nat) verdict = natHook(skb, ns, nf, hook, inDev, outDev);
  if (verdict == NF_ACCEPT && hook != HOOK_PREROUTING && hook != HOOK_POSTROUTING) {
    if (nf.table8 != 0) verdict = iptDoTable(skb, ns, nf, TABLES + TABLE_FILTER, hook, inDev, outDev);
    if (verdict == NF_ACCEPT && nf.table9 != 0) verdict = iptDoTable(skb, ns, nf, TABLES + TABLE_SECURITY, hook, inDev, outDev);
  }
  if (verdict == NF_ACCEPT && last) {
    if (nat) verdict = natHook(skb, ns, nf, hook, inDev, outDev);
    if (verdict == NF_ACCEPT && tracked) verdict = ctConfirm(skb, ns);
  }
  return verdict;
}

/** Goes on behind the entry {kind, ref} at which the packet was held, or with it once more, as nfHookFrom does. */
export function nfHookFrom6(hook: u32, skb: Skb, ns: Netns, inDev: usize, outDev: usize, kind: u32, ref: usize, again: bool): u32 {
  const nf = nfNet(ns), n = nftNet(nf), count = hookCount(n, hook + HOOKS6);
  for (let i: u32 = 0; i < count; i++) {
    const entry = hookEntries(n, hook + HOOKS6) + <usize>(i * HOOK_ENTRY_BYTES);
    if (load<u32>(entry, 8) != kind || <usize>load<u32>(entry, 12) != ref) continue;
    const verdict = runEntries(hook, skb, ns, nf, inDev, outDev, again ? i : i + 1);
    if (hook == HOOK_INPUT && verdict == NF_ACCEPT && tracing()) observeDelivery(skb, ns, inDev);
    return verdict;
  }
  return NF_DROP;
}

/** The same as runTables, with nftables' chains and programs in between, by priority, beginning with entry `from`. */
function runEntries(hook: u32, skb: Skb, ns: Netns, nf: NfNet, inDev: usize, outDev: usize, from: u32): u32 {
  const n = nftNet(nf), entries = hookEntries(n, hook + HOOKS6), count = hookCount(n, hook + HOOKS6);
  let verdict = NF_ACCEPT;
  for (let i = from; i < count && verdict == NF_ACCEPT; i++) {
    const entry = entries + <usize>(i * HOOK_ENTRY_BYTES), kind = load<u32>(entry, 8);
    switch (kind) {
      case ENTRY_CONNTRACK: verdict = ctIn(skb, ns, hook); break;
      case ENTRY_NAT: verdict = natHook(skb, ns, nf, hook, inDev, outDev); break;
      case ENTRY_CONFIRM: verdict = ctConfirm(skb, ns); break;
      case ENTRY_NFT: {
        const chain = changetype<NftChain>(<usize>load<u32>(entry, 12));
        verdict = chain.flags & NFTCHAIN_ROUTE ? routeChain(chain, skb, ns, nf, hook, inDev, outDev)
          : nftDoChain(chain, skb, ns, nf, hook, inDev, outDev);
        break;
      }
      case ENTRY_TABLE + TABLE_MANGLE: verdict = mangle(skb, ns, nf, hook, inDev, outDev); break;
      case ENTRY_PROGRAM: verdict = nfProgram(skb, nf, hook, kind, <usize>load<u32>(entry, 12), inDev, outDev); break;
      // ENTRY_NAT runs these.
      case ENTRY_TABLE + TABLE_NAT: case ENTRY_NFT_NAT: break;
      default: verdict = iptDoTable(skb, ns, nf, TABLES + kind - ENTRY_TABLE, hook, inDev, outDev);
    }
    if ((verdict & 0xff) == NF_QUEUE) verdict = nfQueue(skb, ns, nf, hook, kind, <usize>load<u32>(entry, 12), verdict, inDev, outDev);
  }
  return verdict;
}

/** Is what routes look at another than before a table or chain ran (ip6t_mangle_out, nf_route_table_hook6)? */
function changed(skb: Skb, mark: u32, first: u32, hops: u32, a: u64, b: u64, c: u64, d: u64): bool {
  const ip = skb.network;
  return skb.mark != mark || load<u32>(ip) != first || <u32>load<u8>(ip, 7) != hops || load<u64>(ip, 8) != a || load<u64>(ip, 16) != b
    || load<u64>(ip, 24) != c || load<u64>(ip, 32) != d;
}

/** The mangle table; in OUTPUT a packet of which it changed what routes look at is routed anew. */
function mangle(skb: Skb, ns: Netns, nf: NfNet, hook: u32, inDev: usize, outDev: usize): u32 {
  if (hook != HOOK_OUTPUT) return iptDoTable(skb, ns, nf, TABLES + TABLE_MANGLE, hook, inDev, outDev);
  const ip = skb.network, mark = skb.mark, first = load<u32>(ip), hops = <u32>load<u8>(ip, 7);
  const a = load<u64>(ip, 8), b = load<u64>(ip, 16), c = load<u64>(ip, 24), d = load<u64>(ip, 32);
  const verdict = iptDoTable(skb, ns, nf, TABLES + TABLE_MANGLE, hook, inDev, outDev);
  if (verdict == NF_ACCEPT && changed(skb, mark, first, hops, a, b, c, d) && routeMeHarder(skb, ns) < 0) return NF_DROP;
  return verdict;
}

/** A chain of type route, likewise. */
function routeChain(chain: NftChain, skb: Skb, ns: Netns, nf: NfNet, hook: u32, inDev: usize, outDev: usize): u32 {
  const ip = skb.network, mark = skb.mark, first = load<u32>(ip), hops = <u32>load<u8>(ip, 7);
  const a = load<u64>(ip, 8), b = load<u64>(ip, 16), c = load<u64>(ip, 24), d = load<u64>(ip, 32);
  const verdict = nftDoChain(chain, skb, ns, nf, hook, inDev, outDev);
  if (verdict == NF_ACCEPT && changed(skb, mark, first, hops, a, b, c, d) && routeMeHarder(skb, ns) < 0) return NF_DROP;
  return verdict;
}

/** What this host is given, as raw sockets see it. */
function observeDelivery(skb: Skb, ns: Netns, inDev: usize): void {
  const length = <u32>(skb.tail - skb.network);
  const at = observeRecord(OBS_LOCAL_IN, skb, changetype<usize>(ns), inDev, 4 + length);
  if (at == 0) return;
  store<u32>(at, length);
  memory.copy(at + 4, skb.network, <usize>length);
}

/** Does anything in the namespace track connections of IPv6, so that fragments have to be put together first (nf_defrag_ipv6)? */
export function nfDefragNeeded6(ns: Netns): bool {
  return ns.netfilter != 0 && nfNet(ns).conntrackUsers6 != 0;
}
