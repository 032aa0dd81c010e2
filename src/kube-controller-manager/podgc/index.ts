/** Takes away pods that nobody takes away. Follows pkg/controller/podgc/gc_controller.go. */
import type { Node, Pod } from "../../api/types.generated.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import { isNotFound } from "../../apimachinery/status.ts";
import { formatTime } from "../../apimachinery/time.ts";
import { requeueAfter, type Controller } from "../../client/controller.ts";
import type { ControllerContext } from "../controller-context.ts";
import type { ControllerSettings } from "../initializers.ts";

/** How often it looks (gcCheckPeriod). */
const PERIOD_MS = 20_000;
/** So long a node has to be gone (quarantineTime). */
const QUARANTINE_MS = 40_000;
const OUT_OF_SERVICE = "node.kubernetes.io/out-of-service";

const isTerminated = ({ status }: Pod): boolean => status.phase !== "Pending" && status.phase !== "Running" && status.phase !== "Unknown" && status.phase !== undefined;
const isReady = (node: Node): boolean => node.status.conditions?.some((c) => c.type === "Ready" && c.status === "True") === true;
const creation = ({ metadata }: { metadata: { creationTimestamp?: string | undefined; name: string } }): string => `${metadata.creationTimestamp} ${metadata.name}`;

export function newPodGCController({ client, clock, informers, log }: ControllerContext, { terminatedPodGCThreshold = 12_500 }: ControllerSettings): Controller {
  const pods = informers.informer("pods");
  const nodes = informers.informer("nodes");
  /** Since when a node of pods is known to be missing, by name. */
  const missing = new Map<string, number>();

  /** Marks the pod as failed, if it is not at its end, and deletes it at once. Follows markFailedAndDeletePodWithCondition. */
  async function remove(pod: Pod & KubeObject, condition: { reason: string; message: string } | undefined, signal: AbortSignal): Promise<void> {
    const { namespace, name, uid } = pod.metadata;
    try {
      if (pod.status.phase !== "Succeeded" && pod.status.phase !== "Failed") {
        const own = { type: "DisruptionTarget", status: "True", ...condition!, lastTransitionTime: formatTime(clock.nowMs()) };
        const status = { phase: "Failed", ...(condition === undefined ? {} : { conditions: [own] }) };
        await client.pods.patch(namespace!, name, "strategic", { metadata: { uid }, status }, "status", signal);
      }
      await client.pods.delete(namespace!, name, { gracePeriodSeconds: 0, preconditions: { uid: uid! } }, signal);
    } catch (e) {
      if (isNotFound(e)) return;
      log.error("failed to delete pod", { controller: "pod-garbage-collector-controller", pod: `${namespace}/${name}`, err: e });
    }
  }

  async function isGone(node: string, signal: AbortSignal): Promise<boolean> {
    try {
      await client.nodes.get("", node, signal);
      return false;
    } catch (e) {
      return isNotFound(e);
    }
  }

  /** Pods of nodes that are gone for good. Follows gcOrphaned: a node is looked for again after the quarantine. */
  async function orphaned(all: readonly (Pod & KubeObject)[], signal: AbortSignal): Promise<void> {
    const now = clock.nowMs();
    const wanted = new Set<string>();
    for (const { spec } of all) if (spec.nodeName !== undefined && nodes.get("", spec.nodeName) === undefined) wanted.add(spec.nodeName);
    for (const name of [...missing.keys()]) if (!wanted.has(name)) missing.delete(name);
    const gone = new Set<string>();
    for (const name of wanted) {
      const since = missing.get(name);
      if (since === undefined) missing.set(name, now);
      else if (now - since >= QUARANTINE_MS && (await isGone(name, signal))) gone.add(name);
    }
    for (const pod of all)
      if (pod.spec.nodeName !== undefined && gone.has(pod.spec.nodeName)) await remove(pod, { reason: "DeletionByPodGC", message: "PodGC: node no longer exists" }, signal);
    for (const name of gone) missing.delete(name);
  }

  return {
    name: "pod-garbage-collector-controller",
    workers: 1,
    setup: (queue) => queue.addAfter("", PERIOD_MS),
    async reconcile(_key, signal) {
      const all = pods.list();
      const terminated = all.filter(isTerminated);
      const tooMany = terminatedPodGCThreshold > 0 ? terminated.length - terminatedPodGCThreshold : 0;
      if (tooMany > 0) {
        const evicted = (pod: Pod): number => (pod.status.reason === "Evicted" ? 0 : 1);
        const oldest = [...terminated].sort((a, b) => evicted(a) - evicted(b) || (creation(a) < creation(b) ? -1 : 1));
        for (const pod of oldest.slice(0, tooMany)) await remove(pod, undefined, signal);
      }
      // Terminating pods of nodes that are declared out of service.
      const stuck = all.filter((pod) => {
        const node = pod.metadata.deletionTimestamp === undefined ? undefined : nodes.get("", pod.spec.nodeName ?? "");
        return node !== undefined && !isReady(node) && node.spec.taints?.some((taint) => taint.key === OUT_OF_SERVICE) === true;
      });
      for (const pod of [...stuck].sort((a, b) => (creation(a) < creation(b) ? -1 : 1))) await remove(pod, undefined, signal);
      await orphaned(all, signal);
      // Pods that were deleted before they had a node.
      for (const pod of all) if (pod.metadata.deletionTimestamp !== undefined && (pod.spec.nodeName ?? "") === "") await remove(pod, undefined, signal);
      return requeueAfter(PERIOD_MS);
    },
  };
}
