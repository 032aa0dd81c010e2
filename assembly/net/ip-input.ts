// IPv4 coming in: checks, PREROUTING, route, then delivery or forwarding (net/ipv4/ip_input.c, ip_forward.c).
import { EHOSTUNREACH, ENETUNREACH, OBS_DELIVER } from "../abi/core";
import { TRACE_IP_FORWARD, TRACE_IP_LOCAL_DELIVER, TRACE_IP_RCV } from "../abi/bpf-trace";
import { traceFunction, watched, watchedFunctions } from "../bpf/hooks/tracing";
import { HOOK_FORWARD, HOOK_INPUT, HOOK_PREROUTING, NF_ACCEPT, NF_STOLEN } from "../abi/netfilter";
import {
  CONF_DROP_UNICAST_IN_L2_MULTICAST, CONF_FORWARDING, DEV_IPVLAN, DEV_LOOPBACK, DROP_BLACKHOLE_ROUTE, DROP_IP_CSUM,
  DROP_IP_INADDRERRORS, DROP_IP_INHDR, DROP_IP_INNOROUTES, DROP_IP_NOPROTO, DROP_NETFILTER, DROP_NOT_SPECIFIED,
  DROP_OTHERHOST, DROP_PKT_TOO_BIG, DROP_PKT_TOO_SMALL, DROP_UNICAST_IN_L2_MULTICAST, PACKET_BROADCAST, PACKET_HOST,
  PACKET_MULTICAST, PACKET_OTHERHOST, RTN_BROADCAST, RTN_LOCAL, RTN_MULTICAST, RTN_UNREACHABLE, SNMP_IPEXT_INBCASTOCTETS,
  SNMP_IPEXT_INBCASTPKTS, SNMP_IPEXT_INCSUMERRORS, SNMP_IPEXT_INMCASTOCTETS, SNMP_IPEXT_INMCASTPKTS,
  SNMP_IPEXT_INNOECTPKTS, SNMP_IPEXT_INNOROUTES, SNMP_IPEXT_INOCTETS, SNMP_IPEXT_INTRUNCATEDPKTS, SNMP_IP_FORWDATAGRAMS,
  SNMP_IP_FRAGFAILS, SNMP_IP_INADDRERRORS, SNMP_IP_INDELIVERS, SNMP_IP_INHDRERRORS, SNMP_IP_INRECEIVES,
  SNMP_IP_INUNKNOWNPROTOS,
} from "../abi/net";
import { FULL } from "../features";
import { NetDevice, Netns, Skb } from "../layout";
import { charge } from "../mm/node";
import { nfHook } from "../netfilter/hooks";
import { sockRawDeliver, sockReceive } from "../sock/receive";
import { observeRecord, tracing } from "../trace/observe";
import { mapped4, raw4 } from "../wire/bytes";
import { checksum, checksumFold, pseudo4 } from "../wire/checksum";
import { ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, ICMP_PROT_UNREACH, ICMP_REDIRECT, ICMP_TIME_EXCEEDED } from "../wire/icmp";
import { IPPROTO_ICMP, IPPROTO_IGMP, IPPROTO_UDP, IPV4_HEADER_LEN, IP_DF, IP_MF, IP_OFFSET, Ipv4View } from "../wire/ipv4";
import { IPSKB_BRIDGED } from "./bridge-netfilter";
import { COST_FORWARD } from "./costs";
import { flowReceive } from "./flow";
import { icmpReceive, icmpSend } from "./icmp";
import { DEFRAG_IN, DEFRAG_LOCAL, ipDefrag, ipDefragHook } from "./ip-defrag";
import { ipOptionsForward, ipOptionsReceive } from "./ip-options";
import { dstOutput } from "./ip-output";
import { peerAllowError, peerAllowRedirect } from "./peers";
import { RTF_REDIRECT, errorCode, routeDrop, routeInput } from "./route";
import { skbDrop, skbFree, skbLength } from "./skb";
import { snmpAdd, snmpInc } from "./snmp";
import { devConf, orConf } from "./sysctl";
import { ipvlanL3s } from "./ipvlan";
import { tunnelReceive } from "./tunnel";
import { vxlanReceive } from "./vxlan";

