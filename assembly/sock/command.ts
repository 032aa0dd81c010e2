// The driver's requests about sockets (the system calls). Every field of a record is checked here.
import {
  EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EAGAIN, EBADF, EDESTADDRREQ, EINPROGRESS, EINVAL, EISCONN, ENETUNREACH, ENODEV, ENOENT, ENOMEM, ENOTCONN, EOPNOTSUPP,
  EPIPE, EPROTONOSUPPORT, MAILBOX_BYTES,
} from "../abi/core";
import { TRACE_SYS_ACCEPT4, TRACE_SYS_BIND, TRACE_SYS_CLOSE, TRACE_SYS_CONNECT, TRACE_SYS_EXIT, TRACE_SYS_LISTEN, TRACE_SYS_RECVFROM, TRACE_SYS_SENDTO, TRACE_SYS_SHUTDOWN, TRACE_SYS_SOCKET, TRACE_TCP_CLOSE, TRACE_TCP_SENDMSG, TRACE_TCP_V4_CONNECT, TRACE_UDP_SENDMSG } from "../abi/bpf-trace";
import { traceConnect, traceReturn, traceSocket, traceSyscall, traceSyscallAddress, traceSyscallReturn, watched } from "../bpf/hooks/tracing";
import { RTN_LOCAL, SNMP_UDP_INDATAGRAMS, SYSCTL_CORE_SOMAXCONN, SYSCTL_IP_NONLOCAL_BIND } from "../abi/net";
import {
  READY_READ, READY_WRITE, SOCK_ACCEPT, SOCK_ADDRESS, SOCK_ARG, SOCK_BIND, SOCK_BYTES, SOCK_CLOSE, SOCK_CONNECT, SOCK_FINISH, SOCK_INET6, SOCK_SCOPE, SOCKOPT_V6ONLY,
  SOCK_LENGTH, SOCK_LIST, SOCK_LISTEN, SOCK_NAME, SOCK_OPEN, SOCK_OPTION, SOCK_PING, SOCK_PORT, SOCK_RAW, SOCK_READ, SOCK_RECEIVE, SOCK_SEND,
  SOCK_SHUTDOWN, SOCK_SOURCE, SOCK_STATS, SOCK_TCP, SOCK_UDP, SOCK_WRITE, SOCKOPT_NODELAY, SOCKOPT_RCVBUF, SOCKOPT_REUSEADDR,
  SOCKOPT_GID, SOCKOPT_MARK, SOCKOPT_SNDBUF, SOCKOPT_TRANSPARENT, SOCKOPT_UID, TCP_CLOSE, TCP_CLOSE_WAIT, TCP_ESTABLISHED, TCP_LISTEN, TCP_SYN_RECV, TCP_SYN_SENT,
} from "../abi/sock";
import {
  CGROUP_INET4_BIND, CGROUP_INET4_CONNECT, CGROUP_INET4_GETPEERNAME, CGROUP_INET4_GETSOCKNAME, CGROUP_INET4_POST_BIND, CGROUP_INET6_POST_BIND,
  CGROUP_INET_SOCK_CREATE, CGROUP_UDP4_RECVMSG, CGROUP_UDP4_SENDMSG, addressHi, addressLo, addressPort, cgroupAddress, cgroupSock, messageHi,
  messageLo,
} from "../bpf/hooks/cgroup";
import { FULL } from "../features";
import { NetDevice, Netns, Skb } from "../layout";
import { HANDLE_SOCKET, handleGet } from "../mm/handle";
import { charge, node } from "../mm/node";
import { COST_COPY_KIB, COST_SYSCALL } from "../net/costs";
import { addressType } from "../net/ip-output";
import { netnsGet } from "../net/netns";
import { skbLength } from "../net/skb";
import { sysctl } from "../net/sysctl";
import { SYSCTL6_BINDV6ONLY, SYSCTL6_IP_NONLOCAL_BIND } from "../abi/net6";
import { checkAddress } from "../net/addrconf";
import { deviceFind } from "../net/devices";
import { sysctl6 } from "../net/inet6";
import { isMapped4 } from "../wire/bytes";
import { isLinkLocal6, isMulticast6 } from "../wire/ipv6";
import { fromHi, fromLo, readAddresses, SK_INET6, SK_V6ONLY, toHi, toLo } from "./family";
import { UdpView } from "../wire/udp";
import { sockList } from "./list";
import { pingSend } from "./ping";
import { rawSend } from "./raw";
import {
  isAny, localPort, queueFreeFirst, remotePort, scopeOf, setScope, SK_BOUND, SK_BOUND_ADDRESS, SK_BOUND_PORT, SK_NODELAY, SK_RCV_SHUTDOWN, SK_REUSE,
  SK_SEND_SHUTDOWN, SK_TRANSPARENT, Socket, sockCreds, socketFree, socketGiveHandle, takeError,
} from "./socket";
import { bindConflict, bindPort, boundInsert, SockNetns, tableRemove } from "./table";
import { tcpClose, tcpConnect, tcpDestroy, tcpShutdown } from "./tcp/close";
import { acceptNext } from "./tcp/listen";
import { pushPending, queueWrite } from "./tcp/output";
import { afterRead } from "./tcp/rcv";
import { Listener, Tcp, tcpNew, tcpSetState } from "./tcp/tcp";
import { datagramConnect, datagramNew, udpCount, udpSend } from "./udp";

