/**
 * Provisions volumes for StorageClasses with this provisioner, and deletes and grows them: directories on nodes (`hostPath`), as
 * local provisioners make. It works beside the binder as an external provisioner does (sigs.k8s.io/sig-storage-lib-external-provisioner:
 * shouldProvision, provisionClaimOperation, shouldDelete), so that one for another sort of volume can stand beside it.
 */
import type { Node } from "../../api/types.generated.ts";
import { keyOf, type KubeObject } from "../../apimachinery/meta.ts";
import { parseQuantity } from "../../apimachinery/quantity.ts";
import { isAlreadyExists, isNotFound } from "../../apimachinery/status.ts";
import { done, type Controller } from "../../client/controller.ts";
import type { ControllerContext } from "../controller-context.ts";
import { claimKey, classOf, PROVISIONED_BY, SELECTED_NODE, STORAGE_PROVISIONER, type Claim, type Volume } from "./binding.ts";

/** What StorageClasses name. */
export const PROVISIONER = "kubewire.io/host-path";
/** Where on a node the directories are, unless the class's parameter `path` says. */
const PATH = "/var/lib/kubewire/volumes";

const storage = (resources: Readonly<Record<string, string>> | undefined): string => resources?.["storage"] ?? "0";

export function newHostPathProvisioner(context: ControllerContext): Controller {
  const { client, informers } = context;
  const claims = informers.informer("persistentVolumeClaims");
  const volumes = informers.informer("persistentVolumes");
  const classes = informers.informer("storageClasses");
  const nodes = informers.informer("nodes");
  const recorder = context.recorder(PROVISIONER);
  const event = (claim: Claim, type: "Normal" | "Warning", reason: string, message: string): void => recorder.event({ ...claim, apiVersion: "v1", kind: "PersistentVolumeClaim" }, type, reason, message);

  function volumeFor(claim: Claim, name: string, path: string, reclaimPolicy: string, node: Node | undefined): Volume {
    const { namespace, name: claimName, uid, resourceVersion } = claim.metadata;
    const host = node?.metadata.labels?.["kubernetes.io/hostname"] ?? node?.metadata.name;
    const term = { matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: [host!] }] };
    return {
      apiVersion: "v1", kind: "PersistentVolume",
      metadata: { name, annotations: { [PROVISIONED_BY]: PROVISIONER } },
      spec: {
        capacity: { storage: storage(claim.spec.resources?.requests) }, accessModes: [...(claim.spec.accessModes ?? [])], volumeMode: claim.spec.volumeMode ?? "Filesystem",
        persistentVolumeReclaimPolicy: reclaimPolicy, storageClassName: classOf(claim),
        claimRef: { kind: "PersistentVolumeClaim", apiVersion: "v1", namespace, name: claimName, uid, resourceVersion },
        hostPath: { path: `${path}/${name}_${namespace}_${claimName}`, type: "DirectoryOrCreate" },
        ...(node === undefined ? {} : { nodeAffinity: { required: { nodeSelectorTerms: [term] } } }),
      },
    } as unknown as Volume;
  }

  async function provision(claim: Claim, signal: AbortSignal): Promise<void> {
    const storageClass = classes.getByKey(classOf(claim));
    if (storageClass?.provisioner !== PROVISIONER) return;
    const selected = claim.metadata.annotations?.[SELECTED_NODE];
    if (storageClass.volumeBindingMode === "WaitForFirstConsumer" && selected === undefined) return;
    const node = selected === undefined ? undefined : nodes.getByKey(selected);
    if (selected !== undefined && node === undefined) return;
    const name = `pvc-${claim.metadata.uid}`;
    if (volumes.getByKey(name) !== undefined) return;
    event(claim, "Normal", "Provisioning", `External provisioner is provisioning volume for claim ${JSON.stringify(keyOf(claim))}`);
    try {
      await client.persistentVolumes.create(volumeFor(claim, name, storageClass.parameters?.["path"] ?? PATH, storageClass.reclaimPolicy ?? "Delete", node), signal);
    } catch (e) {
      if (isAlreadyExists(e)) return;
      event(claim, "Warning", "ProvisioningFailed", `failed to provision volume with StorageClass ${JSON.stringify(storageClass.metadata.name)}: ${e instanceof Error ? e.message : String(e)}`);
      throw e;
    }
    event(claim, "Normal", "ProvisioningSucceeded", `Successfully provisioned volume ${name}`);
  }

  /** A directory has no size: growing is writing it down. */
  async function grow(claim: Claim, volume: Volume, signal: AbortSignal): Promise<void> {
    const wanted = storage(claim.spec.resources?.requests);
    const less = (size: string): boolean => parseQuantity(size).nano < parseQuantity(wanted).nano;
    if (less(storage(volume.spec?.capacity))) await client.persistentVolumes.patch("", volume.metadata.name, "merge", { spec: { capacity: { storage: wanted } } }, undefined, signal);
    if (!less(storage(claim.status?.capacity))) return;
    await client.persistentVolumeClaims.patch(claim.metadata.namespace!, claim.metadata.name, "merge", { status: { capacity: { storage: wanted } } }, "status", signal);
    event(claim, "Normal", "VolumeResizeSuccessful", "Resize volume succeeded");
  }

  return {
    name: PROVISIONER,
    setup(queue) {
      claims.addHandler({ add: (claim) => queue.add(`c:${keyOf(claim)}`), update: (claim) => queue.add(`c:${keyOf(claim)}`) });
      volumes.addHandler({ update: ({ metadata }) => queue.add(`v:${metadata.name}`), add: ({ metadata }) => queue.add(`v:${metadata.name}`) });
    },
    async reconcile(key, signal) {
      const name = key.slice(2);
      try {
        if (key.startsWith("c:")) {
          const claim = claims.getByKey(name) as (Claim & KubeObject) | undefined;
          if (claim === undefined || claim.metadata.deletionTimestamp !== undefined) return done;
          if ((claim.spec.volumeName ?? "") === "") {
            if (claim.metadata.annotations?.[STORAGE_PROVISIONER] === PROVISIONER) await provision(claim, signal);
            return done;
          }
          const volume = volumes.getByKey(claim.spec.volumeName!) as Volume | undefined;
          if (claim.status?.phase === "Bound" && volume?.metadata.annotations?.[PROVISIONED_BY] === PROVISIONER) await grow(claim, volume, signal);
          return done;
        }
        const volume = volumes.getByKey(name) as Volume | undefined;
        if (volume?.metadata.annotations?.[PROVISIONED_BY] !== PROVISIONER || volume.metadata.deletionTimestamp !== undefined) return done;
        if (volume.status?.phase !== "Released" || volume.spec?.persistentVolumeReclaimPolicy !== "Delete") return done;
        if (claims.getByKey(claimKey(volume.spec.claimRef ?? {})) === undefined) await client.persistentVolumes.delete("", name, {}, signal);
      } catch (e) {
        if (!isNotFound(e)) throw e;
      }
      return done;
    },
  };
}
