// bpf_fib_lookup (net/core/filter.c, bpf_ipv4_fib_lookup, bpf_ipv6_fib_lookup): a route and a neighbour, for programs that forward by
// themselves. The answer stands in struct bpf_fib_lookup.
import { EACCES, EAFNOSUPPORT, EHOSTUNREACH, EINVAL, ENODEV } from "../../abi/core";
import { CONF_FORWARDING, RTN_BLACKHOLE, RTN_PROHIBIT, RTN_UNICAST, RTN_UNREACHABLE, RT_TABLE_MAIN } from "../../abi/net";
import { CONF6_FORWARDING } from "../../abi/net6";
import { NetDevice, Netns, Skb } from "../../layout";
import { inetSelectAddr } from "../../net/address";
import { saddrHi, saddrLo, sourceFor } from "../../net/addrconf-select";
import { forwardable } from "../../net/dev";
import { deviceFind } from "../../net/devices";
import { FibEntry, FibTable, fibError, fibLookup, fibTable, fibTableLookup } from "../../net/fib";
import { fib6Lookup, fib6TableLookup } from "../../net/fib6";
import { conf6 } from "../../net/inet6";
import { mtuOf, needsDevice, selectHop } from "../../net/ip6-route";
import { flowClear, flowSet, multipathSelect } from "../../net/multipath";
import { Neighbour, neighFind, neighValid } from "../../net/neighbour";
import { skbLength } from "../../net/skb";
import { devConf } from "../../net/sysctl";
import { be16, mapped4, raw4 } from "../../wire/bytes";
import { bpfWritable } from "../memory";
import { RUN_XDP } from "../run";
import { HookRun } from "../hooks/state";
import { failed } from "./skb";

// struct bpf_fib_lookup
const FAMILY: usize = 0, PROTOCOL: usize = 1, SPORT: usize = 2, DPORT: usize = 4, LENGTH: usize = 6, IFINDEX: usize = 8, TOS: usize = 12, SRC: usize = 16, DST: usize = 32;
const VLAN: usize = 48, SMAC: usize = 52, DMAC: usize = 58;
const PARAMS_BYTES: u32 = 64;
const DIRECT: u32 = 1, OUTPUT: u32 = 2, SKIP_NEIGH: u32 = 4, TBID: u32 = 8, WITH_SRC: u32 = 16, MARK: u32 = 32;
// BPF_FIB_LKUP_RET_*
const SUCCESS: i32 = 0, BLACKHOLE: i32 = 1, UNREACHABLE: i32 = 2, PROHIBIT: i32 = 3, NOT_FWDED: i32 = 4, FWD_DISABLED: i32 = 5, UNSUPP_LWT: i32 = 6, NO_NEIGH: i32 = 7;
const FRAG_NEEDED: i32 = 8, NO_SRC_ADDR: i32 = 9;
const AF_INET: u32 = 2, AF_INET6: u32 = 10;

/** bpf_skb_fib_lookup, bpf_xdp_fib_lookup: 0 with the answer, a code that says why not, or -errno. */
export function fibHelper(r: HookRun, params: u64, length: u32, flags: u32): u64 {
  if (length < PARAMS_BYTES || flags > 63) return failed(EINVAL);
  if (!bpfWritable(params, PARAMS_BYTES)) return 0;
  const p = <usize>params, ns = changetype<Netns>(r.ns), family = <u32>load<u8>(p + FAMILY);
  const check = r.kind == RUN_XDP || load<u16>(p + LENGTH) != 0;
  const result = family == AF_INET ? lookup4(ns, p, flags, check) : family == AF_INET6 ? lookup6(ns, p, flags, check) : -EAFNOSUPPORT;
  if (result == SUCCESS && !check) {
    const dev = changetype<NetDevice>(deviceFind(ns, load<u32>(p + IFINDEX))), skb = changetype<Skb>(r.skb);
    store<u16>(p + LENGTH, <u16>dev.mtu);
    // is_skb_forwardable, without a look at whether the device is up
    if (!forwardable(skbLength(skb), dev)) return <u64>FRAG_NEEDED;
  }
  return <u64><i64>result;
}

