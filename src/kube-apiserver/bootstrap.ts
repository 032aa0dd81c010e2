/**
 * What exists before the first request: the system namespaces and the Service default/kubernetes with its slice.
 * Follows pkg/controlplane (systemnamespaces controller, kubernetesservice controller, reconcilers).
 */
import type { KubeObject } from "../apimachinery/meta.ts";
import { formatIPv4, parseCIDR } from "../apimachinery/validation.ts";
import type { Service } from "../api/types.generated.ts";
import type { Storage } from "../storage/storage.ts";
import type { IPAllocator } from "./registry/allocators.ts";
import type { ApiServerOptions } from "./server.ts";

/** Makes an object that is not there yet, by a request of the server to itself. */
export type Make = (path: string, object: unknown) => Promise<void>;

export async function bootstrap(make: Make, storage: Storage<KubeObject>, options: ApiServerOptions, serviceIPs: IPAllocator): Promise<void> {
  // Services of a store that is not empty hold their addresses.
  for (const { value } of (await storage.range("/registry/services/specs/")).items) {
    const { clusterIP } = (value as Service).spec;
    if (clusterIP !== undefined && clusterIP !== "None") serviceIPs.allocate(clusterIP);
  }
  for (const name of ["default", "kube-node-lease", "kube-public", "kube-system"])
    await make("/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name } });
  const range = parseCIDR(serviceIPs.cidr)!;
  const { advertiseAddress = "192.168.0.1", advertisePort = 6443 } = options;
  // Claiming the address of a Service that is there already would fail.
  if ((await storage.get("/registry/services/specs/default/kubernetes")) === undefined) await make("/api/v1/namespaces/default/services", {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "kubernetes", labels: { component: "apiserver", provider: "kubernetes" } },
    spec: {
      type: "ClusterIP",
      clusterIP: formatIPv4(range.address + 1),
      ipFamilyPolicy: "SingleStack",
      ports: [{ name: "https", port: 443, targetPort: advertisePort, protocol: "TCP" }],
    },
  });
  await make("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "kubernetes", labels: { "kubernetes.io/service-name": "kubernetes" } },
    addressType: "IPv4",
    endpoints: [{ addresses: [advertiseAddress], conditions: { ready: true } }],
    ports: [{ name: "https", port: advertisePort, protocol: "TCP" }],
  });
  await options.extension?.bootstrap({ storage, clock: options.clock, random: options.random, advertiseAddress, advertisePort, clientCA: options.clientCA });
}
