/**
 * DNS messages (RFC 1035; AAAA: RFC 3596, SRV: RFC 2782, OPT: RFC 6891), as bytes and back. Any bytes may come in:
 * the result is a message or a DnsError, in time linear in the length.
 */
import { formatIp, parseIp } from "../cni/ip.ts";

export const TYPE = {
  A: 1, NS: 2, CNAME: 5, SOA: 6, PTR: 12, MX: 15, TXT: 16, AAAA: 28, SRV: 33, OPT: 41, ANY: 255,
} as const;
export const CLASS_IN = 1;
export const RCODE = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;

const typeNames = new Map<number, string>(Object.entries(TYPE).map(([name, value]) => [value, name]));
const rcodeNames = new Map<number, string>(Object.entries(RCODE).map(([name, value]) => [value, name]));
/** `A`, or `TYPE65` for one without a name here (RFC 3597). */
export const typeName = (type: number): string => typeNames.get(type) ?? `TYPE${type}`;
export const rcodeName = (rcode: number): string => rcodeNames.get(rcode) ?? `RCODE${rcode}`;

export class DnsError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "DnsError";
  }
}

export interface Question {
  /** With a dot at its end, in the case it was sent; `.` is the root. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
}

/** Data by type; for all others the bytes as they are. */
export type RecordData =
  | { readonly type: 1 | 28; readonly address: string }
  | { readonly type: 2 | 5 | 12; readonly target: string }
  | { readonly type: 15; readonly preference: number; readonly exchange: string }
  | { readonly type: 16; readonly texts: readonly string[] }
  | { readonly type: 33; readonly priority: number; readonly weight: number; readonly port: number; readonly target: string }
  | { readonly type: 6; readonly mname: string; readonly rname: string; readonly serial: number; readonly refresh: number;
      readonly retry: number; readonly expire: number; readonly minimum: number }
  | { readonly type: "other"; readonly code: number; readonly bytes: Uint8Array };

export interface ResourceRecord {
  readonly name: string;
  readonly class: number;
  /** Seconds. */
  readonly ttl: number;
  readonly data: RecordData;
}

/** EDNS(0): what the OPT record says. */
export interface Edns {
  readonly udpSize: number;
  readonly version: number;
  readonly dnssecOk: boolean;
  readonly options: readonly { readonly code: number; readonly data: Uint8Array }[];
}

export interface Message {
  readonly id: number;
  readonly response: boolean;
  readonly opcode: number;
  readonly authoritative: boolean;
  readonly truncated: boolean;
  readonly recursionDesired: boolean;
  readonly recursionAvailable: boolean;
  readonly authenticData: boolean;
  readonly checkingDisabled: boolean;
  /** With the upper bits of an OPT record. */
  readonly rcode: number;
  readonly questions: readonly Question[];
  readonly answers: readonly ResourceRecord[];
  readonly authorities: readonly ResourceRecord[];
  /** Without the OPT record. */
  readonly additionals: readonly ResourceRecord[];
  readonly edns?: Edns;
}

export const recordType = (data: RecordData): number => (data.type === "other" ? data.code : data.type);

/** A query as resolvers send it. */
export const query = (id: number, name: string, type: number): Message => ({
  id, response: false, opcode: 0, authoritative: false, truncated: false, recursionDesired: true, recursionAvailable: false,
  authenticData: false, checkingDisabled: false, rcode: 0,
  questions: [{ name, type, class: CLASS_IN }], answers: [], authorities: [], additionals: [],
});

/** The beginning of an answer to `request`: id, opcode, RD, CD and the question are taken over. */
export const reply = (request: Message, rcode: number): Message => ({
  id: request.id, response: true, opcode: request.opcode, authoritative: false, truncated: false,
  recursionDesired: request.recursionDesired, recursionAvailable: false, authenticData: false,
  checkingDisabled: request.checkingDisabled, rcode,
  questions: request.questions, answers: [], authorities: [], additionals: [],
});

/** A name in the form used for comparing: lower case (ASCII), a dot at its end. */
export const canonicalName = (name: string): string => {
  const lower = name.replace(/[A-Z]/g, (c) => String.fromCharCode(c.charCodeAt(0) + 32));
  return lower.endsWith(".") ? lower : `${lower}.`;
};

/** The labels of a name in presentation form (RFC 1035, section 5.1: `\.` and `\DDD`); throws DnsError. */
export function labelsOf(name: string): Uint8Array[] {
  if (name === "" || name === ".") return [];
  const out: Uint8Array[] = [];
  let label: number[] = [];
  let total = 1;
  const push = (): void => {
    if (label.length === 0 || label.length > 63) throw new DnsError(`bad label in name "${name}"`);
    total += label.length + 1;
    if (total > 255) throw new DnsError(`name too long: "${name}"`);
    out.push(Uint8Array.from(label));
    label = [];
  };
  for (let i = 0; i < name.length; i++) {
    const c = name.charCodeAt(i);
    if (c === 46) push();
    else if (c === 92) {
      const digits = /^[0-9]{3}/.exec(name.slice(i + 1, i + 4));
      const code = digits === null ? name.charCodeAt(i + 1) : Number(digits[0]);
      if (Number.isNaN(code) || code > 255) throw new DnsError(`bad escape in name "${name}"`);
      label.push(code);
      i += digits === null ? 1 : 3;
    } else if (c > 255) throw new DnsError(`bad character in name "${name}"`);
    else label.push(c);
  }
  if (label.length > 0) push();
  return out;
}

/** One label in presentation form. */
function labelText(bytes: Uint8Array): string {
  let out = "";
  for (const c of bytes) {
    if (c === 46 || c === 92 || c === 34 || c === 59 || c === 40 || c === 41 || c === 64 || c === 36) out += `\\${String.fromCharCode(c)}`;
    else if (c < 33 || c > 126) out += `\\${String(c).padStart(3, "0")}`;
    else out += String.fromCharCode(c);
  }
  return out;
}

class Reader {
  readonly bytes: Uint8Array;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  u8(): number {
    const value = this.bytes[this.at++];
    if (value === undefined) throw new DnsError("message too short");
    return value;
  }

