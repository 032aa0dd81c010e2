/**
 * The API server: a chain of named steps in front of the store.
 *
 *     authenticate → impersonate → classify → authorise → dispatch → (decode → default → admit → validate → store)
 *
 * Follows k8s.io/apiserver/pkg/server/config.go (DefaultBuildHandlerChain) and pkg/endpoints/handlers. The first four are what
 * `serving.enter` does for clients from outside; in process everybody is the administrator.
 */
import { ApiError, isAlreadyExists, newInternalError } from "../apimachinery/status.ts";
import type { KubeObject } from "../apimachinery/meta.ts";
import type { Kubelets } from "../client/site-streams.ts";
import type { ApiRequest, ApiResponse, ApiTransport, Connection, HttpAnswer, HttpMessage, UserInfo } from "../client/transport.ts";
import type { Logger } from "../log.ts";
import type { Storage } from "../storage/storage.ts";
import type { Clock, Random } from "../time/clock.ts";
import { createMemoryStorage } from "../storage/memory.ts";
import { bootstrap } from "./bootstrap.ts";
import type { Make } from "./bootstrap.ts";
import { createHandlers } from "./handlers.ts";
import type { Requester } from "./handlers.ts";
import type { Extension } from "./extension.ts";
import type { Enter, ParseYaml, Serving } from "./http.ts";
import { nonResource } from "./non-resource.ts";
import { createIPAllocator, createPortAllocator } from "./registry/allocators.ts";
import { REGISTRY } from "./registry/index.ts";
import type { SigningKeySource } from "./signing-key.ts";
import { requestInfo, routesOf } from "./request-info.ts";
import type { RequestInfo, Routes } from "./request-info.ts";
import type { Descriptor } from "./registry/descriptor.ts";

/** How the server meets clients over HTTP. */
export interface ServingOptions {
  /** Who asks, and whether they may, such as `createAccess`. Undefined: everybody is the administrator. */
  readonly enter?: Enter;
  /** What is served beyond the resources of a cluster's own: `complete`. */
  readonly extension?: Extension;
  /** Reads YAML bodies, such as `parse` of the package yaml; without it they are refused with 415. */
  readonly parseYaml?: ParseYaml;
  /** The nodes, for logs, exec and port-forward; without them these fail. */
  readonly kubelets?: Kubelets;
  /** What service accounts' tokens are signed with, so that others can verify them; without it nobody else can. */
  readonly serviceAccountKey?: SigningKeySource;
  /** Reaches webhooks, of conversion and of admission; without it they fail. */
  readonly webhookFetch?: (request: Request) => Promise<Response>;
  /** `--service-cluster-ip-range`, IPv4 (default 10.96.0.0/16). */
  readonly serviceCidr?: string;
  /** `--service-node-port-range` (default 30000-32767, both included). */
  readonly nodePorts?: { readonly first: number; readonly last: number };
  /** The address of the API server that the Service default/kubernetes leads to (default 192.168.0.1, port 6443). */
  readonly advertiseAddress?: string;
  readonly advertisePort?: number;
  /** `--client-ca-file`, PEM: who signs clients' certificates, as extensions are told. */
  readonly clientCA?: string;
}

export interface ApiServerOptions extends ServingOptions {
  clock: Clock;
  random: Random;
  log: Logger;
  /** Where objects are kept; by default the embedded store. Its values get their resourceVersion by {@link stamp}. */
  storage?: Storage<KubeObject>;
}

export interface ApiServer {
  /** The chain without the bytes: the transport of in-process clients. */
  readonly handle: ApiTransport;
  /**
   * The same over HTTP messages; rejects only on what is a bug of the server. A request that asks for another protocol comes with its
   * `connection`; `enter` is called before anything comes in by it.
   */
  serve(message: HttpMessage, connection?: Connection, enter?: () => void): Promise<HttpAnswer>;
  /** The same over `fetch`. */
  fetch(request: Request): Promise<Response>;
  /** Resolves when the bootstrap objects exist; requests sent earlier wait for it. */
  readonly ready: Promise<void>;
}

/** Writes the store's revision into an object: the `stamp` of the embedded store. */
export function stamp(object: KubeObject, revision: number): void {
  object.metadata.resourceVersion = String(revision);
}

