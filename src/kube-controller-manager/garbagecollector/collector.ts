/**
 * The garbage collector of a complete cluster: objects of every kind that is served, custom ones included, whose owners are gone.
 * Follows pkg/controller/garbagecollector/garbagecollector.go and operations.go.
 */
import { ALL_RESOURCES } from "../../api/more-resources.ts";
import { apiVersionOf, type Kinds, type ResourceName } from "../../api/resources.ts";
import type { OwnerReference } from "../../api/types.generated.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import { isConflict, isNotFound } from "../../apimachinery/status.ts";
import { done, requeueAfter, type Controller, type Result } from "../../client/controller.ts";
import { discover, type ServedResource } from "../../client/discovery.ts";
import { createInformer, type Informer } from "../../client/informer.ts";
import type { WorkQueue } from "../../client/workqueue.ts";
import type { ControllerContext } from "../controller-context.ts";
import { createGraph, FOREGROUND, identityOf, ORPHAN, printIdentity, type GraphNode, type Identity } from "./graph.ts";

/** Key of the queue under which discovery is looked at again. */
const SYNC = "sync";
const RESYNC_MS = 30_000;
/** How many owners that are known to be absent are remembered (the absentOwnerCache's 500). */
const ABSENT_MAX = 500;
const WORKERS = 20;
const BACKOFF_MS = { first: 5, most: 1_000_000 };

interface Monitor {
  readonly resource: ResourceName;
  stop(): void;
}

/** Kinds that are not collected: events (DefaultIgnoredResources), and what is never stored. */
const isMonitored = ({ resource, verbs }: ServedResource): boolean => resource !== "events" && ["delete", "list", "watch"].every((verb) => verbs.includes(verb));
/** Shared informers are there for these, and need no watch of their own. */
const SHARED = new Map(Object.entries(ALL_RESOURCES).map(([kind, resource]) => [`${resource.group}/${resource.resource}`, kind as keyof Kinds]));
const NOT_STORED = new Set<string>(["events", "bindings"]);

const coordinates = ({ apiVersion, kind, name, uid }: OwnerReference, namespace: string): string => printIdentity({ apiVersion, kind, name, uid, namespace });

