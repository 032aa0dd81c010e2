// Segments in (net/ipv4/tcp_ipv4.c, tcp_v4_rcv; tcp_input.c): whose they are, whether they may be believed, and what they do to
// the state. RFC 9293 section 3.10.7, RFC 5961, RFC 7323 section 5.
import { ECONNREFUSED, ECONNRESET, EPIPE } from "../../abi/core";
import { ETH_P_IP } from "../../wire/ethernet";
import { TRACE_TCP_V4_RCV } from "../../abi/bpf-trace";
import { traceFunction, watched } from "../../bpf/hooks/tracing";
import {
  DROP_HDR_TRUNC, DROP_NO_SOCKET, DROP_OTHERHOST, DROP_TCP_CLOSE, DROP_TCP_CSUM, DROP_TCP_FLAGS, DROP_TCP_INVALID_ACK_SEQUENCE,
  DROP_TCP_INVALID_SEQUENCE, DROP_TCP_OVERWINDOW, DROP_TCP_RESET, DROP_SOCKET_FILTER, PACKET_HOST, RTN_LOCAL, SNMP_TCP_INCSUMERRORS, SNMP_TCP_INERRS,
  SNMP_TCP_INSEGS,
} from "../../abi/net";
import {
  READY_WRITE, SOCK_TCP, TCP_CLOSE, TCP_CLOSE_WAIT, TCP_CLOSING, TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_FIN_WAIT2, TCP_LAST_ACK,
  TCP_LISTEN, TCP_SYN_RECV, TCP_SYN_SENT, TCP_TIME_WAIT,
} from "../../abi/sock";
import { sockFilter } from "../../bpf/hooks/sock";
import { Netns, Skb } from "../../layout";
import { node } from "../../mm/node";
import { snmpInc } from "../../net/snmp";
import { skbDrop, skbFree, skbLength, skbPull } from "../../net/skb";
import { checksumAdd, checksumFold } from "../../wire/checksum";
import { IPPROTO_TCP } from "../../wire/ipv4";
import { fromHi, fromLo, pseudoSum, readAddresses, toHi, toLo } from "../family";
import { TCP_ACK, TCP_FIN, TCP_HEADER_LEN, TCP_RST, TCP_SYN, TcpView } from "../../wire/tcp";
import { nfSkbReset } from "../../netfilter/hooks";
import { observeDelivery } from "../deliver";
import { sockWake } from "../events";
import { Endpoint, KIND_REQUEST, KIND_TIMEWAIT, scratch, SK_DEAD, SK_RCV_SHUTDOWN, SK_SEND_SHUTDOWN } from "../socket";
import { TCP_INIT_CWND, TCP_INVALID_RATELIMIT_MS, TCP_PAWS_24DAYS, TCP_TIMEOUT_FALLBACK_US, TCP_TIMEWAIT_NS } from "../limits";
import { connectionFind } from "../table";
import { tcpAck } from "./ack";
import { tcpDone, tcpReap, tcpFail } from "./close";
import { childOf, listenReceive, listenerFind, Request, requestReceive } from "./listen";
import { parseOptions, SAW_MSS, SAW_SACK_PERM, SAW_TIMESTAMP, SAW_WSCALE } from "./options";
import { pushPending, sendAck, sendFin, transmit } from "./output";
import { ackCheck, dataQueue, initReceive, reportDuplicate } from "./rcv";
import { sendReset } from "./reset";
import {
  after, before, between, FEATURE_SACK, FEATURE_TIMESTAMPS, FEATURE_WSCALE, Listener, nowMs, receiveWindow, syncMss, Tcp, verify, tcpSetState
} from "./tcp";
import { armWrite } from "./timer";
import { PENDING_RETRANS } from "./tcp";
import { Timewait, timeWait, timewaitReceive } from "./timewait";
import { FULL } from "../../features";
import { HANDLE_SOCKET, handleGet } from "../../mm/handle";
import { NFF_TPROXY } from "../../netfilter/target-more";

