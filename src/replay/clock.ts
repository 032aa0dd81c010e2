/** A clock that only its owner moves. */
import type { Cancel, Clock } from "../time/clock.ts";

export interface ManualClock {
  readonly clock: Clock;
  /** Moves the time on; never back. */
  set(ns: number): void;
  /** When the earliest timer is due, in ns; Infinity: none is set. */
  nextNs(): number;
  /** Runs what is due at the present time, in order. */
  fire(): void;
}

const NS_PER_MS = 1e6;

export function manualClock(): ManualClock {
  let now = 0;
  let sequence = 0;
  let due: { atNs: number; sequence: number; run: () => void }[] = [];
  const after = (delayMs: number, run: () => void): Cancel => {
    const entry = { atNs: now + Math.max(0, Math.round(delayMs * NS_PER_MS)), sequence: sequence++, run };
    due.push(entry);
    return () => {
      due = due.filter((other) => other !== entry);
    };
  };
  return {
    set(ns) {
      if (ns > now) now = ns;
    },
    nextNs: () => due.reduce((least, { atNs }) => Math.min(least, atNs), Infinity),
    fire() {
      const ready = due.filter(({ atNs }) => atNs <= now).sort((a, b) => a.atNs - b.atNs || a.sequence - b.sequence);
      due = due.filter(({ atNs }) => atNs > now);
      for (const { run } of ready) run();
    },
    clock: {
      nowNs: () => now,
      nowMs: () => now / NS_PER_MS,
      after,
      sleep: (delayMs) => new Promise((resolve) => after(delayMs, resolve)),
    },
  };
}
