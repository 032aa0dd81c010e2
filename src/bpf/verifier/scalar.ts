// Ranges of scalars: how the four ranges (unsigned and signed, 64 and 32 bits) and the known bits of a value refine
// each other, and what each arithmetic operation does to them. kernel/bpf/verifier.c: reg_bounds_sync,
// scalar_min_max_* and adjust_scalar_min_max_vals.

import * as op from "../insn.ts";
import { type RegState, S32_MAX, S32_MIN, S64_MAX, S64_MIN, U32_MAX, SCALAR_VALUE } from "./reg.ts";
import {
  TNUM_UNKNOWN, U64_MAX, tnumAdd, tnumAnd, tnumArshift, tnumClearSubreg, tnumConstSubreg, tnumIntersect, tnumLshift,
  tnumMul, tnumNeg, tnumOr, tnumRange, tnumRshift, tnumSub, tnumSubreg, tnumSubregIsConst, tnumCast, tnumSwap, tnumXor,
} from "./tnum.ts";

const LOW = 0xffff_ffffn;
const HIGH = 0xffff_ffff_0000_0000n;
const low32 = (value: bigint): number => Number(value & LOW);

function updateReg32Bounds(reg: RegState): void {
  const value = low32(reg.varOff.value);
  const mask = low32(reg.varOff.mask);
  const smin = value | (mask & S32_MIN);
  const smax = value | (mask & S32_MAX);
  if (smin > reg.s32min) reg.s32min = smin;
  if (smax < reg.s32max) reg.s32max = smax;
  if (value > reg.u32min) reg.u32min = value;
  const umax = (value | mask) >>> 0;
  if (umax < reg.u32max) reg.u32max = umax;
}

function updateReg64Bounds(reg: RegState): void {
  const { value, mask } = reg.varOff;
  const signed = mask >> 63n === 1n;
  const smin = signed ? BigInt.asIntN(64, value | 0x8000_0000_0000_0000n) : BigInt.asIntN(64, value);
  const smax = BigInt.asIntN(64, value | (mask & 0x7fff_ffff_ffff_ffffn));
  if (smin > reg.smin) reg.smin = smin;
  if (smax < reg.smax) reg.smax = smax;
  if (value > reg.umin) reg.umin = value;
  const umax = value | mask;
  if (umax < reg.umax) reg.umax = umax;
}

/** __update_reg_bounds: ranges from known bits. */
export function updateRegBounds(reg: RegState): void {
  updateReg32Bounds(reg);
  updateReg64Bounds(reg);
}

function learnS32(reg: RegState, min: number, max: number): void {
  if (min > reg.s32min) reg.s32min = min;
  if (max < reg.s32max) reg.s32max = max;
}

function learnU32(reg: RegState, min: number, max: number): void {
  if (min > reg.u32min) reg.u32min = min;
  if (max < reg.u32max) reg.u32max = max;
}

function deduce32(reg: RegState): void {
  const uminHigh = Number(reg.umin >> 32n);
  const umaxHigh = Number(reg.umax >> 32n);
  const uminLow = low32(reg.umin);
  const umaxLow = low32(reg.umax);
  if (uminHigh === umaxHigh) {
    learnU32(reg, uminLow, umaxLow);
    if ((uminLow | 0) <= (umaxLow | 0)) learnS32(reg, uminLow | 0, umaxLow | 0);
  }
  const sminHigh = Number(reg.smin >> 32n);
  const smaxHigh = Number(reg.smax >> 32n);
  const sminLow = low32(reg.smin);
  const smaxLow = low32(reg.smax);
  if (sminHigh === smaxHigh) {
    if (sminLow <= smaxLow) learnU32(reg, sminLow, smaxLow);
    if ((sminLow | 0) <= (smaxLow | 0)) learnS32(reg, sminLow | 0, smaxLow | 0);
  }
  // Two neighbouring upper halves: the lower half runs from a negative number through -1 and 0 to a positive one.
  if ((uminHigh + 1) >>> 0 === umaxHigh && (uminLow | 0) < 0 && (umaxLow | 0) >= 0) {
    learnS32(reg, uminLow | 0, umaxLow | 0);
  }
  if ((sminHigh + 1) >>> 0 === smaxHigh >>> 0 && (sminLow | 0) < 0 && (smaxLow | 0) >= 0) {
    learnS32(reg, sminLow | 0, smaxLow | 0);
  }
  if ((reg.u32min | 0) <= (reg.u32max | 0)) learnS32(reg, reg.u32min | 0, reg.u32max | 0);
  if (reg.s32min >>> 0 <= reg.s32max >>> 0) learnU32(reg, reg.s32min >>> 0, reg.s32max >>> 0);
}

