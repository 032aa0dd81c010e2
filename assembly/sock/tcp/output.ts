// Segments out (net/ipv4/tcp_output.c): the send queue, when the next segment may go, and what stands in its header.
import { FULL } from "../../features";
import { TRACE_TCP_RETRANSMIT, TRACE_TCP_RETRANSMIT_SKB } from "../../abi/bpf-trace";
import { traceRetransmit, traceSocket, watched } from "../../bpf/hooks/tracing";
import { EMSGSIZE, ENOBUFS, ENOMEM, EPIPE } from "../../abi/core";
import { SNMP_TCP_OUTRSTS, SNMP_TCP_OUTSEGS, SNMP_TCP_RETRANSSEGS, SYSCTL_IP_DEFAULT_TTL } from "../../abi/net";
import { TCP_CLOSE, TCP_SYN_SENT } from "../../abi/sock";
import { Netns, Skb } from "../../layout";
import { node } from "../../mm/node";
import { kfree, kmallocRaw, kmallocSize } from "../../mm/slab";
import { timerDelete } from "../../mm/timer";
import { IPSKB_CSUM_PARTIAL } from "../../net/ip-input";
import { Route, ipLocalOut, routeOutput } from "../../net/ip-output";
import { ip6Send } from "../../net/ip6-output";
import { isSix, pseudoSum } from "../family";
import { skbAlloc, skbPush } from "../../net/skb";
import { snmpInc } from "../../net/snmp";
import { sysctl } from "../../net/sysctl";
import { raw4 } from "../../wire/bytes";
import { checksumAdd, checksumFold, pseudo4 } from "../../wire/checksum";
import { IP_DF, IPPROTO_TCP, IPV4_HEADER_LEN, Ipv4View } from "../../wire/ipv4";
import { TCP_ACK, TCP_FIN, TCP_HEADER_LEN, TCP_PSH, TCP_RST, TCP_SYN, TcpView } from "../../wire/tcp";
import { observeSend } from "../deliver";
import { scopeOf, localPort, remotePort, scratchRoute, SK_NODELAY } from "../socket";
import { TCP_INIT_CWND } from "../limits";
import { optionBytes, sackBlocks, synOptionBytes, writeOptions, writeSynOptions } from "./options";
import {
  ACK_SCHED, after, before, CA_LOSS, CA_OPEN, delackTimer, freeSpace, inFlight,
  nowMs, PENDING_LOSS_PROBE, PENDING_NONE, PENDING_REO, receiveWindow, SEG_EVER_RETRANS, SEG_LOST, SEG_RETRANS,
  Segment, SEGMENT_BYTES, segmentEnd, segmentFree, sendWindowEnd, syncMss, Tcp, windowFromSpace,
} from "./tcp";
import { checkProbeTimer, rearmRto, scheduleLossProbe } from "./timer";

/** A segment's bytes and all of a packet's structure fit the largest slot of the arena. Only loopback's MSS is larger. */
const SEGMENT_DATA_MAX: u32 = 7680;
const SEGMENT_DATA_MIN: u32 = 80;

const NAGLE_PUSH: bool = true;

/**
 * Completes an IPv4 packet around the TCP header at `data` and sends it. Takes the packet. `options` bytes of IP options stand behind the
 * route in the namespace's scratch.
 */
export function ipv4Send(skb: Skb, ns: Netns, localLo: u64, remoteLo: u64, tos: u32, id: u32, options: u32 = 0,
  counted: bool = true): i32 {
  const length = <u32>(skb.tail - skb.data);
  const source = raw4(localLo), destination = raw4(remoteLo);
  const tcp = TcpView.at(skb.data);
  tcp.checksum = ~checksumFold(checksumAdd(pseudo4(source, destination, IPPROTO_TCP, length), skb.data, length));
  skb.transport = skb.data;
  skb.network = skbPush(skb, IPV4_HEADER_LEN + options);
  const ip = Ipv4View.at(skb.data);
  ip.write(tos, length + IPV4_HEADER_LEN + options, id, IP_DF, sysctl(ns, SYSCTL_IP_DEFAULT_TTL), IPPROTO_TCP, source, destination);
  if (options != 0) {
    store<u8>(skb.data, <u8>(0x45 + (options >>> 2)));
    memory.copy(skb.data + IPV4_HEADER_LEN, ns.scratch + offsetof<Route>(), <usize>options);
    ip.updateChecksum();
  }
  if (tcp.flags & TCP_RST) snmpInc(ns, SNMP_TCP_OUTRSTS);
  snmpInc(ns, SNMP_TCP_OUTSEGS);
  return ipLocalOut(skb, ns, counted);
}

