/**
 * One pod on this node, from its arrival until nothing of it is left: every change wakes `sync`, which looks at what is there and takes
 * the next steps. Follows kubernetes pkg/kubelet: pod_workers.go, kubelet.go (SyncPod, SyncTerminatingPod, SyncTerminatedPod) and
 * kuberuntime/kuberuntime_manager.go (SyncPod).
 */
import { parseTime } from "../../apimachinery/time.ts";
import type { Container, EphemeralContainer, Pod, PodStatus, RuntimeClass } from "../../api/types.generated.ts";
import type { ContainerStatus as Run } from "../../cri/types.ts";
import type { Netns } from "../../kernel/netns.ts";
import type { Cancel, Random } from "../../time/clock.ts";
import type { Api } from "../api.ts";
import { Backoff } from "../backoff.ts";
import { podActions, type ActionFacts, type ToKill } from "./actions.ts";
import { OWN_CONDITIONS } from "./conditions.ts";
import { containerHash, startContainer, type StartDeps } from "./containers.ts";
import { terminationMessage } from "./termination-message.ts";
import { formatPod } from "./hooks.ts";
import { killContainer, TerminationOrder, type KillDeps } from "./kill.ts";
import { isOver, isSidecar, podStatus, shouldRestart, terminatedStatus, type Waiting } from "./pod-status.ts";
import { ContainerProber } from "./prober.ts";
import type { StatusManager } from "./status-manager.ts";
import type { PodVolumes } from "./volumes/pod-volumes.ts";
import { goDuration } from "../duration.ts";

export interface PodWorkerDeps extends StartDeps {
  readonly statuses: StatusManager;
  readonly hostIPs: readonly string[];
  readonly networkNotReady: () => string | undefined;
  readonly random: Random;
  readonly volumesOf: (podIPs: () => readonly string[]) => PodVolumes;
  /** The object by which the API server knows the pod: that of a static pod is its mirror, if there is one. */
  readonly apiPod: (pod: Pod) => Pod | null;
  /** Everything of the pod is gone from this node. */
  readonly terminated: (pod: Pod, removed: boolean) => void;
}

/** backOffPeriod, and the shorter one while the network is not ready (backOffOnTransientErrorPeriod). */
const ERROR_RETRY_MS = 10_000;
const TRANSIENT_RETRY_MS = 1_000;
/** syncFrequency. */
const SYNC_MS = 60_000;
/** genericPlegRelistPeriod. */
const RELIST_MS = 1_000;
/** While a container is backed off, the pod is looked at from time to time. */
const BACKOFF_LOOK_MS = 12_000;

/** One step of a pod's life on its node. */
export interface Step {
  readonly timeMs: number;
  readonly step: string;
  readonly [detail: string]: unknown;
}
/** So many steps are kept of a pod. */
const TRACE_MAX = 64;

/** Why a pod is brought to its end by the kubelet itself. */
export interface Failure {
  readonly reason: string;
  readonly message: string;
  /** A condition that goes with it. */
  readonly condition?: { readonly type: string; readonly reason: string; readonly message: string };
  readonly graceS?: number | undefined;
}

export class PodWorker {
  private readonly deps: PodWorkerDeps;
  private readonly backoff: Backoff;
  private readonly runs = new Map<string, Run[]>();
  private readonly waiting = new Map<string, Waiting>();
  private readonly hashes = new Map<string, string>();
  private readonly probers = new Map<string, ContainerProber>();
  /** What runs that ended have left to say, by the run's id. */
  private readonly lastWords = new Map<string, string>();
  readonly volumes: PodVolumes;
  private current: Pod;
  private sandboxId: string | undefined;
  private sandboxAttempt = 0;
  private running = false;
  private again = false;
  private wake: Cancel | undefined;
  private wakeAtMs = 0;
  private deadline: Cancel | undefined;
  private resync: Cancel | undefined;
  /** What the kubelet made for it may be out of date. */
  private stale = false;
  private removed = false;
  private failure: Failure | undefined;
  /** Nothing will be started any more. */
  private ending = false;
  private over = false;
  /** Gives up what a sync waits for: hooks of a pod that is to end, a grace period that became shorter. */
  /** What was done for it, the oldest first. */
  readonly trace: Step[] = [];
  private interrupt = new AbortController();
  private graceS: number | undefined;

