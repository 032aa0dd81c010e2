// What is lost, and how it is repaired: SACK scoreboard (RFC 2018), RACK (RFC 8985), NewReno (RFC 6582) where the peer has no
// SACK, proportional rate reduction (RFC 6937). Follows net/ipv4/tcp_input.c and tcp_recovery.c.
import { node } from "../../mm/node";
import { be32 } from "../../wire/bytes";
import { scratch, SockScratch } from "../socket";
import { cubicReset, cubicSsthresh } from "./cubic";
import { retransmitLost } from "./output";
import {
  after, before, CA_DISORDER, CA_LOSS, CA_OPEN, CA_RECOVERY, elapsedUs, FEATURE_SACK, inFlight, PENDING_REO, SEG_EVER_RETRANS,
  SEG_LOST, SEG_RETRANS, SEG_SACKED, Segment, segmentEnd, Tcp,
} from "./tcp";
import { armWrite } from "./timer";

// SockScratch.flags: what an ACK told (FLAG_* of tcp_input.c)
export const ACK_DATA: u32 = 1; // came with data
export const ACK_WIN_UPDATE: u32 = 2;
export const ACK_DATA_ACKED: u32 = 4;
export const ACK_RETRANS_ACKED: u32 = 8;
export const ACK_SYN_ACKED: u32 = 16;
export const ACK_DATA_SACKED: u32 = 32;
export const ACK_UNA_ADVANCED: u32 = 64;
export const ACK_DSACK: u32 = 128;
export const ACK_NOT_DUP: u32 = ACK_DATA | ACK_WIN_UPDATE | ACK_DATA_ACKED | ACK_SYN_ACKED;

const DUPACK_THRESHOLD: u32 = 3; // net.ipv4.tcp_reordering

function sentAfter(t1: u64, t2: u64, end1: u32, end2: u32): bool {
  return t1 > t2 || (t1 == t2 && after(end1, end2));
}

/** A segment arrived: RACK remembers the one sent last (tcp_rack_advance). */
export function rackAdvance(sk: Tcp, segment: Segment): void {
  const rtt = elapsedUs(segment.sentAt);
  // An ACK so soon after a retransmission is about the original.
  if (segment.state & SEG_EVER_RETRANS && rtt < sk.rttMin) return;
  sk.rackRtt = rtt;
  const end = segmentEnd(segment);
  if (sentAfter(segment.sentAt, sk.rackSent, end, sk.rackEnd)) {
    sk.rackSent = segment.sentAt;
    sk.rackEnd = end;
  }
}

/** Marks what SACK blocks report (tcp_sacktag_write_queue). */
export function sackTag(sk: Tcp, ack: u32, priorUna: u32, s: SockScratch): void {
  const count = min<u32>(s.sackCount, 4);
  for (let i: u32 = 0; i < count; i++) {
    const at = s.sackAt + <usize>(i << 3);
    const start = be32(at, 0), end = be32(at, 4);
    if (i == 0 && isDuplicateReport(s, start, end, ack)) {
      s.flags |= ACK_DSACK;
      continue;
    }
    if (!before(start, end) || after(end, sk.sndNxt) || !after(end, ack) || before(start, priorUna)) continue;
    let p = sk.sendHead;
    while (p != 0 && p != sk.sendNext) {
      const segment = changetype<Segment>(p);
      p = segment.next;
      if (!before(segment.seq, end)) break;
      if (before(segment.seq, start) || after(segmentEnd(segment), end) || segment.state & SEG_SACKED) continue;
      if (segment.state & SEG_RETRANS) {
        sk.retransOut--;
      } else if ((segment.state & SEG_EVER_RETRANS) == 0) {
        if (before(segment.seq, sk.highestSack) && after(sk.highestSack, sk.sndUna)) sk.reordering = 1;
        s.sackRtt = elapsedUs(segment.sentAt);
      }
      if (segment.state & SEG_LOST) sk.lostOut--;
      rackAdvance(sk, segment);
      segment.state = (segment.state & SEG_EVER_RETRANS) | SEG_SACKED;
      sk.sackedOut++;
      s.delivered++;
      s.flags |= ACK_DATA_SACKED;
      if (after(segmentEnd(segment), sk.highestSack) || !after(sk.highestSack, sk.sndUna)) sk.highestSack = segmentEnd(segment);
    }
  }
}

