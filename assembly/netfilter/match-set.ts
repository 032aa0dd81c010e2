// The match of IP sets and the target that changes them: net/netfilter/xt_set.c. What a packet is to a set stands in a key made from
// it, as the kadt functions of net/netfilter/ipset/ip_set_*.c make it.
import {
  IPSETE_CIDR, IPSETE_CIDR2, IPSETE_IP, IPSETE_IP2, IPSETE_KEY_BYTES, IPSETE_NAME, IPSETE_PORT, IPSETE_PROTO, IPSETE_TIMEOUT, IPSETO_COUNTERS,
  IPSET_NOMATCH, KIND_BITMAP, KIND_IFACE, KIND_IP, KIND_IP2, KIND_LIST, KIND_MAC, KIND_MARK, KIND_NET, KIND_NET2, KIND_PORT,
  IPSETE_BYTES,
} from "../abi/ipset";
import { SETDIM_DESTINATION, SETFLAG_RETURN_NOMATCH, SETFLAG_SKIP_COUNTERS, SETFLAG_SKIP_SUBCOUNTERS } from "../abi/netfilter";
import { SETT_EXIST, SETT_MAP_MARK, SETT_MAP_PRIO } from "../abi/xtables";
import { NetDevice, Skb } from "../layout";
import { kfree, kmalloc } from "../mm/slab";
import { be16 } from "../wire/bytes";
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../wire/ipv4";
import { IPPROTO_ICMPV6 } from "../wire/ipv6";
import { fragmentUnits, ipBytes, ipLength, isV6, l4Offset, l4Protocol } from "./l3";
import { Element, IpSet, hostBits, ipsetAdd, ipsetDel, ipsetFind, ipsetLongest, ipsetLookup, isSix, keyAddress6, network6, prefixMask } from "./ipset";
import { NfNet, XtTable } from "./state";
import { protoHasPorts } from "./tuple";

export const SET_STATE_AT: u32 = 8;
export const SET_NAME_AT: u32 = 12;
const SCRATCH: u32 = IPSETE_BYTES;

// What a look-up in a set found, beside the element.
const NOT_IN: u32 = 0, IN: u32 = 1, NOMATCH: u32 = 2;

/** state {u32 set}; a reference. False: there is no such set. */
export function setInit(d: usize, state: usize, nf: NfNet): bool {
  return take(d + SET_NAME_AT, state, nf);
}
export function setCountersInit(d: usize, state: usize, nf: NfNet): bool {
  return take(d + 32, state, nf);
}

function take(name: usize, state: usize, nf: NfNet): bool {
  const at = ipsetFind(nf, name);
  store<usize>(state, at);
  if (at != 0) changetype<IpSet>(at).refs++;
  return at != 0;
}

/** The rule is gone. */
export function setExit(state: usize): void {
  const at = load<usize>(state);
  if (at != 0) changetype<IpSet>(at).refs--;
}

/** Data of MATCH_SET: u32 dimensions, u32 SETFLAG_*. */
export function matchSet(d: usize, skb: Skb, t: XtTable, inDev: usize, outDev: usize): bool {
  const set = changetype<IpSet>(load<usize>(t.state + <usize>load<u32>(d, SET_STATE_AT)));
  return test(set, load<u32>(d), load<u32>(d, 4), skb, inDev, outDev, 0, 0);
}

/** Data of MATCH_SET_COUNTERS: {state, dims, flags, u8 op, u8 op, u16, u64 packets, u64 bytes, name}. */
export function matchSetCounters(d: usize, skb: Skb, t: XtTable, inDev: usize, outDev: usize): bool {
  const set = changetype<IpSet>(load<usize>(t.state + <usize>load<u32>(d)));
  return test(set, load<u32>(d, 4), load<u32>(d, 8), skb, inDev, outDev, d + 12, 0);
}

/** ip_set_test. `counters`: {u8 op, u8 op, u16 0, u64, u64} or 0; `found`: where the element goes, or 0. */
function test(set: IpSet, dims: u32, flags: u32, skb: Skb, inDev: usize, outDev: usize, counters: usize, found: usize): bool {
  if (set.kind & KIND_LIST) {
    for (let at = set.head; at != 0; at = changetype<Element>(at).after) {
      const e = changetype<Element>(at);
      const inner = flags & SETFLAG_SKIP_SUBCOUNTERS ? flags | SETFLAG_SKIP_COUNTERS : flags;
      if (!test(changetype<IpSet>(e.member), dims, inner, skb, inDev, outDev, 0, found)) continue;
      if (counted(set, e, flags, skb, counters)) return true;
    }
    return false;
  }
  const key = kmalloc(SCRATCH);
  if (key == 0) return false;
  let result = NOT_IN;
  if (keyOf(set, key, dims, skb, inDev, outDev)) {
    const at = ipsetLookup(set, key);
    if (at != 0) {
      const e = changetype<Element>(at);
      if (counted(set, e, flags, skb, counters)) result = e.flags & IPSET_NOMATCH ? NOMATCH : IN;
      if (found != 0) store<usize>(found, at);
    }
  }
  kfree(key, SCRATCH);
  const wantNomatch = (flags & SETFLAG_RETURN_NOMATCH) != 0 && (set.kind & (KIND_NET | KIND_NET2)) != 0;
  return result == (wantNomatch ? NOMATCH : IN);
}

