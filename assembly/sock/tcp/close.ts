// Beginning and end of a connection as the program asks for it (tcp_v4_connect, tcp_close, tcp_shutdown, tcp_disconnect of
// net/ipv4/tcp.c and tcp_ipv4.c), and what ends it from outside.
import { EADDRNOTAVAIL, EALREADY, EISCONN, ENETUNREACH, ENOTCONN } from "../../abi/core";
import {
  RTN_BROADCAST, RTN_MULTICAST, SNMP_TCP_ACTIVEOPENS, SNMP_TCP_ATTEMPTFAILS, SNMP_TCP_ESTABRESETS, SYSCTL_TCP_SACK,
  SYSCTL_TCP_TIMESTAMPS, SYSCTL_TCP_WINDOW_SCALING,
} from "../../abi/net";
import {
  TCP_CLOSE, TCP_CLOSE_WAIT, TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_FIN_WAIT2, TCP_LAST_ACK, TCP_LISTEN, TCP_SYN_RECV,
  TCP_SYN_SENT,
} from "../../abi/sock";
import { Netns } from "../../layout";
import { timerDelete } from "../../mm/timer";
import { routeOutput } from "../../net/ip-output";
import { snmpInc } from "../../net/snmp";
import { sysctl } from "../../net/sysctl";
import { sockWake } from "../events";
import {
  isAny, queuePurge, randomId, READY_ALL, scopeOf, scratchRoute, SK_BOUND_ADDRESS, SK_DEAD, SK_RCV_SHUTDOWN, SK_SEND_SHUTDOWN,
  socketTakeHandle,
} from "../socket";
import { ipHeader } from "../family";
import { IPV4_MAX_PMTU, TCP_TIMEWAIT_NS } from "../limits";
import { connectPort, tableRemove } from "../table";
import { acceptNext, Request, requestDrop } from "./listen";
import { sendActiveReset, sendFin, sendSyn } from "./output";
import {
  delackTimer, FEATURE_SACK, FEATURE_TIMESTAMPS, FEATURE_WSCALE, initialSequence, initialWindow, Listener, oooPurge, RCV_WSCALE, sendQueuePurge,
  syncMss, Tcp, tcpFree, timestampOffset, tcpSetState
} from "./tcp";
import { disarmWrite } from "./timer";
import { timeWait } from "./timewait";

/** Begins a connection to the address and port (tcp_v4_connect). 0 when the SYN is out, or -errno. */
export function tcpConnect(sk: Tcp, hi: u64, lo: u64, port: u32): i32 {
  if (sk.state != TCP_CLOSE) return sk.state == TCP_SYN_SENT ? -EALREADY : -EISCONN;
  const ns = changetype<Netns>(sk.ns);
  const route = scratchRoute();
  const result = routeOutput(ns, hi, lo, sk.localHi, sk.localLo, scopeOf(sk), 0, 0, route);
  if (result < 0) return result;
  if (route.type == RTN_BROADCAST || route.type == RTN_MULTICAST) return -ENETUNREACH;
  const mtu = route.mtu;
  if (isAny(sk.localHi, sk.localLo)) {
    sk.localHi = route.sourceHi;
    sk.localLo = route.sourceLo;
    if (isAny(sk.localHi, sk.localLo)) return -EADDRNOTAVAIL;
  }
  sk.remoteHi = hi;
  sk.remoteLo = lo;
  sk.ports = (sk.ports & 0xffff0000) | port;
  const bound = connectPort(sk, ns);
  if (bound < 0) {
    forget(sk);
    return bound;
  }
  sk.features = (sysctl(ns, SYSCTL_TCP_SACK) ? FEATURE_SACK : 0) | (sysctl(ns, SYSCTL_TCP_TIMESTAMPS) ? FEATURE_TIMESTAMPS : 0)
    | (sysctl(ns, SYSCTL_TCP_WINDOW_SCALING) ? FEATURE_WSCALE : 0);
  sk.tsOffset = timestampOffset(ns, sk.localHi, sk.localLo, hi, lo);
  const isn = initialSequence(ns, sk.localHi, sk.localLo, hi, lo, sk.ports);
  sk.writeSeq = isn;
  sk.sndUna = isn;
  sk.sndNxt = isn;
  sk.sndSml = isn;
  sk.pushedSeq = isn;
  sk.ipId = <u16>randomId();
  // tcp_connect_init
  sk.headerBytes = sk.features & FEATURE_TIMESTAMPS ? 32 : 20;
  sk.mssClamp = 0xffff;
  const headers = ipHeader(hi, lo) + 20;
  sk.advmss = max<u32>(mtu < headers ? 0 : min<u32>(mtu, IPV4_MAX_PMTU) - headers, 256);
  syncMss(sk, mtu);
  sk.rcvWscale = sk.features & FEATURE_WSCALE ? <u8>RCV_WSCALE : 0;
  sk.windowClamp = <u32>65535 << <u32>sk.rcvWscale;
  sk.rcvWnd = min<u32>(initialWindow(sk.rcvBuf, sk.advmss), sk.windowClamp);
  sk.rcvSsthresh = sk.rcvWnd;
  tcpSetState(sk, TCP_SYN_SENT);
  const sent = sendSyn(sk);
  if (sent < 0 && sk.packetsOut == 0) {
    tcpDone(sk);
    forget(sk);
    return sent;
  }
  snmpInc(ns, SNMP_TCP_ACTIVEOPENS);
  return 0;
}

