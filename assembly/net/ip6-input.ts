// IPv6 coming in: checks, PREROUTING, route, then delivery header by header, or forwarding (net/ipv6/ip6_input.c, ip6_output.c ip6_forward).
//
// What netfilter may count on (netfilter/hooks6.ts has the hooks):
//   skb.protocol ETH_P_IPV6; skb.network = skb.data at the fixed header, skb.tail behind its payload, length and version checked
//   skb.nextHeader, skb.transport, skb.fragHeader, skb.fragOffset: ip6-ext.ts' walk, done before PREROUTING and anew by whoever changes headers
//   skb.inDev, skb.rtDev: the devices; FORWARD sees the hop limit decremented, as IPv4's does
//   at INPUT the packet still has all of its headers; fragments are put together before PREROUTING where connections are tracked (then
//   skb.fragMax is the longest piece and the fragment header is gone), else behind INPUT
import { OBS_DELIVER } from "../abi/core";
import { TRACE_IPV6_RCV } from "../abi/bpf-trace";
import { traceFunction, watched } from "../bpf/hooks/tracing";
import { HOOK_FORWARD, HOOK_INPUT, HOOK_PREROUTING, NF_ACCEPT, NF_STOLEN } from "../abi/netfilter";
import {
  DEV_LOOPBACK, DROP_IPV6_DISABLED, DROP_IP_INADDRERRORS, DROP_IP_INHDR, DROP_IP_INNOROUTES, DROP_IP_NOPROTO, DROP_NETFILTER,
  DROP_NOT_SPECIFIED, DROP_OTHERHOST, DROP_PKT_TOO_BIG, DROP_PKT_TOO_SMALL, DROP_UNHANDLED_PROTO, DROP_UNICAST_IN_L2_MULTICAST,
  PACKET_BROADCAST, PACKET_HOST, PACKET_MULTICAST, PACKET_OTHERHOST, RTN_ANYCAST, RTN_LOCAL, RTN_MULTICAST, RTN_UNREACHABLE,
} from "../abi/net";
import {
  CONF6_DISABLE_IPV6, CONF6_DROP_UNICAST_IN_L2_MULTICAST, CONF6_FORCE_FORWARDING, CONF6_FORWARDING, CONF6_MTU, CONF6_PROXY_NDP,
  SNMP6_IP_FRAGFAILS, SNMP6_IP_INADDRERRORS, SNMP6_IP_INDELIVERS, SNMP6_IP_INDISCARDS, SNMP6_IP_INHDRERRORS, SNMP6_IP_INMCASTOCTETS,
  SNMP6_IP_INMCASTPKTS, SNMP6_IP_INNOECTPKTS, SNMP6_IP_INNOROUTES, SNMP6_IP_INOCTETS, SNMP6_IP_INRECEIVES, SNMP6_IP_INTOOBIGERRORS,
  SNMP6_IP_INTRUNCATEDPKTS, SNMP6_IP_INUNKNOWNPROTOS, SNMP6_IP_OUTFORWDATAGRAMS,
} from "../abi/net6";
import { NetDevice, Netns, Skb } from "../layout";
import { charge } from "../mm/node";
import { nfHook6 } from "../netfilter/hooks6";
import { nfSkbReset } from "../netfilter/hooks";
import { sockReceive6 } from "../sock/receive6";
import { rawDeliver6 } from "../sock/raw6";
import { observeRecord, tracing } from "../trace/observe";
import {
  ICMPV6_DEST_UNREACH, ICMPV6_EXC_HOPLIMIT, ICMPV6_NOT_NEIGHBOUR, ICMPV6_PARAMPROB, ICMPV6_PKT_TOOBIG, ICMPV6_TIME_EXCEED,
  ICMPV6_UNK_NEXTHDR,
} from "../wire/icmp6";
import { IPPROTO_UDP } from "../wire/ipv4";
import {
  IPPROTO_ICMPV6, IPV6_HEADER_LEN, IPV6_MIN_MTU, Ipv6View, NEXTHDR_DEST, NEXTHDR_FRAGMENT, NEXTHDR_HOP, NEXTHDR_NONE, NEXTHDR_ROUTING,
  isAny6, isLinkLocal6, isLoopback6, isMulticast6, multicastScope6,
} from "../wire/ipv6";
import { COST_FORWARD } from "./costs";
import { icmp6Receive, icmp6Send } from "./icmp6";
import { conf6, confAll6, inet6Of, netns6, snmp6Add, snmp6Inc } from "./inet6";
import {
  IP6SKB_FORWARDED, IP6SKB_SRCRT, ip6DestinationOptions, ip6HopOptions, ip6RoutingHeader, ip6Walk,
} from "./ip6-ext";
import { ip6DefragHook, ip6FragmentReceive, DEFRAG6_IN } from "./ip6-frag";
import { dst6Output } from "./ip6-output";
import { errorCode6, route6Input } from "./ip6-route";
import { IPSKB_IGNORE_DF, IPSKB_LOOPED } from "./ip-input";
import { ipvlanL3s } from "./ipvlan";
import { isMldMessage, memberOf } from "./mcast6";
import { forwardProxy, proxyFind } from "./ndisc-proxy";
import { ndiscSendRedirect } from "./ndisc-redirect";
import { peerAllowEvery } from "./peers";
import { RTF_GATEWAY } from "./route";
import { skbDrop, skbFree, skbLength } from "./skb";
import { vxlanReceive } from "./vxlan";
import { DEV_IPVLAN } from "../abi/net";

