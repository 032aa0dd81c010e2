/**
 * What a scheduling plugin is, and what it sees. Follows pkg/scheduler/framework (interface.go, types.go). A plugin is
 * a value with the extension points it has; the profile is an ordered list of them.
 */
import type { Node, Pod } from "../api/types.generated.ts";
import { quantityMilliValue, quantityValue } from "../apimachinery/quantity.ts";

/** Amounts of resources: cpu in millicores, the others in whole units. */
export type Resources = Map<string, number>;

/** Requests of a pod that names none, for scoring (DefaultMilliCPURequest, DefaultMemoryRequest). */
const NON_ZERO_CPU = 100;
const NON_ZERO_MEMORY = 200 * 1024 * 1024;

/** A pod with its requests added up once. */
export interface PodInfo {
  readonly pod: Pod;
  readonly requests: Resources;
  readonly nonZeroCpu: number;
  readonly nonZeroMemory: number;
}

/** A node and what runs on it. */
export interface NodeInfo {
  node: Node;
  readonly pods: Map<string, PodInfo>;
  allocatable: Resources;
  readonly requested: Resources;
  nonZeroCpu: number;
  nonZeroMemory: number;
}

/** Why a node does not fit. `unresolvable`: no preemption could help. */
export interface Rejection {
  readonly reasons: readonly string[];
  readonly unresolvable: boolean;
}

/** One scheduling attempt. Plugins keep what they compute once per pod in `state`. */
export interface Cycle {
  readonly info: PodInfo;
  readonly nodes: readonly NodeInfo[];
  readonly state: Map<string, unknown>;
}

export interface Plugin {
  readonly name: string;
  /** Undefined when the node fits. */
  filter?(cycle: Cycle, node: NodeInfo): Rejection | undefined;
  /** Once, with the nodes that fit. False: this plugin has nothing to say about the pod. */
  preScore?(cycle: Cycle, feasible: readonly NodeInfo[]): boolean;
  /** Any number; `normalize` brings it into 0…100. */
  score?(cycle: Cycle, node: NodeInfo): number;
  normalize?(cycle: Cycle, scores: number[], feasible: readonly NodeInfo[]): void;
  readonly weight?: number;
}

export const MAX_SCORE = 100;

/** Scales to 0…100 by the largest. Follows helper.DefaultNormalizeScore. */
export function normalizeByMax(scores: number[], reverse: boolean): void {
  const max = Math.max(0, ...scores);
  for (let i = 0; i < scores.length; i++) {
    const score = max === 0 ? 0 : Math.floor((scores[i]! * MAX_SCORE) / max);
    scores[i] = reverse ? MAX_SCORE - score : score;
  }
}

const amount = (name: string, value: string): number => (name === "cpu" ? quantityMilliValue(value) : quantityValue(value));

export function resourcesOf(list: Record<string, string> | undefined): Resources {
  const out: Resources = new Map();
  for (const name in list) out.set(name, amount(name, list[name]!));
  return out;
}

/** The requests that count: containers together, or the largest init container. Follows resource.PodRequests. */
export function podInfo(pod: Pod): PodInfo {
  const requests: Resources = new Map();
  let nonZeroCpu = 0;
  let nonZeroMemory = 0;
  const add = (into: Resources, from: Resources): void => {
    for (const [name, value] of from) into.set(name, (into.get(name) ?? 0) + value);
  };
  const sidecars: Resources = new Map();
  const init: Resources = new Map();
  for (const container of pod.spec.initContainers ?? []) {
    const own = resourcesOf(container.resources?.requests);
    if (container.restartPolicy === "Always") {
      add(sidecars, own);
      add(requests, own);
      for (const [name, value] of sidecars) init.set(name, Math.max(init.get(name) ?? 0, value));
    } else {
      add(own, sidecars);
      for (const [name, value] of own) init.set(name, Math.max(init.get(name) ?? 0, value));
    }
  }
  for (const container of pod.spec.containers) {
    const own = resourcesOf(container.resources?.requests);
    add(requests, own);
    nonZeroCpu += own.get("cpu") ?? NON_ZERO_CPU;
    nonZeroMemory += own.get("memory") ?? NON_ZERO_MEMORY;
  }
  for (const [name, value] of init) requests.set(name, Math.max(requests.get(name) ?? 0, value));
  add(requests, resourcesOf(pod.spec.overhead));
  return { pod, requests, nonZeroCpu: Math.max(nonZeroCpu, init.get("cpu") ?? 0), nonZeroMemory: Math.max(nonZeroMemory, init.get("memory") ?? 0) };
}

export function newNodeInfo(node: Node): NodeInfo {
  return { node, pods: new Map(), allocatable: resourcesOf(node.status.allocatable), requested: new Map(), nonZeroCpu: 0, nonZeroMemory: 0 };
}

export function addPod(info: NodeInfo, pod: PodInfo): void {
  info.pods.set(pod.pod.metadata.uid, pod);
  account(info, pod, 1);
}

export function removePod(info: NodeInfo, uid: string): void {
  const pod = info.pods.get(uid);
  if (pod === undefined) return;
  info.pods.delete(uid);
  account(info, pod, -1);
}

function account(info: NodeInfo, pod: PodInfo, sign: number): void {
  for (const [name, value] of pod.requests) info.requested.set(name, (info.requested.get(name) ?? 0) + sign * value);
  info.nonZeroCpu += sign * pod.nonZeroCpu;
  info.nonZeroMemory += sign * pod.nonZeroMemory;
}

