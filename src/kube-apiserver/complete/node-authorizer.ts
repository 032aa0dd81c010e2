/**
 * What kubelets may do: a node reads the objects that its pods refer to, and no others. Follows
 * plugin/pkg/auth/authorizer/node/node_authorizer.go and graph.go. The graph is not kept: it is read off the store when a node asks for
 * one of the objects that it leads to.
 */
import type { ClusterRole, PersistentVolume, PersistentVolumeClaim, Pod, VolumeAttachment } from "../../api/types.generated.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import type { Storage } from "../../storage/storage.ts";
import type { Attributes } from "./attributes.ts";
import { containersOf } from "./pod-containers.ts";
import { allows } from "./rbac.ts";
import type { Decision } from "./rbac.ts";

const PREFIX = "system:node:";
const GROUP = "system:nodes";
const ALLOWED: Decision = { allowed: true, reason: "" };
const none = (reason: string): Decision => ({ allowed: false, reason });

const READS = new Set(["get", "list", "watch"]);
const LEASE_VERBS = new Set(["get", "create", "update", "patch", "delete"]);
/** What stands for the rules of nodes: the cluster role that upstream makes of them. */
const NODE_RULES = "/registry/clusterroles/system:node";

/** No opinion about those who are no nodes. */
export async function decideForNode(storage: Storage<KubeObject>, attributes: Attributes): Promise<Decision> {
  const { user, apiGroup, resource } = attributes;
  if (!user.name.startsWith(PREFIX) || !user.groups.includes(GROUP)) return none("");
  const node = user.name.slice(PREFIX.length);
  if (node === "") return none(`unknown node for user ${JSON.stringify(user.name)}`);
  const special = SPECIAL[resource === "" ? "" : `${resource}.${apiGroup}`];
  if (special !== undefined) return special({ storage, node }, attributes);
  const rules = ((await storage.get(NODE_RULES))?.value as ClusterRole | undefined)?.rules ?? [];
  return rules.some((rule) => allows(rule, attributes)) ? ALLOWED : none("");
}

interface Asking {
  readonly storage: Storage<KubeObject>;
  readonly node: string;
}

type Special = (asking: Asking, attributes: Attributes) => Decision | Promise<Decision>;

const readNamespaced: Special = (asking, attributes) => {
  const { verb, subresource, namespace } = attributes;
  if (!READS.has(verb)) return none("can only read resources of this type");
  if (subresource !== "") return none("cannot read subresource");
  if (namespace === "") return none("can only read namespaced object of this type");
  return byRelation(asking, attributes);
};

const getOne: Special = (asking, attributes) => {
  if (attributes.verb !== "get") return none("can only get individual resources of this type");
  if (attributes.subresource !== "") return none("cannot get subresource");
  return byRelation(asking, attributes);
};

