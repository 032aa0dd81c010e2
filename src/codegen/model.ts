/** What the generator knows of a kind, wherever it read it: out of a CustomResourceDefinition or of a tagged TypeScript type. */

/** What a value looks like. */
export type Shape =
  | { readonly is: "string"; readonly values?: readonly string[] }
  | { readonly is: "number" | "integer" | "boolean" | "intOrString" | "any" }
  | { readonly is: "list"; readonly of: Shape }
  | { readonly is: "map"; readonly of: Shape }
  | { readonly is: "struct"; readonly name: string };

export interface Field {
  readonly name: string;
  readonly shape: Shape;
  readonly required: boolean;
  readonly description: string;
}

export interface Struct {
  readonly name: string;
  readonly description: string;
  readonly fields: readonly Field[];
  /** Has no name of its own where the types are. */
  readonly inline?: boolean;
}

/** One version of a kind. */
export interface KindModel {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly shortNames: readonly string[];
  readonly namespaced: boolean;
  /** Whether status is a subresource. */
  readonly hasStatus: boolean;
  readonly description: string;
  /** The fields beside apiVersion, kind and metadata. */
  readonly fields: readonly Field[];
  /** What those are made of, in the order they were met. */
  readonly structs: readonly Struct[];
  /** The file whose types these are, as the generated file imports it; undefined: they are generated, too. */
  readonly types?: string;
}

/** What cannot be generated from, and where. */
export class CodegenError extends Error {}
