/**
 * Server-side apply. Follows sigs.k8s.io/structured-merge-diff (merge.Updater.Apply) and
 * k8s.io/apimachinery/pkg/util/managedfields: what is applied is merged into the live object field by field; other managers of a
 * field whose value would change are in conflict; what the manager applied before and does not now goes, unless others own it.
 */
import { concrete, fieldOf, structOf, structType } from "../../api/schema.ts";
import type { Field, FieldType, StructType } from "../../api/schema.ts";
import type { ManagedFieldsEntry } from "../../api/types.generated.ts";
import { deepCopy, deepEqual } from "../../apimachinery/meta.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import { ApiError } from "../../apimachinery/status.ts";
import { changedFields, isEmptySet, sortSet, stripSet, subtract } from "../managed-fields.ts";
import type { FieldSet } from "../managed-fields.ts";

type Json = Record<string, unknown>;
const isMap = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);

export interface Application {
  readonly current: KubeObject | undefined;
  /** The body as it was sent. */
  readonly applied: Record<string, unknown>;
  readonly manager: string;
  readonly force: boolean;
  readonly subresource: string;
  readonly reset: readonly string[];
  readonly time: string;
}

/** The object after the apply; `type` is its schema type. Throws the conflicts. */
export function applyConfiguration(type: string, { current, applied, manager, force, subresource, reset, time }: Application): KubeObject {
  const apiVersion = String(applied["apiVersion"]);
  const root = structType(type);
  const live = (current ?? {}) as unknown as Json;
  const before = current?.metadata.managedFields ?? [];
  const config = deepCopy(applied);
  if (isMap(config["metadata"])) delete config["metadata"]["managedFields"];
  const mine = (e: ManagedFieldsEntry): boolean => e.manager === manager && e.operation === "Apply" && (e.subresource ?? "") === subresource;
  const set = setOfStruct(root, config);
  stripSet(set, reset);
  const last = (before.find(mine)?.fieldsV1 ?? {}) as FieldSet;
  let merged = mergeStruct(root, live, config);
  const changed = current === undefined ? {} : changedFields(type, live, merged, reset).set;
  let others = before.filter((e) => !mine(e));
  const conflicts = others.flatMap((entry) => leaves(intersect(entry.fieldsV1 as FieldSet, changed)).map((path) => ({ entry, path })));
  if (conflicts.length > 0 && !force) throw conflictError(conflicts);
  others = others.map((e) => ({ ...e, fieldsV1: subtract(e.fieldsV1 as FieldSet, changed) })).filter((e) => !isEmptySet(e.fieldsV1 as FieldSet));
  // What was applied before and is nobody's now.
  let gone = subtract(last, set);
  for (const e of others) gone = subtract(gone, e.fieldsV1 as FieldSet);
  merged = removeStruct(root, merged, gone);
  const entry: ManagedFieldsEntry = {
    manager, operation: "Apply", apiVersion, time, fieldsType: "FieldsV1", fieldsV1: sortSet(set), ...(subresource === "" ? {} : { subresource }),
  } as ManagedFieldsEntry;
  const was = before.find(mine);
  const { metadata: _old, ...rest } = live;
  const { metadata: _new, ...next } = merged;
  const bare = (m: unknown): unknown => ({ ...(m as Json), managedFields: undefined });
  const same = current !== undefined && deepEqual(rest, next) && deepEqual(bare(_old), bare(_new));
  if (same) {
    if (was?.time === undefined) delete (entry as { time?: string }).time;
    else entry.time = was.time;
  }
  const managed = isEmptySet(set) ? others : [entry, ...others];
  const metadata = { ...(merged["metadata"] as Json) };
  if (managed.length > 0) metadata["managedFields"] = managed;
  else delete metadata["managedFields"];
  return { ...merged, metadata } as unknown as KubeObject;
}

function granular(field: Field, value: unknown): boolean {
  const { kind } = concrete(field.type, value);
  if (field.merge === "atomic") return false;
  return kind === "struct" || kind === "inline" || kind === "map" || (kind === "list" && (field.merge === "map" || field.merge === "set"));
}

/** Every field of an applied struct. */
function setOfStruct(type: StructType, value: Json): FieldSet {
  const out: FieldSet = {};
  for (const key in value) {
    const field = fieldOf(type, key);
    if (field !== undefined && value[key] !== null && value[key] !== undefined) out[`f:${key}`] = setOf(field, value[key]);
  }
  return out;
}

