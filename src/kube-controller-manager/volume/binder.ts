/**
 * Binds claims to volumes, and reclaims volumes. Follows pkg/controller/volume/persistentvolume/pv_controller.go. Provisioning and deletion
 * are a provisioner's (`provisioner.ts`), as with upstream's external ones.
 */
import type { Pod, StorageClass } from "../../api/types.generated.ts";
import { keyOf, type KubeObject } from "../../apimachinery/meta.ts";
import { isNotFound } from "../../apimachinery/status.ts";
import { formatTime } from "../../apimachinery/time.ts";
import { done, requeueAfter, type Controller, type Result } from "../../client/controller.ts";
import type { WorkQueue } from "../../client/workqueue.ts";
import { newestDefaultClass } from "./classes.ts";
import {
  BETA_STORAGE_PROVISIONER, BIND_COMPLETED, BOUND_BY_CONTROLLER, claimKey, classOf, findBestMatch, isBoundTo, mismatch, modesDiffer, PROVISIONED_BY, SELECTED_NODE,
  STORAGE_PROVISIONER, type Claim, type Volume,
} from "./binding.ts";
import type { ControllerContext } from "../controller-context.ts";

/** Everything is looked at again so often (`--pvclaimbinder-sync-period`). */
const RESYNC_MS = 15_000;

type Phase = "Available" | "Bound" | "Released" | "Failed";

