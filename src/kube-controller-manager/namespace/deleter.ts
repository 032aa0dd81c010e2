/**
 * The namespace controller of a complete cluster: it asks the server what there is, so that custom resources go, too, and tells by
 * conditions what is in the way. Follows pkg/controller/namespace (namespace_controller.go, deletion/namespaced_resources_deleter.go,
 * deletion/status_condition_utils.go).
 */
import type { Namespace } from "../../api/types.generated.ts";
import { keyOf, type KubeObject } from "../../apimachinery/meta.ts";
import { ApiError, isConflict, isNotFound } from "../../apimachinery/status.ts";
import { formatTime, parseTime } from "../../apimachinery/time.ts";
import { done, requeueAfter, type Controller } from "../../client/controller.ts";
import { discover, type ServedResource } from "../../client/discovery.ts";
import type { ControllerContext } from "../controller-context.ts";

/** So long a deletion waits for creations that were on their way (namespaceDeletionGracePeriod). */
const GRACE_MS = 5000;
/** How long something with finalizers is thought to take (finalizerEstimateSeconds). */
const FINALIZER_SECONDS = 15;
const RETRIES_MAX = 5;

type Condition = NonNullable<Namespace["status"]["conditions"]>[number];

const OK: readonly (readonly [type: string, reason: string, message: string])[] = [
  ["NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"],
  ["NamespaceDeletionGroupVersionParsingFailure", "ParsedGroupVersions", "All legacy kube types successfully parsed"],
  ["NamespaceDeletionContentFailure", "ContentDeleted", "All content successfully deleted, may be waiting on finalization"],
  ["NamespaceContentRemaining", "ContentRemoved", "All content successfully removed"],
  ["NamespaceFinalizersRemaining", "ContentHasNoFinalizers", "All content-preserving finalizers finished"],
];

/** What is in the way, by type of condition. */
type Failing = Readonly<Record<string, readonly [reason: string, message: string]>>;

/** The conditions with what is in the way now; the same list when nothing changed. Follows updateConditions. */
export function planConditions(old: readonly Condition[], failing: Failing, time: string): readonly Condition[] {
  let changed = false;
  const out = [...old];
  for (const [type, okReason, okMessage] of OK) {
    const wrong = failing[type];
    const [status, reason, message] = wrong === undefined ? ["False", okReason, okMessage] : ["True", ...wrong];
    const at = out.findIndex((c) => c.type === type);
    const was = out[at];
    if (was !== undefined && was.status === status && was.reason === reason && was.message === message) continue;
    const lastTransitionTime = was !== undefined && was.status === status ? was.lastTransitionTime! : time;
    changed = true;
    const next = { type, status: status!, lastTransitionTime, reason: reason!, message: message! } as Condition;
    if (at < 0) out.push(next);
    else out[at] = next;
  }
  return changed ? out : old;
}

/** What the content that is left says. Follows ProcessContentTotals. */
export function describeRemaining(remaining: ReadonlyMap<string, number>, finalizers: ReadonlyMap<string, number>): Failing {
  const listed = (map: ReadonlyMap<string, number>, verb: string): string => [...map].map(([name, n]) => `${name} ${verb} ${n} resource instances`).sort().join(", ");
  return {
    ...(remaining.size === 0 ? {} : { NamespaceContentRemaining: ["SomeResourcesRemain", `Some resources are remaining: ${listed(remaining, "has")}`] as const }),
    ...(finalizers.size === 0 ? {} : { NamespaceFinalizersRemaining: ["SomeFinalizersRemain", `Some content in the namespace has finalizers remaining: ${listed(finalizers, "in")}`] as const }),
  };
}

interface Left {
  readonly count: number;
  readonly finalizers: ReadonlyMap<string, number>;
  readonly estimateSeconds: number;
  readonly error?: string;
}

const NOTHING: Left = { count: 0, finalizers: new Map(), estimateSeconds: 0 };