/** ip_set_match_extensions: counts, then compares what was counted. */
function counted(set: IpSet, e: Element, flags: u32, skb: Skb, counters: usize): bool {
  if (!(set.options & IPSETO_COUNTERS)) return true;
  if (!(flags & SETFLAG_SKIP_COUNTERS)) {
    e.packets++;
    e.bytes += <u64>ipLength(skb);
  }
  return counters == 0 || (compare(<u32>load<u8>(counters), e.packets, load<u64>(counters, 4))
    && compare(<u32>load<u8>(counters, 1), e.bytes, load<u64>(counters, 12)));
}

/** IPSET_COUNTER_*: none, equal, not equal, less, greater. */
function compare(operation: u32, have: u64, want: u64): bool {
  switch (operation) {
    case 1: return have == want;
    case 2: return have != want;
    case 3: return have < want;
    case 4: return have > want;
    default: return true;
  }
}

/** The direction of dimension `i`: 1 source, 2 destination, 0: not given. */
@inline function dimension(dims: u32, i: u32): u32 { return (dims >>> (i << 1)) & 3; }

/** The packet's key; false: it has none (too few dimensions, no ports, no address). */
function keyOf(set: IpSet, key: usize, dims: u32, skb: Skb, inDev: usize, outDev: usize): bool {
  const ip = skb.network, kind = set.kind;
  memory.fill(key, 0, IPSETE_KEY_BYTES);
  // ip_set_test: sets of the other family; those without addresses are of both.
  const six = isSix(set);
  if (kind & (KIND_IP | KIND_NET | KIND_IP2 | KIND_NET2) && isV6(ip) != six) return false;
  let next: u32 = 0;
  if (kind & (KIND_IP | KIND_NET)) {
    const direction = dimension(dims, next++);
    if (direction == 0) return false;
    const address = six ? address6Of(set, ip, direction) : load<u32>(ip + (direction == SETDIM_DESTINATION ? 16 : 12)) & set.mask;
    if (kind & KIND_BITMAP) {
      const host = bswap<u32>(address);
      if (host < set.first || host > set.last) return false;
    } else if (address == 0 && (six || !(kind & KIND_NET))) return false;
    store<u32>(key, address, IPSETE_IP);
    store<u8>(key, <u8>hostBits(set), IPSETE_CIDR);
  }
  if (kind & KIND_PORT) {
    const direction = dimension(dims, next++);
    if (direction == 0 || !portOf(key, skb, direction == SETDIM_DESTINATION)) return false;
    if (kind & KIND_BITMAP) {
      const protocol = l4Protocol(skb), port = <u32>load<u16>(key, IPSETE_PORT);
      if ((protocol != IPPROTO_TCP && protocol != IPPROTO_UDP) || port < set.first || port > set.last) return false;
      store<u8>(key, 0, IPSETE_PROTO);
    }
  }
  if (kind & KIND_MARK) store<u32>(key, skb.mark & set.mask, IPSETE_IP2);
  if (kind & (KIND_IP2 | KIND_NET2)) {
    const direction = dimension(dims, next++);
    if (direction == 0) return false;
    const address = six ? keyAddress6(ip + (direction == SETDIM_DESTINATION ? 24 : 8), true)
      : load<u32>(ip + (direction == SETDIM_DESTINATION ? 16 : 12));
    if (six && address == 0) return false;
    store<u32>(key, address, IPSETE_IP2);
    store<u8>(key, <u8>hostBits(set), IPSETE_CIDR2);
  }
  if (kind & KIND_MAC) {
    const direction = dimension(dims, next++);
    if (direction == 0 || skb.mac == 0 || inDev == 0) return false;
    const at = skb.mac + (direction == SETDIM_DESTINATION ? 0 : 6);
    store<u32>(key, load<u32>(at), IPSETE_NAME);
    store<u16>(key, load<u16>(at, 4), IPSETE_NAME + 4);
  }
  if (kind & KIND_IFACE) {
    const direction = dimension(dims, next++);
    const dev = direction == SETDIM_DESTINATION ? outDev : inDev;
    if (direction == 0 || dev == 0) return false;
    store<u64>(key, changetype<NetDevice>(dev).name0, IPSETE_NAME);
    store<u64>(key, changetype<NetDevice>(dev).name1, IPSETE_NAME + 8);
  }
  return true;
}

