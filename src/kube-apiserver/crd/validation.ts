/**
 * Validation of CustomResourceDefinitions. Follows k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go.
 * Upstream validates the internal type, in which what all versions have in common stands once, at the top: so do the paths here.
 */
import type { FieldError } from "../../apimachinery/status.ts";
import { deepCopy, deepEqual } from "../../apimachinery/meta.ts";
import { validateDNS1035Label, validateDNS1123Subdomain } from "../../apimachinery/validation.ts";
import { apiApproval, isProtectedGroup } from "./approval.ts";
import type { ApprovalState } from "./approval.ts";
import { CelContext, COST_LIMIT_TOTAL, costMessage, ruleFindings } from "./cel/static.ts";
import { child, duplicate, forbidden, GoText, goSyntax, indexed, invalid, keyed, notSupported, quote, required, tooMany } from "./errors.ts";
import { validateEmbedded, validateListTypes } from "./object-validation.ts";
import { fieldPath } from "./field-path.ts";
import { validateValue } from "./openapi-validation.ts";
import { isEmbedded, itemsOf, listTypeOf, own, prune, valuesOf } from "./schema.ts";
import type { Schema } from "./schema.ts";
import { validateStructural } from "./structural.ts";
import type { Column, Definition, DefinitionSpec, Names, SelectableField, Subresources, Version } from "./types.ts";

const TYPES = ["array", "boolean", "integer", "number", "object", "string"];
const COLUMN_TYPES = ["boolean", "date", "integer", "number", "string"];
const COLUMN_FORMATS = ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];
const REASONS = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];
const SELECTABLE_MAX = 8;

interface Options {
  /** What is already stored is not judged more strictly than when it was. */
  readonly requireSchema: boolean;
  readonly requireStructural: boolean;
  readonly requireTypes: boolean;
  readonly requirePrunedDefaults: boolean;
  readonly requireAtomicSets: boolean;
  readonly requireMapKeys: boolean;
  readonly requireReviewVersion: boolean;
  /** Versions whose schema is as before: the cost of their rules was judged then. */
  readonly unchanged: ReadonlySet<string>;
}

const STRICT: Options = {
  requireSchema: true, requireStructural: true, requireTypes: true, requirePrunedDefaults: true, requireAtomicSets: true, requireMapKeys: true,
  requireReviewVersion: true, unchanged: new Set(),
};

/** The spec with what its versions share moved to the top. Follows Convert_v1_CustomResourceDefinitionSpec_To_apiextensions. */
interface Internal {
  readonly versions: readonly Version[];
  readonly schema: Schema | undefined;
  /** Whether the top says anything about a schema. */
  readonly validation: boolean;
  readonly subresources: Subresources | undefined;
  readonly columns: readonly Column[] | undefined;
  readonly selectable: readonly SelectableField[] | undefined;
}

function internal({ versions }: DefinitionSpec): Internal {
  const first = versions[0];
  const same = (field: keyof Version): boolean => versions.length > 0 && versions.every((v) => deepEqual(v[field], first![field]));
  const shared = (["schema", "subresources", "additionalPrinterColumns", "selectableFields"] as const).filter(same);
  const top = <K extends "schema" | "subresources" | "additionalPrinterColumns" | "selectableFields">(field: K): Version[K] => (shared.includes(field) ? first![field] : undefined) as Version[K];
  return {
    versions: versions.map((v) => {
      const out = { ...v } as { -readonly [K in keyof Version]?: Version[K] };
      for (const field of shared) delete out[field];
      return out as Version;
    }),
    schema: top("schema")?.openAPIV3Schema, validation: top("schema") !== undefined, subresources: top("subresources"),
    columns: top("additionalPrinterColumns"), selectable: top("selectableFields"),
  };
}

/** Follows ValidateCustomResourceDefinition, without the metadata (whose name is judged by `nameProblems`). */
export function validateDefinition(crd: Definition, old: Definition | undefined): FieldError[] {
  const errors: FieldError[] = [];
  const options = old === undefined ? STRICT : optionsFor(crd, old);
  validateSpec(crd.spec, options, errors);
  if (old !== undefined) {
    const immutable = (field: string, value: unknown, was: unknown): void => {
      if (!deepEqual(value, was)) errors.push(invalid(field, value, "field is immutable"));
    };
    if (isEstablished(old)) {
      immutable("spec.scope", crd.spec.scope, old.spec.scope);
      immutable("spec.names.kind", crd.spec.names.kind, old.spec.names.kind);
    }
    immutable("spec.group", crd.spec.group, old.spec.group);
    immutable("spec.names.plural", crd.spec.names.plural, old.spec.names.plural);
  }
  validateStatus(crd, errors);
  validateStoredVersions(crd, errors);
  validateApproval(crd, old, errors);
  if (crd.spec.preserveUnknownFields === true && old?.spec.preserveUnknownFields !== true)
    errors.push(invalid("spec.preserveUnknownFields", true, "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"));
  return errors;
}

