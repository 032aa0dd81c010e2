/**
 * kube-proxy's rules in iptables mode: Services and endpoints in, iptables-restore text out, as a pure function.
 * Follows kubernetes pkg/proxy/iptables/proxier.go: syncProxyRules and the tables above it.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { cidrContains, formatCidr, parseIp } from "../../cni/ip.ts";
import type { ProxierConfig } from "../config.ts";
import { categorizeEndpoints, type Endpoint } from "../endpoints.ts";
import { externallyAccessible, type ServicePort } from "../service.ts";

/** What one sync writes, and what it leaves in the nat table. */
export interface Rules {
  /** For `iptables-restore --noflush --counters`. */
  readonly text: string;
  /** Every per-service and per-endpoint nat chain in use now, also those that `text` does not repeat. */
  readonly activeNatChains: ReadonlySet<string>;
}

export interface RulesOptions {
  /** An incremental sync: chains of Services for which this is false stay as they are. Default: all are written. */
  readonly changed?: (port: ServicePort) => boolean;
  /** Per-service nat chains that are in the kernel now; those no longer used are deleted. */
  readonly existingNatChains?: Iterable<string>;
}

/** A jump out of a built-in chain, and its line as iptables-save prints it. */
export interface JumpRule {
  readonly table: "filter" | "nat";
  readonly source: string;
  readonly target: string;
  readonly line: string;
}

const jump = (table: "filter" | "nat", target: string, source: string, comment: string, newOnly: boolean): JumpRule => ({
  table, source, target,
  line: `${source}${newOnly ? " -m conntrack --ctstate NEW" : ""}${comment === "" ? "" : ` -m comment --comment "${comment}"`} -j ${target}`,
});

/** iptablesJumpChains and iptablesKubeletJumpChains; each is prepended, so the last one of a chain comes first in it. */
export const jumpRules: readonly JumpRule[] = [
  jump("filter", "KUBE-EXTERNAL-SERVICES", "INPUT", "kubernetes externally-visible service portals", true),
  jump("filter", "KUBE-EXTERNAL-SERVICES", "FORWARD", "kubernetes externally-visible service portals", true),
  jump("filter", "KUBE-NODEPORTS", "INPUT", "kubernetes health check service ports", false),
  jump("filter", "KUBE-SERVICES", "FORWARD", "kubernetes service portals", true),
  jump("filter", "KUBE-SERVICES", "OUTPUT", "kubernetes service portals", true),
  jump("filter", "KUBE-FORWARD", "FORWARD", "kubernetes forwarding rules", false),
  jump("filter", "KUBE-PROXY-FIREWALL", "INPUT", "kubernetes load balancer firewall", true),
  jump("filter", "KUBE-PROXY-FIREWALL", "OUTPUT", "kubernetes load balancer firewall", true),
  jump("filter", "KUBE-PROXY-FIREWALL", "FORWARD", "kubernetes load balancer firewall", true),
  jump("nat", "KUBE-SERVICES", "OUTPUT", "kubernetes service portals", false),
  jump("nat", "KUBE-SERVICES", "PREROUTING", "kubernetes service portals", false),
  jump("nat", "KUBE-POSTROUTING", "POSTROUTING", "kubernetes postrouting rules", false),
  jump("filter", "KUBE-FIREWALL", "INPUT", "", false),
  jump("filter", "KUBE-FIREWALL", "OUTPUT", "", false),
];

/** The chain whose disappearance tells that someone flushed the tables; in each of these. */
export const CANARY_CHAIN = "KUBE-PROXY-CANARY";
export const canaryTables = ["mangle", "nat", "filter"] as const;

const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** The first 16 letters of base32(sha256(text)): portProtoHash. */
function hash16(text: string): string {
  const digest = sha256(new TextEncoder().encode(text));
  let out = "";
  for (let i = 0; i < 16; i++) {
    const bit = i * 5, at = bit >> 3;
    out += BASE32[(((digest[at]! << 8) | digest[at + 1]!) >> (11 - (bit & 7))) & 31];
  }
  return out;
}

/** Chain names of ports, kept because hashing is most of the work of a sync. */
const hashes = new WeakMap<ServicePort, string>();
const endpointHashes = new WeakMap<Endpoint, string>();

