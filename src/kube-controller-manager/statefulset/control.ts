/**
 * One pass over a StatefulSet: pods in order of their ordinals, revisions, the rolling update, the status.
 * Follows pkg/controller/statefulset/stateful_set_control.go.
 */
import type { ControllerRevision, Pod, StatefulSet, StatefulSetStatus } from "../../api/types.generated.ts";
import type { Draft } from "../../apimachinery/meta.ts";
import { isNotFound } from "../../apimachinery/status.ts";
import type { Client } from "../../client/client.ts";
import type { Clock } from "../../time/clock.ts";
import { slowStartBatch, updateStatus } from "../controller-utils.ts";
import { createRevision, deleteRevision, equalData, nextRevision, renumberRevision, sortRevisions, templateOf, templatePatch } from "../history/index.ts";
import {
  identityMatches, inOrdinalRange, isAvailable, isCreated, isCurrentRevisionNeeded, isHealthy, isRunningAndReady, isTerminating, newPod, ordinalOf,
  replicasOf, revisionOf, startOrdinal, storageMatches,
} from "./identity.ts";
import type { TypedSet } from "./identity.ts";
import type { StatefulPodControl } from "./pod-control.ts";

interface Revisions {
  current: ControllerRevision;
  update: ControllerRevision;
  collisionCount: number;
}

/** Brings the set closer to its spec and writes its status, which is returned. Follows UpdateStatefulSet. */
export async function updateStatefulSet(client: Client, control: StatefulPodControl, clock: Clock, set: TypedSet, pods: readonly Pod[], history: readonly ControllerRevision[], signal: AbortSignal): Promise<StatefulSetStatus> {
  const sorted = sortRevisions(history);
  const revisions = await syncRevisions(client, set, sorted, signal);
  const pass = new Pass(control, clock, set, revisions, signal);
  let failure: unknown;
  try {
    await pass.run(pods);
  } catch (e) {
    failure = e;
  }
  const status = completed(set, pass.status);
  if (differs(set, status)) await updateStatus(client.statefulSets, set, status, signal);
  await truncateHistory(client, set, pods, sorted, revisions, signal);
  if (failure !== undefined) throw failure;
  return status;
}

/** Finds or makes the revision of the template. Follows getStatefulSetRevisions. */
async function syncRevisions(client: Client, set: TypedSet, sorted: readonly ControllerRevision[], signal: AbortSignal): Promise<Revisions> {
  const data = templatePatch(set.spec.template);
  const number = nextRevision(sorted);
  let collisionCount = set.status.collisionCount ?? 0;
  const equal = sorted.filter((revision) => equalData(revision.data, data)).at(-1);
  let update: ControllerRevision;
  if (equal !== undefined) update = equal === sorted.at(-1) ? equal : await renumberRevision(client.controllerRevisions, equal, number, signal);
  else {
    const { labels } = set.spec.template.metadata;
    const made = await createRevision(client.controllerRevisions, set, { data, revision: number, labels, annotations: set.metadata.annotations }, collisionCount, signal);
    update = made.revision;
    collisionCount = made.collisionCount;
  }
  const current = sorted.find(({ metadata }) => metadata.name === set.status.currentRevision) ?? update;
  return { current, update, collisionCount };
}

/** What is found and done in one pass; `status` tells of it also when the pass fails half way. */
class Pass {
  status: StatefulSetStatus;
  private readonly control: StatefulPodControl;
  private readonly clock: Clock;
  private readonly set: TypedSet;
  private readonly revisions: Revisions;
  private readonly signal: AbortSignal;
  /** One at a time, in order; Parallel is not. */
  private readonly monotonic: boolean;

  constructor(control: StatefulPodControl, clock: Clock, set: TypedSet, revisions: Revisions, signal: AbortSignal) {
    this.control = control;
    this.clock = clock;
    this.set = set;
    this.revisions = revisions;
    this.signal = signal;
    this.monotonic = set.spec.podManagementPolicy !== "Parallel";
    this.status = { replicas: 0 };
  }

