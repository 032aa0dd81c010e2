// Ping sockets (net/ipv4/ping.c): ICMP echo for programs; the socket's local port is the echo id.
import { EACCES, EADDRNOTAVAIL, EMSGSIZE, ENOBUFS } from "../abi/core";
import { DROP_NO_SOCKET, RTN_BROADCAST, RTN_MULTICAST, SYSCTL_IP_DEFAULT_TTL } from "../abi/net";
import { READY_ERROR, READY_READ, READY_WRITE, SOCK_PING } from "../abi/sock";
import { Netns, Skb } from "../layout";
import { ipSend, routeOutput } from "../net/ip-output";
import { skbAlloc, skbDrop, skbLength } from "../net/skb";
import { sysctl } from "../net/sysctl";
import { FULL } from "../features";
import { icmp6Checksum, icmp6OutCount } from "../net/icmp6";
import { ip6Send } from "../net/ip6-output";
import { ICMPV6_ECHO_REQUEST } from "../wire/icmp6";
import { IPPROTO_ICMPV6 } from "../wire/ipv6";
import { fromHi, fromLo, isSix, readAddresses, SK_INET6, toHi, toLo } from "./family";
import { checksum } from "../wire/checksum";
import { ICMP_ECHO, ICMP_HEADER_LEN, IcmpView } from "../wire/icmp";
import { IPPROTO_ICMP, IPV4_HEADER_LEN } from "../wire/ipv4";
import { observeDelivery, observeSend } from "./deliver";
import { sockWake } from "./events";
import { isAny, localPort, scopeOf, scratchRoute, SK_BOUND, Socket } from "./socket";
import { bindPort, boundFirst } from "./table";
import { datagramQueue } from "./udp";

/** Sends an echo with this sequence number (ping_v4_sendmsg). Returns `length` or -errno. */
export function pingSend(sk: Socket, hi: u64, lo: u64, sequence: u32, ttl: u32, from: usize, length: u32): i32 {
  const ns = changetype<Netns>(sk.ns);
  if (length > 65535 - IPV4_HEADER_LEN - ICMP_HEADER_LEN) return -EMSGSIZE;
  if ((sk.flags & SK_BOUND) == 0) {
    const bound = bindPort(sk, sk.localHi, sk.localLo, 0);
    if (bound < 0) return bound;
  }
  const route = scratchRoute();
  const six = isSix(hi, lo);
  const result = routeOutput(ns, hi, lo, sk.localHi, sk.localLo, scopeOf(sk), 0, 0, route);
  if (result < 0) return result;
  if (!six && (route.type == RTN_BROADCAST || route.type == RTN_MULTICAST)) return -EACCES;
  const own = !isAny(sk.localHi, sk.localLo);
  const sourceHi = own ? sk.localHi : route.sourceHi, sourceLo = own ? sk.localLo : route.sourceLo;
  if (isAny(sourceHi, sourceLo)) return -EADDRNOTAVAIL;
  const bytes = ICMP_HEADER_LEN + length;
  const fits = bytes + IPV4_HEADER_LEN <= route.mtu;
  const skb = skbAlloc(bytes);
  if (changetype<usize>(skb) == 0) return -ENOBUFS;
  skb.tail = skb.data + <usize>bytes;
  skb.transport = skb.data;
  const icmp = IcmpView.at(skb.data);
  icmp.write(six ? ICMPV6_ECHO_REQUEST : ICMP_ECHO, 0, (localPort(sk) << 16) | (sequence & 0xffff));
  memory.copy(skb.data + ICMP_HEADER_LEN, from, <usize>length);
  if (six) icmp6Checksum(skb.data, bytes, sourceHi, sourceLo, hi, lo);
  else store<u16>(icmp.checksumAt, <u16>checksum(skb.data, bytes));
  skb.sock = <usize>sk.handle;
  observeSend(skb, ns, IPPROTO_ICMP, sk.handle);
  if (six) {
    icmp6OutCount(ns, ICMPV6_ECHO_REQUEST);
    const hops6 = ttl != 0 ? ttl : route.type == RTN_MULTICAST ? 1 : 0;
    const result6 = ip6Send(skb, ns, sourceHi, sourceLo, hi, lo, scopeOf(sk), IPPROTO_ICMPV6, 0, hops6, true);
    return result6 < 0 && result6 != -ENOBUFS ? result6 : <i32>length;
  }
  const hops = ttl != 0 ? ttl : <u32>sysctl(ns, SYSCTL_IP_DEFAULT_TTL);
  const sent = ipSend(skb, ns, sourceHi, sourceLo, hi, lo, IPPROTO_ICMP, 0, hops, fits);
  return sent < 0 && sent != -ENOBUFS ? sent : <i32>length;
}

/** The socket with this echo id and address (ping_lookup); 0: none. */
function pingFind(ns: Netns, hi: u64, lo: u64, id: u32): usize {
  let at = boundFirst(ns, SOCK_PING, id);
  while (at != 0) {
    const sk = changetype<Socket>(at);
    if (sk.kind == SOCK_PING && localPort(sk) == id
      && (isAny(sk.localHi, sk.localLo) || (sk.localLo == lo && sk.localHi == hi))
      && (!FULL || ((sk.flags & SK_INET6) != 0) == isSix(hi, lo))) return at;
    at = sk.bindNext;
  }
  return 0;
}

function pingTo(ns: Netns, skb: Skb): usize {
  readAddresses(skb.network);
  return pingFind(ns, toHi, toLo, IcmpView.at(skb.data).id);
}

/** An echo reply, `data` at the ICMP header (ping_rcv). Takes it. The payload a program gets begins with that header. */
export function pingReceive(skb: Skb, ns: Netns): void {
  const at: usize = skbLength(skb) < ICMP_HEADER_LEN
    ? 0 : pingTo(ns, skb);
  if (at == 0) {
    skbDrop(skb, ns, skb.dev, DROP_NO_SOCKET);
    return;
  }
  const sk = changetype<Socket>(at);
  observeDelivery(skb, ns, IPPROTO_ICMP, sk.handle);
  datagramQueue(sk, skb, 0);
}

/** An ICMP error about an echo of ours: as with IP_RECVERR, every one is reported (ping_err). */
export function pingError(ns: Netns, inner: usize, l4: usize, errno: i32): void {
  const icmp = IcmpView.at(l4);
  readAddresses(inner);
  if (icmp.type != (isSix(fromHi, fromLo) ? ICMPV6_ECHO_REQUEST : ICMP_ECHO)) return;
  const at = pingFind(ns, fromHi, fromLo, icmp.id);
  if (at == 0) return;
  const sk = changetype<Socket>(at);
  sk.error = errno;
  sockWake(sk, READY_READ | READY_WRITE | READY_ERROR);
}
