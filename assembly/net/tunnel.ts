// Tunnels over IPv4 with one other end each: IPIP (net/ipv4/ipip.c), GRE and its Ethernet form gretap (net/ipv4/ip_gre.c), both by
// net/ipv4/ip_tunnel.c, and Geneve (drivers/net/geneve.c). IPIP carries IPv4 packets, GRE IPv6 as well; inside the kernel those have an Ethernet header
// of zeros while they are at the device, as loopback's have.
//
//   GRE     ├ C K S … ┼ ethertype ┤ [checksum, 0] [key]                RFC 2784, RFC 2890
//   Geneve  ├ UDP ┤ version, options' length ┼ flags ┼ 0x6558 ┤ VNI ┼ 0 ┤ RFC 8926
import { EEXIST, EINVAL, ENOMEM, OBS_ENCAP } from "../abi/core";
import {
  DEV_GENEVE, DEV_GRE, DEV_GRETAP, DEV_IPIP, DEV_TUN, DROP_DEV_DOWN, DROP_IP_TUNNEL_ECN, DROP_NOT_SPECIFIED, DROP_PKT_TOO_BIG,
  DROP_PKT_TOO_SMALL, DROP_UDP_CSUM, IFF_NOARP, IFF_POINTOPOINT, LINK_DSTPORT, LINK_FLAGS, LINK_F_DF, LINK_F_ICSUM, LINK_F_IKEY,
  LINK_F_NOPMTUDISC, LINK_F_NOUDPCSUM, LINK_F_OCSUM, LINK_F_OKEY, LINK_IKEY, LINK_LOCAL, LINK_LOWER, LINK_OKEY, LINK_REMOTE, LINK_TOS,
  LINK_TTL, LINK_VNI, SNMP_UDP_INDATAGRAMS, SYSCTL_IP_DEFAULT_TTL,
} from "../abi/net";
import { NetDevice, Netns, Skb } from "../layout";
import { charge } from "../mm/node";
import { random32 } from "../mm/rng";
import { kfree, kmalloc } from "../mm/slab";
import { observeRecord, tracing } from "../trace/observe";
import { be16, be32, mapped4, putBe16, putBe32, raw4 } from "../wire/bytes";
import { checksum, checksumAdd, checksumFold, pseudo4 } from "../wire/checksum";
import { ETH_HEADER_LEN, ETH_P_IP, ETH_P_IPV6, EthernetView } from "../wire/ethernet";
import { ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED } from "../wire/icmp";
import { IPPROTO_UDP, IPV4_HEADER_LEN, IP_DF, Ipv4View } from "../wire/ipv4";
import { IPV6_HEADER_LEN, IPV6_MIN_MTU, Ipv6View } from "../wire/ipv6";
import { ICMPV6_PKT_TOOBIG } from "../wire/icmp6";
import { UDP_HEADER_LEN, UdpView } from "../wire/udp";
import { isMulticast4 } from "./address";
import { COST_VXLAN } from "./costs";
import { countSent, deferOutput, netifRx } from "./dev";
import { icmpSend } from "./icmp";
import { icmp6Send } from "./icmp6";
import { ip6Walk } from "./ip6-ext";
import { ipNextId } from "./ip-output";
import { Route, routeOutputKey } from "./route";
import { skbDrop, skbEnsureHeadroom, skbLength, skbPull, skbPush, skbScrub } from "./skb";
import { snmpInc } from "./snmp";
import { sysctl } from "./sysctl";
import { ecnDecapsulate, flowHash } from "./vxlan";
import { carries6, ecnDecapsulate6 } from "./vxlan6";

const IPPROTO_IPIP: u32 = 4, IPPROTO_GRE: u32 = 47;
const GRE_CSUM: u32 = 0x8000, GRE_KEY: u32 = 0x2000, GRE_SEQ: u32 = 0x1000;
const ETH_P_TEB: u32 = 0x6558;
const GENEVE_HEADER_LEN: u32 = 8;
/** IPV4_MIN_MTU */
const MTU_MIN: u32 = 68;
/** Before an outer packet's headers: room for GRE with checksum and key, or UDP and Geneve, and IP. */
const HEADROOM: u32 = 40;

