/**
 * What the workload controllers of a complete cluster share: creating and deleting pods with their events, adoption
 * and release, slow start, numeric expectations, the order in which pods are deleted. Follows
 * pkg/controller/controller_utils.go and controller_ref_manager.go.
 */
import type { LabelSelector, ObjectMeta, OwnerReference, Pod, PodTemplateSpec } from "../api/types.generated.ts";
import { apiVersionOf } from "../api/resources.ts";
import { controllerOf, newControllerRef } from "../apimachinery/meta.ts";
import type { Draft, KubeObject } from "../apimachinery/meta.ts";
import { labelSelector, matches } from "../apimachinery/selectors.ts";
import type { Selector } from "../apimachinery/selectors.ts";
import { isConflict, isNamespaceTerminating, isNotFound } from "../apimachinery/status.ts";
import { parseTime } from "../apimachinery/time.ts";
import type { Client, ResourceClient } from "../client/client.ts";
import type { EventRecorder } from "../client/events.ts";
import type { Informer, Lister } from "../client/informer.ts";
import { BY_OWNER } from "../client/informer.ts";
import type { Clock } from "../time/clock.ts";
import { EXPECTATIONS_TIMEOUT_MS } from "./expectations.ts";
import { isPodReady, readyCondition } from "./controller-context.ts";

/** The first batch of creations; each that succeeds whole is followed by one twice as large (SlowStartInitialBatchSize). */
export const SLOW_START_INITIAL = 1;
/** The index of objects without a controller, by namespace. */
export const ORPHANS = "orphans";
/** The label of the revision that a pod of a StatefulSet or DaemonSet was made of (ControllerRevisionHashLabelKey). */
export const REVISION_HASH = "controller-revision-hash";

/** An object of a resource with its kind, which items of lists do not carry. */
export const typedAs = <T extends { metadata: ObjectMeta }>(client: ResourceClient<T>, object: T): T & KubeObject =>
  ({ ...object, kind: client.resource.kind, apiVersion: apiVersionOf(client.resource) });

export const messageOf = (e: unknown): string => (e instanceof Error ? e.message : String(e));

export const isTerminating = (object: { metadata: ObjectMeta }): boolean => object.metadata.deletionTimestamp !== undefined;

/** Follows controller.IsPodTerminal. */
export const isPodTerminal = ({ status: { phase } }: Pod): boolean => phase === "Failed" || phase === "Succeeded";

/** Adds the index {@link ORPHANS}. */
export function indexOrphans<T extends { metadata: ObjectMeta }>(informer: Informer<T>): void {
  informer.addIndex(ORPHANS, (object) => (controllerOf(object) === undefined && object.metadata.namespace !== undefined ? [object.metadata.namespace] : []));
}

/** A pod of a template, owned by `owner`. Follows GetPodFromTemplate. */
export function podFromTemplate({ metadata, spec }: PodTemplateSpec, owner: KubeObject, generateName?: string): Draft<Pod> {
  const prefix = generateName ?? `${owner.metadata.name}-`;
  return {
    metadata: {
      generateName: prefix,
      namespace: owner.metadata.namespace,
      ...(metadata.labels === undefined ? {} : { labels: metadata.labels }),
      ...(metadata.annotations === undefined ? {} : { annotations: metadata.annotations }),
      ...(metadata.finalizers === undefined ? {} : { finalizers: metadata.finalizers }),
      ownerReferences: [newControllerRef(owner)],
    },
    spec,
  };
}

/** Creates and deletes pods of an owner, and tells of it by events. Follows RealPodControl. */
export interface PodControl {
  /** Throws what the server answers; the event is written either way. */
  create(template: PodTemplateSpec, owner: KubeObject, signal: AbortSignal, generateName?: string): Promise<Pod>;
  delete(namespace: string, name: string, owner: KubeObject, signal: AbortSignal): Promise<void>;
}

export function createPodControl(client: Client, recorder: EventRecorder): PodControl {
  return {
    async create(template, owner, signal, generateName) {
      try {
        const pod = await client.pods.create(podFromTemplate(template, owner, generateName), signal);
        recorder.event(owner, "Normal", "SuccessfulCreate", `Created pod: ${pod.metadata.name}`);
        return pod;
      } catch (e) {
        if (!isNamespaceTerminating(e)) recorder.event(owner, "Warning", "FailedCreate", `Error creating: ${messageOf(e)}`);
        throw e;
      }
    },
    async delete(namespace, name, owner, signal) {
      try {
        await client.pods.delete(namespace, name, undefined, signal);
      } catch (e) {
        if (!isNotFound(e)) recorder.event(owner, "Warning", "FailedDelete", `Error deleting: ${messageOf(e)}`);
        throw e;
      }
      recorder.event(owner, "Normal", "SuccessfulDelete", `Deleted pod: ${name}`);
    },
  };
}

