/** Scales of any kind that has them, built in or defined by a CRD. Follows k8s.io/client-go/scale and the RESTMapper its users have. */
import type { Scale } from "../api/types.generated.ts";
import { resourceFor } from "../api/resources.ts";
import type { ResourceName, Resources } from "../api/resources.ts";
import { ApiError, groupResource, isNotFound } from "../apimachinery/status.ts";
import type { Client } from "../client/client.ts";

export interface Target {
  readonly apiVersion?: string | undefined;
  readonly kind: string;
  readonly name: string;
}

export interface Scales {
  /** The resource of a kind; throws where no kind of the cluster is meant. */
  resourceOf(target: Target, signal: AbortSignal): Promise<ResourceName>;
  /** Throws NotFound for an object that is gone, and {@link NoScaleError} where the kind has no scale. */
  get(resource: ResourceName, namespace: string, name: string, signal: AbortSignal): Promise<Scale>;
  update(resource: ResourceName, scale: Scale, replicas: number, signal: AbortSignal): Promise<Scale>;
}

export class NoScaleError extends Error {}

/** Whether the server has no such path at all: its answer names no object, or is no Status. */
export const isUnknownPath = (e: unknown): boolean => e instanceof ApiError && (typeof e.status !== "object" || (isNotFound(e) && e.status.details?.name === undefined));

export function createScales(client: Client): Scales {
  const builtIn = (): Resources => Object.fromEntries(Object.entries(client).flatMap(([key, of]) => (typeof of === "object" ? [[key, of.resource]] : [])));
  return {
    async resourceOf({ apiVersion = "", kind }, signal) {
      const known = resourceFor(apiVersion, kind, builtIn());
      if (known !== undefined) return known;
      const [group, version] = apiVersion.includes("/") ? (apiVersion.split("/") as [string, string]) : ["", apiVersion];
      for (const { spec } of (await client.customResourceDefinitions.list("", undefined, signal)).items)
        if (spec.group === group && spec.names.kind === kind && spec.versions.some((v) => v.name === version && v.served))
          return { group, version, kind, resource: spec.names.plural, namespaced: spec.scope === "Namespaced" };
      throw new Error(`no matches for kind "${kind}" in ${group === "" ? `version "${version}"` : `group "${group}"`}`);
    },
    async get(resource, namespace, name, signal) {
      try {
        return await client.resource(resource).subresource<Scale>("GET", namespace, name, "scale", undefined, signal);
      } catch (e) {
        if (isUnknownPath(e)) throw new NoScaleError(`${groupResource(resource)} does not implement the scale subresource`, { cause: e });
        throw e;
      }
    },
    update: (resource, scale, replicas, signal) =>
      client.resource(resource).subresource<Scale>("PUT", scale.metadata.namespace!, scale.metadata.name, "scale", { ...scale, spec: { ...scale.spec, replicas } }, signal),
  };
}