function lookup4(ns: Netns, p: usize, flags: u32, check: bool): i32 {
  const ifindex = load<u32>(p + IFINDEX), at = deviceFind(ns, ifindex);
  if (at == 0) return -ENODEV;
  if (devConf(changetype<NetDevice>(at), CONF_FORWARDING) == 0) return FWD_DISABLED;
  const source = mapped4(load<u32>(p + SRC)), destination = mapped4(load<u32>(p + DST));
  const iif = flags & OUTPUT ? 1 : ifindex, oif = flags & OUTPUT ? ifindex : 0;
  let found: usize;
  if (ns.routeMore != 0) flowSet(<u32>load<u8>(p + PROTOCOL), be16(p, SPORT), be16(p, DPORT), <u32>load<u8>(p + TOS));
  if (flags & DIRECT) {
    const table = fibTable(ns, tableOf(p, flags), false);
    if (table == 0) return NOT_FWDED;
    found = fibTableLookup(changetype<FibTable>(table), 0, destination, oif, 0);
  } else found = fibLookup(ns, 0, destination, 0, source, iif, oif, flags & MARK ? load<u32>(p + SMAC) : 0, 0);
  if (ns.routeMore != 0) flowClear();
  if (found == 0) {
    if (fibError == -EINVAL) return BLACKHOLE;
    if (fibError == -EHOSTUNREACH) return UNREACHABLE;
    return fibError == -EACCES ? PROHIBIT : NOT_FWDED;
  }
  let entry = changetype<FibEntry>(found);
  if (entry.type != RTN_UNICAST) return NOT_FWDED;
  if (entry.nexthops != 0) entry = changetype<FibEntry>(multipathSelect(ns, entry, source, destination, 0, changetype<Skb>(0)));
  const dev = changetype<NetDevice>(entry.dev), mtu = entry.mtu != 0 ? entry.mtu : min<u32>(dev.mtu, 65535);
  if (check && <u32>load<u16>(p + LENGTH) > mtu) {
    store<u16>(p + LENGTH, <u16>mtu);
    return FRAG_NEEDED;
  }
  if (entry.lwt != 0) return UNSUPP_LWT;
  store<u32>(p + TOS, entry.metric);
  store<u32>(p + IFINDEX, dev.ifindex);
  const gateway = (entry.gatewayHi | entry.gatewayLo) != 0;
  if (flags & WITH_SRC) {
    // fib_result_prefsrc
    const preferred = entry.sourceLo != 0 ? entry.sourceLo : inetSelectAddr(dev, entry.gatewayHi, entry.gatewayLo, entry.scope);
    store<u32>(p + SRC, raw4(preferred));
  }
  let hi: u64 = 0, lo = destination;
  if (gateway) {
    hi = entry.gatewayHi;
    lo = entry.gatewayLo;
    if (<u32>lo == 0xffff0000 && hi == 0) store<u32>(p + DST, raw4(lo));
    else {
      store<u64>(p + DST, hi);
      store<u64>(p + DST + 8, lo);
      store<u8>(p + FAMILY, <u8>AF_INET6);
    }
  }
  return flags & SKIP_NEIGH ? finish(p, check ? mtu : 0) : neighbour(p, dev, hi, lo, check ? mtu : 0);
}

