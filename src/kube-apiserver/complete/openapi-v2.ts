/**
 * `/openapi/v2`, in JSON and in the protobuf that kubectl asks for: definitions of all kinds, and the PATCH of each with its
 * parameters. Follows k8s.io/kube-openapi/pkg/handler and, for the numbers, github.com/google/gnostic-models/openapiv2/OpenAPIv2.proto.
 */
import type { ApiRequest, ApiResponse } from "../../client/transport.ts";
import type { Descriptor } from "../registry/descriptor.ts";

type Json = Record<string, unknown>;

/** Clients ask for it with an `@` before `v1.0`, which no answer's type may have. */
const PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

interface Swagger {
  readonly json: string;
  readonly bytes: Uint8Array;
}

const made = new WeakMap<readonly Descriptor[], Swagger>();

/** The document; `schemasOf` gives the schemas of version 3 of all kinds by name. */
export function openapiV2(request: ApiRequest, registry: readonly Descriptor[], schemasOf: () => Json): ApiResponse {
  let swagger = made.get(registry);
  if (swagger === undefined) made.set(registry, (swagger = make(registry, schemasOf())));
  if (!(request.headers?.["accept"] ?? "").includes("proto-openapi")) return { status: 200, headers: { "content-type": "application/json" }, body: swagger.json };
  return { status: 200, headers: { "content-type": PROTOBUF, vary: "Accept" }, body: swagger.bytes };
}

function make(registry: readonly Descriptor[], schemas: Json): Swagger {
  const definitions: Json = {};
  for (const [name, schema] of Object.entries(schemas)) definitions[name] = older(schema as Json);
  const paths: Json = {};
  for (const { name: { group, version, kind, resource, namespaced } } of registry) {
    const path = `/${group === "" ? "api" : `apis/${group}`}/${version}/${namespaced ? "namespaces/{namespace}/" : ""}${resource}/{name}`;
    const parameters = ["dryRun", "fieldManager", "fieldValidation"].map((name) => ({ name, in: "query", type: "string", uniqueItems: true }));
    paths[path] = { patch: { parameters, responses: { 200: { description: "OK" } }, "x-kubernetes-action": "patch", "x-kubernetes-group-version-kind": { group, kind, version } } };
  }
  const document = { swagger: "2.0", info: { title: "Kubernetes", version: "v1.32.13" }, paths, definitions };
  return { json: JSON.stringify(document), bytes: concat(encodeDocument(document)) };
}

/** A schema of version 3 as version 2 has it: no oneOf, references alone. */
function older(schema: Json): Json {
  const { allOf, oneOf, nullable: _nullable, default: _default, ...rest } = schema as Json & { allOf?: Json[] };
  const ref = (rest["$ref"] ?? (allOf?.length === 1 ? allOf[0]!["$ref"] : undefined)) as string | undefined;
  if (ref !== undefined) return { $ref: ref.replace("#/components/schemas/", "#/definitions/") };
  const out: Json = rest;
  if (oneOf !== undefined && out["type"] === undefined) out["type"] = "string";
  if (out["properties"] !== undefined) out["properties"] = Object.fromEntries(Object.entries(out["properties"] as Json).map(([name, one]) => [name, older(one as Json)]));
  if (out["items"] !== undefined) out["items"] = older(out["items"] as Json);
  if (typeof out["additionalProperties"] === "object") out["additionalProperties"] = older(out["additionalProperties"] as Json);
  return out;
}

type Part = Uint8Array;
const encoder = new TextEncoder();

function varint(value: number): number[] {
  const out: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...out, rest];
    out.push((rest % 128) | 0x80);
  }
}

/** A field with a length: a text, or a message's parts. */
function field(number: number, content: string | readonly Part[]): Part[] {
  const parts = typeof content === "string" ? [encoder.encode(content)] : content;
  let size = 0;
  for (const part of parts) size += part.length;
  return [new Uint8Array([...varint(number * 8 + 2), ...varint(size)]), ...parts];
}

function concat(parts: readonly Part[]): Uint8Array {
  let size = 0;
  for (const part of parts) size += part.length;
  const out = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

const text = (number: number, value: unknown): Part[] => (typeof value === "string" ? field(number, value) : []);
/** NamedX: a name and what it names. */
const named = (number: number, name: string, value: readonly Part[]): Part[] => field(number, [...field(1, name), ...field(2, value)]);
/** The extensions of an object; their values are YAML, of which JSON is a part. */
const extensions = (number: number, object: Json): Part[] =>
  Object.entries(object).flatMap(([name, value]) => (name.startsWith("x-") ? named(number, name, field(2, JSON.stringify(value))) : []));

function encodeDocument({ swagger, info, paths, definitions }: { swagger: string; info: Json; paths: Json; definitions: Json }): Part[] {
  return [
    ...field(1, swagger),
    ...field(2, [...text(1, info["title"]), ...text(2, info["version"])]),
    ...field(8, Object.entries(paths).flatMap(([path, item]) => named(2, path, field(8, encodeOperation((item as { patch: Json }).patch))))),
    ...field(9, Object.entries(definitions).flatMap(([name, schema]) => named(1, name, encodeSchema(schema as Json)))),
  ];
}

function encodeOperation(operation: Json): Part[] {
  const parameters = (operation["parameters"] as Json[]).flatMap((parameter) => {
    const query = [...text(2, parameter["in"]), ...text(4, parameter["name"]), ...text(6, parameter["type"])];
    // ParametersItem, Parameter, NonBodyParameter: each the choice of one.
    return field(8, field(1, field(2, field(3, query))));
  });
  return [...parameters, ...extensions(13, operation)];
}

function encodeSchema(schema: Json): Part[] {
  if (schema["$ref"] !== undefined) return text(1, schema["$ref"]);
  const out = [...text(2, schema["format"]), ...text(4, schema["description"])];
  for (const name of (schema["required"] as string[] | undefined) ?? []) out.push(...field(19, name));
  const { additionalProperties, items, properties } = schema;
  if (additionalProperties !== undefined)
    out.push(...field(21, typeof additionalProperties === "object" ? field(1, encodeSchema(additionalProperties as Json)) : [new Uint8Array([16, additionalProperties === true ? 1 : 0])]));
  if (typeof schema["type"] === "string") out.push(...field(22, field(1, schema["type"])));
  if (items !== undefined) out.push(...field(23, field(1, encodeSchema(items as Json))));
  if (properties !== undefined) out.push(...field(25, Object.entries(properties as Json).flatMap(([name, one]) => named(1, name, encodeSchema(one as Json)))));
  return [...out, ...extensions(31, schema)];
}
