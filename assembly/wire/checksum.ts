// The Internet checksum, RFC 1071, and its incremental update, RFC 1624. Sums are kept in the byte order of memory: the
// one's complement sum does not care (RFC 1071 section 2B), so nothing is swapped.

/** Adds `length` bytes at `at` to a running sum; an odd last byte counts as if a zero followed. */
export function checksumAdd(sum: u64, at: usize, length: u32): u64 {
  let total = sum;
  let p = at;
  const words = at + <usize>(length & ~7);
  while (p < words) {
    const word = load<u64>(p);
    total += word & 0xffffffff;
    total += word >> 32;
    p += 8;
  }
  if (length & 4) {
    total += <u64>load<u32>(p);
    p += 4;
  }
  if (length & 2) {
    total += <u64>load<u16>(p);
    p += 2;
  }
  if (length & 1) total += <u64>load<u8>(p);
  return total;
}

/** Folds a running sum into 16 bits, not complemented. */
@inline export function checksumFold(sum: u64): u32 {
  let s = (sum & 0xffffffff) + (sum >> 32);
  s = (s & 0xffff) + ((s >> 16) & 0xffff) + (s >> 32);
  s = (s & 0xffff) + (s >> 16);
  s = (s & 0xffff) + (s >> 16);
  return <u32>s;
}

/** The checksum of `length` bytes, as it is stored: in memory order. Zero over data that holds its right checksum. */
export function checksum(at: usize, length: u32): u32 {
  return ~checksumFold(checksumAdd(0, at, length)) & 0xffff;
}

/** Running sum of the IPv4 pseudo-header (RFC 793 section 3.1, RFC 768). `source`, `destination` are raw words. */
@inline export function pseudo4(source: u32, destination: u32, protocol: u32, length: u32): u64 {
  return <u64>source + <u64>destination + (<u64>protocol << 8) + <u64>bswap<u16>(<u16>length);
}

/** Patches the checksum field at `field` for a 16-bit word that changed (both in memory order), RFC 1624 eqn. 3. */
export function checksumPatch16(field: usize, before: u32, after: u32): void {
  const sum = <u64>(~<u32>load<u16>(field) & 0xffff) + <u64>(~before & 0xffff) + <u64>after;
  store<u16>(field, <u16>~checksumFold(sum));
}

/** The same for a 32-bit word. */
export function checksumPatch32(field: usize, before: u32, after: u32): void {
  const sum = <u64>(~<u32>load<u16>(field) & 0xffff) + <u64>(~before) + <u64>after;
  store<u16>(field, <u16>~checksumFold(sum));
}
