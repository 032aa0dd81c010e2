/**
 * Plugins that look at the node itself: NodeUnschedulable, NodeName, TaintToleration, NodeAffinity, NodePorts.
 * Follows pkg/scheduler/framework/plugins/<name> of each; reasons are upstream's.
 */
import type { Node, NodeSelectorTerm, Pod, Taint, Toleration } from "../../api/types.generated.ts";
import { matches, selectorFromSet } from "../../apimachinery/selectors.ts";
import type { Operator, Requirement, Selector } from "../../apimachinery/selectors.ts";
import { ANY_ADDRESS, normalizeByMax, SKIP } from "../framework.ts";
import type { NodeInfo, Plugin, Rejection } from "../framework.ts";

const reject = (plugin: string, reason: string, unresolvable = true): Rejection => ({ reasons: [reason], unresolvable, plugin });

/** Follows v1helper Toleration.ToleratesTaint. */
export function tolerates({ key = "", operator = "Equal", value = "", effect = "" }: Toleration, taint: Taint): boolean {
  if (effect !== "" && effect !== taint.effect) return false;
  if (key !== "" && key !== taint.key) return false;
  return operator === "Exists" || (operator === "Equal" && value === (taint.value ?? ""));
}

const UNSCHEDULABLE_TAINT: Taint = { key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" };
const UNSCHEDULABLE = reject("NodeUnschedulable", "node(s) were unschedulable");

export const nodeUnschedulable: Plugin = {
  name: "NodeUnschedulable",
  events: [{ resource: "Node", actions: ["Add", "UpdateTaint"] }],
  filter({ info: { pod } }, { node }) {
    if (node.spec.unschedulable !== true || pod.spec.tolerations?.some((t) => tolerates(t, UNSCHEDULABLE_TAINT)) === true) return undefined;
    return UNSCHEDULABLE;
  },
};

export const nodeName: Plugin = {
  name: "NodeName",
  events: [{ resource: "Node", actions: ["Add"] }],
  filter({ info: { pod } }, { node }) {
    return pod.spec.nodeName === undefined || pod.spec.nodeName === node.metadata.name ? undefined : reject("NodeName", "node(s) didn't match the requested node name");
  },
};

export const taintToleration: Plugin = {
  name: "TaintToleration",
  weight: 3,
  events: [{ resource: "Node", actions: ["Add", "UpdateTaint"] }],
  filter({ info: { pod } }, { node }) {
    const taint = node.spec.taints?.find((t) => (t.effect === "NoSchedule" || t.effect === "NoExecute") && pod.spec.tolerations?.some((o) => tolerates(o, t)) !== true);
    return taint === undefined ? undefined : reject("TaintToleration", `node(s) had untolerated taint {${taint.key}: ${taint.value ?? ""}}`);
  },
  preScore: (_cycle, feasible) => feasible.some(({ node }) => node.spec.taints?.some(({ effect }) => effect === "PreferNoSchedule") === true),
  score({ info: { pod } }, { node }) {
    const soft = pod.spec.tolerations?.filter((t) => (t.effect ?? "") === "" || t.effect === "PreferNoSchedule") ?? [];
    return (node.spec.taints ?? []).filter((t) => t.effect === "PreferNoSchedule" && !soft.some((o) => tolerates(o, t))).length;
  },
  normalize: (_cycle, scores) => normalizeByMax(scores, true),
};

const OPERATORS: Readonly<Record<string, Operator>> = { In: "in", NotIn: "notin", Exists: "exists", DoesNotExist: "!", Gt: "gt", Lt: "lt" };

/** What a term asks of a node's labels and fields; undefined: an empty term, which matches nothing. */
interface Term {
  readonly labels: Selector;
  readonly fields: Selector;
}

function parseTerm({ matchExpressions = [], matchFields = [] }: NodeSelectorTerm): Term | undefined {
  if (matchExpressions.length === 0 && matchFields.length === 0) return undefined;
  const requirements = (list: typeof matchExpressions): Requirement[] => list.map(({ key, operator, values }) => ({ key, operator: OPERATORS[operator] ?? "in", values: values ?? [] }));
  return { labels: { requirements: requirements(matchExpressions) }, fields: { requirements: requirements(matchFields) } };
}

const termMatches = (term: Term | undefined, { metadata: { name, labels } }: Node): boolean =>
  term !== undefined && matches(term.labels, labels) && (term.fields.requirements.length === 0 || matches(term.fields, { "metadata.name": name }));

/** Follows nodeaffinity.nodeSelectorTerm.match. */
export const matchesTerm = (term: NodeSelectorTerm, { node }: NodeInfo): boolean => termMatches(parseTerm(term), node);

/** `nodeSelector` and required node affinity, to ask of many nodes. Follows GetRequiredNodeAffinity. */
export function requiredNodeAffinity({ spec: { nodeSelector, affinity } }: Pod): (node: Node) => boolean {
  const selector = nodeSelector === undefined ? undefined : selectorFromSet(nodeSelector);
  const terms = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms.map(parseTerm);
  return (node) => (selector === undefined || matches(selector, node.metadata.labels)) && (terms === undefined || terms.some((term) => termMatches(term, node)));
}

export const matchesNodeAffinity = (pod: Pod, { node }: NodeInfo): boolean => requiredNodeAffinity(pod)(node);

const NODE_AFFINITY = "NodeAffinity";
const NOT_MATCHING = reject(NODE_AFFINITY, "node(s) didn't match Pod's node affinity/selector");

interface NodeAffinityState {
  readonly required: (node: Node) => boolean;
  preferred?: readonly { readonly weight: number; readonly term: Term | undefined }[];
}

export const nodeAffinity: Plugin = {
  name: NODE_AFFINITY,
  weight: 2,
  events: [{ resource: "Node", actions: ["Add", "UpdateLabel"], hint: (pod, _old, now) => requiredNodeAffinity(pod)(now as Node) }],
  preFilter({ info: { pod }, state }) {
    const terms = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
    if (terms === undefined && pod.spec.nodeSelector === undefined) return SKIP;
    state.set(NODE_AFFINITY, { required: requiredNodeAffinity(pod) } satisfies NodeAffinityState);
    // Where every term names nodes, only those can fit.
    const names = terms?.map(({ matchFields = [] }) => matchFields.find(({ key, operator }) => key === "metadata.name" && operator === "In")?.values);
    if (names === undefined || names.length === 0 || names.some((list) => list === undefined)) return undefined;
    const nodes = new Set(names.flatMap((list) => list!));
    return nodes.size === 0 ? reject(NODE_AFFINITY, "pod affinity terms conflict") : { nodes };
  },
  filter: ({ state }, { node }) => ((state.get(NODE_AFFINITY) as NodeAffinityState).required(node) ? undefined : NOT_MATCHING),
  preScore({ info: { pod }, state }) {
    const list = pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
    if (list.length === 0) return false;
    const { required } = (state.get(NODE_AFFINITY) as NodeAffinityState | undefined) ?? { required: () => true };
    state.set(NODE_AFFINITY, { required, preferred: list.map(({ weight, preference }) => ({ weight, term: parseTerm(preference) })) } satisfies NodeAffinityState);
    return true;
  },
  score({ state }, { node }) {
    let score = 0;
    for (const { weight, term } of (state.get(NODE_AFFINITY) as NodeAffinityState).preferred!) if (termMatches(term, node)) score += weight;
    return score;
  },
  normalize: (_cycle, scores) => normalizeByMax(scores, false),
};

const NODE_PORTS = "NodePorts";
const NO_PORTS = reject(NODE_PORTS, "node(s) didn't have free ports for the requested pod ports", false);

export const nodePorts: Plugin = {
  name: NODE_PORTS,
  events: [{ resource: "AssignedPod", actions: ["Delete"] }, { resource: "Node", actions: ["Add"] }],
  preFilter: ({ info }) => (info.hostPorts.length === 0 ? SKIP : undefined),
  filter: ({ info }, { hostPorts }) => (hostPorts !== undefined && info.hostPorts.some((port) => conflicts(port, hostPorts)) ? NO_PORTS : undefined),
};

/** An address of its own clashes with itself and with all addresses; all addresses with any. Follows HostPortInfo.CheckConflict. */
function conflicts(port: string, used: ReadonlyMap<string, number>): boolean {
  if (used.has(port)) return true;
  const rest = port.slice(port.indexOf("/"));
  if (!port.startsWith(`${ANY_ADDRESS}/`)) return used.has(ANY_ADDRESS + rest);
  for (const other of used.keys()) if (other.endsWith(rest)) return true;
  return false;
}
