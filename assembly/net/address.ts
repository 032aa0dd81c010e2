// Addresses of devices and the routes that come and go with them (net/ipv4/devinet.c, fib_frontend.c).
import { EADDRNOTAVAIL, EEXIST, EINVAL, ENOMEM } from "../abi/core";
import {
  CONF_PROMOTE_SECONDARIES, CONF_ROUTE_LOCALNET, DEV_LOOPBACK, ROUTE_F_APPEND, RTN_BROADCAST, RTN_LOCAL, RTN_UNICAST, RTPROT_KERNEL, RT_SCOPE_HOST, RT_SCOPE_LINK,
  RT_SCOPE_NOWHERE, RT_TABLE_LOCAL, RT_TABLE_MAIN,
} from "../abi/net";
import { NetDevice, Netns } from "../layout";
import { kfree, kmalloc } from "../mm/slab";
import { FibEntry, FibTable, fibDelete, fibFlush, fibInsert, fibTable, fibTableLookup, maskHi, maskLo } from "./fib";
import { orConf } from "./sysctl";

@unmanaged export class Address {
  next: usize; // Address of the device: primary ones of wider scope first, secondary ones last
  prefix: u32;
  hi: u64; lo: u64;
  peerLo: u64; // the address whose prefix it is: its own, or the other end's (ifa_address)
  broadcast: u64; // as given, 0: none
  scope: u32;
  /** Of a subnet that an earlier address of the device already covers: never chosen as a source. */
  secondary: u32;
}

/** 127/8 */
@inline export function isLoopback4(raw: u32): bool { return (raw & 0xff) == 127; }
/** 224/4 */
@inline export function isMulticast4(raw: u32): bool { return (raw & 0xf0) == 0xe0; }

/** Does the address lie in the subnet of `address`? */
export function addressMatches(address: Address, hi: u64, lo: u64): bool {
  return maskLo(lo ^ address.peerLo, address.prefix) == 0 && maskHi(hi ^ address.hi, address.prefix) == 0;
}

/** `ip address add` (inet_insert_ifa). 0, -EEXIST, -EINVAL or -ENOMEM. */
export function addressAdd(dev: NetDevice, hi: u64, lo: u64, prefix: u32, scope: u32, peer: u64 = 0, broadcast: u64 = 0): i32 {
  const peerLo = peer == 0 ? lo : peer;
  let link = changetype<usize>(dev) + offsetof<NetDevice>("addresses");
  let lastPrimary = link;
  let secondary: u32 = 0;
  for (let at = <usize>load<u32>(link); at != 0; at = <usize>load<u32>(link)) {
    const other = changetype<Address>(at);
    link = at; // `next` is the first field
    if (!other.secondary && scope <= other.scope) lastPrimary = at;
    if (other.prefix == prefix && addressMatches(other, hi, peerLo)) {
      if (other.hi == hi && other.lo == lo) return -EEXIST;
      if (other.scope != scope) return -EINVAL;
      secondary = 1;
    }
  }
  const at = kmalloc(<u32>offsetof<Address>());
  if (at == 0) return -ENOMEM;
  const address = changetype<Address>(at);
  address.hi = hi;
  address.lo = lo;
  address.peerLo = peerLo;
  address.broadcast = broadcast;
  address.prefix = prefix;
  address.scope = scope;
  address.secondary = secondary;
  if (!secondary) link = lastPrimary;
  address.next = <usize>load<u32>(link);
  store<u32>(link, <u32>at);
  // Once it has an address of its own choosing, a device follows conf.default no more (ipv4_devconf_setall).
  dev.confSet = 0xffffffff;
  addressRoutesAdd(dev, address);
  return 0;
}

