/**
 * What the server warns of without refusing it. Follows pkg/api/pod/warnings.go, pkg/api/node/util.go, pkg/api/service/warnings.go,
 * pkg/api/persistentvolume/util.go, pkg/api/persistentvolumeclaim/util.go and the strategies' WarningsOnCreate and WarningsOnUpdate.
 */
import { deepEqual } from "../../../apimachinery/meta.ts";
import { parseQuantity } from "../../../apimachinery/quantity.ts";
import { validateDNS1123Label } from "../../../apimachinery/validation.ts";
import { deprecatedAppArmor } from "../apparmor.ts";
import { containersOf } from "../pod-containers.ts";
import type { Any } from "./common.ts";

type Warnings = (object: Any, old: Any) => readonly string[];

/** Pods of a kind, and where their template stands ("": the object is one). */
const TEMPLATES: Readonly<Record<string, string>> = {
  Pod: "", PodTemplate: "template", ReplicationController: "spec.template", "apps/Deployment": "spec.template", "apps/ReplicaSet": "spec.template", "apps/DaemonSet": "spec.template",
  "apps/StatefulSet": "spec.template", "batch/Job": "spec.template", "batch/CronJob": "spec.jobTemplate.spec.template",
};

/** The warnings of a kind (`group/Kind`), undefined when there are none. */
export function warningsOf(kind: string): Warnings | undefined {
  const path = TEMPLATES[kind];
  return path === undefined ? OTHERS[kind] : (object, old) => [...nameWarnings(kind, object, old), ...templateWarnings(path, object, old), ...(OTHERS[kind]?.(object, old) ?? [])];
}

function templateWarnings(path: string, object: Any, old: Any): string[] {
  const at = (object: Any): Any => (path === "" ? object : path.split(".").reduce((value, step) => value?.[step], object));
  const template = at(object);
  const before = at(old);
  if (template?.spec === undefined) return [];
  // What was said when it came is not said again.
  if (before !== undefined && deepEqual(template.spec, before.spec) && deepEqual(template.metadata?.annotations, before.metadata?.annotations)) return [];
  return podWarnings(template, path === "" ? "" : `${path}.`, path !== "");
}

/** Names that pods and hosts will have. */
function nameWarnings(kind: string, { metadata }: Any, old: Any): string[] {
  if (old !== undefined || metadata.name === undefined) return [];
  const used = NAMES[kind];
  const faults = used === undefined ? [] : validateDNS1123Label(metadata.name);
  return faults.length === 0 ? [] : [`metadata.name: this is used in ${used}, which can result in surprising behavior; a DNS label is recommended: [${faults.join(" ")}]`];
}
const NAMES: Readonly<Record<string, string>> = {
  Pod: "the Pod's hostname", ReplicationController: "Pod names and hostnames", "apps/Deployment": "Pod names and hostnames", "apps/ReplicaSet": "Pod names and hostnames",
  "apps/StatefulSet": "Pod names and hostnames", "batch/Job": "Pod names and hostnames", "batch/CronJob": "Pod names and hostnames",
};

const NODE_LABELS: Readonly<Record<string, string>> = {
  "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
  "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
  "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
  "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
  "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
};
const ANNOTATIONS: readonly (readonly [key: string, says: string])[] = [
  ["scheduler.alpha.kubernetes.io/critical-pod", 'non-functional in v1.16+; use the "priorityClassName" field instead'],
  ["seccomp.security.alpha.kubernetes.io/pod", 'non-functional in v1.27+; use the "seccompProfile" field instead'],
  ["security.alpha.kubernetes.io/sysctls", 'non-functional in v1.11+; use the "sysctls" field instead'],
  ["security.alpha.kubernetes.io/unsafe-sysctls", 'non-functional in v1.11+; use the "sysctls" field instead'],
];
const SECCOMP = "container.seccomp.security.alpha.kubernetes.io/";
const VOLUMES: readonly (readonly [source: string, says: string])[] = [
  ["gitRepo", "deprecated in v1.11"],
  ["scaleIO", "deprecated in v1.16, non-functional in v1.22+"],
  ["flocker", "deprecated in v1.22, non-functional in v1.25+"],
  ["storageos", "deprecated in v1.22, non-functional in v1.25+"],
  ["quobyte", "deprecated in v1.22, non-functional in v1.25+"],
  ["glusterfs", "deprecated in v1.25, non-functional in v1.26+"],
  ["cephfs", "deprecated in v1.28, non-functional in v1.31+"],
  ["rbd", "deprecated in v1.28, non-functional in v1.31+"],
];

