/**
 * Custom resources: one descriptor per served version of a definition. Follows k8s.io/apiextensions-apiserver/pkg/registry/customresource
 * (strategy.go, status_strategy.go, validator.go, etcd.go, tableconvertor) and pkg/apiserver/customresource_handler.go.
 */
import { decodeStruct, defineStruct, forgetStruct, fieldOf, structOf, concrete } from "../../api/schema.ts";
import type { DecodeReport, FieldType, StructType } from "../../api/schema.ts";
import type { Scale } from "../../api/types.generated.ts";
import { deepCopy, deepEqual } from "../../apimachinery/meta.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import { parseTime } from "../../apimachinery/time.ts";
import type { ApiError, FieldError } from "../../apimachinery/status.ts";
import { failure, newBadRequest, newInternalError, newInvalid } from "../../apimachinery/status.ts";
import { validateDNS1123Subdomain } from "../../apimachinery/validation.ts";
import type { Storage } from "../../storage/storage.ts";
import type { Random } from "../../time/clock.ts";
import { humanDuration } from "../complete/table.ts";
import { DESCRIPTIONS } from "../complete/tables.generated.ts";
import type { CustomResource, Descriptor } from "../registry/descriptor.ts";
import { validateRules, validatorOf } from "./cel/validator.ts";
import type { Validator } from "./cel/validator.ts";
import { createView, webhookConversion } from "./conversion.ts";
import { goPlain, indexed, invalid, NIL_PATH } from "./errors.ts";
import { findJsonPath } from "./json-path.ts";
import { validateEmbedded, validateListTypes } from "./object-validation.ts";
import { validateValue } from "./openapi-validation.ts";
import { dropNulls, isMap, prune, setDefaults, structTypeOf } from "./schema.ts";
import type { Json, Schema } from "./schema.ts";
import type { Column, Definition, ScalePaths, Version } from "./types.ts";
import { byPriority } from "./versions.ts";

export interface ResourcesOptions {
  readonly storage: Storage<KubeObject>;
  readonly random: Random;
  readonly fetch: ((request: Request) => Promise<Response>) | undefined;
  /** Called after an object changed. */
  changed(): Promise<void>;
}

type Custom = KubeObject & Json;

const VERBS = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];
const TERMINATING_VERBS = ["delete", "deletecollection", "get", "list", "watch"];

/** The descriptors of all versions that are served. */
export function createResources(definition: Definition, options: ResourcesOptions): { definition: Definition; descriptors: Descriptor[]; release(): void } {
  const types = new Map<string, StructType>();
  for (const version of definition.spec.versions) {
    const type = structTypeOf(version.schema?.openAPIV3Schema ?? {}, `${definition.metadata.name}/${version.name}`);
    types.set(version.name, type);
    defineStruct(type);
  }
  const descriptors = definition.spec.versions.filter((v) => v.served).map((version) => descriptorOf(definition, version, types, options) as unknown as Descriptor);
  return {
    definition, descriptors,
    release() {
      for (const { name } of types.values()) forgetStruct(name);
    },
  };
}

