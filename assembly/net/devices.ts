// Devices: making, finding, changing and removing them (net/core/rtnetlink.c, dev.c, drivers/net/veth.c).
import { EADDRNOTAVAIL, EBUSY, EEXIST, EINVAL, ELOOP, EOPNOTSUPP } from "../abi/core";
import {
  BRPORT_BCAST_FLOOD, BRPORT_FLOOD, BRPORT_LEARNING, BRPORT_MCAST_FLOOD, DEV_BRIDGE, DEV_LOOPBACK, DEV_VXLAN,
  CONF_ARP_NOTIFY, CONF_MAX, DEV_IPVLAN, DEV_VLAN, DROP_DEV_DOWN, IFF_ACTIVATED, RT_SCOPE_HOST,
} from "../abi/net";
import { deviceBpfExit, deviceBpfMove } from "../bpf/hooks/device";
import { FULL } from "../features";
import { NetDevice, Netns, Node, Skb } from "../layout";
import { node } from "../mm/node";
import { random32 } from "../mm/rng";
import { kfree, kmalloc } from "../mm/slab";
import { nfQueueDevice } from "../netfilter/queue";
import { mapped4 } from "../wire/bytes";
import { macIsGroup } from "../wire/ethernet";
import { Address, addressAdd, addressRoutesAdd, addressesFlush } from "./address";
import { arpAnnounce } from "./arp";
import { bridgeAddPort, bridgeDelete, bridgeMacChanged, bridgeMtuChanged, bridgeRemovePort } from "./bridge";
import { CONF6_NDISC_NOTIFY } from "../abi/net6";
import { addrconfDown, addrconfUp, mtu6Changed } from "./addrconf";
import { fibFlush } from "./fib";
import { fib6FlushHops } from "./fib6";
import { conf6, confAll6, inet6DevExit, inet6DevInit } from "./inet6";
import { frag6Flush } from "./ip6-frag";
import { ndiscAnnounce } from "./ndisc";
import { proxiesForget } from "./ndisc-proxy";
import { fragFlush } from "./ip-defrag";
import { neighDeviceInit, neighFlush, neighForgetDevice } from "./neighbour";
import { qdiscForget, qdiscFree, qdiscReplace } from "./sched/qdisc";
import { skbDrop } from "./skb";
import {
  isStacked, stackedDelete, stackedLowerMac, stackedLowerMtu, stackedLowerUp, stackedMtuCheck, stackedUpCheck,
} from "./stacked";
import { devConfInit, orConf } from "./sysctl";
import { isLayer3, isTunnel, tunnelAny, tunnelDelete } from "./tunnel";
import { vlanMacSet } from "./vlan";
import { vxlanAny, vxlanDelete, vxlanLowerOf, vxlanMtuMax } from "./vxlan";

/** IFNAMSIZ is 16 with the ending zero. */
const NAME_BYTES: usize = 16;

/** The device of that ifindex, or 0. */
export function deviceFind(ns: Netns, ifindex: u32): usize {
  for (let at = ns.devices; at != 0; at = changetype<NetDevice>(at).next) {
    if (changetype<NetDevice>(at).ifindex == ifindex) return at;
  }
  return 0;
}

/** The device of that name, or 0. */
export function deviceByName(ns: Netns, name0: u64, name1: u64): usize {
  for (let at = ns.devices; at != 0; at = changetype<NetDevice>(at).next) {
    const dev = changetype<NetDevice>(at);
    if (dev.name0 == name0 && dev.name1 == name1) return at;
  }
  return 0;
}

/** dev_valid_name: 1 to 15 bytes, none of them a slash, a colon or white space, and neither "." nor "..". */
export function nameValid(at: usize): bool {
  if (load<u8>(at) == 0 || load<u8>(at, 15) != 0) return false;
  if (load<u8>(at) == 0x2e && (load<u8>(at, 1) == 0 || (load<u8>(at, 1) == 0x2e && load<u8>(at, 2) == 0))) return false;
  for (let i: usize = 0; i < NAME_BYTES; i++) {
    const c = load<u8>(at + i);
    if (c == 0) {
      // Nothing may follow the end: names are compared whole.
      for (; i < NAME_BYTES; i++) if (load<u8>(at + i) != 0) return false;
      return true;
    }
    if (c == 0x2f || c == 0x3a || c == 0x20 || (c >= 9 && c <= 13)) return false;
  }
  return false;
}

