/**
 * A pod's status out of what its containers do: as a pure function. Follows kubernetes pkg/kubelet/kubelet_pods.go
 * (generateAPIPodStatus, getPhase, convertToAPIContainerStatuses) and status/generate.go.
 */
import type { Container, ContainerState, ContainerStatus, Pod, PodCondition, PodStatus } from "../api/types.generated.ts";
import type { ContainerStatus as RuntimeStatus } from "../cri/types.ts";
import { formatTime } from "../apimachinery/time.ts";

/** What the kubelet knows of one container of a pod. */
export interface ContainerRecord {
  /** The current run and the one before it. */
  current?: RuntimeStatus;
  previous?: RuntimeStatus;
  restarts: number;
  /** Why there is no run now: reason and message of Waiting. */
  waiting?: { readonly reason: string; readonly message?: string };
  /** Startup probe passed (or none). */
  started: boolean;
  /** Readiness probe passed (or none). */
  ready: boolean;
}

export interface PodFacts {
  readonly pod: Pod;
  readonly records: ReadonlyMap<string, ContainerRecord>;
  readonly nowMs: number;
  readonly hostIP: string;
  readonly podIPs: readonly string[];
  readonly sandboxReady: boolean;
}

/** The whole status, conditions with the transition times of `facts.pod.status` where they did not change. */
export function podStatus(facts: PodFacts): PodStatus {
  const { pod, records, nowMs, hostIP } = facts;
  const { spec } = pod;
  const initContainers = spec.initContainers ?? [];
  const initialized = initContainers.every(({ name }) => initDone(records.get(name)));
  const statusOf = (container: Container, isInit: boolean): ContainerStatus =>
    containerStatus(container, records.get(container.name), isInit, initContainers.length > 0 && !initialized);
  const initStatuses = initContainers.map((container) => statusOf(container, true));
  const statuses = spec.containers.map((container) => statusOf(container, false));
  const phase = podPhase(pod, statuses, initStatuses, initialized);
  const podIPs = spec.hostNetwork === true ? [hostIP] : facts.podIPs;
  return {
    phase,
    conditions: conditions(facts, phase, initialized, statuses, initStatuses),
    hostIP,
    hostIPs: [{ ip: hostIP }],
    ...(podIPs.length > 0 ? { podIP: podIPs[0]!, podIPs: podIPs.map((ip) => ({ ip })) } : {}),
    startTime: pod.status.startTime ?? formatTime(nowMs),
    ...(initStatuses.length > 0 ? { initContainerStatuses: initStatuses } : {}),
    containerStatuses: statuses,
    ...(pod.status.qosClass === undefined ? {} : { qosClass: pod.status.qosClass }),
  };
}

/** Whether an init container lets the next one begin. */
export function initDone(record: ContainerRecord | undefined): boolean {
  return record?.current?.state === "CONTAINER_EXITED" && record.current.exitCode === 0;
}

function containerStatus(container: Container, record: ContainerRecord | undefined, isInit: boolean, initializing: boolean): ContainerStatus {
  const current = record?.current;
  const waiting = record?.waiting;
  const running = current?.state === "CONTAINER_RUNNING";
  let state: ContainerState, lastState: ContainerState = {};
  if (running) {
    state = { running: { startedAt: formatTime(current.startedAtMs) } };
    if (record?.previous !== undefined) lastState = { terminated: terminated(record.previous) };
  } else if (waiting !== undefined) {
    state = { waiting: { reason: waiting.reason, ...(waiting.message === undefined ? {} : { message: waiting.message }) } };
    if (current !== undefined) lastState = { terminated: terminated(current) };
  } else if (current !== undefined && current.state === "CONTAINER_EXITED") {
    state = { terminated: terminated(current) };
    if (record?.previous !== undefined) lastState = { terminated: terminated(record.previous) };
  } else {
    state = { waiting: { reason: initializing || isInit && initializing ? "PodInitializing" : "ContainerCreating" } };
  }
  const done = isInit && current?.state === "CONTAINER_EXITED" && current.exitCode === 0;
  return {
    name: container.name, state, lastState,
    ready: done || (!isInit && running && (record?.ready ?? false) && (record?.started ?? false)),
    restartCount: record?.restarts ?? 0,
    image: current?.image ?? container.image ?? "",
    imageID: current?.imageId ?? "",
    ...(current === undefined ? {} : { containerID: `containerd://${current.id}` }),
    started: running && (record?.started ?? false),
  };
}

