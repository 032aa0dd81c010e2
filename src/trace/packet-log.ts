/**
 * Packets as the kernel's log words them: what `-j LOG` and `-j TRACE` print behind their prefix (net/netfilter/nf_log_syslog.c,
 * dump_ipv4_packet and nf_log_ip_packet).
 */
import { formatIpv4 } from "../kernel/address.ts";

/** NF_LOG_* of include/net/netfilter/nf_log.h. */
export interface LogFlags {
  readonly tcpSequence?: boolean;
  readonly tcpOptions?: boolean;
  readonly ipOptions?: boolean;
}

export interface LoggedPacket {
  /** Names of the devices, "" for none. */
  readonly in: string;
  readonly out: string;
  /** The Ethernet header that the packet came with; absent for packets that were made here. */
  readonly ethernet?: Uint8Array;
  /** From the IPv4 header on. */
  readonly ip: Uint8Array;
  readonly mark?: number;
}

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, "0");
const upper = (value: number, digits: number): string => hex(value, digits).toUpperCase();
const be16 = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!;
const be32 = (bytes: Uint8Array, at: number): number => ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | be16(bytes, at + 2)) >>> 0;
const octets = (bytes: Uint8Array, separator: string): string => Array.from(bytes, (byte) => hex(byte, 2)).join(separator);

/** `IN=eth0 OUT= MAC=… SRC=… ` with all that follows, a space at the end as the kernel leaves it. */
export function packetLog({ in: from, out, ethernet, ip, mark = 0 }: LoggedPacket, flags: LogFlags): string {
  const mac = from === "" ? "" : `MAC=${ethernet === undefined ? "" : octets(ethernet.subarray(0, 14), ":")} `;
  return `IN=${from} OUT=${out} ${mac}${ipv4(ip, flags, 0)}${mark === 0 ? "" : `MARK=0x${mark.toString(16)} `}`;
}

const TCP_FLAGS = ["CWR", "ECE", "URG", "ACK", "PSH", "RST", "SYN", "FIN"] as const;
const IP_CE = 0x8000;
const IP_DF = 0x4000;
const IP_MF = 0x2000;
const IP_OFFSET = 0x1fff;

function ipv4(ip: Uint8Array, flags: LogFlags, depth: number): string {
  if (ip.length < 20) return "TRUNCATED";
  const header = (ip[0]! & 15) * 4;
  const fragment = be16(ip, 6);
  let text = `SRC=${formatIpv4(be32(ip, 12))} DST=${formatIpv4(be32(ip, 16))} LEN=${be16(ip, 2)} TOS=0x${upper(ip[1]! & 0x1e, 2)} ` +
    `PREC=0x${upper(ip[1]! & 0xe0, 2)} TTL=${ip[8]} ID=${be16(ip, 4)} `;
  if (fragment & IP_CE) text += "CE ";
  if (fragment & IP_DF) text += "DF ";
  if (fragment & IP_MF) text += "MF ";
  if (fragment & IP_OFFSET) text += `FRAG:${fragment & IP_OFFSET} `;
  if (flags.ipOptions === true && header > 20) {
    if (ip.length < header) return `${text}TRUNCATED`;
    text += `OPT (${upperHex(ip.subarray(20, header))}) `;
  }
  const first = (fragment & IP_OFFSET) === 0;
  const l4 = ip.subarray(header);
  switch (ip[9]) {
    case 6:
      return `${text}PROTO=TCP ${first ? tcp(l4, flags) : ""}`;
    case 17:
    case 136: {
      const name = ip[9] === 17 ? "UDP" : "UDPLITE";
      if (!first) return `${text}PROTO=${name} `;
      if (l4.length < 8) return `${text}PROTO=${name} INCOMPLETE [${l4.length} bytes] `;
      return `${text}PROTO=${name} SPT=${be16(l4, 0)} DPT=${be16(l4, 2)} LEN=${be16(l4, 4)} `;
    }
    case 1:
      return `${text}PROTO=ICMP ${first ? icmp(l4, flags, depth) : ""}`;
    case 50:
    case 51: {
      const [name, at, least] = ip[9] === 50 ? (["ESP", 0, 8] as const) : (["AH", 4, 12] as const);
      if (!first) return `${text}PROTO=${name} `;
      if (l4.length < least) return `${text}PROTO=${name} INCOMPLETE [${l4.length} bytes] `;
      return `${text}PROTO=${name} SPI=0x${be32(l4, at).toString(16)} `;
    }
    default:
      return `${text}PROTO=${ip[9]} `;
  }
}

function tcp(l4: Uint8Array, flags: LogFlags): string {
  if (l4.length < 20) return `INCOMPLETE [${l4.length} bytes] `;
  let text = `SPT=${be16(l4, 0)} DPT=${be16(l4, 2)} `;
  if (flags.tcpSequence === true) text += `SEQ=${be32(l4, 4)} ACK=${be32(l4, 8)} `;
  text += `WINDOW=${be16(l4, 14)} RES=0x${hex((l4[12]! & 15) << 2, 2)} `;
  TCP_FLAGS.forEach((name, i) => {
    if (l4[13]! & (0x80 >> i)) text += `${name} `;
  });
  text += `URGP=${be16(l4, 18)} `;
  const header = (l4[12]! >> 4) * 4;
  if (flags.tcpOptions === true && header > 20 && l4.length >= header) text += `OPT (${upperHex(l4.subarray(20, header))}) `;
  return text;
}

const upperHex = (bytes: Uint8Array): string => octets(bytes, "").toUpperCase();

const ECHO = [0, 8, 13, 14];
/** Least length by type, from the ICMP header on (icmp_log of nf_log_syslog.c). */
const QUOTING = [3, 4, 5, 11, 12];

function icmp(l4: Uint8Array, flags: LogFlags, depth: number): string {
  if (l4.length < 8) return `INCOMPLETE [${l4.length} bytes] `;
  const [type = 0, code = 0] = l4;
  let text = `TYPE=${type} CODE=${code} `;
  if (ECHO.includes(type)) return `${text}ID=${be16(l4, 4)} SEQ=${be16(l4, 6)} `;
  if (!QUOTING.includes(type)) return text;
  if (type === 12) text += `PARAMETER=${l4[4]} `;
  if (type === 5) text += `GATEWAY=${formatIpv4(be32(l4, 4))} `;
  if (depth === 0) text += `[${ipv4(l4.subarray(8), flags, 1)}] `;
  if (type === 3 && code === 4) text += `MTU=${be16(l4, 6)} `;
  return text;
}
