// The operations of rules: their form, checked once when they are loaded, and the state that some of them keep.
import {
  NFTOPS, NFTOP_CONNLIMIT, NFTOP_DUP, NFTOP_EBT, NFTOP_EXTHDR, NFTOP_FLOW, NFTOP_FWD, NFTOP_BITWISE, NFTOP_BITWISE_REG, NFTOP_CMP, NFTOP_COUNTER, NFTOP_CT, NFTOP_CT_SET, NFTOP_DYNSET, NFTOP_FIB, NFTOP_HASH, NFTOP_IMMEDIATE,
  NFTOP_LAST, NFTOP_LIMIT, NFTOP_LOG, NFTOP_LOOKUP, NFTOP_MASQ, NFTOP_META, NFTOP_META_SET, NFTOP_NAT, NFTOP_NEVER,
  NFTOP_NOTRACK, NFTOP_NUMGEN, NFTOP_OBJECT, NFTOP_OBJECT_MAP, NFTOP_PAYLOAD, NFTOP_PAYLOAD_SET, NFTOP_QUOTA, NFTOP_RANGE,
  NFTOP_REDIR, NFTOP_REJECT, NFTOP_RT, NFTOP_SHIFT, NFTOP_SWAP, NFTOP_TCPOPT, NFTOP_TCPOPT_SET, NFTOP_VERDICT, NFTOP_XT, NFTMETA_IIFNAME,
  NFTMETA_OIFNAME, NFTFIBR_OIFNAME, NFT_NO_REGISTER, NFT_REGISTERS, NFT_XT_HEADER,
} from "../abi/nft";
import { node } from "../mm/node";
import { kfree, kmalloc } from "../mm/slab";
import { conncountFree, conncountNew } from "../netfilter/connlimit";
import { NfNet } from "../netfilter/state";
import { nftXtExit, nftXtInit, nftXtTracks } from "./xt";

/** What a stateful operation remembers: {u64 a, u64 b}. */
export const STATE_BYTES: u32 = 16;
/** A bound on one value: half of the registers. */
const LENGTH_MAX: u32 = 64;
/** Where the operations of NFTOP_DYNSET begin. */
export const DYNSET_OPS: u32 = 20;

/** Bits of Skb.nfFlags while a chain of frames.ts looks: it is a frame, and nothing is known of a transport header. */
export const NFF_FRAME: u32 = 256;
export const NFF_NO_TRANSPORT: u32 = 512;

@inline export function padded(length: u32): u32 {
  return (length + 3) & ~3;
}

/** Does a value of `length` bytes fit at a register? */
function fits(register: u32, length: u32): bool {
  return length != 0 && length <= LENGTH_MAX && register < NFT_REGISTERS && register * 4 + padded(length) <= NFT_REGISTERS * 4;
}

@inline function fitsOrNone(register: u32): bool {
  return register == NFT_NO_REGISTER || fits(register, 4);
}

/** Are these whole, well-formed operations? */
export function opsValid(ops: usize, bytes: u32): bool {
  let at: u32 = 0;
  while (at < bytes) {
    if (bytes - at < 4) return false;
    const op = ops + <usize>at, length = <u32>load<u16>(op, 2);
    if (length < 4 || length & 3 || length > bytes - at || !opValid(op, length)) return false;
    at += length;
  }
  return at == bytes;
}

