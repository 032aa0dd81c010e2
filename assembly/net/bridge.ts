// The bridge: learning, forwarding, flooding, local delivery (net/bridge/br_input.c, br_forward.c, br_fdb.c, br_if.c). Bridged
// IPv4 passes the hooks of IPv4 through bridge-netfilter.ts.
import { EEXIST, ENOENT, ENOMEM, EOPNOTSUPP, OBS_BRIDGE } from "../abi/core";
import {
  BRPORT_BCAST_FLOOD, BRPORT_BLOCKED, BRPORT_BLOCKED_LEARNS, BRPORT_FLOOD, BRPORT_HAIRPIN, BRPORT_ISOLATED, BRPORT_LEARNING,
  BRPORT_LOCKED, BRPORT_MCAST_FLOOD, DEV_BRIDGE, DROP_NOT_SPECIFIED, FDB_F_EXCL, FDB_F_LOCAL, IFF_PROMISC,
  DROP_BRIDGE_NO_PORT, DROP_DEV_DOWN, DROP_MAC_IEEE_MAC_CONTROL, DROP_MAC_INVALID_SOURCE, DROP_PKT_TOO_BIG,
  FDB_S_PERMANENT, FDB_S_REACHABLE, FDB_S_STATIC, PACKET_HOST,
} from "../abi/net";
import { FULL } from "../features";
import { NetDevice, Netns, Skb } from "../layout";
import { hashWord, mix32 } from "../mm/hash";
import { charge, node } from "../mm/node";
import { kfree, kmalloc } from "../mm/slab";
import { nfSkbShare } from "../netfilter/hooks";
import { observeFrame, observeRecord, tracing } from "../trace/observe";
import { ETH_HEADER_LEN, ETH_P_8021Q, EthernetView, macIsBroadcast, macIsGroup } from "../wire/ethernet";
import { HOOK_FORWARD, HOOK_INPUT, HOOK_OUTPUT, HOOK_POSTROUTING, HOOK_PREROUTING, NF_ACCEPT, NF_STOLEN } from "../abi/netfilter";
import { NFT_HOOK_BRIDGE, NFT_HOOK_BROUTING } from "../abi/nft";
import { nftFrame, nftFrameVerdict, nftFrames } from "../nft/frames";
import { bridgeNfApplies, bridgeNfDnatXmit, bridgeNfForward, bridgeNfLocalIn, bridgeNfPreRouting } from "./bridge-netfilter";
import { bridgeVid, vlanAllowEgress, vlanAllowIngress, vlanHandle, vlanLocal, vlansFree } from "./bridge-vlan";
import { COST_BRIDGE } from "./costs";
import { devQueueXmit, forwardable } from "./dev";
import { skbCopy, skbCopyPieces, skbDrop, skbLength, skbPull, skbPush } from "./skb";
import { VLAN_HEADER_LEN, isVlanType, vlanUntag } from "./vlan";

/** br->ageing_time of a new bridge */
const AGEING_NS: u64 = 300_000_000_000;
/** A flood of forged sources can not fill the memory: beyond this, nothing more is learnt (IFLA_BR_FDB_MAX_LEARNED). */
const FDB_MAX: u32 = 65536;

@unmanaged export class Bridge {
  ports: usize; // NetDevice by portNext, the newest first
  portNext: u32;
  macSet: u32; // set by hand: no longer the lowest of the ports'
  mtuSet: u32;
  fdb: usize; // FdbEntry[mask + 1]
  mask: u32;
  count: u32;
  sequence: u32; // of the youngest entry
  ageing: u64; // ns
  groupFwdMask: u32; // bit by last digit of 01:80:c2:00:00:0x
  vlanFiltering: u32; vlanProtocol: u32; defaultPvid: u32; // bridge-vlan.ts
}

