/** nft's data types: how values are written, and what they are in a register (nftables src/datatype.c). Bytes are in network order. */
import { formatIpv4, formatMac, parseIpv4, parseMac } from "../address.ts";
import { Refused, type Token } from "./lexer.ts";

export interface DataType {
  readonly name: string;
  readonly bits: number;
  /** Values are sets of bits: `a,b`. */
  readonly bitmask?: boolean;
  /** An integer that the kernel keeps in the processor's order. */
  readonly host?: boolean;
  readonly symbols?: Readonly<Record<string, number>>;
  /** How many elements nft prints in a line of a set. */
  readonly perLine?: number;
  parse(token: Token): Uint8Array;
  format(bytes: Uint8Array): string;
}

export const bytesOf = (bits: number): number => (bits + 7) >> 3;

/** `value` as so many bytes. */
export function bytesFrom(value: number | bigint, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let rest = BigInt(value);
  for (let i = length - 1; i >= 0; i--) {
    bytes[i] = Number(rest & 255n);
    rest >>= 8n;
  }
  return bytes;
}

export function valueOf(bytes: Uint8Array): bigint {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return value;
}

export const hexOf = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

const NO_NAME = "Could not resolve hostname: Name or service not known";

interface IntegerOptions {
  readonly symbols?: Readonly<Record<string, number>>;
  readonly bitmask?: boolean;
  readonly host?: boolean;
  readonly hex?: boolean;
  /** Print names of values. */
  readonly names?: boolean;
  /** Message for a word that is no symbol. */
  readonly unknown?: string;
  readonly tooBig?: string;
  readonly perLine?: number;
}

function integer(name: string, bits: number, options: IntegerOptions = {}): DataType {
  const { symbols, bitmask = false, hex = false, names = true, unknown = "Can't parse symbolic invalid expressions" } = options;
  const length = bytesOf(bits);
  const byValue = new Map(Object.entries(symbols ?? {}).reverse().map(([text, value]) => [value, text]));
  const plain = (value: number): string => hex ? `0x${value.toString(16).padStart(length * 2, "0")}` : String(value);
  return {
    name,
    bits,
    ...(bitmask ? { bitmask } : {}),
    ...(options.host ? { host: true } : {}),
    ...(symbols === undefined ? {} : { symbols }),
    ...(options.perLine === undefined ? {} : { perLine: options.perLine }),
    parse(token) {
      let value = token.kind === "number" ? Number(token.text) : symbols?.[token.text];
      if (value === undefined && token.kind === "word" && /^\d+$/.test(token.text)) value = Number(token.text);
      if (value === undefined) throw new Refused(unknown, token);
      if (value >= 2 ** bits) throw new Refused(options.tooBig ?? `Value ${value} exceeds valid range 0-${2 ** bits - 1}`, token);
      return bytesFrom(value, length);
    },
    format(bytes) {
      const value = Number(valueOf(bytes));
      if (!names) return plain(value);
      const exact = byValue.get(value);
      if (exact !== undefined && (value !== 0 || !bitmask)) return exact;
      if (!bitmask || value === 0) return bitmask && value === 0 ? `0x${"0".repeat(1)}` : plain(value);
      const parts: string[] = [];
      let rest = value;
      for (const [bit, text] of [...byValue].sort(([a], [b]) => a - b)) {
        if (bit !== 0 && (rest & bit) === bit) {
          parts.push(text);
          rest &= ~bit;
        }
      }
      if (rest !== 0) parts.push(`0x${rest.toString(16)}`);
      return parts.join(",");
    },
  };
}

