/** All that makes the API server a whole one for kubectl and client libraries: the extension that `kubewire up` gives it. */
import { addGoNames, addSchemaLines } from "../../api/schema.ts";
import { apiVersionOf } from "../../api/resources.ts";
import type { Extension } from "../extension.ts";
import { typeOf } from "../registry/descriptor.ts";
import { REGISTRY } from "../registry/index.ts";
import { splitPath } from "../request-info.ts";
import { applyRequest } from "./apply-request.ts";
import { discovery } from "./discovery.ts";
import { GO_TYPES, GO_VERSION_2 } from "./go-types.ts";
import { KINDS } from "./kinds.ts";
import { openapi } from "./openapi.ts";
import { decodeEnvelope } from "./protobuf.ts";
import { MORE_SCHEMA } from "./schema.generated.ts";
import { withValidation } from "./validation/index.ts";
import { tableForm } from "./table.ts";

/** Kinds of bodies that are no objects of a resource. */
const OTHER_KINDS: Readonly<Record<string, string>> = {
  "v1/DeleteOptions": "DeleteOptions", "meta.k8s.io/v1/DeleteOptions": "DeleteOptions", "autoscaling/v1/Scale": "Scale", "v1/Binding": "Binding",
  "policy/v1/Eviction": "Eviction",
};

export const complete: Extension = {
  resources: KINDS.map(withValidation),
  refine: withValidation,
  load() {
    addSchemaLines(MORE_SCHEMA);
    addGoNames(`${GO_TYPES}v2 ${GO_VERSION_2}`);
  },
  nonResource(request, registry) {
    const path = splitPath(request.path).path.replace(/\/$/, "");
    if (path.startsWith("/openapi/")) return openapi(path, request, registry);
    return path === "/api" || path === "/apis" || /^\/(?:api|apis\/[^/]+)(?:\/v[^/]+)?$/.test(path) ? discovery(path, request, registry) : undefined;
  },
  table: tableForm,
  decodeProtobuf: (bytes) => decodeEnvelope(bytes, (apiVersion, kind) => {
    const found = [...REGISTRY, ...KINDS].find(({ name }) => name.kind === kind && apiVersionOf(name) === apiVersion);
    return found === undefined ? OTHER_KINDS[`${apiVersion}/${kind}`] : typeOf(found);
  }),
  apply: applyRequest,
};
