// The short way through the host for packets that go on to another one. What a packet of a confirmed connection meets depends on its
// connection, its direction, the device it came by and a few fields; so what became of one, rules counted, route, neighbour, virtual
// time, is recorded as a program and replayed for the next. Connections that fare alike share a program. Nothing is skipped that has an
// effect: checksums are verified, the connection's state machine and timeout, every counter and the clock end up as the long way has them.
//
//   frame ──► flowReceive ──┬─ a program that fits ──► rewritten, counted, sent
//                           ├─ no program yet ───────► the long way, watched: flowTracked, flowCounter, flowMatch, flowTarget, flowCommit
//                           └─ anything else ────────► the long way
//
// Recording gives up at whatever is not known to depend on the key alone: a new match or target is not known until flowMatch or
// flowTarget says so. Every request that changes something ends all programs (flowsInvalidate), as does a neighbour that goes; routes
// end them by the namespace's routeGeneration; a neighbour's state and MAC, timeouts and other settings are read anew each time.
import {
  CTM_EXPIRES, EXT_HEADER, HOOK_FORWARD, HOOK_POSTROUTING, HOOK_PREROUTING, IPS_ASSURED, IPS_CONFIRMED, IPS_DYING, IPS_SEEN_REPLY,
  MATCH_ADDRTYPE, MATCH_CONNMARK, MATCH_CONNTRACK, MATCH_DESTINATION, MATCH_FRAGMENT, MATCH_IN, MATCH_IPRANGE, MATCH_MARK, MATCH_MULTIPORT,
  MATCH_OUT, MATCH_PKTTYPE, MATCH_PROTOCOL, MATCH_RPFILTER, MATCH_SOURCE, MATCH_STATE, MATCH_TCP, MATCH_UDP, NFCT_CHECKSUM, NFCT_TIMEOUT_UDP,
  NFCT_TIMEOUT_UDP_STREAM, NF_ACCEPT, TARGET_CONNMARK, TARGET_LOG, TARGET_MARK,
} from "../abi/netfilter";
import { DEV_LOOPBACK, DEV_NIC, IFF_NOARP, PACKET_HOST, RTN_UNICAST, SNMP_IPEXT_INNOECTPKTS, SNMP_IPEXT_INOCTETS, SNMP_IPEXT_OUTOCTETS, SNMP_IP_FORWDATAGRAMS,
  SNMP_IP_INRECEIVES, SNMP_IP_OUTTRANSMITS } from "../abi/net";
import { FULL } from "../features";
import { NetDevice, Netns, Node, SKB_BYTES, Skb } from "../layout";
import { hashWords } from "../mm/hash";
import { SCRATCH_FLOW, node, scratch } from "../mm/node";
import { kfree, kmalloc } from "../mm/slab";
import { NS_PER_JIFFY } from "../mm/timer";
import { CT_STREAM_AT, Conntrack, ctFlowsForget, ctIsReply, ctLookup, ctTuple, l4ChecksumOk, skbCt } from "../netfilter/conntrack";
import { ctCount } from "../netfilter/conntrack-ext";
import { tcpEstablished, tcpTrack } from "../netfilter/conntrack-tcp";
import { FRAME_HOOKS, NfNet, nfNet, setting } from "../netfilter/state";
import { be16 } from "../wire/bytes";
import { checksumFold } from "../wire/checksum";
import { ETH_HEADER_LEN, ETH_P_IP, EthernetView } from "../wire/ethernet";
import { IPPROTO_TCP, IPPROTO_UDP, IPV4_HEADER_LEN } from "../wire/ipv4";
import { COST_FORWARD, COST_ROUTE, COST_XMIT } from "./costs";
import { devQueueXmit, forwardable } from "./dev";
import { Neighbour, neighConnected, neighFind } from "./neighbour";
import { Decision, RTF_REDIRECT, routeKnown } from "./route";
import { PACKET_BARE, skbComplete } from "./skb";
import { snmpAdd, snmpInc } from "./snmp";

