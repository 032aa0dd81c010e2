/**
 * A site: one sequential place of the cluster (docs/architecture.md, "Sites, windows and virtual time"). It owns a clock and a
 * queue of what is to happen, and hears from other sites only through messages.
 */
import type { Cancel, Clock, Random } from "./clock.ts";

/** What goes from one site to another. `data` must survive a structured clone: sites may be on different threads. */
export interface SiteMessage {
  readonly to: number;
  readonly from: number;
  /** When it arrives, in ns. */
  readonly timeNs: number;
  /** Counts the sender's messages: with `timeNs` and `from` it orders all arrivals. */
  readonly sequence: number;
  /** Which of the receiver's handlers gets it. */
  readonly port: string;
  readonly data: unknown;
}

/** A machine inside the site that has events of its own: the kernel of a node. */
export interface SiteEngine {
  /** When the engine wants to run next, in ns (Infinity: not by itself). */
  deadlineNs(): number;
  /** True when it has work at the present instant. */
  readonly pending: boolean;
  /** Runs everything due at `nowNs`; returns the clock afterwards (work takes time). */
  run(nowNs: number): number;
}

interface Entry {
  readonly timeNs: number;
  /** Messages sort by sender, timers of the site itself come after all messages of the same instant. */
  readonly source: number;
  readonly sequence: number;
  run: (() => void) | undefined;
}

const TIMERS = Number.MAX_SAFE_INTEGER;

const before = (a: Entry, b: Entry): boolean =>
  a.timeNs !== b.timeNs ? a.timeNs < b.timeNs : a.source !== b.source ? a.source < b.source : a.sequence < b.sequence;

/** A binary heap of entries. */
class Queue {
  readonly #entries: Entry[] = [];

  get first(): Entry | undefined {
    return this.#entries[0];
  }

  push(entry: Entry): void {
    const heap = this.#entries;
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as Entry;
      if (!before(entry, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = entry;
  }

  clear(): void {
    this.#entries.length = 0;
  }

  shift(): void {
    const heap = this.#entries;
    const last = heap.pop() as Entry;
    const size = heap.length;
    if (size === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && before(heap[child + 1] as Entry, heap[child] as Entry)) child++;
      if (!before(heap[child] as Entry, last)) break;
      heap[at] = heap[child] as Entry;
      at = child;
    }
    heap[at] = last;
  }
}

export interface SiteOptions {
  readonly name: string;
  /** The site's number: the same for the same place, whatever thread it is on. */
  readonly index: number;
  /** The Unix time, in ms, of the cluster's first instant. */
  readonly epochMs: number;
  readonly random: Random;
  /** Takes what this site sends. */
  readonly post: (message: SiteMessage) => void;
}

export class Site implements Clock {
  readonly name: string;
  readonly index: number;
  readonly random: Random;
  /** Set when something ran that may have woken promises: the loop lets them settle before the next event. */
  dirty = false;
  readonly #epochMs: number;
  readonly #post: (message: SiteMessage) => void;
  readonly #queue = new Queue();
  readonly #ports = new Map<string, (data: unknown, from: number) => void>();
  #engine: SiteEngine | undefined;
  #now = 0;
  #timers = 0;
  #sent = 0;

  constructor(options: SiteOptions) {
    this.name = options.name;
    this.index = options.index;
    this.random = options.random;
    this.#epochMs = options.epochMs;
    this.#post = options.post;
  }

  nowNs(): number {
    return this.#now;
  }

  nowMs(): number {
    return this.#epochMs + this.#now / 1e6;
  }

  after(delayMs: number, run: () => void): Cancel {
    const delayNs = delayMs > 0 ? Math.ceil(delayMs * 1e6) : 0;
    const entry: Entry = { timeNs: this.#now + delayNs, source: TIMERS, sequence: this.#timers++, run };
    this.#queue.push(entry);
    return () => {
      entry.run = undefined;
    };
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const abort = (): void => {
        cancel();
        reject(signal?.reason);
      };
      const cancel = this.after(delayMs, () => {
        signal?.removeEventListener("abort", abort);
        resolve();
      });
      signal?.addEventListener("abort", abort, { once: true });
    });
  }

  /** Forgets all that was to happen here, the engine and every handler: the machine has crashed. Handlers may be set anew. */
  crash(): void {
    this.#engine = undefined;
    this.#ports.clear();
    this.#queue.clear();
  }

  /** Gives the site its engine: the kernel of its node. */
  attach(engine: SiteEngine): void {
    this.#engine = engine;
  }

  /** Handles messages to `port`. */
  listen(port: string, handler: (data: never, from: number) => void): void {
    this.#ports.set(port, handler as (data: unknown, from: number) => void);
  }

  /** Sends to another site; `latencyNs` must be at least the window. */
  send(to: number, port: string, data: unknown, latencyNs: number): void {
    this.sendAt(to, port, data, this.#now + latencyNs);
  }

  /** The same with the time of arrival: for what left at another moment than now. */
  sendAt(to: number, port: string, data: unknown, timeNs: number): void {
    this.#post({ to, from: this.index, timeNs, sequence: this.#sent++, port, data });
  }

  /** Takes in a message of another site. */
  receive(message: SiteMessage): void {
    const { timeNs, from, sequence, port, data } = message;
    this.#queue.push({ timeNs, source: from, sequence, run: () => this.#ports.get(port)?.(data, from) });
  }

  /** When something happens here next, in ns; Infinity: never, as things are. */
  nextNs(): number {
    if (this.#engine?.pending) return this.#now;
    let first = this.#queue.first;
    while (first !== undefined && first.run === undefined) {
      this.#queue.shift(); // cancelled
      first = this.#queue.first;
    }
    const next = Math.min(first === undefined ? Infinity : first.timeNs, this.#engine?.deadlineNs() ?? Infinity);
    // What fell due while the CPU was busy runs as soon as it is free.
    return next < this.#now ? this.#now : next;
  }

  /** Runs the next event if it is due before `endNs`; false when there is none. */
  step(endNs: number): boolean {
    const next = this.nextNs();
    if (next >= endNs) return false;
    const engine = this.#engine;
    if (engine?.pending) {
      this.#now = engine.run(this.#now);
      return true;
    }
    this.#now = next;
    const first = this.#queue.first;
    if (first !== undefined && first.timeNs <= next) {
      this.#queue.shift();
      this.dirty = true;
      first.run?.();
    } else if (engine !== undefined) {
      this.#now = engine.run(next);
    }
    return true;
  }

  /** The clock of a site where nothing happens is moved on, so that new work starts from `timeNs`. */
  advanceTo(timeNs: number): void {
    if (timeNs > this.#now) this.#now = timeNs;
  }
}