/** The low word of ::ffff:127.0.0.1. */
const LOOPBACK: u64 = 0x0100007fffff0000;
/** Of ::1. */
const LOOPBACK6: u64 = 0x0100000000000000;

/** `op` is one of SOCK_* (abi/sock.ts); the record stands at `record`, the answer replaces it. */
export function sockCommand(op: u32, record: usize, length: u32): i32 {
  charge(COST_SYSCALL);
  if (FULL && node().traced != 0) return watchedCall(op, record, length);
  return call(op, record, length);
}

/** The same with programs that watch system calls and what they lead to. File descriptors are the sockets' handles. */
function watchedCall(op: u32, record: usize, length: u32): i32 {
  const point = pointOf(op);
  const fd = <u64>load<u32>(record), lo = load<u64>(record, SOCK_ADDRESS + 8), port = load<u32>(record, SOCK_PORT), bytes = load<u32>(record, SOCK_LENGTH);
  const number = point == 0 ? 0 : numberOf(point);
  if (point != 0 && watched(point)) {
    if (op == SOCK_CONNECT || op == SOCK_BIND) traceSyscallAddress(point, number, fd, lo, port);
    else traceSyscall(point, number, fd, op == SOCK_LISTEN ? <u64>load<u32>(record, SOCK_ARG) : 0, <u64>bytes);
  }
  const at: usize = op == SOCK_OPEN ? 0 : handleGet(HANDLE_SOCKET, <u32>fd);
  const isTcp = at != 0 && changetype<Socket>(at).kind == SOCK_TCP, isUdp = at != 0 && changetype<Socket>(at).kind == SOCK_UDP;
  let traced: u32 = 0;
  if (op == SOCK_CONNECT && isTcp) {
    traced = TRACE_TCP_V4_CONNECT;
    if (watched(traced)) traceConnect(traced, changetype<Socket>(at), lo, port);
  } else if ((op == SOCK_WRITE || op == SOCK_SEND) && (isTcp || isUdp)) {
    traced = isTcp ? TRACE_TCP_SENDMSG : TRACE_UDP_SENDMSG;
    if (watched(traced)) traceSocket(traced, changetype<Socket>(at), 0, <u64>bytes);
  } else if (op == SOCK_CLOSE && isTcp && watched(TRACE_TCP_CLOSE)) traceSocket(TRACE_TCP_CLOSE, changetype<Socket>(at), 0, 0);
  const result = call(op, record, length);
  if (traced != 0 && watched(traced)) traceReturn(traced, changetype<Socket>(at), 0, <u64>bytes, <i64>result);
  if (point != 0 && watched(point + TRACE_SYS_EXIT)) traceSyscallReturn(point, number, <i64>result);
  return result;
}