function setOf(field: Field, value: unknown): FieldSet {
  if (!granular(field, value)) return {};
  const type = concrete(field.type, value);
  const struct = structOf(type);
  if (struct !== undefined && isMap(value)) return setOfStruct(struct, value);
  if (type.kind === "map" && isMap(value)) {
    const out: FieldSet = {};
    for (const key in value) out[`f:${key}`] = setOf(entryField(type.of, false), value[key]);
    return out;
  }
  if (type.kind === "list" && Array.isArray(value)) {
    const out: FieldSet = {};
    for (const item of value)
      if (field.merge === "set") out[`v:${JSON.stringify(item)}`] = {};
      else out[elementOf(field, item)] = { ".": {}, ...setOf(entryField(type.of, field.itemsAtomic), item) };
    return out;
  }
  return {};
}

const entryField = (type: FieldType, atomic: boolean): Field =>
  ({ name: "", type, merge: atomic ? "atomic" : "granular", itemsAtomic: false, mapKeys: [] }) as unknown as Field;

/** Keys that the server defaults when they are left out of a list's item. */
const KEY_DEFAULTS: Readonly<Record<string, unknown>> = { protocol: "TCP" };

function elementOf(field: Field, item: unknown): string {
  const keys: Json = {};
  for (const key of [...field.mapKeys].sort()) {
    const value = (item as Json)[key] ?? (field.keyDefaults ?? KEY_DEFAULTS)[key];
    if (value !== undefined) keys[key] = value;
  }
  return `k:${JSON.stringify(keys)}`;
}

function mergeStruct(type: StructType, live: Json, config: Json): Json {
  const out: Json = { ...live };
  for (const key in config) {
    const field = fieldOf(type, key);
    if (config[key] === null || config[key] === undefined) continue;
    out[key] = field === undefined ? config[key] : mergeField(field, live[key], config[key]);
  }
  return out;
}

function mergeField(field: Field, live: unknown, config: unknown): unknown {
  const type = concrete(field.type, config);
  const struct = structOf(type);
  if (!granular(field, config) || live === undefined || live === null) return config;
  if (struct !== undefined && isMap(config) && isMap(live)) return mergeStruct(struct, live, config);
  if (type.kind === "map" && isMap(config) && isMap(live)) {
    const out: Json = { ...live };
    for (const key in config) out[key] = mergeField(entryField(type.of, false), live[key], config[key]);
    return out;
  }
  if (type.kind === "list" && Array.isArray(config) && Array.isArray(live)) {
    const id = (item: unknown): string => (field.merge === "set" ? JSON.stringify(item) : elementOf(field, item));
    const wanted = new Map(config.map((item) => [id(item), item]));
    const known = new Map(live.map((item) => [id(item), item]));
    const item = (key: string): unknown => {
      const [mine, theirs] = [wanted.get(key), known.get(key)];
      return mine === undefined ? theirs : theirs === undefined || field.merge === "set" ? mine : mergeField(entryField(type.of, field.itemsAtomic), theirs, mine);
    };
    return interleave([...known.keys()], [...wanted.keys()]).map(item);
  }
  return config;
}

/**
 * Both lists' elements: the applied ones in their order; those that only the live list has keep theirs, and come first where both could
 * stand. Follows mergeListItems of structured-merge-diff.
 */
function interleave(live: readonly string[], wanted: readonly string[]): string[] {
  const out: string[] = [];
  const [asked, known] = [new Set(wanted), new Set(live)];
  let [l, r] = [0, 0];
  while (l < live.length || r < wanted.length) {
    if (l < live.length && !asked.has(live[l]!)) out.push(live[l++]!);
    else if (r < wanted.length && !known.has(wanted[r]!)) out.push(wanted[r++]!);
    else if (r >= wanted.length) l++;
    else {
      // Shared ones come as they are applied; those passed over are met again.
      if (live[l] === wanted[r]) l++;
      else if (l < live.length && out.includes(live[l]!)) {
        l++;
        continue;
      } else if (l < live.length && wanted.indexOf(live[l]!) > r) {
        l++;
        continue;
      }
      out.push(wanted[r++]!);
    }
  }
  return out;
}

