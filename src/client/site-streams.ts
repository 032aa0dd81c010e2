/**
 * Streams between the API server's site and a node's: what a kubelet serves beside the pods it runs (logs, exec, attach, port-forward), as
 * messages, so that they take as long as their way and come in the same order every time.
 */
import type { Site } from "../time/site.ts";

interface OfPod {
  readonly namespace: string;
  readonly pod: string;
}

interface OfContainer extends OfPod {
  readonly container: string;
}

interface Terminal {
  /** Whether somebody writes; default true. */
  readonly stdin?: boolean;
  /** Whether the streams are a terminal: all output is stdout's. Default false. */
  readonly tty?: boolean;
}

export type NodeStreamRequest =
  | (OfContainer & {
    readonly kind: "logs"; readonly follow: boolean; readonly previous: boolean; readonly timestamps: boolean;
    readonly tailLines?: number; readonly sinceMs?: number; readonly limitBytes?: number;
  })
  | (OfContainer & { readonly kind: "exec"; readonly argv: readonly string[] } & Terminal)
  | (OfContainer & { readonly kind: "attach" } & Terminal)
  | (OfPod & { readonly kind: "portforward"; readonly port: number })
  /** One request to the kubelet's API on port 10250; the body comes as stdout, the rest with the end. `path` with its query. */
  | { readonly kind: "http"; readonly method: string; readonly path: string };

export type Channel = "stdout" | "stderr";

/** How a stream ended: with a program's exit code, with an error, or just so. */
export interface StreamEnd {
  readonly exitCode?: number;
  readonly error?: string;
  readonly answer?: { readonly status: number; readonly headers: Readonly<Record<string, string>> };
}

/** What the node says. `end` comes once, and nothing after it. */
export interface StreamEvents {
  data(channel: Channel, bytes: Uint8Array): void;
  end(end: StreamEnd): void;
}

/** What is said to the node. */
export interface NodeStream {
  write(bytes: Uint8Array): void;
  /** Nothing more will be written. */
  eof(): void;
  /** The terminal has another size, in characters. */
  resize(width: number, height: number): void;
  /** Nobody listens any more. */
  abort(): void;
}

/** The kubelets, as the API server reaches them. */
export interface Kubelets {
  /** The nodes' names. */
  readonly nodes: readonly string[];
  /** Undefined where there is no such node. */
  open(node: string, request: NodeStreamRequest, events: StreamEvents): NodeStream | undefined;
}

type ToNode =
  | { readonly kind: "open"; readonly id: number; readonly request: NodeStreamRequest }
  | { readonly kind: "data"; readonly id: number; readonly bytes: Uint8Array }
  | { readonly kind: "resize"; readonly id: number; readonly width: number; readonly height: number }
  | { readonly kind: "eof" | "abort"; readonly id: number };

type FromNode =
  | { readonly kind: "data"; readonly id: number; readonly channel: Channel; readonly bytes: Uint8Array }
  | { readonly kind: "end"; readonly id: number; readonly end: StreamEnd };

/** The API server's half; a message takes `latencyNs`. */
export const newKubelets = (site: Site, nodes: readonly { readonly name: string; readonly index: number }[], latencyNs: number): Kubelets => {
  const open = new Map<number, StreamEvents>();
  let ids = 0;
  site.listen("stream-answer", (message: FromNode) => {
    const events = open.get(message.id);
    if (message.kind === "data") {
      events?.data(message.channel, message.bytes);
      return;
    }
    open.delete(message.id);
    events?.end(message.end);
  });
  return {
    nodes: nodes.map(({ name }) => name),
    open(name, request, events) {
      const node = nodes.find((n) => n.name === name);
      if (node === undefined) return undefined;
      const id = ids++;
      const send = (message: ToNode): void => site.send(node.index, "stream", message, latencyNs);
      open.set(id, events);
      send({ kind: "open", id, request });
      return {
        write: (bytes) => send({ kind: "data", id, bytes }),
        eof: () => send({ kind: "eof", id }),
        resize: (width, height) => send({ kind: "resize", id, width, height }),
        abort() {
          if (open.delete(id)) send({ kind: "abort", id });
        },
      };
    },
  };
};

/** One request to a kubelet's API. Rejects where the node cannot be reached, with the words of a failed dial. */
export const askKubelet = (
  kubelets: Kubelets, node: string, { method, path }: { readonly method: string; readonly path: string },
): Promise<{ readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: string }> =>
  new Promise((resolve, reject) => {
    const decoder = new TextDecoder();
    let body = "";
    const opened = kubelets.open(node, { kind: "http", method, path }, {
      data: (_channel, bytes) => void (body += decoder.decode(bytes, { stream: true })),
      end: ({ answer, error }) => (answer === undefined ? reject(new Error(error ?? "EOF")) : resolve({ ...answer, body })),
    });
    if (opened === undefined) reject(new Error(`dial tcp: lookup ${node}: no such host`));
  });

/** The node's half: `open` starts a stream, and gets what comes for it. */
export const serveStreams = (site: Site, latencyNs: number, open: (request: NodeStreamRequest, events: StreamEvents) => NodeStream): void => {
  const streams = new Map<string, NodeStream>();
  site.listen("stream", (message: ToNode, from) => {
    const key = `${from}/${message.id}`;
    const { id } = message;
    if (message.kind === "open") {
      const send = (answer: FromNode): void => site.send(from, "stream-answer", answer, latencyNs);
      let over = false;
      const stream = open(message.request, {
        data(channel, bytes) {
          if (!over) send({ kind: "data", id, channel, bytes });
        },
        end(end) {
          if (!over) send({ kind: "end", id, end });
          over = true;
          streams.delete(key);
        },
      });
      if (!over) streams.set(key, stream);
      return;
    }
    const stream = streams.get(key);
    if (message.kind === "data") stream?.write(message.bytes);
    else if (message.kind === "eof") stream?.eof();
    else if (message.kind === "resize") stream?.resize(message.width, message.height);
    else {
      streams.delete(key);
      stream?.abort();
    }
  });
};
