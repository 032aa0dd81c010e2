// Raw sockets of the driver's own (net/ipv4/raw.c with IP_HDRINCL): they get a copy of every IPv4 packet that INPUT let through,
// and send packets whole through OUTPUT.
import { EINVAL, EMSGSIZE, ENOBUFS } from "../abi/core";
import { SOCK_RAW } from "../abi/sock";
import { FULL } from "../features";
import { Netns, Skb } from "../layout";
import { rawSend6 } from "./raw6";
import { ipPartialChecksum, ipRawVisible } from "../net/ip-input";
import { ipRawOut } from "../net/ip-output";
import { skbAlloc, skbDrop } from "../net/skb";
import { DROP_SOCKET_FILTER } from "../abi/net";
import { sockFilter } from "../bpf/hooks/sock";
import { node } from "../mm/node";
import { putBe16 } from "../wire/bytes";
import { IPV4_HEADER_LEN, Ipv4View } from "../wire/ipv4";
import { Socket } from "./socket";
import { boundFirst, SockNetns } from "./table";
import { datagramQueue, skbCopyAll } from "./udp";

/** Gives copies of a packet that is about to be delivered (`network` set) to the raw sockets (raw_local_deliver). */
export function rawDeliver(skb: Skb, ns: Netns): void {
  if (ns.sock == 0 || changetype<SockNetns>(ns.sock).raw == 0 || !ipRawVisible(skb)) return;
  let at = boundFirst(ns, SOCK_RAW, 0);
  while (at != 0) {
    const sk = changetype<Socket>(at);
    at = sk.bindNext;
    if (sk.kind != SOCK_RAW) continue;
    const copy = skbCopyAll(skb);
    if (changetype<usize>(copy) == 0) return;
    copy.data = copy.network;
    ipPartialChecksum(skb, copy.data);
    if (FULL && node().bpfHooks != 0 && !sockFilter(sk, copy, 1)) {
      skbDrop(copy, ns, skb.dev, DROP_SOCKET_FILTER);
      continue;
    }
    datagramQueue(sk, copy, 0);
  }
}

/**
 * A clone shares its bytes with the packet it was made of until one of them is unshared (skb_unclone). What is copied here for a
 * socket is no clone; a write in place to the packet, `length` bytes at `at`, is therefore repeated in the copies just queued.
 */
export function rawShared(skb: Skb, ns: Netns, at: usize, length: u32): void {
  if (ns.sock == 0 || changetype<SockNetns>(ns.sock).raw == 0) return;
  const offset = at - skb.network;
  for (let next = boundFirst(ns, SOCK_RAW, 0); next != 0; ) {
    const sk = changetype<Socket>(next);
    next = sk.bindNext;
    if (sk.kind != SOCK_RAW || sk.rcvTail == 0) continue;
    const copy = changetype<Skb>(sk.rcvTail);
    if (copy.id == skb.id && copy.data + offset + <usize>length <= copy.tail) memory.copy(copy.data + offset, at, <usize>length);
  }
}

/** Sends a packet with its own IP header; length and checksum of the header are filled in, as Linux does. */
export function rawSend(sk: Socket, from: usize, length: u32): i32 {
  const ns = changetype<Netns>(sk.ns);
  if (length > 65535) return -EMSGSIZE;
  if (FULL && length != 0 && load<u8>(from) >>> 4 == 6) return rawSend6(sk, from, length);
  if (length < IPV4_HEADER_LEN) return -EINVAL;
  const ip = Ipv4View.at(from);
  const header = ip.headerLength;
  if (header < IPV4_HEADER_LEN || header > length) return -EINVAL;
  const skb = skbAlloc(length);
  if (changetype<usize>(skb) == 0) return -ENOBUFS;
  skb.tail = skb.data + <usize>length;
  memory.copy(skb.data, from, <usize>length);
  skb.network = skb.data;
  skb.transport = skb.data + <usize>header;
  skb.sock = <usize>sk.handle;
  const own = Ipv4View.at(skb.data);
  putBe16(skb.data, 2, length);
  own.updateChecksum();
  const sent = ipRawOut(skb, ns);
  return sent < 0 && sent != -ENOBUFS ? sent : <i32>length;
}
