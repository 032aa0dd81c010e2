/**
 * What exists before the first request: the system namespaces and the Service default/kubernetes with its slice.
 * Follows pkg/controlplane (systemnamespaces controller, kubernetesservice controller, reconcilers).
 */
import type { KubeObject } from "../apimachinery/meta.ts";
import { RESOURCES } from "../api/resources.ts";
import type { ResourceName } from "../api/resources.ts";
import { isAlreadyExists } from "../apimachinery/status.ts";
import { formatIPv4, parseCIDR } from "../apimachinery/validation.ts";
import type { Service } from "../api/types.generated.ts";
import type { Storage } from "../storage/storage.ts";
import type { Handlers } from "./handlers.ts";
import type { IPAllocator } from "./registry/allocators.ts";
import type { ApiServerOptions } from "./server.ts";

export async function bootstrap(handlers: Handlers, storage: Storage<KubeObject>, options: ApiServerOptions, serviceIPs: IPAllocator): Promise<void> {
  // Services of a store that is not empty hold their addresses.
  for (const { value } of (await storage.range("/registry/services/specs/")).items) {
    const { clusterIP } = (value as Service).spec;
    if (clusterIP !== undefined && clusterIP !== "None") serviceIPs.allocate(clusterIP);
  }
  const create = async (resource: ResourceName, namespace: string, object: unknown): Promise<void> => {
    try {
      await handlers.createInternal(resource, namespace, object);
    } catch (e) {
      if (!isAlreadyExists(e)) throw e;
    }
  };
  for (const name of ["default", "kube-node-lease", "kube-public", "kube-system"])
    await create(RESOURCES.namespaces, "", { apiVersion: "v1", kind: "Namespace", metadata: { name } });
  const range = parseCIDR(serviceIPs.cidr)!;
  const port = options.advertisePort ?? 6443;
  const labels = { component: "apiserver", provider: "kubernetes" };
  await create(RESOURCES.services, "default", {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "kubernetes", labels },
    spec: {
      type: "ClusterIP",
      clusterIP: formatIPv4(range.address + 1),
      ports: [{ name: "https", port: 443, targetPort: port, protocol: "TCP" }],
    },
  });
  await create(RESOURCES.endpointSlices, "default", {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "kubernetes", labels: { "kubernetes.io/service-name": "kubernetes" } },
    addressType: "IPv4",
    endpoints: [{ addresses: [options.advertiseAddress ?? "192.168.0.1"], conditions: { ready: true } }],
    ports: [{ name: "https", port, protocol: "TCP" }],
  });
}
