// xoshiro128** (Blackman, Vigna: "Scrambled linear pseudorandom number generators", 2018), seeded by splitmix32 per node.
import { Node } from "../layout";
import { node } from "./node";

function splitmix(seed: u32): u32 {
  let z = seed;
  z = (z ^ (z >>> 16)) * 0x85ebca6b;
  z = (z ^ (z >>> 13)) * 0xc2b2ae35;
  return z ^ (z >>> 16);
}

export function rngSeed(n: Node, seed: u32): void {
  n.rng0 = splitmix(seed + 0x9e3779b9);
  n.rng1 = splitmix(seed + 0x3c6ef372);
  n.rng2 = splitmix(seed + 0xdaa66d2b);
  n.rng3 = splitmix(seed + 0x78dde6e4) | 1;
}

/** The next 32 random bits of the node. */
export function random32(): u32 {
  const n = node();
  const result = rotl<u32>(n.rng1 * 5, 7) * 9;
  const t = n.rng1 << 9;
  n.rng2 ^= n.rng0;
  n.rng3 ^= n.rng1;
  n.rng1 ^= n.rng2;
  n.rng0 ^= n.rng3;
  n.rng2 ^= t;
  n.rng3 = rotl<u32>(n.rng3, 11);
  return result;
}

/** A number below `bound` as the kernel's get_random_u32_below gives it: multiply and shift. */
export function randomBelow(bound: u32): u32 {
  return <u32>((<u64>random32() * <u64>bound) >> 32);
}
