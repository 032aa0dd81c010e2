// UDP, RFC 768 (net/ipv4/udp.c): datagrams out and in, errors of connected sockets.
import { EACCES, EADDRNOTAVAIL, EDESTADDRREQ, EINVAL, EMSGSIZE, ENETUNREACH, ENOBUFS } from "../abi/core";
import { ETH_P_IP } from "../wire/ethernet";
import { TRACE_UDP_RCV } from "../abi/bpf-trace";
import { traceFunction, watched } from "../bpf/hooks/tracing";
import {
  DROP_HDR_TRUNC, DROP_NO_SOCKET, DROP_SOCKET_FILTER, DROP_SOCKET_RCVBUFF, DROP_UDP_CSUM, RTN_BROADCAST, RTN_MULTICAST,
  SNMP_IP_OUTNOROUTES, SNMP_UDP_IGNOREDMULTI, SNMP_UDP_INDATAGRAMS, SNMP_UDP_INCSUMERRORS, SNMP_UDP_INERRORS, SNMP_UDP_NOPORTS, SNMP_UDP_OUTDATAGRAMS, SNMP_UDP_SNDBUFERRORS,
  SNMP_UDP_RCVBUFERRORS, SYSCTL_CORE_RMEM_DEFAULT, SYSCTL_IP_DEFAULT_TTL,
} from "../abi/net";
import { READY_ERROR, READY_READ, READY_WRITE, SOCK_UDP, TCP_CLOSE, TCP_ESTABLISHED } from "../abi/sock";
import { sockFilter } from "../bpf/hooks/sock";
import { Netns, Skb } from "../layout";
import { node } from "../mm/node";
import { IPSKB_CSUM_PARTIAL, IPSKB_LOOPED } from "../net/ip-input";
import { icmpSend, ipSend, routeOutput } from "../net/ip-output";
import { nfSkbReset } from "../netfilter/hooks";
import { skbAlloc, skbCopy, skbDrop, skbLength, skbPull } from "../net/skb";
import { snmpInc } from "../net/snmp";
import { sysctl } from "../net/sysctl";
import { SNMP6_UDP_INDATAGRAMS } from "../abi/net6";
import { icmp6Send } from "../net/icmp6";
import { snmp6Inc } from "../net/inet6";
import { ip6Send } from "../net/ip6-output";
import { ICMPV6_DEST_UNREACH, ICMPV6_PORT_UNREACH } from "../wire/icmp6";
import { anyTakes, fromHi, fromLo, isSix, pseudoSum, readAddresses, toHi, toLo } from "./family";
import { checksumAdd, checksumFold } from "../wire/checksum";
import { ICMP_DEST_UNREACH, ICMP_PORT_UNREACH } from "../wire/icmp";
import { IPPROTO_UDP, IPV4_HEADER_LEN } from "../wire/ipv4";
import { UDP_HEADER_LEN, UdpView } from "../wire/udp";
import { observeDelivery, observeSend } from "./deliver";
import { sockWake } from "./events";
import { vxlanErrorKnown } from "../net/vxlan-options";
import { flowOwner, flowSet } from "../net/multipath";
import { isAny, localPort, queueAppend, remotePort, scopeOf, scratchRoute, SK_BOUND, SockCreds, Socket, socketNew } from "./socket";
import { bindPort, boundFirst } from "./table";
import { FULL } from "../features";
import { HANDLE_SOCKET, handleGet } from "../mm/handle";
import { NFF_TPROXY } from "../netfilter/target-more";

const DATAGRAM_MAX: u32 = 65535 - IPV4_HEADER_LEN - UDP_HEADER_LEN;

/** A UDP (or ping, or raw) socket without a handle; null (0): no memory. */
export function datagramNew(ns: Netns, kind: u32): Socket {
  const sk = socketNew(ns, kind, <u32>offsetof<Socket>());
  if (changetype<usize>(sk) == 0) return sk;
  sk.state = TCP_CLOSE;
  sk.rcvBuf = <u32>sysctl(ns, SYSCTL_CORE_RMEM_DEFAULT);
  return sk;
}

