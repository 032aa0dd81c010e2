/** Types of IP sets, and their elements as ipset 7.17 reads them: addresses, ranges, ports, MACs, devices. */
import {
  KIND_BITMAP, KIND_IFACE, KIND_IP, KIND_IP2, KIND_LIST, KIND_MAC, KIND_MARK, KIND_NET, KIND_NET2, KIND_PORT,
} from "../../assembly/abi/ipset.ts";
import { parseIpv4 } from "./address.ts";
import { parseIpv6 } from "./address6.ts";
import { portNumber, protocolName, parseNumber } from "./iptables/text.ts";

interface SetType {
  readonly name: string;
  readonly revision: number;
  readonly kind: number;
}
export const TYPES: readonly SetType[] = [
  { name: "hash:ip", revision: 6, kind: KIND_IP }, { name: "hash:net", revision: 7, kind: KIND_IP | KIND_NET },
  { name: "hash:ip,port", revision: 7, kind: KIND_IP | KIND_PORT },
  { name: "hash:ip,port,ip", revision: 6, kind: KIND_IP | KIND_PORT | KIND_IP2 },
  { name: "hash:ip,port,net", revision: 8, kind: KIND_IP | KIND_PORT | KIND_NET2 },
  { name: "hash:net,port", revision: 8, kind: KIND_IP | KIND_NET | KIND_PORT },
  { name: "hash:net,net", revision: 4, kind: KIND_IP | KIND_NET | KIND_NET2 },
  { name: "hash:net,iface", revision: 8, kind: KIND_IP | KIND_NET | KIND_IFACE }, { name: "hash:mac", revision: 1, kind: KIND_MAC },
  { name: "bitmap:ip", revision: 3, kind: KIND_IP | KIND_BITMAP }, { name: "bitmap:port", revision: 3, kind: KIND_PORT | KIND_BITMAP },
  { name: "list:set", revision: 3, kind: KIND_LIST }, { name: "bitmap:ip,mac", revision: 3, kind: KIND_IP | KIND_MAC | KIND_BITMAP },
  { name: "hash:ip,mark", revision: 3, kind: KIND_IP | KIND_MARK }, { name: "hash:ip,mac", revision: 1, kind: KIND_IP | KIND_MAC },
  { name: "hash:net,port,net", revision: 3, kind: KIND_IP | KIND_NET | KIND_PORT | KIND_NET2 },
];

export const NAME = 32;
export const FOR_EVER = 0xffffffff;
export const TIMEOUT_MAX = 2147483;
const RANGE_MAX = 65536;

/** Why a command fails: 1 with the message alone, 2 with the line that points to help. */
export class Failure extends Error {
  readonly exit: number;
  constructor(message: string, exit = 1) {
    super(message);
    this.exit = exit;
  }
}
export const syntax = (message: string): Failure => new Failure(`Syntax error: ${message}`);
export const hint = (message: string): Failure => new Failure(`${message}\nTry \`ipset help' for more information.`, 2);

/** What a set was made with. */
export interface Header {
  readonly name: string;
  readonly type: SetType;
  readonly options: number;
  readonly timeout: number;
  readonly maxelem: number;
  readonly first: number;
  readonly last: number;
  readonly mask: number;
  readonly elements: number;
  readonly references: number;
}

/** What the kernel does not know of a set: words of its header. */
export interface Notes {
  readonly family: string;
  readonly hashsize: number;
  readonly bucketsize: number;
  readonly netmask: number | undefined;
  readonly initval: string;
}

/** An element as it is written to the kernel. */
export interface Element {
  ip: number;
  ip2: number;
  /** Of IPv6: 16 bytes. */
  ip6?: Uint8Array;
  ip26?: Uint8Array;
  port: number;
  proto: number;
  cidr: number;
  cidr2: number;
  physdev: boolean;
  text16: string;
  mac: number[] | undefined;
}

export interface Extras {
  timeout: number;
  packets: bigint;
  bytes: bigint;
  mark: number;
  markMask: number;
  prio: number;
  queue: number;
  nomatch: boolean;
  comment: string | undefined;
}

export const maskOf = (bits: number): number => (bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0);

