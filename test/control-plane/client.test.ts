import { describe, expect, test } from "vitest";
import { createClient } from "../../src/client/client.ts";
import { prepareController, done, requeueAfter } from "../../src/client/controller.ts";
import { createInformer, createInformers, BY_NODE } from "../../src/client/informer.ts";
import { createWorkQueue } from "../../src/client/workqueue.ts";
import { createApiServer, stamp } from "../../src/kube-apiserver/server.ts";
import { createMemoryStorage } from "../../src/storage/memory.ts";
import type { KubeObject } from "../../src/apimachinery/meta.ts";
import type { ApiTransport } from "../../src/client/transport.ts";
import { silent } from "../../src/log.ts";
import { TestClock, testRandom } from "./test-clock.ts";

let serial = 0;
const hop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("the work queue", () => {
  test("a key waits once, and comes back when it was added while worked on", async () => {
    const queue = createWorkQueue(new TestClock());
    queue.add("a");
    queue.add("a");
    queue.add("b");
    expect(await queue.get()).toBe("a");
    queue.add("a");
    expect(queue.length()).toBe(1);
    expect(await queue.get()).toBe("b");
    queue.done("a");
    expect(await queue.get()).toBe("a");
    queue.done("b");
    queue.done("a");
    expect(queue.length()).toBe(0);
    const waiting = queue.get();
    queue.shutDown();
    expect(await waiting).toBeUndefined();
  });

  test("failures wait 5 ms, doubling, until they are forgotten; the earliest wish counts", async () => {
    const clock = new TestClock();
    const queue = createWorkQueue(clock);
    const times: number[] = [];
    for (let i = 0; i < 4; i++) {
      const start = clock.nowNs();
      queue.addRateLimited("a");
      await clock.until(() => queue.length() === 1, 1000);
      times.push((clock.nowNs() - start) / 1e6);
      queue.done((await queue.get())!);
    }
    expect(times).toEqual([10, 10, 20, 40]);
    expect(queue.failures("a")).toBe(4);
    queue.forget("a");
    queue.addAfter("a", 1000);
    queue.addAfter("a", 100);
    queue.addAfter("a", 500);
    await clock.advance(99);
    expect(queue.length()).toBe(0);
    await clock.advance(1);
    expect(queue.length()).toBe(1);
  });
});

describe("a controller", () => {
  test("is run again after errors and when it asks for it", async () => {
    const clock = new TestClock();
    const stop = new AbortController();
    const runs: number[] = [];
    const results = [new Error("no"), requeueAfter(1000), done];
    prepareController({
      name: "test",
      setup: (queue) => queue.add("k"),
      async reconcile() {
        runs.push(Math.round(clock.nowNs() / 1e6));
        const result = results.shift() ?? done;
        if (result instanceof Error) throw result;
        return result;
      },
    }, clock, silent)(stop.signal);
    await clock.advance(5000);
    expect(runs).toEqual([0, 5, 1005]);
    stop.abort();
  });

  test("what is due at this very instant lets time go on", async () => {
    const clock = new TestClock();
    const startMs = clock.nowMs();
    let visits = 0;
    const controller = { name: "tie", setup: (queue: { add(key: string): void }) => queue.add("a"), reconcile: async () => (++visits < 1000 && clock.nowMs() === startMs ? requeueAfter(0) : done) };
    const stop = new AbortController();
    prepareController(controller, clock, silent)(stop.signal);
    await clock.advance(10);
    expect(visits).toBe(2);
    stop.abort();
  });
});

function server(historyMax?: number) {
  const clock = new TestClock();
  const storage = createMemoryStorage<KubeObject>({ stamp, ...(historyMax === undefined ? {} : { historyMax }) });
  const api = createApiServer({ clock, random: testRandom(), log: silent, storage });
  return { clock, api, client: createClient(api.handle) };
}