function deduce64(reg: RegState): void {
  // An unsigned range within one half of the numbers is a signed one too.
  const sumin = BigInt.asIntN(64, reg.umin);
  const sumax = BigInt.asIntN(64, reg.umax);
  if (sumin <= sumax) {
    if (sumin > reg.smin) reg.smin = sumin;
    if (sumax < reg.smax) reg.smax = sumax;
  }
  const usmin = BigInt.asUintN(64, reg.smin);
  const usmax = BigInt.asUintN(64, reg.smax);
  if (usmin <= usmax) {
    if (usmin > reg.umin) reg.umin = usmin;
    if (usmax < reg.umax) reg.umax = usmax;
  } else if (reg.umax < usmin) {
    // The signed range crosses 0: as unsigned numbers it is two ends, and only the lower meets the unsigned range.
    reg.smin = BigInt.asIntN(64, reg.umin);
    if (usmax < reg.umax) reg.umax = usmax;
  } else if (usmax < reg.umin) {
    reg.smax = BigInt.asIntN(64, reg.umax);
    if (usmin > reg.umin) reg.umin = usmin;
  }
}

function deduceMixed(reg: RegState): void {
  const low = BigInt(reg.u32min);
  const high = BigInt(reg.u32max);
  const umin = (reg.umin & HIGH) | low;
  const umax = (reg.umax & HIGH) | high;
  if (umin > reg.umin) reg.umin = umin;
  if (umax < reg.umax) reg.umax = umax;
  const smin = BigInt.asIntN(64, (BigInt.asUintN(64, reg.smin) & HIGH) | low);
  const smax = BigInt.asIntN(64, (BigInt.asUintN(64, reg.smax) & HIGH) | high);
  if (smin > reg.smin) reg.smin = smin;
  if (smax < reg.smax) reg.smax = smax;
  // A value within s32 (after a sign-extending load) whose lower half is not negative has no upper half.
  if (reg.s32min >= 0 && reg.smin >= BigInt(S32_MIN) && reg.smax <= BigInt(S32_MAX)) {
    reg.smin = reg.umin = BigInt(reg.s32min);
    reg.smax = reg.umax = BigInt(reg.s32max);
    reg.varOff = tnumIntersect(reg.varOff, tnumRange(reg.umin, reg.umax));
  }
}

/** One round; false when it told nothing new. */
function deduce(reg: RegState): boolean {
  const { umin, umax, smin, smax, u32min, u32max, s32min, s32max } = reg;
  deduce32(reg);
  deduce64(reg);
  deduceMixed(reg);
  return reg.u32min !== u32min || reg.u32max !== u32max || reg.s32min !== s32min || reg.s32max !== s32max ||
    reg.umin !== umin || reg.umax !== umax || reg.smin !== smin || reg.smax !== smax;
}

const S32_END = 0x8000_0000n;

/**
 * regBoundsSync of a number that is at least 0 and below 2^31: its four ranges are one, which plain numbers hold. False
 * when it is not one, or its ranges contradict each other.
 */
