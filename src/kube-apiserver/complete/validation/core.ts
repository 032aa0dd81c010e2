/** The core kinds beside pods and services. Follows pkg/apis/core/validation/validation.go and the strategies of pkg/registry/core. */
import { deepEqual } from "../../../apimachinery/meta.ts";
import { parseQuantity } from "../../../apimachinery/quantity.ts";
import { validateConfigMapKey, validateLabelValue } from "../../../apimachinery/validation.ts";
import type { FieldErrors } from "../../field.ts";
import {
  dnsLabel, dnsSubdomain, immutable, isCIDR, named, nonNegative, nonSpecialIP, objectMeta, objectMetaUpdate, oneOf, plain, portNumber,
  qualified, qualifiedName, twice, validCIDR, validIP,
} from "./common.ts";
import type { Any, Validation } from "./common.ts";
import { resourceName, resourceQuantity } from "./containers.ts";
import { goMap, goQuantity, goValue } from "./go.ts";
import { differing, nodeSelector, podTemplateSpec, taintEffect } from "./pod.ts";
import { accessModes, claimSpec, PERSISTENT_SOURCES } from "./volumes.ts";

const DATA_BYTES_MAX = 1024 * 1024;
const STANDARD_FINALIZERS = ["foregroundDeletion", "kubernetes", "orphan"];

function namespaceFinalizers({ spec }: Any, errors: FieldErrors): void {
  for (const name of spec.finalizers ?? []) {
    errors.invalidAll("spec.finalizers", name, qualifiedName(name));
    if (!name.includes("/") && !STANDARD_FINALIZERS.includes(name)) errors.invalid("spec.finalizers", name, "name is neither a standard finalizer name nor is it fully qualified");
  }
}

export const namespace: Validation = {
  validate(o, errors) {
    objectMeta(o, false, dnsLabel, errors);
    namespaceFinalizers(o, errors);
  },
  validateUpdate: objectMetaUpdate,
  validateStatusUpdate(o, old, errors) {
    objectMetaUpdate(o, old, errors);
    const phase = o.metadata.deletionTimestamp === undefined ? "Active" : "Terminating";
    if ((o.status?.phase ?? "") !== phase)
      errors.invalid("status.Phase", o.status?.phase ?? "", `may only be '${phase}' if \`deletionTimestamp\` is ${phase === "Active" ? "" : "not "}empty`);
  },
};

const bytesOf = (text: string): number => new TextEncoder().encode(text).length;
const decodedBytes = (base64: string): number => Math.floor((base64.replace(/[=\s]/g, "").length * 3) / 4);

function configMapBody({ data = {}, binaryData = {} }: Any, errors: FieldErrors): void {
  let total = 0;
  for (const key of Object.keys(data)) {
    named(key, validateConfigMapKey, `data[${key}]`, errors);
    if (binaryData[key] !== undefined) errors.invalid(`data[${key}]`, key, "duplicate of key present in binaryData");
    total += bytesOf(data[key]);
  }
  for (const key of Object.keys(binaryData)) {
    named(key, validateConfigMapKey, `binaryData[${key}]`, errors);
    total += decodedBytes(binaryData[key]);
  }
  if (total > DATA_BYTES_MAX) errors.tooLong("[]", DATA_BYTES_MAX);
}

function immutableData(o: Any, old: Any, fields: readonly string[], errors: FieldErrors): void {
  if (old.immutable !== true) return;
  const why = "field is immutable when `immutable` is set";
  if (o.immutable !== true) errors.forbidden("immutable", why);
  for (const field of fields) if (!deepEqual(o[field] ?? {}, old[field] ?? {})) errors.forbidden(field, why);
}

export const configMap: Validation = twice({
  validate(o, errors) {
    objectMeta(o, true, dnsSubdomain, errors);
    configMapBody(o, errors);
  },
  validateUpdate(o, old, errors) {
    objectMetaUpdate(o, old, errors);
    immutableData(o, old, ["data", "binaryData"], errors);
    objectMeta(o, true, dnsSubdomain, errors);
    configMapBody(o, errors);
  },
});

