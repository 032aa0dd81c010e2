// Dispatch of matches by number, and those of the IP header, the packet's devices and its marks. The others stand in files by
// group: match-l4.ts, match-ct.ts, match-rate.ts, match-set.ts.
import {
  ADDRTYPE_INV_DESTINATION, ADDRTYPE_INV_SOURCE, ADDRTYPE_LIMIT_IN, ADDRTYPE_LIMIT_OUT, EXT_HEADER, HOOK_OUTPUT, HOOK_POSTROUTING, IPRANGE_DESTINATION, IPRANGE_INV_DESTINATION, IPRANGE_INV_SOURCE,
  IPRANGE_SOURCE, MATCH_ADDRTYPE, MATCH_CONNMARK, MATCH_CONNTRACK, MATCH_DESTINATION, MATCH_ECN, MATCH_FRAGMENT,
  MATCH_HASHLIMIT, MATCH_ICMP, MATCH_IN, MATCH_IPRANGE, MATCH_LENGTH, MATCH_LIMIT, MATCH_MAC, MATCH_MARK, MATCH_MULTIPORT,
  MATCH_OUT, MATCH_PKTTYPE, MATCH_PROTOCOL, MATCH_RECENT, MATCH_RPFILTER, MATCH_SET, MATCH_SOURCE, MATCH_STATE,
  MATCH_STATISTIC, MATCH_TCP, MATCH_TOS, MATCH_TTL, MATCH_UDP, RPFILTER_ACCEPT_LOCAL, RPFILTER_INVERT, RPFILTER_LOOSE, RPFILTER_VALID_MARK,
} from "../abi/netfilter";
import { DEV_GRE, DEV_IPIP, DEV_LOOPBACK, DEV_TUN, PACKET_BROADCAST, PACKET_MULTICAST } from "../abi/net";
import { FULL } from "../features";
import { NetDevice, Netns, Skb } from "../layout";
import { FibEntry, fibLookup } from "../net/fib";
import { flowMatch, flowRecording } from "../net/flow";
import { IPSKB_LOOPED } from "../net/ip-input";
import { addressType, selectAddress } from "../net/ip-output";
import { be16, mapped4, raw4 } from "../wire/bytes";
import { isV6 } from "./l3";
import { MATCH_OTHER, match6 } from "./match-ipv6";
import { matchConnmark, matchConntrack, matchState } from "./match-ct";
import { matchEcn, matchIcmp, matchMultiport, matchTcp, matchUdp } from "./match-l4";
import { matchMore } from "./match-more";
import { matchHashlimit, matchLimit, matchRecent, matchStatistic } from "./match-rate";
import { matchSet } from "./match-set";
import { XtTable } from "./state";

export const MATCH_NO: u32 = 0;
export const MATCH_YES: u32 = 1;
/** The packet can not be judged (a header cut short): it is dropped. */
export const MATCH_HOTDROP: u32 = 2;

const LOOPBACK_IFINDEX: u32 = 1;
const RTN_UNICAST: u32 = 1, RTN_LOCAL: u32 = 2; // include/uapi/linux/rtnetlink.h

