/**
 * From a Service and its pods to EndpointSlices. Pure. Follows
 * staging/src/k8s.io/endpointslice (reconciler.go, utils.go).
 */
import type { Endpoint, EndpointPort, EndpointSlice, Node, Pod, Service } from "../../api/types.generated.ts";
import { deepEqual, newControllerRef } from "../../apimachinery/meta.ts";
import type { Draft, KubeObject } from "../../apimachinery/meta.ts";
import { canonicalJson } from "../../apimachinery/names.ts";
import { isPodReady } from "../controller-context.ts";

export const SERVICE_NAME = "kubernetes.io/service-name";
export const MANAGED_BY = "endpointslice.kubernetes.io/managed-by";
export const MANAGER = "endpointslice-controller.k8s.io";
const HEADLESS = "service.kubernetes.io/headless";
/** `--max-endpoints-per-slice`. */
const ENDPOINTS_MAX = 100;

export interface SlicePlan {
  create: Draft<EndpointSlice>[];
  update: EndpointSlice[];
  delete: EndpointSlice[];
}

interface Wanted {
  ports: EndpointPort[];
  endpoints: Map<string, Endpoint>;
}

/** `slices` are the ones this controller manages for the Service. */
export function planSlices(service: Service & KubeObject, pods: readonly Pod[], slices: readonly EndpointSlice[], nodeOf: (name: string) => Node | undefined): SlicePlan {
  const groups = new Map<string, Wanted>();
  for (const pod of pods) {
    if (pod.status.podIP === undefined || pod.status.phase === "Succeeded" || pod.status.phase === "Failed") continue;
    const ports = endpointPorts(service, pod);
    const key = canonicalJson(ports);
    let group = groups.get(key);
    if (group === undefined) groups.set(key, (group = { ports, endpoints: new Map() }));
    group.endpoints.set(pod.metadata.uid, endpointOf(service, pod, nodeOf));
  }
  const plan: SlicePlan = { create: [], update: [], delete: [] };
  const labels = labelsOf(service);
  const byPorts = new Map<string, EndpointSlice[]>();
  for (const slice of slices) {
    const key = canonicalJson(slice.ports ?? []);
    if (groups.has(key)) byPorts.set(key, [...(byPorts.get(key) ?? []), slice]);
    else plan.delete.push(slice);
  }
  for (const [key, { ports, endpoints }] of groups) {
    const left = new Map(endpoints);
    const kept: { slice: EndpointSlice; endpoints: Endpoint[] }[] = [];
    // An endpoint stays in the slice where it is.
    for (const slice of byPorts.get(key) ?? []) {
      const stay: Endpoint[] = [];
      for (const endpoint of slice.endpoints ?? []) {
        const uid = endpoint.targetRef?.uid ?? "";
        const wanted = left.get(uid);
        if (wanted === undefined) continue;
        left.delete(uid);
        stay.push(wanted);
      }
      kept.push({ slice, endpoints: stay });
    }
    const rest = [...left.values()];
    for (const entry of kept) {
      while (rest.length > 0 && entry.endpoints.length < ENDPOINTS_MAX) entry.endpoints.push(rest.shift()!);
      if (entry.endpoints.length === 0) plan.delete.push(entry.slice);
      else if (!deepEqual(entry.endpoints, entry.slice.endpoints) || !deepEqual(labels, entry.slice.metadata.labels))
        plan.update.push({ ...entry.slice, metadata: { ...entry.slice.metadata, labels }, endpoints: entry.endpoints });
    }
    while (rest.length > 0) plan.create.push(newSlice(service, labels, ports, rest.splice(0, ENDPOINTS_MAX)));
  }
  const remaining = slices.length - plan.delete.length + plan.create.length;
  if (remaining === 0) {
    // A Service without pods keeps one empty slice, so that its readers know it was looked at.
    const placeholder = plan.delete.shift();
    if (placeholder === undefined) plan.create.push(newSlice(service, labels, [], []));
    else if ((placeholder.endpoints ?? []).length > 0 || (placeholder.ports ?? []).length > 0 || !deepEqual(labels, placeholder.metadata.labels))
      plan.update.push({ ...placeholder, metadata: { ...placeholder.metadata, labels }, endpoints: [], ports: [] });
  }
  recycle(plan, service);
  return plan;
}