export function servicePortHash(port: ServicePort): string {
  let found = hashes.get(port);
  if (found === undefined) hashes.set(port, (found = hash16(port.nameString + port.protocol.toLowerCase())));
  return found;
}

export function endpointChain(port: ServicePort, endpoint: Endpoint): string {
  let found = endpointHashes.get(endpoint);
  if (found === undefined) {
    found = `KUBE-SEP-${hash16(port.nameString + port.protocol.toLowerCase() + endpoint.address)}`;
    endpointHashes.set(endpoint, found);
  }
  return found;
}

/** Whether kube-proxy made this nat chain for a Service or an endpoint (isServiceChainName). */
export const isServiceChain = (chain: string): boolean => /^KUBE-(SVC|SVL|SEP|FW|EXT)-/.test(chain);

/** The lines of one sync under way. */
interface Sink {
  readonly filter: string[];
  readonly services: string[];
  readonly chains: string[];
  readonly rules: string[];
  readonly active: Set<string>;
}

/**
 * The rules for these service ports. `endpointsOf` gives a port's endpoints, sorted by address.
 * The order of `ports` is the order of rules in the shared chains.
 */
export function buildRules(
  ports: Iterable<ServicePort>, endpointsOf: (port: ServicePort) => readonly Endpoint[],
  config: ProxierConfig, options: RulesOptions = {},
): Rules {
  const v6 = config.family === "IPv6";
  const mark = config.masqueradeMark;
  const sink: Sink = { filter: [], services: [], chains: [], rules: [], active: new Set() };
  const filterChains = ["KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-FORWARD", "KUBE-NODEPORTS", "KUBE-PROXY-FIREWALL"];
  // Keeps 127.0.0.0/8 unreachable from outside although route_localnet is on; the kubelet writes the same rule.
  if (config.localhostNodePorts) {
    filterChains.push("KUBE-FIREWALL");
    sink.filter.push(
      '-A KUBE-FIREWALL -m comment --comment "block incoming localnet connections" -d 127.0.0.0/8 ! -s 127.0.0.0/8' +
      " -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP",
    );
  }
  sink.rules.push(
    `-A KUBE-POSTROUTING -m mark ! --mark ${mark}/${mark} -j RETURN`,
    // The mark is cleared, so that a packet that goes through the stack again is not masqueraded twice.
    `-A KUBE-POSTROUTING -j MARK --xor-mark ${mark}`,
    '-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully',
    `-A KUBE-MARK-MASQ -j MARK --or-mark ${mark}`,
  );
  for (const port of ports) writePort(port, endpointsOf(port), config, sink, options.changed?.(port) ?? true);

  for (const chain of options.existingNatChains ?? []) {
    if (sink.active.has(chain) || !isServiceChain(chain)) continue;
    // The chain line empties it, then it can be deleted.
    sink.chains.push(chain);
    sink.rules.push(`-X ${chain}`);
  }
  const tail = '-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain"';
  if (config.nodePortIPs === undefined) {
    const except = v6 ? " ! -d ::1/128" : config.localhostNodePorts ? "" : " ! -d 127.0.0.0/8";
    sink.rules.push(`${tail} -m addrtype --dst-type LOCAL${except} -j KUBE-NODEPORTS`);
  } else {
    for (const ip of config.nodePortIPs) {
      if (!config.localhostNodePorts && ip.startsWith("127.")) continue;
      sink.rules.push(`${tail} -d ${ip} -j KUBE-NODEPORTS`);
    }
  }
  sink.filter.push(
    // Without this a reply that conntrack takes for invalid leaves the node un-NATed, and the client resets.
    `-A KUBE-FORWARD -m conntrack --ctstate INVALID${config.nfacct ? " -m nfacct --nfacct-name ct_state_invalid_dropped_pkts" : ""} -j DROP`,
    `-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark ${mark}/${mark} -j ACCEPT`,
    '-A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
  );
  const chainLine = (chain: string): string => `:${chain} - [0:0]`;
  const text = [
    "*filter", ...filterChains.map(chainLine), ...sink.filter, "COMMIT",
    "*nat", ...["KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ", ...sink.chains].map(chainLine),
    ...sink.rules, "COMMIT", "",
  ].join("\n");
  return { text, activeNatChains: sink.active };
}

