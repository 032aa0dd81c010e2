// VXLAN devices: drivers/net/vxlan/vxlan_core.c. Frames go out in UDP to the VTEP that the forwarding database names for their
// destination MAC; UDP to the device's port comes in before any socket.
import { ENOENT, ENOMEM, EEXIST, EINVAL, OBS_ENCAP } from "../abi/core";
import {
  DROP_DEV_DOWN, DROP_IP_TUNNEL_ECN, DROP_LOCAL_MAC, DROP_MAC_INVALID_SOURCE, DROP_NOT_SPECIFIED, DROP_NO_TX_TARGET, DROP_PKT_TOO_BIG, DROP_UDP_CSUM,
  DROP_VXLAN_ENTRY_EXISTS, DROP_VXLAN_INVALID_HDR, DROP_VXLAN_VNI_NOT_FOUND, FDB_F_APPEND, FDB_S_PERMANENT, FDB_S_REACHABLE, LINK_F_NOLEARNING,
  LINK_F_GBP, LINK_F_NOUDPCSUM, LINK_F_PROXY, LINK_F_UDP6ZEROCSUMRX, SNMP_UDP_INCSUMERRORS, SNMP_UDP_INDATAGRAMS, SNMP_UDP_INERRORS, SYSCTL_IP_DEFAULT_TTL,
} from "../abi/net";
import { FULL } from "../features";
import { NetDevice, Netns, Skb } from "../layout";
import { hashWord, mix32 } from "../mm/hash";
import { charge, node } from "../mm/node";
import { random32 } from "../mm/rng";
import { kfree, kmalloc } from "../mm/slab";
import { observeRecord, tracing } from "../trace/observe";
import { mapped4, raw4 } from "../wire/bytes";
import { checksumAdd, checksumFold, checksumPatch16, pseudo4 } from "../wire/checksum";
import { ETH_HEADER_LEN, ETH_P_ARP, ETH_P_IP, EthernetView, macIsGroup } from "../wire/ethernet";
import { IPPROTO_TCP, IPPROTO_UDP, IPV4_HEADER_LEN, IP_MF, IP_OFFSET, Ipv4View } from "../wire/ipv4";
import { Ipv6View, pseudo6 } from "../wire/ipv6";
import { UDP_HEADER_LEN, UdpView } from "../wire/udp";
import { VXLAN_HEADER_LEN, VXLAN_I, VxlanView } from "../wire/vxlan";
import { COST_VXLAN } from "./costs";
import { countSent, deferOutput, netifRx } from "./dev";
import { deviceFind } from "./devices";
import { IPSKB_CSUM_PARTIAL } from "./ip-input";
import { ipNextId } from "./ip-output";
import { Route, routeOutputKey } from "./route";
import { isV6 } from "../netfilter/l3";
import { udpCount } from "../sock/udp";
import { sockRawShared } from "../sock/receive";
import { skbCopy, skbDrop, skbEnsureHeadroom, skbLength, skbPull, skbPush, skbScrub } from "./skb";
import { snmpInc } from "./snmp";
import { sysctl } from "./sysctl";
import {
  outerDf, outerTos, outerTtl, vxlanMissed, vxlanOptionsFree, vxlanOuter, vxlanPolicy, vxlanPolicyBits, vxlanPolicyMark, vxlanProxy, vxlanTooLong,
} from "./vxlan-options";
import { carries6, ecnDecapsulate6, flowHash6, innerField, sourcePort, vxlanXmit6 } from "./vxlan6";

const AGEING_NS: u64 = 300_000_000_000;
const SWEEP_NS: u64 = 10_000_000_000;
const FDB_MAX: u32 = 65536;
const SURELY_FITS: u32 = 552;
/** What the outer headers take, Ethernet included (VXLAN_HEADROOM). */
export const VXLAN_HEADROOM: u32 = IPV4_HEADER_LEN + UDP_HEADER_LEN + VXLAN_HEADER_LEN + ETH_HEADER_LEN;
export const VXLAN6_HEADROOM: u32 = VXLAN_HEADROOM + 20;
const INET_ECN_MASK: u32 = 3;
const INET_ECN_ECT_1: u32 = 1;
const INET_ECN_ECT_0: u32 = 2;
const INET_ECN_CE: u32 = 3;

