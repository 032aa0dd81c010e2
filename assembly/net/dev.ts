// The way between devices: every hop is a bounded queue append, never recursion. A frame that a device receives waits in
// the node's backlog (the softirq of its one CPU) until run() takes it.
import { DROP_BACKLOG, DROP_DEV_DOWN, DROP_TOO_MANY_HOPS } from "../abi/net";
import { NetDevice, Netns, Skb } from "../layout";
import { charge, node } from "../mm/node";
import { observeFrame } from "../trace/observe";
import { COST_SOFTIRQ } from "./costs";
import { netifReceiveSkb } from "./receive";
import { skbDrop, skbLength } from "./skb";

/** net.core.netdev_max_backlog */
const BACKLOG_MAX: u32 = 1000;
/** A frame that passed so many devices goes round in a loop. */
const HOPS_MAX: u32 = 64;

/** A frame (Ethernet header at `data`) arrives at `dev`: it waits for its turn. */
export function netifRx(skb: Skb, dev: NetDevice): void {
  const n = node();
  const ns = changetype<Netns>(dev.ns);
  skb.dev = changetype<usize>(dev);
  if (!dev.up) {
    dev.rxDropped++;
    skbDrop(skb, ns, changetype<usize>(dev), DROP_DEV_DOWN);
    return;
  }
  if (++skb.hops > HOPS_MAX) {
    dev.rxDropped++;
    skbDrop(skb, ns, changetype<usize>(dev), DROP_TOO_MANY_HOPS);
    return;
  }
  if (n.backlogLength >= BACKLOG_MAX) {
    dev.rxDropped++;
    skbDrop(skb, ns, changetype<usize>(dev), DROP_BACKLOG);
    return;
  }
  skb.next = 0;
  if (n.backlogTail != 0) changetype<Skb>(n.backlogTail).next = changetype<usize>(skb);
  else n.backlogHead = changetype<usize>(skb);
  n.backlogTail = changetype<usize>(skb);
  n.backlogLength++;
}

/** Handles the oldest waiting frame; false when none waits. */
export function backlogRunOne(): bool {
  const n = node();
  const at = n.backlogHead;
  if (at == 0) return false;
  const skb = changetype<Skb>(at);
  n.backlogHead = skb.next;
  if (n.backlogHead == 0) n.backlogTail = 0;
  n.backlogLength--;
  skb.next = 0;
  charge(COST_SOFTIRQ);
  const dev = changetype<NetDevice>(skb.dev);
  dev.rxPackets++;
  dev.rxBytes += <u64>skbLength(skb);
  observeFrame(skb, dev, true);
  netifReceiveSkb(skb, dev);
  return true;
}

/** Puts a frame that a NIC sends where the driver collects it for the underlay. */
export function outboxAppend(skb: Skb): void {
  const n = node();
  skb.tstamp = n.now;
  skb.next = 0;
  if (n.outboxTail != 0) changetype<Skb>(n.outboxTail).next = changetype<usize>(skb);
  else n.outboxHead = changetype<usize>(skb);
  n.outboxTail = changetype<usize>(skb);
  n.outboxLength++;
}
