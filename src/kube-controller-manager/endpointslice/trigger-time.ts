/**
 * When that happened which an update of endpoints tells of (`endpoints.kubernetes.io/last-change-trigger-time`). Follows
 * k8s.io/endpointslice/util/trigger_time_tracker.go.
 */
import type { Pod, Service } from "../../api/types.generated.ts";

export interface TriggerTimeTracker {
  /** The earliest change since the last call for this key; undefined when there is none. */
  compute(key: string, service: Service, pods: readonly Pod[]): string | undefined;
  forget(key: string): void;
}

interface State {
  readonly service: string;
  readonly pods: ReadonlyMap<string, string>;
}

export function createTriggerTimeTracker(): TriggerTimeTracker {
  const states = new Map<string, State>();
  return {
    compute(key, { metadata: { creationTimestamp = "" } }, pods) {
      const known = states.get(key);
      let earliest: string | undefined;
      const changed = (time: string, last: string): void => {
        // Times of the API compare as texts.
        if (time > last && (earliest === undefined || time < earliest)) earliest = time;
      };
      const times = new Map<string, string>();
      for (const { metadata: { name }, status } of pods) {
        const time = status.conditions?.find((c) => c.type === "Ready")?.lastTransitionTime;
        if (time === undefined || time === null) continue;
        times.set(name, time);
        changed(time, known?.pods.get(name) ?? "");
      }
      changed(creationTimestamp, known?.service ?? "");
      states.set(key, { service: creationTimestamp, pods: times });
      return known === undefined ? creationTimestamp : earliest;
    },
    forget: (key) => void states.delete(key),
  };
}
