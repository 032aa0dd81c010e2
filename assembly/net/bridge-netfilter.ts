// Bridged IPv4 through the hooks of IPv4, as if the bridge had routed it (net/bridge/br_netfilter_hooks.c), while
// net.bridge.bridge-nf-call-iptables is set:
//
//   port ──► PREROUTING(in br) ──► forwarding database ──► FORWARD(in br, out br) ──► POSTROUTING(out br) ──► port
//                  │ destination changed                     └─► up to IP, without a second PREROUTING
//                  └─► route: back out of the bridge (new MAC, still bridged), or up to IP
import { HOOK_FORWARD, HOOK_POSTROUTING, HOOK_PREROUTING, NF_ACCEPT, NF_STOLEN } from "../abi/netfilter";
import {
  DROP_IP_INVALID_DEST, DROP_NETFILTER, DROP_PKT_TOO_BIG, PACKET_HOST, PACKET_OTHERHOST, RTN_UNICAST, SNMP_IP_FRAGFAILS,
  SYSCTL_BRIDGE_NF_CALL_IPTABLES,
} from "../abi/net";
import { NFT_HOOK_BRIDGE } from "../abi/nft";
import { FULL } from "../features";
import { NetDevice, Netns, Skb } from "../layout";
import { nftFrame } from "../nft/frames";
import { nfConfirm, nfHook } from "../netfilter/hooks";
import { ETH_P_IP, EthernetView } from "../wire/ethernet";
import { IP_DF, Ipv4View } from "../wire/ipv4";
import { bridgeForwardFrame } from "./bridge";
import { DEFRAG_BRIDGE, ipDefragHook } from "./ip-defrag";
import { ipDoFragment } from "./ip-fragment";
import { IPSKB_IGNORE_DF, ipCheckHeader } from "./ip-input";
import { Neighbour, neighConnected, neighFindOrCreate, neighOutput } from "./neighbour";
import { deliverUp } from "./receive";
import { routeInput } from "./route";
import { skbDrop, skbLength } from "./skb";
import { snmpInc } from "./snmp";
import { sysctl } from "./sysctl";

/** Has passed PREROUTING as a bridged frame. */
export const IPSKB_BRIDGED: u32 = 0x100;
/** Was for another host before it was shown to the hooks (nf_bridge_info.pkt_otherhost). */
const IPSKB_BRIDGED_OTHER: u32 = 0x400;
/** Waits for the MAC of its new destination on the same bridge. */
const IPSKB_BRIDGED_DNAT: u32 = 0x200;

/** Before forwarding (br_nf_pre_routing). True: go on with the frame; false: it was taken. */
export function bridgeNfPreRouting(frame: Skb, port: NetDevice, dev: NetDevice): bool {
  const ns = changetype<Netns>(dev.ns);
  // Tagged frames do not (bridge-nf-filter-vlan-tagged is off).
  if (frame.protocol != ETH_P_IP || (FULL && frame.vlan != 0) || sysctl(ns, SYSCTL_BRIDGE_NF_CALL_IPTABLES) == 0) return true;
  const reason = ipCheckHeader(frame, ns, false);
  if (reason >= 0) {
    skbDrop(frame, ns, changetype<usize>(port), <u32>reason);
    return false;
  }
  const skb = ipDefragHook(frame, ns, DEFRAG_BRIDGE);
  if (changetype<usize>(skb) == 0) return false;
  if (skb.pktType == PACKET_OTHERHOST) {
    skb.pktType = PACKET_HOST;
    skb.ipFlags |= IPSKB_BRIDGED_OTHER;
  }
  skb.ipFlags |= IPSKB_BRIDGED;
  skb.physIn = port.ifindex;
  skb.bridgeDaddr = Ipv4View.at(skb.network).destination;
  skb.dev = changetype<usize>(dev);
  const verdict = nfHook(HOOK_PREROUTING, skb, ns, changetype<usize>(dev), 0);
  if (verdict == NF_STOLEN) return false;
  if (verdict != NF_ACCEPT) {
    skbDrop(skb, ns, changetype<usize>(dev), DROP_NETFILTER);
    return false;
  }
  // Put together from fragments: another packet than the caller's, so it goes on from here.
  if (changetype<usize>(skb) == changetype<usize>(frame)) return preRoutingFinish(skb, ns, port, dev);
  bridgeNfPreRoutingDone(skb, ns);
  return false;
}