export function newPersistentVolumeBinder(context: ControllerContext): Controller {
  const { client, clock, informers } = context;
  const claims = informers.informer("persistentVolumeClaims");
  const volumes = informers.informer("persistentVolumes");
  const classes = informers.informer("storageClasses");
  const pods = informers.informer("pods");
  const recorder = context.recorder("persistentvolume-controller");
  let queue!: WorkQueue;
  /** What this controller wrote and the cache has not shown yet: the newer one counts. */
  const written = new Map<string, KubeObject>();

  const event = (object: Claim | Volume, type: "Normal" | "Warning", reason: string, message: string): void =>
    recorder.event({ ...object, apiVersion: "v1", kind: "namespace" in object.metadata && object.metadata.namespace !== undefined ? "PersistentVolumeClaim" : "PersistentVolume" }, type, reason, message);

  const fresher = <T extends KubeObject>(key: string, cached: T | undefined): T | undefined => {
    const own = written.get(key) as T | undefined;
    if (own === undefined) return cached;
    if (cached === undefined || cached.metadata.uid !== own.metadata.uid || Number(cached.metadata.resourceVersion) >= Number(own.metadata.resourceVersion)) {
      written.delete(key);
      return cached;
    }
    return own;
  };
  const claimNow = (key: string): Claim | undefined => fresher(`c:${key}`, claims.getByKey(key) as Claim | undefined);
  const volumeNow = (name: string): Volume | undefined => fresher(`v:${name}`, volumes.getByKey(name) as Volume | undefined);
  const allVolumes = (): Volume[] => volumes.list().map(({ metadata }) => volumeNow(metadata.name)).filter((v) => v !== undefined);

  async function saveVolume(volume: Volume, signal: AbortSignal): Promise<Volume> {
    const saved = (await client.persistentVolumes.update(volume, signal)) as Volume;
    written.set(`v:${saved.metadata.name}`, saved);
    return saved;
  }
  async function saveClaim(claim: Claim, signal: AbortSignal): Promise<Claim> {
    const saved = (await client.persistentVolumeClaims.update(claim, signal)) as Claim;
    written.set(`c:${keyOf(saved)}`, saved);
    return saved;
  }

  async function setVolumePhase(volume: Volume, phase: Phase, signal: AbortSignal, message = ""): Promise<Volume> {
    if (volume.status?.phase === phase) return volume;
    const status = { phase, lastPhaseTransitionTime: formatTime(clock.nowMs()), ...(message === "" ? {} : { message }) };
    const saved = (await client.persistentVolumes.updateStatus({ ...volume, status }, signal)) as Volume;
    written.set(`v:${saved.metadata.name}`, saved);
    return saved;
  }

  /** Follows updateClaimStatus. */
  async function setClaimPhase(claim: Claim, phase: "Pending" | "Bound" | "Lost", volume: Volume | undefined, signal: AbortSignal): Promise<Claim> {
    const old = claim.status ?? {};
    let next: NonNullable<Claim["status"]> = { ...old, phase };
    if (volume === undefined) {
      next = { ...next, accessModes: undefined as never, capacity: undefined as never };
    } else {
      next.accessModes = [...(volume.spec?.accessModes ?? [])];
      // Growing is the resizer's.
      if (old.phase !== "Bound" || old.capacity === undefined) next.capacity = { ...(volume.spec?.capacity ?? {}) };
    }
    if (JSON.stringify({ ...old }) === JSON.stringify(next) || (old.phase === phase && phase !== "Bound" && old.capacity === undefined)) return claim;
    const saved = (await client.persistentVolumeClaims.updateStatus({ ...claim, status: next }, signal)) as Claim;
    written.set(`c:${keyOf(saved)}`, saved);
    return saved;
  }

  /** Both ends, one write after the other; whatever is missing after a failure is written by the next sync. Follows bind. */
  async function bind(volume: Volume, claim: Claim, signal: AbortSignal): Promise<void> {
    let pv = volume;
    const ref = pv.spec?.claimRef;
    if (ref === undefined || ref.uid !== claim.metadata.uid) {
      const { namespace, name, uid, resourceVersion } = claim.metadata;
      const reserved = isBoundTo(pv, claim);
      pv = await saveVolume({
        ...pv,
        metadata: { ...pv.metadata, ...(reserved ? {} : { annotations: { ...pv.metadata.annotations, [BOUND_BY_CONTROLLER]: "yes" } }) },
        spec: { ...pv.spec, claimRef: { kind: "PersistentVolumeClaim", namespace: namespace!, name, uid, apiVersion: "v1", resourceVersion: resourceVersion! } },
      } as Volume, signal);
    }
    pv = await setVolumePhase(pv, "Bound", signal);
    let pvc = claim;
    const annotations = { ...pvc.metadata.annotations };
    const unnamed = pvc.spec.volumeName !== pv.metadata.name;
    if (unnamed) annotations[BOUND_BY_CONTROLLER] = "yes";
    if (unnamed || annotations[BIND_COMPLETED] === undefined) {
      annotations[BIND_COMPLETED] = "yes";
      pvc = await saveClaim({ ...pvc, metadata: { ...pvc.metadata, annotations }, spec: { ...pvc.spec, volumeName: pv.metadata.name } }, signal);
    }
    await setClaimPhase(pvc, "Bound", pv, signal);
  }

  /** Follows unbindVolume: what a user reserved stays reserved. */
  async function unbind(volume: Volume, signal: AbortSignal): Promise<void> {
    const { [BOUND_BY_CONTROLLER]: ours, ...annotations } = volume.metadata.annotations ?? {};
    const { claimRef, ...spec } = volume.spec ?? {};
    const { uid: _uid, ...reserved } = claimRef ?? {};
    const next = {
      ...volume, metadata: { ...volume.metadata, annotations: Object.keys(annotations).length > 0 ? annotations : undefined },
      spec: ours === undefined ? { ...spec, claimRef: reserved } : spec,
    } as unknown as Volume;
    await setVolumePhase(await saveVolume(next, signal), "Available", signal);
  }

  const isDelayed = (storageClass: StorageClass | undefined): boolean => storageClass?.volumeBindingMode === "WaitForFirstConsumer";

  /** Pods that use the claim and have no node yet. */
  function waitingPods({ metadata }: Claim): string[] {
    const uses = ({ metadata: pod, spec }: Pod): boolean =>
      spec.volumes?.some((v) => v.persistentVolumeClaim?.claimName === metadata.name || (v.ephemeral !== undefined && `${pod.name}-${v.name}` === metadata.name)) === true;
    return pods.list(metadata.namespace).filter((pod) => pod.spec.nodeName === undefined && pod.status.phase !== "Succeeded" && pod.status.phase !== "Failed" && uses(pod)).map((pod) => pod.metadata.name);
  }

  /** Leaves the claim to whoever provisions for its class. Follows provisionClaim with an external plugin. */
  async function provision(claim: Claim, signal: AbortSignal): Promise<void> {
    const name = classOf(claim);
    const storageClass = classes.getByKey(name);
    if (storageClass === undefined) {
      event(claim, "Warning", "ProvisioningFailed", `storageclass.storage.k8s.io ${JSON.stringify(name)} not found`);
      return;
    }
    const { provisioner } = storageClass;
    event(claim, "Normal", "ExternalProvisioning", `Waiting for a volume to be created either by the external provisioner '${provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.`);
    if (claim.metadata.annotations?.[STORAGE_PROVISIONER] === provisioner) return;
    const annotations = { ...claim.metadata.annotations, [STORAGE_PROVISIONER]: provisioner, [BETA_STORAGE_PROVISIONER]: provisioner };
    await saveClaim({ ...claim, metadata: { ...claim.metadata, annotations } }, signal);
  }

  async function syncUnbound(claim: Claim, signal: AbortSignal): Promise<void> {
    const { volumeName = "" } = claim.spec;
    if (volumeName === "") {
      const storageClass = classes.getByKey(classOf(claim));
      const delayed = isDelayed(storageClass);
      const found = findBestMatch(claim, allVolumes(), delayed);
      if (found !== undefined) return bind(found, claim, signal);
      if (claim.spec.storageClassName === undefined && classOf(claim) === "") {
        const preset = newestDefaultClass(classes.list());
        if (preset !== undefined) {
          await saveClaim({ ...claim, spec: { ...claim.spec, storageClassName: preset.metadata.name } }, signal);
          return;
        }
      }
      if (delayed && claim.metadata.annotations?.[SELECTED_NODE] === undefined) {
        const names = waitingPods(claim);
        if (names.length === 0) event(claim, "Normal", "WaitForFirstConsumer", "waiting for first consumer to be created before binding");
        else event(claim, "Normal", "WaitForPodScheduled", `waiting for ${names.length > 1 ? `pods ${names.join(",")}` : `pod ${names[0]}`} to be scheduled`);
      } else if (classOf(claim) !== "") return provision(claim, signal);
      else event(claim, "Normal", "FailedBinding", "no persistent volumes available for this claim and no storage class is set");
      await setClaimPhase(claim, "Pending", undefined, signal);
      return;
    }
    const volume = volumeNow(volumeName);
    if (volume === undefined) {
      await setClaimPhase(claim, "Pending", undefined, signal);
    } else if (volume.spec?.claimRef === undefined) {
      const why = mismatch(volume, claim);
      if (why === undefined) return bind(volume, claim, signal);
      event(claim, "Warning", "VolumeMismatch", `Cannot bind to requested volume ${JSON.stringify(volumeName)}: ${why}`);
      await setClaimPhase(claim, "Pending", undefined, signal);
    } else if (isBoundTo(volume, claim)) return bind(volume, claim, signal);
    else if (claim.metadata.annotations?.[BOUND_BY_CONTROLLER] === undefined) {
      event(claim, "Warning", "FailedBinding", `volume ${JSON.stringify(volumeName)} already bound to a different claim.`);
      await setClaimPhase(claim, "Pending", undefined, signal);
    } else throw new Error(`invalid binding of claim ${JSON.stringify(keyOf(claim))} to volume ${JSON.stringify(volumeName)}: volume already claimed by ${JSON.stringify(claimKey(volume.spec.claimRef))}`);
  }

  async function lose(claim: Claim, reason: string, message: string, signal: AbortSignal): Promise<void> {
    if (claim.status?.phase === "Lost") return;
    await setClaimPhase(claim, "Lost", undefined, signal);
    event(claim, "Warning", reason, message);
  }

  async function syncBound(claim: Claim, signal: AbortSignal): Promise<void> {
    const { volumeName = "" } = claim.spec;
    if (volumeName === "") return lose(claim, "ClaimLost", "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!", signal);
    const volume = volumeNow(volumeName);
    if (volume === undefined) return lose(claim, "ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!", signal);
    const uid = volume.spec?.claimRef?.uid;
    if (volume.spec?.claimRef === undefined || uid === claim.metadata.uid) return bind(volume, claim, signal);
    await lose(claim, "ClaimMisbound", "Two claims are bound to the same volume, this one is bound incorrectly", signal);
  }

  /** The claim that the volume refers to; undefined when there is none any more. */
  async function claimOf(volume: Volume, signal: AbortSignal): Promise<Claim | undefined> {
    const ref = volume.spec!.claimRef!;
    const cached = claimNow(claimKey(ref));
    if (cached !== undefined && cached.metadata.uid === ref.uid) return cached;
    try {
      const live = (await client.persistentVolumeClaims.get(ref.namespace!, ref.name!, signal)) as Claim;
      return live.metadata.uid === ref.uid ? live : undefined;
    } catch (e) {
      if (isNotFound(e)) return undefined;
      throw e;
    }
  }

  /** Released. What is done with it then is its policy's: Retain leaves it, Delete is its provisioner's. */
  async function release(volume: Volume, signal: AbortSignal): Promise<void> {
    const { phase } = volume.status ?? {};
    const released = phase === "Released" || phase === "Failed" ? volume : await setVolumePhase(volume, "Released", signal);
    const provisioner = released.metadata.annotations?.[PROVISIONED_BY];
    if (released.spec?.persistentVolumeReclaimPolicy !== "Delete" || provisioner !== undefined || released.status?.phase === "Failed") return;
    const message = `error getting deleter volume plugin for volume ${JSON.stringify(released.metadata.name)}: no deletable volume plugin matched`;
    await setVolumePhase(released, "Failed", signal, message);
    event(released, "Warning", "VolumeFailedDelete", message);
  }

  async function syncVolume(volume: Volume, signal: AbortSignal): Promise<void> {
    const ref = volume.spec?.claimRef;
    if (ref === undefined || (ref.uid ?? "") === "") {
      await setVolumePhase(volume, "Available", signal);
      if (ref !== undefined) queue.add(`c:${claimKey(ref)}`);
      return;
    }
    const claim = await claimOf(volume, signal);
    if (claim === undefined) return release(volume, signal);
    if ((claim.spec.volumeName ?? "") === "") {
      if (modesDiffer(claim, volume)) {
        event(volume, "Warning", "VolumeMismatch", `Cannot bind PersistentVolume to requested PersistentVolumeClaim ${JSON.stringify(claim.metadata.name)} due to incompatible volumeMode.`);
        event(claim, "Warning", "VolumeMismatch", `Cannot bind PersistentVolume ${JSON.stringify(volume.metadata.name)} to requested PersistentVolumeClaim due to incompatible volumeMode.`);
      } else queue.add(`c:${keyOf(claim)}`);
      return;
    }
    if (claim.spec.volumeName === volume.metadata.name) await setVolumePhase(volume, "Bound", signal);
    else if (volume.metadata.annotations?.[PROVISIONED_BY] !== undefined && volume.spec?.persistentVolumeReclaimPolicy === "Delete") await release(volume, signal);
    else await unbind(volume, signal);
  }

  return {
    name: "persistentvolume-binder-controller",
    // Two claims must not choose one volume.
    workers: 1,
    setup(given) {
      queue = given;
      const add = (prefix: string) => (object: { metadata: { namespace?: string | undefined; name: string } }): void => queue.add(`${prefix}:${keyOf(object)}`);
      claims.addHandler({
        add: add("c"), update: add("c"),
        delete(claim) {
          written.delete(`c:${keyOf(claim)}`);
          if (claim.spec.volumeName !== undefined) queue.add(`v:${claim.spec.volumeName}`);
        },
      });
      volumes.addHandler({
        add(volume) {
          add("v")(volume);
          // A claim may have waited for just this one.
          for (const claim of claims.list()) if (claim.status?.phase !== "Bound" && (claim.spec.volumeName ?? volume.metadata.name) === volume.metadata.name) queue.add(`c:${keyOf(claim)}`);
        },
        update(volume, old) {
          add("v")(volume);
          if (volume.status?.phase !== "Available" || old.status?.phase === "Available") return;
          for (const claim of claims.list()) if (claim.status?.phase !== "Bound" && classOf(claim as Claim) === classOf(volume as Volume)) queue.add(`c:${keyOf(claim)}`);
        },
        delete(volume) {
          written.delete(`v:${volume.metadata.name}`);
          const ref = volume.spec?.claimRef;
          if (ref !== undefined) queue.add(`c:${claimKey(ref)}`);
        },
      });
    },
    async reconcile(key, signal): Promise<Result> {
      const name = key.slice(2);
      if (key.startsWith("v:")) {
        const volume = volumeNow(name);
        if (volume !== undefined) await ignoringAbsence(() => syncVolume(volume, signal));
        return done;
      }
      const claim = claimNow(name);
      if (claim === undefined) return done;
      const bound = claim.metadata.annotations?.[BIND_COMPLETED] !== undefined;
      await ignoringAbsence(() => (bound ? syncBound(claim, signal) : syncUnbound(claim, signal)));
      const after = claimNow(name);
      return after?.status?.phase === "Bound" || after?.status?.phase === "Lost" || after === undefined ? done : requeueAfter(RESYNC_MS);
    },
  };
}

async function ignoringAbsence(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (e) {
    if (!isNotFound(e)) throw e;
  }
}

/** The claims that a pod's volumes use, those of its ephemeral volumes included. */
export const claimsOfPod = ({ metadata, spec }: Pod): string[] => (spec.volumes ?? []).flatMap((volume) =>
  volume.persistentVolumeClaim !== undefined ? [volume.persistentVolumeClaim.claimName] : volume.ephemeral !== undefined ? [`${metadata.name}-${volume.name}`] : []);

