/**
 * kube-proxy's state for one address family: it is told of Services and EndpointSlices, and `sync` brings the node's
 * rules up to them. Follows kubernetes pkg/proxy/iptables/proxier.go: Proxier, and the change trackers.
 */
import type { EndpointSlice, Service } from "../../api/types.generated.ts";
import type { ConntrackEntry, Iptables } from "../../kernel/netns.ts";
import type { Logger } from "../../log.ts";
import type { ProxierConfig } from "../config.ts";
import { endpointsByPort, sliceOwner, type Endpoint } from "../endpoints.ts";
import { servicePortKey, servicePorts, type ServicePort } from "../service.ts";
import { buildRules, CANARY_CHAIN, canaryTables, isServiceChain, jumpRules } from "./rules.ts";

export interface ProxierDeps {
  readonly iptables: Iptables;
  readonly config: ProxierConfig;
  readonly log: Logger;
  /** Deletes conntrack entries, as Netns.deleteConntrack. */
  readonly deleteConntrack: (filter: (entry: ConntrackEntry) => boolean) => number;
}

const NO_ENDPOINTS: readonly Endpoint[] = [];

export class Proxier {
  private readonly deps: ProxierDeps;
  private config: ProxierConfig;
  /** Ports by `ns/name` of their Service, in the order the Services came. */
  private readonly services = new Map<string, readonly ServicePort[]>();
  private readonly slices = new Map<string, Map<string, EndpointSlice>>();
  /** Endpoints by `ns/name`, then by service port key. */
  private readonly endpoints = new Map<string, Map<string, Endpoint[]>>();
  private readonly changedOwners = new Set<string>();
  /** Endpoints of UDP ports that went away since the last sync: `ip` and port by service port key. */
  private staleUdp: { port: ServicePort; endpoint: Endpoint }[] = [];
  private freshUdp: ServicePort[] = [];
  private natChains: ReadonlySet<string> = new Set();
  private needFullSync = true;

  constructor(deps: ProxierDeps) {
    this.deps = deps;
    this.config = deps.config;
  }

  /** The Service `ns/name` as it is now; undefined: gone. */
  setService(key: string, service: Service | undefined): void {
    const before = this.services.get(key) ?? [];
    const after = service === undefined ? [] : servicePorts(service, this.config.family);
    if (before.length === 0 && after.length === 0) return;
    if (samePorts(before, after)) return;
    for (const port of before) {
      if (port.protocol === "UDP" && !after.some((p) => p.clusterIP === port.clusterIP && p.port === port.port)) {
        for (const endpoint of this.endpointsOf(port)) this.staleUdp.push({ port, endpoint });
      }
    }
    if (after.length === 0) this.services.delete(key);
    else this.services.set(key, after);
    this.changedOwners.add(key);
  }

  /** The EndpointSlice `ns/name` as it is now; undefined: gone. `before` is what it was, if it was known. */
  setSlice(key: string, slice: EndpointSlice | undefined, before?: EndpointSlice): void {
    const owner = slice === undefined ? undefined : sliceOwner(slice);
    const formerOwner = before === undefined ? undefined : sliceOwner(before);
    if (formerOwner !== undefined && formerOwner !== owner) this.changeSlices(formerOwner, key, undefined);
    if (owner !== undefined) this.changeSlices(owner, key, slice);
  }

  /** The node changed (zone, addresses): everything is written anew at the next sync. */
  setConfig(config: ProxierConfig): void {
    this.config = config;
    this.needFullSync = true;
  }

  /** The next sync writes everything, whatever the kernel holds. */
  forceFullSync(): void {
    this.needFullSync = true;
  }

  /** Whether someone took our canary chain away, and with it surely the rest. */
  canaryMissing(): boolean {
    return !this.deps.iptables.save({ table: "mangle" }).includes(`:${CANARY_CHAIN} `);
  }

  /** Brings the rules up to date. Throws what iptables-restore throws; then the next sync is a full one. */
  sync(): void {
    const { iptables, log } = this.deps;
    const full = this.needFullSync;
    this.needFullSync = true;
    if (full) {
      this.ensureJumps();
      // What an earlier kube-proxy left behind is cleaned up too.
      const saved = iptables.save({ table: "nat" });
      this.natChains = new Set([...saved.matchAll(/^:(\S+)/gm)].map((m) => m[1]!).filter(isServiceChain));
    }
    const changed = new Set(this.changedOwners);
    const { text, activeNatChains } = buildRules(this.allPorts(), (port) => this.endpointsOf(port), this.config, {
      existingNatChains: this.natChains,
      ...(full ? {} : { changed: (port: ServicePort) => changed.has(`${port.namespace}/${port.name}`) }),
    });
    iptables.restore(text, { noflush: true, counters: true });
    this.natChains = activeNatChains;
    this.changedOwners.clear();
    this.needFullSync = false;
    log.info("SyncProxyRules complete", { services: this.services.size, full });
    this.cleanConntrack();
  }

