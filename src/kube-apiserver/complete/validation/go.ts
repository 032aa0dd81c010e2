/** Values as Go's `%#v` prints them: structs that stand in messages, such as `v1.LabelSelector{MatchLabels:map[string]string(nil), …}`. */
import { parseQuantity } from "../../../apimachinery/quantity.ts";
import type { FieldErrors } from "../../field.ts";

/* eslint-disable @typescript-eslint/no-explicit-any */
type Any = any;

/**
 * `GoField[=jsonField]:type` of each struct, in Go's order. Types: s string, i number, b boolean, d IntOrString, t and T times, R quantities by name,
 * m map[string]string,
 * a struct's name, `[]t` a slice, `*t` a pointer (its address is never the same twice).
 */
const STRUCTS: Readonly<Record<string, string>> = {
  "v1.LabelSelector": "MatchLabels:m MatchExpressions:[]v1.LabelSelectorRequirement",
  "v1.LabelSelectorRequirement": "Key:s Operator:s Values:[]s",
  "v1.ObjectMeta": "Name:s GenerateName:s Namespace:s SelfLink:s UID=uid:s ResourceVersion:s Generation:i CreationTimestamp:T DeletionTimestamp:t DeletionGracePeriodSeconds:*int64 Labels:m Annotations:m OwnerReferences:[]v1.OwnerReference Finalizers:[]s ManagedFields:[]v1.ManagedFieldsEntry",
  "core.PodTemplateSpec": "ObjectMeta=metadata:v1.ObjectMeta Spec:core.PodSpec",
  "core.PodSpec": "Volumes:[]core.Volume InitContainers:[]core.Container Containers:[]core.Container EphemeralContainers:[]core.EphemeralContainer RestartPolicy:s TerminationGracePeriodSeconds:*int64 ActiveDeadlineSeconds:*int64 DNSPolicy=dnsPolicy:s NodeSelector:m ServiceAccountName:s AutomountServiceAccountToken:*bool NodeName:s SecurityContext:*core.PodSecurityContext ImagePullSecrets:[]core.LocalObjectReference Hostname:s Subdomain:s SetHostnameAsFQDN:*bool Affinity:*core.Affinity SchedulerName:s Tolerations:[]core.Toleration HostAliases:[]core.HostAlias PriorityClassName:s Priority:*int32 PreemptionPolicy:*core.PreemptionPolicy DNSConfig=dnsConfig:*core.PodDNSConfig ReadinessGates:[]core.PodReadinessGate RuntimeClassName:*string Overhead:R EnableServiceLinks:*bool TopologySpreadConstraints:[]core.TopologySpreadConstraint OS=os:*core.PodOS SchedulingGates:[]core.PodSchedulingGate ResourceClaims:[]core.PodResourceClaim Resources:*core.ResourceRequirements",
  "core.Container": "Name:s Image:s Command:[]s Args:[]s WorkingDir:s Ports:[]core.ContainerPort EnvFrom:[]core.EnvFromSource Env:[]core.EnvVar Resources:core.ResourceRequirements ResizePolicy:[]core.ContainerResizePolicy RestartPolicy:*core.ContainerRestartPolicy VolumeMounts:[]core.VolumeMount VolumeDevices:[]core.VolumeDevice LivenessProbe:*core.Probe ReadinessProbe:*core.Probe StartupProbe:*core.Probe Lifecycle:*core.Lifecycle TerminationMessagePath:s TerminationMessagePolicy:s ImagePullPolicy:s SecurityContext:*core.SecurityContext Stdin:b StdinOnce:b TTY=tty:b",
  "core.ResourceRequirements": "Limits:R Requests:R Claims:[]core.ResourceClaim",
  "core.ResourceClaim": "Name:s Request:s",
  "core.ContainerPort": "Name:s HostPort:i ContainerPort:i Protocol:s HostIP:s",
  "core.EnvVar": "Name:s Value:s ValueFrom:*core.EnvVarSource",
  "core.VolumeMount": "Name:s ReadOnly:b RecursiveReadOnly:*core.RecursiveReadOnlyMode MountPath:s SubPath:s MountPropagation:*core.MountPropagationMode SubPathExpr:s",
  "core.VolumeDevice": "Name:s DevicePath:s",
  "core.LocalObjectReference": "Name:s",
  "core.Taint": "Key:s Value:s Effect:s TimeAdded:t",
  "core.Toleration": "Key:s Operator:s Value:s Effect:s TolerationSeconds:*int64",
  "core.ObjectReference": "Kind:s Namespace:s Name:s UID=uid:s APIVersion=apiVersion:s ResourceVersion:s FieldPath:s",
  "core.ServicePort": "Name:s Protocol:s AppProtocol:*string Port:i TargetPort:d NodePort:i",
  "core.VolumeNodeAffinity": "Required:*core.NodeSelector",
  "rbac.RoleRef": "APIGroup=apiGroup:s Kind:s Name:s",
  "apps.DeploymentStrategy": "Type:s RollingUpdate:*apps.RollingUpdateDeployment",
  "apps.DaemonSetUpdateStrategy": "Type:s RollingUpdate:*apps.RollingUpdateDaemonSet",
  "apps.StatefulSetUpdateStrategy": "Type:s RollingUpdate:*apps.RollingUpdateStatefulSetStrategy",
  "batch.PodFailurePolicy": "Rules:[]batch.PodFailurePolicyRule",
  "batch.PodFailurePolicyRule": "Action:s OnExitCodes:*batch.PodFailurePolicyOnExitCodesRequirement OnPodConditions:[]batch.PodFailurePolicyOnPodConditionsPattern",
  "batch.PodFailurePolicyOnPodConditionsPattern": "Type:s Status:s",
  "batch.SuccessPolicy": "Rules:[]batch.SuccessPolicyRule",
  "batch.SuccessPolicyRule": "SucceededIndexes:*string SucceededCount:*int32",
  "storage.CSINodeDriver": "Name:s NodeID=nodeID:s TopologyKeys:[]s Allocatable:*storage.VolumeNodeResources",
  "storage.VolumeAttachmentSpec": "Attacher:s Source:storage.VolumeAttachmentSource NodeName:s",
  "storage.VolumeAttachmentSource": "PersistentVolumeName:*string InlineVolumeSpec:*core.PersistentVolumeSpec",
  "networking.IngressRule": "Host:s",
};

