// ICMP: net/ipv4/icmp.c.
import {
  CONF_ACCEPT_REDIRECTS, CONF_FORWARDING, CONF_SECURE_REDIRECTS, CONF_SHARED_MEDIA, DEV_LOOPBACK, DROP_ICMP_CSUM, DROP_INVALID_PROTO, DROP_NOT_SPECIFIED, DROP_PKT_TOO_SMALL, DROP_UNHANDLED_PROTO, PACKET_HOST,
  RTN_BROADCAST, RTN_LOCAL, RTN_MULTICAST, RTN_UNICAST, RTN_UNSPEC, RT_SCOPE_LINK, SNMP_ICMP_INCSUMERRORS, SNMP_ICMP_INDESTUNREACHS,
  SNMP_ICMP_INERRORS, SNMP_ICMP_INMSGS, SNMP_ICMP_OUTDESTUNREACHS, SNMP_ICMP_OUTMSGS, SNMP_ICMP_OUTRATELIMITGLOBAL,
  SNMP_ICMP_OUTRATELIMITHOST, SYSCTL_ICMP_ECHO_IGNORE_ALL, SYSCTL_ICMP_ECHO_IGNORE_BROADCASTS,
  SYSCTL_ICMP_ERRORS_USE_INBOUND_IFADDR, SYSCTL_ICMP_MSGS_BURST, SYSCTL_ICMP_MSGS_PER_SEC, SYSCTL_ICMP_RATEMASK,
  SYSCTL_IP_DEFAULT_TTL,
} from "../abi/net";
import { TRACE_ICMP_RCV } from "../abi/bpf-trace";
import { traceFunction, watched } from "../bpf/hooks/tracing";
import { FULL } from "../features";
import { NetDevice, Netns, Skb } from "../layout";
import { node } from "../mm/node";
import { randomBelow } from "../mm/rng";
import { NS_PER_JIFFY } from "../mm/timer";
import { nfCtAttach } from "../netfilter/hooks";
import { sockEchoReply, sockIcmpError } from "../sock/receive";
import { mapped4, putBe32, raw4 } from "../wire/bytes";
import { checksum } from "../wire/checksum";
import {
  ICMP_DEST_UNREACH, ICMP_ECHO, ICMP_ECHOREPLY, ICMP_FRAG_NEEDED, ICMP_HEADER_LEN, ICMP_PARAMETERPROB, ICMP_REDIRECT,
  ICMP_TIME_EXCEEDED, IcmpView,
} from "../wire/icmp";
import { IPPROTO_ICMP, IPV4_HEADER_LEN, IP_OFFSET, Ipv4View } from "../wire/ipv4";
import { be16, be32 } from "../wire/bytes";
import { addressOnlink, inetSelectAddr, isMulticast4 } from "./address";
import { currentTimestamp, ipOptionsEcho } from "./ip-options";
import { ipSendRouted } from "./ip-output";
import { Neighbour, neighAsk, neighFindOrCreate, neighValid } from "./neighbour";
import { ipPartialChecksum } from "./ip-input";
import { fibHasGateway } from "./fib";
import { flowSet } from "./multipath";
import { peerAllow, pmtuUpdate, redirectLearn } from "./peers";
import { RTF_LOCAL, Route, inetAddrType, routeOutputKey } from "./route";
import { skbAlloc, skbDrop, skbFree, skbLength } from "./skb";
import { snmpInc } from "./snmp";
import { devConf, orConf, sysctl } from "./sysctl";

const HZ: u64 = 250;
const NR_ICMP_TYPES: u32 = 18;
const ICMP_EXT_ECHO: u32 = 42, ICMP_EXT_ECHOREPLY: u32 = 43;
const ICMP_SOURCE_QUENCH: u32 = 4, ICMP_TIMESTAMP: u32 = 13, ICMP_TIMESTAMPREPLY: u32 = 14;
const IPTOS_PREC_INTERNETCONTROL: u32 = 0xc0;
/** 192.0.0.8, RFC 7600: an error's source where there is no address at all. */
const INADDR_DUMMY: u32 = 0x080000c0;

