/** The disruption controller: how many pods of a PodDisruptionBudget may be evicted now. Follows pkg/controller/disruption/disruption.go. */
import type { OwnerReference, Pod, PodDisruptionBudget } from "../../api/types.generated.ts";
import { controllerOf, keyOf, splitKey } from "../../apimachinery/meta.ts";
import { isEmpty, labelSelector, matches } from "../../apimachinery/selectors.ts";
import { isConflict, isNotFound } from "../../apimachinery/status.ts";
import { formatTime, parseTime } from "../../apimachinery/time.ts";
import { done, requeueAfter } from "../../client/controller.ts";
import type { Controller, Result } from "../../client/controller.ts";
import type { ControllerContext } from "../controller-context.ts";
import { isPodTerminal, isTerminating, messageOf, scaledValue, typedAs } from "../controller-utils.ts";
import { createScales } from "../scales.ts";
import { budgetStatus, disruptedPods, failSafeStatus, goSelector, healthyPods } from "./plan.ts";

/** A pod that was to be disrupted and still runs loses the mark after so long (stalePodDisruptionTimeout). */
const STALE_MS = 2 * 60_000;
/** Keys of pods that may have a stale mark. */
const STALE_POD = "pod:";

export function newDisruptionController(context: ControllerContext): Controller {
  const { client, clock, informers } = context;
  const budgets = informers.informer("podDisruptionBudgets");
  const pods = informers.informer("pods");
  const replicaSets = informers.informer("replicaSets");
  const deployments = informers.informer("deployments");
  const replicationControllers = informers.informer("replicationControllers");
  const statefulSets = informers.informer("statefulSets");
  const recorder = context.recorder("controllermanager");
  const scales = createScales(client);

  /** A budget of a pod. Follows getPdbForPod. */
  function budgetOf(pod: Pod): PodDisruptionBudget | undefined {
    const found = budgets.list(pod.metadata.namespace).filter(({ spec }) => spec.selector !== undefined && matches(labelSelector(spec.selector), pod.metadata.labels));
    if (found.length > 1) {
      const { namespace, name } = pod.metadata;
      recorder.event(typedAs(client.pods, pod), "Warning", "MultiplePodDisruptionBudgets",
        `Pod "${namespace}"/"${name}" matches multiple PodDisruptionBudgets.  Chose "${found[0]!.metadata.name}" arbitrarily.`);
    }
    return found[0];
  }

  function podsOf({ metadata, spec }: PodDisruptionBudget): readonly Pod[] {
    const all = pods.list(metadata.namespace);
    const selector = labelSelector(spec.selector);
    return isEmpty(selector) ? all : all.filter((pod) => matches(selector, pod.metadata.labels));
  }

  /** The wanted replicas of a pod's controller, by its uid; undefined when it is gone. Follows the finders. */
  async function scaleOf(namespace: string, ref: OwnerReference, signal: AbortSignal): Promise<{ uid: string; replicas: number } | undefined> {
    const cached = { ReplicaSet: replicaSets, ReplicationController: replicationControllers, StatefulSet: statefulSets }[ref.kind];
    if (cached !== undefined) {
      const owner = cached.get(namespace, ref.name);
      if (owner === undefined || owner.metadata.uid !== ref.uid) return undefined;
      const above = ref.kind === "ReplicaSet" ? controllerOf(owner) : undefined;
      if (above?.kind !== "Deployment") return { uid: ref.uid, replicas: owner.spec.replicas ?? 1 };
      const deployment = deployments.get(namespace, above.name);
      return deployment?.metadata.uid === above.uid ? { uid: above.uid, replicas: deployment.spec.replicas ?? 1 } : undefined;
    }
    const resource = await scales.resourceOf(ref, signal);
    try {
      const scale = await scales.get(resource, namespace, ref.name, signal);
      return scale.metadata.uid === ref.uid ? { uid: ref.uid, replicas: scale.spec.replicas ?? 0 } : undefined;
    } catch (e) {
      if (isNotFound(e)) return undefined;
      throw e;
    }
  }

  /** The sum over the controllers of the pods. Follows getExpectedScale. */
  async function expectedScale(namespace: string, list: readonly Pod[], signal: AbortSignal): Promise<{ expected: number; unmanaged: boolean }> {
    const byRef = new Map<string, number>();
    const seen = new Set<string>();
    let unmanaged = false;
    for (const pod of list) {
      const ref = controllerOf(pod);
      if (ref === undefined) unmanaged = true;
      if (ref === undefined || seen.has(ref.uid)) continue;
      const scale = await scaleOf(namespace, ref, signal);
      if (scale === undefined) throw new Error(`found no controllers for pod "${pod.metadata.name}"`);
      seen.add(ref.uid);
      byRef.set(scale.uid, scale.replicas);
    }
    let expected = 0;
    for (const replicas of byRef.values()) expected += replicas;
    return { expected, unmanaged };
  }

  /** Follows getExpectedPodCount. */
  async function expectedPods({ metadata, spec }: PodDisruptionBudget, list: readonly Pod[], signal: AbortSignal): Promise<{ expectedPods: number; desiredHealthy: number; unmanaged: boolean }> {
    const { maxUnavailable, minAvailable } = spec;
    if (maxUnavailable === undefined && typeof minAvailable !== "string") {
      return { expectedPods: minAvailable === undefined ? 0 : list.length, desiredHealthy: minAvailable ?? 0, unmanaged: false };
    }
    const { expected, unmanaged } = await expectedScale(metadata.namespace!, list, signal);
    const desiredHealthy = maxUnavailable === undefined ? scaledValue(minAvailable, expected, true) : Math.max(0, expected - scaledValue(maxUnavailable, expected, true));
    return { expectedPods: expected, desiredHealthy, unmanaged };
  }

  /** Follows trySync. */
  async function trySync(pdb: PodDisruptionBudget, signal: AbortSignal): Promise<Result> {
    const typed = typedAs(client.podDisruptionBudgets, pdb);
    const list = podsOf(pdb);
    if (list.length === 0) recorder.event(typed, "Normal", "NoPods", "No matching pods found");
    let counts: Awaited<ReturnType<typeof expectedPods>>;
    try {
      counts = await expectedPods(pdb, list, signal);
    } catch (e) {
      recorder.event(typed, "Warning", "CalculateExpectedPodCountFailed", `Failed to calculate the number of expected pods: ${messageOf(e)}`);
      throw e;
    }
    const { unmanaged, ...wanted } = counts;
    if (unmanaged)
      recorder.event(typed, "Warning", "UnmanagedPods",
        `Pods selected by this PodDisruptionBudget (selector: ${goSelector(pdb.spec.selector)}) were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set ".spec.minAvailable" field of the PDB to an integer value.`);
    const now = clock.nowMs();
    const disrupted = disruptedPods(pdb, list, now);
    const { namespace } = pdb.metadata;
    for (const pod of disrupted.overdue)
      recorder.event(typedAs(client.pods, pod), "Warning", "NotDeleted", `Pod was expected by PDB ${namespace}/${namespace} to be deleted but it wasn't`);
    const status = budgetStatus(pdb, { ...wanted, currentHealthy: healthyPods(list, disrupted.pods) }, disrupted.pods, now);
    if (status !== undefined) await client.podDisruptionBudgets.updateStatus({ ...pdb, status }, signal);
    return disrupted.recheckMs === undefined ? done : requeueAfter(disrupted.recheckMs - now);
  }

  /** Milliseconds until the mark of a pod that goes on running is stale; undefined without one. */
  function msToStale(pod: Pod): number | undefined {
    if (isTerminating(pod) || isPodTerminal(pod)) return undefined;
    const mark = pod.status.conditions?.find(({ type, status }) => type === "DisruptionTarget" && status === "True");
    return mark === undefined ? undefined : (parseTime(mark.lastTransitionTime ?? "") ?? 0) + STALE_MS - clock.nowMs();
  }

  /** Follows syncStalePodDisruption. */
  async function syncStalePod(key: string, signal: AbortSignal): Promise<Result> {
    const pod = pods.getByKey(key);
    const left = pod === undefined ? undefined : msToStale(pod);
    if (pod === undefined || left === undefined) return done;
    if (left > 0) return requeueAfter(left);
    const condition = { type: "DisruptionTarget", status: "False", reason: null, message: null, lastTransitionTime: formatTime(clock.nowMs()) };
    try {
      await client.pods.patch(pod.metadata.namespace!, pod.metadata.name, "strategic", { metadata: { uid: pod.metadata.uid }, status: { conditions: [condition] } }, "status", signal);
    } catch (e) {
      if (!isNotFound(e)) throw e;
    }
    return done;
  }

  return {
    name: "disruption-controller",
    setup(queue) {
      const enqueue = (pdb: PodDisruptionBudget | undefined): void => {
        if (pdb !== undefined) queue.add(keyOf(pdb));
      };
      budgets.addHandler({ add: enqueue, update: enqueue, delete: enqueue });
      const onPod = (pod: Pod): void => {
        enqueue(budgetOf(pod));
        const left = msToStale(pod);
        if (left !== undefined) queue.addAfter(STALE_POD + keyOf(pod), left);
      };
      pods.addHandler({ add: onPod, update: onPod, delete: (pod) => enqueue(budgetOf(pod)) });
    },
    async reconcile(key, signal) {
      if (key.startsWith(STALE_POD)) return syncStalePod(key.slice(STALE_POD.length), signal);
      const { namespace, name } = splitKey(key);
      const pdb = budgets.get(namespace, name);
      if (pdb === undefined) return done;
      try {
        return await trySync(pdb, signal);
      } catch (e) {
        if (isConflict(e) || isNotFound(e)) throw e;
        await client.podDisruptionBudgets.updateStatus({ ...pdb, status: failSafeStatus(pdb, messageOf(e), clock.nowMs()) }, signal);
        throw e;
      }
    },
  };
}
