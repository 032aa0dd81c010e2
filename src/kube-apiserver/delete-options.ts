/** The options of a deletion, from its body or its query. Follows apis/meta/internalversion and validation. */
import { decodeStruct, DecodeError } from "../api/schema.ts";
import type { DeleteOptions as WireOptions } from "../api/types.generated.ts";
import { ApiError, newInvalid } from "../apimachinery/status.ts";
import type { ApiRequest } from "../client/transport.ts";
import { FieldErrors } from "./field.ts";
import { intParam, isTrue } from "./request-info.ts";

export interface DeleteOptions {
  gracePeriodSeconds: number | undefined;
  propagationPolicy: "Foreground" | "Background" | "Orphan" | undefined;
  uid: string | undefined;
  resourceVersion: string | undefined;
  dryRun: boolean;
}

export function parseDeleteOptions(request: ApiRequest, query: URLSearchParams): DeleteOptions {
  const failure = (message: string): ApiError => new ApiError({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message, code: 500 });
  let sent: Partial<WireOptions> = {};
  if (request.body !== undefined && request.body !== null) {
    const { kind, apiVersion } = request.body as { kind?: unknown; apiVersion?: unknown };
    if (typeof kind === "string" && kind !== "DeleteOptions")
      throw failure(`no kind "${kind}" is registered for version "${String(apiVersion ?? "")}" in scheme "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:27"`);
    try {
      sent = decodeStruct("DeleteOptions", request.body, { strict: [] }) as Partial<WireOptions>;
    } catch (e) {
      throw e instanceof DecodeError ? failure(e.message) : e;
    }
  } else {
    const grace = intParam(query, "gracePeriodSeconds");
    const policy = query.get("propagationPolicy");
    if (grace !== undefined) sent.gracePeriodSeconds = grace;
    if (policy !== null) sent.propagationPolicy = policy;
    if (query.has("orphanDependents")) sent.orphanDependents = isTrue(query.get("orphanDependents"));
    if (query.has("dryRun")) sent.dryRun = query.getAll("dryRun");
  }
  const errors = new FieldErrors();
  const policy = sent.propagationPolicy;
  if (sent.orphanDependents !== undefined && policy !== undefined)
    errors.invalid("propagationPolicy", policy, "orphanDependents and deletionPropagation cannot be both set");
  if (policy !== undefined && policy !== "Foreground" && policy !== "Background" && policy !== "Orphan")
    errors.notSupported("propagationPolicy", policy, ["Foreground", "Background", "Orphan", "nil"]);
  const dryRun = sent.dryRun ?? [];
  if (dryRun.some((v) => v !== "All")) errors.notSupported("dryRun", dryRun, ["All"]);
  if (errors.list.length > 0) throw newInvalid({ group: "meta.k8s.io", kind: "DeleteOptions" }, "", errors.list);
  return {
    // Negative periods count as 1 second, as in ValidateDeleteOptions' defaulting.
    gracePeriodSeconds: sent.gracePeriodSeconds !== undefined && sent.gracePeriodSeconds < 0 ? 1 : sent.gracePeriodSeconds,
    propagationPolicy: sent.orphanDependents === undefined ? (policy as DeleteOptions["propagationPolicy"]) : sent.orphanDependents ? "Orphan" : "Background",
    uid: sent.preconditions?.uid,
    resourceVersion: sent.preconditions?.resourceVersion,
    dryRun: dryRun.length > 0 || query.getAll("dryRun").includes("All"),
  };
}