export interface BatchResult {
  succeeded: number;
  /** How many were never tried. */
  skipped: number;
  /** The first failure. */
  error: unknown;
}

/** Calls `fn` for 0…count-1 in batches of 1, 2, 4, … and stops after the first batch with a failure. Follows slowStartBatch. */
export async function slowStartBatch(count: number, fn: (index: number) => Promise<unknown>): Promise<BatchResult> {
  let succeeded = 0;
  let at = 0;
  let error: unknown;
  for (let size = SLOW_START_INITIAL; at < count && error === undefined; size *= 2) {
    const batch = Math.min(size, count - at);
    const start = at;
    const results = await Promise.allSettled(Array.from({ length: batch }, (_, i) => fn(start + i)));
    for (const result of results) {
      if (result.status === "fulfilled") succeeded++;
      else error ??= result.reason ?? new Error("failed");
    }
    at += batch;
  }
  return { succeeded, skipped: count - at, error };
}

/** How many creations and deletions were asked for and are not yet seen. Follows ControllerExpectations. */
export interface CountedExpectations {
  satisfied(key: string): boolean;
  set(key: string, creations: number, deletions: number): void;
  creationObserved(key: string, count?: number): void;
  deletionObserved(key: string): void;
  delete(key: string): void;
}


export function createCountedExpectations(clock: Clock): CountedExpectations {
  const entries = new Map<string, { creations: number; deletions: number; atMs: number }>();
  return {
    satisfied(key) {
      const entry = entries.get(key);
      return entry === undefined || (entry.creations <= 0 && entry.deletions <= 0) || clock.nowMs() - entry.atMs > EXPECTATIONS_TIMEOUT_MS;
    },
    set: (key, creations, deletions) => void entries.set(key, { creations, deletions, atMs: clock.nowMs() }),
    creationObserved(key, count = 1) {
      const entry = entries.get(key);
      if (entry !== undefined) entry.creations -= count;
    },
    deletionObserved(key) {
      const entry = entries.get(key);
      if (entry !== undefined) entry.deletions--;
    },
    delete: (key) => void entries.delete(key),
  };
}

export interface ClaimOptions<T> {
  owner: KubeObject;
  selector: Selector;
  /** Beside the selector; what does not pass is neither adopted nor released. */
  filter?: (object: T) => boolean;
  /** Finalizers that adopted objects get. */
  finalizers?: readonly string[];
}

/**
 * The objects of an owner: its own whose labels fit, orphans adopted, those that no longer fit released. Needs the
 * indexes BY_OWNER and {@link ORPHANS}. Follows ControllerRefManager.
 */
export async function claimObjects<T extends { metadata: ObjectMeta }>(
  client: ResourceClient<T>, lister: Lister<T>, { owner, selector, filter = () => true, finalizers = [] }: ClaimOptions<T>, fresh: () => Promise<{ metadata: ObjectMeta }>, signal: AbortSignal,
): Promise<T[]> {
  const namespace = owner.metadata.namespace!;
  const { uid } = owner.metadata;
  const claimed: T[] = [];
  for (const object of lister.byIndex(BY_OWNER, uid)) {
    if (controllerOf(object)?.uid !== uid) continue;
    if (matches(selector, object.metadata.labels) && filter(object)) claimed.push(object);
    else if (!isTerminating(owner) && !isTerminating(object)) await release(client, object, uid, signal);
  }
  if (isTerminating(owner)) return claimed;
  let mayAdopt = false;
  for (const object of lister.byIndex(ORPHANS, namespace)) {
    if (isTerminating(object) || !matches(selector, object.metadata.labels) || !filter(object)) continue;
    if (!mayAdopt) await canAdopt(owner, fresh);
    mayAdopt = true;
    const metadata = { uid: object.metadata.uid, ownerReferences: [newControllerRef(owner)], ...(finalizers.length === 0 ? {} : { finalizers }) };
    try {
      claimed.push(await client.patch(namespace, object.metadata.name, "strategic", { metadata }, undefined, signal));
    } catch (e) {
      if (!isNotFound(e)) throw e;
    }
  }
  return claimed;
}

async function release<T extends { metadata: ObjectMeta }>(client: ResourceClient<T>, { metadata: { namespace, name, uid } }: T, ownerUid: string, signal: AbortSignal): Promise<void> {
  try {
    await client.patch(namespace!, name, "strategic", { metadata: { uid, ownerReferences: [{ $patch: "delete", uid: ownerUid }] } }, undefined, signal);
  } catch (e) {
    // Gone, or no longer what it was: either way it is not ours.
    if (!isNotFound(e)) throw e;
  }
}

