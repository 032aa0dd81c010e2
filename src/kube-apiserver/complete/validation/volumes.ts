/** Volumes of pods and persistent volumes. Follows ValidateVolumes and validateVolumeSource of pkg/apis/core/validation/validation.go. */
import { parseQuantity } from "../../../apimachinery/quantity.ts";
import type { FieldErrors } from "../../field.ts";
import { dnsLabel, dnsSubdomain, inRange, labelSelector, named, oneOf, qualifiedName } from "./common.ts";
import type { Any } from "./common.ts";

/** A check of one source at its own path. */
type SourceCheck = (source: Any, path: string, errors: FieldErrors, volume: string) => void;

const requireAll = (...fields: string[]): SourceCheck => (source, path, errors) => {
  for (const field of fields) if ((source[field] ?? "") === "") errors.required(`${path}.${field}`);
};

/** In the order in which validateVolumeSource looks at them: the later one of two is refused. */
const SOURCES: readonly (readonly [string, SourceCheck])[] = [
  ["emptyDir", (s, path, errors) => {
    if (s.sizeLimit !== undefined && parseQuantity(s.sizeLimit).nano < 0n) errors.forbidden(`${path}.sizeLimit`, "SizeLimit field must be a valid resource quantity");
  }],
  ["hostPath", hostPath],
  ["gitRepo", (s, path, errors) => {
    if ((s.repository ?? "") === "") errors.required(`${path}.repository`);
    localNonReservedPath(s.directory ?? "", `${path}.directory`, errors);
  }],
  ["gcePersistentDisk", gcePersistentDisk],
  ["awsElasticBlockStore", awsElasticBlockStore],
  ["secret", (s, path, errors) => {
    if ((s.secretName ?? "") === "") errors.required(`${path}.secretName`);
    mode(s.defaultMode, `${path}.defaultMode`, errors);
    (s.items ?? []).forEach((item: Any, i: number) => keyToPath(item, `${path}.items[${i}]`, errors));
  }],
  ["nfs", nfs],
  ["iscsi", (s, path, errors) => iscsi(s, path, errors)],
  ["glusterfs", requireAll("endpoints", "path")],
  ["flocker", (s, path, errors) => {
    if ((s.datasetName ?? "") === "" && (s.datasetUUID ?? "") === "") errors.required(path, "one of datasetName and datasetUUID is required");
    if ((s.datasetName ?? "") !== "" && (s.datasetUUID ?? "") !== "") errors.invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously");
    if ((s.datasetName ?? "").includes("/")) errors.invalid(`${path}.datasetName`, s.datasetName, "must not contain '/'");
  }],
  ["persistentVolumeClaim", requireAll("claimName")],
  ["rbd", (s, path, errors) => {
    if ((s.monitors ?? []).length === 0) errors.required(`${path}.monitors`);
    if ((s.image ?? "") === "") errors.required(`${path}.image`);
  }],
  ["cinder", (s, path, errors) => {
    if ((s.volumeID ?? "") === "") errors.required(`${path}.volumeID`);
    if (s.secretRef !== undefined && (s.secretRef.name ?? "") === "") errors.required(`${path}.secretRef.name`);
  }],
  ["cephfs", (s, path, errors) => {
    if ((s.monitors ?? []).length === 0) errors.required(`${path}.monitors`);
  }],
  ["quobyte", (s, path, errors) => {
    if ((s.registry ?? "") === "") errors.required(`${path}.registry`, "must be a host:port pair or multiple pairs separated by commas");
    else if ((s.tenant ?? "").length >= 65) errors.required(`${path}.tenant`, "must be a UUID and may not exceed a length of 64 characters");
    if ((s.volume ?? "") === "") errors.required(`${path}.volume`);
  }],
  ["downwardAPI", (s, path, errors) => {
    mode(s.defaultMode, `${path}.defaultMode`, errors);
    (s.items ?? []).forEach((item: Any) => downwardFile(item, path, errors));
  }],
  ["fc", (s, path, errors) => {
    const [names, ids] = [(s.targetWWNs ?? []).length, (s.wwids ?? []).length];
    if (names === 0 && ids === 0) errors.required(`${path}.targetWWNs`, "must specify either targetWWNs or wwids, but not both");
    if (names > 0 && ids > 0) errors.invalid(`${path}.targetWWNs`, s.targetWWNs, "targetWWNs and wwids can not be specified simultaneously");
    if (names > 0) {
      if (s.lun === undefined) errors.required(`${path}.lun`, "lun is required if targetWWNs is specified");
      else if (s.lun < 0 || s.lun > 255) errors.invalid(`${path}.lun`, s.lun, inRange(0, 255));
    }
  }],
  ["configMap", (s, path, errors) => {
    if ((s.name ?? "") === "") errors.required(`${path}.name`);
    mode(s.defaultMode, `${path}.defaultMode`, errors);
    (s.items ?? []).forEach((item: Any, i: number) => keyToPath(item, `${path}.items[${i}]`, errors));
  }],
  ["azureFile", requireAll("secretName", "shareName")],
  ["vsphereVolume", requireAll("volumePath")],
  ["photonPersistentDisk", requireAll("pdID")],
  ["portworxVolume", requireAll("volumeID")],
  ["azureDisk", azureDisk],
  ["storageos", (s, path, errors) => {
    if ((s.volumeName ?? "") === "") errors.required(`${path}.volumeName`);
    else named(s.volumeName, dnsLabel, `${path}.volumeName`, errors);
    if ((s.volumeNamespace ?? "") !== "") named(s.volumeNamespace, dnsLabel, `${path}.volumeNamespace`, errors);
    if (s.secretRef !== undefined && (s.secretRef.name ?? "") === "") errors.required(`${path}.secretRef.name`);
  }],
  ["projected", projected],
  ["scaleIO", requireAll("gateway", "system", "volumeName")],
  ["csi", (s, path, errors) => {
    csiDriverName(s.driver, `${path}.driver`, errors);
    if (s.nodePublishSecretRef === undefined) return;
    const name = s.nodePublishSecretRef.name ?? "";
    if (name === "") errors.required(`${path}.nodePublishSecretRef.name`);
    else named(name, dnsSubdomain, `${path}.nodePublishSecretRef.name`, errors);
  }],
  ["ephemeral", (s, path, errors) => {
    if (s.volumeClaimTemplate === undefined) errors.required(`${path}.volumeClaimTemplate`);
    else claimSpec(s.volumeClaimTemplate.spec ?? {}, `${path}.volumeClaimTemplate.spec`, errors);
  }],
  ["image", (s, path, errors) => {
    if ((s.reference ?? "") === "") errors.required(`${path}.reference`);
    oneOf(s.pullPolicy, ["Always", "IfNotPresent", "Never"], `${path}.pullPolicy`, errors);
  }],
];

