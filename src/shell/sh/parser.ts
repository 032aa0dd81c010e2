/**
 * The shell's grammar (POSIX XCU 2.10), read one complete command at a time, as ash does: what stands before a mistake has been run when the
 * mistake is met. Follows busybox shell/ash.c: parsecmd, list, andor, pipeline, parse_command, simplecmd, readtoken1, parsesub.
 */
import type { Assignment, CaseItem, Command, ParamOp, Part, Redirection, Word } from "./ast.ts";

/** What is wrong with a script. */
export class SyntaxFault extends Error {
  readonly line: number;
  /** Whether more input could mend it. */
  readonly incomplete: boolean;
  constructor(message: string, line: number, incomplete = false) {
    super(message);
    this.line = line;
    this.incomplete = incomplete;
  }
}

const RESERVED = new Set(["!", "case", "do", "done", "elif", "else", "esac", "fi", "for", "if", "in", "then", "until", "while", "{", "}", "function"]);
const OPERATORS = ["<<-", "&>>", "&&", "||", ";;", "<<", ">>", "<&", ">&", "<>", ">|", "&>", "&", ";", "<", ">", "(", ")", "|"];
const NAME = /^[A-Za-z_][A-Za-z0-9_]*/;

type Token =
  | { readonly t: "word"; readonly word: Word; readonly text: string; readonly plain: boolean; readonly start: number; readonly line: number }
  | { readonly t: "op"; readonly text: string; readonly start: number; readonly line: number }
  | { readonly t: "io"; readonly fd: number; readonly start: number; readonly line: number }
  | { readonly t: "newline" | "end"; readonly text: string; readonly start: number; readonly line: number };

interface Heredoc {
  readonly redirection: Redirection;
  readonly delimiter: string;
  readonly strip: boolean;
  readonly quoted: boolean;
}

export class Parser {
  #source: string;
  readonly #aliases: ReadonlyMap<string, string>;
  #at: number;
  line: number;
  #token: Token | undefined;
  #heredocs: Heredoc[] = [];
  /** Whether the end of the source may be followed by more. */
  readonly #open: boolean;

  constructor(source: string, options: { readonly line?: number; readonly at?: number; readonly aliases?: ReadonlyMap<string, string>; readonly open?: boolean } = {}) {
    this.#source = source;
    this.#at = options.at ?? 0;
    this.line = options.line ?? 1;
    this.#aliases = options.aliases ?? new Map();
    this.#open = options.open ?? false;
  }

  /** What was not read yet. */
  rest(): string {
    return this.#source.slice(this.#at);
  }