/** RFC 2883: a first block below the ACK, or inside the second one, reports a duplicate. */
function isDuplicateReport(s: SockScratch, start: u32, end: u32, ack: u32): bool {
  if (before(start, ack)) return true;
  return s.sackCount > 1 && !after(end, be32(s.sackAt, 12)) && !before(start, be32(s.sackAt, 8));
}

function markLost(sk: Tcp, segment: Segment): void {
  if (segment.state & SEG_SACKED) return;
  if (segment.state & SEG_LOST) {
    if (segment.state & SEG_RETRANS) {
      segment.state &= ~SEG_RETRANS;
      sk.retransOut--;
    }
    return;
  }
  segment.state |= SEG_LOST;
  sk.lostOut++;
}

/** Microseconds by which later segments may overtake (tcp_rack_reo_wnd). */
function reorderingWindow(sk: Tcp): u32 {
  if (sk.reordering == 0 && (sk.caState >= CA_RECOVERY || sk.sackedOut >= DUPACK_THRESHOLD)) return 0;
  const quarter = sk.rttMin == u32.MAX_VALUE ? 0 : sk.rttMin >> 2;
  return min<u32>(quarter, sk.srtt8 >> 3);
}

/** Marks what was sent long enough before something that arrived (tcp_rack_detect_loss); us until more is known, 0: nothing. */
function rackDetect(sk: Tcp): u32 {
  if (sk.rackSent == 0) return 0;
  const window = <i64>reorderingWindow(sk);
  let timeout: i64 = 0;
  let p = sk.sendHead;
  while (p != 0 && p != sk.sendNext) {
    const segment = changetype<Segment>(p);
    p = segment.next;
    if (segment.state & SEG_SACKED || (segment.state & (SEG_LOST | SEG_RETRANS)) == SEG_LOST) continue;
    if (!sentAfter(sk.rackSent, segment.sentAt, sk.rackEnd, segmentEnd(segment))) continue;
    const left = <i64>sk.rackRtt + window - <i64>elapsedUs(segment.sentAt);
    if (left <= 0) markLost(sk, segment);
    else if (left > timeout) timeout = left;
  }
  return <u32>timeout;
}

function identifyLoss(sk: Tcp, s: SockScratch): void {
  if (sk.features & FEATURE_SACK) {
    if ((s.flags & (ACK_DATA_SACKED | ACK_UNA_ADVANCED)) == 0) return;
    const timeout = rackDetect(sk);
    if (timeout != 0) armWrite(sk, PENDING_REO, timeout + 8000);
    return;
  }
  // tcp_newreno_mark_lost
  if (sk.sendHead == 0 || sk.sendHead == sk.sendNext) return;
  if ((sk.caState < CA_RECOVERY && sk.sackedOut >= DUPACK_THRESHOLD)
    || (sk.caState == CA_RECOVERY && (s.flags & ACK_UNA_ADVANCED) != 0)) {
    markLost(sk, changetype<Segment>(sk.sendHead));
  }
}

/** An ACK that is not plain progress: state changes of RFC 5681 and 6582 (tcp_fastretrans_alert). `dupack`: it repeats the last one. */
export function fastRetransmitAlert(sk: Tcp, dupack: bool): void {
  const s = scratch();
  const reno = (sk.features & FEATURE_SACK) == 0;
  if (sk.caState != CA_OPEN && !before(sk.sndUna, sk.highSeq)) {
    // Reno can not tell a late duplicate ACK from a new loss: wait for something above.
    if (reno && sk.caState >= CA_RECOVERY && sk.sndUna == sk.highSeq && sk.packetsOut != 0) return;
    if (sk.caState != CA_LOSS && sk.caState != CA_DISORDER) sk.cwnd = sk.ssthresh;
    sk.caState = CA_OPEN;
    sk.retransStamp = 0;
    if (reno) sk.sackedOut = 0;
  }
  if (reno) {
    if (dupack && (sk.caState != CA_LOSS || after(sk.sndNxt, sk.highSeq))) {
      if (sk.sackedOut + 1 < sk.packetsOut) sk.sackedOut++;
      s.delivered++;
    } else if (s.flags & ACK_UNA_ADVANCED && sk.caState != CA_RECOVERY) {
      sk.sackedOut = 0;
    }
  }
  identifyLoss(sk, s);
  if (sk.caState >= CA_RECOVERY) return;
  if (sk.lostOut == 0) {
    if (sk.caState <= CA_DISORDER) {
      sk.caState = sk.sackedOut != 0 ? CA_DISORDER : CA_OPEN;
      if (sk.caState == CA_DISORDER) sk.highSeq = sk.sndNxt;
    }
    return;
  }
  enterRecovery(sk);
}

