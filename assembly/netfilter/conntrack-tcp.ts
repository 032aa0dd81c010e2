// TCP's state machine and window tracking, net/netfilter/nf_conntrack_proto_tcp.c (Guido van Rooij, "Real Stateful TCP Packet
// Filtering in IP Filter").
import {
  IPS_ASSURED, IPS_CONFIRMED, IPS_SEEN_REPLY, NFCT_TCP_BE_LIBERAL, NFCT_TCP_IGNORE_INVALID_RST, NFCT_TCP_LOOSE,
  NFCT_TCP_MAX_RETRANS, NFCT_TIMEOUT_TCP_RETRANS, NFCT_TIMEOUT_TCP_UNACK, NF_ACCEPT, NF_DROP, NF_REPEAT,
} from "../abi/netfilter";
import { node } from "../mm/node";
import { be16, be32 } from "../wire/bytes";
import { IPPROTO_TCP } from "../wire/ipv4";
import { CT_STREAM_AT, Conntrack, ctExpires, ctIsReply, ctKill, ctRefresh, l4ChecksumOk } from "./conntrack";
import { NfNet, setting } from "./state";

// States, include/uapi/linux/netfilter/nf_conntrack_tcp.h
const NONE: u32 = 0, SYN_SENT: u32 = 1, SYN_RECV: u32 = 2, ESTABLISHED: u32 = 3, FIN_WAIT: u32 = 4, CLOSE_WAIT: u32 = 5,
  LAST_ACK: u32 = 6, TIME_WAIT: u32 = 7, CLOSE: u32 = 8, SYN_SENT2: u32 = 9, INVALID: u32 = 10, IGNORE: u32 = 11;
// What a segment is
const SYN: u32 = 0, SYNACK: u32 = 1, FIN: u32 = 2, ACK: u32 = 3, RST: u32 = 4, NOTHING: u32 = 5;
// Flags per direction, and of the last ignored SYN
const WINDOW_SCALE: u32 = 1, SACK_PERM: u32 = 2, CLOSE_INIT: u32 = 4, BE_LIBERAL: u32 = 8, UNACKNOWLEDGED: u32 = 16,
  MAXACK_SET: u32 = 32, CHALLENGE_ACK: u32 = 64, SIMULTANEOUS_OPEN: u32 = 128;
const FLAG_FIN: u32 = 1, FLAG_SYN: u32 = 2, FLAG_RST: u32 = 4, FLAG_ACK: u32 = 16;
const MAXACKWIN: u32 = 66000;

// Answers of the window's test
const WINDOW_ACCEPT: u32 = 0, WINDOW_IGNORE: u32 = 1, WINDOW_INVALID: u32 = 2;

/** One direction of a connection: 20 bytes in the entry. */
@unmanaged class Side {
  end: u32;
  maxend: u32;
  maxwin: u32;
  maxack: u32;
  scale: u8;
  flags: u8;
  pad: u16;
}
const SIDE_BYTES: usize = 20;

@inline function sideOf(ct: Conntrack, reply: bool): Side {
  return changetype<Side>(changetype<usize>(ct) + CT_STREAM_AT + (reply ? SIDE_BYTES : 0));
}

@inline function before(a: u32, b: u32): bool { return <i32>(a - b) < 0; }
@inline function after(a: u32, b: u32): bool { return <i32>(b - a) < 0; }

/**
 * The table of transitions: a hexadecimal digit per old state, NONE in the lowest. a: invalid, b: let pass, stay.
 *                 S2 CL TW LA CW FW ES SR SS NO
 */
function transition(reply: bool, kind: u32, state: u32): u32 {
  let row: u64 = 0xaaaaaaaaaa;
  if (!reply) {
    if (kind == SYN) row = 0x911bbbbb11;
    else if (kind == SYNACK) row = 0x2aaaaaa2aa;
    else if (kind == FIN) row = 0xa8766644aa;
    else if (kind == ACK) row = 0xa8775533a3;
    else if (kind == RST) row = 0x888888888a;
  } else {
    if (kind == SYN) row = 0x9a1aaaaa9a;
    else if (kind == SYNACK) row = 0x2bbbbbbb2a;
    else if (kind == FIN) row = 0xa8766644aa;
    else if (kind == ACK) row = 0xb8775532ba;
    else if (kind == RST) row = 0x888888888a;
  }
  return <u32>(row >> <u64>(state << 2)) & 15;
}