@unmanaged export class Tunnel {
  next: usize; // Tunnel of the namespace it was made in
  dev: usize; // NetDevice
  ns: usize; // Netns of the outer packets
  lower: u32; // ifindex there, 0: any
  flags: u32; // LINK_F_*
  ttl: u32; tos: u32;
  ikey: u32; okey: u32;
  vni: u32; port: u32; seed: u32;
  local: u32; remote: u32; // raw, 0: any
}

@inline function tunnelOf(dev: NetDevice): Tunnel {
  return changetype<Tunnel>(dev.priv);
}

@inline export function isTunnel(kind: u32): bool {
  return kind >= DEV_IPIP && kind <= DEV_GENEVE;
}

/** Its own end, raw, 0: none (or it is no tunnel). */
export function tunnelLocal4(dev: NetDevice): u32 {
  return dev.priv == 0 ? 0 : tunnelOf(dev).local;
}

/** Has it no Ethernet of its own? */
@inline export function isLayer3(kind: u32): bool {
  return kind == DEV_IPIP || kind == DEV_GRE || kind == DEV_TUN;
}

/** Bytes between the outer IP header and the payload. */
function headerLength(t: Tunnel, kind: u32): u32 {
  if (kind == DEV_IPIP) return 0;
  if (kind == DEV_GENEVE) return UDP_HEADER_LEN + GENEVE_HEADER_LEN;
  return 4 + ((t.flags & LINK_F_OCSUM) != 0 ? 4 : 0) + ((t.flags & LINK_F_OKEY) != 0 ? 4 : 0);
}

/** The device's state from a LINK_* record; 0, -EEXIST, -EINVAL or -ENOMEM. `hasMtu` false: what the way to the remote end leaves. */
export function tunnelInit(dev: NetDevice, ns: Netns, record: usize, hasMtu: bool): i32 {
  const flags = load<u32>(record, LINK_FLAGS), remote = raw4(load<u64>(record, LINK_REMOTE + 8));
  const local = raw4(load<u64>(record, LINK_LOCAL + 8)), ikey = load<u32>(record, LINK_IKEY);
  const ttl = load<u32>(record, LINK_TTL), vni = load<u32>(record, LINK_VNI);
  if (ttl > 255 || load<u32>(record, LINK_TOS) > 255 || isMulticast4(remote)) return -EINVAL;
  let port = load<u32>(record, LINK_DSTPORT);
  if (dev.kind == DEV_GENEVE) {
    if (port == 0) port = 6081;
    if (vni >= 1 << 24 || port > 65535 || remote == 0) return -EINVAL;
  } else if (ttl != 0 && (flags & LINK_F_NOPMTUDISC) != 0) return -EINVAL;
  for (let at = ns.tunnels; at != 0; at = changetype<Tunnel>(at).next) {
    const other = changetype<Tunnel>(at);
    if (changetype<NetDevice>(other.dev).kind != dev.kind || other.remote != remote) continue;
    if (dev.kind == DEV_GENEVE ? other.vni == vni && other.port == port
      : other.local == local && other.ikey == ikey && ((other.flags ^ flags) & LINK_F_IKEY) == 0) return -EEXIST;
  }
  const at = kmalloc(<u32>offsetof<Tunnel>());
  if (at == 0) return -ENOMEM;
  const t = changetype<Tunnel>(at);
  t.dev = changetype<usize>(dev);
  t.ns = changetype<usize>(ns);
  t.lower = load<u32>(record, LINK_LOWER);
  t.flags = flags;
  t.ttl = ttl;
  t.tos = load<u32>(record, LINK_TOS);
  t.ikey = ikey;
  t.okey = load<u32>(record, LINK_OKEY);
  t.vni = vni;
  t.port = port;
  t.seed = random32();
  t.local = local;
  t.remote = remote;
  t.next = ns.tunnels;
  ns.tunnels = at;
  dev.priv = at;
  if (isLayer3(dev.kind)) {
    dev.mac0 = 0;
    dev.mac1 = 0;
    dev.flags = IFF_NOARP | (remote != 0 ? IFF_POINTOPOINT : 0);
  }
  if (!hasMtu) {
    // ip_tunnel_bind_dev, geneve_link_config
    const route = changetype<Route>(ns.scratch);
    const found = remote != 0 && routeOutputKey(ns, 0, mapped4(remote), 0, local == 0 ? 0xffff0000 : mapped4(local), t.lower, 0, route) == 0;
    const outer = IPV4_HEADER_LEN + headerLength(t, dev.kind) + (isLayer3(dev.kind) ? 0 : ETH_HEADER_LEN);
    if (found) dev.mtu = max<u32>(min<u32>(changetype<NetDevice>(route.dev).mtu, 65535) - outer, MTU_MIN);
    else if (dev.kind != DEV_GENEVE) dev.mtu = 1500 - outer;
  }
  return 0;
}

