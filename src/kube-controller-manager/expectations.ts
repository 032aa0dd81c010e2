/**
 * What a controller has asked for and not yet seen in its cache. Follows
 * pkg/controller/controller_utils.go (UIDTrackingControllerExpectations).
 */
import type { Clock } from "../time/clock.ts";

export interface Expectations {
  /** Whether everything asked for was seen (or 5 minutes went by). */
  satisfied(key: string): boolean;
  expectCreations(key: string, count: number): void;
  expectDeletions(key: string, podKeys: readonly string[]): void;
  creationObserved(key: string): void;
  deletionObserved(key: string, podKey: string): void;
  delete(key: string): void;
}

/** What was not seen for so long is not waited for any more (ExpectationsTimeout). */
export const EXPECTATIONS_TIMEOUT_MS = 5 * 60_000;

export function createExpectations(clock: Clock): Expectations {
  const entries = new Map<string, { adds: number; deletions: Set<string>; atMs: number }>();
  return {
    satisfied(key) {
      const entry = entries.get(key);
      return entry === undefined || (entry.adds <= 0 && entry.deletions.size === 0) || clock.nowMs() - entry.atMs > EXPECTATIONS_TIMEOUT_MS;
    },
    expectCreations(key, count) {
      entries.set(key, { adds: count, deletions: new Set(), atMs: clock.nowMs() });
    },
    expectDeletions(key, podKeys) {
      entries.set(key, { adds: 0, deletions: new Set(podKeys), atMs: clock.nowMs() });
    },
    creationObserved(key) {
      const entry = entries.get(key);
      if (entry !== undefined) entry.adds--;
    },
    deletionObserved(key, podKey) {
      entries.get(key)?.deletions.delete(podKey);
    },
    delete(key) {
      entries.delete(key);
    },
  };
}
