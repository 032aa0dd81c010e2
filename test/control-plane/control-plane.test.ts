import { afterEach, describe, expect, test } from "vitest";
import { deployment, startCluster } from "./cluster.ts";
import type { TestCluster } from "./cluster.ts";
import { isNotFound } from "../../src/apimachinery/status.ts";

let cluster: TestCluster | undefined;
afterEach(() => {
  cluster?.stop();
  expect(cluster?.errors ?? []).toEqual([]);
  cluster = undefined;
});

async function threeNodes(options: Parameters<typeof startCluster>[0] = {}): Promise<TestCluster> {
  cluster = await startCluster(options);
  for (const name of ["node-1", "node-2", "node-3"]) await cluster.addNode(name);
  await cluster.clock.until(async () => (await cluster!.client.nodes.list()).items.every((n) => n.spec.podCIDR !== undefined && n.spec.taints === undefined));
  return cluster;
}

const available = async (c: TestCluster, name: string): Promise<boolean> => {
  const d = await c.client.deployments.get("default", name);
  return d.status.conditions?.some((x) => x.type === "Available" && x.status === "True") === true &&
    d.status.updatedReplicas === d.spec.replicas && d.status.availableReplicas === d.spec.replicas && d.status.replicas === d.spec.replicas &&
    d.status.observedGeneration === d.metadata.generation;
};

