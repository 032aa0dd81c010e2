/** awk (POSIX XCU awk; busybox editors/awk.c): runs what awk-parser.ts reads. */
import { fromBytes } from "../os/bytes.ts";
import { Errno } from "../os/errno.ts";
import { Pipe, type OpenFile } from "../os/files.ts";
import { release, type Main, type Process } from "../os/process.ts";
import { float, printf, unescape } from "../sh/printf.ts";
import { AwkFault, parseAwk, type Expr, type Program, type Statement } from "./awk-parser.ts";
import { applet, getopt, UsageFault } from "./common.ts";
import { strftime, zoneOf } from "./date.ts";
import { RegexFault, translate } from "./regex.ts";

/** Text that came from outside and looks like a number is compared as one. */
class Input {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
  get numeric(): boolean {
    return /^\s*[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?\s*$/.test(this.text);
  }
}

/** Undefined: never assigned. */
type Value = number | string | Input | undefined;
type Cell = Value | Map<string, Value>;

class Jump {
  readonly kind: "next" | "nextfile" | "break" | "continue" | "exit" | "return";
  readonly value: Value;
  constructor(kind: Jump["kind"], value?: Value) {
    this.kind = kind;
    this.value = value;
  }
}

/** Records of a descriptor, by RS. */
class Records {
  #buffer = "";
  #over = false;
  readonly #read: () => Promise<Uint8Array | undefined>;
  constructor(read: () => Promise<Uint8Array | undefined>) {
    this.#read = read;
  }

