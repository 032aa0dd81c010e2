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

export function newEndpointSliceController({ client, informers }: ControllerContext): Controller {
  const services = informers.informer("services");
  const pods = informers.informer("pods");
  const slices = informers.informer("endpointSlices");
  const nodes = informers.informer("nodes");

  const selects = (service: Service, pod: Pod): boolean =>
    service.spec.selector !== undefined && matches(selectorFromSet(service.spec.selector), pod.metadata.labels);

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
        update(slice, old) {
          // Somebody else's hand, or our own write coming back; the plan tells.
          if (slice.metadata.generation !== old.metadata.generation) for (const key of ownerKeys(slice)) queue.add(key);
        },
        delete: (slice) => {
          for (const key of ownerKeys(slice)) queue.add(key);
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
      const selected = pods.list(namespace).filter((pod) => selects(service, pod));
      const plan = planSlices(service as Service & KubeObject, selected, existing, (node) => nodes.get("", node));
      for (const slice of plan.create) await client.endpointSlices.create(slice, signal);
      for (const slice of plan.update) await client.endpointSlices.update(slice, signal);
      for (const slice of plan.delete) {
        try {
          await client.endpointSlices.delete(namespace, slice.metadata.name, {}, signal);
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
