/**
 * The schemas of the built-in types in OpenAPI, made of the facts of all types. Follows k8s.io/kube-openapi/pkg/builder3 and the generated
 * definitions (zz_generated.openapi.go): what Go holds by value has a default. Loaded when a document is first asked for.
 */
import { DESCRIPTIONS } from "./descriptions.generated.ts";
import { FACTS } from "./openapi-types.generated.ts";

export type Json = Record<string, unknown>;

type Field = readonly [type: string, flags: string, facts?: Json];
type Type = readonly [gvks: readonly (readonly [string, string, string])[] | 0, fields: Readonly<Record<string, Field>>, facts?: Json];

interface Facts {
  readonly types: Readonly<Record<string, Type>>;
  /** Path -> method -> action and `group/version/kind`. */
  readonly paths: Readonly<Record<string, Readonly<Record<string, readonly [string, string]>>>>;
}

interface Texts {
  readonly texts: readonly string[];
  readonly types: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly parameters: Readonly<Record<string, number>>;
}

let facts: Facts | undefined;
let described: Texts | undefined;
let kinds: Map<string, string> | undefined;

export const openapiFacts = (): Facts => (facts ??= JSON.parse(FACTS) as Facts);
const texts = (): Texts => (described ??= JSON.parse(DESCRIPTIONS) as Texts);

/** What documents say of a parameter: its name, `patch.NAME`, or `OPTIONS.NAME` of what is connected to. */
export function parameterText(name: string): string | undefined {
  const index = texts().parameters[name];
  return index === undefined ? undefined : texts().texts[index];
}

/** The type's name of a kind, such as `io.k8s.api.core.v1.Pod`. */
export function nameOfKind(group: string, version: string, kind: string): string | undefined {
  kinds ??= new Map(Object.entries(openapiFacts().types).flatMap(([name, [gvks]]) => (gvks === 0 ? [] : gvks.map((gvk): [string, string] => [gvk.join("/"), name]))));
  return kinds.get(`${group}/${version}/${kind}`);
}

const META = "io.k8s.apimachinery.pkg.apis.meta.v1.";
const CRD = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.";
const QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";

/** Types that are something else than their fields. */
const SPECIAL: Readonly<Record<string, Json>> = {
  [`${META}Time`]: { type: "string", format: "date-time" },
  [`${META}MicroTime`]: { type: "string", format: "date-time" },
  [QUANTITY]: { oneOf: [{ type: "string" }, { type: "number" }] },
  [INT_OR_STRING]: { format: "int-or-string", oneOf: [{ type: "integer" }, { type: "string" }] },
  [`${CRD}JSON`]: {}, [`${CRD}JSONSchemaPropsOrArray`]: {}, [`${CRD}JSONSchemaPropsOrBool`]: {}, [`${CRD}JSONSchemaPropsOrStringArray`]: {},
};
/** Those of them, and pointers in Go, which have no default where they are used. */
const WITHOUT_DEFAULT = new Set(["io.k8s.apimachinery.pkg.runtime.RawExtension", `${META}Time`, `${META}MicroTime`, QUANTITY, INT_OR_STRING]);

export const reference = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });

/** What is said of a field of a type. */
export function textOf(type: string, field: string): Json {
  const index = texts().types[type]?.[field];
  return index === undefined ? {} : { description: texts().texts[index] };
}

/** The names of all types that a type leads to. */
export function closure(names: Iterable<string>): Set<string> {
  const { types } = openapiFacts();
  const out = new Set<string>();
  const open = [...names];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const type = types[name];
    if (type === undefined || out.has(name)) continue;
    out.add(name);
    for (const [token] of Object.values(type[1])) {
      const leaf = token.replace(/^[[{]+/, "");
      if (leaf.startsWith("io.")) open.push(leaf);
    }
  }
  return out;
}

/** The schema of a type of that name. */
export function schemaOf(name: string): Json {
  const { types } = openapiFacts();
  const [gvks, fields, more = {}] = types[name]!;
  const own = texts().types[name] ?? {};
  const text = (field: string): Json => (own[field] === undefined ? {} : { description: texts().texts[own[field]] });
  if (SPECIAL[name] !== undefined) return { ...text(""), ...SPECIAL[name] };
  const properties: Json = {};
  const required: string[] = [];
  for (const [field, [token, flags, extra]] of Object.entries(fields)) {
    properties[field] = { ...text(field), ...property(token, flags), ...extensions(extra) };
    const about = properties[field] as Json;
    if (extra?.["default"] !== undefined) about["default"] = extra["default"];
    if (Array.isArray(extra?.["enum"])) {
      about["enum"] = [...(extra["enum"] as string[])].sort();
      if (about["description"] !== undefined) about["description"] = `${String(about["description"])}\n\nPossible enum values:\n${(about["enum"] as string[]).map((value) => ` - \`${JSON.stringify(value)}\``).join("\n")}`;
    }
    const values = extra?.["items"];
    if (values !== undefined) about[token.startsWith("[") ? "items" : "additionalProperties"] = { ...property(token.slice(1), "z"), enum: values };
    // A reference alone needs no frame.
    if (about["allOf"] !== undefined && Object.keys(about).length === 1) properties[field] = (about["allOf"] as Json[])[0];
    if (flags.includes("r")) required.push(field);
  }
  return {
    ...text(""), type: "object", ...(required.length === 0 ? {} : { required }), ...(Object.keys(properties).length === 0 ? {} : { properties }),
    ...(gvks === 0 ? {} : { "x-kubernetes-group-version-kind": gvks.map(([group, version, kind]) => ({ group, kind, version })) }), ...extensions(more),
  };
}

const EXTENSIONS = ["list-map-keys", "list-type", "map-type", "patch-merge-key", "patch-strategy", "unions"] as const;

function extensions(from: Json | undefined): Json {
  const out: Json = {};
  for (const name of EXTENSIONS) if (from?.[name] !== undefined) out[`x-kubernetes-${name}`] = from[name];
  return out;
}

/** The zero that Go writes of a scalar. */
const ZERO: Readonly<Record<string, unknown>> = { string: "", integer: 0, number: 0, boolean: false };

/** `flags` of the facts: `v` by value, `z` written when zero, `b` bytes. */
function property(token: string, flags: string): Json {
  if (token.startsWith("[")) return { type: "array", items: item(token.slice(1), flags) };
  if (token.startsWith("{")) return { type: "object", additionalProperties: item(token.slice(1), flags) };
  if (token.startsWith("io.")) return { ...(flags.includes("v") && !WITHOUT_DEFAULT.has(token) && SPECIAL[token] === undefined ? { default: {} } : {}), allOf: [reference(token)] };
  if (flags.includes("b")) return { type: "string", format: "byte" };
  const [type = "", format] = token.split("/");
  return { type, ...(format === undefined ? {} : { format }), ...(flags.includes("z") ? { default: ZERO[type] } : {}) };
}

/** What a list or map has: by value, but for maps of lists. */
function item(token: string, flags: string): Json {
  if (flags.includes("b")) return { type: "string", format: "byte" };
  if (token.startsWith("io.")) return WITHOUT_DEFAULT.has(token) || SPECIAL[token] !== undefined ? reference(token) : { default: {}, allOf: [reference(token)] };
  return property(token, "z");
}
