// Raw sockets of the driver's own get a copy of every IPv6 packet that INPUT let through, as they do of IPv4's (raw.ts).
import { SOCK_RAW } from "../abi/sock";
import { Netns, Skb } from "../layout";
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
