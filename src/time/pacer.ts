/**
 * Real time for the loop: a window begins when the wall clock has reached it. What comes in from outside wakes the loop before.
 */
import type { Platform } from "../platform.ts";

export interface Pacer {
  readonly running: boolean;
  readonly stopped: boolean;
  /** Nanoseconds since the cluster's first instant, by the wall clock. */
  nowNs(): number;
  /** `LoopOptions.pace`. */
  readonly pace: (nextNs: number) => Promise<boolean>;
  /** Lets the loop look at once what is due: something came in. */
  wake(): void;
  /** From here on time goes as the wall clock does. */
  start(): void;
  /** Ends the loop. */
  stop(): void;
}

/** The longest nap: Infinity and the limit of timers (2^31 ms) alike are beyond it. */
const NAP_MS = 60_000;

/** Time begins at `epochMs`, a Unix time. It goes on evenly when the wall clock is set. */
export const newPacer = (platform: Platform, epochMs: number): Pacer => {
  const originMs = platform.monotonicMs() - (platform.wallMs() - epochMs);
  let running = false;
  let stopped = false;
  let woken = false;
  let rouse: (() => void) | undefined;
  const nowNs = (): number => Math.floor((platform.monotonicMs() - originMs) * 1e6);
  const wake = (): void => {
    woken = true;
    rouse?.();
  };
  return {
    get running() {
      return running;
    },
    get stopped() {
      return stopped;
    },
    nowNs,
    async pace(nextNs) {
      if (!running) return true;
      if (woken) {
        woken = false;
        return false;
      }
      const waitMs = (nextNs - nowNs()) / 1e6;
      if (waitMs <= 0) return true;
      await new Promise<void>((resolve) => {
        const cancel = platform.wake(Math.min(waitMs, NAP_MS), resolve);
        rouse = () => {
          cancel();
          resolve();
        };
      });
      rouse = undefined;
      woken = false;
      return false;
    },
    wake,
    start() {
      running = true;
    },
    stop() {
      stopped = true;
      wake();
    },
  };
};