function lookup6(ns: Netns, p: usize, flags: u32, check: bool): i32 {
  const sourceHi = load<u64>(p + SRC), sourceLo = load<u64>(p + SRC + 8);
  let hi = load<u64>(p + DST), lo = load<u64>(p + DST + 8);
  if (needsDevice(hi, lo) || needsDevice(sourceHi, sourceLo)) return NOT_FWDED;
  const ifindex = load<u32>(p + IFINDEX), at = deviceFind(ns, ifindex);
  if (at == 0) return -ENODEV;
  if (changetype<NetDevice>(at).inet6 == 0 || conf6(changetype<NetDevice>(at), CONF6_FORWARDING) == 0) return FWD_DISABLED;
  const iif = flags & OUTPUT ? 1 : ifindex, oif = flags & OUTPUT ? ifindex : 0;
  let found: usize;
  if (ns.routeMore != 0) flowSet(<u32>load<u8>(p + PROTOCOL), be16(p, SPORT), be16(p, DPORT), 0);
  if (flags & DIRECT) {
    const table = fibTable(ns, tableOf(p, flags), false);
    if (table == 0) return NOT_FWDED;
    found = fib6TableLookup(changetype<FibTable>(table), hi, lo, oif, 0);
  } else found = fib6Lookup(ns, hi, lo, sourceHi, sourceLo, iif, oif, flags & MARK ? load<u32>(p + SMAC) : 0, 0);
  if (ns.routeMore != 0) flowClear();
  if (found == 0) return NOT_FWDED;
  const entry = changetype<FibEntry>(found);
  switch (entry.type) {
    case RTN_UNICAST: break;
    case RTN_BLACKHOLE: return BLACKHOLE;
    case RTN_UNREACHABLE: return UNREACHABLE;
    case RTN_PROHIBIT: return PROHIBIT;
    default: return NOT_FWDED;
  }
  let device = entry.dev, gatewayHi = entry.gatewayHi, gatewayLo = entry.gatewayLo;
  if (entry.nexthops != 0) {
    const hop = selectHop(ns, entry, 0, sourceHi, sourceLo, hi, lo, bswap<u32>(load<u32>(p + TOS)) & 0xfffff, changetype<Skb>(0));
    device = hop.dev;
    gatewayHi = hop.gatewayHi;
    gatewayLo = hop.gatewayLo;
  }
  const dev = changetype<NetDevice>(device), mtu = mtuOf(entry, dev);
  if (check && <u32>load<u16>(p + LENGTH) > mtu) {
    store<u16>(p + LENGTH, <u16>mtu);
    return FRAG_NEEDED;
  }
  if (entry.lwt != 0) return UNSUPP_LWT;
  const toHi = hi, toLo = lo;
  if ((gatewayHi | gatewayLo) != 0) {
    hi = gatewayHi;
    lo = gatewayLo;
    store<u64>(p + DST, hi);
    store<u64>(p + DST + 8, lo);
  }
  store<u32>(p + TOS, entry.metric);
  store<u32>(p + IFINDEX, dev.ifindex);
  if (flags & WITH_SRC) {
    if ((entry.sourceHi | entry.sourceLo) != 0) {
      store<u64>(p + SRC, entry.sourceHi);
      store<u64>(p + SRC + 8, entry.sourceLo);
    } else if (sourceFor(ns, device, toHi, toLo)) {
      store<u64>(p + SRC, saddrHi);
      store<u64>(p + SRC + 8, saddrLo);
    } else return NO_SRC_ADDR;
  }
  return flags & SKIP_NEIGH ? finish(p, check ? mtu : 0) : neighbour(p, dev, hi, lo, check ? mtu : 0);
}

/** The table that BPF_FIB_LOOKUP_DIRECT means; its field is what the VLAN comes to stand in. */
function tableOf(p: usize, flags: u32): u32 {
  if ((flags & TBID) == 0) return RT_TABLE_MAIN;
  const table = load<u32>(p + VLAN);
  store<u32>(p + VLAN, 0);
  return table;
}

function neighbour(p: usize, dev: NetDevice, hi: u64, lo: u64, mtu: u32): i32 {
  const at = neighFind(dev, hi, lo);
  if (at == 0 || !neighValid(changetype<Neighbour>(at))) return NO_NEIGH;
  const n = changetype<Neighbour>(at);
  store<u32>(p + DMAC, n.mac0);
  store<u16>(p + DMAC + 4, <u16>n.mac1);
  store<u32>(p + SMAC, dev.mac0);
  store<u16>(p + SMAC + 4, <u16>dev.mac1);
  return finish(p, mtu);
}

/** bpf_fib_set_fwd_params */
function finish(p: usize, mtu: u32): i32 {
  store<u32>(p + VLAN, 0);
  if (mtu != 0) store<u16>(p + LENGTH, <u16>mtu);
  return SUCCESS;
}
