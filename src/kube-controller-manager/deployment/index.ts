/**
 * The Deployment controller: rolls a template out over ReplicaSets. Follows
 * pkg/controller/deployment (deployment_controller.go, sync.go, rolling.go, recreate.go).
 */
import type { Deployment, DeploymentStatus, Pod, PodTemplateSpec, ReplicaSet } from "../../api/types.generated.ts";
import { apiVersionOf, RESOURCES } from "../../api/resources.ts";
import { controllerOf, deepEqual, keyOf, newControllerRef, splitKey } from "../../apimachinery/meta.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import { computeHash } from "../../apimachinery/names.ts";
import { labelSelector, matches } from "../../apimachinery/selectors.ts";
import { isAlreadyExists, isNotFound } from "../../apimachinery/status.ts";
import { done, requeueAfter } from "../../client/controller.ts";
import type { Controller, Result } from "../../client/controller.ts";
import { BY_OWNER } from "../../client/informer.ts";
import { isPodActive } from "../controller-context.ts";
import type { ControllerContext } from "../controller-context.ts";
import {
  annotationsForScale, copiedAnnotations, deploymentStatus, findNewReplicaSet, hasDeadline, isComplete, isScalingEvent, msToDeadline,
  newReplicas, planCleanup, planNew, planOld, planScale, REVISION, REVISION_HISTORY, revisionOf, rolloutStatus,
  TEMPLATE_HASH, withCondition,
} from "./plan.ts";
import type { Scale } from "./plan.ts";

