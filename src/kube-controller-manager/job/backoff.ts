/** The pause before a failed pod is replaced: 10 s doubling to 10 min. Follows pkg/controller/job/backoff_utils.go. */
import type { Pod } from "../../api/types.generated.ts";
import { parseTime } from "../../apimachinery/time.ts";

const INITIAL_MS = 10_000;
const MAX_MS = 600_000;

export interface BackoffRecord {
  failures: number;
  /** Milliseconds since the epoch. */
  lastFailureMs: number;
}

/** When a pod ended, in milliseconds since the epoch. Follows getFinishedTime. */
export function finishedAt({ metadata, status }: Pod): number {
  const ends = (status.containerStatuses ?? []).map(({ state }) => parseTime(state?.terminated?.finishedAt ?? ""));
  if (ends.length > 0 && ends.every((end) => end !== undefined)) return Math.max(...ends);
  const ready = status.conditions?.find(({ type, status: value }) => type === "Ready" && value === "False");
  const unready = parseTime(ready?.lastTransitionTime ?? "");
  if (unready !== undefined) return unready;
  const deletion = parseTime(metadata.deletionTimestamp ?? "");
  if (deletion !== undefined) return deletion - (metadata.deletionGracePeriodSeconds ?? 0) * 1000;
  return parseTime(metadata.creationTimestamp) ?? 0;
}

/** The record after these pods ended. Follows newBackoffRecord. */
export function nextRecord(previous: BackoffRecord | undefined, succeeded: readonly Pod[], failed: readonly Pod[]): BackoffRecord | undefined {
  if (succeeded.length === 0 && failed.length === 0) return previous;
  const times = failed.map(finishedAt);
  if (succeeded.length === 0) return { failures: (previous?.failures ?? 0) + failed.length, lastFailureMs: Math.max(...times) };
  const lastSuccess = Math.max(...succeeded.map(finishedAt));
  const after = times.filter((time) => time > lastSuccess);
  return after.length === 0 ? undefined : { failures: after.length, lastFailureMs: Math.max(...after) };
}

/** Milliseconds still to wait. Follows getRemainingTimeForFailuresCount. */
export function remainingMs(record: BackoffRecord | undefined, nowMs: number): number {
  if (record === undefined || record.failures === 0) return 0;
  const pause = Math.min(MAX_MS, INITIAL_MS * 2 ** Math.min(record.failures - 1, 20));
  return Math.max(0, record.lastFailureMs + pause - nowMs);
}
