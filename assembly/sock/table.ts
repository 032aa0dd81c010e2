// The two tables of a namespace's sockets: connections by their four-tuple (net/ipv4/inet_hashtables.c, ehash), and bound
// ports (bhash, udp_table). Chains run through the endpoints; nothing is allocated per entry.
import { EADDRINUSE, EADDRNOTAVAIL } from "../abi/core";
import { SYSCTL_IP_PORT_HIGH, SYSCTL_IP_PORT_LOW } from "../abi/net";
import { SOCK_PING, SOCK_RAW, SOCK_TCP, TCP_LISTEN } from "../abi/sock";
import { Netns } from "../layout";
import { hashWord, mix32 } from "../mm/hash";
import { random32, randomBelow } from "../mm/rng";
import { kfree, kmalloc } from "../mm/slab";
import { sysctl } from "../net/sysctl";
import { FULL } from "../features";
import { anyTakes, SK_V6ONLY } from "./family";
import { Endpoint, isAny, localPort, SK_BOUND, SK_HASHED, SK_REUSE, Socket } from "./socket";

const CONNECTIONS_FIRST: u32 = 16;
const CONNECTIONS_MAX: u32 = 1 << 18;
const BOUND_SLOTS: u32 = 128;

/** Netns.sock */
@unmanaged export class SockNetns {
  sockets: usize; // all Socket of the namespace
  socketCount: u32;
  slots: usize; // table of connections
  slotsMax: u32;
  connections: u32;
  timewaits: u32;
  bound: usize; // table of bound ports
  raw: u32; // raw sockets, which want a copy of everything
  secret: u32; // of the hashes that initial sequence numbers and timestamp offsets are made of
}

export function tableInit(ns: Netns): bool {
  const at = kmalloc(<u32>offsetof<SockNetns>());
  if (at == 0) return false;
  const table = changetype<SockNetns>(at);
  table.slots = kmalloc(CONNECTIONS_FIRST << 2);
  table.slotsMax = CONNECTIONS_FIRST;
  table.bound = kmalloc(BOUND_SLOTS << 2);
  table.secret = random32();
  ns.sock = at;
  if (table.slots != 0 && table.bound != 0) return true;
  tableFree(ns);
  return false;
}

export function tableFree(ns: Netns): void {
  const table = changetype<SockNetns>(ns.sock);
  if (ns.sock == 0) return;
  kfree(table.slots, table.slotsMax << 2);
  kfree(table.bound, BOUND_SLOTS << 2);
  kfree(ns.sock, <u32>offsetof<SockNetns>());
  ns.sock = 0;
}

/** Hash of a four-tuple under a secret. */
export function tupleHash(localHi: u64, localLo: u64, remoteHi: u64, remoteLo: u64, ports: u32, secret: u32): u32 {
  let h = hashWord(secret, ports);
  h = hashWord(h, <u32>(localLo >> 32) ^ <u32>localHi);
  h = hashWord(h, <u32>(remoteLo >> 32));
  h = hashWord(h, <u32>remoteLo ^ <u32>localLo);
  h = hashWord(h, <u32>remoteHi);
  return mix32(hashWord(h, <u32>(remoteHi >> 32) ^ <u32>(localHi >> 32)));
}

/** Ephemeral ports: low << 16 | high (net.ipv4.ip_local_port_range). Echo ids may be any number but 0. */
function portRange(ns: Netns, kind: u32): u32 {
  if (kind == SOCK_PING) return (1 << 16) | 65535;
  const low = sysctl(ns, SYSCTL_IP_PORT_LOW), high = sysctl(ns, SYSCTL_IP_PORT_HIGH);
  return low > 0 && high < 65536 && low <= high ? (<u32>low << 16) | <u32>high : (32768 << 16) | 60999;
}

function slotOf(table: SockNetns, sk: Endpoint): usize {
  const h = tupleHash(sk.localHi, sk.localLo, sk.remoteHi, sk.remoteLo, sk.ports, table.secret);
  return table.slots + (<usize>(h & (table.slotsMax - 1)) << 2);
}

