/**
 * The ReplicaSet controller: keeps as many pods as asked for. Follows pkg/controller/replicaset/replica_set.go.
 */
import type { Pod, ReplicaSet } from "../../api/types.generated.ts";
import { apiVersionOf } from "../../api/resources.ts";
import { controllerOf, keyOf, newControllerRef, splitKey } from "../../apimachinery/meta.ts";
import type { Draft, KubeObject } from "../../apimachinery/meta.ts";
import { labelSelector, matches } from "../../apimachinery/selectors.ts";
import type { Selector } from "../../apimachinery/selectors.ts";
import { isNamespaceTerminating, isNotFound } from "../../apimachinery/status.ts";
import { done, requeueAfter } from "../../client/controller.ts";
import type { Controller } from "../../client/controller.ts";
import { BY_OWNER } from "../../client/informer.ts";
import { isPodActive } from "../controller-context.ts";
import type { ControllerContext } from "../controller-context.ts";
import { createExpectations, EXPECTATIONS_TIMEOUT_MS } from "../expectations.ts";
import { planReplicas, replicaSetStatus, statusDiffers } from "./plan.ts";

/** The first batch of creations; each that succeeds whole is followed by one twice as large (SlowStartInitialBatchSize). */
const SLOW_START_INITIAL = 1;
/** Changes of pods are gathered for so long; a real server's answers take as much. */
const BATCH_MS = 10;

