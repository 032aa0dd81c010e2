/**
 * A certificate authority of our own and a server certificate by it, made anew at every start. Keys and signatures are Node's;
 * this writes the DER around them (RFC 5280 section 4.1, ITU-T X.690).
 */
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import type { KeyObject } from "node:crypto";

export interface ServingCertificate {
  /** All PEM. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

const YEAR_MS = 365 * 24 * 3600 * 1000;
const HOUR_MS = 3_600_000;

/** ECDSA (P-256) certificates that hold for a year; the server's for these DNS names and IPv4 addresses. */
export function makeServingCertificate(names: readonly string[], addresses: readonly string[]): ServingCertificate {
  const authority = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const server = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const keyId = octets(subjectKeyId(authority.publicKey));
  const alternatives = [
    ...names.map((name) => tlv(0x82, Buffer.from(name, "ascii"))),
    ...addresses.map((address) => tlv(0x87, Buffer.from(address.split(".").map(Number)))),
  ];
  const ca = certificate({
    serial: 1, subject: "kubernetes", publicKey: authority.publicKey, signingKey: authority.privateKey,
    extensions: [
      extension(BASIC_CONSTRAINTS, true, sequence(Buffer.of(0x01, 0x01, 0xff))),
      // digitalSignature, keyEncipherment, keyCertSign.
      extension(KEY_USAGE, true, Buffer.of(0x03, 0x02, 0x02, 0xa4)),
      extension(SUBJECT_KEY_ID, false, keyId),
    ],
  });
  const cert = certificate({
    serial: 2, subject: "kube-apiserver", publicKey: server.publicKey, signingKey: authority.privateKey,
    extensions: [
      extension(BASIC_CONSTRAINTS, true, sequence()),
      // digitalSignature, keyEncipherment.
      extension(KEY_USAGE, true, Buffer.of(0x03, 0x02, 0x05, 0xa0)),
      extension(EXTENDED_KEY_USAGE, false, sequence(SERVER_AUTH)),
      extension(AUTHORITY_KEY_ID, false, sequence(tlv(0x80, subjectKeyId(authority.publicKey)))),
      extension(SUBJECT_ALTERNATIVE_NAME, false, sequence(...alternatives)),
    ],
  });
  return { ca: pem(ca), cert: pem(cert), key: server.privateKey.export({ type: "pkcs8", format: "pem" }) as string };
}

interface Contents {
  readonly serial: number;
  readonly subject: string;
  readonly publicKey: KeyObject;
  readonly signingKey: KeyObject;
  readonly extensions: readonly Buffer[];
}

function certificate({ serial, subject, publicKey, signingKey, extensions }: Contents): Buffer {
  const now = Date.now();
  const signed = sequence(
    tlv(0xa0, Buffer.of(0x02, 0x01, 0x02)),
    Buffer.of(0x02, 0x01, serial),
    ECDSA_WITH_SHA256,
    commonName("kubernetes"),
    sequence(utcTime(now - HOUR_MS), utcTime(now + YEAR_MS)),
    commonName(subject),
    publicKey.export({ type: "spki", format: "der" }),
    tlv(0xa3, sequence(...extensions)),
  );
  const signature = sign("sha256", signed, { key: signingKey, dsaEncoding: "der" });
  return sequence(signed, ECDSA_WITH_SHA256, tlv(0x03, Buffer.concat([Buffer.of(0), signature])));
}

function tlv(tag: number, value: Uint8Array): Buffer {
  const { length } = value;
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...head), value]);
}

const sequence = (...parts: readonly Uint8Array[]): Buffer => tlv(0x30, Buffer.concat(parts));
const octets = (value: Uint8Array): Buffer => tlv(0x04, value);
const oid = (...bytes: number[]): Buffer => tlv(0x06, Buffer.from(bytes));

const ECDSA_WITH_SHA256 = sequence(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02));
const SERVER_AUTH = oid(0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01);
const COMMON_NAME = oid(0x55, 0x04, 0x03);
// The arcs of id-ce (2.5.29).
const [SUBJECT_KEY_ID, KEY_USAGE, SUBJECT_ALTERNATIVE_NAME, BASIC_CONSTRAINTS, AUTHORITY_KEY_ID, EXTENDED_KEY_USAGE] = [14, 15, 17, 19, 35, 37] as const;

const extension = (arc: number, critical: boolean, value: Buffer): Buffer =>
  sequence(oid(0x55, 0x1d, arc), ...(critical ? [Buffer.of(0x01, 0x01, 0xff)] : []), octets(value));

const commonName = (name: string): Buffer => sequence(tlv(0x31, sequence(COMMON_NAME, tlv(0x0c, Buffer.from(name)))));

const utcTime = (ms: number): Buffer =>
  tlv(0x17, Buffer.from(`${new Date(ms).toISOString().slice(2, 19).replace(/[-T:]/g, "")}Z`));

/** SHA-1 of the key's bits, which are the end of its SubjectPublicKeyInfo: an uncompressed point of 65 bytes. */
const subjectKeyId = (key: KeyObject): Buffer =>
  createHash("sha1").update(key.export({ type: "spki", format: "der" }).subarray(-65)).digest();

const pem = (der: Buffer): string =>
  `-----BEGIN CERTIFICATE-----\n${(der.toString("base64").match(/.{1,64}/g) as string[]).join("\n")}\n-----END CERTIFICATE-----\n`;
