// Where programs send packets: bpf_redirect and its kin (net/core/filter.c, skb_do_redirect, __bpf_redirect, __bpf_redirect_neigh). A helper
// notes the target in the run, the hook obeys when the program returned the code for it.
import { EINVAL, ENETDOWN, ENODEV, ENOMEM } from "../../abi/core";
import { DEV_VETH, DROP_DEV_DOWN, DROP_NO_MEMORY, DROP_PKT_TOO_BIG, DROP_TOO_MANY_HOPS, DROP_TC_EGRESS, RTN_BROADCAST, RTN_MULTICAST, PACKET_HOST } from "../../abi/net";
import { NetDevice, Netns, Skb } from "../../layout";
import { node } from "../../mm/node";
import { devQueueXmit, forwardable, netifRx } from "../../net/dev";
import { deviceFind } from "../../net/devices";
import { neighOutput } from "../../net/neighbour";
import { Route, routeOutput } from "../../net/ip-output";
import { skbCopy, skbDrop, skbExpand, skbFree, skbLength, skbPull, skbPush, skbScrub } from "../../net/skb";
import { isLayer3 } from "../../net/tunnel";
import { mapped4, raw4 } from "../../wire/bytes";
import { ETH_HEADER_LEN, ETH_P_IP, ETH_P_IPV6, EthernetView } from "../../wire/ethernet";
import { IPV4_HEADER_LEN, Ipv4View } from "../../wire/ipv4";
import { IPV6_HEADER_LEN, Ipv6View } from "../../wire/ipv6";
import { failed } from "../helpers/skb";
import { devmapLookup, xskmapLookup } from "../maps/devmap";
import { BpfMap, bpfMapFind } from "../maps/map";
import { bpfReadable } from "../memory";
import { RUN_XDP } from "../run";
import { skbCtxStore } from "./context";
import { HR_INGRESS, HR_TEST, HookRun, HookState } from "./state";

const TC_ACT_SHOT: u64 = 2, TC_ACT_REDIRECT: u64 = 7;
const XDP_ABORTED: u64 = 0, XDP_REDIRECT: u64 = 4;
const MAP_DEVMAP: u32 = 14, MAP_CPUMAP: u32 = 16, MAP_XSKMAP: u32 = 17, MAP_DEVMAP_HASH: u32 = 25;
const BPF_F_BROADCAST: u32 = 8, BPF_F_EXCLUDE_INGRESS: u32 = 16;
export const BPF_F_INGRESS: u32 = 1;
export const BPF_F_PEER: u32 = 4;
export const BPF_F_NEIGH: u32 = 2;
export const BPF_F_NEXTHOP: u32 = 8;
/** HookRun.riMapType of a plain ifindex. */
export const TO_DEVICE: u32 = 0xffffffff;
/** XMIT_RECURSION_LIMIT */
const REDIRECTS_MAX: u32 = 8;
const AF_INET: u32 = 2, AF_INET6: u32 = 10;
const NEIGH_BYTES: u32 = 20;

/** bpf_redirect: TC_ACT_REDIRECT or XDP_REDIRECT, or the code that refuses. */
export function redirect(r: HookRun, ifindex: u32, flags: u64): u64 {
  if (r.kind == RUN_XDP) {
    if (flags != 0) return XDP_ABORTED;
    r.riIfindex = ifindex;
    r.riMapType = TO_DEVICE;
    return XDP_REDIRECT;
  }
  if ((flags & ~<u64>BPF_F_INGRESS) != 0) return TC_ACT_SHOT;
  r.riFlags = <u32>flags;
  r.riIfindex = ifindex;
  return TC_ACT_REDIRECT;
}

export function redirectPeer(r: HookRun, ifindex: u32, flags: u64): u64 {
  if (flags != 0) return TC_ACT_SHOT;
  r.riFlags = BPF_F_PEER;
  r.riIfindex = ifindex;
  return TC_ACT_REDIRECT;
}

