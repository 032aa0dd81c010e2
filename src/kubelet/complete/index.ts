/** The whole kubelet's way with pods: what a node of a complete cluster has instead of the core's workers. */
import type { Pod } from "../../api/types.generated.ts";
import { newApi } from "../api.ts";
import { Backoff } from "../backoff.ts";
import { podHostname } from "../container-config.ts";
import type { KubeletContext, PodKeeper } from "../kubelet.ts";
import { ImageManager } from "./images.ts";
import { isOver } from "./pod-status.ts";
import { PodWorker, type PodWorkerDeps } from "./pod-worker.ts";
import { StatusManager } from "./status-manager.ts";
import { HostFiles } from "./volumes/host.ts";
import { memoryVolume } from "./volumes/memory.ts";
import { PodVolumes, type VolumeDeps } from "./volumes/pod-volumes.ts";

/** Keeps the pods of one node. */
export function keepPods({ deps, events, networkNotReady, serviceEnv, httpRequest }: KubeletContext): PodKeeper {
  const { clock, log, runtime, identity, client, dns } = deps;
  const api = newApi(deps.transport, "kubelet");
  const workers = new Map<string, PodWorker>();
  const statuses = new StatusManager(client, clock, log);
  const images = new ImageManager(runtime, clock, new Backoff(clock));
  const hostIPs = [identity.nodeIP];
  const allocatable = (): Record<string, string> => ({ cpu: "4", memory: "8Gi", "ephemeral-storage": "100Gi", ...identity.capacity });
  const newVolume = runtime.newVolume?.bind(runtime);
  const volumeDeps: Omit<VolumeDeps, "podIPs"> = {
    api, hostIPs, allocatable, nowMs: () => clock.nowMs(), events, log, newVolume, host: new HostFiles((newVolume ?? memoryVolume)()), remote: new Map(),
  };
  const workerDeps: PodWorkerDeps = {
    api, runtime, images, clock, events, log, net: deps.kernel.host.sockets, httpRequest, dns, nodeName: identity.name, hostIPs, statuses, networkNotReady, serviceEnv,
    allocatable, random: deps.random.fork("pods"),
    imageID: ({ image, imageId }) => `${image.replace(/(:[^/]*|@.*)$/, "")}@${imageId}`,
    sandboxConfig: (pod, attempt) => ({
      name: pod.metadata.name, namespace: pod.metadata.namespace ?? "default", uid: pod.metadata.uid, attempt,
      hostname: podHostname(pod, dns.clusterDomain, identity.name).hostname, hostNetwork: pod.spec.hostNetwork === true,
    }),
    volumesOf: (podIPs) => new PodVolumes({ ...volumeDeps, podIPs }),
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
  return {
    set(pod) {
      const { uid, deletionTimestamp } = pod.metadata;
      const worker = workers.get(uid);
      if (worker !== undefined) {
        worker.update(pod);
        return;
      }
      if (isOver(pod.status.phase) && deletionTimestamp === undefined) return;
      const created = new PodWorker(workerDeps, pod);
      workers.set(uid, created);
      if (deletionTimestamp === undefined) created.sync();
      else created.update(pod);
    },
    remove(pod) {
      const { uid } = pod.metadata;
      const worker = workers.get(uid);
      statuses.forget(uid);
      if (worker === undefined) return;
      if (worker.active) worker.remove();
      else void terminated(pod, true);
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