/**
 * A new device, down, in `ns`; 0: no memory. `hasMac` false: a random MAC (eth_hw_addr_random). The
 * kind's own state is the caller's business.
 */
export function deviceNew(ns: Netns, kind: u32, name: usize, mtu: u32, hasMac: bool, mac0: u32, mac1: u32): usize {
  const at = kmalloc(<u32>offsetof<NetDevice>());
  if (at == 0) return 0;
  const dev = changetype<NetDevice>(at);
  dev.kind = kind;
  dev.mtu = mtu;
  dev.name0 = load<u64>(name);
  dev.name1 = load<u64>(name, 8);
  if (kind != DEV_LOOPBACK) {
    dev.mac0 = hasMac ? mac0 : (random32() & 0xfffffffe) | 2;
    dev.mac1 = hasMac ? mac1 : random32() & 0xffff;
  }
  if (!devConfInit(dev, ns) || (FULL && !inet6DevInit(dev, ns))) {
    if (dev.conf != 0) kfree(dev.conf, CONF_MAX << 2);
    kfree(at, <u32>offsetof<NetDevice>());
    return 0;
  }
  neighDeviceInit(dev);
  enlist(ns, dev);
  return at;
}

/** Puts a device at the end of the namespace's list with the next ifindex. */
function enlist(ns: Netns, dev: NetDevice): void {
  dev.ns = changetype<usize>(ns);
  dev.ifindex = ns.ifindexNext++;
  dev.next = 0;
  let link = changetype<usize>(ns) + offsetof<Netns>("devices");
  while (load<u32>(link) != 0) link = <usize>load<u32>(link); // `next` is the first field
  store<u32>(link, <u32>changetype<usize>(dev));
  ns.routeGeneration++;
}

function delist(ns: Netns, dev: NetDevice): void {
  let link = changetype<usize>(ns) + offsetof<Netns>("devices");
  while (load<u32>(link) != 0 && <usize>load<u32>(link) != changetype<usize>(dev)) link = <usize>load<u32>(link);
  if (load<u32>(link) != 0) store<u32>(link, <u32>dev.next);
  ns.routeGeneration++;
}

/** `ip link set DEV up` or `down`. */
export function deviceSetUp(dev: NetDevice, up: bool): i32 {
  if ((dev.up != 0) == up) return 0;
  const ns = changetype<Netns>(dev.ns);
  if (FULL && up && dev.lower != 0) {
    const result = stackedUpCheck(dev);
    if (result != 0) return result;
  }
  dev.up = up ? 1 : 0;
  if (FULL && up) dev.flags |= IFF_ACTIVATED;
  ns.routeGeneration++;
  if (FULL && dev.uppers != 0) stackedLowerUp(dev, up);
  if (!up) {
    if (FULL) {
      nfQueueDevice(dev);
      addrconfDown(dev, false);
      fib6FlushHops(ns, changetype<usize>(dev));
    }
    fibFlush(ns, changetype<usize>(dev), false, 0, 0);
    neighFlush(dev, false);
    return 0;
  }
  if (FULL) addrconfUp(dev);
  // inetdev_event: loopback gets its address by itself.
  if (dev.kind == DEV_LOOPBACK && dev.addresses == 0) {
    return addressAdd(dev, 0, mapped4(0x0100007f), 104, RT_SCOPE_HOST);
  }
  for (let at = dev.addresses; at != 0; at = changetype<Address>(at).next) addressRoutesAdd(dev, changetype<Address>(at));
  if (orConf(dev, CONF_ARP_NOTIFY)) arpAnnounce(dev);
  return 0;
}

/** `ip link set DEV mtu`. Bounds as the drivers have them. */
export function deviceSetMtu(dev: NetDevice, mtu: u32): i32 {
  if (dev.kind != DEV_LOOPBACK && (mtu < 68 || mtu > 65535)) return -EINVAL;
  if (mtu > 0x7fffffff || (dev.kind == DEV_VXLAN && mtu > vxlanMtuMax(dev))) return -EINVAL;
  if (FULL && dev.lower != 0) {
    const result = stackedMtuCheck(dev, mtu);
    if (result != 0) return result;
  }
  dev.mtu = mtu;
  if (FULL) mtu6Changed(dev);
  bridgeMtuChanged(dev);
  if (FULL && dev.uppers != 0) stackedLowerMtu(dev);
  changetype<Netns>(dev.ns).routeGeneration++;
  return 0;
}

