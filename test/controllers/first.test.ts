/** What every namespace gets, how it goes, quotas, endpoints and owners, with all controllers of a complete cluster. */
import { expect, test } from "vitest";
import { discover } from "../../src/client/discovery.ts";
import { startCluster } from "../control-plane/cluster.ts";
import type { KubeObject } from "../../src/apimachinery/meta.ts";

const pod = (name: string, extra: object = {}) => ({ metadata: { name, namespace: "default" }, spec: { containers: [{ name: "c", image: "web:1", ...extra }] } });

test("a namespace gets its account and authorities, and pods without an account are refused", async () => {
  const { clock, client, errors, stop } = await startCluster({ complete: true });
  await client.namespaces.create({ metadata: { name: "shop" } });
  await clock.advance(100);
  expect((await client.serviceAccounts.list("shop")).items.map(({ metadata }) => metadata.name)).toEqual(["default"]);
  expect((await client.configMaps.list("shop")).items.map(({ metadata }) => metadata.name)).toEqual(["kube-root-ca.crt", "openshift-service-ca.crt"]);
  await client.serviceAccounts.delete("shop", "default");
  await client.configMaps.delete("shop", "kube-root-ca.crt");
  await clock.advance(100);
  expect((await client.serviceAccounts.list("shop")).items).toHaveLength(1);
  expect((await client.configMaps.list("shop")).items).toHaveLength(2);
  const refused = client.pods.create({ metadata: { name: "p", namespace: "shop" }, spec: { serviceAccountName: "nobody", containers: [{ name: "c", image: "x" }] } });
  await expect(refused).rejects.toThrow('pods "p" is forbidden: error looking up service account shop/nobody: serviceaccount "nobody" not found');
  stop();
  expect(errors).toEqual([]);
});

test("a namespace that goes tells what holds it", async () => {
  const { clock, client, errors, stop } = await startCluster({ complete: true });
  await client.namespaces.create({ metadata: { name: "shop" } });
  await clock.advance(100);
  await client.configMaps.create({ metadata: { name: "held", namespace: "shop", finalizers: ["example.com/hold"] } });
  await client.customResourceDefinitions.create({
    metadata: { name: "toys.example.com" },
    spec: { group: "example.com", scope: "Namespaced", names: { plural: "toys", kind: "Toy" }, versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } }] },
  });
  await clock.advance(100);
  const toys = client.resource<KubeObject>({ group: "example.com", version: "v1", kind: "Toy", resource: "toys", namespaced: true });
  await toys.create({ metadata: { name: "ball", namespace: "shop" } });
  await client.namespaces.delete("", "shop");
  await clock.advance(8000);
  const conditions = (await client.namespaces.get("", "shop")).status.conditions!;
  expect(conditions.map(({ type, status, reason, message }) => [type, status, reason, message])).toEqual([
    ["NamespaceDeletionDiscoveryFailure", "False", "ResourcesDiscovered", "All resources successfully discovered"],
    ["NamespaceDeletionGroupVersionParsingFailure", "False", "ParsedGroupVersions", "All legacy kube types successfully parsed"],
    ["NamespaceDeletionContentFailure", "False", "ContentDeleted", "All content successfully deleted, may be waiting on finalization"],
    ["NamespaceContentRemaining", "True", "SomeResourcesRemain", "Some resources are remaining: configmaps. has 1 resource instances"],
    ["NamespaceFinalizersRemaining", "True", "SomeFinalizersRemain", "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"],
  ]);
  expect((await toys.list("shop")).items).toEqual([]);
  await client.configMaps.patch("shop", "held", "merge", { metadata: { finalizers: null } });
  await clock.advance(10_000);
  await expect(client.namespaces.get("", "shop")).rejects.toThrow("not found");
  stop();
  expect(errors).toEqual([]);
});