function secretBody(o: Any, errors: FieldErrors): void {
  const data: Record<string, string> = o.data ?? {};
  let total = 0;
  for (const key of Object.keys(data)) {
    named(key, validateConfigMapKey, `data[${key}]`, errors);
    total += decodedBytes(data[key]!);
  }
  if (total > DATA_BYTES_MAX) errors.tooLong("data", DATA_BYTES_MAX);
  const need = (key: string): void => {
    if (data[key] === undefined) errors.required(`data[${key}]`);
  };
  const needJson = (key: string): void => {
    const value = data[key];
    if (value === undefined) return errors.required(`data[${key}]`);
    try {
      JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(value), (c) => c.charCodeAt(0))));
    } catch {
      errors.invalid(`data[${key}]`, "<secret contents redacted>", "unexpected end of JSON input");
    }
  };
  switch (o.type) {
    case "kubernetes.io/service-account-token":
      if ((o.metadata.annotations?.["kubernetes.io/service-account.name"] ?? "") === "") errors.required("metadata.annotations[kubernetes.io/service-account.name]");
      break;
    case "kubernetes.io/dockercfg": return needJson(".dockercfg");
    case "kubernetes.io/dockerconfigjson": return needJson(".dockerconfigjson");
    case "kubernetes.io/basic-auth":
      if (data["username"] === undefined && data["password"] === undefined) {
        need("username");
        need("password");
      }
      break;
    case "kubernetes.io/ssh-auth":
      if ((data["ssh-privatekey"] ?? "") === "") errors.required("data[ssh-privatekey]");
      break;
    case "kubernetes.io/tls":
      need("tls.crt");
      need("tls.key");
  }
}

export const secret: Validation = {
  validate(o, errors) {
    objectMeta(o, true, dnsSubdomain, errors);
    secretBody(o, errors);
  },
  validateUpdate(o, old, errors) {
    objectMetaUpdate(o, old, errors);
    immutable(o.type, old.type, "type", errors);
    immutableData(o, old, ["data"], errors);
    secret.validate(o, errors);
  },
};

export const serviceAccount: Validation = plain(true, dnsSubdomain, () => {});

function nodeTaints(taints: readonly Any[], path: string, errors: FieldErrors): void {
  const seen = new Set<string>();
  taints.forEach((taint, i) => {
    const at = `${path}[${i}]`;
    const { key = "", value = "", effect = "" } = taint;
    qualified(key, `${at}.key`, errors);
    const problems = validateLabelValue(value);
    if (problems.length > 0) errors.invalid(`${at}.value`, value, problems.join(";"));
    taintEffect(effect, `${at}.effect`, errors);
    const pair = `${key}\0${effect}`;
    if (seen.has(pair)) errors.add("FieldValueDuplicate", at, `Duplicate value: ${goValue("core.Taint", taint, at, errors)}: taints must be unique by key and effect pair`);
    seen.add(pair);
  });
}

function nodeResources({ status = {} }: Any, errors: FieldErrors): void {
  for (const field of ["capacity", "allocatable"]) for (const name of Object.keys(status[field] ?? {})) resourceQuantity(name, status[field][name], `status.${field}.${name}`, errors);
}

function nodeUpdate(o: Any, old: Any, errors: FieldErrors): void {
  objectMetaUpdate(o, old, errors);
  nodeResources(o, errors);
  const seen = new Set<string>();
  (o.status?.addresses ?? []).forEach((address: Any, i: number) => {
    const key = `${address.type}\0${address.address}`;
    if (seen.has(key)) errors.add("FieldValueDuplicate", `status.addresses[${i}]`, `Duplicate value: core.NodeAddress{Type:${JSON.stringify(address.type)}, Address:${JSON.stringify(address.address)}}`);
    seen.add(key);
  });
  const was = old.spec.podCIDRs ?? [];
  if (was.length > 0 && !deepEqual(o.spec.podCIDRs ?? [], was)) errors.forbidden("spec.podCIDRs", "node updates may not change podCIDR except from \"\" to valid");
  if ((old.spec.providerID ?? "") !== "" && old.spec.providerID !== o.spec.providerID) errors.forbidden("spec.providerID", "node updates may not change providerID except from \"\" to valid");
  nodeTaints(o.spec.taints ?? [], "metadata.taints", errors);
}

