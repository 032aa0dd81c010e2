// Acknowledgments in: what left the send queue, round trip time and RTO (RFC 6298), window (tcp_ack of net/ipv4/tcp_input.c).
import { READY_WRITE } from "../../abi/sock";
import { Skb } from "../../layout";
import { node } from "../../mm/node";
import { sockWake } from "../events";
import { SK_SEND_SHUTDOWN, scratch, SockScratch } from "../socket";
import { TCP_RTO_MIN_US } from "../limits";
import { TCP_SYN } from "../../wire/tcp";
import { cubicAvoid } from "./cubic";
import { ackOf, challengeAck, endOf, seqOf, windowOf } from "./input";
import {
  ACK_DATA, ACK_DATA_ACKED, ACK_DATA_SACKED, ACK_DSACK, ACK_NOT_DUP, ACK_RETRANS_ACKED, ACK_SYN_ACKED, ACK_UNA_ADVANCED,
  ACK_WIN_UPDATE, fastRetransmitAlert, rackAdvance, reduceWindow, sackTag,
} from "./loss";
import { retransmitLost } from "./output";
import { SAW_TIMESTAMP } from "./options";
import {
  after, before, boundRto, CA_CWR, CA_OPEN, CA_RECOVERY, elapsedUs, FEATURE_SACK, FEATURE_TIMESTAMPS, inFlight, nowMs,
  PENDING_NONE, PENDING_PROBE0, PENDING_REO, SEG_EVER_RETRANS, SEG_LOST, SEG_RETRANS, SEG_SACKED, Segment, segmentEnd, segmentFree, syncMss,
  sendWindowEnd, Tcp,
} from "./tcp";
import { armWrite, disarmWrite, probeInterval, rearmRto, scheduleLossProbe } from "./timer";

/**
 * Handles the acknowledgment of a segment whose options stand in the scratch. Returns 1: new or current, 0: old, -1: of
 * something never sent. `updateTimestamp`: its timestamp may become the one we echo.
 */
export function tcpAck(sk: Tcp, skb: Skb, updateTimestamp: bool): i32 {
  const s = scratch();
  const ack = ackOf(skb);
  const priorUna = sk.sndUna;
  s.flags = 0;
  s.delivered = 0;
  s.sackRtt = 0;
  if (before(ack, priorUna)) {
    // RFC 5961 section 5.2: an ACK older than anything the peer could still send
    if (before(ack, priorUna - sk.maxWindow)) {
      challengeAck(sk);
      return -1;
    }
    if (s.sackCount != 0 && sk.features & FEATURE_SACK && sk.packetsOut != 0) {
      sackTag(sk, priorUna, priorUna, s);
      const lost = sk.lostOut;
      fastRetransmitAlert(sk, false);
      finish(sk, s, lost);
    }
    return 0;
  }
  if (after(ack, sk.sndNxt)) return -1;
  if (after(ack, priorUna)) {
    s.flags |= ACK_UNA_ADVANCED;
    sk.retransmits = 0;
  }
  const priorPackets = sk.packetsOut;
  const lost = sk.lostOut;
  if (updateTimestamp) replaceTimestamp(sk, seqOf(skb), s);
  if (seqOf(skb) != endOf(skb)) s.flags |= ACK_DATA;
  updateWindow(sk, skb, ack, s);
  sk.softError = 0;
  sk.probes = 0;
  if (s.sackCount != 0 && sk.features & FEATURE_SACK && priorPackets != 0) sackTag(sk, ack, priorUna, s);
  if (priorPackets == 0) {
    probeAcked(sk);
    return 1;
  }
  const seqRtt = cleanQueue(sk, s);
  updateRtt(sk, s, seqRtt);
  if (sk.tlpHighSeq != 0 && !before(ack, sk.tlpHighSeq)) sk.tlpHighSeq = 0;
  const dupack = (s.flags & (ACK_UNA_ADVANCED | ACK_NOT_DUP)) == 0;
  const progress = (s.flags & (ACK_UNA_ADVANCED | ACK_DATA_SACKED)) != 0;
  // The timer runs anew from here; reordering or recovery may set it otherwise below.
  if (s.flags & ACK_UNA_ADVANCED) {
    if (!scheduleLossProbe(sk, true)) rearmRto(sk);
  }
  if ((s.flags & ACK_NOT_DUP) == 0 || (s.flags & (ACK_DATA_SACKED | ACK_DSACK)) != 0 || sk.caState != CA_OPEN) {
    fastRetransmitAlert(sk, dupack);
  }
  if (progress && sk.packetsOut == 0) disarmWrite(sk);
  finish(sk, s, lost);
  if (sk.packetsOut == 0 && sk.sendNext != 0) probeAcked(sk);
  return 1;
}

