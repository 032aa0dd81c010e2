/** The conditions that a kubelet gives a pod. Follows kubernetes pkg/kubelet/status/generate.go and pkg/kubelet/types/pod_status.go. */
import type { Container, ContainerStatus, Pod, PodCondition } from "../../api/types.generated.ts";
import { isSidecar } from "./pod-status.ts";

/** Types that belong to the kubelet (PodConditionByKubelet); DisruptionTarget is shared with others. */
export const OWN_CONDITIONS: ReadonlySet<string> = new Set(["PodScheduled", "Ready", "Initialized", "ContainersReady", "PodReadyToStartContainers"]);

/** A condition without its times. */
export interface Condition {
  readonly type: string;
  readonly status: "True" | "False" | "Unknown";
  readonly reason?: string;
  readonly message?: string;
}

export interface ConditionFacts {
  readonly pod: Pod;
  readonly phase: string;
  readonly initStatuses: readonly ContainerStatus[];
  readonly statuses: readonly ContainerStatus[];
  /** The sandbox is ready and has its addresses. */
  readonly sandboxReady: boolean;
  /** Conditions of others, readiness gates among them. */
  readonly foreign: readonly PodCondition[];
}

/** In the order in which a kubelet writes them. */
export function ownConditions(facts: ConditionFacts): Condition[] {
  return [
    { type: "PodReadyToStartContainers", status: facts.sandboxReady ? "True" : "False" },
    initialized(facts),
    ready(facts),
    containersReady(facts),
    { type: "PodScheduled", status: "True" },
  ];
}

const names = (list: readonly string[]): string => `[${list.join(" ")}]`;
const statusOf = (statuses: readonly ContainerStatus[], name: string): ContainerStatus | undefined => statuses.find((status) => status.name === name);

function completed(type: string, unknown: readonly string[], phase: string): Condition | undefined {
  if (phase === "Succeeded" && unknown.length === 0) return { type, status: type === "Initialized" ? "True" : "False", reason: "PodCompleted" };
  return phase === "Failed" && type !== "Initialized" ? { type, status: "False", reason: "PodFailed" } : undefined;
}

/** GenerateContainersReadyCondition. */
function containersReady({ pod: { spec }, initStatuses, statuses, phase }: ConditionFacts): Condition {
  const type = "ContainersReady";
  const unknown: string[] = [], unready: string[] = [];
  const look = (container: Container, all: readonly ContainerStatus[]): void => {
    const status = statusOf(all, container.name);
    if (status === undefined) unknown.push(container.name);
    else if (!status.ready) unready.push(container.name);
  };
  for (const container of spec.initContainers ?? []) if (isSidecar(container)) look(container, initStatuses);
  for (const container of spec.containers) look(container, statuses);
  const over = completed(type, unknown, phase);
  if (over !== undefined) return over;
  const messages = [
    ...(unknown.length > 0 ? [`containers with unknown status: ${names(unknown)}`] : []),
    ...(unready.length > 0 ? [`containers with unready status: ${names(unready)}`] : []),
  ];
  return messages.length === 0 ? { type, status: "True" } : { type, status: "False", reason: "ContainersNotReady", message: messages.join(", ") };
}

/** GeneratePodReadyCondition. */
function ready(facts: ConditionFacts): Condition {
  const containers = containersReady(facts);
  if (containers.status !== "True") return { ...containers, type: "Ready" };
  const missing: string[] = [];
  for (const { conditionType } of facts.pod.spec.readinessGates ?? []) {
    const found = facts.foreign.find(({ type }) => type === conditionType);
    if (found === undefined) missing.push(`corresponding condition of pod readiness gate "${conditionType}" does not exist.`);
    else if (found.status !== "True") missing.push(`the status of pod readiness gate "${conditionType}" is not "True", but ${found.status}`);
  }
  return missing.length === 0 ? { type: "Ready", status: "True" } : { type: "Ready", status: "False", reason: "ReadinessGatesNotReady", message: missing.join(", ") };
}

/** GeneratePodInitializedCondition. */
function initialized({ pod: { spec }, initStatuses, statuses, phase }: ConditionFacts): Condition {
  const type = "Initialized";
  const unknown: string[] = [], incomplete: string[] = [];
  for (const container of spec.initContainers ?? []) {
    const status = statusOf(initStatuses, container.name);
    if (status === undefined) unknown.push(container.name);
    else if (isSidecar(container) ? status.started !== true : !status.ready) incomplete.push(container.name);
  }
  const over = completed(type, unknown, phase);
  if (over !== undefined) return over;
  // A regular container that ever ran says that initialisation was done once, whatever sidecars do now.
  const began = statuses.some(({ state, lastState }) => state.running !== undefined || state.terminated !== undefined || lastState.terminated !== undefined);
  const messages = began ? [] : [
    ...(unknown.length > 0 ? [`containers with unknown status: ${names(unknown)}`] : []),
    ...(incomplete.length > 0 ? [`containers with incomplete status: ${names(incomplete)}`] : []),
  ];
  return messages.length === 0 ? { type, status: "True" } : { type, status: "False", reason: "ContainersNotInitialized", message: messages.join(", ") };
}
