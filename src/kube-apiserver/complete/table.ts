/**
 * Objects as rows of a Table: what `kubectl get` and `-o wide` show. Follows pkg/printers/internalversion/printers.go and, for kinds
 * without a printer, pkg/registry/rest/table.go.
 */
import type { KubeObject } from "../../apimachinery/meta.ts";
import { formatSelector, labelSelector } from "../../apimachinery/selectors.ts";
import { newBadRequest } from "../../apimachinery/status.ts";
import type { Clock } from "../../time/clock.ts";
import type { Form } from "../http.ts";
import type { Descriptor } from "../registry/descriptor.ts";
import type { RequestInfo } from "../request-info.ts";
import { COLUMNS, DESCRIPTIONS } from "./tables.generated.ts";

/* eslint-disable @typescript-eslint/no-explicit-any */
type Any = any;
type Cells = readonly unknown[];

const definitions = new Map<string, unknown>();

/** Columns whose Tables no recorded answer shows: as those of config maps, between name and age. */
const OWN_COLUMNS: Readonly<Record<string, () => readonly string[]>> = {
  "autoscaling/v1/scales": () => {
    const [name = "", , age = ""] = COLUMNS["/v1/configmaps"]!;
    return [name, `Desired|integer||0|replicas is the desired number of instances for the scaled object.`, `Available|integer||0|replicas is the actual number of observed instances of the scaled object.`, age];
  },
  "/v1/componentstatuses": () => [COLUMNS["/v1/configmaps"]![0]!, ...["Status", "Message", "Error"].map((column) => `${column}|string||0|${column} of the component conditions`)],
};

function columnsOf(id: string): unknown {
  const known = definitions.get(id);
  if (known !== undefined) return known;
  const lines = COLUMNS[id] ?? OWN_COLUMNS[id]?.() ?? [COLUMNS["/v1/configmaps"]![0]!, COLUMNS["rbac.authorization.k8s.io/v1/roles"]![1]!];
  const columns = lines.map((line) => {
    const [name = "", type = "", format = "", priority = "", description = ""] = line.split("|");
    return { name, type, format, description: DESCRIPTIONS[Number(description)] ?? description, priority: Number(priority) };
  });
  definitions.set(id, columns);
  return columns;
}

interface TableRequest {
  readonly descriptor: Descriptor;
  /** `includeObject`: what each row carries. */
  readonly include: string;
  readonly version: string;
  readonly nowMs: number;
}

/** `Extension.table`. */
export function tableForm({ descriptor, query }: RequestInfo, version: string, clock: Clock): Form {
  const include = query.get("includeObject") || "Metadata";
  if (include !== "Metadata" && include !== "Object" && include !== "None") throw newBadRequest(`unrecognized includeObject value: ${JSON.stringify(include)}`);
  return (body, first) => {
    const made = table({ descriptor, include, version, nowMs: clock.nowMs() }, body) as Record<string, unknown>;
    // In a watch only the first event names the columns.
    return first || made["kind"] !== "Table" ? made : { ...made, columnDefinitions: null };
  };
}

/** `body` (an object or a list) as a Table. A Status stays what it is. */
function table({ descriptor, include, version, nowMs }: TableRequest, body: unknown): unknown {
  const one = body as KubeObject & { items?: KubeObject[] };
  if (one.kind === "Status") return body;
  if (one.kind === "Scale") return { kind: "Table", apiVersion: `meta.k8s.io/${version}`, metadata: { resourceVersion: one.metadata.resourceVersion }, columnDefinitions: columnsOf("autoscaling/v1/scales"), rows: [scaleRow(one, include, version, nowMs)] };
  const items = one.items ?? [one];
  const { group, resource } = descriptor.name;
  const id = `${group}/${descriptor.name.version}/${resource}`;
  const { custom, toStored, internalGroup = group } = descriptor;
  const print = custom !== undefined ? (o: Any): Cells => custom.cells(o as KubeObject, nowMs) : PRINTERS[`${internalGroup}/${resource}`] ?? ((o: Any): Cells => [o.metadata.name, o.metadata.creationTimestamp]);
  const apiVersion = `meta.k8s.io/${version}`;
  const rows = items.map((item) => {
    const conditions = group === "" && resource === "pods" ? podConditions(item as Any) : {};
    const stored = toStored === undefined ? item : toStored(item);
    const object = include === "Object" ? item : { kind: "PartialObjectMetadata", apiVersion, metadata: stored.metadata };
    return { cells: print(stored as Any, nowMs), ...conditions, object: include === "None" ? null : object };
  });
  const list = one.metadata as { resourceVersion?: string; continue?: string; remainingItemCount?: number };
  const metadata: Record<string, unknown> = {};
  for (const field of ["resourceVersion", "continue", "remainingItemCount"] as const) if (list[field] !== undefined && list[field] !== "") metadata[field] = list[field];
  return { kind: "Table", apiVersion, metadata, columnDefinitions: custom?.columns ?? columnsOf(id), rows };
}