/** A packet, `data` behind the link's header (ipv6_rcv). */
export function ip6Receive(packet: Skb, dev: NetDevice): void {
  if (watched(TRACE_IPV6_RCV)) traceFunction(TRACE_IPV6_RCV, packet, changetype<Netns>(dev.ns), changetype<usize>(dev));
  const ns = changetype<Netns>(dev.ns);
  if (!receiveCore(packet, ns, dev)) return;
  packet.inDev = changetype<usize>(dev);
  packet.fragMax = 0;
  let skb = ip6DefragHook(packet, ns, DEFRAG6_IN);
  if (changetype<usize>(skb) == 0) return;
  const verdict = nfHook6(HOOK_PREROUTING, skb, ns, changetype<usize>(dev), 0);
  if (verdict == NF_STOLEN) return;
  if (verdict != NF_ACCEPT) {
    skbDrop(skb, ns, changetype<usize>(dev), DROP_NETFILTER);
    return;
  }
  ip6ReceiveHooked(skb, ns, dev);
}

/** After PREROUTING. */
export function ip6ReceiveHooked(skb: Skb, ns: Netns, dev: NetDevice): void {
  if (dev.rxHandler == DEV_IPVLAN) {
    const next = ipvlanL3s(skb, dev);
    if (next != changetype<usize>(dev)) {
      if (next != 0) ip6Receive(skb, changetype<NetDevice>(next));
      return;
    }
  }
  receiveFinish(skb, ns, dev);
}