const ADDRESS = "0xc000000000";

/** `value` as a Go value of `type`; `path` is where it stands, to tell an empty list from none. */
export function goValue(type: string, value: Any, path: string, errors: FieldErrors): string {
  switch (type) {
    case "s": return JSON.stringify(value ?? "");
    case "i": return String(value ?? 0);
    case "b": return String(value ?? false);
    case "d": return goIntOrString(value ?? 0);
    case "t": return value === undefined || value === null ? "<nil>" : String(value);
    case "T": return "time.Date(1, time.January, 1, 0, 0, 0, 0, time.UTC)";
    case "R":
      return value === undefined || value === null ? "core.ResourceList(nil)" : `core.ResourceList{${Object.keys(value).sort().map((k) => `${JSON.stringify(k)}:${goQuantity(value[k])}`).join(", ")}}`;
    case "m":
    case "v1.Labels":
      return goMap(value, path, errors);
  }
  if (type.startsWith("*")) return `(${type})(${value === undefined || value === null ? "nil" : ADDRESS})`;
  if (type.startsWith("[]")) {
    const of = type.slice(2);
    const name = of === "s" ? "string" : of === "i" ? "int32" : of;
    if (value === undefined || value === null) return errors.empty.has(path) ? `[]${name}{}` : `[]${name}(nil)`;
    return `[]${name}{${(value as Any[]).map((item, i) => goValue(of, item, `${path}[${i}]`, errors)).join(", ")}}`;
  }
  const fields = (STRUCTS[type] ?? "").split(" ").filter((f) => f !== "").map((field) => {
    const [names = "", of = "s"] = splitOnce(field, ":");
    const [goName = "", json] = splitOnce(names, "=");
    const key = json ?? goName.charAt(0).toLowerCase() + goName.slice(1);
    return `${goName}:${goValue(of, value?.[key], path === "" ? key : `${path}.${key}`, errors)}`;
  });
  return `${type}{${fields.join(", ")}}`;
}

const splitOnce = (text: string, by: string): [string, string | undefined] => {
  const at = text.indexOf(by);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + by.length)];
};

export function goMap(value: Record<string, string> | undefined | null, path: string, errors: FieldErrors): string {
  if (value === undefined || value === null) return errors.empty.has(path) ? "map[string]string{}" : "map[string]string(nil)";
  return `map[string]string{${Object.keys(value).sort().map((k) => `${JSON.stringify(k)}:${JSON.stringify(value[k])}`).join(", ")}}`;
}

export function goIntOrString(value: number | string): string {
  return typeof value === "string"
    ? `intstr.IntOrString{Type:1, IntVal:0, StrVal:${JSON.stringify(value)}}`
    : `intstr.IntOrString{Type:0, IntVal:${value}, StrVal:""}`;
}

/** A Quantity that fits in 64 bits, after its text was asked for. */
export function goQuantity(text: string): string {
  const { nano, format } = parseQuantity(text);
  const m = /^([+-]?\d+)(?:\.\d+)?([numkMGTPE])?$/.exec(text);
  const scale = m?.[2] === undefined ? 0 : { n: -9, u: -6, m: -3, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 }[m[2] as "n"];
  const amount = m === null ? (nano / 1_000_000_000n).toString() : m[1]!;
  return `resource.Quantity{i:resource.int64Amount{value:${amount}, scale:${m === null ? 0 : scale}}, d:resource.infDecAmount{Dec:(*inf.Dec)(nil)}, s:${JSON.stringify(text)}, Format:${JSON.stringify(format)}}`;
}

export const goPodTemplate = (template: Any, path: string, errors: FieldErrors): string => goValue("core.PodTemplateSpec", template, path, errors);
