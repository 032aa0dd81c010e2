/**
 * DefaultStorageClass, StorageObjectInUseProtection and PersistentVolumeClaimResize. Follow plugin/pkg/admission/storage and
 * pkg/volume/util/storageclass.go (GetDefaultClass).
 */
import type { KubeObject } from "../../../apimachinery/meta.ts";
import { parseQuantity } from "../../../apimachinery/quantity.ts";
import { forbidden, isAbout, type AdmissionPlugin, type Any } from "./types.ts";

const IS_DEFAULT = ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
const CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class";

/** Of those that an annotation marks as the default the newest, and of those the first by name. */
export function newestDefault(objects: readonly KubeObject[], annotations: readonly string[]): KubeObject | undefined {
  let best: KubeObject | undefined;
  for (const object of objects) {
    if (!annotations.some((name) => object.metadata.annotations?.[name] === "true")) continue;
    const [age, bestAge] = [object.metadata.creationTimestamp ?? "", best?.metadata.creationTimestamp ?? ""];
    if (best === undefined || age > bestAge || (age === bestAge && object.metadata.name < best.metadata.name)) best = object;
  }
  return best;
}

export const defaultStorageClass: AdmissionPlugin = {
  name: "DefaultStorageClass",
  resources: ["persistentvolumeclaims"],
  async admit(request, context) {
    if (!isAbout(request, "", "persistentvolumeclaims") || request.operation !== "CREATE") return;
    const claim = request.object as Any;
    if (claim.spec.storageClassName !== undefined || claim.metadata.annotations?.[CLASS_ANNOTATION] !== undefined) return;
    const found = newestDefault(await context.list("storageclasses", ""), IS_DEFAULT);
    if (found !== undefined) claim.spec.storageClassName = found.metadata.name;
  },
};

const PROTECTION: Readonly<Record<string, string>> = { persistentvolumeclaims: "kubernetes.io/pvc-protection", persistentvolumes: "kubernetes.io/pv-protection" };

export const storageObjectInUseProtection: AdmissionPlugin = {
  name: "StorageObjectInUseProtection",
  resources: ["persistentvolumeclaims", "persistentvolumes"],
  admit(request) {
    if (request.operation !== "CREATE" || request.subresource !== "" || request.descriptor.name.group !== "") return;
    const finalizer = PROTECTION[request.descriptor.name.resource];
    if (finalizer === undefined) return;
    const { metadata } = request.object as KubeObject;
    if (metadata.finalizers?.includes(finalizer) !== true) metadata.finalizers = [...(metadata.finalizers ?? []), finalizer];
  },
};

export const persistentVolumeClaimResize: AdmissionPlugin = {
  name: "PersistentVolumeClaimResize",
  resources: ["persistentvolumeclaims"],
  async validate(request, context) {
    if (!isAbout(request, "", "persistentvolumeclaims") || request.operation !== "UPDATE") return;
    const [claim, old] = [request.object as Any, request.old as Any];
    const size = (of: Any): bigint => parseQuantity(of.spec.resources?.requests?.storage ?? "0").nano;
    if (size(claim) <= size(old)) return;
    if (old.status?.phase !== "Bound") throw forbidden(request, "Only bound persistent volume claims can be expanded");
    const classOf = (of: Any): string => of.metadata.annotations?.[CLASS_ANNOTATION] ?? of.spec.storageClassName ?? "";
    const name = classOf(claim);
    const storageClass = name === "" || name !== classOf(old) ? undefined : ((await context.find("storageclasses", "", name)) as Any);
    if (storageClass?.allowVolumeExpansion !== true)
      throw forbidden(request, "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize");
  },
};
