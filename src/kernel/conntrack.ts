/** Connections of one namespace: what `conntrack -L` and `-D` are about. */
import {
  CT_RECORD_ADDRESSES, CT_RECORD_BYTES, CT_RECORD_FLAGS, CT_RECORD_ORIG, CT_RECORD_REPLY, CT_RECORD_STATE, CT_RECORD_WSCALE, IPS_ASSURED, IPS_CONFIRMED,
  IPS_DST_NAT, IPS_DST_NAT_DONE, IPS_DYING, IPS_EXPECTED, IPS_HELPER, IPS_OFFLOAD, IPS_SEEN_REPLY, IPS_SRC_NAT, IPS_SRC_NAT_DONE, NF_CT_DELETE, NF_CT_LIST,
} from "../../assembly/abi/netfilter.ts";
import { ENOENT } from "../../assembly/abi/core.ts";
import { formatIpv4 } from "./address.ts";
import { formatIpv6 } from "./address6.ts";
import type { NodeContext } from "./context.ts";
import type { ConntrackEntry, ConntrackTuple } from "./netns.ts";

/** An entry with what only traces and comparisons ask for. */
export interface ConntrackRecord extends ConntrackEntry {
  readonly id: number;
  readonly status: number;
  readonly wscale: readonly [number, number];
  readonly tcpFlags: readonly [number, number];
  /** The helper that watches it. */
  readonly helper?: string;
  /** Remaining time in ms. */
  readonly timeoutMs: number;
}

const ICMP = 1;
const ICMPV6 = 58;
const TCP = 6;
const UDP = 17;
const UDPLITE = 136;
const SCTP = 132;
const NAMES: Readonly<Record<number, "tcp" | "udp" | "icmp" | "icmpv6">> = { [ICMP]: "icmp", [ICMPV6]: "icmpv6", [TCP]: "tcp", [UDP]: "udp" };

/** enum tcp_conntrack, by number. */
/** By HELPER_* number. */
const HELPERS: readonly (string | undefined)[] = [undefined, "ftp", "tftp"];

export const TCP_STATES = [
  "NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2",
];
const SCTP_STATES = [
  "NONE", "CLOSED", "COOKIE_WAIT", "COOKIE_ECHOED", "ESTABLISHED", "SHUTDOWN_SENT", "SHUTDOWN_RECD", "SHUTDOWN_ACK_SENT",
  "HEARTBEAT_SENT",
];

const FLAGS: readonly (readonly [string, number])[] = [
  ["EXPECTED", IPS_EXPECTED], ["SEEN_REPLY", IPS_SEEN_REPLY], ["ASSURED", IPS_ASSURED], ["CONFIRMED", IPS_CONFIRMED],
  ["SRC_NAT", IPS_SRC_NAT], ["DST_NAT", IPS_DST_NAT], ["SRC_NAT_DONE", IPS_SRC_NAT_DONE], ["DST_NAT_DONE", IPS_DST_NAT_DONE],
  ["DYING", IPS_DYING], ["HELPER", IPS_HELPER], ["OFFLOAD", IPS_OFFLOAD],
];

const AF_INET6 = 10;

function tuple(view: DataView, record: number, offset: number, protocol: number): ConntrackTuple {
  const at = record + offset;
  const bytes = new Uint8Array(view.buffer, view.byteOffset);
  const addresses = record + CT_RECORD_ADDRESSES + (offset === CT_RECORD_ORIG ? 0 : 32);
  const six = view.getUint8(at + 15) === AF_INET6;
  const src = six ? formatIpv6(bytes, addresses) : formatIpv4(view.getUint32(at));
  const dst = six ? formatIpv6(bytes, addresses + 16) : formatIpv4(view.getUint32(at + 4));
  const sport = view.getUint16(at + 8);
  const dport = view.getUint16(at + 10);
  if (protocol === ICMP || protocol === ICMPV6) return { src, dst, icmpType: dport >> 8, icmpCode: dport & 255, icmpId: sport };
  return protocol === TCP || protocol === UDP || protocol === SCTP || protocol === UDPLITE ? { src, dst, sport, dport } : { src, dst };
}

function record(view: DataView, at: number): ConntrackRecord {
  const protocol = view.getUint8(at + CT_RECORD_ORIG + 14);
  const status = view.getUint32(at + 4, true);
  const state = view.getUint32(at + CT_RECORD_STATE, true) & 0xffffff;
  const helper = HELPERS[view.getUint8(at + CT_RECORD_STATE + 3)];
  const zone = view.getUint16(at + CT_RECORD_ORIG + 12, true);
  const timeoutMs = view.getUint32(at + 12, true);
  const stateName = protocol === TCP ? TCP_STATES[state] : protocol === SCTP ? SCTP_STATES[state] : undefined;
  return {
    id: view.getUint32(at, true),
    status,
    proto: NAMES[protocol] ?? protocol,
    ...(stateName === undefined ? {} : { state: stateName }),
    ...(helper === undefined ? {} : { helper }),
    timeoutMs,
    timeoutSeconds: Math.floor(timeoutMs / 1000),
    orig: tuple(view, at, CT_RECORD_ORIG, protocol),
    reply: tuple(view, at, CT_RECORD_REPLY, protocol),
    flags: FLAGS.filter(([, bit]) => status & bit).map(([name]) => name),
    mark: view.getUint32(at + 8, true),
    // A zone of one direction alone is not the connection's.
    zone: zone === view.getUint16(at + CT_RECORD_REPLY + 12, true) ? zone : 0,
    wscale: [view.getUint8(at + CT_RECORD_WSCALE), view.getUint8(at + CT_RECORD_WSCALE + 1)],
    tcpFlags: [view.getUint8(at + CT_RECORD_FLAGS), view.getUint8(at + CT_RECORD_FLAGS + 1)],
  };
}

/** All confirmed entries of the namespace `netns`, in the order of the table. */
export function listConntrack(context: NodeContext, netns: number): ConntrackRecord[] {
  const { instance } = context;
  const result: ConntrackRecord[] = [];
  for (let cursor = 0;;) {
    instance.view.setUint32(0, netns, true);
    instance.view.setUint32(4, cursor, true);
    const bytes = context.command(NF_CT_LIST, 8, "conntrack");
    cursor = instance.view.getUint32(0, true);
    for (let at = 8; at + CT_RECORD_BYTES <= bytes; at += CT_RECORD_BYTES) result.push(record(instance.view, at));
    if (cursor === 0) return result;
  }
}

/** Deletes the entries for which `filter` is true; returns how many. */
export function deleteConntrack(context: NodeContext, netns: number, filter: (entry: ConntrackEntry) => boolean): number {
  const { instance } = context;
  let deleted = 0;
  for (const entry of listConntrack(context, netns)) {
    if (!filter(entry)) continue;
    instance.view.setUint32(0, netns, true);
    instance.view.setUint32(4, entry.id, true);
    if (context.command(NF_CT_DELETE, 8, "conntrack", [ENOENT]) >= 0) deleted++;
  }
  return deleted;
}
