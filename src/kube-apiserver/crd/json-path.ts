/**
 * The JSON paths of printer columns and scale: dots, brackets, indices, `*`, `..` is not among them, filters like
 * `[?(@.type=="Ready")]`. Follows k8s.io/client-go/util/jsonpath as far as columns use it.
 */
import { isMap } from "./schema.ts";

type Step = (values: readonly unknown[]) => unknown[];

const parsed = new Map<string, readonly Step[]>();

/** Everything that the path leads to; nothing where keys are missing or the path is none. */
export function findJsonPath(path: string, root: unknown): unknown[] {
  let steps = parsed.get(path);
  if (steps === undefined) parsed.set(path, (steps = parse(path)));
  return steps.reduce<unknown[]>((values, step) => step(values), [root]);
}

const NOTHING: readonly Step[] = [() => []];

function parse(path: string): readonly Step[] {
  const steps: Step[] = [];
  let rest = path.startsWith("{") && path.endsWith("}") ? path.slice(1, -1) : path;
  while (rest !== "") {
    const name = /^\.?((?:[^.[\]\\]|\\.)+)/.exec(rest);
    const bracket = /^\.?\[([^\]]*(?:\(.*?\))?[^\]]*)\]/.exec(rest);
    if (bracket !== null) {
      const step = bracketStep(bracket[1]!.trim());
      if (step === undefined) return NOTHING;
      steps.push(step);
      rest = rest.slice(bracket[0].length);
    } else if (name !== null) {
      steps.push(name[1] === "*" ? everything : member(name[1]!.replace(/\\(.)/g, "$1")));
      rest = rest.slice(name[0].length);
    } else if (rest === ".") return steps;
    else return NOTHING;
  }
  return steps;
}

const member = (key: string): Step => (values) => values.flatMap((v) => (isMap(v) && Object.hasOwn(v, key) && v[key] !== undefined ? [v[key]] : []));
const everything: Step = (values) => values.flatMap((v) => (Array.isArray(v) ? (v as unknown[]) : isMap(v) ? Object.keys(v).sort().map((k) => v[k]) : []));

function bracketStep(text: string): Step | undefined {
  if (text === "*") return everything;
  const quoted = /^(['"])(.*)\1$/.exec(text);
  if (quoted !== null) return member(quoted[2]!);
  if (/^-?\d+$/.test(text)) {
    const at = Number(text);
    return (values) => values.flatMap((v) => {
      const i = Array.isArray(v) && at < 0 ? v.length + at : at;
      return Array.isArray(v) && i >= 0 && i < v.length ? [v[i] as unknown] : [];
    });
  }
  const range = /^(-?\d*):(-?\d*)$/.exec(text);
  if (range !== null) return (values) => values.flatMap((v) => (Array.isArray(v) ? (v.slice(range[1] === "" ? 0 : Number(range[1]), range[2] === "" ? undefined : Number(range[2])) as unknown[]) : []));
  const filter = /^\?\(\s*@(.*?)\s*(==|!=|<=|>=|<|>)\s*(.*?)\s*\)$/.exec(text);
  if (filter !== null) {
    const [, path = "", operator = "", literal = ""] = filter;
    const wanted = literalOf(literal);
    return (values) => values.flatMap((v) => (Array.isArray(v) ? (v as unknown[]).filter((item) => holds(findJsonPath(path, item)[0], operator, wanted)) : []));
  }
  const exists = /^\?\(\s*@(.*?)\s*\)$/.exec(text);
  return exists === null ? undefined : (values) => values.flatMap((v) => (Array.isArray(v) ? (v as unknown[]).filter((item) => findJsonPath(exists[1]!, item).length > 0) : []));
}

function literalOf(text: string): unknown {
  const quoted = /^(['"])(.*)\1$/.exec(text);
  if (quoted !== null) return quoted[2];
  return text === "true" ? true : text === "false" ? false : Number(text);
}

function holds(value: unknown, operator: string, wanted: unknown): boolean {
  switch (operator) {
    case "==": return value === wanted;
    case "!=": return value !== wanted;
    default:
      if (typeof value !== typeof wanted || (typeof value !== "number" && typeof value !== "string")) return false;
      return operator === "<" ? value < (wanted as string) : operator === ">" ? value > (wanted as string) : operator === "<=" ? value <= (wanted as string) : value >= (wanted as string);
  }
}
