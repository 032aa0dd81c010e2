// Programs that watch the kernel: kprobes and fentry on named functions, tracepoints, raw tracepoints (kernel/trace/bpf_trace.c, trace_kprobe.c,
// include/trace/events/{skb,net,sock,tcp,syscalls,sched}.h). A point is a number (abi/bpf-trace.ts); node().traced has a bit for each that somebody
// watches, so that an unwatched one costs a load and a branch. Programs see the structures of Linux 6.18 for x86-64: copies of what this kernel keeps,
// filled when a watched point is reached, with the members that abi/bpf-trace.ts names; all others are zero. Pointers to packet bytes are the packet's own.
import {
  BPF_TRACE_ATTACH, BPF_TRACE_EMIT, BPF_TRACE_REASONS, BPF_TRACE_STATS, KSOCK_BYTES, KSOCK_DADDR, KSOCK_DPORT, KSOCK_FAMILY, KSOCK_MARK, KSOCK_NET, KSOCK_NUM,
  KSOCK_PROTOCOL, KSOCK_RCV_SADDR, KSOCK_SPORT, KSOCK_STATE, KSOCK_TYPE, KSOCK_UID, KSOCK_V6_DADDR, KSOCK_V6_RCV_SADDR, NETDEV_ADDR, NETDEV_ADDR_LEN, NETDEV_BYTES, NETDEV_FLAGS,
  NETDEV_IFINDEX, NETDEV_MTU, NETDEV_NAME, NETDEV_NET, NETDEV_TYPE, NET_BYTES, NET_COOKIE, NET_INUM, SKBUFF_BYTES, SKBUFF_DATA, SKBUFF_DEV, SKBUFF_END, SKBUFF_HEAD, SKBUFF_IIF,
  SKBUFF_LEN, SKBUFF_MAC, SKBUFF_MAC_LEN, SKBUFF_MARK, SKBUFF_NETWORK, SKBUFF_PKT_TYPE, SKBUFF_PRIORITY, SKBUFF_PROTOCOL, SKBUFF_SK, SKBUFF_TAIL, SKBUFF_TRANSPORT, SKBUFF_TRUESIZE,
  SKBUFF_TSTAMP, SKBUFF_USERS, SKBUFF_VLAN_PROTO, SKBUFF_VLAN_TCI, TRACE_CONSUME_SKB, TRACE_INET_SOCK_SET_STATE, TRACE_KFREE_SKB, TRACE_NETIF_RECEIVE_SKB, TRACE_NET_DEV_QUEUE,
  TRACE_NET_DEV_XMIT, TRACE_NF_HOOK_SLOW, TRACE_POINTS, TRACE_SCHED_PROCESS_EXEC, TRACE_SCHED_PROCESS_FORK, TRACE_SYS_CLOSE, TRACE_SYS_EXIT, TRACE_SYS_SOCKET, TRACE_AT_RETURN,
  TRACE_TCP_RETRANSMIT_SKB,
} from "../../abi/bpf-trace";
import { E2BIG, EBADF, EINVAL, ENOENT, ENOMEM } from "../../abi/core";
import { DEV_LOOPBACK, PACKET_OTHERHOST } from "../../abi/net";
import { SOCK_TCP, SOCK_UDP } from "../../abi/sock";
import { NetDevice, Netns, SKB_BYTES, Skb } from "../../layout";
import { kmalloc } from "../../mm/slab";
import { node } from "../../mm/node";
import { flowsInvalidate } from "../../net/flow";
import { SockCreds, Socket } from "../../sock/socket";
import { isMapped4 } from "../../wire/bytes";
import { BpfProg, progGet } from "../prog";
import { RUN_TRACE, bpfEnter, bpfGo, bpfLeave } from "../run";
import { Link, linkNew } from "./link";