test("owners: background, foreground, orphans, absent owners, other namespaces, circles, custom resources", async () => {
  const { clock, client, handle, errors, stop } = await startCluster({ complete: true });
  await clock.advance(100);
  await client.customResourceDefinitions.create({
    metadata: { name: "toys.example.com" },
    spec: { group: "example.com", scope: "Namespaced", names: { plural: "toys", kind: "Toy" }, versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } }] },
  });
  await clock.advance(2000);
  expect((await discover(handle, "test")).resources.some(({ resource }) => resource === "toys")).toBe(true);
  const toys = client.resource<KubeObject>({ group: "example.com", version: "v1", kind: "Toy", resource: "toys", namespaced: true });
  const child = async (name: string, owner: KubeObject, of: { apiVersion: string; kind: string }, block = false, namespace = "default"): Promise<KubeObject> =>
    client.configMaps.create({ metadata: { name, namespace, ownerReferences: [{ ...of, name: owner.metadata.name, uid: owner.metadata.uid, blockOwnerDeletion: block }] } }) as Promise<KubeObject>;
  const names = async (namespace = "default"): Promise<string[]> => (await client.configMaps.list(namespace)).items.map(({ metadata }) => metadata.name).filter((name) => !name.endsWith(".crt"));
  const TOY = { apiVersion: "example.com/v1", kind: "Toy" };
  const MAP = { apiVersion: "v1", kind: "ConfigMap" };

  // A custom owner, in the background.
  const ball = await toys.create({ metadata: { name: "ball", namespace: "default" } });
  await child("of-ball", ball, TOY);
  await toys.delete("default", "ball");
  await clock.advance(2000);
  expect(await names()).toEqual([]);

  // Foreground: the owner stays as long as what blocks it.
  const top = (await client.configMaps.create({ metadata: { name: "top", namespace: "default" } })) as KubeObject;
  const middle = await child("middle", top, MAP, true);
  const leaf = await child("leaf", middle, MAP, true);
  await client.configMaps.patch("default", "leaf", "merge", { metadata: { finalizers: ["example.com/hold"] } });
  await client.configMaps.delete("default", "top", { propagationPolicy: "Foreground" });
  await clock.advance(2000);
  expect(await names()).toEqual(["leaf", "middle", "top"]);
  await client.configMaps.patch("default", leaf.metadata.name, "merge", { metadata: { finalizers: null } });
  await clock.advance(2000);
  expect(await names()).toEqual([]);

  // Orphans lose their reference.
  const parent = (await client.configMaps.create({ metadata: { name: "parent", namespace: "default" } })) as KubeObject;
  await child("orphan", parent, MAP);
  await clock.advance(200);
  await client.configMaps.delete("default", "parent", { propagationPolicy: "Orphan" });
  await clock.advance(2000);
  expect(await names()).toEqual(["orphan"]);
  expect((await client.configMaps.get("default", "orphan")).metadata.ownerReferences).toBeUndefined();

  // An owner that never was, and one that is in another namespace.
  await client.namespaces.create({ metadata: { name: "other" } });
  await child("lost", { ...parent, metadata: { ...parent.metadata, name: "ghost", uid: "11111111-1111-4111-8111-111111111111" } }, MAP);
  const away = (await client.configMaps.get("default", "orphan")) as KubeObject;
  await clock.advance(500);
  await child("stray", away, MAP, false, "other");
  await clock.advance(2000);
  expect(await names()).toEqual(["orphan"]);
  expect(await names("other")).toEqual([]);
  const [event] = (await client.events.list("other")).items.filter(({ reason }) => reason === "OwnerRefInvalidNamespace");
  expect(event?.message).toBe(`ownerRef [v1/ConfigMap, namespace: other, name: orphan, uid: ${away.metadata.uid}] does not exist in namespace "other"`);

  // Two that own each other, and one of them goes in the foreground.
  const a = (await client.configMaps.create({ metadata: { name: "a", namespace: "default" } })) as KubeObject;
  const b = await child("b", a, MAP, true);
  await client.configMaps.patch("default", "a", "merge", { metadata: { ownerReferences: [{ ...MAP, name: "b", uid: b.metadata.uid, blockOwnerDeletion: true }] } });
  await clock.advance(500);
  await client.configMaps.delete("default", "a", { propagationPolicy: "Foreground" });
  await clock.advance(5000);
  expect(await names()).toEqual(["orphan"]);
  stop();
  expect(errors).toEqual([]);
});

