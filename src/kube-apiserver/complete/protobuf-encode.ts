/**
 * Answers in protobuf: what JSON would have said, as messages. They are written from their end to their start, as the generated Go code
 * does, so that every length is known when it is written; scalars that Go holds by value are written even when they are zero.
 * Follows k8s.io/apimachinery/pkg/runtime/serializer/protobuf, and for watches pkg/runtime/serializer/streaming.
 */
import { structType } from "../../api/schema.ts";
import type { Field, FieldType, StructType } from "../../api/schema.ts";
import { parseTime } from "../../apimachinery/time.ts";
import { message, ONE_OF } from "./protobuf.ts";

type Json = Record<string, unknown>;
const utf8 = new TextEncoder();
const isMap = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);

/** A buffer that fills from its end. */
export class Reverse {
  bytes = new Uint8Array(1024);
  at = 1024;

  put(chunk: Uint8Array): void {
    while (chunk.length > this.at) this.grow();
    this.at -= chunk.length;
    this.bytes.set(chunk, this.at);
  }

  private grow(): void {
    const size = this.bytes.length;
    const next = new Uint8Array(size * 2);
    next.set(this.bytes, size);
    this.bytes = next;
    this.at += size;
  }

  /** An integer of up to 53 bits, or a negative one in two's complement. */
  varint(value: number): void {
    const digits: number[] = [];
    if (value < 0 || value > Number.MAX_SAFE_INTEGER) {
      for (let rest = BigInt.asUintN(64, BigInt(value)); ; rest >>= 7n) {
        digits.push(Number(rest & 0x7fn) | (rest < 128n ? 0 : 0x80));
        if (rest < 128n) break;
      }
    } else
      for (let rest = value; ; rest = Math.floor(rest / 128)) {
        digits.push(rest < 128 ? rest : (rest % 128) | 0x80);
        if (rest < 128) break;
      }
    this.put(Uint8Array.from(digits));
  }

  integer(number: number, value: number): void {
    this.varint(value);
    this.varint(number * 8);
  }

  chunk(number: number, content: Uint8Array): void {
    this.put(content);
    this.varint(content.length);
    this.varint(number * 8 + 2);
  }

  text(number: number, value: string): void {
    this.chunk(number, utf8.encode(value));
  }

  /** A message whose fields `write` writes, the last one first. */
  nested(number: number, write: () => void): void {
    const end = this.bytes.length - this.at;
    write();
    this.varint(this.bytes.length - this.at - end);
    this.varint(number * 8 + 2);
  }

  taken(): Uint8Array {
    return this.bytes.slice(this.at);
  }
}

const descending = new Map<ReadonlyMap<number, string>, readonly (readonly [number, string])[]>();

function fieldsOf(name: string): readonly (readonly [number, string])[] {
  const fields = message(name);
  let list = descending.get(fields);
  if (list === undefined) descending.set(fields, (list = [...fields].sort(([a], [b]) => b - a)));
  return list;
}

/** Writes an object's fields; `name` is the message, whose fields may be a part of the type's (embedded structs). */
function writeStruct(out: Reverse, type: StructType, name: string, object: Json): void {
  for (const [number, fieldName] of fieldsOf(name)) {
    if (fieldName.startsWith("^")) {
      out.nested(number, () => writeStruct(out, type, fieldName, object));
      continue;
    }
    const field = type.fields.get(fieldName);
    if (field === undefined) continue;
    const kind = ONE_OF[`${type.name}.${fieldName}`];
    if (kind === undefined) writeField(out, number, field, object[fieldName]);
    else if (object[fieldName] !== undefined && object[fieldName] !== null) writeOneOf(out, number, kind, field.type, object[fieldName]);
  }
}

function writeField(out: Reverse, number: number, field: Field, value: unknown): void {
  const { type } = field;
  if (type.kind === "list") {
    if (Array.isArray(value)) for (let i = value.length - 1; i >= 0; i--) writeValue(out, number, type.of, value[i]);
  } else if (type.kind === "map") {
    if (!isMap(value)) return;
    for (const key of Object.keys(value).sort().reverse())
      out.nested(number, () => {
        writeEntry(out, type.of, value[key]);
        out.text(1, key);
      });
  } else if (value !== undefined && value !== null) writeValue(out, number, type, value);
  else if (!field.pointer && (field.value || type.kind !== "struct")) writeZero(out, number, type, field.value || field.required);
}

/** A map's value; a list is a message with the items. */
function writeEntry(out: Reverse, type: FieldType, value: unknown): void {
  if (type.kind !== "list") return writeValue(out, 2, type, value);
  out.nested(2, () => {
    const items = Array.isArray(value) ? (value as unknown[]) : [];
    for (let i = items.length - 1; i >= 0; i--) writeValue(out, 1, type.of, items[i]);
  });
}

/** What Go writes of a field that it holds by value and nobody set; `struct` for those whose type is a struct. */
function writeZero(out: Reverse, number: number, type: FieldType, struct: boolean): void {
  switch (type.kind) {
    case "string": return out.text(number, "");
    case "int32": case "int64": case "bool": return out.integer(number, 0);
    case "struct": return out.nested(number, () => writeStruct(out, structType(type.name), type.name, {}));
    case "time": case "microtime": return struct ? out.chunk(number, NOTHING) : undefined;
    case "quantity": return struct ? out.nested(number, () => out.text(1, "0")) : undefined;
    case "intstr": return struct ? writeValue(out, number, type, 0) : undefined;
  }
}
const NOTHING = new Uint8Array();

