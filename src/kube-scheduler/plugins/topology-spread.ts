/**
 * PodTopologySpread, its scoring: pods that one Service or ReplicaSet selects are spread over hosts and zones.
 * Follows pkg/scheduler/framework/plugins/podtopologyspread (scoring.go, common.go) with the system default
 * constraints. DoNotSchedule constraints of pods are not filtered on yet.
 */
import type { Pod, ReplicaSet, Service } from "../../api/types.generated.ts";
import { controllerOf } from "../../apimachinery/meta.ts";
import { labelSelector, matches, selectorFromSet } from "../../apimachinery/selectors.ts";
import type { Requirement, Selector } from "../../apimachinery/selectors.ts";
import type { Lister } from "../../client/informer.ts";
import { MAX_SCORE } from "../framework.ts";
import type { Cycle, NodeInfo, Plugin } from "../framework.ts";

const HOSTNAME = "kubernetes.io/hostname";

interface Constraint {
  topologyKey: string;
  maxSkew: number;
  selector: Selector;
}

interface State {
  constraints: readonly Constraint[];
  /** Nodes that lack a required topology label: they score 0. */
  ignored: ReadonlySet<NodeInfo>;
  /** Per constraint: how many selected pods each value of the topology has. Hostname counts per node. */
  counts: readonly Map<string, number>[];
  weights: readonly number[];
}

const NAME = "PodTopologySpread";

export function podTopologySpread(services: Lister<Service>, replicaSets: Lister<ReplicaSet>): Plugin {
  return {
    name: NAME,
    weight: 2,
    preScore(cycle, feasible) {
      const { pod } = cycle.info;
      const own = ownConstraints(pod);
      const systemDefaulted = own.length === 0;
      const constraints = systemDefaulted ? defaultConstraints(pod, services, replicaSets) : own;
      if (constraints.length === 0) return false;
      const ignored = new Set<NodeInfo>();
      const values = constraints.map(() => new Map<string, number>());
      for (const info of feasible) {
        const { labels = {} } = info.node.metadata;
        // Defaults do not demand that a node has all the labels.
        if (!systemDefaulted && constraints.some((c) => labels[c.topologyKey] === undefined)) {
          ignored.add(info);
          continue;
        }
        constraints.forEach((c, i) => {
          if (c.topologyKey !== HOSTNAME && labels[c.topologyKey] !== undefined) values[i]!.set(labels[c.topologyKey]!, 0);
        });
      }
      const weights = constraints.map((c, i) => logarithm((c.topologyKey === HOSTNAME ? feasible.length - ignored.size : values[i]!.size) + 2));
      for (const info of cycle.nodes) {
        const { labels = {} } = info.node.metadata;
        if (!systemDefaulted && constraints.some((c) => labels[c.topologyKey] === undefined)) continue;
        constraints.forEach((c, i) => {
          const value = labels[c.topologyKey];
          if (c.topologyKey === HOSTNAME || value === undefined || !values[i]!.has(value)) return;
          values[i]!.set(value, values[i]!.get(value)! + countMatching(info, c.selector, pod));
        });
      }
      cycle.state.set(NAME, { constraints, ignored, counts: values, weights } satisfies State);
      return true;
    },
    score(cycle, info) {
      const { constraints, ignored, counts, weights } = cycle.state.get(NAME) as State;
      if (ignored.has(info)) return 0;
      let score = 0;
      constraints.forEach((c, i) => {
        const value = info.node.metadata.labels?.[c.topologyKey];
        if (value === undefined) return;
        const count = c.topologyKey === HOSTNAME ? countMatching(info, c.selector, cycle.info.pod) : counts[i]!.get(value) ?? 0;
        score += count * weights[i]! + (c.maxSkew - 1);
      });
      return Math.round(score);
    },
    normalize(cycle: Cycle, scores, feasible) {
      const { ignored } = cycle.state.get(NAME) as State;
      let min = Infinity;
      let max = 0;
      scores.forEach((score, i) => {
        if (ignored.has(feasible[i]!)) return;
        min = Math.min(min, score);
        max = Math.max(max, score);
      });
      for (let i = 0; i < scores.length; i++) {
        if (ignored.has(feasible[i]!)) scores[i] = 0;
        else scores[i] = max === 0 ? MAX_SCORE : Math.floor((MAX_SCORE * (max + min - scores[i]!)) / max);
      }
    },
  };
}

function ownConstraints(pod: Pod): Constraint[] {
  return (pod.spec.topologySpreadConstraints ?? [])
    .filter((c) => c.whenUnsatisfiable === "ScheduleAnyway")
    .map((c) => ({ topologyKey: c.topologyKey, maxSkew: c.maxSkew, selector: labelSelector(c.labelSelector) }));
}

/** Soft spreading over hosts (skew 3) and zones (skew 5) of what selects the pod. Follows helper.DefaultSelector. */
function defaultConstraints(pod: Pod, services: Lister<Service>, replicaSets: Lister<ReplicaSet>): Constraint[] {
  if ((pod.spec.topologySpreadConstraints ?? []).length > 0) return [];
  const requirements: Requirement[] = [];
  for (const service of services.list(pod.metadata.namespace)) {
    if (service.spec.selector === undefined) continue;
    const selector = selectorFromSet(service.spec.selector);
    if (matches(selector, pod.metadata.labels)) requirements.push(...selector.requirements);
  }
  const owner = controllerOf(pod);
  if (owner?.kind === "ReplicaSet") {
    const rs = replicaSets.get(pod.metadata.namespace!, owner.name);
    if (rs !== undefined) requirements.push(...labelSelector(rs.spec.selector).requirements);
  }
  if (requirements.length === 0) return [];
  const selector = { requirements };
  return [
    { topologyKey: HOSTNAME, maxSkew: 3, selector },
    { topologyKey: "topology.kubernetes.io/zone", maxSkew: 5, selector },
  ];
}

function countMatching(info: NodeInfo, selector: Selector, pod: Pod): number {
  let count = 0;
  for (const { pod: other } of info.pods.values())
    if (other.metadata.deletionTimestamp === undefined && other.metadata.namespace === pod.metadata.namespace && matches(selector, other.metadata.labels)) count++;
  return count;
}

/** The natural logarithm of a positive number out of basic operations, so that it is the same in every engine. */
export function logarithm(x: number): number {
  let exponent = 0;
  let mantissa = x;
  while (mantissa > 1.5) {
    mantissa /= 2;
    exponent++;
  }
  const t = (mantissa - 1) / (mantissa + 1);
  let sum = 0;
  let power = t;
  for (let k = 1; k < 40; k += 2) {
    sum += power / k;
    power *= t * t;
  }
  return 2 * sum + exponent * 0.6931471805599453;
}