/** An IPv6 address as 16 bytes, or undefined. */
export function parseIpv6(text: string): Uint8Array | undefined {
  let source = text;
  const dot = source.lastIndexOf(":");
  if (source.includes(".")) {
    const v4 = parseIpv4(source.slice(dot + 1));
    if (v4 === undefined || dot < 0) return undefined;
    source = `${source.slice(0, dot + 1)}${(v4 >>> 16).toString(16)}:${(v4 & 0xffff).toString(16)}`;
  }
  const halves = source.split("::");
  if (halves.length > 2) return undefined;
  const groups = (part: string | undefined): number[] | undefined => {
    if (part === undefined || part === "") return [];
    const list = part.split(":");
    return list.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group)) ? list.map((group) => parseInt(group, 16)) : undefined;
  };
  const head = groups(halves[0]);
  const tail = groups(halves[1]);
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const bytes = new Uint8Array(16);
  [...head, ...new Array<number>(missing).fill(0), ...tail].forEach((group, i) => {
    bytes[2 * i] = group >> 8;
    bytes[2 * i + 1] = group & 255;
  });
  return bytes;
}

/** RFC 5952. */
export function formatIpv6(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! << 8) | bytes[2 * i + 1]!);
  let best = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; i++) {
    let n = 0;
    while (i + n < 8 && groups[i + n] === 0) n++;
    if (n > bestLength) {
      best = i;
      bestLength = n;
    }
  }
  const text = (list: number[]): string => list.map((group) => group.toString(16)).join(":");
  return best < 0 ? text(groups) : `${text(groups.slice(0, best))}::${text(groups.slice(best + bestLength))}`;
}

const ipv4: DataType = {
  name: "ipv4_addr",
  bits: 32,
  perLine: 2,
  parse(token) {
    const value = parseIpv4(token.text);
    if (value !== undefined) return bytesFrom(value, 4);
    if (token.kind === "number") return bytesFrom(Number(token.text), 4);
    if (token.text.includes(":")) throw new Refused("Could not resolve hostname: Address family for hostname not supported", token);
    throw new Refused(token.kind === "address" ? NO_NAME : "Could not resolve hostname: Temporary failure in name resolution", token);
  },
  format: (bytes) => formatIpv4(Number(valueOf(bytes))),
};
const ipv6: DataType = {
  name: "ipv6_addr",
  bits: 128,
  perLine: 1,
  parse(token) {
    const value = parseIpv6(token.text);
    if (value !== undefined) return value;
    throw new Refused(token.kind === "address" ? "Could not resolve hostname: Address family for hostname not supported" : NO_NAME, token);
  },
  format: formatIpv6,
};
const ether: DataType = {
  name: "ether_addr",
  bits: 48,
  perLine: 1,
  parse(token) {
    const value = parseMac(token.text);
    if (value === undefined) throw new Refused("Can't parse symbolic invalid expressions", token);
    return value;
  },
  format: (bytes) => formatMac(bytes),
};

const IFNAMSIZ = 16;
const ifname: DataType = {
  name: "ifname",
  bits: 128,
  perLine: 1,
  parse(token) {
    if (token.text.length >= IFNAMSIZ) throw new Refused(`String exceeds maximum length of ${IFNAMSIZ}`, token);
    const bytes = new Uint8Array(IFNAMSIZ);
    for (let i = 0; i < token.text.length; i++) bytes[i] = token.text.charCodeAt(i) & 255;
    return bytes;
  },
  format: (bytes) => `"${String.fromCharCode(...bytes).replace(/\0.*$/s, "")}"`,
};

const TIME_UNITS: readonly (readonly [string, number])[] = [["d", 86_400_000], ["h", 3_600_000], ["m", 60_000], ["s", 1000], ["ms", 1]];

/** `1h30m` in ms, or undefined; a bare number is seconds. */
export function parseTime(text: string): number | undefined {
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  if (!/^(\d+d)?(\d+h)?(\d+m(?!s))?(\d+s)?(\d+ms)?$/.test(text)) return undefined;
  let ms = 0;
  for (const [, value, unit] of text.matchAll(/(\d+)(ms|[dhms])/g)) ms += Number(value) * TIME_UNITS.find(([name]) => name === unit)![1];
  return ms;
}

export function formatTime(ms: number): string {
  let text = "";
  let rest = ms;
  for (const [unit, size] of TIME_UNITS) {
    if (rest >= size) text += `${Math.floor(rest / size)}${unit}`;
    rest %= size;
  }
  return text === "" ? "0s" : text;
}

