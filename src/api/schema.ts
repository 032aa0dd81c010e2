/**
 * The runtime schema of the served types, and decoding by it: a JSON value in, a fresh object out that has exactly
 * what Go's decoder would keep and Go's encoder would write (unknown fields dropped and reported, wrong types refused,
 * empty `omitempty` fields left out, structs held by value present).
 * Follows sigs.k8s.io/json and k8s.io/apimachinery/pkg/runtime/serializer/json; messages are theirs.
 */
import { canonicalizeQuantity, QuantityError } from "../apimachinery/quantity.ts";
import { parseTime, formatTime, formatMicroTime } from "../apimachinery/time.ts";
import { SCHEMA } from "./schema.generated.ts";

export interface Field {
  readonly name: string;
  readonly type: FieldType;
  /** Written even when empty. */
  readonly required: boolean;
  /** A Go pointer: an explicit zero stays. */
  readonly pointer: boolean;
  /** A Go struct held by value: always written. */
  readonly value: boolean;
  /** How lists and maps merge: as one, as a set, by key, or field by field. */
  readonly merge: "atomic" | "set" | "map" | "granular";
  /** For `map`: the fields that tell items apart (server-side apply). */
  readonly mapKeys: readonly string[];
  /** The key of strategic merge patches; "" merges primitives; undefined replaces. */
  readonly patchKey: string | undefined;
  /** The items of the list are owned as a whole. */
  readonly itemsAtomic: boolean;
  /** Strategic merge: fields not in the patch go (`retainKeys`). */
  readonly retainKeys: boolean;
  /** Values of list map keys that an item may leave out. */
  readonly keyDefaults?: Readonly<Record<string, unknown>>;
}

export type FieldType =
  | { kind: "list"; of: FieldType }
  | { kind: "map"; of: FieldType }
  | { kind: "struct"; name: string }
  /** A struct without a name, and a value whose type shows in itself (custom resources). */
  | { kind: "inline"; type: StructType }
  | { kind: "deduced" }
  | { kind: "string" | "int32" | "int64" | "bool" | "float" | "time" | "microtime" | "quantity" | "intstr" | "bytes" | "any" };

export interface StructType {
  readonly name: string;
  readonly fields: ReadonlyMap<string, Field>;
  /** The fields that are there even in an empty object. */
  readonly always: readonly Field[];
  /** What fields are that `fields` does not have; undefined when there are none. */
  readonly rest?: FieldType;
}

const PRIMITIVES: Readonly<Record<string, FieldType>> = {
  s: { kind: "string" }, i: { kind: "int32" }, l: { kind: "int64" }, b: { kind: "bool" }, n: { kind: "float" },
  T: { kind: "time" }, U: { kind: "microtime" }, Q: { kind: "quantity" }, O: { kind: "intstr" }, B: { kind: "bytes" },
  F: { kind: "any" },
};

let lines: Map<string, string> | undefined;
const parsed = new Map<string, StructType>();

/** Adds types of a server that has more of them; types that are known already stay. */
export function addSchemaLines(text: string): void {
  const known = schemaLines();
  for (const line of text.split("\n")) {
    const name = line.slice(0, line.indexOf("="));
    if (!known.has(name)) known.set(name, line.slice(name.length + 1));
  }
}

const goNames = new Map<string, string>();

/** Adds Go's names of types that JSON does not tell apart: `Name Struct.field…` and `Struct v2`, a line each; for messages only. */
export function addGoNames(types: string): void {
  for (const line of types.split("\n")) {
    const [name = "", ...fields] = line.split(" ");
    for (const field of fields) goNames.set(field, name);
  }
}

function schemaLines(): Map<string, string> {
  if (lines !== undefined) return lines;
  lines = new Map();
  for (const line of SCHEMA.split("\n")) lines.set(line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1));
  return lines;
}

/** Makes a type known by its name, until {@link forgetStruct}. */
export function defineStruct(type: StructType): void {
  parsed.set(type.name, type);
}

export function forgetStruct(name: string): void {
  parsed.delete(name);
}

/** The type of this name; parsed at its first use. Throws when there is none. */
export function structType(name: string): StructType {
  const known = parsed.get(name);
  if (known !== undefined) return known;
  const line = schemaLines().get(name);
  if (line === undefined) throw new Error(`no type ${name} in the schema`);
  const fields = new Map<string, Field>();
  if (line !== "") {
    for (const part of line.split(",")) {
      const field = parseField(part);
      fields.set(field.name, field);
    }
  }
  const always = [...fields.values()].filter((f) => f.value || f.required);
  const type = { name, fields, always };
  parsed.set(name, type);
  return type;
}