/** What `get --subresource=scale` shows. Follows printScale. */
function scaleRow(scale: Any, include: string, version: string, nowMs: number): unknown {
  const object = include === "Object" ? scale : { kind: "PartialObjectMetadata", apiVersion: `meta.k8s.io/${version}`, metadata: scale.metadata };
  return { cells: [scale.metadata.name, scale.spec.replicas ?? 0, scale.status.replicas ?? 0, age(scale, nowMs)], object: include === "None" ? null : object };
}

/** Follows k8s.io/apimachinery/pkg/util/duration.HumanDuration. */
export function humanDuration(ms: number): string {
  const seconds = Math.trunc(ms / 1000);
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.trunc(seconds / 60);
  const part = (big: number, unit: string, small: number, name: string): string => (small === 0 ? `${big}${unit}` : `${big}${unit}${small}${name}`);
  if (minutes < 10) return part(minutes, "m", seconds % 60, "s");
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.trunc(minutes / 60);
  if (hours < 8) return part(hours, "h", minutes % 60, "m");
  if (hours < 48) return `${hours}h`;
  if (hours < 192) return part(Math.trunc(hours / 24), "d", hours % 24, "h");
  if (hours < 24 * 365 * 2) return `${Math.trunc(hours / 24)}d`;
  if (hours < 24 * 365 * 8) return part(Math.trunc(hours / 24 / 365), "y", Math.trunc(hours / 24) % 365, "d");
  return `${Math.trunc(hours / 24 / 365)}y`;
}

const NONE = "<none>";
const UNSET = "<unset>";
const UNKNOWN = "<unknown>";

const since = (time: string | null | undefined, nowMs: number): string => (time === undefined || time === null ? UNKNOWN : humanDuration(nowMs - Date.parse(time)));
const age = (o: Any, nowMs: number): string => since(o.metadata.creationTimestamp, nowMs);
const goBool = (value: unknown): string => (value === true ? "True" : "False");

/** Follows labels.FormatLabels. */
function formatLabels(labels: Readonly<Record<string, string>> | undefined): string {
  const keys = Object.keys(labels ?? {}).sort();
  return keys.length === 0 ? NONE : keys.map((key) => `${key}=${labels![key]}`).join(",");
}

const selectorText = (selector: Any): string => {
  if (selector === undefined || selector === null) return NONE;
  const text = formatSelector(labelSelector(selector));
  return text === "" ? NONE : text;
};
const containers = (spec: Any): [string, string] => [(spec?.containers ?? []).map((c: Any) => c.name).join(","), (spec?.containers ?? []).map((c: Any) => c.image ?? "").join(",")];

const MODES: Readonly<Record<string, string>> = { ReadWriteOnce: "RWO", ReadOnlyMany: "ROX", ReadWriteMany: "RWX", ReadWriteOncePod: "RWOP" };
const accessModes = (modes: readonly string[] | undefined): string => Object.keys(MODES).filter((mode) => modes?.includes(mode)).map((mode) => MODES[mode]).join(",");

function subjects(of: Any): [string, string, string] {
  const named = (kind: string, show: (s: Any) => string): string => (of.subjects ?? []).filter((s: Any) => s.kind === kind).map(show).join(", ");
  return [named("User", (s) => s.name), named("Group", (s) => s.name), named("ServiceAccount", (s) => (s.namespace ? `${s.namespace}/${s.name}` : s.name))];
}

