// IPv4 options: net/ipv4/ip_options.c. Record route and timestamp are filled in, source routes refused, broken ones answered
// with "parameter problem".
import { DROP_IP_INHDR, DROP_NOT_SPECIFIED, RTN_LOCAL, RTN_UNICAST, SNMP_IP_INHDRERRORS } from "../abi/net";
import { NetDevice, Netns, Skb } from "../layout";
import { node } from "../mm/node";
import { mapped4, putBe32, raw4 } from "../wire/bytes";
import { ICMP_PARAMETERPROB } from "../wire/icmp";
import { IPV4_HEADER_LEN, Ipv4View } from "../wire/ipv4";
import { inetSelectAddr } from "./address";
import { icmpSend } from "./icmp";
import { IPSKB_OPTIONS } from "./ip-input";
import { inetAddrType } from "./route";
import { skbDrop } from "./skb";
import { snmpInc } from "./snmp";

const OPT_END: u32 = 0, OPT_NOOP: u32 = 1, OPT_RR: u32 = 7, OPT_TIMESTAMP: u32 = 68, OPT_LSRR: u32 = 131, OPT_SSRR: u32 = 137,
  OPT_CIPSO: u32 = 134, OPT_RA: u32 = 148;
const TS_TSONLY: u32 = 0, TS_TSANDADDR: u32 = 1, TS_PRESPEC: u32 = 3;
const OPT_COPY: u32 = 0x80;

/** In Skb.ipFlags: this host has written its address into the record of the route, or beside its timestamp. */
const IPSKB_ROUTE_NOTED: u32 = 0x40;
const IPSKB_STAMP_NOTED: u32 = 0x80;
/** In Skb.ipFlags: how far the header was looked through and found sound, 0: not at all. */
const IPSKB_SOUND_SHIFT: u32 = 24;

/** Milliseconds since midnight, of the node's own clock (inet_current_timestamp). */
export function currentTimestamp(): u32 {
  return <u32>((node().now / 1_000_000) % 86_400_000);
}

/**
 * Looks at the options of a packet that came in and writes what this hop adds to them (ip_rcv_options, __ip_options_compile).
 * False: the packet was dropped.
 */
export function ipOptionsReceive(skb: Skb, ns: Netns, dev: NetDevice): bool {
  const header = Ipv4View.at(skb.network).headerLength;
  const bad = compile(skb, ns, dev, header);
  // An answer repeats what was found sound (and a CIPSO label even so).
  let sound = header;
  if (bad > 0) {
    sound = IPV4_HEADER_LEN;
    while (sound < <u32>bad) {
      const kind = <u32>load<u8>(skb.network + <usize>sound);
      const length: u32 = kind == OPT_NOOP ? 1 : sound + 1 < header ? <u32>load<u8>(skb.network + <usize>sound, 1) : 0;
      if (length == 0 || sound + length > header || (sound + length > <u32>bad && kind != OPT_CIPSO)) break;
      sound += length;
    }
  }
  skb.ipFlags = (skb.ipFlags & 0xffffff) | (sound << IPSKB_SOUND_SHIFT);
  if (bad == 0) return true;
  if (bad > 0) {
    icmpSend(skb, ns, ICMP_PARAMETERPROB, 0, bad << 24);
    snmpInc(ns, SNMP_IP_INHDRERRORS);
  }
  skbDrop(skb, ns, changetype<usize>(dev), bad > 0 ? DROP_IP_INHDR : DROP_NOT_SPECIFIED);
  return false;
}