/** The same for the family of its addresses: without options, `label` the flow label of IPv6. */
export function tcpSend(skb: Skb, ns: Netns, localHi: u64, localLo: u64, remoteHi: u64, remoteLo: u64, tos: u32, id: u32, label: bool,
  scope: u32): i32 {
  if (!isSix(remoteHi, remoteLo)) return ipv4Send(skb, ns, localLo, remoteLo, tos, id);
  const length = <u32>(skb.tail - skb.data);
  const tcp = TcpView.at(skb.data);
  tcp.checksum = ~checksumFold(checksumAdd(pseudoSum(localHi, localLo, remoteHi, remoteLo, IPPROTO_TCP, length), skb.data, length));
  if (tcp.flags & TCP_RST) snmpInc(ns, SNMP_TCP_OUTRSTS);
  snmpInc(ns, SNMP_TCP_OUTSEGS);
  return ip6Send(skb, ns, localHi, localLo, remoteHi, remoteLo, scope, IPPROTO_TCP, tos, 0, label);
}

/** Sends `length` bytes at `data` as one segment of this connection (__tcp_transmit_skb). 0 or -errno. */
export function transmit(sk: Tcp, seq: u32, flags: u32, data: usize, length: u32): i32 {
  const ns = changetype<Netns>(sk.ns);
  const syn = (flags & TCP_SYN) != 0;
  const options = syn ? synOptionBytes(sk.features) : flags & TCP_RST ? <u32>sk.headerBytes - 20 : optionBytes(sk);
  const header = TCP_HEADER_LEN + options;
  const skb = skbAlloc(header + length);
  if (changetype<usize>(skb) == 0) return -ENOBUFS;
  skb.tail = skb.data + <usize>(header + length);
  let window: u32;
  if (syn) {
    window = min<u32>(sk.rcvWnd, 65535);
  } else {
    window = selectWindow(sk);
  }
  const acknowledgment = flags & TCP_ACK ? sk.rcvNxt : 0;
  TcpView.at(skb.data).write(localPort(sk), remotePort(sk), seq, acknowledgment, header, flags, window);
  const tsval = nowMs() + sk.tsOffset;
  if (syn) {
    writeSynOptions(skb.data + TCP_HEADER_LEN, sk.features, sk.advmss, <u32>sk.rcvWscale, tsval, sk.tsRecent);
  } else if (flags & TCP_RST) {
    const blocks = sk.sackCount;
    sk.sackCount = 0;
    sk.dsackEnd = sk.dsackStart;
    writeOptions(skb.data + TCP_HEADER_LEN, sk, tsval);
    sk.sackCount = blocks;
  } else {
    writeOptions(skb.data + TCP_HEADER_LEN, sk, tsval);
  }
  if (length != 0) memory.copy(skb.data + <usize>header, data, <usize>length);
  skb.sock = <usize>sk.handle;
  if (flags & TCP_ACK) ackSent(sk);
  if (length != 0) {
    const now = nowMs();
    sk.sentAt = now;
    // An answer to what just came in: this is a conversation, ACKs can ride on data (tcp_event_data_sent).
    if (now - sk.lastReceived < sk.ato && sk.pingpong < 255) sk.pingpong++;
  }
  observeSend(skb, ns, IPPROTO_TCP, sk.handle);
  // A SYN-ACK carries no id: it is sent before there is a connection.
  const id: u32 = (flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK) ? 0 : <u32>++sk.ipId;
  skb.ipFlags |= IPSKB_CSUM_PARTIAL;
  const sent = tcpSend(skb, ns, sk.localHi, sk.localLo, sk.remoteHi, sk.remoteLo, 0, id, true, scopeOf(sk));
  if (sent == -EMSGSIZE) {
    // The path was found to take less since: the retransmission will fit.
    const route = scratchRoute();
    if (routeOutput(ns, sk.remoteHi, sk.remoteLo, sk.localHi, sk.localLo, scopeOf(sk), 0, 0, route) == 0 && route.mtu < sk.pmtu) {
      syncMss(sk, route.mtu);
    }
  }
  return sent;
}

