/**
 * Which requests a policy or a webhook is about. Follows k8s.io/apiserver/pkg/admission/plugin/webhook/predicates (rules, namespace,
 * object) and plugin/policy/matching.
 */
import type { LabelSelector, MatchResources } from "../../../api/types.generated.ts";
import type { KubeObject } from "../../../apimachinery/meta.ts";
import { labelSelector, matches } from "../../../apimachinery/selectors.ts";
import type { AdmissionContext, AdmissionRequest } from "../../extension.ts";
import { has } from "../rbac.ts";

/** A rule of a policy or a webhook. */
export interface OperationRule {
  readonly operations?: readonly string[] | undefined;
  readonly apiGroups?: readonly string[] | undefined;
  readonly apiVersions?: readonly string[] | undefined;
  readonly resources?: readonly string[] | undefined;
  readonly scope?: string | undefined;
  readonly resourceNames?: readonly string[] | undefined;
}

/** Follows rules.Matcher: operation, group, version, scope, resource. */
export function ruleMatches(rule: OperationRule, { operation, descriptor, subresource, name }: AdmissionRequest): boolean {
  const { group, version, resource, namespaced } = descriptor.name;
  // A namespace counts as one of its own things only by the selector, not by its scope.
  const inScope = rule.scope === undefined || rule.scope === "*" || (rule.scope === "Namespaced") === namespaced;
  const named = (rule.resourceNames ?? []).length === 0 || rule.resourceNames!.includes(name);
  return inScope && named && has(rule.operations ?? [], operation) && has(rule.apiGroups ?? [], group) && has(rule.apiVersions ?? [], version)
    && (rule.resources ?? []).some((pattern) => {
      const [of, sub = ""] = pattern.split("/");
      return (of === "*" || of === resource) && (sub === "*" || sub === subresource);
    });
}

/** Follows matching.Matches: selectors, exclusions, rules. Without rules every request is meant. */
export async function isMeant(match: MatchResources | undefined, request: AdmissionRequest, context: AdmissionContext): Promise<boolean> {
  if (match === undefined) return true;
  if ((match.excludeResourceRules ?? []).some((rule) => ruleMatches(rule, request))) return false;
  const rules = match.resourceRules ?? [];
  if (rules.length > 0 && !rules.some((rule) => ruleMatches(rule, request))) return false;
  return (await namespaceMatches(match.namespaceSelector, request, context)) && objectMatches(match.objectSelector, request);
}

/** Follows namespace.Matcher: what is in no namespace is meant; a namespace is judged by its own labels. */
export async function namespaceMatches(selector: LabelSelector | undefined, request: AdmissionRequest, context: AdmissionContext): Promise<boolean> {
  if (isEmpty(selector)) return true;
  const { group, resource, namespaced } = request.descriptor.name;
  if (!namespaced) {
    if (group !== "" || resource !== "namespaces" || request.subresource !== "") return true;
    return matches(labelSelector(selector), (request.object ?? request.old)?.metadata.labels ?? {});
  }
  const found = await context.find("namespaces", "", request.namespace);
  return matches(labelSelector(selector), found?.metadata.labels ?? {});
}

/** Follows object.Matcher: one of the old and the new one is enough. */
export function objectMatches(selector: LabelSelector | undefined, { object, old }: AdmissionRequest): boolean {
  if (isEmpty(selector)) return true;
  const wanted = labelSelector(selector);
  return [object, old].some((one: KubeObject | undefined) => one !== undefined && matches(wanted, one.metadata.labels ?? {}));
}

const isEmpty = (selector: LabelSelector | undefined): boolean =>
  selector === undefined || (Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions ?? []).length === 0);
