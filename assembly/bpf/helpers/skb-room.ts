// Helpers that make or take room in a packet (net/core/filter.c): tags, another IP version, encapsulation, head and tail. The buffer
// may be another one afterwards; the context says so.
import { EALREADY, EFAULT, EINVAL, ENOMEM, ENOTSUPP } from "../../abi/core";
import { Skb } from "../../layout";
import { skbExpand, skbLength } from "../../net/skb";
import { VLAN_HEADER_LEN, isVlanType } from "../../net/vlan";
import { be16, putBe32 } from "../../wire/bytes";
import { ETH_HEADER_LEN, ETH_P_8021Q, ETH_P_IP, ETH_P_IPV6 } from "../../wire/ethernet";
import { IPV4_HEADER_LEN } from "../../wire/ipv4";
import { IPV6_HEADER_LEN } from "../../wire/ipv6";
import { skbCtxRefresh, skbCtxStore } from "../hooks/context";
import { HookRun, hookSkb } from "../hooks/state";
import { failed } from "./skb";

/** BPF_SKB_MAX_LEN (SKB_MAX_ALLOC: pages of order 2, without the shared info). */
const MAX_LEN: u32 = 16064;

/** Skb.tcIndex: skb->encapsulation */
const ENCAPSULATED: u32 = 0x80000;

/** Room for `bytes` before the data; false: no memory. */
function headroom(r: HookRun, bytes: u32): bool {
  const skb = skbExpand(changetype<Skb>(r.skb), bytes, 0);
  if (changetype<usize>(skb) == 0) return false;
  hookSkb(r, skb);
  return true;
}

/** `length` zero bytes at `offset` from the data on, what stands before moves to the front (bpf_skb_generic_push). */
function push(r: HookRun, offset: u32, length: u32): bool {
  if (!headroom(r, length)) return false;
  const skb = changetype<Skb>(r.skb);
  skb.data -= <usize>length;
  memory.copy(skb.data, skb.data + <usize>length, <usize>offset);
  memory.fill(skb.data + <usize>offset, 0, <usize>length);
  skb.metaQueue &= 0xffff0000;
  return true;
}

/** The reverse (bpf_skb_generic_pop); the caller knows that the bytes are there. */
function pop(skb: Skb, offset: u32, length: u32): void {
  memory.copy(skb.data + <usize>length, skb.data, <usize>offset);
  skb.data += <usize>length;
  skb.metaQueue &= 0xffff0000;
}

/** bpf_skb_net_hdr_push: headers move with it. */
function netPush(r: HookRun, offset: u32, length: u32): bool {
  const before = changetype<Skb>(r.skb), same = before.transport == before.network;
  if (!push(r, offset, length)) return false;
  const skb = changetype<Skb>(r.skb);
  skb.mac -= <usize>length;
  skb.network -= <usize>length;
  if (same) skb.transport = skb.network;
  return true;
}

function netPop(skb: Skb, offset: u32, length: u32): void {
  const same = skb.transport == skb.network;
  pop(skb, offset, length);
  skb.mac += <usize>length;
  skb.network += <usize>length;
  if (same) skb.transport = skb.network;
}

@inline function macLength(skb: Skb): u32 {
  return skb.mac == 0 ? <u32>(skb.network - skb.data) : <u32>(skb.network - skb.mac);
}

export function vlanPushHelper(r: HookRun, protocol: u32, tci: u32): u64 {
  let type = <u32>bswap<u16>(<u16>protocol);
  if (!isVlanType(type)) type = ETH_P_8021Q;
  skbCtxStore(r);
  if (changetype<Skb>(r.skb).vlan != 0) {
    // What was beside the bytes goes into them.
    const tag = changetype<Skb>(r.skb).vlan;
    if (skbLength(changetype<Skb>(r.skb)) < ETH_HEADER_LEN || !push(r, ETH_HEADER_LEN - 2, VLAN_HEADER_LEN)) return failed(ENOMEM);
    const skb = changetype<Skb>(r.skb);
    putBe32(skb.data, 12, tag);
    skb.mac = skb.data;
    skb.protocol = tag >>> 16;
  }
  changetype<Skb>(r.skb).vlan = type << 16 | (tci & 0xffff);
  skbCtxRefresh(r);
  return 0;
}