/** struct bpf_redir_neigh: {u32 family, 16 bytes address}, or length 0. */
export function redirectNeigh(r: HookRun, ifindex: u32, params: u64, length: u32, flags: u64): u64 {
  if (flags != 0 || (length != 0 && length < NEIGH_BYTES) || !bpfReadable(params, length)) return TC_ACT_SHOT;
  r.riFlags = BPF_F_NEIGH | (length != 0 ? BPF_F_NEXTHOP : 0);
  r.riIfindex = ifindex;
  if (length != 0) {
    const at = <usize>params;
    r.riFamily = load<u32>(at);
    if (r.riFamily == AF_INET) {
      r.riHi = 0;
      r.riLo = mapped4(load<u32>(at, 4));
    } else {
      r.riHi = load<u64>(at, 4);
      r.riLo = load<u64>(at, 12);
    }
  }
  return TC_ACT_REDIRECT;
}

/** bpf_redirect_map of XDP: to an element of a map of devices, CPUs or AF_XDP sockets; without one the flags' lowest bits are the answer. */
export function redirectMap(r: HookRun, map: u64, key: u64, flags: u64): u64 {
  const at = bpfMapFind(map);
  if (at == 0) return XDP_ABORTED;
  const type = changetype<BpfMap>(at).type, devices = type == MAP_DEVMAP || type == MAP_DEVMAP_HASH;
  if (!devices && type != MAP_CPUMAP && type != MAP_XSKMAP) return XDP_ABORTED;
  if ((flags & ~<u64>(3 | (devices ? BPF_F_BROADCAST | BPF_F_EXCLUDE_INGRESS : 0))) != 0) return XDP_ABORTED;
  const value = type == MAP_XSKMAP ? xskmapLookup(at, <u32>key) : devmapLookup(at, <u32>key);
  const all = (flags & BPF_F_BROADCAST) != 0;
  if (value == 0 && !all) {
    r.riMapType = 0;
    return flags & 3;
  }
  r.riValue = value;
  r.riMap = at;
  r.riMapType = type;
  r.riFlags = all ? <u32>flags : 0;
  return XDP_REDIRECT;
}

/** bpf_clone_redirect: a copy goes now. */
export function cloneRedirect(r: HookRun, ifindex: u32, flags: u64): u64 {
  if ((flags & ~<u64>BPF_F_INGRESS) != 0) return failed(EINVAL);
  const skb = changetype<Skb>(r.skb);
  if (skbLength(skb) == 0) return failed(EINVAL);
  const to = deviceFind(changetype<Netns>(r.ns), ifindex);
  if (to == 0) return failed(EINVAL);
  skbCtxStore(r);
  const copy = skbCopy(skb);
  if (changetype<usize>(copy) == 0) return failed(ENOMEM);
  copy.inDev = skb.inDev;
  copy.ipFlags = skb.ipFlags;
  if (r.flags & HR_TEST) {
    skbFree(copy);
    return 0;
  }
  return <u64><i64>redirectTo(copy, changetype<NetDevice>(to), <u32>flags);
}

/** __bpf_redirect of a packet whose data begin with the Ethernet header. Takes it. 0 or -errno. */
export function redirectTo(skb: Skb, dev: NetDevice, flags: u32): i32 {
  const s = changetype<HookState>(node().bpfHooks), ns = changetype<Netns>(dev.ns), at = changetype<usize>(dev);
  if (skbLength(skb) < ETH_HEADER_LEN) {
    skbDrop(skb, ns, at, DROP_PKT_TOO_BIG);
    return -EINVAL;
  }
  if (flags & BPF_F_INGRESS) {
    // ____dev_forward_skb, netif_rx
    if (!dev.up || !forwardable(skbLength(skb), dev)) {
      dev.rxDropped++;
      skbDrop(skb, ns, at, dev.up ? DROP_PKT_TOO_BIG : DROP_DEV_DOWN);
      return -ENETDOWN;
    }
    const mark = skb.mark, queue = skb.tcIndex;
    skbScrub(skb, dev);
    skb.mark = mark;
    skb.tcIndex = queue;
    netifRx(skb, dev);
    return 0;
  }
  // dev_xmit_recursion
  if (s.redirects >= REDIRECTS_MAX) {
    dev.txDropped++;
    skbDrop(skb, ns, at, DROP_TOO_MANY_HOPS);
    return -ENETDOWN;
  }
  if (!dev.up) {
    dev.txDropped++;
    skbDrop(skb, ns, at, DROP_DEV_DOWN);
    return -ENETDOWN;
  }
  s.redirects++;
  skb.dev = at;
  devQueueXmit(skb, dev);
  s.redirects--;
  return 0;
}

