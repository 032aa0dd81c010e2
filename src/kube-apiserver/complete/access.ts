/**
 * The links of the handler chain before the API itself: authentication, impersonation, classification, authorisation. Follows
 * k8s.io/apiserver/pkg/server/config.go (DefaultBuildHandlerChain).
 */
import { newUid } from "../../apimachinery/names.ts";
import type { Random } from "../../time/clock.ts";
import type { HttpAnswer, HttpMessage } from "../../client/transport.ts";
import type { Enter, Exchange } from "../http.ts";
import { attributesOf, isLongRunning } from "./attributes.ts";
import type { Attributes } from "./attributes.ts";
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
  /** `--enable-priority-and-fairness`: whether answers tell their flow schema and priority level. */
  readonly fairness?: boolean;
  /** `--max-requests-inflight` and `--max-mutating-requests-inflight`, which hold where there is no fairness; 0: no limit. */
  readonly inFlight?: { readonly reads: number; readonly writes: number };
}

/** Of clients' own audit ids no more is kept. */
const AUDIT_ID_MAX = 64;

export function createAccess({ authorizer = byRoles, fairness = true, inFlight = { reads: 0, writes: 0 }, random, ...options }: AccessOptions): Enter {
  const authenticate = authentication(options);
  const classify = fairness ? classifier() : undefined;
  const limit = fairness ? undefined : limiter(inFlight);
  return async (message, handle, exchange) => {
    const { method, url } = message;
    const { headers } = exchange;
    // WithAuditInit and WithCacheControl: whatever is answered.
    headers["audit-id"] = message.headers["audit-id"]?.slice(0, AUDIT_ID_MAX) ?? newUid(random);
    headers["cache-control"] = "no-cache, private";
    if (isForEyes(message)) exchange.shape = indented;
    const user = await impersonated(await authenticate(message, handle), message.headers, url.split("?")[0]!, (attributes) => authorizer(attributes, handle));
    if ("status" in user) return user;
    const attributes = attributesOf({ method, path: url }, user);
    if (classify !== undefined) Object.assign(headers, await classify(attributes, handle));
    const tooMany = limit?.(attributes, exchange);
    if (tooMany !== undefined) return tooMany;
    const { allowed, reason } = await authorizer(attributes, handle);
    if (!allowed) throw forbidden(attributes, reason);
    return user;
  };
}

/** Whether JSON is to be read by people. Follows pkg/endpoints/handlers/negotiation (isPrettyPrint). */
function isForEyes({ url, headers }: HttpMessage): boolean {
  // The version is written for people always (routes/version.go).
  if (url.split("?")[0] === "/version") return true;
  const asked = /[?&]pretty=([^&]*)/.exec(url)?.[1] ?? "";
  if (/^(?:1|t|T|TRUE|true|True|0|f|F|FALSE|false|False)$/.test(asked)) return /^[1tT]/.test(asked);
  return /^(?:curl|Wget|Mozilla\/5\.0)/.test(headers["user-agent"] ?? "") && !url.startsWith("/openapi/");
}

const indented = (answer: HttpAnswer): HttpAnswer =>
  typeof answer.body === "string" && /^application\/json\b/.test(answer.headers["content-type"] ?? "") ? { ...answer, body: JSON.stringify(JSON.parse(answer.body), undefined, 2) } : answer;

const READS = new Set(["get", "list", "watch"]);

/** Follows k8s.io/apiserver/pkg/server/filters/maxinflight.go (WithMaxInFlightLimit). */
function limiter(max: { readonly reads: number; readonly writes: number }): (attributes: Attributes, exchange: Exchange) => HttpAnswer | undefined {
  const now = { reads: 0, writes: 0 };
  return ({ verb, subresource, user }, exchange) => {
    if (isLongRunning(verb, subresource)) return undefined;
    const sort = READS.has(verb) ? "reads" : "writes";
    if (max[sort] === 0) return undefined;
    if (now[sort] < max[sort]) {
      now[sort]++;
      exchange.done = () => void now[sort]--;
      return undefined;
    }
    // The administrator always gets an answer.
    if (user.groups.includes("system:masters")) return undefined;
    return { status: 429, headers: { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff", "retry-after": "1" }, body: "Too many requests, please try again later.\n" };
  };
}