/** ReplicationControllers are the same but for their name and their selector. */
export function newReplicaSetController(
  context: ControllerContext, _settings?: unknown, resource: "replicaSets" = "replicaSets", component = "replicaset-controller",
  selectorOf = (rs: ReplicaSet): Selector => labelSelector(rs.spec.selector),
): Controller {
  const { client, clock, informers } = context;
  const replicaSets = informers.informer(resource);
  const pods = informers.informer("pods");
  const expectations = createExpectations(clock);
  const recorder = context.recorder(component);
  const { kind } = replicaSets.resource;
  const typed = (rs: ReplicaSet): KubeObject => ({ ...rs, kind, apiVersion: apiVersionOf(replicaSets.resource) });

  const ownerKey = (pod: Pod): string | undefined => {
    const ref = controllerOf(pod);
    if (ref?.kind !== kind) return undefined;
    const rs = replicaSets.get(pod.metadata.namespace!, ref.name);
    return rs?.metadata.uid === ref.uid ? keyOf(rs) : undefined;
  };

  /** Orphans whose labels fit are adopted, pods whose labels no longer fit are released. Follows PodControllerRefManager. */
  async function claimPods(rs: ReplicaSet, signal: AbortSignal): Promise<Pod[]> {
    const selector = selectorOf(rs);
    const claimed: Pod[] = [];
    const { uid, deletionTimestamp } = rs.metadata;
    const own = (pod: Pod, ref: object): Promise<Pod> =>
      client.pods.patch(pod.metadata.namespace!, pod.metadata.name, "strategic", { metadata: { uid: pod.metadata.uid, ownerReferences: [ref] } }, undefined, signal);
    for (const pod of pods.byIndex(BY_OWNER, uid)) {
      if (controllerOf(pod)?.uid !== uid || !isPodActive(pod)) continue;
      if (matches(selector, pod.metadata.labels)) claimed.push(pod);
      else if (deletionTimestamp === undefined) await own(pod, { $patch: "delete", uid });
    }
    if (deletionTimestamp !== undefined) return claimed;
    for (const pod of pods.byIndex(ORPHANS, rs.metadata.namespace!)) {
      if (!isPodActive(pod) || !matches(selector, pod.metadata.labels)) continue;
      try {
        claimed.push(await own(pod, newControllerRef(typed(rs))));
      } catch (e) {
        if (!isNotFound(e)) throw e;
      }
    }
    return claimed;
  }

  async function createPods(rs: ReplicaSet, key: string, count: number, signal: AbortSignal): Promise<unknown> {
    const draft = podFromTemplate(typed(rs) as KubeObject & ReplicaSet);
    expectations.expectCreations(key, count);
    let created = 0;
    let failure: unknown;
    for (let batch = SLOW_START_INITIAL; created < count && failure === undefined; batch *= 2) {
      const size = Math.min(batch, count - created);
      const results = await Promise.allSettled(Array.from({ length: size }, () => client.pods.create(draft, signal)));
      for (const result of results) {
        if (result.status === "fulfilled") recorder.event(typed(rs), "Normal", "SuccessfulCreate", `Created pod: ${result.value.metadata.name}`);
        else {
          expectations.creationObserved(key);
          failure ??= result.reason;
          if (!isNamespaceTerminating(result.reason)) recorder.event(typed(rs), "Warning", "FailedCreate", `Error creating: ${messageOf(result.reason)}`);
        }
      }
      created += size;
    }
    // What was not tried is not expected either.
    for (; created < count; created++) expectations.creationObserved(key);
    return failure;
  }

  async function deletePods(rs: ReplicaSet, key: string, victims: readonly Pod[], signal: AbortSignal): Promise<unknown> {
    expectations.expectDeletions(key, victims.map((pod) => pod.metadata.uid));
    let failure: unknown;
    await Promise.all(victims.map(async (pod) => {
      try {
        await client.pods.delete(pod.metadata.namespace!, pod.metadata.name, { preconditions: { uid: pod.metadata.uid } }, signal);
        recorder.event(typed(rs), "Normal", "SuccessfulDelete", `Deleted pod: ${pod.metadata.name}`);
      } catch (e) {
        expectations.deletionObserved(key, pod.metadata.uid);
        if (isNotFound(e)) return;
        failure ??= e;
        recorder.event(typed(rs), "Warning", "FailedDelete", `Error deleting: ${messageOf(e)}`);
      }
    }));
    return failure;
  }

  function relatedPods(rs: ReplicaSet): Pod[] {
    const owner = controllerOf(rs);
    const sets = owner === undefined ? [rs] : replicaSets.byIndex(BY_OWNER, owner.uid);
    return sets.flatMap((set) => pods.byIndex(BY_OWNER, set.metadata.uid).filter(isPodActive));
  }

  return {
    name: component,
    setup(queue) {
      pods.addIndex(ORPHANS, (pod) => (controllerOf(pod) === undefined && pod.metadata.namespace !== undefined ? [pod.metadata.namespace] : []));
      replicaSets.addHandler({
        add: (rs) => queue.add(keyOf(rs)),
        update: (rs, old) => {
          if (rs.metadata.uid !== old.metadata.uid) expectations.delete(keyOf(old));
          queue.add(keyOf(rs));
        },
        delete: (rs) => {
          expectations.delete(keyOf(rs));
          queue.add(keyOf(rs));
        },
      });
      // Many pods change at once: one visit sees to all of them.
      const soon = (key: string): void => queue.addAfter(key, BATCH_MS);
      pods.addHandler({
        add(pod) {
          const key = ownerKey(pod);
          if (key !== undefined) {
            if (pod.metadata.deletionTimestamp === undefined) expectations.creationObserved(key);
            else expectations.deletionObserved(key, pod.metadata.uid);
            soon(key);
          } else if (controllerOf(pod) === undefined) for (const rs of selecting(pod)) soon(keyOf(rs));
        },
        update(pod, old) {
          const key = ownerKey(pod);
          if (key !== undefined) {
            if (pod.metadata.deletionTimestamp === undefined) soon(key);
            else {
              expectations.deletionObserved(key, pod.metadata.uid);
              queue.add(key);
            }
          } else if (controllerOf(pod) === undefined) for (const rs of selecting(pod)) soon(keyOf(rs));
          const oldKey = ownerKey(old);
          if (oldKey !== undefined && oldKey !== key) soon(oldKey);
        },
        delete(pod) {
          const key = ownerKey(pod);
          if (key === undefined) return;
          expectations.deletionObserved(key, pod.metadata.uid);
          soon(key);
        },
      });
      const selecting = (pod: Pod): ReplicaSet[] => replicaSets.list(pod.metadata.namespace).filter((rs) => matches(selectorOf(rs), pod.metadata.labels));
    },

    async reconcile(key, signal) {
      const { namespace, name } = splitKey(key);
      const rs = replicaSets.get(namespace, name);
      if (rs === undefined) return done;
      const satisfied = expectations.satisfied(key);
      let active = await claimPods(rs, signal);
      let failure: unknown;
      let failed: { reason: string; message: string } | undefined;
      if (satisfied && rs.metadata.deletionTimestamp === undefined) {
        const plan = planReplicas(rs, active, active.length > (rs.spec.replicas ?? 1) ? relatedPods(rs) : [], clock.nowMs());
        if (plan.create > 0) failure = await createPods(rs, key, plan.create, signal);
        else if (plan.delete.length > 0) failure = await deletePods(rs, key, plan.delete, signal);
        if (failure !== undefined) failed = { reason: plan.create > 0 ? "FailedCreate" : "FailedDelete", message: messageOf(failure) };
      }
      active = active.filter(isPodActive);
      const status = replicaSetStatus(rs, active, failed, clock.nowMs());
      if (statusDiffers(rs, status)) await client[resource].updateStatus({ ...rs, status }, signal);
      if (failure !== undefined) throw failure;
      // Ready pods become available by the mere passing of time.
      if ((rs.spec.minReadySeconds ?? 0) > 0 && (status.readyReplicas ?? 0) === rs.spec.replicas && (status.availableReplicas ?? 0) !== rs.spec.replicas)
        return requeueAfter(rs.spec.minReadySeconds! * 1000);
      // What is waited for may have come and gone while nobody watched.
      return satisfied ? done : requeueAfter(EXPECTATIONS_TIMEOUT_MS + 1);
    },
  };
}

/** The index of pods without a controller, by namespace. */
const ORPHANS = "orphans";

const messageOf = (e: unknown): string => (e instanceof Error ? e.message : String(e));

/** Follows controller.GetPodFromTemplate. */
export function podFromTemplate(owner: KubeObject & ReplicaSet): Draft<Pod> {
  const { metadata, spec } = owner.spec.template;
  return {
    metadata: {
      generateName: `${owner.metadata.name}-`,
      namespace: owner.metadata.namespace,
      ...(metadata.labels === undefined ? {} : { labels: metadata.labels }),
      ...(metadata.annotations === undefined ? {} : { annotations: metadata.annotations }),
      ...(metadata.finalizers === undefined ? {} : { finalizers: metadata.finalizers }),
      ownerReferences: [newControllerRef(owner)],
    },
    spec,
  };
}