/**
 * skb_do_redirect, the data at the Ethernet header. Takes the packet and returns 0, or returns the device by which it goes on coming
 * in (bpf_redirect_peer), its data still at the Ethernet header.
 */
export function obeyRedirect(r: HookRun): usize {
  const skb = changetype<Skb>(r.skb), ns = changetype<Netns>(r.ns);
  const flags = r.riFlags, found = deviceFind(ns, r.riIfindex);
  r.riIfindex = 0;
  r.riFlags = 0;
  if (found == 0) {
    skbDrop(skb, ns, r.dev, DROP_TC_EGRESS);
    return 0;
  }
  const dev = changetype<NetDevice>(found);
  if (flags & BPF_F_PEER) {
    const peer = dev.kind == DEV_VETH ? dev.peer : 0;
    if ((r.flags & HR_INGRESS) == 0 || peer == 0 || !changetype<NetDevice>(peer).up || changetype<NetDevice>(peer).ns == dev.ns) {
      skbDrop(skb, ns, r.dev, DROP_TC_EGRESS);
      return 0;
    }
    const to = changetype<NetDevice>(peer);
    to.rxPackets++;
    to.rxBytes += <u64>(skbLength(skb) - ETH_HEADER_LEN);
    return peer;
  }
  if (flags & BPF_F_NEIGH) {
    redirectToNeighbour(r, skb, dev, flags);
    return 0;
  }
  redirectTo(skb, dev, flags);
  return 0;
}

/** __bpf_redirect_neigh: without its Ethernet header, to a neighbour on the device, by route or as the program said. */
function redirectToNeighbour(r: HookRun, packet: Skb, dev: NetDevice, flags: u32): void {
  const ns = changetype<Netns>(dev.ns), at = changetype<usize>(dev);
  let skb = packet;
  const length = skbLength(skb) - ETH_HEADER_LEN;
  const six = skb.protocol == ETH_P_IPV6, least = six ? IPV6_HEADER_LEN : IPV4_HEADER_LEN;
  if (skbLength(skb) < ETH_HEADER_LEN || length < least || (!six && skb.protocol != ETH_P_IP) || !dev.up) {
    skbDrop(skb, ns, at, DROP_TC_EGRESS);
    return;
  }
  skbPull(skb, ETH_HEADER_LEN);
  skb.network = skb.data;
  let hi: u64 = r.riHi, lo: u64 = r.riLo;
  if ((flags & BPF_F_NEXTHOP) == 0) {
    const route = changetype<Route>(ns.scratch);
    const ip = Ipv4View.at(skb.data), ip6 = Ipv6View.at(skb.data);
    const result = six
      ? routeOutput(ns, ip6.destinationHi, ip6.destinationLo, ip6.sourceHi, ip6.sourceLo, dev.ifindex, skb.mark, 0, route)
      : routeOutput(ns, 0, mapped4(ip.destination), 0, mapped4(ip.source), dev.ifindex, skb.mark, ip.tos, route);
    if (result < 0 || route.dev != at || route.type == RTN_BROADCAST || route.type == RTN_MULTICAST) {
      skbDrop(skb, ns, at, DROP_TC_EGRESS);
      return;
    }
    hi = route.gatewayHi;
    lo = route.gatewayLo;
  } else if (r.riFamily != AF_INET && r.riFamily != AF_INET6) {
    skbDrop(skb, ns, at, DROP_TC_EGRESS);
    return;
  }
  const s = changetype<HookState>(node().bpfHooks);
  if (s.redirects >= REDIRECTS_MAX) {
    skbDrop(skb, ns, at, DROP_TOO_MANY_HOPS);
    return;
  }
  s.redirects++;
  skb.dev = at;
  neighOutput(skb, dev, hi, lo);
  s.redirects--;
}
