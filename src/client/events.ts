/**
 * Events, as components report them. Follows k8s.io/client-go/tools/record: the same event again raises its count
 * instead of making another object, and many alike are combined into one.
 */
import type { Draft, KubeObject } from "../apimachinery/meta.ts";
import { isAlreadyExists } from "../apimachinery/status.ts";
import { formatTime } from "../apimachinery/time.ts";
import type { Event } from "../api/types.generated.ts";
import type { Logger } from "../log.ts";
import type { Clock } from "../time/clock.ts";
import type { Client } from "./client.ts";

export interface EventRecorder {
  /** Never fails and never waits: an event that cannot be written is logged and lost. */
  event(about: KubeObject, type: "Normal" | "Warning", reason: string, message: string, fieldPath?: string): void;
}

/** How many distinct events are remembered for counting (upstream's LRU has 4096). */
const REMEMBERED_MAX = 4096;
/** So many different messages of one reason about one object, within so long, are combined (events_cache.go). */
const SIMILAR_MAX = 10;
const SIMILAR_WITHIN_MS = 600_000;
/** How many names are tried for one event. */
const ATTEMPTS_MAX = 1000;

export function createEventRecorder(client: Client, clock: Clock, log: Logger, source: { component: string; host?: string }): EventRecorder {
  const seen = new Map<string, Promise<Event | undefined>>();
  let last = 0n;
  /** Upstream's names end in the nanosecond; where time stands still between two events, the next one is taken. */
  const nextSuffix = (nowMs: number): string => {
    const ns = BigInt(Math.floor(nowMs * 1000)) * 1000n;
    last = ns > last ? ns : last + 1n;
    return last.toString(16);
  };
  const similar = new Map<string, { messages: Set<string>; lastMs: number }>();
  /** Whether this is the tenth different message about the same thing within ten minutes. Follows EventAggregate. */
  const isOneTooMany = (group: string, message: string, nowMs: number): boolean => {
    let record = similar.get(group);
    if (record === undefined || nowMs - record.lastMs > SIMILAR_WITHIN_MS) record = { messages: new Set(), lastMs: nowMs };
    similar.delete(group);
    similar.set(group, record);
    dropOldest(similar);
    record.lastMs = nowMs;
    record.messages.add(message);
    if (record.messages.size < SIMILAR_MAX) return false;
    for (const oldest of record.messages) {
      record.messages.delete(oldest);
      break;
    }
    return true;
  };
  return {
    event(about, type, reason, message, fieldPath) {
      const { namespace, name, uid } = about.metadata;
      const group = `${about.kind}/${namespace ?? ""}/${name}/${uid}/${fieldPath ?? ""}/${type}/${reason}`;
      let key = `${group}/${message}`;
      if (isOneTooMany(group, message, clock.nowMs())) {
        key = group;
        message = `(combined from similar events): ${message}`;
      }
      const now = clock.nowMs();
      const time = formatTime(now);
      const previous = seen.get(key);
      const write = async (): Promise<Event | undefined> => {
        try {
          const written = await previous;
          if (written !== undefined) {
            const count = (written.count ?? 1) + 1;
            return await client.events.patch(written.metadata.namespace!, written.metadata.name, "merge", { count, message, lastTimestamp: time });
          }
          for (let attempt = 0; ; attempt++) {
            try {
              return await client.events.create(newEvent(about, nextSuffix(now), type, reason, message, fieldPath, time, source));
            } catch (e) {
              // Another component took the same nanosecond for the same object.
              if (!isAlreadyExists(e) || attempt >= ATTEMPTS_MAX) throw e;
            }
          }
        } catch (e) {
          log.error("Unable to write event", { reason, err: e });
          return undefined;
        }
      };
      seen.delete(key);
      seen.set(key, write());
      dropOldest(seen);
    },
  };
}

function dropOldest(map: Map<string, unknown>): void {
  if (map.size <= REMEMBERED_MAX) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    break;
  }
}

function newEvent(about: KubeObject, suffix: string, type: string, reason: string, message: string, fieldPath: string | undefined, time: string, source: { component: string; host?: string }): Draft<Event> {
  const { namespace, name, uid, resourceVersion } = about.metadata;
  return {
    metadata: { name: `${name}.${suffix}`, namespace: namespace ?? "default" },
    involvedObject: {
      apiVersion: about.apiVersion, kind: about.kind, name, uid, resourceVersion,
      ...(namespace === undefined ? {} : { namespace }),
      ...(fieldPath === undefined ? {} : { fieldPath }),
    },
    type,
    reason,
    message,
    source,
    firstTimestamp: time,
    lastTimestamp: time,
    count: 1,
    reportingComponent: source.component,
    reportingInstance: source.host ?? "",
  };
}