/** `ip address del`. 0 or -EADDRNOTAVAIL. Secondary addresses of the subnet go too, unless promote_secondaries is set. */
export function addressDelete(dev: NetDevice, hi: u64, lo: u64, prefix: u32): i32 {
  let link = changetype<usize>(dev) + offsetof<NetDevice>("addresses");
  let found: usize = 0;
  for (let at = <usize>load<u32>(link); at != 0; at = <usize>load<u32>(link)) {
    const address = changetype<Address>(at);
    if (address.hi == hi && address.lo == lo && address.prefix == prefix) {
      store<u32>(link, <u32>address.next);
      found = at;
      break;
    }
    link = at;
  }
  if (found == 0) return -EADDRNOTAVAIL;
  const gone = changetype<Address>(found);
  let promoted: usize = 0;
  if (!gone.secondary) {
    const promote = orConf(dev, CONF_PROMOTE_SECONDARIES);
    link = changetype<usize>(dev) + offsetof<NetDevice>("addresses");
    for (let at = <usize>load<u32>(link); at != 0; at = <usize>load<u32>(link)) {
      const other = changetype<Address>(at);
      if (other.secondary && other.prefix == prefix && addressMatches(gone, other.hi, other.peerLo)) {
        if (promote) {
          other.secondary = 0;
          promoted = at;
          break;
        }
        store<u32>(link, <u32>other.next);
        addressRoutesDelete(dev, other);
        kfree(at, <u32>offsetof<Address>());
      } else link = at;
    }
  }
  addressRoutesDelete(dev, gone);
  if (promoted != 0) addressRoutesAdd(dev, changetype<Address>(promoted));
  kfree(found, <u32>offsetof<Address>());
  return 0;
}

/** The device ends, or moves to another namespace: its addresses go. */
export function addressesFlush(dev: NetDevice): void {
  while (dev.addresses != 0) {
    const address = changetype<Address>(dev.addresses);
    dev.addresses = address.next;
    addressRoutesDelete(dev, address);
    kfree(changetype<usize>(address), <u32>offsetof<Address>());
  }
}

/** The address of the device that stands for its subnet: itself, unless it is a secondary one. */
function primaryOf(dev: NetDevice, address: Address): Address {
  for (let at = dev.addresses; at != 0 && address.secondary; at = changetype<Address>(at).next) {
    const other = changetype<Address>(at);
    if (!other.secondary && other.prefix == address.prefix && addressMatches(other, address.hi, address.lo)) return other;
  }
  return address;
}

/** Routes of an address (fib_add_ifaddr): local always, subnet and broadcast while the device is up. */
export function addressRoutesAdd(dev: NetDevice, address: Address): void {
  const ns = changetype<Netns>(dev.ns);
  magic(ns, dev, RTN_LOCAL, RT_TABLE_LOCAL, address.hi, address.lo, 128, primaryOf(dev, address), true);
  if (!dev.up) return;
  if (address.broadcast != 0 && <u32>(address.broadcast >> 32) != 0xffffffff) {
    magic(ns, dev, RTN_BROADCAST, RT_TABLE_LOCAL, address.hi, address.broadcast, 128, address, true);
  }
  if (address.secondary) return;
  const hostLo = maskLo(address.peerLo, address.prefix);
  if (<u32>(hostLo >> 32) != 0 && (hostLo != address.lo || address.prefix < 128)) {
    const loopback = dev.kind == DEV_LOOPBACK;
    magic(ns, dev, loopback ? RTN_LOCAL : RTN_UNICAST, loopback ? RT_TABLE_LOCAL : RT_TABLE_MAIN,
      maskHi(address.hi, address.prefix), hostLo, address.prefix, address, true);
    if (address.prefix < 127) {
      magic(ns, dev, RTN_BROADCAST, RT_TABLE_LOCAL, address.hi, broadcastOf(address), 128, address, true);
    }
  }
}

/** Takes back those that no other address of the namespace needs (fib_del_ifaddr). */
function addressRoutesDelete(dev: NetDevice, gone: Address): void {
  const ns = changetype<Netns>(dev.ns);
  let local = false, broadcast = false, subnet = false, elsewhere = false, given = false;
  for (let d = ns.devices; d != 0; d = changetype<NetDevice>(d).next) {
    for (let at = changetype<NetDevice>(d).addresses; at != 0; at = changetype<Address>(at).next) {
      const other = changetype<Address>(at);
      if (other.hi == gone.hi && other.lo == gone.lo) elsewhere = true;
      if (d != changetype<usize>(dev)) continue;
      if (other.hi == gone.hi && other.lo == gone.lo) local = true;
      if (!other.secondary && broadcastOf(other) == broadcastOf(gone)) broadcast = true;
      if (other.broadcast == gone.broadcast || (!other.secondary && broadcastOf(other) == gone.broadcast)) given = true;
      if (!other.secondary && other.prefix == gone.prefix && addressMatches(other, gone.hi, gone.peerLo)) subnet = true;
    }
  }
  const loopback = dev.kind == DEV_LOOPBACK;
  if (!gone.secondary && !subnet) {
    magic(ns, dev, loopback ? RTN_LOCAL : RTN_UNICAST, loopback ? RT_TABLE_LOCAL : RT_TABLE_MAIN,
      maskHi(gone.hi, gone.prefix), maskLo(gone.peerLo, gone.prefix), gone.prefix, gone, false);
  }
  if (!gone.secondary && !broadcast) {
    magic(ns, dev, RTN_BROADCAST, RT_TABLE_LOCAL, gone.hi, broadcastOf(gone), 128, gone, false);
  }
  if (gone.broadcast != 0 && !given && gone.broadcast != broadcastOf(gone)) {
    magic(ns, dev, RTN_BROADCAST, RT_TABLE_LOCAL, gone.hi, gone.broadcast, 128, gone, false);
  }
  if (!local) {
    magic(ns, dev, RTN_LOCAL, RT_TABLE_LOCAL, gone.hi, gone.lo, 128, gone, false);
    if (!elsewhere) fibFlush(ns, 0, false, gone.hi, gone.lo);
  }
}

