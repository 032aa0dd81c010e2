/** sed (POSIX; busybox editors/sed.c). */
import { fromBytes, toBytes } from "../os/bytes.ts";
import { Errno } from "../os/errno.ts";
import type { Main, Process } from "../os/process.ts";
import { applet, getopt, LineReader, UsageFault } from "./common.ts";
import { RegexFault, translate } from "./regex.ts";

type Address = { readonly t: "line"; readonly line: number } | { readonly t: "last" } | { readonly t: "regex"; readonly regexp: RegExp | undefined } | { readonly t: "step"; readonly first: number; readonly step: number }
  | { readonly t: "plus"; readonly count: number };

interface Command {
  readonly from?: Address;
  readonly to?: Address;
  readonly negated: boolean;
  readonly name: string;
  readonly text: string;
  readonly regexp?: RegExp | undefined;
  readonly replacement?: string;
  readonly global?: boolean;
  readonly nth?: number;
  readonly print?: boolean;
  readonly map?: ReadonlyMap<string, string>;
  readonly block?: readonly Command[];
  /** Whether its range is open, and to which line. */
  active?: boolean;
  until?: number;
}

class SedFault extends Error {}

class Reader {
  #at = 0;
  readonly #text: string;
  readonly #extended: boolean;
  constructor(text: string, extended: boolean) {
    this.#text = text;
    this.#extended = extended;
  }

