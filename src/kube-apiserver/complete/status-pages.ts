/**
 * What a server tells of itself: `/healthz`, `/livez` and `/readyz` with their single checks, the index of paths, `/metrics`, and the
 * issuer of tokens. Follows k8s.io/apiserver/pkg/server/healthz, pkg/server/routes (index.go, metrics.go, openidmetadata.go) and
 * pkg/endpoints/metrics. Every check passes: whatever it names is done before the first request is answered.
 */
import { failure } from "../../apimachinery/status.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import type { ApiRequest, ApiResponse } from "../../client/transport.ts";
import type { Storage } from "../../storage/storage.ts";
import type { Descriptor } from "../registry/descriptor.ts";
import { splitPath } from "../request-info.ts";
import type { SigningKeySource } from "../signing-key.ts";
import type { RequestInfo } from "../request-info.ts";
import { discovered } from "./discovery.ts";

const HOOKS = [
  "start-apiserver-admission-initializer", "generic-apiserver-start-informers", "priority-and-fairness-config-consumer", "priority-and-fairness-filter",
  "storage-object-count-tracker-hook", "start-apiextensions-informers", "start-apiextensions-controllers", "crd-informer-synced",
  "start-system-namespaces-controller", "start-cluster-authentication-info-controller", "start-kube-apiserver-identity-lease-controller",
  "start-kube-apiserver-identity-lease-garbage-collector", "start-legacy-token-tracking-controller", "start-service-ip-repair-controllers",
  "rbac/bootstrap-roles", "scheduling/bootstrap-system-priority-classes", "priority-and-fairness-config-producer", "bootstrap-controller",
  "start-kube-aggregator-informers", "apiservice-status-local-available-controller", "apiservice-status-remote-available-controller",
  "apiservice-registration-controller", "apiservice-wait-for-first-sync", "apiservice-discovery-controller", "kube-apiserver-autoregistration",
].map((name) => `poststarthook/${name}`).concat("autoregister-completion", "poststarthook/apiservice-openapi-controller", "poststarthook/apiservice-openapiv3-controller");

const CHECKS: Readonly<Record<string, readonly string[]>> = {
  healthz: ["ping", "log", "etcd", ...HOOKS],
  livez: ["ping", "log", "etcd", ...HOOKS],
  readyz: ["ping", "log", "informer-sync", ...HOOKS, "shutdown"],
};