/** The rules of one port: into the shared chains always, its own chains only if `write`. */
function writePort(port: ServicePort, all: readonly Endpoint[], config: ProxierConfig, sink: Sink, write: boolean): void {
  const { filter, rules } = sink;
  const name = port.nameString;
  const proto = port.protocol.toLowerCase();
  const hash = servicePortHash(port);
  const { cluster, local, allReachable, hasAny } = categorizeEndpoints(all, port, config.zone);

  const clusterChain = `KUBE-SVC-${hash}`, localChain = `KUBE-SVL-${hash}`;
  const externalChain = `KUBE-EXT-${hash}`, firewallChain = `KUBE-FW-${hash}`;
  const internalChain = port.internalPolicyLocal ? localChain : clusterChain;
  const hasInternal = hasAny && !(port.internalPolicyLocal && local.length === 0);
  const hasExternal = hasAny && !(port.externalPolicyLocal && local.length === 0);
  // Follows hasAny: with policy Local and no local endpoint, the chain still carries the short circuits.
  const usesExternal = hasAny && externallyAccessible(port);
  const usesFirewall = hasAny && port.loadBalancerVIPs.length > 0 && port.loadBalancerSourceRanges.length > 0;
  // No endpoints at all is refused aloud, none here is dropped: the load balancer will have looked at the health check.
  const filterTarget = hasAny ? "DROP" : "REJECT";
  const filterComment = `"${name} has no ${hasAny ? "local " : ""}endpoints"`;
  const to = (ip: string): string => `-m ${proto} -p ${proto} -d ${ip} --dport ${port.port}`;
  const comment = (text: string): string => `-m comment --comment ${text}`;

  if (hasInternal) {
    rules.push(`-A KUBE-SERVICES ${comment(`"${name} cluster IP"`)} ${to(port.clusterIP)} -j ${internalChain}`);
  } else {
    filter.push(`-A KUBE-SERVICES ${comment(filterComment)} ${to(port.clusterIP)} -j ${filterTarget}`);
  }
  for (const ip of port.externalIPs) {
    if (hasAny) rules.push(`-A KUBE-SERVICES ${comment(`"${name} external IP"`)} ${to(ip)} -j ${externalChain}`);
    if (!hasExternal) filter.push(`-A KUBE-EXTERNAL-SERVICES ${comment(filterComment)} ${to(ip)} -j ${filterTarget}`);
  }
  for (const ip of port.loadBalancerVIPs) {
    if (hasAny) {
      rules.push(`-A KUBE-SERVICES ${comment(`"${name} loadbalancer IP"`)} ${to(ip)} -j ${usesFirewall ? firewallChain : externalChain}`);
    }
    if (usesFirewall) {
      filter.push(`-A KUBE-PROXY-FIREWALL ${comment(`"${name} traffic not accepted by ${firewallChain}"`)} ${to(ip)} -j DROP`);
    }
  }
  if (!hasExternal) {
    for (const ip of port.loadBalancerVIPs) {
      filter.push(`-A KUBE-EXTERNAL-SERVICES ${comment(filterComment)} ${to(ip)} -j ${filterTarget}`);
    }
  }
  if (port.nodePort !== 0) {
    const match = `-m ${proto} -p ${proto} --dport ${port.nodePort}`;
    if (hasAny) {
      if (config.localhostNodePorts && config.nfacct) {
        rules.push(`-A KUBE-NODEPORTS ${comment(name)} ${match} -d 127.0.0.0/8 -m nfacct --nfacct-name localhost_nps_accepted_pkts -j ${externalChain}`);
      }
      rules.push(`-A KUBE-NODEPORTS ${comment(name)} ${match} -j ${externalChain}`);
    }
    if (!hasExternal) {
      filter.push(`-A KUBE-EXTERNAL-SERVICES ${comment(filterComment)} -m addrtype --dst-type LOCAL ${match} -j ${filterTarget}`);
    }
  }
  if (port.healthCheckNodePort !== 0) {
    filter.push(`-A KUBE-NODEPORTS ${comment(`"${name} health check node port"`)} -m tcp -p tcp --dport ${port.healthCheckNodePort} -j ACCEPT`);
  }

  const usesClusterChain = cluster.length > 0 && (!port.internalPolicyLocal || externallyAccessible(port));
  const usesLocalChain = local.length > 0;
  if (usesExternal) sink.active.add(externalChain);
  if (usesFirewall) sink.active.add(firewallChain);
  if (usesClusterChain) sink.active.add(clusterChain);
  if (usesLocalChain) sink.active.add(localChain);
  for (const ep of allReachable) sink.active.add(endpointChain(port, ep));
  if (!write) return;

  if (hasInternal) {
    const masquerade = config.masqueradeAll ? "" : config.localDetector === undefined ? undefined : ` ${config.localDetector.ifNotLocal}`;
    if (masquerade !== undefined) {
      rules.push(`-A ${internalChain} ${comment(`"${name} cluster IP"`)} ${to(port.clusterIP)}${masquerade} -j KUBE-MARK-MASQ`);
    }
  }
  if (usesExternal) {
    sink.chains.push(externalChain);
    const head = `-A ${externalChain}`;
    if (!port.externalPolicyLocal) {
      rules.push(`${head} ${comment(`"masquerade traffic for ${name} external destinations"`)} -j KUBE-MARK-MASQ`);
    } else {
      if (config.localDetector !== undefined) {
        rules.push(`${head} ${comment(`"pod traffic for ${name} external destinations"`)} ${config.localDetector.ifLocal} -j ${clusterChain}`);
      }
      rules.push(
        `${head} ${comment(`"masquerade LOCAL traffic for ${name} external destinations"`)} -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ`,
        `${head} ${comment(`"route LOCAL traffic for ${name} external destinations"`)} -m addrtype --src-type LOCAL -j ${clusterChain}`,
      );
    }
    if (hasExternal) rules.push(`${head} -j ${port.externalPolicyLocal ? localChain : clusterChain}`);
  }
  if (usesFirewall) writeFirewall(port, firewallChain, externalChain, config, sink);
  if (usesClusterChain) writeBalancing(port, clusterChain, cluster, sink);
  if (usesLocalChain) writeBalancing(port, localChain, local, sink);
  for (const ep of allReachable) {
    const chain = endpointChain(port, ep);
    sink.chains.push(chain);
    const affinity = port.sessionAffinity === "ClientIP" ? ` -m recent --name ${chain} --set` : "";
    rules.push(
      // Hairpin: a client that is its own endpoint must see the reply come through the NAT.
      `-A ${chain} ${comment(name)} -s ${ep.ip} -j KUBE-MARK-MASQ`,
      `-A ${chain} ${comment(name)}${affinity} -m ${proto} -p ${proto} -j DNAT --to-destination ${ep.address}`,
    );
  }
}

