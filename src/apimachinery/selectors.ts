/**
 * Label and field selectors. Follows k8s.io/apimachinery/pkg/labels/selector.go, pkg/fields/selector.go and
 * metav1.LabelSelectorAsSelector; parse errors have upstream's wording.
 */
import type { LabelSelector } from "../api/types.generated.ts";
import { validateLabelKey, validateLabelValue } from "./validation.ts";

export type Operator = "=" | "==" | "!=" | "in" | "notin" | "exists" | "!" | "gt" | "lt";

export interface Requirement {
  key: string;
  operator: Operator;
  values: readonly string[];
}

/** All requirements must hold; none at all selects everything. `nothing` selects no object. */
export interface Selector {
  readonly requirements: readonly Requirement[];
  readonly nothing?: boolean;
}

export type Labels = Readonly<Record<string, string>> | undefined;

export const everything: Selector = { requirements: [] };
export const nothing: Selector = { requirements: [], nothing: true };

/** Thrown by the parsers; the message is upstream's. */
export class SelectorError extends Error {}

export function isEmpty(selector: Selector): boolean {
  return selector.requirements.length === 0 && selector.nothing !== true;
}

/** Whether the labels satisfy the selector. Follows Requirement.Matches. */
export function matches(selector: Selector, labels: Labels): boolean {
  if (selector.nothing === true) return false;
  for (const requirement of selector.requirements) if (!matchesOne(requirement, labels)) return false;
  return true;
}

function matchesOne({ key, operator, values }: Requirement, labels: Labels): boolean {
  const value = labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case "=":
    case "==":
    case "in":
      return value !== undefined && values.includes(value);
    case "!=":
    case "notin":
      return value === undefined || !values.includes(value);
    case "exists":
      return value !== undefined;
    case "!":
      return value === undefined;
    case "gt":
    case "lt": {
      if (value === undefined || !/^[+-]?\d+$/.test(value)) return false;
      const [left, right] = [BigInt(value), BigInt(values[0]!)];
      return operator === "gt" ? left > right : left < right;
    }
  }
}

/** `matchLabels` of a map. Follows labels.SelectorFromSet. */
export function selectorFromSet(set: Labels): Selector {
  if (set === undefined) return everything;
  return { requirements: Object.keys(set).sort().map((key) => ({ key, operator: "=", values: [set[key]!] })) };
}

const OPERATORS: Readonly<Record<string, Operator>> = { In: "in", NotIn: "notin", Exists: "exists", DoesNotExist: "!" };

/** An absent selector matches nothing, an empty one everything. Follows metav1.LabelSelectorAsSelector. */
export function labelSelector(selector: LabelSelector | undefined): Selector {
  if (selector === undefined) return nothing;
  const requirements: Requirement[] = [...selectorFromSet(selector.matchLabels).requirements];
  for (const { key, operator, values } of selector.matchExpressions ?? []) {
    const op = OPERATORS[operator];
    if (op === undefined) throw new SelectorError(`"${operator}" is not a valid label selector operator`);
    requirements.push({ key, operator: op, values: values ?? [] });
  }
  return { requirements: sortByKey(requirements) };
}

function sortByKey(requirements: Requirement[]): Requirement[] {
  return requirements.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
}

/** The text form: `app=web,tier in (a,b)`. */
export function formatSelector(selector: Selector): string {
  return selector.requirements
    .map(({ key, operator, values }) => {
      switch (operator) {
        case "exists": return key;
        case "!": return `!${key}`;
        case "in":
        case "notin": return `${key} ${operator} (${[...values].sort().join(",")})`;
        case "gt": return `${key}>${values[0]}`;
        case "lt": return `${key}<${values[0]}`;
        default: return `${key}${operator}${values[0]}`;
      }
    })
    .join(",");
}

interface Token {
  kind: "id" | "end" | "op";
  text: string;
}

const SYMBOLS = new Set(["=", "==", "!=", "!", "(", ")", ",", ">", "<"]);
const SPECIAL = "=!(),><";

function tokens(text: string): Token[] {
  const out: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const c = text[at]!;
    if (c === " " || c === "\t" || c === "\r" || c === "\n") at++;
    else if (SPECIAL.includes(c)) {
      let symbol = c;
      while (at + symbol.length < text.length && SPECIAL.includes(text[at + symbol.length]!) && SYMBOLS.has(symbol + text[at + symbol.length]!))
        symbol += text[at + symbol.length]!;
      out.push({ kind: "op", text: symbol });
      at += symbol.length;
    } else {
      let end = at;
      while (end < text.length && !SPECIAL.includes(text[end]!) && !" \t\r\n".includes(text[end]!)) end++;
      out.push({ kind: "id", text: text.slice(at, end) });
      at = end;
    }
  }
  out.push({ kind: "end", text: "" });
  return out;
}

