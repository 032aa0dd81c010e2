/** Rollouts as a real control plane made them: the Deployment's events in order, and the objects at the end. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Deployment } from "../../src/api/types.generated.ts";
import { startCluster } from "./cluster.ts";
import { SHARED } from "./recordings.ts";

interface Timeline {
  nodes: { name: string; cpu: string; memory: string; labels: Record<string, string>; taints?: unknown[] }[];
  manifests: Record<string, unknown>[];
  steps: { do: string; kind: string; name: string; patch?: unknown }[];
  events: { reason: string; object: string; message: string }[];
  final: { kind: string; metadata: { name: string } }[];
}

/** Hashes by order of appearance; times and what is counted per write aside. */
function comparable(value: unknown, hashes: Map<string, string>): unknown {
  const text = JSON.stringify(value, (key, v: unknown) => {
    if (["uid", "resourceVersion", "creationTimestamp", "lastTransitionTime", "lastUpdateTime", "managedFields", "namespace", "apiVersion"].includes(key)) return undefined;
    if (key === "conditions" && Array.isArray(v)) return [...(v as { type: string }[])].sort((a, b) => (a.type < b.type ? -1 : 1));
    return v;
  });
  return JSON.parse([...hashes].reduce((out, [hash, name]) => out.replaceAll(hash, name), text)) as unknown;
}

test.each(["deployment-rollout", "deployment-scale", "deployment-recreate"])("%s", async (name) => {
  const path = join(SHARED, "recordings/timelines", `${name}.json`);
  if (!existsSync(path)) throw new Error(`no timeline at ${path}: set KUBEWIRE_SHARED`);
  const timeline = JSON.parse(readFileSync(path, "utf8")) as Timeline;
  const { clock, client, addNode, errors, stop } = await startCluster();
  for (const node of timeline.nodes) {
    await addNode(node.name, node);
    if (node.taints !== undefined) await client.nodes.patch("", node.name, "merge", { spec: { taints: node.taints } });
  }
  const settled = async (): Promise<boolean> => {
    const d = await client.deployments.get("default", "web");
    const { replicas, updatedReplicas, availableReplicas, observedGeneration } = d.status;
    return observedGeneration === d.metadata.generation && [replicas, updatedReplicas, availableReplicas].every((n) => n === d.spec.replicas) &&
      (await client.pods.list("default")).items.length === d.spec.replicas;
  };
  for (const step of timeline.steps) {
    if (step.do === "create") await client.deployments.create({ ...(timeline.manifests[0] as unknown as Deployment), metadata: { name: step.name, namespace: "default" } });
    else if (step.do === "strategic-merge-patch") await client.deployments.patch("default", step.name, "strategic", step.patch);
    else {
      await clock.until(settled);
      await clock.advance(2000);
    }
  }
  const hashes = new Map<string, string>();
  const events = (await client.events.list("default")).items.map((e) => ({ reason: e.reason!, object: `${e.involvedObject.kind}/${e.involvedObject.name}`, message: e.message!, revision: Number(e.metadata.resourceVersion), count: e.count }));
  events.sort((a, b) => a.revision - b.revision);
  for (const set of [...(await client.replicaSets.list("default")).items].sort((a, b) => Number(a.metadata.annotations!["deployment.kubernetes.io/revision-history"] ?? a.metadata.annotations!["deployment.kubernetes.io/revision"]) - Number(b.metadata.annotations!["deployment.kubernetes.io/revision-history"] ?? b.metadata.annotations!["deployment.kubernetes.io/revision"])))
    hashes.set(set.metadata.labels!["pod-template-hash"]!, `{hash${hashes.size + 1}}`);
  const scaling = (list: readonly { reason: string; message: string }[]): string[] => list.filter((e) => e.reason === "ScalingReplicaSet").map((e) => comparable(e.message, hashes) as string);
  expect(scaling(events)).toEqual(scaling(timeline.events));
  const counts = (list: readonly { reason: string }[], reason: string): number => list.filter((e) => e.reason === reason).length;
  for (const reason of ["SuccessfulCreate", "SuccessfulDelete", "Scheduled"]) expect(counts(events, reason), reason).toBe(counts(timeline.events, reason));
  for (const kind of ["Deployment", "ReplicaSet"] as const) {
    const live = (await (kind === "Deployment" ? client.deployments : client.replicaSets).list("default")).items;
    const sort = (list: unknown[]): unknown[] => (list as { metadata: { name: string } }[]).sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
    expect(sort(live.map((o) => comparable(o, hashes)))).toEqual(sort(timeline.final.filter((o) => o.kind === kind).map((o) => comparable(o, hashes))));
  }
  stop();
  expect(errors).toEqual([]);
});
