/** storage.k8s.io/v1. Follows pkg/apis/storage/validation/validation.go. */
import { deepEqual } from "../../../apimachinery/meta.ts";
import { parseQuantity } from "../../../apimachinery/quantity.ts";
import type { FieldErrors } from "../../field.ts";
import { dnsSubdomain, immutable, labelSelector, named, objectMeta, objectMetaUpdate, oneOf, plain, qualifiedName, twice } from "./common.ts";
import type { Any, Validation } from "./common.ts";
import { goValue } from "./go.ts";
import { csiDriverName } from "./volumes.ts";

const PARAMETERS_MAX = 512;
const PARAMETERS_BYTES_MAX = 256 * 1024;

function classBody(o: Any, errors: FieldErrors): void {
  const provisioner: string = o.provisioner ?? "";
  if (provisioner === "") errors.required("provisioner");
  if (provisioner !== "") errors.invalidAll("provisioner", provisioner.toLowerCase(), qualifiedName(provisioner.toLowerCase()));
  const parameters: Record<string, string> = o.parameters ?? {};
  const keys = Object.keys(parameters);
  if (keys.length > PARAMETERS_MAX) errors.tooLong("parameters", PARAMETERS_MAX);
  let total = 0;
  for (const key of keys) {
    if (key === "") errors.invalid("parameters", key, "field can not be empty.");
    total += key.length + parameters[key]!.length;
  }
  if (total > PARAMETERS_BYTES_MAX) errors.tooLong("parameters", PARAMETERS_BYTES_MAX);
  if ((o.reclaimPolicy ?? "") !== "") oneOf(o.reclaimPolicy, ["Delete", "Retain"], "reclaimPolicy", errors);
  if (o.volumeBindingMode === undefined) errors.required("volumeBindingMode");
  else oneOf(o.volumeBindingMode, ["Immediate", "WaitForFirstConsumer"], "volumeBindingMode", errors);
  allowedTopologies(o.allowedTopologies ?? [], errors);
}

function allowedTopologies(terms: readonly Any[], errors: FieldErrors): void {
  const seen: Any[] = [];
  terms.forEach((term, i) => {
    const path = `allowedTopologies[${i}]`;
    const expressions: Any[] = term.matchLabelExpressions ?? [];
    const byKey: Record<string, string[]> = {};
    expressions.forEach((expression, j) => {
      const key: string = expression.key ?? "";
      const values: string[] = expression.values ?? [];
      const at = `${path}.matchLabelExpressions[${j}]`;
      if (values.length === 0) errors.required(`${at}.values`);
      values.forEach((value: string, k: number) => {
        if (values.indexOf(value) < k) errors.duplicate(`${at}.values[${k}]`, value);
      });
      errors.invalidAll(`${at}.key`, key, qualifiedName(key));
      if (Object.hasOwn(byKey, key)) errors.duplicate(`${at}.key`, key);
      byKey[key] = [...values].sort();
    });
    // A term without expressions equals the ones not looked at yet.
    if (Object.keys(byKey).length === 0 || seen.some((other) => deepEqual(other, byKey))) errors.duplicate(`${path}.matchLabelExpressions`, "");
    seen.push(byKey);
  });
}

export const storageClass: Validation = {
  validate(o, errors) {
    objectMeta(o, false, dnsSubdomain, errors);
    classBody(o, errors);
  },
  validateUpdate(o, old, errors) {
    storageClass.validate(o, errors);
    objectMetaUpdate(o, old, errors);
    if (!deepEqual(o.parameters ?? {}, old.parameters ?? {})) errors.forbidden("parameters", "updates to parameters are forbidden.");
    if (o.provisioner !== old.provisioner) errors.forbidden("provisioner", "updates to provisioner are forbidden.");
    if ((o.reclaimPolicy ?? "") !== (old.reclaimPolicy ?? "")) errors.forbidden("reclaimPolicy", "updates to reclaimPolicy are forbidden.");
    immutable(o.volumeBindingMode, old.volumeBindingMode, "volumeBindingMode", errors);
  },
};

function attachmentBody({ spec }: Any, errors: FieldErrors): void {
  if ((spec.attacher ?? "") === "") errors.required("spec.attacher");
  const { inlineVolumeSpec, persistentVolumeName } = spec.source ?? {};
  if (inlineVolumeSpec === undefined && persistentVolumeName === undefined) errors.required("spec.source", "must specify exactly one of inlineVolumeSpec and persistentVolumeName");
  if (inlineVolumeSpec !== undefined && persistentVolumeName !== undefined) errors.forbidden("spec.source", "must specify exactly one of inlineVolumeSpec and persistentVolumeName");
  if (persistentVolumeName === "") errors.required("spec.source.persistentVolumeName", "must specify non empty persistentVolumeName");
  named(spec.nodeName ?? "", dnsSubdomain, "spec.nodeName", errors);
}

function attachmentStatus(o: Any, errors: FieldErrors): void {
  const metadata: Record<string, string> = o.status?.attachmentMetadata ?? {};
  for (const key of Object.keys(metadata)) if (key === "") errors.required("status.attachmentMetadata", "");
  for (const field of ["attachError", "detachError"]) if ((o.status?.[field]?.message ?? "").length > 1024) errors.tooLong(`status.${field}.message`, 1024);
}

