/**
 * How much an expression can cost at most. Follows cel-go/checker/cost.go over the trees that macros expand to, and
 * k8s.io/apiserver/pkg/cel/library/cost.go. Costs saturate at 2^64-1, as upstream's do.
 */
import { bindOf, macroOf, qualifiedName } from "./ast.ts";
import type { Node } from "./ast.ts";
import { overloadsOf } from "./declarations.ts";
import type { Decl, Type } from "./types.ts";

interface Size {
  readonly min: number;
  readonly max: number;
}

export const COST_MAX = 2 ** 64;
const UNKNOWN: Size = { min: 0, max: COST_MAX };
const capped = (n: number): number => Math.min(n, COST_MAX);
const size = (min: number, max: number): Size => ({ min: capped(min), max: capped(max) });
const plus = (a: Size, b: Size): Size => size(a.min + b.min, a.max + b.max);
const times = (a: Size, b: Size): Size => size(a.min * b.min, a.max === 0 || b.max === 0 ? 0 : a.max * b.max);
const union = (a: Size, b: Size): Size => size(Math.min(a.min, b.min), Math.max(a.max, b.max));
/** The cost of reading a string of this size. */
const traverse = (max: number, factor = 0.1): number => capped(Math.ceil(max * factor));
const product = (a: number, b: number): number => (a === 0 || b === 0 ? 0 : capped(a * b));

const LIST = 10;
const MAP = 30;

interface Local {
  readonly path: readonly string[] | undefined;
  readonly size: Size | undefined;
}