/** Follows ValidateVolumes. Returns the volumes that are sound, by name. */
export function validateVolumes(volumes: readonly Any[], path: string, errors: FieldErrors): Map<string, Any> {
  const known = new Map<string, Any>();
  const names = new Set<string>();
  volumes.forEach((volume, i) => {
    const at = `${path}[${i}]`;
    const before = errors.list.length;
    const name: string = volume.name ?? "";
    volumeSource(volume, at, errors);
    if (name === "") errors.required(`${at}.name`);
    else named(name, dnsLabel, `${at}.name`, errors);
    if (names.has(name)) errors.duplicate(`${at}.name`, name);
    if (errors.list.length > before) return;
    names.add(name);
    known.set(name, volume);
  });
  return known;
}

function volumeSource(volume: Any, path: string, errors: FieldErrors): void {
  let count = 0;
  for (const [field, check] of SOURCES) {
    const source = volume[field];
    if (source === undefined) continue;
    if (count++ > 0) errors.forbidden(`${path}.${field}`, "may not specify more than 1 volume type");
    else check(source, `${path}.${field}`, errors, volume.name ?? "");
  }
  if (count === 0) errors.required(path, "must specify a volume type");
}

const HOST_PATH_TYPES = ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];

function hostPath(s: Any, path: string, errors: FieldErrors): void {
  if ((s.path ?? "") === "") {
    errors.required(`${path}.path`);
    return;
  }
  noBacksteps(s.path, `${path}.path`, errors);
  if (s.type !== undefined) oneOf(s.type, HOST_PATH_TYPES, `${path}.type`, errors);
}

