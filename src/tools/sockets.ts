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
}

const STATES = ["UNKNOWN", "ESTAB", "SYN-SENT", "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "UNCONN", "CLOSE-WAIT", "LAST-ACK", "LISTEN",
  "CLOSING"];
const KINDS: Readonly<Record<number, SocketInfo["netid"]>> = {
  [abi.SOCK_UDP]: "udp", [abi.SOCK_TCP]: "tcp", [abi.SOCK_PING]: "icmp", [abi.SOCK_RAW]: "raw",
};

/** All sockets, oldest first; those in TIME-WAIT at the end. Empty with a kernel that does not list them. */
export function socketList(netns: Netns): SocketInfo[] {
  const { context, handle } = kernelOf(netns);
  const { instance } = context;
  const open: SocketInfo[] = [];
  const closing: SocketInfo[] = [];
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
      (state === "TIME-WAIT" ? closing : open).push({
        netid, state: netid === "tcp" || state === "ESTAB" ? state : "UNCONN", receive: u32(abi.SOCKINFO_RECEIVE), send: u32(abi.SOCKINFO_SEND),
        address: getAddress(view, at + abi.SOCKINFO_ADDRESS), port: u32(abi.SOCKINFO_PORT),
        remote: getAddress(view, at + abi.SOCKINFO_REMOTE), remotePort: u32(abi.SOCKINFO_REMOTE_PORT),
      });
    }
    skip += bytes / abi.SOCKINFO_BYTES;
  }
  // The kernel puts new ones first. A closed TCP socket that is not bound to a port is in none of its tables.
  return [...open.reverse().filter(({ netid, state, port }) => netid !== "tcp" || state !== "UNCONN" || port !== 0), ...closing];
}
