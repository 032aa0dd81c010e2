// Writes src/api/types.generated.ts (TypeScript types) and src/api/schema.generated.ts (the runtime schema: one
// line per type) for the kinds the API server serves, from the facts in $KUBEWIRE_SHARED/k8s/types.json.
//
//   KUBEWIRE_SHARED=../shared node scripts/generate-api.mjs [--check]
//
// A line of the schema is `Type=field:type,field:type…`. Types: s string, i int32, l int64, b boolean, T time,
// U time with microseconds, Q quantity, O int-or-string, B bytes, F raw JSON, or a type's name; `[t` list, `{t` map.
// Marks after the type: `!` written even when empty, `*` a Go pointer (an explicit zero stays), `=` a Go struct held
// by value (always written), `~a` atomic, `~s` set, `~m+key+key` list map, `~p+key` strategic merge by key (where it
// differs from the list map), `~P` strategic merge of primitives, `~i` list whose items are atomic, `~r` retainKeys.
import { readFileSync, writeFileSync } from "node:fs";
import { join, dirname } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const shared = process.env.KUBEWIRE_SHARED ?? join(root, "../shared");
const { types, kubernetes, paths, protobufOnly, embedded } = JSON.parse(readFileSync(join(shared, "k8s/types.json"), "utf8"));

// Numbers that stand among the messages only: those of the extensions' and the aggregator's own types.
const protobufName = (field) =>
  field.startsWith("x-") ? field.replace(/-(.)/g, (_, letter) => letter.toUpperCase()) : field.replace(/^\$/, "");
for (const [full, { fields }] of Object.entries(types)) {
  const numbers = protobufOnly[full.replace(/-(apiserver|aggregator)/, "_$1")];
  for (const [field, facts] of Object.entries(fields ?? {})) facts.pb ??= numbers?.[protobufName(field)]?.number;
}

const KINDS = [
  "core.v1.Binding", "core.v1.ConfigMap", "core.v1.Event", "core.v1.Namespace", "core.v1.Node", "core.v1.Pod",
  "core.v1.Secret", "core.v1.Service", "core.v1.ServiceAccount", "apps.v1.Deployment", "apps.v1.ReplicaSet", "autoscaling.v1.Scale",
  "coordination.v1.Lease", "discovery.v1.EndpointSlice",
];
// What `kubewire up` serves beside them; their lines are in src/kube-apiserver/complete/schema.generated.ts.
const MORE = [
  "core.v1.ComponentStatus", "core.v1.Endpoints", "core.v1.LimitRange", "core.v1.PersistentVolume", "core.v1.PersistentVolumeClaim", "core.v1.PodTemplate",
  "core.v1.ReplicationController", "core.v1.ResourceQuota", "apps.v1.ControllerRevision", "apps.v1.DaemonSet", "apps.v1.StatefulSet",
  "batch.v1.CronJob", "batch.v1.Job", "autoscaling.v1.HorizontalPodAutoscaler", "autoscaling.v2.HorizontalPodAutoscaler",
  "policy.v1.PodDisruptionBudget", "policy.v1.Eviction", "networking.v1.Ingress", "networking.v1.IngressClass",
  "networking.v1.NetworkPolicy", "rbac.v1.ClusterRole", "rbac.v1.ClusterRoleBinding", "rbac.v1.Role", "rbac.v1.RoleBinding",
  "scheduling.v1.PriorityClass", "storage.v1.CSIDriver", "storage.v1.CSINode", "storage.v1.CSIStorageCapacity",
  "storage.v1.StorageClass", "storage.v1.VolumeAttachment", "node.v1.RuntimeClass", "events.v1.Event",
  "admissionregistration.v1.MutatingWebhookConfiguration", "admissionregistration.v1.ValidatingWebhookConfiguration",
  "admissionregistration.v1.ValidatingAdmissionPolicy", "admissionregistration.v1.ValidatingAdmissionPolicyBinding",
  "authentication.v1.TokenRequest", "authentication.v1.TokenReview", "authentication.v1.SelfSubjectReview",
  "authorization.v1.SubjectAccessReview", "authorization.v1.LocalSubjectAccessReview", "authorization.v1.SelfSubjectAccessReview",
  "authorization.v1.SelfSubjectRulesReview", "certificates.v1.CertificateSigningRequest",
  "flowcontrol.v1.FlowSchema", "flowcontrol.v1.PriorityLevelConfiguration",
];
const MORE_EXTRA = [
  "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService",
  "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
];
const META = "io.k8s.apimachinery.pkg.apis.meta.v1.";
const EXTRA = [`${META}DeleteOptions`, `${META}Status`, `${META}LabelSelector`];

