/**
 * Names of Services, endpoints and pods (Kubernetes DNS specification 1.1.0). Follows coredns plugin/kubernetes:
 * kubernetes.go, parse.go, reverse.go, setup.go, and plugin/backend_lookup.go.
 */
import type { EndpointSlice, Service } from "../../api/types.generated.ts";
import { createClient } from "../../client/client.ts";
import { createInformers, type Informer } from "../../client/informer.ts";
import { formatIp, parseIp } from "../../cni/ip.ts";
import { canonicalName, CLASS_IN, query, reply, RCODE, TYPE, type Message, type RecordData, type ResourceRecord } from "../../dns/message.ts";
import { silent } from "../../log.ts";
import { argError, normalizeZone, parseError } from "../corefile.ts";
import { definePlugin, matchZone, type DnsRequest, type PluginContext } from "../plugin.ts";

interface KubernetesConfig {
  readonly zones: readonly string[];
  readonly pods: "disabled" | "insecure" | "verified";
  readonly ttl: number;
  /** undefined: names not found end here; otherwise those in these zones (all, if empty) go on. */
  readonly fallthrough: readonly string[] | undefined;
  readonly namespaces: readonly string[];
}

const OTHER_PROPERTIES = ["endpoint_pod_names", "endpoint", "tls", "kubeconfig", "labels", "namespace_labels", "noendpoints", "ignore", "apiserver_qps", "apiserver_burst", "apiserver_max_inflight"];
const DNS_SCHEMA_VERSION = "1.1.0";

export const kubernetes = definePlugin<KubernetesConfig>({
  name: "kubernetes",
  parse(directive) {
    let pods: KubernetesConfig["pods"] = "disabled", ttl = 5;
    let fallthrough: string[] | undefined;
    const namespaces: string[] = [];
    for (const line of directive.block) {
      const [first] = line.args;
      if (line.name === "pods") {
        if (line.args.length !== 1) throw argError(line);
        if (first !== "disabled" && first !== "insecure" && first !== "verified") throw parseError(line, `wrong value for pods: ${first}`);
        pods = first;
      } else if (line.name === "ttl") {
        if (first === undefined) throw argError(line);
        if (!/^-?[0-9]+$/.test(first)) throw parseError(line, `strconv.Atoi: parsing "${first}": invalid syntax`);
        ttl = Number(first);
        if (ttl < 0 || ttl > 3600) throw parseError(line, `ttl must be in range [0, 3600]: ${ttl}`);
      } else if (line.name === "fallthrough") fallthrough = line.args.map(normalizeZone);
      else if (line.name === "namespaces") {
        if (line.args.length === 0) throw argError(line);
        namespaces.push(...line.args);
      } else if (!OTHER_PROPERTIES.includes(line.name)) throw parseError(line, `unknown property '${line.name}'`);
    }
    return { zones: directive.args.map(normalizeZone), pods, ttl, fallthrough, namespaces };
  },

  build(config, next, context) {
    const zones = config.zones.length > 0 ? config.zones : context.zones;
    const store = openStore(config, context);
    context.waitFor(store.synced);
    context.readiness.push(store.hasSynced);
    const lookup = new Lookup(config, store, zones);
    return {
      async serveDns(request) {
        const zone = matchZone(zones, request.name);
        if (zone === undefined) return next.serveDns(request);
        const answer = lookup.answer(request, zone);
        if (answer.rcode === RCODE.NXDOMAIN && config.fallthrough !== undefined &&
          (config.fallthrough.length === 0 || matchZone(config.fallthrough, request.name) !== undefined)) {
          return next.serveDns(request);
        }
        return chase(answer, request, context);
      },
    };
  },
});

/** An ExternalName's target is looked up by the whole chain, so that the answer is complete. */
async function chase(answer: Message, request: DnsRequest, context: PluginContext): Promise<Message> {
  const alias = answer.answers.length === 1 ? answer.answers[0]!.data : undefined;
  if (alias?.type !== TYPE.CNAME || (request.type !== TYPE.A && request.type !== TYPE.AAAA)) return answer;
  const message = query(request.message.id, (alias as { target: string }).target, request.type);
  const name = canonicalName(message.questions[0]!.name);
  if (name === request.name) return answer;
  const more = await context.lookup({ ...request, message, name }).catch(() => undefined);
  return more === undefined ? answer : { ...answer, answers: [...answer.answers, ...more.answers] };
}