/** The worst cost of `root`, whose nodes have `types`; `self` is what `self` and `oldSelf` are. */
export function worstCost(root: Node, types: ReadonlyMap<Node, Type>, self: Decl): number {
  const paths = new Map<Node, readonly string[]>();
  const sizes = new Map<Node, Size>();
  const locals = new Map<string, Local[]>();

  const local = (name: string): Local | undefined => locals.get(name)?.at(-1);
  const within = (name: string, value: Local, run: () => number): number => {
    const stack = locals.get(name) ?? [];
    locals.set(name, [...stack, value]);
    const out = run();
    locals.set(name, stack);
    return out;
  };
  const typeOf = (node: Node): Type => types.get(node) ?? { k: "dyn" };

  const declAt = (path: readonly string[]): Decl | undefined => {
    let at: Decl | undefined = self;
    for (const step of path.slice(1)) {
      if (at === undefined) return undefined;
      at = step === "@items" || step === "@values" ? at.elem : step === "@keys" ? at.key : at.fields?.get(step);
    }
    return at;
  };
  const pathSize = (path: readonly string[] | undefined): Size | undefined => {
    if (path === undefined || path.length === 0) return undefined;
    const decl = declAt(path);
    return decl === undefined ? undefined : size(0, decl.maxElements);
  };
  const sizeOf = (node: Node): Size => {
    const known = sizes.get(node);
    if (known !== undefined) return known;
    if (node.op === "value") {
      if (typeof node.args === "string") return size([...node.args].length, [...node.args].length);
      if (node.args instanceof Uint8Array) return size(node.args.length, node.args.length);
    }
    if (node.op === "list" || node.op === "map") return size(node.args.length, node.args.length);
    if (node.op === "id") {
      const l = local(node.args);
      if (l?.size !== undefined) return l.size;
    }
    return pathSize(paths.get(node)) ?? (SCALAR.has(typeOf(node).k) ? size(1, 1) : UNKNOWN);
  };
  /** The size of a list's elements. */
  const elementSize = (node: Node, of: Type): Size => {
    const path = paths.get(node);
    return pathSize(path === undefined ? undefined : [...path, "@items"]) ?? (SCALAR.has(of.k) ? size(1, 1) : UNKNOWN);
  };

  const cost = (node: Node): number => {
    switch (node.op) {
      case "value": return 0;
      case "id": {
        const l = local(node.args);
        if (l === undefined) paths.set(node, [node.args]);
        else if (l.path !== undefined) paths.set(node, l.path);
        return 1;
      }
      case ".":
      case ".?": {
        const [operand, field] = node.args;
        let sum = cost(operand);
        if (node.op === ".?") sum += 1;
        else if (["map", "object", "var"].includes(typeOf(operand).k)) sum += 1;
        const path = paths.get(operand);
        if (path !== undefined) paths.set(node, [...path, field]);
        return sum;
      }
      case "[]":
      case "[?]": {
        const [operand, index] = node.args;
        const sum = cost(operand) + cost(index) + 1;
        const path = paths.get(operand);
        if (path !== undefined) paths.set(node, [...path, typeOf(operand).k === "map" ? "@values" : "@items"]);
        return sum;
      }
      case "list": return capped(node.args.reduce((sum, item) => sum + cost(item), LIST));
      case "map": return capped(node.args.reduce((sum, [k, v]) => sum + cost(k) + cost(v), MAP));
      case "!_": return capped(1 + cost(node.args));
      case "-_": return node.args.op === "value" ? 0 : capped(1 + cost(node.args));
      case "||":
      case "&&": return capped(cost(node.args[0]) + cost(node.args[1]));
      case "?:": {
        const [condition, yes, no] = node.args;
        const sum = cost(condition) + Math.max(cost(yes), cost(no));
        sizes.set(node, union(sizeOf(yes), sizeOf(no)));
        return capped(sum);
      }
      case "call": {
        const [name, args] = node.args;
        if (name === "has") {
          const arg = args[0];
          return arg?.op === "." ? cost(arg.args[0]) : 0;
        }
        if (name === "dyn") {
          const inner = cost(args[0]!);
          sizes.set(node, sizeOf(args[0]!));
          return capped(1 + inner);
        }
        return called(node, name, undefined, args);
      }
      case "rcall": {
        const bind = bindOf(node);
        if (bind !== undefined) {
          const value = cost(bind.value);
          return capped(LIST + value + within(bind.variable, { path: paths.get(bind.value), size: sizes.get(bind.value) }, () => {
            const inner = cost(bind.body);
            sizes.set(node, sizeOf(bind.body));
            return inner;
          }));
        }
        const macro = macroOf(node);
        if (macro !== undefined) return comprehension(node, macro);
        const [name, target, args] = node.args;
        const qualified = qualifiedName(node);
        if (qualified !== undefined && overloadsOf(qualified) !== undefined && types.get(target) === undefined) return called(node, qualified, undefined, args);
        return called(node, name, target, args);
      }
      default: return binary(node);
    }
  };

  const binary = (node: Node): number => {
    const [left, right] = node.args as readonly [Node, Node];
    const sum = cost(left) + cost(right);
    const [a, b] = [sizeOf(left), sizeOf(right)];
    const kind = typeOf(left).k;
    switch (node.op) {
      case "==":
      case "!=":
        // Addresses, quantities and the like compare in a few bytes.
        if (kind === "opaque") return capped(sum + 4);
        return capped(sum + traverse(Math.min(a.max, b.max)));
      case "<":
      case "<=":
      case ">":
      case ">=": return capped(sum + (kind === "string" || kind === "bytes" ? traverse(Math.min(a.max, b.max)) : 1));
      case "+":
        if (kind === "string" || kind === "bytes" || kind === "list") {
          const total = plus(a, b);
          sizes.set(node, total);
          return capped(sum + (kind === "list" ? 1 : traverse(total.max)));
        }
        return capped(sum + 1);
      case "in": return capped(sum + (typeOf(right).k === "map" ? 1 : b.max));
      default: return capped(sum + 1);
    }
  };

  const comprehension = (node: Node, { name, range, variable, bodies }: NonNullable<ReturnType<typeof macroOf>>): number => {
    const over = cost(range);
    const path = paths.get(range);
    const kind = typeOf(range).k;
    if (name === "optMap" || name === "optFlatMap") {
      const inner = within(variable, { path, size: sizes.get(range) }, () => cost(bodies[0]!));
      return capped(2 * over + LIST + inner + 4);
    }
    const item: Local = { path: path === undefined ? undefined : [...path, kind === "list" ? "@items" : "@keys"], size: undefined };
    const count = sizeOf(range);
    let each = 0;
    let fixed = over;
    within(variable, item, () => {
      const costs = bodies.map(cost);
      switch (name) {
        case "all": each = 2 + 1 + costs[0]!; fixed += 1; break;
        case "exists": each = 3 + 1 + costs[0]!; fixed += 1; break;
        case "exists_one": each = costs[0]! + 2; fixed += 2; break;
        case "filter": each = costs[0]! + 13; fixed += LIST + 1; break;
        default: {
          const step = costs[costs.length - 1]! + 12;
          each = costs.length === 2 ? costs[0]! + step : step;
          fixed += LIST + 1;
        }
      }
      return 0;
    });
    if (name === "map" || name === "filter") sizes.set(node, count);
    return capped(fixed + product(count.max, each));
  };

  const called = (node: Node, name: string, target: Node | undefined, args: readonly Node[]): number => {
    let sum = args.reduce((total, arg) => total + cost(arg), 0);
    if (target !== undefined) sum += cost(target);
    const own = functionCost(node, name, target, args);
    return capped(sum + own);
  };

  const functionCost = (node: Node, name: string, target: Node | undefined, args: readonly Node[]): number => {
    const result = (s: Size): void => void sizes.set(node, s);
    const first = args[0];
    const on = target === undefined ? UNKNOWN : sizeOf(target);
    switch (name) {
      case "startsWith":
      case "endsWith": return traverse(sizeOf(first!).max);
      case "contains": return product(traverse(on.max), traverse(sizeOf(first!).max));
      case "matches": {
        const [text, pattern] = target === undefined ? [sizeOf(first!), sizeOf(args[1]!)] : [on, sizeOf(first!)];
        return product(traverse(text.max + 1), traverse(pattern.max, 0.25));
      }
      case "find":
      case "findAll":
        result(size(0, on.max));
        return product(traverse(on.max + 1), traverse(sizeOf(first!).max, 0.25));
      case "bytes":
        if (typeOf(first!).k !== "string") return 1;
        result(size(sizeOf(first!).min, sizeOf(first!).max * 4));
        return traverse(sizeOf(first!).max);
      case "string":
        if (typeOf(first!).k !== "bytes") return 1;
        result(size(sizeOf(first!).min / 4, sizeOf(first!).max));
        return traverse(sizeOf(first!).max);
      case "strings.quote": return traverse(sizeOf(first!).max);
      case "format": return target === undefined ? 1 : traverse(on.max);
      case "isSorted":
      case "sum":
      case "max":
      case "min":
      case "indexOf":
      case "lastIndexOf": {
        const type = typeOf(target!);
        if (type.k !== "list") return traverse(on.max);
        const text = type.of.k === "string" || type.of.k === "bytes";
        return product(on.max, 1 + (text ? traverse(elementSize(target!, type.of).max) : 0));
      }
      case "url": return traverse(sizeOf(first!).max);
      case "lowerAscii":
      case "upperAscii":
      case "substring":
      case "trim":
        result(on);
        return traverse(on.max);
      case "replace": {
        result(replacedSize(on, sizeOf(first!), sizeOf(args[1]!)));
        return traverse(on.max, 0.2);
      }
      case "split":
        result(size(0, on.max));
        return traverse(on.max, 0.2);
      case "join": {
        const type = typeOf(target!);
        let total: Size = { min: 0, max: 0 };
        if (type.k === "list") total = times(on, elementSize(target!, type.of));
        if (first !== undefined) total = plus(total, times(sizeOf(first), size(Math.max(0, on.min - 1), Math.max(0, on.max - 1))));
        result(total);
        return traverse(total.max);
      }
      case "validate": return target === undefined ? 1 : product(traverse(sizeOf(first!).max), 32);
      case "containsIP": return 4 + (typeOf(first!).k === "string" ? traverse(sizeOf(first!).max) : 0);
      case "containsCIDR": return 7 + (typeOf(first!).k === "string" ? traverse(sizeOf(first!).max) : 0);
      case "sets.contains":
      case "sets.equivalent":
      case "sets.intersects": return capped(1 + product(sizeOf(first!).max, sizeOf(args[1]!).max) * (name === "sets.equivalent" ? 2 : 1));
      default: return 1;
    }
  };

  return cost(root);
}

const SCALAR = new Set(["bool", "int", "uint", "double", "null", "duration", "timestamp"]);

/** How long a text can get by replacing. */
function replacedSize(text: Size, what: Size, by: Size): Size {
  if (what.min === 0) return plus(product2(size(0, text.max + 1), by), size(0, text.max));
  if (by.max <= what.min) return size(0, text.max);
  return size(0, product(Math.ceil(text.max / what.min), by.max));
}

const product2 = times;
