// Sending IPv4: route, header, OUTPUT, POSTROUTING, neighbour, device (net/ipv4/ip_output.c).
import { EHOSTUNREACH, EINVAL, EMSGSIZE, ENETUNREACH, ENOBUFS, EPERM } from "../abi/core";
import { TRACE_IP_LOCAL_OUT, TRACE_IP_OUTPUT } from "../abi/bpf-trace";
import { traceOutput, watched } from "../bpf/hooks/tracing";
import { HOOK_OUTPUT, HOOK_POSTROUTING, NF_ACCEPT, NF_STOLEN } from "../abi/netfilter";
import {
  DEV_LOOPBACK, DEV_VXLAN, DROP_BPF_CGROUP_EGRESS, DROP_IP_OUTNOROUTES, DROP_NETFILTER, DROP_NOT_SPECIFIED, DROP_PKT_TOO_BIG, IFF_NOARP, RTN_BROADCAST, RTN_LOCAL, RTN_MULTICAST,
  SNMP_IPEXT_OUTBCASTOCTETS, SNMP_IPEXT_OUTBCASTPKTS, SNMP_IPEXT_OUTMCASTOCTETS, SNMP_IPEXT_OUTMCASTPKTS,
  SNMP_IPEXT_OUTOCTETS, SNMP_IP_FRAGFAILS, SNMP_IP_OUTDISCARDS, SNMP_IP_OUTNOROUTES, SNMP_IP_OUTREQUESTS,
  SNMP_IP_OUTTRANSMITS,
} from "../abi/net";
import { CGROUP_INET_EGRESS, cgroupActive, cgroupSkbEgress } from "../bpf/hooks/cgroup";
import { FULL } from "../features";
import { HANDLE_SOCKET, handleGet } from "../mm/handle";
import { SockCreds, Socket } from "../sock/socket";
import { flowFrom, flowOwner, flowSet } from "./multipath";
import { NetDevice, Netns, Skb } from "../layout";
import { nfHook, nfSkbShare } from "../netfilter/hooks";
import { be16, isMapped4, mapped4, raw4 } from "../wire/bytes";
import { ip6LocalOutBuilt } from "./ip6-output";
import { ETH_HEADER_LEN, ETH_P_IP, ETH_P_IPV6, EthernetView } from "../wire/ethernet";
import { ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, ICMP_HEADER_LEN } from "../wire/icmp";
import { IPPROTO_ICMP, IPPROTO_UDP, IPV4_HEADER_LEN, IP_DF, Ipv4View } from "../wire/ipv4";
import { inetSelectAddr } from "./address";
import { devQueueXmit, netifRx } from "./dev";
import { icmpOutCount, icmpSend as send } from "./icmp";
import { DEFRAG_OUT, ipDefragHook } from "./ip-defrag";
import { ipDoFragment } from "./ip-fragment";
import { IPSKB_IGNORE_DF, IPSKB_LOOPED, IPSKB_NO_LOOP } from "./ip-input";
import { neighOutput } from "./neighbour";
import { RTF_LOCAL, Route as RouteAnswer, inetAddrType, routeOutputKey, routeRemembered, skbSetRoute } from "./route";
import { skbCopy, skbCopyRoute, skbDrop, skbEnsureHeadroom, skbLength, skbPush } from "./skb";
import { snmpAdd, snmpInc } from "./snmp";
import { route6Output } from "./ip6-route";
import { isTunnel, tunnelNs } from "./tunnel";
import { vxlanNs } from "./vxlan";

export { Route } from "./route";
export { icmpSend } from "./icmp";

const SOURCE: usize = 12; // in the IPv4 header
const ANY_LO: u64 = 0xffff0000;

// Why the packet in OUTPUT could not be routed anew, which its sender is told instead of -EPERM (NF_DROP_ERR). 0 between two calls.
let rerouteError: i32 = 0;

/** IP id of the next packet that carries one that means something. */
export function ipNextId(ns: Netns): u32 {
  ns.ipId = (ns.ipId + 1) & 0xffff;
  return ns.ipId;
}

/**
 * Routes a packet of this host (ip_route_output_key). `source` may be "any" (hi = 0, lo = 0xffff0000). Fills `into`; 0, or
 * -ENETUNREACH, -EHOSTUNREACH, -EACCES, -EINVAL as the route's type has it.
 */
