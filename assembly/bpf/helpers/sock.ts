// Helpers on sockets (net/core/filter.c): looking them up, what they are, whose they are, and what programs may set.
import { EFAULT, EINVAL, ENETUNREACH, ENOENT, ENOPROTOOPT, EOPNOTSUPP } from "../../abi/core";
import { SOCK_TCP, TCP_LISTEN } from "../../abi/sock";
import { Netns, Skb } from "../../layout";
import { node } from "../../mm/node";
import { NFF_TPROXY } from "../../netfilter/target-more";
import { SK_INET6 } from "../../sock/family";
import { Endpoint, KIND_REQUEST, SK_BOUND, SK_NODELAY, SK_REUSE, SockCreds, Socket, sockCreds } from "../../sock/socket";
import { bindPort, connectionFind } from "../../sock/table";
import { Request, listenerFind } from "../../sock/tcp/listen";
import { Tcp } from "../../sock/tcp/tcp";
import { udpFind } from "../../sock/udp";
import { be16, mapped4 } from "../../wire/bytes";
import { cgroupId } from "../hooks/cgroup";
import { netnsBpf } from "../hooks/netns";
import { SockBpf, sockBpf, sockBpfOf, sockCookie } from "../hooks/sock";
import { isFull, sockFamily, sockOfView, sockView, sockViewRelease, tcpView } from "../hooks/sock-view";
import { HR_INGRESS, HookRun, hookState } from "../hooks/state";
import { bpfFill, bpfReadable, bpfWritable } from "../memory";
import { RUN_SKB, RUN_SK_LOOKUP } from "../run";
import { failed } from "./skb";

/** No helper of this file. */
export const NOT_SOCK: u64 = 0x8000000000000000;
const OVERFLOW_UID: u64 = 65534;
const TUPLE4: u32 = 12, TUPLE6: u32 = 36;

export function sockHelper(r: HookRun, id: u32, a: u64, b: u64, c: u64, d: u64, e: u64): u64 {
  switch (id) {
    case 46: return r.sock == 0 || !isFull(r.sock) ? 0 : sockCookie(changetype<Socket>(r.sock));
    case 47: return socketUid(r);
    case 49: return setOption(r, <u32>b, <u32>c, d, <u32>e);
    case 57: return getOption(r, <u32>b, <u32>c, d, <u32>e);
    case 64: return bindHelper(r, b, <u32>c);
    case 79: return r.sock == 0 ? 0 : cgroupId(changetype<Socket>(r.sock), -1);
    case 83: return r.sock == 0 ? 0 : cgroupId(changetype<Socket>(r.sock), <i32>b);
    case 84: return lookup(r, b, <u32>c, d, e, true, true);
    case 85: return lookup(r, b, <u32>c, d, e, false, true);
    case 99: return lookup(r, b, <u32>c, d, e, true, false);
    case 86: sockViewRelease(r, a); return 0;
    case 95: {
      const sk = sockOfView(r, a);
      return sk != 0 && isFull(sk) ? a : 0;
    }
    case 96: {
      const sk = sockOfView(r, a);
      return sk == 0 ? 0 : <u64>tcpView(r, sk);
    }
    case 98: return listenerOf(r, a);
    case 122: return netnsCookie(r, a);
    case 124: return assign(r, b, c);
    case 128: case 129: {
      const sk = sockOfView(r, a);
      return sk == 0 || !isFull(sk) ? 0 : cgroupId(changetype<Socket>(sk), id == 128 ? -1 : <i32>b);
    }
    // Pointers to the kernel's own structures: sockets here have none of Linux's.
    case 136: case 137: case 138: case 139: case 140: case 178: return 0;
    case 186: return <u64><i64>r.retval;
    case 187: {
      r.retval = <i32>b == 0 || (<i32>a <= 0 && <i32>a >= -4095) ? <i32>a : r.retval;
      return 0;
    }
    default: return NOT_SOCK;
  }
}

