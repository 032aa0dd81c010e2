/** Service ports as kube-proxy looks at them. Follows kubernetes pkg/proxy/serviceport.go and servicechangetracker.go. */
import type { Service, ServicePort as ApiServicePort } from "../api/types.generated.ts";
import { canonicalIp, maskIp, parseCidr, type Cidr } from "../cni/ip.ts";

export type IpFamily = "IPv4" | "IPv6";

/** One port of one Service, in one family. */
export interface ServicePort {
  readonly namespace: string;
  readonly name: string;
  /** `ns/name:port`, or `ns/name` for a port without a name. */
  readonly nameString: string;
  /** TCP, UDP or SCTP. */
  readonly protocol: string;
  readonly clusterIP: string;
  readonly port: number;
  /** 0: none. */
  readonly nodePort: number;
  readonly externalIPs: readonly string[];
  readonly loadBalancerVIPs: readonly string[];
  readonly loadBalancerSourceRanges: readonly Cidr[];
  readonly sessionAffinity: string;
  readonly stickyMaxAgeSeconds: number;
  /** 0: none. */
  readonly healthCheckNodePort: number;
  readonly externalPolicyLocal: boolean;
  readonly internalPolicyLocal: boolean;
}

/** The key of a service port in maps: two ports of one name and different protocols are different. */
export const servicePortKey = (nameString: string, protocol: string): string => `${nameString}/${protocol}`;

/** Whether the port takes traffic from outside at all. */
export const externallyAccessible = (port: ServicePort): boolean =>
  port.nodePort !== 0 || port.loadBalancerVIPs.length > 0 || port.externalIPs.length > 0;

/** External traffic needs the Cluster endpoints even with policy Local: local clients are short-circuited to them. */
export const usesClusterEndpoints = (port: ServicePort): boolean =>
  !port.internalPolicyLocal || externallyAccessible(port);

export const usesLocalEndpoints = (port: ServicePort): boolean =>
  port.internalPolicyLocal || (port.externalPolicyLocal && externallyAccessible(port));

/** Services with this label are another proxy's (pkg/proxy/apis/well_known_labels.go: LabelServiceProxyName). */
export const LABEL_SERVICE_PROXY_NAME = "service.kubernetes.io/service-proxy-name";

/** Services and slices with this label, whatever its value, have nothing to proxy (corev1.IsHeadlessService). */
export const LABEL_HEADLESS = "service.kubernetes.io/headless";

/** Whether the labels keep an object from the proxy: the label selector of upstream's informers. */
export const labelledAway = (labels: Readonly<Record<string, string>> | undefined): boolean =>
  labels?.[LABEL_SERVICE_PROXY_NAME] !== undefined || labels?.[LABEL_HEADLESS] !== undefined;

/** The ports of `service` in `family`; none for headless and ExternalName ones, or those of another proxy. */
export function servicePorts(service: Service, family: IpFamily): ServicePort[] {
  const { spec, metadata } = service;
  if (spec === undefined || spec.type === "ExternalName") return [];
  if (labelledAway(metadata?.labels)) return [];
  if (spec.clusterIP === undefined || spec.clusterIP === "" || spec.clusterIP === "None") return [];
  const clusterIP = clusterIpByFamily(spec.clusterIPs, spec.clusterIP, family);
  if (clusterIP === undefined) return [];

  const namespace = metadata?.namespace ?? "", name = metadata?.name ?? "";
  const ofFamily = (texts: readonly (string | undefined)[]): string[] =>
    texts.flatMap((text) => (text === undefined || familyOf(text) !== family ? [] : [canonicalIp(text)!]));
  const external = spec.type === "LoadBalancer" || spec.type === "NodePort" || (spec.externalIPs?.length ?? 0) > 0;
  const externalPolicyLocal = spec.externalTrafficPolicy === "Local" && external;
  const common = {
    namespace,
    name,
    clusterIP,
    externalIPs: ofFamily(spec.externalIPs ?? []),
    // Only VIP-mode addresses are bound here; traffic to the Proxy-mode ones has to leave the node.
    loadBalancerVIPs: ofFamily(
      (service.status?.loadBalancer?.ingress ?? [])
        .filter((ingress) => ingress.ipMode === undefined || ingress.ipMode === "VIP")
        .map((ingress) => ingress.ip),
    ),
    loadBalancerSourceRanges: (spec.loadBalancerSourceRanges ?? []).flatMap((text) => {
      const cidr = parseCidr(text.trim());
      if (cidr === undefined || (cidr.ip.length === 4) !== (family === "IPv4")) return [];
      return [{ ip: maskIp(cidr.ip, cidr.bits), bits: cidr.bits }];
    }),
    sessionAffinity: spec.sessionAffinity ?? "None",
    stickyMaxAgeSeconds:
      spec.sessionAffinity === "ClientIP" ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 10800) : 0,
    healthCheckNodePort:
      spec.type === "LoadBalancer" && spec.externalTrafficPolicy === "Local" ? (spec.healthCheckNodePort ?? 0) : 0,
    externalPolicyLocal,
    internalPolicyLocal: spec.internalTrafficPolicy === "Local",
  };
  return (spec.ports ?? []).map((port: ApiServicePort) => ({
    ...common,
    nameString: port.name === undefined || port.name === "" ? `${namespace}/${name}` : `${namespace}/${name}:${port.name}`,
    protocol: port.protocol ?? "TCP",
    port: port.port,
    nodePort: port.nodePort ?? 0,
  }));
}

/** Family of an address's text. Malformed text is of none. */
export function familyOf(text: string): IpFamily | undefined {
  const canonical = canonicalIp(text);
  return canonical === undefined ? undefined : canonical.includes(":") ? "IPv6" : "IPv4";
}

function clusterIpByFamily(all: readonly string[] | undefined, first: string, family: IpFamily): string | undefined {
  const found = (all !== undefined && all.length > 0 ? all : [first]).find((text) => familyOf(text) === family);
  return found === undefined ? undefined : canonicalIp(found);
}
