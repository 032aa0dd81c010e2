/**
 * What a container sees of its pod: environment, volumes, /etc/hosts and /etc/resolv.conf.
 * Follows kubernetes pkg/kubelet: kubelet_pods.go (makeEnvironmentVariables, ensureHostsFile), network/dns/dns.go.
 */
import type { ConfigMap, Container, EnvVar, Pod, Secret, Volume } from "../api/types.generated.ts";
import { isNotFound } from "../apimachinery/status.ts";
import type { Api } from "./api.ts";

/** Something a container needs is not there: the container waits with this reason (CreateContainerConfigError). */
export class ConfigError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "ConfigError";
  }
}

export interface DnsConfig {
  /** `--cluster-dns`. */
  readonly clusterDNS: readonly string[];
  /** `--cluster-domain`. */
  readonly clusterDomain: string;
  /** The node's own resolv.conf, for dnsPolicy Default and host-network pods. */
  readonly hostResolvConf: string;
}

const encoder = new TextEncoder();

/** /etc/resolv.conf by dnsPolicy and dnsConfig (dns.go: Configurer.GetPodDNS). */
export function resolvConf(pod: Pod, dns: DnsConfig): string {
  const { spec, metadata } = pod;
  const policy = spec.dnsPolicy ?? "ClusterFirst";
  let nameservers: string[] = [], search: string[] = [], options: string[] = [];
  const hostOnly = policy === "Default" || (policy === "ClusterFirst" && spec.hostNetwork === true);
  if (policy !== "None") {
    const host = dns.hostResolvConf.split("\n").map((line) => line.trim().split(/\s+/));
    const hostSearch = host.filter(([key]) => key === "search").at(-1)?.slice(1) ?? [];
    if (hostOnly || dns.clusterDNS.length === 0) {
      nameservers = host.filter(([key]) => key === "nameserver").map(([, value]) => value!).filter((value) => value !== undefined);
      search = hostSearch;
      options = host.filter(([key]) => key === "options").flatMap(([, ...values]) => values);
    } else {
      nameservers = [...dns.clusterDNS];
      search = [`${metadata.namespace ?? "default"}.svc.${dns.clusterDomain}`, `svc.${dns.clusterDomain}`, dns.clusterDomain, ...hostSearch];
      options = ["ndots:5"];
    }
  }
  const own = spec.dnsConfig;
  nameservers = [...new Set([...nameservers, ...(own?.nameservers ?? [])])].slice(0, 3);
  search = [...new Set([...search, ...(own?.searches ?? [])])].slice(0, 32);
  const merged = new Map(options.map((option) => [option.split(":")[0]!, option]));
  for (const { name, value } of own?.options ?? []) {
    if (name !== undefined) merged.set(name, value === undefined ? name : `${name}:${value}`);
  }
  options = [...merged.values()];
  return (search.length > 0 ? `search ${search.join(" ")}\n` : "") + nameservers.map((ip) => `nameserver ${ip}\n`).join("") +
    (options.length > 0 ? `options ${options.join(" ")}\n` : "");
}

/** The pod's host name, and its domain if it has one (kubelet_pods.go: GeneratePodHostNameAndDomain). */
export function podHostname(pod: Pod, clusterDomain: string, nodeName: string): { hostname: string; domain: string } {
  if (pod.spec.hostNetwork === true) return { hostname: nodeName, domain: "" };
  const hostname = pod.spec.hostname !== undefined && pod.spec.hostname !== "" ? pod.spec.hostname : pod.metadata.name.slice(0, 63).replace(/[-.]+$/, "");
  const sub = pod.spec.subdomain;
  return { hostname, domain: sub === undefined || sub === "" ? "" : `${sub}.${pod.metadata.namespace ?? "default"}.svc.${clusterDomain}` };
}

/** /etc/hosts (kubelet_pods.go: managedHostsFileContent). */
export function hostsFile(pod: Pod, ips: readonly string[], hostname: string, domain: string): string {
  const lines = [
    "# Kubernetes-managed hosts file.", "127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::0\tip6-localnet", "fe00::0\tip6-mcastprefix", "fe00::1\tip6-allnodes", "fe00::2\tip6-allrouters",
    ...ips.map((ip) => (domain === "" ? `${ip}\t${hostname}` : `${ip}\t${hostname}.${domain}\t${hostname}`)),
  ];
  const aliases = pod.spec.hostAliases ?? [];
  if (aliases.length > 0) {
    lines.push("", "# Entries added by HostAliases.", ...aliases.map(({ ip, hostnames }) => [ip, ...(hostnames ?? [])].join("\t")));
  }
  return `${lines.join("\n")}\n`;
}

/** What the downward API can name (fieldpath.ExtractFieldPathAsString and kubelet's runtime fields). */
export function fieldValue(pod: Pod, path: string, runtime: { podIPs: readonly string[]; hostIPs: readonly string[] }): string {
  const { metadata, spec } = pod;
  const entry = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(path);
  if (entry !== null) return metadata[entry[1] as "labels" | "annotations"]?.[entry[2]!] ?? "";
  const map = (values: Readonly<Record<string, string>> | undefined): string =>
    Object.keys(values ?? {}).sort().map((key) => `${key}=${JSON.stringify(values![key])}`).join("\n");
  switch (path) {
    case "metadata.name": return metadata.name;
    case "metadata.namespace": return metadata.namespace ?? "";
    case "metadata.uid": return metadata.uid;
    case "metadata.labels": return map(metadata.labels);
    case "metadata.annotations": return map(metadata.annotations);
    case "spec.nodeName": return spec.nodeName ?? "";
    case "spec.serviceAccountName": return spec.serviceAccountName ?? "";
    case "status.hostIP": return runtime.hostIPs[0] ?? "";
    case "status.hostIPs": return runtime.hostIPs.join(",");
    case "status.podIP": return runtime.podIPs[0] ?? "";
    case "status.podIPs": return runtime.podIPs.join(",");
    default: throw new ConfigError(`unsupported fieldPath: ${path}`);
  }
}