export const node: Validation = twice({
  validate(o, errors) {
    objectMeta(o, false, dnsSubdomain, errors);
    nodeTaints(o.spec.taints ?? [], "metadata.taints", errors);
    nodeResources(o, errors);
    const cidrs: string[] = o.spec.podCIDRs ?? [];
    cidrs.forEach((cidr, i) => validCIDR(cidr, `spec.podCIDRs[${i}]`, errors));
    if (cidrs.length > 1 && cidrs.every(isCIDR)) {
      const v6 = cidrs.filter((cidr) => cidr.includes(":")).length;
      if (cidrs.length > 2 || v6 !== 1) errors.invalid("spec.podCIDRs", cidrs, "may specify no more than one CIDR for each IP family");
    }
  },
  validateUpdate: nodeUpdate,
  validateStatusUpdate: nodeUpdate,
});

const LIMIT_TYPES = ["Pod", "Container", "PersistentVolumeClaim"];

export const limitRange: Validation = plain(true, dnsSubdomain, ({ spec }, errors) => {
  const types = new Set<string>();
  (spec.limits ?? []).forEach((limit: Any, i: number) => limitRangeItem(limit, `spec.limits[${i}]`, types, errors));
});

function limitRangeItem(limit: Any, path: string, types: Set<string>, errors: FieldErrors): void {
  const type: string = limit.type ?? "";
  const problems = qualifiedName(type);
  errors.invalidAll(`${path}.type`, type, problems);
  if (problems.length === 0 && !type.includes("/") && !LIMIT_TYPES.includes(type)) errors.invalid(`${path}.type`, type, "must be a standard limit type or fully qualified");
  if (types.has(type)) errors.duplicate(`${path}.type`, type);
  types.add(type);
  const keys = new Set<string>();
  const names = (field: string): void => {
    for (const name of Object.keys(limit[field] ?? {})) {
      resourceName(name, `${path}.${field}[${name}]`, errors);
      keys.add(name);
    }
  };
  names("max");
  names("min");
  if (type === "Pod") {
    for (const field of ["default", "defaultRequest"]) if (Object.keys(limit[field] ?? {}).length > 0) errors.forbidden(`${path}.${field}`, "may not be specified when `type` is 'Pod'");
  } else {
    names("default");
    names("defaultRequest");
  }
  if (type === "PersistentVolumeClaim" && limit.min?.storage === undefined && limit.max?.storage === undefined)
    errors.required(`${path}.limits`, "either minimum or maximum storage value is required, but neither was provided");
  names("maxLimitRequestRatio");
  for (const key of [...keys].sort()) limitRangeOrder(limit, key, path, errors);
}

function limitRangeOrder(limit: Any, key: string, path: string, errors: FieldErrors): void {
  const of = (field: string): string | undefined => limit[field]?.[key] as string | undefined;
  const [min, max, limitDefault, request, ratio] = [of("min"), of("max"), of("default"), of("defaultRequest"), of("maxLimitRequestRatio")];
  const above = (a: string | undefined, b: string | undefined): boolean => a !== undefined && b !== undefined && parseQuantity(a).nano > parseQuantity(b).nano;
  const say = (field: string, value: string, detail: string): void => errors.invalidGo(`${path}.${field}[${key}]`, goQuantity(value), detail);
  if (above(min, max)) say("min", min!, `min value ${min} is greater than max value ${max}`);
  if (above(min, request)) say("defaultRequest", request!, `min value ${min} is greater than default request value ${request}`);
  if (above(request, max)) say("defaultRequest", request!, `default request value ${request} is greater than max value ${max}`);
  if (above(request, limitDefault)) say("defaultRequest", request!, `default request value ${request} is greater than default limit value ${limitDefault}`);
  if (above(min, limitDefault)) say("default", min!, `min value ${min} is greater than default value ${limitDefault}`);
  if (above(limitDefault, max)) say("default", max!, `default value ${limitDefault} is greater than max value ${max}`);
  if (ratio === undefined) return;
  const value = Number(parseQuantity(ratio).nano) / 1e9;
  if (value < 1) say("maxLimitRequestRatio", ratio, `ratio ${ratio} is less than 1`);
  if (min === undefined || max === undefined) return;
  const most = Number(parseQuantity(max).nano) / Number(parseQuantity(min).nano);
  if (value > most) say("maxLimitRequestRatio", ratio, `ratio ${ratio} is greater than max/min = ${most.toFixed(6)}`);
}

