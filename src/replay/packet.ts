/**
 * What of a packet a result shows: fields that a kernel chooses at random are set to fixed values and named in `any`
 * (../shared/oracle/FORMAT.md, "What is random in the kernel and how it is normalised").
 */
import { formatIpv4, parseIpv4 } from "../kernel/address.ts";
import type { OracleCase, OraclePacket } from "./oracle-case.ts";

export const hexBytes = (text: string): Uint8Array => {
  const bytes = new Uint8Array(text.length >> 1);
  for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
};
export const bytesHex = (bytes: Uint8Array): string => {
  let text = "";
  for (const byte of bytes) text += (byte < 16 ? "0" : "") + byte.toString(16);
  return text;
};

const be16 = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
const be32 = (bytes: Uint8Array, at: number): number => (be16(bytes, at) * 65536 + be16(bytes, at + 2)) >>> 0;

/** RFC 1071 over `bytes` from `from` to `to`, beginning with `sum`. */
function checksum(bytes: Uint8Array, from: number, to: number, sum = 0): number {
  let total = sum;
  for (let i = from; i < to; i += 2) total += i + 1 < to ? be16(bytes, i) : (bytes[i] ?? 0) << 8;
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return ~total & 0xffff;
}

function fixHeader(ip: Uint8Array, header: number): void {
  ip[10] = 0;
  ip[11] = 0;
  const sum = checksum(ip, 0, header);
  ip[10] = sum >> 8;
  ip[11] = sum & 255;
}

type Span = [number, number];

interface Normal {
  readonly any: Span[];
  readonly info: Record<string, unknown>;
}

const ICMP = 1;
const TCP = 6;
const UDP = 17;
const EPHEMERAL: Span = [32768, 60999];

/** Normalises the packets of one case. */
export class Normaliser {
  readonly #case: OracleCase;
  readonly #local = new Set<number>();
  readonly #vxlanPorts = new Set<number>();
  /** Injected packets by IP id. */
  readonly #ids = new Map<number, number[]>();
  readonly #ports = new Set<number>();

  constructor(oracleCase: OracleCase) {
    this.#case = oracleCase;
    for (const link of Object.values(oracleCase.interfaces)) {
      for (const cidr of link.addr ?? []) this.#local.add(parseIpv4(cidr.split("/")[0]!) ?? 0);
      if (link.kind === "vxlan") this.#vxlanPorts.add(link.dstport ?? 4789);
    }
    for (const packet of oracleCase.packets) this.#note(packet);
    for (const port of oracleCase.known_ports ?? []) this.#ports.add(port);
  }

  #note(packet: OraclePacket): void {
    const frame = hexBytes(packet.frame);
    const type = be16(frame, 12);
    const ip = packet.in === "local" ? frame : type === 0x0800 ? frame.subarray(14) : type === 0x8100 ? frame.subarray(18) : frame.subarray(frame.length);
    const seen = (bytes: Uint8Array): void => {
      const id = be16(bytes, 4);
      this.#ids.set(id, [...(this.#ids.get(id) ?? []), bytes[8]!]);
    };
    if (ip.length < 20) return;
    seen(ip);
    const header = (ip[0]! & 15) * 4;
    const inner = header + 8 + 8 + 14;
    if (ip[9] === UDP && this.#vxlanPorts.size > 0 && ip.length >= inner + 20 && be16(ip, inner - 2) === 0x0800) seen(ip.subarray(inner));
    if (ip.length >= 24 && (ip[9] === TCP || ip[9] === UDP) && ip.length >= header + 4) {
      this.#ports.add(be16(ip, header));
      this.#ports.add(be16(ip, header + 2));
    }
  }

  /** A frame that left the router. */
  frame(pkt: number, dev: string, bytes: Uint8Array): Record<string, unknown> {
    const frame = bytes.slice();
    if (be16(frame, 12) !== 0x0800) return { pkt, dev, frame: bytesHex(frame) };
    const { any, info } = this.#ip(frame.subarray(14), 0);
    const shifted = any.map(([a, b]): Span => [a + 14, b + 14]).sort((x, y) => x[0] - y[0]);
    return { pkt, dev, frame: bytesHex(frame), ...(any.length > 0 ? { any: shifted } : {}), ...info };
  }

  /** A packet that was delivered to the router. */
  packet(pkt: number, bytes: Uint8Array): Record<string, unknown> {
    const ip = bytes.slice();
    const { any, info } = this.#ip(ip, 0);
    any.sort((x, y) => x[0] - y[0]);
    return { pkt, packet: bytesHex(ip), ...(any.length > 0 ? { any } : {}), ...info };
  }