// The kernel's ICMP socket is taken while it sends (icmp_xmit_lock): what a hook says about that packet finds it taken, and is not sent.
// Never true between two calls of the kernel.
let sending: bool = false;
/** Where TCP's checksum ends, UDP's before it. */
const CHECKSUM_END: u32 = 18;

/** Is an ICMP message on its way out? What is sent meanwhile begets no other (icmp_xmit_trylock), nor what a tunnel makes of it. */
export function icmpSending(): bool {
  return sending;
}
export function icmpSetSending(on: bool): void {
  sending = on;
}

/** Is it an error (icmp_pointers[type].error: 1 to 7, 9 to 12)? Never answered by another. */
function isError(type: u32): bool {
  return ((0x1efe >>> type) & 1) != 0;
}

/** Where the per-type counters stand, in the order of /proc/net/snmp, from the first one (InDestUnreachs, OutDestUnreachs). */
function countType(ns: Netns, first: u32, type: u32): void {
  let index: u32;
  switch (type) {
    case 3: index = 0; break;
    case 11: index = 1; break;
    case 12: index = 2; break;
    case 4: index = 3; break;
    case 5: index = 4; break;
    case 8: index = 5; break;
    case 0: index = 6; break;
    case 13: index = 7; break;
    case 14: index = 8; break;
    case 17: index = 9; break;
    case 18: index = 10; break;
    default: return;
  }
  snmpInc(ns, first + index);
}

/** Counts an ICMP message on its way out (icmp_out_count). */
export function icmpOutCount(ns: Netns, type: u32): void {
  snmpInc(ns, SNMP_ICMP_OUTMSGS);
  countType(ns, SNMP_ICMP_OUTDESTUNREACHS, type);
}

/** The namespace's bucket for errors of all kinds (icmp_global_allow, icmp_global_consume). */
function globalHas(ns: Netns): bool {
  const burst = <u32>sysctl(ns, SYSCTL_ICMP_MSGS_BURST);
  if (ns.icmpCredit == 0) {
    const now = node().now / NS_PER_JIFFY;
    const passed = min<u64>(now - ns.icmpStamp, HZ);
    if (passed < HZ / 50) return false;
    const more = <u64>sysctl(ns, SYSCTL_ICMP_MSGS_PER_SEC) * passed / HZ;
    if (more == 0) return false;
    ns.icmpStamp = now;
    ns.icmpCredit = <u32>min<u64>(more, <u64>burst);
  }
  return true;
}

// 0, 1 or 2: who watches can not tell how many errors others were sent.
export function globalConsume(ns: Netns): void {
  ns.icmpCredit -= min<u32>(randomBelow(3), ns.icmpCredit);
}

/** Is there room for one more error of either family? Counted by `counter` where not; globalConsume() takes it. */
export function globalAllow(ns: Netns, counter: u32): bool {
  if (globalHas(ns)) return true;
  snmpInc(ns, counter);
  return false;
}

/** A namespace begins with a full second's worth. */
export function icmpInit(ns: Netns): void {
  ns.icmpCredit = <u32>sysctl(ns, SYSCTL_ICMP_MSGS_BURST);
  ns.icmpStamp = node().now / NS_PER_JIFFY;
}

/**
 * Sends an ICMP error about `about` (`network` set): all of RFC 1122's and Linux's reasons not to are looked at here. `info` is the
 * second word of the header in host order: the next hop's MTU, the gateway of a redirect, the pointer << 24. Does not take
 * `about`.
 */
