// The driver's requests about links, addresses, routes, neighbours, forwarding databases, sysctls and counters (what rtnetlink
// and /proc do). Records are those of abi/net.ts; every field is checked.
import {
  EAFNOSUPPORT, EBUSY, EEXIST, EINVAL, ENETDOWN, ENETUNREACH, ENODEV, ENOENT, ENOMEM, EOPNOTSUPP, MAILBOX_BYTES, EBADF,
} from "../abi/core";
import {
  ADDRESS_BROADCAST, ADDRESS_BYTES, ADDRESS_IFINDEX, ADDRESS_PEER, ADDRESS_IP, ADDRESS_PREFIX, ADDRESS_SCOPE, BRIDGE_BYTES, BRPORT_ALL, BRPORT_BLOCKED, BRVLAN_BYTES,
  DEV_BRIDGE, DEV_DUMMY, DEV_IFB, DEV_KINDS, DEV_MACVLAN, DEV_NIC, DEV_TUN, DEV_VETH, DEV_VXLAN, FDB_SEQUENCE, FDB_VID, IFF_ALLMULTI, IFF_NOARP,
  IFF_POINTOPOINT, IFF_PROMISC, LINKINFO_DSTPORT, LINKINFO_FLAGS, LINKINFO_LINK_NETNS, LINKINFO_LOCAL, LINKINFO_LOWER,
  LINKINFO_OPTIONS, NET_BRIDGE_GET, NET_BRIDGE_SET, NET_BRVLAN_DELETE, NET_BRVLAN_LIST, NET_BRVLAN_SET, NET_FILTER_ADD,
  NET_FILTER_DELETE, NET_FILTER_LIST, NET_MACVLAN_SOURCE, NET_MACVLAN_SOURCES, NET_QDISC_DELETE, NET_QDISC_LIST, NET_QDISC_SET,
  NET_TAP_OPEN, NET_TAP_SEND, NET_VLAN_MAP, NET_VXLAN_MISSES, SETLINK_FLAGS, SETLINK_FLAGS_MASK, SET_FLAGS,
  DROPS_MAX, FDB_BYTES, FDB_DST, FDB_FLAGS, FDB_HAS_DST, FDB_IFINDEX, FDB_MAC, GET_BYTES, LINKINFO_BYTES,
  LINKINFO_MAC, LINKINFO_NAME, LINKINFO_PORT_FLAGS, LINKINFO_STATS, LINKINFO_VNI, LINK_BYTES, LINK_DSTPORT,
  LINK_F_MAC, LINK_F_PEER_MAC, LINK_FLAGS, LINK_KIND, LINK_LOCAL, LINK_LOWER, LINK_MAC, LINK_MTU, LINK_NAME,
  LINK_PEER_MAC, LINK_PEER_MTU, LINK_PEER_NAME, LINK_PEER_NETNS, LINK_REMOTE, LINK_VNI, NEIGH_BYTES, NEIGH_FLAGS, NEIGH_IFINDEX, NEIGH_IP,
  NEIGH_MAC, NEIGH_STATE, NET_ADDRESS_ADD, NET_ADDRESS_DELETE, NET_ADDRESS_LIST, NET_DROPS, NET_FDB_DELETE,
  NET_FDB_LIST, NET_FDB_SET, NET_LINK_ADD, NET_LINK_DELETE, NET_LINK_FIND, NET_LINK_GET, NET_LINK_LIST, NET_LINK_SET,
  NET_NEIGH_DELETE, NET_NEIGH_LIST, NET_NEIGH_SET, NET_NETNS_ADD, NET_NETNS_DELETE, NET_NETNS_HOST, NET_ROUTE_ADD,
  NET_ROUTE_DELETE, NET_ROUTE_GET, NET_ROUTE_LIST, NET_RULE_ADD, NET_RULE_DELETE, NET_RULE_LIST, NET_SNMP,
  NET_SYSCTL_GET, NET_SYSCTL_SET, ROUTE_BYTES, ROUTE_DST, ROUTE_FLAGS, ROUTE_F_APPEND, ROUTE_F_ONLINK,
  ROUTE_F_REPLACE, ROUTE_GATEWAY, ROUTE_IFINDEX, ROUTE_METRIC, ROUTE_MTU, ROUTE_PREFIX, ROUTE_PROTOCOL, ROUTE_SCOPE,
  ROUTE_SOURCE, ROUTE_TABLE, ROUTE_TYPE, RTN_BROADCAST, RTN_LOCAL, RTN_THROW, RTN_UNICAST, RT_SCOPE_HOST,
  RT_SCOPE_LINK, RT_SCOPE_NOWHERE, RT_SCOPE_UNIVERSE, RT_TABLE_LOCAL, RT_TABLE_MAIN, FR_ACT_GOTO, FR_ACT_PROHIBIT, FR_ACT_TO_TBL,
  NEXTHOP_BYTES, NEXTHOP_FLAGS, NEXTHOP_GATEWAY, NEXTHOP_IFINDEX, NEXTHOP_WEIGHT, ROUTE_NEXTHOPS, ROUTE_WEIGHT, RULE_ACTION,
  RULE_BYTES, RULE_DST_PREFIX, RULE_PREF, RULE_SRC_PREFIX, RULE_TABLE, RULE_TARGET, SETLINK_MAC,
  SETLINK_MASK, SETLINK_MASTER, SETLINK_MTU, SETLINK_NAME, SETLINK_NETNS, SETLINK_PORT_FLAGS, SETLINK_PORT_MASK,
  SETLINK_UP, SET_MAC, SET_MASTER, SET_MTU, SET_NAME, SET_NETNS, SET_PORT, SET_UP, SNMP_MAX,
} from "../abi/net";
import { NET_GROUP_CHANGE, NET_IPV6_DEFAULT, NTF_PROXY, SYSCTL_CONF6 } from "../abi/net6";
import { FULL } from "../features";
import { NetDevice, Netns } from "../layout";
import { node } from "../mm/node";
import { kfree, kmalloc } from "../mm/slab";
import { isMapped4, raw4 } from "../wire/bytes";
import { macIsGroup } from "../wire/ethernet";
import { isMulticast6 } from "../wire/ipv6";
import {
  address6Change, address6List, net6Command, proxy6Change, proxy6List, route6Change, route6Get, route6Write, sysctl6Get, sysctl6Set,
} from "./command6";
import { Address, addressAdd, addressDelete, isMulticast4 } from "./address";
import { FdbEntry, bridgeFdbBucket, bridgeFdbBuckets, bridgeFdbDelete, bridgeFdbSet, bridgeInit } from "./bridge";
import { bridgeOptions, bridgeVlanChange, bridgeVlanList } from "./bridge-vlan";
import { nicReceive } from "./dev";
import { deviceWrite } from "./device-info";
import {
  deviceByName, deviceDelete, deviceFind, deviceMove, deviceNew, deviceSetMac, deviceSetMaster, deviceSetMtu,
  deviceSetName, deviceSetUp, nameValid,
} from "./devices";
import {
  FibEntry, FibTable, fibDelete, fibError, fibInsert, fibLookup, ruleAdd, ruleDelete, ruleWrite,
} from "./fib";
import { NEXTHOPS_MAX, nexthopAt, nexthopCount, nexthopsFree, nexthopsNew } from "./multipath";
import { Neighbour, neighBucket, neighBuckets, neighDelete, neighSet } from "./neighbour";
import { macvlanSource, macvlanSourceList } from "./macvlan";
import { netnsCreate, netnsDelete, netnsGet } from "./netns";
import { Route, inetAddrType, routeOutputKey } from "./route";
import { routeGetFull } from "./route-get";
import { schedCommand } from "./sched/command";
import { isStacked, stackedCheck, stackedInit } from "./stacked";
import { sysctlGet, sysctlSet } from "./sysctl";
import { tapOpen, tapSend } from "./tap";
import { isTunnel, tunnelInit } from "./tunnel";
import { vlanMap } from "./vlan";
import {
  VXLAN6_HEADROOM, VXLAN_HEADROOM, Vxlan, VxlanFdb, VxlanRemote, vxlanFdbBucket, vxlanDelete, vxlanFdbBuckets, vxlanFdbDelete, vxlanFdbSet, vxlanInit,
} from "./vxlan";
import { isIpv6, vxlanEnds6 } from "./vxlan6";
import { vxlanConfigure, vxlanDescribe, vxlanTakeMisses } from "./vxlan-options";

