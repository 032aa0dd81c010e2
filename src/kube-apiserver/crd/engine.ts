/** What definitions and their resources need beside what is loaded with the server; see `index.ts`. */
import { decodeStruct } from "../../api/schema.ts";
import type { DecodeReport } from "../../api/schema.ts";
import { isMap } from "./schema.ts";
import type { Json } from "./schema.ts";
import type { Definition } from "./types.ts";

export { invalid } from "./errors.ts";
export { createResources } from "./resource.ts";
export { nameProblems, validateDefinition, validateStatus } from "./validation.ts";

/** A definition out of a body, with its defaults (pkg/apis/apiextensions/v1/defaults.go). Throws DecodeError. */
export function decodeDefinition(body: unknown, report: DecodeReport): Definition {
  const crd = decodeStruct("CustomResourceDefinition", body, report) as unknown as Definition;
  for (const [i, version] of (crd.spec.versions ?? []).entries()) {
    const schema = version.schema?.openAPIV3Schema as Json | undefined;
    if (schema !== undefined) decodeNested(schema, report, `spec.versions[${i}].schema.openAPIV3Schema`);
  }
  report.strict.sort();
  const { names } = crd.spec as unknown as { names: Record<string, unknown> };
  const kind = names["kind"] as string;
  if ((names["singular"] ?? "") === "" && kind !== "") names["singular"] = kind.toLowerCase();
  if ((names["listKind"] ?? "") === "" && kind !== "") names["listKind"] = `${kind}List`;
  const spec = crd.spec as unknown as { conversion?: { strategy?: string; webhook?: { clientConfig?: { service?: { port?: number } } } } };
  spec.conversion ??= { strategy: "None" };
  const service = spec.conversion.webhook?.clientConfig?.service;
  if (service !== undefined) service.port ??= 443;
  return crd;
}

const LISTS = ["allOf", "anyOf", "oneOf"] as const;
const MAPS = ["properties", "patternProperties", "definitions"] as const;

/** The schemas within a schema whose Go types are unions, which the runtime schema takes as they come. */
function decodeNested(schema: Json, report: DecodeReport, path: string): void {
  const one = (value: unknown, at: string): Json => {
    const inner = { strict: [] as string[] };
    const decoded = decodeStruct("JSONSchemaProps", value, inner);
    for (const text of inner.strict) report.strict.push(text.replace(/^unknown field "/, `unknown field "${at}.`));
    decodeNested(decoded, report, at);
    return decoded;
  };
  const { items, additionalProperties, additionalItems } = schema;
  if (Array.isArray(items)) schema["items"] = items.map((item, i) => one(item, `${path}.items[${i}]`));
  else if (isMap(items)) schema["items"] = one(items, `${path}.items`);
  if (isMap(additionalProperties)) schema["additionalProperties"] = one(additionalProperties, `${path}.additionalProperties`);
  if (isMap(additionalItems)) schema["additionalItems"] = one(additionalItems, `${path}.additionalItems`);
  for (const name of LISTS) for (const [i, inner] of ((schema[name] as Json[] | undefined) ?? []).entries()) decodeNested(inner, report, `${path}.${name}[${i}]`);
  for (const name of MAPS) {
    const inner = schema[name] as Record<string, Json> | undefined;
    for (const key of Object.keys(inner ?? {})) decodeNested(inner![key]!, report, `${path}.${name}.${key}`);
  }
  if (isMap(schema["not"])) decodeNested(schema["not"], report, `${path}.not`);
}
