/** What users of the cluster do meanwhile: a list made from the seed, and how each of it is done. */
import type { Client, ResourceClient } from "../../src/client/client.ts";
import type { KubeObject } from "../../src/apimachinery/meta.ts";
import { ApiError, isConflict, isNotFound } from "../../src/apimachinery/status.ts";
import type { Clock, Random } from "../../src/time/clock.ts";
import type { Checker } from "./invariants.ts";

export type Op = { readonly atMs: number } & (
  | { readonly kind: "create"; readonly resource: Workload; readonly namespace: string; readonly name: string; readonly spec: Record<string, unknown>; readonly service: boolean }
  | { readonly kind: "scale"; readonly resource: Workload; readonly namespace: string; readonly name: string; readonly replicas: number }
  | { readonly kind: "roll"; readonly resource: Workload; readonly namespace: string; readonly name: string; readonly image: string; readonly args: readonly string[] }
  | { readonly kind: "pause"; readonly namespace: string; readonly name: string; readonly paused: boolean }
  | { readonly kind: "suspend"; readonly namespace: string; readonly name: string; readonly suspend: boolean }
  | { readonly kind: "budget"; readonly namespace: string; readonly name: string; readonly of: string; readonly spec: Record<string, unknown> }
  | { readonly kind: "autoscale"; readonly namespace: string; readonly name: string }
  | { readonly kind: "drain"; readonly node: string; readonly forMs: number }
  | { readonly kind: "delete"; readonly resource: Workload; readonly namespace: string; readonly name: string; readonly policy: "Background" | "Foreground" | "Orphan" }
  | { readonly kind: "deletePod"; readonly namespace: string; readonly nth: number }
  | { readonly kind: "namespace"; readonly name: string; readonly deleted: boolean }
  | { readonly kind: "token"; readonly writer: number; readonly nth: number }
);

export type Workload = "deployments" | "statefulSets" | "daemonSets" | "jobs";

const NAMESPACES = ["default", "other"] as const;
const serving = (image: number, args: readonly string[], probes = true): Record<string, unknown> => ({
  name: "app", image: `sim.io/app:${image}`, args,
  resources: { requests: { cpu: "50m", memory: "16Mi" } },
  ...(probes ? { readinessProbe: { httpGet: { path: "/", port: 8080 }, periodSeconds: 2, failureThreshold: 2 } } : {}),
});