/** May this request change what becomes of packets? */
export function netChanges(op: u32): bool {
  switch (op) {
    case NET_NETNS_HOST: case NET_LINK_LIST: case NET_LINK_FIND: case NET_LINK_GET: case NET_ADDRESS_LIST: case NET_ROUTE_LIST:
    case NET_RULE_LIST: case NET_NEIGH_LIST: case NET_FDB_LIST: case NET_SYSCTL_GET: case NET_DROPS: case NET_SNMP: case NET_ROUTE_GET:
    case NET_BRIDGE_GET: case NET_BRVLAN_LIST: case NET_TAP_SEND: case NET_QDISC_LIST: case NET_FILTER_LIST: case NET_MACVLAN_SOURCES:
      return false;
    default: return true;
  }
}

/** `op` is one of NET_* (abi/net.ts); the record stands at `record`, the answer replaces it. */
export function netCommand(op: u32, record: usize, length: u32): i32 {
  if (op == NET_NETNS_HOST) return <i32>changetype<Netns>(node().netns).handle;
  if (op == NET_NETNS_ADD) {
    const created = netnsCreate();
    return changetype<usize>(created) == 0 ? -ENOMEM : <i32>created.handle;
  }
  const ns = netnsGet(load<u32>(record));
  if (changetype<usize>(ns) == 0) return -EBADF;
  if (FULL && op >= NET_IPV6_DEFAULT && op <= NET_GROUP_CHANGE) return net6Command(op, ns, record, length);
  switch (op) {
    case NET_NETNS_DELETE: {
      if (changetype<usize>(ns) == node().netns) return -EBUSY;
      netnsDelete(ns);
      return 0;
    }
    case NET_LINK_ADD: return length < LINK_BYTES ? -EINVAL : linkAdd(ns, record);
    case NET_LINK_DELETE: {
      const dev = deviceFind(ns, load<u32>(record, 4));
      return dev == 0 ? -ENODEV : deviceDelete(changetype<NetDevice>(dev), false);
    }
    case NET_LINK_SET: return linkSet(ns, record);
    case NET_LINK_LIST: return linkList(ns, record, load<u32>(record, 4));
    case NET_LINK_FIND: {
      const dev = deviceByName(ns, load<u64>(record, 4), load<u64>(record, 12));
      return dev == 0 ? -ENODEV : <i32>changetype<NetDevice>(dev).ifindex;
    }
    case NET_LINK_GET: {
      const dev = deviceFind(ns, load<u32>(record, 4));
      if (dev == 0) return -ENODEV;
      linkWrite(changetype<NetDevice>(dev), record);
      return LINKINFO_BYTES;
    }
    case NET_BRIDGE_SET:
    case NET_BRIDGE_GET:
    case NET_BRVLAN_SET:
    case NET_BRVLAN_DELETE:
    case NET_BRVLAN_LIST:
    case NET_VLAN_MAP:
    case NET_MACVLAN_SOURCE:
    case NET_MACVLAN_SOURCES:
    case NET_VXLAN_MISSES: return FULL ? moreCommand(op, ns, record, length) : -ENOENT;
    case NET_TAP_OPEN: return FULL ? tapOpen(ns, load<u32>(record, 4), load<u32>(record, 8) != 0) : -ENOENT;
    case NET_TAP_SEND: {
      if (!FULL) return -ENOENT;
      const bytes = load<u32>(record, 8);
      return length < 12 || bytes > length - 12 ? -EINVAL : tapSend(ns, load<u32>(record, 4), record + 12, bytes);
    }
    case NET_QDISC_SET:
    case NET_QDISC_DELETE:
    case NET_QDISC_LIST:
    case NET_FILTER_ADD:
    case NET_FILTER_DELETE:
    case NET_FILTER_LIST: return FULL ? schedCommand(op, ns, record, length) : -ENOENT;
    case NET_ADDRESS_ADD:
    case NET_ADDRESS_DELETE: return length < ADDRESS_BYTES ? -EINVAL : addressChange(ns, record, op == NET_ADDRESS_ADD);
    case NET_ADDRESS_LIST: return addressList(ns, record, load<u32>(record, 4));
    case NET_ROUTE_ADD:
    case NET_ROUTE_DELETE: return length < ROUTE_BYTES ? -EINVAL : routeChange(ns, record, op == NET_ROUTE_ADD, length);
    case NET_ROUTE_LIST: return routeList(ns, record, load<u32>(record, 4), load<u32>(record, 8));
    case NET_ROUTE_GET: return FULL && length >= GET_BYTES ? routeGetFull(ns, record) : routeGet(ns, record);
    case NET_RULE_ADD: return length < RULE_BYTES ? -EINVAL : ruleChange(ns, changetype<usize>(ns) + offsetof<Netns>("rules"), record);
    case NET_RULE_DELETE: return ruleDelete(ns, changetype<usize>(ns) + offsetof<Netns>("rules"), load<u32>(record, 4), load<u32>(record, 8));
    case NET_RULE_LIST: return ruleList(ns.rules, record, load<u32>(record, 4));
    case NET_NEIGH_SET:
    case NET_NEIGH_DELETE: return neighChange(ns, record, op == NET_NEIGH_SET);
    case NET_NEIGH_LIST: return neighList(ns, record, load<u32>(record, 4));
    case NET_FDB_SET:
    case NET_FDB_DELETE: return fdbChange(ns, record, op == NET_FDB_SET);
    case NET_FDB_LIST: return fdbList(ns, record, load<u32>(record, 4), load<u32>(record, 8));
    case NET_SYSCTL_GET: return FULL && load<u32>(record, 4) >= SYSCTL_CONF6 ? sysctl6Get(ns, load<u32>(record, 4), load<u32>(record, 8), record)
      : sysctlGet(ns, load<u32>(record, 4), load<u32>(record, 8), record);
    case NET_SYSCTL_SET: return FULL && load<u32>(record, 4) >= SYSCTL_CONF6
      ? sysctl6Set(ns, load<u32>(record, 4), load<u32>(record, 8), load<i32>(record, 12)) : sysctlSet(ns, load<u32>(record, 4), load<u32>(record, 8), load<i32>(record, 12));
    case NET_DROPS: {
      memory.copy(record, ns.drops, DROPS_MAX << 3);
      return DROPS_MAX << 3;
    }
    case NET_SNMP: {
      memory.copy(record, ns.snmp, SNMP_MAX << 3);
      return SNMP_MAX << 3;
    }
    default: return -ENOENT;
  }
}