function parseField(text: string): Field {
  const colon = text.indexOf(":");
  const [head = "", ...marks] = text.slice(colon + 1).split("~");
  const bare = head.replace(/[!*=]+$/, "");
  const flags = head.slice(bare.length);
  const mapMark = marks.find((m) => m.startsWith("m"));
  const patchMark = marks.find((m) => m.startsWith("p"));
  const mapKeys = mapMark === undefined ? [] : mapMark.slice(2).split("+");
  return {
    name: text.slice(0, colon),
    type: parseType(bare),
    required: flags.includes("!"),
    pointer: flags.includes("*"),
    value: flags.includes("="),
    merge: marks.includes("a") ? "atomic" : marks.includes("s") ? "set" : mapMark !== undefined ? "map" : "granular",
    mapKeys,
    patchKey: patchMark !== undefined ? patchMark.slice(2) : marks.includes("P") ? "" : mapKeys.length === 1 ? mapKeys[0] : undefined,
    itemsAtomic: marks.includes("i"),
    retainKeys: marks.includes("r"),
  };
}

function parseType(text: string): FieldType {
  if (text.startsWith("[")) return { kind: "list", of: parseType(text.slice(1)) };
  if (text.startsWith("{")) return { kind: "map", of: parseType(text.slice(1)) };
  return PRIMITIVES[text] ?? { kind: "struct", name: text };
}

/** The field of a struct; where it may have any, one whose type shows in its value. */
export function fieldOf(type: StructType, name: string): Field | undefined {
  const field = type.fields.get(name);
  if (field !== undefined || type.rest === undefined) return field;
  return { name, type: type.rest, required: false, pointer: false, value: false, merge: "granular", mapKeys: [], patchKey: undefined, itemsAtomic: false, retainKeys: false };
}

/** The type of a struct's value; undefined for what is none. */
export function structOf(type: FieldType): StructType | undefined {
  return type.kind === "struct" ? structType(type.name) : type.kind === "inline" ? type.type : undefined;
}

/** A deduced type by its value: maps field by field, the rest as a whole. */
export function concrete(type: FieldType, value: unknown): FieldType {
  if (type.kind !== "deduced") return type;
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { kind: "map", of: type } : { kind: "any" };
}

/** A value of the wrong type; the message is that of Go's decoder. */
export class DecodeError extends Error {}

/** Collects the paths of unknown fields. */
export interface DecodeReport {
  /** As the strict decoder lists them: `unknown field "spec.foo"`. */
  strict: string[];
  /** Where empty lists and maps were. */
  empty?: string[];
}

/** Decodes `value` as the struct `name`. Throws {@link DecodeError}. The result shares nothing with `value`. */
export function decodeStruct(name: string, value: unknown, report: DecodeReport): Record<string, unknown> {
  return struct(structType(name), value, "", name, report, "");
}

/** Go's name of a type, for messages; `named` is the name of the innermost one, where JSON cannot tell. */
function goType(type: FieldType, named?: string): string {
  if (named !== undefined && type.kind !== "list") return `v1.${named}`;
  switch (type.kind) {
    case "list": return `[]${goType(type.of, named)}`;
    case "map": return `map[string]${goType(type.of)}`;
    case "struct": return goStruct(type.name);
    case "bytes": return "[]uint8";
    case "time": return "v1.Time";
    case "microtime": return "v1.MicroTime";
    case "float": return "float64";
    case "quantity": return "resource.Quantity";
    case "intstr": return "int32";
    case "any": return "runtime.RawExtension";
    default: return type.kind;
  }
}

/** `Event@events.v1` is v1.Event in Go. */
function goStruct(name: string): string {
  const at = name.indexOf("@");
  return at < 0 ? `${goNames.get(name) ?? "v1"}.${name}` : `${name.slice(name.lastIndexOf(".") + 1)}.${name.slice(0, at)}`;
}

function jsonType(value: unknown): string {
  return Array.isArray(value) ? "array" : typeof value === "boolean" ? "bool" : typeof value;
}

