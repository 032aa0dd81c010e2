/**
 * Why a strategically patched object is none of its type. Follows fromUnstructured of k8s.io/apimachinery/pkg/runtime/converter.go, which
 * says it otherwise than the decoder of JSON does.
 */
import { DecodeError, decodeStruct, structOf } from "../../api/schema.ts";
import type { FieldType, StructType } from "../../api/schema.ts";
import { orderOf } from "./go-json.ts";

type Json = Record<string, unknown>;
const isMap = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);

/** reflect's kind of a value as the reader of JSON makes it. */
function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "slice";
  if (typeof value === "number") return Number.isInteger(value) ? "int64" : "float64";
  return typeof value === "boolean" ? "bool" : typeof value === "string" ? "string" : "map";
}

/** The first thing that does not fit, undefined when all does. */
export function unstructuredFault(type: StructType, value: Json): string | undefined {
  for (const name of orderOf(type)) {
    const field = type.fields.get(name)!;
    const fault = value[name] === undefined || value[name] === null ? undefined : faultOf(field.type, value[name]);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

const PLAIN: Readonly<Record<string, string>> = { string: "string", bool: "bool", int32: "int32", int64: "int64", float: "float64" };

function faultOf(type: FieldType, value: unknown): string | undefined {
  const kind = kindOf(value);
  const plain = PLAIN[type.kind];
  if (plain !== undefined) {
    const number = plain !== "string" && plain !== "bool";
    if (kind === plain || (number && kind === "int64") || (number && kind === "float64" && plain === "float64")) return undefined;
    // Go converts numbers to one another, and an integer to a string, by way of its type; the converter takes only what JSON would.
    const convertible = (number && kind === "float64") || (plain === "string" && kind === "int64");
    return convertible ? `cannot convert ${kind} to ${plain}` : `unrecognized type: ${plain}`;
  }
  const struct = structOf(type);
  if (struct !== undefined) return isMap(value) ? unstructuredFault(struct, value) : `cannot restore struct from: ${kind}`;
  if (type.kind === "map") {
    if (!isMap(value)) return `cannot restore map from ${kind}`;
    for (const key of Object.keys(value).sort()) {
      const fault = value[key] === null ? undefined : faultOf(type.of, value[key]);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }
  if (type.kind === "list") {
    if (!Array.isArray(value)) return `cannot restore slice from ${kind}`;
    for (const item of value as unknown[]) {
      const fault = item === null ? undefined : faultOf(type.of, item);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }
  if (type.kind === "bytes" && kind !== "string") return `cannot restore slice from ${kind}`;
  return undefined;
}

/** As above; what reads itself (times, quantities, bytes) says it in the decoder's words. */
export function patchedFault(type: StructType, value: unknown): string | undefined {
  if (!isMap(value)) return undefined;
  const fault = unstructuredFault(type, value);
  if (fault !== undefined) return fault;
  try {
    decodeStruct(type.name, value, { strict: [] });
  } catch (e) {
    if (e instanceof DecodeError) return e.message;
    throw e;
  }
  return undefined;
}