interface Store {
  readonly services: Informer<Service>;
  readonly slices: Informer<EndpointSlice>;
  readonly hasNamespace: (name: string) => boolean;
  readonly hasPod: (namespace: string, ip: string) => boolean;
  readonly serial: () => number;
  readonly synced: Promise<unknown>;
  readonly hasSynced: () => boolean;
}

function openStore(config: KubernetesConfig, context: PluginContext): Store {
  const { clock, random, signal } = context;
  const informers = createInformers(createClient(context.api, { userAgent: "coredns" }), { clock, random, log: silent });
  const services = informers.informer("services"), slices = informers.informer("endpointSlices"), namespaces = informers.informer("namespaces");
  const pods = config.pods === "verified" ? informers.informer("pods") : undefined;
  services.addIndex("ip", ({ spec }) => spec.clusterIPs ?? (spec.clusterIP === undefined ? [] : [spec.clusterIP]));
  slices.addIndex("service", ({ metadata }) => {
    const owner = metadata.labels?.["kubernetes.io/service-name"];
    return owner === undefined ? [] : [`${metadata.namespace ?? ""}/${owner}`];
  });
  slices.addIndex("ip", ({ endpoints }) => (endpoints ?? []).flatMap(({ addresses }) => addresses));
  pods?.addIndex("ip", ({ metadata, status }) => (status.podIP === undefined ? [] : [`${metadata.namespace ?? ""}/${status.podIP}`]));
  let changedMs = clock.nowMs();
  const touch = (): void => { changedMs = clock.nowMs(); };
  for (const informer of [services, slices] as const) (informer as Informer<never>).addHandler({ add: touch, update: touch, delete: touch });
  informers.start(signal);
  const exposed = (name: string): boolean => config.namespaces.length === 0 || config.namespaces.includes(name);
  const all = [services, slices, namespaces, ...(pods === undefined ? [] : [pods])];
  return {
    services, slices,
    hasNamespace: (name) => exposed(name) && namespaces.get("", name) !== undefined,
    hasPod: (namespace, ip) => (pods?.byIndex("ip", `${namespace}/${ip}`).length ?? 0) > 0,
    serial: () => Math.floor(changedMs / 1000),
    synced: Promise.all(all.map((informer) => informer.synced)),
    hasSynced: () => all.every((informer) => informer.hasSynced()),
  };
}

/** One thing that a name stands for. */
interface Item {
  /** Where SRV and PTR records point to. */
  readonly target: string;
  readonly address?: string;
  readonly cname?: string;
  readonly port: number;
}

/** What was found: nothing of that name, or the items (perhaps none: the name is there, without data). */
type Found = readonly Item[] | "NXDOMAIN";

class Lookup {
  private readonly config: KubernetesConfig;
  private readonly store: Store;
  private readonly zones: readonly string[];

  constructor(config: KubernetesConfig, store: Store, zones: readonly string[]) {
    this.config = config;
    this.store = store;
    this.zones = zones;
  }

  answer({ message, name, type }: DnsRequest, zone: string): Message {
    const asked = message.questions[0]!.name;
    const record = (data: RecordData, owner = asked): ResourceRecord => ({ name: owner, class: CLASS_IN, ttl: this.config.ttl, data });
    const base = (rcode: number): Message => ({ ...reply(message, rcode), authoritative: true });
    const nothing = (rcode: number): Message => ({ ...base(rcode), authorities: [this.soa(zone)] });

    if (zone.endsWith(".arpa.") && type === TYPE.PTR) {
      const ip = reverseAddress(name);
      const targets = ip === undefined ? [] : this.reverse(ip);
      return targets.length === 0 ? nothing(RCODE.NXDOMAIN)
        : { ...base(RCODE.NOERROR), answers: targets.map((target) => record({ type: TYPE.PTR, target })) };
    }
    if (name === zone) {
      if (type === TYPE.SOA) return { ...base(RCODE.NOERROR), answers: [this.soa(zone)] };
      if (type === TYPE.NS) return this.nameServers(base(RCODE.NOERROR), zone, record);
      return nothing(RCODE.NOERROR);
    }
    const labels = name.slice(0, name.length - zone.length - 1).split(".");
    if (labels.length === 1 && labels[0] === "dns-version") {
      return type === TYPE.TXT ? { ...base(RCODE.NOERROR), answers: [record({ type: TYPE.TXT, texts: [DNS_SCHEMA_VERSION] })] } : nothing(RCODE.NOERROR);
    }
    const found = this.find(labels, zone);
    if (found === "NXDOMAIN") return nothing(RCODE.NXDOMAIN);
    const answers: ResourceRecord[] = [], additionals: ResourceRecord[] = [];
    const seen = new Set<string>();
    const once = (list: ResourceRecord[], item: ResourceRecord): void => {
      const key = JSON.stringify([item.name, item.data]);
      if (!seen.has(key)) list.push(item);
      seen.add(key);
    };
    for (const item of found) {
      if (item.cname !== undefined) {
        if (type === TYPE.A || type === TYPE.AAAA || type === TYPE.CNAME) once(answers, record({ type: TYPE.CNAME, target: item.cname }));
        continue;
      }
      const addressType = item.address!.includes(":") ? TYPE.AAAA : TYPE.A;
      if (type === addressType) once(answers, record({ type: addressType, address: item.address! }));
      if (type === TYPE.SRV && item.port > 0) {
        const weight = Math.max(1, Math.floor(100 / found.length));
        once(answers, record({ type: TYPE.SRV, priority: 0, weight, port: item.port, target: item.target }));
        once(additionals, record({ type: addressType, address: item.address! }, item.target));
      }
    }
    return answers.length === 0 ? nothing(RCODE.NOERROR) : { ...base(RCODE.NOERROR), answers, additionals };
  }

