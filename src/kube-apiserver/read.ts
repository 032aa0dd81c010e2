/**
 * get, list and watch: resourceVersion semantics, selectors, pages.
 * Follows k8s.io/apiserver/pkg/endpoints/handlers/get.go and pkg/storage/etcd3/store.go (GetList).
 */
import { apiVersionOf } from "../api/resources.ts";
import type { KubeObject } from "../apimachinery/meta.ts";
import { isEmpty, matches, matchesFields, parseFieldSelector, parseLabelSelector, SelectorError } from "../apimachinery/selectors.ts";
import type { FieldTerm, Selector } from "../apimachinery/selectors.ts";
import { ApiError, newBadRequest, newExpired, newInvalid, newNotFound } from "../apimachinery/status.ts";
import type { ApiResponse } from "../client/transport.ts";
import { CompactedError, FutureRevisionError } from "../storage/storage.ts";
import type { Storage } from "../storage/storage.ts";
import type { Clock } from "../time/clock.ts";
import { FieldErrors } from "./field.ts";
import { storageKey, storagePrefixOf, UNSTRUCTURED } from "./registry/descriptor.ts";
import type { Descriptor } from "./registry/descriptor.ts";
import { intParam, isTrue } from "./request-info.ts";
import type { RequestInfo } from "./request-info.ts";
import { watchStream } from "./watch.ts";

export interface Reader {
  get(info: RequestInfo): Promise<ApiResponse>;
  list(info: RequestInfo): Promise<ApiResponse>;
  watch(info: RequestInfo, signal?: AbortSignal): Promise<ApiResponse>;
}

const HEADERS: Readonly<Record<string, string>> = {};

const TOO_OLD_LIST = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";