export function routeOutput(ns: Netns, destinationHi: u64, destinationLo: u64, sourceHi: u64, sourceLo: u64, oif: u32,
  mark: u32, tos: u32, into: RouteAnswer): i32 {
  if (!isMapped4(destinationHi, destinationLo & 0xffffffff)) {
    if (!FULL) return -ENETUNREACH;
    const any = sourceHi == 0 && sourceLo == ANY_LO;
    return route6Output(ns, destinationHi, destinationLo, any ? 0 : sourceHi, any ? 0 : sourceLo, oif, mark, into);
  }
  return routeOutputKey(ns, destinationHi, destinationLo, sourceHi, sourceLo, oif, mark, into);
}

/**
 * Sends an L4 packet of this host: `data` at the L4 header, its checksum already right for source and destination. Builds the
 * IP header, runs OUTPUT and POSTROUTING, finds the neighbour, sends. Takes the packet in every case. 0 or -errno
 * (-EPERM: a hook dropped it; -EMSGSIZE: longer than the MTU with DF).
 */
export function ipSend(packet: Skb, ns: Netns, sourceHi: u64, sourceLo: u64, destinationHi: u64, destinationLo: u64,
  protocol: u32, tos: u32, ttl: u32, df: bool): i32 {
  const route = changetype<RouteAnswer>(ns.scratch);
  if (FULL && ns.routeMore != 0) {
    const ports = protocol == IPPROTO_UDP;
    flowSet(protocol, ports ? be16(packet.data, 0) : 0, ports ? be16(packet.data, 2) : 0, tos);
    flowOf(packet);
  }
  const result = routeOutput(ns, destinationHi, destinationLo, sourceHi, sourceLo, 0, packet.mark, tos, route);
  const length = skbLength(packet) + IPV4_HEADER_LEN;
  if (result != 0) {
    if (result == -ENETUNREACH) snmpInc(ns, SNMP_IP_OUTNOROUTES);
    skbDrop(packet, ns, 0, DROP_IP_OUTNOROUTES);
    return result;
  }
  if (length > 65535 || (df && length > route.mtu)) {
    skbDrop(packet, ns, route.dev, DROP_PKT_TOO_BIG);
    return -EMSGSIZE;
  }
  return ipSendRouted(packet, ns, route, destinationLo, protocol, tos, ttl, df ? IP_DF : 0, 0);
}

/**
 * As ipSend, with the route at hand: its source goes into the header, and behind the header `optionsLength` bytes of options,
 * which stand behind the route in the namespace's scratch.
 */
export function ipSendRouted(packet: Skb, ns: Netns, route: RouteAnswer, destinationLo: u64, protocol: u32, tos: u32, ttl: u32,
  fragment: u32, optionsLength: u32): i32 {
  skbSetRoute(packet, route);
  const source = raw4(route.sourceLo);
  const skb = skbEnsureHeadroom(packet, IPV4_HEADER_LEN + optionsLength + ETH_HEADER_LEN, changetype<NetDevice>(ns.loopback));
  if (changetype<usize>(skb) == 0) return -ENOBUFS;
  skb.transport = skb.data;
  skb.network = skbPush(skb, IPV4_HEADER_LEN + optionsLength);
  skb.protocol = ETH_P_IP;
  const ip = Ipv4View.at(skb.network);
  ip.write(tos, skbLength(skb), ipNextId(ns), fragment, ttl, protocol, source, raw4(destinationLo));
  if (optionsLength != 0) {
    store<u8>(skb.network, <u8>(0x45 + (optionsLength >>> 2)));
    memory.copy(skb.network + IPV4_HEADER_LEN, ns.scratch + offsetof<RouteAnswer>(), <usize>optionsLength);
    ip.updateChecksum();
  }
  return discarded(ns, localOut(skb, ns));
}

/** Counts what could not be sent (ip_send_skb, raw_send_hdrinc); what goes by ip_local_out alone is not counted. */
export function discarded(ns: Netns, result: i32): i32 {
  if (result < 0) snmpInc(ns, SNMP_IP_OUTDISCARDS);
  return result;
}

/** RTN_* of an address by the local table alone, as xt_addrtype and bind() see it (inet_addr_type). */
export function addressType(ns: Netns, hi: u64, lo: u64): u32 {
  return inetAddrType(ns, hi, lo);
}

/** The address that packets out of `dev` towards `hi:lo` carry (inet_select_addr with scope universe); low word, 0: none. */
export function selectAddress(dev: NetDevice, hi: u64, lo: u64): u64 {
  return inetSelectAddr(dev, hi, lo, 0);
}

