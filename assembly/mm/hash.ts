// Hash functions over words in memory. Tables choose their own layout; these are the functions they share.

/** Finaliser of MurmurHash3: every input bit reaches every output bit. */
@inline export function mix32(h: u32): u32 {
  let x = h;
  x = (x ^ (x >>> 16)) * 0x85ebca6b;
  x = (x ^ (x >>> 13)) * 0xc2b2ae35;
  return x ^ (x >>> 16);
}

/** Adds a word to a running hash (MurmurHash3's block step). */
@inline export function hashWord(h: u32, word: u32): u32 {
  const k = rotl<u32>(word * 0xcc9e2d51, 15) * 0x1b873593;
  return rotl<u32>(h ^ k, 13) * 5 + 0xe6546b64;
}

/** Hash of `words` 32-bit words at `at`. */
export function hashWords(at: usize, words: u32, seed: u32): u32 {
  let h = seed;
  for (let i: u32 = 0; i < words; i++) h = hashWord(h, load<u32>(at + <usize>(i << 2)));
  return mix32(h);
}

// include/linux/jhash.h (Bob Jenkins, lookup3): where Linux's choice is visible, as in NAT's pick out of an address range.
const JHASH_INITVAL: u32 = 0xdeadbeef;

/** jhash2: `words` 32-bit words. */
export function jhash2(at: usize, words: u32, initval: u32): u32 {
  let a: u32 = JHASH_INITVAL + (words << 2) + initval;
  let b: u32 = a, c: u32 = a;
  let k = at;
  let length = words;
  while (length > 3) {
    a += load<u32>(k); b += load<u32>(k, 4); c += load<u32>(k, 8);
    a -= c; a ^= rotl<u32>(c, 4); c += b;
    b -= a; b ^= rotl<u32>(a, 6); a += c;
    c -= b; c ^= rotl<u32>(b, 8); b += a;
    a -= c; a ^= rotl<u32>(c, 16); c += b;
    b -= a; b ^= rotl<u32>(a, 19); a += c;
    c -= b; c ^= rotl<u32>(b, 4); b += a;
    length -= 3;
    k += 12;
  }
  if (length == 3) c += load<u32>(k, 8);
  if (length >= 2) b += load<u32>(k, 4);
  if (length >= 1) {
    a += load<u32>(k);
    return jhashFinal(a, b, c);
  }
  return c;
}

/** jhash of `length` bytes; what is behind them up to the next word is zero. */
export function jhashBytes(at: usize, length: u32, initval: u32): u32 {
  // The tail's bytes are added as one word, so only the start differs from jhash2.
  const words = (length + 3) >>> 2;
  return jhash2(at, words, initval - (words << 2) + length);
}

/** jhash_3words. */
export function jhash3(x: u32, y: u32, z: u32, initval: u32): u32 {
  const i: u32 = initval + JHASH_INITVAL + (3 << 2);
  return jhashFinal(x + i, y + i, z + i);
}

function jhashFinal(a0: u32, b0: u32, c0: u32): u32 {
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
