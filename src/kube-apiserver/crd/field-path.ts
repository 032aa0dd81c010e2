/**
 * JSON paths that name a field of a schema, as `fieldPath` of a rule and selectable fields do. Follows ValidFieldPath of
 * k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/validation.go.
 */
import { child, keyed } from "./errors.ts";
import { own, valuesOf } from "./schema.ts";
import type { Schema } from "./schema.ts";

export type FieldPath = { readonly path: string; readonly root: string; readonly keys: readonly string[]; readonly schema: Schema } | { readonly problem: string };

const ESCAPES: Readonly<Record<string, string>> = { a: "\u0007", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v", "'": "'", "\\": "\\" };

export function fieldPath(text: string, root: Schema, allowArrays: boolean): FieldPath {
  const tokens = text.match(/'(?:[^'\\]|\\.)*'|[.[\]]|[^.[\]']+|'/g) ?? [];
  let schema = root;
  let path = "";
  const keys: string[] = [];
  let at = 0;
  const step = (name: string): string | undefined => {
    if (schema.properties !== undefined) {
      const property = own(schema.properties, name);
      if (property === undefined) return "does not refer to a valid field";
      path = child(path, name);
      schema = property;
    } else if (schema.additionalProperties !== undefined) {
      path = keyed(path, name);
      schema = valuesOf(schema) ?? {};
    } else return "does not refer to a valid field";
    keys.push(name);
    return undefined;
  };
  while (at < tokens.length) {
    const token = tokens[at++]!;
    let name: string;
    if (token === ".") {
      if (at >= tokens.length) return { problem: "unexpected end of JSON path" };
      name = tokens[at++]!;
    } else if (token === "[") {
      if (!allowArrays) return { problem: "array notation is not allowed" };
      if (at >= tokens.length) return { problem: "unexpected end of JSON path" };
      const quoted = tokens[at++]!;
      if (quoted.length < 2 || !quoted.startsWith("'") || !quoted.endsWith("'")) return { problem: `expected single quoted string but got ${quoted}` };
      const wrong = quoted.slice(1, -1).match(/\\./g)?.find((e) => ESCAPES[e[1]!] === undefined);
      if (wrong !== undefined) return { problem: `invalid string literal: invalid escape char ${wrong}` };
      name = quoted.slice(1, -1).replace(/\\(.)/g, (_, c: string) => ESCAPES[c]!);
      if (at >= tokens.length) return { problem: "unexpected end of JSON path" };
      if (tokens[at++] !== "]") return { problem: `expected ] but got ${tokens[at - 1]!}` };
    } else return { problem: `expected [ or . but got: ${token}` };
    const problem = step(name);
    if (problem !== undefined) return { problem };
  }
  return { path, root: keys[0] ?? "", keys, schema };
}
