/**
 * What a ReplicaSet needs: how many pods to create, which to delete, and what its status is. Pure.
 * Follows pkg/controller/replicaset/replica_set.go (manageReplicas, getPodsToDelete) and replica_set_utils.go.
 */
import type { Pod, ReplicaSet, ReplicaSetCondition, ReplicaSetStatus } from "../../api/types.generated.ts";
import { deepEqual } from "../../apimachinery/meta.ts";
import { formatTime, parseTime } from "../../apimachinery/time.ts";
import { isPodAvailable, isPodReady, readyCondition } from "../controller-context.ts";

/** At most so many pods are created or deleted in one pass (BurstReplicas). */
export const BURST_REPLICAS = 500;

export interface ReplicaPlan {
  create: number;
  delete: readonly Pod[];
}

/** `active` are the pods of this set, `related` those of all sets of the same owner. */
export function planReplicas(rs: ReplicaSet, active: readonly Pod[], related: readonly Pod[], nowMs: number): ReplicaPlan {
  const diff = active.length - (rs.spec.replicas ?? 1);
  if (diff < 0) return { create: Math.min(-diff, BURST_REPLICAS), delete: [] };
  if (diff === 0) return { create: 0, delete: [] };
  return { create: 0, delete: podsToDelete(active, related, Math.min(diff, BURST_REPLICAS), nowMs) };
}

/** The first `count` in deletion order. Follows ActivePodsWithRanks. */
export function podsToDelete(pods: readonly Pod[], related: readonly Pod[], count: number, nowMs: number): Pod[] {
  if (count >= pods.length) return [...pods];
  const onNode = new Map<string, number>();
  for (const pod of related) if (pod.spec.nodeName !== undefined) onNode.set(pod.spec.nodeName, (onNode.get(pod.spec.nodeName) ?? 0) + 1);
  const ranked = pods.map((pod) => ({ pod, rank: onNode.get(pod.spec.nodeName ?? "") ?? 0 }));
  ranked.sort((a, b) => deletionOrder(a.pod, b.pod, a.rank, b.rank, nowMs));
  return ranked.slice(0, count).map(({ pod }) => pod);
}

const PHASES: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 };

/** Negative when `a` goes first. */
function deletionOrder(a: Pod, b: Pod, rankA: number, rankB: number, nowMs: number): number {
  // 1. unassigned before assigned
  const assigned = Number(a.spec.nodeName !== undefined) - Number(b.spec.nodeName !== undefined);
  if (assigned !== 0) return assigned;
  // 2. pending before unknown before running
  const phase = (PHASES[a.status.phase ?? ""] ?? 0) - (PHASES[b.status.phase ?? ""] ?? 0);
  if (phase !== 0) return phase;
  // 3. not ready before ready
  const ready = Number(isPodReady(a)) - Number(isPodReady(b));
  if (ready !== 0) return ready;
  // 4. lower deletion cost first
  const cost = deletionCost(a) - deletionCost(b);
  if (cost !== 0) return cost;
  // 5. where more pods of the owner are
  if (rankA !== rankB) return rankB - rankA;
  // 6. ready for a shorter time, in powers of two
  if (isPodReady(a) && isPodReady(b)) {
    const since = byAge(parseTime(readyCondition(a)?.lastTransitionTime ?? ""), parseTime(readyCondition(b)?.lastTransitionTime ?? ""), nowMs, a, b);
    if (since !== 0) return since;
  }
  // 7. more restarts first
  const restarts = maxRestarts(b) - maxRestarts(a);
  if (restarts !== 0) return restarts;
  // 8. younger first
  return byAge(parseTime(a.metadata.creationTimestamp), parseTime(b.metadata.creationTimestamp), nowMs, a, b);
}

/** LogarithmicScaleDown: ages within the same power of two seconds are alike, and the uid decides. */
function byAge(a: number | undefined, b: number | undefined, nowMs: number, podA: Pod, podB: Pod): number {
  if (a === b) return 0;
  if (a === undefined) return -1;
  if (b === undefined) return 1;
  const rank = (ms: number): number => (ms <= 0 ? 0 : Math.clz32(1) - Math.clz32(Math.max(1, Math.floor(ms / 1000))));
  const difference = rank(nowMs - a) - rank(nowMs - b);
  if (difference !== 0) return difference;
  return podA.metadata.uid < podB.metadata.uid ? -1 : 1;
}

function deletionCost(pod: Pod): number {
  const text = pod.metadata.annotations?.["controller.kubernetes.io/pod-deletion-cost"];
  return text !== undefined && /^-?\d+$/.test(text) ? Number(text) : 0;
}

function maxRestarts(pod: Pod): number {
  return Math.max(0, ...(pod.status.containerStatuses ?? []).map((c) => c.restartCount));
}

/** Follows calculateStatus. `failure` is what went wrong in this pass. */
export function replicaSetStatus(rs: ReplicaSet, active: readonly Pod[], failure: { reason: string; message: string } | undefined, nowMs: number): ReplicaSetStatus {
  const labels = rs.spec.template.metadata.labels ?? {};
  let fullyLabeled = 0;
  let ready = 0;
  let available = 0;
  for (const pod of active) {
    if (Object.keys(labels).every((key) => pod.metadata.labels?.[key] === labels[key])) fullyLabeled++;
    if (!isPodReady(pod)) continue;
    ready++;
    if (isPodAvailable(pod, rs.spec.minReadySeconds ?? 0, nowMs)) available++;
  }
  const conditions = (rs.status.conditions ?? []).filter((c) => c.type !== "ReplicaFailure");
  if (failure !== undefined) {
    const existing = rs.status.conditions?.find((c) => c.type === "ReplicaFailure");
    const condition: ReplicaSetCondition = existing?.reason === failure.reason && existing.status === "True" ? existing
      : { type: "ReplicaFailure", status: "True", reason: failure.reason, message: failure.message, lastTransitionTime: formatTime(nowMs) };
    conditions.push(condition);
  }
  return {
    replicas: active.length,
    ...(fullyLabeled === 0 ? {} : { fullyLabeledReplicas: fullyLabeled }),
    ...(ready === 0 ? {} : { readyReplicas: ready }),
    ...(available === 0 ? {} : { availableReplicas: available }),
    ...(rs.metadata.generation === undefined ? {} : { observedGeneration: rs.metadata.generation }),
    ...(conditions.length === 0 ? {} : { conditions }),
  };
}

/** Whether the status needs writing. */
export function statusDiffers(rs: ReplicaSet, status: ReplicaSetStatus): boolean {
  return !deepEqual(rs.status, status);
}