const IPPROTO_PIM: u32 = 103;

// Notes on a packet: Skb.ipFlags (IPSKB_* of include/net/ip.h).
/** Its options say that routers on the way write into them. */
export const IPSKB_OPTIONS: u32 = 0x01;
/** Was put together from fragments with DF, the longest of them fragMax long. */
export const IPSKB_FRAG_PMTU: u32 = 0x02;
/** DF does not forbid to send it in fragments (skb->ignore_df). */
export const IPSKB_IGNORE_DF: u32 = 0x04;
/** Its L4 checksum would be left to the device: on loopback nobody fills it in (ip_summed is CHECKSUM_PARTIAL). */
export const IPSKB_CSUM_PARTIAL: u32 = 0x10;
/** Our own broadcast or multicast, coming back to us: its route is known. */
export const IPSKB_LOOPED: u32 = 0x08;
/** A tunnel's outer packet: what it sends to a group does not come back to this host (IP_MULTICAST_LOOP is off). */
export const IPSKB_NO_LOOP: u32 = 0x400;
/** A tunnel's outer packet around an ICMP message that is being sent. */
export const IPSKB_IN_ICMP: u32 = 0x800;

/** A packet, `data` at the IP header (ip_rcv). */
export function ipReceive(packet: Skb, dev: NetDevice): void {
  if (FULL && !watchedFunctions() && flowReceive(packet, dev)) return;
  const ns = changetype<Netns>(dev.ns);
  if (FULL && watched(TRACE_IP_RCV)) traceFunction(TRACE_IP_RCV, packet, ns, changetype<usize>(dev));
  if (packet.pktType == PACKET_OTHERHOST) {
    dev.rxDropped++;
    skbDrop(packet, ns, changetype<usize>(dev), DROP_OTHERHOST);
    return;
  }
  const reason = receiveCore(packet, ns);
  if (reason >= 0) {
    skbDrop(packet, ns, changetype<usize>(dev), <u32>reason);
    return;
  }
  packet.inDev = changetype<usize>(dev);
  // What a bridge put together from fragments is one packet here (ip_rcv_core clears IPCB).
  packet.fragMax = 0;
  packet.ipFlags &= ~IPSKB_FRAG_PMTU;
  let skb = packet;
  // A bridged packet that is for the host after all has been through PREROUTING as a frame (ip_sabotage_in).
  if ((skb.ipFlags & IPSKB_BRIDGED) == 0) {
    skb = ipDefragHook(packet, ns, DEFRAG_IN);
    if (changetype<usize>(skb) == 0) return;
    const verdict = nfHook(HOOK_PREROUTING, skb, ns, changetype<usize>(dev), 0);
    if (verdict == NF_STOLEN) return;
    if (verdict != NF_ACCEPT) {
      skbDrop(skb, ns, changetype<usize>(dev), DROP_NETFILTER);
      return;
    }
  } else skb.ipFlags &= ~IPSKB_BRIDGED;
  ipReceiveHooked(skb, ns, dev);
}

/** After PREROUTING. */
export function ipReceiveHooked(skb: Skb, ns: Netns, dev: NetDevice): void {
  if (FULL && dev.rxHandler == DEV_IPVLAN) {
    const next = ipvlanL3s(skb, dev);
    if (next != changetype<usize>(dev)) {
      if (next != 0) ipReceive(skb, changetype<NetDevice>(next));
      return;
    }
  }
  ipReceiveFinish(skb, ns, dev);
}

/** ip_rcv_core: -1 when the header is sound, else why not. */
function receiveCore(skb: Skb, ns: Netns): i32 {
  snmpInc(ns, SNMP_IP_INRECEIVES);
  snmpAdd(ns, SNMP_IPEXT_INOCTETS, skbLength(skb));
  return ipCheckHeader(skb, ns, true);
}

