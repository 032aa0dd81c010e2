/**
 * Signing requests and certificates: RFC 2986 and RFC 5280 in DER (ITU-T X.690). Keys and signatures are @noble/curves' (ECDSA over P-256);
 * this reads and writes what is around them. Loaded with the first request that is to be signed.
 */
import { p256 } from "@noble/curves/nist.js";
import { sha256 } from "@noble/hashes/sha2.js";
import type { Random } from "../../time/clock.ts";

/** What a signing request asks for. */
export interface SigningRequest {
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly dnsNames: readonly string[];
  /** As bytes: four or sixteen. */
  readonly addresses: readonly Uint8Array[];
  readonly emails: readonly string[];
  readonly uris: readonly string[];
  /** DER. */
  readonly subject: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly alternatives: Uint8Array | undefined;
}

interface Element {
  readonly tag: number;
  readonly body: Uint8Array;
  readonly whole: Uint8Array;
}

/** Thrown for what is no DER, or no request. */
export class CertificateError extends Error {}

function read(bytes: Uint8Array, at: number): Element & { end: number } {
  const tag = bytes[at];
  let length = bytes[at + 1];
  if (tag === undefined || length === undefined) throw new CertificateError("asn1: syntax error: data truncated");
  let start = at + 2;
  if (length >= 0x80) {
    const count = length & 0x7f;
    if (count === 0 || count > 3) throw new CertificateError("asn1: structure error: length too large");
    length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + (bytes[start + i] ?? 0);
    start += count;
  }
  const end = start + length;
  if (end > bytes.length) throw new CertificateError("asn1: syntax error: data truncated");
  return { tag, body: bytes.subarray(start, end), whole: bytes.subarray(at, end), end };
}

function children({ body }: Element): Element[] {
  const out: Element[] = [];
  for (let at = 0; at < body.length;) {
    const element = read(body, at);
    out.push(element);
    at = element.end;
  }
  return out;
}

const concat = (...parts: readonly Uint8Array[]): Uint8Array => {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
};

function tlv(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const body = concat(...parts);
  const { length } = body;
  const head = length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 255];
  return concat(Uint8Array.from(head), body);
}

const SEQUENCE = 0x30;
const sequence = (...parts: readonly Uint8Array[]): Uint8Array => tlv(SEQUENCE, ...parts);
const octets = (body: Uint8Array): Uint8Array => tlv(0x04, body);
const bits = (body: Uint8Array, unused = 0): Uint8Array => tlv(0x03, Uint8Array.of(unused), body);
const TRUE = Uint8Array.of(0x01, 0x01, 0xff);
const text = (value: string): Uint8Array => tlv(0x0c, new TextEncoder().encode(value));

function oid(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const out = [first * 40 + second];
  for (const n of rest) {
    const groups = [n & 127];
    for (let left = n >>> 7; left > 0; left >>>= 7) groups.unshift((left & 127) | 128);
    out.push(...groups);
  }
  return tlv(0x06, Uint8Array.from(out));
}

const same = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((byte, i) => byte === b[i]);

const ECDSA_SHA256 = sequence(oid("1.2.840.10045.4.3.2"));
const EC_P256 = sequence(oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7"));
const COMMON_NAME = oid("2.5.4.3");
const ORGANIZATION = oid("2.5.4.10");
const EXTENSION_REQUEST = oid("1.2.840.113549.1.9.14");
const SUBJECT_ALTERNATIVE_NAME = oid("2.5.29.17");

/** The bit of each usage in KeyUsage (RFC 5280 section 4.2.1.3). */
const KEY_USAGES: Readonly<Record<string, number>> = {
  "digital signature": 0, signing: 0, "content commitment": 1, "key encipherment": 2, "data encipherment": 3, "key agreement": 4, "cert sign": 5, "crl sign": 6, "encipher only": 7, "decipher only": 8,
};
const EXTENDED_USAGES: Readonly<Record<string, string>> = {
  any: "2.5.29.37.0", "server auth": "1.3.6.1.5.5.7.3.1", "client auth": "1.3.6.1.5.5.7.3.2", "code signing": "1.3.6.1.5.5.7.3.3", "email protection": "1.3.6.1.5.5.7.3.4", "s/mime": "1.3.6.1.5.5.7.3.4",
  "ipsec end system": "1.3.6.1.5.5.7.3.5", "ipsec tunnel": "1.3.6.1.5.5.7.3.6", "ipsec user": "1.3.6.1.5.5.7.3.7", timestamping: "1.3.6.1.5.5.7.3.8", "ocsp signing": "1.3.6.1.5.5.7.3.9",
};

const fromPem = (pem: string): Uint8Array => {
  const match = /-----BEGIN [A-Z ]+-----([\s\S]*?)-----END/.exec(pem);
  if (match === null) throw new CertificateError("PEM block type must be CERTIFICATE REQUEST");
  return Uint8Array.from(atob(match[1]!.replace(/\s/g, "")), (c) => c.charCodeAt(0));
};

export function toPem(der: Uint8Array): string {
  let binary = "";
  for (const byte of der) binary += String.fromCharCode(byte);
  return `-----BEGIN CERTIFICATE-----\n${(btoa(binary).match(/.{1,64}/g) ?? []).join("\n")}\n-----END CERTIFICATE-----\n`;
}

/** Reads a PEM signing request. Throws {@link CertificateError}. */
export function parseRequest(pem: string): SigningRequest {
  const decoder = new TextDecoder();
  const [info] = children(read(fromPem(pem), 0));
  if (info === undefined) throw new CertificateError("asn1: structure error: tags don't match");
  const [, subject, publicKey, attributes] = children(info);
  if (subject === undefined || publicKey === undefined) throw new CertificateError("asn1: structure error: tags don't match");
  const names: { type: Uint8Array; value: string }[] = children(subject).flatMap((set) => children(set).map((pair) => {
    const [type, value] = children(pair);
    return { type: type!.whole, value: decoder.decode(value!.body) };
  }));
  let alternatives: Uint8Array | undefined;
  for (const attribute of attributes === undefined ? [] : children(attributes)) {
    const [type, values] = children(attribute);
    if (!same(type!.whole, EXTENSION_REQUEST)) continue;
    for (const extension of children(children(values!)[0]!)) {
      const parts = children(extension);
      if (same(parts[0]!.whole, SUBJECT_ALTERNATIVE_NAME)) alternatives = parts.at(-1)!.body;
    }
  }
  const of = (tag: number): Uint8Array[] => (alternatives === undefined ? [] : children(read(alternatives, 0)).filter((name) => name.tag === tag).map(({ body }) => body));
  return {
    commonName: names.find(({ type }) => same(type, COMMON_NAME))?.value ?? "",
    organizations: names.filter(({ type }) => same(type, ORGANIZATION)).map(({ value }) => value),
    dnsNames: of(0x82).map((name) => decoder.decode(name)), emails: of(0x81).map((name) => decoder.decode(name)), uris: of(0x86).map((name) => decoder.decode(name)), addresses: of(0x87),
    subject: subject.whole, publicKey: publicKey.whole, alternatives,
  };
}

/** UTCTime up to 2049, GeneralizedTime after. */
function time(ms: number): Uint8Array {
  const digits = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, "");
  const year = Number(digits.slice(0, 4));
  return tlv(year < 2050 ? 0x17 : 0x18, new TextEncoder().encode(year < 2050 ? digits.slice(2) : digits));
}