// OpenAPI does not tell a Go pointer from a Go value. These scalars are pointers in k8s.io/api v0.32 (types.go of each
// group): a zero that was sent stays in the object.
const POINTERS = new Set(`
ObjectMeta.deletionGracePeriodSeconds ObjectMeta.deletionTimestamp ManagedFieldsEntry.time OwnerReference.controller
OwnerReference.blockOwnerDeletion DeleteOptions.gracePeriodSeconds DeleteOptions.orphanDependents
DeleteOptions.propagationPolicy Preconditions.uid Preconditions.resourceVersion
ConfigMap.immutable Secret.immutable ServiceAccount.automountServiceAccountToken
DeploymentSpec.replicas DeploymentSpec.revisionHistoryLimit DeploymentSpec.progressDeadlineSeconds
DeploymentStatus.collisionCount ReplicaSetSpec.replicas
RollingUpdateDeployment.maxSurge RollingUpdateDeployment.maxUnavailable
PodSpec.terminationGracePeriodSeconds PodSpec.activeDeadlineSeconds PodSpec.automountServiceAccountToken
PodSpec.shareProcessNamespace PodSpec.enableServiceLinks PodSpec.setHostnameAsFQDN PodSpec.hostUsers PodSpec.priority
PodSpec.preemptionPolicy PodSpec.runtimeClassName
PodSecurityContext.runAsUser PodSecurityContext.runAsGroup PodSecurityContext.runAsNonRoot PodSecurityContext.fsGroup
PodSecurityContext.fsGroupChangePolicy PodSecurityContext.supplementalGroupsPolicy
PodSecurityContext.seLinuxChangePolicy
SecurityContext.privileged SecurityContext.runAsUser SecurityContext.runAsGroup SecurityContext.runAsNonRoot
SecurityContext.readOnlyRootFilesystem SecurityContext.allowPrivilegeEscalation SecurityContext.procMount
SeccompProfile.localhostProfile AppArmorProfile.localhostProfile WindowsSecurityContextOptions.gmsaCredentialSpecName
WindowsSecurityContextOptions.gmsaCredentialSpec WindowsSecurityContextOptions.runAsUserName
WindowsSecurityContextOptions.hostProcess Probe.terminationGracePeriodSeconds GRPCAction.service
Toleration.tolerationSeconds Taint.timeAdded PodDNSConfigOption.value Container.restartPolicy
EphemeralContainer.restartPolicy
ConfigMapKeySelector.optional SecretKeySelector.optional ConfigMapEnvSource.optional SecretEnvSource.optional
ConfigMapVolumeSource.optional ConfigMapVolumeSource.defaultMode SecretVolumeSource.optional
SecretVolumeSource.defaultMode ConfigMapProjection.optional SecretProjection.optional KeyToPath.mode
DownwardAPIVolumeSource.defaultMode DownwardAPIVolumeFile.mode ProjectedVolumeSource.defaultMode
ServiceAccountTokenProjection.expirationSeconds ClusterTrustBundleProjection.name
ClusterTrustBundleProjection.signerName ClusterTrustBundleProjection.optional
HostPathVolumeSource.type EmptyDirVolumeSource.sizeLimit VolumeMount.mountPropagation
VolumeMount.recursiveReadOnly ISCSIVolumeSource.initiatorName AzureDiskVolumeSource.cachingMode
AzureDiskVolumeSource.fsType AzureDiskVolumeSource.readOnly AzureDiskVolumeSource.kind CSIVolumeSource.readOnly
CSIVolumeSource.fsType FCVolumeSource.lun ScaleIOVolumeSource.fsType
PersistentVolumeClaimSpec.storageClassName PersistentVolumeClaimSpec.volumeMode
PersistentVolumeClaimSpec.volumeAttributesClassName TypedLocalObjectReference.apiGroup
TypedObjectReference.apiGroup TypedObjectReference.namespace
PodAffinityTerm.namespaceSelector TopologySpreadConstraint.minDomains TopologySpreadConstraint.nodeAffinityPolicy
TopologySpreadConstraint.nodeTaintsPolicy PodResourceClaim.resourceClaimName
PodResourceClaim.resourceClaimTemplateName PodResourceClaimStatus.resourceClaimName LifecycleHandler.sleep
PodStatus.startTime ContainerStatus.started VolumeMountStatus.recursiveReadOnly ContainerUser.linux
ServiceSpec.sessionAffinityConfig ServiceSpec.ipFamilyPolicy ServiceSpec.allocateLoadBalancerNodePorts
ServiceSpec.loadBalancerClass ServiceSpec.internalTrafficPolicy ServiceSpec.trafficDistribution
ServicePort.appProtocol ClientIPConfig.timeoutSeconds PortStatus.error LoadBalancerIngress.ipMode
EndpointPort.name EndpointPort.protocol EndpointPort.port EndpointPort.appProtocol EndpointConditions.ready
EndpointConditions.serving EndpointConditions.terminating Endpoint.hostname Endpoint.nodeName Endpoint.zone
LeaseSpec.holderIdentity LeaseSpec.leaseDurationSeconds LeaseSpec.acquireTime LeaseSpec.renewTime
LeaseSpec.leaseTransitions LeaseSpec.strategy LeaseSpec.preferredHolder
NodeConfigStatus.active NodeRuntimeHandlerFeatures.recursiveReadOnlyMounts NodeRuntimeHandlerFeatures.userNamespaces
NodeFeatures.supplementalGroupsPolicy
StatefulSetSpec.replicas StatefulSetSpec.revisionHistoryLimit StatefulSetStatus.collisionCount
RollingUpdateStatefulSetStrategy.partition RollingUpdateStatefulSetStrategy.maxUnavailable
DaemonSetSpec.revisionHistoryLimit DaemonSetStatus.collisionCount RollingUpdateDaemonSet.maxUnavailable
RollingUpdateDaemonSet.maxSurge JobSpec.parallelism JobSpec.completions JobSpec.activeDeadlineSeconds JobSpec.backoffLimit
JobSpec.backoffLimitPerIndex JobSpec.maxFailedIndexes JobSpec.manualSelector JobSpec.ttlSecondsAfterFinished
JobSpec.completionMode JobSpec.suspend JobSpec.podReplacementPolicy JobSpec.managedBy JobStatus.terminating
JobStatus.failedIndexes JobStatus.ready JobStatus.startTime JobStatus.completionTime
PodFailurePolicyOnExitCodesRequirement.containerName SuccessPolicyRule.succeededIndexes SuccessPolicyRule.succeededCount
CronJobSpec.timeZone CronJobSpec.startingDeadlineSeconds CronJobSpec.suspend CronJobSpec.successfulJobsHistoryLimit
CronJobSpec.failedJobsHistoryLimit CronJobStatus.lastScheduleTime CronJobStatus.lastSuccessfulTime
IngressSpec.ingressClassName HTTPIngressPath.pathType IngressPortStatus.error IngressClassParametersReference.apiGroup
IngressClassParametersReference.scope IngressClassParametersReference.namespace NetworkPolicyPort.protocol
NetworkPolicyPort.port NetworkPolicyPort.endPort PersistentVolumeClaimStatus.currentVolumeAttributesClassName
PersistentVolumeSpec.volumeMode PersistentVolumeSpec.volumeAttributesClassName PersistentVolumeStatus.lastPhaseTransitionTime
ISCSIPersistentVolumeSource.initiatorName LocalVolumeSource.fsType AzureFilePersistentVolumeSource.secretNamespace
GlusterfsPersistentVolumeSource.endpointsNamespace StorageClass.reclaimPolicy StorageClass.allowVolumeExpansion
StorageClass.volumeBindingMode VolumeAttachmentSource.persistentVolumeName CSIDriverSpec.attachRequired
CSIDriverSpec.podInfoOnMount CSIDriverSpec.fsGroupPolicy CSIDriverSpec.storageCapacity CSIDriverSpec.requiresRepublish
CSIDriverSpec.seLinuxMount TokenRequest@storage.v1.expirationSeconds TokenRequest.expirationSeconds VolumeNodeResources.count CSIStorageCapacity.capacity
CSIStorageCapacity.maximumVolumeSize PodDisruptionBudgetSpec.minAvailable PodDisruptionBudgetSpec.maxUnavailable
PodDisruptionBudgetSpec.unhealthyPodEvictionPolicy HorizontalPodAutoscalerSpec.minReplicas
HorizontalPodAutoscalerSpec.targetCPUUtilizationPercentage HorizontalPodAutoscalerStatus.observedGeneration
HorizontalPodAutoscalerStatus.lastScaleTime HorizontalPodAutoscalerStatus.currentCPUUtilizationPercentage
HorizontalPodAutoscalerSpec@autoscaling.v2.minReplicas HorizontalPodAutoscalerStatus@autoscaling.v2.observedGeneration
HorizontalPodAutoscalerStatus@autoscaling.v2.lastScaleTime HPAScalingRules.stabilizationWindowSeconds
HPAScalingRules.selectPolicy MetricTarget.value MetricTarget.averageValue MetricTarget.averageUtilization
MetricValueStatus.value MetricValueStatus.averageValue MetricValueStatus.averageUtilization PriorityClass.preemptionPolicy
ReplicationControllerSpec.replicas EndpointAddress.nodeName EndpointPort@core.v1.appProtocol
CertificateSigningRequestSpec.expirationSeconds JSONSchemaProps.maximum JSONSchemaProps.minimum JSONSchemaProps.maxLength
JSONSchemaProps.minLength JSONSchemaProps.maxItems JSONSchemaProps.minItems JSONSchemaProps.multipleOf
JSONSchemaProps.maxProperties JSONSchemaProps.minProperties JSONSchemaProps.x-kubernetes-preserve-unknown-fields
JSONSchemaProps.x-kubernetes-list-type JSONSchemaProps.x-kubernetes-map-type JSONSchemaProps.$ref JSONSchemaProps.default
JSONSchemaProps.additionalProperties JSONSchemaProps.additionalItems JSONSchemaProps.items JSONSchemaProps.example
ValidationRule.reason ValidationRule.optionalOldSelf CustomResourceSubresourceScale.labelSelectorPath
ServiceReference.port ServiceReference.path ServiceReference@apiregistration.v1.port
ServiceReference@apiextensions.v1.port ServiceReference@apiextensions.v1.path WebhookClientConfig.url
WebhookClientConfig@apiextensions.v1.url MutatingWebhook.failurePolicy MutatingWebhook.matchPolicy
MutatingWebhook.sideEffects MutatingWebhook.timeoutSeconds MutatingWebhook.reinvocationPolicy
ValidatingWebhook.failurePolicy ValidatingWebhook.matchPolicy ValidatingWebhook.sideEffects ValidatingWebhook.timeoutSeconds
RuleWithOperations.scope NamedRuleWithOperations.scope ValidatingAdmissionPolicySpec.failurePolicy Validation.reason
MatchResources.matchPolicy ParamRef.parameterNotFoundAction LimitedPriorityLevelConfiguration.nominalConcurrencyShares
LimitedPriorityLevelConfiguration.lendablePercent LimitedPriorityLevelConfiguration.borrowingLimitPercent
ExemptPriorityLevelConfiguration.nominalConcurrencyShares ExemptPriorityLevelConfiguration.lendablePercent
Eviction.deleteOptions BoundObjectReference.kind
`.trim().split(/\s+/));

