/**
 * From a Service and its pods to EndpointSlices, in full. Pure. Follows k8s.io/endpointslice (reconciler.go, utils.go). The core's
 * smaller plan is `plan.ts`.
 */
import type { Endpoint, EndpointPort, EndpointSlice, Node, Pod, Service } from "../../api/types.generated.ts";
import { deepEqual, newControllerRef, type Draft, type KubeObject } from "../../apimachinery/meta.ts";
import { canonicalJson } from "../../apimachinery/names.ts";
import { isPodReady } from "../controller-context.ts";
import { MANAGED_BY, SERVICE_NAME } from "./plan.ts";
import { findPort, isEndpointPod, shouldSetHostname } from "./pods.ts";

export const LAST_CHANGE = "endpoints.kubernetes.io/last-change-trigger-time";
const HEADLESS = "service.kubernetes.io/headless";
const RESERVED = new Set([SERVICE_NAME, MANAGED_BY, HEADLESS]);

export type Slice = EndpointSlice & KubeObject;
export type AddressType = "IPv4" | "IPv6";

/** A slice to be: one that has a name already is an update of it. */
export type Wanted = Draft<EndpointSlice> & { addressType: string; endpoints: Endpoint[]; ports: EndpointPort[]; metadata: { name?: string; labels: Record<string, string>; annotations?: Record<string, string> } };

export interface Plan {
  create: Wanted[];
  update: Slice[];
  delete: Slice[];
}

/** Where slices come from: the controller's name, and how full they may be. */
export interface Maker {
  readonly controller: string;
  /** `--max-endpoints-per-slice`. */
  readonly endpointsMax: number;
}

/** One group of endpoints that have the same ports. */
interface Group {
  readonly ports: EndpointPort[];
  readonly endpoints: Map<string, Endpoint>;
}

/** What makes an endpoint the same one. Follows hashEndpoint. */
export const endpointKey = ({ addresses, hostname, targetRef }: Endpoint): string => canonicalJson([[...addresses].sort(), hostname ?? "", targetRef?.namespace ?? "", targetRef?.name ?? ""]);
const portsKey = (ports: readonly EndpointPort[] | null | undefined): string => (ports ?? []).map((port) => canonicalJson(port)).sort().join();

/** Follows EndpointsEqualBeyondHash: hints are somebody else's. */
const sameEndpoint = (a: Endpoint, b: Endpoint): boolean =>
  a.nodeName === b.nodeName && a.zone === b.zone && deepEqual(a.conditions, b.conditions) && deepEqual(a.targetRef, b.targetRef);

const ownedBy = (slice: Slice, { metadata }: Service): boolean => slice.metadata.ownerReferences?.some(({ uid, controller }) => uid === metadata.uid && controller === true) === true;

/** The families that the Service is reached by. Follows getAddressTypesForService. */
export function addressTypesOf({ spec }: Service): AddressType[] {
  const families = (spec.ipFamilies ?? []).filter((f): f is AddressType => f === "IPv4" || f === "IPv6");
  if (families.length > 0) return families;
  if (spec.clusterIP !== undefined && spec.clusterIP !== "" && spec.clusterIP !== "None") return [spec.clusterIP.includes(":") ? "IPv6" : "IPv4"];
  return spec.clusterIP === "None" ? ["IPv4", "IPv6"] : ["IPv4"];
}

export function labelsFor({ metadata, spec }: Service, controller: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const [key, value] of Object.entries(metadata.labels ?? {})) if (!RESERVED.has(key)) labels[key] = value;
  if (spec.clusterIP === "None") labels[HEADLESS] = "";
  labels[SERVICE_NAME] = metadata.name;
  labels[MANAGED_BY] = controller;
  return labels;
}