function gcePersistentDisk(s: Any, path: string, errors: FieldErrors): void {
  if ((s.pdName ?? "") === "") errors.required(`${path}.pdName`);
  if ((s.partition ?? 0) < 0 || s.partition > 255) errors.invalid(`${path}.partition`, s.partition, inRange(0, 255));
}

function awsElasticBlockStore(s: Any, path: string, errors: FieldErrors): void {
  if ((s.volumeID ?? "") === "") errors.required(`${path}.volumeID`);
  if ((s.partition ?? 0) < 0 || s.partition > 255) errors.invalid(`${path}.partition`, s.partition, inRange(0, 255));
}

function nfs(s: Any, path: string, errors: FieldErrors): void {
  if ((s.server ?? "") === "") errors.required(`${path}.server`);
  if ((s.path ?? "") === "") errors.required(`${path}.path`);
  if (!(s.path ?? "").startsWith("/")) errors.invalid(`${path}.path`, s.path ?? "", "must be an absolute path");
}

function iscsi(s: Any, path: string, errors: FieldErrors): void {
  if ((s.targetPortal ?? "") === "") errors.required(`${path}.targetPortal`);
  const iqn: string = s.iqn ?? "";
  if (iqn === "") errors.required(`${path}.iqn`);
  else if (!/^(iqn|eui|naa)/.test(iqn)) errors.invalid(`${path}.iqn`, iqn, "must be valid format starting with iqn, eui, or naa");
  if ((s.lun ?? 0) < 0 || s.lun > 255) errors.invalid(`${path}.lun`, s.lun, inRange(0, 255));
  if ((s.chapAuthDiscovery === true || s.chapAuthSession === true) && s.secretRef === undefined) errors.required(`${path}.secretRef`);
}

function azureDisk(s: Any, path: string, errors: FieldErrors): void {
  if ((s.diskName ?? "") === "") errors.required(`${path}.diskName`);
  if ((s.diskURI ?? "") === "") errors.required(`${path}.diskURI`);
  if (s.cachingMode !== undefined) oneOf(s.cachingMode, ["None", "ReadOnly", "ReadWrite"], `${path}.cachingMode`, errors);
  if (s.kind !== undefined) oneOf(s.kind, ["Dedicated", "Managed", "Shared"], `${path}.kind`, errors);
}

const FILE_MODE = "must be a number between 0 and 0777 (octal), both inclusive";

function mode(value: number | undefined, path: string, errors: FieldErrors): void {
  if (value !== undefined && (value > 0o777 || value < 0)) errors.invalid(path, value, FILE_MODE);
}

function keyToPath(item: Any, path: string, errors: FieldErrors): void {
  if ((item.key ?? "") === "") errors.required(`${path}.key`);
  if ((item.path ?? "") === "") errors.required(`${path}.path`);
  localNonReservedPath(item.path ?? "", `${path}.path`, errors);
  mode(item.mode, `${path}.mode`, errors);
}

/** Follows validateLocalDescendingPath. */
export function localDescendingPath(value: string, path: string, errors: FieldErrors): void {
  if (value.startsWith("/")) errors.invalid(path, value, "must be a relative path");
  noBacksteps(value, path, errors);
}

export function noBacksteps(value: string, path: string, errors: FieldErrors): void {
  if (value.split("/").includes("..")) errors.invalid(path, value, "must not contain '..'");
}

function localNonReservedPath(value: string, path: string, errors: FieldErrors): void {
  localDescendingPath(value, path, errors);
  if (value.startsWith("..") && !value.startsWith("../")) errors.invalid(path, value, "must not start with '..'");
}

const VOLUME_FIELDS = ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];
const VOLUME_RESOURCES = /^(limits|requests)\.(cpu|memory|ephemeral-storage|hugepages-.+)$/;

