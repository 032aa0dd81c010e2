/** Pods leave nodes whose NoExecute taints they do not tolerate (any longer). Follows pkg/controller/tainteviction/taint_eviction.go. */
import type { Node, Pod, Taint, Toleration } from "../../api/types.generated.ts";
import { deepEqual, keyOf, splitKey, type KubeObject } from "../../apimachinery/meta.ts";
import { isNotFound } from "../../apimachinery/status.ts";
import { formatTime } from "../../apimachinery/time.ts";
import { done, requeueAfter, type Controller } from "../../client/controller.ts";
import { BY_NODE } from "../../client/informer.ts";
import type { ControllerContext } from "../controller-context.ts";

/** Follows Toleration.ToleratesTaint. */
export function tolerates({ key = "", operator = "Equal", value = "", effect = "" }: Toleration, taint: Taint): boolean {
  if (effect !== "" && effect !== taint.effect) return false;
  if (key !== "" && key !== taint.key) return false;
  return operator === "Exists" || (operator === "Equal" && key !== "" && value === (taint.value ?? ""));
}

/** How many milliseconds the pod may stay: 0 for not at all, Infinity for ever. Follows processPodOnNode and getMinTolerationTime. Pure. */
export function mayStayMs(taints: readonly Taint[], tolerations: readonly Toleration[]): number {
  let least = Infinity;
  for (const taint of taints) {
    const used = tolerations.filter((toleration) => tolerates(toleration, taint));
    if (used.length === 0) return 0;
    for (const { tolerationSeconds } of used) if (tolerationSeconds !== undefined) least = Math.min(least, Math.max(0, tolerationSeconds) * 1000);
  }
  return least;
}

const noExecute = (node: Node | undefined): readonly Taint[] => (node?.spec.taints ?? []).filter(({ effect }) => effect === "NoExecute");

interface Eviction {
  readonly sinceMs: number;
  readonly dueMs: number;
}

export function newTaintEvictionController(context: ControllerContext): Controller {
  const { client, clock, informers } = context;
  const pods = informers.informer("pods");
  const nodes = informers.informer("nodes");
  const recorder = context.recorder("taint-eviction-controller");
  /** By the pod's key. */
  const scheduled = new Map<string, Eviction>();

  const about = (pod: Pod): KubeObject => ({ ...pod, apiVersion: "v1", kind: "Pod" });

  function cancel(key: string, pod: Pod | undefined): void {
    if (!scheduled.delete(key) || pod === undefined) return;
    recorder.event(about(pod), "Normal", "TaintManagerEviction", `Cancelling deletion of Pod ${key}`);
  }

  async function evict(pod: Pod & KubeObject, key: string, signal: AbortSignal): Promise<void> {
    const { namespace, name, uid } = pod.metadata;
    recorder.event(about(pod), "Normal", "TaintManagerEviction", `Marking for deletion Pod ${key}`);
    try {
      const condition = { type: "DisruptionTarget", status: "True", reason: "DeletionByTaintManager", message: "Taint manager: deleting due to NoExecute taint", lastTransitionTime: formatTime(clock.nowMs()) };
      await client.pods.patch(namespace!, name, "strategic", { metadata: { uid }, status: { conditions: [condition] } }, "status", signal);
      await client.pods.delete(namespace!, name, {}, signal);
    } catch (e) {
      if (!isNotFound(e)) throw e;
    }
  }

  return {
    name: "taint-eviction-controller",
    workers: 8,
    setup(queue) {
      const ofNode = ({ metadata }: Node): void => {
        for (const pod of pods.byIndex(BY_NODE, metadata.name)) queue.add(keyOf(pod));
      };
      nodes.addHandler({
        add(node) {
          if (noExecute(node).length > 0) ofNode(node);
        },
        update(node, old) {
          if (!deepEqual(noExecute(node), noExecute(old))) ofNode(node);
        },
        delete: ofNode,
      });
      pods.addHandler({
        add(pod) {
          if (pod.spec.nodeName !== undefined) queue.add(keyOf(pod));
        },
        update(pod, old) {
          if (pod.spec.nodeName !== undefined && (pod.spec.nodeName !== old.spec.nodeName || !deepEqual(pod.spec.tolerations, old.spec.tolerations))) queue.add(keyOf(pod));
        },
        delete(pod) {
          if (scheduled.has(keyOf(pod))) queue.add(keyOf(pod));
        },
      });
    },
    async reconcile(key, signal) {
      const { namespace, name } = splitKey(key);
      const pod = pods.get(namespace, name);
      if (pod === undefined) {
        scheduled.delete(key);
        return done;
      }
      const taints = noExecute(nodes.get("", pod.spec.nodeName ?? ""));
      const stay = taints.length === 0 ? Infinity : mayStayMs(taints, pod.spec.tolerations ?? []);
      if (stay === Infinity) {
        cancel(key, pod);
        return done;
      }
      if (pod.metadata.deletionTimestamp !== undefined) return done;
      const now = clock.nowMs();
      const sinceMs = scheduled.get(key)?.sinceMs ?? now;
      const dueMs = stay === 0 ? now : sinceMs + stay;
      if (dueMs > now) {
        scheduled.set(key, { sinceMs, dueMs });
        return requeueAfter(dueMs - now);
      }
      scheduled.delete(key);
      await evict(pod, key, signal);
      return done;
    },
  };
}