const QUOTA_RESOURCES = /^(cpu|memory|ephemeral-storage|requests\..+|limits\.(cpu|memory|ephemeral-storage)|pods|resourcequotas|services|replicationcontrollers|secrets|persistentvolumeclaims|configmaps|services\.(nodeports|loadbalancers)|hugepages-.+)$/;
const QUOTA_SCOPES = ["BestEffort", "CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating", "PriorityClass", "Terminating"];
const COMPUTE = /^((requests|limits)\.)?(cpu|memory|ephemeral-storage)$|^pods$/;

function scopeFits(scope: string, resource: string): boolean {
  if (scope === "BestEffort") return resource === "pods";
  return !QUOTA_SCOPES.includes(scope) || COMPUTE.test(resource);
}

function quotaBody({ spec }: Any, errors: FieldErrors): void {
  for (const name of Object.keys(spec.hard ?? {})) {
    const at = `spec.hard[${name}]`;
    resourceName(name, at, errors);
    if (!name.includes("/") && !QUOTA_RESOURCES.test(name)) errors.invalidGo(at, name, "must be a standard resource for quota");
    resourceQuantity(name, spec.hard[name], at, errors);
  }
  const resources = Object.keys(spec.hard ?? {}).sort().filter((name) => QUOTA_RESOURCES.test(name));
  const scopes: string[] = spec.scopes ?? [];
  const conflicts = (set: ReadonlySet<string>): boolean =>
    (set.has("BestEffort") && set.has("NotBestEffort")) || (set.has("Terminating") && set.has("NotTerminating"));
  const shown = `[]core.ResourceQuotaScope{${scopes.map((s) => JSON.stringify(s)).join(", ")}}`;
  for (const scope of scopes) {
    if (!QUOTA_SCOPES.includes(scope)) errors.invalidGo("spec.scopes", shown, "unsupported scope");
    for (const resource of resources) if (!scopeFits(scope, resource)) errors.invalidGo("spec.scopes", shown, "unsupported scope applied to resource");
  }
  if (conflicts(new Set(scopes))) errors.invalidGo("spec.scopes", shown, "conflicting scopes");
  const path = "spec.scopeSelector.matchExpressions";
  const selected = new Set<string>();
  for (const { scopeName = "", operator = "", values = [] } of spec.scopeSelector?.matchExpressions ?? []) {
    if (!QUOTA_SCOPES.includes(scopeName)) errors.invalid(`${path}.scopeName`, scopeName, "unsupported scope");
    for (const resource of resources) if (!scopeFits(scopeName, resource)) errors.invalid(path, spec.scopeSelector, "unsupported scope applied to resource");
    if (["BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity"].includes(scopeName) && operator !== "Exists")
      errors.invalid(`${path}.operator`, operator, "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity");
    if (operator === "In" || operator === "NotIn") {
      if (values.length === 0) errors.required(`${path}.values`, "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector");
    } else if (operator === "Exists" || operator === "DoesNotExist") {
      if (values.length > 0) errors.invalid(`${path}.values`, values, "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector");
    } else errors.invalid(`${path}.operator`, operator, "not a valid selector operator");
    selected.add(scopeName);
  }
  if (conflicts(selected)) errors.invalid("spec.scopeSelector.matchExpressions", spec.scopeSelector, "conflicting scopes");
}

export const resourceQuota: Validation = plain(true, dnsSubdomain, quotaBody, ({ spec }, { spec: old }, errors) => {
  const sorted = (list: readonly string[] | undefined): string[] => [...(list ?? [])].sort();
  if (!deepEqual(sorted(spec.scopes), sorted(old.scopes)))
    errors.invalidGo("spec.scopes", `[]core.ResourceQuotaScope${spec.scopes === undefined ? "(nil)" : `{${(spec.scopes as string[]).map((s) => JSON.stringify(s)).join(", ")}}`}`, "field is immutable");
});

function endpointAddress(address: Any, path: string, errors: FieldErrors): void {
  validIP(address.ip ?? "", `${path}.ip`, errors);
  if ((address.hostname ?? "") !== "") named(address.hostname, dnsLabel, `${path}.hostname`, errors);
  if (address.nodeName !== undefined) named(address.nodeName, dnsSubdomain, `${path}.nodeName`, errors);
  nonSpecialIP(address.ip ?? "", `${path}.ip`, errors);
}

