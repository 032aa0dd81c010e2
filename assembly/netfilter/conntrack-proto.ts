// The protocols with little state: UDP, ICMP, GRE and whatever has no tracker of its own, net/netfilter/nf_conntrack_proto_*.c.
// A tracker answers NF_ACCEPT, or -NF_ACCEPT for an invalid packet.
import {
  IPS_ASSURED, IPS_CONFIRMED, IPS_SEEN_REPLY, NFCT_TIMEOUT_GENERIC, NFCT_TIMEOUT_GRE, NFCT_TIMEOUT_GRE_STREAM,
  NFCT_TIMEOUT_ICMP, NFCT_TIMEOUT_SCTP, NFCT_TIMEOUT_UDP, NFCT_TIMEOUT_UDP_STREAM, NF_ACCEPT,
} from "../abi/netfilter";
import { node } from "../mm/node";
import { be16 } from "../wire/bytes";
import { checksumAdd, checksumFold, pseudo4 } from "../wire/checksum";
import { IPPROTO_UDP } from "../wire/ipv4";
import { CT_STREAM_AT, Conntrack, ctIsReply, ctRefresh, ctTuple, l4ChecksumOk } from "./conntrack";
import { NfNet, setting } from "./state";
import { Tuple } from "./tuple";

/** After so long with answers UDP counts as a stream. */
const STREAM_NS: u64 = 2_000_000_000;

/** nf_conntrack_udp_packet. */
export function udpTrack(ct: Conntrack, nf: NfNet, ip: usize, udp: usize, room: u32, verify: bool): i32 {
  if (room < 8) return -<i32>NF_ACCEPT;
  const length = be16(udp, 4);
  if (length > room || length < 8) return -<i32>NF_ACCEPT;
  if (verify && load<u16>(udp, 6) != 0 && !l4ChecksumOk(ip, udp, room, IPPROTO_UDP)) return -<i32>NF_ACCEPT;
  const stream = changetype<usize>(ct) + CT_STREAM_AT; // in another cache line than the status
  if (!(ct.status & IPS_CONFIRMED)) store<u64>(stream, node().now + STREAM_NS);
  if (!(ct.status & IPS_SEEN_REPLY)) {
    ctRefresh(ct, setting(nf, NFCT_TIMEOUT_UDP));
  } else if (ct.status & IPS_ASSURED || node().now > load<u64>(stream)) { // assured once, it stays so
    ctRefresh(ct, setting(nf, NFCT_TIMEOUT_UDP_STREAM));
    ct.status |= IPS_ASSURED;
  } else {
    ctRefresh(ct, setting(nf, NFCT_TIMEOUT_UDP));
  }
  return <i32>NF_ACCEPT;
}

/**
 * nf_conntrack_udplite_packet. The checksum covers part of the packet; the kernel takes UDP's number into its pseudo-header
 * (udplite_error), so that one made with UDP-Lite's own is wrong.
 */
export function udpliteTrack(ct: Conntrack, nf: NfNet, ip: usize, l4: usize, room: u32, verify: bool): i32 {
  if (room < 8 || load<u16>(l4, 6) == 0) return -<i32>NF_ACCEPT;
  const coverage = be16(l4, 4) == 0 ? room : be16(l4, 4);
  if (coverage < 8 || coverage > room) return -<i32>NF_ACCEPT;
  const pseudo = pseudo4(load<u32>(ip, 12), load<u32>(ip, 16), IPPROTO_UDP, room);
  if (verify && checksumFold(checksumAdd(pseudo, l4, coverage)) != 0xffff) return -<i32>NF_ACCEPT;
  // No two seconds to wait, as UDP has them: an answer makes a stream.
  if (ct.status & IPS_SEEN_REPLY) {
    ctRefresh(ct, setting(nf, NFCT_TIMEOUT_UDP_STREAM));
    ct.status |= IPS_ASSURED;
  } else ctRefresh(ct, setting(nf, NFCT_TIMEOUT_UDP));
  return <i32>NF_ACCEPT;
}

