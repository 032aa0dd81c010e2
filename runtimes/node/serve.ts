/** The API over HTTPS in Node, HTTP/1.1 and HTTP/2 alike: Node's requests as `Request`, `Response` as Node's answers. */
import { createHash } from "node:crypto";
import { createSecureServer } from "node:http2";
import type { Http2SecureServer, ServerHttp2Stream } from "node:http2";
import { STATUS_CODES } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Readable, Writable } from "node:stream";
import type { AddressInfo, Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { gzip } from "node:zlib";
import type { Connection, HttpAnswer, HttpMessage } from "../../src/client/transport.ts";
import type { HttpsOptions, HttpsServer } from "../../src/platform.ts";
import { makeServingCertificate } from "./certificates.ts";

/** Headers of a connection, which HTTP/2 refuses. */
const HOP_BY_HOP = new Set(["connection", "keep-alive", "transfer-encoding", "upgrade", "proxy-connection"]);
/** The largest body that is taken in; the API server itself refuses less than that (3 MiB) with 413. */
const BODY_BYTES_MAX = 4 * 1024 * 1024;

export async function serveHttps({ port, host, handle, certificate, clientCA, http2 = true, maxStreams = 1000, minVersion = "TLSv1.2" }: HttpsOptions): Promise<HttpsServer> {
  const made = certificate === undefined ? makeServingCertificate(NAMES, host === "127.0.0.1" ? [host] : ["127.0.0.1", host]) : { ...certificate, ca: certificate.cert };
  const { ca, cert, key } = made;
  const server = createSecureServer({
    cert, key, minVersion, allowHTTP1: true, ...(http2 ? {} : { ALPNProtocols: ["http/1.1"] }),
    // Whoever has no certificate, or one by somebody else, is told so by the API server.
    ...(clientCA === undefined ? {} : { ca: clientCA, requestCert: true, rejectUnauthorized: false }),
    settings: { maxConcurrentStreams: maxStreams },
    // Large lists of many streams at once wait for their client in here.
    maxSessionMemory: 1024,
  });
  const sockets = new Set<Socket>();
  server.on("secureConnection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  // What clients do to their connections is no concern of the server.
  server.on("sessionError", () => {});
  server.on("request", (incoming, outgoing) => void answer(overHttp1(incoming as unknown as IncomingMessage, outgoing as unknown as ServerResponse), handle));
  // That listener has made Node turn streams of HTTP/2 into requests as those of HTTP/1.1 are, which costs more than the streams.
  server.removeAllListeners("stream");
  server.on("stream", (stream, headers) => void answer(overHttp2(stream as ServerHttp2Stream, headers), handle));
  server.on("upgrade", (incoming: IncomingMessage, socket: Socket, head: Buffer) => void upgrade(incoming, socket, head, handle));
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

/** Larger answers are compressed for clients that take that, as fast as can be (responsewriters: defaultGzipThresholdBytes, defaultGzipContentEncodingLevel). */
const GZIP_BYTES_MIN = 128 * 1024;
const GZIP_LEVEL = 1;
/** Logs are sent as they are. */
const UNZIPPED = /^text\/plain$/;

const compressed = (bytes: Uint8Array): Promise<Buffer> =>
  new Promise((resolve, reject) => gzip(bytes, { level: GZIP_LEVEL }, (error, result) => (error === null ? resolve(result) : reject(error))));

const takesGzip = (accepted: string | string[] | undefined): boolean => String(accepted ?? "").split(",").some((token) => token.trim() === "gzip");

const spelled = new Map<string, string>();

/** A header's name as Go writes it: `Audit-Id`. */
function canonical(name: string): string {
  let found = spelled.get(name);
  if (found === undefined) spelled.set(name, (found = name.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase())));
  return found;
}

/** One request and its answer, whatever carries them. */
interface Exchange {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly http2: boolean;
  readonly connection: unknown;
  readonly incoming: Readable;
  readonly outgoing: Writable;
  /** Says status and headers, and what follows: nothing, a body, or a stream that may be long in coming. */
  head(status: number, headers: Record<string, string | string[]>, then: "nothing" | "body" | "stream"): void;
  readonly headSent: () => boolean;
}

function overHttp1(incoming: IncomingMessage, outgoing: ServerResponse): Exchange {
  return {
    method: incoming.method ?? "GET", url: incoming.url ?? "/", headers: incoming.headers, http2: false, connection: incoming.socket, incoming, outgoing,
    head(status, headers, then) {
      // As Go does, that the connection goes on is not said; nor does it call 413 by its newer name.
      outgoing.removeHeader("connection");
      if (status === 413) outgoing.statusMessage = "Request Entity Too Large";
      outgoing.writeHead(status, headers);
      if (then === "nothing") outgoing.end();
      else if (then === "stream") outgoing.flushHeaders();
    },
    headSent: () => outgoing.headersSent,
  };
}

function overHttp2(stream: ServerHttp2Stream, headers: Readonly<Record<string, string | string[] | undefined>>): Exchange {
  if (headers["expect"] === "100-continue") stream.additionalHeaders({ ":status": 100 });
  return {
    method: String(headers[":method"] ?? "GET"), url: String(headers[":path"] ?? "/"), headers, http2: true, connection: stream.session?.socket,
    incoming: stream, outgoing: stream,
    head(status, given, then) {
      if (stream.destroyed || stream.headersSent) return;
      stream.respond({ ":status": status, ...given }, { endStream: then === "nothing" });
    },
    headSent: () => stream.headersSent,
  };
}

async function answer(exchange: Exchange, handle: HttpsOptions["handle"]): Promise<void> {
  const { method, url, outgoing } = exchange;
  outgoing.on("error", () => {});
  try {
    const headers = headersOf(exchange.headers);
    const reads = method === "GET" || method === "HEAD";
    if (reads) exchange.incoming.resume();
    const message = { method, url, headers, body: reads ? NOTHING : await bodyOf(exchange.incoming), ...certificateOf(exchange.connection) };
    // What waits for its client are watches; a change is made whether somebody waits for the answer or not.
    const answered = await handle(reads ? { ...message, signal: goneSignal(outgoing) } : message);
    await send(answered, exchange, method === "HEAD", takesGzip(exchange.headers["accept-encoding"]));
  } catch {
    // The client is gone, or sent what is no HTTP.
    if (!exchange.headSent()) exchange.head(400, {}, "nothing");
    else outgoing.end();
  }
}

const certificates = new WeakMap<object, Pick<HttpMessage, "certificate">>();

/** The client's certificate, once per connection. */
function certificateOf(connection: unknown): Pick<HttpMessage, "certificate"> {
  const socket = connection as TLSSocket;
  let found = certificates.get(socket);
  if (found === undefined) {
    const { raw, subject } = socket.getPeerCertificate() ?? {};
    const list = (value: string | string[] | undefined): string[] => (value === undefined ? [] : [value].flat());
    found = raw === undefined ? {} : {
      certificate: socket.authorized ? { commonName: list(subject.CN)[0] ?? "", organizations: list(subject.O), fingerprint: createHash("sha256").update(raw).digest("hex") } : "invalid",
    };
    certificates.set(socket, found);
  }
  return found;
}

function headersOf(sent: Exchange["headers"]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const name in sent) {
    const value = sent[name];
    if (value !== undefined && !name.startsWith(":")) headers[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  return headers;
}

/** A request for another protocol: its connection is taken over, or gets the refusal. */
async function upgrade(incoming: IncomingMessage, socket: Socket, head: Buffer, handle: HttpsOptions["handle"]): Promise<void> {
  const connection = connectionOf(socket, head);
  const message = { method: incoming.method ?? "GET", url: incoming.url ?? "/", headers: headersOf(incoming.headers), body: NOTHING, ...certificateOf(socket) };
  let answered: HttpAnswer;
  try {
    answered = await handle(message, connection);
    if (answered.status === 101) return;
  } catch {
    answered = { status: 500, headers: {} };
  }
  const body = Buffer.from(typeof answered.body === "string" ? answered.body : "");
  const headers = Object.entries({ ...answered.headers, "content-length": String(body.length), connection: "close" }).map(([name, value]) => `${name}: ${value}`);
  connection.write(Buffer.concat([Buffer.from([`HTTP/1.1 ${answered.status} ${STATUS_CODES[answered.status] ?? ""}`, ...headers, "", ""].join("\r\n")), body]));
  connection.end();
}

/** So much of a stream may wait for its client. */
const UNTAKEN_BYTES_MAX = 64 * 1024 * 1024;

function connectionOf(socket: Socket, head: Buffer): Connection {
  socket.setNoDelay(true);
  socket.on("error", () => {});
  return {
    write(bytes) {
      socket.write(bytes);
      // Who takes nothing any more is not waited for.
      if (socket.writableLength > UNTAKEN_BYTES_MAX) socket.destroy();
    },
    start({ data, close }) {
      socket.on("data", data);
      socket.once("close", () => close());
      socket.once("end", () => socket.end());
      if (head.length > 0) data(head);
    },
    end: () => void socket.end(),
  };
}

const NOTHING = new Uint8Array();

function goneSignal(outgoing: Writable): AbortSignal {
  const gone = new AbortController();
  outgoing.once("close", () => {
    if (!outgoing.writableEnded) gone.abort();
  });
  return gone.signal;
}

/** The whole body; of one that is too large no more than the server needs to see that. */
function bodyOf(incoming: Readable): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    incoming.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size <= BODY_BYTES_MAX) chunks.push(chunk);
    });
    incoming.on("end", () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)));
    incoming.on("error", reject);
    incoming.on("aborted", () => reject(new Error("aborted")));
  });
}

