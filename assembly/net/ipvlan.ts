// ipvlan (drivers/net/ipvlan/ipvlan_core.c, ipvlan_l3s.c): devices with addresses of their own behind one lower device, whose MAC they share. What
// the lower one receives goes to the device that has the destination. In mode l2 they send by the lower device's link, in l3 and
// l3s by the routes of its namespace; in l3s what comes in passes that namespace's PREROUTING and INPUT, too.
import { HOOK_INPUT, NF_ACCEPT, NF_STOLEN } from "../abi/netfilter";
import {
  DEV_IPVLAN, DROP_NETFILTER, DROP_NOT_SPECIFIED, DROP_UNHANDLED_PROTO, IPVLAN_MODE_L2, IPVLAN_MODE_L3S,
  LINK_F_PRIVATE, LINK_F_VEPA, PACKET_BROADCAST, PACKET_HOST, PACKET_MULTICAST,
} from "../abi/net";
import { NetDevice, Netns, Skb } from "../layout";
import { nfHook } from "../netfilter/hooks";
import { nfHook6 } from "../netfilter/hooks6";
import { ARP_LEN, ArpView } from "../wire/arp";
import { isMapped4, mapped4 } from "../wire/bytes";
import { ETH_HEADER_LEN, ETH_P_ARP, ETH_P_IP, ETH_P_IPV6, EthernetView, macIsBroadcast, macIsGroup } from "../wire/ethernet";
import { NDISC_NEIGHBOUR_SOLICITATION } from "../wire/icmp6";
import { IPV4_HEADER_LEN, Ipv4View } from "../wire/ipv4";
import { IPPROTO_ICMPV6, IPV6_HEADER_LEN, Ipv6View } from "../wire/ipv6";
import { Address } from "./address";
import { addressOf } from "./addrconf";
import { deferOutput, netifRx } from "./dev";
import { skbCopy, skbDrop, skbLength, skbPull, skbPush, skbScrub } from "./skb";
import { received } from "./vlan";

/** The fixed part of a neighbour solicitation. */
const NS_LEN: u32 = 24;

@unmanaged export class Ipvlan {
  mode: u32; // IPVLAN_MODE_*, the same for all on the lower device
  flags: u32; // LINK_F_PRIVATE, LINK_F_VEPA
  id: u32; // among those on the lower device, from 1 on (dev_id)
}

// The high word of the address that keyOf found; read at once.
let keyHi: u64 = 0;

/**
 * The address that decides, of a packet whose L3 header is at `data`: its low word, and the high one in `keyHi`; both 0: none
 * (ipvlan_get_L3_hdr). Of a neighbour solicitation it is the target.
 */
function keyOf(skb: Skb, protocol: u32, destination: bool): u64 {
  keyHi = 0;
  if (protocol == ETH_P_IPV6 && skbLength(skb) >= IPV6_HEADER_LEN) {
    const ip = Ipv6View.at(skb.data);
    if (ip.nextHeader == IPPROTO_ICMPV6 && skbLength(skb) >= IPV6_HEADER_LEN + NS_LEN
      && <u32>load<u8>(skb.data + <usize>IPV6_HEADER_LEN) == NDISC_NEIGHBOUR_SOLICITATION) {
      const target = skb.data + <usize>(IPV6_HEADER_LEN + 8);
      keyHi = load<u64>(target);
      return load<u64>(target, 8);
    }
    keyHi = destination ? ip.destinationHi : ip.sourceHi;
    return destination ? ip.destinationLo : ip.sourceLo;
  }
  if (protocol == ETH_P_IP && skbLength(skb) >= IPV4_HEADER_LEN) {
    const ip = Ipv4View.at(skb.data);
    return mapped4(destination ? ip.destination : ip.source);
  }
  if (protocol == ETH_P_ARP && skbLength(skb) >= ARP_LEN) {
    const arp = ArpView.at(skb.data);
    return mapped4(destination ? arp.targetIp : arp.senderIp);
  }
  return 0;
}

/** The device on `lower` that is up and has the address {keyHi, lo}, or 0 (ipvlan_addr_lookup). */
function lookup(lower: NetDevice, lo: u64): usize {
  const hi = keyHi, six = (hi | lo) != 0 && !isMapped4(hi, lo);
  if (lo == 0 && !six) return 0;
  for (let at = lower.uppers; at != 0; at = changetype<NetDevice>(at).upperNext) {
    const dev = changetype<NetDevice>(at);
    if (dev.kind != DEV_IPVLAN || !dev.up) continue;
    if (six) {
      if (addressOf(dev, hi, lo) != 0) return at;
      continue;
    }
    for (let a = dev.addresses; a != 0; a = changetype<Address>(a).next) if (changetype<Address>(a).lo == lo) return at;
  }
  return 0;
}

function modeOf(lower: NetDevice): u32 {
  for (let at = lower.uppers; at != 0; at = changetype<NetDevice>(at).upperNext) {
    if (changetype<NetDevice>(at).kind == DEV_IPVLAN) return changetype<Ipvlan>(changetype<NetDevice>(at).priv).mode;
  }
  return IPVLAN_MODE_L2;
}

