// The five hooks of IPv4 and what runs at each, in the order of the priorities of include/uapi/linux/netfilter_ipv4.h.
//
//   in ──► PREROUTING ──► route ──► FORWARD ──────────────► POSTROUTING ──► out
//          raw     -300     │       mangle   -150      ▲    mangle   -150
//          conntr. -200     │       filter      0      │    nat src   100
//          mangle  -150     ▼       security   50      │    confirm   max
//          nat dst -100   INPUT                      OUTPUT
//                         mangle   -150              raw      -300
//                         filter      0              conntr.  -200
//                         security   50              mangle   -150, then a new route if it changed what routes look at
//                         nat src   100              nat dst  -100, then a new route if it changed the destination
//                         confirm   max              filter      0
//                           ▼                        security   50
//                        sockets ──────────────────────┘
//
// A table is there once the driver has loaded it. Connection tracking, and NAT with it, runs in a namespace only while a loaded
// rule needs it (nf_ct_netns_get): a nat table without such a rule is never asked.
import { OBS_LOCAL_IN } from "../abi/core";
import {
  HOOK_INPUT, HOOK_OUTPUT, HOOK_POSTROUTING, HOOK_PREROUTING, NF_ACCEPT, NF_DROP, NF_QUEUE, TABLES_ALL, TABLE_FILTER, TABLE_MANGLE, TABLE_NAT,
  TABLE_RAW, TABLE_SECURITY,
} from "../abi/netfilter";
import { NFTCHAIN_ROUTE } from "../abi/nft";
import { Netns, Skb } from "../layout";
import { charge } from "../mm/node";
import { COST_HOOK } from "../net/costs";
import { ipPartialChecksum, ipRawVisible } from "../net/ip-input";
import { ipRouteMeHarder } from "../net/ip-output";
import { nftDoChain } from "../nft/eval";
import {
  ENTRY_CONFIRM, ENTRY_CONNTRACK, ENTRY_NAT, ENTRY_NFT, ENTRY_NFT_NAT, ENTRY_PROGRAM, ENTRY_TABLE, HOOK_ENTRY_BYTES, NftChain, hookCount,
  hookEntries, nftExit, nftNet,
} from "../nft/ruleset";
import { observeRecord, tracing } from "../trace/observe";
import { ctAttach, ctConfirm, ctDetach, ctIn, ctNetnsExit, skbCt } from "./conntrack";
import { ipBytes } from "./l3";
import { FULL } from "../features";
import { ipsetExit } from "./ipset";
import { natHook } from "./nat";
import { nfProgram, nfQueue, nfQueueExit } from "./queue";
import { NfNet, nfNet, nfNetCreate, nfNetFree, nfTable } from "./state";
import { tableRemove } from "./table";
import { iptDoTable } from "./xtables";

/**
 * Runs everything registered at `hook` on the packet (`skb.network` is set; `inDev`, `outDev` are devices or 0). NF_ACCEPT: go
 * on with the packet, whose addresses may have changed. NF_DROP: the caller drops it. NF_STOLEN: it is no longer the caller's.
 */
@inline export function nfHook(hook: u32, skb: Skb, ns: Netns, inDev: usize, outDev: usize): u32 {
  if (nfHookIdle(hook, ns)) return NF_ACCEPT;
  return hookAndObserve(hook, skb, ns, inDev, outDev);
}

/** Nothing is registered there, and nobody watches. */
@inline function nfHookIdle(hook: u32, ns: Netns): bool {
  return !(nfNet(ns).hooks & (1 << hook)) && (hook != HOOK_INPUT || !tracing());
}

function hookAndObserve(hook: u32, skb: Skb, ns: Netns, inDev: usize, outDev: usize): u32 {
  const verdict = runHook(hook, skb, ns, inDev, outDev);
  if (hook == HOOK_INPUT && verdict == NF_ACCEPT && tracing()) observeDelivery(skb, ns, inDev);
  return verdict;
}

