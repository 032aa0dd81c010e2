// What rules read and write of the packet's connection, net/netfilter/nft_ct.c, and the statements that decide about it or about the
// packet: nft_nat.c, nft_masq.c, nft_redir.c, nft_reject_inet.c.
import {
  IPS_CONFIRMED, IPS_HELPER, IP_CT_UNTRACKED, NAT_RANGE_BYTES, NAT_RANGE_MAP_IPS, NAT_RANGE_PROTO_SPECIFIED, NF_DROP, REJECT_TCP_RESET, TARGET_MASQUERADE,
  TARGET_REDIRECT,
} from "../abi/netfilter";
import {
  NFTCT_AVGPKT, NFTCT_BYTES, NFTCT_DIRECTION, NFTCT_DST, NFTCT_EXPIRATION, NFTCT_HELPER, NFTCT_L3PROTO, NFTCT_MARK, NFTCT_PKTS, NFTCT_PROTOCOL, NFTCT_PROTO_DST,
  NFTCT_PROTO_SRC, NFTCT_SRC, NFTCT_STATE, NFTCT_STATUS, NFTCT_ZONE, NFTV_BREAK, NFTV_CONTINUE, NFT_NO_REGISTER,
} from "../abi/nft";
import {
  HELPER_FTP, HELPER_TFTP, NAT_RANGE6_BYTES, REJECT6_TCP_RESET, TARGET_DNAT6, TARGET_MASQUERADE6, TARGET_REDIRECT6, TARGET_SNAT6,
} from "../abi/xtables";
import { Netns, Skb } from "../layout";
import { kfree, kmalloc } from "../mm/slab";
import { IPPROTO_TCP } from "../wire/ipv4";
import { ctAcct } from "../netfilter/conntrack-ext";
import { Conntrack, ctExpires, ctIsReply, ctTuple, skbCt } from "../netfilter/conntrack";
import { bytes6 } from "../netfilter/address6";
import { isV6 } from "../netfilter/l3";
import { NatRange, natSetup, natTarget, natTarget6 } from "../netfilter/nat";
import { reject6 } from "../netfilter/target-ipv6";
import { reject } from "../netfilter/target-reject";
import { Tuple } from "../netfilter/tuple";

/** NF_NAT_RANGE_NETMAP, include/uapi/linux/netfilter/nf_nat.h */
const RANGE_NETMAP: u32 = 64;

@inline function put(register: usize, value: u32): u32 {
  store<u32>(register, bswap<u32>(value));
  return NFTV_CONTINUE;
}

/** nft_ct_get_eval. */
export function nftCt(op: usize, register: usize, skb: Skb): u32 {
  const key = <u32>load<u8>(op, 4), given = <u32>load<u8>(op, 5), tracked = skb.nfct != 0;
  if (key == NFTCT_STATE) {
    return put(register, tracked ? 1 << (skb.ctinfo % 3 + 1) : skb.ctinfo == IP_CT_UNTRACKED ? 64 : 1);
  }
  if (!tracked) return NFTV_BREAK;
  const ct = skbCt(skb), reply = given == 255 ? ctIsReply(skb.ctinfo) : given != 0, tuple = Tuple.at(ctTuple(ct, reply));
  switch (key) {
    case NFTCT_DIRECTION: return put(register, ctIsReply(skb.ctinfo) ? 1 << 24 : 0);
    case NFTCT_STATUS: return put(register, ct.status);
    case NFTCT_MARK: return put(register, ct.mark);
    case NFTCT_EXPIRATION: return put(register, !(ct.status & IPS_CONFIRMED) ? 0 : <u32>min<u64>(ctExpires(ct) / 1_000_000, 0xffffffff));
    case NFTCT_L3PROTO: return put(register, (tuple.family != 0 ? <u32>10 : 2) << 24);
    case NFTCT_PROTOCOL: return put(register, <u32>tuple.proto << 24);
    case NFTCT_SRC: case NFTCT_DST: {
      const family = <u32>load<u8>(op, 6);
      if (family != 0 && (family == 10) != (tuple.family != 0)) return NFTV_BREAK;
      const address = key == NFTCT_SRC ? tuple.src : tuple.dst;
      if (tuple.family != 0) memory.copy(register, bytes6(address), 16);
      else store<u32>(register, address);
      return NFTV_CONTINUE;
    }
    case NFTCT_PROTO_SRC: store<u32>(register, <u32>tuple.sport); return NFTV_CONTINUE;
    case NFTCT_PROTO_DST: store<u32>(register, <u32>tuple.dport); return NFTV_CONTINUE;
    case NFTCT_PKTS: case NFTCT_BYTES: case NFTCT_AVGPKT: {
      // Nothing is counted while net.netfilter.nf_conntrack_acct is off.
      const acct = ctAcct(ct);
      let packets: u64 = 0, octets: u64 = 0;
      if (acct != 0 && given != 1) {
        packets = load<u64>(acct);
        octets = load<u64>(acct, 8);
      }
      if (acct != 0 && given != 0) {
        packets += load<u64>(acct, 16);
        octets += load<u64>(acct, 24);
      }
      const value = key == NFTCT_PKTS ? packets : key == NFTCT_BYTES ? octets : packets == 0 ? 0 : octets / packets;
      store<u64>(register, bswap<u64>(value));
      return NFTV_CONTINUE;
    }
    case NFTCT_HELPER: {
      // Of the connection that this one was expected by.
      const helper = ct.master == 0 ? <u32>0 : <u32>changetype<Conntrack>(ct.master).helper;
      if (helper != HELPER_FTP && helper != HELPER_TFTP) return NFTV_BREAK;
      store<u64>(register, helper == HELPER_FTP ? 0x707466 : 0x70746674);
      store<u64>(register, 0, 8);
      return NFTV_CONTINUE;
    }
    case NFTCT_ZONE: return put(register, <u32>tuple.zone << 16);
    default: return NFTV_BREAK;
  }
}