const TYPE_KPROBE: u32 = 2, TYPE_TRACEPOINT: u32 = 5, TYPE_RAW_TRACEPOINT: u32 = 17, TYPE_RAW_WRITABLE: u32 = 24, TYPE_TRACING: u32 = 26;
// Attach types of links: BPF_TRACE_RAW_TP, BPF_TRACE_FENTRY, BPF_TRACE_FEXIT, BPF_PERF_EVENT.
export const LINK_RAW_TP: u32 = 23, LINK_FENTRY: u32 = 24, LINK_FEXIT: u32 = 25, LINK_PERF_EVENT: u32 = 41;
/** Functions begin here; below are tracepoints. */
const FUNCTIONS: u32 = 32;
const WATCHERS_MAX: u32 = 64;
const WATCHER_BYTES: u32 = 16;
/** The longest record of a tracepoint, its trace_entry included. */
const RECORD_BYTES: u32 = 256;
/** enum skb_drop_reason SKB_DROP_REASON_NOT_SPECIFIED, for a reason that the driver said nothing of. */
const NOT_SPECIFIED: u32 = 2;
const REGS_BYTES: usize = 168;

/** What a node that was ever watched keeps; node().bpfTraces. */
@unmanaged export class Tracing {
  /** {Link, u32 point, u32 flags, u32 -}[], in order of attachment. */
  watchers: usize; count: u32;
  reasons: usize; reasonCount: u32;
  /** A watching program is running: it watches nothing itself (prog->active). */
  busy: u32;
  missed: u64;
  argCount: u32;
  a0: u64; a1: u64; a2: u64; a3: u64; a4: u64; a5: u64; ret: u64;
  recordLength: u32;
  // The copies
  skb: usize; dev: usize; net: usize; sk: usize; state: usize; record: usize; address: usize;
}

/** Is somebody watching this point? */
@inline export function watched(point: u32): bool {
  return (node().traced & (<u64>1 << point)) != 0;
}

/** Is somebody watching what packets do on their way? Then none may take a shortcut. */
@inline export function watchedFunctions(): bool {
  return node().traced >> FUNCTIONS != 0;
}

export function traceCommand(op: u32, at: usize, length: u32): i32 {
  const t = tracing();
  if (changetype<usize>(t) == 0) return -ENOMEM;
  switch (op) {
    case BPF_TRACE_ATTACH: return length < 24 ? -EINVAL : attach(t, at);
    case BPF_TRACE_REASONS: return setReasons(t, at, length);
    case BPF_TRACE_STATS:
      store<u64>(at, t.missed);
      return 8;
    case BPF_TRACE_EMIT: return length < 16 ? -EINVAL : emit(t, at, length);
    default: return -ENOENT;
  }
}

/** The node's state, made when it is first asked for; null (0): no memory. */
function tracing(): Tracing {
  const n = node();
  if (n.bpfTraces != 0) return changetype<Tracing>(n.bpfTraces);
  const head: u32 = (<u32>offsetof<Tracing>() + 15) & ~15;
  const at = kmalloc(head + WATCHERS_MAX * WATCHER_BYTES + SKBUFF_BYTES + NETDEV_BYTES + NET_BYTES + KSOCK_BYTES + 48 + RECORD_BYTES + 32);
  if (at == 0) return changetype<Tracing>(0);
  const t = changetype<Tracing>(at);
  t.watchers = at + <usize>head;
  t.skb = t.watchers + <usize>(WATCHERS_MAX * WATCHER_BYTES);
  t.dev = t.skb + <usize>SKBUFF_BYTES;
  t.net = t.dev + <usize>NETDEV_BYTES;
  t.sk = t.net + <usize>NET_BYTES;
  t.state = t.sk + <usize>KSOCK_BYTES;
  t.record = t.state + 48;
  t.address = t.record + <usize>RECORD_BYTES;
  n.bpfTraces = at;
  return t;
}

@inline function watcher(t: Tracing, i: u32): usize {
  return t.watchers + <usize>(i * WATCHER_BYTES);
}

