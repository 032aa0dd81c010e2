/**
 * Who gets in over HTTP while there is one identity: the administrator, by token. Follows
 * k8s.io/apiserver/pkg/endpoints/filters (authentication.go, authorization.go) and responsewriters (errors.go).
 */
import { ApiError, newForbidden } from "../../apimachinery/status.ts";
import type { ApiRequest } from "../../client/transport.ts";
import { requestInfo, splitPath } from "../request-info.ts";
import type { Routes } from "../request-info.ts";

/** Unauthenticated requests may read these (the role system:public-info-viewer). */
const PUBLIC = new Set(["/healthz", "/livez", "/readyz", "/version"]);

/** Lets only the administrator with this bearer token in. Throws 401 for a wrong one and 403 for none, as the anonymous user is nobody. */
export const onlyToken = (token: string) => (request: ApiRequest, routes: Routes): void => {
  const sent = request.headers?.["authorization"];
  if (sent === `Bearer ${token}`) return;
  if (sent !== undefined) throw new ApiError({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message: "Unauthorized", reason: "Unauthorized", code: 401 });
  const { path } = splitPath(request.path);
  if (PUBLIC.has(path.replace(/(.)\/$/, "$1"))) return;
  const verbs = { GET: "get", POST: "create", PUT: "update", PATCH: "patch", DELETE: "delete" } as const;
  let info;
  try {
    info = requestInfo(routes, request);
  } catch {
    throw new ApiError({
      kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", reason: "Forbidden", details: {}, code: 403,
      message: `forbidden: User "system:anonymous" cannot ${verbs[request.method]} path ${JSON.stringify(path)}`,
    });
  }
  const { descriptor, namespace, name, subresource, verb } = info;
  const { group } = descriptor.name;
  const resource = subresource === "" ? descriptor.name.resource : `${descriptor.name.resource}/${subresource}`;
  const where = namespace === "" ? "at the cluster scope" : `in the namespace ${JSON.stringify(namespace)}`;
  throw newForbidden({ group, resource: descriptor.name.resource }, name, `User "system:anonymous" cannot ${verb} resource ${JSON.stringify(resource)} in API group ${JSON.stringify(group)} ${where}`);
};