export function numberIn(text: string, min: number, max: number): number {
  const value = parseNumber(text);
  if (value === undefined) throw syntax(`'${text}' is invalid as number`);
  if (value < min || value > max) throw syntax(`'${text}' is out of range ${min}-${max}`);
  return value;
}

export const wide = (text: string): bigint => {
  if (!/^([0-9]+|0x[0-9a-fA-F]+)$/.test(text)) throw syntax(`'${text}' is invalid as number`);
  return BigInt.asUintN(64, BigInt(text));
};

/** An address, refused as the tool refuses it. */
function address(text: string): number {
  const value = parseIpv4(text);
  if (value === undefined) throw syntax(`cannot parse ${text}: resolving to IPv4 address failed`);
  return value;
}

/** `ADDRESS[/LENGTH]` of IPv6: the first address of the network. */
function host6(text: string): { readonly ip: Uint8Array; readonly bits: number } {
  const slash = text.indexOf("/");
  const word = slash < 0 ? text : text.slice(0, slash);
  const ip = parseIpv6(word);
  if (ip === undefined) throw syntax(`cannot parse ${word}: resolving to IPv6 address failed`);
  const bits = slash < 0 ? 128 : numberIn(text.slice(slash + 1), 0, 128);
  return { ip: masked6(ip, bits), bits };
}

const masked6 = (ip: Uint8Array, bits: number): Uint8Array =>
  ip.map((byte, i) => (bits >= 8 * i + 8 ? byte : bits <= 8 * i ? 0 : byte & (0xff00 >> (bits - 8 * i))));

export const ICMP6: Readonly<Record<string, number>> = {
  "no-route": 0x0100, "communication-prohibited": 0x0101, "address-unreachable": 0x0103, "port-unreachable": 0x0104, "packet-too-big": 0x0200,
  "ttl-zero-during-transit": 0x0300, "ttl-zero-during-reassembly": 0x0301, "bad-header": 0x0400, "unknown-header-type": 0x0401,
  "unknown-option": 0x0402, "echo-request": 0x8000, ping: 0x8000, "echo-reply": 0x8100, pong: 0x8100, "router-solicitation": 0x8500,
  "router-advertisement": 0x8600, "neighbour-solicitation": 0x8700, "neigbour-solicitation": 0x8700, "neighbour-advertisement": 0x8800,
  "neigbour-advertisement": 0x8800, redirect: 0x8900,
};
export const ICMP: Readonly<Record<string, number>> = {
  "echo-reply": 0x0000, pong: 0x0000, "network-unreachable": 0x0300, "host-unreachable": 0x0301, "protocol-unreachable": 0x0302,
  "port-unreachable": 0x0303, "fragmentation-needed": 0x0304, "source-route-failed": 0x0305, "network-unknown": 0x0306,
  "host-unknown": 0x0307, "network-prohibited": 0x0309, "host-prohibited": 0x030a, "TOS-network-unreachable": 0x030b,
  "TOS-host-unreachable": 0x030c, "communication-prohibited": 0x030d, "host-precedence-violation": 0x030e, "precedence-cutoff": 0x030f,
  "source-quench": 0x0400, "network-redirect": 0x0500, "host-redirect": 0x0501, "TOS-network-redirect": 0x0502,
  "TOS-host-redirect": 0x0503, "echo-request": 0x0800, ping: 0x0800, "router-advertisement": 0x0900, "router-solicitation": 0x0a00,
  "ttl-zero-during-transit": 0x0b00, "ttl-zero-during-reassembly": 0x0b01, "ip-header-bad": 0x0c00, "required-option-missing": 0x0c01,
  "timestamp-request": 0x0d00, "timestamp-reply": 0x0e00, "address-mask-request": 0x1100, "address-mask-reply": 0x1200,
};
const PORT_PROTOCOLS: Readonly<Record<string, number>> = { tcp: 6, sctp: 132, udp: 17, udplite: 136 };