  constructor(deps: PodWorkerDeps, pod: Pod) {
    this.deps = deps;
    this.current = pod;
    this.backoff = new Backoff(deps.clock);
    this.volumes = deps.volumesOf(() => (this.current.spec.hostNetwork === true ? deps.hostIPs : this.podIPs()));
  }

  get pod(): Pod {
    return this.current;
  }

  /** Whether it still has something on this node. */
  get active(): boolean {
    return !this.over;
  }

  /** Runs of each container, the latest first. */
  runsOf(container: string): readonly Run[] {
    return this.runs.get(container) ?? [];
  }

  private note(step: string, detail: Readonly<Record<string, unknown>> = {}): void {
    if (this.trace.length === TRACE_MAX) this.trace.shift();
    this.trace.push({ timeMs: this.deps.clock.nowMs(), step, ...detail });
    this.deps.log.info(step, { pod: `${this.current.metadata.namespace ?? "default"}/${this.current.metadata.name}`, ...detail });
  }

  /** The pod as the API server has it now. */
  update(pod: Pod): void {
    const before = this.current;
    this.current = pod;
    if (this.over) {
      // It ended before it was deleted: now its object may go.
      if (pod.metadata.deletionTimestamp !== undefined) this.deps.terminated(pod, false);
      return;
    }
    if (pod.metadata.deletionTimestamp !== undefined) this.end();
    else if (intent(before) !== intent(pod)) {
      this.stale = true;
      this.sync();
    }
  }

  /** The pod is gone from where it came from without our doing: it is killed all the same. */
  remove(): void {
    if (this.over) return;
    this.removed = true;
    this.end();
  }

  /** Evicts it, or what else ends it as failed. */
  fail(failure: Failure): void {
    if (this.over || this.failure !== undefined) return;
    this.failure = failure;
    this.end();
  }

  private end(): void {
    const grace = this.removed ? 1 : (this.failure?.graceS ?? this.current.metadata.deletionGracePeriodSeconds);
    if (this.ending && (grace === undefined || (this.graceS !== undefined && grace >= this.graceS))) return;
    this.graceS = grace;
    this.ending = true;
    this.interrupt.abort(new Error("the pod is to end"));
    this.interrupt = new AbortController();
    this.sync();
  }

  /** Looks again: something changed. Runs one after the other; calls meanwhile are joined. */
  sync(): void {
    if (this.over) return;
    if (this.running) {
      this.again = true;
      return;
    }
    this.running = true;
    this.wake?.();
    this.wake = undefined;
    void this.step().catch((error: unknown) => {
      this.deps.log.error("Error syncing pod, skipping", { pod: formatPod(this.current), err: String(error) });
      this.wakeIn(ERROR_RETRY_MS);
    }).finally(() => {
      this.running = false;
      if (!this.again) return;
      this.again = false;
      this.sync();
    });
  }

  /** A container of this node ended; ours or not. */
  containerEnded(run: Run): void {
    if (run.sandboxId !== this.sandboxId) return;
    this.note("ContainerEnded", { container: run.name, id: run.id, exitCode: run.exitCode, reason: run.reason });
    const { spec } = this.current;
    const all: readonly (Container | EphemeralContainer)[] = [...spec.containers, ...(spec.initContainers ?? []), ...(spec.ephemeralContainers ?? [])];
    const container = all.find(({ name }) => name === run.name);
    if (container !== undefined) this.lastWords.set(run.id, terminationMessage(this.deps.runtime, run, container, all.length));
    const prober = this.probers.get(run.name);
    if (prober?.target.containerId === run.id) {
      prober.stop();
      this.probers.delete(run.name);
    }
    // What ends while it is being seen to is seen at the next look of the generic PLEG, a second later.
    if (this.running) this.wakeIn(RELIST_MS);
    else this.sync();
  }

  /** Kills everything at once, without a word to the API server: the node goes down. */
  async destroy(): Promise<void> {
    this.over = true;
    this.wake?.();
    this.deadline?.();
    this.resync?.();
    this.interrupt.abort(new Error("node stopped"));
    for (const prober of this.probers.values()) prober.stop();
    this.volumes.unmount();
    if (this.sandboxId !== undefined) await this.deps.runtime.removePodSandbox(this.sandboxId);
  }

  /** The soonest of what is waited for counts. */
  private wakeIn(delayMs: number): void {
    const due = this.deps.clock.nowMs() + delayMs;
    if (this.wake !== undefined && this.wakeAtMs <= due) return;
    this.wake?.();
    this.wakeAtMs = due;
    this.wake = this.deps.clock.after(delayMs, () => {
      this.wake = undefined;
      this.sync();
    });
  }

