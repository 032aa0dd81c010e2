// The way between devices: every hop is a bounded queue append, never recursion. A frame that a device receives waits in
// the node's backlog (the softirq of its one CPU) until run() takes it.
import {
  DEV_BRIDGE, DEV_IFB, DEV_LOOPBACK, DEV_MACVLAN, DEV_NIC, DEV_TAP, DEV_TUN, DEV_VETH, DEV_VLAN, DEV_VXLAN, DROP_BACKLOG, DROP_DEV_DOWN,
  DROP_PKT_TOO_BIG, DROP_TOO_MANY_HOPS,
  PACKET_HOST, PACKET_OUTGOING,
} from "../abi/net";
import { TRACE_DEV_QUEUE_XMIT, TRACE_NET_DEV_QUEUE, TRACE_NET_DEV_XMIT } from "../abi/bpf-trace";
import { traceFunction, tracePacket, watched } from "../bpf/hooks/tracing";
import { NFT_HOOK_EGRESS } from "../abi/nft";
import { DeviceBpf } from "../bpf/hooks/device";
import { tcEgress } from "../bpf/hooks/tc";
import { xdpReceive } from "../bpf/hooks/xdp";
import { FULL } from "../features";
import { NetDevice, Netns, Skb } from "../layout";
import { copyBytes, copyRound } from "../mm/copy";
import { charge, node } from "../mm/node";
import { nfSkbReset } from "../netfilter/hooks";
import { nftFrame, nftFrames } from "../nft/frames";
import { observeFrame } from "../trace/observe";
import { be16 } from "../wire/bytes";
import { ETH_HEADER_LEN } from "../wire/ethernet";
import { bridgeXmit } from "./bridge";
import { COST_SOFTIRQ, COST_XMIT } from "./costs";
import { icmpSending, icmpSetSending } from "./icmp";
import { IPSKB_IN_ICMP } from "./ip-input";
import { ipTunnelOut } from "./ip-output";
import { ipvlanXmit } from "./ipvlan";
import { macvlanXmit } from "./macvlan";
import { netifReceiveSkb } from "./receive";
import { SKB_TC_SKIP, ifbXmit } from "./sched/filter";
import { qdiscSend } from "./sched/qdisc";
import { flowForget, flowNicReceive } from "./flow";
import { PACKET_BARE, skbAlloc, skbAllocBare, skbComplete, skbDrop, skbFree, skbLength, skbScrub } from "./skb";
import { tapXmit } from "./tap";
import { isTunnel, tunnelXmit } from "./tunnel";
import { vlanPush, vlanTag } from "./vlan";
import { vxlanXmit } from "./vxlan";

/** net.core.netdev_max_backlog */
const BACKLOG_MAX: u32 = 1000;
/** A frame that passed so many devices goes round in a loop. */
const HOPS_MAX: u32 = 64;

/** A frame (Ethernet header at `data`) arrives at `dev`: it waits for its turn. */
export function netifRx(skb: Skb, dev: NetDevice): void {
  const ns = changetype<Netns>(dev.ns);
  skb.dev = changetype<usize>(dev);
  if (!dev.up) {
    dev.rxDropped++;
    skbDrop(skb, ns, changetype<usize>(dev), DROP_DEV_DOWN);
    return;
  }
  backlogAppend(skb, ns, dev);
}

/**
 * An encapsulated packet (`data` at its complete IP header, `dev` the device that encapsulated it) leaves by IP when its turn
 * comes: the way through a tunnel is no recursion either.
 */
export function deferOutput(skb: Skb, dev: NetDevice): void {
  skb.dev = changetype<usize>(dev);
  skb.pktType = PACKET_OUTGOING;
  if (FULL && icmpSending()) skb.ipFlags |= IPSKB_IN_ICMP;
  backlogAppend(skb, changetype<Netns>(dev.ns), dev);
}

/**
 * A frame of the underlay arrives at a NIC. One too long for it, or without a buffer, is lost on the wire, as far as anybody can tell.
 * `round`: the 16 bytes behind the frame may be read.
 */
export function nicReceive(dev: NetDevice, frame: usize, length: u32, round: bool): void {
  const skb = !forwardable(length, dev) ? changetype<Skb>(0) : FULL ? skbAllocBare(node(), length) : skbAlloc(length);
  if (changetype<usize>(skb) == 0) {
    dev.rxDropped++;
    return;
  }
  if (round && length <= 256) copyRound(skb.data, frame, <usize>length);
  else copyBytes(skb.data, frame, <usize>length);
  if (!FULL) skb.tail = skb.data + <usize>length;
  netifRx(skb, dev);
}

