// What all sockets have: their place in the tables of the namespace, their queue, their news for the driver.
import { READY_ERROR, READY_HANGUP, READY_READ, READY_WRITE, SOCK_TCP } from "../abi/sock";
import { mapsSocketGone } from "../bpf/maps/sockmap";
import { sockBpfExit } from "../bpf/hooks/sock";
import { FULL } from "../features";
import { Netns, Skb } from "../layout";
import { HANDLE_SOCKET, handleFree, handleNew } from "../mm/handle";
import { node } from "../mm/node";
import { random32 } from "../mm/rng";
import { kfree, kmalloc } from "../mm/slab";
import { Route } from "../net/ip-output";
import { skbFree } from "../net/skb";
import { sockEventForget } from "./events";
import { SockNetns } from "./table";

// Kinds of endpoints beside the SOCK_* of abi/sock.ts: what stands in the table of connections without being a socket.
export const KIND_REQUEST: u32 = 8; // a connection being opened by a peer (struct request_sock)
export const KIND_TIMEWAIT: u32 = 9; // struct inet_timewait_sock

/** What the table of connections holds (struct sock_common). */
@unmanaged export class Endpoint {
  next: usize; // chain of the table of connections
  kind: u32; // SOCK_*, KIND_*
  state: u32; // TCP_*; UDP: TCP_ESTABLISHED when connected, else TCP_CLOSE
  ns: usize; // Netns
  localHi: u64; localLo: u64;
  remoteHi: u64; remoteLo: u64;
  ports: u32; // local << 16 | remote
}

// Socket.flags
export const SK_BOUND: u32 = 1; // in the table of bound ports
export const SK_HASHED: u32 = 2; // in the table of connections
export const SK_DEAD: u32 = 4; // the driver let go of it: an orphan
export const SK_REUSE: u32 = 8;
export const SK_BOUND_PORT: u32 = 16; // the port was asked for (SOCK_BINDPORT_LOCK)
export const SK_BOUND_ADDRESS: u32 = 32; // the address was asked for (SOCK_BINDADDR_LOCK)
export const SK_RCV_SHUTDOWN: u32 = 64;
export const SK_SEND_SHUTDOWN: u32 = 128;
export const SK_NODELAY: u32 = 256;
export const SK_TRANSPARENT: u32 = 512; // IP_TRANSPARENT

@unmanaged export class Socket extends Endpoint {
  handle: u32; // 0: not the driver's (not yet accepted, or an orphan)
  flags: u32;
  bindNext: usize; // chain of the table of bound ports; in an accept queue: the next in it
  nsNext: usize; nsPrev: usize; // all sockets of the namespace
  eventNext: usize; eventPrev: usize; // sock/events.ts
  ready: u32; // news not yet taken; not 0: in the FIFO
  wants: u32; // what the driver waits for, READY_*
  error: i32; // pending, positive errno (sk_err)
  softError: i32;
  rcvHead: usize; rcvTail: usize; // Skb queue
  rcvMem: u32; // bytes of the packets in it (sk_rmem_alloc)
  rcvBuf: u32; sndBuf: u32;
  creds: usize; // SockCreds, 0: root's, without a mark
}

/** Who a socket belongs to, and what its packets are marked with (SO_MARK). */
@unmanaged export class SockCreds {
  uid: u32; gid: u32;
  mark: u32;
  /** ifindex that its addresses of the link are of, 0: none (sk_bound_dev_if). */
  scope: u32;
  bpf: usize; // bpf/hooks/sock.ts: SockBpf, 0: nothing of its own
}
const CREDS_BYTES: u32 = <u32>offsetof<SockCreds>();

/** The socket's own, made where it has none; null (0): no memory. */
export function sockCreds(sk: Socket): SockCreds {
  if (sk.creds == 0) sk.creds = kmalloc(CREDS_BYTES);
  return changetype<SockCreds>(sk.creds);
}

/** The device that its addresses of the link are of: an ifindex, 0: none. */
export function scopeOf(sk: Socket): u32 {
  return !FULL || sk.creds == 0 ? 0 : changetype<SockCreds>(sk.creds).scope;
}
/** False: no memory. */
export function setScope(sk: Socket, scope: u32): bool {
  if (scope == 0) return true;
  const creds = sockCreds(sk);
  if (changetype<usize>(creds) == 0) return false;
  creds.scope = scope;
  return true;
}

/** Scratch of the node's sockets: filled and read at once, like registers. */
@unmanaged export class SockScratch {
  // tcp/options.ts
  saw: u32; mss: u32; wscale: u32; tsval: u32; tsecr: u32; sackCount: u32; sackAt: usize;
  // tcp/ack.ts, tcp/loss.ts: what one ACK did
  flags: u32; delivered: u32; sackRtt: u32;
}