function descriptorOf(definition: Definition, version: Version, types: ReadonlyMap<string, StructType>, options: ResourcesOptions): Descriptor<Custom> {
  const { spec } = definition;
  const { group, names } = spec;
  const schema: Schema = version.schema?.openAPIV3Schema ?? {};
  const apiVersion = `${group}/${version.name}`;
  const kind = names.kind!;
  const namespaced = spec.scope === "Namespaced";
  const hasStatus = version.subresources?.status !== undefined;
  const scale = version.subresources?.scale;
  const storedVersion = `${group}/${spec.versions.find((v) => v.storage)!.name}`;
  let validator: Validator | null | undefined;
  const rules = (): Validator | undefined => (validator === undefined ? (validator = validatorOf(schema, true) ?? null) : validator) ?? undefined;

  const shape = (object: KubeObject, pruned: string[]): void => {
    if (spec.preserveUnknownFields !== true) prune(object, schema, true, pruned);
    setDefaults(object, schema);
    dropNulls(object, schema);
  };

  // What is read is defaulted as it is stored, and pruned as it is shown.
  const storedSchema = spec.versions.find((v) => v.storage)!.schema?.openAPIV3Schema ?? {};
  const shapeStored = (object: KubeObject): void => {
    if (spec.preserveUnknownFields !== true) prune(object, storedSchema, true);
    setDefaults(object, storedSchema);
    dropNulls(object, storedSchema);
  };
  const pruneOnly = (object: KubeObject): void => {
    if (spec.preserveUnknownFields !== true) prune(object, schema, true);
  };

  function decode(body: unknown, report: DecodeReport): Custom {
    const sent = body as Json;
    const missing = (field: string): ApiError => newBadRequest(`Object '${field}' is missing in '${JSON.stringify(sent)}'`);
    if (typeof sent["kind"] !== "string" || sent["kind"] === "") throw missing("Kind");
    if (typeof sent["apiVersion"] !== "string" || sent["apiVersion"] === "") throw missing("apiVersion");
    if (sent["apiVersion"] !== apiVersion) throw newBadRequest(`the API version in the data (${sent["apiVersion"]}) does not match the expected API version (${apiVersion})`);
    const metaReport = { strict: [] as string[] };
    const metadata = decodeStruct("ObjectMeta", sent["metadata"] ?? {}, metaReport) as unknown as KubeObject["metadata"];
    if (sent["kind"] !== kind) throw newInvalid({ group, kind: sent["kind"] }, metadata.name ?? "", [invalid("kind", sent["kind"], `must be ${kind}`)]);
    const { metadata: _metadata, ...content } = sent;
    const object = { ...deepCopy(content), metadata } as Custom;
    const pruned: string[] = [];
    shape(object, pruned);
    const unknown = [...pruned, ...metaReport.strict.map((text) => `metadata.${/"(.*)"/.exec(text)![1]!}`)];
    for (const path of unknown.sort()) report.strict.push(`unknown field "${path}"`);
    return object;
  }

  function validateAll(object: Custom, old: Custom | undefined, withSpec: boolean): FieldError[] {
    const errors = validateValue(object, schema, "", old);
    if (scale !== undefined) {
      if (withSpec) errors.push(...replicasErrors(object, scale.specReplicasPath));
      errors.push(...replicasErrors(object, scale.statusReplicasPath), ...selectorErrors(object, scale));
    }
    errors.push(...validateEmbedded(object, schema, NIL_PATH, false));
    if (old === undefined || validateListTypes(old, schema, NIL_PATH).length === 0) errors.push(...validateListTypes(object, schema, NIL_PATH));
    const v = rules();
    if (v === undefined) return errors;
    if (errors.some((e) => BLOCKING.has(e.type)))
      errors.push(invalid(NIL_PATH, null, "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation"));
    else errors.push(...validateRules(v, object, old).errors);
    return errors;
  }

  const type = types.get(version.name)!;
  const columns = version.additionalPrinterColumns ?? [AGE];
  const selectable = (version.selectableFields ?? []).map(({ jsonPath }) => jsonPath);
  const terminating = definition.metadata.deletionTimestamp !== undefined;
  const accepted = definition.status.acceptedNames;

  const custom: CustomResource = {
    view: createView({ storage: options.storage, apiVersion, storedVersion, convert: webhookConversion(definition, options.random, options.fetch), shapeStored, shape: pruneOnly }),
    singular: accepted.singular ?? "",
    shortNames: accepted.shortNames ?? [],
    categories: accepted.categories ?? [],
    verbs: terminating ? TERMINATING_VERBS : VERBS,
    warning: version.deprecated === true ? version.deprecationWarning ?? deprecation(definition, version) : undefined,
    admit(verb) {
      if (terminating && verb === "create") throw failure(405, "MethodNotAllowed", "create not allowed while custom resource definition is terminating", { group, kind: names.plural! });
    },
    admitApplied: (applied, current) => admitApplied(applied, current, { types, type, apiVersion, kind, group }),
    columns: [{ name: "Name", type: "string", format: "name", description: DESCRIPTIONS[0]!, priority: 0 }, ...columns.map(columnOf)],
    cells: (object, nowMs) => [object.metadata.name, ...columns.map((column) => cell(column, object, nowMs))],
    openapi: schema as Readonly<Record<string, unknown>>,
  };
  return {
    name: { group, version: version.name, kind, listKind: names.listKind!, resource: names.plural!, namespaced },
    type: type.name,
    storagePrefix: `${group}/${names.plural!}`,
    hasStatus,
    scalable: scale !== undefined,
    allowUnconditionalUpdate: false,
    validateName: validateDNS1123Subdomain,
    selectableNames: selectable.map((path) => path.slice(1)),
    selectable: (object) => Object.fromEntries(selectable.map((path) => [path.slice(1), fieldText(findJsonPath(path, object)[0])])),
    decode,
    custom,
    committed: () => options.changed(),
    prepareForCreate(object) {
      if (hasStatus) delete object["status"];
      object.metadata.generation = 1;
    },
    prepareForUpdate(object, old) {
      if (hasStatus) {
        if (old["status"] !== undefined) object["status"] = old["status"];
        else delete object["status"];
      }
      const bare = ({ metadata: _metadata, ...content }: Custom): Json => content;
      if (!deepEqual(bare(object), bare(old))) object.metadata.generation = (old.metadata.generation ?? 0) + 1;
    },
    prepareForStatusUpdate(object, old) {
      const { managedFields, resourceVersion } = object.metadata;
      const { status } = object;
      for (const key of Object.keys(object)) delete (object as Json)[key];
      Object.assign(object, old, { metadata: { ...old.metadata, managedFields, resourceVersion } });
      if (managedFields === undefined) delete (object.metadata as { managedFields?: unknown }).managedFields;
      if (status === undefined) delete object["status"];
      else object["status"] = status;
    },
    validate(object, errors, old) {
      errors.list.push(...validateAll(object, old, true));
    },
    validateStatusUpdate(object, old, errors) {
      errors.list.push(...validateAll(object, old, false));
    },
    ...(scale === undefined ? {} : { scale: scaleBy(scale) }),
  };
}

