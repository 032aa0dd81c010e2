/** StatefulSets: order, revisions, claims. Follows the tests of pkg/controller/statefulset. */
import { describe, expect, test } from "vitest";
import type { StatefulSet } from "../../src/api/types.generated.ts";
import { hashRevision, templatePatch } from "../../src/kube-controller-manager/history/index.ts";
import { named, NAMESPACE, startWorkloads, template } from "./helpers.ts";
import type { Workloads } from "./helpers.ts";

const set = (spec: Record<string, unknown>): StatefulSet =>
  ({ metadata: named("s"), spec: { replicas: 3, serviceName: "s", selector: { matchLabels: { app: "web" } }, template: template(), ...spec } }) as unknown as StatefulSet;
const CLAIMS = { volumeClaimTemplates: [{ metadata: { name: "data" }, spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } } }] };

const get = (w: Workloads): Promise<StatefulSet> => w.client.statefulSets.get(NAMESPACE, "s");
const settled = (w: Workloads, replicas: number) => async (): Promise<boolean> => {
  const { status, metadata } = await get(w);
  return status.observedGeneration === metadata.generation && status.replicas === replicas && status.readyReplicas === replicas && status.updatedReplicas === replicas;
};
const images = async (w: Workloads): Promise<string[]> => (await w.pods()).sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1)).map((p) => p.spec.containers[0]!.image!);

test("revisions are hashed as a real cluster hashes them", () => {
  // A revision that clusters up to v1.33 wrote for this template (upstream's compatibility test looks for it).
  const made = {
    metadata: { creationTimestamp: null, labels: { app: "foo" }, annotations: { test: "value" } },
    spec: {
      containers: [{ name: "test", image: "test", imagePullPolicy: "Always", resources: {}, terminationMessagePath: "/dev/termination-log", terminationMessagePolicy: "File" }],
      restartPolicy: "Always", dnsPolicy: "ClusterFirst", schedulerName: "default-scheduler", securityContext: {}, terminationGracePeriodSeconds: 30,
    },
  };
  expect(hashRevision(templatePatch(made as unknown as StatefulSet["spec"]["template"]), 0)).toBe("c77f6d978");
});