  u16(): number {
    return (this.u8() << 8) | this.u8();
  }

  u32(): number {
    return this.u16() * 0x10000 + this.u16();
  }

  take(length: number): Uint8Array {
    if (this.at + length > this.bytes.length) throw new DnsError("message too short");
    this.at += length;
    return this.bytes.slice(this.at - length, this.at);
  }

  /** A name; pointers may only lead back, so that there is no loop (RFC 1035, section 4.1.4). */
  name(): string {
    let out = "", total = 1, at = this.at, limit = this.at, after = -1;
    for (;;) {
      const length = this.bytes[at];
      if (length === undefined) throw new DnsError("message too short");
      if (length >= 0xc0) {
        const low = this.bytes[at + 1];
        if (low === undefined) throw new DnsError("message too short");
        const target = ((length & 0x3f) << 8) | low;
        if (after < 0) after = at + 2;
        if (target >= limit) throw new DnsError("bad compression pointer");
        at = limit = target;
      } else if (length > 63) {
        throw new DnsError("bad label type");
      } else if (length === 0) {
        this.at = after < 0 ? at + 1 : after;
        return out === "" ? "." : out;
      } else {
        total += length + 1;
        if (total > 255) throw new DnsError("name too long");
        if (at + 1 + length > this.bytes.length) throw new DnsError("message too short");
        out += `${labelText(this.bytes.subarray(at + 1, at + 1 + length))}.`;
        at += length + 1;
      }
    }
  }
}

/** Reads a message. Throws DnsError for malformed bytes. Bytes after the message are ignored, as resolvers do. */
export function decode(bytes: Uint8Array): Message {
  const r = new Reader(bytes);
  const id = r.u16(), flags = r.u16();
  const counts = [r.u16(), r.u16(), r.u16(), r.u16()] as const;
  const questions: Question[] = [];
  for (let i = 0; i < counts[0]; i++) questions.push({ name: r.name(), type: r.u16(), class: r.u16() });
  let edns: Edns | undefined;
  let upperRcode = 0;
  const section = (count: number, additional: boolean): ResourceRecord[] => {
    const out: ResourceRecord[] = [];
    for (let i = 0; i < count; i++) {
      const name = r.name(), type = r.u16(), cls = r.u16(), ttl = r.u32(), length = r.u16();
      const end = r.at + length;
      if (end > bytes.length) throw new DnsError("message too short");
      if (type === TYPE.OPT && additional) {
        if (edns !== undefined || name !== ".") throw new DnsError("bad OPT record");
        const options: { code: number; data: Uint8Array }[] = [];
        while (r.at < end) options.push({ code: r.u16(), data: r.take(r.u16()) });
        edns = { udpSize: cls, version: Math.floor(ttl / 0x10000) & 255, dnssecOk: (ttl & 0x8000) !== 0, options };
        upperRcode = Math.floor(ttl / 0x1000000);
      } else {
        out.push({ name, class: cls, ttl, data: readData(r, type, length) });
      }
      if (r.at !== end) throw new DnsError("bad record length");
    }
    return out;
  };
  const answers = section(counts[1], false), authorities = section(counts[2], false), additionals = section(counts[3], true);
  return {
    id, response: (flags & 0x8000) !== 0, opcode: (flags >> 11) & 15, authoritative: (flags & 0x400) !== 0,
    truncated: (flags & 0x200) !== 0, recursionDesired: (flags & 0x100) !== 0, recursionAvailable: (flags & 0x80) !== 0,
    authenticData: (flags & 0x20) !== 0, checkingDisabled: (flags & 0x10) !== 0, rcode: (flags & 15) | (upperRcode << 4),
    questions, answers, authorities, additionals, ...(edns === undefined ? {} : { edns }),
  };
}

function readData(r: Reader, type: number, length: number): RecordData {
  const end = r.at + length;
  switch (type) {
    case TYPE.A:
    case TYPE.AAAA: {
      if (length !== (type === TYPE.A ? 4 : 16)) throw new DnsError("bad address length");
      return { type, address: formatIp(r.take(length)) };
    }
    case TYPE.NS:
    case TYPE.CNAME:
    case TYPE.PTR:
      return { type, target: r.name() };
    case TYPE.MX:
      return { type, preference: r.u16(), exchange: r.name() };
    case TYPE.TXT: {
      const texts: string[] = [];
      while (r.at < end) texts.push(String.fromCharCode(...r.take(r.u8())));
      return { type, texts };
    }
    case TYPE.SRV:
      return { type, priority: r.u16(), weight: r.u16(), port: r.u16(), target: r.name() };
    case TYPE.SOA:
      return { type, mname: r.name(), rname: r.name(), serial: r.u32(), refresh: r.u32(), retry: r.u32(), expire: r.u32(), minimum: r.u32() };
    default:
      return { type: "other", code: type, bytes: r.take(length) };
  }
}

class Writer {
  bytes = new Uint8Array(512);
  at = 0;
  /** Offsets of name suffixes written so far, as they are spelt: a pointer must not change a letter's case. */
  private readonly names = new Map<string, number>();

