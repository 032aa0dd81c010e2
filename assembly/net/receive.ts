// Demultiplexing of received frames: the rx handler of a bridge port first, then the ethertype (net/core/dev.c,
// __netif_receive_skb_core; net/ethernet/eth.c, eth_type_trans).
import {
  DEV_IPVLAN, DEV_LOOPBACK, DEV_MACVLAN, DROP_PKT_TOO_SMALL, DROP_UNHANDLED_PROTO, PACKET_BROADCAST, PACKET_HOST, PACKET_MULTICAST, PACKET_OTHERHOST,
} from "../abi/net";
import { TRACE_NETIF_RECEIVE_SKB } from "../abi/bpf-trace";
import { tracePacket, watched } from "../bpf/hooks/tracing";
import { NFT_HOOK_INET_INGRESS, NFT_HOOK_INGRESS } from "../abi/nft";
import { tcIngress, tcPacket } from "../bpf/hooks/tc";
import { xdpStacked } from "../bpf/hooks/xdp";
import { FULL } from "../features";
import { NetDevice, Netns, Skb } from "../layout";
import { be16 } from "../wire/bytes";
import {
  ETH_HEADER_LEN, ETH_P_8021Q, ETH_P_ARP, ETH_P_IP, ETH_P_IPV6, EthernetView, macIsBroadcast, macIsGroup,
} from "../wire/ethernet";
import { nftFrame } from "../nft/frames";
import { arpReceive } from "./arp";
import { bridgeInput } from "./bridge";
import { IPSKB_LOOPED, ipReceive } from "./ip-input";
import { ip6Receive } from "./ip6-input";
import { ipvlanInput } from "./ipvlan";
import { macvlanInput } from "./macvlan";
import { SKB_TC_SKIP, ingressHook } from "./sched/filter";
import { skbDrop, skbLength, skbPull } from "./skb";
import { VLAN_HEADER_LEN, isVlanType, vlanFind, vlanReceive, vlanUntag } from "./vlan";

/** Sets `mac`, `protocol` and `pktType`, and takes the Ethernet header off. False: too short for one. */
function ethTypeTrans(skb: Skb, dev: NetDevice): bool {
  if (skbLength(skb) < ETH_HEADER_LEN) return false;
  const eth = EthernetView.at(skb.data);
  skb.mac = skb.data;
  skb.protocol = eth.type;
  if (eth.dst0 == dev.mac0 && eth.dst1 == dev.mac1) skb.pktType = PACKET_HOST;
  else if (macIsGroup(eth.dst0)) skb.pktType = macIsBroadcast(eth.dst0, eth.dst1) ? PACKET_BROADCAST : PACKET_MULTICAST;
  else skb.pktType = PACKET_OTHERHOST;
  skbPull(skb, ETH_HEADER_LEN);
  return true;
}

/** A frame, Ethernet header at `data`, leaves the backlog of `dev`. */
export function netifReceiveSkb(skb: Skb, dev: NetDevice): void {
  if (!ethTypeTrans(skb, dev)) {
    dev.rxDropped++;
    skbDrop(skb, changetype<Netns>(dev.ns), changetype<usize>(dev), DROP_PKT_TOO_SMALL);
    return;
  }
  if (FULL && watched(TRACE_NETIF_RECEIVE_SKB)) tracePacket(TRACE_NETIF_RECEIVE_SKB, skb, changetype<Netns>(dev.ns), changetype<usize>(dev));
  if (dev.kind != DEV_LOOPBACK && (skb.ipFlags & IPSKB_LOOPED) == 0) skb.rtType = 0;
  if (FULL) {
    deliverUp(skb, dev);
    return;
  }
  if (dev.master != 0 && (skb.ipFlags & IPSKB_LOOPED) == 0) {
    // What comes back is for the host itself; it goes on as a packet of the bridge (or, link-local, of the port).
    if (!bridgeInput(skb, dev)) return;
    deliver(skb, changetype<NetDevice>(skb.dev));
    return;
  }
  deliver(skb, dev);
}

