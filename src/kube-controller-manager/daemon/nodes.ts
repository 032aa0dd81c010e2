/** Where daemon pods run, and how many there may be during an update. Pure. Follows pkg/controller/daemon/{daemon_controller,update}.go and util/daemonset_util.go. */
import type { Affinity, DaemonSet, Node, Pod, PodSpec, PodTemplateSpec, Toleration } from "../../api/types.generated.ts";
import { matches, selectorFromSet } from "../../apimachinery/selectors.ts";
import type { Requirement } from "../../apimachinery/selectors.ts";
import { isPodAvailable, isPodReady } from "../controller-context.ts";
import { isTerminating, REVISION_HASH, scaledValue } from "../controller-utils.ts";

const TEMPLATE_GENERATION = "deprecated.daemonset.template.generation";
const TEMPLATE_GENERATION_LABEL = "pod-template-generation";

/** The pods of a DaemonSet by the node they are or will be on. */
export type NodePods = ReadonlyMap<string, readonly Pod[]>;

const tolerate = (key: string, effect: string): Toleration => ({ key: `node.kubernetes.io/${key}`, operator: "Exists", effect });

/** What all daemon pods tolerate. Follows AddOrUpdateDaemonPodTolerations. */
function daemonTolerations(spec: PodSpec): Toleration[] {
  const wanted = [
    tolerate("not-ready", "NoExecute"), tolerate("unreachable", "NoExecute"),
    tolerate("disk-pressure", "NoSchedule"), tolerate("memory-pressure", "NoSchedule"), tolerate("pid-pressure", "NoSchedule"), tolerate("unschedulable", "NoSchedule"),
    ...(spec.hostNetwork === true ? [tolerate("network-unavailable", "NoSchedule")] : []),
  ];
  const out = [...(spec.tolerations ?? [])];
  for (const toleration of wanted) {
    const at = out.findIndex((t) => t.key === toleration.key && t.effect === toleration.effect && (t.operator ?? "") === toleration.operator && (t.value ?? "") === "");
    if (at < 0) out.push(toleration);
    else out[at] = toleration;
  }
  return out;
}

export function templateGeneration(ds: DaemonSet): string | undefined {
  const text = ds.metadata.annotations?.[TEMPLATE_GENERATION];
  return text !== undefined && /^-?\d+$/.test(text) ? text : undefined;
}

/** The template that pods of this revision are made of. Follows CreatePodTemplate. */
export function daemonTemplate(ds: DaemonSet, hash: string): PodTemplateSpec {
  const { template } = ds.spec;
  const generation = templateGeneration(ds);
  const labels = { ...template.metadata.labels, ...(generation === undefined ? {} : { [TEMPLATE_GENERATION_LABEL]: generation }), ...(hash === "" ? {} : { [REVISION_HASH]: hash }) };
  return { ...template, metadata: { ...template.metadata, labels }, spec: { ...template.spec, tolerations: daemonTolerations(template.spec) } };
}

/** The affinity that lets the scheduler bind a pod to this node alone. Follows ReplaceDaemonSetPodNodeNameNodeAffinity. */
export function pinnedTo(nodeName: string, affinity: Affinity | undefined): Affinity {
  const nodeSelectorTerms = [{ matchFields: [{ key: "metadata.name", operator: "In", values: [nodeName] }] }];
  return { ...affinity, nodeAffinity: { ...affinity?.nodeAffinity, requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } };
}

/** The node a pod is on or pinned to; undefined when neither. Follows GetTargetNodeName. */
export function targetNode(pod: Pod): string | undefined {
  if (pod.spec.nodeName !== undefined) return pod.spec.nodeName;
  for (const { matchFields } of pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [])
    for (const { key, operator, values } of matchFields ?? []) if (key === "metadata.name" && operator === "In" && values?.length === 1) return values[0];
  return undefined;
}

const OPERATORS: Readonly<Record<string, Requirement["operator"]>> = { In: "in", NotIn: "notin", Exists: "exists", DoesNotExist: "!", Gt: "gt", Lt: "lt" };

/** Follows component-helpers nodeaffinity.GetRequiredNodeAffinity: nodeSelector and required terms. */
function matchesNode({ nodeSelector, affinity }: PodSpec, { metadata }: Node): boolean {
  if (nodeSelector !== undefined && !matches(selectorFromSet(nodeSelector), metadata.labels)) return false;
  const required = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  const all = (list: readonly { key: string; operator: string; values?: string[] | undefined }[], labels: Record<string, string> | undefined): boolean =>
    matches({ requirements: list.map(({ key, operator, values = [] }) => ({ key, operator: OPERATORS[operator] ?? "in", values })) }, labels);
  return required === undefined || required.nodeSelectorTerms.some(({ matchExpressions = [], matchFields = [] }) =>
    (matchExpressions.length > 0 || matchFields.length > 0) && all(matchExpressions, metadata.labels) && all(matchFields, { "metadata.name": metadata.name }));
}

