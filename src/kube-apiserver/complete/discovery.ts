/**
 * Discovery: `/api`, `/apis` and below, plain and aggregated. Follows k8s.io/apiserver/pkg/endpoints/discovery. Lists what the
 * registry serves, in upstream's order and with its short names, categories and verbs.
 */
import { sha256, sha512 } from "@noble/hashes/sha2.js";
import type { ApiRequest, ApiResponse } from "../../client/transport.ts";
import { byPriority } from "../crd/versions.ts";
import type { Descriptor } from "../registry/descriptor.ts";
import { DISCOVERY } from "./tables.generated.ts";

interface Subresource {
  readonly name: string;
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly verbs: readonly string[];
}

export interface DiscoveredResource {
  readonly resource: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly singular: string;
  readonly verbs: readonly string[];
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly subresources: readonly Subresource[];
}

export interface DiscoveredVersion {
  readonly group: string;
  readonly version: string;
  readonly resources: readonly DiscoveredResource[];
}

const ALL = "create,delete,deletecollection,get,list,patch,update,watch";
const list = (text: string): string[] => (text === "" ? [] : text.split(","));

const parsed = new WeakMap<readonly Descriptor[], readonly DiscoveredVersion[]>();

/** Everything that is served, in order; a group's preferred version comes first. */
export function discovered(registry: readonly Descriptor[]): readonly DiscoveredVersion[] {
  const known = parsed.get(registry);
  if (known !== undefined) return known;
  const served = new Set(registry.map(({ name }) => `${name.group}/${name.version}/${name.resource}`));
  const all = DISCOVERY.split("\n\n").map((block) => {
    const [head = "", ...lines] = block.split("\n");
    const [group = "", version = ""] = head.split("/");
    return { group, version, resources: lines.map(parseResource).filter(({ resource }) => served.has(`${group}/${version}/${resource}`)) };
  }).filter(({ resources }) => resources.length > 0);
  const everything = [...all, ...customVersions(registry)];
  parsed.set(registry, everything);
  return everything;
}

/** Custom resources by group and version, groups by name, versions by priority. */
function customVersions(registry: readonly Descriptor[]): DiscoveredVersion[] {
  const out = new Map<string, { group: string; version: string; resources: DiscoveredResource[] }>();
  for (const { name, custom, hasStatus, scalable } of registry) {
    if (custom === undefined) continue;
    const { group, version, resource, kind, namespaced } = name;
    const { singular, verbs, shortNames, categories } = custom;
    const known = out.get(`${group}/${version}`) ?? { group, version, resources: [] };
    out.set(`${group}/${version}`, known);
    const subresource = (sub: string, of: string, g = "", v = ""): Subresource => ({ name: sub, group: g, version: v, kind: of, verbs: ["get", "patch", "update"] });
    const subresources = [...(hasStatus ? [subresource("status", kind)] : []), ...(scalable === true ? [subresource("scale", "Scale", "autoscaling", "v1")] : [])];
    known.resources.push({ resource, kind, namespaced, singular, verbs, shortNames, categories, subresources });
  }
  return [...out.values()].sort((a, b) => (a.group === b.group ? byPriority(a.version, b.version) : a.group < b.group ? -1 : 1));
}

function parseResource(line: string): DiscoveredResource {
  const [resource = "", kind = "", scope, singular = "", verbs = "", shortNames = "", categories = "", subresources = ""] = line.split("|");
  return {
    resource, kind, namespaced: scope === "N", singular, verbs: list(verbs === "*" ? ALL : verbs), shortNames: list(shortNames),
    categories: list(categories),
    subresources: list(subresources).map((text) => {
      const [name = "", target = "", allowed = ""] = text.split(":");
      const [group = "", version = "", of = ""] = target.split("/");
      return { name, group, version, kind: of, verbs: allowed.split("+") };
    }),
  };
}

const AGGREGATED = /g=apidiscovery\.k8s\.io;v=(v2|v2beta1);as=APIGroupDiscoveryList/;
const groupVersion = (group: string, version: string): string => (group === "" ? version : `${group}/${version}`);
const plain = (body: unknown): ApiResponse => ({ status: 200, headers: {}, body });
const some = <T>(name: string, values: readonly T[]): Record<string, readonly T[]> => (values.length === 0 ? {} : { [name]: values });