// Structs held by value: json writes them even when all their fields are empty.
const VALUES = new Set(`
DeploymentSpec.strategy DeploymentSpec.template ReplicaSetSpec.template PodTemplateSpec.spec Container.resources
EphemeralContainer.resources ContainerStatus.state ContainerStatus.lastState NodeStatus.daemonEndpoints
NodeStatus.nodeInfo NodeDaemonEndpoints.kubeletEndpoint ServiceStatus.loadBalancer Event.involvedObject Event.source
PersistentVolumeClaimTemplate.spec PersistentVolumeClaimSpec.resources Endpoint.conditions Binding.target
WeightedPodAffinityTerm.podAffinityTerm PreferredSchedulingTerm.preference ServicePort.targetPort
HTTPGetAction.port TCPSocketAction.port ResourceFieldSelector.divisor
StatefulSetSpec.template StatefulSetSpec.updateStrategy DaemonSetSpec.template DaemonSetSpec.updateStrategy JobSpec.template
CronJobSpec.jobTemplate JobTemplateSpec.spec IngressServiceBackend.port HTTPIngressPath.backend IngressStatus.loadBalancer
NetworkPolicySpec.podSelector VolumeAttachmentSpec.source RoleBinding.roleRef ClusterRoleBinding.roleRef
HorizontalPodAutoscalerSpec.scaleTargetRef HorizontalPodAutoscalerSpec@autoscaling.v2.scaleTargetRef
ObjectMetricSource.describedObject ObjectMetricSource.target ObjectMetricSource.metric PodsMetricSource.metric
PodsMetricSource.target ResourceMetricSource.target ContainerResourceMetricSource.target ExternalMetricSource.metric
ExternalMetricSource.target ObjectMetricStatus.describedObject ObjectMetricStatus.current ObjectMetricStatus.metric
PodsMetricStatus.metric PodsMetricStatus.current ResourceMetricStatus.current ContainerResourceMetricStatus.current
ExternalMetricStatus.metric ExternalMetricStatus.current PodTemplate.template Event@events.v1.regarding
Event@events.v1.deprecatedSource CustomResourceDefinitionSpec.names CustomResourceDefinitionStatus.acceptedNames
MutatingWebhook.clientConfig ValidatingWebhook.clientConfig FlowSchemaSpec.priorityLevelConfiguration
LimitedPriorityLevelConfiguration.limitResponse TokenReviewStatus.user SelfSubjectReviewStatus.userInfo
`.trim().split(/\s+/));
const BYTES = new Set([
  "ConfigMap.binaryData", "Secret.data", "CertificateSigningRequestSpec.request", "CertificateSigningRequestStatus.certificate",
  "WebhookClientConfig.caBundle", "WebhookClientConfig@apiextensions.v1.caBundle", "APIServiceSpec.caBundle",
]);
// Kinds without a status or spec struct of their own hold these by value; Endpoints of RC-like kinds do not occur here.
const NOT_VALUE = new Set(["ReplicationControllerSpec.template"]);
// Required lists that may be empty: an empty list reads back as null.
const NULLABLE = new Set(["EndpointSlice.endpoints", "EndpointSlice.ports"]);
// `omitempty` fields that OpenAPI calls required, and fields without `omitempty` that it does not.
// Pointers without `omitempty`: null when they are not set.
const NULLABLE_POINTERS = new Set(["TypedLocalObjectReference.apiGroup", "TypedObjectReference.apiGroup"]);
const WRITTEN = new Set([
  "StatefulSetStatus.availableReplicas", "Event.reportingComponent", "Event.reportingInstance", "EndpointSlice.ports", "ProjectedVolumeSource.sources",
  "HorizontalPodAutoscalerStatus@autoscaling.v2.currentMetrics", "Role.rules", "ClusterRole.rules",
]);

