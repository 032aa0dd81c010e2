/**
 * Evaluates the rules of a schema on objects. Follows k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/validation.go: rules of a
 * place before those below it, transition rules only where there is an old value, ratcheting where nothing changed.
 */
import { deepEqual } from "../../../apimachinery/meta.ts";
import type { FieldError } from "../../../apimachinery/status.ts";
import { child, duplicate, forbidden, indexed, invalid, keyed, NIL_PATH, required } from "../errors.ts";
import { fieldPath } from "../field-path.ts";
import { isEmbedded, isMap, itemsOf, listTypeOf, own, valuesOf } from "../schema.ts";
import type { Rule, Schema } from "../schema.ts";
import { compileRule, optionalOf, toCel } from "./compile.ts";
import type { CompiledRule } from "./compile.ts";
import { CelError } from "./library.ts";
import { declOf } from "./types.ts";
import type { Decl } from "./types.ts";

const MESSAGE_BYTES_MAX = 5120;

/** Rules of one place of a schema, and of the places below it. */
export interface Validator {
  readonly schema: Schema;
  readonly root: boolean;
  readonly rules: readonly { readonly rule: Rule; readonly compiled: CompiledRule }[];
  readonly items: Validator | undefined;
  readonly values: Validator | undefined;
  readonly properties: ReadonlyMap<string, Validator>;
}

/** Undefined when there are no rules in the schema. */
export function validatorOf(schema: Schema, root: boolean, given?: Decl): Validator | undefined {
  const decl = given ?? declOf(schema, root);
  const own = schema["x-kubernetes-validations"] ?? [];
  const rules = decl === undefined ? [] : own.map((rule) => ({ rule, compiled: compileRule(rule, decl) }));
  const items = itemsOf(schema);
  const values = valuesOf(schema);
  const properties = new Map<string, Validator>();
  for (const key of Object.keys(schema.properties ?? {})) {
    const property = schema.properties![key]!;
    const inner = validatorOf(property, isEmbedded(property));
    if (inner !== undefined) properties.set(key, inner);
  }
  const out: Validator = {
    schema, root, rules, properties,
    items: items === undefined ? undefined : validatorOf(items, isEmbedded(items), decl?.elem),
    values: values === undefined ? undefined : validatorOf(values, isEmbedded(values), decl?.elem),
  };
  return rules.length === 0 && out.items === undefined && out.values === undefined && properties.size === 0 ? undefined : out;
}

export interface Findings {
  readonly errors: FieldError[];
  /** Findings about what did not change: told, but tolerated. */
  readonly warnings: string[];
}

/** What the rules find in `value`; `old` is undefined for a new object. */
export function validateRules(validator: Validator, value: unknown, old: unknown): Findings {
  const findings: Findings = { errors: [], warnings: [] };
  visit(validator, NIL_PATH, value, old, { correlated: old !== undefined, equalParent: false }, findings);
  return findings;
}

interface Correlation {
  /** Whether `old` is the old value of this very place. */
  readonly correlated: boolean;
  /** Where it is not: whether the nearest place above that has an old value is as it was. */
  readonly equalParent: boolean;
}

function visit(v: Validator, path: string, value: unknown, old: unknown, correlation: Correlation, findings: Findings): void {
  if (value === null || value === undefined) return;
  evaluate(v, path, value, old, correlation, findings);
  const below = (was: unknown, known: boolean): Correlation =>
    known && was !== undefined ? { correlated: true, equalParent: false } : { correlated: false, equalParent: correlation.correlated ? deepEqual(value, old) : correlation.equalParent };
  if (Array.isArray(value)) {
    if (v.items === undefined) return;
    const before = listTypeOf(v.schema) === "map" && Array.isArray(old) ? byKeys(old, v.schema) : undefined;
    for (const [i, item] of value.entries()) {
      const was = before?.get(keyOf(item, v.schema));
      visit(v.items, indexed(path, i), item, was, below(was, before !== undefined), findings);
    }
    return;
  }
  if (!isMap(value)) return;
  const before = v.schema["x-kubernetes-map-type"] !== "atomic" && isMap(old) ? old : undefined;
  for (const key of Object.keys(value).sort()) {
    const inner = v.values ?? v.properties.get(key);
    if (inner === undefined) continue;
    const was = own(before, key);
    visit(inner, v.values === undefined ? child(path, key) : keyed(path, key), value[key], was, below(was, before !== undefined), findings);
  }
}