/** __skb_vlan_pop: the tag in the bytes. */
function takeTag(skb: Skb): u32 {
  const tag = be16(skb.data, ETH_HEADER_LEN);
  const same = skb.network;
  pop(skb, ETH_HEADER_LEN - 2, VLAN_HEADER_LEN);
  skb.mac = skb.data;
  skb.protocol = be16(skb.data, 12);
  if (same < skb.data + ETH_HEADER_LEN) skb.network = skb.data + ETH_HEADER_LEN;
  return tag;
}

export function vlanPopHelper(r: HookRun): u64 {
  const skb = changetype<Skb>(r.skb);
  skbCtxStore(r);
  if (skb.vlan != 0) skb.vlan = 0;
  else {
    if (!isVlanType(skb.protocol)) return 0;
    if (skbLength(skb) < ETH_HEADER_LEN + VLAN_HEADER_LEN) return failed(ENOMEM);
    takeTag(skb);
  }
  if (isVlanType(skb.protocol) && skbLength(skb) >= ETH_HEADER_LEN + VLAN_HEADER_LEN) {
    const type = skb.protocol;
    skb.vlan = type << 16 | takeTag(skb);
  }
  skbCtxRefresh(r);
  return 0;
}

export function changeProto(r: HookRun, protocol: u32, flags: u64): u64 {
  const to = <u32>bswap<u16>(<u16>protocol), difference: u32 = IPV6_HEADER_LEN - IPV4_HEADER_LEN;
  const skb = changetype<Skb>(r.skb);
  if (flags != 0) return failed(EINVAL);
  skbCtxStore(r);
  if (skb.protocol == ETH_P_IP && to == ETH_P_IPV6) {
    if (!netPush(r, macLength(skb), difference)) return failed(ENOMEM);
  } else if (skb.protocol == ETH_P_IPV6 && to == ETH_P_IP) {
    if (skbLength(skb) < macLength(skb) + difference) return failed(ENOMEM);
    netPop(skb, macLength(skb), difference);
  } else return failed(ENOTSUPP);
  const changed = changetype<Skb>(r.skb);
  changed.protocol = to;
  changed.hash = 0;
  skbCtxRefresh(r);
  return 0;
}

const ENCAP_L3_IPV4: u64 = 2, ENCAP_L3_IPV6: u64 = 4, ENCAP_L4_GRE: u64 = 8, ENCAP_L4_UDP: u64 = 16, NO_CSUM_RESET: u64 = 32, ENCAP_L2_ETH: u64 = 64;
const DECAP_L3_IPV4: u64 = 128, DECAP_L3_IPV6: u64 = 256, FIXED_GSO: u64 = 1, ENCAP_L3: u64 = 6, DECAP_L3: u64 = 384;
const L2_SHIFT: u64 = 56, L2_LENGTH: u64 = <u64>255 << 56;

/** bpf_skb_adjust_room: `mode` 0 behind the IP header, 1 behind the Ethernet header. */
export function adjustRoom(r: HookRun, difference: i32, mode: u32, flags: u64): u64 {
  const skb = changetype<Skb>(r.skb);
  const shrink = difference < 0, by = <u32>(shrink ? -difference : difference);
  let least: u32 = skb.protocol == ETH_P_IP ? IPV4_HEADER_LEN : IPV6_HEADER_LEN;
  const base = least;
  if ((flags & ~(FIXED_GSO | ENCAP_L3 | ENCAP_L4_GRE | ENCAP_L4_UDP | NO_CSUM_RESET | ENCAP_L2_ETH | DECAP_L3 | L2_LENGTH)) != 0) return failed(EINVAL);
  if (by > 0xfff) return failed(EFAULT);
  if (skb.protocol != ETH_P_IP && skb.protocol != ETH_P_IPV6) return failed(ENOTSUPP);
  let offset = macLength(skb);
  if (mode == 0) offset += base;
  else if (mode != 1) return failed(ENOTSUPP);
  if (flags & DECAP_L3) {
    if (!shrink || (flags & DECAP_L3) == DECAP_L3) return failed(EINVAL);
    least = flags & DECAP_L3_IPV4 ? IPV4_HEADER_LEN : IPV6_HEADER_LEN;
  }
  const now = <u32>(skb.tail - skb.network);
  if (shrink ? by >= now || now - by < least : skbLength(skb) + by > MAX_LEN) return failed(ENOTSUPP);
  skbCtxStore(r);
  const result = shrink ? roomShrink(skb, offset, by, flags) : roomGrow(r, offset, by, flags);
  skbCtxRefresh(r);
  return result == 0 ? 0 : failed(result);
}

