/** The resources the API server serves, in the order discovery lists them. */
import { deployments, replicaSets } from "./apps.ts";
import type { Descriptor } from "./descriptor.ts";
import { pods } from "./pod.ts";
import { services } from "./service.ts";
import { configMaps, endpointSlices, events, leases, namespaces, nodes, secrets, serviceAccounts } from "./simple.ts";

export const REGISTRY: readonly Descriptor[] = [
  configMaps, events, namespaces, nodes, pods, secrets, serviceAccounts, services,
  deployments, replicaSets, leases, endpointSlices,
] as unknown as readonly Descriptor[];
