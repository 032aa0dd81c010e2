/** Watch and informers. */
import { CoreV1Api, makeInformer, Watch, type V1ConfigMap, type V1ConfigMapList } from "@kubernetes/client-node";
import { beforeAll, expect, test } from "vitest";
import { session, until } from "./common.ts";

const s = session({ nodes: 0, controllers: "none" });
let core: CoreV1Api;
const namespace = "default";
const PATH = `/api/v1/namespaces/${namespace}/configmaps`;

beforeAll(() => {
  core = s.config.makeApiClient(CoreV1Api);
});

const create = (name: string, labels: Record<string, string> = {}): Promise<V1ConfigMap> => core.createNamespacedConfigMap({ namespace, body: { metadata: { name, labels } } });
const touch = (name: string, value: string): Promise<V1ConfigMap> => core.patchNamespacedConfigMap({ name, namespace, body: [{ op: "add", path: "/data", value: { value } }] });

interface Seen {
  readonly events: { type: string; name: string; object: V1ConfigMap }[];
  readonly ended: { error: unknown }[];
  readonly stop: () => void;
}

/** Watches until it is stopped. */
async function watching(query: Record<string, string | number | boolean>, path = PATH): Promise<Seen> {
  const events: Seen["events"] = [];
  const ended: Seen["ended"] = [];
  const controller = await new Watch(s.config).watch(path, query, (type: string, object: V1ConfigMap) => void events.push({ type, name: object.metadata?.name ?? "", object }), (error: unknown) => void ended.push({ error }));
  return { events, ended, stop: () => controller.abort() };
}

const told = ({ events }: Seen): string[] => events.map(({ type, name }) => `${type} ${name}`);

test("what is there, and what changes", async () => {
  await create("w1");
  const seen = await watching({ fieldSelector: "metadata.name!=kube-root-ca.crt" });
  await until(() => told(seen).includes("ADDED w1"));
  await touch("w1", "x");
  await core.deleteNamespacedConfigMap({ name: "w1", namespace });
  await until(() => told(seen).includes("DELETED w1"));
  expect(told(seen)).toEqual(["ADDED w1", "MODIFIED w1", "DELETED w1"]);
  // The last state, with the revision of the deletion.
  expect(seen.events[2]!.object).toMatchObject({ kind: "ConfigMap", apiVersion: "v1", data: { value: "x" } });
  expect(Number(seen.events[2]!.object.metadata!.resourceVersion)).toBeGreaterThan(Number(seen.events[1]!.object.metadata!.resourceVersion));
  seen.stop();
  await until(() => seen.ended.length === 1);
  expect(seen.ended[0]!.error).toMatchObject({ name: "AbortError" });
});

test("on from a revision, within a selection", async () => {
  const { metadata } = await create("r0", { in: "yes" });
  await create("r1", { in: "yes" });
  await create("r2");
  const seen = await watching({ resourceVersion: metadata!.resourceVersion!, labelSelector: "in=yes" });
  await until(() => told(seen).length === 1);
  await core.patchNamespacedConfigMap({ name: "r2", namespace, body: [{ op: "add", path: "/metadata/labels", value: { in: "yes" } }] });
  await core.patchNamespacedConfigMap({ name: "r1", namespace, body: [{ op: "remove", path: "/metadata/labels/in" }] });
  await until(() => told(seen).length === 3);
  expect(told(seen)).toEqual(["ADDED r1", "ADDED r2", "DELETED r1"]);
  seen.stop();
});

test("bookmarks, initial events and their end", async () => {
  await create("b1");
  const seen = await watching({ sendInitialEvents: true, resourceVersionMatch: "NotOlderThan", allowWatchBookmarks: true, fieldSelector: "metadata.name=b1" });
  await until(() => seen.events.some(({ type }) => type === "BOOKMARK"));
  expect(seen.events.map(({ type }) => type)).toEqual(["ADDED", "BOOKMARK"]);
  expect(seen.events[1]!.object.metadata!.annotations).toMatchObject({ "k8s.io/initial-events-end": "true" });
  seen.stop();
});

