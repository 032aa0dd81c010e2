/** Growing pauses with jitter. Follows k8s.io/apimachinery/pkg/util/wait.Backoff. */
import type { Random } from "../time/clock.ts";

export interface BackoffOptions {
  initialMs: number;
  factor: number;
  maxMs: number;
  /** Up to this share of the pause is added by chance. */
  jitter: number;
}

export interface Backoff {
  /** The next pause in milliseconds. */
  next(): number;
  reset(): void;
}

export function createBackoff({ initialMs, factor, maxMs, jitter }: BackoffOptions, random: Random): Backoff {
  let current = initialMs;
  return {
    next() {
      const pause = current * (1 + jitter * random.float());
      current = Math.min(current * factor, maxMs);
      return pause;
    },
    reset() {
      current = initialMs;
    },
  };
}
