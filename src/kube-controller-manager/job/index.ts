/** The Job controller: pods that run to completion. Follows pkg/controller/job/job_controller.go. */
import type { Job, Pod } from "../../api/types.generated.ts";
import { controllerOf, deepEqual, keyOf, splitKey } from "../../apimachinery/meta.ts";
import { labelSelector, matches } from "../../apimachinery/selectors.ts";
import { parseTime } from "../../apimachinery/time.ts";
import { done, requeueAfter } from "../../client/controller.ts";
import type { Controller, Result } from "../../client/controller.ts";
import type { WorkQueue } from "../../client/workqueue.ts";
import type { ControllerContext } from "../controller-context.ts";
import { claimObjects, createCountedExpectations, createPodControl, indexOrphans, isTerminating, resolveControllerRef, selecting, typedAs } from "../controller-utils.ts";
import { EXPECTATIONS_TIMEOUT_MS } from "../expectations.ts";
import type { BackoffRecord } from "./backoff.ts";
import { finishedType, hasFinalizer, isManagedElsewhere, TRACKING_FINALIZER } from "./pods.ts";
import { removeFinalizer, syncJob } from "./sync.ts";
import type { JobDeps } from "./sync.ts";

/** Changes of pods are gathered for so long (SyncJobBatchPeriod). */
const BATCH_MS = 1000;
/** Keys of pods that lost their Job and have to lose its finalizer. */
const ORPHAN_POD = "pod:";

