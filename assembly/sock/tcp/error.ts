// ICMP errors about our segments (tcp_v4_err of net/ipv4/tcp_ipv4.c).
import { SOCK_TCP, TCP_CLOSE, TCP_LISTEN, TCP_SYN_RECV, TCP_SYN_SENT } from "../../abi/sock";
import { Netns } from "../../layout";
import { fromHi, fromLo, isSix, readAddresses, toHi, toLo } from "../family";
import { TcpView } from "../../wire/tcp";
import { Endpoint, KIND_REQUEST } from "../socket";
import { connectionFind } from "../table";
import { tcpFail, tcpReap } from "./close";
import { Request, requestDrop } from "./listen";
import { retransmitLost } from "./output";
import { between, SEG_LOST, SEG_RETRANS, Segment, syncMss, Tcp } from "./tcp";

/**
 * `inner`: the quoted IP header, `l4`: at least eight bytes of the TCP header behind it. `frag`: it was too big for a link of MTU `mtu`.
 * False: there is no such connection.
 */
export function tcpError(ns: Netns, inner: usize, l4: usize, errno: i32, frag: bool, mtu: u32): bool {
  const th = TcpView.at(l4);
  const ports = (th.sourcePort << 16) | th.destinationPort;
  readAddresses(inner);
  const at = connectionFind(ns, fromHi, fromLo, toHi, toLo, ports);
  if (at == 0) return false;
  if (errno != 0) heard(changetype<Endpoint>(at), th, errno, frag, mtu);
  return true;
}

function heard(endpoint: Endpoint, th: TcpView, errno: i32, frag: bool, mtu: u32): void {
  const at = changetype<usize>(endpoint);
  const seq = th.sequence;
  if (endpoint.kind == KIND_REQUEST) {
    // Only a routing failure ends it before the peer has answered (tcp_req_err).
    const request = changetype<Request>(at);
    if (seq == request.sntIsn && !frag) requestDrop(request);
    return;
  }
  if (endpoint.kind != SOCK_TCP) return;
  const sk = changetype<Tcp>(at);
  if (sk.state == TCP_CLOSE || sk.state == TCP_LISTEN || !between(seq, sk.sndUna, sk.sndNxt)) return;
  if (frag) {
    pathMtu(sk, mtu);
    return;
  }
  if (sk.state == TCP_SYN_SENT || sk.state == TCP_SYN_RECV) {
    tcpFail(sk, errno);
    tcpReap(sk);
  } else {
    sk.softError = errno;
  }
}

/** A link of the path takes less: smaller segments from now on, and those too large again (tcp_v4_mtu_reduced). */
function pathMtu(sk: Tcp, mtu: u32): void {
  // net.ipv4.route.min_pmtu
  const reduced = max<u32>(mtu, isSix(sk.remoteHi, sk.remoteLo) ? 1280 : 552);
  if (reduced >= sk.pmtu) return;
  const mss = syncMss(sk, reduced);
  // tcp_simple_retransmit
  let p = sk.sendHead;
  while (p != 0 && p != sk.sendNext) {
    const segment = changetype<Segment>(p);
    p = segment.next;
    if (segment.length <= mss) continue;
    if (segment.state & SEG_RETRANS) {
      segment.state &= ~SEG_RETRANS;
      sk.retransOut--;
    }
    if ((segment.state & (SEG_LOST | 1)) == 0) {
      segment.state |= SEG_LOST;
      sk.lostOut++;
    }
  }
  retransmitLost(sk);
}
