/** POST pods/NAME/eviction: a deletion that heeds PodDisruptionBudgets. Follows pkg/registry/core/pod/storage/eviction.go. */
import type { LabelSelector, Pod } from "../../api/types.generated.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import { labelSelector, matches } from "../../apimachinery/selectors.ts";
import { ApiError, failure, newBadRequest, newInternalError, newNotFound } from "../../apimachinery/status.ts";
import { formatTime } from "../../apimachinery/time.ts";
import type { ApiResponse } from "../../client/transport.ts";
import type { DeleteOptions } from "../delete-options.ts";
import { parseDeleteOptions } from "../delete-options.ts";
import type { Answering } from "../extension.ts";
import { KINDS } from "../complete/kinds.ts";
import { decodeBody } from "./body.ts";
import { updateManagedFields } from "../managed-fields.ts";
import { storageKey } from "../registry/descriptor.ts";

interface Condition {
  type: string;
  status: string;
  reason: string;
  message: string;
  lastTransitionTime: string;
  observedGeneration?: number;
}

interface Budget extends KubeObject {
  readonly spec: { readonly selector?: LabelSelector; readonly unhealthyPodEvictionPolicy?: string };
  readonly status: {
    readonly observedGeneration?: number; readonly disruptionsAllowed?: number; readonly currentHealthy?: number; readonly desiredHealthy?: number;
    readonly disruptedPods?: Readonly<Record<string, string>>; readonly conditions?: readonly Condition[];
  };
}

const BUDGETS = KINDS.find(({ name }) => name.kind === "PodDisruptionBudget")!;
/** More evictions than this may not be under way for one budget (MaxDisruptedPodSize). */
const DISRUPTED_MAX = 2000;
const RETRIES_MAX = 10;

export async function evict(answering: Answering): Promise<ApiResponse> {
  const { info, request, find } = answering;
  const { namespace, name } = info;
  // Earlier versions of the kind say the same.
  const sent = request.body as { apiVersion?: string } | undefined;
  const eviction = decodeBody("Eviction", "policy/v1", sent?.apiVersion === "policy/v1beta1" ? { ...sent, apiVersion: "policy/v1" } : sent) as KubeObject & { deleteOptions?: object };
  if (eviction.metadata.name !== name) throw newBadRequest("name in URL does not match name in Eviction object");
  const dryRun = info.query.getAll("dryRun").includes("All");
  const asked = parseDeleteOptions({ ...request, body: eviction.deleteOptions === undefined ? undefined : { ...eviction.deleteOptions, kind: "DeleteOptions" } }, new URLSearchParams());
  const options: DeleteOptions = { ...asked, dryRun: asked.dryRun || dryRun };
  const pod = (await find("pods", namespace, name)) as (Pod & KubeObject) | undefined;
  if (pod === undefined) throw newNotFound({ group: "", resource: "pods" }, name);
  let checked = options;
  if (!canIgnoreBudgets(pod)) {
    const budgets = await budgetsOf(answering, pod);
    if (budgets.length > 1) throw newInternalError("This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.");
    const budget = budgets[0];
    if (budget !== undefined) {
      const ready = (pod.status.conditions ?? []).some(({ type, status }) => type === "Ready" && status === "True");
      const { currentHealthy = 0, desiredHealthy = 0 } = budget.status;
      const free = !ready && (budget.spec.unhealthyPodEvictionPolicy === "AlwaysAllow" || (currentHealthy >= desiredHealthy && desiredHealthy > 0));
      if (!free) await decrement(answering, budget, name, options.dryRun);
      // What was judged is what goes.
      else checked = { ...options, resourceVersion: pod.metadata.resourceVersion };
    }
  }
  const revision = options.dryRun ? undefined : await condemn(answering, pod);
  await answering.remove(revision === undefined || checked === options ? checked : { ...checked, resourceVersion: revision });
  return { status: 201, headers: {}, body: { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 } };
}

/** Writes into the pod why it goes; its revision then. Follows addConditionAndDeletePod. */
async function condemn({ storage, clock }: Answering, found: Pod & KubeObject): Promise<string | undefined> {
  const key = `/registry/pods/${found.metadata.namespace!}/${found.metadata.name}`;
  for (let attempt = 0; attempt < RETRIES_MAX; attempt++) {
    const current = await storage.get(key);
    if (current === undefined) return undefined;
    const pod = current.value as Pod & KubeObject;
    const conditions = pod.status.conditions ?? [];
    const was = conditions.find(({ type }) => type === "DisruptionTarget");
    if (was?.status === "True" && was.reason === REASON && was.message === MESSAGE) return pod.metadata.resourceVersion;
    const time = was?.status === "True" ? was.lastTransitionTime : formatTime(clock.nowMs());
    const condition = { type: "DisruptionTarget", status: "True", lastProbeTime: null, lastTransitionTime: time, reason: REASON, message: MESSAGE } as unknown as NonNullable<typeof was>;
    const next = { ...pod, metadata: { ...pod.metadata }, status: { ...pod.status, conditions: was === undefined ? [...conditions, condition] : conditions.map((c) => (c === was ? condition : c)) } };
    const result = await storage.txn([{ key, modRevision: current.modRevision }], [{ type: "put", key, value: next }]);
    if (result.succeeded) return result.written[0]!.value.metadata.resourceVersion;
  }
  return undefined;
}

