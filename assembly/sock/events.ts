// Sockets with news for the driver: a FIFO threaded through the sockets themselves, so that it can not overflow.

/** True when a socket has news. */
export function sockEventsPending(): bool {
  return false;
}

/** Writes EVENT_SOCKET records (abi/core.ts) to `to`, at most `room` bytes, and forgets them; returns bytes. */
export function sockEventsTake(to: usize, room: u32): u32 {
  return 0;
}
