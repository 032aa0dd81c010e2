// macvlan (drivers/net/macvlan.c): devices with MACs of their own behind one lower device. What the lower one receives goes to the
// device with the destination's MAC, groups to all; between two of one host it goes as the mode says:
//
//   private    never            vepa      by the switch that the lower device hangs on, if that sends it back
//   bridge     at once          passthru  the only one, has the lower device's MAC
//   source     takes what comes from the MACs listed for it
import { EEXIST, ENOENT, ENOMEM, EINVAL } from "../abi/core";
import {
  DEV_MACVLAN, DROP_DEV_DOWN, MACVLAN_MODE_BRIDGE, MACVLAN_MODE_PASSTHRU, MACVLAN_MODE_PRIVATE, MACVLAN_MODE_SOURCE,
  MACVLAN_MODE_VEPA, PACKET_BROADCAST, PACKET_HOST, PACKET_MULTICAST,
} from "../abi/net";
import { NetDevice, Netns, Skb } from "../layout";
import { nfSkbReset } from "../netfilter/hooks";
import { kfree, kmalloc } from "../mm/slab";
import { ETH_HEADER_LEN, EthernetView, macIsBroadcast, macIsGroup } from "../wire/ethernet";
import { netifRx } from "./dev";
import { skbCopy, skbDrop, skbFree, skbPull, skbPush, skbScrub } from "./skb";
import { received } from "./vlan";

@unmanaged export class Macvlan {
  mode: u32; // MACVLAN_MODE_*
  flags: u32; // LINK_F_NOPROMISC
  sources: usize; // MacvlanSource
}

@unmanaged class MacvlanSource {
  next: usize;
  mac0: u32; mac1: u32;
}

@inline export function macvlanPort(dev: NetDevice): Macvlan {
  return changetype<Macvlan>(dev.priv);
}

/** The device on `lower` that is up and has the MAC, or 0 (macvlan_hash_lookup). */
function lookup(lower: NetDevice, mac0: u32, mac1: u32): usize {
  for (let at = lower.uppers; at != 0; at = changetype<NetDevice>(at).upperNext) {
    const dev = changetype<NetDevice>(at);
    if (dev.kind == DEV_MACVLAN && dev.up && dev.mac0 == mac0 && dev.mac1 == mac1) return at;
  }
  return 0;
}

function isSource(dev: NetDevice, mac0: u32, mac1: u32): bool {
  for (let at = macvlanPort(dev).sources; at != 0; at = changetype<MacvlanSource>(at).next) {
    if (changetype<MacvlanSource>(at).mac0 == mac0 && changetype<MacvlanSource>(at).mac1 == mac1) return true;
  }
  return false;
}

/**
 * The lower device received a frame, `data` behind the Ethernet header (macvlan_handle_frame). The device whose frame it is now;
 * `lower` itself: it goes on there; 0: it was taken.
 */
export function macvlanInput(skb: Skb, lower: NetDevice): usize {
  const eth = EthernetView.at(skb.mac);
  const group = macIsGroup(eth.dst0);
  // macvlan_forward_source: a copy for every device that lists the sender.
  for (let at = lower.uppers; at != 0; at = changetype<NetDevice>(at).upperNext) {
    const dev = changetype<NetDevice>(at);
    if (dev.kind == DEV_MACVLAN && dev.up && macvlanPort(dev).mode == MACVLAN_MODE_SOURCE && isSource(dev, eth.src0, eth.src1)) {
      forwardCopy(skb, dev, false);
    }
  }
  if (group) {
    const from = lookup(lower, eth.src0, eth.src1);
    const mode: u32 = from == 0 ? 0 : macvlanPort(changetype<NetDevice>(from)).mode;
    if (from != 0 && mode != MACVLAN_MODE_VEPA && mode != MACVLAN_MODE_BRIDGE) {
      // Its own group frame comes back: to the one it came from.
      forwardCopy(skb, changetype<NetDevice>(from), false);
      skbFree(skb);
      return 0;
    }
    broadcast(skb, lower, from,
      from == 0 ? MACVLAN_MODE_PRIVATE | MACVLAN_MODE_VEPA | MACVLAN_MODE_PASSTHRU | MACVLAN_MODE_BRIDGE
        : mode == MACVLAN_MODE_VEPA ? MACVLAN_MODE_VEPA | MACVLAN_MODE_BRIDGE : MACVLAN_MODE_VEPA, false);
    return changetype<usize>(lower);
  }
  let found = lookup(lower, eth.dst0, eth.dst1);
  for (let at = lower.uppers; at != 0; at = changetype<NetDevice>(at).upperNext) {
    const dev = changetype<NetDevice>(at);
    if (dev.kind == DEV_MACVLAN && macvlanPort(dev).mode == MACVLAN_MODE_PASSTHRU) found = at;
  }
  if (found == 0 || macvlanPort(changetype<NetDevice>(found)).mode == MACVLAN_MODE_SOURCE) return changetype<usize>(lower);
  const dev = changetype<NetDevice>(found);
  if (!dev.up) {
    skbDrop(skb, changetype<Netns>(lower.ns), changetype<usize>(lower), DROP_DEV_DOWN);
    return 0;
  }
  skb.pktType = PACKET_HOST;
  received(skb, dev);
  return found;
}

