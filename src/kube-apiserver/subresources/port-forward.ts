/**
 * Forwarded ports: over a WebSocket as channels (two per port, k8s.io/kubelet/pkg/cri/streaming/portforward/websocket.go), or as SPDY/3.1
 * in its messages, the way kubectl does (k8s.io/apiserver/pkg/util/proxy/streamtunnel.go), or by SPDY itself (portforward/httpstream.go).
 */
import type { NodeStream, StreamEvents } from "../../client/site-streams.ts";
import { createSpdyConnection } from "./spdy.ts";
import type { SpdyStream } from "./spdy.ts";
import { fromBase64, toBase64 } from "./websocket.ts";
import type { ServerWebSocket, WebSocketEvents } from "./websocket.ts";

type Accept = (events: WebSocketEvents) => ServerWebSocket;
type Dial = (port: number, events: StreamEvents) => NodeStream;

const encoder = new TextEncoder();

/** Channel 2i carries the data of the i-th port, 2i+1 its errors; each begins with the port, little-endian. */
export function forwardOverChannels(accept: Accept, ports: readonly number[], dial: Dial, base64: boolean): void {
  const streams: NodeStream[] = [];
  const socket = accept({
    message(sent) {
      const bytes = base64 ? fromBase64(sent) : sent;
      const [channel = 0] = bytes;
      if (channel % 2 === 0) streams[channel / 2]?.write(bytes.slice(1));
    },
    close() {
      for (const stream of streams) stream.abort();
    },
  });
  const send = (channel: number, bytes: Uint8Array): void => {
    const message = new Uint8Array(1 + bytes.length);
    message[0] = channel;
    message.set(bytes, 1);
    if (base64) socket.send(toBase64(message), true);
    else socket.send(message);
  };
  let open = ports.length;
  for (const [i, port] of ports.entries()) {
    const prefix = Uint8Array.of(port & 255, port >> 8);
    send(2 * i, prefix);
    send(2 * i + 1, prefix);
    streams.push(dial(port, {
      data: (_, bytes) => send(2 * i, bytes),
      end({ error }) {
        if (error !== undefined) send(2 * i + 1, encoder.encode(error));
        if (--open === 0) socket.close();
      },
    }));
  }
}

/** Pairs of SPDY streams: an error stream and a data stream with one request id. */
export function forwardOverSpdy(accept: (events: WebSocketEvents) => { send(bytes: Uint8Array): void }, dial: Dial): void {
  const dialled = new Set<NodeStream>();
  const errors = new Map<string, SpdyStream>();
  const spdy = createSpdyConnection((bytes) => socket.send(bytes), (stream) => {
    const { headers } = stream;
    const id = headers["requestid"] ?? String(stream.id - (headers["streamtype"] === "data" ? 2 : 0));
    const port = Number(headers["port"]);
    if (headers["streamtype"] === "error") {
      errors.set(id, stream);
      stream.reply();
      return;
    }
    if (headers["streamtype"] !== "data" || !Number.isInteger(port) || port < 1 || port > 65535) {
      stream.reset();
      return;
    }
    stream.reply();
    const finish = (error: string | undefined): void => {
      const other = errors.get(id);
      errors.delete(id);
      if (error !== undefined) other?.send(encoder.encode(error));
      stream.end();
      other?.end();
    };
    const node = dial(port, {
      data: (_, bytes) => stream.send(bytes),
      end({ error }) {
        dialled.delete(node);
        finish(error);
      },
    });
    dialled.add(node);
    stream.on({ data: (bytes) => node.write(bytes), end: () => node.eof(), reset: () => node.abort() });
  });
  const socket = accept({
    message: (bytes) => spdy.take(bytes),
    close() {
      for (const node of dialled) node.abort();
    },
  });
}
