/**
 * The arithmetic of rollouts. Pure. Follows pkg/controller/deployment/util/deployment_util.go, rolling.go, sync.go
 * and progress.go.
 */
import type { Deployment, DeploymentCondition, DeploymentStatus, PodTemplateSpec, ReplicaSet } from "../../api/types.generated.ts";
import { deepEqual } from "../../apimachinery/meta.ts";
import { formatTime, parseTime } from "../../apimachinery/time.ts";

export const REVISION = "deployment.kubernetes.io/revision";
export const REVISION_HISTORY = "deployment.kubernetes.io/revision-history";
export const DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas";
export const MAX_REPLICAS = "deployment.kubernetes.io/max-replicas";
export const TEMPLATE_HASH = "pod-template-hash";

const replicasOf = (rs: ReplicaSet): number => rs.spec.replicas ?? 1;
const desiredOf = (d: Deployment): number => d.spec.replicas ?? 1;
const sum = (list: readonly ReplicaSet[], of: (rs: ReplicaSet) => number): number => list.reduce((total, rs) => total + of(rs), 0);

/** Follows intstr.GetScaledValueFromIntOrPercent. */
function scaled(value: number | string | undefined, total: number, roundUp: boolean): number {
  if (value === undefined) return 0;
  if (typeof value === "number") return value;
  const percent = Number.parseInt(value, 10);
  return roundUp ? Math.ceil((percent * total) / 100) : Math.floor((percent * total) / 100);
}

/** Surge and unavailability in pods. Follows ResolveFenceposts: they are never both zero. */
export function fenceposts(d: Deployment): { maxSurge: number; maxUnavailable: number } {
  const desired = desiredOf(d);
  const { type, rollingUpdate } = d.spec.strategy;
  if (type === "Recreate") return { maxSurge: 0, maxUnavailable: 0 };
  const maxSurge = scaled(rollingUpdate?.maxSurge, desired, true);
  let maxUnavailable = scaled(rollingUpdate?.maxUnavailable, desired, false);
  if (maxSurge === 0 && maxUnavailable === 0) maxUnavailable = 1;
  return { maxSurge, maxUnavailable };
}

/** Follows MaxUnavailable: for the Available condition. */
export function maxUnavailable(d: Deployment): number {
  if (d.spec.strategy.type !== "RollingUpdate" || desiredOf(d) === 0) return 0;
  return Math.min(fenceposts(d).maxUnavailable, desiredOf(d));
}

/** Equal but for the hash label. Follows EqualIgnoreHash. */
export function sameTemplate(a: PodTemplateSpec, b: PodTemplateSpec): boolean {
  const plain = (t: PodTemplateSpec): unknown => {
    const { [TEMPLATE_HASH]: _hash, ...labels } = t.metadata.labels ?? {};
    const { labels: _labels, ...metadata } = t.metadata;
    return { ...t, metadata: { ...metadata, labels } };
  };
  return deepEqual(plain(a), plain(b));
}

const byCreation = (a: ReplicaSet, b: ReplicaSet): number => {
  const [x, y] = [a.metadata.creationTimestamp, b.metadata.creationTimestamp];
  if (x !== y) return x < y ? -1 : 1;
  return a.metadata.name < b.metadata.name ? -1 : 1;
};

/** The oldest ReplicaSet with this template. Follows FindNewReplicaSet. */
export function findNewReplicaSet(d: Deployment, sets: readonly ReplicaSet[]): ReplicaSet | undefined {
  return [...sets].sort(byCreation).find((rs) => sameTemplate(rs.spec.template, d.spec.template));
}

export function revisionOf(object: { metadata: { annotations?: Record<string, string> | undefined } }): number {
  const text = object.metadata.annotations?.[REVISION];
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : 0;
}

/** The replicas that the new ReplicaSet may have now. Follows NewRSNewReplicas. */
export function newReplicas(d: Deployment, all: readonly ReplicaSet[], current: number): number {
  if (d.spec.strategy.type !== "RollingUpdate") return desiredOf(d);
  const total = sum(all, replicasOf);
  const most = desiredOf(d) + fenceposts(d).maxSurge;
  if (total >= most) return current;
  return current + Math.min(most - total, desiredOf(d) - current);
}

export interface Scale {
  rs: ReplicaSet;
  replicas: number;
}