function backlogAppend(skb: Skb, ns: Netns, dev: NetDevice): void {
  const n = node();
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
  if (FULL) {
    flowForget();
    if (skb.pktType == PACKET_BARE) {
      if (dev.up && n.observe == 0 && n.traced == 0 && flowNicReceive(skb, dev)) return true;
      skbComplete(skb);
    }
  }
  if (skb.pktType == PACKET_OUTGOING) {
    skb.pktType = PACKET_HOST;
    const inIcmp = FULL && (skb.ipFlags & IPSKB_IN_ICMP) != 0;
    if (inIcmp) icmpSetSending(true);
    ipTunnelOut(skb, changetype<Netns>(dev.ns));
    if (inIcmp) icmpSetSending(false);
    return true;
  }
  if (!dev.up) { // went down while the frame waited
    dev.rxDropped++;
    skbDrop(skb, changetype<Netns>(dev.ns), changetype<usize>(dev), DROP_DEV_DOWN);
    return true;
  }
  let packet = changetype<usize>(skb);
  if (!FULL || (skb.ipFlags & SKB_TC_SKIP) == 0) {
    dev.rxPackets++;
    dev.rxBytes += <u64>skbLength(skb);
    if (FULL && dev.bpf != 0 && changetype<DeviceBpf>(dev.bpf).xdp != 0) {
      packet = xdpReceive(skb, dev);
      if (packet == 0) return true;
    }
    observeFrame(changetype<Skb>(packet), dev, true);
  }
  netifReceiveSkb(FULL ? changetype<Skb>(packet) : skb, dev);
  if (FULL) flowForget(); // its place may be another packet's before the next turn
  return true;
}

/** Sends a frame, Ethernet header at `data` (dev_queue_xmit). Takes it. */
export function devQueueXmit(packet: Skb, to: NetDevice): void {
  let skb = packet, dev = to;
  if (FULL && node().traced != 0) watchQueue(skb, dev);
  while (true) {
    if (!dev.up) {
      dev.txDropped++;
      skbDrop(skb, changetype<Netns>(dev.ns), changetype<usize>(dev), DROP_DEV_DOWN);
      return;
    }
    if (FULL && nftFrames(changetype<Netns>(dev.ns), NFT_HOOK_EGRESS) && !egress(skb, dev)) return;
    if (FULL && dev.bpf != 0) {
      const packet = tcEgress(skb, dev);
      if (packet == 0) return;
      skb = changetype<Skb>(packet);
    }
    if (FULL && dev.qdisc != 0) {
      qdiscSend(skb, dev);
      return;
    }
    if (!FULL || dev.lower == 0) {
      devHardXmit(skb, dev);
      return;
    }
    // A device that stands on another one: on to that.
    skb = stackedXmit(skb, dev);
    if (changetype<usize>(skb) == 0) return;
    dev = changetype<NetDevice>(dev.lower);
  }
}

/** __dev_queue_xmit and net:net_dev_queue. */
function watchQueue(skb: Skb, dev: NetDevice): void {
  const ns = changetype<Netns>(dev.ns);
  if (watched(TRACE_DEV_QUEUE_XMIT)) traceFunction(TRACE_DEV_QUEUE_XMIT, skb, ns, 0);
  if (watched(TRACE_NET_DEV_QUEUE)) tracePacket(TRACE_NET_DEV_QUEUE, skb, ns, changetype<usize>(dev));
}

/** The chains at a device's egress; false: they took the frame. */
function egress(skb: Skb, dev: NetDevice): bool {
  skb.mac = skb.data;
  skb.network = skb.data + ETH_HEADER_LEN;
  skb.protocol = be16(skb.mac, 12);
  return nftFrame(NFT_HOOK_EGRESS, skb, changetype<Netns>(dev.ns), 0, changetype<usize>(dev));
}