export const endpoints: Validation = plain(true, dnsSubdomain, ({ subsets = [] }, errors) => {
  subsets.forEach(({ addresses = [], notReadyAddresses = [], ports = [] }: Any, i: number) => {
    const at = `subsets[${i}]`;
    if (addresses.length === 0 && notReadyAddresses.length === 0) errors.required(at, "must specify `addresses` or `notReadyAddresses`");
    addresses.forEach((address: Any, j: number) => endpointAddress(address, `${at}.addresses[${j}]`, errors));
    notReadyAddresses.forEach((address: Any, j: number) => endpointAddress(address, `${at}.notReadyAddresses[${j}]`, errors));
    ports.forEach((port: Any, j: number) => {
      const where = `${at}.ports[${j}]`;
      if ((port.name ?? "") !== "") named(port.name, dnsLabel, `${where}.name`, errors);
      else if (ports.length > 1) errors.required(`${where}.name`);
      portNumber(port.port, `${where}.port`, errors);
      if ((port.protocol ?? "") === "") errors.required(`${where}.protocol`);
      else oneOf(port.protocol, ["SCTP", "TCP", "UDP"], `${where}.protocol`, errors);
      if (port.appProtocol !== undefined) qualified(port.appProtocol, `${where}.appProtocol`, errors);
    });
  });
});

function volumeBody(o: Any, errors: FieldErrors): void {
  objectMeta(o, false, dnsSubdomain, errors);
  const { spec } = o;
  const modes: string[] = spec.accessModes ?? [];
  if (modes.length === 0) errors.required("spec.accessModes");
  accessModes(modes, "spec.accessModes", errors);
  const capacity: Record<string, string> = spec.capacity ?? {};
  const sizes = Object.keys(capacity);
  if (sizes.length === 0) errors.required("spec.capacity");
  if (capacity["storage"] === undefined || sizes.length > 1)
    errors.add("FieldValueNotSupported", "spec.capacity", `Unsupported value: core.ResourceList${spec.capacity === undefined ? "(nil)" : `{${sizes.map((k) => `${JSON.stringify(k)}:${goQuantity(capacity[k]!)}`).join(", ")}}`}: supported values: "storage"`);
  for (const name of sizes) {
    const { nano } = parseQuantity(capacity[name]!);
    if (nano < 0n) errors.invalid(`spec.capacity[${name}]`, Number(nano / 1_000_000_000n), "must be a valid resource quantity");
    if (nano <= 0n) errors.invalid(`spec.capacity[${name}]`, capacity[name], "must be greater than zero");
  }
  if ((spec.persistentVolumeReclaimPolicy ?? "") !== "") oneOf(spec.persistentVolumeReclaimPolicy, ["Delete", "Recycle", "Retain"], "spec.persistentVolumeReclaimPolicy", errors);
  if (spec.nodeAffinity !== undefined) {
    if (spec.nodeAffinity.required === undefined) errors.required("spec.nodeAffinity.required", "must specify required node constraints");
    else nodeSelector(spec.nodeAffinity.required, "spec.nodeAffinity.required", errors);
  }
  let count = 0;
  for (const [field, check] of PERSISTENT_SOURCES) {
    if (spec[field] === undefined) continue;
    if (count++ > 0) errors.forbidden(`spec.${field}`, "may not specify more than 1 volume type");
    else check(spec[field], `spec.${field}`, errors, o.metadata.name);
    if (field === "local" && spec.nodeAffinity === undefined) errors.required("spec.nodeAffinity", "Local volume requires node affinity");
  }
  if (count === 0) errors.required("spec", "must specify a volume type");
  if (spec.hostPath !== undefined && /^\/+$/.test(spec.hostPath.path ?? "") && spec.persistentVolumeReclaimPolicy === "Recycle")
    errors.forbidden("spec.persistentVolumeReclaimPolicy", "may not be 'recycle' for a hostPath mount of '/'");
  if ((spec.storageClassName ?? "") !== "") named(spec.storageClassName, dnsSubdomain, "spec.storageClassName", errors);
  if (spec.volumeMode !== undefined) oneOf(spec.volumeMode, ["Block", "Filesystem"], "spec.volumeMode", errors);
}

