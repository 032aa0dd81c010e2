/**
 * How fast the nodes of a zone may be emptied: at a rate that follows how much of it is disrupted. Follows handleDisruption,
 * ComputeZoneState and setLimiterInZone, and pkg/controller/nodelifecycle/scheduler/rate_limited_queue.go.
 */
import type { Node } from "../../api/types.generated.ts";
import type { NodeLifecycleOptions } from "./monitor.ts";

export type ZoneState = "Initial" | "Normal" | "PartialDisruption" | "FullDisruption";

/** Region and zone of a node. Follows utilnode.GetZoneKey. */
export function zoneOf({ metadata: { labels = {} } }: Node): string {
  const zone = labels["topology.kubernetes.io/zone"] ?? labels["failure-domain.beta.kubernetes.io/zone"] ?? "";
  const region = labels["topology.kubernetes.io/region"] ?? labels["failure-domain.beta.kubernetes.io/region"] ?? "";
  return zone === "" && region === "" ? "" : `${region}:\0:${zone}`;
}

/** `ready`: one for each node of the zone. Follows ComputeZoneState. Pure. */
export function computeZoneState(ready: readonly boolean[], unhealthyZoneThreshold: number): ZoneState {
  const notReady = ready.filter((r) => !r).length;
  if (notReady > 0 && notReady === ready.length) return "FullDisruption";
  if (notReady > 2 && notReady / ready.length >= unhealthyZoneThreshold) return "PartialDisruption";
  return "Normal";
}

interface Zone {
  state: ZoneState;
  /** Nodes a second. */
  rate: number;
  /** When the bucket, which holds one, is full again. */
  readyMs: number;
  readonly waiting: Set<string>;
}

export interface Zones {
  /** The node is to be tainted when its zone's turn comes. */
  add(node: Node): void;
  remove(node: Node): void;
  waiting(): boolean;
  /** A node whose turn it is; in how many milliseconds there will be one; undefined when there is none, or no rate. */
  next(nowMs: number): string | number | undefined;
  /** The readiness of all nodes by zone. Says when the whole cluster comes into disruption, or out of it. */
  observe(readiness: ReadonlyMap<string, readonly boolean[]>, nowMs: number): "all disrupted" | "recovered" | undefined;
}

export function createZones(options: NodeLifecycleOptions): Zones {
  const { nodeEvictionRate = 0.1, secondaryNodeEvictionRate = 0.01, largeClusterSizeThreshold = 50, unhealthyZoneThreshold = 0.55 } = options;
  const zones = new Map<string, Zone>();
  const zone = (key: string): Zone => {
    let own = zones.get(key);
    if (own === undefined) zones.set(key, (own = { state: "Initial", rate: nodeEvictionRate, readyMs: 0, waiting: new Set() }));
    return own;
  };
  const rateOf = (state: ZoneState, size: number): number =>
    state === "PartialDisruption" ? (size > largeClusterSizeThreshold ? secondaryNodeEvictionRate : 0) : nodeEvictionRate;
  const setRate = (own: Zone, rate: number, nowMs: number): void => {
    if (rate === own.rate) return;
    own.rate = rate;
    own.readyMs = Math.min(own.readyMs, nowMs + (rate > 0 ? 1000 / rate : 0));
  };
  return {
    add: (node) => void zone(zoneOf(node)).waiting.add(node.metadata.name),
    remove: (node) => void zones.get(zoneOf(node))?.waiting.delete(node.metadata.name),
    waiting: () => [...zones.values()].some(({ waiting, rate }) => waiting.size > 0 && rate > 0),
    next(nowMs) {
      let least: number | undefined;
      for (const own of zones.values()) {
        if (own.rate === 0) continue;
        for (const name of own.waiting) {
          if (own.readyMs > nowMs) {
            least = Math.min(least ?? Infinity, own.readyMs - nowMs);
            break;
          }
          own.waiting.delete(name);
          own.readyMs = nowMs + 1000 / own.rate;
          return name;
        }
      }
      return least;
    },
    observe(readiness, nowMs) {
      const before = [...zones.values()];
      const states = new Map<string, ZoneState>();
      for (const [key, ready] of readiness) {
        zone(key);
        states.set(key, computeZoneState(ready, unhealthyZoneThreshold));
      }
      for (const key of [...zones.keys()]) if (!readiness.has(key)) zones.delete(key);
      const allNow = [...states.values()].every((state) => state === "FullDisruption");
      const allBefore = before.length > 0 && before.every(({ state }) => state === "FullDisruption");
      if (allNow && allBefore) return undefined;
      if (allNow && states.size > 0) {
        for (const own of zones.values()) {
          setRate(own, 0, nowMs);
          own.state = "FullDisruption";
        }
        return "all disrupted";
      }
      for (const [key, state] of states) {
        const own = zone(key);
        if (own.state === state && !allBefore) continue;
        setRate(own, rateOf(state, readiness.get(key)!.length), nowMs);
        own.state = state;
      }
      return allBefore ? "recovered" : undefined;
    },
  };
}