// What the header said, kept with the packet: cb0 = seq, end; cb1 = flags, ack; cb2 = window.
@inline export function seqOf(skb: Skb): u32 { return <u32>skb.cb0; }
@inline export function endOf(skb: Skb): u32 { return <u32>(skb.cb0 >> 32); }
@inline export function flagsOf(skb: Skb): u32 { return <u32>skb.cb1; }
@inline export function ackOf(skb: Skb): u32 { return <u32>(skb.cb1 >> 32); }
@inline export function windowOf(skb: Skb): u32 { return <u32>skb.cb2; }
@inline export function setSeq(skb: Skb, seq: u32): void { skb.cb0 = (skb.cb0 & 0xffffffff00000000) | <u64>seq; }
@inline export function setEnd(skb: Skb, end: u32): void { skb.cb0 = (skb.cb0 & 0xffffffff) | (<u64>end << 32); }
@inline export function setFlags(skb: Skb, flags: u32): void { skb.cb1 = (skb.cb1 & 0xffffffff00000000) | <u64>flags; }

/** A TCP packet for this host, `data` at the TCP header. Takes it. */
export function tcpReceive(skb: Skb, ns: Netns): void {
  if (FULL && watched(TRACE_TCP_V4_RCV) && skb.protocol == ETH_P_IP) traceFunction(TRACE_TCP_V4_RCV, skb, ns, 0);
  if (skb.pktType != PACKET_HOST) {
    skbDrop(skb, ns, skb.dev, DROP_OTHERHOST);
    return;
  }
  snmpInc(ns, SNMP_TCP_INSEGS);
  const length = skbLength(skb);
  const th = TcpView.at(skb.data);
  const header: u32 = length < TCP_HEADER_LEN ? 0xffff : th.headerLength;
  if (header < TCP_HEADER_LEN || header > length) {
    if (header < TCP_HEADER_LEN) snmpInc(ns, SNMP_TCP_INERRS);
    skbDrop(skb, ns, skb.dev, DROP_HDR_TRUNC);
    return;
  }
  readAddresses(skb.network);
  const localHi = toHi, localLo = toLo, remoteHi = fromHi, remoteLo = fromLo;
  if (checksumFold(checksumAdd(pseudoSum(remoteHi, remoteLo, localHi, localLo, IPPROTO_TCP, length), skb.data, length)) != 0xffff) {
    snmpInc(ns, SNMP_TCP_INCSUMERRORS);
    snmpInc(ns, SNMP_TCP_INERRS);
    skbDrop(skb, ns, skb.dev, DROP_TCP_CSUM);
    return;
  }
  const flags = th.flags;
  skb.transport = skb.data;
  const seq = th.sequence;
  const end = seq + length - header + (flags & TCP_FIN) + ((flags >> 1) & 1);
  skb.cb0 = <u64>seq | (<u64>end << 32);
  skb.cb1 = <u64>flags | (<u64>th.acknowledgment << 32);
  skb.cb2 = <u64>th.window;
  const ports = (th.destinationPort << 16) | th.sourcePort;
  skbPull(skb, header);

  const found = connectionFind(ns, localHi, localLo, remoteHi, remoteLo, ports);
  if (found != 0) {
    const endpoint = changetype<Endpoint>(found);
    if (endpoint.kind == SOCK_TCP) {
      const sk = changetype<Tcp>(found);
      observeDelivery(skb, ns, IPPROTO_TCP, sk.handle);
      if (FULL && node().bpfHooks != 0 && !filtered(sk, skb, header)) return;
      connectionReceive(sk, skb);
      return;
    }
    if (endpoint.kind == KIND_REQUEST) {
      const request = changetype<Request>(found);
      observeDelivery(skb, ns, IPPROTO_TCP, changetype<Listener>(request.listener).handle);
      const child = requestReceive(request, skb, ns);
      if (child != 0) childReceive(changetype<Tcp>(child), skb);
      return;
    }
    if (endpoint.kind == KIND_TIMEWAIT) {
      const isn = timewaitReceive(changetype<Timewait>(found), skb, ns);
      if (isn == 0) return;
      const again = listenerFind(ns, localHi, localLo, ports >>> 16);
      if (again != 0) listenReceive(changetype<Listener>(again), skb, ns, isn);
      else dropUnwanted(skb, ns);
      return;
    }
  }
  const listener = FULL && skb.nfFlags & NFF_TPROXY ? handleGet(HANDLE_SOCKET, <u32>skb.sock) : listenerFind(ns, localHi, localLo, ports >>> 16);
  if (listener == 0) {
    dropUnwanted(skb, ns);
    return;
  }
  observeDelivery(skb, ns, IPPROTO_TCP, changetype<Tcp>(listener).handle);
  if (FULL && node().bpfHooks != 0 && !filtered(changetype<Tcp>(listener), skb, header)) return;
  listenReceive(changetype<Listener>(listener), skb, ns, 0);
}