export function createReader({ storeOf, clock }: { storeOf: (descriptor: Descriptor) => Storage<KubeObject>; clock: Clock }): Reader {
  return {
    async get({ descriptor, namespace, name, query }) {
      const storage = storeOf(descriptor);
      const wanted = parseRevision(query.get("resourceVersion"));
      const current = wanted === 0 ? 0 : await storage.revision();
      if (wanted > current) throw tooLarge(wanted, current);
      const found = await storage.get(storageKey(descriptor, namespace, name));
      if (found === undefined) throw newNotFound({ group: descriptor.name.group, resource: descriptor.name.resource }, name);
      return { status: 200, headers: HEADERS, body: found.value };
    },

    async list(info) {
      const { descriptor, namespace, query } = info;
      const storage = storeOf(descriptor);
      const match = selection(info);
      if (query.has("sendInitialEvents")) throw listOptionsError("sendInitialEvents", "sendInitialEvents is forbidden for list");
      intParam(query, "timeoutSeconds");
      const prefix = storagePrefixOf(descriptor, namespace);
      const token = query.get("continue") ?? "";
      const sentRevision = query.get("resourceVersion") ?? "";
      // "Any revision" is answered from the watch cache, whole.
      const asked = Math.max(0, intParam(query, "limit") ?? 0);
      const limit = sentRevision === "0" && token === "" ? 0 : asked;
      validateVersionMatch(query, token, sentRevision);
      let from: string | undefined;
      let revision: number | undefined;
      if (token !== "") {
        if (sentRevision !== "" && sentRevision !== "0") throw newBadRequest("specifying resource version is not allowed when using continue");
        const decoded = decodeToken(token);
        from = prefix + decoded.start;
        revision = decoded.revision;
      } else if (query.get("resourceVersionMatch") === "Exact" || (limit > 0 && sentRevision !== "" && sentRevision !== "0" && !query.has("resourceVersionMatch")))
        revision = parseRevision(sentRevision);
      else if (sentRevision !== "") {
        const wanted = parseRevision(sentRevision);
        const now = await storage.revision();
        if (wanted > now) throw tooLarge(wanted, now);
      }
      // A page may need more keys than its limit when a selector drops some; all keys of the range are at hand.
      let result;
      try {
        result = await storage.range(prefix, { ...(from === undefined ? {} : { from }), ...(revision === undefined ? {} : { revision }), ...(match === undefined && limit > 0 ? { limit } : {}) });
      } catch (e) {
        if (e instanceof CompactedError) throw newExpired(token === "" ? `The resourceVersion for the provided list is too old.` : TOO_OLD_LIST);
        if (e instanceof FutureRevisionError && query.get("resourceVersionMatch") === "Exact")
          throw new ApiError({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", code: 500, message: "etcdserver: mvcc: required revision is a future revision" });
        if (e instanceof FutureRevisionError) throw tooLarge(revision!, await storage.revision());
        throw e;
      }
      const items: KubeObject[] = [];
      let used = 0;
      let lastKey = "";
      for (const kv of result.items) {
        if (limit > 0 && items.length === limit) break;
        used++;
        lastKey = kv.key;
        if (match === undefined || match(kv.value)) items.push(kv.value);
      }
      // A page that filled its limit with the very last keys still knows whether anything matches beyond it.
      const remaining = result.count - used;
      const more = limit > 0 && items.length === limit && remaining > 0;
      const listRevision = revision ?? result.revision;
      // Lists of custom resources are unstructured upstream, and say that nothing follows.
      const metadata: Record<string, unknown> = { ...(descriptor.custom === undefined ? {} : { continue: "" }), resourceVersion: String(listRevision) };
      if (more) {
        metadata["continue"] = encodeToken(listRevision, `${lastKey.slice(prefix.length)}\u0000`);
        if (match === undefined) metadata["remainingItemCount"] = remaining;
      }
      return { status: 200, headers: HEADERS, body: { kind: descriptor.name.listKind ?? `${descriptor.name.kind}List`, apiVersion: apiVersionOf(descriptor.name), metadata, items, ...(descriptor.custom === undefined ? {} : { [UNSTRUCTURED]: true }) } };
    },

    async watch(info, signal) {
      const { descriptor, namespace, query } = info;
      const storage = storeOf(descriptor);
      const match = selection(info) ?? ((): boolean => true);
      const prefix = storagePrefixOf(descriptor, namespace);
      const sent = query.get("resourceVersion") ?? "";
      const bookmarks = isTrue(query.get("allowWatchBookmarks"));
      const sendInitial = query.get("sendInitialEvents");
      if (sendInitial === null && query.has("resourceVersionMatch")) throw listOptionsError("resourceVersionMatch", "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
      const given = query.get("resourceVersionMatch") ?? "";
      if (sendInitial !== null && given !== "NotOlderThan") throw listOptionsError("resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan", given);
      const timeout = intParam(query, "timeoutSeconds");
      const wanted = parseRevision(sent);
      const synthetic = sendInitial !== null ? isTrue(sendInitial) : wanted === 0;
      const initial: KubeObject[] = [];
      let afterRevision = wanted;
      if (synthetic || wanted === 0) {
        const state = await storage.range(prefix);
        afterRevision = state.revision;
        if (synthetic) for (const { value } of state.items) if (match(value)) initial.push(value);
      }
      try {
        const stream = watchStream(storage, {
          descriptor, prefix, afterRevision, initial, matches: match, bookmarks, clock, signal,
          initialEventsEnd: sendInitial !== null && synthetic && bookmarks ? afterRevision : undefined,
          timeoutMs: timeout === undefined || timeout <= 0 ? undefined : timeout * 1000,
        });
        return { status: 200, headers: HEADERS, stream };
      } catch (e) {
        if (!(e instanceof CompactedError)) throw e;
        // As the watch cache says it: in the stream, after the watch was accepted.
        const error = newExpired(`too old resource version: ${wanted} (${e.compacted})`);
        return { status: 200, headers: HEADERS, stream: single({ type: "ERROR", object: error.status }) };
      }
    },
  };
}

async function* single(event: { type: "ERROR"; object: unknown }): AsyncIterable<{ type: "ERROR"; object: unknown }> {
  yield event;
}

/** What the request selects; undefined means everything. */
function selection({ descriptor, query, name }: RequestInfo): ((object: KubeObject) => boolean) | undefined {
  let labels: Selector | undefined;
  let fields: FieldTerm[] = [];
  try {
    const labelText = query.get("labelSelector");
    const fieldText = query.get("fieldSelector");
    if (labelText !== null && labelText !== "") labels = parseLabelSelector(labelText);
    if (fieldText !== null && fieldText !== "") fields = parseFieldSelector(fieldText);
  } catch (e) {
    if (e instanceof SelectorError) throw newBadRequest(e.message);
    throw e;
  }
  for (const { field } of fields) if (field !== "metadata.name" && field !== "metadata.namespace" && descriptor.selectableNames?.includes(field) !== true)
    throw newBadRequest(fieldNotSupported(descriptor, field));
  // A watch of one object by its path.
  if (name !== "") fields.push({ field: "metadata.name", equal: true, value: name });
  const noLabels = labels === undefined || isEmpty(labels);
  if (noLabels && fields.length === 0) return undefined;
  return (object) => (noLabels || matches(labels!, object.metadata.labels)) && (fields.length === 0 || matchesFields(fields, fieldsOf(descriptor, object)));
}

function fieldNotSupported(descriptor: Descriptor, field: string): string {
  return descriptor.selectableNames === undefined
    ? `"${field}" is not a known field selector: only "metadata.name", "metadata.namespace"`
    : `field label not supported: ${field}`;
}

type Fields = Record<string, string | undefined>;
/** Every node's watch asks the same of each pod. */
const known = new WeakMap<KubeObject, Fields>();

function fieldsOf(descriptor: Descriptor, object: KubeObject): Fields {
  let fields = known.get(object);
  if (fields === undefined) known.set(object, (fields = { ...descriptor.selectable?.(object), "metadata.name": object.metadata.name, "metadata.namespace": object.metadata.namespace }));
  return fields;
}

function parseRevision(text: string | null): number {
  if (text === null || text === "") return 0;
  if (!/^\d+$/.test(text)) {
    // A plain Go error upstream, hence 500.
    const quoted = JSON.stringify(text);
    throw new ApiError({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", code: 500, message: `resourceVersion: Invalid value: ${quoted}: strconv.ParseUint: parsing ${quoted}: invalid syntax` });
  }
  return Number(text);
}

function listOptionsError(field: string, detail: string, unsupported = ""): ApiError {
  const errors = new FieldErrors();
  errors.forbidden(field, detail);
  if (unsupported !== "") errors.notSupported(field, unsupported, ["NotOlderThan"]);
  return newInvalid({ group: "meta.k8s.io", kind: "ListOptions" }, "", errors.list);
}

/** Follows ValidateListOptions. */
function validateVersionMatch(query: URLSearchParams, token: string, revision: string): void {
  const match = query.get("resourceVersionMatch");
  if (match === null || match === "") return;
  const fail = listOptionsError;
  if (revision === "") throw fail("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided");
  if (token !== "") throw fail("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided");
  if (match !== "Exact" && match !== "NotOlderThan") {
    const errors = new FieldErrors();
    errors.notSupported("resourceVersionMatch", match, ["Exact", "NotOlderThan", ""]);
    throw newInvalid({ group: "meta.k8s.io", kind: "ListOptions" }, "", errors.list);
  }
  if (match === "Exact" && revision === "0") throw fail("resourceVersionMatch", "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
}

function tooLarge(wanted: number, current: number): ApiError {
  return new ApiError({
    kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", reason: "Timeout", code: 504,
    message: `Timeout: Too large resource version: ${wanted}, current: ${current}`,
    details: { causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }], retryAfterSeconds: 1 },
  });
}

/** Follows storage.EncodeContinue: base64url of a small JSON object. */
function encodeToken(revision: number, start: string): string {
  return btoa(JSON.stringify({ v: "meta.k8s.io/v1", rv: revision, start }).replace("\u0000", "\\u0000")).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

function decodeToken(token: string): { revision: number; start: string } {
  const invalid = (why: string): ApiError => newBadRequest(`invalid continue token: continue key is not valid: ${why}`);
  if (!/^[-\w]*$/.test(token) || token.length % 4 === 1) {
    const at = token.search(/[^-\w]/);
    throw invalid(`illegal base64 data at input byte ${at < 0 ? token.length - 1 : at}`);
  }
  const binary = atob(token.replace(/-/g, "+").replace(/_/g, "/"));
  let parsed: { v?: unknown; rv?: unknown; start?: unknown };
  try {
    parsed = JSON.parse(binary) as typeof parsed;
  } catch {
    const code = binary.charCodeAt(0);
    const shown = code >= 128 ? `\\u${code.toString(16).padStart(4, "0")}` : binary.charAt(0);
    throw invalid(`invalid character '${shown}' looking for beginning of value`);
  }
  if (parsed.v !== "meta.k8s.io/v1") throw invalid(`server does not recognize this encoded version ${JSON.stringify(parsed.v ?? "")}`);
  if (typeof parsed.start !== "string" || parsed.start === "") throw invalid("encoded start key required");
  return { revision: Number(parsed.rv), start: parsed.start };
}
