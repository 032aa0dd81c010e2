// Helpers on packets (net/core/filter.c): bytes, checksums, metadata. What makes room is in skb-room.ts.
import { EACCES, EFAULT, EINVAL, ENODEV, ENOMEM, EOPNOTSUPP } from "../../abi/core";
import { NetDevice, Skb } from "../../layout";
import { hashWord, mix32 } from "../../mm/hash";
import { isLayer3 } from "../../net/tunnel";
import { skbLength } from "../../net/skb";
import { deviceFind } from "../../net/devices";
import { Netns } from "../../layout";
import { VLAN_HEADER_LEN, isVlanType } from "../../net/vlan";
import { be16 } from "../../wire/bytes";
import { ETH_HEADER_LEN, ETH_P_IP, ETH_P_IPV6 } from "../../wire/ethernet";
import { IPPROTO_TCP, IPPROTO_UDP, IPV4_HEADER_LEN } from "../../wire/ipv4";
import { IPV6_HEADER_LEN } from "../../wire/ipv6";
import { bpfCopy, bpfFill, bpfReadable, bpfWritable } from "../memory";
import { skbCtxRefresh, skbCtxStore } from "../hooks/context";
import { RUN_SKB } from "../run";
import { HookRun } from "../hooks/state";

/** A helper's negative answer. */
@inline export function failed(errno: i32): u64 {
  return <u64><i64>-errno;
}

// Checksums in the arithmetic of include/net/checksum.h: results are the same to the bit, zeros of both kinds included.

@inline function csumAdd(a: u32, b: u32): u32 {
  const sum = a + b;
  return sum + u32(sum < b);
}
@inline function csumFold(sum: u32): u32 {
  return (~(sum + (sum >>> 16 | sum << 16))) >>> 16;
}

/** csum_replace4 */
@inline function csumReplace4(field: usize, from: u32, to: u32): void {
  store<u16>(field, <u16>csumFold(csumAdd(csumAdd(~<u32>load<u16>(field), ~from), to)));
}

/** csum_replace2 */
function csumReplace2(field: usize, from: u32, to: u32): void {
  const a = ~<u32>load<u16>(field) & 0xffff, b = ~from & 0xffff;
  let sum = (a + b) & 0xffff;
  sum = (sum + u32(sum < b)) & 0xffff;
  const last = (sum + (to & 0xffff)) & 0xffff;
  store<u16>(field, <u16>~(last + u32(last < (to & 0xffff))));
}

/** Where `length` bytes from `offset` on stand; 0: the packet ends before. */
@inline function pointer(skb: Skb, offset: u32, length: u32): usize {
  const bytes = skbLength(skb);
  return offset <= bytes && length <= bytes - offset ? skb.data + <usize>offset : 0;
}

export function skbStoreBytes(r: HookRun, offset: u32, from: u64, length: u32, flags: u64): u64 {
  if ((flags & ~<u64>3) != 0) return failed(EINVAL);
  if (offset > 0x7fffffff || !bpfReadable(from, length)) return failed(EFAULT);
  const skb = changetype<Skb>(r.skb), at = pointer(skb, offset, length);
  if (at == 0) return failed(EFAULT);
  bpfCopy(at, <usize>from, <usize>length);
  if (flags & 2) clearHash(r, skb);
  return 0;
}

export function skbLoadBytes(r: HookRun, offset: u32, to: u64, length: u32): u64 {
  if (!bpfWritable(to, length)) return failed(EFAULT);
  const at = offset > 0x7fffffff ? 0 : pointer(changetype<Skb>(r.skb), offset, length);
  if (at == 0) {
    bpfFill(<usize>to, 0, <usize>length);
    return failed(EFAULT);
  }
  bpfCopy(<usize>to, at, <usize>length);
  return 0;
}

/** `start`: 0 the Ethernet header, 1 the network header. */
export function skbLoadBytesRelative(r: HookRun, offset: u32, to: u64, length: u32, start: u32): u64 {
  if (!bpfWritable(to, length)) return failed(EFAULT);
  const skb = changetype<Skb>(r.skb);
  const from = start == 0 ? skb.mac : start == 1 ? skb.network : 0;
  if (offset > 0xffff || from == 0 || from > skb.tail || <u64>offset + <u64>length > <u64>(skb.tail - from)) {
    bpfFill(<usize>to, 0, <usize>length);
    return failed(EFAULT);
  }
  bpfCopy(<usize>to, from + <usize>offset, <usize>length);
  return 0;
}

