// Chunks: the memory in pieces of 16 KiB << order, shared by all instances. One spin lock guards the free lists; it is held
// for a few instructions, never while a packet is handled for long, since arenas take chunks rarely.
import {
  BOOT_FREE_AT, BOOT_LOCK_AT, BOOT_NEXT_AT, CHUNKS_AT, CHUNK_BYTES,
} from "../layout";

const ORDERS: u32 = 16;
const PAGE: usize = 65536;

/** Takes the boot lock. Held sections never call out. */
export function lock(): void {
  while (atomic.cmpxchg<u32>(BOOT_LOCK_AT, 0, 1) != 0) {}
}

export function unlock(): void {
  atomic.store<u32>(BOOT_LOCK_AT, 0);
}

/** The smallest order whose chunk holds `bytes`. */
export function chunkOrder(bytes: usize): u32 {
  let order: u32 = 0;
  while (CHUNK_BYTES << order < bytes) order++;
  return order;
}

/** A zeroed chunk of 16 KiB << order, or 0 when the memory is at its maximum. */
export function chunkAlloc(order: u32): usize {
  if (order >= ORDERS) return 0;
  const bytes = CHUNK_BYTES << order;
  lock();
  const head = BOOT_FREE_AT + (<usize>order << 2);
  let at = <usize>load<u32>(head);
  if (at != 0) {
    store<u32>(head, load<u32>(at));
    unlock();
    memory.fill(at, 0, bytes);
    return at;
  }
  at = <usize>load<u32>(BOOT_NEXT_AT);
  if (at == 0) at = CHUNKS_AT;
  const past = at + bytes;
  const have = <usize>memory.size() * PAGE;
  if (past > have || past < at) {
    // A sixteenth more than there is, if the maximum allows: growing costs the embedder a new view, and its collector a run.
    const pages = <i32>((past - have + PAGE - 1) / PAGE);
    if (past < at || (memory.grow(max<i32>(pages, <i32>(memory.size() >>> 4))) < 0 && memory.grow(pages) < 0)) {
      unlock();
      return 0;
    }
  }
  store<u32>(BOOT_NEXT_AT, <u32>past);
  unlock();
  return at; // never handed out before: zero
}

/** Gives a chunk back. */
export function chunkFree(at: usize, order: u32): void {
  lock();
  const head = BOOT_FREE_AT + (<usize>order << 2);
  store<u32>(at, load<u32>(head));
  store<u32>(head, <u32>at);
  unlock();
}