function roomShrink(skb: Skb, offset: u32, by: u32, flags: u64): i32 {
  if ((flags & ~(FIXED_GSO | DECAP_L3 | NO_CSUM_RESET)) != 0) return EINVAL;
  if (offset + by > skbLength(skb)) return ENOMEM;
  netPop(skb, offset, by);
  if (flags & DECAP_L3_IPV6) skb.protocol = ETH_P_IPV6;
  else if (flags & DECAP_L3_IPV4) skb.protocol = ETH_P_IP;
  return 0;
}

function roomGrow(r: HookRun, offset: u32, by: u32, flags: u64): i32 {
  const encap = (flags & ENCAP_L3) != 0, innerMac = <u32>(flags >> L2_SHIFT);
  const before = changetype<Skb>(r.skb), mac = macLength(before);
  if (encap) {
    if ((flags & ENCAP_L3) == ENCAP_L3) return EINVAL;
    if ((flags & ENCAP_L4_GRE) != 0 && (flags & ENCAP_L4_UDP) != 0) return EINVAL;
    if ((flags & ENCAP_L2_ETH) != 0 && innerMac < ETH_HEADER_LEN) return EINVAL;
    if (before.tcIndex & ENCAPSULATED) return EALREADY;
    if (innerMac > by) return EINVAL;
  }
  if (offset > skbLength(before)) return ENOMEM;
  if (!netPush(r, offset, by)) return ENOMEM;
  const skb = changetype<Skb>(r.skb);
  if (!encap) return 0;
  skb.tcIndex |= ENCAPSULATED;
  skb.network = skb.mac == 0 ? skb.data + <usize>mac : skb.mac + <usize>mac;
  skb.protocol = flags & ENCAP_L3_IPV6 ? ETH_P_IPV6 : ETH_P_IP;
  return 0;
}

/** bpf_skb_change_tail: not shorter than up to its transport header. */
export function changeTail(r: HookRun, length: u32, flags: u64): u64 {
  const skb = changetype<Skb>(r.skb), now = skbLength(skb);
  let least: u32 = skb.network > skb.data ? <u32>(skb.network - skb.data) : 0;
  if (skb.transport > skb.data) least = <u32>(skb.transport - skb.data);
  if (flags != 0 || length > MAX_LEN || length < least) return failed(EINVAL);
  if (skb.tcIndex & ENCAPSULATED) return failed(ENOTSUPP);
  skbCtxStore(r);
  if (length > now) {
    const larger = skbExpand(skb, 0, length - now);
    if (changetype<usize>(larger) == 0) return failed(ENOMEM);
    hookSkb(r, larger);
    memory.fill(larger.tail, 0, <usize>(length - now));
    larger.tail += <usize>(length - now);
  } else skb.tail = skb.data + <usize>length;
  skbCtxRefresh(r);
  return 0;
}

/** bpf_skb_change_head: for what gets an Ethernet header on its way to a device that wants one. */
export function changeHead(r: HookRun, by: u32, flags: u64): u64 {
  const length = skbLength(changetype<Skb>(r.skb));
  if (flags != 0 || <i32>by < 0 || length + by > MAX_LEN) return failed(EINVAL);
  skbCtxStore(r);
  if (!headroom(r, by)) return failed(ENOMEM);
  const skb = changetype<Skb>(r.skb);
  skb.data -= <usize>by;
  memory.fill(skb.data, 0, <usize>by);
  skb.mac = skb.data;
  skb.metaQueue &= 0xffff0000;
  skbCtxRefresh(r);
  return 0;
}
