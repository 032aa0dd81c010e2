/**
 * The kubelet's ports in its node's network: 10248 on the loopback says how it is, 10250 is an HTTPS server's. Follows kubernetes
 * cmd/kubelet/app/server.go (startKubelet, healthz) and Go's net/http for those who come without TLS. There is no TLS on these networks: what
 * the API behind 10250 answers comes by the API server (nodes/NAME/proxy), which authenticates.
 */
import { serveHttp } from "../../http/server.ts";
import type { Sockets, TcpStream } from "../../kernel/sockets.ts";
import type { Logger } from "../../log.ts";

const HEALTHZ_PORT = 10248;
const PORT = 10250;

const encoder = new TextEncoder();
/** What Go's server says to a client whose first bytes are no TLS record but HTTP (tlsRecordHeaderLooksLikeHTTP). */
const NOT_TLS = encoder.encode("HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n");
const LOOKS_LIKE_HTTP: ReadonlySet<string> = new Set(["GET /", "HEAD ", "POST ", "PUT /", "OPTIO"]);
const HEADER_BYTES = 5;

/** Opens them until the signal aborts. */
export function openPorts(net: Sockets, log: Logger, signal: AbortSignal): void {
  const failed = (error: unknown): void => {
    if (!signal.aborted) log.error("Failed to listen and serve", { err: String(error) });
  };
  const plain = [["Content-Type", "text/plain; charset=utf-8"]] as const;
  serveHttp({ net, address: "127.0.0.1", port: HEALTHZ_PORT, signal, handler: ({ target }) =>
    target === "/healthz"
      ? { status: 200, reason: "OK", headers: plain, body: encoder.encode("ok") }
      : { status: 404, reason: "Not Found", headers: plain, body: encoder.encode("404 page not found\n") },
  }).catch(failed);
  serveTls(net, signal).catch(failed);
}

async function serveTls(net: Sockets, signal: AbortSignal): Promise<void> {
  const listener = net.listen({ port: PORT });
  const open = new Set<TcpStream>();
  const close = (): void => {
    listener.close();
    for (const stream of open) stream.close();
  };
  signal.addEventListener("abort", close, { once: true });
  for (;;) {
    const stream = await listener.accept(signal);
    open.add(stream);
    // The peer may go away: nothing to tell it.
    void handshake(stream, signal).catch(() => undefined).finally(() => {
      open.delete(stream);
      stream.close();
    });
  }
}

async function handshake(stream: TcpStream, signal: AbortSignal): Promise<void> {
  let header = "";
  while (header.length < HEADER_BYTES) {
    const bytes = await stream.read(signal);
    if (bytes === undefined) return;
    header += String.fromCharCode(...bytes.subarray(0, HEADER_BYTES));
  }
  if (LOOKS_LIKE_HTTP.has(header.slice(0, HEADER_BYTES))) await stream.write(NOT_TLS);
}
