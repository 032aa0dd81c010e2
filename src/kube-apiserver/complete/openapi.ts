/**
 * `/openapi/v3`: one document per group and version, made of the runtime schema. Follows k8s.io/kube-openapi (handler3): what kubectl
 * reads to see that the server validates fields (PATCH has the parameter), and for `explain`.
 */
import { sha512 } from "@noble/hashes/sha2.js";
import { structType } from "../../api/schema.ts";
import type { FieldType } from "../../api/schema.ts";
import type { ApiRequest, ApiResponse } from "../../client/transport.ts";
import { typeOf } from "../registry/descriptor.ts";
import type { Descriptor } from "../registry/descriptor.ts";
import { hex } from "./discovery.ts";
import { openapiV2 } from "./openapi-v2.ts";

type Json = Record<string, unknown>;

const documents = new WeakMap<readonly Descriptor[], Map<string, { text: string; hash: string }>>();

/** The answer to a path below `/openapi`, undefined when it is another one. */
export function openapi(path: string, request: ApiRequest, registry: readonly Descriptor[]): ApiResponse | undefined {
  if (path === "/openapi/v2") return openapiV2(request, registry, () => schemasOf(registry));
  if (path === "/openapi/v3") {
    const paths: Json = {};
    for (const name of groupsOf(registry).keys()) paths[name] = { serverRelativeURL: `/openapi/v3/${name}?hash=${document(name, registry).hash}` };
    return { status: 200, headers: { "content-type": "application/json" }, body: { paths } };
  }
  if (!path.startsWith("/openapi/v3/")) return undefined;
  const name = path.slice("/openapi/v3/".length);
  if (!groupsOf(registry).has(name)) return undefined;
  const { text, hash } = document(name, registry);
  const etag = `"${hash}"`;
  const headers = { "content-type": "application/json", etag, "cache-control": "public, immutable", vary: "Accept" };
  if (request.headers?.["if-none-match"] === etag) return { status: 304, headers, body: "" };
  return { status: 200, headers, body: text };
}

function groupsOf(registry: readonly Descriptor[]): Map<string, Descriptor[]> {
  const out = new Map<string, Descriptor[]>();
  for (const d of registry) {
    const name = d.name.group === "" ? `api/${d.name.version}` : `apis/${d.name.group}/${d.name.version}`;
    out.set(name, [...(out.get(name) ?? []), d]);
  }
  return out;
}

function document(name: string, registry: readonly Descriptor[]): { text: string; hash: string } {
  let known = documents.get(registry);
  if (known === undefined) documents.set(registry, (known = new Map()));
  const cached = known.get(name);
  if (cached !== undefined) return cached;
  const schemas: Json = {};
  const paths: Json = {};
  for (const d of groupsOf(registry).get(name)!) {
    addSchema(typeOf(d), schemas, d);
    const base = `/${name}${d.name.namespaced ? "/namespaces/{namespace}" : ""}/${d.name.resource}`;
    const gvk = { "x-kubernetes-group-version-kind": { group: d.name.group, version: d.name.version, kind: d.name.kind } };
    const ok = { responses: { 200: { description: "OK", content: { "application/json": { schema: ref(typeOf(d)) } } } } };
    const written = ["dryRun", "fieldManager", "fieldValidation"].map((parameter) => ({ name: parameter, in: "query", schema: { type: "string", uniqueItems: true } }));
    paths[base] = { get: { ...ok, ...gvk, "x-kubernetes-action": "list" }, post: { ...ok, ...gvk, "x-kubernetes-action": "post", parameters: written } };
    paths[`${base}/{name}`] = {
      get: { ...ok, ...gvk, "x-kubernetes-action": "get" },
      put: { ...ok, ...gvk, "x-kubernetes-action": "put", parameters: written },
      patch: { ...ok, ...gvk, "x-kubernetes-action": "patch", parameters: [...written, { name: "force", in: "query", schema: { type: "boolean", uniqueItems: true } }] },
      delete: { ...ok, ...gvk, "x-kubernetes-action": "delete" },
    };
  }
  const text = JSON.stringify({ openapi: "3.0.0", info: { title: "Kubernetes", version: "v1.32.13" }, paths, components: { schemas } });
  const made = { text, hash: hex(sha512(new TextEncoder().encode(text))) };
  known.set(name, made);
  return made;
}

const schemaName = (type: string): string => `io.kubewire.${type.replace(/#\d+$/, "").replace(/[@/]/g, ".")}`;
const ref = (type: string): Json => ({ $ref: `#/components/schemas/${schemaName(type)}` });

function addSchema(type: string, into: Json, descriptor?: Descriptor): void {
  const name = schemaName(type);
  if (into[name] !== undefined) {
    if (descriptor !== undefined) (into[name] as Json)["x-kubernetes-group-version-kind"] = [gvkOf(descriptor)];
    return;
  }
  const properties: Json = {};
  const required: string[] = [];
  if (descriptor?.custom !== undefined) {
    into[name] = customSchema(descriptor, into);
    return;
  }
  into[name] = { type: "object", properties, ...(descriptor === undefined ? {} : { "x-kubernetes-group-version-kind": [gvkOf(descriptor)] }) };
  for (const field of structType(type).fields.values()) {
    properties[field.name] = schemaOf(field.type, into, field.merge);
    if (field.required) required.push(field.name);
  }
  if (required.length > 0) (into[name] as Json)["required"] = required;
}

/** The schema of a custom resource with what every object has. */
function customSchema(descriptor: Descriptor, into: Json): Json {
  const schema = descriptor.custom!.openapi;
  addSchema("ObjectMeta", into);
  const properties = { apiVersion: { type: "string" }, kind: { type: "string" }, ...(schema["properties"] as Json | undefined), metadata: { allOf: [ref("ObjectMeta")] } };
  return { ...schema, type: "object", properties, "x-kubernetes-group-version-kind": [gvkOf(descriptor)] };
}

const gvkOf = ({ name: { group, version, kind } }: Descriptor): Json => ({ group, version, kind });

const SCALARS: Readonly<Record<string, Json>> = {
  string: { type: "string" }, int32: { type: "integer", format: "int32" }, int64: { type: "integer", format: "int64" }, bool: { type: "boolean" },
  float: { type: "number", format: "double" }, time: { type: "string", format: "date-time" }, microtime: { type: "string", format: "date-time" },
  quantity: { oneOf: [{ type: "string" }, { type: "number" }] }, intstr: { format: "int-or-string", oneOf: [{ type: "integer" }, { type: "string" }] },
  bytes: { type: "string", format: "byte" }, any: { type: "object" },
};

function schemaOf(type: FieldType, into: Json, merge = "granular"): Json {
  switch (type.kind) {
    case "list": return { type: "array", items: schemaOf(type.of, into), ...(merge === "granular" ? {} : { "x-kubernetes-list-type": merge }) };
    case "map": return { type: "object", additionalProperties: schemaOf(type.of, into) };
    case "struct":
      addSchema(type.name, into);
      return { allOf: [ref(type.name)], default: {} };
    default: return SCALARS[type.kind]!;
  }
}

/** The schemas of all kinds, by name. */
function schemasOf(registry: readonly Descriptor[]): Json {
  const schemas: Json = {};
  for (const d of registry) addSchema(typeOf(d), schemas, d);
  return schemas;
}