const REASON = "EvictionByEvictionAPI";
const MESSAGE = "Eviction API: evicting";

/** Whether the pod runs nothing that a budget protects. */
function canIgnoreBudgets({ metadata, status }: Pod & KubeObject): boolean {
  return status.phase === "Succeeded" || status.phase === "Failed" || status.phase === "Pending" || metadata.deletionTimestamp !== undefined;
}

async function budgetsOf({ storage }: Answering, pod: KubeObject): Promise<Budget[]> {
  const { items } = await storage.range(storageKey(BUDGETS, pod.metadata.namespace!, ""));
  return items.map(({ value }) => value as Budget).filter(({ spec }) => spec.selector !== undefined && matches(labelSelector(spec.selector), pod.metadata.labels ?? {}));
}

/** One disruption less that the budget allows. Throws 429 when it allows none. */
async function decrement({ storage, clock }: Answering, found: Budget, pod: string, dryRun: boolean): Promise<void> {
  const key = storageKey(BUDGETS, found.metadata.namespace!, found.metadata.name);
  for (let attempt = 0; attempt < RETRIES_MAX; attempt++) {
    const current = await storage.get(key);
    if (current === undefined) return;
    const budget = current.value as Budget;
    const { status, metadata } = budget;
    const { name } = metadata;
    if ((status.observedGeneration ?? 0) < (metadata.generation ?? 0)) throw tooManyRequests(`The disruption budget ${name} is still being processed by the server.`, 10);
    const allowed = status.disruptionsAllowed ?? 0;
    if (allowed < 0) throw failure(403, "Forbidden", `poddisruptionbudgets.policy ${JSON.stringify(name)} is forbidden: pdb disruptions allowed is negative`);
    if (Object.keys(status.disruptedPods ?? {}).length > DISRUPTED_MAX) throw failure(403, "Forbidden", `poddisruptionbudgets.policy ${JSON.stringify(name)} is forbidden: DisruptedPods map too big - too many evictions not confirmed by PDB controller`);
    if (allowed === 0) throw tooManyRequests(refusal(budget));
    if (dryRun) return;
    const left = allowed - 1;
    const conditions = [...(status.conditions ?? [])];
    if (left === 0) {
      const now = formatTime(clock.nowMs());
      const at = conditions.findIndex(({ type }) => type === "DisruptionAllowed");
      const condition = { type: "DisruptionAllowed", status: "False", observedGeneration: status.observedGeneration!, lastTransitionTime: now, reason: "InsufficientPods", message: "" };
      if (at < 0) conditions.push(condition);
      else conditions[at] = { ...condition, lastTransitionTime: conditions[at]!.status === "False" ? conditions[at]!.lastTransitionTime : now };
    }
    const next = {
      ...budget, metadata: { ...metadata },
      status: { ...status, disruptionsAllowed: left, disruptedPods: { ...status.disruptedPods, [pod]: formatTime(clock.nowMs()) }, ...(conditions.length === 0 ? {} : { conditions }) },
    } as unknown as KubeObject;
    next.metadata.managedFields = updateManagedFields({
      type: "PodDisruptionBudget", apiVersion: "policy/v1", before: budget as unknown as Record<string, unknown>, after: next as unknown as Record<string, unknown>,
      managed: metadata.managedFields ?? [], manager: "kube-apiserver", subresource: "status", reset: ["spec"], time: formatTime(clock.nowMs()),
    });
    const result = await storage.txn([{ key, modRevision: current.modRevision }], [{ type: "put", key, value: next }]);
    if (result.succeeded) return;
  }
  throw new ApiError({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message: "couldn't update PodDisruptionBudget", reason: "InternalError", code: 500 });
}

const tooManyRequests = (why: string, retryAfterSeconds?: number): ApiError =>
  failure(429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.", {
    causes: [{ reason: "DisruptionBudget", message: why }], ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  });

function refusal({ metadata, status }: Budget): string {
  const failed = (status.conditions ?? []).find(({ type, reason }) => type === "DisruptionAllowed" && reason === "SyncFailed");
  if (failed?.status === "False") return `The disruption budget ${metadata.name} does not allow evicting pods currently because it failed sync: ${failed.message}`;
  return `The disruption budget ${metadata.name} needs ${status.desiredHealthy ?? 0} healthy pods and has ${status.currentHealthy ?? 0} currently`;
}
