/** Addresses of ip6tables' words (libxtables/xtables.c xtables_ip6parse_any, xtables_ip6mask_to_cidr). */
import { formatIpv6, parseIpv6 } from "../address6.ts";
import { parseNumber, usage } from "./text.ts";
import type { Writer } from "./writer.ts";

export interface AddressMask6 {
  readonly address: Uint8Array;
  readonly mask: Uint8Array;
}

/** The mask of `bits` bits. */
export function lengthMask6(bits: number): Uint8Array {
  const mask = new Uint8Array(16);
  for (let i = 0; i < 16; i++) mask[i] = (0xff00 >> Math.min(8, Math.max(0, bits - 8 * i))) & 255;
  return mask;
}

/** The length of a mask, or -1 when it has holes. */
export function maskLength6(mask: Uint8Array): number {
  let bits = 0;
  while (bits < 128 && (mask[bits >> 3]! >> (7 - (bits & 7))) & 1) bits++;
  const whole = lengthMask6(bits);
  return mask.every((byte, i) => byte === whole[i]) ? bits : -1;
}

/** A mask as its length, or as an address when it has holes. */
export const formatMask6 = (mask: Uint8Array): string => {
  const bits = maskLength6(mask);
  return bits < 0 ? formatIpv6(mask) : String(bits);
};

const parseMask6 = (text: string): Uint8Array => {
  const bits = parseNumber(text, 0, 128);
  const mask = bits === undefined ? parseIpv6(text) : lengthMask6(bits);
  if (mask === undefined) throw usage(`invalid mask \`${text}' specified`);
  return mask;
};

const LOCALHOST = "::1";

/** `ADDRESS[/MASK]`: the bits beyond the mask are cut off. Names are not resolved, `localhost` is known. */
export function parseHost6(text: string, refuse = (name: string): Error => usage(`host/network \`${name}' not found`)): AddressMask6 {
  const slash = text.indexOf("/");
  const name = slash < 0 ? text : text.slice(0, slash);
  const mask = slash < 0 ? lengthMask6(128) : parseMask6(text.slice(slash + 1));
  const address = parseIpv6(name === "localhost" ? LOCALHOST : name);
  if (address === undefined) throw refuse(name);
  return { address: address.map((byte, i) => byte & mask[i]!), mask };
}

/** A host that an option of an extension names (XTTYPE_HOST, XTTYPE_HOSTMASK). */
export const NO_HOST = (): Error => usage("getaddrinfo: Address family for hostname not supported\n");
export const parseOptionHost6 = (text: string): Uint8Array => {
  const address = parseIpv6(text);
  if (address === undefined) throw NO_HOST();
  return address;
};

export const writeBytes = (w: Writer, bytes: Uint8Array): void => {
  for (const byte of bytes) w.u8(byte);
};
