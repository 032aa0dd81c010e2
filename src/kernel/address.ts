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

/** IPv6 as text, of the 16 bytes: only the driver of the full kernel knows it (devices.ts), what pages load does not. */
export interface Ipv6Text {
  readonly parse: (text: string) => Uint8Array | undefined;
  readonly format: (bytes: Uint8Array) => string;
}
let six: Ipv6Text | undefined;
export const useIpv6Text = (text: Ipv6Text): void => {
  six = text;
};
export const parseIpv6 = (text: string): Uint8Array | undefined => six?.parse(text);

/** Writes an address at `offset`, that of an IPv4 text mapped; false when the text is no address. */
export const putAddress = (view: DataView, offset: number, text: string): boolean => {
  const value = parseIpv4(text);
  if (value === undefined) {
    const bytes = parseIpv6(text);
    bytes?.forEach((byte, i) => view.setUint8(offset + i, byte));
    return bytes !== undefined;
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
  six === undefined || isMapped(view, offset) ? formatIpv4(view.getUint32(offset + 12))
    : six.format(new Uint8Array(view.buffer, view.byteOffset + offset, 16));

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