/** `ip link set DEV address`: -EADDRNOTAVAIL for a group or zero address (eth_prepare_mac_addr_change). */
export function deviceSetMac(dev: NetDevice, mac0: u32, mac1: u32): i32 {
  if (dev.kind == DEV_LOOPBACK || (FULL && (dev.kind == DEV_IPVLAN || isLayer3(dev.kind)))) return -EOPNOTSUPP;
  if (macIsGroup(mac0) || (mac0 | mac1) == 0) return -EADDRNOTAVAIL;
  const old0 = dev.mac0, old1 = dev.mac1;
  dev.mac0 = mac0;
  dev.mac1 = mac1;
  bridgeMacChanged(dev, old0, old1);
  if (FULL) {
    if (dev.kind == DEV_VLAN) vlanMacSet(dev);
    if (dev.uppers != 0) stackedLowerMac(dev);
  }
  // inetdev_event, NETDEV_CHANGEADDR
  if (dev.up && orConf(dev, CONF_ARP_NOTIFY)) arpAnnounce(dev);
  if (FULL && dev.up && dev.inet6 != 0 && (conf6(dev, CONF6_NDISC_NOTIFY) != 0 || confAll6(changetype<Netns>(dev.ns), CONF6_NDISC_NOTIFY) != 0)) {
    ndiscAnnounce(dev);
  }
  return 0;
}

/** `ip link set DEV name`. */
export function deviceSetName(dev: NetDevice, name: usize): i32 {
  if (!nameValid(name)) return -EINVAL;
  const found = deviceByName(changetype<Netns>(dev.ns), load<u64>(name), load<u64>(name, 8));
  if (found == changetype<usize>(dev)) return 0;
  if (found != 0) return -EEXIST;
  dev.name0 = load<u64>(name);
  dev.name1 = load<u64>(name, 8);
  changetype<Netns>(dev.ns).routeGeneration++;
  changetype<Netns>(dev.ns).ruleGeneration++;
  return 0;
}

/** `ip link set DEV master BRIDGE` (0: nomaster). */
export function deviceSetMaster(dev: NetDevice, masterAt: usize): i32 {
  if (dev.master == masterAt) return 0;
  if (masterAt != 0) {
    const master = changetype<NetDevice>(masterAt);
    if (master.kind != DEV_BRIDGE) return -EOPNOTSUPP;
    if (dev.kind == DEV_BRIDGE) return -ELOOP;
    if (dev.kind == DEV_LOOPBACK) return -EINVAL;
    if (FULL && dev.rxHandler != 0) return -EBUSY;
    if (FULL && isLayer3(dev.kind)) return -EINVAL;
    // A bridge below itself.
    if (FULL) for (let at = dev.lower; at != 0; at = changetype<NetDevice>(at).lower) if (at == masterAt) return -ELOOP;
  }
  if (dev.master != 0) bridgeRemovePort(dev);
  if (masterAt == 0) return 0;
  dev.portFlags = BRPORT_LEARNING | BRPORT_FLOOD | BRPORT_MCAST_FLOOD | BRPORT_BCAST_FLOOD;
  return bridgeAddPort(changetype<NetDevice>(masterAt), dev);
}

/** Everything that hangs on the device where it is: addresses, routes, neighbours, bridge port, waiting frames. */
function detach(dev: NetDevice): void {
  const ns = changetype<Netns>(dev.ns);
  deviceSetUp(dev, false);
  if (dev.master != 0) bridgeRemovePort(dev);
  addressesFlush(dev);
  fibFlush(ns, changetype<usize>(dev), true, 0, 0);
  neighFlush(dev, true);
  neighForgetDevice(ns, dev);
  fragFlush(ns, changetype<usize>(dev));
  if (FULL) {
    addrconfDown(dev, true);
    frag6Flush(ns, changetype<usize>(dev));
    proxiesForget(ns, dev.ifindex);
  }
  if (FULL) qdiscForget(dev);
  const n = node();
  n.backlogTail = forgetIn(changetype<usize>(n) + offsetof<Node>("backlogHead"), dev);
  n.outboxTail = forgetIn(changetype<usize>(n) + offsetof<Node>("outboxHead"), dev);
}

