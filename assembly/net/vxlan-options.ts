// What a VXLAN device can be told beyond VNI, port and flooding list (drivers/net/vxlan/vxlan_core.c): the outer header's TTL, TOS and DF, the
// range of source ports, ageing and size of the forwarding database, a default destination, the path's MTU, group policy, ARP answered in
// place, and what could not be answered. Only in the full kernel.
import { EINVAL, ENODEV, MAILBOX_BYTES } from "../abi/core";
import {
  DROP_PKT_TOO_BIG, LINKINFO_AGEING, LINKINFO_L2MISSES, LINKINFO_L3MISSES, LINKINFO_MAXADDRESS, LINKINFO_REMOTE, LINKINFO_SPORT_HIGH,
  LINKINFO_SPORT_LOW, LINKINFO_TOS, LINKINFO_TTL, LINK_AGEING, LINK_F_DF, LINK_F_DF_INHERIT, LINK_F_GBP, LINK_F_L2MISS, LINK_F_L3MISS,
  LINK_F_TTL_INHERIT, LINK_MAXADDRESS, LINK_REMOTE, LINK_SPORT_HIGH, LINK_SPORT_LOW, LINK_TOS, LINK_TTL, DEV_VXLAN, MISS_BYTES, MISS_IP, MISS_KIND,
  MISS_L2, MISS_L3, MISS_MAC,
} from "../abi/net";
import { NetDevice, Netns, Skb } from "../layout";
import { kfree, kmalloc } from "../mm/slab";
import { mapped4, putBe16, putBe32, raw4 } from "../wire/bytes";
import { checksum } from "../wire/checksum";
import { ARP_LEN, ARP_REPLY, ARP_REQUEST, ArpView } from "../wire/arp";
import { ETH_HEADER_LEN, ETH_P_ARP, ETH_P_IP, EthernetView, macIsGroup } from "../wire/ethernet";
import { ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, ICMP_HEADER_LEN } from "../wire/icmp";
import { IPPROTO_ICMP, IPV4_HEADER_LEN, IP_DF, Ipv4View } from "../wire/ipv4";
import { IPV6_MIN_MTU, Ipv6View } from "../wire/ipv6";
import { UDP_HEADER_LEN, UdpView } from "../wire/udp";
import { VXLAN_HEADER_LEN, VXLAN_I, VxlanView } from "../wire/vxlan";
import { isLoopback4, isMulticast4 } from "./address";
import { countSent, netifRx } from "./dev";
import { deviceFind } from "./devices";
import { Neighbour, neighConnected, neighFind } from "./neighbour";
import { pmtuUpdate } from "./peers";
import { skbAlloc, skbDrop, skbFree, skbLength } from "./skb";
import { Vxlan, VxlanFdb, VxlanRemote, vxlanFdbFind, vxlanFdbSet } from "./vxlan";
import { carries6, innerField } from "./vxlan6";

const TTL_MAX: u32 = 255;
const MISSES_KEPT: u32 = 64;
const PMTUD_LEAST: u32 = 576;
const NS_PER_S: u64 = 1_000_000_000;
/** Bits of a mark that travel as group policy: policy applied, do not learn, and the policy's number. */
const GBP_MASK: u32 = 0x0048ffff;
const GBP_FLAG: u32 = 0x80000000;

/** Takes the options of a NET_LINK_ADD record over (vxlan_config_validate, vxlan_config_apply). 0 or -errno. */
export function vxlanConfigure(dev: NetDevice, vxlan: Vxlan, record: usize, flags: u32): i32 {
  const low = load<u32>(record, LINK_SPORT_LOW), high = load<u32>(record, LINK_SPORT_HIGH);
  const ttl = load<u32>(record, LINK_TTL), tos = load<u32>(record, LINK_TOS);
  if (low > 65535 || high > 65535 || high < low || ttl > TTL_MAX || tos > 255) return -EINVAL;
  if (!vxlan.six && isMulticast4(raw4(vxlan.localLo))) return -EINVAL;
  const remoteHi = load<u64>(record, LINK_REMOTE), remoteLo = load<u64>(record, LINK_REMOTE + 8);
  const group = !vxlan.six && isMulticast4(raw4(remoteLo));
  // A group is joined on a device.
  if (group && vxlan.lower == 0) return -EINVAL;
  vxlan.options = flags;
  vxlan.portLow = low;
  vxlan.portHigh = high;
  vxlan.ttl = ttl;
  vxlan.tos = tos;
  const ageing = load<u32>(record, LINK_AGEING);
  if (ageing != 0) vxlan.ageNs = <u64>ageing * NS_PER_S;
  vxlan.addressMax = load<u32>(record, LINK_MAXADDRESS);
  if ((remoteHi | remoteLo >> 32) == 0) return 0;
  vxlan.remoteHi = remoteHi;
  vxlan.remoteLo = remoteLo;
  return vxlanFdbSet(dev, 0, 0, remoteHi, remoteLo, 0);
}