function attach(t: Tracing, at: usize): i32 {
  const found = progGet(load<u32>(at));
  const point = load<u32>(at, 4), flags = load<u32>(at, 8);
  if (found == 0) return -EBADF;
  if (point == 0 || point >= TRACE_POINTS || flags > TRACE_AT_RETURN) return -EINVAL;
  const prog = changetype<BpfProg>(found), isFunction = point >= FUNCTIONS;
  let type: u32;
  switch (prog.type) {
    case TYPE_KPROBE:
      if (!isFunction) return -EINVAL;
      type = LINK_PERF_EVENT;
      break;
    case TYPE_TRACEPOINT:
      if (isFunction || flags != 0) return -EINVAL;
      type = LINK_PERF_EVENT;
      break;
    case TYPE_RAW_TRACEPOINT: case TYPE_RAW_WRITABLE:
      if (isFunction || flags != 0) return -EINVAL;
      type = LINK_RAW_TP;
      break;
    case TYPE_TRACING:
      if (prog.attachType == LINK_RAW_TP ? isFunction || flags != 0 : !isFunction) return -EINVAL;
      type = prog.attachType == LINK_RAW_TP ? LINK_RAW_TP : flags != 0 ? LINK_FEXIT : LINK_FENTRY;
      break;
    default: return -EINVAL;
  }
  if (t.count == WATCHERS_MAX) return -E2BIG;
  const link = linkNew(type, found);
  if (changetype<usize>(link) == 0) return -ENOMEM;
  link.target = changetype<usize>(t);
  link.hook = point;
  link.flags = flags;
  link.cookie = load<u64>(at, 16);
  const w = watcher(t, t.count++);
  store<u32>(w, <u32>changetype<usize>(link));
  store<u32>(w, point, 4);
  store<u32>(w, flags, 8);
  watchAgain(t);
  return <i32>link.handle;
}

/** The link's program watches no longer. */
export function traceDetach(link: Link): void {
  const t = changetype<Tracing>(link.target);
  for (let i: u32 = 0; i < t.count; i++) {
    if (<usize>load<u32>(watcher(t, i)) != changetype<usize>(link)) continue;
    memory.copy(watcher(t, i), watcher(t, i + 1), <usize>((t.count - i - 1) * WATCHER_BYTES));
    t.count--;
    break;
  }
  watchAgain(t);
}

function watchAgain(t: Tracing): void {
  let bits: u64 = 0;
  for (let i: u32 = 0; i < t.count; i++) bits |= <u64>1 << load<u32>(watcher(t, i), 4);
  const n = node();
  // What was recorded of flows goes past the functions.
  if (bits >> FUNCTIONS != n.traced >> FUNCTIONS) flowsInvalidate();
  n.traced = bits;
}

function setReasons(t: Tracing, at: usize, length: u32): i32 {
  const count = load<u32>(at);
  if (length < 4 || count > 1024 || length < 4 + count * 2) return -EINVAL;
  if (t.reasons == 0) {
    t.reasons = kmalloc(2048);
    if (t.reasons == 0) return -ENOMEM;
  }
  memory.copy(t.reasons, at + 4, <usize>(count * 2));
  t.reasonCount = count;
  return 0;
}

/** Something outside of the kernel: the record is complete but for its trace_entry. */
function emit(t: Tracing, at: usize, length: u32): i32 {
  const point = load<u32>(at), bytes = load<u32>(at, 4);
  if (point < TRACE_SCHED_PROCESS_EXEC || point > TRACE_SCHED_PROCESS_FORK || bytes > length - 16 || bytes > RECORD_BYTES - 8) return -EINVAL;
  if (!watched(point) || !begin(t)) return 0;
  memory.copy(t.record + 8, at + 16, <usize>bytes);
  t.recordLength = 8 + bytes;
  run(t, point, 0);
  return 0;
}

