/**
 * Events as the scheduler reports them: in the form of events.k8s.io, where what happens again to an object in the same state becomes a
 * series of one event. Follows k8s.io/client-go/tools/events (event_broadcaster.go, event_recorder.go).
 */
import { formatMicroTime } from "../apimachinery/time.ts";
import type { KubeObject } from "../apimachinery/meta.ts";
import type { Client } from "../client/client.ts";
import type { Logger } from "../log.ts";
import type { Clock } from "../time/clock.ts";

export interface StructuredRecorder {
  /** Never fails and never waits. `related`: the other object that it is about. */
  event(regarding: KubeObject, related: KubeObject | undefined, type: "Normal" | "Warning", reason: string, action: string, note: string): void;
}

/** How many events are remembered for their series. */
const REMEMBERED_MAX = 4096;
/** NoteLengthLimit. */
const NOTE_MAX = 1024;

export function createStructuredRecorder(client: Client, clock: Clock, log: Logger, controller: string, instance: string): StructuredRecorder {
  /** By what was reported of whom: the event, once it is written, and how often it came again. */
  const seen = new Map<string, { name: Promise<string | undefined>; count: number }>();
  let last = 0;

  return {
    event(regarding, related, type, reason, action, text) {
      const { namespace = "default", name, uid, resourceVersion } = regarding.metadata;
      const key = `${regarding.kind}/${uid}/${resourceVersion}/${type}/${reason}/${action}/${related?.metadata.uid ?? ""}`;
      const nowMs = clock.nowMs();
      const time = formatMicroTime(nowMs);
      const before = seen.get(key);
      if (before !== undefined) {
        before.count++;
        // The first time again is written at once; upstream writes later counts every half hour.
        if (before.count === 1) void again(before.name, namespace, time);
        return;
      }
      // Names end in the nanosecond; where time stands still between two events, the next one is taken.
      last = Math.max(last + 1, Math.floor(nowMs * 1000) * 1000);
      const eventName = `${name}.${BigInt(last).toString(16)}`;
      const message = text.length > NOTE_MAX ? `${text.slice(0, NOTE_MAX - 4)} ...` : text;
      const written = client.events.create({
        metadata: { name: eventName, namespace },
        involvedObject: referenceTo(regarding),
        ...(related === undefined ? {} : { related: referenceTo(related) }),
        type, reason, action, message, eventTime: time, reportingComponent: controller, reportingInstance: instance, source: {},
      }).then(() => eventName, (e: unknown) => {
        log.error("Unable to write event", { reason, err: e });
        return undefined;
      });
      seen.set(key, { name: written, count: 0 });
      if (seen.size > REMEMBERED_MAX) for (const oldest of seen.keys()) {
        seen.delete(oldest);
        break;
      }
    },
  };

  async function again(written: Promise<string | undefined>, namespace: string, time: string): Promise<void> {
    const name = await written;
    if (name === undefined) return;
    try {
      await client.events.patch(namespace, name, "strategic", { series: { count: 1, lastObservedTime: time } });
    } catch (e) {
      log.error("Unable to write event", { event: name, err: e });
    }
  }
}

const referenceTo = ({ apiVersion, kind, metadata: { name, namespace, uid, resourceVersion } }: KubeObject): Record<string, string> => ({
  apiVersion: apiVersion!, kind: kind!, name, ...(namespace === undefined ? {} : { namespace }), uid: uid!, resourceVersion: resourceVersion!,
});