/** nf_conntrack_icmp_packet: only requests begin a connection. */
export function icmpTrack(ct: Conntrack, nf: NfNet): i32 {
  const type = <u32>Tuple.at(ctTuple(ct, false)).dport & 0xff;
  if (type != 8 && type != 13 && type != 15 && type != 17) return -<i32>NF_ACCEPT;
  ctRefresh(ct, setting(nf, NFCT_TIMEOUT_ICMP));
  return <i32>NF_ACCEPT;
}

/** nf_conntrack_gre_packet, and generic tracking. */
export function genericTrack(ct: Conntrack, nf: NfNet, gre: bool): i32 {
  if (!gre) {
    ctRefresh(ct, setting(nf, NFCT_TIMEOUT_GENERIC));
  } else if (ct.status & IPS_SEEN_REPLY) {
    ctRefresh(ct, setting(nf, NFCT_TIMEOUT_GRE_STREAM));
    ct.status |= IPS_ASSURED;
  } else {
    ctRefresh(ct, setting(nf, NFCT_TIMEOUT_GRE));
  }
  return <i32>NF_ACCEPT;
}

// SCTP, nf_conntrack_proto_sctp.c. States: CLOSED 1, COOKIE_WAIT 2, COOKIE_ECHOED 3, ESTABLISHED 4, SHUTDOWN_SENT 5,
// SHUTDOWN_RECD 6, SHUTDOWN_ACK_SENT 7, HEARTBEAT_SENT 8. Where TCP has its windows an entry holds {u32 vtag[2], u8 last
// direction, u8 heartbeats unanswered}.
const CLOSED: u32 = 1, COOKIE_ECHOED: u32 = 3, ESTABLISHED: u32 = 4, SHUTDOWN_ACK_SENT: u32 = 7;
const BAD: u32 = 10;
const DATA: u32 = 0, INIT: u32 = 1, INIT_ACK: u32 = 2, HEARTBEAT: u32 = 4, HEARTBEAT_ACK: u32 = 5, ABORT: u32 = 6,
  SHUTDOWN: u32 = 7, SHUTDOWN_ACK: u32 = 8, ERROR: u32 = 9, COOKIE_ECHO: u32 = 10, COOKIE_ACK: u32 = 11,
  SHUTDOWN_COMPLETE: u32 = 14;

/** sctp_conntracks: a digit per old state, NONE in the lowest; a: invalid. Chunks without a row keep the state. */
function sctpTransition(reply: bool, chunk: u32, state: u32): u32 {
  let row: u64 = 0;
  switch (chunk) {
    case INIT: row = reply ? 0xa7654321a : 0x271143211; break;
    case INIT_ACK: row = reply ? 0xa7654322a : 0x176543211; break;
    case ABORT: row = reply ? 0xa1111111a : 0x111111111; break;
    case SHUTDOWN: row = reply ? 0xa7656321a : 0x176553211; break;
    case SHUTDOWN_ACK: row = reply ? 0xa7774321a : 0x777743217; break;
    case ERROR: row = reply ? 0xa7654121a : 0x176543211; break;
    case COOKIE_ECHO: row = reply ? 0xa7654331a : 0x176543311; break;
    case COOKIE_ACK: row = reply ? 0xa7654421a : 0x176544211; break;
    case SHUTDOWN_COMPLETE: row = reply ? 0xa1654321a : 0x116543211; break;
    case HEARTBEAT: row = reply ? 0x87654321a : 0x876543218; break;
    case HEARTBEAT_ACK: row = reply ? 0x47654321a : 0x876543211; break;
    default: return state;
  }
  return <u32>(row >> <u64>(state << 2)) & 15;
}