export const persistentVolume: Validation = {
  validate: volumeBody,
  validateUpdate(o, old, errors) {
    volumeBody(o, errors);
    volumeBody(o, errors);
    const sources = (spec: Any): Any => Object.fromEntries(PERSISTENT_SOURCES.map(([field]) => [field, spec[field]]));
    const [now, was] = [sources(o.spec), sources(old.spec)];
    if (!deepEqual(now, was)) errors.forbidden("spec.persistentvolumesource", `spec.persistentvolumesource is immutable after creation${differing("core.PersistentVolumeSource", now, was)}`);
    immutable(o.spec.volumeMode, old.spec.volumeMode, "volumeMode", errors);
    if (old.spec.nodeAffinity !== undefined && !deepEqual(o.spec.nodeAffinity, old.spec.nodeAffinity))
      errors.invalidGo("nodeAffinity", o.spec.nodeAffinity === undefined ? "\"null\"" : goValue("core.VolumeNodeAffinity", o.spec.nodeAffinity, "spec.nodeAffinity", errors), "field is immutable, except for updating from beta label to GA");
  },
  validateStatusUpdate: objectMetaUpdate,
};

export const persistentVolumeClaim: Validation = {
  validate(o, errors) {
    objectMeta(o, true, dnsSubdomain, errors);
    claimSpec(o.spec, "spec", errors);
  },
  validateUpdate(o, old, errors) {
    persistentVolumeClaim.validate(o, errors);
    objectMetaUpdate(o, old, errors);
    persistentVolumeClaim.validate(o, errors);
    const [spec, was] = [{ ...o.spec }, { ...old.spec }];
    if ((was.volumeName ?? "") === "") was.volumeName = spec.volumeName;
    if (was.storageClassName === undefined && (spec.storageClassName ?? "") !== "" && old.status?.phase !== "Bound") spec.storageClassName = undefined;
    const [size, before] = [spec.resources?.requests?.storage, was.resources?.requests?.storage];
    if (o.status?.phase === "Bound" && spec.resources?.requests !== undefined) {
      spec.resources = { ...spec.resources, requests: { ...spec.resources.requests, storage: before } };
      spec.volumeAttributesClassName = was.volumeAttributesClassName;
    }
    if (!deepEqual(spec, was)) errors.forbidden("spec", `spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims${differing("core.PersistentVolumeClaimSpec", spec, was)}`);
    if (before !== undefined && parseQuantity(size ?? "0").nano < parseQuantity(before).nano) {
      const capacity = old.status?.capacity?.storage;
      if (parseQuantity(size ?? "0").nano <= parseQuantity(capacity ?? "0").nano) errors.forbidden("spec.resources.requests.storage", "field can not be less than status.capacity");
    }
    immutable(o.spec.volumeMode, old.spec.volumeMode, "volumeMode", errors);
  },
  validateStatusUpdate: objectMetaUpdate,
};

export const podTemplate: Validation = plain(true, dnsSubdomain, (o, errors) => podTemplateSpec(o.template, "template", errors));

/** What controllers of long-running pods ask of their template's spec. */
export function alwaysRestarted(spec: Any, path: string, kind: string, errors: FieldErrors): void {
  if (spec?.restartPolicy !== "Always") errors.notSupported(`${path}.restartPolicy`, spec?.restartPolicy ?? "", ["Always"]);
  if (spec?.activeDeadlineSeconds !== undefined) errors.forbidden(`${path}.activeDeadlineSeconds`, `activeDeadlineSeconds in ${kind} is not Supported`);
}

export const replicationController: Validation = twice(plain(true, dnsSubdomain, ({ spec }, errors) => {
  nonNegative(spec.minReadySeconds, "spec.minReadySeconds", errors);
  const selector: Record<string, string> = spec.selector ?? {};
  const keys = Object.keys(selector);
  if (keys.length === 0) errors.required("spec.selector");
  nonNegative(spec.replicas, "spec.replicas", errors);
  if (spec.template === undefined) return errors.required("spec.template");
  const labels: Record<string, string> | undefined = spec.template.metadata?.labels;
  if (!keys.every((key) => labels?.[key] === selector[key]))
    errors.invalidGo("spec.template.metadata.labels", goMap(labels, "spec.template.metadata.labels", errors), "`selector` does not match template `labels`");
  podTemplateSpec(spec.template, "spec.template", errors);
  alwaysRestarted(spec.template.spec, "spec.template.spec", "ReplicationController", errors);
}));