export function newNamespaceDeleter({ client, clock, informers, transport }: ControllerContext): Controller {
  const namespaces = informers.informer("namespaces");

  /** How long pods that are stopping may yet take. Follows estimateGracefulTermination. */
  async function podsEstimate(namespace: string, deletedMs: number, signal: AbortSignal): Promise<number> {
    let seconds = 0;
    for (const { spec, status } of (await client.pods.list(namespace, {}, signal)).items)
      if (status.phase !== "Succeeded" && status.phase !== "Failed") seconds = Math.max(seconds, spec.terminationGracePeriodSeconds ?? 0);
    return clock.nowMs() - deletedMs >= seconds * 1000 ? 0 : seconds;
  }

  /** Follows deleteAllContentForGroupVersionResource. */
  async function empty(resource: ServedResource, namespace: string, deletedMs: number, signal: AbortSignal): Promise<Left> {
    const target = client.resource<KubeObject>(resource);
    const estimateSeconds = resource.group === "" && resource.resource === "pods" ? await podsEstimate(namespace, deletedMs, signal) : 0;
    if (resource.verbs.includes("deletecollection")) await target.deleteCollection(namespace, {}, { propagationPolicy: "Background" }, signal);
    else if (resource.verbs.includes("list"))
      for (const { metadata } of (await target.list(namespace, {}, signal)).items) {
        try {
          await target.delete(namespace, metadata.name, { propagationPolicy: "Background" }, signal);
        } catch (e) {
          if (!isNotFound(e)) throw e;
        }
      }
    if (!resource.verbs.includes("list")) return NOTHING;
    const { items } = await target.list(namespace, {}, signal);
    if (items.length === 0) return NOTHING;
    const finalizers = new Map<string, number>();
    for (const { metadata } of items) for (const finalizer of metadata.finalizers ?? []) finalizers.set(finalizer, (finalizers.get(finalizer) ?? 0) + 1);
    const left = { count: items.length, finalizers };
    if (estimateSeconds > 0) return { ...left, estimateSeconds };
    if (finalizers.size > 0) return { ...left, estimateSeconds: FINALIZER_SECONDS };
    const gvr = `${resource.group}/${resource.version}, Resource=${resource.resource}`;
    return { ...left, estimateSeconds: 0, error: `unexpected items still remain in namespace: ${namespace} for gvr: ${gvr}` };
  }

  /** Deletes what there is, and writes what is left into the status. The estimate in seconds; 0: all is gone. Follows deleteAllContent. */
  async function emptyAll(namespace: Namespace & KubeObject, signal: AbortSignal): Promise<number> {
    const deletedMs = parseTime(namespace.metadata.deletionTimestamp!)!;
    const failing: Record<string, readonly [string, string]> = {};
    const errors: string[] = [];
    const { resources, failed } = await discover(transport, "kube-controller-manager", signal);
    if (failed.length > 0) {
      const groups = failed.map((gv) => `${gv}: stale GroupVersion discovery: ${gv}`).join(", ");
      failing["NamespaceDeletionDiscoveryFailure"] = ["DiscoveryFailed", `Discovery failed for some groups, ${failed.length} failing: unable to retrieve the complete list of server APIs: ${groups}`];
      errors.push(`unable to retrieve the complete list of server APIs: ${groups}`);
    }
    let estimate = 0;
    const remaining = new Map<string, number>();
    const finalizers = new Map<string, number>();
    const contentErrors: string[] = [];
    for (const resource of resources) {
      if (!resource.namespaced || !resource.verbs.includes("delete")) continue;
      let left: Left;
      try {
        left = await empty(resource, namespace.metadata.name, deletedMs, signal);
      } catch (e) {
        if (!(e instanceof ApiError) || signal.aborted) throw e;
        // A kind that went meanwhile has nothing left.
        left = e.code === 404 || e.code === 405 ? NOTHING : { ...NOTHING, error: e.message };
      }
      if (left.error !== undefined) contentErrors.push(left.error);
      estimate = Math.max(estimate, left.estimateSeconds);
      if (left.count > 0) remaining.set(`${resource.resource}.${resource.group}`, left.count);
      for (const [finalizer, n] of left.finalizers) finalizers.set(finalizer, (finalizers.get(finalizer) ?? 0) + n);
    }
    if (contentErrors.length > 0) {
      const all = contentErrors.length === 1 ? contentErrors[0]! : `[${contentErrors.join(", ")}]`;
      failing["NamespaceDeletionContentFailure"] = ["ContentDeletionFailed", `Failed to delete all resource types, ${contentErrors.length} remaining: ${all}`];
      errors.push(...contentErrors);
    }
    Object.assign(failing, describeRemaining(remaining, finalizers));
    const old = namespace.status.conditions ?? [];
    const conditions = planConditions(old, failing, formatTime(clock.nowMs()));
    if (conditions !== old) await client.namespaces.updateStatus({ ...namespace, status: { ...namespace.status, conditions: [...conditions] } }, signal);
    if (errors.length > 0) throw new Error(errors.length === 1 ? errors[0] : `[${errors.join(", ")}]`);
    return estimate;
  }

  async function finalize(name: string, signal: AbortSignal): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      const namespace = await client.namespaces.get("", name, signal);
      const finalizers = (namespace.spec.finalizers ?? []).filter((f) => f !== "kubernetes");
      try {
        await client.namespaces.subresource("PUT", "", name, "finalize", { ...namespace, spec: { ...namespace.spec, finalizers } }, signal);
        return;
      } catch (e) {
        if (!isConflict(e) || attempt >= RETRIES_MAX) throw e;
      }
    }
  }

  return {
    name: "namespace-controller",
    workers: 10,
    setup(queue) {
      const enqueue = (namespace: Namespace & KubeObject): void => {
        if (namespace.metadata.deletionTimestamp !== undefined) queue.addAfter(keyOf(namespace), GRACE_MS);
      };
      namespaces.addHandler({ add: enqueue, update: (namespace) => enqueue(namespace) });
    },
    async reconcile(key, signal) {
      try {
        const namespace = await client.namespaces.get("", key, signal);
        if (namespace.metadata.deletionTimestamp === undefined || (namespace.spec.finalizers ?? []).length === 0) return done;
        const estimate = await emptyAll(namespace, signal);
        if (estimate > 0) return requeueAfter((Math.floor(estimate / 2) + 1) * 1000);
        await finalize(key, signal);
      } catch (e) {
        if (!isNotFound(e)) throw e;
      }
      return done;
    },
  };
}
