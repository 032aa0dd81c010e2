/**
 * `/openapi/v3` and `/openapi/v2`. Follows k8s.io/kube-openapi/pkg/handler3 and pkg/handler. What documents are made of is loaded when
 * the first is asked for.
 */
import { sha512 } from "@noble/hashes/sha2.js";
import type { ApiRequest, ApiResponse } from "../../client/transport.ts";
import type { Descriptor } from "../registry/descriptor.ts";
import { hex } from "./discovery.ts";

const NOT_FOUND: ApiResponse = { status: 404, headers: {}, body: new Uint8Array() };
const PREFIX = "/openapi/v3/";

interface Made {
  readonly hashes: Map<string, string>;
  readonly texts: Map<string, string>;
}
const made = new WeakMap<readonly Descriptor[], Made>();
const encoder = new TextEncoder();

/** The answer to a path below `/openapi`, undefined when it is another one. */
export function openapi(path: string, request: ApiRequest, registry: readonly Descriptor[]): Promise<ApiResponse> | undefined {
  if (path === "/openapi/v2") return import("./openapi-v2.ts").then(({ openapiV2 }) => openapiV2(request, registry));
  if (path === "/openapi/v3") return index(registry);
  return path.startsWith(PREFIX) ? one(path.slice(PREFIX.length), request, registry) : undefined;
}

async function index(registry: readonly Descriptor[]): Promise<ApiResponse> {
  const { documentNames } = await import("./openapi-documents.ts");
  const paths: Record<string, unknown> = {};
  for (const name of documentNames(registry)) paths[name] = { serverRelativeURL: `${PREFIX}${name}?hash=${await hashOf(name, registry)}` };
  return { status: 200, headers: { "content-type": "text/plain; charset=utf-8" }, body: JSON.stringify({ paths }) };
}

function madeOf(registry: readonly Descriptor[]): Made {
  let known = made.get(registry);
  if (known === undefined) made.set(registry, (known = { hashes: new Map(), texts: new Map() }));
  return known;
}

/** Told without making the document: its content follows from these. */
async function hashOf(name: string, registry: readonly Descriptor[]): Promise<string> {
  const { hashes } = madeOf(registry);
  let hash = hashes.get(name);
  if (hash === undefined) {
    const { ingredients } = await import("./openapi-documents.ts");
    hashes.set(name, (hash = hex(sha512(encoder.encode(ingredients(name, registry))))));
  }
  return hash;
}

async function one(name: string, request: ApiRequest, registry: readonly Descriptor[]): Promise<ApiResponse> {
  const { texts } = madeOf(registry);
  let text = texts.get(name);
  if (text === undefined) {
    const { buildDocument } = await import("./openapi-documents.ts");
    const document = buildDocument(name, registry);
    if (document === undefined) return NOT_FOUND;
    texts.set(name, (text = JSON.stringify(document)));
  }
  const etag = `"${await hashOf(name, registry)}"`;
  const headers = { "content-type": "application/json", etag, "cache-control": "public, immutable", vary: "Accept" };
  return request.headers?.["if-none-match"] === etag ? { status: 304, headers, body: "" } : { status: 200, headers, body: text };
}
