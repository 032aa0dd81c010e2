// Passive open: connections that a peer is opening (request_sock), and those that wait for accept(). Follows tcp_conn_request,
// tcp_check_req (net/ipv4/tcp_input.c, tcp_minisocks.c) and inet_connection_sock.c. No SYN cookies: a full queue drops the SYN.
import {
  DROP_NO_MEMORY, DROP_SOCKET_BACKLOG, DROP_TCP_FLAGS, DROP_TCP_INVALID_SEQUENCE, DROP_TCP_RESET, RTN_LOCAL, SNMP_TCP_ATTEMPTFAILS,
  SNMP_TCP_PASSIVEOPENS, SNMP_TCP_RETRANSSEGS, SYSCTL_TCP_SACK, SYSCTL_TCP_SYNACK_RETRIES, SYSCTL_TCP_TIMESTAMPS, SYSCTL_TCP_WINDOW_SCALING,
} from "../../abi/net";
import { READY_READ, SOCK_TCP, TCP_LISTEN, TCP_SYN_RECV } from "../../abi/sock";
import { FULL } from "../../features";
import { NetDevice, Netns, Skb } from "../../layout";
import { kfree, kmalloc } from "../../mm/slab";
import { Timer, timerAfter, timerDelete } from "../../mm/timer";
import { node } from "../../mm/node";
import { IPSKB_CSUM_PARTIAL } from "../../net/ip-input";
import { routeOutput } from "../../net/ip-output";
import { skbAlloc, skbDrop, skbFree } from "../../net/skb";
import { snmpInc } from "../../net/snmp";
import { sysctl } from "../../net/sysctl";
import { TIMER_TCP_REQUEST } from "../../net/timers";
import { isLinkLocal6 } from "../../wire/ipv6";
import { anyTakes, fromHi, fromLo, ipHeader, readAddresses, SK_INET6, toHi, toLo } from "../family";
import { TCP_ACK, TCP_FIN, TCP_HEADER_LEN, TCP_RST, TCP_SYN, TcpView } from "../../wire/tcp";
import { sockWake } from "../events";
import { Endpoint, isAny, KIND_REQUEST, localPort, remotePort, scratch, scratchRoute, setScope, SK_HASHED } from "../socket";
import { IPV4_MAX_PMTU, TCP_INVALID_RATELIMIT_MS } from "../limits";
import { boundFirst, connectionInsert, connectionRemove } from "../table";
import { rttSample } from "./ack";
import { ackOf, endOf, flagsOf, pawsReject, readOptions, seqOf, windowOf } from "./input";
import {
  SAW_MSS, SAW_SACK_PERM, SAW_TIMESTAMP, SAW_WSCALE, synOptionBytes, writeSynOptions,
} from "./options";
import { tcpSend } from "./output";
import { sendBareAck, sendReset } from "./reset";
import {
  after, before, elapsedUs, FEATURE_SACK, FEATURE_TIMESTAMPS, FEATURE_WSCALE, initialSequence, initialWindow, Listener, nowMs, RCV_WSCALE,
  Tcp, tcpNew, timestampOffset,
} from "./tcp";

/** struct tcp_request_sock */
@unmanaged export class Request extends Endpoint {
  listener: usize; // Listener
  listNext: usize; listPrev: usize; // all of the listener
  rcvIsn: u32; sntIsn: u32;
  rcvWnd: u32; windowClamp: u32;
  mss: u32; // the peer's
  advmss: u32; mtu: u32;
  features: u32;
  sndWscale: u32; rcvWscale: u32;
  tsRecent: u32; tsOffset: u32;
  timeouts: u32; // how often the SYN-ACK was sent again by the timer
  resent: u32; // and in all
  lastOow: u32;
  sentAt: u64;
  scope: u32; // ifindex, where the peer is one of the link
}

const TIMER_AT: usize = (offsetof<Request>() + 7) & ~7;
const REQUEST_BYTES: u32 = <u32>(TIMER_AT + offsetof<Timer>());
const TIMEOUT_NS: u64 = 1_000_000_000;

@inline function timerOf(request: Request): Timer {
  return changetype<Timer>(changetype<usize>(request) + TIMER_AT);
}

/** The listener on an address and port, the one bound to this very address first; 0: none. */
export function listenerFind(ns: Netns, hi: u64, lo: u64, port: u32): usize {
  let any: usize = 0;
  let at = boundFirst(ns, SOCK_TCP, port);
  while (at != 0) {
    const sk = changetype<Tcp>(at);
    if (sk.kind == SOCK_TCP && sk.state == TCP_LISTEN && localPort(sk) == port) {
      if (sk.localLo == lo && sk.localHi == hi) return at;
      if (isAny(sk.localHi, sk.localLo) && anyTakes(sk.localLo, sk.flags, hi, lo)) any = at;
    }
    at = sk.bindNext;
  }
  return any;
}