  private room(length: number): void {
    if (this.at + length <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.at + length));
    grown.set(this.bytes);
    this.bytes = grown;
  }

  u8(value: number): void {
    this.room(1);
    this.bytes[this.at++] = value;
  }

  u16(value: number): void {
    this.u8((value >> 8) & 255);
    this.u8(value & 255);
  }

  u32(value: number): void {
    this.u16(Math.floor(value / 0x10000));
    this.u16(value & 0xffff);
  }

  raw(bytes: Uint8Array): void {
    this.room(bytes.length);
    this.bytes.set(bytes, this.at);
    this.at += bytes.length;
  }

  name(name: string, compress: boolean): void {
    const labels = labelsOf(name);
    for (let i = 0; i < labels.length; i++) {
      const suffix = labels.slice(i).map((label) => labelText(label)).join(".");
      const known = this.names.get(suffix);
      if (compress && known !== undefined) {
        this.u16(0xc000 | known);
        return;
      }
      if (known === undefined && this.at < 0x4000) this.names.set(suffix, this.at);
      this.u8(labels[i]!.length);
      this.raw(labels[i]!);
    }
    this.u8(0);
  }
}

/**
 * Writes a message, names compressed. With `sizeMax` (bytes), records that do not fit are left out and TC is set,
 * as a server answers over UDP.
 */
