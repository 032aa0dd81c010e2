/**
 * The kubelet of one node: registers it, keeps its status and lease fresh, and gives every pod bound to it a worker.
 * Follows kubernetes pkg/kubelet/kubelet.go, with status_manager.go and component-helpers' lease controller.
 */
import { isAlreadyExists, isConflict, isNotFound } from "../apimachinery/status.ts";
import type { Lease, Node, NodeStatus, Pod, PodStatus } from "../api/types.generated.ts";
import type { Client } from "../client/client.ts";
import { createEventRecorder, type EventRecorder } from "../client/events.ts";
import { createInformer, type Informers } from "../client/informer.ts";
import type { ApiTransport } from "../client/transport.ts";
import type { ContainerStatus, ImageService, RuntimeService } from "../cri/types.ts";
import { httpRequest } from "../http/client.ts";
import type { NodeKernel } from "../kernel/netns.ts";
import type { Logger } from "../log.ts";
import type { Cancel, Clock, Random } from "../time/clock.ts";
import { newApi } from "./api.ts";
import type { DnsConfig } from "./container-config.ts";
import { initialNode, nodeStatus, statusChanged, type NodeHealth, type NodeIdentity } from "./node-status.ts";
import { PodWorker, type PodWorkerDeps } from "./pod-worker.ts";
import { formatMicroTime } from "../apimachinery/time.ts";

export interface KubeletDeps {
  readonly identity: NodeIdentity;
  /** Registered with the node where no controller hands out CIDRs. */
  readonly podCIDR?: string;
  readonly client: Client;
  readonly transport: ApiTransport;
  readonly informers: Informers;
  readonly runtime: RuntimeService & ImageService;
  readonly kernel: NodeKernel;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly dns: DnsConfig;
  /** What keeps the pods; default: the workers of this folder. `complete/` has the whole of it. */
  readonly keepPods?: ((kubelet: KubeletContext) => PodKeeper) | undefined;
}

/** What a keeper of pods has of its kubelet. */
export interface KubeletContext {
  readonly deps: KubeletDeps;
  readonly events: EventRecorder;
  /** Why the pod network is not ready; undefined: it is. */
  networkNotReady(): string | undefined;
  /** envvars.go: FromServices. The API server's Service always, those of the pod's namespace with enableServiceLinks. */
  serviceEnv(namespace: string, links: boolean): Readonly<Record<string, string>>;
  /** Something that the Node's status says has changed. */
  reportNode(): void;
  readonly httpRequest: typeof httpRequest;
}

/** Keeps the pods of one node: gives each what it asks for, and says how it is. */
export interface PodKeeper {
  /** Called once the node is registered. */
  start?(signal: AbortSignal): void;
  set(pod: Pod): void;
  /** The pod is gone from the API server. */
  remove(pod: Pod): void;
  containerEnded(status: ContainerStatus): void;
  networkReady(): void;
  /** Kills everything without a word to the API server. */
  stop(): Promise<void>;
  /** The status to report, out of the one that every node has. */
  nodeStatus?(status: NodeStatus): NodeStatus;
  /** How a pod of this node is; undefined: there is none. */
  statusOf?(namespace: string, name: string): PodStatus | undefined;
}

const LEASE_SECONDS = 40;
const LEASE_RENEW_MS = 10_000;
/** nodeStatusUpdateFrequency and nodeStatusReportFrequency. */
const STATUS_UPDATE_MS = 10_000;
const STATUS_REPORT_MS = 300_000;

const CNI_NOT_READY = "NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized";

export class Kubelet {
  private readonly deps: KubeletDeps;
  private readonly events: EventRecorder;
  readonly pods: PodKeeper;
  private readonly timers = new Set<Cancel>();
  private networkNotReady: string | undefined = CNI_NOT_READY;
  private extra: NodeHealth["extra"] = [];
  private reported: Node["status"] | undefined;
  private reportedAtMs = 0;
  private reporting: Promise<void> = Promise.resolve();
  private registered = false;

  constructor(deps: KubeletDeps) {
    this.deps = deps;
    const { name } = deps.identity;
    this.events = createEventRecorder(deps.client, deps.clock, deps.log, { component: "kubelet", host: name });
    this.pods = (deps.keepPods ?? ownPods)({
      deps, httpRequest, events: this.events, networkNotReady: () => this.networkNotReady, reportNode: () => this.reportNode(),
      serviceEnv: (namespace, links) => serviceEnv(deps.informers, namespace, links),
    });
  }

