/**
 * Writes pods' statuses to the API server: the latest of each, one request at a time, and takes the objects of pods away that have
 * ended here. Follows kubernetes pkg/kubelet/status/status_manager.go.
 */
import { deepEqual } from "../../apimachinery/meta.ts";
import { isConflict, isNotFound } from "../../apimachinery/status.ts";
import type { Pod, PodCondition, PodStatus } from "../../api/types.generated.ts";
import type { Client } from "../../client/client.ts";
import type { Logger } from "../../log.ts";
import type { Cancel, Clock } from "../../time/clock.ts";
import { OWN_CONDITIONS } from "./conditions.ts";

interface Entry {
  readonly uid: string;
  /** As the API server knows it; null: it does not. */
  pod: Pod | null;
  latest: PodStatus;
  /** What the API server has of us. */
  sent: PodStatus | undefined;
  busy: Promise<void> | undefined;
  /** Somebody else has written our part of it: when that is looked at. */
  reconcile: Cancel | undefined;
}

/** So often pods are looked through for statuses that are not as they were sent (syncPeriod). */
const SYNC_MS = 10_000;

export class StatusManager {
  private readonly client: Client;
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly entries = new Map<string, Entry>();

  constructor(client: Client, clock: Clock, log: Logger) {
    this.client = client;
    this.clock = clock;
    this.log = log;
  }

  /** The status made last. */
  get(uid: string): PodStatus | undefined {
    return this.entries.get(uid)?.latest;
  }

  /** `known`: the object to write it to, where that is another one, or none. */
  set(pod: Pod, status: PodStatus, known: Pod | null = pod): void {
    const { uid } = pod.metadata;
    let entry = this.entries.get(uid);
    if (entry === undefined) this.entries.set(uid, (entry = { uid, pod: known, latest: status, sent: undefined, busy: undefined, reconcile: undefined }));
    if (entry.pod?.metadata.uid !== known?.metadata.uid) entry.sent = undefined;
    entry.pod = known;
    entry.latest = status;
    this.write(entry);
  }

  private write(entry: Entry): void {
    if (entry.pod !== null) entry.busy ??= this.flush(entry).finally(() => (entry.busy = undefined));
  }

  /** How the API server has the pod: where others have changed what is ours, such as the node's controller its Ready, it is written again. Follows needsReconcile. */
  observed(pod: Pod): void {
    const entry = this.entries.get(pod.metadata.uid);
    if (entry?.pod?.metadata.uid !== pod.metadata.uid) return;
    entry.pod = pod;
    if (entry.reconcile !== undefined || entry.sent === undefined || statusPatch(pod.status, entry.sent, true) === undefined) return;
    // Most often it is only older than what was sent since.
    entry.reconcile = this.clock.after(SYNC_MS, () => {
      entry.reconcile = undefined;
      if (this.entries.get(entry.uid) !== entry || entry.pod === null || statusPatch(entry.pod.status, entry.latest, true) === undefined) return;
      entry.sent = undefined;
      this.write(entry);
    });
  }

  forget(uid: string): void {
    this.entries.get(uid)?.reconcile?.();
    this.entries.delete(uid);
  }

  /** After all that was to be written, deletes the pod's object, if it is to go. */
  async delete(pod: Pod): Promise<void> {
    const { uid, namespace, name } = pod.metadata;
    await this.entries.get(uid)?.busy;
    for (let delayMs = 1000; ; delayMs = Math.min(delayMs * 2, 60_000)) {
      try {
        await this.client.pods.delete(namespace ?? "default", name, { gracePeriodSeconds: 0, preconditions: { uid } });
        return;
      } catch (error) {
        if (isNotFound(error) || (isConflict(error) && (await this.replaced(pod)))) return;
        this.log.error("Failed to delete status for pod", { pod: `${namespace ?? ""}/${name}`, err: String(error) });
        await this.clock.sleep(delayMs);
      }
    }
  }

  /** Whether the pod's name is another one's by now. */
  private async replaced({ metadata: { uid, namespace, name } }: Pod): Promise<boolean> {
    try {
      return (await this.client.pods.get(namespace ?? "default", name)).metadata.uid !== uid;
    } catch (error) {
      return isNotFound(error);
    }
  }

  private async flush(entry: Entry): Promise<void> {
    while (this.entries.get(entry.uid) === entry && entry.pod !== null) {
      const { pod, latest: status } = entry;
      const { uid } = pod.metadata;
      const former = entry.sent ?? pod.status;
      const patch = statusPatch(former, status, entry.sent === undefined);
      if (patch === undefined) {
        entry.sent = status;
        return;
      }
      try {
        await this.client.pods.patch(pod.metadata.namespace ?? "default", pod.metadata.name, "strategic", { metadata: { uid }, status: patch }, "status");
        entry.sent = status;
      } catch (error) {
        if (isNotFound(error) || (isConflict(error) && (await this.replaced(pod)))) return;
        this.log.error("Failed to update status for pod", { pod: pod.metadata.name, err: String(error) });
        await this.clock.sleep(1000);
      }
      if (entry.latest === entry.sent) return;
    }
  }
}

const MERGED_BY_IP: ReadonlySet<string> = new Set(["podIPs", "hostIPs"]);

/** A strategic merge patch: conditions of others are left alone. Undefined: there is nothing to say. */
export function statusPatch(former: PodStatus, status: PodStatus, first: boolean): Record<string, unknown> | undefined {
  const patch: Record<string, unknown> = {};
  const before = former as Readonly<Record<string, unknown>>, now = status as Readonly<Record<string, unknown>>;
  for (const key of new Set([...Object.keys(now), ...(first ? [] : Object.keys(before))])) {
    if (key === "conditions" || deepEqual(before[key], now[key])) continue;
    patch[key] = now[key] === undefined ? null : MERGED_BY_IP.has(key) ? [...(now[key] as unknown[]), { $patch: "replace" }] : now[key];
  }
  // A reason and message of a phase that is over go with it.
  if (first) for (const key of ["reason", "message"]) if (before[key] !== undefined && now[key] === undefined) patch[key] = null;
  const known = new Map((former.conditions ?? []).map((condition) => [condition.type, condition]));
  const changed = (status.conditions ?? []).filter((condition) => ours(condition) && !deepEqual(plain(known.get(condition.type)), plain(condition)));
  if (changed.length > 0) {
    patch["conditions"] = changed.map((condition) => cleared(known.get(condition.type), condition));
    patch["$setElementOrder/conditions"] = (status.conditions ?? []).map(({ type }) => ({ type }));
  }
  return Object.keys(patch).length === 0 ? undefined : patch;
}

const ours = ({ type }: PodCondition): boolean => OWN_CONDITIONS.has(type) || type === "DisruptionTarget";

const plain = (condition: PodCondition | undefined): unknown => condition && [condition.status, condition.reason, condition.message, condition.lastTransitionTime];

/** Fields that a condition had and has no more are taken away by name. */
function cleared(before: PodCondition | undefined, now: PodCondition): Record<string, unknown> {
  const out: Record<string, unknown> = { ...now };
  for (const key of ["reason", "message"] as const) if (before?.[key] !== undefined && now[key] === undefined) out[key] = null;
  return out;
}