/** What becomes of packets; the addresses of `count` counters follow. Fields from `inDev` on are what two programs are compared by. */
@unmanaged class Flow {
  next: usize; // Flow with the same low bits of its hash
  hash: u32;
  number: u32;
  inDev: usize; // NetDevice
  neighbour: usize; // Neighbour; its device is the one out
  status: u32; // of the connection
  connmark: u32; connmarkMask: u32; // of the connection, where a rule looked at it
  tcpFlags: u32; tcpMask: u32; // flags that a rule looked at
  routeGeneration: u32;
  translated: u32; // 1: addresses and ports become those of the other direction's tuple
  accounted: u32; // 1: the connection has counters of its own
  ctinfo: u32;
  mark: u32; // of the packet, in the end
  mtu: u32;
  rtFlags: u32;
  gatewayHi: u64; gatewayLo: u64;
  trackAt: u32; // ns from here until the connection is asked
  doneAt: u32; // ns from here until the frame leaves
  count: u32;
}
const COUNTERS_AT: usize = offsetof<Flow>("count") + 4;
const COUNTERS_MAX: u32 = 40;
const KEY_AT: usize = offsetof<Flow>("inDev");

/** Numbers of programs have so many bits where a connection remembers them; 0: what becomes of its packets can not be recorded. */
const NUMBER_BITS: u32 = 12;
const NUMBERS: u32 = 1 << NUMBER_BITS;
const GENERATIONS: u32 = 1 << (32 - NUMBER_BITS);

/** The node's programs (`Node.flows`): by number, and by hash. */
@unmanaged class Flows {
  used: u32;
  buckets: usize; // Flow[BUCKETS]
  numbers: usize; // Flow by number
  capacity: u32;
}
const FLOWS_BYTES: u32 = 16;
const BUCKETS: u32 = 256;
const FIRST_CAPACITY: u32 = 64;

const NS: u64 = 1_000_000_000;
const FORWARD_HOOKS: u32 = FRAME_HOOKS | 1 << HOOK_PREROUTING | 1 << HOOK_FORWARD | 1 << HOOK_POSTROUTING;

// Matches whose answer depends on the connection, the direction, the devices, the packet's mark and type, or routes and addresses.
const MATCHES_KNOWN: u32 = 1 << MATCH_SOURCE | 1 << MATCH_DESTINATION | 1 << MATCH_IN | 1 << MATCH_OUT | 1 << MATCH_PROTOCOL
  | 1 << MATCH_FRAGMENT | 1 << MATCH_UDP | 1 << MATCH_MULTIPORT | 1 << MATCH_ADDRTYPE | 1 << MATCH_STATE | 1 << MATCH_MARK
  | 1 << MATCH_PKTTYPE | 1 << MATCH_IPRANGE | 1 << MATCH_RPFILTER;

// The packet that is being recorded (0: none), and what is known of it so far. Nothing of it outlives the packet.
let recorded: usize = 0, connection: usize = 0, side: usize = 0, status: u32 = 0, counters: u32 = 0, trackAt: u32 = 0;
let connmarkMask: u32 = 0, tcpMask: u32 = 0, began: u64 = 0, addresses: u64 = 0, ports: u32 = 0, typeOfService: u32 = 0, timeToLive: u32 = 0;
/** The packet that flowReceive has let pass already. */
let tried: usize = 0;
// The last jiffy worked out, and when it began.
let jiffy: u64 = 0, jiffyFrom: u64 = 0;

@inline function jiffyOf(now: u64): u64 {
  if (now - jiffyFrom >= NS_PER_JIFFY) {
    jiffy = now / NS_PER_JIFFY;
    jiffyFrom = jiffy * NS_PER_JIFFY;
  }
  return jiffy;
}

// Taking part

/** Another packet's turn. */
@inline export function flowForget(): void {
  recorded = 0;
  tried = 0;
}

/** A bare frame leaves the backlog of a NIC that is up. False: nothing has happened to it. */
@inline export function flowNicReceive(skb: Skb, dev: NetDevice): bool {
  if (dev.master != 0 || dev.rxHandler != 0 || (dev.ingress | dev.bpf) != 0 || skb.tail - skb.data < <usize>(ETH_HEADER_LEN + IPV4_HEADER_LEN + 8)) return false;
  const eth = EthernetView.at(skb.data);
  if (eth.type != ETH_P_IP || eth.dst0 != dev.mac0 || eth.dst1 != dev.mac1) return false;
  const bytes = skb.tail - skb.data;
  if (!receive(skb, dev, skb.data + ETH_HEADER_LEN)) return false;
  dev.rxPackets++;
  dev.rxBytes += <u64>bytes;
  return true;
}

