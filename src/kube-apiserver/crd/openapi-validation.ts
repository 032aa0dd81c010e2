/**
 * Validation of a value by an OpenAPI v3 schema, with the findings and their order that the API server has.
 * Follows k8s.io/kube-openapi/pkg/validation (validate, errors) and kubeOpenAPIResultToFieldErrors of
 * k8s.io/apiextensions-apiserver/pkg/apiserver/validation/validation.go.
 */
import type { FieldError } from "../../apimachinery/status.ts";
import { deepEqual } from "../../apimachinery/meta.ts";
import { child, goPlain, invalid, NIL_PATH, notSupported, quote, required, tooLong, tooMany, typeInvalid } from "./errors.ts";
import { formatProblem, knownFormat } from "./formats.ts";
import { regexp } from "./regexp.ts";
import { isIntOrString, isMap, itemsOf, listTypeOf, own } from "./schema.ts";
import type { Schema } from "./schema.ts";

/** What `value` is not; `base` prefixes the fields of the findings. What is as in `old` is not judged anew (ratcheting). */
export function validateValue(value: unknown, schema: Schema, base = "", old?: unknown): FieldError[] {
  const result = validate(value, schema, "", old);
  return result.errors.map((e) => toFieldError(e, base));
}

/** A finding before it has a place: `name` is the dotted path, undefined for findings about combinations of schemas. */
interface Finding {
  readonly name: string | undefined;
  readonly make: (field: string) => FieldError;
}

interface Result {
  errors: Finding[];
  /** How many checks were made that found nothing: tells which of several schemas was nearest. */
  matches: number;
}

function toFieldError({ name, make }: Finding, base: string): FieldError {
  const at = base === "" ? NIL_PATH : base;
  if (name === undefined || name === "" || name === ".") return make(at);
  return make(child(at, name.replace(/^\./, "")));
}

const composite = (message: string): Finding => ({ name: undefined, make: (field) => invalid(field, "", message) });
const typed = (name: string, type: string, got: string): Finding =>
  ({ name, make: (field) => typeInvalid(field, got, `${name} in body must be of type ${type}: ${quote(got)}`) });
const wrong = (name: string, value: unknown, text: string): Finding => ({ name, make: (field) => invalid(field, value, `${name} in body ${text}`) });

function jsonType(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value;
}

function merge(into: Result, from: Result): void {
  into.errors.push(...from.errors);
  into.matches += from.matches;
}

function validate(value: unknown, schema: Schema, path: string, old?: unknown): Result {
  const result: Result = { errors: [], matches: 0 };
  if (old !== undefined && deepEqual(value, old)) return result;
  const add = (...findings: Finding[]): void => {
    result.errors.push(...findings);
    result.matches++;
  };
  add(...typeFindings(value, schema, path));
  if (value !== null) {
    merge(result, validateCombinations(value, schema, path));
    result.matches++;
    if (typeof value === "string") {
      add(...stringFindings(value, schema, path));
      if (schema.format !== undefined && knownFormat(schema.format)) {
        const problem = formatProblem(schema.format, value);
        add(...(problem ? [{ name: path, make: (field: string) => typeInvalid(field, value, `${path} in body must be of type ${schema.format!}: ${quote(value)}`) }] : []));
      }
    } else if (typeof value === "number") add(...numberFindings(value, schema, path));
    else if (Array.isArray(value)) {
      merge(result, validateList(value, schema, path, old));
      result.matches++;
    }
  }
  if (schema.enum !== undefined && schema.enum.length > 0 && !schema.enum.some((e) => deepEqual(e, value))) {
    const values = schema.enum.map((e) => (typeof e === "string" ? e : JSON.stringify(e)));
    add({ name: path, make: (field) => notSupported(field, value === null ? "" : value, values) });
  } else result.matches++;
  if (isMap(value)) {
    merge(result, validateObject(value, schema, path, old));
    result.matches++;
  }
  return result;
}

function typeFindings(value: unknown, schema: Schema, path: string): Finding[] {
  const types = isIntOrString(schema) ? ["integer", "string"] : schema.type === undefined || schema.type === "" ? [] : [schema.type];
  if (types.length === 0) return [];
  if (value === null) return schema.nullable === true ? [] : [typed(path, types.join(","), "null")];
  const got = jsonType(value);
  const numeric = types.includes("number") || types.includes("integer");
  // A format is a type of its own for strings, and judged as such.
  if (!numeric && schema.format !== undefined && schema.format !== "" && (typeof value === "string" || Array.isArray(value))) return [];
  const fits = types.includes(got) || (got === "integer" && types.includes("number"));
  if (fits) return [];
  if (schema.format !== undefined && schema.format !== "" && typeof value !== "string" && !Array.isArray(value)) return [typed(path, schema.format, goFormat(value))];
  return [typed(path, types.join(","), got)];
}

/** The format that kube-openapi infers from a Go value. */
function goFormat(value: unknown): string {
  if (typeof value === "number") return Number.isInteger(value) ? "int64" : "double";
  return typeof value === "boolean" ? "" : "";
}

function stringFindings(value: string, schema: Schema, path: string): Finding[] {
  const length = schema.maxLength !== undefined || schema.minLength !== undefined ? [...value].length : 0;
  if (schema.maxLength !== undefined && length > schema.maxLength) return [{ name: path, make: (field) => tooLong(field, schema.maxLength!) }];
  if (schema.minLength !== undefined && length < schema.minLength) return [wrong(path, value, `should be at least ${schema.minLength} chars long`)];
  if (schema.pattern !== undefined && schema.pattern !== "" && !regexp(schema.pattern).find(value)) return [wrong(path, value, `should match '${schema.pattern}'`)];
  return [];
}

