// What remains of a closed connection for a minute: enough to acknowledge a FIN that comes again, and to keep old segments out of
// a new connection (net/ipv4/tcp_minisocks.c).
import { DROP_TCP_INVALID_SEQUENCE, DROP_TCP_RESET, SYSCTL_TCP_FIN_TIMEOUT, SYSCTL_TCP_MAX_TW_BUCKETS } from "../../abi/net";
import { TCP_FIN_WAIT2, TCP_TIME_WAIT } from "../../abi/sock";
import { Netns, Skb } from "../../layout";
import { kfree, kmalloc } from "../../mm/slab";
import { Timer, timerAfter, timerDelete } from "../../mm/timer";
import { sysctl } from "../../net/sysctl";
import { skbDrop } from "../../net/skb";
import { TIMER_TCP_TIMEWAIT } from "../../net/timers";
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN } from "../../wire/tcp";
import { Endpoint, KIND_TIMEWAIT, scratch, SK_HASHED } from "../socket";
import { TCP_INVALID_RATELIMIT_MS, TCP_TIMEWAIT_NS } from "../limits";
import { connectionInsert, connectionRemove, SockNetns } from "../table";
import { tcpDone } from "./close";
import { endOf, flagsOf, pawsReject, readOptions, seqOf } from "./input";
import { SAW_TIMESTAMP } from "./options";
import { sendBareAck, sendReset } from "./reset";
import { after, before, FEATURE_TIMESTAMPS, nowMs, receiveWindow, Tcp } from "./tcp";

/** struct tcp_timewait_sock. `state` is TCP_TIME_WAIT or TCP_FIN_WAIT2. */
@unmanaged export class Timewait extends Endpoint {
  rcvNxt: u32; sndNxt: u32; rcvWnd: u32; rcvWscale: u32;
  tsRecent: u32; tsRecentAt: u32; tsOffset: u32;
  lastOow: u32;
}

const TIMER_AT: usize = (offsetof<Timewait>() + 7) & ~7;
const TIMEWAIT_BYTES: u32 = <u32>(TIMER_AT + offsetof<Timer>());

@inline function timerOf(tw: Timewait): Timer {
  return changetype<Timer>(changetype<usize>(tw) + TIMER_AT);
}

/** The connection is over, or waits as an orphan for the peer's FIN: a small record takes its place (tcp_time_wait). */
export function timeWait(sk: Tcp, state: u32, ns64: u64): void {
  const ns = changetype<Netns>(sk.ns);
  const table = changetype<SockNetns>(ns.sock);
  const at = table.timewaits < <u32>sysctl(ns, SYSCTL_TCP_MAX_TW_BUCKETS) ? kmalloc(TIMEWAIT_BYTES) : 0;
  if (at != 0) {
    const tw = changetype<Timewait>(at);
    tw.kind = KIND_TIMEWAIT;
    tw.state = state;
    tw.ns = sk.ns;
    tw.localHi = sk.localHi;
    tw.localLo = sk.localLo;
    tw.remoteHi = sk.remoteHi;
    tw.remoteLo = sk.remoteLo;
    tw.ports = sk.ports;
    tw.rcvNxt = sk.rcvNxt;
    tw.sndNxt = sk.sndNxt;
    tw.rcvWnd = receiveWindow(sk);
    tw.rcvWscale = <u32>sk.rcvWscale;
    tw.tsOffset = sk.tsOffset;
    if (sk.features & FEATURE_TIMESTAMPS) {
      tw.tsRecent = sk.tsRecent;
      tw.tsRecentAt = sk.tsRecentAt;
    }
    const timer = timerOf(tw);
    timer.kind = TIMER_TCP_TIMEWAIT;
    timer.owner = at;
    if (sk.flags & SK_HASHED) {
      connectionRemove(sk);
      sk.flags &= ~SK_HASHED;
    }
    connectionInsert(tw);
    table.timewaits++;
    let length = ns64;
    if (state == TCP_FIN_WAIT2) length = <u64>max<i32>(sysctl(ns, SYSCTL_TCP_FIN_TIMEOUT), 1) * 1_000_000_000;
    timerAfter(timer, length);
  }
  tcpDone(sk);
}

