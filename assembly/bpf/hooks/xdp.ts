// XDP: programs on what a device receives, before anything else sees it (include/linux/filter.h bpf_prog_run_xdp; drivers/net/veth.c,
// net/core/dev.c do_xdp_generic, net/core/filter.c xdp_do_redirect, kernel/bpf/{devmap,cpumap}.c).
import { ENETDOWN, EINVAL, ENXIO, EMSGSIZE, EOPNOTSUPP } from "../../abi/core";
import { DEV_NIC, DEV_TAP, DEV_TUN, DEV_VETH, DROP_XDP } from "../../abi/net";
import { NetDevice, Netns, Skb } from "../../layout";
import { node } from "../../mm/node";
import { devHardXmit, forwardable } from "../../net/dev";
import { deviceFind } from "../../net/devices";
import { skbCopy, skbDrop, skbLength, skbPull, skbPush } from "../../net/skb";
import { be16 } from "../../wire/bytes";
import { ETH_HEADER_LEN } from "../../wire/ethernet";
import { DevValue, devmapLookup, devmapNext } from "../maps/devmap";
import { RUN_XDP } from "../run";
import { XDP_FRAME, XDP_ROOM } from "../helpers/xdp";
import { XDP_CTX_BYTES, xdpCtxFill } from "./context";
import { DeviceBpf, XDP_SKB } from "./device";
import { TO_DEVICE } from "./redirect";
import { HR_GENERIC, HR_INGRESS, HR_L2, HookRun, HookState, hookEnter, hookGo, hookLeave, hookSkb } from "./state";
import { observeVerdict } from "./trace";

const XDP_ABORTED: u32 = 0, XDP_DROP: u32 = 1, XDP_PASS: u32 = 2, XDP_TX: u32 = 3, XDP_REDIRECT: u32 = 4;
const ATTACH_XDP: u32 = 37, ATTACH_DEVMAP: u32 = 33, ATTACH_CPUMAP: u32 = 35;
const MAP_DEVMAP: u32 = 14, MAP_CPUMAP: u32 = 16, MAP_DEVMAP_HASH: u32 = 25;
const BPF_F_BROADCAST: u32 = 8, BPF_F_EXCLUDE_INGRESS: u32 = 16;

/**
 * A frame that `dev`, which has a program, received: data at the Ethernet header, a packet like any other. Returns the packet, which may
 * be in another buffer, to go on with; 0: it was taken.
 */
export function xdpReceive(packet: Skb, dev: NetDevice): usize {
  const b = changetype<DeviceBpf>(dev.bpf);
  const generic = b.xdpMode == XDP_SKB;
  const r = hookEnter(RUN_XDP, HR_INGRESS | HR_L2 | (generic ? HR_GENERIC : 0), dev.ns, XDP_CTX_BYTES);
  if (changetype<usize>(r) == 0) return changetype<usize>(packet);
  hookSkb(r, packet);
  r.dev = changetype<usize>(dev);
  begin(r, packet);
  const act = hookGo(r, b.xdp, XDP_ABORTED);
  observeVerdict(changetype<Skb>(r.skb), dev.ns, changetype<usize>(dev), ATTACH_XDP, b.xdp, act);
  const result = obey(r, act, dev);
  hookLeave(r);
  return result;
}

/** The same for a device that stands on another, data behind the Ethernet header: only generic XDP reaches it (__netif_receive_skb_core). */
export function xdpStacked(packet: Skb, dev: NetDevice): usize {
  if (changetype<DeviceBpf>(dev.bpf).xdp == 0) return changetype<usize>(packet);
  skbPush(packet, <u32>(packet.data - packet.mac));
  const left = xdpReceive(packet, dev);
  if (left == 0) return 0;
  const skb = changetype<Skb>(left);
  if (skbLength(skb) < ETH_HEADER_LEN) {
    skbDrop(skb, changetype<Netns>(dev.ns), changetype<usize>(dev), DROP_XDP);
    return 0;
  }
  skb.mac = skb.data;
  skb.protocol = be16(skb.data, 12);
  skbPull(skb, ETH_HEADER_LEN);
  return left;
}

/** struct xdp_buff of a received frame. */
function begin(r: HookRun, skb: Skb): void {
  const length = skbLength(skb);
  r.meta = 0;
  r.room = XDP_ROOM;
  r.low = XDP_ROOM;
  r.limit = XDP_FRAME > length ? XDP_FRAME - length : 0;
  xdpCtxFill(r);
}

function obey(r: HookRun, act: u32, dev: NetDevice): usize {
  const skb = changetype<Skb>(r.skb);
  switch (act) {
    case XDP_PASS: {
      skb.metaQueue = (skb.metaQueue & 0xffff0000) | r.meta;
      return r.skb;
    }
    case XDP_TX: {
      // Past queues and taps, back where it came from.
      skb.dev = changetype<usize>(dev);
      devHardXmit(skb, dev, true);
      return 0;
    }
    case XDP_REDIRECT: return follow(r, dev);
    case XDP_DROP: break;
    default: changetype<HookState>(node().bpfHooks).exceptions++;
  }
  skbDrop(skb, changetype<Netns>(dev.ns), changetype<usize>(dev), DROP_XDP);
  return 0;
}

