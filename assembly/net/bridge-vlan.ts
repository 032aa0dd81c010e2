// VLAN filtering of a bridge (net/bridge/br_vlan.c): which VLANs a port, or the bridge itself, is a member of, which one untagged
// frames belong to (PVID), and in which it sends without a tag. Tags are in Skb.vlan here, never in the bytes.
import { EINVAL, ENOENT, ENOMEM } from "../abi/core";
import {
  BRIDGE_AGEING, BRIDGE_BYTES, BRIDGE_DEFAULT_PVID, BRIDGE_GROUP_FWD_MASK, BRIDGE_MASK, BRIDGE_VLAN_FILTERING, BRIDGE_VLAN_PROTOCOL,
  BRVLAN_BYTES, BRVLAN_FIRST, BRVLAN_FLAGS, BRVLAN_F_PVID, BRVLAN_F_UNTAGGED, BRVLAN_IFINDEX, BRVLAN_LAST, DEV_BRIDGE, IFF_PROMISC,
} from "../abi/net";
import { NetDevice, Skb } from "../layout";
import { kfree, kmalloc } from "../mm/slab";
import { Bridge, bridgeOf } from "./bridge";
import { isVlanType, vlanPush } from "./vlan";
import { skbPull, skbPush } from "./skb";
import { ETH_HEADER_LEN } from "../wire/ethernet";

/** {u32 PVID, u32 -, 4096 bits member, 4096 bits untagged} */
const TABLE_BYTES: u32 = 8 + 1024;
const MEMBER: usize = 8, UNTAGGED: usize = 8 + 512;

@inline function bit(table: usize, vid: u32): bool {
  return (load<u8>(table + <usize>(vid >>> 3)) & (1 << (vid & 7))) != 0;
}

/** Without a table of its own a port is in the default VLAN, untagged. */
@inline function defaultOnly(bridge: Bridge, vid: u32): bool {
  return bridge.defaultPvid != 0 && vid == bridge.defaultPvid;
}

function isMember(bridge: Bridge, dev: NetDevice, vid: u32): bool {
  return dev.vlans == 0 ? defaultOnly(bridge, vid) : bit(dev.vlans + MEMBER, vid);
}

/** The bridge of a port, or the bridge itself. */
function bridgeFor(dev: NetDevice): Bridge {
  return bridgeOf(dev.kind == DEV_BRIDGE ? dev : changetype<NetDevice>(dev.master));
}

/** The VLAN by which the forwarding database is asked: 0 while the bridge does not filter. */
@inline export function bridgeVid(bridge: Bridge, skb: Skb): u32 {
  return bridge.vlanFiltering ? skb.vlan & 0xfff : 0;
}

/**
 * A frame comes in by `from` (a port, or the bridge for what the host sends), `data` behind the Ethernet header: true: it is in a VLAN of
 * its own now (br_allowed_ingress); false: not allowed there.
 */
export function vlanAllowIngress(bridge: Bridge, from: NetDevice, skb: Skb): bool {
  if (skb.vlan != 0 && skb.vlan >>> 16 != bridge.vlanProtocol) {
    // Another protocol's tag is payload here. The headroom it came from is still there.
    const protocol = skb.vlan >>> 16;
    skbPush(skb, ETH_HEADER_LEN);
    vlanPush(skb, skb.vlan, from);
    skb.protocol = protocol;
    skbPull(skb, ETH_HEADER_LEN);
  }
  let vid = skb.vlan & 0xfff;
  if (vid == 0) {
    vid = from.vlans == 0 ? bridge.defaultPvid : load<u32>(from.vlans);
    if (vid == 0) return false;
    skb.vlan = (bridge.vlanProtocol << 16) | (skb.vlan & 0xe000) | vid;
    return true;
  }
  return isMember(bridge, from, vid);
}

/** May the frame leave by `to` (br_allowed_egress)? */
export function vlanAllowEgress(bridge: Bridge, to: NetDevice, skb: Skb): bool {
  return !bridge.vlanFiltering || isMember(bridge, to, skb.vlan & 0xfff);
}

/** The frame leaves by `to`, or goes up: the tag goes where it is sent untagged (br_handle_vlan). False: not a member. */
export function vlanHandle(bridge: Bridge, to: NetDevice, skb: Skb): bool {
  if (!bridge.vlanFiltering) return true;
  const vid = skb.vlan & 0xfff;
  if (!isMember(bridge, to, vid)) return (to.flags & IFF_PROMISC) != 0 && to.kind == DEV_BRIDGE;
  if (to.vlans == 0 || bit(to.vlans + UNTAGGED, vid)) skb.vlan = 0;
  return true;
}

/** The host's own MAC stands for `owner` in the VLANs that this is a member of. */
export function vlanLocal(bridge: Bridge, owner: NetDevice, vid: u32): bool {
  return vid == 0 || isMember(bridge, owner, vid);
}

export function vlansFree(dev: NetDevice): void {
  kfree(dev.vlans, TABLE_BYTES);
  dev.vlans = 0;
}

function tableOf(dev: NetDevice): usize {
  if (dev.vlans != 0) return dev.vlans;
  const at = kmalloc(TABLE_BYTES);
  if (at == 0) return 0;
  dev.vlans = at;
  const pvid = bridgeFor(dev).defaultPvid;
  if (pvid != 0) {
    store<u32>(at, pvid);
    store<u8>(at + MEMBER + <usize>(pvid >>> 3), <u8>((<u32>1) << (pvid & 7)));
    store<u8>(at + UNTAGGED + <usize>(pvid >>> 3), <u8>((<u32>1) << (pvid & 7)));
  }
  return at;
}