function syncSmall(reg: RegState): boolean {
  const { value, mask } = reg.varOff;
  if (reg.umax >= S32_END || value >= S32_END || reg.smax < 0n || (reg.smin > 0n && reg.smax >= S32_END)) return false;
  let low = Math.max(Number(reg.umin), reg.u32min, reg.s32min, Number(value));
  if (reg.smin > 0n) low = Math.max(low, Number(reg.smin));
  // Bits from 31 on are 0, whatever the mask still says.
  const known = Number(value);
  const unknown = Number(mask & LOW) & S32_MAX;
  let high = Math.min(Number(reg.umax), reg.u32max, known | unknown);
  if (reg.s32max < high) high = reg.s32max;
  if (reg.smax < S32_END) high = Math.min(high, Number(reg.smax));
  if (low > high || low < 0) return false;
  // tnum_range and tnum_intersect of 31 bits.
  const bits = 32 - Math.clz32(low ^ high);
  const spread = 2 ** bits - 1;
  const mu = spread & unknown;
  const merged = (known | (low & ~spread)) & ~mu;
  low = Math.max(low, merged);
  high = Math.min(high, merged | mu);
  if (low > high) return false;
  reg.u32min = reg.s32min = low;
  reg.u32max = reg.s32max = high;
  const min = BigInt(low);
  const max = low === high ? min : BigInt(high);
  reg.umin = reg.smin = min;
  reg.umax = reg.smax = max;
  reg.varOff = { value: BigInt(merged), mask: BigInt(mu) };
  return true;
}

/** reg_bounds_sync: makes ranges and known bits agree as far as three rounds of deduction go. */
export function regBoundsSync(reg: RegState): void {
  if (
    reg.varOff.mask === U64_MAX && reg.umin === 0n && reg.umax === U64_MAX && reg.smin === S64_MIN &&
    reg.smax === S64_MAX && reg.u32min === 0 && reg.u32max === U32_MAX && reg.s32min === S32_MIN && reg.s32max === S32_MAX
  ) return;
  if (syncSmall(reg)) return;
  syncAny(reg);
}

/** regBoundsSync for whatever ranges. */
export function syncAny(reg: RegState): void {
  updateRegBounds(reg);
  for (let round = 0; round < 3 && deduce(reg); round++);
  const var64 = tnumIntersect(reg.varOff, tnumRange(reg.umin, reg.umax));
  const var32 = tnumIntersect(tnumSubreg(var64), tnumRange(BigInt(reg.u32min), BigInt(reg.u32max)));
  reg.varOff = tnumOr(tnumClearSubreg(var64), var32);
  updateRegBounds(reg);
}

/**
 * reg_bounds_sanity_check: whether ranges and bits contradict each other. Then they are of a path that no run can
 * take; the ranges are forgotten. Returns what is wrong, in the kernel's words, or "".
 */
export function regBoundsContradict(reg: RegState): string {
  let why = "";
  if (reg.umin > reg.umax || reg.smin > reg.smax || reg.u32min > reg.u32max || reg.s32min > reg.s32max) {
    why = "range bounds violation";
  } else if (reg.varOff.mask === 0n) {
    const value = reg.varOff.value;
    const signed = BigInt.asIntN(64, value);
    if (reg.umin !== value || reg.umax !== value || reg.smin !== signed || reg.smax !== signed) {
      why = "const tnum out of sync with range bounds";
    }
  }
  if (why === "" && tnumSubregIsConst(reg.varOff)) {
    const value = low32(reg.varOff.value);
    if (reg.u32min !== value || reg.u32max !== value || reg.s32min !== (value | 0) || reg.s32max !== (value | 0)) {
      why = "const subreg tnum out of sync with range bounds";
    }
  }
  if (why !== "") reg.unbounded();
  return why;
}

/** __mark_reg32_known. */
function markReg32Known(reg: RegState, value: number): void {
  reg.varOff = tnumConstSubreg(reg.varOff, value);
  reg.u32min = reg.u32max = value >>> 0;
  reg.s32min = reg.s32max = value | 0;
}

