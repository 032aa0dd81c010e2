// The timer wheel: five levels of 64 slots over jiffies of 4 ms (HZ = 250), as kernel/time/timer.c had it before 4.8:
// a timer far ahead waits in a coarse slot and cascades down when its turn comes, so it fires in its exact jiffy.
// Timers of one jiffy fire in the order in which they reached the lowest level; that order depends on nothing but calls.
import { Node } from "../layout";
import { node } from "./node";
import { kmalloc } from "./slab";
import { timerFire } from "../net/timers";

export const HZ: u64 = 250;
export const NS_PER_JIFFY: u64 = 4_000_000;

const BITS: u32 = 6;
const SLOTS: u32 = 64;
const LEVELS: u32 = 5;
const HEADS: usize = 16; // before: {u32 count}
const WHEEL_BYTES: u32 = 16 + LEVELS * SLOTS * 8;

/** Part of whatever wants to be called later. Slot heads are the first two fields of this structure. */
@unmanaged export class Timer {
  next: usize; // Timer, circular; 0: not pending
  prev: usize;
  expires: u64; // jiffies
  /** TIMER_* of net/timers.ts: what to call. */
  kind: u32;
  owner: usize; // what to call it with
}

export function timersInit(): bool {
  const n = node();
  const wheel = kmalloc(WHEEL_BYTES);
  if (wheel == 0) return false;
  for (let i: u32 = 0; i < LEVELS * SLOTS; i++) {
    const head = wheel + HEADS + <usize>(i << 3);
    store<u32>(head, <u32>head);
    store<u32>(head, <u32>head, 4);
  }
  n.timers = wheel;
  n.jiffies = n.now / NS_PER_JIFFY;
  return true;
}

/** Jiffies from now on the node's clock, rounded up: never early. */
export function jiffiesAfter(ns: u64): u64 {
  return (node().now + ns + NS_PER_JIFFY - 1) / NS_PER_JIFFY;
}

@inline export function timerPending(timer: Timer): bool {
  return timer.next != 0;
}

/** (Re)arms the timer for the jiffy `expires`; one that is past fires at the next run. */
export function timerMod(timer: Timer, expires: u64): void {
  const n = node();
  if (timer.next != 0) unlink(n, timer);
  timer.expires = expires;
  link(n, timer);
}

/** (Re)arms the timer for `ns` from now. */
export function timerAfter(timer: Timer, ns: u64): void {
  timerMod(timer, jiffiesAfter(ns));
}

export function timerDelete(timer: Timer): void {
  if (timer.next != 0) unlink(node(), timer);
}

/** Fires what is due by the node's clock. `limit` bounds how many; returns false if it stopped there. */
export function timersRun(limit: u32): bool {
  const n = node();
  const target = n.now / NS_PER_JIFFY;
  let left = limit;
  while (n.jiffies <= target) {
    if (load<u32>(n.timers) == 0) {
      n.jiffies = target + 1;
      return true;
    }
    const j = n.jiffies;
    const slot = <u32>(j & 63);
    if (slot == 0) cascade(n, j);
    const head = n.timers + HEADS + <usize>(slot << 3);
    let at = <usize>load<u32>(head);
    while (at != head) {
      if (left == 0) return false;
      left--;
      const timer = changetype<Timer>(at);
      unlink(n, timer);
      timerFire(timer.kind, timer.owner);
      at = <usize>load<u32>(head);
    }
    n.jiffies = j + 1;
  }
  return true;
}

/** When the earliest timer is due, in ns; all ones: never. */
export function timersDeadline(): u64 {
  const n = node();
  if (load<u32>(n.timers) == 0) return u64.MAX_VALUE;
  let earliest = u64.MAX_VALUE;
  for (let level: u32 = 0; level < LEVELS; level++) {
    const from = <u32>((n.jiffies >> <u64>(level * BITS)) & 63);
    for (let i: u32 = 0; i < SLOTS; i++) {
      const head = n.timers + HEADS + <usize>((level * SLOTS + ((from + i) & 63)) << 3);
      let at = <usize>load<u32>(head);
      if (at == head) continue;
      while (at != head) {
        const timer = changetype<Timer>(at);
        if (timer.expires < earliest) earliest = timer.expires;
        at = timer.next;
      }
      // The slot at the cursor of a coarse level may hold timers of the next turn: look at one more.
      if (level == 0 || i != 0) break;
    }
  }
  if (earliest < n.jiffies) earliest = n.jiffies;
  return earliest * NS_PER_JIFFY;
}

function link(n: Node, timer: Timer): void {
  // One in the past goes to the slot that runs next.
  const expires = timer.expires < n.jiffies ? n.jiffies : timer.expires;
  const delta = expires - n.jiffies;
  let level: u32 = 0;
  while (level < LEVELS - 1 && delta >= (<u64>1 << <u64>((level + 1) * BITS))) level++;
  // Further than the wheel reaches: waits in the last slot and is put in again from there.
  const reach = (<u64>1 << <u64>(LEVELS * BITS)) - 1;
  const at = delta > reach ? n.jiffies + reach : expires;
  const slot = <u32>((at >> <u64>(level * BITS)) & 63);
  const head = n.timers + HEADS + <usize>((level * SLOTS + slot) << 3);
  const last = <usize>load<u32>(head, 4);
  timer.next = head;
  timer.prev = last;
  store<u32>(last, <u32>changetype<usize>(timer));
  store<u32>(head, <u32>changetype<usize>(timer), 4);
  store<u32>(n.timers, load<u32>(n.timers) + 1);
}

function unlink(n: Node, timer: Timer): void {
  store<u32>(timer.prev, <u32>timer.next);
  store<u32>(timer.next, <u32>timer.prev, 4);
  timer.next = 0;
  store<u32>(n.timers, load<u32>(n.timers) - 1);
}

/** Moves the coarse slots whose turn begins at jiffy `j` one level down. */
function cascade(n: Node, j: u64): void {
  for (let level: u32 = 1; level < LEVELS; level++) {
    const slot = <u32>((j >> <u64>(level * BITS)) & 63);
    const head = n.timers + HEADS + <usize>((level * SLOTS + slot) << 3);
    // Take the whole list off first: a timer beyond the wheel's reach may come back to the same slot.
    let at = <usize>load<u32>(head);
    const last = <usize>load<u32>(head, 4);
    store<u32>(head, <u32>head);
    store<u32>(head, <u32>head, 4);
    while (at != head) {
      const timer = changetype<Timer>(at);
      const next = timer.next;
      const end = at == last;
      store<u32>(n.timers, load<u32>(n.timers) - 1);
      link(n, timer);
      if (end) break;
      at = next;
    }
    if (slot != 0) return;
  }
}