/** Options of bridges, VLANs and macvlans. */
function moreCommand(op: u32, ns: Netns, record: usize, length: u32): i32 {
  if (op == NET_VXLAN_MISSES) return length < 8 ? -EINVAL : vxlanTakeMisses(ns, load<u32>(record, 4), record);
  const listing = op == NET_BRVLAN_LIST || op == NET_MACVLAN_SOURCES;
  const at = deviceFind(ns, listing ? load<u32>(record, 8) : load<u32>(record, 4));
  if (at == 0) return -ENODEV;
  const dev = changetype<NetDevice>(at);
  if (op == NET_VLAN_MAP) return vlanMap(dev, load<u32>(record, 8), load<u32>(record, 12));
  if (op == NET_MACVLAN_SOURCE) {
    return macvlanSource(dev, load<u32>(record, 8) != 0, load<u32>(record, 16), <u32>load<u16>(record, 20));
  }
  if (op == NET_MACVLAN_SOURCES) {
    return dev.kind == DEV_MACVLAN ? macvlanSourceList(dev, record, load<u32>(record, 4), MAILBOX_BYTES) : -EOPNOTSUPP;
  }
  if (op == NET_BRIDGE_SET || op == NET_BRIDGE_GET) {
    if (dev.kind != DEV_BRIDGE) return -EOPNOTSUPP;
    return op == NET_BRIDGE_SET && length < BRIDGE_BYTES ? -EINVAL : bridgeOptions(dev, record, op == NET_BRIDGE_SET);
  }
  if (dev.kind != DEV_BRIDGE && dev.master == 0) return -EOPNOTSUPP;
  if (op == NET_BRVLAN_LIST) return bridgeVlanList(dev, record, load<u32>(record, 4), MAILBOX_BYTES);
  return length < BRVLAN_BYTES ? -EINVAL : bridgeVlanChange(dev, record, op == NET_BRVLAN_SET);
}

/** A frame of the underlay arrives at the NIC `ifindex` of the initial namespace. */
export function nicDeliver(ifindex: u32, frame: usize, length: u32): i32 {
  const at = deviceFind(changetype<Netns>(node().netns), ifindex);
  if (at == 0) return -ENODEV;
  const dev = changetype<NetDevice>(at);
  if (dev.kind != DEV_NIC) return -EOPNOTSUPP;
  nicReceive(dev, frame, length, false);
  return 0;
}

/** The NIC `ifindex` of the initial namespace, or 0. */
export function nicFind(ifindex: u32): usize {
  const at = deviceFind(changetype<Netns>(node().netns), ifindex);
  return at != 0 && changetype<NetDevice>(at).kind == DEV_NIC ? at : 0;
}

