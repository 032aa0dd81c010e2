/**
 * What a scheduling plugin is, and what it sees. Follows pkg/scheduler/framework (interface.go, types.go). A plugin is a value with the
 * extension points it has; a profile is an ordered list of them.
 */
import type { Node, Pod } from "../api/types.generated.ts";
import { quantityMilliValue, quantityValue } from "../apimachinery/quantity.ts";

/** Amounts of resources: cpu in millicores, the others in whole units. */
export interface Resources {
  cpu: number;
  memory: number;
  /** ephemeral-storage. */
  storage: number;
  /** The others by name: hugepages-2Mi, example.com/gpu. Not `pods`. */
  scalars: Map<string, number> | undefined;
}

/** Requests of a container that names none, for scoring (DefaultMilliCPURequest, DefaultMemoryRequest). */
const NON_ZERO_CPU = 100;
const NON_ZERO_MEMORY = 200 * 1024 * 1024;

/** A pod, and what scheduling asks of it, worked out once. */
export interface PodInfo {
  /** As it was seen last. */
  pod: Pod;
  readonly requests: Resources;
  readonly nonZeroCpu: number;
  readonly nonZeroMemory: number;
  /** `IP/PROTOCOL/PORT` of its host ports. */
  readonly hostPorts: readonly string[];
  /** What plugins have worked out of the pod alone. */
  parsed: unknown;
}

/** A node and what runs on it. */
export interface NodeInfo {
  node: Node;
  readonly pods: Map<string, PodInfo>;
  /** Pods with inter-pod affinity or anti-affinity of any sort. */
  readonly withAffinity: Set<PodInfo>;
  /** All nodes that have such pods, this one among them if it has: shared by the nodes of one cache. */
  readonly affinityNodes: Set<NodeInfo>;
  allocatable: Resources;
  /** `pods` of its allocatable. */
  podsMax: number;
  readonly requested: Resources;
  nonZeroCpu: number;
  nonZeroMemory: number;
  /** Host ports in use; undefined: none. */
  hostPorts: Map<string, number> | undefined;
  /** How many of its pods a selector matches, by its text, until one of them changes. Of podtopologyspread. */
  matching: Map<string, number> | undefined;
}

/** Why a node does not fit, or why no node does. */
export interface Rejection {
  readonly reasons: readonly string[];
  /** No preemption could help (UnschedulableAndUnresolvable). */
  readonly unresolvable: boolean;
  /** Who refused. */
  readonly plugin: string;
}

/** One scheduling attempt. Plugins keep what they compute once per pod in `state`, under their name. */
export interface Cycle {
  readonly info: PodInfo;
  readonly nodes: readonly NodeInfo[];
  readonly plugins: readonly Plugin[];
  readonly state: Map<string, unknown>;
  /** Those whose preFilter had nothing to say: their filter is left out. */
  readonly skipped: Set<Plugin>;
}

/** What has changed in the cluster, as plugins name it for `events`. Follows framework.ClusterEvent. */
export interface ClusterEvent {
  /** AssignedPod, Node, or a kind such as PersistentVolumeClaim. */
  readonly resource: string;
  /** Add, Delete, Update, or what of it was updated: UpdateLabel, UpdateTaint, UpdateAllocatable. */
  readonly action: string;
}

export interface EventRegistration {
  readonly resource: string;
  readonly actions: readonly string[];
  /** Whether that change can help this pod; without it each does (QueueingHintFn). */
  readonly hint?: (pod: Pod, old: unknown, now: unknown) => boolean;
}

export const SKIP = "skip";

/** What a postFilter has done: the node that it made room on, or why not. */
export interface PostFilterResult {
  readonly nominatedNode?: string;
  readonly message: string;
}