const binding = (o: Any, now: number): Cells => [o.metadata.name, `${o.roleRef.kind}/${o.roleRef.name}`, age(o, now), ...subjects(o)];
const replicated = (o: Any, now: number): Cells =>
  [o.metadata.name, o.spec.replicas ?? 0, o.status.replicas ?? 0, o.status.readyReplicas ?? 0, age(o, now), ...containers(o.spec.template?.spec),
    o.kind === "ReplicaSet" ? selectorText(o.spec.selector) : formatLabels(o.spec.selector)];

const PRINTERS: Readonly<Record<string, (o: Any, nowMs: number) => Cells>> = {
  "/pods": printPod,
  "/services": (o, now) => [o.metadata.name, o.spec.type, (o.spec.clusterIPs ?? [])[0] ?? o.spec.clusterIP ?? NONE, externalIPs(o), ports(o.spec.ports), age(o, now), formatLabels(o.spec.selector)],
  "/nodes": printNode,
  "/namespaces": (o, now) => [o.metadata.name, o.status.phase ?? "", age(o, now)],
  "/configmaps": (o, now) => [o.metadata.name, Object.keys(o.data ?? {}).length + Object.keys(o.binaryData ?? {}).length, age(o, now)],
  "/secrets": (o, now) => [o.metadata.name, o.type ?? "", Object.keys(o.data ?? {}).length, age(o, now)],
  "/serviceaccounts": (o, now) => [o.metadata.name, (o.secrets ?? []).length, age(o, now)],
  "/events": (o, now) => printEvent(o.involvedObject, o.source, o.firstTimestamp, o.lastTimestamp, o.count, o.message, o, now),
  "events.k8s.io/events": (o, now) => printEvent(o.regarding, o.deprecatedSource, o.deprecatedFirstTimestamp, o.deprecatedLastTimestamp, o.deprecatedCount, o.note, o, now),
  "/endpoints": (o, now) => [o.metadata.name, endpointsText(o), age(o, now)],
  "/componentstatuses": (o) => {
    const { status = "", message = "", error = "" } = (o.conditions ?? []).find((c: Any) => c.type === "Healthy") ?? {};
    return [o.metadata.name, status === "" ? "Unknown" : status === "True" ? "Healthy" : "Unhealthy", message, error];
  },
  "/limitranges": (o, now) => [o.metadata.name, o.metadata.creationTimestamp ?? UNKNOWN, age(o, now)].slice(0, 2),
  "/persistentvolumeclaims": (o, now) => {
    const bound = (o.spec.volumeName ?? "") !== "";
    return [o.metadata.name, o.metadata.deletionTimestamp === undefined ? o.status.phase ?? "" : "Terminating", o.spec.volumeName ?? "",
      bound ? o.status.capacity?.storage ?? "0" : "", bound ? accessModes(o.status.accessModes) : "",
      o.metadata.annotations?.["volume.beta.kubernetes.io/storage-class"] ?? o.spec.storageClassName ?? "",
      o.spec.volumeAttributesClassName ?? UNSET, age(o, now), o.spec.volumeMode ?? UNSET];
  },
  "/persistentvolumes": (o, now) => [o.metadata.name, o.spec.capacity?.storage ?? "0", accessModes(o.spec.accessModes), o.spec.persistentVolumeReclaimPolicy ?? "",
    o.metadata.deletionTimestamp === undefined ? o.status.phase ?? "" : "Terminating", o.spec.claimRef === undefined ? "" : `${o.spec.claimRef.namespace ?? ""}/${o.spec.claimRef.name}`,
    o.metadata.annotations?.["volume.beta.kubernetes.io/storage-class"] ?? o.spec.storageClassName ?? "", o.spec.volumeAttributesClassName ?? UNSET, o.status.reason ?? "", age(o, now), o.spec.volumeMode ?? UNSET],
  "/podtemplates": (o) => [o.metadata.name, ...containers(o.template?.spec), formatLabels(o.template?.metadata?.labels)],
  "/replicationcontrollers": replicated,
  "/resourcequotas": (o, now) => [o.metadata.name, age(o, now), ...quotaTexts(o)],
  "apps/deployments": (o, now) => [o.metadata.name, `${o.status.readyReplicas ?? 0}/${o.spec.replicas ?? 0}`, o.status.updatedReplicas ?? 0, o.status.availableReplicas ?? 0, age(o, now), ...containers(o.spec.template.spec), selectorText(o.spec.selector)],
  "apps/replicasets": replicated,
  "apps/statefulsets": (o, now) => [o.metadata.name, `${o.status.readyReplicas ?? 0}/${o.spec.replicas ?? 0}`, age(o, now), ...containers(o.spec.template.spec)],
  "apps/daemonsets": (o, now) => [o.metadata.name, o.status.desiredNumberScheduled ?? 0, o.status.currentNumberScheduled ?? 0, o.status.numberReady ?? 0, o.status.updatedNumberScheduled ?? 0,
    o.status.numberAvailable ?? 0, formatLabels(o.spec.template.spec.nodeSelector), age(o, now), ...containers(o.spec.template.spec), selectorText(o.spec.selector)],
  "apps/controllerrevisions": (o, now) => {
    const owner = (o.metadata.ownerReferences ?? []).find((r: Any) => r.controller === true);
    const group = owner === undefined ? "" : owner.apiVersion.includes("/") ? `.${owner.apiVersion.split("/")[0]}` : "";
    return [o.metadata.name, owner === undefined ? NONE : `${owner.kind.toLowerCase()}${group}/${owner.name}`, o.revision, age(o, now)];
  },
  "batch/jobs": printJob,
  "batch/cronjobs": (o, now) => [o.metadata.name, o.spec.schedule, o.spec.timeZone ?? NONE, goBool(o.spec.suspend), (o.status.active ?? []).length,
    o.status.lastScheduleTime === undefined ? NONE : since(o.status.lastScheduleTime, now), age(o, now), ...containers(o.spec.jobTemplate.spec.template.spec), selectorText(o.spec.jobTemplate.spec.selector)],
  "autoscaling/horizontalpodautoscalers": (o, now) => [o.metadata.name, `${o.spec.scaleTargetRef.kind}/${o.spec.scaleTargetRef.name}`, hpaTargets(o), o.spec.minReplicas === undefined ? UNSET : String(o.spec.minReplicas), o.spec.maxReplicas, o.status.currentReplicas ?? 0, age(o, now)],
  "policy/poddisruptionbudgets": (o, now) => [o.metadata.name, o.spec.minAvailable === undefined ? "N/A" : String(o.spec.minAvailable), o.spec.maxUnavailable === undefined ? "N/A" : String(o.spec.maxUnavailable), o.status.disruptionsAllowed ?? 0, age(o, now)],
  "networking.k8s.io/ingresses": (o, now) => [o.metadata.name, o.spec.ingressClassName ?? o.metadata.annotations?.["kubernetes.io/ingress.class"] ?? NONE, hosts(o), (o.status.loadBalancer?.ingress ?? []).map((i: Any) => i.ip ?? i.hostname ?? "").join(","), (o.spec.tls ?? []).length > 0 ? "80, 443" : "80", age(o, now)],
  "networking.k8s.io/ingressclasses": (o, now) => {
    const p = o.spec?.parameters;
    return [o.metadata.name, o.spec?.controller ?? "", p === undefined ? NONE : `${p.kind}${p.apiGroup ? `.${p.apiGroup}` : ""}/${p.name}`, age(o, now)];
  },
  "networking.k8s.io/networkpolicies": (o, now) => [o.metadata.name, selectorText(o.spec.podSelector), age(o, now)],
  "rbac.authorization.k8s.io/rolebindings": binding,
  "rbac.authorization.k8s.io/clusterrolebindings": binding,
  "scheduling.k8s.io/priorityclasses": (o, now) => [o.metadata.name, o.value, o.globalDefault === true, age(o, now), o.preemptionPolicy ?? UNSET],
  "storage.k8s.io/storageclasses": (o, now) => [`${o.metadata.name}${isDefaultClass(o) ? " (default)" : ""}`, o.provisioner, o.reclaimPolicy ?? "Delete", o.volumeBindingMode ?? UNSET, o.allowVolumeExpansion === true, age(o, now)],
  "storage.k8s.io/volumeattachments": (o, now) => [o.metadata.name, o.spec.attacher, o.spec.source.persistentVolumeName ?? "", o.spec.nodeName, o.status.attached === true, age(o, now)],
  "storage.k8s.io/csidrivers": (o, now) => [o.metadata.name, o.spec.attachRequired ?? true, o.spec.podInfoOnMount ?? false, o.spec.storageCapacity ?? false,
    (o.spec.tokenRequests ?? []).length === 0 ? UNSET : o.spec.tokenRequests.map((t: Any) => t.audience).join(","), o.spec.requiresRepublish ?? false, (o.spec.volumeLifecycleModes ?? []).join(",") || NONE, age(o, now)],
  "storage.k8s.io/csinodes": (o, now) => [o.metadata.name, (o.spec.drivers ?? []).length, age(o, now)],
  "node.k8s.io/runtimeclasses": (o, now) => [o.metadata.name, o.handler, age(o, now)],
  "coordination.k8s.io/leases": (o, now) => [o.metadata.name, o.spec.holderIdentity ?? "", age(o, now)],
  "discovery.k8s.io/endpointslices": (o, now) => [o.metadata.name, o.addressType, slicePorts(o), sliceEndpoints(o), age(o, now)],
  "apiregistration.k8s.io/apiservices": (o, now) => {
    const condition = (o.status.conditions ?? []).find((c: Any) => c.type === "Available");
    const text = condition === undefined ? UNKNOWN : condition.status === "True" ? "True" : `${condition.status} (${condition.reason})`;
    return [o.metadata.name, o.spec.service ? `${o.spec.service.namespace}/${o.spec.service.name}` : "Local", text, age(o, now)];
  },
  "admissionregistration.k8s.io/mutatingwebhookconfigurations": (o, now) => [o.metadata.name, (o.webhooks ?? []).length, age(o, now)],
  "admissionregistration.k8s.io/validatingwebhookconfigurations": (o, now) => [o.metadata.name, (o.webhooks ?? []).length, age(o, now)],
  "admissionregistration.k8s.io/validatingadmissionpolicies": (o, now) => [o.metadata.name, (o.spec.validations ?? []).length, o.spec.paramKind === undefined ? UNSET : `${o.spec.paramKind.apiVersion}/${o.spec.paramKind.kind}`, age(o, now)],
  "admissionregistration.k8s.io/validatingadmissionpolicybindings": (o, now) => {
    const p = o.spec.paramRef;
    const ref = p === undefined ? UNSET : p.selector !== undefined ? selectorText(p.selector) : p.namespace ? `${p.namespace}/${p.name}` : `*/${p.name}`;
    return [o.metadata.name, o.spec.policyName, ref, age(o, now)];
  },
  "certificates.k8s.io/certificatesigningrequests": (o, now) => [o.metadata.name, age(o, now), o.spec.signerName || NONE, o.spec.username ?? "",
    o.spec.expirationSeconds === undefined ? NONE : humanDuration(o.spec.expirationSeconds * 1000), csrStatus(o)],
  "flowcontrol.apiserver.k8s.io/flowschemas": (o, now) => {
    const dangling = (o.status.conditions ?? []).find((c: Any) => c.type === "Dangling")?.status;
    return [o.metadata.name, o.spec.priorityLevelConfiguration.name, o.spec.matchingPrecedence, o.spec.distinguisherMethod?.type ?? NONE, age(o, now), dangling ?? "?"];
  },
  "flowcontrol.apiserver.k8s.io/prioritylevelconfigurations": (o, now) => {
    const limited = o.spec.limited;
    const queuing = limited?.limitResponse?.queuing;
    const shares = limited?.nominalConcurrencyShares ?? o.spec.exempt?.nominalConcurrencyShares ?? NONE;
    return [o.metadata.name, o.spec.type, shares, queuing?.queues ?? NONE, queuing?.handSize ?? NONE, queuing?.queueLengthLimit ?? NONE, age(o, now)];
  },
};

