/** TCP, UDP and ICMP packets by hand: what a peer that follows no rules sends, and what hosts answer, as text. */
import { hostAddress } from "./hosts.ts";

const ip = (text: string): number[] => text.split(".").map(Number);

const sum16 = (bytes: Uint8Array, start = 0): number => {
  let sum = start;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i]! << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
};

export interface Segment {
  /** Letters of SFRPAU. */
  readonly flags: string;
  readonly seq: number;
  readonly ack?: number;
  readonly win?: number;
  readonly sport?: number;
  readonly dport?: number;
  readonly options?: readonly number[];
  readonly data?: Uint8Array;
  /** Added to the right checksum. */
  readonly spoil?: number;
  readonly from?: number;
  readonly to?: number;
}

const FLAGS = "FSRPAUEC";

const frameOf = (protocol: number, from: number, to: number, payload: Uint8Array): Uint8Array => {
  const frame = new Uint8Array(34 + payload.length);
  frame.set([2, 0, 0, 0, 0, to + 1, 2, 0, 0, 0, 0, from + 1, 8, 0], 0);
  const length = 20 + payload.length;
  const header = [0x45, 0, length >> 8, length & 255, 0x12, 0x34, 0x40, 0, 64, protocol, 0, 0,
    ...ip(hostAddress(from)), ...ip(hostAddress(to))];
  frame.set(header, 14);
  const check = ~sum16(frame.subarray(14, 34)) & 0xffff;
  frame[24] = check >> 8;
  frame[25] = check & 255;
  frame.set(payload, 34);
  return frame;
};

const pseudo = (protocol: number, from: number, to: number, length: number): number =>
  sum16(new Uint8Array([...ip(hostAddress(from)), ...ip(hostAddress(to)), 0, protocol, length >> 8, length & 255]));

/** An Ethernet frame with this segment, from host 1 to host 0 unless it says otherwise. */
export function tcpFrame(segment: Segment): Uint8Array {
  const { flags, seq, ack = 0, win = 64240, sport = 1000, dport = 80, options = [], data, spoil = 0, from = 1, to = 0 } = segment;
  const padded = [...options];
  while (padded.length % 4 !== 0) padded.push(0);
  const header = 20 + padded.length;
  const bytes = new Uint8Array(header + (data?.length ?? 0));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, sport);
  view.setUint16(2, dport);
  view.setUint32(4, seq);
  view.setUint32(8, ack);
  bytes[12] = header << 2;
  for (const letter of flags) bytes[13]! |= 1 << FLAGS.indexOf(letter);
  view.setUint16(14, win);
  bytes.set(padded, 20);
  if (data !== undefined) bytes.set(data, header);
  view.setUint16(16, (~sum16(bytes, pseudo(6, from, to, bytes.length)) & 0xffff) + spoil);
  return frameOf(6, from, to, bytes);
}

/** A UDP datagram; `checksum` 0: none. */
export function udpFrame(sport: number, dport: number, data: Uint8Array, checksum?: number, from = 1, to = 0): Uint8Array {
  const bytes = new Uint8Array(8 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, sport);
  view.setUint16(2, dport);
  view.setUint16(4, bytes.length);
  bytes.set(data, 8);
  const right = ~sum16(bytes, pseudo(17, from, to, bytes.length)) & 0xffff;
  view.setUint16(6, checksum ?? (right === 0 ? 0xffff : right));
  return frameOf(17, from, to, bytes);
}

/** An ICMP error about a packet that a host sent (Ethernet frame of it). */
export function icmpError(type: number, code: number, info: number, about: Uint8Array, from = 1, to = 0): Uint8Array {
  const quoted = about.subarray(14, 14 + 28);
  const bytes = new Uint8Array(8 + quoted.length);
  bytes[0] = type;
  bytes[1] = code;
  new DataView(bytes.buffer).setUint32(4, info);
  bytes.set(quoted, 8);
  const check = ~sum16(bytes) & 0xffff;
  bytes[2] = check >> 8;
  bytes[3] = check & 255;
  return frameOf(1, from, to, bytes);
}

export const isTcp = (frame: Uint8Array): boolean => frame[12] === 8 && frame[13] === 0 && frame[23] === 6;

/** Fields of a TCP frame, and whether its checksums are right. */
export function readTcp(frame: Uint8Array): {
  flags: string; seq: number; ack: number; win: number; sport: number; dport: number; options: Uint8Array; data: Uint8Array;
  id: number; df: boolean; ttl: number; valid: boolean;
} {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const length = view.getUint16(16);
  const tcp = frame.subarray(34, 14 + length);
  const th = new DataView(tcp.buffer, tcp.byteOffset, tcp.byteLength);
  const header = (tcp[12]! >> 4) * 4;
  const pseudoHeader = new Uint8Array([...frame.subarray(26, 34), 0, 6, tcp.length >> 8, tcp.length & 255]);
  return {
    flags: [...FLAGS].filter((_, bit) => (tcp[13]! >> bit) & 1).join(""),
    seq: th.getUint32(4), ack: th.getUint32(8), win: th.getUint16(14),
    sport: th.getUint16(0), dport: th.getUint16(2),
    options: tcp.subarray(20, header), data: tcp.subarray(header),
    id: view.getUint16(18), df: (frame[20]! & 0x40) !== 0, ttl: frame[22]!,
    valid: sum16(frame.subarray(14, 34)) === 0xffff && sum16(tcp, sum16(pseudoHeader)) === 0xffff,
  };
}

/** Options as tcpdump words them; timestamps without their values, which are of the host's own making. */
export function optionsText(options: Uint8Array, isn: number): string {
  const view = new DataView(options.buffer, options.byteOffset, options.byteLength);
  const words: string[] = [];
  for (let at = 0; at < options.length;) {
    const kind = options[at]!;
    if (kind === 0) {
      words.push("eol");
      break;
    }
    if (kind === 1) {
      words.push("nop");
      at++;
      continue;
    }
    const size = options[at + 1]!;
    if (kind === 2) words.push(`mss ${view.getUint16(at + 2)}`);
    else if (kind === 3) words.push(`wscale ${options[at + 2]}`);
    else if (kind === 4) words.push("sackOK");
    else if (kind === 8) words.push(`TS ecr ${view.getUint32(at + 6)}`);
    else if (kind === 5) {
      const blocks: string[] = [];
      for (let b = at + 2; b < at + size; b += 8) {
        blocks.push(`${(view.getUint32(b) - isn) >>> 0}:${(view.getUint32(b + 4) - isn) >>> 0}`);
      }
      words.push(`sack ${blocks.join(" ")}`);
    } else words.push(`opt ${kind}`);
    at += size;
  }
  return words.join(",");
}

export const option = {
  mss: (value: number): number[] => [2, 4, value >> 8, value & 255],
  sackOk: [4, 2],
  timestamp: (value: number, echo: number): number[] => {
    const bytes = new Uint8Array(10);
    bytes.set([8, 10]);
    const view = new DataView(bytes.buffer);
    view.setUint32(2, value);
    view.setUint32(6, echo);
    return [...bytes];
  },
  nop: [1],
  wscale: (shift: number): number[] => [3, 3, shift],
  sack: (...blocks: readonly (readonly [number, number])[]): number[] => {
    const bytes = new Uint8Array(2 + 8 * blocks.length);
    bytes.set([5, bytes.length]);
    const view = new DataView(bytes.buffer);
    blocks.forEach(([start, end], index) => {
      view.setUint32(2 + 8 * index, start);
      view.setUint32(6 + 8 * index, end);
    });
    return [...bytes];
  },
};