const SPECIAL: Readonly<Record<string, Special>> = {
  "secrets.": readNamespaced,
  "configmaps.": readNamespaced,
  "persistentvolumeclaims.": (asking, attributes) => {
    if (attributes.subresource !== "status") return getOne(asking, attributes);
    if (attributes.verb !== "update" && attributes.verb !== "patch") return none("can only get/update/patch this type");
    return byRelation(asking, attributes);
  },
  "persistentvolumes.": getOne,
  "volumeattachments.storage.k8s.io": getOne,
  "serviceaccounts.": (asking, attributes) => {
    if (attributes.verb !== "create" || attributes.name === "") return none("can only create tokens for individual service accounts");
    if (attributes.subresource !== "token") return none("can only create token subresource of service account");
    return byRelation(asking, attributes);
  },
  "leases.coordination.k8s.io": ({ node }, { verb, namespace, name }) => {
    if (!LEASE_VERBS.has(verb)) return none("can only get, create, update, patch, or delete a node lease");
    if (namespace !== "kube-node-lease") return none(`can only access leases in the "kube-node-lease" system namespace`);
    // Nobody knows yet how what is created will be called.
    return verb === "create" || name === node ? ALLOWED : none("can only access node lease with the same name as the requesting node");
  },
  "csinodes.storage.k8s.io": ({ node }, { verb, subresource, name }) => {
    if (!LEASE_VERBS.has(verb)) return none("can only get, create, update, patch, or delete a CSINode");
    if (subresource !== "") return none("cannot authorize CSINode subresources");
    return verb === "create" || name === node ? ALLOWED : none("can only access CSINode with the same name as the requesting node");
  },
  // What a node writes of itself is judged by NodeRestriction.
  "nodes.": ({ node }, { verb, subresource, name }) => {
    if (subresource === "status") return verb === "update" || verb === "patch" ? ALLOWED : none("");
    if (subresource !== "") return none("");
    if (verb === "create" || verb === "update" || verb === "patch") return ALLOWED;
    if (!READS.has(verb)) return none("");
    return name === node ? ALLOWED : none(`node '${node}' cannot read ${name === "" ? "all nodes" : `'${name}'`}, only its own Node object`);
  },
  "pods.": (asking, attributes) => {
    const { verb, subresource, name, fieldSelector } = attributes;
    if (subresource === "status") return verb === "update" || verb === "patch" ? ALLOWED : none("");
    if (subresource === "eviction") return verb === "create" ? ALLOWED : none("");
    if (subresource !== "") return none("");
    if (verb === "create" || verb === "delete") return ALLOWED;
    if (verb === "get") return getOne(asking, attributes);
    if (verb !== "list" && verb !== "watch") return none("");
    if (fieldSelector.split(",").some((term) => term === `spec.nodeName=${asking.node}` || term === `spec.nodeName==${asking.node}`)) return ALLOWED;
    return name === "" ? none("can only list/watch pods with spec.nodeName field selector") : byRelation(asking, attributes);
  },
};

async function byRelation({ storage, node }: Asking, { resource, namespace, name }: Attributes): Promise<Decision> {
  if (name === "") return none("No Object name found");
  return (await isRelated(storage, node, resource, namespace, name)) ? ALLOWED : none(`no relationship found between node '${node}' and this object`);
}

async function isRelated(storage: Storage<KubeObject>, node: string, resource: string, namespace: string, name: string): Promise<boolean> {
  const read = async <T>(key: string): Promise<T | undefined> => (await storage.get(key))?.value as T | undefined;
  const pods = async (): Promise<Pod[]> =>
    (await storage.range(namespace === "" ? "/registry/pods/" : `/registry/pods/${namespace}/`)).items.map(({ value }) => value as unknown as Pod).filter(({ spec }) => spec.nodeName === node);
  switch (resource) {
    case "pods":
      return (await read<Pod>(`/registry/pods/${namespace}/${name}`))?.spec.nodeName === node;
    case "serviceaccounts":
      return (await pods()).some(({ spec }) => (spec.serviceAccountName ?? "") === name);
    case "volumeattachments":
      return (await read<VolumeAttachment>(`/registry/volumeattachments/${name}`))?.spec.nodeName === node;
    case "persistentvolumeclaims":
      return (await pods()).some((pod) => claimsOf(pod).includes(name));
    case "persistentvolumes": {
      const volume = await read<PersistentVolume>(`/registry/persistentvolumes/${name}`);
      return volume !== undefined && (await isMounted(storage, node, volume));
    }
    default:
      if ((await pods()).some((pod) => referencesOf(pod)[resource === "secrets" ? "secrets" : "configMaps"].has(name))) return true;
      if (resource !== "secrets") return false;
      for (const { value } of (await storage.range("/registry/persistentvolumes/")).items) {
        const volume = value as unknown as PersistentVolume;
        if (secretsOfVolume(volume).some((one) => one.namespace === namespace && one.name === name) && (await isMounted(storage, node, volume))) return true;
      }
      return false;
  }
}