/** The match at `m` (checked when the table was loaded): MATCH_*. */
export function match(m: usize, skb: Skb, ns: Netns, t: XtTable, table: u32, hook: u32, inDev: usize, outDev: usize): u32 {
  if (FULL && flowRecording(skb)) flowMatch(m, skb);
  const d = m + EXT_HEADER;
  const ip = skb.network;
  const inverted = load<u8>(m, 1) != 0;
  if (isV6(ip)) {
    const answer = match6(m, d, skb, ns, inDev, outDev);
    if (answer != MATCH_OTHER) return answer;
  }
  let yes = false;
  switch (<u32>load<u8>(m)) {
    case MATCH_SOURCE: yes = (load<u32>(ip, 12) & load<u32>(d, 4)) == load<u32>(d); break;
    case MATCH_DESTINATION: yes = (load<u32>(ip, 16) & load<u32>(d, 4)) == load<u32>(d); break;
    case MATCH_IN: yes = nameMatches(inDev, d); break;
    case MATCH_OUT: yes = nameMatches(outDev, d); break;
    case MATCH_PROTOCOL: yes = <u32>load<u8>(ip, 9) == load<u32>(d); break;
    case MATCH_FRAGMENT: yes = (load<u16>(ip, 6) & 0xff1f) != 0; break;
    case MATCH_TCP: return matchTcp(d, skb);
    case MATCH_UDP: return matchUdp(d, skb);
    case MATCH_ICMP: return matchIcmp(d, skb, inverted);
    case MATCH_MULTIPORT: return matchMultiport(d, skb, inverted);
    case MATCH_ADDRTYPE: yes = matchAddrtype(d, skb, ns, inDev, outDev); break;
    case MATCH_CONNTRACK: yes = matchConntrack(d, skb); break;
    case MATCH_STATE: yes = matchState(load<u32>(d), skb); break;
    case MATCH_MARK: yes = (skb.mark & load<u32>(d, 4)) == load<u32>(d); break;
    case MATCH_CONNMARK: return matchConnmark(d, skb, inverted);
    case MATCH_STATISTIC: yes = matchStatistic(d, t); break;
    case MATCH_LIMIT: yes = matchLimit(d, t); break;
    case MATCH_HASHLIMIT: return matchHashlimit(d, skb, t);
    case MATCH_RECENT: return matchRecent(d, skb, t, outDev != 0, inverted);
    case MATCH_LENGTH: {
      const length = be16(ip, 2);
      yes = length >= <u32>load<u16>(d) && length <= <u32>load<u16>(d, 2);
      break;
    }
    case MATCH_TTL: {
      const ttl = <u32>load<u8>(ip, 8), mode = load<u32>(d), value = load<u32>(d, 4);
      yes = mode == 0 ? ttl == value : mode == 1 ? ttl != value : mode == 2 ? ttl < value : ttl > value;
      break;
    }
    case MATCH_TOS: yes = (<u32>load<u8>(ip, 1) & load<u32>(d, 4)) == load<u32>(d); break;
    case MATCH_MAC:
      // A packet that came in by something that has MAC addresses.
      if (skb.mac == 0 || inDev == 0 || (skb.ipFlags & IPSKB_LOOPED) != 0 || hook == HOOK_OUTPUT || !hasMac(changetype<NetDevice>(inDev).kind)) return MATCH_NO;
      yes = load<u32>(skb.mac, 6) == load<u32>(d) && load<u16>(skb.mac, 10) == load<u16>(d, 4);
      break;
    case MATCH_PKTTYPE: yes = matchPkttype(load<u32>(d), skb, hook); break;
    case MATCH_IPRANGE: yes = matchIprange(d, ip); break;
    case MATCH_SET: yes = FULL && matchSet(d, skb, t, inDev, outDev); break;
    case MATCH_ECN: return matchEcn(d, skb);
    case MATCH_RPFILTER: yes = matchRpfilter(load<u32>(d), skb, ns, inDev); break;
    default: return FULL ? matchMore(m, skb, ns, t, inDev, outDev) : MATCH_NO;
  }
  return yes != inverted ? MATCH_YES : MATCH_NO;
}

/** Compares a device's name under a mask; no device has the empty name (ifname_compare). */
function nameMatches(dev: usize, d: usize): bool {
  const a = dev == 0 ? <u64>0 : changetype<NetDevice>(dev).name0, b = dev == 0 ? <u64>0 : changetype<NetDevice>(dev).name1;
  return ((a ^ load<u64>(d)) & load<u64>(d, 16)) == 0 && ((b ^ load<u64>(d, 8)) & load<u64>(d, 24)) == 0;
}

