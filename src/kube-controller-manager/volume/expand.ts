/** Says who is to grow a volume whose claim grew. Follows pkg/controller/volume/expand/expand_controller.go for volumes that a provisioner resizes. */
import { keyOf, splitKey, type KubeObject } from "../../apimachinery/meta.ts";
import { parseQuantity } from "../../apimachinery/quantity.ts";
import { done, type Controller } from "../../client/controller.ts";
import type { ControllerContext } from "../controller-context.ts";

export function newExpandController(context: ControllerContext): Controller {
  const { informers } = context;
  const claims = informers.informer("persistentVolumeClaims");
  const volumes = informers.informer("persistentVolumes");
  const recorder = context.recorder("volume_expand");
  const size = (resources: Readonly<Record<string, string>> | undefined): bigint => parseQuantity(resources?.["storage"] ?? "0").nano;
  return {
    name: "persistentvolume-expander-controller",
    setup(queue) {
      claims.addHandler({
        update(claim, old) {
          if (size(claim.spec.resources?.requests) > size(old.spec.resources?.requests)) queue.add(keyOf(claim));
        },
      });
    },
    async reconcile(key) {
      const { namespace, name } = splitKey(key);
      const claim = claims.get(namespace, name);
      const volume = claim?.status?.phase === "Bound" ? volumes.getByKey(claim.spec.volumeName ?? "") : undefined;
      if (claim === undefined || volume === undefined || size(claim.spec.resources?.requests) <= size(claim.status?.capacity)) return done;
      recorder.event({ ...claim, apiVersion: "v1", kind: "PersistentVolumeClaim" } as KubeObject, "Normal", "ExternalExpanding", "waiting for an external controller to expand this PVC");
      return done;
    },
  };
}