const PRIMITIVES = { string: "s", "integer/int32": "i", "integer/int64": "l", boolean: "b", number: "n", "number/double": "n", object: "F" };
const SPECIAL = {
  [`${META}Time`]: "T", [`${META}MicroTime`]: "U", "io.k8s.apimachinery.pkg.api.resource.Quantity": "Q",
  "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "O", [`${META}FieldsV1`]: "F",
  "io.k8s.apimachinery.pkg.runtime.RawExtension": "F",
  ...Object.fromEntries(["JSON", "JSONSchemaPropsOrArray", "JSONSchemaPropsOrBool", "JSONSchemaPropsOrStringArray"].map((name) =>
    [`io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.${name}`, "F"])),
};
const TS = { s: "string", i: "number", l: "number", b: "boolean", n: "number", T: "string", U: "string", Q: "string",
  O: "number | string", B: "string", F: "unknown" };

const shortOf = new Map();
const fullOf = new Map();
function short(full) {
  if (shortOf.has(full)) return shortOf.get(full);
  // A name that another group or version has already gets its own behind it: `Event@events.v1`.
  const [version, last] = full.split(".").slice(-2);
  const name = fullOf.has(last) ? `${last}@${full.split(".").at(-3)}.${version}` : last;
  fullOf.set(name, full);
  shortOf.set(full, name);
  return name;
}

