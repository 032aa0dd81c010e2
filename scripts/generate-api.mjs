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
const { types, kubernetes } = JSON.parse(readFileSync(join(shared, "k8s/types.json"), "utf8"));

const KINDS = [
  "core.v1.Binding", "core.v1.ConfigMap", "core.v1.Event", "core.v1.Namespace", "core.v1.Node", "core.v1.Pod",
  "core.v1.Secret", "core.v1.Service", "core.v1.ServiceAccount", "apps.v1.Deployment", "apps.v1.ReplicaSet", "autoscaling.v1.Scale",
  "coordination.v1.Lease", "discovery.v1.EndpointSlice",
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
`.trim().split(/\s+/));

// Structs held by value: json writes them even when all their fields are empty.
const VALUES = new Set(`
DeploymentSpec.strategy DeploymentSpec.template ReplicaSetSpec.template PodTemplateSpec.spec Container.resources
EphemeralContainer.resources ContainerStatus.state ContainerStatus.lastState NodeStatus.daemonEndpoints
NodeStatus.nodeInfo NodeDaemonEndpoints.kubeletEndpoint ServiceStatus.loadBalancer Event.involvedObject Event.source
PersistentVolumeClaimTemplate.spec PersistentVolumeClaimSpec.resources Endpoint.conditions Binding.target
WeightedPodAffinityTerm.podAffinityTerm PreferredSchedulingTerm.preference ServicePort.targetPort
HTTPGetAction.port TCPSocketAction.port ResourceFieldSelector.divisor
`.trim().split(/\s+/));
const BYTES = new Set(["ConfigMap.binaryData", "Secret.data"]);
// Kinds without a status or spec struct of their own hold these by value; Endpoints of RC-like kinds do not occur here.
const NOT_VALUE = new Set(["ReplicationControllerSpec.template"]);
// Required lists that may be empty: an empty list reads back as null.
const NULLABLE = new Set(["EndpointSlice.endpoints", "EndpointSlice.ports"]);
// `omitempty` fields that OpenAPI calls required, and fields without `omitempty` that it does not.
const WRITTEN = new Set(["Event.reportingComponent", "Event.reportingInstance", "EndpointSlice.ports"]);

const PRIMITIVES = { string: "s", "integer/int32": "i", "integer/int64": "l", boolean: "b", number: "n", object: "F" };
const SPECIAL = {
  [`${META}Time`]: "T", [`${META}MicroTime`]: "U", "io.k8s.apimachinery.pkg.api.resource.Quantity": "Q",
  "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "O", [`${META}FieldsV1`]: "F",
  "io.k8s.apimachinery.pkg.runtime.RawExtension": "F",
};
const TS = { s: "string", i: "number", l: "number", b: "boolean", n: "number", T: "string", U: "string", Q: "string",
  O: "number | string", B: "string", F: "unknown" };

const shortOf = new Map();
const fullOf = new Map();
function short(full) {
  if (shortOf.has(full)) return shortOf.get(full);
  const name = full.split(".").pop();
  if (fullOf.has(name)) throw new Error(`two types are called ${name}: ${full}, ${fullOf.get(name)}`);
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
  if (tok.startsWith("[")) return /^\[[a-zA-Z0-9]+$/.test(tok) && TS[tok.slice(1)] !== "number | string" ? `${tsOf(tok.slice(1))}[]` : `(${tsOf(tok.slice(1))})[]`;
  if (tok.startsWith("{")) return `Record<string, ${tsOf(tok.slice(1))}>`;
  return TS[tok] ?? tok;
}

const queue = [...KINDS.map((k) => `io.k8s.api.${k}`), ...EXTRA];
const done = new Set();
const schemaLines = [];
const tsBlocks = [];
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
    const always = value || (kind && (field === "kind" || field === "apiVersion")) || (f.required && tok !== "T" && tok !== "U") ||
      (name === "ObjectMeta" && ["name", "uid", "resourceVersion", "creationTimestamp"].includes(field));
    const enumeration = f.enum?.length ? f.enum.map((v) => JSON.stringify(v)).join(" | ") : undefined;
    const t = enumeration !== undefined && tok === "s" && f.enum.every((v) => v !== "") ? `${enumeration} | (string & {})` : tsOf(tok);
    const nullable = NULLABLE.has(id) ? " | null" : "";
    ts.push(`  ${field}${always ? "" : "?"}: ${t}${nullable}${always ? "" : " | undefined"};`);
  }
  schemaLines.push(`${name}=${parts.join(",")}`);
  tsBlocks.push(`export interface ${name} {\n${ts.join("\n")}\n}\n`);
}

const banner = `// Generated by scripts/generate-api.mjs from the facts of Kubernetes ${kubernetes}. Do not edit.\n`;
const outputs = {
  "src/api/types.generated.ts": `${banner}/* eslint-disable */\n\n${tsBlocks.join("\n")}`,
  "src/api/schema.generated.ts": `${banner}\n/** One line per type; \`schema.ts\` reads it. */\nexport const SCHEMA =\n  ${JSON.stringify(schemaLines.join("\n"))};\n`,
};
for (const [file, text] of Object.entries(outputs)) {
  const path = join(root, file);
  if (!process.argv.includes("--check")) writeFileSync(path, text);
  else if (readFileSync(path, "utf8") !== text) {
    process.stderr.write(`${file} is not what scripts/generate-api.mjs writes\n`);
    process.exitCode = 1;
  }
}
