/**
 * What a server serves now, custom resources included. Follows k8s.io/client-go/discovery (ServerPreferredResources over
 * aggregated discovery).
 */
import type { ResourceName } from "../api/resources.ts";
import { ApiError, type Status } from "../apimachinery/status.ts";
import type { ApiTransport } from "./transport.ts";

export interface ServedResource extends ResourceName {
  readonly verbs: readonly string[];
}

export interface Discovered {
  /** Each resource in its group's preferred version alone, in the server's order. */
  readonly resources: readonly ServedResource[];
  /** Group versions that cannot be told of now, such as those of an API server that is not reached. */
  readonly failed: readonly string[];
}

interface GroupList {
  readonly items?: readonly {
    readonly metadata: { readonly name?: string };
    readonly versions?: readonly {
      readonly version: string;
      readonly freshness?: string;
      readonly resources?: readonly { readonly resource: string; readonly scope: string; readonly verbs: readonly string[]; readonly responseKind?: { readonly kind: string } }[];
    }[];
  }[];
}

const AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/** Asks `/api` and `/apis`. Throws ApiError when either is refused. */
export async function discover(transport: ApiTransport, userAgent: string, signal?: AbortSignal): Promise<Discovered> {
  const resources: ServedResource[] = [];
  const failed: string[] = [];
  for (const path of ["/api", "/apis"]) {
    const answer = await transport({ method: "GET", path, headers: { accept: AGGREGATED, "user-agent": userAgent } }, signal);
    if (answer.status >= 400) throw new ApiError(answer.body as Status);
    for (const { metadata: { name: group = "" }, versions = [] } of (answer.body as GroupList).items ?? []) {
      const seen = new Set<string>();
      for (const { version, freshness, resources: served = [] } of versions) {
        if (freshness === "Stale") failed.push(group === "" ? version : `${group}/${version}`);
        for (const { resource, scope, verbs, responseKind } of served) {
          if (seen.has(resource)) continue;
          seen.add(resource);
          resources.push({ group, version, kind: responseKind?.kind ?? "", resource, namespaced: scope === "Namespaced", verbs });
        }
      }
    }
  }
  return { resources, failed };
}