/** zext_32_to_64: the upper half becomes 0. */
export function zext32to64(reg: RegState): void {
  reg.varOff = tnumSubreg(reg.varOff);
  reg.umin = BigInt(reg.u32min);
  reg.umax = BigInt(reg.u32max);
  if (reg.s32min >= 0 && reg.s32max >= 0) {
    reg.smin = BigInt(reg.s32min);
    reg.smax = BigInt(reg.s32max);
  } else {
    reg.smin = 0n;
    reg.smax = LOW;
  }
}

const outOfS64 = (value: bigint): boolean => value < S64_MIN || value > S64_MAX;
const outOfS32 = (value: number): boolean => value < S32_MIN || value > S32_MAX;

function add32(dst: RegState, src: RegState): void {
  const smin = dst.s32min + src.s32min;
  const smax = dst.s32max + src.s32max;
  const bounded = !outOfS32(smin) && !outOfS32(smax);
  dst.s32min = bounded ? smin : S32_MIN;
  dst.s32max = bounded ? smax : S32_MAX;
  const umin = dst.u32min + src.u32min;
  const umax = dst.u32max + src.u32max;
  // All sums wrap or none does: then the ends still bound them.
  const wraps = umin <= U32_MAX && umax > U32_MAX;
  dst.u32min = wraps ? 0 : umin >>> 0;
  dst.u32max = wraps ? U32_MAX : umax >>> 0;
}

function add64(dst: RegState, src: RegState): void {
  const smin = dst.smin + src.smin;
  const smax = dst.smax + src.smax;
  const bounded = !outOfS64(smin) && !outOfS64(smax);
  dst.smin = bounded ? smin : S64_MIN;
  dst.smax = bounded ? smax : S64_MAX;
  const umin = dst.umin + src.umin;
  const umax = dst.umax + src.umax;
  const wraps = umin <= U64_MAX && umax > U64_MAX;
  dst.umin = wraps ? 0n : BigInt.asUintN(64, umin);
  dst.umax = wraps ? U64_MAX : BigInt.asUintN(64, umax);
}

function sub32(dst: RegState, src: RegState): void {
  const smin = dst.s32min - src.s32max;
  const smax = dst.s32max - src.s32min;
  const bounded = !outOfS32(smin) && !outOfS32(smax);
  dst.s32min = bounded ? smin : S32_MIN;
  dst.s32max = bounded ? smax : S32_MAX;
  const umin = dst.u32min - src.u32max;
  const umax = dst.u32max - src.u32min;
  const wraps = umin < 0 && umax >= 0;
  dst.u32min = wraps ? 0 : umin >>> 0;
  dst.u32max = wraps ? U32_MAX : umax >>> 0;
}

function sub64(dst: RegState, src: RegState): void {
  const smin = dst.smin - src.smax;
  const smax = dst.smax - src.smin;
  const bounded = !outOfS64(smin) && !outOfS64(smax);
  dst.smin = bounded ? smin : S64_MIN;
  dst.smax = bounded ? smax : S64_MAX;
  const umin = dst.umin - src.umax;
  const umax = dst.umax - src.umin;
  const wraps = umin < 0n && umax >= 0n;
  dst.umin = wraps ? 0n : BigInt.asUintN(64, umin);
  dst.umax = wraps ? U64_MAX : BigInt.asUintN(64, umax);
}

function mul32(dst: RegState, src: RegState): void {
  const umax = BigInt(dst.u32max) * BigInt(src.u32max);
  const wraps = umax > LOW;
  dst.u32min = wraps ? 0 : dst.u32min * src.u32min;
  dst.u32max = wraps ? U32_MAX : Number(umax);
  const products = [
    BigInt(dst.s32min) * BigInt(src.s32min), BigInt(dst.s32min) * BigInt(src.s32max),
    BigInt(dst.s32max) * BigInt(src.s32min), BigInt(dst.s32max) * BigInt(src.s32max),
  ].map(Number);
  const bounded = !products.some(outOfS32);
  dst.s32min = bounded ? Math.min(...products) | 0 : S32_MIN;
  dst.s32max = bounded ? Math.max(...products) | 0 : S32_MAX;
}

