// TCP options: RFC 9293 section 3.2, RFC 7323 (window scale, timestamps), RFC 2018 (SACK). Sizes and order on the wire as
// net/ipv4/tcp_output.c, tcp_options_write has them.
import { be16, be32, putBe16, putBe32 } from "../../wire/bytes";
import { SockScratch } from "../socket";
import { FEATURE_SACK, FEATURE_TIMESTAMPS, FEATURE_WSCALE, Tcp } from "./tcp";

const EOL: u32 = 0, NOP: u32 = 1, MSS: u32 = 2, WINDOW: u32 = 3, SACK_PERM: u32 = 4, SACK: u32 = 5, TIMESTAMP: u32 = 8;

// SockScratch.saw
export const SAW_MSS: u32 = 1;
export const SAW_WSCALE: u32 = 2;
export const SAW_SACK_PERM: u32 = 4;
export const SAW_TIMESTAMP: u32 = 8;

/** Reads the options of `length` bytes at `at` into `into` (tcp_parse_options). Options of a SYN count only with `syn`. */
export function parseOptions(at: usize, length: u32, syn: bool, into: SockScratch): void {
  into.saw = 0;
  into.mss = 0;
  into.sackCount = 0;
  let p = at;
  const end = at + <usize>length;
  while (p < end) {
    const kind = <u32>load<u8>(p);
    if (kind == EOL) return;
    if (kind == NOP) { p++; continue; }
    if (p + 2 > end) return;
    const size = <u32>load<u8>(p, 1);
    if (size < 2 || p + <usize>size > end) return;
    if (kind == MSS) {
      if (size == 4 && syn && be16(p, 2) != 0) {
        into.saw |= SAW_MSS;
        into.mss = be16(p, 2);
      }
    } else if (kind == WINDOW) {
      if (size == 3 && syn) {
        into.saw |= SAW_WSCALE;
        into.wscale = min<u32>(<u32>load<u8>(p, 2), 14);
      }
    } else if (kind == SACK_PERM) {
      if (size == 2 && syn) into.saw |= SAW_SACK_PERM;
    } else if (kind == TIMESTAMP) {
      if (size == 10) {
        into.saw |= SAW_TIMESTAMP;
        into.tsval = be32(p, 2);
        into.tsecr = be32(p, 6);
      }
    } else if (kind == SACK) {
      if (size >= 10 && (size - 2) % 8 == 0) {
        into.sackCount = (size - 2) / 8;
        into.sackAt = p + 2;
      }
    }
    p += <usize>size;
  }
}

/** Bytes that writeSynOptions needs. */
export function synOptionBytes(features: u32): u32 {
  let bytes: u32 = 4;
  if (features & FEATURE_TIMESTAMPS) bytes += 12;
  if (features & FEATURE_WSCALE) bytes += 4;
  if ((features & (FEATURE_SACK | FEATURE_TIMESTAMPS)) == FEATURE_SACK) bytes += 4;
  return bytes;
}

/** The options of a SYN or SYN-ACK: mss, sackOK, TS, nop, wscale. */
export function writeSynOptions(at: usize, features: u32, mss: u32, wscale: u32, tsval: u32, tsecr: u32): void {
  let p = at;
  putBe32(p, 0, (MSS << 24) | (4 << 16) | mss);
  p += 4;
  if (features & FEATURE_TIMESTAMPS) {
    putBe32(p, 0, features & FEATURE_SACK ? (SACK_PERM << 24) | (2 << 16) | (TIMESTAMP << 8) | 10
      : (NOP << 24) | (NOP << 16) | (TIMESTAMP << 8) | 10);
    putBe32(p, 4, tsval);
    putBe32(p, 8, tsecr);
    p += 12;
  } else if (features & FEATURE_SACK) {
    putBe32(p, 0, (NOP << 24) | (NOP << 16) | (SACK_PERM << 8) | 2);
    p += 4;
  }
  if (features & FEATURE_WSCALE) putBe32(p, 0, (NOP << 24) | (WINDOW << 16) | (3 << 8) | wscale);
}

/** How many SACK blocks the next segment carries. */
export function sackBlocks(sk: Tcp): u32 {
  const count = sk.sackCount + (sk.dsackStart != sk.dsackEnd ? 1 : 0);
  const room: u32 = sk.features & FEATURE_TIMESTAMPS ? 3 : 4;
  return count < room ? count : room;
}

/** Bytes that writeOptions needs. */
export function optionBytes(sk: Tcp): u32 {
  const blocks = sackBlocks(sk);
  return <u32>sk.headerBytes - 20 + (blocks == 0 ? 0 : 4 + blocks * 8);
}

/** The options of every later segment: timestamps, SACK. A duplicate block is reported once. */
export function writeOptions(at: usize, sk: Tcp, tsval: u32): void {
  let p = at;
  if (sk.features & FEATURE_TIMESTAMPS) {
    putBe32(p, 0, (NOP << 24) | (NOP << 16) | (TIMESTAMP << 8) | 10);
    putBe32(p, 4, tsval);
    putBe32(p, 8, sk.tsRecent);
    p += 12;
  }
  const blocks = sackBlocks(sk);
  if (blocks == 0) return;
  putBe16(p, 0, (NOP << 8) | NOP);
  putBe16(p, 2, (SACK << 8) | (2 + blocks * 8));
  p += 4;
  let left = blocks;
  if (sk.dsackStart != sk.dsackEnd) {
    putBe32(p, 0, sk.dsackStart);
    putBe32(p, 4, sk.dsackEnd);
    sk.dsackEnd = sk.dsackStart;
    p += 8;
    left--;
  }
  let block = changetype<usize>(sk) + offsetof<Tcp>("sackStart0");
  while (left > 0) {
    putBe32(p, 0, load<u32>(block));
    putBe32(p, 4, load<u32>(block, 4));
    p += 8;
    block += 8;
    left--;
  }
}
