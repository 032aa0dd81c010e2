/** DaemonSets: nodes that fit, updates with unavailability and with surge. */
import { describe, expect, test } from "vitest";
import type { DaemonSet, Node } from "../../src/api/types.generated.ts";
import { shouldRunOn } from "../../src/kube-controller-manager/daemon/nodes.ts";
import { named, NAMESPACE, startWorkloads, template } from "./helpers.ts";
import type { Workloads } from "./helpers.ts";

const daemonSet = (spec: Record<string, unknown> = {}): DaemonSet =>
  ({ metadata: named("d"), spec: { selector: { matchLabels: { app: "web" } }, template: template(), updateStrategy: { type: "RollingUpdate" }, ...spec } }) as unknown as DaemonSet;
const get = (w: Workloads): Promise<DaemonSet> => w.client.daemonSets.get(NAMESPACE, "d");
const rolledOut = (w: Workloads, count: number) => async (): Promise<boolean> => {
  const { status, metadata } = await get(w);
  return status.observedGeneration === metadata.generation && status.numberAvailable === count && status.updatedNumberScheduled === count;
};

describe("nodes", () => {
  const node = (spec: Record<string, unknown>, labels: Record<string, string> = {}): Node => ({ metadata: { name: "n", labels }, spec }) as unknown as Node;
  const taint = (effect: string, key = "example.com/x"): unknown => ({ taints: [{ key, effect }] });
  test.each([
    [node({}), {}, { run: true, keep: true }],
    [node({ unschedulable: true, taints: [{ key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" }] }), {}, { run: true, keep: true }],
    [node(taint("NoSchedule") as never), {}, { run: false, keep: true }],
    [node(taint("NoExecute") as never), {}, { run: false, keep: false }],
    [node(taint("PreferNoSchedule") as never), {}, { run: true, keep: true }],
    [node(taint("NoExecute", "node.kubernetes.io/not-ready") as never), {}, { run: true, keep: true }],
    [node({}), { nodeSelector: { disk: "ssd" } }, { run: false, keep: false }],
    [node({}, { disk: "ssd" }), { nodeSelector: { disk: "ssd" } }, { run: true, keep: true }],
    [node({}), { nodeName: "other" }, { run: false, keep: false }],
    [node(taint("NoSchedule", "node.kubernetes.io/network-unavailable") as never), { hostNetwork: true }, { run: true, keep: true }],
    [node(taint("NoSchedule", "node.kubernetes.io/network-unavailable") as never), {}, { run: false, keep: true }],
  ])("%j with %j", (n, spec, expected) => {
    expect(shouldRunOn(n, daemonSet({ template: template("web:1", spec) }))).toEqual(expected);
  });
});

describe("a DaemonSet", () => {
  test("follows the nodes", async () => {
    const w = await startWorkloads({ nodes: 2 });
    await w.client.daemonSets.create(daemonSet());
    await w.clock.until(rolledOut(w, 2));
    await w.addNode("node-3");
    await w.clock.until(rolledOut(w, 3));
    await w.client.nodes.patch("", "node-1", "merge", { spec: { taints: [{ key: "x", effect: "NoExecute" }] } });
    await w.clock.until(async () => (await w.pods()).length === 2);
    expect((await get(w)).status.desiredNumberScheduled).toBe(2);
    w.stop();
    expect(w.errors).toEqual([]);
  });

  test("updates one node after the other", async () => {
    const w = await startWorkloads({ nodes: 3 });
    await w.client.daemonSets.create(daemonSet());
    await w.clock.until(rolledOut(w, 3));
    await w.client.daemonSets.patch(NAMESPACE, "d", "merge", { spec: { template: template("web:2") } });
    let fewest = 3;
    await w.clock.until(async () => {
      const running = (await w.pods()).filter((p) => p.metadata.deletionTimestamp === undefined && p.status.phase === "Running").length;
      fewest = Math.min(fewest, running);
      return rolledOut(w, 3)();
    });
    expect(fewest).toBe(2);
    expect((await w.client.controllerRevisions.list(NAMESPACE)).items.map((r) => r.revision).sort()).toEqual([1, 2]);
    w.stop();
    expect(w.errors).toEqual([]);
  });

  test("with surge has the new pod ready before the old one goes", async () => {
    const w = await startWorkloads({ nodes: 2 });
    await w.client.daemonSets.create(daemonSet({ updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } } }));
    await w.clock.until(rolledOut(w, 2));
    await w.client.daemonSets.patch(NAMESPACE, "d", "merge", { spec: { template: template("web:2") } });
    let fewest = 2;
    let most = 2;
    await w.clock.until(async () => {
      const live = (await w.pods()).filter((p) => p.metadata.deletionTimestamp === undefined);
      fewest = Math.min(fewest, live.filter((p) => p.status.phase === "Running").length);
      most = Math.max(most, live.length);
      return (await rolledOut(w, 2)()) && live.length === 2;
    });
    expect([fewest, most]).toEqual([2, 3]);
    w.stop();
  });

  test("OnDelete waits; an undo makes the old revision the newest", async () => {
    const w = await startWorkloads({ nodes: 1 });
    await w.client.daemonSets.create(daemonSet({ updateStrategy: { type: "OnDelete" } }));
    await w.clock.until(rolledOut(w, 1));
    await w.client.daemonSets.patch(NAMESPACE, "d", "merge", { spec: { template: template("web:2") } });
    await w.clock.advance(5000);
    expect((await w.pods())[0]!.spec.containers[0]!.image).toBe("web:1");
    await w.client.daemonSets.patch(NAMESPACE, "d", "merge", { spec: { template: template("web:1") } });
    await w.clock.advance(5000);
    expect((await w.client.controllerRevisions.list(NAMESPACE)).items.map((r) => r.revision).sort()).toEqual([2, 3]);
    w.stop();
  });

  test("replaces a failed pod, after a pause when it fails again", async () => {
    const w = await startWorkloads({ nodes: 1 });
    await w.client.daemonSets.create(daemonSet());
    await w.clock.until(rolledOut(w, 1));
    const [name] = await w.names();
    await w.exit(name!, 1);
    await w.clock.until(async () => (await w.pods()).some((p) => p.metadata.name !== name && p.status.phase === "Running"));
    expect(await w.events("FailedDaemonPod")).toEqual([`Found failed daemon pod default/${name} on node node-1, will try to kill it`]);
    w.stop();
  });
});