/** Adoption asks the server whether the owner is still the same and alive. Follows RecheckDeletionTimestamp and the uid check. */
async function canAdopt(owner: KubeObject, fresh: () => Promise<{ metadata: ObjectMeta }>): Promise<void> {
  const { namespace, name, uid } = owner.metadata;
  const live = await fresh();
  if (live.metadata.uid !== uid) throw new Error(`original ${owner.kind} ${namespace}/${name} is gone: got uid ${live.metadata.uid}, wanted ${uid}`);
  if (isTerminating(live)) throw new Error(`${namespace}/${name} has just been deleted at ${live.metadata.deletionTimestamp}`);
}

/** The owner in the cache, when its uid fits the reference. Follows resolveControllerRef. */
export function resolveControllerRef<T extends { metadata: ObjectMeta }>(lister: Lister<T>, kind: string, namespace: string, ref: OwnerReference | undefined): T | undefined {
  if (ref?.kind !== kind) return undefined;
  const owner = lister.get(namespace, ref.name);
  return owner?.metadata.uid === ref.uid ? owner : undefined;
}

/** The owners whose selector fits an orphan. Follows the listers' GetPod… expansions: an empty selector fits nothing. */
export function selecting<T extends { metadata: ObjectMeta; spec: { selector?: LabelSelector | undefined } }>(lister: Lister<T>, pod: Pod): T[] {
  return lister.list(pod.metadata.namespace).filter(({ spec: { selector } }) => {
    const parsed = labelSelector(selector);
    return parsed.requirements.length > 0 && matches(parsed, pod.metadata.labels);
  });
}

/** Writes a status, with the newest version of the object when the cached one is outdated. */
export async function updateStatus<T extends { metadata: ObjectMeta; status?: unknown }>(client: ResourceClient<T>, object: T, status: NonNullable<T["status"]>, signal: AbortSignal): Promise<T> {
  try {
    return await client.updateStatus({ ...object, status } as Draft<T>, signal);
  } catch (e) {
    if (!isConflict(e)) throw e;
    const live = await client.get(object.metadata.namespace ?? "", object.metadata.name, signal);
    if (live.metadata.uid !== object.metadata.uid) throw e;
    return client.updateStatus({ ...live, status } as Draft<T>, signal);
  }
}

/** The value of an int-or-percent field. Follows intstr.GetScaledValueFromIntOrPercent; throws for other texts. */
export function scaledValue(value: number | string | undefined, total: number, roundUp: boolean): number {
  if (value === undefined) return 0;
  if (typeof value === "number") return value;
  if (!/^[+-]?\d+%$/.test(value)) throw new Error(`invalid value for IntOrString: invalid type: string is not a percentage`);
  const percent = Number.parseInt(value, 10);
  return roundUp ? Math.ceil((percent * total) / 100) : Math.floor((percent * total) / 100);
}

const PHASES: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 };

const maxRestarts = (pod: Pod): number => Math.max(0, ...(pod.status.containerStatuses ?? []).map((c) => c.restartCount));

/** A time of which the later comes first, and none before any. Follows afterOrZero. */
function laterFirst(a: string | undefined, b: string | undefined): number {
  const [x, y] = [parseTime(a ?? ""), parseTime(b ?? "")];
  if (x === y) return 0;
  if (x === undefined) return -1;
  if (y === undefined) return 1;
  return y - x;
}

/** The order in which surplus pods go: negative when `a` goes first. Follows controller.ActivePods. */
export function activePodsOrder(a: Pod, b: Pod): number {
  const assigned = Number(a.spec.nodeName !== undefined) - Number(b.spec.nodeName !== undefined);
  if (assigned !== 0) return assigned;
  const phase = (PHASES[a.status.phase ?? ""] ?? 0) - (PHASES[b.status.phase ?? ""] ?? 0);
  if (phase !== 0) return phase;
  const ready = Number(isPodReady(a)) - Number(isPodReady(b));
  if (ready !== 0) return ready;
  if (isPodReady(a)) {
    const since = laterFirst(readyCondition(a)?.lastTransitionTime, readyCondition(b)?.lastTransitionTime);
    if (since !== 0) return since;
  }
  const restarts = maxRestarts(b) - maxRestarts(a);
  return restarts !== 0 ? restarts : laterFirst(a.metadata.creationTimestamp, b.metadata.creationTimestamp);
}
