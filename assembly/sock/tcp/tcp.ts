// A TCP connection's state (struct tcp_sock) and the arithmetic on it. One file per concern beside this one:
//
//   input.ts    segments in: demultiplexing, acceptability, the state machine     RFC 9293 section 3.10.7
//   listen.ts   passive open: connections being opened, accept queue
//   ack.ts      acknowledgments in: round trip time, what left the send queue     RFC 6298
//   loss.ts     SACK scoreboard, RACK, NewReno, recovery                          RFC 2018, 6582, 6937, 8985
//   cubic.ts    congestion window                                                RFC 9438
//   rcv.ts      data in: queues, window to offer, delayed ACKs, SACK blocks to send
//   output.ts   segments out: send queue, Nagle, headers
//   reset.ts    answers without a connection
//   timer.ts    retransmission, probes, delayed ACK                               RFC 6298, 1122
//   close.ts    connect, shutdown, close, abort, end
//   timewait.ts what remains of a closed connection                               RFC 9293 section 3.6.1
import { FULL } from "../../features";
import { ipHeader } from "../family";
import { TRACE_INET_SOCK_SET_STATE, TRACE_TCP_SET_STATE } from "../../abi/bpf-trace";
import { traceSocket, traceState, watched } from "../../bpf/hooks/tracing";
import { Netns, Skb } from "../../layout";
import { hashWord, mix32 } from "../../mm/hash";
import { node } from "../../mm/node";
import { Timer, timerDelete } from "../../mm/timer";
import { kfree } from "../../mm/slab";
import { skbFree } from "../../net/skb";
import { sysctl } from "../../net/sysctl";
import { SYSCTL_TCP_RMEM_DEFAULT } from "../../abi/net";
import { TIMER_TCP_DELACK, TIMER_TCP_WRITE } from "../../net/timers";
import { randomId, Socket, socketFree, socketNew } from "../socket";
import { TCP_RTO_MAX_US, TCP_SNDBUF, TCP_TIMEOUT_INIT_US } from "../limits";
import { SockNetns, tupleHash } from "../table";
import { SOCK_TCP, TCP_CLOSE } from "../../abi/sock";

// Congestion states (include/uapi/linux/tcp.h).
export const CA_OPEN: u32 = 0;
export const CA_DISORDER: u32 = 1;
export const CA_CWR: u32 = 2;
export const CA_RECOVERY: u32 = 3;
export const CA_LOSS: u32 = 4;

// What the write timer is armed for.
export const PENDING_NONE: u32 = 0;
export const PENDING_RETRANS: u32 = 1;
export const PENDING_PROBE0: u32 = 3;
export const PENDING_LOSS_PROBE: u32 = 5;
export const PENDING_REO: u32 = 6;

// Tcp.ackPending
export const ACK_SCHED: u32 = 1;
export const ACK_PUSHED: u32 = 4;
export const ACK_PUSHED2: u32 = 8;
export const ACK_NOW: u32 = 16;

// Tcp.features: options both ends agreed on
export const FEATURE_SACK: u32 = 1;
export const FEATURE_TIMESTAMPS: u32 = 2;
export const FEATURE_WSCALE: u32 = 4;

@unmanaged export class Tcp extends Socket {
  // send (RFC 9293 section 3.3.1)
  sndUna: u32; sndNxt: u32; sndWnd: u32; sndWl1: u32;
  sndSml: u32; // end of the last small segment (Minshall's Nagle)
  maxWindow: u32; writeSeq: u32; pushedSeq: u32;
  // the send queue: Segment list; those before sendNext were sent
  sendHead: usize; sendTail: usize; sendNext: usize;
  sendMem: u32; // bytes taken by it
  packetsOut: u32; sackedOut: u32; lostOut: u32; retransOut: u32;
  // receive
  rcvNxt: u32; rcvWup: u32; rcvWnd: u32;
  windowClamp: u32; rcvSsthresh: u32;
  oooHead: usize; oooTail: usize; // Skb list by sequence number, not overlapping
  // out-of-order ranges to report, the latest first (RFC 2018 section 4), and a duplicate one (RFC 2883)
  sackStart0: u32; sackEnd0: u32; sackStart1: u32; sackEnd1: u32;
  sackStart2: u32; sackEnd2: u32; sackStart3: u32; sackEnd3: u32;
  sackCount: u32;
  dsackStart: u32; dsackEnd: u32; // equal: none

