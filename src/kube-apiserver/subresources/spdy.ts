/**
 * SPDY/3.1, as much of the server's end as exec, attach and port-forward need: streams that clients open. Follows
 * github.com/moby/spdystream and its spdy package, and k8s.io/apimachinery/pkg/util/httpstream (httpstream.go: Handshake, spdy/upgrade.go).
 */
import { Inflate } from "fflate";
import { failure } from "../../apimachinery/status.ts";
import type { Connection } from "../../client/transport.ts";
import { concat } from "./websocket.ts";
import type { WebSocketEvents } from "./websocket.ts";

const TYPE = { SYN_STREAM: 1, SYN_REPLY: 2, RST_STREAM: 3, PING: 6, GOAWAY: 7, HEADERS: 8, WINDOW_UPDATE: 9 } as const;
const FIN = 1;
const CANCEL = 5;
const VERSION = 0x8003;
/** The longest data frame that is sent. */
const DATA_BYTES_MAX = 64 * 1024;

export interface SpdyStream {
  readonly id: number;
  /** Names in lower case; the last value of each. */
  readonly headers: Readonly<Record<string, string>>;
  on(events: { data(bytes: Uint8Array): void; end(): void; reset(): void }): void;
  reply(): void;
  send(bytes: Uint8Array): void;
  /** Says that nothing more is sent. */
  end(): void;
  reset(): void;
}

type Events = Parameters<SpdyStream["on"]>[0];

/** Whether this is a request for SPDY. */
export function isSpdy(headers: Readonly<Record<string, string>>): boolean {
  return (headers["upgrade"] ?? "").toLowerCase() === "spdy/3.1" && /\bupgrade\b/i.test(headers["connection"] ?? "");
}

/** Which of the protocols that the client offers is spoken over the streams: the first of its own; `otherwise` where it offers none. */
export function chooseStreamProtocol(headers: Readonly<Record<string, string>>, spoken: readonly string[], otherwise: string): string {
  const offered = (headers["x-stream-protocol-version"] ?? "").split(",").map((name) => name.trim()).filter((name) => name !== "");
  if (offered.length === 0) return otherwise;
  const found = offered.find((name) => spoken.includes(name));
  if (found === undefined) throw failure(403, "Forbidden", `unable to upgrade: unable to negotiate protocol: client supports [${offered.join(" ")}], server accepts [${spoken.join(" ")}]`);
  return found;
}

