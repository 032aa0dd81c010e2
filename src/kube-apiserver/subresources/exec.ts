/**
 * pods/NAME/exec and attach. Follows pkg/registry/core/pod (strategy.go: streamLocation), k8s.io/kubelet/pkg/cri/streaming/remotecommand
 * (httpstream.go, websocket.go) and k8s.io/apiserver/pkg/util/proxy (streamtranslator.go).
 */
import { ApiError, newBadRequest, newInvalid } from "../../apimachinery/status.ts";
import type { NodeStream, NodeStreamRequest, StreamEnd, StreamEvents } from "../../client/site-streams.ts";
import type { ApiResponse, Connection } from "../../client/transport.ts";
import type { Answering } from "../extension.ts";
import { FieldErrors } from "../field.ts";
import { isTrue } from "../request-info.ts";
import { acceptSpdy, chooseStreamProtocol, createSpdyConnection, isSpdy } from "./spdy.ts";
import type { SpdyStream } from "./spdy.ts";
import { containerOf, hostOf, openStream, podOf, SWITCHED } from "./streaming.ts";
import { acceptWebSocket, chooseProtocol, fromBase64, isWebSocket, toBase64 } from "./websocket.ts";

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const ERROR = 3;
const RESIZE = 4;
/** v5: the channel that is named has no more to say. */
const CLOSE = 255;

const V5 = "v5.channel.k8s.io";
/** The first of these that the client offers too is spoken. */
const WEBSOCKET = [V5, "v4.channel.k8s.io", "v4.base64.channel.k8s.io", "channel.k8s.io", "base64.channel.k8s.io", ""];
const SPDY = ["v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"];