function opValid(op: usize, bytes: u32): bool {
  const kind = <u32>load<u8>(op), register = <u32>load<u8>(op, 1);
  if (kind == 0 || kind >= NFTOPS) return false;
  if (kind == NFTOP_LOG || kind == NFTOP_NOTRACK || kind == NFTOP_NEVER) return bytes == 4;
  if (bytes < 8) return false;
  const a = <u32>load<u8>(op, 4), b = <u32>load<u8>(op, 5);
  switch (kind) {
    case NFTOP_IMMEDIATE: {
      const length = load<u32>(op, 4);
      return fits(register, length) && bytes == 8 + padded(length);
    }
    case NFTOP_CMP: return fits(register, b) && bytes == 8 + padded(b);
    case NFTOP_RANGE: return fits(register, b) && bytes == 8 + 2 * padded(b);
    case NFTOP_BITWISE: return fits(register, b) && fits(a, b) && bytes == 8 + 2 * padded(b);
    case NFTOP_BITWISE_REG: return bytes == 8 && fits(register, b) && fits(a, b) && fits(<u32>load<u8>(op, 6), b);
    case NFTOP_SHIFT: return bytes == 8 && fits(register, 4) && fits(a, 4) && b <= 4 && b != 0 && load<u8>(op, 7) < 32;
    case NFTOP_PAYLOAD: return bytes == 8 && a <= 2 && fits(register, b);
    case NFTOP_PAYLOAD_SET: return bytes == 12 && a <= 2 && fits(register, b);
    case NFTOP_META: case NFTOP_FIB: {
      if (kind == NFTOP_FIB && bytes != 12) return false;
      const name = kind == NFTOP_META ? load<u32>(op, 4) == NFTMETA_IIFNAME || load<u32>(op, 4) == NFTMETA_OIFNAME
        : load<u32>(op, 8) == NFTFIBR_OIFNAME;
      return (kind == NFTOP_FIB || bytes == 8) && fits(register, name ? 16 : 8);
    }
    case NFTOP_META_SET: case NFTOP_CT_SET: case NFTOP_RT: case NFTOP_SWAP: return bytes == 8 && fits(register, kind == NFTOP_RT ? 16 : 4);
    case NFTOP_CT: return bytes == 8 && fits(register, 16);
    case NFTOP_LOOKUP: {
      const data = <u32>load<u8>(op, 11);
      return bytes == 12 && fits(register, <u32>load<u8>(op, 10)) && (data == 0 || fits(<u32>load<u8>(op, 9), data));
    }
    case NFTOP_DYNSET: {
      if (bytes < DYNSET_OPS) return false;
      const data = <u32>load<u8>(op, 11);
      return fits(register, <u32>load<u8>(op, 10)) && (data == 0 || fits(<u32>load<u8>(op, 9), data))
        && elementOpsValid(op + DYNSET_OPS, bytes - DYNSET_OPS);
    }
    case NFTOP_NUMGEN: return bytes == 20 && fits(register, 4) && load<u32>(op, 8) != 0;
    case NFTOP_HASH: return bytes == 20 && fits(register, 4) && load<u32>(op, 8) != 0 && (a == 1 || fits(b, <u32>load<u8>(op, 6)));
    case NFTOP_COUNTER: return bytes == 24;
    case NFTOP_LIMIT: return bytes == 32 && load<u64>(op, 8) != 0;
    case NFTOP_QUOTA: return bytes == 28;
    case NFTOP_LAST: case NFTOP_OBJECT: case NFTOP_FLOW: return bytes == 8;
    case NFTOP_REJECT: return bytes == 12;
    case NFTOP_EXTHDR: return bytes == 8 && fits(register, <u32>max<u8>(load<u8>(op, 6), 1));
    case NFTOP_NAT:
      return bytes == 16 && fitsOrNone(b) && fitsOrNone(<u32>load<u8>(op, 6)) && fitsOrNone(<u32>load<u8>(op, 7))
        && fitsOrNone(<u32>load<u8>(op, 8));
    case NFTOP_MASQ: case NFTOP_REDIR: return bytes == 12 && fitsOrNone(a) && fitsOrNone(b);
    case NFTOP_OBJECT_MAP: return bytes == 12 && fits(register, <u32>load<u8>(op, 8));
    case NFTOP_VERDICT: return bytes == 12;
    case NFTOP_FWD: return bytes == 8 && fits(a, 4);
    case NFTOP_DUP: return bytes == 8 && fitsOrNone(a) && fitsOrNone(b);
    case NFTOP_CONNLIMIT: return bytes == 16;
    case NFTOP_EBT: return bytes == 16;
    case NFTOP_XT: return bytes >= NFT_XT_HEADER + 8;
    case NFTOP_TCPOPT: case NFTOP_TCPOPT_SET: return bytes == 8 && fits(register, <u32>max<u8>(load<u8>(op, 6), 1));
    default: return false;
  }
}

/** What an element may carry: stateful operations alone. */
export function elementOpsValid(ops: usize, bytes: u32): bool {
  if (!opsFlatValid(ops, bytes)) return false;
  for (let at: u32 = 0; at < bytes; at += <u32>load<u16>(ops + <usize>at, 2)) {
    if (!hasState(<u32>load<u8>(ops + <usize>at))) return false;
  }
  return true;
}

/** Like opsValid, for operations that hold no others. */
function opsFlatValid(ops: usize, bytes: u32): bool {
  let at: u32 = 0;
  while (at < bytes) {
    if (bytes - at < 8) return false;
    const op = ops + <usize>at, length = <u32>load<u16>(op, 2), kind = <u32>load<u8>(op);
    const wanted: u32 = kind == NFTOP_COUNTER ? 24 : kind == NFTOP_LIMIT ? 32 : kind == NFTOP_QUOTA ? 28 : kind == NFTOP_LAST ? 8 : kind == NFTOP_CONNLIMIT ? 16 : 0;
    if (wanted == 0 || length != wanted || length > bytes - at || (kind == NFTOP_LIMIT && load<u64>(op, 8) == 0)) return false;
    at += length;
  }
  return true;
}

/** A counter or the like, whose state is {u64, u64}. */
export function stateful(kind: u32): bool {
  return (kind >= NFTOP_COUNTER && kind <= NFTOP_LAST) || kind == NFTOP_NUMGEN;
}

/** Has it a pointer behind its header? */
@inline function hasState(kind: u32): bool {
  return stateful(kind) || kind == NFTOP_XT || kind == NFTOP_CONNLIMIT;
}

