/**
 * The paths of OpenAPI documents: operations with their parameters, bodies and answers. Follows
 * k8s.io/apiserver/pkg/endpoints/installer.go (registerResourceHandlers) and k8s.io/kube-openapi/pkg/builder3 (which lifts the parameters
 * that all operations of a path have).
 */
import { parameterText, reference } from "./openapi-schemas.ts";
import type { Json } from "./openapi-schemas.ts";

/** What is asked of one path: its methods, each with its action and kind. */
export interface PathFacts {
  readonly path: string;
  readonly group: string;
  readonly version: string;
  readonly methods: Readonly<Record<string, readonly [action: string, gvk: string]>>;
  /** The kind of the resource itself, whatever a subresource's is. */
  readonly kind: string;
  /** Names of types by kind: of a custom resource, or of the API's own. */
  readonly typeOf: (group: string, version: string, kind: string) => string | undefined;
  /** Whether a deletion answers with the object. */
  readonly returnsDeleted: boolean;
  readonly watchable: boolean;
  readonly namespaced: boolean;
  readonly custom: boolean;
}

const META = "io.k8s.apimachinery.pkg.apis.meta.v1.";
const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** The group in operations' names: `rbac.authorization.k8s.io` is `rbacAuthorization`. */
export function groupName(group: string): string {
  if (group === "") return "core";
  const parts = group.replace(/\.k8s\.io$/, "").split(/[.-]/);
  return parts.map((part, i) => (i === 0 ? part : capital(part))).join("");
}

const TYPES: Readonly<Record<string, Json>> = { b: { type: "boolean", uniqueItems: true }, i: { type: "integer", uniqueItems: true }, s: { type: "string", uniqueItems: true } };
const BOOLEANS = new Set(["allowWatchBookmarks", "sendInitialEvents", "watch", "force", "ignoreStoreReadErrorWithClusterBreakingPotential", "orphanDependents",
  "follow", "insecureSkipTLSVerifyBackend", "previous", "timestamps", "stderr", "stdin", "stdout", "tty"]);
const INTEGERS = new Set(["limit", "timeoutSeconds", "gracePeriodSeconds", "limitBytes", "sinceSeconds", "tailLines", "ports"]);

/** A parameter of the query; `of` is where its text stands, if not under its name. */
function query(name: string, of = name): Json {
  const description = parameterText(of);
  return { name, in: "query", ...(description === undefined ? {} : { description }), schema: TYPES[BOOLEANS.has(name) ? "b" : INTEGERS.has(name) ? "i" : "s"] };
}

const inPath = (name: string, description: string): Json => ({ name, in: "path", description, required: true, schema: TYPES["s"] });

const LIST = ["allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion", "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds", "watch"];
const WRITE = ["dryRun", "fieldManager", "fieldValidation"];
const DELETE = ["dryRun", "gracePeriodSeconds", "ignoreStoreReadErrorWithClusterBreakingPotential", "orphanDependents", "propagationPolicy"];
const COLLECTION = [...DELETE, "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion", "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds"];
const LOG = ["container", "follow", "insecureSkipTLSVerifyBackend", "limitBytes", "previous", "sinceSeconds", "stream", "tailLines", "timestamps"];
const CONNECT: Readonly<Record<string, readonly string[]>> = {
  PodExecOptions: ["command", "container", "stderr", "stdin", "stdout", "tty"], PodAttachOptions: ["container", "stderr", "stdin", "stdout", "tty"],
  PodPortForwardOptions: ["ports"], PodProxyOptions: ["path"], ServiceProxyOptions: ["path"], NodeProxyOptions: ["path"],
};

const OBJECT = ["application/json", "application/vnd.kubernetes.protobuf", "application/yaml"];
const CUSTOM_OBJECT = ["application/json", "application/yaml"];
const STREAMS = ["application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"];
const PATCHES = ["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json"];

const contentOf = (types: readonly string[], schema: Json): Json => Object.fromEntries(types.map((type) => [type, { schema }]));
const UNAUTHORIZED = { 401: { description: "Unauthorized" } };
const CODES: Readonly<Record<string, string>> = { 200: "OK", 201: "Created", 202: "Accepted" };
const responses = (codes: readonly number[], content: Json): Json => ({ ...Object.fromEntries(codes.map((code) => [code, { description: CODES[code], content }])), ...UNAUTHORIZED });

