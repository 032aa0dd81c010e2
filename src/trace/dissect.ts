/**
 * Frames in words: enough of Ethernet, ARP, IPv4, ICMP, UDP, TCP, VXLAN, DNS and HTTP to tell a person what a packet is. Bytes
 * may be anything: what cannot be read is said to be so, nothing throws.
 */
import { decode as decodeMessage, DnsError, rcodeName, recordType, typeName, type Message } from "../dns/message.ts";
import { formatIpv4, formatMac } from "../kernel/address.ts";

export interface Dissection {
  readonly ethertype: number;
  readonly sourceMac: string;
  readonly destinationMac: string;
  readonly arp?: { readonly operation: number; readonly sender: string; readonly senderMac: string; readonly target: string };
  readonly ip?: {
    readonly source: string; readonly destination: string; readonly protocol: number; readonly ttl: number; readonly id: number;
    readonly length: number;
  };
  readonly icmp?: { readonly type: number; readonly code: number };
  readonly udp?: { readonly sourcePort: number; readonly destinationPort: number };
  readonly tcp?: {
    readonly sourcePort: number; readonly destinationPort: number; readonly sequence: number; readonly acknowledgment: number;
    readonly flags: number; readonly window: number;
  };
  readonly vxlan?: { readonly vni: number; readonly inner: Dissection };
  readonly dns?: Message;
  /** What the innermost header that was understood carries. */
  readonly payload: Uint8Array;
}

const ETHERNET = 14;
const VXLAN_PORTS: readonly number[] = [8472, 4789];
const DNS_PORT = 53;

/** Takes a frame apart, from its Ethernet header on; undefined when it is shorter than that header. */
export const dissect = (frame: Uint8Array): Dissection | undefined => {
  if (frame.length < ETHERNET) return undefined;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const ethertype = view.getUint16(12);
  const base = { ethertype, sourceMac: formatMac(frame, 6), destinationMac: formatMac(frame, 0), payload: frame.subarray(ETHERNET) };
  if (ethertype === 0x0806 && frame.length >= ETHERNET + 28) {
    const p = ETHERNET;
    return { ...base, arp: {
      operation: view.getUint16(p + 6), senderMac: formatMac(frame, p + 8), sender: formatIpv4(view.getUint32(p + 14)),
      target: formatIpv4(view.getUint32(p + 24)) } };
  }
  return ethertype === 0x0800 ? { ...base, ...dissectIpv4(frame, view) } : base;
};

const dissectIpv4 = (frame: Uint8Array, view: DataView): Partial<Dissection> => {
  const p = ETHERNET;
  const available = frame.length - p;
  if (available < 20 || (view.getUint8(p) >> 4) !== 4) return {};
  const header = (view.getUint8(p) & 15) * 4;
  const length = view.getUint16(p + 2);
  if (header < 20 || length < header || length > available) return {};
  const protocol = view.getUint8(p + 9);
  const ip = {
    source: formatIpv4(view.getUint32(p + 12)), destination: formatIpv4(view.getUint32(p + 16)), protocol,
    ttl: view.getUint8(p + 8), id: view.getUint16(p + 4), length,
  };
  const l4 = p + header;
  const end = p + length;
  const payload = frame.subarray(l4, end);
  if ((view.getUint16(p + 6) & 0x1fff) !== 0) return { ip, payload };
  if (protocol === 1 && end - l4 >= 8) {
    return { ip, icmp: { type: view.getUint8(l4), code: view.getUint8(l4 + 1) }, payload: frame.subarray(l4 + 8, end) };
  }
  if (protocol === 17 && end - l4 >= 8) {
    const udp = { sourcePort: view.getUint16(l4), destinationPort: view.getUint16(l4 + 2) };
    const data = frame.subarray(l4 + 8, end);
    return { ip, udp, payload: data, ...dissectUdp(udp, data) };
  }
  if (protocol === 6 && end - l4 >= 20) {
    const offset = (view.getUint8(l4 + 12) >> 4) * 4;
    if (offset < 20 || offset > end - l4) return { ip, payload };
    return { ip, tcp: {
      sourcePort: view.getUint16(l4), destinationPort: view.getUint16(l4 + 2), sequence: view.getUint32(l4 + 4),
      acknowledgment: view.getUint32(l4 + 8), flags: view.getUint8(l4 + 13), window: view.getUint16(l4 + 14),
    }, payload: frame.subarray(l4 + offset, end) };
  }
  return { ip, payload };
};