/**
 * Tests the header at `data`, sets `network` and `transport`, and cuts off what is behind the packet's length. -1, or a DROP_*
 * reason, counted. `ecn`: count the ECN mark too; a bridge does not (br_validate_ipv4).
 */
export function ipCheckHeader(skb: Skb, ns: Netns, ecn: bool): i32 {
  const available = skbLength(skb);
  const ip = Ipv4View.at(skb.data);
  const header = available >= IPV4_HEADER_LEN ? ip.headerLength : 0;
  if (header < IPV4_HEADER_LEN || <u32>load<u8>(skb.data) >>> 4 != 4) {
    snmpInc(ns, SNMP_IP_INHDRERRORS);
    return DROP_IP_INHDR;
  }
  if (ecn) snmpInc(ns, SNMP_IPEXT_INNOECTPKTS + (ip.tos & 3));
  if (header > available) {
    snmpInc(ns, SNMP_IP_INHDRERRORS);
    return DROP_IP_INHDR;
  }
  if (checksum(skb.data, header) != 0) {
    snmpInc(ns, SNMP_IPEXT_INCSUMERRORS);
    snmpInc(ns, SNMP_IP_INHDRERRORS);
    return DROP_IP_CSUM;
  }
  const length = ip.length;
  if (available < length) {
    snmpInc(ns, SNMP_IPEXT_INTRUNCATEDPKTS);
    return DROP_PKT_TOO_SMALL;
  }
  if (length < header) {
    snmpInc(ns, SNMP_IP_INHDRERRORS);
    return DROP_IP_INHDR;
  }
  skb.network = skb.data;
  skb.transport = skb.data + <usize>header;
  skb.tail = skb.data + <usize>length;
  return -1;
}

/** After PREROUTING: route and go (ip_rcv_finish). */
function ipReceiveFinish(skb: Skb, ns: Netns, dev: NetDevice): void {
  const ip = Ipv4View.at(skb.network);
  // What comes by loopback, or loops back, still has the route it was sent by.
  const routed = skb.rtType != 0 && (dev.kind == DEV_LOOPBACK || (skb.ipFlags & IPSKB_LOOPED) != 0);
  if (!routed && routeInput(skb, ns, dev, ip.destination, ip.source, ip.tos) != 0) {
    skbDrop(skb, ns, changetype<usize>(dev), routeDrop);
    return;
  }
  if (ip.headerLength > IPV4_HEADER_LEN && !ipOptionsReceive(skb, ns, dev)) return;
  const length = skbLength(skb);
  if (skb.rtType == RTN_MULTICAST) {
    snmpInc(ns, SNMP_IPEXT_INMCASTPKTS);
    snmpAdd(ns, SNMP_IPEXT_INMCASTOCTETS, length);
  } else if (skb.rtType == RTN_BROADCAST) {
    snmpInc(ns, SNMP_IPEXT_INBCASTPKTS);
    snmpAdd(ns, SNMP_IPEXT_INBCASTOCTETS, length);
  } else if ((skb.pktType == PACKET_BROADCAST || skb.pktType == PACKET_MULTICAST)
    && orConf(dev, CONF_DROP_UNICAST_IN_L2_MULTICAST)) {
    skbDrop(skb, ns, changetype<usize>(dev), DROP_UNICAST_IN_L2_MULTICAST);
    return;
  }
  switch (skb.rtType) {
    case RTN_LOCAL:
    case RTN_BROADCAST:
    case RTN_MULTICAST: ipLocalDeliver(skb, ns, dev); break;
    case RTN_UNREACHABLE: ipError(skb, ns, dev); break;
    default: ipForward(skb, ns, dev);
  }
}

