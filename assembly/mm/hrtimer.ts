// Timers to the nanosecond (kernel/time/hrtimer.c), for what shapes and delays packets: the wheel's jiffies are 4 ms. One list by
// time; there are as many as queueing disciplines that wait, so that a walk to the right place is short.
import { Node } from "../layout";
import { node } from "./node";
import { hrtimerFire } from "../net/timers";

/** Part of whatever wants to be called later. */
@unmanaged export class Hrtimer {
  next: usize; // Hrtimer
  armed: u32;
  expires: u64; // ns of the node's clock
  /** HRTIMER_* of net/timers.ts: what to call. */
  kind: u32;
  owner: usize;
}

/** (Re)arms the timer; of two due at once the one armed first fires first. */
export function hrtimerStart(timer: Hrtimer, expires: u64): void {
  hrtimerCancel(timer);
  timer.expires = expires;
  timer.armed = 1;
  let link = changetype<usize>(node()) + offsetof<Node>("hrtimers");
  for (let at = <usize>load<u32>(link); at != 0 && changetype<Hrtimer>(at).expires <= expires; at = <usize>load<u32>(link)) {
    link = at; // `next` is the first field
  }
  timer.next = <usize>load<u32>(link);
  store<u32>(link, <u32>changetype<usize>(timer));
}

export function hrtimerCancel(timer: Hrtimer): void {
  if (!timer.armed) return;
  timer.armed = 0;
  let link = changetype<usize>(node()) + offsetof<Node>("hrtimers");
  while (<usize>load<u32>(link) != changetype<usize>(timer)) link = <usize>load<u32>(link);
  store<u32>(link, <u32>timer.next);
}

/** Fires the earliest timer if it is due by the node's clock; false: none is. */
export function hrtimerRunOne(): bool {
  const n = node();
  if (n.hrtimers == 0) return false;
  const timer = changetype<Hrtimer>(n.hrtimers);
  if (timer.expires > n.now) return false;
  n.hrtimers = timer.next;
  timer.armed = 0;
  hrtimerFire(timer.kind, timer.owner);
  return true;
}

/** When the earliest is due, in ns; all ones: never. */
export function hrtimersDeadline(): u64 {
  const at = node().hrtimers;
  return at == 0 ? u64.MAX_VALUE : changetype<Hrtimer>(at).expires;
}
