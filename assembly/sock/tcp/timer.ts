// TCP's timers (net/ipv4/tcp_timer.c). One timer serves all that waits on the sending side: retransmission, zero window
// probe, tail loss probe, RACK's reordering timer; another the delayed ACK.
import { ETIMEDOUT } from "../../abi/core";
import { SYSCTL_TCP_RETRIES2, SYSCTL_TCP_SYN_RETRIES, SYSCTL_TCP_SYNACK_RETRIES } from "../../abi/net";
import { TCP_CLOSE, TCP_LISTEN, TCP_SYN_RECV, TCP_SYN_SENT } from "../../abi/sock";
import { Netns } from "../../layout";
import { node } from "../../mm/node";
import { NS_PER_JIFFY, timerDelete, timerMod } from "../../mm/timer";
import { sysctl } from "../../net/sysctl";
import { SK_DEAD } from "../socket";
import {
  TCP_ATO_MIN_MS, TCP_DELACK_MAX_MS, TCP_ORPHAN_RETRIES, TCP_RTO_MAX_US, TCP_RTO_MIN_US, TCP_SYN_LINEAR_TIMEOUTS,
} from "../limits";
import { tcpFail } from "./close";
import { enterLoss, reorderingTimeout } from "./loss";
import { currentMss, retransmitSegment, segmentSplit, sendAck, sendNew, sendProbe, writeXmit } from "./output";
import {
  ACK_SCHED, after, before, boundRto, CA_CWR, CA_OPEN, delackTimer, elapsedUs, FEATURE_SACK, nowMs, PENDING_LOSS_PROBE,
  PENDING_NONE, PENDING_PROBE0, PENDING_REO, PENDING_RETRANS, Segment, segmentEnd, sendWindowEnd, Tcp, verify, writeTimer,
} from "./tcp";
import { TCP_PSH } from "../../wire/tcp";

/** Arms the write timer for `what`, `us` from now: in whole jiffies, counted from the one that runs, as Linux counts. */
export function armWrite(sk: Tcp, what: u32, us: u32): void {
  sk.pending = what;
  timerMod(writeTimer(sk), node().now / NS_PER_JIFFY + <u64>((us + 3999) / 4000));
}

export function disarmWrite(sk: Tcp): void {
  sk.pending = PENDING_NONE;
  timerDelete(writeTimer(sk));
}

/** Microseconds until the RTO of the first segment in flight; 0 or less: over (tcp_rto_delta_us). */
function rtoDelta(sk: Tcp): i32 {
  return <i32>sk.rto - <i32>elapsedUs(changetype<Segment>(sk.sendHead).sentAt);
}

/** (Re)starts the retransmission timer, or stops it when nothing is in flight (tcp_rearm_rto). */
export function rearmRto(sk: Tcp): void {
  if (sk.packetsOut == 0) {
    disarmWrite(sk);
    return;
  }
  let us = sk.rto;
  if (sk.pending == PENDING_REO || sk.pending == PENDING_LOSS_PROBE) us = <u32>max<i32>(rtoDelta(sk), 1);
  armWrite(sk, PENDING_RETRANS, us);
}

/** Arms a tail loss probe (RFC 8985 section 7.2, tcp_schedule_loss_probe); false when the RTO has to do. */
export function scheduleLossProbe(sk: Tcp, advancing: bool): bool {
  if (sk.packetsOut == 0 || (sk.features & FEATURE_SACK) == 0) return false;
  if (sk.caState != CA_OPEN && sk.caState != CA_CWR) return false;
  let us: u32;
  if (sk.srtt8 != 0) {
    us = sk.srtt8 >> 2;
    us += sk.packetsOut == 1 ? TCP_RTO_MIN_US : 8000;
  } else {
    us = 1_000_000;
  }
  const rto = advancing ? <i32>sk.rto : rtoDelta(sk);
  if (rto > 0 && <u32>rto < us) us = <u32>rto;
  armWrite(sk, PENDING_LOSS_PROBE, us);
  return true;
}