/** Takes the record away: its time is over, or a new connection needs its place. */
export function timewaitKill(tw: Timewait): void {
  timerDelete(timerOf(tw));
  connectionRemove(tw);
  changetype<SockNetns>(changetype<Netns>(tw.ns).sock).timewaits--;
  kfree(changetype<usize>(tw), TIMEWAIT_BYTES);
}

function restart(tw: Timewait): void {
  timerAfter(timerOf(tw), TCP_TIMEWAIT_NS);
}

function acknowledge(tw: Timewait, skb: Skb, ns: Netns): void {
  const now = nowMs() + 1;
  const bare = seqOf(skb) == endOf(skb) || (flagsOf(skb) & TCP_SYN) != 0;
  if (bare && tw.lastOow != 0 && now - tw.lastOow < TCP_INVALID_RATELIMIT_MS) return;
  if (bare) tw.lastOow = now;
  sendBareAck(skb, ns, tw.sndNxt, tw.rcvNxt, tw.rcvWnd >> tw.rcvWscale, nowMs() + tw.tsOffset, tw.tsRecent);
}

/**
 * A segment for a connection that is over (tcp_timewait_state_process). Takes the packet and returns 0; or leaves it and returns
 * the initial sequence number for a new connection that it may open: the record is gone then.
 */
export function timewaitReceive(tw: Timewait, skb: Skb, ns: Netns): u32 {
  const flags = flagsOf(skb), seq = seqOf(skb), end = endOf(skb);
  readOptions(skb, false);
  const s = scratch();
  const stamped = (s.saw & SAW_TIMESTAMP) != 0 && tw.tsRecent != 0;
  const paws = stamped && pawsReject(tw.tsRecent, tw.tsRecentAt, s.tsval);
  if (tw.state == TCP_FIN_WAIT2) {
    const right = tw.rcvNxt + tw.rcvWnd;
    const inside = seq == tw.rcvNxt || (!before(end, tw.rcvNxt) && before(seq, right) && after(end, tw.rcvNxt))
      || (seq == right && seq == end);
    if (paws || !inside) {
      if ((flags & TCP_RST) == 0) acknowledge(tw, skb, ns);
    } else if (flags & TCP_RST) {
      timewaitKill(tw);
      skbDrop(skb, ns, skb.dev, DROP_TCP_RESET);
      return 0;
    } else if (flags & TCP_SYN && !before(seq, tw.rcvNxt)) {
      sendReset(skb, ns);
      timewaitKill(tw);
    } else if ((flags & TCP_ACK) == 0 || !after(end, tw.rcvNxt) || end == seq) {
      // nothing new
    } else if ((flags & TCP_FIN) == 0 || end != tw.rcvNxt + 1) {
      // data that nobody will ever read
      sendReset(skb, ns);
      timewaitKill(tw);
    } else {
      tw.state = TCP_TIME_WAIT;
      tw.rcvNxt = end;
      if (stamped) remember(tw, s.tsval);
      restart(tw);
      acknowledge(tw, skb, ns);
    }
    skbDrop(skb, ns, skb.dev, DROP_TCP_INVALID_SEQUENCE);
    return 0;
  }
  if (!paws && seq == tw.rcvNxt && (seq == end || flags & TCP_RST)) {
    if (flags & TCP_RST) {
      timewaitKill(tw); // net.ipv4.tcp_rfc1337 is 0
    } else {
      restart(tw);
      if (stamped) remember(tw, s.tsval);
    }
  } else if ((flags & (TCP_SYN | TCP_RST | TCP_ACK)) == TCP_SYN && !paws
    && (after(seq, tw.rcvNxt) || (stamped && <i32>(tw.tsRecent - s.tsval) < 0))) {
    const isn = tw.sndNxt + 65535 + 2;
    timewaitKill(tw);
    return isn == 0 ? 1 : isn;
  } else if ((flags & TCP_RST) == 0) {
    if (paws || flags & TCP_ACK) restart(tw);
    acknowledge(tw, skb, ns);
  }
  skbDrop(skb, ns, skb.dev, DROP_TCP_INVALID_SEQUENCE);
  return 0;
}

function remember(tw: Timewait, tsval: u32): void {
  tw.tsRecent = tsval;
  tw.tsRecentAt = nowMs() / 1000;
}