export const isEstablished = ({ status }: Definition): boolean => (status.conditions ?? []).some((c) => c.type === "Established" && c.status === "True");

/** Names of CRDs follow from their spec. */
export function nameProblems({ metadata, spec }: Definition): string[] {
  const problems = validateDNS1123Subdomain(metadata.name);
  if (metadata.name !== `${spec.names.plural ?? ""}.${spec.group}`) problems.push("must be spec.names.plural+\".\"+spec.group");
  return problems;
}

function optionsFor(crd: Definition, old: Definition): Options {
  const schemas = old.spec.versions.map((v) => v.schema?.openAPIV3Schema);
  const none = (test: (s: Schema) => boolean): boolean => !schemas.some((s) => s !== undefined && anyWithin(s, test));
  const before = new Map(old.spec.versions.map((v) => [v.name, v.schema]));
  const reviews = old.spec.conversion?.webhook?.conversionReviewVersions ?? [];
  return {
    requireSchema: schemas.every((s) => s !== undefined),
    requireStructural: schemas.every((s) => s === undefined || validateStructural(s, "").length === 0),
    requireTypes: none((s) => s.type !== undefined && s.type !== "" && !TYPES.includes(s.type)),
    requirePrunedDefaults: true,
    requireAtomicSets: none((s) => nonAtomicSet(s) !== undefined),
    requireMapKeys: none((s) => mapKeyErrors(s, "").length > 0),
    requireReviewVersion: reviews.length === 0 || reviews.some((v) => v === "v1" || v === "v1beta1"),
    unchanged: new Set(crd.spec.versions.filter((v) => before.has(v.name) && deepEqual(before.get(v.name), v.schema)).map((v) => v.name)),
  };
}

/** Whether the schema or one within it is such. */
function anyWithin(s: Schema, test: (s: Schema) => boolean): boolean {
  if (test(s)) return true;
  const inner: (Schema | undefined)[] = [itemsOf(s), valuesOf(s), s.not, ...Object.values(s.properties ?? {}), ...(s.allOf ?? []), ...(s.anyOf ?? []), ...(s.oneOf ?? [])];
  return inner.some((i) => i !== undefined && anyWithin(i, test));
}

function validateSpec(spec: DefinitionSpec, given: Options, errors: FieldError[]): void {
  const group = spec.group ?? "";
  if (group === "") errors.push(required("spec.group"));
  else {
    const problems = validateDNS1123Subdomain(group);
    if (problems.length > 0) errors.push(invalid("spec.group", group, problems.join(",")));
    else if (!group.includes(".")) errors.push(invalid("spec.group", group, "should be a domain with at least one dot"));
  }
  oneOf("spec.scope", spec.scope ?? "", ["Cluster", "Namespaced"], errors);
  const { versions, schema, validation, subresources, columns, selectable } = internal(spec);
  const keeps = spec.preserveUnknownFields === true;
  const all = spec.versions.map((v) => v.schema?.openAPIV3Schema).filter((s) => s !== undefined);
  const extended = all.some((s) => anyWithin(s, (i) => i.default !== undefined || Object.keys(i).some((k) => k.startsWith("x-kubernetes-"))));
  const options = { ...given, requireStructural: given.requireStructural || !keeps || extended };
  if (schema === undefined)
    for (const [i, v] of versions.entries())
      if (v.schema?.openAPIV3Schema === undefined && (options.requireSchema || (!keeps && v.served)))
        errors.push(required(`spec.versions[${i}].schema.openAPIV3Schema`, options.requireSchema ? "schemas are required" : "because otherwise all fields are pruned"));
  if (keeps && all.some((s) => anyWithin(s, (i) => i.default !== undefined))) errors.push(invalid("spec.preserveUnknownFields", true, "must be false in order to use defaults in the schema"));
  const perVersion = versions.some((v) => v.subresources !== undefined);
  let storage = 0;
  const names = new Set<string>();
  let unique = true;
  for (const [i, version] of versions.entries()) {
    const path = `spec.versions[${i}]`;
    if (version.storage) storage++;
    if (names.has(version.name)) unique = false;
    names.add(version.name);
    const problems = validateDNS1035Label(version.name);
    if (problems.length > 0) errors.push(invalid(`${path}.name`, version.name, problems.join(",")));
    const hasStatus = (perVersion ? version.subresources : subresources)?.status !== undefined;
    validateVersion(version, path, hasStatus, { ...options, unchanged: options.unchanged }, errors);
  }
  const shown = new GoText(goVersions(versions));
  if (!unique) errors.push(invalid("spec.versions", shown, "must contain unique version names"));
  if (storage !== 1) errors.push(invalid("spec.versions", shown, "must have exactly one version marked as storage version"));
  const first = versions[0];
  if (first !== undefined && first.name !== "") {
    const problems = validateDNS1035Label(first.name);
    if (problems.length > 0) errors.push(invalid("spec.version", first.name, problems.join(",")));
  }
  for (const name of ["plural", "singular", "kind", "listKind"] as const) if ((spec.names[name] ?? "") === "") errors.push(required(`spec.names.${name}`));
  validateNames(spec.names, "spec.names", errors);
  const anyStatus = spec.versions.some((v) => v.subresources?.status !== undefined);
  if (validation) validateSchema(schema, "spec.validation", anyStatus, first !== undefined && options.unchanged.has(first.name), options, errors);
  validateSubresources(subresources, "spec.subresources", errors);
  for (const [i, column] of (columns ?? []).entries()) validateColumn(column, `spec.additionalPrinterColumns[${i}]`, errors);
  if ((selectable ?? []).length > 0) {
    if (schema === undefined) errors.push(invalid("spec.selectableFields", "", "selectableFields may only be set when validations.schema is included"));
    else validateSelectable(selectable!, schema, "spec.selectableFields", errors);
  }
  validateConversion(spec, options, errors);
}

