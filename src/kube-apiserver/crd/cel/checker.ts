/**
 * Types of the expressions in a rule, and what is wrong with them, in cel-go's words. Follows cel-go/checker (checker.go, types.go,
 * errors.go) with homogeneous aggregate literals.
 */
import { bindOf, BINARY, isUint, macroOf, offsetOf, qualifiedName } from "./ast.ts";
import type { Issue, Node } from "./ast.ts";
import { overloadsOf } from "./declarations.ts";
import type { Overload } from "./declarations.ts";
import { BOOL, BYTES, DOUBLE, DYN, ERROR, formatType, INT, NULL, STRING, TIMESTAMP, DURATION, UINT } from "./types.ts";
import type { Type } from "./types.ts";

export interface Checked {
  readonly issues: readonly Issue[];
  readonly type: Type;
  /** The type of each node. */
  readonly types: ReadonlyMap<Node, Type>;
  /** The variables that are used. */
  readonly used: ReadonlySet<string>;
}

/** Names of types, which are values of `type(…)`. */
const TYPE_NAMES: Readonly<Record<string, Type>> = {
  bool: BOOL, int: INT, uint: UINT, double: DOUBLE, string: STRING, bytes: BYTES, null_type: NULL, list: { k: "list", of: DYN }, map: { k: "map", key: DYN, of: DYN },
};
const QUALIFIED_TYPES: Readonly<Record<string, Type>> = { "google.protobuf.Timestamp": TIMESTAMP, "google.protobuf.Duration": DURATION };

