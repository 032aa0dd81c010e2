/**
 * What a case with IPv6 adds (test/kernel/recorded/nf6/oracle6.py): addresses, routes, neighbours and rules of that family, text for
 * ip6tables, frames of IPv6. Results are written as that runner writes them.
 */
import { formatIpv6 } from "../kernel/address6.ts";
import { setIpv6 } from "../kernel/ipv6.ts";
import type { Netns } from "../kernel/netns.ts";
import type { OracleCase } from "./oracle-case.ts";
import { bytesHex } from "./packet.ts";

/** Does the case have to do with IPv6? */
export const hasIpv6 = (oracleCase: OracleCase): boolean =>
  oracleCase.ip6tables !== undefined || Object.values(oracleCase.interfaces).some(({ addr }) => addr?.some((cidr) => cidr.includes(":")) === true);

/** Before there are devices: IPv6 on, addresses only as given and at once. */
export function prepareIpv6(host: Netns): void {
  setIpv6(host, true);
  for (const [name, value] of [["default.disable_ipv6", 0], ["default.accept_dad", 0], ["default.addr_gen_mode", 1], ["default.accept_ra", 0],
    ["default.dad_transmits", 0], ["default.router_solicitations", 0],
    ["default.force_mld_version", 1], ["default.mldv1_unsolicited_report_interval", 1], ["default.mldv2_unsolicited_report_interval", 1], ["all.accept_dad", 0], ["all.accept_ra", 0], ["all.disable_ipv6", 0]] as const) {
    host.setSysctl(`net.ipv6.conf.${name}`, value);
  }
}

/** Behind addresses: this host forwards, and answers as often as it likes. */
export function forwardIpv6(host: Netns): void {
  host.setSysctl("net.ipv6.conf.all.forwarding", 1);
  host.setSysctl("net.ipv6.icmp.ratelimit", 0);
}

const HEADER = 40;
const ICMPV6 = 58;
const TCP = 6;
const UDP = 17;
const FRAGMENT = 44;
const AUTH = 51;
const EXTENSIONS = [0, 43, FRAGMENT, AUTH, 60];

/** The protocol behind all extension headers, where its header is, and whether the packet is a later fragment. */
function skipHeaders(ip: Uint8Array): { protocol: number; at: number; later: boolean } {
  let protocol = ip[6]!;
  let at = HEADER;
  while (EXTENSIONS.includes(protocol) && at + 8 <= ip.length) {
    if (protocol === FRAGMENT && (ip[at + 2]! << 8 | (ip[at + 3]! & 0xf8)) !== 0) return { protocol: ip[at]!, at: at + 8, later: true };
    const size = protocol === FRAGMENT ? 8 : protocol === AUTH ? (ip[at + 1]! + 2) * 4 : (ip[at + 1]! + 1) * 8;
    protocol = ip[at]!;
    at += size;
  }
  return { protocol, at, later: false };
}

/** Neighbour discovery and group membership, which a host says by itself. */
export function isNdp(ip: Uint8Array): boolean {
  const { protocol, at, later } = skipHeaders(ip);
  const type = ip[at] ?? 0;
  return protocol === ICMPV6 && !later && ((type >= 130 && type <= 137) || type === 143);
}

/** Byte ranges whose value is chance: see any6 of oracle6.py. */
function chance(ip: Uint8Array, oracleCase: OracleCase): [number, number][] {
  const ranges: [number, number][] = [];
  const { protocol, at, later } = skipHeaders(ip);
  const any = oracleCase.any_port;
  if (any !== undefined && (protocol === TCP || protocol === UDP) && !later && ip.length >= at + 8) {
    for (const [offset, where] of [[0, 8], [2, 24]] as const) {
      const port = (ip[at + offset]! << 8) | ip[at + offset + 1]!;
      if (formatIpv6(ip, where) !== any.addr || (oracleCase.known_ports ?? []).includes(port)) continue;
      ranges.push([at + offset, at + offset + 2], protocol === TCP ? [at + 16, at + 18] : [at + 6, at + 8]);
    }
  }
  const label = ((ip[1]! & 15) << 16) | (ip[2]! << 8) | ip[3]!;
  if (protocol === ICMPV6 && ip.length > at && (ip[at]! < 128 || ip[at] === 129) && label !== 0) ranges.push([1, 4]);
  if (ip[6] === FRAGMENT && ip.length >= 48 && (ip[44]! | ip[45]! | ip[46]!) !== 0) ranges.push([44, 48]);
  return ranges.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
}

/** An entry of `out` for an Ethernet frame that carries IPv6. */
export function frame6(pkt: number, dev: string, bytes: Uint8Array, oracleCase: OracleCase): Record<string, unknown> {
  const ranges = chance(bytes.subarray(14), oracleCase).map(([from, to]) => [from + 14, to + 14] as const);
  if (ranges.length === 0) return { pkt, dev, frame: bytesHex(bytes) };
  const copy = bytes.slice();
  for (const [from, to] of ranges) copy.fill(0, from, to);
  return { pkt, dev, frame: bytesHex(copy), any: ranges.map(([from, to]) => [from, to]) };
}

/** An entry of `local_in`, or undefined for what is not told: the fixed header without its flow label, and what is behind all others. */
export function delivered6(pkt: number, bytes: Uint8Array, oracleCase: OracleCase): Record<string, unknown> | undefined {
  const { protocol, at } = skipHeaders(bytes);
  if (![ICMPV6, TCP, UDP].includes(protocol) || (isNdp(bytes) && !oracleCase.keep_ndp)) return undefined;
  const length = bytes.length - at;
  const packet = new Uint8Array(HEADER + length);
  packet.set(bytes.subarray(0, HEADER));
  packet.set(bytes.subarray(at), HEADER);
  packet[1]! &= 0xf0;
  packet.fill(0, 2, 4);
  packet[4] = length >> 8;
  packet[5] = length & 255;
  packet[6] = protocol;
  const ranges = chance(packet, oracleCase);
  return { pkt, packet: bytesHex(packet), ...(ranges.length === 0 ? {} : { any: ranges }) };
}