function oneOf(path: string, value: string, accepted: readonly string[], errors: FieldError[]): void {
  if (value === "") errors.push(required(path));
  else if (!accepted.includes(value)) errors.push(notSupported(path, value, accepted));
}

function validateVersion(version: Version, path: string, hasStatus: boolean, options: Options, errors: FieldError[]): void {
  const { deprecated, deprecationWarning: warning } = version;
  if (warning !== undefined) {
    const at = `${path}.deprecationWarning`;
    if (deprecated !== true) errors.push(invalid(at, warning, "can only be set for deprecated versions"));
    else {
      if (warning.length > 256) errors.push(invalid(at, warning, "must be <= 256 characters long"));
      if (warning === "") errors.push(invalid(at, warning, "must not be an empty string"));
      const bad = [...warning].findIndex((c) => c < " " || (c >= "\u007f" && c < "\u00a0"));
      if (bad >= 0) errors.push(invalid(at, warning, `must only contain printable UTF-8 characters; non-printable character found at index ${bad}`));
    }
  }
  if (version.schema !== undefined) validateSchema(version.schema.openAPIV3Schema, `${path}.schema`, hasStatus, options.unchanged.has(version.name), options, errors);
  validateSubresources(version.subresources, `${path}.subresources`, errors);
  for (const [i, column] of (version.additionalPrinterColumns ?? []).entries()) validateColumn(column, `${path}.additionalPrinterColumns[${i}]`, errors);
  if ((version.selectableFields ?? []).length > 0) {
    const schema = version.schema?.openAPIV3Schema;
    if (schema === undefined) errors.push(invalid(`${path}.selectableFields`, "", "selectableFields may only be set when version.schema.openAPIV3Schema is not included"));
    else validateSelectable(version.selectableFields!, schema, `${path}.selectableFields`, errors);
  }
}

export function validateNames(names: Names, path: string, errors: FieldError[]): void {
  const label = (field: string, value: string | undefined, prefix = "", shown = value): void => {
    if (value === undefined || value === "") return;
    const problems = validateDNS1035Label(value);
    if (problems.length > 0) errors.push(invalid(`${path}.${field}`, shown, prefix + problems.join(",")));
  };
  const mixed = "may have mixed case, but should otherwise match: ";
  label("plural", names.plural);
  label("singular", names.singular);
  label("kind", names.kind?.toLowerCase(), mixed, names.kind);
  label("listKind", names.listKind?.toLowerCase(), mixed, names.listKind);
  for (const [i, name] of (names.shortNames ?? []).entries()) list(`shortNames[${i}]`, name);
  if ((names.kind ?? "") !== "" && names.kind === names.listKind) errors.push(invalid(`${path}.listKind`, names.listKind, "kind and listKind may not be the same"));
  for (const [i, name] of (names.categories ?? []).entries()) list(`categories[${i}]`, name);
  function list(field: string, value: string): void {
    const problems = validateDNS1035Label(value);
    if (problems.length > 0) errors.push(invalid(`${path}.${field}`, value, problems.join(",")));
  }
}

/** Go's fields of JSONSchemaProps that the root may have beside a status subresource. */
const ROOT_FIELDS = ["Description", "Type", "Format", "Title", "Maximum", "ExclusiveMaximum", "Minimum", "ExclusiveMinimum", "MaxLength", "MinLength", "Pattern", "MaxItems", "MinItems", "UniqueItems", "MultipleOf", "Required", "Items", "Properties", "ExternalDocs", "Example", "XPreserveUnknownFields", "XValidations"];
const goField = (name: string): string => name.replace("x-kubernetes-", "X-").replace(/(^|-)([a-z])/g, (_, _dash: string, c: string) => c.toUpperCase()).replace(/-/g, "");