/** ip6_rcv_core; false: the packet is gone. */
function receiveCore(skb: Skb, ns: Netns, dev: NetDevice): bool {
  if (skb.pktType == PACKET_OTHERHOST) {
    dev.rxDropped++;
    skbDrop(skb, ns, changetype<usize>(dev), DROP_OTHERHOST);
    return false;
  }
  const available = skbLength(skb);
  snmp6Inc(ns, SNMP6_IP_INRECEIVES);
  snmp6Add(ns, SNMP6_IP_INOCTETS, available);
  if (conf6(dev, CONF6_DISABLE_IPV6) != 0) {
    snmp6Inc(ns, SNMP6_IP_INDISCARDS);
    skbDrop(skb, ns, changetype<usize>(dev), DROP_IPV6_DISABLED);
    return false;
  }
  if (available < IPV6_HEADER_LEN) return headerError(skb, ns, dev, DROP_IP_INHDR);
  const ip = Ipv6View.at(skb.data);
  if (ip.version != 6) return headerError(skb, ns, dev, DROP_UNHANDLED_PROTO);
  snmp6Inc(ns, SNMP6_IP_INNOECTPKTS + (ip.trafficClass & 3));
  const hi = ip.destinationHi, group = isMulticast6(hi), loopback = dev.kind == DEV_LOOPBACK;
  if (!loopback && (isLoopback6(ip.sourceHi, ip.sourceLo) || isLoopback6(hi, ip.destinationLo))) return headerError(skb, ns, dev, DROP_IP_INHDR);
  if (group && !loopback && (skb.ipFlags & IPSKB_LOOPED) == 0 && multicastScope6(hi) == 1) return headerError(skb, ns, dev, DROP_IP_INHDR);
  if (!group && (skb.pktType == PACKET_BROADCAST || skb.pktType == PACKET_MULTICAST) && conf6(dev, CONF6_DROP_UNICAST_IN_L2_MULTICAST) != 0) {
    return headerError(skb, ns, dev, DROP_UNICAST_IN_L2_MULTICAST);
  }
  if ((group && multicastScope6(hi) == 0) || isMulticast6(ip.sourceHi)) return headerError(skb, ns, dev, DROP_IP_INHDR);
  const payload = ip.payloadLength;
  if (payload != 0 || ip.nextHeader != NEXTHDR_HOP) {
    if (payload + IPV6_HEADER_LEN > available) {
      snmp6Inc(ns, SNMP6_IP_INTRUNCATEDPKTS);
      skbDrop(skb, ns, changetype<usize>(dev), DROP_PKT_TOO_SMALL);
      return false;
    }
    skb.tail = skb.data + <usize>(payload + IPV6_HEADER_LEN);
  }
  skb.network = skb.data;
  skb.nhoff = 6;
  ip6Walk(skb);
  if (ip.nextHeader == NEXTHDR_HOP) return ip6HopOptions(skb, ns, dev);
  return true;
}

function headerError(skb: Skb, ns: Netns, dev: NetDevice, reason: u32): bool {
  snmp6Inc(ns, SNMP6_IP_INHDRERRORS);
  skbDrop(skb, ns, changetype<usize>(dev), reason);
  return false;
}

/** ip6_rcv_finish */
function receiveFinish(skb: Skb, ns: Netns, dev: NetDevice): void {
  // What comes by loopback, or loops back, still has the route it was sent by.
  const routed = skb.rtType != 0 && (dev.kind == DEV_LOOPBACK || (skb.ipFlags & IPSKB_LOOPED) != 0);
  if (!routed) route6Input(skb, ns, dev);
  switch (skb.rtType) {
    case RTN_LOCAL:
    case RTN_ANYCAST: ip6Input(skb, ns, dev); break;
    case RTN_MULTICAST: multicastInput(skb, ns, dev); break;
    case RTN_UNREACHABLE: discard(skb, ns, dev); break;
    default: forward(skb, ns, dev);
  }
}

/** There is no way there (ip6_pkt_drop). */
function discard(skb: Skb, ns: Netns, dev: NetDevice): void {
  const ip = Ipv6View.at(skb.network);
  const code = errorCode6(skb.rtMtu);
  if (code < 0) {
    // A blackhole: dst_discard.
    skbDrop(skb, ns, changetype<usize>(dev), DROP_NOT_SPECIFIED);
    return;
  }
  let reason = DROP_IP_INNOROUTES;
  if (isAny6(ip.destinationHi, ip.destinationLo)) {
    reason = DROP_IP_INADDRERRORS;
    snmp6Inc(ns, SNMP6_IP_INADDRERRORS);
  } else snmp6Inc(ns, SNMP6_IP_INNOROUTES);
  icmp6Send(skb, ns, ICMPV6_DEST_UNREACH, <u32>code, 0);
  skbDrop(skb, ns, changetype<usize>(dev), reason);
}

/** ip6_mc_input */
function multicastInput(skb: Skb, ns: Netns, dev: NetDevice): void {
  const ip = Ipv6View.at(skb.network);
  snmp6Inc(ns, SNMP6_IP_INMCASTPKTS);
  snmp6Add(ns, SNMP6_IP_INMCASTOCTETS, skbLength(skb));
  if (memberOf(dev, ip.destinationHi, ip.destinationLo)) ip6Input(skb, ns, dev);
  else skbDrop(skb, ns, changetype<usize>(dev), DROP_NOT_SPECIFIED);
}

