// 802.1Q VLAN devices and tags (net/8021q/vlan_core.c, vlan_dev.c). A tag is taken off a received frame's bytes into Skb.vlan, and put
// back when the frame leaves by a device (skb_vlan_untag, validate_xmit_vlan).
//
//   ├── destination ──┼── source ──┼─ TPID ┼─ PCP(3) DEI(1) VID(12) ┼ ethertype ┤ payload
import { EINVAL, ENOSPC } from "../abi/core";
import { DEV_VLAN, DROP_DEV_DOWN, PACKET_HOST, PACKET_OTHERHOST } from "../abi/net";
import { NetDevice, Netns, Skb } from "../layout";
import { observeFrame } from "../trace/observe";
import { be16, putBe32 } from "../wire/bytes";
import { ETH_HEADER_LEN, EthernetView } from "../wire/ethernet";
import { skbDrop, skbEnsureHeadroom, skbLength, skbPull, skbPush } from "./skb";

export const VLAN_HEADER_LEN: u32 = 4;
const EGRESS_MAX: u32 = 16;

@unmanaged export class Vlan {
  tag: u32; // TPID << 16 | VID
  macSet: u32; // no longer the lower device's
  ingress0: u32; ingress1: u32; ingress2: u32; ingress3: u32; ingress4: u32; ingress5: u32; ingress6: u32; ingress7: u32;
  egressCount: u32; // of the sixteen pairs {u32 priority, u32 PCP} that follow
  e0: u64; e1: u64; e2: u64; e3: u64; e4: u64; e5: u64; e6: u64; e7: u64;
  e8: u64; e9: u64; e10: u64; e11: u64; e12: u64; e13: u64; e14: u64; e15: u64;
}

/** The device's MAC was set by hand. */
export function vlanMacSet(dev: NetDevice): void {
  changetype<Vlan>(dev.priv).macSet = 1;
}

/** 802.1Q or 802.1ad. */
@inline export function isVlanType(protocol: u32): bool {
  return protocol == 0x8100 || protocol == 0x88a8;
}

/** Takes the tag at `data` (behind the Ethernet addresses and the TPID in `protocol`) off; `mac` moves along. The caller knows 4 bytes are there. */
export function vlanUntag(skb: Skb): void {
  skb.vlan = (skb.protocol << 16) | be16(skb.data, 0);
  skb.protocol = be16(skb.data, 2);
  memory.copy(skb.mac + VLAN_HEADER_LEN, skb.mac, ETH_HEADER_LEN - 2);
  skb.mac += VLAN_HEADER_LEN;
  skbPull(skb, VLAN_HEADER_LEN);
}

/** Puts `tag` into the bytes of a frame, Ethernet header at `data`. Null (0): no memory, and the frame was dropped. */
export function vlanPush(frame: Skb, tag: u32, dev: NetDevice): Skb {
  const skb = skbEnsureHeadroom(frame, VLAN_HEADER_LEN, dev);
  if (changetype<usize>(skb) == 0) return skb;
  const at = skbPush(skb, VLAN_HEADER_LEN);
  memory.copy(at, at + VLAN_HEADER_LEN, ETH_HEADER_LEN - 2);
  putBe32(at, 12, tag);
  skb.mac = at;
  skb.vlan = 0;
  return skb;
}

/** The VLAN device on `lower` for a tag, or 0. */
export function vlanFind(lower: NetDevice, tag: u32): usize {
  const wanted = tag & 0xffff0fff;
  for (let at = lower.uppers; at != 0; at = changetype<NetDevice>(at).upperNext) {
    if (changetype<NetDevice>(at).kind == DEV_VLAN && changetype<Vlan>(changetype<NetDevice>(at).priv).tag == wanted) return at;
  }
  return 0;
}

/** A tagged frame becomes one of the VLAN device (vlan_do_receive); false: the device is down, the frame was dropped. */
export function vlanReceive(skb: Skb, dev: NetDevice): bool {
  if (!dev.up) {
    dev.rxDropped++;
    skbDrop(skb, changetype<Netns>(dev.ns), changetype<usize>(dev), DROP_DEV_DOWN);
    return false;
  }
  const eth = EthernetView.at(skb.mac);
  if (skb.pktType == PACKET_OTHERHOST && eth.dst0 == dev.mac0 && eth.dst1 == dev.mac1) skb.pktType = PACKET_HOST;
  skb.priority = load<u32>(dev.priv + offsetof<Vlan>("ingress0") + <usize>(((skb.vlan >>> 13) & 7) << 2));
  skb.vlan = 0;
  received(skb, dev);
  return true;
}

/** Counts and shows what an upper device receives; `data` behind the Ethernet header. */
export function received(skb: Skb, dev: NetDevice): void {
  skb.dev = changetype<usize>(dev);
  dev.rxPackets++;
  dev.rxBytes += <u64>skbLength(skb);
  skbPush(skb, ETH_HEADER_LEN);
  observeFrame(skb, dev, true);
  skbPull(skb, ETH_HEADER_LEN);
}

/** The tag of a frame that the VLAN device sends (vlan_dev_hard_start_xmit). */
export function vlanTag(skb: Skb, dev: NetDevice): u32 {
  const vlan = changetype<Vlan>(dev.priv);
  const map = dev.priv + offsetof<Vlan>("e0");
  for (let i: u32 = 0; i < vlan.egressCount; i++) {
    if (load<u32>(map + <usize>(i << 3)) == skb.priority) return vlan.tag | (load<u32>(map + <usize>(i << 3), 4) << 13);
  }
  return vlan.tag;
}

/** `ip link … type vlan ingress-qos-map FROM:TO` (egress: FROM with bit 31). 0, -EINVAL or -ENOSPC. */
export function vlanMap(dev: NetDevice, from: u32, to: u32): i32 {
  if (dev.kind != DEV_VLAN) return -EINVAL;
  const vlan = changetype<Vlan>(dev.priv);
  if ((from & 0x80000000) == 0) {
    if (from > 7) return -EINVAL;
    store<u32>(dev.priv + offsetof<Vlan>("ingress0") + <usize>(from << 2), to);
    return 0;
  }
  if (to > 7) return -EINVAL;
  const priority = from & 0x7fffffff;
  const map = dev.priv + offsetof<Vlan>("e0");
  let i: u32 = 0;
  while (i < vlan.egressCount && load<u32>(map + <usize>(i << 3)) != priority) i++;
  if (i == EGRESS_MAX) return -ENOSPC;
  if (i == vlan.egressCount) vlan.egressCount++;
  store<u32>(map + <usize>(i << 3), priority);
  store<u32>(map + <usize>(i << 3), to, 4);
  return 0;
}
