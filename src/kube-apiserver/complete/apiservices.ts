/**
 * APIServices: the resource, those that the server registers for what it serves itself, and whether those of others are available.
 * Follows k8s.io/kube-aggregator (pkg/apis/apiregistration/validation, pkg/registry/apiservice, pkg/controllers/autoregister,
 * pkg/controllers/status) and pkg/controlplane/apiserver/aggregator.go.
 *
 * The API of another server is not reached by this one: where a service and its endpoints are there, the check of its discovery fails.
 */
import { emptyStruct } from "../../api/schema.ts";
import { deepEqual } from "../../apimachinery/meta.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import { newUid } from "../../apimachinery/names.ts";
import { formatTime } from "../../apimachinery/time.ts";
import type { KeyValue } from "../../storage/storage.ts";
import type { DynamicOptions } from "../extension.ts";
import type { FieldErrors } from "../field.ts";
import { updateManagedFields } from "../managed-fields.ts";
import type { Descriptor } from "../registry/descriptor.ts";
import { dns1035, dnsSubdomain, genericMeta, objectMetaUpdate, pathSegment } from "./validation/common.ts";

/* eslint-disable @typescript-eslint/no-explicit-any */
type Any = any;

const GROUP = "apiregistration.k8s.io";
const PREFIX = `${GROUP}/apiservices`;
const KEYS = `/registry/${PREFIX}/`;
const AUTOMANAGED = "kube-aggregator.kubernetes.io/automanaged";
const MANAGER = "kube-apiserver";

interface Condition {
  type: string;
  status: string;
  lastTransitionTime?: string;
  reason: string;
  message: string;
}

interface ApiService extends KubeObject {
  spec: {
    group?: string; version?: string; groupPriorityMinimum: number; versionPriority: number; caBundle?: string; insecureSkipTLSVerify?: boolean;
    service?: { namespace?: string; name?: string; port?: number };
  };
  status: { conditions?: Condition[] };
}

/** Minimum priority of the group and priority of the version. Follows apiVersionPriorities. */
const PRIORITIES: Readonly<Record<string, readonly [number, number]>> = {
  "/v1": [18000, 1], "apps/v1": [17800, 15], "events.k8s.io/v1": [17750, 15], "authentication.k8s.io/v1": [17700, 15], "authorization.k8s.io/v1": [17600, 15],
  "autoscaling/v1": [17500, 15], "autoscaling/v2": [17500, 30], "batch/v1": [17400, 15], "certificates.k8s.io/v1": [17300, 15],
  "networking.k8s.io/v1": [17200, 15], "policy/v1": [17100, 15], "rbac.authorization.k8s.io/v1": [17000, 15], "storage.k8s.io/v1": [16800, 15],
  "apiextensions.k8s.io/v1": [16700, 15], "admissionregistration.k8s.io/v1": [16700, 15], "scheduling.k8s.io/v1": [16600, 15],
  "coordination.k8s.io/v1": [16500, 15], "node.k8s.io/v1": [16300, 15], "discovery.k8s.io/v1": [16200, 15], "flowcontrol.apiserver.k8s.io/v1": [16100, 21],
};
/** What custom resources get (crdRegistrationController). */
const CUSTOM_PRIORITY = [1000, 100] as const;

const LOCAL = { type: "Available", status: "True", reason: "Local", message: "Local APIServices are always available" };