  // negotiated
  features: u32;
  sndWscale: u8; rcvWscale: u8;
  synRetries: u8; // how often our SYN or SYN-ACK was sent again
  headerBytes: u8; // 20, 32 with timestamps
  mss: u32; // mss_cache: data bytes of a full segment
  advmss: u32; mssClamp: u32; pmtu: u32; // what we offer; what the peer takes; the path's MTU
  tsRecent: u32; tsRecentAt: u32; // and when it came, in s
  tsOffset: u32;

  // round trip time, in microseconds (RFC 6298; scaled as Linux does)
  srtt8: u32; mdev4: u32; mdevMax: u32; rttvar: u32; rttSeq: u32; rttMin: u32;
  rto: u32;
  retransmits: u8; backoff: u8; probes: u8; totalRto: u8;
  pending: u32; // PENDING_*
  retransStamp: u32; // when the first retransmission of this loss was sent, ms; 0: none

  // congestion control and recovery
  caState: u32; highSeq: u32; cwnd: u32; ssthresh: u32; cwndCount: u32; priorCwnd: u32;
  prrDelivered: u32; prrOut: u32;
  maxPacketsOut: u32; sentAt: u32; // last data sent, ms
  tlpHighSeq: u32;
  rackEnd: u32; rackRtt: u32; rackSent: u64; // most recently sent segment known to have arrived
  highestSack: u32;
  cwndLimited: u8; reordering: u8; // the window was what limited us; reordering was seen
  ipId: u16;
  cubicMax: u32; cubicOrigin: u32; cubicK: u32; cubicEpoch: u32; cubicCount: u32; cubicTcp: u32; cubicAcked: u32;

  // delayed ACKs; times in ms
  ackPending: u32; quickAcks: u8; pingpong: u8; ato: u32; lastReceived: u32;
  rcvMss: u32; lastSegment: u32;
  lastOow: u32; // when the last ACK to a bad segment went, ms + 1; 0: never
  listener: usize; // Listener, of a connection in its accept queue
}

/** The same memory while the socket listens: nothing is sent by it. */
@unmanaged export class Listener extends Socket {
  acceptHead: usize; acceptTail: usize; acceptCount: u32; // connections that wait for accept()
  requests: usize; requestCount: u32; // those being opened: Request list
  backlog: u32;
}

const WRITE_TIMER_AT: usize = (offsetof<Tcp>() + 7) & ~7;
const DELACK_TIMER_AT: usize = WRITE_TIMER_AT + offsetof<Timer>();
export const TCP_BYTES: u32 = <u32>(DELACK_TIMER_AT + offsetof<Timer>());

@inline export function writeTimer(sk: Tcp): Timer {
  return changetype<Timer>(changetype<usize>(sk) + WRITE_TIMER_AT);
}

@inline export function delackTimer(sk: Tcp): Timer {
  return changetype<Timer>(changetype<usize>(sk) + DELACK_TIMER_AT);
}

/** tcp_set_state */
@inline export function tcpSetState(sk: Socket, state: u32): void {
  if (FULL && node().traced != 0) watchState(sk, state);
  sk.state = state;
}

function watchState(sk: Socket, state: u32): void {
  if (watched(TRACE_TCP_SET_STATE)) traceSocket(TRACE_TCP_SET_STATE, sk, <u64>state, 0);
  if (watched(TRACE_INET_SOCK_SET_STATE)) traceState(sk, sk.state, state);
}

/** A closed TCP socket without a handle; null (0): no memory. */
export function tcpNew(ns: Netns): Tcp {
  const sk = changetype<Tcp>(socketNew(ns, SOCK_TCP, TCP_BYTES));
  if (changetype<usize>(sk) == 0) return sk;
  sk.state = TCP_CLOSE;
  sk.rcvBuf = <u32>sysctl(ns, SYSCTL_TCP_RMEM_DEFAULT);
  sk.sndBuf = TCP_SNDBUF;
  sk.rto = TCP_TIMEOUT_INIT_US;
  sk.mdev4 = TCP_TIMEOUT_INIT_US;
  sk.rttMin = u32.MAX_VALUE;
  sk.cwnd = 10;
  sk.ssthresh = 0x7fffffff;
  sk.mss = 536;
  sk.mssClamp = 0xffff;
  sk.headerBytes = 20;
  sk.ipId = <u16>randomId();
  const write = writeTimer(sk), delack = delackTimer(sk);
  write.kind = TIMER_TCP_WRITE;
  write.owner = changetype<usize>(sk);
  delack.kind = TIMER_TCP_DELACK;
  delack.owner = changetype<usize>(sk);
  return sk;
}