/** A packet, `data` at its IP header, comes in by a device (ip_rcv). False: nothing has happened to it. */
export function flowReceive(skb: Skb, dev: NetDevice): bool {
  if (tried == changetype<usize>(skb) || node().observe != 0 || skb.pktType != PACKET_HOST || dev.rxHandler != 0 || dev.kind == DEV_LOOPBACK) return false;
  if ((skb.nfct | <usize>(skb.ctinfo | skb.ipFlags | skb.vlan | skb.mark | skb.fragMax | skb.physIn | skb.ctZone | skb.ctTemplate | skb.nfFlags)
    | skb.bridgeDev) != 0) return false;
  if (skb.tail - skb.data < <usize>(IPV4_HEADER_LEN + 8) || skb.data < changetype<usize>(skb) + SKB_BYTES + ETH_HEADER_LEN) return false;
  return receive(skb, dev, skb.data);
}

function receive(skb: Skb, dev: NetDevice, ip: usize): bool {
  tried = changetype<usize>(skb);
  const n = node();
  const ns = changetype<Netns>(dev.ns);
  const bytes = <u32>(skb.tail - ip);
  const first = load<u32>(ip), third = load<u32>(ip, 8);
  const length = <u32>bswap<u16>(<u16>(first >>> 16));
  const protocol = third >>> 8 & 255;
  // IPv4 without options, whole, not a fragment, with a hop to go.
  if ((first & 0xff) != 0x45 || length > bytes || length < IPV4_HEADER_LEN + 8 || (load<u16>(ip, 6) & 0xffbf) != 0 || (third & 0xff) < 2) return false;
  const pair = load<u64>(ip, 12);
  if (checksumFold(<u64>first + <u64>load<u32>(ip, 4) + <u64>third + (pair & 0xffffffff) + (pair >> 32)) != 0xffff) return false;
  const nf = nfNet(ns);
  if (nf.plain != 0) return false;
  if (!(nf.hooks & FORWARD_HOOKS)) {
    const slot = routeKnown(ns, <u32>(pair >> 32), <u32>pair, dev.ifindex);
    if (slot == 0) return false;
    const known = changetype<Decision>(slot);
    if ((known.flags & RTF_REDIRECT) != 0 || length > known.mtu) return false;
    const out = changetype<NetDevice>(known.dev);
    if (out.kind == DEV_LOOPBACK || (out.flags & IFF_NOARP) != 0) return false;
    const at = neighFind(out, known.gatewayHi, known.gatewayLo);
    if (at == 0 || !neighConnected(changetype<Neighbour>(at))) return false;
    n.now += COST_ROUTE + COST_FORWARD;
    store<u32>(ip, lowered(third, 0), 8);
    count(ns, first, bytes, length);
    if (toNic(out, length)) transmit(n, skb, ip, length, changetype<Neighbour>(at), out);
    else {
      if (skb.pktType == PACKET_BARE) skbComplete(skb);
      skb.inDev = changetype<usize>(dev);
      queue(skb, ip, length, changetype<Neighbour>(at), out, first, known.flags, known.mtu, known.gatewayHi, known.gatewayLo);
    }
    return true;
  }
  if (nf.conntrackUsers == 0 || nf.nft != 0) return false;
  if (protocol != IPPROTO_UDP && protocol != IPPROTO_TCP) return false;
  const l4 = ip + IPV4_HEADER_LEN, room = length - IPV4_HEADER_LEN;
  const both = load<u32>(l4);
  const link = ctLookup(ns, pair, <u64>both | <u64>protocol << 48, n.now);
  if (link == 0) return false;
  const entry = link & ~1, ct = changetype<Conntrack>(entry);
  const word = load<u32>(entry + ((link & 1) << 2), offsetof<Conntrack>("flow0"));
  if (word >>> NUMBER_BITS == n.flowGeneration && n.flows != 0) {
    if ((word & (NUMBERS - 1)) == 0) return false;
    const f = changetype<Flow>(<usize>load<u32>(changetype<Flows>(n.flows).numbers + (<usize>(word & (NUMBERS - 1)) << 2)));
    if (f.inDev == changetype<usize>(dev) && f.status == ct.status && f.routeGeneration == ns.routeGeneration
      && (f.connmarkMask == 0 || ((ct.mark ^ f.connmark) & f.connmarkMask) == 0)) {
      return replay(n, f, ct, link & 1, skb, ns, nf, ip, bytes, length);
    }
  }
  if (!(ct.status & IPS_CONFIRMED) || ct.status & IPS_DYING || ct.helper != 0) return false;
  recorded = changetype<usize>(skb);
  connection = entry;
  side = link & 1;
  status = ct.status;
  counters = 0;
  trackAt = 0;
  connmarkMask = 0;
  tcpMask = 0;
  began = n.now;
  addresses = pair;
  ports = both;
  typeOfService = first >>> 8 & 0xff;
  timeToLive = third & 0xff;
  return false;
}