function validateSchema(schema: Schema | undefined, path: string, hasStatus: boolean, unchanged: boolean, options: Options, errors: FieldError[]): void {
  if (schema === undefined) return;
  const root = `${path}.openAPIV3Schema`;
  if (hasStatus) {
    if (schema.type !== undefined && schema.type !== "" && schema.type !== "object")
      errors.push(invalid(`${root}.type`, schema.type, "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled"));
    else if (Object.keys(schema).some((name) => !ROOT_FIELDS.includes(goField(name))))
      errors.push(invalid(root, new GoText(goSyntax(schema)), `only [${ROOT_FIELDS.join(" ")}] fields are allowed at the root of the schema if the status subresource is enabled`));
  }
  if (schema.nullable === true) errors.push(forbidden(`${root}.nullable`, "nullable cannot be true at the root"));
  let cel: CelContext | undefined;
  if (options.requireStructural) {
    let found = validateStructural(schema, root);
    if (found.length === 0) found = validateDefaults(schema, root, true, false, options.requirePrunedDefaults);
    if (found.length === 0) cel = new CelContext(schema);
    errors.push(...found);
  }
  const walk: Walk = { options, unchanged, errors: [], celErrors: [] };
  openapi(schema, root, { defaults: true, why: "", meta: false, uncorrelated: undefined }, true, walk, cel);
  errors.push(...walk.errors, ...walk.celErrors);
  if (cel !== undefined && cel.total.total > COST_LIMIT_TOTAL) {
    for (const at of cel.total.mostExpensive) errors.push(forbidden(at.path, "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"));
    errors.push(forbidden(root, costMessage("x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema", cel.total.total, COST_LIMIT_TOTAL)));
  }
}

/** Defaults are valid themselves and hold nothing that would be pruned. Follows pkg/apiserver/schema/defaulting/validation.go. */
function validateDefaults(s: Schema, path: string, root: boolean, insideMeta: boolean, requirePruned: boolean): FieldError[] {
  const errors: FieldError[] = [];
  const embedded = root || isEmbedded(s);
  const inside = embedded ? false : insideMeta;
  if (s.default !== undefined) {
    const at = child(path, "default");
    if (!inside && requirePruned) {
      const pruned = deepCopy(s.default);
      prune(pruned, s, isEmbedded(s));
      if (!deepEqual(pruned, s.default)) errors.push(invalid(at, s.default, "must not have unknown fields"));
    }
    const meta = inside ? [] : validateEmbedded(s.default, s, at, isEmbedded(s));
    errors.push(...(meta.length > 0 ? meta : [...validateValue(s.default, s, at), ...validateListTypes(s.default, s, at)]));
  }
  const items = itemsOf(s);
  if (items !== undefined) errors.push(...validateDefaults(items, child(path, "items"), false, inside, requirePruned));
  for (const key of Object.keys(s.properties ?? {})) {
    const meta = inside || (embedded && (key === "metadata" || key === "apiVersion" || key === "kind"));
    errors.push(...validateDefaults(s.properties![key]!, keyed(child(path, "properties"), key), false, meta, requirePruned));
  }
  return errors;
}

/** What holds for the schemas below a place. */
interface Scope {
  readonly defaults: boolean;
  readonly why: string;
  /** Within TypeMeta or ObjectMeta. */
  readonly meta: boolean;
  /** The place from which on old and new values cannot be told to belong together. */
  readonly uncorrelated: string | undefined;
}

interface Walk {
  readonly options: Options;
  readonly unchanged: boolean;
  readonly errors: FieldError[];
  readonly celErrors: FieldError[];
}

/** Follows ValidateCustomResourceDefinitionOpenAPISchema. */
function openapi(s: Schema, path: string, scope: Scope, root: boolean, walk: Walk, cel: CelContext | undefined): void {
  const { options, errors } = walk;
  const before = errors.length;
  const at = (name: string): string => child(path, name);
  specProblems(s, path, scope, options, errors);
  if (s.uniqueItems === true) errors.push(forbidden(at("uniqueItems"), "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"));
  const values = valuesOf(s);
  if (s.additionalProperties !== undefined) {
    if (Object.keys(s.properties ?? {}).length > 0 && (s.additionalProperties === false || values !== undefined))
      errors.push(forbidden(at("additionalProperties"), "additionalProperties and properties are mutual exclusive"));
    const inner = scope.meta ? { ...scope, defaults: false, why: "inside additionalProperties applying to object metadata" } : scope;
    if (values !== undefined) openapi(values, at("additionalProperties"), inner, false, walk, cel?.child(values, "values"));
  }
  for (const key of Object.keys(s.properties ?? {})) {
    let inner = scope;
    if (s["x-kubernetes-map-type"] === "atomic" && inner.uncorrelated === undefined) inner = { ...inner, uncorrelated: path };
    if ((root || isEmbedded(s)) && (key === "metadata" || key === "kind" || key === "apiVersion")) {
      inner = { ...inner, meta: true };
      if (root) inner = { ...inner, defaults: false, why: `in top-level ${key}` };
    }
    const property = s.properties![key]!;
    openapi(property, keyed(at("properties"), key), inner, false, walk, cel?.child(property, key, true));
  }
  if (s.not !== undefined) openapi(s.not, at("not"), scope, false, walk, undefined);
  for (const name of ["allOf", "oneOf", "anyOf"] as const) for (const [i, inner] of (s[name] ?? []).entries()) openapi(inner, indexed(at(name), i), scope, false, walk, undefined);
  for (const key of Object.keys(s.definitions ?? {})) openapi(s.definitions![key]!, keyed(at("definitions"), key), scope, false, walk, undefined);
  if (s.items !== undefined) {
    const inner = listTypeOf(s) !== "map" && scope.uncorrelated === undefined ? { ...scope, uncorrelated: path } : scope;
    const items = itemsOf(s);
    if (items !== undefined) openapi(items, at("items"), inner, false, walk, cel?.child(items, "items"));
    else for (const [i, item] of (s.items as readonly Schema[]).entries()) openapi(item, indexed(at("items"), i), inner, false, walk, undefined);
  }
  if (s["x-kubernetes-preserve-unknown-fields"] === false) errors.push(invalid(at("x-kubernetes-preserve-unknown-fields"), false, "must be true or undefined"));
  extensionProblems(s, path, options, errors);
  if (options.requireMapKeys) errors.push(...mapKeyErrors(s, path));
  ruleProblems(s, path, errors);
  // A schema that is wrong here or below would only cause findings that vanish with it.
  if ((s["x-kubernetes-validations"] ?? []).length > 0 && errors.length === before && cel !== undefined)
    walk.celErrors.push(...ruleFindings(s, path, cel, { uncorrelated: scope.uncorrelated, judgeCost: !walk.unchanged }));
}

