/**
 * `/openapi/v2`, in JSON and in the protobuf that kubectl asks for: the documents of version 3 in one, in the words of version 2. Follows k8s.io/kube-openapi/pkg/handler and, for the numbers, github.com/google/gnostic-models/openapiv2/OpenAPIv2.proto.
 */
import { sha512 } from "@noble/hashes/sha2.js";
import type { ApiRequest, ApiResponse } from "../../client/transport.ts";
import type { Descriptor } from "../registry/descriptor.ts";
import { hex } from "./discovery.ts";
import { buildDocument, documentNames, ingredients } from "./openapi-documents.ts";

type Json = Record<string, unknown>;

/** Clients ask for it with an `@` before `v1.0`, which no answer's type may have. */
const PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

interface Swagger {
  readonly hash: string;
  readonly document: { swagger: string; info: Json; paths: Json; definitions: Json };
  json?: string;
  bytes?: Uint8Array;
}

const made = new WeakMap<readonly Descriptor[], Swagger>();

/** The document. */
export function openapiV2(request: ApiRequest, registry: readonly Descriptor[]): ApiResponse {
  let swagger = made.get(registry);
  if (swagger === undefined) made.set(registry, (swagger = make(registry)));
  const binary = (request.headers?.["accept"] ?? "").includes("proto-openapi");
  const etag = `"${swagger.hash}"`;
  const headers = { "content-type": binary ? PROTOBUF : "application/json", etag, vary: "Accept" };
  if (request.headers?.["if-none-match"] === etag) return { status: 304, headers, body: "" };
  return { status: 200, headers, body: binary ? (swagger.bytes ??= concat(encodeDocument(swagger.document))) : (swagger.json ??= JSON.stringify(swagger.document)) };
}

/** All documents of version 3 in one. */
function make(registry: readonly Descriptor[]): Swagger {
  const definitions: Json = {};
  const paths: Json = {};
  let content = "";
  for (const name of documentNames(registry)) {
    content += ingredients(name, registry);
    const { paths: own, components } = buildDocument(name, registry)!;
    for (const [schema, value] of Object.entries(components.schemas)) definitions[schema] ??= older(value as Json);
    for (const [path, item] of Object.entries(own)) paths[path] = olderItem(item as Json);
  }
  const security = { securityDefinitions: { BearerToken: { description: "Bearer Token authentication", type: "apiKey", name: "authorization", in: "header" } }, security: [{ BearerToken: [] }] };
  return { hash: hex(sha512(encoder.encode(content))), document: { swagger: "2.0", info: { title: "Kubernetes", version: "1.32" }, paths, definitions, ...security } };
}

/** A schema of version 3 as version 2 has it: no oneOf, references beside other words, no null. */
function older(schema: Json): Json {
  const { allOf, oneOf, nullable: _nullable, ...rest } = schema as Json & { allOf?: Json[] };
  const single = allOf?.length === 1 ? allOf[0]!["$ref"] : undefined;
  const ref = (rest["$ref"] ?? single) as string | undefined;
  const out: Json = rest;
  if (ref !== undefined) {
    delete out["default"];
    out["$ref"] = ref.replace("#/components/schemas/", "#/definitions/");
    return out;
  }
  if (oneOf !== undefined && out["type"] === undefined) out["type"] = "string";
  // Defaults are told by version 3 only.
  delete out["default"];
  if (out["properties"] !== undefined) out["properties"] = Object.fromEntries(Object.entries(out["properties"] as Json).map(([name, one]) => [name, older(one as Json)]));
  if (out["items"] !== undefined) out["items"] = older(out["items"] as Json);
  if (typeof out["additionalProperties"] === "object") out["additionalProperties"] = older(out["additionalProperties"] as Json);
  return out;
}

const METHODS = ["get", "put", "post", "delete", "options", "head", "patch"] as const;

function olderItem(item: Json): Json {
  const out: Json = {};
  for (const method of METHODS) if (item[method] !== undefined) out[method] = olderOperation(item[method] as Json);
  if (item["parameters"] !== undefined) out["parameters"] = (item["parameters"] as Json[]).map(olderParameter);
  return out;
}

const olderParameter = ({ schema, ...parameter }: Json): Json => ({ ...parameter, ...(schema as Json) });

function olderOperation({ requestBody, parameters, responses, ...operation }: Json): Json {
  const body = requestBody as { content: Record<string, { schema: Json }>; required?: boolean } | undefined;
  const answers = responses as Record<string, { description: string; content?: Record<string, { schema: Json }> }>;
  const sent = body === undefined ? [] : [{ name: "body", in: "body", ...(body.required === true ? { required: true } : {}), schema: older(Object.values(body.content)[0]!.schema) }];
  const consumed = Object.keys(body?.content ?? {});
  return {
    ...operation, schemes: ["https"], consumes: consumed.length === 0 ? ["*/*"] : consumed, produces: Object.keys(Object.values(answers)[0]?.content ?? {}),
    ...(parameters === undefined && sent.length === 0 ? {} : { parameters: [...sent, ...((parameters ?? []) as Json[]).map(olderParameter)] }),
    responses: Object.fromEntries(Object.entries(answers).map(([code, { description, content }]) => [code, { description, ...(content === undefined ? {} : { schema: older(Object.values(content)[0]!.schema) }) }])),
  };
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
    ...field(8, Object.entries(paths).flatMap(([path, item]) => named(2, path, encodeItem(item as Json)))),
    ...field(9, Object.entries(definitions).flatMap(([name, schema]) => named(1, name, encodeSchema(schema as Json)))),
  ];
}

/** Operations and their parameters; bodies and answers are told by JSON only. */
function encodeItem(item: Json): Part[] {
  return METHODS.flatMap((method, i) => (item[method] === undefined ? [] : field(i + 2, encodeOperation(item[method] as Json))));
}

function encodeOperation(operation: Json): Part[] {
  const query = ((operation["parameters"] ?? []) as Json[]).filter((parameter) => parameter["in"] === "query");
  const parameters = query.flatMap((parameter) => {
    const content = [...text(2, parameter["in"]), ...text(3, parameter["description"]), ...text(4, parameter["name"]), ...text(6, parameter["type"])];
    // ParametersItem, Parameter, NonBodyParameter: each the choice of one.
    return field(8, field(1, field(2, field(3, content))));
  });
  return [...text(3, operation["description"]), ...text(5, operation["operationId"]), ...parameters, ...extensions(13, operation)];
}

function encodeSchema(schema: Json): Part[] {
  if (schema["$ref"] !== undefined) return [...text(1, schema["$ref"]), ...text(4, schema["description"])];
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
