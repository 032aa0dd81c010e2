// The five hooks of IPv4 and IPv6 and what runs at each, in order.
import { NF_ACCEPT } from "../abi/netfilter";
import { Netns, Skb } from "../layout";

/**
 * Runs everything registered at `hook` on the packet (`skb.network` is set; `inDev`, `outDev` are devices or 0). NF_ACCEPT: go
 * on with the packet, whose addresses may have changed. NF_DROP: the caller drops it. NF_STOLEN: it is no longer the caller's.
 */
export function nfHook(hook: u32, skb: Skb, ns: Netns, inDev: usize, outDev: usize): u32 {
  return NF_ACCEPT;
}

/** Lets go of the packet's connection (nf_reset_ct): it is freed, or crosses into another namespace. */
export function nfSkbReset(skb: Skb): void {
  skb.nfct = 0;
  skb.ctinfo = 0;
  skb.nfFlags = 0;
}

/** Does anything in the namespace track connections, so that fragments have to be put together first? */
export function nfDefragNeeded(ns: Netns): bool { return false; }

/** A packet made in answer to `about` (an ICMP error, a RST) belongs to its connection (nf_ct_attach). */
export function nfCtAttach(skb: Skb, about: Skb): void {}

/** A namespace begins (before anything passes) or ends (after its devices and sockets are gone). */
export function nfNetnsInit(ns: Netns): bool { return true; }
export function nfNetnsExit(ns: Netns): void {}
