/**
 * The typed client: one set of calls per resource, over any {@link ApiTransport}.
 *
 *     const client = createClient(transport, { userAgent: "kubelet" });
 *     const pod = await client.pods.get("shop", "web-1");
 *     await client.pods.updateStatus({ ...pod, status: { ...pod.status, phase: "Running" } });
 *
 * Answers are deep-frozen and shared; change a copy. Errors are ApiError.
 */
import { apiVersionOf, pathOf, RESOURCES } from "../api/resources.ts";
import type { Kinds, ResourceName, Resources } from "../api/resources.ts";
import { ApiError } from "../apimachinery/status.ts";
import type { Status } from "../apimachinery/status.ts";
import type { Draft, KubeObject } from "../apimachinery/meta.ts";
import type { ApiRequest, ApiTransport, WatchEvent } from "./transport.ts";

export interface ListOptions {
  labelSelector?: string;
  fieldSelector?: string;
  limit?: number;
  continue?: string;
  resourceVersion?: string;
  resourceVersionMatch?: "Exact" | "NotOlderThan";
}

export interface WatchOptions {
  labelSelector?: string;
  fieldSelector?: string;
  resourceVersion?: string;
  allowWatchBookmarks?: boolean;
  timeoutSeconds?: number;
}

export interface DeleteOptions {
  gracePeriodSeconds?: number;
  propagationPolicy?: "Background" | "Foreground" | "Orphan";
  preconditions?: { uid?: string; resourceVersion?: string };
}

export interface List<T> {
  metadata: { resourceVersion: string; continue?: string; remainingItemCount?: number };
  items: readonly T[];
}

export type PatchType = "merge" | "json" | "strategic";

const PATCH_TYPES: Readonly<Record<PatchType, string>> = {
  merge: "application/merge-patch+json",
  json: "application/json-patch+json",
  strategic: "application/strategic-merge-patch+json",
};

/** The calls of one resource. `namespace` is "" for cluster-scoped kinds and for lists across namespaces. */
export interface ResourceClient<T> {
  readonly resource: ResourceName;
  get(namespace: string, name: string, signal?: AbortSignal): Promise<T>;
  list(namespace?: string, options?: ListOptions, signal?: AbortSignal): Promise<List<T>>;
  /** The object's own namespace decides; kind and apiVersion are filled in. */
  create(object: Draft<T>, signal?: AbortSignal): Promise<T>;
  update(object: Draft<T>, signal?: AbortSignal): Promise<T>;
  /** Writes `status` alone. */
  updateStatus(object: Draft<T>, signal?: AbortSignal): Promise<T>;
  patch(namespace: string, name: string, type: PatchType, patch: unknown, subresource?: string, signal?: AbortSignal): Promise<T>;
  delete(namespace: string, name: string, options?: DeleteOptions, signal?: AbortSignal): Promise<void>;
  deleteCollection(namespace: string, selection?: ListOptions, options?: DeleteOptions, signal?: AbortSignal): Promise<void>;
  watch(namespace?: string, options?: WatchOptions, signal?: AbortSignal): Promise<AsyncIterable<WatchEvent<T>>>;
  /** A request to a subresource: `pods/binding`, `namespaces/finalize`. */
  subresource<R = unknown>(method: "GET" | "POST" | "PUT", namespace: string, name: string, subresource: string, body?: unknown, signal?: AbortSignal): Promise<R>;
}

/** The kinds that only a complete cluster serves are there with the `resources` of {@link ClientOptions}. */
export type Client = { readonly [K in keyof Kinds]: ResourceClient<Kinds[K]> } & {
  /** The calls of any resource, known by its name. */
  resource<T extends KubeObject = KubeObject>(resource: ResourceName): ResourceClient<T>;
};

export interface ClientOptions {
  /** Becomes the manager in managedFields, up to the first slash. */
  userAgent?: string;
  /** The resources by their names here; default those of every cluster, `ALL_RESOURCES` for those of a complete one. */
  resources?: Resources;
}