function isDefaultClass({ metadata: { annotations = {} } }: Any): boolean {
  return annotations["storageclass.kubernetes.io/is-default-class"] === "true" || annotations["storageclass.beta.kubernetes.io/is-default-class"] === "true";
}

function podConditions({ status }: Any): Record<string, unknown> {
  const done = { type: "Completed", status: "True" };
  if (status.phase === "Succeeded") return { conditions: [{ ...done, reason: "Succeeded", message: "The pod has completed successfully." }] };
  if (status.phase === "Failed") return { conditions: [{ ...done, reason: "Failed", message: "The pod failed." }] };
  return {};
}

/** Follows printPod. */
function printPod(pod: Any, now: number): Cells {
  const { metadata, spec, status } = pod;
  let restarts = 0;
  let ready = 0;
  let total = spec.containers.length;
  let reason: string = status.reason || status.phase || "";
  if ((status.conditions ?? []).some((c: Any) => c.type === "PodScheduled" && c.reason === "SchedulingGated")) reason = "SchedulingGated";
  const restartable = new Set((spec.initContainers ?? []).filter((c: Any) => c.restartPolicy === "Always").map((c: Any) => c.name));
  total += restartable.size;
  let lastRestart: string | undefined;
  let lastRestartable: string | undefined;
  const later = (a: string | undefined, b: string | undefined): string | undefined => (b !== undefined && (a === undefined || b > a) ? b : a);
  let initializing = false;
  const inits = status.initContainerStatuses ?? [];
  for (const [i, c] of inits.entries()) {
    restarts += c.restartCount ?? 0;
    lastRestart = later(lastRestart, c.lastState?.terminated?.finishedAt);
    if (restartable.has(c.name)) lastRestartable = later(lastRestartable, c.lastState?.terminated?.finishedAt);
    const { terminated, waiting } = c.state ?? {};
    if (terminated?.exitCode === 0 || (terminated !== undefined && (terminated.exitCode ?? 0) === 0)) continue;
    if (restartable.has(c.name) && c.started === true) {
      if (c.ready) ready++;
      continue;
    }
    if (terminated !== undefined) reason = (terminated.reason ?? "") === "" ? (terminated.signal ? `Init:Signal:${terminated.signal}` : `Init:ExitCode:${terminated.exitCode}`) : `Init:${terminated.reason}`;
    else if (waiting?.reason && waiting.reason !== "PodInitializing") reason = `Init:${waiting.reason}`;
    else reason = `Init:${i}/${spec.initContainers.length}`;
    initializing = true;
    break;
  }
  const initialized = (status.conditions ?? []).some((c: Any) => c.type === "Initialized" && c.status === "True");
  if (!initializing || initialized) {
    restarts = inits.filter((c: Any) => restartable.has(c.name)).reduce((sum: number, c: Any) => sum + (c.restartCount ?? 0), 0);
    lastRestart = lastRestartable;
    let running = false;
    for (const c of [...(status.containerStatuses ?? [])].reverse()) {
      restarts += c.restartCount ?? 0;
      lastRestart = later(lastRestart, c.lastState?.terminated?.finishedAt);
      const { terminated, waiting } = c.state ?? {};
      if (waiting?.reason) reason = waiting.reason;
      else if (terminated?.reason) reason = terminated.reason;
      else if (terminated !== undefined) reason = terminated.signal ? `Signal:${terminated.signal}` : `ExitCode:${terminated.exitCode}`;
      else if (c.ready && c.state?.running !== undefined) {
        running = true;
        ready++;
      }
    }
    if (reason === "Completed" && running)
      reason = (status.conditions ?? []).some((c: Any) => c.type === "Ready" && c.status === "True") ? "Running" : "NotReady";
  }
  if (metadata.deletionTimestamp !== undefined && status.reason === "NodeLost") reason = "Unknown";
  else if (metadata.deletionTimestamp !== undefined && status.phase !== "Succeeded" && status.phase !== "Failed") reason = "Terminating";
  const restartsText = restarts !== 0 && lastRestart !== undefined ? `${restarts} (${since(lastRestart, now)} ago)` : String(restarts);
  const gates = spec.readinessGates ?? [];
  const trueGates = gates.filter((g: Any) => (status.conditions ?? []).some((c: Any) => c.type === g.conditionType && c.status === "True")).length;
  return [metadata.name, `${ready}/${total}`, reason, restartsText, age(pod, now), status.podIPs?.[0]?.ip ?? status.podIP ?? NONE, spec.nodeName ?? NONE,
    status.nominatedNodeName ?? NONE, gates.length > 0 ? `${trueGates}/${gates.length}` : NONE];
}

