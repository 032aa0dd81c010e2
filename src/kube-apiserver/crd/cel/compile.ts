/** Rules as programs. Follows k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/compilation.go. */
import { EvaluationError, Optional } from "@marcbachmann/cel-js";
import { Duration } from "@marcbachmann/cel-js/evaluator";
import { parseTime } from "../../../apimachinery/time.ts";
import { parseDurationNs } from "../formats.ts";
import { isEmbedded, isIntOrString, isMap, itemsOf, own, valuesOf } from "../schema.ts";
import type { Rule, Schema } from "../schema.ts";
import { formatIssues, parseExpression } from "./ast.ts";
import { check } from "./checker.ts";
import { worstCost } from "./cost.ts";
import { CelError, celEnvironment } from "./library.ts";
import { escapeName, maxCardinality } from "./types.ts";
import type { Decl, Type } from "./types.ts";

export interface Expression {
  /** Why it is none; the rest is without meaning then. */
  readonly problem?: string;
  readonly maxCost: number;
  readonly usesOldSelf: boolean;
  /** The value; throws {@link CelError}. */
  run(self: unknown, oldSelf: unknown): unknown;
}

export interface CompiledRule extends Expression {
  readonly maxCardinality: number;
  readonly message?: Expression;
}

const NOTHING: Expression = { maxCost: 0, usesOldSelf: false, run: () => true };

/** Both expressions of a rule on values of the type `decl`. */
export function compileRule(rule: Rule, decl: Decl): CompiledRule {
  if ((rule.rule ?? "").trim() === "") return { ...NOTHING, maxCardinality: 0 };
  const main = compile(rule.rule, decl, rule.optionalOldSelf === true, "bool", { compile: "compilation failed: ", type: "cel expression must evaluate to a bool" });
  const text = (rule.messageExpression ?? "").trim();
  const out = { ...main, maxCardinality: maxCardinality(decl.minSize) };
  if (text === "" || main.problem !== undefined) return out;
  const message = compile(text, decl, rule.optionalOldSelf === true, "string", { compile: "messageExpression compilation failed: ", type: "messageExpression must evaluate to a string" });
  return { ...out, message };
}

function compile(source: string, decl: Decl, optional: boolean, wanted: "bool" | "string", words: { compile: string; type: string }): Expression {
  const parsed = parseExpression(source);
  const failed = (problem: string): Expression => ({ ...NOTHING, problem });
  if ("issue" in parsed) return failed(words.compile + formatIssues(source, [parsed.issue]));
  const { node } = parsed;
  const variables = new Map<string, Type>([["self", decl.type], ["oldSelf", optional ? { k: "optional", of: decl.type } : decl.type]]);
  const checked = check(node, variables);
  if (checked.issues.length > 0) return failed(words.compile + formatIssues(source, checked.issues));
  if (checked.type.k !== wanted) return failed(words.type);
  let program: ((context: Record<string, unknown>) => unknown) | undefined;
  return {
    maxCost: worstCost(node, checked.types, decl),
    usesOldSelf: checked.used.has("oldSelf"),
    run(self, oldSelf) {
      program ??= celEnvironment().parse(source);
      try {
        return program({ self, oldSelf });
      } catch (e) {
        if (e instanceof CelError) throw e;
        if (e instanceof EvaluationError && e.cause instanceof CelError) throw e.cause;
        throw new CelError(evaluationProblem(e));
      }
    },
  };
}

/** The library's words as cel-go's. */
export function evaluationProblem(e: unknown): string {
  const text = e instanceof EvaluationError ? e.summary : e instanceof Error ? e.message.split("\n")[0]! : "unknown error";
  const key = /^No such key: (.*)$/.exec(text);
  if (key !== null) return `no such key: ${key[1]}`;
  if (/zero/i.test(text)) return /modul/i.test(text) ? "modulus by zero" : "division by zero";
  const index = /index.*?(-?\d+)/i.exec(text);
  if (index !== null) return `index out of bounds: ${index[1]}`;
  if (/overload|no such/i.test(text)) return "no such overload";
  if (/overflow/i.test(text)) return "integer overflow";
  return text.charAt(0).toLowerCase() + text.slice(1);
}

export const optionalOf = (value: unknown): unknown => (value === undefined ? Optional.none() : Optional.of(value));

/** A JSON value as the rules of its schema see it: integers apart from other numbers, times as times, names escaped. */
export function toCel(value: unknown, schema: Schema | undefined, root: boolean): unknown {
  if (value === null || schema === undefined) return value === null ? null : undefined;
  if (isIntOrString(schema)) return typeof value === "number" ? BigInt(value) : value;
  if (Array.isArray(value)) {
    const items = itemsOf(schema);
    return value.map((item) => toCel(item, items, isEmbedded(items)));
  }
  if (isMap(value)) {
    const out: Record<string, unknown> = {};
    const values = valuesOf(schema);
    for (const key of Object.keys(value)) {
      if (root && own(schema.properties, key) === undefined && ROOT[key] !== undefined) {
        out[key] = toCel(value[key], ROOT[key], false);
        continue;
      }
      if (values !== undefined) out[key] = toCel(value[key], values, isEmbedded(values));
      else {
        const property = root && key === "metadata" ? ROOT["metadata"] : own(schema.properties, key);
        const name = property === undefined ? undefined : escapeName(key);
        if (name !== undefined) out[name] = toCel(value[key], property, isEmbedded(property));
      }
    }
    return out;
  }
  if (typeof value === "number") return schema.type === "integer" && Number.isInteger(value) ? BigInt(value) : value;
  return typeof value === "string" && schema.type === "string" ? formatted(value, schema.format) : value;
}

const ROOT: Readonly<Record<string, Schema>> = {
  kind: { type: "string" }, apiVersion: { type: "string" }, metadata: { type: "object", properties: { name: { type: "string" }, generateName: { type: "string" } } },
};

function formatted(text: string, format: string | undefined): unknown {
  switch (format) {
    case "byte": return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    case "date": return new Date(`${text}T00:00:00Z`);
    case "date-time": return new Date(parseTime(text.toUpperCase()) ?? 0);
    case "duration": {
      const ns = parseDurationNs(text) ?? 0n;
      return new Duration(ns / 1_000_000_000n, Number(ns % 1_000_000_000n));
    }
    default: return text;
  }
}