/** Congestion control for what this ACK delivered, then repair (tcp_cong_control, tcp_xmit_recovery). */
function finish(sk: Tcp, s: SockScratch, lostBefore: u32): void {
  if (sk.caState == CA_RECOVERY || sk.caState == CA_CWR) {
    reduceWindow(sk, s.delivered, sk.lostOut > lostBefore, (s.flags & ACK_UNA_ADVANCED) != 0);
  } else if (s.flags & ACK_DATA_ACKED) {
    cubicAvoid(sk, s.delivered);
  }
  if (sk.lostOut > sk.retransOut) retransmitLost(sk);
}

/** Takes acknowledged segments off the queue (tcp_clean_rtx_queue). Returns a round trip time in us, 0: none to be had. */
function cleanQueue(sk: Tcp, s: SockScratch): u32 {
  const una = sk.sndUna;
  const reno = (sk.features & FEATURE_SACK) == 0;
  let first: u64 = 0;
  let acked: u32 = 0;
  while (sk.sendHead != 0 && sk.sendHead != sk.sendNext) {
    const segment = changetype<Segment>(sk.sendHead);
    if (after(segmentEnd(segment), una)) {
      const part = una - segment.seq;
      if (after(una, segment.seq) && part <= segment.length) {
        segment.data += <usize>part;
        segment.length -= part;
        segment.seq = una;
        s.flags |= ACK_DATA_ACKED;
      }
      break;
    }
    if (segment.state & SEG_EVER_RETRANS) {
      if (segment.state & SEG_RETRANS) sk.retransOut--;
      s.flags |= ACK_RETRANS_ACKED;
    } else if ((segment.state & SEG_SACKED) == 0 && first == 0) {
      first = segment.sentAt;
      if (!reno && before(segment.seq, sk.highestSack) && after(sk.highestSack, una)) sk.reordering = 1;
    }
    if (segment.state & SEG_SACKED) {
      sk.sackedOut--;
    } else {
      if (!reno) {
        s.delivered++;
        rackAdvance(sk, segment);
      }
    }
    if (segment.state & SEG_LOST) sk.lostOut--;
    sk.packetsOut--;
    acked++;
    if (segment.flags & TCP_SYN) {
      s.flags |= ACK_SYN_ACKED;
      sk.retransStamp = 0;
    } else {
      s.flags |= ACK_DATA_ACKED;
    }
    segmentFree(sk, segment);
  }
  if (acked != 0 && reno) {
    // One of them made the hole that the duplicate ACKs told of (tcp_remove_reno_sacks).
    s.delivered += acked > sk.sackedOut ? acked - sk.sackedOut : 1;
    sk.sackedOut = acked - 1 >= sk.sackedOut ? 0 : sk.sackedOut - (acked - 1);
    if (sk.sackedOut > sk.packetsOut) sk.sackedOut = sk.packetsOut;
  }
  if (acked != 0 && (sk.flags & SK_SEND_SHUTDOWN) == 0 && sk.sendMem <= sk.sndBuf - (sk.sndBuf >> 2)) sockWake(sk, READY_WRITE);
  if (first == 0 || s.flags & ACK_RETRANS_ACKED) return 0;
  return elapsedUs(first);
}

