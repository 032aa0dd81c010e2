/**
 * JSON as Go writes it, for messages that quote objects: a struct's fields in the order of its declaration, a map's keys sorted, `<`, `>`
 * and `&` escaped. Follows encoding/json; the order is that of types.go of each group.
 */
import { structOf } from "../../api/schema.ts";
import type { FieldType, StructType } from "../../api/schema.ts";
import { fieldNumbers } from "./protobuf.ts";

type Json = Record<string, unknown>;
const isMap = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);

/** JSON with sorted keys. */
export function goJson(value: unknown): string {
  return escaped(JSON.stringify(sorted(value)));
}

const escaped = (text: string): string => text.replace(/[<>&\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isMap(value)) return value;
  const out: Json = {};
  for (const key of Object.keys(value).sort()) out[key] = sorted(value[key]);
  return out;
}

/**
 * The text of a patched object: what the patch did not go through stands as the server's encoder wrote it, the rest as maps.
 * Follows evanphx/json-patch, whose documents are read only where a patch leads.
 */
export function patchedJson(type: string, patched: unknown, contentType: string, patch: unknown): string {
  const text = inOrder({ kind: "struct", name: type }, patched);
  if (contentType === "application/merge-patch+json") return escaped(JSON.stringify(mergedInto(text, patch, isMap(patch))));
  return escaped(JSON.stringify((Array.isArray(patch) ? patch : []).reduce(walked, sortedTop(text))));
}

/** Where a merge patch leads, keys are sorted; what it brings is sorted as a whole. */
function mergedInto(value: unknown, patch: unknown, through: boolean): unknown {
  if (!through || !isMap(value)) return sorted(value);
  const out: Json = {};
  for (const key of Object.keys(value).sort()) out[key] = isMap(patch) && patch[key] !== undefined ? mergedInto(value[key], patch[key], isMap(patch[key])) : value[key];
  return out;
}

const sortedTop = (value: unknown): unknown => (isMap(value) ? Object.fromEntries(Object.keys(value).sort().map((key) => [key, value[key]])) : value);

/** The documents on the ways of an operation of a JSON patch, sorted. */
function walked(root: unknown, operation: unknown): unknown {
  if (!isMap(operation)) return root;
  const { path, from } = operation;
  return [path, from].filter((way) => typeof way === "string").reduce((value: unknown, way) => along(value, way.split("/").slice(1, -1).map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"))), root);
}

function along(value: unknown, [step, ...rest]: readonly string[]): unknown {
  if (Array.isArray(value)) return step === undefined ? value : value.map((item: unknown, i) => (String(i) === step ? along(item, rest) : item));
  const top = sortedTop(value);
  if (step === undefined || !isMap(top) || top[step] === undefined) return top;
  return { ...top, [step]: along(top[step], rest) };
}

/** A value with the fields of its structs in Go's order; unknown ones come last. */
function inOrder(type: FieldType | undefined, value: unknown): unknown {
  if (type === undefined || typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return type.kind === "list" ? value.map((item) => inOrder(type.of, item)) : value;
  if (type.kind === "map") return Object.fromEntries(Object.keys(value).sort().map((key) => [key, inOrder(type.of, (value as Json)[key])]));
  const struct = structOf(type);
  if (struct === undefined) return sorted(value);
  const from = value as Json;
  const out: Json = {};
  for (const name of orderOf(struct)) if (from[name] !== undefined) out[name] = inOrder(struct.fields.get(name)?.type, from[name]);
  for (const name in from) if (!(name in out)) out[name] = from[name];
  return out;
}

const orders = new Map<string, readonly string[]>();

/** The fields of a struct as they are declared: by number, but for those that joined later in the midst of others. */
export function orderOf({ name, fields }: StructType): readonly string[] {
  const known = orders.get(name);
  if (known !== undefined) return known;
  const numbered = fieldNumbers(name);
  const out = [...["kind", "apiVersion"].filter((field) => !numbered.includes(field)), ...numbered].filter((field) => fields.has(field));
  for (const field of fields.keys()) if (!out.includes(field)) out.push(field);
  for (const move of moves().get(name) ?? []) {
    const [field = "", after = ""] = move.split(">");
    if (!out.includes(field)) continue;
    out.splice(out.indexOf(field), 1);
    out.splice(out.indexOf(after) + 1, 0, field);
  }
  orders.set(name, out);
  return out;
}

let parsed: Map<string, readonly string[]> | undefined;
function moves(): Map<string, readonly string[]> {
  if (parsed !== undefined) return parsed;
  parsed = new Map();
  for (const line of MOVED.trim().split("\n")) {
    const [names = "", ...list] = line.split(" ");
    for (const name of names.split(",")) parsed.set(name, list);
  }
  return parsed;
}

/** Types, and their fields that stand behind another one than their number says (types.go, v0.32): `field>predecessor`, in this order. */
const MOVED = `
MutatingWebhook,ValidatingWebhook matchPolicy>failurePolicy objectSelector>namespaceSelector reinvocationPolicy>admissionReviewVersions
OwnerReference apiVersion>
ManagedFieldsEntry manager> operation>manager
DeploymentCondition lastUpdateTime>status lastTransitionTime>lastUpdateTime
DeploymentStatus readyReplicas>updatedReplicas
ReplicaSetSpec,ReplicationControllerSpec minReadySeconds>replicas
ReplicaSetStatus,ReplicationControllerStatus observedGeneration>availableReplicas
TokenRequestSpec expirationSeconds>audiences
HPAScalingRules stabilizationWindowSeconds>
CronJobSpec timeZone>schedule
JobSpec podFailurePolicy>activeDeadlineSeconds successPolicy>podFailurePolicy backoffLimit>successPolicy backoffLimitPerIndex>backoffLimit maxFailedIndexes>backoffLimitPerIndex
JobStatus terminating>failed failedIndexes>completedIndexes
CertificateSigningRequestSpec signerName>request expirationSeconds>signerName usages>expirationSeconds
ConfigMap immutable>metadata
Secret immutable>metadata stringData>data
Container,EphemeralContainer envFrom>ports resizePolicy>resources restartPolicy>resizePolicy volumeDevices>volumeMounts startupProbe>readinessProbe terminationMessagePolicy>terminationMessagePath
NodeSpec podCIDRs>podCIDR externalID>configSource
NodeStatus nodeInfo>daemonEndpoints
PersistentVolumeClaimSpec selector>accessModes
PodSecurityContext windowsOptions>seLinuxOptions runAsGroup>runAsUser supplementalGroupsPolicy>supplementalGroups
SecurityContext windowsOptions>seLinuxOptions runAsGroup>runAsUser
PodSpec initContainers>volumes ephemeralContainers>containers automountServiceAccountToken>serviceAccount shareProcessNamespace>hostIPC hostAliases>tolerations
PodStatus nominatedNodeName>reason hostIPs>hostIP podIPs>podIP initContainerStatuses>startTime
VolumeMount recursiveReadOnly>readOnly
ServicePort appProtocol>protocol
ServiceSpec clusterIPs>clusterIP ipFamilies>sessionAffinityConfig ipFamilyPolicy>ipFamilies
EndpointSlice addressType>metadata
HTTPIngressPath pathType>path
IngressSpec ingressClassName>
`;