  /** Did the router make this packet, and choose its id? */
  #locallyMade(ip: Uint8Array): boolean {
    const same = this.#ids.get(be16(ip, 4));
    if (same !== undefined && !(ip[8] === 64 && same.every((ttl) => ttl !== 64 && ttl !== 65))) return false;
    return ip[9] === TCP ? be16(ip, 4) !== 0 : true;
  }

  #ip(ip: Uint8Array, depth: number): Normal {
    const any: Span[] = [];
    const info: Record<string, unknown> = {};
    if (ip.length < 20 || ip[0]! >> 4 !== 4) return { any, info };
    const header = (ip[0]! & 15) * 4;
    const total = be16(ip, 2);
    const bad: string[] = [];
    if (checksum(ip, 0, header) !== 0) bad.push("ip");
    const fragment = be16(ip, 6);
    const whole = (fragment & 0x3fff) === 0;
    const end = Math.min(total, ip.length);
    const room = Math.max(0, end - header);
    const protocol = ip[9]!;
    if (whole && (protocol === TCP || protocol === UDP) && room >= 8) {
      const pseudo = be16(ip, 12) + be16(ip, 14) + be16(ip, 16) + be16(ip, 18) + protocol + room;
      const none = protocol === UDP && be16(ip, header + 6) === 0;
      if (!none && checksum(ip, header, end, pseudo) !== 0) bad.push("l4");
    } else if (whole && protocol === ICMP && checksum(ip, header, end) !== 0) bad.push("l4");
    if (bad.length > 0) info["bad_csum"] = bad;
    if (ip.length > total) info["trailer"] = ip.length - total;
    if (this.#locallyMade(ip)) {
      if (be16(ip, 4) !== 0) {
        ip[4] = 0;
        ip[5] = 0;
        if (!bad.includes("ip")) fixHeader(ip, header);
      }
      any.push([4, 6], [10, 12]);
    }
    if (protocol === UDP && whole && this.#vxlanPorts.has(be16(ip, header + 2)) && this.#local.has(be32(ip, 12)) && room > 30) {
      this.#vxlan(ip, header, any, info, depth);
    }
    this.#listener(ip, header, whole, room, any);
    this.#anyPort(ip, header, fragment, room, bad, any, info);
    return { any, info };
  }

  #vxlan(ip: Uint8Array, header: number, any: Span[], info: Record<string, unknown>, depth: number): void {
    const port = be16(ip, header);
    info["vxlan_sport_range_ok"] = port >= EPHEMERAL[0] && port <= EPHEMERAL[1];
    ip.fill(0, header, header + 2);
    any.push([header, header + 2]);
    if (be16(ip, header + 6) !== 0) {
      ip.fill(0, header + 6, header + 8);
      any.push([header + 6, header + 8]);
      info["outer_udp_csum"] = true;
    }
    if (depth > 0) return;
    const inner = header + 30;
    for (const [a, b] of this.#ip(ip.subarray(inner), depth + 1).any) any.push([a + inner, b + inner]);
  }

  /** The sequence number of a listener's SYN-ACK. */
  #listener(ip: Uint8Array, header: number, whole: boolean, room: number, any: Span[]): void {
    const listeners = this.#case.tcp_listen;
    if (listeners === undefined || ip[9] !== TCP || !whole || room < 20 || (ip[header + 13]! & 0x3f) !== 0x12) return;
    if (ip[8] !== 64 && ip[8] !== 63) return;
    const ports = [...listeners.map(({ port }) => port), ...(this.#case.tcp_listen_as ?? [])];
    if (!ports.includes(be16(ip, header))) return;
    ip.fill(0, header + 4, header + 8);
    ip.fill(0, header + 16, header + 18);
    any.push([header + 4, header + 8], [header + 16, header + 18]);
  }

  /** Ports that NAT chose at random. */
  #anyPort(ip: Uint8Array, header: number, fragment: number, room: number, bad: string[], any: Span[], info: Record<string, unknown>): void {
    const ap = this.#case.any_port;
    if (ap === undefined || (ip[9] !== TCP && ip[9] !== UDP) || fragment & 0x1fff || room < 8) return;
    for (const [offset, address] of [[0, 12], [2, 16]] as const) {
      const port = be16(ip, header + offset);
      if (formatIpv4(be32(ip, address)) !== ap.addr || this.#ports.has(port)) continue;
      info["any_port_in_range"] = port >= ap.range[0] && port <= ap.range[1];
      ip.fill(0, header + offset, header + offset + 2);
      any.push([header + offset, header + offset + 2]);
      const sum = header + (ip[9] === TCP ? 16 : 6);
      if (ip.length >= sum + 2 && !bad.includes("l4")) {
        ip.fill(0, sum, sum + 2);
        any.push([sum, sum + 2]);
      }
    }
  }

  /** Ports of a tuple that are as the kernel chose them. */
  conntrackTuple(tuple: Record<string, unknown>): void {
    const ap = this.#case.any_port;
    if (ap === undefined) return;
    for (const [address, port] of [["src", "sport"], ["dst", "dport"]] as const) {
      if (tuple[address] === ap.addr && typeof tuple[port] === "number" && !this.#ports.has(tuple[port])) tuple[port] = "any";
    }
  }

  /** Is this the outer connection of a tunnel of ours? */
  isTunnel(tuple: Record<string, unknown>): boolean {
    return this.#vxlanPorts.has(tuple["dport"] as number) && this.#local.has(parseIpv4(String(tuple["src"])) ?? -1);
  }
}
