/**
 * VolumeAttachments for the CSI volumes of pods with a node, for drivers that want to be told. Follows
 * pkg/controller/volume/attachdetach (attach_detach_controller.go, reconciler.go) and pkg/volume/csi/csi_attacher.go. Volumes that no
 * driver attaches (hostPath, local, NFS) need none.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import type { PersistentVolume, Pod, VolumeAttachment } from "../../api/types.generated.ts";
import { keyOf, type KubeObject } from "../../apimachinery/meta.ts";
import { isAlreadyExists, isNotFound } from "../../apimachinery/status.ts";
import { done, type Controller } from "../../client/controller.ts";
import { claimsOfPod } from "./binder.ts";
import type { ControllerContext } from "../controller-context.ts";

/** Follows getAttachmentName: one attachment for each volume, driver and node. */
export function attachmentName(handle: string, driver: string, node: string): string {
  const digest = sha256(new TextEncoder().encode(`${handle}${driver}${node}`));
  return `csi-${[...digest].map((byte) => (byte + 256).toString(16).slice(1)).join("")}`;
}

export function newAttachDetachController(context: ControllerContext): Controller {
  const { client, informers } = context;
  const pods = informers.informer("pods");
  const nodes = informers.informer("nodes");
  const claims = informers.informer("persistentVolumeClaims");
  const volumes = informers.informer("persistentVolumes");
  const drivers = informers.informer("csiDrivers");
  const attachments = informers.informer("volumeAttachments");
  const recorder = context.recorder("attachdetach-controller");
  /** The pods that were told of an attachment, by its name. */
  const announced = new Map<string, Set<string>>();

  const needsAttach = (driver: string): boolean => drivers.getByKey(driver)?.spec.attachRequired !== false;

  /** The volumes that must be attached to the node, with the pods that use them. */
  function wantedOn(node: string): Map<string, { volume: PersistentVolume; pods: Pod[] }> {
    const out = new Map<string, { volume: PersistentVolume; pods: Pod[] }>();
    for (const pod of pods.byIndex("nodeName", node)) {
      if (pod.status.phase === "Succeeded" || pod.status.phase === "Failed") continue;
      for (const name of claimsOfPod(pod)) {
        const claim = claims.get(pod.metadata.namespace!, name);
        const volume = claim?.status?.phase === "Bound" ? volumes.getByKey(claim.spec.volumeName ?? "") : undefined;
        const csi = volume?.spec?.csi;
        if (volume === undefined || csi === undefined || !needsAttach(csi.driver)) continue;
        const key = attachmentName(csi.volumeHandle, csi.driver, node);
        const entry = out.get(key);
        if (entry === undefined) out.set(key, { volume, pods: [pod] });
        else entry.pods.push(pod);
      }
    }
    return out;
  }

  /** Whether another node still has the volume, and it may only be on one. */
  const isElsewhere = ({ spec }: PersistentVolume, name: string, node: string): boolean =>
    spec?.accessModes?.some((mode) => mode === "ReadWriteMany" || mode === "ReadOnlyMany") !== true &&
    attachments.list().some((other) => other.spec.source.persistentVolumeName === name && other.spec.nodeName !== node);

  return {
    name: "persistentvolume-attach-detach-controller",
    workers: 1,
    setup(queue) {
      const node = (name: string | undefined): void => {
        if (name !== undefined) queue.add(name);
      };
      pods.addHandler({
        add: ({ spec }) => node(spec.nodeName), delete: ({ spec }) => node(spec.nodeName),
        update(pod, old) {
          if (pod.spec.nodeName !== old.spec.nodeName || pod.status.phase !== old.status.phase) node(pod.spec.nodeName);
        },
      });
      claims.addHandler({
        update(claim, old) {
          if (claim.status?.phase === "Bound" && old.status?.phase !== "Bound")
            for (const pod of pods.list(claim.metadata.namespace)) if (claimsOfPod(pod).includes(claim.metadata.name)) node(pod.spec.nodeName);
        },
      });
      attachments.addHandler({
        add: ({ spec }) => node(spec.nodeName), update: ({ spec }) => node(spec.nodeName),
        delete({ spec }) {
          // Whoever waited for it on another node may have it now.
          for (const { metadata } of nodes.list()) if (metadata.name === spec.nodeName || wantedOn(metadata.name).size > 0) queue.add(metadata.name);
        },
      });
    },
    async reconcile(node, signal) {
      const wanted = wantedOn(node);
      const inUse = new Set(nodes.getByKey(node)?.status.volumesInUse ?? []);
      const attached: { name: string; devicePath: string }[] = [];
      for (const attachment of attachments.list().filter(({ spec }) => spec.nodeName === node)) {
        const { name } = attachment.metadata;
        const volume = volumes.getByKey(attachment.spec.source.persistentVolumeName ?? "");
        const csi = volume?.spec?.csi;
        const unique = csi === undefined ? "" : `kubernetes.io/csi/${csi.driver}^${csi.volumeHandle}`;
        const need = wanted.get(name);
        if (need !== undefined && attachment.metadata.deletionTimestamp === undefined) {
          if (attachment.status?.attached === true) {
            attached.push({ name: unique, devicePath: "" });
            announce(attachment, need.pods);
          }
          continue;
        }
        // A volume that the kubelet has mounted is not taken away under its hands.
        if (need !== undefined || inUse.has(unique) || attachment.metadata.deletionTimestamp !== undefined) continue;
        try {
          await client.volumeAttachments.delete("", name, {}, signal);
        } catch (e) {
          if (!isNotFound(e)) throw e;
        }
        announced.delete(name);
      }
      for (const [name, { volume, pods: users }] of wanted) {
        if (attachments.getByKey(name) !== undefined) continue;
        if (isElsewhere(volume, volume.metadata.name, node)) {
          for (const pod of users) warn(pod, "FailedAttachVolume", `Multi-Attach error for volume ${JSON.stringify(volume.metadata.name)} Volume is already exclusively attached to one node and can't be attached to another`);
          continue;
        }
        try {
          await client.volumeAttachments.create({ metadata: { name }, spec: { attacher: volume.spec!.csi!.driver, nodeName: node, source: { persistentVolumeName: volume.metadata.name } } }, signal);
        } catch (e) {
          if (!isAlreadyExists(e)) throw e;
        }
      }
      const known = nodes.getByKey(node);
      if (known === undefined) return done;
      const same = JSON.stringify(known.status.volumesAttached ?? []) === JSON.stringify(attached);
      if (!same) await client.nodes.patch("", node, "merge", { status: { volumesAttached: attached.length > 0 ? attached : null } }, "status", signal);
      return done;
    },
  };

  function warn(pod: Pod, reason: string, message: string): void {
    recorder.event({ ...pod, apiVersion: "v1", kind: "Pod" } as KubeObject, "Warning", reason, message);
  }

  /** Tells the pods once. */
  function announce({ metadata, spec }: VolumeAttachment, users: readonly Pod[]): void {
    const told = announced.get(metadata.name) ?? new Set<string>();
    announced.set(metadata.name, told);
    for (const pod of users) {
      if (told.has(keyOf(pod))) continue;
      told.add(keyOf(pod));
      recorder.event({ ...pod, apiVersion: "v1", kind: "Pod" } as KubeObject, "Normal", "SuccessfulAttachVolume", `AttachVolume.Attach succeeded for volume ${JSON.stringify(spec.source.persistentVolumeName)} `);
    }
  }
}
