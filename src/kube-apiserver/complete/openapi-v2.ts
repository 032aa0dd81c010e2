/**
 * `/openapi/v2`, in JSON and in the protobuf that kubectl asks for: the documents of version 3 in one, in the words of version 2. Follows k8s.io/kube-openapi/pkg/handler and, for the numbers, github.com/google/gnostic-models/openapiv2/OpenAPIv2.proto.
 */
import { sha512 } from "@noble/hashes/sha2.js";
import type { ApiRequest, ApiResponse } from "../../client/transport.ts";
import type { Descriptor } from "../registry/descriptor.ts";
import { hex } from "./discovery.ts";
import { Reverse } from "./protobuf-encode.ts";
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
const encoder = new TextEncoder();

/** The document. */
export function openapiV2(request: ApiRequest, registry: readonly Descriptor[]): ApiResponse {
  let swagger = made.get(registry);
  if (swagger === undefined) made.set(registry, (swagger = make(registry)));
  const binary = (request.headers?.["accept"] ?? "").includes("proto-openapi");
  const etag = `"${swagger.hash}"`;
  const headers = { "content-type": binary ? PROTOBUF : "application/json", etag, vary: "Accept" };
  if (request.headers?.["if-none-match"] === etag) return { status: 304, headers, body: "" };
  return { status: 200, headers, body: binary ? (swagger.bytes ??= encodeDocument(swagger.document)) : (swagger.json ??= JSON.stringify(swagger.document)) };
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

/** Entries from the last to the first, as they are written. */
const backwards = (object: Json): [string, unknown][] => Object.entries(object).reverse();

function text(out: Reverse, number: number, value: unknown): void {
  if (typeof value === "string") out.text(number, value);
}

/** NamedX: a name and what it names. */
function named(out: Reverse, number: number, name: string, write: () => void): void {
  out.nested(number, () => {
    out.nested(2, write);
    out.text(1, name);
  });
}

/** The extensions of an object; their values are YAML, of which JSON is a part. */
function extensions(out: Reverse, number: number, object: Json): void {
  for (const [name, value] of backwards(object)) if (name.startsWith("x-")) named(out, number, name, () => out.text(2, JSON.stringify(value)));
}

function encodeDocument({ swagger, info, paths, definitions }: Swagger["document"]): Uint8Array {
  const out = new Reverse();
  out.nested(9, () => {
    for (const [name, schema] of backwards(definitions)) named(out, 1, name, () => writeSchema(out, schema as Json));
  });
  out.nested(8, () => {
    for (const [path, item] of backwards(paths)) named(out, 2, path, () => writeItem(out, item as Json));
  });
  out.nested(2, () => {
    text(out, 2, info["version"]);
    text(out, 1, info["title"]);
  });
  out.text(1, swagger);
  return out.taken();
}

/** Operations and their parameters; bodies and answers are told by JSON only. */
function writeItem(out: Reverse, item: Json): void {
  for (let i = METHODS.length - 1; i >= 0; i--) {
    const operation = item[METHODS[i]!] as Json | undefined;
    if (operation !== undefined) out.nested(i + 2, () => writeOperation(out, operation));
  }
}

function writeOperation(out: Reverse, operation: Json): void {
  extensions(out, 13, operation);
  for (const parameter of [...((operation["parameters"] ?? []) as Json[])].reverse()) {
    if (parameter["in"] !== "query") continue;
    // ParametersItem, Parameter, NonBodyParameter: each the choice of one.
    out.nested(8, () => out.nested(1, () => out.nested(2, () => out.nested(3, () => {
      text(out, 6, parameter["type"]);
      text(out, 4, parameter["name"]);
      text(out, 3, parameter["description"]);
      text(out, 2, parameter["in"]);
    }))));
  }
  text(out, 5, operation["operationId"]);
  text(out, 3, operation["description"]);
}

function writeSchema(out: Reverse, schema: Json): void {
  if (schema["$ref"] !== undefined) {
    text(out, 4, schema["description"]);
    text(out, 1, schema["$ref"]);
    return;
  }
  const { additionalProperties, items, properties, type } = schema;
  extensions(out, 31, schema);
  if (properties !== undefined) out.nested(25, () => {
    for (const [name, one] of backwards(properties as Json)) named(out, 1, name, () => writeSchema(out, one as Json));
  });
  if (items !== undefined) out.nested(23, () => out.nested(1, () => writeSchema(out, items as Json)));
  if (typeof type === "string") out.nested(22, () => out.text(1, type));
  if (additionalProperties !== undefined) out.nested(21, () => {
    if (typeof additionalProperties === "object") out.nested(1, () => writeSchema(out, additionalProperties as Json));
    else out.integer(2, additionalProperties === true ? 1 : 0);
  });
  for (const name of [...((schema["required"] as string[] | undefined) ?? [])].reverse()) out.text(19, name);
  text(out, 4, schema["description"]);
  text(out, 2, schema["format"]);
}
