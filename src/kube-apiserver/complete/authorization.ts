/**
 * Who may do what: the question to the server's own authorizer, and the refusal. Follows
 * k8s.io/apiserver/pkg/endpoints/filters/authorization.go and handlers/responsewriters/errors.go (Forbidden).
 */
import { ApiError, newForbidden } from "../../apimachinery/status.ts";
import type { ApiTransport } from "../../client/transport.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import type { Storage } from "../../storage/storage.ts";
import type { Attributes } from "./attributes.ts";
import { decideForNode } from "./node-authorizer.ts";
import { decide } from "./rbac.ts";
import type { Decision } from "./rbac.ts";

/** Whether this is allowed, by the policy that `handle` leads to. Follows k8s.io/apiserver/pkg/authorization/authorizer.Authorizer. */
export type Authorizer = (attributes: Attributes, handle: ApiTransport) => Decision | Promise<Decision>;

const ALLOWED: Decision = { allowed: true, reason: "" };

/** Nodes by what their pods refer to, all others by roles and bindings (union/union.go). */
export async function decideAccess(storage: Storage<KubeObject>, attributes: Attributes): Promise<Decision> {
  const node = await decideForNode(storage, attributes);
  if (node.allowed) return node;
  const roles = await decide(storage, attributes);
  return roles.allowed || node.reason === "" ? roles : { allowed: false, reason: roles.reason === "" ? node.reason : `${node.reason}\n${roles.reason}` };
}

/** What the server itself says of it (`--authorization-mode=Node,RBAC`). */
export const byRoles: Authorizer = async ({ user, verb, path, namespace, apiGroup: group, apiVersion: version, resource, subresource, name, fieldSelector }, handle) => {
  if (user.groups.includes("system:masters")) return ALLOWED;
  const about = resource === "" ? { nonResourceAttributes: { path, verb } } : { resourceAttributes: { namespace, verb, group, version, resource, subresource, name, ...(fieldSelector === "" ? {} : { fieldSelector: { rawSelector: fieldSelector } }) } };
  const body = { apiVersion: "authorization.k8s.io/v1", kind: "SubjectAccessReview", spec: { user: user.name, groups: user.groups, ...about } };
  const answer = await handle({ method: "POST", path: "/apis/authorization.k8s.io/v1/subjectaccessreviews", body });
  const { status } = answer.body as { status: { allowed: boolean; reason?: string } };
  return { allowed: status.allowed, reason: status.reason ?? "" };
};

export const allowAll: Authorizer = () => ALLOWED;

const ESCAPES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };

/** The refusal. */
export function forbidden({ user, verb, path, namespace, apiGroup, resource, subresource, name }: Attributes, reason = ""): ApiError {
  const who = `User ${JSON.stringify(user.name)} cannot ${verb}`;
  const sanitized = (text: string): string => `${text.replace(/[&<>]/g, (c) => ESCAPES[c]!)}${reason === "" ? "" : `: ${reason}`}`;
  if (resource === "") {
    return new ApiError({
      kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message: `forbidden: ${sanitized(`${who} path ${JSON.stringify(path)}`)}`,
      reason: "Forbidden", details: {}, code: 403,
    });
  }
  const what = subresource === "" ? resource : `${resource}/${subresource}`;
  const where = namespace === "" ? "at the cluster scope" : `in the namespace ${JSON.stringify(namespace)}`;
  return newForbidden({ group: apiGroup, resource }, name, sanitized(`${who} resource ${JSON.stringify(what)} in API group ${JSON.stringify(apiGroup)} ${where}`));
}