function specProblems(s: Schema, path: string, scope: Scope, options: Options, errors: FieldError[]): void {
  const at = (name: string): string => child(path, name);
  if (options.requireTypes && s.type !== undefined && s.type !== "" && !TYPES.includes(s.type)) errors.push(notSupported(at("type"), s.type, TYPES));
  if (s.default !== undefined && !scope.defaults) errors.push(forbidden(at("default"), `must not be set${scope.why === "" ? "" : ` ${scope.why}`}`));
  if ((s.id ?? "") !== "") errors.push(forbidden(at("id"), "id is not supported"));
  if (s.additionalItems !== undefined) errors.push(forbidden(at("additionalItems"), "additionalItems is not supported"));
  if (Object.keys(s.patternProperties ?? {}).length > 0) errors.push(forbidden(at("patternProperties"), "patternProperties is not supported"));
  if (Object.keys(s.definitions ?? {}).length > 0) errors.push(forbidden(at("definitions"), "definitions is not supported"));
  if (s.dependencies !== undefined) errors.push(forbidden(at("dependencies"), "dependencies is not supported"));
  if (s.$ref !== undefined) errors.push(forbidden(at("$ref"), "$ref is not supported"));
  if (s.type === "null") errors.push(forbidden(at("type"), "type cannot be set to null, use nullable as an alternative"));
  if (Array.isArray(s.items) && s.items.length > 0) errors.push(forbidden(at("items"), "items must be a schema object and not an array"));
  if (scope.meta && isEmbedded(s)) errors.push(forbidden(at("x-kubernetes-embedded-resource"), "must not be used inside of resource meta"));
}

function extensionProblems(s: Schema, path: string, options: Options, errors: FieldError[]): void {
  const at = (name: string): string => child(path, name);
  const mustBe = (type: string, extension: string): void => {
    const detail = `must be ${type} if ${extension} is specified`;
    errors.push((s.type ?? "") === "" ? required(at("type"), detail) : invalid(at("type"), s.type, detail));
  };
  const mapType = s["x-kubernetes-map-type"];
  const listType = listTypeOf(s);
  const keys = s["x-kubernetes-list-map-keys"] ?? [];
  if (mapType !== undefined && s.type !== "object") mustBe("object", "x-kubernetes-map-type");
  if (mapType !== undefined && mapType !== "atomic" && mapType !== "granular") errors.push(notSupported(at("x-kubernetes-map-type"), mapType, ["atomic", "granular"]));
  if (listType !== undefined && s.type !== "array") mustBe("array", "x-kubernetes-list-type");
  else if (options.requireAtomicSets) {
    const extension = nonAtomicSet(s);
    if (extension !== undefined) errors.push(invalid(child(at("items"), extension), itemsOf(s)!["x-kubernetes-list-type"], "must be atomic as item of a list with x-kubernetes-list-type=set"));
  }
  if (listType !== undefined && !["atomic", "set", "map"].includes(listType)) errors.push(notSupported(at("x-kubernetes-list-type"), listType, ["atomic", "set", "map"]));
  if (keys.length > 0 && listType !== "map") {
    const detail = "must be map if x-kubernetes-list-map-keys is non-empty";
    errors.push(listType === undefined ? required(at("x-kubernetes-list-type"), detail) : invalid(at("x-kubernetes-list-type"), listType, detail));
  }
  if (listType !== "map") return;
  if (keys.length === 0) errors.push(required(at("x-kubernetes-list-map-keys"), "must not be empty if x-kubernetes-list-type is map"));
  const items = itemsOf(s);
  if (s.items === undefined) errors.push(required(at("items"), "must have a schema if x-kubernetes-list-type is map"));
  if (items === undefined) return;
  if (items.type !== "object") {
    errors.push(invalid(child(at("items"), "type"), items.type ?? "", "must be object if parent array's x-kubernetes-list-type is map"));
    return;
  }
  const shown = new GoText(`[]string{${keys.map(quote).join(", ")}}`);
  for (const [i, key] of keys.entries()) {
    const property = own(items.properties, key);
    if (property === undefined) errors.push(invalid(at("x-kubernetes-list-map-keys"), shown, "entries must all be names of item properties"));
    else if (property.type === "array" || property.type === "object")
      errors.push(invalid(child(keyed(child(at("items"), "properties"), key), "type"), items.type, "must be a scalar type if parent array's x-kubernetes-list-type is map"));
    if (keys.indexOf(key) < i) errors.push(invalid(at("x-kubernetes-list-map-keys"), shown, "must not contain duplicate entries"));
  }
}

