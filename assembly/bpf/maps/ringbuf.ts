// Ring buffers, kernel/bpf/ringbuf.c. A record is {u32 length | BUSY | DISCARD, u32 map, bytes} padded to 8, at its position modulo the ring's
// size. The kernel maps the ring twice in a row so that a record at its end is in one piece; here the memory is twice as long and such a
// record runs into the second half, where nothing else is.
import { EAGAIN, EINVAL, ENOSPC } from "../../abi/core";
import { kfree, kmalloc } from "../../mm/slab";
import { BpfMap, mapWake } from "./map";

export const BPF_RB_NO_WAKEUP: u64 = 1, BPF_RB_FORCE_WAKEUP: u64 = 2;
const BPF_RB_AVAIL_DATA: u64 = 0, BPF_RB_RING_SIZE: u64 = 1, BPF_RB_CONS_POS: u64 = 2, BPF_RB_PROD_POS: u64 = 3;
const BUSY: u32 = 0x80000000, DISCARD: u32 = 0x40000000;
const HEADER: u32 = 8;
const RECORD_MAX: u32 = 0x3fffffff;

/** Behind `map.priv`; the bytes are at `map.data`. */
@unmanaged export class Ring {
  consumer: u64;
  producer: u64;
  /** The oldest record that may be busy. */
  pending: u64;
  mask: u32;
  /** User ring buffer: it is being drained. */
  busy: u32;
}

@inline export function ringOf(map: BpfMap): Ring {
  return changetype<Ring>(map.priv);
}

/** ringbuf_map_alloc behind its checks. */
export function ringInit(map: BpfMap): bool {
  if (map.maxEntries > 0x10000000) return false;
  map.privBytes = <u32>offsetof<Ring>();
  map.priv = kmalloc(map.privBytes);
  if (map.priv == 0) return false;
  map.dataBytes = map.maxEntries << 1;
  map.data = kmalloc(map.dataBytes);
  ringOf(map).mask = map.maxEntries - 1;
  return map.data != 0;
}

export function ringFree(map: BpfMap): void {
  if (map.data != 0) kfree(map.data, map.dataBytes);
  if (map.priv != 0) kfree(map.priv, map.privBytes);
}

/** __bpf_ringbuf_reserve: where `size` bytes may be written, 0: no room. */
export function ringReserve(map: BpfMap, size: u64): usize {
  if (size > <u64>RECORD_MAX) return 0;
  const ring = ringOf(map);
  const length = ((<u32>size + HEADER) + 7) & ~7;
  if (length > ring.mask + 1) return 0;
  let pending = ring.pending;
  while (pending < ring.producer) {
    const header = load<u32>(map.data + <usize>(<u32>pending & ring.mask));
    if (header & BUSY) break;
    pending += <u64>(((header & ~DISCARD) + HEADER + 7) & ~7);
  }
  ring.pending = pending;
  const end = ring.producer + <u64>length;
  if (end - ring.consumer > <u64>ring.mask || end - pending > <u64>ring.mask) return 0;
  const at = map.data + <usize>(<u32>ring.producer & ring.mask);
  store<u32>(at, <u32>size | BUSY);
  store<u32>(at, <u32>changetype<usize>(map), 4);
  ring.producer = end;
  return at + <usize>HEADER;
}

/** bpf_ringbuf_commit of what ringReserve gave. */
export function ringCommit(sample: usize, flags: u64, discard: bool): void {
  const at = sample - <usize>HEADER;
  const map = changetype<BpfMap>(<usize>load<u32>(at, 4));
  const ring = ringOf(map);
  store<u32>(at, (load<u32>(at) & ~BUSY) | (discard ? DISCARD : 0));
  const first = (<u32>ring.consumer & ring.mask) == <u32>(at - map.data);
  if (flags & BPF_RB_FORCE_WAKEUP || (first && !(flags & BPF_RB_NO_WAKEUP))) mapWake(map);
}

/** Does a record that a program reserved and has not yet given back begin here? Of an address that it made up: no. */
export function ringBusy(map: BpfMap, sample: usize): bool {
  if (sample < map.data + <usize>HEADER || sample - map.data >= <usize>map.dataBytes) return false;
  const ring = ringOf(map);
  for (let at = ring.consumer; at < ring.producer;) {
    const record = map.data + <usize>(<u32>at & ring.mask);
    const header = load<u32>(record);
    if (record + <usize>HEADER == sample) return (header & BUSY) != 0;
    at += <u64>(((header & ~(BUSY | DISCARD)) + HEADER + 7) & ~7);
  }
  return false;
}