/** `$(NAME)` in a text, `$$` for one dollar; unknown names stay as they are (third_party/forked/golang/expansion). */
export const expand = (text: string, env: Readonly<Record<string, string>>): string =>
  text.replace(/\$(?:\$|\(([^)]*)\))/g, (whole, name: string | undefined) => (name === undefined ? "$" : Object.hasOwn(env, name) ? env[name]! : whole));

export interface PodSources {
  readonly api: Api;
  readonly podIPs: readonly string[];
  readonly hostIPs: readonly string[];
  /** Variables of the cluster's Services, such as KUBERNETES_SERVICE_HOST. */
  readonly serviceEnv: Readonly<Record<string, string>>;
}

/** The container's environment. Throws ConfigError for what is missing and not optional. */
export async function environment(pod: Pod, container: Container, sources: PodSources): Promise<Record<string, string>> {
  const env: Record<string, string> = { ...sources.serviceEnv };
  const namespace = pod.metadata.namespace ?? "default";
  for (const from of container.envFrom ?? []) {
    const ref = from.configMapRef ?? from.secretRef;
    const kind = from.configMapRef === undefined ? "secret" : "configmap";
    const data = await fetchData(sources.api, kind, namespace, ref?.name ?? "", ref?.optional === true);
    for (const key of Object.keys(data ?? {})) env[(from.prefix ?? "") + key] = new TextDecoder().decode(data![key]);
  }
  for (const variable of container.env ?? []) {
    const value = await envValue(pod, variable, env, sources, namespace);
    if (value !== undefined) env[variable.name] = value;
  }
  return env;
}

async function envValue(
  pod: Pod, variable: EnvVar, env: Readonly<Record<string, string>>, sources: PodSources, namespace: string,
): Promise<string | undefined> {
  const from = variable.valueFrom;
  if (from === undefined) return expand(variable.value ?? "", env);
  if (from.fieldRef !== undefined) return fieldValue(pod, from.fieldRef.fieldPath, sources);
  const ref = from.configMapKeyRef ?? from.secretKeyRef;
  if (ref === undefined) return undefined;
  const kind = from.configMapKeyRef === undefined ? "secret" : "configmap";
  const data = await fetchData(sources.api, kind, namespace, ref.name ?? "", ref.optional === true);
  if (data === undefined) return undefined;
  const bytes = data[ref.key];
  if (bytes === undefined) {
    if (ref.optional === true) return undefined;
    throw new ConfigError(`couldn't find key ${ref.key} in ${kind === "secret" ? "Secret" : "ConfigMap"} ${namespace}/${ref.name ?? ""}`);
  }
  return new TextDecoder().decode(bytes);
}

/** Files of one volume by their path below its mount point. */
export type VolumeFiles = Map<string, Uint8Array>;

async function fetchData(
  api: Api, kind: "configmap" | "secret", namespace: string, name: string, optional: boolean,
): Promise<Record<string, Uint8Array> | undefined> {
  try {
    const object = await api.get<ConfigMap & Secret>(`/api/v1/namespaces/${namespace}/${kind}s/${name}`);
    const out: Record<string, Uint8Array> = {};
    for (const [key, value] of Object.entries(object.data ?? {})) out[key] = kind === "secret" ? base64(value) : encoder.encode(value);
    if (kind === "configmap") for (const [key, value] of Object.entries(object.binaryData ?? {})) out[key] = base64(value);
    return out;
  } catch (error) {
    if (!isNotFound(error)) throw error;
    if (optional) return undefined;
    throw new ConfigError((error as Error).message);
  }
}

function base64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}

/** Fills one volume of a ConfigMap or a Secret. Throws ConfigError; all other kinds are empty. */
export async function volumeFiles(pod: Pod, { configMap, secret }: Volume, { api }: PodSources): Promise<VolumeFiles> {
  const out: VolumeFiles = new Map();
  const source = configMap ?? secret;
  if (source === undefined) return out;
  const kind = configMap === undefined ? "secret" : "configmap";
  const optional = source.optional === true;
  const data = await fetchData(api, kind, pod.metadata.namespace ?? "default", configMap?.name ?? secret?.secretName ?? "", optional) ?? {};
  for (const { key, path } of source.items ?? Object.keys(data).map((key) => ({ key, path: key }))) {
    if (data[key] !== undefined) out.set(path, data[key]);
    else if (!optional) throw new ConfigError(`references non-existent ${kind === "secret" ? "secret" : "config"} key: ${key}`);
  }
  return out;
}

/** How the container reads files: the kubelet's own, then what is mounted, the longest mount point first. */
export function fileReader(
  container: Container, volumes: ReadonlyMap<string, VolumeFiles>, own: Readonly<Record<string, string>>,
): (path: string) => Uint8Array | undefined {
  const mounts = (container.volumeMounts ?? []).map(({ name, mountPath, subPath }) => ({
    at: mountPath.replace(/\/+$/, ""), files: volumes.get(name), sub: (subPath ?? "").replace(/^\/+|\/+$/g, ""),
  })).sort((a, b) => b.at.length - a.at.length);
  return (path) => {
    for (const { at, files, sub } of mounts) {
      if (path !== at && !path.startsWith(`${at}/`)) continue;
      const rest = path.slice(at.length + 1);
      return files?.get(sub === "" ? rest : rest === "" ? sub : `${sub}/${rest}`);
    }
    return own[path] === undefined ? undefined : encoder.encode(own[path]);
  };
}
