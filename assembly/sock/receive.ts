// Where IP delivers: the protocols of this host.
import {
  ECONNREFUSED, EHOSTDOWN, EHOSTUNREACH, EMSGSIZE, ENETUNREACH, ENONET, ENOPROTOOPT, EOPNOTSUPP, EPROTO,
} from "../abi/core";
import { SNMP_ICMP_INERRORS } from "../abi/net";
import { SOCK_TCP } from "../abi/sock";
import { snmpInc } from "../net/snmp";
import { Netns, Skb } from "../layout";
import { charge } from "../mm/node";
import { COST_SOCKET } from "../net/costs";
import {
  ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, ICMP_PARAMETERPROB, ICMP_TIME_EXCEEDED,
} from "../wire/icmp";
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, Ipv4View } from "../wire/ipv4";
import { pingError, pingReceive } from "./ping";
import { rawDeliver, rawShared } from "./raw";
import { scratchInit, Socket, socketFree } from "./socket";
import { connectionSlot, SockNetns, tableFree, tableInit, tableRemove } from "./table";
import { tcpDestroy } from "./tcp/close";
import { tcpError } from "./tcp/error";
import { tcpReceive } from "./tcp/input";
import { Tcp } from "./tcp/tcp";
import { Timewait, timewaitKill } from "./tcp/timewait";
import { udpError, udpReceive } from "./udp";

/**
 * A packet for this host after INPUT: `data` at the L4 header, `network` and `transport` set. Returns false when no
 * protocol of that number is known (the caller answers protocol unreachable); the packet is then still the caller's.
 */
export function sockReceive(skb: Skb, ns: Netns, protocol: u32): bool {
  if (protocol == IPPROTO_TCP) {
    charge(COST_SOCKET);
    tcpReceive(skb, ns);
    return true;
  }
  if (protocol == IPPROTO_UDP) {
    charge(COST_SOCKET);
    udpReceive(skb, ns);
    return true;
  }
  return false;
}

/**
 * Copies for raw sockets of what passed INPUT, before any protocol gets it, ICMP included: `network` set, the packet stays the
 * caller's.
 */
export function sockRawDeliver(skb: Skb, ns: Netns): void {
  rawDeliver(skb, ns);
}

/** `length` bytes at `at` of a packet were written in place, `network` still at the header that raw sockets got it with: they see it. */
export function sockRawShared(skb: Skb, ns: Netns, at: usize, length: u32): void {
  rawShared(skb, ns, at, length);
}

/**
 * An ICMP error about a packet that this host sent. `inner` is the address of the quoted IP header, `length` how much of
 * it was quoted. Connected UDP sockets get the errno, TCP treats it as RFC 1122 section 4.2.3.9 says.
 */
export function sockIcmpError(ns: Netns, type: u32, code: u32, info: u32, inner: usize, length: u32): void {
  const ip = Ipv4View.at(inner);
  if (length < 28 || ip.headerLength < 20 || ip.headerLength + 8 > length) return;
  let errno: i32;
  let hard = false;
  if (type == ICMP_DEST_UNREACH) {
    if (code > 15) return;
    errno = unreachableErrno(code);
    // icmp_err_convert: codes 2, 3, 6 to 10, 13 to 15; a too large UDP datagram is the sender's to know, too
    hard = ((1 << code) & 0xe7cc) != 0 || code == ICMP_FRAG_NEEDED;
  } else if (type == ICMP_TIME_EXCEEDED) {
    errno = EHOSTUNREACH;
  } else if (type == ICMP_PARAMETERPROB) {
    errno = EPROTO;
    hard = true;
  } else {
    errno = 0; // a redirect or source quench: nothing happens, but whether there is a socket is counted
  }
  const protocol = ip.protocol;
  const frag = type == ICMP_DEST_UNREACH && code == ICMP_FRAG_NEEDED;
  const l4 = inner + <usize>ip.headerLength;
  let known = true;
  if (protocol == IPPROTO_TCP) known = tcpError(ns, inner, l4, errno, frag, info);
  else if (protocol == IPPROTO_UDP) known = udpError(ns, inner, l4, inner + <usize>length, errno, hard);
  else if (protocol == IPPROTO_ICMP && errno != 0) pingError(ns, inner, l4, errno);
  if (!known) snmpInc(ns, SNMP_ICMP_INERRORS);
}

function unreachableErrno(code: u32): i32 {
  switch (code) {
    case 2: return ENOPROTOOPT;
    case 3: return ECONNREFUSED;
    case 4: return EMSGSIZE;
    case 5: return EOPNOTSUPP;
    case 7: return EHOSTDOWN;
    case 8: return ENONET;
    case 0: case 6: case 9: case 11: return ENETUNREACH;
    default: return EHOSTUNREACH;
  }
}

/** An ICMP echo reply for this host: a ping socket may wait for it. `data` at the ICMP header. */
export function sockEchoReply(skb: Skb, ns: Netns): void {
  charge(COST_SOCKET);
  pingReceive(skb, ns);
}

/** A new namespace: its tables. False: no memory. */
export function sockNetnsInit(ns: Netns): bool {
  return scratchInit() && tableInit(ns);
}

/** The namespace goes away with all its sockets, without a word to their peers. */
export function sockNetnsExit(ns: Netns): void {
  if (ns.sock == 0) return;
  const table = changetype<SockNetns>(ns.sock);
  while (table.sockets != 0) {
    const sk = changetype<Socket>(table.sockets);
    if (sk.kind == SOCK_TCP) {
      tcpDestroy(changetype<Tcp>(table.sockets));
    } else {
      tableRemove(sk);
      socketFree(sk, <u32>offsetof<Socket>());
    }
  }
  // Only time-wait is left: what was being opened went with its listener.
  for (let i: u32 = 0; i < table.slotsMax; i++) {
    for (let at = connectionSlot(table, i); at != 0; at = connectionSlot(table, i)) timewaitKill(changetype<Timewait>(at));
  }
  tableFree(ns);
}
