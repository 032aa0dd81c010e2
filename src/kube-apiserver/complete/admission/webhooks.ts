/**
 * MutatingAdmissionWebhook and ValidatingAdmissionWebhook: others are asked about a request, in the order of their configurations' names.
 * Follows k8s.io/apiserver/pkg/admission/plugin/webhook (mutating/dispatcher.go, validating/dispatcher.go, request/admissionreview.go,
 * errors/statuserror.go) and pkg/util/webhook.
 */
import type { MatchCondition, MutatingWebhook, MutatingWebhookConfiguration, ValidatingWebhook, ValidatingWebhookConfiguration } from "../../../api/types.generated.ts";
import { deepEqual } from "../../../apimachinery/meta.ts";
import type { KubeObject } from "../../../apimachinery/meta.ts";
import { newUid } from "../../../apimachinery/names.ts";
import { failure, newBadRequest, newInternalError } from "../../../apimachinery/status.ts";
import type { ApiError, Status } from "../../../apimachinery/status.ts";
import { loaded } from "../../../time/loading.ts";
import { webhookUrl } from "../../webhook.ts";
import { jsonPatch } from "../../patch.ts";
import type { AdmissionContext, AdmissionRequest } from "../../extension.ts";
import { namespaceMatches, objectMatches, ruleMatches } from "./matching.ts";
import type { AdmissionPlugin, Any } from "./types.ts";

type Webhook = MutatingWebhook | ValidatingWebhook;

/** No webhook stands between an administrator and what says which ones there are. */
const EXEMPT = new Set(["mutatingwebhookconfigurations", "validatingwebhookconfigurations", "validatingadmissionpolicies", "validatingadmissionpolicybindings", "mutatingadmissionpolicies", "mutatingadmissionpolicybindings"]);

interface Response {
  readonly uid?: string;
  readonly allowed?: boolean;
  readonly status?: Partial<Status>;
  readonly patch?: string;
  readonly patchType?: string;
  readonly warnings?: readonly string[];
}

export const mutatingAdmissionWebhook: AdmissionPlugin = {
  name: "MutatingAdmissionWebhook",
  async admit(request, context) {
    const configurations = (await configured("mutatingwebhookconfigurations", request, context)) as readonly (MutatingWebhookConfiguration & KubeObject)[];
    const again: MutatingWebhook[] = [];
    let changed = false;
    for (const { webhooks = [] } of configurations) {
      for (const webhook of webhooks as MutatingWebhook[]) {
        if (!(await isAsked(webhook, request, context))) continue;
        const before = again.length;
        const did = await mutate(webhook, request, context);
        // Those that ran before this change may want to see it.
        if (did && before > 0) changed = true;
        if (webhook.reinvocationPolicy === "IfNeeded") again.push(webhook);
      }
    }
    if (!changed) return;
    for (const webhook of again) if (await isAsked(webhook, request, context)) await mutate(webhook, request, context);
  },
};

export const validatingAdmissionWebhook: AdmissionPlugin = {
  name: "ValidatingAdmissionWebhook",
  deletions: true,
  async validate(request, context) {
    const configurations = (await configured("validatingwebhookconfigurations", request, context)) as readonly (ValidatingWebhookConfiguration & KubeObject)[];
    const asked: ValidatingWebhook[] = [];
    for (const { webhooks = [] } of configurations) for (const webhook of webhooks) if (await isAsked(webhook, request, context)) asked.push(webhook);
    // All are asked at once; the first refusal, in their order, is the answer.
    const outcomes = await Promise.allSettled(asked.map((webhook) => call(webhook, request, context)));
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  },
};

async function configured(resource: string, { descriptor: { name }, subresource }: AdmissionRequest, context: AdmissionContext): Promise<readonly KubeObject[]> {
  if (name.group === "admissionregistration.k8s.io" && EXEMPT.has(name.resource) && subresource === "") return [];
  return context.list(resource, "");
}

/** Follows generic.ShouldCallHook, and matchconditions/matcher.go. */
async function isAsked(webhook: Webhook, request: AdmissionRequest, context: AdmissionContext): Promise<boolean> {
  if (!(webhook.rules ?? []).some((rule) => ruleMatches(rule, request))) return false;
  if (!objectMatches(webhook.objectSelector, request) || !(await namespaceMatches(webhook.namespaceSelector, request, context))) return false;
  const conditions = webhook.matchConditions ?? [];
  return conditions.length === 0 || conditionsHold(webhook, conditions, request, context);
}

async function conditionsHold({ name, failurePolicy }: Webhook, conditions: readonly MatchCondition[], request: AdmissionRequest, context: AdmissionContext): Promise<boolean> {
  const cel = await loaded(import("./expressions.ts"));
  const activation = await cel.activationOf(request, context);
  let problem: string | undefined;
  for (const { expression } of conditions) {
    try {
      if ((await cel.evaluate(expression, activation, context)) !== true) return false;
    } catch (e) {
      if (!(e instanceof cel.CelError)) throw e;
      problem ??= e.message;
    }
  }
  if (problem === undefined) return true;
  if (failurePolicy === "Ignore") return false;
  throw callFailed(name, `error evaluating match conditions: ${problem}`);
}

/** Whether the object is another one now. */
async function mutate(webhook: MutatingWebhook, request: AdmissionRequest, context: AdmissionContext): Promise<boolean> {
  const response = await call(webhook, request, context);
  if (response?.patch === undefined || response.patch === "" || request.object === undefined) return false;
  let patched: KubeObject;
  try {
    patched = jsonPatch(request.object, JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(response.patch), (c) => c.charCodeAt(0))))) as KubeObject;
  } catch (e) {
    throw newInternalError(e instanceof Error ? e.message : "invalid patch");
  }
  if (deepEqual(patched, request.object)) return false;
  // The object is the request's own: it is changed where it stands.
  const object = request.object as unknown as Record<string, unknown>;
  for (const key of Object.keys(object)) if (!(key in patched)) delete object[key];
  Object.assign(object, patched);
  request.descriptor.setDefaults?.(request.object as never);
  return true;
}

