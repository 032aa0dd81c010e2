/**
 * OpenAPI v3 documents of what is served: one per group and version, one per group, and those of single paths. Follows
 * k8s.io/kube-openapi/pkg/builder3 and, for custom resources, k8s.io/apiextensions-apiserver/pkg/controller/openapi/builder.
 */
import { typeOf } from "../registry/descriptor.ts";
import type { Descriptor } from "../registry/descriptor.ts";
import { discovered } from "./discovery.ts";
import { closure, nameOfKind, openapiFacts, reference, schemaOf, textOf } from "./openapi-schemas.ts";
import type { Json } from "./openapi-schemas.ts";
import { pathItem, rootItem, singleItem, SINGLE_DOCUMENTS } from "./openapi-paths.ts";

export interface Document {
  readonly openapi: "3.0.0";
  readonly info: Json;
  readonly paths: Json;
  readonly components: { readonly schemas: Json; readonly securitySchemes: Json };
}

const META = "io.k8s.apimachinery.pkg.apis.meta.v1.";

/** The document of that name (`api/v1`, `apis/apps`, `version`), undefined when there is none. */
export function buildDocument(name: string, registry: readonly Descriptor[]): Document | undefined {
  if (SINGLE_DOCUMENTS[name] !== undefined) {
    const { paths, types } = singleItem(name);
    return document(paths, types, {});
  }
  const [root = "", ...rest] = name.split("/");
  const [group = "", version = ""] = root === "api" ? ["", rest[0]] : rest;
  if (root === "apis" && version === "") return document(rootItem(`/${name}/`, group, ""), [`${META}APIGroup`], {});
  const found = discovered(registry).find((d) => d.group === group && d.version === version);
  if (found === undefined) return undefined;
  const descriptors = registry.filter((d) => d.name.group === group && d.name.version === version);
  const custom = descriptors.filter((d) => d.custom !== undefined);
  const schemas: Json = {};
  for (const descriptor of custom) Object.assign(schemas, customSchemas(descriptor));
  const paths: Json = rootItem(`/${name}/`, group, version);
  const resources = new Map(found.resources.map((resource) => [resource.resource, resource]));
  for (const [path, methods] of Object.entries(custom.length > 0 ? customPaths(name, custom) : builtInPaths(name))) {
    const resource = resources.get(/^(?:watch\/)?(?:namespaces\/\{namespace\}\/)?([^/]+)/.exec(path.slice(name.length + 2))?.[1] ?? "");
    const descriptor = descriptors.find((d) => d.name.resource === resource?.resource);
    if (resource === undefined) continue;
    paths[path] = pathItem({
      path, group, version, methods, kind: resource.kind, namespaced: resource.namespaced, custom: custom.length > 0,
      typeOf: (g, v, kind) => (schemas[customName(g, v, kind)] === undefined ? nameOfKind(g, v, kind) : customName(g, v, kind)),
      returnsDeleted: descriptor?.returnsDeleted === true && group !== "apiextensions.k8s.io", watchable: resource.verbs.includes("watch"),
    });
  }
  return document(paths, referred(paths), schemas);
}

function document(paths: Json, types: Iterable<string>, custom: Json): Document {
  const schemas: Json = { ...custom };
  for (const name of [...closure([...types, ...referred(custom)])].sort()) schemas[name] = schemaOf(name);
  return {
    openapi: "3.0.0", info: { title: "Kubernetes", version: "1.32" }, paths,
    components: { schemas, securitySchemes: { BearerToken: { type: "apiKey", description: "Bearer Token authentication", name: "authorization", in: "header" } } },
  };
}

/** The names of all documents, in the order of the index. */
export function documentNames(registry: readonly Descriptor[]): string[] {
  const names = new Set(Object.keys(SINGLE_DOCUMENTS));
  for (const { group, version } of discovered(registry)) {
    if (group !== "") names.add(`apis/${group}`);
    names.add(group === "" ? `api/${version}` : `apis/${group}/${version}`);
  }
  return [...names].sort();
}