/** tcp_filter: programs see the segment with its header. False: it was dropped. */
function filtered(sk: Tcp, skb: Skb, header: u32): bool {
  skb.data -= <usize>header;
  if (sockFilter(sk, skb, header)) {
    skb.data += <usize>header;
    // What was cut off never came.
    const flags = flagsOf(skb);
    setEnd(skb, seqOf(skb) + skbLength(skb) + (flags & TCP_FIN) + ((flags >> 1) & 1));
    return true;
  }
  skbDrop(skb, changetype<Netns>(sk.ns), skb.dev, DROP_SOCKET_FILTER);
  return false;
}

/** Nobody is there: RST, unless it was sent to everybody. */
function dropUnwanted(skb: Skb, ns: Netns): void {
  if (skb.rtType == RTN_LOCAL) sendReset(skb, ns);
  skbDrop(skb, ns, skb.dev, DROP_NO_SOCKET);
}

/** The options of a packet that tcpReceive accepted, into the scratch. */
export function readOptions(skb: Skb, syn: bool): void {
  const th = TcpView.at(skb.transport);
  parseOptions(skb.transport + TCP_HEADER_LEN, th.headerLength - TCP_HEADER_LEN, syn, scratch());
}

/** A segment of a connection beyond LISTEN. Takes the packet; the connection may be gone afterwards. */
function connectionReceive(sk: Tcp, skb: Skb): void {
  nfSkbReset(skb); // a queue must not hold on to the conntrack entry
  if (sk.state == TCP_SYN_SENT) synSentReceive(sk, skb);
  else stateReceive(sk, skb);
  verify(sk);
  tcpReap(sk);
}

/** The ACK that completes a handshake, and what may come with it. */
function childReceive(sk: Tcp, skb: Skb): void {
  nfSkbReset(skb);
  stateReceive(sk, skb);
  childOf(sk);
  tcpReap(sk);
}

function drop(sk: Tcp, skb: Skb, reason: u32): void {
  skbDrop(skb, changetype<Netns>(sk.ns), skb.dev, reason);
}

/** Answers RST, as the packet deserves it, and drops it. */
function resetAndDrop(sk: Tcp, skb: Skb, reason: u32): void {
  sendReset(skb, changetype<Netns>(sk.ns));
  drop(sk, skb, reason);
}

/** An ACK that makes an honest peer prove its sequence number (RFC 5961), not too often. */
export function challengeAck(sk: Tcp): void {
  if (!rateLimited(sk)) sendAck(sk);
}

/** __tcp_oow_rate_limited */
function rateLimited(sk: Tcp): bool {
  const now = nowMs() + 1;
  if (sk.lastOow != 0 && now - sk.lastOow < TCP_INVALID_RATELIMIT_MS) return true;
  sk.lastOow = now;
  return false;
}

/** Is the timestamp older than one that was accepted? (tcp_paws_check, RFC 7323 section 5) */
export function pawsReject(tsRecent: u32, tsRecentAt: u32, tsval: u32): bool {
  if (<i32>(tsRecent - tsval) <= 0) return false;
  if (nowMs() / 1000 - tsRecentAt >= TCP_PAWS_24DAYS) return false;
  return tsRecent != 0;
}

/** An ACK without news may come late and is not worth a duplicate ACK (tcp_disordered_ack). */
function disorderedAck(sk: Tcp, skb: Skb): bool {
  const s = scratch();
  return (flagsOf(skb) & TCP_ACK) != 0 && seqOf(skb) == endOf(skb) && seqOf(skb) == sk.rcvNxt && ackOf(skb) == sk.sndUna
    && windowOf(skb) << <u32>sk.sndWscale <= sk.sndWnd && <i32>(sk.tsRecent - s.tsval) <= <i32>(sk.rto / 1000);
}

