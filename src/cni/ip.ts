/**
 * IP addresses and prefixes as Go's `net` package reads and prints them: bytes for arithmetic, the canonical text
 * (RFC 5952) for everything that is shown.
 */

/** 4 bytes (IPv4) or 16 bytes (IPv6), network order. */
export type IpBytes = Uint8Array;

/** A prefix: `ip` as written (host bits kept), `bits` its length. */
export interface Cidr {
  readonly ip: IpBytes;
  readonly bits: number;
}

/** Reads an address of either family; undefined when `text` is none. An IPv4-mapped IPv6 address is IPv4, as in Go. */
export function parseIp(text: string): IpBytes | undefined {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

function parseIpv4(text: string): IpBytes | undefined {
  const out = new Uint8Array(4);
  let at = 0, digits = 0, value = 0;
  for (let i = 0; i <= text.length; i++) {
    const c = i === text.length ? 46 : text.charCodeAt(i);
    if (c === 46) {
      if (digits === 0 || at > 3) return undefined;
      out[at++] = value;
      digits = value = 0;
    } else {
      if (c < 48 || c > 57 || (digits > 0 && value === 0)) return undefined;
      value = value * 10 + c - 48;
      digits++;
      if (value > 255) return undefined;
    }
  }
  return at === 4 ? out : undefined;
}

function parseIpv6(text: string): IpBytes | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const groups = (half: string): number[] | undefined => {
    if (half === "") return [];
    const out: number[] = [];
    const parts = half.split(":");
    for (let i = 0; i < parts.length; i++) {
      const part = parts[i]!;
      if (i === parts.length - 1 && part.includes(".")) {
        const v4 = parseIpv4(part);
        if (v4 === undefined) return undefined;
        out.push((v4[0]! << 8) | v4[1]!, (v4[2]! << 8) | v4[3]!);
      } else {
        if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
        out.push(parseInt(part, 16));
      }
    }
    return out;
  };
  const head = groups(halves[0]!);
  const tail = halves.length === 2 ? groups(halves[1]!) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const all = [...head, ...new Array<number>(missing).fill(0), ...tail];
  const out = new Uint8Array(16);
  for (let i = 0; i < 8; i++) {
    out[2 * i] = all[i]! >> 8;
    out[2 * i + 1] = all[i]! & 255;
  }
  const mapped = all[5] === 0xffff && all.slice(0, 5).every((g) => g === 0);
  return mapped ? out.slice(12) : out;
}

/** The canonical text: dotted decimal, or RFC 5952. */
export function formatIp(ip: IpBytes): string {
  if (ip.length === 4) return `${ip[0]}.${ip[1]}.${ip[2]}.${ip[3]}`;
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((ip[i]! << 8) | ip[i + 1]!);
  let best = -1, bestLength = 1;
  for (let i = 0; i < 8; i++) {
    let length = 0;
    while (i + length < 8 && groups[i + length] === 0) length++;
    if (length > bestLength) {
      best = i;
      bestLength = length;
    }
  }
  const hex = (from: number, to: number): string => groups.slice(from, to).map((g) => g.toString(16)).join(":");
  return best < 0 ? hex(0, 8) : `${hex(0, best)}::${hex(best + bestLength, 8)}`;
}

/** `text` in canonical form, undefined when it is no address. */
export function canonicalIp(text: string): string | undefined {
  const ip = parseIp(text);
  return ip === undefined ? undefined : formatIp(ip);
}

/** Reads `ADDRESS/BITS`. */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf("/");
  if (slash < 0) return undefined;
  const ip = parseIp(text.slice(0, slash));
  const bitsText = text.slice(slash + 1);
  if (ip === undefined || !/^[0-9]{1,3}$/.test(bitsText)) return undefined;
  const bits = Number(bitsText);
  return bits > ip.length * 8 ? undefined : { ip, bits };
}

/** The network address: host bits cleared. */
export function maskIp(ip: IpBytes, bits: number): IpBytes {
  const out = ip.slice();
  for (let i = 0; i < out.length; i++) {
    const keep = Math.min(8, Math.max(0, bits - 8 * i));
    out[i] = out[i]! & (0xff00 >> keep) & 255;
  }
  return out;
}

/** The highest address of the prefix. */
export function lastIp({ ip, bits }: Cidr): IpBytes {
  const out = ip.slice();
  for (let i = 0; i < out.length; i++) {
    const keep = Math.min(8, Math.max(0, bits - 8 * i));
    out[i] = out[i]! | (0xff >> keep);
  }
  return out;
}

/** Whether `ip` lies in the prefix; never across families. */
export function cidrContains({ ip: net, bits }: Cidr, ip: IpBytes): boolean {
  return net.length === ip.length && compareIp(maskIp(net, bits), maskIp(ip, bits)) === 0;
}

export const formatCidr = ({ ip, bits }: Cidr): string => `${formatIp(ip)}/${bits}`;

/** Negative, zero or positive, as bytes.Compare; IPv4 sorts before IPv6. */
export function compareIp(a: IpBytes, b: IpBytes): number {
  if (a.length !== b.length) return a.length - b.length;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return 0;
}

/** The address after this one (before it with `step` -1); wraps at the end of the space. */
export function nextIp(ip: IpBytes, step: 1 | -1 = 1): IpBytes {
  const out = ip.slice();
  for (let i = out.length - 1; i >= 0; i--) {
    const sum = out[i]! + step;
    out[i] = sum & 255;
    if (sum >= 0 && sum <= 255) break;
  }
  return out;
}

export const isLoopbackIp = (ip: IpBytes): boolean => (ip.length === 4 ? ip[0] === 127 : formatIp(ip) === "::1");