export function tunnelDelete(dev: NetDevice): void {
  const ns = changetype<Netns>(tunnelOf(dev).ns);
  let link = changetype<usize>(ns) + offsetof<Netns>("tunnels");
  while (load<u32>(link) != 0 && <usize>load<u32>(link) != dev.priv) link = <usize>load<u32>(link); // `next` is the first field
  if (load<u32>(link) != 0) store<u32>(link, <u32>tunnelOf(dev).next);
  kfree(dev.priv, <u32>offsetof<Tunnel>());
  dev.priv = 0;
}

/** One that lives elsewhere while its namespace ends. */
export function tunnelAny(ns: Netns): usize {
  return ns.tunnels == 0 ? 0 : changetype<Tunnel>(ns.tunnels).dev;
}

/** The namespace of the outer packets. */
export function tunnelNs(dev: NetDevice): Netns {
  return changetype<Netns>(tunnelOf(dev).ns);
}

/** Sends by the tunnel, Ethernet header (or the zeros in its place) at `data` (ip_tunnel_xmit, geneve_xmit). Takes the packet. */
export function tunnelXmit(frame: Skb, dev: NetDevice): void {
  const t = tunnelOf(dev);
  const ns = changetype<Netns>(t.ns);
  charge(COST_VXLAN);
  const type = EthernetView.at(frame.data).type;
  const skb = skbEnsureHeadroom(frame, HEADROOM, dev);
  if (changetype<usize>(skb) == 0) return;
  const inner = Ipv4View.at(skb.data + ETH_HEADER_LEN);
  const isIp = type == ETH_P_IP && skbLength(skb) >= ETH_HEADER_LEN + IPV4_HEADER_LEN;
  const six = carries6(skb), inner6 = Ipv6View.at(skb.data + ETH_HEADER_LEN);
  const layer3 = isLayer3(dev.kind);
  if (layer3 && !isIp && !(six && dev.kind == DEV_GRE)) return drop(skb, dev, DROP_NOT_SPECIFIED);
  if (layer3) skbPull(skb, ETH_HEADER_LEN);
  // Without a fixed remote end a packet goes to its next hop.
  const destination = t.remote != 0 ? t.remote : layer3 && isIp ? raw4(skb.rtGatewayLo) : 0;
  if (destination == 0) return drop(skb, dev, DROP_NOT_SPECIFIED);
  const route = changetype<Route>(ns.scratch);
  const mark = t.ns == dev.ns ? skb.mark : 0;
  const result = routeOutputKey(ns, 0, mapped4(destination), 0, t.local == 0 ? 0xffff0000 : mapped4(t.local), t.lower, mark, route);
  if (result != 0 || route.dev == changetype<usize>(dev)) return drop(skb, dev, DROP_NOT_SPECIFIED);
  const source = raw4(route.sourceLo);
  const outer = IPV4_HEADER_LEN + headerLength(t, dev.kind);
  let df: u32 = t.flags & LINK_F_DF ? IP_DF : 0;
  if (dev.kind != DEV_GENEVE) {
    df = t.flags & LINK_F_NOPMTUDISC ? 0 : IP_DF;
    if (isIp) {
      // tnl_update_pmtu
      const room = df != 0 ? route.mtu - outer - (layer3 ? 0 : ETH_HEADER_LEN) : dev.mtu;
      const length = skbLength(skb) - (layer3 ? 0 : ETH_HEADER_LEN);
      if ((inner.fragment & IP_DF) != 0 && room < length) {
        skb.network = changetype<usize>(inner);
        icmpSend(skb, changetype<Netns>(dev.ns), ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, room);
        return drop(skb, dev, DROP_PKT_TOO_BIG);
      }
      df |= inner.fragment & IP_DF;
    } else if (six) {
      const room = df != 0 ? route.mtu - outer - (layer3 ? 0 : ETH_HEADER_LEN) : dev.mtu;
      if (room >= IPV6_MIN_MTU && room < skbLength(skb) - (layer3 ? 0 : ETH_HEADER_LEN)) {
        skb.network = changetype<usize>(inner6);
        ip6Walk(skb);
        icmp6Send(skb, changetype<Netns>(dev.ns), ICMPV6_PKT_TOOBIG, 0, room);
        return drop(skb, dev, DROP_PKT_TOO_BIG);
      }
    }
  }
  let tos = t.tos, ttl = t.ttl;
  const field = six ? inner6.trafficClass : isIp ? inner.tos : 0;
  if (tos & 1) tos = field;
  tos &= ~3;
  tos |= (field & 3) == 3 ? 2 : field & 3;
  if (ttl == 0) ttl = (isIp || six) && dev.kind != DEV_GENEVE ? (six ? inner6.hopLimit : inner.ttl) : <u32>sysctl(ns, SYSCTL_IP_DEFAULT_TTL);
  if (skbLength(skb) + outer > 65535) return drop(skb, dev, DROP_PKT_TOO_BIG);
  countSent(dev, skbLength(skb));
  const protocol = encapsulate(skb, t, dev.kind, type, source, destination);
  const length = skbLength(skb);
  const ip = skbPush(skb, IPV4_HEADER_LEN);
  Ipv4View.at(ip).write(tos, length + IPV4_HEADER_LEN, ipNextId(ns), df, ttl, protocol, source, destination);
  trace(skb, dev, t, source, destination, 0);
  skb.dev = changetype<usize>(dev);
  skbScrub(skb, dev);
  skb.mark = mark;
  skb.mac = 0;
  skb.network = ip;
  skb.transport = ip + IPV4_HEADER_LEN;
  skb.protocol = ETH_P_IP;
  skb.cb0 = <u64>t.lower;
  deferOutput(skb, dev);
}