/** Follows ValidateAPIService. */
function validate({ metadata, spec }: ApiService, errors: FieldErrors): void {
  const { group = "", version = "", service, caBundle = "", insecureSkipTLSVerify = false } = spec;
  const required = `${version}.${group}`;
  genericMeta({ metadata }, false, (name) => {
    const unfit = pathSegment(name);
    return unfit.length > 0 || name === required ? unfit : [`must be \`spec.version+"."+spec.group\`: ${JSON.stringify(required)}`];
  }, errors);
  if (group === "" && version !== "v1") errors.required("spec.group", "only v1 may have an empty group and it better be legacy kube");
  if (group !== "") errors.invalidAll("spec.group", group, dnsSubdomain(group));
  errors.invalidAll("spec.version", version, dns1035(version));
  const priority = (field: "groupPriorityMinimum" | "versionPriority", max: number): void => {
    const value = spec[field] ?? 0;
    if (value <= 0 || value > max) errors.invalid(`spec.${field}`, value, `must be positive and less than ${max}`);
  };
  priority("groupPriorityMinimum", 20000);
  priority("versionPriority", 1000);
  if (service === undefined) {
    if (caBundle !== "") errors.invalid("spec.caBundle", `${atob(caBundle).length} bytes`, "local APIServices may not have a caBundle");
    if (insecureSkipTLSVerify) errors.invalid("spec.insecureSkipTLSVerify", true, "local APIServices may not have insecureSkipTLSVerify");
    return;
  }
  if ((service.namespace ?? "") === "") errors.required("spec.service.namespace");
  if ((service.name ?? "") === "") errors.required("spec.service.name");
  const { port = 443 } = service;
  if (port < 1 || port > 65535) errors.invalid("spec.service.port", port, "port is not valid: must be between 1 and 65535, inclusive");
  if (insecureSkipTLSVerify && caBundle !== "") errors.invalid("spec.insecureSkipTLSVerify", true, "may not be true if caBundle is present");
}

export interface ApiServices {
  readonly descriptor: Descriptor;
  /** Registers what is served, and forgets custom resources that are no more. */
  register(registry: readonly Descriptor[]): Promise<void>;
}

