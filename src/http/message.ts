/**
 * HTTP/1.1 messages over a TcpStream (RFC 9112): reading start lines, headers and bodies. Used by the client, the
 * server and the kubelet's probes. Not here: trailers are read and dropped, `Expect` and `Upgrade` are ignored.
 */
import type { TcpStream } from "../kernel/sockets.ts";

/** Header names in lower case; a field that comes twice is joined by ", ". */
export type Headers = Record<string, string>;

/** The peer sent something that is not HTTP. `status` is what a server answers. */
export class HttpError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.name = "HttpError";
    this.status = status;
  }
}

const HEAD_BYTES_MAX = 64 * 1024;

/** Reads lines and byte runs from a stream. */
export class StreamReader {
  private readonly stream: Pick<TcpStream, "read">;
  private buffer = new Uint8Array(0);
  private ended = false;

  constructor(stream: Pick<TcpStream, "read">) {
    this.stream = stream;
  }

  private async fill(signal?: AbortSignal): Promise<boolean> {
    if (this.ended) return false;
    const chunk = await this.stream.read(signal);
    if (chunk === undefined) {
      this.ended = true;
      return false;
    }
    if (this.buffer.length === 0) this.buffer = chunk as Uint8Array<ArrayBuffer>;
    else {
      const joined = new Uint8Array(this.buffer.length + chunk.length);
      joined.set(this.buffer);
      joined.set(chunk, this.buffer.length);
      this.buffer = joined;
    }
    return true;
  }

  /** One line without its end; undefined at the end of the stream. */
  async line(signal?: AbortSignal): Promise<string | undefined> {
    let from = 0;
    for (;;) {
      const at = this.buffer.indexOf(10, from);
      if (at >= 0) {
        const end = at > 0 && this.buffer[at - 1] === 13 ? at - 1 : at;
        const text = latin1(this.buffer.subarray(0, end));
        this.buffer = this.buffer.subarray(at + 1);
        return text;
      }
      if (this.buffer.length > HEAD_BYTES_MAX) throw new HttpError(431, "header line too long");
      from = this.buffer.length;
      if (!(await this.fill(signal))) {
        if (this.buffer.length > 0) throw new HttpError(400, "unexpected EOF");
        return undefined;
      }
    }
  }

  /** Exactly `length` bytes. */
  async bytes(length: number, signal?: AbortSignal): Promise<Uint8Array> {
    while (this.buffer.length < length) if (!(await this.fill(signal))) throw new HttpError(400, "unexpected EOF");
    const out = this.buffer.slice(0, length);
    this.buffer = this.buffer.subarray(length);
    return out;
  }

  /** Everything up to the end of the stream. */
  async rest(signal?: AbortSignal): Promise<Uint8Array> {
    while (await this.fill(signal));
    const out = this.buffer.slice();
    this.buffer = new Uint8Array(0);
    return out;
  }
}

/** Reads header fields up to the empty line (RFC 9112, section 5). */
export async function readHeaders(reader: StreamReader, signal?: AbortSignal): Promise<Headers> {
  const headers: Headers = {};
  let total = 0;
  for (;;) {
    const line = await reader.line(signal);
    if (line === undefined) throw new HttpError(400, "unexpected EOF");
    if (line === "") return headers;
    total += line.length;
    if (total > HEAD_BYTES_MAX) throw new HttpError(431, "header too long");
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(0, colon)).toLowerCase();
    if (!/^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name)) throw new HttpError(400, "malformed header");
    const value = line.slice(colon + 1).trim();
    headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`;
  }
}

/** Reads a body by its framing (RFC 9112, section 6.3). `untilClose`: no length means up to the end (a response). */
export async function readBody(
  reader: StreamReader, headers: Headers, untilClose: boolean, signal?: AbortSignal,
): Promise<Uint8Array> {
  if (/\bchunked\b/i.test(headers["transfer-encoding"] ?? "")) {
    const parts: Uint8Array[] = [];
    for (;;) {
      const size = ((await reader.line(signal)) ?? "").split(";")[0]!.trim();
      if (!/^[0-9a-fA-F]{1,7}$/.test(size)) throw new HttpError(400, "malformed chunk");
      const length = parseInt(size, 16);
      if (length === 0) break;
      parts.push(await reader.bytes(length, signal));
      if ((await reader.line(signal)) !== "") throw new HttpError(400, "malformed chunk");
    }
    while (((await reader.line(signal)) ?? "") !== "");
    return concat(parts);
  }
  const length = headers["content-length"];
  if (length !== undefined) {
    if (!/^[0-9]{1,10}$/.test(length)) throw new HttpError(400, "bad Content-Length");
    return reader.bytes(Number(length), signal);
  }
  return untilClose ? reader.rest(signal) : new Uint8Array(0);
}

/** A head as bytes: the start line, fields in the order given, the empty line. */
export function encodeHead(startLine: string, fields: readonly (readonly [string, string])[]): Uint8Array {
  return new TextEncoder().encode(`${startLine}\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`);
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function latin1(bytes: Uint8Array): string {
  let out = "";
  for (let i = 0; i < bytes.length; i += 4096) out += String.fromCharCode(...bytes.subarray(i, i + 4096));
  return out;
}

/** The `Date` header's form (RFC 9110, section 5.6.7) of milliseconds since the epoch. */
export function httpDate(ms: number): string {
  const [date, time] = new Date(Math.floor(ms)).toISOString().split("T") as [string, string];
  const [year, month, day] = date.split("-") as [string, string, string];
  const weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][Math.floor(ms / 86_400_000) % 7]!;
  const name = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][Number(month) - 1]!;
  return `${weekday}, ${day} ${name} ${year} ${time.slice(0, 8)} GMT`;
}