/** Data waits and nothing is in flight: asks for the window now and then (tcp_check_probe_timer). */
export function checkProbeTimer(sk: Tcp): void {
  if (sk.packetsOut == 0 && sk.pending == PENDING_NONE) armWrite(sk, PENDING_PROBE0, max<u32>(sk.rto, TCP_RTO_MIN_US));
}

/** Has the loss that began at retransStamp lasted `boundary` doublings of the shortest RTO? (retransmits_timed_out) */
function timedOut(sk: Tcp, boundary: u32): bool {
  if (sk.retransmits == 0 || sk.retransStamp == 0) return false;
  const ms: u32 = boundary <= 9
    ? ((2 << boundary) - 1) * (TCP_RTO_MIN_US / 1000)
    : ((2 << 9) - 1) * (TCP_RTO_MIN_US / 1000) + (boundary - 9) * (TCP_RTO_MAX_US / 1000);
  return nowMs() - sk.retransStamp + 4 >= ms;
}

/** The write timer fired. */
export function tcpWriteTimer(sk: Tcp): void {
  const what = sk.pending;
  if (sk.state == TCP_CLOSE || sk.state == TCP_LISTEN || what == PENDING_NONE) return;
  sk.pending = PENDING_NONE;
  if (what == PENDING_RETRANS) retransmitTimeout(sk);
  else if (what == PENDING_PROBE0) probeTimeout(sk);
  else if (what == PENDING_LOSS_PROBE) sendLossProbe(sk);
  else if (sk.packetsOut != 0) {
    reorderingTimeout(sk);
    if (sk.pending == PENDING_NONE) rearmRto(sk);
  }
  verify(sk);
}

/** The RTO is over (tcp_retransmit_timer). */
function retransmitTimeout(sk: Tcp): void {
  if (sk.packetsOut == 0 || sk.sendHead == 0) return;
  const ns = changetype<Netns>(sk.ns);
  sk.tlpHighSeq = 0;
  const opening = sk.state == TCP_SYN_SENT || sk.state == TCP_SYN_RECV;
  // tcp_write_timeout
  let over: bool;
  if (opening) {
    const retries = sk.state == TCP_SYN_SENT
      ? sysctl(ns, SYSCTL_TCP_SYN_RETRIES) + TCP_SYN_LINEAR_TIMEOUTS
      : sysctl(ns, SYSCTL_TCP_SYNACK_RETRIES);
    over = <i32>sk.retransmits >= retries;
  } else if (sk.flags & SK_DEAD) {
    over = timedOut(sk, TCP_ORPHAN_RETRIES);
  } else {
    over = timedOut(sk, sysctl(ns, SYSCTL_TCP_RETRIES2));
  }
  if (over) {
    tcpFail(sk, sk.softError != 0 ? sk.softError : ETIMEDOUT);
    return;
  }
  enterLoss(sk);
  if (sk.retransmits < 255) sk.retransmits++;
  if (sk.totalRto < 255) sk.totalRto++;
  if (retransmitSegment(sk, changetype<Segment>(sk.sendHead)) < 0) {
    armWrite(sk, PENDING_RETRANS, min<u32>(sk.rto, 500_000)); // TCP_RESOURCE_PROBE_INTERVAL
    return;
  }
  if (sk.state != TCP_SYN_SENT || sk.totalRto > TCP_SYN_LINEAR_TIMEOUTS) {
    if (sk.backoff < 255) sk.backoff++;
    sk.rto = boundRto(sk.rto << 1);
  }
  armWrite(sk, PENDING_RETRANS, sk.rto);
}

/** Time to ask whether the peer's window has opened (tcp_probe_timer, tcp_send_probe0). */
function probeTimeout(sk: Tcp): void {
  if (sk.packetsOut != 0 || sk.sendNext == 0) {
    sk.probes = 0;
    return;
  }
  const retries = <u32>sysctl(changetype<Netns>(sk.ns), SYSCTL_TCP_RETRIES2);
  const most = sk.flags & SK_DEAD ? TCP_ORPHAN_RETRIES : retries;
  if (<u32>sk.probes >= most) {
    tcpFail(sk, sk.softError != 0 ? sk.softError : ETIMEDOUT);
    return;
  }
  writeWakeup(sk);
  if (sk.packetsOut != 0 || sk.sendNext == 0) {
    sk.probes = 0;
    sk.backoff = 0;
    return;
  }
  sk.probes++;
  if (<u32>sk.backoff < retries) sk.backoff++;
  armWrite(sk, PENDING_PROBE0, probeInterval(sk));
}