function downwardFile(item: Any, path: string, errors: FieldErrors): void {
  if ((item.path ?? "") === "") errors.required(`${path}.path`);
  localNonReservedPath(item.path ?? "", `${path}.path`, errors);
  if (item.fieldRef !== undefined) {
    objectFieldSelector(item.fieldRef, VOLUME_FIELDS, `${path}.fieldRef`, errors);
    if (item.resourceFieldRef !== undefined) errors.invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously");
  } else if (item.resourceFieldRef !== undefined) resourceFieldSelector(item.resourceFieldRef, VOLUME_RESOURCES, `${path}.resourceFieldRef`, true, errors);
  else errors.required(path, "one of fieldRef and resourceFieldRef is required");
  mode(item.mode, `${path}.mode`, errors);
}

/** What pods can be asked for by field paths. Follows ConvertDownwardAPIFieldLabel. */
const CONVERTIBLE = new Set([
  "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName",
  "spec.restartPolicy", "spec.serviceAccountName", "spec.schedulerName", "status.phase", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
]);

/** Follows validateObjectFieldSelector. */
export function objectFieldSelector(ref: Any, supported: readonly string[], path: string, errors: FieldErrors): void {
  if ((ref.apiVersion ?? "") === "") {
    errors.required(`${path}.apiVersion`);
    return;
  }
  const value: string = ref.fieldPath ?? "";
  if (value === "") {
    errors.required(`${path}.fieldPath`);
    return;
  }
  const subscript = /^(.*)\['(.*)'\]$/.exec(value);
  const bare = subscript?.[1] ?? value;
  if (ref.apiVersion !== "v1" || !(CONVERTIBLE.has(value) || (subscript !== null && (bare === "metadata.annotations" || bare === "metadata.labels")))) {
    errors.invalid(`${path}.fieldPath`, value, ref.apiVersion === "v1" ? `error converting fieldPath: field label not supported: ${value}` : `error converting fieldPath: unsupported pod version: ${ref.apiVersion}`);
    return;
  }
  if (subscript !== null) {
    const key = subscript[2]!;
    errors.invalidAll(path, key, qualifiedName(bare === "metadata.annotations" ? key.toLowerCase() : key));
  } else if (!supported.includes(value)) errors.notSupported(`${path}.fieldPath`, ref.fieldPath, [...supported].sort());
}

/** Follows validateResourceFieldSelector and validateContainerResourceDivisor. */
export function resourceFieldSelector(ref: Any, supported: RegExp, path: string, volume: boolean, errors: FieldErrors): void {
  const resource: string = ref.resource ?? "";
  if (volume && (ref.containerName ?? "") === "") errors.required(`${path}.containerName`);
  else if (resource === "") errors.required(`${path}.resource`);
  else if (!supported.test(resource))
    errors.notSupported(`${path}.resource`, resource, ["limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory"]);
  const divisor = String(ref.divisor ?? "0");
  if (divisor === "0") return;
  const kind = resource.slice(resource.indexOf(".") + 1);
  const DIVISORS: Readonly<Record<string, readonly string[]>> = {
    cpu: ["1m", "1"], memory: ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"],
  };
  const allowed = DIVISORS[kind] ?? DIVISORS["memory"]!;
  if (allowed.includes(divisor)) return;
  errors.invalid(`${path}.divisor`, kind, kind === "cpu" ? "only divisor's values 1m and 1 are supported with the cpu resource"
    : `only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the ${kind === "memory" ? "memory" : kind.startsWith("hugepages") ? "hugepages" : "local ephemeral storage"} resource`);
}

