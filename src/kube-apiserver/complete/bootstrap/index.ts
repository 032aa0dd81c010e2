/**
 * What a whole API server has made when it is ready, beside what every cluster has (`../../bootstrap.ts`). Follows the
 * post-start hooks of pkg/controlplane and pkg/registry: rbac/bootstrap-roles, scheduling/bootstrap-system-priority-classes,
 * priority-and-fairness-config-producer, start-cluster-authentication-info-controller, start-kube-apiserver-identity-lease-controller,
 * start-legacy-token-tracking-controller, and the endpoint reconciler.
 *
 * The objects are known to be valid, so they go into the store as they are, each in a transaction of its own.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { deepEqual } from "../../../apimachinery/meta.ts";
import type { KubeObject } from "../../../apimachinery/meta.ts";
import { newUid } from "../../../apimachinery/names.ts";
import { formatMicroTime, formatTime } from "../../../apimachinery/time.ts";
import type { BootstrapOptions } from "../../extension.ts";
import type { FieldSet } from "../../managed-fields.ts";
import { flowSchemas, priorityLevels } from "./flow-control.ts";
import {
  CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, CONTROLLER_ROLES, NAMESPACE_ROLE_BINDINGS, NAMESPACE_ROLES, readBindings, readRoles,
} from "./policy.ts";
import type { PolicyBinding, PolicyRole } from "./policy.ts";
import { AUTOUPDATE, reconcile } from "./reconcile.ts";
import type { RbacObject } from "./reconcile.ts";

type Json = Record<string, unknown>;

const RBAC = "rbac.authorization.k8s.io";
const FLOWCONTROL = "flowcontrol.apiserver.k8s.io/v1";
const CONTROLLER = "system:controller:";
/** The annotation of flow schemas and priority levels whose spec a start restores. */
const AUTOUPDATE_SPEC = "apf.kubernetes.io/autoupdate-spec";
/** The host that the server says it runs on. */
const HOSTNAME = "kube-apiserver";

/** An object without what the server decides. */
interface Template extends Json {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Record<string, string>; readonly annotations?: Record<string, string> };
}

/** An object to be made. */
interface Wanted {
  readonly key: string;
  readonly object: Template;
  /** The fields that the object's maker owns, without those of its metadata. */
  readonly fields: FieldSet;
  readonly manager?: string;
  readonly generation?: true;
  /** What follows from the object at once, and whose fields that is: its status. */
  readonly status?: { readonly value: (time: string) => unknown; readonly manager: string; readonly fields: FieldSet };
  /** The object that is there already as it should be, or `object` to replace it; undefined when it may stay. */
  restore?(existing: KubeObject): KubeObject | Template | undefined;
}

const leaves = (...names: string[]): FieldSet => Object.fromEntries(names.map((name) => [`f:${name}`, {}]));
const owned = (names: FieldSet): FieldSet => ({ ".": {}, ...names });

/** Makes what is not there, and restores what a start restores. */
export async function bootstrapAll(options: BootstrapOptions): Promise<void> {
  const { storage, clock } = options;
  const random = options.random.fork("bootstrap");
  for (const wanted of allWanted(options, random)) {
    const { key, object } = wanted;
    const existing = await storage.get(key);
    const time = formatTime(clock.nowMs());
    if (existing === undefined) await storage.txn([{ key, modRevision: 0 }], [{ type: "put", key, value: born(wanted, newUid(random), time) }]);
    else {
      const restored = wanted.restore?.(existing.value);
      if (restored === undefined) continue;
      const value = restored === object ? born(wanted, newUid(random), time) : ({ ...restored, metadata: { ...restored.metadata } } as KubeObject);
      await storage.txn([{ key, modRevision: existing.modRevision }], [{ type: "put", key, value }]);
    }
  }
}

/** The object with its identity and managed fields. */
function born(wanted: Wanted, uid: string, time: string): KubeObject {
  const { object, status, manager = "kube-apiserver" } = wanted;
  const { apiVersion, kind, metadata, ...rest } = object;
  const own: FieldSet = { ...wanted.fields };
  const meta: FieldSet = {};
  for (const name of ["annotations", "labels"] as const) if (metadata[name] !== undefined) meta[`f:${name}`] = owned(leaves(...Object.keys(metadata[name]).sort()));
  if (Object.keys(meta).length > 0) own["f:metadata"] = meta;
  const entry = { operation: "Update", apiVersion, time, fieldsType: "FieldsV1" };
  const managedFields = [{ manager, ...entry, fieldsV1: own }];
  if (status !== undefined) managedFields.unshift({ manager: status.manager, ...entry, operation: "Apply", fieldsV1: status.fields, ...{ subresource: "status" } });
  return {
    apiVersion, kind,
    metadata: { ...metadata, uid, ...(wanted.generation ? { generation: 1 } : {}), creationTimestamp: time, managedFields },
    ...rest,
    ...(status === undefined ? {} : { status: status.value(time) }),
  } as unknown as KubeObject;
}

