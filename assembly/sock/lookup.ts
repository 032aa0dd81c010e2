// Sockets as netfilter looks for them (net/ipv4/netfilter/nf_socket_ipv4.c, nf_tproxy_ipv4.c). Addresses are raw IPv4, ports in host
// order, as they stand in a packet from `source` to `destination`.
import { Netns } from "../layout";
import { mapped4 } from "../wire/bytes";
import { IPPROTO_TCP } from "../wire/ipv4";
import { connectionFind } from "./table";
import { listenerFind } from "./tcp/listen";
import { udpFind } from "./udp";

/** The socket such a packet would be delivered to: a connection, a listener, a bound UDP socket; an Endpoint, or 0. */
export function socketLookup(ns: Netns, protocol: u32, source: u32, sport: u32, destination: u32, dport: u32): usize {
  const local = mapped4(destination), remote = mapped4(source);
  if (protocol != IPPROTO_TCP) return udpFind(ns, 0, local, dport, 0, remote, sport);
  const found = connectionFind(ns, 0, local, 0, remote, (dport << 16) | sport);
  return found != 0 ? found : listenerFind(ns, 0, local, dport);
}

/** Only a connection, of TCP or a connected UDP socket (NF_TPROXY_LOOKUP_ESTABLISHED). */
export function connectionLookup(ns: Netns, protocol: u32, source: u32, sport: u32, destination: u32, dport: u32): usize {
  const local = mapped4(destination), remote = mapped4(source);
  if (protocol == IPPROTO_TCP) return connectionFind(ns, 0, local, 0, remote, (dport << 16) | sport);
  return udpFind(ns, 0, local, dport, 0, remote, sport);
}