/** The answer to a discovery path (without its query and a slash at its end), undefined when it is another one. */
export function discovery(path: string, request: ApiRequest, registry: readonly Descriptor[], address = "192.168.0.1:6443"): ApiResponse | undefined {
  const all = discovered(registry);
  const names = groupNames(all);
  if (path === "/api" || path === "/apis") {
    const accept = request.headers?.["accept"] ?? "";
    const version = AGGREGATED.exec(accept)?.[1];
    if (version !== undefined) return aggregated(all, path === "/api", version, request);
    return plain(path === "/api" ? { kind: "APIVersions", versions: ["v1"], serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress: address }] }
      : { kind: "APIGroupList", apiVersion: "v1", groups: names.map((name) => apiGroup(all, name)) });
  }
  const [, root, ...rest] = path.split("/");
  if (root === "apis" && rest.length === 1) return names.includes(rest[0]!) ? plain({ kind: "APIGroup", apiVersion: "v1", ...apiGroup(all, rest[0]!) }) : undefined;
  const [group, version] = root === "api" && rest.length === 1 ? ["", rest[0]!] : root === "apis" && rest.length === 2 ? [rest[0]!, rest[1]!] : [undefined, ""];
  const found = all.find((d) => d.group === group && d.version === version);
  return found === undefined ? undefined : plain(resourceList(found));
}

const groupNames = (all: readonly DiscoveredVersion[]): string[] => [...new Set(all.map(({ group }) => group))].filter((group) => group !== "");

function apiGroup(all: readonly DiscoveredVersion[], name: string): Record<string, unknown> {
  const versions = all.filter(({ group }) => group === name).map(({ group, version }) => ({ groupVersion: groupVersion(group, version), version }));
  return { name, versions, preferredVersion: versions[0] };
}

/** Kinds that are stored under another group's or version's name. */
const STORED_AS: Readonly<Record<string, string>> = {
  // Its hash is older than its storage version.
  "apiextensions.k8s.io/v1/CustomResourceDefinition": "apiextensions.k8s.io/v1beta1/CustomResourceDefinition",
  "events.k8s.io/v1/Event": "v1/Event",
  "autoscaling/v1/HorizontalPodAutoscaler": "autoscaling/v2/HorizontalPodAutoscaler",
};

/** Follows discovery.StorageVersionHash. */
function storageVersionHash(group: string, version: string, kind: string): string {
  const name = `${groupVersion(group, version)}/${kind}`;
  const stored = STORED_AS[name] ?? name;
  const slashed = stored.split("/").length === 2 ? `/${stored}` : stored;
  return btoa(String.fromCharCode(...sha256(new TextEncoder().encode(slashed)).subarray(0, 8)));
}

function resourceList({ group, version, resources }: DiscoveredVersion): unknown {
  const out: unknown[] = [];
  for (const { resource, kind, namespaced, singular, verbs, shortNames, categories, subresources } of resources) {
    const hash = verbs.includes("watch") ? { storageVersionHash: storageVersionHash(group, version, kind) } : {};
    out.push({ name: resource, singularName: singular, namespaced, kind, verbs, ...some("shortNames", shortNames), ...some("categories", categories), ...hash });
    for (const sub of subresources)
      out.push({ name: `${resource}/${sub.name}`, singularName: "", namespaced, ...(sub.version === "" ? {} : { group: sub.group, version: sub.version }), kind: sub.kind, verbs: sub.verbs });
  }
  return { kind: "APIResourceList", ...(group === "" ? {} : { apiVersion: "v1" }), groupVersion: groupVersion(group, version), resources: out };
}

function aggregated(all: readonly DiscoveredVersion[], core: boolean, apiVersion: string, request: ApiRequest): ApiResponse {
  const names = core ? [""] : groupNames(all);
  const items = names.map((name) => ({
    metadata: { ...(name === "" ? {} : { name }), creationTimestamp: null },
    versions: all.filter(({ group }) => group === name).map(({ version, resources }) => ({ version, resources: resources.map(discoveryResource), freshness: "Current" })),
  }));
  const body = { kind: "APIGroupDiscoveryList", apiVersion: `apidiscovery.k8s.io/${apiVersion}`, metadata: {}, items };
  const etag = `"${hex(sha512(new TextEncoder().encode(JSON.stringify(body))))}"`;
  const headers = { "content-type": `application/json;g=apidiscovery.k8s.io;v=${apiVersion};as=APIGroupDiscoveryList`, etag, vary: "Accept" };
  if (request.headers?.["if-none-match"] === etag) return { status: 304, headers, body: "" };
  return { status: 200, headers, body };
}

function discoveryResource({ resource, kind, namespaced, singular, verbs, shortNames, categories, subresources }: DiscoveredResource): unknown {
  return {
    resource, responseKind: { group: "", version: "", kind }, scope: namespaced ? "Namespaced" : "Cluster", singularResource: singular, verbs,
    ...some("shortNames", shortNames), ...some("categories", categories),
    ...some("subresources", subresources.map(({ name, group, version, kind: of, verbs: allowed }) => ({ subresource: name, responseKind: { group, version, kind: of }, verbs: allowed }))),
  };
}

/** As Go's `%X`. */
export const hex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => (byte + 256).toString(16).slice(1)).join("").toUpperCase();
