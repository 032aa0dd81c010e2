// The list of a namespace's sockets (what inet_diag tells ss).
import { EBADF, MAILBOX_BYTES } from "../abi/core";
import {
  SOCK_TCP, SOCKINFO_ADDRESS, SOCKINFO_BYTES, SOCKINFO_FAMILY, SOCKINFO_INET6, SOCKINFO_PORT, SOCKINFO_RECEIVE, SOCKINFO_REMOTE, SOCKINFO_REMOTE_PORT, SOCKINFO_SEND,
  SOCKINFO_STATE, SOCKINFO_V6ONLY, TCP_LISTEN,
} from "../abi/sock";
import { Netns, Skb } from "../layout";
import { skbLength } from "../net/skb";
import { isSix, SK_INET6, SK_V6ONLY } from "./family";
import { Endpoint, KIND_TIMEWAIT, localPort, remotePort, Socket } from "./socket";
import { SockNetns } from "./table";
import { Listener, Tcp } from "./tcp/tcp";

/** SOCK_LIST: records from number `skip` on; returns bytes. */
export function sockList(ns: Netns, to: usize, skip: u32): i32 {
  if (changetype<usize>(ns) == 0 || ns.sock == 0) return -EBADF;
  const table = changetype<SockNetns>(ns.sock);
  const end = to + MAILBOX_BYTES - SOCKINFO_BYTES;
  let seen: u32 = 0, p = to;
  for (let at = table.sockets; at != 0 && p <= end; at = changetype<Socket>(at).nsNext) {
    if (seen++ >= skip) p = put(p, changetype<Socket>(at), SOCK_KIND_OWN);
  }
  for (let i: u32 = 0; i < table.slotsMax; i++) {
    for (let at = load<u32>(table.slots + (<usize>i << 2)); at != 0 && p <= end; at = <u32>changetype<Endpoint>(at).next) {
      const found = changetype<Endpoint>(at);
      if (found.kind == KIND_TIMEWAIT && seen++ >= skip) p = put(p, found, SOCK_TCP);
    }
  }
  return <i32>(p - to);
}

const SOCK_KIND_OWN: u32 = 0;

function put(p: usize, sk: Endpoint, kind: u32): usize {
  store<u32>(p, kind == SOCK_KIND_OWN ? sk.kind : kind);
  store<u32>(p, sk.state, SOCKINFO_STATE);
  store<u32>(p, localPort(sk), SOCKINFO_PORT);
  store<u32>(p, remotePort(sk), SOCKINFO_REMOTE_PORT);
  store<u64>(p, sk.localHi, SOCKINFO_ADDRESS);
  store<u64>(p, sk.localLo, SOCKINFO_ADDRESS + 8);
  store<u64>(p, sk.remoteHi, SOCKINFO_REMOTE);
  store<u64>(p, sk.remoteLo, SOCKINFO_REMOTE + 8);
  // What waits out its closing is no socket any more, and has no flags.
  let family: u32 = isSix(sk.localHi, sk.localLo) ? SOCKINFO_INET6 : 0;
  if (kind == SOCK_KIND_OWN) {
    const flags = changetype<Socket>(sk).flags;
    if (flags & SK_INET6) family = SOCKINFO_INET6;
    if (flags & SK_V6ONLY) family |= SOCKINFO_V6ONLY;
  }
  store<u32>(p, family, SOCKINFO_FAMILY);
  let receive: u32 = 0, send: u32 = 0;
  if (sk.kind == SOCK_TCP && sk.state == TCP_LISTEN) {
    receive = changetype<Listener>(sk).acceptCount;
    send = changetype<Listener>(sk).backlog;
  } else if (sk.kind == SOCK_TCP) {
    const tcp = changetype<Tcp>(sk);
    for (let skb = tcp.rcvHead; skb != 0; skb = changetype<Skb>(skb).next) receive += skbLength(changetype<Skb>(skb));
    send = tcp.writeSeq - tcp.sndUna;
  } else if (kind == SOCK_KIND_OWN) receive = changetype<Socket>(sk).rcvMem;
  store<u32>(p, receive, SOCKINFO_RECEIVE);
  store<u32>(p, send, SOCKINFO_SEND);
  return p + SOCKINFO_BYTES;
}
