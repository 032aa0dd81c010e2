/** Packets for programs: a frame with whatever headers are asked for, lengths and checksums right. */

export interface PacketSpec {
  readonly ethernet?: { readonly source?: string; readonly destination?: string; readonly type?: number };
  /** 802.1Q tags, outermost first. */
  readonly vlans?: readonly number[];
  readonly ipv4?: { readonly source: string; readonly destination: string; readonly ttl?: number; readonly tos?: number; readonly id?: number; readonly protocol?: number };
  readonly ipv6?: { readonly source: string; readonly destination: string; readonly hopLimit?: number; readonly nextHeader?: number };
  readonly udp?: { readonly source: number; readonly destination: number };
  readonly tcp?: { readonly source: number; readonly destination: number; readonly flags?: readonly TcpFlag[]; readonly seq?: number; readonly ack?: number; readonly window?: number };
  readonly icmp?: { readonly type: number; readonly code?: number; readonly id?: number; readonly sequence?: number };
  readonly payload?: Uint8Array | string;
}

export type TcpFlag = "fin" | "syn" | "rst" | "psh" | "ack" | "urg" | "ece" | "cwr";

const FLAGS: readonly TcpFlag[] = ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"];
const TCP = 6, UDP = 17, ICMP = 1, ICMP6 = 58;

/** Builds a frame. Throws a RangeError for addresses that are none. */
export function packet(spec: PacketSpec): Uint8Array {
  const payload = typeof spec.payload === "string" ? new TextEncoder().encode(spec.payload) : (spec.payload ?? new Uint8Array(0));
  const transport = transportOf(spec, payload);
  const network = spec.ipv4 !== undefined ? ipv4(spec.ipv4, transport) : spec.ipv6 !== undefined ? ipv6(spec.ipv6, transport) : transport.bytes;
  const type = spec.ethernet?.type ?? (spec.ipv4 !== undefined ? 0x0800 : spec.ipv6 !== undefined ? 0x86dd : 0);
  const tags = (spec.vlans ?? []).flatMap((id) => [0x81, 0x00, id >> 8, id & 0xff]);
  return Uint8Array.from([
    ...mac(spec.ethernet?.destination ?? "02:00:00:00:01:02"), ...mac(spec.ethernet?.source ?? "02:00:00:00:00:02"), ...tags, type >> 8, type & 0xff, ...network,
  ]);
}

interface Transport {
  readonly bytes: Uint8Array;
  readonly protocol: number;
  /** Where the checksum over pseudo header and segment goes; -1: nowhere. */
  readonly checksum: number;
}

function transportOf({ udp, tcp, icmp, ipv4: v4, ipv6: v6 }: PacketSpec, payload: Uint8Array): Transport {
  const head = (bytes: readonly number[]): Uint8Array => Uint8Array.from([...bytes, ...payload]);
  if (udp !== undefined) return { bytes: head([...u16(udp.source), ...u16(udp.destination), ...u16(8 + payload.length), 0, 0]), protocol: UDP, checksum: 6 };
  if (tcp !== undefined) {
    const flags = (tcp.flags ?? ["syn"]).reduce((bits, flag) => bits | (1 << FLAGS.indexOf(flag)), 0);
    return {
      bytes: head([...u16(tcp.source), ...u16(tcp.destination), ...u32(tcp.seq ?? 0), ...u32(tcp.ack ?? 0), 0x50, flags, ...u16(tcp.window ?? 0xffff), 0, 0, 0, 0]),
      protocol: TCP, checksum: 16,
    };
  }
  if (icmp !== undefined) {
    const bytes = head([icmp.type, icmp.code ?? 0, 0, 0, ...u16(icmp.id ?? 0), ...u16(icmp.sequence ?? 0)]);
    if (v6 !== undefined) return { bytes, protocol: ICMP6, checksum: 2 };
    store16(bytes, 2, checksum(bytes));
    return { bytes, protocol: ICMP, checksum: -1 };
  }
  return { bytes: payload, protocol: v4?.protocol ?? v6?.nextHeader ?? 59, checksum: -1 };
}

function ipv4(spec: NonNullable<PacketSpec["ipv4"]>, { bytes, protocol, checksum: at }: Transport): Uint8Array {
  const source = address4(spec.source);
  const destination = address4(spec.destination);
  const header = Uint8Array.from([
    0x45, spec.tos ?? 0, ...u16(20 + bytes.length), ...u16(spec.id ?? 0), 0x40, 0, spec.ttl ?? 64, spec.protocol ?? protocol, 0, 0, ...source, ...destination,
  ]);
  store16(header, 10, checksum(header));
  seal(bytes, at, [...source, ...destination, 0, protocol, ...u16(bytes.length)], protocol);
  return Uint8Array.from([...header, ...bytes]);
}

function ipv6(spec: NonNullable<PacketSpec["ipv6"]>, { bytes, protocol, checksum: at }: Transport): Uint8Array {
  const source = address6(spec.source);
  const destination = address6(spec.destination);
  seal(bytes, at, [...source, ...destination, ...u32(bytes.length), 0, 0, 0, protocol], protocol);
  return Uint8Array.from([0x60, 0, 0, 0, ...u16(bytes.length), spec.nextHeader ?? protocol, spec.hopLimit ?? 64, ...source, ...destination, ...bytes]);
}

function seal(bytes: Uint8Array, at: number, pseudo: readonly number[], protocol: number): void {
  if (at < 0) return;
  const sum = checksum(Uint8Array.from([...pseudo, ...bytes]));
  // A UDP checksum of zero would mean that there is none.
  store16(bytes, at, sum === 0 && protocol === UDP ? 0xffff : sum);
}

function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at]! << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

const u16 = (value: number): number[] => [(value >> 8) & 0xff, value & 0xff];
const u32 = (value: number): number[] => [...u16(value >>> 16), ...u16(value)];
const store16 = (bytes: Uint8Array, at: number, value: number): void => bytes.set(u16(value), at);

function mac(text: string): number[] {
  const parts = text.split(":").map((part) => Number.parseInt(part, 16));
  if (parts.length !== 6 || parts.some((part) => !(part >= 0 && part <= 255))) throw new RangeError(`no MAC address: ${text}`);
  return parts;
}

function address4(text: string): number[] {
  const parts = text.split(".").map(Number);
  if (parts.length !== 4 || parts.some((part) => !(Number.isInteger(part) && part >= 0 && part <= 255))) throw new RangeError(`no IPv4 address: ${text}`);
  return parts;
}

function address6(text: string): number[] {
  const [head = "", tail] = text.split("::");
  const groups = (part: string): number[] => (part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16)));
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const missing = 8 - left.length - right.length;
  const all = tail === undefined ? left : [...left, ...new Array<number>(Math.max(0, missing)).fill(0), ...right];
  if (all.length !== 8 || all.some((group) => !(group >= 0 && group <= 0xffff))) throw new RangeError(`no IPv6 address: ${text}`);
  return all.flatMap(u16);
}
