// Data in (tcp_data_queue and its neighbours in net/ipv4/tcp_input.c): the receive queue, what waits out of order, SACK blocks
// to report, when to acknowledge.
import { DROP_SOCKET_RCVBUFF, DROP_TCP_OFOMERGE, DROP_TCP_OLD_DATA, DROP_TCP_OVERWINDOW, DROP_TCP_ZEROWINDOW } from "../../abi/net";
import {
  READY_HANGUP, READY_READ, TCP_CLOSE_WAIT, TCP_CLOSING, TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_FIN_WAIT2, TCP_SYN_RECV, TCP_TIME_WAIT,
} from "../../abi/sock";
import { Netns, Skb } from "../../layout";
import { skbAlloc, skbDrop, skbFree, skbLength } from "../../net/skb";
import { TCP_FIN } from "../../wire/tcp";
import { sockWake } from "../events";
import { queueAppend, queueFreeFirst, SK_DEAD, SK_RCV_SHUTDOWN } from "../socket";
import { TCP_ATO_MIN_MS, TCP_MAX_QUICKACKS, TCP_TIMEWAIT_NS } from "../limits";
import { endOf, flagsOf, seqOf, setEnd, setFlags, setSeq } from "./input";
import { offerWindow, sendAck } from "./output";
import {
  ACK_NOW, ACK_PUSHED, ACK_PUSHED2, ACK_SCHED, after, before, FEATURE_SACK, freeSpace, nowMs, oooFree, oooPurge, oooUnlink,
  receiveWindow, Tcp, windowFromSpace, tcpSetState
} from "./tcp";
import { delayAck } from "./timer";
import { timeWait } from "./timewait";

/** A segment with data or FIN whose sequence numbers were found acceptable. Takes the packet; `data` behind the TCP header. */
export function dataQueue(sk: Tcp, skb: Skb): void {
  const seq = seqOf(skb), end = endOf(skb);
  if (seq == end) {
    skbFree(skb);
    return;
  }
  if (seq == sk.rcvNxt) {
    if (receiveWindow(sk) == 0 && skbLength(skb) != 0) {
      outOfWindow(sk, skb, DROP_TCP_ZEROWINDOW);
      return;
    }
    queueInOrder(sk, skb);
    return;
  }
  if (!after(end, sk.rcvNxt)) {
    reportDuplicate(sk, seq, end);
    outOfWindow(sk, skb, DROP_TCP_OLD_DATA);
    return;
  }
  if (!before(seq, sk.rcvNxt + receiveWindow(sk))) {
    outOfWindow(sk, skb, DROP_TCP_OVERWINDOW);
    return;
  }
  if (before(seq, sk.rcvNxt)) {
    reportDuplicate(sk, seq, sk.rcvNxt);
    if (receiveWindow(sk) == 0) {
      outOfWindow(sk, skb, DROP_TCP_ZEROWINDOW);
      return;
    }
    trimFront(skb, sk.rcvNxt);
    queueInOrder(sk, skb);
    return;
  }
  queueOutOfOrder(sk, skb);
}

function outOfWindow(sk: Tcp, skb: Skb, reason: u32): void {
  enterQuickAck(sk);
  sk.ackPending |= ACK_SCHED;
  skbDrop(skb, changetype<Netns>(sk.ns), skb.dev, reason);
}

function enterQuickAck(sk: Tcp): void {
  increaseQuickAck(sk);
  sk.pingpong = 0;
  sk.ato = TCP_ATO_MIN_MS;
}

/** tcp_incr_quickack */
function increaseQuickAck(sk: Tcp): void {
  let quick: u32 = sk.rcvMss == 0 ? 2 : sk.rcvWnd / (2 * sk.rcvMss);
  if (quick == 0) quick = 2;
  if (quick > TCP_MAX_QUICKACKS) quick = TCP_MAX_QUICKACKS;
  if (quick > <u32>sk.quickAcks) sk.quickAcks = <u8>quick;
}

/** Cuts off what lies before `seq`. */
function trimFront(skb: Skb, seq: u32): void {
  const n = min<u32>(seq - seqOf(skb), skbLength(skb));
  skb.data += <usize>n;
  setSeq(skb, seq);
}