export function createApiServer(options: ApiServerOptions): ApiServer {
  const { clock, log } = options;
  const random = options.random.fork("kube-apiserver");
  const storage = options.storage ?? createMemoryStorage<KubeObject>({ stamp });
  const serviceIPs = createIPAllocator(options.serviceCidr ?? "10.96.0.0/16", random.fork("service-ips"));
  const { first, last } = options.nodePorts ?? { first: 30000, last: 32767 };
  const nodePorts = createPortAllocator(first, last - first + 1, random.fork("node-ports"));
  const { extension } = options;
  extension?.load();
  const fixed = extension === undefined ? REGISTRY : [...REGISTRY.map(extension.refine), ...extension.resources];
  const dynamic = extension?.dynamic({ fixed, storage, clock, random, kubelets: options.kubelets, serviceAccountKey: options.serviceAccountKey, address: `${options.advertiseAddress ?? "192.168.0.1"}:${options.advertisePort ?? 6443}`, fetch: options.webhookFetch });
  const current = (): readonly Descriptor[] => dynamic?.registry() ?? fixed;
  let routed = { registry: current(), routes: routesOf(current()) };
  const routes = (): Routes => {
    const registry = current();
    if (registry !== routed.registry) routed = { registry, routes: routesOf(registry) };
    return routed.routes;
  };
  const handlers = createHandlers({ ...options, storage, registry: current(), random, serviceIPs, nodePorts });

  const make: Make = async (path, body) => {
    const request: ApiRequest = { method: "POST", path, headers: { "user-agent": "kube-apiserver" }, body };
    try {
      await handlers.dispatch(requestInfo(routes(), request), request, requester(request), undefined);
    } catch (e) {
      if (!isAlreadyExists(e)) throw e;
    }
  };
  const ready = bootstrap(make, storage, { ...options, random }, serviceIPs).then(() => dynamic?.load());
  let booted = false;
  void ready.then(() => {
    booted = true;
  }, () => {});

  const handle: ApiTransport = async (request, signal) => {
    let info: RequestInfo | undefined;
    try {
      if (!booted) await ready;
      const user = requester(request);
      const plain = extension?.nonResource(request, current()) ?? nonResource(request, current());
      if (plain !== undefined) return await plain;
      info = requestInfo(routes(), request);
      return warned(await handlers.dispatch(info, request, user, signal), info.warnings);
    } catch (e) {
      return warned(errorResponse(e, log, request), info?.warnings ?? []);
    }
  };

  const infoOf = (request: ApiRequest): RequestInfo => requestInfo(routes(), request);
  const serving: Serving = {
    handle,
    parseYaml: extension?.fromYaml ?? options.parseYaml,
    decodeProtobuf: extension?.decodeProtobuf,
    protobuf: extension && ((request) => extension.protobuf(request, infoOf)),
    checkAccept: extension && ((request) => extension.checkAccept(request, infoOf)),
    unreadable: extension && ((text, request, problem) => extension.unreadable(text, request, infoOf, problem)),
    toYaml: extension?.toYaml,
    table: extension && ((request, version) => extension.table(infoOf(request), version, clock)),
    enter: options.enter,
    toStored: extension && ((request) => infoOf(request).descriptor.toStored),
  };
  // A cluster that nobody reaches over HTTP does not load what reads and writes its messages.
  let loaded: Promise<typeof import("./http.ts")> | undefined;
  const http = (): Promise<typeof import("./http.ts")> => (loaded ??= import("./http.ts"));
  const serve: ApiServer["serve"] = async (...exchange) => (await http()).serveMessage(serving, ...exchange);
  const fetch = async (request: Request): Promise<Response> => (await http()).serveFetch(serving, request);
  return { handle, ready, serve, fetch };
}

const ADMINISTRATOR: UserInfo = { name: "kubernetes-admin", groups: ["system:masters", "system:authenticated"] };

/** Who asks; the manager of fields comes from the user agent. */
function requester({ user = ADMINISTRATOR, headers }: ApiRequest): Requester {
  const userAgent = headers?.["user-agent"] ?? "";
  if (last?.user !== user || last.as.userAgent !== userAgent) last = { user, as: { ...user, userAgent } };
  return last.as;
}

/** Who asked last: often somebody asks many times. */
let last: { readonly user: UserInfo; readonly as: Requester } | undefined;

/** The answer with warnings behind its own; each is said once. Follows k8s.io/apiserver/pkg/endpoints/filters/warning.go. */
function warned(response: ApiResponse, texts: readonly string[]): ApiResponse {
  if (texts.length === 0) return response;
  const own = response.headers["warning"];
  const all = [...(own === undefined ? [] : [own]), ...new Set(texts.map((text) => `299 - ${JSON.stringify(text)}`))];
  return { ...response, headers: { ...response.headers, warning: all.join(", ") } };
}

/** Any failure as an answer; what is not an API error is a bug, logged, and answered with 500. */
function errorResponse(e: unknown, log: Logger, request: ApiRequest): ApiResponse {
  let error: ApiError;
  if (e instanceof ApiError) error = e;
  else {
    log.error("request failed", { method: request.method, path: request.path, error: e });
    error = newInternalError(e instanceof Error ? e.message : "unknown error");
  }
  // Who is told to come back is told when in a header, too.
  const after = error.status.details?.retryAfterSeconds;
  return { status: error.code, headers: after === undefined ? {} : { "retry-after": String(after) }, body: error.status };
}
