// Sockets as programs see them: struct bpf_sock and struct bpf_tcp_sock (include/uapi/linux/bpf.h; net/core/filter.c,
// bpf_sock_convert_ctx_access, bpf_tcp_sock_convert_ctx_access), written into the run's scratch when a helper hands one out.
//
//   view │ struct bpf_sock, 80 bytes │ address of the socket │ struct bpf_tcp_sock, 112 bytes
import { SOCK_PING, SOCK_RAW, SOCK_TCP, TCP_LISTEN } from "../../abi/sock";
import { Skb } from "../../layout";
import { HANDLE_SOCKET, handleGet } from "../../mm/handle";
import { SK_INET6 } from "../../sock/family";
import { Endpoint, KIND_REQUEST, KIND_TIMEWAIT, SockCreds, Socket, localPort, remotePort, scopeOf } from "../../sock/socket";
import { Tcp } from "../../sock/tcp/tcp";
import { isMapped4, raw4 } from "../../wire/bytes";
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../../wire/ipv4";
import { bpfOwn } from "../memory";
import { HookRun, VIEWS_AT, VIEWS_MAX, VIEW_BYTES } from "./state";

export const BPF_SOCK_BYTES: u32 = 80;
const SOCKET_AT: usize = 80, TCP_AT: usize = 96;
const BPF_TCP_SOCK_BYTES: u32 = 112;

/** Is it a whole socket (sk_fullsock), not a connection being opened or in time-wait? */
@inline export function isFull(at: usize): bool {
  const kind = changetype<Endpoint>(at).kind;
  return kind != KIND_REQUEST && kind != KIND_TIMEWAIT;
}

/** AF_INET or AF_INET6. */
export function sockFamily(at: usize): u32 {
  const e = changetype<Endpoint>(at);
  if (isFull(at)) return changetype<Socket>(at).flags & SK_INET6 ? 10 : 2;
  return isMapped4(e.localHi, e.localLo & 0xffffffff) ? 2 : 10;
}

export function sockProtocol(at: usize): u32 {
  switch (changetype<Endpoint>(at).kind) {
    case SOCK_TCP: case KIND_REQUEST: case KIND_TIMEWAIT: return IPPROTO_TCP;
    case SOCK_PING: return IPPROTO_ICMP;
    case SOCK_RAW: return 255;
    default: return IPPROTO_UDP;
  }
}

/** SOCK_STREAM, SOCK_DGRAM, SOCK_RAW. */
export function sockType(at: usize): u32 {
  const protocol = sockProtocol(at);
  return protocol == IPPROTO_TCP ? 1 : protocol == 255 ? 3 : 2;
}

/** The socket that a packet was sent by or is for, if it still is; 0: none. */
export function skbSocket(skb: Skb): usize {
  return skb.sock == 0 ? 0 : handleGet(HANDLE_SOCKET, <u32>skb.sock);
}

/** Where the program sees the socket `at`; 0: it holds as many as fit. */
export function sockView(r: HookRun, at: usize): usize {
  const base = changetype<usize>(r) + VIEWS_AT;
  let n: u32 = 0;
  while (n < r.views && <usize>load<u32>(base + <usize>n * VIEW_BYTES, SOCKET_AT) != at) n++;
  const view = base + <usize>n * VIEW_BYTES;
  if (n == r.views) {
    if (n == VIEWS_MAX) return 0;
    r.views++;
  }
  sockWrite(at, view);
  store<u32>(view, <u32>at, SOCKET_AT);
  bpfOwn(view, BPF_SOCK_BYTES, false);
  return view;
}

/** The socket behind a pointer that a program holds (struct bpf_sock or bpf_tcp_sock); 0: it is none. */
export function sockOfView(r: HookRun, pointer: u64): usize {
  const base = changetype<usize>(r) + VIEWS_AT;
  if (pointer < <u64>base || pointer >= <u64>(base + <usize>r.views * VIEW_BYTES)) return 0;
  const offset = (<usize>pointer - base) % VIEW_BYTES;
  if (offset != 0 && offset != TCP_AT) return 0;
  return <usize>load<u32>(<usize>pointer - offset, SOCKET_AT);
}

/** bpf_sk_release: the last view is free again. */
export function sockViewRelease(r: HookRun, pointer: u64): void {
  if (r.views != 0 && pointer == <u64>(changetype<usize>(r) + VIEWS_AT + <usize>(r.views - 1) * VIEW_BYTES)
    && sockOfView(r, pointer) != r.sock) r.views--;
}

/** struct bpf_sock */
export function sockWrite(at: usize, to: usize): void {
  const e = changetype<Endpoint>(at);
  memory.fill(to, 0, BPF_SOCK_BYTES);
  const family = sockFamily(at);
  if (isFull(at)) {
    const sk = changetype<Socket>(at);
    store<u32>(to, scopeOf(sk));
    store<u32>(to, sockType(at), 8);
    store<u32>(to, sk.creds == 0 ? 0 : changetype<SockCreds>(sk.creds).mark, 16);
  }
  store<u32>(to, family, 4);
  store<u32>(to, sockProtocol(at), 12);
  store<u32>(to, raw4(e.localLo), 24);
  store<u32>(to, raw4(e.remoteLo), 52);
  if (family == 10) {
    store<u64>(to, e.localHi, 28);
    store<u64>(to, e.localLo, 36);
    store<u64>(to, e.remoteHi, 56);
    store<u64>(to, e.remoteLo, 64);
  }
  store<u32>(to, localPort(e), 44);
  store<u16>(to, bswap<u16>(<u16>remotePort(e)), 48);
  store<u32>(to, e.state, 72);
  store<i32>(to, -1, 76);
}

/** bpf_tcp_sock: where the program sees the connection's numbers; 0: the socket is none of TCP. */
export function tcpView(r: HookRun, at: usize): usize {
  if (!isFull(at) || changetype<Endpoint>(at).kind != SOCK_TCP) return 0;
  const view = sockView(r, at);
  if (view == 0) return 0;
  const to = view + TCP_AT;
  memory.fill(to, 0, BPF_TCP_SOCK_BYTES);
  if (changetype<Endpoint>(at).state != TCP_LISTEN) tcpWrite(changetype<Tcp>(at), to);
  bpfOwn(to, BPF_TCP_SOCK_BYTES, false);
  return to;
}

/** struct bpf_tcp_sock; bpf_sock_ops has the same words from snd_cwnd on in another order. */
function tcpWrite(t: Tcp, to: usize): void {
  store<u32>(to, t.cwnd);
  store<u32>(to, t.srtt8, 4);
  store<u32>(to, t.rttMin, 8);
  store<u32>(to, t.ssthresh, 12);
  store<u32>(to, t.rcvNxt, 16);
  store<u32>(to, t.sndNxt, 20);
  store<u32>(to, t.sndUna, 24);
  store<u32>(to, t.mss, 28);
  store<u32>(to, t.packetsOut, 44);
  store<u32>(to, t.retransOut, 48);
  store<u32>(to, t.lostOut, 72);
  store<u32>(to, t.sackedOut, 76);
}