/** connect(): the peer, and our address towards it (__ip4_datagram_connect). 0 or -errno. */
export function datagramConnect(sk: Socket, hi: u64, lo: u64, port: u32): i32 {
  const route = scratchRoute();
  const result = routeOutput(changetype<Netns>(sk.ns), hi, lo, sk.localHi, sk.localLo, scopeOf(sk), 0, 0, route);
  if (result < 0) return result;
  if (route.type == RTN_BROADCAST) return -EACCES;
  const sourceHi = route.sourceHi, sourceLo = route.sourceLo;
  if ((sk.flags & SK_BOUND) == 0) {
    const bound = bindPort(sk, sk.localHi, sk.localLo, 0);
    if (bound < 0) return bound;
  }
  if (isAny(sk.localHi, sk.localLo)) {
    sk.localHi = sourceHi;
    sk.localLo = sourceLo;
  }
  sk.remoteHi = hi;
  sk.remoteLo = lo;
  sk.ports = (sk.ports & 0xffff0000) | port;
  sk.state = TCP_ESTABLISHED;
  return 0;
}

/** Sends one datagram (udp_sendmsg). `source`: our address, if not any. Returns `length` or -errno. */
export function udpSend(sk: Socket, hi: u64, lo: u64, port: u32, sourceHi: u64, sourceLo: u64, ttl: u32, scope: u32, from: usize, length: u32): i32 {
  const ns = changetype<Netns>(sk.ns);
  if (length > DATAGRAM_MAX) return -EMSGSIZE;
  let destinationHi = hi, destinationLo = lo, toPort = port;
  if (port == 0) {
    if (sk.state != TCP_ESTABLISHED) return isAny(hi, lo) ? -EDESTADDRREQ : -EINVAL;
    destinationHi = sk.remoteHi;
    destinationLo = sk.remoteLo;
    toPort = remotePort(sk);
  }
  if ((sk.flags & SK_BOUND) == 0) {
    const bound = bindPort(sk, sk.localHi, sk.localLo, 0);
    if (bound < 0) return bound;
  }
  const asked = !isAny(sourceHi, sourceLo);
  const route = scratchRoute();
  if (FULL && ns.routeMore != 0) {
    flowSet(IPPROTO_UDP, localPort(sk), toPort, 0);
    if (sk.creds != 0) flowOwner(changetype<SockCreds>(sk.creds).uid);
  }
  const result = routeOutput(ns, destinationHi, destinationLo, asked ? sourceHi : sk.localHi, asked ? sourceLo : sk.localLo, scope, 0, 0, route);
  const six = isSix(destinationHi, destinationLo);
  if (result == -ENETUNREACH && !six) snmpInc(ns, SNMP_IP_OUTNOROUTES);
  if (result < 0) return result;
  if (!six && (route.type == RTN_BROADCAST || route.type == RTN_MULTICAST)) return -EACCES;
  let ownHi = asked ? sourceHi : sk.localHi, ownLo = asked ? sourceLo : sk.localLo;
  if (isAny(ownHi, ownLo)) {
    ownHi = route.sourceHi;
    ownLo = route.sourceLo;
  }
  if (isAny(ownHi, ownLo)) return -EADDRNOTAVAIL;
  const bytes = UDP_HEADER_LEN + length;
  const fits = bytes + IPV4_HEADER_LEN <= route.mtu;
  const skb = skbAlloc(bytes);
  if (changetype<usize>(skb) == 0) return -ENOBUFS;
  skb.tail = skb.data + <usize>bytes;
  skb.transport = skb.data;
  const uh = UdpView.at(skb.data);
  uh.write(localPort(sk), toPort, bytes);
  memory.copy(skb.data + UDP_HEADER_LEN, from, <usize>length);
  const sum = ~checksumFold(checksumAdd(pseudoSum(ownHi, ownLo, destinationHi, destinationLo, IPPROTO_UDP, bytes), skb.data, bytes)) & 0xffff;
  uh.checksum = sum == 0 ? 0xffff : sum;
  skb.sock = <usize>sk.handle;
  observeSend(skb, ns, IPPROTO_UDP, sk.handle);
  if (six) {
    udpCount(ns, SNMP_UDP_OUTDATAGRAMS, true);
    const hops6 = ttl != 0 ? ttl : route.type == RTN_MULTICAST ? 1 : 0;
    const result6 = ip6Send(skb, ns, ownHi, ownLo, destinationHi, destinationLo, scope, IPPROTO_UDP, 0, hops6, true);
    return result6 < 0 && result6 != -ENOBUFS ? result6 : <i32>length;
  }
  const hops = ttl != 0 ? ttl : <u32>sysctl(ns, SYSCTL_IP_DEFAULT_TTL);
  skb.ipFlags |= IPSKB_CSUM_PARTIAL;
  const sent = ipSend(skb, ns, ownHi, ownLo, destinationHi, destinationLo, IPPROTO_UDP, 0, hops, fits);
  if (sent >= 0) snmpInc(ns, SNMP_UDP_OUTDATAGRAMS);
  else if (sent == -ENOBUFS) snmpInc(ns, SNMP_UDP_SNDBUFERRORS);
  // A full queue further down is not the program's business (net_xmit_errno).
  return sent < 0 && sent != -ENOBUFS ? sent : <i32>length;
}