async function send({ status, body, headers: given }: HttpAnswer, { http2, outgoing, head }: Exchange, headOnly: boolean, gzip: boolean): Promise<void> {
  const headers: Record<string, string | string[]> = {};
  for (const name in given) {
    if (HOP_BY_HOP.has(name)) continue;
    const value = given[name]!;
    // Warnings are a list, and clients look at each header by itself.
    headers[http2 ? name : canonical(name)] = name === "warning" ? value.split(/, (?=\d{3} )/) : value;
  }
  const add = (name: string, value: string): void => {
    headers[http2 ? name : canonical(name)] = value;
  };
  if (body === undefined || headOnly) {
    head(status, headers, "nothing");
    return;
  }
  if (typeof body === "string" || body instanceof Uint8Array) {
    let bytes = typeof body === "string" ? Buffer.from(body) : body;
    if (gzip && bytes.length > GZIP_BYTES_MIN && !UNZIPPED.test(given["content-type"] ?? "")) {
      bytes = await compressed(bytes);
      add("content-encoding", "gzip");
      add("vary", [given["vary"], "Accept-Encoding"].filter((value) => value !== undefined).join(", "));
    }
    add("content-length", String(bytes.length));
    head(status, headers, "body");
    outgoing.end(bytes);
    return;
  }
  if (!http2) add("transfer-encoding", "chunked");
  // A watch is accepted before anything happens.
  head(status, headers, "stream");
  for await (const text of body) {
    if (outgoing.destroyed) break;
    if (!outgoing.write(text)) await drained(outgoing);
  }
  outgoing.end();
}

/** Room again, or the client has gone. */
function drained(outgoing: Writable): Promise<void> {
  return new Promise((resolve) => {
    const on = (): void => {
      outgoing.off("drain", on);
      outgoing.off("close", on);
      resolve();
    };
    outgoing.on("drain", on);
    outgoing.on("close", on);
  });
}
