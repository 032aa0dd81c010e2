/**
 * The status of quotas: what there is now, counted anew. Follows pkg/controller/resourcequota/resource_quota_controller.go and
 * resource_quota_monitor.go: a deletion, or a change that gives something back, has the quotas of its namespace counted again.
 */
import { ALL_RESOURCES } from "../../api/more-resources.ts";
import type { Kinds, ResourceName } from "../../api/resources.ts";
import type { Pod, ResourceQuota, Service } from "../../api/types.generated.ts";
import { keyOf, type KubeObject } from "../../apimachinery/meta.ts";
import { ApiError, isNotFound } from "../../apimachinery/status.ts";
import { parseTime } from "../../apimachinery/time.ts";
import { done, requeueAfter, type Controller } from "../../client/controller.ts";
import { discover } from "../../client/discovery.ts";
import type { WorkQueue } from "../../client/workqueue.ts";
import { countName, evaluatorFor, scopesOf } from "../../quota/evaluators.ts";
import { add, inOrder, mask, removeZeros, sameList, subtract, type ResourceList } from "../../quota/resource-list.ts";
import type { ControllerContext } from "../controller-context.ts";
import type { ControllerSettings } from "../initializers.ts";

/** Every quota is counted again so often (`--resource-quota-sync-period`). */
const RESYNC_MS = 300_000;
/** Kinds that quotas have names of their own for; they are watched. */
const WATCHED: readonly (keyof Kinds)[] = ["pods", "services", "persistentVolumeClaims", "configMaps", "secrets", "replicationControllers", "resourceQuotas"];

type Quota = ResourceQuota & KubeObject;

export function newResourceQuotaController(context: ControllerContext, { resourceQuotaSyncPeriodMs = RESYNC_MS }: ControllerSettings): Controller {
  const { client, clock, informers, transport } = context;
  const quotas = informers.informer("resourceQuotas");
  /** The counts that quotas have names for, by the resource of each that is served now. */
  let served = new Map<string, ResourceName>();

  async function refresh(signal: AbortSignal): Promise<void> {
    const { resources } = await discover(transport, "kube-controller-manager", signal);
    served = new Map(resources.filter(({ namespaced, verbs }) => namespaced && verbs.includes("list")).map((resource) => [countName(resource), resource]));
  }

  /** The resources that the quota's names are about. */
  async function resourcesOf(hard: ResourceList, signal: AbortSignal): Promise<ResourceName[]> {
    const names = Object.keys(hard);
    const out = WATCHED.map((kind) => ALL_RESOURCES[kind]).filter((resource) => evaluatorFor(resource).matching(names).length > 0);
    const counts = names.filter((name) => name.startsWith("count/"));
    if (counts.some((name) => !served.has(name))) await refresh(signal);
    for (const name of counts) {
      const resource = served.get(name);
      if (resource !== undefined && !out.some((o) => countName(o) === name)) out.push(resource);
    }
    return out;
  }

  async function objectsOf(resource: ResourceName, namespace: string, signal: AbortSignal): Promise<readonly KubeObject[]> {
    const kind = WATCHED.find((known) => ALL_RESOURCES[known] === resource);
    if (kind !== undefined) return informers.informer(kind).list(namespace) as readonly KubeObject[];
    try {
      return (await client.resource<KubeObject>(resource).list(namespace, {}, signal)).items;
    } catch (e) {
      // The kind went.
      if (e instanceof ApiError && e.code === 404) return [];
      throw e;
    }
  }

  /** Follows quota.CalculateUsage. */
  async function usageOf(quota: Quota, signal: AbortSignal): Promise<ResourceList> {
    const hard = quota.spec.hard ?? {};
    const names = Object.keys(hard);
    const scopes = scopesOf(quota);
    let used: ResourceList = {};
    const matched = new Set<string>();
    for (const resource of await resourcesOf(hard, signal)) {
      const evaluator = evaluatorFor(resource);
      const own = evaluator.matching(names);
      for (const name of own) {
        matched.add(name);
        used = { ...used, [name]: used[name] ?? "0" };
      }
      const now = clock.nowMs();
      for (const object of await objectsOf(resource, quota.metadata.namespace!, signal))
        if (scopes.every((scope) => evaluator.inScope(scope, object))) used = add(used, mask(evaluator.usage(object, now), own));
    }
    return mask(used, [...matched]);
  }

  const enqueueNamespace = (queue: WorkQueue, namespace: string): void => {
    for (const quota of quotas.list(namespace)) queue.add(keyOf(quota));
  };

  return {
    name: "resourcequota-controller",
    setup(queue) {
      quotas.addHandler({
        add: (quota) => queue.add(keyOf(quota)),
        update(quota, old) {
          // The status alone is our own writing, or admission's.
          if (!sameList(quota.spec.hard ?? {}, old.spec.hard ?? {})) queue.add(keyOf(quota));
        },
      });
      for (const kind of WATCHED) {
        const evaluator = evaluatorFor(ALL_RESOURCES[kind]);
        informers.informer(kind).addHandler({
          delete: (object) => enqueueNamespace(queue, object.metadata.namespace!),
          update(object, old) {
            if (quotas.list(object.metadata.namespace).length === 0 || !givesBack(kind, object as KubeObject, old as KubeObject)) return;
            const now = clock.nowMs();
            if (Object.keys(removeZeros(subtract(evaluator.usage(old as KubeObject, now), evaluator.usage(object as KubeObject, now)))).length > 0) enqueueNamespace(queue, object.metadata.namespace!);
            else if (kind === "pods") afterGrace(queue, object as Pod & KubeObject, now);
          },
        });
      }
    },
    async reconcile(key, signal) {
      const quota = quotas.getByKey(key);
      if (quota === undefined) return done;
      const hard = quota.spec.hard ?? {};
      const used = await usageOf(quota, signal);
      const { hard: wasHard = {}, used: wasUsed = {} } = quota.status ?? {};
      if (!sameList(hard, wasHard) || !sameList(used, wasUsed)) {
        try {
          await client.resourceQuotas.updateStatus({ ...quota, status: { hard: inOrder(hard), used: inOrder(used) } }, signal);
        } catch (e) {
          if (!isNotFound(e)) throw e;
        }
      }
      return requeueAfter(resourceQuotaSyncPeriodMs);
    },
  };

  /** A pod that outlives its grace period counts no more. */
  function afterGrace(queue: WorkQueue, { metadata }: Pod & KubeObject, nowMs: number): void {
    if (metadata.deletionTimestamp === undefined) return;
    const until = parseTime(metadata.deletionTimestamp)! + (metadata.deletionGracePeriodSeconds ?? 0) * 1000;
    for (const quota of quotas.list(metadata.namespace)) queue.addAfter(keyOf(quota), until - nowMs + 1);
  }
}

/** Whether the change may give something back. Follows DefaultUpdateFilter. */
function givesBack(kind: keyof Kinds, object: KubeObject, old: KubeObject): boolean {
  if (kind === "pods") {
    const [pod, was] = [object as Pod & KubeObject, old as Pod & KubeObject];
    const ended = (of: Pod): boolean => of.status.phase === "Failed" || of.status.phase === "Succeeded";
    return (ended(pod) && !ended(was)) || (pod.metadata.deletionTimestamp !== undefined && was.metadata.deletionTimestamp === undefined);
  }
  if (kind === "services") return (object as Service & KubeObject).spec.type !== (old as Service & KubeObject).spec.type;
  return kind === "persistentVolumeClaims";
}