@unmanaged export class Vxlan {
  next: usize; // Vxlan of the namespace it was made in
  dev: usize; // NetDevice
  ns: usize; // Netns: where the outer packets live
  lower: u32; // ifindex there, 0: any
  vni: u32;
  port: u32;
  flags: u32; // LINK_F_NOLEARNING, LINK_F_NOUDPCSUM
  seed: u32; // of the flow hash
  localHi: u64; localLo: u64; // 0: chosen by route
  fdb: usize; // VxlanFdb[mask + 1]
  mask: u32;
  count: u32;
  ageNs: u64; // of what was learnt
  sweepAt: u64; // ns: when what has aged goes next
  // vxlan-options.ts
  options: u32; // LINK_F_*, all of them
  portLow: u32; portHigh: u32; // of the source port, 0: the namespace's range
  ttl: u32; // 0: the namespace's
  tos: u32; // 1: the inner one
  addressMax: u32; // 0: no limit
  remoteHi: u64; remoteLo: u64; // the default destination, 0: none
  six: bool; // its outer packets are of IPv6
  l2Misses: u32; l3Misses: u32;
  misses: usize; // MISS_* records that nobody has taken yet
  missCount: u32;
}

@unmanaged export class VxlanFdb {
  next: usize; // VxlanFdb: hash chain
  mac0: u32; mac1: u32;
  state: u32; // FDB_S_PERMANENT or FDB_S_REACHABLE
  remotes: usize; // VxlanRemote, in order of arrival
  updated: u64; // ns
}

@unmanaged export class VxlanRemote {
  next: usize;
  hi: u64; lo: u64;
}

/** The device's state; 0, -EEXIST (VNI and port are taken in the namespace), -EINVAL or -ENOMEM. */
export function vxlanInit(dev: NetDevice, ns: Netns, vni: u32, port: u32, localHi: u64, localLo: u64, lower: u32,
  flags: u32, six: bool): i32 {
  if (vni >= 1 << 24 || port == 0 || port > 65535) return -EINVAL;
  for (let at = ns.vxlans; at != 0; at = changetype<Vxlan>(at).next) {
    if (changetype<Vxlan>(at).vni == vni && changetype<Vxlan>(at).port == port && changetype<Vxlan>(at).six == six) return -EEXIST;
  }
  const at = kmalloc(<u32>offsetof<Vxlan>());
  if (at == 0) return -ENOMEM;
  const vxlan = changetype<Vxlan>(at);
  vxlan.mask = 15;
  vxlan.fdb = kmalloc(16 << 2);
  if (vxlan.fdb == 0) {
    kfree(at, <u32>offsetof<Vxlan>());
    return -ENOMEM;
  }
  vxlan.dev = changetype<usize>(dev);
  vxlan.ns = changetype<usize>(ns);
  vxlan.six = six;
  vxlan.lower = lower;
  vxlan.vni = vni;
  vxlan.port = port;
  vxlan.flags = flags & (LINK_F_NOLEARNING | LINK_F_NOUDPCSUM);
  vxlan.localHi = localHi;
  vxlan.localLo = localLo;
  vxlan.seed = random32();
  vxlan.ageNs = AGEING_NS;
  vxlan.sweepAt = node().now + SWEEP_NS;
  vxlan.next = ns.vxlans;
  ns.vxlans = at;
  dev.priv = at;
  return 0;
}

export function vxlanDelete(dev: NetDevice): void {
  const vxlan = changetype<Vxlan>(dev.priv);
  const ns = changetype<Netns>(vxlan.ns);
  let link = changetype<usize>(ns) + offsetof<Netns>("vxlans");
  while (load<u32>(link) != 0 && <usize>load<u32>(link) != dev.priv) link = <usize>load<u32>(link); // `next` is the first field
  if (load<u32>(link) != 0) store<u32>(link, <u32>vxlan.next);
  for (let b: u32 = 0; b <= vxlan.mask; b++) {
    const bucket = vxlan.fdb + <usize>(b << 2);
    while (load<u32>(bucket) != 0) fdbRemove(vxlan, bucket, <usize>load<u32>(bucket));
  }
  if (FULL) vxlanOptionsFree(vxlan);
  kfree(vxlan.fdb, (vxlan.mask + 1) << 2);
  kfree(dev.priv, <u32>offsetof<Vxlan>());
  dev.priv = 0;
}