export const volumeAttachment: Validation = {
  validate(o, errors) {
    objectMeta(o, false, dnsSubdomain, errors);
    attachmentBody(o, errors);
    attachmentStatus(o, errors);
    // v1 asks for more than its predecessors did.
    csiDriverName(o.spec.attacher, "spec.attacher", errors);
    const volume = o.spec.source?.persistentVolumeName;
    if (volume !== undefined) named(volume, dnsSubdomain, "spec.source.persistentVolumeName", errors);
  },
  validateUpdate(o, old, errors) {
    for (let i = 0; i < 2; i++) {
      if (i === 0) objectMeta(o, false, dnsSubdomain, errors);
      attachmentBody(o, errors);
      attachmentStatus(o, errors);
    }
    if (!deepEqual(o.spec, old.spec)) errors.invalidGo("spec", goValue("storage.VolumeAttachmentSpec", o.spec, "spec", errors), "field is immutable");
  },
  validateStatusUpdate: objectMetaUpdate,
};

function nodeDrivers({ spec }: Any, errors: FieldErrors): void {
  const names = new Set<string>();
  (spec.drivers ?? []).forEach((driver: Any, i: number) => {
    const at = `spec.drivers[${i}]`;
    csiDriverName(driver.name, `${at}.name`, errors);
    const id: string = driver.nodeID ?? "";
    if (id === "") errors.required(`${at}.nodeID`);
    else if (id.length > 256) errors.invalid(`${at}.nodeID`, id, "must be 256 characters or less");
    if (driver.allocatable?.count !== undefined && driver.allocatable.count < 0) errors.invalid(`${at}.allocatable.count`, driver.allocatable.count, "must be greater than or equal to 0");
    const name: string = driver.name ?? "";
    if (names.has(name)) errors.duplicate(`${at}.name`, name);
    names.add(name);
    const keys: string[] = driver.topologyKeys ?? [];
    keys.forEach((key, k) => {
      if (key === "") errors.required(at);
      if (keys.indexOf(key) < k) errors.duplicate(at, key);
      errors.invalidAll(at, key, qualifiedName(key));
    });
  });
}

export const csiNode: Validation = twice(plain(false, dnsSubdomain, nodeDrivers, (o, old, errors) => {
  for (const was of old.spec.drivers ?? [])
    for (const driver of o.spec.drivers ?? [])
      if (driver.name === was.name && !deepEqual(driver, was))
        errors.invalidGo("CSINodeDriver", goValue("storage.CSINodeDriver", driver, `spec.drivers[${(o.spec.drivers as Any[]).indexOf(driver)}]`, errors), "field is immutable");
}));

function driverBody({ spec }: Any, errors: FieldErrors): void {
  if (spec.attachRequired === undefined) errors.required("spec.attachedRequired");
  if (spec.podInfoOnMount === undefined) errors.required("spec.podInfoOnMount");
  if (spec.storageCapacity === undefined) errors.required("spec.storageCapacity");
  if (spec.fsGroupPolicy === undefined) errors.required("spec.fsGroupPolicy");
  else oneOf(spec.fsGroupPolicy, ["File", "None", "ReadWriteOnceWithFSType"], "spec.fsGroupPolicy", errors);
  const audiences = new Set<string>();
  (spec.tokenRequests ?? []).forEach(({ audience = "", expirationSeconds }: Any, i: number) => {
    const at = `spec.tokenRequests[${i}]`;
    if (audiences.has(audience)) errors.duplicate(`${at}.audience`, audience);
    else {
      audiences.add(audience);
      if (expirationSeconds === undefined) return;
      if (expirationSeconds < 600) errors.invalid(`${at}.expirationSeconds`, expirationSeconds, "may not specify a duration less than 10 minutes");
      if (expirationSeconds > 2 ** 32) errors.invalid(`${at}.expirationSeconds`, expirationSeconds, "may not specify a duration larger than 2^32 seconds");
    }
  });
  for (const mode of spec.volumeLifecycleModes ?? []) if (mode !== "Persistent" && mode !== "Ephemeral") errors.notSupported("spec.volumeLifecycleModes", mode, ["Persistent", "Ephemeral"]);
  if (spec.seLinuxMount === undefined) errors.required("spec.seLinuxMount", "");
}

export const csiDriver: Validation = {
  validate(o, errors) {
    objectMeta(o, false, dnsSubdomain, errors);
    driverBody(o, errors);
  },
  validateUpdate(o, old, errors) {
    objectMetaUpdate(o, old, errors);
    driverBody(o, errors);
    immutable(o.spec.attachRequired, old.spec.attachRequired, "spec.attachedRequired", errors);
    const modes: string[] | undefined = o.spec.volumeLifecycleModes;
    if (!deepEqual(modes ?? [], old.spec.volumeLifecycleModes ?? []))
      errors.invalidGo("spec.volumeLifecycleModes", `[]storage.VolumeLifecycleMode${modes === undefined ? "(nil)" : `{${modes.map((m) => JSON.stringify(m)).join(", ")}}`}`, "field is immutable");
  },
};

export const csiStorageCapacity: Validation = {
  ...plain(true, dnsSubdomain, capacityBody),
  validateUpdate(o, old, errors) {
    objectMetaUpdate(o, old, errors);
    capacityBody(o, errors);
    immutable(o.nodeTopology, old.nodeTopology, "nodeTopology", errors, "v1.LabelSelector");
    immutable(o.storageClassName ?? "", old.storageClassName ?? "", "storageClassName", errors);
  },
};

function capacityBody(o: Any, errors: FieldErrors): void {
  named(o.storageClassName ?? "", dnsSubdomain, "storageClassName", errors);
  labelSelector(o.nodeTopology, "nodeTopology", errors);
  for (const field of ["capacity", "maximumVolumeSize"]) if (o[field] !== undefined && parseQuantity(o[field]).nano < 0n) errors.invalid(field, o[field], "must be greater than or equal to 0");
}