function kindOf(flags: u32): u32 {
  if (flags & FLAG_RST) return RST;
  if (flags & FLAG_SYN) return flags & FLAG_ACK ? SYNACK : SYN;
  if (flags & FLAG_FIN) return FIN;
  return flags & FLAG_ACK ? ACK : NOTHING;
}

/** tcp_valid_flags: SYN, SYN URG, SYN ACK, RST, RST ACK, FIN ACK, FIN ACK URG, ACK, ACK URG; PSH, ECE, CWR do not matter. */
function flagsValid(flags: u32): bool {
  switch (flags & 0x37) {
    case 0x02: case 0x22: case 0x12: case 0x04: case 0x14: case 0x11: case 0x31: case 0x10: case 0x30: return true;
    default: return false;
  }
}

/** Whose end may be hastened when the table is full. */
export function tcpCanEarlyDrop(ct: Conntrack): bool {
  return ct.state >= FIN_WAIT && ct.state <= CLOSE;
}

/**
 * Is this a segment in the midst of a connection: an ACK, perhaps with data, where both windows are known? tcpTrack then changes neither
 * state nor status, and if it finds it invalid it changes nothing at all.
 */
@inline export function tcpEstablished(ct: Conntrack, th: usize): bool {
  return ct.state == ESTABLISHED && (<u32>load<u8>(th, 13) & 0x37) == FLAG_ACK
    && (ct.status & (IPS_ASSURED | IPS_SEEN_REPLY)) == (IPS_ASSURED | IPS_SEEN_REPLY)
    && sideOf(ct, false).maxwin != 0 && sideOf(ct, true).maxwin != 0;
}

/** nf_conntrack_tcp_established: may a flowtable have it? */
export function tcpAssured(ct: Conntrack): bool {
  return ct.state == ESTABLISHED && (ct.status & IPS_ASSURED) != 0;
}

/** Not all of its packets will be seen from now on (flow_offload_ct_tcp). */
export function tcpOffloaded(ct: Conntrack): void {
  sideOf(ct, false).flags |= <u8>BE_LIBERAL;
  sideOf(ct, true).flags |= <u8>BE_LIBERAL;
}

/**
 * All of its packets are seen again, after it was perhaps `closing`: the windows are learned anew (flow_offload_fixup_tcp). Returns for how
 * many seconds its state lasts.
 */
export function tcpReturned(ct: Conntrack, nf: NfNet, closing: bool): u32 {
  if (closing) ct.state = CLOSE;
  const a = sideOf(ct, false), b = sideOf(ct, true);
  // A SYN opens it again.
  if (ct.state == CLOSE) a.flags |= <u8>CLOSE_INIT;
  a.maxwin = 0;
  b.maxwin = 0;
  a.flags &= ~<u8>MAXACK_SET;
  b.flags &= ~<u8>MAXACK_SET;
  return setting(nf, ct.state);
}

/** For how long a flowtable keeps it at least, in seconds; 0: not at all (nf_flow_table_tcp_timeout). */
export function tcpKept(ct: Conntrack): u32 {
  return ct.state == ESTABLISHED ? 86400 : ct.state >= FIN_WAIT && ct.state <= TIME_WAIT ? 300 : 0;
}