/** The device ends that others of the namespace sent by: they go too (vxlan_handle_lowerdev_unregister). */
export function vxlanLowerOf(ns: Netns, ifindex: u32): usize {
  for (let at = ns.vxlans; at != 0; at = changetype<Vxlan>(at).next) {
    if (changetype<Vxlan>(at).lower == ifindex) return changetype<Vxlan>(at).dev;
  }
  return 0;
}

/** The largest MTU of the device: what its lower one leaves, if it has one. */
export function vxlanMtuMax(dev: NetDevice): u32 {
  const vxlan = changetype<Vxlan>(dev.priv);
  const lower = vxlan.lower == 0 ? 0 : deviceFind(changetype<Netns>(vxlan.ns), vxlan.lower);
  return lower == 0 ? 65535 : changetype<NetDevice>(lower).mtu - (FULL && vxlan.six ? VXLAN6_HEADROOM : VXLAN_HEADROOM);
}

/** One that lives elsewhere while its namespace ends. */
export function vxlanAny(ns: Netns): usize {
  return ns.vxlans == 0 ? 0 : changetype<Vxlan>(ns.vxlans).dev;
}

/** Sends a frame through the tunnel, Ethernet header at `data` (vxlan_xmit). Takes it. */
export function vxlanXmit(skb: Skb, dev: NetDevice): void {
  const vxlan = changetype<Vxlan>(dev.priv);
  const eth = EthernetView.at(skb.data);
  if (FULL && (vxlan.options & LINK_F_PROXY) != 0 && eth.type == ETH_P_ARP) {
    vxlanProxy(skb, dev, vxlan);
    return;
  }
  let found = vxlanFdbFind(vxlan, eth.dst0, eth.dst1);
  if (found == 0) found = vxlanFdbFind(vxlan, 0, 0); // the default destinations
  if (FULL && found == 0) vxlanMissed(vxlan, eth.dst0, eth.dst1);
  if (found == 0 || changetype<VxlanFdb>(found).remotes == 0) {
    dev.txDropped++;
    skbDrop(skb, changetype<Netns>(dev.ns), changetype<usize>(dev), DROP_NO_TX_TARGET);
    return;
  }
  // Copies to all but the first, which gets the frame itself, last.
  const first = changetype<VxlanRemote>(changetype<VxlanFdb>(found).remotes);
  for (let at = first.next; at != 0; at = changetype<VxlanRemote>(at).next) {
    const copy = skbCopy(skb);
    if (changetype<usize>(copy) == 0) {
      dev.txDropped++;
      continue;
    }
    xmitOne(copy, dev, vxlan, changetype<VxlanRemote>(at));
  }
  xmitOne(skb, dev, vxlan, first);
}