export function skbPullData(r: HookRun, length: u32): u64 {
  return length > skbLength(changetype<Skb>(r.skb)) ? failed(ENOMEM) : 0;
}

export function l3CsumReplace(r: HookRun, offset: u32, from: u64, to: u64, flags: u64): u64 {
  if ((flags & ~<u64>15) != 0) return failed(EINVAL);
  if (offset > 0xffff || (offset & 1) != 0) return failed(EFAULT);
  const at = pointer(changetype<Skb>(r.skb), offset, 2);
  if (at == 0) return failed(EFAULT);
  switch (<u32>flags) {
    case 0: {
      if (from != 0) return failed(EINVAL);
      store<u16>(at, <u16>csumFold(csumAdd(<u32>to, ~<u32>load<u16>(at))));
      return 0;
    }
    case 2: csumReplace2(at, <u32>from, <u32>to); return 0;
    case 4: csumReplace4(at, <u32>from, <u32>to); return 0;
    default: return failed(EINVAL);
  }
}

const BPF_F_PSEUDO_HDR: u64 = 0x10, BPF_F_MARK_MANGLED_0: u64 = 0x20, BPF_F_MARK_ENFORCE: u64 = 0x40, BPF_F_IPV6: u64 = 0x80;

export function l4CsumReplace(r: HookRun, offset: u32, from: u64, to: u64, flags: u64): u64 {
  if ((flags & ~(BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0 | BPF_F_MARK_ENFORCE | BPF_F_IPV6 | 15)) != 0) return failed(EINVAL);
  if (offset > 0xffff || (offset & 1) != 0) return failed(EFAULT);
  const at = pointer(changetype<Skb>(r.skb), offset, 2);
  if (at == 0) return failed(EFAULT);
  const mangled = (flags & BPF_F_MARK_MANGLED_0) != 0;
  if (mangled && (flags & BPF_F_MARK_ENFORCE) == 0 && load<u16>(at) == 0) return 0;
  switch (<u32>flags & 15) {
    case 0: {
      if (from != 0) return failed(EINVAL);
      // inet_proto_csum_replace_by_diff
      store<u16>(at, <u16>csumFold(csumAdd(<u32>to, ~<u32>load<u16>(at))));
      break;
    }
    case 2: csumReplace4(at, <u32>from & 0xffff, <u32>to & 0xffff); break;
    case 4: csumReplace4(at, <u32>from, <u32>to); break;
    default: return failed(EINVAL);
  }
  if (mangled && load<u16>(at) == 0) store<u16>(at, 0xffff);
  return 0;
}

/** Received checksums are not kept with a packet here: there is nothing to update, and none is known to be right. */
export function csumLevel(level: u64): u64 {
  return level == 0 ? failed(EACCES) : level > 3 ? failed(EINVAL) : 0;
}

export function skbChangeType(r: HookRun, type: u32): u64 {
  const skb = changetype<Skb>(r.skb);
  if (skb.pktType > 3 || type > 3) return failed(EINVAL);
  skbCtxStore(r);
  skb.pktType = type;
  skbCtxRefresh(r);
  return 0;
}

// Hashes

function clearHash(r: HookRun, skb: Skb): void {
  skbCtxStore(r);
  skb.hash = 0;
  skbCtxRefresh(r);
}

export function setHashInvalid(r: HookRun): u64 {
  clearHash(r, changetype<Skb>(r.skb));
  return 0;
}

export function setHash(r: HookRun, hash: u32): u64 {
  skbCtxStore(r);
  changetype<Skb>(r.skb).hash = hash;
  skbCtxRefresh(r);
  return 0;
}

export function getHashRecalc(r: HookRun): u64 {
  const skb = changetype<Skb>(r.skb);
  if (skb.hash == 0) {
    skbCtxStore(r);
    skb.hash = skbHash(skb);
    skbCtxRefresh(r);
  }
  return <u64>skb.hash;
}