/** The extension by which the items of a set are not atomic; undefined when they are. */
function nonAtomicSet(s: Schema): string | undefined {
  const items = itemsOf(s);
  if (listTypeOf(s) !== "set" || items === undefined) return undefined;
  if (items.type === "array") return listTypeOf(items) !== undefined && listTypeOf(items) !== "atomic" ? "x-kubernetes-list-type" : undefined;
  return items.type === "object" && items["x-kubernetes-map-type"] !== "atomic" ? "x-kubernetes-map-type" : undefined;
}

function mapKeyErrors(s: Schema, path: string): FieldError[] {
  const items = itemsOf(s);
  const listType = listTypeOf(s);
  if (items === undefined || (listType !== "set" && listType !== "map")) return [];
  const errors: FieldError[] = [];
  const at = child(path, "items");
  if (items.nullable === true) errors.push(forbidden(child(at, "nullable"), `cannot be nullable when x-kubernetes-list-type is ${listType}`));
  if (listType !== "map") return errors;
  for (const key of s["x-kubernetes-list-map-keys"] ?? []) {
    const property = own(items.properties, key);
    if (property === undefined) continue;
    const here = keyed(child(at, "properties"), key);
    if (items.required?.includes(key) !== true && property.default === undefined)
      errors.push(required(child(here, "default"), "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"));
    if (property.nullable === true) errors.push(forbidden(child(here, "nullable"), "this property is in x-kubernetes-list-map-keys, so it cannot be nullable"));
  }
  return errors;
}

/** The form of rules, before any is compiled. */
function ruleProblems(s: Schema, path: string, errors: FieldError[]): void {
  for (const [i, rule] of (s["x-kubernetes-validations"] ?? []).entries()) {
    const at = (name: string): string => child(indexed(child(path, "x-kubernetes-validations"), i), name);
    const text = (rule.rule ?? "").trim();
    const { message = "", messageExpression = "", fieldPath: where = "" } = rule;
    if (text === "") errors.push(required(at("rule"), "rule is not specified"));
    else if (message !== "" && message.trim() === "") errors.push(invalid(at("message"), message, "message must be non-empty if specified"));
    else if (/[\n\r]/.test(message.trim())) errors.push(invalid(at("message"), message, "message must not contain line breaks"));
    else if (/[\n\r]/.test(text) && message.trim() === "") errors.push(required(at("message"), "message must be specified if rule contains line breaks"));
    if (messageExpression !== "" && messageExpression.trim() === "") errors.push(required(at("messageExpression"), "messageExpression must be non-empty if specified"));
    if (rule.reason !== undefined && !REASONS.includes(rule.reason)) errors.push(notSupported(at("reason"), rule.reason, REASONS));
    if (where !== "" && where.trim() === "") errors.push(invalid(at("fieldPath"), where, "fieldPath must be non-empty if specified"));
    if (/[\n\r]/.test(where)) errors.push(invalid(at("fieldPath"), where, "fieldPath must not contain line breaks"));
    if (where !== "" && "problem" in fieldPath(where, s, true)) errors.push(invalid(at("fieldPath"), where, "fieldPath must be a valid path"));
  }
}

function validateColumn(column: Column, path: string, errors: FieldError[]): void {
  if (column.name === "") errors.push(required(`${path}.name`));
  const types = `must be one of ${COLUMN_TYPES.join(",")}`;
  if (column.type === "") errors.push(required(`${path}.type`, types));
  else if (!COLUMN_TYPES.includes(column.type)) errors.push(invalid(`${path}.type`, column.type, types));
  if ((column.format ?? "") !== "" && !COLUMN_FORMATS.includes(column.format!)) errors.push(invalid(`${path}.format`, column.format, `must be one of ${COLUMN_FORMATS.join(",")}`));
  if (column.jsonPath === "") errors.push(required(`${path}.JSONPath`));
  else if (!column.jsonPath.startsWith(".")) errors.push(invalid(`${path}.JSONPath`, column.jsonPath, SIMPLE_PATH));
}

