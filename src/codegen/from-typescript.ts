/**
 * Tagged TypeScript types as models. Tags are code-generator's and controller-gen's, in comments:
 *
 *     // +groupName=example.com            once per file
 *     // +versionName=v1
 *
 *     // +genclient                        before each kind
 *     // +genclient:nonNamespaced
 *     // +kubebuilder:resource:path=websites,shortName=site
 *     // +kubebuilder:subresource:status
 *     export interface Website extends KubeObject { spec: WebsiteSpec; status?: WebsiteStatus }
 *
 * Read are exported and other interfaces, and aliases of object types: of strings, numbers, booleans, unknown, unions of string literals, lists,
 * maps (`Record<string, T>`, `{ [name: string]: T }`) and one another. `integer` may be declared as an alias of number.
 */
import { CodegenError } from "./model.ts";
import type { Field, KindModel, Shape, Struct } from "./model.ts";

interface Token {
  readonly text: string;
  readonly is: "name" | "string" | "sign" | "number";
  readonly line: number;
  /** The comments before it. */
  readonly comment: string;
}

interface Declared {
  readonly name: string;
  readonly comment: string;
  readonly line: number;
  /** Without a name in the file. */
  readonly inline?: boolean;
  /** Undefined for an alias of something else. */
  fields: Field[] | undefined;
  shape: Shape | undefined;
}

const META = new Set(["apiVersion", "kind", "metadata"]);

/** The kinds of a file; `path` is how the generated file imports it. Throws CodegenError with the line. */
export function fromTypeScript(source: string, path: string): KindModel[] {
  const tokens = tokenize(source);
  const declared = parse(tokens);
  const comments = [...source.matchAll(/^\s*(?:\/\/|\/?\*+)\s*\+(groupName|versionName)=(\S+)/gm)];
  const tag = (name: string): string | undefined => comments.find(([, key]) => key === name)?.[2];
  const kinds: KindModel[] = [];
  for (const { name, comment, line, fields } of declared.values()) {
    if (!/\+genclient(?![:\w])/.test(comment)) continue;
    const group = tag("groupName");
    const version = tag("versionName");
    if (group === undefined || version === undefined) throw new CodegenError(`line ${line}: ${name} is tagged +genclient, but the file has no +groupName and +versionName`);
    if (fields === undefined) throw new CodegenError(`line ${line}: ${name}: a kind is an interface`);
    const resource: Record<string, string> = Object.fromEntries([...(/\+kubebuilder:resource:(\S+)/.exec(comment)?.[1] ?? "").matchAll(/(\w+)=([^,]+)/g)].map(([, key, value]) => [key, value!.replace(/^["{]|["}]$/g, "")]));
    const own = fields.filter(({ name }) => !META.has(name));
    kinds.push({
      group, version, kind: name, plural: resource["path"] ?? plural(name.toLowerCase()), shortNames: (resource["shortName"] ?? "").split(";").filter((text) => text !== ""),
      namespaced: !/\+genclient:nonNamespaced/.test(comment) && resource["scope"] !== "Cluster", hasStatus: /\+kubebuilder:subresource:status/.test(comment) || own.some(({ name }) => name === "status"),
      description: prose(comment), fields: own.map((field) => ({ ...field, shape: settled(field.shape, declared) })), structs: reached(own, declared), types: path,
    });
  }
  if (kinds.length === 0) throw new CodegenError("no interface is tagged +genclient");
  return kinds;
}

/** Words of TypeScript that say nothing about the value. */
const MODIFIERS = new Set(["export", "declare", "readonly"]);

function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  const pattern = /(\/\/[^\n]*|\/\*[^]*?\*\/)|([A-Za-z_$][\w$]*)|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)|(\d[\w.]*)|(=>|[^\s\w])/g;
  let comment = "";
  let line = 1;
  let at = 0;
  for (const found of source.matchAll(pattern)) {
    const between = source.slice(at, found.index);
    line += between.split("\n").length - 1;
    // An empty line ends what is said of what follows, as in Go.
    if (/\n\s*\n/.test(between)) comment = "";
    at = found.index + found[0].length;
    if (found[1] !== undefined) comment += `${found[1]}\n`;
    else {
      tokens.push({ text: found[0], is: found[2] !== undefined ? "name" : found[3] !== undefined ? "string" : found[4] !== undefined ? "number" : "sign", line, comment });
      comment = "";
    }
    line += found[0].split("\n").length - 1;
  }
  return tokens;
}

