/** What a node has, and says of itself. Follows kubernetes pkg/kubelet/nodestatus/setters.go and pkg/kubelet/cm/node_container_manager_linux.go. */
import type { NodeCondition, NodeStatus } from "../../api/types.generated.ts";
import { formatQuantity, parseQuantity } from "../../apimachinery/quantity.ts";
import { formatTime } from "../../apimachinery/time.ts";

/** Names and sizes of images, at most so many of them in a status (nodeStatusMaxImages). */
const IMAGES_MAX = 50;
const NAMES_MAX = 5;
const NANO = 1_000_000_000n;
/** evictionHard: memory.available<100Mi, nodefs.available<10%. */
export const EVICTION_MEMORY = 100n << 20n;
export const EVICTION_STORAGE_PERCENT = 10n;

export interface Pressure {
  readonly memory: boolean;
  readonly disk: boolean;
  readonly pid: boolean;
}

const CONDITIONS = [
  ["MemoryPressure", "memory", "KubeletHasInsufficientMemory", "kubelet has insufficient memory available", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"],
  ["DiskPressure", "disk", "KubeletHasDiskPressure", "kubelet has disk pressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"],
  ["PIDPressure", "pid", "KubeletHasInsufficientPID", "kubelet has insufficient PID available", "KubeletHasSufficientPID", "kubelet has sufficient PID available"],
] as const;

/** Whole units. */
export const units = (amount: string): bigint => (parseQuantity(amount).nano + NANO - 1n) / NANO;

/** What the machine has, as cAdvisor measures it. */
export function capacityOf(base: Readonly<Record<string, string>>): Record<string, string> {
  const kibi = (amount: string): string => `${units(amount) >> 10n}Ki`;
  const { cpu = "4", memory = "8Gi", "ephemeral-storage": storage = "100Gi", pods = "110", ...others } = base;
  return { cpu, "ephemeral-storage": kibi(storage), "hugepages-1Gi": "0", "hugepages-2Mi": "0", memory: kibi(memory), pods, ...others };
}

/** What of it pods may have: what makes the kubelet evict them is kept back. */
export function allocatableOf(capacity: Readonly<Record<string, string>>): Record<string, string> {
  const { memory = "0", "ephemeral-storage": storage = "0" } = capacity;
  const bytes = units(storage), left = units(memory) - EVICTION_MEMORY;
  return {
    ...capacity,
    "ephemeral-storage": formatQuantity({ nano: (bytes - (bytes * EVICTION_STORAGE_PERCENT) / 100n) * NANO, format: "DecimalSI" }),
    memory: `${(left < 0n ? 0n : left) >> 10n}Ki`,
  };
}

export interface ImageOnNode {
  readonly names: readonly string[];
  readonly sizeBytes: number;
}

/** The status of a node with these images and pressures. */
export function completeStatus(
  base: NodeStatus, images: readonly ImageOnNode[], pressure: Pressure, former: readonly NodeCondition[], nowMs: number,
): NodeStatus {
  const capacity = capacityOf(base.capacity ?? {});
  const now = formatTime(nowMs);
  const conditions = (base.conditions ?? []).map((condition): NodeCondition => {
    const known = CONDITIONS.find(([type]) => type === condition.type);
    if (known === undefined) return condition;
    const [type, kind, badReason, bad, goodReason, good] = known;
    const status = pressure[kind] ? "True" : "False";
    const before = former.find((candidate) => candidate.type === type);
    return {
      ...condition, status, reason: pressure[kind] ? badReason : goodReason, message: pressure[kind] ? bad : good,
      lastTransitionTime: before?.status === status ? (before.lastTransitionTime ?? now) : now,
    };
  });
  const bySize = [...images].sort((a, b) => b.sizeBytes - a.sizeBytes).slice(0, IMAGES_MAX);
  return {
    ...base, capacity, allocatable: allocatableOf(capacity), conditions,
    images: bySize.map(({ names, sizeBytes }) => ({ names: names.slice(0, NAMES_MAX), sizeBytes })),
  };
}
