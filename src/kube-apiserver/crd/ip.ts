/** IP addresses and prefixes of both families as Go's net/netip reads and writes them. */

export interface IP {
  readonly family: 4 | 6;
  /** The address as a number. */
  readonly value: bigint;
}

export interface Prefix {
  readonly ip: IP;
  readonly bits: number;
}

/** `1.2.3.4` or `::1`; zones, leading zeros and IPv4-mapped IPv6 addresses (as the callers upstream do) are refused. */
export function parseIP(text: string): IP | undefined {
  if (text.includes(":")) {
    const value = parseV6(text);
    if (value === undefined || value >> 32n === 0xffffn) return undefined;
    return { family: 6, value };
  }
  const value = parseV4(text);
  return value === undefined ? undefined : { family: 4, value };
}

function parseV4(text: string): bigint | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((p) => /^(0|[1-9]\d{0,2})$/.test(p) && Number(p) <= 255)) return undefined;
  return parts.reduce((sum, p) => sum * 256n + BigInt(p), 0n);
}

function parseV6(text: string): bigint | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const groups = (part: string, last: boolean): bigint[] | undefined => {
    if (part === "") return [];
    const out: bigint[] = [];
    const list = part.split(":");
    for (const [i, group] of list.entries()) {
      if (last && i === list.length - 1 && group.includes(".")) {
        const v4 = parseV4(group);
        if (v4 === undefined) return undefined;
        out.push(v4 >> 16n, v4 & 0xffffn);
      } else if (/^[0-9a-fA-F]{1,4}$/.test(group)) out.push(BigInt(`0x${group}`));
      else return undefined;
    }
    return out;
  };
  const head = groups(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? groups(halves[1]!, true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  return [...head, ...new Array<bigint>(missing).fill(0n), ...tail].reduce((sum, g) => sum * 65536n + g, 0n);
}

export function formatIP({ family, value }: IP): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 255n)).join(".");
  const groups = Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(112 - 16 * i)) & 0xffffn));
  // The longest run of two or more zeros is left out, the first of equals.
  let [start, length] = [-1, 1];
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && groups[end] === 0) end++;
    if (end - i > length) [start, length] = [i, end - i];
  }
  const hex = (list: readonly number[]): string => list.map((g) => g.toString(16)).join(":");
  return start < 0 ? hex(groups) : `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`;
}

export const familyBits = (family: 4 | 6): number => (family === 4 ? 32 : 128);

/** `10.0.0.0/8`; bits beyond the prefix stay. */
export function parsePrefix(text: string): Prefix | undefined {
  const slash = text.lastIndexOf("/");
  if (slash < 0) return undefined;
  const ip = parseIP(text.slice(0, slash));
  const digits = text.slice(slash + 1);
  if (ip === undefined || !/^(0|[1-9]\d{0,2})$/.test(digits) || Number(digits) > familyBits(ip.family)) return undefined;
  return { ip, bits: Number(digits) };
}

export function masked({ ip, bits }: Prefix): Prefix {
  const host = BigInt(familyBits(ip.family) - bits);
  return { ip: { family: ip.family, value: (ip.value >> host) << host }, bits };
}

export function contains(prefix: Prefix, ip: IP): boolean {
  if (prefix.ip.family !== ip.family) return false;
  const host = BigInt(familyBits(ip.family) - prefix.bits);
  return prefix.ip.value >> host === ip.value >> host;
}