export function check(root: Node, variables: ReadonlyMap<string, Type>): Checked {
  const issues: Issue[] = [];
  const types = new Map<Node, Type>();
  const used = new Set<string>();
  const scopes: Map<string, Type>[] = [new Map(variables)];
  let bindings = new Map<string, Type>();
  let fresh = 0;

  const report = (node: Node, message: string): Type => {
    issues.push({ offset: offsetOf(node), message });
    return ERROR;
  };
  const lookup = (name: string): Type | undefined => {
    for (let i = scopes.length - 1; i >= 0; i--) {
      const type = scopes[i]!.get(name);
      if (type !== undefined) return type;
    }
    return undefined;
  };
  const resolve = (type: Type): Type => {
    switch (type.k) {
      case "var": {
        const bound = bindings.get(type.id);
        return bound === undefined ? type : resolve(bound);
      }
      case "list": return { k: "list", of: resolve(type.of) };
      case "map": return { k: "map", key: resolve(type.key), of: resolve(type.of) };
      case "optional": return { k: "optional", of: resolve(type.of) };
      case "type": return { k: "type", of: resolve(type.of) };
      default: return type;
    }
  };
  const newVariable = (): Type => ({ k: "var", id: `_var${fresh++}` });
  const isFree = (type: Type): boolean => type.k === "var" && bindings.get(type.id) === undefined;

  /** Whether a value of type `b` can be where `a` is wanted; binds type variables. */
  const assignable = (wanted: Type, given: Type): boolean => {
    const a = wanted.k === "var" ? resolve(wanted) : wanted;
    const b = given.k === "var" ? resolve(given) : given;
    if (a.k === "var" || b.k === "var") {
      if (a.k === "var" && b.k === "var" && a.id === b.id) return true;
      if (a.k === "var") bindings.set(a.id, b);
      else bindings.set((b as { id: string }).id, a);
      return true;
    }
    if (a.k === "dyn" || b.k === "dyn" || a.k === "error" || b.k === "error") return true;
    if (b.k === "null") return a.k === "null" || ["object", "opaque", "optional", "duration", "timestamp"].includes(a.k);
    if (a.k === "null") return ["object", "opaque", "optional", "duration", "timestamp"].includes(b.k);
    if (a.k !== b.k) return false;
    switch (a.k) {
      case "list": return assignable(a.of, (b as typeof a).of);
      case "map": return assignable(a.key, (b as typeof a).key) && assignable(a.of, (b as typeof a).of);
      case "optional": return assignable(a.of, (b as typeof a).of);
      case "type": return true;
      case "object": return a.decl === (b as typeof a).decl;
      case "opaque": return a.name === (b as typeof a).name;
      default: return true;
    }
  };
  /** As `assignable`, but without a trace when it is not. */
  const tryAssign = (pairs: readonly (readonly [Type, Type])[]): boolean => {
    const before = new Map(bindings);
    if (pairs.every(([a, b]) => assignable(a, b))) return true;
    bindings = before;
    return false;
  };

  const instantiate = (overload: Overload): Overload => {
    const renamed = new Map<string, Type>();
    const rename = (type: Type): Type => {
      switch (type.k) {
        case "var": {
          let v = renamed.get(type.id);
          if (v === undefined) renamed.set(type.id, (v = newVariable()));
          return v;
        }
        case "list": return { k: "list", of: rename(type.of) };
        case "map": return { k: "map", key: rename(type.key), of: rename(type.of) };
        case "optional": return { k: "optional", of: rename(type.of) };
        case "type": return { k: "type", of: rename(type.of) };
        default: return type;
      }
    };
    return { target: overload.target === undefined ? undefined : rename(overload.target), args: overload.args.map(rename), result: rename(overload.result) };
  };

  const call = (node: Node, name: string, target: Node | undefined, args: readonly Node[]): Type => {
    const found = overloadsOf(name);
    if (found === undefined) return report(node, `undeclared reference to '${name}' (in container '')`);
    const given = args.map((arg) => types.get(arg)!);
    const on = target === undefined ? undefined : types.get(target)!;
    if ([...given, ...(on === undefined ? [] : [on])].some((t) => t.k === "error")) return ERROR;
    let result: Type | undefined;
    for (const declared of found) {
      if ((declared.target === undefined) !== (on === undefined) || declared.args.length !== given.length) continue;
      const overload = instantiate(declared);
      const pairs: (readonly [Type, Type])[] = overload.args.map((a, i) => [a, given[i]!] as const);
      if (on !== undefined) pairs.unshift([overload.target!, on]);
      if (!tryAssign(pairs)) continue;
      const here = resolve(overload.result);
      result = result === undefined ? here : sameType(result, here) ? result : DYN;
    }
    if (result !== undefined) return result;
    const shown = given.map((t) => formatType(resolve(t))).join(", ");
    return report(node, `found no matching overload for '${name}' applied to '${on === undefined ? "" : `${formatType(resolve(on))}.`}(${shown})'`);
  };

  const visit = (node: Node): Type => {
    const type = visitNode(node);
    types.set(node, type);
    return type;
  };

  const select = (node: Node, operand: Type, field: string): Type => {
    const of = resolve(operand);
    switch (of.k) {
      case "error":
      case "dyn": return of;
      case "map": return of.of;
      case "object": {
        const decl = of.decl.fields?.get(field);
        return decl === undefined ? report(node, `undefined field '${field}'`) : decl.type;
      }
      case "optional": {
        const inner = select(node, of.of, field);
        return inner.k === "error" ? inner : { k: "optional", of: inner };
      }
      case "var": return DYN;
      default: return report(node, `type '${formatType(of)}' does not support field selection`);
    }
  };

  const comprehension = (node: Node, macro: NonNullable<ReturnType<typeof macroOf>>): Type => {
    const { name, range, variable, bodies } = macro;
    const over = resolve(visit(range));
    if (name === "optMap" || name === "optFlatMap") {
      const of = over.k === "optional" ? over.of : over.k === "dyn" || over.k === "error" ? DYN : undefined;
      if (of === undefined) return report(node, `found no matching overload for 'hasValue' applied to '${formatType(over)}.()'`);
      const inner = scoped(variable, of, () => visit(bodies[0]!));
      return name === "optFlatMap" ? inner : { k: "optional", of: inner };
    }
    let item: Type;
    switch (over.k) {
      case "list": item = over.of; break;
      case "map": item = over.key; break;
      case "dyn":
      case "error":
      case "var": item = DYN; break;
      default:
        report(range, `expression of type '${formatType(over)}' cannot be range of a comprehension (must be list, map, or dynamic)`);
        item = ERROR;
    }
    return scoped(variable, item, () => {
      const inner = bodies.map(visit);
      const condition = name === "map" && bodies.length === 1 ? undefined : inner[0]!;
      if (condition !== undefined && !tryAssign([[BOOL, condition]])) {
        const fn = { all: "_&&_", exists: "_||_" }[name] ?? "_?_:_";
        const rest = fn === "_?_:_" ? (name === "exists_one" ? ", int, int" : `, ${formatType(resolve({ k: "list", of: name === "map" ? inner[1]! : item }))}, ${formatType(resolve({ k: "list", of: name === "map" ? inner[1]! : item }))}`) : "";
        const applied = fn === "_?_:_" ? `(${formatType(resolve(condition))}${rest})` : `(bool, ${formatType(resolve(condition))})`;
        report(node, `found no matching overload for '${fn}' applied to '${applied}'`);
      }
      if (name === "map") return { k: "list", of: inner[inner.length - 1]! };
      return name === "filter" ? { k: "list", of: item } : BOOL;
    });
  };
  const scoped = (name: string, type: Type, run: () => Type): Type => {
    scopes.push(new Map([[name, type]]));
    try {
      return run();
    } finally {
      scopes.pop();
    }
  };

  const aggregate = (items: readonly Node[]): Type => {
    let common: Type | undefined;
    for (const item of items) {
      const type = visit(item);
      if (common === undefined) common = type;
      else if (!tryAssign([[common, type]])) report(item, `expected type '${formatType(resolve(common))}' but found '${formatType(resolve(type))}'`);
    }
    return common ?? newVariable();
  };

  function visitNode(node: Node): Type {
    switch (node.op) {
      case "value": return literalType(node.args);
      case "id": {
        const name = node.args.replace(/^\./, "");
        const type = lookup(name);
        if (type !== undefined) {
          if (variables.get(name) === type) used.add(name);
          return type;
        }
        const named = TYPE_NAMES[name];
        return named === undefined ? report(node, `undeclared reference to '${name}' (in container '')`) : { k: "type", of: named };
      }
      case ".": {
        const path = dotted(node);
        const named = path === undefined ? undefined : QUALIFIED_TYPES[path];
        if (named !== undefined) return { k: "type", of: named };
        return select(node, visit(node.args[0]), node.args[1]);
      }
      case ".?": {
        const inner = select(node, visit(node.args[0]), node.args[1]);
        return inner.k === "error" || inner.k === "optional" ? inner : { k: "optional", of: inner };
      }
      case "[]":
      case "[?]":
        visit(node.args[0]);
        visit(node.args[1]);
        return call(node, node.op === "[]" ? "_[_]" : "_[?_]", undefined, node.args);
      case "!_":
        visit(node.args);
        return call(node, "!_", undefined, [node.args]);
      case "-_": {
        const of = visit(node.args);
        if (node.args.op === "value" && (of.k === "int" || of.k === "double")) return of;
        return call(node, "-_", undefined, [node.args]);
      }
      case "?:":
        for (const arg of node.args) visit(arg);
        return call(node, "_?_:_", undefined, node.args);
      case "list": return { k: "list", of: aggregate(node.args) };
      case "map": {
        const key = aggregate(node.args.map(([k]) => k));
        return { k: "map", key, of: aggregate(node.args.map(([, v]) => v)) };
      }
      case "call": {
        const [name, args] = node.args;
        if (name === "has") {
          const arg = args[0];
          if (args.length !== 1 || arg?.op !== ".") return report(node, "invalid argument to has() macro");
          visit(arg);
          return BOOL;
        }
        for (const arg of args) visit(arg);
        return call(node, name, undefined, args);
      }
      case "rcall": {
        const bind = bindOf(node);
        if (bind !== undefined) {
          const value = visit(bind.value);
          return scoped(bind.variable, value, () => visit(bind.body));
        }
        const macro = macroOf(node);
        if (macro !== undefined) return comprehension(node, macro);
        const [name, target, args] = node.args;
        const qualified = qualifiedName(node);
        if (qualified !== undefined && overloadsOf(qualified) !== undefined && lookup((target as { args: string }).args) === undefined) {
          for (const arg of args) visit(arg);
          return call(node, qualified, undefined, args);
        }
        for (const arg of args) visit(arg);
        visit(target);
        return call(node, name, target, args);
      }
      default: {
        const [left, right] = node.args as readonly [Node, Node];
        visit(left);
        visit(right);
        return call(node, BINARY[node.op]!, undefined, [left, right]);
      }
    }
  }

  const type = resolve(visit(root));
  for (const [node, t] of types) types.set(node, isFree(t) ? DYN : resolve(t));
  return { issues, type, types, used };
}

function dotted(node: Node): string | undefined {
  if (node.op === "id") return node.args;
  if (node.op !== ".") return undefined;
  const left = dotted(node.args[0]);
  return left === undefined ? undefined : `${left}.${node.args[1]}`;
}

function literalType(value: unknown): Type {
  switch (typeof value) {
    case "bigint": return INT;
    case "number": return DOUBLE;
    case "string": return STRING;
    case "boolean": return BOOL;
    default: return value === null ? NULL : isUint(value) ? UINT : BYTES;
  }
}

function sameType(a: Type, b: Type): boolean {
  return a === b || formatType(a) === formatType(b);
}