/** For this host (ip6_input). */
export function ip6Input(skb: Skb, ns: Netns, dev: NetDevice): void {
  const verdict = nfHook6(HOOK_INPUT, skb, ns, changetype<usize>(dev), 0);
  if (verdict == NF_STOLEN) return;
  if (verdict != NF_ACCEPT) {
    skbDrop(skb, ns, changetype<usize>(dev), DROP_NETFILTER);
    return;
  }
  ip6InputFinish(skb, ns, dev);
}

/** After INPUT (ip6_input_finish). */
export function ip6InputFinish(skb: Skb, ns: Netns, dev: NetDevice): void {
  // Header by header from here. Hop-by-hop options have been looked at.
  skb.nhoff = 6;
  skb.transport = skb.network + <usize>IPV6_HEADER_LEN;
  if (Ipv6View.at(skb.network).nextHeader == NEXTHDR_HOP) {
    skb.nhoff = IPV6_HEADER_LEN;
    skb.transport += <usize>((<u32>load<u8>(skb.transport, 1) + 1) << 3);
  }
  protocolDeliver(skb, ns, dev);
}

/** ip6_protocol_deliver_rcu */
function protocolDeliver(packet: Skb, ns: Netns, dev: NetDevice): void {
  let skb = packet;
  // Every round passes a header of 8 bytes at least.
  while (true) {
    const next = <u32>load<u8>(skb.network + <usize>skb.nhoff);
    switch (next) {
      case NEXTHDR_DEST: {
        if (!ip6DestinationOptions(skb, ns, dev)) return;
        continue;
      }
      case NEXTHDR_ROUTING: {
        if (!ip6RoutingHeader(skb, ns, dev)) return;
        continue;
      }
      case NEXTHDR_FRAGMENT: {
        skb = ip6FragmentReceive(skb, ns, dev);
        if (changetype<usize>(skb) == 0) return;
        continue;
      }
      case NEXTHDR_NONE: {
        snmp6Inc(ns, SNMP6_IP_INDELIVERS);
        skbDrop(skb, ns, changetype<usize>(dev), DROP_NOT_SPECIFIED);
        return;
      }
      default: {
        final(skb, ns, dev, next);
        return;
      }
    }
  }
}

/** The protocol behind all headers: `transport` stands at it. */
function final(skb: Skb, ns: Netns, dev: NetDevice, protocol: u32): void {
  const ip = Ipv6View.at(skb.network);
  skb.data = skb.transport;
  skb.nextHeader = protocol;
  rawDeliver6(skb, ns);
  if (isMulticast6(ip.destinationHi) && !memberOf(dev, ip.destinationHi, ip.destinationLo) && !isMldMessage(skb, protocol)) {
    skbDrop(skb, ns, changetype<usize>(dev), DROP_IP_INADDRERRORS);
    return;
  }
  if (protocol == IPPROTO_ICMPV6) {
    traceDeliver(skb, ns, dev, protocol);
    snmp6Inc(ns, SNMP6_IP_INDELIVERS);
    icmp6Receive(skb, ns, dev);
    return;
  }
  if ((protocol == IPPROTO_UDP && vxlanReceive(skb, ns)) || sockReceive6(skb, ns, protocol)) {
    snmp6Inc(ns, SNMP6_IP_INDELIVERS);
    return;
  }
  nfSkbReset(skb);
  snmp6Inc(ns, SNMP6_IP_INUNKNOWNPROTOS);
  icmp6Send(skb, ns, ICMPV6_PARAMPROB, ICMPV6_UNK_NEXTHDR, skb.nhoff);
  skbDrop(skb, ns, changetype<usize>(dev), DROP_IP_NOPROTO);
}

function traceDeliver(skb: Skb, ns: Netns, dev: NetDevice, protocol: u32): void {
  if (!tracing()) return;
  const at = observeRecord(OBS_DELIVER, skb, changetype<usize>(ns), changetype<usize>(dev), 8);
  if (at == 0) return;
  store<u32>(at, protocol);
  store<u32>(at, 0, 4);
}

