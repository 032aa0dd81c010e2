/**
 * The API between sites: `ApiTransport` over messages, so that a request takes as long as the way to the control plane and
 * back. The client's half runs on any site, the server's half beside the API server.
 */
import { SITE_API_LATENCY_NS } from "../time/costs.ts";
import type { Site } from "../time/site.ts";
import type { ApiRequest, ApiResponse, ApiTransport, WatchEvent } from "./transport.ts";

type ToServer =
  | { readonly kind: "request"; readonly id: number; readonly request: ApiRequest }
  | { readonly kind: "abort"; readonly id: number };

type ToClient =
  | { readonly kind: "response"; readonly id: number; readonly response: Omit<ApiResponse, "stream" | "text">; readonly streams: boolean }
  | { readonly kind: "failed"; readonly id: number; readonly reason: string }
  | { readonly kind: "events"; readonly id: number; readonly events: readonly WatchEvent[] }
  | { readonly kind: "end"; readonly id: number };

interface Waiting {
  answer(message: ToClient): void;
}

/** The transport of a site whose API server is at the site `server`. */
export const newSiteTransport = (site: Site, server: number): ApiTransport => {
  const waiting = new Map<number, Waiting>();
  let ids = 0;
  const send = (message: ToServer): void => site.send(server, "api", message, SITE_API_LATENCY_NS);
  site.listen("api-answer", (message: ToClient) => waiting.get(message.id)?.answer(message));

  return (request, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const id = ids++;
      const stream = newStream(() => abort());
      let answered = false;
      const finish = (): void => {
        waiting.delete(id);
        signal?.removeEventListener("abort", abort);
      };
      const abort = (): void => {
        if (!waiting.has(id)) return;
        finish();
        send({ kind: "abort", id });
        if (answered) stream.end();
        else reject(signal?.reason);
      };
      signal?.addEventListener("abort", abort, { once: true });
      waiting.set(id, {
        answer(message) {
          switch (message.kind) {
            case "response":
              answered = true;
              if (!message.streams) finish();
              resolve(message.streams ? { ...message.response, stream: stream.iterable } : message.response);
              return;
            case "failed":
              finish();
              if (answered) stream.end(new Error(message.reason));
              else reject(new Error(message.reason));
              return;
            case "events":
              for (const event of message.events) stream.push(event);
              return;
            case "end":
              finish();
              stream.end();
          }
        },
      });
      send({ kind: "request", id, request });
    });
};

/** Serves the API of `handle` to all sites that send requests to `site`. */
export const serveSiteApi = (site: Site, handle: ApiTransport): void => {
  const running = new Map<string, AbortController>();
  site.listen("api", (message: ToServer, from: number) => {
    const key = `${from}/${message.id}`;
    if (message.kind === "abort") {
      running.get(key)?.abort("client closed the request");
      running.delete(key);
      return;
    }
    const controller = new AbortController();
    running.set(key, controller);
    const send = (answer: ToClient): void => site.send(from, "api-answer", answer, SITE_API_LATENCY_NS);
    void answerRequest(message.id, message.request, handle, controller.signal, send).finally(() => running.delete(key));
  });
};

const answerRequest = async (
  id: number,
  request: ApiRequest,
  handle: ApiTransport,
  signal: AbortSignal,
  send: (answer: ToClient) => void,
): Promise<void> => {
  try {
    const { stream, ...response } = await handle(request, signal);
    send({ kind: "response", id, response, streams: stream !== undefined });
    if (stream === undefined) return;
    for await (const event of stream) send({ kind: "events", id, events: [event] });
    if (!signal.aborted) send({ kind: "end", id });
  } catch (error) {
    if (!signal.aborted) send({ kind: "failed", id, reason: error instanceof Error ? error.message : String(error) });
  }
};

/** A queue that is read as an async iterable; `cancel` is called when the reader leaves early. */
const newStream = (
  cancel: () => void,
): { push(event: WatchEvent): void; end(error?: Error): void; readonly iterable: AsyncIterable<WatchEvent> } => {
  const queue: WatchEvent[] = [];
  let ended = false;
  let failure: Error | undefined;
  let wake: (() => void) | undefined;
  const notify = (): void => {
    wake?.();
    wake = undefined;
  };
  const iterator: AsyncIterator<WatchEvent> = {
    async next() {
      while (queue.length === 0) {
        if (failure !== undefined) throw failure;
        if (ended) return { done: true, value: undefined };
        await new Promise<void>((resolve) => (wake = resolve));
      }
      return { done: false, value: queue.shift() as WatchEvent };
    },
    async return() {
      if (!ended) cancel();
      return { done: true, value: undefined };
    },
  };
  return {
    push(event) {
      queue.push(event);
      notify();
    },
    end(error) {
      ended = true;
      failure = error;
      notify();
    },
    iterable: { [Symbol.asyncIterator]: () => iterator },
  };
};