export function nftCtSet(key: u32, register: usize, skb: Skb): void {
  const value = bswap<u32>(load<u32>(register));
  if (key == NFTCT_ZONE) {
    if (skb.nfct != 0) return;
    skb.ctZone = value >>> 16 | (value & 0xffff0000);
    skb.ctTemplate |= 1 << 31;
    return;
  }
  if (skb.nfct == 0) return;
  const ct = skbCt(skb);
  if (key == NFTCT_MARK) ct.mark = value;
  else if (key == NFTCT_HELPER && !(ct.status & IPS_CONFIRMED) && ct.helper == 0) {
    ct.helper = <u8>value;
    ct.status |= IPS_HELPER;
  }
}

export function nftNotrack(skb: Skb): void {
  if (skb.nfct == 0) skb.ctinfo = IP_CT_UNTRACKED;
}

const NOT: u32 = 0xffffffff;

@inline function addressAt(frame: usize, register: u32): u32 {
  return bswap<u32>(load<u32>(frame + (<usize>register << 2)));
}
@inline function portAt(frame: usize, register: u32): u16 {
  return bswap<u16>(load<u16>(frame + (<usize>register << 2)));
}

function ports(range: NatRange, frame: usize, lo: u32, hi: u32): void {
  if (lo == NFT_NO_REGISTER) return;
  range.flags |= NAT_RANGE_PROTO_SPECIFIED;
  range.portLo = portAt(frame, lo);
  range.portHi = portAt(frame, hi == NFT_NO_REGISTER ? lo : hi);
}

/** nft_nat_eval. */
export function nftNat(op: usize, frame: usize, skb: Skb, ns: Netns, hook: u32): u32 {
  if (skb.nfct == 0) return NF_DROP;
  // nft_nat_inet_eval: packets of the other family are not its concern.
  const six = isV6(skb.network);
  if ((load<u8>(op, 9) == 10) != six) return NFTV_CONTINUE;
  if (six) return nat6(op, frame, skb, ns);
  const at = kmalloc(NAT_RANGE_BYTES);
  if (at == 0) return NF_DROP;
  const range = changetype<NatRange>(at), destination = load<u8>(op, 4) != 0, lo = <u32>load<u8>(op, 5), hi = <u32>load<u8>(op, 6);
  range.flags = load<u32>(op, 12) & 63;
  if (lo != NFT_NO_REGISTER) {
    range.flags |= NAT_RANGE_MAP_IPS;
    range.lo = addressAt(frame, lo);
    range.hi = addressAt(frame, hi == NFT_NO_REGISTER ? lo : hi);
    if (load<u32>(op, 12) & RANGE_NETMAP) {
      // nft_nat_setup_netmap: the prefix of the range, the rest of the packet's address.
      const address = bswap<u32>(load<u32>(skb.network + (destination ? 16 : 12))), mask = ~(range.lo ^ range.hi);
      range.lo = (address & ~mask) | (range.lo & mask);
      range.hi = range.lo;
    }
    if (range.hi < range.lo) range.hi = range.lo;
  }
  ports(range, frame, <u32>load<u8>(op, 7), <u32>load<u8>(op, 8));
  const verdict = natSetup(skbCt(skb), ns, at, !destination);
  kfree(at, NAT_RANGE_BYTES);
  return verdict;
}

