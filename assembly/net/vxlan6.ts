// VXLAN over IPv6 (the IPv6 halves of vxlan_xmit_one, vxlan_config_validate and udpv6_rcv), and IPv6 inside VXLAN. Only in the full kernel.
import { EINVAL, ENETUNREACH, EOPNOTSUPP, EPERM } from "../abi/core";
import {
  DROP_IP_OUTNOROUTES, LINK_F_UDP6ZEROCSUMTX, SYSCTL_IP_PORT_HIGH, SYSCTL_IP_PORT_LOW,
} from "../abi/net";
import { CONF6_DISABLE_IPV6, SNMP6_IP_OUTNOROUTES } from "../abi/net6";
import { NetDevice, Netns, Skb } from "../layout";
import { hashWord, mix32 } from "../mm/hash";
import { be16, isMapped4 } from "../wire/bytes";
import { checksumAdd, checksumFold } from "../wire/checksum";
import { ETH_HEADER_LEN, ETH_P_IP, ETH_P_IPV6, EthernetView } from "../wire/ethernet";
import { IPPROTO_TCP, IPPROTO_UDP, IPV4_HEADER_LEN, Ipv4View } from "../wire/ipv4";
import { IPV6_HEADER_LEN, Ipv6View, isAny6, isLinkLocal6, isMulticast6, pseudo6 } from "../wire/ipv6";
import { UDP_HEADER_LEN, UdpView } from "../wire/udp";
import { VXLAN_HEADER_LEN, VxlanView } from "../wire/vxlan";
import { countSent, deferOutput } from "./dev";
import { conf6, snmp6Inc } from "./inet6";
import { hopLimitOf } from "./ip6-output";
import { route6Output } from "./ip6-route";
import { Route } from "./route";
import { skbDrop, skbEnsureHeadroom, skbLength, skbPush, skbScrub } from "./skb";
import { sysctl } from "./sysctl";
import { VXLAN6_HEADROOM, Vxlan, VxlanRemote, traceEncap } from "./vxlan";
import { outerTos, outerTtl, vxlanOuter, vxlanPolicy, vxlanTooLong } from "./vxlan-options";

const INET_ECN_MASK: u32 = 3, INET_ECN_ECT_1: u32 = 1, INET_ECN_ECT_0: u32 = 2, INET_ECN_CE: u32 = 3;

/** Is the address one of IPv6, not unspecified (which is written as all zeros, or as IPv4's 0.0.0.0)? */
export function isIpv6(hi: u64, lo: u64): bool {
  return !isMapped4(hi, lo & 0xffffffff) && !isAny6(hi, lo);
}

/** Do the ends of a new device go together, and may it be (vxlan_config_validate)? 0 or -errno. */
export function vxlanEnds6(localHi: u64, localLo: u64, remoteHi: u64, remoteLo: u64, lower: usize): i32 {
  const six = isIpv6(localHi, localLo) || isIpv6(remoteHi, remoteLo);
  if (!six) return 0;
  // Both of the same family, if there are two.
  if ((isMapped4(localHi, localLo & 0xffffffff) && localLo >> 32 != 0) || (isMapped4(remoteHi, remoteLo & 0xffffffff) && remoteLo >> 32 != 0)) {
    return -EINVAL;
  }
  if (isMulticast6(localHi)) return -EINVAL;
  if (isMulticast6(remoteHi)) return lower == 0 ? -EINVAL : -EOPNOTSUPP;
  const local = isIpv6(localHi, localLo) && isLinkLocal6(localHi), remote = isIpv6(remoteHi, remoteLo) && isLinkLocal6(remoteHi);
  if (local ? !remote && isIpv6(remoteHi, remoteLo) : remote) return -EINVAL;
  if (lower == 0) return local ? -EINVAL : 0;
  const dev = changetype<NetDevice>(lower);
  return dev.inet6 != 0 && conf6(dev, CONF6_DISABLE_IPV6) != 0 ? -EPERM : 0;
}

