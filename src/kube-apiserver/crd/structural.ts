/**
 * Whether a schema is structural. Follows k8s.io/apiextensions-apiserver/pkg/apiserver/schema/validation.go (ValidateStructural) and
 * complete.go; findings come sorted by their text.
 */
import type { FieldError } from "../../apimachinery/status.ts";
import { deepEqual } from "../../apimachinery/meta.ts";
import { child, forbidden, indexed, invalid, keyed, required } from "./errors.ts";
import { patternProblem } from "./regexp.ts";
import { isEmbedded, isIntOrString, isMap, itemsOf, own, preserves, valuesOf } from "./schema.ts";
import type { Schema } from "./schema.ts";

type Level = "root" | "item" | "field";

/** What keeps the schema at `path` from being structural. */
export function validateStructural(schema: Schema, path: string): FieldError[] {
  const errors: FieldError[] = [];
  invariants(schema, "root", path, errors);
  completeness(schema, path, errors);
  const text = (e: FieldError): string => `${e.field}: ${e.message}`;
  return errors.sort((a, b) => (text(a) < text(b) ? -1 : text(a) > text(b) ? 1 : 0));
}

const INT_OR_STRING = [{ type: "integer" }, { type: "string" }];
const saysIntOrString = (schemas: readonly Schema[] | undefined): boolean => deepEqual(schemas, INT_OR_STRING);

function invariants(s: Schema, level: Level, path: string, errors: FieldError[]): void {
  const items = itemsOf(s);
  if (s.type === "array" && items === undefined) errors.push(required(child(path, "items"), "must be specified"));
  if (items !== undefined) invariants(items, "item", child(path, "items"), errors);
  for (const key of Object.keys(s.properties ?? {})) invariants(s.properties![key]!, "field", keyed(child(path, "properties"), key), errors);
  if (s.additionalProperties !== undefined) {
    if (level === "root") errors.push(forbidden(child(path, "additionalProperties"), "must not be used at the root"));
    const values = valuesOf(s);
    if (values !== undefined) invariants(values, "field", child(path, "additionalProperties"), errors);
  }
  const embedded = isEmbedded(s);
  if (isIntOrString(s) && preserves(s)) errors.push(invalid(child(path, "x-kubernetes-preserve-unknown-fields"), true, "must be false if x-kubernetes-int-or-string is true"));
  if (isIntOrString(s) && embedded) errors.push(invalid(child(path, "x-kubernetes-embedded-resource"), true, "must be false if x-kubernetes-int-or-string is true"));
  valueValidation(s, saysIntOrString(s.anyOf), saysIntOrString(s.allOf?.[0]?.anyOf), path, errors);
  const type = s.type ?? "";
  if (embedded && type !== "object") {
    const detail = "must be object if x-kubernetes-embedded-resource is true";
    errors.push(type === "" ? required(child(path, "type"), detail) : invalid(child(path, "type"), type, detail));
  } else if (type === "" && !isIntOrString(s) && !preserves(s)) {
    const where = { root: "at the root", item: "for specified array items", field: "for specified object fields" }[level];
    errors.push(required(child(path, "type"), `must not be empty ${where}`));
  }
  if (embedded && s.additionalProperties !== undefined) errors.push(forbidden(child(path, "additionalProperties"), "must not be used if x-kubernetes-embedded-resource is set"));
  if (level === "root" && type !== "" && type !== "object") errors.push(invalid(child(path, "type"), type, "must be object at the root"));
  if (level === "root" || embedded) metadataInvariants(s, level, path, errors);
  if (embedded && !preserves(s) && Object.keys(s.properties ?? {}).length === 0)
    errors.push(required(child(path, "properties"), "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields"));
}

function metadataInvariants(s: Schema, level: Level, path: string, errors: FieldError[]): void {
  for (const [key, type] of [["kind", "string"], ["apiVersion", "string"], ["metadata", "object"]] as const) {
    const property = own(s.properties, key);
    if (property !== undefined && property.type !== type) errors.push(invalid(child(keyed(child(path, "properties"), key), "type"), property.type ?? "", `must be ${type}`));
  }
  const metadata = own(s.properties, "metadata");
  if (metadata === undefined || level !== "root") return;
  const { type: _type, default: _default, properties, ...rest } = metadata;
  const names = Object.keys(properties ?? {});
  const onlyNames = names.every((name) => name === "name" || name === "generateName");
  // What validates values is allowed only where it says nothing.
  if (!onlyNames || Object.keys(rest).length > 0)
    errors.push(forbidden(keyed(child(path, "properties"), "metadata"), "must not specify anything other than name and generateName, but metadata is implicitly specified"));
}

