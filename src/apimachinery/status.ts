/**
 * API errors: the `Status` object, the error class that carries it, and the questions callers ask of it.
 * Follows k8s.io/apimachinery/pkg/api/errors/errors.go; messages and reasons are upstream's.
 */

export interface StatusCause {
  reason?: string;
  message?: string;
  field?: string;
}

export interface StatusDetails {
  name?: string;
  group?: string;
  kind?: string;
  uid?: string;
  causes?: StatusCause[];
  retryAfterSeconds?: number;
}

export interface Status {
  kind: "Status";
  apiVersion: "v1";
  metadata: Record<string, unknown>;
  status: "Success" | "Failure";
  message?: string;
  reason?: string;
  details?: StatusDetails;
  code?: number;
}

/** An answer of 400 or above, as an exception. */
export class ApiError extends Error {
  readonly status: Status;

  constructor(status: Status) {
    super(status.message ?? status.reason ?? "unknown error");
    this.name = "ApiError";
    this.status = status;
  }

  get code(): number {
    return this.status.code ?? 500;
  }

  get reason(): string {
    return this.status.reason ?? "";
  }
}

/** A resource as messages name it: `pods`, `deployments.apps`. */
export interface GroupResource {
  group: string;
  resource: string;
}

export function groupResource({ group, resource }: GroupResource): string {
  return group === "" ? resource : `${resource}.${group}`;
}

function details(gr: GroupResource, name: string, kind = gr.resource): StatusDetails {
  return { ...(name === "" ? {} : { name }), ...(gr.group === "" ? {} : { group: gr.group }), ...(kind === "" ? {} : { kind }) };
}

/** An answer with this reason; with "" one of those that carry none (plain Go errors upstream). */
export function failure(code: number, reason: string, message: string, detail?: StatusDetails): ApiError {
  return new ApiError({
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message,
    ...(reason === "" ? {} : { reason }),
    ...(detail === undefined ? {} : { details: detail }),
    code,
  });
}

export function newNotFound(gr: GroupResource, name: string): ApiError {
  return failure(404, "NotFound", `${groupResource(gr)} "${name}" not found`, details(gr, name));
}

export function newAlreadyExists(gr: GroupResource, name: string): ApiError {
  return failure(409, "AlreadyExists", `${groupResource(gr)} "${name}" already exists`, details(gr, name));
}

export function newConflict(gr: GroupResource, name: string, message: string): ApiError {
  return failure(409, "Conflict", `Operation cannot be fulfilled on ${groupResource(gr)} "${name}": ${message}`, details(gr, name));
}

/** The conflict of an update whose resourceVersion is not the stored one (registry.OptimisticLockErrorMsg). */
export const OPTIMISTIC_LOCK =
  "the object has been modified; please apply your changes to the latest version and try again";

export function newForbidden(gr: GroupResource, name: string, message: string): ApiError {
  const what = name === "" ? `${groupResource(gr)} is forbidden` : `${groupResource(gr)} "${name}" is forbidden`;
  return failure(403, "Forbidden", `${what}: ${message}`, details(gr, name));
}

export function newBadRequest(message: string): ApiError {
  return failure(400, "BadRequest", message);
}

export function newMethodNotSupported(gr: GroupResource, verb: string): ApiError {
  return failure(405, "MethodNotAllowed", `${verb} is not supported on resources of kind "${groupResource(gr)}"`, details(gr, ""));
}

export function newUnsupportedMediaType(message: string): ApiError {
  return failure(415, "UnsupportedMediaType", message);
}

export function newNotAcceptable(message: string): ApiError {
  return failure(406, "NotAcceptable", message);
}

/** 410: the asked-for revision is compacted away. */
export function newExpired(message: string): ApiError {
  return failure(410, "Expired", message);
}

export function newInternalError(message: string): ApiError {
  return failure(500, "InternalError", `Internal error occurred: ${message}`, { causes: [{ message }] });
}

/** The answer to a path that no resource has. */
export function newPathNotFound(): ApiError {
  return failure(404, "NotFound", "the server could not find the requested resource", {});
}

/** One finding of a validation. Follows field.Error of k8s.io/apimachinery/pkg/util/validation/field/errors.go. */
export interface FieldError {
  type: "FieldValueRequired" | "FieldValueInvalid" | "FieldValueDuplicate" | "FieldValueNotSupported"
    | "FieldValueForbidden" | "FieldValueNotFound" | "FieldValueTooLong" | "FieldValueTooMany" | "FieldValueTypeInvalid";
  field: string;
  message: string;
}

/** 422 with one cause per finding. Follows NewInvalid. */
export function newInvalid(gk: { group: string; kind: string }, name: string, errors: readonly FieldError[]): ApiError {
  const kind = gk.group === "" ? gk.kind : `${gk.kind}.${gk.group}`;
  const texts: string[] = [];
  for (const e of errors) {
    const text = `${e.field}: ${e.message}`;
    if (!texts.includes(text)) texts.push(text);
  }
  const all = texts.length === 1 ? texts[0]! : `[${texts.join(", ")}]`;
  return failure(422, "Invalid", `${kind} "${name}" is invalid: ${all}`, {
    ...details({ group: gk.group, resource: gk.kind }, name),
    causes: errors.map((e) => ({ reason: e.type, message: e.message, field: e.field })),
  });
}

const is = (e: unknown, reason: string): boolean => e instanceof ApiError && e.status.reason === reason;

export const isNotFound = (e: unknown): boolean => is(e, "NotFound");
export const isConflict = (e: unknown): boolean => is(e, "Conflict");
export const isAlreadyExists = (e: unknown): boolean => is(e, "AlreadyExists");
export const isInvalid = (e: unknown): boolean => is(e, "Invalid");
export const isForbidden = (e: unknown): boolean => is(e, "Forbidden");
/** 410, whether the list or watch names it Expired or Gone. */
export const isExpired = (e: unknown): boolean => is(e, "Expired") || is(e, "Gone");
/** A namespace that is being deleted refused a creation. */
export const isNamespaceTerminating = (e: unknown): boolean =>
  e instanceof ApiError && e.status.details?.causes?.some((c) => c.reason === "NamespaceTerminating") === true;