/** How many of them need connection tracking (nf_ct_netns_get); those of xtables are known once they have their state. */
export function opsNeedConntrack(ops: usize, bytes: u32): u32 {
  let n: u32 = 0;
  for (let at: u32 = 0; at < bytes; at += <u32>load<u16>(ops + <usize>at, 2)) {
    const kind = <u32>load<u8>(ops + <usize>at);
    if (kind == NFTOP_CT || kind == NFTOP_CT_SET || kind == NFTOP_CONNLIMIT || kind == NFTOP_FLOW || (kind >= NFTOP_NAT && kind <= NFTOP_REDIR)) n++;
    else if (kind == NFTOP_XT) n += nftXtTracks(ops + <usize>at);
    else if (kind == NFTOP_DYNSET && counts(ops + <usize>at + DYNSET_OPS, <u32>load<u16>(ops + <usize>at, 2) - DYNSET_OPS)) n++;
  }
  return n;
}

/** Is a limit of connections among an element's operations? */
function counts(ops: usize, bytes: u32): bool {
  for (let at: u32 = 0; at < bytes; at += <u32>load<u16>(ops + <usize>at, 2)) {
    if (<u32>load<u8>(ops + <usize>at) == NFTOP_CONNLIMIT) return true;
  }
  return false;
}

/** Gives every stateful operation its state, as it begins. False: no memory. */
export function opsStates(ops: usize, bytes: u32, nf: usize = 0): bool {
  opsStatesNone(ops, bytes);
  for (let at: u32 = 0; at < bytes; at += <u32>load<u16>(ops + <usize>at, 2)) {
    const op = ops + <usize>at, kind = <u32>load<u8>(op);
    if (kind == NFTOP_XT && (nf == 0 || !nftXtInit(op, changetype<NfNet>(nf)))) return false;
    if (kind == NFTOP_CONNLIMIT) {
      store<u32>(op, <u32>conncountNew(), 4);
      if (load<u32>(op, 4) == 0) return false;
    }
    if (!stateful(kind)) continue;
    const state = kmalloc(STATE_BYTES);
    store<u32>(op, <u32>state, 4);
    if (state == 0) return false;
    if (kind == NFTOP_COUNTER) {
      store<u64>(state, load<u64>(op, 8));
      store<u64>(state, load<u64>(op, 16), 8);
    } else if (kind == NFTOP_QUOTA) {
      store<u64>(state, load<u64>(op, 16));
    } else if (kind == NFTOP_LIMIT) {
      store<u64>(state, limitMax(op));
      store<u64>(state, node().now, 8);
    } else if (kind == NFTOP_NUMGEN) {
      store<u64>(state, <u64>(load<u32>(op, 8) - 1));
    }
  }
  return true;
}

/** The most tokens of a limit, in ns (net/netfilter/nft_limit.c, nft_limit_init). */
export function limitMax(op: usize): u64 {
  const rate = load<u64>(op, 8), ns = load<u64>(op, 16), burst = <u64>load<u32>(op, 24);
  return load<u32>(op, 28) & 2 ? ns * (rate + burst) / rate : ns / rate * burst;
}

export function opsStatesFree(ops: usize, bytes: u32): void {
  for (let at: u32 = 0; at < bytes; at += <u32>load<u16>(ops + <usize>at, 2)) {
    const op = ops + <usize>at;
    const kind = <u32>load<u8>(op);
    if (kind == NFTOP_XT) nftXtExit(op);
    if (kind == NFTOP_CONNLIMIT && load<u32>(op, 4) != 0) {
      conncountFree(<usize>load<u32>(op, 4));
      store<u32>(op, 0, 4);
    }
    if (!stateful(kind) || load<u32>(op, 4) == 0) continue;
    kfree(<usize>load<u32>(op, 4), STATE_BYTES);
    store<u32>(op, 0, 4);
  }
}

/** A rule's operations take the states of its earlier version, one after the other. */
export function opsStatesMove(ops: usize, bytes: u32, from: usize, fromBytes: u32): void {
  let f: u32 = 0;
  for (let at: u32 = 0; at < bytes; at += <u32>load<u16>(ops + <usize>at, 2)) {
    const op = ops + <usize>at, kind = <u32>load<u8>(op);
    if (!hasState(kind)) continue;
    while (f < fromBytes && <u32>load<u8>(from + <usize>f) != kind) f += <u32>load<u16>(from + <usize>f, 2);
    if (f >= fromBytes) return;
    store<u32>(op, load<u32>(from + <usize>f, 4), 4);
    if (kind == NFTOP_XT) store<u32>(op, load<u32>(from + <usize>f, 8), 8);
    store<u32>(from + <usize>f, 0, 4);
    f += <u32>load<u16>(from + <usize>f, 2);
  }
}

/** No states yet: whoever frees must not see the driver's bytes in their place. */
export function opsStatesNone(ops: usize, bytes: u32): void {
  for (let at: u32 = 0; at < bytes; at += <u32>load<u16>(ops + <usize>at, 2)) {
    const op = ops + <usize>at;
    if (hasState(<u32>load<u8>(op))) store<u32>(op, 0, 4);
  }
}
