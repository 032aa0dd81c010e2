/** Sets of completion indexes as text: `0,2-5`. Follows pkg/controller/job/indexed_job_utils.go. */

/** A set of indexes, kept as text like `0,2-5`. Follows orderedIntervals. */
export class Indexes {
  /** Disjoint, in order, first and last included. */
  private readonly intervals: readonly (readonly [number, number])[];

  constructor(intervals: readonly (readonly [number, number])[] = []) {
    this.intervals = intervals;
  }

  /** Indexes from `completions` on are left out. Unreadable text is none at all. Follows parseIndexesFromString. */
  static parse(text: string | undefined, completions: number): Indexes {
    const out: [number, number][] = [];
    for (const part of text === undefined || text === "" ? [] : text.split(",")) {
      const m = /^(\d+)(?:-(\d+))?$/.exec(part);
      if (m === null) return new Indexes();
      const first = Number(m[1]);
      const last = Number(m[2] ?? m[1]);
      if (first >= completions) break;
      push(out, first, Math.min(last, completions - 1));
    }
    return new Indexes(out);
  }

  get total(): number {
    return this.intervals.reduce((sum, [first, last]) => sum + last - first + 1, 0);
  }

  has(index: number): boolean {
    return this.intervals.some(([first, last]) => first <= index && index <= last);
  }

  /** With more of them. Follows withOrderedIndexes. */
  with(more: Iterable<number>): Indexes {
    return this.union(new Indexes([...more].map((index) => [index, index])));
  }

  union(other: Indexes): Indexes {
    const all = [...this.intervals, ...other.intervals].sort((a, b) => a[0] - b[0]);
    const out: [number, number][] = [];
    for (const [first, last] of all) push(out, first, last);
    return new Indexes(out);
  }

  /** How many of them are in the other one, too. */
  common(other: Indexes): number {
    let total = 0;
    for (const [a, b] of this.intervals) for (const [c, d] of other.intervals) total += Math.max(0, Math.min(b, d) - Math.max(a, c) + 1);
    return total;
  }

  /** The first `count` indexes below `completions` that are not in it. */
  missing(count: number, completions: number): number[] {
    const out: number[] = [];
    let next = 0;
    for (const [first, last] of [...this.intervals, [completions, completions] as const]) {
      for (; next < Math.min(first, completions) && out.length < count; next++) out.push(next);
      next = Math.max(next, last + 1);
    }
    return out;
  }

  toString(): string {
    return this.intervals.map(([first, last]) => (first === last ? `${first}` : last === first + 1 ? `${first},${last}` : `${first}-${last}`)).join(",");
  }
}

/** Adds an interval that begins not before the last one, joined with it where they touch. */
function push(intervals: [number, number][], first: number, last: number): void {
  const previous = intervals.at(-1);
  if (previous !== undefined && previous[1] >= first - 1) previous[1] = Math.max(previous[1], last);
  else intervals.push([first, last]);
}