/** The tracepoint of a request, 0: it is no system call. */
function pointOf(op: u32): u32 {
  switch (op) {
    case SOCK_OPEN: return TRACE_SYS_SOCKET;
    case SOCK_BIND: return TRACE_SYS_BIND;
    case SOCK_CONNECT: return TRACE_SYS_CONNECT;
    case SOCK_LISTEN: return TRACE_SYS_LISTEN;
    case SOCK_ACCEPT: return TRACE_SYS_ACCEPT4;
    case SOCK_SEND: case SOCK_WRITE: return TRACE_SYS_SENDTO;
    case SOCK_RECEIVE: case SOCK_READ: return TRACE_SYS_RECVFROM;
    case SOCK_SHUTDOWN: return TRACE_SYS_SHUTDOWN;
    case SOCK_CLOSE: return TRACE_SYS_CLOSE;
    default: return 0;
  }
}

/** Of x86-64 (arch/x86/entry/syscalls/syscall_64.tbl). */
function numberOf(point: u32): u64 {
  switch (point) {
    case TRACE_SYS_SOCKET: return 41;
    case TRACE_SYS_BIND: return 49;
    case TRACE_SYS_CONNECT: return 42;
    case TRACE_SYS_LISTEN: return 50;
    case TRACE_SYS_ACCEPT4: return 288;
    case TRACE_SYS_SENDTO: return 44;
    case TRACE_SYS_RECVFROM: return 45;
    case TRACE_SYS_SHUTDOWN: return 48;
    default: return 3;
  }
}

function call(op: u32, record: usize, length: u32): i32 {
  const handle = load<u32>(record);
  if (op == SOCK_OPEN) return open(netnsGet(handle), load<u32>(record, SOCK_ARG));
  if (op == SOCK_STATS) return stats(netnsGet(handle), record);
  if (FULL && op == SOCK_LIST) return sockList(netnsGet(handle), record, load<u32>(record, SOCK_ARG));
  const at = handleGet(HANDLE_SOCKET, handle);
  if (at == 0) return -EBADF;
  const sk = changetype<Socket>(at);
  const arg = load<u32>(record, SOCK_ARG), port = load<u32>(record, SOCK_PORT), bytes = load<u32>(record, SOCK_LENGTH);
  const hi = load<u64>(record, SOCK_ADDRESS), lo = load<u64>(record, SOCK_ADDRESS + 8);
  switch (op) {
    case SOCK_BIND: {
      const refused = takesFamily(sk, hi, lo, record);
      return refused != 0 ? refused : bind(sk, hi, lo, port);
    }
    case SOCK_CONNECT: {
      const refused = takesFamily(sk, hi, lo, record);
      if (refused != 0) return refused;
      if (port == 0 || port > 65535) return sk.kind == SOCK_UDP ? -EINVAL : -EADDRNOTAVAIL;
      let toHi = hi, toLo = lo, toPort = port;
      if (FULL && node().bpfHooks != 0) {
        const denied = cgroupAddress(sk, CGROUP_INET4_CONNECT, hi, lo, port);
        if (denied != 0) return denied;
        toHi = addressHi;
        toLo = addressLo;
        toPort = addressPort;
      }
      // 0.0.0.0 and :: as a destination are this host.
      const to = isAny(toHi, toLo) ? (FULL && toLo == 0 ? LOOPBACK6 : LOOPBACK) : toLo;
      if (sk.kind == SOCK_UDP) return datagramConnect(sk, toHi, to, toPort);
      if (sk.kind != SOCK_TCP) return -EOPNOTSUPP;
      const result = tcpConnect(changetype<Tcp>(at), toHi, to, toPort);
      return result < 0 ? result : wait(sk, READY_WRITE, -EINPROGRESS);
    }
    case SOCK_FINISH: return finish(sk);
    case SOCK_LISTEN: return listen(sk, arg);
    case SOCK_ACCEPT: return accept(sk);
    case SOCK_SEND: {
      if (length < SOCK_BYTES || bytes > length - SOCK_BYTES) return -EINVAL;
      return send(sk, record, arg, port, bytes, hi, lo);
    }
    case SOCK_RECEIVE: return receive(sk, record, bytes);
    case SOCK_WRITE: {
      if (length < SOCK_BYTES || bytes > length - SOCK_BYTES) return -EINVAL;
      return write(sk, record + SOCK_BYTES, bytes);
    }
    case SOCK_READ: return read(sk, record, bytes);
    case SOCK_SHUTDOWN: return sk.kind == SOCK_TCP ? tcpShutdown(changetype<Tcp>(at)) : -EOPNOTSUPP;
    case SOCK_CLOSE: return close(sk, arg != 0);
    case SOCK_NAME: return name(sk, record);
    case SOCK_OPTION: return option(sk, arg, bytes);
    default: return -ENOENT;
  }
}