/** A segment for a listener. Takes the packet. `isn`: the initial number to use, 0: a new one. */
export function listenReceive(listener: Listener, skb: Skb, ns: Netns, isn: u32): void {
  const flags = flagsOf(skb);
  if (flags & TCP_RST) {
    skbDrop(skb, ns, skb.dev, DROP_TCP_RESET);
  } else if (flags & TCP_ACK) {
    sendReset(skb, ns);
    skbDrop(skb, ns, skb.dev, DROP_TCP_FLAGS);
  } else if ((flags & (TCP_SYN | TCP_FIN)) != TCP_SYN) {
    skbDrop(skb, ns, skb.dev, DROP_TCP_FLAGS);
  } else {
    openRequest(listener, skb, ns, isn);
  }
}

/** tcp_conn_request */
function openRequest(listener: Listener, skb: Skb, ns: Netns, isn: u32): void {
  if (skb.rtType != RTN_LOCAL) {
    skbDrop(skb, ns, skb.dev, DROP_TCP_FLAGS); // a SYN to everybody
    return;
  }
  if (listener.acceptCount > listener.backlog || listener.requestCount >= max<u32>(listener.backlog, 1)) {
    skbDrop(skb, ns, skb.dev, DROP_SOCKET_BACKLOG);
    return;
  }
  const at = kmalloc(REQUEST_BYTES);
  if (at == 0) {
    skbDrop(skb, ns, skb.dev, DROP_NO_MEMORY);
    return;
  }
  const request = changetype<Request>(at);
  readAddresses(skb.network);
  const th = TcpView.at(skb.transport);
  request.kind = KIND_REQUEST;
  request.state = TCP_SYN_RECV;
  request.ns = changetype<usize>(ns);
  request.localHi = toHi;
  request.localLo = toLo;
  request.remoteHi = fromHi;
  request.remoteLo = fromLo;
  if (FULL && skb.inDev != 0 && isLinkLocal6(fromHi)) request.scope = changetype<NetDevice>(skb.inDev).ifindex;
  request.ports = (th.destinationPort << 16) | th.sourcePort;
  const route = scratchRoute();
  if (routeOutput(ns, request.remoteHi, request.remoteLo, request.localHi, request.localLo, request.scope, 0, 0, route) < 0) {
    kfree(at, REQUEST_BYTES);
    skbDrop(skb, ns, skb.dev, DROP_NO_MEMORY);
    return;
  }
  readOptions(skb, true);
  const s = scratch();
  let features: u32 = 0;
  if (s.saw & SAW_SACK_PERM && sysctl(ns, SYSCTL_TCP_SACK)) features |= FEATURE_SACK;
  if (s.saw & SAW_TIMESTAMP && sysctl(ns, SYSCTL_TCP_TIMESTAMPS)) {
    features |= FEATURE_TIMESTAMPS;
    request.tsRecent = s.tsval;
  }
  if (s.saw & SAW_WSCALE && sysctl(ns, SYSCTL_TCP_WINDOW_SCALING)) {
    features |= FEATURE_WSCALE;
    request.sndWscale = s.wscale;
    request.rcvWscale = RCV_WSCALE;
  }
  request.features = features;
  request.mss = s.saw & SAW_MSS ? s.mss : 536;
  request.mtu = route.mtu;
  request.advmss = max<u32>(min<u32>(route.mtu, IPV4_MAX_PMTU) - ipHeader(request.remoteHi, request.remoteLo) - 20, 256);
  request.rcvIsn = seqOf(skb);
  request.sntIsn = isn != 0 ? isn : initialSequence(ns, request.localHi, request.localLo, request.remoteHi, request.remoteLo, request.ports);
  request.tsOffset = timestampOffset(ns, request.localHi, request.localLo, request.remoteHi, request.remoteLo);
  const mss = request.advmss - (features & FEATURE_TIMESTAMPS ? 12 : 0);
  request.rcvWnd = initialWindow(listener.rcvBuf, mss);
  request.windowClamp = <u32>65535 << request.rcvWscale;
  if (request.rcvWnd > request.windowClamp) request.rcvWnd = request.windowClamp;
  request.sentAt = node().now;
  request.listener = changetype<usize>(listener);
  request.listNext = listener.requests;
  if (listener.requests != 0) changetype<Request>(listener.requests).listPrev = at;
  listener.requests = at;
  listener.requestCount++;
  connectionInsert(request);
  const timer = timerOf(request);
  timer.kind = TIMER_TCP_REQUEST;
  timer.owner = at;
  timerAfter(timer, TIMEOUT_NS);
  skbFree(skb);
  sendSynAck(request);
}