function printNode(node: Any, now: number): Cells {
  const { metadata, spec, status } = node;
  const ready = (status.conditions ?? []).find((c: Any) => c.type === "Ready");
  const words = [ready === undefined ? "Unknown" : ready.status === "True" ? "Ready" : "NotReady"];
  if (spec.unschedulable === true) words.push("SchedulingDisabled");
  const roles = new Set<string>();
  for (const [key, value] of Object.entries((metadata.labels ?? {}) as Record<string, string>)) {
    if (key.startsWith("node-role.kubernetes.io/") && key.length > 24) roles.add(key.slice(24));
    else if (key === "kubernetes.io/role" && value !== "") roles.add(value);
  }
  const address = (type: string): string => (status.addresses ?? []).find((a: Any) => a.type === type)?.address ?? NONE;
  const info = status.nodeInfo ?? {};
  return [metadata.name, words.join(","), roles.size === 0 ? NONE : [...roles].sort().join(","), age(node, now), info.kubeletVersion ?? "", address("InternalIP"), address("ExternalIP"),
    info.osImage || UNKNOWN, info.kernelVersion || UNKNOWN, info.containerRuntimeVersion || UNKNOWN];
}

function externalIPs({ spec, status }: Any): string {
  const own: string[] = spec.externalIPs ?? [];
  if (spec.type === "ClusterIP" || spec.type === "NodePort") return own.length > 0 ? own.join(",") : NONE;
  if (spec.type === "ExternalName") return spec.externalName ?? "";
  const balancer: string[] = (status.loadBalancer?.ingress ?? []).map((i: Any) => i.ip ?? i.hostname ?? "");
  const all = [...balancer, ...own];
  return all.length > 0 ? all.join(",") : "<pending>";
}