/** The device ends. */
export function vxlanOptionsFree(vxlan: Vxlan): void {
  if (vxlan.misses != 0) kfree(vxlan.misses, MISSES_KEPT * MISS_BYTES);
}

/** Completes a LINKINFO_* record. */
export function vxlanDescribe(vxlan: Vxlan, to: usize): void {
  store<u64>(to, vxlan.remoteHi, LINKINFO_REMOTE);
  store<u64>(to, vxlan.remoteLo, LINKINFO_REMOTE + 8);
  store<u32>(to, vxlan.ttl, LINKINFO_TTL);
  store<u32>(to, vxlan.tos, LINKINFO_TOS);
  store<u32>(to, vxlan.portLow, LINKINFO_SPORT_LOW);
  store<u32>(to, vxlan.portHigh, LINKINFO_SPORT_HIGH);
  store<u32>(to, <u32>(vxlan.ageNs / NS_PER_S), LINKINFO_AGEING);
  store<u32>(to, vxlan.addressMax, LINKINFO_MAXADDRESS);
  store<u32>(to, vxlan.l2Misses, LINKINFO_L2MISSES);
  store<u32>(to, vxlan.l3Misses, LINKINFO_L3MISSES);
}

/** Has a device of the namespace that is up joined the group on `ifindex` (vxlan_multicast_join)? */
export function vxlanGroupJoined(ns: Netns, group: u32, ifindex: u32): bool {
  for (let at = ns.vxlans; at != 0; at = changetype<Vxlan>(at).next) {
    const vxlan = changetype<Vxlan>(at);
    if (vxlan.lower == ifindex && !vxlan.six && raw4(vxlan.remoteLo) == group && changetype<NetDevice>(vxlan.dev).up) return true;
  }
  return false;
}

/** Is an ICMP error about what a VXLAN device sent, UDP header at `udp` (vxlan_err_lookup)? */
export function vxlanErrorKnown(ns: Netns, udp: usize, end: usize): bool {
  if (ns.vxlans == 0 || udp + UDP_HEADER_LEN + VXLAN_HEADER_LEN > end) return false;
  const header = VxlanView.at(udp + UDP_HEADER_LEN), port = UdpView.at(udp).destinationPort;
  if ((header.flags & VXLAN_I) == 0) return false;
  for (let at = ns.vxlans; at != 0; at = changetype<Vxlan>(at).next) {
    if (changetype<Vxlan>(at).port == port && changetype<Vxlan>(at).vni == header.word >>> 8) return true;
  }
  return false;
}

// The outer header of the packet at hand: set by vxlanOuter, read at once.
export let outerTtl: u32 = 0; // 0: the namespace's
export let outerTos: u32 = 0;
export let outerDf: u32 = 0;

/** Frame with its Ethernet header at `data`: what of its inner header shows in the outer one (vxlan_xmit_one). */
export function vxlanOuter(skb: Skb, vxlan: Vxlan, remote: u32): void {
  const ip = Ipv4View.at(skb.data + ETH_HEADER_LEN);
  const isIp = EthernetView.at(skb.data).type == ETH_P_IP && skbLength(skb) >= ETH_HEADER_LEN + IPV4_HEADER_LEN;
  const six = carries6(skb);
  outerTtl = vxlan.options & LINK_F_TTL_INHERIT ? (six ? Ipv6View.at(changetype<usize>(ip)).hopLimit : isIp ? ip.ttl : 0) : vxlan.ttl;
  if (outerTtl == 0 && (vxlan.options & LINK_F_TTL_INHERIT) == 0 && isMulticast4(remote)) outerTtl = 1;
  outerTos = vxlan.tos == 1 ? innerField(skb) : vxlan.tos;
  outerDf = vxlan.options & LINK_F_DF || (vxlan.options & LINK_F_DF_INHERIT && (six || (isIp && (ip.fragment & IP_DF) != 0))) ? IP_DF : 0;
}

