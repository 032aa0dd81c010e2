/** Events about pods and the node, with equal ones counted instead of repeated (client-go tools/record). */
import type { Event, ObjectReference } from "../api/types.generated.ts";
import type { Clock } from "../time/clock.ts";
import type { Api } from "./api.ts";
import { rfc3339 } from "./time.ts";

export interface EventRecorder {
  event(about: ObjectReference, type: "Normal" | "Warning", reason: string, message: string): void;
}

/** Names follow upstream's: object, dot, the time in hexadecimal nanoseconds. */
export function newEventRecorder(api: Api, clock: Clock, component: string, host: string): EventRecorder {
  const seen = new Map<string, Event>();
  let last = 0;
  // One after the other, so that a count never overtakes the event it counts.
  let queue: Promise<unknown> = Promise.resolve();
  const write = async (key: string, about: ObjectReference, type: string, reason: string, message: string): Promise<void> => {
    const now = rfc3339(clock.nowMs());
    const namespace = about.namespace === undefined || about.namespace === "" ? "default" : about.namespace;
    const path = `/api/v1/namespaces/${namespace}/events`;
    const before = seen.get(key);
    if (before !== undefined) {
      const next = { ...before, count: (before.count ?? 1) + 1, lastTimestamp: now };
      seen.set(key, await api.put<Event>(`${path}/${before.metadata.name}`, next));
      return;
    }
    last = Math.max(last + 1, Math.floor(clock.nowMs()) * 1000);
    const event = {
      apiVersion: "v1", kind: "Event",
      metadata: { name: `${about.name ?? ""}.${(last * 1000).toString(16)}`, namespace },
      involvedObject: about, reason, message, source: { component, host }, firstTimestamp: now, lastTimestamp: now, count: 1,
      type, reportingComponent: component, reportingInstance: host,
    };
    seen.set(key, await api.post<Event>(path, event));
    if (seen.size > 1000) seen.delete(seen.keys().next().value!);
  };
  return {
    event(about, type, reason, message) {
      const key = `${about.uid ?? ""}/${about.fieldPath ?? ""}/${type}/${reason}/${message}`;
      // An event that cannot be written is lost, as upstream's are after some tries.
      queue = queue.then(() => write(key, about, type, reason, message)).catch(() => undefined);
    },
  };
}
