/**
 * From method and path to what is asked for. Follows
 * k8s.io/apiserver/pkg/endpoints/request/requestinfo.go.
 */
import { newBadRequest, newPathNotFound } from "../apimachinery/status.ts";
import type { ApiRequest } from "../client/transport.ts";
import type { Descriptor } from "./registry/descriptor.ts";

export type Verb = "create" | "get" | "list" | "watch" | "update" | "patch" | "delete" | "deletecollection";

export interface RequestInfo {
  readonly verb: Verb;
  readonly descriptor: Descriptor;
  /** "" for cluster-scoped resources and for lists across namespaces. */
  readonly namespace: string;
  /** "" for collections. */
  readonly name: string;
  /** "" for the object itself. */
  readonly subresource: string;
  readonly query: URLSearchParams;
  /** What the answer, or the refusal, warns of: texts of RFC 9111's 299. Whoever handles the request adds to them. */
  readonly warnings: string[];
}

/** The resources by `group/version/plural`. */
export type Routes = ReadonlyMap<string, Descriptor>;

export function routesOf(registry: readonly Descriptor[]): Routes {
  return new Map(registry.map((d) => [`${d.name.group}/${d.name.version}/${d.name.resource}`, d]));
}

const NO_QUERY = new URLSearchParams();

/** Path and query apart. */
export function splitPath(path: string): { path: string; query: URLSearchParams } {
  const mark = path.indexOf("?");
  return mark < 0 ? { path, query: NO_QUERY } : { path: path.slice(0, mark), query: new URLSearchParams(path.slice(mark + 1)) };
}

/** Throws the 404 of an unknown path. */
export function requestInfo(routes: Routes, request: ApiRequest): RequestInfo {
  const { path, query } = splitPath(request.path);
  const parts = path.includes("%") ? path.split("/").map(decode) : path.split("/");
  // ["", "api", version, …] or ["", "apis", group, version, …]
  const core = parts[1] === "api";
  if (!core && parts[1] !== "apis") throw newPathNotFound();
  const group = core ? "" : parts[2] ?? "";
  const at = core ? 2 : 3;
  const version = parts[at] ?? "";
  let rest = parts.slice(at + 1);
  // The old way to watch: `/api/v1/watch/…`.
  const watch = rest[0] === "watch" && rest.length > 1 && request.method === "GET";
  if (watch) rest = rest.slice(1);
  let namespace = "";
  if (rest[0] === "namespaces" && rest.length > 2 && !NAMESPACE_SUBRESOURCES.has(rest[2]!)) {
    namespace = rest[1]!;
    rest = rest.slice(2);
  }
  const descriptor = routes.get(`${group}/${version}/${rest[0] ?? ""}`);
  if (descriptor === undefined || (rest.length > 3 && rest[2] !== "proxy")) throw newPathNotFound();
  if (namespace !== "" && !descriptor.name.namespaced) throw newPathNotFound();
  const name = rest[1] ?? "";
  if (descriptor.name.namespaced && name !== "" && namespace === "") throw newPathNotFound();
  const subresource = rest[2] ?? "";
  if (watch) {
    const one = new URLSearchParams(query);
    if (name !== "") one.set("fieldSelector", `metadata.name=${name}`);
    return { verb: "watch", descriptor, namespace, name: "", subresource, query: one, warnings: [] };
  }
  return { verb: verbOf(request.method, name, query), descriptor, namespace, name, subresource, query, warnings: [] };
}

const NAMESPACE_SUBRESOURCES = new Set(["status", "finalize"]);

function decode(part: string): string {
  if (!part.includes("%")) return part;
  try {
    return decodeURIComponent(part);
  } catch {
    throw newBadRequest("invalid URL escape");
  }
}

function verbOf(method: ApiRequest["method"], name: string, query: URLSearchParams): Verb {
  switch (method) {
    case "POST": return "create";
    case "PUT": return "update";
    case "PATCH": return "patch";
    case "DELETE": return name === "" ? "deletecollection" : "delete";
    default: return name !== "" ? "get" : isTrue(query.get("watch")) ? "watch" : "list";
  }
}

/** How Go's query decoder reads booleans: present and neither false nor 0. */
export function isTrue(value: string | null): boolean {
  return value !== null && value !== "false" && value !== "0";
}

/** An integer parameter. Throws 400 with strconv's words. */
export function intParam(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === "") return undefined;
  if (!/^[+-]?\d+$/.test(text)) throw newBadRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  return Number(text);
}