function linkAdd(ns: Netns, record: usize): i32 {
  const kind = load<u32>(record, LINK_KIND);
  const flags = load<u32>(record, LINK_FLAGS);
  const name = record + LINK_NAME;
  if (kind < DEV_VETH || kind >= (FULL ? DEV_KINDS : DEV_NIC + 1)) return -EOPNOTSUPP;
  if (!nameValid(name)) return -EINVAL;
  if (deviceByName(ns, load<u64>(name), load<u64>(name, 8)) != 0) return -EEXIST;
  if (kind == DEV_NIC && changetype<usize>(ns) != node().netns) return -EINVAL;
  let mtu = load<u32>(record, LINK_MTU);
  if (mtu != 0 && (mtu < 68 || mtu > 65535)) return -EINVAL;
  const mac0 = load<u32>(record, LINK_MAC), mac1 = <u32>load<u16>(record, LINK_MAC + 4);
  if ((flags & LINK_F_MAC) != 0 && (macIsGroup(mac0) || (mac0 | mac1) == 0)) return -EINVAL;

  const peerNs = kind == DEV_VETH && load<u32>(record, LINK_PEER_NETNS) != 0
    ? netnsGet(load<u32>(record, LINK_PEER_NETNS)) : ns;
  const peerName = record + LINK_PEER_NAME;
  const peerMtu = load<u32>(record, LINK_PEER_MTU);
  if (kind == DEV_VETH) {
    if (changetype<usize>(peerNs) == 0) return -EBADF;
    if (!nameValid(peerName) || (peerMtu != 0 && (peerMtu < 68 || peerMtu > 65535))) return -EINVAL;
    const taken = deviceByName(peerNs, load<u64>(peerName), load<u64>(peerName, 8)) != 0
      || (changetype<usize>(peerNs) == changetype<usize>(ns) && load<u64>(peerName) == load<u64>(name)
        && load<u64>(peerName, 8) == load<u64>(name, 8));
    if (taken) return -EEXIST;
    const peerMac0 = load<u32>(record, LINK_PEER_MAC);
    if ((flags & LINK_F_PEER_MAC) != 0 && (macIsGroup(peerMac0) || (peerMac0 | <u32>load<u16>(record, LINK_PEER_MAC + 4)) == 0)) {
      return -EINVAL;
    }
  }
  const lower = load<u32>(record, LINK_LOWER);
  const six = FULL && kind == DEV_VXLAN && (isIpv6(load<u64>(record, LINK_LOCAL), load<u64>(record, LINK_LOCAL + 8))
    || isIpv6(load<u64>(record, LINK_REMOTE), load<u64>(record, LINK_REMOTE + 8)));
  if (FULL && six) {
    const refused = vxlanEnds6(load<u64>(record, LINK_LOCAL), load<u64>(record, LINK_LOCAL + 8), load<u64>(record, LINK_REMOTE),
      load<u64>(record, LINK_REMOTE + 8), lower == 0 ? 0 : deviceFind(ns, lower));
    if (refused != 0) return refused;
  }
  if (kind == DEV_VXLAN && lower != 0) {
    const lowerDev = deviceFind(ns, lower);
    if (lowerDev == 0) return -ENODEV;
    const most = changetype<NetDevice>(lowerDev).mtu - (FULL && six ? VXLAN6_HEADROOM : VXLAN_HEADROOM);
    if (mtu == 0 || mtu > most) mtu = most;
  }
  let stackedOn: usize = 0;
  if (FULL && isStacked(kind)) {
    stackedOn = deviceFind(ns, lower);
    if (stackedOn == 0) return lower == 0 ? -EINVAL : -ENODEV;
    // A macvlan on a macvlan stands on the latter's device.
    if (kind == DEV_MACVLAN && changetype<NetDevice>(stackedOn).kind == DEV_MACVLAN) stackedOn = changetype<NetDevice>(stackedOn).lower;
    const refused = stackedCheck(changetype<NetDevice>(stackedOn), kind, record, mtu);
    if (refused != 0) return refused;
  }
  // veth_newlink makes the peer first.
  let peer: usize = 0;
  if (kind == DEV_VETH) {
    peer = deviceNew(peerNs, kind, peerName, peerMtu == 0 ? (mtu == 0 ? 1500 : mtu) : peerMtu, (flags & LINK_F_PEER_MAC) != 0,
      load<u32>(record, LINK_PEER_MAC), <u32>load<u16>(record, LINK_PEER_MAC + 4));
    if (peer == 0) return -ENOMEM;
  }
  const at = deviceNew(ns, kind, name, mtu == 0 ? 1500 : mtu, (flags & LINK_F_MAC) != 0, mac0, mac1);
  if (at == 0) {
    if (peer != 0) deviceDelete(changetype<NetDevice>(peer), true);
    return -ENOMEM;
  }
  const dev = changetype<NetDevice>(at);
  let result = 0;
  if (kind == DEV_VETH) {
    dev.peer = peer;
    changetype<NetDevice>(peer).peer = at;
  } else if (kind == DEV_BRIDGE) {
    if (!bridgeInit(dev, (flags & LINK_F_MAC) != 0, mtu != 0)) result = -ENOMEM;
  } else if (kind == DEV_VXLAN) {
    const localLo = load<u64>(record, LINK_LOCAL + 8);
    result = vxlanInit(dev, ns, load<u32>(record, LINK_VNI), load<u32>(record, LINK_DSTPORT), load<u64>(record, LINK_LOCAL),
      localLo, lower, flags, six);
    if (FULL && result == 0) {
      result = vxlanConfigure(dev, changetype<Vxlan>(dev.priv), record, flags);
      if (result != 0) vxlanDelete(dev);
    }
  }
  if (FULL) {
    if (stackedOn != 0) result = stackedInit(dev, changetype<NetDevice>(stackedOn), record, (flags & LINK_F_MAC) != 0, mtu != 0);
    else if (isTunnel(kind)) result = tunnelInit(dev, ns, record, mtu != 0);
    else if (kind == DEV_DUMMY || kind == DEV_IFB) dev.flags = IFF_NOARP;
    else if (kind == DEV_TUN) {
      dev.flags = IFF_NOARP | IFF_POINTOPOINT;
      dev.mac0 = 0;
      dev.mac1 = 0;
    }
  }
  if (result == 0) return <i32>dev.ifindex;
  dev.kind = DEV_NIC; // without the state that its kind would take down
  deviceDelete(dev, true);
  return result;
}

function linkSet(ns: Netns, record: usize): i32 {
  const at = deviceFind(ns, load<u32>(record, 4));
  if (at == 0) return -ENODEV;
  const dev = changetype<NetDevice>(at);
  const mask = load<u32>(record, SETLINK_MASK);
  let result = 0;
  if (mask & SET_NETNS) {
    const to = netnsGet(load<u32>(record, SETLINK_NETNS));
    if (changetype<usize>(to) == 0) return -EBADF;
    if ((mask & SET_NAME) != 0) {
      // Under its new name, which only has to be free over there.
      const name = record + SETLINK_NAME;
      if (!nameValid(name)) return -EINVAL;
      if (deviceByName(to, load<u64>(name), load<u64>(name, 8)) != 0) return -EEXIST;
      const name0 = dev.name0, name1 = dev.name1;
      dev.name0 = load<u64>(name);
      dev.name1 = load<u64>(name, 8);
      result = deviceMove(dev, to);
      if (result != 0) {
        dev.name0 = name0;
        dev.name1 = name1;
      }
    } else result = deviceMove(dev, to);
  } else if (mask & SET_NAME) result = deviceSetName(dev, record + SETLINK_NAME);
  if (result == 0 && (mask & SET_MAC) != 0) {
    result = deviceSetMac(dev, load<u32>(record, SETLINK_MAC), <u32>load<u16>(record, SETLINK_MAC + 4));
  }
  if (result == 0 && (mask & SET_MTU) != 0) result = deviceSetMtu(dev, load<u32>(record, SETLINK_MTU));
  if (result == 0 && (mask & SET_MASTER) != 0) {
    const master = load<u32>(record, SETLINK_MASTER);
    const masterAt: usize = master == 0 ? 0 : deviceFind(changetype<Netns>(dev.ns), master);
    if (master != 0 && masterAt == 0) return -ENODEV;
    result = deviceSetMaster(dev, masterAt);
  }
  if (result == 0 && (mask & SET_PORT) != 0) {
    if (dev.master == 0) return -EOPNOTSUPP;
    const which = load<u32>(record, SETLINK_PORT_MASK) & BRPORT_ALL;
    if ((which & BRPORT_BLOCKED) != 0 && !dev.up) return -ENETDOWN; // br_set_port_state
    dev.portFlags = (dev.portFlags & ~which) | (load<u32>(record, SETLINK_PORT_FLAGS) & which);
  }
  if (result == 0 && (mask & SET_FLAGS) != 0) {
    const which = load<u32>(record, SETLINK_FLAGS_MASK) & (IFF_NOARP | IFF_PROMISC | IFF_ALLMULTI);
    dev.flags = (dev.flags & ~which) | (load<u32>(record, SETLINK_FLAGS) & which);
  }
  if (result == 0 && (mask & SET_UP) != 0) result = deviceSetUp(dev, load<u32>(record, SETLINK_UP) != 0);
  return result;
}