function writeValue(out: Reverse, number: number, type: FieldType, value: unknown): void {
  switch (type.kind) {
    case "string": return out.text(number, String(value ?? ""));
    case "int32": case "int64": return out.integer(number, Number(value));
    case "bool": return out.integer(number, value === true ? 1 : 0);
    case "float": {
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setFloat64(0, Number(value), true);
      out.put(bytes);
      return out.varint(number * 8 + 1);
    }
    case "bytes": return out.chunk(number, Uint8Array.from(atob(String(value)), (char) => char.charCodeAt(0)));
    case "quantity": return out.nested(number, () => out.text(1, String(value ?? "0")));
    case "any": return out.nested(number, () => out.text(1, JSON.stringify(value)));
    case "time": case "microtime": {
      const ms = typeof value === "string" ? parseTime(value) : undefined;
      if (ms === undefined) return out.chunk(number, NOTHING);
      // Microseconds are no whole number of milliseconds.
      const nanos = type.kind === "time" ? 0 : Number(`${/\.(\d+)/.exec(value as string)?.[1] ?? ""}000000000`.slice(0, 9));
      return out.nested(number, () => {
        out.integer(2, nanos);
        out.integer(1, Math.floor(ms / 1000));
      });
    }
    case "intstr":
      return out.nested(number, () => {
        out.text(3, typeof value === "string" ? value : "");
        out.integer(2, typeof value === "number" ? value : 0);
        out.integer(1, typeof value === "string" ? 1 : 0);
      });
    case "struct": return out.nested(number, () => writeStruct(out, structType(type.name), type.name, isMap(value) ? value : {}));
    default: return;
  }
}

/** Values of JSONSchemaProps that are one thing or another: a schema, or what else it may be. */
function writeOneOf(out: Reverse, number: number, kind: "bool" | "array" | "strings", type: FieldType, value: unknown): void {
  if (type.kind === "map") {
    for (const key of Object.keys(value as Json).sort().reverse())
      out.nested(number, () => {
        writeOneOf(out, 2, kind, type.of, (value as Json)[key]);
        out.text(1, key);
      });
    return;
  }
  const schema = (at: number, one: unknown): void => writeValue(out, at, { kind: "struct", name: "JSONSchemaProps" }, one);
  out.nested(number, () => {
    if (kind === "bool") {
      if (isMap(value)) schema(2, value);
      out.integer(1, value === false ? 0 : 1);
    } else if (Array.isArray(value)) {
      for (let i = value.length - 1; i >= 0; i--)
        if (kind === "array") schema(2, value[i]);
        else out.text(2, String(value[i]));
    } else schema(1, value);
  });
}

/** The type in the schema of a kind, undefined for one that has no message. */
export type TypeOfKind = (apiVersion: string, kind: string) => string | undefined;

const LIST_META: readonly (readonly [number, string])[] = [[3, "continue"], [2, "resourceVersion"], [1, "selfLink"]];

function writeListMeta(out: Reverse, metadata: unknown): void {
  const meta = isMap(metadata) ? metadata : {};
  out.nested(1, () => {
    if (typeof meta["remainingItemCount"] === "number") out.integer(4, meta["remainingItemCount"]);
    for (const [number, name] of LIST_META) out.text(number, String(meta[name] ?? ""));
  });
}

const METADATA: FieldType = { kind: "struct", name: "ObjectMeta" };

/** The writer of an object's message, undefined for a kind without one. */
function writerOf(object: Json, typeOf: TypeOfKind): ((out: Reverse) => void) | undefined {
  const apiVersion = String(object["apiVersion"] ?? "");
  const kind = String(object["kind"] ?? "");
  const { items, metadata } = object;
  const partial = kind.startsWith("PartialObjectMetadata");
  if (Array.isArray(items)) {
    const name = partial ? "" : typeOf(apiVersion, kind.replace(/List$/, ""));
    if (name === undefined) return undefined;
    const write = (out: Reverse, item: Json): void => (partial ? writeValue(out, 1, METADATA, item["metadata"]) : writeStruct(out, structType(name), name, item));
    return (out) => {
      for (let i = items.length - 1; i >= 0; i--) out.nested(2, () => write(out, items[i] as Json));
      writeListMeta(out, metadata);
    };
  }
  if (partial) return (out) => writeValue(out, 1, METADATA, metadata);
  const name = typeOf(apiVersion, kind);
  return name === undefined ? undefined : (out) => writeStruct(out, structType(name), name, object);
}

const PREFIX = Uint8Array.of(0x6b, 0x38, 0x73, 0);

/** An object in its envelope, `k8s\0` and a runtime.Unknown; undefined for a kind that has no message. */
export function encodeEnvelope(object: unknown, typeOf: TypeOfKind): Uint8Array | undefined {
  if (!isMap(object)) return undefined;
  const write = writerOf(object, typeOf);
  if (write === undefined) return undefined;
  const out = new Reverse();
  out.text(4, "");
  out.text(3, "");
  out.nested(2, () => write(out));
  out.nested(1, () => {
    out.text(2, String(object["kind"] ?? ""));
    out.text(1, String(object["apiVersion"] ?? ""));
  });
  out.put(PREFIX);
  return out.taken();
}

/** A watch's event as a frame: its length in four bytes, and a WatchEvent with the object in its envelope. */
export function encodeFrame(type: string, object: unknown, typeOf: TypeOfKind): Uint8Array {
  const out = new Reverse();
  out.nested(2, () => out.chunk(1, encodeEnvelope(object, typeOf) ?? NOTHING));
  out.text(1, type);
  const event = out.taken();
  const frame = new Uint8Array(4 + event.length);
  new DataView(frame.buffer).setUint32(0, event.length);
  frame.set(event, 4);
  return frame;
}
