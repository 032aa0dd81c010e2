/** An HTTP/1.1 client for programs: one request over one connection. */
import type { Sockets } from "../kernel/sockets.ts";
import { concat, encodeHead, HttpError, readBody, readHeaders, StreamReader, type Headers } from "./message.ts";

export interface HttpUrl {
  readonly host: string;
  readonly port: number;
  /** Path and query, at least `/`. */
  readonly target: string;
}

/** Reads `[http://]HOST[:PORT][/PATH]`; undefined for another scheme or a malformed one. */
export function parseHttpUrl(text: string): HttpUrl | undefined {
  const match = /^(?:([a-zA-Z][a-zA-Z0-9+.-]*):\/\/)?(?:\[([0-9a-fA-F:.]+)\]|([^/:?#@\s]+))(?::([0-9]+))?([/?][^#\s]*)?(?:#.*)?$/.exec(text);
  if (match === null || (match[1] ?? "http").toLowerCase() !== "http") return undefined;
  const port = match[4] === undefined ? 80 : Number(match[4]);
  if (port < 1 || port > 65535) return undefined;
  const target = match[5] ?? "/";
  return { host: match[2] ?? match[3]!, port, target: target.startsWith("?") ? `/${target}` : target };
}

export interface HttpRequest {
  readonly method?: string;
  readonly target: string;
  /** In the order they are sent, `Host` first. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body?: Uint8Array;
}

export interface HttpResponse {
  readonly version: string;
  readonly status: number;
  readonly reason: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

/**
 * Connects to `address`:`port`, sends the request, reads the answer, closes. Rejects with SocketError, HttpError, or
 * the signal's reason.
 */
export async function httpRequest(
  net: Sockets, address: string, port: number, request: HttpRequest, signal?: AbortSignal,
): Promise<HttpResponse> {
  const stream = await net.connect({ address, port }, signal === undefined ? {} : { signal });
  try {
    const method = request.method ?? "GET";
    const body = request.body ?? new Uint8Array(0);
    const length: (readonly [string, string])[] = body.length > 0 ? [["Content-Length", String(body.length)]] : [];
    await stream.write(concat([encodeHead(`${method} ${request.target} HTTP/1.1`, [...request.headers, ...length]), body]));
    const reader = new StreamReader(stream);
    for (;;) {
      const line = await reader.line(signal);
      const match = /^(HTTP\/1\.[01]) ([0-9]{3})(?: (.*))?$/.exec(line ?? "");
      if (match === null) throw new HttpError(502, line === undefined ? "EOF" : "malformed HTTP response");
      const headers = await readHeaders(reader, signal);
      const status = Number(match[2]);
      if (status < 200) continue; // an interim answer
      const bodyless = method === "HEAD" || status === 204 || status === 304;
      const received = bodyless ? new Uint8Array(0) : await readBody(reader, headers, true, signal);
      return { version: match[1]!, status, reason: match[3] ?? "", headers, body: received };
    }
  } finally {
    stream.close();
  }
}