export function icmpSend(about: Skb, ns: Netns, type: u32, code: u32, info: u32): void {
  if (sending) return;
  const ip = Ipv4View.at(about.network);
  if (about.rtType == RTN_UNSPEC || about.pktType != PACKET_HOST) return;
  if (about.rtType == RTN_BROADCAST || about.rtType == RTN_MULTICAST) return;
  if ((ip.fragment & IP_OFFSET) != 0) return;
  const quoted = <u32>(about.tail - about.network);
  const header = ip.headerLength;
  if (quoted < header) return;
  if (ip.protocol == IPPROTO_ICMP) {
    if (quoted < header + 1) return;
    const inner = IcmpView.at(about.network + <usize>header).type;
    if (inner > NR_ICMP_TYPES || isError(inner)) return;
  }
  const limited = !(type == ICMP_DEST_UNREACH && code == ICMP_FRAG_NEEDED)
    && type <= NR_ICMP_TYPES && (<u32>sysctl(ns, SYSCTL_ICMP_RATEMASK) & (1 << type)) != 0;
  const byLoopback = about.dev != 0 && changetype<NetDevice>(about.dev).kind == DEV_LOOPBACK;
  if (limited && !byLoopback) {
    if (!globalAllow(ns, SNMP_ICMP_OUTRATELIMITGLOBAL)) return;
    globalConsume(ns);
  }
  let source: u32 = 0;
  if (about.rtFlags & RTF_LOCAL) source = ip.destination;
  else if (about.inDev != 0 && sysctl(ns, SYSCTL_ICMP_ERRORS_USE_INBOUND_IFADDR) != 0) {
    source = raw4(inetSelectAddr(changetype<NetDevice>(about.inDev), 0, mapped4(ip.source), RT_SCOPE_LINK));
  }
  const tos = (ip.tos & 0x1e) | IPTOS_PREC_INTERNETCONTROL;
  let to = mapped4(ip.source);
  const route = changetype<Route>(ns.scratch);
  if (FULL && ns.routeMore != 0) flowSet(IPPROTO_ICMP, 0, 0, tos);
  if (routeOutputKey(ns, 0, to, 0, mapped4(source), 0, 0, route) != 0) return;
  if (ip.source == 0) to = route.sourceLo; // nobody is this host itself
  if (limited && changetype<NetDevice>(route.dev).kind != DEV_LOOPBACK && !peerAllow(ns, 0, to)) {
    snmpInc(ns, SNMP_ICMP_OUTRATELIMITHOST);
    return;
  }
  if (route.sourceLo == 0) route.sourceLo = mapped4(INADDR_DUMMY);
  const options = echoOptions(about, ns, route, header);
  if (options < 0) return;
  // At most 576 bytes in all (RFC 1812 section 4.3.2.3).
  const room = <i32>min<u32>(route.mtu, 576) - <i32>(IPV4_HEADER_LEN + ICMP_HEADER_LEN) - options;
  if (room <= <i32>IPV4_HEADER_LEN) return;
  const length = min<u32>(quoted, <u32>room);
  const skb = skbAlloc(ICMP_HEADER_LEN + length);
  if (changetype<usize>(skb) == 0) return;
  const icmp = IcmpView.at(skb.data);
  icmp.write(type, code, info);
  memory.copy(skb.data + ICMP_HEADER_LEN, about.network, <usize>length);
  if (length >= header + CHECKSUM_END) ipPartialChecksum(about, skb.data + ICMP_HEADER_LEN);
  skb.tail = skb.data + <usize>(ICMP_HEADER_LEN + length);
  store<u16>(icmp.checksumAt, <u16>checksum(skb.data, ICMP_HEADER_LEN + length));
  nfCtAttach(skb, about);
  icmpOutCount(ns, type);
  sending = true;
  // ip_select_ttl: a group is answered on the link alone.
  const ttl: u32 = route.type == RTN_MULTICAST ? 1 : <u32>sysctl(ns, SYSCTL_IP_DEFAULT_TTL);
  ipSendRouted(skb, ns, route, to, IPPROTO_ICMP, tos, ttl, 0, <u32>options);
  sending = false;
}

/** The options that go back with an answer, behind the route in the scratch; their length, or -1. */
function echoOptions(about: Skb, ns: Netns, route: Route, header: u32): i32 {
  if (header == IPV4_HEADER_LEN) return 0;
  return ipOptionsEcho(about, ns, raw4(route.sourceLo), ns.scratch + offsetof<Route>());
}