describe("a StatefulSet", () => {
  test("makes pods one after the other, and takes them down from the end", async () => {
    const w = await startWorkloads({ ready: (pod) => pod.metadata.name !== "s-1" });
    await w.client.statefulSets.create(set({}));
    await w.clock.advance(5000);
    // The second is not ready: there is no third.
    expect(await w.names()).toEqual(["s-0", "s-1"]);
    w.stop();
    expect(w.errors).toEqual([]);
  });

  test("Parallel makes them all at once", async () => {
    const w = await startWorkloads({ ready: () => false });
    await w.client.statefulSets.create(set({ podManagementPolicy: "Parallel" }));
    await w.clock.advance(2000);
    expect(await w.names()).toEqual(["s-0", "s-1", "s-2"]);
    w.stop();
  });

  test("updates down to the partition, and the rest when it moves", async () => {
    const w = await startWorkloads();
    await w.client.statefulSets.create(set({ updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: 2 } } }));
    await w.clock.until(settled(w, 3));
    await w.client.statefulSets.patch(NAMESPACE, "s", "merge", { spec: { template: template("web:2") } });
    await w.clock.advance(10_000);
    expect(await images(w)).toEqual(["web:1", "web:1", "web:2"]);
    const { status } = await get(w);
    expect(status).toMatchObject({ currentReplicas: 2, updatedReplicas: 1 });
    expect(status.currentRevision).not.toBe(status.updateRevision);
    // A pod below the partition comes back with the old template.
    await w.client.pods.delete(NAMESPACE, "s-0");
    await w.clock.advance(5000);
    expect(await images(w)).toEqual(["web:1", "web:1", "web:2"]);
    await w.client.statefulSets.patch(NAMESPACE, "s", "merge", { spec: { updateStrategy: { rollingUpdate: { partition: 0 } } } });
    await w.clock.until(settled(w, 3));
    expect(await images(w)).toEqual(["web:2", "web:2", "web:2"]);
    expect((await get(w)).status.currentRevision).toBe(status.updateRevision);
    w.stop();
    expect(w.errors).toEqual([]);
  });

  test("OnDelete waits for the pods to be deleted", async () => {
    const w = await startWorkloads();
    await w.client.statefulSets.create(set({ updateStrategy: { type: "OnDelete" } }));
    await w.clock.until(settled(w, 3));
    await w.client.statefulSets.patch(NAMESPACE, "s", "merge", { spec: { template: template("web:2") } });
    await w.clock.advance(5000);
    expect(await images(w)).toEqual(["web:1", "web:1", "web:1"]);
    await w.client.pods.delete(NAMESPACE, "s-1");
    await w.clock.advance(5000);
    expect(await images(w)).toEqual(["web:1", "web:2", "web:1"]);
    w.stop();
  });

  test("goes back to an earlier revision, and keeps as many as it may", async () => {
    const w = await startWorkloads();
    await w.client.statefulSets.create(set({ replicas: 1, revisionHistoryLimit: 1 }));
    await w.clock.until(settled(w, 1));
    const first = (await get(w)).status.currentRevision;
    for (const image of ["web:2", "web:3", "web:4"]) {
      await w.client.statefulSets.patch(NAMESPACE, "s", "merge", { spec: { template: template(image) } });
      await w.clock.advance(5000);
    }
    expect((await w.client.controllerRevisions.list(NAMESPACE)).items.map((r) => r.revision).sort()).toEqual([3, 4]);
    await w.client.statefulSets.patch(NAMESPACE, "s", "merge", { spec: { template: template("web:3") } });
    await w.clock.advance(5000);
    expect((await w.client.controllerRevisions.list(NAMESPACE)).items.map((r) => r.revision).sort()).toEqual([4, 5]);
    expect((await get(w)).status.currentRevision).not.toBe(first);
    w.stop();
    expect(w.errors).toEqual([]);
  });

  test("numbers its pods from the start that it is given", async () => {
    const w = await startWorkloads();
    await w.client.statefulSets.create(set({ replicas: 2, ordinals: { start: 5 } }));
    await w.clock.until(settled(w, 2));
    expect(await w.names()).toEqual(["s-5", "s-6"]);
    expect((await w.client.pods.get(NAMESPACE, "s-6")).metadata.labels).toMatchObject({ "apps.kubernetes.io/pod-index": "6", "statefulset.kubernetes.io/pod-name": "s-6" });
    w.stop();
  });

  test("waits minReadySeconds before the next pod", async () => {
    const w = await startWorkloads();
    await w.client.statefulSets.create(set({ replicas: 2, minReadySeconds: 30 }));
    await w.clock.advance(20_000);
    expect(await w.names()).toEqual(["s-0"]);
    expect((await get(w)).status).toMatchObject({ readyReplicas: 1, availableReplicas: 0 });
    await w.clock.advance(15_000);
    expect(await w.names()).toEqual(["s-0", "s-1"]);
    w.stop();
  });

  test("a failed pod is made anew", async () => {
    const w = await startWorkloads();
    await w.client.statefulSets.create(set({ replicas: 1 }));
    await w.clock.until(settled(w, 1));
    const { uid } = (await w.client.pods.get(NAMESPACE, "s-0")).metadata;
    await w.exit("s-0", 1);
    await w.clock.until(async () => (await w.pods()).some((p) => p.metadata.uid !== uid && p.status.phase === "Running"));
    w.stop();
  });

  test("whenScaled and whenDeleted decide who owns the claims", async () => {
    const w = await startWorkloads();
    await w.client.statefulSets.create(set({ replicas: 2, persistentVolumeClaimRetentionPolicy: { whenDeleted: "Delete", whenScaled: "Delete" }, ...CLAIMS }));
    await w.clock.advance(5000);
    const owners = async (): Promise<string[]> =>
      (await w.client.persistentVolumeClaims.list(NAMESPACE)).items.map((c) => `${c.metadata.name} ${(c.metadata.ownerReferences ?? []).map((r) => `${r.kind}/${r.name}`).join()}`).sort();
    expect((await owners())[0]).toBe("data-s-0 StatefulSet/s");
    w.stop();
  });
});
