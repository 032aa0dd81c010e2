/**
 * LimitRanger: defaults and bounds of what containers, pods and claims ask for. Follows plugin/pkg/admission/limitranger/admission.go.
 * Where upstream walks a map in no order, names are taken in theirs.
 */
import type { Container, LimitRangeItem, Pod } from "../../../api/types.generated.ts";
import { podLimits, podRequests } from "../../../quota/pod-resources.ts";
import { canonicalizeQuantity, parseQuantity } from "../../../apimachinery/quantity.ts";
import type { AdmissionContext, AdmissionRequest } from "../../extension.ts";
import { forbidden, isAbout, type AdmissionPlugin, type Any } from "./types.ts";

const ANNOTATION = "kubernetes.io/limit-ranger";

type Resources = Readonly<Record<string, string>>;

const sorted = (resources: Resources | undefined): [string, string][] => Object.keys(resources ?? {}).sort().map((name) => [name, resources![name]!]);
const nano = (text: string): bigint => parseQuantity(text).nano;
const show = (text: string): string => canonicalizeQuantity(text);

async function rangesOf(request: AdmissionRequest, context: AdmissionContext): Promise<readonly Any[]> {
  return context.list("limitranges", request.namespace);
}

/** Follows SupportsAttributes: containers cannot change any more once a pod is there. */
function concerns(request: AdmissionRequest): boolean {
  if (isAbout(request, "", "pods")) return request.operation === "CREATE";
  return isAbout(request, "", "persistentvolumeclaims") && request.operation !== "DELETE" && request.old?.metadata.deletionTimestamp === undefined;
}

function setDefaults(container: Container, what: string, limits: Resources, requests: Resources, told: string[]): void {
  const set = (field: "limits" | "requests", defaults: Resources): string[] => {
    const names: string[] = [];
    for (const [name, value] of sorted(defaults)) {
      const own = (((container.resources ??= {})[field] ??= {}) as Record<string, string>);
      if (own[name] !== undefined) continue;
      own[name] = value;
      names.push(name);
    }
    return names;
  };
  const limited = set("limits", limits);
  const requested = set("requests", requests);
  if (requested.length > 0) told.push(`${requested.join(", ")} request for ${what} ${container.name}`);
  if (limited.length > 0) told.push(`${limited.join(", ")} limit for ${what} ${container.name}`);
}

/** Follows mergePodResourceRequirements. */
function mutate(pod: Pod, range: Any): void {
  const limits: Record<string, string> = {};
  const requests: Record<string, string> = {};
  for (const item of (range.spec.limits ?? []) as LimitRangeItem[]) {
    if (item.type !== "Container") continue;
    Object.assign(requests, item.defaultRequest);
    Object.assign(limits, item.default);
  }
  const told: string[] = [];
  for (const container of pod.spec.containers ?? []) setDefaults(container, "container", limits, requests, told);
  for (const container of pod.spec.initContainers ?? []) setDefaults(container, "init container", limits, requests, told);
  if (told.length > 0) (pod.metadata.annotations ??= {})[ANNOTATION] = `LimitRanger plugin set: ${told.join("; ")}`;
}

/** What of `requests` and `limits` is outside of the item's bounds. */
function violations({ type, min, max, maxLimitRequestRatio }: LimitRangeItem, requests: Resources, limits: Resources): string[] {
  const out: string[] = [];
  for (const [name, bound] of sorted(min)) {
    const is = `minimum ${name} usage per ${type} is ${show(bound)}`;
    const [request, limit] = [requests[name], limits[name]];
    if (request === undefined) out.push(`${is}.  No request is specified`);
    else if (nano(request) < nano(bound)) out.push(`${is}, but request is ${show(request)}`);
    else if (limit !== undefined && nano(limit) < nano(bound)) out.push(`${is}, but limit is ${show(limit)}`);
  }
  for (const [name, bound] of sorted(max)) {
    const is = `maximum ${name} usage per ${type} is ${show(bound)}`;
    const [request, limit] = [requests[name], limits[name]];
    if (limit === undefined) out.push(`${is}.  No limit is specified`);
    else if (nano(limit) > nano(bound)) out.push(`${is}, but limit is ${show(limit)}`);
    else if (request !== undefined && nano(request) > nano(bound)) out.push(`${is}, but request is ${show(request)}`);
  }
  for (const [name, bound] of sorted(maxLimitRequestRatio)) {
    const is = `${name} max limit to request ratio per ${type} is ${show(bound)}`;
    const [request, limit] = [nano(requests[name] ?? "0"), nano(limits[name] ?? "0")];
    if (request === 0n) out.push(`${is}, but no request is specified or request is 0`);
    else if (limit === 0n) out.push(`${is}, but no limit is specified or limit is 0`);
    else if (limit * 1_000_000_000n > nano(bound) * request) out.push(`${is}, but provided ratio is ${(Number(limit) / Number(request)).toFixed(6)}`);
  }
  return out;
}

/** Follows PodValidateLimitFunc. */
function podViolations(pod: Pod, range: Any): string[] {
  const out: string[] = [];
  for (const item of (range.spec.limits ?? []) as LimitRangeItem[]) {
    if (item.type === "Container")
      for (const { resources } of [...(pod.spec.containers ?? []), ...(pod.spec.initContainers ?? [])]) out.push(...violations(item, resources?.requests ?? {}, resources?.limits ?? {}));
    else if (item.type === "Pod") out.push(...violations(item, podRequests(pod.spec, { overhead: false }), podLimits(pod.spec, { overhead: false })));
  }
  return out;
}

/** Follows PersistentVolumeClaimValidateLimitFunc: claims have no limits to look at. */
function claimViolations(claim: Any, range: Any): string[] {
  const out: string[] = [];
  const requests: Resources = claim.spec.resources?.requests ?? {};
  for (const item of (range.spec.limits ?? []) as LimitRangeItem[]) {
    if (item.type !== "PersistentVolumeClaim") continue;
    const { min, max, type } = item;
    out.push(...violations({ type, ...(min === undefined ? {} : { min }) }, requests, {}));
    for (const [name, bound] of sorted(max)) {
      const is = `maximum ${name} usage per ${type} is ${show(bound)}`;
      const request = requests[name];
      if (request === undefined) out.push(`${is}.  No request is specified`);
      else if (nano(request) > nano(bound)) out.push(`${is}, but request is ${show(request)}`);
    }
  }
  return out;
}

export const limitRanger: AdmissionPlugin = {
  name: "LimitRanger",
  resources: ["pods", "persistentvolumeclaims"],
  async admit(request, context) {
    if (!concerns(request) || request.descriptor.name.kind !== "Pod") return;
    for (const range of await rangesOf(request, context)) mutate(request.object as unknown as Pod, range);
  },
  async validate(request, context) {
    if (!concerns(request)) return;
    for (const range of await rangesOf(request, context)) {
      const found = request.descriptor.name.kind === "Pod" ? podViolations(request.object as unknown as Pod, range) : claimViolations(request.object, range);
      if (found.length > 0) throw forbidden(request, ...found);
    }
  },
};