function portOf(text: string, proto: string): number {
  const value = parseNumber(text);
  if (value !== undefined && value <= 65535) return value;
  const service = value === undefined ? portNumber(text) : undefined;
  if (service !== undefined) return service;
  throw new Failure(
    value === undefined
      ? `Syntax error: '${text}' is invalid as number\ncannot parse '${text}' as a ${proto} port`
      : `Syntax error: '${text}' is out of range 0-65535\nSyntax error: '${proto}' is invalid as number\ncannot parse '${text}' as a ${proto} port`,
  );
}

/** `[PROTO:]PORT[-PORT]`: protocol, lowest and highest port. */
export function ports(text: string): [number, number, number] {
  const colon = text.indexOf(":");
  const proto = colon < 0 ? "tcp" : text.slice(0, colon).toLowerCase();
  const rest = text.slice(colon + 1);
  if (proto === "icmp" || proto === "icmpv6" || proto === "ipv6-icmp") {
    const six = proto !== "icmp";
    const found = (six ? ICMP6 : ICMP)[rest] ?? ((): number => {
      const [type = "", code = "0"] = rest.split("/");
      return (numberIn(type, 0, 255) << 8) | numberIn(code, 0, 255);
    })();
    return [six ? 58 : 1, found, found];
  }
  const number_ = PORT_PROTOCOLS[proto];
  if (number_ === undefined) {
    const known = parseNumber(proto, 0, 255) ?? protocolByName(proto);
    if (known === undefined) throw syntax(`cannot parse '${proto}' as a protocol`);
    if (Object.values(PORT_PROTOCOLS).includes(known)) return ports(`${protocolName(known)}:${rest}`);
    if (rest !== "0") throw syntax(`Protocol ${proto} can be used with pseudo port value 0 only.`);
    return [known, 0, 0];
  }
  const dash = rest.indexOf("-");
  if (dash < 0) {
    const port = portOf(rest, proto);
    return [number_, port, port];
  }
  const [lo, hi] = [portOf(rest.slice(0, dash), proto), portOf(rest.slice(dash + 1), proto)];
  return [number_, Math.min(lo, hi), Math.max(lo, hi)];
}

function protocolByName(name: string): number | undefined {
  for (let i = 0; i < 256; i++) if (protocolName(i) === name && String(i) !== name) return i;
  return undefined;
}

/** `ADDRESS[/LENGTH]` or `FROM-TO` as {first, last, length or undefined for a range}. */
export function hosts(text: string): { first: number; last: number; bits: number | undefined } {
  const slash = text.indexOf("/");
  if (slash >= 0) {
    const ip = address(text.slice(0, slash));
    const bits = numberIn(text.slice(slash + 1), 0, 32);
    const first = (ip & maskOf(bits)) >>> 0;
    return { first, last: (first | ~maskOf(bits)) >>> 0, bits };
  }
  const dash = text.indexOf("-");
  if (dash >= 0) {
    const a = address(text.slice(0, dash));
    const b = address(text.slice(dash + 1));
    return { first: Math.min(a, b), last: Math.max(a, b), bits: undefined };
  }
  const ip = address(text);
  return { first: ip, last: ip, bits: 32 };
}

/** The fewest prefixes that are exactly the addresses from `from` to `to`. */
function cover(from: number, to: number): [number, number][] {
  const all: [number, number][] = [];
  let at = from;
  while (at <= to) {
    let size = 1;
    let bits = 32;
    for (; bits > 0 && at % (size * 2) === 0 && at + size * 2 - 1 <= to; bits--) size *= 2;
    all.push([at, bits]);
    at += size;
  }
  return all;
}

const parseMac = (text: string): number[] => {
  const bytes = text.split(":");
  if (bytes.length !== 6 || !bytes.every((byte) => /^[0-9a-fA-F]{2}$/.test(byte))) throw syntax(`cannot parse '${text}' as an Ethernet address`);
  return bytes.map((byte) => parseInt(byte, 16));
};

