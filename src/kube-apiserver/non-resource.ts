/** Paths that are no resources: version, health, and plain discovery. */
import { apiVersionOf } from "../api/resources.ts";
import type { ApiRequest, ApiResponse } from "../client/transport.ts";
import type { Descriptor } from "./registry/descriptor.ts";
import { splitPath } from "./request-info.ts";

const VERSION = {
  major: "1",
  minor: "32",
  gitVersion: "v1.32.13",
  gitCommit: "",
  gitTreeState: "clean",
  buildDate: "1970-01-01T00:00:00Z",
  goVersion: "",
  compiler: "",
  platform: "linux/amd64",
};

const ok = (body: unknown): ApiResponse => ({ status: 200, headers: {}, body });

/** The answer, or undefined when the path is for a resource. */
export function nonResource(request: ApiRequest, registry: readonly Descriptor[]): ApiResponse | undefined {
  const path = request.path;
  // Every resource path has at least three segments.
  if (request.method !== "GET" || path.startsWith("/api/v1/namespaces/") || path.length > 60) return undefined;
  const { path: bare } = splitPath(path);
  switch (bare.replace(/\/$/, "")) {
    case "/healthz":
    case "/livez":
    case "/readyz":
      return { status: 200, headers: { "content-type": "text/plain; charset=utf-8" }, body: "ok" };
    case "/version":
      return ok(VERSION);
    case "/api":
      return ok({ kind: "APIVersions", versions: ["v1"], serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress: "127.0.0.1:6443" }] });
    case "/apis":
      return ok({ kind: "APIGroupList", apiVersion: "v1", groups: groups(registry) });
    case "/api/v1":
      return ok(resourceList(registry, ""));
    default: {
      const m = /^\/apis\/([^/]+)\/v1$/.exec(bare);
      return m === null || !registry.some((d) => d.name.group === m[1]) ? undefined : ok(resourceList(registry, m[1]!));
    }
  }
}

function groups(registry: readonly Descriptor[]): unknown[] {
  const names = [...new Set(registry.map((d) => d.name.group))].filter((g) => g !== "");
  return names.map((name) => {
    const version = { groupVersion: `${name}/v1`, version: "v1" };
    return { name, versions: [version], preferredVersion: version };
  });
}

function resourceList(registry: readonly Descriptor[], group: string): unknown {
  const resources: unknown[] = [];
  for (const { name, hasStatus } of registry) {
    if (name.group !== group) continue;
    const { resource, kind, namespaced } = name;
    resources.push({ name: resource, singularName: kind.toLowerCase(), namespaced, kind, verbs: ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"] });
    if (hasStatus) resources.push({ name: `${resource}/status`, singularName: "", namespaced, kind, verbs: ["get", "patch", "update"] });
  }
  return { kind: "APIResourceList", apiVersion: "v1", groupVersion: apiVersionOf({ group, version: "v1" }), resources };
}
