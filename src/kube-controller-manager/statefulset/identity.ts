/** Which pods and claims a StatefulSet has: names, ordinals, storage, owners of claims. Pure. Follows pkg/controller/statefulset/stateful_set_utils.go. */
import type { ObjectMeta, OwnerReference, PersistentVolumeClaim, Pod, PodTemplateSpec, StatefulSet } from "../../api/types.generated.ts";
import { deepEqual, newControllerRef } from "../../apimachinery/meta.ts";
import type { Draft, KubeObject } from "../../apimachinery/meta.ts";
import { isPodAvailable, isPodReady } from "../controller-context.ts";
import { isTerminating, podFromTemplate, REVISION_HASH } from "../controller-utils.ts";

export type TypedSet = StatefulSet & KubeObject;

const POD_NAME_LABEL = "statefulset.kubernetes.io/pod-name";
const POD_INDEX_LABEL = "apps.kubernetes.io/pod-index";

/** The parent's name and the ordinal in the name of a pod; undefined where it has none. Follows getParentNameAndOrdinal. */
export function parentAndOrdinal(pod: { metadata: { name: string } }): { parent: string; ordinal: number } | undefined {
  const dash = pod.metadata.name.lastIndexOf("-");
  const text = pod.metadata.name.slice(dash + 1);
  if (dash < 1 || !/^\d+$/.test(text) || Number(text) > 0x7fffffff) return undefined;
  return { parent: pod.metadata.name.slice(0, dash), ordinal: Number(text) };
}

export const ordinalOf = (pod: { metadata: { name: string } }): number => parentAndOrdinal(pod)?.ordinal ?? -1;
export const replicasOf = (set: StatefulSet): number => set.spec.replicas ?? 1;
export const startOrdinal = (set: StatefulSet): number => set.spec.ordinals?.start ?? 0;
export const revisionOf = (pod: { metadata: { labels?: Record<string, string> | undefined } }): string => pod.metadata.labels?.[REVISION_HASH] ?? "";

export function inOrdinalRange(pod: { metadata: { name: string } }, set: StatefulSet): boolean {
  const ordinal = ordinalOf(pod);
  return ordinal >= startOrdinal(set) && ordinal < startOrdinal(set) + replicasOf(set);
}

/** A pod of the server, as opposed to one that is only wanted. */
export const isCreated = (pod: Draft<Pod>): pod is Pod => pod.status?.phase !== undefined;
export const isRunningAndReady = (pod: Draft<Pod>): boolean => isCreated(pod) && pod.status.phase === "Running" && isPodReady(pod);
export const isAvailable = (pod: Draft<Pod>, minReadySeconds: number, nowMs: number): boolean => isCreated(pod) && isPodAvailable(pod, minReadySeconds, nowMs);
export const isHealthy = (pod: Draft<Pod>): boolean => isRunningAndReady(pod) && pod.metadata?.deletionTimestamp === undefined;
export const nameOf = (pod: Draft<Pod>): string => pod.metadata!.name!;

const claimName = (template: PersistentVolumeClaim, set: StatefulSet, ordinal: number): string => `${template.metadata.name}-${set.metadata.name}-${ordinal}`;

/** The claims that a pod of this ordinal has. Follows getPersistentVolumeClaims. */
export function claimsOf(set: StatefulSet, ordinal: number): { volume: string; claim: Draft<PersistentVolumeClaim> & { metadata: { name: string; namespace: string } } }[] {
  return (set.spec.volumeClaimTemplates ?? []).map((template) => {
    const { creationTimestamp: _none, ...metadata } = template.metadata;
    return {
      volume: template.metadata.name,
      claim: {
        metadata: { ...metadata, name: claimName(template, set, ordinal), namespace: set.metadata.namespace!, labels: { ...metadata.labels, ...set.spec.selector.matchLabels } },
        spec: template.spec,
      },
    };
  });
}

/** Volumes of the claims, then the template's own that no claim takes over. Follows updateStorage. */
function withStorage(set: StatefulSet, ordinal: number, spec: Pod["spec"]): Pod["spec"] {
  const claims = claimsOf(set, ordinal);
  if (claims.length === 0) return spec;
  const volumes = claims.map(({ volume, claim }) => ({ name: volume, persistentVolumeClaim: { claimName: claim.metadata.name, readOnly: false } }));
  const names = new Set(volumes.map(({ name }) => name));
  return { ...spec, volumes: [...volumes, ...(spec.volumes ?? []).filter(({ name }) => !names.has(name))] };
}

const identityLabels = (set: StatefulSet, ordinal: number): Record<string, string> => ({ [POD_NAME_LABEL]: `${set.metadata.name}-${ordinal}`, [POD_INDEX_LABEL]: String(ordinal) });

/** The pod of an ordinal as a template has it. Follows newStatefulSetPod. */
export function newPod(set: TypedSet, template: PodTemplateSpec, revision: string, ordinal: number): Draft<Pod> {
  const draft = podFromTemplate(template, set);
  const name = `${set.metadata.name}-${ordinal}`;
  return {
    metadata: { ...draft.metadata, name, labels: { ...template.metadata.labels, ...identityLabels(set, ordinal), [REVISION_HASH]: revision } },
    spec: { ...withStorage(set, ordinal, template.spec), hostname: name, subdomain: set.spec.serviceName },
  };
}

