/** IPv6 addresses as text and as 16 bytes (RFC 4291 section 2.2; inet_pton, inet_ntop of glibc). */
import { formatIpv4, parseIpv4 } from "./address.ts";

const GROUPS = 8;

/** The 16 bytes of an address as inet_pton reads it, or undefined. */
export function parseIpv6(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(16);
  let at = 0;
  let gap = -1;
  let i = 0;
  if (text.startsWith(":")) {
    if (text[1] !== ":") return undefined;
    i = 1;
  }
  let start = i;
  let value = 0;
  let digits = 0;
  for (; i < text.length; i++) {
    const c = text.charCodeAt(i);
    const digit = c >= 48 && c <= 57 ? c - 48 : c >= 97 && c <= 102 ? c - 87 : c >= 65 && c <= 70 ? c - 55 : -1;
    if (digit >= 0) {
      value = value * 16 + digit;
      if (++digits > 4) return undefined;
    } else if (c === 58) {
      start = i + 1;
      if (digits === 0) {
        if (gap >= 0) return undefined;
        gap = at;
        continue;
      }
      if (i + 1 === text.length || at + 2 > 16) return undefined;
      bytes[at++] = value >> 8;
      bytes[at++] = value & 255;
      value = digits = 0;
    } else if (c === 46) {
      const last = parseIpv4(text.slice(start));
      if (last === undefined || at + 4 > 16) return undefined;
      for (let shift = 24; shift >= 0; shift -= 8) bytes[at++] = (last >>> shift) & 255;
      digits = 0;
      break;
    } else return undefined;
  }
  if (digits > 0) {
    if (at + 2 > 16) return undefined;
    bytes[at++] = value >> 8;
    bytes[at++] = value & 255;
  }
  if (gap < 0) return at === 16 ? bytes : undefined;
  if (at === 16) return undefined;
  bytes.copyWithin(16 - (at - gap), gap, at);
  bytes.fill(0, gap, 16 - (at - gap));
  return bytes;
}

/** The address whose 16 bytes stand at `offset`, as inet_ntop writes it. */
export function formatIpv6(bytes: Uint8Array, offset = 0): string {
  const group = (i: number): number => (bytes[offset + 2 * i]! << 8) | bytes[offset + 2 * i + 1]!;
  let from = -1;
  let length = 1;
  for (let i = 0; i < GROUPS;) {
    let j = i;
    while (j < GROUPS && group(j) === 0) j++;
    if (j - i > length) {
      from = i;
      length = j - i;
    }
    i = Math.max(j, i + 1);
  }
  const v4 = from === 0 && (length === 6 || (length === 5 && group(5) === 0xffff));
  let text = "";
  for (let i = 0; i < GROUPS; i++) {
    if (i === from) {
      text += i === 0 ? "::" : ":";
      i += length - 1;
      continue;
    }
    if (v4 && i >= 6) return text + formatIpv4(((group(6) << 16) | group(7)) >>> 0);
    text += group(i).toString(16) + (i < GROUPS - 1 ? ":" : "");
  }
  return text;
}