/** nf_conntrack_tcp_packet. */
export function tcpTrack(ct: Conntrack, nf: NfNet, ip: usize, th: usize, room: u32, verify: bool, ctinfo: u32): i32 {
  if (room < 20) return -<i32>NF_ACCEPT;
  const header = (<u32>load<u8>(th, 12) >>> 4) << 2;
  if (header < 20 || room < header) return -<i32>NF_ACCEPT;
  if (verify && !l4ChecksumOk(ip, th, room, IPPROTO_TCP)) return -<i32>NF_ACCEPT;
  const flags = <u32>load<u8>(th, 13);
  if (!flagsValid(flags)) return -<i32>NF_ACCEPT;
  if (!(ct.status & IPS_CONFIRMED) && !begin(ct, nf, th, room, header, flags)) return -<i32>NF_ACCEPT;

  const old = ct.state, reply = ctIsReply(ctinfo), kind = kindOf(flags);
  const dir = <u32>reply;
  let state = transition(reply, kind, old);
  const mine = sideOf(ct, reply), theirs = sideOf(ct, !reply);
  const end = endOf(th, room, header, flags);
  let check = true;
  if ((state == SYN_SENT && old >= TIME_WAIT) || state == IGNORE) {
    if (state == SYN_SENT
      && ((mine.flags | theirs.flags) & CLOSE_INIT || (<u32>ct.lastDir == dir && <u32>ct.lastIndex == RST))) {
      return ctKill(ct) ? -<i32>NF_REPEAT : <i32>NF_DROP;
    }
    if (!(kind == SYNACK && <u32>ct.lastIndex == SYN && <u32>ct.lastDir != dir && be32(th, 8) == ct.lastEnd)) {
      ignore(ct, th, room, header, flags, kind, dir, old, end);
      return <i32>NF_ACCEPT;
    }
    // This SYN/ACK answers a SYN that was let pass: take over what was noted about it.
    state = SYN_RECV;
    theirs.end = ct.lastEnd;
    theirs.maxend = ct.lastEnd;
    theirs.maxwin = ct.lastWin == 0 ? 1 : <u32>ct.lastWin;
    theirs.scale = ct.lastWscale;
    ct.lastFlags &= ~<u8>CHALLENGE_ACK;
    theirs.flags = ct.lastFlags;
    mine.end = 0;
    mine.maxend = 0;
    mine.maxwin = 0;
    mine.maxack = 0;
    mine.scale = 0;
    mine.flags &= <u8>BE_LIBERAL;
    return settle(ct, nf, th, room, header, flags, kind, reply, SYN_SENT, state, true);
  }
  switch (state) {
    case INVALID: return -<i32>NF_ACCEPT;
    case TIME_WAIT:
      // RFC 5961: a challenge ACK to a SYN in LAST_ACK does not acknowledge the FIN.
      if (old == LAST_ACK && kind == ACK && <u32>ct.lastDir != dir && <u32>ct.lastIndex == SYN
        && ct.lastFlags & <u8>CHALLENGE_ACK) {
        ct.lastFlags &= ~<u8>CHALLENGE_ACK;
        return <i32>NF_ACCEPT;
      }
      break;
    case SYN_SENT2:
      ct.lastFlags |= <u8>SIMULTANEOUS_OPEN;
      break;
    case SYN_RECV:
      if (reply && kind == ACK && ct.lastFlags & <u8>SIMULTANEOUS_OPEN) state = ESTABLISHED;
      break;
    case CLOSE: {
      if (kind != RST) break;
      if (tcpCanEarlyDrop(ct)) {
        check = false;
        break;
      }
      const seq = be32(th, 4);
      const established = old == ESTABLISHED && (ct.status & IPS_ASSURED) != 0;
      if (theirs.flags & <u8>MAXACK_SET && <u32>ct.lastIndex != SYN) {
        if (seq == 0 && !established) break;
        if (before(seq, theirs.maxack) && setting(nf, NFCT_TCP_IGNORE_INVALID_RST) == 0) return -<i32>NF_ACCEPT;
        if (!established || seq == theirs.maxack) break;
        if (<u32>ct.lastIndex == ACK && <u32>ct.lastDir == dir && seq == ct.lastEnd) break;
        // Not exactly the next number: stay established, in case a challenge ACK follows.
        state = old;
      }
      if (((ct.status & IPS_SEEN_REPLY && <u32>ct.lastIndex == SYN && <u32>ct.lastDir != dir)
        || (!(ct.status & IPS_ASSURED) && <u32>ct.lastIndex == ACK)) && be32(th, 8) == ct.lastEnd) {
        check = false; // the answer to a SYN or ACK that was let pass
      } else if (old == SYN_SENT && <u32>ct.lastIndex == ACK && ct.lastDir == 1 && seq == ct.lastAck) {
        check = false; // the answer to a challenge ACK
      }
      break;
    }
    default: break;
  }
  return settle(ct, nf, th, room, header, flags, kind, reply, old, state, check);
}

