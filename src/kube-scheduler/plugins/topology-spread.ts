/**
 * PodTopologySpread, its scoring: pods are spread over hosts and zones, those that one Service or workload selects even unasked.
 * Follows pkg/scheduler/framework/plugins/podtopologyspread (scoring.go, common.go). What must not be is in
 * `complete/topology-spread.ts`.
 */
import type { LabelSelector, Node, Pod } from "../../api/types.generated.ts";
import type { Kinds } from "../../api/resources.ts";
import { controllerOf } from "../../apimachinery/meta.ts";
import { labelSelector, matches, selectorFromSet } from "../../apimachinery/selectors.ts";
import type { Requirement, Selector } from "../../apimachinery/selectors.ts";
import type { Informers } from "../../client/informer.ts";
import { MAX_SCORE } from "../framework.ts";
import type { Cycle, NodeInfo, Plugin } from "../framework.ts";
import { requiredNodeAffinity, tolerates } from "./node.ts";

const HOSTNAME = "kubernetes.io/hostname";

export interface Constraint {
  readonly topologyKey: string;
  readonly maxSkew: number;
  readonly minDomains: number;
  readonly selector: Selector;
  /** Whether the node counts at all (nodeAffinityPolicy, nodeTaintsPolicy). */
  readonly counts: (node: Node) => boolean;
}

interface State {
  readonly constraints: readonly Constraint[];
  /** Nodes that lack a required topology label: they score 0. */
  readonly ignored: ReadonlySet<NodeInfo>;
  /** Per constraint: how many selected pods each value of the topology has. Hostname counts per node. */
  readonly values: readonly Map<string, number>[];
  readonly weights: readonly number[];
}

export const POD_TOPOLOGY_SPREAD = "PodTopologySpread";
const SCORING = `${POD_TOPOLOGY_SPREAD} scoring`;

/** The kinds that may own a pod and have a selector. */
type Owners = readonly ("replicaSets" | "statefulSets" | "replicationControllers")[];