  private changeSlices(owner: string, key: string, slice: EndpointSlice | undefined): void {
    let ofOwner = this.slices.get(owner);
    if (ofOwner === undefined) {
      if (slice === undefined) return;
      this.slices.set(owner, (ofOwner = new Map()));
    }
    if (slice === undefined) ofOwner.delete(key);
    else ofOwner.set(key, slice);
    if (ofOwner.size === 0) this.slices.delete(owner);
    const before = this.endpoints.get(owner);
    const after = endpointsByPort(owner, ofOwner.values(), this.config.family, this.config.nodeName);
    this.endpoints.set(owner, after);
    if (after.size === 0) this.endpoints.delete(owner);
    for (const port of this.services.get(owner) ?? []) {
      if (port.protocol !== "UDP") continue;
      const portKey = servicePortKey(port.nameString, port.protocol);
      const now = after.get(portKey) ?? NO_ENDPOINTS, was = before?.get(portKey) ?? NO_ENDPOINTS;
      for (const endpoint of was) {
        if (!now.some((ep) => ep.address === endpoint.address)) this.staleUdp.push({ port, endpoint });
      }
      if (was.length === 0 && now.length > 0) this.freshUdp.push(port);
    }
    this.changedOwners.add(owner);
  }

  private *allPorts(): Iterable<ServicePort> {
    for (const ports of this.services.values()) yield* ports;
  }

  private endpointsOf(port: ServicePort): readonly Endpoint[] {
    const ofOwner = this.endpoints.get(`${port.namespace}/${port.name}`);
    return ofOwner?.get(servicePortKey(port.nameString, port.protocol)) ?? NO_ENDPOINTS;
  }

  /** Chains and jumps from the built-in ones, as EnsureChain and EnsureRule(Prepend) leave them: in one restore. */
  private ensureJumps(): void {
    const { iptables } = this.deps;
    const saved = new Map(canaryTables.map((table) => [table, iptables.save({ table })]));
    const out: string[] = [];
    for (const table of canaryTables) {
      const has = saved.get(table)!;
      const chains = new Set([CANARY_CHAIN]);
      const inserts: string[] = [];
      for (const { table: of, target, source, line } of jumpRules) {
        if (of !== table) continue;
        chains.add(target);
        if (!has.includes(`-A ${line}\n`)) inserts.push(`-I ${source} ${line.slice(source.length + 1)}`);
      }
      const missing = [...chains].filter((chain) => !has.includes(`:${chain} `));
      if (missing.length + inserts.length > 0) {
        out.push(`*${table}`, ...missing.map((chain) => `:${chain} - [0:0]`), ...inserts, "COMMIT");
      }
    }
    if (out.length > 0) iptables.restore(out.join("\n") + "\n", { noflush: true, counters: true });
  }

  /**
   * UDP has no connection that breaks: a flow to an endpoint that is gone would be sent there as long as the client
   * keeps it alive, and one that was let through un-NATed while there were no endpoints would stay so
   * (pkg/proxy/conntrack/cleanup.go: CleanStaleEntries).
   */
  private cleanConntrack(): void {
    const { staleUdp, freshUdp } = this;
    if (staleUdp.length === 0 && freshUdp.length === 0) return;
    this.staleUdp = [];
    this.freshUdp = [];
    const targets = (port: ServicePort): readonly string[] => [port.clusterIP, ...port.externalIPs, ...port.loadBalancerVIPs];
    const hits = (port: ServicePort, entry: ConntrackEntry): boolean =>
      (entry.orig.dport === port.port && targets(port).includes(entry.orig.dst)) ||
      (port.nodePort !== 0 && entry.orig.dport === port.nodePort);
    const isFresh = new Set(freshUdp.flatMap((port) => (this.endpointsOf(port).some((ep) => ep.ready) ? [port] : [])));
    const deleted = this.deps.deleteConntrack((entry) => {
      if (entry.proto !== "udp") return false;
      for (const { port, endpoint } of staleUdp) {
        if (entry.reply.src === endpoint.ip && entry.reply.sport === endpoint.port && hits(port, entry)) return true;
      }
      for (const port of isFresh) if (hits(port, entry) && entry.reply.src === entry.orig.dst) return true;
      return false;
    });
    if (deleted > 0) this.deps.log.info("Deleted stale UDP conntrack entries", { count: deleted });
  }
}

/** Whether two lists of ports of one Service are the same in everything that rules depend on. */
function samePorts(a: readonly ServicePort[], b: readonly ServicePort[]): boolean {
  return a.length === b.length && JSON.stringify(a.map(plain)) === JSON.stringify(b.map(plain));
}

const plain = (port: ServicePort): unknown => ({
  ...port,
  loadBalancerSourceRanges: port.loadBalancerSourceRanges.map(({ ip, bits }) => [...ip, bits]),
});