/** A packet that is let pass without belief: notes what would be needed to get in step again. */
function ignore(ct: Conntrack, th: usize, room: u32, header: u32, flags: u32, kind: u32, dir: u32, old: u32, end: u32): void {
  ct.lastIndex = <u8>kind;
  ct.lastDir = <u8>dir;
  ct.lastSeq = be32(th, 4);
  ct.lastEnd = end;
  ct.lastWin = <u16>be16(th, 14);
  if (kind == SYN && dir == 0) {
    const options = optionsOf(th, header);
    ct.lastFlags = <u8>(options & (WINDOW_SCALE | SACK_PERM));
    ct.lastWscale = <u8>(options >>> 8);
    if (old == LAST_ACK) ct.lastFlags |= <u8>CHALLENGE_ACK;
  }
  if (old == SYN_SENT && kind == ACK && dir == 1) ct.lastAck = be32(th, 8);
}

/** The window's test, then the new state and timeout. */
function settle(ct: Conntrack, nf: NfNet, th: usize, room: u32, header: u32, flags: u32, kind: u32, reply: bool, old: u32,
  state: u32, check: bool): i32 {
  if (check) {
    const answer = inWindow(ct, nf, th, room, header, flags, kind, reply);
    if (answer == WINDOW_IGNORE) return <i32>NF_ACCEPT;
    if (answer == WINDOW_INVALID) {
      outOfWindow(ct, nf, kind, <u32>reply);
      return -<i32>NF_ACCEPT;
    }
  }
  ct.lastIndex = <u8>kind;
  ct.lastDir = <u8>reply;
  ct.state = state;
  const mine = sideOf(ct, reply), theirs = sideOf(ct, !reply);
  if (old != state && state == FIN_WAIT) mine.flags |= <u8>CLOSE_INIT;

  const retransmitting = setting(nf, NFCT_TIMEOUT_TCP_RETRANS), unacked = setting(nf, NFCT_TIMEOUT_TCP_UNACK);
  let timeout = setting(nf, state);
  if (<u32>ct.retrans >= setting(nf, NFCT_TCP_MAX_RETRANS) && timeout > retransmitting) timeout = retransmitting;
  else if (kind == RST) timeout = setting(nf, CLOSE);
  else if ((mine.flags | theirs.flags) & <u8>UNACKNOWLEDGED && timeout > unacked) timeout = unacked;
  else if (ct.lastWin == 0 && timeout > retransmitting) timeout = retransmitting;

  if (!(ct.status & IPS_SEEN_REPLY)) {
    // The only answer is a RST: there is no connection.
    if (flags & FLAG_RST) {
      ctKill(ct);
      return <i32>NF_ACCEPT;
    }
    // A repeated SYN does not keep the entry alive.
    if (kind == SYN && old == SYN_SENT) return <i32>NF_ACCEPT;
    if (state == ESTABLISHED && timeout > unacked) timeout = unacked;
  } else if (!(ct.status & IPS_ASSURED) && (old == SYN_RECV || old == ESTABLISHED) && state == ESTABLISHED) {
    ct.status |= IPS_ASSURED;
  }
  ctRefresh(ct, timeout);
  return <i32>NF_ACCEPT;
}

/** tcp_new: the first packet. */
function begin(ct: Conntrack, nf: NfNet, th: usize, room: u32, header: u32, flags: u32): bool {
  const state = transition(false, kindOf(flags), NONE);
  if (state >= INVALID) return false;
  if (state != SYN_SENT && setting(nf, NFCT_TCP_LOOSE) == 0) return false;
  memory.fill(changetype<usize>(ct) + CT_STREAM_AT, 0, SIDE_BYTES * 2 + 20);
  ct.state = NONE;
  const mine = sideOf(ct, false);
  mine.end = endOf(th, room, header, flags);
  mine.maxwin = max<u32>(be16(th, 14), 1);
  if (state == SYN_SENT) {
    mine.maxend = mine.end;
    readOptions(mine, th, header);
  } else {
    mine.maxend = mine.end + mine.maxwin;
    mine.flags = <u8>(SACK_PERM | BE_LIBERAL);
    sideOf(ct, true).flags = <u8>(SACK_PERM | BE_LIBERAL);
  }
  ct.lastIndex = <u8>NOTHING;
  return true;
}