/** The types that references lead to. */
function referred(value: Json): Set<string> {
  return new Set(Array.from(JSON.stringify(value).matchAll(/"#\/components\/schemas\/([^"]+)"/g), (m) => m[1]!));
}

type Methods = Readonly<Record<string, readonly [string, string]>>;

function builtInPaths(name: string): Record<string, Methods> {
  return Object.fromEntries(Object.entries(openapiFacts().paths).filter(([path]) => path.startsWith(`/${name}/`) && path !== `/${name}/`));
}

function customPaths(name: string, descriptors: readonly Descriptor[]): Record<string, Methods> {
  const out: Record<string, Methods> = {};
  for (const { name: { group, version, kind, resource, namespaced }, hasStatus, scalable } of descriptors) {
    const gvk = `${group}/${version}/${kind}`;
    const base = `/${name}/${namespaced ? "namespaces/{namespace}/" : ""}${resource}`;
    out[base] = { get: ["list", gvk], post: ["post", gvk], delete: ["deletecollection", gvk] };
    out[`${base}/{name}`] = { get: ["get", gvk], put: ["put", gvk], patch: ["patch", gvk], delete: ["delete", gvk] };
    const part: Methods = { get: ["get", gvk], put: ["put", gvk], patch: ["patch", gvk] };
    if (hasStatus) out[`${base}/{name}/status`] = part;
    if (scalable === true) out[`${base}/{name}/scale`] = { get: ["get", "autoscaling/v1/Scale"], put: ["put", "autoscaling/v1/Scale"], patch: ["patch", "autoscaling/v1/Scale"] };
    if (namespaced) out[`/${name}/${resource}`] = { get: ["list", gvk] };
  }
  return out;
}

/** The name of a custom resource's type: the group's parts in reverse. */
const customName = (group: string, version: string, kind: string): string => `${group.split(".").reverse().join(".")}.${version}.${kind}`;

const CONVENTIONS = "More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md";

/** A custom resource and its list. */
function customSchemas(descriptor: Descriptor): Json {
  const { group, version, kind, resource, listKind = `${kind}List` } = descriptor.name;
  const name = customName(group, version, kind);
  const type = { apiVersion: { type: "string", ...textOf("io.k8s.api.core.v1.Pod", "apiVersion") }, kind: { type: "string", ...textOf("io.k8s.api.core.v1.Pod", "kind") } };
  const schema = descriptor.custom!.openapi as Json;
  const gvk = (of: string): Json => ({ "x-kubernetes-group-version-kind": [{ group, kind: of, version }] });
  return {
    [name]: {
      ...schema, type: "object",
      properties: { ...(schema["properties"] as Json | undefined), ...type, metadata: { ...textOf("io.k8s.api.core.v1.Pod", "metadata"), allOf: [reference(`${META}ObjectMeta`)] } },
      ...gvk(kind),
    },
    [`${name}List`]: {
      description: `${kind}List is a list of ${kind}`, type: "object", required: ["items"],
      properties: {
        ...type,
        items: { description: `List of ${resource}. ${CONVENTIONS}`, type: "array", items: reference(name) },
        metadata: { description: `Standard list metadata. ${CONVENTIONS}#types-kinds`, allOf: [reference(`${META}ListMeta`)] },
      },
      ...gvk(listKind),
    },
  };
}

/** What a document's content depends on beside this server's version. */
export function ingredients(name: string, registry: readonly Descriptor[]): string {
  const custom = registry.filter((d) => d.custom !== undefined && name === `apis/${d.name.group}/${d.name.version}`);
  return `${name} v1.32.13 ${JSON.stringify(custom.map((d) => [d.name, d.hasStatus, d.scalable, d.custom!.openapi, typeOf(d)]))}`;
}