  async next(separator: string): Promise<string | undefined> {
    const paragraphs = separator === "";
    const pattern = paragraphs ? /\n\n+/ : separator.length === 1 ? undefined : new RegExp(translate(separator, true));
    for (;;) {
      if (paragraphs) this.#buffer = this.#buffer.replace(/^\n+/, "");
      if (pattern === undefined) {
        const end = this.#buffer.indexOf(separator);
        if (end >= 0) return this.#cut(end, 1);
      } else {
        const found = pattern.exec(this.#buffer);
        if (found !== null && (this.#over || found.index + found[0].length < this.#buffer.length)) return this.#cut(found.index, found[0].length);
      }
      if (this.#over) {
        if (this.#buffer === "") return undefined;
        const rest = paragraphs || separator === "\n" ? this.#buffer.replace(/\n+$/, "") : this.#buffer.replace(/\n$/, "");
        this.#buffer = "";
        return rest;
      }
      const bytes = await this.#read();
      if (bytes === undefined) this.#over = true;
      else this.#buffer += fromBytes(bytes);
    }
  }

  #cut(end: number, skip: number): string {
    const record = this.#buffer.slice(0, end);
    this.#buffer = this.#buffer.slice(end + skip);
    return record;
  }
}

const awk = applet("[OPTIONS] [AWK_PROGRAM] [FILE]...", async (process, args) => {
  const options = getopt(args, "+F:v:f:e:W:", {});
  const words = [...options.rest];
  const sources = [...options.all("e")];
  for (const path of options.all("f")) sources.push(path === "-" ? await process.readAll(0) : await process.slurp(path));
  if (sources.length === 0) {
    const first = words.shift();
    if (first === undefined) throw new UsageFault("");
    sources.push(first);
  }
  try {
    const run = new Awk(process, parseAwk(sources.join("\n")), words);
    if (options.has("F")) run.set("FS", options.get("F") === "t" ? "\t" : unescape(options.get("F")!).text);
    for (const assignment of options.all("v")) {
      const equals = assignment.indexOf("=");
      if (equals < 1) throw new UsageFault("");
      run.set(assignment.slice(0, equals), new Input(unescape(assignment.slice(equals + 1)).text));
    }
    return await run.run();
  } catch (error) {
    if (!(error instanceof AwkFault) && !(error instanceof RegexFault)) throw error;
    await process.complain(error.message);
    return error instanceof AwkFault && error.message.startsWith("cmd. line") ? 1 : 2;
  }
});

const CALLS_MAX = 500;

class Awk {
  readonly #process: Process;
  readonly #program: Program;
  readonly #globals = new Map<string, Cell>();
  readonly #frames: Map<string, Cell>[] = [];
  readonly #outputs = new Map<string, { readonly file: OpenFile; readonly done?: Promise<unknown>; readonly fd: number }>();
  readonly #inputs = new Map<string, { readonly records: Records; readonly close: () => Promise<number> }>();
  readonly #ranges = new Set<number>();
  readonly #regexes = new Map<string, RegExp>();
  #record = "";
  #fields: Value[] | undefined = [];
  #stale = false;
  #main: Records | undefined;
  #operand = 0;
  #opened = false;
  #steps = 0;
  #seed = 0;

  constructor(process: Process, program: Program, operands: readonly string[]) {
    this.#process = process;
    this.#program = program;
    for (const [name, value] of [["FS", " "], ["OFS", " "], ["ORS", "\n"], ["RS", "\n"], ["SUBSEP", "\x1c"], ["CONVFMT", "%.6g"], ["OFMT", "%.6g"], ["NR", 0], ["NF", 0], ["FNR", 0], ["RSTART", 0], ["RLENGTH", -1], ["FILENAME", ""]] as const) {
      this.#globals.set(name, value);
    }
    this.#globals.set("ENVIRON", new Map<string, Value>([...process.env].map(([name, value]) => [name, new Input(value)])));
    this.#globals.set("ARGV", new Map<string, Value>([["0", "awk"], ...operands.map((word, i) => [String(i + 1), new Input(word)] as const)]));
    this.#globals.set("ARGC", operands.length + 1);
  }

  async run(): Promise<number> {
    let code = 0;
    const guard = async (work: () => Promise<void>): Promise<boolean> => {
      try {
        await work();
        return false;
      } catch (error) {
        if (!(error instanceof Jump) || error.kind !== "exit") throw error;
        if (error.value !== undefined) code = this.#number(error.value) & 255;
        return true;
      }
    };
    const { rules } = this.#program;
    let ended = await guard(async () => {
      for (const { when, body } of rules) if (when === "BEGIN") await this.#statement(body!);
    });
    if (!ended && rules.some(({ when }) => when !== "BEGIN")) {
      ended = await guard(async () => {
        while (await this.#nextRecord()) {
          try {
            await this.#rules();
          } catch (error) {
            if (!(error instanceof Jump) || (error.kind !== "next" && error.kind !== "nextfile")) throw error;
            if (error.kind === "nextfile") this.#main = undefined;
          }
        }
      });
    }
    await guard(async () => {
      for (const { when, body } of rules) if (when === "END") await this.#statement(body!);
    });
    await this.#process.flush();
    for (const name of [...this.#outputs.keys()]) await this.#close(name);
    return code;
  }

  async #rules(): Promise<void> {
    for (const [i, rule] of this.#program.rules.entries()) {
      if (rule.when === "BEGIN" || rule.when === "END") continue;
      let hit = rule.when === "always";
      if (rule.when === "pattern") hit = truth(await this.#eval(rule.from!));
      if (rule.when === "range") {
        hit = this.#ranges.has(i) || truth(await this.#eval(rule.from!));
        if (hit) {
          this.#ranges.add(i);
          if (truth(await this.#eval(rule.to!))) this.#ranges.delete(i);
        }
      }
      if (!hit) continue;
      if (rule.body === undefined) await this.#process.print(this.#text(this.#field(0)) + this.#text(this.get("ORS")));
      else await this.#statement(rule.body);
    }
  }

  // --- records and fields

  async #nextRecord(): Promise<boolean> {
    for (;;) {
      if (this.#main === undefined && !(await this.#openOperand())) return false;
      const record = await this.#main!.next(this.#text(this.get("RS")));
      if (record === undefined) {
        this.#main = undefined;
        continue;
      }
      this.#setRecord(record);
      this.#globals.set("NR", this.#number(this.get("NR")) + 1);
      this.#globals.set("FNR", this.#number(this.get("FNR")) + 1);
      const spending = this.#process.spend(3_000);
      if (spending !== undefined) await spending;
      return true;
    }
  }

  async #openOperand(): Promise<boolean> {
    const argv = this.#globals.get("ARGV") as Map<string, Value>;
    const count = this.#number(this.get("ARGC"));
    while (++this.#operand < count) {
      const word = this.#text(argv.get(String(this.#operand)));
      if (word === "") continue;
      const assignment = /^([A-Za-z_][A-Za-z0-9_]*)=/.exec(word);
      if (assignment !== null) {
        this.set(assignment[1]!, new Input(unescape(word.slice(assignment[0].length)).text));
        continue;
      }
      this.#opened = true;
      this.#globals.set("FNR", 0);
      this.#globals.set("FILENAME", word);
      if (word === "-") {
        this.#main = new Records(() => this.#process.read(0));
        return true;
      }
      try {
        const fd = await this.#process.open(word, { read: true });
        this.#main = new Records(() => this.#process.read(fd));
        return true;
      } catch (error) {
        if (!(error instanceof Errno)) throw error;
        await this.#process.complain(`${word}: ${error.message}`);
        this.#process.exit(2);
        return this.#process.live(false);
      }
    }
    if (this.#opened) return false;
    this.#opened = true;
    this.#main = new Records(() => this.#process.read(0));
    return true;
  }

  #setRecord(record: string): void {
    this.#record = record;
    this.#fields = undefined;
    this.#stale = false;
  }

  #split(): Value[] {
    if (this.#fields === undefined) {
      this.#fields = this.#pieces(this.#record, this.#text(this.get("FS"))).map((piece) => new Input(piece));
      this.#globals.set("NF", this.#fields.length);
    }
    return this.#fields;
  }

  #pieces(text: string, separator: string): string[] {
    const paragraph = this.#text(this.get("RS")) === "";
    if (separator === " ") {
      const trimmed = text.replace(/^[ \t\n]+|[ \t\n]+$/g, "");
      return trimmed === "" ? [] : trimmed.split(/[ \t\n]+/);
    }
    if (text === "") return [];
    if (separator === "") return [...text];
    if (separator.length === 1 && separator !== "\\") return paragraph ? text.split(/\n/).flatMap((line) => line.split(separator)) : text.split(separator);
    const regexp = this.#regex(separator);
    const out: string[] = [];
    let from = 0;
    regexp.lastIndex = 0;
    for (const found of text.matchAll(regexp)) {
      if (found[0] === "") continue;
      out.push(text.slice(from, found.index));
      from = found.index + found[0].length;
    }
    return [...out, text.slice(from)];
  }

  #field(index: number): Value {
    if (index === 0) {
      if (this.#stale) {
        this.#record = this.#split().map((value) => this.#text(value)).join(this.#text(this.get("OFS")));
        this.#stale = false;
      }
      return new Input(this.#record);
    }
    if (index < 0) throw new AwkFault("access to negative field");
    return this.#split()[index - 1];
  }

  #setField(index: number, value: Value): void {
    if (index === 0) {
      this.#setRecord(this.#text(value));
      return;
    }
    const fields = this.#split();
    while (fields.length < index) fields.push("");
    fields[index - 1] = value;
    this.#globals.set("NF", fields.length);
    this.#stale = true;
  }

  // --- variables

  get(name: string): Value {
    const cell = this.#cell(name);
    if (cell instanceof Map) throw new AwkFault(`attempt to use array '${name}' in scalar context`);
    return cell;
  }

  set(name: string, value: Value): void {
    const frame = this.#frames.at(-1);
    if (frame?.has(name) === true) {
      frame.set(name, value);
      return;
    }
    if (name === "NF") {
      const fields = this.#split(), count = this.#number(value);
      while (fields.length < count) fields.push("");
      fields.length = count;
      this.#stale = true;
    }
    this.#globals.set(name, value);
  }

  #cell(name: string): Cell {
    const frame = this.#frames.at(-1);
    if (frame?.has(name) === true) return frame.get(name);
    if (name === "NF") this.#split();
    return this.#globals.get(name);
  }

  #array(name: string): Map<string, Value> {
    const cell = this.#cell(name);
    if (cell instanceof Map) return cell;
    if (cell !== undefined) throw new AwkFault(`attempt to use scalar '${name}' as array`);
    const made = new Map<string, Value>();
    const frame = this.#frames.at(-1);
    if (frame?.has(name) === true) frame.set(name, made);
    else this.#globals.set(name, made);
    return made;
  }

  #number(value: Value): number {
    if (typeof value === "number") return value;
    if (value === undefined) return 0;
    const text = typeof value === "string" ? value : value.text;
    const match = /^\s*[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?/.exec(text);
    return match === null ? 0 : Number(match[0]);
  }

  #text(value: Value, format = "CONVFMT"): string {
    if (typeof value === "string") return value;
    if (value === undefined) return "";
    if (typeof value !== "number") return value.text;
    if (Number.isInteger(value) && Math.abs(value) < 1e16) return String(value === 0 ? 0 : value);
    return formatted(this.#globals.get(format) as string, [value], (v) => v as number, String);
  }

  #regex(source: string): RegExp {
    let regexp = this.#regexes.get(source);
    if (regexp === undefined) {
      if (this.#regexes.size > 200) this.#regexes.clear();
      this.#regexes.set(source, (regexp = new RegExp(translate(source.replace(/\\([/"&])/g, "$1"), true), "g")));
    }
    regexp.lastIndex = 0;
    return regexp;
  }

  /** The pattern that an expression means: a regular expression's own, or the text of its value. */
  async #pattern(of: Expr): Promise<RegExp> {
    return this.#regex(of.t === "regex" ? of.source : this.#text(await this.#eval(of)));
  }