function queueInOrder(sk: Tcp, skb: Skb): void {
  if (sk.rcvMem + skb.size > sk.rcvBuf + (sk.rcvBuf >> 1) && sk.rcvHead != 0) {
    oooPurge(sk); // the peer keeps it until we acknowledge (tcp_prune_ofo_queue)
    if (sk.rcvMem + skb.size > sk.rcvBuf + (sk.rcvBuf >> 1)) {
      sk.ackPending |= ACK_SCHED | ACK_NOW;
      skbDrop(skb, changetype<Netns>(sk.ns), skb.dev, DROP_SOCKET_RCVBUFF);
      return;
    }
  }
  const length = skbLength(skb);
  const fin = (flagsOf(skb) & TCP_FIN) != 0;
  sk.rcvNxt = endOf(skb);
  if (length != 0) dataReceived(sk, skb);
  append(sk, skb);
  if (fin) receiveFin(sk);
  if (sk.oooHead != 0) {
    drainOutOfOrder(sk);
    // RFC 5681 section 4.2: an ACK at once when a gap was filled
    if (sk.oooHead == 0) sk.ackPending |= ACK_NOW;
  }
  sackRemove(sk);
  if (length != 0) sockWake(sk, READY_READ);
}

/** Appends data to the receive queue; small pieces are put together when they would eat up the buffer (tcp_try_coalesce). */
function append(sk: Tcp, skb: Skb): void {
  const length = skbLength(skb);
  if (length == 0 || sk.flags & SK_DEAD) {
    skbFree(skb);
    return;
  }
  if (sk.rcvTail != 0) {
    let tail = changetype<Skb>(sk.rcvTail);
    const have = skbLength(tail);
    if (<u32>(tail.end - tail.tail) < length && sk.rcvMem > sk.rcvBuf >> 3 && have + length <= 1024) {
      const larger = skbAlloc(3696, 0); // fills a slot of the arena
      if (changetype<usize>(larger) != 0) {
        memory.copy(larger.data, tail.data, <usize>have);
        larger.tail = larger.data + <usize>have;
        replaceTail(sk, tail, larger);
        tail = larger;
      }
    }
    if (<u32>(tail.end - tail.tail) >= length) {
      memory.copy(tail.tail, skb.data, <usize>length);
      tail.tail += <usize>length;
      skbFree(skb);
      return;
    }
  }
  queueAppend(sk, skb);
}

function replaceTail(sk: Tcp, tail: Skb, larger: Skb): void {
  if (sk.rcvHead == changetype<usize>(tail)) {
    queueFreeFirst(sk);
  } else {
    let at = changetype<Skb>(sk.rcvHead);
    while (at.next != changetype<usize>(tail)) at = changetype<Skb>(at.next);
    at.next = 0;
    sk.rcvTail = changetype<usize>(at);
    sk.rcvMem -= tail.size;
    skbFree(tail);
  }
  queueAppend(sk, larger);
}

/** The peer's FIN is next in sequence (tcp_fin). */
function receiveFin(sk: Tcp): void {
  sk.ackPending |= ACK_SCHED;
  sk.flags |= SK_RCV_SHUTDOWN;
  oooPurge(sk);
  const state = sk.state;
  if (state == TCP_SYN_RECV || state == TCP_ESTABLISHED) {
    tcpSetState(sk, TCP_CLOSE_WAIT);
    sk.pingpong = 1;
  } else if (state == TCP_FIN_WAIT1) {
    sendAck(sk);
    tcpSetState(sk, TCP_CLOSING);
  } else if (state == TCP_FIN_WAIT2) {
    sendAck(sk);
    timeWait(sk, TCP_TIME_WAIT, TCP_TIMEWAIT_NS);
  }
  sockWake(sk, READY_READ | READY_HANGUP);
}

/** Moves what has become in order to the receive queue (tcp_ofo_queue). */
function drainOutOfOrder(sk: Tcp): void {
  while (sk.oooHead != 0) {
    const skb = changetype<Skb>(sk.oooHead);
    if (after(seqOf(skb), sk.rcvNxt)) return;
    const end = endOf(skb);
    if (!after(end, sk.rcvNxt)) {
      reportDuplicate(sk, seqOf(skb), end);
      oooFree(sk, skb);
      continue;
    }
    if (before(seqOf(skb), sk.rcvNxt)) {
      reportDuplicate(sk, seqOf(skb), sk.rcvNxt);
      trimFront(skb, sk.rcvNxt);
    }
    oooUnlink(sk, skb);
    sk.rcvMem -= skb.size;
    sk.rcvNxt = end;
    const fin = (flagsOf(skb) & TCP_FIN) != 0;
    append(sk, skb);
    if (fin) {
      receiveFin(sk); // empties this queue
      return;
    }
  }
}

