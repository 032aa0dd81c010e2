/**
 * Kinds with little of their own: namespaces, nodes, config maps, secrets, service accounts, events, endpoint slices,
 * leases. Follows pkg/registry/<group>/<resource>/strategy.go of each.
 */
import type { ConfigMap, EndpointSlice, Event, Lease, Namespace, Node, Secret, ServiceAccount } from "../../api/types.generated.ts";
import { RESOURCES } from "../../api/resources.ts";
import { deepEqual } from "../../apimachinery/meta.ts";
import { parseIPv4, validateConfigMapKey, validateDNS1123Label, validateDNS1123Subdomain } from "../../apimachinery/validation.ts";
import type { FieldErrors } from "../field.ts";
import type { Descriptor } from "./descriptor.ts";

export const namespaces: Descriptor<Namespace> = {
  name: RESOURCES.namespaces,
  storagePrefix: "namespaces",
  hasStatus: true,
  validateName: validateDNS1123Label,
  allowUnconditionalUpdate: true,
  selectableNames: ["status.phase", "name"],
  selectable: ({ metadata, status }) => ({ "status.phase": status.phase, name: metadata.name }),
  setDefaults(namespace) {
    // A generated name is not known yet; the label follows in prepareForCreate.
    if (namespace.metadata.name !== undefined) (namespace.metadata.labels ??= {})["kubernetes.io/metadata.name"] = namespace.metadata.name;
  },
  keeps: (name) => (name === "default" || name === "kube-system" || name === "kube-public" ? "this namespace may not be deleted" : undefined),
  prepareForCreate(namespace) {
    namespace.status = { phase: "Active" };
    if (namespace.spec.finalizers?.includes("kubernetes") !== true) (namespace.spec.finalizers ??= []).push("kubernetes");
    (namespace.metadata.labels ??= {})["kubernetes.io/metadata.name"] = (namespace.metadata.name as string | undefined) ?? "";
  },
  prepareForUpdate(namespace, old) {
    namespace.spec.finalizers = old.spec.finalizers;
    namespace.status = old.status;
  },
  prepareForStatusUpdate(namespace, old) {
    namespace.spec = old.spec;
  },
};

export const nodes: Descriptor<Node> = {
  name: RESOURCES.nodes,
  storagePrefix: "minions",
  hasStatus: true,
  validateName: validateDNS1123Subdomain,
  allowUnconditionalUpdate: true,
  selectableNames: ["spec.unschedulable"],
  selectable: ({ spec }) => ({ "spec.unschedulable": String(spec.unschedulable === true) }),
  setDefaults({ spec, status }) {
    // One range under its old name and its new one (conversion of the core types): the old one decides.
    if ((spec.podCIDR ?? "") !== "" && spec.podCIDRs?.[0] !== spec.podCIDR) spec.podCIDRs = [spec.podCIDR!];
    else if (spec.podCIDRs?.[0] !== undefined) spec.podCIDR = spec.podCIDRs[0];
    if (status.capacity === undefined) return;
    status.allocatable = { ...status.capacity, ...status.allocatable };
  },
  admitCreate({ spec }) {
    // TaintNodesByCondition: a new node takes no pods before the node lifecycle controller saw it ready.
    const key = "node.kubernetes.io/not-ready";
    if (spec.taints?.some((t) => t.key === key && t.effect === "NoSchedule") !== true) (spec.taints ??= []).push({ key, effect: "NoSchedule" });
  },
  prepareForUpdate(node, old) {
    node.status = old.status;
  },
  prepareForStatusUpdate(node, old) {
    node.spec = old.spec;
  },
  validateUpdate(node, old, errors) {
    const was = old.spec.podCIDRs ?? [];
    if (was.length > 0 && !deepEqual(node.spec.podCIDRs ?? [], was)) errors.forbidden("spec.podCIDRs", "node updates may not change podCIDR except from \"\" to valid");
    if ((old.spec.providerID ?? "") !== "" && old.spec.providerID !== node.spec.providerID)
      errors.forbidden("spec.providerID", "node updates may not change providerID except from \"\" to valid");
  },
};

function validateData(data: Record<string, string> | undefined, path: string, errors: FieldErrors): void {
  for (const key of Object.keys(data ?? {})) errors.invalidAll(`${path}[${key}]`, key, validateConfigMapKey(key));
}

function validateImmutable(object: ConfigMap | Secret, old: ConfigMap | Secret, fields: readonly string[], errors: FieldErrors): void {
  if (old.immutable !== true) return;
  if (object.immutable !== true) errors.forbidden("immutable", "field is immutable when `immutable` is set");
  for (const field of fields)
    if (!deepEqual((object as unknown as Record<string, unknown>)[field], (old as unknown as Record<string, unknown>)[field])) errors.forbidden(field, "field is immutable when `immutable` is set");
}

export const configMaps: Descriptor<ConfigMap> = {
  name: RESOURCES.configMaps,
  storagePrefix: "configmaps",
  hasStatus: false,
  validateName: validateDNS1123Subdomain,
  allowUnconditionalUpdate: true,
  validate(configMap, errors) {
    validateData(configMap.data, "data", errors);
    for (const key of Object.keys(configMap.data ?? {}))
      if (configMap.binaryData !== undefined && key in configMap.binaryData) errors.invalid(`data[${key}]`, key, "duplicate of key present in binaryData");
    validateData(configMap.binaryData, "binaryData", errors);
  },
  validateUpdate(configMap, old, errors) {
    validateImmutable(configMap, old, ["data", "binaryData"], errors);
  },
};

