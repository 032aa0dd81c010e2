/**
 * One pass over a Job: finished pods are counted once (their finalizer goes after the status says so), pods are
 * created or deleted, conditions follow. Follows syncJob, manageJob and trackJobStatusAndRemoveFinalizers of
 * pkg/controller/job/job_controller.go.
 */
import type { Job, JobCondition, JobStatus, Pod, PodTemplateSpec } from "../../api/types.generated.ts";
import { keyOf } from "../../apimachinery/meta.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import { isNamespaceTerminating, isNotFound } from "../../apimachinery/status.ts";
import { formatTime, parseTime } from "../../apimachinery/time.ts";
import type { Client } from "../../client/client.ts";
import type { EventRecorder } from "../../client/events.ts";
import type { Clock } from "../../time/clock.ts";
import { isPodActive, isPodReady } from "../controller-context.ts";
import { isPodTerminal, isTerminating, slowStartBatch } from "../controller-utils.ts";
import type { CountedExpectations, PodControl } from "../controller-utils.ts";
import { nextRecord, remainingMs } from "./backoff.ts";
import type { BackoffRecord } from "./backoff.ts";
import { allFailures, completionsOf, delayedDeletions, failedIndexes, generateNameOf, hasLimitPerIndex, indexedTemplate, indexOf, isIndexed, pendingIndexes, podsForRemoval, succeededIndexes, validIndex } from "./indexes.ts";
import type { Indexes } from "./intervals.ts";
import { finishedAt } from "./backoff.ts";
import { hasFinalizer, isPodFailed, isSuspended, onlyReplaceFailedPods, TRACKING_FINALIZER } from "./pods.ts";
import { matchFailurePolicy, matchSuccessPolicy } from "./policies.ts";

export type TypedJob = Job & KubeObject;

/** At most so many pods are created or deleted in one pass (MaxPodCreateDeletePerSync), and so many UIDs kept in the status (MaxUncountedPods). */
const MAX_PER_SYNC = 500;
const MAX_UNCOUNTED = 500;

export interface JobDeps {
  readonly client: Client;
  readonly clock: Clock;
  readonly recorder: EventRecorder;
  readonly control: PodControl;
  readonly expectations: CountedExpectations;
  /** UIDs of pods whose finalizer was removed, until the cache shows it, by key. */
  readonly removing: Map<string, Set<string>>;
  readonly backoffs: Map<string, BackoffRecord>;
  /** Comes back to the Job after so many milliseconds. */
  later(key: string, ms: number): void;
}

/** Without the finalizer, when the pod is still there. Returns whether it is off. */
export async function removeFinalizer(client: Client, pod: Pod, signal: AbortSignal): Promise<boolean> {
  const { namespace, name, uid } = pod.metadata;
  try {
    await client.pods.patch(namespace!, name, "strategic", { metadata: { uid, "$deleteFromPrimitiveList/finalizers": [TRACKING_FINALIZER] } }, undefined, signal);
  } catch (e) {
    if (!isNotFound(e)) throw e;
  }
  return true;
}