/** The driver will be told when this may be tried again. */
function wait(sk: Socket, ready: u32, answer: i32): i32 {
  sk.wants |= ready;
  return answer;
}

function chargeCopy(bytes: u32): void {
  charge(((bytes + 1023) >> 10) * COST_COPY_KIB);
}

/**
 * May the socket speak to, or be, `hi:lo`? 0, -EAFNOSUPPORT or -EINVAL. An address of the link brings the device it is of (`scope` of the
 * record), or has it from before.
 */
function takesFamily(sk: Socket, hi: u64, lo: u64, record: usize): i32 {
  if (!FULL) return isMapped4(hi, lo & 0xffffffff) ? 0 : -EINVAL;
  const six = !isMapped4(hi, lo & 0xffffffff);
  if (six && (sk.flags & SK_INET6) == 0) return -EAFNOSUPPORT;
  if (!six && (sk.flags & (SK_INET6 | SK_V6ONLY)) == (SK_INET6 | SK_V6ONLY)) return -ENETUNREACH;
  const scope = load<u32>(record, SOCK_SCOPE);
  if (six && (isLinkLocal6(hi) || isMulticast6(hi))) {
    if (scope != 0) {
      if (deviceFind(changetype<Netns>(sk.ns), scope) == 0) return -ENODEV;
      if (!setScope(sk, scope)) return -ENOMEM;
    }
    if (scopeOf(sk) == 0 && isLinkLocal6(hi)) return -EINVAL;
  }
  return 0;
}

function open(ns: Netns, kindAndFamily: u32): i32 {
  const six = FULL && (kindAndFamily & SOCK_INET6) != 0, kind = six ? kindAndFamily & ~SOCK_INET6 : kindAndFamily;
  if (changetype<usize>(ns) == 0 || ns.sock == 0) return -EBADF;
  if (kind < SOCK_UDP || kind > SOCK_RAW) return -EPROTONOSUPPORT;
  const sk = kind == SOCK_TCP ? changetype<Socket>(tcpNew(ns)) : datagramNew(ns, kind);
  if (changetype<usize>(sk) == 0) return -ENOMEM;
  if (six) {
    sk.localLo = 0;
    sk.remoteLo = 0;
    sk.flags |= SK_INET6 | (sysctl6(ns, SYSCTL6_BINDV6ONLY) != 0 ? SK_V6ONLY : 0);
  }
  if (!socketGiveHandle(sk)) {
    if (kind == SOCK_TCP) tcpDestroy(changetype<Tcp>(sk));
    else socketFree(sk, <u32>offsetof<Socket>());
    return -ENOMEM;
  }
  if (kind == SOCK_RAW) {
    boundInsert(sk);
    changetype<SockNetns>(ns.sock).raw++;
  }
  if (FULL && node().bpfHooks != 0) {
    const denied = cgroupSock(sk, CGROUP_INET_SOCK_CREATE);
    if (denied != 0) {
      close(sk, true);
      return denied;
    }
  }
  return <i32>sk.handle;
}