/** For another host (ip6_forward). */
function forward(skb: Skb, ns: Netns, dev: NetDevice): void {
  const ip = Ipv6View.at(skb.network);
  if (confAll6(ns, CONF6_FORWARDING) == 0 && conf6(dev, CONF6_FORCE_FORWARDING) == 0) return addressError(skb, ns, dev);
  if (skb.pktType != PACKET_HOST) {
    skbDrop(skb, ns, changetype<usize>(dev), DROP_NOT_SPECIFIED);
    return;
  }
  charge(COST_FORWARD);
  if (ip.hopLimit <= 1) {
    icmp6Send(skb, ns, ICMPV6_TIME_EXCEED, ICMPV6_EXC_HOPLIMIT, 0);
    snmp6Inc(ns, SNMP6_IP_INHDRERRORS);
    skbDrop(skb, ns, changetype<usize>(dev), DROP_IP_INHDR);
    return;
  }
  if (netns6(ns).proxies != 0 && confAll6(ns, CONF6_PROXY_NDP) != 0 && proxyFind(ns, dev, ip.destinationHi, ip.destinationLo) != 0) {
    const proxied = forwardProxy(skb);
    if (proxied > 0) return ip6Input(skb, ns, dev);
    if (proxied < 0) {
      snmp6Inc(ns, SNMP6_IP_INDISCARDS);
      skbDrop(skb, ns, changetype<usize>(dev), DROP_NOT_SPECIFIED);
      return;
    }
  }
  const out = changetype<NetDevice>(skb.rtDev);
  if (skb.rtDev == changetype<usize>(dev) && (skb.ipFlags & IP6SKB_SRCRT) == 0) {
    // By destination here, by source within.
    if (peerAllowEvery(ns, ip.destinationHi, ip.destinationLo, 250)) {
      ndiscSendRedirect(skb, ns, dev, skb.rtGatewayHi, skb.rtGatewayLo, (skb.rtFlags & RTF_GATEWAY) == 0);
    }
  } else {
    if (isAny6(ip.sourceHi, ip.sourceLo) || isMulticast6(ip.sourceHi) || isLoopback6(ip.sourceHi, ip.sourceLo)) return addressError(skb, ns, dev);
    if (isLinkLocal6(ip.sourceHi)) {
      icmp6Send(skb, ns, ICMPV6_DEST_UNREACH, ICMPV6_NOT_NEIGHBOUR, 0);
      return addressError(skb, ns, dev);
    }
  }
  snmp6Inc(ns, SNMP6_IP_OUTFORWDATAGRAMS);
  // ip6_dst_mtu_maybe_forward: the device's, whatever the route says.
  const mtu = max<u32>(out.inet6 != 0 ? <u32>conf6(out, CONF6_MTU) : IPV6_MIN_MTU, IPV6_MIN_MTU);
  if (skbLength(skb) > mtu && (skb.fragMax > mtu || (skb.ipFlags & IPSKB_IGNORE_DF) == 0)) {
    skb.dev = skb.rtDev; // the output device is what the source is chosen by
    icmp6Send(skb, ns, ICMPV6_PKT_TOOBIG, 0, mtu);
    snmp6Inc(ns, SNMP6_IP_INTOOBIGERRORS);
    snmp6Inc(ns, SNMP6_IP_FRAGFAILS);
    skbDrop(skb, ns, changetype<usize>(dev), DROP_PKT_TOO_BIG);
    return;
  }
  ip.hopLimit = ip.hopLimit - 1;
  skb.ipFlags |= IP6SKB_FORWARDED;
  const verdict = nfHook6(HOOK_FORWARD, skb, ns, changetype<usize>(dev), skb.rtDev);
  if (verdict == NF_STOLEN) return;
  if (verdict != NF_ACCEPT) {
    skbDrop(skb, ns, changetype<usize>(dev), DROP_NETFILTER);
    return;
  }
  dst6Output(skb, ns);
}

function addressError(skb: Skb, ns: Netns, dev: NetDevice): void {
  snmp6Inc(ns, SNMP6_IP_INADDRERRORS);
  skbDrop(skb, ns, changetype<usize>(dev), DROP_IP_INADDRERRORS);
}
