/**
 * The built-in kinds that a cluster does not need for itself. Follows pkg/registry/<group>/<resource>/strategy.go and
 * pkg/apis/<group>/<version>/defaults.go of each.
 */
import { deepEqual } from "../../apimachinery/meta.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import { formatTime } from "../../apimachinery/time.ts";
import { validateDNS1123Subdomain } from "../../apimachinery/validation.ts";
import type { FieldErrors } from "../field.ts";
import { events } from "../registry/simple.ts";
import { autoscalerV1, convertedView, eventsV1 } from "./converted.ts";
import type { Descriptor, RegistryContext } from "../registry/descriptor.ts";
import { SYSTEM_CLASSES } from "./validation/small-groups.ts";
import { validatePathSegment } from "../registry/meta.ts";
import { setPodTemplateDefaults } from "../registry/pod-defaults.ts";

/* eslint-disable @typescript-eslint/no-explicit-any */
type Any = any;

/** What field selectors of events.k8s.io know, and what the core group calls it. Follows pkg/apis/events/v1/conversion.go. */
const REGARDING: readonly (readonly [string, string])[] = [
  ...["kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"].map((field) => [`regarding.${field}`, `involvedObject.${field}`] as const),
  ["reason", "reason"], ["reportingController", "reportingComponent"], ["type", "type"],
];

interface Kind extends Partial<Omit<Descriptor<Any>, "name">> {
  readonly version?: string;
  readonly cluster?: boolean;
  readonly status?: boolean;
  /** The field whose changes count as a generation; spec by default. */
  readonly body?: string;
  /** The status of a new object. */
  readonly newStatus?: (object: Any, context: RegistryContext) => unknown;
}

function kind(group: string, name: string, resource: string, { version = "v1", cluster = false, status = false, body = "spec", newStatus, ...own }: Kind = {}): Descriptor {
  const descriptor: Descriptor<Any> = {
    name: { group, version, kind: name, resource, namespaced: !cluster },
    storagePrefix: resource,
    hasStatus: status,
    validateName: validateDNS1123Subdomain,
    allowUnconditionalUpdate: true,
    ...own,
    prepareForCreate(object, context) {
      if (status) object.status = newStatus === undefined ? {} : newStatus(object, context);
      if (own.generation === true) object.metadata.generation = 1;
      own.prepareForCreate?.(object, context);
    },
    prepareForUpdate(object, old, context) {
      if (status) object.status = old.status;
      own.prepareForUpdate?.(object, old, context);
      if (own.generation === true) object.metadata.generation = deepEqual(object[body], old[body]) ? old.metadata.generation : (old.metadata.generation ?? 0) + 1;
    },
    prepareForStatusUpdate(object, old) {
      if ("spec" in old) object.spec = old.spec;
      own.prepareForStatusUpdate?.(object, old);
    },
  };
  return descriptor as Descriptor<KubeObject>;
}

const immutable = (field: string) => (object: Any, old: Any, errors: FieldErrors): void => {
  if (!deepEqual(object[field], old[field])) errors.invalid(field, object[field] ?? null, "field is immutable");
};

function setRoleRef(o: Any): void {
  if ((o.roleRef.apiGroup ?? "") === "") o.roleRef.apiGroup = RBAC;
  for (const subject of o.subjects ?? []) if ((subject.apiGroup ?? "") === "" && subject.kind !== "ServiceAccount") subject.apiGroup = RBAC;
}

function validateBinding(o: Any, errors: FieldErrors): void {
  if (o.roleRef.apiGroup !== RBAC) errors.notSupported("roleRef.apiGroup", o.roleRef.apiGroup, [RBAC]);
  if (o.roleRef.kind !== "Role" && o.roleRef.kind !== "ClusterRole") errors.notSupported("roleRef.kind", o.roleRef.kind, ["ClusterRole", "Role"]);
  if ((o.roleRef.name ?? "") === "") errors.required("roleRef.name");
}