/** inet_bind */
function bind(sk: Socket, wantedHi: u64, wantedLo: u64, wantedPort: u32): i32 {
  if (sk.kind == SOCK_RAW) return -EOPNOTSUPP;
  let hi = wantedHi, lo = wantedLo, port = wantedPort;
  if (FULL && node().bpfHooks != 0) {
    const denied = cgroupAddress(sk, CGROUP_INET4_BIND, hi, lo, port);
    if (denied != 0) return denied;
    hi = addressHi;
    lo = addressLo;
    port = addressPort;
  }
  if (sk.flags & SK_BOUND || sk.state != TCP_CLOSE || port > 65535) return -EINVAL;
  const ns = changetype<Netns>(sk.ns);
  const any = isAny(hi, lo);
  if (FULL && !isMapped4(hi, lo & 0xffffffff)) {
    const own = any || isMulticast6(hi) || sysctl6(ns, SYSCTL6_IP_NONLOCAL_BIND) != 0 || checkAddress(ns, hi, lo,
      scopeOf(sk) == 0 ? 0 : deviceFind(ns, scopeOf(sk)), false);
    if (!own) return -EADDRNOTAVAIL;
  } else if (!any && !sysctl(ns, SYSCTL_IP_NONLOCAL_BIND) && addressType(ns, hi, lo) != RTN_LOCAL) return -EADDRNOTAVAIL;
  if (FULL && any && lo != 0 && (sk.flags & SK_INET6) != 0) sk.localLo = lo; // "::ffff:0.0.0.0"
  const result = bindPort(sk, any ? 0 : hi, any ? sk.localLo : lo, port);
  if (result < 0) return result;
  if (!any) {
    sk.localHi = hi;
    sk.localLo = lo;
    sk.flags |= SK_BOUND_ADDRESS;
  }
  if (port != 0) sk.flags |= SK_BOUND_PORT;
  if (FULL && node().bpfHooks != 0) {
    const denied = cgroupSock(sk, (sk.flags & SK_INET6) != 0 ? CGROUP_INET6_POST_BIND : CGROUP_INET4_POST_BIND);
    if (denied != 0) {
      tableRemove(sk);
      sk.ports = 0;
      sk.localHi = 0;
      sk.localLo = (sk.flags & SK_INET6) != 0 ? 0 : 0xffff0000;
      sk.flags &= ~(SK_BOUND_ADDRESS | SK_BOUND_PORT);
      return denied;
    }
  }
  return 0;
}

/** How connect() went. */
function finish(sk: Socket): i32 {
  if (sk.kind != SOCK_TCP) return -EOPNOTSUPP;
  if (sk.error != 0) return takeError(sk);
  if (sk.state == TCP_SYN_SENT || sk.state == TCP_SYN_RECV) return wait(sk, READY_WRITE, -EINPROGRESS);
  return sk.state == TCP_CLOSE || sk.state == TCP_LISTEN ? -ENOTCONN : 0;
}