/** An ACK without data (tcp_send_ack). */
export function sendAck(sk: Tcp): void {
  if (sk.state == TCP_CLOSE) return;
  if (transmit(sk, sk.sndNxt, TCP_ACK, 0, 0) == -ENOBUFS) sk.ackPending |= ACK_SCHED;
}

/** Every segment with ACK does what a delayed ACK was waiting to do (tcp_event_ack_sent). */
function ackSent(sk: Tcp): void {
  if (sk.quickAcks != 0 && --sk.quickAcks == 0) sk.ato = 40;
  sk.ackPending = 0;
  timerDelete(delackTimer(sk));
}

/** The window field of the next segment; what was promised is never taken back (tcp_select_window). */
function selectWindow(sk: Tcp): u32 {
  const current = receiveWindow(sk);
  const wscale = <u32>sk.rcvWscale;
  let window = offerWindow(sk);
  if (window < current) window = alignUp(current, wscale);
  sk.rcvWup = sk.rcvNxt;
  const most = <u32>65535 << wscale;
  if (window > most) window = most;
  sk.rcvWnd = window;
  return window >> wscale;
}

@inline function alignUp(value: u32, bits: u32): u32 {
  const mask = (<u32>1 << bits) - 1;
  return (value + mask) & ~mask;
}

/** The window that the free buffer space allows, avoiding silly windows (__tcp_select_window). */
export function offerWindow(sk: Tcp): u32 {
  const allowed = windowFromSpace(<i32>sk.rcvBuf);
  const full = min<u32>(sk.windowClamp, allowed);
  let free = freeSpace(sk);
  const mss = min<u32>(sk.rcvMss, full);
  const wscale = <u32>sk.rcvWscale;
  if (mss == 0) return 0;
  if (free < full >> 1) {
    sk.quickAcks = 0;
    free &= ~((<u32>1 << wscale) - 1);
    if (free < allowed >> 4 || free < mss) return 0;
  }
  if (free > sk.rcvSsthresh) free = sk.rcvSsthresh;
  if (wscale != 0) return alignUp(free, wscale);
  let window = sk.rcvWnd;
  if (window + mss <= free || window > free) window = free - free % mss;
  else if (mss == full && free > window + (full >> 1)) window = free;
  return window;
}

/** Data bytes of the next full segment: SACK blocks take room (tcp_current_mss). */
export function currentMss(sk: Tcp): u32 {
  const blocks = sackBlocks(sk);
  const mss = blocks == 0 ? sk.mss : sk.mss - min<u32>(sk.mss >> 1, 4 + blocks * 8);
  return mss > SEGMENT_DATA_MAX ? SEGMENT_DATA_MAX : mss;
}

/** Appends an empty segment with room for `room` bytes to the send queue; null (0): no memory. */
export function segmentAppend(sk: Tcp, room: u32, flags: u32): Segment {
  const size = kmallocSize(SEGMENT_BYTES + room);
  const at = kmallocRaw(size);
  if (at == 0) return changetype<Segment>(0);
  memory.fill(at, 0, SEGMENT_BYTES);
  const segment = changetype<Segment>(at);
  segment.size = size;
  segment.data = at + SEGMENT_BYTES;
  segment.seq = sk.writeSeq;
  segment.flags = flags;
  segment.prev = sk.sendTail;
  if (sk.sendTail != 0) changetype<Segment>(sk.sendTail).next = at;
  else sk.sendHead = at;
  sk.sendTail = at;
  if (sk.sendNext == 0) sk.sendNext = at;
  sk.sendMem += size;
  return segment;
}