  async run(pods: readonly Pod[]): Promise<void> {
    const { set, revisions } = this;
    this.count(pods);
    const start = startOrdinal(set);
    const replicas: Draft<Pod>[] = new Array<Draft<Pod>>(replicasOf(set));
    const condemned: Pod[] = [];
    for (const pod of pods) {
      if (inOrdinalRange(pod, set)) replicas[ordinalOf(pod) - start] = pod;
      else if (ordinalOf(pod) >= 0) condemned.push(pod);
    }
    // The template of a revision is read only when a pod is missing.
    for (let i = 0; i < replicas.length; i++) {
      if (replicas[i] !== undefined) continue;
      const revision = isCurrentRevisionNeeded(set, start + i) ? revisions.current : revisions.update;
      replicas[i] = newPod(set, templateOf(revision), revision.metadata.name, start + i);
    }
    condemned.sort((a, b) => ordinalOf(b) - ordinalOf(a));
    if (isTerminating(set)) return;
    const firstUnhealthy = replicas.find((pod) => !isHealthy(pod)) ?? [...condemned].reverse().find((pod) => !isHealthy(pod));
    try {
      if (await this.forAll(replicas.length, (i) => this.processReplica(replicas, i))) return;
      if (await this.forAll(condemned.length, (i) => this.fixClaims(condemned[i]!))) return;
      if (await this.forAll(condemned.length, (i) => this.processCondemned(condemned[i]!, firstUnhealthy))) return;
    } finally {
      this.count(replicas, condemned);
    }
    if (set.spec.updateStrategy.type !== "OnDelete") await this.rollOut(replicas);
  }

  /** Follows updateStatus and computeReplicaStatus. */
  private count(...lists: readonly (readonly Draft<Pod>[])[]): void {
    const { set, revisions: { current, update, collisionCount } } = this;
    const minReadySeconds = set.spec.minReadySeconds ?? 0;
    const now = this.clock.nowMs();
    const counts = { replicas: 0, readyReplicas: 0, availableReplicas: 0, currentReplicas: 0, updatedReplicas: 0 };
    for (const list of lists) {
      for (const pod of list) {
        if (!isCreated(pod)) continue;
        counts.replicas++;
        if (isRunningAndReady(pod)) {
          counts.readyReplicas++;
          if (isAvailable(pod, minReadySeconds, now)) counts.availableReplicas++;
        }
        if (isTerminating(pod)) continue;
        if (revisionOf(pod) === current.metadata.name) counts.currentReplicas++;
        if (revisionOf(pod) === update.metadata.name) counts.updatedReplicas++;
      }
    }
    this.status = {
      observedGeneration: set.metadata.generation, ...counts, currentRevision: current.metadata.name, updateRevision: update.metadata.name, collisionCount,
      ...(set.status.conditions === undefined ? {} : { conditions: set.status.conditions }),
    };
  }

  /** True where a step says that the pass ends. Follows runForAll. */
  private async forAll(count: number, step: (index: number) => Promise<boolean>): Promise<boolean> {
    if (this.monotonic) {
      for (let i = 0; i < count; i++) if (await step(i)) return true;
      return false;
    }
    const { error } = await slowStartBatch(count, step);
    if (error !== undefined) throw error;
    return false;
  }