/** bpf_get_socket_uid */
function socketUid(r: HookRun): u64 {
  if (r.sock == 0 || !isFull(r.sock)) return OVERFLOW_UID;
  const sk = changetype<Socket>(r.sock);
  return sk.creds == 0 ? 0 : <u64>changetype<SockCreds>(sk.creds).uid;
}

/** The namespace's number, never the same twice; without a context that of the first. */
function netnsCookie(r: HookRun, ctx: u64): u64 {
  const ns = ctx == 0 ? node().netns : r.kind == RUN_SKB && r.sock == 0 ? node().netns : r.ns;
  const b = netnsBpf(changetype<Netns>(ns));
  if (changetype<usize>(b) == 0) return 0;
  if (b.cookie == 0) b.cookie = ++hookState().cookie;
  return b.cookie;
}

/** bpf_sk_lookup, bpf_skc_lookup: the tuple is {saddr, daddr, sport, dport}, as a packet to the socket has them. */
function lookup(r: HookRun, tuple: u64, length: u32, netnsId: u64, flags: u64, tcp: bool, full: bool): u64 {
  if ((length != TUPLE4 && length != TUPLE6) || !bpfReadable(tuple, length)) return 0;
  // Only the current namespace is known by number.
  if (flags != 0 || <i32>netnsId >= 0) return 0;
  const t = <usize>tuple, ns = changetype<Netns>(r.ns);
  let fromHi: u64 = 0, fromLo: u64, toHi: u64 = 0, toLo: u64, ports: usize;
  if (length == TUPLE4) {
    fromLo = mapped4(load<u32>(t));
    toLo = mapped4(load<u32>(t, 4));
    ports = t + 8;
  } else {
    fromHi = load<u64>(t);
    fromLo = load<u64>(t, 8);
    toHi = load<u64>(t, 16);
    toLo = load<u64>(t, 24);
    ports = t + 32;
  }
  const sport = be16(ports, 0), dport = be16(ports, 2);
  let found = tcp ? connectionFind(ns, toHi, toLo, fromHi, fromLo, dport << 16 | sport) : udpFind(ns, toHi, toLo, dport, fromHi, fromLo, sport);
  if (found == 0 && tcp) found = listenerFind(ns, toHi, toLo, dport);
  if (found != 0 && full) {
    // sk_to_full_sk
    if (changetype<Endpoint>(found).kind == KIND_REQUEST) found = changetype<Request>(found).listener;
    if (!isFull(found)) found = 0;
  }
  return found == 0 ? 0 : <u64>sockView(r, found);
}

function listenerOf(r: HookRun, pointer: u64): u64 {
  let sk = sockOfView(r, pointer);
  if (sk == 0) return 0;
  if (changetype<Endpoint>(sk).kind == KIND_REQUEST) sk = changetype<Request>(sk).listener;
  return changetype<Endpoint>(sk).state == TCP_LISTEN ? <u64>sockView(r, sk) : 0;
}

/** bpf_sk_assign of tc and of sk_lookup. */
function assign(r: HookRun, pointer: u64, flags: u64): u64 {
  const at = pointer == 0 ? 0 : sockOfView(r, pointer);
  if (r.kind == RUN_SK_LOOKUP) return assignLookup(r, at, pointer, flags);
  if (r.kind != RUN_SKB || at == 0 || flags != 0) return failed(EINVAL);
  if ((r.flags & HR_INGRESS) == 0) return failed(EOPNOTSUPP);
  if (changetype<Endpoint>(at).ns != r.ns) return failed(ENETUNREACH);
  if (!isFull(at) || changetype<Socket>(at).handle == 0) return failed(ENOENT);
  const skb = changetype<Skb>(r.skb);
  skb.sock = <usize>changetype<Socket>(at).handle;
  skb.nfFlags |= NFF_TPROXY;
  return 0;
}

