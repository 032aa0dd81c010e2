/** Completion indexes of Indexed Jobs: intervals, environment, failures per index. Pure. Follows pkg/controller/job/indexed_job_utils.go. */
import type { Job, Pod, PodSpec, PodTemplateSpec } from "../../api/types.generated.ts";
import { activePodsOrder, isTerminating } from "../controller-utils.ts";
import { finishedAt } from "./backoff.ts";
import { Indexes } from "./intervals.ts";
import { hasFinalizer, isPodFailed, onlyReplaceFailedPods } from "./pods.ts";
import { matchFailurePolicy } from "./policies.ts";

export const INDEX = "batch.kubernetes.io/job-completion-index";
const FAILURES = "batch.kubernetes.io/job-index-failure-count";
const IGNORED_FAILURES = "batch.kubernetes.io/job-index-ignored-failure-count";
const INDEX_ENV = "JOB_COMPLETION_INDEX";

export const isIndexed = (job: Job): boolean => job.spec.completionMode === "Indexed";
export const hasLimitPerIndex = (job: Job): boolean => job.spec.backoffLimitPerIndex !== undefined;
export const completionsOf = (job: Job): number => job.spec.completions ?? 0;

/** The index in a pod's annotations; -1 for none. Follows getCompletionIndex. */
export function indexOf({ metadata: { annotations } }: { metadata: { annotations?: Record<string, string> | undefined } }): number {
  const text = annotations?.[INDEX];
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : -1;
}

/** The index, when the Job has it; else undefined. */
export function validIndex(job: Job, pod: Pod): number | undefined {
  const index = indexOf(pod);
  return index >= 0 && index < completionsOf(job) ? index : undefined;
}

/** Follows calculateSucceededIndexes: those of the status, and with the newly succeeded ones. */
export function succeededIndexes(job: Job, pods: readonly Pod[]): { previous: Indexes; now: Indexes } {
  const previous = Indexes.parse(job.status.completedIndexes, completionsOf(job));
  const fresh = pods.filter((pod) => pod.status.phase === "Succeeded" && hasFinalizer(pod)).map((pod) => validIndex(job, pod)).filter((i) => i !== undefined);
  return { previous, now: previous.with(fresh) };
}

/** Follows calculateFailedIndexes. */
export function failedIndexes(job: Job, pods: readonly Pod[]): Indexes {
  const fresh = pods.filter((pod) => hasFinalizer(pod) && isIndexFailed(job, pod)).map((pod) => validIndex(job, pod)).filter((i) => i !== undefined);
  return Indexes.parse(job.status.failedIndexes, completionsOf(job)).with(fresh);
}

function isIndexFailed(job: Job, pod: Pod): boolean {
  if (!isPodFailed(pod, job)) return false;
  const { action, counts } = matchFailurePolicy(job.spec.podFailurePolicy, pod);
  return action === "FailIndex" || (counts && failureCount(pod, FAILURES) >= (job.spec.backoffLimitPerIndex ?? 0));
}

function failureCount({ metadata: { annotations } }: Pod, annotation: string): number {
  const text = annotations?.[annotation];
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : 0;
}

/** Failures of an index, ignored ones included. Follows getIndexAbsoluteFailureCount. */
export const allFailures = (pod: Pod): number => failureCount(pod, FAILURES) + failureCount(pod, IGNORED_FAILURES);

/** The failed pod of each index whose finalizer waits for its replacement, which takes over its counts. Follows getPodsWithDelayedDeletionPerIndex. */
export function delayedDeletions(job: Job, valid: readonly Pod[], active: readonly Pod[], succeeded: Indexes, failed: Indexes): Map<number, Pod> {
  const running = new Set(active.map(indexOf));
  const out = new Map<number, Pod>();
  for (const pod of valid) {
    const index = indexOf(pod);
    if (!isPodFailed(pod, job) || index < 0 || running.has(index) || succeeded.has(index) || failed.has(index)) continue;
    const other = out.get(index);
    if (other === undefined || (allFailures(other) <= allFailures(pod) && finishedAt(pod) >= finishedAt(other))) out.set(index, pod);
  }
  return out;
}

