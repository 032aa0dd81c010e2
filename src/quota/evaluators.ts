/**
 * What an object takes of a quota. Follows pkg/quota/v1/evaluator/core (pods.go, services.go, persistent_volume_claims.go) and
 * k8s.io/apiserver/pkg/quota/v1/generic (evaluator.go).
 */
import type { Pod, PodAffinityTerm, PodSpec, ResourceQuota, ScopedResourceSelectorRequirement } from "../api/types.generated.ts";
import type { KubeObject } from "../apimachinery/meta.ts";
import { parseTime } from "../apimachinery/time.ts";
import { qosClass } from "../kube-apiserver/registry/pod.ts";
import { podLimits, podRequests } from "./pod-resources.ts";
import { add, type ResourceList } from "./resource-list.ts";

/** A resource as quotas name it. */
export interface GroupResource {
  readonly group: string;
  readonly resource: string;
}

type Scope = ScopedResourceSelectorRequirement;

/** What one kind of object counts for. */
export interface Evaluator {
  /** Whether changes are charged, too, not only creations. */
  readonly updates: boolean;
  /** Those of the names that this kind of object takes of. */
  matching(names: readonly string[]): string[];
  /** Whether the object falls under the scope. */
  inScope(scope: Scope, object: KubeObject): boolean;
  /** What the object must say because a quota restricts `names`; undefined when it says it. */
  constraint(names: readonly string[], object: KubeObject): string | undefined;
  /** What it takes at this moment. */
  usage(object: KubeObject, nowMs: number): ResourceList;
}

/* eslint-disable @typescript-eslint/no-explicit-any */
type Any = any;

/** `count/deployments.apps`. Follows ObjectCountQuotaResourceNameFor. */
export const countName = ({ group, resource }: GroupResource): string => `count/${resource}${group === "" ? "" : `.${group}`}`;

/** The evaluator of a kind: every namespaced kind has one. */
export function evaluatorFor(of: GroupResource): Evaluator {
  if (of.group === "") {
    if (of.resource === "pods") return PODS;
    if (of.resource === "services") return SERVICES;
    if (of.resource === "persistentvolumeclaims") return CLAIMS;
  }
  const name = countName(of);
  let made = counts.get(name);
  if (made === undefined) counts.set(name, (made = objectCount(of)));
  return made;
}
const counts = new Map<string, Evaluator>();

/** The scopes of a quota in the longer form. Follows getScopeSelectorsFromQuota. */
export function scopesOf({ spec }: ResourceQuota): readonly Scope[] {
  return [...(spec.scopes ?? []).map((scopeName) => ({ scopeName, operator: "Exists" }) as Scope), ...(spec.scopeSelector?.matchExpressions ?? [])];
}

/** Whether the quota is about the object at all. Follows generic.Matches. */
export function quotaMatches(quota: ResourceQuota, evaluator: Evaluator, object: KubeObject): boolean {
  return evaluator.matching(Object.keys(quota.status?.hard ?? {})).length > 0 && scopesOf(quota).every((scope) => evaluator.inScope(scope, object));
}

/** Kinds that had a name of their own before there was `count/`. */
const ALIASES: Readonly<Record<string, string>> = { configmaps: "configmaps", resourcequotas: "resourcequotas", replicationcontrollers: "replicationcontrollers", secrets: "secrets" };

function objectCount(of: GroupResource): Evaluator {
  const names = [countName(of), ...(of.group === "" && ALIASES[of.resource] !== undefined ? [ALIASES[of.resource]!] : [])];
  const usage: ResourceList = Object.fromEntries(names.map((name) => [name, "1"]));
  return { updates: false, matching: (wanted) => wanted.filter((name) => names.includes(name)), inScope: () => false, constraint: () => undefined, usage: () => usage };
}

const COMPUTE = ["cpu", "memory", "ephemeral-storage"];
const POD_RESOURCES = new Set(["count/pods", "pods", ...COMPUTE, ...COMPUTE.map((name) => `requests.${name}`), ...COMPUTE.map((name) => `limits.${name}`)]);
/** What every container has to say when it is restricted. */
const REQUIRED = new Set(["cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"]);

const isNative = (name: string): boolean => !name.includes("/") || name.includes("kubernetes.io/");
const isExtended = (name: string): boolean => !isNative(name) && !name.startsWith("requests.");

/** Follows podComputeUsageHelper. */
function compute(requests: ResourceList, limits: ResourceList): Record<string, string> {
  const out: Record<string, string> = { pods: "1" };
  for (const name of COMPUTE) {
    if (requests[name] !== undefined) out[name] = out[`requests.${name}`] = requests[name];
    if (limits[name] !== undefined) out[`limits.${name}`] = limits[name];
  }
  for (const name in requests) {
    if (name.startsWith("hugepages-")) out[name] = out[`requests.${name}`] = requests[name]!;
    else if (isExtended(name)) out[`requests.${name}`] = requests[name]!;
  }
  return out;
}

/** Whether a pod still counts. Follows QuotaV1Pod. */
function counted({ metadata, status }: Pod & KubeObject, nowMs: number): boolean {
  if (status?.phase === "Failed" || status?.phase === "Succeeded") return false;
  if (metadata.deletionTimestamp === undefined || metadata.deletionGracePeriodSeconds === undefined) return true;
  const until = parseTime(metadata.deletionTimestamp)! + metadata.deletionGracePeriodSeconds * 1000;
  return nowMs <= until;
}

