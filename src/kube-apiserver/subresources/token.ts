/**
 * POST serviceaccounts/NAME/token, and what a TokenReview says of such tokens. Follows pkg/registry/core/serviceaccount/storage/token.go,
 * pkg/serviceaccount/claims.go and pkg/apis/authentication/validation. The tokens are JWTs with upstream's claims, signed with the key that
 * the platform made (RS256: `/openid/v1/jwks` verifies them), or, where chance is seeded, with a secret (HS256: nobody else does).
 */
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import type { ServiceAccount } from "../../api/types.generated.ts";
import { deepCopy, deepEqual } from "../../apimachinery/meta.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import { newUid } from "../../apimachinery/names.ts";
import { newBadRequest, newConflict, newInvalid, newNotFound } from "../../apimachinery/status.ts";
import { formatTime } from "../../apimachinery/time.ts";
import type { ApiResponse } from "../../client/transport.ts";
import type { Answering } from "../extension.ts";
import { loaded } from "../../time/loading.ts";
import { FieldErrors } from "../field.ts";
import { decodeBody, managedOf } from "./body.ts";

/** The issuer, and the only audience of the API server (`--service-account-issuer`). */
export const AUDIENCE = "https://kubernetes.default.svc";
const SECONDS_MIN = 600;
const SECONDS_MAX = 2 ** 32;
/** What clients that ask for an hour and seven seconds get (WarnOnlyBoundTokenExpirationPeriod, ExpirationExtensionSeconds). */
const WARN_ONLY_SECONDS = 3607;
const EXTENDED_SECONDS = 365 * 24 * 3600;

interface Reference {
  readonly kind?: string;
  readonly apiVersion?: string;
  readonly name?: string;
  readonly uid?: string;
}

interface Bound {
  readonly name: string;
  readonly uid: string;
}

interface Claims {
  readonly aud: readonly string[];
  readonly exp: number;
  readonly iat: number;
  readonly iss: string;
  readonly jti: string;
  readonly nbf: number;
  readonly sub: string;
  readonly "kubernetes.io": { readonly namespace: string; readonly serviceaccount: Bound; readonly pod?: Bound; readonly secret?: Bound; readonly node?: Bound; readonly warnafter?: number };
}

interface TokenRequest extends KubeObject {
  spec: { audiences?: string[] | null; expirationSeconds?: number; boundObjectRef?: Reference | null };
  status?: { token: string; expirationTimestamp: string };
}

const BINDABLE: Readonly<Record<string, { resource: string; group: string }>> = { Pod: { resource: "pods", group: "" }, Secret: { resource: "secrets", group: "" }, Node: { resource: "nodes", group: "" } };