/** The all-ones address of the subnet. */
function broadcastOf(address: Address): u64 {
  return address.peerLo | ~maskLo(<u64>-1, address.prefix);
}

// fib_magic
function magic(ns: Netns, dev: NetDevice, type: u32, table: u32, hi: u64, lo: u64, prefix: u32, address: Address,
  add: bool): void {
  const at = kmalloc(<u32>offsetof<FibEntry>());
  if (at == 0) return;
  const spec = changetype<FibEntry>(at);
  spec.hi = hi;
  spec.lo = lo;
  spec.prefix = prefix;
  spec.type = type;
  spec.scope = type == RTN_LOCAL ? RT_SCOPE_HOST : RT_SCOPE_LINK;
  spec.dev = changetype<usize>(dev);
  spec.protocol = RTPROT_KERNEL;
  spec.table = table;
  if (add) {
    spec.sourceHi = address.hi;
    spec.sourceLo = address.lo;
    fibInsert(ns, spec, ROUTE_F_APPEND);
  } else {
    spec.scope = RT_SCOPE_NOWHERE;
    fibDelete(ns, spec);
  }
  kfree(at, <u32>offsetof<FibEntry>());
}

/**
 * The source for packets out of `dev` towards `hi:lo` ("any": lo = 0) of no narrower a scope than `scope`: the address whose
 * subnet holds the destination, or the device's first, or one of another device (inet_select_addr). 0: none.
 */
export function inetSelectAddr(dev: NetDevice, hi: u64, lo: u64, scope: u32): u64 {
  const ns = changetype<Netns>(dev.ns);
  const hostScope = orConf(dev, CONF_ROUTE_LOCALNET) ? RT_SCOPE_LINK : RT_SCOPE_HOST;
  let first: u64 = 0;
  for (let at = dev.addresses; at != 0; at = changetype<Address>(at).next) {
    const address = changetype<Address>(at);
    if (address.secondary || min<u32>(address.scope, hostScope) > scope) continue;
    if (lo == 0 || addressMatches(address, hi, lo)) return address.lo;
    if (first == 0) first = address.lo;
  }
  if (first != 0) return first;
  for (let d = ns.devices; d != 0; d = changetype<NetDevice>(d).next) {
    for (let at = changetype<NetDevice>(d).addresses; at != 0; at = changetype<Address>(at).next) {
      const address = changetype<Address>(at);
      if (!address.secondary && address.scope != RT_SCOPE_LINK && address.scope <= scope) return address.lo;
    }
  }
  return 0;
}

/** Is it an address of some device of the namespace (inet_lookup_ifaddr_rcu)? Asked of the local table, which is a hash. */
export function isInterfaceAddress(ns: Netns, hi: u64, lo: u64): bool {
  const at = fibTableLookup(changetype<FibTable>(fibTable(ns, RT_TABLE_LOCAL, false)), hi, lo, 0, 0);
  return at != 0 && changetype<FibEntry>(at).type == RTN_LOCAL && changetype<FibEntry>(at).prefix == 128;
}

/** True when `dev` has an address in whose subnet both lie (inet_addr_onlink); b any: only `a` is looked at. */
export function addressOnlink(dev: NetDevice, aHi: u64, aLo: u64, bHi: u64, bLo: u64): bool {
  for (let at = dev.addresses; at != 0; at = changetype<Address>(at).next) {
    const address = changetype<Address>(at);
    if (address.secondary || !addressMatches(address, aHi, aLo)) continue;
    if ((bHi | bLo) == 0 || addressMatches(address, bHi, bLo)) return true;
  }
  return false;
}
