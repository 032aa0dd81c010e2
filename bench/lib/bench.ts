/** What scripts/bench.mjs gives to a bench, and wants from it. */

/** A bundled program, run in a fresh process each time. */
export interface Program {
  /** What the program printed as its last line, as JSON. */
  run(...args: string[]): Promise<unknown>;
  dispose(): void;
}

export interface Bench {
  /** Path from the root of the repository. `pinned: false`: not to one core, for a program with threads. `flags`: of the runtime. `timeoutMs`: default ten minutes. */
  prepare(path: string, options?: { readonly pinned?: boolean; readonly flags?: readonly string[]; readonly timeoutMs?: number }): Promise<Program>;
  /** How often to measure. */
  readonly runs: number;
}

export interface Measured {
  readonly text: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** The middle value; the mean of the two middle ones for an even number. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  const upper = sorted[half] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? Number.NaN) + upper) / 2;
}
