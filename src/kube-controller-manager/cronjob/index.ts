/** The CronJob controller: Jobs on a schedule. Follows pkg/controller/cronjob/cronjob_controllerv2.go and utils.go. */
import type { CronJob, CronJobStatus, Job, ObjectReference } from "../../api/types.generated.ts";
import { controllerOf, keyOf, newControllerRef, splitKey } from "../../apimachinery/meta.ts";
import type { Draft, KubeObject } from "../../apimachinery/meta.ts";
import { isAlreadyExists, isNamespaceTerminating, isNotFound } from "../../apimachinery/status.ts";
import { formatTime, parseTime } from "../../apimachinery/time.ts";
import { done, requeueAfter } from "../../client/controller.ts";
import type { Controller, Result } from "../../client/controller.ts";
import { BY_OWNER } from "../../client/informer.ts";
import type { ControllerContext } from "../controller-context.ts";
import { isTerminating, messageOf, resolveControllerRef, typedAs, updateStatus } from "../controller-utils.ts";
import { finishedType } from "../job/pods.ts";
import { parseSchedule } from "./schedule.ts";
import type { Schedule } from "./schedule.ts";
import { formatIn, loadZone, UTC } from "./zones.ts";
import type { Zone } from "./zones.ts";

/** A visit comes a little after the time it is for (nextScheduleDelta). */
const DELTA_MS = 100;
/** With more missed times than this there is a warning. */
const MISSED_MAX = 100;
const SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp";

type TypedCronJob = CronJob & KubeObject;

