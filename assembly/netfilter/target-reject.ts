// REJECT, net/ipv4/netfilter/nf_reject_ipv4.c: answers with an ICMP error or a RST and drops.
import {
  IPS_CONFIRMED, NFCT_TIMEOUT_TCP, NF_DROP, REJECT_ADMIN_PROHIBITED, REJECT_ECHOREPLY,
  REJECT_HOST_PROHIBITED, REJECT_NET_PROHIBITED, REJECT_TCP_RESET,
} from "../abi/netfilter";
import { SYSCTL_IP_DEFAULT_TTL } from "../abi/net";
import { NetDevice, Netns, Skb } from "../layout";
import { devQueueXmit } from "../net/dev";
import { deviceFind } from "../net/devices";
import { IPSKB_CSUM_PARTIAL } from "../net/ip-input";
import { icmpSend, ipLocalOut, ipRouteMeHarder } from "../net/ip-output";
import { skbAlloc, skbFree, skbPush } from "../net/skb";
import { sysctl } from "../net/sysctl";
import { be32 } from "../wire/bytes";
import { checksumAdd, checksumFold, pseudo4 } from "../wire/checksum";
import { ETH_HEADER_LEN, ETH_P_IP, EthernetView } from "../wire/ethernet";
import { ICMP_DEST_UNREACH } from "../wire/icmp";
import { IPPROTO_TCP, IPPROTO_UDP, IP_DF, Ipv4View } from "../wire/ipv4";
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN, TcpView } from "../wire/tcp";
import { ctAttach, ctRefresh, ctTuple, l4ChecksumOk, skbCt } from "./conntrack";
import { ipBytes } from "./l3";
import { nfNet, setting } from "./state";
import { IPPROTO_GRE, IPPROTO_SCTP, IPPROTO_UDPLITE, Tuple } from "./tuple";

const IPPROTO_ESP: u32 = 50, IPPROTO_AH: u32 = 51, IPPROTO_DCCP: u32 = 33;
const RTN_BROADCAST: u32 = 3, RTN_MULTICAST: u32 = 5;
const TCP_CLOSE: u32 = 8;

/** `how` is REJECT_*. Always NF_DROP. */
export function reject(how: u32, skb: Skb, ns: Netns): u32 {
  if (how == REJECT_TCP_RESET) reset(skb, ns);
  else if (how != REJECT_ECHOREPLY) unreachable(how, skb, ns);
  return NF_DROP;
}

/** nf_send_unreach: only about packets whose payload is whole, as far as that can be told. */
function unreachable(how: u32, skb: Skb, ns: Netns): void {
  const ip = skb.network, length = ipBytes(skb);
  const header = (<u32>load<u8>(ip) & 15) << 2;
  if ((load<u16>(ip, 6) & 0xff1f) != 0 || header > length) return;
  const l4 = ip + <usize>header, room = length - header, protocol = <u32>load<u8>(ip, 9);
  // No payload is a right one where there is no pseudo-header.
  const nothing = room == 0 && protocol != IPPROTO_TCP && protocol != IPPROTO_UDP;
  if (!nothing && verifies(protocol, l4, room) && !l4ChecksumOk(ip, l4, room, protocol)) return;
  let code = how;
  if (how == REJECT_NET_PROHIBITED) code = 9;
  else if (how == REJECT_HOST_PROHIBITED) code = 10;
  else if (how == REJECT_ADMIN_PROHIBITED) code = 13;
  icmpSend(skb, ns, ICMP_DEST_UNREACH, code, 0);
}

/** nf_reject_verify_csum: does the protocol have a checksum over all of its payload? */
export function verifies(protocol: u32, l4: usize, room: u32): bool {
  switch (protocol) {
    case IPPROTO_UDP: return room < 8 || load<u16>(l4, 6) != 0;
    case IPPROTO_GRE: case IPPROTO_AH: case IPPROTO_ESP: case IPPROTO_SCTP: case IPPROTO_UDPLITE: case IPPROTO_DCCP: return false;
    default: return true;
  }
}

/** nf_send_reset. */
function reset(skb: Skb, ns: Netns): void {
  const ip = skb.network, length = ipBytes(skb);
  const header = (<u32>load<u8>(ip) & 15) << 2;
  if ((load<u16>(ip, 6) & 0xff1f) != 0 || header + 20 > length) return;
  const th = TcpView.at(ip + <usize>header), room = length - header;
  if (th.flags & TCP_RST || !l4ChecksumOk(ip, changetype<usize>(th), room, IPPROTO_TCP)) return;
  if (skb.rtType == RTN_BROADCAST || skb.rtType == RTN_MULTICAST) return;
  const answer = skbAlloc(40);
  if (changetype<usize>(answer) == 0) return;
  answer.tail = answer.data + 40;
  answer.network = answer.data;
  answer.transport = answer.data + 20;
  answer.protocol = 0x0800;
  answer.id = skb.id;
  answer.ipFlags = IPSKB_CSUM_PARTIAL;
  const source = load<u32>(ip, 16), destination = load<u32>(ip, 12);
  const acks = (th.flags & TCP_ACK) != 0;
  const segment = room - min<u32>(th.headerLength, room) + (th.flags & TCP_SYN ? 1 : 0) + (th.flags & TCP_FIN ? 1 : 0);
  const tcp = TcpView.at(answer.transport);
  tcp.write(th.destinationPort, th.sourcePort, acks ? th.acknowledgment : 0,
    acks ? 0 : be32(changetype<usize>(th), 4) + segment, 20, acks ? TCP_RST : TCP_RST | TCP_ACK, 0);
  Ipv4View.at(answer.network).write(0, 40, 0, IP_DF, <u32>sysctl(ns, SYSCTL_IP_DEFAULT_TTL), IPPROTO_TCP, source, destination);
  tcp.checksum = ~checksumFold(checksumAdd(pseudo4(source, destination, IPPROTO_TCP, 20), answer.transport, 20)) & 0xffff;
  ctAttach(answer, skb);
  // The connection is at its end, whatever the answer does (nf_conntrack_tcp_set_closing).
  if (skb.nfct != 0) {
    const ct = skbCt(skb);
    if (ct.status & IPS_CONFIRMED && <u32>Tuple.at(ctTuple(ct, false)).proto == IPPROTO_TCP && ct.state != TCP_CLOSE) {
      ct.state = TCP_CLOSE;
      ctRefresh(ct, setting(nfNet(ns), NFCT_TIMEOUT_TCP + TCP_CLOSE));
    }
  }
  const port: usize = skb.physIn == 0 || skb.mac == 0 ? 0 : deviceFind(ns, skb.physIn);
  if (port == 0) ipLocalOut(answer, ns);
  else answerByPort(answer, ns, changetype<NetDevice>(port), EthernetView.at(skb.mac));
}

/** What came by a bridge's port is answered there and then, under the MAC it was sent to, if there is a route; no hook sees it. */
function answerByPort(answer: Skb, ns: Netns, port: NetDevice, eth: EthernetView): void {
  if (ipRouteMeHarder(answer, ns) != 0) {
    skbFree(answer);
    return;
  }
  const dst0 = eth.src0, dst1 = eth.src1, src0 = eth.dst0, src1 = eth.dst1;
  answer.data = answer.network;
  answer.rtDev = 0;
  answer.dev = changetype<usize>(port);
  const at = skbPush(answer, ETH_HEADER_LEN);
  answer.mac = at;
  EthernetView.at(at).write(dst0, dst1, src0, src1, ETH_P_IP);
  devQueueXmit(answer, port);
}