function mismatch(value: unknown, type: FieldType, owner: string, path: string): DecodeError {
  const shown = typeof value === "number" && (type.kind === "int32" || type.kind === "int64" || type.kind === "intstr") ? `number ${value}` : jsonType(value);
  // eslint-disable-next-line no-control-regex
  const field = path.replace(/\[\d+\]|\.\u0001[^\u0002]*\u0002/g, "");
  const named = type.kind === "struct" || type.kind === "quantity" ? undefined : goNames.get(`${owner}.${field.slice(field.lastIndexOf(".") + 1)}`);
  return new DecodeError(`json: cannot unmarshal ${shown} into Go struct field ${owner.split("@")[0]}.${field} of type ${goType(type, named)}`);
}

function struct(type: StructType, value: unknown, path: string, owner: string, report: DecodeReport, ownerPath: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    if (path === "") throw new DecodeError(`json: cannot unmarshal ${jsonType(value)} into Go value of type ${goStruct(type.name)}`);
    throw mismatch(value, { kind: "struct", name: type.name }, owner, ownerPath);
  }
  const out: Record<string, unknown> = {};
  const source = value as Record<string, unknown>;
  for (const key in source) {
    const item = source[key];
    if (item === undefined) continue;
    const field = type.fields.get(key);
    if (field === undefined) {
      // eslint-disable-next-line no-control-regex
      report.strict.push(`unknown field "${path === "" ? key : `${path.replace(/[\u0001\u0002]/g, "")}.${key}`}"`);
      continue;
    }
    if (item === null) continue;
    const decoded = isPlain(field.type.kind, item) ? item : decode(field.type, item, path === "" ? key : `${path}.${key}`, type.name, report);
    if (field.pointer || field.required || field.value || !isZero(decoded)) out[key] = decoded;
    if (typeof item === "object" && isZero(decoded)) (report.empty ??= []).push(path === "" ? key : `${path}.${key}`);
  }
  for (const field of type.always) if (out[field.name] === undefined) out[field.name] = zeroOf(field);
  return out;
}

/** Whether a value is all that a decoder of this kind wants: most are, and need no path for messages. */
function isPlain(kind: FieldType["kind"], value: unknown): boolean {
  return kind === "string" ? typeof value === "string" : kind === "int32" ? typeof value === "number" && (value | 0) === value : kind === "bool" && typeof value === "boolean";
}

/** A required struct that is not held by value is a pointer, and null when it is not set. */
function zeroOf(field: Field): unknown {
  return (field.type.kind === "struct" || field.pointer) && !field.value ? null : zero(field.type);
}

/** The empty object of a type, as Go writes it. */
export function emptyStruct(name: string): Record<string, unknown> {
  return zero({ kind: "struct", name }) as Record<string, unknown>;
}

/** What Go writes for a zero value. */
function zero(type: FieldType): unknown {
  switch (type.kind) {
    case "struct": {
      const out: Record<string, unknown> = {};
      for (const field of structType(type.name).always) out[field.name] = zeroOf(field);
      return out;
    }
    case "string": return "";
    case "int32":
    case "int64":
    case "float":
    case "intstr": return 0;
    case "bool": return false;
    case "quantity": return "0";
    default: return null;
  }
}

/** What `omitempty` leaves out. Structs are pointers here, and stay. */
function isZero(value: unknown): boolean {
  if (value === "" || value === 0 || value === false || value === null) return true;
  if (Array.isArray(value)) return value.length === 0;
  return false;
}

const EMPTY_MAP = null;

