/** A clock the test turns: timers in order, and between two of them every promise settles. */
import type { Cancel, Clock } from "../../src/time/clock.ts";

const hop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export class TurnedClock implements Clock {
  private ns = 0;
  private sequence = 0;
  private readonly timers = new Map<number, { at: number; run: () => void }>();

  nowNs(): number {
    return this.ns;
  }

  nowMs(): number {
    return 1_900_000_000_000 + this.ns / 1e6;
  }

  after(delayMs: number, run: () => void): Cancel {
    const id = this.sequence++;
    this.timers.set(id, { at: this.ns + Math.round(Math.max(0, delayMs) * 1e6), run });
    return () => void this.timers.delete(id);
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason);
      const cancel = this.after(delayMs, resolve);
      signal?.addEventListener("abort", () => {
        cancel();
        reject(signal.reason);
      }, { once: true });
    });
  }

  /** Runs on until `ms` from now, or until `until` holds; returns whether it does. */
  async advance(ms: number, until?: () => boolean): Promise<boolean> {
    const end = this.ns + ms * 1e6;
    for (;;) {
      await hop();
      if (until?.() === true) return true;
      let next: number | undefined;
      for (const [id, timer] of this.timers) {
        if (timer.at <= end && (next === undefined || timer.at < this.timers.get(next)!.at)) next = id;
      }
      if (next === undefined) break;
      const { at, run } = this.timers.get(next)!;
      this.timers.delete(next);
      this.ns = at;
      run();
    }
    this.ns = end;
    await hop();
    return until?.() ?? true;
  }
}
