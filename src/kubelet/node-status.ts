/** The kubelet's Node object: what it registers, its conditions, its lease. Follows pkg/kubelet/kubelet_node_status.go and nodestatus/setters.go. */
import type { Node, NodeCondition, NodeStatus } from "../api/types.generated.ts";
import { formatTime } from "../apimachinery/time.ts";

export const VERSION = "v1.32.13";

export interface NodeIdentity {
  readonly name: string;
  readonly nodeIP: string;
  /** Beside the ones every kubelet sets. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Quantities; defaults are those of a small machine. */
  readonly capacity?: Readonly<Record<string, string>>;
  /** Identifiers, by the site's random stream. */
  readonly machineID: string;
  readonly bootID: string;
}

/** What decides over Ready. */
export interface NodeHealth {
  /** Why the network is not ready; undefined: it is. */
  readonly networkNotReady: string | undefined;
  /** Conditions of others on this node, such as flanneld's NetworkUnavailable. */
  readonly extra: readonly { readonly type: string; readonly status: string; readonly reason: string; readonly message: string }[];
}

export const DEFAULT_CAPACITY = { cpu: "4", memory: "8Gi", pods: "110", "ephemeral-storage": "100Gi" } as const;

/** The Node without its status' conditions. */
export function initialNode(identity: NodeIdentity, podCIDR: string | undefined): Omit<Node, "metadata" | "status"> & { metadata: object; status: NodeStatus } {
  return {
    apiVersion: "v1", kind: "Node",
    metadata: {
      name: identity.name,
      labels: {
        "beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": identity.name, "kubernetes.io/os": "linux", ...identity.labels,
      },
      annotations: { "volumes.kubernetes.io/controller-managed-attach-detach": "true" },
    },
    spec: podCIDR === undefined ? {} : { podCIDR, podCIDRs: [podCIDR] },
    status: baseStatus(identity),
  };
}

function baseStatus({ name, nodeIP, capacity, machineID, bootID }: NodeIdentity): NodeStatus {
  const resources = { ...DEFAULT_CAPACITY, ...capacity };
  return {
    addresses: [{ type: "InternalIP", address: nodeIP }, { type: "Hostname", address: name }],
    capacity: resources, allocatable: resources,
    daemonEndpoints: { kubeletEndpoint: { Port: 10250 } },
    nodeInfo: {
      machineID, systemUUID: machineID, bootID, kernelVersion: "6.18.0", osImage: "kubewire", containerRuntimeVersion: "containerd://1.7.24",
      kubeletVersion: VERSION, kubeProxyVersion: VERSION, operatingSystem: "linux", architecture: "amd64",
    },
  };
}

/** The status to report at `nowMs`, given the Node as it is known. */
export function nodeStatus(
  identity: NodeIdentity, known: Node | undefined, health: NodeHealth, images: readonly { names: readonly string[]; sizeBytes: number }[], nowMs: number,
): NodeStatus {
  const before = new Map((known?.status.conditions ?? []).map((condition) => [condition.type, condition]));
  const now = formatTime(nowMs);
  const make = (type: string, status: string, reason: string, message: string): NodeCondition => {
    const former = before.get(type);
    return {
      type, status, lastHeartbeatTime: now,
      lastTransitionTime: former?.status === status ? (former.lastTransitionTime ?? now) : now, reason, message,
    };
  };
  const own = [
    ...health.extra.map(({ type, status, reason, message }) => make(type, status, reason, message)),
    make("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    make("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    make("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    health.networkNotReady === undefined
      ? make("Ready", "True", "KubeletReady", "kubelet is posting ready status")
      : make("Ready", "False", "KubeletNotReady", `container runtime network not ready: ${health.networkNotReady}`),
  ];
  const types = new Set(own.map(({ type }) => type));
  const foreign = (known?.status.conditions ?? []).filter(({ type }) => !types.has(type));
  return {
    ...baseStatus(identity), conditions: [...foreign, ...own],
    images: images.map(({ names, sizeBytes }) => ({ names: [...names], sizeBytes })),
  };
}

/** Whether two statuses differ in anything but heartbeats. */
export function statusChanged(a: NodeStatus | undefined, b: NodeStatus): boolean {
  if (a === undefined) return true;
  const plain = (status: NodeStatus): string => JSON.stringify({
    addresses: status.addresses, capacity: status.capacity, allocatable: status.allocatable,
    images: (status.images ?? []).map(({ names }) => names),
    conditions: (status.conditions ?? []).map(({ type, status: value, reason, message }) => [type, value, reason, message]),
  });
  return plain(a) !== plain(b);
}