/** skb:kfree_skb. `reason` is a DROP_* number. */
export function traceDrop(skb: Skb, ns: Netns, reason: u32): void {
  const t = changetype<Tracing>(node().bpfTraces);
  if (!begin(t)) return;
  copySkb(t, skb, ns);
  const why: u32 = reason < t.reasonCount ? <u32>load<u16>(t.reasons + <usize>(reason << 1)) : NOT_SPECIFIED;
  args4(t, <u64>t.skb, 0, <u64>why, 0);
  store<u64>(t.record, <u64>t.skb, 8);
  store<u16>(t.record, <u16>skb.protocol, 32);
  store<u32>(t.record, why, 36);
  t.recordLength = 40;
  run(t, TRACE_KFREE_SKB, 0);
}

/** The tracepoints that name a packet: consume_skb, netif_receive_skb, net_dev_queue, net_dev_xmit. */
export function tracePacket(point: u32, skb: Skb, ns: Netns, dev: usize): void {
  const t = changetype<Tracing>(node().bpfTraces);
  if (!begin(t)) return;
  if (dev != 0) copyDev(t, changetype<NetDevice>(dev));
  copySkb(t, skb, ns);
  if (dev != 0) store<u64>(t.skb, <u64>t.dev, SKBUFF_DEV);
  const length = <u32>(skb.tail - skb.data);
  args4(t, <u64>t.skb, 0, point == TRACE_NET_DEV_XMIT && dev != 0 ? <u64>t.dev : 0, <u64>length);
  store<u64>(t.record, <u64>t.skb, 8);
  if (point == TRACE_CONSUME_SKB) t.recordLength = 24;
  else {
    // The name follows the record: __data_loc is its length above where it is.
    const at: u32 = point == TRACE_NET_DEV_XMIT ? 28 : 24, where: usize = point == TRACE_NET_DEV_XMIT ? 24 : 20;
    store<u32>(t.record, length, 16);
    memory.copy(t.record + <usize>at, t.dev + <usize>NETDEV_NAME, 16);
    let bytes: u32 = 0;
    while (bytes < 16 && load<u8>(t.record + <usize>(at + bytes)) != 0) bytes++;
    store<u32>(t.record + where, (bytes + 1) << 16 | at);
    t.recordLength = at + 16;
  }
  run(t, point, 0);
}

/** A function whose first argument is the packet: ip_rcv, tcp_v4_rcv … `dev`: its second argument, where it has that one. */
export function traceFunction(point: u32, skb: Skb, ns: Netns, dev: usize): void {
  const t = changetype<Tracing>(node().bpfTraces);
  if (!begin(t)) return;
  copySkb(t, skb, ns);
  let second: u64 = 0;
  if (dev != 0) {
    copyDev(t, changetype<NetDevice>(dev));
    store<u64>(t.skb, <u64>t.dev, SKBUFF_DEV);
    second = <u64>t.dev;
  }
  args4(t, <u64>t.skb, second, 0, second);
  run(t, point, 0);
}

/** ip_output, __ip_local_out: namespace, socket, packet. */
export function traceOutput(point: u32, skb: Skb, ns: Netns): void {
  const t = changetype<Tracing>(node().bpfTraces);
  if (!begin(t)) return;
  copySkb(t, skb, ns);
  args4(t, <u64>t.net, load<u64>(t.skb, SKBUFF_SK), <u64>t.skb, 0);
  run(t, point, 0);
}

