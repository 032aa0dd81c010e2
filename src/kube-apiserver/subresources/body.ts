/** Bodies that are no objects of the resource they are sent to, and the managed fields of answers that are made of them. */
import { decodeStruct, DecodeError, emptyStruct } from "../../api/schema.ts";
import type { ManagedFieldsEntry } from "../../api/types.generated.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import { newBadRequest } from "../../apimachinery/status.ts";
import { formatTime } from "../../apimachinery/time.ts";
import type { Answering } from "../extension.ts";
import { updateManagedFields } from "../managed-fields.ts";

/** A body of this type and version. Throws ApiError. */
export function decodeBody(type: string, apiVersion: string, body: unknown): KubeObject {
  const { kind, apiVersion: sent } = (body ?? {}) as { kind?: string; apiVersion?: string };
  const version = apiVersion.split("/").pop()!;
  if (kind !== undefined && (kind !== type || sent !== apiVersion))
    throw newBadRequest(`${kind} in version "${version}" cannot be handled as a ${type}: no kind "${kind}" is registered for version "${sent ?? ""}" in scheme "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"`);
  try {
    return decodeStruct(type, body ?? {}, { strict: [] }) as unknown as KubeObject;
  } catch (e) {
    throw e instanceof DecodeError ? newBadRequest(`${type} in version "${version}" cannot be handled as a ${type}: ${e.message}`) : e;
  }
}

/** The managed fields of an object that the request made. */
export function managedOf({ manager, clock }: Answering, type: string, apiVersion: string, object: KubeObject, subresource: string): { managedFields?: ManagedFieldsEntry[] } {
  const managedFields = updateManagedFields({
    type, apiVersion, before: emptyStruct(type), after: object as unknown as Record<string, unknown>, managed: [], manager, subresource, reset: ["status"], time: formatTime(clock.nowMs()),
  });
  return managedFields.length === 0 ? {} : { managedFields };
}
