/** A page that asks its own cluster with plain `fetch`, through the service worker. */
import { createCluster, serveInPage } from "../../../runtimes/browser/index.ts";

interface Named {
  readonly items: readonly { readonly metadata: { readonly name: string } }[];
}

export async function main(): Promise<unknown> {
  const cluster = await createCluster({ nodes: 1, time: "real" });
  const served = await serveInPage(cluster, { script: "/dist/service-worker.js" });
  const nodes = (await (await fetch("/api/v1/nodes")).json()) as Named;
  const created = await fetch("/api/v1/namespaces/default/configmaps", {
    method: "POST", headers: { "content-type": "application/json" },
    body: JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "from-a-page" }, data: { a: "ü" } }),
  });
  const missing = await fetch("/api/v1/namespaces/default/configmaps/nothing");
  const other = await fetch("/no-api/file");
  // A watch streams, and ends when nobody listens.
  const leaving = new AbortController();
  const watch = await fetch("/api/v1/namespaces/default/configmaps?watch=true", { signal: leaving.signal });
  const reader = watch.body!.pipeThrough(new TextDecoderStream()).getReader();
  let lines = "";
  const until = async (name: string): Promise<void> => {
    while (!lines.includes(name)) lines += (await reader.read()).value ?? "";
  };
  await until("from-a-page");
  await fetch("/api/v1/namespaces/default/configmaps", {
    method: "POST", body: JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "seen-live" } }), headers: { "content-type": "application/json" },
  });
  await until("seen-live");
  leaving.abort();
  await served.close();
  cluster.close();
  return {
    nodes: nodes.items.map(({ metadata }) => metadata.name),
    created: [created.status, ((await created.json()) as { data: unknown }).data],
    missing: [missing.status, ((await missing.json()) as { reason: string }).reason],
    other: other.status,
  };
}