test("a quota counts, refuses and gives back", async () => {
  const { clock, client, addNode, errors, stop } = await startCluster({ complete: true });
  await addNode("n1");
  await clock.advance(100);
  await client.resourceQuotas.create({ metadata: { name: "q", namespace: "default" }, spec: { hard: { pods: "1", "requests.cpu": "1", "count/deployments.apps": "1", services: "1" } } });
  await clock.advance(100);
  expect((await client.resourceQuotas.get("default", "q")).status).toEqual({
    hard: { "count/deployments.apps": "1", pods: "1", "requests.cpu": "1", services: "1" },
    used: { "count/deployments.apps": "0", pods: "0", "requests.cpu": "0", services: "1" },
  });
  const small = { resources: { requests: { cpu: "500m" } } };
  await client.pods.create(pod("a", small));
  await expect(client.pods.create(pod("b", small))).rejects.toThrow('pods "b" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1');
  await clock.advance(1000);
  await client.pods.delete("default", "a");
  await clock.advance(1000);
  expect((await client.resourceQuotas.get("default", "q")).status?.used).toMatchObject({ pods: "0", "requests.cpu": "0" });
  stop();
  expect(errors).toEqual([]);
});

test("pods of a node that is gone go after the quarantine", async () => {
  const { clock, client, addNode, errors, stop } = await startCluster({ complete: true });
  await addNode("n1");
  await clock.advance(100);
  await client.pods.create(pod("a"));
  await clock.advance(1000);
  expect((await client.pods.get("default", "a")).spec.nodeName).toBe("n1");
  await client.nodes.delete("", "n1");
  await clock.advance(39_000);
  expect((await client.pods.list("default")).items).toHaveLength(1);
  await clock.advance(42_000);
  expect((await client.pods.list("default")).items).toHaveLength(0);
  stop();
  expect(errors).toEqual([]);
});

test("endpoints follow pods", async () => {
  const { clock, client, addNode, errors, stop } = await startCluster({ complete: true });
  await addNode("n1");
  await clock.advance(100);
  await client.services.create({ metadata: { name: "web", namespace: "default", labels: { a: "b" } }, spec: { selector: { app: "web" }, ports: [{ name: "http", port: 80, targetPort: 8080 }, { name: "m", port: 90 }] } });
  await clock.advance(100);
  expect((await client.endpoints.get("default", "web")).subsets).toBeUndefined();
  await client.pods.create({ metadata: { name: "p", namespace: "default", labels: { app: "web" } }, spec: { containers: [{ name: "c", image: "x" }] } });
  await clock.advance(2000);
  const found = await client.endpoints.get("default", "web");
  const { metadata: { uid }, status } = await client.pods.get("default", "p");
  expect(found.metadata.labels).toEqual({ a: "b" });
  expect(found.metadata.annotations?.["endpoints.kubernetes.io/last-change-trigger-time"]).toBe(status.conditions?.find(({ type }) => type === "Ready")?.lastTransitionTime);
  expect(found.subsets).toEqual([{
    addresses: [{ ip: status.podIP, nodeName: "n1", targetRef: { kind: "Pod", namespace: "default", name: "p", uid } }],
    ports: [{ name: "m", port: 90, protocol: "TCP" }, { name: "http", port: 8080, protocol: "TCP" }],
  }]);
  await client.services.delete("default", "web");
  await clock.advance(100);
  await expect(client.endpoints.get("default", "web")).rejects.toThrow("not found");
  stop();
  expect(errors).toEqual([]);
});
