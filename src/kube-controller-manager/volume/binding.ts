/**
 * Which volume fits a claim, and what either looks like bound. Pure. Follows k8s.io/component-helpers/storage/volume
 * (pv_helpers.go) and pkg/controller/volume/persistentvolume/index.go.
 */
import type { PersistentVolume, PersistentVolumeClaim } from "../../api/types.generated.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import { parseQuantity } from "../../apimachinery/quantity.ts";
import { labelSelector, matches } from "../../apimachinery/selectors.ts";

export type Volume = PersistentVolume & KubeObject;
export type Claim = PersistentVolumeClaim & KubeObject;

export const BIND_COMPLETED = "pv.kubernetes.io/bind-completed";
export const BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller";
export const PROVISIONED_BY = "pv.kubernetes.io/provisioned-by";
export const SELECTED_NODE = "volume.kubernetes.io/selected-node";
export const STORAGE_PROVISIONER = "volume.kubernetes.io/storage-provisioner";
export const BETA_STORAGE_PROVISIONER = "volume.beta.kubernetes.io/storage-provisioner";
const CLASS = "volume.beta.kubernetes.io/storage-class";

/** The class by its old annotation or its field; "" for none. */
export const classOf = ({ metadata, spec }: Volume | Claim): string => metadata.annotations?.[CLASS] ?? spec?.storageClassName ?? "";

export const claimKey = ({ namespace, name }: { namespace?: string | undefined; name?: string | undefined }): string => `${namespace}/${name}`;

const storage = (resources: Readonly<Record<string, string>> | undefined): bigint => parseQuantity(resources?.["storage"] ?? "0").nano;
const modeOf = ({ spec }: Volume | Claim): string => spec?.volumeMode ?? "Filesystem";

export function isBoundTo({ spec }: Volume, { metadata }: Claim): boolean {
  const ref = spec?.claimRef;
  if (ref === undefined || ref.name !== metadata.name || ref.namespace !== metadata.namespace) return false;
  return (ref.uid ?? "") === "" || ref.uid === metadata.uid;
}

export const modesDiffer = (claim: Claim, volume: Volume): boolean => modeOf(claim) !== modeOf(volume);

const hasModes = (claim: Claim, volume: Volume): boolean => (claim.spec.accessModes ?? []).every((mode) => volume.spec?.accessModes?.includes(mode) === true);

/** Why a volume that the claim names cannot be its. Follows checkVolumeSatisfyClaim. */
export function mismatch(volume: Volume, claim: Claim): string | undefined {
  if (volume.metadata.deletionTimestamp !== undefined) return `the volume is marked for deletion ${JSON.stringify(volume.metadata.name)}`;
  if (storage(volume.spec?.capacity) < storage(claim.spec.resources?.requests)) return "requested PV is too small";
  if (classOf(volume) !== classOf(claim)) return "storageClassName does not match";
  if (modesDiffer(claim, volume)) return "incompatible volumeMode";
  if (!hasModes(claim, volume)) return "incompatible accessMode";
  return undefined;
}

/**
 * The volume that is meant for the claim, or the smallest free one that fits, those with no more access modes than wanted first.
 * With `delayed` free ones are left to the scheduler. Follows findByClaim and FindMatchingVolume.
 */
export function findBestMatch(claim: Claim, volumes: readonly Volume[], delayed: boolean): Volume | undefined {
  const wanted = storage(claim.spec.resources?.requests);
  const selector = claim.spec.selector === undefined ? undefined : labelSelector(claim.spec.selector);
  const modes = (volume: Volume): number => volume.spec?.accessModes?.length ?? 0;
  const candidates = volumes.filter((volume) =>
    (volume.spec?.claimRef === undefined || isBoundTo(volume, claim)) && storage(volume.spec?.capacity) >= wanted &&
    !modesDiffer(claim, volume) && volume.metadata.deletionTimestamp === undefined && hasModes(claim, volume));
  const meant = candidates.find((volume) => isBoundTo(volume, claim));
  if (meant !== undefined) return meant;
  if (delayed) return undefined;
  return candidates
    .filter((volume) => volume.status?.phase === "Available" && (selector === undefined || matches(selector, volume.metadata.labels)) && classOf(volume) === classOf(claim))
    .sort((a, b) => modes(a) - modes(b) || Number(storage(a.spec?.capacity) - storage(b.spec?.capacity)) || (a.metadata.name < b.metadata.name ? -1 : 1))[0];
}
