/** NodeRestriction: what kubelets may write of nodes and pods. Follows plugin/pkg/admission/noderestriction/admission.go. */
import type { Node, Pod } from "../../../api/types.generated.ts";
import { deepEqual } from "../../../apimachinery/meta.ts";
import type { AdmissionRequest } from "../../extension.ts";
import { forbidden, type AdmissionPlugin, type Any } from "./types.ts";

const PREFIX = "system:node:";
const GROUP = "system:nodes";
const MIRROR = "kubernetes.io/config.mirror";
const RESTRICTED = "node-restriction.kubernetes.io";
/** Labels of Kubernetes that a kubelet sets itself. Follows k8s.io/kubelet/pkg/apis/well_known_labels.go. */
const KUBELET_LABELS = new Set([
  "kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch", "beta.kubernetes.io/os", "beta.kubernetes.io/arch", "node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type",
  "topology.kubernetes.io/zone", "topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region", "kubernetes.io/instance-type", "kubernetes.io/zone",
]);
const KUBELET_NAMESPACES = ["kubelet.kubernetes.io", "node.kubernetes.io"];

/** The node that asks, if it is one. */
function nodeOf({ user: { name, groups } }: AdmissionRequest): string | undefined {
  return name.startsWith(PREFIX) && groups.includes(GROUP) ? name.slice(PREFIX.length) : undefined;
}

const within = (namespace: string, domain: string): boolean => namespace === domain || namespace.endsWith(`.${domain}`);

/** Those of the labels that differ, and that no kubelet may set. */
function forbiddenLabels(labels: Readonly<Record<string, string>>, old: Readonly<Record<string, string>>, update: boolean): string[] {
  return [...new Set([...Object.keys(labels), ...Object.keys(old)])].filter((label) => {
    if (labels[label] === old[label]) return false;
    const namespace = label.includes("/") ? label.slice(0, label.indexOf("/")) : "";
    if (within(namespace, RESTRICTED)) return true;
    if (!update || KUBELET_LABELS.has(label) || KUBELET_NAMESPACES.some((known) => within(namespace, known))) return false;
    return within(namespace, "kubernetes.io") || within(namespace, "k8s.io");
  }).sort();
}

function judgePod(request: AdmissionRequest, node: string): void {
  const pod = request.object as unknown as Pod;
  const refuse = (why: string): never => {
    throw forbidden(request, why);
  };
  if (request.subresource === "status") {
    const old = request.old as unknown as Pod;
    if (old.spec.nodeName !== node) refuse(`node ${JSON.stringify(node)} can only update pod status for pods with spec.nodeName set to itself`);
    if (!deepEqual(pod.metadata.labels ?? {}, old.metadata.labels ?? {})) refuse(`node ${JSON.stringify(node)} cannot update labels through pod status`);
    return;
  }
  if (request.subresource !== "") return;
  if (request.operation !== "CREATE") refuse(`unexpected operation ${JSON.stringify(request.operation)}, node ${JSON.stringify(node)} can only create and delete mirror pods`);
  if (pod.metadata.annotations?.[MIRROR] === undefined) refuse(`pod does not have ${JSON.stringify(MIRROR)} annotation, node ${JSON.stringify(node)} can only create mirror pods`);
  if (pod.spec.nodeName !== node) refuse(`node ${JSON.stringify(node)} can only create pods with spec.nodeName set to itself`);
  const owners = pod.metadata.ownerReferences ?? [];
  if (owners.length > 1 || (owners.length === 1 && (owners[0]!.apiVersion !== "v1" || owners[0]!.kind !== "Node" || owners[0]!.name !== node)))
    refuse(`node ${JSON.stringify(node)} can only create pods with a single owner reference set to itself`);
  if ((pod.spec.serviceAccountName ?? "") !== "") refuse(`node ${JSON.stringify(node)} can not create pods that reference a service account`);
  const volumes = pod.spec.volumes ?? [];
  const sources: Any[] = volumes.flatMap((volume) => volume.projected?.sources ?? []);
  if (volumes.some((v) => v.secret !== undefined) || sources.some((s) => s.secret !== undefined)) refuse(`node ${JSON.stringify(node)} can not create pods that reference secrets`);
  if (volumes.some((v) => v.configMap !== undefined) || sources.some((s) => s.configMap !== undefined)) refuse(`node ${JSON.stringify(node)} can not create pods that reference configmaps`);
  if (volumes.some((v) => v.persistentVolumeClaim !== undefined)) refuse(`node ${JSON.stringify(node)} can not create pods that reference persistentvolumeclaims`);
}

function judgeNode(request: AdmissionRequest, node: string): void {
  const object = request.object as unknown as Node;
  const old = request.old as unknown as Node | undefined;
  const name = object.metadata.name;
  if (name !== node) throw forbidden(request, `node ${JSON.stringify(node)} is not allowed to modify node ${JSON.stringify(name)}`);
  const labels = forbiddenLabels(object.metadata.labels ?? {}, old?.metadata.labels ?? {}, old !== undefined);
  if (labels.length > 0) throw forbidden(request, `node ${JSON.stringify(node)} is not allowed to ${old === undefined ? "set the following labels" : "modify labels"}: ${labels.join(", ")}`);
  if (old !== undefined && !deepEqual(object.spec.taints ?? [], old.spec.taints ?? [])) throw forbidden(request, `node ${JSON.stringify(node)} is not allowed to modify taints`);
}

export const nodeRestriction: AdmissionPlugin = {
  name: "NodeRestriction",
  resources: ["pods", "nodes", "leases"],
  // Before others write into what kubelets may not set themselves.
  admit(request) {
    const node = nodeOf(request);
    if (node === undefined || request.operation === "DELETE") return;
    const { resource } = request.descriptor.name;
    if (resource === "pods") judgePod(request, node);
    else if (resource === "nodes") judgeNode(request, node);
    else if (request.namespace === "kube-node-lease" && request.object?.metadata.name !== node) throw forbidden(request, `can only access node lease with the same name as the requesting node`);
  },
};