function mul64(dst: RegState, src: RegState): void {
  const umax = dst.umax * src.umax;
  const wraps = umax > U64_MAX;
  dst.umin = wraps ? 0n : dst.umin * src.umin;
  dst.umax = wraps ? U64_MAX : umax;
  let min = S64_MAX;
  let max = S64_MIN;
  let bounded = true;
  for (const a of [dst.smin, dst.smax]) {
    for (const b of [src.smin, src.smax]) {
      const product = a * b;
      if (outOfS64(product)) bounded = false;
      if (product < min) min = product;
      if (product > max) max = product;
    }
  }
  dst.smin = bounded ? min : S64_MIN;
  dst.smax = bounded ? max : S64_MAX;
}

/** Signed ranges after a bitwise operation: the unsigned one where it does not cross the sign. */
function signedFromUnsigned32(reg: RegState): void {
  const one = (reg.u32min | 0) <= (reg.u32max | 0);
  reg.s32min = one ? reg.u32min | 0 : S32_MIN;
  reg.s32max = one ? reg.u32max | 0 : S32_MAX;
}

function signedFromUnsigned64(reg: RegState): void {
  const smin = BigInt.asIntN(64, reg.umin);
  const smax = BigInt.asIntN(64, reg.umax);
  const one = smin <= smax;
  reg.smin = one ? smin : S64_MIN;
  reg.smax = one ? smax : S64_MAX;
}

/** BPF_AND, BPF_OR, BPF_XOR: the known bits are those of the result already. */
function bitwise32(dst: RegState, src: RegState, operation: number, bothKnown: boolean): void {
  const value = low32(dst.varOff.value);
  const most = (value | low32(dst.varOff.mask)) >>> 0;
  if (bothKnown) return markReg32Known(dst, value);
  if (operation === op.BPF_AND) {
    dst.u32min = value;
    dst.u32max = Math.min(dst.u32max, src.u32max);
  } else {
    dst.u32min = operation === op.BPF_OR ? Math.max(dst.u32min, src.u32min) : value;
    dst.u32max = most;
  }
  signedFromUnsigned32(dst);
}

function bitwise64(dst: RegState, src: RegState, operation: number, bothKnown: boolean): void {
  const { value, mask } = dst.varOff;
  if (bothKnown) return dst.markKnown(value);
  if (operation === op.BPF_AND) {
    dst.umin = value;
    if (src.umax < dst.umax) dst.umax = src.umax;
  } else {
    dst.umin = operation === op.BPF_XOR ? value : src.umin > dst.umin ? src.umin : dst.umin;
    dst.umax = value | mask;
  }
  signedFromUnsigned64(dst);
  updateRegBounds(dst);
}

function lshRange32(dst: RegState, min: number, max: number): void {
  dst.s32min = S32_MIN;
  dst.s32max = S32_MAX;
  if (max > 31 || dst.u32max > 2 ** (31 - max)) {
    dst.u32min = 0;
    dst.u32max = U32_MAX;
  } else {
    dst.u32min = (dst.u32min << min) >>> 0;
    dst.u32max = (dst.u32max << max) >>> 0;
  }
}

function lsh32(dst: RegState, src: RegState): void {
  const bits = tnumSubreg(dst.varOff);
  lshRange32(dst, src.u32min, src.u32max);
  dst.varOff = tnumSubreg(tnumLshift(bits, src.u32min));
  dst.unbounded64();
  updateReg32Bounds(dst);
}

