// What a timer calls when it fires: dispatch by number, since function values would need a data segment.
import { fragTimer } from "./ip-defrag";
import { neighTimer } from "./neighbour";

export const TIMER_NONE: u32 = 0;
export const TIMER_NEIGHBOUR: u32 = 1;
export const TIMER_FRAGMENT: u32 = 2;

/** Called by the wheel with what the timer was armed with. */
export function timerFire(kind: u32, owner: usize): void {
  switch (kind) {
    case TIMER_NEIGHBOUR: neighTimer(owner); break;
    case TIMER_FRAGMENT: fragTimer(owner); break;
    default: assert(false);
  }
}