/** After PREROUTING, for a frame that no caller waits for. */
export function bridgeNfPreRoutingDone(skb: Skb, ns: Netns): void {
  const port = changetype<NetDevice>(skb.bridgeDev), dev = changetype<NetDevice>(port.master);
  if (preRoutingFinish(skb, ns, port, dev) && bridgeForwardFrame(skb, port)) deliverUp(skb, changetype<NetDevice>(skb.dev));
}

function preRoutingFinish(skb: Skb, ns: Netns, port: NetDevice, dev: NetDevice): bool {
  if (skb.ipFlags & IPSKB_BRIDGED_OTHER) {
    skb.ipFlags &= ~IPSKB_BRIDGED_OTHER;
    skb.pktType = PACKET_OTHERHOST;
  }
  skb.dev = changetype<usize>(port);
  return redirect(skb, ns, port, dev, skb.bridgeDaddr);
}

/**
 * A copy of a group frame is for the host itself (br_nf_local_in): its connection is confirmed before it is known whether anything here
 * wants the packet. True: go on; false: it was dropped.
 */
export function bridgeNfLocalIn(skb: Skb, port: NetDevice): bool {
  const ns = changetype<Netns>(port.ns);
  if (skb.pktType == PACKET_HOST || nfConfirm(skb, ns) == NF_ACCEPT) return true;
  skbDrop(skb, ns, changetype<usize>(port), DROP_NETFILTER);
  return false;
}

/** Where the destination was changed, the frame gets a new MAC (br_nf_pre_routing_finish). As bridgeNfPreRouting. */
function redirect(skb: Skb, ns: Netns, port: NetDevice, dev: NetDevice, before: u32): bool {
  const ip = Ipv4View.at(skb.network);
  if (ip.destination == before) return true;
  if (routeInput(skb, ns, dev, ip.destination, ip.source, ip.tos) != 0) {
    skbDrop(skb, ns, changetype<usize>(dev), DROP_IP_INVALID_DEST);
    return false;
  }
  const eth = EthernetView.at(skb.mac);
  if (skb.rtType == RTN_UNICAST && skb.rtDev == changetype<usize>(dev)) {
    const at = neighFindOrCreate(dev, skb.rtGatewayHi, skb.rtGatewayLo);
    if (at != 0 && neighConnected(changetype<Neighbour>(at))) {
      const n = changetype<Neighbour>(at);
      eth.write(n.mac0, n.mac1, eth.src0, eth.src1, ETH_P_IP);
      skb.pktType = PACKET_OTHERHOST;
      return true;
    }
    // The neighbour code writes a header of its own: the sender's MAC is kept aside and put back by bridgeNfDnatXmit.
    skb.ipFlags |= IPSKB_BRIDGED_DNAT;
    skb.bridgeDev = changetype<usize>(port);
    skb.cb0 = <u64>eth.src0;
    skb.cb1 = <u64>eth.src1;
    neighOutput(skb, dev, skb.rtGatewayHi, skb.rtGatewayLo);
    return false;
  }
  eth.write(dev.mac0, dev.mac1, eth.src0, eth.src1, ETH_P_IP);
  skb.pktType = PACKET_HOST;
  return true;
}