  /** parse.go: `[[_port._proto. | endpoint.]service.]namespace.(svc|pod)`, from the right. */
  private find(labels: readonly string[], zone: string): Found {
    const rest = [...labels];
    const kind = rest.pop();
    if (kind !== "svc" && kind !== "pod") return "NXDOMAIN";
    const namespace = rest.pop();
    if (namespace === undefined) return [];
    if (!this.store.hasNamespace(namespace)) return "NXDOMAIN";
    const name = rest.pop();
    if (name === undefined) return [];
    if (kind === "pod") return rest.length > 0 ? "NXDOMAIN" : this.findPod(namespace, name);
    if (rest.length === 0) return this.findService(namespace, name, zone, {});
    if (rest.length === 1) return rest[0]!.startsWith("_") ? "NXDOMAIN" : this.findService(namespace, name, zone, { endpoint: rest[0]! });
    if (rest.length > 2) return "NXDOMAIN";
    return this.findService(namespace, name, zone, { port: rest[0]!.replace(/^_/, ""), protocol: rest[1]!.replace(/^_/, "") });
  }

  private findPod(namespace: string, label: string): Found {
    if (this.config.pods === "disabled") return "NXDOMAIN";
    const text = /^[0-9]+(-[0-9]+){3}$/.test(label) ? label.replaceAll("-", ".") : label.replaceAll("-", ":");
    const ip = parseIp(text);
    if (ip === undefined) return "NXDOMAIN";
    const address = formatIp(ip);
    if (this.config.pods === "verified" && !this.store.hasPod(namespace, address)) return "NXDOMAIN";
    return [{ target: "", address, port: 0 }];
  }

  private findService(
    namespace: string, name: string, zone: string, wanted: { endpoint?: string; port?: string; protocol?: string },
  ): Found {
    const service = this.store.services.get(namespace, name);
    if (service === undefined) return "NXDOMAIN";
    const { spec } = service;
    const own = `${name}.${namespace}.svc.${zone}`;
    const fits = (port: string | undefined, protocol: string | undefined): boolean =>
      (wanted.port === undefined || wanted.port === "*" || wanted.port === (port ?? "").toLowerCase()) &&
      (wanted.protocol === undefined || wanted.protocol === "*" || wanted.protocol === (protocol ?? "TCP").toLowerCase());
    if (spec.type === "ExternalName") {
      if (wanted.endpoint !== undefined || wanted.port !== undefined) return "NXDOMAIN";
      const target = spec.externalName ?? "";
      return [{ target, cname: target.endsWith(".") ? target : `${target}.`, port: 0 }];
    }
    if (spec.clusterIP !== "None" && wanted.endpoint === undefined) {
      const ips = spec.clusterIPs ?? [spec.clusterIP ?? ""];
      const ports = (spec.ports ?? []).filter(({ name: port, protocol }) => fits(port, protocol));
      if (ports.length === 0 && (wanted.port !== undefined || (spec.ports ?? []).length > 0)) return "NXDOMAIN";
      const items = (ports.length === 0 ? [{ port: 0 }] : ports).flatMap(({ port }) => ips.map((address) => ({ target: own, address, port })));
      return items.filter(({ address }) => address !== "");
    }
    const items: Item[] = [];
    let matched = false;
    for (const slice of this.store.slices.byIndex("service", `${namespace}/${name}`)) {
      for (const endpoint of slice.endpoints ?? []) {
        // Not ready ones count only where the Service publishes them.
        if (endpoint.conditions.ready === false && spec.publishNotReadyAddresses !== true) continue;
        for (const address of endpoint.addresses) {
          const host = endpointName(endpoint.hostname, address);
          if (wanted.endpoint !== undefined && wanted.endpoint !== host) continue;
          const ports = (slice.ports ?? []).filter(({ name: port, protocol }) => fits(port, protocol));
          if (ports.length > 0 || (wanted.port === undefined && (slice.ports ?? []).length === 0)) matched = true;
          for (const port of ports.length > 0 ? ports.map((p) => p.port ?? 0) : wanted.port === undefined ? [0] : []) {
            items.push({ target: `${host}.${own}`, address, port });
          }
        }
      }
    }
    return matched ? items : "NXDOMAIN";
  }

