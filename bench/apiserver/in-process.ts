/** The API server in process, for bench/apiserver.ts. With `ready` it only tells how long it takes to be there. */
import { complete } from "../../src/kube-apiserver/complete/index.ts";
import { createApiServer } from "../../src/kube-apiserver/server.ts";
import { silent } from "../../src/log.ts";
import type { InProcess } from "../apiserver.ts";
import { PODS, SERVICE_ACCOUNT, configMap, pod } from "./objects.ts";
import { rate, realClock, report, seeded } from "./surroundings.ts";

const imported = performance.now();
const server = createApiServer({ clock: realClock, random: seeded, log: silent, extension: complete });
await server.ready;
const ready = performance.now();

if (process.argv[2] === "ready") report({ imported, ready });
else {
  // Not for the process that only starts: they would be a tenth of its time.
  const { execFileSync } = await import("node:child_process");
  const { setFlagsFromString } = await import("node:v8");
  const { runInNewContext } = await import("node:vm");
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const post = async (path: string, body: unknown): Promise<void> => {
    const { status, body: answer } = await server.handle({ method: "POST", path, body });
    if (status !== 201) throw new Error(`${path}: ${status} ${JSON.stringify(answer)}`);
  };
  const pods = "/api/v1/namespaces/default/pods";
  await post("/api/v1/namespaces/default/serviceaccounts", SERVICE_ACCOUNT);

  // The first thousand warm the compiler up; they stay, as everything else.
  const many = 20_000;
  await rate(1000, (n) => post("/api/v1/namespaces/default/configmaps", configMap(n)));
  const configMaps = await rate(many, (n) => post("/api/v1/namespaces/default/configmaps", configMap(n + 1000)));
  await rate(500, (n) => post(pods, pod(-n - 1)));
  collect();
  const before = process.memoryUsage().heapUsed;
  const podRate = await rate(PODS - 500, (n) => post(pods, pod(n)));
  collect();
  const grown = process.memoryUsage().heapUsed - before;

  const list = async (): Promise<number> => Buffer.byteLength((await server.serve({ method: "GET", url: pods, headers: {}, body: new Uint8Array() })).body as string);
  const listBytes = await list();
  const times: number[] = [];
  for (let turn = 0; turn < 5; turn++) {
    const started = performance.now();
    await list();
    times.push(performance.now() - started);
  }

  await rate(10_000 - PODS, (n) => post(pods, pod(PODS + n)));
  const result: InProcess = {
    ...(JSON.parse(execFileSync(process.execPath, [process.argv[1]!, "ready"], { encoding: "utf8" })) as { imported: number; ready: number }),
    configMaps, pods: podRate, list: times.sort((a, b) => a - b)[2]!, listBytes,
    watchers: await watched(100, 200),
    bytesPerPod: grown / (PODS - 500) - listBytes / PODS,
  };
  report(result);
}

/** Events a second that `count` watchers of all pods are handed, while `changes` pods change. */
async function watched(count: number, changes: number): Promise<number> {
  const stop = new AbortController();
  const { body } = await server.handle({ method: "GET", path: "/api/v1/pods?limit=1" });
  const version = (body as { metadata: { resourceVersion: string } }).metadata.resourceVersion;
  let seen = 0;
  const watchers = Array.from({ length: count }, async () => {
    const { stream } = await server.handle({ method: "GET", path: `/api/v1/pods?watch=true&resourceVersion=${version}` }, stop.signal);
    let left = changes;
    for await (const { type } of stream!) {
      if (type === "BOOKMARK") continue;
      seen++;
      if (--left === 0) return;
    }
  });
  const started = performance.now();
  for (let n = 0; n < changes; n++) {
    await server.handle({
      method: "PATCH", path: `/api/v1/namespaces/default/pods/p-${n}`, headers: { "content-type": "application/merge-patch+json" },
      body: { metadata: { labels: { turn: String(n) } } },
    });
  }
  await Promise.all(watchers);
  const took = performance.now() - started;
  stop.abort(new Error("done"));
  return (seen * 1000) / took;
}
