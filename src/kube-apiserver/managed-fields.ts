/**
 * Who set which field: `metadata.managedFields` of updates. Follows k8s.io/apimachinery/pkg/util/managedfields and
 * sigs.k8s.io/structured-merge-diff (merge.Updater.Update): the fields that an update adds or changes become its
 * manager's and nobody else's; those it removes are nobody's.
 */
import { concrete, fieldOf, structOf, structType } from "../api/schema.ts";
import type { Field, FieldType, StructType } from "../api/schema.ts";
import type { ManagedFieldsEntry } from "../api/types.generated.ts";
import { deepEqual } from "../apimachinery/meta.ts";

type Json = Record<string, unknown>;

/** A set of fields in the form of FieldsV1: `.` is the place itself. */
export interface FieldSet {
  [element: string]: FieldSet;
}

/** A place with nothing below it, which most are: one for all, frozen as what is stored is. */
const LEAF: FieldSet = Object.freeze({});

const STRIPPED = ["name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields", "resourceVersion"];

export interface Update {
  /** The name of the struct type. */
  type: string;
  apiVersion: string;
  before: Json;
  after: Json;
  /** The entries before. */
  managed: readonly ManagedFieldsEntry[];
  manager: string;
  subresource: string;
  /** Top-level fields that this request cannot change. */
  reset: readonly string[];
  time: string;
}

/**
 * The entries that a request starts from: those it sent, where they can be read, else those of the live object; a single empty one
 * stands for none. Through a subresource nobody changes them. Follows decodeLiveOrNew.
 */
export function managedBase(sent: readonly ManagedFieldsEntry[] | undefined, live: readonly ManagedFieldsEntry[] | undefined, subresource: string): readonly ManagedFieldsEntry[] {
  if (subresource === "" && sent !== undefined && sent.length > 0) {
    if (sent.length === 1 && isEmptySet(sent[0] as unknown as FieldSet)) return [];
    if (sent.every(isReadable)) return sent;
  }
  return live ?? [];
}

const isReadable = ({ operation, apiVersion, fieldsType, fieldsV1 }: ManagedFieldsEntry): boolean =>
  (operation === "Apply" || operation === "Update") && (apiVersion ?? "") !== "" && fieldsType === "FieldsV1" && isMap(fieldsV1);

/** An item of a keyed list that lacks a key: the object cannot be tracked. */
class Untyped extends Error {}

/** The entries after the update; the old ones when nothing changed hands, or when what changed cannot be told. */
export function updateManagedFields(update: Update): ManagedFieldsEntry[] {
  let changed: { set: FieldSet; removed: FieldSet };
  try {
    changed = changedFields(update.type, update.before, update.after, update.reset);
  } catch (e) {
    if (e instanceof Untyped) return [...update.managed];
    throw e;
  }
  const { set, removed } = changed;
  const out: ManagedFieldsEntry[] = [];
  let mine: ManagedFieldsEntry | undefined;
  for (const entry of update.managed) {
    const same = entry.manager === update.manager && entry.operation === "Update" && entry.apiVersion === update.apiVersion && (entry.subresource ?? "") === update.subresource;
    const owned = entry.fieldsV1 as FieldSet;
    let next = subtract(owned, removed);
    if (same) {
      next = union(next, set);
      mine = entry;
    } else next = subtract(next, set);
    if (isEmptySet(next)) continue;
    const time = same && !isEmptySet(set) ? update.time : entry.time;
    if (time === entry.time && deepEqual(next, owned)) out.push(entry);
    else out.push({ ...entry, ...(time === undefined ? {} : { time }), fieldsV1: deepEqual(next, owned) ? entry.fieldsV1 : sortSet(next) });
  }
  if (mine === undefined && !isEmptySet(set)) {
    out.push({
      manager: update.manager,
      operation: "Update",
      apiVersion: update.apiVersion,
      time: update.time,
      fieldsType: "FieldsV1",
      fieldsV1: sortSet(set),
      ...(update.subresource === "" ? {} : { subresource: update.subresource }),
    });
  }
  return out;
}