/** Follows podToEndpoint; undefined when the pod has no address of this family. */
function endpointOf(pod: Pod, node: Node | undefined, service: Service, type: AddressType): Endpoint | undefined {
  const addresses = (pod.status.podIPs ?? (pod.status.podIP === undefined ? [] : [{ ip: pod.status.podIP }])).map(({ ip }) => ip).filter((ip) => ip.includes(":") === (type === "IPv6"));
  if (addresses.length === 0) return undefined;
  const serving = isPodReady(pod);
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const zone = node?.metadata.labels?.["topology.kubernetes.io/zone"] ?? "";
  const { namespace, name, uid } = pod.metadata;
  return {
    addresses,
    conditions: { ready: service.spec.publishNotReadyAddresses === true || (serving && !terminating), serving, terminating },
    ...(shouldSetHostname(pod, service) ? { hostname: pod.spec.hostname! } : {}),
    targetRef: { kind: "Pod", namespace: namespace!, name, uid },
    ...(pod.spec.nodeName === undefined ? {} : { nodeName: pod.spec.nodeName }),
    ...(zone === "" ? {} : { zone }),
  };
}

/** Follows getEndpointPorts. */
function portsOf(service: Service, pod: Pod): EndpointPort[] {
  return (service.spec.ports ?? []).flatMap((port) => {
    const number = findPort(pod, port);
    return number === undefined ? [] : [{ name: port.name ?? "", protocol: port.protocol ?? "TCP", port: number, ...(port.appProtocol === undefined ? {} : { appProtocol: port.appProtocol }) }];
  });
}

export function newSlice(service: Service & KubeObject, type: AddressType, ports: EndpointPort[], maker: Maker): Wanted {
  const { name, namespace } = service.metadata;
  return {
    metadata: { generateName: `${prefixOf(name)}`, namespace: namespace!, labels: labelsFor(service, maker.controller), ownerReferences: [newControllerRef({ ...service, apiVersion: "v1", kind: "Service" })] },
    addressType: type, endpoints: [], ports,
  } as unknown as Wanted;
}

/** Names may not end in a hyphen before what the server adds. Follows getEndpointSlicePrefix. */
export const prefixOf = (service: string): string => (service.length >= 58 ? service : `${service}-`);

/** The slices of one set of ports. Follows reconcileByPortMapping. */
export function planGroup(existing: readonly Slice[], { ports, endpoints }: Group, labels: Record<string, string>, make: () => Wanted, max: number): Plan & { unchanged: Slice[] } {
  const left = new Map(endpoints);
  const changed = new Map<string, Slice>();
  const unchanged = new Map<string, Slice>();
  const gone: Slice[] = [];
  for (const slice of existing) {
    const kept: Endpoint[] = [];
    let updated = false;
    for (const endpoint of slice.endpoints ?? []) {
      const key = endpointKey(endpoint);
      const wanted = left.get(key);
      if (wanted === undefined) continue;
      if (!sameEndpoint(wanted, endpoint)) updated = true;
      // Hints stay until they are given anew.
      kept.push(endpoint.hints === undefined ? wanted : { ...wanted, hints: endpoint.hints });
      left.delete(key);
    }
    const { name } = slice.metadata;
    const next = { ...slice, metadata: { ...slice.metadata, labels }, endpoints: kept } as Slice;
    if (updated || kept.length !== (slice.endpoints ?? []).length) {
      if (kept.length === 0) gone.push(slice);
      else changed.set(name, next);
    } else if (!deepEqual(slice.metadata.labels, labels)) changed.set(name, next);
    else unchanged.set(name, slice);
  }
  const rest = [...left.values()];
  // The fullest of those that are written anyway are filled first.
  for (const slice of [...changed.values()].sort((a, b) => b.endpoints!.length - a.endpoints!.length))
    while (rest.length > 0 && slice.endpoints!.length < max) (slice.endpoints as Endpoint[]).push(rest.shift()!);
  const create: Wanted[] = [];
  while (rest.length > 0) {
    const fit = rest.length < max ? fullestThatFits([...unchanged.values()], rest.length, max) : undefined;
    if (fit === undefined) {
      const slice = make();
      slice.ports = ports;
      slice.endpoints = rest.splice(0, max);
      create.push(slice);
      continue;
    }
    unchanged.delete(fit.metadata.name);
    changed.set(fit.metadata.name, { ...fit, endpoints: [...(fit.endpoints ?? []), ...rest.splice(0)] } as Slice);
  }
  return { create, update: [...changed.values()], delete: gone, unchanged: [...unchanged.values()] };
}

/** Follows getSliceToFill. */
function fullestThatFits(slices: readonly Slice[], count: number, max: number): Slice | undefined {
  let best: Slice | undefined;
  let least = max;
  for (const slice of slices) {
    const room = max - (count + (slice.endpoints ?? []).length);
    if (room >= 0 && room < least) [best, least] = [slice, room];
  }
  return best;
}