/** The first word of the VXLAN header's flags for a packet with this mark (vxlan_build_gbp_hdr). */
export function vxlanPolicy(vxlan: Vxlan, mark: u32): u32 {
  return vxlan.options & LINK_F_GBP && mark != 0 ? GBP_FLAG | (mark & GBP_MASK) : 0;
}

/** Which of the header's flag bits are the device's (vxlan_parse_gbp_hdr). */
export function vxlanPolicyBits(vxlan: Vxlan): u32 {
  return vxlan.options & LINK_F_GBP ? GBP_FLAG | 0xffffff : 0;
}
export function vxlanPolicyMark(flags: u32): u32 {
  return flags & GBP_FLAG ? flags & GBP_MASK : 0;
}

/**
 * The inner packet is longer than the `mtu` that the path to the other VTEP leaves it (skb_tunnel_check_pmtu): the sender's route is told so; behind a
 * bridge's port, where there is no route, the sender gets the ICMP error that a router would send, and the packet ends. True: taken.
 */
export function vxlanTooLong(skb: Skb, dev: NetDevice, mtu: u32): bool {
  if (carries6(skb)) {
    const six = Ipv6View.at(skb.data + ETH_HEADER_LEN);
    if (skb.rtDev != 0 && mtu >= IPV6_MIN_MTU) pmtuUpdate(changetype<Netns>(dev.ns), six.destinationHi, six.destinationLo, mtu);
    return false;
  }
  if (EthernetView.at(skb.data).type != ETH_P_IP || skbLength(skb) < ETH_HEADER_LEN + IPV4_HEADER_LEN) return false;
  const ip = Ipv4View.at(skb.data + ETH_HEADER_LEN);
  if (skb.rtDev != 0) pmtuUpdate(changetype<Netns>(dev.ns), 0, mapped4(ip.destination), mtu);
  if (dev.master == 0) return false;
  // iptunnel_pmtud_check_icmp
  const source = ip.source, destination = ip.destination;
  if (mtu < PMTUD_LEAST || ip.fragment != IP_DF || isMulticast4(destination) || destination == 0xffffffff || isMulticast4(source)
    || isLoopback4(source) || source == 0xffffffff || source == 0) return false;
  if (ip.protocol == IPPROTO_ICMP) {
    const at = changetype<usize>(ip) + <usize>ip.headerLength;
    if (at >= skb.tail || isError(<u32>load<u8>(at))) return false;
  }
  const quoted = min<u32>(skbLength(skb) - ETH_HEADER_LEN, PMTUD_LEAST - IPV4_HEADER_LEN - ICMP_HEADER_LEN);
  const length = ETH_HEADER_LEN + IPV4_HEADER_LEN + ICMP_HEADER_LEN + quoted;
  const answer = skbAlloc(length);
  if (changetype<usize>(answer) == 0) return false;
  const eth = EthernetView.at(skb.data);
  EthernetView.at(answer.data).write(eth.src0, eth.src1, eth.dst0, eth.dst1, ETH_P_IP);
  const out = answer.data + ETH_HEADER_LEN, icmp = out + IPV4_HEADER_LEN;
  Ipv4View.at(out).write(0, length - ETH_HEADER_LEN, 0, IP_DF, ip.ttl, IPPROTO_ICMP, destination, source);
  store<u32>(icmp, ICMP_DEST_UNREACH | (ICMP_FRAG_NEEDED << 8));
  putBe32(icmp, 4, mtu);
  memory.copy(icmp + ICMP_HEADER_LEN, changetype<usize>(ip), <usize>quoted);
  store<u16>(icmp, <u16>checksum(icmp, ICMP_HEADER_LEN + quoted), 2);
  answer.tail = answer.data + <usize>length;
  answer.id = skb.id;
  answer.dev = changetype<usize>(dev);
  // vxlan_encap_bypass: it comes back by the device that was to send it.
  countSent(dev, length);
  netifRx(answer, dev);
  skbDrop(skb, changetype<Netns>(dev.ns), changetype<usize>(dev), DROP_PKT_TOO_BIG);
  return true;
}