/** Whether a pod that is missing is made of the current revision, not of the update. Follows isCurrentRevisionNeeded. */
export function isCurrentRevisionNeeded(set: StatefulSet, ordinal: number): boolean {
  const { type, rollingUpdate } = set.spec.updateStrategy;
  if (type !== "RollingUpdate") return false;
  return ordinal < startOrdinal(set) + (rollingUpdate === undefined ? set.status.currentReplicas ?? 0 : rollingUpdate.partition ?? 0);
}

/** Follows identityMatches. */
export function identityMatches(set: StatefulSet, pod: Pod): boolean {
  const parsed = parentAndOrdinal(pod);
  return parsed !== undefined && parsed.parent === set.metadata.name && pod.metadata.namespace === set.metadata.namespace && pod.metadata.labels?.[POD_NAME_LABEL] === pod.metadata.name;
}

/** Follows storageMatches. */
export function storageMatches(set: StatefulSet, pod: Pod): boolean {
  const ordinal = ordinalOf(pod);
  return ordinal >= 0 && claimsOf(set, ordinal).every(({ volume, claim }) =>
    pod.spec.volumes?.some((v) => v.name === volume && v.persistentVolumeClaim?.claimName === claim.metadata.name) === true);
}

/** The pod with the identity and the storage it has to have. */
export function corrected(set: StatefulSet, pod: Pod): Pod {
  const ordinal = ordinalOf(pod);
  return {
    ...pod,
    metadata: { ...pod.metadata, labels: { ...pod.metadata.labels, ...identityLabels(set, ordinal) } },
    spec: storageMatches(set, pod) ? pod.spec : withStorage(set, ordinal, pod.spec),
  };
}

// Owners of claims: persistentVolumeClaimRetentionPolicy.

const names = (ref: OwnerReference, owner: KubeObject): boolean => ref.kind === owner.kind && ref.name === owner.metadata.name && ref.apiVersion.split("/")[0] === owner.apiVersion.split("/")[0];
const refs = (object: { metadata: ObjectMeta }): readonly OwnerReference[] => object.metadata.ownerReferences ?? [];
const hasOwner = (claim: PersistentVolumeClaim, owner: KubeObject): boolean => refs(claim).some((ref) => ref.uid === owner.metadata.uid);

/** Whether a reference names the owner, but an earlier one of that name. Follows hasStaleOwnerRef. */
export const hasStaleOwner = (claim: PersistentVolumeClaim, owner: KubeObject): boolean => {
  const ref = refs(claim).find((r) => names(r, owner));
  return ref !== undefined && ref.uid !== owner.metadata.uid;
};

const hasUnexpectedController = (claim: PersistentVolumeClaim, set: KubeObject, pod: KubeObject): boolean =>
  refs(claim).some((ref) => ref.controller === true && ref.uid !== set.metadata.uid && ref.uid !== pod.metadata.uid);
const hasNonControllerOwner = (claim: PersistentVolumeClaim, set: KubeObject, pod: KubeObject): boolean =>
  refs(claim).some((ref) => (ref.uid === set.metadata.uid || ref.uid === pod.metadata.uid) && ref.controller !== true);

/** Who has to own a claim: the set, the pod, or nobody. */
function wantedOwner(set: TypedSet, pod: KubeObject): "set" | "pod" | undefined {
  const { whenDeleted, whenScaled } = set.spec.persistentVolumeClaimRetentionPolicy ?? {};
  if (whenScaled === "Delete" && !inOrdinalRange(pod, set)) return "pod";
  return whenDeleted === "Delete" ? "set" : undefined;
}

/** Follows isClaimOwnerUpToDate. */
export function isClaimOwnerUpToDate(claim: PersistentVolumeClaim, set: TypedSet, pod: KubeObject): boolean {
  // Owned by an earlier set or pod of these names: its garbage, not ours.
  if (hasStaleOwner(claim, set) || hasStaleOwner(claim, pod)) return true;
  const [bySet, byPod] = [hasOwner(claim, set), hasOwner(claim, pod)];
  if (hasUnexpectedController(claim, set, pod)) return !bySet && !byPod;
  if (hasNonControllerOwner(claim, set, pod)) return false;
  const wanted = wantedOwner(set, pod);
  return bySet === (wanted === "set") && byPod === (wanted === "pod");
}

/** The claim with the owners it has to have. Follows updateClaimOwnerRefForSetAndPod. */
export function withClaimOwner(claim: PersistentVolumeClaim, set: TypedSet, pod: KubeObject): PersistentVolumeClaim {
  const others = refs(claim).filter((ref) => !names(ref, set) && !names(ref, pod));
  const wanted = hasUnexpectedController(claim, set, pod) ? undefined : wantedOwner(set, pod);
  const ownerReferences = wanted === undefined ? others : [...others, newControllerRef(wanted === "set" ? set : pod)];
  return deepEqual(ownerReferences, refs(claim)) ? claim : { ...claim, metadata: { ...claim.metadata, ownerReferences } };
}

/** Whether claims are kept when the set shrinks: then none of a pod of that name can be stale. */
export const keepsWhenScaled = (set: StatefulSet): boolean => (set.spec.persistentVolumeClaimRetentionPolicy?.whenScaled ?? "Retain") === "Retain";

export { isTerminating };