function valueValidation(s: Schema, skipAnyOf: boolean, skipFirstAllOf: boolean, path: string, errors: FieldError[]): void {
  if (!skipAnyOf) for (const [i, schema] of (s.anyOf ?? []).entries()) nestedValidation(schema, false, indexed(child(path, "anyOf"), i), errors);
  for (const [i, schema] of (s.allOf ?? []).entries()) nestedValidation(schema, skipFirstAllOf && i === 0, indexed(child(path, "allOf"), i), errors);
  for (const [i, schema] of (s.oneOf ?? []).entries()) nestedValidation(schema, false, indexed(child(path, "oneOf"), i), errors);
  if (s.not !== undefined) nestedValidation(s.not, false, child(path, "not"), errors);
  if (s.pattern !== undefined && s.pattern !== "") {
    const problem = patternProblem(s.pattern);
    if (problem !== undefined) errors.push(invalid(child(path, "pattern"), s.pattern, `must be a valid regular expression, but isn't: ${problem}`));
  }
}

/** What a schema under anyOf, allOf, oneOf or not may not say. */
function nestedValidation(s: Schema, skipAnyOf: boolean, path: string, errors: FieldError[]): void {
  valueValidation(s, skipAnyOf, false, path, errors);
  const items = itemsOf(s);
  if (items !== undefined) nestedValidation(items, false, child(path, "items"), errors);
  for (const key of Object.keys(s.properties ?? {})) nestedValidation(s.properties![key]!, false, keyed(child(path, "properties"), key), errors);
  const values = valuesOf(s);
  if (values !== undefined) nestedValidation(values, false, child(path, "additionalProperties"), errors);
  const deny = (name: keyof Schema, state: string): void => void errors.push(forbidden(child(path, name), `must be ${state} to be structural`));
  if (s.type !== undefined && s.type !== "") deny("type", "empty");
  if (s.additionalProperties !== undefined && values === undefined) deny("additionalProperties", "undefined");
  if (s.default !== undefined) deny("default", "undefined");
  if (s.title !== undefined) deny("title", "empty");
  if (s.description !== undefined) deny("description", "empty");
  if (s.nullable === true) deny("nullable", "false");
  if (preserves(s)) deny("x-kubernetes-preserve-unknown-fields", "false");
  if (isEmbedded(s)) deny("x-kubernetes-embedded-resource", "false");
  if (isIntOrString(s)) deny("x-kubernetes-int-or-string", "false");
  if ((s["x-kubernetes-list-map-keys"] ?? []).length > 0) deny("x-kubernetes-list-map-keys", "empty");
  if (s["x-kubernetes-list-type"] !== undefined) deny("x-kubernetes-list-type", "undefined");
  if (s["x-kubernetes-map-type"] !== undefined) deny("x-kubernetes-map-type", "undefined");
  if (own(s.properties, "metadata") !== undefined) errors.push(forbidden(keyed(child(path, "properties"), "metadata"), "must not be specified in a nested context"));
}

/** Every field and array that values are validated in must be specified outside of the validation, too. */
function completeness(s: Schema, path: string, errors: FieldError[]): void {
  for (const [name, list] of [["anyOf", s.anyOf], ["allOf", s.allOf], ["oneOf", s.oneOf]] as const)
    for (const [i, nested] of (list ?? []).entries()) nestedCompleteness(nested, s, path, indexed(child(path, name), i), errors);
  if (s.not !== undefined) nestedCompleteness(s.not, s, path, child(path, "not"), errors);
  for (const key of Object.keys(s.properties ?? {})) completeness(s.properties![key]!, keyed(child(path, "properties"), key), errors);
  const items = itemsOf(s);
  if (items !== undefined) completeness(items, child(path, "items"), errors);
  const values = valuesOf(s);
  if (values !== undefined) completeness(values, child(path, "additionalProperties"), errors);
}

function nestedCompleteness(nested: Schema, spine: Schema | undefined, spinePath: string, path: string, errors: FieldError[]): void {
  if (spine === undefined) {
    errors.push(required(spinePath, `because it is defined in ${path}`));
    return;
  }
  const items = itemsOf(nested);
  if (items !== undefined) nestedCompleteness(items, itemsOf(spine), child(spinePath, "items"), child(path, "items"), errors);
  for (const key of Object.keys(nested.properties ?? {})) {
    // A field of a map is as good as one that is named.
    const at = own(spine.properties, key) ?? valuesOf(spine);
    nestedCompleteness(nested.properties![key]!, at, keyed(child(spinePath, "properties"), key), keyed(child(path, "properties"), key), errors);
  }
  if (isMap(nested.additionalProperties)) nestedCompleteness(nested.additionalProperties as Schema, valuesOf(spine), child(spinePath, "additionalProperties"), child(path, "additionalProperties"), errors);
  for (const [name, list] of [["anyOf", nested.anyOf], ["allOf", nested.allOf], ["oneOf", nested.oneOf]] as const)
    for (const [i, deeper] of (list ?? []).entries()) nestedCompleteness(deeper, spine, spinePath, indexed(child(path, name), i), errors);
  if (nested.not !== undefined) nestedCompleteness(nested.not, spine, spinePath, child(path, "not"), errors);
}
