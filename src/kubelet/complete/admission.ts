/**
 * Whether a pod that was bound to this node may run here. Follows kubernetes pkg/kubelet/lifecycle/predicate.go, pkg/scheduler.AdmissionCheck
 * and pkg/kubelet/preemption (critical pods).
 */
import type { Node, Pod } from "../../api/types.generated.ts";
import { addPod, amountOf, entriesOf, newNodeInfo, podInfo } from "../../kube-scheduler/framework.ts";
import { matchesNodeAffinity, tolerates } from "../../kube-scheduler/plugins/node.ts";
import { isStatic } from "./static-pods.ts";
import { qosClass } from "./qos.ts";

export interface Rejected {
  readonly reason: string;
  readonly message: string;
}

export type Admission = "admitted" | Rejected | { readonly preempt: readonly Pod[] };

/** SystemCriticalPriority. */
const SYSTEM_CRITICAL = 2_000_000_000;

/** types.IsCriticalPod. */
export const isCritical = (pod: Pod): boolean => isStatic(pod) || pod.metadata.annotations?.["kubernetes.io/config.mirror"] !== undefined || (pod.spec.priority ?? 0) >= SYSTEM_CRITICAL;

/** `others`: the pods that run here already. */
export function admit(pod: Pod, node: Node, others: readonly Pod[]): Admission {
  const { os } = pod.spec;
  const label = pod.metadata.labels?.["kubernetes.io/os"];
  if (label !== undefined && label !== "linux") return { reason: "PodOSSelectorNodeLabelDoesNotMatch", message: "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label" };
  if (os !== undefined && os.name !== "linux") return { reason: "PodOSNotSupported", message: "Failed to admit pod as the OS field doesn't match node OS" };
  const info = newNodeInfo(node);
  for (const other of others) addPod(info, podInfo(other));
  const lacking: { name: string; requested: number; used: number; capacity: number }[] = [];
  const need = (name: string, requested: number, used: number, capacity: number): void => {
    if (requested > capacity - used) lacking.push({ name, requested, used, capacity });
  };
  need("pods", 1, others.length, info.podsMax);
  for (const [name, requested] of entriesOf(podInfo(pod).requests)) {
    // What the node does not have as an extended resource is the cluster's to count.
    if (requested === 0 || (name.includes("/") && info.allocatable.scalars?.has(name) !== true)) continue;
    need(name, requested, amountOf(info.requested, name), amountOf(info.allocatable, name));
  }
  const failed = predicate(pod, node, others);
  if (lacking.length === 0 && failed === undefined) return "admitted";
  if (failed === undefined && isCritical(pod)) {
    const victims = preempted(pod, others, lacking);
    if (victims !== undefined) return { preempt: victims };
  }
  const [first] = lacking;
  if (first === undefined) return failed!;
  return {
    reason: `OutOf${first.name}`,
    message: `Node didn't have enough resource: ${first.name}, requested: ${first.requested}, used: ${first.used}, capacity: ${first.capacity}`,
  };
}

function predicate(pod: Pod, node: Node, others: readonly Pod[]): Rejected | undefined {
  const fail = (name: string): Rejected => ({ reason: name, message: `Predicate ${name} failed` });
  if (!matchesNodeAffinity(pod, newNodeInfo(node))) return fail("NodeAffinity");
  if ((pod.spec.nodeName ?? node.metadata.name) !== node.metadata.name) return fail("NodeName");
  const taken = others.flatMap(hostPorts);
  if (hostPorts(pod).some((port) => taken.some((other) => conflicts(port, other)))) return fail("NodePorts");
  if (isStatic(pod)) return undefined;
  const untolerated = (node.spec.taints ?? []).some((taint) => taint.effect === "NoExecute" && !(pod.spec.tolerations ?? []).some((toleration) => tolerates(toleration, taint)));
  return untolerated ? fail("TaintToleration") : undefined;
}

interface HostPort {
  readonly ip: string;
  readonly protocol: string;
  readonly port: number;
}

const ANY = "0.0.0.0";
const hostPorts = ({ spec }: Pod): HostPort[] =>
  [...spec.containers, ...(spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always")].flatMap(({ ports = [] }) =>
    ports.filter(({ hostPort = 0 }) => hostPort > 0).map(({ hostPort, hostIP, protocol }) => ({ ip: hostIP === undefined || hostIP === "" ? ANY : hostIP, protocol: protocol ?? "TCP", port: hostPort! })));
const conflicts = (a: HostPort, b: HostPort): boolean => a.port === b.port && a.protocol === b.protocol && (a.ip === b.ip || a.ip === ANY || b.ip === ANY);

/** preemption.go: the pods of least worth that free what a critical pod lacks; undefined: nothing would help. */
function preempted(pod: Pod, others: readonly Pod[], lacking: readonly { name: string; requested: number; used: number; capacity: number }[]): readonly Pod[] | undefined {
  const missing = new Map(lacking.map(({ name, requested, used, capacity }) => [name, requested - (capacity - used)]));
  const rank: Readonly<Record<string, number>> = { BestEffort: 0, Burstable: 1, Guaranteed: 2 };
  const candidates = others.filter((other) => !isCritical(other) && (other.spec.priority ?? 0) < (pod.spec.priority ?? 0))
    .map((other) => ({ other, rank: rank[qosClass(other)]!, requests: podInfo(other).requests }))
    .sort((a, b) => a.rank - b.rank || (a.other.spec.priority ?? 0) - (b.other.spec.priority ?? 0));
  const victims: Pod[] = [];
  for (const { other, requests } of candidates) {
    if ([...missing.values()].every((amount) => amount <= 0)) break;
    if (![...missing].some(([name, amount]) => amount > 0 && (name === "pods" || amountOf(requests, name) > 0))) continue;
    victims.push(other);
    for (const [name, amount] of missing) missing.set(name, amount - (name === "pods" ? 1 : amountOf(requests, name)));
  }
  return [...missing.values()].every((amount) => amount <= 0) ? victims : undefined;
}
