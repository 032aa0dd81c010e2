/**
 * A pod's status out of what the runtime and the probes say, as a pure function.
 * Follows kubernetes pkg/kubelet/kubelet_pods.go (generateAPIPodStatus, getPhase, convertToAPIContainerStatuses).
 */
import type { Container, ContainerState, ContainerStatus, EphemeralContainer, Pod, PodStatus } from "../../api/types.generated.ts";
import type { ContainerStatus as Run } from "../../cri/types.ts";
import { formatTime } from "../../apimachinery/time.ts";
import { qosClass } from "./qos.ts";
import { OWN_CONDITIONS, ownConditions } from "./conditions.ts";

/** Why a container does not start: kubelet's reason cache, the reason and message of Waiting. */
export interface Waiting {
  readonly reason: string;
  readonly message: string;
}

/** What is known of a pod on this node. */
export interface PodFacts {
  readonly pod: Pod;
  /** The status made last, or the one that the API server has. */
  readonly former: PodStatus;
  /** Runs of each container, the latest first. */
  readonly runs: ReadonlyMap<string, readonly Run[]>;
  readonly waiting: ReadonlyMap<string, Waiting>;
  /** Startup probe passed or there is none; readiness likewise. Asked for running containers only. */
  started(container: string): boolean;
  ready(container: string): boolean;
  /** The digest under which the image was pulled. */
  imageID(run: Run): string;
  /** What a run that ended said at last. */
  messageOf(run: Run): string;
  readonly nowMs: number;
  readonly hostIPs: readonly string[];
  readonly podIPs: readonly string[];
  readonly sandboxReady: boolean;
  /** Nothing of it will be started again: it is being deleted, or was evicted. */
  readonly terminal: boolean;
  /** Why it has failed as a whole: past its deadline, evicted, rejected. */
  readonly failure?: { readonly reason: string; readonly message: string } | undefined;
}

/** An init container that stays. */
export const isSidecar = ({ restartPolicy }: Container): boolean => restartPolicy === "Always";

export const isOver = (phase: string | undefined): boolean => phase === "Succeeded" || phase === "Failed";

const byName = (a: ContainerStatus, b: ContainerStatus): number => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);

/** The whole status; conditions keep the transition times of `former` where they did not change. */
export function podStatus(facts: PodFacts): PodStatus {
  const { pod, former, hostIPs } = facts;
  const { spec } = pod;
  const initContainers = spec.initContainers ?? [];
  const initial = initContainers.length > 0 ? "PodInitializing" : "ContainerCreating";
  const initStatuses = initContainers.map((container) => containerStatus(facts, container, initial, true));
  const statuses = spec.containers.map((container) => containerStatus(facts, container, initial, false)).sort(byName);
  const ephemeral = (spec.ephemeralContainers ?? []).map((container) => ephemeralStatus(facts, container)).sort(byName);
  let phase = podPhase(pod, statuses, initStatuses, facts.terminal);
  let { reason, message } = former.phase === phase ? former : {};
  if (isOver(former.phase)) ({ phase, reason, message } = { phase: former.phase!, reason: former.reason, message: former.message });
  else if (facts.failure !== undefined) ({ phase, reason, message } = { phase: "Failed", ...facts.failure });
  const podIPs = spec.hostNetwork === true ? hostIPs : facts.podIPs;
  const foreign = (former.conditions ?? []).filter(({ type }) => !OWN_CONDITIONS.has(type));
  const status: PodStatus = {
    phase,
    conditions: [...foreign],
    ...(message === undefined || message === "" ? {} : { message }),
    ...(reason === undefined || reason === "" ? {} : { reason }),
    ...(former.nominatedNodeName === undefined ? {} : { nominatedNodeName: former.nominatedNodeName }),
    hostIP: hostIPs[0]!,
    hostIPs: hostIPs.map((ip) => ({ ip })),
    ...(podIPs.length > 0 ? { podIP: podIPs[0]!, podIPs: podIPs.map((ip) => ({ ip })) } : {}),
    startTime: former.startTime ?? formatTime(facts.nowMs),
    ...(initStatuses.length > 0 ? { initContainerStatuses: initStatuses } : {}),
    containerStatuses: statuses,
    ...(ephemeral.length > 0 ? { ephemeralContainerStatuses: ephemeral } : {}),
    qosClass: former.qosClass ?? qosClass(pod),
  };
  const now = formatTime(facts.nowMs);
  for (const { type, status: value, reason: why, message: text } of ownConditions({ pod, phase, initStatuses, statuses, sandboxReady: facts.sandboxReady, foreign })) {
    const before = (former.conditions ?? []).find((condition) => condition.type === type);
    status.conditions!.push({
      type, status: value, lastProbeTime: null as unknown as string,
      lastTransitionTime: before?.status === value ? (before.lastTransitionTime ?? now) : now,
      ...(why === undefined ? {} : { reason: why }), ...(text === undefined ? {} : { message: text }),
    });
  }
  return status;
}