const EXISTS: i32 = 17, EPROTOTYPE: i32 = 91, EAFNOSUPPORT: i32 = 97, ESOCKTNOSUPPORT: i32 = 94;

/** bpf_sk_lookup_assign: BPF_SK_LOOKUP_F_REPLACE 1, BPF_SK_LOOKUP_F_NO_REUSEPORT 2. */
function assignLookup(r: HookRun, at: usize, pointer: u64, flags: u64): u64 {
  if ((flags & ~<u64>3) != 0 || (pointer != 0 && at == 0)) return failed(EINVAL);
  if (at != 0) {
    const e = changetype<Endpoint>(at), tcp = r.word0 == 6;
    if (!isFull(at)) return failed(ESOCKTNOSUPPORT);
    if ((e.kind == SOCK_TCP) != tcp) return failed(EPROTOTYPE);
    if (tcp && e.state != TCP_LISTEN) return failed(ESOCKTNOSUPPORT);
    const family = sockFamily(at);
    if (family != r.word1 && (family == 2 || r.word1 == 10)) return failed(EAFNOSUPPORT);
  }
  if (r.selected != 0 && (flags & 1) == 0) return failed(EXISTS);
  r.selected = at;
  return 0;
}

// Options, the subset of sol_socket_sockopt, sol_tcp_sockopt and sol_ip_sockopt that means something here
const SOL_SOCKET: u32 = 1, SOL_IP: u32 = 0, SOL_TCP: u32 = 6;
const SO_REUSEADDR: u32 = 2, SO_TYPE: u32 = 3, SO_SNDBUF: u32 = 7, SO_RCVBUF: u32 = 8, SO_KEEPALIVE: u32 = 9, SO_PRIORITY: u32 = 12, SO_MARK: u32 = 36, SO_DOMAIN: u32 = 39;
const TCP_NODELAY: u32 = 1, TCP_MAXSEG: u32 = 2, TCP_CONGESTION: u32 = 13, TCP_BPF_IW: u32 = 1001, TCP_BPF_SNDCWND_CLAMP: u32 = 1002;

function setOption(r: HookRun, level: u32, name: u32, value: u64, length: u32): u64 {
  if (r.sock == 0 || !isFull(r.sock) || length < 4 && !(level == SOL_TCP && name == TCP_CONGESTION)) return failed(EINVAL);
  if (!bpfReadable(value, length)) return failed(EFAULT);
  const sk = changetype<Socket>(r.sock), number = load<u32>(<usize>value);
  if (level == SOL_SOCKET) {
    switch (name) {
      case SO_MARK: {
        if (changetype<usize>(sockCreds(sk)) == 0) return failed(EINVAL);
        changetype<SockCreds>(sk.creds).mark = number;
        return 0;
      }
      case SO_REUSEADDR: sk.flags = number != 0 ? sk.flags | SK_REUSE : sk.flags & ~SK_REUSE; return 0;
      case SO_SNDBUF: sk.sndBuf = max<u32>(4608, min<u32>(number, 212992) << 1); return 0;
      case SO_RCVBUF: sk.rcvBuf = max<u32>(2304, min<u32>(number, 212992) << 1); return 0;
      case SO_PRIORITY: {
        const own = sockBpf(sk);
        if (changetype<usize>(own) != 0) own.priority = number;
        return 0;
      }
      case SO_KEEPALIVE: return 0;
      default: return failed(EINVAL);
    }
  }
  if (level == SOL_TCP && sk.kind == SOCK_TCP) {
    if (name == TCP_NODELAY) {
      sk.flags = number != 0 ? sk.flags | SK_NODELAY : sk.flags & ~SK_NODELAY;
      return 0;
    }
    // There is one algorithm: cubic.
    if (name == TCP_CONGESTION) return length >= 5 && load<u32>(<usize>value) == 0x69627563 && load<u8>(<usize>value, 4) == 0x63 ? 0 : failed(ENOENT);
    if (sk.state == TCP_LISTEN) return failed(EINVAL);
    const t = changetype<Tcp>(r.sock);
    if (name == TCP_BPF_IW) {
      if (<i32>number <= 0 || t.sndNxt != t.sndUna) return failed(EINVAL);
      t.cwnd = number;
      return 0;
    }
    if (name == TCP_BPF_SNDCWND_CLAMP) {
      if (<i32>number <= 0) return failed(EINVAL);
      t.ssthresh = min<u32>(t.ssthresh, number);
      return 0;
    }
    return name == TCP_MAXSEG ? 0 : failed(EINVAL);
  }
  return level == SOL_IP ? 0 : failed(EINVAL);
}