/** A redirected frame comes out of the neighbour code by the bridge (br_nf_dev_xmit): it is bridged on. True: taken. */
export function bridgeNfDnatXmit(skb: Skb, dev: NetDevice): bool {
  if ((skb.ipFlags & IPSKB_BRIDGED_DNAT) == 0) return false;
  skb.ipFlags &= ~IPSKB_BRIDGED_DNAT;
  const port = changetype<NetDevice>(skb.bridgeDev);
  if (skb.bridgeDev == 0 || port.master != changetype<usize>(dev)) {
    skbDrop(skb, changetype<Netns>(dev.ns), changetype<usize>(dev), DROP_IP_INVALID_DEST);
    return true;
  }
  const eth = EthernetView.at(skb.mac);
  eth.write(eth.dst0, eth.dst1, <u32>skb.cb0, <u32>skb.cb1, ETH_P_IP);
  skb.dev = skb.bridgeDev;
  if (bridgeForwardFrame(skb, port)) deliverUp(skb, changetype<NetDevice>(skb.dev));
  return true;
}

/** Do the hooks of IP see this frame between two ports? */
export function bridgeNfApplies(skb: Skb): bool {
  return (skb.ipFlags & IPSKB_BRIDGED) != 0 && skb.protocol == ETH_P_IP && skb.bridgeDev != 0;
}

/** Between two ports (br_nf_forward_ip, br_nf_post_routing). True: send it; false: it was taken. */
export function bridgeNfForward(skb: Skb, dev: NetDevice, to: NetDevice): bool {
  const ns = changetype<Netns>(dev.ns);
  if ((skb.ipFlags & IPSKB_BRIDGED) == 0 || skb.protocol != ETH_P_IP || (FULL && skb.vlan != 0)) return true;
  skb.network = skb.data;
  skb.pktType = PACKET_HOST;
  const bridge = changetype<usize>(dev);
  skb.physOut = to.ifindex;
  // The bridge's own route (bridge_parent_rtable): REJECT answers.
  if (skb.rtType == 0) skb.rtType = RTN_UNICAST;
  const verdict = nfHook(HOOK_FORWARD, skb, ns, bridge, bridge);
  if (verdict == NF_ACCEPT) return bridgeNfPostRouting(skb, ns, dev, to);
  if (verdict != NF_STOLEN) skbDrop(skb, ns, changetype<usize>(to), DROP_NETFILTER);
  return false;
}

/** After FORWARD. As bridgeNfForward. */
export function bridgeNfPostRouting(skb: Skb, ns: Netns, dev: NetDevice, to: NetDevice): bool {
  if (FULL && !nftFrame(NFT_HOOK_BRIDGE + HOOK_POSTROUTING, skb, ns, 0, changetype<usize>(to))) return false;
  const verdict = nfHook(HOOK_POSTROUTING, skb, ns, 0, changetype<usize>(dev));
  if (verdict == NF_ACCEPT) return bridgeNfPush(skb, ns, dev, to);
  if (verdict != NF_STOLEN) skbDrop(skb, ns, changetype<usize>(to), DROP_NETFILTER);
  return false;
}

/** After POSTROUTING. As bridgeNfForward. */
export function bridgeNfPush(skb: Skb, ns: Netns, dev: NetDevice, to: NetDevice): bool {
  // br_nf_dev_queue_xmit, br_nf_ip_fragment: what came in pieces leaves in pieces no larger than those were.
  const fragMax = skb.fragMax;
  if (skbLength(skb) <= (fragMax != 0 && fragMax < to.mtu ? fragMax : to.mtu)) return true;
  const df = (Ipv4View.at(skb.network).fragment & IP_DF) != 0 && (skb.ipFlags & IPSKB_IGNORE_DF) == 0;
  if (df || fragMax > dev.mtu) {
    snmpInc(ns, SNMP_IP_FRAGFAILS);
    skbDrop(skb, ns, changetype<usize>(to), DROP_PKT_TOO_BIG);
    return false;
  }
  ipDoFragment(skb, ns, dev.mtu, changetype<usize>(to));
  return false;
}