@unmanaged export class FdbEntry {
  next: usize; // FdbEntry: hash chain
  mac0: u32; mac1: u32;
  vid: u32; // 0: while the bridge does not filter VLANs; the host's own MACs
  port: usize; // NetDevice; the bridge itself for its own MAC
  state: u32; // FDB_S_*: permanent ones are the host's own
  sequence: u32; // grows: which entry is younger
  updated: u64; // ns
}

@inline export function bridgeOf(dev: NetDevice): Bridge {
  return changetype<Bridge>(dev.priv);
}

/** The bridge's state; false: no memory. */
export function bridgeInit(dev: NetDevice, macSet: bool, mtuSet: bool): bool {
  dev.priv = kmalloc(<u32>offsetof<Bridge>());
  if (dev.priv == 0) return false;
  const bridge = bridgeOf(dev);
  bridge.mask = 15;
  bridge.ageing = AGEING_NS;
  bridge.vlanProtocol = ETH_P_8021Q;
  bridge.defaultPvid = 1;
  bridge.fdb = kmalloc(16 << 2);
  if (bridge.fdb == 0) {
    kfree(dev.priv, <u32>offsetof<Bridge>());
    return false;
  }
  bridge.macSet = macSet ? 1 : 0;
  bridge.mtuSet = mtuSet ? 1 : 0;
  fdbSetLocal(dev, dev);
  return true;
}

/** The bridge ends: its ports are set free, what was learnt is forgotten. */
export function bridgeDelete(dev: NetDevice): void {
  const bridge = bridgeOf(dev);
  while (bridge.ports != 0) bridgeRemovePort(changetype<NetDevice>(bridge.ports));
  fdbFlush(bridge, 0);
  if (FULL) vlansFree(dev);
  kfree(bridge.fdb, (bridge.mask + 1) << 2);
  kfree(dev.priv, <u32>offsetof<Bridge>());
  dev.priv = 0;
}

export function bridgeAddPort(dev: NetDevice, port: NetDevice): i32 {
  const bridge = bridgeOf(dev);
  port.master = changetype<usize>(dev);
  port.portNumber = ++bridge.portNext;
  port.portNext = bridge.ports;
  bridge.ports = changetype<usize>(port);
  fdbSetLocal(dev, port);
  recalculate(dev);
  return 0;
}

export function bridgeRemovePort(port: NetDevice): void {
  const dev = changetype<NetDevice>(port.master);
  const bridge = bridgeOf(dev);
  let link = changetype<usize>(bridge) + offsetof<Bridge>("ports");
  while (load<u32>(link) != 0 && <usize>load<u32>(link) != changetype<usize>(port)) {
    link = <usize>load<u32>(link) + offsetof<NetDevice>("portNext");
  }
  if (load<u32>(link) != 0) store<u32>(link, <u32>port.portNext);
  port.master = 0;
  port.portNext = 0;
  port.portFlags = 0;
  if (FULL) vlansFree(port);
  fdbFlush(bridge, changetype<usize>(port));
  recalculate(dev);
}

/** MAC and MTU of the bridge follow its ports (br_stp_recalculate_bridge_id, br_mtu_auto_adjust) unless set by hand. */
function recalculate(dev: NetDevice): void {
  const bridge = bridgeOf(dev);
  let lowest: usize = 0, mtu: u32 = 0;
  for (let at = bridge.ports; at != 0; at = changetype<NetDevice>(at).portNext) {
    const port = changetype<NetDevice>(at);
    if (lowest == 0 || macLess(port, changetype<NetDevice>(lowest))) lowest = at;
    if (mtu == 0 || port.mtu < mtu) mtu = port.mtu;
  }
  if (!bridge.mtuSet) dev.mtu = mtu == 0 ? 1500 : mtu;
  if (bridge.macSet) return;
  const old0 = dev.mac0, old1 = dev.mac1;
  dev.mac0 = lowest == 0 ? 0 : changetype<NetDevice>(lowest).mac0;
  dev.mac1 = lowest == 0 ? 0 : changetype<NetDevice>(lowest).mac1;
  if (dev.mac0 == old0 && dev.mac1 == old1) return;
  fdbDeleteLocal(dev, dev, old0, old1);
  fdbSetLocal(dev, dev);
}

