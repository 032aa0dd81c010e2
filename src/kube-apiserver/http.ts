/**
 * The API over HTTP messages: bodies in as JSON or YAML, answers out as JSON, watches as newline-delimited JSON.
 * Follows k8s.io/apiserver/pkg/endpoints/handlers/responsewriters and pkg/endpoints/handlers/negotiation.
 */
import type { KubeObject } from "../apimachinery/meta.ts";
import { ApiError, failure, newBadRequest, newNotAcceptable, newUnsupportedMediaType } from "../apimachinery/status.ts";
import { UNSTRUCTURED } from "./registry/descriptor.ts";
import type { ApiRequest, ApiResponse, ApiTransport, Connection, HttpAnswer, HttpMessage, UserInfo, WatchEvent } from "../client/transport.ts";

const METHODS = new Set(["GET", "POST", "PUT", "PATCH", "DELETE"]);
const ACCEPTED = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
const METADATA_ONLY = /as=(PartialObjectMetadata(?:List)?);/;
/** The largest body that is read (3 MiB, MaxRequestBodyBytes). */
const BODY_BYTES_MAX = 3 * 1024 * 1024;

/** Reads YAML; throws on what is none. Injected, so that a server that never sees YAML carries no parser. */
export type ParseYaml = (text: string) => unknown;

/** What goes along with a request until it is answered. */
export interface Exchange {
  /** Of whatever is answered. */
  readonly headers: Record<string, string>;
  /** Gives the answer its last form. */
  shape?: (answer: HttpAnswer) => HttpAnswer;
  /** Called when there is an answer. */
  done?: () => void;
}

/** Says who sends a request. Throws ApiError for who may not come in; an answer is sent as it is. */
export type Enter = (message: HttpMessage, handle: ApiTransport, exchange: Exchange) => Promise<UserInfo | HttpAnswer>;

export interface Serving {
  readonly handle: ApiTransport;
  readonly enter: Enter | undefined;
  readonly parseYaml: ParseYaml | undefined;
  readonly decodeProtobuf: ((bytes: Uint8Array) => unknown) | undefined;
  /** How answers to the request are written in protobuf; undefined where they are not. */
  readonly protobuf: ((request: ApiRequest) => Protobuf | undefined) | undefined;
  /** Of the {@link Extension}. */
  readonly checkAccept: ((request: ApiRequest) => void) | undefined;
  readonly unreadable: ((text: string, request: ApiRequest, problem: unknown) => ApiError) | undefined;
  readonly toYaml: ((json: string) => Promise<string>) | undefined;
  /** How the answer to a request becomes a Table of `meta.k8s.io/VERSION`. */
  readonly table: ((request: ApiRequest, version: string) => Form) | undefined;
  /** What an object's metadata is taken from, where it is not the object itself. */
  readonly toStored: ((request: ApiRequest) => ((object: KubeObject) => KubeObject) | undefined) | undefined;
}

/** Writes answers in protobuf. */
export interface Protobuf {
  /** Undefined for what has no message, and goes as JSON. */
  object(body: unknown): Uint8Array | undefined;
  frame(type: string, object: unknown): Uint8Array;
}

/** {@link serveMessage} for what speaks `fetch`. */
export async function serveFetch(serving: Serving, request: Request): Promise<Response> {
  const { method, url, signal } = request;
  const slash = url.indexOf("/", url.indexOf("://") + 3);
  const headers: Record<string, string> = {};
  request.headers.forEach((value, name) => {
    headers[name] = value;
  });
  const stop = new AbortController();
  signal.addEventListener("abort", () => stop.abort());
  const body = method === "GET" ? NOTHING : new Uint8Array(await request.arrayBuffer());
  const answer = await serveMessage(serving, { method, url: slash < 0 ? "/" : url.slice(slash), headers, body, signal: stop.signal });
  const content = answer.body === undefined || typeof answer.body === "string" || answer.body instanceof Uint8Array ? answer.body : bytesOf(answer.body, stop);
  return new Response((content as BodyInit | undefined) ?? null, { status: answer.status, headers: answer.headers });
}

/** What comes by the connection, each time after `enter`. */
const entering = (connection: Connection, enter: () => void): Connection => ({
  ...connection,
  start: ({ data, close }) => connection.start({
    data(bytes) {
      enter();
      data(bytes);
    },
    close() {
      enter();
      close();
    },
  }),
});

/** One exchange. Rejects only on what is a bug of the server. */
export async function serveMessage(serving: Serving, message: HttpMessage, connection?: Connection, enter: () => void = () => {}): Promise<HttpAnswer> {
  const exchange: Exchange = { headers: {} };
  try {
    const answer = await answerMessage(serving, message, exchange, connection, enter);
    const whole = { ...answer, headers: { ...exchange.headers, ...answer.headers } };
    return exchange.shape?.(whole) ?? whole;
  } finally {
    exchange.done?.();
  }
}