function keyUsage(usages: readonly string[]): Uint8Array | undefined {
  const bytes = [0, 0];
  let last = -1;
  for (const usage of usages) {
    const bit = KEY_USAGES[usage];
    if (bit === undefined) continue;
    bytes[bit >> 3]! |= 0x80 >> (bit & 7);
    last = Math.max(last, bit);
  }
  if (last < 0) return undefined;
  return bits(Uint8Array.from(bytes.slice(0, (last >> 3) + 1)), 7 - (last & 7));
}

const extension = (id: string, critical: boolean, value: Uint8Array): Uint8Array => sequence(oid(id), ...(critical ? [TRUE] : []), octets(value));
const keyId = (publicKey: Uint8Array): Uint8Array => sha256(publicKey).subarray(0, 20);

export interface Authority {
  /** PEM. */
  readonly certificate: string;
  /** A certificate for the request, PEM. Times in milliseconds since the epoch. */
  sign(request: SigningRequest, usages: readonly string[], notBeforeMs: number, notAfterMs: number): string;
}

/** An authority with a key of its own, named `kubernetes`, valid for ten years from `nowMs`. */
export function createAuthority(random: Random, nowMs: number): Authority {
  const secret = p256.utils.randomSecretKey(random.bytes(new Uint8Array(48)));
  const point = p256.getPublicKey(secret, false);
  const publicKey = sequence(EC_P256, bits(point));
  const issuer = sequence(tlv(0x31, sequence(COMMON_NAME, text("kubernetes"))));
  const id = keyId(point);
  const certify = (subject: Uint8Array, key: Uint8Array, notBeforeMs: number, notAfterMs: number, extensions: readonly Uint8Array[]): string => {
    const serial = random.bytes(new Uint8Array(16));
    serial[0] = (serial[0]! & 0x7f) | 0x40;
    const body = sequence(
      tlv(0xa0, tlv(0x02, Uint8Array.of(2))), tlv(0x02, serial), ECDSA_SHA256, issuer, sequence(time(notBeforeMs), time(notAfterMs)), subject, key,
      tlv(0xa3, sequence(...extensions)),
    );
    return toPem(sequence(body, ECDSA_SHA256, bits(p256.sign(body, secret, { format: "der" }))));
  };
  const year = 365 * 24 * 3_600_000;
  const certificate = certify(issuer, publicKey, nowMs, nowMs + 10 * year, [
    extension("2.5.29.15", true, keyUsage(["digital signature", "key encipherment", "cert sign"])!), extension("2.5.29.19", true, sequence(TRUE)), extension("2.5.29.14", false, octets(id)),
  ]);
  return {
    certificate,
    sign(request, usages, notBeforeMs, notAfterMs) {
      const use = keyUsage(usages);
      const extended = usages.flatMap((usage) => (EXTENDED_USAGES[usage] === undefined ? [] : [oid(EXTENDED_USAGES[usage])]));
      return certify(request.subject, request.publicKey, notBeforeMs, notAfterMs, [
        ...(use === undefined ? [] : [extension("2.5.29.15", true, use)]),
        ...(extended.length === 0 ? [] : [extension("2.5.29.37", false, sequence(...extended))]),
        extension("2.5.29.19", true, sequence()),
        extension("2.5.29.35", false, sequence(tlv(0x80, id))),
        ...(request.alternatives === undefined ? [] : [extension("2.5.29.17", same(request.subject, sequence()), request.alternatives)]),
      ]);
    },
  };
}