function macLess(a: NetDevice, b: NetDevice): bool {
  const a0 = bswap<u32>(a.mac0), b0 = bswap<u32>(b.mac0);
  return a0 != b0 ? a0 < b0 : bswap<u16>(<u16>a.mac1) < bswap<u16>(<u16>b.mac1);
}

/** A port's MAC, or the bridge's own, was set by hand. */
export function bridgeMacChanged(dev: NetDevice, old0: u32, old1: u32): void {
  if (dev.kind == DEV_BRIDGE) {
    bridgeOf(dev).macSet = 1;
    fdbDeleteLocal(dev, dev, old0, old1);
    fdbSetLocal(dev, dev);
  } else if (dev.master != 0) {
    const master = changetype<NetDevice>(dev.master);
    fdbDeleteLocal(master, dev, old0, old1);
    fdbSetLocal(master, dev);
    recalculate(master);
  }
}

export function bridgeMtuChanged(dev: NetDevice): void {
  if (dev.kind == DEV_BRIDGE) bridgeOf(dev).mtuSet = 1;
  else if (dev.master != 0) recalculate(changetype<NetDevice>(dev.master));
}

/**
 * A frame came in by a port (br_handle_frame); `data` behind the Ethernet header. True: it is for this host, `skb.dev` is
 * the bridge (or still the port, for link-local frames); false: it went elsewhere.
 */
export function bridgeInput(skb: Skb, port: NetDevice): bool {
  const ns = changetype<Netns>(port.ns);
  const dev = changetype<NetDevice>(port.master);
  const eth = EthernetView.at(skb.mac);
  charge(COST_BRIDGE);
  if (macIsGroup(eth.src0) || (eth.src0 | eth.src1) == 0) {
    skbDrop(skb, ns, changetype<usize>(port), DROP_MAC_INVALID_SOURCE);
    return false;
  }
  if (eth.dst0 == 0x00c28001 && (eth.dst1 & 0xf0ff) == 0) {
    // 01:80:c2:00:00:0x: spanning tree frames pass where STP is off, pause frames never, the others stay on the link.
    const kind = eth.dst1 >>> 8;
    if (kind == 1) {
      skbDrop(skb, ns, changetype<usize>(port), DROP_MAC_IEEE_MAC_CONTROL);
      return false;
    }
    if (kind != 0 && (bridgeOf(dev).groupFwdMask & (1 << kind)) == 0) return true;
  }
  if (!dev.up || (port.portFlags & (BRPORT_BLOCKED | BRPORT_BLOCKED_LEARNS)) == BRPORT_BLOCKED) {
    skbDrop(skb, ns, changetype<usize>(port), dev.up ? DROP_BRIDGE_NO_PORT : DROP_DEV_DOWN);
    return false;
  }
  if (eth.dst0 == dev.mac0 && eth.dst1 == dev.mac1) skb.pktType = PACKET_HOST;
  skb.bridgeDev = changetype<usize>(port);
  if (FULL) {
    skb.network = skb.data;
    if (nftFrames(ns, NFT_HOOK_BROUTING)) {
      // Dropped by BROUTING: for the host to route, as a packet of the port (ebt_broute).
      const verdict = nftFrameVerdict(NFT_HOOK_BROUTING, skb, ns, changetype<usize>(port), 0);
      if (verdict == NF_STOLEN) return false;
      if (verdict != NF_ACCEPT) {
        skb.bridgeDev = 0;
        if (eth.dst0 == port.mac0 && eth.dst1 == port.mac1) skb.pktType = PACKET_HOST;
        return true;
      }
    }
    if (!nftFrame(NFT_HOOK_BRIDGE + HOOK_PREROUTING, skb, ns, changetype<usize>(port), 0)) return false;
  }
  if (!bridgeNfPreRouting(skb, port, dev)) return false;
  return bridgeForwardFrame(skb, port);
}