/** What differs between two objects of a struct type: the fields added or changed, and those removed. */
export function changedFields(type: string, before: Json, after: Json, reset: readonly string[]): { set: FieldSet; removed: FieldSet } {
  const set: FieldSet = {};
  const removed: FieldSet = {};
  const skipped = (name: string): boolean => name === "apiVersion" || name === "kind" || reset.includes(name);
  compareStruct(structType(type), before, after, set, removed, skipped, (field) => {
    const [was, now] = [before["metadata"], after["metadata"]];
    const struct = structOf(field.type);
    if (struct === undefined || !isMap(was) || !isMap(now)) {
      compareField(field, "f:metadata", was, now, set, removed);
      stripMetadata(set);
      stripMetadata(removed);
      return;
    }
    const own: FieldSet = {};
    const gone: FieldSet = {};
    compareStruct(struct, was, now, own, gone, (name) => STRIPPED.includes(name));
    put(set, "f:metadata", own);
    put(removed, "f:metadata", gone);
  });
  return { set, removed };
}

/** Takes out of a set what nobody owns, and the top-level fields `reset`. */
export function stripSet(set: FieldSet, reset: readonly string[]): void {
  for (const top of ["apiVersion", "kind", ...reset]) delete set[`f:${top}`];
  stripMetadata(set);
}

function stripMetadata(set: FieldSet): void {
  const meta = set["f:metadata"];
  if (meta === undefined) return;
  const own: FieldSet = {};
  for (const key in meta) if (!STRIPPED.includes(key.slice(2))) own[key] = meta[key]!;
  if (isEmptySet(own)) delete set["f:metadata"];
  else set["f:metadata"] = own;
}

export const isEmptySet = (set: FieldSet): boolean => {
  for (const _ in set) return false;
  return true;
};

const onlyItself = (set: FieldSet): boolean => set["."] !== undefined && Object.keys(set).length === 1;

/** `a` without the places in `b`; what is below a place of `b` is gone, too, when `b` ends there. */
export function subtract(a: FieldSet, b: FieldSet): FieldSet {
  const out: FieldSet = {};
  for (const key in a) {
    const gone = b[key];
    if (gone === undefined) out[key] = a[key]!;
    else if (!isEmptySet(gone)) {
      const rest = subtract(a[key]!, gone);
      // A place that is owned without anything below it is written as a leaf.
      if (onlyItself(rest)) out[key] = LEAF;
      else if (!isEmptySet(rest)) out[key] = rest;
    }
  }
  return out;
}

export function union(a: FieldSet, b: FieldSet): FieldSet {
  const out: FieldSet = { ...a };
  for (const key in b) {
    const there = out[key];
    if (there === undefined) out[key] = b[key]!;
    else if (isEmptySet(there)) out[key] = isEmptySet(b[key]!) ? there : union({ ".": LEAF }, b[key]!);
    else out[key] = isEmptySet(b[key]!) ? union(there, { ".": LEAF }) : union(there, b[key]!);
  }
  return out;
}

/**
 * The set in order of its elements, at every depth, frozen. Objects made of one template have the same fields: equal sets are one, which is
 * compared, stored and frozen once.
 */
export function sortSet(set: FieldSet): FieldSet {
  if (known.has(set)) return set;
  let at = root;
  for (const key of inOrder(Object.keys(set))) at = step(at, at.elements ??= new Map(), key, key, sortSet(set[key]!));
  return setOf(at);
}

/** A beginning of a set: the elements on the way from the root. */
interface Step {
  readonly before: Step | undefined;
  readonly element: string;
  readonly below: FieldSet;
  set: FieldSet | undefined;
  /** What follows, by the element and what is below it; for names of fields apart, so that nobody has to write `f:NAME`. */
  elements: Following | undefined;
  fields: Following | undefined;
}
type Following = Map<string, Map<FieldSet, Step>>;

/** How many beginnings are remembered until all are forgotten. */
const STEPS_MAX = 4096;
const newStep = (before: Step | undefined, element: string, below: FieldSet): Step => ({ before, element, below, set: undefined, elements: undefined, fields: undefined });
const known = new WeakSet<FieldSet>([LEAF]);
let root = newStep(undefined, "", LEAF);
let steps = 0;

