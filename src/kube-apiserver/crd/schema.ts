/**
 * OpenAPI v3 schemas of custom resources, and what the server does to objects by them: prune, default, drop nulls.
 * Follows k8s.io/apiextensions-apiserver/pkg/apiserver/schema (structural.go, pruning, defaulting).
 */
import type { Field, FieldType, StructType } from "../../api/schema.ts";
import { structType } from "../../api/schema.ts";
import { deepCopy } from "../../apimachinery/meta.ts";

export type Json = Record<string, unknown>;

export interface Rule {
  readonly rule: string;
  readonly message?: string;
  readonly messageExpression?: string;
  readonly reason?: string;
  readonly fieldPath?: string;
  readonly optionalOldSelf?: boolean;
}

/** JSONSchemaProps of apiextensions/v1. */
export interface Schema {
  readonly type?: string;
  readonly format?: string;
  readonly nullable?: boolean;
  readonly default?: unknown;
  readonly title?: string;
  readonly description?: string;
  readonly example?: unknown;
  readonly id?: string;
  readonly $ref?: string;
  readonly $schema?: string;
  readonly enum?: readonly unknown[];
  readonly maximum?: number;
  readonly exclusiveMaximum?: boolean;
  readonly minimum?: number;
  readonly exclusiveMinimum?: boolean;
  readonly multipleOf?: number;
  readonly maxLength?: number;
  readonly minLength?: number;
  readonly pattern?: string;
  readonly maxItems?: number;
  readonly minItems?: number;
  readonly uniqueItems?: boolean;
  readonly maxProperties?: number;
  readonly minProperties?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly patternProperties?: Readonly<Record<string, Schema>>;
  readonly definitions?: Readonly<Record<string, Schema>>;
  readonly dependencies?: Readonly<Record<string, unknown>>;
  readonly additionalItems?: boolean | Schema;
  readonly externalDocs?: unknown;
  readonly items?: Schema | readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly not?: Schema;
  readonly "x-kubernetes-preserve-unknown-fields"?: boolean;
  readonly "x-kubernetes-embedded-resource"?: boolean;
  readonly "x-kubernetes-int-or-string"?: boolean;
  readonly "x-kubernetes-list-type"?: string;
  readonly "x-kubernetes-list-map-keys"?: readonly string[];
  readonly "x-kubernetes-map-type"?: string;
  readonly "x-kubernetes-validations"?: readonly Rule[];
}

export const isMap = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);

/** The schema of an array's items; undefined where there is none or a list of them. */
export const itemsOf = (schema: Schema | undefined): Schema | undefined => (Array.isArray(schema?.items) ? undefined : (schema?.items as Schema | undefined));

/** The schema of a map's values; undefined where it is none, `true` or `false`. */
export const valuesOf = (schema: Schema | undefined): Schema | undefined => (isMap(schema?.additionalProperties) ? (schema.additionalProperties as Schema) : undefined);

export const preserves = (schema: Schema | undefined): boolean => schema?.["x-kubernetes-preserve-unknown-fields"] === true;
export const isEmbedded = (schema: Schema | undefined): boolean => schema?.["x-kubernetes-embedded-resource"] === true;
export const isIntOrString = (schema: Schema | undefined): boolean => schema?.["x-kubernetes-int-or-string"] === true;
export const listTypeOf = (schema: Schema | undefined): string | undefined => schema?.["x-kubernetes-list-type"];

const META_FIELDS = new Set(["apiVersion", "kind", "metadata"]);

/**
 * Takes the fields that the schema does not have out of `value`, in place. `pruned` collects their paths
 * (`spec.a`, `spec.list[0].b`). Fields of TypeMeta and ObjectMeta stay at the root and in embedded resources.
 */
export function prune(value: unknown, schema: Schema | undefined, root: boolean, pruned: string[] = [], path = ""): void {
  const meta = root || isEmbedded(schema);
  if (preserves(schema)) {
    skipPrune(value, schema!, meta, pruned, path);
    return;
  }
  if (Array.isArray(value)) {
    const items = itemsOf(schema);
    for (let i = 0; i < value.length; i++) prune(value[i], items, false, pruned, `${path}[${i}]`);
    return;
  }
  if (!isMap(value)) return;
  for (const key of Object.keys(value)) {
    const here = path === "" ? key : `${path}.${key}`;
    if (meta && META_FIELDS.has(key)) continue;
    const property = own(schema?.properties, key);
    if (property !== undefined) prune(value[key], property, false, pruned, here);
    else if (schema?.additionalProperties !== undefined) prune(value[key], valuesOf(schema), false, pruned, here);
    else {
      delete value[key];
      pruned.push(here);
    }
  }
}

/** Below a schema that preserves unknown fields, those that it does specify are still pruned. */
function skipPrune(value: unknown, schema: Schema, meta: boolean, pruned: string[], path: string): void {
  if (Array.isArray(value)) {
    const items = itemsOf(schema);
    if (items !== undefined) for (let i = 0; i < value.length; i++) skipPrune(value[i], items, isEmbedded(items), pruned, `${path}[${i}]`);
    return;
  }
  if (!isMap(value)) return;
  for (const key of Object.keys(value)) {
    if (meta && META_FIELDS.has(key)) continue;
    const here = path === "" ? key : `${path}.${key}`;
    const property = own(schema.properties, key);
    if (property !== undefined) prune(value[key], property, false, pruned, here);
    else if (schema.additionalProperties !== undefined) prune(value[key], valuesOf(schema), false, pruned, here);
  }
}

