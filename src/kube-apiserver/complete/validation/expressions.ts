/** CEL in admission policies and match conditions, as far as it can be judged when it is written. Follows k8s.io/apiserver/pkg/admission/plugin/cel/compile.go. */
import { formatIssues, parseExpression } from "../../crd/cel/ast.ts";
import { check } from "../../crd/cel/checker.ts";
import { BOOL, DYN, formatType, NULL, STRING } from "../../crd/cel/types.ts";
import type { Decl, Type } from "../../crd/cel/types.ts";
import type { FieldErrors } from "../../field.ts";

/** What expressions may name, and the type of each. */
export type Scope = Map<string, Type>;

/** The variables of every policy; `params` only where the policy has a paramKind. */
export function admissionScope(params: boolean): Scope {
  const names = ["object", "oldObject", "request", "namespaceObject", ...(params ? ["params"] : [])];
  return new Map(names.map((name) => [name, DYN]));
}

/** Gives a scope its `variables`; each one that is added can be named from then on. */
export function variablesOf(scope: Scope): Map<string, Decl> {
  const fields = new Map<string, Decl>();
  const decl: { type?: Type; maxElements: number; minSize: number; fields: Map<string, Decl> } = { maxElements: 0, minSize: 0, fields };
  const type: Type = { k: "object", decl: decl as Decl };
  decl.type = type;
  scope.set("variables", type);
  return fields;
}

const RESULTS = { bool: [BOOL], string: [STRING], annotation: [STRING, NULL], any: [] } as const;

/** Reports what is wrong with an expression at `path`; gives its type, DYN where there is none. Calls of the authorizer are taken as they are. */
export function expression(source: string, scope: Scope, wanted: keyof typeof RESULTS, path: string, errors: FieldErrors): Type {
  const parsed = parseExpression(source);
  if ("issue" in parsed) {
    errors.invalid(path, source, `compilation failed: ${formatIssues(source, [parsed.issue])}`);
    return DYN;
  }
  if (/\bauthorizer\b/.test(source)) return DYN;
  const { issues, type } = check(parsed.node, scope);
  if (issues.length > 0) {
    errors.invalid(path, source, `compilation failed: ${formatIssues(source, issues)}`);
    return DYN;
  }
  const results = RESULTS[wanted];
  if (results.length > 0 && type.k !== "dyn" && !results.some(({ k }) => k === type.k))
    errors.invalid(path, source, `must evaluate to ${results.length === 1 ? results[0].k : "one of [string null_type]"} but got ${formatType(type)}`);
  return type;
}
