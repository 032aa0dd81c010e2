/** CustomResourceDefinitions as models: the structural schema of each served version. Follows apiextensions.k8s.io/v1 (JSONSchemaProps). */
import { CodegenError } from "./model.ts";
import type { Field, KindModel, Shape, Struct } from "./model.ts";

interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly required?: readonly string[];
  readonly enum?: readonly unknown[];
  readonly "x-kubernetes-int-or-string"?: boolean;
  readonly "x-kubernetes-preserve-unknown-fields"?: boolean;
}

interface Definition {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: { readonly name?: string };
  readonly spec?: {
    readonly group: string;
    readonly scope: string;
    readonly names: { readonly plural: string; readonly kind: string; readonly shortNames?: readonly string[] };
    readonly versions: readonly {
      readonly name: string; readonly served: boolean; readonly subresources?: { readonly status?: object }; readonly schema?: { readonly openAPIV3Schema?: Schema };
    }[];
  };
}

const META = new Set(["apiVersion", "kind", "metadata"]);

/** The models of all served versions. Throws CodegenError for what is no definition. */
export function fromDefinition(document: unknown): KindModel[] {
  const { apiVersion, kind: documentKind, spec } = (document ?? {}) as Definition;
  if (documentKind !== "CustomResourceDefinition" || apiVersion !== "apiextensions.k8s.io/v1") throw new CodegenError(`not a CustomResourceDefinition of apiextensions.k8s.io/v1: ${apiVersion ?? ""} ${documentKind ?? ""}`);
  if (spec?.names?.kind === undefined || spec.names.plural === undefined || !Array.isArray(spec.versions)) throw new CodegenError("a CustomResourceDefinition needs spec.names.kind, spec.names.plural and spec.versions");
  const { group, scope, names, versions } = spec;
  return versions.filter(({ served }) => served).map(({ name: version, subresources, schema }) => {
    const structs: Struct[] = [];
    const whole = schema?.openAPIV3Schema ?? {};
    const root = { ...whole, properties: Object.fromEntries(Object.entries(whole.properties ?? {}).filter(([name]) => !META.has(name))) };
    return {
      group, version, kind: names.kind, plural: names.plural, shortNames: names.shortNames ?? [], namespaced: scope === "Namespaced", hasStatus: subresources?.status !== undefined,
      description: root.description ?? "", fields: partsOf(root, names.kind, structs), structs,
    };
  });
}

const ANY: Shape = { is: "any" };

/** The shape of a value; a struct gets the name `name`. */
function shapeOf(schema: Schema, name: string, structs: Struct[]): Shape {
  if (schema["x-kubernetes-int-or-string"] === true) return { is: "intOrString" };
  switch (schema.type) {
    case "string": {
      const values = (schema.enum ?? []).filter((value) => typeof value === "string");
      return values.length === 0 ? { is: "string" } : { is: "string", values };
    }
    case "integer": case "number": case "boolean": return { is: schema.type };
    case "array": return { is: "list", of: shapeOf(schema.items ?? {}, singular(name), structs) };
    case "object": {
      if (schema.properties !== undefined && Object.keys(schema.properties).length > 0) {
        const unique = uniqueName(name, structs);
        // Its place comes before those of its parts.
        const at = structs.push({ name: unique, description: schema.description ?? "", fields: [] }) - 1;
        structs[at] = { name: unique, description: schema.description ?? "", fields: partsOf(schema, unique, structs) };
        return { is: "struct", name: unique };
      }
      if (typeof schema.additionalProperties === "object") return { is: "map", of: shapeOf(schema.additionalProperties, `${name}Value`, structs) };
      return { is: "map", of: ANY };
    }
    default: return ANY;
  }
}

/** The fields of an object whose type is called `owner`. */
const partsOf = ({ properties = {}, required = [] }: Schema, owner: string, structs: Struct[]): Field[] =>
  Object.entries(properties).map(([name, schema]) => ({ name, shape: shapeOf(schema, `${owner}${capital(name)}`, structs), required: required.includes(name), description: schema.description ?? "" }));

const uniqueName = (name: string, structs: readonly Struct[]): string => {
  let found = name;
  for (let i = 2; structs.some((struct) => struct.name === found); i++) found = `${name}${i}`;
  return found;
};

const capital = (name: string): string => name.replace(/(?:^|[^A-Za-z0-9]+)([A-Za-z0-9])/g, (_, letter: string) => letter.toUpperCase());

/** What one of several is called: `Paths` holds a `Path`. */
const singular = (name: string): string =>
  /(?:ss|us|is)$/.test(name) ? `${name}Item` : name.endsWith("ies") ? `${name.slice(0, -3)}y` : /(?:ch|sh|x|ss)es$/.test(name) ? name.slice(0, -2) : name.endsWith("s") ? name.slice(0, -1) : `${name}Item`;
