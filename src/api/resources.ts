/**
 * The served resources by name: what a client, the API server and the manifest loader need to find one another.
 * One line per resource; everything else about a resource is in its descriptor in the API server's registry.
 */
import type * as T from "./types.generated.ts";

export interface ResourceName {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** The Go type, where it is not called like the kind: `HorizontalPodAutoscaler@autoscaling.v2`. */
  readonly type?: string;
  /** By default the kind with `List`. */
  readonly listKind?: string;
  /** The plural in paths. */
  readonly resource: string;
  readonly namespaced: boolean;
}

/** The Go types of what every cluster serves. */
interface CoreKinds {
  namespaces: T.Namespace;
  nodes: T.Node;
  pods: T.Pod;
  services: T.Service;
  endpointSlices: T.EndpointSlice;
  deployments: T.Deployment;
  replicaSets: T.ReplicaSet;
  configMaps: T.ConfigMap;
  secrets: T.Secret;
  serviceAccounts: T.ServiceAccount;
  events: T.Event;
  leases: T.Lease;
}

/** The Go types of what a complete cluster serves beside them; their names are `MORE_RESOURCES` in more-resources.ts. */
export interface MoreKinds {
  bindings: T.Binding;
  endpoints: T.Endpoints;
  limitRanges: T.LimitRange;
  persistentVolumes: T.PersistentVolume;
  persistentVolumeClaims: T.PersistentVolumeClaim;
  podTemplates: T.PodTemplate;
  replicationControllers: T.ReplicationController;
  resourceQuotas: T.ResourceQuota;
  controllerRevisions: T.ControllerRevision;
  daemonSets: T.DaemonSet;
  statefulSets: T.StatefulSet;
  cronJobs: T.CronJob;
  jobs: T.Job;
  horizontalPodAutoscalers: T.AutoscalingV2HorizontalPodAutoscaler;
  podDisruptionBudgets: T.PodDisruptionBudget;
  ingresses: T.Ingress;
  ingressClasses: T.IngressClass;
  networkPolicies: T.NetworkPolicy;
  clusterRoles: T.ClusterRole;
  clusterRoleBindings: T.ClusterRoleBinding;
  roles: T.Role;
  roleBindings: T.RoleBinding;
  priorityClasses: T.PriorityClass;
  csiDrivers: T.CSIDriver;
  csiNodes: T.CSINode;
  csiStorageCapacities: T.CSIStorageCapacity;
  storageClasses: T.StorageClass;
  volumeAttachments: T.VolumeAttachment;
  runtimeClasses: T.RuntimeClass;
  mutatingWebhookConfigurations: T.MutatingWebhookConfiguration;
  validatingWebhookConfigurations: T.ValidatingWebhookConfiguration;
  validatingAdmissionPolicies: T.ValidatingAdmissionPolicy;
  validatingAdmissionPolicyBindings: T.ValidatingAdmissionPolicyBinding;
  certificateSigningRequests: T.CertificateSigningRequest;
  flowSchemas: T.FlowSchema;
  priorityLevelConfigurations: T.PriorityLevelConfiguration;
  apiServices: T.APIService;
  customResourceDefinitions: T.CustomResourceDefinition;
}

/** The Go type that each resource name stands for. */
export interface Kinds extends CoreKinds, MoreKinds {}

const name = (group: string, kind: string, resource: string, namespaced = true): ResourceName =>
  ({ group, version: "v1", kind, resource, namespaced });

/** Names of resources, by the client's name of each. */
export type Resources = { readonly [K in keyof Kinds]?: ResourceName };

export const RESOURCES: { readonly [K in keyof CoreKinds]: ResourceName } = {
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
export function resourceFor(apiVersion: string, kind: string, resources: Resources = RESOURCES): ResourceName | undefined {
  for (const resource of Object.values(resources)) if (resource.kind === kind && apiVersionOf(resource) === apiVersion) return resource;
  return undefined;
}
