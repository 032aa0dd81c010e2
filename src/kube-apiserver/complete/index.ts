/** All that makes the API server a whole one for kubectl and client libraries: the extension that `kubewire up` gives it. */
import { addGoNames, addSchemaLines } from "../../api/schema.ts";
import { apiVersionOf } from "../../api/resources.ts";
import type { Extension } from "../extension.ts";
import { typeOf } from "../registry/descriptor.ts";
import { REGISTRY } from "../registry/index.ts";
import type { ApiRequest, ApiResponse } from "../../client/transport.ts";
import type { Descriptor } from "../registry/descriptor.ts";
import { requestInfo, routesOf, splitPath } from "../request-info.ts";
import type { Routes } from "../request-info.ts";
import { createCustomResources } from "../crd/index.ts";
import { BODY_KINDS, dispatch, REVIEW_KINDS, withParts } from "../subresources/index.ts";
import { applyRequest } from "./apply-request.ts";
import { discovery } from "./discovery.ts";
import { GO_TYPES, GO_VERSION_2 } from "./go-types.ts";
import { KINDS } from "./kinds.ts";
import { openapi } from "./openapi.ts";
import { decodeEnvelope } from "./protobuf.ts";
import { DISCOVERY } from "./tables.generated.ts";
import { MORE_SCHEMA } from "./schema.generated.ts";
import { withValidation } from "./validation/index.ts";
import { tableForm } from "./table.ts";

/** Kinds of bodies that are no objects of a resource. */
const OTHER_KINDS: Readonly<Record<string, string>> = {
  "v1/DeleteOptions": "DeleteOptions", "meta.k8s.io/v1/DeleteOptions": "DeleteOptions", "autoscaling/v1/Scale": "Scale", "v1/Binding": "Binding",
  ...BODY_KINDS,
};

/** Groups that upstream knows and this server does not serve. */
const OTHER_GROUPS = ["resource.k8s.io", "internal.apiserver.k8s.io", "storagemigration.k8s.io"];
/** What stands for itself outside of `/api` and `/apis`. */
const SINGLE = /^\/(?:api|version|healthz|livez|readyz|metrics|openapi|logs|debug|\.well-known)?(?:\/|$)/;
const PAGE_NOT_FOUND: ApiResponse = { status: 404, headers: { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" }, body: "404 page not found\n" };

let builtIn: ReadonlySet<string> | undefined;
const routes = new WeakMap<readonly Descriptor[], Routes>();

/** Whether no handler of upstream's has the path: its mux says so in plain text, the API's groups say it with a Status. */
function isUnknown(path: string, request: ApiRequest, registry: readonly Descriptor[]): boolean {
  if (!path.startsWith("/apis/")) return path !== "/apis" && !SINGLE.test(path);
  builtIn ??= new Set(DISCOVERY.split("\n\n").map((block) => block.slice(0, block.indexOf("/"))).concat(OTHER_GROUPS));
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
  resources: [...KINDS.map((kind) => withParts(withValidation(kind))), ...REVIEW_KINDS],
  refine: (descriptor) => withParts(withValidation(descriptor)),
  dispatch,
  load() {
    addSchemaLines(MORE_SCHEMA);
    addGoNames(`${GO_TYPES}v2 ${GO_VERSION_2}`);
  },
  nonResource(request, registry) {
    const path = splitPath(request.path).path.replace(/\/$/, "");
    if (path.startsWith("/openapi/")) return openapi(path, request, registry);
    const found = path === "/api" || path === "/apis" || /^\/(?:api|apis\/[^/]+)(?:\/v[^/]+)?$/.test(path) ? discovery(path, request, registry) : undefined;
    return found ?? (isUnknown(path, request, registry) ? PAGE_NOT_FOUND : undefined);
  },
  table: tableForm,
  decodeProtobuf: (bytes) => decodeEnvelope(bytes, (apiVersion, kind) => {
    const found = [...REGISTRY, ...complete.resources].find(({ name }) => name.kind === kind && apiVersionOf(name) === apiVersion);
    return found === undefined ? OTHER_KINDS[`${apiVersion}/${kind}`] : typeOf(found);
  }),
  apply: applyRequest,
  dynamic: createCustomResources,
};