export function createClient(transport: ApiTransport, options: ClientOptions = {}): Client {
  const headers: Record<string, string> = { "user-agent": options.userAgent ?? "kubewire" };
  const made = new Map<ResourceName, ResourceClient<KubeObject>>();
  const resource = (name: ResourceName): ResourceClient<KubeObject> => {
    let client = made.get(name);
    if (client === undefined) made.set(name, (client = createResourceClient(transport, name, headers)));
    return client;
  };
  const out: Record<string, unknown> = { resource };
  for (const [key, name] of Object.entries(options.resources ?? RESOURCES)) {
    Object.defineProperty(out, key, { enumerable: true, get: () => resource(name) });
  }
  return out as unknown as Client;
}

function createResourceClient(transport: ApiTransport, resource: ResourceName, headers: Readonly<Record<string, string>>): ResourceClient<KubeObject> {
  const apiVersion = apiVersionOf(resource);
  const send = async (method: ApiRequest["method"], path: string, body: unknown, signal?: AbortSignal, type?: string): Promise<unknown> => {
    const response = await transport({ method, path, headers: type === undefined ? headers : { ...headers, "content-type": type }, ...(body === undefined ? {} : { body }) }, signal);
    if (response.status >= 400) throw new ApiError(response.body as Status);
    return response.body;
  };
  const typed = (object: Draft<KubeObject>): KubeObject => ({ ...object, apiVersion, kind: resource.kind }) as KubeObject;
  const own = (object: KubeObject, subresource?: string): string => pathOf(resource, object.metadata.namespace ?? "", object.metadata.name, subresource);
  return {
    resource,
    get: (namespace, name, signal) => send("GET", pathOf(resource, namespace, name), undefined, signal) as Promise<KubeObject>,
    list: (namespace = "", options, signal) => send("GET", pathOf(resource, namespace) + queryOf(options), undefined, signal) as Promise<List<KubeObject>>,
    create(object, signal) {
      const whole = typed(object);
      return send("POST", pathOf(resource, whole.metadata?.namespace ?? ""), whole, signal) as Promise<KubeObject>;
    },
    update(object, signal) {
      const whole = typed(object);
      return send("PUT", own(whole), whole, signal) as Promise<KubeObject>;
    },
    updateStatus(object, signal) {
      const whole = typed(object);
      return send("PUT", own(whole, "status"), whole, signal) as Promise<KubeObject>;
    },
    patch: (namespace, name, type, patch, subresource, signal) =>
      send("PATCH", pathOf(resource, namespace, name, subresource), patch, signal, PATCH_TYPES[type]) as Promise<KubeObject>,
    async delete(namespace, name, options, signal) {
      await send("DELETE", pathOf(resource, namespace, name), options, signal);
    },
    async deleteCollection(namespace, selection, options, signal) {
      await send("DELETE", pathOf(resource, namespace) + queryOf(selection), options, signal);
    },
    async watch(namespace = "", options, signal) {
      const response = await transport({ method: "GET", path: `${pathOf(resource, namespace)}${queryOf({ watch: true, ...options })}`, headers }, signal);
      if (response.stream === undefined) throw new ApiError(response.body as Status);
      return response.stream as AsyncIterable<WatchEvent<KubeObject>>;
    },
    subresource: <R>(method: ApiRequest["method"], namespace: string, name: string, subresource: string, body?: unknown, signal?: AbortSignal) =>
      send(method, pathOf(resource, namespace, name, subresource), body, signal) as Promise<R>,
  };
}

function queryOf(options: object | undefined): string {
  let out = "";
  for (const [key, value] of Object.entries(options ?? {})) {
    if (value === undefined) continue;
    out += `${out === "" ? "?" : "&"}${key}=${encodeURIComponent(String(value))}`;
  }
  return out;
}