const TEXT = { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" };
const text = (body: string): ApiResponse => ({ status: 200, headers: TEXT, body });
export const PAGE_NOT_FOUND: ApiResponse = { status: 404, headers: TEXT, body: "404 page not found\n" };

/** What one server counts. */
export interface Server {
  readonly storage: Storage<KubeObject>;
  /** Where clients reach it, ADDRESS:PORT. */
  readonly address: string;
  readonly serviceAccountKey: SigningKeySource | undefined;
  readonly startedMs: number;
  /** Answered requests by the labels of apiserver_request_total. */
  readonly requests: Map<string, number>;
}

/** The answer to such a path (without its query and a slash at its end), undefined when it is another one. */
export function statusPage(path: string, request: ApiRequest, registry: readonly Descriptor[], server: Server | undefined): ApiResponse | Promise<ApiResponse> | undefined {
  const [, first = "", ...rest] = path.split("/");
  const checks = CHECKS[first];
  if (checks !== undefined) return health(first, checks, rest.join("/"), splitPath(request.path).query);
  switch (path) {
    case "": return { status: 200, headers: {}, body: { paths: paths(registry) } };
    case "/metrics": return server === undefined ? undefined : metrics(server, registry);
    case "/metrics/slis": return text(slis());
    case "/.well-known/openid-configuration": return { status: 200, headers: { "cache-control": "public, max-age=3600" }, body: openId(server?.address) };
    case "/openid/v1/jwks":
      if (!/\*\/\*|application\/(?:\*|jwk-set\+json)/.test(request.headers?.["accept"] ?? ""))
        throw failure(406, "NotAcceptable", "406: Not Acceptable\n\nAvailable representations: application/jwk-set+json", {});
      return keySet(server?.serviceAccountKey);
    default: return undefined;
  }
}

/** The public half of what tokens are signed with. Follows pkg/serviceaccount/openidmetadata.go. */
async function keySet(source: SigningKeySource | undefined): Promise<ApiResponse> {
  const key = await source?.();
  const keys = key === undefined ? [] : [{ use: "sig", kty: "RSA", kid: key.id, alg: key.algorithm, n: key.publicKey.n, e: key.publicKey.e }];
  return { status: 200, headers: { "content-type": "application/jwk-set+json", "cache-control": "public, max-age=3600" }, body: JSON.stringify({ keys }) };
}

const openId = (address = "192.168.0.1:6443"): unknown => ({
  issuer: "https://kubernetes.default.svc", jwks_uri: `https://${address}/openid/v1/jwks`, response_types_supported: ["id_token"],
  subject_types_supported: ["public"], id_token_signing_alg_values_supported: ["RS256"],
});

function health(name: string, checks: readonly string[], single: string, query: URLSearchParams): ApiResponse {
  if (single !== "" && !checks.includes(single)) return PAGE_NOT_FOUND;
  if (!query.has("verbose")) return text("ok");
  const excluded = new Set(query.getAll("exclude"));
  const lines = (single === "" ? checks : [single]).map((check) => `[+]${check} ${excluded.delete(check) ? "excluded: ok" : "ok"}`);
  const unmatched = excluded.size === 0 ? [] : [`warn: some health checks cannot be excluded: no matches for ${[...excluded].sort().map((check) => JSON.stringify(check)).join(", ")}`];
  return text(`${[...lines, ...unmatched, `${single === "" ? name : single} check passed`].join("\n")}\n`);
}

/** Follows routes.IndexLister. */
function paths(registry: readonly Descriptor[]): string[] {
  const out = new Set(["/.well-known/openid-configuration", "/api", "/apis", "/apis/", "/metrics", "/metrics/slis", "/openapi/v2", "/openapi/v3", "/openapi/v3/", "/openid/v1/jwks", "/version"]);
  for (const { group, version } of discovered(registry)) {
    if (group !== "") out.add(`/apis/${group}`);
    out.add(group === "" ? `/api/${version}` : `/apis/${group}/${version}`);
  }
  for (const [name, checks] of Object.entries(CHECKS)) {
    out.add(`/${name}`);
    for (const check of checks) out.add(`/${name}/${check}`);
  }
  return [...out].sort();
}

/** Counts an answered request. */
export function count({ requests }: Server, info: RequestInfo, status: number): void {
  const { descriptor, namespace, name: object, subresource, verb, query } = info;
  const scope = object !== "" || verb === "create" ? "resource" : namespace === "" ? "cluster" : "namespace";
  const dryRun = query.size > 0 && (query.get("dryRun") ?? "") !== "" ? "All" : "";
  const kind = `${status} ${verb} ${subresource} ${scope} ${dryRun}`;
  let texts = labelsOf.get(descriptor);
  if (texts === undefined) labelsOf.set(descriptor, (texts = new Map()));
  let labels = texts.get(kind);
  if (labels === undefined) texts.set(kind, (labels = labelsText(info, status, scope, dryRun)));
  requests.set(labels, (requests.get(labels) ?? 0) + 1);
}

/** The labels of requests to one resource. */
const labelsOf = new WeakMap<RequestInfo["descriptor"], Map<string, string>>();

function labelsText({ descriptor: { name }, subresource, verb }: RequestInfo, status: number, scope: string, dryRun: string): string {
  const shown = verb === "create" ? "POST" : verb === "update" ? "PUT" : verb === "deletecollection" ? "DELETECOLLECTION" : verb.toUpperCase();
  return `code="${status}",component="apiserver",dry_run="${dryRun}",group="${name.group}",resource="${name.resource}",scope="${scope}",subresource="${subresource}",verb="${shown}",version="${name.version}"`;
}

const family = (name: string, type: string, help: string, samples: readonly string[]): string =>
  samples.length === 0 ? "" : `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${samples.map((sample) => `${name}${sample}\n`).join("")}`;

async function metrics({ storage, startedMs, requests }: Server, registry: readonly Descriptor[]): Promise<ApiResponse> {
  const counts = new Map<string, number>();
  for (const { name: { group, resource }, storagePrefix, custom } of registry) {
    const label = group === "" ? resource : `${resource}.${group}`;
    if (!counts.has(label)) counts.set(label, (await (custom?.view ?? storage).range(`/registry/${storagePrefix}/`, { limit: 1 })).count);
  }
  const objects = [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([resource, n]) => `{resource="${resource}"} ${n}`);
  const total = [...requests].sort(([a], [b]) => (a < b ? -1 : 1)).map(([labels, n]) => `{${labels}} ${n}`);
  const version = 'build_date="1970-01-01T00:00:00Z",compiler="",git_commit="",git_tree_state="clean",git_version="v1.32.13",go_version="",major="1",minor="32",platform="linux/amd64"';
  return {
    status: 200, headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8; escaping=underscores" },
    body: family("apiserver_request_total", "counter", "[STABLE] Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, and HTTP response code.", total)
      + family("apiserver_storage_objects", "gauge", "[STABLE] Number of stored objects at the time of last check split by kind. In case of a fetching error, the value will be -1.", objects)
      + family("kubernetes_build_info", "gauge", "[ALPHA] A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree state, build date, Go version, and compiler from which Kubernetes was built, and platform on which it is running.", [`{${version}} 1`])
      + family("kubernetes_healthcheck", "gauge", "[STABLE] This metric records the result of a single healthcheck.", healthSamples())
      + family("process_start_time_seconds", "gauge", "[ALPHA] Start time of the process since unix epoch in seconds.", [` ${startedMs / 1000}`]),
  };
}

const healthSamples = (): string[] => Object.entries(CHECKS).flatMap(([type, checks]) => checks.map((name) => `{name="${name}",type="${type}"} 1`)).sort();
const slis = (): string => family("kubernetes_healthcheck", "gauge", "[STABLE] This metric records the result of a single healthcheck.", healthSamples());