/** The endpoint of exactly this connection, or 0. `ports`: local << 16 | remote. */
export function connectionFind(ns: Netns, localHi: u64, localLo: u64, remoteHi: u64, remoteLo: u64, ports: u32): usize {
  const table = changetype<SockNetns>(ns.sock);
  const h = tupleHash(localHi, localLo, remoteHi, remoteLo, ports, table.secret);
  let at = <usize>load<u32>(table.slots + (<usize>(h & (table.slotsMax - 1)) << 2));
  while (at != 0) {
    const sk = changetype<Endpoint>(at);
    if (sk.ports == ports && sk.remoteLo == remoteLo && sk.localLo == localLo && sk.remoteHi == remoteHi
      && sk.localHi == localHi) return at;
    at = sk.next;
  }
  return 0;
}

/** Puts an endpoint into the table of connections. The caller looked that there is none like it. */
export function connectionInsert(sk: Endpoint): void {
  const table = changetype<SockNetns>(changetype<Netns>(sk.ns).sock);
  if (table.connections >= table.slotsMax) connectionsGrow(table);
  const slot = slotOf(table, sk);
  sk.next = <usize>load<u32>(slot);
  store<u32>(slot, <u32>changetype<usize>(sk));
  table.connections++;
}

export function connectionRemove(sk: Endpoint): void {
  const table = changetype<SockNetns>(changetype<Netns>(sk.ns).sock);
  let link = slotOf(table, sk);
  while (true) {
    const at = <usize>load<u32>(link);
    if (at == 0) return;
    if (at == changetype<usize>(sk)) break;
    link = at; // Endpoint.next is its first field
  }
  store<u32>(link, <u32>sk.next);
  sk.next = 0;
  table.connections--;
}

/** The endpoints chained in slot `index`, for walks over all; slots run from 0 to slotsMax. */
export function connectionSlot(table: SockNetns, index: u32): usize {
  return <usize>load<u32>(table.slots + (<usize>index << 2));
}

function connectionsGrow(table: SockNetns): void {
  const max = table.slotsMax << 1;
  if (max > CONNECTIONS_MAX) return;
  const slots = kmalloc(max << 2);
  if (slots == 0) return; // longer chains, nothing worse
  const before = table.slots, beforeMax = table.slotsMax;
  table.slots = slots;
  table.slotsMax = max;
  for (let i: u32 = 0; i < beforeMax; i++) {
    let at = <usize>load<u32>(before + (<usize>i << 2));
    while (at != 0) {
      const sk = changetype<Endpoint>(at);
      const next = sk.next;
      const slot = slotOf(table, sk);
      sk.next = <usize>load<u32>(slot);
      store<u32>(slot, <u32>at);
      at = next;
    }
  }
  kfree(before, beforeMax << 2);
}

function boundSlot(table: SockNetns, kind: u32, port: u32): usize {
  return table.bound + (<usize>(mix32((port << 3) | kind) & (BOUND_SLOTS - 1)) << 2);
}

/** First of the chain that the sockets bound to a port of this kind are in; others are in it, too. */
export function boundFirst(ns: Netns, kind: u32, port: u32): usize {
  return <usize>load<u32>(boundSlot(changetype<SockNetns>(ns.sock), kind, port));
}

export function boundInsert(sk: Socket): void {
  const slot = boundSlot(changetype<SockNetns>(changetype<Netns>(sk.ns).sock), sk.kind, localPort(sk));
  sk.bindNext = <usize>load<u32>(slot);
  store<u32>(slot, <u32>changetype<usize>(sk));
  sk.flags |= SK_BOUND;
}

function boundRemove(sk: Socket): void {
  const slot = boundSlot(changetype<SockNetns>(changetype<Netns>(sk.ns).sock), sk.kind, localPort(sk));
  let before: usize = 0;
  let at = <usize>load<u32>(slot);
  while (at != changetype<usize>(sk)) {
    if (at == 0) return;
    before = at;
    at = changetype<Socket>(at).bindNext;
  }
  if (before == 0) store<u32>(slot, <u32>sk.bindNext);
  else changetype<Socket>(before).bindNext = sk.bindNext;
  sk.bindNext = 0;
  sk.flags &= ~SK_BOUND;
}

/** Takes the socket out of both tables. */
export function tableRemove(sk: Socket): void {
  if (sk.flags & SK_HASHED) {
    connectionRemove(sk);
    sk.flags &= ~SK_HASHED;
  }
  if (sk.flags & SK_BOUND) boundRemove(sk);
}