/** Word 8 of the header with a hop less and its checksum patched; `more`: what else is added to the sum. */
@inline function lowered(third: u32, more: u64): u32 {
  const before = third & 0xffff, after = before - 1;
  const sum = <u64>(~(third >>> 16) & 0xffff) + <u64>(~before & 0xffff) + <u64>after + more;
  return after | (~checksumFold(sum) & 0xffff) << 16;
}

@inline function count(ns: Netns, first: u32, bytes: u32, length: u32): void {
  snmpInc(ns, SNMP_IP_INRECEIVES);
  snmpAdd(ns, SNMP_IPEXT_INOCTETS, bytes);
  snmpInc(ns, SNMP_IPEXT_INNOECTPKTS + (first >>> 8 & 3));
  snmpInc(ns, SNMP_IP_FORWDATAGRAMS);
  snmpInc(ns, SNMP_IP_OUTTRANSMITS);
  snmpAdd(ns, SNMP_IPEXT_OUTOCTETS, length);
}

/** Is there nothing between the host and the wire? */
@inline function toNic(out: NetDevice, length: u32): bool {
  return out.kind == DEV_NIC && out.up != 0 && (out.qdisc | out.bpf) == 0 && out.lower == 0 && forwardable(length + ETH_HEADER_LEN, out);
}

/** neigh_output and the NIC's xmit. */
@inline function transmit(n: Node, skb: Skb, ip: usize, length: u32, neighbour: Neighbour, out: NetDevice): void {
  neighbour.used = jiffyOf(n.now);
  n.now += COST_XMIT;
  EthernetView.at(ip - ETH_HEADER_LEN).write(neighbour.mac0, neighbour.mac1, out.mac0, out.mac1, ETH_P_IP);
  skb.data = ip - ETH_HEADER_LEN;
  skb.tail = ip + <usize>length;
  out.txPackets++;
  out.txBytes += <u64>(length + ETH_HEADER_LEN);
  skb.dev = changetype<usize>(out);
  skb.tstamp = n.now;
  if (n.outboxTail != 0) changetype<Skb>(n.outboxTail).next = changetype<usize>(skb);
  else n.outboxHead = changetype<usize>(skb);
  n.outboxTail = changetype<usize>(skb);
  n.outboxLength++;
}

