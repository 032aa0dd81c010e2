/**
 * What clients ask for and send in other forms than this server's plain JSON, and how it is told that a body cannot be read. Follows
 * go-restful's routing by Accept, pkg/endpoints/handlers/negotiation, pkg/endpoints/handlers/rest.go (transformDecodeError) and patch.go.
 */
import { ApiError, failure, newBadRequest, newInvalid } from "../../apimachinery/status.ts";
import type { ApiRequest } from "../../client/transport.ts";
import { FieldErrors } from "../field.ts";
import type { RequestInfo } from "../request-info.ts";
import { jsonFault, summary } from "./json-fault.ts";

const PRODUCED = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
const ANY = new Set([...PRODUCED, "*/*"]);
/** What answers in a form of its own. */
const OWN_FORM = new Set(["log", "exec", "attach", "portforward", "proxy"]);

/** Refuses an Accept header that has nothing of what the path answers with. `infoOf` throws for unknown paths. */
export function checkAccept(request: ApiRequest, infoOf: (request: ApiRequest) => RequestInfo): void {
  const accept = request.headers?.["accept"] ?? "";
  if (accept === "" || accept.split(",").some((part) => ANY.has(part.split(";")[0]!.trim()))) return;
  const path = request.path.split("?")[0]!.replace(/\/$/, "");
  if (path === "/version") throw notAcceptable(["application/json"]);
  if (!/^\/apis?(?:\/|$)/.test(path)) return;
  if (path.split("/").length < (path.startsWith("/apis") ? 5 : 4)) throw notAcceptable(PRODUCED);
  const { verb, subresource } = infoOf(request);
  if (OWN_FORM.has(subresource)) return;
  throw notAcceptable(verb === "list" || verb === "watch" ? [...PRODUCED, "application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"] : PRODUCED);
}

const notAcceptable = (available: readonly string[]): ApiError => failure(406, "NotAcceptable", `406: Not Acceptable\n\nAvailable representations: ${available.join(", ")}`, {});

const OPTIONS: Readonly<Record<string, string>> = { create: "CreateOptions", update: "UpdateOptions", patch: "PatchOptions" };

/** Throws for options that no write may have. Follows ValidateCreateOptions and its kin of pkg/apis/meta/v1/validation. */
export function checkOptions({ query, verb }: RequestInfo): void {
  const kind = OPTIONS[verb];
  if (kind === undefined || query.size === 0) return;
  const errors = new FieldErrors();
  const manager = query.get("fieldManager") ?? "";
  const bytes = (text: string): number => new TextEncoder().encode(text).length;
  if (bytes(manager) > 128) errors.tooLong("fieldManager", 128);
  let at = 0;
  for (const char of manager) {
    const code = char.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0");
    if (UNPRINTABLE.test(char)) errors.invalidGo("fieldManager", goString(manager), `invalid character U+${code} (at position ${at})`);
    at += bytes(char);
  }
  const dryRun = query.getAll("dryRun");
  if (dryRun.some((value) => value !== "All")) errors.notSupported("dryRun", dryRun, ["All"]);
  const mode = query.get("fieldValidation") ?? "";
  if (!["", "Ignore", "Strict", "Warn"].includes(mode)) errors.notSupported("fieldValidation", mode, ["", "Ignore", "Strict", "Warn"]);
  if (errors.list.length > 0) throw newInvalid({ group: "meta.k8s.io", kind }, "", errors.list);
}

/** What Go's unicode.IsPrint refuses. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/u;
const goString = (text: string): string => JSON.stringify(text).replace(/\\u00([0-7].)/g, "\\x$1");

/** Kinds of bodies of subresources. */
const BODIES: Readonly<Record<string, string>> = { scale: "Scale", binding: "Binding", eviction: "Eviction", token: "TokenRequest" };

/** Why the text is no body. `problem` is what the reader of YAML threw. */
export function unreadable(text: string, request: ApiRequest, infoOf: (request: ApiRequest) => RequestInfo, problem: unknown): ApiError {
  const type = (request.headers?.["content-type"] ?? "").split(";")[0]!.trim();
  const yaml = type.endsWith("yaml");
  const fault = yaml ? `yaml: ${yamlFault(problem)}` : jsonFault(text);
  if (request.method === "PATCH") {
    if (yaml) return newBadRequest(`error decoding YAML: error converting YAML to JSON: ${fault}`);
    return newBadRequest(type === "application/strategic-merge-patch+json" ? fault : `error decoding patch: ${fault}`);
  }
  const why = yaml ? fault : `couldn't get version/kind; json parse error: ${fault}`;
  // A plain error upstream.
  if (request.method === "DELETE") return new ApiError({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message: why, code: 500 });
  const { descriptor, subresource } = infoOf(request);
  return newBadRequest(`the object provided is unrecognized (must be of type ${BODIES[subresource] ?? descriptor.name.kind}): ${why} (${summary(text)})`);
}

/** The problem of the YAML package in go-yaml's words, as near as its codes go. */
function yamlFault(problem: unknown): string {
  const { code = "", message = "", linePos } = (problem ?? {}) as { code?: string; message?: string; linePos?: readonly { line: number }[] };
  const line = linePos?.[0]?.line ?? 1;
  const text = code === "MISSING_CHAR" && message.includes("quote") ? "found unexpected end of stream"
    : code === "MISSING_CHAR" ? "could not find expected ':'"
      : message.includes("end with a ]") ? "did not find expected ',' or ']'"
        : message.includes("end with a }") ? "did not find expected ',' or '}'"
          : code === "BLOCK_AS_IMPLICIT_KEY" ? "mapping values are not allowed in this context"
            : code === "TAB_AS_INDENT" ? "found character that cannot start any token" : "did not find expected key";
  return `line ${line}: ${text}`;
}
