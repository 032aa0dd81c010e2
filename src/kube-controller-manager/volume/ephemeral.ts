/** The claims of pods' ephemeral volumes. Follows pkg/controller/volume/ephemeral/controller.go. */
import type { Pod } from "../../api/types.generated.ts";
import { keyOf, splitKey, type KubeObject } from "../../apimachinery/meta.ts";
import { done, type Controller } from "../../client/controller.ts";
import type { ControllerContext } from "../controller-context.ts";

export function newEphemeralVolumeController(context: ControllerContext): Controller {
  const { client, informers } = context;
  const pods = informers.informer("pods");
  const claims = informers.informer("persistentVolumeClaims");
  const recorder = context.recorder("ephemeral_volume");
  return {
    name: "ephemeral-volume-controller",
    setup(queue) {
      const onPod = (pod: Pod): void => {
        if (pod.metadata.deletionTimestamp === undefined && pod.spec.volumes?.some(({ ephemeral }) => ephemeral !== undefined) === true) queue.add(keyOf(pod));
      };
      pods.addHandler({ add: onPod });
      claims.addHandler({
        delete({ metadata }) {
          for (const { kind, name } of metadata.ownerReferences ?? []) if (kind === "Pod") queue.add(`${metadata.namespace}/${name}`);
        },
      });
    },
    async reconcile(key, signal) {
      const { namespace, name } = splitKey(key);
      const pod = pods.get(namespace, name);
      if (pod === undefined || pod.metadata.deletionTimestamp !== undefined) return done;
      for (const volume of pod.spec.volumes ?? []) {
        const template = volume.ephemeral?.volumeClaimTemplate;
        if (template === undefined) continue;
        const claim = `${name}-${volume.name}`;
        const { uid } = pod.metadata;
        const found = claims.get(namespace, claim);
        const problem = async (message: string): Promise<never> => {
          recorder.event({ ...pod, apiVersion: "v1", kind: "Pod" } as KubeObject, "Warning", "FailedCreate", `ephemeral volume ${volume.name}: ${message}`);
          throw new Error(message);
        };
        if (found !== undefined) {
          // Somebody else's claim of that name is not this pod's.
          if (found.metadata.ownerReferences?.some((ref) => ref.uid === uid && ref.controller === true) !== true) await problem(`PVC ${namespace}/${claim} was not created for pod ${key} (pod is not owner)`);
          continue;
        }
        const { annotations, labels } = template.metadata ?? {};
        try {
          await client.persistentVolumeClaims.create({
            metadata: {
              name: claim, namespace, ...(annotations === undefined ? {} : { annotations }), ...(labels === undefined ? {} : { labels }),
              ownerReferences: [{ apiVersion: "v1", kind: "Pod", name, uid, controller: true, blockOwnerDeletion: true }],
            },
            spec: template.spec,
          }, signal);
        } catch (e) {
          await problem(`create PVC ${claim}: ${e instanceof Error ? e.message : String(e)}`);
        }
      }
      return done;
    },
  };
}