async function answerMessage(serving: Serving, message: HttpMessage, exchange: Exchange, connection: Connection | undefined, enter: () => void): Promise<HttpAnswer> {
  let binary: Protobuf | undefined;
  try {
    const { url: path, headers, body: bytes } = message;
    const user = await serving.enter?.(message, serving.handle, exchange);
    if (user !== undefined && "status" in user) return user;
    if (PROXY.test(path) && serving.checkAccept !== undefined) return await passOn(serving, message, user);
    if (!METHODS.has(message.method)) throw failure(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {});
    const method = message.method as ApiRequest["method"];
    serving.checkAccept?.({ method, path, headers });
    const { as: accepted, yaml, protobuf: asProtobuf } = negotiate({ method, path, headers }, serving);
    binary = asProtobuf;
    const protobuf = (headers["content-type"] ?? "").startsWith(PROTOBUF) && method !== "PATCH" && serving.decodeProtobuf !== undefined;
    if (bytes.length > BODY_BYTES_MAX) throw failure(413, "RequestEntityTooLarge", `Request entity too large: limit is ${BODY_BYTES_MAX}`);
    const text = protobuf || bytes.length === 0 ? "" : decoder.decode(bytes);
    const body = protobuf && bytes.length > 0 ? serving.decodeProtobuf(bytes) : text === "" ? undefined : await parseBody(text, { method, path, headers }, serving);
    const duplicates = text === "" || method === "PATCH" || namesIn(text) === namesOf(body) ? [] : duplicateFields(text);
    const asked: ApiRequest = { method, path, headers, ...(body === undefined ? {} : { body }), ...(duplicates.length === 0 ? {} : { duplicates }), ...(connection === undefined ? {} : { connection: entering(connection, enter) }), ...(user === undefined ? {} : { user }) };
    const response = await serving.handle(asked, message.signal);
    const form = accepted === "object" ? undefined : accepted === "metadata" ? partial(serving.toStored?.(asked)) : serving.table!(asked, accepted.table);
    const answer = render(response, form, binary);
    if (!yaml || typeof answer.body !== "string" || answer.headers["content-type"] !== "application/json") return answer;
    return { ...answer, headers: { ...answer.headers, "content-type": "application/yaml" }, body: await serving.toYaml!(answer.body) };
  } catch (e) {
    if (!(e instanceof ApiError)) throw e;
    if (binary !== undefined) return render({ status: e.code, headers: {}, body: e.status }, undefined, binary);
    return json(e.code, {}, message.method === "HEAD" ? "" : `${JSON.stringify(e.status)}\n`);
  }
}

/** What is between a client and a pod: bodies of any sort, methods of any name. */
const PROXY = /^\/api\/v1\/(?:namespaces\/[^/]+\/(?:pods|services)|nodes)\/[^/]+\/proxy(?:[/?]|$)/;

async function passOn(serving: Serving, { method, url, headers, body, signal }: HttpMessage, user: UserInfo | undefined): Promise<HttpAnswer> {
  const { bytes, ...response } = await serving.handle({ method: method as ApiRequest["method"], path: url, headers, body, ...(user === undefined ? {} : { user }) }, signal);
  return bytes === undefined ? render(response, undefined) : { status: response.status, headers: response.headers, body: bytes };
}

const decoder = new TextDecoder();
const NOTHING = new Uint8Array();

/** How objects are shown; the same for those of a watch. */
export type Form = ((body: unknown, first: boolean) => unknown) | undefined;

type Accepted = "object" | "metadata" | { readonly table: string };

const TABLE = /;as=Table;/;

const PLAIN = /^\/(?:healthz|livez|readyz|metrics|openapi|openid|\.well-known)|^\/(?:\?|$)/;

