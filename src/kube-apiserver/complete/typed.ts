/** What is wrong with an applied configuration as a typed value. Follows the validation of structured-merge-diff (typed/validate.go). */
import { concrete, structOf } from "../../api/schema.ts";
import type { Field, FieldType, StructType } from "../../api/schema.ts";

type Json = Record<string, unknown>;
const isMap = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);

/** The findings, `PATH: WHAT`; none for a sound value. */
export function typedErrors(type: StructType, value: Json, path = ""): string[] {
  const out: string[] = [];
  for (const key of Object.keys(value).sort()) {
    const field = type.fields.get(key);
    if (field === undefined) out.push(`${path}.${key}: field not declared in schema`);
    else out.push(...check(field.type, value[key], `${path}.${key}`, field));
  }
  return out;
}

const SCALARS: Readonly<Record<string, string>> = { string: "string", time: "string", microtime: "string", bytes: "string", bool: "boolean", int32: "numeric", int64: "numeric", float: "numeric" };
const KINDS: Readonly<Record<string, string>> = { string: "string", boolean: "boolean", numeric: "number" };

function shown(value: unknown): string {
  const text = isMap(value) ? `map[${Object.keys(value).sort().map((k) => `${k}:${String(value[k])}`).join(" ")}]` : Array.isArray(value) ? `[${value.join(" ")}]` : String(value);
  return `&value.valueUnstructured{Value:${typeof value === "string" ? JSON.stringify(value) : text}}`;
}

function check(declared: FieldType, value: unknown, path: string, field?: Field): string[] {
  if (value === null || value === undefined) return [];
  const type = concrete(declared, value);
  const struct = structOf(type);
  if (struct !== undefined) return isMap(value) ? typedErrors(struct, value, path) : [`${path}: expected map, got ${shown(value)}`];
  const scalar = SCALARS[type.kind];
  if (scalar !== undefined) return typeof value === KINDS[scalar] ? [] : [`${path}: expected ${scalar}, got ${shown(value)}`];
  if (type.kind === "map") {
    if (!isMap(value)) return [`${path}: expected map, got ${shown(value)}`];
    return Object.keys(value).sort().flatMap((key) => check(type.of, value[key], `${path}.${key}`));
  }
  if (type.kind !== "list") return [];
  if (!Array.isArray(value)) return [`${path}: expected list, got ${shown(value)}`];
  const out: string[] = [];
  const seen = new Set<string>();
  value.forEach((item: unknown, i) => {
    const element = field?.merge === "map" && isMap(item) ? `[${[...field.mapKeys].sort().filter((key) => item[key] !== undefined).map((key) => `${key}=${JSON.stringify(item[key])}`).join(",")}]`
      : field?.merge === "set" ? `[=${JSON.stringify(item)}]` : `[${i}]`;
    if (field?.merge === "map" || field?.merge === "set") {
      if (seen.has(element)) out.push(`${path}: duplicate entries for key ${element}`);
      seen.add(element);
    }
    out.push(...check(type.of, item, `${path}${element}`));
  });
  return out;
}