/** A copy for each device on `lower` whose mode is in `modes`, but for `from` (macvlan_broadcast). */
function broadcast(skb: Skb, lower: NetDevice, from: usize, modes: u32, local: bool): void {
  for (let at = lower.uppers; at != 0; at = changetype<NetDevice>(at).upperNext) {
    const dev = changetype<NetDevice>(at);
    if (dev.kind == DEV_MACVLAN && dev.up && at != from && (macvlanPort(dev).mode & modes) != 0) forwardCopy(skb, dev, local);
  }
}

/** `data` behind the Ethernet header. */
function forwardCopy(skb: Skb, dev: NetDevice, local: bool): void {
  skbPush(skb, ETH_HEADER_LEN);
  const copy = skbCopy(skb);
  skbPull(skb, ETH_HEADER_LEN);
  if (changetype<usize>(copy) == 0) {
    dev.rxDropped++;
    return;
  }
  if (local) copy.dev = 0;
  else copy.dev = dev.lower;
  skbScrub(copy, dev);
  const eth = EthernetView.at(copy.data);
  copy.pktType = macIsBroadcast(eth.dst0, eth.dst1) ? PACKET_BROADCAST : PACKET_MULTICAST;
  netifRx(copy, dev);
}

/** The device sends, Ethernet header at `data` (macvlan_queue_xmit): true: by the lower device; false: the frame was taken. */
export function macvlanXmit(skb: Skb, dev: NetDevice): bool {
  const lower = changetype<NetDevice>(dev.lower);
  if (macvlanPort(dev).mode == MACVLAN_MODE_BRIDGE) {
    const eth = EthernetView.at(skb.data);
    if (macIsGroup(eth.dst0)) {
      skbPull(skb, ETH_HEADER_LEN);
      broadcast(skb, lower, changetype<usize>(dev), MACVLAN_MODE_BRIDGE, true);
      skbPush(skb, ETH_HEADER_LEN);
    } else {
      const to = lookup(lower, eth.dst0, eth.dst1);
      if (to != 0 && macvlanPort(changetype<NetDevice>(to)).mode == MACVLAN_MODE_BRIDGE) {
        // By way of the lower device, which hands it to the other one (dev_forward_skb).
        skb.dev = 0;
        skbScrub(skb, lower);
        netifRx(skb, lower);
        return false;
      }
    }
  }
  if (dev.ns != lower.ns) nfSkbReset(skb);
  return true;
}

/** `ip link set DEV type macvlan macaddr add|del MAC`. */
export function macvlanSource(dev: NetDevice, add: bool, mac0: u32, mac1: u32): i32 {
  if (dev.kind != DEV_MACVLAN || macIsGroup(mac0) || (mac0 | mac1) == 0) return -EINVAL;
  let link = dev.priv + offsetof<Macvlan>("sources");
  for (let at = <usize>load<u32>(link); at != 0; at = <usize>load<u32>(link)) {
    if (changetype<MacvlanSource>(at).mac0 == mac0 && changetype<MacvlanSource>(at).mac1 == mac1) {
      if (add) return -EEXIST;
      store<u32>(link, <u32>changetype<MacvlanSource>(at).next);
      kfree(at, <u32>offsetof<MacvlanSource>());
      return 0;
    }
    link = at; // `next` is the first field
  }
  if (!add) return -ENOENT;
  const at = kmalloc(<u32>offsetof<MacvlanSource>());
  if (at == 0) return -ENOMEM;
  changetype<MacvlanSource>(at).mac0 = mac0;
  changetype<MacvlanSource>(at).mac1 = mac1;
  store<u32>(link, <u32>at);
  return 0;
}

export function macvlanSourcesFree(dev: NetDevice): void {
  while (macvlanPort(dev).sources != 0) {
    const at = macvlanPort(dev).sources;
    macvlanPort(dev).sources = changetype<MacvlanSource>(at).next;
    kfree(at, <u32>offsetof<MacvlanSource>());
  }
}

/** The sources from number `skip` on, 8 bytes each, at most `room` bytes; how many bytes. */
export function macvlanSourceList(dev: NetDevice, to: usize, skip: u32, room: u32): i32 {
  let index: u32 = 0, bytes: u32 = 0;
  for (let at = macvlanPort(dev).sources; at != 0 && bytes + 8 <= room; at = changetype<MacvlanSource>(at).next) {
    if (index++ < skip) continue;
    store<u32>(to + <usize>bytes, changetype<MacvlanSource>(at).mac0);
    store<u32>(to + <usize>bytes, changetype<MacvlanSource>(at).mac1, 4);
    bytes += 8;
  }
  return <i32>bytes;
}