  private async step(): Promise<void> {
    if (!this.ending && !isOver(this.current.status.phase)) {
      if (!(await this.syncPod())) return;
      this.ending = true;
    }
    await this.terminate();
  }

  private status(terminal = false): PodStatus {
    const { deps, current: pod } = this;
    const sandbox = this.sandboxId === undefined ? undefined : deps.runtime.podSandboxStatus(this.sandboxId);
    const former = deps.statuses.get(pod.metadata.uid);
    // As long as something of it runs, the pod has not failed yet (mergePodStatus).
    const failure = [...this.runs.values()].some(([run]) => run?.state === "CONTAINER_RUNNING") ? undefined : this.failure;
    const status = podStatus({
      pod, former: former === undefined ? pod.status : { ...former, conditions: mergeForeign(former, pod.status) },
      runs: this.runs, waiting: this.waiting,
      started: (name) => this.probers.get(name)?.started ?? true, ready: (name) => this.probers.get(name)?.ready ?? true,
      imageID: (run) => deps.imageID(run), messageOf: (run) => [run.message, this.lastWords.get(run.id) ?? ""].filter((text) => text !== "").join(": "), nowMs: deps.clock.nowMs(), hostIPs: deps.hostIPs,
      podIPs: sandbox?.ips ?? [], sandboxReady: sandbox?.state === "SANDBOX_READY", terminal, failure,
    });
    const condition = failure?.condition;
    if (condition !== undefined && !(status.conditions ?? []).some(({ type }) => type === condition.type)) {
      const now = new Date(Math.floor(deps.clock.nowMs() / 1000) * 1000).toISOString().replace(".000Z", "Z");
      status.conditions = [...(status.conditions ?? []), { ...condition, status: "True", lastProbeTime: null as unknown as string, lastTransitionTime: now }];
    }
    return status;
  }

  private publish(status = this.status()): PodStatus {
    if (!this.removed) this.deps.statuses.set(this.current, status, this.deps.apiPod(this.current));
    return status;
  }

  /** True: nothing of it is to run any more. */
  private async syncPod(): Promise<boolean> {
    const { deps } = this;
    const { spec } = this.current;
    if (this.pastDeadline()) return true;
    if (isOver(this.publish().phase)) return true;
    const notReady = spec.hostNetwork === true ? undefined : deps.networkNotReady();
    if (notReady !== undefined) {
      this.event("Warning", "NetworkNotReady", `network is not ready: ${notReady}`);
      this.wakeIn(TRANSIENT_RETRY_MS);
      return false;
    }
    const refresh = this.stale;
    this.stale = false;
    if (this.sandboxId === undefined) this.note("MountVolumes", { volumes: (spec.volumes ?? []).map(({ name }) => name) });
    const unmounted = await this.volumes.mount(this.current, refresh);
    this.resyncLater();
    if (this.ending) return false;
    if (unmounted !== undefined) {
      this.wakeIn(unmounted.retryMs);
      return false;
    }
    if (!(await this.ensureSandbox()) || this.ending) return false;
    await this.syncContainers();
    if (this.ending) return false;
    // What was started or refused meanwhile is told at once.
    return isOver(this.publish().phase);
  }

  /** syncFrequency: what the kubelet made of ConfigMaps and the like is made anew every minute or so. */
  private resyncLater(): void {
    const { clock, random } = this.deps;
    const delayMs = Math.min(this.volumes.refreshes ? SYNC_MS * (1 + random.float() / 2) : Infinity, Math.max(1000, this.volumes.renewAtMs - clock.nowMs()));
    this.resync?.();
    this.resync = delayMs === Infinity ? undefined : clock.after(delayMs, () => {
      this.stale = true;
      this.sync();
    });
  }

  /** activeDeadlineSeconds counts from the pod's start on the node. */
  private pastDeadline(): boolean {
    const { spec, status, metadata } = this.current;
    const seconds = spec.activeDeadlineSeconds;
    const startTime = this.deps.statuses.get(metadata.uid)?.startTime ?? status.startTime;
    if (seconds === undefined) return false;
    const { clock } = this.deps;
    const leftMs = (startTime === undefined ? clock.nowMs() : parseTime(startTime)!) + seconds * 1000 - clock.nowMs();
    this.deadline?.();
    this.deadline = undefined;
    if (leftMs > 0) {
      this.deadline = clock.after(leftMs, () => this.sync());
      return false;
    }
    const message = "Pod was active on the node longer than the specified deadline";
    this.event("Normal", "DeadlineExceeded", message);
    this.failure = { reason: "DeadlineExceeded", message };
    this.publish();
    return true;
  }