function lsh64(dst: RegState, src: RegState): void {
  const by = src.umin;
  const shift = Number(by);
  // `<< 32` and `s>> 32` sign-extend: the lower half keeps its order and its sign when it moves up.
  dst.smin = shift === 32 ? BigInt(dst.s32min) << 32n : S64_MIN;
  dst.smax = shift === 32 ? BigInt(dst.s32max) << 32n : S64_MAX;
  if (dst.umax > 1n << (63n - by)) {
    dst.umin = 0n;
    dst.umax = U64_MAX;
  } else {
    dst.umin <<= by;
    dst.umax <<= by;
  }
  lshRange32(dst, shift, shift);
  dst.varOff = tnumLshift(dst.varOff, shift);
  updateRegBounds(dst);
}

function rsh32(dst: RegState, src: RegState): void {
  dst.s32min = S32_MIN;
  dst.s32max = S32_MAX;
  dst.varOff = tnumRshift(tnumSubreg(dst.varOff), src.u32min);
  dst.u32min >>>= src.u32max;
  dst.u32max >>>= src.u32min;
  dst.unbounded64();
  updateReg32Bounds(dst);
}

function rsh64(dst: RegState, src: RegState): void {
  dst.smin = S64_MIN;
  dst.smax = S64_MAX;
  dst.varOff = tnumRshift(dst.varOff, Number(src.umin));
  dst.umin >>= src.umax;
  dst.umax >>= src.umin;
  dst.unbounded32();
  updateRegBounds(dst);
}

function arsh32(dst: RegState, src: RegState): void {
  dst.s32min >>= src.u32min;
  dst.s32max >>= src.u32min;
  dst.varOff = tnumArshift(tnumSubreg(dst.varOff), src.u32min, 32);
  dst.u32min = 0;
  dst.u32max = U32_MAX;
  dst.unbounded64();
  updateReg32Bounds(dst);
}

function arsh64(dst: RegState, src: RegState): void {
  dst.smin >>= src.umin;
  dst.smax >>= src.umin;
  dst.varOff = tnumArshift(dst.varOff, Number(src.umin), 64);
  dst.umin = 0n;
  dst.umax = U64_MAX;
  dst.unbounded32();
  updateRegBounds(dst);
}

/** is_safe_to_compute_dst_reg_range: shifts need a constant count in range; division and swaps tell nothing. */
function rangeComputable(operation: number, src: RegState, alu32: boolean): boolean {
  switch (operation) {
    case op.BPF_ADD:
    case op.BPF_SUB:
    case op.BPF_NEG:
    case op.BPF_AND:
    case op.BPF_XOR:
    case op.BPF_OR:
    case op.BPF_MUL:
      return true;
    case op.BPF_LSH:
    case op.BPF_RSH:
    case op.BPF_ARSH:
      if (alu32) {
        return tnumSubregIsConst(src.varOff) && src.u32min === src.u32max && src.s32min === src.s32max && src.umax < 32n;
      }
      return src.varOff.mask === 0n && src.umin === src.umax && src.smin === src.smax && src.umax < 64n;
    default:
      return false;
  }
}

/** dst += a constant, ranges and bits each for themselves: what linked registers get. */
export function addRanges(dst: RegState, src: RegState): void {
  add32(dst, src);
  add64(dst, src);
  dst.varOff = tnumAdd(dst.varOff, src.varOff);
}

/** Arithmetic on two 64-bit constants, which loops are full of; undefined where the slow way must decide. */
function constants(operation: number, dst: bigint, src: bigint, alu32: boolean): bigint | undefined {
  switch (operation) {
    case op.BPF_ADD:
      return alu32 ? (dst + src) & LOW : dst + src;
    case op.BPF_SUB:
      return alu32 ? (dst - src) & LOW : dst - src;
    case op.BPF_AND:
      return alu32 ? dst & src & LOW : dst & src;
    case op.BPF_OR:
      return alu32 ? (dst | src) & LOW : dst | src;
    case op.BPF_XOR:
      return alu32 ? (dst ^ src) & LOW : dst ^ src;
    default:
      return undefined;
  }
}

/**
 * adjust_scalar_min_max_vals: dst = dst `operation` src for two scalars; BPF_NEG ignores src. `unknownPrecise` is
 * what a result of which nothing is known gets as its precise mark (programs without CAP_BPF).
 */