/** ICMP for this host, `data` at its header (icmp_rcv). Takes the packet. */
export function icmpReceive(skb: Skb, ns: Netns, dev: NetDevice): void {
  if (FULL && watched(TRACE_ICMP_RCV)) traceFunction(TRACE_ICMP_RCV, skb, ns, 0);
  snmpInc(ns, SNMP_ICMP_INMSGS);
  const length = skbLength(skb);
  let reason: i32;
  if (checksum(skb.data, length) != 0) {
    snmpInc(ns, SNMP_ICMP_INCSUMERRORS);
    snmpInc(ns, SNMP_ICMP_INERRORS);
    reason = DROP_ICMP_CSUM;
  } else if (length < ICMP_HEADER_LEN) {
    snmpInc(ns, SNMP_ICMP_INERRORS);
    reason = DROP_PKT_TOO_SMALL;
  } else {
    const type = IcmpView.at(skb.data).type;
    countType(ns, SNMP_ICMP_INDESTUNREACHS, type);
    if (type == ICMP_ECHOREPLY && skb.rtType == RTN_LOCAL) {
      sockEchoReply(skb, ns);
      return;
    }
    reason = dispatch(skb, ns, dev, type, length);
  }
  if (reason < 0) skbFree(skb);
  else skbDrop(skb, ns, changetype<usize>(dev), <u32>reason);
}

/** -1: handled; else why not. */
function dispatch(skb: Skb, ns: Netns, dev: NetDevice, type: u32, length: u32): i32 {
  // Nobody may ask for interfaces (icmp_echo_enable_probe is off), and nobody here asked (RFC 8335).
  if (FULL && (type == ICMP_EXT_ECHO || type == ICMP_EXT_ECHOREPLY)) return DROP_NOT_SPECIFIED;
  if (type > NR_ICMP_TYPES) {
    snmpInc(ns, SNMP_ICMP_INERRORS);
    return DROP_UNHANDLED_PROTO;
  }
  if (skb.rtType == RTN_BROADCAST || skb.rtType == RTN_MULTICAST) {
    const asked = type == ICMP_ECHO || type == ICMP_TIMESTAMP;
    if (!asked || sysctl(ns, SYSCTL_ICMP_ECHO_IGNORE_BROADCASTS) != 0) {
      snmpInc(ns, SNMP_ICMP_INERRORS);
      return DROP_INVALID_PROTO;
    }
  }
  switch (type) {
    case ICMP_ECHO: {
      if (sysctl(ns, SYSCTL_ICMP_ECHO_IGNORE_ALL) != 0) return DROP_NOT_SPECIFIED;
      reply(skb, ns, dev, ICMP_ECHOREPLY, length);
      return -1;
    }
    case ICMP_TIMESTAMP: {
      if (length < ICMP_HEADER_LEN + 4) {
        snmpInc(ns, SNMP_ICMP_INERRORS);
        return DROP_PKT_TOO_SMALL;
      }
      reply(skb, ns, dev, ICMP_TIMESTAMPREPLY, length);
      return -1;
    }
    case ICMP_DEST_UNREACH:
    case ICMP_SOURCE_QUENCH:
    case ICMP_TIME_EXCEEDED:
    case ICMP_PARAMETERPROB:
    case ICMP_REDIRECT: return errorReceived(skb, ns, type, length);
    default: return -1;
  }
}

/** The answer to an echo or timestamp request (icmp_reply): code and TOS as asked, source the address asked. */
function reply(about: Skb, ns: Netns, dev: NetDevice, type: u32, asked: u32): void {
  const ip = Ipv4View.at(about.network);
  const source = about.rtType == RTN_LOCAL ? mapped4(ip.destination)
    : inetSelectAddr(dev, 0, mapped4(ip.source), 0);
  const route = changetype<Route>(ns.scratch);
  const to = mapped4(ip.source);
  if (FULL && ns.routeMore != 0) flowSet(IPPROTO_ICMP, 0, 0, ip.tos);
  if (routeOutputKey(ns, 0, to, 0, source == 0 ? 0xffff0000 : source, 0, 0, route) != 0) return;
  const options = echoOptions(about, ns, route, ip.headerLength);
  if (options < 0) return;
  const length = type == ICMP_TIMESTAMPREPLY ? 20 : asked;
  const skb = skbAlloc(length);
  if (changetype<usize>(skb) == 0) return;
  skb.tail = skb.data + <usize>length;
  memory.copy(skb.data, about.data, <usize>min<u32>(length, asked));
  if (type == ICMP_TIMESTAMPREPLY) {
    store<u8>(skb.data, 0, 1); // the code, which an echo keeps
    putBe32(skb.data, 12, currentTimestamp());
    putBe32(skb.data, 16, currentTimestamp());
  }
  const icmp = IcmpView.at(skb.data);
  store<u8>(skb.data, <u8>type);
  store<u16>(icmp.checksumAt, 0);
  store<u16>(icmp.checksumAt, <u16>checksum(skb.data, length));
  // icmp_reply leaves the flow's ICMP type zero, which is what __ip_make_skb counts by: every answer as an echo reply.
  icmpOutCount(ns, ICMP_ECHOREPLY);
  sending = true;
  ipSendRouted(skb, ns, route, to, IPPROTO_ICMP, ip.tos, <u32>sysctl(ns, SYSCTL_IP_DEFAULT_TTL), 0, <u32>options);
  sending = false;
}

