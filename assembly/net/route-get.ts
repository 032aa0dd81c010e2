// `ip route get`: what the kernel would decide about a packet (net/ipv4/route.c, inet_rtm_getroute). With `iif` one that came in by that
// device, else one of this host.
import { ENODEV, ENOMEM } from "../abi/core";
import {
  GET_DPORT, GET_DST, GET_IIF, GET_MARK, GET_OIF, GET_PROTOCOL, GET_SPORT, GET_SRC, GET_TOS, ROUTE_BYTES, ROUTE_DST, ROUTE_FLAGS, ROUTE_F_REDIRECT, ROUTE_GATEWAY, ROUTE_IFINDEX, ROUTE_MTU, ROUTE_PREFIX,
  ROUTE_SOURCE, ROUTE_TYPE, RTN_UNREACHABLE,
} from "../abi/net";
import { NetDevice, Netns, Skb } from "../layout";
import { isMapped4, putBe16, raw4 } from "../wire/bytes";
import { ETH_P_IP } from "../wire/ethernet";
import { route6Get } from "./command6";
import { deviceFind } from "./devices";
import { flowClear, flowSet } from "./multipath";
import { RTF_REDIRECT, Route, routeInput, routeOutputKey } from "./route";
import { skbAlloc, skbFree } from "./skb";

/** GET_* record; a ROUTE_* record answers. 0 bytes or -errno of the decision. */
export function routeGetFull(ns: Netns, record: usize): i32 {
  const hi = load<u64>(record, GET_DST), lo = load<u64>(record, GET_DST + 8), sourceLo = load<u64>(record, GET_SRC + 8);
  flowSet(load<u32>(record, GET_PROTOCOL), load<u32>(record, GET_SPORT), load<u32>(record, GET_DPORT), load<u32>(record, GET_TOS));
  const iif = load<u32>(record, GET_IIF);
  if (!isMapped4(hi, lo & 0xffffffff)) {
    flowClear();
    return route6Get(ns, record);
  }
  return iif == 0 ? output(ns, record, hi, lo, sourceLo) : input(ns, record, hi, lo, sourceLo, iif);
}

function output(ns: Netns, record: usize, hi: u64, lo: u64, sourceLo: u64): i32 {
  const route = changetype<Route>(ns.scratch);
  const result = routeOutputKey(ns, hi, lo, 0, sourceLo == 0 ? 0xffff0000 : sourceLo, load<u32>(record, GET_OIF), load<u32>(record, GET_MARK), route);
  flowClear();
  if (result != 0) return result;
  memory.fill(record, 0, ROUTE_BYTES);
  answer(record, hi, lo, route.type, route.dev, route.mtu);
  if (route.gatewayLo != lo) {
    store<u64>(record, route.gatewayHi, ROUTE_GATEWAY);
    store<u64>(record, route.gatewayLo, ROUTE_GATEWAY + 8);
  }
  store<u64>(record, route.sourceHi, ROUTE_SOURCE);
  store<u64>(record, route.sourceLo, ROUTE_SOURCE + 8);
  return ROUTE_BYTES;
}

function input(ns: Netns, record: usize, hi: u64, lo: u64, sourceLo: u64, iif: u32): i32 {
  const dev = deviceFind(ns, iif);
  const skb = dev == 0 ? changetype<usize>(0) : changetype<usize>(skbAlloc(64));
  const tos = load<u32>(record, GET_TOS), mark = load<u32>(record, GET_MARK);
  flowClear();
  if (skb == 0) return dev == 0 ? -ENODEV : -ENOMEM;
  const packet = changetype<Skb>(skb);
  const destination = raw4(lo), source = sourceLo == 0 ? 0 : raw4(sourceLo);
  // The packet itself: what rules and next hops look at.
  const ip = packet.data;
  memory.fill(ip, 0, 28);
  store<u8>(ip, 0x45);
  store<u8>(ip, <u8>tos, 1);
  store<u8>(ip, 64, 8);
  store<u8>(ip, <u8>load<u32>(record, GET_PROTOCOL), 9);
  store<u32>(ip, source, 12);
  store<u32>(ip, destination, 16);
  putBe16(ip, 20, load<u32>(record, GET_SPORT));
  putBe16(ip, 22, load<u32>(record, GET_DPORT));
  packet.tail = ip + 28;
  packet.network = ip;
  packet.protocol = ETH_P_IP;
  packet.mark = mark;
  packet.dev = dev;
  const result = routeInput(packet, ns, changetype<NetDevice>(dev), destination, source, tos);
  const refused = result == 0 && packet.rtType == RTN_UNREACHABLE ? -<i32>packet.rtMtu : result;
  if (refused == 0) {
    memory.fill(record, 0, ROUTE_BYTES);
    answer(record, hi, lo, packet.rtType, packet.rtDev, packet.rtMtu);
    if (packet.rtFlags & RTF_REDIRECT) store<u32>(record, ROUTE_F_REDIRECT, ROUTE_FLAGS);
    if (packet.rtGatewayLo != lo) {
      store<u64>(record, packet.rtGatewayHi, ROUTE_GATEWAY);
      store<u64>(record, packet.rtGatewayLo, ROUTE_GATEWAY + 8);
    }
  }
  skbFree(packet);
  return refused == 0 ? <i32>ROUTE_BYTES : refused;
}

function answer(record: usize, hi: u64, lo: u64, type: u32, dev: usize, mtu: u32): void {
  store<u32>(record, type, ROUTE_TYPE);
  store<u32>(record, 128, ROUTE_PREFIX);
  store<u32>(record, dev == 0 ? 0 : changetype<NetDevice>(dev).ifindex, ROUTE_IFINDEX);
  store<u32>(record, mtu, ROUTE_MTU);
  store<u64>(record, hi, ROUTE_DST);
  store<u64>(record, lo, ROUTE_DST + 8);
}