function projected(s: Any, path: string, errors: FieldErrors): void {
  mode(s.defaultMode, `${path}.defaultMode`, errors);
  const paths = new Set<string>();
  const take = (value: string): void => {
    if (paths.has(value)) errors.invalid(path, value, "conflicting duplicate paths");
    else paths.add(value);
  };
  const secretsOf = (source: Any, at: string): void => {
    if ((source.name ?? "") === "") errors.required(`${at}.name`);
    (source.items ?? []).forEach((item: Any, k: number) => {
      keyToPath(item, `${at}.items[${k}]`, errors);
      if ((item.path ?? "") !== "") take(item.path);
    });
  };
  (s.sources ?? []).forEach((source: Any, i: number) => {
    const at = `${path}.sources[${i}]`;
    let count = 0;
    const single = (field: string): boolean => {
      if (source[field] === undefined) return false;
      if (count++ === 0) return true;
      errors.forbidden(`${at}.${field}`, "may not specify more than 1 volume type");
      return false;
    };
    if (single("secret")) secretsOf(source.secret, `${at}.secret`);
    if (single("configMap")) secretsOf(source.configMap, `${at}.configMap`);
    if (single("downwardAPI")) {
      for (const item of source.downwardAPI.items ?? []) {
        downwardFile(item, `${at}.downwardAPI`, errors);
        if ((item.path ?? "") !== "") take(item.path);
      }
    }
    if (single("serviceAccountToken")) {
      const token = source.serviceAccountToken;
      const where = `${at}.serviceAccountToken`;
      if ((token.expirationSeconds ?? 3600) < 600) errors.invalid(`${where}.expirationSeconds`, token.expirationSeconds, "may not specify a duration less than 10 minutes");
      if (token.expirationSeconds > 2 ** 32) errors.invalid(`${where}.expirationSeconds`, token.expirationSeconds, "may not specify a duration larger than 2^32 seconds");
      if ((token.path ?? "") === "") errors.required(`${where}.path`);
      else {
        localNonReservedPath(token.path, `${where}.path`, errors);
        take(token.path);
      }
    }
    if (single("clusterTrustBundle")) {
      const bundle = source.clusterTrustBundle;
      const where = `${at}.clusterTrustBundle`;
      const [byName, bySigner] = [bundle.name !== undefined, bundle.signerName !== undefined];
      if (byName && bySigner) errors.invalid(where, "", "only one of name and signerName may be used");
      else if (!byName && !bySigner) errors.required(where, "either name or signerName must be specified");
      if (byName && bundle.labelSelector !== undefined) errors.invalid(`${where}.labelSelector`, "", "labelSelector must be unset if name is specified");
      labelSelector(bundle.labelSelector, `${where}.labelSelector`, errors);
      if ((bundle.path ?? "") === "") errors.required(`${where}.path`);
      else {
        localNonReservedPath(bundle.path, `${where}.path`, errors);
        take(bundle.path);
      }
    }
  });
}

/** Follows ValidateCSIDriverName. */
export function csiDriverName(name: string | undefined, path: string, errors: FieldErrors): void {
  const value = name ?? "";
  if (value === "") errors.required(path);
  if (value.length > 63) errors.tooLong(path, 63);
  errors.invalidAll(path, value, dnsSubdomain(value.toLowerCase()));
}

const ACCESS_MODES = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

export function accessModes(modes: readonly string[], path: string, errors: FieldErrors): void {
  for (const value of modes) if (!ACCESS_MODES.includes(value)) errors.notSupported(path, value, ACCESS_MODES);
  if (modes.includes("ReadWriteOncePod") && modes.some((value) => ACCESS_MODES.includes(value) && value !== "ReadWriteOncePod"))
    errors.forbidden(path, "may not use ReadWriteOncePod with other access modes");
}

/** Follows ValidatePersistentVolumeClaimSpec. */
export function claimSpec(spec: Any, path: string, errors: FieldErrors): void {
  const modes: string[] = spec.accessModes ?? [];
  if (modes.length === 0) errors.required(`${path}.accessModes`, "at least 1 access mode is required");
  labelSelector(spec.selector, `${path}.selector`, errors);
  accessModes(modes, `${path}.accessModes`, errors);
  const storage = spec.resources?.requests?.storage;
  if (storage === undefined) errors.required(`${path}.resources[storage]`);
  else if (parseQuantity(storage).nano <= 0n) errors.invalid(`${path}.resources[storage]`, storage, "must be greater than zero");
  if ((spec.storageClassName ?? "") !== "") named(spec.storageClassName, dnsSubdomain, `${path}.storageClassName`, errors);
  if (spec.volumeMode !== undefined) oneOf(spec.volumeMode, ["Block", "Filesystem"], `${path}.volumeMode`, errors);
  if (spec.dataSource !== undefined) dataSource(spec.dataSource, `${path}.dataSource`, errors);
  if (spec.dataSourceRef !== undefined) dataSource(spec.dataSourceRef, `${path}.dataSourceRef`, errors);
  const [a, b] = [spec.dataSource, spec.dataSourceRef];
  if (b !== undefined && (b.namespace ?? "") !== "") {
    if (a !== undefined) errors.invalid(path, `${path}.dataSource`, "may not be specified when dataSourceRef.namespace is specified");
  } else if (a !== undefined && b !== undefined && (a.kind !== b.kind || a.name !== b.name || (a.apiGroup ?? "") !== (b.apiGroup ?? "")))
    errors.invalid(path, `${path}.dataSource`, "must match dataSourceRef");
  if ((spec.volumeAttributesClassName ?? "") !== "") named(spec.volumeAttributesClassName, dnsSubdomain, `${path}.volumeAttributesClassName`, errors);
}