function ports(list: readonly Any[] | undefined): string {
  if ((list ?? []).length === 0) return NONE;
  return list!.map((p) => `${p.port}${p.nodePort ? `:${p.nodePort}` : ""}/${p.protocol}`).join(",");
}

const someOf = (list: readonly string[], max: number): string => (list.length > max ? `${list.slice(0, max).join(",")} + ${list.length - max} more...` : list.join(","));

function endpointsText({ subsets = [] }: Any): string {
  const all: string[] = [];
  for (const s of subsets) {
    const addresses = (s.addresses ?? []).map((a: Any) => (a.ip.includes(":") ? `[${a.ip}]` : a.ip));
    if ((s.ports ?? []).length === 0) all.push(...addresses);
    else for (const p of s.ports) for (const a of addresses) all.push(`${a}:${p.port}`);
  }
  return all.length === 0 ? NONE : someOf(all, 3);
}

const slicePorts = ({ ports: list }: Any): string => (!list || list.length === 0 ? UNSET : someOf(list.map((p: Any) => (p.name ? String(p.port ?? "*") : String(p.port ?? "*"))), 3));
function sliceEndpoints({ endpoints }: Any): string {
  const all = (endpoints ?? []).flatMap((e: Any) => e.addresses ?? []);
  return all.length === 0 ? UNSET : someOf(all, 3);
}

