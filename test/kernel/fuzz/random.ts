/** Chance from a seed: the same seed, the same run. */
export interface Dice {
  /** 0 <= n < bound. */
  below(bound: number): number;
  /** lo <= n <= hi. */
  from(lo: number, hi: number): number;
  /** True once in `n` times. */
  once(n: number): boolean;
  pick<T>(list: readonly T[]): T;
  /** One of the alternatives by weight. */
  weighted<T>(list: readonly (readonly [number, T])[]): T;
  shuffle<T>(list: T[]): T[];
}

/** mulberry32. */
export function dice(...seeds: readonly number[]): Dice {
  let state = 0x9e3779b9;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
  for (const seed of seeds) state = (next() ^ seed) >>> 0;
  const below = (bound: number): number => Math.floor((next() / 2 ** 32) * bound);
  return {
    below,
    from: (lo, hi) => lo + below(hi - lo + 1),
    once: (n) => below(n) === 0,
    pick: (list) => list[below(list.length)]!,
    weighted(list) {
      let at = below(list.reduce((sum, [weight]) => sum + weight, 0));
      for (const [weight, value] of list) {
        if (at < weight) return value;
        at -= weight;
      }
      return list[0]![1];
    },
    shuffle(list) {
      for (let i = list.length - 1; i > 0; i--) {
        const j = below(i + 1);
        [list[i], list[j]] = [list[j]!, list[i]!];
      }
      return list;
    },
  };
}
