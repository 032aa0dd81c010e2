/**
 * The Endpoints of Services with a selector. Follows pkg/controller/endpoint/endpoints_controller.go and
 * pkg/api/v1/endpoints/util.go (RepackSubsets).
 */
import type { CoreV1EndpointPort as EndpointPort, EndpointAddress, Endpoints, EndpointSubset, Pod, Service } from "../../api/types.generated.ts";
import { deepEqual, keyOf, splitKey, type KubeObject } from "../../apimachinery/meta.ts";
import { matches, selectorFromSet } from "../../apimachinery/selectors.ts";
import { isAlreadyExists, isForbidden, isNotFound } from "../../apimachinery/status.ts";
import { done, type Controller } from "../../client/controller.ts";
import type { ControllerContext } from "../controller-context.ts";
import { createTriggerTimeTracker } from "../endpointslice/trigger-time.ts";
import { findPort, isEndpointPod, shouldSetHostname, watchEndpoints } from "../endpointslice/pods.ts";

/** More addresses than this are left out, and the annotation says so. */
const CAPACITY_MAX = 1000;
const OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity";
const LAST_CHANGE = "endpoints.kubernetes.io/last-change-trigger-time";
const HEADLESS = "service.kubernetes.io/headless";

interface Member {
  readonly address: EndpointAddress;
  readonly port: EndpointPort | undefined;
  readonly ready: boolean;
}

const addressKey = ({ ip, targetRef }: EndpointAddress): string => `${ip} ${targetRef?.uid ?? ""}`;
const portKey = (port: EndpointPort): string => `${port.protocol} ${String(port.port).padStart(6, "0")} ${port.name ?? ""}`;

/** Ports that the same addresses have in one subset, in a canonical order. Follows RepackSubsets. */
export function repack(members: readonly Member[]): EndpointSubset[] {
  const byPort = new Map<string, { port: EndpointPort | undefined; addresses: Map<string, Member> }>();
  for (const member of members) {
    const key = member.port === undefined ? "" : portKey(member.port);
    let entry = byPort.get(key);
    if (entry === undefined) byPort.set(key, (entry = { port: member.port, addresses: new Map() }));
    entry.addresses.set(addressKey(member.address), member);
  }
  const groups = new Map<string, { ports: EndpointPort[]; members: Member[] }>();
  for (const key of [...byPort.keys()].sort()) {
    const { port, addresses } = byPort.get(key)!;
    const names = [...addresses.keys()].sort();
    const set = names.map((name) => `${name} ${addresses.get(name)!.ready}`).join(",");
    let group = groups.get(set);
    if (group === undefined) groups.set(set, (group = { ports: [], members: names.map((name) => addresses.get(name)!) }));
    if (port !== undefined) group.ports.push(port);
  }
  return [...groups.values()].map(({ ports, members: all }) => {
    const [ready, notReady] = [true, false].map((wanted) => all.filter((m) => m.ready === wanted).map(({ address }) => address)) as [EndpointAddress[], EndpointAddress[]];
    return {
      ...(ready.length === 0 ? {} : { addresses: ready }),
      ...(notReady.length === 0 ? {} : { notReadyAddresses: notReady }),
      ...(ports.length === 0 ? {} : { ports }),
    };
  });
}

/** Follows podToEndpointAddressForService and addEndpointSubset: what the pods are to the Service. Pure. */
export function planSubsets(service: Service, pods: readonly (Pod & KubeObject)[]): EndpointSubset[] {
  const { spec } = service;
  const family = spec.ipFamilies?.[0] ?? "IPv4";
  const tolerate = spec.publishNotReadyAddresses === true;
  const members: Member[] = [];
  for (const pod of pods) {
    if (!isEndpointPod(pod, tolerate)) continue;
    const ip = pod.status.podIPs?.map((p) => p.ip).find((text) => text.includes(":") === (family === "IPv6"));
    if (ip === undefined) continue;
    const { name, namespace, uid } = pod.metadata;
    const address: EndpointAddress = {
      ip,
      ...(shouldSetHostname(pod, service) ? { hostname: pod.spec.hostname! } : {}),
      ...(pod.spec.nodeName === undefined ? {} : { nodeName: pod.spec.nodeName }),
      targetRef: { kind: "Pod", namespace: namespace!, name, uid },
    };
    const isReady = tolerate || pod.status.conditions?.some((c) => c.type === "Ready" && c.status === "True") === true;
    const ports = spec.ports ?? [];
    // A headless Service need not name ports.
    if (ports.length === 0) {
      if (spec.clusterIP === "None") members.push({ address, port: undefined, ready: isReady });
      continue;
    }
    for (const port of ports) {
      const number = findPort(pod, port);
      if (number === undefined) continue;
      const own: EndpointPort = { ...(port.name === undefined ? {} : { name: port.name }), port: number, protocol: port.protocol ?? "TCP", ...(port.appProtocol === undefined ? {} : { appProtocol: port.appProtocol }) };
      members.push({ address, port: own, ready: isReady });
    }
  }
  return repack(members);
}