/** 0: fine; above: offset of what is wrong; -1: not wanted here. */
function compile(skb: Skb, ns: Netns, dev: NetDevice, header: u32): i32 {
  const base = skb.network;
  let seen: u32 = 0; // bit 0 source route, 1 record route, 2 timestamp
  let changed = false;
  for (let i = IPV4_HEADER_LEN; i < header;) {
    const at = base + <usize>i;
    const kind = <u32>load<u8>(at);
    if (kind == OPT_END) {
      // What follows the end is made zero.
      for (let j = i + 1; j < header; j++) {
        if (load<u8>(base + <usize>j) != OPT_END) {
          store<u8>(base + <usize>j, OPT_END);
          changed = true;
        }
      }
      break;
    }
    if (kind == OPT_NOOP) {
      i++;
      continue;
    }
    if (header - i < 2) return <i32>i;
    const length = <u32>load<u8>(at, 1);
    if (length < 2 || length > header - i) return <i32>i;
    if (kind == OPT_SSRR || kind == OPT_LSRR) {
      if (length < 3) return <i32>i + 1;
      if (<u32>load<u8>(at, 2) < 4) return <i32>i + 2;
      if (seen & 1) return <i32>i;
      seen |= 1;
    } else if (kind == OPT_RR) {
      if (seen & 2) return <i32>i;
      if (length < 3) return <i32>i + 1;
      const pointer = <u32>load<u8>(at, 2);
      if (pointer < 4) return <i32>i + 2;
      if (pointer <= length) {
        if (pointer + 3 > length) return <i32>i + 2;
        store<u32>(at + <usize>(pointer - 1), specificDestination(skb, ns, dev));
        store<u8>(at, <u8>(pointer + 4), 2);
        skb.ipFlags |= IPSKB_ROUTE_NOTED;
        changed = true;
      }
      seen |= 2;
    } else if (kind == OPT_TIMESTAMP) {
      if (seen & 4) return <i32>i;
      if (length < 4) return <i32>i + 1;
      const pointer = <u32>load<u8>(at, 2);
      if (pointer < 5) return <i32>i + 2;
      const flags = <u32>load<u8>(at, 3) & 15;
      if (pointer <= length) {
        if (pointer + 3 > length) return <i32>i + 2;
        const slot = at + <usize>(pointer - 1);
        if (flags == TS_TSONLY) {
          putBe32(slot, 0, currentTimestamp());
          store<u8>(at, <u8>(pointer + 4), 2);
          changed = true;
        } else if (flags == TS_TSANDADDR) {
          if (pointer + 7 > length) return <i32>i + 2;
          store<u32>(slot, specificDestination(skb, ns, dev));
          putBe32(slot, 4, currentTimestamp());
          store<u8>(at, <u8>(pointer + 8), 2);
          skb.ipFlags |= IPSKB_STAMP_NOTED;
          changed = true;
        } else if (flags == TS_PRESPEC) {
          if (pointer + 7 > length) return <i32>i + 2;
          if (inetAddrType(ns, 0, mapped4(load<u32>(slot))) != RTN_UNICAST) {
            putBe32(slot, 4, currentTimestamp());
            store<u8>(at, <u8>(pointer + 8), 2);
            changed = true;
          }
        }
      } else if (flags != TS_PRESPEC) {
        const overflow = <u32>load<u8>(at, 3) >>> 4;
        if (overflow == 15) return <i32>i + 3;
        store<u8>(at, <u8>((load<u8>(at, 3) & 15) | ((overflow + 1) << 4)), 3);
        changed = true;
      }
      seen |= 4;
    } else if (kind == OPT_RA) {
      if (length < 4) return <i32>i + 1;
    } else if (kind == OPT_CIPSO) {
      // cipso_v4_validate: too short, or a domain of interpretation that nobody configured.
      return <i32>i + (length < 8 ? 1 : 2);
    }
    i += length;
  }
  // The header's checksum is made right when it goes on, not before: who is delivered the packet sees it stale.
  if (changed) skb.ipFlags |= IPSKB_OPTIONS;
  // Source routes: only where net.ipv4.conf.all and the device's both accept them, and then no further than here.
  if ((seen & 1) != 0) return -1;
  return 0;
}

/** The address by which this host is known to the sender (fib_compute_spec_dst). */
function specificDestination(skb: Skb, ns: Netns, dev: NetDevice): u32 {
  const ip = Ipv4View.at(skb.network);
  if (skb.rtType == RTN_LOCAL) return ip.destination;
  return raw4(inetSelectAddr(dev, 0, mapped4(ip.source), 0));
}