function step(from: Step, following: Following, key: string, element: string | undefined, below: FieldSet): Step {
  let ways = following.get(key);
  if (ways === undefined) following.set(key, (ways = new Map()));
  let to = ways.get(below);
  if (to === undefined) {
    ways.set(below, (to = newStep(from, element ?? `f:${key}`, below)));
    if (++steps > STEPS_MAX) {
      root = newStep(undefined, "", LEAF);
      steps = 0;
    }
  }
  return to;
}

function setOf(last: Step): FieldSet {
  if (last.set !== undefined) return last.set;
  const way: Step[] = [];
  for (let at = last; at.before !== undefined; at = at.before) way.push(at);
  if (way.length === 0) return LEAF;
  const set: FieldSet = {};
  for (let i = way.length - 1; i >= 0; i--) set[way[i]!.element] = way[i]!.below;
  known.add(set);
  return (last.set = Object.freeze(set));
}

const isMap = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);

/** `skipped` fields are left out; `metadata`, where it is given, sees to the field of that name. */
function compareStruct(type: StructType, before: Json, after: Json, set: FieldSet, removed: FieldSet, skipped?: (name: string) => boolean, metadata?: (field: Field) => void): void {
  for (const key in after) {
    const field = fieldOf(type, key);
    if (field === undefined || skipped?.(key) === true) continue;
    if (key === "metadata" && metadata !== undefined) metadata(field);
    else compareField(field, `f:${key}`, before[key], after[key], set, removed);
  }
  for (const key in before) if (after[key] === undefined && before[key] !== undefined && skipped?.(key) !== true && fieldOf(type, key) !== undefined) removed[`f:${key}`] = LEAF;
}

function put(parent: FieldSet, element: string, children: FieldSet): void {
  if (!isEmptySet(children)) parent[element] = children;
}

function compareField(field: Field, element: string, before: unknown, after: unknown, set: FieldSet, removed: FieldSet): void {
  // Most of an object is as it was: seeing that first saves building sets for nothing.
  if (after === undefined || deepEqual(before, after)) return;
  if (before === undefined) {
    set[element] = added(field.type, field, after);
    return;
  }
  const type = concrete(field.type, after);
  const struct = field.merge === "atomic" ? undefined : structOf(type);
  if (after === null && field.merge !== "atomic" && (type.kind === "list" || type.kind === "map" || type.kind === "struct")) {
    removed[element] = LEAF;
    return;
  }
  const own: FieldSet = before === null && Array.isArray(after) && after.length === 0 ? { ".": LEAF } : {};
  const gone: FieldSet = {};
  if (struct !== undefined && isMap(after)) {
    compareStruct(struct, isMap(before) ? before : {}, after, own, gone);
  } else if (type.kind === "map" && field.merge !== "atomic" && isMap(after)) {
    const was = isMap(before) ? before : {};
    for (const key in after) {
      const leaf = { name: key, type: type.of, merge: "granular", itemsAtomic: false, mapKeys: [] } as unknown as Field;
      compareField(leaf, `f:${key}`, was[key], after[key], own, gone);
    }
    for (const key in was) if (after[key] === undefined) gone[`f:${key}`] = LEAF;
  } else if (type.kind === "list" && field.merge === "map" && Array.isArray(after)) {
    compareListMap(field, Array.isArray(before) ? before : [], after, own, gone);
  } else if (type.kind === "list" && field.merge === "set" && Array.isArray(after)) {
    const was: unknown[] = Array.isArray(before) ? before : [];
    for (const value of after) if (!was.includes(value)) own[`v:${JSON.stringify(value)}`] = LEAF;
    for (const value of was) if (!after.includes(value)) gone[`v:${JSON.stringify(value)}`] = LEAF;
  } else {
    if (!deepEqual(before, after)) set[element] = LEAF;
    return;
  }
  if (onlyItself(own)) set[element] = LEAF;
  else put(set, element, own);
  put(removed, element, gone);
}

