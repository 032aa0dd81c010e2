/** The names of the resources that only a complete cluster serves. */
import { RESOURCES, type MoreKinds, type ResourceName } from "./resources.ts";

const name = (group: string, kind: string, resource: string, { cluster = false, ...own }: { cluster?: boolean; version?: string; type?: string } = {}): ResourceName =>
  ({ group, version: "v1", kind, resource, namespaced: !cluster, ...own });
const CLUSTER = { cluster: true };
const RBAC = "rbac.authorization.k8s.io";
const STORAGE = "storage.k8s.io";
const ADMISSION = "admissionregistration.k8s.io";
const FLOW_CONTROL = "flowcontrol.apiserver.k8s.io";

const MORE_RESOURCES: { readonly [K in keyof MoreKinds]: ResourceName } = {
  bindings: name("", "Binding", "bindings"),
  endpoints: name("", "Endpoints", "endpoints"),
  limitRanges: name("", "LimitRange", "limitranges"),
  persistentVolumes: name("", "PersistentVolume", "persistentvolumes", CLUSTER),
  persistentVolumeClaims: name("", "PersistentVolumeClaim", "persistentvolumeclaims"),
  podTemplates: name("", "PodTemplate", "podtemplates"),
  replicationControllers: name("", "ReplicationController", "replicationcontrollers"),
  resourceQuotas: name("", "ResourceQuota", "resourcequotas"),
  controllerRevisions: name("apps", "ControllerRevision", "controllerrevisions"),
  daemonSets: name("apps", "DaemonSet", "daemonsets"),
  statefulSets: name("apps", "StatefulSet", "statefulsets"),
  cronJobs: name("batch", "CronJob", "cronjobs"),
  jobs: name("batch", "Job", "jobs"),
  horizontalPodAutoscalers: name("autoscaling", "HorizontalPodAutoscaler", "horizontalpodautoscalers", { version: "v2", type: "HorizontalPodAutoscaler@autoscaling.v2" }),
  podDisruptionBudgets: name("policy", "PodDisruptionBudget", "poddisruptionbudgets"),
  ingresses: name("networking.k8s.io", "Ingress", "ingresses"),
  ingressClasses: name("networking.k8s.io", "IngressClass", "ingressclasses", CLUSTER),
  networkPolicies: name("networking.k8s.io", "NetworkPolicy", "networkpolicies"),
  clusterRoles: name(RBAC, "ClusterRole", "clusterroles", CLUSTER),
  clusterRoleBindings: name(RBAC, "ClusterRoleBinding", "clusterrolebindings", CLUSTER),
  roles: name(RBAC, "Role", "roles"),
  roleBindings: name(RBAC, "RoleBinding", "rolebindings"),
  priorityClasses: name("scheduling.k8s.io", "PriorityClass", "priorityclasses", CLUSTER),
  csiDrivers: name(STORAGE, "CSIDriver", "csidrivers", CLUSTER),
  csiNodes: name(STORAGE, "CSINode", "csinodes", CLUSTER),
  csiStorageCapacities: name(STORAGE, "CSIStorageCapacity", "csistoragecapacities"),
  storageClasses: name(STORAGE, "StorageClass", "storageclasses", CLUSTER),
  volumeAttachments: name(STORAGE, "VolumeAttachment", "volumeattachments", CLUSTER),
  runtimeClasses: name("node.k8s.io", "RuntimeClass", "runtimeclasses", CLUSTER),
  mutatingWebhookConfigurations: name(ADMISSION, "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", CLUSTER),
  validatingWebhookConfigurations: name(ADMISSION, "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", CLUSTER),
  validatingAdmissionPolicies: name(ADMISSION, "ValidatingAdmissionPolicy", "validatingadmissionpolicies", CLUSTER),
  validatingAdmissionPolicyBindings: name(ADMISSION, "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", CLUSTER),
  certificateSigningRequests: name("certificates.k8s.io", "CertificateSigningRequest", "certificatesigningrequests", CLUSTER),
  flowSchemas: name(FLOW_CONTROL, "FlowSchema", "flowschemas", CLUSTER),
  priorityLevelConfigurations: name(FLOW_CONTROL, "PriorityLevelConfiguration", "prioritylevelconfigurations", CLUSTER),
  apiServices: name("apiregistration.k8s.io", "APIService", "apiservices", CLUSTER),
  customResourceDefinitions: name("apiextensions.k8s.io", "CustomResourceDefinition", "customresourcedefinitions", CLUSTER),
};

/** All names of a complete cluster. */
export const ALL_RESOURCES = { ...RESOURCES, ...MORE_RESOURCES };
