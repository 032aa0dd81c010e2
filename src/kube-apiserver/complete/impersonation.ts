/** Acting as somebody else. Follows k8s.io/apiserver/pkg/endpoints/filters/impersonation.go. */
import type { HttpAnswer, UserInfo } from "../../client/transport.ts";
import type { Attributes } from "./attributes.ts";
import { forbidden } from "./authorization.ts";
import type { Decision } from "./rbac.ts";

interface Reference {
  readonly kind: "User" | "ServiceAccount" | "Group" | "UserExtra" | "UID";
  readonly namespace?: string;
  readonly name: string;
  readonly key?: string;
}

const ACCOUNT = /^system:serviceaccount:([^:]+):([^:]+)$/;
const EXTRA = "impersonate-extra-";
const AUTHENTICATION_GROUP: Readonly<Record<string, string>> = { UserExtra: "authentication.k8s.io/v1", UID: "authentication.k8s.io/v1" };
const RESOURCES = { User: "users", ServiceAccount: "serviceaccounts", Group: "groups", UserExtra: "userextras", UID: "uids" } as const;

/** Whom a request is meant to come from: `user` itself where it does not say. Throws 403; an answer is the refusal of what makes no sense. */
export async function impersonated(user: UserInfo, headers: Readonly<Record<string, string>>, path: string, authorize: (attributes: Attributes) => Decision | Promise<Decision>): Promise<UserInfo | HttpAnswer> {
  const wanted = references(headers);
  if (wanted.length === 0) return user;
  if (!wanted.some(({ kind }) => kind === "User" || kind === "ServiceAccount")) {
    const shown = wanted.map(({ kind, namespace = "", name, key = "" }) => `{${kind} ${namespace} ${name}  ${AUTHENTICATION_GROUP[kind] ?? ""}  ${key}}`).join(" ");
    const body = `Internal Server Error: ${JSON.stringify(path)}: requested [${shown}] without impersonating a user\n`;
    return { status: 500, headers: { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" }, body };
  }
  let name = "";
  let uid: string | undefined;
  const groups: string[] = [];
  const extra: Record<string, string[]> = {};
  for (const reference of wanted) {
    const { kind, namespace = "", name: of, key = "" } = reference;
    const attributes: Attributes = {
      user, verb: "impersonate", path: "", namespace, apiGroup: AUTHENTICATION_GROUP[kind] === undefined ? "" : "authentication.k8s.io", apiVersion: AUTHENTICATION_GROUP[kind] === undefined ? "" : "v1",
      resource: RESOURCES[kind], subresource: key, name: of, fieldSelector: "",
    };
    const { allowed, reason } = await authorize(attributes);
    if (!allowed) throw forbidden(attributes, reason);
    switch (kind) {
      case "User": name = of; break;
      case "ServiceAccount":
        name = `system:serviceaccount:${namespace}:${of}`;
        if (!wanted.some(({ kind }) => kind === "Group")) groups.push("system:serviceaccounts", `system:serviceaccounts:${namespace}`);
        break;
      case "Group": groups.push(of); break;
      case "UserExtra": (extra[key] ??= []).push(of); break;
      case "UID": uid = of;
    }
  }
  if (name === "system:anonymous") {
    if (!groups.includes("system:unauthenticated")) groups.push("system:unauthenticated");
  } else if (!groups.includes("system:authenticated") && !groups.includes("system:unauthenticated")) groups.push("system:authenticated");
  return { name, groups, ...(uid === undefined ? {} : { uid }), ...(Object.keys(extra).length === 0 ? {} : { extra }) };
}

function references(headers: Readonly<Record<string, string>>): Reference[] {
  const found: Reference[] = [];
  const user = headers["impersonate-user"] ?? "";
  if (user !== "") {
    const [, namespace, name] = ACCOUNT.exec(user) ?? [];
    found.push(namespace === undefined ? { kind: "User", name: user } : { kind: "ServiceAccount", namespace, name: name! });
  }
  for (const name of (headers["impersonate-group"] ?? "").split(", ")) if (name !== "") found.push({ kind: "Group", name });
  for (const header in headers) {
    if (!header.startsWith(EXTRA)) continue;
    const key = unescaped(header.slice(EXTRA.length)).toLowerCase();
    for (const name of headers[header]!.split(", ")) found.push({ kind: "UserExtra", name, key });
  }
  const uid = headers["impersonate-uid"] ?? "";
  if (uid !== "") found.push({ kind: "UID", name: uid });
  return found;
}

/** Keys with other characters than those of headers come percent-encoded. */
function unescaped(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}
