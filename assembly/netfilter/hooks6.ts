// The five hooks of IPv6 (include/uapi/linux/netfilter_ipv6.h). A packet comes with `skb.protocol` ETH_P_IPV6, `skb.network` =
// `skb.data` at its fixed header, and what net/ip6-ext.ts' walk found: `skb.nextHeader`, `skb.transport`, `skb.fragHeader`,
// `skb.fragOffset`. Whoever changes headers walks anew (ip6Walk).
import { HOOK_INPUT, NF_ACCEPT } from "../abi/netfilter";
import { OBS_LOCAL_IN } from "../abi/core";
import { Netns, Skb } from "../layout";
import { observeRecord, tracing } from "../trace/observe";

/**
 * Runs everything registered at `hook` for IPv6. NF_ACCEPT: go on with the packet, whose addresses may have changed. NF_DROP: the
 * caller drops it. NF_STOLEN: it is no longer the caller's.
 */
export function nfHook6(hook: u32, skb: Skb, ns: Netns, inDev: usize, outDev: usize): u32 {
  if (hook == HOOK_INPUT && tracing()) observeDelivery(skb, ns, inDev);
  return NF_ACCEPT;
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
  return false;
}