  /** Registers the node and begins. The informers given are started by the caller; the pods' is its own. */
  async start(signal: AbortSignal): Promise<void> {
    const { deps } = this;
    signal.addEventListener("abort", () => { for (const cancel of this.timers) cancel(); }, { once: true });
    await this.register(signal);
    deps.runtime.onContainerEnd((status) => this.pods.containerEnded(status));
    const pods = createInformer<Pod>(deps.client.pods, {
      clock: deps.clock, random: deps.random, log: deps.log, fieldSelector: `spec.nodeName=${deps.identity.name}`,
    });
    pods.addHandler({ add: (pod) => this.pods.set(pod), update: (pod) => this.pods.set(pod), delete: (pod) => this.pods.remove(pod) });
    pods.start(signal);
    this.every(STATUS_UPDATE_MS, () => this.reportNode());
    void this.renewLease(signal);
    this.event("Normal", "Starting", "Starting kubelet.");
    this.pods.start?.(signal);
  }

  /** The pod network is there, or again not; `conditions` go into the Node's status. */
  setNetworkReady(ready: boolean, conditions: NodeHealth["extra"] = []): void {
    const before = this.networkNotReady;
    this.networkNotReady = ready ? undefined : CNI_NOT_READY;
    this.extra = conditions;
    this.reportNode();
    if (ready && before !== undefined) {
      this.event("Normal", "NodeReady", `Node ${this.deps.identity.name} status is now: NodeReady`);
      this.pods.networkReady();
    }
  }

  /** Kills all pods' containers without a word to the API server. */
  async stop(): Promise<void> {
    for (const cancel of this.timers) cancel();
    await this.pods.stop();
  }

  private every(ms: number, run: () => void): void {
    let cancel: Cancel;
    const arm = (): void => {
      cancel = this.deps.clock.after(ms, () => {
        this.timers.delete(cancel);
        arm();
        run();
      });
      this.timers.add(cancel);
    };
    arm();
  }

  private event(type: "Normal" | "Warning", reason: string, message: string): void {
    const { name } = this.deps.identity;
    // The node's uid in events is its name, as upstream's.
    this.events.event({ apiVersion: "v1", kind: "Node", metadata: { name, uid: name } } as never, type, reason, message);
  }

  /** tryRegisterWithAPIServer, again and again from 100 ms up to 7 s. */
  private async register(signal: AbortSignal): Promise<void> {
    const { client, identity, clock, log } = this.deps;
    for (let stepMs = 0; ; stepMs = Math.min(Math.max(stepMs * 2, 100), 7000)) {
      if (stepMs > 0) await clock.sleep(stepMs, signal);
      try {
        const node = initialNode(identity, this.deps.podCIDR);
        const status = this.withPods(nodeStatus(identity, undefined, this.health(), [], clock.nowMs()));
        try {
          await client.nodes.create({ ...node, status } as never);
        } catch (error) {
          if (!isAlreadyExists(error)) throw error;
          await client.nodes.patch("", identity.name, "merge", { metadata: node.metadata });
          await client.nodes.patch("", identity.name, "merge", { status }, "status");
        }
        this.reported = status;
        this.reportedAtMs = clock.nowMs();
        this.registered = true;
        log.info("Successfully registered node", { node: identity.name });
        return;
      } catch (error) {
        if (signal.aborted) throw error;
        log.error("Unable to register node with API server", { node: identity.name, err: String(error) });
      }
    }
  }

  private withPods(status: NodeStatus): NodeStatus {
    return this.pods.nodeStatus?.(status) ?? status;
  }

  private health(): NodeHealth {
    return { networkNotReady: this.networkNotReady, extra: this.extra };
  }