/** Puts a segment with a gap before it where it belongs (tcp_data_queue_ofo). */
function queueOutOfOrder(sk: Tcp, skb: Skb): void {
  const ns = changetype<Netns>(sk.ns);
  sk.ackPending |= ACK_SCHED;
  const start = seqOf(skb), stop = endOf(skb);
  if (sk.rcvMem + skb.size > sk.rcvBuf + (sk.rcvBuf >> 1)) {
    skbDrop(skb, ns, skb.dev, DROP_SOCKET_RCVBUFF);
    return;
  }
  measureMss(sk, skb);
  // From the end: it mostly belongs there.
  let prev = sk.oooTail;
  while (prev != 0 && after(seqOf(changetype<Skb>(prev)), start)) prev = <usize>changetype<Skb>(prev).cb3;
  if (prev != 0) {
    const end = endOf(changetype<Skb>(prev));
    if (!after(stop, end)) {
      reportDuplicate(sk, start, stop);
      skbDrop(skb, ns, skb.dev, DROP_TCP_OFOMERGE);
      return;
    }
    if (before(start, end)) {
      reportDuplicate(sk, start, end);
      trimFront(skb, end);
    }
  }
  let next = prev == 0 ? sk.oooHead : changetype<Skb>(prev).next;
  while (next != 0 && !after(endOf(changetype<Skb>(next)), stop)) {
    const covered = changetype<Skb>(next);
    next = covered.next;
    reportDuplicate(sk, seqOf(covered), endOf(covered));
    oooFree(sk, covered);
  }
  if (next != 0 && before(seqOf(changetype<Skb>(next)), stop)) {
    const from = seqOf(changetype<Skb>(next));
    reportDuplicate(sk, from, stop);
    skb.tail = skb.data + <usize>(from - seqOf(skb));
    setEnd(skb, from);
    setFlags(skb, flagsOf(skb) & ~TCP_FIN);
  }
  skb.cb3 = <u64>prev;
  skb.next = next;
  if (prev != 0) changetype<Skb>(prev).next = changetype<usize>(skb);
  else sk.oooHead = changetype<usize>(skb);
  if (next != 0) changetype<Skb>(next).cb3 = <u64>changetype<usize>(skb);
  else sk.oooTail = changetype<usize>(skb);
  sk.rcvMem += skb.size;
  if (sk.features & FEATURE_SACK) sackNew(sk, start, stop);
}

// The four blocks stand one after the other in Tcp.
@inline function block(sk: Tcp, index: u32): usize {
  return changetype<usize>(sk) + offsetof<Tcp>("sackStart0") + (<usize>index << 3);
}

/** A new range: joined with those it touches, and first from now on (tcp_sack_new_ofo_skb). */
function sackNew(sk: Tcp, start: u32, end: u32): void {
  let s = start, e = end;
  let kept: u32 = 0;
  for (let i: u32 = 0; i < sk.sackCount; i++) {
    const at = block(sk, i);
    const bs = load<u32>(at), be = load<u32>(at, 4);
    if (!after(bs, e) && !after(s, be)) {
      if (before(bs, s)) s = bs;
      if (after(be, e)) e = be;
    } else {
      store<u64>(block(sk, kept++), load<u64>(at));
    }
  }
  if (kept == 4) kept = 3;
  for (let i = kept; i > 0; i--) store<u64>(block(sk, i), load<u64>(block(sk, i - 1)));
  store<u32>(block(sk, 0), s);
  store<u32>(block(sk, 0), e, 4);
  sk.sackCount = kept + 1;
}

/** Forgets ranges that are in order by now (tcp_sack_remove). */
function sackRemove(sk: Tcp): void {
  if (sk.oooHead == 0) {
    sk.sackCount = 0;
    return;
  }
  let kept: u32 = 0;
  for (let i: u32 = 0; i < sk.sackCount; i++) {
    const at = block(sk, i);
    if (before(sk.rcvNxt, load<u32>(at))) store<u64>(block(sk, kept++), load<u64>(at));
  }
  sk.sackCount = kept;
}

/** The next ACK says that this came twice (tcp_dsack_set). */
export function reportDuplicate(sk: Tcp, start: u32, end: u32): void {
  if ((sk.features & FEATURE_SACK) == 0) return;
  sk.dsackStart = start;
  sk.dsackEnd = end;
}