/** nf_hook_slow: packet, struct nf_hook_state, the hook's entries, where it begins. */
export function traceHook(skb: Skb, ns: Netns, hook: u32, family: u32, inDev: usize, outDev: usize, from: u32): void {
  const t = changetype<Tracing>(node().bpfTraces);
  if (!begin(t)) return;
  copySkb(t, skb, ns);
  memory.fill(t.state, 0, 48);
  store<u8>(t.state, <u8>hook);
  store<u8>(t.state, <u8>family, 1);
  // One copy of a device: the one it came in by, else the one it goes out of.
  const dev = inDev != 0 ? inDev : outDev;
  if (dev != 0) {
    copyDev(t, changetype<NetDevice>(dev));
    if (inDev != 0) store<u64>(t.state, <u64>t.dev, 8);
    else store<u64>(t.state, <u64>t.dev, 16);
  }
  store<u64>(t.state, load<u64>(t.skb, SKBUFF_SK), 24);
  store<u64>(t.state, <u64>t.net, 32);
  args4(t, <u64>t.skb, <u64>t.state, 0, <u64>from);
  run(t, TRACE_NF_HOOK_SLOW, 0);
}

/** A function of a socket: tcp_sendmsg, tcp_v4_connect, tcp_set_state … with its further arguments. */
export function traceSocket(point: u32, sk: Socket, second: u64, third: u64): void {
  const t = changetype<Tracing>(node().bpfTraces);
  if (!begin(t)) return;
  copySock(t, changetype<usize>(sk));
  args4(t, <u64>t.sk, second, third, 0);
  run(t, point, 0);
}

/** tcp_v4_connect: the address is a struct sockaddr_in. */
export function traceConnect(point: u32, sk: Socket, lo: u64, port: u32): void {
  const t = changetype<Tracing>(node().bpfTraces);
  if (!begin(t)) return;
  copySock(t, changetype<usize>(sk));
  socketAddress(t, lo, port);
  args4(t, <u64>t.sk, <u64>t.address, 16, 0);
  run(t, point, 0);
}

/** The end of a function: the arguments are what they were, `ret` is what it returns. */
export function traceReturn(point: u32, sk: Socket, second: u64, third: u64, ret: i64): void {
  const t = changetype<Tracing>(node().bpfTraces);
  if (!begin(t)) return;
  copySock(t, changetype<usize>(sk));
  args4(t, <u64>t.sk, second, third, 0);
  t.ret = <u64>ret;
  run(t, point, TRACE_AT_RETURN);
}

/** sock:inet_sock_set_state; the socket still has the old state. */
export function traceState(sk: Socket, was: u32, state: u32): void {
  const t = changetype<Tracing>(node().bpfTraces);
  if (!begin(t)) return;
  copySock(t, changetype<usize>(sk));
  args4(t, <u64>t.sk, <u64>was, <u64>state, 0);
  const r = t.record, s = t.sk;
  store<u64>(r, <u64>s, 8);
  store<u32>(r, was, 16);
  store<u32>(r, state, 20);
  store<u16>(r, load<u16>(s, KSOCK_NUM), 24);
  store<u16>(r, bswap(load<u16>(s, KSOCK_DPORT)), 26);
  store<u16>(r, load<u16>(s, KSOCK_FAMILY), 28);
  store<u16>(r, load<u16>(s, KSOCK_PROTOCOL), 30);
  addresses(r, s, 32);
  t.recordLength = 72;
  run(t, TRACE_INET_SOCK_SET_STATE, 0);
}

/** tcp:tcp_retransmit_skb */
export function traceRetransmit(sk: Socket): void {
  const t = changetype<Tracing>(node().bpfTraces);
  if (!begin(t)) return;
  copySock(t, changetype<usize>(sk));
  args4(t, <u64>t.sk, 0, 0, 0);
  const r = t.record, s = t.sk;
  store<u64>(r, <u64>s, 16);
  store<u32>(r, <u32>load<u8>(s, KSOCK_STATE), 24);
  store<u16>(r, load<u16>(s, KSOCK_NUM), 28);
  store<u16>(r, bswap(load<u16>(s, KSOCK_DPORT)), 30);
  store<u16>(r, load<u16>(s, KSOCK_FAMILY), 32);
  addresses(r, s, 34);
  t.recordLength = 80;
  run(t, TRACE_TCP_RETRANSMIT_SKB, 0);
}