/** A slice that would go is filled anew instead of making one beside it. Follows the beginning of finalize. */
export function recycle(plan: Plan, owned: (slice: Slice) => boolean): void {
  plan.delete = plan.delete.filter((old) => {
    const fresh = plan.create.at(-1);
    if (fresh === undefined || fresh.addressType !== old.addressType || !owned(old)) return true;
    plan.create.pop();
    plan.update.push({ ...fresh, metadata: { ...old.metadata, ...fresh.metadata, generateName: old.metadata.generateName, name: old.metadata.name, annotations: old.metadata.annotations } } as unknown as Slice);
    return false;
  });
}

export interface Reconciled extends Plan {
  /** Slices that stay as they are. */
  unchanged: Slice[];
  /** Pods that were left out because their node is not known (yet). */
  skipped: string[];
}

/** Follows reconcileByAddressType, hints aside. `slices` are those of this family. */
export function reconcileType(service: Service & KubeObject, pods: readonly (Pod & KubeObject)[], slices: readonly Slice[], type: AddressType, nodeOf: (name: string) => Node | undefined, maker: Maker): Reconciled {
  const groups = new Map<string, Group>();
  const skipped: string[] = [];
  for (const pod of pods) {
    if (!isEndpointPod(pod, true)) continue;
    const node = pod.spec.nodeName === undefined ? undefined : nodeOf(pod.spec.nodeName);
    if (node === undefined && pod.spec.nodeName !== undefined && service.spec.publishNotReadyAddresses !== true) {
      skipped.push(`skipping Pod ${pod.metadata.name} for Service ${service.metadata.namespace}/${service.metadata.name}: Node ${pod.spec.nodeName} Not Found`);
      continue;
    }
    const ports = portsOf(service, pod);
    const key = portsKey(ports);
    let group = groups.get(key);
    if (group === undefined) groups.set(key, (group = { ports, endpoints: new Map() }));
    const endpoint = endpointOf(pod, node, service, type);
    if (endpoint !== undefined) group.endpoints.set(endpointKey(endpoint), endpoint);
  }
  const out: Reconciled = { create: [], update: [], delete: [], unchanged: [], skipped };
  const byPorts = new Map<string, Slice[]>();
  for (const slice of slices) {
    if (!ownedBy(slice, service)) out.delete.push(slice);
    else byPorts.set(portsKey(slice.ports), [...(byPorts.get(portsKey(slice.ports)) ?? []), slice]);
  }
  const labels = labelsFor(service, maker.controller);
  for (const [key, group] of groups) {
    const plan = planGroup(byPorts.get(key) ?? [], group, labels, () => newSlice(service, type, group.ports, maker), maker.endpointsMax);
    out.create.push(...plan.create);
    out.update.push(...plan.update);
    out.delete.push(...plan.delete);
    out.unchanged.push(...plan.unchanged);
  }
  for (const [key, existing] of byPorts) if (!groups.has(key)) out.delete.push(...existing);
  // A Service without endpoints keeps one empty slice, so that its readers know it was looked at.
  if (slices.length === out.delete.length && out.create.length === 0) {
    const only = out.delete.length === 1 ? out.delete[0]! : undefined;
    const isPlaceholder = only !== undefined && (only.endpoints ?? []).length === 0 && (only.ports ?? []).length === 0 && ownedBy(only, service) && deepEqual(only.metadata.labels, labels);
    if (isPlaceholder) out.unchanged.push(...out.delete.splice(0));
    else out.create.push(newSlice(service, type, [], maker));
  }
  return out;
}

/** With the time of what it tells of, or without. Follows addTriggerTimeAnnotation. */
export function annotate<T extends { metadata: { annotations?: Record<string, string> | undefined } }>(slice: T, triggerTime: string | undefined): T {
  const { [LAST_CHANGE]: _was, ...others } = slice.metadata.annotations ?? {};
  const annotations = triggerTime === undefined ? others : { ...others, [LAST_CHANGE]: triggerTime };
  return { ...slice, metadata: { ...slice.metadata, annotations: Object.keys(annotations).length > 0 ? annotations : undefined } };
}
