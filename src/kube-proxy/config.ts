/** What kube-proxy is told: the fields of KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1) that change its rules. */
import { cidrContains, formatIp, isLoopbackIp, maskIp, parseCidr, parseIp, type Cidr } from "../cni/ip.ts";
import type { IpFamily } from "./service.ts";

export interface KubeProxyConfiguration {
  readonly clusterCIDR?: string;
  readonly detectLocalMode?: string;
  readonly detectLocal?: { readonly bridgeInterface?: string; readonly interfaceNamePrefix?: string };
  readonly nodePortAddresses?: readonly string[] | null;
  readonly iptables?: {
    readonly masqueradeBit?: number | null;
    readonly masqueradeAll?: boolean;
    readonly localhostNodePorts?: boolean | null;
    /** Durations as Go prints them: `1s`, `100ms`, `30s`. */
    readonly minSyncPeriod?: string;
    readonly syncPeriod?: string;
  };
}

/** What the node itself adds to the configuration. */
export interface NodeFacts {
  readonly nodeName: string;
  /** The node's addresses, first of each family = the node IP. */
  readonly nodeIPs: readonly string[];
  /** Every address on the node's devices (without prefix), in `ip addr` order. */
  readonly addresses: readonly string[];
  readonly podCIDRs: readonly string[];
  /** Label topology.kubernetes.io/zone, empty when there is none. */
  readonly zone: string;
  /** Whether the kernel has the nfacct match; without it the rules go without their counters, as upstream. */
  readonly nfacct: boolean;
}

/** Everything the rules of one family depend on besides Services and EndpointSlices. */
export interface ProxierConfig {
  readonly family: IpFamily;
  readonly nodeName: string;
  readonly nodeIP: string | undefined;
  readonly zone: string;
  /** As iptables takes it: `0x00004000`. */
  readonly masqueradeMark: string;
  readonly masqueradeAll: boolean;
  readonly localhostNodePorts: boolean;
  readonly nfacct: boolean;
  /** Arguments that match traffic of local pods and of all others; undefined: not told apart. */
  readonly localDetector: { readonly ifLocal: string; readonly ifNotLocal: string } | undefined;
  /** undefined: node ports on every local address. */
  readonly nodePortIPs: readonly string[] | undefined;
}

/** pkg/proxy/iptables/proxier.go: NewProxier, cmd/kube-proxy/app/server_linux.go: getLocalDetectors. */
export function proxierConfig(config: KubeProxyConfiguration, node: NodeFacts, family: IpFamily): ProxierConfig {
  const length = family === "IPv4" ? 4 : 16;
  const nodeIP = node.nodeIPs.find((text) => parseIp(text)?.length === length);
  const nodePortCidrs = nodePortAddresses(config.nodePortAddresses ?? [], nodeIP, length);
  const matchAll = nodePortCidrs.some((cidr) => cidr.bits === 0);
  const loopback = Uint8Array.of(127, 0, 0, 1);
  const localhost = family === "IPv4" && nodePortCidrs.some((cidr) => cidrContains(cidr, loopback));
  const bit = config.iptables?.masqueradeBit ?? 14;
  return {
    family,
    nodeName: node.nodeName,
    nodeIP,
    zone: node.zone,
    masqueradeMark: `0x${((1 << bit) >>> 0).toString(16).padStart(8, "0")}`,
    masqueradeAll: config.iptables?.masqueradeAll ?? false,
    localhostNodePorts: (config.iptables?.localhostNodePorts ?? true) && localhost,
    nfacct: node.nfacct,
    localDetector: localDetector(config, node, length),
    nodePortIPs: matchAll ? undefined : nodeIpsIn(nodePortCidrs, node.addresses),
  };
}

/** pkg/proxy/util/nodeport_addresses.go: NewNodePortAddresses. `primary` stands for the node IP. */
function nodePortAddresses(texts: readonly string[], nodeIP: string | undefined, length: number): Cidr[] {
  const all: Cidr = { ip: new Uint8Array(length), bits: 0 };
  const wanted = texts.length === 1 && texts[0] === "primary"
    ? (nodeIP === undefined ? [] : [`${nodeIP}/${length * 8}`])
    : texts;
  const cidrs = wanted.flatMap((text) => {
    const cidr = parseCidr(text);
    return cidr !== undefined && cidr.ip.length === length ? [cidr] : [];
  });
  return cidrs.length === 0 ? [all] : cidrs;
}

function nodeIpsIn(cidrs: readonly Cidr[], addresses: readonly string[]): string[] {
  const out = new Set<string>();
  for (const cidr of cidrs) {
    for (const text of addresses) {
      const ip = parseIp(text);
      if (ip !== undefined && cidrContains(cidr, ip) && !(ip.length === 16 && isLoopbackIp(ip))) out.add(formatIp(ip));
    }
  }
  return [...out];
}

function localDetector(config: KubeProxyConfiguration, node: NodeFacts, length: number): ProxierConfig["localDetector"] {
  switch (config.detectLocalMode) {
    case "BridgeInterface": {
      const bridge = config.detectLocal?.bridgeInterface ?? "";
      return bridge === "" ? undefined : { ifLocal: `-i ${bridge}`, ifNotLocal: `! -i ${bridge}` };
    }
    case "InterfaceNamePrefix": {
      const prefix = config.detectLocal?.interfaceNamePrefix ?? "";
      return prefix === "" ? undefined : { ifLocal: `-i ${prefix}+`, ifNotLocal: `! -i ${prefix}+` };
    }
    default: {
      const cidrs = config.detectLocalMode === "NodeCIDR" ? node.podCIDRs : (config.clusterCIDR ?? "").split(",");
      for (const text of cidrs) {
        const cidr = parseCidr(text.trim());
        if (cidr === undefined || cidr.ip.length !== length) continue;
        const range = `${formatIp(maskIp(cidr.ip, cidr.bits))}/${cidr.bits}`;
        return { ifLocal: `-s ${range}`, ifNotLocal: `! -s ${range}` };
      }
      return undefined;
    }
  }
}

/** Milliseconds of a Go duration (`1h2m3.5s`, `100ms`); undefined for anything else. */
export function durationMs(text: string): number | undefined {
  const units: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, "µs": 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  if (text === "0") return 0;
  const parts = [...text.matchAll(/([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map((part) => part[0]).join("") !== text) return undefined;
  return parts.reduce((sum, part) => sum + Number(part[1]) * units[part[2]!]!, 0);
}
