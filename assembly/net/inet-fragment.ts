// What putting fragments together has in common for both families (net/ipv4/inet_fragment.c): a queue of pieces in order of their offset,
// without overlap (RFC 5722; a piece that is wholly there already is ignored), and the packet made of them.
import { Netns, Skb } from "../layout";
import { kmalloc } from "../mm/slab";
import { Timer, timerDelete } from "../mm/timer";
import { ETH_HEADER_LEN } from "../wire/ethernet";
import { skbAlloc, skbCopyRoute, skbDrop, skbFree } from "./skb";

export const FRAG_FIRST_IN: u32 = 1, FRAG_LAST_IN: u32 = 2;
/** A datagram in more pieces than this is no datagram. */
const PIECES_MAX: u32 = 8192;

/** The beginning of each family's queue. A piece keeps its place in its skb: cb0 offset, cb1 end, of the payload; cb2 begin of its run. */
@unmanaged export class InetFragQueue {
  // Timer comes first: its address is this queue's.
  timerNext: usize; timerPrev: usize;
  timerExpires: u64;
  timerKind: u32;
  timerOwner: usize;
  next: usize; // of the namespace's list
  ns: usize; // Netns
  head: usize; // Skb in order of offset
  flags: u32;
  length: u32; // end of the last piece so far
  have: u32; // bytes so far
  bytes: u32; // of memory
  count: u32;
  maxSize: u32; // of the packets that brought the pieces
  ecn: u32; // 1 << (tos & 3) of every piece
}

/** All pieces are there. */
export function fragComplete(queue: InetFragQueue): bool {
  return queue.flags == (FRAG_FIRST_IN | FRAG_LAST_IN) && queue.have == queue.length;
}

/** May there be a piece from `offset` to `end`? False: bytes beyond the end, or another end, have been seen; it is empty; or they are too many. */
export function fragExtent(queue: InetFragQueue, offset: u32, end: u32, more: bool): bool {
  const last = (queue.flags & FRAG_LAST_IN) != 0;
  if (!more) {
    if (end < queue.length || (last && end != queue.length)) return false;
    queue.flags |= FRAG_LAST_IN;
    queue.length = end;
  } else if (end > queue.length) {
    if (last) return false;
    queue.length = end;
  }
  return end != offset && queue.count < PIECES_MAX;
}

export const FRAG_OK: u32 = 0, FRAG_DUP: u32 = 1, FRAG_OVERLAP: u32 = 2;

/** Puts the piece in its place (inet_frag_queue_insert). `size`: of its packet; `tos`: its ECN bits count. */
export function fragInsert(queue: InetFragQueue, skb: Skb, offset: u32, end: u32, size: u32, tos: u32): u32 {
  const head = changetype<usize>(queue) + offsetof<InetFragQueue>("head");
  let link = head;
  for (let at = <usize>load<u32>(link); at != 0; at = <usize>load<u32>(link)) {
    const other = changetype<Skb>(at);
    if (<u32>other.cb0 >= end) break;
    if (<u32>other.cb1 <= offset) {
      link = at; // `next` is the first field
      continue;
    }
    // They share bytes. Wholly inside a run, pieces that came one behind the other: a duplicate; else an overlap.
    let runEnd = <u32>other.cb1;
    for (let next = other.next; next != 0 && changetype<Skb>(next).cb2 == other.cb2; next = changetype<Skb>(next).next) {
      runEnd = <u32>changetype<Skb>(next).cb1;
    }
    return <u32>other.cb2 <= offset && runEnd >= end ? FRAG_DUP : FRAG_OVERLAP;
  }
  skb.next = <usize>load<u32>(link);
  store<u32>(link, <u32>changetype<usize>(skb));
  skb.cb0 = <u64>offset;
  skb.cb1 = <u64>end;
  // What follows the last piece goes on with its run, anything else begins one.
  skb.cb2 = skb.next == 0 && link != head && <u32>changetype<Skb>(link).cb1 == offset ? changetype<Skb>(link).cb2 : <u64>offset;
  queue.count++;
  queue.have += end - offset;
  queue.bytes += skb.size;
  queue.ecn |= 1 << (tos & 3);
  queue.maxSize = max<u32>(queue.maxSize, size);
  if (offset == 0) queue.flags |= FRAG_FIRST_IN;
  return FRAG_OK;
}