/** inet_listen */
function listen(sk: Socket, backlog: u32): i32 {
  if (sk.kind != SOCK_TCP) return -EOPNOTSUPP;
  if (sk.state != TCP_CLOSE && sk.state != TCP_LISTEN) return -EINVAL;
  const most = min<u32>(backlog, <u32>max<i32>(sysctl(changetype<Netns>(sk.ns), SYSCTL_CORE_SOMAXCONN), 0));
  if (sk.state == TCP_LISTEN) {
    changetype<Listener>(sk).backlog = most;
    return 0;
  }
  if (sk.flags & SK_RCV_SHUTDOWN) return -EINVAL; // it was connected once
  if ((sk.flags & SK_BOUND) == 0) {
    const bound = bindPort(sk, sk.localHi, sk.localLo, 0);
    if (bound < 0) return bound;
  } else if (listenConflict(sk)) {
    return -EADDRINUSE; // another one listens since we bound
  }
  memory.fill(changetype<usize>(sk) + offsetof<Socket>(), 0, offsetof<Listener>() - offsetof<Socket>());
  changetype<Listener>(sk).backlog = most;
  tcpSetState(sk, TCP_LISTEN);
  return 0;
}

function listenConflict(sk: Socket): bool {
  return bindConflict(sk, sk.localHi, sk.localLo, localPort(sk));
}

function accept(sk: Socket): i32 {
  if (sk.kind != SOCK_TCP || sk.state != TCP_LISTEN) return -EINVAL;
  const listener = changetype<Listener>(sk);
  if (listener.acceptHead == 0 || changetype<Tcp>(listener.acceptHead).state == TCP_SYN_RECV) {
    return wait(sk, READY_READ, -EAGAIN);
  }
  const child = changetype<Socket>(acceptNext(listener));
  if (!socketGiveHandle(child)) {
    tcpClose(changetype<Tcp>(child), true);
    return -ENOMEM;
  }
  return <i32>child.handle;
}

function send(sk: Socket, record: usize, ttl: u32, port: u32, bytes: u32, hi: u64, lo: u64): i32 {
  const kind = sk.kind;
  if (kind == SOCK_TCP) return -EOPNOTSUPP;
  if (port > 65535 || ttl > 255) return -EINVAL;
  if (sk.error != 0) return takeError(sk);
  chargeCopy(bytes);
  if (kind == SOCK_RAW) return rawSend(sk, record + SOCK_BYTES, bytes);
  if (port != 0) {
    const refused = takesFamily(sk, hi, lo, record);
    if (refused != 0) return refused;
  }
  const here = isAny(hi, lo);
  const toLo = here ? (FULL && lo == 0 && hi == 0 && (sk.flags & SK_INET6) != 0 ? LOOPBACK6 : LOOPBACK) : lo;
  if (kind == SOCK_PING) return here ? -EDESTADDRREQ : pingSend(sk, hi, lo, port, ttl, record + SOCK_BYTES, bytes);
  let sourceHi = load<u64>(record, SOCK_SOURCE), sourceLo = load<u64>(record, SOCK_SOURCE + 8);
  if (FULL && port != 0 && node().bpfHooks != 0) {
    const denied = cgroupAddress(sk, CGROUP_UDP4_SENDMSG, hi, toLo, port, sourceHi, sourceLo);
    if (denied != 0) return denied;
    if (addressPort == 0) return -EINVAL;
    return udpSend(sk, addressHi, addressLo, addressPort, messageHi, messageLo, ttl, scopeOf(sk), record + SOCK_BYTES, bytes);
  }
  return udpSend(sk, hi, port == 0 ? lo : toLo, port, sourceHi, sourceLo, ttl, scopeOf(sk), record + SOCK_BYTES, bytes);
}