/** A property by its own name, never one of Object.prototype. */
export function own<T>(record: Readonly<Record<string, T>> | undefined, key: string): T | undefined {
  return record !== undefined && Object.hasOwn(record, key) ? record[key] : undefined;
}

const isNull = (value: unknown, schema: Schema | undefined): boolean => value === null && schema !== undefined && schema.nullable !== true;

/** Fills defaults into `value`, in place. */
export function setDefaults(value: unknown, schema: Schema | undefined): void {
  if (schema === undefined) return;
  if (Array.isArray(value)) {
    const items = itemsOf(schema);
    for (let i = 0; i < value.length; i++) {
      if (isNull(value[i], items) && items!.default !== undefined) value[i] = deepCopy(items!.default);
      setDefaults(value[i], items);
    }
    return;
  }
  if (!isMap(value)) return;
  const { properties } = schema;
  for (const key in properties) {
    const property = properties[key]!;
    if (property.default === undefined) continue;
    const there = Object.hasOwn(value, key) ? value[key] : undefined;
    if (there === undefined || isNull(there, property)) value[key] = deepCopy(property.default);
  }
  const values = valuesOf(schema);
  for (const key of Object.keys(value)) {
    const property = own(properties, key);
    if (property !== undefined) setDefaults(value[key], property);
    else if (values !== undefined) {
      if (isNull(value[key], values) && values.default !== undefined) value[key] = deepCopy(values.default);
      setDefaults(value[key], values);
    }
  }
}

/** Takes out nulls where the schema allows none and has no default. Follows PruneNonNullableNullsWithoutDefaults. */
export function dropNulls(value: unknown, schema: Schema | undefined): void {
  if (schema === undefined) return;
  if (Array.isArray(value)) {
    for (const item of value) dropNulls(item, itemsOf(schema));
    return;
  }
  if (!isMap(value)) return;
  const values = valuesOf(schema);
  for (const key of Object.keys(value)) {
    const property = own(schema.properties, key) ?? values;
    if (property === undefined) continue;
    if (isNull(value[key], property) && property.default === undefined) delete value[key];
    else dropNulls(value[key], property);
  }
}

const META_TYPE: FieldType = { kind: "struct", name: "ObjectMeta" };
const DEDUCED: FieldType = { kind: "deduced" };

let types = 0;

/**
 * The schema as a type of the runtime schema, for field ownership: granular maps, lists by their `x-kubernetes-list-type`, places
 * without a schema by what is in them. Names of the types are unique.
 */
export function structTypeOf(schema: Schema, name: string): StructType {
  const id = `${name}#${++types}`;
  const fields = new Map<string, Field>();
  const properties = schema.properties ?? {};
  for (const key of Object.keys(properties)) fields.set(key, fieldOf(key, properties[key]!, `${id}.${key}`));
  const scalar = (key: string): void => void fields.set(key, plainField(key, { kind: "string" }));
  scalar("apiVersion");
  scalar("kind");
  const metadata: Field = { ...plainField("metadata", META_TYPE), value: true };
  fields.set("metadata", metadata);
  const rest = preserves(schema) ? DEDUCED : undefined;
  structType("ObjectMeta");
  return { name: id, fields, always: [metadata], ...(rest === undefined ? {} : { rest }) };
}

function plainField(name: string, type: FieldType): Field {
  return { name, type, required: false, pointer: false, value: false, merge: "granular", mapKeys: [], patchKey: undefined, itemsAtomic: false, retainKeys: false };
}

function fieldOf(name: string, schema: Schema, id: string): Field {
  const field = plainField(name, typeOf(schema, id));
  const listType = listTypeOf(schema);
  if (schema.type === "array") {
    const keys = schema["x-kubernetes-list-map-keys"] ?? [];
    const items = itemsOf(schema);
    return { ...field, merge: listType === "set" ? "set" : listType === "map" ? "map" : "atomic", mapKeys: keys, keyDefaults: keyDefaults(items, keys), itemsAtomic: items?.["x-kubernetes-map-type"] === "atomic" };
  }
  return schema["x-kubernetes-map-type"] === "atomic" ? { ...field, merge: "atomic" } : field;
}

function keyDefaults(items: Schema | undefined, keys: readonly string[]): Json {
  const out: Json = {};
  for (const key of keys) if (own(items?.properties, key)?.default !== undefined) out[key] = items!.properties![key]!.default;
  return out;
}

function typeOf(schema: Schema, id: string): FieldType {
  if (isIntOrString(schema)) return { kind: "intstr" };
  switch (schema.type) {
    case "object": {
      const values = valuesOf(schema);
      if (values !== undefined) return { kind: "map", of: typeOf(values, id) };
      if (schema.properties === undefined && (preserves(schema) || schema.additionalProperties === true)) return DEDUCED;
      return { kind: "inline", type: nested(schema, id) };
    }
    case "array": return { kind: "list", of: itemsOf(schema) === undefined ? DEDUCED : typeOf(itemsOf(schema)!, id) };
    case "integer": return { kind: "int64" };
    case "number": return { kind: "float" };
    case "boolean": return { kind: "bool" };
    case "string": return { kind: "string" };
    default: return DEDUCED;
  }
}

function nested(schema: Schema, id: string): StructType {
  if (isEmbedded(schema)) return structTypeOf(schema, id);
  const fields = new Map<string, Field>();
  for (const key of Object.keys(schema.properties ?? {})) fields.set(key, fieldOf(key, schema.properties![key]!, `${id}.${key}`));
  return { name: id, fields, always: [], ...(preserves(schema) ? { rest: DEDUCED } : {}) };
}