/** A port of a range of IPv6 (the data of TARGET_SNAT6). */
function ports6(at: usize, frame: usize, lo: u32, hi: u32): void {
  if (lo == NFT_NO_REGISTER) return;
  store<u32>(at, load<u32>(at) | NAT_RANGE_PROTO_SPECIFIED);
  store<u16>(at, portAt(frame, lo), 36);
  store<u16>(at, portAt(frame, hi == NFT_NO_REGISTER ? lo : hi), 38);
}

function nat6(op: usize, frame: usize, skb: Skb, ns: Netns): u32 {
  const at = kmalloc(NAT_RANGE6_BYTES);
  if (at == 0) return NF_DROP;
  const destination = load<u8>(op, 4) != 0, lo = <u32>load<u8>(op, 5), hi = <u32>load<u8>(op, 6);
  store<u32>(at, load<u32>(op, 12) & 63);
  if (lo != NFT_NO_REGISTER) {
    const from = frame + (<usize>lo << 2), to = frame + (<usize>(hi == NFT_NO_REGISTER ? lo : hi) << 2);
    store<u32>(at, load<u32>(at) | NAT_RANGE_MAP_IPS);
    memory.copy(at + 4, from, 16);
    memory.copy(at + 20, to, 16);
    if (load<u32>(op, 12) & RANGE_NETMAP) {
      const address = skb.network + (destination ? 24 : 8);
      for (let i: usize = 0; i < 16; i += 8) {
        const mask = ~(load<u64>(from + i) ^ load<u64>(to + i)), value = (load<u64>(address + i) & ~mask) | (load<u64>(from + i) & mask);
        store<u64>(at + 4 + i, value);
        store<u64>(at + 20 + i, value);
      }
    }
  }
  ports6(at, frame, <u32>load<u8>(op, 7), <u32>load<u8>(op, 8));
  const verdict = natTarget6(destination ? TARGET_DNAT6 : TARGET_SNAT6, skb, ns, 0, 0, 0, at);
  kfree(at, NAT_RANGE6_BYTES);
  return verdict;
}

/** nft_masq_ipv4_eval, nft_redir_ipv4_eval. */
export function nftRedirect(op: usize, frame: usize, skb: Skb, ns: Netns, hook: u32, inDev: usize, outDev: usize,
  masquerade: bool): u32 {
  if (isV6(skb.network)) {
    const range6 = kmalloc(NAT_RANGE6_BYTES);
    if (range6 == 0) return NF_DROP;
    store<u32>(range6, load<u32>(op, 8) & 63);
    ports6(range6, frame, <u32>load<u8>(op, 4), <u32>load<u8>(op, 5));
    const result = natTarget6(masquerade ? TARGET_MASQUERADE6 : TARGET_REDIRECT6, skb, ns, hook, inDev, outDev, range6);
    kfree(range6, NAT_RANGE6_BYTES);
    return result;
  }
  const at = kmalloc(NAT_RANGE_BYTES);
  if (at == 0) return NF_DROP;
  const range = changetype<NatRange>(at);
  range.flags = load<u32>(op, 8) & 63;
  ports(range, frame, <u32>load<u8>(op, 4), <u32>load<u8>(op, 5));
  const verdict = natTarget(masquerade ? TARGET_MASQUERADE : TARGET_REDIRECT, skb, ns, hook, inDev, outDev, at);
  kfree(at, NAT_RANGE_BYTES);
  return verdict;
}

export function nftReject(how: u32, how6: u32, skb: Skb, ns: Netns): u32 {
  const six = isV6(skb.network);
  if ((six ? how6 : how) == NOT) return NFTV_BREAK;
  if (six) return how6 == REJECT6_TCP_RESET && skb.nextHeader != IPPROTO_TCP ? NF_DROP : reject6(how6, skb, ns);
  return how == REJECT_TCP_RESET && <u32>load<u8>(skb.network, 9) != IPPROTO_TCP ? NF_DROP : reject(how, skb, ns);
}