function xmitOne(frame: Skb, dev: NetDevice, vxlan: Vxlan, remote: VxlanRemote): void {
  charge(COST_VXLAN);
  const ns = changetype<Netns>(vxlan.ns);
  if (FULL && vxlan.six) {
    if (skbLength(frame) + VXLAN6_HEADROOM <= 65535) return vxlanXmit6(frame, dev, vxlan, remote, flowHash(frame, vxlan.seed));
    dev.txDropped++;
    skbDrop(frame, ns, changetype<usize>(dev), DROP_PKT_TOO_BIG);
    return;
  }
  const skb = skbEnsureHeadroom(frame, VXLAN_HEADROOM, dev);
  if (changetype<usize>(skb) == 0) return;
  if (skbLength(skb) + VXLAN_HEADROOM > 65535) {
    dev.txDropped++;
    skbDrop(skb, ns, changetype<usize>(dev), DROP_PKT_TOO_BIG);
    return;
  }
  const destination = raw4(remote.lo);
  // What is shorter fits every path (ip_rt_min_pmtu).
  if (FULL && skbLength(skb) > SURELY_FITS) {
    const route = changetype<Route>(ns.scratch);
    if (routeOutputKey(ns, remote.hi, remote.lo, 0, vxlan.localLo == 0 ? 0xffff0000 : vxlan.localLo, vxlan.lower, 0, route) == 0
      && skbLength(skb) - ETH_HEADER_LEN > route.mtu - VXLAN_HEADROOM && vxlanTooLong(skb, dev, route.mtu - VXLAN_HEADROOM)) return;
  }
  countSent(dev, skbLength(skb));
  const hash = flowHash(skb, vxlan.seed);
  // ip_tunnel_ecn_encap: only ECN is inherited, and congestion is not shown to the underlay's endpoints.
  let tos: u32 = 0, ttl: u32 = 0, df: u32 = 0;
  if (FULL) {
    vxlanOuter(skb, vxlan, destination);
    tos = outerTos & ~INET_ECN_MASK;
    ttl = outerTtl;
    df = outerDf;
  }
  if (ttl == 0) ttl = <u32>sysctl(ns, SYSCTL_IP_DEFAULT_TTL);
  if (EthernetView.at(skb.data).type == ETH_P_IP && skbLength(skb) >= ETH_HEADER_LEN + 2) {
    const inner = <u32>load<u8>(skb.data, 15) & INET_ECN_MASK;
    tos |= inner == INET_ECN_CE ? INET_ECN_ECT_0 : inner;
  } else if (FULL && carries6(skb)) {
    const inner = innerField(skb) & INET_ECN_MASK;
    tos |= inner == INET_ECN_CE ? INET_ECN_ECT_0 : inner;
  }
  const source = sourceOf(vxlan, ns, remote);
  VxlanView.at(skbPush(skb, VXLAN_HEADER_LEN)).write(vxlan.vni, FULL ? vxlanPolicy(vxlan, skb.mark) : 0);
  const udp = skbPush(skb, UDP_HEADER_LEN);
  const length = skbLength(skb);
  UdpView.at(udp).write(sourcePort(vxlan, ns, hash), vxlan.port, length);
  if ((vxlan.flags & LINK_F_NOUDPCSUM) == 0) {
    const sum = ~checksumFold(checksumAdd(pseudo4(source, destination, IPPROTO_UDP, length), udp, length)) & 0xffff;
    UdpView.at(udp).checksum = sum == 0 ? 0xffff : sum;
  }
  const ip = skbPush(skb, IPV4_HEADER_LEN);
  Ipv4View.at(ip).write(tos, length + IPV4_HEADER_LEN, ipNextId(ns), df, ttl, IPPROTO_UDP, source,
    destination);
  traceEncap(skb, dev, vxlan, 0, mapped4(source), 0, remote.lo, 0);
  // skb_scrub_packet, without the mark being lost where the tunnel stays in its namespace.
  const mark = vxlan.ns == dev.ns ? skb.mark : 0;
  skb.dev = changetype<usize>(dev);
  skbScrub(skb, dev);
  skb.mark = mark;
  // Left to the device, as it were (udp_set_csum).
  if (FULL && (vxlan.flags & LINK_F_NOUDPCSUM) == 0) skb.ipFlags |= IPSKB_CSUM_PARTIAL;
  skb.mac = 0;
  skb.network = ip;
  skb.transport = udp;
  skb.protocol = ETH_P_IP;
  skb.cb0 = <u64>vxlan.lower;
  deferOutput(skb, dev);
}

/** The device's own local address, or the one that the route to the remote prefers; 0: there is no route, and IP will say so. */
function sourceOf(vxlan: Vxlan, ns: Netns, remote: VxlanRemote): u32 {
  if (vxlan.localLo != 0) return raw4(vxlan.localLo);
  const route = changetype<Route>(ns.scratch);
  return routeOutputKey(ns, remote.hi, remote.lo, 0, 0xffff0000, vxlan.lower, 0, route) == 0 ? raw4(route.sourceLo) : 0;
}

export function traceEncap(skb: Skb, dev: NetDevice, vxlan: Vxlan, localHi: u64, localLo: u64, remoteHi: u64, remoteLo: u64,
  direction: u32): void {
  if (!tracing()) return;
  const at = observeRecord(OBS_ENCAP, skb, dev.ns, changetype<usize>(dev), 40);
  if (at == 0) return;
  store<u32>(at, vxlan.vni);
  store<u64>(at, localHi, 4);
  store<u64>(at, localLo, 12);
  store<u64>(at, remoteHi, 20);
  store<u64>(at, remoteLo, 28);
  store<u32>(at, direction, 36);
}

