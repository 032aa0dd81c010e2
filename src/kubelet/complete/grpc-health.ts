/**
 * grpc.health.v1.Health/Check over HTTP/2 in plain text, as a kubelet asks. Follows kubernetes pkg/probe/grpc/grpc.go;
 * frames after RFC 9113, headers after RFC 7541 (nothing is put into the dynamic table by us).
 */
import type { Sockets, TcpStream } from "../../kernel/sockets.ts";
import { newHeaderReader, writeHeader } from "./hpack.ts";

export interface Health {
  readonly healthy: boolean;
  readonly output: string;
}

const FRAME = { DATA: 0, HEADERS: 1, RST_STREAM: 3, SETTINGS: 4, PING: 6, GOAWAY: 7, WINDOW_UPDATE: 8, CONTINUATION: 9 } as const;
const END_STREAM = 1, END_HEADERS = 4, ACK = 1, PADDED = 8, PRIORITY = 0x20;
const STATUSES = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
const UNIMPLEMENTED = 12, DEADLINE_EXCEEDED = 4;
const CODES = ["OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists", "PermissionDenied", "ResourceExhausted",
  "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented", "Internal", "Unavailable", "DataLoss", "Unauthenticated"];

/** Asks once. `signal` aborts after `timeoutMs`. */
export async function checkHealth(net: Sockets, host: string, port: number, service: string, timeoutMs: number, signal: AbortSignal): Promise<Health> {
  const address = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const seconds = `${timeoutMs / 1000}s`;
  let stream: TcpStream;
  try {
    stream = await net.connect({ address: host, port }, { signal });
  } catch {
    // The dial is tried again until the time is over, and that is what is told of it.
    return { healthy: false, output: `timeout: failed to connect service "${address}" within ${seconds}: context deadline exceeded` };
  }
  try {
    const { code, message, data } = await call(stream, address, service, signal);
    if (code === UNIMPLEMENTED) return fail(`error: this server does not implement the grpc health protocol (grpc.health.v1.Health): ${message}`);
    if (code === DEADLINE_EXCEEDED) return fail(`timeout: health rpc did not complete within ${seconds}`);
    if (code !== 0) return fail(`error: health rpc probe failed: rpc error: code = ${CODES[code] ?? `Code(${code})`} desc = ${message}`);
    const status = statusOf(data);
    return status === 1 ? { healthy: true, output: "service healthy" } : fail(`service unhealthy (responded with "${STATUSES[status] ?? status}")`);
  } catch (error) {
    if (signal.aborted) return fail(`timeout: health rpc did not complete within ${seconds}`);
    return fail(`error: health rpc probe failed: rpc error: code = Unavailable desc = ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    stream.close();
  }
}

const fail = (output: string): Health => ({ healthy: false, output });

/** HealthCheckResponse: field 1 is the status. */
function statusOf(message: Uint8Array): number {
  return message.length >= 7 && message[5] === 8 ? message[6]! : 0;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Uint8Array {
  const out = new Uint8Array(9 + payload.length);
  out.set([payload.length >> 16, (payload.length >> 8) & 255, payload.length & 255, type, flags, 0, 0, 0, stream]);
  out.set(payload, 9);
  return out;
}

interface Answer {
  readonly code: number;
  readonly message: string;
  readonly data: Uint8Array;
}

async function call(stream: TcpStream, authority: string, service: string, signal: AbortSignal): Promise<Answer> {
  const name = new TextEncoder().encode(service);
  const body = name.length === 0 ? new Uint8Array(0) : concat([Uint8Array.of(0x0a, name.length), name]);
  const headers = concat([
    [":method", "POST"], [":scheme", "http"], [":path", "/grpc.health.v1.Health/Check"], [":authority", authority],
    ["content-type", "application/grpc"], ["user-agent", "kube-probe/1.32 grpc-go/1.65.0"], ["te", "trailers"],
  ].map(([key, value]) => writeHeader(key!, value!)));
  await stream.write(concat([
    new TextEncoder().encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(FRAME.SETTINGS, 0, 0, new Uint8Array(0)), frame(FRAME.HEADERS, END_HEADERS, 1, headers),
    frame(FRAME.DATA, END_STREAM, 1, concat([Uint8Array.of(0, 0, 0, 0, body.length), body])),
  ]));
  let buffer: Uint8Array = new Uint8Array(0);
  const fill = async (size: number): Promise<void> => {
    while (buffer.length < size) {
      const more = await stream.read(signal);
      if (more === undefined) throw new Error("error reading from server: EOF");
      buffer = concat([buffer, more]);
    }
  };
  const read = newHeaderReader();
  const fields = new Map<string, string>();
  const data: Uint8Array[] = [];
  let block: Uint8Array[] = [];
  for (;;) {
    await fill(9);
    const length = (buffer[0]! << 16) | (buffer[1]! << 8) | buffer[2]!, type = buffer[3]!, flags = buffer[4]!;
    await fill(9 + length);
    let payload = buffer.subarray(9, 9 + length);
    buffer = buffer.slice(9 + length);
    if ((type === FRAME.DATA || type === FRAME.HEADERS) && (flags & PADDED) !== 0) payload = payload.subarray(1, payload.length - payload[0]!);
    if (type === FRAME.HEADERS && (flags & PRIORITY) !== 0) payload = payload.subarray(5);
    let over = false;
    switch (type) {
      case FRAME.SETTINGS:
        if ((flags & ACK) === 0) await stream.write(frame(FRAME.SETTINGS, ACK, 0, new Uint8Array(0)));
        break;
      case FRAME.PING:
        if ((flags & ACK) === 0) await stream.write(frame(FRAME.PING, ACK, 0, payload));
        break;
      case FRAME.DATA:
        data.push(payload.slice());
        over = (flags & END_STREAM) !== 0;
        break;
      case FRAME.HEADERS: case FRAME.CONTINUATION:
        block.push(payload.slice());
        over = type === FRAME.HEADERS && (flags & END_STREAM) !== 0;
        if ((flags & END_HEADERS) !== 0) {
          for (const [key, value] of read(concat(block))) fields.set(key, value);
          block = [];
        }
        break;
      case FRAME.RST_STREAM: throw new Error("stream terminated by RST_STREAM");
      case FRAME.GOAWAY: throw new Error("the connection is draining");
    }
    if (!over) continue;
    const http = fields.get(":status") ?? "";
    const code = Number(fields.get("grpc-status") ?? (http === "404" ? UNIMPLEMENTED : 2));
    return { code, message: fields.get("grpc-message") ?? (fields.has("grpc-status") ? "" : `unexpected HTTP status code received from server: ${http}`), data: concat(data) };
  }
}