/** The item of a path. */
export function pathItem(facts: PathFacts): Json {
  const item: Record<string, Json & { parameters: Json[] }> = {};
  for (const [method, [action, gvk]] of Object.entries(facts.methods)) item[method] = operation(facts, method, action, gvk);
  const [, kindName = ""] = /\/([^/]*)$/.exec(Object.values(facts.methods)[0]?.[1] ?? "") ?? [];
  const common: Json[] = [];
  const { path } = facts;
  const log = path.endsWith("/log");
  const connects = Object.values(facts.methods).some(([action]) => action === "connect");
  if (path.includes("{name}")) common.push(inPath("name", `name of the ${kindName}`));
  if (path.includes("{namespace}")) common.push(inPath("namespace", parameterText("namespace") ?? ""));
  if (path.endsWith("{path}")) common.push(inPath("path", "path to the resource"));
  if (!connects) common.push(query("pretty"));
  // What all operations share stands at the path.
  const [first, ...others] = Object.values(item);
  for (const parameter of first?.parameters ?? []) {
    const text = JSON.stringify(parameter);
    if (others.every(({ parameters }) => parameters.some((one) => JSON.stringify(one) === text))) common.push(parameter);
  }
  const lifted = new Set(common.map((parameter) => JSON.stringify(parameter)));
  const out: Json = {};
  for (const [method, { parameters, ...rest }] of Object.entries(item)) {
    const own = parameters.filter((parameter) => !lifted.has(JSON.stringify(parameter)));
    out[method] = { ...rest, ...(own.length === 0 ? {} : { parameters: sorted(own) }) };
  }
  if (log) for (const name of LOG) common.push(query(name));
  return { ...out, parameters: sorted(common) };
}

const sorted = (parameters: Json[]): Json[] => parameters.sort((a, b) => (a["name"] === b["name"] ? (String(a["in"]) < String(b["in"]) ? -1 : 1) : String(a["name"]) < String(b["name"]) ? -1 : 1));

function operation(facts: PathFacts, method: string, action: string, gvk: string): Json & { parameters: Json[] } {
  const { path, group, version, kind, typeOf, custom } = facts;
  const [g = "", v = "", k = ""] = gvk.split("/");
  const type = typeOf(g, v, k) ?? "";
  const inNamespace = path.includes("{namespace}");
  const watching = /^\/apis?\/(?:[^/]+\/)?v[^/]+\/watch\//.test(path);
  const sub = /\{name\}\/([^/]+)/.exec(path)?.[1] ?? "";
  const scope = inNamespace ? "Namespaced" : "";
  const everywhere = !inNamespace && !path.includes("{name}") && facts.methods["post"] === undefined && path.split("/").length === (group === "" ? 4 : 5) + (watching ? 1 : 0) && facts.namespaced ? "ForAllNamespaces" : "";
  const title = `${capital(groupName(group))}${capital(version)}`;
  const id = (verb: string, middle = "", suffix = ""): string => `${verb}${title}${middle}${scope}${kind}${suffix}`;
  const own = capital(sub);
  const object = custom ? CUSTOM_OBJECT : OBJECT;
  const about = {
    tags: [`${groupName(group)}_${version}`],
    "x-kubernetes-action": action, "x-kubernetes-group-version-kind": { group: g, version: v, kind: k },
  };
  const answer = (codes: readonly number[], name: string): Json => responses(codes, contentOf(object, reference(name)));
  const body = (name: string, required = true): Json => ({ requestBody: { content: contentOf(["*/*"], reference(name)), ...(required ? { required: true } : {}) } });
  switch (action) {
    case "get":
      if (sub === "log") return { ...about, description: `read log of the specified ${kind}`, operationId: id("read", "", "Log"), parameters: [], responses: responses([200], contentOf([...OBJECT, "text/plain"], { type: "string" })) };
      return {
        ...about, description: sub === "" ? `read the specified ${kind}` : `read ${sub} of the specified ${kind}`, operationId: id("read", "", own),
        parameters: custom ? [query("resourceVersion")] : [], responses: answer([200], type),
      };
    case "list": {
      const content = contentOf([...object, ...(custom ? [] : STREAMS)], reference(`${type}List`));
      return { ...about, description: `${facts.watchable ? "list or watch" : "list"} objects of kind ${kind}`, operationId: id("list", "", everywhere), parameters: LIST.map((name) => query(name)), responses: responses([200], content) };
    }
    case "watch": case "watchlist":
      return {
        ...about,
        description: action === "watch" ? `watch changes to an object of kind ${kind}. deprecated: use the 'watch' parameter with a list operation instead, filtered to a single item with the 'fieldSelector' parameter.`
          : `watch individual changes to a list of ${kind}. deprecated: use the 'watch' parameter with a list operation instead.`,
        operationId: id("watch", "", action === "watch" ? "" : `List${everywhere}`),
        parameters: LIST.map((name) => query(name)), responses: responses([200], contentOf([...object, ...STREAMS], reference(`${META}WatchEvent`))),
      };
    case "post":
      return {
        ...about, description: sub === "" ? `create ${article(kind)} ${kind}` : `create ${sub} of ${article(kind)} ${kind}`, operationId: id("create", "", own),
        parameters: WRITE.map((name) => query(name)), ...body(type), responses: answer([200, 201, 202], type),
      };
    case "put":
      return {
        ...about, description: sub === "" ? `replace the specified ${kind}` : `replace ${sub} of the specified ${kind}`, operationId: id("replace", "", own),
        parameters: WRITE.map((name) => query(name)), ...body(type), responses: answer([200, 201], type),
      };
    case "patch":
      return {
        ...about, description: sub === "" ? `partially update the specified ${kind}` : `partially update ${sub} of the specified ${kind}`, operationId: id("patch", "", own),
        parameters: [query("dryRun"), query("fieldManager", "patch.fieldManager"), query("fieldValidation"), query("force")],
        requestBody: { content: contentOf(custom ? PATCHES.slice(0, 3) : PATCHES, reference(`${META}Patch`)), required: true },
        responses: custom ? answer([200], type) : answer([200, 201], type),
      };
    case "delete":
      return {
        ...about, description: `delete ${article(kind)} ${kind}`, operationId: id("delete"), parameters: DELETE.map((name) => query(name)),
        ...body(`${META}DeleteOptions`, false), responses: answer([200, 202], facts.returnsDeleted ? type : `${META}Status`),
      };
    case "deletecollection":
      return {
        ...about, description: `delete collection of ${kind}`, operationId: id("delete", "Collection"), parameters: (custom ? LIST : COLLECTION).map((name) => query(name)),
        ...(custom ? {} : body(`${META}DeleteOptions`, false)), responses: answer([200], `${META}Status`),
      };
    default: {
      const at = path.endsWith("{path}") ? "WithPath" : "";
      return {
        ...about, description: `connect ${method.toUpperCase()} requests to ${sub} of ${kind}`, operationId: id("connect", capital(method), `${capital(sub)}${at}`),
        parameters: (CONNECT[k] ?? []).map((name) => query(name, `${k}.${name}`)), responses: responses([200], contentOf(["*/*"], { type: "string" })),
      };
    }
  }
}