/** Whether a pod of the node has the claim that the volume is bound to. */
async function isMounted(storage: Storage<KubeObject>, node: string, { metadata, spec }: PersistentVolume): Promise<boolean> {
  const { namespace = "", name = "" } = spec.claimRef ?? {};
  if (name === "") return false;
  const claim = (await storage.get(`/registry/persistentvolumeclaims/${namespace}/${name}`))?.value as PersistentVolumeClaim | undefined;
  return claim?.spec.volumeName === metadata.name && (await isRelated(storage, node, "persistentvolumeclaims", namespace, name));
}

function claimsOf({ metadata, spec }: Pod): string[] {
  return (spec.volumes ?? []).flatMap((volume) => {
    if (volume.ephemeral !== undefined) return [`${metadata.name}-${volume.name}`];
    return volume.persistentVolumeClaim === undefined ? [] : [volume.persistentVolumeClaim.claimName];
  });
}

interface References {
  readonly secrets: ReadonlySet<string>;
  readonly configMaps: ReadonlySet<string>;
}

/** Follows pkg/api/pod/util.go (VisitPodSecretNames, VisitPodConfigmapNames). */
function referencesOf({ spec }: Pod): References {
  const secrets = new Set<string | undefined>((spec.imagePullSecrets ?? []).map(({ name }) => name));
  const configMaps = new Set<string | undefined>();
  for (const { env = [], envFrom = [] } of containersOf(spec)) {
    for (const { valueFrom } of env ?? []) {
      secrets.add(valueFrom?.secretKeyRef?.name);
      configMaps.add(valueFrom?.configMapKeyRef?.name);
    }
    for (const { secretRef, configMapRef } of envFrom ?? []) {
      secrets.add(secretRef?.name);
      configMaps.add(configMapRef?.name);
    }
  }
  for (const volume of spec.volumes ?? []) {
    const { azureFile, cephfs, cinder, flexVolume, projected, rbd, secret, scaleIO, iscsi, storageos, csi, configMap } = volume;
    for (const name of [
      azureFile?.secretName, cephfs?.secretRef?.name, cinder?.secretRef?.name, flexVolume?.secretRef?.name, rbd?.secretRef?.name, secret?.secretName, scaleIO?.secretRef?.name,
      iscsi?.secretRef?.name, storageos?.secretRef?.name, csi?.nodePublishSecretRef?.name,
    ]) secrets.add(name);
    configMaps.add(configMap?.name);
    for (const source of projected?.sources ?? []) {
      secrets.add(source.secret?.name);
      configMaps.add(source.configMap?.name);
    }
  }
  const named = (names: Set<string | undefined>): Set<string> => new Set([...names].filter((name): name is string => name !== undefined && name !== ""));
  return { secrets: named(secrets), configMaps: named(configMaps) };
}

/** Follows pkg/api/persistentvolume/util.go (VisitPVSecretNames); secrets without a namespace are the claim's neighbours. */
function secretsOfVolume({ spec }: PersistentVolume): { namespace: string; name: string }[] {
  const own = spec.claimRef?.namespace ?? "";
  const found: { namespace: string; name: string }[] = [];
  const add = (ref: { name?: string | undefined; namespace?: string | undefined } | undefined): void => {
    if (ref?.name !== undefined && ref.name !== "") found.push({ name: ref.name, namespace: (ref.namespace ?? "") === "" ? own : ref.namespace! });
  };
  const { azureFile, cephfs, cinder, flexVolume, rbd, scaleIO, iscsi, storageos, csi } = spec;
  add(azureFile === undefined ? undefined : { name: azureFile.secretName, namespace: azureFile.secretNamespace });
  for (const source of [cephfs, cinder, flexVolume, rbd, scaleIO, iscsi, storageos]) add(source?.secretRef);
  for (const ref of [csi?.controllerPublishSecretRef, csi?.nodePublishSecretRef, csi?.nodeStageSecretRef, csi?.controllerExpandSecretRef, csi?.nodeExpandSecretRef]) add(ref);
  return found;
}