function receive(sk: Socket, record: usize, room: u32): i32 {
  if (sk.kind == SOCK_TCP) return -EOPNOTSUPP;
  if (sk.error != 0) return takeError(sk);
  if (sk.rcvHead == 0) return wait(sk, READY_READ, -EAGAIN);
  const skb = changetype<Skb>(sk.rcvHead);
  readAddresses(skb.network);
  const six = FULL && load<u8>(skb.network) >>> 4 == 6;
  const bytes = min<u32>(min<u32>(skbLength(skb), room), MAILBOX_BYTES - SOCK_BYTES);
  store<u32>(record, sk.kind == SOCK_UDP ? UdpView.at(skb.transport).sourcePort : 0, SOCK_PORT);
  if (FULL && sk.kind == SOCK_UDP && node().bpfHooks != 0) {
    const hi = toHi, lo = toLo;
    cgroupAddress(sk, CGROUP_UDP4_RECVMSG, fromHi, fromLo, UdpView.at(skb.transport).sourcePort);
    store<u32>(record, addressPort, SOCK_PORT);
    putAddress(record + SOCK_ADDRESS, addressHi, addressLo);
    putAddress(record + SOCK_SOURCE, hi, lo);
  } else {
    putAddress(record + SOCK_ADDRESS, fromHi, fromLo);
    putAddress(record + SOCK_SOURCE, toHi, toLo);
  }
  store<u32>(record, bytes, SOCK_LENGTH);
  store<u32>(record, <u32>load<u8>(skb.network + (six ? 7 : 8)), SOCK_ARG);
  store<u32>(record, six && skb.inDev != 0 && isLinkLocal6(fromHi) ? changetype<NetDevice>(skb.inDev).ifindex : 0, SOCK_SCOPE);
  memory.copy(record + SOCK_BYTES, skb.data, <usize>bytes);
  chargeCopy(bytes);
  queueFreeFirst(sk);
  if (sk.kind == SOCK_UDP) udpCount(changetype<Netns>(sk.ns), SNMP_UDP_INDATAGRAMS, six);
  return <i32>(SOCK_BYTES + bytes);
}

function putAddress(at: usize, hi: u64, lo: u64): void {
  store<u64>(at, hi);
  store<u64>(at, lo, 8);
}

/** tcp_sendmsg */
function write(sk: Socket, from: usize, bytes: u32): i32 {
  if (sk.kind != SOCK_TCP) return -EOPNOTSUPP;
  if (sk.error != 0) return takeError(sk);
  if (sk.state == TCP_LISTEN || (sk.state == TCP_CLOSE && (sk.flags & SK_SEND_SHUTDOWN) == 0)) return -EPIPE;
  if (sk.flags & SK_SEND_SHUTDOWN) return -EPIPE;
  if (sk.state != TCP_ESTABLISHED && sk.state != TCP_CLOSE_WAIT) return wait(sk, READY_WRITE, -EAGAIN);
  if (bytes == 0) return 0;
  const done = queueWrite(changetype<Tcp>(sk), from, bytes);
  if (done == 0) return wait(sk, READY_WRITE, -EAGAIN);
  if (done > 0) chargeCopy(<u32>done);
  return done;
}

/** tcp_recvmsg */
function read(sk: Socket, to: usize, room: u32): i32 {
  if (sk.kind != SOCK_TCP) return -EOPNOTSUPP;
  if (sk.state == TCP_LISTEN) return -ENOTCONN;
  const most = min<u32>(room, MAILBOX_BYTES);
  let done: u32 = 0;
  while (done < most && sk.rcvHead != 0) {
    const skb = changetype<Skb>(sk.rcvHead);
    const bytes = min<u32>(skbLength(skb), most - done);
    memory.copy(to + <usize>done, skb.data, <usize>bytes);
    done += bytes;
    skb.data += <usize>bytes;
    if (skbLength(skb) == 0) queueFreeFirst(sk);
  }
  const tcp = changetype<Tcp>(sk);
  if (done != 0) {
    chargeCopy(done);
    if (sk.state != TCP_CLOSE) afterRead(tcp, done);
    return <i32>done;
  }
  if (sk.error != 0) return takeError(sk);
  if (sk.flags & SK_RCV_SHUTDOWN) return 0;
  if (sk.state == TCP_CLOSE) return -ENOTCONN;
  return most == 0 ? 0 : wait(sk, READY_READ, -EAGAIN);
}