/** syscalls:sys_enter_NAME: `number` of x86-64, and the arguments that there are. */
export function traceSyscall(point: u32, number: u64, fd: u64, second: u64, third: u64): void {
  const t = changetype<Tracing>(node().bpfTraces);
  if (!begin(t)) return;
  args4(t, 0, number, 0, 0);
  store<u64>(t.record, number, 8);
  store<u64>(t.record, fd, 16);
  store<u64>(t.record, second, 24);
  store<u64>(t.record, third, 32);
  t.recordLength = 64;
  run(t, point, 0);
}

/** The same of a call that names an address: its second argument points to a struct sockaddr_in. */
export function traceSyscallAddress(point: u32, number: u64, fd: u64, lo: u64, port: u32): void {
  const t = changetype<Tracing>(node().bpfTraces);
  if (!begin(t)) return;
  socketAddress(t, lo, port);
  args4(t, 0, number, 0, 0);
  store<u64>(t.record, number, 8);
  store<u64>(t.record, fd, 16);
  store<u64>(t.record, <u64>t.address, 24);
  store<u64>(t.record, 16, 32);
  t.recordLength = 64;
  run(t, point, 0);
}

/** syscalls:sys_exit_NAME */
export function traceSyscallReturn(point: u32, number: u64, ret: i64): void {
  const t = changetype<Tracing>(node().bpfTraces);
  if (!begin(t)) return;
  args4(t, 0, <u64>ret, 0, 0);
  store<u64>(t.record, number, 8);
  store<u64>(t.record, <u64>ret, 16);
  t.recordLength = 24;
  run(t, point + TRACE_SYS_EXIT, 0);
}

/** Takes the state for one event; false: a watching program is running. */
function begin(t: Tracing): bool {
  if (t.busy != 0) {
    t.missed++;
    return false;
  }
  memory.fill(t.record, 0, <usize>RECORD_BYTES);
  t.recordLength = 0;
  t.a4 = 0;
  t.a5 = 0;
  t.ret = 0;
  return true;
}

function args4(t: Tracing, a0: u64, a1: u64, a2: u64, a3: u64): void {
  t.a0 = a0;
  t.a1 = a1;
  t.a2 = a2;
  t.a3 = a3;
}

/** Runs the programs of the point, each with the context of its type. */
function run(t: Tracing, point: u32, flags: u32): void {
  t.busy = 1;
  for (let i: u32 = 0; i < t.count; i++) {
    const w = watcher(t, i);
    if (load<u32>(w, 4) != point || load<u32>(w, 8) != flags) continue;
    const link = changetype<Link>(<usize>load<u32>(w)), prog = changetype<BpfProg>(link.prog);
    const run = bpfEnter();
    if (changetype<usize>(run) == 0) {
      prog.misses++;
      continue;
    }
    run.kind = RUN_TRACE;
    run.cookie = link.cookie;
    run.args = changetype<usize>(t) + offsetof<Tracing>("a0");
    run.argCount = 4;
    run.returned = flags != 0 ? 1 : 0;
    const ctx = run.ctx;
    switch (prog.type) {
      case TYPE_KPROBE:
        memory.fill(ctx, 0, REGS_BYTES);
        store<u64>(ctx, t.a5, 64);
        store<u64>(ctx, t.a4, 72);
        store<u64>(ctx, t.ret, 80); // ax
        store<u64>(ctx, t.a3, 88); // cx
        store<u64>(ctx, t.a2, 96); // dx
        store<u64>(ctx, t.a1, 104); // si
        store<u64>(ctx, t.a0, 112); // di
        run.ctxLength = <u32>REGS_BYTES;
        break;
      case TYPE_TRACEPOINT:
        memory.copy(ctx, t.record, <usize>RECORD_BYTES);
        store<u16>(ctx, <u16>(1000 + point)); // trace_entry.type: the event's id
        store<u32>(ctx, 0, 4);
        run.ctxLength = t.recordLength;
        break;
      default:
        memory.copy(ctx, changetype<usize>(t) + offsetof<Tracing>("a0"), 48);
        // Behind the arguments of a function stands what it returned.
        if (flags != 0) store<u64>(ctx, t.ret, 24);
        run.ctxLength = 48;
    }
    bpfGo(run, prog);
    bpfLeave(run);
  }
  t.busy = 0;
}