/** What the client wants: whole objects, only their metadata, or Tables. */
function negotiate(request: ApiRequest, { table, toYaml, checkAccept, protobuf }: Serving): { as: Accepted; yaml: boolean; protobuf?: Protobuf } {
  const { path } = request;
  const accept = request.headers!["accept"] ?? "";
  if (accept === "") return { as: "object", yaml: false };
  for (const part of accept.split(",")) {
    const type = part.split(";")[0]!.trim();
    const binary = type === PROTOBUF && !TABLE.test(`${part};`) ? protobuf?.(request) : undefined;
    if (binary !== undefined) {
      if (METADATA_ONLY.test(`${part};`)) return { as: "metadata", yaml: false, protobuf: binary };
      if (!part.includes("as=")) return { as: "object", yaml: false, protobuf: binary };
    }
    const yaml = type === "application/yaml" && toYaml !== undefined && !/[?&]watch=(?!false|0)/.test(path);
    if (!yaml && type !== "application/json" && type !== "*/*" && (type !== "application/*" || checkAccept !== undefined)) continue;
    if (METADATA_ONLY.test(`${part};`)) return { as: "metadata", yaml };
    if (part.includes("g=apidiscovery.k8s.io")) return { as: "object", yaml };
    if (table !== undefined && TABLE.test(`${part};`)) return { as: { table: /;v=(v1(?:beta1)?)/.exec(part)?.[1] ?? "v1" }, yaml };
    if (!part.includes("as=")) return { as: "object", yaml };
  }
  // What is text has one form, as logs have.
  if (PLAIN.test(path) || /\/(?:log|exec|attach|portforward|proxy)(?:[/?]|$)/.test(path)) return { as: "object", yaml: false };
  throw newNotAcceptable(`only the following media types are accepted: ${ACCEPTED}`);
}

const PATCHES = new Set(["application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml"]);

async function parseBody(text: string, request: ApiRequest, { parseYaml, unreadable }: Serving): Promise<unknown> {
  const { method } = request;
  const type = (request.headers!["content-type"] ?? "").split(";")[0]!.trim();
  // Refused by the verb, which knows of what kind it is.
  if (method === "PATCH" && !PATCHES.has(type)) return undefined;
  const yaml = (type === "application/yaml" || type === "application/apply-patch+yaml") && parseYaml !== undefined;
  if (!yaml && method !== "PATCH" && type !== "" && type !== "application/json")
    throw newUnsupportedMediaType(`the body of the request was in an unknown format - accepted media types include: ${ACCEPTED}`);
  let body: unknown;
  let problem: unknown;
  try {
    body = yaml ? await parseYaml(text) : (JSON.parse(text) as unknown);
  } catch (e) {
    problem = e;
  }
  if (problem === undefined) return body;
  throw unreadable?.(text, request, problem) ?? newBadRequest(`couldn't get version/kind; ${yaml ? "yaml" : "json"} parse error`);
}

/** How many members the objects of a JSON text have: its colons outside of strings. */
function namesIn(text: string): number {
  let count = 0;
  for (let at = 0; at < text.length; at++) {
    const c = text.charCodeAt(at);
    if (c === 58) count++;
    else if (c === 34) at = endOfString(text, at);
  }
  return count;
}

/** The index of the quote that ends the string whose first one stands at `from`. */
function endOfString(text: string, from: number): number {
  for (let at = text.indexOf('"', from + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let slashes = 0;
    while (text.charCodeAt(at - 1 - slashes) === 92) slashes++;
    if (slashes % 2 === 0) return at;
  }
  return text.length;
}

/** How many members the objects in a value have: fewer than its text when that gives one twice. */
function namesOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  let count = 0;
  if (Array.isArray(value)) for (const item of value) count += namesOf(item);
  else for (const key of Object.keys(value)) count += 1 + namesOf((value as Record<string, unknown>)[key]);
  return count;
}

/**
 * The paths of fields that a JSON text gives twice in one object, as the strict decoder names them. The text is JSON already parsed,
 * or YAML, of which nothing is said.
 */
function duplicateFields(text: string): string[] {
  if (!/^\s*\{/.test(text)) return [];
  const found: string[] = [];
  // One entry per open object or list; the step of the path that leads to what is being read.
  const open: { keys: Set<string> | undefined; step: string; at: number }[] = [];
  const token = /"((?:[^"\\]|\\.)*)"|[{}[\],:]/g;
  let last = "";
  let isKey = false;
  for (let m = token.exec(text); m !== null; m = token.exec(text)) {
    const top = open[open.length - 1];
    switch (m[0]) {
      case "{":
      case "[":
        open.push({ keys: m[0] === "{" ? new Set() : undefined, step: m[0] === "[" ? "[0]" : "", at: 0 });
        isKey = m[0] === "{";
        break;
      case "}":
      case "]":
        open.pop();
        isKey = false;
        break;
      case ",":
        isKey = top?.keys !== undefined;
        if (top !== undefined && top.keys === undefined) top.step = `[${++top.at}]`;
        break;
      case ":":
        if (top?.keys === undefined) break;
        top.step = open.length === 1 ? last : `.${last}`;
        if (top.keys.has(last)) found.push(open.map(({ step }) => step).join(""));
        top.keys.add(last);
        isKey = false;
        break;
      default:
        if (isKey) last = m[1]!.includes("\\") ? (JSON.parse(m[0]) as string) : m[1]!;
    }
  }
  return found;
}

