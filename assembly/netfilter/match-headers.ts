// Matches of headers and payload that only the full kernel has: net/netfilter/xt_sctp.c, xt_dccp.c, xt_tcpmss.c, xt_esp.c, xt_u32.c,
// xt_string.c, net/ipv4/netfilter/ipt_ah.c.
import { PORTS_INV_DPORT, PORTS_INV_SPORT } from "../abi/netfilter";
import { DCCP_INV_OPTION, DCCP_INV_TYPES, DCCP_TYPES } from "../abi/xtables";
import { Skb } from "../layout";
import { be16, be32 } from "../wire/bytes";
import { fragmentUnits, ipBytes, l4Offset } from "./l3";
import { MATCH_HOTDROP, MATCH_NO, MATCH_YES } from "./match";

@inline function isFragment(skb: Skb): bool { return fragmentUnits(skb) != 0; }
@inline function verdict(yes: bool): u32 { return yes ? MATCH_YES : MATCH_NO; }

function portsFit(d: usize, l4: usize, inverted: u32): bool {
  const source = be16(l4, 0), destination = be16(l4, 2);
  return (source >= <u32>load<u16>(d) && source <= <u32>load<u16>(d, 2)) != ((inverted & PORTS_INV_SPORT) != 0)
    && (destination >= <u32>load<u16>(d, 4) && destination <= <u32>load<u16>(d, 6)) != ((inverted & PORTS_INV_DPORT) != 0);
}

export function matchSctp(d: usize, skb: Skb): u32 {
  const ip = skb.network, length = ipBytes(skb), header = l4Offset(skb);
  if (isFragment(skb)) return MATCH_NO;
  if (header + 12 > length) return MATCH_HOTDROP;
  const sctp = ip + <usize>header;
  if (!portsFit(d, sctp, <u32>load<u8>(d, 8))) return MATCH_NO;
  const mode = <u32>load<u8>(d, 9);
  if (mode == 0) return MATCH_YES;
  const inverted = load<u8>(d, 10) != 0;
  // Bit by bit in which of the wanted chunks are still to be seen; the types beyond 63 are looked at in the map itself.
  let seen: u64 = 0, result = mode == 3;
  let at: u32 = header + 12;
  do {
    if (at + 4 > length) return MATCH_HOTDROP;
    const chunk = ip + <usize>at;
    const type = <u32>load<u8>(chunk), size = be16(chunk, 2);
    if (size == 0) return MATCH_HOTDROP;
    at += (size + 3) & ~3;
    if ((load<u32>(d + 12 + <usize>((type >>> 5) << 2)) >>> (type & 31)) & 1) {
      const fits = flagsFit(d, type, <u32>load<u8>(chunk, 1));
      if (mode == 1 && fits) { result = true; break; }
      if (mode == 2 && fits) seen |= <u64>1 << <u64>min<u32>(type, 63);
      if (mode == 3 && !fits) { result = false; break; }
    } else if (mode == 3) {
      result = false;
      break;
    }
  } while (at < length);
  if (mode == 2) {
    let want: u64 = load<u64>(d, 12);
    for (let i: u32 = 8; i < 32; i += 8) if (load<u64>(d + 12 + <usize>i)) want |= <u64>1 << 63;
    result = (want & ~seen) == 0;
  }
  return verdict(result != inverted);
}

function flagsFit(d: usize, type: u32, flags: u32): bool {
  const entries = <u32>load<u8>(d, 11);
  for (let i: u32 = 0; i < entries; i++) {
    const e = d + 44 + <usize>(i << 2);
    if (<u32>load<u8>(e) == type) return (flags & <u32>load<u8>(e, 2)) == <u32>load<u8>(e, 1);
  }
  return true;
}

export function matchDccp(d: usize, skb: Skb): u32 {
  const ip = skb.network, length = ipBytes(skb), header = l4Offset(skb);
  if (isFragment(skb)) return MATCH_NO;
  if (header + 12 > length) return MATCH_HOTDROP;
  const dccp = ip + <usize>header, inverted = <u32>load<u8>(d, 8), option = <u32>load<u8>(d, 9);
  if (!portsFit(d, dccp, inverted)) return MATCH_NO;
  const type = (<u32>load<u8>(dccp, 8) >>> 1) & 15;
  if (inverted & DCCP_TYPES
    && ((<u32>load<u16>(d, 10) >>> type) & 1) == (inverted & DCCP_INV_TYPES ? <u32>1 : <u32>0)) return MATCH_NO;
  if (option == 0) return MATCH_YES;
  let at: u32 = load<u8>(dccp, 8) & 1 ? 16 : 12;
  at += type == 0 ? 4 : type == 1 || type == 7 ? 12 : type == 2 ? 0 : 8;
  const end = <u32>load<u8>(dccp, 4) << 2;
  if (end < at || header + end > length) return MATCH_HOTDROP;
  let found = false;
  while (at < end) {
    const code = <u32>load<u8>(dccp + <usize>at);
    if (code == option) { found = true; break; }
    if (code < 32) at++;
    else {
      if (at + 1 >= end) break;
      at += max<u32>(<u32>load<u8>(dccp + <usize>at, 1), 2);
    }
  }
  return verdict(found != ((inverted & DCCP_INV_OPTION) != 0));
}

