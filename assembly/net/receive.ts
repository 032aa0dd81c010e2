// Demultiplexing of received frames: the rx handler of a bridge port first, then the ethertype (net/core/dev.c,
// __netif_receive_skb_core).
import { DROP_UNHANDLED_PROTO } from "../abi/net";
import { NetDevice, Netns, Skb } from "../layout";
import { skbDrop } from "./skb";

/** A frame, Ethernet header at `data`, leaves the backlog of `dev`. */
export function netifReceiveSkb(skb: Skb, dev: NetDevice): void {
  skbDrop(skb, changetype<Netns>(dev.ns), changetype<usize>(dev), DROP_UNHANDLED_PROTO);
}
