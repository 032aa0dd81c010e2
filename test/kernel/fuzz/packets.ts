/** Packets as bytes: built with right checksums and lengths, read back from frames, and spoilt. */

export type Bytes = Uint8Array;

export const ICMP = 1;
export const TCP = 6;
export const UDP = 17;
export const SCTP = 132;
export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;

export const parseIp = (text: string): number[] => text.split(".").map(Number);
export const formatIp = (bytes: Bytes, at: number): string => `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
export const parseMac = (text: string): number[] => text.split(":").map((word) => parseInt(word, 16));
export const formatMac = (bytes: Bytes, at: number): string =>
  Array.from(bytes.subarray(at, at + 6), (byte) => byte.toString(16).padStart(2, "0")).join(":");
export const toHex = (bytes: Bytes): string => Buffer.from(bytes).toString("hex");
export const fromHex = (text: string): Bytes => Uint8Array.from(Buffer.from(text, "hex"));
export const be16 = (bytes: Bytes, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
export const be32 = (bytes: Bytes, at: number): number => (be16(bytes, at) * 65536 + be16(bytes, at + 2)) >>> 0;
export function put16(bytes: Bytes, at: number, value: number): void {
  bytes[at] = (value >>> 8) & 255;
  bytes[at + 1] = value & 255;
}
export function put32(bytes: Bytes, at: number, value: number): void {
  put16(bytes, at, value >>> 16);
  put16(bytes, at + 2, value);
}

/** RFC 1071. */
export function checksum(bytes: Bytes, from: number, to: number, start = 0): number {
  let sum = start;
  for (let i = from; i < to; i += 2) sum += i + 1 < to ? be16(bytes, i) : bytes[i]! << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

export interface IpFields {
  readonly src: string;
  readonly dst: string;
  readonly protocol: number;
  readonly id: number;
  readonly ttl?: number;
  readonly tos?: number;
  /** Flags and offset. */
  readonly frag?: number;
  readonly options?: readonly number[];
}

/** Sums the header anew. */
export function fixHeader(packet: Bytes): void {
  const length = Math.min((packet[0]! & 15) * 4, packet.length);
  if (length < 20) return;
  put16(packet, 10, 0);
  put16(packet, 10, checksum(packet, 0, length));
}

export function ipPacket(fields: IpFields, payload: Bytes): Bytes {
  const options = fields.options ?? [];
  const header = 20 + ((options.length + 3) & ~3);
  const packet = new Uint8Array(header + payload.length);
  packet[0] = 0x40 | (header >> 2);
  packet[1] = fields.tos ?? 0;
  put16(packet, 2, packet.length);
  put16(packet, 4, fields.id);
  put16(packet, 6, fields.frag ?? 0);
  packet[8] = fields.ttl ?? 63;
  packet[9] = fields.protocol;
  packet.set(parseIp(fields.src), 12);
  packet.set(parseIp(fields.dst), 16);
  packet.set(options, 20);
  packet.set(payload, header);
  fixHeader(packet);
  return packet;
}

/** The L4 checksum of an unfragmented packet, put where it belongs. */
export function fixL4(packet: Bytes): void {
  const header = (packet[0]! & 15) * 4;
  const end = Math.min(be16(packet, 2), packet.length);
  const protocol = packet[9];
  const at = header + (protocol === TCP ? 16 : protocol === UDP ? 6 : 2);
  if ((protocol !== TCP && protocol !== UDP && protocol !== ICMP) || at + 2 > end) return;
  put16(packet, at, 0);
  const pseudo = protocol === ICMP ? 0 : [12, 14, 16, 18].reduce((sum, i) => sum + be16(packet, i), protocol + end - header);
  const sum = checksum(packet, header, end, pseudo);
  put16(packet, at, sum === 0 && protocol === UDP ? 0xffff : sum);
}

export interface TcpFields {
  readonly sport: number;
  readonly dport: number;
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  readonly window?: number;
  readonly options?: readonly number[];
  readonly data?: Bytes;
}

export function tcpSegment(fields: TcpFields): Bytes {
  const options = fields.options ?? [];
  const header = 20 + ((options.length + 3) & ~3);
  const data = fields.data ?? new Uint8Array(0);
  const segment = new Uint8Array(header + data.length);
  put16(segment, 0, fields.sport);
  put16(segment, 2, fields.dport);
  put32(segment, 4, fields.seq);
  put32(segment, 8, fields.ack);
  segment[12] = (header >> 2) << 4;
  segment[13] = fields.flags;
  put16(segment, 14, fields.window ?? 8192);
  segment.set(options, 20);
  segment.set(data, header);
  return segment;
}

export function udpDatagram(sport: number, dport: number, data: Bytes): Bytes {
  const datagram = new Uint8Array(8 + data.length);
  put16(datagram, 0, sport);
  put16(datagram, 2, dport);
  put16(datagram, 4, datagram.length);
  datagram.set(data, 8);
  return datagram;
}

/** CRC-32C (RFC 4960 appendix B). */
function crc32c(bytes: Bytes): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0x82f63b78 & -(crc & 1));
  }
  return ~crc >>> 0;
}

export function sctpPacket(sport: number, dport: number, tag: number, chunks: Bytes): Bytes {
  const packet = new Uint8Array(12 + chunks.length);
  put16(packet, 0, sport);
  put16(packet, 2, dport);
  put32(packet, 4, tag);
  packet.set(chunks, 12);
  new DataView(packet.buffer).setUint32(8, crc32c(packet), true);
  return packet;
}

/** Padded to four bytes. */
export function sctpChunk(type: number, flags: number, body: Bytes): Bytes {
  const chunk = new Uint8Array((4 + body.length + 3) & ~3);
  chunk[0] = type;
  chunk[1] = flags;
  put16(chunk, 2, 4 + body.length);
  chunk.set(body, 4);
  return chunk;
}

/** Of an INIT or INIT ACK: tag, window, streams out and in, first TSN. */
export function initBody(tag: number): Bytes {
  const body = new Uint8Array(16);
  put32(body, 0, tag);
  put32(body, 4, 65535);
  put16(body, 8, 1);
  put16(body, 10, 1);
  put32(body, 12, 1);
  return body;
}

export function joined(parts: readonly Bytes[]): Bytes {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

export function icmpMessage(type: number, code: number, rest: number, data: Bytes): Bytes {
  const message = new Uint8Array(8 + data.length);
  message[0] = type;
  message[1] = code;
  put32(message, 4, rest);
  message.set(data, 8);
  return message;
}

export function ethernet(dst: string, src: string, type: number, payload: Bytes, pad = 0): Bytes {
  const frame = new Uint8Array(14 + payload.length + pad);
  frame.set(parseMac(dst), 0);
  frame.set(parseMac(src), 6);
  put16(frame, 12, type);
  frame.set(payload, 14);
  return frame;
}

/** The fragments of a packet, `size` bytes of payload each (a multiple of 8), in order. */
export function fragments(packet: Bytes, size: number): Bytes[] {
  const header = (packet[0]! & 15) * 4;
  const payload = packet.subarray(header, be16(packet, 2));
  const all: Bytes[] = [];
  for (let at = 0; at < payload.length; at += size) {
    const part = payload.subarray(at, at + size);
    const fragment = new Uint8Array(header + part.length);
    fragment.set(packet.subarray(0, header));
    fragment.set(part, header);
    put16(fragment, 2, fragment.length);
    put16(fragment, 6, (be16(packet, 6) & 0x4000) | (at >> 3) | (at + size < payload.length ? 0x2000 : 0));
    fixHeader(fragment);
    all.push(fragment);
  }
  return all;
}
