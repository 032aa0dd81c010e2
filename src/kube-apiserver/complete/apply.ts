/**
 * Server-side apply. Follows sigs.k8s.io/structured-merge-diff (merge.Updater.Apply) and
 * k8s.io/apimachinery/pkg/util/managedfields: what is applied is merged into the live object field by field; other managers of a
 * field whose value would change are in conflict; what the manager applied before and does not now goes, unless others own it.
 */
import { concrete, emptyStruct, fieldOf, structOf, structType } from "../../api/schema.ts";
import type { Field, FieldType, StructType } from "../../api/schema.ts";
import type { ManagedFieldsEntry } from "../../api/types.generated.ts";
import { deepCopy, deepEqual } from "../../apimachinery/meta.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import { ApiError } from "../../apimachinery/status.ts";
import { changedFields, isEmptySet, keyedElement, sortSet, stripSet, subtract, union, updateManagedFields } from "../managed-fields.ts";
import type { FieldSet } from "../managed-fields.ts";
import { goJson } from "./go-json.ts";
import { tidied } from "./managers.ts";

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

/** The object after the apply; `type` is its schema type. Throws the conflicts. Follows merge.Updater.Apply and its prune. */
export function applyConfiguration(type: string, application: Application): KubeObject {
  const { current, applied, manager, force, subresource, reset, time } = application;
  const apiVersion = String(applied["apiVersion"]);
  const root = structType(type);
  const live = (current ?? {}) as unknown as Json;
  const config = deepCopy(applied);
  if (isMap(config["metadata"])) delete config["metadata"]["managedFields"];
  const mine = (e: ManagedFieldsEntry): boolean => e.manager === manager && e.operation === "Apply" && (e.subresource ?? "") === subresource;
  const before = entriesBefore(type, application);
  const was = before.find(mine);
  const set = setOfStruct(root, config);
  stripSet(set, reset);
  let others = before.filter((e) => !mine(e));
  let merged = mergeStruct(root, live, config);
  const last = (was?.fieldsV1 ?? {}) as FieldSet;
  if (!isEmptySet(last)) merged = prune(root, merged, last, [set, ...others.map((e) => e.fieldsV1 as FieldSet)]);
  const { set: changed, removed } = current === undefined ? NOTHING : changedFields(type, live, merged, reset);
  const conflicts = others.flatMap((entry) => leaves(intersection(entry.fieldsV1 as FieldSet, changed)).map((path) => ({ entry, path })));
  if (conflicts.length > 0 && !force && !(manager === KUBECTL && conflicts.every(({ path }) => lastApplied(root, live, apiVersion).has(path)))) throw conflictError(conflicts);
  others = others.map((e) => ({ ...e, fieldsV1: sortSet(subtract(difference(e.fieldsV1 as FieldSet, changed), removed)) })).filter((e) => !isEmptySet(e.fieldsV1 as FieldSet));
  const entry: ManagedFieldsEntry = {
    manager, operation: "Apply", apiVersion, time, fieldsType: "FieldsV1", fieldsV1: sortSet(set), ...(subresource === "" ? {} : { subresource }),
  } as ManagedFieldsEntry;
  const { metadata: _old, ...rest } = live;
  const { metadata: _new, ...next } = merged;
  const bare = (m: unknown): unknown => ({ ...(m as Json), managedFields: undefined });
  const same = current !== undefined && deepEqual(rest, next) && deepEqual(bare(_old), bare(_new));
  if (same) {
    if (was?.time === undefined) delete (entry as { time?: string }).time;
    else entry.time = was.time;
  }
  const managed = tidied(isEmptySet(set) ? [...others] : [entry, ...others]);
  const metadata = { ...(merged["metadata"] as Json) };
  if (manager === KUBECTL) syncLastApplied(metadata, config);
  if (managed.length > 0) metadata["managedFields"] = managed;
  else delete metadata["managedFields"];
  return { ...merged, metadata } as unknown as KubeObject;
}

const NOTHING = { set: {}, removed: {} };
/** The manager that takes over from kubectl's client-side apply. */
const KUBECTL = "kubectl";
const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";
/** The bytes that all annotations together may have (TotalAnnotationSizeLimitB). */
const ANNOTATION_BYTES_MAX = 256 * 1024;

/** The entries to start from; what nobody tracked so far is ascribed to `before-first-apply`. Follows skipNonAppliedManager. */
function entriesBefore(type: string, { current, applied, subresource, reset, time }: Application): readonly ManagedFieldsEntry[] {
  const known = current?.metadata.managedFields ?? [];
  if (current === undefined || known.length > 0) return known;
  return updateManagedFields({
    type, apiVersion: String(applied["apiVersion"]), before: emptyStruct(type), after: current as unknown as Json, managed: [],
    manager: "before-first-apply", subresource, reset, time,
  });
}

/** The paths that client-side apply set and nobody changed since: conflicts there are none. Follows lastAppliedManager. */
function lastApplied(root: StructType, live: Json, apiVersion: string): Set<string> {
  const text = ((live["metadata"] as Json | undefined)?.["annotations"] as Json | undefined)?.[LAST_APPLIED];
  if (typeof text !== "string") return new Set();
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch {
    return new Set();
  }
  if (!isMap(config) || config["apiVersion"] !== apiVersion) return new Set();
  const applied = setOfStruct(root, config);
  const { set, removed } = changedFields(root.name, config, live, []);
  return new Set(leaves(subtract(difference(applied, set), removed)));
}