/** Writes what stands between the outer IP header and the payload; IP's protocol number. */
function encapsulate(skb: Skb, t: Tunnel, kind: u32, type: u32, source: u32, destination: u32): u32 {
  if (kind == DEV_IPIP) return IPPROTO_IPIP;
  if (kind == DEV_GENEVE) {
    const hash = flowHash(skb, t.seed);
    const geneve = skbPush(skb, GENEVE_HEADER_LEN);
    putBe32(geneve, 0, ETH_P_TEB);
    putBe32(geneve, 4, t.vni << 8);
    const udp = skbPush(skb, UDP_HEADER_LEN);
    const length = skbLength(skb);
    // udp_flow_src_port over 1 to 65535
    UdpView.at(udp).write(<u32>((<u64>(hash ^ (hash << 16)) * <u64>65534) >> 32) + 1, t.port, length);
    if ((t.flags & LINK_F_NOUDPCSUM) == 0) {
      const sum = ~checksumFold(checksumAdd(pseudo4(source, destination, IPPROTO_UDP, length), udp, length)) & 0xffff;
      UdpView.at(udp).checksum = sum == 0 ? 0xffff : sum;
    }
    return IPPROTO_UDP;
  }
  const length = headerLength(t, kind);
  const gre = skbPush(skb, length);
  let flags: u32 = 0, at: usize = 4;
  putBe16(gre, 2, kind == DEV_GRETAP ? ETH_P_TEB : type);
  if (t.flags & LINK_F_OCSUM) {
    flags |= GRE_CSUM;
    store<u32>(gre, 0, 4);
    at = 8;
  }
  if (t.flags & LINK_F_OKEY) {
    flags |= GRE_KEY;
    putBe32(gre, at, t.okey);
  }
  putBe16(gre, 0, flags);
  if (flags & GRE_CSUM) store<u16>(gre, <u16>checksum(gre, skbLength(skb)), 4);
  return IPPROTO_GRE;
}

function drop(skb: Skb, dev: NetDevice, reason: u32): void {
  dev.txDropped++;
  skbDrop(skb, changetype<Netns>(dev.ns), changetype<usize>(dev), reason);
}

