// What runs at a hook, of either family: tables, connection tracking and NAT in the order of their priorities
// (include/uapi/linux/netfilter_ipv4.h; those of netfilter_ipv6.h are the same), and with nftables or programs in between, the list of
// entries. `base` tells the families apart: 0, or TABLES for the numbers of IPv6's tables.
import {
  HOOK_INPUT, HOOK_OUTPUT, HOOK_POSTROUTING, HOOK_PREROUTING, NF_ACCEPT, NF_DROP, NF_QUEUE, TABLES, TABLE_FILTER, TABLE_MANGLE, TABLE_NAT,
  TABLE_RAW, TABLE_SECURITY,
} from "../abi/netfilter";
import { NFTCHAIN_ROUTE } from "../abi/nft";
import { FULL } from "../features";
import { Netns, Skb } from "../layout";
import { ipRouteMeHarder } from "../net/ip-output";
import { nftDoChain } from "../nft/eval";
import {
  ENTRY_CONFIRM, ENTRY_CONNTRACK, ENTRY_NAT, ENTRY_NFT, ENTRY_NFT_NAT, ENTRY_PROGRAM, ENTRY_TABLE, HOOKS6, HOOK_ENTRY_BYTES, NftChain,
  hookCount, hookEntries, nftNet,
} from "../nft/ruleset";
import { ctConfirm, ctIn } from "./conntrack";
import { routeMeHarder } from "./ipv6-routes";
import { natHook } from "./nat";
import { nfProgram, nfQueue } from "./queue";
import { NfNet, nfNet, nfTable } from "./state";
import { iptDoTable } from "./xtables";

export const IPV4_TABLES: u32 = 0;
export const IPV6_TABLES: u32 = TABLES;

/** iptables' tables, conntrack and NAT alone. Inlined, with `base` a constant: each family has code of its own. */
@inline export function runTables(base: u32, tracked: bool, hook: u32, skb: Skb, ns: Netns, nf: NfNet, inDev: usize, outDev: usize): u32 {
  const first = hook == HOOK_PREROUTING || hook == HOOK_OUTPUT;
  const nat = nfTable(nf, base + TABLE_NAT) != 0;
  let verdict = NF_ACCEPT;
  if (first) {
    if (nfTable(nf, base + TABLE_RAW) != 0) verdict = iptDoTable(skb, ns, nf, base + TABLE_RAW, hook, inDev, outDev);
    if (verdict == NF_ACCEPT && tracked) verdict = ctIn(skb, ns, hook);
  }
  if (verdict == NF_ACCEPT && nfTable(nf, base + TABLE_MANGLE) != 0) verdict = mangle(base, skb, ns, nf, hook, inDev, outDev);
  if (verdict == NF_ACCEPT && first && nat) verdict = natHook(skb, ns, nf, hook, inDev, outDev);
  if (verdict == NF_ACCEPT && hook != HOOK_PREROUTING && hook != HOOK_POSTROUTING) {
    if (nfTable(nf, base + TABLE_FILTER) != 0) verdict = iptDoTable(skb, ns, nf, base + TABLE_FILTER, hook, inDev, outDev);
    if (verdict == NF_ACCEPT && nfTable(nf, base + TABLE_SECURITY) != 0) {
      verdict = iptDoTable(skb, ns, nf, base + TABLE_SECURITY, hook, inDev, outDev);
    }
  }
  if (verdict == NF_ACCEPT && (hook == HOOK_INPUT || hook == HOOK_POSTROUTING)) {
    if (nat) verdict = natHook(skb, ns, nf, hook, inDev, outDev);
    if (verdict == NF_ACCEPT && tracked) verdict = ctConfirm(skb, ns);
  }
  return verdict;
}

/** The same with nftables' chains and programs in between, by priority, beginning with entry `from`. */
export function runEntries(base: u32, hook: u32, skb: Skb, ns: Netns, nf: NfNet, inDev: usize, outDev: usize, from: u32): u32 {
  const list = base == 0 ? hook : hook + HOOKS6;
  const n = nftNet(nf), entries = hookEntries(n, list), count = hookCount(n, list);
  let verdict = NF_ACCEPT;
  for (let i = from; i < count && verdict == NF_ACCEPT; i++) {
    const entry = entries + <usize>(i * HOOK_ENTRY_BYTES), kind = load<u32>(entry, 8), ref = <usize>load<u32>(entry, 12);
    switch (kind) {
      case ENTRY_CONNTRACK: verdict = ctIn(skb, ns, hook); break;
      case ENTRY_NAT: verdict = natHook(skb, ns, nf, hook, inDev, outDev); break;
      case ENTRY_CONFIRM: verdict = ctConfirm(skb, ns); break;
      case ENTRY_NFT: {
        const chain = changetype<NftChain>(ref);
        verdict = chain.flags & NFTCHAIN_ROUTE ? routing(base, ref, skb, ns, nf, hook, inDev, outDev)
          : nftDoChain(chain, skb, ns, nf, hook, inDev, outDev);
        break;
      }
      case ENTRY_TABLE + TABLE_MANGLE: verdict = mangle(base, skb, ns, nf, hook, inDev, outDev); break;
      case ENTRY_PROGRAM: verdict = nfProgram(skb, nf, hook, kind, ref, inDev, outDev); break;
      // ENTRY_NAT runs these.
      case ENTRY_TABLE + TABLE_NAT: case ENTRY_NFT_NAT: break;
      default: verdict = iptDoTable(skb, ns, nf, base + kind - ENTRY_TABLE, hook, inDev, outDev);
    }
    if ((verdict & 0xff) == NF_QUEUE) verdict = nfQueue(skb, ns, nf, hook, kind, ref, verdict, inDev, outDev);
  }
  return verdict;
}