function copySkb(t: Tracing, skb: Skb, ns: Netns): void {
  const at = t.skb, head = changetype<usize>(skb) + SKB_BYTES;
  memory.fill(at, 0, <usize>SKBUFF_BYTES);
  copyNet(t, ns);
  if (skb.dev != 0) {
    copyDev(t, changetype<NetDevice>(skb.dev));
    store<u64>(at, <u64>t.dev, SKBUFF_DEV);
  }
  if (skb.sock != 0) {
    copySock(t, skb.sock);
    store<u64>(at, <u64>t.sk, SKBUFF_SK);
  }
  store<u64>(at, skb.tstamp, SKBUFF_TSTAMP);
  store<u32>(at, <u32>(skb.tail - skb.data), SKBUFF_LEN);
  store<u16>(at, skb.mac == 0 || skb.network < skb.mac ? 0 : <u16>(skb.network - skb.mac), SKBUFF_MAC_LEN);
  store<u8>(at, <u8>(skb.pktType > PACKET_OTHERHOST ? 0 : skb.pktType), SKBUFF_PKT_TYPE);
  store<u32>(at, skb.priority, SKBUFF_PRIORITY);
  store<u32>(at, skb.inDev == 0 ? 0 : changetype<NetDevice>(skb.inDev).ifindex, SKBUFF_IIF);
  if (skb.vlan != 0) {
    store<u16>(at, bswap(<u16>(skb.vlan >> 16)), SKBUFF_VLAN_PROTO);
    store<u16>(at, <u16>skb.vlan, SKBUFF_VLAN_TCI);
  }
  store<u32>(at, skb.mark, SKBUFF_MARK);
  store<u16>(at, bswap(<u16>skb.protocol), SKBUFF_PROTOCOL);
  store<u16>(at, offset(skb.transport, head), SKBUFF_TRANSPORT);
  store<u16>(at, offset(skb.network, head), SKBUFF_NETWORK);
  store<u16>(at, offset(skb.mac, head), SKBUFF_MAC);
  store<u32>(at, <u32>(skb.tail - head), SKBUFF_TAIL);
  store<u32>(at, <u32>(skb.end - head), SKBUFF_END);
  store<u64>(at, <u64>head, SKBUFF_HEAD);
  store<u64>(at, <u64>skb.data, SKBUFF_DATA);
  store<u32>(at, skb.size, SKBUFF_TRUESIZE);
  store<u32>(at, 1, SKBUFF_USERS);
}

/** From the buffer's head on; 0xffff: not set. */
@inline function offset(header: usize, head: usize): u16 {
  return header < head ? 0xffff : <u16>(header - head);
}

function copyNet(t: Tracing, ns: Netns): void {
  if (changetype<usize>(ns) == 0) return;
  // The number of the initial one, as /proc/self/ns/net shows it; the others' follow.
  store<u32>(t.net, 0xf0000078 + ns.id, NET_INUM);
  store<u64>(t.net, <u64>(ns.id + 1), NET_COOKIE);
}

function copyDev(t: Tracing, dev: NetDevice): void {
  const at = t.dev;
  memory.fill(at, 0, <usize>NETDEV_BYTES);
  store<u32>(at, dev.mtu, NETDEV_MTU);
  store<u32>(at, (dev.up ? 0x41 : 0) | (dev.kind == DEV_LOOPBACK ? 0x8 : 0x1002), NETDEV_FLAGS);
  store<u32>(at, dev.ifindex, NETDEV_IFINDEX);
  copyNet(t, changetype<Netns>(dev.ns));
  store<u64>(at, <u64>t.net, NETDEV_NET);
  memory.copy(at + <usize>NETDEV_NAME, changetype<usize>(dev) + offsetof<NetDevice>("name0"), 16);
  store<u16>(at, dev.kind == DEV_LOOPBACK ? 772 : 1, NETDEV_TYPE);
  store<u8>(at, 6, NETDEV_ADDR_LEN);
  store<u64>(at, <u64>(changetype<usize>(dev) + offsetof<NetDevice>("mac0")), NETDEV_ADDR);
}

