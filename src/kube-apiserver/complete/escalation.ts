/**
 * Nobody gives away more than they have: roles and bindings are written by those who hold their rules themselves, or who may `escalate`
 * or `bind`. Follows pkg/registry/rbac (escalation_check.go, role/policybased, clusterrole/policybased, rolebinding/policybased),
 * pkg/registry/rbac/validation (rule.go: ConfirmNoEscalation, policy_compact.go) and k8s.io/component-helpers/auth/rbac/validation
 * (policy_comparator.go).
 */
import type { ClusterRole, PolicyRule, RoleBinding } from "../../api/types.generated.ts";
import { deepEqual } from "../../apimachinery/meta.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import { newForbidden, newNotFound } from "../../apimachinery/status.ts";
import type { UserInfo } from "../../client/transport.ts";
import type { Storage } from "../../storage/storage.ts";
import type { AdmissionContext, AdmissionRequest } from "../extension.ts";
import { coversUrl, decide, grantsOf, has, PRIVILEGED } from "./rbac.ts";

const GROUP = "rbac.authorization.k8s.io";
const AUTHORITY: readonly PolicyRule[] = [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"] }, { verbs: ["*"], nonResourceURLs: ["*"] }];

/** Throws 403, and 404 for a binding to a role that is not there. Before validation, after all that changes the object. */
export async function confirmNoEscalation(request: AdmissionRequest, { storage }: Pick<AdmissionContext, "storage">): Promise<void> {
  const { operation, descriptor, user, object, old, namespace } = request;
  const { group, resource } = descriptor.name;
  if (group !== GROUP || operation === "DELETE" || object === undefined || user.groups.includes(PRIVILEGED)) return;
  if (old !== undefined && onlyForGarbageCollection(object, old)) return;
  const may = async (verb: string, resource: string, name: string): Promise<boolean> =>
    (await decide(storage, { user, verb, path: "", namespace, apiGroup: GROUP, apiVersion: "*", resource, subresource: "", name, fieldSelector: "" })).allowed;
  const refusal = (why: string): Error => newForbidden({ group, resource }, object.metadata.name, why);

  if (resource === "roles" || resource === "clusterroles") {
    if (await may("escalate", resource, object.metadata.name)) return;
    const { rules, aggregationRule } = object as unknown as ClusterRole;
    const missing = await missingRules(storage, user, namespace, rules ?? []);
    if (missing !== undefined) throw refusal(missing);
    // It can gather anything, and keeps others from narrowing the rules.
    const gathers = hasAggregation({ aggregationRule }) || (old !== undefined && hasAggregation(old as unknown as ClusterRole));
    if (gathers && (await missingRules(storage, user, namespace, AUTHORITY)) !== undefined) throw refusal("must have cluster-admin privileges to use the aggregationRule");
    return;
  }
  if (resource !== "rolebindings" && resource !== "clusterrolebindings") return;
  const { roleRef } = object as unknown as RoleBinding;
  const roles = roleRef.kind === "Role" ? "roles" : "clusterroles";
  if (await may("bind", roles, roleRef.name)) return;
  const role = (await storage.get(roles === "roles" ? `/registry/roles/${namespace}/${roleRef.name}` : `/registry/clusterroles/${roleRef.name}`))?.value as ClusterRole | undefined;
  if (role === undefined) throw newNotFound({ group: GROUP, resource: roles }, roleRef.name);
  const missing = await missingRules(storage, user, namespace, role.rules ?? []);
  if (missing !== undefined) throw refusal(missing);
}

const hasAggregation = ({ aggregationRule }: Pick<ClusterRole, "aggregationRule">): boolean => (aggregationRule?.clusterRoleSelectors ?? []).length > 0;

/** Whether only finalizers and owners differ: the collector must be able to let go of what its user could not write. */
function onlyForGarbageCollection(object: KubeObject, old: KubeObject): boolean {
  const rest = ({ metadata, ...other }: KubeObject): unknown => {
    const { finalizers: _f, ownerReferences: _o, managedFields: _m, ...meta } = metadata;
    return { ...other, metadata: meta };
  };
  return !deepEqual(object, old) && deepEqual(rest(object), rest(old));
}

/** What the user does not hold of the rules, in upstream's words. */
async function missingRules(storage: Storage<KubeObject>, user: UserInfo, namespace: string, rules: readonly PolicyRule[]): Promise<string | undefined> {
  const owned: PolicyRule[] = [];
  const problems: string[] = [];
  for await (const { rules, problem } of grantsOf(storage, user, namespace)) {
    owned.push(...rules);
    if (problem !== undefined) problems.push(problem);
  }
  const uncovered = rules.flatMap(broken).filter((rule) => !owned.some((own) => covers(own, rule)));
  if (uncovered.length === 0) return undefined;
  const lines = [...new Set(compact(uncovered).map(describe))].sort();
  const resolution = problems.length === 0 ? "" : `; resolution errors: ${problems.length === 1 ? `[${problems[0]}]` : `[${problems.join(", ")}]`}`;
  return `user ${JSON.stringify(user.name)} (groups=${quoted(user.groups)}) is attempting to grant RBAC permissions not currently held:\n${lines.join("\n")}${resolution}`;
}

/** A rule for each verb of each resource of each group (BreakdownRule). */
function broken({ verbs, apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] }: PolicyRule): PolicyRule[] {
  const names = resourceNames.length === 0 ? [undefined] : resourceNames;
  return [
    ...apiGroups.flatMap((group) => resources.flatMap((resource) => verbs.flatMap((verb) =>
      names.map((name): PolicyRule => ({ verbs: [verb], apiGroups: [group], resources: [resource], ...(name === undefined ? {} : { resourceNames: [name] }) }))))),
    ...nonResourceURLs.flatMap((url) => verbs.map((verb): PolicyRule => ({ verbs: [verb], nonResourceURLs: [url] }))),
  ];
}