/** At most {@link CAPACITY_MAX} addresses, ready ones first. True when some were left out. Follows truncateEndpoints. */
export function truncate(subsets: EndpointSubset[]): { subsets: EndpointSubset[]; truncated: boolean } {
  const count = (field: "addresses" | "notReadyAddresses"): number => subsets.reduce((sum, subset) => sum + (subset[field]?.length ?? 0), 0);
  const [ready, notReady] = [count("addresses"), count("notReadyAddresses")];
  const total = ready + notReady;
  if (total <= CAPACITY_MAX) return { subsets, truncated: false };
  const readyLeft = Math.min(ready, CAPACITY_MAX);
  const notReadyLeft = CAPACITY_MAX - readyLeft;
  const cut = (list: EndpointAddress[] | undefined, all: number, left: number, taken: { n: number }): EndpointAddress[] => {
    if (list === undefined || all === 0) return [];
    const share = Math.min(list.length, Math.max(0, Math.min(Math.ceil((list.length * left) / all), left - taken.n)));
    taken.n += share;
    return list.slice(0, share);
  };
  const [takenReady, takenNot] = [{ n: 0 }, { n: 0 }];
  const out = subsets.flatMap((subset) => {
    const addresses = cut(subset.addresses as EndpointAddress[] | undefined, ready, readyLeft, takenReady);
    const notReadyAddresses = cut(subset.notReadyAddresses as EndpointAddress[] | undefined, notReady, notReadyLeft, takenNot);
    if (addresses.length + notReadyAddresses.length === 0) return [];
    const { ports } = subset;
    return [{ ...(addresses.length === 0 ? {} : { addresses }), ...(notReadyAddresses.length === 0 ? {} : { notReadyAddresses }), ...(ports === undefined ? {} : { ports }) }];
  });
  return { subsets: out, truncated: true };
}

/** The addresses' own revision of their pods does not count as a change (endpointSubsetsEqualIgnoreResourceVersion). */
function sameSubsets(a: readonly EndpointSubset[], b: readonly EndpointSubset[]): boolean {
  const strip = (subsets: readonly EndpointSubset[]): unknown => JSON.parse(JSON.stringify(subsets, (key, value: unknown) => (key === "resourceVersion" ? undefined : value)));
  return deepEqual(strip(a), strip(b));
}

export function newEndpointController(context: ControllerContext): Controller {
  const { client, informers } = context;
  const services = informers.informer("services");
  const pods = informers.informer("pods");
  const endpoints = informers.informer("endpoints");
  const recorder = context.recorder("endpoint-controller");
  const triggers = createTriggerTimeTracker();

  return {
    name: "endpoints-controller",
    setup(queue) {
      watchEndpoints(services, pods, queue);
      endpoints.addHandler({ delete: (object) => queue.add(keyOf(object)) });
    },
    async reconcile(key, signal) {
      const { namespace, name } = splitKey(key);
      const service = services.get(namespace, name);
      if (service === undefined) {
        triggers.forget(key);
        try {
          await client.endpoints.delete(namespace, name, {}, signal);
        } catch (e) {
          if (!isNotFound(e)) throw e;
        }
        return done;
      }
      // Services without selectors have Endpoints by somebody else's hand.
      if (service.spec.selector === undefined || service.spec.type === "ExternalName") return done;
      const selector = selectorFromSet(service.spec.selector);
      const selected = pods.list(namespace).filter((pod) => matches(selector, pod.metadata.labels));
      const trigger = triggers.compute(key, service, selected);
      const { subsets, truncated } = truncate(planSubsets(service, selected));
      const current = endpoints.get(namespace, name);
      const labels: Record<string, string> = { ...service.metadata.labels };
      if (service.spec.clusterIP === "None") labels[HEADLESS] = "";
      else delete labels[HEADLESS];
      const was = current?.metadata.annotations?.[OVER_CAPACITY];
      const capacityRight = truncated ? was === "truncated" : was === undefined;
      if (current !== undefined && sameSubsets(current.subsets ?? [], subsets) && deepEqual(current.metadata.labels ?? {}, labels) && capacityRight && current.metadata.resourceVersion !== "") return done;
      const annotations: Record<string, string> = { ...current?.metadata.annotations };
      if (trigger !== undefined) annotations[LAST_CHANGE] = trigger;
      else delete annotations[LAST_CHANGE];
      if (truncated) annotations[OVER_CAPACITY] = "truncated";
      else delete annotations[OVER_CAPACITY];
      const metadata = {
        ...current?.metadata, name, namespace,
        ...(Object.keys(labels).length > 0 ? { labels } : { labels: undefined }), ...(Object.keys(annotations).length > 0 ? { annotations } : { annotations: undefined }),
      };
      const wanted = { metadata, ...(subsets.length > 0 ? { subsets } : {}) } as unknown as Endpoints & KubeObject;
      try {
        if (current === undefined) await client.endpoints.create(wanted, signal);
        else await client.endpoints.update(wanted, signal);
      } catch (e) {
        if (isAlreadyExists(e)) throw e;
        const about = current === undefined ? { ...service, apiVersion: "v1", kind: "Service" } : { ...current, apiVersion: "v1", kind: "Endpoints" };
        if (!isNotFound(e) || current !== undefined) {
          const message = e instanceof Error ? e.message : String(e);
          if (!isForbidden(e)) recorder.event(about, "Warning", current === undefined ? "FailedToCreateEndpoint" : "FailedToUpdateEndpoint",
            current === undefined ? `Failed to create endpoint for service ${key}: ${message}` : `Failed to update endpoint ${key}: ${message}`);
        }
        throw e;
      }
      return done;
    },
  };
}