/** There is no way there (ip_error). */
function ipError(skb: Skb, ns: Netns, dev: NetDevice): void {
  const errno = skb.rtMtu;
  if (devConf(dev, CONF_FORWARDING) == 0) {
    if (errno == EHOSTUNREACH) snmpInc(ns, SNMP_IP_INADDRERRORS);
    else if (errno == ENETUNREACH) snmpInc(ns, SNMP_IPEXT_INNOROUTES);
    skbDrop(skb, ns, changetype<usize>(dev), DROP_IP_INADDRERRORS);
    return;
  }
  const code = errorCode(errno);
  if (code < 0) {
    skbDrop(skb, ns, changetype<usize>(dev), DROP_BLACKHOLE_ROUTE);
    return;
  }
  if (errno == ENETUNREACH) snmpInc(ns, SNMP_IPEXT_INNOROUTES);
  const source = Ipv4View.at(skb.network).source;
  if (peerAllowError(ns, 0, mapped4(source))) icmpSend(skb, ns, ICMP_DEST_UNREACH, <u32>code, 0);
  skbDrop(skb, ns, changetype<usize>(dev), DROP_IP_INNOROUTES);
}

/** For this host (ip_local_deliver). */
function ipLocalDeliver(packet: Skb, ns: Netns, dev: NetDevice): void {
  let skb = packet;
  if (FULL && watched(TRACE_IP_LOCAL_DELIVER)) traceFunction(TRACE_IP_LOCAL_DELIVER, skb, ns, 0);
  if ((Ipv4View.at(skb.network).fragment & (IP_MF | IP_OFFSET)) != 0) {
    skb = ipDefrag(packet, ns, DEFRAG_LOCAL);
    if (changetype<usize>(skb) == 0) return;
  }
  const verdict = nfHook(HOOK_INPUT, skb, ns, changetype<usize>(dev), 0);
  if (verdict == NF_STOLEN) return;
  if (verdict != NF_ACCEPT) {
    skbDrop(skb, ns, changetype<usize>(dev), DROP_NETFILTER);
    return;
  }
  ipLocalDeliverFinish(skb, ns, dev);
}

/** After INPUT: to the protocol that it is for (ip_local_deliver_finish). */
export function ipLocalDeliverFinish(skb: Skb, ns: Netns, dev: NetDevice): void {
  const ip = Ipv4View.at(skb.network);
  const protocol = ip.protocol;
  skb.transport = skb.network + <usize>ip.headerLength;
  skb.data = skb.transport;
  sockRawDeliver(skb, ns);
  if (protocol == IPPROTO_ICMP) {
    traceDeliver(skb, ns, dev, protocol);
    snmpInc(ns, SNMP_IP_INDELIVERS);
    icmpReceive(skb, ns, dev);
    return;
  }
  if (protocol == IPPROTO_UDP && vxlanReceive(skb, ns)) {
    snmpInc(ns, SNMP_IP_INDELIVERS);
    return;
  }
  if (FULL && ns.tunnels != 0 && tunnelReceive(skb, ns, protocol)) {
    snmpInc(ns, SNMP_IP_INDELIVERS);
    return;
  }
  if (sockReceive(skb, ns, protocol)) {
    snmpInc(ns, SNMP_IP_INDELIVERS);
    return;
  }
  if (protocol == IPPROTO_IGMP || protocol == IPPROTO_PIM) {
    // igmp_rcv, pim_rcv: nobody here has joined a group that a router would ask about, or routes multicast.
    snmpInc(ns, SNMP_IP_INDELIVERS);
    skbFree(skb);
    return;
  }
  snmpInc(ns, SNMP_IP_INUNKNOWNPROTOS);
  icmpSend(skb, ns, ICMP_DEST_UNREACH, ICMP_PROT_UNREACH, 0);
  skbDrop(skb, ns, changetype<usize>(dev), DROP_IP_NOPROTO);
}

/** Do raw sockets get it (icmp_filter)? Not an ICMP message without a whole header. */
export function ipRawVisible(skb: Skb): bool {
  const ip = Ipv4View.at(skb.network);
  return ip.protocol != IPPROTO_ICMP || ip.length >= ip.headerLength + 8;
}

