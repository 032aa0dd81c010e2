/**
 * Events, as components report them. Follows k8s.io/client-go/tools/record: the same event again raises its count
 * instead of making another object.
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
  return {
    event(about, type, reason, message, fieldPath) {
      const { namespace, name, uid } = about.metadata;
      const key = `${about.kind}/${namespace ?? ""}/${name}/${uid}/${fieldPath ?? ""}/${type}/${reason}/${message}`;
      const now = clock.nowMs();
      const time = formatTime(now);
      const previous = seen.get(key);
      const write = async (): Promise<Event | undefined> => {
        try {
          const written = await previous;
          if (written !== undefined) {
            const count = (written.count ?? 1) + 1;
            return await client.events.patch(written.metadata.namespace!, written.metadata.name, "merge", { count, lastTimestamp: time });
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
      if (seen.size >= REMEMBERED_MAX) for (const oldest of seen.keys()) {
        seen.delete(oldest);
        break;
      }
      seen.delete(key);
      seen.set(key, write());
    },
  };
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