function parse(tokens: readonly Token[]): Map<string, Declared> {
  const declared = new Map<string, Declared>();
  const inline: Declared[] = [];
  let i = 0;
  const peek = (): Token => tokens[i] ?? { text: "", is: "sign", line: tokens.at(-1)?.line ?? 1, comment: "" };
  const next = (): Token => {
    const token = peek();
    i++;
    return token;
  };
  const expect = (text: string): Token => {
    const token = next();
    if (token.text !== text) throw new CodegenError(`line ${token.line}: ${JSON.stringify(text)} expected, ${JSON.stringify(token.text)} found`);
    return token;
  };
  const take = (text: string): boolean => {
    if (peek().text !== text) return false;
    i++;
    return true;
  };

  /** The type at hand; an object type in place is called `name`. */
  const type = (name: string): Shape => {
    take("|");
    const options = [list(name)];
    while (take("|")) options.push(list(name));
    const real = options.filter((option) => option !== NOTHING);
    const values = real.flatMap((option) => (option.is === "string" ? (option.values ?? []) : []));
    if (real.length === 1) return real[0]!;
    if (values.length === real.length) return { is: "string", values };
    if (real.every(({ is }) => is === "string" || is === "number" || is === "integer")) return { is: "intOrString" };
    return { is: "any" };
  };
  const list = (name: string): Shape => {
    while (MODIFIERS.has(peek().text)) next();
    let shape = one(name);
    while (peek().text === "[" && tokens[i + 1]?.text === "]") {
      i += 2;
      shape = { is: "list", of: shape };
    }
    return shape;
  };
  const one = (name: string): Shape => {
    const token = next();
    if (token.is === "string") return { is: "string", values: [token.text.slice(1, -1)] };
    if (token.text === "(") {
      const inner = type(name);
      expect(")");
      return inner;
    }
    if (token.text === "{") {
      if (peek().text === "[") return indexed(name);
      const fields = members(name);
      inline.push({ name, comment: "", line: token.line, inline: true, fields, shape: undefined });
      return { is: "struct", name };
    }
    if (token.is !== "name") throw new CodegenError(`line ${token.line}: a type expected, ${JSON.stringify(token.text)} found`);
    const of: Shape[] = [];
    if (take("<")) {
      do of.push(type(`${name}Item`));
      while (take(","));
      expect(">");
    }
    switch (token.text) {
      case "string": case "number": case "boolean": case "integer": return { is: token.text };
      case "undefined": case "null": return NOTHING;
      case "unknown": case "any": case "object": return { is: "any" };
      case "Array": case "ReadonlyArray": return { is: "list", of: of[0] ?? { is: "any" } };
      case "Record": return { is: "map", of: of[1] ?? { is: "any" } };
      case "Readonly": case "Partial": return of[0] ?? { is: "any" };
      default: return { is: "struct", name: token.text };
    }
  };
  const indexed = (name: string): Shape => {
    while (next().text !== "]");
    expect(":");
    const of = type(`${name}Value`);
    take(";");
    expect("}");
    return { is: "map", of };
  };
  const members = (owner: string): Field[] => {
    const fields: Field[] = [];
    while (!take("}")) {
      const { comment } = peek();
      while (MODIFIERS.has(peek().text) && tokens[i + 1]?.text !== ":" && tokens[i + 1]?.text !== "?") next();
      const token = next();
      if (token.text === "") throw new CodegenError(`line ${token.line}: "}" expected`);
      const name = token.is === "string" ? token.text.slice(1, -1) : token.text;
      const required = !take("?");
      expect(":");
      fields.push({ name, shape: type(`${owner}${name[0]!.toUpperCase()}${name.slice(1)}`), required, description: prose(comment) });
      if (!take(";")) take(",");
    }
    return fields;
  };

  while (i < tokens.length) {
    const { comment } = peek();
    const start = i;
    while (MODIFIERS.has(peek().text)) next();
    if (peek().text === "interface") {
      next();
      const { text: name, line } = next();
      while (peek().text !== "{" && peek().text !== "") next();
      expect("{");
      declared.set(name, { name, comment, line, fields: members(name), shape: undefined });
    } else if (peek().text === "type" && tokens[i + 1]?.is === "name" && tokens[i + 2]?.text === "=") {
      next();
      const { text: name, line } = next();
      expect("=");
      declared.set(name, { name, comment, line, fields: undefined, shape: type(name) });
      take(";");
    } else i = start + 1;
  }
  for (const found of inline) if (!declared.has(found.name)) declared.set(found.name, found);
  for (const found of declared.values()) if (found.shape?.is === "struct" && found.shape.name === found.name) found.fields = inline.find(({ name }) => name === found.name)?.fields;
  return declared;
}

const NOTHING: Shape = { is: "any" };

/** A shape with aliases followed; what the file does not declare is anything. */
function settled(shape: Shape, declared: ReadonlyMap<string, Declared>): Shape {
  switch (shape.is) {
    case "list": case "map": return { is: shape.is, of: settled(shape.of, declared) };
    case "struct": {
      const found = declared.get(shape.name);
      if (found?.fields !== undefined) return shape;
      if (found?.name === "integer") return { is: "integer" };
      return found?.shape === undefined ? { is: "any" } : settled(found.shape, declared);
    }
    default: return shape;
  }
}

/** The structs that the fields lead to, in the order they are met. */
function reached(fields: readonly Field[], declared: ReadonlyMap<string, Declared>): Struct[] {
  const structs = new Map<string, Struct>();
  const visit = (shape: Shape): void => {
    if (shape.is === "list" || shape.is === "map") visit(shape.of);
    if (shape.is !== "struct" || structs.has(shape.name)) return;
    const { comment, fields = [], inline = false } = declared.get(shape.name)!;
    const own = fields.map((field) => ({ ...field, shape: settled(field.shape, declared) }));
    structs.set(shape.name, { name: shape.name, description: prose(comment), fields: own, ...(inline ? { inline } : {}) });
    for (const field of own) visit(field.shape);
  };
  for (const field of fields) visit(settled(field.shape, declared));
  return [...structs.values()];
}

/** A comment without its signs and tags. */
const prose = (comment: string): string =>
  comment.replace(/\/\*+|\*+\//g, "").split("\n").map((line) => line.replace(/^\s*(?:\/\/+|\*+)?\s?/, "").trim()).filter((line) => line !== "" && !line.startsWith("+")).join(" ");

/** Follows gengo's plural namer, as far as English goes. */
const plural = (name: string): string => (/(?:s|x|ch|sh)$/.test(name) ? `${name}es` : /[^aeiou]y$/.test(name) ? `${name.slice(0, -1)}ies` : `${name}s`);
