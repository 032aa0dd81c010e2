// Copies and clears of a packet's length: the engine's own memory.copy and memory.fill are calls out of the module, which cost more than
// moving the bytes of a short frame.

const LONG: usize = 512;

/** Copies `length` bytes between places that do not overlap. */
export function copyBytes(to: usize, from: usize, length: usize): void {
  if (length > LONG) {
    memory.copy(to, from, length);
    return;
  }
  let at: usize = 0;
  for (; at + 16 <= length; at += 16) v128.store(to + at, v128.load(from + at));
  if (length & 8) {
    store<u64>(to + at, load<u64>(from + at));
    at += 8;
  }
  if (length & 4) {
    store<u32>(to + at, load<u32>(from + at));
    at += 4;
  }
  if (length & 2) {
    store<u16>(to + at, load<u16>(from + at));
    at += 2;
  }
  if (length & 1) store<u8>(to + at, load<u8>(from + at));
}

/** The same for a short length, by 16 bytes: up to 15 more are read and written. */
@inline export function copyRound(to: usize, from: usize, length: usize): void {
  for (let at: usize = 0; at < length; at += 16) v128.store(to + at, v128.load(from + at));
}

/** Clears `length` bytes, a multiple of 16. */
@inline export function clearBytes(at: usize, length: usize): void {
  const zero = i64x2.splat(0);
  for (let i: usize = 0; i < length; i += 16) v128.store(at + i, zero);
}