export const secrets: Descriptor<Secret> = {
  name: RESOURCES.secrets,
  storagePrefix: "secrets",
  hasStatus: false,
  validateName: validateDNS1123Subdomain,
  allowUnconditionalUpdate: true,
  selectableNames: ["type"],
  selectable: ({ type }) => ({ type }),
  setDefaults(secret) {
    secret.type ??= "Opaque";
    // `stringData` is write-only: it goes into `data` (conversion of the core types).
    if (secret.stringData === undefined) return;
    secret.data ??= {};
    for (const [key, text] of Object.entries(secret.stringData)) secret.data[key] = base64(new TextEncoder().encode(text));
    delete secret.stringData;
  },
  validate(secret, errors) {
    validateData(secret.data, "data", errors);
  },
  validateUpdate(secret, old, errors) {
    if (secret.type !== old.type) errors.invalid("type", secret.type, "field is immutable");
    validateImmutable(secret, old, ["data"], errors);
  },
};

function base64(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

export const serviceAccounts: Descriptor<ServiceAccount> = {
  name: RESOURCES.serviceAccounts,
  storagePrefix: "serviceaccounts",
  hasStatus: false,
  validateName: validateDNS1123Subdomain,
  allowUnconditionalUpdate: true,
  returnsDeleted: true,
};

export const events: Descriptor<Event> = {
  name: RESOURCES.events,
  allowCreateOnUpdate: true,
  storagePrefix: "events",
  hasStatus: false,
  validateName: validateDNS1123Subdomain,
  allowUnconditionalUpdate: true,
  selectableNames: ["involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid", "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason", "reportingComponent", "source", "type"],
  selectable: (event) => ({
    "involvedObject.kind": event.involvedObject.kind,
    "involvedObject.namespace": event.involvedObject.namespace,
    "involvedObject.name": event.involvedObject.name,
    "involvedObject.uid": event.involvedObject.uid,
    "involvedObject.apiVersion": event.involvedObject.apiVersion,
    "involvedObject.resourceVersion": event.involvedObject.resourceVersion,
    "involvedObject.fieldPath": event.involvedObject.fieldPath,
    reason: event.reason,
    reportingComponent: event.reportingComponent,
    source: event.source?.component ?? event.reportingComponent,
    type: event.type,
  }),
  validate(event, errors) {
    const namespace = event.involvedObject.namespace ?? "";
    if (namespace === "" ? event.metadata.namespace !== "default" : namespace !== event.metadata.namespace)
      errors.invalid("involvedObject.namespace", namespace, "does not match event.namespace");
  },
};

/** Lists without items read back as null, as after a trip through protobuf. */
function emptyAsNull(slice: EndpointSlice): void {
  if (slice.endpoints?.length === 0) slice.endpoints = null;
  if (slice.ports?.length === 0) slice.ports = null;
}

const ADDRESS_TYPES = ["FQDN", "IPv4", "IPv6"];

export const endpointSlices: Descriptor<EndpointSlice> = {
  name: RESOURCES.endpointSlices,
  storagePrefix: "endpointslices",
  hasStatus: false,
  validateName: validateDNS1123Subdomain,
  allowUnconditionalUpdate: true,
  generation: true,
  setDefaults(slice) {
    for (const port of slice.ports ?? []) {
      port.name ??= "";
      port.protocol ??= "TCP";
    }
  },
  prepareForCreate(slice) {
    slice.metadata.generation = 1;
    emptyAsNull(slice);
  },
  prepareForUpdate(slice, old) {
    emptyAsNull(slice);
    const same = deepEqual(slice.endpoints, old.endpoints) && deepEqual(slice.ports, old.ports) && deepEqual(slice.metadata.labels, old.metadata.labels);
    slice.metadata.generation = same ? old.metadata.generation : (old.metadata.generation ?? 0) + 1;
  },
  validate(slice, errors) {
    if (slice.addressType === "") errors.required("addressType");
    else if (!ADDRESS_TYPES.includes(slice.addressType)) errors.notSupported("addressType", slice.addressType, ADDRESS_TYPES);
    for (const [i, endpoint] of (slice.endpoints ?? []).entries()) {
      const at = `endpoints[${i}]`;
      if ((endpoint.addresses ?? []).length === 0) errors.required(`${at}.addresses`, "must contain at least 1 address");
      for (const [j, address] of (endpoint.addresses ?? []).entries())
        if (slice.addressType === "IPv4" && parseIPv4(address) === undefined) errors.invalid(`${at}.addresses[${j}]`, address, "must be a valid IPv4 address");
      if (endpoint.nodeName !== undefined) errors.invalidAll(`${at}.nodeName`, endpoint.nodeName, validateDNS1123Subdomain(endpoint.nodeName));
    }
  },
  validateUpdate(slice, old, errors) {
    if (slice.addressType !== old.addressType) errors.invalid("addressType", slice.addressType, "field is immutable");
  },
};

export const leases: Descriptor<Lease> = {
  name: RESOURCES.leases,
  allowCreateOnUpdate: true,
  storagePrefix: "leases",
  hasStatus: false,
  validateName: validateDNS1123Subdomain,
  allowUnconditionalUpdate: false,
  validate({ spec }, errors) {
    if (spec.leaseDurationSeconds !== undefined && spec.leaseDurationSeconds <= 0)
      errors.invalid("spec.leaseDurationSeconds", spec.leaseDurationSeconds, "must be greater than 0");
    if (spec.leaseTransitions !== undefined && spec.leaseTransitions < 0)
      errors.invalid("spec.leaseTransitions", spec.leaseTransitions, "must be greater than or equal to 0");
  },
};