/** br_handle_frame_finish: learn, then deliver, forward or flood. As bridgeInput. */
export function bridgeForwardFrame(skb: Skb, port: NetDevice): bool {
  const dev = changetype<NetDevice>(port.master);
  const ns = changetype<Netns>(dev.ns);
  const bridge = bridgeOf(dev);
  if (FULL && bridge.vlanFiltering && !vlanAllowIngress(bridge, port, skb)) {
    skbDrop(skb, ns, changetype<usize>(port), DROP_NOT_SPECIFIED);
    return false;
  }
  const eth = EthernetView.at(skb.mac);
  const vid: u32 = FULL ? bridgeVid(bridge, skb) : 0;
  if (FULL && (port.portFlags & BRPORT_LOCKED) != 0) {
    const known = fdbFind(dev, eth.src0, eth.src1, vid);
    if (known == 0 || changetype<FdbEntry>(known).port != changetype<usize>(port)) {
      skbDrop(skb, ns, changetype<usize>(port), DROP_NOT_SPECIFIED);
      return false;
    }
  }
  if (port.portFlags & BRPORT_LEARNING) fdbLearn(dev, port, eth.src0, eth.src1, vid);
  if (port.portFlags & BRPORT_BLOCKED) {
    skbDrop(skb, ns, changetype<usize>(port), DROP_BRIDGE_NO_PORT);
    return false;
  }
  const group = macIsGroup(eth.dst0);
  const promisc = FULL && (dev.flags & IFF_PROMISC) != 0;
  const found: usize = group ? 0 : fdbFind(dev, eth.dst0, eth.dst1, vid);
  if (found != 0) {
    const entry = changetype<FdbEntry>(found);
    if (entry.state == FDB_S_PERMANENT) return passUp(skb, dev);
    traceBridge(skb, dev, changetype<NetDevice>(entry.port).ifindex, 0);
    const to = changetype<NetDevice>(entry.port);
    if (promisc) {
      if (shouldDeliver(skb, port, to)) copyTo(skb, dev, to);
      return passUp(skb, dev);
    }
    if (shouldDeliver(skb, port, to)) forwardTo(skb, dev, to);
    else skbDrop(skb, ns, changetype<usize>(port), DROP_BRIDGE_NO_PORT);
    return false;
  }
  traceBridge(skb, dev, 0, group ? 1 : 0);
  flood(skb, dev, port, group, group || promisc);
  if (group && !bridgeNfLocalIn(skb, port)) return false;
  return group || promisc ? passUp(skb, dev) : false;
}

function traceBridge(skb: Skb, dev: NetDevice, out: u32, local: u32): void {
  if (!tracing()) return;
  const at = observeRecord(OBS_BRIDGE, skb, dev.ns, changetype<usize>(dev), 8);
  if (at == 0) return;
  store<u32>(at, out);
  store<u32>(at, local, 4);
}

/** br_pass_frame_up: from here on it is a packet of the bridge device. False: not in this VLAN, and dropped. */
function passUp(skb: Skb, dev: NetDevice): bool {
  if (FULL && !vlanHandle(bridgeOf(dev), dev, skb)) {
    skbDrop(skb, changetype<Netns>(dev.ns), changetype<usize>(dev), DROP_NOT_SPECIFIED);
    return false;
  }
  skb.dev = changetype<usize>(dev);
  dev.rxPackets++;
  dev.rxBytes += <u64>skbLength(skb);
  skbPush(skb, ETH_HEADER_LEN);
  observeFrame(skb, dev, true);
  skbPull(skb, ETH_HEADER_LEN);
  if (!FULL) return true;
  skb.network = skb.data;
  return nftFrame(NFT_HOOK_BRIDGE + HOOK_INPUT, skb, changetype<Netns>(dev.ns), skb.bridgeDev != 0 ? skb.bridgeDev : changetype<usize>(dev), 0);
}