function token(type, bytes) {
  if (Array.isArray(type)) return `[${token(type[0], bytes)}`;
  if (typeof type === "object") return `{${token(type.map, bytes)}`;
  if (bytes) return "B";
  if (SPECIAL[type] !== undefined) return SPECIAL[type];
  if (PRIMITIVES[type] !== undefined) return PRIMITIVES[type];
  if (types[type] === undefined) throw new Error(`unknown type ${type}`);
  return short(type);
}

function tsOf(tok) {
  if (tok.startsWith("[")) return /^\[[a-zA-Z0-9@.]+$/.test(tok) && TS[tok.slice(1)] !== "number | string" ? `${tsOf(tok.slice(1))}[]` : `(${tsOf(tok.slice(1))})[]`;
  if (tok.startsWith("{")) return `Record<string, ${tsOf(tok.slice(1))}>`;
  return TS[tok] ?? tsName(tok);
}

/** `Event@events.v1` is EventsV1Event in TypeScript. */
function tsName(name) {
  const [last, where] = name.split("@");
  const capital = (word) => word[0].toUpperCase() + word.slice(1);
  return where === undefined ? last : where.split(".").map(capital).join("") + last;
}

/** By OpenAPI's names: fields whose struct Go holds by value, and fields that Go writes even when they are zero. */
const held = new Map();
const queue = [...KINDS.map((k) => `io.k8s.api.${k}`), ...EXTRA];
const done = new Set();
let schemaLines = [];
const tsBlocks = [];
function generate() {
 while (queue.length > 0) {
  const full = queue.shift();
  if (done.has(full)) continue;
  done.add(full);
  const name = short(full);
  const { fields = {}, gvk } = types[full];
  const kind = gvk !== undefined && "metadata" in fields;
  const parts = [];
  const ts = [];
  for (const [field, f] of Object.entries(fields)) {
    const id = `${name}.${field}`;
    const tok = token(f.type, BYTES.has(id));
    const leaf = tok.replace(/^[[{]+/, "");
    const inner = (x) => (typeof x === "string" ? x : inner(Array.isArray(x) ? x[0] : x.map));
    if (fullOf.has(leaf)) queue.push(inner(f.type));
    const struct = fullOf.has(tok);
    const value = struct && !NOT_VALUE.has(id) &&
      (VALUES.has(id) || field === "metadata" || (kind && (field === "spec" || field === "status")));
    let marks = "";
    if (value || VALUES.has(id)) marks += "=";
    else if (NULLABLE_POINTERS.has(id)) marks += "!*";
    else if (POINTERS.has(id)) marks += "*";
    else if (tok === "T" || tok === "U") marks += "=";
    else if (f.required || WRITTEN.has(id)) marks += "!";
    const listType = f["list-type"];
    const key = f["patch-merge-key"];
    const atomic = listType === "atomic" || f["map-type"] === "atomic" ||
      (struct && types[inner(f.type)]["map-type"] === "atomic");
    if (atomic) marks += "~a";
    const item = Array.isArray(f.type) ? types[f.type[0]] : undefined;
    if (item?.["map-type"] === "atomic" && !atomic) marks += "~i";
    if (listType === "set") marks += "~s";
    if (listType === "map") marks += `~m+${f["list-map-keys"].join("+")}`;
    if (f["patch-strategy"]?.includes("merge") && (key === undefined || listType !== "map" || f["list-map-keys"][0] !== key || f["list-map-keys"].length > 1))
      marks += key === undefined ? (Array.isArray(f.type) ? "~P" : "") : `~p+${key}`;
    if (f["patch-strategy"]?.includes("retainKeys")) marks += "~r";
    parts.push(`${field}:${tok}${marks}`);
    held.set(`${full}.${field}`, marks.startsWith("=") ? "v" : marks.startsWith("!") && !marks.startsWith("!*") ? "z" : "");
    const always = value || (kind && (field === "kind" || field === "apiVersion")) || (f.required && tok !== "T" && tok !== "U") ||
      (name === "ObjectMeta" && ["name", "uid", "resourceVersion", "creationTimestamp"].includes(field));
    const enumeration = f.enum?.length ? f.enum.map((v) => JSON.stringify(v)).join(" | ") : undefined;
    const t = enumeration !== undefined && tok === "s" && f.enum.every((v) => v !== "") ? `${enumeration} | (string & {})` : tsOf(tok);
    const nullable = NULLABLE.has(id) ? " | null" : "";
    ts.push(`  ${/^[\w$]+$/.test(field) ? field : JSON.stringify(field)}${always ? "" : "?"}: ${t}${nullable}${always ? "" : " | undefined"};`);
  }
  schemaLines.push(`${name}=${parts.join(",")}`);
  tsBlocks.push(`export interface ${tsName(name)} {\n${ts.join("\n")}\n}\n`);
 }
 return schemaLines;
}
const own = generate();
schemaLines = [];
queue.push(...MORE.map((k) => `io.k8s.api.${k}`), ...MORE_EXTRA);
const more = generate();

// Protobuf: `Type=number:field,…`; `number:^Message` is an embedded struct, whose fields JSON has inline, with a line of its own.
const protobufLines = [];
const messages = new Set();
for (const full of done) {
  const parts = Object.entries(types[full].fields ?? {}).filter(([, f]) => f.pb !== undefined).map(([field, f]) => `${f.pb}:${field}`);
  for (const { number, type } of Object.values(embedded[full] ?? {})) {
    if (type === undefined) continue;
    const message = type.replace(/^k8s\.io/, "io.k8s");
    parts.push(`${number}:^${message.split(".").pop()}`);
    messages.add(message);
  }
  if (parts.length > 0) protobufLines.push(`${shortOf.get(full)}=${parts.join(",")}`);
}
for (const message of messages) {
  const name = message.split(".").pop();
  const fields = protobufOnly[message] ?? Object.fromEntries(Object.entries(types[message].fields).map(([field, f]) => [field, { number: f.pb }]));
  const parts = Object.entries(fields).filter(([, { number }]) => number !== undefined).map(([field, { number }]) => `${number}:${field}`);
  for (const { number, type } of Object.values(embedded[message] ?? {})) {
    if (type === undefined) continue;
    const inner = type.replace(/^k8s\.io/, "io.k8s");
    parts.push(`${number}:^${inner.split(".").pop()}`);
    messages.add(inner);
  }
  protobufLines.push(`^${name}=${parts.join(",")}`);
}

// OpenAPI: all types as facts, `[type, flags, extensions]` a field; `v` a struct held by value, `z` written when zero, `r` required,
// `b` bytes. Types are names, or primitives with their format; `[t` list, `{t` map.
// Facts of types.go that types.json has not: defaults (`+default`), and enumerations of what lists and maps hold.
const OPENAPI_DEFAULTS = {
  ...Object.fromEntries(["LocalObjectReference", "ConfigMapEnvSource", "ConfigMapKeySelector", "ConfigMapProjection", "SecretEnvSource", "SecretKeySelector", "SecretProjection",
    "NodeRuntimeHandler"].map((name) => [`${name}.name`, ""])),
  "ConfigMapVolumeSource.name": "", "StatefulSetOrdinals.start": 0, "ContainerPort.protocol": "TCP", "ServicePort.protocol": "TCP", "GRPCAction.service": "",
  "AzureDiskVolumeSource.cachingMode": "ReadWrite", "AzureDiskVolumeSource.fsType": "ext4", "AzureDiskVolumeSource.kind": "Shared", "AzureDiskVolumeSource.readOnly": false,
  ...Object.fromEntries(["", "Persistent"].flatMap((kind) => [
    [`ISCSI${kind}VolumeSource.iscsiInterface`, "default"], [`RBD${kind}VolumeSource.keyring`, "/etc/ceph/keyring"], [`RBD${kind}VolumeSource.pool`, "rbd"],
    [`RBD${kind}VolumeSource.user`, "admin"], [`ScaleIO${kind}VolumeSource.fsType`, "xfs"], [`ScaleIO${kind}VolumeSource.storageMode`, "ThinProvisioned"],
  ])),
};
const ACCESS_MODES = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
const ITEM_ENUMS = {
  "PersistentVolumeClaimSpec.accessModes": ACCESS_MODES, "PersistentVolumeClaimStatus.accessModes": ACCESS_MODES, "PersistentVolumeSpec.accessModes": ACCESS_MODES,
  "PersistentVolumeClaimStatus.allocatedResourceStatuses": ["ControllerResizeInProgress", "ControllerResizeInfeasible", "NodeResizeInProgress", "NodeResizeInfeasible", "NodeResizePending"],
  "ResourceQuotaSpec.scopes": ["BestEffort", "CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating", "PriorityClass", "Terminating"],
  "ServiceSpec.ipFamilies": ["", "IPv4", "IPv6"], "NetworkPolicySpec.policyTypes": ["Egress", "Ingress"],
  "ValidatingAdmissionPolicyBindingSpec.validationActions": ["Audit", "Deny", "Warn"],
  ...Object.fromEntries(["RuleWithOperations", "NamedRuleWithOperations"].map((name) => [`${name}.operations`, ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"]])),
  "CertificateSigningRequestSpec.usages": ["any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment", "decipher only",
    "digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel", "ipsec user", "key agreement", "key encipherment", "microsoft sgc",
    "netscape sgc", "ocsp signing", "s/mime", "server auth", "signing", "timestamping"],
};
// Required fields that are declared elsewhere than their numbers say.
const DECLARED = { EndpointSlice: ["addressType"], OwnerReference: ["apiVersion"], APIResource: ["name", "singularName"], Info: ["major", "minor", "gitVersion", "gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler", "platform"], HTTPIngressPath: ["path", "pathType"] };
const openapiTypes = {};
const compact = (type) => (Array.isArray(type) ? `[${compact(type[0])}` : typeof type === "object" ? `{${compact(type.map)}` : type);
for (const [full, { fields = {}, gvk, ...more }] of Object.entries(types)) {
  const list = gvk !== undefined && fields.items !== undefined && fields.metadata !== undefined;
  // As they are declared, as far as numbers tell.
  const first = DECLARED[full.split(".").at(-1)] ?? [];
  const place = ([field, { pb = 0 }]) => (first.includes(field) ? first.indexOf(field) - first.length : pb);
  const declared = Object.entries(fields).sort((a, b) => place(a) - place(b));
  openapiTypes[full] = [gvk ?? 0, Object.fromEntries(declared.map(([field, { type, required, pb: _pb, pbType: _pbType, ...facts }]) => {
    const id = `${full.split(".").at(-1)}.${field}`;
    if (OPENAPI_DEFAULTS[id] !== undefined) facts.default = OPENAPI_DEFAULTS[id];
    if (ITEM_ENUMS[id] !== undefined) facts.items = ITEM_ENUMS[id];
    const known = held.get(`${full}.${field}`);
    const flags = id === "APIGroup.preferredVersion" ? "v" : known !== undefined ? known : list && field === "metadata" ? "v" : required && typeof type === "string" ? (type.startsWith("io.") ? "v" : "z") : "";
    const bytes = BYTES.has(`${short(full)}.${field}`) ? "b" : "";
    return [field, [compact(type), `${flags}${required ? "r" : ""}${bytes}`, ...(Object.keys(facts).length > 0 ? [facts] : [])]];
  })), ...(Object.keys(more).length > 0 ? [more] : [])];
}

const banner = `// Generated by scripts/generate-api.mjs from the facts of Kubernetes ${kubernetes}. Do not edit.\n`;
const outputs = {
  "src/api/types.generated.ts": `${banner}/* eslint-disable */\n\n${tsBlocks.join("\n")}`,
  "src/api/schema.generated.ts": `${banner}\n/** One line per type; \`schema.ts\` reads it. */\nexport const SCHEMA =\n  ${JSON.stringify(own.join("\n"))};\n`,
  "src/kube-apiserver/complete/schema.generated.ts": `${banner}\n/** As in src/api/schema.generated.ts, of the types that only a complete server has. */\nexport const MORE_SCHEMA =\n  ${JSON.stringify(more.join("\n"))};\n`,
  "src/kube-apiserver/complete/protobuf.generated.ts": `${banner}\n/** Field numbers, a line per message: \`number:field\`, and \`number:^Message\` for embedded structs. */\nexport const MESSAGES =\n  ${JSON.stringify(protobufLines.join("\n"))};\n`,
};
outputs["src/kube-apiserver/complete/openapi-types.generated.ts"] =
  `${banner}\n/** All types of the API and all paths, as JSON; \`openapi-schemas.ts\` reads it. */\nexport const FACTS =\n  ${JSON.stringify(JSON.stringify({ types: openapiTypes, paths }))};\n`;
for (const [file, text] of Object.entries(outputs)) {
  const path = join(root, file);
  if (!process.argv.includes("--check")) writeFileSync(path, text);
  else if (readFileSync(path, "utf8") !== text) {
    process.stderr.write(`${file} is not what scripts/generate-api.mjs writes\n`);
    process.exitCode = 1;
  }
}