  private event(type: "Normal" | "Warning", reason: string, message: string): void {
    this.deps.events.event({ ...this.current, apiVersion: "v1", kind: "Pod" }, type, reason, message);
  }

  private async ensureSandbox(): Promise<boolean> {
    const { deps, current: pod } = this;
    if (this.sandboxId !== undefined) return true;
    try {
      const runtimeHandler = await runtimeHandlerOf(deps.api, pod.spec.runtimeClassName);
      const config = { ...deps.sandboxConfig(pod, this.sandboxAttempt++), ...(runtimeHandler === "" ? {} : { runtimeHandler }) };
      this.note("RunPodSandbox", { attempt: config.attempt });
      this.sandboxId = await deps.runtime.runPodSandbox(config);
      const { netns, ips } = deps.runtime.podSandboxStatus(this.sandboxId)!;
      this.note("SandboxReady", { sandbox: this.sandboxId, netns, ips, cni: deps.runtime.sandboxes.get(this.sandboxId)?.result ?? null });
      return true;
    } catch (error) {
      this.event("Warning", "FailedCreatePodSandBox", `Failed to create pod sandbox: ${(error as Error).message}`);
      this.wakeIn(ERROR_RETRY_MS);
      return false;
    }
  }

  /** kubelet_pods.go: getPullSecretsForPod. Pulls are tried all the same. */
  private async checkPullSecrets(): Promise<void> {
    const { spec, metadata } = this.current;
    const missing: string[] = [];
    for (const { name = "" } of spec.imagePullSecrets ?? []) {
      if (name === "") continue;
      await this.deps.api.get(`/api/v1/namespaces/${metadata.namespace ?? "default"}/secrets/${name}`).catch(() => missing.push(name));
    }
    if (missing.length > 0) this.event("Warning", "FailedToRetrieveImagePullSecret", `Unable to retrieve some image pull secrets (${missing.join(", ")}); attempting to pull the image may not succeed.`);
  }

  private async syncContainers(): Promise<void> {
    const { spec } = this.current;
    await this.checkPullSecrets();
    const facts: ActionFacts = {
      pod: this.current, runs: this.runs,
      changed: (container, { id }) => this.hashes.get(id) !== containerHash(container),
      started: (name) => this.probers.get(name)?.started ?? true,
      failedProbe: (name) => this.probers.get(name)?.failed,
    };
    const actions = podActions(facts);
    if (actions.killPod) {
      await this.killAll(undefined);
      return;
    }
    await Promise.all(actions.toKill.map((kill) => this.kill(kill)));
    if (this.ending) return;
    for (const name of actions.ephemeralToStart) await this.start(spec.ephemeralContainers!.find((c) => c.name === name)!, "ephemeralContainers");
    for (const name of actions.initToStart) {
      await this.start(spec.initContainers!.find((c) => c.name === name)!, "initContainers");
      // A sidecar that runs lets the next one begin.
      if (!this.waiting.has(name)) this.again = true;
    }
    for (const name of actions.toStart) await this.start(spec.containers.find((c) => c.name === name)!, "containers");
  }

  /** Starts it, unless it is backed off. */
  private async start(container: Container | EphemeralContainer, field: string): Promise<void> {
    if (this.ending) return;
    const { deps, current: pod } = this;
    const { name } = container;
    const former = this.runs.get(name)?.[0];
    const event = (type: "Normal" | "Warning", reason: string, message: string): void => this.containerEvent(container, field, type, reason, message);
    if (former?.state === "CONTAINER_EXITED") {
      const key = `${name}/${containerHash(container)}`;
      const left = this.backoff.remaining(key, former.finishedAtMs);
      if (left > 0) {
        event("Warning", "BackOff", `Back-off restarting failed container ${name} in pod ${formatPod(pod)}`);
        this.waiting.set(name, { reason: "CrashLoopBackOff", message: `back-off ${goDuration(this.backoff.get(key))} restarting failed container=${name} pod=${formatPod(pod)}` });
        this.wakeIn(Math.min(left, BACKOFF_LOOK_MS));
        return;
      }
      this.backoff.next(key, former.finishedAtMs);
    }
    const signal = this.interrupt.signal;
    this.note("StartContainer", { container: name, image: container.image ?? "", attempt: former === undefined ? 0 : former.attempt + 1 });
    const started = await startContainer(deps, {
      pod, container, event, signal, sandboxId: this.sandboxId!, attempt: former === undefined ? 0 : former.attempt + 1, volumes: this.volumes,
      running: (run) => this.began(container, field, run),
      kill: (run, message, reason) => this.kill({ run, container: container as Container, message, reason }),
    });
    if (started === undefined) {
      this.waiting.delete(name);
      return;
    }
    this.waiting.set(name, started);
    const pause = deps.images.pauseMs(pod, container.image ?? "");
    // A failed pull is looked at soon again, when its pause is told; what is wrong otherwise after a while.
    this.wakeIn(started.reason === "ErrImagePull" ? 2_000 : started.reason === "ImagePullBackOff" ? Math.min(pause, BACKOFF_LOOK_MS) : ERROR_RETRY_MS);
  }