/** The number of the address, or 0: it is none, or there is no memory. */
function address6Of(set: IpSet, ip: usize, direction: u32): u32 {
  const at = ip + (direction == SETDIM_DESTINATION ? 24 : 8);
  if ((load<u64>(at) | load<u64>(at, 8)) == 0 && !(set.kind & KIND_NET)) return 0;
  const whole = keyAddress6(at, true);
  return set.kind & (KIND_MARK | KIND_NET) ? whole : network6(whole, set.mask, true);
}

/** ip_set_get_ip4_port: the port, or type and code of ICMP. */
function portOf(key: usize, skb: Skb, destination: bool): bool {
  const ip = skb.network, protocol = l4Protocol(skb), header = l4Offset(skb);
  if (protocol > 255) return false;
  store<u8>(key, <u8>protocol, IPSETE_PROTO);
  const icmp = protocol == (isV6(ip) ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
  if (!icmp && !protoHasPorts(protocol)) return true;
  if (fragmentUnits(skb) != 0 || header + 4 > ipBytes(skb)) return false;
  store<u16>(key, <u16>be16(ip + <usize>header, icmp || !destination ? 0 : 2), IPSETE_PORT);
  return true;
}

/** The data of one part of TARGET_SET: {u32 dims, 32 bytes name}. */
const PART_BYTES: usize = 36;

/** state of TARGET_SET: {u32 set} of add, del, map. */
export const TARGET_SET_STATE: u32 = 16;

export function targetSetInit(d: usize, state: usize, nf: NfNet): bool {
  for (let i: usize = 0; i < 3; i++) {
    const part = d + 8 + i * PART_BYTES;
    if (load<u8>(part, 4) != 0 && !take(part + 4, state + (i << 2), nf)) return false;
  }
  return true;
}

export function targetSetExit(state: usize): void {
  for (let i: usize = 0; i < 3; i++) setExit(state + (i << 2));
}

/** set_target_v3. */
export function targetSet(d: usize, skb: Skb, t: XtTable, inDev: usize, outDev: usize): void {
  const state = t.state + <usize>load<u32>(d), flags = load<u32>(d, 8 + 3 * PART_BYTES + 4);
  const key = kmalloc(SCRATCH);
  if (key == 0) return;
  for (let i: usize = 0; i < 2; i++) {
    const at = load<usize>(state + (i << 2));
    if (at == 0) continue;
    const dims = load<u32>(d + 8 + i * PART_BYTES);
    const list = changetype<IpSet>(at).kind & KIND_LIST;
    // Of a list the first set that takes it.
    let member = list ? changetype<IpSet>(at).head : at;
    while (member != 0) {
      const set = changetype<IpSet>(list ? changetype<Element>(member).member : member);
      memory.fill(key, 0, SCRATCH);
      if (keyOf(set, key, dims, skb, inDev, outDev)) {
        if (set.kind & KIND_NET) widen(set, key, IPSETE_IP, IPSETE_CIDR, ipsetLongest(set, false));
        if (set.kind & KIND_NET2) widen(set, key, IPSETE_IP2, IPSETE_CIDR2, ipsetLongest(set, true));
        store<u32>(key, load<u32>(d, 8 + 3 * PART_BYTES), IPSETE_TIMEOUT);
        const result = i == 0 ? ipsetAdd(set, key, (flags & SETT_EXIST) != 0) : ipsetDel(set, key);
        if (result >= 0) break;
      }
      member = list ? changetype<Element>(member).after : 0;
    }
  }
  const map = load<usize>(state, 8);
  if (map != 0) {
    store<usize>(key, 0);
    const found = key + SCRATCH - 8;
    store<usize>(found, 0);
    if (test(changetype<IpSet>(map), load<u32>(d + 8 + 2 * PART_BYTES), 0, skb, inDev, outDev, 0, found) && load<usize>(found) != 0) {
      const e = changetype<Element>(load<usize>(found));
      if (flags & SETT_MAP_MARK) skb.mark = (skb.mark & ~e.markMask) ^ e.mark;
      if (flags & SETT_MAP_PRIO) skb.priority = e.prio;
    }
  }
  kfree(key, SCRATCH);
}

function widen(set: IpSet, key: usize, address: usize, length: usize, bits: u32): void {
  const given = load<u32>(key + address);
  store<u32>(key + address, isSix(set) ? network6(given, bits, true) : given & prefixMask(bits));
  store<u8>(key + length, <u8>bits);
}