export function planOps(random: Random, nodes: readonly string[], endMs: number, calm: boolean): Op[] {
  const pick = <T>(of: readonly T[]): T => of[random.below(of.length)]!;
  const ops: Op[] = [];
  const made: { resource: Workload; namespace: string; name: string }[] = [];
  const serveArgs = (): string[] => ["serve", String(pick([0, 0, 1000, 6000]))];
  const create = (atMs: number, resource: Workload): void => {
    const name = `${resource.slice(0, 2)}-${made.length}`;
    const namespace = pick(NAMESPACES);
    const labels = { app: name };
    const grace = { terminationGracePeriodSeconds: pick([1, 5, 30]) };
    const pod = (container: object, more: object = {}): object => ({ metadata: { labels }, spec: { ...grace, ...more, containers: [container] } });
    const app = serving(1 + random.below(3), serveArgs());
    const selector = { matchLabels: labels };
    const replicas = 1 + random.below(5);
    let spec: Record<string, unknown>;
    switch (resource) {
      case "deployments": {
        const strategy = random.below(5) === 0 ? { type: "Recreate" } : { type: "RollingUpdate", rollingUpdate: pick<object>([{ maxSurge: 1, maxUnavailable: 0 }, { maxSurge: 0, maxUnavailable: 1 }, { maxSurge: "25%", maxUnavailable: "25%" }, { maxSurge: 2, maxUnavailable: 1 }]) };
        spec = { replicas, selector, strategy, minReadySeconds: pick([0, 0, 3]), template: pod(app), revisionHistoryLimit: pick([0, 2, 10]) };
        break;
      }
      case "statefulSets":
        spec = { replicas, selector, serviceName: name, podManagementPolicy: pick(["OrderedReady", "Parallel"]), updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: pick([0, 0, 1]) } }, template: pod(app) };
        break;
      case "daemonSets":
        spec = { selector, updateStrategy: { type: "RollingUpdate", rollingUpdate: pick<object>([{ maxUnavailable: 1 }, { maxUnavailable: 2 }, { maxSurge: 1, maxUnavailable: 0 }]) }, template: pod(app) };
        break;
      case "jobs": {
        const indexed = random.below(2) === 0;
        const work = { ...serving(1, ["work", String(1000 + random.below(20_000)), "0", String(pick([0, 0, 10]))], false) };
        spec = { completions: 1 + random.below(6), parallelism: 1 + random.below(3), completionMode: indexed ? "Indexed" : "NonIndexed", backoffLimit: 50, template: pod(work, { restartPolicy: pick(["Never", "OnFailure"]) }) };
        break;
      }
    }
    ops.push({ atMs, kind: "create", resource, namespace, name, spec, service: resource !== "jobs" && random.below(2) === 0 });
    made.push({ resource, namespace, name });
  };
  for (let i = 0; i < 3; i++) create(1000 + random.below(5000), pick(["deployments", "deployments", "statefulSets", "daemonSets", "jobs"]));
  const count = 8 + random.below(18);
  let budgets = 0, tokens = 0, spaces = 0;
  for (let i = 0; i < count; i++) {
    const atMs = 10_000 + random.below(endMs - 10_000);
    const one = pick(made);
    const of = { resource: one.resource, namespace: one.namespace, name: one.name };
    switch (random.below(calm ? 10 : 13)) {
      case 0: case 1: if (made.length < 7) create(atMs, pick(["deployments", "statefulSets", "daemonSets", "jobs", "jobs"])); break;
      case 2: if (one.resource !== "daemonSets") ops.push({ atMs, kind: "scale", ...of, replicas: random.below(7) }); break;
      case 3: case 4: if (one.resource !== "jobs") ops.push({ atMs, kind: "roll", ...of, image: random.below(6) === 0 ? "sim.io/missing:1" : `sim.io/app:${1 + random.below(4)}`, args: random.below(6) === 0 ? ["fail"] : serveArgs() }); break;
      case 5:
        if (one.resource === "deployments") {
          ops.push({ atMs, kind: "pause", namespace: one.namespace, name: one.name, paused: true });
          ops.push({ atMs: atMs + random.below(20_000), kind: "pause", namespace: one.namespace, name: one.name, paused: false });
        } else if (one.resource === "jobs") {
          ops.push({ atMs, kind: "suspend", namespace: one.namespace, name: one.name, suspend: true });
          ops.push({ atMs: atMs + random.below(20_000), kind: "suspend", namespace: one.namespace, name: one.name, suspend: false });
        }
        break;
      case 6: ops.push({ atMs, kind: "token", writer: random.below(3), nth: tokens++ }); ops.push({ atMs, kind: "token", writer: 3, nth: tokens++ }); break;
      // Of several budgets for a pod the controller sees to one.
      case 7: if ((one.resource === "deployments" || one.resource === "statefulSets") && !ops.some((op) => op.kind === "budget" && op.of === one.name)) ops.push({ atMs: 3000 + random.below(20_000), kind: "budget", namespace: one.namespace, name: `budget-${budgets++}`, of: one.name, spec: random.below(2) === 0 ? { minAvailable: 1 + random.below(3) } : { maxUnavailable: 1 } }); break;
      case 8: {
        const name = `space-${spaces++}`;
        ops.push({ atMs, kind: "namespace", name, deleted: false });
        ops.push({ atMs: atMs + 500 + random.below(30_000), kind: "namespace", name, deleted: true });
        break;
      }
      case 9: ops.push({ atMs, kind: "delete", ...of, policy: pick(["Background", "Foreground", "Orphan"]) }); break;
      case 10: ops.push({ atMs, kind: "drain", node: pick(nodes), forMs: 10_000 + random.below(30_000) }); break;
      case 11: ops.push({ atMs, kind: "deletePod", namespace: pick(NAMESPACES), nth: random.below(20) }); break;
      case 12: if (one.resource === "deployments") ops.push({ atMs, kind: "autoscale", namespace: one.namespace, name: one.name }); break;
    }
  }
  return ops.sort((a, b) => a.atMs - b.atMs);
}

/** Repeats what fails for a passing reason. What is not there (any more) is nothing to be done with. */
async function insist(clock: Clock, work: () => Promise<unknown>): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await work();
      return;
    } catch (e) {
      if (isNotFound(e)) return;
      if (attempt > 20 || !(isConflict(e) || (e instanceof ApiError && e.code >= 429))) throw e;
      await clock.sleep(100);
    }
  }
}

