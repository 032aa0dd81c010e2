// Sockets with news for the driver: a FIFO threaded through the sockets themselves, so that it can not overflow. A socket is
// in it at most once, and only when the driver waits for such news (a request of its was answered with -EAGAIN).
import { EVENT_BYTES, EVENT_SOCKET } from "../abi/core";
import { READY_ERROR, READY_HANGUP } from "../abi/sock";
import { node } from "../mm/node";
import { Socket } from "./socket";

/** True when a socket has news. */
export function sockEventsPending(): bool {
  return node().eventHead != 0;
}

/** Writes EVENT_SOCKET records (abi/core.ts) to `to`, at most `room` bytes, and forgets them; returns bytes. */
export function sockEventsTake(to: usize, room: u32): u32 {
  const n = node();
  let bytes: u32 = 0;
  while (n.eventHead != 0 && bytes + EVENT_BYTES <= room) {
    const sk = changetype<Socket>(n.eventHead);
    const at = to + <usize>bytes;
    store<u32>(at, EVENT_SOCKET);
    store<u32>(at, sk.handle, 4);
    store<u32>(at, sk.ready, 8);
    store<u32>(at, 0, 12);
    bytes += EVENT_BYTES;
    sockEventForget(sk);
  }
  return bytes;
}

/** Something became possible on the socket (READY_*): tells the driver if it waits for that. */
export function sockWake(sk: Socket, ready: u32): void {
  const news = ready & sk.wants;
  if (news == 0 || sk.handle == 0) return;
  sk.wants &= ~news;
  if (sk.ready == 0) {
    const n = node();
    const at = changetype<usize>(sk);
    sk.eventNext = 0;
    sk.eventPrev = n.eventTail;
    if (n.eventTail != 0) changetype<Socket>(n.eventTail).eventNext = at;
    else n.eventHead = at;
    n.eventTail = at;
  }
  sk.ready |= news | (ready & (READY_ERROR | READY_HANGUP));
}

/** Takes the socket out of the FIFO. */
export function sockEventForget(sk: Socket): void {
  if (sk.ready == 0) return;
  const n = node();
  if (sk.eventPrev != 0) changetype<Socket>(sk.eventPrev).eventNext = sk.eventNext;
  else n.eventHead = sk.eventNext;
  if (sk.eventNext != 0) changetype<Socket>(sk.eventNext).eventPrev = sk.eventPrev;
  else n.eventTail = sk.eventPrev;
  sk.ready = 0;
}