/**
 * A router says that there is a better way (__ip_do_redirect): taken for 300 s if the router is the one that is used, its device takes
 * redirects, and the other one is on that link and answers to ARP.
 */
function redirect(skb: Skb, ns: Netns, sourceLo: u64, destinationLo: u64, better: u64): void {
  const dev = changetype<NetDevice>(skb.inDev);
  const router = mapped4(Ipv4View.at(skb.network).source);
  if (skb.inDev == 0 || better == router) return;
  const raw = raw4(better);
  if (isMulticast4(raw) || raw == 0xffffffff || raw == 0) return;
  const all = load<i32>(ns.confAll + (CONF_ACCEPT_REDIRECTS << 2)) != 0, own = devConf(dev, CONF_ACCEPT_REDIRECTS) != 0;
  if (devConf(dev, CONF_FORWARDING) != 0 ? !(all && own) : !(all || own)) return;
  if (orConf(dev, CONF_SHARED_MEDIA)) {
    if (inetAddrType(ns, 0, better) != RTN_UNICAST) return;
  } else if (!addressOnlink(dev, 0, better, 0, router) || (orConf(dev, CONF_SECURE_REDIRECTS) && !fibHasGateway(ns, skb.inDev, better))) return;
  const route = changetype<Route>(ns.scratch);
  const local = inetAddrType(ns, 0, sourceLo) == RTN_LOCAL;
  if (routeOutputKey(ns, 0, destinationLo, 0, local ? sourceLo : 0xffff0000, 0, skb.mark, route) != 0) return;
  if (route.dev != skb.inDev || route.gatewayLo != router) return;
  const at = neighFindOrCreate(dev, 0, better);
  if (at == 0) return;
  if (neighValid(changetype<Neighbour>(at))) redirectLearn(ns, 0, destinationLo, better, router);
  else neighAsk(changetype<Neighbour>(at));
}

/** An error about something this host sent (icmp_unreach, icmp_redirect). */
function errorReceived(skb: Skb, ns: Netns, type: u32, length: u32): i32 {
  const icmp = IcmpView.at(skb.data);
  const inner = skb.data + ICMP_HEADER_LEN;
  const quoted = length - ICMP_HEADER_LEN;
  const ip = Ipv4View.at(inner);
  if (quoted < IPV4_HEADER_LEN || ip.headerLength < IPV4_HEADER_LEN || quoted < ip.headerLength + 8) {
    snmpInc(ns, SNMP_ICMP_INERRORS);
    return DROP_PKT_TOO_SMALL;
  }
  const code = icmp.code;
  let info: u32 = 0;
  if (type == ICMP_DEST_UNREACH) {
    if (code > 15) return -1;
    if (code == ICMP_FRAG_NEEDED) info = be16(skb.data, 6);
  } else if (type == ICMP_PARAMETERPROB) info = be32(skb.data, 4) >>> 24;
  else if (type == ICMP_REDIRECT) info = be32(skb.data, 4);
  else if (type == ICMP_TIME_EXCEEDED && code == 1) return -1;
  if (type == ICMP_DEST_UNREACH && code == ICMP_FRAG_NEEDED && inetAddrType(ns, 0, mapped4(ip.source)) == RTN_LOCAL) {
    pmtuUpdate(ns, 0, mapped4(ip.destination), info);
  }
  if (FULL && type == ICMP_REDIRECT && code <= 3) redirect(skb, ns, mapped4(ip.source), mapped4(ip.destination), mapped4(bswap<u32>(info)));
  sockIcmpError(ns, type, code, info, inner, quoted);
  return -1;
}
