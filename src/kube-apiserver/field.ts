/**
 * Collecting what validation finds. Follows k8s.io/apimachinery/pkg/util/validation/field/errors.go: the text of each
 * finding is upstream's.
 */
import type { FieldError } from "../apimachinery/status.ts";

/** Go's `%q` for strings, `%v` for numbers and booleans, JSON for what is neither. */
function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (Array.isArray(value) && value.every((v) => typeof v === "string")) return `[]string{${value.map((v) => JSON.stringify(v)).join(", ")}}`;
  return typeof value === "object" && value !== null ? JSON.stringify(value) : String(value ?? "null");
}

const NONE: ReadonlySet<string> = new Set();

export class FieldErrors {
  readonly list: FieldError[] = [];
  /** Where the client sent an empty list or map, which Go tells from an absent one when it prints it. */
  readonly empty: ReadonlySet<string>;

  constructor(empty: ReadonlySet<string> = NONE) {
    this.empty = empty;
  }

  required(field: string, detail = ""): void {
    this.add("FieldValueRequired", field, detail === "" ? "Required value" : `Required value: ${detail}`);
  }

  invalid(field: string, value: unknown, detail: string): void {
    this.add("FieldValueInvalid", field, `Invalid value: ${shown(value)}: ${detail}`);
  }

  /** A value that Go prints in its own syntax. */
  invalidGo(field: string, value: string, detail: string): void {
    this.add("FieldValueInvalid", field, `Invalid value: ${value}: ${detail}`);
  }

  /** One finding per message. */
  invalidAll(field: string, value: unknown, details: readonly string[]): void {
    for (const detail of details) this.invalid(field, value, detail);
  }

  duplicate(field: string, value: unknown): void {
    this.add("FieldValueDuplicate", field, `Duplicate value: ${shown(value)}`);
  }

  notSupported(field: string, value: unknown, supported: readonly string[]): void {
    this.add("FieldValueNotSupported", field, `Unsupported value: ${shown(value)}: supported values: ${[...supported].map((v) => JSON.stringify(v)).join(", ")}`);
  }

  forbidden(field: string, detail: string): void {
    this.add("FieldValueForbidden", field, detail === "" ? "Forbidden" : `Forbidden: ${detail}`);
  }

  notFound(field: string, value: unknown): void {
    this.add("FieldValueNotFound", field, `Not found: ${shown(value)}`);
  }

  tooLong(field: string, bytesMax: number): void {
    this.add("FieldValueTooLong", field, `Too long: may not be more than ${bytesMax} bytes`);
  }

  tooMany(field: string, count: number, max: number): void {
    this.add("FieldValueTooMany", field, `Too many: ${count}: must have at most ${max} items`);
  }

  /** A finding whose text is made elsewhere. */
  add(type: FieldError["type"], field: string, message: string): void {
    this.list.push({ type, field, message });
  }
}