/** Asks one webhook. Throws what it refuses with; undefined when it could not be asked and that is to be ignored. */
async function call(webhook: Webhook, request: AdmissionRequest, context: AdmissionContext): Promise<Response | undefined> {
  const { name, failurePolicy = "Fail", sideEffects, timeoutSeconds = 10 } = webhook;
  if (request.dryRun && sideEffects !== "None" && sideEffects !== "NoneOnDryRun") throw newBadRequest(`admission webhook ${JSON.stringify(name)} does not support dry run`);
  let response: Response;
  try {
    response = await ask(webhook, request, context, timeoutSeconds);
  } catch (e) {
    if (failurePolicy === "Ignore") return undefined;
    throw callFailed(name, e instanceof Error ? e.message : String(e));
  }
  for (const text of response.warnings ?? []) request.warn(text);
  if (response.allowed !== true) throw refused(name, response.status);
  return response;
}

const callFailed = (name: string, why: string): ApiError => newInternalError(`failed calling webhook ${JSON.stringify(name)}: ${why}`);

/** Follows ToStatusErr. */
function refused(name: string, status: Partial<Status> = {}): ApiError {
  const by = `admission webhook ${JSON.stringify(name)} denied the request`;
  const said = (status.message ?? "") !== "" ? `: ${status.message}` : (status.reason ?? "") !== "" ? `: ${status.reason}` : " without explanation";
  const code = (status.code ?? 0) < 400 ? 400 : status.code!;
  return failure(code, status.reason ?? "", by + said, status.details);
}

/** Sends the review. Throws why there is no answer to go by. */
async function ask({ clientConfig, admissionReviewVersions }: Webhook, request: AdmissionRequest, context: AdmissionContext, timeoutSeconds: number): Promise<Response> {
  const url = `${webhookUrl(clientConfig)}?timeout=${timeoutSeconds}s`;
  const failed = (why: string): Error => new Error(`failed to call webhook: Post ${JSON.stringify(url)}: ${why}`);
  const { webhookFetch: fetch } = context;
  if (fetch === undefined) throw failed("no way to reach webhooks");
  const version = (admissionReviewVersions ?? []).find((known) => known === "v1" || known === "v1beta1") ?? "v1";
  const apiVersion = `admission.k8s.io/${version}`;
  const uid = newUid(context.random);
  const stop = new AbortController();
  const cancel = context.clock.after(timeoutSeconds * 1000, () => stop.abort(new Error("context deadline exceeded")));
  let review: { apiVersion?: string; kind?: string; response?: Response };
  try {
    const answer = await Promise.race([
      fetch(new Request(url, { method: "POST", headers: { "content-type": "application/json", accept: "application/json" }, body: JSON.stringify({ kind: "AdmissionReview", apiVersion, request: { uid, ...reviewed(request) } }), signal: stop.signal })),
      new Promise<never>((_, reject) => stop.signal.addEventListener("abort", () => reject(stop.signal.reason as Error), { once: true })),
    ]);
    if (!answer.ok) throw new Error("refused", { cause: answer.status });
    review = (await answer.json()) as typeof review;
  } catch (e) {
    if (e instanceof Error && typeof e.cause === "number" && e.message === "refused") throw new Error(`failed to call webhook: the server rejected our request for an unknown reason (${e.cause})`);
    throw failed(e instanceof Error ? e.message : "no answer");
  } finally {
    cancel();
  }
  if (review.response === undefined) throw new Error("webhook response was absent");
  if (review.apiVersion !== apiVersion || review.kind !== "AdmissionReview") throw new Error(`expected webhook response of ${apiVersion}, Kind=AdmissionReview, got ${review.apiVersion ?? ""}, Kind=${review.kind ?? ""}`);
  if (review.response.uid !== uid) throw new Error(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(review.response.uid ?? "")}`);
  if (review.response.patch !== undefined && review.response.patchType !== "JSONPatch") throw new Error(`unsupported patch operation ${JSON.stringify(review.response.patchType ?? "")}`);
  return review.response;
}

/** Follows CreateV1AdmissionReview. */
function reviewed({ descriptor, subresource, operation, namespace, name, user, object, old, dryRun }: AdmissionRequest): Any {
  const { group, version, kind, resource } = descriptor.name;
  const part = subresource === "" ? {} : { subResource: subresource, requestSubResource: subresource };
  const of = { apiVersion: group === "" ? version : `${group}/${version}`, kind };
  const shown = (one: KubeObject | undefined): Any => (one === undefined ? null : { ...of, ...one });
  return {
    kind: { group, version, kind }, resource: { group, version, resource }, requestKind: { group, version, kind }, requestResource: { group, version, resource }, ...part,
    ...(name === "" ? {} : { name }), ...(namespace === "" ? {} : { namespace }), operation,
    userInfo: { username: user.name, ...(user.uid === undefined ? {} : { uid: user.uid }), groups: [...user.groups], ...(user.extra === undefined ? {} : { extra: user.extra }) },
    object: shown(object), oldObject: shown(old), dryRun,
    options: { kind: OPTIONS[operation], apiVersion: "meta.k8s.io/v1", ...(dryRun ? { dryRun: ["All"] } : {}) },
  };
}
const OPTIONS = { CREATE: "CreateOptions", UPDATE: "UpdateOptions", DELETE: "DeleteOptions" } as const;
