/** The whole kubelet's way with pods: what a node of a complete cluster has instead of the core's workers. */
import { formatMicroTime, formatTime } from "../../apimachinery/time.ts";
import type { Node, Pod, PodStatus } from "../../api/types.generated.ts";
import type { StreamEvents } from "../../client/site-streams.ts";
import type { Runtime } from "../../cri/runtime.ts";
import type { PodSandboxConfig, Volume } from "../../cri/types.ts";
import type { Cancel } from "../../time/clock.ts";
import { newApi } from "../api.ts";
import { Backoff } from "../backoff.ts";
import { podHostname } from "../container-config.ts";
import type { KubeletContext, PodKeeper } from "../kubelet.ts";
import { admit, type Rejected } from "./admission.ts";
import { EvictionManager } from "./eviction.ts";
import { ImageGC } from "./image-gc.ts";
import { ImageManager } from "./images.ts";
import { loggedContainer, streamLogs } from "./logs.ts";
import { allocatableOf, capacityOf, completeStatus, EVICTION_MEMORY, EVICTION_STORAGE_PERCENT, units } from "./node.ts";
import { isOver } from "./pod-status.ts";
import { openPorts } from "./ports.ts";
import { PodWorker, type PodWorkerDeps } from "./pod-worker.ts";
import { serveKubelet, type KubeletAnswer, type KubeletRequest } from "./server.ts";
import { isMirror, isStatic, Mirrors, staticPod, type Source } from "./static-pods.ts";
import { Stats, type PodOnNode } from "./stats.ts";
import { StatusManager } from "./status-manager.ts";
import { HostFiles } from "./volumes/host.ts";
import { memoryVolume } from "./volumes/memory.ts";
import { PodVolumes, type VolumeDeps } from "./volumes/pod-volumes.ts";

/** containerLogMaxSize. */
const LOG_BYTES_MAX = 10 << 20;
/** staticPodPath. */
const MANIFESTS = "etc/kubernetes/manifests";
/** evictionMonitoringPeriod. */
const HOUSEKEEPING_MS = 10_000;
/** ImageGCPeriod. */
const IMAGE_GC_MS = 5 * 60_000;

export interface CompleteKeeper extends PodKeeper {
  /** The node's own pods from `source` are these, and no others any more. */
  setStaticPods(source: Source, manifests: readonly Pod[]): void;
  /** One request to port 10250. */
  serve(request: KubeletRequest): Promise<KubeletAnswer>;
  /** The node's own files. */
  readonly hostVolume: Volume;
  /** All pods of the node, with the status made last. */
  pods(): Pod[];
}

/** kuberuntime_sandbox.go: generatePodSandboxConfig. */
function sandboxConfig({ metadata, spec, status }: Pod, attempt: number, hostname: string): PodSandboxConfig {
  const { name, namespace = "default", uid, labels, annotations } = metadata;
  const qos = status.qosClass ?? "BestEffort";
  return {
    name, namespace, uid, attempt, hostname, hostNetwork: spec.hostNetwork === true, hostPID: spec.hostPID === true, hostIPC: spec.hostIPC === true,
    sharePID: spec.shareProcessNamespace === true,
    labels: { ...labels, "io.kubernetes.pod.name": name, "io.kubernetes.pod.namespace": namespace, "io.kubernetes.pod.uid": uid },
    annotations: { ...annotations },
    cgroupParent: `kubepods${qos === "Guaranteed" ? "" : `-${qos.toLowerCase()}`}-pod${uid.replaceAll("-", "_")}.slice`,
  };
}