function shouldDeliver(skb: Skb, from: NetDevice, to: NetDevice): bool {
  if (!to.up || (to.portFlags & BRPORT_BLOCKED) != 0) return false;
  if (FULL && !vlanAllowEgress(bridgeOf(changetype<NetDevice>(from.master)), to, skb)) return false;
  if (changetype<usize>(from) == changetype<usize>(to) && (to.portFlags & BRPORT_HAIRPIN) == 0) return false;
  return (from.portFlags & to.portFlags & BRPORT_ISOLATED) == 0;
}

/** To all other ports, the newest first (br_flood). `keep`: copies go, else the frame is used up. */
function flood(skb: Skb, dev: NetDevice, from: NetDevice, group: bool, keep: bool): void {
  const eth = EthernetView.at(skb.mac);
  const flag = !group ? BRPORT_FLOOD : macIsBroadcast(eth.dst0, eth.dst1) ? BRPORT_BCAST_FLOOD : BRPORT_MCAST_FLOOD;
  let last: usize = 0;
  for (let at = bridgeOf(dev).ports; at != 0; at = changetype<NetDevice>(at).portNext) {
    const to = changetype<NetDevice>(at);
    if ((to.portFlags & flag) == 0 || !shouldDeliver(skb, from, to)) continue;
    if (last != 0) copyTo(skb, dev, changetype<NetDevice>(last));
    last = at;
  }
  if (keep) {
    if (last != 0) copyTo(skb, dev, changetype<NetDevice>(last));
  } else if (last != 0) forwardTo(skb, dev, changetype<NetDevice>(last));
  else skbDrop(skb, changetype<Netns>(dev.ns), changetype<usize>(from), DROP_BRIDGE_NO_PORT);
}

function copyTo(skb: Skb, dev: NetDevice, to: NetDevice): void {
  // The Ethernet header is part of the copy.
  skbPush(skb, ETH_HEADER_LEN);
  const copy = skbCopy(skb);
  skbPull(skb, ETH_HEADER_LEN);
  if (changetype<usize>(copy) == 0) {
    to.txDropped++;
    return;
  }
  skbPull(copy, ETH_HEADER_LEN);
  copy.bridgeDev = skb.bridgeDev;
  skbCopyPieces(skb, copy);
  copy.physIn = skb.physIn;
  nfSkbShare(copy, skb);
  forwardTo(copy, dev, to);
}

/** Through the hooks and out of a port (__br_forward, br_dev_queue_push_xmit). */
function forwardTo(skb: Skb, dev: NetDevice, to: NetDevice): void {
  if (FULL) {
    vlanHandle(bridgeOf(dev), to, skb);
    skb.network = skb.data;
    const hook: u32 = skb.bridgeDev != 0 ? HOOK_FORWARD : HOOK_OUTPUT;
    if (!nftFrame(NFT_HOOK_BRIDGE + hook, skb, changetype<Netns>(dev.ns), skb.bridgeDev, changetype<usize>(to))) return;
  }
  if (skb.bridgeDev != 0 && !bridgeNfForward(skb, dev, to)) return;
  // What passed the hooks of IP passed this one before POSTROUTING.
  if (FULL && !bridgeNfApplies(skb) && !nftFrame(NFT_HOOK_BRIDGE + HOOK_POSTROUTING, skb, changetype<Netns>(dev.ns), 0, changetype<usize>(to))) return;
  bridgePushXmit(skb, to);
}

/** Puts the Ethernet header before the data again and sends. */
export function bridgePushXmit(skb: Skb, to: NetDevice): void {
  skbPush(skb, ETH_HEADER_LEN);
  if (!forwardable(skbLength(skb), to)) {
    to.txDropped++;
    skbDrop(skb, changetype<Netns>(to.ns), changetype<usize>(to), DROP_PKT_TOO_BIG);
    return;
  }
  devQueueXmit(skb, to);
}