const immutableRole = (o: Any, old: Any, errors: FieldErrors): void => {
  if (!deepEqual(o.roleRef, old.roleRef)) errors.invalid("roleRef", o.roleRef, "cannot change roleRef");
};

const RBAC = "rbac.authorization.k8s.io";
const NETWORKING = "networking.k8s.io";
const STORAGE = "storage.k8s.io";
const ADMISSION = "admissionregistration.k8s.io";
const FLOWCONTROL = "flowcontrol.apiserver.k8s.io";

function claimDefaults({ spec }: Any): void {
  spec.volumeMode ??= "Filesystem";
}

/** Each of the two says what the other does. Follows NormalizeDataSources. */
function normalizeDataSources(spec: Any): void {
  if (spec.dataSource !== undefined && spec.dataSourceRef === undefined) spec.dataSourceRef = { ...spec.dataSource };
  else if (spec.dataSourceRef !== undefined && spec.dataSource === undefined && spec.dataSourceRef.namespace === undefined) spec.dataSource = { ...spec.dataSourceRef };
}

/** Labels and selector of a Job come from its uid. Follows generateSelector of pkg/registry/batch/job/strategy.go. */
function selectByUid(job: Any): void {
  const { spec, metadata } = job;
  if (spec.manualSelector === true) return;
  const [uid, name]: string[] = [metadata.uid, metadata.name ?? ""];
  const own = { "batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": name, "controller-uid": uid, "job-name": name };
  const meta = (spec.template.metadata ??= { creationTimestamp: null });
  // Labels that the Job has from its template are one map with it.
  const shared = metadata.labels !== undefined && metadata.labels === meta.labels;
  meta.labels = { ...meta.labels, ...own };
  if (shared) metadata.labels = { ...meta.labels };
  spec.selector ??= {};
  spec.selector.matchLabels = { ...spec.selector.matchLabels, "batch.kubernetes.io/controller-uid": metadata.uid };
}

function jobDefaults(spec: Any): void {
  if (spec.completions === undefined && spec.parallelism === undefined) {
    spec.completions = 1;
    spec.parallelism = 1;
  }
  spec.parallelism ??= 1;
  spec.manualSelector ??= false;
  spec.completionMode ??= "NonIndexed";
  spec.suspend ??= false;
  spec.backoffLimit ??= spec.backoffLimitPerIndex === undefined ? 6 : 2147483647;
  spec.podReplacementPolicy ??= spec.podFailurePolicy === undefined ? "TerminatingOrFailed" : "Failed";
  for (const rule of spec.podFailurePolicy?.rules ?? []) for (const pattern of rule.onPodConditions ?? []) pattern.status ??= "True";
  setPodTemplateDefaults(spec.template);
}

function setWebhookDefaults({ webhooks = [], kind: name }: Any): void {
  for (const hook of webhooks) {
    hook.failurePolicy ??= "Fail";
    hook.matchPolicy ??= "Equivalent";
    hook.namespaceSelector ??= {};
    hook.objectSelector ??= {};
    hook.timeoutSeconds ??= 10;
    if (name === "MutatingWebhookConfiguration") hook.reinvocationPolicy ??= "Never";
    if (hook.clientConfig?.service !== undefined) hook.clientConfig.service.port ??= 443;
    for (const rule of hook.rules ?? []) rule.scope ??= "*";
  }
}

function matchDefaults(match: Any): void {
  if (match === undefined) return;
  match.matchPolicy ??= "Equivalent";
  match.namespaceSelector ??= {};
  match.objectSelector ??= {};
  for (const rule of [...(match.resourceRules ?? []), ...(match.excludeResourceRules ?? [])]) rule.scope ??= "*";
}

const HPA_POLICIES = [{ type: "Pods", value: 4, periodSeconds: 15 }, { type: "Percent", value: 100, periodSeconds: 15 }];