/** Sequence number behind the segment: data, SYN and FIN counted. */
@inline function endOf(th: usize, room: u32, header: u32, flags: u32): u32 {
  return be32(th, 4) + room - header + (flags & FLAG_SYN ? 1 : 0) + (flags & FLAG_FIN ? 1 : 0);
}

/** WINDOW_SCALE and SACK_PERM with the scale in the next byte. */
function optionsOf(th: usize, header: u32): u32 {
  let at = th + 20, left = header - 20, result: u32 = 0;
  while (left > 0) {
    const code = <u32>load<u8>(at);
    if (code == 0) break;
    if (code == 1) { at++; left--; continue; }
    if (left < 2) break;
    const size = <u32>load<u8>(at, 1);
    if (size < 2 || size > left) break;
    if (code == 4 && size == 2) result |= SACK_PERM;
    else if (code == 3 && size == 3) result = (result & 0xff) | WINDOW_SCALE | (min<u32>(<u32>load<u8>(at, 2), 14) << 8);
    at += <usize>size;
    left -= size;
  }
  return result;
}

function readOptions(side: Side, th: usize, header: u32): void {
  if (header == 20) return;
  const options = optionsOf(th, header);
  side.scale = <u8>(options >>> 8);
  side.flags = <u8>((<u32>side.flags & BE_LIBERAL) | (options & 0xff));
}

/** The highest right edge of a SACK block beyond `ack`, or `ack`. */
function highestSack(th: usize, header: u32, ack: u32): u32 {
  let at = th + 20, left = header - 20, highest = ack;
  while (left > 0) {
    const code = <u32>load<u8>(at);
    if (code == 0) break;
    if (code == 1) { at++; left--; continue; }
    if (left < 2) break;
    const size = <u32>load<u8>(at, 1);
    if (size < 2 || size > left) break;
    if (code == 5 && size >= 10 && (size - 2) % 8 == 0) {
      for (let i: u32 = 0; i < size - 2; i += 8) {
        const edge = be32(at + 2 + <usize>i, 4);
        if (after(edge, highest)) highest = edge;
      }
      break;
    }
    at += <usize>size;
    left -= size;
  }
  return highest;
}

function initSender(sender: Side, receiver: Side, th: usize, header: u32, end: u32, win: u32, reply: bool): void {
  sender.end = end;
  sender.maxend = end;
  sender.maxwin = win == 0 ? 1 : win;
  readOptions(sender, th, header);
  // RFC 1323: only if both sides say so.
  if (reply && !(sender.flags & receiver.flags & <u8>WINDOW_SCALE)) {
    sender.scale = 0;
    receiver.scale = 0;
  }
}