export function newCronJobController(context: ControllerContext): Controller {
  const { client, clock, informers } = context;
  const cronJobs = informers.informer("cronJobs");
  const jobs = informers.informer("jobs");
  const recorder = context.recorder("cronjob-controller");
  const ownerOf = (job: Job): CronJob | undefined => resolveControllerRef(cronJobs, "CronJob", job.metadata.namespace!, controllerOf(job));

  /** Deletes a Job and drops it from the active list. Returns whether it worked. */
  async function deleteJob(cj: TypedCronJob, status: Status, { metadata: { namespace, name, uid } }: Job, signal: AbortSignal): Promise<boolean> {
    try {
      await client.jobs.delete(namespace!, name, { propagationPolicy: "Background" }, signal);
    } catch (e) {
      recorder.event(cj, "Warning", "FailedDelete", `Deleted job: ${messageOf(e)}`);
      return false;
    }
    status.drop(uid);
    recorder.event(cj, "Normal", "SuccessfulDelete", `Deleted job ${name}`);
    return true;
  }

  /** Follows the first half of syncCronJob: what became of the Jobs there are. */
  async function observe(cj: TypedCronJob, status: Status, children: readonly Job[], signal: AbortSignal): Promise<void> {
    for (const job of children) {
      const { uid, name } = job.metadata;
      const finished = finishedType(job);
      if (!status.has(uid) && finished === undefined) {
        const live = await client.cronJobs.get(cj.metadata.namespace!, cj.metadata.name, signal);
        if (live.status.active?.some((ref) => ref.uid === uid) === true) status.adopt(live.status);
        else recorder.event(cj, "Warning", "UnexpectedJob", `Saw a job that the controller did not create or forgot: ${name}`);
      } else if (status.has(uid) && finished !== undefined) {
        status.drop(uid);
        recorder.event(cj, "Normal", "SawCompletedJob", `Saw completed job: ${name}, condition: ${finished}`);
      }
      const { completionTime } = job.status;
      if (finished === "Complete" && completionTime !== undefined && (parseTime(completionTime) ?? 0) > (parseTime(status.value.lastSuccessfulTime ?? "") ?? -Infinity))
        status.set({ lastSuccessfulTime: completionTime });
    }
    const known = new Set(children.map(({ metadata }) => metadata.uid));
    for (const { namespace, name, uid } of status.value.active ?? []) {
      if (uid === undefined || known.has(uid)) continue;
      try {
        await client.jobs.get(namespace!, name!, signal);
      } catch (e) {
        if (!isNotFound(e)) throw e;
        recorder.event(cj, "Normal", "MissingJob", `Active job went missing: ${name}`);
        status.drop(uid);
      }
    }
  }

  /** The second half: starts what is due. */
  async function start(cj: TypedCronJob, status: Status, signal: AbortSignal): Promise<Result> {
    if (isTerminating(cj)) return done;
    const { spec } = cj;
    const now = clock.nowMs();
    const zone = spec.timeZone === undefined ? UTC : loadZone(spec.timeZone);
    if (zone === undefined) {
      recorder.event(cj, "Warning", "UnknownTimeZone", `invalid timeZone: ${JSON.stringify(spec.timeZone)}: unknown time zone ${spec.timeZone}`);
      return done;
    }
    if (spec.suspend === true) return done;
    const schedule = parsed(cj, zone);
    if (schedule === undefined) return done;
    const again = (): Result => requeueAfter(msToNext(cj, status.value, schedule, now));
    const recent = mostRecent(cj, status.value, schedule, now, true);
    if (recent === "invalid") {
      recorder.event(cj, "Warning", "InvalidSchedule", `invalid schedule: ${spec.schedule} : time difference between two schedules is less than 1 second`);
      return done;
    }
    if (recent === undefined) return again();
    if (recent.missed > MISSED_MAX)
      recorder.event(cj, "Warning", "TooManyMissedTimes", "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew");
    const at = recent.atMs;
    if (spec.startingDeadlineSeconds !== undefined && at + spec.startingDeadlineSeconds * 1000 < now) {
      recorder.event(cj, "Warning", "MissSchedule", `Missed scheduled time to start a job: ${rfc1123z(at)}`);
      return again();
    }
    const name = `${cj.metadata.name}-${Math.floor(at / 60_000)}`;
    if (status.value.active?.some((ref) => ref.name === name) === true || parseTime(status.value.lastScheduleTime ?? "") === at) return again();
    if (spec.concurrencyPolicy === "Forbid" && (status.value.active ?? []).length > 0) {
      recorder.event(cj, "Normal", "JobAlreadyActive", "Not starting job because prior execution is running and concurrency policy is Forbid");
      return again();
    }
    if (spec.concurrencyPolicy === "Replace") await replaceActive(cj, status, signal);
    const job = await create(cj, status, name, formatIn(zone, at), signal);
    if (job === undefined) return done;
    status.set({ active: [...(status.value.active ?? []), reference(job)], lastScheduleTime: formatTime(at) });
    return requeueAfter(msToNext(cj, status.value, schedule, now));
  }

  function parsed(cj: TypedCronJob, zone: Zone): Schedule | undefined {
    const { schedule } = cj.spec;
    if (schedule.includes("TZ"))
      recorder.event(cj, "Warning", "UnsupportedSchedule", `CRON_TZ or TZ used in schedule ${JSON.stringify(schedule)} is not officially supported, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details`);
    // What validation let through before it knew better still runs.
    const prefixed = /^(?:CRON_)?TZ=(\S+)\s+(.*)$/.exec(schedule);
    try {
      return parseSchedule(prefixed?.[2] ?? schedule, prefixed === null ? zone : loadZone(prefixed[1]!) ?? zone);
    } catch (e) {
      recorder.event(cj, "Warning", "UnparseableSchedule", `unparseable schedule: ${JSON.stringify(schedule)} : ${messageOf(e)}`);
      return undefined;
    }
  }

  async function replaceActive(cj: TypedCronJob, status: Status, signal: AbortSignal): Promise<void> {
    for (const { namespace, name } of status.value.active ?? []) {
      let job: Job;
      try {
        job = await client.jobs.get(namespace!, name!, signal);
      } catch (e) {
        recorder.event(cj, "Warning", "FailedGet", `Get job: ${messageOf(e)}`);
        throw e;
      }
      if (!(await deleteJob(cj, status, job, signal))) throw new Error(`could not replace job ${namespace}/${name}`);
    }
  }

  /** Undefined where the Job exists and is accounted for. */
  async function create(cj: TypedCronJob, status: Status, name: string, scheduledAt: string, signal: AbortSignal): Promise<Job | undefined> {
    const { namespace } = cj.metadata;
    const { metadata, spec } = cj.spec.jobTemplate;
    const draft: Draft<Job> = {
      metadata: {
        name, namespace,
        ...(metadata.labels === undefined ? {} : { labels: metadata.labels }),
        annotations: { ...metadata.annotations, [SCHEDULED_AT]: scheduledAt },
        ownerReferences: [newControllerRef(cj)],
      },
      spec,
    };
    try {
      const job = await client.jobs.create(draft, signal);
      recorder.event(cj, "Normal", "SuccessfulCreate", `Created job ${name}`);
      return job;
    } catch (e) {
      if (isAlreadyExists(e)) {
        const there = await client.jobs.get(namespace!, name, signal);
        return controllerOf(there)?.uid === cj.metadata.uid && !status.has(there.metadata.uid) ? there : undefined;
      }
      if (!isNamespaceTerminating(e)) recorder.event(cj, "Warning", "FailedCreate", `Error creating job: ${messageOf(e)}`);
      throw e;
    }
  }

  /** Finished Jobs beyond the limits, oldest first. Follows cleanupFinishedJobs. */
  async function cleanUp(cj: TypedCronJob, status: Status, children: readonly Job[], signal: AbortSignal): Promise<void> {
    const limits = [["Complete", cj.spec.successfulJobsHistoryLimit], ["Failed", cj.spec.failedJobsHistoryLimit]] as const;
    for (const [type, limit] of limits) {
      if (limit === undefined) continue;
      const finished = children.filter((job) => finishedType(job) === type).sort(byStart);
      for (const job of finished.slice(0, Math.max(0, finished.length - limit))) await deleteJob(cj, status, job, signal);
    }
  }

  return {
    name: "cronjob-controller",
    setup(queue) {
      const enqueue = (cj: CronJob | undefined): void => {
        if (cj !== undefined) queue.add(keyOf(cj));
      };
      cronJobs.addHandler({ add: enqueue, update: enqueue, delete: enqueue });
      jobs.addHandler({
        add: (job) => enqueue(ownerOf(job)),
        update(job, old) {
          if (controllerOf(old)?.uid !== controllerOf(job)?.uid) enqueue(ownerOf(old));
          enqueue(ownerOf(job));
        },
        delete: (job) => enqueue(ownerOf(job)),
      });
    },

    async reconcile(key, signal) {
      const { namespace, name } = splitKey(key);
      const cached = cronJobs.get(namespace, name);
      if (cached === undefined) return done;
      const cj = typedAs(client.cronJobs, cached);
      const children = jobs.byIndex(BY_OWNER, cj.metadata.uid).filter((job) => controllerOf(job)?.uid === cj.metadata.uid);
      const status = new Status(cj.status);
      let result = done;
      let failure: unknown;
      try {
        await observe(cj, status, children, signal);
        result = await start(cj, status, signal);
      } catch (e) {
        failure = e;
      }
      await cleanUp(cj, status, children, signal);
      if (status.changed) await updateStatus(client.cronJobs, cached, status.value, signal);
      if (failure !== undefined) throw failure;
      return result;
    },
  };

  function reference({ metadata: { namespace, name, uid, resourceVersion } }: Job): ObjectReference {
    return { kind: "Job", apiVersion: "batch/v1", namespace, name, uid, resourceVersion };
  }
}

