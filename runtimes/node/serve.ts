/** The API over HTTPS in Node, HTTP/1.1 and HTTP/2 alike: Node's requests as `Request`, `Response` as Node's answers. */
import { createSecureServer } from "node:http2";
import type { Http2SecureServer, Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { HttpsOptions, HttpsServer } from "../../src/platform.ts";
import { makeServingCertificate } from "./certificates.ts";

/** Headers of a connection, which HTTP/2 refuses. */
const HOP_BY_HOP = new Set(["connection", "keep-alive", "transfer-encoding", "upgrade", "proxy-connection"]);
/** The largest body that is taken in; the API server itself refuses less than that (3 MiB) with 413. */
const BODY_BYTES_MAX = 4 * 1024 * 1024;

export async function serveHttps({ port, host, handle }: HttpsOptions): Promise<HttpsServer> {
  const { ca, cert, key } = makeServingCertificate(NAMES, host === "127.0.0.1" ? [host] : ["127.0.0.1", host]);
  const server = createSecureServer({ cert, key, allowHTTP1: true });
  const sockets = new Set<Socket>();
  server.on("secureConnection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  // What clients do to their connections is no concern of the server.
  server.on("sessionError", () => {});
  server.on("request", (incoming, outgoing) => void answer(incoming, outgoing, handle));
  await listening(server, port, host);
  const bound = (server.address() as AddressInfo).port;
  return {
    url: `https://${host === "0.0.0.0" ? "127.0.0.1" : host}:${bound}`,
    ca,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

const NAMES = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"];

function listening(server: Http2SecureServer, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

async function answer(incoming: Http2ServerRequest, outgoing: Http2ServerResponse, handle: HttpsOptions["handle"]): Promise<void> {
  const gone = new AbortController();
  outgoing.on("error", () => gone.abort());
  outgoing.once("close", () => gone.abort());
  try {
    const headers = new Headers();
    for (const [name, value] of Object.entries(incoming.headers)) {
      if (name.startsWith(":") || value === undefined) continue;
      for (const one of Array.isArray(value) ? value : [value]) headers.append(name, one);
    }
    const method = incoming.method ?? "GET";
    const body = method === "GET" || method === "HEAD" ? null : await bodyOf(incoming);
    const request = new Request(`https://kubernetes${incoming.url}`, { method, headers, body: body as BodyInit | null, signal: gone.signal });
    await send(await handle(request), outgoing, incoming.httpVersionMajor === 2, method === "HEAD");
  } catch {
    // The client is gone, or sent what is no HTTP.
    if (!outgoing.headersSent) outgoing.writeHead(400);
    outgoing.end();
  }
}

async function bodyOf(incoming: Http2ServerRequest): Promise<Uint8Array | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= BODY_BYTES_MAX) chunks.push(chunk);
  }
  return size === 0 ? null : Buffer.concat(chunks);
}

async function send(response: Response, outgoing: Http2ServerResponse, http2: boolean, headOnly: boolean): Promise<void> {
  const headers: Record<string, string | string[]> = {};
  response.headers.forEach((value, name) => {
    if (http2 && HOP_BY_HOP.has(name)) return;
    // Warnings are a list, and clients look at each header by itself.
    headers[name] = name === "warning" ? value.split(/, (?=\d{3} )/) : value;
  });
  if (response.body === null || headOnly) {
    outgoing.writeHead(response.status, headers);
    outgoing.end();
    return;
  }
  const reader = response.body.getReader();
  outgoing.once("close", () => void reader.cancel().catch(() => {}));
  const streams = response.headers.get("transfer-encoding") === "chunked";
  if (!streams) {
    const whole = new Uint8Array(await readAll(reader));
    outgoing.writeHead(response.status, { ...headers, "content-length": String(whole.length) });
    outgoing.end(whole);
    return;
  }
  delete headers["transfer-encoding"];
  outgoing.writeHead(response.status, headers);
  // A watch is accepted before anything happens.
  (outgoing as { flushHeaders?: () => void }).flushHeaders?.();
  for (;;) {
    const { done, value } = await reader.read();
    if (done || outgoing.destroyed) break;
    if (!outgoing.write(value)) await new Promise<void>((resolve) => {
      const on = (): void => {
        outgoing.off("drain", on);
        outgoing.off("close", on);
        resolve();
      };
      outgoing.on("drain", on);
      outgoing.on("close", on);
    });
  }
  outgoing.end();
}

async function readAll(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return Buffer.concat(chunks);
    chunks.push(value);
  }
}