export async function requestToken(answering: Answering): Promise<ApiResponse> {
  const { info, clock, random, find } = answering;
  const { namespace, name } = info;
  const sent = decodeBody("TokenRequest", "authentication.k8s.io/v1", answering.request.body) as TokenRequest;
  const account = (await find("serviceaccounts", namespace, name)) as (ServiceAccount & KubeObject) | undefined;
  if (account === undefined) throw newNotFound({ group: "", resource: "serviceaccounts" }, name);
  if (sent.metadata.name !== undefined && sent.metadata.name !== name) throw newBadRequest(`the name of the object (${sent.metadata.name}) does not match the name on the URL (${name})`);
  sent.spec.expirationSeconds ??= 3600;
  const { spec } = sent;
  const managed = managedOf(answering, "TokenRequest", "authentication.k8s.io/v1", sent, "token");
  // An unbound request says null here, so the place is nobody's.
  const [entry] = managed.managedFields ?? [];
  if (entry !== undefined) {
    const fields = deepCopy(entry.fieldsV1) as { "f:spec"?: { "f:boundObjectRef"?: { "."?: unknown } } };
    delete fields["f:spec"]?.["f:boundObjectRef"]?.["."];
    entry.fieldsV1 = fields as typeof entry.fieldsV1;
  }
  const seconds = spec.expirationSeconds!;
  const errors = new FieldErrors();
  if (seconds < SECONDS_MIN) errors.invalid("spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes");
  if (seconds > SECONDS_MAX) errors.invalid("spec.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds");
  if (errors.list.length > 0) throw newInvalid({ group: "authentication.k8s.io", kind: "TokenRequest" }, "", errors.list);
  const audiences = (spec.audiences ?? []).length === 0 ? [AUDIENCE] : spec.audiences!;
  const bound = await boundTo(answering, spec.boundObjectRef ?? undefined);
  const iat = Math.floor(clock.nowMs() / 1000);
  // Tokens that clients mount live longer than these think, so that old clients are not cut off.
  const extended = seconds === WARN_ONLY_SECONDS && spec.boundObjectRef?.kind === "Pod" && deepEqual(audiences, [AUDIENCE]);
  const exp = iat + (extended ? EXTENDED_SECONDS : seconds);
  const claims: Claims = {
    aud: audiences, exp, iat, iss: AUDIENCE, jti: newUid(random),
    "kubernetes.io": { namespace, ...bound, serviceaccount: { name, uid: account.metadata.uid! }, ...(extended ? { warnafter: iat + seconds } : {}) },
    nbf: iat, sub: `system:serviceaccount:${namespace}:${name}`,
  };
  const body = {
    kind: "TokenRequest", apiVersion: "authentication.k8s.io/v1",
    metadata: { name, namespace, creationTimestamp: formatTime(clock.nowMs()), ...managed },
    spec: { audiences, expirationSeconds: seconds, boundObjectRef: spec.boundObjectRef ?? null },
    status: { token: await sign(claims, await signerOf(answering)), expirationTimestamp: formatTime((iat + seconds) * 1000) },
  };
  return { status: 201, headers: {}, body };
}

async function boundTo({ info, find }: Answering, ref: Reference | undefined): Promise<{ pod?: Bound; secret?: Bound; node?: Bound }> {
  if (ref === undefined) return {};
  const known = ref.apiVersion === "v1" ? BINDABLE[ref.kind ?? ""] : undefined;
  if (known === undefined) {
    const [group = "", version = ""] = (ref.apiVersion ?? "").includes("/") ? ref.apiVersion!.split("/") : ["", ref.apiVersion ?? ""];
    throw newBadRequest(`cannot bind token to object of type ${group}/${version}, Kind=${ref.kind ?? ""}`);
  }
  const name = ref.name ?? "";
  const found = await find(known.resource, known.resource === "nodes" ? "" : info.namespace, name);
  if (found === undefined) throw newNotFound(known, name);
  const { uid } = found.metadata;
  if (ref.uid !== undefined && ref.uid !== uid) {
    const errors = `the UID in the bound object reference (${ref.uid}) does not match the UID in record. The object might have been deleted and then recreated`;
    throw newConflict(known, name, errors);
  }
  const of: Bound = { name, uid: uid! };
  if (known.resource === "secrets") return { secret: of };
  if (known.resource === "nodes") return { node: of };
  const node = (found as KubeObject & { spec: { nodeName?: string } }).spec.nodeName;
  const host = node === undefined ? undefined : await find("nodes", "", node);
  return { ...(host === undefined ? {} : { node: { name: node!, uid: host.metadata.uid! } }), pod: of };
}

