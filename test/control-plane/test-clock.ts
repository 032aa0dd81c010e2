/**
 * A virtual clock for tests: a heap of timers; between two of them all promises settle (one setImmediate hop).
 * And a small seeded generator.
 */
import type { Cancel, Clock, Random } from "../../src/time/clock.ts";

interface Timer {
  at: number;
  sequence: number;
  run: () => void;
  cancelled: boolean;
}

const hop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export class TestClock implements Clock {
  private timers: Timer[] = [];
  private ns = 0;
  private sequence = 0;
  private readonly startMs = 1_900_000_000_000;

  nowNs(): number {
    return this.ns;
  }

  nowMs(): number {
    return this.startMs + this.ns / 1e6;
  }

  after(delayMs: number, run: () => void): Cancel {
    const timer = { at: this.ns + Math.max(0, Math.round(delayMs * 1e6)), sequence: this.sequence++, run, cancelled: false };
    this.timers.push(timer);
    return () => {
      timer.cancelled = true;
    };
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason);
        return;
      }
      const cancel = this.after(delayMs, resolve);
      signal?.addEventListener("abort", () => {
        cancel();
        reject(signal.reason);
      }, { once: true });
    });
  }

  /** Lets everything run that is due within `ms` from now. Returns how many timers fired. */
  async advance(ms: number): Promise<number> {
    const end = this.ns + ms * 1e6;
    let fired = 0;
    await hop();
    for (;;) {
      this.timers = this.timers.filter((t) => !t.cancelled);
      let next: Timer | undefined;
      for (const t of this.timers) if (t.at <= end && (next === undefined || t.at < next.at || (t.at === next.at && t.sequence < next.sequence))) next = t;
      if (next === undefined) break;
      next.cancelled = true;
      this.ns = Math.max(this.ns, next.at);
      next.run();
      fired++;
      await hop();
    }
    this.ns = end;
    return fired;
  }

  /** Advances in small steps until `condition` holds; fails after `limitMs` of virtual time. */
  async until(condition: () => boolean | Promise<boolean>, limitMs = 60_000): Promise<void> {
    const end = this.ns + limitMs * 1e6;
    await hop();
    while (!(await condition())) {
      if (this.ns >= end) throw new Error(`condition not met within ${limitMs} ms of virtual time`);
      await this.advance(10);
    }
  }
}

/** SplitMix32: enough chance for tests, the same in every run. */
export function testRandom(seed = 1): Random {
  let state = seed >>> 0;
  const uint32 = (): number => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return (z ^ (z >>> 16)) >>> 0;
  };
  const random: Random = {
    uint32,
    float: () => (uint32() * 0x200000 + (uint32() >>> 11)) / 2 ** 53,
    below: (bound) => Math.floor(((uint32() * 0x200000 + (uint32() >>> 11)) / 2 ** 53) * bound),
    bytes(into) {
      for (let i = 0; i < into.length; i++) into[i] = uint32() & 255;
      return into;
    },
    fork(label) {
      let hash = seed >>> 0;
      for (let i = 0; i < label.length; i++) hash = Math.imul(hash ^ label.charCodeAt(i), 0x01000193) >>> 0;
      return testRandom(hash);
    },
  };
  return random;
}