/** An RST right behind the peer's FIN (tcp_reset_check). */
function resetAfterFin(sk: Tcp, skb: Skb): bool {
  return seqOf(skb) == sk.rcvNxt - 1 && (sk.state == TCP_CLOSE_WAIT || sk.state == TCP_LAST_ACK || sk.state == TCP_CLOSING);
}

/** May this segment be believed (tcp_validate_incoming)? False: it has been dealt with. */
function validate(sk: Tcp, skb: Skb): bool {
  const s = scratch();
  const flags = flagsOf(skb), seq = seqOf(skb), end = endOf(skb);
  const rst = (flags & TCP_RST) != 0, syn = (flags & TCP_SYN) != 0;
  const bare = seq == end || syn;
  if (sk.features & FEATURE_TIMESTAMPS && s.saw & SAW_TIMESTAMP && !rst && pawsReject(sk.tsRecent, sk.tsRecentAt, s.tsval)
    && !disorderedAck(sk, skb)) {
    if (syn) challengeAck(sk);
    else if (!bare || !rateLimited(sk)) duplicateAck(sk, skb);
    drop(sk, skb, DROP_TCP_INVALID_SEQUENCE);
    return false;
  }
  // tcp_sequence
  const right = sk.rcvNxt + receiveWindow(sk);
  const bad = before(end, sk.rcvWup) || (after(end, right) && (after(seq, right) || sk.rcvHead != 0));
  if (bad) {
    if (!rst) {
      if (syn) challengeAck(sk);
      else if (!bare || !rateLimited(sk)) duplicateAck(sk, skb);
    } else if (resetAfterFin(sk, skb)) {
      tcpReset(sk);
    }
    drop(sk, skb, after(end, right) ? DROP_TCP_OVERWINDOW : DROP_TCP_INVALID_SEQUENCE);
    return false;
  }
  if (rst) {
    // RFC 5961 section 3.2: exactly the next byte, or the right edge of what was reported received
    let exact = seq == sk.rcvNxt || resetAfterFin(sk, skb);
    if (!exact && sk.sackCount != 0) {
      let edge = sk.sackEnd0;
      for (let i: u32 = 1; i < sk.sackCount; i++) {
        const e = load<u32>(changetype<usize>(sk) + offsetof<Tcp>("sackEnd0") + (<usize>i << 3));
        if (after(e, edge)) edge = e;
      }
      exact = seq == edge;
    }
    if (exact) tcpReset(sk);
    else challengeAck(sk);
    drop(sk, skb, DROP_TCP_RESET);
    return false;
  }
  if (syn) {
    // The SYN-ACK of a simultaneous open
    if (sk.state == TCP_SYN_RECV && flags & TCP_ACK && seq + 1 == end && end == sk.rcvNxt && ackOf(skb) == sk.sndNxt) return true;
    challengeAck(sk);
    drop(sk, skb, DROP_TCP_INVALID_SEQUENCE);
    return false;
  }
  return true;
}

/** Tells the peer where we are, and that its segment came twice if so (tcp_send_dupack). */
function duplicateAck(sk: Tcp, skb: Skb): void {
  if (seqOf(skb) != endOf(skb) && before(seqOf(skb), sk.rcvNxt)) {
    reportDuplicate(sk, seqOf(skb), after(endOf(skb), sk.rcvNxt) ? sk.rcvNxt : endOf(skb));
  }
  sendAck(sk);
}

/** The peer reset the connection (tcp_reset). */
function tcpReset(sk: Tcp): void {
  const state = sk.state;
  if (state == TCP_CLOSE) return;
  tcpFail(sk, state == TCP_SYN_SENT ? ECONNREFUSED : state == TCP_CLOSE_WAIT ? EPIPE : ECONNRESET);
}

