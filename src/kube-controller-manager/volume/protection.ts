/**
 * Volumes and claims that are in use stay. Follows pkg/controller/volume/pvprotection/pv_protection_controller.go and
 * pkg/controller/volume/pvcprotection/pvc_protection_controller.go.
 */
import type { Pod } from "../../api/types.generated.ts";
import { keyOf, splitKey, type KubeObject } from "../../apimachinery/meta.ts";
import { isNotFound } from "../../apimachinery/status.ts";
import { done, type Controller } from "../../client/controller.ts";
import type { ResourceClient } from "../../client/client.ts";
import { claimsOfPod } from "./binder.ts";
import type { ControllerContext } from "../controller-context.ts";

const CLAIM_PROTECTION = "kubernetes.io/pvc-protection";
const VOLUME_PROTECTION = "kubernetes.io/pv-protection";

/** Sets or removes the finalizer: an object on its way out that is not in use loses it, any other has it. */
async function protect<T extends KubeObject>(target: ResourceClient<T>, object: T, finalizer: string, inUse: () => boolean, signal: AbortSignal): Promise<void> {
  const { metadata } = object;
  const finalizers = metadata.finalizers ?? [];
  const has = finalizers.includes(finalizer);
  let next: readonly string[];
  if (metadata.deletionTimestamp !== undefined) {
    if (!has || inUse()) return;
    next = finalizers.filter((f) => f !== finalizer);
  } else if (has) return;
  else next = [...finalizers, finalizer];
  try {
    await target.patch(metadata.namespace ?? "", metadata.name, "merge", { metadata: { resourceVersion: metadata.resourceVersion, finalizers: next.length > 0 ? next : null } }, undefined, signal);
  } catch (e) {
    if (!isNotFound(e)) throw e;
  }
}

export function newVolumeProtectionController({ client, informers }: ControllerContext): Controller {
  const volumes = informers.informer("persistentVolumes");
  return {
    name: "persistentvolume-protection-controller",
    setup: (queue) => void volumes.addHandler({ add: (volume) => queue.add(keyOf(volume)), update: (volume) => queue.add(keyOf(volume)) }),
    async reconcile(name, signal) {
      const volume = volumes.getByKey(name);
      if (volume !== undefined) await protect(client.persistentVolumes as ResourceClient<typeof volume & KubeObject>, volume as typeof volume & KubeObject, VOLUME_PROTECTION, () => volume.status?.phase === "Bound", signal);
      return done;
    },
  };
}

export function newClaimProtectionController({ client, informers }: ControllerContext): Controller {
  const claims = informers.informer("persistentVolumeClaims");
  const pods = informers.informer("pods");
  return {
    name: "persistentvolumeclaim-protection-controller",
    setup(queue) {
      claims.addHandler({ add: (claim) => queue.add(keyOf(claim)), update: (claim) => queue.add(keyOf(claim)) });
      const onPod = (pod: Pod): void => {
        for (const name of claimsOfPod(pod)) queue.add(`${pod.metadata.namespace}/${name}`);
      };
      pods.addHandler({
        add: onPod, delete: onPod,
        update(pod, old) {
          if (pod.metadata.uid !== old.metadata.uid || pod.spec.nodeName !== old.spec.nodeName) onPod(old);
        },
      });
    },
    async reconcile(key, signal) {
      const { namespace, name } = splitKey(key);
      const claim = claims.get(namespace, name);
      // A pod counts from when it has a node: a kubelet lets none start whose claim is on its way out.
      const inUse = (): boolean => pods.list(namespace).some((pod) => pod.spec.nodeName !== undefined && claimsOfPod(pod).includes(name));
      if (claim !== undefined) await protect(client.persistentVolumeClaims as ResourceClient<typeof claim & KubeObject>, claim as typeof claim & KubeObject, CLAIM_PROTECTION, inUse, signal);
      return done;
    },
  };
}
