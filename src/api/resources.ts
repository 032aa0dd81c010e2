/**
 * The served resources by name: what a client, the API server and the manifest loader need to find one another.
 * One line per resource; everything else about a resource is in its descriptor in the API server's registry.
 */
import type { ConfigMap, Deployment, EndpointSlice, Event, Lease, Namespace, Node, Pod, ReplicaSet, Secret, Service, ServiceAccount } from "./types.generated.ts";

export interface ResourceName {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** By default the kind with `List`. */
  readonly listKind?: string;
  /** The plural in paths. */
  readonly resource: string;
  readonly namespaced: boolean;
}

/** The Go type that each resource name stands for. */
export interface Kinds {
  namespaces: Namespace;
  nodes: Node;
  pods: Pod;
  services: Service;
  endpointSlices: EndpointSlice;
  deployments: Deployment;
  replicaSets: ReplicaSet;
  configMaps: ConfigMap;
  secrets: Secret;
  serviceAccounts: ServiceAccount;
  events: Event;
  leases: Lease;
}

const name = (group: string, kind: string, resource: string, namespaced = true): ResourceName =>
  ({ group, version: "v1", kind, resource, namespaced });

export const RESOURCES: { readonly [K in keyof Kinds]: ResourceName } = {
  namespaces: name("", "Namespace", "namespaces", false),
  nodes: name("", "Node", "nodes", false),
  pods: name("", "Pod", "pods"),
  services: name("", "Service", "services"),
  configMaps: name("", "ConfigMap", "configmaps"),
  secrets: name("", "Secret", "secrets"),
  serviceAccounts: name("", "ServiceAccount", "serviceaccounts"),
  events: name("", "Event", "events"),
  deployments: name("apps", "Deployment", "deployments"),
  replicaSets: name("apps", "ReplicaSet", "replicasets"),
  endpointSlices: name("discovery.k8s.io", "EndpointSlice", "endpointslices"),
  leases: name("coordination.k8s.io", "Lease", "leases"),
};

/** `v1` or `apps/v1`. */
export function apiVersionOf({ group, version }: { group: string; version: string }): string {
  return group === "" ? version : `${group}/${version}`;
}

/** The path of a resource: `/api/v1/namespaces/shop/pods/web/status`. */
export function pathOf(resource: ResourceName, namespace?: string, object?: string, subresource?: string): string {
  let path = resource.group === "" ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`;
  if (resource.namespaced && namespace !== undefined && namespace !== "") path += `/namespaces/${encodeURIComponent(namespace)}`;
  path += `/${resource.resource}`;
  if (object !== undefined) path += `/${encodeURIComponent(object)}`;
  return subresource === undefined ? path : `${path}/${subresource}`;
}

/** The resource of a manifest's apiVersion and kind, if it is served. */
export function resourceFor(apiVersion: string, kind: string): ResourceName | undefined {
  for (const resource of Object.values(RESOURCES)) if (resource.kind === kind && apiVersionOf(resource) === apiVersion) return resource;
  return undefined;
}