const terminated = (run: RuntimeStatus): NonNullable<ContainerState["terminated"]> => ({
  exitCode: run.exitCode, reason: run.reason, ...(run.message === "" ? {} : { message: run.message }),
  // A run that never came to start has the epoch here, as the runtime reports it.
  startedAt: formatTime(run.reason === "StartError" ? 0 : run.startedAtMs), finishedAt: formatTime(run.finishedAtMs),
  containerID: `containerd://${run.id}`,
});

/** kubelet_pods.go: getPhase. */
function podPhase(pod: Pod, statuses: readonly ContainerStatus[], initStatuses: readonly ContainerStatus[], initialized: boolean): string {
  const policy = pod.spec.restartPolicy ?? "Always";
  if (!initialized) {
    const failed = initStatuses.some(({ state }) => state.terminated !== undefined && state.terminated.exitCode !== 0);
    return failed && policy === "Never" ? "Failed" : "Pending";
  }
  let waiting = 0, running = 0, stopped = 0, succeeded = 0;
  for (const { state, lastState } of statuses) {
    if (state.running !== undefined) running++;
    else if (state.terminated !== undefined) {
      stopped++;
      if (state.terminated.exitCode === 0) succeeded++;
    } else if (lastState.terminated !== undefined) stopped++;
    else waiting++;
  }
  if (waiting > 0) return "Pending";
  if (running > 0) return "Running";
  if (stopped > 0) {
    if (policy === "Always") return "Running";
    if (stopped === succeeded) return "Succeeded";
    return policy === "Never" ? "Failed" : "Running";
  }
  return "Pending";
}

function conditions(
  facts: PodFacts, phase: string, initialized: boolean, statuses: readonly ContainerStatus[], initStatuses: readonly ContainerStatus[],
): PodCondition[] {
  const { pod, nowMs } = facts;
  const before = new Map((pod.status.conditions ?? []).map((condition) => [condition.type, condition]));
  const over = phase === "Succeeded" || phase === "Failed";
  const make = (type: string, holds: boolean, reason = "", message = ""): PodCondition => {
    const status = holds ? "True" : "False";
    const former = before.get(type);
    const changed = former?.status !== status;
    return {
      type, status, lastProbeTime: null as unknown as string,
      lastTransitionTime: changed ? formatTime(nowMs) : (former?.lastTransitionTime ?? formatTime(nowMs)),
      ...(reason === "" ? {} : { reason }), ...(message === "" ? {} : { message }),
    } as PodCondition;
  };
  const unready = statuses.filter(({ ready }) => !ready).map(({ name }) => name);
  const containersReady = unready.length === 0;
  const unreadyText = `containers with unready status: [${unready.join(" ")}]`;
  const incomplete = initStatuses.filter(({ ready: done }) => !done).map(({ name }) => name);
  const ready = (type: string): PodCondition => {
    if (over) return make(type, false, phase === "Succeeded" ? "PodCompleted" : "PodFailed");
    return containersReady ? make(type, true) : make(type, false, "ContainersNotReady", unreadyText);
  };
  const own = [
    make("PodReadyToStartContainers", facts.sandboxReady),
    phase === "Succeeded" ? make("Initialized", true, "PodCompleted")
      : initialized ? make("Initialized", true)
        : make("Initialized", false, "ContainersNotInitialized", `containers with incomplete status: [${incomplete.join(" ")}]`),
    ready("Ready"),
    ready("ContainersReady"),
    make("PodScheduled", true),
  ];
  // Conditions of others (DisruptionTarget) stay.
  const names = new Set(own.map(({ type }) => type));
  return [...own, ...(pod.status.conditions ?? []).filter(({ type }) => !names.has(type))];
}