  /** Reports when something changed, or the last report is five minutes old. One at a time. */
  private reportNode(): void {
    const { client, identity, clock, informers, runtime, log } = this.deps;
    if (!this.registered) return;
    this.reporting = this.reporting.then(async () => {
      const known = informers.informer("nodes").get("", identity.name);
      const base = known === undefined || this.reported === undefined ? known : { ...known, status: { ...known.status, conditions: mergeConditions(known.status.conditions, this.reported.conditions) } };
      const status = this.withPods(nodeStatus(identity, base, this.health(), runtime.listImages(), clock.nowMs()));
      if (!statusChanged(this.reported, status) && clock.nowMs() - this.reportedAtMs < STATUS_REPORT_MS) return;
      await client.nodes.patch("", identity.name, "merge", { status }, "status");
      this.reported = status;
      this.reportedAtMs = clock.nowMs();
    }).catch((error: unknown) => log.error("Error updating node status, will retry", { err: String(error) }));
  }

  /** component-helpers/apimachinery/lease: one lease in kube-node-lease, renewed every ten seconds. */
  private async renewLease(signal: AbortSignal): Promise<void> {
    const { client, identity, clock, log } = this.deps;
    let lease: Lease | undefined;
    while (!signal.aborted) {
      try {
        const spec = { holderIdentity: identity.name, leaseDurationSeconds: LEASE_SECONDS, renewTime: formatMicroTime(clock.nowMs()) };
        lease = lease === undefined
          ? await client.leases.create({ metadata: { name: identity.name, namespace: "kube-node-lease" }, spec } as never)
          : await client.leases.update({ ...lease, spec: { ...lease.spec, ...spec } } as never);
      } catch (error) {
        if (signal.aborted) return;
        lease = await client.leases.get("kube-node-lease", identity.name).catch(() => undefined);
        if (lease === undefined && !isNotFound(error)) log.error("Failed to ensure lease exists, will retry", { err: String(error) });
        if (lease !== undefined && isConflict(error)) continue;
      }
      await clock.sleep(LEASE_RENEW_MS, signal).catch(() => undefined);
    }
  }
}

/** The pods' workers, each until its pod is gone. */
function ownPods({ deps, events, networkNotReady, serviceEnv }: KubeletContext): PodKeeper {
  const workers = new Map<string, PodWorker>();
  const statuses = new StatusManager(deps.client, deps.clock, deps.log);
  const workerDeps: PodWorkerDeps = {
    api: newApi(deps.transport, "kubelet"), runtime: deps.runtime, clock: deps.clock, events, log: deps.log,
    net: deps.kernel.host.sockets, dns: deps.dns, nodeName: deps.identity.name, nodeIP: deps.identity.nodeIP,
    networkNotReady, serviceEnv,
    setStatus: (pod, status) => statuses.set(pod, status),
    onTerminated: (pod) => {
      workers.delete(pod.metadata.uid);
      void statuses.deletePod(pod);
    },
  };
  return {
    set(pod) {
      const worker = workers.get(pod.metadata.uid);
      if (worker !== undefined) {
        worker.update(pod);
        return;
      }
      const { phase } = pod.status;
      if ((phase === "Succeeded" || phase === "Failed") && pod.metadata.deletionTimestamp === undefined) return;
      const created = new PodWorker(workerDeps, pod);
      workers.set(pod.metadata.uid, created);
      created.sync();
    },
    remove(pod) {
      statuses.forget(pod);
      workers.get(pod.metadata.uid)?.remove();
    },
    containerEnded(status) {
      for (const worker of workers.values()) worker.containerEnded(status);
    },
    networkReady() {
      for (const worker of workers.values()) worker.sync();
    },
    async stop() {
      await Promise.all([...workers.values()].map((worker) => worker.destroy()));
    },
  };
}

function serviceEnv(informers: Informers, namespace: string, links: boolean): Record<string, string> {
  const out: Record<string, string> = {};
  const services = informers.informer("services");
  const wanted = [services.get("default", "kubernetes"), ...(links ? services.list(namespace) : [])];
  for (const service of wanted) {
    const ip = service?.spec.clusterIP;
    if (service === undefined || ip === undefined || ip === "" || ip === "None") continue;
    const prefix = service.metadata.name.toUpperCase().replaceAll("-", "_");
    const ports = service.spec.ports ?? [];
    if (ports.length === 0) continue;
    out[`${prefix}_SERVICE_HOST`] = ip;
    out[`${prefix}_SERVICE_PORT`] = String(ports[0]!.port);
    for (const { name, port } of ports) {
      if (name !== undefined && name !== "") out[`${prefix}_SERVICE_PORT_${name.toUpperCase().replaceAll("-", "_")}`] = String(port);
    }
    ports.forEach(({ port, protocol }, i) => {
      const proto = protocol ?? "TCP", url = `${proto.toLowerCase()}://${ip}:${port}`, key = `${prefix}_PORT_${port}_${proto}`;
      if (i === 0) out[`${prefix}_PORT`] = url;
      out[key] = url;
      out[`${key}_PROTO`] = proto.toLowerCase();
      out[`${key}_PORT`] = String(port);
      out[`${key}_ADDR`] = ip;
    });
  }
  return out;
}