/** Findings after which rules are not evaluated. */
const BLOCKING = new Set(["FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid"]);

/** Follows defaultDeprecationWarning: the newest version that is not deprecated is recommended. */
function deprecation({ spec }: Definition, { name }: Version): string {
  const text = `${spec.group}/${name} ${spec.names.kind!} is deprecated`;
  const newer = spec.versions.filter((v) => v.served && v.deprecated !== true).map((v) => v.name).sort(byPriority)[0];
  return newer === undefined ? text : `${text}; use ${spec.group}/${newer} ${spec.names.kind!}`;
}

const keysOf = (path: string): string[] => path.replace(/^\./, "").split(".");

/** The value at a dotted path; a problem where something on the way is no map. Follows unstructured.NestedFieldNoCopy. */
function nested(object: unknown, path: string): { value: unknown } | { problem: string } {
  const keys = keysOf(path);
  let at: unknown = object;
  for (const [i, key] of keys.entries()) {
    if (at === undefined || at === null) return { value: undefined };
    if (!isMap(at)) return { problem: `.${keys.slice(0, i + 1).join(".")} accessor error: ${goPlain(at)} is of the type ${goTypeOf(at)}, expected map[string]interface{}` };
    at = at[key];
  }
  return { value: at };
}

function goTypeOf(value: unknown): string {
  if (Array.isArray(value)) return "[]interface {}";
  if (typeof value === "number") return Number.isInteger(value) ? "int64" : "float64";
  if (typeof value === "boolean") return "bool";
  return typeof value === "string" ? "string" : "map[string]interface {}";
}