export const KINDS: readonly Descriptor[] = [
  kind("", "Endpoints", "endpoints", { allowCreateOnUpdate: true,
    storagePrefix: "services/endpoints",
    setDefaults(o) {
      for (const subset of o.subsets ?? []) for (const port of subset.ports ?? []) port.protocol ??= "TCP";
    },
  }),
  kind("", "LimitRange", "limitranges", { allowCreateOnUpdate: true,
    setDefaults({ spec }) {
      for (const item of spec.limits ?? []) {
        if (item.type !== "Container") continue;
        item.default ??= {};
        item.defaultRequest ??= {};
        for (const key in item.max ?? {}) item.default[key] ??= item.max[key];
        for (const key in item.default) item.defaultRequest[key] ??= item.default[key];
        for (const key in item.min ?? {}) item.defaultRequest[key] ??= item.min[key];
        for (const field of ["default", "defaultRequest"]) if (Object.keys(item[field]).length === 0) delete item[field];
      }
    },
  }),
  kind("", "PersistentVolumeClaim", "persistentvolumeclaims", {
    status: true, returnsDeleted: true, newStatus: () => ({ phase: "Pending" }), setDefaults: claimDefaults,
    prepareForCreate(o) {
      // Before there was dataSourceRef, other sources were ignored. Follows EnforceDataSourceBackwardsCompatibility.
      const source = o.spec.dataSource;
      const known = source?.kind === "PersistentVolumeClaim" && (source.apiGroup ?? "") === "" || (source?.kind === "VolumeSnapshot" && source.apiGroup === "snapshot.storage.k8s.io");
      if (!known) delete o.spec.dataSource;
      normalizeDataSources(o.spec);
    },
    prepareForUpdate: (o) => normalizeDataSources(o.spec),
  }),
  kind("", "PersistentVolume", "persistentvolumes", {
    cluster: true, status: true, returnsDeleted: true,
    newStatus: (_, { clock }) => ({ phase: "Pending", lastPhaseTransitionTime: formatTime(clock.nowMs()) }),
    setDefaults({ spec }) {
      spec.persistentVolumeReclaimPolicy ??= "Retain";
      spec.volumeMode ??= "Filesystem";
      if (spec.hostPath !== undefined) spec.hostPath.type ??= "";
    },
  }),
  kind("", "PodTemplate", "podtemplates", {
    returnsDeleted: true,
    setDefaults: (o) => setPodTemplateDefaults(o.template),
    prepareForCreate(o) {
      o.metadata.generation = 1;
    },
    prepareForUpdate(o, old) {
      o.metadata.generation = deepEqual(o.template, old.template) ? old.metadata.generation : (old.metadata.generation ?? 0) + 1;
    },
  }),
  kind("", "ReplicationController", "replicationcontrollers", {
    storagePrefix: "controllers", status: true, generation: true, scalable: true, orphansByDefault: true, newStatus: () => ({ replicas: 0 }),
    setDefaults({ metadata, spec }) {
      spec.replicas ??= 1;
      const labels = spec.template?.metadata?.labels;
      if (labels !== undefined) {
        spec.selector ??= { ...labels };
        if (metadata.labels === undefined) metadata.labels = { ...labels };
      }
      if (spec.template !== undefined) setPodTemplateDefaults(spec.template);
    },
  }),
  kind("", "ResourceQuota", "resourcequotas", { status: true, returnsDeleted: true }),
  kind("apps", "ControllerRevision", "controllerrevisions", { validateUpdate: immutable("data") }),
  kind("apps", "DaemonSet", "daemonsets", {
    status: true, generation: true,
    // The generation of the template is no annotation where it is stored.
    toStored(object) {
      const { [TEMPLATE_GENERATION]: _generation, ...annotations } = object.metadata.annotations ?? {};
      const { annotations: _all, ...metadata } = object.metadata;
      return { ...object, metadata: Object.keys(annotations).length === 0 ? metadata : { ...metadata, annotations } };
    },
    newStatus: () => ({ currentNumberScheduled: 0, numberMisscheduled: 0, desiredNumberScheduled: 0, numberReady: 0 }),
    setDefaults({ spec, metadata }) {
      spec.updateStrategy ??= {};
      spec.updateStrategy.type ??= "RollingUpdate";
      if (spec.updateStrategy.type === "RollingUpdate") {
        spec.updateStrategy.rollingUpdate ??= {};
        spec.updateStrategy.rollingUpdate.maxUnavailable ??= 1;
        spec.updateStrategy.rollingUpdate.maxSurge ??= 0;
      }
      spec.revisionHistoryLimit ??= 10;
      (metadata.annotations ??= {})[TEMPLATE_GENERATION] ??= "1";
      setPodTemplateDefaults(spec.template);
    },
    prepareForCreate({ metadata }) {
      metadata.annotations[TEMPLATE_GENERATION] = "1";
    },
    prepareForUpdate({ metadata, spec }, old) {
      const was = Number(old.metadata.annotations?.[TEMPLATE_GENERATION] ?? "1");
      metadata.annotations[TEMPLATE_GENERATION] = String(deepEqual(spec.template, old.spec.template) ? was : was + 1);
    },
  }),
  kind("apps", "StatefulSet", "statefulsets", {
    status: true, generation: true, scalable: true, newStatus: () => ({ replicas: 0, availableReplicas: 0 }),
    setDefaults({ spec }) {
      spec.podManagementPolicy ??= "OrderedReady";
      spec.updateStrategy ??= {};
      spec.updateStrategy.type ??= "RollingUpdate";
      if (spec.updateStrategy.type === "RollingUpdate") {
        spec.updateStrategy.rollingUpdate ??= {};
        spec.updateStrategy.rollingUpdate.partition ??= 0;
      }
      spec.persistentVolumeClaimRetentionPolicy ??= {};
      spec.persistentVolumeClaimRetentionPolicy.whenDeleted ??= "Retain";
      spec.persistentVolumeClaimRetentionPolicy.whenScaled ??= "Retain";
      spec.replicas ??= 1;
      spec.revisionHistoryLimit ??= 10;
      setPodTemplateDefaults(spec.template);
      for (const claim of spec.volumeClaimTemplates ?? []) {
        claim.apiVersion = "v1";
        claim.kind = "PersistentVolumeClaim";
        claimDefaults(claim);
        claim.status = { phase: "Pending" };
      }
    },
  }),
  kind("batch", "Job", "jobs", {
    status: true, generation: true, orphansByDefault: true, selectableNames: ["status.successful"],
    selectable: ({ status }) => ({ "status.successful": String(status?.succeeded ?? 0) }),
    deleteWarning: "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning",
    setDefaults({ metadata, spec }) {
      jobDefaults(spec);
      const labels = spec.template?.metadata?.labels;
      if (metadata.labels === undefined && labels !== undefined && Object.keys(labels).length > 0) metadata.labels = labels;
    },
    prepareForCreate: selectByUid,
    readBack({ metadata, spec }) {
      if (metadata.labels === undefined && spec.template.metadata?.labels !== undefined) metadata.labels = { ...spec.template.metadata.labels };
    },
  }),
  kind("batch", "CronJob", "cronjobs", {
    status: true, generation: true,
    setDefaults({ spec }) {
      spec.concurrencyPolicy ??= "Allow";
      spec.suspend ??= false;
      spec.successfulJobsHistoryLimit ??= 3;
      spec.failedJobsHistoryLimit ??= 1;
      setPodTemplateDefaults(spec.jobTemplate.spec.template);
    },
  }),
  kind("autoscaling", "HorizontalPodAutoscaler", "horizontalpodautoscalers", {
    version: "v2", type: "HorizontalPodAutoscaler@autoscaling.v2", status: true,
    newStatus: () => ({ desiredReplicas: 0, currentMetrics: null }),
    setDefaults({ spec }, empty = []) {
      spec.minReplicas ??= 1;
      // No policies are something else than none named.
      for (const rules of ["scaleUp", "scaleDown"]) if (empty.includes(`spec.behavior.${rules}.policies`)) spec.behavior[rules].policies = [];
      spec.metrics ??= [{ type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 80 } } }];
      const { behavior } = spec;
      if (behavior === undefined) return;
      behavior.scaleUp = { stabilizationWindowSeconds: 0, selectPolicy: "Max", policies: HPA_POLICIES, ...behavior.scaleUp };
      behavior.scaleDown = { selectPolicy: "Max", policies: HPA_POLICIES.slice(1), ...behavior.scaleDown };
    },
  }),
  kind("autoscaling", "HorizontalPodAutoscaler", "horizontalpodautoscalers", {
    status: true, newStatus: () => ({ currentReplicas: 0, desiredReplicas: 0 }),
    view: (storage) => convertedView(storage, autoscalerV1), toStored: autoscalerV1.toStored,
    setDefaults({ spec }) {
      spec.minReplicas ??= 1;
      spec.targetCPUUtilizationPercentage ??= 80;
    },
  }),
  kind("events.k8s.io", "Event", "events", {
    type: "Event@events.v1", allowCreateOnUpdate: true, internalGroup: "",
    view: (storage) => convertedView(storage, eventsV1), toStored: eventsV1.toStored,
    selectableNames: REGARDING.map(([name]) => name),
    selectable(o) {
      const stored = events.selectable!(eventsV1.toStored(o));
      return Object.fromEntries(REGARDING.map(([name, field]) => [name, stored[field]]));
    },
  }),
  kind("policy", "PodDisruptionBudget", "poddisruptionbudgets", {
    status: true, generation: true, newStatus: () => ({ disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 }),
    validate({ spec }, errors) {
      if (spec.minAvailable !== undefined && spec.maxUnavailable !== undefined) errors.invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set");
    },
  }),
  kind(NETWORKING, "Ingress", "ingresses", { storagePrefix: "ingress", status: true, generation: true, newStatus: () => ({ loadBalancer: {} }) }),
  kind(NETWORKING, "IngressClass", "ingressclasses", {
    cluster: true, generation: true,
    setDefaults({ spec }) {
      if (spec?.parameters !== undefined) spec.parameters.scope ??= "Cluster";
    },
  }),
  kind(NETWORKING, "NetworkPolicy", "networkpolicies", {
    generation: true,
    setDefaults({ spec }) {
      spec.policyTypes ??= ["Ingress", ...((spec.egress ?? []).length > 0 ? ["Egress"] : [])];
      for (const rule of [...(spec.ingress ?? []), ...(spec.egress ?? [])]) for (const port of rule.ports ?? []) port.protocol ??= "TCP";
    },
  }),
  kind(RBAC, "ClusterRole", "clusterroles", { allowCreateOnUpdate: true, cluster: true, validateName: validatePathSegment }),
  kind(RBAC, "ClusterRoleBinding", "clusterrolebindings", { allowCreateOnUpdate: true, cluster: true, validateName: validatePathSegment, setDefaults: setRoleRef, validate: validateBinding, validateUpdate: immutableRole }),
  kind(RBAC, "Role", "roles", { allowCreateOnUpdate: true, validateName: validatePathSegment }),
  kind(RBAC, "RoleBinding", "rolebindings", { allowCreateOnUpdate: true, validateName: validatePathSegment, setDefaults: setRoleRef, validate: validateBinding, validateUpdate: immutableRole }),
  kind("scheduling.k8s.io", "PriorityClass", "priorityclasses", {
    cluster: true, generation: true,
    keeps: (name) => (SYSTEM_CLASSES[name] === undefined ? undefined : "this is a system priority class and cannot be deleted"),
    setDefaults(o) {
      o.preemptionPolicy ??= "PreemptLowerPriority";
    },
    prepareForUpdate(o, old) {
      o.metadata.generation = old.metadata.generation;
    },
    validateUpdate(o, old, errors) {
      if (o.value !== old.value) errors.forbidden("value", "may not be changed in an update.");
      if (o.preemptionPolicy !== old.preemptionPolicy) errors.invalid("preemptionPolicy", o.preemptionPolicy, "field is immutable");
    },
  }),
  kind(STORAGE, "CSIDriver", "csidrivers", {
    cluster: true, returnsDeleted: true,
    setDefaults({ spec }) {
      spec.attachRequired ??= true;
      spec.podInfoOnMount ??= false;
      spec.storageCapacity ??= false;
      spec.fsGroupPolicy ??= "ReadWriteOnceWithFSType";
      if ((spec.volumeLifecycleModes ?? []).length === 0) spec.volumeLifecycleModes = ["Persistent"];
      spec.requiresRepublish ??= false;
      spec.seLinuxMount ??= false;
    },
    prepareForUpdate(o, old) {
      const changed = ["tokenRequests", "requiresRepublish", "seLinuxMount"].some((field) => !deepEqual(o.spec[field], old.spec[field]));
      if (changed) o.metadata.generation = (old.metadata.generation ?? 0) + 1;
    },
  }),
  kind(STORAGE, "CSINode", "csinodes", { cluster: true, returnsDeleted: true }),
  kind(STORAGE, "CSIStorageCapacity", "csistoragecapacities"),
  kind(STORAGE, "StorageClass", "storageclasses", {
    cluster: true, returnsDeleted: true,
    setDefaults(o) {
      o.reclaimPolicy ??= "Delete";
      o.volumeBindingMode ??= "Immediate";
    },
  }),
  kind(STORAGE, "VolumeAttachment", "volumeattachments", { cluster: true, status: true, returnsDeleted: true, newStatus: () => ({ attached: false }) }),
  kind("node.k8s.io", "RuntimeClass", "runtimeclasses", { allowCreateOnUpdate: true, cluster: true, validateUpdate: immutable("handler") }),
  kind(ADMISSION, "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", { cluster: true, generation: true, body: "webhooks", setDefaults: setWebhookDefaults }),
  kind(ADMISSION, "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", { cluster: true, generation: true, body: "webhooks", setDefaults: setWebhookDefaults }),
  kind(ADMISSION, "ValidatingAdmissionPolicy", "validatingadmissionpolicies", {
    cluster: true, status: true, generation: true,
    setDefaults({ spec }) {
      spec.failurePolicy ??= "Fail";
      matchDefaults(spec.matchConstraints);
    },
  }),
  kind(ADMISSION, "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", {
    cluster: true, generation: true,
    setDefaults({ spec }) {
      matchDefaults(spec.matchResources);
    },
  }),
  kind("certificates.k8s.io", "CertificateSigningRequest", "certificatesigningrequests", {
    cluster: true, status: true,
    resetFields: () => ["spec", "status"],
    ascribe(o, { name, groups }) {
      Object.assign(o.spec, { username: name, groups: [...groups] });
    },
    prepareForUpdate(o, old) {
      o.spec = old.spec;
    },
  }),
  kind(FLOWCONTROL, "FlowSchema", "flowschemas", {
    cluster: true, status: true, generation: true,
    setDefaults({ spec }) {
      if ((spec.matchingPrecedence ?? 0) === 0) spec.matchingPrecedence = 1000;
    },
  }),
  kind(FLOWCONTROL, "PriorityLevelConfiguration", "prioritylevelconfigurations", {
    cluster: true, status: true, generation: true,
    setDefaults({ spec }) {
      if (spec.type === "Exempt") {
        spec.exempt ??= {};
        spec.exempt.nominalConcurrencyShares ??= 0;
        spec.exempt.lendablePercent ??= 0;
      }
      if (spec.limited === undefined) return;
      spec.limited.nominalConcurrencyShares ??= 30;
      spec.limited.lendablePercent ??= 0;
      const { queuing } = spec.limited.limitResponse ?? {};
      if (queuing === undefined) return;
      for (const [field, value] of [["handSize", 8], ["queues", 64], ["queueLengthLimit", 50]] as const) if ((queuing[field] ?? 0) === 0) queuing[field] = value;
    },
  }),
];

const TEMPLATE_GENERATION = "deprecated.daemonset.template.generation";