/** After NAT or a mark changed a local packet in OUTPUT: routes it anew (ip_route_me_harder). 0 or -errno. */
export function ipRouteMeHarder(skb: Skb, ns: Netns): i32 {
  const ip = Ipv4View.at(skb.network);
  const route = changetype<RouteAnswer>(ns.scratch);
  const source = mapped4(ip.source);
  // A source that is not ours (a transparent proxy's) does not take part in the decision.
  const local = inetAddrType(ns, 0, source) == RTN_LOCAL;
  const result = routeOutputKey(ns, 0, mapped4(ip.destination), 0, local ? source : 0xffff0000, 0, skb.mark, route);
  if (result != 0) {
    rerouteError = result;
    return result;
  }
  skbSetRoute(skb, route);
  return 0;
}

/**
 * Sends a packet whose IP header is complete (`network` = `data`), made by the kernel itself (a RST, TEE's copy): route, OUTPUT … A route
 * that it has already (`rtDev`) stands. That there is no route is counted and returned only for what a connection sends (`counted`).
 */
export function ipLocalOut(skb: Skb, ns: Netns, counted: bool = false): i32 {
  if (skb.rtDev != 0) {
    skb.network = skb.data;
    skb.transport = skb.data + <usize>Ipv4View.at(skb.data).headerLength;
    skb.protocol = ETH_P_IP;
    return localOut(skb, ns);
  }
  return localOutBy(skb, ns, 0, counted);
}

/**
 * Sends what a raw socket brings with its own header (raw_sendmsg, raw_send_hdrinc). The header's source takes no part in routing; where
 * there is none the route's is filled in. Neither an output request nor a missing route is counted.
 */
export function ipRawOut(skb: Skb, ns: Netns): i32 {
  const ip = Ipv4View.at(skb.data);
  skb.network = skb.data;
  skb.transport = skb.data + <usize>ip.headerLength;
  skb.protocol = ETH_P_IP;
  const route = changetype<RouteAnswer>(ns.scratch);
  const result = routeOutputKey(ns, 0, mapped4(ip.destination), 0, ANY_LO, 0, skb.mark, route);
  if (result != 0) {
    skbDrop(skb, ns, 0, DROP_IP_OUTNOROUTES);
    return result;
  }
  if (skbLength(skb) > changetype<NetDevice>(route.dev).mtu) {
    skbDrop(skb, ns, route.dev, DROP_PKT_TOO_BIG);
    return -EMSGSIZE;
  }
  if (ip.source == 0) {
    store<u32>(skb.data, raw4(route.sourceLo), SOURCE);
    ip.updateChecksum();
  }
  if (ip.protocol == IPPROTO_ICMP && skb.transport + <usize>ICMP_HEADER_LEN <= skb.tail) icmpOutCount(ns, load<u8>(skb.transport));
  skbSetRoute(skb, route);
  return discarded(ns, localOut(skb, ns, false));
}

/** The outer packet of a tunnel: by the device whose ifindex stands in `cb0`, if one does. */
export function ipTunnelOut(skb: Skb, ns: Netns): i32 {
  const oif = <u32>skb.cb0;
  skb.cb0 = 0;
  if (FULL && skb.protocol == ETH_P_IPV6) return ip6LocalOutBuilt(skb, outerNs(changetype<NetDevice>(skb.dev), ns), oif);
  skb.ipFlags |= IPSKB_NO_LOOP;
  const dev = changetype<NetDevice>(skb.dev);
  return localOutBy(skb, FULL ? outerNs(dev, ns) : dev.priv != 0 ? vxlanNs(dev) : ns, oif);
}

/** Whose packet it is, for `ip rule … uidrange`. */
function flowOf(skb: Skb): void {
  const at: usize = skb.sock == 0 ? 0 : handleGet(HANDLE_SOCKET, <u32>skb.sock);
  if (at != 0 && changetype<Socket>(at).creds != 0) flowOwner(changetype<SockCreds>(changetype<Socket>(at).creds).uid);
}

/** The namespace of a tunnel's outer packets, and of what an ipvlan sends by routes. */
function outerNs(dev: NetDevice, ns: Netns): Netns {
  if (dev.kind == DEV_VXLAN && dev.priv != 0) return vxlanNs(dev);
  if (dev.lower != 0) return changetype<Netns>(changetype<NetDevice>(dev.lower).ns);
  return isTunnel(dev.kind) && dev.priv != 0 ? tunnelNs(dev) : ns;
}