const time: DataType = {
  name: "time",
  bits: 32,
  host: true,
  parse(token) {
    const value = parseTime(token.text);
    if (value === undefined) throw new Refused("Can't parse symbolic invalid expressions", token);
    return bytesFrom(value, 4);
  },
  format: (bytes) => formatTime(Number(valueOf(bytes))),
};

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const two = (value: number): string => String(value).padStart(2, "0");

/** Seconds of a day, `"09:00"`; the machine's time zone is UTC. */
const hour: DataType = {
  name: "hour",
  bits: 32,
  host: true,
  parse(token) {
    const match = /^(\d\d?):(\d\d?)(?::(\d\d?))?$/.exec(token.text);
    if (match === null) {
      if (/^\d+$/.test(token.text)) return bytesFrom(Number(token.text), 4);
      throw new Refused("Can't parse symbolic invalid expressions", token);
    }
    const [h, m, s] = [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)];
    if (h > 24 || m >= 60 || s >= 60) throw new Refused("Can't parse symbolic invalid expressions", token);
    return bytesFrom(h * 3600 + m * 60 + s, 4);
  },
  format(bytes) {
    const value = Number(valueOf(bytes));
    const seconds = value % 60;
    return `"${two(Math.floor(value / 3600))}:${two(Math.floor(value / 60) % 60)}${seconds === 0 ? "" : `:${two(seconds)}`}"`;
  },
};

/** `"2024-01-31 12:00:00"` in ns since 1970. */
const date: DataType = {
  name: "time",
  bits: 64,
  host: true,
  parse(token) {
    const match = /^(\d{4})-(\d\d?)-(\d\d?)(?: (\d\d?):(\d\d?)(?::(\d\d?))?)?$/.exec(token.text);
    if (match === null) {
      if (/^\d+$/.test(token.text)) return bytesFrom(BigInt(token.text), 8);
      throw new Refused("Can't parse symbolic invalid expressions", token);
    }
    const [year = 0, month = 0, day = 0, h = 0, m = 0, s = 0] = match.slice(1).map((part) => Number(part ?? 0));
    return bytesFrom((BigInt(daysSince1970(year, month, day)) * 86400n + BigInt(h * 3600 + m * 60 + s)) * 1_000_000_000n, 8);
  },
  format(bytes) {
    const seconds = Number(valueOf(bytes) / 1_000_000_000n);
    const [year, month, day] = dateOf(Math.floor(seconds / 86400));
    const rest = seconds % 86400;
    return `"${year}-${two(month)}-${two(day)} ${two(Math.floor(rest / 3600))}:${two(Math.floor(rest / 60) % 60)}:${two(rest % 60)}"`;
  },
};

/** Days of the proleptic Gregorian calendar since 1970-01-01, years counted from March. */
function daysSince1970(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const inEra = y - era * 400;
  const ofYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  return era * 146097 + inEra * 365 + Math.floor(inEra / 4) - Math.floor(inEra / 100) + ofYear - 719468;
}
function dateOf(days: number): [year: number, month: number, day: number] {
  const shifted = days + 719468;
  const era = Math.floor(shifted / 146097);
  const ofEra = shifted - era * 146097;
  const year = Math.floor((ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36524) - Math.floor(ofEra / 146096)) / 365);
  const ofYear = ofEra - (365 * year + Math.floor(year / 4) - Math.floor(year / 100));
  const m = Math.floor((5 * ofYear + 2) / 153);
  const month = m < 10 ? m + 3 : m - 9;
  return [year + era * 400 + (month <= 2 ? 1 : 0), month, ofYear - Math.floor((153 * m + 2) / 5) + 1];
}

const day: DataType = {
  name: "day",
  bits: 8,
  parse(token) {
    const wanted = token.text.toLowerCase();
    const found = DAYS.findIndex((name) => name.toLowerCase() === wanted);
    const value = found >= 0 ? found : /^[0-6]$/.test(token.text) ? Number(token.text) : -1;
    if (value < 0) throw new Refused("Could not parse Day of week of packet reception", token);
    return Uint8Array.of(value);
  },
  format: (bytes) => DAYS[bytes[0]!] ?? String(bytes[0]),
};