  /** A run is there; its probes begin. */
  private began(container: Container | EphemeralContainer, field: string, run: Run): void {
    const { deps } = this;
    const { name } = container;
    const runs = [run, ...(this.runs.get(name) ?? [])];
    for (const old of runs.splice(2)) {
      deps.runtime.removeContainer(old.id);
      this.lastWords.delete(old.id);
    }
    this.runs.set(name, runs);
    this.note("ContainerStarted", { container: name, id: run.id });
    this.hashes.set(run.id, containerHash(container));
    if (run.state !== "CONTAINER_RUNNING") return;
    if (container.startupProbe === undefined && container.readinessProbe === undefined && container.livenessProbe === undefined) return;
    this.probers.get(name)?.stop();
    const prober = new ContainerProber(
      deps, { pod: this.current, container: container as Container, containerId: run.id, podIP: this.podIP(), startedAtMs: run.startedAtMs },
      { event: (type, reason, message) => this.containerEvent(container, field, type, reason, message), changed: () => this.sync() },
    );
    this.probers.set(name, prober);
    prober.start();
  }

  private podIPs(): readonly string[] {
    return (this.sandboxId === undefined ? undefined : this.deps.runtime.podSandboxStatus(this.sandboxId)?.ips) ?? [];
  }

  private podIP(): string {
    const { deps, current } = this;
    return (current.spec.hostNetwork === true ? undefined : this.podIPs()[0]) ?? deps.hostIPs[0]!;
  }

  private containerEvent({ name }: Container | EphemeralContainer, field: string, type: "Normal" | "Warning", reason: string, message: string): void {
    this.deps.events.event({ ...this.current, apiVersion: "v1", kind: "Pod" }, type, reason, message, `spec.${field}{${name}}`);
  }

  private fieldOf(container: Container | EphemeralContainer): string {
    const { spec } = this.current;
    if ((spec.initContainers ?? []).some(({ name }) => name === container.name)) return "initContainers";
    return (spec.ephemeralContainers ?? []).some(({ name }) => name === container.name) ? "ephemeralContainers" : "containers";
  }

  private killDeps(): KillDeps {
    const { clock, net, httpRequest, runtime, log } = this.deps;
    return { clock, net, httpRequest, runtime, log, event: (container, type, reason, message) => this.containerEvent(container, this.fieldOf(container), type, reason, message) };
  }

  private kill({ run, container, message, reason }: ToKill, order?: TerminationOrder, graceOverrideS?: number): Promise<void> {
    return killContainer(this.killDeps(), { pod: this.current, podIP: this.podIP(), run, container, message, reason, order, graceOverrideS, signal: this.interrupt.signal });
  }

  /** Ends all containers, sidecars last. */
  private async killAll(graceOverrideS: number | undefined): Promise<void> {
    const { spec } = this.current;
    const all = [...spec.containers, ...(spec.initContainers ?? []), ...(spec.ephemeralContainers ?? [])];
    const live = all.flatMap((container) => {
      const run = this.runs.get(container.name)?.[0];
      return run?.state === "CONTAINER_RUNNING" ? [{ run, container: container as Container, message: "", reason: "" as const }] : [];
    });
    const order = (spec.initContainers ?? []).some(isSidecar) ? new TerminationOrder(this.current, new Set(live.map(({ run }) => run.name))) : undefined;
    await Promise.all(live.map((kill) => this.kill(kill, order, graceOverrideS)));
  }

