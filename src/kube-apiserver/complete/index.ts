/** All that makes the API server a whole one for kubectl and client libraries: the extension that `kubewire up` gives it. */
import { addGoNames, addSchemaLines, structType } from "../../api/schema.ts";
import { apiVersionOf } from "../../api/resources.ts";
import type { Extension } from "../extension.ts";
import { typeOf } from "../registry/descriptor.ts";
import { REGISTRY } from "../registry/index.ts";
import { ApiError, failure } from "../../apimachinery/status.ts";
import type { ApiRequest } from "../../client/transport.ts";
import type { Descriptor } from "../registry/descriptor.ts";
import { goMap } from "../patch.ts";
import { requestInfo, routesOf, splitPath } from "../request-info.ts";
import type { Routes } from "../request-info.ts";
import { CompactedError } from "../../storage/storage.ts";
import { createCustomResources } from "../crd/index.ts";
import { BODY_KINDS, dispatch, REVIEW_KINDS, withParts } from "../subresources/index.ts";
import { createAdmission } from "./admission/index.ts";
import { createApiServices } from "./apiservices.ts";
import { applyRequest } from "./apply-request.ts";
import { bootstrapAll } from "./bootstrap/index.ts";
import { discovery } from "./discovery.ts";
import { concernsFlowSchemas, syncFlowSchemas } from "./flow-schema-status.ts";
import { patchedJson } from "./go-json.ts";
import { GO_TYPES, GO_VERSION_2 } from "./go-types.ts";
import { KINDS } from "./kinds.ts";
import { legacy, LEGACY_KINDS } from "./legacy.ts";
import { checkAccept, checkOptions, unreadable } from "./negotiation.ts";
import { defaultOlder } from "./older.ts";
import { tidied } from "./managers.ts";
import { openapi } from "./openapi.ts";
import { decodeEnvelope } from "./protobuf.ts";
import { encodeEnvelope, encodeFrame } from "./protobuf-encode.ts";
import { applyScale, scaleEntries } from "./scale.ts";
import { count, PAGE_NOT_FOUND, statusPage } from "./status-pages.ts";
import type { Server } from "./status-pages.ts";
import { DISCOVERY } from "./tables.generated.ts";
import { MORE_SCHEMA } from "./schema.generated.ts";
import { metricsResources } from "../../metrics-server/index.ts";
import { withValidation } from "./validation/index.ts";
import { tableForm } from "./table.ts";
import { patchedFault } from "./unstructured.ts";
import { fromYaml, toYaml } from "./yaml.ts";

/** Kinds of bodies that are no objects of a resource. */
const OTHER_KINDS: Readonly<Record<string, string>> = {
  "v1/DeleteOptions": "DeleteOptions", "meta.k8s.io/v1/DeleteOptions": "DeleteOptions", "autoscaling/v1/Scale": "Scale", "v1/Binding": "Binding", "v1/Status": "Status",
  ...BODY_KINDS,
};

let kinds: Map<string, string> | undefined;

/** The schema's type of a kind, `Status` and other bodies among them. */
function typeOfKind(apiVersion: string, kind: string): string | undefined {
  kinds ??= new Map([...Object.entries(OTHER_KINDS), ...[...REGISTRY, ...complete.resources].map((d): [string, string] => [`${apiVersionOf(d.name)}/${d.name.kind}`, typeOf(d)])]);
  // Clients send them in the group and version of what they delete.
  return kind === "DeleteOptions" ? kind : kinds.get(`${apiVersion}/${kind}`);
}

const PROTOBUF = {
  object: (body: unknown): Uint8Array | undefined => encodeEnvelope(body, typeOfKind),
  frame: (type: string, object: unknown): Uint8Array => encodeFrame(type, object, typeOfKind),
};

/** What stands for itself outside of `/api` and `/apis`. */
const SINGLE = /^\/(?:$|api(?:\/|$)|version$|openapi\/)/;

let builtIn: ReadonlySet<string> | undefined;
const routes = new WeakMap<readonly Descriptor[], Routes>();
/** What servers count, by their store, and by what they serve now. */
const servers = new WeakMap<object, Server>();
const serverOf = new WeakMap<readonly Descriptor[], Server>();
const PODS = withParts(withValidation(REGISTRY.find(({ name }) => name.kind === "Pod")!));

