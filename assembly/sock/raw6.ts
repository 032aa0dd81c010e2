// Raw sockets of the driver's own get a copy of every IPv6 packet that INPUT let through, as they do of IPv4's (raw.ts).
import { SOCK_RAW } from "../abi/sock";
import { Netns, Skb } from "../layout";
import { EINVAL, ENOBUFS } from "../abi/core";
import { ip6RawOut } from "../net/ip6-output";
import { skbAlloc } from "../net/skb";
import { IPV6_HEADER_LEN } from "../wire/ipv6";
import { Socket } from "./socket";
import { boundFirst, SockNetns } from "./table";
import { datagramQueue, skbCopyAll } from "./udp";

/** Copies of a packet that is about to be delivered, `network` set (raw6_local_deliver). */
export function rawDeliver6(skb: Skb, ns: Netns): void {
  if (ns.sock == 0 || changetype<SockNetns>(ns.sock).raw == 0) return;
  let at = boundFirst(ns, SOCK_RAW, 0);
  while (at != 0) {
    const sk = changetype<Socket>(at);
    at = sk.bindNext;
    if (sk.kind != SOCK_RAW) continue;
    const copy = skbCopyAll(skb);
    if (changetype<usize>(copy) == 0) return;
    copy.data = copy.network;
    datagramQueue(sk, copy, 0);
  }
}

/** Sends a packet with its own IPv6 header as it is (rawv6_send_hdrinc). */
export function rawSend6(sk: Socket, from: usize, length: u32): i32 {
  if (length < IPV6_HEADER_LEN) return -EINVAL;
  const skb = skbAlloc(length);
  if (changetype<usize>(skb) == 0) return -ENOBUFS;
  skb.tail = skb.data + <usize>length;
  memory.copy(skb.data, from, <usize>length);
  skb.sock = <usize>sk.handle;
  const sent = ip6RawOut(skb, changetype<Netns>(sk.ns));
  return sent < 0 && sent != -ENOBUFS ? sent : <i32>length;
}
