/**
 * One pod on this node, from its arrival to its deletion: every change wakes `sync`, which looks at what is there and
 * takes the next steps. Follows kubernetes pkg/kubelet: pod_workers.go, kubelet.go (SyncPod, SyncTerminatingPod),
 * kuberuntime/kuberuntime_manager.go (computePodActions), images/image_manager.go.
 */
import type { Container, Pod, PodStatus } from "../api/types.generated.ts";
import type { EventRecorder } from "../client/events.ts";
import { CriError, type ContainerStatus, type ImageService, type RuntimeService } from "../cri/types.ts";
import type { Sockets } from "../kernel/sockets.ts";
import type { Logger } from "../log.ts";
import type { Cancel, Clock } from "../time/clock.ts";
import type { Api } from "./api.ts";
import { Backoff } from "./backoff.ts";
import { ConfigError, environment, expand, fileReader, hostsFile, podHostname, resolvConf, volumeFiles, type DnsConfig,
  type PodSources, type VolumeFiles } from "./container-config.ts";
import { initDone, podStatus, type ContainerRecord } from "./pod-status.ts";
import { ContainerProber } from "./prober.ts";
import { goDuration } from "./duration.ts";

export interface PodWorkerDeps {
  readonly api: Api;
  readonly runtime: RuntimeService & ImageService;
  readonly clock: Clock;
  readonly events: EventRecorder;
  readonly log: Logger;
  readonly net: Sockets;
  readonly dns: DnsConfig;
  readonly nodeName: string;
  readonly nodeIP: string;
  /** Undefined once the network is up; until then why it is not. */
  readonly networkNotReady: () => string | undefined;
  readonly serviceEnv: (namespace: string, links: boolean) => Readonly<Record<string, string>>;
  /** Hands the status to the API server; the pod as it is known last. */
  readonly setStatus: (pod: Pod, status: PodStatus) => void;
  /** Everything of the pod is gone from this node. */
  readonly onTerminated: (pod: Pod) => void;
}

export class PodWorker {
  private readonly deps: PodWorkerDeps;
  private readonly backoff: Backoff;
  private readonly records = new Map<string, ContainerRecord>();
  private readonly probers = new Map<string, ContainerProber>();
  private pod: Pod;
  private sandboxId: string | undefined;
  private sandboxAttempt = 0;
  private volumes: Map<string, VolumeFiles> | undefined;
  private running = false;
  private again = false;
  private wake: Cancel | undefined;
  private setupRetryMs = 500;
  private removed = false;
  private terminating = false;
  private over = false;
  private killing = new Set<string>();

  constructor(deps: PodWorkerDeps, pod: Pod) {
    this.deps = deps;
    this.pod = pod;
    this.backoff = new Backoff(deps.clock);
  }

  /** The pod as the API server has it now. */
  update(pod: Pod): void {
    const before = this.pod;
    this.pod = pod;
    // Our own writes of the status come back too: they are no reason to look again.
    if (intent(before) !== intent(pod)) this.sync();
  }