/** ip_frag_ecn_table: congestion on one piece is congestion, but a piece that can not show it does not go with one that can. */
export function fragEcnBad(queue: InetFragQueue): bool {
  return (queue.ecn & 1) != 0 && queue.ecn != 1;
}
export function fragEcnCongested(queue: InetFragQueue): bool {
  return (queue.ecn & 8) != 0;
}

/**
 * A packet of the first piece's first `head` bytes, from its network header, and room for all payload behind them; with `keep` it has
 * the pieces' lengths in `fragLengths`, so that it can leave in such pieces. Null (0): no memory.
 */
export function fragWhole(queue: InetFragQueue, head: u32, keep: bool): Skb {
  const first = changetype<Skb>(queue.head);
  const whole = skbAlloc(head + queue.length);
  if (changetype<usize>(whole) == 0) return whole;
  if (keep) {
    const lengthsBytes = 8 + (queue.count << 1), lengths = kmalloc(lengthsBytes);
    if (lengths == 0) {
      skbFree(whole);
      return changetype<Skb>(0);
    }
    store<u32>(lengths, lengthsBytes);
    store<u32>(lengths, queue.count, 4);
    whole.fragLengths = lengths;
  }
  whole.id = first.id;
  whole.dev = first.dev;
  whole.inDev = first.inDev;
  whole.bridgeDev = first.bridgeDev;
  whole.physIn = first.physIn;
  whole.protocol = first.protocol;
  whole.pktType = first.pktType;
  whole.mark = first.mark;
  whole.hops = first.hops;
  whole.sock = first.sock;
  whole.ipFlags = first.ipFlags;
  skbCopyRoute(first, whole);
  whole.network = whole.data;
  whole.transport = whole.data + <usize>head;
  whole.tail = whole.transport + <usize>queue.length;
  if (first.mac != 0) {
    whole.mac = whole.data - ETH_HEADER_LEN;
    memory.copy(whole.mac, first.mac, ETH_HEADER_LEN);
  }
  memory.copy(whole.data, first.network, <usize>head);
  return whole;
}

/** Copies a piece's payload, which begins at `from`, into the packet of fragWhole; `index`: which piece it is. */
export function fragCopy(whole: Skb, skb: Skb, from: usize, index: u32): void {
  const length = <u32>skb.cb1 - <u32>skb.cb0;
  memory.copy(whole.transport + <usize>skb.cb0, from, <usize>length);
  if (whole.fragLengths != 0) store<u16>(whole.fragLengths + 8 + <usize>(index << 1), <u16>length);
}

/** Takes the queue out of the list that begins at the address `link`, and its timer away. */
export function fragUnlink(queue: InetFragQueue, link: usize): void {
  timerDelete(changetype<Timer>(changetype<usize>(queue)));
  while (load<u32>(link) != 0 && <usize>load<u32>(link) != changetype<usize>(queue)) {
    link = <usize>load<u32>(link) + offsetof<InetFragQueue>("next");
  }
  if (load<u32>(link) != 0) store<u32>(link, <u32>queue.next);
}

/** The pieces have become a whole: they go without being counted as dropped. */
export const FRAG_USED: u32 = 0xffffffff;

/** Ends the queue's pieces; `reason`: DROP_* of abi/net.ts, or FRAG_USED. */
export function fragRelease(queue: InetFragQueue, ns: Netns, reason: u32): void {
  let at = queue.head;
  queue.head = 0;
  while (at != 0) {
    const skb = changetype<Skb>(at);
    at = skb.next;
    if (reason == FRAG_USED) skbFree(skb);
    else skbDrop(skb, ns, skb.dev, reason);
  }
}

/** Has a piece come by the device? 0 is any. */
export function fragCameBy(queue: InetFragQueue, dev: usize): bool {
  if (dev == 0) return true;
  for (let at = queue.head; at != 0; at = changetype<Skb>(at).next) {
    const skb = changetype<Skb>(at);
    if (skb.dev == dev || skb.inDev == dev || skb.bridgeDev == dev) return true;
  }
  return false;
}
