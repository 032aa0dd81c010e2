/** Go's regular expressions (RE2), whose syntax, errors and linear time JavaScript's own do not have. */
import { RE2JS } from "re2js";

export interface Expression {
  /** Whether the text has a match. */
  find(text: string): boolean;
  /** The underlying expression, for what finds places. */
  readonly re: RE2JS;
}

const compiled = new Map<string, Expression>();
const KEPT_MAX = 500;

/** The expression; throws with Go's words when it is none. */
export function regexp(pattern: string): Expression {
  const known = compiled.get(pattern);
  if (known !== undefined) return known;
  const re = RE2JS.compile(pattern);
  const expression: Expression = { re, find: (text) => re.matcher(text).find() };
  if (compiled.size >= KEPT_MAX) compiled.clear();
  compiled.set(pattern, expression);
  return expression;
}

/** Why the pattern is none: `error parsing regexp: …`; undefined when it is one. */
export function patternProblem(pattern: string): string | undefined {
  try {
    regexp(pattern);
    return undefined;
  } catch (e) {
    return e instanceof Error ? e.message : "error parsing regexp";
  }
}