/** Parses `app=web,tier in (a,b),!x`. Throws {@link SelectorError}. Follows labels.Parse. */
export function parseLabelSelector(text: string): Selector {
  const list = tokens(text);
  const requirements: Requirement[] = [];
  let at = 0;
  const peek = (): Token => list[at] ?? { kind: "end", text: "" };
  const isKeyword = (t: Token): boolean => t.kind === "id" && (t.text === "in" || t.text === "notin");

  const parseValues = (): string[] => {
    const open = peek();
    if (open.text !== "(" || open.kind !== "op") throw new SelectorError(`found '${open.text}' expected: '('`);
    at++;
    const values: string[] = [];
    let expectValue = true;
    for (;;) {
      const t = peek();
      if (t.kind === "id") {
        values.push(t.text);
        at++;
        expectValue = false;
        const next = peek();
        if (next.text !== "," && next.text !== ")") throw new SelectorError(`found '${next.text}', expected: ',' or ')'`);
      } else if (t.text === ",") {
        if (expectValue) values.push("");
        at++;
        expectValue = true;
      } else if (t.text === ")") {
        if (expectValue) values.push("");
        at++;
        return [...new Set(values)].sort();
      } else throw new SelectorError(`found '${t.text}', expected: ',', ')' or identifier`);
    }
  };

  const parseRequirement = (): void => {
    const wrap = (message: string): SelectorError => new SelectorError(`unable to parse requirement: ${message}`);
    let negated = false;
    if (peek().text === "!") {
      negated = true;
      at++;
    }
    const key = peek();
    if (key.kind !== "id") throw wrap(`found '${key.text}', expected: identifier`);
    at++;
    const keyErrors = validateLabelKey(key.text);
    if (keyErrors.length > 0)
      throw wrap(`<nil>: Invalid value: "${key.text}": ${keyErrors.join("; ")}`);
    const next = peek();
    if (negated || next.kind === "end" || next.text === ",") {
      requirements.push({ key: key.text, operator: negated ? "!" : "exists", values: [] });
      return;
    }
    at++;
    let operator: Operator;
    if (isKeyword(next)) operator = next.text as Operator;
    else if (next.text === ">") operator = "gt";
    else if (next.text === "<") operator = "lt";
    else if (next.kind === "op" && (next.text === "=" || next.text === "==" || next.text === "!=")) operator = next.text;
    else throw wrap(`found '${next.text}', expected: in, notin, =, ==, !=, gt, lt`);
    let values: string[];
    try {
      if (operator === "in" || operator === "notin") values = parseValues();
      else if (peek().kind === "id") {
        values = [peek().text];
        at++;
      } else if (peek().kind === "end" || peek().text === ",") values = [""];
      else throw new SelectorError(`found '${peek().text}', expected: identifier`);
    } catch (e) {
      throw e instanceof SelectorError ? wrap(e.message) : e;
    }
    if ((operator === "gt" || operator === "lt") && !/^[+-]?\d+$/.test(values[0]!))
      throw wrap(`values[0]: Invalid value: "${values[0]}": for 'Gt', 'Lt' operators, the value must be an integer`);
    values.forEach((value, i) => {
      const errors = validateLabelValue(value);
      if (errors.length > 0) throw wrap(`values[${i}][${key.text}]: Invalid value: "${value}": ${errors.join("; ")}`);
    });
    requirements.push({ key: key.text, operator, values });
  };

  for (;;) {
    const t = peek();
    if (t.kind === "id" || t.text === "!") {
      parseRequirement();
      const next = peek();
      if (next.kind === "end") break;
      if (next.text !== ",") throw new SelectorError(`found '${next.text}', expected: ',' or 'end of string'`);
      at++;
      const after = peek();
      if (after.kind !== "id" && after.text !== "!") throw new SelectorError(`found '${after.text}', expected: identifier after ','`);
    } else if (t.kind === "end") break;
    else throw new SelectorError(`found '${t.text}', expected: !, identifier, or 'end of string'`);
  }
  return { requirements: sortByKey(requirements) };
}

/** One term of a field selector. */
export interface FieldTerm {
  field: string;
  equal: boolean;
  value: string;
}

/** Parses `metadata.name=a,spec.nodeName!=b`. Throws {@link SelectorError}. Follows fields.ParseSelector. */
export function parseFieldSelector(text: string): FieldTerm[] {
  const out: FieldTerm[] = [];
  for (const part of splitTerms(text)) {
    if (part === "") continue;
    const m = /^((?:[^=!\\]|\\.)*?)(==|!=|=)(.*)$/s.exec(part);
    if (m === null) throw new SelectorError(`invalid selector: '${text}'; can't understand '${part}'`);
    out.push({ field: m[1]!, equal: m[2] !== "!=", value: unescape(m[3]!) });
  }
  return out;
}

function splitTerms(text: string): string[] {
  const terms: string[] = [];
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === ",") {
      terms.push(text.slice(start, i));
      start = i + 1;
    }
  }
  terms.push(text.slice(start));
  return terms;
}

function unescape(value: string): string {
  let out = "";
  for (let i = 0; i < value.length; i++) {
    const c = value[i]!;
    if (c === "\\") {
      const next = value[++i];
      if (next === undefined || !"\\,=".includes(next)) throw new SelectorError(`invalid field selector: invalid escape sequence in value: ${value}`);
      out += next;
    } else if (c === ",") throw new SelectorError(`invalid field selector: unescaped special character in value: ${value}`);
    else if (c === "=") throw new SelectorError(`invalid field selector: unescaped special character in value: ${value}`);
    else out += c;
  }
  return out;
}

/** Whether the values of an object's selectable fields satisfy all terms; an absent field reads as "". */
export function matchesFields(terms: readonly FieldTerm[], fields: Readonly<Record<string, string | undefined>>): boolean {
  for (const { field, equal, value } of terms) if (((fields[field] ?? "") === value) !== equal) return false;
  return true;
}