function* allWanted(options: BootstrapOptions, random: BootstrapOptions["random"]): Generator<Wanted> {
  yield* flowControl();
  yield* priorityClasses();
  yield* rbac();
  yield* ofTheServer(options, random);
}

function* flowControl(): Generator<Wanted> {
  const common = { manager: "api-priority-and-fairness-config-producer-v1", generation: true } as const;
  const make = (kind: string, prefix: string, name: string, spec: Json): Pick<Wanted, "key" | "object" | "restore"> => ({
    key: `/registry/${prefix}/${name}`,
    object: { apiVersion: FLOWCONTROL, kind, metadata: { name, annotations: { [AUTOUPDATE_SPEC]: "true" } }, spec, ...(kind === "FlowSchema" ? {} : { status: {} }) },
    restore(existing) {
      const found = existing as KubeObject & { spec: unknown };
      if (existing.metadata.annotations?.[AUTOUPDATE_SPEC] !== "true" || deepEqual(found.spec, spec)) return undefined;
      return { ...found, spec, metadata: { ...found.metadata, generation: (found.metadata.generation ?? 0) + 1 } } as KubeObject;
    },
  });
  for (const [name, spec] of Object.entries(priorityLevels()))
    yield { ...common, ...make("PriorityLevelConfiguration", "prioritylevelconfigurations", name, spec), fields: { "f:spec": fieldsOf(spec) } };
  const condition = { "k:{\"type\":\"Dangling\"}": owned(leaves("lastTransitionTime", "message", "reason", "status", "type")) };
  for (const [name, spec] of Object.entries(flowSchemas())) {
    const { distinguisherMethod } = spec;
    const level = (spec["priorityLevelConfiguration"] as { name: string }).name;
    const message = `This FlowSchema references the PriorityLevelConfiguration object named ${JSON.stringify(level)} and it exists`;
    yield {
      ...common,
      ...make("FlowSchema", "flowschemas", name, spec),
      fields: {
        "f:spec": {
          ...(distinguisherMethod === undefined ? {} : { "f:distinguisherMethod": owned(leaves("type")) }),
          ...leaves("matchingPrecedence"), "f:priorityLevelConfiguration": leaves("name"), ...leaves("rules"),
        },
      },
      status: {
        manager: "api-priority-and-fairness-config-consumer-v1",
        fields: { "f:status": { "f:conditions": condition } },
        value: (time) => ({ conditions: [{ type: "Dangling", status: "False", lastTransitionTime: time, reason: "Found", message }] }),
      },
    };
  }
}

/** The fields of a value all of whose structs are pointers or have their fields set, in order. */
function fieldsOf(value: Json): FieldSet {
  const out: FieldSet = {};
  for (const key of Object.keys(value).sort()) {
    const member = value[key];
    out[`f:${key}`] = typeof member === "object" && member !== null ? owned(fieldsOf(member as Json)) : {};
  }
  return out;
}

function* priorityClasses(): Generator<Wanted> {
  const classes: [string, number, string][] = [
    ["system-node-critical", 2_000_001_000, "Used for system critical pods that must not be moved from their current node."],
    ["system-cluster-critical", 2_000_000_000, "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary."],
  ];
  for (const [name, value, description] of classes) {
    yield {
      key: `/registry/priorityclasses/${name}`,
      object: { apiVersion: "scheduling.k8s.io/v1", kind: "PriorityClass", metadata: { name }, value, description, preemptionPolicy: "PreemptLowerPriority" },
      fields: leaves("description", "preemptionPolicy", "value"),
      generation: true,
    };
  }
}

function* rbac(): Generator<Wanted> {
  const controllers = readRoles(CONTROLLER_ROLES);
  for (const role of readRoles(CLUSTER_ROLES)) yield roleOf("ClusterRole", undefined, role);
  for (const role of controllers) yield roleOf("ClusterRole", undefined, { ...role, name: `${CONTROLLER}${role.name}` });
  for (const binding of readBindings(CLUSTER_ROLE_BINDINGS)) yield bindingOf("ClusterRole", undefined, binding);
  for (const { name } of controllers) {
    const role = `${CONTROLLER}${name}`;
    yield bindingOf("ClusterRole", undefined, { name: role, role, subjects: [{ kind: "ServiceAccount", name, namespace: "kube-system" }] });
  }
  for (const namespace in NAMESPACE_ROLES) for (const role of readRoles(NAMESPACE_ROLES[namespace]!)) yield roleOf("Role", namespace, role);
  for (const namespace in NAMESPACE_ROLE_BINDINGS) for (const binding of readBindings(NAMESPACE_ROLE_BINDINGS[namespace]!)) yield bindingOf("Role", namespace, binding);
}