/** Follows usesCrossNamespacePodAffinity. */
function crossesNamespaces({ affinity }: PodSpec): boolean {
  const crosses = (term: PodAffinityTerm): boolean => (term.namespaces ?? []).length > 0 || term.namespaceSelector !== undefined;
  return [affinity?.podAffinity, affinity?.podAntiAffinity].some((of) =>
    (of?.requiredDuringSchedulingIgnoredDuringExecution ?? []).some(crosses) ||
    (of?.preferredDuringSchedulingIgnoredDuringExecution ?? []).some(({ podAffinityTerm }) => crosses(podAffinityTerm)));
}

const PODS: Evaluator = {
  updates: false,
  matching: (names) => names.filter((name) => POD_RESOURCES.has(name) || name.startsWith("hugepages-") || name.startsWith("requests.hugepages-") || (!isNative(name) && name.startsWith("requests."))),
  inScope({ scopeName, operator, values }, object) {
    const { spec } = object as unknown as Pod;
    const terminating = (spec.activeDeadlineSeconds ?? -1) >= 0;
    switch (scopeName) {
      case "Terminating": return terminating;
      case "NotTerminating": return !terminating;
      case "BestEffort": return qosClass(spec) === "BestEffort";
      case "NotBestEffort": return qosClass(spec) !== "BestEffort";
      case "CrossNamespacePodAffinity": return crossesNamespaces(spec);
      case "PriorityClass": {
        const name = spec.priorityClassName ?? "";
        switch (operator) {
          case "Exists": return name !== "";
          case "DoesNotExist": return name === "";
          case "In": return (values ?? []).includes(name);
          case "NotIn": return !(values ?? []).includes(name);
          default: return false;
        }
      }
      default: return false;
    }
  },
  constraint(names, object) {
    const required = names.filter((name) => REQUIRED.has(name));
    const missing = new Map<string, Set<string>>();
    const { spec } = object as unknown as Pod;
    for (const { name, resources } of [...(spec.containers ?? []), ...(spec.initContainers ?? [])]) {
      const has = compute(resources?.requests ?? {}, resources?.limits ?? {});
      for (const resource of required) if (has[resource] === undefined) missing.set(resource, (missing.get(resource) ?? new Set()).add(name));
    }
    if (missing.size === 0) return undefined;
    return `must specify ${[...missing.keys()].sort().map((resource) => `${resource} for: ${[...missing.get(resource)!].sort().join(",")}`).join("; ")}`;
  },
  usage(object, nowMs) {
    const pod = object as unknown as Pod & KubeObject;
    const counts: ResourceList = { "count/pods": "1" };
    return counted(pod, nowMs) ? add(counts, compute(podRequests(pod.spec), podLimits(pod.spec))) : counts;
  },
};

const SERVICE_RESOURCES = new Set(["count/services", "services", "services.nodeports", "services.loadbalancers"]);

const SERVICES: Evaluator = {
  // A Service may change its type.
  updates: true,
  matching: (names) => names.filter((name) => SERVICE_RESOURCES.has(name)),
  inScope: () => false,
  constraint: () => undefined,
  usage(object) {
    const { spec } = object as Any;
    const ports: readonly { nodePort?: number }[] = spec.ports ?? [];
    let nodePorts = 0;
    if (spec.type === "NodePort") nodePorts = ports.length;
    else if (spec.type === "LoadBalancer") nodePorts = spec.allocateLoadBalancerNodePorts === false ? ports.filter((port) => (port.nodePort ?? 0) !== 0).length : ports.length;
    return { "count/services": "1", services: "1", "services.nodeports": String(nodePorts), "services.loadbalancers": spec.type === "LoadBalancer" ? "1" : "0" };
  },
};

const CLAIM_RESOURCES = new Set(["count/persistentvolumeclaims", "persistentvolumeclaims", "requests.storage"]);
const OF_CLASS = ".storageclass.storage.k8s.io/";

const CLAIMS: Evaluator = {
  updates: true,
  matching: (names) => names.filter((name) => CLAIM_RESOURCES.has(name) || name.endsWith(`${OF_CLASS}requests.storage`) || name.endsWith(`${OF_CLASS}persistentvolumeclaims`)),
  inScope: () => false,
  constraint: () => undefined,
  usage(object) {
    const { metadata, spec, status } = object as Any;
    const out: Record<string, string> = { "count/persistentvolumeclaims": "1", persistentvolumeclaims: "1" };
    const storageClass: string = metadata.annotations?.["volume.beta.kubernetes.io/storage-class"] ?? spec.storageClassName ?? "";
    if (storageClass !== "") out[`${storageClass}${OF_CLASS}persistentvolumeclaims`] = "1";
    const storage: string | undefined = status?.allocatedResources?.storage ?? spec.resources?.requests?.storage;
    if (storage !== undefined) {
      out["requests.storage"] = storage;
      if (storageClass !== "") out[`${storageClass}${OF_CLASS}requests.storage`] = storage;
    }
    return out;
  },
};