export function createApiServices({ storage, clock, random }: Pick<DynamicOptions, "storage" | "clock" | "random">): ApiServices {
  const uids = random.fork("apiservices");
  const now = (): string => formatTime(clock.nowMs());
  let watching = false;

  const descriptor: Descriptor<ApiService> = {
    name: { group: GROUP, version: "v1", kind: "APIService", resource: "apiservices", namespaced: false },
    scheme: "k8s.io/kube-aggregator/pkg/apiserver/scheme/scheme.go:28",
    storagePrefix: PREFIX,
    hasStatus: true,
    allowUnconditionalUpdate: false,
    whole: true,
    validateName: pathSegment,
    setDefaults({ spec }) {
      if (spec.service !== undefined) spec.service.port ??= 443;
    },
    prepareForCreate(object) {
      object.status = object.spec.service === undefined ? { conditions: [{ ...LOCAL, lastTransitionTime: now() }] } : {};
    },
    prepareForUpdate(object, old) {
      object.status = old.status;
    },
    prepareForStatusUpdate(object, old) {
      object.spec = old.spec;
      const { labels: _labels, annotations: _annotations, finalizers: _finalizers, ownerReferences: _owners, ...sent } = object.metadata;
      const { labels, annotations, finalizers, ownerReferences } = old.metadata;
      object.metadata = {
        ...sent, ...(labels && { labels }), ...(annotations && { annotations }), ...(finalizers && { finalizers }), ...(ownerReferences && { ownerReferences }),
      };
    },
    validate,
    validateUpdate(object, old, errors) {
      objectMetaUpdate(object, old, errors);
      validate(object, errors);
    },
    validateStatusUpdate(object, old, errors) {
      objectMetaUpdate(object, old, errors);
      for (const [i, { status }] of (object.status.conditions ?? []).entries())
        if (status !== "True" && status !== "False" && status !== "Unknown") errors.notSupported(`status.conditions[${i}].status`, status, ["False", "True", "Unknown"]);
    },
    committed: ({ metadata }) => check(metadata.name),
  };

  /** Writes the condition that holds now. */
  async function check(name: string): Promise<void> {
    const found = (await storage.get(`${KEYS}${name}`)) as KeyValue<ApiService> | undefined;
    if (found === undefined) return;
    const { value, key, modRevision } = found;
    const condition = await available(value.spec);
    const conditions = value.status.conditions ?? [];
    const before = conditions.find(({ type }) => type === "Available");
    const time = before?.status === condition.status ? before.lastTransitionTime! : now();
    const after: Condition = { type: "Available", status: condition.status, lastTransitionTime: time, reason: condition.reason, message: condition.message };
    if (deepEqual(before, after)) return;
    const next: ApiService = { ...value, metadata: { ...value.metadata }, status: { conditions: [...conditions.filter((c) => c !== before), after] } };
    if (value.metadata.managedFields !== undefined) next.metadata.managedFields = managed(next, value, "status");
    await storage.txn([{ key, modRevision }], [{ type: "put", key, value: next }]);
  }

  const managed = (after: ApiService, before: ApiService | undefined, subresource: string): NonNullable<KubeObject["metadata"]["managedFields"]> =>
    updateManagedFields({
      type: "APIService", apiVersion: after.apiVersion, before: (before ?? emptyStruct("APIService")) as unknown as Record<string, unknown>, after: after as unknown as Record<string, unknown>,
      managed: before?.metadata.managedFields ?? [], manager: MANAGER, subresource, reset: [subresource === "" ? "status" : "spec"], time: now(),
    });

  /** Follows remote_available_controller.go. */
  async function available({ service, group, version }: ApiService["spec"]): Promise<Condition> {
    if (service === undefined) return LOCAL;
    watchServices();
    const failed = (reason: string, message: string): Condition => ({ type: "Available", status: "False", reason, message });
    const { namespace, name, port = 443 } = service;
    const where = `service/${name} in ${JSON.stringify(namespace)}`;
    const found = (await storage.get(`/registry/services/specs/${namespace}/${name}`))?.value as Any;
    if (found === undefined) return failed("ServiceNotFound", `${where} is not present`);
    if (found.spec.type === "ClusterIP") {
      const open = found.spec.ports?.find((p: Any) => p.port === port);
      if (open === undefined) return failed("ServicePortError", `${where} is not listening on port ${port}`);
      const endpoints = (await storage.get(`/registry/services/endpoints/${namespace}/${name}`))?.value as Any;
      if (endpoints === undefined) return failed("EndpointsNotFound", `cannot find endpoints for ${where}`);
      const ready = endpoints.subsets?.some((s: Any) => (s.addresses ?? []).length > 0 && s.ports?.some((p: Any) => (p.name ?? "") === (open.name ?? "")));
      if (ready !== true) return failed("MissingEndpoints", `endpoints for ${where} have no addresses with port name ${JSON.stringify(open.name ?? "")}`);
    }
    const url = `https://${found.spec.clusterIP}:${port}/apis/${group}/${version}`;
    return failed("FailedDiscoveryCheck", `failing or missing response from ${url}: Get ${JSON.stringify(url)}: dial tcp ${found.spec.clusterIP}:${port}: connect: network is unreachable`);
  }

  /** Once an API of another server is declared, its condition follows the services. */
  function watchServices(): void {
    if (watching) return;
    watching = true;
    const event = (): void => {
      void storage.range(KEYS).then(async ({ items }) => {
        for (const { value } of items) if ((value as ApiService).spec.service !== undefined) await check(value.metadata.name);
      }).catch(() => {});
    };
    void storage.revision().then((revision) => {
      storage.watch("/registry/services/", revision, { event });
    }, () => {});
  }

  async function register(registry: readonly Descriptor[]): Promise<void> {
    const wanted = new Map<string, ApiService["spec"] & { custom: boolean }>();
    for (const { name: { group, version }, custom } of registry) {
      const [groupPriorityMinimum, versionPriority] = custom === undefined ? PRIORITIES[`${group}/${version}`] ?? [] : CUSTOM_PRIORITY;
      if (groupPriorityMinimum !== undefined) wanted.set(`${version}.${group}`, { ...(group === "" ? {} : { group }), version, groupPriorityMinimum, versionPriority: versionPriority!, custom: custom !== undefined });
    }
    for (const { key, value, modRevision } of (await storage.range(KEYS)).items)
      if (value.metadata.labels?.[AUTOMANAGED] === "true" && !wanted.delete(value.metadata.name)) await storage.txn([{ key, modRevision }], [{ type: "delete", key }]);
    const time = now();
    for (const [name, { custom, ...spec }] of wanted) {
      const key = `${KEYS}${name}`;
      if ((await storage.get(key)) !== undefined) continue;
      const metadata = { name, uid: newUid(uids), creationTimestamp: time, labels: { [AUTOMANAGED]: custom ? "true" : "onstart" }, resourceVersion: "" };
      const value: ApiService = { kind: "APIService", apiVersion: `${GROUP}/v1`, metadata, spec, status: { conditions: [{ ...LOCAL, lastTransitionTime: time }] } };
      value.metadata.managedFields = managed(value, undefined, "");
      await storage.txn([{ key, modRevision: 0 }], [{ type: "put", key, value }]);
    }
  }

  return { descriptor: descriptor as unknown as Descriptor, register };
}
