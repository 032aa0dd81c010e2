/**
 * Time and chance as everything under `src/` sees them. Both come from outside: in virtual time from
 * `loop.ts`, in real time from an adapter in `runtimes/`. Nothing else may ask the host for either.
 */

/** Takes back a timer; calling it after the timer fired, or twice, does nothing. */
export type Cancel = () => void;

/** The clock of one site (the control plane, or one node). */
export interface Clock {
  /** Nanoseconds since the cluster was created: an exact integer, never going back. */
  nowNs(): number;
  /** Milliseconds since the Unix epoch, with fractions: what objects' timestamps are made of. */
  nowMs(): number;
  /** Calls `run` once, `delayMs` from now (at least one event later, even for 0). */
  after(delayMs: number, run: () => void): Cancel;
  /** Resolves `delayMs` from now. Rejects with `signal.reason` as soon as `signal` aborts. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

/** A seeded stream of random numbers; each user forks its own, so that no stream depends on another's use. */
export interface Random {
  /** The next 32 bits, as an unsigned integer. */
  uint32(): number;
  /** A number in [0, 1) with 53 random bits. */
  float(): number;
  /** An integer in [0, bound), unbiased. */
  below(bound: number): number;
  /** Fills `into` with random bytes and returns it. */
  bytes(into: Uint8Array): Uint8Array;
  /** An independent stream, decided by this stream's seed and `label` alone (not by how much was drawn). */
  fork(label: string): Random;
}