export function newGarbageCollectorByDiscovery(context: ControllerContext): Controller {
  const { client, clock, informers, log, random, transport } = context;
  const recorder = context.recorder("garbage-collector-controller");
  const absent = new Set<string>();
  const monitors = new Map<string, Monitor>();
  const failures = new Map<string, number>();
  /** What is served, by `apiVersion/kind`. */
  let served = new Map<string, ServedResource>();
  let queue!: WorkQueue;

  const graph = createGraph({
    attemptToDelete: ({ identity }) => queue.add(`d:${identity.uid}`),
    attemptToOrphan: ({ identity }) => queue.add(`o:${identity.uid}`),
    invalidNamespace({ identity }, { apiVersion, kind, name, uid }) {
      const about = { apiVersion: identity.apiVersion, kind: identity.kind, metadata: { name: identity.name, uid: identity.uid, ...(identity.namespace === "" ? {} : { namespace: identity.namespace }) } } as KubeObject;
      const ref = printIdentity({ apiVersion, kind, name, uid, namespace: identity.namespace });
      recorder.event(about, "Warning", "OwnerRefInvalidNamespace", `ownerRef ${ref} does not exist in namespace ${JSON.stringify(identity.namespace)}`);
    },
    absent: (identity) => remember(printIdentity(identity)),
  });

  function remember(owner: string): void {
    absent.delete(owner);
    absent.add(owner);
    if (absent.size > ABSENT_MAX) for (const oldest of absent) {
      absent.delete(oldest);
      break;
    }
  }

  /** Hears of all objects of a resource. */
  function listen(resource: ResourceName, informer: Informer<KubeObject>): () => void {
    const of = { apiVersion: apiVersionOf(resource), kind: resource.kind };
    return informer.addHandler({
      add: (object) => graph.put(identityOf(of, object), object, undefined),
      update(object, old) {
        // A deletion and a creation under the same name in one.
        if (object.metadata.uid !== old.metadata.uid) graph.delete(identityOf(of, old));
        graph.put(identityOf(of, object), object, object.metadata.uid === old.metadata.uid ? old : undefined);
      },
      delete: (object) => graph.delete(identityOf(of, object)),
    });
  }

  /** Follows resyncMonitors: one monitor for every kind that is served. */
  async function sync(signal: AbortSignal): Promise<void> {
    const { resources } = await discover(transport, "kube-controller-manager", signal);
    served = new Map(resources.map((resource) => [`${apiVersionOf(resource)}/${resource.kind}`, resource]));
    const wanted = new Map(resources.filter(isMonitored).map((resource) => [`${apiVersionOf(resource)}/${resource.resource}`, resource]));
    for (const [key, monitor] of monitors) {
      if (wanted.has(key)) continue;
      monitor.stop();
      monitors.delete(key);
    }
    for (const [key, resource] of wanted) {
      if (monitors.has(key) || SHARED.has(`${resource.group}/${resource.resource}`)) continue;
      const stop = new AbortController();
      const informer = createInformer(client.resource<KubeObject>(resource), { clock, random, log });
      listen(resource, informer);
      informer.start(stop.signal);
      if (signal.aborted) stop.abort(signal.reason);
      else signal.addEventListener("abort", () => stop.abort(signal.reason), { once: true });
      monitors.set(key, { resource, stop: () => stop.abort(new Error("the kind is not served any more")) });
    }
  }

  /** The kind's resource. Throws when it is not served: the item is tried again. Follows apiResource. */
  async function resourceOf(apiVersion: string, kind: string): Promise<ServedResource> {
    const found = served.get(`${apiVersion}/${kind}`);
    if (found !== undefined) return found;
    throw new Unmapped(`unable to get REST mapping for ${apiVersion}/${kind}.`);
  }

  async function getObject({ apiVersion, kind, name, namespace }: Identity, signal: AbortSignal): Promise<KubeObject | undefined> {
    const resource = await resourceOf(apiVersion, kind);
    if (resource.namespaced && namespace === "") throw new NamespacedOwner();
    try {
      return await client.resource<KubeObject>(resource).get(resource.namespaced ? namespace : "", name, signal);
    } catch (e) {
      if (isNotFound(e)) return undefined;
      throw e;
    }
  }

  /** The owner, or undefined when the reference leads nowhere. Follows isDangling. */
  async function ownerOf(ref: OwnerReference, item: GraphNode, signal: AbortSignal): Promise<KubeObject | undefined> {
    const { namespace } = item.identity;
    if (absent.has(coordinates(ref, "")) || absent.has(coordinates(ref, namespace))) return undefined;
    const resource = await resourceOf(ref.apiVersion, ref.kind);
    const { apiVersion, kind, name, uid } = ref;
    const owner = await getObject({ apiVersion, kind, name, uid, namespace }, signal);
    if (owner !== undefined && owner.metadata.uid === uid) return owner;
    remember(coordinates(ref, resource.namespaced ? namespace : ""));
    return undefined;
  }

  async function patch({ identity }: GraphNode, metadata: Record<string, unknown>, signal: AbortSignal): Promise<void> {
    const resource = await resourceOf(identity.apiVersion, identity.kind);
    await client.resource<KubeObject>(resource).patch(identity.namespace, identity.name, "merge", { metadata: { uid: identity.uid, ...metadata } }, undefined, signal);
  }

  async function deleteObject({ identity }: GraphNode, latest: KubeObject, propagationPolicy: "Background" | "Foreground" | "Orphan", signal: AbortSignal): Promise<void> {
    const resource = await resourceOf(identity.apiVersion, identity.kind);
    // Somebody may have made it someone's own meanwhile.
    const preconditions = { uid: identity.uid, ...(latest.metadata.ownerReferences === undefined ? {} : { resourceVersion: latest.metadata.resourceVersion }) };
    await client.resource<KubeObject>(resource).delete(identity.namespace, identity.name, { propagationPolicy, preconditions }, signal);
  }

  /** Follows removeFinalizer. */
  async function removeFinalizer(owner: GraphNode, finalizer: string, signal: AbortSignal): Promise<void> {
    for (let attempt = 0; attempt < 5; attempt++) {
      const object = await getObject(owner.identity, signal);
      if (object === undefined || object.metadata.uid !== owner.identity.uid) return;
      const finalizers = object.metadata.finalizers ?? [];
      if (!finalizers.includes(finalizer)) return;
      const left = finalizers.filter((f) => f !== finalizer);
      try {
        await patch(owner, { resourceVersion: object.metadata.resourceVersion, finalizers: left.length > 0 ? left : null }, signal);
        return;
      } catch (e) {
        if (isNotFound(e)) return;
        if (!isConflict(e)) throw e;
      }
    }
    throw new Error(`updateMaxRetries(5) has reached. The garbage collector will retry later for owner ${printIdentity(owner.identity)}.`);
  }

  const withoutOwners = (object: KubeObject, uids: ReadonlySet<string>): OwnerReference[] | null => {
    const left = (object.metadata.ownerReferences ?? []).filter(({ uid }) => !uids.has(uid));
    return left.length > 0 ? left : null;
  };

  /** Follows attemptToOrphan. */
  async function orphan(owner: GraphNode, signal: AbortSignal): Promise<void> {
    for (const dependent of [...owner.dependents]) {
      try {
        const latest = await getObject(dependent.identity, signal);
        if (latest === undefined || latest.metadata.uid !== dependent.identity.uid) continue;
        await patch(dependent, { resourceVersion: latest.metadata.resourceVersion, ownerReferences: withoutOwners(latest, new Set([owner.identity.uid])) }, signal);
      } catch (e) {
        if (!isNotFound(e)) throw e;
      }
    }
    await removeFinalizer(owner, ORPHAN, signal);
  }

  /** Follows attemptToDeleteItem. */
  async function collect(item: GraphNode, signal: AbortSignal): Promise<void> {
    if (item.beingDeleted && !item.deletingDependents) return;
    const { identity } = item;
    const latest = await getObject(identity, signal);
    if (latest === undefined || latest.metadata.uid !== identity.uid) {
      // What is in the graph is gone, or never was.
      graph.deleteVirtual(identity);
      return;
    }
    if (item.deletingDependents) {
      const blocking = [...item.dependents].filter((dependent) => dependent.owners.some((ref) => ref.uid === identity.uid && ref.blockOwnerDeletion === true));
      if (blocking.length === 0) return removeFinalizer(item, FOREGROUND, signal);
      for (const dependent of blocking) if (!dependent.deletingDependents) queue.add(`d:${dependent.identity.uid}`);
      return;
    }
    const refs = latest.metadata.ownerReferences ?? [];
    if (refs.length === 0) return;
    let solid = 0;
    let waiting = 0;
    const unwanted = new Set<string>();
    for (const ref of refs) {
      const owner = await ownerOf(ref, item, signal);
      const waits = owner?.metadata.deletionTimestamp !== undefined && owner.metadata.finalizers?.includes(FOREGROUND) === true;
      if (owner !== undefined && !waits) solid++;
      else unwanted.add(ref.uid);
      if (waits) waiting++;
    }
    if (solid > 0) {
      if (unwanted.size > 0) await patch(item, { resourceVersion: latest.metadata.resourceVersion, ownerReferences: withoutOwners(latest, unwanted) }, signal);
    } else if (waiting > 0 && item.dependents.size > 0) {
      // Owners in a circle would wait for each other for ever.
      if ([...item.dependents].some((dependent) => dependent.deletingDependents)) await patch(item, { ownerReferences: refs.map((ref) => ({ ...ref, blockOwnerDeletion: false })) }, signal);
      const fresh = await getObject(identity, signal);
      if (fresh !== undefined && fresh.metadata.uid === identity.uid) await deleteObject(item, fresh, "Foreground", signal);
    } else {
      const finalizers = latest.metadata.finalizers ?? [];
      await deleteObject(item, latest, finalizers.includes(ORPHAN) ? "Orphan" : finalizers.includes(FOREGROUND) ? "Foreground" : "Background", signal);
    }
  }

  const later = (key: string): Result => {
    const count = failures.get(key) ?? 0;
    failures.set(key, count + 1);
    return requeueAfter(Math.min(BACKOFF_MS.first * 2 ** count, BACKOFF_MS.most));
  };

  return {
    name: "garbage-collector-controller",
    workers: WORKERS,
    setup(given) {
      queue = given;
      for (const [kind, resource] of Object.entries(ALL_RESOURCES)) {
        if (NOT_STORED.has(kind)) continue;
        const informer = informers.informer(kind as keyof Kinds) as unknown as Informer<KubeObject>;
        listen(resource, informer);
        if (kind === "customResourceDefinitions") informer.addHandler({ add: () => queue.add(SYNC), update: () => queue.add(SYNC), delete: () => queue.add(SYNC) });
      }
      queue.add(SYNC);
    },
    async reconcile(key, signal) {
      if (key === SYNC) {
        await sync(signal);
        return requeueAfter(RESYNC_MS);
      }
      const item = graph.node(key.slice(2));
      if (item === undefined) {
        failures.delete(key);
        return done;
      }
      try {
        if (key.startsWith("o:")) await orphan(item, signal);
        else await collect(item, signal);
      } catch (e) {
        if (e instanceof NamespacedOwner) return done;
        // The kind may yet be served, the object may have changed: both are tried again, quietly.
        if (e instanceof Unmapped || isConflict(e)) return later(key);
        if (!isNotFound(e)) throw e;
      }
      const left = graph.node(item.identity.uid);
      // An owner that is there, but that no watch has told of yet.
      if (key.startsWith("d:") && left?.virtual === true) return later(key);
      failures.delete(key);
      return done;
    },
  };
}

/** No such kind is served. */
class Unmapped extends Error {}
/** An object of the cluster's scope that names an owner in a namespace: which one cannot be known. */
class NamespacedOwner extends Error {}
