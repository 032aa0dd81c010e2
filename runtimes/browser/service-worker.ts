/// <reference lib="webworker" />
/**
 * dist/service-worker.js: answers `fetch("/api/v1/pods")` of a page, and of every frame and worker of it, out of the cluster that runs in
 * that page (`serveInPage` of `kubewire/browser`). It keeps nothing: browsers end idle service workers, and a new one asks the pages again.
 */
import type { Answered, Asked, Gone, Ready, WhoServes } from "../service-worker-messages.ts";

declare const self: ServiceWorkerGlobalScope;

interface Server {
  readonly id: string;
  readonly paths: readonly string[];
}

/** The page that said last that it serves. */
let server: Server | undefined;
const waiting: ((server: Server) => void)[] = [];
/** So long a page may take to say that it serves. */
const PATIENCE_MS = 1000;

self.addEventListener("install", () => void self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("message", ({ data, source }) => {
  const { kubewire, paths } = data as Ready;
  if (kubewire !== "ready" || !(source instanceof Client)) return;
  server = { id: source.id, paths };
  for (const go of waiting.splice(0)) go(server);
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname, search } = new URL(request.url);
  if (origin !== self.location.origin || request.mode === "navigate") return;
  // The worker was ended and started again: which paths are served is not known yet, an API's are likely.
  const served = server === undefined ? /^\/(?:apis?|openapi|version|healthz|livez|readyz|metrics)(?:\/|$)/.test(pathname)
    : server.paths.some((path) => pathname === path || pathname.startsWith(`${path}/`));
  if (served) event.respondWith(answer(request, pathname + search));
});

async function answer(request: Request, url: string): Promise<Response> {
  // The page that asks may be another than the one that serves, but a body is read before it is waited for.
  const again = request.clone();
  const page = await serving();
  if (page === undefined) return fetch(again);
  const headers: Record<string, string> = {};
  request.headers.forEach((value, name) => {
    headers[name] = value;
  });
  const body = new Uint8Array(await request.arrayBuffer());
  const { port1: port, port2 } = new MessageChannel();
  const asked: Asked = { kubewire: "request", method: request.method, url, headers, body };
  return new Promise((resolve, reject) => {
    let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
    const encoder = new TextEncoder();
    const stream = new ReadableStream<Uint8Array>({
      start(made) {
        controller = made;
      },
      cancel() {
        port.postMessage({ gone: true } satisfies Gone);
        port.close();
      },
    });
    port.addEventListener("message", ({ data }) => {
      const said = data as Answered;
      if ("head" in said) {
        const { status, headers: given } = said.head;
        const empty = status === 204 || status === 304;
        try {
          resolve(new Response(empty ? null : stream, { status, headers: given }));
        } catch (error) {
          reject(error);
        }
      } else if ("text" in said) controller?.enqueue(typeof said.text === "string" ? encoder.encode(said.text) : said.text);
      else {
        controller?.close();
        port.close();
      }
    });
    port.start();
    page.postMessage(asked, [port2]);
  });
}

/** The page that serves; undefined when there is none. */
async function serving(): Promise<Client | undefined> {
  const known = server === undefined ? undefined : await self.clients.get(server.id);
  if (known !== undefined) return known;
  server = undefined;
  const heard = new Promise<Server | undefined>((resolve) => {
    waiting.push(resolve);
    setTimeout(() => resolve(undefined), PATIENCE_MS);
  });
  for (const client of await self.clients.matchAll({ type: "window", includeUncontrolled: true })) {
    client.postMessage({ kubewire: "who-serves" } satisfies WhoServes);
  }
  const found = await heard;
  return found === undefined ? undefined : self.clients.get(found.id);
}