/** The namespace of the outer packets. */
export function vxlanNs(dev: NetDevice): Netns {
  return changetype<Netns>(changetype<Vxlan>(dev.priv).ns);
}

/** Hash of the inner flow, the same in both directions (skb_get_hash); of the MACs where it is no IP. */
export function flowHash(skb: Skb, seed: u32): u32 {
  const eth = EthernetView.at(skb.data);
  const length = skbLength(skb);
  const ip = Ipv4View.at(skb.data + ETH_HEADER_LEN);
  if (FULL && carries6(skb)) return flowHash6(skb, seed);
  if (eth.type != ETH_P_IP || length < ETH_HEADER_LEN + IPV4_HEADER_LEN) {
    return mix32(hashWord(hashWord(seed, eth.dst0 ^ eth.src0), (eth.dst1 ^ eth.src1) | (eth.type << 16)));
  }
  let h = hashWord(seed, ip.source ^ ip.destination);
  h = hashWord(h, (ip.source + ip.destination) ^ ip.protocol);
  const header = ip.headerLength;
  if ((ip.protocol == IPPROTO_TCP || ip.protocol == IPPROTO_UDP) && (ip.fragment & (IP_OFFSET | IP_MF)) == 0
    && header >= IPV4_HEADER_LEN && length >= ETH_HEADER_LEN + header + 4) {
    const udp = UdpView.at(skb.data + <usize>(ETH_HEADER_LEN + header));
    h = hashWord(h, udp.sourcePort ^ udp.destinationPort);
    h = hashWord(h, udp.sourcePort + udp.destinationPort);
  }
  return mix32(h);
}

/**
 * UDP for this host, `data` at the UDP header: true when a VXLAN device listens on the port, and has taken the packet
 * (udp_queue_rcv_one_skb, vxlan_rcv).
 */
export function vxlanReceive(skb: Skb, ns: Netns): bool {
  if (ns.vxlans == 0 || skbLength(skb) < UDP_HEADER_LEN) return false;
  const udp = UdpView.at(skb.data);
  const port = udp.destinationPort, six = isV6(skb.network);
  let listening = false, zeroSum = false;
  for (let at = ns.vxlans; at != 0; at = changetype<Vxlan>(at).next) {
    const vxlan = changetype<Vxlan>(at);
    if (vxlan.port != port || (FULL && vxlan.six != six) || !changetype<NetDevice>(vxlan.dev).up) continue;
    listening = true;
    zeroSum = FULL && (vxlan.options & LINK_F_UDP6ZEROCSUMRX) != 0;
  }
  if (!listening) return false;
  const reason = decapsulate(skb, ns, udp, port, six, zeroSum);
  if (reason >= 0) skbDrop(skb, ns, skb.dev, <u32>reason);
  return true;
}

