/**
 * Nodes as the cloud knows them: made known, taken away, routed to. Follows k8s.io/cloud-provider/controllers (node/node_controller.go,
 * nodelifecycle/node_lifecycle_controller.go, route/route_controller.go).
 */
import type { Node } from "../api/types.generated.ts";
import { deepEqual, keyOf } from "../apimachinery/meta.ts";
import { isConflict, isNotFound } from "../apimachinery/status.ts";
import { formatTime } from "../apimachinery/time.ts";
import { done, requeueAfter, type Controller } from "../client/controller.ts";
import type { ControllerContext } from "../kube-controller-manager/controller-context.ts";
import type { Instances, Routes } from "./cloud.ts";

const UNINITIALIZED = "node.cloudprovider.kubernetes.io/uninitialized";
const SHUTDOWN = "node.cloudprovider.kubernetes.io/shutdown";
const LIFECYCLE_PERIOD_MS = 5000;
const ROUTES_PERIOD_MS = 10_000;

const readiness = ({ status }: Node): string | undefined => status.conditions?.find((c) => c.type === "Ready")?.status;

/** A new node keeps its taint until the cloud has said what it is. */
export function newCloudNodeController(context: ControllerContext, instances: Instances): Controller {
  const { client, informers } = context;
  const nodes = informers.informer("nodes");
  const recorder = context.recorder("cloud-node-controller");
  return {
    name: "cloud-node-controller",
    setup(queue) {
      const add = (node: Node): void => {
        if (node.spec.taints?.some(({ key }) => key === UNINITIALIZED) === true) queue.add(keyOf(node));
      };
      nodes.addHandler({ add, update: add });
    },
    async reconcile(name, signal) {
      const node = nodes.getByKey(name);
      if (node === undefined || node.spec.taints?.some(({ key }) => key === UNINITIALIZED) !== true) return done;
      const found = await instances.metadata(node);
      if (found === undefined) return done;
      const { providerID, instanceType, zone, region, addresses } = found;
      const labels: Record<string, string> = {};
      for (const [keys, value] of [
        [["node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type"], instanceType],
        [["topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"], zone], [["topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region"], region],
      ] as const) if (value !== undefined) for (const key of keys) labels[key] = value;
      const taints = node.spec.taints.filter(({ key }) => key !== UNINITIALIZED);
      try {
        await client.nodes.patch("", name, "merge", {
          metadata: { resourceVersion: node.metadata.resourceVersion, ...(Object.keys(labels).length > 0 ? { labels } : {}) },
          spec: { taints: taints.length > 0 ? taints : null, ...((node.spec.providerID ?? "") === "" ? { providerID } : {}) },
        }, undefined, signal);
        if (addresses !== undefined && !deepEqual(addresses, node.status.addresses)) await client.nodes.patch("", name, "merge", { status: { addresses } }, "status", signal);
      } catch (e) {
        if (isNotFound(e)) return done;
        if (!isConflict(e)) recorder.event({ ...node, apiVersion: "v1", kind: "Node" }, "Warning", "SyncFailed", e instanceof Error ? e.message : String(e));
        throw e;
      }
      recorder.event({ ...node, apiVersion: "v1", kind: "Node" }, "Normal", "Synced", "Node synced successfully");
      return done;
    },
  };
}

/** Nodes whose instance is gone go; those whose instance is shut down are tainted. */
export function newCloudNodeLifecycleController(context: ControllerContext, instances: Instances): Controller {
  const { client, clock, informers } = context;
  const nodes = informers.informer("nodes");
  const recorder = context.recorder("cloud-node-lifecycle-controller");

  async function judge(node: Node, signal: AbortSignal): Promise<void> {
    const { name, resourceVersion } = node.metadata;
    const taints = node.spec.taints ?? [];
    const isTainted = taints.some(({ key }) => key === SHUTDOWN);
    const set = (next: typeof taints): Promise<unknown> => client.nodes.patch("", name, "merge", { metadata: { resourceVersion }, spec: { taints: next.length > 0 ? next : null } }, undefined, signal);
    if (readiness(node) === "True") {
      if (isTainted) await set(taints.filter(({ key }) => key !== SHUTDOWN));
      return;
    }
    if (!(await instances.exists(node))) {
      recorder.event({ ...node, apiVersion: "v1", kind: "Node" }, "Normal", "DeletingNode", `Deleting node ${name} because it does not exist in the cloud provider`);
      await client.nodes.delete("", name, {}, signal);
    } else if (!isTainted && (await instances.isShutDown(node))) await set([...taints, { key: SHUTDOWN, effect: "NoSchedule", timeAdded: formatTime(clock.nowMs()) }]);
  }

  return {
    name: "cloud-node-lifecycle-controller",
    workers: 1,
    setup: (queue) => queue.addAfter("", LIFECYCLE_PERIOD_MS),
    async reconcile(_key, signal) {
      for (const node of nodes.list()) {
        if (node.status.conditions === undefined) continue;
        try {
          await judge(node, signal);
        } catch (e) {
          if (!isNotFound(e) && !isConflict(e)) throw e;
        }
      }
      return requeueAfter(LIFECYCLE_PERIOD_MS);
    },
  };
}

/** The cloud's routes to the pod ranges of nodes. */
export function newRouteController(context: ControllerContext, routes: Routes): Controller {
  const { client, clock, informers } = context;
  const nodes = informers.informer("nodes");
  const recorder = context.recorder("route_controller");

  async function setNetwork(node: Node, ok: boolean, signal: AbortSignal): Promise<void> {
    const status = ok ? "False" : "True";
    if (node.status.conditions?.find((c) => c.type === "NetworkUnavailable")?.status === status) return;
    const time = formatTime(clock.nowMs());
    const [reason, message] = ok ? ["RouteCreated", "RouteController created a route"] : ["NoRouteCreated", "RouteController failed to create a route"];
    const condition = { type: "NetworkUnavailable", status, reason, message, lastTransitionTime: time, lastHeartbeatTime: time };
    await client.nodes.patch("", node.metadata.name, "strategic", { status: { conditions: [condition] } }, "status", signal);
  }

  return {
    name: "node-route-controller",
    workers: 1,
    setup(queue) {
      nodes.addHandler({ add: () => queue.add(""), update: (node, old) => void (deepEqual(node.spec.podCIDRs, old.spec.podCIDRs) || queue.add("")), delete: () => queue.add("") });
    },
    async reconcile(_key, signal) {
      const existing = await routes.list();
      const wanted = nodes.list().flatMap((node) => (node.spec.podCIDRs ?? []).map((cidr) => ({ node, cidr })));
      for (const route of existing) if (!wanted.some(({ node, cidr }) => node.metadata.name === route.node && cidr === route.cidr)) await routes.delete(route);
      const failed = new Set<string>();
      for (const { node, cidr } of wanted) {
        const { name, uid } = node.metadata;
        if (existing.some((route) => route.node === name && route.cidr === cidr)) continue;
        try {
          await routes.create({ name: uid, node: name, cidr });
        } catch (e) {
          failed.add(name);
          recorder.event({ ...node, apiVersion: "v1", kind: "Node" }, "Warning", "FailedToCreateRoute", `Could not create route ${uid} ${cidr} for node ${name}: ${e instanceof Error ? e.message : String(e)}`);
        }
      }
      for (const node of nodes.list()) if ((node.spec.podCIDRs ?? []).length > 0) await setNetwork(node, !failed.has(node.metadata.name), signal);
      return requeueAfter(ROUTES_PERIOD_MS);
    },
  };
}