/** tcp_v4_send_synack */
function sendSynAck(request: Request): void {
  const ns = changetype<Netns>(request.ns);
  const header = TCP_HEADER_LEN + synOptionBytes(request.features);
  const skb = skbAlloc(header);
  if (changetype<usize>(skb) == 0) return; // the timer sends it
  skb.tail = skb.data + <usize>header;
  TcpView.at(skb.data).write(localPort(request), remotePort(request), request.sntIsn, request.rcvIsn + 1, header,
    TCP_SYN | TCP_ACK, min<u32>(request.rcvWnd, 65535));
  writeSynOptions(skb.data + TCP_HEADER_LEN, request.features, request.advmss, request.rcvWscale,
    nowMs() + request.tsOffset, request.tsRecent);
  skb.sock = <usize>changetype<Listener>(request.listener).handle;
  skb.ipFlags |= IPSKB_CSUM_PARTIAL;
  tcpSend(skb, ns, request.localHi, request.localLo, request.remoteHi, request.remoteLo, 0, 0, true, request.scope);
}

/** tcp_rtx_synack */
function resendSynAck(request: Request): void {
  sendSynAck(request);
  snmpInc(changetype<Netns>(request.ns), SNMP_TCP_RETRANSSEGS);
}

/** No ACK came in time (reqsk_timer_handler). */
export function requestTimer(request: Request): void {
  if (<i32>request.timeouts >= sysctl(changetype<Netns>(request.ns), SYSCTL_TCP_SYNACK_RETRIES)) {
    requestDrop(request);
    return;
  }
  request.timeouts++;
  request.resent++;
  timerAfter(timerOf(request), TIMEOUT_NS << <u64>min<u32>(request.timeouts, 6));
  resendSynAck(request);
}

/** Forgets a connection that was being opened. */
export function requestDrop(request: Request): void {
  const listener = changetype<Listener>(request.listener);
  timerDelete(timerOf(request));
  connectionRemove(request);
  if (request.listNext != 0) changetype<Request>(request.listNext).listPrev = request.listPrev;
  if (request.listPrev != 0) changetype<Request>(request.listPrev).listNext = request.listNext;
  else listener.requests = request.listNext;
  listener.requestCount--;
  kfree(changetype<usize>(request), REQUEST_BYTES);
}

function oowLimited(request: Request): bool {
  const now = nowMs() + 1;
  if (request.lastOow != 0 && now - request.lastOow < TCP_INVALID_RATELIMIT_MS) return true;
  request.lastOow = now;
  return false;
}

/**
 * A segment for a connection that is being opened (tcp_check_req). Takes the packet and returns 0; or makes the connection and
 * returns it: the packet, still the caller's, is its first.
 */