/** `1:2`, hexadecimal; `none`, `root`. */
const classid: DataType = {
  name: "classid",
  bits: 32,
  host: true,
  parse(token) {
    if (token.text === "none") return bytesFrom(0, 4);
    if (token.text === "root") return bytesFrom(0xffffffff, 4);
    const match = /^([0-9a-fA-F]{1,4}):([0-9a-fA-F]{1,4})$/.exec(token.text);
    if (match !== null) return bytesFrom((parseInt(match[1]!, 16) * 65536) + parseInt(match[2]!, 16), 4);
    if (/^(0x[0-9a-fA-F]+|\d+)$/.test(token.text)) return bytesFrom(Number(token.text), 4);
    throw new Refused("Can't parse symbolic invalid expressions", token);
  },
  format(bytes) {
    const value = Number(valueOf(bytes));
    if (value === 0) return "none";
    return value === 0xffffffff ? "root" : `${(value >>> 16).toString(16)}:${(value & 0xffff).toString(16)}`;
  },
};

const string16: DataType = { ...ifname, name: "string" };

const PROTOCOLS = {
  ip: 0, icmp: 1, igmp: 2, ipencap: 4, tcp: 6, udp: 17, dccp: 33, "ipv6-icmp": 58, gre: 47, esp: 50, ah: 51, sctp: 132, udplite: 136, comp: 108,
  icmpv6: 58,
};
const SERVICES = {
  ssh: 22, telnet: 23, smtp: 25, domain: 53, bootps: 67, bootpc: 68, tftp: 69, http: 80, ntp: 123, snmp: 161, https: 443, ftp: 21,
  "ftp-data": 20, pop3: 110, imap2: 143, ldap: 389, syslog: 514, nfs: 2049, mysql: 3306, postgresql: 5432, sip: 5060,
};
export const ICMP_CODES = {
  "net-unreachable": 0, "host-unreachable": 1, "prot-unreachable": 2, "port-unreachable": 3, "net-prohibited": 9, "host-prohibited": 10,
  "admin-prohibited": 13, "frag-needed": 4,
};
const RTN = {
  unspec: 0, unicast: 1, local: 2, broadcast: 3, anycast: 4, multicast: 5, blackhole: 6, unreachable: 7, prohibit: 8,
};
const DSCP: Record<string, number> = { lephb: 1, ef: 0x2e, va: 0x2c };
for (let i = 0; i < 8; i++) DSCP[`cs${i}`] = i * 8;
for (let i = 1; i < 5; i++) for (let j = 1; j < 4; j++) DSCP[`af${i}${j}`] = i * 8 + j * 2;