/** Whether no handler of upstream's has the path: its mux says so in plain text, the API's groups say it with a Status. */
function isUnknown(path: string, request: ApiRequest, registry: readonly Descriptor[]): boolean {
  if (!path.startsWith("/apis/")) return path !== "/apis" && !SINGLE.test(path);
  builtIn ??= new Set(DISCOVERY.split("\n\n").map((block) => block.slice(0, block.indexOf("/"))));
  if (builtIn.has(path.split("/")[2]!)) return false;
  let known = routes.get(registry);
  if (known === undefined) routes.set(registry, (known = routesOf(registry)));
  try {
    requestInfo(known, request);
    return false;
  } catch {
    return true;
  }
}

export const complete: Extension = {
  resources: [...KINDS.map((kind) => withParts(withValidation(kind))), ...REVIEW_KINDS, ...LEGACY_KINDS],
  refine: (descriptor) => withParts(withValidation(descriptor)),
  async dispatch(answering, next) {
    const { info, storage } = answering;
    let status = 500;
    try {
      checkOptions(info);
      const response = await (legacy(answering, PODS, next) ?? dispatch(answering, next));
      ({ status } = response);
      if (concernsFlowSchemas(info)) await syncFlowSchemas(answering);
      return response;
    } catch (e) {
      if (e instanceof ApiError) status = e.code;
      throw e;
    } finally {
      count(servers.get(storage)!, info, status);
    }
  },
  bootstrap: bootstrapAll,
  load() {
    addSchemaLines(MORE_SCHEMA);
    addGoNames(`${GO_TYPES}v2 ${GO_VERSION_2}`);
  },
  nonResource(request, registry) {
    // Most requests are for resources of the core group.
    if (request.path.startsWith("/api/v1/namespaces/")) return undefined;
    const path = splitPath(request.path).path.replace(/\/$/, "");
    if (path.startsWith("/openapi/")) return openapi(path, request, registry);
    const found = /^\/api(?:s|s\/[^/]+|s\/[^/]+\/v[^/]+|\/v[^/]+)?$/.test(path) ? discovery(path, request, registry, serverOf.get(registry)?.address) : statusPage(path, request, registry, serverOf.get(registry));
    if (found === undefined && (path !== "/version" || request.method === "GET")) return isUnknown(path, request, registry) ? PAGE_NOT_FOUND : undefined;
    if (request.method !== "GET") throw failure(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {});
    return found;
  },
  table: tableForm,
  checkAccept,
  unreadable,
  fromYaml,
  toYaml,
  decodeProtobuf: (bytes) => decodeEnvelope(bytes, typeOfKind),
  protobuf(request, infoOf) {
    try {
      return infoOf(request).descriptor.custom === undefined ? PROTOBUF : undefined;
    } catch {
      return PROTOBUF;
    }
  },
  apply: applyRequest,
  applyScale,
  scaleEntries,
  tidied,
  defaultOlder,
  quote(type, contentType, patch, patched, why) {
    if (contentType !== "application/strategic-merge-patch+json") return [patchedJson(type, patched, contentType, patch), why];
    return [goMap(patch as Record<string, unknown>), patchedFault(structType(type), patched) ?? why];
  },
  admission: createAdmission,
  dynamic(options) {
    const { storage, clock, address, serviceAccountKey } = options;
    const server: Server = { storage, address, serviceAccountKey, startedMs: clock.nowMs(), requests: new Map() };
    servers.set(storage, server);
    const { descriptor, register } = createApiServices(options);
    // One after the other: the last says what is served.
    let registered = Promise.resolve();
    const announce = (registry: readonly Descriptor[]): void => {
      serverOf.set(registry, server);
      registered = registered.then(() => register(registry)).catch(() => {});
    };
    const { kubelets } = options;
    // Without nodes there is nothing to measure.
    const metrics = kubelets === undefined || kubelets.nodes.length === 0 ? [] : metricsResources({ kubelets, storage, clock });
    const resources = createCustomResources({ ...options, fixed: [...options.fixed, descriptor, ...metrics] }, announce);
    serverOf.set(resources.registry(), server);
    return {
      registry: () => resources.registry(),
      async load() {
        await resources.load();
        announce(resources.registry());
        await registered;
        // A watch cache knows nothing from before it was filled.
        await storage.compact(await storage.revision()).catch((e: unknown) => {
          // Another server did so already.
          if (!(e instanceof CompactedError)) throw e;
        });
      },
    };
  },
};