/** Conditions of `known`, with the transition times of what was reported last: the cache may lag behind. */
function mergeConditions(known: Node["status"]["conditions"], reported: Node["status"]["conditions"]): NonNullable<Node["status"]["conditions"]> {
  const own = new Map((reported ?? []).map((condition) => [condition.type, condition]));
  return [...(known ?? []).filter(({ type }) => !own.has(type)), ...own.values()];
}

/** Writes pods' statuses: the last one of each, one request at a time, nothing when nothing changed. */
class StatusManager {
  private readonly client: Client;
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly sent = new Map<string, string>();
  private readonly pending = new Map<string, { pod: Pod; status: PodStatus }>();
  private readonly busy = new Map<string, Promise<void>>();

  constructor(client: Client, clock: Clock, log: Logger) {
    this.client = client;
    this.clock = clock;
    this.log = log;
  }

  set(pod: Pod, status: PodStatus): void {
    const { uid } = pod.metadata;
    const former = this.latest(uid);
    const fixed = former === undefined ? status : keepTransitions(status, former);
    this.latestStatus.set(uid, fixed);
    this.pending.set(uid, { pod, status: fixed });
    if (!this.busy.has(uid)) this.busy.set(uid, this.flush(uid).finally(() => this.busy.delete(uid)));
  }

  /** After all that was to be written of it, takes the pod's object away. */
  async deletePod(pod: Pod): Promise<void> {
    const { uid, namespace, name } = pod.metadata;
    await this.busy.get(uid);
    this.forget(pod);
    for (let delayMs = 1000; ; delayMs = Math.min(delayMs * 2, 60_000)) {
      try {
        await this.client.pods.delete(namespace ?? "default", name, { gracePeriodSeconds: 0, preconditions: { uid } });
        return;
      } catch (error) {
        if (isNotFound(error) || isConflict(error)) return;
        this.log.error("Failed to delete status for pod", { pod: `${namespace ?? ""}/${name}`, err: String(error) });
        await this.clock.sleep(delayMs);
      }
    }
  }

  forget(pod: Pod): void {
    this.sent.delete(pod.metadata.uid);
    this.latestStatus.delete(pod.metadata.uid);
    this.pending.delete(pod.metadata.uid);
  }

  private readonly latestStatus = new Map<string, PodStatus>();

  private latest(uid: string): PodStatus | undefined {
    return this.latestStatus.get(uid);
  }

  private async flush(uid: string): Promise<void> {
    for (let next = this.pending.get(uid); next !== undefined; next = this.pending.get(uid)) {
      this.pending.delete(uid);
      const { pod, status } = next;
      const text = JSON.stringify(status);
      if (this.sent.get(uid) === text) continue;
      try {
        await this.client.pods.patch(pod.metadata.namespace ?? "default", pod.metadata.name, "merge", { metadata: { uid }, status }, "status");
        this.sent.set(uid, text);
      } catch (error) {
        if (isNotFound(error) || isConflict(error)) return;
        this.log.error("Failed to update status for pod", { pod: pod.metadata.name, err: String(error) });
        await this.clock.sleep(1000);
        if (!this.pending.has(uid)) this.pending.set(uid, next);
      }
    }
  }
}

/** Transition times stay those of the last status we made, whatever the cache shows meanwhile. */
function keepTransitions(status: PodStatus, former: PodStatus): PodStatus {
  const before = new Map((former.conditions ?? []).map((condition) => [condition.type, condition]));
  return {
    ...status, startTime: former.startTime,
    conditions: (status.conditions ?? []).map((condition) => {
      const old = before.get(condition.type);
      return old !== undefined && old.status === condition.status ? { ...condition, lastTransitionTime: old.lastTransitionTime } : condition;
    }),
  };
}