/** Keeps the pods of one node. */
export function keepPods(context: KubeletContext): CompleteKeeper {
  const { deps, events, networkNotReady, serviceEnv, httpRequest } = context;
  const { clock, log, identity, client, dns, informers } = deps;
  // Nodes have the in-box runtime; its file systems and logs go beyond the CRI.
  const runtime = deps.runtime as Runtime;
  const api = newApi(deps.transport, "kubelet");
  const workers = new Map<string, PodWorker>();
  /** Rejected pods: nothing of them is here, but what they are. */
  const rejected = new Map<string, Pod>();
  const statics = new Map<string, { readonly source: Source; readonly pod: Pod }>();
  const mirrorPods = new Map<string, Pod>();
  const statuses = new StatusManager(client, clock, log);
  const images = new ImageManager(runtime, clock, new Backoff(clock));
  const mirrors = new Mirrors(client, log, identity.name);
  const hostIPs = [identity.nodeIP];
  const capacity = capacityOf(identity.capacity ?? {});
  const allocatable = allocatableOf(capacity);
  const key = ({ metadata: { namespace, name } }: Pod): string => `${namespace ?? "default"}/${name}`;
  const newVolume = deps.runtime.newVolume?.bind(deps.runtime);
  const volumeDeps: Omit<VolumeDeps, "podIPs"> = {
    api, hostIPs, allocatable: () => allocatable, nowMs: () => clock.nowMs(), events, log, newVolume, host: new HostFiles((newVolume ?? memoryVolume)()), remote: new Map(),
  };
  const workerDeps: PodWorkerDeps = {
    api, runtime, images, clock, events, log, net: deps.kernel.host.sockets, httpRequest, dns, nodeName: identity.name, hostIPs, statuses, networkNotReady, serviceEnv,
    allocatable: () => allocatable, random: deps.random.fork("pods"),
    imageID: ({ image, imageId }) => digestOf(image, imageId),
    sandboxConfig: (pod, attempt) => sandboxConfig(pod, attempt, podHostname(pod, dns.clusterDomain, identity.name).hostname),
    volumesOf: (podIPs) => new PodVolumes({ ...volumeDeps, podIPs }),
    apiPod: (pod) => (isStatic(pod) ? (mirrorPods.get(key(pod)) ?? null) : pod),
    terminated: (pod, removed) => void terminated(pod, removed),
  };
  /** The object of a pod that was deleted goes once everything else has gone. */
  const terminated = async (pod: Pod, removed: boolean): Promise<void> => {
    const { uid, deletionTimestamp } = pod.metadata;
    const worker = workers.get(uid);
    if (!removed && deletionTimestamp === undefined) return;
    if (!removed) await statuses.delete(pod);
    statuses.forget(uid);
    workers.delete(uid);
    await worker?.clean();
  };
  const admitted = (): Pod[] => [...workers.values()].filter(({ active }) => active).map(({ pod }) => pod);
  /** Undefined where the node's own object is not known yet: then there is nothing to hold against the pod. */
  const refuse = (pod: Pod): Rejected | undefined => {
    const known = informers.informer("nodes").get("", identity.name);
    if (known === undefined) return undefined;
    const node: Node = { ...known, status: { ...known.status, allocatable: { ...known.status.allocatable, ...allocatable } } };
    if (eviction.pressure.memory && !isStatic(pod) && pod.status.qosClass === "BestEffort") return { reason: "Evicted", message: "The node had condition: [MemoryPressure]. " };
    if (eviction.pressure.disk && !isStatic(pod)) return { reason: "Evicted", message: "The node had condition: [DiskPressure]. " };
    const result = admit(pod, node, admitted());
    if (result === "admitted") return undefined;
    if ("reason" in result) return result;
    for (const victim of result.preempt) {
      const message = "Preempted in order to admit critical pod";
      events.event({ ...victim, apiVersion: "v1", kind: "Pod" }, "Warning", "Preempting", message);
      workers.get(victim.metadata.uid)?.fail({
        reason: "Preempting", message, condition: { type: "DisruptionTarget", reason: "TerminationByKubelet", message: "Pod was preempted by Kubelet to accommodate a critical pod." },
      });
    }
    return undefined;
  };
  const begin = (pod: Pod): void => {
    const { uid, deletionTimestamp } = pod.metadata;
    if (isOver(pod.status.phase) && deletionTimestamp === undefined) return;
    const no = deletionTimestamp === undefined ? refuse(pod) : undefined;
    if (no !== undefined) {
      rejected.set(uid, pod);
      events.event({ ...pod, apiVersion: "v1", kind: "Pod" }, "Warning", no.reason, no.message);
      statuses.set(pod, { ...pod.status, phase: "Failed", reason: no.reason, message: `Pod was rejected: ${no.message}`, startTime: pod.status.startTime ?? formatTime(clock.nowMs()) });
      return;
    }
    const created = new PodWorker(workerDeps, pod);
    workers.set(uid, created);
    if (deletionTimestamp === undefined) created.sync();
    else created.update(pod);
  };
  const statusOf = (pod: Pod): PodStatus => statuses.get(pod.metadata.uid) ?? pod.status;
  const all = (): Pod[] => [...[...workers.values()].map(({ pod }) => pod), ...rejected.values()].map((pod) => ({ ...pod, status: statusOf(pod) }));
  const onNode = (): PodOnNode[] => [...workers.values()].filter(({ active }) => active).map((worker) => ({
    pod: worker.pod, startedAtMs: worker.startedAtMs, runs: worker.liveRuns(), volumes: worker.volumes.uses(worker.pod), netns: worker.netns(),
  }));
  const memoryCapacity = Number(units(capacity["memory"]!)), storageCapacity = Number(units(capacity["ephemeral-storage"]!));
  const stats = new Stats({
    clock, nodeName: identity.name, runtime, pods: onNode, writtenBytes: ({ id }) => runtime.containers.get(id)?.userland?.usedBytes() ?? 0, memoryCapacity: () => memoryCapacity, storageCapacity: () => storageCapacity,
    imageBytes: () => runtime.listImages().reduce((total, { sizeBytes }) => total + sizeBytes, 0), host: deps.kernel.host,
  });
  const nodeEvent = (type: "Normal" | "Warning", reason: string, message: string): void =>
    events.event({ apiVersion: "v1", kind: "Node", metadata: { name: identity.name, uid: identity.name } } as never, type, reason, message);
  const eviction = new EvictionManager({
    stats, pods: onNode, nowMs: () => clock.nowMs(), memoryCapacity: () => memoryCapacity, storageCapacity: () => storageCapacity, memoryThreshold: Number(EVICTION_MEMORY),
    storageThreshold: () => (storageCapacity * Number(EVICTION_STORAGE_PERCENT)) / 100,
    reclaimImages: async () => imageGC.deleteUnused(),
    evict(pod, failure) {
      events.event({ ...pod, apiVersion: "v1", kind: "Pod" }, "Warning", "Evicted", failure.message);
      workers.get(pod.metadata.uid)?.fail(failure);
    },
    event: (reason, message) => nodeEvent("Warning", reason, message),
  });
  const imageGC = new ImageGC({
    images: runtime, clock, disk: () => ({ capacity: storageCapacity, available: storageCapacity - stats.storageUsed() }), event: (reason, message) => nodeEvent("Warning", reason, message),
  });
  let imagesAtMs = clock.nowMs();
  let pressed = false;
  let timer: Cancel | undefined;
  const housekeep = async (): Promise<void> => {
    stats.sample();
    for (const { runs } of onNode()) for (const { id } of runs) runtime.rotateLog(id, LOG_BYTES_MAX);
    await readManifests();
    if (clock.nowMs() - imagesAtMs >= IMAGE_GC_MS) {
      imagesAtMs = clock.nowMs();
      imageGC.collect();
    }
    await eviction.synchronize();
    const { memory, disk } = eviction.pressure;
    if ((memory || disk) !== pressed) {
      pressed = memory || disk;
      context.reportNode();
    }
  };

  let manifests = "";
  /** The file source: what is in the node's manifest folder. */
  const readManifests = async (): Promise<void> => {
    const { volume } = volumeDeps.host;
    const texts = [...(volume.list?.(MANIFESTS) ?? [])].filter((name) => !name.startsWith(".")).sort().flatMap((name) => {
      const bytes = volume.readFile(`${MANIFESTS}/${name}`);
      return bytes === undefined ? [] : [new TextDecoder().decode(bytes)];
    });
    const now = JSON.stringify(texts);
    if (now === manifests || (texts.length === 0 && manifests === "")) return;
    manifests = now;
    const { parseManifest } = await import("./manifest-file.ts");
    keeper.setStaticPods("file", texts.flatMap((text) => {
      const pod = parseManifest(text);
      if (typeof pod !== "string") return [pod];
      log.error("Could not process manifest file", { err: pod });
      return [];
    }));
  };

  const keeper: CompleteKeeper = {
    start(signal) {
      for (const reason of ["NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeHasSufficientPID"]) nodeEvent("Normal", reason, `Node ${identity.name} status is now: ${reason}`);
      nodeEvent("Normal", "NodeAllocatableEnforced", "Updated Node Allocatable limit across pods");
      openPorts(deps.kernel.host.sockets, log, signal);
      const arm = (): void => {
        timer = clock.after(HOUSEKEEPING_MS, () => {
          arm();
          void housekeep();
        });
      };
      arm();
      signal.addEventListener("abort", () => timer?.(), { once: true });
    },
    set(pod) {
      const { uid, deletionTimestamp } = pod.metadata;
      if (isMirror(pod)) {
        mirrorPods.set(key(pod), pod);
        const own = statics.get(key(pod));
        if (own === undefined || deletionTimestamp !== undefined) mirrors.delete(pod);
        else {
          mirrors.create(own.pod, pod);
          workers.get(own.pod.metadata.uid)?.publishAgain();
        }
        return;
      }
      const worker = workers.get(uid);
      if (worker !== undefined) {
        worker.update(pod);
        statuses.observed(pod);
      } else if (!rejected.has(uid)) begin(pod);
      else {
        rejected.set(uid, pod);
        if (deletionTimestamp !== undefined) void statuses.delete(pod);
      }
    },
    remove(pod) {
      const { uid } = pod.metadata;
      if (isMirror(pod)) {
        mirrorPods.delete(key(pod));
        const own = statics.get(key(pod));
        if (own !== undefined) mirrors.create(own.pod, undefined);
        return;
      }
      const worker = workers.get(uid);
      rejected.delete(uid);
      statuses.forget(uid);
      if (worker === undefined) return;
      if (worker.active) worker.remove();
      else void terminated(pod, true);
    },
    setStaticPods(source, manifests) {
      const wanted = new Map(manifests.map((manifest) => staticPod(manifest, source, identity.name, new Date(Math.floor(clock.nowMs())).toISOString())).map((pod) => [key(pod), pod]));
      for (const [name, { source: from, pod }] of [...statics]) {
        const next = wanted.get(name);
        if (from !== source || next?.metadata.uid === pod.metadata.uid) continue;
        statics.delete(name);
        workers.get(pod.metadata.uid)?.remove();
        const mirror = mirrorPods.get(name);
        if (next === undefined && mirror !== undefined) mirrors.delete(mirror);
      }
      for (const [name, pod] of wanted) {
        if (statics.has(name)) continue;
        statics.set(name, { source, pod });
        mirrors.create(pod, mirrorPods.get(name));
        begin(pod);
      }
    },
    containerEnded(status) {
      for (const worker of workers.values()) worker.containerEnded(status);
    },
    statusOf(namespace, name) {
      const found = all().find(({ metadata }) => metadata.name === name && (metadata.namespace ?? "default") === namespace);
      return found?.status;
    },
    networkReady() {
      for (const worker of workers.values()) worker.sync();
    },
    nodeStatus: (base) => completeStatus(base, runtime.listImages().map(({ id, names, sizeBytes }) => ({ names: [...new Set(names.map((name) => digestOf(name, id))), ...names], sizeBytes })), eviction.pressure, informers.informer("nodes").get("", identity.name)?.status.conditions ?? [], clock.nowMs()),
    pods: all,
    hostVolume: volumeDeps.host.volume,
    serve: (request) => serveKubelet({
      nodeName: identity.name, stats, pods: all, status: (namespace, name) => all().find(({ metadata }) => metadata.name === name && metadata.namespace === namespace)?.status,
      logs({ namespace, pod, container, sinceSeconds, ...options }) {
        const status = all().find(({ metadata }) => metadata.name === pod && metadata.namespace === namespace)?.status ?? { phase: "Pending" };
        const found = loggedContainer(status, { pod, container, previous: options.previous });
        if ("error" in found) return found;
        let text = "", error: string | undefined;
        const decoder = new TextDecoder();
        const into: StreamEvents = { data: (_channel, bytes) => void (text += decoder.decode(bytes, { stream: true })), end: (end) => void (error = end.error) };
        streamLogs(runtime, found.id, { pod, container, follow: false, ...options, ...(sinceSeconds === undefined ? {} : { sinceMs: clock.nowMs() - sinceSeconds * 1000 }) }, into);
        return error === undefined ? text : { error };
      },
      trace: (namespace, name) => [...workers.values()].find(({ pod: { metadata } }) => metadata.name === name && metadata.namespace === namespace)?.trace
        .map(({ timeMs, ...step }) => ({ time: formatMicroTime(timeMs), ...step })),
      run(namespace, pod, container, argv) {
        const worker = [...workers.values()].find(({ pod: { metadata } }) => metadata.name === pod && metadata.namespace === namespace);
        const [run] = worker?.runsOf(container) ?? [];
        if (run === undefined) throw new Error(`container not found ("${container}")`);
        return runtime.execSync(run.id, argv);
      },
    }, request),
    async stop() {
      timer?.();
      await Promise.all([...workers.values()].map((worker) => worker.destroy()));
    },
  };
  return keeper;
}

/** An image by its digest: REPOSITORY@sha256:…. */
const digestOf = (name: string, id: string): string => `${name.replace(/(:[^/]*|@.*)$/, "")}@${id}`;
