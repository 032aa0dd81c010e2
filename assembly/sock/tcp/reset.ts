// Answers that belong to no connection: RST, and ACKs of what is only half a connection (tcp_v4_send_reset, tcp_v4_send_ack).
import { FULL } from "../../features";
import { NetDevice, Netns, Skb } from "../../layout";
import { ipOptionsEcho } from "../../net/ip-options";
import { Route, discarded } from "../../net/ip-output";
import { skbAlloc, skbFree } from "../../net/skb";
import { mapped4, putBe32 } from "../../wire/bytes";
import { IPV4_HEADER_LEN, Ipv4View } from "../../wire/ipv4";
import { Ipv6View, isLinkLocal6 } from "../../wire/ipv6";
import { TCP_ACK, TCP_HEADER_LEN, TCP_RST, TcpView } from "../../wire/tcp";
import { ackOf, endOf, flagsOf } from "./input";
import { ipv4Send, tcpSend } from "./output";

const ECN_MASK: u32 = 3;

/**
 * RFC 9293 section 3.10.7.1: RST with the acknowledged number, or else with an ACK of the whole segment. Takes over the
 * type of service; id 0, DF. `about` was read by tcpReceive.
 */
export function sendReset(about: Skb, ns: Netns): void {
  const flags = flagsOf(about);
  if (flags & TCP_RST) return;
  if (flags & TCP_ACK) reply(about, ns, ackOf(about), 0, TCP_RST, 0, 0, 0);
  else reply(about, ns, 0, endOf(about), TCP_RST | TCP_ACK, 0, 0, 0);
}

/** An ACK with timestamps if `tsecr` is not 0. */
export function sendBareAck(about: Skb, ns: Netns, seq: u32, ack: u32, window: u32, tsval: u32, tsecr: u32): void {
  reply(about, ns, seq, ack, TCP_ACK, window, tsval, tsecr);
}

function reply(about: Skb, ns: Netns, seq: u32, ack: u32, flags: u32, window: u32, tsval: u32, tsecr: u32): void {
  const header: u32 = tsecr != 0 ? TCP_HEADER_LEN + 12 : TCP_HEADER_LEN;
  const skb = skbAlloc(header);
  if (changetype<usize>(skb) == 0) return;
  skb.tail = skb.data + <usize>header;
  const th = TcpView.at(about.transport);
  TcpView.at(skb.data).write(th.destinationPort, th.sourcePort, seq, ack, header, flags, window);
  if (tsecr != 0) {
    putBe32(skb.data, TCP_HEADER_LEN, 0x0101080a);
    putBe32(skb.data, TCP_HEADER_LEN + 4, tsval);
    putBe32(skb.data, TCP_HEADER_LEN + 8, tsecr);
  }
  if (FULL && load<u8>(about.network) >>> 4 == 6) {
    const ip = Ipv6View.at(about.network);
    const scope: u32 = about.inDev != 0 && isLinkLocal6(ip.sourceHi) ? changetype<NetDevice>(about.inDev).ifindex : 0;
    tcpSend(skb, ns, ip.destinationHi, ip.destinationLo, ip.sourceHi, ip.sourceLo, ip.trafficClass & ~ECN_MASK, 0, true, scope);
    return;
  }
  // ip_send_unicast_reply: nothing of congestion is taken over, and options go back.
  const ip = Ipv4View.at(about.network);
  const options = ip.headerLength == IPV4_HEADER_LEN ? 0
    : ipOptionsEcho(about, ns, ip.destination, ns.scratch + offsetof<Route>());
  if (options < 0) skbFree(skb);
  else discarded(ns, ipv4Send(skb, ns, mapped4(ip.destination), mapped4(ip.source), ip.tos & ~ECN_MASK, 0, <u32>options, false));
}
