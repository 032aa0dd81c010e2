/**
 * Node lifecycle: the taints that follow a node's conditions. Follows
 * pkg/controller/nodelifecycle/node_lifecycle_controller.go (doNoScheduleTaintingPass). Nodes whose heartbeat stops
 * are not detected here yet.
 */
import type { Node, Taint } from "../../api/types.generated.ts";
import { deepEqual, keyOf } from "../../apimachinery/meta.ts";
import { formatTime } from "../../apimachinery/time.ts";
import { done } from "../../client/controller.ts";
import type { Controller } from "../../client/controller.ts";
import type { ControllerContext } from "../controller-context.ts";

/** Condition type → status → the key of the taint. Follows nodeConditionToTaintKeyStatusMap. */
const TAINT_OF: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Ready: { False: "node.kubernetes.io/not-ready", Unknown: "node.kubernetes.io/unreachable" },
  MemoryPressure: { True: "node.kubernetes.io/memory-pressure" },
  DiskPressure: { True: "node.kubernetes.io/disk-pressure" },
  NetworkUnavailable: { True: "node.kubernetes.io/network-unavailable" },
  PIDPressure: { True: "node.kubernetes.io/pid-pressure" },
};
const UNSCHEDULABLE = "node.kubernetes.io/unschedulable";
const OURS = new Set([...Object.values(TAINT_OF).flatMap((m) => Object.values(m)), UNSCHEDULABLE]);

/** The NoSchedule taints a node should have, others kept. Pure. */
export function planTaints(node: Node, timeAdded: string): Taint[] {
  const wanted: string[] = [];
  for (const { type, status } of node.status.conditions ?? []) {
    const key = TAINT_OF[type]?.[status];
    if (key !== undefined) wanted.push(key);
  }
  if (node.spec.unschedulable === true) wanted.push(UNSCHEDULABLE);
  // A node that never reported keeps the not-ready taint of its creation.
  const reported = node.status.conditions?.some((c) => c.type === "Ready") === true;
  const taints = (node.spec.taints ?? []).filter((t) => t.effect !== "NoSchedule" || !OURS.has(t.key) || wanted.includes(t.key) || !reported);
  for (const key of wanted) if (!taints.some((t) => t.key === key && t.effect === "NoSchedule")) taints.push({ key, effect: "NoSchedule", timeAdded });
  return taints;
}

export function newNodeLifecycleController({ client, clock, informers }: ControllerContext): Controller {
  const nodes = informers.informer("nodes");
  return {
    name: "node-lifecycle-controller",
    setup(queue) {
      nodes.addHandler({ add: (node) => queue.add(keyOf(node)), update: (node) => queue.add(keyOf(node)) });
    },
    async reconcile(key, signal) {
      const node = nodes.getByKey(key);
      if (node === undefined) return done;
      const taints = planTaints(node, formatTime(clock.nowMs()));
      if (deepEqual(taints, node.spec.taints ?? [])) return done;
      await client.nodes.patch("", key, "merge", { metadata: { resourceVersion: node.metadata.resourceVersion }, spec: { taints: taints.length > 0 ? taints : null } }, undefined, signal);
      return done;
    },
  };
}
