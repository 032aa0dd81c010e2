/** An HTTP/1.1 server for programs: accepts, keeps connections alive, answers through a handler. */
import type { Sockets, TcpStream } from "../kernel/sockets.ts";
import { concat, encodeHead, HttpError, readBody, readHeaders, StreamReader, type Headers } from "./message.ts";

export interface HttpServerRequest {
  readonly method: string;
  /** Path and query as sent. */
  readonly target: string;
  readonly version: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
  readonly remote: { readonly address: string; readonly port: number };
}

export interface HttpServerResponse {
  readonly status: number;
  readonly reason: string;
  /** In the order they are sent; Content-Length and Connection are added. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array;
}

export interface HttpServerOptions {
  readonly net: Sockets;
  /** Default: any. */
  readonly address?: string;
  readonly port: number;
  /** Stops accepting and closes what is open. */
  readonly signal: AbortSignal;
  readonly handler: (request: HttpServerRequest) => HttpServerResponse | Promise<HttpServerResponse>;
}

/** Serves until the signal aborts. Throws SocketError EADDRINUSE at once when the port is taken. */
export async function serveHttp({ net, address, port, signal, handler }: HttpServerOptions): Promise<void> {
  const listener = net.listen(address === undefined ? { port } : { address, port });
  const open = new Set<TcpStream>();
  const onAbort = (): void => {
    listener.close();
    for (const stream of open) stream.close();
  };
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    for (;;) {
      const stream = await listener.accept(signal);
      open.add(stream);
      void serveConnection(stream, handler, signal)
        .catch(() => undefined) // the peer went away: nothing to tell it
        .finally(() => {
          open.delete(stream);
          stream.close();
        });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
    onAbort();
  }
}

async function serveConnection(stream: TcpStream, handler: HttpServerOptions["handler"], signal: AbortSignal): Promise<void> {
  const reader = new StreamReader(stream);
  for (let keep = true; keep; ) {
    try {
      const line = await reader.line(signal);
      if (line === undefined) return;
      if (line === "") continue; // RFC 9112, section 2.2: an empty line before the request
      const match = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) (\S+) (HTTP\/1\.[01])$/.exec(line);
      if (match === null) throw new HttpError(400, "malformed request line");
      const headers = await readHeaders(reader, signal);
      if (headers["host"] === undefined && match[3] === "HTTP/1.1") throw new HttpError(400, "missing Host");
      const body = await readBody(reader, headers, false, signal);
      const connection = (headers["connection"] ?? "").toLowerCase();
      keep = match[3] === "HTTP/1.1" ? connection !== "close" : connection === "keep-alive";
      const response = await handler({
        method: match[1]!, target: match[2]!, version: match[3]!, headers, body, remote: stream.remote,
      });
      await writeResponse(stream, response, keep, match[1] === "HEAD");
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      await writeResponse(stream, {
        status: error.status, reason: error.status === 400 ? "Bad Request" : "Request Header Fields Too Large",
        headers: [["Content-Type", "text/plain"]], body: new TextEncoder().encode(`${error.message}\n`),
      }, false, false);
      keep = false;
    }
  }
}

async function writeResponse(stream: TcpStream, response: HttpServerResponse, keep: boolean, headOnly: boolean): Promise<void> {
  const head = encodeHead(`HTTP/1.1 ${response.status} ${response.reason}`, [
    ...response.headers, ["Content-Length", String(response.body.length)], ["Connection", keep ? "keep-alive" : "close"],
  ]);
  // One write: head and body leave in as few segments as they fit.
  await stream.write(headOnly ? head : concat([head, response.body]));
}