/** What this host is given, as raw sockets see it. */
function observeDelivery(skb: Skb, ns: Netns, inDev: usize): void {
  if (!ipRawVisible(skb)) return;
  const length = ipBytes(skb);
  const at = observeRecord(OBS_LOCAL_IN, skb, changetype<usize>(ns), inDev, 4 + length);
  if (at == 0) return;
  store<u32>(at, length);
  memory.copy(at + 4, skb.network, <usize>length);
  ipPartialChecksum(skb, at + 4);
}

function runHook(hook: u32, skb: Skb, ns: Netns, inDev: usize, outDev: usize): u32 {
  const nf = nfNet(ns);
  if (!(nf.hooks & (1 << hook))) return NF_ACCEPT;
  charge(COST_HOOK);
  if (FULL && nf.nft != 0) return runEntries(hook, skb, ns, nf, inDev, outDev, 0);
  const first = hook == HOOK_PREROUTING || hook == HOOK_OUTPUT;
  const tracked = nf.conntrackUsers != 0;
  let verdict = NF_ACCEPT;
  if (first) {
    if (nf.table0 != 0) verdict = iptDoTable(skb, ns, nf, TABLE_RAW, hook, inDev, outDev);
    if (verdict == NF_ACCEPT && tracked) verdict = ctIn(skb, ns, hook);
  }
  if (verdict == NF_ACCEPT && nf.table1 != 0) verdict = mangle(skb, ns, nf, hook, inDev, outDev);
  if (verdict == NF_ACCEPT && first && nfTable(nf, TABLE_NAT) != 0) verdict = natHook(skb, ns, nf, hook, inDev, outDev);
  if (verdict == NF_ACCEPT && hook != HOOK_PREROUTING && hook != HOOK_POSTROUTING) {
    if (nf.table3 != 0) verdict = iptDoTable(skb, ns, nf, TABLE_FILTER, hook, inDev, outDev);
    if (verdict == NF_ACCEPT && nf.table4 != 0) verdict = iptDoTable(skb, ns, nf, TABLE_SECURITY, hook, inDev, outDev);
  }
  if (verdict == NF_ACCEPT && (hook == HOOK_INPUT || hook == HOOK_POSTROUTING)) {
    if (nfTable(nf, TABLE_NAT) != 0) verdict = natHook(skb, ns, nf, hook, inDev, outDev);
    if (verdict == NF_ACCEPT && tracked) verdict = ctConfirm(skb, ns);
  }
  return verdict;
}

/** Goes on behind the entry {kind, ref} at which the packet was held, or with it once more (nf_reinject). NF_DROP: it is gone. */
export function nfHookFrom(hook: u32, skb: Skb, ns: Netns, inDev: usize, outDev: usize, kind: u32, ref: usize, again: bool): u32 {
  const nf = nfNet(ns), n = nftNet(nf), count = hookCount(n, hook);
  for (let i: u32 = 0; i < count; i++) {
    const entry = hookEntries(n, hook) + <usize>(i * HOOK_ENTRY_BYTES);
    if (load<u32>(entry, 8) != kind || <usize>load<u32>(entry, 12) != ref) continue;
    const verdict = runEntries(hook, skb, ns, nf, inDev, outDev, again ? i : i + 1);
    if (hook == HOOK_INPUT && verdict == NF_ACCEPT && tracing()) observeDelivery(skb, ns, inDev);
    return verdict;
  }
  return NF_DROP;
}

/** The same with nftables' chains and programs in between, by priority, beginning with entry `from`. */
function runEntries(hook: u32, skb: Skb, ns: Netns, nf: NfNet, inDev: usize, outDev: usize, from: u32): u32 {
  const n = nftNet(nf), entries = hookEntries(n, hook), count = hookCount(n, hook);
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
      default: verdict = iptDoTable(skb, ns, nf, kind - ENTRY_TABLE, hook, inDev, outDev);
    }
    if ((verdict & 0xff) == NF_QUEUE) verdict = nfQueue(skb, ns, nf, hook, kind, <usize>load<u32>(entry, 12), verdict, inDev, outDev);
  }
  return verdict;
}