function replicasErrors(object: Custom, path: string): FieldError[] {
  const found = nested(object, path);
  if ("problem" in found) return [invalid(path, 0, found.problem)];
  const { value } = found;
  if (value === undefined || value === null) return [];
  if (typeof value !== "number" || !Number.isInteger(value)) return [invalid(path, 0, `${path} accessor error: ${goPlain(value)} is of the type ${goTypeOf(value)}, expected int64`)];
  if (value < 0) return [invalid(path, value, "should be a non-negative integer")];
  return value > 2147483647 ? [invalid(path, value, "should be less than or equal to 2147483647")] : [];
}

function selectorErrors(object: Custom, { labelSelectorPath: path }: ScalePaths): FieldError[] {
  if (path === undefined) return [];
  const found = nested(object, path);
  if ("problem" in found) return [invalid(path, "", found.problem)];
  return found.value === undefined || typeof found.value === "string" ? [] : [invalid(path, "", `${path} accessor error: ${goPlain(found.value)} is of the type ${goTypeOf(found.value)}, expected string`)];
}

function scaleBy({ specReplicasPath, statusReplicasPath, labelSelectorPath }: ScalePaths): NonNullable<Descriptor<Custom>["scale"]> {
  const numberAt = (object: Custom, path: string): number | undefined => {
    const found = nested(object, path);
    return "value" in found && typeof found.value === "number" ? found.value : undefined;
  };
  return {
    path: keysOf(specReplicasPath),
    of(object) {
      const replicas = numberAt(object, specReplicasPath);
      if (replicas === undefined) throw newInternalError(`the spec replicas field ${JSON.stringify(specReplicasPath)} does not exist`);
      const selector = labelSelectorPath === undefined ? undefined : nested(object, labelSelectorPath);
      const text = selector !== undefined && "value" in selector && typeof selector.value === "string" ? selector.value : "";
      const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
      return {
        kind: "Scale", apiVersion: "autoscaling/v1", metadata: { name, ...(namespace === undefined ? {} : { namespace }), uid, resourceVersion, creationTimestamp },
        spec: replicas === 0 ? {} : { replicas }, status: { replicas: numberAt(object, statusReplicasPath) ?? 0, ...(text === "" ? {} : { selector: text }) },
      } as unknown as Scale;
    },
    set(object, replicas) {
      const keys = keysOf(specReplicasPath);
      let at: Json = object;
      for (const key of keys.slice(0, -1)) at = (isMap(at[key]) ? at[key] : (at[key] = {})) as Json;
      at[keys[keys.length - 1]!] = replicas;
    },
  };
}

const AGE: Column = { name: "Age", type: "date", description: DESCRIPTIONS[3]!, jsonPath: ".metadata.creationTimestamp" };

const columnOf = ({ name, type, format = "", description, priority = 0, jsonPath }: Column): CustomResource["columns"][number] =>
  ({ name, type, format, description: description ?? `Custom resource definition column (in JSONPath format): ${jsonPath}`, priority });

function cell({ type, jsonPath }: Column, object: KubeObject, nowMs: number): unknown {
  const value = findJsonPath(jsonPath, object)[0];
  if (value === undefined || value === null) return null;
  switch (type) {
    case "string": return typeof value === "object" ? JSON.stringify(value) : String(value);
    case "integer": return typeof value === "number" ? Math.trunc(value) : null;
    case "number": return typeof value === "number" ? value : null;
    case "boolean": return typeof value === "boolean" ? value : null;
    case "date": {
      if (typeof value !== "string") return null;
      const time = parseTime(value);
      return time === undefined ? "<invalid>" : humanDuration(nowMs - time);
    }
    default: return null;
  }
}