function linkWrite(dev: NetDevice, to: usize): void {
  store<u32>(to, dev.ifindex);
  store<u32>(to, dev.kind, 4);
  store<u32>(to, dev.up, 8);
  store<u32>(to, dev.mtu, 12);
  store<u32>(to, dev.master == 0 ? 0 : changetype<NetDevice>(dev.master).ifindex, 16);
  store<u32>(to, dev.peer == 0 ? 0 : changetype<NetDevice>(dev.peer).ifindex, 20);
  store<u32>(to, dev.mac0, LINKINFO_MAC);
  store<u32>(to, dev.mac1, LINKINFO_MAC + 4);
  store<u64>(to, dev.name0, LINKINFO_NAME);
  store<u64>(to, dev.name1, LINKINFO_NAME + 8);
  store<u64>(to, dev.rxPackets, LINKINFO_STATS);
  store<u64>(to, dev.rxBytes, LINKINFO_STATS + 8);
  store<u64>(to, dev.rxDropped, LINKINFO_STATS + 16);
  store<u64>(to, dev.txPackets, LINKINFO_STATS + 24);
  store<u64>(to, dev.txBytes, LINKINFO_STATS + 32);
  store<u64>(to, dev.txDropped, LINKINFO_STATS + 40);
  store<u32>(to, dev.portFlags, LINKINFO_PORT_FLAGS);
  memory.fill(to + LINKINFO_VNI, 0, LINKINFO_BYTES - LINKINFO_VNI);
  store<u32>(to, dev.flags, LINKINFO_FLAGS);
  let beneath = dev.peer;
  if (FULL && dev.lower != 0) beneath = dev.lower;
  if (dev.kind == DEV_VXLAN) {
    const vxlan = changetype<Vxlan>(dev.priv);
    store<u32>(to, vxlan.vni, LINKINFO_VNI);
    store<u32>(to, vxlan.flags, LINKINFO_OPTIONS);
    store<u32>(to, vxlan.port, LINKINFO_DSTPORT);
    store<u64>(to, vxlan.localHi, LINKINFO_LOCAL);
    store<u64>(to, vxlan.localLo, LINKINFO_LOCAL + 8);
    beneath = deviceFind(changetype<Netns>(vxlan.ns), vxlan.lower);
    if (FULL) {
      store<u32>(to, vxlan.options, LINKINFO_OPTIONS);
      vxlanDescribe(vxlan, to);
    }
  } else if (FULL) deviceWrite(dev, to);
  if (beneath == 0) return;
  store<u32>(to, changetype<NetDevice>(beneath).ifindex, LINKINFO_LOWER);
  if (changetype<NetDevice>(beneath).ns != dev.ns) {
    store<u32>(to, changetype<Netns>(changetype<NetDevice>(beneath).ns).handle, LINKINFO_LINK_NETNS);
  }
}

function linkList(ns: Netns, to: usize, skip: u32): i32 {
  let index: u32 = 0, bytes: u32 = 0;
  for (let at = ns.devices; at != 0 && bytes + LINKINFO_BYTES <= MAILBOX_BYTES; at = changetype<NetDevice>(at).next) {
    if (index++ < skip) continue;
    linkWrite(changetype<NetDevice>(at), to + <usize>bytes);
    bytes += LINKINFO_BYTES;
  }
  return <i32>bytes;
}

function addressChange(ns: Netns, record: usize, add: bool): i32 {
  const at = deviceFind(ns, load<u32>(record, ADDRESS_IFINDEX));
  if (at == 0) return -ENODEV;
  const prefix = load<u32>(record, ADDRESS_PREFIX), scope = load<u32>(record, ADDRESS_SCOPE);
  const hi = load<u64>(record, ADDRESS_IP), lo = load<u64>(record, ADDRESS_IP + 8);
  if (FULL && !isMapped4(hi, lo & 0xffffffff)) return address6Change(changetype<NetDevice>(at), record, add);
  if (!isMapped4(hi, lo & 0xffffffff) || prefix < 96 || prefix > 128 || scope > 255 || raw4(lo) == 0) return -EINVAL;
  const peer = load<u64>(record, ADDRESS_PEER + 8), broadcast = load<u64>(record, ADDRESS_BROADCAST + 8);
  if ((peer != 0 && !isMapped4(0, peer & 0xffffffff)) || (broadcast != 0 && !isMapped4(0, broadcast & 0xffffffff))) return -EINVAL;
  return add ? addressAdd(changetype<NetDevice>(at), hi, lo, prefix, scope, peer, broadcast)
    : addressDelete(changetype<NetDevice>(at), hi, lo, prefix);
}

function addressList(ns: Netns, to: usize, skip: u32): i32 {
  let index: u32 = 0, bytes: u32 = 0;
  for (let d = ns.devices; d != 0; d = changetype<NetDevice>(d).next) {
    for (let at = changetype<NetDevice>(d).addresses; at != 0; at = changetype<Address>(at).next) {
      if (bytes + ADDRESS_BYTES > MAILBOX_BYTES) return <i32>bytes;
      if (index++ < skip) continue;
      const address = changetype<Address>(at);
      const p = to + <usize>bytes;
      store<u32>(p, address.secondary);
      store<u32>(p, changetype<NetDevice>(d).ifindex, ADDRESS_IFINDEX);
      store<u32>(p, address.prefix, ADDRESS_PREFIX);
      store<u32>(p, address.scope, ADDRESS_SCOPE);
      memory.fill(p + ADDRESS_PEER, 0, ADDRESS_BYTES - ADDRESS_PEER);
      if (address.peerLo != address.lo) store<u64>(p, address.peerLo, ADDRESS_PEER + 8);
      store<u64>(p, address.broadcast, ADDRESS_BROADCAST + 8);
      store<u64>(p, address.hi, ADDRESS_IP);
      store<u64>(p, address.lo, ADDRESS_IP + 8);
      bytes += ADDRESS_BYTES;
    }
  }
  if (FULL) bytes += address6List(ns, to + <usize>bytes, skip, index, MAILBOX_BYTES - bytes);
  return <i32>bytes;
}

/** `ip route add`, `replace`, `append`, `del` (fib_create_info, fib_check_nh). */
function routeChange(ns: Netns, record: usize, add: bool, length: u32): i32 {
  // A record of IPv4 has a mapped destination, "default" of length 96 included.
  if (FULL && !isMapped4(load<u64>(record, ROUTE_DST), load<u64>(record, ROUTE_DST + 8) & 0xffffffff)) return route6Change(ns, record, add, length);
  const at = kmalloc(<u32>offsetof<FibEntry>());
  if (at == 0) return -ENOMEM;
  const spec = changetype<FibEntry>(at);
  let result = routeParse(ns, record, spec, add);
  if (FULL && result == 0 && load<u32>(record, ROUTE_NEXTHOPS) != 0) result = nexthopsParse(ns, record, spec, add, length);
  if (result == 0) {
    result = add ? fibInsert(ns, spec, load<u32>(record, ROUTE_FLAGS) & (ROUTE_F_REPLACE | ROUTE_F_APPEND)) : fibDelete(ns, spec);
  }
  // The table has a copy of its own.
  if (FULL && parsedNexthops != 0) {
    spec.nexthops = parsedNexthops;
    nexthopsFree(spec);
    parsedNexthops = 0;
  }
  kfree(at, <u32>offsetof<FibEntry>());
  return result;
}