function numberFindings(value: number, schema: Schema, path: string): Finding[] {
  const out: Finding[] = [];
  const { multipleOf, maximum, minimum } = schema;
  if (multipleOf !== undefined) {
    if (multipleOf <= 0) out.push(wrong(path, value, `factor in multipleOf must be positive: ${goPlain(multipleOf)}`));
    else if (!Number.isInteger(value / multipleOf)) out.push(wrong(path, value, `should be a multiple of ${goPlain(multipleOf)}`));
  }
  if (maximum !== undefined && (schema.exclusiveMaximum === true ? value >= maximum : value > maximum))
    out.push(wrong(path, value, `should be less than ${schema.exclusiveMaximum === true ? "" : "or equal to "}${goPlain(maximum)}`));
  if (minimum !== undefined && (schema.exclusiveMinimum === true ? value <= minimum : value < minimum))
    out.push(wrong(path, value, `should be greater than ${schema.exclusiveMinimum === true ? "" : "or equal to "}${goPlain(minimum)}`));
  return out;
}

function validateList(value: readonly unknown[], schema: Schema, path: string, old: unknown): Result {
  const result: Result = { errors: [], matches: 0 };
  const items = itemsOf(schema);
  // Items are known again by their keys alone.
  const keys = listTypeOf(schema) === "map" ? (schema["x-kubernetes-list-map-keys"] ?? []) : [];
  const before = (item: unknown): unknown => (keys.length === 0 || !Array.isArray(old) ? undefined : old.find((o) => isMap(o) && isMap(item) && keys.every((k) => deepEqual(o[k], item[k]))));
  if (items !== undefined) for (let i = 0; i < value.length; i++) merge(result, validate(value[i], items, `${path}[${i}]`, before(value[i])));
  if (schema.minItems !== undefined && value.length < schema.minItems) result.errors.push(wrong(path, value.length, `should have at least ${schema.minItems} items`));
  if (schema.maxItems !== undefined && value.length > schema.maxItems) result.errors.push({ name: path, make: (field) => tooMany(field, value.length, schema.maxItems!) });
  if (schema.uniqueItems === true && value.some((v, i) => value.slice(0, i).some((w) => deepEqual(v, w)))) result.errors.push(wrong(path, null, "shouldn't contain duplicates"));
  return result;
}

function validateObject(value: Readonly<Record<string, unknown>>, schema: Schema, path: string, old: unknown): Result {
  const before = isMap(old) ? old : undefined;
  const count = Object.keys(value).length;
  const { minProperties, maxProperties, properties, additionalProperties } = schema;
  if (minProperties !== undefined && count < minProperties) return { errors: [wrong(path, count, `should have at least ${minProperties} properties`)], matches: 0 };
  if (maxProperties !== undefined && count > maxProperties) return { errors: [{ name: path, make: (field) => tooMany(field, count, maxProperties) }], matches: 0 };
  const result: Result = { errors: [], matches: 0 };
  const keys = Object.keys(value).sort();
  if (additionalProperties === false) {
    for (const key of keys) if (own(properties, key) === undefined) result.errors.push({ name: path, make: (field) => invalid(field, "", `${path}.${key} in body is a forbidden property`) });
  } else if (isMap(additionalProperties))
    for (const key of keys) if (own(properties, key) === undefined) merge(result, validate(value[key], additionalProperties, `${path}.${key}`, own(before, key)));
  for (const key of Object.keys(properties ?? {}).sort())
    if (value[key] !== undefined) merge(result, validate(value[key], properties![key]!, path === "" ? key : `${path}.${key}`, own(before, key)));
  for (const key of schema.required ?? []) if (value[key] === undefined) result.errors.push({ name: `${path}.${key}`, make: (field) => required(field) });
  return result;
}

function validateCombinations(value: unknown, schema: Schema, path: string): Result {
  const result: Result = { errors: [], matches: 0 };
  const named = quote(path);
  const nearest = (results: readonly Result[]): Result => results.reduce((best, r) => (r.matches > best.matches ? r : best));
  const { anyOf = [], oneOf = [], allOf = [], not } = schema;
  if (anyOf.length > 0) {
    const results = anyOf.map((s) => validate(value, s, path));
    if (!results.some((r) => r.errors.length === 0)) {
      result.errors.push(composite(`${named} must validate at least one schema (anyOf)`));
      merge(result, nearest(results));
    }
  }
  if (oneOf.length > 0) {
    const results = oneOf.map((s) => validate(value, s, path));
    const valid = results.filter((r) => r.errors.length === 0).length;
    if (valid !== 1) {
      result.errors.push(composite(`${named} must validate one and only one schema (oneOf). ${valid === 0 ? "Found none valid" : `Found ${valid} valid alternatives`}`));
      if (valid === 0) merge(result, nearest(results));
    }
  }
  if (allOf.length > 0) {
    const results = allOf.map((s) => validate(value, s, path));
    const valid = results.filter((r) => r.errors.length === 0).length;
    for (const r of results) merge(result, r);
    if (valid !== allOf.length) result.errors.push(composite(`${named} must validate all the schemas (allOf)${valid === 0 ? ". None validated" : ""}`));
  }
  if (not !== undefined && validate(value, not, path).errors.length === 0) result.errors.push(composite(`${named} must not validate the schema (not)`));
  return result;
}
