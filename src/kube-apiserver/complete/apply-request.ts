/** PATCH with application/apply-patch+yaml: creates what is not there. Follows applyPatcher of k8s.io/apiserver/pkg/endpoints/handlers/patch.go. */
import type { KubeObject } from "../../apimachinery/meta.ts";
import { newBadRequest, newConflict, newInvalid } from "../../apimachinery/status.ts";
import type { ApiResponse } from "../../client/transport.ts";
import type { ApplyRequest } from "../extension.ts";
import { FieldErrors } from "../field.ts";
import { typeOf } from "../registry/descriptor.ts";
import { isTrue } from "../request-info.ts";
import { applyConfiguration } from "./apply.ts";

export async function applyRequest(request: ApplyRequest): Promise<ApiResponse> {
  const { info, reset, time } = request;
  const { descriptor, namespace, name, subresource, query } = info;
  const manager = query.get("fieldManager") ?? "";
  if (manager === "") {
    const errors = new FieldErrors();
    errors.required("fieldManager", "is required for apply patch");
    throw newInvalid({ group: "meta.k8s.io", kind: "PatchOptions" }, "", errors.list);
  }
  const applied = request.body as KubeObject | undefined;
  if (typeof applied !== "object" || applied === null || Array.isArray(applied))
    throw newBadRequest("error decoding YAML: json: cannot unmarshal into Go value of type map[string]interface {}");
  if ((applied.metadata?.managedFields ?? []).length > 0) throw newBadRequest("metadata.managedFields must be nil");
  descriptor.custom?.admitApplied(applied, await request.current());
  // What is not of this kind, or of a wrong type, is refused before anything is merged.
  const { object: decoded, headers } = request.decode(applied);
  request.checkName({ ...decoded, metadata: { ...decoded.metadata, name: decoded.metadata.name ?? name } });
  const force = isTrue(query.get("force"));
  const merge = (current: KubeObject | undefined): KubeObject => {
    const merged = applyConfiguration(typeOf(descriptor), { current, applied: applied as unknown as Record<string, unknown>, manager, force, subresource, reset, time });
    const { managedFields } = merged.metadata;
    const { object } = request.decode(merged);
    object.metadata.name = name;
    if (managedFields === undefined) delete object.metadata.managedFields;
    else object.metadata.managedFields = managedFields;
    if (descriptor.name.namespaced) object.metadata.namespace = namespace;
    return object;
  };
  if (subresource !== "" || (await request.current()) !== undefined) return { status: 200, headers, body: await request.update(merge) };
  if (applied.metadata?.uid !== undefined)
    throw newConflict(descriptor.name, name, `uid mismatch: the provided object specified uid ${applied.metadata.uid}, and no existing object was found`);
  const object = merge(undefined);
  const managed = object.metadata.managedFields;
  const stored = await request.create(object, () => {
    if (managed !== undefined) object.metadata.managedFields = managed;
  });
  return { status: 201, headers, body: stored };
}
