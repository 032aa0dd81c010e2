/** The sockets of a namespace as ss and netstat list them. */
import * as abi from "../../assembly/abi/sock.ts";
import { ENOENT } from "../../assembly/abi/core.ts";
import { getAddress } from "../kernel/address.ts";
import { kernelOf } from "../kernel/namespace.ts";
import type { Netns } from "../kernel/netns.ts";

export interface SocketInfo {
  readonly netid: "tcp" | "udp" | "icmp" | "raw";
  /** By TCP_* number, as ss names them. */
  readonly state: string;
  readonly receive: number;
  readonly send: number;
  readonly address: string;
  readonly port: number;
  readonly remote: string;
  readonly remotePort: number;
  readonly family: "inet" | "inet6";
  readonly v6only: boolean;
}

const STATES = ["UNKNOWN", "ESTAB", "SYN-SENT", "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "UNCONN", "CLOSE-WAIT", "LAST-ACK", "LISTEN",
  "CLOSING"];
const KINDS: Readonly<Record<number, SocketInfo["netid"]>> = {
  [abi.SOCK_UDP]: "udp", [abi.SOCK_TCP]: "tcp", [abi.SOCK_PING]: "icmp", [abi.SOCK_RAW]: "raw",
};

/**
 * All sockets: those of IPv4 first, of each family what listens, then the rest, oldest first, then what is in TIME-WAIT. Addresses of
 * IPv4 that an AF_INET6 socket has are mapped ones. Empty with a kernel that does not list them.
 */
export function socketList(netns: Netns): SocketInfo[] {
  const { context, handle } = kernelOf(netns);
  const { instance } = context;
  const found: SocketInfo[] = [];
  for (let skip = 0; ;) {
    instance.view.setUint32(0, handle, true);
    instance.view.setUint32(abi.SOCK_ARG, skip, true);
    const bytes = context.command(abi.SOCK_LIST, abi.SOCK_BYTES, "ss", [ENOENT]);
    if (bytes <= 0) break;
    const { view } = instance;
    for (let at = 0; at < bytes; at += abi.SOCKINFO_BYTES) {
      const u32 = (offset: number): number => view.getUint32(at + offset, true);
      const netid = KINDS[u32(abi.SOCKINFO_KIND)];
      if (netid === undefined) continue;
      const state = STATES[u32(abi.SOCKINFO_STATE)] ?? "UNKNOWN";
      const family = u32(abi.SOCKINFO_FAMILY);
      const six = (family & abi.SOCKINFO_INET6) !== 0;
      const address = (offset: number): string => {
        const text = getAddress(view, at + offset);
        // An AF_INET6 socket whose other end is none has it as IPv4's "any".
        return !six || text.includes(":") ? text : text === "0.0.0.0" ? "::" : `::ffff:${text}`;
      };
      found.push({
        netid, family: six ? "inet6" : "inet", v6only: (family & abi.SOCKINFO_V6ONLY) !== 0, state: netid === "tcp" || state === "ESTAB" ? state : "UNCONN", receive: u32(abi.SOCKINFO_RECEIVE), send: u32(abi.SOCKINFO_SEND),
        address: address(abi.SOCKINFO_ADDRESS), port: u32(abi.SOCKINFO_PORT),
        remote: address(abi.SOCKINFO_REMOTE), remotePort: u32(abi.SOCKINFO_REMOTE_PORT),
      });
    }
    skip += bytes / abi.SOCKINFO_BYTES;
  }
  // The kernel puts new ones first. A closed TCP socket that is not bound to a port is in none of its tables.
  const rank = ({ family, state }: SocketInfo): number => (family === "inet6" ? 3 : 0) + (state === "LISTEN" ? 0 : state === "TIME-WAIT" ? 2 : 1);
  return found.reverse().filter(({ netid, state, port }) => netid !== "tcp" || state !== "UNCONN" || port !== 0).sort((a, b) => rank(a) - rank(b));
}

/** tx_queue of /proc/net/tcp, which knows nothing of a listener's backlog. */
export const sendQueue = ({ state, send }: SocketInfo): number => (state === "LISTEN" ? 0 : send);