/** A slice that would be deleted is filled anew instead of creating one beside it. Follows reconciler.finalize. */
function recycle(plan: SlicePlan, service: Service): void {
  plan.delete = plan.delete.filter((old) => {
    const fresh = plan.create.at(-1);
    if (fresh === undefined || fresh.addressType !== old.addressType) return true;
    if (!old.metadata.ownerReferences?.some(({ uid }) => uid === service.metadata.uid)) return true;
    plan.create.pop();
    plan.update.push({ ...fresh, metadata: { ...old.metadata, ...fresh.metadata, name: old.metadata.name } } as EndpointSlice);
    return false;
  });
}

function newSlice(service: Service & KubeObject, labels: Record<string, string>, ports: EndpointPort[], endpoints: Endpoint[]): Draft<EndpointSlice> {
  const { name, namespace } = service.metadata;
  return {
    metadata: { generateName: `${name}-`, namespace, labels, ownerReferences: [newControllerRef(service)] },
    addressType: "IPv4",
    endpoints,
    ports,
  };
}

function labelsOf(service: Service): Record<string, string> {
  const labels: Record<string, string> = { ...service.metadata.labels };
  if (service.spec.clusterIP === "None") labels[HEADLESS] = "";
  labels[SERVICE_NAME] = service.metadata.name;
  labels[MANAGED_BY] = MANAGER;
  return labels;
}

/** Follows podToEndpoint. */
function endpointOf(service: Service, pod: Pod, nodeOf: (name: string) => Node | undefined): Endpoint {
  const serving = isPodReady(pod);
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const ready = service.spec.publishNotReadyAddresses === true || (serving && !terminating);
  const zone = pod.spec.nodeName === undefined ? undefined : nodeOf(pod.spec.nodeName)?.metadata.labels?.["topology.kubernetes.io/zone"];
  return {
    addresses: [pod.status.podIP!],
    conditions: { ready, serving, terminating },
    ...(pod.spec.hostname !== undefined && pod.spec.subdomain === service.metadata.name ? { hostname: pod.spec.hostname } : {}),
    targetRef: { kind: "Pod", namespace: pod.metadata.namespace, name: pod.metadata.name, uid: pod.metadata.uid },
    ...(pod.spec.nodeName === undefined ? {} : { nodeName: pod.spec.nodeName }),
    ...(zone === undefined ? {} : { zone }),
  };
}

/** The ports of the Service as this pod has them; a named target that the pod lacks is left out. Follows getEndpointPorts. */
function endpointPorts(service: Service, pod: Pod): EndpointPort[] {
  const out: EndpointPort[] = [];
  for (const { name, protocol, targetPort, port, appProtocol } of service.spec.ports ?? []) {
    const number = findPort(pod, targetPort ?? port, protocol ?? "TCP");
    if (number === undefined) continue;
    out.push({ name: name ?? "", protocol: protocol ?? "TCP", port: number, ...(appProtocol === undefined ? {} : { appProtocol }) });
  }
  return out;
}

/** Follows podutil.FindPort. */
function findPort(pod: Pod, target: number | string, protocol: string): number | undefined {
  if (typeof target === "number") return target;
  const sidecars = (pod.spec.initContainers ?? []).filter((c) => c.restartPolicy === "Always");
  for (const container of [...pod.spec.containers, ...sidecars])
    for (const port of container.ports ?? []) if (port.name === target && (port.protocol ?? "TCP") === protocol) return port.containerPort;
  return undefined;
}
