/**
 * The seeded generator: xoshiro128** (Blackman and Vigna, 2018), the same as the kernel's (assembly/mm/rng.ts), seeded
 * through MurmurHash3's finaliser. Not for secrets: it is the cluster's chance, not its cryptography.
 */
import type { Random } from "./clock.ts";

const mix = (seed: number): number => {
  let z = seed | 0;
  z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
  z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
  return (z ^ (z >>> 16)) >>> 0;
};

/** FNV-1a over the UTF-16 code units of a label. */
const hashLabel = (seed: number, label: string): number => {
  let h = (seed ^ 0x811c9dc5) | 0;
  for (let i = 0; i < label.length; i++) h = Math.imul(h ^ label.charCodeAt(i), 0x01000193);
  return mix(h);
};

/** A stream decided by `seed` (its low 32 bits). */
export const newRandom = (seed: number): Random => {
  const root = seed >>> 0;
  let a = mix(root + 0x9e3779b9);
  let b = mix(root + 0x3c6ef372);
  let c = mix(root + 0xdaa66d2b);
  let d = mix(root + 0x78dde6e4) | 1;

  const uint32 = (): number => {
    const product = Math.imul(b, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = (d << 11) | (d >>> 21);
    return result;
  };

  return {
    uint32,
    float: () => (uint32() >>> 5) * 2 ** -27 + (uint32() >>> 6) * 2 ** -53,
    below(bound) {
      // Rejection keeps it unbiased; the limit is the largest multiple of bound below 2^32.
      const limit = 4294967296 - (4294967296 % bound);
      for (;;) {
        const value = uint32();
        if (value < limit) return value % bound;
      }
    },
    bytes(into) {
      for (let i = 0; i < into.length; i++) into[i] = uint32() >>> 24;
      return into;
    },
    fork: (label) => newRandom(hashLabel(root, label)),
  };
};