/** Gives back a connection that stands in no table, with its queues and timers. */
export function tcpFree(sk: Tcp): void {
  sendQueuePurge(sk);
  oooPurge(sk);
  timerDelete(writeTimer(sk));
  timerDelete(delackTimer(sk));
  socketFree(sk, TCP_BYTES);
}

// Sequence numbers wrap around.
@inline export function before(a: u32, b: u32): bool {
  return <i32>(a - b) < 0;
}
@inline export function after(a: u32, b: u32): bool {
  return <i32>(b - a) < 0;
}
@inline export function between(value: u32, low: u32, high: u32): bool {
  return high - low >= value - low;
}

/** Milliseconds of the node's clock: TCP's time for timestamps and delays. */
@inline export function nowMs(): u32 {
  return <u32>(node().now / 1_000_000);
}

/** Microseconds between two points of the node's clock, at least 1. */
@inline export function elapsedUs(from: u64): u32 {
  const us = (node().now - from) / 1000;
  return us == 0 ? 1 : us > 0x7fffffff ? 0x7fffffff : <u32>us;
}

/**
 * A piece of the byte stream that is sent as one segment. Its bytes follow the structure; SYN and FIN are flags of it and
 * count one each.
 */
@unmanaged export class Segment {
  next: usize; prev: usize;
  size: u32; // of the allocation
  data: usize; // first byte not yet acknowledged
  length: u32;
  seq: u32;
  flags: u32; // TCP_SYN, TCP_FIN, TCP_PSH
  state: u32; // SEG_*
  sentAt: u64;
}
export const SEGMENT_BYTES: u32 = <u32>((offsetof<Segment>() + 7) & ~7);

export const SEG_SACKED: u32 = 1; // TCPCB_SACKED_ACKED
export const SEG_RETRANS: u32 = 2; // TCPCB_SACKED_RETRANS: its retransmission is on the way
export const SEG_LOST: u32 = 4;
export const SEG_EVER_RETRANS: u32 = 8;

@inline export function segmentEnd(segment: Segment): u32 {
  return segment.seq + segment.length + (segment.flags & 1) + ((segment.flags >> 1) & 1);
}

/** Takes a segment out of the send queue and frees it; the caller keeps the counts of what is in flight. */
export function segmentFree(sk: Tcp, segment: Segment): void {
  if (segment.prev != 0) changetype<Segment>(segment.prev).next = segment.next;
  else sk.sendHead = segment.next;
  if (segment.next != 0) changetype<Segment>(segment.next).prev = segment.prev;
  else sk.sendTail = segment.prev;
  if (sk.sendNext == changetype<usize>(segment)) sk.sendNext = segment.next;
  sk.sendMem -= segment.size;
  kfree(changetype<usize>(segment), segment.size);
}

export function sendQueuePurge(sk: Tcp): void {
  while (sk.sendHead != 0) segmentFree(sk, changetype<Segment>(sk.sendHead));
  sk.packetsOut = 0;
  sk.sackedOut = 0;
  sk.lostOut = 0;
  sk.retransOut = 0;
}

/** Frees what waits out of order. */
export function oooPurge(sk: Tcp): void {
  while (sk.oooHead != 0) oooFree(sk, changetype<Skb>(sk.oooHead));
  sk.sackCount = 0;
}

/** Takes a packet out of the out-of-order queue and frees it. Its back link is in cb3. */
export function oooFree(sk: Tcp, skb: Skb): void {
  oooUnlink(sk, skb);
  sk.rcvMem -= skb.size;
  skbFree(skb);
}

export function oooUnlink(sk: Tcp, skb: Skb): void {
  const prev = <usize>skb.cb3;
  if (prev != 0) changetype<Skb>(prev).next = skb.next;
  else sk.oooHead = skb.next;
  if (skb.next != 0) changetype<Skb>(skb.next).cb3 = <u64>prev;
  else sk.oooTail = prev;
}