/** bpf_ringbuf_output: 0, -EINVAL, -EAGAIN. */
export function ringOutput(map: BpfMap, data: usize, size: u64, flags: u64): i32 {
  if (flags & ~(BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP)) return -EINVAL;
  const at = ringReserve(map, size);
  if (at == 0) return -EAGAIN;
  memory.copy(at, data, <usize>size);
  ringCommit(at, flags, false);
  return 0;
}

/** bpf_ringbuf_query. */
export function ringQuery(map: BpfMap, flags: u64): u64 {
  const ring = ringOf(map);
  switch (<u32>min<u64>(flags, 4)) {
    case <u32>BPF_RB_AVAIL_DATA: return ring.producer - ring.consumer;
    case <u32>BPF_RB_RING_SIZE: return <u64>ring.mask + 1;
    case <u32>BPF_RB_CONS_POS: return ring.consumer;
    case <u32>BPF_RB_PROD_POS: return ring.producer;
    default: return 0;
  }
}

/** BPF_RINGBUF_CONSUME: takes records as the consumer of a mapped ring does, up to one that is busy. Bytes of the answer. */
export function ringConsume(map: BpfMap, to: usize, max: u32): u32 {
  const ring = ringOf(map);
  let bytes: u32 = 0;
  while (ring.consumer < ring.producer) {
    const at = map.data + <usize>(<u32>ring.consumer & ring.mask), header = load<u32>(at);
    if (header & BUSY) break;
    const length = header & ~DISCARD, padded = (length + 7) & ~7;
    if (!(header & DISCARD)) {
      if (HEADER + padded > max - bytes) {
        if (bytes != 0) return bytes;
        // Longer than the mailbox: the driver reads it where it is.
        store<u32>(to, length);
        store<u32>(to, <u32>(at + <usize>HEADER), 4);
        return HEADER;
      }
      const record = to + <usize>bytes;
      store<u32>(record, length);
      store<u32>(record, 0, 4);
      memory.copy(record + <usize>HEADER, at + <usize>HEADER, <usize>length);
      bytes += HEADER + padded;
    }
    ring.consumer += <u64>(HEADER + padded);
  }
  return bytes;
}

/** BPF_RINGBUF_SKIP: the first record that is not discarded is consumed. */
export function ringSkip(map: BpfMap): void {
  const ring = ringOf(map);
  while (ring.consumer < ring.producer) {
    const header = load<u32>(map.data + <usize>(<u32>ring.consumer & ring.mask));
    if (header & BUSY) return;
    ring.consumer += <u64>(((header & ~DISCARD) + HEADER + 7) & ~7);
    if (!(header & DISCARD)) return;
  }
}

/** BPF_USER_RINGBUF_PUT: the driver is the producer. 0, -EINVAL, -ENOSPC. */
export function userRingPut(map: BpfMap, data: usize, length: u32): i32 {
  const ring = ringOf(map);
  const total = <u64>((length + HEADER + 7) & ~7);
  if (length > RECORD_MAX || total > <u64>ring.mask + 1) return -EINVAL;
  if (ring.producer + total - ring.consumer > <u64>ring.mask + 1) return -ENOSPC;
  const at = map.data + <usize>(<u32>ring.producer & ring.mask);
  store<u32>(at, length);
  store<u32>(at, 0, 4);
  memory.copy(at + <usize>HEADER, data, <usize>length);
  ring.producer += total;
  return 0;
}

/** __bpf_user_ringbuf_peek: the next record (its bytes, behind its length), 0: none. */
export function userRingPeek(map: BpfMap): usize {
  const ring = ringOf(map);
  return ring.consumer < ring.producer ? map.data + <usize>(<u32>ring.consumer & ring.mask) + <usize>HEADER : 0;
}

/** __bpf_user_ringbuf_sample_release. */
export function userRingRelease(map: BpfMap): void {
  const ring = ringOf(map);
  const length = load<u32>(map.data + <usize>(<u32>ring.consumer & ring.mask));
  ring.consumer += <u64>((length + HEADER + 7) & ~7);
}