/** Keeps the annotation of client-side apply, where there is one, in step. Follows lastAppliedUpdater. */
function syncLastApplied(metadata: Json, config: Json): void {
  const annotations = metadata["annotations"];
  if (!isMap(annotations) || typeof annotations[LAST_APPLIED] !== "string") return;
  const own = deepCopy(config);
  const ownAnnotations = (own["metadata"] as Json | undefined)?.["annotations"];
  if (isMap(ownAnnotations)) delete ownAnnotations[LAST_APPLIED];
  const next: Json = { ...annotations, [LAST_APPLIED]: `${goJson(own)}\n` };
  let size = 0;
  for (const key in next) size += key.length + new TextEncoder().encode(String(next[key])).length;
  if (size > ANNOTATION_BYTES_MAX) delete next[LAST_APPLIED];
  metadata["annotations"] = next;
}

/**
 * Takes out what the manager applied last and nobody applies or owns now. Follows Updater.prune, addBackOwnedItems and
 * addBackDanglingItems.
 */
function prune(root: StructType, merged: Json, last: FieldSet, managed: readonly FieldSet[]): Json {
  const named = (set: FieldSet): FieldSet => withNamed({ kind: "inline", type: root }, set);
  const mergedSet = named(setOfStruct(root, merged));
  const mineBefore = named(last);
  const pruned = removeStruct(root, merged, mineBefore);
  const kept = managed.reduce(union, setOfStruct(root, pruned));
  const owned = removeStruct(root, merged, difference(mergedSet, named(kept)));
  return removeStruct(root, merged, intersection(difference(mergedSet, named(setOfStruct(root, owned))), mineBefore));
}

export const isMember = (set: FieldSet): boolean => set["."] !== undefined || isEmptySet(set);

/** A place with what is below it; undefined when it is neither a member nor has any below. */
function node(member: boolean, children: FieldSet): FieldSet | undefined {
  if (isEmptySet(children)) return member ? {} : undefined;
  return member ? { ".": {}, ...children } : children;
}

/** The members of `a` that `b` does not have. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  const out: FieldSet = {};
  for (const key in a) {
    if (key === ".") continue;
    const other = b[key];
    const left = other === undefined ? a[key]! : node(isMember(a[key]!) && !isMember(other), difference(a[key]!, other));
    if (left !== undefined) out[key] = left;
  }
  return out;
}

/** The members of both. */
function intersection(a: FieldSet, b: FieldSet): FieldSet {
  const out: FieldSet = {};
  for (const key in a) {
    const other = b[key];
    if (other === undefined || key === ".") continue;
    const both = node(isMember(a[key]!) && isMember(other), intersection(a[key]!, other));
    if (both !== undefined) out[key] = both;
  }
  return out;
}

/** The set with every declared field that leads to a member as a member. Follows EnsureNamedFieldsAreMembers. */
function withNamed(type: FieldType | undefined, set: FieldSet): FieldSet {
  const out: FieldSet = {};
  const struct = type === undefined ? undefined : structOf(type);
  for (const key in set) {
    if (key === ".") continue;
    const field = key.startsWith("f:") && struct !== undefined ? struct.fields.get(key.slice(2)) : undefined;
    const below = field?.type ?? (key.startsWith("f:") && struct !== undefined ? struct.rest : type?.kind === "map" || type?.kind === "list" ? type.of : type?.kind === "deduced" ? type : undefined);
    out[key] = node(isMember(set[key]!) || field !== undefined, withNamed(below, set[key]!)) ?? {};
  }
  return out;
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
    for (const key in value) out[`f:${key}`] = node(true, setOf(entryField(type.of, false), value[key]))!;
    return out;
  }
  if (type.kind === "list" && Array.isArray(value)) {
    const out: FieldSet = {};
    for (const item of value)
      if (field.merge === "set") out[`v:${JSON.stringify(item)}`] = {};
      else out[keyedElement(field, item)] = node(true, setOf(entryField(type.of, field.itemsAtomic), item))!;
    return out;
  }
  return {};
}

const entryField = (type: FieldType, atomic: boolean): Field =>
  ({ name: "", type, merge: atomic ? "atomic" : "granular", itemsAtomic: false, mapKeys: [] }) as unknown as Field;

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
    const id = (item: unknown): string => (field.merge === "set" ? JSON.stringify(item) : keyedElement(field, item));
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
  if (isMember(gone)) return undefined;
  if (!granular(field, value)) return value;
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
      const inner = gone[field.merge === "set" ? `v:${JSON.stringify(item)}` : keyedElement(field, item)];
      if (inner === undefined) return [item as unknown];
      const next = removeField(entryField(type.of, field.itemsAtomic), item, inner);
      return next === undefined ? [] : [next];
    });
    return left.length === 0 ? undefined : left;
  }
  return value;
}

const orNothing = (value: Json): Json | undefined => (Object.keys(value).length === 0 ? undefined : value);

/** Paths as fieldpath.Path prints them. */
function leaves(set: FieldSet, path = ""): string[] {
  return Object.keys(set).sort().flatMap((element) => {
    if (element === ".") return [];
    const inner = set[element]!;
    const here = `${path}${step(element)}`;
    return [...(isMember(inner) ? [here] : []), ...leaves(inner, here)];
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