export function newJobController(context: ControllerContext): Controller {
  const { client, clock, informers } = context;
  const jobs = informers.informer("jobs");
  const pods = informers.informer("pods");
  const recorder = context.recorder("job-controller");
  const expectations = createCountedExpectations(clock);
  let queue!: WorkQueue;
  const deps: JobDeps = {
    client, clock, recorder, expectations,
    control: createPodControl(client, recorder),
    removing: new Map<string, Set<string>>(),
    backoffs: new Map<string, BackoffRecord>(),
    later: (key, ms) => queue.addAfter(key, ms),
  };
  const ownerOf = (pod: Pod): Job | undefined => resolveControllerRef(jobs, "Job", pod.metadata.namespace!, controllerOf(pod));

  /** The finalizer of a pod whose Job is gone or finished. Follows syncOrphanPod. */
  async function syncOrphanPod(key: string, signal: AbortSignal): Promise<Result> {
    const { namespace, name } = splitKey(key);
    const pod = pods.get(namespace, name);
    if (pod === undefined || !hasFinalizer(pod)) return done;
    const ref = controllerOf(pod);
    // Adopted by something else, or by a Job that is at work: that one decides.
    if (ref !== undefined && (ref.kind !== "Job" || !ref.apiVersion.startsWith("batch/"))) return done;
    const job = ownerOf(pod);
    if (job !== undefined && (isManagedElsewhere(job) || finishedType(job) === undefined)) return done;
    await removeFinalizer(client, pod, signal);
    return done;
  }

  async function podsOf(job: Job, signal: AbortSignal): Promise<Pod[]> {
    const owner = typedAs(client.jobs, job);
    const fresh = (): Promise<Job> => client.jobs.get(job.metadata.namespace!, job.metadata.name, signal);
    return claimObjects(client.pods, pods, { owner, selector: labelSelector(job.spec.selector), finalizers: [TRACKING_FINALIZER] }, fresh, signal);
  }

  return {
    name: "job-controller",
    setup(workQueue) {
      queue = workQueue;
      indexOrphans(pods);
      const soon = (job: Job | undefined): void => {
        if (job !== undefined && !isManagedElsewhere(job)) queue.addAfter(keyOf(job), BATCH_MS);
      };
      const now = (job: Job): void => {
        if (!isManagedElsewhere(job)) queue.add(keyOf(job));
      };
      const orphaned = (pod: Pod): void => queue.add(ORPHAN_POD + keyOf(pod));
      const untrackAll = (job: Job): void => {
        const selector = labelSelector(job.spec.selector);
        for (const pod of pods.list(job.metadata.namespace)) if (hasFinalizer(pod) && matches(selector, pod.metadata.labels)) orphaned(pod);
      };
      jobs.addHandler({
        add: now,
        update(job, old) {
          if (job.metadata.generation === old.metadata.generation) soon(job);
          else now(job);
          if (finishedType(job) !== undefined) {
            untrackAll(job);
            return;
          }
          const { activeDeadlineSeconds } = job.spec;
          const start = parseTime(job.status.startTime ?? "");
          if (start !== undefined && activeDeadlineSeconds !== undefined && activeDeadlineSeconds !== old.spec.activeDeadlineSeconds)
            queue.addAfter(keyOf(job), start + activeDeadlineSeconds * 1000 - clock.nowMs());
        },
        delete(job) {
          now(job);
          untrackAll(job);
        },
      });
      /** Pods of finished Jobs and of none lose the finalizer. */
      const checkOrphan = (pod: Pod): void => {
        const ref = controllerOf(pod);
        if (ref === undefined) {
          if (!isTerminating(pod)) selecting(jobs, pod).forEach(soon);
          if (hasFinalizer(pod)) orphaned(pod);
        } else if (ref.kind === "Job" && hasFinalizer(pod)) {
          const job = ownerOf(pod);
          if (job === undefined || finishedType(job) !== undefined) orphaned(pod);
        }
      };
      const removalObserved = (key: string, pod: Pod): void => {
        const uids = deps.removing.get(key);
        uids?.delete(pod.metadata.uid);
        if (uids?.size === 0) deps.removing.delete(key);
      };
      pods.addHandler({
        add(pod) {
          const job = ownerOf(pod);
          if (job !== undefined) {
            if (isTerminating(pod)) expectations.deletionObserved(keyOf(job));
            else expectations.creationObserved(keyOf(job));
            soon(job);
          }
          checkOrphan(pod);
        },
        update(pod, old) {
          const before = controllerOf(old)?.uid !== controllerOf(pod)?.uid ? ownerOf(old) : undefined;
          if (before !== undefined) {
            if (hasFinalizer(old) && !hasFinalizer(pod)) removalObserved(keyOf(before), pod);
            soon(before);
          }
          const job = ownerOf(pod);
          if (job !== undefined) {
            if (hasFinalizer(old) && !hasFinalizer(pod)) removalObserved(keyOf(job), pod);
            // A deletion counts from its beginning.
            if (isTerminating(pod) && !isTerminating(old)) expectations.deletionObserved(keyOf(job));
            soon(job);
          } else if (controllerOf(pod) === undefined && deepEqual(old.metadata.labels, pod.metadata.labels) && controllerOf(old) === undefined && !hasFinalizer(pod)) return;
          checkOrphan(pod);
        },
        delete(pod) {
          const job = ownerOf(pod);
          if (job === undefined) return;
          if (hasFinalizer(pod)) removalObserved(keyOf(job), pod);
          deps.removing.get(keyOf(job))?.delete(pod.metadata.uid);
          if (!isTerminating(pod)) expectations.deletionObserved(keyOf(job));
          soon(job);
        },
      });
    },

    async reconcile(key, signal) {
      if (key.startsWith(ORPHAN_POD)) return syncOrphanPod(key.slice(ORPHAN_POD.length), signal);
      const { namespace, name } = splitKey(key);
      const job = jobs.get(namespace, name);
      if (job === undefined || finishedType(job) !== undefined) {
        deps.backoffs.delete(key);
        if (job === undefined) {
          expectations.delete(key);
          deps.removing.delete(key);
        }
        return done;
      }
      if (isManagedElsewhere(job)) return done;
      const typed = typedAs(client.jobs, job);
      const { completionMode } = job.spec;
      if (completionMode !== undefined && completionMode !== "NonIndexed" && completionMode !== "Indexed") {
        recorder.event(typed, "Warning", "UnknownCompletionMode", "Skipped Job sync because completion mode is unknown");
        return done;
      }
      const satisfied = expectations.satisfied(key);
      await syncJob(deps, typed, await podsOf(job, signal), satisfied, signal);
      // What is waited for may have come and gone while nobody watched.
      return satisfied ? done : requeueAfter(EXPECTATIONS_TIMEOUT_MS + 1);
    },
  };
}