  /** The next complete command, to the end of its line; undefined for an empty line; null at the end. Throws SyntaxFault. */
  next(): Command | undefined | null {
    this.#token = undefined;
    const first = this.#peek();
    if (first.t === "end") return null;
    if (first.t === "newline") {
      this.#take();
      return undefined;
    }
    const command = this.#list(false);
    const last = this.#peek();
    if (last.t === "newline") this.#take();
    else if (last.t !== "end") this.#unexpected(last);
    if (this.#heredocs.length > 0) this.#readHeredocs();
    return command;
  }

  /** All commands up to the end. */
  all(): Command | undefined {
    const items: Command[] = [];
    for (;;) {
      const command = this.next();
      if (command === null) break;
      if (command !== undefined) items.push(command);
    }
    return items.length === 0 ? undefined : items.length === 1 ? items[0]! : { t: "list", items };
  }

  // --- grammar

  /** A list; inside of a compound command it goes on over newlines. */
  #list(inner: boolean): Command {
    const items: Command[] = [];
    if (inner) this.#newlines();
    for (;;) {
      const start = this.#peek().start;
      let command = this.#andOr();
      const token = this.#peek();
      if (token.t === "op" && (token.text === "&" || token.text === ";")) {
        this.#take();
        if (token.text === "&") command = { t: "background", body: command, text: this.#source.slice(start, token.start).trim() };
      } else if (token.t !== "newline" || !inner) {
        items.push(command);
        break;
      }
      items.push(command);
      if (inner) this.#newlines();
      if (this.#endsList(inner)) break;
    }
    return items.length === 1 ? items[0]! : { t: "list", items };
  }

  #endsList(inner: boolean): boolean {
    const token = this.#peek();
    if (token.t === "end") return true;
    if (token.t === "newline") return !inner;
    if (token.t === "op") return token.text === ")" || token.text === ";;";
    return token.t === "word" && token.plain && ["then", "else", "elif", "fi", "do", "done", "esac", "}"].includes(token.text);
  }

  #andOr(): Command {
    let left = this.#pipeline();
    for (;;) {
      const token = this.#peek();
      if (token.t !== "op" || (token.text !== "&&" && token.text !== "||")) return left;
      this.#take();
      this.#newlines();
      left = { t: token.text === "&&" ? "and" : "or", left, right: this.#pipeline() };
    }
  }

  #pipeline(): Command {
    let negated = false;
    while (this.#isWord("!")) {
      this.#take();
      negated = !negated;
    }
    const commands = [this.#command()];
    for (let token = this.#peek(); token.t === "op" && token.text === "|"; token = this.#peek()) {
      this.#take();
      this.#newlines();
      commands.push(this.#command());
    }
    return commands.length === 1 && !negated ? commands[0]! : { t: "pipeline", commands, negated };
  }

  #command(): Command {
    const token = this.#peek();
    if (token.t === "op" && token.text === "(") {
      this.#take();
      const body = this.#list(true);
      this.#expectOp(")");
      return { t: "subshell", body, redirections: this.#redirections(), line: token.line };
    }
    if (token.t === "word" && token.plain) {
      switch (token.text) {
        case "{": {
          this.#take();
          const body = this.#list(true);
          this.#expect("}");
          return { t: "group", body, redirections: this.#redirections(), line: token.line };
        }
        case "if": return this.#if();
        case "while": case "until": {
          this.#take();
          const condition = this.#list(true);
          const body = this.#doGroup();
          return { t: "while", until: token.text === "until", condition, body, redirections: this.#redirections() };
        }
        case "for": return this.#for();
        case "case": return this.#case();
        case "function": {
          this.#take();
          const name = this.#take();
          if (name.t !== "word" || !name.plain) throw this.#fault("bad function name");
          if (this.#isOp("(")) {
            this.#take();
            this.#expectOp(")");
          }
          this.#newlines();
          return { t: "function", name: name.text, body: this.#command() };
        }
        default:
          if (RESERVED.has(token.text) && token.text !== "in") this.#unexpected(token);
      }
    }
    return this.#simple();
  }

  #if(): Command {
    this.#take();
    const condition = this.#list(true);
    this.#expect("then");
    const then = this.#list(true);
    let otherwise: Command | undefined;
    if (this.#isWord("elif")) return { t: "if", condition, then, otherwise: this.#if(), redirections: [] };
    if (this.#isWord("else")) {
      this.#take();
      otherwise = this.#list(true);
    }
    this.#expect("fi");
    return { t: "if", condition, then, otherwise, redirections: this.#redirections() };
  }

  #doGroup(): Command {
    this.#expect("do");
    const body = this.#list(true);
    this.#expect("done");
    return body;
  }

  #for(): Command {
    const { line } = this.#take();
    const name = this.#take();
    if (name.t !== "word" || !name.plain || NAME.exec(name.text)?.[0] !== name.text) throw this.#fault("syntax error: bad for loop variable", name.line);
    this.#newlines();
    let words: Word[] | undefined;
    if (this.#isWord("in")) {
      this.#take();
      words = [];
      for (let token = this.#peek(); token.t === "word"; token = this.#peek()) {
        words.push(token.word);
        this.#take();
      }
      const end = this.#peek();
      if (end.t !== "newline" && !(end.t === "op" && end.text === ";")) this.#unexpected(end);
      this.#take();
    } else if (this.#isOp(";")) this.#take();
    this.#newlines();
    const body = this.#doGroup();
    return { t: "for", name: name.text, words, body, redirections: this.#redirections(), line };
  }

  #case(): Command {
    const { line } = this.#take();
    const word = this.#take();
    if (word.t !== "word") this.#unexpected(word);
    this.#newlines();
    this.#expect("in");
    this.#newlines();
    const items: CaseItem[] = [];
    while (!this.#isWord("esac")) {
      if (this.#isOp("(")) this.#take();
      const patterns: Word[] = [];
      for (;;) {
        const pattern = this.#take();
        if (pattern.t !== "word") this.#unexpected(pattern, pattern.t === "end" ? ")" : undefined);
        patterns.push((pattern as Token & { t: "word" }).word);
        if (!this.#isOp("|")) break;
        this.#take();
      }
      this.#expectOp(")");
      this.#newlines();
      const token = this.#peek();
      const empty = (token.t === "op" && token.text === ";;") || this.#isWord("esac");
      const body = empty ? undefined : this.#list(true);
      const end = this.#peek();
      items.push({ patterns, body });
      if (end.t === "op" && end.text === ";;") this.#take();
      else if (!this.#isWord("esac")) this.#unexpected(end, ";;");
      this.#newlines();
    }
    this.#take();
    return { t: "case", word: (word as Token & { t: "word" }).word, items, redirections: this.#redirections(), line };
  }

  #simple(): Command {
    const assignments: Assignment[] = [];
    const words: Word[] = [];
    const redirections: Redirection[] = [];
    const { line } = this.#peek();
    let aliased = new Set<string>();
    for (;;) {
      const token = this.#peek();
      if (token.t === "io" || (token.t === "op" && isRedirection(token.text))) {
        redirections.push(this.#redirection());
        continue;
      }
      if (token.t === "op" && token.text === "(" && words.length === 1 && assignments.length === 0 && redirections.length === 0) {
        const [first] = words;
        const name = first!.length === 1 && first![0]!.t === "text" && !first![0]!.quoted ? first![0]!.text : undefined;
        this.#take();
        if (!this.#isOp(")")) this.#unexpected(this.#peek(), ")");
        if (name === undefined || !/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name)) throw this.#fault("bad function name");
        this.#take();
        this.#newlines();
        return { t: "function", name, body: this.#command() };
      }
      if (token.t !== "word") break;
      if (words.length === 0) {
        const assignment = asAssignment(token.word);
        if (assignment !== undefined) {
          assignments.push(assignment);
          this.#take();
          continue;
        }
        const alias = token.plain && !aliased.has(token.text) ? this.#aliases.get(token.text) : undefined;
        if (alias !== undefined) {
          aliased = new Set([...aliased, token.text]);
          this.#expandAlias(token, alias);
          // What it stands for may begin anything.
          if (assignments.length === 0 && redirections.length === 0) {
            const next = this.#peek();
            if (next.t === "op" && next.text === "(") return this.#command();
            if (next.t === "word" && next.plain && RESERVED.has(next.text)) return this.#command();
          }
          continue;
        }
      }
      words.push(token.word);
      this.#take();
    }
    if (assignments.length === 0 && words.length === 0 && redirections.length === 0) this.#unexpected(this.#peek());
    return { t: "simple", assignments, words, redirections, line };
  }

  #expandAlias(token: Token & { t: "word" }, alias: string): void {
    this.#source = this.#source.slice(0, token.start) + alias + this.#source.slice(token.start + token.text.length);
    this.#at = token.start;
    this.#token = undefined;
  }

  #redirections(): Redirection[] {
    const out: Redirection[] = [];
    for (let token = this.#peek(); token.t === "io" || (token.t === "op" && isRedirection(token.text)); token = this.#peek()) out.push(this.#redirection());
    return out;
  }

  #redirection(): Redirection {
    let token = this.#take();
    let fd: number | undefined;
    if (token.t === "io") {
      fd = token.fd;
      token = this.#take();
    }
    const op = (token as { text: string }).text;
    const target = this.#take();
    if (target.t !== "word") this.#unexpected(target);
    const { word } = target as Token & { t: "word" };
    if (op === "<<" || op === "<<-") {
      const quoted = word.some((part) => part.t === "text" && part.quoted);
      const delimiter = word.map((part) => (part.t === "text" ? part.text : "")).join("");
      const redirection: Redirection = { fd: fd ?? 0, op: "<<", word: [] };
      this.#heredocs.push({ redirection, delimiter, strip: op === "<<-", quoted });
      return redirection;
    }
    const normal = op === "&>>" ? ">>" : op;
    return { fd: fd ?? (op.startsWith("<") ? 0 : 1), op: normal as Redirection["op"], word };
  }

  // --- tokens

  #isOp(text: string): boolean {
    const token = this.#peek();
    return token.t === "op" && token.text === text;
  }

  #isWord(text: string): boolean {
    const token = this.#peek();
    return token.t === "word" && token.plain && token.text === text;
  }

  #expect(text: string): void {
    if (!this.#isWord(text)) this.#unexpected(this.#peek(), text);
    this.#take();
  }

  #expectOp(text: string): void {
    if (!this.#isOp(text)) this.#unexpected(this.#peek(), text);
    this.#take();
  }

  #newlines(): void {
    while (this.#peek().t === "newline") this.#take();
  }

  #peek(): Token {
    return (this.#token ??= this.#read());
  }

  #take(): Token {
    const token = this.#peek();
    this.#token = undefined;
    if (token.t === "newline" && this.#heredocs.length > 0) this.#readHeredocs();
    return token;
  }

  #fault(message: string, line = this.line, incomplete = false): SyntaxFault {
    return new SyntaxFault(message, line, incomplete && this.#open);
  }

  #unexpected(token: Token, expecting?: string): never {
    const name = token.t === "end" ? "end of file" : token.t === "newline" ? "newline" : token.t === "op" ? (isRedirection(token.text) ? "redirection" : `"${token.text}"`)
      : token.t === "word" ? (token.plain && RESERVED.has(token.text) ? `"${token.text}"` : "word") : "redirection";
    throw this.#fault(`syntax error: unexpected ${name}${expecting === undefined ? "" : ` (expecting "${expecting}")`}`, token.line, token.t === "end");
  }

  #read(): Token {
    const source = this.#source;
    for (;;) {
      const c = source[this.#at];
      if (c === " " || c === "\t") this.#at++;
      else if (c === "\\" && source[this.#at + 1] === "\n") {
        this.#at += 2;
        this.line++;
      } else if (c === "#") {
        while (this.#at < source.length && source[this.#at] !== "\n") this.#at++;
      } else break;
    }
    const start = this.#at, { line } = this;
    const c = source[start];
    if (c === undefined) return { t: "end", text: "", start, line };
    if (c === "\n") {
      this.#at++;
      this.line++;
      return { t: "newline", text: "\n", start, line };
    }
    for (const text of OPERATORS) {
      if (source.startsWith(text, start)) {
        this.#at += text.length;
        return { t: "op", text, start, line };
      }
    }
    const digits = /^[0-9](?=[<>])/.exec(source.slice(start, start + 2));
    if (digits !== null) {
      this.#at++;
      return { t: "io", fd: Number(digits[0]), start, line };
    }
    const word = this.#word("word");
    const text = source.slice(start, this.#at);
    return { t: "word", word, text, plain: /^[^"'\\$`]*$/.test(text), start, line };
  }

  /** `until`: what ends the word. `brace`: `}` of a parameter, `arith`: `))`. */
  #word(until: "word" | "quote" | "brace" | "brace-quoted" | "heredoc" | "arith" | "slash" | "slash-quoted"): Part[] {
    const parts: Part[] = [];
    const quoted = until === "quote" || until === "heredoc" || until === "brace-quoted" || until === "slash-quoted" || until === "arith";
    let text = "";
    let depth = 0;
    const flush = (): void => {
      if (text !== "") parts.push({ t: "text", text, quoted });
      text = "";
    };
    for (;;) {
      const source = this.#source;
      const c = source[this.#at];
      if (c === undefined) {
        if (until === "word" || until === "heredoc") break;
        if (until === "arith") throw this.#fault("syntax error: missing '))'", this.line, true);
        if (until === "quote") throw this.#fault("syntax error: unterminated quoted string", this.line, true);
        throw this.#fault("syntax error: missing '}'", this.line, true);
      }
      if (until === "word" && /[\s|&;<>()]/.test(c)) break;
      if (until === "quote" && c === '"') break;
      if ((until === "brace" || until === "brace-quoted" || until === "slash" || until === "slash-quoted") && c === "}") break;
      if ((until === "slash" || until === "slash-quoted") && c === "/") break;
      if (until === "arith") {
        if (c === "(") depth++;
        if (c === ")") {
          if (depth === 0) {
            if (source[this.#at + 1] === ")") break;
            throw this.#fault("syntax error: missing '))'", this.line, true);
          }
          depth--;
        }
      }
      if (c === "\n") this.line++;
      if (c === "\\") {
        const next = source[this.#at + 1];
        if (next === "\n") {
          this.#at += 2;
          this.line++;
          continue;
        }
        if (quoted) {
          const special = until === "heredoc" ? "$`\\" : until === "brace-quoted" || until === "slash-quoted" ? '$`"\\}/' : '$`"\\';
          if (next !== undefined && special.includes(next)) {
            flush();
            parts.push({ t: "text", text: next, quoted: true });
            this.#at += 2;
          } else {
            text += "\\";
            this.#at++;
          }
          continue;
        }
        flush();
        if (next === undefined) {
          parts.push({ t: "text", text: "\\", quoted: true });
          this.#at++;
        } else {
          parts.push({ t: "text", text: next, quoted: true });
          this.#at += 2;
        }
        continue;
      }
      if (c === "'" && !quoted) {
        flush();
        const end = source.indexOf("'", this.#at + 1);
        if (end < 0) throw this.#fault("syntax error: unterminated quoted string", this.line, true);
        const inside = source.slice(this.#at + 1, end);
        parts.push({ t: "text", text: inside, quoted: true });
        this.line += inside.split("\n").length - 1;
        this.#at = end + 1;
        continue;
      }
      if (c === '"' && until !== "quote" && until !== "heredoc") {
        if (until === "arith") {
          this.#at++;
          continue;
        }
        flush();
        this.#at++;
        const inside = this.#word("quote");
        this.#at++;
        if (inside.length === 0) parts.push({ t: "text", text: "", quoted: true });
        parts.push(...inside);
        continue;
      }
      if (c === "$") {
        if (source[this.#at + 1] === "'" && !quoted) {
          flush();
          this.#at += 2;
          parts.push({ t: "text", text: this.#ansiC(), quoted: true });
          continue;
        }
        const part = this.#dollar(quoted);
        if (part === undefined) text += "$";
        else {
          flush();
          parts.push(part);
        }
        continue;
      }
      if (c === "`") {
        flush();
        parts.push(this.#backquote(quoted, until));
        continue;
      }
      text += c;
      this.#at++;
    }
    flush();
    return parts;
  }

  /** `$'…'` */
  #ansiC(): string {
    const source = this.#source;
    let out = "";
    for (;;) {
      const c = source[this.#at++];
      if (c === undefined) throw this.#fault("syntax error: unterminated quoted string", this.line, true);
      if (c === "'") return out;
      if (c !== "\\") {
        if (c === "\n") this.line++;
        out += c;
        continue;
      }
      const escape = /^(?:x([0-9a-fA-F]{1,2})|([0-7]{1,3})|([\s\S]))/.exec(source.slice(this.#at, this.#at + 4));
      if (escape === null) continue;
      this.#at += escape[0].length;
      if (escape[1] !== undefined) out += String.fromCharCode(Number.parseInt(escape[1], 16));
      else if (escape[2] !== undefined) out += String.fromCharCode(Number.parseInt(escape[2], 8) & 255);
      else out += ({ n: "\n", t: "\t", r: "\r", a: "\x07", b: "\b", f: "\f", v: "\v", e: "\x1b", "\\": "\\", "'": "'", '"': '"', "?": "?" } as Record<string, string>)[escape[3]!] ?? `\\${escape[3]}`;
    }
  }

  #backquote(quoted: boolean, until: string): Part {
    const source = this.#source;
    let inside = "";
    let at = this.#at + 1;
    for (;;) {
      const c = source[at];
      if (c === undefined) throw this.#fault("syntax error: EOF in backquote substitution", this.line, true);
      if (c === "`") break;
      if (c === "\\" && at + 1 < source.length && ("$`\\".includes(source[at + 1]!) || (until === "quote" && source[at + 1] === '"'))) {
        inside += source[at + 1];
        at += 2;
        continue;
      }
      inside += c;
      at++;
    }
    const { line } = this;
    this.line += source.slice(this.#at, at).split("\n").length - 1;
    this.#at = at + 1;
    return { t: "command", body: new Parser(inside, { line, aliases: this.#aliases }).all(), quoted };
  }

  /** After a `$`; undefined: it stands for itself (and is passed over). */
  #dollar(quoted: boolean): Part | undefined {
    const source = this.#source;
    const next = source[this.#at + 1];
    if (next === "(") {
      if (source[this.#at + 2] === "(") {
        const from = this.#at, { line } = this;
        this.#at += 3;
        try {
          const word = this.#word("arith");
          this.#at += 2;
          return { t: "arith", word, quoted };
        } catch (error) {
          // It may be a subshell in a substitution.
          if (!(error instanceof SyntaxFault)) throw error;
          const arith = error;
          this.#at = from;
          this.line = line;
          try {
            return this.#substitution(quoted);
          } catch {
            throw arith;
          }
        }
      }
      return this.#substitution(quoted);
    }
    if (next === "{") return this.#parameter(quoted);
    const name = NAME.exec(source.slice(this.#at + 1, this.#at + 65));
    if (name !== null) {
      let end = this.#at + 1 + name[0].length;
      while (/[A-Za-z0-9_]/.test(source[end] ?? "")) end++;
      const whole = source.slice(this.#at + 1, end);
      this.#at = end;
      return { t: "param", name: whole, op: "", quoted };
    }
    if (next !== undefined && /[0-9@*#?$!-]/.test(next)) {
      this.#at += 2;
      return { t: "param", name: next, op: "", quoted };
    }
    this.#at++;
    return undefined;
  }

  #substitution(quoted: boolean): Part {
    this.#at += 2;
    const saved = { token: this.#token, heredocs: this.#heredocs };
    this.#token = undefined;
    this.#heredocs = [];
    const items: Command[] = [];
    this.#newlines();
    if (!this.#isOp(")")) items.push(this.#list(true));
    const end = this.#peek();
    if (end.t !== "op" || end.text !== ")") this.#unexpected(end, ")");
    this.#token = saved.token;
    this.#heredocs = saved.heredocs;
    return { t: "command", body: items[0], quoted };
  }

  #parameter(quoted: boolean): Part {
    const source = this.#source;
    let at = this.#at + 2;
    const bad = (): SyntaxFault => this.#fault("syntax error: bad substitution");
    const readName = (): string => {
      const match = /^(?:[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?$!-])/.exec(source.slice(at, at + 256));
      if (match === null) return "";
      at += match[0].length;
      return match[0];
    };
    // `${#}` and `${#-x}` are of the number of parameters, `${#x}` is a length.
    if (source[at] === "#" && source[at + 1] !== "}" && !/^#[-+=?:#%]/.test(source.slice(at, at + 2))) {
      at++;
      const name = readName();
      if (name === "" || source[at] !== "}") throw at >= source.length ? this.#fault("syntax error: missing '}'", this.line, true) : bad();
      this.#at = at + 1;
      return { t: "param", name, op: "#len", quoted };
    }
    if (/^##?\}/.test(source.slice(at)) && source[at + 1] === "#") {
      this.#at = at + 3;
      return { t: "param", name: "#", op: "#len", quoted };
    }
    const name = readName();
    if (name === "") throw at >= source.length ? this.#fault("syntax error: missing '}'", this.line, true) : bad();
    if (source[at] === "}") {
      this.#at = at + 1;
      return { t: "param", name, op: "", quoted };
    }
    const op = /^(?::?[-=?+]|##?|%%?|:|\/\/?)/.exec(source.slice(at, at + 2))?.[0];
    if (op === undefined) throw at >= source.length ? this.#fault("syntax error: missing '}'", this.line, true) : bad();
    this.#at = at + op.length;
    if (op === "/" || op === "//") {
      const word = this.#word(quoted ? "slash-quoted" : "slash");
      let word2: Part[] = [];
      if (this.#source[this.#at] === "/") {
        this.#at++;
        word2 = this.#word(quoted ? "brace-quoted" : "brace");
      }
      this.#at++;
      return { t: "param", name, op, word: unquotePattern(word), word2, quoted };
    }
    // Patterns are not quoted by the quotes around the parameter.
    const pattern = op.startsWith("#") || op.startsWith("%");
    const word = this.#word(quoted && !pattern ? "brace-quoted" : "brace");
    this.#at++;
    return { t: "param", name, op: op === ":" ? "sub" : (op as ParamOp), word, quoted };
  }

  #readHeredocs(): void {
    const pending = this.#heredocs;
    this.#heredocs = [];
    for (const { redirection, delimiter, strip, quoted } of pending) {
      let body = "";
      for (;;) {
        const source = this.#source;
        if (this.#at >= source.length) {
          if (this.#open) throw this.#fault("here document", this.line, true);
          break;
        }
        let end = source.indexOf("\n", this.#at);
        if (end < 0) end = source.length;
        let line = source.slice(this.#at, end);
        this.#at = Math.min(end + 1, source.length);
        this.line++;
        if (strip) line = line.replace(/^\t+/, "");
        if (line === delimiter) break;
        body += `${line}\n`;
        if (!quoted && /(^|[^\\])(\\\\)*\\$/.test(line)) body = body.slice(0, -2);
      }
      redirection.word = quoted ? [{ t: "text", text: body, quoted: true }] : new Parser(body, { line: this.line, aliases: this.#aliases }).#word("heredoc");
    }
  }
}

const isRedirection = (text: string): boolean => /^(?:<<-?|>>|<&|>&|<>|>\||&>>?|<|>)$/.test(text);

/** In a pattern of `${x/pattern/…}` quotes are as outside. */
const unquotePattern = (word: Part[]): Part[] => word.map((part) => (part.t === "text" && part.quoted ? { ...part, quoted: false } : part));

/** `NAME=value` at the beginning of a command. */
function asAssignment(word: Word): Assignment | undefined {
  const [first] = word;
  if (first === undefined || first.t !== "text" || first.quoted) return undefined;
  const match = /^([A-Za-z_][A-Za-z0-9_]*)=/.exec(first.text);
  if (match === null) return undefined;
  const rest = first.text.slice(match[0].length);
  return { name: match[1]!, value: rest === "" ? word.slice(1) : [{ ...first, text: rest }, ...word.slice(1)] };
}

/** A text as the word between double quotes: what PS1 and arithmetic are expanded from. */
export const quotedWord = (text: string): Word => {
  const parser = new Parser(`"${text.replace(/"/g, '\\"')}"`);
  const command = parser.next();
  return command?.t === "simple" ? (command.words[0] ?? []) : [];
};