test("timeoutSeconds ends a watch well", async () => {
  const seen = await watching({ timeoutSeconds: 1 });
  await until(() => seen.ended.length === 1);
  expect(seen.ended[0]!.error).toBeNull();
});

test("refusals", async () => {
  const old = await watching({ resourceVersion: "1" });
  await until(() => old.ended.length === 1);
  expect(old.events[0]).toMatchObject({ type: "ERROR", object: { kind: "Status", code: 410, reason: "Expired", message: expect.stringMatching(/^too old resource version: 1 \(\d+\)$/) as string } });
  const bad = await watching({ resourceVersion: "x" });
  await until(() => bad.ended.length === 1);
  expect(bad.ended[0]!.error).toMatchObject({ statusCode: 500 });
  const nowhere = await watching({}, "/apis/nosuch.example/v1/things");
  await until(() => nowhere.ended.length === 1);
  expect(nowhere.ended[0]!.error).toMatchObject({ statusCode: 404 });
});

test("an informer: add, update, delete, its cache, its selection", async () => {
  await create("i1", { informed: "yes" });
  const list = (): Promise<V1ConfigMapList> => core.listNamespacedConfigMap({ namespace, labelSelector: "informed=yes" });
  const informer = makeInformer<V1ConfigMap>(s.config, PATH, list, "informed=yes");
  const events: string[] = [];
  for (const verb of ["add", "update", "delete"] as const) informer.on(verb, (object) => void events.push(`${verb} ${object.metadata!.name}`));
  let connects = 0;
  informer.on("connect", () => void connects++);
  await informer.start();
  expect(events).toEqual(["add i1"]);
  await create("i2", { informed: "yes" });
  await create("i3");
  await touch("i1", "1");
  await core.deleteNamespacedConfigMap({ name: "i1", namespace });
  await until(() => events.includes("delete i1"));
  expect(events).toEqual(["add i1", "add i2", "update i1", "delete i1"]);
  expect(informer.list().map(({ metadata }) => metadata!.name)).toEqual(["i2"]);
  expect(informer.get("i2", namespace)!.metadata!.labels).toEqual({ informed: "yes" });
  expect(connects).toBe(1);
  await informer.stop();
});

test("an informer whose watch ends goes on where it was, and lists again when that is gone", async () => {
  const list = (): Promise<V1ConfigMapList> => {
    lists++;
    return core.listNamespacedConfigMap({ namespace, labelSelector: "again=yes" });
  };
  let lists = 0;
  const informer = makeInformer<V1ConfigMap>(s.config, PATH, list, "again=yes");
  // Watches of a second, so that they end by themselves.
  const inner = (informer as unknown as { watch: Watch }).watch;
  const watch = inner.watch.bind(inner);
  let from: string | undefined;
  inner.watch = (path, query, callback, done) => {
    const resourceVersion = from ?? (query as { resourceVersion: string }).resourceVersion;
    from = undefined;
    return watch(path, { ...query, resourceVersion, timeoutSeconds: 1 }, callback, done);
  };
  const added: string[] = [];
  informer.on("add", ({ metadata }) => void added.push(metadata!.name!));
  let connects = 0;
  informer.on("connect", () => void connects++);
  await informer.start();
  await create("a1", { again: "yes" });
  await until(() => connects >= 2);
  await create("a2", { again: "yes" });
  await until(() => added.includes("a2"));
  expect(lists).toBe(1);
  // A revision from before the server's time: 410, and a new list.
  from = "1";
  await until(() => lists === 2);
  await create("a3", { again: "yes" });
  await until(() => added.includes("a3"));
  expect(added).toEqual(["a1", "a2", "a3"]);
  await informer.stop();
});

test("many watches at once each see all", async () => {
  const all = await Promise.all(Array.from({ length: 50 }, () => watching({ labelSelector: "many=yes" })));
  await Promise.all(Array.from({ length: 20 }, (_, i) => create(`many-${i}`, { many: "yes" })));
  for (const seen of all) await until(() => seen.events.length === 20);
  for (const seen of all) seen.stop();
});