export function requestReceive(request: Request, skb: Skb, ns: Netns): usize {
  const flags = flagsOf(skb), seq = seqOf(skb), end = endOf(skb);
  readOptions(skb, false);
  const s = scratch();
  const stamped = (s.saw & SAW_TIMESTAMP) != 0 && (request.features & FEATURE_TIMESTAMPS) != 0;
  const paws = stamped && pawsReject(request.tsRecent, nowMs() / 1000, s.tsval);
  const rcvNxt = request.rcvIsn + 1;
  if (seq == request.rcvIsn && (flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN && !paws) {
    // The SYN again: so is the SYN-ACK.
    if (!oowLimited(request)) {
      request.resent++;
      resendSynAck(request);
      timerAfter(timerOf(request), TIMEOUT_NS << <u64>min<u32>(request.timeouts, 6));
    }
    skbDrop(skb, ns, skb.dev, DROP_TCP_FLAGS);
    return 0;
  }
  if (flags & TCP_ACK && ackOf(skb) != request.sntIsn + 1) {
    // The listener's business: RST
    sendReset(skb, ns);
    skbDrop(skb, ns, skb.dev, DROP_TCP_FLAGS);
    return 0;
  }
  const right = rcvNxt + request.rcvWnd;
  const inside = seq == rcvNxt || (after(end, rcvNxt) && before(seq, right)) || (seq == right && seq == end);
  if (paws || !inside) {
    if ((flags & TCP_RST) == 0 && !oowLimited(request)) {
      sendBareAck(skb, ns, request.sntIsn + 1, rcvNxt, request.rcvWnd >> request.rcvWscale, nowMs() + request.tsOffset,
        request.tsRecent);
    }
    skbDrop(skb, ns, skb.dev, DROP_TCP_INVALID_SEQUENCE);
    return 0;
  }
  if (stamped && !after(seq, rcvNxt)) request.tsRecent = s.tsval;
  if (flags & TCP_RST || (flags & TCP_SYN && seq != request.rcvIsn)) {
    sendReset(skb, ns);
    snmpInc(ns, SNMP_TCP_ATTEMPTFAILS);
    requestDrop(request);
    skbDrop(skb, ns, skb.dev, DROP_TCP_RESET);
    return 0;
  }
  const listener = changetype<Listener>(request.listener);
  if ((flags & TCP_ACK) == 0 || listener.acceptCount > listener.backlog) {
    // With the accept queue full the ACK counts for nothing: the peer will repeat it, or its data.
    skbDrop(skb, ns, skb.dev, flags & TCP_ACK ? DROP_SOCKET_BACKLOG : DROP_TCP_FLAGS);
    return 0;
  }
  const sk = makeChild(request, listener, skb, ns);
  if (changetype<usize>(sk) == 0) skbDrop(skb, ns, skb.dev, DROP_NO_MEMORY);
  return changetype<usize>(sk);
}

/** tcp_create_openreq_child */
function makeChild(request: Request, listener: Listener, skb: Skb, ns: Netns): Tcp {
  const sk = tcpNew(ns);
  if (changetype<usize>(sk) == 0) return sk;
  sk.state = TCP_SYN_RECV;
  sk.flags = listener.flags & (0x108 | SK_INET6); // SK_REUSE, SK_NODELAY
  sk.localHi = request.localHi;
  sk.remoteHi = request.remoteHi;
  setScope(sk, request.scope);
  sk.rcvBuf = listener.rcvBuf;
  sk.sndBuf = listener.sndBuf;
  sk.localLo = request.localLo;
  sk.remoteLo = request.remoteLo;
  sk.ports = request.ports;
  const una = request.sntIsn + 1;
  sk.sndUna = una;
  sk.sndNxt = una;
  sk.sndSml = una;
  sk.writeSeq = una;
  sk.pushedSeq = una;
  sk.rcvNxt = request.rcvIsn + 1;
  sk.rcvWup = sk.rcvNxt;
  sk.sndWl1 = request.rcvIsn;
  sk.rcvWnd = request.rcvWnd;
  sk.rcvSsthresh = request.rcvWnd;
  sk.windowClamp = request.windowClamp;
  sk.features = request.features;
  sk.headerBytes = request.features & FEATURE_TIMESTAMPS ? 32 : 20;
  sk.sndWscale = <u8>request.sndWscale;
  sk.rcvWscale = <u8>request.rcvWscale;
  sk.sndWnd = windowOf(skb) << request.sndWscale;
  sk.maxWindow = sk.sndWnd;
  sk.mssClamp = request.mss;
  sk.advmss = request.advmss;
  sk.pmtu = request.mtu;
  sk.tsRecent = request.tsRecent;
  sk.tsRecentAt = nowMs() / 1000;
  sk.tsOffset = request.tsOffset;
  sk.synRetries = <u8>min<u32>(request.resent, 255);
  if (request.resent == 0) rttSample(sk, elapsedUs(request.sentAt));
  requestDrop(request);
  connectionInsert(sk);
  sk.flags |= SK_HASHED;
  sk.listener = changetype<usize>(listener);
  if (listener.acceptTail != 0) changetype<Tcp>(listener.acceptTail).bindNext = changetype<usize>(sk);
  else listener.acceptHead = changetype<usize>(sk);
  listener.acceptTail = changetype<usize>(sk);
  listener.acceptCount++;
  snmpInc(ns, SNMP_TCP_PASSIVEOPENS);
  return sk;
}

/** After a child's first segment: its listener has something to accept. */
export function childOf(sk: Tcp): void {
  if (sk.listener != 0 && sk.state != TCP_SYN_RECV) sockWake(changetype<Listener>(sk.listener), READY_READ);
}

/** Takes the oldest connection off the accept queue; 0: none. */
export function acceptNext(listener: Listener): usize {
  const at = listener.acceptHead;
  if (at == 0) return 0;
  const sk = changetype<Tcp>(at);
  listener.acceptHead = sk.bindNext;
  if (listener.acceptHead == 0) listener.acceptTail = 0;
  listener.acceptCount--;
  sk.bindNext = 0;
  sk.listener = 0;
  return at;
}