/** The host sends by the bridge device (br_dev_xmit); Ethernet header at `data`. */
export function bridgeXmit(skb: Skb, dev: NetDevice): void {
  skb.mac = skb.data;
  charge(COST_BRIDGE);
  skbPull(skb, ETH_HEADER_LEN);
  if (bridgeNfDnatXmit(skb, dev)) return;
  skb.bridgeDev = 0;
  skb.physOut = 0;
  const bridge = bridgeOf(dev);
  if (FULL) {
    const type = EthernetView.at(skb.mac).type;
    if (isVlanType(type) && skbLength(skb) >= VLAN_HEADER_LEN) {
      skb.protocol = type;
      vlanUntag(skb);
    }
    if (bridge.vlanFiltering && !vlanAllowIngress(bridge, dev, skb)) {
      skbDrop(skb, changetype<Netns>(dev.ns), changetype<usize>(dev), DROP_NOT_SPECIFIED);
      return;
    }
  }
  const eth = EthernetView.at(skb.mac);
  const group = macIsGroup(eth.dst0);
  const found: usize = group ? 0 : fdbFind(dev, eth.dst0, eth.dst1, FULL ? bridgeVid(bridge, skb) : 0);
  traceBridge(skb, dev, found == 0 ? 0 : changetype<NetDevice>(changetype<FdbEntry>(found).port).ifindex, 0);
  if (found != 0) {
    const to = changetype<NetDevice>(changetype<FdbEntry>(found).port);
    if (changetype<usize>(to) != changetype<usize>(dev) && sendable(bridge, to, skb)) {
      if (FULL) forwardTo(skb, dev, to);
      else bridgePushXmit(skb, to);
    } else skbDrop(skb, changetype<Netns>(dev.ns), changetype<usize>(dev), DROP_BRIDGE_NO_PORT);
    return;
  }
  const flag = !group ? BRPORT_FLOOD : macIsBroadcast(eth.dst0, eth.dst1) ? BRPORT_BCAST_FLOOD : BRPORT_MCAST_FLOOD;
  let last: usize = 0;
  for (let at = bridgeOf(dev).ports; at != 0; at = changetype<NetDevice>(at).portNext) {
    const to = changetype<NetDevice>(at);
    if ((to.portFlags & flag) == 0 || !sendable(bridge, to, skb)) continue;
    if (last != 0) copyTo(skb, dev, changetype<NetDevice>(last));
    last = at;
  }
  if (last != 0) {
    if (FULL) forwardTo(skb, dev, changetype<NetDevice>(last));
    else bridgePushXmit(skb, changetype<NetDevice>(last));
  } else skbDrop(skb, changetype<Netns>(dev.ns), changetype<usize>(dev), DROP_BRIDGE_NO_PORT);
}

/** May what the host sends leave by this port? */
function sendable(bridge: Bridge, to: NetDevice, skb: Skb): bool {
  return to.up != 0 && (to.portFlags & BRPORT_BLOCKED) == 0 && (!FULL || vlanAllowEgress(bridge, to, skb));
}

function bucketOf(bridge: Bridge, mac0: u32, mac1: u32): usize {
  // Entries of one MAC in several VLANs stand in one bucket.
  return bridge.fdb + <usize>((mix32(hashWord(mac1, mac0)) & bridge.mask) << 2);
}

/** The entry for a MAC, or 0; one that has not been heard from for the ageing time is forgotten here. */
function fdbFind(dev: NetDevice, mac0: u32, mac1: u32, vid: u32): usize {
  const bridge = bridgeOf(dev);
  let link = bucketOf(bridge, mac0, mac1);
  for (let at = <usize>load<u32>(link); at != 0; at = <usize>load<u32>(link)) {
    const entry = changetype<FdbEntry>(at);
    if (entry.mac0 == mac0 && entry.mac1 == mac1 && (!FULL || entry.vid == vid
      || (entry.state == FDB_S_PERMANENT && vlanLocal(bridge, changetype<NetDevice>(entry.port), vid)))) {
      if (!fdbExpired(bridge, entry)) return at;
      fdbRemove(bridge, link, at);
      return 0;
    }
    link = at; // `next` is the first field
  }
  return 0;
}

