/**
 * The rate-limited work queue. Follows k8s.io/client-go/util/workqueue: a key that is added while it waits is not
 * added twice; one that is added while it is being worked on comes back when that is done.
 */
import type { Cancel, Clock } from "../time/clock.ts";

export interface WorkQueue {
  add(key: string): void;
  /** Adds the key `delayMs` from now; the earliest of several such wishes counts. */
  addAfter(key: string, delayMs: number): void;
  /** Adds the key after its failure backoff: 5 ms doubling to 1000 s (DefaultTypedControllerRateLimiter). */
  addRateLimited(key: string): void;
  /** Forgets the failures of a key. */
  forget(key: string): void;
  /** How often the key failed since it was forgotten. */
  failures(key: string): number;
  /** The next key, when there is one; undefined after {@link shutDown}. */
  get(): Promise<string | undefined>;
  /** Must follow every {@link get}. */
  done(key: string): void;
  length(): number;
  shutDown(): void;
}

const BASE_DELAY_MS = 5;
const MAX_DELAY_MS = 1_000_000;

export function createWorkQueue(clock: Clock): WorkQueue {
  const waiting = new Set<string>();
  const processing = new Set<string>();
  const again = new Set<string>();
  const failures = new Map<string, number>();
  const timers = new Map<string, { at: number; cancel: Cancel }>();
  let takers: ((key: string | undefined) => void)[] = [];
  let closed = false;

  const take = (key: string): void => {
    processing.add(key);
  };
  const add = (key: string): void => {
    if (closed || waiting.has(key)) return;
    if (processing.has(key)) {
      again.add(key);
      return;
    }
    const taker = takers.shift();
    if (taker === undefined) waiting.add(key);
    else {
      take(key);
      taker(key);
    }
  };
  const addAfter = (key: string, delayMs: number): void => {
    if (closed) return;
    if (delayMs <= 0) {
      add(key);
      return;
    }
    const at = clock.nowNs() + delayMs * 1e6;
    const pending = timers.get(key);
    if (pending !== undefined) {
      if (pending.at <= at) return;
      pending.cancel();
    }
    const cancel = clock.after(delayMs, () => {
      timers.delete(key);
      add(key);
    });
    timers.set(key, { at, cancel });
  };

  return {
    add,
    addAfter,
    addRateLimited(key) {
      const count = failures.get(key) ?? 0;
      failures.set(key, count + 1);
      addAfter(key, Math.min(BASE_DELAY_MS * 2 ** count, MAX_DELAY_MS));
    },
    forget(key) {
      failures.delete(key);
    },
    failures: (key) => failures.get(key) ?? 0,
    get() {
      for (const key of waiting) {
        waiting.delete(key);
        take(key);
        return Promise.resolve(key);
      }
      if (closed) return Promise.resolve(undefined);
      return new Promise((resolve) => takers.push(resolve));
    },
    done(key) {
      processing.delete(key);
      if (again.delete(key)) add(key);
    },
    length: () => waiting.size,
    shutDown() {
      closed = true;
      for (const { cancel } of timers.values()) cancel();
      timers.clear();
      waiting.clear();
      for (const taker of takers) taker(undefined);
      takers = [];
    },
  };
}