const keyOf = (item: unknown, schema: Schema): string => JSON.stringify((schema["x-kubernetes-list-map-keys"] ?? []).map((k) => (isMap(item) ? (item[k] ?? null) : null)));
const byKeys = (list: readonly unknown[], schema: Schema): Map<string, unknown> => new Map(list.map((item) => [keyOf(item, schema), item]));

function evaluate({ schema, root, rules }: Validator, path: string, value: unknown, old: unknown, correlation: Correlation, findings: Findings): void {
  if (rules.length === 0) return;
  const type = schema.type ?? "";
  const self = toCel(value, schema, root);
  const before = old === undefined || old === null ? undefined : toCel(old, schema, root);
  const unchanged = correlation.correlated ? deepEqual(value, old) : correlation.equalParent;
  for (const { rule, compiled } of rules) {
    const shown = ((rule.message ?? "") === "" ? rule.rule : rule.message!).trim();
    if (compiled.problem !== undefined) {
      findings.errors.push(invalid(path, type, `rule compile error: ${compiled.problem}`));
      continue;
    }
    const optional = rule.optionalOldSelf === true;
    if (compiled.usesOldSelf && before === undefined && !optional) continue;
    const oldSelf = optional ? optionalOf(before) : before;
    let result: unknown;
    try {
      result = compiled.run(self, oldSelf);
    } catch (e) {
      if (!(e instanceof CelError)) throw e;
      const detail = e.message.startsWith("no such overload")
        ? `'${e.message}': call arguments did not match a supported operator, function or macro signature for rule: ${shown}` : `${e.message} evaluating rule: ${shown}`;
      findings.errors.push(invalid(path, type, detail));
      continue;
    }
    if (result === true) continue;
    const error = failure(rule, compiled, path, type, schema, self, oldSelf, shown);
    if (!compiled.usesOldSelf && unchanged) findings.warnings.push(`${error.field}: ${error.message}`);
    else findings.errors.push(error);
  }
}

function failure(rule: Rule, compiled: CompiledRule, path: string, type: string, schema: Schema, self: unknown, oldSelf: unknown, shown: string): FieldError {
  let at = path;
  if ((rule.fieldPath ?? "") !== "") {
    const found = fieldPath(rule.fieldPath!.trim(), schema, true);
    if ("path" in found) at = child(path, found.path);
  }
  const detail = messageOf(compiled, self, oldSelf) ?? ((rule.message ?? "") === "" ? `failed rule: ${shown}` : rule.message!.trim());
  switch (rule.reason) {
    case "FieldValueForbidden": return forbidden(at, detail);
    case "FieldValueRequired": return required(at, detail);
    case "FieldValueDuplicate": return duplicate(at, type);
    default: return invalid(at, type, detail);
  }
}

/** What the message expression says; undefined when it fails or says nothing fit to be shown. */
function messageOf({ message }: CompiledRule, self: unknown, oldSelf: unknown): string | undefined {
  if (message === undefined || message.problem !== undefined) return undefined;
  let text: unknown;
  try {
    text = message.run(self, oldSelf);
  } catch (e) {
    if (e instanceof CelError) return undefined;
    throw e;
  }
  const trimmed = typeof text === "string" ? text.trim() : "";
  return trimmed === "" || trimmed.includes("\n") || new TextEncoder().encode(trimmed).length > MESSAGE_BYTES_MAX ? undefined : trimmed;
}