  // --- statements

  async #statement(statement: Statement): Promise<void> {
    if (++this.#steps % 64 === 0) await this.#process.spend(50_000);
    switch (statement.t) {
      case "block":
        for (const one of statement.body) await this.#statement(one);
        return;
      case "expr":
        await this.#eval(statement.of);
        return;
      case "print": {
        const parts: string[] = [];
        for (const arg of statement.args) parts.push(this.#text(await this.#eval(arg), "OFMT"));
        await this.#write(statement, (statement.args.length === 0 ? this.#text(this.#field(0)) : parts.join(this.#text(this.get("OFS")))) + this.#text(this.get("ORS")));
        return;
      }
      case "printf": await this.#write(statement, await this.#sprintf(statement.args)); return;
      case "if":
        if (truth(await this.#eval(statement.test))) await this.#statement(statement.yes);
        else if (statement.no !== undefined) await this.#statement(statement.no);
        return;
      case "while":
        for (let first = statement.first; first || truth(await this.#eval(statement.test)); first = false) if (await this.#looped(statement.body)) return;
        return;
      case "for":
        if (statement.init !== undefined) await this.#statement(statement.init);
        while (statement.test === undefined || truth(await this.#eval(statement.test))) {
          if (await this.#looped(statement.body)) return;
          if (statement.step !== undefined) await this.#statement(statement.step);
        }
        return;
      case "each":
        for (const key of [...this.#array(statement.array).keys()]) {
          this.set(statement.name, new Input(key));
          if (await this.#looped(statement.body)) return;
        }
        return;
      case "next": case "nextfile": case "break": case "continue": throw new Jump(statement.t);
      case "exit": case "return": throw new Jump(statement.t, statement.value === undefined ? undefined : await this.#eval(statement.value));
      case "delete":
        if (statement.keys === undefined) this.#array(statement.name).clear();
        else this.#array(statement.name).delete(await this.#key(statement.keys));
    }
  }

  /** True: the loop is over. */
  async #looped(body: Statement): Promise<boolean> {
    try {
      await this.#statement(body);
      return false;
    } catch (error) {
      if (!(error instanceof Jump) || (error.kind !== "break" && error.kind !== "continue")) throw error;
      return error.kind === "break";
    }
  }

  async #write({ to, target }: Statement & { t: "print" | "printf" }, text: string): Promise<void> {
    const process = this.#process;
    if (to === "") {
      await process.print(text);
      return;
    }
    const name = this.#text(await this.#eval(target!));
    if (to !== "|" && (name === "/dev/stdout" || name === "-")) {
      await process.print(text);
      return;
    }
    if (to !== "|" && name === "/dev/stderr") {
      await process.error(text);
      return;
    }
    let output = this.#outputs.get(name);
    if (output === undefined) {
      await process.flush();
      if (to === "|") {
        const pipe = new Pipe();
        const input = pipe.end("read"), writer = pipe.end("write");
        const child = this.#shell(name, (forked) => {
          input.refs++;
          forked.install(0, input);
        });
        release(input);
        output = { file: writer, done: child.done.then(() => child.reap()), fd: this.#keep(writer) };
      } else {
        const fd = await process.open(name, { write: true, create: true, truncate: to === ">", append: to === ">>" });
        output = { file: process.file(fd), fd };
      }
      this.#outputs.set(name, output);
    }
    await process.write(output.fd, text);
  }

  /** Puts a file at a high descriptor. */
  #keep(file: OpenFile): number {
    let fd = 10;
    while (this.#process.fds[fd] !== undefined) fd++;
    this.#process.install(fd, file);
    return fd;
  }

  #shell(command: string, change: (child: Process) => void): Process {
    const child = this.#process.fork((self) => self.exec("/bin/sh", ["sh", "-c", command], self.env)(self));
    for (let fd = 10; fd < child.fds.length; fd++) if (child.fds[fd] !== undefined) child.close(fd);
    change(child);
    return child;
  }

  async #close(name: string): Promise<number> {
    const output = this.#outputs.get(name);
    if (output !== undefined) {
      this.#outputs.delete(name);
      this.#process.close(output.fd);
      if (output.done !== undefined) await this.#process.live(output.done);
      return 0;
    }
    const input = this.#inputs.get(name);
    this.#inputs.delete(name);
    return input === undefined ? -1 : input.close();
  }

  // --- expressions

  async #eval(of: Expr): Promise<Value> {
    switch (of.t) {
      case "number": case "string": return of.value;
      case "regex": return this.#regex(of.source).test(this.#text(this.#field(0))) ? 1 : 0;
      case "name": return this.get(of.name);
      case "index": {
        const array = this.#array(of.name), key = await this.#key(of.keys);
        if (!array.has(key)) array.set(key, undefined);
        return array.get(key);
      }
      case "field": return this.#field(Math.trunc(this.#number(await this.#eval(of.of))));
      case "group": return this.#eval(of.of);
      case "unary": {
        const value = await this.#eval(of.of);
        return of.op === "!" ? (truth(value) ? 0 : 1) : of.op === "-" ? -this.#number(value) : this.#number(value);
      }
      case "binary": return this.#binary(of);
      case "assign": {
        const value = await this.#eval(of.value);
        const result = of.op === "=" ? value : arithmetic(of.op[0]!, this.#number(await this.#eval(of.to)), this.#number(value));
        await this.#assign(of.to, result);
        return result;
      }
      case "step": {
        const before = this.#number(await this.#eval(of.to)), after = before + (of.op === "++" ? 1 : -1);
        await this.#assign(of.to, after);
        return of.prefix ? after : before;
      }
      case "cond": return this.#eval(truth(await this.#eval(of.test)) ? of.yes : of.no);
      case "in": return this.#array(of.name).has(await this.#key(of.keys)) ? 1 : 0;
      case "call": return of.builtin ? this.#builtin(of.name, of.args) : this.#call(of.name, of.args);
      case "getline": return this.#getline(of);
    }
  }

  async #binary({ op, left, right }: Expr & { t: "binary" }): Promise<Value> {
    if (op === "&&") return truth(await this.#eval(left)) && truth(await this.#eval(right)) ? 1 : 0;
    if (op === "||") return truth(await this.#eval(left)) || truth(await this.#eval(right)) ? 1 : 0;
    if (op === "~" || op === "!~") {
      const text = this.#text(await this.#eval(left));
      return (await this.#pattern(right)).test(text) === (op === "~") ? 1 : 0;
    }
    const a = await this.#eval(left), b = await this.#eval(right);
    if (op === " ") return this.#text(a) + this.#text(b);
    if (!/^[<>=!]/.test(op)) return arithmetic(op, this.#number(a), this.#number(b));
    const numeric = (value: Value): boolean => typeof value === "number" || value === undefined || (value instanceof Input && value.numeric);
    let order: number;
    if (numeric(a) && numeric(b)) order = this.#number(a) - this.#number(b);
    else {
      const [x, y] = [this.#text(a), this.#text(b)];
      order = x < y ? -1 : x > y ? 1 : 0;
    }
    return { "<": order < 0, "<=": order <= 0, "==": order === 0, "!=": order !== 0, ">": order > 0, ">=": order >= 0 }[op] === true ? 1 : 0;
  }

  async #assign(to: Expr, value: Value): Promise<void> {
    if (to.t === "name") this.set(to.name, value);
    else if (to.t === "index") this.#array(to.name).set(await this.#key(to.keys), value);
    else if (to.t === "field") this.#setField(Math.trunc(this.#number(await this.#eval(to.of))), value);
  }

  async #key(keys: readonly Expr[]): Promise<string> {
    const parts: string[] = [];
    for (const key of keys) parts.push(this.#text(await this.#eval(key)));
    return parts.join(this.#text(this.get("SUBSEP")));
  }

  async #call(name: string, args: readonly Expr[]): Promise<Value> {
    const found = this.#program.functions.get(name);
    if (found === undefined) throw new AwkFault("cmd. line:1: Call to undefined function");
    if (this.#frames.length > CALLS_MAX) throw new AwkFault("too many nested calls");
    const frame = new Map<string, Cell>();
    const shared: (readonly [string, string])[] = [];
    for (const [i, param] of found.params.entries()) {
      const arg = args[i];
      if (arg?.t === "name") {
        const cell = this.#cell(arg.name);
        frame.set(param, cell);
        if (cell === undefined) shared.push([param, arg.name]);
      } else frame.set(param, arg === undefined ? undefined : await this.#eval(arg));
    }
    this.#frames.push(frame);
    let result: Value;
    try {
      await this.#statement(found.body);
    } catch (error) {
      if (!(error instanceof Jump) || error.kind !== "return") throw error;
      result = error.value;
    } finally {
      this.#frames.pop();
    }
    // What was nothing and became an array inside is the caller's.
    for (const [param, outer] of shared) {
      const cell = frame.get(param);
      if (!(cell instanceof Map) || this.#cell(outer) !== undefined) continue;
      const above = this.#frames.at(-1);
      if (above?.has(outer) === true) above.set(outer, cell);
      else this.#globals.set(outer, cell);
    }
    return result;
  }

  async #getline({ to, from, source }: Expr & { t: "getline" }): Promise<Value> {
    const process = this.#process;
    let record: string | undefined;
    if (from === "input") {
      const before = this.#record;
      if (!(await this.#nextRecord())) return 0;
      if (to === undefined) return 1;
      record = this.#record;
      this.#setRecord(before);
    } else {
      const name = this.#text(await this.#eval(source!));
      let input = this.#inputs.get(name);
      if (input === undefined) {
        await process.flush();
        if (from === "file") {
          try {
            const fd = name === "-" ? 0 : await process.open(name, { read: true });
            input = {
              records: new Records(() => process.read(fd)),
              close: async () => {
                if (fd !== 0) process.close(fd);
                return 0;
              },
            };
          } catch (error) {
            if (error instanceof Errno) return -1;
            throw error;
          }
        } else {
          const pipe = new Pipe();
          const reader = pipe.end("read"), writer = pipe.end("write");
          const child = this.#shell(name, (forked) => {
            writer.refs++;
            forked.install(1, writer);
          });
          release(writer);
          const fd = this.#keep(reader);
          input = {
            records: new Records(() => process.read(fd)),
            close: async () => {
              process.close(fd);
              const { code } = await process.live(child.done);
              child.reap();
              return code;
            },
          };
        }
        this.#inputs.set(name, input);
      }
      record = await input.records.next(this.#text(this.get("RS")));
      if (record === undefined) return 0;
      if (from === "command") this.#globals.set("NR", this.#number(this.get("NR")) + 1);
    }
    if (to === undefined) this.#setRecord(record);
    else await this.#assign(to, new Input(record));
    return 1;
  }

  async #sprintf(args: readonly Expr[]): Promise<string> {
    const values: Value[] = [];
    for (const arg of args) values.push(await this.#eval(arg));
    const [format, ...rest] = values;
    return formatted(this.#text(format), rest, (value) => this.#number(value), (value) => this.#text(value));
  }

  async #builtin(name: string, args: readonly Expr[]): Promise<Value> {
    const text = async (i: number): Promise<string> => (args[i] === undefined ? "" : this.#text(await this.#eval(args[i]!)));
    const number = async (i: number): Promise<number> => (args[i] === undefined ? 0 : this.#number(await this.#eval(args[i]!)));
    switch (name) {
      case "length": {
        const [arg] = args;
        if (arg === undefined) return this.#text(this.#field(0)).length;
        const cell = arg.t === "name" ? this.#cell(arg.name) : undefined;
        return cell instanceof Map ? cell.size : (await text(0)).length;
      }
      case "substr": {
        const whole = await text(0);
        const from = Math.max(1, Math.round(await number(1)));
        const end = args[2] === undefined ? Infinity : from + Math.round(await number(2));
        return whole.slice(Math.max(0, from - 1), Math.max(0, end - 1));
      }
      case "index": return (await text(0)).indexOf(await text(1)) + 1;
      case "split": {
        const whole = await text(0), target = args[1] as Expr & { t: "name" };
        const pieces = args[2] === undefined ? this.#pieces(whole, this.#text(this.get("FS"))) : this.#pieces(whole, args[2].t === "regex" ? (args[2].source.length === 1 ? `[${args[2].source}]` : args[2].source) : await text(2));
        const array = this.#array(target.name);
        array.clear();
        pieces.forEach((piece, i) => array.set(String(i + 1), new Input(piece)));
        return pieces.length;
      }
      case "sub": case "gsub": {
        const regexp = await this.#pattern(args[0]!);
        const replacement = await text(1);
        const to: Expr = args[2] ?? { t: "field", of: { t: "number", value: 0 } };
        const whole = this.#text(await this.#eval(to));
        let count = 0, out = "", from = 0;
        for (const found of whole.matchAll(regexp)) {
          // An empty match right after one that was not is none.
          if (found[0] === "" && found.index === from && count > 0 && from > 0) continue;
          out += whole.slice(from, found.index) + replacement.replace(/\\\\&|\\&|&/g, (part) => (part === "&" ? found[0] : part === "\\&" ? "&" : `\\${found[0]}`));
          from = found.index + found[0].length;
          count++;
          if (name === "sub") break;
        }
        if (count > 0) await this.#assign(to, out + whole.slice(from));
        return count;
      }
      case "match": {
        const whole = await text(0);
        const found = (await this.#pattern(args[1]!)).exec(whole);
        this.#globals.set("RSTART", found === null ? 0 : found.index + 1);
        this.#globals.set("RLENGTH", found === null ? -1 : found[0].length);
        return found === null ? 0 : found.index + 1;
      }
      case "sprintf": return this.#sprintf(args);
      case "int": return Math.trunc(await number(0));
      case "sqrt": return Math.sqrt(await number(0));
      case "rand": return this.#process.machine.random.float();
      case "srand": {
        const before = this.#seed;
        this.#seed = args[0] === undefined ? Math.floor(this.#process.clock.nowMs() / 1000) : await number(0);
        return before;
      }
      case "tolower": return (await text(0)).toLowerCase();
      case "toupper": return (await text(0)).toUpperCase();
      case "system": {
        await this.#process.flush();
        const child = this.#shell(await text(0), () => {});
        const { code } = await this.#process.live(child.done);
        child.reap();
        return code;
      }
      case "close": return this.#close(await text(0));
      case "fflush":
        await this.#process.flush();
        return 0;
      case "systime": return Math.floor(this.#process.clock.nowMs() / 1000);
      case "strftime": return strftime(args[0] === undefined ? "%c" : await text(0), args[1] === undefined ? this.#process.clock.nowMs() : (await number(1)) * 1000, zoneOf(this.#process.env.get("TZ")));
      case "and": return Number(BigInt.asUintN(64, BigInt(Math.trunc(await number(0))) & BigInt(Math.trunc(await number(1)))));
      case "or": return Number(BigInt.asUintN(64, BigInt(Math.trunc(await number(0))) | BigInt(Math.trunc(await number(1)))));
      case "xor": return Number(BigInt.asUintN(64, BigInt(Math.trunc(await number(0))) ^ BigInt(Math.trunc(await number(1)))));
      case "lshift": return Number(BigInt.asUintN(64, BigInt(Math.trunc(await number(0))) << BigInt(Math.trunc(await number(1)))));
      case "rshift": return Number(BigInt.asUintN(64, BigInt(Math.trunc(await number(0))) >> BigInt(Math.trunc(await number(1)))));
      // Built as Debian's: what engines compute to different last bits is left out.
      default: throw new AwkFault("cmd. line:1: Math support is not compiled in");
    }
  }
}

const truth = (value: Value): boolean => (typeof value === "number" ? value !== 0 : typeof value === "string" ? value !== "" : value === undefined ? false : value.numeric ? Number(value.text) !== 0 : value.text !== "");

function arithmetic(op: string, a: number, b: number): number {
  switch (op) {
    case "+": return a + b;
    case "-": return a - b;
    case "*": return a * b;
    case "/": case "%":
      if (b === 0) throw new AwkFault("Division by zero");
      return op === "/" ? a / b : a % b;
    default: {
      if (!Number.isInteger(b)) throw new AwkFault("cmd. line:1: Math support is not compiled in");
      let result = 1;
      for (let i = Math.abs(b); i > 0; i--) result *= a;
      return b < 0 ? 1 / result : result;
    }
  }
}

/** printf, with awk's values: numbers for %d, %c of a number is a character. */
function formatted(format: string, values: readonly Value[], number: (value: Value) => number, text: (value: Value) => string): string {
  let next = 0;
  return format.replace(/%([-+ #0]*)(\*|[0-9]+)?(?:\.(\*|[0-9]*))?[lhqL]*([a-zA-Z%])/g, (whole, flags: string, width: string | undefined, precision: string | undefined, conversion: string) => {
    if (conversion === "%") return "%";
    const star = (word: string | undefined): string => (word === "*" ? String(Math.trunc(number(values[next++]))) : (word ?? ""));
    const spec = `%${flags}${star(width)}${precision === undefined ? "" : `.${star(precision)}`}`;
    const value = values[next++];
    switch (conversion) {
      case "d": case "i": return printf(`${spec}d`, [String(Math.trunc(number(value)))]).text;
      case "o": case "x": case "X": case "u": return printf(`${spec}${conversion}`, [String(Math.trunc(number(value)))]).text;
      case "e": case "E": case "f": case "F": case "g": case "G": {
        const digits = precision === undefined ? undefined : Number(star(precision));
        const plain = float(number(value), conversion, digits ?? 6, flags.includes("#"));
        return printf(`${spec.replace(/\..*$/, "")}s`, [(flags.includes("+") && !plain.startsWith("-") ? "+" : flags.includes(" ") && !plain.startsWith("-") ? " " : "") + plain]).text;
      }
      case "c": return printf(`${spec}s`, [typeof value === "number" ? String.fromCharCode(value & 255) : text(value).slice(0, 1)]).text;
      case "s": return printf(`${spec}s`, [text(value)]).text;
      default: return whole;
    }
  });
}

export const awkApplets: Readonly<Record<string, Main>> = { awk };