/** Puts `to` in the place of `from`, which is freed. */
function segmentReplace(sk: Tcp, from: Segment, to: Segment): void {
  const at = changetype<usize>(to);
  to.next = from.next;
  to.prev = from.prev;
  if (from.prev != 0) changetype<Segment>(from.prev).next = at;
  else sk.sendHead = at;
  if (from.next != 0) changetype<Segment>(from.next).prev = at;
  else sk.sendTail = at;
  if (sk.sendNext == changetype<usize>(from)) sk.sendNext = at;
  sk.sendMem += to.size - from.size;
  kfree(changetype<usize>(from), from.size);
}

/** The unsent last segment with room for `more` bytes behind its own; null (0): no memory. */
function segmentRoom(sk: Tcp, segment: Segment, more: u32): Segment {
  const start = changetype<usize>(segment) + SEGMENT_BYTES;
  if (<u32>(segment.data - start) + segment.length + more + SEGMENT_BYTES <= segment.size) return segment;
  const size = kmallocSize(SEGMENT_BYTES + min<u32>(max<u32>(segment.length << 1, segment.length + more), SEGMENT_DATA_MAX));
  const at = kmallocRaw(size);
  if (at == 0) return changetype<Segment>(0);
  memory.copy(at, changetype<usize>(segment), SEGMENT_BYTES);
  memory.copy(at + SEGMENT_BYTES, segment.data, <usize>segment.length);
  const grown = changetype<Segment>(at);
  grown.size = size;
  grown.data = at + SEGMENT_BYTES;
  segmentReplace(sk, segment, grown);
  return grown;
}

/** Takes at most `length` bytes at `from` into the send queue (tcp_sendmsg). Returns how many; 0: no room; -ENOMEM. */
export function queueWrite(sk: Tcp, from: usize, length: u32): i32 {
  let done: u32 = 0;
  if (sk.packetsOut == 0) restartAfterIdle(sk);
  const mss = currentMss(sk);
  while (done < length && sk.sendMem < sk.sndBuf) {
    let segment = changetype<Segment>(sk.sendTail);
    let room = length - done;
    if (sk.sendNext != 0 && segment.length < mss && (segment.flags & (TCP_SYN | TCP_FIN)) == 0) {
      room = min<u32>(room, mss - segment.length);
      segment = segmentRoom(sk, segment, room);
      if (changetype<usize>(segment) != 0 && done == 0) segment.flags &= ~TCP_PSH;
    } else {
      if (sk.sendTail != 0 && after(sk.writeSeq, sk.pushedSeq + (sk.maxWindow >> 1))) markPush(sk, segment);
      room = min<u32>(room, mss);
      segment = segmentAppend(sk, max<u32>(room, SEGMENT_DATA_MIN), 0);
    }
    if (changetype<usize>(segment) == 0) {
      if (done == 0) return -ENOMEM;
      break;
    }
    memory.copy(segment.data + <usize>segment.length, from + <usize>done, <usize>room);
    segment.length += room;
    sk.writeSeq += room;
    done += room;
  }
  if (done != 0) {
    markPush(sk, changetype<Segment>(sk.sendTail));
    pushPending(sk, false);
  }
  return <i32>done;
}

function markPush(sk: Tcp, segment: Segment): void {
  segment.flags |= TCP_PSH;
  sk.pushedSeq = sk.writeSeq;
}

/** After a pause of more than an RTO the window is no longer known to fit the path (tcp_slow_start_after_idle_check). */
function restartAfterIdle(sk: Tcp): void {
  let idle = <i64>(nowMs() - sk.sentAt) * 1000 - <i64>sk.rto;
  if (idle <= 0 || sk.sentAt == 0) return;
  let cwnd = sk.cwnd;
  sk.ssthresh = max<u32>(sk.ssthresh, (cwnd >> 1) + (cwnd >> 2));
  while (idle > 0 && cwnd > TCP_INIT_CWND) {
    cwnd >>= 1;
    idle -= <i64>sk.rto;
  }
  sk.cwnd = max<u32>(cwnd, min<u32>(sk.cwnd, TCP_INIT_CWND));
  sk.cwndCount = 0;
}