/** In the debug build: the counts of what is in flight agree with the send queue. */
export function verify(sk: Tcp): void {
  if (ASC_NO_ASSERT) return;
  let sent: u32 = 0, sacked: u32 = 0, lost: u32 = 0, resent: u32 = 0, bytes: u32 = 0;
  let seq = sk.sndUna;
  let unsent = false;
  for (let p = sk.sendHead; p != 0; p = changetype<Segment>(p).next) {
    const segment = changetype<Segment>(p);
    if (p == sk.sendNext) unsent = true;
    assert(segment.seq == seq);
    seq = segmentEnd(segment);
    bytes += segment.size;
    if (unsent) continue;
    sent++;
    if (segment.state & SEG_SACKED) sacked++;
    if (segment.state & SEG_LOST) lost++;
    if (segment.state & SEG_RETRANS) resent++;
  }
  assert(sent == sk.packetsOut && lost == sk.lostOut && resent == sk.retransOut && bytes == sk.sendMem);
  assert((sk.features & FEATURE_SACK) == 0 || sacked == sk.sackedOut);
  assert(sk.sackedOut + sk.lostOut <= sk.packetsOut + sk.retransOut);
  assert(sk.sendHead == 0 || seq == sk.writeSeq);
  let memory: u32 = 0;
  for (let p = sk.rcvHead; p != 0; p = changetype<Skb>(p).next) memory += changetype<Skb>(p).size;
  let end = sk.rcvNxt;
  for (let p = sk.oooHead; p != 0; p = changetype<Skb>(p).next) {
    const skb = changetype<Skb>(p);
    memory += skb.size;
    assert(after(<u32>skb.cb0, end) || (p != sk.oooHead && <u32>skb.cb0 == end));
    end = <u32>(skb.cb0 >> 32);
  }
  assert(memory == sk.rcvMem);
}

/** Segments that are in the network as far as we know (tcp_packets_in_flight). */
@inline export function inFlight(sk: Tcp): u32 {
  return sk.packetsOut + sk.retransOut - sk.sackedOut - sk.lostOut;
}

@inline export function sendWindowEnd(sk: Tcp): u32 {
  return sk.sndUna + sk.sndWnd;
}

/** The window the peer still sees (tcp_receive_window). */
@inline export function receiveWindow(sk: Tcp): u32 {
  const left = <i32>(sk.rcvWup + sk.rcvWnd - sk.rcvNxt);
  return left < 0 ? 0 : <u32>left;
}

/** tcp_win_from_space with a scaling ratio of one half: packets take up to twice their data. */
@inline export function windowFromSpace(space: i32): u32 {
  return space <= 0 ? 0 : <u32>space >> 1;
}

/** Receive space left, as window (tcp_space). */
@inline export function freeSpace(sk: Tcp): u32 {
  return windowFromSpace(<i32>(sk.rcvBuf - sk.rcvMem));
}

/** Timestamp offset of a pair of addresses (secure_tcp_ts_off): steady, so that time-wait can compare. */
export function timestampOffset(ns: Netns, localHi: u64, localLo: u64, remoteHi: u64, remoteLo: u64): u32 {
  return tupleHash(localHi, localLo, remoteHi, remoteLo, 0, changetype<SockNetns>(ns.sock).secret ^ 0x5a5a5a5a);
}

/** An initial sequence number (secure_tcp_seq): a hash of the four-tuple and a clock of 64 ns. */
export function initialSequence(ns: Netns, localHi: u64, localLo: u64, remoteHi: u64, remoteLo: u64, ports: u32): u32 {
  const secret = mix32(hashWord(changetype<SockNetns>(ns.sock).secret, 0x49534e));
  return tupleHash(localHi, localLo, remoteHi, remoteLo, ports, secret) + <u32>(node().now >> 6);
}

/** Bounds an RTO. */
@inline export function boundRto(us: u32): u32 {
  return us > TCP_RTO_MAX_US ? TCP_RTO_MAX_US : us;
}

/**
 * The data bytes of a full segment for a path of `mtu` (tcp_sync_mss, tcp_mss_to_mtu): IP and TCP header and our fixed options
 * off, at most what the peer takes, at most half of the largest window it ever offered.
 */
export function syncMss(sk: Tcp, mtu: u32): u32 {
  sk.pmtu = mtu;
  const headers = ipHeader(sk.remoteHi, sk.remoteLo) + 20;
  let mss: u32 = mtu < headers ? 0 : mtu - headers;
  if (mss > sk.mssClamp) mss = sk.mssClamp;
  mss = mss < 48 ? 48 : mss;
  mss -= <u32>sk.headerBytes - 20;
  if (mss < 8) mss = 8;
  const cutoff = sk.maxWindow > 536 ? sk.maxWindow >> 1 : sk.maxWindow;
  if (cutoff != 0 && mss > cutoff) mss = cutoff > 68 - <u32>sk.headerBytes ? cutoff : 68 - <u32>sk.headerBytes;
  sk.mss = mss;
  return mss;
}

/** Initial receive window and window scale for `space` bytes of buffer (tcp_select_initial_window). */
@inline export function initialWindow(rcvBuf: u32, mss: u32): u32 {
  const space = windowFromSpace(<i32>rcvBuf);
  return space > mss && mss != 0 ? space - space % mss : space;
}

/** ilog2(tcp_rmem[2]) - 15. */
export const RCV_WSCALE: u32 = 10;