function removeStruct(type: StructType, value: Json, gone: FieldSet): Json {
  const out: Json = { ...value };
  for (const element in gone) {
    const key = element.slice(2);
    const field = fieldOf(type, key);
    if (field === undefined || out[key] === undefined) continue;
    const next = removeField(field, out[key], gone[element]!);
    if (next === undefined) delete out[key];
    else out[key] = next;
  }
  return out;
}

/** What is left; undefined when nothing is. */
function removeField(field: Field, value: unknown, gone: FieldSet): unknown {
  const type = concrete(field.type, value);
  const struct = structOf(type);
  if (isEmptySet(gone) || !granular(field, value)) return undefined;
  if (struct !== undefined && isMap(value)) return orNothing(removeStruct(struct, value, gone));
  if (type.kind === "map" && isMap(value)) {
    const out: Json = { ...value };
    for (const element in gone) {
      const key = element.slice(2);
      if (out[key] === undefined) continue;
      const next = removeField(entryField(type.of, false), out[key], gone[element]!);
      if (next === undefined) delete out[key];
      else out[key] = next;
    }
    return orNothing(out);
  }
  if (type.kind === "list" && Array.isArray(value)) {
    const left = value.flatMap((item) => {
      const inner = gone[field.merge === "set" ? `v:${JSON.stringify(item)}` : elementOf(field, item)];
      if (inner === undefined) return [item as unknown];
      if (isEmptySet(inner) || inner["."] !== undefined) return [];
      const next = removeField(entryField(type.of, field.itemsAtomic), item, inner);
      return next === undefined ? [] : [next];
    });
    return left.length === 0 ? undefined : left;
  }
  return undefined;
}

const orNothing = (value: Json): Json | undefined => (Object.keys(value).length === 0 ? undefined : value);

/** The places that are in both; where one of them ends, the other's part below it is. */
function intersect(a: FieldSet, b: FieldSet): FieldSet {
  const out: FieldSet = {};
  for (const key in a) {
    const other = b[key];
    if (other === undefined || key === ".") continue;
    if (isEmptySet(a[key]!) || isEmptySet(other)) out[key] = {};
    else {
      const inner = intersect(a[key]!, other);
      if (!isEmptySet(inner)) out[key] = inner;
    }
  }
  return out;
}

/** Paths as fieldpath.Path prints them. */
function leaves(set: FieldSet, path = ""): string[] {
  return Object.keys(set).sort().flatMap((element) => {
    const inner = set[element]!;
    const here = `${path}${step(element)}`;
    return isEmptySet(inner) ? [here] : leaves(inner, here);
  });
}

function step(element: string): string {
  if (element.startsWith("f:")) return `.${element.slice(2)}`;
  if (element.startsWith("v:")) return `[=${element.slice(2)}]`;
  const keys = JSON.parse(element.slice(2)) as Json;
  return `[${Object.keys(keys).sort().map((key) => `${key}=${JSON.stringify(keys[key])}`).join(",")}]`;
}

function conflictError(conflicts: readonly { entry: ManagedFieldsEntry; path: string }[]): ApiError {
  const nameOf = ({ manager, operation, subresource, apiVersion }: ManagedFieldsEntry): string =>
    `${JSON.stringify(manager)}${subresource === undefined ? "" : ` with subresource ${JSON.stringify(subresource)}`}${operation === "Update" ? ` using ${apiVersion}` : ""}`;
  const byManager = new Map<string, string[]>();
  for (const { entry, path } of conflicts) byManager.set(nameOf(entry), [...(byManager.get(nameOf(entry)) ?? []), path]);
  const names = [...byManager.keys()].sort();
  const count = conflicts.length;
  const text = count === 1 ? `conflict with ${names[0]}: ${conflicts[0]!.path}`
    : names.map((name) => `conflicts with ${name}:\n${byManager.get(name)!.map((path) => `- ${path}`).join("\n")}`).join("\n");
  return new ApiError({
    kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", reason: "Conflict", code: 409,
    message: `Apply failed with ${count} conflict${count === 1 ? "" : "s"}: ${text}`,
    details: { causes: names.flatMap((name) => byManager.get(name)!.map((path) => ({ reason: "FieldManagerConflict", message: `conflict with ${name}`, field: path }))) },
  });
}

