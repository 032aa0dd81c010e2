/**
 * Which zone each endpoint is for. Follows k8s.io/endpointslice/trafficdist (PreferClose) and topologycache (topology-mode: Auto):
 * there every zone gets endpoints in proportion to the CPUs of its nodes, its own first.
 */
import type { Endpoint, Node, Service } from "../../api/types.generated.ts";
import { deepEqual } from "../../apimachinery/meta.ts";
import { quantityMilliValue } from "../../apimachinery/quantity.ts";
import type { Reconciled, Slice } from "./reconciler.ts";

const ZONE = "topology.kubernetes.io/zone";
/** How much more than its share a zone may be asked to bear. */
const OVERLOAD = 0.2;

/** Why there are no hints, in upstream's words. */
export type Refusal = string;

export const wantsTopology = ({ metadata: { annotations = {} } }: Service): boolean => {
  const mode = annotations["service.kubernetes.io/topology-mode"] ?? annotations["service.kubernetes.io/topology-aware-hints"] ?? "";
  return mode === "Auto" || mode === "auto";
};

interface Share {
  readonly minimum: number;
  readonly desired: number;
}

/** The part of all CPUs that each zone has; undefined when it cannot be told, or when there is but one. Follows SetNodes. */
export function cpuShares(nodes: readonly Node[]): ReadonlyMap<string, number> | Refusal {
  const cpus = new Map<string, number>();
  let total = 0;
  for (const { metadata, status } of nodes) {
    if (metadata.labels?.["node-role.kubernetes.io/control-plane"] !== undefined || metadata.labels?.["node-role.kubernetes.io/master"] !== undefined) continue;
    if (status.conditions?.some((c) => c.type === "Ready" && c.status === "True") !== true) continue;
    const zone = metadata.labels?.[ZONE] ?? "";
    const cpu = quantityMilliValue(status.allocatable?.["cpu"]);
    if (zone === "" || cpu === 0) return "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes";
    cpus.set(zone, (cpus.get(zone) ?? 0) + cpu);
    total += cpu;
  }
  if (cpus.size === 0) return "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes";
  if (cpus.size < 2) return "Nodes only ready in one zone";
  return new Map([...cpus].sort(([a], [b]) => (a < b ? -1 : 1)).map(([zone, cpu]) => [zone, cpu / total]));
}

/** Follows getAllocations. */
function allocate(shares: ReadonlyMap<string, number>, count: number): ReadonlyMap<string, Share> | Refusal {
  if (shares.size > count) return "Insufficient number of endpoints";
  const out = new Map<string, Share>();
  let left = count;
  for (const [zone, share] of shares) {
    const desired = share * count;
    const minimum = Math.ceil(desired / (1 + OVERLOAD));
    out.set(zone, { minimum, desired: Math.max(desired, minimum) });
    left -= minimum;
    if (left < 0) return "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold";
  }
  return out;
}

const isReady = ({ conditions }: Endpoint): boolean => conditions?.ready !== false;

/** The zone of each ready endpoint: its own, unless another one has too few. Pure. */
export function distribute(endpoints: readonly Endpoint[], nodes: readonly Node[]): ReadonlyMap<Endpoint, string> | Refusal {
  const shares = cpuShares(nodes);
  if (typeof shares === "string") return shares;
  const ready = endpoints.filter(isReady);
  const allocations = allocate(shares, ready.length);
  if (typeof allocations === "string") return allocations;
  if (ready.some(({ zone }) => zone === undefined)) return "One or more endpoints do not have a zone specified";
  const out = new Map(ready.map((endpoint) => [endpoint, endpoint.zone!]));
  const counts = new Map<string, number>();
  for (const zone of out.values()) counts.set(zone, (counts.get(zone) ?? 0) + 1);
  for (;;) {
    const receiver = [...allocations].filter(([zone, { minimum }]) => (counts.get(zone) ?? 0) < minimum).map(([zone]) => zone)[0];
    if (receiver === undefined) return out;
    // Who has most beyond its share gives.
    const surplus = (zone: string): number => (counts.get(zone) ?? 0) - (allocations.get(zone)?.desired ?? 0);
    const [giver] = [...counts.keys()].sort((a, b) => surplus(b) - surplus(a) || (a < b ? -1 : 1));
    const given = ready.find((endpoint) => out.get(endpoint) === giver);
    if (giver === undefined || given === undefined || giver === receiver) return out;
    out.set(given, receiver);
    counts.set(giver, counts.get(giver)! - 1);
    counts.set(receiver, (counts.get(receiver) ?? 0) + 1);
  }
}

/** Gives all slices of the plan their hints, or takes them; those that change by it are written. Returns why there are none, if they were asked for. */
export function applyHints(service: Service, plan: Reconciled, nodes: readonly Node[]): Refusal | undefined {
  const all = [...plan.create, ...plan.update, ...plan.unchanged].flatMap(({ endpoints }) => (endpoints ?? []) as Endpoint[]);
  let refusal: Refusal | undefined;
  let zones: ReadonlyMap<Endpoint, string> = new Map();
  if (wantsTopology(service)) {
    const found = all.some(isReady) ? distribute(all, nodes) : new Map<Endpoint, string>();
    if (typeof found === "string") refusal = found;
    else zones = found;
  } else if (service.spec.trafficDistribution === "PreferClose") zones = new Map(all.flatMap((endpoint) => (endpoint.zone === undefined ? [] : [[endpoint, endpoint.zone] as const])));
  const hinted = (endpoint: Endpoint): Endpoint => {
    const { hints, ...bare } = endpoint;
    const zone = zones.get(endpoint);
    const wanted = zone === undefined ? undefined : { forZones: [{ name: zone }] };
    if (deepEqual(hints, wanted)) return endpoint;
    return wanted === undefined ? bare : { ...bare, hints: wanted };
  };
  for (const slice of plan.create) slice.endpoints = slice.endpoints.map(hinted);
  plan.update = plan.update.map((slice) => ({ ...slice, endpoints: (slice.endpoints ?? []).map(hinted) }) as Slice);
  plan.unchanged = plan.unchanged.filter((slice) => {
    const endpoints = (slice.endpoints ?? []).map(hinted);
    if (endpoints.every((endpoint, i) => endpoint === slice.endpoints![i])) return true;
    plan.update.push({ ...slice, endpoints } as Slice);
    return false;
  });
  return refusal;
}