export function matchTcpmss(d: usize, skb: Skb, inverted: bool): u32 {
  const ip = skb.network, length = ipBytes(skb), header = l4Offset(skb);
  if (header + 20 > length) return MATCH_HOTDROP;
  const th = ip + <usize>header, size = (<u32>load<u8>(th, 12) >>> 4) << 2;
  if (size < 20 || header + size > length) return MATCH_HOTDROP;
  for (let i: u32 = 20; i < size;) {
    const code = <u32>load<u8>(th + <usize>i);
    if (code == 2 && size - i >= 4 && load<u8>(th + <usize>i, 1) == 4) {
      const mss = be16(th + <usize>i, 2);
      return verdict((mss >= <u32>load<u16>(d) && mss <= <u32>load<u16>(d, 2)) != inverted);
    }
    if (code < 2 || i == size - 1) i++;
    else i += max<u32>(<u32>load<u8>(th + <usize>i, 1), 1);
  }
  return verdict(inverted);
}

/** `need` bytes of the header have to be there; the SPI stands at `spiAt`. */
export function matchAhEsp(d: usize, skb: Skb, inverted: bool, need: u32, spiAt: usize): u32 {
  const ip = skb.network, header = l4Offset(skb);
  if (isFragment(skb)) return MATCH_NO;
  if (header + need > ipBytes(skb)) return MATCH_HOTDROP;
  const spi = be32(ip + <usize>header, spiAt);
  return verdict((spi >= load<u32>(d) && spi <= load<u32>(d, 4)) != inverted);
}

// u32: tests of {u8 numbers, u8 values, u16 0, {u32 number, u32 operation}[], {u32 lo, u32 hi}[]}
const U32_MAXSIZE: u32 = 10;
const U32_AND: u32 = 0, U32_LEFTSH: u32 = 1, U32_RIGHTSH: u32 = 2;

export function u32Valid(d: usize, length: u32): bool {
  if (length < 4 || load<u32>(d) > U32_MAXSIZE) return false;
  let at: u32 = 4;
  for (let i: u32 = load<u32>(d); i > 0; i--) {
    if (at + 4 > length) return false;
    const numbers = <u32>load<u8>(d + <usize>at), values = <u32>load<u8>(d + <usize>at, 1);
    if (numbers == 0 || numbers > U32_MAXSIZE + 1 || values > U32_MAXSIZE + 1) return false;
    at += 4 + ((numbers + values) << 3);
  }
  return at == length;
}

export function matchU32(d: usize, skb: Skb): bool {
  const ip = skb.network, length = <u32>(skb.tail - ip);
  let test = d + 4;
  for (let i: u32 = load<u32>(d); i > 0; i--) {
    const numbers = <u32>load<u8>(test), values = <u32>load<u8>(test, 1);
    let at: u32 = 0, position = load<u32>(test, 4);
    if (length < 4 || position > length - 4) return false;
    let value = be32(ip + <usize>position, 0);
    let n = test + 12;
    for (let j: u32 = 1; j < numbers; j++) {
      const number = load<u32>(n), operation = load<u32>(n, 4);
      n += 8;
      if (operation == U32_AND) value &= number;
      else if (operation == U32_LEFTSH) value = number < 32 ? value << number : 0;
      else if (operation == U32_RIGHTSH) value = number < 32 ? value >>> number : 0;
      else {
        if (at + value < at) return false;
        at += value;
        position = number;
        if (at + 4 < at || length < at + 4 || position > length - at - 4) return false;
        value = be32(ip + <usize>(at + position), 0);
      }
    }
    let yes = false;
    for (let j: u32 = 0; j < values; j++) {
      if (value >= load<u32>(n) && value <= load<u32>(n, 4)) yes = true;
      n += 8;
    }
    if (!yes) return false;
    test = n;
  }
  return true;
}

/** skb_find_text: does the pattern begin anywhere from `from` to `to`? */
export function matchString(d: usize, skb: Skb): bool {
  const text = skb.network, length = <u32>(skb.tail - text), want = <u32>load<u8>(d, 4);
  const from = <u32>load<u16>(d), to = <u32>load<u16>(d, 2), anyCase = load<u8>(d, 5) != 0;
  const pattern = d + 8;
  if (want == 0 || from >= to) return false;
  // Whole within what is searched (skb_find_text).
  for (let at = from; at + want <= to && at + want <= length; at++) {
    let i: u32 = 0;
    while (i < want) {
      const a = <u32>load<u8>(text + <usize>(at + i)), b = <u32>load<u8>(pattern + <usize>i);
      if (a != b && (!anyCase || lower(a) != lower(b))) break;
      i++;
    }
    if (i == want) return true;
  }
  return false;
}

function lower(c: u32): u32 {
  return c - 65 < 26 ? c + 32 : c;
}