/** The status while it is worked on. */
class Status {
  value: CronJobStatus;
  changed = false;

  constructor(value: CronJobStatus) {
    this.value = value;
  }

  set(change: Partial<CronJobStatus>): void {
    this.value = { ...this.value, ...change };
    this.changed = true;
  }

  /** Takes over what another pass wrote. */
  adopt(value: CronJobStatus): void {
    this.value = value;
  }

  has(uid: string): boolean {
    return this.value.active?.some((ref) => ref.uid === uid) === true;
  }

  drop(uid: string): void {
    const { active: _active, ...rest } = this.value;
    if (!this.has(uid)) return;
    const left = this.value.active!.filter((ref) => ref.uid !== uid);
    this.value = left.length === 0 ? rest : { ...rest, active: left };
    this.changed = true;
  }
}

/** The last time that was due, and roughly how many were missed. Follows mostRecentScheduleTime. */
function mostRecent(cj: CronJob, { lastScheduleTime }: CronJobStatus, schedule: Schedule, now: number, withDeadline: boolean): { atMs: number; missed: number } | "invalid" | undefined {
  let earliest = parseTime(lastScheduleTime ?? cj.metadata.creationTimestamp) ?? now;
  const { startingDeadlineSeconds } = cj.spec;
  if (withDeadline && startingDeadlineSeconds !== undefined) earliest = Math.max(earliest, now - startingDeadlineSeconds * 1000);
  const first = schedule.next(earliest);
  const second = first === undefined ? undefined : schedule.next(first);
  if (first === undefined || second === undefined) return first !== undefined && first <= now ? { atMs: first, missed: 0 } : "invalid";
  if (now < first) return undefined;
  if (now < second) return { atMs: first, missed: 0 };
  const between = Math.round((second - first) / 1000);
  if (between < 1) return "invalid";
  const missed = Math.floor(Math.floor((now - first) / 1000) / between) + 1;
  // A leap over what is surely past, then step by step.
  let atMs = schedule.next(first + (missed - 2) * between * 1000) ?? first;
  if (atMs > now) atMs = first;
  for (let next = schedule.next(atMs); next !== undefined && next <= now; next = schedule.next(next)) atMs = next;
  return { atMs, missed };
}

/** Milliseconds to the next visit. Follows nextScheduleTimeDuration. */
function msToNext(cj: CronJob, status: CronJobStatus, schedule: Schedule, now: number): number {
  const recent = mostRecent(cj, status, schedule, now, false);
  const from = recent === "invalid" ? now : recent?.atMs ?? parseTime(status.lastScheduleTime ?? cj.metadata.creationTimestamp) ?? now;
  return Math.max(0, (schedule.next(from) ?? now) + DELTA_MS - now);
}

/** Jobs that did not start come last. Follows byJobStartTime. */
function byStart(a: Job, b: Job): number {
  const [x, y] = [parseTime(a.status.startTime ?? "") ?? Infinity, parseTime(b.status.startTime ?? "") ?? Infinity];
  return x !== y ? x - y : a.metadata.name < b.metadata.name ? -1 : 1;
}

const WEEKDAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** As Go's time.RFC1123Z prints UTC. */
function rfc1123z(ms: number): string {
  const d = new Date(ms);
  return `${WEEKDAYS[d.getUTCDay()]}, ${String(d.getUTCDate()).padStart(2, "0")} ${MONTHS[d.getUTCMonth()]} ${d.getUTCFullYear()} ${d.toISOString().slice(11, 19)} +0000`;
}
