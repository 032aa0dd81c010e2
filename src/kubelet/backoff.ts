/** Growing pauses per key: 10 s, doubling to 5 min, forgotten after twice that. Follows client-go util/flowcontrol/backoff.go. */
import type { Clock } from "../time/clock.ts";

const INITIAL_MS = 10_000;
const MAX_MS = 300_000;

export class Backoff {
  private readonly clock: Clock;
  private readonly entries = new Map<string, { delayMs: number; updatedMs: number }>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** The pause that holds for `key`, 0 if none. */
  get(key: string): number {
    return this.entries.get(key)?.delayMs ?? 0;
  }

  /** Milliseconds left of the pause that began at `sinceMs`; 0: it is over. */
  remaining(key: string, sinceMs: number): number {
    const entry = this.entries.get(key);
    if (entry === undefined || sinceMs - entry.updatedMs > 2 * MAX_MS) return 0;
    return Math.max(0, sinceMs + entry.delayMs - this.clock.nowMs());
  }

  /** As `remaining`, from the last `next` on. */
  remainingSinceUpdate(key: string): number {
    const entry = this.entries.get(key);
    return entry === undefined ? 0 : Math.max(0, entry.updatedMs + entry.delayMs - this.clock.nowMs());
  }

  /** Something happened at `atMs` that makes the next pause longer. */
  next(key: string, atMs: number): void {
    const entry = this.entries.get(key);
    const expired = entry === undefined || atMs - entry.updatedMs > 2 * MAX_MS;
    this.entries.set(key, { delayMs: expired ? INITIAL_MS : Math.min(entry.delayMs * 2, MAX_MS), updatedMs: this.clock.nowMs() });
  }

  /** Drops what belongs to keys with this prefix. */
  forget(prefix: string): void {
    for (const key of [...this.entries.keys()]) if (key.startsWith(prefix)) this.entries.delete(key);
  }
}