const aggregateTo = (name: string): Record<string, string> => ({ [`${RBAC}/aggregate-to-${name}`]: "true" });

function rbacObject(kind: string, namespace: string | undefined, name: string, labels: Record<string, string>, rest: Json, fields: FieldSet): Wanted {
  const object = {
    apiVersion: `${RBAC}/v1`, kind,
    metadata: {
      name, ...(namespace === undefined ? {} : { namespace }),
      labels: { "kubernetes.io/bootstrapping": "rbac-defaults", ...labels }, annotations: { [AUTOUPDATE]: "true" },
    },
    ...rest,
  };
  return {
    key: `/registry/${kind.toLowerCase()}s/${namespace === undefined ? "" : `${namespace}/`}${name}`,
    object, fields,
    restore: (existing) => reconcile(existing as RbacObject, object as unknown as RbacObject),
  };
}

function roleOf(kind: string, namespace: string | undefined, { name, partOf, whole, rules }: PolicyRole): Wanted {
  const labels = partOf === undefined ? {} : aggregateTo(partOf);
  if (!whole) return rbacObject(kind, namespace, name, labels, { rules }, leaves("rules"));
  const aggregationRule = { clusterRoleSelectors: [{ matchLabels: aggregateTo(name) }] };
  return rbacObject(kind, namespace, name, labels, { aggregationRule, rules: null }, { "f:aggregationRule": owned(leaves("clusterRoleSelectors")) });
}

function bindingOf(kind: string, namespace: string | undefined, { name, role, subjects }: PolicyBinding): Wanted {
  const roleRef = { apiGroup: RBAC, kind, name: role };
  if (subjects.length === 0) return rbacObject(`${kind}Binding`, namespace, name, {}, { roleRef }, leaves("roleRef"));
  return rbacObject(`${kind}Binding`, namespace, name, {}, { subjects, roleRef }, leaves("roleRef", "subjects"));
}

/** What tells of the server itself. */
function* ofTheServer({ clock, advertiseAddress, advertisePort, clientCA }: BootstrapOptions, random: BootstrapOptions["random"]): Generator<Wanted> {
  yield {
    key: "/registry/services/endpoints/default/kubernetes",
    object: {
      apiVersion: "v1", kind: "Endpoints",
      metadata: { name: "kubernetes", namespace: "default", labels: { "endpointslice.kubernetes.io/skip-mirror": "true" } },
      subsets: [{ addresses: [{ ip: advertiseAddress }], ports: [{ name: "https", port: advertisePort, protocol: "TCP" }] }],
    },
    fields: leaves("subsets"),
  };
  const configMap = (name: string, key: string, value: string): Wanted => ({
    key: `/registry/configmaps/kube-system/${name}`,
    object: { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: "kube-system" }, data: { [key]: value } },
    fields: { "f:data": owned(leaves(key)) },
  });
  // Without an authority for clients there is nothing to tell, and the ConfigMap is not made.
  if (clientCA !== undefined) yield configMap("extension-apiserver-authentication", "client-ca-file", clientCA);
  yield configMap("kube-apiserver-legacy-service-account-token-tracking", "since", formatTime(clock.nowMs()).slice(0, 10));
  const identity = `apiserver-${base32(sha256(new TextEncoder().encode(HOSTNAME)).subarray(0, 16))}`;
  yield {
    key: `/registry/leases/kube-system/${identity}`,
    object: {
      apiVersion: "coordination.k8s.io/v1", kind: "Lease",
      metadata: { name: identity, namespace: "kube-system", labels: { "apiserver.kubernetes.io/identity": "kube-apiserver", "kubernetes.io/hostname": HOSTNAME } },
      spec: { holderIdentity: `${identity}_${newUid(random)}`, leaseDurationSeconds: 3600, renewTime: formatMicroTime(clock.nowMs()) },
    },
    fields: { "f:spec": leaves("holderIdentity", "leaseDurationSeconds", "renewTime") },
  };
}

/** RFC 4648 section 6 in small letters, without padding. */
function base32(bytes: Uint8Array): string {
  let out = "";
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) out += "abcdefghijklmnopqrstuvwxyz234567"[(held >>> (bits - 5)) & 31];
    held &= (1 << bits) - 1;
  }
  return bits > 0 ? out + "abcdefghijklmnopqrstuvwxyz234567"[(held << (5 - bits)) & 31] : out;
}