/** Follows reconcileNewReplicaSet. Undefined when it has what it may have. */
export function planNew(d: Deployment, all: readonly ReplicaSet[], newRS: ReplicaSet): Scale | undefined {
  const current = replicasOf(newRS);
  if (current === desiredOf(d)) return undefined;
  const replicas = current > desiredOf(d) ? desiredOf(d) : newReplicas(d, all, current);
  return replicas === current ? undefined : { rs: newRS, replicas };
}

/** Which old ReplicaSets shrink now. Follows reconcileOldReplicaSets: unhealthy pods first, then within availability. */
export function planOld(d: Deployment, old: readonly ReplicaSet[], newRS: ReplicaSet | undefined): Scale[] {
  const active = old.filter((rs) => replicasOf(rs) > 0);
  if (active.length === 0) return [];
  const all = newRS === undefined ? active : [...active, newRS];
  const minAvailable = desiredOf(d) - maxUnavailable(d);
  const newUnavailable = newRS === undefined ? 0 : replicasOf(newRS) - (newRS.status.availableReplicas ?? 0);
  let budget = sum(all, replicasOf) - minAvailable - newUnavailable;
  if (budget <= 0) return [];
  const planned = new Map<ReplicaSet, number>(active.map((rs) => [rs, replicasOf(rs)]));
  const ordered = [...active].sort(byCreation);
  for (const rs of ordered) {
    if (budget <= 0) break;
    const unhealthy = replicasOf(rs) - (rs.status.availableReplicas ?? 0);
    if (unhealthy <= 0) continue;
    const down = Math.min(budget, unhealthy);
    planned.set(rs, planned.get(rs)! - down);
    budget -= down;
  }
  const available = sum(all, (rs) => rs.status.availableReplicas ?? 0);
  let spare = available - minAvailable;
  for (const rs of ordered) {
    if (spare <= 0) break;
    const left = planned.get(rs)!;
    if (left === 0) continue;
    const down = Math.min(left, spare);
    planned.set(rs, left - down);
    spare -= down;
  }
  return ordered.filter((rs) => planned.get(rs) !== replicasOf(rs)).map((rs) => ({ rs, replicas: planned.get(rs)! }));
}

/** Whether only the number of replicas changed. Follows isScalingEvent. */
export function isScalingEvent(d: Deployment, all: readonly ReplicaSet[]): boolean {
  return all.some((rs) => {
    const desired = rs.metadata.annotations?.[DESIRED_REPLICAS];
    return replicasOf(rs) > 0 && desired !== undefined && Number(desired) !== desiredOf(d);
  });
}

/** How a change of size is shared out. Follows scale in sync.go. */
export function planScale(d: Deployment, newRS: ReplicaSet | undefined, old: readonly ReplicaSet[]): Scale[] {
  const all = newRS === undefined ? [...old] : [...old, newRS];
  const active = all.filter((rs) => replicasOf(rs) > 0);
  if (active.length <= 1) {
    const latest = active[0] ?? newRS ?? [...old].sort(byCreation).at(-1);
    return latest === undefined || replicasOf(latest) === desiredOf(d) ? [] : [{ rs: latest, replicas: desiredOf(d) }];
  }
  if (newRS !== undefined && isSaturated(d, newRS)) return old.filter((rs) => replicasOf(rs) > 0).map((rs) => ({ rs, replicas: 0 }));
  if (d.spec.strategy.type !== "RollingUpdate") return [];
  const current = sum(active, replicasOf);
  const allowed = desiredOf(d) > 0 ? desiredOf(d) + fenceposts(d).maxSurge : 0;
  const toAdd = allowed - current;
  // The largest first; among equals the newest when growing, the oldest when shrinking.
  const ordered = [...active].sort((a, b) => {
    if (replicasOf(a) !== replicasOf(b)) return replicasOf(b) - replicasOf(a);
    return toAdd > 0 ? byCreation(b, a) : byCreation(a, b);
  });
  let added = 0;
  const sizes = new Map<ReplicaSet, number>();
  for (const rs of ordered) {
    const share = toAdd === 0 ? 0 : proportion(rs, d, toAdd, added);
    sizes.set(rs, replicasOf(rs) + share);
    added += share;
  }
  if (toAdd !== 0) {
    const first = ordered[0]!;
    sizes.set(first, Math.max(0, sizes.get(first)! + toAdd - added));
  }
  // Every active set is visited, so that all learn the new desired size.
  return ordered.map((rs) => ({ rs, replicas: sizes.get(rs)! }));
}

