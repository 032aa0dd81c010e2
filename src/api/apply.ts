/** Applying: objects are created, or updated where they are there already. */
import { apiVersionOf, type ResourceName } from "./resources.ts";
import type { KubeObject } from "../apimachinery/meta.ts";
import { isNotFound } from "../apimachinery/status.ts";
import type { Client } from "../client/client.ts";

/** An object as somebody wants it. */
export interface Wanted {
  /** As written; defaults and pruning are the server's. */
  readonly object: KubeObject;
  readonly resource: ResourceName;
}

/**
 * Creates each object, or updates it when it is there; namespaces before what lives in them. Objects without a
 * namespace go to `namespace`. Returns what the server stored, in the order given.
 */
export async function apply(client: Client, objects: readonly Wanted[], namespace = "default", signal?: AbortSignal): Promise<KubeObject[]> {
  const stored = new Map<Wanted, KubeObject>();
  const first = (m: Wanted): boolean => m.resource.resource === "namespaces";
  for (const one of [...objects.filter(first), ...objects.filter((m) => !first(m))]) {
    const { object, resource } = one;
    const target = client.resource(resource);
    const metadata = resource.namespaced ? { ...object.metadata, namespace: object.metadata.namespace ?? namespace } : object.metadata;
    const body = { ...object, apiVersion: apiVersionOf(resource), metadata };
    try {
      const current = await target.get(metadata.namespace ?? "", metadata.name, signal);
      stored.set(one, await target.update({ ...body, metadata: { ...metadata, resourceVersion: current.metadata.resourceVersion } }, signal));
    } catch (e) {
      if (!isNotFound(e)) throw e;
      stored.set(one, await target.create(body, signal));
    }
  }
  return objects.map((m) => stored.get(m)!);
}