/** A chain of type route: what changed what routes look at is routed anew (nf_route_table_hook4). */
function routeChain(chain: NftChain, skb: Skb, ns: Netns, nf: NfNet, hook: u32, inDev: usize, outDev: usize): u32 {
  const mark = skb.mark, tos = load<u8>(skb.network, 1), addresses = load<u64>(skb.network, 12);
  const verdict = nftDoChain(chain, skb, ns, nf, hook, inDev, outDev);
  if (verdict == NF_ACCEPT
    && (skb.mark != mark || load<u8>(skb.network, 1) != tos || load<u64>(skb.network, 12) != addresses)
    && ipRouteMeHarder(skb, ns) < 0) return NF_DROP;
  return verdict;
}

/** The mangle table; in OUTPUT a packet whose mark, addresses or TOS it changed is routed anew (ipt_mangle_out). */
function mangle(skb: Skb, ns: Netns, nf: NfNet, hook: u32, inDev: usize, outDev: usize): u32 {
  if (hook != HOOK_OUTPUT) return iptDoTable(skb, ns, nf, TABLE_MANGLE, hook, inDev, outDev);
  const ip = skb.network;
  const mark = skb.mark, tos = load<u8>(ip, 1), addresses = load<u64>(ip, 12);
  const verdict = iptDoTable(skb, ns, nf, TABLE_MANGLE, hook, inDev, outDev);
  if (verdict == NF_ACCEPT
    && (skb.mark != mark || load<u8>(skb.network, 1) != tos || load<u64>(skb.network, 12) != addresses)
    && ipRouteMeHarder(skb, ns) < 0) return NF_DROP;
  return verdict;
}

/** Enters the packet's connection into the table, if it has one that is not there yet. NF_ACCEPT or NF_DROP. */
export function nfConfirm(skb: Skb, ns: Netns): u32 {
  return skb.nfct == 0 ? NF_ACCEPT : ctConfirm(skb, ns);
}

/** Lets go of the packet's connection (nf_reset_ct): it is freed, or crosses into another namespace. */
export function nfSkbReset(skb: Skb): void {
  ctDetach(skb);
  skb.nfFlags = 0;
  skb.ctTemplate = 0;
  skb.ctZone = 0;
}

/** A copy of a bridged frame belongs to the same connection, as skb_clone has it. */
export function nfSkbShare(copy: Skb, skb: Skb): void {
  if (skb.nfct != 0) skbCt(skb).use++;
  copy.nfct = skb.nfct;
  copy.ctinfo = skb.ctinfo;
  copy.nfFlags = skb.nfFlags;
}

/** Does anything in the namespace track connections, so that fragments have to be put together first? */
export function nfDefragNeeded(ns: Netns): bool {
  return ns.netfilter != 0 && nfNet(ns).conntrackUsers != 0;
}

/** A packet made in answer to `about` (an ICMP error, a RST) belongs to its connection (nf_ct_attach). */
export function nfCtAttach(skb: Skb, about: Skb): void {
  ctAttach(skb, about);
}

/** A namespace begins (before anything passes) or ends (after its devices and sockets are gone). */
export function nfNetnsInit(ns: Netns): bool {
  return nfNetCreate(ns);
}
export function nfNetnsExit(ns: Netns): void {
  if (ns.netfilter == 0) return;
  const nf = nfNet(ns);
  if (FULL) nfQueueExit(ns, nf);
  for (let i: u32 = 0; i < TABLES_ALL; i++) tableRemove(nf, i);
  if (FULL) {
    nftExit(nf);
    ipsetExit(nf);
  }
  ctNetnsExit(ns);
  nfNetFree(ns);
}