/** Follows warningsForPodSpecAndMeta. `at`: before `spec` and `metadata`. */
function podWarnings({ metadata = {}, spec }: Any, at: string, isTemplate: boolean): string[] {
  const out: string[] = [];
  const annotations: Record<string, string> = metadata.annotations ?? {};
  for (const key of Object.keys(spec.nodeSelector ?? {}).sort()) if (NODE_LABELS[key] !== undefined) out.push(`${at}spec.nodeSelector[${key}]: ${NODE_LABELS[key]}`);
  const terms = (list: Any, path: string, of: (term: Any) => Any, below: string): void => (list ?? []).forEach((term: Any, i: number) => (of(term)?.matchExpressions ?? []).forEach(({ key }: Any, j: number) => {
    if (NODE_LABELS[key] !== undefined) out.push(`${at}spec.affinity.nodeAffinity.${path}[${i}]${below}.matchExpressions[${j}].key: ${key} is ${NODE_LABELS[key]}`);
  }));
  const nodes = spec.affinity?.nodeAffinity;
  terms(nodes?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms, "requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms", (term) => term, "");
  terms(nodes?.preferredDuringSchedulingIgnoredDuringExecution, "preferredDuringSchedulingIgnoredDuringExecution", (term) => term.preference, ".preference");
  (spec.topologySpreadConstraints ?? []).forEach((constraint: Any, i: number) => {
    const { topologyKey: key, labelSelector } = constraint;
    if (NODE_LABELS[key] !== undefined) out.push(`${at}spec.topologySpreadConstraints[${i}].topologyKey: ${key} is ${NODE_LABELS[key]}`);
    if (labelSelector === undefined || labelSelector === null) out.push(`${at}spec.topologySpreadConstraints[${i}].labelSelector: a null labelSelector results in matching no pod`);
  });
  for (const [key, says] of ANNOTATIONS) if (annotations[key] !== undefined) out.push(`${at}metadata.annotations[${key}]: ${says}`);
  (spec.volumes ?? []).forEach((volume: Any, i: number) => {
    for (const [source, says] of VOLUMES) if (volume[source] !== undefined) out.push(`${at}spec.volumes[${i}].${source}: ${says}`);
    fractional(volume.emptyDir?.sizeLimit, `${at}spec.volumes[${i}].emptyDir.sizeLimit`, out);
  });
  doubled(spec.hostAliases ?? [], (one) => one.ip, (i, ip) => `${at}spec.hostAliases[${i}].ip: duplicate ip ${JSON.stringify(ip)}`, out);
  (spec.imagePullSecrets ?? []).forEach(({ name = "" }: Any, i: number) => {
    if (name === "") out.push(`${at}spec.imagePullSecrets[${i}].name: invalid empty name ${JSON.stringify(name)}`);
  });
  doubled(spec.imagePullSecrets ?? [], (one) => one.name ?? "", (i, name) => `${at}spec.imagePullSecrets[${i}].name: duplicate name ${JSON.stringify(name)}`, out);
  for (const field of ["initContainers", "containers"]) (spec[field] ?? []).forEach((container: Any, i: number) => containerWarnings(container, `${at}spec.${field}[${i}]`, out));
  for (const { name } of containersOf(spec)) {
    if (annotations[SECCOMP + name] !== undefined) out.push(`${at}metadata.annotations[${SECCOMP}${name}]: non-functional in v1.27+; use the "seccompProfile" field instead`);
  }
  out.push(...deprecatedAppArmor({ metadata, spec }, at, isTemplate));
  for (const resource of ["memory", "ephemeral-storage"]) fractional(spec.overhead?.[resource], `${at}spec.overhead[${resource}]`, out);
  if ((spec.terminationGracePeriodSeconds ?? 0) < 0) out.push(`${at}spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1`);
  for (const field of ["podAffinity", "podAntiAffinity"]) {
    const rules = spec.affinity?.[field];
    (rules?.requiredDuringSchedulingIgnoredDuringExecution ?? []).forEach((term: Any, i: number) => {
      if (term.labelSelector === undefined) out.push(`${at}spec.affinity.${field}.requiredDuringSchedulingIgnoredDuringExecution[${i}].labelSelector: a null labelSelector results in matching no pod`);
    });
    (rules?.preferredDuringSchedulingIgnoredDuringExecution ?? []).forEach((term: Any, i: number) => {
      if (term.podAffinityTerm?.labelSelector === undefined)
        out.push(`${at}spec.affinity.${field}.preferredDuringSchedulingIgnoredDuringExecution[${i}].podAffinityTerm.labelSelector: a null labelSelector results in matching no pod`);
    });
  }
  return out;
}

