/**
 * Who may do what: the place of upstream's authorizers. For now it knows what cannot be taken away: members of system:masters may do all,
 * everybody who is known has system:discovery and system:basic-user, and everybody has system:public-info-viewer. Follows
 * k8s.io/apiserver/pkg/endpoints/filters/authorization.go and handlers/responsewriters/errors.go (Forbidden).
 */
import { ApiError, newForbidden } from "../../apimachinery/status.ts";
import type { Attributes } from "./attributes.ts";

/** Whether this is allowed. Follows k8s.io/apiserver/pkg/authorization/authorizer.Authorizer. */
export type Authorizer = (attributes: Attributes) => boolean | Promise<boolean>;

const PUBLIC = new Set(["/healthz", "/livez", "/readyz", "/version", "/version/"]);
/** Paths, and what begins with one and a slash, of system:discovery and system:service-account-issuer-discovery. */
const DISCOVERY = ["/api", "/apis", "/openapi", "/healthz", "/livez", "/readyz", "/version"];
const ISSUER = /^\/(?:\.well-known\/openid-configuration|openid\/v1\/jwks)\/?$/;
const BASIC = new Set(["authorization.k8s.io/selfsubjectaccessreviews", "authorization.k8s.io/selfsubjectrulesreviews", "authentication.k8s.io/selfsubjectreviews"]);

export const fixedPolicy: Authorizer = ({ user, verb, path, apiGroup, resource, subresource }) => {
  const { groups } = user;
  if (groups.includes("system:masters")) return true;
  const known = groups.includes("system:authenticated");
  if (resource !== "") return known && verb === "create" && subresource === "" && BASIC.has(`${apiGroup}/${resource}`);
  if (verb !== "get") return false;
  if (PUBLIC.has(path)) return true;
  if (ISSUER.test(path)) return groups.includes("system:serviceaccounts");
  return known && DISCOVERY.some((prefix) => path === prefix || (path.startsWith(`${prefix}/`) && !HEALTH.test(path)));
};

/** Single checks are nobody's but the administrator's. */
const HEALTH = /^\/(?:healthz|livez|readyz)\//;

export const allowAll: Authorizer = () => true;

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