function writeFirewall(port: ServicePort, chain: string, target: string, config: ProxierConfig, sink: Sink): void {
  sink.chains.push(chain);
  const head = `-A ${chain} -m comment --comment "${port.nameString} loadbalancer IP"`;
  const node = config.nodeIP === undefined ? undefined : parseIp(config.nodeIP);
  let allowFromNode = false;
  for (const cidr of port.loadBalancerSourceRanges) {
    sink.rules.push(`${head} -s ${formatCidr(cidr)} -j ${target}`);
    allowFromNode ||= node !== undefined && cidrContains(cidr, node);
  }
  // A VIP that is also a local address is the source of the node's own requests to it.
  if (allowFromNode) for (const ip of port.loadBalancerVIPs) sink.rules.push(`${head} -s ${ip} -j ${target}`);
  sink.rules.push(`-A ${chain} -m comment --comment "other traffic to ${port.nameString} will be dropped by KUBE-PROXY-FIREWALL"`);
}

/** writeServiceToEndpointRules: affinity first, then one chance per endpoint, the last one certain. */
function writeBalancing(port: ServicePort, chain: string, endpoints: readonly Endpoint[], sink: Sink): void {
  sink.chains.push(chain);
  const head = (ep: Endpoint): string => `-A ${chain} -m comment --comment "${port.nameString} -> ${ep.address}"`;
  if (port.sessionAffinity === "ClientIP") {
    for (const ep of endpoints) {
      const target = endpointChain(port, ep);
      sink.rules.push(`${head(ep)} -m recent --name ${target} --rcheck --seconds ${port.stickyMaxAgeSeconds} --reap -j ${target}`);
    }
  }
  endpoints.forEach((ep, i) => {
    const left = endpoints.length - i;
    const chance = left > 1 ? ` -m statistic --mode random --probability ${(1 / left).toFixed(10)}` : "";
    sink.rules.push(`${head(ep)}${chance} -j ${endpointChain(port, ep)}`);
  });
}