/** The socket that a datagram belongs to: the most exact of those on the port (__udp4_lib_lookup); 0: none. */
export function udpFind(ns: Netns, localHi: u64, localLo: u64, port: u32, remoteHi: u64, remoteLo: u64, peerPort: u32): usize {
  let best: usize = 0;
  let bestScore: u32 = 0;
  let at = boundFirst(ns, SOCK_UDP, port);
  while (at != 0) {
    const sk = changetype<Socket>(at);
    if (sk.kind == SOCK_UDP && localPort(sk) == port) {
      let score: u32 = 1;
      let fits = true;
      if (!isAny(sk.localHi, sk.localLo)) {
        fits = sk.localLo == localLo && sk.localHi == localHi;
        score += 8;
      } else fits = anyTakes(sk.localLo, sk.flags, localHi, localLo);
      if (sk.state == TCP_ESTABLISHED) {
        fits = fits && sk.remoteLo == remoteLo && sk.remoteHi == remoteHi && remotePort(sk) == peerPort;
        score += 4;
      }
      if (fits && score > bestScore) {
        best = at;
        bestScore = score;
      }
    }
    at = sk.bindNext;
  }
  return best;
}

/** A UDP packet for this host, `data` at its header (__udp4_lib_rcv). Takes it. */
export function udpReceive(skb: Skb, ns: Netns): void {
  if (FULL && watched(TRACE_UDP_RCV) && skb.protocol == ETH_P_IP) traceFunction(TRACE_UDP_RCV, skb, ns, 0);
  const length = skbLength(skb);
  const uh = UdpView.at(skb.data);
  const bytes: u32 = length < UDP_HEADER_LEN ? 0 : uh.length;
  const six = FULL && load<u8>(skb.network) >>> 4 == 6;
  if (bytes < UDP_HEADER_LEN || bytes > length) {
    udpCount(ns, SNMP_UDP_INERRORS, six);
    skbDrop(skb, ns, skb.dev, DROP_HDR_TRUNC);
    return;
  }
  skb.tail = skb.data + <usize>bytes;
  skb.transport = skb.data;
  readAddresses(skb.network);
  const localHi = toHi, localLo = toLo, remoteHi = fromHi, remoteLo = fromLo;
  // Our own broadcast coming back has a checksum that nobody looks at (CHECKSUM_UNNECESSARY).
  // IPv6 has no datagrams without one (RFC 8200 section 8.1).
  if ((uh.checksum != 0 || six) && (skb.ipFlags & IPSKB_LOOPED) == 0
    && checksumFold(checksumAdd(pseudoSum(remoteHi, remoteLo, localHi, localLo, IPPROTO_UDP, bytes), skb.data, bytes)) != 0xffff) {
    udpCount(ns, SNMP_UDP_INCSUMERRORS, six);
    udpCount(ns, SNMP_UDP_INERRORS, six);
    skbDrop(skb, ns, skb.dev, DROP_UDP_CSUM);
    return;
  }
  if (skb.rtType == RTN_BROADCAST || skb.rtType == RTN_MULTICAST) {
    deliverToAll(skb, ns);
    return;
  }
  const at = FULL && skb.nfFlags & NFF_TPROXY
    ? handleGet(HANDLE_SOCKET, <u32>skb.sock)
    : udpFind(ns, localHi, localLo, uh.destinationPort, remoteHi, remoteLo, uh.sourcePort);
  if (at == 0) {
    udpCount(ns, SNMP_UDP_NOPORTS, six);
    nfSkbReset(skb);
    if (six) icmp6Send(skb, ns, ICMPV6_DEST_UNREACH, ICMPV6_PORT_UNREACH, 0);
    else icmpSend(skb, ns, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0);
    skbDrop(skb, ns, skb.dev, DROP_NO_SOCKET);
    return;
  }
  deliver(changetype<Socket>(at), skb, ns);
}