const SIMPLE_PATH = "must be a simple json path starting with .";

function validateSelectable(fields: readonly SelectableField[], schema: Schema, path: string, errors: FieldError[]): void {
  const seen = new Set<string>();
  for (const [i, { jsonPath }] of fields.entries()) {
    const at = `${path}[${i}].jsonPath`;
    if (jsonPath === "") {
      errors.push(required(at));
      continue;
    }
    const found = fieldPath(jsonPath, schema, false);
    if ("problem" in found) {
      errors.push(invalid(at, jsonPath, `is an invalid path: ${found.problem}`));
      continue;
    }
    if (found.root === "metadata") errors.push(invalid(at, jsonPath, "must not point to fields in metadata"));
    if (!["string", "boolean", "integer"].includes(found.schema.type ?? ""))
      errors.push(invalid(at, jsonPath, "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed."));
    if (seen.has(found.path)) errors.push(duplicate(at, jsonPath));
    seen.add(found.path);
  }
  if (seen.size > SELECTABLE_MAX) errors.push(tooMany(path, seen.size, SELECTABLE_MAX));
}

function validateSubresources(subresources: Subresources | undefined, path: string, errors: FieldError[]): void {
  const scale = subresources?.scale;
  if (scale === undefined) return;
  const check = (name: "specReplicasPath" | "statusReplicasPath" | "labelSelectorPath", under: readonly string[], detail: string): void => {
    const value = scale[name] ?? "";
    const at = `${path}.scale.${name}`;
    if (value === "") {
      if (name !== "labelSelectorPath") errors.push(required(at));
    } else if (!value.startsWith(".")) errors.push(invalid(at, value, SIMPLE_PATH));
    else if (!under.some((prefix) => value.startsWith(prefix))) errors.push(invalid(at, value, detail));
  };
  check("specReplicasPath", [".spec."], "should be a json path under .spec");
  check("statusReplicasPath", [".status."], "should be a json path under .status");
  check("labelSelectorPath", [".spec.", ".status."], "should be a json path under either .spec or .status");
}

function validateConversion({ conversion, preserveUnknownFields }: DefinitionSpec, options: Options, errors: FieldError[]): void {
  if (conversion === undefined) return;
  const { strategy, webhook } = conversion;
  if (strategy !== "None" && preserveUnknownFields === true) errors.push(invalid("spec.conversion.strategy", strategy, "must be None if spec.preserveUnknownFields is true"));
  oneOf("spec.conversion.strategy", strategy ?? "", ["None", "Webhook"], errors);
  const at = "spec.conversion.webhookClientConfig";
  const versions = webhook?.conversionReviewVersions ?? [];
  const reviewed = "spec.conversion.conversionReviewVersions";
  if (strategy !== "Webhook") {
    const detail = "should not be set when strategy is not set to Webhook";
    if (webhook?.clientConfig !== undefined) errors.push(forbidden(at, detail));
    if (versions.length > 0) errors.push(forbidden(reviewed, detail));
    return;
  }
  const client = webhook?.clientConfig;
  if (client === undefined) errors.push(required(at, "required when strategy is set to Webhook"));
  else if ((client.url === undefined) === (client.service === undefined)) errors.push(required(at, "exactly one of url or service is required"));
  else if (client.url !== undefined) validateUrl(`${at}.url`, client.url, errors);
  else {
    const { name, namespace, path, port = 443 } = client.service!;
    if ((name ?? "") === "") errors.push(required(`${at}.service.name`, "service name is required"));
    if ((namespace ?? "") === "") errors.push(required(`${at}.service.namespace`, "service namespace is required"));
    if (!(port >= 1 && port <= 65535)) errors.push(invalid(`${at}.service.port`, port, "port is not valid: must be between 1 and 65535, inclusive"));
    if (path !== undefined) validateUrlPath(`${at}.service.path`, path, errors);
  }
  if (versions.length === 0) {
    errors.push(required(reviewed));
    return;
  }
  for (const [i, v] of versions.entries()) {
    if (versions.indexOf(v) < i) errors.push(invalid(indexed(reviewed, i), v, "duplicate version"));
    else for (const problem of validateDNS1035Label(v)) errors.push(invalid(indexed(reviewed, i), v, problem));
  }
  if (options.requireReviewVersion && !versions.some((v) => v === "v1" || v === "v1beta1"))
    errors.push(invalid(reviewed, new GoText(`[]string{${versions.map(quote).join(", ")}}`), "must include at least one of v1, v1beta1"));
}