function decode(type: FieldType, value: unknown, path: string, owner: string, report: DecodeReport): unknown {
  switch (type.kind) {
    case "string":
      if (typeof value !== "string") throw mismatch(value, type, owner, path);
      return value;
    case "bool":
      if (typeof value !== "boolean") throw mismatch(value, type, owner, path);
      return value;
    case "int32":
    case "int64":
      if (typeof value !== "number") throw mismatch(value, type, owner, path);
      if (!Number.isInteger(value) || (type.kind === "int32" && (value > 2147483647 || value < -2147483648)))
        throw mismatch(value, type, owner, path);
      return value;
    case "float":
      if (typeof value !== "number") throw mismatch(value, type, owner, path);
      return value;
    case "time":
    case "microtime": {
      if (typeof value !== "string") throw mismatch(value, { kind: "string" }, owner, path);
      const ms = parseTime(value);
      if (ms === undefined) throw new DecodeError(badTime(value, type.kind === "time" ? "" : ".000000"));
      return type.kind === "time" ? formatTime(ms) : formatMicroTime(ms);
    }
    case "quantity":
      if (typeof value !== "string" && typeof value !== "number") throw new DecodeError("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
      try {
        return canonicalizeQuantity(value);
      } catch (e) {
        if (e instanceof QuantityError) throw new DecodeError(e.message);
        throw e;
      }
    case "intstr":
      if (typeof value === "number") {
        if (!Number.isInteger(value) || value > 2147483647 || value < -2147483648) throw mismatch(value, type, owner, path);
        return value;
      }
      if (typeof value !== "string") throw mismatch(value, type, owner, path);
      return value;
    case "bytes": {
      if (typeof value !== "string") throw mismatch(value, type, owner, path);
      const bad = badBase64(value);
      if (bad !== undefined) throw new DecodeError(`illegal base64 data at input byte ${bad}`);
      return value;
    }
    case "any":
      return copyJson(value);
    case "struct":
      return struct(structType(type.name), value, path, owner, report, path);
    case "list": {
      if (!Array.isArray(value)) throw mismatch(value, type, owner, path);
      const out: unknown[] = new Array(value.length);
      for (let i = 0; i < value.length; i++) {
        const item: unknown = value[i];
        out[i] = item === null ? zero(type.of) : decode(type.of, item, `${path}[${i}]`, owner, report);
      }
      return out;
    }
    case "map": {
      if (typeof value !== "object" || value === null || Array.isArray(value)) throw mismatch(value, type, owner, path);
      const out: Record<string, unknown> = {};
      let empty = true;
      for (const key of Object.keys(value).sort()) {
        const item = (value as Record<string, unknown>)[key];
        if (item === undefined) continue;
        empty = false;
        // A map's values are named by the map in messages, and by their key in unknown fields: between marks.
        const decoded = item === null ? zero(type.of) : type.of.kind === "struct" || type.of.kind === "list"
          ? decode(type.of, item, `${path}.\u0001${key}\u0002`, owner, report) : decode(type.of, item, path, owner, report);
        if (key === "__proto__") Object.defineProperty(out, key, { value: decoded, enumerable: true, writable: true, configurable: true });
        else out[key] = decoded;
      }
      return empty ? EMPTY_MAP : out;
    }
  }
}

function copyJson(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(copyJson);
  const out: Record<string, unknown> = {};
  for (const key in value) out[key] = copyJson((value as Record<string, unknown>)[key]);
  return out;
}

/** Where base64 text goes wrong, undefined when it does not. Follows Encoding.decodeQuantum of encoding/base64. */
function badBase64(text: string): number | undefined {
  if (/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) return undefined;
  const skip = (at: number): number => (text[at] === "\n" || text[at] === "\r" ? skip(at + 1) : at);
  for (let at = skip(0), digits = 0; at < text.length; at = skip(at + 1), digits++) {
    const c = text[at]!;
    if (/[A-Za-z0-9+/]/.test(c)) continue;
    if (c !== "=" || digits % 4 < 2) return at;
    if (digits % 4 === 2) {
      at = skip(at + 1);
      if (text[at] !== "=") return at;
    }
    at = skip(at + 1);
    return at < text.length ? at : undefined;
  }
  const rest = text.replace(/[\r\n]/g, "").length % 4;
  return rest === 0 ? undefined : text.length - rest;
}

/** The message of Go's time.Parse for the first part that does not fit the layout, whose seconds have this fraction. */
function badTime(value: string, fraction: string): string {
  const layout = `2006-01-02T15:04:05${fraction}Z07:00`;
  const parts: [RegExp, string][] = [
    [/^\d{4}/, "2006"], [/^-/, "-"], [/^\d\d/, "01"], [/^-/, "-"], [/^\d\d/, "02"], [/^T/, "T"], [/^\d\d/, "15"],
    [/^:/, ":"], [/^\d\d/, "04"], [/^:/, ":"], [/^\d\d/, "05"], ...(fraction === "" ? [] : [[/^\.\d{6}/, fraction] as [RegExp, string]]),
    [/^(?:[.,]\d+)?(?:Z|[+-]\d\d:\d\d)/, "Z07:00"],
  ];
  let rest = value;
  for (const [expression, element] of parts) {
    const m = expression.exec(rest);
    if (m === null) return `parsing time ${JSON.stringify(value)} as "${layout}": cannot parse ${JSON.stringify(rest)} as "${element}"`;
    rest = rest.slice(m[0].length);
  }
  return rest === ""
    ? `parsing time ${JSON.stringify(value)}: day out of range`
    : `parsing time ${JSON.stringify(value)}: extra text: ${JSON.stringify(rest)}`;
}