/** Everything behind SYN_SENT (tcp_rcv_established, tcp_rcv_state_process). */
function stateReceive(sk: Tcp, skb: Skb): void {
  const flags = flagsOf(skb);
  if (sk.state == TCP_CLOSE) {
    drop(sk, skb, DROP_TCP_CLOSE);
    return;
  }
  readOptions(skb, false);
  if ((flags & (TCP_ACK | TCP_RST | TCP_SYN)) == 0) {
    drop(sk, skb, DROP_TCP_FLAGS);
    return;
  }
  if (!validate(sk, skb)) return;
  if ((flags & TCP_ACK) == 0) {
    drop(sk, skb, DROP_TCP_FLAGS);
    return;
  }
  const acked = tcpAck(sk, skb, true);
  if (acked <= 0) {
    if (sk.state == TCP_SYN_RECV) {
      resetAndDrop(sk, skb, DROP_TCP_INVALID_ACK_SEQUENCE);
      return;
    }
    if (acked < 0) {
      if (sk.state != TCP_ESTABLISHED) challengeAck(sk);
      drop(sk, skb, DROP_TCP_INVALID_ACK_SEQUENCE);
      return;
    }
  }
  const fin = flags & TCP_FIN;
  const fresh = seqOf(skb) != endOf(skb) && after(endOf(skb) - fin, sk.rcvNxt);
  const done = sk.sndUna == sk.writeSeq;
  switch (sk.state) {
    case TCP_SYN_RECV: {
      tcpSetState(sk, TCP_ESTABLISHED);
      sk.sndUna = ackOf(skb);
      sk.sndWnd = windowOf(skb) << <u32>sk.sndWscale;
      sk.sndWl1 = seqOf(skb);
      if (sk.sndWnd > sk.maxWindow) sk.maxWindow = sk.sndWnd;
      if (sk.features & FEATURE_TIMESTAMPS) sk.advmss -= 12;
      established(sk);
      sockWake(sk, READY_WRITE);
      if (sk.flags & SK_SEND_SHUTDOWN) sendFin(sk);
      break;
    }
    case TCP_FIN_WAIT1: {
      if (!done) break;
      tcpSetState(sk, TCP_FIN_WAIT2);
      if ((sk.flags & SK_DEAD) == 0) break;
      if (fresh) {
        tcpDone(sk);
        resetAndDrop(sk, skb, DROP_TCP_CLOSE);
        return;
      }
      if (fin == 0) {
        timeWait(sk, TCP_FIN_WAIT2, TCP_TIMEWAIT_NS);
        skbFree(skb);
        return;
      }
      break;
    }
    case TCP_CLOSING: {
      if (!done) break;
      timeWait(sk, TCP_TIME_WAIT, TCP_TIMEWAIT_NS);
      skbFree(skb);
      return;
    }
    case TCP_LAST_ACK: {
      if (!done) break;
      tcpDone(sk);
      skbFree(skb);
      return;
    }
  }
  switch (sk.state) {
    case TCP_CLOSE_WAIT:
    case TCP_CLOSING:
    case TCP_LAST_ACK: {
      if (!before(seqOf(skb), sk.rcvNxt)) {
        skbFree(skb);
        break;
      }
      dataQueue(sk, skb);
      break;
    }
    case TCP_FIN_WAIT1:
    case TCP_FIN_WAIT2: {
      // RFC 1122 section 4.2.2.13: data that nobody will ever read
      if (sk.flags & SK_RCV_SHUTDOWN && fresh) {
        tcpReset(sk);
        resetAndDrop(sk, skb, DROP_TCP_CLOSE);
        return;
      }
      dataQueue(sk, skb);
      break;
    }
    default: dataQueue(sk, skb);
  }
  if (sk.state != TCP_CLOSE) {
    pushPending(sk, false);
    ackCheck(sk);
  }
}

/** Sizes and windows of a connection that has just been established (tcp_init_transfer). */
export function established(sk: Tcp): void {
  if (sk.srtt8 == 0) {
    // No round trip was measured: RFC 6298 section 5.7
    sk.rttvar = TCP_TIMEOUT_FALLBACK_US;
    sk.mdev4 = TCP_TIMEOUT_FALLBACK_US;
    sk.mdevMax = TCP_TIMEOUT_FALLBACK_US;
    sk.rto = TCP_TIMEOUT_FALLBACK_US;
  }
  sk.cwnd = sk.synRetries > 1 ? 1 : TCP_INIT_CWND;
  sk.totalRto = 0;
  sk.backoff = 0;
  syncMss(sk, sk.pmtu);
  initReceive(sk);
}