/** Does to the packet what the program says; false: it does not fit after all, and nothing has happened. */
@inline function replay(n: Node, f: Flow, ct: Conntrack, reply: usize, skb: Skb, ns: Netns, nf: NfNet, ip: usize, bytes: u32, length: u32): bool {
  const neighbour = changetype<Neighbour>(f.neighbour);
  const began = n.now, now = began + <u64>f.trackAt;
  if (!neighConnected(neighbour) || length > f.mtu || ct.timeout <= now) return false;
  const first = load<u32>(ip), third = load<u32>(ip, 8), pair = load<u64>(ip, 12);
  const l4 = ip + IPV4_HEADER_LEN, room = length - IPV4_HEADER_LEN;
  const verify = setting(nf, NFCT_CHECKSUM) != 0;
  let field: usize;
  if ((third >>> 8 & 255) == IPPROTO_UDP) {
    const size = be16(l4, 4);
    if (size > room || size < 8) return false;
    if (verify && load<u16>(l4, 6) != 0 && !l4ChecksumOk(ip, l4, room, IPPROTO_UDP)) return false;
    // udpTrack, but for what changes the status.
    let seconds: u32;
    if (ct.status & IPS_ASSURED) seconds = setting(nf, NFCT_TIMEOUT_UDP_STREAM);
    else {
      if (ct.status & IPS_SEEN_REPLY && now > load<u64>(changetype<usize>(ct) + CT_STREAM_AT)) return false;
      seconds = setting(nf, NFCT_TIMEOUT_UDP);
    }
    ct.timeout = now + <u64>seconds * NS;
    field = load<u16>(l4, 6) == 0 ? 0 : l4 + 6;
  } else {
    if (room < 20 || !tcpEstablished(ct, l4) || (<u32>load<u8>(l4, 13) & f.tcpMask) != f.tcpFlags) return false;
    n.now = now;
    if (tcpTrack(ct, nf, ip, l4, room, verify, f.ctinfo) != <i32>NF_ACCEPT) {
      n.now = began;
      return false;
    }
    field = l4 + 16;
  }
  if (f.accounted) ctCount(ct, reply != 0, length);
  let changed: u64 = 0;
  if (f.translated) {
    const other = ctTuple(ct, reply == 0);
    const target = rotl<u64>(load<u64>(other), 32), both = load<u32>(l4), towards = rotl<u32>(load<u32>(other, 8), 16);
    changed = (~pair & 0xffffffff) + (~pair >> 32) + (target & 0xffffffff) + (target >> 32);
    if (field != 0) {
      const sum = checksumFold(<u64>(~<u32>load<u16>(field) & 0xffff) + changed + <u64>~both + <u64>towards);
      const value = ~sum & 0xffff;
      store<u16>(field, <u16>(value == 0 && field == l4 + 6 ? 0xffff : value));
    }
    store<u32>(l4, towards);
    store<u64>(ip, target, 12);
  }
  store<u32>(ip, lowered(third, changed), 8);
  const last = changetype<usize>(f) + COUNTERS_AT + (<usize>f.count << 2);
  for (let at = changetype<usize>(f) + COUNTERS_AT; at < last; at += 4) {
    const counter = <usize>load<u32>(at);
    store<u64>(counter, load<u64>(counter) + 1);
    store<u64>(counter, load<u64>(counter, 8) + <u64>length, 8);
  }
  count(ns, first, bytes, length);
  n.now = began + <u64>f.doneAt;
  const out = changetype<NetDevice>(neighbour.dev);
  if (toNic(out, length)) transmit(n, skb, ip, length, neighbour, out);
  else {
    if (skb.pktType == PACKET_BARE) skbComplete(skb);
    ct.use++;
    skb.nfct = changetype<usize>(ct);
    skb.ctinfo = f.ctinfo;
    skb.mark = f.mark;
    skb.inDev = f.inDev;
    queue(skb, ip, length, neighbour, out, first, f.rtFlags, f.mtu, f.gatewayHi, f.gatewayLo);
  }
  return true;
}

/** Any other device gets the packet as the long way leaves it. */
function queue(skb: Skb, ip: usize, length: u32, neighbour: Neighbour, out: NetDevice, first: u32, rtFlags: u32, mtu: u32, gatewayHi: u64,
  gatewayLo: u64): void {
  skb.protocol = ETH_P_IP;
  skb.priority = (0x4620 >>> ((first >>> 11 & 3) << 2)) & 15; // rt_tos2priority
  skb.rtType = RTN_UNICAST;
  skb.rtFlags = rtFlags;
  skb.rtDev = changetype<usize>(out);
  skb.rtMtu = mtu;
  skb.rtGatewayHi = gatewayHi;
  skb.rtGatewayLo = gatewayLo;
  skb.dev = changetype<usize>(out);
  skb.network = ip;
  skb.transport = ip + IPV4_HEADER_LEN;
  skb.mac = ip - ETH_HEADER_LEN;
  skb.data = skb.mac;
  skb.tail = ip + <usize>length;
  neighbour.used = jiffyOf(node().now);
  EthernetView.at(skb.mac).write(neighbour.mac0, neighbour.mac1, out.mac0, out.mac1, ETH_P_IP);
  devQueueXmit(skb, out);
}

// Recording

/** Is this packet being recorded? */
@inline export function flowRecording(skb: Skb): bool {
  return recorded == changetype<usize>(skb);
}