/** The peer, and an address that was not asked for. */
function forget(sk: Tcp): void {
  sk.remoteHi = 0;
  sk.remoteLo = 0xffff0000;
  sk.ports &= 0xffff0000;
  if ((sk.flags & SK_BOUND_ADDRESS) == 0) {
    sk.localHi = 0;
    sk.localLo = 0xffff0000;
  }
}

/** The connection is over: out of the tables, timers off, nothing to send (tcp_done). What was received can still be read. */
export function tcpDone(sk: Tcp): void {
  if (sk.state == TCP_SYN_SENT || sk.state == TCP_SYN_RECV) snmpInc(changetype<Netns>(sk.ns), SNMP_TCP_ATTEMPTFAILS);
  tcpSetState(sk, TCP_CLOSE);
  disarmWrite(sk);
  timerDelete(delackTimer(sk));
  tableRemove(sk);
  sk.flags |= SK_RCV_SHUTDOWN | SK_SEND_SHUTDOWN;
  sendQueuePurge(sk);
  oooPurge(sk);
}

/** Ends the connection with an error for the program (tcp_reset, tcp_write_err). */
export function tcpFail(sk: Tcp, error: i32): void {
  if (sk.state == TCP_ESTABLISHED || sk.state == TCP_CLOSE_WAIT) snmpInc(changetype<Netns>(sk.ns), SNMP_TCP_ESTABRESETS);
  sk.error = error;
  tcpDone(sk);
  sockWake(sk, READY_ALL);
}

/** Frees a connection that is over and that nobody holds. The last thing done with it. */
export function tcpReap(sk: Tcp): void {
  if (sk.state == TCP_CLOSE && sk.flags & SK_DEAD) tcpFree(sk);
}

/** SHUT_WR (tcp_shutdown). 0 or -ENOTCONN. */
export function tcpShutdown(sk: Tcp): i32 {
  const state = sk.state;
  if (state == TCP_CLOSE || state == TCP_LISTEN) return -ENOTCONN;
  if (sk.flags & SK_SEND_SHUTDOWN) return 0;
  sk.flags |= SK_SEND_SHUTDOWN;
  if (state == TCP_ESTABLISHED || state == TCP_CLOSE_WAIT) closeState(sk);
  else if (state == TCP_SYN_SENT) tcpDone(sk);
  return 0;
}

/** Sends FIN from ESTABLISHED or CLOSE_WAIT; without memory for it the peer gets RST. */
function closeState(sk: Tcp): void {
  tcpSetState(sk, sk.state == TCP_CLOSE_WAIT ? TCP_LAST_ACK : TCP_FIN_WAIT1);
  if (sendFin(sk)) return;
  sendActiveReset(sk);
  tcpDone(sk);
}

/** States in which the peer must hear that we are gone (tcp_need_reset). */
function needsReset(state: u32): bool {
  return state == TCP_ESTABLISHED || state == TCP_CLOSE_WAIT || state == TCP_FIN_WAIT1 || state == TCP_FIN_WAIT2
    || state == TCP_SYN_RECV;
}

/** close(), or the end by RST (`abort`). The socket may be freed, or live on as an orphan until the peer has all. */
export function tcpClose(sk: Tcp, abort: bool): void {
  const state = sk.state;
  socketTakeHandle(sk);
  sk.flags |= SK_DEAD | SK_RCV_SHUTDOWN;
  const unread = sk.rcvHead != 0;
  queuePurge(sk);
  if (state == TCP_LISTEN) {
    stopListening(changetype<Listener>(sk));
    tcpDone(sk);
  } else if (state == TCP_SYN_SENT || state == TCP_CLOSE) {
    if (state != TCP_CLOSE) tcpDone(sk);
    else tableRemove(sk);
  } else if (abort || unread) {
    // RFC 2525 section 2.17: data that was received and not read is as good as lost; the peer must not think otherwise.
    if (needsReset(state) || unread) sendActiveReset(sk);
    if (state == TCP_ESTABLISHED || state == TCP_CLOSE_WAIT) snmpInc(changetype<Netns>(sk.ns), SNMP_TCP_ESTABRESETS);
    tcpDone(sk);
  } else if (state == TCP_ESTABLISHED || state == TCP_CLOSE_WAIT) {
    sk.flags |= SK_SEND_SHUTDOWN;
    closeState(sk);
  } else if (state == TCP_SYN_RECV) {
    sk.flags |= SK_SEND_SHUTDOWN;
    tcpSetState(sk, TCP_FIN_WAIT1);
    if (!sendFin(sk)) tcpDone(sk);
  } else if (state == TCP_FIN_WAIT2) {
    timeWait(sk, TCP_FIN_WAIT2, TCP_TIMEWAIT_NS);
  }
  tcpReap(sk);
}

/** Nobody will accept any more: what waits is reset, what is being opened forgotten (inet_csk_listen_stop). */
function stopListening(sk: Listener): void {
  dropRequests(sk);
  for (let at = acceptNext(sk); at != 0; at = acceptNext(sk)) tcpClose(changetype<Tcp>(at), true);
}

function dropRequests(sk: Listener): void {
  while (sk.requests != 0) requestDrop(changetype<Request>(sk.requests));
}

/** Ends it without a word to anybody: the namespace goes away. */
export function tcpDestroy(sk: Tcp): void {
  socketTakeHandle(sk);
  if (sk.state == TCP_LISTEN) dropRequests(changetype<Listener>(sk));
  sk.flags |= SK_DEAD;
  tcpDone(sk);
  tcpFree(sk);
}
