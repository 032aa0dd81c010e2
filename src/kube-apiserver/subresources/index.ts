/**
 * What is asked for beside the objects themselves: subresources that do something (eviction, tokens, logs) and the reviews, which store
 * nothing. Follows pkg/registry/core/pod/storage (eviction.go), pkg/registry/core/serviceaccount/storage (token.go),
 * pkg/registry/authorization and pkg/registry/authentication.
 */
import type { ApiResponse } from "../../client/transport.ts";
import { failure, newPathNotFound } from "../../apimachinery/status.ts";
import type { Answering } from "../extension.ts";
import type { Verb } from "../request-info.ts";
import type { Descriptor } from "../registry/descriptor.ts";
import { evict } from "./eviction.ts";
import { execOrAttach } from "./exec.ts";
import { approval } from "./approval.ts";
import { ephemeralContainers } from "./ephemeral-containers.ts";
import { proxy } from "./proxy.ts";
import { REVIEWS, review } from "./reviews.ts";
import { log, portForward } from "./streaming.ts";
import { nodeProxy } from "./node-proxy.ts";
import { requestToken } from "./token.ts";

const virtual = (group: string, kind: string, resource: string, namespaced: boolean): Descriptor => ({
  name: { group, version: "v1", kind, resource, namespaced }, storagePrefix: resource, hasStatus: false, allowUnconditionalUpdate: false, validateName: () => [],
});

/** Resources that are only ever created, and never stored. */
export const REVIEW_KINDS: readonly Descriptor[] = REVIEWS.map(({ group, kind, resource, namespaced }) => virtual(group, kind, resource, namespaced));
const REVIEWED = new Set(REVIEW_KINDS);

/** Kinds of bodies that only these take, by `apiVersion/kind`: for protobuf. */
export const BODY_KINDS: Readonly<Record<string, string>> = { "authentication.k8s.io/v1/TokenRequest": "TokenRequest", "policy/v1/Eviction": "Eviction" };

/** Adds the subresources that are parts of the object itself. */
export function withParts(descriptor: Descriptor): Descriptor {
  switch (descriptor.name.kind) {
    case "Pod": return { ...descriptor, parts: { ephemeralcontainers: ephemeralContainers } };
    case "CertificateSigningRequest": return { ...descriptor, parts: { approval } };
    default: return descriptor;
  }
}

interface Connected {
  readonly verbs: readonly Verb[];
  answer(answering: Answering): Promise<ApiResponse>;
}

const ANY: readonly Verb[] = ["get", "create", "update", "patch", "delete"];

const CONNECTED: Readonly<Record<string, Connected>> = {
  "pods/eviction": { verbs: ["create"], answer: evict },
  "serviceaccounts/token": { verbs: ["create"], answer: requestToken },
  "pods/log": { verbs: ["get"], answer: log },
  "pods/exec": { verbs: ["get", "create"], answer: execOrAttach },
  "pods/attach": { verbs: ["get", "create"], answer: execOrAttach },
  "pods/proxy": { verbs: ANY, answer: proxy },
  "services/proxy": { verbs: ANY, answer: proxy },
  "nodes/proxy": { verbs: ANY, answer: nodeProxy },
  "pods/portforward": { verbs: ["get", "create"], answer: portForward },
};

/** Answers a request, by `next` unless it is for something of this folder. */
export async function dispatch(answering: Answering, next: () => Promise<ApiResponse>): Promise<ApiResponse> {
  const { descriptor, verb } = answering.info;
  const { custom, prepare } = descriptor;
  if (prepare !== undefined) await prepare(verb);
  custom?.admit(verb);
  const response = await (answer(answering) ?? next());
  if (custom?.warning === undefined) return response;
  const warning = `299 - ${JSON.stringify(custom.warning)}`;
  const other = response.headers["warning"];
  return { ...response, headers: { ...response.headers, warning: other === undefined ? warning : `${warning}, ${other}` } };
}

/** The answer to what no verb of an object is; undefined for all others. */
function answer(answering: Answering): Promise<ApiResponse> | undefined {
  const { descriptor, subresource, verb, name } = answering.info;
  if (subresource === "") {
    if (!REVIEWED.has(descriptor)) return undefined;
    if (name !== "") throw newPathNotFound();
    if (verb !== "create") throw methodNotAllowed();
    return review(answering);
  }
  const found = descriptor.name.group === "" ? CONNECTED[`${descriptor.name.resource}/${subresource}`] : undefined;
  if (found === undefined) return undefined;
  if (!found.verbs.includes(verb)) throw methodNotAllowed();
  return found.answer(answering);
}

const methodNotAllowed = (): Error => failure(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {});