/** All that is at and below a place that was not there before. `field` says how its lists merge; without it as a whole. */
function added(declared: FieldType, field: Field | undefined, value: unknown): FieldSet {
  if (typeof value !== "object" || value === null || field?.merge === "atomic") return LEAF;
  const type = concrete(declared, value);
  const struct = structOf(type);
  let at = root;
  const put = (element: string, below: FieldSet): void => void (at = step(at, at.elements ??= new Map(), element, element, below));
  put(".", LEAF);
  const alone = at;
  if (isMap(value) && (struct !== undefined || type.kind === "map")) {
    for (const key of inOrder(Object.keys(value))) {
      const item = value[key];
      const below = struct === undefined ? undefined : fieldOf(struct, key);
      if (item === undefined || (struct !== undefined && below === undefined)) continue;
      const set = added(below === undefined ? (type as { of: FieldType }).of : below.type, below, item);
      at = step(at, at.fields ??= new Map(), key, undefined, set);
    }
  } else if (type.kind === "list" && field?.merge === "map" && Array.isArray(value)) {
    const items = byElement(field, value);
    for (const element of inOrder([...items.keys()])) {
      const same = items.get(element)!;
      put(element, same.length === 1 && !field.itemsAtomic ? added(type.of, undefined, same[0]) : LEAF);
    }
  } else if (type.kind === "list" && field?.merge === "set" && Array.isArray(value)) {
    for (const element of inOrder(value.map((item) => `v:${JSON.stringify(item)}`))) put(element, LEAF);
  }
  return at === alone ? LEAF : setOf(at);
}

/** Sorted in place; most lists are short or sorted already. */
function inOrder(keys: string[]): string[] {
  if (keys.length > 32) return keys.sort();
  for (let i = 1; i < keys.length; i++) {
    const key = keys[i]!;
    let at = i;
    for (; at > 0 && keys[at - 1]! > key; at--) keys[at] = keys[at - 1]!;
    keys[at] = key;
  }
  return keys;
}

/** Keys with a default in the schema, which items may leave out; required ones are zero. */
const KEY_DEFAULTS: Readonly<Record<string, Json>> = { ContainerPort: { protocol: "TCP" }, ServicePort: { protocol: "TCP" }, LocalObjectReference: { name: "" } };

/** The element of FieldsV1 for an item of a keyed list. */
export function keyedElement(field: Field, item: unknown): string {
  const of = (field.type as { of: FieldType }).of;
  const defaults = field.keyDefaults ?? (of.kind === "struct" ? KEY_DEFAULTS[of.name] : undefined);
  const struct = structOf(of);
  let text = "";
  for (const key of field.mapKeys.length > 1 ? [...field.mapKeys].sort() : field.mapKeys) {
    const keyed = struct?.fields.get(key);
    const value = (item as Json | null)?.[key] ?? defaults?.[key] ?? (keyed?.required === true ? (keyed.type.kind === "string" ? "" : 0) : undefined);
    if (value === undefined) throw new Untyped();
    text += `${text === "" ? "" : ","}${JSON.stringify(key)}:${JSON.stringify(value)}`;
  }
  return `k:{${text}}`;
}

function compareListMap(field: Field, before: unknown[], after: unknown[], set: FieldSet, removed: FieldSet): void {
  const { of } = field.type as { of: FieldType };
  const was = byElement(field, before);
  const itemField = { name: "", type: of, merge: field.itemsAtomic ? "atomic" : "granular", itemsAtomic: false, mapKeys: [] } as unknown as Field;
  const now = byElement(field, after);
  for (const [element, items] of now) {
    const old = was.get(element) ?? [];
    if (items.length === 1 && old.length <= 1) compareField(itemField, element, old[0], items[0], set, removed);
    // What stands there twice is owned as one, without what is in it.
    else if (items.length === 1) compareField(itemField, element, undefined, items[0], set, removed);
    else if (old.length <= 1) {
      if (old.length === 1) removed[element] = LEAF;
      set[element] = LEAF;
    } else if (!deepEqual(old, items)) set[element] = LEAF;
    if (items.length === 1 && old.length > 1) removed[element] = LEAF;
  }
  for (const element of was.keys()) if (!now.has(element)) removed[element] = LEAF;
}

function byElement(field: Field, items: readonly unknown[]): Map<string, unknown[]> {
  const out = new Map<string, unknown[]>();
  for (const item of items) {
    const element = keyedElement(field, item);
    const same = out.get(element);
    if (same === undefined) out.set(element, [item]);
    else same.push(item);
  }
  return out;
}
