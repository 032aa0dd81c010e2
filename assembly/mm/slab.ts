// The arena allocator: fixed size classes carved out of chunks, free slots chained through their first word. Sizes are
// known to every caller, so slots carry no header. Larger pieces (tables, buffers) are whole chunks.
import { CHUNK_BYTES, Node } from "../layout";
import { chunkAlloc, chunkFree, chunkOrder } from "./chunk";
import { clearBytes } from "./copy";
import { node } from "./node";

// A chunk of an arena begins with {u32 next chunk, u32 order}; slots follow, those of 64 bytes and
// their multiples at cache lines.
const CHUNK_HEADER: usize = 64;
const LARGEST: u32 = 8160;

/** Bytes that an allocation of `size` really takes; 0 for one that wants whole chunks. */
export function kmallocSize(size: u32): u32 {
  if (size <= 32) return 32;
  if (size <= 64) return 64;
  if (size <= 96) return 96;
  if (size <= 128) return 128;
  if (size <= 160) return 160;
  if (size <= 192) return 192;
  if (size <= 256) return 256;
  if (size <= 384) return 384;
  if (size <= 512) return 512;
  if (size <= 1024) return 1024;
  if (size <= 2048) return 2048;
  if (size <= 4064) return 4064;
  if (size <= LARGEST) return LARGEST;
  return 0;
}

function classOf(size: u32): u32 {
  if (size <= 32) return 0;
  if (size <= 64) return 1;
  if (size <= 96) return 2;
  if (size <= 128) return 3;
  if (size <= 160) return 12;
  if (size <= 192) return 4;
  if (size <= 256) return 5;
  if (size <= 384) return 6;
  if (size <= 512) return 7;
  if (size <= 1024) return 8;
  if (size <= 2048) return 9;
  if (size <= 4064) return 10;
  return 11;
}

/** A chunk of 16 KiB << order that node_destroy gives back; its first 32 bytes are the arena's. 0: no memory. */
function arenaChunk(order: u32): usize {
  const at = chunkAlloc(order);
  if (at == 0) return 0;
  const n = node();
  store<u32>(at, <u32>n.chunks);
  store<u32>(at, order, 4);
  if (n.chunks != 0) store<u32>(n.chunks, <u32>at, 8); // back link
  n.chunks = at;
  n.bytesTaken += <u64>(CHUNK_BYTES << order);
  return at;
}

function arenaChunkFree(at: usize): void {
  const n = node();
  const next = <usize>load<u32>(at);
  const before = <usize>load<u32>(at, 8);
  const order = load<u32>(at, 4);
  if (before != 0) store<u32>(before, <u32>next);
  else n.chunks = next;
  if (next != 0) store<u32>(next, <u32>before, 8);
  n.bytesTaken -= <u64>(CHUNK_BYTES << order);
  chunkFree(at, order);
}

/** `size` zeroed bytes of the current arena, 16-byte aligned (32 for sizes below 4064); 0: no memory. */
export function kmalloc(size: u32): usize {
  const n = node();
  if (size > LARGEST) {
    const at = arenaChunk(chunkOrder(<usize>size + CHUNK_HEADER));
    if (at == 0) return 0;
    n.bytesUsed += <u64>size;
    return at + CHUNK_HEADER;
  }
  const head = changetype<usize>(n) + offsetof<Node>("slab0") + (<usize>classOf(size) << 2);
  let slot = <usize>load<u32>(head);
  if (slot == 0) {
    slot = refill(head, kmallocSize(size));
    if (slot == 0) return 0;
  }
  const bytes = kmallocSize(size);
  store<u32>(head, load<u32>(slot));
  n.bytesUsed += <u64>bytes;
  if (bytes <= SLAB_512) clearBytes(slot, <usize>bytes);
  else memory.fill(slot, 0, <usize>bytes);
  return slot;
}

/** Like kmalloc, but the bytes are as they were left: for buffers that are written before they are read. */
export function kmallocRaw(size: u32): usize {
  if (size > LARGEST) return kmalloc(size);
  const n = node();
  const head = changetype<usize>(n) + offsetof<Node>("slab0") + (<usize>classOf(size) << 2);
  let slot = <usize>load<u32>(head);
  if (slot == 0) {
    slot = refill(head, kmallocSize(size));
    if (slot == 0) return 0;
  }
  store<u32>(head, load<u32>(slot));
  n.bytesUsed += <u64>kmallocSize(size);
  return slot;
}

/** The class of most packets, and the one below it. */
export const SLAB_512: u32 = 512;
export const SLAB_384: u32 = 384;

/** kmallocRaw of more than SLAB_384 and at most SLAB_512 bytes. */
@inline export function kmalloc512(): usize {
  const n = node();
  const slot = n.slab7;
  if (slot == 0) return kmallocRaw(SLAB_512);
  n.slab7 = <usize>load<u32>(slot);
  n.bytesUsed += <u64>SLAB_512;
  return slot;
}

/** Gives back what kmalloc512() gave. */
@inline export function kfree512(at: usize): void {
  const n = node();
  store<u32>(at, <u32>n.slab7);
  n.slab7 = at;
  n.bytesUsed -= <u64>SLAB_512;
}

/** Gives back what kmalloc(size) gave. */
export function kfree(at: usize, size: u32): void {
  if (at == 0) return;
  const n = node();
  if (size > LARGEST) {
    n.bytesUsed -= <u64>size;
    arenaChunkFree(at - CHUNK_HEADER);
    return;
  }
  const head = changetype<usize>(n) + offsetof<Node>("slab0") + (<usize>classOf(size) << 2);
  store<u32>(at, load<u32>(head));
  store<u32>(head, <u32>at);
  n.bytesUsed -= <u64>kmallocSize(size);
}

/** Carves a new chunk into slots and returns the first, with the rest chained behind it. */
function refill(head: usize, bytes: u32): usize {
  const at = arenaChunk(0);
  if (at == 0) return 0;
  const first = at + CHUNK_HEADER;
  const count = (<u32>CHUNK_BYTES - <u32>CHUNK_HEADER) / bytes;
  for (let i: u32 = 0; i < count; i++) {
    const slot = first + <usize>(i * bytes);
    store<u32>(slot, i + 1 < count ? <u32>(slot + <usize>bytes) : 0);
  }
  store<u32>(head, <u32>first);
  return first;
}

/** Gives every chunk of the current arena back. The Node structure itself goes with them. */
export function arenaDestroy(): void {
  let at = node().chunks;
  while (at != 0) {
    const next = <usize>load<u32>(at);
    chunkFree(at, load<u32>(at, 4));
    at = next;
  }
}