/** `hash` names ReplicaSets by their template, `refused` tells of one that could not be made. */
export function newDeploymentController(
  context: ControllerContext, _settings?: unknown, hash: (template: PodTemplateSpec, collisionCount: number | undefined) => string = computeHash,
  refused?: (d: Deployment & KubeObject, name: string, why: unknown, signal: AbortSignal) => Promise<void>,
): Controller {
  const { client, clock, informers } = context;
  const deployments = informers.informer("deployments");
  const replicaSets = informers.informer("replicaSets");
  const pods = informers.informer("pods");
  const recorder = context.recorder("deployment-controller");
  const typed = (d: Deployment): KubeObject => ({ ...d, kind: "Deployment", apiVersion: apiVersionOf(RESOURCES.deployments) });

  const ownerKey = (rs: ReplicaSet): string | undefined => {
    const ref = controllerOf(rs);
    if (ref?.kind !== "Deployment") return undefined;
    const d = deployments.get(rs.metadata.namespace!, ref.name);
    return d?.metadata.uid === ref.uid ? keyOf(d) : undefined;
  };

  /** Its own ReplicaSets, orphans with fitting labels adopted. Follows getReplicaSetsForDeployment. */
  async function claim(d: Deployment, signal: AbortSignal): Promise<ReplicaSet[]> {
    const selector = labelSelector(d.spec.selector);
    const alive = d.metadata.deletionTimestamp === undefined;
    const own = (rs: ReplicaSet, ref: object): Promise<ReplicaSet> =>
      client.replicaSets.patch(rs.metadata.namespace!, rs.metadata.name, "strategic", { metadata: { uid: rs.metadata.uid, ownerReferences: [ref] } }, undefined, signal);
    const out: ReplicaSet[] = [];
    for (const rs of replicaSets.list(d.metadata.namespace)) {
      const uid = controllerOf(rs)?.uid;
      const fits = matches(selector, rs.metadata.labels);
      if (uid === d.metadata.uid) {
        if (fits) out.push(rs);
        else if (alive) await own(rs, { $patch: "delete", uid });
      } else if (uid === undefined && fits && alive && rs.metadata.deletionTimestamp === undefined) out.push(await own(rs, newControllerRef(typed(d))));
    }
    return out;
  }

  async function scale(d: Deployment, { rs, replicas }: Scale, signal: AbortSignal): Promise<ReplicaSet> {
    const from = rs.spec.replicas ?? 1;
    const annotations = { ...rs.metadata.annotations, ...annotationsForScale(d) };
    if (from === replicas && deepEqual(annotations, rs.metadata.annotations ?? {})) return rs;
    const updated = await client.replicaSets.update({ ...rs, metadata: { ...rs.metadata, annotations }, spec: { ...rs.spec, replicas } }, signal);
    if (from !== replicas) recorder.event(typed(d), "Normal", "ScalingReplicaSet", `Scaled ${from < replicas ? "up" : "down"} replica set ${rs.metadata.name} from ${from} to ${replicas}`);
    return updated;
  }

  /** The annotations a ReplicaSet of this revision has. Follows SetNewReplicaSetAnnotations. */
  function revisionAnnotations(d: Deployment, rs: ReplicaSet | undefined, revision: number): Record<string, string> {
    const annotations = { ...rs?.metadata.annotations, ...copiedAnnotations(d) };
    const had = rs === undefined ? 0 : revisionOf(rs);
    if (had < revision) {
      annotations[REVISION] = String(revision);
      if (had > 0) annotations[REVISION_HISTORY] = [annotations[REVISION_HISTORY], String(had)].filter((v) => v !== undefined && v !== "").join(",");
    }
    return annotations;
  }

  interface Sync {
    d: Deployment;
    newRS: ReplicaSet | undefined;
    old: ReplicaSet[];
  }

  /** Follows getAllReplicaSetsAndSyncRevision and getNewReplicaSet. */
  async function syncRevision(d: Deployment, sets: readonly ReplicaSet[], create: boolean, signal: AbortSignal): Promise<Sync> {
    let newRS = findNewReplicaSet(d, sets);
    const old = sets.filter((rs) => rs.metadata.uid !== newRS?.metadata.uid);
    const revision = Math.max(0, ...old.map(revisionOf)) + 1;
    if (newRS !== undefined) {
      const annotations = revisionAnnotations(d, newRS, revision);
      const minReadySeconds = d.spec.minReadySeconds ?? 0;
      if (!deepEqual(annotations, newRS.metadata.annotations ?? {}) || (newRS.spec.minReadySeconds ?? 0) !== minReadySeconds)
        newRS = await client.replicaSets.update({ ...newRS, metadata: { ...newRS.metadata, annotations }, spec: { ...newRS.spec, minReadySeconds } }, signal);
      d = await syncDeploymentRevision(d, newRS, "FoundNewReplicaSet", `Found new replica set "${newRS.metadata.name}"`, false, signal);
      return { d, newRS, old };
    }
    if (!create) return { d, newRS, old };
    const suffix = hash(d.spec.template, d.status.collisionCount);
    const name = `${d.metadata.name}-${suffix}`;
    const labels = { ...d.spec.template.metadata.labels, [TEMPLATE_HASH]: suffix };
    const spec = {
      replicas: newReplicas(d, old, 0),
      ...(d.spec.minReadySeconds === undefined ? {} : { minReadySeconds: d.spec.minReadySeconds }),
      selector: { ...d.spec.selector, matchLabels: { ...d.spec.selector.matchLabels, [TEMPLATE_HASH]: suffix } },
      template: { ...d.spec.template, metadata: { ...d.spec.template.metadata, labels } },
    };
    try {
      newRS = await client.replicaSets.create({
        metadata: {
          name, namespace: d.metadata.namespace, labels, ownerReferences: [newControllerRef(typed(d))],
          annotations: { ...revisionAnnotations(d, undefined, revision), ...annotationsForScale(d) },
        },
        spec,
      }, signal);
    } catch (e) {
      if (!isAlreadyExists(e)) {
        await refused?.(typed(d) as Deployment & KubeObject, name, e, signal);
        throw e;
      }
      // A ReplicaSet of that name with another template: the hash collided, and is computed anew. Otherwise it is ours,
      // and the cache was behind.
      const there = await client.replicaSets.get(d.metadata.namespace!, name, signal);
      if (controllerOf(there)?.uid !== d.metadata.uid || findNewReplicaSet(d, [there]) === undefined) {
        await client.deployments.updateStatus({ ...d, status: { ...d.status, collisionCount: (d.status.collisionCount ?? 0) + 1 } }, signal);
        throw e;
      }
      newRS = there;
    }
    if (spec.replicas > 0) recorder.event(typed(d), "Normal", "ScalingReplicaSet", `Scaled up replica set ${name} from 0 to ${spec.replicas}`);
    d = await syncDeploymentRevision(d, newRS, "NewReplicaSetCreated", `Created new replica set "${name}"`, true, signal);
    return { d, newRS, old };
  }

  /** The revision annotation of the Deployment, and its first Progressing condition. */
  async function syncDeploymentRevision(d: Deployment, newRS: ReplicaSet, reason: string, message: string, always: boolean, signal: AbortSignal): Promise<Deployment> {
    const revision = newRS.metadata.annotations?.[REVISION];
    const annotate = revision !== undefined && d.metadata.annotations?.[REVISION] !== revision;
    const metadata = annotate ? { ...d.metadata, annotations: { ...d.metadata.annotations, [REVISION]: revision } } : d.metadata;
    const conditions = d.status.conditions ?? [];
    const mark = hasDeadline(d) && (always || !conditions.some((c) => c.type === "Progressing"));
    const next = mark ? withCondition(conditions, "Progressing", "True", reason, message, clock.nowMs()) : conditions;
    if (!annotate && deepEqual(next, conditions)) return d;
    // Through the status, annotation included: that way the generation stays.
    return client.deployments.updateStatus({ ...d, metadata, status: { ...d.status, ...(next.length === 0 ? {} : { conditions: next }) } }, signal);
  }

  async function writeStatus(d: Deployment, status: DeploymentStatus, signal: AbortSignal): Promise<void> {
    if (!deepEqual(status, d.status)) await client.deployments.updateStatus({ ...d, status }, signal);
  }

  const all = ({ newRS, old }: Sync): ReplicaSet[] => (newRS === undefined ? old : [...old, newRS]);

  async function cleanup({ d, old }: Sync, signal: AbortSignal): Promise<void> {
    for (const rs of planCleanup(d, old)) {
      try {
        await client.replicaSets.delete(rs.metadata.namespace!, rs.metadata.name, { propagationPolicy: "Background" }, signal);
      } catch (e) {
        if (!isNotFound(e)) throw e;
      }
    }
  }

  /** Size changes and paused Deployments: no rollout. Follows sync. */
  async function syncSize(d: Deployment, sets: readonly ReplicaSet[], signal: AbortSignal): Promise<Result> {
    const state = await syncRevision(d, sets, false, signal);
    const scaled = new Map<string, ReplicaSet>();
    for (const step of planScale(state.d, state.newRS, state.old)) scaled.set(step.rs.metadata.uid, await scale(state.d, step, signal));
    const latest = (rs: ReplicaSet): ReplicaSet => scaled.get(rs.metadata.uid) ?? rs;
    const newRS = state.newRS === undefined ? undefined : latest(state.newRS);
    const old = state.old.map(latest);
    await writeStatus(state.d, deploymentStatus(state.d, newRS === undefined ? old : [...old, newRS], newRS, clock.nowMs()), signal);
    return done;
  }

  async function finish(state: Sync, signal: AbortSignal): Promise<Result> {
    if (isComplete(state.d, state.d.status)) await cleanup(state, signal);
    const status = rolloutStatus(state.d, all(state), state.newRS, clock.nowMs());
    await writeStatus(state.d, status, signal);
    // Visit again when the deadline passes, a second late as upstream does.
    const left = msToDeadline(state.d, status, clock.nowMs());
    return left === undefined || left <= 0 || isComplete(state.d, status) ? done : requeueAfter(left + 1000);
  }

  async function rollOut(d: Deployment, sets: readonly ReplicaSet[], signal: AbortSignal): Promise<Result> {
    const state = await syncRevision(d, sets, true, signal);
    const up = planNew(state.d, all(state), state.newRS!);
    if (up !== undefined) state.newRS = await scale(state.d, up, signal);
    else {
      const down = planOld(state.d, state.old, state.newRS);
      for (const step of down) {
        const updated = await scale(state.d, step, signal);
        state.old = state.old.map((rs) => (rs.metadata.uid === updated.metadata.uid ? updated : rs));
      }
    }
    return finish(state, signal);
  }

  /** Old pods go first, all of them. Follows rolloutRecreate. */
  async function recreate(d: Deployment, sets: readonly ReplicaSet[], signal: AbortSignal): Promise<Result> {
    let state = await syncRevision(d, sets, false, signal);
    const active = state.old.filter((rs) => (rs.spec.replicas ?? 1) > 0);
    for (const rs of active) {
      const updated = await scale(state.d, { rs, replicas: 0 }, signal);
      state.old = state.old.map((o) => (o.metadata.uid === updated.metadata.uid ? updated : o));
    }
    const running = (rs: ReplicaSet): readonly Pod[] => pods.byIndex(BY_OWNER, rs.metadata.uid).filter((pod) => isPodActive(pod) || (pod.status.phase !== "Succeeded" && pod.status.phase !== "Failed"));
    if (active.length > 0 || state.old.some((rs) => running(rs).length > 0)) return finish(state, signal);
    if (state.newRS === undefined) state = await syncRevision(state.d, sets, true, signal);
    const up = planNew(state.d, all(state), state.newRS!);
    if (up !== undefined) state.newRS = await scale(state.d, up, signal);
    return finish(state, signal);
  }

  return {
    name: "deployment-controller",
    setup(queue) {
      deployments.addHandler({
        add: (d) => queue.add(keyOf(d)),
        update: (d) => queue.add(keyOf(d)),
        delete: (d) => queue.add(keyOf(d)),
      });
      const onReplicaSet = (rs: ReplicaSet): void => {
        const key = ownerKey(rs);
        if (key !== undefined) queue.add(key);
        else if (controllerOf(rs) === undefined)
          for (const d of deployments.list(rs.metadata.namespace)) if (matches(labelSelector(d.spec.selector), rs.metadata.labels)) queue.add(keyOf(d));
      };
      replicaSets.addHandler({ add: onReplicaSet, update: onReplicaSet, delete: onReplicaSet });
      // The last pod of an old revision lets a Recreate go on.
      pods.addHandler({
        delete(pod) {
          const ref = controllerOf(pod);
          if (ref?.kind !== "ReplicaSet") return;
          const rs = replicaSets.get(pod.metadata.namespace!, ref.name);
          const key = rs === undefined ? undefined : ownerKey(rs);
          if (key === undefined) return;
          const d = deployments.getByKey(key);
          if (d?.spec.strategy.type === "Recreate") queue.add(key);
        },
      });
    },

    async reconcile(key, signal) {
      const { namespace, name } = splitKey(key);
      let d = deployments.get(namespace, name);
      if (d === undefined) return done;
      const sets = await claim(d, signal);
      if (d.metadata.deletionTimestamp !== undefined) {
        const newRS = findNewReplicaSet(d, sets);
        await writeStatus(d, deploymentStatus(d, sets, newRS, clock.nowMs()), signal);
        return done;
      }
      d = await checkPaused(d, signal);
      if (d.spec.paused === true || isScalingEvent(d, sets)) return syncSize(d, sets, signal);
      return d.spec.strategy.type === "Recreate" ? recreate(d, sets, signal) : rollOut(d, sets, signal);
    },
  };

  /** Follows checkPausedConditions. */
  async function checkPaused(d: Deployment, signal: AbortSignal): Promise<Deployment> {
    if (!hasDeadline(d)) return d;
    const conditions = d.status.conditions ?? [];
    const current = conditions.find((c) => c.type === "Progressing");
    if (current?.reason === "ProgressDeadlineExceeded") return d;
    const paused = current?.reason === "DeploymentPaused";
    if ((d.spec.paused === true) === paused) return d;
    const next = d.spec.paused === true
      ? withCondition(conditions, "Progressing", "Unknown", "DeploymentPaused", "Deployment is paused", clock.nowMs())
      : withCondition(conditions, "Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed", clock.nowMs());
    return client.deployments.updateStatus({ ...d, status: { ...d.status, conditions: next } }, signal);
  }
}