/** Indexes that have no pod and need one. Follows firstPendingIndexes. */
export function pendingIndexes(job: Job, pods: readonly Pod[], active: readonly Pod[], succeeded: Indexes, failed: Indexes | undefined, count: number): number[] {
  if (count === 0) return [];
  const busy = active.map((pod) => validIndex(job, pod));
  if (onlyReplaceFailedPods(job)) for (const pod of pods) if (isTerminating(pod) && pod.status.phase !== "Succeeded" && pod.status.phase !== "Failed") busy.push(validIndex(job, pod));
  let taken = succeeded.with(busy.filter((i) => i !== undefined));
  if (failed !== undefined) taken = taken.union(failed);
  return taken.missing(count, completionsOf(job));
}

/** The containers with JOB_COMPLETION_INDEX. Follows addCompletionIndexEnvVariables. */
function withIndexEnv(spec: PodSpec): PodSpec {
  const env = { name: INDEX_ENV, valueFrom: { fieldRef: { fieldPath: `metadata.labels['${INDEX}']` } } };
  const add = <C extends { env?: { name: string }[] | undefined }>(container: C): C =>
    container.env?.some(({ name }) => name === INDEX_ENV) === true ? container : { ...container, env: [...(container.env ?? []), env] };
  return { ...spec, containers: spec.containers.map(add), ...(spec.initContainers === undefined ? {} : { initContainers: spec.initContainers.map(add) }) };
}

/** The template of an index. `replaced` is the failed pod whose counts it goes on with. */
export function indexedTemplate(job: Job, template: PodTemplateSpec, index: number, replaced: Pod | undefined): PodTemplateSpec {
  const annotations: Record<string, string> = { ...template.metadata.annotations, [INDEX]: String(index) };
  if (hasLimitPerIndex(job)) {
    let [failures, ignored] = replaced === undefined ? [0, 0] : [failureCount(replaced, FAILURES), failureCount(replaced, IGNORED_FAILURES)];
    if (replaced !== undefined) {
      if (matchFailurePolicy(job.spec.podFailurePolicy, replaced).counts) failures++;
      else ignored++;
    }
    annotations[FAILURES] = String(failures);
    if (ignored > 0) annotations[IGNORED_FAILURES] = String(ignored);
  }
  return {
    ...template,
    metadata: { ...template.metadata, annotations, labels: { ...template.metadata.labels, [INDEX]: String(index) } },
    spec: { ...withIndexEnv(template.spec), hostname: `${job.metadata.name}-${index}` },
  };
}

/** The prefix of the names of an index's pods: together with five characters they stay a DNS label. Follows podGenerateNameWithIndex. */
export function generateNameOf(job: Job, index: number): string {
  const suffix = `-${index}-`;
  return `${job.metadata.name.slice(0, 58 - suffix.length)}${suffix}`;
}

/** Which active pods go: repeated and unknown indexes, then as many as are too many. Follows activePodsForRemoval. */
export function podsForRemoval(job: Job, active: readonly Pod[], atLeast: number): Pod[] {
  const remove: Pod[] = [];
  let left: Pod[] = [];
  if (isIndexed(job)) {
    const byIndex = new Map<number, Pod[]>();
    for (const pod of [...active].sort((a, b) => indexOf(a) - indexOf(b))) {
      const index = validIndex(job, pod);
      if (index === undefined) remove.push(pod);
      else if (byIndex.has(index)) byIndex.get(index)!.push(pod);
      else byIndex.set(index, [pod]);
    }
    for (const same of byIndex.values()) {
      same.sort(activePodsOrder);
      left.push(same.pop()!);
      remove.push(...same);
    }
  } else left = [...active];
  if (remove.length < atLeast) remove.push(...left.sort(activePodsOrder).slice(0, atLeast - remove.length));
  return remove;
}