/** What a VLAN, macvlan or ipvlan sends, ready for its lower device; null (0): it was taken. */
function stackedXmit(packet: Skb, dev: NetDevice): Skb {
  charge(COST_XMIT);
  observeFrame(packet, dev, false);
  countSent(dev, skbLength(packet));
  let skb = packet;
  if (dev.kind == DEV_VLAN) {
    // A tag that it brings stands behind this device's.
    if (skb.vlan != 0) skb = vlanPush(skb, skb.vlan, dev);
    if (changetype<usize>(skb) != 0) skb.vlan = vlanTag(skb, dev);
    return skb;
  }
  return (dev.kind == DEV_MACVLAN ? macvlanXmit(skb, dev) : ipvlanXmit(skb, dev)) ? skb : changetype<Skb>(0);
}

/** Past the queueing discipline: the device's ndo_start_xmit. Takes the frame. `quiet`: past the taps, too. */
export function devHardXmit(packet: Skb, dev: NetDevice, quiet: bool = false): void {
  const ns = changetype<Netns>(dev.ns);
  let skb = packet;
  if (FULL && dev.lower != 0) {
    skb = stackedXmit(skb, dev);
    if (changetype<usize>(skb) != 0) devQueueXmit(skb, changetype<NetDevice>(dev.lower));
    return;
  }
  if (FULL && skb.vlan != 0) {
    skb = vlanPush(skb, skb.vlan, dev);
    if (changetype<usize>(skb) == 0) return;
  }
  charge(COST_XMIT);
  if (!quiet) observeFrame(skb, dev, false);
  if (FULL && watched(TRACE_NET_DEV_XMIT)) tracePacket(TRACE_NET_DEV_XMIT, skb, ns, changetype<usize>(dev));
  const length = skbLength(skb);
  switch (dev.kind) {
    case DEV_BRIDGE: {
      countSent(dev, length);
      bridgeXmit(skb, dev);
      return;
    }
    case DEV_LOOPBACK: {
      countSent(dev, length);
      skb.sock = 0;
      skb.pktType = PACKET_HOST;
      netifRx(skb, dev);
      return;
    }
    case DEV_VETH: {
      const peer = changetype<NetDevice>(dev.peer);
      if (dev.peer == 0 || !peer.up || !forwardable(length, peer)) {
        dev.txDropped++;
        skbDrop(skb, ns, changetype<usize>(dev), dev.peer != 0 && peer.up ? DROP_PKT_TOO_BIG : DROP_DEV_DOWN);
        return;
      }
      countSent(dev, length);
      skb.dev = changetype<usize>(dev);
      skbScrub(skb, peer);
      netifRx(skb, peer);
      return;
    }
    case DEV_NIC: {
      if (!forwardable(length, dev)) {
        dev.txDropped++;
        skbDrop(skb, ns, changetype<usize>(dev), DROP_PKT_TOO_BIG);
        return;
      }
      countSent(dev, length);
      skb.dev = changetype<usize>(dev);
      outboxAppend(skb);
      return;
    }
    default: if (FULL) xmitMore(skb, dev, length); else vxlanXmit(skb, dev);
  }
}

/** The kinds that only the full kernel has. */
function xmitMore(skb: Skb, dev: NetDevice, length: u32): void {
  if (dev.kind == DEV_VXLAN) vxlanXmit(skb, dev);
  else if (isTunnel(dev.kind)) tunnelXmit(skb, dev);
  else {
    countSent(dev, length);
    if (dev.kind == DEV_IFB) ifbXmit(skb, dev);
    else if (dev.kind == DEV_TAP || dev.kind == DEV_TUN) tapXmit(skb, dev);
    else skbFree(skb); // dummy
  }
}

export function countSent(dev: NetDevice, length: u32): void {
  dev.txPackets++;
  dev.txBytes += <u64>length;
}

/** Does a frame of that length fit the device, a VLAN tag included (is_skb_forwardable)? */
export function forwardable(length: u32, dev: NetDevice): bool {
  return length <= dev.mtu + ETH_HEADER_LEN + 4;
}

/** Puts a frame that a NIC sends where the driver collects it for the underlay. */
export function outboxAppend(skb: Skb): void {
  const n = node();
  nfSkbReset(skb);
  skb.ipFlags = 0;
  skb.tstamp = n.now;
  skb.next = 0;
  if (n.outboxTail != 0) changetype<Skb>(n.outboxTail).next = changetype<usize>(skb);
  else n.outboxHead = changetype<usize>(skb);
  n.outboxTail = changetype<usize>(skb);
  n.outboxLength++;
}