function enterRecovery(sk: Tcp): void {
  sk.priorCwnd = sk.cwnd;
  sk.prrDelivered = 0;
  sk.prrOut = 0;
  sk.cwndCount = 0;
  sk.tlpHighSeq = 0;
  sk.ssthresh = cubicSsthresh(sk);
  sk.highSeq = sk.sndNxt;
  sk.caState = CA_RECOVERY;
}

/** RFC 6937 (tcp_cwnd_reduction). */
export function reduceWindow(sk: Tcp, delivered: u32, newlyLost: bool, advanced: bool): void {
  if (delivered == 0 || sk.priorCwnd == 0) return;
  const flight = inFlight(sk);
  const delta = <i32>sk.ssthresh - <i32>flight;
  sk.prrDelivered += delivered;
  let more: i32;
  if (delta < 0) {
    const dividend = <u64>sk.ssthresh * <u64>sk.prrDelivered + <u64>sk.priorCwnd - 1;
    more = <i32>(dividend / <u64>sk.priorCwnd) - <i32>sk.prrOut;
  } else {
    more = max<i32>(<i32>sk.prrDelivered - <i32>sk.prrOut, <i32>delivered);
    if (advanced && !newlyLost) more++;
    more = min<i32>(delta, more);
  }
  more = max<i32>(more, sk.prrOut != 0 ? 0 : 1);
  sk.cwnd = max<u32>(flight + <u32>more, 1);
}

/** The RTO is over: all that is not known to have arrived counts as lost (tcp_enter_loss). */
export function enterLoss(sk: Tcp): void {
  if (sk.caState <= CA_DISORDER || !after(sk.highSeq, sk.sndUna) || (sk.caState == CA_LOSS && sk.retransmits == 0)) {
    sk.priorCwnd = sk.cwnd;
    sk.ssthresh = cubicSsthresh(sk);
  }
  cubicReset(sk);
  if ((sk.features & FEATURE_SACK) == 0) sk.sackedOut = 0;
  // A receiver that dropped what it had reported (reneging) is believed no more.
  const renege = (changetype<Segment>(sk.sendHead).state & SEG_SACKED) != 0;
  let p = sk.sendHead;
  while (p != 0 && p != sk.sendNext) {
    const segment = changetype<Segment>(p);
    if (renege && segment.state & SEG_SACKED) {
      segment.state &= ~SEG_SACKED;
      sk.sackedOut--;
    }
    const recent = p != sk.sendHead && !renege && sk.features & FEATURE_SACK
      && node().now < segment.sentAt + <u64>sk.rackRtt * 1000;
    if (!recent) markLost(sk, segment);
    p = segment.next;
  }
  sk.cwnd = inFlight(sk) + 1;
  sk.cwndCount = 0;
  sk.caState = CA_LOSS;
  sk.highSeq = sk.sndNxt;
}

/** What could have been overtaken has had its time (tcp_rack_reo_timeout). */
export function reorderingTimeout(sk: Tcp): void {
  const before = inFlight(sk);
  rackDetect(sk);
  if (before == inFlight(sk)) return;
  if (sk.caState != CA_RECOVERY) {
    if (sk.caState < CA_RECOVERY) enterRecovery(sk);
    reduceWindow(sk, 1, true, false);
  }
  retransmitLost(sk);
}