export interface Actors {
  readonly client: Client;
  readonly clock: Clock;
  readonly checker: Checker;
}

export async function perform({ client, clock, checker }: Actors, op: Op): Promise<void> {
  const of = (resource: Workload): ResourceClient<KubeObject & { spec: Record<string, unknown> }> => client[resource] as never;
  const merge = (resource: Workload, namespace: string, name: string, spec: object): Promise<void> =>
    insist(clock, () => of(resource).patch(namespace, name, "merge", { spec }));
  switch (op.kind) {
    case "create": {
      const { namespace, name, spec, resource } = op;
      await of(resource).create({ metadata: { namespace, name }, spec } as never);
      if (op.service || resource === "statefulSets")
        await client.services.create({ metadata: { namespace, name }, spec: { ...(resource === "statefulSets" ? { clusterIP: "None" } : {}), selector: { app: name }, ports: [{ port: 80, targetPort: 8080 }] } } as never);
      return;
    }
    case "scale": return merge(op.resource, op.namespace, op.name, op.resource === "jobs" ? { parallelism: Math.max(1, op.replicas) } : { replicas: op.replicas });
    case "roll": return insist(clock, () => of(op.resource).patch(op.namespace, op.name, "strategic", { spec: { template: { spec: { containers: [{ name: "app", image: op.image, args: op.args }] } } } }));
    case "pause": return merge("deployments", op.namespace, op.name, { paused: op.paused });
    case "suspend": return insist(clock, async () => {
      try {
        await of("jobs").patch(op.namespace, op.name, "merge", { spec: { suspend: op.suspend } });
      } catch (e) {
        // A finished job is not changed any more.
        if (!(e instanceof ApiError && e.code === 422)) throw e;
      }
    });
    case "budget": {
      await client.podDisruptionBudgets.create({ metadata: { namespace: op.namespace, name: op.name }, spec: { ...op.spec, selector: { matchLabels: { app: op.of } } } } as never);
      return;
    }
    case "autoscale":
      await client.horizontalPodAutoscalers.create({ metadata: { namespace: op.namespace, name: op.name }, spec: { minReplicas: 2, maxReplicas: 4, scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: op.name }, metrics: [{ type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 50 } } }] } } as never).catch((e: unknown) => {
        if (!(e instanceof ApiError && e.code === 409)) throw e;
      });
      return;
    case "drain": return drain({ client, clock, checker }, op.node, op.forMs);
    case "delete": return insist(clock, () => of(op.resource).delete(op.namespace, op.name, { propagationPolicy: op.policy }));
    case "deletePod": {
      const { items } = await client.pods.list(op.namespace);
      const pod = items[op.nth % Math.max(1, items.length)];
      checker.disturbed("a pod was deleted");
      if (pod !== undefined) await insist(clock, () => client.pods.delete(op.namespace, pod.metadata.name));
      return;
    }
    case "namespace":
      if (op.deleted) return insist(clock, () => client.namespaces.delete("", op.name));
      await client.namespaces.create({ metadata: { name: op.name } } as never);
      await insist(clock, () => client.deployments.create({ metadata: { namespace: op.name, name: "web" }, spec: { replicas: 2, selector: { matchLabels: { app: "web" } }, template: { metadata: { labels: { app: "web" } }, spec: { terminationGracePeriodSeconds: 2, containers: [serving(1, ["serve", "0"])] } } } } as never));
      await insist(clock, () => client.services.create({ metadata: { namespace: op.name, name: "web" }, spec: { selector: { app: "web" }, ports: [{ port: 80, targetPort: 8080 }] } } as never));
      return;
    case "token": return token({ client, clock, checker }, op.writer, op.nth);
  }
}

/** Read, change, write: what was answered must still be there at the end. */
async function token({ client, clock, checker }: Actors, writer: number, nth: number): Promise<void> {
  const metadata = { namespace: "default", name: "tokens" };
  for (;;) {
    try {
      const found = await client.configMaps.get(metadata.namespace, metadata.name).catch((e: unknown) => {
        if (!isNotFound(e)) throw e;
      });
      const data = { ...found?.data, [`writer-${writer}-${nth}`]: "" };
      if (found === undefined) await client.configMaps.create({ metadata, data } as never);
      else await client.configMaps.update({ ...found, data } as never);
      checker.token(`writer-${writer}-${nth}`);
      return;
    } catch (e) {
      if (!(e instanceof ApiError && e.code === 409)) throw e;
      await clock.sleep(1);
    }
  }
}

