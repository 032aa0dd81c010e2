/**
 * CEL types, and what a schema is in CEL: its type, how large its values can be. Follows k8s.io/apiserver/pkg/cel (types.go,
 * escaping.go, limits.go), pkg/cel/common/schemas.go and cel-go's FormatCELType.
 */
import { isEmbedded, isIntOrString, itemsOf, valuesOf } from "../schema.ts";
import type { Schema } from "../schema.ts";

export type Type =
  | { readonly k: "dyn" | "error" | "null" | "bool" | "int" | "uint" | "double" | "string" | "bytes" | "duration" | "timestamp" }
  | { readonly k: "list"; readonly of: Type }
  | { readonly k: "map"; readonly key: Type; readonly of: Type }
  | { readonly k: "object"; readonly decl: Decl }
  | { readonly k: "optional"; readonly of: Type }
  | { readonly k: "type"; readonly of: Type }
  | { readonly k: "opaque"; readonly name: string }
  | { readonly k: "var"; readonly id: string };

/** A schema as CEL sees it. */
export interface Decl {
  readonly type: Type;
  /** The largest size() of a value; 0 for what has none. */
  readonly maxElements: number;
  /** The shortest JSON text of a value. */
  readonly minSize: number;
  /** Of lists and maps. */
  readonly elem?: Decl;
  readonly key?: Decl;
  /** Of objects, by their escaped names. */
  readonly fields?: ReadonlyMap<string, Decl>;
}

const simple = <K extends "dyn" | "error" | "null" | "bool" | "int" | "uint" | "double" | "string" | "bytes" | "duration" | "timestamp">(k: K): { readonly k: K } => ({ k });
export const DYN = simple("dyn");
export const ERROR = simple("error");
export const NULL = simple("null");
export const BOOL = simple("bool");
export const INT = simple("int");
export const UINT = simple("uint");
export const DOUBLE = simple("double");
export const STRING = simple("string");
export const BYTES = simple("bytes");
export const DURATION = simple("duration");
export const TIMESTAMP = simple("timestamp");

/** As messages of cel-go name a type. */
export function formatType(type: Type): string {
  switch (type.k) {
    case "list": return `list(${formatType(type.of)})`;
    case "map": return `map(${formatType(type.key)}, ${formatType(type.of)})`;
    case "optional": return `optional_type(${formatType(type.of)})`;
    case "type": return `type(${formatType(type.of)})`;
    case "object": return "object";
    case "opaque": return type.name;
    case "var": return type.id;
    case "error": return "!error!";
    case "duration":
    case "timestamp": return type.k;
    default: return type.k;
  }
}

/** The largest request (3 MiB). */
const REQUEST_MAX = 3 * 1024 * 1024;

const RESERVED = new Set(["true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package", "namespace", "return"]);

/** A property's name as an identifier; undefined when there is none. */
export function escapeName(name: string): string | undefined {
  if (name === "" || /^\d/.test(name)) return undefined;
  if (RESERVED.has(name)) return `__${name}__`;
  let out = "";
  for (let i = 0; i < name.length; i++) {
    const c = name[i]!;
    if (c === "_" && name[i + 1] === "_") {
      out += "__underscores__";
      i++;
    } else if (c === ".") out += "__dot__";
    else if (c === "-") out += "__dash__";
    else if (c === "/") out += "__slash__";
    else if (/[A-Za-z0-9_]/.test(c)) out += c;
    else return undefined;
  }
  return out;
}

const stringDecl = (maxElements: number): Decl => ({ type: STRING, maxElements, minSize: 2 });
const UNBOUNDED_STRING = stringDecl(REQUEST_MAX - 2);

/** Undefined for what rules cannot see. `root` says that TypeMeta and the names of ObjectMeta are there. */
export function declOf(schema: Schema, root: boolean): Decl | undefined {
  if (isIntOrString(schema)) return { type: DYN, maxElements: schema.maxLength === undefined ? REQUEST_MAX - 2 : Math.max(0, schema.maxLength) * 4, minSize: 1 };
  switch (root ? "object" : schema.type) {
    case "array": {
      const items = itemsOf(schema);
      const elem = items === undefined ? undefined : declOf(items, isEmbedded(items));
      if (elem === undefined) return undefined;
      const maxElements = schema.maxItems === undefined ? Math.floor((REQUEST_MAX - 2) / (elem.minSize + 1)) : Math.max(0, schema.maxItems);
      return { type: { k: "list", of: elem.type }, maxElements, minSize: 2, elem };
    }
    case "object": return objectDecl(schema, root);
    case "string": return formattedString(schema);
    case "boolean": return { type: BOOL, maxElements: 0, minSize: 4 };
    case "number": return { type: DOUBLE, maxElements: 0, minSize: 1 };
    case "integer": return { type: INT, maxElements: 0, minSize: 1 };
    default: return undefined;
  }
}

function formattedString(schema: Schema): Decl {
  const { maxLength } = schema;
  switch (schema.format) {
    case "byte": return { type: BYTES, maxElements: maxLength === undefined ? REQUEST_MAX - 2 : Math.max(0, maxLength), minSize: 2 };
    case "duration": return { type: DURATION, maxElements: 32, minSize: 3 };
    case "date": return { type: TIMESTAMP, maxElements: 12, minSize: 12 };
    case "date-time": return { type: TIMESTAMP, maxElements: 32, minSize: 21 };
    default:
      if (maxLength !== undefined) return stringDecl(Math.max(0, maxLength) * 4);
      if ((schema.enum ?? []).length > 0) return stringDecl(Math.max(0, ...schema.enum!.map((e) => (typeof e === "string" ? e.length : 0))));
      return UNBOUNDED_STRING;
  }
}

function objectDecl(schema: Schema, root: boolean): Decl | undefined {
  const values = valuesOf(schema);
  if (values !== undefined) {
    const elem = declOf(values, isEmbedded(values));
    if (elem === undefined) return undefined;
    const maxElements = schema.maxProperties === undefined ? Math.floor((REQUEST_MAX - 2) / (elem.minSize + 6)) : Math.max(0, schema.maxProperties);
    return { type: { k: "map", key: STRING, of: elem.type }, maxElements, minSize: 2, elem, key: { type: STRING, maxElements: REQUEST_MAX - 2, minSize: 2 } };
  }
  const fields = new Map<string, Decl>();
  let minSize = 2;
  const properties = { ...schema.properties };
  if (root) {
    properties["kind"] = { type: "string" };
    properties["apiVersion"] = { type: "string" };
    properties["metadata"] = { type: "object", properties: { name: { type: "string" }, generateName: { type: "string" } } };
  }
  for (const name of Object.keys(properties)) {
    const property = properties[name]!;
    const decl = declOf(property, isEmbedded(property));
    if (decl === undefined) continue;
    const escaped = escapeName(name);
    if (escaped !== undefined) fields.set(escaped, decl);
    if (schema.required?.includes(name) === true && property.default === undefined) minSize += name.length + decl.minSize + 4;
  }
  const decl: { type: Type } & Omit<Decl, "type"> = { type: DYN, maxElements: 0, minSize, fields };
  decl.type = { k: "object", decl };
  return decl;
}

/** How often a value of this size can be in one request. */
export const maxCardinality = (minSize: number): number => Math.floor(REQUEST_MAX / (minSize + 1));
