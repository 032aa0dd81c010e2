/** `$((…))`: signed 64-bit arithmetic (busybox shell/math.c). */

export class ArithFault extends Error {}

export interface ArithScope {
  /** Undefined: not set. */
  get(name: string): string | undefined;
  set(name: string, value: string): void;
}

const wrap = (value: bigint): bigint => BigInt.asIntN(64, value);
const SYNTAX = "arithmetic syntax error";

const BINARY: readonly (readonly string[])[] = [
  ["||"], ["&&"], ["|"], ["^"], ["&"], ["==", "!="], ["<=", ">=", "<", ">"], ["<<", ">>"], ["+", "-"], ["*", "/", "%"], ["**"],
];
const ASSIGN = ["<<=", ">>=", "**=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "="];

/** Throws ArithFault. */
export function evaluateArith(text: string, scope: ArithScope, depth = 0): bigint {
  if (depth > 64) throw new ArithFault("expression recursion loop detected");
  const tokens = tokenize(text);
  if (tokens.length === 0) return 0n;
  let at = 0;
  const peek = (): string | undefined => tokens[at];
  const take = (): string | undefined => tokens[at++];

  const valueOf = (name: string): bigint => {
    const value = scope.get(name);
    if (value === undefined || value === "") return 0n;
    return evaluateArith(value, scope, depth + 1);
  };
  const assign = (name: string, value: bigint, live: boolean): bigint => {
    if (live) scope.set(name, String(value));
    return value;
  };

  const comma = (live: boolean): bigint => {
    let value = ternary(live);
    while (peek() === ",") {
      take();
      value = ternary(live);
    }
    return value;
  };
  const ternary = (live: boolean): bigint => {
    const name = peek();
    const op = tokens[at + 1];
    if (name !== undefined && isName(name) && op !== undefined && ASSIGN.includes(op)) {
      at += 2;
      const right = ternary(live);
      return assign(name, op === "=" ? right : live ? apply(op.slice(0, -1), valueOf(name), right) : 0n, live);
    }
    const condition = binary(0, live);
    if (peek() !== "?") return condition;
    take();
    const yes = comma(live && condition !== 0n);
    if (take() !== ":") throw new ArithFault(SYNTAX);
    const no = ternary(live && condition === 0n);
    return condition !== 0n ? yes : no;
  };
  const binary = (level: number, live: boolean): bigint => {
    const ops = BINARY[level];
    if (ops === undefined) return unary(live);
    let left = binary(level + 1, live);
    for (let op = peek(); op !== undefined && ops.includes(op); op = peek()) {
      take();
      if (op === "&&" || op === "||") {
        const right = binary(level + 1, live && (op === "&&") === (left !== 0n));
        left = (op === "&&" ? left !== 0n && right !== 0n : left !== 0n || right !== 0n) ? 1n : 0n;
      } else if (op === "**") {
        const right = binary(level, live);
        left = live ? apply(op, left, right) : 0n;
      } else {
        const right = binary(level + 1, live);
        left = live ? apply(op, left, right) : 0n;
      }
    }
    return left;
  };
  const unary = (live: boolean): bigint => {
    const token = take();
    if (token === undefined) throw new ArithFault(SYNTAX);
    switch (token) {
      case "-": return wrap(-unary(live));
      case "+": return unary(live);
      case "!": return unary(live) === 0n ? 1n : 0n;
      case "~": return wrap(~unary(live));
      case "++": case "--": {
        const name = take();
        if (name === undefined || !isName(name)) throw new ArithFault(SYNTAX);
        return assign(name, wrap(valueOf(name) + (token === "++" ? 1n : -1n)), live);
      }
      case "(": {
        const value = comma(live);
        if (take() !== ")") throw new ArithFault(SYNTAX);
        return value;
      }
      default:
    }
    if (isName(token)) {
      const value = valueOf(token);
      const next = peek();
      if (next === "++" || next === "--") {
        take();
        assign(token, wrap(value + (next === "++" ? 1n : -1n)), live);
      }
      return value;
    }
    return numberOf(token);
  };

  const result = comma(true);
  if (at < tokens.length) throw new ArithFault(SYNTAX);
  return result;
}

const isName = (token: string): boolean => /^[A-Za-z_]/.test(token);

function numberOf(token: string): bigint {
  const based = /^([0-9]+)#([0-9A-Za-z@_]+)$/.exec(token);
  if (based !== null) {
    const base = Number(based[1]);
    let value = 0n;
    for (const c of based[2]!) {
      const digit = c >= "0" && c <= "9" ? c.charCodeAt(0) - 48 : c >= "a" && c <= "z" ? c.charCodeAt(0) - 87 : c >= "A" && c <= "Z" ? c.charCodeAt(0) - (base <= 36 ? 55 : 29) : c === "@" ? 62 : 63;
      if (digit >= base) throw new ArithFault(SYNTAX);
      value = value * BigInt(base) + BigInt(digit);
    }
    return wrap(value);
  }
  if (/^0[xX][0-9a-fA-F]+$/.test(token)) return wrap(BigInt(token));
  if (/^0[0-7]*$/.test(token)) return wrap(BigInt(token === "0" ? "0" : `0o${token.slice(1)}`));
  if (/^[1-9][0-9]*$/.test(token)) return wrap(BigInt(token));
  throw new ArithFault(SYNTAX);
}

function apply(op: string, left: bigint, right: bigint): bigint {
  switch (op) {
    case "+": return wrap(left + right);
    case "-": return wrap(left - right);
    case "*": return wrap(left * right);
    case "/": case "%":
      if (right === 0n) throw new ArithFault("divide by zero");
      return wrap(op === "/" ? left / right : left % right);
    case "**": {
      if (right < 0n) throw new ArithFault("exponent less than 0");
      let value = 1n;
      for (let i = right > 64n * 64n ? 64n * 64n : right; i > 0n; i--) value = wrap(value * left);
      return value;
    }
    case "<<": return wrap(left << (right & 63n));
    case ">>": return wrap(left >> (right & 63n));
    case "<": return left < right ? 1n : 0n;
    case ">": return left > right ? 1n : 0n;
    case "<=": return left <= right ? 1n : 0n;
    case ">=": return left >= right ? 1n : 0n;
    case "==": return left === right ? 1n : 0n;
    case "!=": return left !== right ? 1n : 0n;
    case "&": return left & right;
    case "^": return left ^ right;
    case "|": return left | right;
    default: throw new ArithFault(SYNTAX);
  }
}

const TOKEN = /\s*(?:([A-Za-z_][A-Za-z0-9_]*|[0-9]+#[0-9A-Za-z@_]+|[0-9][0-9A-Za-z]*)|(<<=|>>=|\*\*=|\+\+|--|&&|\|\||\*\*|<<|>>|[<>=!+\-*/%&|^]=|[-+*/%<>=!~&|^?:(),]))/y;

function tokenize(text: string): string[] {
  const out: string[] = [];
  TOKEN.lastIndex = 0;
  const trimmed = text.replace(/\s+$/, "");
  while (TOKEN.lastIndex < trimmed.length) {
    const match = TOKEN.exec(trimmed);
    if (match === null) throw new ArithFault(SYNTAX);
    const token = match[1] ?? match[2]!;
    // `a - --b`, `1--1`: two signs in a row are signs unless a name is beside them.
    if ((token === "++" || token === "--") && !isName(out.at(-1) ?? "") && !/^\s*[A-Za-z_]/.test(trimmed.slice(TOKEN.lastIndex))) out.push(token[0]!, token[0]!);
    else out.push(token);
  }
  return out;
}