function close(sk: Socket, abort: bool): i32 {
  if (sk.kind == SOCK_TCP) {
    tcpClose(changetype<Tcp>(sk), abort);
    return 0;
  }
  if (sk.kind == SOCK_RAW) changetype<SockNetns>(changetype<Netns>(sk.ns).sock).raw--;
  tableRemove(sk);
  socketFree(sk, <u32>offsetof<Socket>());
  return 0;
}

function name(sk: Socket, record: usize): i32 {
  store<u32>(record, sk.state, SOCK_ARG);
  store<u32>(record, localPort(sk), SOCK_PORT);
  store<u32>(record, remotePort(sk), SOCK_LENGTH);
  store<u32>(record, scopeOf(sk), SOCK_SCOPE);
  putAddress(record + SOCK_ADDRESS, sk.remoteHi, sk.remoteLo);
  putAddress(record + SOCK_SOURCE, sk.localHi, sk.localLo);
  if (FULL && node().bpfHooks != 0) {
    // getpeername, getsockname
    cgroupAddress(sk, CGROUP_INET4_GETPEERNAME, sk.remoteHi, sk.remoteLo, remotePort(sk));
    putAddress(record + SOCK_ADDRESS, addressHi, addressLo);
    store<u32>(record, addressPort, SOCK_LENGTH);
    cgroupAddress(sk, CGROUP_INET4_GETSOCKNAME, sk.localHi, sk.localLo, localPort(sk));
    putAddress(record + SOCK_SOURCE, addressHi, addressLo);
    store<u32>(record, addressPort, SOCK_PORT);
  }
  return SOCK_BYTES;
}

function option(sk: Socket, which: u32, value: u32): i32 {
  if (which == SOCKOPT_REUSEADDR) {
    sk.flags = value != 0 ? sk.flags | SK_REUSE : sk.flags & ~SK_REUSE;
  } else if (which == SOCKOPT_NODELAY && sk.kind == SOCK_TCP) {
    sk.flags = value != 0 ? sk.flags | SK_NODELAY : sk.flags & ~SK_NODELAY;
    if (value != 0 && sk.state != TCP_LISTEN) pushPending(changetype<Tcp>(sk), true);
  } else if (which == SOCKOPT_RCVBUF) {
    // SOCK_MIN_RCVBUF, and a bound on what a program may hold of the node's memory
    sk.rcvBuf = max<u32>(2304, min<u32>(value, 1 << 23));
  } else if (which == SOCKOPT_SNDBUF) {
    sk.sndBuf = max<u32>(4608, min<u32>(value, 1 << 23));
  } else if (FULL && which == SOCKOPT_TRANSPARENT) {
    sk.flags = value != 0 ? sk.flags | SK_TRANSPARENT : sk.flags & ~SK_TRANSPARENT;
  } else if (FULL && which == SOCKOPT_V6ONLY) {
    if ((sk.flags & SK_INET6) == 0 || (sk.flags & SK_BOUND) != 0) return -EINVAL;
    sk.flags = value != 0 ? sk.flags | SK_V6ONLY : sk.flags & ~SK_V6ONLY;
  } else if (FULL && which >= SOCKOPT_MARK && which <= SOCKOPT_GID) {
    const creds = sockCreds(sk);
    if (changetype<usize>(creds) == 0) return -ENOMEM;
    if (which == SOCKOPT_MARK) creds.mark = value;
    else if (which == SOCKOPT_UID) creds.uid = value;
    else creds.gid = value;
  } else {
    return -EINVAL;
  }
  return 0;
}

function stats(ns: Netns, record: usize): i32 {
  if (changetype<usize>(ns) == 0 || ns.sock == 0) return -EBADF;
  const table = changetype<SockNetns>(ns.sock);
  store<u32>(record, table.socketCount);
  store<u32>(record, table.connections, 4);
  store<u32>(record, table.timewaits, 8);
  store<u32>(record, node().skbCount, 12);
  return 16;
}