/** Sends what may go, and arms the probe timer when nothing may and nothing is under way (__tcp_push_pending_frames). */
export function pushPending(sk: Tcp, push: bool): void {
  if (sk.sendNext == 0 || sk.state == TCP_CLOSE) return;
  if (writeXmit(sk, push || (sk.flags & SK_NODELAY) != 0, 0)) checkProbeTimer(sk);
}

/** Nagle with Minshall's change: a small segment waits only while another small one is unacknowledged (tcp_nagle_test). */
function nagleAllows(sk: Tcp, segment: Segment, mss: u32): bool {
  if (segment.next != 0 || segment.length >= mss || segment.flags & TCP_FIN) return true;
  return !(sk.packetsOut != 0 && after(sk.sndSml, sk.sndUna) && !after(sk.sndSml, sk.sndNxt));
}

/**
 * Sends new segments while the windows allow (tcp_write_xmit). `limit`: at most so many; 0: no limit; a loss probe (limit 1) may
 * exceed the congestion window. Returns true when data waits but nothing is in the network: the peer's window is closed.
 */
export function writeXmit(sk: Tcp, push: bool, limit: u32): bool {
  let sent: u32 = 0;
  let limited = false;
  const mss = currentMss(sk);
  while (sk.sendNext != 0) {
    const segment = changetype<Segment>(sk.sendNext);
    if (inFlight(sk) >= sk.cwnd && limit == 0) {
      limited = true;
      break;
    }
    const end = segment.length > mss ? segment.seq + mss : segmentEnd(segment);
    if (after(end, sendWindowEnd(sk))) break;
    if (!push && !nagleAllows(sk, segment, mss)) break;
    if (segment.length > mss && !segmentSplit(sk, segment, mss)) break;
    if (segment.length < mss) sk.sndSml = segmentEnd(segment);
    if (!sendNew(sk, segment)) break;
    sent++;
    if (limit != 0 && sent >= limit) break;
  }
  if (sent != 0) {
    // tcp_cwnd_validate: the window may grow only while it is what limits us.
    const out = sk.packetsOut;
    if (limited || out > sk.maxPacketsOut || inFlight(sk) >= sk.cwnd) {
      sk.maxPacketsOut = out;
      sk.cwndLimited = limited || inFlight(sk) >= sk.cwnd ? 1 : 0;
    }
    if (limit == 0) scheduleLossProbe(sk, false);
    return false;
  }
  return sk.packetsOut == 0 && sk.sendNext != 0;
}

/** Sends the first unsent segment; false when there was no memory for it (the timers try again). */
export function sendNew(sk: Tcp, segment: Segment): bool {
  const result = transmit(sk, segment.seq, segment.flags | TCP_ACK, segment.data, segment.length);
  if (result == -ENOBUFS) return false;
  segment.sentAt = node().now;
  const prior = sk.packetsOut;
  sk.sendNext = segment.next;
  sk.sndNxt = segmentEnd(segment);
  sk.packetsOut++;
  if (prior == 0 || sk.pending == PENDING_LOSS_PROBE) rearmRto(sk);
  return true;
}

/** Cuts a segment in two at `at` bytes; the flags FIN and PSH go with the second (tcp_fragment). False: no memory. */
export function segmentSplit(sk: Tcp, segment: Segment, at: u32): bool {
  const rest = segment.length - at;
  const size = kmallocSize(SEGMENT_BYTES + rest);
  const p = kmallocRaw(size);
  if (p == 0) return false;
  memory.copy(p, changetype<usize>(segment), SEGMENT_BYTES);
  const second = changetype<Segment>(p);
  second.size = size;
  second.data = p + SEGMENT_BYTES;
  second.length = rest;
  second.seq = segment.seq + at;
  memory.copy(second.data, segment.data + <usize>at, <usize>rest);
  segment.length = at;
  segment.flags &= ~(TCP_FIN | TCP_PSH);
  second.prev = changetype<usize>(segment);
  if (segment.next != 0) changetype<Segment>(segment.next).prev = p;
  else sk.sendTail = p;
  segment.next = p;
  sk.sendMem += size;
  if (before(segment.seq, sk.sndNxt) && sk.sendNext != changetype<usize>(segment)) {
    // Both were sent: each counts.
    sk.packetsOut++;
    if (segment.state & SEG_LOST) sk.lostOut++;
    if (segment.state & SEG_RETRANS) sk.retransOut++;
  }
  return true;
}