export function adjustScalar(dst: RegState, src: RegState, operation: number, alu32: boolean, unknownPrecise: boolean): void {
  if (!rangeComputable(operation, src, alu32)) {
    dst.markUnknown(unknownPrecise);
    return;
  }
  if (dst.varOff.mask === 0n && src.varOff.mask === 0n) {
    const value = constants(operation, dst.varOff.value, src.varOff.value, alu32);
    if (value !== undefined) return dst.setConst(value);
  }
  switch (operation) {
    case op.BPF_ADD:
      add32(dst, src);
      add64(dst, src);
      dst.varOff = tnumAdd(dst.varOff, src.varOff);
      break;
    case op.BPF_SUB:
      sub32(dst, src);
      sub64(dst, src);
      dst.varOff = tnumSub(dst.varOff, src.varOff);
      break;
    case op.BPF_NEG: {
      const operand = dst.clone();
      dst.setConst(0n);
      sub32(dst, operand);
      sub64(dst, operand);
      dst.varOff = tnumNeg(operand.varOff);
      break;
    }
    case op.BPF_MUL:
      dst.varOff = tnumMul(dst.varOff, src.varOff);
      mul32(dst, src);
      mul64(dst, src);
      break;
    case op.BPF_AND:
    case op.BPF_OR:
    case op.BPF_XOR: {
      // Upstream asks after the new bits are set, so a result that is constant counts as a known destination.
      const combine = operation === op.BPF_AND ? tnumAnd : operation === op.BPF_OR ? tnumOr : tnumXor;
      dst.varOff = combine(dst.varOff, src.varOff);
      const known32 = tnumSubregIsConst(src.varOff) && tnumSubregIsConst(dst.varOff);
      const known64 = src.varOff.mask === 0n && dst.varOff.mask === 0n;
      bitwise32(dst, src, operation, known32);
      bitwise64(dst, src, operation, known64);
      break;
    }
    case op.BPF_LSH:
      if (alu32) lsh32(dst, src);
      else lsh64(dst, src);
      break;
    case op.BPF_RSH:
      if (alu32) rsh32(dst, src);
      else rsh64(dst, src);
      break;
    case op.BPF_ARSH:
      if (alu32) arsh32(dst, src);
      else arsh64(dst, src);
      break;
  }
  if (alu32) zext32to64(dst);
  regBoundsSync(dst);
}

/** scalar_byte_swap: BPF_END. The ranges are lost, the known bits move with their bytes. */
export function swapScalar(reg: RegState, size: number, swap: boolean): void {
  reg.varOff = swap ? tnumSwap(reg.varOff, size) : tnumCast(reg.varOff, size);
  reg.unbounded();
  if (size < 8) coerceToSize(reg, size);
  regBoundsSync(reg);
}

/** coerce_reg_to_size: zero-extends a register to `size` bytes. */
export function coerceToSize(reg: RegState, size: number): void {
  const bits = size * 8;
  reg.varOff = { value: BigInt.asUintN(bits, reg.varOff.value), mask: BigInt.asUintN(bits, reg.varOff.mask) };
  const mask = (1n << BigInt(bits)) - 1n;
  if ((reg.umin & ~mask) === (reg.umax & ~mask)) {
    reg.umin &= mask;
    reg.umax &= mask;
  } else {
    reg.umin = 0n;
    reg.umax = mask;
  }
  reg.smin = reg.umin;
  reg.smax = reg.umax;
  // With fewer than 32 bits the ranges of the lower half shrink too; a 4-byte load leaves them as they are.
  if (size >= 4) return;
  reg.unbounded32();
  regBoundsSync(reg);
}

