/** PATCH with application/apply-patch+yaml: creates what is not there. Follows applyPatcher of k8s.io/apiserver/pkg/endpoints/handlers/patch.go. */
import type { KubeObject } from "../../apimachinery/meta.ts";
import { structType } from "../../api/schema.ts";
import { apiVersionOf } from "../../api/resources.ts";
import { failure, newBadRequest, newConflict, newInvalid } from "../../apimachinery/status.ts";
import type { ApiResponse } from "../../client/transport.ts";
import type { ApplyRequest } from "../extension.ts";
import { FieldErrors } from "../field.ts";
import { typeOf } from "../registry/descriptor.ts";
import { isTrue } from "../request-info.ts";
import { applyConfiguration } from "./apply.ts";
import { typedErrors } from "./typed.ts";

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
  if (manager.length > 128) {
    const errors = new FieldErrors();
    errors.tooLong("fieldManager", 128);
    throw newInvalid({ group: "meta.k8s.io", kind: "PatchOptions" }, "", errors.list);
  }
  if (descriptor.custom === undefined) checkTyped(applied, request);
  if (applied.metadata?.managedFields !== undefined) throw newBadRequest("metadata.managedFields must be nil");
  descriptor.custom?.admitApplied(applied, await request.current());
  // What is not of this kind, or of a wrong type, is refused before anything is merged.
  const { object: decoded, headers } = request.decode(applied);
  request.checkName(decoded);
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

/** The kind must be the path's, and the values of its types. Follows structuredMergeManager.Apply. */
function checkTyped(applied: KubeObject, { info: { descriptor } }: ApplyRequest): void {
  const { apiVersion = "", kind = "" } = applied as Partial<KubeObject>;
  const shown = `${apiVersion.includes("/") || apiVersion === "" ? apiVersion : `/${apiVersion}`}`;
  const wanted = apiVersionOf(descriptor.name);
  if (kind !== descriptor.name.kind || apiVersion !== wanted) throw newBadRequest(`invalid object type: ${shown === "" ? "/" : shown}, Kind=${kind}`);
  const problems = typedErrors(structType(typeOf(descriptor)), applied as unknown as Record<string, unknown>);
  if (problems.length === 0) return;
  const own = applied.metadata as Partial<KubeObject["metadata"]> | undefined;
  const subject = `${own?.namespace ?? ""}/${own?.name ?? ""}`;
  const text = problems.length === 1 ? problems[0]! : `errors:\n${problems.map((problem) => `  ${problem}`).join("\n")}`;
  throw failure(500, "", `failed to create typed patch object (${subject}; ${shown}, Kind=${kind}): ${text}`);
}