describe("an informer", () => {
  test("lists, watches, indexes and tells its handlers", async () => {
    const { clock, client } = server();
    const pod = (name: string, nodeName?: string) => client.pods.create({ metadata: { name, namespace: "default" }, spec: { ...(nodeName === undefined ? {} : { nodeName }), containers: [{ name: "c", image: "x" }] } });
    await pod("a", "n1");
    const stop = new AbortController();
    const informers = createInformers(client, { clock, random: testRandom(), log: silent });
    const pods = informers.informer("pods");
    const seen: string[] = [];
    pods.addHandler({ add: (p) => seen.push(`add ${p.metadata.name}`), update: (p, old) => seen.push(`update ${p.metadata.name} ${old.status.phase}>${p.status.phase}`), delete: (p) => seen.push(`delete ${p.metadata.name}`) });
    expect(pods.hasSynced()).toBe(false);
    informers.start(stop.signal);
    await informers.waitForSync();
    await pod("b", "n2");
    await client.pods.patch("default", "a", "merge", { status: { phase: "Running" } }, "status");
    await client.pods.delete("default", "b", { gracePeriodSeconds: 0 });
    await hop();
    expect(seen).toEqual(["add a", "add b", "update a Pending>Running", "delete b"]);
    expect([pods.byIndex(BY_NODE, "n1").length, pods.byIndex(BY_NODE, "n2").length, pods.list("default").length, pods.list("other").length]).toEqual([1, 0, 1, 0]);
    // The cache holds the very object of the store.
    expect(pods.get("default", "a")).toBe(await client.pods.get("default", "a"));
    const late: string[] = [];
    pods.addHandler({ add: (p) => late.push(p.metadata.name) });
    expect(late).toEqual(["a"]);
    stop.abort();
    await pod("c");
    await hop();
    expect(seen).toHaveLength(4);
  });

  test("lists again when its watch is lost and the history is gone", async () => {
    const { clock, api } = server(5);
    // A transport whose watches can be cut.
    let cut = new AbortController();
    const transport: ApiTransport = (request, signal) => api.handle(request, request.path.includes("watch=true") ? AbortSignal.any([cut.signal, ...(signal === undefined ? [] : [signal])]) : signal);
    const client = createClient(transport);
    const direct = createClient(api.handle);
    const maps = createInformer(client.configMaps, { clock, random: testRandom(), log: silent, namespace: "default" });
    const stop = new AbortController();
    const seen: string[] = [];
    maps.addHandler({ add: (m) => seen.push(`+${m.metadata.name}`), delete: (m) => seen.push(`-${m.metadata.name}`) });
    maps.start(stop.signal);
    await maps.synced;
    await direct.configMaps.create({ metadata: { name: "a", namespace: "default" } });
    await hop();
    const broken = cut;
    cut = new AbortController();
    // While the watch is away, more happens than the history holds.
    await direct.configMaps.delete("default", "a");
    for (let i = 0; i < 10; i++) await direct.configMaps.create({ metadata: { name: `m${i}`, namespace: "default" } });
    broken.abort();
    await clock.advance(60_000);
    expect(maps.list().map((m) => m.metadata.name).sort()).toEqual(Array.from({ length: 10 }, (_, i) => `m${i}`));
    expect(maps.get("default", "a")).toBeUndefined();
    expect(seen.filter((s) => s === "-a")).toHaveLength(1);
    stop.abort();
  });
});

describe("watches", () => {
  test("an object that enters the selection is ADDED, one that leaves it DELETED", async () => {
    const { client } = server();
    const stop = new AbortController();
    const stream = await client.configMaps.watch("default", { labelSelector: "a=1" }, stop.signal);
    await client.configMaps.create({ metadata: { name: "m", namespace: "default", labels: { a: "2" } } });
    for (const a of ["1", "1", "2"]) await client.configMaps.patch("default", "m", "merge", { metadata: { labels: { a, other: `x${serial++}` } } });
    await client.configMaps.delete("default", "m");
    stop.abort();
    const seen: string[] = [];
    for await (const { type, object } of stream) seen.push(`${type} ${object.metadata.labels?.["a"]}`);
    expect(seen).toEqual(["ADDED 1", "MODIFIED 1", "DELETED 1"]);
  });

  test("over HTTP a watch is a stream of lines", async () => {
    const { api, client } = server();
    await client.configMaps.create({ metadata: { name: "m", namespace: "default" }, data: { a: "1" } });
    const response = await api.fetch(new Request("http://x/api/v1/namespaces/default/configmaps?watch=true"));
    const reader = response.body!.getReader();
    const first = JSON.parse(new TextDecoder().decode((await reader.read()).value)) as { type: string; object: { data: unknown } };
    expect([first.type, first.object.data]).toEqual(["ADDED", { a: "1" }]);
    await reader.cancel();
  });
});
