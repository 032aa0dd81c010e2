// Multi-byte fields of the wire, big-endian, at any alignment.

@inline export function be16(at: usize, offset: usize): u32 {
  return <u32>bswap<u16>(load<u16>(at + offset));
}
@inline export function be32(at: usize, offset: usize): u32 {
  return bswap<u32>(load<u32>(at + offset));
}
@inline export function putBe16(at: usize, offset: usize, value: u32): void {
  store<u16>(at + offset, bswap<u16>(<u16>value));
}
@inline export function putBe32(at: usize, offset: usize, value: u32): void {
  store<u32>(at + offset, bswap<u32>(value));
}

// Addresses above the wire are 16 bytes, IPv4 mapped (RFC 4291 section 2.5.5.2), held as two words as a little-endian load
// of the bytes gives them. "raw" is an IPv4 address as such a load of its four bytes gives it.

/** The low word of the mapped address of a raw IPv4 address; the high word is 0. */
@inline export function mapped4(raw: u32): u64 {
  return (<u64>raw << 32) | 0xffff0000;
}
/** The raw IPv4 address in the low word of a mapped address. */
@inline export function raw4(lo: u64): u32 {
  return <u32>(lo >> 32);
}
@inline export function isMapped4(hi: u64, lo: u64): bool {
  return hi == 0 && <u32>lo == 0xffff0000;
}