function trace(skb: Skb, dev: NetDevice, t: Tunnel, local: u32, remote: u32, direction: u32): void {
  if (!tracing()) return;
  const at = observeRecord(OBS_ENCAP, skb, dev.ns, changetype<usize>(dev), 40);
  if (at == 0) return;
  store<u32>(at, dev.kind == DEV_GENEVE ? t.vni : direction == 0 ? t.okey : t.ikey);
  store<u64>(at, 0, 4);
  store<u64>(at, mapped4(local), 12);
  store<u64>(at, 0, 20);
  store<u64>(at, mapped4(remote), 28);
  store<u32>(at, direction, 36);
}

/**
 * A packet for this host, `data` behind its IP header: true when it belongs to a tunnel of the namespace, and was taken (ipip_rcv,
 * gre_rcv, geneve_udp_encap_recv).
 */
export function tunnelReceive(skb: Skb, ns: Netns, protocol: u32): bool {
  const ip = Ipv4View.at(skb.network);
  let kind: u32 = 0, header: u32 = 0, key: u32 = 0, flags: u32 = 0;
  if (protocol == IPPROTO_IPIP) kind = DEV_IPIP;
  else if (protocol == IPPROTO_GRE) {
    const length = skbLength(skb);
    if (length < 4) return false;
    flags = be16(skb.data, 0);
    header = 4 + (flags & GRE_CSUM ? 4 : 0) + (flags & GRE_KEY ? 4 : 0) + (flags & GRE_SEQ ? 4 : 0);
    // gre_parse_header: version 0, no routing
    if ((flags & 0x4007) != 0 || length < header) return false;
    if (flags & GRE_KEY) key = be32(skb.data, flags & GRE_CSUM ? 8 : 4);
    kind = be16(skb.data, 2) == ETH_P_TEB ? DEV_GRETAP : DEV_GRE;
  } else if (protocol == IPPROTO_UDP && skbLength(skb) >= UDP_HEADER_LEN) {
    kind = DEV_GENEVE;
    key = UdpView.at(skb.data).destinationPort;
  } else return false;
  let known = false;
  for (let at = ns.tunnels; at != 0; at = changetype<Tunnel>(at).next) {
    const t = changetype<Tunnel>(at);
    const dev = changetype<NetDevice>(t.dev);
    if (dev.kind == kind && (kind != DEV_GENEVE || (t.port == key && dev.up))) known = true;
  }
  if (!known) return false;
  const reason = kind == DEV_GENEVE ? geneve(skb, ns, ip, key) : decapsulate(skb, ns, ip, kind, header, key, flags);
  if (reason >= 0) skbDrop(skb, ns, skb.dev, <u32>reason);
  return true;
}

/** The tunnel for an outer packet: both ends named, then the remote one, then the local one, then neither (ip_tunnel_lookup). */
function lookup(ns: Netns, kind: u32, local: u32, remote: u32, key: u32, hasKey: bool): usize {
  let best: usize = 0;
  let bestScore: i32 = -1;
  for (let at = ns.tunnels; at != 0; at = changetype<Tunnel>(at).next) {
    const t = changetype<Tunnel>(at);
    const dev = changetype<NetDevice>(t.dev);
    if (dev.kind != kind || !dev.up || ((t.flags & LINK_F_IKEY) != 0) != hasKey || (hasKey && t.ikey != key)) continue;
    if ((t.remote != 0 && t.remote != remote) || (t.local != 0 && t.local != local)) continue;
    const score = (t.remote != 0 ? 2 : 0) + (t.local != 0 ? 1 : 0);
    if (score > bestScore) {
      best = at;
      bestScore = score;
    }
  }
  return best;
}

/** -1: taken by the device; else why it is dropped. */
function decapsulate(skb: Skb, ns: Netns, ip: Ipv4View, kind: u32, header: u32, key: u32, flags: u32): i32 {
  if ((flags & GRE_CSUM) != 0 && checksum(skb.data, skbLength(skb)) != 0) return DROP_NOT_SPECIFIED;
  const at = lookup(ns, kind, ip.destination, ip.source, key, (flags & GRE_KEY) != 0);
  if (at == 0) {
    icmpSend(skb, ns, ICMP_DEST_UNREACH, 3, 0);
    return DROP_NOT_SPECIFIED;
  }
  const t = changetype<Tunnel>(at);
  const dev = changetype<NetDevice>(t.dev);
  if ((t.flags & LINK_F_ICSUM) != 0 && (flags & GRE_CSUM) == 0) {
    dev.rxDropped++;
    return DROP_NOT_SPECIFIED;
  }
  const type: u32 = kind == DEV_IPIP ? ETH_P_IP : be16(skb.data, 2);
  skbPull(skb, header);
  return hand(skb, dev, t, ip, type);
}