interface Streams {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

/** The client's end. */
interface Client {
  /** Output, and the last word on the error channel. */
  send(channel: number, bytes: Uint8Array): void;
  close(): void;
}

/** What the client does. */
interface Incoming {
  message(channel: number, bytes: Uint8Array): void;
  /** The channel has no more to say. */
  end(channel: number): void;
  gone(): void;
}

export async function execOrAttach(answering: Answering): Promise<ApiResponse> {
  const { info, request } = answering;
  const { query, namespace, name, subresource } = info;
  const kind = subresource as "exec" | "attach";
  const argv = query.getAll("command");
  const tty = isTrue(query.get("tty"));
  // What a terminal says on stderr comes on stdout.
  const streams: Streams = { stdin: isTrue(query.get("stdin")), stdout: isTrue(query.get("stdout")), stderr: isTrue(query.get("stderr")) && !tty, tty };
  const pod = await podOf(answering);
  const container = containerOf(pod, query.get("container"));
  const host = hostOf(pod);
  const errors = new FieldErrors();
  if (kind === "exec" && argv.length === 0) errors.required("command");
  if (errors.list.length > 0) throw newInvalid({ group: "", kind: "PodExecOptions" }, name, errors.list);
  if (pod.status.phase === "Succeeded" || pod.status.phase === "Failed") throw newBadRequest(`cannot exec into a container in a completed pod; current phase is ${pod.status.phase}`);
  const { connection, headers = {} } = request;
  const spdy = isSpdy(headers);
  if (connection === undefined || (!spdy && !isWebSocket(headers))) throw newBadRequest("Upgrade request required");
  if (!streams.stdin && !streams.stdout && !streams.stderr) throw newBadRequest("you must specify at least 1 of stdin, stdout, stderr");
  const protocol = spdy ? chooseStreamProtocol(headers, SPDY, "") : chooseProtocol(headers, WEBSOCKET);
  if (protocol === undefined) throw newBadRequest(`unable to negotiate a protocol: client supports [${headers["sec-websocket-protocol"] ?? ""}], server accepts [${WEBSOCKET.join(" ")}]`);

  // What comes before the node's end is open waits for it.
  const early: (() => void)[] = [];
  let stream: NodeStream | undefined;
  const whenOpen = (run: (stream: NodeStream) => void): void => {
    if (stream !== undefined) run(stream);
    else early.push(() => run(stream!));
  };
  const incoming: Incoming = {
    message(channel, bytes) {
      if (channel === STDIN && streams.stdin) whenOpen((to) => to.write(bytes));
      if (channel === RESIZE && tty) for (const [width, height] of sizesIn(bytes)) whenOpen((to) => to.resize(width, height));
    },
    end: (channel) => {
      if (channel === STDIN && streams.stdin) whenOpen((to) => to.eof());
    },
    gone: () => whenOpen((to) => to.abort()),
  };
  const begin = (client: Client): void => {
    const events: StreamEvents = {
      data(channel, bytes) {
        const at = channel === "stderr" && !tty ? STDERR : STDOUT;
        if (at === STDOUT ? streams.stdout : streams.stderr) client.send(at, bytes);
      },
      end(end) {
        client.send(ERROR, new TextEncoder().encode(lastWord(end, argv, protocol)));
        client.close();
      },
    };
    const of = { namespace, pod: name, container, stdin: streams.stdin, tty };
    const asked: NodeStreamRequest = kind === "exec" ? { kind, argv, ...of } : { kind, ...of };
    try {
      stream = openStream(answering, host, asked, events);
    } catch (e) {
      events.end({ error: e instanceof ApiError ? e.status.message! : String(e) });
      return;
    }
    for (const run of early.splice(0)) run();
    if (!streams.stdin) stream.eof();
  };
  if (spdy) overSpdy(connection, protocol, streams, incoming, begin);
  else overWebSocket(headers, connection, protocol, streams, incoming, begin);
  return SWITCHED;
}

function overWebSocket(headers: Readonly<Record<string, string>>, connection: Connection, protocol: string, streams: Streams, incoming: Incoming, begin: (client: Client) => void): void {
  const base64 = protocol.includes("base64");
  const socket = acceptWebSocket(headers, connection, protocol, {
    message(sent) {
      const bytes = base64 ? fromBase64(sent) : sent;
      if (bytes.length === 0) return;
      if (bytes[0] === CLOSE && protocol === V5) incoming.end(bytes[1] ?? -1);
      else incoming.message(bytes[0]!, bytes.slice(1));
    },
    close: incoming.gone,
  });
  const client: Client = {
    send(channel, bytes) {
      const message = new Uint8Array(1 + bytes.length);
      message[0] = channel;
      message.set(bytes, 1);
      if (base64) socket.send(toBase64(message), true);
      else socket.send(message);
    },
    close: () => socket.close(),
  };
  // An empty message tells the client that it is connected.
  client.send(streams.stdout ? STDOUT : streams.stderr ? STDERR : ERROR, new Uint8Array(0));
  begin(client);
}

const CHANNEL_OF: Readonly<Record<string, number>> = { stdin: STDIN, stdout: STDOUT, stderr: STDERR, error: ERROR, resize: RESIZE };

/** Begins when the client has opened all streams that it said it would. */
function overSpdy(connection: Connection, protocol: string, { stdin, stdout, stderr, tty }: Streams, incoming: Incoming, begin: (client: Client) => void): void {
  const resizes = tty && /^v[34]\./.test(protocol);
  const expected = [ERROR, ...(stdin ? [STDIN] : []), ...(stdout ? [STDOUT] : []), ...(stderr ? [STDERR] : []), ...(resizes ? [RESIZE] : [])];
  const open = new Map<number, SpdyStream>();
  let begun = false;
  const spdy = createSpdyConnection((bytes) => socket.send(bytes), (stream) => {
    const channel = CHANNEL_OF[stream.headers["streamtype"] ?? ""];
    if (channel === undefined || open.has(channel)) {
      stream.reset();
      return;
    }
    stream.reply();
    stream.on({ data: (bytes) => incoming.message(channel, bytes), end: () => incoming.end(channel), reset: () => incoming.end(channel) });
    open.set(channel, stream);
    if (begun || !expected.every((wanted) => open.has(wanted))) return;
    begun = true;
    begin({
      send: (to, bytes) => open.get(to)?.send(bytes),
      close() {
        for (const stream of open.values()) stream.end();
        spdy.goAway();
        socket.close();
      },
    });
  });
  const socket = acceptSpdy(connection, protocol, {
    message: (bytes) => spdy.take(bytes),
    close: () => {
      if (begun) incoming.gone();
    },
  });
}

/** `{"Width":80,"Height":24}`, one or several after the other (remotecommand.TerminalSize). */
function* sizesIn(bytes: Uint8Array): Generator<[width: number, height: number]> {
  for (const [text] of new TextDecoder().decode(bytes).matchAll(/\{[^{}]*\}/g)) {
    try {
      const { Width, Height, width = Width, height = Height } = JSON.parse(text) as Record<string, unknown>;
      if (Number.isInteger(width) && Number.isInteger(height)) yield [width as number, height as number];
    } catch {
      continue;
    }
  }
}

/** The last word on the error channel: a Status since v4, before that a text where something went wrong. */
function lastWord({ exitCode = 0, error }: StreamEnd, argv: readonly string[], protocol: string): string {
  const translated = protocol === V5;
  if (!/^v[45]\./.test(protocol)) return error ?? (exitCode === 0 ? "" : `error executing remote command: error executing command [${argv.join(" ")}], exit code ${exitCode}`);
  if (error !== undefined) {
    // What the kubelet refuses before the upgrade is no internal error of its own.
    const early = error.startsWith("unable to upgrade connection") || error.startsWith("error dialing backend");
    const of = (message: string): unknown => ({ metadata: {}, status: "Failure", message: `Internal error occurred: ${message}`, reason: "InternalError", details: { causes: [{ message }] }, code: 500 });
    if (early) return JSON.stringify(translated ? of(error) : { metadata: {}, status: "Failure", message: error, reason: "InternalError", code: 500 });
    return JSON.stringify(of(translated ? `Internal error occurred: ${error}` : error));
  }
  if (exitCode === 0) return JSON.stringify({ metadata: {}, status: "Success" });
  const why = translated ? `command terminated with exit code ${exitCode}` : `error executing command [${argv.join(" ")}], exit code ${exitCode}`;
  return JSON.stringify({
    metadata: {}, status: "Failure", message: `command terminated with non-zero exit code: ${why}`,
    reason: "NonZeroExitCode", details: { causes: [{ reason: "ExitCode", message: String(exitCode) }] },
  });
}
