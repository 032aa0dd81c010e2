/**
 * ResourceQuota: what goes over a quota is refused, what does not is written into its status. Follows
 * k8s.io/apiserver/pkg/admission/plugin/resourcequota (admission.go, controller.go: CheckRequest).
 */
import type { ResourceQuota } from "../../../api/types.generated.ts";
import type { KubeObject } from "../../../apimachinery/meta.ts";
import { formatTime } from "../../../apimachinery/time.ts";
import { evaluatorFor, quotaMatches, type Evaluator } from "../../../quota/evaluators.ts";
import { add, exceeded, inOrder, mask, negative, prettyPrint, removeZeros, subtract, type ResourceList } from "../../../quota/resource-list.ts";
import type { AdmissionRequest } from "../../extension.ts";
import { updateManagedFields } from "../../managed-fields.ts";
import { forbidden, type AdmissionPlugin } from "./types.ts";

const RETRIES_MAX = 10;

type Quota = ResourceQuota & KubeObject;

/** What the request takes more than before. Follows the middle of CheckRequest. */
function deltaOf(request: AdmissionRequest, evaluator: Evaluator, nowMs: number): ResourceList {
  let delta = evaluator.usage(request.object!, nowMs);
  const below = negative(delta);
  if (below.length > 0) throw forbidden(request, `quota usage is negative for resource(s): ${below.join(",")}`);
  if (request.operation === "UPDATE") delta = subtract(delta, evaluator.usage(request.old!, nowMs));
  return removeZeros(delta);
}

/** The quota's usage after the request; undefined when the request does not concern it. */
function charge(request: AdmissionRequest, evaluator: Evaluator, quota: Quota, nowMs: number): ResourceList | undefined {
  if (!quotaMatches(quota, evaluator, request.object!)) return undefined;
  const { name } = quota.metadata;
  const { hard = {}, used = {} } = quota.status ?? {};
  const restricted = evaluator.matching(Object.keys(hard));
  const missing = evaluator.constraint(restricted, request.object!);
  if (missing !== undefined) throw forbidden(request, `failed quota: ${name}: ${missing}`);
  if (restricted.some((resource) => used[resource] === undefined)) throw forbidden(request, `status unknown for quota: ${name}, resources: ${[...restricted].sort().join(",")}`);
  const delta = mask(deltaOf(request, evaluator, nowMs), Object.keys(hard));
  const names = Object.keys(delta);
  if (names.length === 0) return undefined;
  const next = add(used, delta);
  const over = exceeded(mask(next, names), hard);
  if (over.length > 0)
    throw forbidden(request, `exceeded quota: ${name}, requested: ${prettyPrint(mask(delta, over))}, used: ${prettyPrint(mask(used, over))}, limited: ${prettyPrint(mask(hard, over))}`);
  return next;
}

const keyOf = ({ metadata }: Quota): string => `/registry/resourcequotas/${metadata.namespace}/${metadata.name}`;

/** The quota with another usage, as the API server's own client would write it. */
function withUsage(quota: Quota, used: ResourceList, time: string): KubeObject {
  const next = { ...quota, metadata: { ...quota.metadata }, status: { ...quota.status, used: inOrder(used) } } as unknown as KubeObject;
  next.metadata.managedFields = updateManagedFields({
    type: "ResourceQuota", apiVersion: "v1", before: quota as unknown as Record<string, unknown>, after: next as unknown as Record<string, unknown>,
    managed: quota.metadata.managedFields ?? [], manager: "kube-apiserver", subresource: "status", reset: ["spec"], time,
  });
  return next;
}

export const resourceQuota: AdmissionPlugin = {
  name: "ResourceQuota",
  async validate(request, { storage, clock }) {
    const { descriptor: { name }, namespace, operation, subresource } = request;
    if (subresource !== "" || !name.namespaced || operation === "DELETE" || name.resource === "events") return;
    const found = await storage.range(`/registry/resourcequotas/${namespace}/`);
    if (found.items.length === 0) return;
    const evaluator = evaluatorFor(name);
    if (operation === "UPDATE" && !evaluator.updates) return;
    let quotas = found.items;
    for (let attempt = 0; attempt < RETRIES_MAX; attempt++) {
      const nowMs = clock.nowMs();
      const writes = quotas.flatMap((kv) => {
        const used = charge(request, evaluator, kv.value as Quota, nowMs);
        return used === undefined ? [] : [{ kv, value: withUsage(kv.value as Quota, used, formatTime(nowMs)) }];
      });
      if (writes.length === 0 || request.dryRun) return;
      // All of them or none: nothing has to be given back.
      const result = await storage.txn(
        writes.map(({ kv }) => ({ key: keyOf(kv.value as Quota), modRevision: kv.modRevision })),
        writes.map(({ kv, value }) => ({ type: "put", key: keyOf(kv.value as Quota), value })));
      if (result.succeeded) return;
      quotas = (await storage.range(`/registry/resourcequotas/${namespace}/`)).items;
    }
    throw forbidden(request, "unable to update quota status: please try again");
  },
};
