/**
 * What holds for custom resources beside their OpenAPI schema: embedded resources have metadata of their own, lists that are sets or
 * maps have no duplicates. Follows k8s.io/apiextensions-apiserver/pkg/apiserver/schema (objectmeta/validation.go,
 * listtype/validation.go).
 */
import { decodeStruct, DecodeError } from "../../api/schema.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import type { FieldError } from "../../apimachinery/status.ts";
import { validateDNS1123Subdomain, validateLabelKey } from "../../apimachinery/validation.ts";
import { FieldErrors } from "../field.ts";
import { validateAnnotations, validateLabels } from "../registry/meta.ts";
import { child, duplicate, GoText, goSyntax, indexed, invalid, keyed, required } from "./errors.ts";
import { isEmbedded, isMap, itemsOf, listTypeOf, own, valuesOf } from "./schema.ts";
import type { Json, Schema } from "./schema.ts";

/** Findings about TypeMeta and ObjectMeta of embedded resources; `self` says that `value` itself is one. */
export function validateEmbedded(value: unknown, schema: Schema | undefined, path: string, self: boolean): FieldError[] {
  if (schema === undefined) return [];
  const errors: FieldError[] = [];
  if (Array.isArray(value)) {
    const items = itemsOf(schema);
    for (const [i, item] of value.entries()) errors.push(...validateEmbedded(item, items, indexed(path, i), isEmbedded(items)));
  } else if (isMap(value)) {
    if (self) errors.push(...validateMeta(value, path));
    for (const key of Object.keys(value).sort()) {
      const property = own(schema.properties, key);
      if (property !== undefined) errors.push(...validateEmbedded(value[key], property, child(path, key), isEmbedded(property)));
      else if (valuesOf(schema) !== undefined) errors.push(...validateEmbedded(value[key], valuesOf(schema), keyed(path, key), isEmbedded(valuesOf(schema))));
    }
  }
  return errors;
}

function validateMeta(value: Json, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const text = (name: "apiVersion" | "kind"): string => (typeof value[name] === "string" ? value[name] : "");
  const [apiVersion, kind] = [text("apiVersion"), text("kind")];
  if (apiVersion === "") errors.push(required(child(path, "apiVersion"), "must not be empty"));
  else if (apiVersion.split("/").length > 2) errors.push(invalid(child(path, "apiVersion"), apiVersion, `unexpected GroupVersion string: ${apiVersion}`));
  if (kind === "") errors.push(required(child(path, "kind"), "must not be empty"));
  else {
    const problems = validateLabelKey(kind.toLowerCase());
    if (problems.length > 0) errors.push(invalid(child(path, "kind"), kind, `may have mixed case, but should otherwise match: ${problems.join(",")}`));
  }
  if (value["metadata"] === undefined) return errors;
  const at = child(path, "metadata");
  let metadata: KubeObject["metadata"];
  try {
    metadata = decodeStruct("ObjectMeta", value["metadata"], { strict: [] }) as unknown as KubeObject["metadata"];
  } catch (e) {
    if (e instanceof DecodeError) return [...errors, invalid(at, new GoText(goSyntax(value["metadata"])), e.message)];
    throw e;
  }
  if (metadata.name !== undefined) for (const problem of validateDNS1123Subdomain(metadata.name)) errors.push(invalid(child(at, "name"), metadata.name, problem));
  const found = new FieldErrors();
  validateLabels(metadata.labels, child(at, "labels"), found);
  validateAnnotations(metadata.annotations, child(at, "annotations"), found);
  return [...errors, ...found.list];
}

/** Duplicates in sets and maps. */
export function validateListTypes(value: unknown, schema: Schema | undefined, path: string): FieldError[] {
  if (schema === undefined) return [];
  const errors: FieldError[] = [];
  if (isMap(value)) {
    for (const key of Object.keys(value).sort()) {
      const property = own(schema.properties, key);
      if (property !== undefined) errors.push(...validateListTypes(value[key], property, child(path, key)));
      else if (valuesOf(schema) !== undefined) errors.push(...validateListTypes(value[key], valuesOf(schema), keyed(path, key)));
    }
    return errors;
  }
  if (!Array.isArray(value)) return errors;
  const listType = listTypeOf(schema);
  const items = itemsOf(schema);
  if (listType === "set") {
    for (const at of repeated(value.map((v) => canonical(v)))) errors.push(duplicate(indexed(path, at), value[at]));
  } else if (listType === "map") {
    const keys = schema["x-kubernetes-list-map-keys"] ?? [];
    const keyOf = (item: unknown): Json => Object.fromEntries(keys.filter((k) => isMap(item) && item[k] !== undefined).map((k) => [k, (item as Json)[k]]));
    for (const at of repeated(value.map((v) => canonical(keyOf(v))))) errors.push(duplicate(indexed(path, at), keyOf(value[at])));
  }
  for (const [i, item] of value.entries()) errors.push(...validateListTypes(item, items, indexed(path, i)));
  return errors;
}

/** Where a text occurs for the second time; later ones are not told. */
function repeated(texts: readonly string[]): number[] {
  const seen = new Map<string, number>();
  const out: number[] = [];
  for (const [i, text] of texts.entries()) {
    const times = (seen.get(text) ?? 0) + 1;
    seen.set(text, times);
    if (times === 2) out.push(i);
  }
  return out;
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (isMap(value)) return `{${Object.keys(value).sort().map((k) => `${JSON.stringify(k)}:${canonical(value[k])}`).join(",")}}`;
  return JSON.stringify(value) ?? "null";
}
