/**
 * Server-side apply of a Scale, and who owns the one field that an object and its Scale share. Follows ScaleHandler of
 * k8s.io/apimachinery/pkg/util/managedfields.
 */
import type { ManagedFieldsEntry, Scale } from "../../api/types.generated.ts";
import { structType } from "../../api/schema.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import { failure, newBadRequest } from "../../apimachinery/status.ts";
import type { ScaleApplication } from "../extension.ts";
import type { FieldSet } from "../managed-fields.ts";
import { isEmptySet } from "../managed-fields.ts";
import { applyConfiguration, difference, isMember } from "./apply.ts";
import { typedErrors } from "./typed.ts";

const VERSION = "autoscaling/v1";
const REPLICAS: FieldSet = { "f:spec": { "f:replicas": {} } };

/** The set of the one field that a path leads to. */
const setOf = (path: readonly string[]): FieldSet => path.reduceRight<FieldSet>((below, name) => ({ [`f:${name}`]: below }), {});

function has(set: unknown, path: readonly string[]): boolean {
  let at: FieldSet | undefined = set as FieldSet;
  for (const name of path) at = at?.[`f:${name}`];
  return at !== undefined && isMember(at);
}

/** The entries of a Scale: those of its object that own the replicas. */
export function scaleEntries(parent: readonly ManagedFieldsEntry[] | undefined, path: readonly string[]): ManagedFieldsEntry[] {
  return (parent ?? []).filter(({ fieldsV1 }) => has(fieldsV1, path)).map((entry) => ({ ...entry, apiVersion: VERSION, fieldsV1: REPLICAS }));
}

const identity = ({ manager, operation, apiVersion, subresource }: ManagedFieldsEntry): string =>
  JSON.stringify([manager, operation, operation === "Update" ? apiVersion : "", subresource ?? ""]);

/** The object's entries after its Scale's became `scaled`. */
function parentEntries(parent: readonly ManagedFieldsEntry[], scaled: readonly ManagedFieldsEntry[], path: readonly string[], apiVersion: string): ManagedFieldsEntry[] {
  const left = new Map(scaled.map((entry) => [identity(entry), entry]));
  const times = new Map(parent.map((entry) => [identity(entry), entry.time]));
  const own = setOf(path);
  const out: ManagedFieldsEntry[] = [];
  for (const entry of parent) {
    if (!has(entry.fieldsV1, path) || left.delete(identity(entry))) out.push(entry);
    else {
      const fieldsV1 = difference(entry.fieldsV1 as FieldSet, own);
      if (!isEmptySet(fieldsV1)) out.push({ ...entry, fieldsV1 });
    }
  }
  for (const [id, { time: _time, ...entry }] of left) {
    const time = times.get(id);
    out.push({ ...entry, apiVersion, fieldsV1: own, ...(time === undefined ? {} : { time }) } as ManagedFieldsEntry);
  }
  return out;
}

/** The replicas that the object is to have, and its entries then. Throws the conflicts. */
export function applyScale({ parent, scale, body, path, manager, force, time }: ScaleApplication): { replicas: number; managedFields: ManagedFieldsEntry[] } {
  const applied = body as KubeObject | undefined;
  if (typeof applied !== "object" || applied === null || Array.isArray(applied))
    throw newBadRequest("error decoding YAML: json: cannot unmarshal into Go value of type map[string]interface {}");
  const { apiVersion = "", kind = "" } = applied as Partial<KubeObject>;
  if (kind !== "Scale" || apiVersion !== VERSION) throw newBadRequest(`invalid object type: ${apiVersion.includes("/") || apiVersion === "" ? apiVersion || "/" : `/${apiVersion}`}, Kind=${kind}`);
  const problems = typedErrors(structType("Scale"), applied as unknown as Record<string, unknown>);
  if (problems.length > 0) {
    const own = applied.metadata as Partial<KubeObject["metadata"]> | undefined;
    throw failure(500, "", `failed to create typed patch object (${own?.namespace ?? ""}/${own?.name ?? ""}; ${apiVersion}, Kind=${kind}): ${problems.length === 1 ? problems[0]! : `errors:\n${problems.map((problem) => `  ${problem}`).join("\n")}`}`);
  }
  const current = { ...scale, metadata: { ...scale.metadata, managedFields: scaleEntries(parent.metadata.managedFields, path) } } as unknown as KubeObject;
  const merged = applyConfiguration("Scale", { current, applied: applied as unknown as Record<string, unknown>, manager, force, subresource: "scale", reset: ["status"], time });
  return {
    replicas: (merged as unknown as Scale).spec?.replicas ?? 0,
    managedFields: parentEntries(parent.metadata.managedFields ?? [], merged.metadata.managedFields ?? [], path, parent.apiVersion),
  };
}