function geneve(skb: Skb, ns: Netns, ip: Ipv4View, port: u32): i32 {
  const udp = UdpView.at(skb.data);
  const length = udp.length;
  if (length < UDP_HEADER_LEN || length > skbLength(skb)) return DROP_PKT_TOO_SMALL;
  skb.tail = skb.data + <usize>length;
  if (udp.checksum != 0
    && checksumFold(checksumAdd(pseudo4(ip.source, ip.destination, IPPROTO_UDP, length), skb.data, length)) != 0xffff) {
    return DROP_UDP_CSUM;
  }
  snmpInc(ns, SNMP_UDP_INDATAGRAMS);
  if (length < UDP_HEADER_LEN + GENEVE_HEADER_LEN) return DROP_PKT_TOO_SMALL;
  const word = be32(skb.data, 8), vni = be32(skb.data, 12) >>> 8;
  const options = ((word >>> 24) & 0x3f) << 2;
  // Version 0, Ethernet inside, no critical options (none are known here).
  if (word >>> 30 != 0 || (word & 0xffff) != ETH_P_TEB || (word & 0x400000) != 0) return DROP_NOT_SPECIFIED;
  let at = ns.tunnels;
  for (; at != 0; at = changetype<Tunnel>(at).next) {
    const t = changetype<Tunnel>(at);
    if (changetype<NetDevice>(t.dev).kind == DEV_GENEVE && t.vni == vni && t.port == port && t.remote == ip.source) break;
  }
  if (at == 0) return DROP_NOT_SPECIFIED;
  const dev = changetype<NetDevice>(changetype<Tunnel>(at).dev);
  if (length < UDP_HEADER_LEN + GENEVE_HEADER_LEN + options) {
    dev.rxDropped++;
    return DROP_PKT_TOO_SMALL;
  }
  skbPull(skb, UDP_HEADER_LEN + GENEVE_HEADER_LEN + options);
  return hand(skb, dev, changetype<Tunnel>(at), ip, ETH_P_TEB);
}

/** What was inside, at `data`, comes in by the device (ip_tunnel_rcv, geneve_rx). */
function hand(skb: Skb, dev: NetDevice, t: Tunnel, ip: Ipv4View, type: u32): i32 {
  const ethernet = type == ETH_P_TEB;
  const outerTos = ip.tos, source = ip.source, destination = ip.destination;
  const header = ethernet ? ETH_HEADER_LEN : 0;
  if (skbLength(skb) < header) {
    dev.rxDropped++;
    return DROP_PKT_TOO_SMALL;
  }
  // Its own frame came back.
  if (ethernet && dev.kind == DEV_GENEVE) {
    const eth = EthernetView.at(skb.data);
    if (eth.src0 == dev.mac0 && eth.src1 == dev.mac1) return DROP_NOT_SPECIFIED;
  }
  const inner: u32 = ethernet ? EthernetView.at(skb.data).type : type;
  if (inner == ETH_P_IP && skbLength(skb) >= header + IPV4_HEADER_LEN
    && !ecnDecapsulate(skb, changetype<Netns>(t.ns), skb.data + <usize>header, outerTos)) {
    dev.rxDropped++;
    return DROP_IP_TUNNEL_ECN;
  }
  if (inner == ETH_P_IPV6 && skbLength(skb) >= header + IPV6_HEADER_LEN && !ecnDecapsulate6(skb.data + <usize>header, outerTos)) {
    dev.rxDropped++;
    return DROP_IP_TUNNEL_ECN;
  }
  if (!dev.up) return DROP_DEV_DOWN;
  charge(COST_VXLAN);
  trace(skb, dev, t, destination, source, 1);
  skb.dev = changetype<usize>(t.ns) == dev.ns ? changetype<usize>(dev) : 0;
  skbScrub(skb, dev);
  skb.mac = 0;
  // The outer headers leave room for the zeros.
  if (!ethernet) EthernetView.at(skbPush(skb, ETH_HEADER_LEN)).write(0, 0, 0, 0, type);
  netifRx(skb, dev);
  return -1;
}
