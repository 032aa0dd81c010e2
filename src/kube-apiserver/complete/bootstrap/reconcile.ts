/**
 * What a start restores of roles and bindings that are there already: what the policy has and they lack is added, what they have
 * beyond it stays. Follows pkg/registry/rbac/reconciliation (reconcile_role.go, reconcile_rolebindings.go) and
 * k8s.io/component-helpers/auth/rbac/validation (policy_compact.go: Covers, BreakdownRule).
 */
import { deepEqual } from "../../../apimachinery/meta.ts";
import type { KubeObject } from "../../../apimachinery/meta.ts";
import type { PolicyRule, Subject } from "./policy.ts";

/** False keeps a role or binding from being restored. */
export const AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate";

export interface RbacObject extends KubeObject {
  rules?: readonly PolicyRule[] | null;
  aggregationRule?: { clusterRoleSelectors?: readonly unknown[] };
  roleRef?: unknown;
  subjects?: readonly Subject[];
}

/** The object with what it lacks; undefined when it lacks nothing or is not to be touched. A binding of another role is `expected` itself. */
export function reconcile(existing: RbacObject, expected: RbacObject): RbacObject | undefined {
  if (existing.metadata.annotations?.[AUTOUPDATE] === "false") return undefined;
  if (!deepEqual(existing.roleRef, expected.roleRef)) return expected;
  const { metadata } = existing;
  const out: RbacObject = {
    ...existing,
    metadata: { ...metadata, labels: { ...expected.metadata.labels, ...metadata.labels }, annotations: { ...expected.metadata.annotations, ...metadata.annotations } },
  };
  if (expected.roleRef !== undefined) {
    const had = existing.subjects ?? [];
    const missing = (expected.subjects ?? []).filter((subject) => !had.some((other) => deepEqual(other, subject)));
    if (missing.length > 0) out.subjects = [...had, ...missing];
  } else if (expected.aggregationRule !== undefined) {
    const had = existing.aggregationRule?.clusterRoleSelectors ?? [];
    const missing = (expected.aggregationRule.clusterRoleSelectors ?? []).filter((selector) => !had.some((other) => deepEqual(other, selector)));
    if (missing.length > 0) out.aggregationRule = { clusterRoleSelectors: [...had, ...missing] };
  } else {
    const had = existing.rules ?? [];
    const missing = (expected.rules ?? []).flatMap(breakdown).filter((rule) => !had.some((other) => covers(other, rule)));
    if (missing.length > 0) out.rules = [...had, ...missing];
  }
  return deepEqual(existing, out) ? undefined : out;
}

/** One rule for each verb of each thing. */
function breakdown(rule: PolicyRule): PolicyRule[] {
  const { apiGroups = [], resources = [], nonResourceURLs = [] } = rule;
  const names = rule.resourceNames ?? [undefined];
  return [
    ...apiGroups.flatMap((group) => resources.flatMap((resource) => rule.verbs.flatMap((verb) => names.map((name) => ({
      verbs: [verb], apiGroups: [group], resources: [resource], ...(name === undefined ? {} : { resourceNames: [name] }),
    }))))),
    ...nonResourceURLs.flatMap((url) => rule.verbs.map((verb) => ({ verbs: [verb], nonResourceURLs: [url] }))),
  ];
}

/** Whether `owner` allows all that `sub`, a rule of one verb and one thing, does (ruleCovers). */
function covers(owner: PolicyRule, sub: PolicyRule): boolean {
  const has = (list: readonly string[] | undefined, one: string): boolean => list !== undefined && (list.includes("*") || list.includes(one));
  if (!has(owner.verbs, sub.verbs[0]!)) return false;
  const url = sub.nonResourceURLs?.[0];
  if (url !== undefined) return (owner.nonResourceURLs ?? []).some((one) => one === url || (one.endsWith("*") && url.startsWith(one.slice(0, -1))));
  const resource = sub.resources![0]!;
  const part = resource.includes("/") ? `*/${resource.split("/")[1]}` : resource;
  const names = owner.resourceNames ?? [];
  return has(owner.apiGroups, sub.apiGroups![0]!) && (has(owner.resources, resource) || (owner.resources ?? []).includes(part)) &&
    (names.length === 0 || (sub.resourceNames !== undefined && names.includes(sub.resourceNames[0]!)));
}