/** tcp_in_window. */
function inWindow(ct: Conntrack, nf: NfNet, th: usize, room: u32, header: u32, flags: u32, kind: u32, reply: bool): u32 {
  const sender = sideOf(ct, reply), receiver = sideOf(ct, !reply);
  let seq = be32(th, 4), ack = be32(th, 8), win = be16(th, 14);
  const winRaw = win;
  let end = endOf(th, room, header, flags);
  let sack = receiver.flags & <u8>SACK_PERM ? highestSack(th, header, ack) : ack;
  const syn = (flags & FLAG_SYN) != 0, acks = (flags & FLAG_ACK) != 0;
  if (sender.maxwin == 0) {
    if (syn) {
      initSender(sender, receiver, th, header, end, win, reply);
      if (!acks) return WINDOW_ACCEPT; // simultaneous open
    } else {
      // In the middle of a connection whose history is lost.
      sender.end = end;
      const scaled = win << <u32>sender.scale;
      sender.maxwin = scaled == 0 ? 1 : scaled;
      sender.maxend = end + sender.maxwin;
      if (receiver.maxwin == 0) {
        receiver.end = sack;
        receiver.maxend = sack;
      } else if (sack == receiver.end + 1) {
        receiver.end++; // likely the answer to a keep-alive
      }
    }
  } else if (syn && after(end, sender.end) && (ct.state == SYN_SENT || ct.state == SYN_RECV)) {
    initSender(sender, receiver, th, header, end, win, reply);
    if (reply && !acks) return WINDOW_ACCEPT;
  }
  if (!acks || (flags & FLAG_RST && ack == 0)) {
    ack = receiver.end;
    sack = ack;
  }
  if (flags & FLAG_RST && seq == 0 && ct.state == SYN_SENT) {
    seq = sender.end;
    end = seq;
  }
  const ackWindow = max<u32>(sender.maxwin, MAXACKWIN);
  const liberal = (sender.flags & <u8>BE_LIBERAL) != 0 || setting(nf, NFCT_TCP_BE_LIBERAL) != 0;
  if (!before(seq, sender.maxend + 1)) {
    const overshot = end - sender.maxend + 1;
    if (receiver.maxwin != 0 && after(end, sender.end - receiver.maxwin - 1)
      && after(sack, receiver.end - ackWindow - 1) && overshot <= receiver.maxwin && before(sack, receiver.end + 1)) {
      sender.end = end;
      sender.flags |= <u8>UNACKNOWLEDGED;
      return liberal ? WINDOW_ACCEPT : WINDOW_IGNORE;
    }
    return liberal ? WINDOW_ACCEPT : WINDOW_INVALID;
  }
  if (!before(sack, receiver.end + 1)) return liberal ? WINDOW_ACCEPT : WINDOW_INVALID;
  if (receiver.maxwin != 0 && !after(end, sender.end - receiver.maxwin - 1)) return liberal ? WINDOW_ACCEPT : WINDOW_IGNORE;
  if (!after(sack, receiver.end - ackWindow - 1)) return liberal ? WINDOW_ACCEPT : WINDOW_IGNORE;

  if (!syn) win <<= <u32>sender.scale;
  const window = win + (sack - ack);
  if (sender.maxwin < window) sender.maxwin = window;
  if (after(end, sender.end)) {
    sender.end = end;
    sender.flags |= <u8>UNACKNOWLEDGED;
  }
  if (acks) {
    if (!(sender.flags & <u8>MAXACK_SET)) {
      sender.maxack = ack;
      sender.flags |= <u8>MAXACK_SET;
    } else if (after(ack, sender.maxack)) {
      sender.maxack = ack;
    }
  }
  if (receiver.maxwin != 0 && after(end, sender.maxend)) receiver.maxwin += end - sender.maxend;
  if (after(sack + win, receiver.maxend - 1)) {
    receiver.maxend = sack + win;
    if (win == 0) receiver.maxend++;
  }
  if (ack == receiver.end) receiver.flags &= ~<u8>UNACKNOWLEDGED;
  if (kind == ACK) {
    if (<u32>ct.lastDir == <u32>reply && ct.lastSeq == seq && ct.lastAck == ack && ct.lastEnd == end
      && <u32>ct.lastWin == winRaw) {
      ct.retrans++;
    } else {
      ct.lastDir = <u8>reply;
      ct.lastSeq = seq;
      ct.lastAck = ack;
      ct.lastEnd = end;
      ct.lastWin = <u16>winRaw;
      ct.retrans = 0;
    }
  }
  return WINDOW_ACCEPT;
}

/** nf_tcp_handle_invalid: both sides end the connection outside its window; do not keep it for days. */
function outOfWindow(ct: Conntrack, nf: NfNet, kind: u32, dir: u32): void {
  if (!(ct.status & IPS_ASSURED) || (kind != RST && kind != FIN)) return;
  if (<u32>ct.lastDir != dir && (<u32>ct.lastIndex == FIN || <u32>ct.lastIndex == RST)) {
    const left = ctExpires(ct), unacked = <u64>setting(nf, NFCT_TIMEOUT_TCP_UNACK) * 1_000_000_000;
    if (left >= 120_000_000_000 && left > unacked) ct.timeout = node().now + unacked;
  } else {
    ct.lastIndex = <u8>kind;
    ct.lastDir = <u8>dir;
  }
}