function tolerated(tolerations: readonly Toleration[], taint: { key: string; value?: string | undefined; effect: string }): boolean {
  return tolerations.some(({ key = "", operator = "Equal", value = "", effect = "" }) =>
    (effect === "" || effect === taint.effect) && (key === "" || key === taint.key) && (operator === "Exists" || (operator === "Equal" && value === (taint.value ?? ""))));
}

/** Whether pods belong onto a node, and whether those that are there may stay. Follows NodeShouldRunDaemonPod. */
export function shouldRunOn(node: Node, ds: DaemonSet): { run: boolean; keep: boolean } {
  const { spec } = ds.spec.template;
  if ((spec.nodeName !== undefined && spec.nodeName !== "" && spec.nodeName !== node.metadata.name) || !matchesNode(spec, node)) return { run: false, keep: false };
  const tolerations = daemonTolerations(spec);
  let keep = true;
  let run = true;
  for (const taint of node.spec.taints ?? []) {
    if ((taint.effect !== "NoSchedule" && taint.effect !== "NoExecute") || tolerated(tolerations, taint)) continue;
    run = false;
    if (taint.effect === "NoExecute") keep = false;
  }
  return { run, keep };
}

/** Pods that may not be scheduled yet first, then the oldest. Follows podByCreationTimestampAndPhase. */
export function oldestFirst(pods: readonly Pod[]): Pod[] {
  return [...pods].sort((a, b) => {
    const assigned = Number(b.spec.nodeName !== undefined) - Number(a.spec.nodeName !== undefined);
    if (assigned !== 0) return assigned;
    const [x, y] = [a.metadata.creationTimestamp, b.metadata.creationTimestamp];
    return x !== y ? (x < y ? -1 : 1) : a.metadata.name < b.metadata.name ? -1 : 1;
  });
}

/** Follows IsPodUpdated. */
export function isUpdated(pod: Pod, hash: string, generation: string | undefined): boolean {
  const { labels } = pod.metadata;
  return (hash !== "" && labels?.[REVISION_HASH] === hash) || (generation !== undefined && labels?.[TEMPLATE_GENERATION_LABEL] === generation);
}

/** The one pod of the new and the one of an old revision; undefined where there are several of a sort. Follows findUpdatedPodsOnNode. */
function newAndOld(pods: readonly Pod[], hash: string, generation: string | undefined): { fresh: Pod | undefined; old: Pod | undefined } | undefined {
  let fresh: Pod | undefined;
  let old: Pod | undefined;
  for (const pod of pods) {
    if (isTerminating(pod)) continue;
    if (isUpdated(pod, hash, generation)) {
      if (fresh !== undefined) return undefined;
      fresh = pod;
    } else {
      if (old !== undefined) return undefined;
      old = pod;
    }
  }
  return { fresh, old };
}

/** Which of the running pods of one node are too many. Follows podsShouldBeOnNode. */
export function surplus(ds: DaemonSet, running: readonly Pod[], hash: string, nowMs: number): Pod[] {
  if (running.length <= 1) return [];
  const sorted = oldestFirst(running);
  if (!allowsSurge(ds)) return sorted.slice(1);
  // With surge there may be two: the oldest of the new revision while it is not ready, and the oldest old one while it is.
  let fresh: Pod | undefined;
  let old: Pod | undefined;
  const out: Pod[] = [];
  for (const pod of sorted) {
    const isNew = pod.metadata.labels?.[REVISION_HASH] === hash;
    if (isNew && fresh === undefined) fresh = pod;
    else if (!isNew && old === undefined) old = pod;
    else out.push(pod);
  }
  if (fresh !== undefined && old !== undefined && (!isPodReady(old) || isPodAvailable(fresh, ds.spec.minReadySeconds ?? 0, nowMs))) out.push(old);
  return out;
}

const allowsSurge = (ds: DaemonSet): boolean => ds.spec.updateStrategy.type === "RollingUpdate" && scaledValue(ds.spec.updateStrategy.rollingUpdate?.maxSurge, 1, true) > 0;

export interface RollingPlan {
  /** Names of nodes that get a second pod. */
  create: string[];
  /** Names of pods. */
  delete: string[];
}

