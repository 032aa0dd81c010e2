/**
 * Endpoints per service port, out of EndpointSlices, and which of them a traffic policy uses.
 * Follows kubernetes pkg/proxy/endpointslicecache.go, endpoint.go and topology.go.
 */
import type { EndpointSlice } from "../api/types.generated.ts";
import { canonicalIp } from "../cni/ip.ts";
import { familyOf, labelledAway, servicePortKey, usesClusterEndpoints, usesLocalEndpoints,
  type IpFamily, type ServicePort } from "./service.ts";

export interface Endpoint {
  readonly ip: string;
  readonly port: number;
  /** `ip:port`, an IPv6 address in brackets. */
  readonly address: string;
  readonly isLocal: boolean;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  readonly zoneHints: readonly string[];
}

export const LABEL_SERVICE_NAME = "kubernetes.io/service-name";

/** `ns/name` of the Service that `slice` belongs to; undefined when it belongs to none of ours. */
export function sliceOwner(slice: EndpointSlice): string | undefined {
  const labels = slice.metadata?.labels;
  const name = labels?.[LABEL_SERVICE_NAME];
  if (name === undefined || name === "" || labelledAway(labels)) return undefined;
  return `${slice.metadata?.namespace ?? ""}/${name}`;
}

/**
 * Endpoints of one Service by service port key, each list sorted by address.
 * An address named by several slices counts once, and a local one wins.
 */
export function endpointsByPort(
  owner: string, slices: Iterable<EndpointSlice>, family: IpFamily, nodeName: string,
): Map<string, Endpoint[]> {
  const sets = new Map<string, Map<string, Endpoint>>();
  for (const slice of slices) {
    if (slice.addressType !== family) continue;
    for (const port of slice.ports ?? []) {
      if (port.name === undefined || port.port === undefined || port.port === 0) continue;
      const key = servicePortKey(port.name === "" ? owner : `${owner}:${port.name}`, port.protocol ?? "TCP");
      let set = sets.get(key);
      if (set === undefined) sets.set(key, (set = new Map()));
      for (const endpoint of slice.endpoints ?? []) {
        const text = endpoint.addresses[0];
        if (text === undefined || familyOf(text) !== family) continue;
        const ip = canonicalIp(text)!;
        const address = family === "IPv6" ? `[${ip}]:${port.port}` : `${ip}:${port.port}`;
        const isLocal = endpoint.nodeName === nodeName;
        if (set.has(address) && !isLocal) continue;
        set.set(address, {
          ip, port: port.port, address, isLocal,
          ready: endpoint.conditions?.ready ?? true,
          serving: endpoint.conditions?.serving ?? true,
          terminating: endpoint.conditions?.terminating ?? false,
          zoneHints: endpoint.hints?.forZones?.map((zone) => zone.name) ?? [],
        });
      }
    }
  }
  const out = new Map<string, Endpoint[]>();
  for (const [key, set] of sets) {
    if (set.size > 0) out.set(key, [...set.values()].sort((a, b) => (a.address < b.address ? -1 : 1)));
  }
  return out;
}

export interface CategorizedEndpoints {
  readonly cluster: readonly Endpoint[];
  readonly local: readonly Endpoint[];
  /** What needs a chain on this node. */
  readonly allReachable: readonly Endpoint[];
  /** Whether there is a usable endpoint anywhere. */
  readonly hasAny: boolean;
}

/** pkg/proxy/topology.go: CategorizeEndpoints. */
export function categorizeEndpoints(all: readonly Endpoint[], port: ServicePort, zone: string): CategorizedEndpoints {
  const usesCluster = usesClusterEndpoints(port);
  const fallback = (ep: Endpoint): boolean => ep.serving && ep.terminating;
  let cluster: Endpoint[] = [];
  let hasAny = false, byZone = false;
  if (usesCluster) {
    byZone = canUseTopology(all, zone);
    cluster = all.filter((ep) => ep.ready && (!byZone || ep.zoneHints.includes(zone)));
    // Terminating pods that still serve are better than none; zones do not matter then.
    if (cluster.length === 0) cluster = all.filter(fallback);
    hasAny = cluster.length > 0;
  }
  if (!usesLocalEndpoints(port)) return { cluster, local: [], allReachable: cluster, hasAny };

  hasAny ||= all.some((ep) => ep.ready || fallback(ep));
  let local = all.filter((ep) => ep.isLocal && ep.ready);
  const terminatingOnly = local.length === 0;
  if (terminatingOnly) local = all.filter((ep) => ep.isLocal && !ep.ready && fallback(ep));
  if (!usesCluster) return { cluster, local, allReachable: local, hasAny };
  if (!byZone && (!terminatingOnly || local.length === 0)) return { cluster, local, allReachable: cluster, hasAny };

  const merged = new Map<string, Endpoint>();
  for (const ep of cluster) merged.set(ep.address, ep);
  for (const ep of local) merged.set(ep.address, ep);
  return { cluster, local, allReachable: [...merged.values()], hasAny };
}

/** Hints are followed only if every ready endpoint has one and this node's zone is served (canUseTopology). */
function canUseTopology(all: readonly Endpoint[], zone: string): boolean {
  if (zone === "") return false;
  let served = false;
  for (const ep of all) {
    if (!ep.ready) continue;
    if (ep.zoneHints.length === 0) return false;
    served ||= ep.zoneHints.includes(zone);
  }
  return served;
}