function localOutBy(skb: Skb, ns: Netns, oif: u32, counted: bool = false): i32 {
  skb.network = skb.data;
  const ip = Ipv4View.at(skb.network);
  skb.transport = skb.data + <usize>ip.headerLength;
  skb.protocol = ETH_P_IP;
  if (FULL && ns.routeMore != 0) {
    flowFrom(skb.data, skb.tail);
    flowOf(skb);
  }
  const route = changetype<RouteAnswer>(ns.scratch);
  const source = mapped4(ip.source);
  const remembered = ip.source != 0 && routeRemembered(ns, ip.destination, ip.source, oif, skb.mark, route);
  const known = !remembered && ip.source != 0 && inetAddrType(ns, 0, source) == RTN_LOCAL;
  const result = remembered ? 0 : routeOutputKey(ns, 0, mapped4(ip.destination), 0, known ? source : 0xffff0000, oif, skb.mark, route);
  if (result != 0) {
    if (counted && result == -ENETUNREACH) snmpInc(ns, SNMP_IP_OUTNOROUTES);
    skbDrop(skb, ns, 0, DROP_IP_OUTNOROUTES);
    return counted ? result : 0;
  }
  skbSetRoute(skb, route);
  return localOut(skb, ns);
}

/** __ip_local_out and dst_output. */
function localOut(packet: Skb, ns: Netns, counted: bool = true): i32 {
  if (FULL && watched(TRACE_IP_LOCAL_OUT)) traceOutput(TRACE_IP_LOCAL_OUT, packet, ns);
  if (counted) snmpInc(ns, SNMP_IP_OUTREQUESTS);
  packet.inDev = 0;
  const skb = ipDefragHook(packet, ns, DEFRAG_OUT);
  if (changetype<usize>(skb) == 0) return 0;
  const before = rerouteError;
  rerouteError = 0;
  const verdict = nfHook(HOOK_OUTPUT, skb, ns, 0, skb.rtDev);
  const error = rerouteError;
  rerouteError = before;
  if (verdict == NF_STOLEN) return 0;
  if (verdict != NF_ACCEPT) {
    skbDrop(skb, ns, skb.rtDev, DROP_NETFILTER);
    return error != 0 ? error : -EPERM;
  }
  return dstOutput(skb, ns);
}

/** A packet that has its route leaves (ip_output, ip_mc_output). */
export function dstOutput(skb: Skb, ns: Netns): i32 {
  if (FULL && watched(TRACE_IP_OUTPUT)) traceOutput(TRACE_IP_OUTPUT, skb, ns);
  const dev = changetype<NetDevice>(skb.rtDev);
  if ((skb.rtType == RTN_BROADCAST || skb.rtType == RTN_MULTICAST) && (skb.rtFlags & RTF_LOCAL) != 0
    && dev.kind != DEV_LOOPBACK && !(FULL && skb.ipFlags & IPSKB_NO_LOOP)) {
    loopBack(skb, ns, dev);
    // What is left of a group packet with TTL 0 must not go beyond the host.
    if (skb.rtType == RTN_MULTICAST && load<u8>(skb.network, 8) == 0) {
      skbDrop(skb, ns, skb.rtDev, DROP_NOT_SPECIFIED);
      return 0;
    }
  }
  skb.dev = skb.rtDev;
  const verdict = nfHook(HOOK_POSTROUTING, skb, ns, skb.inDev, skb.rtDev);
  if (verdict == NF_STOLEN) return 0;
  if (verdict != NF_ACCEPT) {
    skbDrop(skb, ns, skb.rtDev, DROP_NETFILTER);
    return -EPERM;
  }
  return finishOutput(skb, ns);
}

/** A copy of what we send to everybody, for ourselves (dev_loopback_xmit). */
function loopBack(skb: Skb, ns: Netns, dev: NetDevice): void {
  const copy = skbCopy(skb);
  if (changetype<usize>(copy) == 0) return;
  skbCopyRoute(skb, copy);
  nfSkbShare(copy, skb);
  copy.ipFlags = IPSKB_LOOPED;
  const verdict = nfHook(HOOK_POSTROUTING, copy, ns, 0, changetype<usize>(dev));
  if (verdict == NF_ACCEPT) loopBackFinish(copy, dev);
  else if (verdict != NF_STOLEN) skbDrop(copy, ns, changetype<usize>(dev), DROP_NETFILTER);
}