export interface Plugin {
  readonly name: string;
  /** Which changes may make schedulable what this plugin refused; undefined: any. */
  readonly events?: readonly EventRegistration[];
  /** Once per pod, before any filter: {@link SKIP} leaves the filter out, `nodes` are the only ones that can fit. */
  preFilter?(cycle: Cycle): typeof SKIP | { readonly nodes: ReadonlySet<string> } | Rejection | undefined;
  /** Keeps the state of preFilter true when a pod comes to or goes from a node within an attempt. */
  addPod?(cycle: Cycle, pod: PodInfo, node: NodeInfo): void;
  removePod?(cycle: Cycle, pod: PodInfo, node: NodeInfo): void;
  /** Undefined when the node fits. */
  filter?(cycle: Cycle, node: NodeInfo): Rejection | undefined;
  /** When no node fits: may make room. Undefined: nothing to say. */
  postFilter?(cycle: Cycle, refused: ReadonlyMap<NodeInfo, Rejection>): Promise<PostFilterResult | undefined>;
  /** Once, with the nodes that fit. False: this plugin has nothing to say about the pod. */
  preScore?(cycle: Cycle, feasible: readonly NodeInfo[]): boolean;
  /** Any number; `normalize` brings it into 0…100. */
  score?(cycle: Cycle, node: NodeInfo): number;
  normalize?(cycle: Cycle, scores: number[], feasible: readonly NodeInfo[]): void;
  readonly weight?: number;
  /** When the node is chosen, before anything is written. Throws to give up; `unreserve` takes back. */
  reserve?(cycle: Cycle, node: NodeInfo): void;
  unreserve?(cycle: Cycle, node: NodeInfo): void;
  /** May hold the pod back: resolves when it may go on, with a reason when it must not. */
  permit?(cycle: Cycle, node: NodeInfo, signal: AbortSignal): Promise<string | undefined>;
  /** What has to be done before binding. Throws to give up. */
  preBind?(cycle: Cycle, node: NodeInfo, signal: AbortSignal): Promise<void>;
  /** Binds; false: leaves it to the next. */
  bind?(cycle: Cycle, node: NodeInfo, signal: AbortSignal): Promise<boolean>;
  postBind?(cycle: Cycle, node: NodeInfo): void;
}

export const MAX_SCORE = 100;

/** Scales to 0…100 by the largest. Follows helper.DefaultNormalizeScore. */
export function normalizeByMax(scores: number[], reverse: boolean): void {
  let max = 0;
  for (const score of scores) if (score > max) max = score;
  for (let i = 0; i < scores.length; i++) {
    const score = max === 0 ? 0 : Math.floor((scores[i]! * MAX_SCORE) / max);
    scores[i] = reverse ? MAX_SCORE - score : score;
  }
}

type Amounts = Readonly<Record<string, string>>;

const newResources = (): Resources => ({ cpu: 0, memory: 0, storage: 0, scalars: undefined });

function resourcesOf(list: Amounts | undefined): Resources {
  const out = newResources();
  for (const name in list) {
    if (name === "cpu") out.cpu = quantityMilliValue(list[name]!);
    else if (name === "memory") out.memory = quantityValue(list[name]!);
    else if (name === "ephemeral-storage") out.storage = quantityValue(list[name]!);
    else if (name !== "pods") (out.scalars ??= new Map()).set(name, quantityValue(list[name]!));
  }
  return out;
}

/** By their names in the API: those that are not zero, then the scalars. */
export const entriesOf = ({ cpu, memory, storage, scalars }: Resources): [name: string, amount: number][] => {
  const plain: [string, number][] = [["cpu", cpu], ["memory", memory], ["ephemeral-storage", storage]];
  return [...plain.filter(([, amount]) => amount !== 0), ...(scalars ?? [])];
};

export const amountOf = (resources: Resources, name: string): number => entriesOf(resources).find(([one]) => one === name)?.[1] ?? 0;

function add(into: Resources, { cpu, memory, storage, scalars }: Resources, sign = 1): void {
  into.cpu += sign * cpu;
  into.memory += sign * memory;
  into.storage += sign * storage;
  if (scalars === undefined) return;
  into.scalars ??= new Map();
  for (const [name, value] of scalars) into.scalars.set(name, (into.scalars.get(name) ?? 0) + sign * value);
}

function raise(into: Resources, { cpu, memory, storage, scalars }: Resources): void {
  into.cpu = Math.max(into.cpu, cpu);
  into.memory = Math.max(into.memory, memory);
  into.storage = Math.max(into.storage, storage);
  if (scalars === undefined) return;
  into.scalars ??= new Map();
  for (const [name, value] of scalars) into.scalars.set(name, Math.max(into.scalars.get(name) ?? 0, value));
}

