/** WebSocket, the server's end (RFC 6455), over the bytes of a connection. Follows what k8s.io/apimachinery/pkg/util/httpstream/wsstream needs of it. */
import { sha1 } from "@noble/hashes/legacy.js";
import type { Connection } from "../../client/transport.ts";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const OPCODE = { CONTINUATION: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 } as const;
/** Longer messages close the connection. */
const MESSAGE_BYTES_MAX = 32 * 1024 * 1024;

export interface WebSocketEvents {
  message(bytes: Uint8Array): void;
  close(): void;
}

export interface ServerWebSocket {
  /** A binary message, or a text. */
  send(bytes: Uint8Array, text?: boolean): void;
  /** Says goodbye; the connection closes when the other side has, too. */
  close(code?: number): void;
}

const encoder = new TextEncoder();

/** Whether this is a request for a WebSocket. */
export function isWebSocket(headers: Readonly<Record<string, string>>): boolean {
  return (headers["upgrade"] ?? "").toLowerCase() === "websocket" && /\bupgrade\b/i.test(headers["connection"] ?? "") && headers["sec-websocket-key"] !== undefined;
}

/** Which of the protocols that the client offers is spoken, in the server's order of preference; "" is for clients that offer none. */
export function chooseProtocol(headers: Readonly<Record<string, string>>, spoken: readonly string[]): string | undefined {
  // Browsers have no other place for a token.
  const offered = (headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim()).filter((name) => !name.startsWith("base64url.bearer.authorization.k8s.io."));
  return spoken.find((name) => (name === "" ? offered.every((other) => other === "") : offered.includes(name)));
}

/** The messages of protocols in base64: the channel's digit, then the bytes. */
export function toBase64(message: Uint8Array): Uint8Array {
  let text = "";
  for (const byte of message.subarray(1)) text += String.fromCharCode(byte);
  return encoder.encode(`${message[0]}${btoa(text)}`);
}

/** The other way; what is no such message is empty. */
export function fromBase64(sent: Uint8Array): Uint8Array {
  try {
    const bytes = atob(new TextDecoder().decode(sent.subarray(1)));
    const message = new Uint8Array(1 + bytes.length);
    message[0] = sent[0]! - 48;
    for (let i = 0; i < bytes.length; i++) message[i + 1] = bytes.charCodeAt(i);
    return message;
  } catch {
    return new Uint8Array(0);
  }
}

/** Accepts: sends the answer to the handshake and starts to read. */
export function acceptWebSocket(headers: Readonly<Record<string, string>>, connection: Connection, protocol: string, events: WebSocketEvents): ServerWebSocket {
  const accept = btoa(String.fromCharCode(...sha1(encoder.encode(headers["sec-websocket-key"]! + GUID))));
  connection.write(encoder.encode(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${protocol === "" ? "" : `Sec-WebSocket-Protocol: ${protocol}\r\n`}\r\n`));
  let over = false;
  let closing = false;
  const finish = (): void => {
    if (over) return;
    over = true;
    connection.end();
    events.close();
  };
  const frame = (opcode: number, payload: Uint8Array): void => {
    if (over) return;
    const { length } = payload;
    const head = length < 126 ? [length] : length < 65536 ? [126, length >> 8, length & 255] : [127, 0, 0, 0, 0, length >>> 24, (length >> 16) & 255, (length >> 8) & 255, length & 255];
    const bytes = new Uint8Array(1 + head.length + length);
    bytes[0] = 0x80 | opcode;
    bytes.set(head, 1);
    bytes.set(payload, 1 + head.length);
    connection.write(bytes);
  };
  let buffered = new Uint8Array(0);
  let parts: Uint8Array[] = [];
  const take = (opcode: number, final: boolean, payload: Uint8Array): void => {
    switch (opcode) {
      case OPCODE.PING: frame(OPCODE.PONG, payload); return;
      case OPCODE.PONG: return;
      case OPCODE.CLOSE:
        if (!closing) frame(OPCODE.CLOSE, payload.subarray(0, 2));
        finish();
        return;
    }
    parts.push(payload);
    if (!final) return;
    const whole = parts.length === 1 ? payload : concat(parts);
    parts = [];
    if (!closing) events.message(whole);
  };
  connection.start({
    data(bytes) {
      buffered = buffered.length === 0 ? new Uint8Array(bytes) : concat([buffered, bytes]);
      while (!over) {
        const parsed = parseFrame(buffered);
        if (parsed === undefined) return;
        if (parsed === "bad") return finish();
        buffered = buffered.subarray(parsed.size) as Uint8Array<ArrayBuffer>;
        take(parsed.opcode, parsed.final, parsed.payload);
      }
    },
    close: finish,
  });
  return {
    send: (bytes, text = false) => {
      if (!closing) frame(text ? OPCODE.TEXT : OPCODE.BINARY, bytes);
    },
    close(code = 1000) {
      if (closing || over) return;
      frame(OPCODE.CLOSE, Uint8Array.of(code >> 8, code & 255));
      closing = true;
    },
  };
}

function parseFrame(bytes: Uint8Array): { opcode: number; final: boolean; payload: Uint8Array; size: number } | "bad" | undefined {
  if (bytes.length < 2) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const short = bytes[1]! & 127;
  const masked = (bytes[1]! & 128) !== 0;
  let at = short === 126 ? 4 : short === 127 ? 10 : 2;
  if (bytes.length < at) return undefined;
  const length = short === 126 ? view.getUint16(2) : short === 127 ? Number(view.getBigUint64(2)) : short;
  // Clients mask what they send.
  if (!masked || length > MESSAGE_BYTES_MAX) return "bad";
  const mask = at;
  at += 4;
  if (bytes.length < at + length) return undefined;
  const payload = new Uint8Array(length);
  for (let i = 0; i < length; i++) payload[i] = bytes[at + i]! ^ bytes[mask + (i & 3)]!;
  return { opcode: bytes[0]! & 15, final: (bytes[0]! & 128) !== 0, payload, size: at + length };
}

export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