/** Sends a segment of the queue again (__tcp_retransmit_skb). 0, or -errno when nothing was sent. */
export function retransmitSegment(sk: Tcp, segment: Segment): i32 {
  if (FULL && watched(TRACE_TCP_RETRANSMIT)) traceSocket(TRACE_TCP_RETRANSMIT, sk, 0, 1);
  if (!before(segment.seq, sendWindowEnd(sk)) && segment.seq != sk.sndUna) return -EPIPE;
  const mss = currentMss(sk);
  if (segment.length > mss && !segmentSplit(sk, segment, mss)) return -ENOMEM;
  const syn = (segment.flags & TCP_SYN) != 0;
  const flags = segment.flags | (syn && sk.state == TCP_SYN_SENT ? 0 : TCP_ACK);
  const result = transmit(sk, segment.seq, flags, segment.data, segment.length);
  if (FULL && watched(TRACE_TCP_RETRANSMIT_SKB)) traceRetransmit(sk);
  if (result == -ENOBUFS) return result;
  snmpInc(changetype<Netns>(sk.ns), SNMP_TCP_RETRANSSEGS);
  if (segment.state & SEG_RETRANS) sk.retransOut--;
  segment.state |= SEG_RETRANS | SEG_EVER_RETRANS;
  segment.sentAt = node().now;
  sk.retransOut++;
  if (syn) sk.synRetries++;
  if (sk.retransStamp == 0) sk.retransStamp = nowMs();
  return 0;
}

/** Queues FIN behind everything written and sends what may go (tcp_send_fin). False: no memory. */
export function sendFin(sk: Tcp): bool {
  if (sk.sendNext != 0 && (changetype<Segment>(sk.sendTail).flags & TCP_SYN) == 0) {
    changetype<Segment>(sk.sendTail).flags |= TCP_FIN;
  } else if (changetype<usize>(segmentAppend(sk, 0, TCP_FIN)) == 0) {
    return false;
  }
  sk.writeSeq++;
  pushPending(sk, NAGLE_PUSH);
  return true;
}

/** A segment below the window that the peer must answer with its window (tcp_xmit_probe_skb). */
export function sendProbe(sk: Tcp): void {
  transmit(sk, sk.sndUna - 1, TCP_ACK, 0, 0);
}

/** A RST of this connection (tcp_send_active_reset). */
export function sendActiveReset(sk: Tcp): void {
  transmit(sk, sk.sndNxt, TCP_ACK | TCP_RST, 0, 0);
}

/** The first SYN (tcp_connect). -ENOMEM, or what IP answered. */
export function sendSyn(sk: Tcp): i32 {
  const segment = segmentAppend(sk, 0, TCP_SYN);
  if (changetype<usize>(segment) == 0) return -ENOMEM;
  sk.writeSeq++;
  segment.sentAt = node().now;
  sk.sendNext = 0;
  sk.sndNxt = sk.writeSeq;
  sk.packetsOut = 1;
  sk.retransStamp = nowMs();
  const result = transmit(sk, segment.seq, TCP_SYN, 0, 0);
  rearmRto(sk);
  return result;
}

/** Sends all segments marked lost again while the congestion window allows (tcp_xmit_retransmit_queue). */
export function retransmitLost(sk: Tcp): void {
  let at = sk.sendHead;
  let rearm = false;
  while (at != 0 && at != sk.sendNext && sk.lostOut > sk.retransOut) {
    const segment = changetype<Segment>(at);
    if (inFlight(sk) >= sk.cwnd) break;
    if ((segment.state & (SEG_LOST | SEG_RETRANS)) == SEG_LOST) {
      if (retransmitSegment(sk, segment) < 0) break;
      if (sk.caState != CA_LOSS && sk.caState != CA_OPEN) sk.prrOut++;
      if (at == sk.sendHead && sk.pending != PENDING_REO) rearm = true;
    }
    at = segment.next;
  }
  if (rearm) {
    sk.pending = PENDING_NONE;
    rearmRto(sk);
  }
}