/** On the way out: the address noted on the way in was that of the incoming side, what counts is the outgoing one (ip_forward_options). */
export function ipOptionsForward(skb: Skb, ns: Netns): void {
  const base = skb.network;
  const ip = Ipv4View.at(base);
  const header = ip.headerLength;
  const dev = changetype<NetDevice>(skb.rtDev);
  const address = raw4(inetSelectAddr(dev, skb.rtGatewayHi, skb.rtGatewayLo, 0));
  for (let i = IPV4_HEADER_LEN; i < header;) {
    const at = base + <usize>i;
    const kind = <u32>load<u8>(at);
    if (kind == OPT_END) break;
    if (kind == OPT_NOOP) {
      i++;
      continue;
    }
    const length = <u32>load<u8>(at, 1);
    if (length < 2 || length > header - i) break;
    const pointer = <u32>load<u8>(at, 2);
    if (kind == OPT_RR && (skb.ipFlags & IPSKB_ROUTE_NOTED) != 0 && length >= 3 && pointer >= 8 && pointer <= length + 1) {
      store<u32>(at + <usize>(pointer - 5), address);
    } else if (kind == OPT_TIMESTAMP && (skb.ipFlags & IPSKB_STAMP_NOTED) != 0 && length >= 4 && pointer >= 13
      && pointer <= length + 1) {
      store<u32>(at + <usize>(pointer - 9), address);
    }
    i += length;
  }
  ip.updateChecksum();
}

/**
 * The options of an answer to a packet that came in: route and timestamps are recorded on the way back, too (__ip_options_echo,
 * ip_options_build). Writes them to `to` (40 bytes) with `source` (raw) in the slot of this host. Their length, or -1: no
 * answer can be made.
 */
export function ipOptionsEcho(about: Skb, ns: Netns, source: u32, to: usize): i32 {
  const base = about.network;
  const header = about.ipFlags >>> IPSKB_SOUND_SHIFT;
  let rr: usize = 0, ts: usize = 0, cipso: usize = 0;
  for (let i = IPV4_HEADER_LEN; i < header;) {
    const at = base + <usize>i;
    const kind = <u32>load<u8>(at);
    if (kind == OPT_END) break;
    if (kind == OPT_NOOP) {
      i++;
      continue;
    }
    const length = i + 1 < header ? <u32>load<u8>(at, 1) : 0;
    if (length < 2 || length > header - i) break;
    if (kind == OPT_RR) rr = at;
    else if (kind == OPT_TIMESTAMP) ts = at;
    else if (kind == OPT_CIPSO) cipso = at;
    i += length;
  }
  let used: u32 = 0;
  if (rr != 0) {
    const length = <u32>load<u8>(rr, 1), pointer = <u32>load<u8>(rr, 2);
    memory.copy(to, rr, <usize>length);
    if (pointer <= length) {
      if (pointer + 3 > length) return -1;
      store<u32>(to + <usize>(pointer - 1), source);
      store<u8>(to, <u8>(pointer + 4), 2);
    }
    used = length;
  }
  if (ts != 0) {
    const length = <u32>load<u8>(ts, 1), flags = <u32>load<u8>(ts, 3) & 15;
    const at = to + <usize>used;
    let pointer = <u32>load<u8>(ts, 2);
    memory.copy(at, ts, <usize>length);
    if (pointer <= length && flags <= TS_PRESPEC && flags != 2) {
      if (pointer + 3 > length) return -1;
      if (flags == TS_TSANDADDR) {
        store<u32>(at + <usize>(pointer - 1), source);
        pointer += 4;
        if (pointer + 3 > length) return -1;
      }
      let stamp = true;
      if (flags == TS_PRESPEC) {
        stamp = pointer + 7 <= length && inetAddrType(ns, 0, mapped4(load<u32>(at + <usize>(pointer - 1)))) != RTN_UNICAST;
        if (stamp) pointer += 4;
      }
      if (stamp) {
        putBe32(at + <usize>(pointer - 1), 0, currentTimestamp());
        pointer += 4;
      }
      store<u8>(at, <u8>pointer, 2);
    }
    used += length;
  }
  if (cipso != 0) {
    const length = <u32>load<u8>(cipso, 1);
    memory.copy(to + <usize>used, cipso, <usize>length);
    used += length;
  }
  while (used & 3) {
    store<u8>(to + <usize>used, <u8>OPT_END);
    used++;
  }
  return <i32>used;
}

/** In later fragments only options with the "copied" bit stay; the others become no-operations (ip_options_fragment). */
export function ipOptionsFragment(base: usize, header: u32): void {
  for (let i = IPV4_HEADER_LEN; i < header;) {
    const at = base + <usize>i;
    const kind = <u32>load<u8>(at);
    if (kind == OPT_END) return;
    if (kind == OPT_NOOP) {
      i++;
      continue;
    }
    const length = i + 1 < header ? <u32>load<u8>(at, 1) : 0;
    if (length < 2 || length > header - i) return;
    if ((kind & OPT_COPY) == 0) memory.fill(at, <u8>OPT_NOOP, <usize>length);
    i += length;
  }
}