/** Follows IsSaturated: it has all the replicas, and they are available. */
function isSaturated(d: Deployment, rs: ReplicaSet): boolean {
  return replicasOf(rs) === desiredOf(d) && Number(rs.metadata.annotations?.[DESIRED_REPLICAS] ?? NaN) === desiredOf(d) && (rs.status.availableReplicas ?? 0) === desiredOf(d);
}

/** Follows GetReplicaSetProportion and getReplicaSetFraction. */
function proportion(rs: ReplicaSet, d: Deployment, toAdd: number, added: number): number {
  if (replicasOf(rs) === 0 || toAdd === added) return 0;
  let fraction: number;
  if (desiredOf(d) === 0) fraction = -replicasOf(rs);
  else {
    const annotated = Number(rs.metadata.annotations?.[MAX_REPLICAS] ?? d.status.replicas ?? 0);
    if (annotated === 0) return 0;
    fraction = Math.round((replicasOf(rs) * (desiredOf(d) + fenceposts(d).maxSurge)) / annotated) - replicasOf(rs);
  }
  const allowed = toAdd - added;
  return toAdd > 0 ? Math.min(fraction, allowed) : Math.max(fraction, allowed);
}

export function annotationsForScale(d: Deployment): Record<string, string> {
  return { [DESIRED_REPLICAS]: String(desiredOf(d)), [MAX_REPLICAS]: String(desiredOf(d) + fenceposts(d).maxSurge) };
}

/** Annotations of the Deployment that its ReplicaSets carry, too. Follows skipCopyAnnotation. */
export function copiedAnnotations(d: Deployment): Record<string, string> {
  const skipped = new Set(["kubectl.kubernetes.io/last-applied-configuration", REVISION, REVISION_HISTORY, DESIRED_REPLICAS, MAX_REPLICAS, "deprecated.deployment.rollback.to"]);
  return Object.fromEntries(Object.entries(d.metadata.annotations ?? {}).filter(([key]) => !skipped.has(key)));
}

/** Old ReplicaSets beyond the history limit, oldest first. Follows cleanupDeployment. */
export function planCleanup(d: Deployment, old: readonly ReplicaSet[]): ReplicaSet[] {
  const limit = d.spec.revisionHistoryLimit ?? 10;
  const candidates = old.filter((rs) => rs.metadata.deletionTimestamp === undefined);
  const excess = candidates.length - limit;
  if (excess <= 0) return [];
  return [...candidates].sort((a, b) => revisionOf(a) - revisionOf(b) || byCreation(a, b)).slice(0, excess).filter((rs) =>
    (rs.status.replicas ?? 0) === 0 && replicasOf(rs) === 0 && (rs.metadata.generation ?? 0) <= (rs.status.observedGeneration ?? 0));
}

/** Follows DeploymentComplete. */
export function isComplete(d: Deployment, status: DeploymentStatus): boolean {
  const desired = desiredOf(d);
  return (status.updatedReplicas ?? 0) === desired && (status.replicas ?? 0) === desired && (status.availableReplicas ?? 0) === desired &&
    (status.observedGeneration ?? 0) >= (d.metadata.generation ?? 0);
}

function isProgressing(d: Deployment, status: DeploymentStatus): boolean {
  const was = d.status;
  const oldPods = (s: DeploymentStatus): number => (s.replicas ?? 0) - (s.updatedReplicas ?? 0);
  return (status.updatedReplicas ?? 0) > (was.updatedReplicas ?? 0) || oldPods(status) < oldPods(was) ||
    (status.readyReplicas ?? 0) > (was.readyReplicas ?? 0) || (status.availableReplicas ?? 0) > (was.availableReplicas ?? 0);
}

/** Milliseconds until the progress deadline, undefined when none is running. Follows DeploymentTimedOut. */
export function msToDeadline(d: Deployment, status: DeploymentStatus, nowMs: number): number | undefined {
  if (!hasDeadline(d)) return undefined;
  const condition = status.conditions?.find((c) => c.type === "Progressing");
  if (condition === undefined || condition.reason === "NewReplicaSetAvailable" || condition.reason === "DeploymentPaused") return undefined;
  const since = parseTime(condition.lastUpdateTime ?? "");
  return since === undefined ? undefined : since + d.spec.progressDeadlineSeconds! * 1000 - nowMs;
}

/** The same condition is kept with its times; a new reason gets the present one. Follows SetDeploymentCondition. */
export function withCondition(conditions: readonly DeploymentCondition[], type: string, status: string, reason: string, message: string, nowMs: number): DeploymentCondition[] {
  const current = conditions.find((c) => c.type === type);
  if (current !== undefined && current.status === status && current.reason === reason) return [...conditions];
  const time = formatTime(nowMs);
  const lastTransitionTime = current?.status === status ? current.lastTransitionTime : time;
  return [...conditions.filter((c) => c.type !== type), { type, status, lastUpdateTime: time, lastTransitionTime, reason, message }];
}

