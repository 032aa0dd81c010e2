/** Addresses as the driver writes them into records: 16 bytes, IPv4 mapped; MACs as 6 bytes. */

const HEX = "0123456789abcdef";

/** Parses dotted decimal into a number in host order, or undefined. Four decimal numbers, no leading zeros of octal. */
export const parseIpv4 = (text: string): number | undefined => {
  let value = 0;
  let part = -1;
  let parts = 0;
  for (let i = 0; i <= text.length; i++) {
    const c = i === text.length ? 46 : text.charCodeAt(i);
    if (c === 46) {
      if (part < 0 || part > 255 || ++parts > 4) return undefined;
      value = value * 256 + part;
      part = -1;
    } else if (c >= 48 && c <= 57) {
      if (part === 0) return undefined;
      part = (part < 0 ? 0 : part * 10) + c - 48;
    } else return undefined;
  }
  return parts === 4 ? value : undefined;
};

/** Dotted decimal of a number in host order. */
export const formatIpv4 = (value: number): string =>
  `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;

/** Parses an IPv6 address (RFC 4291 section 2.2) into eight numbers of 16 bits, or undefined. No zone, no prefix length. */
export const parseIpv6 = (text: string): number[] | undefined => {
  const gap = text.indexOf("::");
  const words = (part: string): number[] | undefined => {
    const found: number[] = [];
    const pieces = part === "" ? [] : part.split(":");
    for (let i = 0; i < pieces.length; i++) {
      const piece = pieces[i]!;
      if (i === pieces.length - 1 && piece.includes(".")) {
        const value = parseIpv4(piece);
        if (value === undefined) return undefined;
        found.push(value >>> 16, value & 0xffff);
      } else if (/^[0-9a-fA-F]{1,4}$/.test(piece)) found.push(parseInt(piece, 16));
      else return undefined;
    }
    return found;
  };
  if (gap < 0) {
    const all = words(text);
    return all?.length === 8 ? all : undefined;
  }
  const head = words(text.slice(0, gap));
  const tail = words(text.slice(gap + 2));
  if (head === undefined || tail === undefined || text.slice(0, gap).includes(".") || head.length + tail.length > 7) return undefined;
  return [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail];
};

/** Text of the 16 bytes at `offset` (RFC 5952): the longest run of zeros left out, lower case; mapped addresses end in dotted decimal. */
export const formatIpv6 = (view: DataView, offset: number): string => {
  const words = Array.from({ length: 8 }, (_, i) => view.getUint16(offset + 2 * i));
  if (words.slice(0, 5).every((word) => word === 0) && words[5] === 0xffff) return `::ffff:${formatIpv4(view.getUint32(offset + 12))}`;
  let from = -1;
  let length = 1;
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && words[end] === 0) end++;
    if (end - i > length) [from, length] = [i, end - i];
    if (end > i) i = end;
  }
  const hex = (part: number[]): string => part.map((word) => word.toString(16)).join(":");
  return from < 0 ? hex(words) : `${hex(words.slice(0, from))}::${hex(words.slice(from + length))}`;
};

/** Writes an address at `offset`, that of an IPv4 text mapped; false when the text is no address. */
export const putAddress = (view: DataView, offset: number, text: string): boolean => {
  const value = parseIpv4(text);
  if (value === undefined) {
    const words = parseIpv6(text);
    words?.forEach((word, i) => view.setUint16(offset + 2 * i, word));
    return words !== undefined;
  }
  view.setUint32(offset, 0);
  view.setUint32(offset + 4, 0);
  view.setUint32(offset + 8, 0xffff);
  view.setUint32(offset + 12, value);
  return true;
};

/** Is the address at `offset` one of IPv4, mapped? */
export const isMapped = (view: DataView, offset: number): boolean =>
  view.getUint32(offset + 8) === 0xffff && view.getUint32(offset) === 0 && view.getUint32(offset + 4) === 0;

/** Reads an address as text, a mapped one as IPv4's. */
export const getAddress = (view: DataView, offset: number): string =>
  isMapped(view, offset) ? formatIpv4(view.getUint32(offset + 12)) : formatIpv6(view, offset);

/** Parses `aa:bb:cc:dd:ee:ff`, or undefined. */
export const parseMac = (text: string): Uint8Array | undefined => {
  const parts = text.split(":");
  if (parts.length !== 6) return undefined;
  const bytes = new Uint8Array(6);
  for (let i = 0; i < 6; i++) {
    const part = parts[i] ?? "";
    if (!/^[0-9a-fA-F]{1,2}$/.test(part)) return undefined;
    bytes[i] = parseInt(part, 16);
  }
  return bytes;
};

/** `aa:bb:cc:dd:ee:ff` of six bytes at `offset`. */
export const formatMac = (bytes: Uint8Array, offset = 0): string => {
  let text = "";
  for (let i = 0; i < 6; i++) {
    const byte = bytes[offset + i] ?? 0;
    text += (i === 0 ? "" : ":") + HEX[byte >> 4] + HEX[byte & 15];
  }
  return text;
};