/** status_manager.go: TerminatePod. What has not ended by then never will. */
export function terminatedStatus(pod: Pod, status: PodStatus): PodStatus {
  const initialized = hasInitialized(pod, status);
  const end = (container: ContainerStatus): ContainerStatus => (container.state.terminated !== undefined ? container : {
    ...container,
    state: { terminated: { exitCode: 137, reason: "ContainerStatusUnknown", message: "The container could not be located when the pod was terminated" } },
    ready: false,
  });
  return {
    ...status,
    containerStatuses: (status.containerStatuses ?? []).map((s) => (initialized ? end(s) : s)),
    ...(status.initContainerStatuses === undefined ? {} : { initContainerStatuses: status.initContainerStatuses.map((s) => (s.state.running === undefined ? s : end(s))) }),
  };
}

const hasInitialized = (pod: Pod, status: PodStatus): boolean =>
  (pod.spec.initContainers ?? []).length === 0 || (status.containerStatuses ?? []).some(({ state, lastState }) => state.running ?? state.terminated ?? lastState.terminated) ||
  wasDone(status.initContainerStatuses?.at(-1));

/** A sidecar has started, another init container has succeeded. */
const wasDone = (last: ContainerStatus | undefined): boolean =>
  last?.started === true || last?.state.terminated?.exitCode === 0 || last?.lastState.terminated?.exitCode === 0;

/** kubecontainer.ShouldContainerBeRestarted: whether the next look starts it. */
export function shouldRestart(pod: Pod, container: Container, run: Run | undefined): boolean {
  if (pod.metadata.deletionTimestamp !== undefined) return false;
  if (run === undefined) return true;
  if (run.state === "CONTAINER_RUNNING") return false;
  if (run.state === "CONTAINER_CREATED" || isSidecar(container)) return true;
  const policy = pod.spec.restartPolicy ?? "Always";
  if (policy === "Never") return false;
  return policy === "Always" || run.exitCode !== 0;
}

function containerStatus(facts: PodFacts, container: Container, initial: string, isInit: boolean): ContainerStatus {
  const { pod } = facts;
  const [run, last] = facts.runs.get(container.name) ?? [];
  const running = run?.state === "CONTAINER_RUNNING";
  let state: ContainerState = run === undefined ? { waiting: { reason: initial } } : stateOf(facts, run);
  let lastState: ContainerState = last === undefined ? {} : stateOf(facts, last);
  const done = isInit && !isSidecar(container) && run?.state === "CONTAINER_EXITED" && run.exitCode === 0;
  const waiting = facts.waiting.get(container.name);
  if (!done && waiting !== undefined && shouldRestart(pod, container, run)) {
    if (state.terminated !== undefined) lastState = state;
    state = { waiting: { reason: waiting.reason, ...(waiting.message === "" ? {} : { message: waiting.message }) } };
  }
  const started = running && facts.started(container.name);
  return {
    name: container.name, state, lastState,
    ready: done || (started && (isInit && !isSidecar(container) ? false : facts.ready(container.name))),
    restartCount: run?.attempt ?? 0,
    ...identity(facts, container, run),
    started,
    ...volumeMounts(container),
  };
}