/** Whether the rule holds all of a broken one (ruleCovers). */
function covers(own: PolicyRule, { verbs, apiGroups, resources, resourceNames, nonResourceURLs }: PolicyRule): boolean {
  if (!has(own.verbs, verbs[0]!)) return false;
  if (nonResourceURLs !== undefined) return coversUrl(own.nonResourceURLs ?? [], nonResourceURLs[0]!);
  const [resource] = resources as [string];
  const slash = resource.indexOf("/");
  const names = own.resourceNames ?? [];
  return has(own.apiGroups ?? [], apiGroups![0]!)
    && (has(own.resources ?? [], resource) || (slash >= 0 && (own.resources ?? []).includes(`*${resource.slice(slash)}`)))
    && (names.length === 0 || (resourceNames !== undefined && names.includes(resourceNames[0]!)));
}

/** Rules that differ in their verbs alone are one (CompactRules). */
function compact(rules: readonly PolicyRule[]): PolicyRule[] {
  const simple = new Map<string, PolicyRule>();
  const out: PolicyRule[] = [];
  for (const rule of rules) {
    if (rule.nonResourceURLs !== undefined) {
      out.push(rule);
      continue;
    }
    const key = JSON.stringify([rule.apiGroups, rule.resources, rule.resourceNames]);
    const known = simple.get(key);
    simple.set(key, known === undefined ? rule : { ...known, verbs: [...known.verbs, ...rule.verbs] });
  }
  return [...out, ...simple.values()];
}

const quoted = (list: readonly string[]): string => `[${list.map((text) => JSON.stringify(text)).join(" ")}]`;

/** Follows pkg/apis/rbac/v1/evaluation_helpers.go (CompactString). */
function describe({ verbs, apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] }: PolicyRule): string {
  const parts = [["APIGroups", apiGroups], ["Resources", resources], ["NonResourceURLs", nonResourceURLs], ["ResourceNames", resourceNames], ["Verbs", verbs]] as const;
  return `{${parts.filter(([, list]) => list.length > 0).map(([name, list]) => `${name}:${quoted(list)}`).join(", ")}}`;
}