/**
 * What raw sockets see of a packet whose checksum was left to a device and that never met one: the sum of the pseudo-header. `copy` is
 * the IP header of the bytes that they are given.
 */
export function ipPartialChecksum(skb: Skb, copy: usize): void {
  const ip = Ipv4View.at(copy);
  if ((skb.ipFlags & IPSKB_CSUM_PARTIAL) == 0 || (ip.fragment & (IP_MF | IP_OFFSET)) != 0) return;
  const header = ip.headerLength, protocol = ip.protocol, at: u32 = protocol == IPPROTO_UDP ? 6 : 16;
  if (ip.length < header + at + 2) return;
  store<u16>(copy + <usize>(header + at), <u16>checksumFold(pseudo4(ip.source, ip.destination, protocol, ip.length - header)));
}

function traceDeliver(skb: Skb, ns: Netns, dev: NetDevice, protocol: u32): void {
  if (!tracing()) return;
  const at = observeRecord(OBS_DELIVER, skb, changetype<usize>(ns), changetype<usize>(dev), 8);
  if (at == 0) return;
  store<u32>(at, protocol);
  store<u32>(at, 0, 4);
}

/** For another host (ip_forward). */
function ipForward(skb: Skb, ns: Netns, dev: NetDevice): void {
  if (FULL && watched(TRACE_IP_FORWARD)) traceFunction(TRACE_IP_FORWARD, skb, ns, 0);
  if (skb.pktType != PACKET_HOST) {
    skbDrop(skb, ns, changetype<usize>(dev), DROP_NOT_SPECIFIED);
    return;
  }
  charge(COST_FORWARD);
  const ip = Ipv4View.at(skb.network);
  const ttl = ip.ttl;
  if (ttl <= 1) {
    snmpInc(ns, SNMP_IP_INHDRERRORS);
    icmpSend(skb, ns, ICMP_TIME_EXCEEDED, 0, 0);
    skbDrop(skb, ns, changetype<usize>(dev), DROP_IP_INHDR);
    return;
  }
  snmpInc(ns, SNMP_IP_FORWDATAGRAMS);
  const mtu = skb.rtMtu;
  // ip_exceeds_mtu
  if (skbLength(skb) > mtu && (ip.fragment & IP_DF) != 0 && (skb.fragMax > mtu || (skb.ipFlags & IPSKB_IGNORE_DF) == 0)) {
    snmpInc(ns, SNMP_IP_FRAGFAILS);
    icmpSend(skb, ns, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, mtu);
    skbDrop(skb, ns, changetype<usize>(dev), DROP_PKT_TOO_BIG);
    return;
  }
  ip.setTtl(ttl - 1);
  // rt_tos2priority: best effort, bulk, interactive, interactive bulk
  if (FULL) skb.priority = (0x4620 >>> (((ip.tos >>> 3) & 3) << 2)) & 15;
  if ((skb.rtFlags & RTF_REDIRECT) != 0 && peerAllowRedirect(ns, 0, mapped4(ip.source))) {
    icmpSend(skb, ns, ICMP_REDIRECT, 1, bswap<u32>(raw4(skb.rtGatewayLo)));
  }
  const verdict = nfHook(HOOK_FORWARD, skb, ns, changetype<usize>(dev), skb.rtDev);
  if (verdict == NF_STOLEN) return;
  if (verdict != NF_ACCEPT) {
    skbDrop(skb, ns, changetype<usize>(dev), DROP_NETFILTER);
    return;
  }
  ipForwardFinish(skb, ns);
}

/** After FORWARD (ip_forward_finish). */
export function ipForwardFinish(skb: Skb, ns: Netns): void {
  if (skb.ipFlags & IPSKB_OPTIONS) ipOptionsForward(skb, ns);
  dstOutput(skb, ns);
}