/** nf_conntrack_sctp_packet. */
export function sctpTrack(ct: Conntrack, nf: NfNet, sctp: usize, room: u32, verify: bool, ctinfo: u32): i32 {
  if (room < 12) return -<i32>NF_ACCEPT;
  if (verify && load<u32>(sctp, 8) != crc32c(sctp, room)) return -<i32>NF_ACCEPT;
  const reply = ctIsReply(ctinfo), dir = <usize>reply;
  const vtag = load<u32>(sctp, 4);
  const tags = changetype<usize>(ct) + CT_STREAM_AT;
  const begins = !(ct.status & IPS_CONFIRMED);
  let old = begins ? 0 : ct.state, state = old, at: u32 = 12, chunks: u32 = 0, seen: u32 = 0;
  if (begins) memory.fill(tags, 0, 12);
  while (at + 4 <= room && chunks++ < 64) {
    const chunk = <u32>load<u8>(sctp + <usize>at), flags = <u32>load<u8>(sctp + <usize>at, 1);
    const size = be16(sctp + <usize>at, 2);
    if (size < 4) return -<i32>NF_ACCEPT;
    if (chunk < 32) seen |= 1 << chunk;
    const known = load<u32>(tags + (dir << 2)), other = load<u32>(tags + ((dir ^ 1) << 2));
    if (begins && chunks == 1) {
      // sctp_new: data, an answer or an end does not begin an association.
      if (chunk == ABORT || chunk == SHUTDOWN_COMPLETE || chunk == COOKIE_ACK) return -<i32>NF_ACCEPT;
    }
    if (chunk == INIT) {
      if (vtag != 0 || at + 20 > room) return -<i32>NF_ACCEPT;
    } else if (chunk == ABORT) {
      if (vtag != known && vtag != other) return -<i32>NF_ACCEPT;
    } else if (chunk == SHUTDOWN_COMPLETE) {
      if (vtag != known && !(vtag == other && flags & 1)) return -<i32>NF_ACCEPT;
    } else if (chunk == COOKIE_ECHO) {
      if (!begins && vtag != known) return -<i32>NF_ACCEPT;
    } else if (chunk == HEARTBEAT || chunk == HEARTBEAT_ACK) {
      if (known == 0) store<u32>(tags + (dir << 2), vtag);
      else if (vtag != known) return -<i32>NF_ACCEPT;
    } else if (!begins && vtag != known && chunk != INIT_ACK && !(chunk == SHUTDOWN_ACK && state == SHUTDOWN_ACK_SENT)) {
      return -<i32>NF_ACCEPT;
    }
    state = sctpTransition(reply, chunk, old);
    if (begins && state == 0) return -<i32>NF_ACCEPT;
    if (state == BAD) return -<i32>NF_ACCEPT;
    if (chunk == INIT || chunk == INIT_ACK) {
      if (at + 20 > room) return -<i32>NF_ACCEPT;
      // The initiate tag is what the other side has to send.
      store<u32>(tags + ((dir ^ 1) << 2), load<u32>(sctp + <usize>at, 4));
    } else if (begins) {
      store<u32>(tags + (dir << 2), vtag);
    }
    old = state;
    at += (size + 3) & ~3;
  }
  if (chunks == 0) return -<i32>NF_ACCEPT;
  const established = ct.state == COOKIE_ECHOED && state == ESTABLISHED && reply;
  ct.state = state;
  ctRefresh(ct, setting(nf, NFCT_TIMEOUT_SCTP + max<u32>(state, CLOSED)));
  if (established) ct.status |= IPS_ASSURED;
  return seen & (1 << DATA) && begins ? -<i32>NF_ACCEPT : <i32>NF_ACCEPT;
}

/** CRC-32C (RFC 4960 appendix B) with the checksum field read as zero, as it is stored. */
export function crc32c(at: usize, length: u32): u32 {
  let crc: u32 = 0xffffffff;
  for (let i: u32 = 0; i < length; i++) {
    crc ^= i - 8 < 4 ? 0 : <u32>load<u8>(at + <usize>i);
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0x82f63b78 & (0 - (crc & 1)));
  }
  return ~crc;
}