/** The next step of a rolling update. Follows rollingUpdate. */
export function planRollingUpdate(ds: DaemonSet, nodes: readonly Node[], onNodes: NodePods, hash: string, nowMs: number): RollingPlan {
  const generation = templateGeneration(ds);
  const runs = new Set(nodes.filter((node) => shouldRunOn(node, ds).run).map(({ metadata }) => metadata.name));
  const all = new Map(onNodes);
  for (const name of runs) if (!all.has(name)) all.set(name, []);
  const { rollingUpdate } = ds.spec.updateStrategy;
  const maxSurge = scaledValue(rollingUpdate?.maxSurge, runs.size, true);
  let maxUnavailable = scaledValue(rollingUpdate?.maxUnavailable, runs.size, true);
  if (runs.size > 0 && maxSurge === 0 && maxUnavailable === 0) maxUnavailable = 1;
  const available = (pod: Pod): boolean => isPodAvailable(pod, ds.spec.minReadySeconds ?? 0, nowMs);

  if (maxSurge === 0) {
    let unavailable = 0;
    const replacements: string[] = [];
    const candidates: string[] = [];
    for (const pods of all.values()) {
      const { fresh, old } = newAndOld(pods, hash, generation) ?? {};
      // None, both or several: the other half of the controller sees to that; the node counts as unavailable.
      if ((fresh === undefined) === (old === undefined)) unavailable++;
      else if (fresh !== undefined) unavailable += available(fresh) ? 0 : 1;
      else if (!available(old!)) {
        replacements.push(old!.metadata.name);
        unavailable++;
      } else if (unavailable < maxUnavailable) candidates.push(old!.metadata.name);
    }
    return { create: [], delete: [...replacements, ...candidates.slice(0, Math.max(0, maxUnavailable - unavailable))] };
  }

  const done: string[] = [];
  const misplaced: string[] = [];
  const allowed: string[] = [];
  const candidates: string[] = [];
  let surge = 0;
  let availableNodes = 0;
  for (const [name, pods] of all) {
    const pair = newAndOld(pods, hash, generation);
    if (pair === undefined) {
      surge++;
      continue;
    }
    const { fresh, old } = pair;
    if ((old ?? fresh) !== undefined && available((old ?? fresh)!)) availableNodes++;
    if (old === undefined) continue;
    if (fresh === undefined) {
      if (!runs.has(name)) misplaced.push(old.metadata.name);
      else if (!available(old)) allowed.push(name);
      else if (surge < maxSurge) candidates.push(name);
    } else if (available(fresh)) done.push(old.metadata.name);
    else surge++;
  }
  // Pods of nodes that are no longer wanted go when as many are available elsewhere.
  const removable = Math.max(0, availableNodes - runs.size);
  return { create: [...allowed, ...candidates.slice(0, Math.max(0, maxSurge - surge))], delete: [...done, ...misplaced.slice(0, removable)] };
}

export interface DaemonCounts {
  desiredNumberScheduled: number;
  currentNumberScheduled: number;
  numberMisscheduled: number;
  numberReady: number;
  updatedNumberScheduled: number;
  numberAvailable: number;
  numberUnavailable: number;
}

/** Follows updateDaemonSetStatus. */
export function countPods(ds: DaemonSet, nodes: readonly Node[], onNodes: NodePods, hash: string, nowMs: number): DaemonCounts {
  const generation = templateGeneration(ds);
  const counts: DaemonCounts = { desiredNumberScheduled: 0, currentNumberScheduled: 0, numberMisscheduled: 0, numberReady: 0, updatedNumberScheduled: 0, numberAvailable: 0, numberUnavailable: 0 };
  for (const node of nodes) {
    const pods = onNodes.get(node.metadata.name) ?? [];
    if (!shouldRunOn(node, ds).run) {
      if (pods.length > 0) counts.numberMisscheduled++;
      continue;
    }
    counts.desiredNumberScheduled++;
    const pod = pods.length > 1 ? oldestFirst(pods)[0] : pods[0];
    if (pod === undefined) continue;
    counts.currentNumberScheduled++;
    if (isPodReady(pod)) {
      counts.numberReady++;
      if (isPodAvailable(pod, ds.spec.minReadySeconds ?? 0, nowMs)) counts.numberAvailable++;
    }
    if (isUpdated(pod, hash, generation)) counts.updatedNumberScheduled++;
  }
  counts.numberUnavailable = counts.desiredNumberScheduled - counts.numberAvailable;
  return counts;
}