/** tcp_probe0_when */
export function probeInterval(sk: Tcp): u32 {
  const us = <u64>max<u32>(sk.rto, TCP_RTO_MIN_US) << <u64>min<u8>(sk.backoff, 20);
  return us > <u64>TCP_RTO_MAX_US ? TCP_RTO_MAX_US : <u32>us;
}

/** Sends what little the window allows, or a probe (tcp_write_wakeup). */
function writeWakeup(sk: Tcp): void {
  const segment = changetype<Segment>(sk.sendNext);
  const end = sendWindowEnd(sk);
  if (!before(segment.seq, end)) {
    sendProbe(sk);
    return;
  }
  const room = min<u32>(end - segment.seq, currentMss(sk));
  if (segment.length > room && !segmentSplit(sk, segment, room)) return;
  segment.flags |= TCP_PSH;
  sendNew(sk, segment);
}

/** Two round trips without an ACK: the tail may be lost (tcp_send_loss_probe). */
function sendLossProbe(sk: Tcp): void {
  if (sk.tlpHighSeq == 0) {
    const before = sk.sndNxt;
    let probed = false;
    if (sk.sendNext != 0 && !after(segmentEnd(changetype<Segment>(sk.sendNext)), sendWindowEnd(sk))) {
      writeXmit(sk, true, 1);
      probed = sk.sndNxt != before;
    }
    if (!probed && sk.packetsOut != 0) {
      let last = sk.sendNext == 0 ? sk.sendTail : changetype<Segment>(sk.sendNext).prev;
      if (last != 0 && retransmitSegment(sk, changetype<Segment>(last)) == 0) {
        probed = true;
      }
    }
    if (probed) {
      sk.tlpHighSeq = sk.sndNxt;
      sk.pending = PENDING_NONE; // a whole RTO from now
    }
  }
  if (sk.packetsOut != 0) {
    if (sk.pending == PENDING_NONE) armWrite(sk, PENDING_RETRANS, sk.rto);
    else rearmRto(sk);
  }
}

/** The delayed ACK is due (tcp_delack_timer_handler). */
export function tcpDelackTimer(sk: Tcp): void {
  if (sk.state == TCP_CLOSE || sk.state == TCP_LISTEN || (sk.ackPending & ACK_SCHED) == 0) return;
  if (sk.pingpong == 0) {
    sk.ato = min<u32>(sk.ato << 1, sk.rto / 1000);
  } else {
    // The answer this waited for did not come: acknowledge sooner.
    sk.pingpong = 0;
    sk.ato = TCP_ATO_MIN_MS;
  }
  sendAck(sk);
}

/** Delays the ACK (tcp_send_delayed_ack). */
export function delayAck(sk: Tcp, pushed: bool): void {
  let ato = sk.ato;
  if (ato > TCP_ATO_MIN_MS) {
    let most: u32 = sk.pingpong != 0 || pushed ? TCP_DELACK_MAX_MS : 500;
    if (sk.srtt8 != 0) {
      const rtt = max<u32>((sk.srtt8 >> 3) / 1000, TCP_ATO_MIN_MS);
      if (rtt < most) most = rtt;
    }
    if (ato > most) ato = most;
  }
  ato = min<u32>(ato, TCP_DELACK_MAX_MS);
  const timer = delackTimer(sk);
  const jiffies = node().now / NS_PER_JIFFY;
  const at = jiffies + <u64>((ato + 3) >> 2);
  if (timer.next != 0) {
    if (timer.expires <= jiffies + <u64>(ato >> 4)) {
      sendAck(sk);
      return;
    }
    if (at >= timer.expires) return;
  }
  timerMod(timer, at);
}

