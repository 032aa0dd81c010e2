// jhash of keys (include/linux/jhash.h), as kernel/bpf/hashtab.c picks it: the order of get_next_key shows it. Common sizes are unrolled.
const INITVAL: u32 = 0xdeadbeef;

@inline function final(a0: u32, b0: u32, c0: u32): u32 {
  let a = a0, b = b0, c = c0;
  c ^= b; c -= rotl<u32>(b, 14);
  a ^= c; a -= rotl<u32>(c, 11);
  b ^= a; b -= rotl<u32>(a, 25);
  c ^= b; c -= rotl<u32>(b, 16);
  a ^= c; a -= rotl<u32>(c, 4);
  b ^= a; b -= rotl<u32>(a, 14);
  c ^= b; c -= rotl<u32>(b, 24);
  return c;
}

/** Hash of 4 bytes. */
@inline export function jhash4(at: usize, seed: u32): u32 {
  const i: u32 = INITVAL + 4 + seed;
  return final(i + load<u32>(at), i, i);
}

/** Hash of 8 bytes. */
@inline export function jhash8(at: usize, seed: u32): u32 {
  const i: u32 = INITVAL + 8 + seed;
  return final(i + load<u32>(at), i + load<u32>(at, 4), i);
}

/** Hash of 16 bytes. */
@inline export function jhash16(at: usize, seed: u32): u32 {
  const i: u32 = INITVAL + 16 + seed;
  let a = i + load<u32>(at), b = i + load<u32>(at, 4), c = i + load<u32>(at, 8);
  a -= c; a ^= rotl<u32>(c, 4); c += b;
  b -= a; b ^= rotl<u32>(a, 6); a += c;
  c -= b; c ^= rotl<u32>(b, 8); b += a;
  a -= c; a ^= rotl<u32>(c, 16); c += b;
  b -= a; b ^= rotl<u32>(a, 19); a += c;
  c -= b; c ^= rotl<u32>(b, 4); b += a;
  return final(a + load<u32>(at, 12), b, c);
}

/** Hash of any number of bytes; nothing behind them is read. jhash2 is jhash of whole words. */
export function jhash(at: usize, length: u32, seed: u32): u32 {
  let a: u32 = INITVAL + length + seed;
  let b = a, c = a;
  let k = at, left = length;
  while (left > 12) {
    a += load<u32>(k); b += load<u32>(k, 4); c += load<u32>(k, 8);
    a -= c; a ^= rotl<u32>(c, 4); c += b;
    b -= a; b ^= rotl<u32>(a, 6); a += c;
    c -= b; c ^= rotl<u32>(b, 8); b += a;
    a -= c; a ^= rotl<u32>(c, 16); c += b;
    b -= a; b ^= rotl<u32>(a, 19); a += c;
    c -= b; c ^= rotl<u32>(b, 4); b += a;
    left -= 12;
    k += 12;
  }
  if (left == 0) return c;
  if (left > 8) {
    c += tail(k + 8, left - 8);
    b += load<u32>(k, 4);
    a += load<u32>(k);
  } else if (left > 4) {
    b += tail(k + 4, left - 4);
    a += load<u32>(k);
  } else a += tail(k, left);
  return final(a, b, c);
}

/** 1 to 4 bytes as a little-endian word. */
function tail(at: usize, length: u32): u32 {
  if (length == 4) return load<u32>(at);
  let word: u32 = load<u8>(at);
  if (length > 1) word |= <u32>load<u8>(at, 1) << 8;
  if (length > 2) word |= <u32>load<u8>(at, 2) << 16;
  return word;
}

/** Are `length` bytes the same? */
export function sameBytes(a: usize, b: usize, length: u32): bool {
  let at: usize = 0;
  const end = <usize>length;
  for (; at + 8 <= end; at += 8) if (load<u64>(a + at) != load<u64>(b + at)) return false;
  if (end & 4) {
    if (load<u32>(a + at) != load<u32>(b + at)) return false;
    at += 4;
  }
  for (; at < end; at++) if (load<u8>(a + at) != load<u8>(b + at)) return false;
  return true;
}
