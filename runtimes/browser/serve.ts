/** A page's cluster behind `fetch`: the page's side of service-worker.ts. */
import type { Cluster } from "../../src/cluster.ts";
import { API_PATHS, type Answered, type Asked, type Ready, type WhoServes } from "../service-worker-messages.ts";

export interface ServeOptions {
  /**
   * Where the site serves `dist/service-worker.js`. A service worker sees the pages below its own folder, unless the script comes with the
   * header `Service-Worker-Allowed`: a copy in the site's root serves all of it.
   */
  readonly script: string | URL;
  /** The pages whose requests are answered: `/` by default. */
  readonly scope?: string;
  /** Paths that are the API's, each with all below it: those of an API server by default. */
  readonly paths?: readonly string[];
}

/**
 * From now on `fetch("/api/v1/pods")` of this page reaches the API server of `cluster`, which must have been created with
 * `time: "real"`. Resolves when the page is controlled; rejects where service workers are not allowed (no secure context).
 */
export async function serveInPage(cluster: Pick<Cluster, "serve">, options: ServeOptions): Promise<{ close(): Promise<void> }> {
  const { scope = "/", paths = API_PATHS } = options;
  const container = navigator.serviceWorker;
  if (container === undefined) throw new Error("serveInPage: service workers need a secure context (https or localhost)");
  const ready: Ready = { kubewire: "ready", paths };
  const listen = ({ data, source, ports }: MessageEvent): void => {
    const { kubewire } = data as WhoServes | Asked;
    if (kubewire === "who-serves") (source as ServiceWorker | null)?.postMessage(ready);
    else if (kubewire === "request" && ports[0] !== undefined) void answer(cluster, data as Asked, ports[0]);
  };
  container.addEventListener("message", listen);
  container.startMessages();
  const registration = await container.register(options.script, { scope, type: "module" });
  await container.ready;
  if (container.controller === null) {
    await new Promise<void>((resolve) => container.addEventListener("controllerchange", () => resolve(), { once: true }));
  }
  container.controller!.postMessage(ready);
  return {
    async close() {
      container.removeEventListener("message", listen);
      await registration.unregister();
    },
  };
}

async function answer(cluster: Pick<Cluster, "serve">, { method, url, headers, body }: Asked, port: MessagePort): Promise<void> {
  const gone = new AbortController();
  port.onmessage = () => gone.abort();
  const say = (said: Answered): void => port.postMessage(said);
  try {
    const { status, headers: given, body: content } = await cluster.serve({ method, url, headers, body, signal: gone.signal });
    say({ head: { status, headers: given } });
    if (typeof content === "string" || content instanceof Uint8Array) say({ text: content });
    else if (content !== undefined) {
      for await (const text of content) {
        if (gone.signal.aborted) break;
        say({ text });
      }
    }
  } catch (error) {
    say({ head: { status: 500, headers: { "content-type": "text/plain" } } });
    say({ text: error instanceof Error ? error.message : "error" });
  }
  say({ end: true });
}