function deliver(sk: Socket, skb: Skb, ns: Netns): void {
  const six = FULL && load<u8>(skb.network) >>> 4 == 6;
  observeDelivery(skb, ns, IPPROTO_UDP, sk.handle);
  if (FULL && node().bpfHooks != 0 && !sockFilter(sk, skb, UDP_HEADER_LEN)) {
    udpCount(ns, SNMP_UDP_INERRORS, six);
    skbDrop(skb, ns, skb.dev, DROP_SOCKET_FILTER);
    return;
  }
  if (datagramQueue(sk, skb, UDP_HEADER_LEN)) return;
  udpCount(ns, SNMP_UDP_RCVBUFERRORS, six);
  udpCount(ns, SNMP_UDP_INERRORS, six);
}

/** Counts one SNMP_UDP_*, those of IPv6 beside them in the same order. */
export function udpCount(ns: Netns, number: u32, six: bool): void {
  if (FULL && six) snmp6Inc(ns, number - SNMP_UDP_INDATAGRAMS + SNMP6_UDP_INDATAGRAMS);
  else snmpInc(ns, number);
}

/** A datagram to a broadcast or multicast address: a copy for every socket that takes it (__udp4_lib_mcast_deliver). */
function deliverToAll(skb: Skb, ns: Netns): void {
  const uh = UdpView.at(skb.data);
  readAddresses(skb.network);
  const localHi = toHi, localLo = toLo, remoteLo = fromLo;
  const port = uh.destinationPort, peer = uh.sourcePort;
  let last: usize = 0;
  let at = boundFirst(ns, SOCK_UDP, port);
  while (at != 0) {
    const sk = changetype<Socket>(at);
    if (sk.kind == SOCK_UDP && localPort(sk) == port && (isAny(sk.localHi, sk.localLo) ? anyTakes(sk.localLo, sk.flags, localHi, localLo) : sk.localLo == localLo)
      && (sk.state != TCP_ESTABLISHED || (sk.remoteLo == remoteLo && remotePort(sk) == peer))) {
      if (last != 0) {
        const copy = skbCopyAll(skb);
        if (changetype<usize>(copy) != 0) deliver(changetype<Socket>(last), copy, ns);
      }
      last = at;
    }
    at = sk.bindNext;
  }
  if (last != 0) {
    deliver(changetype<Socket>(last), skb, ns);
    return;
  }
  udpCount(ns, SNMP_UDP_IGNOREDMULTI, FULL && load<u8>(skb.network) >>> 4 == 6);
  skbDrop(skb, ns, skb.dev, DROP_NO_SOCKET);
}

/** A copy that begins with the IP header like its original. */
export function skbCopyAll(skb: Skb): Skb {
  const data = skb.data;
  skb.data = skb.network;
  const copy = skbCopy(skb);
  skb.data = data;
  if (changetype<usize>(copy) != 0) copy.data += data - skb.network;
  return copy;
}

/** Queues a datagram whose payload begins `header` bytes on; false: no room, it was dropped. Takes it. */
export function datagramQueue(sk: Socket, skb: Skb, header: u32): bool {
  if (sk.rcvMem + skb.size > sk.rcvBuf && sk.rcvHead != 0) {
    skbDrop(skb, changetype<Netns>(sk.ns), skb.dev, DROP_SOCKET_RCVBUFF);
    return false;
  }
  nfSkbReset(skb);
  skbPull(skb, header);
  queueAppend(sk, skb);
  sockWake(sk, READY_READ);
  return true;
}

/**
 * An ICMP error about a datagram of ours (its UDP header at `l4`, `end` of what is quoted) that reads `errno` (__udp4_lib_err): only connected sockets hear of it.
 * False: there is no such socket.
 */
export function udpError(ns: Netns, inner: usize, l4: usize, end: usize, errno: i32, hard: bool): bool {
  const uh = UdpView.at(l4);
  readAddresses(inner);
  const at = udpFind(ns, fromHi, fromLo, uh.sourcePort, toHi, toLo, uh.destinationPort);
  if (at == 0) return FULL && vxlanErrorKnown(ns, l4, end);
  const sk = changetype<Socket>(at);
  if (!hard || errno == 0 || sk.state != TCP_ESTABLISHED) return true;
  sk.error = errno;
  sockWake(sk, READY_READ | READY_WRITE | READY_ERROR);
  return true;
}