/** What becomes of this packet depends on more than is known here. */
@inline function giveUp(): void {
  recorded = 0;
  store<u32>(connection + (side << 2), node().flowGeneration << NUMBER_BITS, offsetof<Conntrack>("flow0"));
}

/** Its connection is about to be looked for. */
@inline export function flowTracked(skb: Skb): void {
  if (flowRecording(skb)) trackAt = <u32>(node().now - began);
}

/** A rule's or a policy's counter counts it. */
export function flowCounter(counter: usize): void {
  if (counters == COUNTERS_MAX) return giveUp();
  store<u32>(scratch(SCRATCH_FLOW) + (<usize>counters << 2), <u32>counter);
  counters++;
}

/** A match is about to look at it. */
export function flowMatch(m: usize, skb: Skb): void {
  const kind = <u32>load<u8>(m), d = m + EXT_HEADER;
  if (kind < 32 && MATCHES_KNOWN >>> kind & 1) return;
  if (kind == MATCH_CONNTRACK && !(<u32>load<u16>(d) & CTM_EXPIRES)) return;
  if (kind == MATCH_CONNMARK) connmarkMask |= load<u32>(d, 4);
  else if (kind == MATCH_TCP && load<u8>(d, 10) == 0) tcpMask |= <u32>load<u8>(d, 8);
  else giveUp();
}

/** A target that is no verdict, jump or return is about to run. */
export function flowTarget(at: usize, skb: Skb): void {
  const kind = <u32>load<u8>(at), d = at + EXT_HEADER;
  if (kind == TARGET_MARK || kind == TARGET_LOG) return;
  if (kind != TARGET_CONNMARK || skb.nfct == 0) return giveUp();
  const mode = load<u32>(d), ctmark = load<u32>(d, 4), ctmask = load<u32>(d, 8), nfmask = load<u32>(d, 12), mark = skbCt(skb).mark;
  // One that finds the connection's mark as it is to be.
  if (mode != 2 && (mark & ~ctmask ^ (mode == 0 ? ctmark : skb.mark & nfmask)) != mark) return giveUp();
  connmarkMask = 0xffffffff;
}

/** It leaves by a neighbour that is reachable: what became of it is the program of its connection and direction from now on. */
export function flowCommit(skb: Skb, neighbour: Neighbour, out: NetDevice): void {
  const n = node(), ct = changetype<Conntrack>(connection), ip = skb.network;
  const inDev = skb.inDev;
  if (!neighConnected(neighbour) || ct.status != status) {
    recorded = 0;
    return;
  }
  const f = changetype<Flow>(kmalloc(<u32>COUNTERS_AT + (counters << 2)));
  if (changetype<usize>(f) == 0) return giveUp();
  const size = <u32>COUNTERS_AT + (counters << 2);
  const other = ctTuple(ct, side == 0);
  const target = rotl<u64>(load<u64>(other), 32), towards = rotl<u32>(load<u32>(other, 8), 16);
  const same = load<u64>(ip, 12) == addresses && load<u32>(ip, IPV4_HEADER_LEN) == ports;
  const translated = load<u64>(ip, 12) == target && load<u32>(ip, IPV4_HEADER_LEN) == towards;
  if (out.kind == DEV_LOOPBACK || skb.nfct != connection || inDev == 0 || trackAt == 0
    || changetype<NetDevice>(inDev).ns != out.ns || ctIsReply(skb.ctinfo) != (side != 0) || changetype<Netns>(out.ns).routeMore != 0
    || (skb.rtFlags & RTF_REDIRECT) != 0 || skb.rtType != RTN_UNICAST || skb.fragMax != 0 || skb.ipFlags != 0 || load<u8>(ip) != 0x45
    || <u32>load<u8>(ip, 1) != typeOfService || <u32>load<u8>(ip, 8) != timeToLive - 1 || (!same && !translated)
    || <u32>(addresses) == 0 || <u32>(addresses >> 32) == 0 || <u32>target == 0 || <u32>(target >> 32) == 0) {
    kfree(changetype<usize>(f), size);
    return giveUp();
  }
  f.inDev = inDev;
  f.neighbour = changetype<usize>(neighbour);
  f.status = status;
  f.connmark = ct.mark & connmarkMask;
  f.connmarkMask = connmarkMask;
  f.tcpMask = tcpMask;
  f.tcpFlags = load<u8>(ip, 9) == <u8>IPPROTO_TCP ? <u32>load<u8>(ip, IPV4_HEADER_LEN + 13) & tcpMask : 0;
  f.routeGeneration = changetype<Netns>(out.ns).routeGeneration;
  f.translated = same ? 0 : 1;
  f.accounted = ct.ext != 0 ? 1 : 0;
  f.ctinfo = skb.ctinfo;
  f.mark = skb.mark;
  f.mtu = skb.rtMtu;
  f.rtFlags = skb.rtFlags;
  f.gatewayHi = skb.rtGatewayHi;
  f.gatewayLo = skb.rtGatewayLo;
  f.trackAt = trackAt;
  f.doneAt = <u32>(n.now - began);
  f.count = counters;
  memory.copy(changetype<usize>(f) + COUNTERS_AT, scratch(SCRATCH_FLOW), <usize>counters << 2);
  recorded = 0;
  const number = enter(n, f, size);
  store<u32>(connection + (side << 2), n.flowGeneration << NUMBER_BITS | number, offsetof<Conntrack>("flow0"));
}