describe("a deployment on three nodes", () => {
  test("becomes available, spread over the nodes, and its service gets endpoints", async () => {
    const c = await threeNodes();
    expect((await c.client.nodes.list()).items.map((n) => n.spec.podCIDR)).toEqual(["10.244.0.0/24", "10.244.1.0/24", "10.244.2.0/24"]);
    await c.client.services.create({ metadata: { name: "web", namespace: "default" }, spec: { selector: { app: "web" }, ports: [{ port: 80, targetPort: "http" }] } });
    await c.client.deployments.create(deployment("web", 3));
    await c.clock.until(() => available(c, "web"));
    const pods = (await c.client.pods.list("default")).items;
    expect(pods.map((p) => p.spec.nodeName).sort()).toEqual(["node-1", "node-2", "node-3"]);
    await c.clock.until(async () => (await c.client.endpointSlices.list("default", { labelSelector: "kubernetes.io/service-name=web" })).items[0]?.endpoints?.length === 3);
    const slices = (await c.client.endpointSlices.list("default", { labelSelector: "kubernetes.io/service-name=web" })).items;
    expect(slices).toHaveLength(1);
    expect(slices[0]!.ports).toEqual([{ name: "", port: 8080, protocol: "TCP" }]);
    await c.clock.until(async () => (await c.client.endpointSlices.list("default", { labelSelector: "kubernetes.io/service-name=web" })).items[0]!.endpoints!.every((e) => e.conditions.ready === true && e.nodeName !== undefined && e.targetRef?.kind === "Pod"));
    const d = await c.client.deployments.get("default", "web");
    expect(d.status.conditions?.map((x) => [x.type, x.status, x.reason]).sort()).toEqual([["Available", "True", "MinimumReplicasAvailable"], ["Progressing", "True", "NewReplicaSetAvailable"]]);
    expect(d.metadata.annotations).toEqual({ "deployment.kubernetes.io/revision": "1" });
    const events = (await c.client.events.list("default")).items.map((e) => e.reason);
    expect(events.filter((r) => r === "Scheduled")).toHaveLength(3);
    expect(events.filter((r) => r === "SuccessfulCreate")).toHaveLength(3);
    expect(events.filter((r) => r === "ScalingReplicaSet")).toHaveLength(1);
  });

  test("scales up and down", async () => {
    const c = await threeNodes();
    await c.client.deployments.create(deployment("web", 3));
    await c.clock.until(() => available(c, "web"));
    await c.client.deployments.patch("default", "web", "merge", { spec: { replicas: 7 } });
    await c.clock.until(() => available(c, "web"));
    expect((await c.client.pods.list("default")).items).toHaveLength(7);
    await c.client.deployments.patch("default", "web", "merge", { spec: { replicas: 1 } });
    await c.clock.until(async () => (await available(c, "web")) && (await c.client.pods.list("default")).items.length === 1);
    expect((await c.client.replicaSets.list("default")).items).toHaveLength(1);
  });

  test("rolls out a new template within maxSurge and maxUnavailable", async () => {
    const c = await threeNodes();
    await c.client.deployments.create(deployment("web", 4));
    await c.clock.until(() => available(c, "web"));
    const stop = new AbortController();
    const ready = new Set<string>((await c.client.pods.list("default")).items.map((p) => p.metadata.name));
    const live = new Set<string>(ready);
    let least = ready.size;
    let most = live.size;
    const { resourceVersion } = (await c.client.pods.list("default")).metadata;
    const watching = (async () => {
      for await (const { type, object } of await c.client.pods.watch("default", { resourceVersion }, stop.signal)) {
        const active = type !== "DELETED" && object.metadata.deletionTimestamp === undefined;
        if (active) live.add(object.metadata.name);
        else live.delete(object.metadata.name);
        if (active && object.status.conditions?.some((x) => x.type === "Ready" && x.status === "True") === true) ready.add(object.metadata.name);
        else ready.delete(object.metadata.name);
        least = Math.min(least, ready.size);
        most = Math.max(most, live.size);
      }
    })();
    await c.client.deployments.patch("default", "web", "strategic", { spec: { template: { spec: { containers: [{ name: "web", image: "web:2" }] } } } });
    await c.clock.until(async () => (await available(c, "web")) && (await c.client.pods.list("default")).items.length === 4);
    stop.abort();
    await watching;
    expect((await c.client.pods.list("default")).items.map((p) => p.spec.containers[0]!.image)).toEqual(["web:2", "web:2", "web:2", "web:2"]);
    expect(least).toBeGreaterThanOrEqual(3);
    expect(most).toBeLessThanOrEqual(5);
    expect((await c.client.deployments.get("default", "web")).metadata.annotations?.["deployment.kubernetes.io/revision"]).toBe("2");
    const sets = (await c.client.replicaSets.list("default")).items;
    expect(sets.map((rs) => rs.spec.replicas).sort()).toEqual([0, 4]);
    // Back to the old template: its ReplicaSet is used again, as revision 3.
    await c.client.deployments.patch("default", "web", "strategic", { spec: { template: { spec: { containers: [{ name: "web", image: "web:1" }] } } } });
    await c.clock.until(async () => (await available(c, "web")) && (await c.client.pods.list("default")).items.length === 4);
    expect((await c.client.replicaSets.list("default")).items).toHaveLength(2);
    expect((await c.client.deployments.get("default", "web")).metadata.annotations?.["deployment.kubernetes.io/revision"]).toBe("3");
  });

  test("Recreate removes all old pods before the first new one", async () => {
    const c = await threeNodes();
    const draft = deployment("web", 2);
    await c.client.deployments.create({ ...draft, spec: { ...draft.spec, strategy: { type: "Recreate" } } });
    await c.clock.until(() => available(c, "web"));
    const { resourceVersion } = (await c.client.pods.list("default")).metadata;
    const stop = new AbortController();
    const order: string[] = [];
    const watching = (async () => {
      for await (const { type, object } of await c.client.pods.watch("default", { resourceVersion }, stop.signal))
        if (type !== "MODIFIED") order.push(`${type} ${object.spec.containers[0]!.image}`);
    })();
    await c.client.deployments.patch("default", "web", "strategic", { spec: { template: { spec: { containers: [{ name: "web", image: "web:2" }] } } } });
    await c.clock.until(async () => (await available(c, "web")) && (await c.client.pods.list("default")).items.length === 2);
    stop.abort();
    await watching;
    expect(order).toEqual(["DELETED web:1", "DELETED web:1", "ADDED web:2", "ADDED web:2"]);
  });

  test("a pod that is deleted is replaced", async () => {
    const c = await threeNodes();
    await c.client.deployments.create(deployment("web", 3));
    await c.clock.until(() => available(c, "web"));
    const victim = (await c.client.pods.list("default")).items[0]!.metadata.name;
    await c.client.pods.delete("default", victim);
    await c.clock.until(async () => (await available(c, "web")) && !(await c.client.pods.list("default")).items.some((p) => p.metadata.name === victim));
    expect((await c.client.pods.list("default")).items).toHaveLength(3);
  });

  test.each(["Background", "Foreground"] as const)("deleting it (%s) removes its ReplicaSet and pods", async (propagationPolicy) => {
    const c = await threeNodes();
    await c.client.deployments.create(deployment("web", 3));
    await c.clock.until(() => available(c, "web"));
    await c.client.deployments.delete("default", "web", { propagationPolicy });
    await c.clock.until(async () => (await c.client.pods.list("default")).items.length + (await c.client.replicaSets.list("default")).items.length === 0);
    await c.clock.until(() => c.client.deployments.get("default", "web").then(() => false, isNotFound));
  });

  test("deleting it with Orphan leaves its ReplicaSet, without owner", async () => {
    const c = await threeNodes();
    await c.client.deployments.create(deployment("web", 2));
    await c.clock.until(() => available(c, "web"));
    await c.client.deployments.delete("default", "web", { propagationPolicy: "Orphan" });
    await c.clock.until(() => c.client.deployments.get("default", "web").then(() => false, isNotFound));
    await c.clock.advance(5000);
    const [rs] = (await c.client.replicaSets.list("default")).items;
    expect(rs!.metadata.ownerReferences).toBeUndefined();
    expect((await c.client.pods.list("default")).items).toHaveLength(2);
  });
});