/** -1: taken by the device; else why it is dropped. */
function decapsulate(skb: Skb, ns: Netns, udp: UdpView, port: u32, isSix: bool, zeroSum: bool): i32 {
  const six = FULL && isSix;
  const ip = Ipv4View.at(skb.network), ip6 = Ipv6View.at(skb.network);
  const sourceHi = six ? ip6.sourceHi : 0, sourceLo = six ? ip6.sourceLo : mapped4(ip.source);
  const localHi = six ? ip6.destinationHi : 0, localLo = six ? ip6.destinationLo : mapped4(ip.destination);
  const length = udp.length;
  if (length < UDP_HEADER_LEN || length > skbLength(skb)) {
    udpCount(ns, SNMP_UDP_INERRORS, six);
    return DROP_NOT_SPECIFIED;
  }
  skb.tail = skb.data + <usize>length;
  const pseudo = six ? pseudo6(sourceHi, sourceLo, localHi, localLo, IPPROTO_UDP, length) : pseudo4(ip.source, ip.destination, IPPROTO_UDP, length);
  if (udp.checksum != 0 ? checksumFold(checksumAdd(pseudo, skb.data, length)) != 0xffff : six && !zeroSum) {
    udpCount(ns, SNMP_UDP_INCSUMERRORS, six);
    udpCount(ns, SNMP_UDP_INERRORS, six);
    return DROP_UDP_CSUM;
  }
  udpCount(ns, SNMP_UDP_INDATAGRAMS, six);
  if (length < UDP_HEADER_LEN + VXLAN_HEADER_LEN) return DROP_VXLAN_INVALID_HDR;
  const header = VxlanView.at(skb.data + UDP_HEADER_LEN);
  if ((header.flags & VXLAN_I) == 0) return DROP_VXLAN_INVALID_HDR;
  const vni = header.word >>> 8;
  let at = ns.vxlans;
  while (at != 0 && (changetype<Vxlan>(at).vni != vni || changetype<Vxlan>(at).port != port || (FULL && changetype<Vxlan>(at).six != six))) {
    at = changetype<Vxlan>(at).next;
  }
  if (at == 0) return DROP_VXLAN_VNI_NOT_FOUND;
  const vxlan = changetype<Vxlan>(at);
  const dev = changetype<NetDevice>(vxlan.dev);
  // Reserved bits must be zero (vxlan->cfg.reserved_bits).
  const flags = header.flags;
  if ((FULL ? flags & ~vxlanPolicyBits(vxlan) : flags) != VXLAN_I || (header.word & 0xff) != 0) {
    dev.rxDropped++;
    return DROP_VXLAN_INVALID_HDR;
  }
  const outerTos = six ? ip6.trafficClass : ip.tos;
  skbPull(skb, UDP_HEADER_LEN + VXLAN_HEADER_LEN);
  if (skbLength(skb) < ETH_HEADER_LEN) {
    dev.rxDropped++;
    return DROP_VXLAN_INVALID_HDR;
  }
  const eth = EthernetView.at(skb.data);
  if (eth.src0 == dev.mac0 && eth.src1 == dev.mac1) return DROP_LOCAL_MAC;
  if ((vxlan.flags & LINK_F_NOLEARNING) == 0) {
    if (macIsGroup(eth.src0) || (eth.src0 | eth.src1) == 0) return DROP_MAC_INVALID_SOURCE;
    if (!snoop(vxlan, eth.src0, eth.src1, sourceHi, sourceLo)) return DROP_VXLAN_ENTRY_EXISTS;
  }
  if (eth.type == ETH_P_IP && skbLength(skb) >= ETH_HEADER_LEN + IPV4_HEADER_LEN
    && !ecnDecapsulate(skb, ns, skb.data + ETH_HEADER_LEN, outerTos)) {
    dev.rxDropped++;
    return DROP_IP_TUNNEL_ECN;
  }
  if (FULL && carries6(skb) && !ecnDecapsulate6(skb.data + ETH_HEADER_LEN, outerTos)) {
    dev.rxDropped++;
    return DROP_IP_TUNNEL_ECN;
  }
  if (!dev.up) return DROP_DEV_DOWN;
  charge(COST_VXLAN);
  traceEncap(skb, dev, vxlan, localHi, localLo, sourceHi, sourceLo, 1);
  skbScrub(skb, dev);
  if (FULL && vxlan.options & LINK_F_GBP) skb.mark = vxlanPolicyMark(flags);
  skb.mac = 0;
  netifRx(skb, dev);
  return -1;
}

/**
 * RFC 6040: congestion met on the way shows in the inner header, at `at`; false: that one can not carry it (INET_ECN_decapsulate).
 * Linux writes it without a copy of its own (IP_ECN_set_ce): raw sockets that hold a clone of the outer packet read it, too.
 */
export function ecnDecapsulate(skb: Skb, ns: Netns, at: usize, outerTos: u32): bool {
  const outer = outerTos & INET_ECN_MASK;
  const tos = <u32>load<u8>(at, 1);
  const inner = tos & INET_ECN_MASK;
  if (inner == 0) return outer != INET_ECN_CE;
  const becomes = outer == INET_ECN_CE ? INET_ECN_CE : outer == INET_ECN_ECT_1 && inner == INET_ECN_ECT_0 ? INET_ECN_ECT_1 : inner;
  if (becomes == inner) return true;
  const before = <u32>load<u16>(at);
  store<u8>(at, <u8>((tos & ~INET_ECN_MASK) | becomes), 1);
  checksumPatch16(Ipv4View.at(at).checksumAt, before, <u32>load<u16>(at));
  if (FULL) sockRawShared(skb, ns, at, IPV4_HEADER_LEN);
  return true;
}