function containerWarnings({ env = [], ports = [], resources }: Any, path: string, out: string[]): void {
  for (const list of ["limits", "requests"]) for (const resource of ["ephemeral-storage", "memory"]) fractional(resources?.[list]?.[resource], `${path}.resources.${list}[${resource}]`, out);
  const values = new Map<string, string>();
  (env as Any[]).forEach(({ name, value = "" }: Any, i: number) => {
    // What is built from the earlier value does not hide it.
    if (values.has(name) && !value.includes(`$(${name})`)) out.push(`${path}.env[${i}]: hides previous definition of ${JSON.stringify(name)}, which may be dropped when using apply`);
    values.set(name, value);
  });
  (ports as Any[]).forEach((port: Any, i: number) => {
    const protocol = (one: Any): string => one.protocol ?? "TCP";
    const earlier = (ports as Any[]).slice(0, i);
    const same = earlier.findIndex((one) => one.containerPort === port.containerPort && protocol(one) === protocol(port) && (one.hostPort ?? 0) === (port.hostPort ?? 0) && (one.hostIP ?? "") === (port.hostIP ?? ""));
    if (same >= 0) {
      out.push(`${path}.ports[${i}]: duplicate port definition with ${path}.ports[${same}]`);
      return;
    }
    const over = earlier.findIndex((one) => one.containerPort === port.containerPort && protocol(one) === protocol(port) && ((one.hostPort ?? 0) === 0 || (port.hostPort ?? 0) === 0));
    if (over >= 0) out.push(`${path}.ports[${i}]: overlapping port definition with ${path}.ports[${over}]`);
  });
}

function doubled(list: readonly Any[], key: (one: Any) => string, says: (i: number, key: string) => string, out: string[]): void {
  const seen = new Set<string>();
  list.forEach((one, i) => {
    if (seen.has(key(one))) out.push(says(i, key(one)));
    seen.add(key(one));
  });
}

function fractional(quantity: string | undefined, path: string, out: string[]): void {
  if (quantity === undefined) return;
  const { nano } = parseQuantity(quantity);
  if (nano % 1_000_000_000n !== 0n) out.push(`${path}: fractional byte value ${JSON.stringify(String(quantity))} is invalid, must be an integer`);
}

const STORAGE_CLASS = "volume.beta.kubernetes.io/storage-class";
const MOUNT_OPTIONS = "volume.beta.kubernetes.io/mount-options";

