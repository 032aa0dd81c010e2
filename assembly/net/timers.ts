// What a timer calls when it fires: dispatch by number, since function values would need a data segment.

export const TIMER_NONE: u32 = 0;

/** Called by the wheel with what the timer was armed with. */
export function timerFire(kind: u32, owner: usize): void {
  assert(kind != TIMER_NONE && owner != 0);
}
