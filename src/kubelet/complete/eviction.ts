/**
 * Which pods a node gives up when it runs out of memory or disk, and those that use more than they may. Follows kubernetes
 * pkg/kubelet/eviction (eviction_manager.go: synchronize, localStorageEviction; helpers.go: rankMemoryPressure, rankDiskPressureFunc).
 */
import type { Pod } from "../../api/types.generated.ts";
import { formatQuantity, quantityValue } from "../../apimachinery/quantity.ts";
import { amountOf, podInfo } from "../../kube-scheduler/framework.ts";
import { isCritical } from "./admission.ts";
import type { Failure } from "./pod-worker.ts";
import type { PodOnNode, Stats } from "./stats.ts";

export interface EvictionDeps {
  readonly stats: Stats;
  readonly pods: () => readonly PodOnNode[];
  readonly nowMs: () => number;
  readonly memoryCapacity: () => number;
  readonly storageCapacity: () => number;
  /** Bytes below which there is pressure. */
  readonly memoryThreshold: number;
  readonly storageThreshold: () => number;
  /** Removes images that nobody uses. */
  readonly reclaimImages: () => Promise<boolean>;
  readonly evict: (pod: Pod, failure: Failure) => void;
  /** An event about the node. */
  readonly event: (reason: string, message: string) => void;
}

/** evictionPressureTransitionPeriod: how long a condition stays when its cause has gone. */
const TRANSITION_MS = 300_000;
const bytes = (value: number): string => formatQuantity({ nano: BigInt(Math.round(value)) * 1_000_000_000n, format: "BinarySI" });

export class EvictionManager {
  private readonly deps: EvictionDeps;
  private readonly lastSeenMs = { memory: -Infinity, disk: -Infinity };

  constructor(deps: EvictionDeps) {
    this.deps = deps;
  }

  get pressure(): { readonly memory: boolean; readonly disk: boolean; readonly pid: boolean } {
    const now = this.deps.nowMs();
    return { memory: now - this.lastSeenMs.memory < TRANSITION_MS, disk: now - this.lastSeenMs.disk < TRANSITION_MS, pid: false };
  }

  /** One look at what there is; at most one pod goes for the node's sake. */
  async synchronize(): Promise<void> {
    const { deps } = this;
    const { stats } = deps;
    const now = deps.nowMs();
    const memory = stats.memoryAvailable(), disk = deps.storageCapacity() - stats.storageUsed();
    if (memory < deps.memoryThreshold) this.lastSeenMs.memory = now;
    if (disk < deps.storageThreshold()) this.lastSeenMs.disk = now;
    if (this.localStorage()) return;
    if (memory < deps.memoryThreshold) {
      deps.event("EvictionThresholdMet", "Attempting to reclaim memory");
      this.reclaim("memory", "memory", memory, deps.memoryThreshold, (pod) => stats.memoryBytes(pod));
    } else if (disk < deps.storageThreshold()) {
      deps.event("EvictionThresholdMet", "Attempting to reclaim ephemeral-storage");
      if (await deps.reclaimImages()) return;
      this.reclaim("ephemeral-storage", "ephemeral-storage", disk, deps.storageThreshold(), (pod) => stats.ephemeralBytes(pod));
    }
  }

  /** Limits of emptyDirs and of ephemeral storage hold for each pod by itself. */
  private localStorage(): boolean {
    const { deps } = this;
    let evicted = false;
    for (const entry of deps.pods()) {
      const message = overLimit(entry, deps.stats);
      if (message === undefined) continue;
      evicted = true;
      deps.evict(entry.pod, { reason: "Evicted", message, graceS: 1, condition: disruption(message) });
    }
    return evicted;
  }

  private reclaim(resource: string, request: string, available: number, threshold: number, used: (pod: PodOnNode) => number): void {
    const requested = ({ pod }: PodOnNode): number => amountOf(podInfo(pod).requests, request);
    const exceeds = (entry: PodOnNode): number => (used(entry) > requested(entry) ? 0 : 1);
    const ranked = [...this.deps.pods()].filter(({ pod, runs }) => runs.length > 0 && !isCritical(pod)).sort((a, b) =>
      exceeds(a) - exceeds(b) || (a.pod.spec.priority ?? 0) - (b.pod.spec.priority ?? 0) || (used(b) - requested(b)) - (used(a) - requested(a)));
    const [victim] = ranked;
    if (victim === undefined) return;
    const over = victim.runs.map(({ name, memoryBytes }) => {
      const asked = victim.pod.spec.containers.find((container) => container.name === name)?.resources?.requests?.[request] ?? "0";
      const has = resource === "memory" ? memoryBytes : used(victim);
      return has > quantityValue(asked) ? `Container ${name} was using ${bytes(has)}, request is ${asked}, has larger consumption of ${resource}. ` : "";
    }).join("");
    const message = `The node was low on resource: ${resource}. Threshold quantity: ${bytes(threshold)}, available: ${Math.max(0, Math.floor(available / 1024))}Ki. ${over}`;
    this.deps.evict(victim.pod, { reason: "Evicted", message, graceS: 1, condition: disruption(message) });
  }
}

const disruption = (message: string): NonNullable<Failure["condition"]> => ({ type: "DisruptionTarget", reason: "TerminationByKubelet", message });

/** localStorageEviction: emptyDirs, the pod as a whole, then each container. */
function overLimit(entry: PodOnNode, stats: Stats): string | undefined {
  const { pod, volumes } = entry;
  for (const { name, volume, usedBytes } of volumes) {
    const limit = volume.emptyDir?.sizeLimit;
    if (limit !== undefined && quantityValue(limit) > 0 && usedBytes > quantityValue(limit)) return `Usage of EmptyDir volume "${name}" exceeds the limit "${limit}". `;
  }
  const limits = pod.spec.containers.map(({ resources }) => resources?.limits?.["ephemeral-storage"]);
  const whole = limits.reduce((total, limit) => total + (limit === undefined ? 0 : quantityValue(limit)), 0);
  if (limits.every((limit) => limit !== undefined) && stats.ephemeralBytes(entry) > whole) {
    return `Pod ephemeral local storage usage exceeds the total limit of containers ${bytes(whole)}. `;
  }
  return undefined;
}