function json(status: number, headers: Readonly<Record<string, string>>, body: string): HttpAnswer {
  return { status, headers: { "content-type": "application/json", ...headers }, body };
}

const PROTOBUF = "application/vnd.kubernetes.protobuf";

function render(response: ApiResponse, form: Form, binary?: Protobuf): HttpAnswer {
  const { status, headers, body, stream, text } = response;
  if (text !== undefined) return { status, headers, body: text };
  if (stream !== undefined && binary !== undefined)
    return { status, headers: { ...headers, "content-type": `${PROTOBUF};stream=watch`, "transfer-encoding": "chunked" }, body: frames(stream, form, binary) };
  if (stream !== undefined) return { status, headers: { "content-type": "application/json", "transfer-encoding": "chunked", ...headers }, body: lines(stream, form) };
  if (typeof body === "string" || body instanceof Uint8Array) return status === 304 || status === 204 ? { status, headers } : { status, headers, body };
  const bytes = binary?.object(status < 400 && form !== undefined ? form(body, true) : body);
  if (bytes !== undefined) return { status, headers: { ...headers, "content-type": PROTOBUF }, body: bytes };
  return json(status, headers, `${status < 400 && form !== undefined ? JSON.stringify(form(body, true)) : wire(body)}\n`);
}

interface Kept {
  kind?: string;
  apiVersion?: string;
}

/** An answer as text. Items of a list go without kind and apiVersion, which the list has. */
function wire(body: unknown): string {
  const { items, ...list } = body as { items?: Kept[]; [UNSTRUCTURED]?: true };
  if (!Array.isArray(items)) return Object.isFrozen(body) ? whole(body as Kept) : JSON.stringify(body);
  const text = list[UNSTRUCTURED] === true ? whole : (item: Kept): string => (Object.isFrozen(item) ? fields(item) : JSON.stringify({ ...item, kind: undefined, apiVersion: undefined }));
  const parts = items.map(text);
  return `${JSON.stringify({ ...list, items: [] }).slice(0, -2)}${parts.join(",")}]}`;
}

/**
 * The text of a stored object without kind and apiVersion. Stored objects never change, and are shown again and again, one by one, in lists
 * and to every watcher: their text is made once, and goes when the object goes.
 */
function fields(object: Kept): string {
  let text = texts.get(object);
  if (text === undefined) {
    text = JSON.stringify({ ...object, kind: undefined, apiVersion: undefined });
    texts.set(object, text);
  }
  return text;
}
const texts = new WeakMap<object, string>();

/** The text of a stored object. */
function whole(object: Kept): string {
  const { kind, apiVersion } = object;
  if (kind === undefined || apiVersion === undefined) return JSON.stringify(object);
  const rest = fields(object);
  return `{"kind":${JSON.stringify(kind)},"apiVersion":${JSON.stringify(apiVersion)}${rest === "{}" ? "" : ","}${rest.slice(1)}`;
}

const partial = (stored = (object: KubeObject): KubeObject => object) => (body: unknown): unknown => {
  const object = body as KubeObject & { items?: KubeObject[] };
  if (object.kind === "Status") return body;
  const one = (whole: KubeObject): unknown => ({ kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata: stored(whole).metadata });
  if (!Array.isArray(object.items)) return one(object);
  return { kind: "PartialObjectMetadataList", apiVersion: "meta.k8s.io/v1", metadata: object.metadata, items: object.items.map(one) };
};

async function* lines(stream: AsyncIterable<WatchEvent>, form: Form): AsyncGenerator<string> {
  let first = true;
  for await (const { type, object } of stream) {
    const shown = form !== undefined && type !== "ERROR" ? JSON.stringify(form(object, first)) : wire(object);
    yield `{"type":${JSON.stringify(type)},"object":${shown}}\n`;
    first = false;
  }
}

async function* frames(stream: AsyncIterable<WatchEvent>, form: Form, binary: Protobuf): AsyncGenerator<Uint8Array> {
  for await (const { type, object } of stream) yield binary.frame(type, form !== undefined && type !== "ERROR" ? form(object, false) : object);
}

function bytesOf(texts: AsyncIterable<string | Uint8Array>, stop: AbortController): ReadableStream<Uint8Array> {
  const iterator = texts[Symbol.asyncIterator]();
  const encoder = new TextEncoder();
  return new ReadableStream({
    async pull(controller) {
      const next = await iterator.next();
      if (next.done === true) controller.close();
      else controller.enqueue(typeof next.value === "string" ? encoder.encode(next.value) : next.value);
    },
    async cancel() {
      stop.abort();
      await iterator.return?.();
    },
  });
}