  /** SyncTerminatingPod and SyncTerminatedPod: probes, containers with grace, sandbox, volumes; then the API object may go. */
  private async terminate(): Promise<void> {
    const { deps } = this;
    this.deadline?.();
    this.resync?.();
    this.wake?.();
    this.wake = undefined;
    for (const prober of this.probers.values()) prober.stopLivenessAndStartup();
    this.waiting.clear();
    this.publish();
    const { signal } = this.interrupt;
    await this.killAll(this.removed ? 1 : this.failure?.graceS);
    // A shorter grace: the next step begins anew with it.
    if (signal.aborted) return;
    for (const prober of this.probers.values()) prober.stop();
    this.over = true;
    const status = this.status(true);
    this.publish(status);
    if (this.sandboxId !== undefined) {
      this.note("StopPodSandbox", { sandbox: this.sandboxId });
      await deps.runtime.stopPodSandbox(this.sandboxId).catch((error: unknown) => deps.log.error("Failed to stop sandbox", { pod: formatPod(this.current), err: String(error) }));
    }
    this.volumes.unmount();
    deps.images.forget(this.current);
    this.publish(terminatedStatus(this.current, this.status(true)));
    deps.terminated(this.current, this.removed);
  }

  /** Tells the API server again: there is another object for it there. */
  publishAgain(): void {
    const status = this.deps.statuses.get(this.current.metadata.uid);
    if (status !== undefined && !this.over) this.deps.statuses.set(this.current, status, this.deps.apiPod(this.current));
  }

  get startedAtMs(): number {
    const { startTime } = this.deps.statuses.get(this.current.metadata.uid) ?? this.current.status;
    return (startTime === undefined ? undefined : parseTime(startTime)) ?? this.deps.clock.nowMs();
  }

  liveRuns(): Run[] {
    return [...this.runs.values()].flatMap(([run]) => (run?.state === "CONTAINER_RUNNING" ? [run] : []));
  }

  /** The network namespace of its own. */
  netns(): Netns | undefined {
    return this.current.spec.hostNetwork === true || this.sandboxId === undefined ? undefined : this.deps.runtime.sandboxes.get(this.sandboxId)?.netns;
  }

  /** Takes what is left of it away: sandbox, containers and their logs. */
  async clean(): Promise<void> {
    if (this.sandboxId !== undefined) await this.deps.runtime.removePodSandbox(this.sandboxId);
  }

  /** Whether a container that is not running will be started again, for logs that are followed. */
  willRestart(container: string): boolean {
    const { spec } = this.current;
    const found = [...spec.containers, ...(spec.initContainers ?? [])].find(({ name }) => name === container);
    return found !== undefined && !this.ending && shouldRestart(this.current, found, this.runs.get(container)?.[0]);
  }

  waitingOf(container: string): Waiting | undefined {
    return this.waiting.get(container);
  }
}

/** What the node's runtime has: containerd's default, by both of its names. */
const HANDLERS = new Set(["", "runc"]);

/** runtimeclass_manager.go: LookupRuntimeHandler. Throws in the runtime's words where it has no such handler. */
async function runtimeHandlerOf(api: Api, name: string | undefined): Promise<string> {
  if (name === undefined || name === "") return "";
  const { handler } = await api.get<RuntimeClass>(`/apis/node.k8s.io/v1/runtimeclasses/${name}`);
  if (!HANDLERS.has(handler)) throw new Error(`rpc error: code = Unknown desc = failed to get sandbox runtime: no runtime for "${handler}" is configured`);
  return handler;
}

/** Conditions of others as the API server has them, the kubelet's own as they were made last. */
function mergeForeign(former: PodStatus, known: PodStatus): NonNullable<PodStatus["conditions"]> {
  const own = former.conditions ?? [];
  const types = new Set(own.map(({ type }) => type));
  const update = new Map((known.conditions ?? []).map((condition) => [condition.type, condition]));
  return [...(known.conditions ?? []).filter(({ type }) => !types.has(type)), ...own.map((condition) => (OWN_CONDITIONS.has(condition.type) ? condition : (update.get(condition.type) ?? condition)))];
}


/** What of a pod tells the kubelet to do something: our own writes of the status come back too. */
function intent({ metadata, spec, status }: Pod): string {
  const gates = new Set((spec.readinessGates ?? []).map(({ conditionType }) => conditionType));
  const foreign = gates.size === 0 ? [] : (status.conditions ?? []).filter(({ type }) => gates.has(type)).map((c) => [c.type, c.status]);
  return JSON.stringify([metadata.labels, metadata.annotations, spec, foreign]);
}