/** As macvlanInput (ipvlan_handle_frame). */
export function ipvlanInput(skb: Skb, lower: NetDevice): usize {
  const mode = modeOf(lower);
  if (mode == IPVLAN_MODE_L3S) return changetype<usize>(lower);
  const eth = EthernetView.at(skb.mac);
  if (mode == IPVLAN_MODE_L2 && macIsGroup(eth.dst0)) {
    const own = eth.src0 == lower.mac0 && eth.src1 == lower.mac1 && lookup(lower, keyOf(skb, skb.protocol, false)) != 0;
    if (!own) toAll(skb, lower, 0);
    return changetype<usize>(lower);
  }
  const found = lookup(lower, keyOf(skb, skb.protocol, true));
  if (found == 0) return changetype<usize>(lower);
  received(skb, changetype<NetDevice>(found));
  return found;
}

/** Copies of a group frame for all on `lower` but `from`; `data` behind the Ethernet header (ipvlan_process_multicast). */
function toAll(skb: Skb, lower: NetDevice, from: usize): void {
  for (let at = lower.uppers; at != 0; at = changetype<NetDevice>(at).upperNext) {
    const dev = changetype<NetDevice>(at);
    if (dev.kind != DEV_IPVLAN || !dev.up || at == from) continue;
    skbPush(skb, ETH_HEADER_LEN);
    const copy = skbCopy(skb);
    skbPull(skb, ETH_HEADER_LEN);
    if (changetype<usize>(copy) == 0) {
      dev.rxDropped++;
      continue;
    }
    copy.dev = 0;
    skbScrub(copy, dev);
    const eth = EthernetView.at(copy.data);
    copy.pktType = macIsBroadcast(eth.dst0, eth.dst1) ? PACKET_BROADCAST : PACKET_MULTICAST;
    netifRx(copy, dev);
  }
}

/** The device sends, Ethernet header at `data` (ipvlan_queue_xmit): true: by the lower device's link; false: the frame was taken. */
export function ipvlanXmit(skb: Skb, dev: NetDevice): bool {
  const lower = changetype<NetDevice>(dev.lower);
  const port = changetype<Ipvlan>(dev.priv);
  const eth = EthernetView.at(skb.data);
  const l2 = port.mode == IPVLAN_MODE_L2;
  const group = macIsGroup(eth.dst0);
  const own = eth.dst0 == eth.src0 && eth.dst1 == eth.src1;
  const protocol = eth.type;
  if (l2 && group) {
    skbPull(skb, ETH_HEADER_LEN);
    toAll(skb, lower, changetype<usize>(dev));
    skbPush(skb, ETH_HEADER_LEN);
  } else if ((port.flags & LINK_F_VEPA) == 0 && (!l2 || own)) {
    skbPull(skb, ETH_HEADER_LEN);
    const found = lookup(lower, keyOf(skb, protocol, true));
    skbPush(skb, ETH_HEADER_LEN);
    if (found != 0 || l2) {
      if (found != 0 && (port.flags & LINK_F_PRIVATE) != 0) {
        skbDrop(skb, changetype<Netns>(dev.ns), changetype<usize>(dev), DROP_NOT_SPECIFIED);
        return false;
      }
      // To one of them, or, in l2, to the lower device itself.
      const to = found != 0 ? changetype<NetDevice>(found) : lower;
      skb.dev = 0;
      skbScrub(skb, to);
      netifRx(skb, to);
      return false;
    }
  }
  skb.dev = changetype<usize>(dev);
  if (dev.ns != lower.ns || !l2) skbScrub(skb, lower);
  if (l2) return true;
  const six = protocol == ETH_P_IPV6;
  if ((protocol != ETH_P_IP && !six) || skbLength(skb) < ETH_HEADER_LEN + (six ? IPV6_HEADER_LEN : IPV4_HEADER_LEN)) {
    skbDrop(skb, changetype<Netns>(dev.ns), changetype<usize>(dev), DROP_UNHANDLED_PROTO);
    return false;
  }
  // ipvlan_process_outbound
  skbPull(skb, ETH_HEADER_LEN);
  skb.mac = 0;
  skb.network = skb.data;
  skb.transport = skb.data + <usize>(six ? IPV6_HEADER_LEN : Ipv4View.at(skb.data).headerLength);
  skb.protocol = protocol;
  skb.cb0 = <u64>lower.ifindex;
  deferOutput(skb, dev);
  return false;
}

/**
 * Mode l3s: a packet that has passed PREROUTING on the lower device, `data` at its IP header (ipvlan_l3_rcv, ipvlan_nf_input). The
 * device that it is for, after the lower namespace's INPUT; `lower`: it goes on there; 0: it was taken.
 */
export function ipvlanL3s(skb: Skb, lower: NetDevice): usize {
  if (modeOf(lower) != IPVLAN_MODE_L3S) return changetype<usize>(lower);
  const found = lookup(lower, keyOf(skb, skb.protocol, true));
  if (found == 0) return changetype<usize>(lower);
  const ns = changetype<Netns>(lower.ns);
  const six = skb.protocol == ETH_P_IPV6;
  const verdict = six ? nfHook6(HOOK_INPUT, skb, ns, changetype<usize>(lower), 0) : nfHook(HOOK_INPUT, skb, ns, changetype<usize>(lower), 0);
  if (verdict == NF_STOLEN) return 0;
  if (verdict != NF_ACCEPT) {
    skbDrop(skb, ns, changetype<usize>(lower), DROP_NETFILTER);
    return 0;
  }
  const dev = changetype<NetDevice>(found);
  const network = skb.network, transport = skb.transport;
  skb.dev = changetype<usize>(lower);
  skbScrub(skb, dev);
  skb.network = network;
  skb.transport = transport;
  skb.pktType = PACKET_HOST;
  dev.rxPackets++;
  dev.rxBytes += <u64>skbLength(skb);
  return found;
}
