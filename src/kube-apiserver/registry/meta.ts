/**
 * Validation of metadata, the same for all kinds. Follows
 * k8s.io/apimachinery/pkg/api/validation/objectmeta.go.
 */
import { deepEqual } from "../../apimachinery/meta.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import type { ObjectMeta, OwnerReference } from "../../api/types.generated.ts";
import { validateDNS1123Label, validateLabelKey, validateLabelValue } from "../../apimachinery/validation.ts";
import type { FieldErrors } from "../field.ts";
import type { Descriptor } from "./descriptor.ts";

/** 256 KiB for all annotations together. */
const ANNOTATIONS_BYTES_MAX = 256 * 1024;

export function validateLabels(labels: Record<string, string> | undefined, path: string, errors: FieldErrors): void {
  for (const key of Object.keys(labels ?? {})) {
    errors.invalidAll(path, key, validateLabelKey(key));
    errors.invalidAll(path, labels![key], validateLabelValue(labels![key]!));
  }
}

export function validateAnnotations(annotations: Record<string, string> | undefined, path: string, errors: FieldErrors): void {
  let total = 0;
  for (const key of Object.keys(annotations ?? {})) {
    errors.invalidAll(path, key, validateLabelKey(key.toLowerCase()));
    total += key.length + annotations![key]!.length;
  }
  if (total > ANNOTATIONS_BYTES_MAX) errors.tooLong(path, ANNOTATIONS_BYTES_MAX);
}

/** A name that can be a segment of a path. Follows path.ValidatePathSegmentName. */
export function validatePathSegment(name: string): string[] {
  if (name === "." || name === "..") return [`may not be '${name}'`];
  return ["/", "%"].filter((c) => name.includes(c)).map((c) => `may not contain '${c}'`);
}

/** Follows ValidateObjectMeta. */
export function validateObjectMeta(object: KubeObject, descriptor: Pick<Descriptor, "name" | "validateName">, errors: FieldErrors, standardFinalizers = true): void {
  const meta = object.metadata;
  if (meta.generateName !== undefined) {
    // A generated name ends in letters and digits, so the prefix is judged as the start of a name.
    errors.invalidAll("metadata.generateName", meta.generateName, descriptor.validateName(meta.generateName.replace(/[-.]$/, "a")));
  }
  if (meta.name === undefined || meta.name === "") errors.required("metadata.name", "name or generateName is required");
  else errors.invalidAll("metadata.name", meta.name, descriptor.validateName(meta.name));
  if (descriptor.name.namespaced) {
    if (meta.namespace === undefined) errors.required("metadata.namespace");
    else errors.invalidAll("metadata.namespace", meta.namespace, validateDNS1123Label(meta.namespace));
  } else if (meta.namespace !== undefined) errors.forbidden("metadata.namespace", "not allowed on this type");
  if ((meta.generation ?? 0) < 0) errors.invalid("metadata.generation", meta.generation, "must be greater than or equal to 0");
  validateLabels(meta.labels, "metadata.labels", errors);
  validateAnnotations(meta.annotations, "metadata.annotations", errors);
  validateOwnerReferences(meta, errors);
  validateFinalizers(meta, standardFinalizers, errors);
}

function validateFinalizers(meta: ObjectMeta, standard: boolean, errors: FieldErrors): void {
  for (const [i, finalizer] of (meta.finalizers ?? []).entries()) {
    const path = `metadata.finalizers[${i}]`;
    const problems = validateLabelKey(finalizer);
    errors.invalidAll(path, finalizer, problems);
    if (standard && problems.length === 0 && !finalizer.includes("/") && !["orphan", "foregroundDeletion", "kubernetes"].includes(finalizer))
      errors.invalid(path, finalizer, "name is neither a standard finalizer name nor is it fully qualified");
  }
}

function validateOwnerReferences(meta: ObjectMeta, errors: FieldErrors): void {
  const path = "metadata.ownerReferences";
  let controller: string | undefined;
  for (const ref of meta.ownerReferences ?? []) {
    for (const field of ["apiVersion", "kind", "name", "uid"] as const)
      if (ref[field] === "") errors.invalid(`${path}.${field}`, ref[field], `${field === "apiVersion" ? "version" : field} must not be empty`);
    if (ref.apiVersion === "v1" && ref.kind === "Event") errors.invalidGo(path, goOwner(ref), "/v1, Kind=Event is disallowed from being an owner");
    if (ref.controller !== true) continue;
    const name = `${ref.kind}/${ref.name}`;
    if (controller === undefined) controller = name;
    else
      errors.invalidGo(path, `[]v1.OwnerReference{${meta.ownerReferences!.map(goOwner).join(", ")}}`,
        `Only one reference can have Controller set to true. Found "true" in references for ${controller} and ${name}`);
  }
}

/** As Go prints it; a pointer has some address. */
function goOwner({ apiVersion, kind, name, uid, controller, blockOwnerDeletion }: OwnerReference): string {
  const q = JSON.stringify;
  const pointer = (value: unknown): string => `(*bool)(${value === undefined ? "nil" : "0xc000000000"})`;
  return `v1.OwnerReference{APIVersion:${q(apiVersion)}, Kind:${q(kind)}, Name:${q(name)}, UID:${q(uid)}, Controller:${pointer(controller)}, BlockOwnerDeletion:${pointer(blockOwnerDeletion)}}`;
}

/** Follows ValidateObjectMetaUpdate. */
export function validateObjectMetaUpdate(object: KubeObject, old: KubeObject, errors: FieldErrors): void {
  const [meta, was] = [object.metadata, old.metadata];
  const immutable = (field: "name" | "namespace" | "uid"): void => {
    if (meta[field] !== was[field]) errors.invalid(`metadata.${field}`, meta[field] ?? "", "field is immutable");
  };
  immutable("name");
  immutable("namespace");
  immutable("uid");
  if (was.deletionTimestamp !== undefined) {
    const added = (meta.finalizers ?? []).filter((f) => was.finalizers?.includes(f) !== true).sort();
    if (added.length > 0)
      errors.forbidden("metadata.finalizers", `no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.map((f) => JSON.stringify(f)).join(", ")}}`);
  }
  if (!deepEqual(meta.deletionTimestamp, was.deletionTimestamp)) errors.list.push({ type: "FieldValueInvalid", field: "metadata.deletionTimestamp", message: `Invalid value: ${(meta.deletionTimestamp ?? "").replace(/^(.*)T(.*)Z$/, "$1 $2 +0000 UTC")}: field is immutable` });
  validateLabels(meta.labels, "metadata.labels", errors);
  validateAnnotations(meta.annotations, "metadata.annotations", errors);
  validateOwnerReferences(meta, errors);
  if (!deepEqual(meta.finalizers, was.finalizers)) validateFinalizers(meta, true, errors);
}
