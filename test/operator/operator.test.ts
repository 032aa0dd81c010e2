/** examples/operator in virtual time: children, status, finalizer, owners, coming back by the clock. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createManager, deepCopy, isNotFound } from "kubewire/client";
import type { Client, Draft, Lister } from "kubewire/client";
import { newWebsiteController } from "../../examples/operator/controller.ts";
import { newWebsiteLister, websites, type Website, type WebsiteLister } from "../../examples/operator/generated/websites.ts";
import { createCluster } from "../../runtimes/node/index.ts";
import type { Cluster } from "../../runtimes/node/index.ts";

const file = (name: string): string => readFileSync(new URL(`../../examples/operator/${name}`, import.meta.url), "utf8");

let cluster: Cluster;
let stop: () => void;
let lister: WebsiteLister;
const problems: string[] = [];

beforeAll(async () => {
  const log = { info() {}, error: (message: string, fields?: object) => void problems.push(`${message} ${JSON.stringify(fields, (_, value: unknown) => (value instanceof Error ? value.message : value))}`), with: () => log };
  cluster = await createCluster({ nodes: 2, log });
  await cluster.apply(file("website.crd.yaml"));
  stop = cluster.start(async (context) => {
    const manager = createManager({ ...context, name: "website-operator" });
    manager.add(newWebsiteController(manager));
    lister = newWebsiteLister(manager.informer(websites(manager.client)));
    await manager.start();
  });
});
afterAll(() => cluster.close());

const drive = <T>(work: (client: Client) => Promise<T>): Promise<T> => cluster.drive(work);
const site = (name: string): Promise<Website> => drive((client) => websites(client).get("default", name));
const create = (name: string, spec: Website["spec"]): Promise<Website> => drive((client) => websites(client).create({ metadata: { name, namespace: "default" }, spec } as Draft<Website>));
const IMAGE = "nginx:1.27";

test("a website gets its children, and its status says when they are there", async () => {
  const made = await create("shop", { image: IMAGE, replicas: 3, labels: { tier: "front" } });
  await cluster.advance(10_000);
  const { status, metadata } = await site("shop");
  expect(status).toEqual({ phase: "Ready", url: "http://shop.default.svc.cluster.local/", readyReplicas: 3, observedGeneration: 1 });
  expect(metadata.finalizers).toEqual(["example.com/farewell"]);
  expect(metadata.managedFields?.map(({ manager, subresource }) => [manager, subresource])).toContainEqual(["website-operator", "status"]);
  const [deployment, service] = await drive((client) => Promise.all([client.deployments.get("default", "shop"), client.services.get("default", "shop")]));
  const owner = { apiVersion: "example.com/v1", kind: "Website", name: "shop", uid: made.metadata.uid, controller: true, blockOwnerDeletion: true };
  expect(deployment.metadata.ownerReferences).toEqual([owner]);
  expect(service.metadata.ownerReferences).toEqual([owner]);
  expect(deployment.spec.template.metadata!.labels).toEqual({ tier: "front", website: "shop" });
  const { items } = await drive((client) => client.events.list("default", { fieldSelector: "involvedObject.kind=Website" }));
  expect(items.map(({ reason, message, source }) => [reason, message, source?.component])).toEqual([["Created", "Created deployment shop", "website-operator"]]);
  expect(problems).toEqual([]);
});

test("what changes, or is taken away, is brought back in line", async () => {
  await drive((client) => websites(client).patch("default", "shop", "merge", { spec: { replicas: 1 } }));
  await drive((client) => client.services.delete("default", "shop"));
  await cluster.advance(20_000);
  expect((await site("shop")).status).toMatchObject({ phase: "Ready", readyReplicas: 1, observedGeneration: 2 });
  expect((await drive((client) => client.services.get("default", "shop"))).metadata.name).toBe("shop");
  expect(lister.list({ none: "such" })).toEqual([]);
  expect(lister.list().map(({ metadata }) => metadata.name)).toEqual(["shop"]);
  expect(lister.websites("kube-system").list()).toEqual([]);
});

test("it comes back when hours of maintenance begin, and when they end", async () => {
  const nowMs = cluster.epochMs + cluster.nowNs() / 1e6;
  const from = new Date(Math.ceil(nowMs / 1000) * 1000 + 60_000).toISOString().replace(".000", "");
  await create("nightly", { image: IMAGE, replicas: 1, maintenance: [{ from, minutes: 10 }] });
  await cluster.advance(30_000);
  expect((await site("nightly")).status).toMatchObject({ phase: "Ready", readyReplicas: 1 });
  await cluster.advance(90_000);
  expect((await site("nightly")).status).toMatchObject({ phase: "Maintenance", readyReplicas: 0 });
  await cluster.advance(11 * 60_000);
  expect((await site("nightly")).status).toMatchObject({ phase: "Ready", readyReplicas: 1 });
}, 60_000);

test("a website that goes says goodbye first, and its children follow", async () => {
  await drive((client) => websites(client).delete("default", "shop"));
  await cluster.advance(60_000);
  await expect(site("shop")).rejects.toSatisfy(isNotFound);
  expect((await drive((client) => client.configMaps.get("default", "websites-that-were"))).data).toEqual({ shop: "http://shop.default.svc.cluster.local/" });
  await expect(drive((client) => client.deployments.get("default", "shop"))).rejects.toSatisfy(isNotFound);
  await expect(drive((client) => client.services.get("default", "shop"))).rejects.toSatisfy(isNotFound);
});

test("definitions hold: what the schema forbids never reaches the controller", async () => {
  await expect(create("wrong", { image: IMAGE, replicas: 21 })).rejects.toThrow(/spec\.replicas: Invalid value: 21: spec\.replicas in body should be less than or equal to 20/);
});

test("stopped, it does nothing more", async () => {
  stop();
  await create("late", { image: IMAGE });
  await cluster.advance(10_000);
  expect((await site("late")).status).toBeUndefined();
  expect(deepCopy(problems)).toEqual([]);
});

test("the same run gives the same bytes", async () => {
  const run = async (): Promise<string[]> => {
    const again = await createCluster({ nodes: 1, observe: { digest: true } });
    await again.apply(file("website.crd.yaml"));
    again.start(async (context) => {
      const manager = createManager({ ...context, name: "website-operator" });
      manager.add(newWebsiteController(manager));
      await manager.start();
    });
    await again.drive((client) => websites(client).create({ metadata: { name: "a", namespace: "default" }, spec: { image: IMAGE } } as Draft<Website>));
    await again.advance(5000);
    const lines = again.eventLines();
    again.close();
    return lines;
  };
  const first = await run();
  expect(first.some((line) => line.includes('"phase":"Ready"'))).toBe(true);
  expect(await run()).toEqual(first);
});

export type { Lister };
