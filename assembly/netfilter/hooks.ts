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
import { TRACE_NF_HOOK_SLOW } from "../abi/bpf-trace";
import { traceHook, watched } from "../bpf/hooks/tracing";
import { HOOK_INPUT, NF_ACCEPT, TABLES_ALL } from "../abi/netfilter";
import { Netns, Skb } from "../layout";
import { charge } from "../mm/node";
import { COST_HOOK } from "../net/costs";
import { ipPartialChecksum, ipRawVisible } from "../net/ip-input";
import { nftExit } from "../nft/ruleset";
import { observeRecord, tracing } from "../trace/observe";
import { ctAttach, ctConfirm, ctDetach, ctNetnsExit, skbCt } from "./conntrack";
import { ipBytes } from "./l3";
import { FULL } from "../features";
import { IPV4_TABLES, resumeEntries, runEntries, runTables } from "./hook-run";
import { ipsetExit } from "./ipset";
import { nfQueueExit } from "./queue";
import { nfNet, nfNetCreate, nfNetFree } from "./state";
import { tableRemove } from "./table";

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
  if (FULL && watched(TRACE_NF_HOOK_SLOW)) traceHook(skb, ns, hook, 2, inDev, outDev, 0);
  if (FULL && nf.nft != 0) return runEntries(IPV4_TABLES, hook, skb, ns, nf, inDev, outDev, 0);
  return runTables(IPV4_TABLES, nf.conntrackUsers != 0, hook, skb, ns, nf, inDev, outDev);
}

/** Goes on behind the entry {kind, ref} at which the packet was held, or with it once more. NF_DROP: it is gone. */
export function nfHookFrom(hook: u32, skb: Skb, ns: Netns, inDev: usize, outDev: usize, kind: u32, ref: usize, again: bool): u32 {
  const verdict = resumeEntries(IPV4_TABLES, hook, skb, ns, inDev, outDev, kind, ref, again);
  if (hook == HOOK_INPUT && verdict == NF_ACCEPT && tracing()) observeDelivery(skb, ns, inDev);
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
