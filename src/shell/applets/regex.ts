/** POSIX regular expressions, basic and extended, as JavaScript's; over byte strings. */
import { bracket } from "../sh/pattern.ts";

/** A pattern that is none; worded as regcomp says it. */
export class RegexFault extends Error {}

const special = /[\\^$.*+?()[\]{}|/]/;
const literal = (c: string): string => (special.test(c) ? `\\${c}` : c);

/** The same pattern in JavaScript's syntax. Throws RegexFault. */
export function translate(pattern: string, extended: boolean): string {
  let out = "", depth = 0;
  /** Whether an anchor or a star here stands at the beginning of an expression. */
  let start = true;
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern[i]!;
    const wasStart = start;
    start = false;
    if (c === "[") {
      const set = posixBracket(pattern, i);
      if (set === undefined) throw new RegexFault("Unmatched [, [^, [:, [., or [=");
      out += set.source;
      i = set.end;
      continue;
    }
    if (c === "\\") {
      const next = pattern[++i];
      if (next === undefined) throw new RegexFault("Trailing backslash");
      if (!extended && next === "(") {
        out += "(";
        depth++;
        start = true;
      } else if (!extended && next === ")") {
        if (depth-- === 0) throw new RegexFault("Unmatched ) or \\)");
        out += ")";
      } else if (!extended && next === "{") {
        const end = pattern.indexOf("\\}", i);
        if (end < 0) throw new RegexFault("Unmatched \\{");
        out += interval(pattern.slice(i + 1, end));
        i = end + 1;
      } else if (!extended && (next === "+" || next === "?")) out += wasStart ? literal(next) : next;
      else if (!extended && next === "|") {
        out += "|";
        start = true;
      } else if (/[1-9]/.test(next)) out += `\\${next}(?:)`;
      else if (next === "n") out += "\\n";
      else if (next === "t") out += "\\t";
      else if (next === "w") out += "[A-Za-z0-9_]";
      else if (next === "W") out += "[^A-Za-z0-9_]";
      else if (next === "s") out += "[ \\t\\n\\r\\f\\v]";
      else if (next === "S") out += "[^ \\t\\n\\r\\f\\v]";
      else if (next === "b" || next === "B") out += `\\${next}`;
      else if (next === "<") out += "\\b(?=[A-Za-z0-9_])";
      else if (next === ">") out += "\\b(?<=[A-Za-z0-9_])";
      else if (next === "`") out += "^";
      else if (next === "'") out += "$";
      else out += literal(next);
      continue;
    }
    if (extended) {
      if (c === "(") {
        out += "(";
        depth++;
        start = true;
        continue;
      }
      if (c === ")") {
        if (depth === 0) out += "\\)";
        else {
          depth--;
          out += ")";
        }
        continue;
      }
      if (c === "|") {
        out += "|";
        start = true;
        continue;
      }
      if (c === "{") {
        const match = /^\{([0-9]*(?:,[0-9]*)?)\}/.exec(pattern.slice(i));
        if (match === null || wasStart) out += "\\{";
        else {
          out += interval(match[1]!);
          i += match[0].length - 1;
        }
        continue;
      }
      if (c === "+" || c === "?" || c === "*") {
        if (wasStart) {
          if (c !== "*") throw new RegexFault("Invalid preceding regular expression");
          out += "\\*";
        } else if (!/[^\\][*+?}]$|^[*+?}]$/.test(out) || out.endsWith("(?:)")) out += c;
        else if (!out.endsWith(c)) out = `${out}`;
        continue;
      }
      if (c === "^" || c === "$") {
        out += c;
        start = c === "^";
        continue;
      }
    } else {
      if (c === "*") {
        if (wasStart) out += "\\*";
        else if (!out.endsWith("*") || out.endsWith("\\*")) out += "*";
        continue;
      }
      if (c === "^") {
        if (wasStart) {
          out += "^";
          start = true;
        } else out += "\\^";
        continue;
      }
      if (c === "$") {
        const rest = pattern.slice(i + 1);
        out += rest === "" || rest.startsWith("\\)") || rest.startsWith("\\|") ? "$" : "\\$";
        continue;
      }
    }
    out += c === "." ? "[\\s\\S]" : literal(c);
  }
  if (depth > 0) throw new RegexFault("Unmatched ( or \\(");
  return out;
}

function interval(text: string): string {
  const match = /^([0-9]*)(?:(,)([0-9]*))?$/.exec(text);
  if (match === null) throw new RegexFault("Invalid content of \\{\\}");
  const [, low, comma, high] = match;
  if (high !== undefined && high !== "" && Number(high) < Number(low || 0)) throw new RegexFault("Invalid content of \\{\\}");
  return `{${low === "" ? 0 : low}${comma === undefined ? "" : `,${high}`}}`;
}

/** In a regular expression's bracket a backslash is a backslash. */
function posixBracket(pattern: string, at: number): { source: string; end: number } | undefined {
  let end = at + 1;
  if (pattern[end] === "^") end++;
  if (pattern[end] === "]") end++;
  for (; end < pattern.length && pattern[end] !== "]"; end++) {
    if (pattern[end] === "[" && /[:.=]/.test(pattern[end + 1] ?? "")) {
      const close = pattern.indexOf(`${pattern[end + 1]}]`, end + 2);
      if (close < 0) return undefined;
      end = close + 1;
    }
  }
  if (end >= pattern.length) return undefined;
  const inside = pattern.slice(at, end + 1);
  const negated = inside[1] === "^";
  const body = inside.slice(negated ? 2 : 1).replace(/\\(?!n)/g, "\\\\");
  const set = bracket(`[${negated ? "!" : ""}${body.replace(/\\n/g, "\n")}`, 0);
  return set === undefined ? undefined : { source: set.source, end };
}

export function compile(pattern: string, { extended = false, ignoreCase = false, global = false, multiline = false } = {}): RegExp {
  return new RegExp(translate(pattern, extended), `${ignoreCase ? "i" : ""}${global ? "g" : ""}${multiline ? "m" : ""}`);
}