/** Follows calculateStatus. */
export function deploymentStatus(d: Deployment, all: readonly ReplicaSet[], newRS: ReplicaSet | undefined, nowMs: number): DeploymentStatus {
  const available = sum(all, (rs) => rs.status.availableReplicas ?? 0);
  const ready = sum(all, (rs) => rs.status.readyReplicas ?? 0);
  const replicas = sum(all, (rs) => rs.status.replicas ?? 0);
  const unavailable = Math.max(0, sum(all, replicasOf) - available);
  const updated = newRS?.status.replicas ?? 0;
  const enough = available >= desiredOf(d) - maxUnavailable(d);
  const conditions = withCondition(d.status.conditions ?? [], "Available", enough ? "True" : "False",
    enough ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable",
    enough ? "Deployment has minimum availability." : "Deployment does not have minimum availability.", nowMs);
  return {
    ...(d.metadata.generation === undefined ? {} : { observedGeneration: d.metadata.generation }),
    ...(replicas === 0 ? {} : { replicas }),
    ...(updated === 0 ? {} : { updatedReplicas: updated }),
    ...(ready === 0 ? {} : { readyReplicas: ready }),
    ...(available === 0 ? {} : { availableReplicas: available }),
    ...(unavailable === 0 ? {} : { unavailableReplicas: unavailable }),
    ...(d.status.collisionCount === undefined ? {} : { collisionCount: d.status.collisionCount }),
    conditions,
  };
}

/** Infinity is written as the largest int32. Follows HasProgressDeadline. */
export const hasDeadline = ({ spec: { progressDeadlineSeconds: seconds } }: Deployment): boolean => seconds !== undefined && seconds !== 2147483647;

/** The ReplicaFailure of the first ReplicaSet that has one, as the Deployment's. Follows getReplicaFailures. */
function withFailure(conditions: readonly DeploymentCondition[], sets: readonly ReplicaSet[]): DeploymentCondition[] {
  const type = "ReplicaFailure";
  for (const { status } of sets) {
    const failure = status.conditions?.find((c) => c.type === type);
    if (failure === undefined) continue;
    const same = conditions.some((c) => c.type === type && c.status === failure.status && c.reason === failure.reason);
    return same ? [...conditions] : [...conditions.filter((c) => c.type !== type), { ...failure, lastUpdateTime: failure.lastTransitionTime }];
  }
  return conditions.filter((c) => c.type !== type);
}

/** The status with its Progressing condition. Follows syncRolloutStatus. */
export function rolloutStatus(d: Deployment, all: readonly ReplicaSet[], newRS: ReplicaSet | undefined, nowMs: number): DeploymentStatus {
  const status = deploymentStatus(d, all, newRS, nowMs);
  let conditions = withFailure(status.conditions!, newRS === undefined ? all : [newRS, ...all]);
  if (!hasDeadline(d)) return { ...status, conditions: conditions.filter((c) => c.type !== "Progressing") };
  const current = conditions.find((c) => c.type === "Progressing");
  const settled = (status.replicas ?? 0) === (status.updatedReplicas ?? 0) && current?.reason === "NewReplicaSetAvailable";
  if (settled) return { ...status, conditions };
  const subject = newRS === undefined ? `Deployment "${d.metadata.name}"` : `ReplicaSet "${newRS.metadata.name}"`;
  if (isComplete(d, status)) conditions = withCondition(conditions, "Progressing", "True", "NewReplicaSetAvailable", `${subject} has successfully progressed.`, nowMs);
  else if (isProgressing(d, status)) {
    // Progress renews the deadline, even when the reason stays.
    const time = formatTime(nowMs);
    const lastTransitionTime = current?.status === "True" ? current.lastTransitionTime : time;
    conditions = [...conditions.filter((c) => c.type !== "Progressing"),
      { type: "Progressing", status: "True", lastUpdateTime: time, lastTransitionTime, reason: "ReplicaSetUpdated", message: `${subject} is progressing.` }];
  } else if ((msToDeadline(d, status, nowMs) ?? 1) <= 0)
    conditions = withCondition(conditions, "Progressing", "False", "ProgressDeadlineExceeded", `${subject} has timed out progressing.`, nowMs);
  return { ...status, conditions };
}