/** RFC 6298 with Linux's smoothing of the deviation (tcp_ack_update_rtt, tcp_rtt_estimator). */
function updateRtt(sk: Tcp, s: SockScratch, seqRtt: u32): void {
  let rtt = seqRtt != 0 ? seqRtt : s.sackRtt;
  if (rtt == 0 && s.flags & (ACK_DATA_ACKED | ACK_SYN_ACKED) && s.saw & SAW_TIMESTAMP && sk.features & FEATURE_TIMESTAMPS
    && s.tsecr != 0) {
    const ms = <u32>(node().now / 1_000_000) + sk.tsOffset - s.tsecr;
    if (ms < 2_000_000) rtt = ms == 0 ? 1000 : ms * 1000;
  }
  if (rtt == 0) return;
  if (rtt < sk.rttMin) sk.rttMin = rtt;
  rttSample(sk, rtt);
  sk.backoff = 0;
}

export function rttSample(sk: Tcp, rtt: u32): void {
  if (sk.srtt8 != 0) {
    let m = <i32>(rtt - (sk.srtt8 >> 3));
    sk.srtt8 = <u32>(<i32>sk.srtt8 + m);
    if (m < 0) {
      m = -m - <i32>(sk.mdev4 >> 2);
      // A falling round trip time says little about its deviation.
      if (m > 0) m >>= 3;
    } else {
      m -= <i32>(sk.mdev4 >> 2);
    }
    sk.mdev4 = <u32>(<i32>sk.mdev4 + m);
    if (sk.mdev4 > sk.mdevMax) {
      sk.mdevMax = sk.mdev4;
      if (sk.mdevMax > sk.rttvar) sk.rttvar = sk.mdevMax;
    }
    if (after(sk.sndUna, sk.rttSeq)) {
      if (sk.mdevMax < sk.rttvar) sk.rttvar -= (sk.rttvar - sk.mdevMax) >> 2;
      sk.rttSeq = sk.sndNxt;
      sk.mdevMax = TCP_RTO_MIN_US;
    }
  } else {
    sk.srtt8 = rtt << 3;
    sk.mdev4 = rtt << 1;
    sk.rttvar = max<u32>(sk.mdev4, TCP_RTO_MIN_US);
    sk.mdevMax = sk.rttvar;
    sk.rttSeq = sk.sndNxt;
  }
  if (sk.srtt8 == 0) sk.srtt8 = 1;
  sk.rto = boundRto(((sk.srtt8 >> 3) + sk.rttvar + 3999) / 4000 * 4000); // whole jiffies
}

/** RFC 7323 section 4.3: the timestamp of the segment that the next ACK is about is the one to echo. */
export function replaceTimestamp(sk: Tcp, seq: u32, s: SockScratch): void {
  if (s.saw & SAW_TIMESTAMP && !after(seq, sk.rcvWup) && <i32>(s.tsval - sk.tsRecent) >= 0) {
    sk.tsRecent = s.tsval;
    sk.tsRecentAt = nowMs() / 1000;
  }
}

function updateWindow(sk: Tcp, skb: Skb, ack: u32, s: SockScratch): void {
  const window = windowOf(skb) << <u32>sk.sndWscale;
  const seq = seqOf(skb);
  // tcp_may_update_window
  if (after(ack, sk.sndUna) || after(seq, sk.sndWl1) || (seq == sk.sndWl1 && (window > sk.sndWnd || window == 0))) {
    s.flags |= ACK_WIN_UPDATE;
    sk.sndWl1 = seq;
    if (sk.sndWnd != window) {
      sk.sndWnd = window;
      if (window > sk.maxWindow) {
        sk.maxWindow = window;
        syncMss(sk, sk.pmtu);
      }
    }
  }
  sk.sndUna = ack;
}

/** An ACK while only unsent data waits: the window opened, or the next probe is further off (tcp_ack_probe). */
function probeAcked(sk: Tcp): void {
  if (sk.sendNext == 0) return;
  const segment = changetype<Segment>(sk.sendNext);
  if (!after(segmentEnd(segment), sendWindowEnd(sk))) {
    sk.backoff = 0;
    if (sk.pending == PENDING_PROBE0) disarmWrite(sk);
  } else if (sk.pending == PENDING_NONE || sk.pending == PENDING_PROBE0) {
    armWrite(sk, PENDING_PROBE0, probeInterval(sk));
  }
}