export function loopBackFinish(copy: Skb, dev: NetDevice): void {
  EthernetView.at(skbPush(copy, ETH_HEADER_LEN)).write(0xffffffff, 0xffff, dev.mac0, dev.mac1, ETH_P_IP);
  netifRx(copy, dev);
}

/** After POSTROUTING (ip_finish_output). */
export function finishOutput(skb: Skb, ns: Netns): i32 {
  if (FULL && skb.sock != 0 && !cgroupLets(skb, ns)) return -EPERM;
  const mtu = skb.rtMtu;
  const length = skbLength(skb);
  if (length <= mtu && skb.fragMax == 0) {
    finishOutput2(skb, ns);
    return 0;
  }
  // ip_fragment
  if ((Ipv4View.at(skb.network).fragment & IP_DF) != 0 && length > mtu
    && ((skb.ipFlags & IPSKB_IGNORE_DF) == 0 || skb.fragMax > mtu)) {
    snmpInc(ns, SNMP_IP_FRAGFAILS);
    send(skb, ns, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, mtu);
    skbDrop(skb, ns, skb.rtDev, DROP_PKT_TOO_BIG);
    return -EMSGSIZE;
  }
  return ipDoFragment(skb, ns, mtu, 0);
}

/** BPF_CGROUP_RUN_PROG_INET_EGRESS; false: a program dropped the packet. */
export function cgroupLets(skb: Skb, ns: Netns): bool {
  if (!cgroupActive(CGROUP_INET_EGRESS)) return true;
  const sk = handleGet(HANDLE_SOCKET, <u32>skb.sock);
  if (sk == 0 || cgroupSkbEgress(changetype<Socket>(sk), skb) == 0) return true;
  skbDrop(skb, ns, skb.rtDev, DROP_BPF_CGROUP_EGRESS);
  return false;
}

/** A packet that fits goes to its neighbour (ip_finish_output2). */
export function finishOutput2(packet: Skb, ns: Netns): void {
  const dev = changetype<NetDevice>(packet.rtDev);
  const length = skbLength(packet);
  snmpInc(ns, SNMP_IP_OUTTRANSMITS);
  snmpAdd(ns, SNMP_IPEXT_OUTOCTETS, length);
  if (packet.rtType == RTN_MULTICAST) {
    snmpInc(ns, SNMP_IPEXT_OUTMCASTPKTS);
    snmpAdd(ns, SNMP_IPEXT_OUTMCASTOCTETS, length);
  } else if (packet.rtType == RTN_BROADCAST) {
    snmpInc(ns, SNMP_IPEXT_OUTBCASTPKTS);
    snmpAdd(ns, SNMP_IPEXT_OUTBCASTOCTETS, length);
  } else if (dev.kind != DEV_LOOPBACK && (!FULL || (dev.flags & IFF_NOARP) == 0)) {
    neighOutput(packet, dev, packet.rtGatewayHi, packet.rtGatewayLo);
    return;
  }
  // arp_constructor: loopback has no addresses, groups have theirs by rule (arp_mc_map).
  const skb = skbEnsureHeadroom(packet, ETH_HEADER_LEN, dev);
  if (changetype<usize>(skb) == 0) return;
  const eth = EthernetView.at(skbPush(skb, ETH_HEADER_LEN));
  skb.mac = skb.data;
  if (dev.kind == DEV_LOOPBACK) eth.write(0, 0, 0, 0, ETH_P_IP);
  else if (FULL && skb.rtType != RTN_MULTICAST && (dev.flags & IFF_NOARP) != 0) {
    // Without ARP everybody has the device's own address; tunnels have none.
    eth.write(dev.mac0, dev.mac1, dev.mac0, dev.mac1, ETH_P_IP);
  } else if (skb.rtType == RTN_BROADCAST) eth.write(0xffffffff, 0xffff, dev.mac0, dev.mac1, ETH_P_IP);
  else {
    const group = raw4(skb.rtGatewayLo); // 01:00:5e and the low 23 bits
    eth.write(0x005e0001 | (((group >>> 8) & 0x7f) << 24), group >>> 16, dev.mac0, dev.mac1, ETH_P_IP);
  }
  devQueueXmit(skb, dev);
}