export function encode(message: Message, sizeMax = 65535): Uint8Array {
  const w = new Writer();
  const flags = (message.response ? 0x8000 : 0) | (message.opcode << 11) | (message.authoritative ? 0x400 : 0) |
    (message.recursionDesired ? 0x100 : 0) | (message.recursionAvailable ? 0x80 : 0) |
    (message.authenticData ? 0x20 : 0) | (message.checkingDisabled ? 0x10 : 0) | (message.rcode & 15);
  w.u16(message.id);
  w.u16(flags);
  w.u16(message.questions.length);
  for (let i = 0; i < 3; i++) w.u16(0);
  for (const { name, type, class: cls } of message.questions) {
    w.name(name, true);
    w.u16(type);
    w.u16(cls);
  }
  const optSize = message.edns === undefined ? 0 : 11 + message.edns.options.reduce((sum, o) => sum + 4 + o.data.length, 0);
  const counts = [0, 0, 0];
  let truncated = message.truncated, full = false;
  [message.answers, message.authorities, message.additionals].forEach((records, section) => {
    for (const record of records) {
      if (full) return;
      const before = w.at;
      writeRecord(w, record);
      if (w.at + optSize > sizeMax) {
        w.at = before;
        // What is missing of the additional section is not a loss (RFC 2181, section 9).
        truncated ||= section < 2;
        full = true;
        return;
      }
      counts[section]!++;
    }
  });
  if (message.edns !== undefined) {
    const { udpSize, version, dnssecOk, options } = message.edns;
    w.u8(0);
    w.u16(TYPE.OPT);
    w.u16(udpSize);
    w.u32(((message.rcode >> 4) & 255) * 0x1000000 + version * 0x10000 + (dnssecOk ? 0x8000 : 0));
    w.u16(optSize - 11);
    for (const { code, data } of options) {
      w.u16(code);
      w.u16(data.length);
      w.raw(data);
    }
    counts[2]!++;
  }
  const out = w.bytes.slice(0, w.at);
  if (truncated) out[2]! |= 0x02;
  counts.forEach((count, i) => {
    out[6 + 2 * i] = count >> 8;
    out[7 + 2 * i] = count & 255;
  });
  return out;
}

function writeRecord(w: Writer, { name, class: cls, ttl, data }: ResourceRecord): void {
  w.name(name, true);
  w.u16(recordType(data));
  w.u16(cls);
  w.u32(ttl);
  const lengthAt = w.at;
  w.u16(0);
  switch (data.type) {
    case 1:
    case 28: {
      const ip = parseIp(data.address);
      if (ip === undefined || ip.length !== (data.type === 1 ? 4 : 16)) throw new DnsError(`bad address "${data.address}"`);
      w.raw(ip);
      break;
    }
    case 2:
    case 5:
    case 12:
      w.name(data.target, true);
      break;
    case 15:
      w.u16(data.preference);
      w.name(data.exchange, true);
      break;
    case 16:
      for (const text of data.texts) {
        const bytes = Uint8Array.from(text, (c) => c.charCodeAt(0) & 255).subarray(0, 255);
        w.u8(bytes.length);
        w.raw(bytes);
      }
      break;
    case 33:
      w.u16(data.priority);
      w.u16(data.weight);
      w.u16(data.port);
      w.name(data.target, false); // RFC 2782: no compression here
      break;
    case 6:
      w.name(data.mname, true);
      w.name(data.rname, true);
      for (const value of [data.serial, data.refresh, data.retry, data.expire, data.minimum]) w.u32(value);
      break;
    case "other":
      w.raw(data.bytes);
  }
  const length = w.at - lengthAt - 2;
  w.bytes[lengthAt] = length >> 8;
  w.bytes[lengthAt + 1] = length & 255;
}