function dataSource(source: Any, path: string, errors: FieldErrors): void {
  if ((source.name ?? "") === "") errors.required(`${path}.name`);
  if ((source.kind ?? "") === "") errors.required(`${path}.kind`);
  const group: string = source.apiGroup ?? "";
  if (group === "" && source.kind !== "PersistentVolumeClaim") errors.invalid(path, source.kind ?? "", "must be 'PersistentVolumeClaim' when referencing the default apiGroup");
  if (group !== "") named(group, dnsSubdomain, `${path}.apiGroup`, errors);
}

/** Sources that only persistent volumes have, or have differently. Follows ValidatePersistentVolumeSpec. */
export const PERSISTENT_SOURCES: readonly (readonly [string, SourceCheck])[] = [
  ["hostPath", hostPath],
  ["gcePersistentDisk", gcePersistentDisk],
  ["awsElasticBlockStore", awsElasticBlockStore],
  ["glusterfs", requireAll("endpoints", "path")],
  ["flocker", requireAll("datasetName")],
  ["nfs", nfs],
  ["rbd", (s, path, errors) => {
    if ((s.monitors ?? []).length === 0) errors.required(`${path}.monitors`);
    if ((s.image ?? "") === "") errors.required(`${path}.image`);
  }],
  ["quobyte", requireAll("registry", "volume")],
  ["cephfs", (s, path, errors) => {
    if ((s.monitors ?? []).length === 0) errors.required(`${path}.monitors`);
  }],
  ["iscsi", iscsi],
  ["cinder", requireAll("volumeID")],
  ["fc", (s, path, errors) => {
    if ((s.targetWWNs ?? []).length === 0 && (s.wwids ?? []).length === 0) errors.required(`${path}.targetWWNs`, "must specify either targetWWNs or wwids, but not both");
  }],
  ["azureFile", (s, path, errors) => {
    if ((s.secretName ?? "") === "") errors.required(`${path}.secretName`);
    if ((s.shareName ?? "") === "") errors.required(`${path}.shareName`);
    if (s.secretNamespace === "") errors.required(`${path}.secretNamespace`);
  }],
  ["vsphereVolume", requireAll("volumePath")],
  ["photonPersistentDisk", requireAll("pdID")],
  ["portworxVolume", requireAll("volumeID")],
  ["azureDisk", azureDisk],
  ["scaleIO", requireAll("gateway", "system", "volumeName")],
  ["local", (s, path, errors) => {
    if ((s.path ?? "") === "") errors.required(`${path}.path`);
    else noBacksteps(s.path, `${path}.path`, errors);
  }],
  ["storageos", requireAll("volumeName")],
  ["csi", (s, path, errors) => {
    csiDriverName(s.driver, `${path}.driver`, errors);
    if ((s.volumeHandle ?? "") === "") errors.required(`${path}.volumeHandle`);
    for (const field of ["controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef"]) {
      const ref = s[field];
      if (ref === undefined) continue;
      for (const [part, check] of [["name", dnsSubdomain], ["namespace", dnsLabel]] as const)
        if ((ref[part] ?? "") === "") errors.required(`${path}.${field}.${part}`);
        else named(ref[part], check, `${path}.${field}.${part}`, errors);
    }
  }],
];