/** `bridge vlan add|del dev DEV vid FIRST-LAST [pvid] [untagged]`, BRVLAN_* record. 0, -EINVAL, -ENOENT or -ENOMEM. */
export function bridgeVlanChange(dev: NetDevice, record: usize, add: bool): i32 {
  const first = load<u32>(record, BRVLAN_FIRST), last = load<u32>(record, BRVLAN_LAST), flags = load<u32>(record, BRVLAN_FLAGS);
  if (first == 0 || last > 4094 || first > last || (add && (flags & BRVLAN_F_PVID) != 0 && first != last)) return -EINVAL;
  const table = tableOf(dev);
  if (table == 0) return -ENOMEM;
  let found = false;
  for (let vid = first; vid <= last; vid++) {
    const member = table + MEMBER + <usize>(vid >>> 3), untagged = table + UNTAGGED + <usize>(vid >>> 3), mask: u32 = 1 << (vid & 7);
    if (!add) {
      if (load<u8>(member) & mask) found = true;
      store<u8>(member, <u8>(<u32>load<u8>(member) & ~mask));
      store<u8>(untagged, <u8>(<u32>load<u8>(untagged) & ~mask));
      if (load<u32>(table) == vid) store<u32>(table, 0);
      continue;
    }
    store<u8>(member, <u8>(<u32>load<u8>(member) | mask));
    store<u8>(untagged, <u8>((flags & BRVLAN_F_UNTAGGED) != 0 ? <u32>load<u8>(untagged) | mask : <u32>load<u8>(untagged) & ~mask));
    if (flags & BRVLAN_F_PVID) store<u32>(table, vid);
    else if (load<u32>(table) == vid) store<u32>(table, 0);
  }
  return add || found ? 0 : -ENOENT;
}

/** The VLANs of a port or bridge as BRVLAN_* records, one each, from number `skip` on; bytes. */
export function bridgeVlanList(dev: NetDevice, to: usize, skip: u32, room: u32): i32 {
  const bridge = bridgeFor(dev);
  const pvid: u32 = dev.vlans == 0 ? bridge.defaultPvid : load<u32>(dev.vlans);
  let index: u32 = 0, bytes: u32 = 0;
  for (let vid: u32 = 1; vid < 4095 && bytes + BRVLAN_BYTES <= room; vid++) {
    if (!isMember(bridge, dev, vid) || index++ < skip) continue;
    const p = to + <usize>bytes;
    store<u32>(p, dev.ifindex, BRVLAN_IFINDEX);
    store<u32>(p, vid, BRVLAN_FIRST);
    store<u32>(p, vid, BRVLAN_LAST);
    store<u32>(p, (vid == pvid ? BRVLAN_F_PVID : 0) | (dev.vlans == 0 || bit(dev.vlans + UNTAGGED, vid) ? BRVLAN_F_UNTAGGED : 0), BRVLAN_FLAGS);
    bytes += BRVLAN_BYTES;
  }
  return <i32>bytes;
}

/** `ip link set BRIDGE type bridge …`, BRIDGE_* record. */
export function bridgeOptions(dev: NetDevice, record: usize, set: bool): i32 {
  const bridge = bridgeOf(dev);
  if (!set) {
    store<u32>(record, <u32>(bridge.ageing / 10_000_000), BRIDGE_AGEING);
    store<u32>(record, bridge.vlanFiltering, BRIDGE_VLAN_FILTERING);
    store<u32>(record, bridge.defaultPvid, BRIDGE_DEFAULT_PVID);
    store<u32>(record, bridge.vlanProtocol, BRIDGE_VLAN_PROTOCOL);
    store<u32>(record, bridge.groupFwdMask, BRIDGE_GROUP_FWD_MASK);
    return BRIDGE_BYTES;
  }
  const mask = load<u32>(record, BRIDGE_MASK), pvid = load<u32>(record, BRIDGE_DEFAULT_PVID);
  const protocol = load<u32>(record, BRIDGE_VLAN_PROTOCOL), group = load<u32>(record, BRIDGE_GROUP_FWD_MASK);
  // The default VLAN changes only while nothing is filtered; STP and pause frames are never forwarded (BR_GROUPFWD_RESTRICTED).
  if ((mask & 4) != 0 && (pvid > 4094 || (bridge.vlanFiltering && (mask & 2) == 0))) return -EINVAL;
  if ((mask & 8) != 0 && !isVlanType(protocol)) return -EINVAL;
  if ((mask & 16) != 0 && (group > 0xffff || (group & 7) != 0)) return -EINVAL;
  if (mask & 1) bridge.ageing = <u64>load<u32>(record, BRIDGE_AGEING) * 10_000_000;
  if (mask & 2) bridge.vlanFiltering = load<u32>(record, BRIDGE_VLAN_FILTERING) != 0 ? 1 : 0;
  if (mask & 4) bridge.defaultPvid = pvid;
  if (mask & 8) bridge.vlanProtocol = protocol;
  if (mask & 16) bridge.groupFwdMask = group;
  return 0;
}
