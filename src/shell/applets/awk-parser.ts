/** awk's grammar (POSIX XCU awk): programs as trees. */

export type Expr =
  | { readonly t: "number"; readonly value: number }
  | { readonly t: "string"; readonly value: string }
  | { readonly t: "regex"; readonly source: string }
  | { readonly t: "name"; readonly name: string }
  | { readonly t: "index"; readonly name: string; readonly keys: readonly Expr[] }
  | { readonly t: "field"; readonly of: Expr }
  | { readonly t: "group"; readonly of: Expr }
  | { readonly t: "unary"; readonly op: string; readonly of: Expr }
  | { readonly t: "binary"; readonly op: string; readonly left: Expr; readonly right: Expr }
  | { readonly t: "assign"; readonly op: string; readonly to: Expr; readonly value: Expr }
  | { readonly t: "step"; readonly op: "++" | "--"; readonly prefix: boolean; readonly to: Expr }
  | { readonly t: "cond"; readonly test: Expr; readonly yes: Expr; readonly no: Expr }
  | { readonly t: "in"; readonly keys: readonly Expr[]; readonly name: string }
  | { readonly t: "call"; readonly name: string; readonly args: readonly Expr[]; readonly builtin: boolean }
  | { readonly t: "getline"; readonly to: Expr | undefined; readonly from: "input" | "file" | "command"; readonly source: Expr | undefined };

export type Statement =
  | { readonly t: "expr"; readonly of: Expr }
  | { readonly t: "print" | "printf"; readonly args: readonly Expr[]; readonly to: "" | ">" | ">>" | "|"; readonly target: Expr | undefined }
  | { readonly t: "if"; readonly test: Expr; readonly yes: Statement; readonly no: Statement | undefined }
  | { readonly t: "while"; readonly test: Expr; readonly body: Statement; readonly first: boolean }
  | { readonly t: "for"; readonly init: Statement | undefined; readonly test: Expr | undefined; readonly step: Statement | undefined; readonly body: Statement }
  | { readonly t: "each"; readonly name: string; readonly array: string; readonly body: Statement }
  | { readonly t: "block"; readonly body: readonly Statement[] }
  | { readonly t: "next" | "break" | "continue" | "nextfile" }
  | { readonly t: "exit" | "return"; readonly value: Expr | undefined }
  | { readonly t: "delete"; readonly name: string; readonly keys: readonly Expr[] | undefined };

export interface Rule {
  readonly when: "BEGIN" | "END" | "always" | "pattern" | "range";
  readonly from?: Expr;
  readonly to?: Expr;
  readonly body: Statement | undefined;
}

export interface Program {
  readonly rules: readonly Rule[];
  readonly functions: ReadonlyMap<string, { readonly params: readonly string[]; readonly body: Statement }>;
}

/** A mistake in a program; worded as busybox says it. */
export class AwkFault extends Error {}

const BUILTINS = new Set(["length", "substr", "index", "split", "sub", "gsub", "match", "sprintf", "sin", "cos", "atan2", "exp", "log", "sqrt", "int", "rand", "srand", "tolower", "toupper", "system", "close", "fflush",
  "and", "or", "xor", "lshift", "rshift", "compl", "strftime", "systime", "mktime"]);
const KEYWORDS = new Set(["BEGIN", "END", "function", "func", "if", "else", "while", "for", "do", "break", "continue", "next", "nextfile", "exit", "return", "delete", "in", "getline", "print", "printf"]);

type Token = { readonly t: "number" | "string" | "regex" | "name" | "funcname" | "builtin" | "keyword" | "op" | "newline" | "end"; readonly text: string; readonly line: number };

const OPS = ["**=", "&&", "||", "++", "--", "+=", "-=", "*=", "/=", "%=", "^=", "==", "<=", ">=", "!=", "!~", ">>", "**", "{", "}", "(", ")", "[", "]", ";", ",", "+", "-", "*", "/", "%", "^", "!", ">", "<", "|", "?", ":", "~", "$", "="];

