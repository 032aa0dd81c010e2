/**
 * Request bodies in protobuf: the envelope `k8s\0` + runtime.Unknown, and messages decoded into what JSON would have said.
 * Follows k8s.io/apimachinery/pkg/runtime/serializer/protobuf and the generated.proto of each group.
 */
import { structType } from "../../api/schema.ts";
import type { FieldType, StructType } from "../../api/schema.ts";
import { formatMicroTime, formatTime } from "../../apimachinery/time.ts";
import { newBadRequest } from "../../apimachinery/status.ts";
import { MESSAGES } from "./protobuf.generated.ts";

type Json = Record<string, unknown>;

let numbers: Map<string, ReadonlyMap<number, string>> | undefined;

/** The fields of a message by their numbers; `^Message` is an embedded struct. */
export function message(name: string): ReadonlyMap<number, string> {
  numbers ??= new Map(MESSAGES.split("\n").map((line) => {
    const [head = "", rest = ""] = line.split("=");
    return [head, new Map(rest.split(",").map((part) => [Number(part.slice(0, part.indexOf(":"))), part.slice(part.indexOf(":") + 1)]))];
  }));
  return numbers.get(name) ?? NO_FIELDS;
}

/** The fields of a message by number, those of embedded structs in their place. */
export function fieldNumbers(name: string): string[] {
  return [...message(name)].sort(([a], [b]) => a - b).flatMap(([, field]) => (field.startsWith("^") ? fieldNumbers(field) : [field]));
}

const NO_FIELDS: ReadonlyMap<number, string> = new Map();
const text = new TextDecoder();

/** Fields of JSONSchemaProps whose value is a schema or something else. */
export const ONE_OF: Readonly<Record<string, "bool" | "array" | "strings">> = {
  "JSONSchemaProps.additionalItems": "bool", "JSONSchemaProps.additionalProperties": "bool", "JSONSchemaProps.items": "array", "JSONSchemaProps.dependencies": "strings",
};

class Reader {
  at: number;
  readonly end: number;
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      if (this.at >= this.end || shift > 63n) throw malformed();
      const byte = this.bytes[this.at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }

  chunk(): Uint8Array {
    const size = Number(this.varint());
    if (size > this.end - this.at) throw malformed();
    const start = this.at;
    this.at += size;
    return this.bytes.subarray(start, this.at);
  }

  /** The next field's number and value: a number for varints, bytes for what has a length. */
  next(): { field: number; value: bigint | Uint8Array } | undefined {
    if (this.at >= this.end) return undefined;
    const tag = Number(this.varint());
    const field = tag >>> 3;
    switch (tag & 7) {
      case 0: return { field, value: this.varint() };
      case 2: return { field, value: this.chunk() };
      case 1: case 5: {
        const size = (tag & 7) === 1 ? 8 : 4;
        if (size > this.end - this.at) throw malformed();
        this.at += size;
        return { field, value: this.bytes.subarray(this.at - size, this.at) };
      }
      default: throw malformed();
    }
  }
}

const malformed = (): Error => newBadRequest("the object provided is unrecognized (must be of type Unknown): proto: illegal wireType or unexpected EOF");

/** The fields of a message without a schema: the last value of each number. */
function plain(bytes: Uint8Array): Map<number, bigint | Uint8Array> {
  const out = new Map<number, bigint | Uint8Array>();
  const reader = new Reader(bytes);
  for (let f = reader.next(); f !== undefined; f = reader.next()) out.set(f.field, f.value);
  return out;
}

const asText = (value: bigint | Uint8Array | undefined): string => (value instanceof Uint8Array ? text.decode(value) : "");

/** The object in an envelope, with its apiVersion and kind. `typeOf` names the schema's type of a kind. */
export function decodeEnvelope(bytes: Uint8Array, typeOf: (apiVersion: string, kind: string) => string | undefined): Json {
  if (bytes.length < 4 || bytes[0] !== 0x6b || bytes[1] !== 0x38 || bytes[2] !== 0x73 || bytes[3] !== 0)
    throw newBadRequest("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]");
  const unknown = plain(bytes.subarray(4));
  const meta = unknown.get(1) instanceof Uint8Array ? plain(unknown.get(1) as Uint8Array) : new Map<number, Uint8Array>();
  const apiVersion = asText(meta.get(1));
  const kind = asText(meta.get(2));
  const type = typeOf(apiVersion, kind);
  const head = { apiVersion, kind };
  if (type === undefined) return head;
  const raw = unknown.get(2);
  return { ...(raw instanceof Uint8Array ? decodeMessage(structType(type), message(type), raw, {}) : {}), ...head };
}