/** `kubectl drain --ignore-daemonsets --delete-emptydir-data`, and uncordon afterwards. */
async function drain({ client, clock, checker }: Actors, node: string, forMs: number): Promise<void> {
  const endNs = clock.nowNs() + forMs * 1e6;
  const cordon = (unschedulable: boolean): Promise<void> => insist(clock, () => client.nodes.patch("", node, "merge", { spec: { unschedulable } }));
  checker.disturbed(`${node} is drained`);
  await cordon(true);
  while (clock.nowNs() < endNs) {
    const { items } = await client.pods.list("", { fieldSelector: `spec.nodeName=${node}` });
    const victims = items.filter(({ metadata, status }) => metadata.deletionTimestamp === undefined && !metadata.ownerReferences?.some(({ kind }) => kind === "DaemonSet") && status.phase !== "Succeeded");
    if (victims.length === 0) break;
    for (const { metadata: { namespace = "", name } } of victims) {
      const before = checker.beforeEviction(namespace, name);
      try {
        await client.pods.subresource("POST", namespace, name, "eviction", { apiVersion: "policy/v1", kind: "Eviction", metadata: { namespace, name } });
        before();
      } catch (e) {
        if (!(e instanceof ApiError)) throw e;
      }
    }
    await clock.sleep(5000);
  }
  await clock.sleep(Math.max(0, (endNs - clock.nowNs()) / 1e6));
  await cordon(false);
}

/** What is left unfinished is brought in order, so that all of it can come to rest. */
export async function tidyUp({ client, clock }: Actors): Promise<void> {
  const { items: nodes } = await client.nodes.list();
  for (const { metadata: { name }, spec } of nodes) if (spec?.unschedulable === true) await insist(clock, () => client.nodes.patch("", name, "merge", { spec: { unschedulable: false } }));
  const fixed = { template: { spec: { containers: [{ name: "app", image: "sim.io/app:4", args: ["serve", "0"] }] } } };
  for (const resource of ["deployments", "statefulSets", "daemonSets"] as const) {
    const { items } = await (client[resource] as ResourceClient<KubeObject & { spec: { paused?: boolean; template: { spec: { containers: { image: string; args: string[] }[] } } } }>).list();
    for (const { metadata: { namespace = "", name }, spec } of items) {
      const { image, args } = spec.template.spec.containers[0]!;
      if (image.includes("missing") || args[0] === "fail") await insist(clock, () => client[resource].patch(namespace, name, "strategic", { spec: fixed }));
      if (spec.paused === true) await insist(clock, () => client[resource].patch(namespace, name, "merge", { spec: { paused: false } }));
      if (resource !== "statefulSets") continue;
      // A pod of a broken revision is not replaced by ordered updates (kubernetes issue 67250): somebody has to delete it.
      const { items: pods } = await client.pods.list(namespace, { labelSelector: `app=${name}` });
      for (const pod of pods) if (pod.spec.containers.some(({ image: its, args: words }) => its?.includes("missing") === true || words?.[0] === "fail")) await insist(clock, () => client.pods.delete(namespace, pod.metadata.name));
    }
  }
  // What an orphaned workload has left broken nobody mends.
  for (const { metadata: { namespace = "", name, ownerReferences }, spec } of (await client.replicaSets.list()).items) {
    const { image, args } = spec.template!.spec!.containers[0]!;
    if (ownerReferences === undefined && (image?.includes("missing") === true || args?.[0] === "fail")) await insist(clock, () => client.replicaSets.delete(namespace, name));
  }
  for (const { metadata: { namespace = "", name, ownerReferences }, spec } of (await client.pods.list()).items) {
    const { image, args } = spec.containers[0]!;
    if (ownerReferences === undefined && (image?.includes("missing") === true || args?.[0] === "fail")) await insist(clock, () => client.pods.delete(namespace, name));
  }
  const { items: jobs } = await client.jobs.list();
  for (const { metadata: { namespace = "", name }, spec } of jobs) if (spec?.suspend === true) await insist(clock, () => client.jobs.patch(namespace, name, "merge", { spec: { suspend: false } }));
}