function bucketOf(vxlan: Vxlan, mac0: u32, mac1: u32): usize {
  return vxlan.fdb + <usize>((mix32(hashWord(mac1, mac0)) & vxlan.mask) << 2);
}

export function vxlanFdbFind(vxlan: Vxlan, mac0: u32, mac1: u32): usize {
  sweep(vxlan);
  let link = bucketOf(vxlan, mac0, mac1);
  for (let at = <usize>load<u32>(link); at != 0; at = <usize>load<u32>(link)) {
    const entry = changetype<VxlanFdb>(at);
    if (entry.mac0 == mac0 && entry.mac1 == mac1) {
      return at;
    }
    link = at; // `next` is the first field
  }
  return 0;
}

/**
 * What has aged goes (vxlan_cleanup): not when its time has come, but when the device looks: every 10 s, or sooner if an entry that it
 * has seen is due. Looked at when the database is, as if the timer had run.
 */
function sweep(vxlan: Vxlan): void {
  const now = node().now;
  while (vxlan.sweepAt <= now) {
    const at = vxlan.sweepAt;
    let next = at + SWEEP_NS, left = false;
    for (let b: u32 = 0; b <= vxlan.mask; b++) {
      let link = vxlan.fdb + <usize>(b << 2);
      for (let e = <usize>load<u32>(link); e != 0; e = <usize>load<u32>(link)) {
        const entry = changetype<VxlanFdb>(e), due = entry.updated + vxlan.ageNs;
        if (entry.state == FDB_S_REACHABLE && due <= at) {
          fdbRemove(vxlan, link, e);
          continue;
        }
        if (entry.state == FDB_S_REACHABLE) {
          left = true;
          next = min<u64>(next, due);
        }
        link = e; // `next` is the first field
      }
    }
    vxlan.sweepAt = left || next > now ? next : at + ((now - at) / SWEEP_NS + 1) * SWEEP_NS;
  }
}

function fdbRemove(vxlan: Vxlan, link: usize, at: usize): void {
  const entry = changetype<VxlanFdb>(at);
  store<u32>(link, <u32>entry.next);
  vxlan.count--;
  while (entry.remotes != 0) {
    const remote = entry.remotes;
    entry.remotes = changetype<VxlanRemote>(remote).next;
    kfree(remote, <u32>offsetof<VxlanRemote>());
  }
  kfree(at, <u32>offsetof<VxlanFdb>());
}

function fdbCreate(vxlan: Vxlan, mac0: u32, mac1: u32, state: u32): usize {
  if (vxlan.count >= FDB_MAX || (FULL && vxlan.addressMax != 0 && vxlan.count >= vxlan.addressMax)) return 0;
  if (vxlan.count > vxlan.mask << 1) grow(vxlan);
  const at = kmalloc(<u32>offsetof<VxlanFdb>());
  if (at == 0) return 0;
  const entry = changetype<VxlanFdb>(at);
  entry.mac0 = mac0;
  entry.mac1 = mac1;
  entry.state = state;
  entry.updated = node().now;
  const bucket = bucketOf(vxlan, mac0, mac1);
  entry.next = <usize>load<u32>(bucket);
  store<u32>(bucket, <u32>at);
  vxlan.count++;
  return at;
}

function grow(vxlan: Vxlan): void {
  const before = vxlan.mask + 1;
  const buckets = kmalloc(before << 3);
  if (buckets == 0) return;
  const old = vxlan.fdb;
  vxlan.fdb = buckets;
  vxlan.mask = (before << 1) - 1;
  for (let b: u32 = 0; b < before; b++) {
    let at = <usize>load<u32>(old + <usize>(b << 2));
    while (at != 0) {
      const entry = changetype<VxlanFdb>(at);
      const next = entry.next;
      const bucket = bucketOf(vxlan, entry.mac0, entry.mac1);
      entry.next = <usize>load<u32>(bucket);
      store<u32>(bucket, <u32>at);
      at = next;
    }
  }
  kfree(old, before << 2);
}

