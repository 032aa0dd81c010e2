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

/** Writes the mapped address of an IPv4 text at `offset`; false when the text is no address. */
export const putAddress = (view: DataView, offset: number, text: string): boolean => {
  const value = parseIpv4(text);
  if (value === undefined) return false;
  view.setUint32(offset, 0);
  view.setUint32(offset + 4, 0);
  view.setUint32(offset + 8, 0xffff);
  view.setUint32(offset + 12, value);
  return true;
};

/** Reads a mapped address as text. */
export const getAddress = (view: DataView, offset: number): string => formatIpv4(view.getUint32(offset + 12));

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