const dissectUdp = (udp: { sourcePort: number; destinationPort: number }, data: Uint8Array): Partial<Dissection> => {
  if (VXLAN_PORTS.includes(udp.destinationPort) && data.length >= 8 + ETHERNET) {
    const vni = ((data[4] as number) << 16) | ((data[5] as number) << 8) | (data[6] as number);
    const inner = dissect(data.subarray(8));
    return inner === undefined ? {} : { vxlan: { vni, inner } };
  }
  if (udp.destinationPort === DNS_PORT || udp.sourcePort === DNS_PORT) {
    try {
      return { dns: decodeMessage(data) };
    } catch (error) {
      if (!(error instanceof DnsError)) throw error;
    }
  }
  return {};
};

/** The packet itself, whatever it is wrapped in. */
export const innermost = (packet: Dissection): Dissection => {
  let at = packet;
  while (at.vxlan !== undefined) at = at.vxlan.inner;
  return at;
};

const FLAGS = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"] as const;
/** `SYN, ACK` */
export const tcpFlags = (flags: number): string => FLAGS.filter((_, bit) => flags & (1 << bit)).join(", ");

const ICMP: Readonly<Record<string, string>> = {
  "0/0": "echo reply", "8/0": "echo request", "3/0": "net unreachable", "3/1": "host unreachable", "3/2": "protocol unreachable",
  "3/3": "port unreachable", "3/4": "fragmentation needed", "3/13": "administratively prohibited", "11/0": "time exceeded",
};

/** One line about a packet, innermost first: `TCP 10.244.1.2:40000 > 10.96.7.1:80 SYN`. */
export const describe = (outer: Dissection): string => {
  const packet = innermost(outer);
  const { arp, ip, icmp, udp, tcp, dns, payload } = packet;
  if (arp !== undefined) {
    return arp.operation === 1
      ? `ARP who has ${arp.target}? tell ${arp.sender}`
      : `ARP ${arp.sender} is at ${arp.senderMac}`;
  }
  if (ip === undefined) return `ethertype 0x${packet.ethertype.toString(16).padStart(4, "0")}`;
  if (dns !== undefined && udp !== undefined) {
    return `DNS ${ip.source}:${udp.sourcePort} > ${ip.destination}:${udp.destinationPort} ${describeDns(dns)}`;
  }
  if (udp !== undefined) {
    return `UDP ${ip.source}:${udp.sourcePort} > ${ip.destination}:${udp.destinationPort} ${payload.length} bytes`;
  }
  if (tcp !== undefined) {
    const http = httpLine(payload);
    const data = http !== undefined ? ` ${http}` : payload.length > 0 ? ` ${payload.length} bytes` : "";
    return `TCP ${ip.source}:${tcp.sourcePort} > ${ip.destination}:${tcp.destinationPort} ${tcpFlags(tcp.flags)}${data}`;
  }
  if (icmp !== undefined) {
    return `ICMP ${ip.source} > ${ip.destination} ${ICMP[`${icmp.type}/${icmp.code}`] ?? `type ${icmp.type} code ${icmp.code}`}`;
  }
  return `IP ${ip.source} > ${ip.destination} protocol ${ip.protocol}`;
};

/** `query A web.shop.svc.cluster.local.`, or the answers. */
export const describeDns = (message: Message): string => {
  const question = message.questions[0];
  const asked = question === undefined ? "" : ` ${typeName(question.type)} ${question.name}`;
  if (!message.response) return `query${asked}`;
  if (message.answers.length === 0) {
    return `answer${asked} ${message.rcode === 0 ? "no such record" : rcodeName(message.rcode)}`;
  }
  const answers = message.answers.map(({ data }) => {
    switch (data.type) {
      case 1: case 28: return `${typeName(data.type)} ${data.address}`;
      case 2: case 5: case 12: case 33: return `${typeName(data.type)} ${data.target}`;
      default: return typeName(recordType(data));
    }
  });
  return `answer${asked} = ${answers.join(", ")}`;
};

const HTTP = /^(?:(?:GET|HEAD|POST|PUT|DELETE|PATCH|OPTIONS) \S+ HTTP\/1\.[01]|HTTP\/1\.[01] [0-9]{3}[^\r\n]*)/;

/** The start line of an HTTP/1 message at the beginning of a segment. */
export const httpLine = (payload: Uint8Array): string | undefined => {
  if (payload.length < 14) return undefined;
  let text = "";
  for (let i = 0; i < payload.length && i < 200; i++) {
    const c = payload[i] as number;
    if (c === 13) break;
    text += String.fromCharCode(c);
  }
  return HTTP.exec(text)?.[0];
};