/** The requests that count: containers together, or the largest init container. Follows resource.PodRequests. */
export function podInfo(pod: Pod): PodInfo {
  const requests = newResources();
  const sidecars = newResources();
  const init = newResources();
  let nonZeroCpu = 0;
  let nonZeroMemory = 0;
  for (const container of pod.spec.initContainers ?? []) {
    const own = resourcesOf(container.resources?.requests);
    if (container.restartPolicy === "Always") {
      add(sidecars, own);
      add(requests, own);
      raise(init, sidecars);
    } else {
      add(own, sidecars);
      raise(init, own);
    }
  }
  const hostPorts: string[] = [];
  for (const { resources, ports } of pod.spec.containers) {
    const own = resourcesOf(resources?.requests);
    add(requests, own);
    nonZeroCpu += resources?.requests?.["cpu"] === undefined ? NON_ZERO_CPU : own.cpu;
    nonZeroMemory += resources?.requests?.["memory"] === undefined ? NON_ZERO_MEMORY : own.memory;
    for (const { hostPort = 0, hostIP = "", protocol = "TCP" } of ports ?? []) {
      if (hostPort > 0) hostPorts.push(`${hostIP === "" ? ANY_ADDRESS : hostIP}/${protocol}/${hostPort}`);
    }
  }
  raise(requests, init);
  add(requests, resourcesOf(pod.spec.overhead));
  return { pod, requests, nonZeroCpu: Math.max(nonZeroCpu, init.cpu), nonZeroMemory: Math.max(nonZeroMemory, init.memory), hostPorts, parsed: undefined };
}

export const ANY_ADDRESS = "0.0.0.0";

export const priorityOf = (pod: Pod): number => pod.spec.priority ?? 0;

export function newNodeInfo(node: Node, affinityNodes = new Set<NodeInfo>()): NodeInfo {
  const info: NodeInfo = { node, pods: new Map(), withAffinity: new Set(), affinityNodes, allocatable: newResources(), podsMax: 0, requested: newResources(),
    nonZeroCpu: 0, nonZeroMemory: 0, hostPorts: undefined, matching: undefined };
  setNode(info, node);
  return info;
}

export function setNode(info: NodeInfo, node: Node): void {
  if (info.node.status.allocatable !== node.status.allocatable || info.podsMax === 0) {
    info.allocatable = resourcesOf(node.status.allocatable);
    info.podsMax = quantityValue(node.status.allocatable?.["pods"] ?? "0");
  }
  info.node = node;
}

export function addPod(info: NodeInfo, pod: PodInfo): void {
  info.pods.set(pod.pod.metadata.uid, pod);
  const { podAffinity, podAntiAffinity } = pod.pod.spec.affinity ?? NO_AFFINITY;
  if (podAffinity !== undefined || podAntiAffinity !== undefined) {
    info.withAffinity.add(pod);
    info.affinityNodes.add(info);
  }
  account(info, pod, 1);
}

const NO_AFFINITY: NonNullable<Pod["spec"]["affinity"]> = {};

/** Puts a pod on a node, or takes it off, for the rest of an attempt: the node and the plugins' states agree. */
export function place(cycle: Cycle, pod: PodInfo, node: NodeInfo): void {
  addPod(node, pod);
  for (const plugin of cycle.plugins) if (plugin.addPod !== undefined && !cycle.skipped.has(plugin)) plugin.addPod(cycle, pod, node);
}
export function take(cycle: Cycle, pod: PodInfo, node: NodeInfo): void {
  removePod(node, pod.pod.metadata.uid);
  for (const plugin of cycle.plugins) if (plugin.removePod !== undefined && !cycle.skipped.has(plugin)) plugin.removePod(cycle, pod, node);
}

export function removePod(info: NodeInfo, uid: string): void {
  const pod = info.pods.get(uid);
  if (pod === undefined) return;
  info.pods.delete(uid);
  if (info.withAffinity.delete(pod) && info.withAffinity.size === 0) info.affinityNodes.delete(info);
  account(info, pod, -1);
}

function account(info: NodeInfo, pod: PodInfo, sign: number): void {
  info.matching = undefined;
  add(info.requested, pod.requests, sign);
  info.nonZeroCpu += sign * pod.nonZeroCpu;
  info.nonZeroMemory += sign * pod.nonZeroMemory;
  for (const port of pod.hostPorts) {
    info.hostPorts ??= new Map();
    const users = (info.hostPorts.get(port) ?? 0) + sign;
    if (users > 0) info.hostPorts.set(port, users);
    else info.hostPorts.delete(port);
  }
}