function printEvent(of: Any, source: Any, first: Any, last: Any, count: Any, message: Any, o: Any, now: number): Cells {
  const newer = first ?? (o.eventTime || undefined);
  const firstSeen = first === null || first === undefined ? since(o.eventTime, now) : since(first, now);
  let lastSeen = last === null || last === undefined ? firstSeen : since(last, now);
  let times = count ?? 0;
  if (o.series !== undefined) {
    lastSeen = since(o.series.lastObservedTime, now);
    times = o.series.count ?? 0;
  } else if (times === 0) times = 1;
  void newer;
  let target: string = (of?.kind ?? "").toLowerCase();
  if (of?.name) target += `/${of.name}`;
  const component = source?.component || o.reportingComponent || o.reportingController || "";
  const instance = source?.host || o.reportingInstance || "";
  return [lastSeen, o.type ?? "", o.reason ?? "", target, of?.fieldPath ?? "", instance ? `${component}, ${instance}` : component, (message ?? "").trim(), firstSeen, times, o.metadata.name];
}

function printJob(job: Any, now: number): Cells {
  const { spec, status } = job;
  const succeeded = status.succeeded ?? 0;
  const completions = spec.completions !== undefined ? `${succeeded}/${spec.completions}` : (spec.parallelism ?? 0) > 1 ? `${succeeded}/1 of ${spec.parallelism}` : `${succeeded}/1`;
  const has = (type: string): boolean => (status.conditions ?? []).some((c: Any) => c.type === type && c.status === "True");
  const state = has("Complete") ? "Complete" : has("Failed") ? "Failed" : job.metadata.deletionTimestamp !== undefined ? "Terminating" : has("Suspended") ? "Suspended" : has("FailureTarget") ? "FailureTarget" : has("SuccessCriteriaMet") ? "SuccessCriteriaMet" : "Running";
  const duration = status.startTime === undefined ? "" : humanDuration((status.completionTime === undefined ? now : Date.parse(status.completionTime)) - Date.parse(status.startTime));
  return [job.metadata.name, state, completions, duration, age(job, now), ...containers(spec.template.spec), selectorText(spec.selector)];
}

