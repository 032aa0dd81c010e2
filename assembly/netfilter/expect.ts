// Connections that another one announces: net/netfilter/nf_conntrack_expect.c, nf_conntrack_helper.c, and the helpers that read it
// out of FTP's and TFTP's packets, nf_conntrack_ftp.c, nf_conntrack_tftp.c. Addresses inside payloads are not rewritten.
import { IPS_CONFIRMED, IPS_EXPECTED, IP_CT_ESTABLISHED, IP_CT_ESTABLISHED_REPLY, NFCT_EXPECT_MAX } from "../abi/netfilter";
import { HELPER_FTP, HELPER_TFTP } from "../abi/xtables";
import { Skb } from "../layout";
import { node } from "../mm/node";
import { kfree, kmalloc } from "../mm/slab";
import { be16, be32 } from "../wire/bytes";
import { IPPROTO_TCP, IPPROTO_UDP } from "../wire/ipv4";
import { Conntrack, ctIsReply, ctPut, ctTuple } from "./conntrack";
import { hold6, release6 } from "./address6";
import { ipBytes, isV6, l4Offset, l4Protocol } from "./l3";
import { NfNet, setting } from "./state";
import { Tuple } from "./tuple";

/** How long an announcement holds. */
const TIMEOUT_NS: u64 = 300_000_000_000;

/** An announced connection: the source's port is any. */
@unmanaged class Expectation {
  next: usize;
  master: usize; // Conntrack; a reference
  src: u32; dst: u32;
  dport: u16; zone: u16;
  proto: u32;
  expires: u64;
}
const EXPECTATION_BYTES: u32 = <u32>offsetof<Expectation>();

function unlink(nf: NfNet, link: usize): void {
  const at = load<usize>(link), e = changetype<Expectation>(at);
  store<usize>(link, e.next);
  nf.expectCount--;
  const master = changetype<Conntrack>(e.master);
  if (Tuple.at(ctTuple(master, false)).family != 0) {
    release6(e.src);
    release6(e.dst);
  }
  kfree(at, EXPECTATION_BYTES);
  ctPut(master);
}

/** nf_ct_expect_related. */
function announce(nf: NfNet, master: Conntrack, proto: u32, src: u32, dst: u32, dport: u16): void {
  const list = changetype<usize>(nf) + offsetof<NfNet>("expectations");
  const zone = Tuple.at(ctTuple(master, false)).zone;
  const max = setting(nf, NFCT_EXPECT_MAX);
  let link = list;
  while (load<usize>(link) != 0) {
    const e = changetype<Expectation>(load<usize>(link));
    // The same announced again begins anew; those of a master that has another go as well (one is allowed).
    if (e.expires <= node().now || e.master == changetype<usize>(master)) unlink(nf, link);
    else link = changetype<usize>(e);
  }
  if (max != 0 && nf.expectCount >= max) return;
  const at = kmalloc(EXPECTATION_BYTES);
  if (at == 0) return;
  const e = changetype<Expectation>(at);
  e.master = changetype<usize>(master);
  master.use++;
  e.src = src;
  e.dst = dst;
  if (Tuple.at(ctTuple(master, false)).family != 0) {
    hold6(src);
    hold6(dst);
  }
  e.dport = dport;
  e.zone = zone;
  e.proto = proto;
  e.expires = node().now + TIMEOUT_NS;
  e.next = load<usize>(list);
  store<usize>(list, at);
  nf.expectCount++;
}

/** A new connection: was it announced (init_conntrack)? Then it is RELATED and takes its master's mark. */
export function expectFind(nf: NfNet, ct: Conntrack): bool {
  const t = Tuple.at(ctTuple(ct, false));
  let link = changetype<usize>(nf) + offsetof<NfNet>("expectations");
  while (load<usize>(link) != 0) {
    const e = changetype<Expectation>(load<usize>(link));
    const master = changetype<Conntrack>(e.master);
    if (e.expires <= node().now || !(master.status & IPS_CONFIRMED)) {
      unlink(nf, link);
      continue;
    }
    if (e.src == t.src && e.dst == t.dst && e.dport == t.dport && e.proto == <u32>t.proto && e.zone == t.zone
      && t.family == Tuple.at(ctTuple(master, false)).family) {
      ct.status |= IPS_EXPECTED;
      ct.mark = master.mark;
      ct.master = e.master;
      master.use++;
      unlink(nf, link);
      return true;
    }
    link = changetype<usize>(e);
  }
  return false;
}

