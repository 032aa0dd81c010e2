/**
 * Who may do what, and who asks: SubjectAccessReview and its kin, TokenReview, SelfSubjectReview. Follows pkg/registry/authorization and
 * pkg/registry/authentication, pkg/apis/authorization/validation.
 */
import type { KubeObject } from "../../apimachinery/meta.ts";
import { newBadRequest, newInvalid } from "../../apimachinery/status.ts";
import { formatTime } from "../../apimachinery/time.ts";
import type { ApiResponse } from "../../client/transport.ts";
import { decideAccess } from "../complete/authorization.ts";
import { rulesFor } from "../complete/rbac.ts";
import type { Answering } from "../extension.ts";
import { FieldErrors } from "../field.ts";
import { decodeBody, managedOf } from "./body.ts";
import { authenticateToken } from "./token.ts";

const AUTHORIZATION = "authorization.k8s.io";
const AUTHENTICATION = "authentication.k8s.io";

export const REVIEWS: readonly { group: string; kind: string; resource: string; namespaced: boolean }[] = [
  { group: AUTHENTICATION, kind: "SelfSubjectReview", resource: "selfsubjectreviews", namespaced: false },
  { group: AUTHENTICATION, kind: "TokenReview", resource: "tokenreviews", namespaced: false },
  { group: AUTHORIZATION, kind: "LocalSubjectAccessReview", resource: "localsubjectaccessreviews", namespaced: true },
  { group: AUTHORIZATION, kind: "SelfSubjectAccessReview", resource: "selfsubjectaccessreviews", namespaced: false },
  { group: AUTHORIZATION, kind: "SelfSubjectRulesReview", resource: "selfsubjectrulesreviews", namespaced: false },
  { group: AUTHORIZATION, kind: "SubjectAccessReview", resource: "subjectaccessreviews", namespaced: false },
];

interface Access {
  namespace?: string;
  verb?: string;
  path?: string;
  group?: string;
  version?: string;
  resource?: string;
  subresource?: string;
  name?: string;
  fieldSelector?: { rawSelector?: string; requirements?: { key: string; operator: string; values?: string[] }[] };
}

interface Review extends KubeObject {
  spec: {
    resourceAttributes?: Access; nonResourceAttributes?: Access; user?: string; groups?: string[] | null; namespace?: string;
    token?: string; audiences?: string[] | null;
  };
}

export async function review(answering: Answering): Promise<ApiResponse> {
  const { info, request, user, clock } = answering;
  const { kind, group } = info.descriptor.name;
  const object = decodeBody(kind, `${group}/v1`, request.body) as Review;
  const own = { username: user.name, ...(user.uid === undefined ? {} : { uid: user.uid }), groups: [...user.groups], ...(user.extra === undefined ? {} : { extra: user.extra }) };
  if (kind === "SelfSubjectReview") return created(answering, object, { metadata: { creationTimestamp: formatTime(clock.nowMs()) }, status: { userInfo: own } });
  const { spec } = object;
  if (kind === "TokenReview") {
    const { token = "" } = spec;
    if (token === "") throw newBadRequest("token is required for TokenReview in authentication");
    const found = await authenticateToken(answering, token, spec.audiences ?? []);
    return created(answering, object, { status: typeof found === "string" ? { user: {}, error: found } : { authenticated: true, ...found } });
  }
  if (kind === "SelfSubjectRulesReview") {
    if ((spec.namespace ?? "") === "") throw newBadRequest("no namespace on request");
    return created(answering, object, { spec: {}, status: await rulesFor(answering.storage, user, spec.namespace!) });
  }
  const errors = new FieldErrors();
  const local = kind === "LocalSubjectAccessReview";
  const { resourceAttributes: resource, nonResourceAttributes: other } = spec;
  if (resource !== undefined && other !== undefined) errors.list.push({
    type: "FieldValueInvalid", field: "spec.nonResourceAttributes",
    message: `Invalid value: authorization.NonResourceAttributes{Path:${JSON.stringify(other.path ?? "")}, Verb:${JSON.stringify(other.verb ?? "")}}: cannot be specified in combination with resourceAttributes`,
  });
  if (resource === undefined && other === undefined) errors.invalid("spec.resourceAttributes", "null", "exactly one of nonResourceAttributes or resourceAttributes must be specified");
  const self = kind === "SelfSubjectAccessReview";
  if (!self && (spec.groups ?? []).length === 0 && (spec.user ?? "") === "") errors.invalid("spec.user", spec.user ?? "", "at least one of user or group must be specified");
  if (local && resource !== undefined && (resource.namespace ?? "") !== info.namespace) errors.invalid("spec.resourceAttributes.namespace", resource.namespace ?? "", "must match metadata.namespace");
  if (local && other !== undefined) errors.forbidden("spec.nonResourceAttributes", "disallowed on this kind of request");
  if (errors.list.length > 0) {
    const error = newInvalid({ group, kind: "" }, "", errors.list);
    delete error.status.details!.kind;
    throw error;
  }
  const { allowed, reason } = await decideAccess(answering.storage, {
    user: self ? user : { name: spec.user ?? "", groups: spec.groups ?? [] },
    verb: (resource ?? other)!.verb ?? "", path: other?.path ?? "", namespace: resource?.namespace ?? "", apiGroup: resource?.group ?? "", apiVersion: resource?.version ?? "",
    resource: resource?.resource ?? "", subresource: resource?.subresource ?? "", name: resource?.name ?? "",
    fieldSelector: selectorOf(resource?.fieldSelector),
  });
  return created(answering, object, { status: { allowed, ...(reason === "" ? {} : { reason }) } });
}

/** Only what is equal narrows what a node may see. */
const selectorOf = ({ rawSelector, requirements = [] }: NonNullable<Access["fieldSelector"]> = {}): string =>
  rawSelector ?? requirements.flatMap(({ key, operator, values = [] }) => (operator === "In" && values.length === 1 ? [`${key}=${values[0]}`] : [])).join(",");

function created(answering: Answering, object: Review, { metadata = {}, ...rest }: { metadata?: object; spec?: object; status: object }): ApiResponse {
  const { kind, group } = answering.info.descriptor.name;
  const { namespace } = answering.info;
  const managed = kind === "SelfSubjectRulesReview" ? {} : managedOf(answering, kind, `${group}/v1`, object, "");
  const { spec } = object as Partial<Review>;
  return {
    status: 201, headers: {},
    body: {
      kind, apiVersion: `${group}/v1`, metadata: { ...(namespace === "" ? {} : { namespace }), creationTimestamp: null, ...metadata, ...managed },
      ...(spec === undefined || kind === "SelfSubjectReview" ? {} : { spec }), ...rest,
    },
  };
}