  /** The pod is gone from the API server without our doing: it is killed all the same. */
  remove(): void {
    this.removed = true;
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
      this.deps.log.error("Error syncing pod, skipping", { pod: this.key(), err: String(error) });
      this.later(this.setupRetryMs);
      this.setupRetryMs = Math.min(this.setupRetryMs * 2, 122_000);
    }).finally(() => {
      this.running = false;
      if (this.again) {
        this.again = false;
        this.sync();
      }
    });
  }

  /** A container of this node ended; ours or not. */
  containerEnded(status: ContainerStatus): void {
    if (status.sandboxId !== this.sandboxId) return;
    this.probers.get(status.name)?.stop();
    this.probers.delete(status.name);
    this.sync();
  }

  /** Kills everything at once, without a word to the API server: the node goes down. */
  async destroy(): Promise<void> {
    this.over = true;
    this.wake?.();
    for (const prober of this.probers.values()) prober.stop();
    if (this.sandboxId !== undefined) await this.deps.runtime.removePodSandbox(this.sandboxId);
  }

  private key(): string {
    return `${this.pod.metadata.namespace ?? "default"}/${this.pod.metadata.name}`;
  }

  /** An event about the pod, or about one of its containers by its field path. */
  private event(fieldPath: string | undefined, type: "Normal" | "Warning", reason: string, message: string): void {
    this.deps.events.event({ ...this.pod, apiVersion: "v1", kind: "Pod" }, type, reason, message, fieldPath);
  }

  private later(delayMs: number): void {
    this.wake?.();
    this.wake = this.deps.clock.after(delayMs, () => {
      this.wake = undefined;
      this.sync();
    });
  }

  private record(name: string): ContainerRecord {
    let record = this.records.get(name);
    if (record === undefined) this.records.set(name, (record = { restarts: 0, started: false, ready: false }));
    return record;
  }

  private async step(): Promise<void> {
    if (this.removed || this.pod.metadata.deletionTimestamp !== undefined) return this.terminate();
    const { phase } = this.pod.status;
    if (this.terminating || phase === "Failed" || phase === "Succeeded") return;
    if (!(await this.ensureSandbox())) return;
    await this.syncContainers();
    this.publish();
    this.finishIfDone();
  }

  private publish(): void {
    this.deps.setStatus(this.pod, this.status());
  }

  private status(): PodStatus {
    const sandbox = this.sandboxId === undefined ? undefined : this.deps.runtime.podSandboxStatus(this.sandboxId);
    for (const [name, record] of this.records) {
      const prober = this.probers.get(name);
      record.started = record.current?.state === "CONTAINER_RUNNING" && (prober?.results.startup ?? true);
      record.ready = record.current?.state === "CONTAINER_RUNNING" && (prober?.results.readiness ?? true);
    }
    return podStatus({
      pod: this.pod, records: this.records, nowMs: this.deps.clock.nowMs(), hostIP: this.deps.nodeIP,
      podIPs: sandbox?.ips ?? [], sandboxReady: sandbox?.state === "SANDBOX_READY",
    });
  }

  /** Volumes, then the sandbox. False: not yet, and a later look is arranged. */
  private async ensureSandbox(): Promise<boolean> {
    const { deps, pod } = this;
    if (this.sandboxId !== undefined) return true;
    this.publish();
    const notReady = pod.spec.hostNetwork === true ? undefined : deps.networkNotReady();
    if (notReady !== undefined) {
      this.event(undefined, "Warning", "NetworkNotReady", `network is not ready: ${notReady}`);
      this.later(1000);
      return false;
    }
    try {
      this.volumes = await this.mountVolumes();
    } catch (error) {
      this.later(this.setupRetryMs);
      this.setupRetryMs = Math.min(this.setupRetryMs * 2, 122_000);
      if (!(error instanceof MountError)) throw error;
      this.event(undefined, "Warning", "FailedMount", error.message);
      return false;
    }
    const { hostname } = podHostname(pod, deps.dns.clusterDomain, deps.nodeName);
    try {
      this.sandboxId = await deps.runtime.runPodSandbox({
        name: pod.metadata.name, namespace: pod.metadata.namespace ?? "default", uid: pod.metadata.uid,
        attempt: this.sandboxAttempt++, hostname, hostNetwork: pod.spec.hostNetwork === true,
      });
      this.setupRetryMs = 500;
      return true;
    } catch (error) {
      this.event(undefined, "Warning", "FailedCreatePodSandBox", `Failed to create pod sandbox: ${(error as Error).message}`);
      this.later(10_000);
      return false;
    }
  }

  private async mountVolumes(): Promise<Map<string, VolumeFiles>> {
    const out = new Map<string, VolumeFiles>();
    for (const volume of this.pod.spec.volumes ?? []) {
      try {
        out.set(volume.name, await volumeFiles(this.pod, volume, this.sources()));
      } catch (error) {
        throw new MountError(`MountVolume.SetUp failed for volume "${volume.name}" : ${(error as Error).message}`);
      }
    }
    return out;
  }

  private sources(): PodSources {
    const { deps, pod } = this;
    const ips = this.sandboxId === undefined ? [] : (deps.runtime.podSandboxStatus(this.sandboxId)?.ips ?? []);
    return {
      api: deps.api, hostIPs: [deps.nodeIP], podIPs: pod.spec.hostNetwork === true ? [deps.nodeIP] : ips,
      serviceEnv: deps.serviceEnv(pod.metadata.namespace ?? "default", pod.spec.enableServiceLinks !== false),
    };
  }

  /** Init containers one by one, then all others (computePodActions). */
  private async syncContainers(): Promise<void> {
    const { spec } = this.pod;
    for (const container of spec.initContainers ?? []) {
      if (initDone(this.record(container.name))) continue;
      await this.syncContainer(container, spec.restartPolicy === "Never" ? "Never" : "OnFailure", "initContainers");
      return;
    }
    for (const container of spec.containers) await this.syncContainer(container, spec.restartPolicy ?? "Always", "containers");
  }

  /** Starts the container if it should run and does not. */
  private async syncContainer(container: Container, restartPolicy: string, field: string): Promise<void> {
    const { pod } = this;
    const record = this.record(container.name);
    const { current } = record;
    if (current?.state === "CONTAINER_RUNNING") return;
    if (current !== undefined) {
      if (restartPolicy === "Never" || (restartPolicy === "OnFailure" && current.exitCode === 0)) return;
      const key = `${pod.metadata.uid}/${container.name}`;
      const left = this.backoff.remaining(key, current.finishedAtMs);
      if (left > 0) {
        const full = `${pod.metadata.name}_${pod.metadata.namespace ?? "default"}(${pod.metadata.uid})`;
        if (record.waiting?.reason !== "CrashLoopBackOff") {
          this.event(containerPath(container, field), "Warning", "BackOff", `Back-off restarting failed container ${container.name} in pod ${full}`);
        }
        record.waiting = {
          reason: "CrashLoopBackOff",
          message: `back-off ${goDuration(this.backoff.get(key))} restarting failed container=${container.name} pod=${full}`,
        };
        this.wakeIn(left);
        return;
      }
      this.backoff.next(key, current.finishedAtMs);
    }
    if (!(await this.ensureImage(container, record, field))) return;
    await this.startContainer(container, record, field);
  }

  /** Several containers may wait; the first one to be due counts. */
  private wakeIn(delayMs: number): void {
    const due = this.deps.clock.nowMs() + delayMs;
    if (this.wake !== undefined && this.wakeAtMs <= due) return;
    this.wakeAtMs = due;
    this.later(delayMs);
  }
  private wakeAtMs = 0;

  /** images/image_manager.go: EnsureImageExists. */
  private async ensureImage(container: Container, record: ContainerRecord, field: string): Promise<boolean> {
    const { runtime, clock } = this.deps;
    const image = container.image ?? "";
    const about = containerPath(container, field);
    const latest = /(^|\/)[^:@/]+(:latest)?$/.test(image);
    const policy = container.imagePullPolicy ?? (latest ? "Always" : "IfNotPresent");
    const present = runtime.imageStatus(image) !== undefined;
    if (present && policy !== "Always") {
      this.event(about, "Normal", "Pulled", `Container image "${image}" already present on machine`);
      return true;
    }
    if (!present && policy === "Never") {
      record.waiting = { reason: "ErrImageNeverPull", message: `Container image "${image}" is not present with pull policy of Never` };
      this.event(about, "Warning", "ErrImageNeverPull", record.waiting.message!);
      this.event(about, "Warning", "Failed", "Error: ErrImageNeverPull");
      this.wakeIn(10_000);
      return false;
    }
    const key = `image/${image}`;
    const left = this.backoff.remainingSinceUpdate(key);
    if (left > 0) {
      const former = record.waiting;
      const cause = former?.reason === "ErrImagePull" ? `: ErrImagePull: ${former.message ?? ""}` : /: ErrImagePull: .*$/.exec(former?.message ?? "")?.[0] ?? "";
      if (former?.reason !== "ImagePullBackOff") {
        this.event(about, "Normal", "BackOff", `Back-off pulling image "${image}"`);
        this.event(about, "Warning", "Failed", "Error: ImagePullBackOff");
      }
      record.waiting = { reason: "ImagePullBackOff", message: `Back-off pulling image "${image}"${cause}` };
      this.wakeIn(left);
      return false;
    }
    this.event(about, "Normal", "Pulling", `Pulling image "${image}"`);
    const startedMs = clock.nowMs();
    try {
      await runtime.pullImage(image);
    } catch (error) {
      const invalid = error instanceof CriError && error.code === "InvalidArgument";
      const reason = invalid ? "InvalidImageName" : "ErrImagePull";
      const message = invalid
        ? `Failed to apply default image tag "${image}": couldn't parse image name "${image}": invalid reference format`
        : (error as Error).message;
      record.waiting = { reason, message };
      this.event(about, "Warning", invalid ? "InspectFailed" : "Failed", invalid ? message : `Failed to pull image "${image}": ${message}`);
      this.event(about, "Warning", "Failed", `Error: ${reason}`);
      if (!invalid) this.backoff.next(key, clock.nowMs());
      // The next look turns the error into its back-off.
      this.wakeIn(invalid ? 10_000 : 2_000);
      return false;
    }
    const took = goDuration(clock.nowMs() - startedMs);
    this.event(about, "Normal", "Pulled",
      `Successfully pulled image "${image}" in ${took} (${took} including waiting). Image size: ${runtime.imageStatus(image)?.sizeBytes ?? 0} bytes.`);
    return true;
  }

  private async startContainer(container: Container, record: ContainerRecord, field: string): Promise<void> {
    const { deps, pod } = this;
    const about = containerPath(container, field);
    const former = record.current;
    const attempt = former === undefined ? 0 : record.restarts + 1;
    let id: string;
    try {
      const env = await environment(pod, container, this.sources());
      const { hostname, domain } = podHostname(pod, deps.dns.clusterDomain, deps.nodeName);
      const ips = pod.spec.hostNetwork === true ? [deps.nodeIP] : (deps.runtime.podSandboxStatus(this.sandboxId!)?.ips ?? []);
      id = deps.runtime.createContainer(this.sandboxId!, {
        name: container.name, attempt, image: container.image ?? "", env,
        ...(container.command === undefined ? {} : { command: container.command.map((word) => expand(word, env)) }),
        ...(container.args === undefined ? {} : { args: container.args.map((word) => expand(word, env)) }),
        readFile: fileReader(container, this.volumes ?? new Map(), {
          "/etc/hosts": hostsFile(pod, ips, hostname, domain), "/etc/resolv.conf": resolvConf(pod, deps.dns),
        }),
      });
    } catch (error) {
      const message = (error as Error).message;
      const reason = error instanceof ConfigError ? "CreateContainerConfigError" : "CreateContainerError";
      record.waiting = { reason, message };
      this.event(about, "Warning", "Failed", `Error: ${message}`);
      this.wakeIn(10_000);
      return;
    }
    this.event(about, "Normal", "Created", `Created container: ${container.name}`);
    deps.runtime.startContainer(id);
    this.event(about, "Normal", "Started", `Started container ${container.name}`);
    if (former !== undefined) {
      record.restarts = attempt;
      record.previous = former;
      if (record.previous.id !== former.id) deps.runtime.removeContainer(former.id);
    }
    delete record.waiting;
    record.current = deps.runtime.containerStatus(id)!;
    this.startProbes(container, record, about);
  }

  private startProbes(container: Container, record: ContainerRecord, about: string): void {
    const { deps, pod } = this;
    if (container.startupProbe === undefined && container.readinessProbe === undefined && container.livenessProbe === undefined) return;
    const current = record.current!;
    const ips = deps.runtime.podSandboxStatus(this.sandboxId!)?.ips ?? [];
    const prober = new ContainerProber(
      { clock: deps.clock, net: deps.net, runtime: deps.runtime },
      { pod, container, containerId: current.id, podIP: ips[0] ?? deps.nodeIP, startedAtMs: current.startedAtMs },
      {
        onFailure: (kind, output) => {
          const title = kind[0]!.toUpperCase() + kind.slice(1);
          this.event(about, "Warning", "Unhealthy", `${title} probe failed: ${output}`);
        },
        onChange: (kind, success) => {
          if (!success && kind !== "readiness") void this.killForProbe(container, current.id, kind, about);
          this.sync();
        },
      },
    );
    this.probers.set(container.name, prober);
    prober.start();
  }

  private async killForProbe(container: Container, id: string, kind: string, about: string): Promise<void> {
    if (this.killing.has(id)) return;
    this.killing.add(id);
    this.event(about, "Normal", "Killing", `Container ${container.name} failed ${kind} probe, will be restarted`);
    const probe = kind === "liveness" ? container.livenessProbe : container.startupProbe;
    const grace = probe?.terminationGracePeriodSeconds ?? this.pod.spec.terminationGracePeriodSeconds ?? 30;
    await this.deps.runtime.stopContainer(id, grace * 1000);
    this.killing.delete(id);
  }

  /** A pod that ran to its end gives its address back at once (SyncTerminatedPod), and stays to be looked at. */
  private finishIfDone(): void {
    const status = this.status();
    if (status.phase !== "Succeeded" && status.phase !== "Failed") return;
    this.terminating = true;
    this.wake?.();
    void this.stopSandbox().then(() => this.publish());
  }

  private async stopSandbox(): Promise<void> {
    if (this.sandboxId === undefined) return;
    try {
      await this.deps.runtime.stopPodSandbox(this.sandboxId);
    } catch (error) {
      this.deps.log.error("Failed to stop sandbox", { pod: this.key(), err: String(error) });
    }
  }

  /** SyncTerminatingPod and SyncTerminatedPod: probes, containers with grace, sandbox; then the API object goes. */
  private async terminate(): Promise<void> {
    const { runtime } = this.deps;
    this.terminating = true;
    this.wake?.();
    this.wake = undefined;
    for (const prober of this.probers.values()) prober.stop();
    const grace = this.removed ? 0 : (this.pod.metadata.deletionGracePeriodSeconds ?? this.pod.spec.terminationGracePeriodSeconds ?? 30);
    if (this.sandboxId !== undefined) {
      const live = runtime.listContainers(this.sandboxId).filter(({ state }) => state === "CONTAINER_RUNNING");
      const kill = (container: ContainerStatus): Promise<void> => {
        this.event(`spec.containers{${container.name}}`, "Normal", "Killing", `Stopping container ${container.name}`);
        return runtime.stopContainer(container.id, Math.max(0, grace) * 1000);
      };
      await Promise.all(live.map(kill));
      const final = this.status();
      await this.stopSandbox();
      if (!this.removed) this.deps.setStatus(this.pod, { ...final, conditions: this.status().conditions });
      await runtime.removePodSandbox(this.sandboxId);
    }
    this.over = true;
    this.deps.onTerminated(this.pod);
  }
}

/** How events name a container of a pod. */
const containerPath = (container: Container, field: string): string => `spec.${field}{${container.name}}`;

/** What of a pod tells the kubelet to do something. */
function intent({ metadata, spec }: Pod): string {
  const { deletionTimestamp, deletionGracePeriodSeconds, labels, annotations } = metadata;
  return JSON.stringify([deletionTimestamp, deletionGracePeriodSeconds, labels, annotations, spec]);
}

/** A volume could not be filled. */
class MountError extends Error {}