/** All elements that the text of one names. */
export function elementsOf(set: Header, notes: Notes, text: string): Element[] {
  const { kind } = set.type;
  const empty: Element = { ip: 0, ip2: 0, port: 0, proto: 0, cidr: 0, cidr2: 0, physdev: false, text16: "", mac: undefined };
  const wanted = (kind & KIND_IP ? 1 : 0) + (kind & KIND_PORT ? 1 : 0) + (kind & (KIND_IP2 | KIND_NET2) ? 1 : 0) + (kind & (KIND_IFACE | KIND_MAC | KIND_MARK) ? 1 : 0);
  const given = text.split(",");
  if (given.length > wanted) {
    throw syntax(wanted === 1 ? `Elem separator in ${text}, but settype ${set.type.name} supports none.` : `Elem separator in ${text}, but settype ${set.type.name} supports only ${wanted} elements.`);
  }
  const optional = set.type.name === "bitmap:ip,mac" ? 1 : wanted;
  if (given.length < optional) throw syntax(`${given.length === 1 ? "Second" : "Third"} element is missing from ${text}.`);
  let all: Element[] = [empty];
  const spread = (make: (element: Element) => Element[]): void => {
    all = all.flatMap(make);
    if (all.length > RANGE_MAX) throw new Failure("Kernel error received: Unknown error -4");
  };
  let at = 0;
  const networks = (word: string, net: boolean): [number, number][] => {
    const { first, last, bits } = hosts(word);
    if (net) {
      if (bits !== undefined) return [[first, bits]];
      return cover(first, last);
    }
    const result: [number, number][] = [];
    if (last - first >= RANGE_MAX * 16) throw new Failure("Kernel error received: Unknown error -4");
    const step = notes.netmask === undefined ? 1 : 2 ** (32 - notes.netmask);
    for (let ip = (first & set.mask) >>> 0; ip <= last; ip += step) result.push([ip, 32]);
    return result;
  };
  if (kind & KIND_IP) {
    const word = given[at++]!;
    if (notes.family === "inet6") {
      const { ip, bits } = host6(word);
      if (!(kind & KIND_NET) && bits !== 128) throw new Failure("The value of the CIDR parameter of the IP address is invalid");
      all = [{ ...empty, ip6: masked6(ip, kind & KIND_NET ? 128 : notes.netmask ?? 128), cidr: bits }];
    } else spread((element) => networks(word, (kind & KIND_NET) !== 0).map(([ip, cidr]) => ({ ...element, ip, cidr })));
  }
  if (kind & KIND_PORT) {
    const word = given[at++]!;
    const [proto, lo, hi] = ports(word);
    const bitmap = (kind & KIND_BITMAP) !== 0;
    spread((element) => {
      const list: Element[] = [];
      for (let port = lo; port <= hi; port++) list.push({ ...element, proto: bitmap ? 0 : proto, port });
      return list;
    });
  }
  if (kind & (KIND_IP2 | KIND_NET2)) {
    const word = given[at++]!;
    const net = (kind & KIND_NET2) !== 0;
    if (notes.family === "inet6") {
      const { ip, bits } = host6(word);
      if (!net && bits !== 128) throw new Failure("The value of the CIDR parameter of the IP address is invalid");
      all = all.map((element) => ({ ...element, ip26: ip, cidr2: bits }));
    } else {
      const list = net ? networks(word, true) : cover(hosts(word).first, hosts(word).last).flatMap(([ip, bits]) => Array.from({ length: 2 ** (32 - bits) }, (_, i): [number, number] => [ip + i, 32]));
      spread((element) => list.map(([ip2, cidr2]) => ({ ...element, ip2, cidr2 })));
    }
  }
  if (kind & KIND_MARK) {
    const value = parseNumber(given[at++]!);
    if (value === undefined) throw syntax(`'${given[at - 1]}' is invalid as number`);
    all = all.map((element) => ({ ...element, ip2: (value & set.mask) >>> 0 }));
  }
  if (kind & KIND_MAC && given[at] !== undefined) {
    const mac = parseMac(given[at]!);
    all = all.map((element) => ({ ...element, mac }));
  }
  if (kind & KIND_IFACE) {
    const word = given[at]!;
    const physdev = word.startsWith("physdev:");
    const name = physdev ? word.slice(8) : word;
    if (name.length > 15) throw syntax(`interface name '${name}' is longer than 15 characters`);
    all = all.map((element) => ({ ...element, physdev, text16: name }));
  }
  return all;
}