  /** reverse.go: a Service's address, or the endpoints that have it. */
  private reverse(ip: string): string[] {
    const zone = this.zones.find((candidate) => !candidate.endsWith(".arpa."));
    if (zone === undefined) return [];
    const service = this.store.services.byIndex("ip", ip)[0];
    if (service !== undefined) return [`${service.metadata.name}.${service.metadata.namespace ?? ""}.svc.${zone}`];
    return this.store.slices.byIndex("ip", ip).flatMap((slice) => {
      const owner = slice.metadata.labels?.["kubernetes.io/service-name"];
      if (owner === undefined || !this.store.hasNamespace(slice.metadata.namespace ?? "")) return [];
      return (slice.endpoints ?? []).filter(({ addresses }) => addresses.includes(ip))
        .map(({ hostname }) => `${endpointName(hostname, ip)}.${owner}.${slice.metadata.namespace ?? ""}.svc.${zone}`);
    });
  }

  private soa(zone: string): ResourceRecord {
    const { ttl } = this.config;
    return {
      name: zone, class: CLASS_IN, ttl: Math.min(ttl, 300),
      data: {
        type: TYPE.SOA, mname: `ns.dns.${zone}`, rname: `hostmaster.${zone}`, serial: this.store.serial() >>> 0,
        refresh: 7200, retry: 1800, expire: 86400, minimum: ttl,
      },
    };
  }

  /** ns.go: the DNS Service itself. */
  private nameServers(base: Message, zone: string, record: (data: RecordData, owner?: string) => ResourceRecord): Message {
    const service = this.store.services.get("kube-system", "kube-dns");
    const address = service?.spec.clusterIP;
    const target = service === undefined ? `ns.dns.${zone}` : `kube-dns.kube-system.svc.${zone}`;
    const isIp = address !== undefined && parseIp(address) !== undefined;
    return {
      ...base, answers: [record({ type: TYPE.NS, target }, zone)],
      additionals: isIp ? [record({ type: address.includes(":") ? TYPE.AAAA : TYPE.A, address }, target)] : [],
    };
  }
}

/** Its hostname, or the address with dashes. */
const endpointName = (hostname: string | undefined, address: string): string =>
  hostname !== undefined && hostname !== "" ? hostname : address.replace(/[.:]/g, "-");

/** The address that an in-addr.arpa or ip6.arpa name stands for (dnsutil.ExtractAddressFromReverse). */
export function reverseAddress(name: string): string | undefined {
  const v4 = /^([0-9]+)\.([0-9]+)\.([0-9]+)\.([0-9]+)\.in-addr\.arpa\.$/.exec(name);
  if (v4 !== null) {
    const ip = parseIp(v4.slice(1).reverse().join("."));
    return ip === undefined ? undefined : formatIp(ip);
  }
  const v6 = /^((?:[0-9a-f]\.){32})ip6\.arpa\.$/.exec(name);
  if (v6 === null) return undefined;
  const nibbles = v6[1]!.split(".").slice(0, 32).reverse().join("");
  const ip = parseIp(nibbles.match(/.{4}/g)!.join(":"));
  return ip === undefined ? undefined : formatIp(ip);
}