/** `owners`: whose pods are spread unasked, beside those of Services. */
export function podTopologySpread(informers: Informers, owners: Owners = ["replicaSets"]): Plugin {
  const services = informers.informer("services");
  const listers = new Map(owners.map((kind) => {
    const informer = informers.informer(kind as keyof Kinds);
    return [informer.resource.kind, informer] as const;
  }));

  /** What selects the pod: Services, and its owner. Follows helper.DefaultSelector. */
  const defaultSelector = ({ metadata }: Pod): Selector => {
    const requirements: Requirement[] = [];
    for (const { spec } of services.list(metadata.namespace)) {
      if (spec.selector === undefined) continue;
      const selector = selectorFromSet(spec.selector);
      if (matches(selector, metadata.labels)) requirements.push(...selector.requirements);
    }
    const owner = controllerOf({ metadata });
    const found = owner === undefined ? undefined : listers.get(owner.kind)?.get(metadata.namespace!, owner.name);
    const own = (found as { spec: { selector?: LabelSelector | Record<string, string> } } | undefined)?.spec.selector;
    if (own !== undefined) {
      requirements.push(...(owner!.kind === "ReplicationController" ? selectorFromSet(own as Record<string, string>) : labelSelector(own as LabelSelector)).requirements);
    }
    return { requirements };
  };

  return {
    name: POD_TOPOLOGY_SPREAD,
    weight: 2,
    preScore(cycle, feasible) {
      const { pod } = cycle.info;
      const asked = (pod.spec.topologySpreadConstraints ?? []).length > 0;
      const constraints = asked ? constraintsOf(pod, "ScheduleAnyway") : defaultConstraints(defaultSelector(pod));
      if (constraints.length === 0) return false;
      const ignored = new Set<NodeInfo>();
      const values = constraints.map(() => new Map<string, number>());
      for (const info of feasible) {
        const { labels = {} } = info.node.metadata;
        // Defaults do not demand that a node has all the labels.
        if (asked && !hasTopologies(info.node, constraints)) {
          ignored.add(info);
          continue;
        }
        constraints.forEach(({ topologyKey }, i) => {
          if (topologyKey !== HOSTNAME && labels[topologyKey] !== undefined) values[i]!.set(labels[topologyKey]!, 0);
        });
      }
      const weights = constraints.map(({ topologyKey }, i) => logarithm((topologyKey === HOSTNAME ? feasible.length - ignored.size : values[i]!.size) + 2));
      constraints.forEach(({ topologyKey, selector, counts }, i) => {
        if (topologyKey === HOSTNAME || values[i]!.size === 0) return;
        for (const info of cycle.nodes) {
          const value = info.node.metadata.labels?.[topologyKey];
          const sofar = value === undefined ? undefined : values[i]!.get(value);
          if (sofar === undefined || (asked && !hasTopologies(info.node, constraints)) || !counts(info.node)) continue;
          values[i]!.set(value!, sofar + countMatching(info, selector, pod));
        }
      });
      cycle.state.set(SCORING, { constraints, ignored, values, weights } satisfies State);
      return true;
    },
    score(cycle, info) {
      const { constraints, ignored, values, weights } = cycle.state.get(SCORING) as State;
      if (ignored.has(info)) return 0;
      let score = 0;
      for (let i = 0; i < constraints.length; i++) {
        const { topologyKey, selector, maxSkew } = constraints[i]!;
        const value = info.node.metadata.labels?.[topologyKey];
        if (value === undefined) continue;
        const count = topologyKey === HOSTNAME ? countMatching(info, selector, cycle.info.pod) : values[i]!.get(value) ?? 0;
        score += count * weights[i]! + (maxSkew - 1);
      }
      return Math.round(score);
    },
    normalize(cycle: Cycle, scores, feasible) {
      const { ignored } = cycle.state.get(SCORING) as State;
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

/** The node has every topology that is asked for. */
export const hasTopologies = ({ metadata: { labels = {} } }: Node, constraints: readonly Constraint[]): boolean =>
  constraints.every(({ topologyKey }) => labels[topologyKey] !== undefined);

/** The pod's own constraints of one sort. Follows filterTopologySpreadConstraints. */
export function constraintsOf(pod: Pod, sort: "DoNotSchedule" | "ScheduleAnyway"): Constraint[] {
  const list = (pod.spec.topologySpreadConstraints ?? []).filter(({ whenUnsatisfiable }) => whenUnsatisfiable === sort);
  if (list.length === 0) return [];
  const affine = requiredNodeAffinity(pod);
  const tolerated = ({ spec: { taints = [] } }: Node): boolean => taints.every((taint) =>
    (taint.effect !== "NoSchedule" && taint.effect !== "NoExecute") || pod.spec.tolerations?.some((one) => tolerates(one, taint)) === true);
  return list.map(({ topologyKey, maxSkew, minDomains = 1, labelSelector: selector, matchLabelKeys = [], nodeAffinityPolicy, nodeTaintsPolicy }) => {
    const { labels = {} } = pod.metadata;
    const more = matchLabelKeys.flatMap((key): Requirement[] => (labels[key] === undefined ? [] : [{ key, operator: "in", values: [labels[key]] }]));
    const own = labelSelector(selector);
    return {
      topologyKey, maxSkew, minDomains, selector: more.length === 0 ? own : { ...own, requirements: [...own.requirements, ...more] },
      counts: (node) => (nodeAffinityPolicy === "Ignore" || affine(node)) && (nodeTaintsPolicy !== "Honor" || tolerated(node)),
    };
  });
}

/** Soft spreading over hosts (skew 3) and zones (skew 5). */
function defaultConstraints(selector: Selector): Constraint[] {
  if (selector.requirements.length === 0) return [];
  const soft = { minDomains: 1, selector, counts: () => true };
  return [
    { topologyKey: HOSTNAME, maxSkew: 3, ...soft },
    { topologyKey: "topology.kubernetes.io/zone", maxSkew: 5, ...soft },
  ];
}

/** Pods of the same namespace that are selected and stay. Follows countPodsMatchSelector. */
export function countMatching(info: NodeInfo, selector: Selector, { metadata: { namespace } }: Pod): number {
  if (selector.requirements.length === 0 && selector.nothing !== true) return 0;
  let text = texts.get(selector);
  if (text === undefined) texts.set(selector, (text = JSON.stringify([namespace, selector])));
  const known = info.matching?.get(text);
  if (known !== undefined) return known;
  let count = 0;
  for (const { pod: { metadata } } of info.pods.values()) {
    if (metadata.namespace === namespace && metadata.deletionTimestamp === undefined && matches(selector, metadata.labels)) count++;
  }
  (info.matching ??= new Map()).set(text, count);
  return count;
}

/** A selector is made for one pod: its namespace is always the same. */
const texts = new WeakMap<Selector, string>();

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