/** The number of a program like this one, which is kept or freed; 0: no memory, or there are too many. */
function enter(n: Node, f: Flow, size: u32): u32 {
  const t = table(n);
  if (changetype<usize>(t) == 0 || (t.used + 1 >= t.capacity && !grow(t))) {
    kfree(changetype<usize>(f), size);
    return 0;
  }
  f.hash = hashWords(changetype<usize>(f) + KEY_AT, (size - <u32>KEY_AT) >>> 2, 0);
  const head = t.buckets + (<usize>(f.hash & (BUCKETS - 1)) << 2);
  for (let at = <usize>load<u32>(head); at != 0; at = changetype<Flow>(at).next) {
    const known = changetype<Flow>(at);
    if (known.hash == f.hash && known.count == f.count
      && memory.compare(at + KEY_AT, changetype<usize>(f) + KEY_AT, <usize>size - KEY_AT) == 0) {
      kfree(changetype<usize>(f), size);
      return known.number;
    }
  }
  f.number = ++t.used;
  f.next = <usize>load<u32>(head);
  store<u32>(head, <u32>changetype<usize>(f));
  store<u32>(t.numbers + (<usize>f.number << 2), <u32>changetype<usize>(f));
  return f.number;
}

function table(n: Node): Flows {
  if (n.flows != 0) return changetype<Flows>(n.flows);
  const t = changetype<Flows>(kmalloc(FLOWS_BYTES));
  if (changetype<usize>(t) == 0) return t;
  t.buckets = kmalloc(BUCKETS << 2);
  t.numbers = kmalloc(FIRST_CAPACITY << 2);
  t.capacity = FIRST_CAPACITY;
  if (t.buckets == 0 || t.numbers == 0) {
    kfree(t.buckets, BUCKETS << 2);
    kfree(t.numbers, FIRST_CAPACITY << 2);
    kfree(changetype<usize>(t), FLOWS_BYTES);
    return changetype<Flows>(0);
  }
  n.flows = changetype<usize>(t);
  return t;
}

function grow(t: Flows): bool {
  if (t.capacity >= NUMBERS) return false;
  const numbers = kmalloc(t.capacity << 3);
  if (numbers == 0) return false;
  memory.copy(numbers, t.numbers, <usize>t.capacity << 2);
  kfree(t.numbers, t.capacity << 2);
  t.numbers = numbers;
  t.capacity <<= 1;
  return true;
}

/** Something changed that a program may depend on: all of them are over. */
export function flowsInvalidate(): void {
  const n = node();
  recorded = 0;
  if (++n.flowGeneration == GENERATIONS) {
    ctFlowsForget();
    n.flowGeneration = 1;
  }
  if (n.flows == 0) return;
  const t = changetype<Flows>(n.flows);
  for (let number: u32 = 1; number <= t.used; number++) {
    const at = <usize>load<u32>(t.numbers + (<usize>number << 2));
    kfree(at, <u32>COUNTERS_AT + (changetype<Flow>(at).count << 2));
  }
  t.used = 0;
  memory.fill(t.buckets, 0, BUCKETS << 2);
}