/** A hash of addresses, protocol and ports, never 0 (skb_get_hash): the same in both directions, as __skb_get_hash's keys are sorted. */
export function skbHash(skb: Skb): u32 {
  const ip = skb.network;
  if (ip == 0 || ip + IPV4_HEADER_LEN > skb.tail) return 1;
  const version = <u32>load<u8>(ip) >>> 4;
  let h: u32, protocol: u32, l4: usize;
  if (version == 4) {
    const a = load<u32>(ip, 12), b = load<u32>(ip, 16);
    h = hashWord(hashWord(0x6b77, min<u32>(a, b)), max<u32>(a, b));
    protocol = <u32>load<u8>(ip, 9);
    l4 = (load<u16>(ip, 6) & 0xff3f) != 0 ? 0 : ip + <usize>((<u32>load<u8>(ip) & 15) << 2);
  } else if (version == 6 && ip + IPV6_HEADER_LEN <= skb.tail) {
    h = 0;
    for (let i: usize = 8; i < 24; i += 4) h += hashWord(hashWord(<u32>i, load<u32>(ip + i)), 0) ^ hashWord(hashWord(<u32>i, load<u32>(ip + i, 16)), 0);
    protocol = <u32>load<u8>(ip, 6);
    l4 = ip + IPV6_HEADER_LEN;
  } else return 1;
  if (l4 != 0 && (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP) && l4 + 4 <= skb.tail) {
    const a = <u32>load<u16>(l4), b = <u32>load<u16>(l4, 2);
    h = hashWord(h, min<u32>(a, b) << 16 | max<u32>(a, b));
  }
  h = mix32(hashWord(h, protocol));
  return h == 0 ? 1 : h;
}

/** skb_protocol behind all tags, those in the bytes too. */
function innerProtocol(skb: Skb): u32 {
  let protocol = skb.protocol, at = skb.mac + ETH_HEADER_LEN;
  for (let depth: u32 = 0; depth < 8 && isVlanType(protocol); depth++) {
    if (at + VLAN_HEADER_LEN > skb.tail) return 0;
    protocol = be16(at, 2);
    at += VLAN_HEADER_LEN;
  }
  return protocol;
}

/** INET_ECN_set_ce: at the network header, whatever stands between it and the protocol. */
export function ecnSetCe(r: HookRun): u64 {
  const skb = changetype<Skb>(r.skb), ip = skb.network, protocol = innerProtocol(skb);
  if (protocol == ETH_P_IP) {
    if (ip == 0 || ip + IPV4_HEADER_LEN > skb.tail) return 0;
    const tos = <u32>load<u8>(ip, 1), ecn = (tos + 1) & 3;
    if ((ecn & 2) == 0) return ecn == 0 ? 1 : 0;
    store<u8>(ip, <u8>(tos | 3), 1);
    csumReplace2(ip + 10, tos << 8, (tos | 3) << 8);
    return 1;
  }
  if (protocol != ETH_P_IPV6 || ip == 0 || ip + IPV6_HEADER_LEN > skb.tail) return 0;
  if ((load<u8>(ip, 1) & 0x30) == 0) return 0;
  store<u8>(ip, load<u8>(ip, 1) | 0x30, 1);
  return 1;
}

export function skbSetTstamp(r: HookRun, time: u64, type: u32): u64 {
  const skb = changetype<Skb>(r.skb);
  if (skb.protocol != ETH_P_IP && skb.protocol != ETH_P_IPV6) return failed(EOPNOTSUPP);
  if (type > 2 || (type != 0 && time == 0)) return failed(EINVAL);
  skbCtxStore(r);
  skb.tstamp = time;
  skb.tcIndex = (skb.tcIndex & ~(<u32>3 << 16)) | type << 16;
  skbCtxRefresh(r);
  return 0;
}

/** dev->hard_header_len */
export function hardHeader(dev: NetDevice): u32 {
  return isLayer3(dev.kind) ? 0 : ETH_HEADER_LEN;
}

/** bpf_skb_check_mtu, bpf_xdp_check_mtu: 0 it fits, 1 it has to be fragmented. */
export function checkMtu(r: HookRun, ifindex: u32, at: u64, difference: i32, flags: u64): u64 {
  if (!bpfReadable(at, 4) || !bpfWritable(at, 4)) return failed(EFAULT);
  const skb = changetype<Skb>(r.skb);
  let length = load<u32>(<usize>at);
  if ((flags & ~<u64>(r.kind == RUN_SKB ? 1 : 0)) != 0) return failed(EINVAL);
  if ((flags & 1) != 0 && (difference != 0 || length != 0)) return failed(EINVAL);
  const found = ifindex == 0 ? r.dev : deviceFind(changetype<Netns>(r.ns), ifindex);
  if (found == 0) return failed(ENODEV);
  const dev = changetype<NetDevice>(found), header = hardHeader(dev);
  length = length != 0 ? length + header : skbLength(skb);
  store<u32>(<usize>at, dev.mtu);
  return <i32>(length + <u32>difference) > <i32>(dev.mtu + header) ? 1 : 0;
}