function hosts({ spec }: Any): string {
  const list = (spec.rules ?? []).map((r: Any) => r.host ?? "").filter((h: string) => h !== "");
  return list.length === 0 ? "*" : someOf(list, 3);
}

function csrStatus({ status }: Any): string {
  const has = (type: string): boolean => (status.conditions ?? []).some((c: Any) => c.type === type);
  let text = has("Denied") ? "Denied" : has("Approved") ? "Approved" : "Pending";
  if (has("Failed")) text += ",Failed";
  if ((status.certificate ?? "") !== "") text += ",Issued";
  return text;
}

/** Follows formatHPAMetrics; the v1 form has one metric, the CPU's. */
function hpaTargets({ spec, status }: Any): string {
  if (spec.metrics === undefined && spec.targetCPUUtilizationPercentage !== undefined) {
    const current = status.currentCPUUtilizationPercentage;
    return `cpu: ${current === undefined ? UNKNOWN : `${current}%`}/${spec.targetCPUUtilizationPercentage}%`;
  }
  const metrics: Any[] = spec.metrics ?? [];
  if (metrics.length === 0) return NONE;
  const shown = metrics.slice(0, 2).map((m, i) => {
    const field = m.type === "ContainerResource" ? "containerResource" : m.type.toLowerCase();
    const of = m[field] ?? {};
    const current = (status.currentMetrics ?? [])[i]?.[field]?.current ?? {};
    const { target = {} } = of;
    if (m.type === "Resource" || m.type === "ContainerResource") {
      if (target.averageValue !== undefined) return `${of.name}: ${current.averageValue ?? UNKNOWN}/${target.averageValue}`;
      return `${of.name}: ${current.averageUtilization === undefined ? UNKNOWN : `${current.averageUtilization}%`}/${target.averageUtilization === undefined ? "<auto>" : `${target.averageUtilization}%`}`;
    }
    if (target.averageValue !== undefined) return `${current.averageValue ?? UNKNOWN}/${target.averageValue}${m.type === "Pods" ? "" : " (avg)"}`;
    return `${current.value ?? UNKNOWN}/${target.value}`;
  });
  return metrics.length > 2 ? `${shown.join(", ")} + ${metrics.length - 2} more...` : shown.join(", ");
}

function quotaTexts({ status }: Any): [string, string] {
  const requests: string[] = [];
  const limits: string[] = [];
  for (const name of Object.keys(status.hard ?? {}).sort()) (name.startsWith("limits.") ? limits : requests).push(`${name}: ${status.used?.[name] ?? "0"}/${status.hard[name]}`);
  return [requests.join(", "), limits.join(", ")];
}