function fdbExpired(bridge: Bridge, entry: FdbEntry): bool {
  return entry.state == FDB_S_REACHABLE && entry.updated + bridge.ageing <= node().now;
}

function fdbRemove(bridge: Bridge, link: usize, at: usize): void {
  store<u32>(link, <u32>changetype<FdbEntry>(at).next);
  bridge.count--;
  kfree(at, <u32>offsetof<FdbEntry>());
}

/** Removes what belongs to a port (0: everything), or with `port` = 1 what has aged. */
function fdbFlush(bridge: Bridge, port: usize): void {
  for (let b: u32 = 0; b <= bridge.mask; b++) {
    let link = bridge.fdb + <usize>(b << 2);
    for (let at = <usize>load<u32>(link); at != 0; at = <usize>load<u32>(link)) {
      const entry = changetype<FdbEntry>(at);
      if (port == 0 || (port == 1 ? fdbExpired(bridge, entry) : entry.port == port)) fdbRemove(bridge, link, at);
      else link = at;
    }
  }
}

function fdbCreate(dev: NetDevice, mac0: u32, mac1: u32, port: usize, state: u32, vid: u32): usize {
  const bridge = bridgeOf(dev);
  if (bridge.count > bridge.mask << 1) {
    fdbFlush(bridge, 1);
    if (bridge.count > bridge.mask << 1) grow(bridge);
  }
  if (bridge.count >= FDB_MAX && state == FDB_S_REACHABLE) return 0;
  const at = kmalloc(<u32>offsetof<FdbEntry>());
  if (at == 0) return 0;
  const entry = changetype<FdbEntry>(at);
  entry.mac0 = mac0;
  entry.mac1 = mac1;
  entry.vid = vid;
  entry.port = port;
  entry.state = state;
  entry.sequence = ++bridge.sequence;
  entry.updated = node().now;
  const bucket = bucketOf(bridge, mac0, mac1);
  entry.next = <usize>load<u32>(bucket);
  store<u32>(bucket, <u32>at);
  bridge.count++;
  return at;
}

function grow(bridge: Bridge): void {
  const before = bridge.mask + 1;
  const buckets = kmalloc(before << 3);
  if (buckets == 0) return;
  const old = bridge.fdb;
  bridge.fdb = buckets;
  bridge.mask = (before << 1) - 1;
  for (let b: u32 = 0; b < before; b++) {
    let at = <usize>load<u32>(old + <usize>(b << 2));
    while (at != 0) {
      const entry = changetype<FdbEntry>(at);
      const next = entry.next;
      const bucket = bucketOf(bridge, entry.mac0, entry.mac1);
      entry.next = <usize>load<u32>(bucket);
      store<u32>(bucket, <u32>at);
      at = next;
    }
  }
  kfree(old, before << 2);
}

/** br_fdb_update */
function fdbLearn(dev: NetDevice, port: NetDevice, mac0: u32, mac1: u32, vid: u32): void {
  if (bridgeOf(dev).ageing == 0) return; // some want everything flooded
  const at = fdbFind(dev, mac0, mac1, vid);
  if (at == 0) {
    fdbCreate(dev, mac0, mac1, changetype<usize>(port), FDB_S_REACHABLE, vid);
    return;
  }
  const entry = changetype<FdbEntry>(at);
  if (entry.state == FDB_S_PERMANENT) return; // one of our own as a source: a loop, or a forgery
  entry.port = changetype<usize>(port);
  entry.updated = node().now;
}