/** xdp_do_redirect, xdp_do_generic_redirect. Returns the packet where it goes on as received (a CPU map). */
function follow(r: HookRun, dev: NetDevice): usize {
  const skb = changetype<Skb>(r.skb), ns = changetype<Netns>(dev.ns);
  const type = r.riMapType;
  let result = -EINVAL;
  if (type == TO_DEVICE) {
    const to = deviceFind(ns, r.riIfindex);
    if (to != 0) result = enqueue(r, skb, changetype<NetDevice>(to), 0, dev);
  } else if (type == MAP_CPUMAP) return throughCpu(r, dev);
  else if ((type == MAP_DEVMAP || type == MAP_DEVMAP_HASH)) {
    if (r.riFlags & BPF_F_BROADCAST) {
      broadcast(r, skb, dev);
      return 0;
    }
    if (r.riValue != 0) {
      const entry = changetype<DevValue>(r.riValue);
      if (entry.device != 0) result = enqueue(r, skb, changetype<NetDevice>(entry.device), entry.prog, dev);
    }
  }
  if (result == 0) return 0;
  changetype<HookState>(node().bpfHooks).redirectErrors++;
  skbDrop(skb, ns, changetype<usize>(dev), DROP_XDP);
  return 0;
}

/** dev_map_enqueue_multi: to every device of the map, but for the one it came by where the flags say so. */
function broadcast(r: HookRun, packet: Skb, dev: NetDevice): void {
  const map = r.riMap, flags = r.riFlags;
  let last: usize = 0;
  for (let at = devmapNext(map, -1); at >= 0; at = devmapNext(map, at)) {
    const found = devmapLookup(map, <u32>at);
    if (found == 0) continue;
    const to = changetype<DevValue>(found).device;
    if (to == 0 || ((flags & BPF_F_EXCLUDE_INGRESS) != 0 && to == changetype<usize>(dev))) continue;
    if (fits(packet, changetype<NetDevice>(to)) != 0) continue;
    if (last != 0) {
      const copy = skbCopy(packet);
      if (changetype<usize>(copy) != 0 && enqueue(r, copy, changetype<NetDevice>(changetype<DevValue>(last).device), changetype<DevValue>(last).prog, dev) != 0) {
        skbDrop(copy, changetype<Netns>(dev.ns), changetype<usize>(dev), DROP_XDP);
      }
    }
    last = found;
  }
  if (last != 0 && enqueue(r, packet, changetype<NetDevice>(changetype<DevValue>(last).device), changetype<DevValue>(last).prog, dev) == 0) return;
  skbDrop(packet, changetype<Netns>(dev.ns), changetype<usize>(dev), DROP_XDP);
}

/** Can the device send XDP frames (ndo_xdp_xmit), is it up, does the frame fit (xdp_ok_fwd_dev)? */
function fits(skb: Skb, to: NetDevice): i32 {
  if (!to.up) return -ENETDOWN;
  return forwardable(skbLength(skb), to) ? 0 : -EMSGSIZE;
}

/** Sends it, after the map entry's program; -errno: the packet is still the caller's. */
function enqueue(r: HookRun, packet: Skb, to: NetDevice, prog: usize, from: NetDevice): i32 {
  const result = fits(packet, to);
  if (result != 0) return result;
  if ((r.flags & HR_GENERIC) == 0) {
    const kind = to.kind;
    if (kind != DEV_VETH && kind != DEV_NIC && kind != DEV_TUN && kind != DEV_TAP) return -EOPNOTSUPP;
    // A veth takes frames only for a peer that looks for them: one with a program.
    if (kind == DEV_VETH && (to.peer == 0 || changetype<NetDevice>(to.peer).bpf == 0
      || changetype<DeviceBpf>(changetype<NetDevice>(to.peer).bpf).xdp == 0)) return -ENXIO;
  }
  let skb = packet;
  if (prog != 0) {
    // dev_map_bpf_prog_run: an egress program sees both devices.
    const meta = r.meta;
    hookSkb(r, skb);
    begin(r, skb);
    r.egress = to.ifindex;
    xdpCtxFill(r);
    const act = hookGo(r, prog, XDP_ABORTED);
    observeVerdict(changetype<Skb>(r.skb), to.ns, changetype<usize>(to), ATTACH_DEVMAP, prog, act);
    r.egress = 0;
    r.meta = meta;
    skb = changetype<Skb>(r.skb);
    if (act != XDP_PASS) {
      if (act != XDP_DROP) changetype<HookState>(node().bpfHooks).exceptions++;
      skbDrop(skb, changetype<Netns>(from.ns), changetype<usize>(from), DROP_XDP);
      return 0;
    }
  }
  skb.metaQueue = 0;
  skb.dev = changetype<usize>(from);
  devHardXmit(skb, to, true);
  return 0;
}

/** cpu_map_enqueue: there is one CPU; its program, then on as if received. */
function throughCpu(r: HookRun, dev: NetDevice): usize {
  const prog = r.riValue == 0 ? 0 : changetype<DevValue>(r.riValue).prog;
  r.riMapType = 0;
  if (r.riValue == 0) return obey(r, XDP_ABORTED, dev);
  if (prog == 0) return obey(r, XDP_PASS, dev);
  begin(r, changetype<Skb>(r.skb));
  const act = hookGo(r, prog, XDP_ABORTED);
  observeVerdict(changetype<Skb>(r.skb), dev.ns, changetype<usize>(dev), ATTACH_CPUMAP, prog, act);
  // One CPU map does not lead into another.
  return obey(r, act == XDP_TX || (act == XDP_REDIRECT && r.riMapType == MAP_CPUMAP) ? XDP_ABORTED : act, dev);
}
