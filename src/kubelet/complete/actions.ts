/**
 * What is to be done next for a pod, as a pure function of what runs. Follows kubernetes
 * pkg/kubelet/kuberuntime/kuberuntime_manager.go: computePodActions and kuberuntime_container.go: computeInitContainerActions.
 */
import type { Container, Pod } from "../../api/types.generated.ts";
import type { ContainerStatus as Run } from "../../cri/types.ts";
import { isSidecar, shouldRestart } from "./pod-status.ts";

export type KillReason = "" | "StartupProbe" | "LivenessProbe" | "FailedPostStartHook";

export interface ToKill {
  readonly run: Run;
  readonly container: Container;
  /** What the Killing event says; empty: `Stopping container …`. */
  readonly message: string;
  readonly reason: KillReason;
}

export interface PodActions {
  /** Nothing of it is to run any more. */
  killPod: boolean;
  /** By name, as in the pod's lists. */
  readonly ephemeralToStart: string[];
  readonly initToStart: string[];
  readonly toStart: string[];
  readonly toKill: ToKill[];
}

export interface ActionFacts {
  readonly pod: Pod;
  readonly runs: ReadonlyMap<string, readonly Run[]>;
  /** Whether the container's definition is another one than that of the run. */
  changed(container: Container, run: Run): boolean;
  /** What probes of a running container found: passed its startup, and which one fails. */
  started(name: string): boolean;
  failedProbe(name: string): "StartupProbe" | "LivenessProbe" | undefined;
}

/** With a sandbox that is there and as it should be. */
export function podActions(facts: ActionFacts): PodActions {
  const { pod: { spec } } = facts;
  const latest = (name: string): Run | undefined => facts.runs.get(name)?.[0];
  const actions: PodActions = { killPod: false, ephemeralToStart: [], initToStart: [], toStart: [], toKill: [] };
  for (const { name } of spec.ephemeralContainers ?? []) if (latest(name) === undefined) actions.ephemeralToStart.push(name);
  const initialized = initActions(facts, actions);
  if (actions.killPod || !initialized) return actions;
  let kept = 0;
  for (const container of spec.containers) {
    const run = latest(container.name);
    if (run === undefined || run.state !== "CONTAINER_RUNNING") {
      if (shouldRestart(facts.pod, container, run)) actions.toStart.push(container.name);
      continue;
    }
    let restart = spec.restartPolicy !== "Never";
    let message: string;
    let reason: KillReason = "";
    const probe = facts.failedProbe(container.name);
    if (facts.changed(container, run)) {
      message = `Container ${container.name} definition changed`;
      restart = true;
    } else if (probe !== undefined) {
      message = `Container ${container.name} failed ${probe === "LivenessProbe" ? "liveness" : "startup"} probe`;
      reason = probe;
    } else {
      kept++;
      continue;
    }
    if (restart) {
      message += ", will be restarted";
      actions.toStart.push(container.name);
    }
    actions.toKill.push({ run, container, message, reason });
  }
  if (kept === 0 && actions.toStart.length === 0) {
    actions.killPod = true;
    actions.initToStart.length = 0;
  }
  return actions;
}

/** Whether regular containers may run; what the init containers need until then, and sidecars ever after. */
function initActions(facts: ActionFacts, actions: PodActions): boolean {
  const { pod: { spec } } = facts;
  const inits = spec.initContainers ?? [];
  if (inits.length === 0) return true;
  const latest = (name: string): Run | undefined => facts.runs.get(name)?.[0];
  const began = spec.containers.some(({ name }) => latest(name) !== undefined);
  const killSidecar = (container: Container, run: Run): boolean => {
    const probe = facts.failedProbe(container.name);
    const changed = facts.changed(container, run);
    if (!changed && probe === undefined) return false;
    const why = changed ? "definition changed" : `failed ${probe === "LivenessProbe" ? "liveness" : "startup"} probe`;
    actions.toKill.push({ run, container, message: `Init container ${container.name} ${why}`, reason: changed ? "" : probe! });
    return true;
  };
  for (const container of inits) {
    const { name } = container;
    const run = latest(name);
    if (isSidecar(container)) {
      if (run?.state === "CONTAINER_RUNNING") {
        if (killSidecar(container, run)) actions.initToStart.push(name);
        if (!began && !facts.started(name)) return false;
        continue;
      }
      actions.initToStart.push(name);
      // The next one waits until this one has started.
      if (!began) return false;
      continue;
    }
    if (began) continue;
    if (run === undefined || run.state === "CONTAINER_CREATED") {
      actions.initToStart.push(name);
      return false;
    }
    if (run.state === "CONTAINER_RUNNING") {
      if (facts.changed(container, run)) {
        actions.toKill.push({ run, container, message: `Init container ${name} definition changed`, reason: "" });
        actions.initToStart.push(name);
      }
      return false;
    }
    if (run.exitCode === 0) continue;
    if (spec.restartPolicy === "Never") actions.killPod = true;
    else actions.initToStart.push(name);
    return false;
  }
  return true;
}