/** Follows webhook.ValidateWebhookURL with HTTPS required. */
function validateUrl(at: string, url: string, errors: FieldError[]): void {
  const form = "; desired format: https://host[/path]";
  const m = /^(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?(?:\/\/(?:([^/?#@]*)@)?([^/?#]*))?[^?#]*(\?[^#]*)?(#.*)?$/.exec(url);
  if (m === null) {
    errors.push(required(at, `url must be a valid URL${form}`));
    return;
  }
  const [, scheme, user, host = "", query = "", fragment = ""] = m;
  if (scheme !== "https") errors.push(invalid(at, scheme ?? "", `'https' is the only allowed URL scheme${form}`));
  if (host === "") errors.push(invalid(at, host, `host must be specified${form}`));
  if (user !== undefined) errors.push(invalid(at, user, "user information is not permitted in the URL"));
  if (fragment.length > 1) errors.push(invalid(at, fragment.slice(1), "fragments are not permitted in the URL"));
  if (query.length > 1) errors.push(invalid(at, query.slice(1), "query parameters are not permitted in the URL"));
}

function validateUrlPath(at: string, path: string, errors: FieldError[]): void {
  if (path === "/" || path === "") return;
  if (path === "//") {
    errors.push(invalid(at, path, "segment[0] may not be empty"));
    return;
  }
  if (!path.startsWith("/")) errors.push(invalid(at, path, "must start with a '/'"));
  const steps = path.slice(1).split("/");
  if (steps[steps.length - 1] === "") steps.pop();
  for (const [i, step] of steps.entries()) {
    if (step === "") {
      errors.push(invalid(at, path, `segment[${i}] may not be empty`));
      continue;
    }
    for (const problem of validateDNS1123Subdomain(step)) errors.push(invalid(at, path, `segment[${i}]: ${problem}`));
  }
}

/** Follows ValidateUpdateCustomResourceDefinitionStatus. */
export function validateStatus({ status }: Definition, errors: FieldError[]): void {
  validateNames(status.acceptedNames, "status.acceptedNames", errors);
}

function validateStoredVersions({ spec, status }: Definition, errors: FieldError[]): void {
  const stored = status.storedVersions ?? [];
  const at = "status.storedVersions";
  if (stored.length === 0) {
    errors.push(invalid(at, new GoText("[]string(nil)"), "must have at least one stored version"));
    return;
  }
  for (const v of spec.versions)
    if (v.storage && !stored.includes(v.name)) errors.push(invalid(at, new GoText(`[]string{${stored.map(quote).join(", ")}}`), `must have the storage version ${v.name}`));
  for (const [i, name] of stored.entries()) if (!spec.versions.some((v) => v.name === name)) errors.push(invalid(indexed(at, i), name, "must appear in spec.versions"));
}

const APPROVED = "api-approved.kubernetes.io";

function validateApproval(crd: Definition, old: Definition | undefined, errors: FieldError[]): void {
  if (!isProtectedGroup(crd.spec.group ?? "")) return;
  const { state, reason } = apiApproval(crd.metadata.annotations);
  const was: ApprovalState | undefined = old === undefined ? undefined : apiApproval(old.metadata.annotations).state;
  if (was === state) return;
  const at = keyed("metadata.annotations", APPROVED);
  if (state === "missing") errors.push(required(at, reason));
  else if (state === "invalid") errors.push(invalid(at, crd.metadata.annotations?.[APPROVED] ?? "", reason));
}

/** Go's `%#v` of the internal versions. */
function goVersions(versions: readonly Version[]): string {
  const T = "apiextensions.";
  const pointer = (type: string, value: unknown): string => (value === undefined ? `(*${type})(nil)` : `(*${type})(0xc000000000)`);
  const columns = (list: readonly Column[] | undefined): string =>
    list === undefined ? `[]${T}CustomResourceColumnDefinition(nil)`
      : `[]${T}CustomResourceColumnDefinition{${list.map((c) => `${T}CustomResourceColumnDefinition{Name:${quote(c.name)}, Type:${quote(c.type)}, Format:${quote(c.format ?? "")}, Description:${quote(c.description ?? "")}, Priority:${c.priority ?? 0}, JSONPath:${quote(c.jsonPath)}}`).join(", ")}}`;
  const selectable = (list: readonly SelectableField[] | undefined): string =>
    list === undefined ? `[]${T}SelectableField(nil)` : `[]${T}SelectableField{${list.map((f) => `${T}SelectableField{JSONPath:${quote(f.jsonPath)}}`).join(", ")}}`;
  const one = (v: Version): string =>
    `${T}CustomResourceDefinitionVersion{Name:${quote(v.name)}, Served:${v.served}, Storage:${v.storage}, Deprecated:${v.deprecated === true}, DeprecationWarning:${pointer("string", v.deprecationWarning)}, Schema:${pointer(`${T}CustomResourceValidation`, v.schema)}, Subresources:${pointer(`${T}CustomResourceSubresources`, v.subresources)}, AdditionalPrinterColumns:${columns(v.additionalPrinterColumns)}, SelectableFields:${selectable(v.selectableFields)}}`;
  return `[]${T}CustomResourceDefinitionVersion{${versions.map(one).join(", ")}}`;
}