// The next hops of the route that is being added: within one call.
let parsedNexthops: usize = 0;

/** The NEXTHOP_* records behind a route (fib_get_nhs); each is tested as a single one is. */
function nexthopsParse(ns: Netns, record: usize, spec: FibEntry, add: bool, length: u32): i32 {
  const count = load<u32>(record, ROUTE_NEXTHOPS);
  if (count > NEXTHOPS_MAX || length < ROUTE_BYTES + count * NEXTHOP_BYTES || spec.type != RTN_UNICAST) return -EINVAL;
  const list = nexthopsNew(count);
  if (list == 0) return -ENOMEM;
  parsedNexthops = list;
  spec.nexthops = list;
  for (let i: u32 = count; i-- > 0;) {
    const from = record + <usize>(ROUTE_BYTES + i * NEXTHOP_BYTES);
    const hop = nexthopAt(list, i);
    const weight = load<u32>(from, NEXTHOP_WEIGHT), ifindex = load<u32>(from, NEXTHOP_IFINDEX);
    if (weight == 0 || weight > 256) return -EINVAL;
    hop.weight = weight;
    hop.flags = load<u32>(from, NEXTHOP_FLAGS) & ROUTE_F_ONLINK;
    hop.gatewayHi = load<u64>(from, NEXTHOP_GATEWAY);
    hop.gatewayLo = load<u64>(from, NEXTHOP_GATEWAY + 8);
    // The first one, tested last, is what the entry shows of itself.
    spec.dev = ifindex == 0 ? 0 : deviceFind(ns, ifindex);
    spec.flags = hop.flags;
    spec.gatewayHi = hop.gatewayHi;
    spec.gatewayLo = hop.gatewayLo;
    if (ifindex != 0 && spec.dev == 0) return -ENODEV;
    const gateway = (hop.gatewayHi | hop.gatewayLo) != 0;
    if (gateway && !isMapped4(hop.gatewayHi, hop.gatewayLo & 0xffffffff)) return -EINVAL;
    if (add) {
      if (gateway) {
        if (spec.scope == RT_SCOPE_LINK) spec.scope = RT_SCOPE_UNIVERSE;
        const result = gatewayCheck(ns, spec);
        if (result != 0) return result;
      } else if (spec.dev == 0) return -ENODEV;
      else if (!changetype<NetDevice>(spec.dev).up) return -ENETDOWN;
    }
    hop.dev = spec.dev;
  }
  if (!add) {
    // Only the list is compared.
    spec.dev = 0;
    spec.gatewayHi = 0;
    spec.gatewayLo = 0;
    for (let i: u32 = 0; i < count; i++) if (nexthopAt(list, i).dev == 0) return -ENODEV;
  }
  return 0;
}

function routeParse(ns: Netns, record: usize, spec: FibEntry, add: bool): i32 {
  const type = load<u32>(record, ROUTE_TYPE);
  const ifindex = load<u32>(record, ROUTE_IFINDEX);
  spec.type = add && type == 0 ? RTN_UNICAST : type;
  spec.prefix = load<u32>(record, ROUTE_PREFIX);
  spec.hi = load<u64>(record, ROUTE_DST);
  spec.lo = load<u64>(record, ROUTE_DST + 8);
  spec.gatewayHi = load<u64>(record, ROUTE_GATEWAY);
  spec.gatewayLo = load<u64>(record, ROUTE_GATEWAY + 8);
  spec.sourceHi = load<u64>(record, ROUTE_SOURCE);
  spec.sourceLo = load<u64>(record, ROUTE_SOURCE + 8);
  spec.metric = load<u32>(record, ROUTE_METRIC);
  spec.mtu = load<u32>(record, ROUTE_MTU);
  spec.protocol = load<u32>(record, ROUTE_PROTOCOL);
  spec.flags = load<u32>(record, ROUTE_FLAGS) & ROUTE_F_ONLINK;
  const gateway = (spec.gatewayHi | spec.gatewayLo) != 0;
  const hostRoute = spec.type == RTN_LOCAL || spec.type == RTN_BROADCAST;
  spec.table = load<u32>(record, ROUTE_TABLE);
  if (spec.table == 0) spec.table = hostRoute ? RT_TABLE_LOCAL : RT_TABLE_MAIN;
  if (spec.prefix > 128 || spec.type > RTN_THROW || !isMapped4(spec.hi, spec.lo & 0xffffffff)
    || (spec.prefix < 96 && (spec.lo >> 32) != 0)
    || (gateway && !isMapped4(spec.gatewayHi, spec.gatewayLo & 0xffffffff))) return -EINVAL;
  spec.scope = load<u32>(record, ROUTE_SCOPE);
  if (spec.scope > 255) return -EINVAL;
  if (ifindex != 0) {
    spec.dev = deviceFind(ns, ifindex);
    if (spec.dev == 0) return -ENODEV;
  }
  if (!add) return 0;
  // Host bits beyond the prefix are refused (fib_valid_key_len).
  if (spec.prefix < 128 && (bswap<u32>(raw4(spec.lo)) << (spec.prefix - 96)) != 0 && spec.prefix > 96) return -EINVAL;
  if (spec.prefix == 96 && raw4(spec.lo) != 0) return -EINVAL;
  if (spec.scope == RT_SCOPE_NOWHERE) {
    spec.scope = spec.type == RTN_LOCAL ? RT_SCOPE_HOST
      : (spec.type == RTN_UNICAST && !gateway) || spec.type == RTN_BROADCAST ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  }
  if (spec.type > RTN_BROADCAST) {
    // Blackholes and their like lead nowhere.
    if (gateway || spec.dev != 0) return -EINVAL;
    return 0;
  }
  if (spec.sourceLo != 0 && (spec.type != RTN_LOCAL || spec.sourceLo != spec.lo)
    && inetAddrType(ns, spec.sourceHi, spec.sourceLo) != RTN_LOCAL) return -EINVAL;
  if (FULL && load<u32>(record, ROUTE_NEXTHOPS) != 0) return gateway || spec.dev != 0 ? -EINVAL : 0;
  if (gateway) return gatewayCheck(ns, spec);
  if (spec.dev == 0) return -ENODEV;
  return changetype<NetDevice>(spec.dev).up || spec.type == RTN_LOCAL ? 0 : -ENETDOWN;
}