function copySock(t: Tracing, from: usize): void {
  const sk = changetype<Socket>(from), at = t.sk;
  memory.fill(at, 0, <usize>KSOCK_BYTES);
  const four = isMapped4(sk.localHi, sk.localLo & 0xffffffff) || isMapped4(sk.remoteHi, sk.remoteLo & 0xffffffff);
  if (four) {
    store<u32>(at, <u32>(sk.remoteLo >> 32), KSOCK_DADDR);
    store<u32>(at, <u32>(sk.localLo >> 32), KSOCK_RCV_SADDR);
  } else {
    store<u64>(at, sk.remoteHi, KSOCK_V6_DADDR);
    store<u64>(at, sk.remoteLo, KSOCK_V6_DADDR + 8);
    store<u64>(at, sk.localHi, KSOCK_V6_RCV_SADDR);
    store<u64>(at, sk.localLo, KSOCK_V6_RCV_SADDR + 8);
  }
  store<u16>(at, bswap(<u16>sk.ports), KSOCK_DPORT);
  store<u16>(at, <u16>(sk.ports >> 16), KSOCK_NUM);
  store<u16>(at, bswap(<u16>(sk.ports >> 16)), KSOCK_SPORT);
  store<u16>(at, four ? 2 : 10, KSOCK_FAMILY);
  store<u8>(at, <u8>sk.state, KSOCK_STATE);
  copyNet(t, changetype<Netns>(sk.ns));
  store<u64>(at, <u64>t.net, KSOCK_NET);
  const kind = sk.kind;
  store<u16>(at, kind == SOCK_TCP ? 6 : kind == SOCK_UDP ? 17 : 1, KSOCK_PROTOCOL);
  store<u16>(at, kind == SOCK_TCP ? 1 : kind == SOCK_UDP ? 2 : 3, KSOCK_TYPE);
  if (sk.creds == 0) return;
  store<u32>(at, changetype<SockCreds>(sk.creds).mark, KSOCK_MARK);
  store<u32>(at, changetype<SockCreds>(sk.creds).uid, KSOCK_UID);
}

/** saddr, daddr, saddr_v6, daddr_v6 of a record, from `at` on; IPv4's stand mapped in the latter, too. */
function addresses(record: usize, sk: usize, at: usize): void {
  const to = record + at;
  if (load<u16>(sk, KSOCK_FAMILY) == 2) {
    store<u32>(to, load<u32>(sk, KSOCK_RCV_SADDR));
    store<u32>(to, load<u32>(sk, KSOCK_DADDR), 4);
    store<u32>(to, 0xffff0000, 16);
    store<u32>(to, load<u32>(sk, KSOCK_RCV_SADDR), 20);
    store<u32>(to, 0xffff0000, 32);
    store<u32>(to, load<u32>(sk, KSOCK_DADDR), 36);
  } else {
    memory.copy(to + 8, sk + <usize>KSOCK_V6_RCV_SADDR, 16);
    memory.copy(to + 24, sk + <usize>KSOCK_V6_DADDR, 16);
  }
}

/** struct sockaddr_in */
function socketAddress(t: Tracing, lo: u64, port: u32): void {
  store<u16>(t.address, 2);
  store<u16>(t.address, bswap(<u16>port), 2);
  store<u32>(t.address, <u32>(lo >> 32), 4);
  store<u64>(t.address, 0, 8);
}
