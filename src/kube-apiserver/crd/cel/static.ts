/**
 * The rules of a schema when its definition is stored: whether they compile, what they could cost. Follows
 * k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation (cel_validation.go, validation.go).
 */
import type { FieldError } from "../../../apimachinery/status.ts";
import { child, forbidden, GoText, indexed, invalid, quote } from "../errors.ts";
import { isEmbedded } from "../schema.ts";
import type { Rule, Schema } from "../schema.ts";
import { compileRule } from "./compile.ts";
import { COST_MAX } from "./cost.ts";
import { declOf, escapeName } from "./types.ts";
import type { Decl } from "./types.ts";

/** The most that one expression may cost. */
const COST_LIMIT = 10_000_000;
/** The most that the expressions of a schema may cost together. */
export const COST_LIMIT_TOTAL = 100_000_000;

interface Total {
  total: number;
  mostExpensive: { path: string; cost: number }[];
}

/** A place in a schema, with how often it can be in an object. */
export class CelContext {
  readonly schema: Schema;
  readonly total: Total;
  /** Undefined: without a limit. */
  private readonly cardinality: number | undefined;
  private readonly parent: CelContext | undefined;
  /** How the parent's type names this place. */
  private readonly step: { readonly name: string; readonly property: boolean } | undefined;

  constructor(schema: Schema, parent?: CelContext, step?: { readonly name: string; readonly property: boolean }) {
    this.schema = schema;
    this.parent = parent;
    this.step = step;
    const [above, factor] = parent === undefined ? [1, 1] : [parent.cardinality, maxElements(parent.schema)];
    this.cardinality = above === undefined || factor === undefined ? undefined : Math.min(above * factor, COST_MAX);
    this.total = parent?.total ?? { total: 0, mostExpensive: [] };
  }

  child(schema: Schema, name: string, property = false): CelContext {
    return new CelContext(schema, this, { name, property });
  }

  /** What values here are; undefined when rules cannot see them. */
  decl(): Decl | undefined {
    if (this.parent === undefined || this.step === undefined) return declOf(this.schema, true);
    const { name, property } = this.step;
    const parent = this.parent.decl();
    const escaped = property ? escapeName(name) : undefined;
    const known = property ? (escaped === undefined ? undefined : parent?.fields?.get(escaped)) : parent?.elem;
    return known ?? declOf(this.schema, isEmbedded(this.schema));
  }

  costOf(cost: number, maxCardinality: number): number {
    return cost === 0 ? 0 : Math.min(cost * (this.cardinality ?? maxCardinality), COST_MAX);
  }

  observe(path: string, cost: number): void {
    this.total.total = Math.min(this.total.total + cost, COST_MAX);
    if (cost < COST_LIMIT_TOTAL / 100) return;
    const list = [...this.total.mostExpensive, { path, cost }].sort((a, b) => b.cost - a.cost);
    this.total.mostExpensive = list.slice(0, 4);
  }
}

function maxElements(schema: Schema): number | undefined {
  if (schema.type === "object" && schema.additionalProperties !== undefined) return schema.maxProperties === undefined ? undefined : Math.max(0, schema.maxProperties);
  if (schema.type === "array") return schema.maxItems === undefined ? undefined : Math.max(0, schema.maxItems);
  return 1;
}

export function costMessage(what: string, cost: number, limit: number): string {
  const factor = cost / limit;
  const shown = factor > 100 ? "more than 100x" : factor < 1.5 ? `${factor.toFixed(6)}x` : `${factor.toFixed(1)}x`;
  return `${what} exceeds budget by factor of ${shown} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)`;
}

/** What is wrong with the rules of the schema at `path`. */
export function ruleFindings(schema: Schema, path: string, context: CelContext, { uncorrelated, judgeCost }: { readonly uncorrelated: string | undefined; readonly judgeCost: boolean }): FieldError[] {
  const errors: FieldError[] = [];
  const decl = context.decl();
  const rules = child(path, "x-kubernetes-validations");
  if (decl === undefined) {
    const message = "internal error: failed to construct type information for x-kubernetes-validations rules: unable to convert structural schema to CEL declarations";
    return [{ type: "InternalError", field: rules, message: `Internal error: ${message}` } as unknown as FieldError];
  }
  for (const [i, rule] of schema["x-kubernetes-validations"]!.entries()) {
    const at = (name: string): string => child(indexed(rules, i), name);
    const compiled = compileRule(rule, decl);
    const cost = context.costOf(compiled.maxCost, compiled.maxCardinality);
    if (judgeCost && cost > COST_LIMIT) errors.push(forbidden(at("rule"), costMessage("estimated rule cost", cost, COST_LIMIT)));
    context.observe(at("rule"), cost);
    if (compiled.problem !== undefined) errors.push(invalid(at("rule"), new GoText(goRule(rule)), compiled.problem));
    if (compiled.message?.problem !== undefined) errors.push(invalid(at("messageExpression"), new GoText(goRule(rule)), compiled.message.problem));
    else if (compiled.message !== undefined) {
      const { maxCost } = compiled.message;
      if (judgeCost && maxCost > COST_LIMIT) errors.push(forbidden(at("messageExpression"), costMessage("estimated messageExpression cost", maxCost, COST_LIMIT)));
      context.observe(at("messageExpression"), maxCost);
    }
    if (compiled.usesOldSelf) {
      if (uncorrelated !== undefined) errors.push(invalid(at("rule"), rule.rule, `oldSelf cannot be used on the uncorrelatable portion of the schema within ${uncorrelated}`));
    } else if (rule.optionalOldSelf !== undefined) errors.push(invalid(at("optionalOldSelf"), rule.optionalOldSelf, "may not be set if oldSelf is not used in rule"));
  }
  return errors;
}

/** Go's `%#v` of a rule. */
function goRule(rule: Rule): string {
  const text = (value: string | undefined): string => quote(value ?? "");
  const pointer = (type: string, value: unknown): string => (value === undefined ? `(*${type})(nil)` : `(*${type})(0xc000000000)`);
  return `apiextensions.ValidationRule{Rule:${text(rule.rule)}, Message:${text(rule.message)}, MessageExpression:${text(rule.messageExpression)}, Reason:${pointer("apiextensions.FieldValueErrorReason", rule.reason)}, FieldPath:${text(rule.fieldPath)}, OptionalOldSelf:${pointer("bool", rule.optionalOldSelf)}}`;
}
