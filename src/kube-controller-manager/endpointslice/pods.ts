/** What a pod is to a Service. Follows k8s.io/endpointslice/util (controller_utils.go) and pkg/api/v1/pod (FindPort). */
import type { Pod, Service, ServicePort } from "../../api/types.generated.ts";
import { deepEqual, keyOf, type KubeObject } from "../../apimachinery/meta.ts";
import { matches, selectorFromSet } from "../../apimachinery/selectors.ts";
import type { Informer, Lister } from "../../client/informer.ts";
import type { WorkQueue } from "../../client/workqueue.ts";

/** Whether the pod may be an endpoint at all. Follows ShouldPodBeInEndpoints. */
export function isEndpointPod({ metadata, status }: Pod & KubeObject, includeTerminating: boolean): boolean {
  if (status.phase === "Succeeded" || status.phase === "Failed") return false;
  if ((status.podIP ?? "") === "" && (status.podIPs ?? []).length === 0) return false;
  return includeTerminating || metadata.deletionTimestamp === undefined;
}

/** Whether DNS knows the pod by its host name. */
export const shouldSetHostname = (pod: Pod, service: Service): boolean =>
  (pod.spec.hostname ?? "") !== "" && pod.spec.subdomain === service.metadata.name && pod.metadata.namespace === service.metadata.namespace;

/** The number of a Service's port at this pod; undefined for a named one that the pod does not have. */
export function findPort(pod: Pod, { targetPort, port, protocol = "TCP" }: ServicePort): number | undefined {
  const target = targetPort ?? port;
  if (typeof target === "number") return target === 0 ? port : target;
  const sidecars = (pod.spec.initContainers ?? []).filter((c) => c.restartPolicy === "Always");
  for (const container of [...pod.spec.containers, ...sidecars])
    for (const own of container.ports ?? []) if (own.name === target && (own.protocol ?? "TCP") === protocol) return own.containerPort;
  return undefined;
}

/** The Services that select the pod. Follows GetServicesToUpdateOnPodChange. */
export function servicesOfPod(services: Lister<Service>, { metadata }: Pod): Service[] {
  return services.list(metadata.namespace).filter(({ spec }) => spec.selector !== undefined && matches(selectorFromSet(spec.selector), metadata.labels));
}

/** Whether anything that an endpoint shows differs. Follows podEndpointsChanged. */
export function affectsEndpoints(pod: Pod, old: Pod): boolean {
  const ready = ({ status }: Pod): string | undefined => status.conditions?.find((c) => c.type === "Ready")?.status;
  return (pod.metadata.deletionTimestamp === undefined) !== (old.metadata.deletionTimestamp === undefined) || ready(pod) !== ready(old) ||
    pod.status.phase !== old.status.phase || pod.status.podIP !== old.status.podIP || !deepEqual(pod.status.podIPs, old.status.podIPs) ||
    pod.spec.nodeName !== old.spec.nodeName || pod.spec.hostname !== old.spec.hostname || pod.spec.subdomain !== old.spec.subdomain;
}

/** Puts a Service into the queue when it, or what it shows of a pod, changes. Returns what does so for all Services of a pod. */
export function watchEndpoints(services: Informer<Service>, pods: Informer<Pod>, queue: WorkQueue): (pod: Pod) => void {
  const onService = (service: Service): void => queue.add(keyOf(service));
  services.addHandler({ add: onService, update: onService, delete: onService });
  const onPod = (pod: Pod): void => {
    for (const service of servicesOfPod(services, pod)) queue.add(keyOf(service));
  };
  pods.addHandler({
    add: onPod,
    update(pod, old) {
      const labels = !deepEqual(pod.metadata.labels, old.metadata.labels);
      if (!labels && !affectsEndpoints(pod, old)) return;
      onPod(pod);
      if (labels) onPod(old);
    },
    delete: onPod,
  });
  return onPod;
}