const fieldText = (value: unknown): string => (value === undefined || value === null || typeof value === "object" ? "" : String(value));

interface Applying {
  readonly types: ReadonlyMap<string, StructType>;
  readonly type: StructType;
  readonly apiVersion: string;
  readonly kind: string;
  readonly group: string;
}

/** Refuses a configuration that is not of the type, as structured-merge-diff's typed values do. */
function admitApplied(applied: unknown, current: KubeObject | undefined, { types, type, apiVersion, kind, group }: Applying): void {
  const { metadata } = applied as KubeObject;
  const problem = typedProblem(type, applied as Json, "");
  if (problem !== undefined) throw failure(500, "", `failed to create typed patch object (${metadata?.namespace ?? ""}/${metadata?.name ?? ""}; ${apiVersion}, Kind=${kind}): ${problem}`);
  // Who set fields in another version is asked in that version, for which the object must be one.
  for (const entry of current?.metadata.managedFields ?? []) {
    if (entry.apiVersion === apiVersion || entry.apiVersion === undefined) continue;
    const other = entry.apiVersion.startsWith(`${group}/`) ? types.get(entry.apiVersion.slice(group.length + 1)) : undefined;
    const wrong = other === undefined ? undefined : typedProblem(other, { ...(current as unknown as Json), ...(applied as Json), spec: current === undefined ? undefined : (current as unknown as Json)["spec"] }, "");
    if (wrong !== undefined) throw failure(500, "", wrong);
  }
}

function typedProblem(type: StructType, value: Json, path: string): string | undefined {
  for (const key of Object.keys(value).sort()) {
    const field = fieldOf(type, key);
    if (value[key] === undefined) continue;
    if (field === undefined) return `${path}.${key}: field not declared in schema`;
    if (path === "" && key === "metadata") continue;
    const problem = fieldProblem(field.type, value[key], `${path}.${key}`, field.merge, field.mapKeys);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

const WANTED: Readonly<Record<string, readonly [string, string]>> = { string: ["string", "string"], int64: ["number", "numeric (int or float)"], float: ["number", "numeric (int or float)"], bool: ["boolean", "boolean"] };

function fieldProblem(given: FieldType, value: unknown, path: string, merge: string, mapKeys: readonly string[]): string | undefined {
  if (value === null) return undefined;
  const type = concrete(given, value);
  const wanted = WANTED[type.kind];
  const got = Array.isArray(value) ? "list" : isMap(value) ? "map" : typeof value === "number" ? (Number.isInteger(value) ? "int" : "float") : typeof value;
  if (wanted !== undefined) return typeof value === wanted[0] ? undefined : `${path}: expected ${wanted[1]}, got ${got === "list" || got === "map" ? goPlain(value) : got}`;
  const struct = structOf(type);
  if (struct !== undefined || type.kind === "map") {
    if (!isMap(value)) return `${path}: expected map, got ${goPlain(value)}`;
    if (struct !== undefined) return typedProblem(struct, value, path);
    for (const key of Object.keys(value).sort()) {
      const problem = fieldProblem((type as { of: FieldType }).of, value[key], `${path}.${key}`, "granular", []);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }
  if (type.kind !== "list") return undefined;
  if (!Array.isArray(value)) return `${path}: expected list, got ${goPlain(value)}`;
  const seen = new Set<string>();
  for (const [i, item] of value.entries()) {
    const element = merge === "map" ? `[${mapKeys.map((k) => `${k}=${JSON.stringify(isMap(item) ? item[k] : undefined)}`).join(",")}]` : merge === "set" ? `[=${JSON.stringify(item)}]` : undefined;
    if (element !== undefined) {
      if (seen.has(element)) return `${path}: duplicate entries for key ${element}`;
      seen.add(element);
    }
    const problem = fieldProblem(type.of, item, element === undefined ? indexed(path, i) : `${path}${element}`, "granular", []);
    if (problem !== undefined) return problem;
  }
  return undefined;
}