/** fib_check_nh_v4_gw: the gateway is on a link that is up; its device becomes the route's. */
function gatewayCheck(ns: Netns, spec: FibEntry): i32 {
  if (spec.type != RTN_UNICAST || spec.scope >= RT_SCOPE_LINK) return -EINVAL;
  if (spec.flags & ROUTE_F_ONLINK) {
    if (spec.dev == 0) return -ENODEV;
    if (inetAddrType(ns, spec.gatewayHi, spec.gatewayLo) != RTN_UNICAST) return -EINVAL;
    return changetype<NetDevice>(spec.dev).up ? 0 : -ENETDOWN;
  }
  const oif = spec.dev == 0 ? 0 : changetype<NetDevice>(spec.dev).ifindex;
  const at = fibLookup(ns, spec.gatewayHi, spec.gatewayLo, 0, 0xffff0000, 1, oif, 0, RT_SCOPE_LINK);
  if (at == 0) return fibError == -ENETUNREACH ? -ENETUNREACH : fibError;
  const via = changetype<FibEntry>(at);
  if (via.type != RTN_UNICAST && via.type != RTN_LOCAL) return -EINVAL;
  if (via.type == RTN_LOCAL) return -EINVAL;
  spec.dev = via.dev;
  return changetype<NetDevice>(spec.dev).up ? 0 : -ENETDOWN;
}

function routeList(ns: Netns, to: usize, skip: u32, wanted: u32): i32 {
  let index: u32 = 0, bytes: u32 = 0;
  for (let t = ns.fib; t != 0; t = changetype<FibTable>(t).next) {
    const table = changetype<FibTable>(t);
    if (wanted != 0 && table.id != wanted) continue;
    for (let b: u32 = 0; b <= table.mask; b++) {
      let at = <usize>load<u32>(table.buckets + <usize>(b << 2));
      for (; at != 0; at = changetype<FibEntry>(at).next) {
        const entry = changetype<FibEntry>(at);
        const several: u32 = FULL && entry.nexthops != 0 ? nexthopCount(entry.nexthops) : 0;
        if (FULL && several != 0) {
          // A record for each of several next hops.
          if (index < skip) {
            index += several;
            continue;
          }
          if (bytes + several * ROUTE_BYTES > MAILBOX_BYTES) return <i32>bytes;
          index += several;
          for (let i: u32 = 0; i < several; i++) {
            const p = to + <usize>bytes;
            const hop = nexthopAt(entry.nexthops, i);
            routeWrite(entry, p);
            store<u32>(p, hop.flags, ROUTE_FLAGS);
            store<u32>(p, hop.dev == 0 ? 0 : changetype<NetDevice>(hop.dev).ifindex, ROUTE_IFINDEX);
            store<u64>(p, hop.gatewayHi, ROUTE_GATEWAY);
            store<u64>(p, hop.gatewayLo, ROUTE_GATEWAY + 8);
            store<u32>(p, several, ROUTE_NEXTHOPS);
            store<u32>(p, hop.weight, ROUTE_WEIGHT);
            bytes += ROUTE_BYTES;
          }
          continue;
        }
        if (index++ < skip) continue;
        if (bytes + ROUTE_BYTES > MAILBOX_BYTES) return <i32>bytes;
        routeWrite(entry, to + <usize>bytes);
        bytes += ROUTE_BYTES;
      }
    }
  }
  return <i32>bytes;
}

function routeWrite(entry: FibEntry, p: usize): void {
  memory.fill(p, 0, ROUTE_BYTES);
  store<u32>(p, entry.flags, ROUTE_FLAGS);
  store<u32>(p, entry.table, ROUTE_TABLE);
  store<u32>(p, entry.type, ROUTE_TYPE);
  store<u32>(p, entry.prefix, ROUTE_PREFIX);
  store<u32>(p, entry.scope, ROUTE_SCOPE);
  store<u32>(p, entry.dev == 0 ? 0 : changetype<NetDevice>(entry.dev).ifindex, ROUTE_IFINDEX);
  store<u32>(p, entry.metric, ROUTE_METRIC);
  store<u32>(p, entry.mtu, ROUTE_MTU);
  store<u32>(p, entry.protocol, ROUTE_PROTOCOL);
  store<u64>(p, entry.hi, ROUTE_DST);
  store<u64>(p, entry.lo, ROUTE_DST + 8);
  store<u64>(p, entry.gatewayHi, ROUTE_GATEWAY);
  store<u64>(p, entry.gatewayLo, ROUTE_GATEWAY + 8);
  store<u64>(p, entry.sourceHi, ROUTE_SOURCE);
  store<u64>(p, entry.sourceLo, ROUTE_SOURCE + 8);
  if (FULL) route6Write(entry, p);
}

/** `ip route get`. */
function routeGet(ns: Netns, record: usize): i32 {
  const hi = load<u64>(record, 16), lo = load<u64>(record, 24), sourceLo = load<u64>(record, 40);
  if (!isMapped4(hi, lo & 0xffffffff)) return FULL ? route6Get(ns, record) : -ENETUNREACH;
  const route = changetype<Route>(ns.scratch);
  const result = routeOutputKey(ns, hi, lo, 0, sourceLo == 0 ? 0xffff0000 : sourceLo, load<u32>(record, 4), load<u32>(record, 8), route);
  if (result != 0) return result;
  memory.fill(record, 0, ROUTE_BYTES);
  store<u32>(record, route.type, ROUTE_TYPE);
  store<u32>(record, 128, ROUTE_PREFIX);
  store<u32>(record, changetype<NetDevice>(route.dev).ifindex, ROUTE_IFINDEX);
  store<u32>(record, route.mtu, ROUTE_MTU);
  store<u64>(record, hi, ROUTE_DST);
  store<u64>(record, lo, ROUTE_DST + 8);
  if (route.gatewayLo != lo) {
    store<u64>(record, route.gatewayHi, ROUTE_GATEWAY);
    store<u64>(record, route.gatewayLo, ROUTE_GATEWAY + 8);
  }
  store<u64>(record, route.sourceHi, ROUTE_SOURCE);
  store<u64>(record, route.sourceLo, ROUTE_SOURCE + 8);
  return ROUTE_BYTES;
}

export function ruleChange(ns: Netns, list: usize, r: usize): i32 {
  const action = load<u32>(r, RULE_ACTION);
  if (load<u32>(r, RULE_SRC_PREFIX) > 128 || load<u32>(r, RULE_DST_PREFIX) > 128 || action > FR_ACT_PROHIBIT) return -EINVAL;
  if (!FULL && action > FR_ACT_TO_TBL) return -EOPNOTSUPP;
  if (action <= FR_ACT_TO_TBL && load<u32>(r, RULE_TABLE) == 0) return -EINVAL;
  if (action == FR_ACT_GOTO && load<u32>(r, RULE_TARGET) <= load<u32>(r, RULE_PREF)) return -EINVAL; // backward
  return ruleAdd(ns, list, r);
}

export function ruleList(first: usize, to: usize, skip: u32): i32 {
  let index: u32 = 0, bytes: u32 = 0;
  for (let at = first; at != 0 && bytes + RULE_BYTES <= MAILBOX_BYTES;) {
    const p = to + <usize>bytes;
    at = ruleWrite(at, p);
    if (index++ >= skip) bytes += RULE_BYTES;
  }
  return <i32>bytes;
}