function isError(type: u32): bool {
  return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

/** Nothing is known about where the frame's destination is (vxlan_fdb_miss). */
export function vxlanMissed(vxlan: Vxlan, mac0: u32, mac1: u32): void {
  if ((vxlan.options & LINK_F_L2MISS) == 0 || macIsGroup(mac0)) return;
  vxlan.l2Misses++;
  note(vxlan, MISS_L2, 0, mac0, mac1);
}

/**
 * `proxy`: an ARP frame ends here (arp_reduce). A request is answered out of the device's neighbour table if the neighbour is elsewhere;
 * one that the table has no answer for is noted.
 */
export function vxlanProxy(skb: Skb, dev: NetDevice, vxlan: Vxlan): void {
  if (skbLength(skb) >= ETH_HEADER_LEN + ARP_LEN) proxy(ArpView.at(skb.data + ETH_HEADER_LEN), dev, vxlan);
  skbFree(skb);
}

function proxy(arp: ArpView, dev: NetDevice, vxlan: Vxlan): void {
  const source = arp.senderIp, target = arp.targetIp;
  if (!arp.valid || arp.operation != ARP_REQUEST || isLoopback4(target) || isMulticast4(target)) return;
  const at = neighFind(dev, 0, mapped4(target));
  if (at == 0) {
    if ((vxlan.options & LINK_F_L3MISS) == 0) return;
    vxlan.l3Misses++;
    note(vxlan, MISS_L3, mapped4(target), 0, 0);
    return;
  }
  const n = changetype<Neighbour>(at);
  if (!neighConnected(n)) return;
  // One that lives on this side answers for itself.
  const entry = vxlanFdbFind(vxlan, n.mac0, n.mac1);
  if (entry != 0 && changetype<VxlanFdb>(entry).remotes != 0
    && raw4(changetype<VxlanRemote>(changetype<VxlanFdb>(entry).remotes).lo) == 0) return;
  const reply = skbAlloc(ETH_HEADER_LEN + ARP_LEN);
  if (changetype<usize>(reply) == 0) return;
  EthernetView.at(reply.data).write(arp.senderMac0, arp.senderMac1, n.mac0, n.mac1, ETH_P_ARP);
  ArpView.at(reply.data + ETH_HEADER_LEN).write(ARP_REPLY, n.mac0, n.mac1, target, arp.senderMac0, arp.senderMac1, source);
  reply.tail = reply.data + (ETH_HEADER_LEN + ARP_LEN);
  reply.dev = changetype<usize>(dev);
  netifRx(reply, dev);
}

/** A miss for whoever asks (NET_VXLAN_MISSES): the oldest go when nobody does. */
function note(vxlan: Vxlan, kind: u32, ip: u64, mac0: u32, mac1: u32): void {
  if (vxlan.misses == 0) vxlan.misses = kmalloc(MISSES_KEPT * MISS_BYTES);
  if (vxlan.misses == 0) return;
  if (vxlan.missCount == MISSES_KEPT) {
    memory.copy(vxlan.misses, vxlan.misses + <usize>MISS_BYTES, (MISSES_KEPT - 1) * MISS_BYTES);
    vxlan.missCount--;
  }
  const at = vxlan.misses + <usize>(vxlan.missCount * MISS_BYTES);
  memory.fill(at, 0, MISS_BYTES);
  store<u32>(at, kind, MISS_KIND);
  store<u64>(at, ip, MISS_IP + 8);
  store<u32>(at, mac0, MISS_MAC);
  store<u16>(at, <u16>mac1, MISS_MAC + 4);
  vxlan.missCount++;
}

/** Hands the noted misses over, oldest first, and forgets them. Bytes, or -errno. */
export function vxlanTakeMisses(ns: Netns, ifindex: u32, to: usize): i32 {
  const at = deviceFind(ns, ifindex);
  if (at == 0) return -ENODEV;
  const dev = changetype<NetDevice>(at);
  if (dev.kind != DEV_VXLAN) return -EINVAL;
  const vxlan = changetype<Vxlan>(dev.priv);
  const bytes = min<u32>(vxlan.missCount * MISS_BYTES, MAILBOX_BYTES);
  if (bytes != 0) memory.copy(to, vxlan.misses, <usize>bytes);
  vxlan.missCount = 0;
  return <i32>bytes;
}
