/**
 * PodTopologySpread with its filter: constraints that must not be broken (`whenUnsatisfiable: DoNotSchedule`).
 * Follows pkg/scheduler/framework/plugins/podtopologyspread/filtering.go.
 */
import type { Node } from "../../api/types.generated.ts";
import { matches } from "../../apimachinery/selectors.ts";
import type { Informers } from "../../client/informer.ts";
import type { Cycle, NodeInfo, Plugin, PodInfo, Rejection } from "../framework.ts";
import { SKIP } from "../framework.ts";
import { constraintsOf, countMatching, hasTopologies, podTopologySpread, POD_TOPOLOGY_SPREAD } from "../plugins/topology-spread.ts";
import type { Constraint } from "../plugins/topology-spread.ts";

interface Counted extends Constraint {
  /** Selected pods of each value of the topology. */
  readonly values: Map<string, number>;
  readonly selfMatch: number;
  /** The fewest of a value; undefined: to be looked up again. */
  fewest: number | undefined;
}

const refused = (reason: string, unresolvable: boolean): Rejection => ({ reasons: [reason], unresolvable, plugin: POD_TOPOLOGY_SPREAD });
const NOT_MATCHING = refused("node(s) didn't match pod topology spread constraints", false);
const NO_LABEL = refused("node(s) didn't match pod topology spread constraints (missing required label)", true);

export function wholePodTopologySpread(informers: Informers): Plugin {
  return {
    ...podTopologySpread(informers, ["replicaSets", "statefulSets", "replicationControllers"]),
    events: [
      { resource: "AssignedPod", actions: ["Add", "Delete", "Update"] },
      { resource: "Node", actions: ["Add", "UpdateLabel", "UpdateTaint"], hint: (pod, _old, now) => hasTopologies(now as Node, constraintsOf(pod, "DoNotSchedule")) },
    ],
    preFilter({ info: { pod }, nodes, state }) {
      const constraints = constraintsOf(pod, "DoNotSchedule");
      if (constraints.length === 0) return SKIP;
      const counted = constraints.map((constraint): Counted => ({
        ...constraint, values: new Map(), selfMatch: matches(constraint.selector, pod.metadata.labels) ? 1 : 0, fewest: undefined,
      }));
      for (const info of nodes) {
        if (!hasTopologies(info.node, constraints)) continue;
        for (const { topologyKey, selector, counts, values } of counted) {
          if (!counts(info.node)) continue;
          const value = info.node.metadata.labels![topologyKey]!;
          values.set(value, (values.get(value) ?? 0) + countMatching(info, selector, pod));
        }
      }
      state.set(POD_TOPOLOGY_SPREAD, counted);
      return undefined;
    },
    addPod: (cycle, pod, node) => change(cycle, pod, node, 1),
    removePod: (cycle, pod, node) => change(cycle, pod, node, -1),
    filter({ state }, { node }) {
      const counted = state.get(POD_TOPOLOGY_SPREAD) as readonly Counted[];
      for (const one of counted) {
        const value = node.metadata.labels?.[one.topologyKey];
        if (value === undefined) return NO_LABEL;
        const fewest = (one.fewest ??= one.values.size < one.minDomains ? 0 : Math.min(...one.values.values()));
        if ((one.values.get(value) ?? 0) + one.selfMatch - fewest > one.maxSkew) return NOT_MATCHING;
      }
      return undefined;
    },
  };
}

/** Follows updateWithPod. */
function change({ info: { pod }, state }: Cycle, { pod: { metadata } }: PodInfo, { node }: NodeInfo, by: 1 | -1): void {
  const counted = state.get(POD_TOPOLOGY_SPREAD) as Counted[];
  if (metadata.namespace !== pod.metadata.namespace || metadata.deletionTimestamp !== undefined || !hasTopologies(node, counted)) return;
  for (const one of counted) {
    if (!one.counts(node) || !matches(one.selector, metadata.labels)) continue;
    const value = node.metadata.labels![one.topologyKey]!;
    one.values.set(value, (one.values.get(value) ?? 0) + by);
    one.fewest = undefined;
  }
}