export async function syncJob(deps: JobDeps, job: TypedJob, pods: readonly Pod[], satisfied: boolean, signal: AbortSignal): Promise<void> {
  await new Pass(deps, job, pods, signal).run(satisfied);
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

class Pass {
  private readonly deps: JobDeps;
  private readonly key: string;
  private readonly signal: AbortSignal;
  private readonly pods: readonly Pod[];
  private readonly active: readonly Pod[];
  private readonly uncounted: { succeeded: Set<string>; failed: Set<string> };
  private readonly expectedRemoved: ReadonlySet<string>;
  private job: TypedJob;
  private status: Mutable<JobStatus>;
  private ready: number;
  private terminating: number;
  private succeeded = 0;
  private finished: JobCondition | undefined;
  private record: BackoffRecord | undefined;
  private indexes: { previous: Indexes; now: Indexes } | undefined;
  private failedIndexes: Indexes | undefined;
  private delayed = new Map<number, Pod>();

  constructor(deps: JobDeps, job: TypedJob, pods: readonly Pod[], signal: AbortSignal) {
    this.deps = deps;
    this.job = job;
    this.pods = pods;
    this.signal = signal;
    this.key = keyOf(job);
    this.active = pods.filter(isPodActive);
    this.ready = this.active.filter(isPodReady).length;
    this.terminating = pods.filter((pod) => !isPodTerminal(pod) && isTerminating(pod)).length;
    this.expectedRemoved = new Set(deps.removing.get(this.key));
    const { succeeded = [], failed = [] } = job.status.uncountedTerminatedPods ?? {};
    this.uncounted = { succeeded: new Set(succeeded), failed: new Set(failed) };
    this.status = { ...job.status, uncountedTerminatedPods: { succeeded, failed } };
  }

  private get now(): number {
    return this.deps.clock.nowMs();
  }

  async run(satisfied: boolean): Promise<void> {
    const { job, status, active } = this;
    const { spec } = job;
    const fresh = this.valid();
    const newSucceeded = fresh.filter((pod) => pod.status.phase === "Succeeded" && !this.uncounted.succeeded.has(pod.metadata.uid));
    const newFailed = fresh.filter((pod) => isPodFailed(pod, job) && !this.uncounted.failed.has(pod.metadata.uid));
    this.succeeded = (status.succeeded ?? 0) + newSucceeded.length + this.uncounted.succeeded.size;
    const counted = newFailed.filter((pod) => matchFailurePolicy(spec.podFailurePolicy, pod).counts);
    const failed = (status.failed ?? 0) + counted.length + this.uncounted.failed.size;
    if (status.startTime === undefined && !isSuspended(job)) status.startTime = formatTime(this.now);
    this.record = nextRecord(this.deps.backoffs.get(this.key), newSucceeded, newFailed);

    this.finished = this.decide(failed);
    if (isIndexed(job)) this.decideIndexed();

    let failure: unknown;
    let suspendChanged = false;
    let count = active.length;
    if (this.finished !== undefined) {
      const { deleted, deletedReady, error } = await this.deletePods(active, false);
      // While pods may be left that nobody counted, the Job is not finished.
      if (deleted !== count || !satisfied) this.finished = undefined;
      count -= deleted;
      this.terminating += deleted;
      this.ready -= deletedReady;
      failure = error;
    } else {
      const manage = satisfied && !isTerminating(job);
      if (manage) ({ count, error: failure } = await this.manage());
      const complete = spec.completions === undefined ? this.succeeded > 0 && count === 0 : this.succeeded >= spec.completions && count === 0;
      if (complete) this.finished = this.condition("SuccessCriteriaMet", "CompletionsReached", "Reached expected number of succeeded pods");
      else if (manage) suspendChanged = this.markSuspended();
    }

    const needsFlush = suspendChanged || count !== (status.active ?? 0) || this.ready !== status.ready || this.terminating !== status.terminating;
    Object.assign(status, { active: count, ready: this.ready, terminating: this.terminating });
    await this.track(needsFlush);
    if (failure !== undefined) throw failure;
  }

  private condition(type: string, reason: string, message: string): JobCondition {
    const time = formatTime(this.now);
    return { type, status: "True", lastProbeTime: time, lastTransitionTime: time, reason, message };
  }

  private has(type: string): JobCondition | undefined {
    return this.status.conditions?.find((c) => c.type === type && c.status === "True");
  }

  /** Pods that are not counted yet: with their finalizer and, in Indexed Jobs, a valid index. */
  private valid(): Pod[] {
    return this.pods.filter((pod) => hasFinalizer(pod) && !this.expectedRemoved.has(pod.metadata.uid) && (!isIndexed(this.job) || validIndex(this.job, pod) !== undefined));
  }

  /** Why the Job is over, if it is: an interim condition, or Failed when that was written before. */
  private decide(failed: number): JobCondition | undefined {
    const { job, pods } = this;
    const met = this.has("SuccessCriteriaMet");
    if (met !== undefined) return met;
    const target = this.has("FailureTarget");
    if (target !== undefined) return this.condition("Failed", target.reason ?? "", target.message ?? "");
    const policy = job.spec.podFailurePolicy;
    if (policy !== undefined) {
      for (const pod of pods) {
        const message = isPodFailed(pod, job) ? matchFailurePolicy(policy, pod).message : undefined;
        if (message !== undefined) return this.condition("FailureTarget", "PodFailurePolicy", message);
      }
    }
    if (failed > (job.spec.backoffLimit ?? 6) || this.restartsExceedLimit()) return this.condition("FailureTarget", "BackoffLimitExceeded", "Job has reached the specified backoff limit");
    const { activeDeadlineSeconds } = job.spec;
    const start = parseTime(this.status.startTime ?? "");
    if (activeDeadlineSeconds === undefined || isSuspended(job) || start === undefined) return undefined;
    const left = start + activeDeadlineSeconds * 1000 - this.now;
    if (left <= 0) return this.condition("FailureTarget", "DeadlineExceeded", "Job was active longer than specified deadline");
    this.deps.later(this.key, left);
    return undefined;
  }

  /** Follows pastBackoffLimitOnFailure: restarts in place count as failures. */
  private restartsExceedLimit(): boolean {
    const { template, backoffLimit = 6 } = this.job.spec;
    if (template.spec.restartPolicy !== "OnFailure") return false;
    let restarts = 0;
    for (const { status } of this.pods)
      if (status.phase === "Running" || status.phase === "Pending")
        for (const { restartCount } of [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])]) restarts += restartCount;
    return backoffLimit === 0 ? restarts > 0 : restarts >= backoffLimit;
  }

  private decideIndexed(): void {
    const { job, pods } = this;
    const { spec } = job;
    this.indexes = succeededIndexes(job, pods);
    this.succeeded = this.indexes.now.total;
    if (hasLimitPerIndex(job)) {
      this.failedIndexes = failedIndexes(job, pods);
      const { total } = this.failedIndexes;
      if (this.finished === undefined) {
        if (spec.maxFailedIndexes !== undefined && total > spec.maxFailedIndexes)
          this.finished = this.condition("FailureTarget", "MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes");
        else if (total > 0 && total + this.indexes.now.total >= completionsOf(job)) this.finished = this.condition("FailureTarget", "FailedIndexes", "Job has failed indexes");
      }
      this.delayed = delayedDeletions(job, this.valid(), this.active, this.indexes.now, this.failedIndexes);
    }
    if (this.finished !== undefined) return;
    const message = matchSuccessPolicy(spec.successPolicy, completionsOf(job), this.indexes.now);
    if (message !== undefined) this.finished = this.condition("SuccessCriteriaMet", "SuccessPolicy", message);
  }

  /** Deletes pods; `untrack` takes the finalizer off first, for pods that do not count. */
  private async deletePods(pods: readonly Pod[], untrack: boolean): Promise<{ deleted: number; deletedReady: number; error: unknown }> {
    const { deps, job, key, signal } = this;
    let deleted = pods.length;
    let deletedReady = 0;
    let error: unknown;
    await Promise.all(pods.map(async (pod) => {
      try {
        if (untrack && hasFinalizer(pod)) await removeFinalizer(deps.client, pod, signal);
        await deps.control.delete(job.metadata.namespace!, pod.metadata.name, job, signal);
      } catch (e) {
        if (untrack) deps.expectations.deletionObserved(key);
        if (!isNotFound(e)) {
          deleted--;
          error ??= e;
        }
      }
      if (isPodReady(pod)) deletedReady++;
    }));
    return { deleted, deletedReady, error };
  }

  /** As many pods as the spec wants now. Follows manageJob. Returns how many are active then. */
  private async manage(): Promise<{ count: number; error: unknown }> {
    const { deps, job, key, active } = this;
    const { parallelism = 1, completions } = job.spec;
    const suspended = isSuspended(job);
    const want = suspended ? 0
      : completions === undefined ? (this.succeeded > 0 ? active.length : parallelism)
      : Math.max(0, Math.min(completions - this.succeeded, parallelism));
    const surplus = podsForRemoval(job, active, Math.max(0, active.length - want)).slice(0, suspended ? undefined : MAX_PER_SYNC);
    if (suspended || surplus.length > 0) {
      deps.expectations.set(key, 0, surplus.length);
      const { deleted, deletedReady, error } = await this.deletePods(surplus, true);
      this.terminating += deleted;
      this.ready -= deletedReady;
      return { count: active.length - deleted, error };
    }
    const missing = want - active.length - (onlyReplaceFailedPods(job) ? this.terminating : 0);
    return missing > 0 ? this.create(Math.min(missing, MAX_PER_SYNC)) : { count: active.length, error: undefined };
  }

  private async create(missing: number): Promise<{ count: number; error: unknown }> {
    const { deps, job, key, active, signal } = this;
    const wait = hasLimitPerIndex(job) ? 0 : remainingMs(this.record, this.now);
    if (wait > 0) {
      deps.later(key, wait);
      return { count: 0, error: undefined };
    }
    let indexes: number[] | undefined;
    if (this.indexes !== undefined) {
      indexes = pendingIndexes(job, this.pods, active, this.indexes.now, this.failedIndexes, missing);
      if (hasLimitPerIndex(job)) {
        const waits = indexes.map((index) => this.indexWait(index));
        const due = indexes.filter((_, i) => waits[i] === 0);
        if (due.length === 0 && waits.length > 0) {
          deps.later(key, Math.min(...waits));
          return { count: 0, error: undefined };
        }
        indexes = due;
      }
    }
    const count = indexes?.length ?? missing;
    const base = job.spec.template;
    const finalizers = base.metadata.finalizers ?? [];
    const template: PodTemplateSpec = { ...base, metadata: { ...base.metadata, finalizers: finalizers.includes(TRACKING_FINALIZER) ? finalizers : [...finalizers, TRACKING_FINALIZER] } };
    deps.expectations.set(key, count, 0);
    const { skipped, succeeded, error } = await slowStartBatch(count, async (i) => {
      const index = indexes?.[i];
      try {
        if (index === undefined) await deps.control.create(template, job, signal);
        else await deps.control.create(indexedTemplate(job, template, index, this.delayed.get(index)), job, signal, generateNameOf(job, index));
      } catch (e) {
        if (isNamespaceTerminating(e)) return;
        deps.expectations.creationObserved(key);
        throw e;
      }
    });
    deps.expectations.creationObserved(key, skipped);
    return { count: active.length + succeeded, error };
  }

  /** Milliseconds until the failed pod of an index may be replaced. Follows getRemainingTimePerIndex. */
  private indexWait(index: number): number {
    const replaced = this.delayed.get(index);
    return replaced === undefined ? 0 : remainingMs({ failures: allFailures(replaced) + 1, lastFailureMs: finishedAt(replaced) }, this.now);
  }

  /** Suspended True or False; the latter only where it was there. Returns whether it changed. */
  private markSuspended(): boolean {
    const { job, deps, status } = this;
    const suspended = isSuspended(job);
    if (!this.ensure("Suspended", suspended, suspended ? "JobSuspended" : "JobResumed", suspended ? "Job suspended" : "Job resumed")) return false;
    deps.recorder.event(job, "Normal", suspended ? "Suspended" : "Resumed", suspended ? "Job suspended" : "Job resumed");
    // The deadline counts from the resumption.
    if (!suspended) status.startTime = formatTime(this.now);
    return true;
  }

  /** Follows ensureJobConditionStatus: from nothing to False is no change. */
  private ensure(type: string, isTrue: boolean, reason: string, message: string): boolean {
    const conditions = this.status.conditions ?? [];
    const wanted = isTrue ? "True" : "False";
    const at = conditions.findIndex((c) => c.type === type);
    if (at < 0) {
      if (!isTrue) return false;
      this.status.conditions = [...conditions, this.condition(type, reason, message)];
      return true;
    }
    const { status, ...found } = conditions[at]!;
    if (status === wanted && found.reason === reason && found.message === message) return false;
    const time = formatTime(this.now);
    this.status.conditions = conditions.map((c, i) => (i !== at ? c
      : { ...c, status: wanted, reason, message, ...(status === wanted ? {} : { lastTransitionTime: time, lastProbeTime: time }) }));
    return true;
  }

  private get uncountedStatus(): { succeeded: string[]; failed: string[] } {
    const { succeeded = [], failed = [] } = this.status.uncountedTerminatedPods ?? {};
    return { succeeded, failed };
  }

  /** Follows cleanUncountedPodsWithoutFinalizers. */
  private clean(withFinalizer: ReadonlySet<string>): boolean {
    const { succeeded, failed } = this.uncountedStatus;
    const left = { succeeded: succeeded.filter((uid) => withFinalizer.has(uid)), failed: failed.filter((uid) => withFinalizer.has(uid)) };
    if (left.succeeded.length === succeeded.length && left.failed.length === failed.length) return false;
    this.status.succeeded = (this.status.succeeded ?? 0) + succeeded.length - left.succeeded.length;
    this.status.failed = (this.status.failed ?? 0) + failed.length - left.failed.length;
    this.status.uncountedTerminatedPods = left;
    return true;
  }

  /** Whether the pod may go once it is counted. Follows canRemoveFinalizer. */
  private mayUntrack(pod: Pod, isFailed: boolean): boolean {
    if (isTerminating(this.job) || this.finished !== undefined || pod.status.phase === "Succeeded") return true;
    if (!isFailed) return false;
    return !(hasLimitPerIndex(this.job) && this.delayed.get(indexOf(pod))?.metadata.uid === pod.metadata.uid);
  }

  private async track(needsFlush: boolean): Promise<void> {
    const { job, deps, status, indexes } = this;
    const pods = isIndexed(job) ? [...this.pods].sort((a, b) => indexOf(a) - indexOf(b)) : this.pods;
    const tracked = pods.filter((pod) => hasFinalizer(pod) && !this.expectedRemoved.has(pod.metadata.uid));
    const withFinalizer = new Set(tracked.map(({ metadata }) => metadata.uid));
    if (this.clean(withFinalizer)) needsFlush = true;
    const remove: Pod[] = [];
    const newIndexes: number[] = [];
    const { succeeded, failed } = this.uncountedStatus;
    const added = { succeeded: [...succeeded], failed: [...failed] };
    let tooMany = false;
    for (const pod of tracked) {
      const { uid } = pod.metadata;
      const isFailed = isPodFailed(pod, job);
      if (!this.mayUntrack(pod, isFailed)) continue;
      remove.push(pod);
      const index = validIndex(job, pod);
      if (pod.status.phase === "Succeeded" && !this.uncounted.failed.has(uid)) {
        if (indexes !== undefined) {
          if (index !== undefined && !indexes.previous.has(index)) newIndexes.push(index);
        } else if (!this.uncounted.succeeded.has(uid)) added.succeeded.push(uid);
      } else if (isFailed || (this.finished !== undefined && this.finished.type !== "SuccessCriteriaMet")) {
        // In a Job that is over, pods that did not end count as failed.
        if (!this.uncounted.failed.has(uid) && (indexes === undefined || index !== undefined) && matchFailurePolicy(job.spec.podFailurePolicy, pod).counts) added.failed.push(uid);
      }
      if (newIndexes.length + added.succeeded.length + added.failed.length >= MAX_UNCOUNTED) {
        tooMany = true;
        break;
      }
    }
    if (added.succeeded.length > succeeded.length || added.failed.length > failed.length || newIndexes.length > 0) needsFlush = true;
    status.uncountedTerminatedPods = added;
    if (indexes !== undefined && this.countIndexes(indexes.previous.with(newIndexes))) needsFlush = true;
    if (this.writeInterim()) needsFlush = true;

    if (needsFlush) {
      await this.flush();
      if (this.record === undefined) deps.backoffs.delete(this.key);
      else deps.backoffs.set(this.key, this.record);
      needsFlush = false;
    }
    const failure = await this.untrack(remove, withFinalizer);
    if (this.clean(withFinalizer)) needsFlush = true;
    if (failure !== undefined) {
      if (needsFlush) await this.flush();
      throw failure;
    }
    const over = !tooMany && this.enact();
    if (needsFlush || over) await this.flush();
    if (over) this.recordFinished(this.finished!);
  }

  private countIndexes(all: Indexes): boolean {
    const { status } = this;
    const text = all.toString();
    const failedText = this.failedIndexes?.toString();
    const changed = text !== (status.completedIndexes ?? "") || failedText !== status.failedIndexes;
    status.succeeded = all.total;
    status.completedIndexes = text;
    status.failedIndexes = failedText;
    return changed;
  }

  /** FailureTarget or SuccessCriteriaMet come into the status before the finalizers go; then the final condition is what is left to do. */
  private writeInterim(): boolean {
    const { finished, status } = this;
    if (finished === undefined) return false;
    const { type, reason = "", message = "" } = finished;
    if (type !== "FailureTarget" && type !== "SuccessCriteriaMet") return false;
    const isNew = this.has(type) === undefined;
    if (isNew) status.conditions = [...(status.conditions ?? []), finished];
    this.finished = this.condition(type === "FailureTarget" ? "Failed" : "Complete", reason, message);
    return isNew;
  }

  private async flush(): Promise<void> {
    const { status: _old, ...rest } = this.job;
    const written = await this.deps.client.jobs.updateStatus({ ...rest, status: this.status }, this.signal);
    this.job = { ...this.job, metadata: written.metadata };
  }

  /** Takes the finalizers off; removes from `withFinalizer` where it worked. Returns the first failure. */
  private async untrack(pods: readonly Pod[], withFinalizer: Set<string>): Promise<unknown> {
    const { deps, key } = this;
    if (pods.length === 0) return undefined;
    const expected = deps.removing.get(key) ?? new Set<string>();
    deps.removing.set(key, expected);
    for (const { metadata } of pods) expected.add(metadata.uid);
    let failure: unknown;
    await Promise.all(pods.map(async (pod) => {
      try {
        await removeFinalizer(deps.client, pod, this.signal);
        withFinalizer.delete(pod.metadata.uid);
      } catch (e) {
        expected.delete(pod.metadata.uid);
        failure ??= e;
      }
    }));
    return failure;
  }

  /** The final condition, when all pods are counted and none is ending. Follows enactJobFinished. */
  private enact(): boolean {
    const { finished, status } = this;
    const { succeeded, failed } = this.uncountedStatus;
    if (finished === undefined || succeeded.length + failed.length > 0 || this.terminating > 0) return false;
    this.ensure(finished.type, true, finished.reason ?? "", finished.message ?? "");
    if (finished.type === "Complete") status.completionTime = finished.lastTransitionTime;
    return true;
  }

  private recordFinished({ type, reason = "", message = "" }: JobCondition): void {
    const { deps: { recorder }, job } = this;
    if (type !== "Complete") {
      recorder.event(job, "Warning", reason, message);
      return;
    }
    if (job.spec.completions !== undefined && (this.status.succeeded ?? 0) > job.spec.completions)
      recorder.event(job, "Warning", "TooManySucceededPods", "Too many succeeded pods running after completion count reached");
    recorder.event(job, "Normal", "Completed", "Job completed");
  }
}
