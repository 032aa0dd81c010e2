// Tracked numbers, kernel/bpf/tnum.c: what is known of each bit of a 64-bit value. A bit set in `mask` is unknown and
// then clear in `value`. Both are unsigned BigInts below 2^64; a Tnum is never changed once made.

export interface Tnum {
  readonly value: bigint;
  readonly mask: bigint;
}

export const U64_MAX = 0xffff_ffff_ffff_ffffn;
const LOW = 0xffff_ffffn;

/** Nothing known. */
export const TNUM_UNKNOWN: Tnum = { value: 0n, mask: U64_MAX };
const TNUM_ZERO: Tnum = { value: 0n, mask: 0n };

const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);
const make = (value: bigint, mask: bigint): Tnum => ({ value, mask });

/** tnum_const: exactly `value` (any BigInt; taken modulo 2^64). */
export const tnumConst = (value: bigint): Tnum => (value === 0n ? TNUM_ZERO : make(u64(value), 0n));

/** Number of bits of an unsigned 64-bit value: fls64. */
export function fls64(value: bigint): number {
  const high = Number(value >> 32n);
  return high !== 0 ? 64 - Math.clz32(high) : 32 - Math.clz32(Number(value & LOW));
}

/** tnum_range: the smallest tnum that holds min..max, unsigned. */
export function tnumRange(min: bigint, max: bigint): Tnum {
  if (min === max) return tnumConst(min);
  const bits = fls64(min ^ max);
  if (bits > 63) return TNUM_UNKNOWN;
  const delta = (1n << BigInt(bits)) - 1n;
  return make(min & ~delta, delta);
}

export const tnumIsConst = (a: Tnum): boolean => a.mask === 0n;
export const tnumIsUnknown = (a: Tnum): boolean => a.mask === U64_MAX;

export const tnumLshift = (a: Tnum, shift: number): Tnum =>
  make(u64(a.value << BigInt(shift)), u64(a.mask << BigInt(shift)));

export const tnumRshift = (a: Tnum, shift: number): Tnum => make(a.value >> BigInt(shift), a.mask >> BigInt(shift));

/** tnum_arshift: the sign bit is that of a value of `bitness` (32 or 64) bits. */
export function tnumArshift(a: Tnum, shift: number, bitness: number): Tnum {
  const by = BigInt(shift);
  return make(
    BigInt.asUintN(bitness, BigInt.asIntN(bitness, a.value) >> by),
    BigInt.asUintN(bitness, BigInt.asIntN(bitness, a.mask) >> by),
  );
}

export function tnumAdd(a: Tnum, b: Tnum): Tnum {
  if (a.mask === 0n && b.mask === 0n) return tnumConst(a.value + b.value);
  const masks = u64(a.mask + b.mask);
  const values = u64(a.value + b.value);
  const chi = u64(masks + values) ^ values;
  const mu = chi | a.mask | b.mask;
  return make(values & ~mu, mu);
}

export function tnumSub(a: Tnum, b: Tnum): Tnum {
  if (a.mask === 0n && b.mask === 0n) return tnumConst(a.value - b.value);
  const difference = u64(a.value - b.value);
  const chi = u64(difference + a.mask) ^ u64(difference - b.mask);
  const mu = chi | a.mask | b.mask;
  return make(difference & ~mu, mu);
}

export const tnumNeg = (a: Tnum): Tnum => tnumSub(TNUM_ZERO, a);

export function tnumAnd(a: Tnum, b: Tnum): Tnum {
  const alpha = a.value | a.mask;
  const beta = b.value | b.mask;
  const value = a.value & b.value;
  return make(value, alpha & beta & ~value);
}

export function tnumOr(a: Tnum, b: Tnum): Tnum {
  const value = a.value | b.value;
  return make(value, (a.mask | b.mask) & ~value);
}

export function tnumXor(a: Tnum, b: Tnum): Tnum {
  const value = a.value ^ b.value;
  const mu = a.mask | b.mask;
  return make(value & ~mu, mu);
}

/** tnum_union: what holds of a value that is in one or the other. */
export function tnumUnion(a: Tnum, b: Tnum): Tnum {
  const mu = (a.value ^ b.value) | a.mask | b.mask;
  return make(a.value & b.value & ~mu, mu);
}

/** tnum_mul: long multiplication; an unknown bit of `a` joins the sums with and without it. */
export function tnumMul(a: Tnum, b: Tnum): Tnum {
  if (a.mask === 0n && b.mask === 0n) return tnumConst(a.value * b.value);
  let sum = TNUM_ZERO;
  let { value, mask } = a;
  let term = b;
  while (value !== 0n || mask !== 0n) {
    if ((value & 1n) !== 0n) sum = tnumAdd(sum, term);
    else if ((mask & 1n) !== 0n) sum = tnumUnion(sum, tnumAdd(sum, term));
    value >>= 1n;
    mask >>= 1n;
    term = tnumLshift(term, 1);
  }
  return sum;
}

/** tnum_overlap: whether some number is in both. */
export function tnumOverlap(a: Tnum, b: Tnum): boolean {
  const known = ~a.mask & ~b.mask;
  return (a.value & known) === (b.value & known);
}

/** tnum_intersect: of a value that is in both; they must overlap for the answer to mean anything. */
export function tnumIntersect(a: Tnum, b: Tnum): Tnum {
  const mu = a.mask & b.mask;
  return make((a.value | b.value) & ~mu, mu);
}

function swapBytes(value: bigint, size: number): bigint {
  let swapped = 0n;
  for (let i = 0; i < size; i++) swapped = (swapped << 8n) | ((value >> BigInt(i * 8)) & 0xffn);
  return swapped;
}

/** tnum_bswap16, 32 and 64: the lowest `size` bytes in reverse; the rest is gone. */
export const tnumSwap = (a: Tnum, size: number): Tnum => make(swapBytes(a.value, size), swapBytes(a.mask, size));

/** tnum_cast to `size` bytes. */
export function tnumCast(a: Tnum, size: number): Tnum {
  return make(BigInt.asUintN(size * 8, a.value), BigInt.asUintN(size * 8, a.mask));
}

/** tnum_is_aligned to a power of two. */
export const tnumIsAligned = (a: Tnum, size: number): boolean => ((a.value | a.mask) & BigInt(size - 1)) === 0n;

/** tnum_in: whether every number of `b` is in `a`. */
export function tnumIn(a: Tnum, b: Tnum): boolean {
  if ((b.mask & ~a.mask) !== 0n) return false;
  return a.value === (b.value & ~a.mask);
}

export const tnumSubreg = (a: Tnum): Tnum => make(a.value & LOW, a.mask & LOW);
export const tnumClearSubreg = (a: Tnum): Tnum => make(a.value & ~LOW, a.mask & ~LOW);
export const tnumSubregIsConst = (a: Tnum): boolean => (a.mask & LOW) === 0n;
/** tnum_with_subreg: the upper half of `a` and the lower one of `sub`. */
export const tnumWithSubreg = (a: Tnum, sub: Tnum): Tnum =>
  make((a.value & ~LOW) | (sub.value & LOW), (a.mask & ~LOW) | (sub.mask & LOW));
export const tnumConstSubreg = (a: Tnum, value: number): Tnum => tnumWithSubreg(a, tnumConst(BigInt(value >>> 0)));

/** tnum_strn: `(0x0; 0xff)`; a constant is just its value. */
export function tnumString(a: Tnum): string {
  if (a.mask === 0n) return a.value === 0n ? "0" : `0x${a.value.toString(16)}`;
  return `(0x${a.value.toString(16)}; 0x${a.mask.toString(16)})`;
}