/** Accepts: answers the upgrade and starts to read. */
export function acceptSpdy(connection: Connection, protocol: string, events: WebSocketEvents): { send(bytes: Uint8Array): void; close(): void } {
  const version = protocol === "" ? "" : `X-Stream-Protocol-Version: ${protocol}\r\n`;
  connection.write(new TextEncoder().encode(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n${version}\r\n`));
  let over = false;
  const finish = (): void => {
    if (over) return;
    over = true;
    connection.end();
    events.close();
  };
  connection.start({
    data(bytes) {
      if (!over) events.message(new Uint8Array(bytes));
    },
    close: finish,
  });
  return {
    send(bytes) {
      if (!over) connection.write(bytes);
    },
    close: finish,
  };
}

/** `take` reads what comes, `write` gets what goes out. */
export function createSpdyConnection(write: (bytes: Uint8Array) => void, opened: (stream: SpdyStream) => void): { take(bytes: Uint8Array): void; goAway(): void } {
  const streams = new Map<number, Events>();
  let buffered: Uint8Array = new Uint8Array(0);
  const inflate = createHeaderReader();
  let first = true;
  const control = (type: number, payload: Uint8Array, flags = 0): void => {
    const frame = new Uint8Array(8 + payload.length);
    const view = new DataView(frame.buffer);
    view.setUint16(0, VERSION);
    view.setUint16(2, type);
    view.setUint32(4, payload.length);
    frame[4] = flags;
    frame.set(payload, 8);
    write(frame);
  };
  const data = (id: number, bytes: Uint8Array, flags: number): void => {
    const frame = new Uint8Array(8 + bytes.length);
    const view = new DataView(frame.buffer);
    view.setUint32(0, id);
    view.setUint32(4, bytes.length);
    frame[4] = flags;
    frame.set(bytes, 8);
    write(frame);
  };
  let lastId = 0;
  const synStream = (payload: Uint8Array, flags: number): void => {
    const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
    const id = view.getUint32(0) & 0x7fffffff;
    lastId = id;
    const headers = parseHeaders(inflate(payload.subarray(10)));
    let ended = false;
    const stream: SpdyStream = {
      id, headers,
      on(events) {
        streams.set(id, events);
        if (flags & FIN) events.end();
      },
      reply() {
        const block = new Uint8Array(4);
        // The header block is one compressed stream over all replies: its own head comes with the first.
        // An empty block after it flushes it: Go's reader waits for that.
        const stored = Uint8Array.of(0, block.length, 0, 255 - block.length, 255, ...block, 0, 0, 0, 255, 255);
        control(TYPE.SYN_REPLY, concat([uint32(id), first ? Uint8Array.of(0x78, 0x01) : new Uint8Array(0), stored]));
        first = false;
      },
      send(bytes) {
        for (let at = 0; at < bytes.length && !ended; at += DATA_BYTES_MAX) data(id, bytes.subarray(at, at + DATA_BYTES_MAX), 0);
      },
      end() {
        if (!ended) data(id, new Uint8Array(0), FIN);
        ended = true;
      },
      reset() {
        ended = true;
        control(TYPE.RST_STREAM, concat([uint32(id), uint32(CANCEL)]));
      },
    };
    opened(stream);
  };
  const takeControl = (type: number, flags: number, payload: Uint8Array): void => {
    const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
    switch (type) {
      case TYPE.SYN_STREAM: synStream(payload, flags); break;
      case TYPE.PING: control(TYPE.PING, payload.slice(0, 4)); break;
      // Their header blocks belong to the same compressed stream.
      case TYPE.SYN_REPLY: case TYPE.HEADERS: inflate(payload.subarray(4)); break;
      case TYPE.RST_STREAM: {
        const id = view.getUint32(0) & 0x7fffffff;
        streams.get(id)?.reset();
        streams.delete(id);
      }
    }
  };
  return {
    /** Says that no more streams are taken. */
    goAway: () => control(TYPE.GOAWAY, concat([uint32(lastId), uint32(0)])),
    take(bytes) {
      buffered = buffered.length === 0 ? bytes : concat([buffered, bytes]);
      while (buffered.length >= 8) {
        const view = new DataView(buffered.buffer, buffered.byteOffset, buffered.byteLength);
        const length = view.getUint32(4) & 0xffffff;
        if (buffered.length < 8 + length) return;
        const payload = buffered.subarray(8, 8 + length);
        const flags = buffered[4]!;
        const head = view.getUint16(0);
        const type = view.getUint16(2);
        const id = view.getUint32(0) & 0x7fffffff;
        buffered = buffered.subarray(8 + length);
        if (head & 0x8000) takeControl(type, flags, payload);
        else {
          if (payload.length > 0) streams.get(id)?.data(payload.slice());
          if (flags & FIN) streams.get(id)?.end();
        }
      }
    },
  };
}

const uint32 = (value: number): Uint8Array => Uint8Array.of(value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255);

/** Header blocks are one zlib stream over the connection, flushed after each. */
function createHeaderReader(): (bytes: Uint8Array) => Uint8Array {
  let inflater: Inflate | undefined;
  let out: Uint8Array[] = [];
  return (bytes) => {
    let rest = bytes;
    if (inflater === undefined) {
      inflater = new Inflate({ dictionary: DICTIONARY }, (chunk) => out.push(chunk));
      // The head of zlib: two bytes, and four that name the dictionary.
      rest = rest.subarray(rest[1]! & 0x20 ? 6 : 2);
    }
    inflater.push(rest.slice(), false);
    const whole = concat(out);
    out = [];
    return whole;
  };
}

function parseHeaders(block: Uint8Array): Record<string, string> {
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  const decoder = new TextDecoder();
  let at = 4;
  const text = (): string => {
    const length = view.getUint32(at);
    at += 4 + length;
    return decoder.decode(block.subarray(at - length, at));
  };
  const headers: Record<string, string> = {};
  for (let left = view.getUint32(0); left > 0; left--) {
    const name = text().toLowerCase();
    headers[name] = text().split("\0").at(-1)!;
  }
  return headers;
}

/** SPDY/3's words, each with its length before it, and a text after them. */
export const DICTIONARY = ((): Uint8Array => {
  const words = ["options", "head", "post", "put", "delete", "trace", "accept", "accept-charset", "accept-encoding", "accept-language", "accept-ranges", "age", "allow",
    "authorization", "cache-control", "connection", "content-base", "content-encoding", "content-language", "content-length", "content-location", "content-md5",
    "content-range", "content-type", "date", "etag", "expect", "expires", "from", "host", "if-match", "if-modified-since", "if-none-match", "if-range",
    "if-unmodified-since", "last-modified", "location", "max-forwards", "pragma", "proxy-authenticate", "proxy-authorization", "range", "referer", "retry-after",
    "server", "te", "trailer", "transfer-encoding", "upgrade", "user-agent", "vary", "via", "warning", "www-authenticate", "method", "get", "status", "200 OK",
    "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin"];
  const tail = "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable" +
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";
  const encoder = new TextEncoder();
  return concat([...words.flatMap((word) => [uint32(word.length), encoder.encode(word)]), encoder.encode(tail)]);
})();