  script(nested = false): Command[] {
    const out: Command[] = [];
    for (;;) {
      while (/[\s;]/.test(this.#text[this.#at] ?? "")) this.#at++;
      const c = this.#text[this.#at];
      if (c === undefined) {
        if (nested) throw new SedFault("unterminated {");
        return out;
      }
      if (c === "}") {
        if (!nested) throw new SedFault("unexpected '}'");
        this.#at++;
        return out;
      }
      if (c === "#") {
        while (this.#at < this.#text.length && this.#text[this.#at] !== "\n") this.#at++;
        continue;
      }
      out.push(this.#command());
    }
  }

  #command(): Command {
    const from = this.#address();
    let to: Address | undefined;
    this.#spaces();
    if (from !== undefined && this.#text[this.#at] === ",") {
      this.#at++;
      this.#spaces();
      to = this.#address(true);
      if (to === undefined) throw new SedFault("no address after comma");
    }
    this.#spaces();
    let negated = false;
    while (this.#text[this.#at] === "!" || (negated && this.#text[this.#at] === " ")) {
      negated = true;
      this.#at++;
    }
    const name = this.#text[this.#at++];
    if (name === undefined) throw new SedFault("missing command");
    const base = { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }), negated, name };
    switch (name) {
      case "{": return { ...base, text: "", block: this.script(true) };
      case "s": return { ...base, text: "", ...this.#substitution() };
      case "y": {
        const delimiter = this.#text[this.#at++]!;
        const a = this.#until(delimiter, true), b = this.#until(delimiter, true);
        if (a.length !== b.length) throw new SedFault("strings for 'y' command are different lengths");
        return { ...base, text: "", map: new Map([...a].map((c, i) => [c, b[i]!])) };
      }
      case "a": case "i": case "c": return { ...base, text: this.#lines() };
      case ":": case "b": case "t": case "T": {
        this.#spaces();
        const label = (name === ":" ? /^[^\n;]*/ : /^[^\n;}]*/).exec(this.#text.slice(this.#at))![0];
        this.#at += label.length;
        return { ...base, text: label.trim() };
      }
      case "r": case "w": {
        this.#spaces();
        const path = /^[^\n]*/.exec(this.#text.slice(this.#at))![0];
        this.#at += path.length;
        return { ...base, text: path };
      }
      case "q": case "Q": {
        this.#spaces();
        const code = /^[0-9]*/.exec(this.#text.slice(this.#at))![0];
        this.#at += code.length;
        return { ...base, text: code };
      }
      case "d": case "D": case "p": case "P": case "n": case "N": case "g": case "G": case "h": case "H": case "x": case "l": case "=":
        return { ...base, text: "" };
      default: throw new SedFault(`unsupported command ${name}`);
    }
  }

  #spaces(): void {
    while (this.#text[this.#at] === " " || this.#text[this.#at] === "\t") this.#at++;
  }

  #address(second = false): Address | undefined {
    const rest = this.#text.slice(this.#at);
    const step = /^([0-9]+)~([0-9]+)/.exec(rest);
    if (step !== null) {
      this.#at += step[0].length;
      return { t: "step", first: Number(step[1]), step: Number(step[2]) };
    }
    const plus = second ? /^\+([0-9]+)/.exec(rest) : null;
    if (plus !== null) {
      this.#at += plus[0].length;
      return { t: "plus", count: Number(plus[1]) };
    }
    const line = /^[0-9]+/.exec(rest);
    if (line !== null) {
      this.#at += line[0].length;
      return { t: "line", line: Number(line[0]) };
    }
    if (rest.startsWith("$")) {
      this.#at++;
      return { t: "last" };
    }
    if (!rest.startsWith("/") && !rest.startsWith("\\")) return undefined;
    this.#at += rest.startsWith("\\") ? 2 : 1;
    const delimiter = rest.startsWith("\\") ? rest[1]! : "/";
    const source = this.#until(delimiter, false);
    const flags = /^[IM]*/.exec(this.#text.slice(this.#at))![0];
    this.#at += flags.length;
    return { t: "regex", regexp: this.#compile(source, flags.includes("I") ? "i" : "") };
  }

  #compile(source: string, flags: string): RegExp | undefined {
    if (source === "") return undefined;
    try {
      return new RegExp(translate(source, this.#extended), `g${flags}`);
    } catch (error) {
      if (error instanceof RegexFault) throw new SedFault(`bad regex '${source}': ${error.message}`);
      throw new SedFault(`bad regex '${source}': Invalid preceding regular expression`);
    }
  }

  /** To the delimiter, which is passed over; before it a backslash hides it. */
  #until(delimiter: string, plain: boolean): string {
    let out = "", bracket = false;
    for (;;) {
      const c = this.#text[this.#at++];
      if (c === undefined) throw new SedFault(`unmatched '${delimiter}'`);
      if (c === delimiter && !bracket) return out;
      if (c === "[" && !plain && !bracket) bracket = true;
      else if (c === "]" && bracket && !/\[\^?$/.test(out)) bracket = false;
      if (c === "\\" && !bracket) {
        const next = this.#text[this.#at++] ?? "";
        if (next === delimiter) out += plain || !/[0-9a-zA-Z]/.test(delimiter) ? (/[.*+?^$[\]{}()|]/.test(delimiter) && !plain ? `\\${delimiter}` : delimiter) : delimiter;
        else if (plain) out += next === "n" ? "\n" : next === "\\" ? "\\" : next === "t" ? "\t" : `\\${next}`;
        else out += `\\${next}`;
        continue;
      }
      out += c;
    }
  }

  #substitution(): Partial<Command> {
    const delimiter = this.#text[this.#at++];
    if (delimiter === undefined || delimiter === "\n" || delimiter === "\\") throw new SedFault("bad format in substitution expression");
    const source = this.#until(delimiter, false);
    let replacement = "";
    for (;;) {
      const c = this.#text[this.#at++];
      if (c === undefined) throw new SedFault(`unmatched '${delimiter}'`);
      if (c === delimiter) break;
      if (c === "\\") {
        const next = this.#text[this.#at++] ?? "";
        replacement += next === delimiter ? (delimiter === "&" ? "\\&" : delimiter) : `\\${next}`;
      } else replacement += c;
    }
    let global = false, print = false, flags = "", nth = 0, file: string | undefined;
    for (;;) {
      const c = this.#text[this.#at] ?? "";
      if (c === "g") global = true;
      else if (c === "p") print = true;
      else if (c === "i" || c === "I") flags = "i";
      else if (c === "m" || c === "M") flags += "m";
      else if (/[0-9]/.test(c)) nth = nth * 10 + Number(c);
      else if (c === "w") {
        file = /^[^\n]*/.exec(this.#text.slice(this.#at + 1))![0].trim();
        this.#at = this.#text.indexOf("\n", this.#at) < 0 ? this.#text.length : this.#text.indexOf("\n", this.#at);
        break;
      } else break;
      this.#at++;
    }
    if (!/^[\s;}#]?$/.test(this.#text[this.#at] ?? "")) throw new SedFault("unknown option to s");
    return { regexp: this.#compile(source, flags), replacement, global, print, nth: Math.max(1, nth), text: file ?? "" };
  }

  /** The text of a, i and c. */
  #lines(): string {
    this.#spaces();
    if (this.#text[this.#at] === "\\") {
      this.#at++;
      this.#spaces();
      if (this.#text[this.#at] === "\n") this.#at++;
    }
    let out = "";
    for (;;) {
      const c = this.#text[this.#at++];
      if (c === undefined || c === "\n") break;
      if (c === "\\") {
        const next = this.#text[this.#at++] ?? "";
        out += next === "t" ? "\t" : next;
      } else out += c;
    }
    return `${out}\n`;
  }
}

/** What `\1`, `&`, `\n`, `\U…\E` of a replacement become. */
function substitute(template: string, match: RegExpMatchArray): string {
  let out = "", mode = "", once = "";
  const add = (text: string): void => {
    let piece = mode === "U" ? text.toUpperCase() : mode === "L" ? text.toLowerCase() : text;
    if (once !== "" && piece !== "") {
      piece = (once === "u" ? piece[0]!.toUpperCase() : piece[0]!.toLowerCase()) + piece.slice(1);
      once = "";
    }
    out += piece;
  };
  for (let i = 0; i < template.length; i++) {
    const c = template[i]!;
    if (c === "&") add(match[0]);
    else if (c !== "\\") add(c);
    else {
      const next = template[++i] ?? "";
      if (/[0-9]/.test(next)) add(match[Number(next)] ?? "");
      else if (next === "n") add("\n");
      else if (next === "t") add("\t");
      else if (next === "r") add("\r");
      else if (next === "U" || next === "L") mode = next;
      else if (next === "E") mode = "";
      else if (next === "u" || next === "l") once = next;
      else add(next);
    }
  }
  return out;
}

const sed = applet("[-i[SFX]] [-nrE] [-f FILE]... [-e CMD]... [FILE]...\nor: sed [-i[SFX]] [-nrE] CMD [FILE]...", async (process, args) => {
  const options = getopt(args, "i::rEne:f:sz", { "in-place": "i", "regexp-extended": "r", quiet: "n", silent: "n", expression: "e", file: "f" });
  const files = [...options.rest];
  const scripts = [...options.all("e")];
  for (const path of options.all("f")) scripts.push((path === "-" ? await process.readAll(0) : await process.slurp(path)).replace(/\n$/, ""));
  if (!options.has("e") && !options.has("f")) {
    const first = files.shift();
    if (first === undefined) throw new UsageFault("");
    scripts.push(first);
  }
  const script = scripts.join("\n");
  let commands: Command[];
  try {
    commands = new Reader(script.replace(/^#n(\n|$)/, "$1"), options.has("r") || options.has("E")).script();
  } catch (error) {
    if (!(error instanceof SedFault)) throw error;
    await process.complain(error.message);
    return 1;
  }
  const quiet = options.has("n") || /^#n(\n|$)/.test(script);
  const inPlace = options.has("i");
  let status = 0;
  const runner = new Runner(process, commands, quiet);
  if (!inPlace) {
    const inputs: { fd: number }[] = [];
    for (const name of files.length === 0 ? ["-"] : files) {
      try {
        inputs.push({ fd: name === "-" ? 0 : await process.open(name, { read: true }) });
      } catch (error) {
        if (!(error instanceof Errno)) throw error;
        await process.complain(`${name}: ${error.message}`);
        status = 1;
      }
    }
    if (inputs.length > 0) status = (await runner.run(inputs.map(({ fd }) => fd), (text) => process.print(text))) || status;
    return status;
  }
  for (const name of files) {
    let fd: number;
    try {
      fd = await process.open(name, { read: true });
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      await process.complain(`${name}: ${error.message}`);
      status = 1;
      continue;
    }
    let out = "";
    const before = process.fs.readFile(process, name).slice();
    status = (await new Runner(process, commands, quiet).run([fd], (text) => void (out += text))) || status;
    process.close(fd);
    if (options.get("i") !== "") process.fs.writeFile(process, name + options.get("i")!, before);
    process.fs.writeFile(process, name, toBytes(out));
  }
  return status;
});

const BRANCHES_MAX = 1_000_000;

class Runner {
  readonly #process: Process;
  readonly #commands: readonly Command[];
  readonly #quiet: boolean;
  readonly #flat: (Command & { readonly skip?: number })[] = [];
  readonly #labels = new Map<string, number>();
  #hold = "";
  #last: RegExp | undefined;

  constructor(process: Process, commands: readonly Command[], quiet: boolean) {
    this.#process = process;
    this.#commands = commands;
    this.#quiet = quiet;
    this.#flatten(this.#commands);
  }

  /** Blocks become jumps. */
  #flatten(commands: readonly Command[]): void {
    for (const command of commands) {
      if (command.name === ":") this.#labels.set(command.text, this.#flat.length);
      else if (command.block === undefined) this.#flat.push({ ...command });
      else {
        const at = this.#flat.length;
        this.#flat.push({ ...command });
        this.#flatten(command.block);
        this.#flat[at] = { ...command, skip: this.#flat.length };
      }
    }
  }

  async run(fds: readonly number[], print: (text: string) => Promise<void> | undefined | void): Promise<number> {
    const process = this.#process;
    let at = 0;
    let reader = new LineReader(process, fds[0]!);
    let ahead = await reader.next();
    const pull = async (): Promise<{ line: string; ended: boolean } | undefined> => {
      for (;;) {
        const current = ahead;
        if (current !== undefined) {
          ahead = await reader.next();
          while (ahead === undefined && at + 1 < fds.length) {
            reader = new LineReader(process, fds[++at]!);
            ahead = await reader.next();
          }
          return current;
        }
        if (at + 1 >= fds.length) return undefined;
        reader = new LineReader(process, fds[++at]!);
        ahead = await reader.next();
      }
    };
    let number = 0, space = "", ended = true, substituted = false, restart = false;
    let appended: (() => Promise<void>)[] = [];
    const put = async (text: string, newline = true): Promise<void> => void (await print(newline ? `${text}\n` : text));
    const finish = async (): Promise<void> => {
      if (!this.#quiet) await put(space, ended);
      for (const run of appended) await run();
      appended = [];
    };
    for (;;) {
      if (!restart) {
        const next = await pull();
        if (next === undefined) return 0;
        number++;
        space = next.line;
        ended = next.ended;
      }
      restart = false;
      substituted = false;
      let steps = 0, deleted = false;
      await process.spend(2_000);
      for (let pc = 0; pc < this.#flat.length; pc++) {
        if (++steps % 1000 === 0) await process.spend(1_000_000);
        if (steps > BRANCHES_MAX) await process.pause(1);
        const command = this.#flat[pc]!;
        if (this.#selects(command, number, space, ahead === undefined) === command.negated) {
          if (command.skip !== undefined) pc = command.skip - 1;
          continue;
        }
        const branch = (): void => {
          const target = command.text === "" ? this.#flat.length : this.#labels.get(command.text);
          pc = (target ?? this.#flat.length) - 1;
        };
        switch (command.name) {
          case "{": break;
          case "p": await put(space); break;
          case "P": await put(space.split("\n")[0]!); break;
          case "=": await put(String(number)); break;
          case "l": await put(`${space.replace(/\\/g, "\\\\").replace(/\t/g, "\\t").replace(/\n/g, "\\n").replace(/[^ -~]/g, (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, "0")}`)}$`); break;
          case "d": deleted = true; break;
          case "D": {
            const newline = space.indexOf("\n");
            if (newline >= 0) {
              space = space.slice(newline + 1);
              restart = true;
            }
            deleted = true;
            break;
          }
          case "h": this.#hold = space; break;
          case "H": this.#hold += `\n${space}`; break;
          case "g": space = this.#hold; break;
          case "G": space += `\n${this.#hold}`; break;
          case "x": [space, this.#hold] = [this.#hold, space]; break;
          case "n": {
            if (ahead === undefined && at + 1 >= fds.length) {
              await finish();
              return 0;
            }
            await finish();
            const next = (await pull())!;
            number++;
            space = next.line;
            ended = next.ended;
            break;
          }
          case "N": {
            const next = await pull();
            if (next === undefined) {
              await finish();
              return 0;
            }
            number++;
            space += `\n${next.line}`;
            ended = next.ended;
            break;
          }
          case "s": {
            const done = this.#replace(command, space);
            if (done === undefined) break;
            space = done;
            substituted = true;
            if (command.print === true) await put(space);
            if (command.text !== "") await this.#appendTo(command.text, `${space}\n`);
            break;
          }
          case "y": space = [...space].map((c) => command.map!.get(c) ?? c).join(""); break;
          case "a": appended.push(async () => void (await print(command.text))); break;
          case "i": await print(command.text); break;
          case "c":
            if (command.to === undefined || command.negated || command.active !== true) await print(command.text);
            deleted = true;
            break;
          case "r":
            appended.push(async () => {
              const text = await process.slurp(command.text).catch((error: unknown) => {
                if (error instanceof Errno) return "";
                throw error;
              });
              if (text !== "") await print(text);
            });
            break;
          case "w": await this.#appendTo(command.text, `${space}\n`); break;
          case "b": branch(); break;
          case "t":
            if (substituted) branch();
            substituted = false;
            break;
          case "T":
            if (!substituted) branch();
            substituted = false;
            break;
          case "q":
            await finish();
            return Number(command.text || 0);
          case "Q": return Number(command.text || 0);
          default: break;
        }
        if (deleted) break;
      }
      if (deleted) {
        for (const run of appended) await run();
        appended = [];
      } else await finish();
    }
  }

  readonly #written = new Set<string>();
  async #appendTo(path: string, text: string): Promise<void> {
    if (path === "/dev/stdout") {
      await this.#process.print(text);
      return;
    }
    const first = !this.#written.has(path);
    this.#written.add(path);
    const before = first ? "" : fromBytes(this.#process.fs.readFile(this.#process, path));
    this.#process.fs.writeFile(this.#process, path, toBytes(before + text));
  }

  #replace(command: Command, text: string): string | undefined {
    const regexp = command.regexp ?? this.#last;
    if (regexp === undefined) return undefined;
    this.#last = regexp;
    let count = 0, out = "", at = 0, hit = false;
    regexp.lastIndex = 0;
    for (const match of text.matchAll(regexp)) {
      count++;
      if (count < command.nth! || (hit && command.global !== true)) continue;
      hit = true;
      out += text.slice(at, match.index) + substitute(command.replacement!, match);
      at = match.index + match[0].length;
      if (command.global !== true) break;
    }
    return hit ? out + text.slice(at) : undefined;
  }

  #selects(command: Command, number: number, space: string, last: boolean): boolean {
    const { from, to } = command;
    if (from === undefined) return true;
    const fits = (address: Address): boolean => {
      switch (address.t) {
        case "line": return address.line === number;
        case "last": return last;
        case "step": return address.step === 0 ? number === address.first : number >= address.first && (number - address.first) % address.step === 0;
        case "plus": return false;
        case "regex": {
          const regexp = address.regexp ?? this.#last;
          if (regexp === undefined) return false;
          this.#last = regexp;
          regexp.lastIndex = 0;
          return regexp.test(space);
        }
      }
    };
    if (to === undefined) return fits(from);
    if (command.active !== true) {
      if (!fits(from)) return false;
      command.active = true;
      if (to.t === "plus") command.until = number + to.count;
      // A range that ends where it begins, or before, is one line.
      if ((to.t === "line" && to.line <= number) || (to.t === "last" && last) || (to.t === "plus" && to.count === 0)) command.active = false;
      return true;
    }
    if (to.t === "line" ? number >= to.line : to.t === "plus" ? number >= command.until! : fits(to)) command.active = false;
    return !(to.t === "line" && number > to.line);
  }
}

export const sedApplets: Readonly<Record<string, Main>> = { sed };
