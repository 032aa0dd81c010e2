/**
 * The links of the handler chain before the API itself: authentication, impersonation, classification, authorisation. Follows
 * k8s.io/apiserver/pkg/server/config.go (DefaultBuildHandlerChain).
 */
import type { Enter } from "../http.ts";
import { attributesOf } from "./attributes.ts";
import { authentication } from "./authentication.ts";
import type { AuthenticationOptions } from "./authentication.ts";
import { fixedPolicy, forbidden } from "./authorization.ts";
import type { Authorizer } from "./authorization.ts";
import { classifier } from "./flow-schemas.ts";
import { impersonated } from "./impersonation.ts";

export interface AccessOptions extends AuthenticationOptions {
  /** By default what cannot be taken away from anybody. */
  readonly authorizer?: Authorizer;
  /** `--enable-priority-and-fairness`. */
  readonly fairness?: boolean;
}

export function createAccess({ authorizer = fixedPolicy, fairness = true, ...options }: AccessOptions): Enter {
  const authenticate = authentication(options);
  const classify = fairness ? classifier() : undefined;
  return async (message, handle, headers) => {
    const { method, url } = message;
    const user = await impersonated(await authenticate(message, handle), message.headers, url.split("?")[0]!, authorizer);
    if ("status" in user) return user;
    const attributes = attributesOf({ method, path: url }, user);
    if (classify !== undefined) Object.assign(headers, await classify(attributes, handle));
    if (!(await authorizer(attributes))) throw forbidden(attributes);
    return user;
  };
}

/** The administrator, by a token alone. */
export const onlyToken = (token: string): Enter =>
  createAccess({ tokens: new Map([[token, { name: "kubernetes-admin", groups: ["system:masters"] }]]), anonymous: true });
