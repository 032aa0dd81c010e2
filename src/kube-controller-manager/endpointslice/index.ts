/**
 * The EndpointSlice controller: the pods behind each Service with a selector.
 * Follows pkg/controller/endpointslice/endpointslice_controller.go.
 */
import type { Pod, Service } from "../../api/types.generated.ts";
import { deepEqual, keyOf, splitKey } from "../../apimachinery/meta.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import { matches, selectorFromSet } from "../../apimachinery/selectors.ts";
import { isNotFound } from "../../apimachinery/status.ts";
import { done } from "../../client/controller.ts";
import type { Controller } from "../../client/controller.ts";
import type { ControllerContext } from "../controller-context.ts";
import { MANAGED_BY, MANAGER, planSlices, SERVICE_NAME } from "./plan.ts";

const BY_SERVICE = "service";
/** Later than any generation: the slice was deleted. */
const GONE = Infinity;

export function newEndpointSliceController({ client, informers }: ControllerContext): Controller {
  const services = informers.informer("services");
  const pods = informers.informer("pods");
  const slices = informers.informer("endpointSlices");
  const nodes = informers.informer("nodes");

  const selects = (service: Service, pod: Pod): boolean =>
    service.spec.selector !== undefined && matches(selectorFromSet(service.spec.selector), pod.metadata.labels);

  // What this controller wrote and the cache has not shown yet, by Service: the generation of each slice by its uid, GONE for a
  // deleted one. Follows endpointSliceTracker: a plan made of a stale cache would create slices twice.
  const expected = new Map<string, Map<string, number>>();
  const expect = (key: string, uid: string, generation: number): void => {
    let slicesOf = expected.get(key);
    if (slicesOf === undefined) expected.set(key, (slicesOf = new Map()));
    slicesOf.set(uid, generation);
  };
  /** The cache shows this slice; true when nothing is awaited for its Service any more, but was. */
  const seen = (key: string, uid: string, generation: number): boolean => {
    const slicesOf = expected.get(key);
    const awaited = slicesOf?.get(uid);
    if (slicesOf === undefined || awaited === undefined || generation < awaited) return false;
    slicesOf.delete(uid);
    if (slicesOf.size > 0) return false;
    expected.delete(key);
    return true;
  };

  return {
    name: "endpointslice-controller",
    setup(queue) {
      slices.addIndex(BY_SERVICE, (slice) => {
        const service = slice.metadata.labels?.[SERVICE_NAME];
        return service !== undefined && slice.metadata.labels?.[MANAGED_BY] === MANAGER ? [`${slice.metadata.namespace}/${service}`] : [];
      });
      services.addHandler({
        add: (service) => queue.add(keyOf(service)),
        update: (service) => queue.add(keyOf(service)),
        delete: (service) => queue.add(keyOf(service)),
      });
      const onPod = (pod: Pod): void => {
        for (const service of services.list(pod.metadata.namespace)) if (selects(service, pod)) queue.add(keyOf(service));
      };
      pods.addHandler({
        add: onPod,
        update(pod, old) {
          const labelsChanged = !deepEqual(pod.metadata.labels, old.metadata.labels);
          if (!labelsChanged && !endpointChanged(pod, old)) return;
          onPod(pod);
          if (labelsChanged) onPod(old);
        },
        delete: onPod,
      });
      slices.addHandler({
        add(slice) {
          for (const key of ownerKeys(slice)) if (seen(key, slice.metadata.uid, slice.metadata.generation ?? 0)) queue.add(key);
        },
        update(slice, old) {
          for (const key of ownerKeys(slice)) {
            seen(key, slice.metadata.uid, slice.metadata.generation ?? 0);
            // Somebody else's hand, or our own write coming back; the plan tells.
            if (slice.metadata.generation !== old.metadata.generation) queue.add(key);
          }
        },
        delete: (slice) => {
          for (const key of ownerKeys(slice)) {
            seen(key, slice.metadata.uid, GONE);
            queue.add(key);
          }
        },
      });
      const ownerKeys = (slice: { metadata: { namespace?: string | undefined; labels?: Record<string, string> | undefined } }): string[] => {
        const { namespace, labels } = slice.metadata;
        const name = labels?.[SERVICE_NAME];
        return name !== undefined && labels?.[MANAGED_BY] === MANAGER ? [`${namespace}/${name}`] : [];
      };
      nodes.addHandler({
        update(node, old) {
          const zone = "topology.kubernetes.io/zone";
          if (node.metadata.labels?.[zone] !== old.metadata.labels?.[zone]) for (const service of services.list()) queue.add(keyOf(service));
        },
      });
    },

    async reconcile(key, signal) {
      const { namespace, name } = splitKey(key);
      const service = services.get(namespace, name);
      const existing = slices.byIndex(BY_SERVICE, key);
      // Slices of a Service that is gone go with it by garbage collection; ExternalName and selectorless ones are not ours.
      if (service === undefined || service.spec.type === "ExternalName" || service.spec.selector === undefined || service.metadata.deletionTimestamp !== undefined) return done;
      // The cache lags behind: the handlers above ask again when it has caught up.
      if (expected.has(key)) return done;
      const selected = pods.list(namespace).filter((pod) => selects(service, pod));
      const plan = planSlices(service as Service & KubeObject, selected, existing, (node) => nodes.get("", node));
      const wrote = ({ metadata: { uid, generation } }: { metadata: { uid: string; generation?: number | undefined } }): void => {
        const inCache = slices.byIndex(BY_SERVICE, key).find((slice) => slice.metadata.uid === uid);
        if ((inCache?.metadata.generation ?? -1) < (generation ?? 0)) expect(key, uid, generation ?? 0);
      };
      for (const slice of plan.create) wrote(await client.endpointSlices.create(slice, signal));
      for (const slice of plan.update) wrote(await client.endpointSlices.update(slice, signal));
      for (const slice of plan.delete) {
        try {
          await client.endpointSlices.delete(namespace, slice.metadata.name, {}, signal);
          if (slices.get(namespace, slice.metadata.name) !== undefined) expect(key, slice.metadata.uid, GONE);
        } catch (e) {
          if (!isNotFound(e)) throw e;
        }
      }
      return done;
    },
  };
}

/** Whether anything that an endpoint shows differs. Follows podEndpointsChanged. */
function endpointChanged(pod: Pod, old: Pod): boolean {
  const ready = (p: Pod): string | undefined => p.status.conditions?.find((c) => c.type === "Ready")?.status;
  return pod.status.podIP !== old.status.podIP || pod.spec.nodeName !== old.spec.nodeName || ready(pod) !== ready(old) ||
    pod.status.phase !== old.status.phase || pod.metadata.deletionTimestamp !== old.metadata.deletionTimestamp;
}