function neighChange(ns: Netns, record: usize, set: bool): i32 {
  if (FULL && (load<u32>(record, NEIGH_FLAGS) & NTF_PROXY) != 0) return proxy6Change(ns, record, set);
  const at = deviceFind(ns, load<u32>(record, NEIGH_IFINDEX));
  if (at == 0) return -ENODEV;
  const dev = changetype<NetDevice>(at);
  const hi = load<u64>(record, NEIGH_IP), lo = load<u64>(record, NEIGH_IP + 8);
  const six = !isMapped4(hi, lo & 0xffffffff);
  if (six && (!FULL || isMulticast6(hi) || (hi | lo) == 0)) return -EINVAL;
  if (!set) return neighDelete(dev, hi, lo);
  const state = load<u32>(record, NEIGH_STATE);
  if (state == 0 || state > 0x80 || (state & (state - 1)) != 0 || (!six && isMulticast4(raw4(lo)))) return -EINVAL;
  return neighSet(dev, hi, lo, load<u32>(record, NEIGH_MAC), <u32>load<u16>(record, NEIGH_MAC + 4), state);
}

function neighList(ns: Netns, to: usize, skip: u32): i32 {
  let index: u32 = 0, bytes: u32 = 0;
  for (let b: u32 = 0; b < neighBuckets(ns); b++) {
    for (let at = neighBucket(ns, b); at != 0; at = changetype<Neighbour>(at).next) {
      if (index++ < skip) continue;
      if (bytes + NEIGH_BYTES > MAILBOX_BYTES) return <i32>bytes;
      const n = changetype<Neighbour>(at);
      const p = to + <usize>bytes;
      memory.fill(p, 0, NEIGH_BYTES);
      store<u32>(p, changetype<NetDevice>(n.dev).ifindex, NEIGH_IFINDEX);
      store<u32>(p, n.state, NEIGH_STATE);
      store<u64>(p, n.hi, NEIGH_IP);
      store<u64>(p, n.lo, NEIGH_IP + 8);
      store<u32>(p, n.mac0, NEIGH_MAC);
      store<u32>(p, n.mac1, NEIGH_MAC + 4);
      store<u32>(p, n.flags, NEIGH_FLAGS);
      bytes += NEIGH_BYTES;
    }
  }
  if (FULL) bytes += proxy6List(ns, to + <usize>bytes, skip, index, MAILBOX_BYTES - bytes);
  return <i32>bytes;
}

function fdbChange(ns: Netns, record: usize, set: bool): i32 {
  const at = deviceFind(ns, load<u32>(record, FDB_IFINDEX));
  if (at == 0) return -ENODEV;
  const dev = changetype<NetDevice>(at);
  const mac0 = load<u32>(record, FDB_MAC), mac1 = <u32>load<u16>(record, FDB_MAC + 4);
  const hi = load<u64>(record, FDB_DST), lo = load<u64>(record, FDB_DST + 8);
  const remote = load<u32>(record, FDB_HAS_DST) != 0;
  if (macIsGroup(mac0)) return -EINVAL;
  if (dev.kind == DEV_VXLAN) {
    // vxlan_fdb_add: of the family of the device's ends
    const six = FULL && changetype<Vxlan>(dev.priv).six;
    if (remote && isMapped4(hi, lo & 0xffffffff) == six) return FULL ? -EAFNOSUPPORT : -EINVAL;
    if (!remote && set) return -EINVAL;
    return set ? vxlanFdbSet(dev, mac0, mac1, hi, lo, load<u32>(record, FDB_FLAGS))
      : vxlanFdbDelete(dev, mac0, mac1, remote ? hi : 0, remote ? lo : 0);
  }
  if (remote) return -EOPNOTSUPP;
  const vid = FULL ? load<u32>(record, FDB_VID) : 0;
  return set ? bridgeFdbSet(dev, mac0, mac1, vid, load<u32>(record, FDB_FLAGS)) : bridgeFdbDelete(dev, mac0, mac1, vid);
}

function fdbList(ns: Netns, to: usize, skip: u32, ifindex: u32): i32 {
  const found = deviceFind(ns, ifindex);
  if (found == 0) return -ENODEV;
  const dev = changetype<NetDevice>(found);
  let index: u32 = 0, bytes: u32 = 0;
  if (dev.kind == DEV_VXLAN) {
    for (let b: u32 = 0; b < vxlanFdbBuckets(dev); b++) {
      for (let at = vxlanFdbBucket(dev, b); at != 0; at = changetype<VxlanFdb>(at).next) {
        const entry = changetype<VxlanFdb>(at);
        for (let r = entry.remotes; r != 0; r = changetype<VxlanRemote>(r).next) {
          if (index++ < skip) continue;
          if (bytes + FDB_BYTES > MAILBOX_BYTES) return <i32>bytes;
          fdbWrite(to + <usize>bytes, ifindex, entry.state, entry.mac0, entry.mac1, r);
          bytes += FDB_BYTES;
        }
      }
    }
    return <i32>bytes;
  }
  // Of a bridge all its entries, of a port those that lead to it.
  const bridge = dev.kind == DEV_BRIDGE ? dev : changetype<NetDevice>(dev.master);
  if (changetype<usize>(bridge) == 0) return 0;
  for (let b: u32 = 0; b < bridgeFdbBuckets(bridge); b++) {
    for (let at = bridgeFdbBucket(bridge, b); at != 0; at = changetype<FdbEntry>(at).next) {
      const entry = changetype<FdbEntry>(at);
      if (dev.kind != DEV_BRIDGE && entry.port != found) continue;
      if (index++ < skip) continue;
      if (bytes + FDB_BYTES > MAILBOX_BYTES) return <i32>bytes;
      fdbWrite(to + <usize>bytes, changetype<NetDevice>(entry.port).ifindex, entry.state, entry.mac0, entry.mac1, 0);
      store<u32>(to + <usize>bytes, entry.vid, FDB_VID);
      store<u32>(to + <usize>bytes, entry.sequence, FDB_SEQUENCE);
      bytes += FDB_BYTES;
    }
  }
  return <i32>bytes;
}

function fdbWrite(p: usize, ifindex: u32, state: u32, mac0: u32, mac1: u32, remote: usize): void {
  memory.fill(p, 0, FDB_BYTES);
  store<u32>(p, ifindex, FDB_IFINDEX);
  store<u32>(p, state, FDB_FLAGS);
  store<u32>(p, mac0, FDB_MAC);
  store<u32>(p, mac1, FDB_MAC + 4);
  if (remote == 0) return;
  store<u32>(p, 1, FDB_HAS_DST);
  store<u64>(p, changetype<VxlanRemote>(remote).hi, FDB_DST);
  store<u64>(p, changetype<VxlanRemote>(remote).lo, FDB_DST + 8);
}
