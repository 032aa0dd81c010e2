/**
 * What a request asks for, read off its path whether or not there is such a resource: what access is decided on. Follows
 * k8s.io/apiserver/pkg/endpoints/request/requestinfo.go (NewRequestInfo).
 */
import type { ApiRequest, UserInfo } from "../../client/transport.ts";
import { splitPath } from "../request-info.ts";

/** Follows k8s.io/apiserver/pkg/authorization/authorizer.Attributes. Without `resource` it is about the path. */
export interface Attributes {
  readonly user: UserInfo;
  readonly verb: string;
  readonly path: string;
  readonly namespace: string;
  readonly apiGroup: string;
  readonly apiVersion: string;
  readonly resource: string;
  readonly subresource: string;
  readonly name: string;
  /** As it was sent, with lists and watches; "": none. */
  readonly fieldSelector: string;
}

const VERBS: Readonly<Record<string, string>> = { POST: "create", GET: "get", HEAD: "get", PUT: "update", PATCH: "patch", DELETE: "delete" };
const NAMESPACE_SUBRESOURCES = new Set(["status", "finalize"]);

export function attributesOf({ method, path: whole }: Pick<ApiRequest, "path"> & { method: string }, user: UserInfo): Attributes {
  const { path, query } = splitPath(whole);
  const other: Attributes = { user, verb: method.toLowerCase(), path: path.includes("%") ? decoded(path) : path, namespace: "", apiGroup: "", apiVersion: "", resource: "", subresource: "", name: "", fieldSelector: "" };
  let parts = path.slice(path.startsWith("/") ? 1 : 0, path.endsWith("/") ? -1 : undefined).split("/");
  if (path.includes("%")) parts = parts.map(decoded);
  const core = parts[0] === "api";
  if (parts.length < 3 || (!core && (parts[0] !== "apis" || parts.length < 4))) return other;
  const apiGroup = core ? "" : parts[1]!;
  const apiVersion = parts[core ? 1 : 2]!;
  parts = parts.slice(core ? 2 : 3);
  let verb = VERBS[method] ?? "";
  const special = parts[0] === "watch" || parts[0] === "proxy";
  if (special) {
    if (parts.length < 2) return other;
    verb = parts[0]!;
    parts = parts.slice(1);
  }
  let namespace = "";
  if (parts[0] === "namespaces" && parts.length > 1) {
    namespace = parts[1]!;
    if (parts.length > 2 && !NAMESPACE_SUBRESOURCES.has(parts[2]!)) parts = parts.slice(2);
  }
  const [resource = "", named = "", subresource = ""] = parts;
  let name = named;
  let fieldSelector = "";
  if (name === "" && verb === "get") {
    fieldSelector = query.get("fieldSelector") ?? "";
    const watch = query.get("watch");
    verb = watch !== null && watch !== "false" && watch !== "0" ? "watch" : "list";
    name = /(?:^|,)metadata\.name==?([^,=!]+)(?:,|$)/.exec(fieldSelector)?.[1] ?? "";
  }
  if (name === "" && verb === "delete") verb = "deletecollection";
  return { ...other, verb, namespace, apiGroup, apiVersion, resource, subresource: special ? "" : subresource, name, fieldSelector };
}

function decoded(part: string): string {
  if (!part.includes("%")) return part;
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

const LONG_RUNNING = new Set(["attach", "exec", "log", "portforward", "proxy"]);

/** Whether a request may go on for as long as it likes. Follows pkg/server/filters/longrunning.go (BasicLongRunningRequestCheck). */
export const isLongRunning = (verb: string, subresource: string): boolean => verb === "watch" || verb === "proxy" || LONG_RUNNING.has(subresource);
