/**
 * Plugins that look at the node itself: NodeUnschedulable, NodeName, TaintToleration, NodeAffinity, NodePorts.
 * Follows pkg/scheduler/framework/plugins/<name> of each; reasons are upstream's.
 */
import type { NodeSelectorTerm, Pod, Taint, Toleration } from "../../api/types.generated.ts";
import { matches, selectorFromSet } from "../../apimachinery/selectors.ts";
import type { Operator, Requirement } from "../../apimachinery/selectors.ts";
import { normalizeByMax } from "../framework.ts";
import type { NodeInfo, Plugin, Rejection } from "../framework.ts";

const reject = (reason: string, unresolvable = true): Rejection => ({ reasons: [reason], unresolvable });

/** Follows v1helper Toleration.ToleratesTaint. */
export function tolerates({ key = "", operator = "Equal", value = "", effect = "" }: Toleration, taint: Taint): boolean {
  if (effect !== "" && effect !== taint.effect) return false;
  if (key !== "" && key !== taint.key) return false;
  return operator === "Exists" || (operator === "Equal" && value === (taint.value ?? ""));
}

const UNSCHEDULABLE_TAINT: Taint = { key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" };

export const nodeUnschedulable: Plugin = {
  name: "NodeUnschedulable",
  filter({ info: { pod } }, { node }) {
    if (node.spec.unschedulable !== true || pod.spec.tolerations?.some((t) => tolerates(t, UNSCHEDULABLE_TAINT)) === true) return undefined;
    return reject("node(s) were unschedulable");
  },
};

export const nodeName: Plugin = {
  name: "NodeName",
  filter({ info: { pod } }, { node }) {
    return pod.spec.nodeName === undefined || pod.spec.nodeName === node.metadata.name ? undefined : reject("node(s) didn't match the requested node name");
  },
};

export const taintToleration: Plugin = {
  name: "TaintToleration",
  weight: 3,
  filter({ info: { pod } }, { node }) {
    const taint = node.spec.taints?.find((t) => (t.effect === "NoSchedule" || t.effect === "NoExecute") && pod.spec.tolerations?.some((o) => tolerates(o, t)) !== true);
    return taint === undefined ? undefined : reject(`node(s) had untolerated taint {${taint.key}: ${taint.value ?? ""}}`);
  },
  preScore: (_cycle, feasible) => feasible.some(({ node }) => (node.spec.taints ?? []).length > 0),
  score({ info: { pod } }, { node }) {
    const soft = pod.spec.tolerations?.filter((t) => (t.effect ?? "") === "" || t.effect === "PreferNoSchedule") ?? [];
    return (node.spec.taints ?? []).filter((t) => t.effect === "PreferNoSchedule" && !soft.some((o) => tolerates(o, t))).length;
  },
  normalize: (_cycle, scores) => normalizeByMax(scores, true),
};

const OPERATORS: Readonly<Record<string, Operator>> = { In: "in", NotIn: "notin", Exists: "exists", DoesNotExist: "!", Gt: "gt", Lt: "lt" };

/** Follows nodeaffinity.nodeSelectorTerm.match: an empty term matches nothing. */
export function matchesTerm(term: NodeSelectorTerm, { node }: NodeInfo): boolean {
  const { matchExpressions = [], matchFields = [] } = term;
  if (matchExpressions.length === 0 && matchFields.length === 0) return false;
  const requirements = (list: typeof matchExpressions): Requirement[] => list.map(({ key, operator, values }) => ({ key, operator: OPERATORS[operator] ?? "in", values: values ?? [] }));
  return matches({ requirements: requirements(matchExpressions) }, node.metadata.labels) &&
    matches({ requirements: requirements(matchFields) }, { "metadata.name": node.metadata.name });
}

/** `nodeSelector` and required node affinity. Follows GetRequiredNodeAffinity. */
export function matchesNodeAffinity(pod: Pod, node: NodeInfo): boolean {
  if (pod.spec.nodeSelector !== undefined && !matches(selectorFromSet(pod.spec.nodeSelector), node.node.metadata.labels)) return false;
  const required = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return required === undefined || required.nodeSelectorTerms.some((term) => matchesTerm(term, node));
}

export const nodeAffinity: Plugin = {
  name: "NodeAffinity",
  weight: 2,
  filter({ info: { pod } }, node) {
    return matchesNodeAffinity(pod, node) ? undefined : reject("node(s) didn't match Pod's node affinity/selector");
  },
  preScore: ({ info: { pod } }) => (pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).length > 0,
  score({ info: { pod } }, node) {
    let score = 0;
    for (const { weight, preference } of pod.spec.affinity!.nodeAffinity!.preferredDuringSchedulingIgnoredDuringExecution!)
      if (matchesTerm(preference, node)) score += weight;
    return score;
  },
  normalize: (_cycle, scores) => normalizeByMax(scores, false),
};

const hostPorts = (pod: Pod): string[] => pod.spec.containers.flatMap((c) => (c.ports ?? []).filter((p) => (p.hostPort ?? 0) > 0).map((p) => `${p.protocol ?? "TCP"}/${p.hostPort}`));

export const nodePorts: Plugin = {
  name: "NodePorts",
  filter({ info: { pod } }, node) {
    const wanted = hostPorts(pod);
    if (wanted.length === 0) return undefined;
    for (const other of node.pods.values()) if (hostPorts(other.pod).some((p) => wanted.includes(p))) return reject("node(s) didn't have free ports for the requested pod ports", false);
    return undefined;
  },
};