/** As xmitOne of vxlan.ts. */
export function vxlanXmit6(frame: Skb, dev: NetDevice, vxlan: Vxlan, remote: VxlanRemote, hash: u32): void {
  const ns = changetype<Netns>(vxlan.ns);
  const route = changetype<Route>(ns.scratch);
  const own = isIpv6(vxlan.localHi, vxlan.localLo);
  const result = route6Output(ns, remote.hi, remote.lo, own ? vxlan.localHi : 0, own ? vxlan.localLo : 0, vxlan.lower, 0, route);
  if (result != 0) {
    if (result == -ENETUNREACH) snmp6Inc(ns, SNMP6_IP_OUTNOROUTES);
    skbDrop(frame, ns, changetype<usize>(dev), DROP_IP_OUTNOROUTES);
    return;
  }
  const sourceHi = route.sourceHi, sourceLo = route.sourceLo, out = route.dev;
  const skb = skbEnsureHeadroom(frame, VXLAN6_HEADROOM, dev);
  if (changetype<usize>(skb) == 0) return;
  if (skbLength(skb) - ETH_HEADER_LEN > route.mtu - VXLAN6_HEADROOM && vxlanTooLong(skb, dev, route.mtu - VXLAN6_HEADROOM)) return;
  countSent(dev, skbLength(skb));
  vxlanOuter(skb, vxlan, 0);
  const inner = innerField(skb) & INET_ECN_MASK;
  const trafficClass = (outerTos & ~INET_ECN_MASK) | (inner == INET_ECN_CE ? INET_ECN_ECT_0 : inner);
  const hops = outerTtl != 0 ? outerTtl : hopLimitOf(ns, out);
  VxlanView.at(skbPush(skb, VXLAN_HEADER_LEN)).write(vxlan.vni, vxlanPolicy(vxlan, skb.mark));
  const udp = skbPush(skb, UDP_HEADER_LEN);
  const length = skbLength(skb);
  UdpView.at(udp).write(sourcePort(vxlan, ns, hash), vxlan.port, length);
  if ((vxlan.options & LINK_F_UDP6ZEROCSUMTX) == 0) {
    const sum = ~checksumFold(checksumAdd(pseudo6(sourceHi, sourceLo, remote.hi, remote.lo, IPPROTO_UDP, length), udp, length)) & 0xffff;
    UdpView.at(udp).checksum = sum == 0 ? 0xffff : sum;
  }
  const ip = skbPush(skb, IPV6_HEADER_LEN);
  Ipv6View.at(ip).write(trafficClass, 0, length, IPPROTO_UDP, hops, sourceHi, sourceLo, remote.hi, remote.lo);
  traceEncap(skb, dev, vxlan, sourceHi, sourceLo, remote.hi, remote.lo, 0);
  const mark = vxlan.ns == dev.ns ? skb.mark : 0;
  skb.dev = changetype<usize>(dev);
  skbScrub(skb, dev);
  skb.mark = mark;
  skb.mac = 0;
  skb.network = ip;
  skb.transport = udp;
  skb.protocol = ETH_P_IPV6;
  skb.cb0 = <u64>vxlan.lower;
  deferOutput(skb, dev);
}

/** udp_flow_src_port: the hash spreads over the device's range, or the namespace's. */
export function sourcePort(vxlan: Vxlan, ns: Netns, hash: u32): u32 {
  const ranged = vxlan.portLow < vxlan.portHigh;
  const low = ranged ? vxlan.portLow : <u32>sysctl(ns, SYSCTL_IP_PORT_LOW), high = ranged ? vxlan.portHigh : <u32>sysctl(ns, SYSCTL_IP_PORT_HIGH);
  return <u32>((<u64>(hash ^ (hash << 16)) * <u64>(high - low)) >> 32) + low;
}

/** Does a frame, Ethernet header at `data`, carry IPv6 with its whole header? */
export function carries6(skb: Skb): bool {
  return EthernetView.at(skb.data).type == ETH_P_IPV6 && skbLength(skb) >= ETH_HEADER_LEN + IPV6_HEADER_LEN;
}

/** TOS or traffic class of what the frame carries, 0 of what is no IP (ip_tunnel_get_dsfield). */
export function innerField(skb: Skb): u32 {
  const ip = skb.data + <usize>ETH_HEADER_LEN;
  if (carries6(skb)) return Ipv6View.at(ip).trafficClass;
  return EthernetView.at(skb.data).type == ETH_P_IP && skbLength(skb) >= ETH_HEADER_LEN + IPV4_HEADER_LEN ? Ipv4View.at(ip).tos : 0;
}

/** Hash of an inner IPv6 flow, the same in both directions. */
export function flowHash6(skb: Skb, seed: u32): u32 {
  const ip = Ipv6View.at(skb.data + <usize>ETH_HEADER_LEN);
  let h = fold(seed, ip.sourceHi ^ ip.destinationHi);
  h = fold(h, ip.sourceLo ^ ip.destinationLo);
  h = fold(h, ip.sourceLo + ip.destinationLo);
  h = hashWord(h, ip.nextHeader);
  if ((ip.nextHeader == IPPROTO_TCP || ip.nextHeader == IPPROTO_UDP) && skbLength(skb) >= ETH_HEADER_LEN + IPV6_HEADER_LEN + 4) {
    const ports = changetype<usize>(ip) + <usize>IPV6_HEADER_LEN, a = be16(ports, 0), b = be16(ports, 2);
    h = hashWord(hashWord(h, a ^ b), a + b);
  }
  return mix32(h);
}

function fold(h: u32, value: u64): u32 {
  return hashWord(hashWord(h, <u32>value), <u32>(value >> 32));
}

/** As ecnDecapsulate of vxlan.ts, for an inner header of IPv6 (IP6_ECN_decapsulate). */
export function ecnDecapsulate6(at: usize, outerField: u32): bool {
  const ip = Ipv6View.at(at), outer = outerField & INET_ECN_MASK, inner = ip.trafficClass & INET_ECN_MASK;
  if (inner == 0) return outer != INET_ECN_CE;
  if (outer == INET_ECN_CE) ip.changeTrafficClass(~INET_ECN_MASK, INET_ECN_CE);
  else if (outer == INET_ECN_ECT_1 && inner == INET_ECN_ECT_0) ip.changeTrafficClass(~INET_ECN_MASK, INET_ECN_ECT_1);
  return true;
}