describe("a namespace", () => {
  test("that is deleted is emptied and goes", async () => {
    const c = await threeNodes();
    await c.client.namespaces.create({ metadata: { name: "shop" } });
    const draft = deployment("web", 2);
    await c.client.deployments.create({ ...draft, metadata: { ...draft.metadata, namespace: "shop" } });
    await c.client.configMaps.create({ metadata: { name: "settings", namespace: "shop" }, data: { a: "1" } });
    await c.clock.until(async () => (await c.client.pods.list("shop")).items.length === 2);
    await c.client.namespaces.delete("", "shop");
    expect((await c.client.namespaces.get("", "shop")).status.phase).toBe("Terminating");
    await c.clock.until(() => c.client.namespaces.get("", "shop").then(() => false, isNotFound));
    expect((await c.client.pods.list("shop")).items).toEqual([]);
  });
});

describe("scheduling", () => {
  test("a pod that fits nowhere says why, and is scheduled when a node has room", async () => {
    const c = await threeNodes();
    await c.client.pods.create({ metadata: { name: "big", namespace: "default" }, spec: { containers: [{ name: "c", image: "x", resources: { requests: { cpu: "16" } } }] } });
    await c.clock.until(async () => (await c.client.pods.get("default", "big")).status.conditions !== undefined);
    const message = "0/3 nodes are available: 3 Insufficient cpu.";
    expect((await c.client.pods.get("default", "big")).status.conditions?.map((x) => [x.type, x.status, x.reason, x.message])).toEqual([["PodScheduled", "False", "Unschedulable", message]]);
    expect((await c.client.events.list("default")).items.map((e) => [e.reason, e.message])).toEqual([["FailedScheduling", message]]);
    await c.addNode("large", { cpu: "32" });
    await c.clock.until(async () => (await c.client.pods.get("default", "big")).spec.nodeName === "large");
  });

  test("the same seed gives the same objects, another seed others", async () => {
    const run = async (seed: number): Promise<string> => {
      const c = await threeNodes({ seed });
      await c.client.deployments.create(deployment("web", 5));
      await c.clock.until(() => available(c, "web"));
      const all = JSON.stringify([(await c.client.pods.list()).items, (await c.client.events.list()).items, (await c.client.nodes.list()).items]);
      c.stop();
      return all;
    };
    const first = await run(1);
    expect(await run(1)).toBe(first);
    expect(await run(2)).not.toBe(first);
  });

  test("an idle cluster does nothing", async () => {
    const c = await threeNodes();
    await c.client.deployments.create(deployment("web", 3));
    await c.clock.until(() => available(c, "web"));
    await c.clock.advance(5000);
    const before = (await c.client.pods.list()).metadata.resourceVersion;
    // Bookmarks and the progress deadline's last look are all that is left.
    const fired = await c.clock.advance(600_000);
    expect((await c.client.pods.list()).metadata.resourceVersion).toBe(before);
    expect(fired).toBeLessThan(400);
  });
});