/**
 * A packet of `dev`, `data` behind the Ethernet header, goes up through what stands on the device (the rounds of
 * __netif_receive_skb_core): tag, ingress, VLAN, bridge or macvlan or ipvlan, then the protocol.
 */
export function deliverUp(packet: Skb, first: NetDevice): void {
  if (!FULL) {
    deliver(packet, first);
    return;
  }
  let skb = packet, dev = first;
  while (true) {
    if (skb.vlan == 0 && isVlanType(skb.protocol) && skbLength(skb) >= VLAN_HEADER_LEN) vlanUntag(skb);
    if ((skb.ipFlags & IPSKB_LOOPED) != 0) break;
    if (dev.bpf != 0) {
      if (changetype<usize>(dev) != changetype<usize>(first)) {
        const left = xdpStacked(skb, dev);
        if (left == 0) return;
        skb = changetype<Skb>(left);
      }
      if ((skb.ipFlags & SKB_TC_SKIP) == 0) {
        const to = tcIngress(skb, dev);
        if (to == 0) return;
        skb = changetype<Skb>(tcPacket);
        if (to != changetype<usize>(dev)) {
          dev = changetype<NetDevice>(to);
          continue;
        }
      }
    } else if (dev.ingress != 0 && (skb.ipFlags & SKB_TC_SKIP) == 0 && !ingressHook(skb, dev)) return;
    skb.ipFlags &= ~SKB_TC_SKIP;
    const ns = changetype<Netns>(dev.ns);
    skb.network = skb.data;
    if (!nftFrame(NFT_HOOK_INGRESS, skb, ns, changetype<usize>(dev), 0)) return;
    if (!nftFrame(NFT_HOOK_INET_INGRESS, skb, ns, changetype<usize>(dev), 0)) return;
    if (skb.vlan != 0) {
      const vlan = vlanFind(dev, skb.vlan);
      if (vlan != 0) {
        if (!vlanReceive(skb, changetype<NetDevice>(vlan))) return;
        dev = changetype<NetDevice>(vlan);
        continue;
      }
    }
    let next = changetype<usize>(dev);
    if (dev.master != 0) {
      if (!bridgeInput(skb, dev)) return;
      next = skb.dev;
    } else if (dev.rxHandler == DEV_MACVLAN) next = macvlanInput(skb, dev);
    else if (dev.rxHandler == DEV_IPVLAN) next = ipvlanInput(skb, dev);
    if (next == 0) return;
    if (next == changetype<usize>(dev)) break;
    dev = changetype<NetDevice>(next);
  }
  if (skb.vlan != 0) {
    // No VLAN device takes it: but for a priority tag it is another host's.
    if ((skb.vlan & 0xfff) != 0) skb.pktType = PACKET_OTHERHOST;
    skb.vlan = 0;
  }
  deliver(skb, dev);
}

/** To the protocol: `data` behind the Ethernet header. */
function deliver(skb: Skb, dev: NetDevice): void {
  if (skb.protocol == ETH_P_8021Q && skbLength(skb) >= VLAN_HEADER_LEN) {
    // A priority tag is taken off; there are no VLAN devices, so that any other tag means another host.
    if ((be16(skb.data, 0) & 0xfff) != 0) skb.pktType = PACKET_OTHERHOST;
    skb.protocol = be16(skb.data, 2);
    skbPull(skb, VLAN_HEADER_LEN);
  }
  if (skb.protocol == ETH_P_IP) ipReceive(skb, dev);
  else if (skb.protocol == ETH_P_ARP) arpReceive(skb, dev);
  else if (FULL && skb.protocol == ETH_P_IPV6) ip6Receive(skb, dev);
  else {
    dev.rxDropped++;
    skbDrop(skb, changetype<Netns>(dev.ns), changetype<usize>(dev), DROP_UNHANDLED_PROTO);
  }
}
