// The protocols with little state: UDP, ICMP, GRE and whatever has no tracker of its own, net/netfilter/nf_conntrack_proto_*.c.
// A tracker answers NF_ACCEPT, or -NF_ACCEPT for an invalid packet.
import {
  IPS_ASSURED, IPS_CONFIRMED, IPS_SEEN_REPLY, NFCT_TIMEOUT_GENERIC, NFCT_TIMEOUT_GRE, NFCT_TIMEOUT_GRE_STREAM,
  NFCT_TIMEOUT_ICMP, NFCT_TIMEOUT_ICMPV6, NFCT_TIMEOUT_SCTP, NFCT_TIMEOUT_UDP, NFCT_TIMEOUT_UDP_STREAM, NF_ACCEPT,
} from "../abi/netfilter";
import { node } from "../mm/node";
import { be16 } from "../wire/bytes";
import { checksumAdd, checksumFold } from "../wire/checksum";
import { IPPROTO_UDP } from "../wire/ipv4";
import { CT_STREAM_AT, Conntrack, ctIsReply, ctRefresh, ctTuple, l4ChecksumOk } from "./conntrack";
import { pseudoSum } from "./l3";
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
  const pseudo = pseudoSum(ip, IPPROTO_UDP, room);
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

/** nf_conntrack_icmpv6_packet: echo requests and node queries alone begin a connection. */
export function icmp6Track(ct: Conntrack, nf: NfNet): i32 {
  const type = <u32>Tuple.at(ctTuple(ct, false)).dport & 0xff;
  if (type != 128 && type != 139) return -<i32>NF_ACCEPT;
  ctRefresh(ct, setting(nf, NFCT_TIMEOUT_ICMPV6));
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
// direction, u8 a heartbeat with a wrong tag, u8 INIT seen[2]}.
const CLOSED: u32 = 1, ESTABLISHED: u32 = 4;
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

/** Bytes from one chunk to the next. */
@inline function chunkBytes(chunk: usize): u32 {
  return (be16(chunk, 2) + 3) & ~3;
}

/** do_basic_checks: the chunk types that there are, a bit per type below 32; 0: a packet that can not be. */
function chunkTypes(sctp: usize, room: u32): u32 {
  let types: u32 = 0, count: u32 = 0, alone = false;
  for (let at: u32 = 12; at + 4 <= room; at += chunkBytes(sctp + <usize>at)) {
    const type = <u32>load<u8>(sctp + <usize>at);
    if (type == INIT || type == INIT_ACK || type == SHUTDOWN_COMPLETE) alone = true;
    // First: cookies; the only one: INIT, INIT ACK, SHUTDOWN COMPLETE.
    if (((type == COOKIE_ACK || type == COOKIE_ECHO || alone) && count != 0) || be16(sctp + <usize>at, 2) == 0) return 0;
    types |= type < 31 ? 1 << type : SOME_TYPE;
    count++;
  }
  return types;
}

/** sctp_new: may the packet begin an association? Notes its tags. */
function sctpBegin(tags: usize, sctp: usize, room: u32): bool {
  memory.fill(tags, 0, 12);
  for (let at: u32 = 12; at + 4 <= room; at += chunkBytes(sctp + <usize>at)) {
    const type = <u32>load<u8>(sctp + <usize>at);
    const state = sctpTransition(false, type, 0);
    if (state == 0 || state == BAD) return false;
    if (type == INIT) {
      if (load<u32>(sctp, 4) != 0 || at + 4 + INIT_HEADER > room) return false;
      store<u32>(tags, load<u32>(sctp + <usize>at, 4), 4);
    } else store<u32>(tags + (type == HEARTBEAT ? 0 : 4), load<u32>(sctp, 4));
  }
  return true;
}

const LAST_DIR: usize = 8, HEARTBEAT_FAILED: usize = 9, INITS: usize = 10;
const INIT_HEADER: u32 = 16;
/** A chunk type that no rule is about. */
const SOME_TYPE: u32 = 0x80000000;
/** Chunk types whose verification tag is looked at on their own. */
const OWN_TAG: u32 = 1 << INIT | 1 << SHUTDOWN_COMPLETE | 1 << COOKIE_ECHO | 1 << ABORT | 1 << SHUTDOWN_ACK | 1 << HEARTBEAT
  | 1 << HEARTBEAT_ACK;

/** nf_conntrack_sctp_packet. */
export function sctpTrack(ct: Conntrack, nf: NfNet, sctp: usize, room: u32, verify: bool, ctinfo: u32): i32 {
  const bad = -<i32>NF_ACCEPT;
  if (room < 12) return bad;
  if (verify && load<u32>(sctp, 8) != crc32c(sctp, room)) return bad;
  const types = chunkTypes(sctp, room);
  if (types == 0) return bad;
  const dir = <usize>ctIsReply(ctinfo), vtag = load<u32>(sctp, 4);
  const tags = changetype<usize>(ct) + CT_STREAM_AT;
  const mine = tags + (dir << 2), theirs = tags + ((dir ^ 1) << 2);
  const confirmed = (ct.status & IPS_CONFIRMED) != 0;
  if (!confirmed) {
    if (types & (1 << ABORT | 1 << SHUTDOWN_COMPLETE | 1 << COOKIE_ACK)) return bad;
    if (!sctpBegin(tags, sctp, room)) return bad;
    ct.state = 0;
  }
  if (!(types & OWN_TAG) && vtag != load<u32>(mine)) return bad;
  let state: u32 = 0, ignore = false;
  for (let at: u32 = 12; at + 4 <= room; at += chunkBytes(sctp + <usize>at)) {
    const chunk = sctp + <usize>at;
    const type = <u32>load<u8>(chunk), known = load<u32>(mine);
    if (type == INIT) {
      if (vtag != 0) return bad;
    } else if (type == ABORT || type == SHUTDOWN_COMPLETE) {
      if (vtag != (load<u8>(chunk, 1) & 1 ? load<u32>(theirs) : known)) return bad; // the T flag
    } else if (type == COOKIE_ECHO) {
      if (vtag != known) return bad;
    } else if (type == HEARTBEAT || type == HEARTBEAT_ACK) {
      if (known == 0) store<u32>(mine, vtag);
      else if (vtag == known) store<u8>(tags, 0, HEARTBEAT_FAILED);
      else {
        // One end has restarted: its tag is believed once the other one has answered to it.
        if (types & (1 << DATA) || ignore) return bad;
        if (type == HEARTBEAT) {
          store<u8>(tags, 1, HEARTBEAT_FAILED);
          store<u8>(tags, <u8>dir, LAST_DIR);
          ignore = true;
          continue;
        }
        if (load<u8>(tags, HEARTBEAT_FAILED) == 0 || <usize>load<u8>(tags, LAST_DIR) == dir) return bad;
        store<u8>(tags, 0, HEARTBEAT_FAILED);
        store<u32>(mine, vtag);
        store<u32>(theirs, 0);
      }
    }
    const old = ct.state;
    state = sctpTransition(dir != 0, type, old);
    if (state == BAD) return bad;
    if (type == INIT || type == INIT_ACK) {
      if (at + 4 + INIT_HEADER > room) return bad;
      // The initiate tag is what the other side has to send.
      const tag = load<u32>(chunk, 4), before = load<u32>(theirs);
      const inits = tags + INITS, both = load<u8>(inits) != 0 && load<u8>(inits, 1) != 0;
      if (type == INIT) {
        if (both) store<u8>(inits + (dir ^ 1), 0);
        store<u8>(inits + dir, 1);
        // A repeated INIT does not keep the entry.
        if (state == CLOSED && old == CLOSED && confirmed) ignore = true;
      } else if (before != tag && (both || (load<u8>(inits + (dir ^ 1)) == 0 && before != 0))) return bad;
      store<u32>(theirs, tag);
    }
    ct.state = state;
    if (old != state && state == ESTABLISHED) ct.status |= IPS_ASSURED;
  }
  if (!ignore) ctRefresh(ct, setting(nf, NFCT_TIMEOUT_SCTP + max<u32>(state, CLOSED)));
  return <i32>NF_ACCEPT;
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
