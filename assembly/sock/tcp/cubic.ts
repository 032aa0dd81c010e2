// CUBIC, RFC 9438, in the integers of net/ipv4/tcp_cubic.c (without HyStart): Linux's default congestion control.
import { nowMs, Tcp } from "./tcp";

const BETA: u32 = 717; // of 1024
const CUBE_RTT_SCALE: u64 = 410; // C = 0.4
const CUBE_FACTOR: u64 = (<u64>1 << 40) / 410;

/** A new connection, or one after a timeout, knows nothing of the path. */
export function cubicReset(sk: Tcp): void {
  sk.cubicMax = 0;
  sk.cubicEpoch = 0;
}

/** The window after a loss (cubictcp_recalc_ssthresh). */
export function cubicSsthresh(sk: Tcp): u32 {
  const cwnd = sk.cwnd;
  sk.cubicEpoch = 0;
  // Fast convergence: give way when the last maximum was not reached again.
  sk.cubicMax = cwnd < sk.cubicMax ? (cwnd * (1024 + BETA)) / 2048 : cwnd;
  return max<u32>((cwnd * BETA) / 1024, 2);
}

/** `acked` segments arrived and the window was what limited us (cubictcp_cong_avoid). */
export function cubicAvoid(sk: Tcp, acked: u32): void {
  let left = acked;
  if (sk.cwnd < sk.ssthresh) {
    if (sk.cwndLimited == 0 && sk.cwnd >= sk.maxPacketsOut << 1) return;
    const grown = min<u32>(sk.cwnd + left, sk.ssthresh);
    left -= grown - sk.cwnd;
    sk.cwnd = grown;
    if (left == 0) return;
  }
  if (sk.cwndLimited == 0) return;
  const per = update(sk, left);
  // tcp_cong_avoid_ai
  if (sk.cwndCount >= per) {
    sk.cwndCount = 0;
    sk.cwnd++;
  }
  sk.cwndCount += left;
  if (sk.cwndCount >= per) {
    const more = sk.cwndCount / per;
    sk.cwndCount -= more * per;
    sk.cwnd += more;
  }
}

/** Acknowledged segments per growth by one (bictcp_update). */
function update(sk: Tcp, acked: u32): u32 {
  const cwnd = sk.cwnd;
  const now = nowMs();
  sk.cubicAcked += acked;
  if (sk.cubicEpoch == 0) {
    sk.cubicEpoch = now | 1;
    sk.cubicAcked = acked;
    sk.cubicTcp = cwnd;
    if (sk.cubicMax <= cwnd) {
      sk.cubicK = 0;
      sk.cubicOrigin = cwnd;
    } else {
      sk.cubicK = cubicRoot(CUBE_FACTOR * <u64>(sk.cubicMax - cwnd));
      sk.cubicOrigin = sk.cubicMax;
    }
  }
  // Time in units of 1/1024 s.
  const rttMs = sk.rttMin == u32.MAX_VALUE ? 0 : sk.rttMin / 1000;
  const t = (<u64>(now - sk.cubicEpoch + rttMs) << 10) / 1000;
  const k = <u64>sk.cubicK;
  // After two minutes without a loss the curve is as steep as it gets.
  const offset = min<u64>(t < k ? k - t : t - k, 1 << 17);
  const delta = <u32>((CUBE_RTT_SCALE * offset * offset * offset) >> 40);
  const target = t < k ? (sk.cubicOrigin > delta ? sk.cubicOrigin - delta : 0) : sk.cubicOrigin + delta;
  let per: u32 = target > cwnd ? cwnd / (target - cwnd) : 100 * cwnd;
  if (sk.cubicMax == 0 && per > 20) per = 20;
  // As fast as Reno would be.
  const scale: u32 = 8 * (1024 + BETA) / 3 / (1024 - BETA);
  const step = (cwnd * scale) >> 3;
  while (step != 0 && sk.cubicAcked > step) {
    sk.cubicAcked -= step;
    sk.cubicTcp++;
  }
  if (sk.cubicTcp > cwnd) {
    const most = cwnd / (sk.cubicTcp - cwnd);
    if (per > most) per = most;
  }
  return max<u32>(per, 2);
}

/** The integer cube root. */
function cubicRoot(a: u64): u32 {
  let low: u32 = 0, high: u32 = 1 << 21;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    const m = <u64>middle;
    if (m * m * m <= a) low = middle;
    else high = middle - 1;
  }
  return low;
}
