// Helpers on XDP frames (net/core/filter.c): bpf_xdp_adjust_head and its like. The frame stands in an skb from the start; what Linux
// reserves around it (256 bytes of headroom, a page in all) bounds how far it may move.
import { EACCES, EFAULT, EINVAL, ENOMEM } from "../../abi/core";
import { Skb } from "../../layout";
import { skbExpand, skbLength } from "../../net/skb";
import { ETH_HEADER_LEN } from "../../wire/ethernet";
import { bpfCopy, bpfFill, bpfReadable, bpfWritable } from "../memory";
import { xdpCtxFill } from "../hooks/context";
import { HookRun, hookSkb } from "../hooks/state";
import { failed } from "./skb";

/** XDP_PACKET_HEADROOM without struct xdp_frame, and a page without headroom and skb_shared_info. */
export const XDP_ROOM: u32 = 216;
export const XDP_FRAME: u32 = 3520;

/** Room in the buffer itself, where the frame may grow; false: no memory. */
function room(r: HookRun, before: u32, behind: u32): bool {
  const skb = changetype<Skb>(r.skb), meta = r.meta;
  // Metadata stands before the data and goes along.
  skb.metaQueue = (skb.metaQueue & 0xffff0000) | meta;
  const larger = skbExpand(skb, before + meta, behind);
  if (changetype<usize>(larger) == 0) return false;
  larger.metaQueue &= 0xffff0000;
  hookSkb(r, larger);
  return true;
}

/** Bytes before the frame that never were of it read as zeros: `low` is the least room there has been. After `room` changed. */
function clean(r: HookRun): void {
  if (r.room >= r.low) return;
  bpfFill(changetype<Skb>(r.skb).data - <usize>r.meta, 0, <usize>(r.low - r.room));
  r.low = r.room;
}

export function xdpAdjustHead(r: HookRun, offset: i32): u64 {
  const length = <i32>skbLength(changetype<Skb>(r.skb));
  if (offset < 0 ? -offset > <i32>r.room || offset == i32.MIN_VALUE : offset > length - <i32>ETH_HEADER_LEN) return failed(EINVAL);
  if (offset < 0 && !room(r, <u32>-offset, 0)) return failed(ENOMEM);
  const skb = changetype<Skb>(r.skb), at = skb.data - <usize>r.meta;
  if (r.meta != 0) bpfCopy(at + offset, at, <usize>r.meta);
  skb.data += offset;
  r.room += offset;
  // Metadata has moved down already: what is new stands behind it.
  if (r.room < r.low) {
    bpfFill(skb.data, 0, <usize>min<u32>(r.low - r.room, <u32>-offset));
    r.low = r.room;
  }
  xdpCtxFill(r);
  return 0;
}

export function xdpAdjustMeta(r: HookRun, offset: i32): u64 {
  const meta = <i32>r.meta - offset;
  if (offset < -4096 || offset > 4096 || -offset > <i32>r.room || meta < 0) return failed(EINVAL);
  if ((meta & 3) != 0 || meta > 255) return failed(EACCES);
  if (offset < 0 && !room(r, <u32>-offset, 0)) return failed(ENOMEM);
  r.meta = <u32>meta;
  r.room += offset;
  clean(r);
  xdpCtxFill(r);
  return 0;
}

export function xdpAdjustTail(r: HookRun, offset: i32): u64 {
  const length = <i32>skbLength(changetype<Skb>(r.skb));
  if (offset > <i32>r.limit || offset < <i32>ETH_HEADER_LEN - length) return failed(EINVAL);
  if (offset > 0) {
    if (!room(r, 0, <u32>offset)) return failed(ENOMEM);
    bpfFill(changetype<Skb>(r.skb).tail, 0, <usize>offset);
  }
  changetype<Skb>(r.skb).tail += offset;
  r.limit -= offset;
  xdpCtxFill(r);
  return 0;
}

export function xdpBytes(r: HookRun, offset: u32, buffer: u64, length: u32, write: bool): u64 {
  if (offset > 0xffff || length > 0xffff) return failed(EFAULT);
  const skb = changetype<Skb>(r.skb);
  if (offset + length > skbLength(skb)) return failed(EINVAL);
  if (write) {
    if (!bpfReadable(buffer, length)) return failed(EFAULT);
    bpfCopy(skb.data + <usize>offset, <usize>buffer, <usize>length);
  } else {
    if (!bpfWritable(buffer, length)) return failed(EFAULT);
    bpfCopy(<usize>buffer, skb.data + <usize>offset, <usize>length);
  }
  return 0;
}
