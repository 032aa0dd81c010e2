/**
 * The links of the handler chain before the API itself: authentication, impersonation, classification, authorisation. Follows
 * k8s.io/apiserver/pkg/server/config.go (DefaultBuildHandlerChain).
 */
import { newUid } from "../../apimachinery/names.ts";
import type { Random } from "../../time/clock.ts";
import type { Enter } from "../http.ts";
import { attributesOf } from "./attributes.ts";
import { authentication } from "./authentication.ts";
import type { AuthenticationOptions } from "./authentication.ts";
import { byRoles, forbidden } from "./authorization.ts";
import type { Authorizer } from "./authorization.ts";
import { classifier } from "./flow-schemas.ts";
import { impersonated } from "./impersonation.ts";

export interface AccessOptions extends AuthenticationOptions {
  /** For audit ids. */
  readonly random: Random;
  /** By default what roles and bindings allow. */
  readonly authorizer?: Authorizer;
  /** `--enable-priority-and-fairness`. */
  readonly fairness?: boolean;
}

/** Of clients' own audit ids no more is kept. */
const AUDIT_ID_MAX = 64;

export function createAccess({ authorizer = byRoles, fairness = true, random, ...options }: AccessOptions): Enter {
  const authenticate = authentication(options);
  const classify = fairness ? classifier() : undefined;
  return async (message, handle, headers) => {
    const { method, url } = message;
    // WithAuditInit and WithCacheControl: whatever is answered.
    headers["audit-id"] = message.headers["audit-id"]?.slice(0, AUDIT_ID_MAX) ?? newUid(random);
    headers["cache-control"] = "no-cache, private";
    const user = await impersonated(await authenticate(message, handle), message.headers, url.split("?")[0]!, (attributes) => authorizer(attributes, handle));
    if ("status" in user) return user;
    const attributes = attributesOf({ method, path: url }, user);
    if (classify !== undefined) Object.assign(headers, await classify(attributes, handle));
    const { allowed, reason } = await authorizer(attributes, handle);
    if (!allowed) throw forbidden(attributes, reason);
    return user;
  };
}