  private async processReplica(replicas: Draft<Pod>[], i: number): Promise<boolean> {
    const { control, set, signal, monotonic } = this;
    let pod = replicas[i]!;
    if (isCreated(pod) && (pod.status.phase === "Failed" || pod.status.phase === "Succeeded")) {
      // Its successor is made when it is gone.
      if (!isTerminating(pod)) await control.delete(set, pod, signal);
      return true;
    }
    if (!isCreated(pod)) {
      if (control.isClaimStale(set, pod)) return true;
      const created = await control.create(set, pod, signal);
      // The status tells of what the cache shows; the new pod comes into it with its own event.
      if (monotonic) return true;
      pod = created;
    } else if (pod.status.phase === "Pending") await control.createMissingClaims(set, pod, signal);
    if (monotonic && (isTerminating(pod as Pod) || !isRunningAndReady(pod) || !isAvailable(pod, set.spec.minReadySeconds ?? 0, this.clock.nowMs()))) return true;
    const live = pod as Pod;
    if (identityMatches(set, live) && storageMatches(set, live) && control.claimsMatchRetentionPolicy(set, live)) return false;
    await control.update(set, live, signal);
    return false;
  }

  private async fixClaims(pod: Pod): Promise<boolean> {
    if (!this.control.claimsMatchRetentionPolicy(this.set, pod)) await this.control.updateClaimsForRetentionPolicy(this.set, pod, this.signal);
    return false;
  }

  private async processCondemned(pod: Pod, firstUnhealthy: Draft<Pod> | undefined): Promise<boolean> {
    if (isTerminating(pod)) return this.monotonic;
    if (this.monotonic && pod !== firstUnhealthy && (!isRunningAndReady(pod) || !isAvailable(pod, this.set.spec.minReadySeconds ?? 0, this.clock.nowMs()))) return true;
    await this.control.delete(this.set, pod, this.signal);
    return true;
  }

  /** The largest ordinal that is not of the update revision goes; nothing while one above it is not healthy. */
  private async rollOut(replicas: readonly Draft<Pod>[]): Promise<void> {
    const { set, revisions: { update } } = this;
    const updateMin = set.spec.updateStrategy.rollingUpdate?.partition ?? 0;
    for (let target = replicas.length - 1; target >= updateMin; target--) {
      const pod = replicas[target]!;
      if (isCreated(pod) && revisionOf(pod) !== update.metadata.name && !isTerminating(pod)) {
        try {
          await this.control.delete(set, pod, this.signal);
        } catch (e) {
          if (!isNotFound(e)) throw e;
        }
        this.status = { ...this.status, currentReplicas: (this.status.currentReplicas ?? 0) - 1 };
        return;
      }
      if (!isHealthy(pod)) return;
    }
  }
}

/** When all pods are of the update revision and ready, it becomes the current one. Follows completeRollingUpdate. */
function completed(set: StatefulSet, status: StatefulSetStatus): StatefulSetStatus {
  if (set.spec.updateStrategy.type !== "RollingUpdate" || status.updatedReplicas !== status.replicas || status.readyReplicas !== status.replicas) return status;
  return { ...status, currentReplicas: status.updatedReplicas, currentRevision: status.updateRevision };
}

const COMPARED = ["replicas", "currentReplicas", "readyReplicas", "updatedReplicas", "availableReplicas"] as const;

/** Follows inconsistentStatus. */
function differs({ status: was }: StatefulSet, status: StatefulSetStatus): boolean {
  return (status.observedGeneration ?? 0) > (was.observedGeneration ?? 0) || COMPARED.some((key) => (status[key] ?? 0) !== (was[key] ?? 0)) ||
    status.currentRevision !== was.currentRevision || status.updateRevision !== was.updateRevision;
}

/** Revisions that no pod is of, beyond the limit, oldest first. Follows truncateHistory. */
async function truncateHistory(client: Client, set: StatefulSet, pods: readonly Pod[], sorted: readonly ControllerRevision[], { current, update }: Revisions, signal: AbortSignal): Promise<void> {
  const live = new Set([current.metadata.name, update.metadata.name, ...pods.map(revisionOf)]);
  const history = sorted.filter(({ metadata }) => !live.has(metadata.name));
  const excess = history.length - (set.spec.revisionHistoryLimit ?? 10);
  for (const revision of history.slice(0, Math.max(0, excess))) await deleteRevision(client.controllerRevisions, revision, signal);
}
