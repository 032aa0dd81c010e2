// Sending one packet as several (net/ipv4/ip_output.c, ip_do_fragment): in the pieces it came in where those fit, else in pieces
// as large as the MTU lets them be.
import { EMSGSIZE, ENOBUFS } from "../abi/core";
import { DEV_VXLAN, DROP_NO_MEMORY, DROP_PKT_TOO_BIG, SNMP_IP_FRAGCREATES, SNMP_IP_FRAGFAILS, SNMP_IP_FRAGOKS } from "../abi/net";
import { FULL } from "../features";
import { NetDevice, Netns, Skb } from "../layout";
import { putBe16 } from "../wire/bytes";
import { ETH_HEADER_LEN } from "../wire/ethernet";
import { IP_DF, IP_MF, IP_OFFSET, Ipv4View } from "../wire/ipv4";
import { bridgePushXmit } from "./bridge";
import { IPSKB_FRAG_PMTU } from "./ip-input";
import { ipOptionsFragment } from "./ip-options";
import { finishOutput2 } from "./ip-output";
import { skbAlloc, skbCopyRoute, skbDrop, skbFree, skbLength } from "./skb";
import { snmpInc } from "./snmp";
import { isTunnel } from "./tunnel";

const LENGTH: usize = 2, FRAGMENT: usize = 6;

/**
 * Sends the packet in fragments of at most `mtu` bytes: to its neighbour, or, for a bridged one, out of `port` (a NetDevice). Takes
 * the packet. 0 or -errno.
 */
export function ipDoFragment(skb: Skb, ns: Netns, pathMtu: u32, port: usize): i32 {
  const ip = Ipv4View.at(skb.network);
  const header = ip.headerLength;
  const total = skbLength(skb) - header;
  const original = ip.fragment;
  let result = 0;
  if (skb.fragLengths != 0 && hasRoomBefore(skb) && (original & (IP_MF | IP_OFFSET)) == 0 && piecesFit(skb.fragLengths, header, pathMtu, total)) {
    const count = load<u32>(skb.fragLengths, 4);
    let offset: u32 = 0;
    for (let i: u32 = 0; i < count && result == 0; i++) {
      const length = <u32>load<u16>(skb.fragLengths + 8 + <usize>(i << 1));
      const more: u32 = i + 1 < count ? IP_MF : 0;
      result = piece(skb, ns, header, offset, length, (offset >>> 3) | more, port);
      offset += length;
    }
  } else {
    const mtu = skb.fragMax != 0 && skb.fragMax < pathMtu ? skb.fragMax : pathMtu;
    if (mtu < header + 8) result = -EMSGSIZE;
    const room = (mtu - header) & ~7;
    const df: u32 = skb.ipFlags & IPSKB_FRAG_PMTU ? IP_DF : 0;
    const start = original & IP_OFFSET;
    for (let offset: u32 = 0; offset < total && result == 0;) {
      const left = total - offset;
      // The last piece may use the MTU to the byte.
      const length = left <= mtu - header ? left : room;
      const more: u32 = offset + length < total ? IP_MF : original & IP_MF;
      result = piece(skb, ns, header, offset, length, (start + (offset >>> 3)) | more | df, port);
      offset += length;
    }
  }
  if (result == 0) {
    snmpInc(ns, SNMP_IP_FRAGOKS);
    skbFree(skb);
    return 0;
  }
  snmpInc(ns, SNMP_IP_FRAGFAILS);
  skbDrop(skb, ns, skb.rtDev, result == -EMSGSIZE ? DROP_PKT_TOO_BIG : DROP_NO_MEMORY);
  return result;
}

/**
 * Have the pieces room for the link's header as they lie? They came by Ethernet: what a tunnel puts before them has none, and they are
 * copied anew (LL_RESERVED_SPACE, slow_path).
 */
function hasRoomBefore(skb: Skb): bool {
  if (skb.rtDev == 0) return true;
  const kind = changetype<NetDevice>(skb.rtDev).kind;
  return kind != DEV_VXLAN && !(FULL && isTunnel(kind));
}

/** May it leave in the pieces it came in? */
function piecesFit(lengths: usize, header: u32, mtu: u32, total: u32): bool {
  const count = load<u32>(lengths, 4);
  let sum: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const length = <u32>load<u16>(lengths + 8 + <usize>(i << 1));
    if (length + header > mtu || ((length & 7) != 0 && i + 1 < count)) return false;
    sum += length;
  }
  return sum == total;
}

function piece(skb: Skb, ns: Netns, header: u32, offset: u32, length: u32, fragment: u32, port: usize): i32 {
  const part = skbAlloc(header + length);
  if (changetype<usize>(part) == 0) return -ENOBUFS;
  part.network = part.data;
  memory.copy(part.data, skb.network, <usize>header);
  memory.copy(part.data + <usize>header, skb.network + <usize>(header + offset), <usize>length);
  part.tail = part.data + <usize>(header + length);
  part.transport = part.data + <usize>header;
  part.id = skb.id;
  part.dev = skb.dev;
  part.inDev = skb.inDev;
  part.protocol = skb.protocol;
  part.pktType = skb.pktType;
  part.mark = skb.mark;
  part.priority = skb.priority;
  part.hops = skb.hops;
  part.vlan = skb.vlan;
  skbCopyRoute(skb, part);
  if (offset != 0 && header > 20) ipOptionsFragment(part.network, header);
  putBe16(part.network, LENGTH, header + length);
  putBe16(part.network, FRAGMENT, fragment);
  Ipv4View.at(part.network).updateChecksum();
  snmpInc(ns, SNMP_IP_FRAGCREATES);
  if (port == 0) {
    finishOutput2(part, ns);
    return 0;
  }
  part.mac = part.data - ETH_HEADER_LEN;
  memory.copy(part.mac, skb.mac, ETH_HEADER_LEN);
  bridgePushXmit(part, changetype<NetDevice>(port));
  return 0;
}