function decodeMessage(type: StructType, fields: ReadonlyMap<number, string>, bytes: Uint8Array, out: Json): Json {
  const reader = new Reader(bytes);
  for (let f = reader.next(); f !== undefined; f = reader.next()) {
    const name = fields.get(f.field);
    if (name === undefined) continue;
    if (name.startsWith("^")) {
      if (f.value instanceof Uint8Array) decodeMessage(type, message(name), f.value, out);
      continue;
    }
    const field = type.fields.get(name);
    const oneOf = ONE_OF[`${type.name}.${name}`];
    if (oneOf !== undefined && f.value instanceof Uint8Array) putOneOf(oneOf, field?.type, name, f.value, out);
    else if (field !== undefined) put(field.type, name, f.value, out);
  }
  return out;
}

function putOneOf(kind: "bool" | "array" | "strings", type: FieldType | undefined, name: string, bytes: Uint8Array, out: Json): void {
  if (type?.kind === "map") {
    const entry = plain(bytes);
    const item = entry.get(2);
    putOneOf(kind, type.of, asText(entry.get(1)), item instanceof Uint8Array ? item : new Uint8Array(), (out[name] ??= {}) as Json);
    return;
  }
  let schema: Json | undefined;
  let allows = false;
  const list: unknown[] = [];
  const reader = new Reader(bytes);
  for (let f = reader.next(); f !== undefined; f = reader.next()) {
    if (!(f.value instanceof Uint8Array)) allows = f.value !== 0n;
    else if (kind === "strings" && f.field === 2) list.push(text.decode(f.value));
    else {
      const one = decodeMessage(structType("JSONSchemaProps"), message("JSONSchemaProps"), f.value, {});
      if (kind === "array" && f.field === 2) list.push(one);
      else schema = one;
    }
  }
  out[name] = schema ?? (kind === "bool" ? allows : list);
}

function put(type: FieldType, name: string, value: bigint | Uint8Array, out: Json): void {
  if (type.kind === "list") {
    const items = (out[name] ??= []) as unknown[];
    // Numbers may come packed.
    if (value instanceof Uint8Array && (type.of.kind === "int32" || type.of.kind === "int64")) {
      const reader = new Reader(value);
      while (reader.at < reader.end) items.push(scalar(type.of, reader.varint()));
    } else items.push(scalar(type.of, value));
  } else if (type.kind === "map") {
    const entry = plain(value as Uint8Array);
    const map = (out[name] ??= {}) as Json;
    const item = entry.get(2);
    // A list as a map's value is a message with the items.
    if (type.of.kind === "list") {
      const inner: Json = {};
      const reader = new Reader(item instanceof Uint8Array ? item : new Uint8Array());
      for (let f = reader.next(); f !== undefined; f = reader.next()) put(type.of, "items", f.value, inner);
      map[asText(entry.get(1))] = inner["items"] ?? [];
    } else map[asText(entry.get(1))] = scalar(type.of, item ?? (type.of.kind === "string" ? new Uint8Array() : 0n));
  } else {
    const decoded = scalar(type, value);
    if (decoded !== undefined) out[name] = decoded;
  }
}

function scalar(type: FieldType, value: bigint | Uint8Array): unknown {
  if (!(value instanceof Uint8Array)) {
    if (type.kind === "bool") return value !== 0n;
    return Number(BigInt.asIntN(64, value));
  }
  switch (type.kind) {
    case "string": return text.decode(value);
    case "bytes": return btoa(String.fromCharCode(...value));
    case "quantity": return asText(plain(value).get(1)) || "0";
    case "float": return new DataView(value.buffer, value.byteOffset, value.length).getFloat64(0, true);
    case "any": {
      const raw = asText(plain(value).get(1));
      return raw === "" ? undefined : JSON.parse(raw) as unknown;
    }
    case "time":
    case "microtime": {
      const fields = plain(value);
      const seconds = Number(BigInt.asIntN(64, (fields.get(1) as bigint | undefined) ?? 0n));
      const nanos = Number((fields.get(2) as bigint | undefined) ?? 0n);
      if (seconds === 0 && nanos === 0) return undefined;
      return type.kind === "time" ? formatTime(seconds * 1000) : formatMicroTime(seconds * 1000 + nanos / 1e6);
    }
    case "intstr": {
      const fields = plain(value);
      return fields.get(1) === 1n ? asText(fields.get(3)) : Number(BigInt.asIntN(64, (fields.get(2) as bigint | undefined) ?? 0n));
    }
    case "struct": return decodeMessage(structType(type.name), message(type.name), value, {});
    default: return undefined;
  }
}