/** The MAC of a port, or of the bridge, is the host's own (br_fdb_add_local). */
function fdbSetLocal(dev: NetDevice, owner: NetDevice): void {
  const at = fdbFind(dev, owner.mac0, owner.mac1, 0);
  if (at == 0) {
    fdbCreate(dev, owner.mac0, owner.mac1, changetype<usize>(owner), FDB_S_PERMANENT, 0);
    return;
  }
  const entry = changetype<FdbEntry>(at);
  if (entry.state == FDB_S_PERMANENT) return;
  entry.state = FDB_S_PERMANENT;
  entry.port = changetype<usize>(owner);
}

/** The MAC is the owner's no more; where another port or the bridge has the same, it stays the host's. */
function fdbDeleteLocal(dev: NetDevice, owner: NetDevice, mac0: u32, mac1: u32): void {
  const found = fdbFind(dev, mac0, mac1, 0);
  if (found == 0 || changetype<FdbEntry>(found).port != changetype<usize>(owner)) return;
  const bridge = bridgeOf(dev);
  let heir: usize = dev.mac0 == mac0 && dev.mac1 == mac1 ? changetype<usize>(dev) : 0;
  for (let at = bridge.ports; at != 0; at = changetype<NetDevice>(at).portNext) {
    if (changetype<NetDevice>(at).mac0 == mac0 && changetype<NetDevice>(at).mac1 == mac1) heir = at;
  }
  if (heir != 0) {
    changetype<FdbEntry>(found).port = heir;
    return;
  }
  let link = bucketOf(bridge, mac0, mac1);
  while (<usize>load<u32>(link) != found) link = <usize>load<u32>(link);
  fdbRemove(bridge, link, found);
}

/** `bridge fdb replace MAC dev PORT master static`; with FDB_F_EXCL `add`, with FDB_F_LOCAL `local`. */
export function bridgeFdbSet(port: NetDevice, mac0: u32, mac1: u32, vid: u32, flags: u32): i32 {
  const dev = switchOf(port);
  if (changetype<usize>(dev) == 0) return -EOPNOTSUPP;
  let at = fdbFind(dev, mac0, mac1, vid);
  if (at != 0 && (flags & FDB_F_EXCL) != 0) return -EEXIST;
  if (at == 0) at = fdbCreate(dev, mac0, mac1, changetype<usize>(port), FDB_S_STATIC, vid);
  if (at == 0) return -ENOMEM;
  changetype<FdbEntry>(at).port = changetype<usize>(port);
  changetype<FdbEntry>(at).state = flags & FDB_F_LOCAL ? FDB_S_PERMANENT : FDB_S_STATIC;
  return 0;
}

/** The bridge whose table a request about `port` is for: its own, of a bridge itself (`self`; br_fdb_add without a port). */
function switchOf(port: NetDevice): NetDevice {
  return FULL && port.kind == DEV_BRIDGE ? port : changetype<NetDevice>(port.master);
}

/** `bridge fdb del MAC dev PORT master`. */
export function bridgeFdbDelete(port: NetDevice, mac0: u32, mac1: u32, vid: u32): i32 {
  const dev = switchOf(port);
  if (changetype<usize>(dev) == 0) return -EOPNOTSUPP;
  const found = fdbFind(dev, mac0, mac1, vid);
  if (found == 0 || changetype<FdbEntry>(found).port != changetype<usize>(port)) return -ENOENT;
  const bridge = bridgeOf(dev);
  let link = bucketOf(bridge, mac0, mac1);
  while (<usize>load<u32>(link) != found) link = <usize>load<u32>(link);
  fdbRemove(bridge, link, found);
  return 0;
}

/** For listings: the buckets of a bridge's table. */
export function bridgeFdbBuckets(dev: NetDevice): u32 {
  return bridgeOf(dev).mask + 1;
}
export function bridgeFdbBucket(dev: NetDevice, b: u32): usize {
  return <usize>load<u32>(bridgeOf(dev).fdb + <usize>(b << 2));
}
