/**
 * Findings with values that have no fixed Go type, as custom resources have: maps, lists and numbers out of JSON.
 * Follows k8s.io/apimachinery/pkg/util/validation/field/errors.go (Error.ErrorBody) and Go's `%#v`.
 */
import type { FieldError } from "../../apimachinery/status.ts";

/** A value whose Go form is known. */
export class GoText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** Go's `%q` of a string. */
export function quote(text: string): string {
  return JSON.stringify(text).replace(/\u007f/g, "\\x7f");
}

/** Go's `%#v` of a JSON value. */
export function goSyntax(value: unknown): string {
  if (value instanceof GoText) return value.text;
  if (value === null || value === undefined) return "interface {}(nil)";
  if (typeof value === "string") return quote(value);
  if (Array.isArray(value)) return `[]interface {}{${value.map(goSyntax).join(", ")}}`;
  if (typeof value === "object") return `map[string]interface {}{${Object.keys(value).sort().map((k) => `${quote(k)}:${goSyntax((value as Record<string, unknown>)[k])}`).join(", ")}}`;
  return String(value);
}

/** Go's `%v` of a JSON value. */
export function goPlain(value: unknown): string {
  if (value === null || value === undefined) return "<nil>";
  if (Array.isArray(value)) return `[${value.map(goPlain).join(" ")}]`;
  if (typeof value === "object") return `map[${Object.keys(value).sort().map((k) => `${k}:${goPlain((value as Record<string, unknown>)[k])}`).join(" ")}]`;
  return String(value);
}

const bad = (value: unknown): string => (value === null || value === undefined ? "\"null\"" : goSyntax(value));

/** The place that no path names. */
export const NIL_PATH = "<nil>";

export const child = (path: string, name: string): string => (path === "" || path === NIL_PATH ? name : `${path}.${name}`);
export const keyed = (path: string, key: string): string => `${path === NIL_PATH ? "" : path}[${key}]`;
export const indexed = (path: string, index: number): string => keyed(path, String(index));

export const required = (field: string, detail = ""): FieldError => ({ type: "FieldValueRequired", field, message: detail === "" ? "Required value" : `Required value: ${detail}` });
export const invalid = (field: string, value: unknown, detail: string): FieldError => ({ type: "FieldValueInvalid", field, message: `Invalid value: ${bad(value)}: ${detail}` });
export const typeInvalid = (field: string, value: unknown, detail: string): FieldError => ({ type: "FieldValueTypeInvalid", field, message: `Invalid value: ${bad(value)}: ${detail}` });
export const duplicate = (field: string, value: unknown): FieldError => ({ type: "FieldValueDuplicate", field, message: `Duplicate value: ${bad(value)}` });
export const forbidden = (field: string, detail: string): FieldError => ({ type: "FieldValueForbidden", field, message: detail === "" ? "Forbidden" : `Forbidden: ${detail}` });
export const notSupported = (field: string, value: unknown, supported: readonly string[]): FieldError =>
  ({ type: "FieldValueNotSupported", field, message: `Unsupported value: ${bad(value)}: supported values: ${supported.map(quote).join(", ")}` });
export const tooLong = (field: string, bytesMax: number): FieldError => ({ type: "FieldValueTooLong", field, message: `Too long: may not be more than ${bytesMax} bytes` });
export const tooMany = (field: string, actual: number, max: number): FieldError => ({ type: "FieldValueTooMany", field, message: `Too many: ${actual}: must have at most ${max} items` });