/** All of a namespace that ends, or of one connection that does. */
export function expectForget(nf: NfNet, master: usize): void {
  let link = changetype<usize>(nf) + offsetof<NfNet>("expectations");
  while (load<usize>(link) != 0) {
    const e = changetype<Expectation>(load<usize>(link));
    if (master == 0 || e.master == master) unlink(nf, link);
    else link = changetype<usize>(e);
  }
}

/** ipv4_helper, at the end of POSTROUTING and INPUT: what does the packet announce? */
export function helperRun(nf: NfNet, ct: Conntrack, skb: Skb): void {
  const ip = skb.network, header = l4Offset(skb), length = ipBytes(skb);
  const reply = ctIsReply(skb.ctinfo);
  if (<u32>ct.helper == HELPER_TFTP) {
    if (l4Protocol(skb) != IPPROTO_UDP || header + 10 > length) return;
    const code = be16(ip + <usize>header, 8);
    // Only a request to read or write announces: the server answers from a port of its own.
    if (code != 1 && code != 2) return;
    const answer = Tuple.at(ctTuple(ct, true));
    announce(nf, ct, IPPROTO_UDP, answer.src, answer.dst, answer.dport);
    return;
  }
  if (<u32>ct.helper != HELPER_FTP || isV6(ip) || l4Protocol(skb) != IPPROTO_TCP) return;
  if (skb.ctinfo != IP_CT_ESTABLISHED && skb.ctinfo != IP_CT_ESTABLISHED_REPLY) return;
  if (header + 20 > length) return;
  const th = ip + <usize>header, data = header + ((<u32>load<u8>(th, 12) >>> 4) << 2);
  if (data >= length) return;
  const at = ip + <usize>data, size = length - data;
  // Commands are looked for only where a line begins: behind the last line seen in this direction (find_nl_seq).
  const seq = be32(th, 4), direction = <usize>reply;
  const note = ctFtp(ct);
  if (note == 0) return;
  const known = load<u32>(note + 8 + (direction << 2)) != 0;
  const begins = known && load<u32>(note + (direction << 2)) == seq;
  const ends = load<u8>(at + <usize>(size - 1)) == 10;
  if (begins) command(nf, ct, at, size, reply);
  if (ends) {
    store<u32>(note + (direction << 2), seq + size);
    store<u32>(note + 8 + (direction << 2), 1);
  }
}

/** Where FTP's notes on lines stand: in the connection's extension, made for it. */
function ctFtp(ct: Conntrack): usize {
  if (ct.ftp == 0) ct.ftp = kmalloc(FTP_BYTES);
  return ct.ftp;
}
export const FTP_BYTES: u32 = 16;

function command(nf: NfNet, ct: Conntrack, at: usize, size: u32, reply: bool): void {
  let i: u32 = 0;
  if (!reply) {
    // PORT h1,h2,h3,h4,p1,p2
    if (size < 5 || (load<u32>(at) | 0x20202020) != 0x74726f70 || load<u8>(at, 4) != 32) return;
    i = 5;
  } else {
    // 227 … (h1,h2,h3,h4,p1,p2)
    if (size < 4 || (load<u32>(at) & 0xffffff) != 0x373232) return;
    while (i < size && load<u8>(at + <usize>i) != 40) i++;
    i++;
  }
  let numbers: u64 = 0;
  for (let n: u32 = 0; n < 6; n++) {
    let value: u32 = 0, digits: u32 = 0;
    while (i < size) {
      const c = <u32>load<u8>(at + <usize>i) - 48;
      if (c > 9) break;
      value = value * 10 + c;
      i++;
      if (++digits > 3) return;
    }
    if (digits == 0 || value > 255) return;
    numbers = (numbers << 8) | <u64>value;
    if (n < 5) {
      if (i >= size || load<u8>(at + <usize>i) != 44) return;
      i++;
    }
  }
  const from = Tuple.at(ctTuple(ct, reply)), peer = Tuple.at(ctTuple(ct, !reply));
  const address = bswap<u32>(<u32>(numbers >> 16)), port = bswap<u16>(<u16>numbers);
  // Only a host's own address counts (loose is off).
  if (address != from.src) return;
  announce(nf, ct, IPPROTO_TCP, peer.src, peer.dst, port);
}