/** A Route behind SockScratch. */
const ROUTE_AT: u32 = 48;
const SCRATCH_BYTES: u32 = ROUTE_AT + 96;

/** The node's scratch; made with the first namespace. */
@inline export function scratch(): SockScratch {
  return changetype<SockScratch>(node().sock);
}

/** Where routeOutput writes for a socket. */
@inline export function scratchRoute(): Route {
  return changetype<Route>(node().sock + ROUTE_AT);
}

export function scratchInit(): bool {
  const n = node();
  if (n.sock == 0) n.sock = kmalloc(SCRATCH_BYTES);
  return n.sock != 0;
}

/** 0.0.0.0 and ::. */
@inline export function isAny(hi: u64, lo: u64): bool {
  return hi == 0 && (lo == 0xffff0000 || lo == 0);
}

@inline export function localPort(sk: Endpoint): u32 {
  return sk.ports >>> 16;
}

@inline export function remotePort(sk: Endpoint): u32 {
  return sk.ports & 0xffff;
}

/** A socket of `bytes` bytes without a handle; null (0): no memory. */
export function socketNew(ns: Netns, kind: u32, bytes: u32): Socket {
  const at = kmalloc(bytes);
  if (at == 0) return changetype<Socket>(0);
  const sk = changetype<Socket>(at);
  const table = changetype<SockNetns>(ns.sock);
  sk.kind = kind;
  sk.ns = changetype<usize>(ns);
  sk.localLo = 0xffff0000;
  sk.remoteLo = 0xffff0000;
  sk.nsNext = table.sockets;
  if (table.sockets != 0) changetype<Socket>(table.sockets).nsPrev = at;
  table.sockets = at;
  table.socketCount++;
  return sk;
}

/** Makes the socket the driver's; false: no handle left. */
export function socketGiveHandle(sk: Socket): bool {
  sk.handle = handleNew(HANDLE_SOCKET, changetype<usize>(sk));
  return sk.handle != 0;
}

/** The driver's handle is gone; events of the socket with it. */
export function socketTakeHandle(sk: Socket): void {
  sockEventForget(sk);
  if (sk.handle != 0) handleFree(sk.handle);
  sk.handle = 0;
  sk.wants = 0;
}

/** Gives the memory of a socket back that stands in no table any more. */
export function socketFree(sk: Socket, bytes: u32): void {
  // Programs that hear of its end still see all of it.
  if (FULL && node().bpfHooks != 0) sockBpfExit(sk);
  if (FULL && node().bpfMaps != 0) mapsSocketGone(changetype<usize>(sk));
  const table = changetype<SockNetns>(changetype<Netns>(sk.ns).sock);
  socketTakeHandle(sk);
  queuePurge(sk);
  if (sk.creds != 0) kfree(sk.creds, CREDS_BYTES);
  if (sk.nsNext != 0) changetype<Socket>(sk.nsNext).nsPrev = sk.nsPrev;
  if (sk.nsPrev != 0) changetype<Socket>(sk.nsPrev).nsNext = sk.nsNext;
  else table.sockets = sk.nsNext;
  table.socketCount--;
  kfree(changetype<usize>(sk), bytes);
}

/** Appends a packet to the receive queue. */
export function queueAppend(sk: Socket, skb: Skb): void {
  skb.next = 0;
  if (sk.rcvTail != 0) changetype<Skb>(sk.rcvTail).next = changetype<usize>(skb);
  else sk.rcvHead = changetype<usize>(skb);
  sk.rcvTail = changetype<usize>(skb);
  sk.rcvMem += skb.size;
}

/** Takes the first packet of the receive queue off and frees it. */
export function queueFreeFirst(sk: Socket): void {
  const skb = changetype<Skb>(sk.rcvHead);
  sk.rcvHead = skb.next;
  if (sk.rcvHead == 0) sk.rcvTail = 0;
  sk.rcvMem -= skb.size;
  skbFree(skb);
}

export function queuePurge(sk: Socket): void {
  while (sk.rcvHead != 0) queueFreeFirst(sk);
}

/** Takes the pending error: 0 or -errno (sock_error). */
export function takeError(sk: Socket): i32 {
  const error = sk.error;
  sk.error = 0;
  return -error;
}

/** Random 16 bits for IP ids. */
@inline export function randomId(): u32 {
  return random32() >>> 16;
}

/** True for TCP: its structure is tcp/tcp.ts' Tcp. */
@inline export function isTcp(sk: Endpoint): bool {
  return sk.kind == SOCK_TCP;
}

/** Everyone who waits: an error is there. */
export const READY_ALL: u32 = READY_READ | READY_WRITE | READY_ERROR | READY_HANGUP;
