/** Nodes that fall silent: conditions, taints, the rate at which zones are emptied, and their pods. */
import { expect, test } from "vitest";
import { mayStayMs } from "../../src/kube-controller-manager/tainteviction/index.ts";
import { unknownConditions } from "../../src/kube-controller-manager/nodelifecycle/monitor.ts";
import { computeZoneState } from "../../src/kube-controller-manager/nodelifecycle/zones.ts";
import { startCluster, type TestCluster } from "../control-plane/cluster.ts";
import type { Node, Toleration } from "../../src/api/types.generated.ts";

const taintsOf = async ({ client }: TestCluster, node: string): Promise<string[]> => ((await client.nodes.get("", node)).spec.taints ?? []).map(({ key, effect }) => `${key.split("/")[1]}:${effect}`).sort();

test("a silent node among others: Unknown, tainted, its pods leave after five minutes", async () => {
  const cluster = await startCluster({ complete: true });
  const { clock, client, addNode, silence, errors, stop } = cluster;
  for (const name of ["n1", "n2", "n3"]) await addNode(name);
  await clock.advance(1000);
  await client.pods.create({ metadata: { name: "p", namespace: "default" }, spec: { nodeName: "n1", containers: [{ name: "c", image: "x" }] } });
  await clock.advance(10_000);
  silence("n1");
  await clock.advance(40_000);
  expect(await taintsOf(cluster, "n1")).toEqual([]);
  await clock.advance(30_000);
  const node = await client.nodes.get("", "n1");
  expect(node.status.conditions!.map(({ type, status, reason, message }) => [type, status, reason, message])).toEqual([
    ["Ready", "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status."],
    ["MemoryPressure", "Unknown", "NodeStatusNeverUpdated", "Kubelet never posted node status."],
    ["DiskPressure", "Unknown", "NodeStatusNeverUpdated", "Kubelet never posted node status."],
    ["PIDPressure", "Unknown", "NodeStatusNeverUpdated", "Kubelet never posted node status."],
  ]);
  expect(await taintsOf(cluster, "n1")).toEqual(["unreachable:NoExecute", "unreachable:NoSchedule"]);
  expect((await client.pods.get("default", "p")).status.conditions!.find(({ type }) => type === "Ready")?.status).toBe("False");
  const events = (await client.events.list("default")).items;
  const of = (name: string): string[] => events.filter(({ involvedObject }) => involvedObject.name === name).map(({ type, reason, message }) => `${type} ${reason} ${message}`);
  expect(of("n1")).toEqual(["Normal RegisteredNode Node n1 event: Registered Node n1 in Controller", "Normal NodeNotReady Node n1 status is now: NodeNotReady"]);
  expect(of("p")).toContain("Warning NodeNotReady Node is not ready");
  await clock.advance(240_000);
  expect((await client.pods.get("default", "p")).metadata.deletionTimestamp).toBeUndefined();
  await clock.advance(70_000);
  await expect(client.pods.get("default", "p")).rejects.toThrow("not found");
  const marked = (await client.events.list("default")).items.find(({ reason }) => reason === "TaintManagerEviction");
  expect([marked?.message, marked?.source?.component]).toEqual(["Marking for deletion Pod default/p", "taint-eviction-controller"]);
  stop();
  expect(errors).toEqual([]);
});

test("where no node answers, none is emptied", async () => {
  const cluster = await startCluster({ complete: true });
  for (const name of ["n1", "n2"]) await cluster.addNode(name);
  await cluster.clock.advance(1000);
  for (const name of ["n1", "n2"]) cluster.silence(name);
  await cluster.clock.advance(90_000);
  expect(await taintsOf(cluster, "n1")).toEqual(["unreachable:NoSchedule"]);
  expect(await taintsOf(cluster, "n2")).toEqual(["unreachable:NoSchedule"]);
  cluster.stop();
});

test("a node whose label names the system has it by the old name, too; its ttl annotation", async () => {
  const { clock, client, addNode, stop } = await startCluster({ complete: true });
  await addNode("n1", { labels: { "kubernetes.io/os": "linux" } });
  await clock.advance(2000);
  const { labels, annotations } = (await client.nodes.get("", "n1")).metadata;
  expect(labels?.["beta.kubernetes.io/os"]).toBe("linux");
  expect(annotations?.["node.alpha.kubernetes.io/ttl"]).toBe("0");
  stop();
});

test("a taint set by hand: what does not tolerate it goes, what does for a while stays so long", async () => {
  const { clock, client, addNode, errors, stop } = await startCluster({ complete: true });
  await addNode("n1");
  await clock.advance(1000);
  const pod = (name: string, tolerations: Toleration[]) => client.pods.create({ metadata: { name, namespace: "default" }, spec: { nodeName: "n1", tolerations, containers: [{ name: "c", image: "x" }] } });
  await pod("bare", []);
  await pod("brief", [{ key: "k", operator: "Exists", effect: "NoExecute", tolerationSeconds: 30 }]);
  await pod("steady", [{ key: "k", operator: "Exists" }]);
  await clock.advance(1000);
  await client.nodes.patch("", "n1", "strategic", { spec: { taints: [{ key: "k", value: "v", effect: "NoExecute" }] } });
  await clock.advance(2000);
  const names = async (): Promise<string[]> => (await client.pods.list("default")).items.map(({ metadata }) => metadata.name);
  expect(await names()).toEqual(["brief", "steady"]);
  await clock.advance(31_000);
  expect(await names()).toEqual(["steady"]);
  stop();
  expect(errors).toEqual([]);
});

test.each<[string, Toleration[], number]>([
  ["none", [], 0],
  ["another key", [{ key: "b", operator: "Exists" }], 0],
  ["any", [{ operator: "Exists" }], Infinity],
  ["equal", [{ key: "a", operator: "Equal", value: "1", effect: "NoExecute" }], Infinity],
  ["another value", [{ key: "a", value: "2" }], 0],
  ["the least of those that fit", [{ key: "a", operator: "Exists", tolerationSeconds: 60 }, { key: "a", value: "1", tolerationSeconds: 5 }], 5000],
  ["below zero is at once", [{ key: "a", operator: "Exists", tolerationSeconds: -3 }], 0],
])("tolerations: %s", (_name, tolerations, expected) => {
  expect(mayStayMs([{ key: "a", value: "1", effect: "NoExecute" }], tolerations)).toBe(expected);
});

test.each([
  [[true, true], "Normal"], [[false], "FullDisruption"], [[false, false, true], "Normal"], [[false, false, false, true, true], "PartialDisruption"], [[false, false, false, true, true, true], "Normal"],
])("%j is %s", (ready, state) => {
  expect(computeZoneState(ready, 0.55)).toBe(state);
});

test("what is unknown already keeps its time", () => {
  const node = { metadata: { creationTimestamp: "2030-01-01T00:00:00Z" }, status: { conditions: [{ type: "Ready", status: "Unknown", lastTransitionTime: "old" }] } } as unknown as Node;
  expect(unknownConditions(node, "new")[0]).toEqual({ type: "Ready", status: "Unknown", lastTransitionTime: "old" });
});