/** Ephemeral containers are never restarted, nor waited for. */
function ephemeralStatus(facts: PodFacts, container: EphemeralContainer): ContainerStatus {
  const run = facts.runs.get(container.name)?.[0];
  const waiting = facts.waiting.get(container.name);
  const state: ContainerState = run !== undefined ? stateOf(facts, run)
    : { waiting: waiting === undefined ? { reason: "ContainerCreating" } : { reason: waiting.reason, ...(waiting.message === "" ? {} : { message: waiting.message }) } };
  return { name: container.name, state, lastState: {}, ready: false, restartCount: 0, ...identity(facts, container, run), ...volumeMounts(container) };
}

const identity = (facts: PodFacts, container: Container | EphemeralContainer, run: Run | undefined): { image: string; imageID: string; containerID?: string } =>
  run === undefined ? { image: container.image ?? "", imageID: "" } : { image: run.image, imageID: facts.imageID(run), containerID: `containerd://${run.id}` };

/** As RecursiveReadOnlyMounts has it. */
const volumeMounts = ({ volumeMounts: mounts = [] }: Container | EphemeralContainer): Pick<ContainerStatus, "volumeMounts"> =>
  mounts.length === 0 ? {} : {
    volumeMounts: mounts.map(({ name, mountPath, readOnly }) => ({ name, mountPath, ...(readOnly === true ? { readOnly, recursiveReadOnly: "Disabled" } : {}) })),
  };

function stateOf(facts: PodFacts, run: Run): ContainerState {
  switch (run.state) {
    case "CONTAINER_RUNNING": return { running: { startedAt: formatTime(run.startedAtMs) } };
    case "CONTAINER_CREATED": return { waiting: {} };
    case "CONTAINER_EXITED": {
      const message = facts.messageOf(run);
      return {
        terminated: {
          exitCode: run.exitCode, reason: run.reason, ...(message === "" ? {} : { message }),
          // A run that never came to start has the epoch here, as the runtime reports it.
          startedAt: formatTime(run.reason === "StartError" ? 0 : run.startedAtMs), finishedAt: formatTime(run.finishedAtMs),
          containerID: `containerd://${run.id}`,
        },
      };
    }
  }
}

/** kubelet_pods.go: getPhase. */
export function podPhase({ spec }: Pod, statuses: readonly ContainerStatus[], initStatuses: readonly ContainerStatus[], terminal: boolean): string {
  const policy = spec.restartPolicy ?? "Always";
  let pendingInit = 0, failedInit = 0, pendingSidecars = 0;
  let running = 0, waiting = 0, stopped = 0, succeeded = 0;
  (spec.initContainers ?? []).forEach((container, i) => {
    const { state, lastState, started } = initStatuses[i]!;
    if (isSidecar(container)) {
      if (state.running !== undefined) {
        if (started !== true) pendingSidecars++;
        running++;
      } else if (state.waiting !== undefined && lastState.terminated === undefined) {
        pendingSidecars++;
        waiting++;
      }
      return;
    }
    const end = state.terminated ?? (state.waiting === undefined ? undefined : lastState.terminated);
    if (state.running !== undefined || end === undefined) pendingInit++;
    else if (end.exitCode !== 0) failedInit++;
  });
  for (const { state, lastState } of statuses) {
    if (state.running !== undefined) running++;
    else if (state.terminated !== undefined) {
      stopped++;
      if (state.terminated.exitCode === 0) succeeded++;
    } else if (lastState.terminated !== undefined) stopped++;
    else waiting++;
  }
  if (failedInit > 0 && policy === "Never") return "Failed";
  const began = statuses.some(({ state, lastState }) => state.running ?? state.terminated ?? lastState.terminated);
  if (pendingInit > 0 || (pendingSidecars > 0 && !began) || waiting > 0) return "Pending";
  if (running > 0) return "Running";
  if (stopped === 0) return "Pending";
  if (terminal) return stopped === succeeded ? "Succeeded" : "Failed";
  if (policy === "Always") return "Running";
  if (stopped === succeeded) return "Succeeded";
  return policy === "Never" ? "Failed" : "Running";
}
