/** The StatefulSet controller: pods with names, order and storage of their own. Follows pkg/controller/statefulset/stateful_set.go. */
import type { Pod, StatefulSet } from "../../api/types.generated.ts";
import { controllerOf, deepEqual, keyOf, splitKey } from "../../apimachinery/meta.ts";
import { labelSelector } from "../../apimachinery/selectors.ts";
import { done, requeueAfter } from "../../client/controller.ts";
import type { Controller } from "../../client/controller.ts";
import { isPodReady } from "../controller-context.ts";
import type { ControllerContext } from "../controller-context.ts";
import { claimObjects, indexOrphans, isTerminating, resolveControllerRef, selecting, typedAs } from "../controller-utils.ts";
import { updateStatefulSet } from "./control.ts";
import { parentAndOrdinal } from "./identity.ts";
import { createStatefulPodControl } from "./pod-control.ts";

export function newStatefulSetController(context: ControllerContext): Controller {
  const { client, clock, informers } = context;
  const sets = informers.informer("statefulSets");
  const pods = informers.informer("pods");
  const claims = informers.informer("persistentVolumeClaims");
  const revisions = informers.informer("controllerRevisions");
  const recorder = context.recorder("statefulset-controller");
  const control = createStatefulPodControl(client, claims, recorder);
  const ownerOf = (pod: Pod): StatefulSet | undefined => resolveControllerRef(sets, "StatefulSet", pod.metadata.namespace!, controllerOf(pod));

  return {
    name: "statefulset-controller",
    setup(queue) {
      indexOrphans(pods);
      indexOrphans(revisions);
      const enqueue = (set: StatefulSet | undefined): void => {
        if (set !== undefined) queue.add(keyOf(set));
      };
      sets.addHandler({ add: enqueue, update: enqueue, delete: enqueue });
      const enqueueOrphan = (pod: Pod): void => {
        if (controllerOf(pod) === undefined) selecting(sets, pod).forEach(enqueue);
      };
      pods.addHandler({
        add(pod) {
          enqueue(ownerOf(pod));
          if (!isTerminating(pod)) enqueueOrphan(pod);
        },
        update(pod, old) {
          const set = ownerOf(pod);
          if (controllerOf(old)?.uid !== controllerOf(pod)?.uid) enqueue(ownerOf(old));
          enqueue(set);
          // A pod becomes available by the mere passing of time.
          const { minReadySeconds = 0 } = set?.spec ?? {};
          if (set !== undefined && minReadySeconds > 0 && !isPodReady(old) && isPodReady(pod)) queue.addAfter(keyOf(set), (minReadySeconds + 1) * 1000);
          if (!deepEqual(old.metadata.labels, pod.metadata.labels) || controllerOf(old) !== undefined) enqueueOrphan(pod);
        },
        delete: (pod) => enqueue(ownerOf(pod)),
      });
    },

    async reconcile(key, signal) {
      const { namespace, name } = splitKey(key);
      const cached = sets.get(namespace, name);
      if (cached === undefined) return done;
      const set = typedAs(client.statefulSets, cached);
      const selector = labelSelector(set.spec.selector);
      const fresh = (): Promise<StatefulSet> => client.statefulSets.get(namespace, name, signal);
      const history = await claimObjects(client.controllerRevisions, revisions, { owner: set, selector }, fresh, signal);
      const own = await claimObjects(client.pods, pods, { owner: set, selector, filter: (pod) => parentAndOrdinal(pod)?.parent === name }, fresh, signal);
      const status = await updateStatefulSet(client, control, clock, set, own, history, signal);
      const { minReadySeconds = 0, replicas } = set.spec;
      return minReadySeconds > 0 && status.availableReplicas !== replicas ? requeueAfter(minReadySeconds * 1000) : done;
    },
  };
}
