/**
 * The syntax of CEL, out of the library's parser, with the places and the errors that cel-go has. Places: of a selection its dot, of a
 * call its parenthesis, of an operator itself.
 */
import { ParseError } from "@marcbachmann/cel-js";
import { Environment, UnsignedInt } from "@marcbachmann/cel-js/evaluator";
import type { ASTNode } from "@marcbachmann/cel-js";

export type Node = ASTNode;

/** A finding of cel-go's compiler: `message` at an offset into the source. */
export interface Issue {
  readonly offset: number;
  readonly message: string;
}

let parser: Environment | undefined;

/** The tree of an expression, or what is wrong with it. */
export function parseExpression(source: string): { readonly node: Node } | { readonly issue: Issue } {
  parser ??= new Environment({ unlistedVariablesAreDyn: true, enableOptionalTypes: true });
  try {
    return { node: parser.parse(source).ast };
  } catch (e) {
    if (e instanceof ParseError) return { issue: syntaxIssue(source, e) };
    throw e;
  }
}

const EXPECTED_EXPRESSION = "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";

function syntaxIssue(source: string, e: ParseError): Issue {
  const start = e.range?.start ?? source.length;
  const token = start >= source.length ? "<EOF>" : /^(?:[A-Za-z_]\w*|\d+|\S)/.exec(source.slice(start))?.[0] ?? source[start]!;
  switch (e.code) {
    case "unexpected_token": return { offset: start, message: `Syntax error: mismatched input '${token}' expecting ${EXPECTED_EXPRESSION}` };
    case "unterminated_string": return { offset: start, message: `Syntax error: token recognition error at: '${source.slice(start)}'` };
    case "unexpected_character":
      // A token that is one, after an expression that is whole.
      if (/[\w!.,:?()[\]{}<>+\-*/%]/.test(source[start] ?? "")) return { offset: start, message: `Syntax error: extraneous input '${token}' expecting <EOF>` };
      return { offset: start, message: `Syntax error: token recognition error at: '${source[start] ?? ""}'` };
    case "expected_token": {
      const wanted = /Expected (\w+)/.exec(e.summary)?.[1] ?? "";
      return { offset: start, message: `Syntax error: mismatched input '${token}' expecting ${TOKENS[wanted] ?? wanted}` };
    }
    default: return { offset: start, message: `Syntax error: extraneous input '${token}' expecting <EOF>` };
  }
}

const TOKENS: Readonly<Record<string, string>> = { RPAREN: "')'", RBRACKET: "']'", RBRACE: "'}'", COLON: "':'", IDENTIFIER: "IDENTIFIER", EOF: "<EOF>" };

/** `ERROR: <input>:1:5: message`, the line and a mark below it, one after the other. */
export function formatIssues(source: string, issues: readonly Issue[]): string {
  const lines = source.split("\n");
  const located = issues.map(({ offset, message }) => {
    let line = 0;
    let column = offset;
    while (line < lines.length - 1 && column > lines[line]!.length) column -= lines[line++]!.length + 1;
    return { line, column, message };
  });
  located.sort((a, b) => a.line - b.line || a.column - b.column);
  return located.map(({ line, column, message }) => `ERROR: <input>:${line + 1}:${column + 1}: ${message}\n | ${lines[line]!.replace(/\t/g, " ")}\n | ${".".repeat(column)}^`).join("\n");
}

export const BINARY: Readonly<Record<string, string>> = {
  "==": "_==_", "!=": "_!=_", "<": "_<_", "<=": "_<=_", ">": "_>_", ">=": "_>=_", "+": "_+_", "-": "_-_", "*": "_*_", "/": "_/_", "%": "_%_",
  in: "@in", "||": "_||_", "&&": "_&&_",
};

/** Where cel-go says that a node is. */
export function offsetOf(node: Node): number {
  const { input } = node;
  const within = (from: number, text: string): number => Math.max(from, input.indexOf(text, from));
  switch (node.op) {
    case ".":
    case ".?": return within(node.args[0].end, ".");
    case "[]":
    case "[?]": return within(node.args[0].end, "[");
    case "call": return within(node.start + node.args[0].length, "(");
    case "rcall": return within(within(node.args[1].end, node.args[0]) + node.args[0].length, "(");
    case "?:": return within(node.args[0].end, "?");
    case "value":
    case "id":
    case "list":
    case "map":
    case "!_":
    case "-_": return node.start;
    default: return within((node.args as readonly [Node, Node])[0].end, node.op);
  }
}

const MACROS: Readonly<Record<string, readonly number[]>> = { all: [2], exists: [2], exists_one: [2], filter: [2], map: [2, 3], optMap: [2], optFlatMap: [2] };

/** A comprehension: `range.all(variable, …)`; undefined for other calls. */
export function macroOf(node: Node): { readonly name: string; readonly range: Node; readonly variable: string; readonly bodies: readonly Node[] } | undefined {
  if (node.op !== "rcall") return undefined;
  const [name, range, args] = node.args;
  const first = args[0];
  if (MACROS[name]?.includes(args.length) !== true || first?.op !== "id") return undefined;
  return { name, range, variable: first.args, bodies: args.slice(1) };
}

/** `cel.bind(variable, value, body)`. */
export function bindOf(node: Node): { readonly variable: string; readonly value: Node; readonly body: Node } | undefined {
  if (node.op !== "rcall") return undefined;
  const [name, target, args] = node.args;
  if (name !== "bind" || target.op !== "id" || target.args !== "cel" || args.length !== 3 || args[0]!.op !== "id") return undefined;
  return { variable: args[0]!.args, value: args[1]!, body: args[2]! };
}

/** The qualified name of a global function that is called like a method: `sets.contains`. */
export function qualifiedName(node: Node): string | undefined {
  if (node.op !== "rcall" || node.args[1].op !== "id") return undefined;
  return `${node.args[1].args}.${node.args[0]}`;
}

export const isUint = (value: unknown): boolean => value instanceof UnsignedInt;