/** Takes the frames that name the device out of a queue, counting them where its length is counted; the new tail. */
function forgetIn(head: usize, dev: NetDevice): usize {
  const n = node();
  const backlog = head == changetype<usize>(n) + offsetof<Node>("backlogHead");
  let link = head, tail: usize = 0;
  for (let at = <usize>load<u32>(link); at != 0; at = <usize>load<u32>(link)) {
    const skb = changetype<Skb>(at);
    if (skb.dev == changetype<usize>(dev)) {
      store<u32>(link, <u32>skb.next);
      if (backlog) n.backlogLength--;
      else n.outboxLength--;
      skbDrop(skb, changetype<Netns>(dev.ns), skb.dev, DROP_DEV_DOWN);
    } else {
      if (skb.inDev == changetype<usize>(dev)) skb.inDev = 0;
      link = at; // `next` is the first field
      tail = at;
    }
  }
  return tail;
}

/** `ip link del`: the device and what cannot be without it (a veth's peer). Loopback stays: -EOPNOTSUPP. */
export function deviceDelete(dev: NetDevice, force: bool): i32 {
  if (dev.kind == DEV_LOOPBACK && !force) return -EOPNOTSUPP;
  const peer = dev.peer;
  if (peer != 0) {
    changetype<NetDevice>(peer).peer = 0;
    dev.peer = 0;
    deviceDelete(changetype<NetDevice>(peer), force);
  }
  const ns = changetype<Netns>(dev.ns);
  if (FULL) {
    nfQueueDevice(dev);
    deviceBpfExit(dev);
  }
  for (let over = vxlanLowerOf(ns, dev.ifindex); over != 0; over = vxlanLowerOf(ns, dev.ifindex)) {
    deviceDelete(changetype<NetDevice>(over), force);
  }
  if (FULL) while (dev.uppers != 0) deviceDelete(changetype<NetDevice>(dev.uppers), force);
  detach(dev);
  if (dev.kind == DEV_BRIDGE) bridgeDelete(dev);
  if (dev.kind == DEV_VXLAN) vxlanDelete(dev);
  if (FULL) {
    qdiscReplace(dev, 0);
    qdiscFree(dev.ingress);
    if (isTunnel(dev.kind)) tunnelDelete(dev);
    else if (isStacked(dev.kind)) stackedDelete(dev);
  }
  delist(ns, dev);
  kfree(dev.conf, CONF_MAX << 2);
  if (FULL) inet6DevExit(dev);
  kfree(changetype<usize>(dev), <u32>offsetof<NetDevice>());
  return 0;
}

/** `ip link set DEV netns`: down, without addresses, with a new ifindex if its own is taken there (dev_change_net_namespace). */
export function deviceMove(dev: NetDevice, to: Netns): i32 {
  const from = changetype<Netns>(dev.ns);
  if (changetype<usize>(from) == changetype<usize>(to)) return 0;
  if (dev.kind == DEV_LOOPBACK || dev.kind == DEV_BRIDGE) return -EINVAL;
  if (deviceByName(to, dev.name0, dev.name1) != 0) return -EEXIST;
  if (FULL) {
    nfQueueDevice(dev);
    deviceBpfMove(dev);
  }
  detach(dev);
  delist(from, dev);
  const ifindex = dev.ifindex;
  enlist(to, dev);
  if (deviceFindOther(to, ifindex, dev) == 0) {
    dev.ifindex = ifindex;
    to.ifindexNext = max<u32>(to.ifindexNext - 1, ifindex + 1);
  }
  devConfInit(dev, to);
  if (FULL) inet6DevInit(dev, to);
  neighDeviceInit(dev);
  return 0;
}

function deviceFindOther(ns: Netns, ifindex: u32, except: NetDevice): usize {
  for (let at = ns.devices; at != 0; at = changetype<NetDevice>(at).next) {
    if (changetype<NetDevice>(at).ifindex == ifindex && at != changetype<usize>(except)) return at;
  }
  return 0;
}

/** The namespace ends: all its devices, loopback last. */
export function devicesExit(ns: Netns): void {
  for (let at = vxlanAny(ns); at != 0; at = vxlanAny(ns)) deviceDelete(changetype<NetDevice>(at), true);
  if (FULL) for (let at = tunnelAny(ns); at != 0; at = tunnelAny(ns)) deviceDelete(changetype<NetDevice>(at), true);
  while (ns.devices != 0) {
    let at = ns.devices;
    if (at == ns.loopback && changetype<NetDevice>(at).next != 0) at = changetype<NetDevice>(at).next;
    deviceDelete(changetype<NetDevice>(at), true);
  }
  ns.loopback = 0;
}