const OTHERS: Readonly<Record<string, Warnings>> = {
  Secret: (secret) => secretWarnings(secret),
  Service: serviceWarnings,
  Node: ({ metadata, spec }) => [
    ...(spec?.configSource === undefined ? [] : ["spec.configSource: the feature has been removed"]),
    ...((spec?.externalID ?? "") === "" ? [] : ["spec.externalID: this field is deprecated, and is unused by Kubernetes"]),
    ...(metadata.annotations?.["scheduler.alpha.kubernetes.io/preferAvoidPods"] === undefined ? [] : ["metadata.annotations[scheduler.alpha.kubernetes.io/preferAvoidPods]: deprecated since v1.20, non-functional in v1.26+"]),
  ],
  PersistentVolume: ({ metadata, spec }) => [
    ...(metadata.annotations?.[STORAGE_CLASS] === undefined ? [] : [`metadata.annotations[${STORAGE_CLASS}]: deprecated since v1.8; use "storageClassName" attribute instead`]),
    ...(metadata.annotations?.[MOUNT_OPTIONS] === undefined ? [] : [`metadata.annotations[${MOUNT_OPTIONS}]: deprecated since v1.31; use "mountOptions" attribute instead`]),
    ...(spec.persistentVolumeReclaimPolicy === "Recycle" ? ["spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning."] : []),
    ...VOLUMES.flatMap(([source, says]) => (spec[source] === undefined ? [] : [`spec.${source}: ${says}`])),
  ],
  PersistentVolumeClaim: ({ metadata, spec }) => {
    const out = metadata.annotations?.[STORAGE_CLASS] === undefined ? [] : [`metadata.annotations[${STORAGE_CLASS}]: deprecated since v1.8; use "storageClassName" attribute instead`];
    for (const list of ["requests", "limits"]) fractional(spec.resources?.[list]?.storage, `spec.resources.${list}[storage]`, out);
    return out;
  },
  "networking.k8s.io/Ingress": ({ metadata }, old) =>
    old === undefined && metadata.annotations?.["kubernetes.io/ingress.class"] !== undefined ? [`annotation "kubernetes.io/ingress.class" is deprecated, please use 'spec.ingressClassName' instead`] : [],
  "batch/CronJob": ({ spec }) =>
    spec.schedule?.includes("TZ") ? ["CRON_TZ or TZ used in spec.schedule is not officially supported, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"] : [],
  "batch/Job": ({ spec }) => {
    const many = spec.completionMode === "Indexed" && (spec.completions ?? 0) > 100_000 && (spec.parallelism ?? 0) > 10_000;
    return many ? ["In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail"] : [];
  },
};

const HINTS = "service.kubernetes.io/topology-aware-hints";

function serviceWarnings({ metadata, spec }: Any): string[] {
  return [
    ...(metadata.annotations?.[HINTS] === undefined ? [] : [`annotation ${HINTS} is deprecated, please use service.kubernetes.io/topology-mode instead`]),
    ...(spec.clusterIP === "None" && (spec.loadBalancerIP ?? "") !== "" ? ["spec.loadBalancerIP is ignored when spec.type is not \"LoadBalancer\""] : []),
    ...(spec.clusterIP === "None" && spec.sessionAffinity === "ClientIP" ? ["spec.SessionAffinity is ignored for headless services"] : []),
  ];
}

/** What tls.X509KeyPair says of a pair without PEM blocks; what is inside of blocks is not judged. */
function secretWarnings({ type, data }: Any): string[] {
  if (type !== "kubernetes.io/tls") return [];
  const text = (key: string): string => {
    try {
      return atob(data?.[key] ?? "");
    } catch {
      return "";
    }
  };
  if (!/-----BEGIN CERTIFICATE-----/.test(text("tls.crt"))) return ["tls: failed to find any PEM data in certificate input"];
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text("tls.key"))) return ["tls: failed to find any PEM data in key input"];
  return [];
}
