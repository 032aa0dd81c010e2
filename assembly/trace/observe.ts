// The observation ring: frames and steps of packets, written only while someone watches, drained by the driver. The kernel
// stops between two packets (RUN_MORE) before the ring could overflow; what a single packet writes beyond the reserve is
// counted as lost, never written over something else.
import {
  OBSERVE_CAPTURE, OBSERVE_TRACE, OBS_DROP, OBS_FRAME_RX, OBS_FRAME_TX, OBS_IFINDEX, OBS_NETNS, OBS_PAYLOAD, OBS_SKB,
  OBS_TIME, OBS_TYPE,
} from "../abi/core";
import { NetDevice, Netns, Skb } from "../layout";
import { kfree, kmalloc } from "../mm/slab";
import { node } from "../mm/node";

const RING_BYTES: u32 = 1048576 - 64;
/** What one packet may write: a few copies of the largest frame, and its steps. */
const RESERVE: u32 = 393216;

/** Turns observation on or off; records not yet drained stay. Returns false when there is no memory. */
export function observeSet(flags: u32): bool {
  const n = node();
  if (flags != 0 && n.obsBase == 0) {
    n.obsBase = kmalloc(RING_BYTES);
    if (n.obsBase == 0) return false;
    n.obsSize = RING_BYTES;
  }
  n.observe = flags;
  return true;
}

/** True when the driver has to drain before another packet may be handled. */
@inline export function observeFull(): bool {
  const n = node();
  return n.obsWrite + RESERVE > n.obsSize && n.observe != 0;
}

/** Copies whole records, at most `room` bytes, to `to`; returns how many bytes. */
export function observeDrain(to: usize, room: u32): u32 {
  const n = node();
  let bytes: u32 = 0;
  while (n.obsRead + bytes < n.obsWrite) {
    const size = <u32>load<u16>(n.obsBase + <usize>(n.obsRead + bytes)) << 3;
    if (bytes + size > room) break;
    bytes += size;
  }
  memory.copy(to, n.obsBase + <usize>n.obsRead, <usize>bytes);
  n.obsRead += bytes;
  if (n.obsRead == n.obsWrite) {
    n.obsRead = 0;
    n.obsWrite = 0;
    if (n.observe == 0 && n.obsBase != 0) {
      kfree(n.obsBase, n.obsSize);
      n.obsBase = 0;
    }
  }
  return bytes;
}

/** True while steps are to be recorded: ask before working out what to record. */
@inline export function tracing(): bool {
  return (node().observe & OBSERVE_TRACE) != 0;
}

/**
 * Begins a record of `payload` bytes and returns the address of its payload, or 0 when it does not fit. Only after
 * `tracing()` (or a capture check) said yes.
 */
export function observeRecord(type: u32, skb: Skb, ns: usize, dev: usize, payload: u32): usize {
  const n = node();
  const bytes = (OBS_PAYLOAD + payload + 7) & ~7;
  if (n.obsWrite + bytes > n.obsSize) {
    n.obsLost++;
    return 0;
  }
  const at = n.obsBase + <usize>n.obsWrite;
  n.obsWrite += bytes;
  store<u64>(at + <usize>bytes - 8, 0); // padding
  store<u16>(at, <u16>(bytes >> 3));
  store<u16>(at + OBS_TYPE, <u16>type);
  store<u32>(at + OBS_SKB, changetype<usize>(skb) == 0 ? 0 : skb.id);
  store<u64>(at + OBS_TIME, n.now);
  store<u32>(at + OBS_NETNS, ns == 0 ? 0 : changetype<Netns>(ns).id);
  store<u32>(at + OBS_IFINDEX, dev == 0 ? 0 : changetype<NetDevice>(dev).ifindex);
  return at + OBS_PAYLOAD;
}

/** Records the frame from `skb.data` on, as seen at `dev`. */
@inline export function observeFrame(skb: Skb, dev: NetDevice, received: bool): void {
  if ((node().observe & OBSERVE_CAPTURE) != 0) recordFrame(skb, dev, received);
}

function recordFrame(skb: Skb, dev: NetDevice, received: bool): void {
  const length = <u32>(skb.tail - skb.data);
  const at = observeRecord(
    received ? OBS_FRAME_RX : OBS_FRAME_TX, skb, dev.ns, changetype<usize>(dev), 4 + length);
  if (at == 0) return;
  store<u32>(at, length);
  memory.copy(at + 4, skb.data, <usize>length);
}

/** Records why a packet ended; `reason` is a DROP_* number. */
export function observeDrop(skb: Skb, ns: usize, dev: usize, reason: u32): void {
  if (!tracing()) return;
  const at = observeRecord(OBS_DROP, skb, ns, dev, 4);
  if (at != 0) store<u32>(at, reason);
}