function addRemote(entry: VxlanFdb, hi: u64, lo: u64): i32 {
  let link = changetype<usize>(entry) + offsetof<VxlanFdb>("remotes");
  for (let at = <usize>load<u32>(link); at != 0; at = <usize>load<u32>(link)) {
    if (changetype<VxlanRemote>(at).lo == lo && changetype<VxlanRemote>(at).hi == hi) return -EEXIST;
    link = at; // `next` is the first field
  }
  const at = kmalloc(<u32>offsetof<VxlanRemote>());
  if (at == 0) return -ENOMEM;
  changetype<VxlanRemote>(at).hi = hi;
  changetype<VxlanRemote>(at).lo = lo;
  store<u32>(link, <u32>at);
  return 0;
}

/** Learns where a MAC lives (vxlan_snoop); false: it was set by hand that it lives elsewhere, and is not believed. */
function snoop(vxlan: Vxlan, mac0: u32, mac1: u32, hi: u64, lo: u64): bool {
  let at = vxlanFdbFind(vxlan, mac0, mac1);
  if (at == 0) {
    at = fdbCreate(vxlan, mac0, mac1, FDB_S_REACHABLE);
    if (at != 0) addRemote(changetype<VxlanFdb>(at), hi, lo);
    return true;
  }
  const entry = changetype<VxlanFdb>(at);
  if (entry.remotes == 0) return true;
  const remote = changetype<VxlanRemote>(entry.remotes);
  if ((remote.lo != lo || remote.hi != hi) && entry.state == FDB_S_PERMANENT) return false;
  entry.updated = node().now;
  remote.hi = hi;
  remote.lo = lo;
  return true;
}

/** `bridge fdb replace` or, with FDB_F_APPEND, `append`. Several remotes only for the all-zero MAC, as Linux has it. */
export function vxlanFdbSet(dev: NetDevice, mac0: u32, mac1: u32, hi: u64, lo: u64, flags: u32): i32 {
  const vxlan = changetype<Vxlan>(dev.priv);
  let at = vxlanFdbFind(vxlan, mac0, mac1);
  const fresh = at == 0;
  if (fresh) at = fdbCreate(vxlan, mac0, mac1, FDB_S_PERMANENT);
  if (at == 0) return -ENOMEM;
  const entry = changetype<VxlanFdb>(at);
  entry.state = FDB_S_PERMANENT;
  if ((flags & FDB_F_APPEND) == 0 && entry.remotes != 0) {
    const remote = changetype<VxlanRemote>(entry.remotes);
    remote.hi = hi;
    remote.lo = lo;
    return 0;
  }
  const result = addRemote(entry, hi, lo);
  if (result == -ENOMEM && fresh) vxlanFdbDelete(dev, mac0, mac1, 0, 0);
  return result;
}

/** `bridge fdb del`; without an address (0): with all its remotes. */
export function vxlanFdbDelete(dev: NetDevice, mac0: u32, mac1: u32, hi: u64, lo: u64): i32 {
  const vxlan = changetype<Vxlan>(dev.priv);
  const found = vxlanFdbFind(vxlan, mac0, mac1);
  if (found == 0) return -ENOENT;
  const entry = changetype<VxlanFdb>(found);
  if ((hi | lo) != 0) {
    let link = changetype<usize>(entry) + offsetof<VxlanFdb>("remotes");
    let at = <usize>load<u32>(link);
    while (at != 0 && (changetype<VxlanRemote>(at).lo != lo || changetype<VxlanRemote>(at).hi != hi)) {
      link = at;
      at = <usize>load<u32>(link);
    }
    if (at == 0) return -ENOENT;
    store<u32>(link, <u32>changetype<VxlanRemote>(at).next);
    kfree(at, <u32>offsetof<VxlanRemote>());
    if (entry.remotes != 0) return 0;
  }
  let link = bucketOf(vxlan, mac0, mac1);
  while (<usize>load<u32>(link) != found) link = <usize>load<u32>(link);
  fdbRemove(vxlan, link, found);
  return 0;
}

/** For listings: the buckets of the table. */
export function vxlanFdbBuckets(dev: NetDevice): u32 {
  sweep(changetype<Vxlan>(dev.priv));
  return changetype<Vxlan>(dev.priv).mask + 1;
}
export function vxlanFdbBucket(dev: NetDevice, b: u32): usize {
  return <usize>load<u32>(changetype<Vxlan>(dev.priv).fdb + <usize>(b << 2));
}
