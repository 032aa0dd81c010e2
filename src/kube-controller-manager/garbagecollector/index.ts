/**
 * The garbage collector: dependents without owners go; the orphan and foregroundDeletion finalizers are served.
 * Follows pkg/controller/garbagecollector (garbagecollector.go: attemptToDeleteItem, attemptToOrphanWorker).
 */
import { RESOURCES, resourceFor } from "../../api/resources.ts";
import type { Kinds } from "../../api/resources.ts";
import type { OwnerReference } from "../../api/types.generated.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import { keyOf, splitKey } from "../../apimachinery/meta.ts";
import { isConflict, isNotFound } from "../../apimachinery/status.ts";
import { done } from "../../client/controller.ts";
import type { Controller } from "../../client/controller.ts";
import type { ResourceClient } from "../../client/client.ts";
import { BY_OWNER } from "../../client/informer.ts";
import type { Informer } from "../../client/informer.ts";
import type { ControllerContext } from "../controller-context.ts";

/** The kinds whose objects own or are owned here. */
const WATCHED = ["deployments", "replicaSets", "pods", "services", "endpointSlices", "nodes", "leases", "configMaps", "secrets"] as const satisfies readonly (keyof Kinds)[];

export function newGarbageCollector({ client, informers }: ControllerContext): Controller {
  const watched = WATCHED.map((kind) => ({ kind, informer: informers.informer(kind) as unknown as Informer<KubeObject>, client: client[kind] as unknown as ResourceClient<KubeObject> }));
  const byKind = new Map(watched.map((w) => [w.kind as string, w]));
  /** The uids of all objects that are there, to tell absent owners without asking. */
  const alive = new Set<string>();

  const dependentsOf = (uid: string): { kind: string; object: KubeObject }[] =>
    watched.flatMap(({ kind, informer }) => informer.byIndex(BY_OWNER, uid).map((object) => ({ kind, object })));

  /** Whether the owner is really gone: the live object, with the very uid. */
  async function isAbsent(ref: OwnerReference, namespace: string, signal: AbortSignal): Promise<boolean> {
    if (alive.has(ref.uid)) return false;
    const resource = resourceFor(ref.apiVersion, ref.kind);
    // Kinds that are not served cannot be judged: their dependents stay.
    if (resource === undefined) return false;
    try {
      const owner = await client.resource(resource).get(resource.namespaced ? namespace : "", ref.name, signal);
      return owner.metadata.uid !== ref.uid;
    } catch (e) {
      if (isNotFound(e)) return true;
      throw e;
    }
  }

  async function orphan(item: { client: ResourceClient<KubeObject> }, object: KubeObject, signal: AbortSignal): Promise<void> {
    for (const { kind, object: dependent } of dependentsOf(object.metadata.uid)) {
      const ownerReferences = (dependent.metadata.ownerReferences ?? []).filter((ref) => ref.uid !== object.metadata.uid);
      try {
        await byKind.get(kind)!.client.patch(dependent.metadata.namespace ?? "", dependent.metadata.name, "merge",
          { metadata: { uid: dependent.metadata.uid, ownerReferences: ownerReferences.length > 0 ? ownerReferences : null } }, undefined, signal);
      } catch (e) {
        if (!isNotFound(e) && !isConflict(e)) throw e;
      }
    }
    await removeFinalizer(item, object, "orphan", signal);
  }

  /** Dependents that block go first; without any left, the owner may go. Follows processDeletingDependentsItem. */
  async function foreground(item: { client: ResourceClient<KubeObject> }, object: KubeObject, signal: AbortSignal): Promise<void> {
    const blocking = dependentsOf(object.metadata.uid).filter(({ object: d }) => d.metadata.ownerReferences?.some((ref) => ref.uid === object.metadata.uid && ref.blockOwnerDeletion === true));
    if (blocking.length === 0) {
      await removeFinalizer(item, object, "foregroundDeletion", signal);
      return;
    }
    for (const { kind, object: dependent } of blocking) {
      if (dependent.metadata.deletionTimestamp !== undefined) continue;
      await remove(byKind.get(kind)!.client, dependent, "Foreground", signal);
    }
  }

  async function removeFinalizer(item: { client: ResourceClient<KubeObject> }, object: KubeObject, finalizer: string, signal: AbortSignal): Promise<void> {
    const finalizers = (object.metadata.finalizers ?? []).filter((f) => f !== finalizer);
    try {
      await item.client.patch(object.metadata.namespace ?? "", object.metadata.name, "merge",
        { metadata: { resourceVersion: object.metadata.resourceVersion, finalizers: finalizers.length > 0 ? finalizers : null } }, undefined, signal);
    } catch (e) {
      if (!isNotFound(e)) throw e;
    }
  }

  async function remove(target: ResourceClient<KubeObject>, object: KubeObject, propagationPolicy: "Background" | "Foreground" | "Orphan", signal: AbortSignal): Promise<void> {
    try {
      await target.delete(object.metadata.namespace ?? "", object.metadata.name, { propagationPolicy, preconditions: { uid: object.metadata.uid } }, signal);
    } catch (e) {
      if (!isNotFound(e) && !isConflict(e)) throw e;
    }
  }

  return {
    name: "garbage-collector-controller",
    setup(queue) {
      for (const { kind, informer } of watched) {
        const enqueue = (object: KubeObject): void => queue.add(`${kind}:${keyOf(object)}`);
        const needsWork = (object: KubeObject): boolean =>
          object.metadata.ownerReferences?.some((ref) => !alive.has(ref.uid)) === true ||
          (object.metadata.deletionTimestamp !== undefined && object.metadata.finalizers?.some((f) => f === "orphan" || f === "foregroundDeletion") === true);
        informer.addHandler({
          add(object) {
            alive.add(object.metadata.uid);
            if (needsWork(object)) enqueue(object);
          },
          update(object, old) {
            if (object.metadata.uid !== old.metadata.uid) {
              alive.delete(old.metadata.uid);
              alive.add(object.metadata.uid);
            }
            if (needsWork(object)) enqueue(object);
          },
          delete(object) {
            alive.delete(object.metadata.uid);
            for (const dependent of dependentsOf(object.metadata.uid)) queue.add(`${dependent.kind}:${keyOf(dependent.object)}`);
            // An owner in foreground deletion may wait for this one.
            for (const ref of object.metadata.ownerReferences ?? []) {
              const resource = resourceFor(ref.apiVersion, ref.kind);
              const owner = WATCHED.find((k) => RESOURCES[k] === resource);
              if (owner !== undefined) queue.add(`${owner}:${resource!.namespaced ? `${object.metadata.namespace}/` : ""}${ref.name}`);
            }
          },
        });
      }
    },

    async reconcile(key, signal) {
      const colon = key.indexOf(":");
      const item = byKind.get(key.slice(0, colon))!;
      const { namespace, name } = splitKey(key.slice(colon + 1));
      const object = item.informer.get(namespace, name);
      if (object === undefined) return done;
      const { metadata } = object;
      if (metadata.deletionTimestamp !== undefined) {
        if (metadata.finalizers?.includes("orphan") === true) await orphan(item, object, signal);
        else if (metadata.finalizers?.includes("foregroundDeletion") === true) await foreground(item, object, signal);
        return done;
      }
      const refs = metadata.ownerReferences ?? [];
      if (refs.length === 0) return done;
      const absent: OwnerReference[] = [];
      for (const ref of refs) if (await isAbsent(ref, namespace, signal)) absent.push(ref);
      if (absent.length === 0) return done;
      if (absent.length < refs.length) {
        // Some owners are left: only the dangling references go.
        const gone = new Set(absent.map((ref) => ref.uid));
        await item.client.patch(namespace, name, "merge", { metadata: { uid: metadata.uid, ownerReferences: refs.filter((ref) => !gone.has(ref.uid)) } }, undefined, signal);
        return done;
      }
      const policy = metadata.finalizers?.includes("orphan") === true ? "Orphan" : metadata.finalizers?.includes("foregroundDeletion") === true ? "Foreground" : "Background";
      await remove(item.client, object, policy, signal);
      return done;
    },
  };
}