/** net/netfilter/xt_addrtype.c: the local table alone decides. */
function matchAddrtype(d: usize, skb: Skb, ns: Netns, inDev: usize, outDev: usize): bool {
  const flags = load<u32>(d, 4);
  const source = <u32>load<u16>(d), destination = <u32>load<u16>(d, 2);
  const dev = flags & ADDRTYPE_LIMIT_IN ? inDev : flags & ADDRTYPE_LIMIT_OUT ? outDev : 0;
  if (source != 0 && typeIn(source, load<u32>(skb.network, 12), ns, dev) == ((flags & ADDRTYPE_INV_SOURCE) != 0)) return false;
  return destination == 0
    || typeIn(destination, load<u32>(skb.network, 16), ns, dev) != ((flags & ADDRTYPE_INV_DESTINATION) != 0);
}

function typeIn(mask: u32, address: u32, ns: Netns, dev: usize): bool {
  let type = addressType(ns, 0, mapped4(address));
  // Limited to a device, an address of another one is like any other (inet_dev_addr_type).
  if (dev != 0 && type == RTN_LOCAL && !deviceHasAddress(changetype<NetDevice>(dev), address)) type = RTN_UNICAST;
  return (mask & (1 << (type & 31))) != 0;
}

function deviceHasAddress(dev: NetDevice, address: u32): bool {
  return raw4(selectAddress(dev, 0, mapped4(address))) == address;
}

/** net/netfilter/xt_pkttype.c: our own packets that come back to us by their address. */
/** ARPHRD_ETHER */
function hasMac(kind: u32): bool {
  return kind != DEV_LOOPBACK && (!FULL || (kind != DEV_TUN && kind != DEV_IPIP && kind != DEV_GRE));
}

function matchPkttype(want: u32, skb: Skb, hook: u32): bool {
  let type = skb.pktType;
  // The copy of what we send is one only when it comes back (dev_loopback_xmit).
  if (skb.ipFlags & IPSKB_LOOPED && hook != HOOK_POSTROUTING) type = load<u8>(skb.network, 16) >>> 4 == 14 ? PACKET_MULTICAST : PACKET_BROADCAST;
  return type == want;
}

function matchIprange(d: usize, ip: usize): bool {
  const flags = load<u32>(d);
  const source = bswap<u32>(load<u32>(ip, 12)), destination = bswap<u32>(load<u32>(ip, 16));
  if (flags & IPRANGE_SOURCE
    && (source >= load<u32>(d, 4) && source <= load<u32>(d, 8)) == ((flags & IPRANGE_INV_SOURCE) != 0)) return false;
  return !(flags & IPRANGE_DESTINATION)
    || (destination >= load<u32>(d, 12) && destination <= load<u32>(d, 16)) != ((flags & IPRANGE_INV_DESTINATION) != 0);
}

/** net/ipv4/netfilter/ipt_rpfilter.c: would an answer go out where the packet came in? */
function matchRpfilter(flags: u32, skb: Skb, ns: Netns, inDev: usize): bool {
  const inverted = (flags & RPFILTER_INVERT) != 0;
  // rpfilter_is_loopback: also the copy of a group packet that its sender gets.
  if (inDev == 0 || changetype<NetDevice>(inDev).kind == DEV_LOOPBACK || (skb.ipFlags & IPSKB_LOOPED) != 0) return !inverted;
  const address = load<u32>(skb.network, 16), source = load<u32>(skb.network, 12);
  const group = (address & 0xf0) == 0xe0, everybody = address == 0xffffffff;
  if (source == 0 && (everybody || (address & 0xffffff) == 0xe0)) return !inverted;
  const saddr = group || everybody || address == 0 ? 0 : address;
  const at = fibLookup(ns, 0, mapped4(source), 0, mapped4(saddr), LOOPBACK_IFINDEX, 0, flags & RPFILTER_VALID_MARK ? skb.mark : 0, 0);
  let ok = false;
  if (at != 0) {
    const entry = changetype<FibEntry>(at);
    ok = (entry.type == RTN_UNICAST || (entry.type == RTN_LOCAL && (flags & RPFILTER_ACCEPT_LOCAL) != 0))
      && ((flags & RPFILTER_LOOSE) != 0 || entry.dev == inDev);
  }
  return ok != inverted;
}
