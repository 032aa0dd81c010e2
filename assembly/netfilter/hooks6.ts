// The five hooks of IPv6 (include/uapi/linux/netfilter_ipv6.h): what runs at them, and in what order, is as with IPv4 (hook-run.ts). A packet
// comes with `skb.protocol` ETH_P_IPV6, `skb.network` = `skb.data` at its fixed header, and what net/ip6-ext.ts' walk found:
// `skb.nextHeader`, `skb.transport`, `skb.fragHeader`, `skb.fragOffset`. Whoever changes headers walks anew (ip6Walk).
import { OBS_LOCAL_IN } from "../abi/core";
import { HOOK_INPUT, NF_ACCEPT } from "../abi/netfilter";
import { Netns, Skb } from "../layout";
import { charge } from "../mm/node";
import { COST_HOOK } from "../net/costs";
import { observeRecord, tracing } from "../trace/observe";
import { IPV6_TABLES, resumeEntries, runEntries, runTables } from "./hook-run";
import { nfNet } from "./state";

/**
 * Runs everything registered at `hook` for IPv6. NF_ACCEPT: go on with the packet, whose addresses may have changed. NF_DROP: the
 * caller drops it. NF_STOLEN: it is no longer the caller's.
 */
export function nfHook6(hook: u32, skb: Skb, ns: Netns, inDev: usize, outDev: usize): u32 {
  const nf = nfNet(ns);
  let verdict = NF_ACCEPT;
  if (nf.hooks6 & (1 << hook)) {
    charge(COST_HOOK);
    verdict = nf.nft != 0 ? runEntries(IPV6_TABLES, hook, skb, ns, nf, inDev, outDev, 0)
      : runTables(IPV6_TABLES, nf.conntrackUsers6 != 0, hook, skb, ns, nf, inDev, outDev);
  }
  if (hook == HOOK_INPUT && verdict == NF_ACCEPT && tracing()) observeDelivery(skb, ns, inDev);
  return verdict;
}

/** Goes on behind the entry {kind, ref} at which the packet was held, or with it once more, as nfHookFrom does. */
export function nfHookFrom6(hook: u32, skb: Skb, ns: Netns, inDev: usize, outDev: usize, kind: u32, ref: usize, again: bool): u32 {
  const verdict = resumeEntries(IPV6_TABLES, hook, skb, ns, inDev, outDev, kind, ref, again);
  if (hook == HOOK_INPUT && verdict == NF_ACCEPT && tracing()) observeDelivery(skb, ns, inDev);
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