/** Goes on behind the entry {kind, ref} at which the packet was held, or with it once more (nf_reinject). NF_DROP: it is gone. */
export function resumeEntries(base: u32, hook: u32, skb: Skb, ns: Netns, inDev: usize, outDev: usize, kind: u32, ref: usize, again: bool): u32 {
  const nf = nfNet(ns), n = nftNet(nf), list = base == 0 ? hook : hook + HOOKS6, count = hookCount(n, list);
  for (let i: u32 = 0; i < count; i++) {
    const entry = hookEntries(n, list) + <usize>(i * HOOK_ENTRY_BYTES);
    if (load<u32>(entry, 8) != kind || <usize>load<u32>(entry, 12) != ref) continue;
    return runEntries(base, hook, skb, ns, nf, inDev, outDev, again ? i : i + 1);
  }
  return NF_DROP;
}

function mangle(base: u32, skb: Skb, ns: Netns, nf: NfNet, hook: u32, inDev: usize, outDev: usize): u32 {
  if (hook != HOOK_OUTPUT) return iptDoTable(skb, ns, nf, base + TABLE_MANGLE, hook, inDev, outDev);
  return routing(base, 0, skb, ns, nf, hook, inDev, outDev);
}

/** The mangle table (chain 0) or a chain of type route: a packet of which it changed what routes look at is routed anew. */
function routing(base: u32, chain: usize, skb: Skb, ns: Netns, nf: NfNet, hook: u32, inDev: usize, outDev: usize): u32 {
  return FULL && base != 0 ? routing6(chain, skb, ns, nf, hook, inDev, outDev) : routing4(chain, skb, ns, nf, hook, inDev, outDev);
}

// ipt_mangle_out, nf_route_table_hook4
function routing4(chain: usize, skb: Skb, ns: Netns, nf: NfNet, hook: u32, inDev: usize, outDev: usize): u32 {
  const ip = skb.network;
  const mark = skb.mark, tos = load<u8>(ip, 1), addresses = load<u64>(ip, 12);
  const verdict = runOne(IPV4_TABLES, chain, skb, ns, nf, hook, inDev, outDev);
  if (verdict != NF_ACCEPT) return verdict;
  const at = skb.network;
  const same = skb.mark == mark && load<u8>(at, 1) == tos && load<u64>(at, 12) == addresses;
  return same || ipRouteMeHarder(skb, ns) >= 0 ? NF_ACCEPT : NF_DROP;
}

// ip6t_mangle_out, nf_route_table_hook6
function routing6(chain: usize, skb: Skb, ns: Netns, nf: NfNet, hook: u32, inDev: usize, outDev: usize): u32 {
  const ip = skb.network, mark = skb.mark, first = load<u32>(ip), hops = load<u8>(ip, 7);
  const a = load<u64>(ip, 8), b = load<u64>(ip, 16), c = load<u64>(ip, 24), d = load<u64>(ip, 32);
  const verdict = runOne(IPV6_TABLES, chain, skb, ns, nf, hook, inDev, outDev);
  if (verdict != NF_ACCEPT) return verdict;
  const at = skb.network;
  const same = skb.mark == mark && load<u32>(at) == first && load<u8>(at, 7) == hops
    && load<u64>(at, 8) == a && load<u64>(at, 16) == b && load<u64>(at, 24) == c && load<u64>(at, 32) == d;
  return same || routeMeHarder(skb, ns) >= 0 ? NF_ACCEPT : NF_DROP;
}

@inline function runOne(base: u32, chain: usize, skb: Skb, ns: Netns, nf: NfNet, hook: u32, inDev: usize, outDev: usize): u32 {
  return FULL && chain != 0 ? nftDoChain(changetype<NftChain>(chain), skb, ns, nf, hook, inDev, outDev)
    : iptDoTable(skb, ns, nf, base + TABLE_MANGLE, hook, inDev, outDev);
}