/** Would a socket at `hi:lo` with these flags and `other` take packets of each other? */
function overlaps(hi: u64, lo: u64, flags: u32, other: Socket): bool {
  const any = isAny(hi, lo), otherAny = isAny(other.localHi, other.localLo);
  if (any && otherAny) return !FULL || lo == other.localLo || ((lo == 0 ? flags : other.flags) & SK_V6ONLY) == 0;
  if (any) return anyTakes(lo, flags, other.localHi, other.localLo);
  if (otherAny) return anyTakes(other.localLo, other.flags, hi, lo);
  return other.localHi == hi && other.localLo == lo;
}

/** May `sk` have this address and port? inet_csk_bind_conflict and udp_lib_lport_inuse. */
export function bindConflict(sk: Socket, hi: u64, lo: u64, port: u32): bool {
  let at = boundFirst(changetype<Netns>(sk.ns), sk.kind, port);
  while (at != 0) {
    const other = changetype<Socket>(at);
    at = other.bindNext;
    if (other.kind != sk.kind || localPort(other) != port || changetype<usize>(other) == changetype<usize>(sk)) continue;
    if (!overlaps(hi, lo, sk.flags, other)) continue;
    if (sk.kind == SOCK_TCP && (sk.flags & other.flags & SK_REUSE) != 0 && other.state != TCP_LISTEN) continue;
    return true;
  }
  return false;
}

/** Binds to a port (0: an ephemeral one) with the address `hi:lo`, which is this host's. 0 or -EADDRINUSE. */
export function bindPort(sk: Socket, hi: u64, lo: u64, port: u32): i32 {
  let choice = port;
  if (port != 0) {
    if (bindConflict(sk, hi, lo, port)) return -EADDRINUSE;
  } else {
    const range = portRange(changetype<Netns>(sk.ns), sk.kind);
    const low = range >>> 16, count = (range & 0xffff) - low + 1;
    const offset = randomBelow(count);
    for (let i: u32 = 0; i < count; i++) {
      const candidate = low + (offset + i) % count;
      if (bindConflict(sk, hi, lo, candidate)) continue;
      choice = candidate;
      break;
    }
    if (choice == 0) return -EADDRINUSE;
  }
  sk.ports = (choice << 16) | (sk.ports & 0xffff);
  boundInsert(sk);
  return 0;
}

/**
 * An ephemeral port for a connection to the socket's peer from `sk.local*` (__inet_hash_connect): one that no other socket has
 * bound, and whose four-tuple is free. Puts the socket into both tables. 0 or -EADDRNOTAVAIL.
 */
export function connectPort(sk: Socket, ns: Netns): i32 {
  const remote = sk.ports & 0xffff;
  if (sk.ports >>> 16 != 0) {
    if (connectionFind(ns, sk.localHi, sk.localLo, sk.remoteHi, sk.remoteLo, sk.ports) != 0) return -EADDRNOTAVAIL;
    connectionInsert(sk);
    sk.flags |= SK_HASHED;
    return 0;
  }
  const range = portRange(ns, sk.kind);
  const low = range >>> 16, count = (range & 0xffff) - low + 1;
  const offset = randomBelow(count);
  for (let i: u32 = 0; i < count; i++) {
    const port = low + (offset + i) % count;
    const ports = (port << 16) | remote;
    if (portTaken(ns, port)) continue;
    if (connectionFind(ns, sk.localHi, sk.localLo, sk.remoteHi, sk.remoteLo, ports) != 0) continue;
    sk.ports = ports;
    boundInsert(sk);
    connectionInsert(sk);
    sk.flags |= SK_HASHED;
    return 0;
  }
  return -EADDRNOTAVAIL;
}

/** Did a TCP socket ask for this port by name? Ports that connections were given can be shared by others (to other peers). */
function portTaken(ns: Netns, port: u32): bool {
  let at = boundFirst(ns, SOCK_TCP, port);
  while (at != 0) {
    const other = changetype<Socket>(at);
    if (other.kind == SOCK_TCP && localPort(other) == port && (other.flags & SK_HASHED) == 0) return true;
    at = other.bindNext;
  }
  return false;
}

/** Raw sockets stand in the table of bound ports as kind SOCK_RAW, port 0. */
export function firstRaw(ns: Netns): usize {
  return boundFirst(ns, SOCK_RAW, 0);
}