const article = (kind: string): string => (/^[AEIOU]/.test(kind) ? "an" : "a");

/** A group's or version's own path: what it lists. */
export function rootItem(path: string, group: string, version: string): Json {
  const tag = version === "" ? groupName(group) : `${groupName(group)}_${version}`;
  const [description, id, type] = version === "" ? ["get information of a group", `get${capital(groupName(group))}APIGroup`, `${META}APIGroup`]
    : ["get available resources", `get${capital(groupName(group))}${capital(version)}APIResources`, `${META}APIResourceList`];
  return { [path]: { get: { tags: [tag], description, operationId: id, responses: responses([200], contentOf(OBJECT, reference(type))) } } };
}

/** The documents that are of no version: path, tag, description, operation, type, and what it is answered in. */
export const SINGLE_DOCUMENTS: Readonly<Record<string, readonly [path: string, tag: string, description: string, id: string, type: string, types: readonly string[]]>> = {
  ".well-known/openid-configuration": ["/.well-known/openid-configuration/", "WellKnown", "get service account issuer OpenID configuration, also known as the 'OIDC discovery doc'", "getServiceAccountIssuerOpenIDConfiguration", "", ["application/json"]],
  api: ["/api/", "core", "get available API versions", "getCoreAPIVersions", `${META}APIVersions`, OBJECT],
  apis: ["/apis/", "apis", "get available API versions", "getAPIVersions", `${META}APIGroupList`, OBJECT],
  "openid/v1/jwks": ["/openid/v1/jwks/", "openid", "get service account issuer OpenID JSON Web Key Set (contains public token verification keys)", "getServiceAccountIssuerOpenIDKeyset", "", ["application/jwk-set+json"]],
  version: ["/version/", "version", "get the code version", "getCodeVersion", "io.k8s.apimachinery.pkg.version.Info", ["application/json"]],
};

export function singleItem(name: string): { paths: Json; types: string[] } {
  const [path, tag, description, operationId, type, types] = SINGLE_DOCUMENTS[name]!;
  const schema = type === "" ? { type: "string" } : reference(type);
  return { paths: { [path]: { get: { tags: [tag], description, operationId, responses: responses([200], contentOf(types, schema)) } } }, types: type === "" ? [] : [type] };
}
