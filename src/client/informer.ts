/**
 * Reflector and shared informer: one list and one watch per resource, a cache that all readers share, and handlers
 * that hear of changes. Follows k8s.io/client-go/tools/cache (reflector.go, shared_informer.go, thread_safe_store.go).
 *
 * There is no polling and no periodic resync: between events an informer costs nothing.
 */
import type { Kinds } from "../api/resources.ts";
import type { KubeObject } from "../apimachinery/meta.ts";
import { keyOf } from "../apimachinery/meta.ts";
import { ApiError, isExpired } from "../apimachinery/status.ts";
import type { Status } from "../apimachinery/status.ts";
import type { Logger } from "../log.ts";
import type { Clock, Random } from "../time/clock.ts";
import { createBackoff } from "./backoff.ts";
import type { Client, ResourceClient } from "./client.ts";

export interface EventHandler<T> {
  add?(object: T): void;
  update?(object: T, old: T): void;
  /** The last state that was known. */
  delete?(object: T): void;
}

/** Reads of the cache. Objects are frozen and shared. Lists come in key order of first appearance. */
export interface Lister<T> {
  get(namespace: string, name: string): T | undefined;
  getByKey(key: string): T | undefined;
  /** All, or those of one namespace. */
  list(namespace?: string): readonly T[];
  /** Those under `value` in the index `index`. */
  byIndex(index: string, value: string): readonly T[];
}

/** Names the values under which an object is found. */
export type IndexFunction<T> = (object: T) => readonly string[];

export interface Informer<T> extends Lister<T> {
  readonly resource: ResourceClient<T>["resource"];
  /** Handlers added after the sync hear an `add` for every object that is there. Returns how to stop hearing. */
  addHandler(handler: EventHandler<T>): () => void;
  /** Before {@link start} only. */
  addIndex(name: string, index: IndexFunction<T>): void;
  /** Lists and watches until `signal` aborts. Starting twice does nothing. */
  start(signal: AbortSignal): void;
  hasSynced(): boolean;
  /** Resolves after the first list is in the cache and all handlers heard of it. */
  readonly synced: Promise<void>;
}

export interface InformerOptions {
  clock: Clock;
  random: Random;
  log: Logger;
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
}

/** The index of objects by the uid of each owner. */
export const BY_OWNER = "ownerUid";
/** The index of pods by the node they are bound to. */
export const BY_NODE = "nodeName";

/** First pause after a failed list or watch, its factor and its limit (reflector.go: backoffManager). */
const BACKOFF = { initialMs: 800, factor: 2, maxMs: 30_000, jitter: 1 };