/** What a token stands for, or what is wrong with it. Follows serviceaccount.JWTTokenAuthenticator and Validator. */
export async function authenticateToken(answering: Answering, token: string, audiences: readonly string[]): Promise<{ user: unknown; audiences: string[] } | string> {
  const { find, clock } = answering;
  const claims = await verify(token, await signerOf(answering));
  if (claims === undefined) return "invalid bearer token";
  const wanted = audiences.length === 0 ? [AUDIENCE] : audiences;
  const met = claims.aud.filter((audience) => wanted.includes(audience));
  if (met.length === 0) return `[invalid bearer token, token audiences ${quoted(claims.aud)} is invalid for the target audiences ${quoted(wanted)}]`;
  const now = clock.nowMs() / 1000;
  if (now > claims.exp) return "[invalid bearer token, service account token has expired]";
  const { namespace, serviceaccount, pod, secret, node } = claims["kubernetes.io"];
  const account = await find("serviceaccounts", namespace, serviceaccount.name);
  if (account === undefined) return `[invalid bearer token, serviceaccounts "${serviceaccount.name}" not found]`;
  if (account.metadata.uid !== serviceaccount.uid) return "[invalid bearer token, service account UID does not match]";
  for (const [resource, of] of [["pods", pod], ["secrets", secret]] as const) {
    if (of === undefined) continue;
    const found = await find(resource, namespace, of.name);
    if (found?.metadata.uid !== of.uid) return "[invalid bearer token, service account token has been invalidated]";
  }
  const extra: Record<string, string[]> = { "authentication.kubernetes.io/credential-id": [`JTI=${claims.jti}`] };
  if (node !== undefined) {
    extra["authentication.kubernetes.io/node-name"] = [node.name];
    extra["authentication.kubernetes.io/node-uid"] = [node.uid];
  }
  if (pod !== undefined) {
    extra["authentication.kubernetes.io/pod-name"] = [pod.name];
    extra["authentication.kubernetes.io/pod-uid"] = [pod.uid];
  }
  const user = { username: claims.sub, uid: serviceaccount.uid, groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"], extra };
  return { user, audiences: met };
}

interface Signer {
  readonly header: string;
  sign(text: string): Promise<string>;
  verify(text: string, signature: string): Promise<boolean>;
}

/** What signs for a server: the key it was given, or a secret that is the same as long as it lives, and another one for another seed. */
async function signerOf({ storage, random, serviceAccountKey }: Answering): Promise<Signer> {
  let signer = signers.get(storage);
  if (signer !== undefined) return signer;
  if (serviceAccountKey !== undefined) {
    // Made and used outside of the cluster, whose time stands still meanwhile.
    const key = await loaded(serviceAccountKey());
    signer = {
      header: headerOf(key.algorithm, key.id),
      sign: async (text) => base64url(await loaded(key.sign(encoder.encode(text)))),
      verify: (text, signature) => loaded(key.verify(encoder.encode(text), fromBase64url(signature))),
    };
  } else {
    const secret = random.fork("service-account-key").bytes(new Uint8Array(32));
    const sign = (text: string): string => base64url(hmac(sha256, secret, encoder.encode(text)));
    signer = { header: headerOf("HS256", "kubewire"), sign: (text) => Promise.resolve(sign(text)), verify: (text, signature) => Promise.resolve(sign(text) === signature) };
  }
  signers.set(storage, signer);
  return signer;
}
const signers = new WeakMap<object, Signer>();

const quoted = (list: readonly string[]): string => `[${list.map((text) => JSON.stringify(text)).join(" ")}]`;
const encoder = new TextEncoder();
const base64url = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const fromBase64url = (text: string): Uint8Array => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (char) => char.charCodeAt(0));
const headerOf = (alg: string, kid: string): string => base64url(encoder.encode(JSON.stringify({ alg, kid })));

async function sign(claims: Claims, { header, sign: signText }: Signer): Promise<string> {
  const text = `${header}.${base64url(encoder.encode(JSON.stringify(claims)))}`;
  return `${text}.${await signText(text)}`;
}

async function verify(token: string, signer: Signer): Promise<Claims | undefined> {
  const [header, payload, signature, more] = token.split(".");
  const isBase64 = (text: string): boolean => /^[-\w]+$/.test(text) && text.length % 4 !== 1;
  if (header !== signer.header || payload === undefined || signature === undefined || more !== undefined || !isBase64(payload) || !isBase64(signature)) return undefined;
  if (!(await signer.verify(`${header}.${payload}`, signature))) return undefined;
  return JSON.parse(new TextDecoder().decode(fromBase64url(payload))) as Claims;
}