/** The size of full segments that come in, and whether small ones were pushed (tcp_measure_rcv_mss). */
function measureMss(sk: Tcp, skb: Skb): void {
  const length = skbLength(skb);
  const last = sk.lastSegment;
  sk.lastSegment = 0;
  if (length >= sk.rcvMss) {
    sk.rcvMss = min<u32>(length, sk.advmss);
    return;
  }
  const header = <u32>sk.headerBytes;
  if (length + header >= 536 + 20 || (length + header >= 88 + 20 && (flagsOf(skb) & ~24) == 0)) {
    sk.lastSegment = length;
    if (length == last) {
      sk.rcvMss = length;
      return;
    }
  }
  if (sk.ackPending & ACK_PUSHED) sk.ackPending |= ACK_PUSHED2;
  sk.ackPending |= ACK_PUSHED;
}

/** Data arrived in order: how soon to acknowledge depends on its rhythm (tcp_event_data_recv). */
function dataReceived(sk: Tcp, skb: Skb): void {
  sk.ackPending |= ACK_SCHED;
  measureMss(sk, skb);
  const now = nowMs();
  if (sk.ato == 0) {
    increaseQuickAck(sk);
    sk.ato = TCP_ATO_MIN_MS;
  } else {
    const gap = now - sk.lastReceived;
    if (gap <= TCP_ATO_MIN_MS >> 1) {
      sk.ato = (sk.ato >> 1) + (TCP_ATO_MIN_MS >> 1);
    } else if (gap < sk.ato) {
      sk.ato = min<u32>((sk.ato >> 1) + gap, sk.rto / 1000);
    } else if (gap > sk.rto / 1000) {
      increaseQuickAck(sk);
    }
  }
  sk.lastReceived = now;
  // tcp_grow_window, without the look at memory pressure
  if (skbLength(skb) >= 128 && sk.rcvSsthresh < sk.windowClamp && sk.rcvSsthresh < freeSpace(sk)) {
    sk.rcvSsthresh = min<u32>(sk.rcvSsthresh + 2 * sk.advmss, sk.windowClamp);
  }
}

/** Acknowledges now or later what a segment left to acknowledge (tcp_ack_snd_check). */
export function ackCheck(sk: Tcp): void {
  const pending = sk.ackPending;
  if ((pending & ACK_SCHED) == 0 && (pending & ACK_NOW) == 0) return;
  const full = sk.rcvNxt - sk.rcvWup > sk.rcvMss && (sk.rcvHead == 0 || offerWindow(sk) >= sk.rcvWnd);
  const quick = sk.quickAcks != 0 && sk.pingpong == 0;
  if (full || quick || pending & ACK_NOW || sk.oooHead != 0) sendAck(sk);
  else delayAck(sk, (pending & ACK_PUSHED) != 0);
}

/** The program took `copied` bytes: the peer may have to hear of the larger window (tcp_cleanup_rbuf). */
export function afterRead(sk: Tcp, copied: u32): void {
  let now = false;
  const pending = sk.ackPending;
  if (pending & ACK_SCHED) {
    now = sk.rcvNxt - sk.rcvWup > sk.rcvMss
      || (copied != 0 && sk.rcvMem == 0 && (pending & ACK_PUSHED2 || (pending & ACK_PUSHED && sk.pingpong == 0)) != 0);
  }
  if (copied != 0 && !now && (sk.flags & SK_RCV_SHUTDOWN) == 0) {
    const window = receiveWindow(sk);
    if (<u32>2 * window <= sk.windowClamp) {
      const offer = offerWindow(sk);
      now = offer != 0 && offer >= <u32>2 * window;
    }
  }
  if (now) sendAck(sk);
}

/** Receive sizes of a connection that has just been established (tcp_init_buffer_space, tcp_initialize_rcv_mss). */
export function initReceive(sk: Tcp): void {
  const most = windowFromSpace(<i32>sk.rcvBuf);
  const advmss = sk.advmss;
  if (sk.windowClamp >= most) sk.windowClamp = most;
  if (sk.windowClamp > 2 * advmss && sk.windowClamp + advmss > most) sk.windowClamp = max<u32>(2 * advmss, most - advmss);
  sk.rcvSsthresh = min<u32>(sk.rcvSsthresh, sk.windowClamp);
  let hint = min<u32>(min<u32>(advmss, sk.mss), sk.rcvWnd >> 1);
  hint = max<u32>(min<u32>(hint, 536), 88);
  sk.rcvMss = hint;
}