/** set_sext64_default_val and set_sext32_default_val: nothing known but the width. */
export function sextDefault64(reg: RegState, size: number): void {
  const bits = BigInt(size * 8 - 1);
  reg.smin = -(1n << bits);
  reg.smax = (1n << bits) - 1n;
  if (size === 4) {
    reg.s32min = S32_MIN;
    reg.s32max = S32_MAX;
  } else {
    reg.s32min = Number(reg.smin);
    reg.s32max = Number(reg.smax);
  }
  reg.umin = 0n;
  reg.umax = U64_MAX;
  reg.u32min = 0;
  reg.u32max = U32_MAX;
  reg.varOff = TNUM_UNKNOWN;
}

/** coerce_reg_to_size_sx: sign-extends `size` (1, 2 or 4) bytes to 64 bits. */
export function coerceToSizeSx(reg: RegState, size: number): void {
  if (reg.varOff.mask === 0n) {
    reg.setConst(BigInt.asIntN(size * 8, reg.varOff.value));
    return;
  }
  const bits = size * 8;
  const topMin = reg.smin >> BigInt(bits);
  const topMax = reg.smax >> BigInt(bits);
  if (topMin !== topMax) return sextDefault64(reg, size);
  const min = BigInt.asIntN(bits, reg.smin);
  const max = BigInt.asIntN(bits, reg.smax);
  const initMin = min < max ? min : max;
  const initMax = min < max ? max : min;
  if ((initMin < 0n) !== (initMax < 0n)) return sextDefault64(reg, size);
  reg.smin = initMin;
  reg.smax = initMax;
  reg.umin = BigInt.asUintN(64, initMin);
  reg.umax = BigInt.asUintN(64, initMax);
  reg.s32min = Number(BigInt.asIntN(32, initMin));
  reg.s32max = Number(BigInt.asIntN(32, initMax));
  reg.u32min = reg.s32min >>> 0;
  reg.u32max = reg.s32max >>> 0;
  reg.varOff = tnumRange(reg.umin, reg.umax);
}

/** coerce_subreg_to_size_sx: sign-extends `size` (1 or 2) bytes to 32 bits; the upper half is the caller's. */
export function coerceSubregToSizeSx(reg: RegState, size: number): void {
  const bits = size * 8;
  if (tnumSubregIsConst(reg.varOff)) {
    const value = Number(BigInt.asIntN(bits, reg.varOff.value));
    reg.varOff = { value: BigInt(value >>> 0), mask: 0n };
    reg.s32min = reg.s32max = value;
    reg.u32min = reg.u32max = value >>> 0;
    return;
  }
  const sign = (value: number): number => (value << (32 - bits)) >> (32 - bits);
  const unknown = (): void => {
    reg.s32min = size === 1 ? -128 : -32768;
    reg.s32max = size === 1 ? 127 : 32767;
    reg.u32min = 0;
    reg.u32max = U32_MAX;
    reg.varOff = tnumSubreg(TNUM_UNKNOWN);
  };
  if (reg.s32min >> bits !== reg.s32max >> bits) return unknown();
  const min = Math.min(sign(reg.s32min), sign(reg.s32max));
  const max = Math.max(sign(reg.s32min), sign(reg.s32max));
  if (min < 0 !== max < 0) return unknown();
  reg.s32min = min;
  reg.s32max = max;
  reg.u32min = min >>> 0;
  reg.u32max = max >>> 0;
  reg.varOff = tnumSubreg(tnumRange(BigInt(reg.u32min), BigInt(reg.u32max)));
}

/** A scalar of `size` bytes of which nothing is known, zero-extended: what loads give. */
export function unknownOfSize(reg: RegState, size: number): void {
  reg.type = SCALAR_VALUE;
  reg.varOff = TNUM_UNKNOWN;
  reg.unbounded();
  if (size === 8) return;
  const most = 2 ** (size * 8) - 1;
  reg.umin = reg.smin = 0n;
  reg.umax = reg.smax = BigInt(most);
  reg.varOff = { value: 0n, mask: reg.umax };
  if (size === 4) return;
  reg.u32min = reg.s32min = 0;
  reg.u32max = reg.s32max = most;
}