/** What the peer's SYN or SYN-ACK, whose options stand in the scratch, agrees to. */
function agree(sk: Tcp): void {
  const s = scratch();
  let features = sk.features;
  sk.mssClamp = s.saw & SAW_MSS ? s.mss : 536;
  if ((s.saw & SAW_SACK_PERM) == 0) features &= ~FEATURE_SACK;
  if (s.saw & SAW_WSCALE && features & FEATURE_WSCALE) {
    sk.sndWscale = <u8>s.wscale;
  } else {
    features &= ~FEATURE_WSCALE;
    sk.sndWscale = 0;
    sk.rcvWscale = 0;
    sk.windowClamp = min<u32>(sk.windowClamp, 65535);
  }
  if (s.saw & SAW_TIMESTAMP && features & FEATURE_TIMESTAMPS) {
    sk.headerBytes = 32;
    sk.tsRecent = s.tsval;
    sk.tsRecentAt = nowMs() / 1000;
  } else {
    features &= ~FEATURE_TIMESTAMPS;
    sk.headerBytes = 20;
  }
  sk.features = features;
}

/** tcp_rcv_synsent_state_process */
function synSentReceive(sk: Tcp, skb: Skb): void {
  const flags = flagsOf(skb), seq = seqOf(skb);
  readOptions(skb, true);
  const s = scratch();
  if (flags & TCP_ACK) {
    const ack = ackOf(skb);
    if (!after(ack, sk.sndUna) || after(ack, sk.sndNxt)) {
      // An answer to something older: after the RST the next SYN may do better.
      if (sk.retransmits == 0) armWrite(sk, PENDING_RETRANS, 8000);
      resetAndDrop(sk, skb, DROP_TCP_INVALID_ACK_SEQUENCE);
      return;
    }
    if (s.saw & SAW_TIMESTAMP && s.tsecr != 0 && !between(s.tsecr - sk.tsOffset, sk.retransStamp, nowMs())) {
      resetAndDrop(sk, skb, DROP_TCP_INVALID_ACK_SEQUENCE);
      return;
    }
    if (flags & TCP_RST) {
      tcpReset(sk);
      drop(sk, skb, DROP_TCP_RESET);
      return;
    }
    if ((flags & TCP_SYN) == 0) {
      drop(sk, skb, DROP_TCP_FLAGS);
      return;
    }
    agree(sk);
    sk.sndWl1 = seq;
    tcpAck(sk, skb, false);
    sk.rcvNxt = seq + 1;
    sk.rcvWup = seq + 1;
    sk.sndWnd = windowOf(skb); // never scaled in a SYN
    if (sk.sndWnd > sk.maxWindow) sk.maxWindow = sk.sndWnd;
    if (sk.features & FEATURE_TIMESTAMPS) sk.advmss -= 12;
    tcpSetState(sk, TCP_ESTABLISHED);
    established(sk);
    sockWake(sk, READY_WRITE);
    skbFree(skb);
    sendAck(sk);
    pushPending(sk, false);
    return;
  }
  if (flags & TCP_RST || (flags & TCP_SYN) == 0) {
    drop(sk, skb, flags & TCP_RST ? DROP_TCP_RESET : DROP_TCP_FLAGS);
    return;
  }
  // Both sides opened at once (RFC 9293 section 3.5, figure 7).
  agree(sk);
  tcpSetState(sk, TCP_SYN_RECV);
  sk.rcvNxt = seq + 1;
  sk.rcvWup = seq + 1;
  sk.sndWnd = windowOf(skb);
  sk.sndWl1 = seq;
  sk.maxWindow = sk.sndWnd;
  syncMss(sk, sk.pmtu);
  initReceive(sk);
  transmit(sk, sk.sndUna, TCP_SYN | TCP_ACK, 0, 0);
  skbFree(skb);
}