function getOption(r: HookRun, level: u32, name: u32, value: u64, length: u32): u64 {
  if (!bpfWritable(value, length)) return failed(EFAULT);
  const to = <usize>value;
  if (r.sock == 0 || !isFull(r.sock) || length < 4) {
    bpfFill(to, 0, <usize>length);
    return failed(EINVAL);
  }
  const sk = changetype<Socket>(r.sock);
  let number: u32;
  if (level == SOL_SOCKET) {
    switch (name) {
      case SO_MARK: number = sk.creds == 0 ? 0 : changetype<SockCreds>(sk.creds).mark; break;
      case SO_REUSEADDR: number = sk.flags & SK_REUSE ? 1 : 0; break;
      case SO_SNDBUF: number = sk.sndBuf; break;
      case SO_RCVBUF: number = sk.rcvBuf; break;
      case SO_PRIORITY: number = sockBpfOf(sk) == 0 ? 0 : changetype<SockBpf>(sockBpfOf(sk)).priority; break;
      case SO_TYPE: number = sk.kind == SOCK_TCP ? 1 : 2; break;
      case SO_DOMAIN: number = sk.flags & SK_INET6 ? 10 : 2; break;
      default: {
        bpfFill(to, 0, <usize>length);
        return failed(ENOPROTOOPT);
      }
    }
  } else if (level == SOL_TCP && sk.kind == SOCK_TCP && name == TCP_NODELAY) number = sk.flags & SK_NODELAY ? 1 : 0;
  else if (level == SOL_TCP && sk.kind == SOCK_TCP && name == TCP_CONGESTION && length >= 6) {
    bpfFill(to, 0, <usize>length);
    store<u32>(to, 0x69627563);
    store<u8>(to, 0x63, 4);
    return 0;
  } else {
    bpfFill(to, 0, <usize>length);
    return failed(EINVAL);
  }
  store<u32>(to, number);
  return 0;
}

/** bpf_bind of a connect hook: the address that the connection comes from; {u16 family, be16 port, address …}. */
function bindHelper(r: HookRun, address: u64, length: u32): u64 {
  if (r.sock == 0 || length < 2 || !bpfReadable(address, length)) return failed(EINVAL);
  const at = <usize>address, sk = changetype<Socket>(r.sock), family = <u32>load<u16>(at);
  const six = (sk.flags & SK_INET6) != 0;
  if (sk.flags & SK_BOUND) return failed(EINVAL);
  let hi: u64 = 0, lo: u64, port = length >= 4 ? be16(at, 2) : 0;
  if (family == 2 && !six) {
    if (length < 16) return failed(EINVAL);
    lo = mapped4(load<u32>(at, 4));
  } else if (family == 10 && six) {
    if (length < 28) return failed(EINVAL);
    hi = load<u64>(at, 8);
    lo = load<u64>(at, 16);
  } else return failed(EAFNOSUPPORT);
  sk.localHi = hi;
  sk.localLo = lo;
  // Without a port the connection gets one when it begins (IP_BIND_ADDRESS_NO_PORT).
  if (port == 0) return 0;
  return <u64><i64>bindPort(sk, hi, lo, port);
}