export function createInformer<T extends KubeObject>(client: ResourceClient<T>, options: InformerOptions): Informer<T> {
  const { clock, log } = options;
  const random = options.random.fork(`informer/${client.resource.resource}`);
  const objects = new Map<string, T>();
  const byNamespace = new Map<string, Map<string, T>>();
  const indexes = new Map<string, { of: IndexFunction<T>; values: Map<string, Map<string, T>> }>();
  let handlers: EventHandler<T>[] = [];
  let started = false;
  let hasSynced = false;
  let markSynced!: () => void;
  const synced = new Promise<void>((resolve) => {
    markSynced = resolve;
  });

  const into = (map: Map<string, Map<string, T>>, value: string, key: string, object: T | undefined): void => {
    let bucket = map.get(value);
    if (object === undefined) {
      bucket?.delete(key);
      if (bucket?.size === 0) map.delete(value);
      return;
    }
    if (bucket === undefined) map.set(value, (bucket = new Map()));
    bucket.set(key, object);
  };
  const store = (key: string, object: T | undefined, old: T | undefined): void => {
    if (object === undefined) objects.delete(key);
    else objects.set(key, object);
    const namespace = (object ?? old)!.metadata.namespace;
    if (namespace !== undefined) into(byNamespace, namespace, key, object);
    for (const { of, values } of indexes.values()) {
      if (old !== undefined) for (const value of of(old)) into(values, value, key, undefined);
      if (object !== undefined) for (const value of of(object)) into(values, value, key, object);
    }
  };
  const put = (object: T): void => {
    const key = keyOf(object);
    const old = objects.get(key);
    if (old === object || (old !== undefined && old.metadata.resourceVersion === object.metadata.resourceVersion)) return;
    store(key, object, old);
    for (const handler of handlers) {
      if (old === undefined) handler.add?.(object);
      else handler.update?.(object, old);
    }
  };
  const drop = (key: string, last: T | undefined): void => {
    const old = objects.get(key);
    if (old === undefined) return;
    store(key, undefined, old);
    for (const handler of handlers) handler.delete?.(last ?? old);
  };

  const selection = {
    ...(options.labelSelector === undefined ? {} : { labelSelector: options.labelSelector }),
    ...(options.fieldSelector === undefined ? {} : { fieldSelector: options.fieldSelector }),
  };

  async function listAndWatch(signal: AbortSignal): Promise<void> {
    const list = await client.list(options.namespace ?? "", selection, signal);
    const present = new Set<string>();
    for (const object of list.items) {
      present.add(keyOf(object));
      put(object);
    }
    if (objects.size > present.size) for (const key of [...objects.keys()]) if (!present.has(key)) drop(key, undefined);
    let { resourceVersion } = list.metadata;
    if (!hasSynced) {
      hasSynced = true;
      markSynced();
    }
    // A watch that ends cleanly is taken up again where it ended.
    while (!signal.aborted) {
      const stream = await client.watch(options.namespace ?? "", { ...selection, resourceVersion, allowWatchBookmarks: true }, signal);
      for await (const { type, object } of stream) {
        if (type === "ERROR") throw new ApiError(object as unknown as Status);
        resourceVersion = object.metadata.resourceVersion;
        if (type === "DELETED") drop(keyOf(object), object);
        else if (type !== "BOOKMARK") put(object);
      }
    }
  }

  async function run(signal: AbortSignal): Promise<void> {
    const backoff = createBackoff(BACKOFF, random);
    while (!signal.aborted) {
      try {
        await listAndWatch(signal);
      } catch (e) {
        if (signal.aborted) return;
        // A revision that is compacted away needs only a new list.
        if (!isExpired(e)) log.error("Failed to watch", { resource: client.resource.resource, err: e });
      }
      try {
        await clock.sleep(backoff.next(), signal);
      } catch {
        return;
      }
    }
  }

  return {
    resource: client.resource,
    get: (namespace, name) => objects.get(namespace === "" ? name : `${namespace}/${name}`),
    getByKey: (key) => objects.get(key),
    list: (namespace = "") => [...(namespace === "" ? objects : byNamespace.get(namespace) ?? new Map<string, T>()).values()],
    byIndex: (index, value) => [...(indexes.get(index)?.values.get(value)?.values() ?? [])],
    addHandler(handler) {
      handlers = [...handlers, handler];
      for (const object of objects.values()) handler.add?.(object);
      return () => {
        handlers = handlers.filter((h) => h !== handler);
      };
    },
    addIndex(name, of) {
      if (indexes.has(name)) return;
      const values = new Map<string, Map<string, T>>();
      for (const [key, object] of objects) for (const value of of(object)) into(values, value, key, object);
      indexes.set(name, { of, values });
    },
    start(signal) {
      if (started) return;
      started = true;
      void run(signal);
    },
    hasSynced: () => hasSynced,
    synced,
  };
}

/** The shared informers of one process: each resource at most once, made when first asked for. */
export interface Informers {
  informer<K extends keyof Kinds>(kind: K): Informer<Kinds[K]>;
  /** Starts all that were asked for so far. */
  start(signal: AbortSignal): void;
  /** Resolves when all that were started have synced. */
  waitForSync(): Promise<void>;
}

export function createInformers(client: Client, options: InformerOptions): Informers {
  const made = new Map<string, Informer<KubeObject>>();
  return {
    informer(kind) {
      let informer = made.get(kind);
      if (informer === undefined) {
        informer = createInformer(client[kind] as unknown as ResourceClient<KubeObject>, options);
        informer.addIndex(BY_OWNER, (object) => object.metadata.ownerReferences?.map((ref) => ref.uid) ?? NONE);
        if (kind === "pods") informer.addIndex(BY_NODE, nodeNameOf);
        made.set(kind, informer);
      }
      return informer as never;
    },
    start(signal) {
      // Each informer has a signal of its own, so that many of them cost the caller's one listener.
      const stops: AbortController[] = [];
      for (const informer of made.values()) {
        const stop = new AbortController();
        stops.push(stop);
        informer.start(stop.signal);
      }
      const abort = (): void => {
        for (const stop of stops) stop.abort(signal.reason);
      };
      if (signal.aborted) abort();
      else signal.addEventListener("abort", abort, { once: true });
    },
    async waitForSync() {
      await Promise.all([...made.values()].map((informer) => informer.synced));
    },
  };
}

const NONE: readonly string[] = [];

function nodeNameOf(object: KubeObject): readonly string[] {
  const { nodeName } = (object as unknown as { spec: { nodeName?: string } }).spec;
  return nodeName === undefined ? NONE : [nodeName];
}