const list: readonly DataType[] = [
  ipv4, ipv6, ether, ifname, time,
  integer("inet_service", 16, {
    symbols: SERVICES, names: false, perLine: 5, tooBig: "Service out of range",
    unknown: "Could not resolve service: Servname not supported for ai_socktype",
  }),
  integer("inet_proto", 8, { symbols: PROTOCOLS, perLine: 5, unknown: "Could not resolve protocol name" }),
  integer("mark", 32, { hex: true, host: true, perLine: 5 }),
  integer("ct_state", 32, {
    bitmask: true, host: true, unknown: "Could not parse conntrack state",
    symbols: { invalid: 1, established: 2, related: 4, new: 8, untracked: 64 },
  }),
  integer("ct_status", 32, {
    bitmask: true, host: true, unknown: "Could not parse conntrack status",
    symbols: { expected: 1, "seen-reply": 2, assured: 4, confirmed: 8, snat: 16, dnat: 32, dying: 512 },
  }),
  integer("ct_dir", 8, { symbols: { original: 0, reply: 1 } }),
  integer("nf_proto", 8, { symbols: { ipv4: 2, ipv6: 10 }, perLine: 5 }),
  integer("ether_type", 16, { symbols: { ip: 0x0800, arp: 0x0806, ip6: 0x86dd, "8021q": 0x8100, "8021ad": 0x88a8, vlan: 0x8100 }, hex: true }),
  integer("icmp_type", 8, {
    symbols: {
      "echo-reply": 0, "destination-unreachable": 3, "source-quench": 4, redirect: 5, "echo-request": 8, "router-advertisement": 9,
      "router-solicitation": 10, "time-exceeded": 11, "parameter-problem": 12, "timestamp-request": 13, "timestamp-reply": 14,
      "info-request": 15, "info-reply": 16, "address-mask-request": 17, "address-mask-reply": 18,
    },
  }),
  integer("icmp_code", 8, { symbols: ICMP_CODES }),
  integer("icmpv6_type", 8, {
    symbols: {
      "destination-unreachable": 1, "packet-too-big": 2, "time-exceeded": 3, "parameter-problem": 4, "echo-request": 128, "echo-reply": 129,
      "mld-listener-query": 130, "mld-listener-report": 131, "mld-listener-done": 132, "nd-router-solicit": 133, "nd-router-advert": 134,
      "nd-neighbor-solicit": 135, "nd-neighbor-advert": 136, "nd-redirect": 137, "mld2-listener-report": 143,
    },
  }),
  integer("icmpv6_code", 8, {
    symbols: { "no-route": 0, "admin-prohibited": 1, "addr-unreachable": 3, "port-unreachable": 4, "policy-fail": 5, "reject-route": 6 },
  }),
  integer("tcp_flag", 8, { bitmask: true, symbols: { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32, ecn: 64, cwr: 128 } }),
  integer("fib_addrtype", 32, { symbols: RTN, host: true }),
  integer("pkt_type", 8, { symbols: { host: 0, unicast: 0, broadcast: 1, multicast: 2, other: 3 } }),
  integer("dscp", 6, { symbols: DSCP, hex: true }),
  integer("ecn", 2, { symbols: { "not-ect": 0, ect1: 1, ect0: 2, ce: 3 } }),
  integer("iface_type", 16, { symbols: { ether: 1, loopback: 772 } }),
  integer("boolean", 8, { symbols: { missing: 0, exists: 1 } }),
  integer("arp_op", 16, { symbols: { request: 1, reply: 2, rrequest: 3, rreply: 4, inrequest: 8, inreply: 9, nak: 10 } }),
  integer("uid", 32, { symbols: { root: 0 }, names: false, host: true }),
  integer("gid", 32, { symbols: { root: 0 }, names: false, host: true }),
  integer("devgroup", 32, { symbols: { default: 0 }, host: true }),
  hour, day, classid,
];
const hidden: ReadonlyMap<string, DataType> = new Map([["time_date", date], ["string16", string16]]);
export const TYPES: ReadonlyMap<string, DataType> = new Map(list.map((type) => [type.name, type]));
export const type = (name: string): DataType => (TYPES.get(name) ?? hidden.get(name))!;

const integers = new Map<number, DataType>();
/** A plain number of so many bits. */
export function integerType(bits: number, hex = false): DataType {
  const key = bits * 2 + Number(hex);
  let made = integers.get(key);
  if (made === undefined) integers.set(key, (made = integer("integer", bits, { hex, perLine: 5 })));
  return made;
}

/** Interfaces by number: what `iif` compares. */
export function interfaceType(indexOf: (name: string) => number | undefined, nameOf: (index: number) => string | undefined): DataType {
  return {
    name: "iface_index",
    bits: 32,
    host: true,
    parse(token) {
      const index = token.kind === "number" ? Number(token.text) : indexOf(token.text);
      if (index === undefined) throw new Refused("Interface does not exist", token);
      return bytesFrom(index, 4);
    },
    format(bytes) {
      const name = nameOf(Number(valueOf(bytes)));
      return name === undefined ? String(valueOf(bytes)) : `"${name}"`;
    },
  };
}
