/**
 * Events, as components report them. Follows k8s.io/client-go/tools/record: the same event again raises its count
 * instead of making another object.
 */
import type { Draft, KubeObject } from "../apimachinery/meta.ts";
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

export function createEventRecorder(client: Client, clock: Clock, log: Logger, source: { component: string; host?: string }): EventRecorder {
  const seen = new Map<string, Promise<Event | undefined>>();
  return {
    event(about, type, reason, message, fieldPath) {
      const { namespace, name, uid } = about.metadata;
      const key = `${about.kind}/${namespace ?? ""}/${name}/${uid}/${fieldPath ?? ""}/${type}/${reason}/${message}`;
      const time = formatTime(clock.nowMs());
      const previous = seen.get(key);
      const write = async (): Promise<Event | undefined> => {
        try {
          const last = await previous;
          if (last !== undefined) {
            const count = (last.count ?? 1) + 1;
            return await client.events.patch(last.metadata.namespace!, last.metadata.name, "merge", { count, lastTimestamp: time });
          }
          return await client.events.create(newEvent(about, type, reason, message, fieldPath, time, clock, source));
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

function newEvent(about: KubeObject, type: string, reason: string, message: string, fieldPath: string | undefined, time: string, clock: Clock, source: { component: string; host?: string }): Draft<Event> {
  const { namespace, name, uid, resourceVersion } = about.metadata;
  return {
    metadata: { name: `${name}.${Math.floor(clock.nowMs() * 1e6).toString(16)}${(clock.nowNs() % 0x10000).toString(16).padStart(4, "0")}`, namespace: namespace ?? "default" },
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