export function parseAwk(source: string): Program {
  let at = 0, line = 1;
  let token: Token;
  let previous: Token | undefined;
  /** Inside of print's words `>` is a redirection, in a for's head `in` is none of an expression. */
  let noGreater = 0, noIn = 0;

  const fault = (text = "Unexpected token"): AwkFault => new AwkFault(`cmd. line:${line}: ${text}`);

  const lex = (): Token => {
    for (;;) {
      const c = source[at];
      if (c === " " || c === "\t" || c === "\r") at++;
      else if (c === "\\" && source[at + 1] === "\n") {
        at += 2;
        line++;
      } else if (c === "#") while (at < source.length && source[at] !== "\n") at++;
      else break;
    }
    const c = source[at];
    const make = (t: Token["t"], text: string): Token => ({ t, text, line });
    if (c === undefined) return make("end", "");
    if (c === "\n") {
      at++;
      line++;
      return make("newline", "\n");
    }
    const number = /^(?:0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)/.exec(source.slice(at, at + 64));
    if (number !== null) {
      at += number[0].length;
      return make("number", number[0]);
    }
    if (c === '"') {
      let out = "";
      for (at++; ; at++) {
        const d = source[at];
        if (d === undefined || d === "\n") throw fault("Unexpected end of string");
        if (d === '"') break;
        if (d !== "\\") {
          out += d;
          continue;
        }
        const escape = /^(?:([0-7]{1,3})|([\s\S]))/.exec(source.slice(at + 1, at + 4))!;
        at += escape[0].length;
        if (escape[1] !== undefined) out += String.fromCharCode(Number.parseInt(escape[1], 8) & 255);
        else if (escape[2] === "\n") line++;
        else out += ({ n: "\n", t: "\t", r: "\r", a: "\x07", b: "\b", f: "\f", v: "\v", "\\": "\\", '"': '"', "/": "/" } as Record<string, string>)[escape[2]!] ?? `\\${escape[2]}`;
      }
      at++;
      return make("string", out);
    }
    if (c === "/" && (previous === undefined || !["number", "string", "name", "builtin"].includes(previous.t)) && !(previous?.t === "op" && [")", "]", "$", "++", "--"].includes(previous.text))) {
      let out = "", bracket = false;
      for (at++; ; at++) {
        const d = source[at];
        if (d === undefined || d === "\n") throw fault("Unexpected end of regex");
        if (d === "/" && !bracket) break;
        if (d === "[") bracket = true;
        else if (d === "]" && bracket && !/\[\^?$/.test(out)) bracket = false;
        if (d === "\\" && source[at + 1] === "/") {
          out += "/";
          at++;
        } else if (d === "\\") {
          out += d + (source[at + 1] ?? "");
          at++;
        } else out += d;
      }
      at++;
      return make("regex", out);
    }
    const name = /^[A-Za-z_][A-Za-z0-9_]*/.exec(source.slice(at, at + 128));
    if (name !== null) {
      at += name[0].length;
      const text = name[0];
      if (KEYWORDS.has(text)) return make("keyword", text === "func" ? "function" : text);
      if (BUILTINS.has(text)) return make("builtin", text);
      return make(source[at] === "(" ? "funcname" : "name", text);
    }
    const op = OPS.find((text) => source.startsWith(text, at));
    if (op === undefined) throw fault();
    at += op.length;
    return make("op", op === "**" ? "^" : op === "**=" ? "^=" : op);
  };
  const advance = (): Token => {
    const current = token;
    previous = current;
    token = lex();
    return current;
  };
  token = lex();
  const is = (text: string, t: Token["t"] = "op"): boolean => token.t === t && token.text === text;
  const word = (text: string): boolean => is(text, "keyword");
  const expect = (text: string): void => {
    if (!is(text)) throw fault();
    advance();
  };
  const newlines = (): void => {
    while (token.t === "newline") advance();
  };
  const separators = (): void => {
    while (token.t === "newline" || is(";")) advance();
  };

  // --- expressions, weakest first

  const expression = (): Expr => {
    const test = or();
    if (is("?")) {
      advance();
      newlines();
      const yes = expression();
      newlines();
      expect(":");
      newlines();
      return { t: "cond", test, yes, no: expression() };
    }
    if (token.t === "op" && ["=", "+=", "-=", "*=", "/=", "%=", "^="].includes(token.text) && isPlace(test)) {
      const op = advance().text;
      newlines();
      return { t: "assign", op, to: test, value: expression() };
    }
    return test;
  };
  const isPlace = (of: Expr): boolean => of.t === "name" || of.t === "index" || of.t === "field";
  const left = (next: () => Expr, ...ops: string[]) => (): Expr => {
    let value = next();
    while (token.t === "op" && ops.includes(token.text)) {
      const op = advance().text;
      newlines();
      value = { t: "binary", op, left: value, right: next() };
    }
    return value;
  };
  const power = (): Expr => {
    const base = postfix();
    if (!is("^")) return base;
    advance();
    const right = is("-") || is("+") || is("!") ? unary() : power();
    return { t: "binary", op: "^", left: base, right };
  };
  const unary = (): Expr => {
    if (is("!") || is("-") || is("+")) {
      const op = advance().text;
      return { t: "unary", op, of: unary() };
    }
    return power();
  };
  const multiplicative = left(unary, "*", "/", "%");
  const additive = left(multiplicative, "+", "-");
  const startsOperand = (): boolean =>
    ["number", "string", "regex", "name", "funcname", "builtin"].includes(token.t) || (token.t === "op" && ["$", "!", "(", "-", "+", "++", "--"].includes(token.text)) ;
  const concatenation = (): Expr => {
    let value = additive();
    // `a -1` is a subtraction, so that a sign begins no operand here.
    while (startsOperand() && !is("-") && !is("+") && !(word("in")) && !(token.t === "regex")) value = { t: "binary", op: " ", left: value, right: additive() };
    return value;
  };
  const comparison = (): Expr => {
    const value = concatenation();
    if (token.t === "op" && (["<", "<=", "==", "!=", ">="].includes(token.text) || (token.text === ">" && noGreater === 0))) {
      const op = advance().text;
      return { t: "binary", op, left: value, right: concatenation() };
    }
    return value;
  };
  const piped = (): Expr => {
    let value = comparison();
    while (is("|") && noGreater === 0) {
      advance();
      if (!word("getline")) throw fault();
      advance();
      value = { t: "getline", to: place(), from: "command", source: value };
    }
    return value;
  };
  const matching = left(piped, "~", "!~");
  const membership = (): Expr => {
    let value = matching();
    while (word("in") && noIn === 0) {
      advance();
      value = { t: "in", keys: [value], name: advance().text };
    }
    return value;
  };
  const and = left(membership, "&&");
  const or = left(and, "||");

  /** What follows getline, if it is something to assign to. */
  const place = (): Expr | undefined => {
    if (is("$")) {
      advance();
      return { t: "field", of: incremented() };
    }
    if (token.t !== "name") return undefined;
    return named(advance().text);
  };
  const named = (name: string): Expr => {
    if (!is("[")) return { t: "name", name };
    advance();
    const keys = list("]");
    return { t: "index", name, keys };
  };
  const list = (end: string): Expr[] => {
    const out: Expr[] = [];
    const saved = [noGreater, noIn] as const;
    noGreater = noIn = 0;
    newlines();
    while (!is(end)) {
      out.push(expression());
      newlines();
      if (!is(",")) break;
      advance();
      newlines();
    }
    [noGreater, noIn] = saved;
    expect(end);
    return out;
  };
  const incremented = (): Expr => {
    if (is("++") || is("--")) {
      const op = advance().text as "++";
      return { t: "step", op, prefix: true, to: incremented() };
    }
    if (is("-") || is("+") || is("!")) {
      const op = advance().text;
      return { t: "unary", op, of: incremented() };
    }
    return primary();
  };
  const postfix = (): Expr => {
    const value = incremented();
    if ((is("++") || is("--")) && isPlace(value)) return { t: "step", op: advance().text as "++", prefix: false, to: value };
    return value;
  };
  const primary = (): Expr => {
    const current = token;
    switch (current.t) {
      case "number": advance(); return { t: "number", value: Number(current.text) };
      case "string": advance(); return { t: "string", value: current.text };
      case "regex": advance(); return { t: "regex", source: current.text };
      case "name": advance(); return named(current.text);
      case "funcname": {
        advance();
        expect("(");
        return { t: "call", name: current.text, args: list(")"), builtin: false };
      }
      case "builtin": {
        advance();
        if (!is("(")) return { t: "call", name: current.text, args: [], builtin: true };
        advance();
        return { t: "call", name: current.text, args: list(")"), builtin: true };
      }
      case "keyword":
        if (current.text === "getline") {
          advance();
          const to = place();
          if (is("<")) {
            advance();
            return { t: "getline", to, from: "file", source: postfix() };
          }
          return { t: "getline", to, from: "input", source: undefined };
        }
        throw fault();
      case "op":
        if (current.text === "$") {
          advance();
          return { t: "field", of: incremented() };
        }
        if (current.text === "(") {
          advance();
          const keys = list(")");
          if (word("in") && keys.length > 1) {
            advance();
            return { t: "in", keys, name: advance().text };
          }
          if (keys.length !== 1) throw fault();
          return { t: "group", of: keys[0]! };
        }
        throw fault();
      default: throw fault(current.t === "end" ? "Unexpected end of program" : "Unexpected token");
    }
  };

  // --- statements

  const terminated = (statement: Statement): Statement => {
    if (is(";") || token.t === "newline") separatorsOnce();
    else if (!is("}") && token.t !== "end") throw fault();
    return statement;
  };
  const separatorsOnce = (): void => {
    advance();
    newlines();
  };
  const body = (): Statement => {
    newlines();
    if (is(";")) {
      advance();
      return { t: "block", body: [] };
    }
    return statement();
  };
  const block = (): Statement => {
    expect("{");
    const out: Statement[] = [];
    separators();
    while (!is("}")) {
      if (token.t === "end") throw fault("Unexpected end of program");
      out.push(statement());
      separators();
    }
    advance();
    return { t: "block", body: out };
  };
  const simple = (): Statement => {
    if (word("print") || word("printf")) {
      const kind = advance().text as "print";
      noGreater++;
      const args: Expr[] = [];
      while (!is(";") && token.t !== "newline" && !is("}") && !is(">") && !is(">>") && !is("|") && token.t !== "end") {
        // `print (a, b)`: a list in parentheses.
        if (args.length === 0 && is("(")) {
          const saved = { at, line, token, previous };
          advance();
          const inside = list(")");
          if (is(";") || (token as Token).t === "newline" || is("}") || is(">") || is(">>") || is("|") || (token as Token).t === "end") {
            args.push(...inside);
            break;
          }
          ({ at, line, token, previous } = saved);
        }
        args.push(expression());
        if (!is(",")) break;
        advance();
        newlines();
      }
      noGreater--;
      let to: "" | ">" | ">>" | "|" = "", target: Expr | undefined;
      if (is(">") || is(">>") || is("|")) {
        to = advance().text as ">";
        noGreater++;
        target = concatenation();
        noGreater--;
      }
      return { t: kind, args, to, target };
    }
    if (word("delete")) {
      advance();
      const name = advance().text;
      if (!is("[")) return { t: "delete", name, keys: undefined };
      advance();
      return { t: "delete", name, keys: list("]") };
    }
    return { t: "expr", of: expression() };
  };
  const statement = (): Statement => {
    newlines();
    if (is("{")) return block();
    if (token.t === "keyword") {
      switch (token.text) {
        case "if": {
          advance();
          expect("(");
          const [test] = list(")");
          const yes = body();
          const saved = { at, line, token, previous };
          separators();
          if (!word("else")) {
            ({ at, line, token, previous } = saved);
            return { t: "if", test: test!, yes, no: undefined };
          }
          advance();
          return { t: "if", test: test!, yes, no: body() };
        }
        case "while": {
          advance();
          expect("(");
          const [test] = list(")");
          return { t: "while", test: test!, body: body(), first: false };
        }
        case "do": {
          advance();
          const inner = body();
          separators();
          if (!word("while")) throw fault();
          advance();
          expect("(");
          const [test] = list(")");
          return terminated({ t: "while", test: test!, body: inner, first: true });
        }
        case "for": {
          advance();
          expect("(");
          const saved = { at, line, token, previous };
          if ((token as Token).t === "name") {
            const name = advance().text;
            if (word("in")) {
              advance();
              const array = advance().text;
              if (is(")")) {
                advance();
                return { t: "each", name, array, body: body() };
              }
            }
            ({ at, line, token, previous } = saved);
          }
          const init = is(";") ? undefined : simple();
          expect(";");
          newlines();
          const test = is(";") ? undefined : expression();
          expect(";");
          newlines();
          const step = is(")") ? undefined : simple();
          expect(")");
          return { t: "for", init, test, step, body: body() };
        }
        case "next": case "nextfile": case "break": case "continue": return terminated({ t: advance().text as "next" });
        case "exit": case "return": {
          const t = advance().text as "exit";
          const value = is(";") || (token as Token).t === "newline" || is("}") || (token as Token).t === "end" ? undefined : expression();
          return terminated({ t, value });
        }
        default:
      }
    }
    return terminated(simple());
  };

  const rules: Rule[] = [];
  const functions = new Map<string, { params: string[]; body: Statement }>();
  separators();
  while (token.t !== "end") {
    if (word("function")) {
      advance();
      const name = advance().text;
      expect("(");
      const params: string[] = [];
      newlines();
      while (!is(")")) {
        params.push(advance().text);
        newlines();
        if (is(",")) advance();
        newlines();
      }
      advance();
      newlines();
      functions.set(name, { params, body: block() });
    } else if (word("BEGIN") || word("END")) {
      const when = advance().text as "BEGIN";
      newlines();
      rules.push({ when, body: block() });
    } else if (is("{")) rules.push({ when: "always", body: block() });
    else {
      const from = expression();
      let to: Expr | undefined;
      if (is(",")) {
        advance();
        newlines();
        to = expression();
      }
      const action = is("{") ? block() : undefined;
      rules.push(to === undefined ? { when: "pattern", from, body: action } : { when: "range", from, to, body: action });
    }
    separators();
  }
  return { rules, functions };
}
