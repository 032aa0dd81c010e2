/**
 * Role-based access control: what the stored roles and bindings allow. Follows plugin/pkg/auth/authorizer/rbac/rbac.go,
 * pkg/registry/rbac/validation/rule.go (DefaultRuleResolver) and pkg/apis/rbac/v1/evaluation_helpers.go.
 */
import type { ClusterRole, ClusterRoleBinding, PolicyRule, RoleBinding, Subject } from "../../api/types.generated.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import type { UserInfo } from "../../client/transport.ts";
import type { Storage } from "../../storage/storage.ts";
import type { Attributes } from "./attributes.ts";

export interface Decision {
  readonly allowed: boolean;
  /** Why; for refusals what kept the rules from being read, or nothing. */
  readonly reason: string;
}

/** A binding that is about the user: what it is called in reasons, and its rules, or why there are none. */
interface Granted {
  readonly source: string;
  readonly rules: readonly PolicyRule[];
  readonly problem?: string;
}

/** Members may do all, whatever the roles say. Follows k8s.io/apiserver/pkg/authentication/user.SystemPrivilegedGroup. */
export const PRIVILEGED = "system:masters";

export async function decide(storage: Storage<KubeObject>, attributes: Attributes): Promise<Decision> {
  if (attributes.user.groups.includes(PRIVILEGED)) return { allowed: true, reason: "" };
  const problems = new Set<string>();
  for await (const { source, rules, problem } of grantsOf(storage, attributes.user, attributes.namespace)) {
    if (problem !== undefined) problems.add(problem);
    if (rules.some((rule) => allows(rule, attributes))) return { allowed: true, reason: `RBAC: allowed by ${source}` };
  }
  const [first, ...others] = problems;
  if (first === undefined) return { allowed: false, reason: "" };
  return { allowed: false, reason: `RBAC: ${others.length === 0 ? first : `[${[first, ...others].join(", ")}]`}` };
}

export interface Rules {
  readonly resourceRules: readonly object[];
  readonly nonResourceRules: readonly object[];
  readonly incomplete: boolean;
  readonly evaluationError?: string;
}

/** What a SelfSubjectRulesReview says. */
export async function rulesFor(storage: Storage<KubeObject>, user: UserInfo, namespace: string): Promise<Rules> {
  const resourceRules: object[] = [];
  const nonResourceRules: object[] = [];
  const problems = new Set<string>();
  for await (const { rules, problem } of grantsOf(storage, user, namespace)) {
    if (problem !== undefined) problems.add(problem);
    for (const { verbs, apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } of rules) {
      if (resources.length > 0) resourceRules.push({ verbs, apiGroups, resources, ...(resourceNames.length === 0 ? {} : { resourceNames }) });
      if (nonResourceURLs.length > 0) nonResourceRules.push({ verbs, nonResourceURLs });
    }
  }
  return { resourceRules, nonResourceRules, incomplete: false, ...(problems.size === 0 ? {} : { evaluationError: [...problems].join(", ") }) };
}

/** All that bindings give the user in the namespace, and in the whole cluster. */
export async function* grantsOf(storage: Storage<KubeObject>, user: UserInfo, namespace: string): AsyncGenerator<Granted> {
  const clusterRole = async (name: string): Promise<Pick<Granted, "rules" | "problem">> => {
    const role = (await storage.get(`/registry/clusterroles/${name}`))?.value as ClusterRole | undefined;
    return role === undefined ? { rules: [], problem: `clusterrole.rbac.authorization.k8s.io ${JSON.stringify(name)} not found` } : { rules: role.rules ?? [] };
  };
  for (const { value } of (await storage.range("/registry/clusterrolebindings/")).items) {
    const { metadata, roleRef, subjects } = value as unknown as ClusterRoleBinding;
    const subject = subjects?.find((one) => isAbout(one, user, ""));
    if (subject === undefined) continue;
    const source = `ClusterRoleBinding ${JSON.stringify(metadata.name)} of ${roleRef.kind} ${JSON.stringify(roleRef.name)} to ${describe(subject, "")}`;
    yield { source, ...(await clusterRole(roleRef.name)) };
  }
  if (namespace === "") return;
  for (const { value } of (await storage.range(`/registry/rolebindings/${namespace}/`)).items) {
    const { metadata, roleRef, subjects } = value as unknown as RoleBinding;
    const subject = subjects?.find((one) => isAbout(one, user, namespace));
    if (subject === undefined) continue;
    const source = `RoleBinding ${JSON.stringify(`${metadata.name}/${namespace}`)} of ${roleRef.kind} ${JSON.stringify(roleRef.name)} to ${describe(subject, namespace)}`;
    if (roleRef.kind === "ClusterRole") {
      yield { source, ...(await clusterRole(roleRef.name)) };
      continue;
    }
    const role = (await storage.get(`/registry/roles/${namespace}/${roleRef.name}`))?.value as ClusterRole | undefined;
    yield role === undefined ? { source, rules: [], problem: `role.rbac.authorization.k8s.io ${JSON.stringify(roleRef.name)} not found` } : { source, rules: role.rules ?? [] };
  }
}

function isAbout({ kind, name, namespace: own = "" }: Subject, user: UserInfo, namespace: string): boolean {
  if (kind === "User") return user.name === name;
  if (kind === "Group") return user.groups.includes(name);
  const at = own === "" ? namespace : own;
  return kind === "ServiceAccount" && at !== "" && user.name === `system:serviceaccount:${at}:${name}`;
}

function describe({ kind, name, namespace: own = "" }: Subject, namespace: string): string {
  return `${kind} ${JSON.stringify(kind === "ServiceAccount" ? `${name}/${own === "" ? namespace : own}` : name)}`;
}

/** Follows RuleAllows. */
export function allows({ verbs, apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] }: PolicyRule, wanted: Attributes): boolean {
  if (!has(verbs, wanted.verb)) return false;
  if (wanted.resource === "") return coversUrl(nonResourceURLs, wanted.path);
  const { resource, subresource } = wanted;
  const whole = subresource === "" ? resource : `${resource}/${subresource}`;
  return has(apiGroups, wanted.apiGroup)
    && (has(resources, whole) || (subresource !== "" && resources.includes(`*/${subresource}`)))
    && (resourceNames.length === 0 || resourceNames.includes(wanted.name));
}

/** Follows NonResourceURLMatches. */
export const coversUrl = (urls: readonly string[], path: string): boolean =>
  urls.some((url) => url === "*" || url === path || (url.endsWith("*") && path.startsWith(url.replace(/\*+$/, ""))));

/** Whether a list of a rule's, where "*" stands for all, has this. */
export const has = (list: readonly string[], wanted: string): boolean => list.includes("*") || list.includes(wanted);
