/** Expansion of words (POSIX XCU 2.6): tilde, parameters, commands, arithmetic, fields, paths, quotes. Follows busybox shell/ash.c: argstr, subevalvar, ifsbreakup, expandmeta. */
import { ArithFault, evaluateArith } from "./arith.ts";
import type { Part, Word } from "./ast.ts";
import { hasPattern, mark, MARK, matches, patternSource, trim, unmark } from "./pattern.ts";
import type { Shell } from "./shell.ts";
import type { Place } from "../os/vfs.ts";

/** An expansion that fails: the shell ends, unless it is interactive. */
export class ExpansionFault extends Error {}

/** What a word becomes, field by field. */
class Fields {
  readonly done: string[] = [];
  current: string | undefined;
  readonly #ifs: string;
  #endedBySpace = false;

  constructor(ifs: string) {
    this.#ifs = ifs;
  }

  add(text: string): void {
    this.current = (this.current ?? "") + text;
    this.#endedBySpace = false;
  }

  end(): void {
    if (this.current !== undefined) this.done.push(this.current);
    this.current = undefined;
  }

  /** An unquoted expansion's result. */
  split(text: string): void {
    const ifs = this.#ifs;
    if (text === "") return;
    if (ifs === "") {
      this.add(text);
      return;
    }
    for (let i = 0; i < text.length; i++) {
      const c = text[i]!;
      if (text.charCodeAt(i) >= MARK || !ifs.includes(c)) {
        this.current = (this.current ?? "") + c;
        this.#endedBySpace = false;
      } else if (c === " " || c === "\t" || c === "\n") {
        if (this.current === undefined) continue;
        this.end();
        this.#endedBySpace = true;
      } else {
        if (this.current !== undefined) this.end();
        else if (!this.#endedBySpace) this.done.push("");
        this.#endedBySpace = false;
      }
    }
  }
}

/** `assign`: no fields, `~` after colons too; `pattern`: quoted characters keep their mark; `text`: no fields. */
type Mode = "fields" | "assign" | "pattern" | "text";

/** All words of a command. */
export async function expandWords(shell: Shell, words: readonly Word[]): Promise<string[]> {
  const out: string[] = [];
  for (const word of words) {
    const [only] = word;
    if (word.length === 1 && only!.t === "text" && (only!.quoted || !/[~*?[]/.test(only!.text))) {
      out.push(only!.text);
      continue;
    }
    const fields = new Fields(shell.get("IFS") ?? " \t\n");
    await expandInto(shell, word, fields, "fields", false);
    fields.end();
    for (const field of fields.done) {
      const found = hasPattern(field) && !shell.options.f ? glob(shell, field) : [];
      if (found.length > 0) out.push(...found);
      else out.push(unmark(field));
    }
  }
  return out;
}

/** A word that stays one: the value of an assignment, the name of a file, a here-document. */
export async function expandText(shell: Shell, word: Word, mode: Mode = "text"): Promise<string> {
  const [only] = word;
  if (word.length === 0) return "";
  if (word.length === 1 && only!.t === "text" && mode !== "pattern" && !only!.text.includes("~")) return only!.text;
  const fields = new Fields("");
  await expandInto(shell, word, fields, mode, false);
  const text = [...fields.done, ...(fields.current === undefined ? [] : [fields.current])].join(" ");
  return mode === "pattern" ? text : unmark(text);
}

async function expandInto(shell: Shell, word: Word, fields: Fields, mode: Mode, inParam: boolean): Promise<void> {
  for (let i = 0; i < word.length; i++) {
    const part = word[i]!;
    switch (part.t) {
      case "text": {
        if (part.quoted) {
          fields.add(mark(part.text));
          break;
        }
        let { text } = part;
        if (text.includes("~")) text = tilde(shell, text, i === 0 && fields.current === undefined, mode, i === word.length - 1 || text.includes("/"));
        if (inParam && mode === "fields") fields.split(text);
        else fields.add(text);
        break;
      }
      case "param":
        await parameter(shell, part, fields, mode);
        break;
      case "command": {
        const text = part.body === undefined ? "" : await shell.substitute(part.body);
        give(fields, text, part.quoted, mode);
        break;
      }
      case "arith":
        give(fields, String(await arith(shell, part.word)), part.quoted, mode);
        break;
    }
  }
}

function give(fields: Fields, text: string, quoted: boolean, mode: Mode): void {
  if (quoted) fields.add(mark(text));
  else if (mode === "fields") fields.split(text);
  else if (text !== "" || fields.current !== undefined) fields.add(mode === "pattern" ? text : mark(text));
}

function tilde(shell: Shell, text: string, first: boolean, mode: Mode, whole: boolean): string {
  const one = (piece: string, last: boolean): string => {
    const match = /^~([A-Za-z0-9_-]*)(?=\/|$)/.exec(piece);
    if (match === null || (!last && !piece.includes("/"))) return piece;
    const home = match[1] === "" ? shell.get("HOME") : shell.homeOf(match[1]!);
    return home === undefined ? piece : mark(home) + piece.slice(match[0].length);
  };
  if (mode === "assign") return text.split(":").map((piece, i) => (i > 0 || first ? one(piece, true) : piece)).join(":");
  return first ? one(text, whole) : text;
}

/** The value of `$((…))`. */
export async function arith(shell: Shell, word: Word): Promise<bigint> {
  return arithText(shell, await expandText(shell, word));
}

export function arithText(shell: Shell, text: string): bigint {
  try {
    return evaluateArith(text, {
      get: (name) => {
        const value = shell.get(name);
        if (value === undefined && shell.options.u) throw new ExpansionFault(`${name}: parameter not set`);
        return value;
      },
      set: (name, value) => shell.set(name, value),
    });
  } catch (error) {
    if (error instanceof ArithFault) throw new ExpansionFault(error.message);
    throw error;
  }
}

async function parameter(shell: Shell, part: Part & { t: "param" }, fields: Fields, mode: Mode): Promise<void> {
  const { name, op, quoted } = part;
  const many = name === "@" || name === "*";
  const value = shell.param(name);
  if (op === "#len") {
    if (value === undefined && shell.options.u && !many) throw new ExpansionFault(`${name}: parameter not set`);
    give(fields, String(many ? shell.params.length : (value ?? "").length), quoted, mode);
    return;
  }
  const word = part.word ?? [];
  const unset = many ? shell.params.length === 0 : value === undefined;
  const missing = unset || (op.startsWith(":") && (many ? shell.params.every((p) => p === "") : value === ""));
  switch (op) {
    case "": break;
    case "-": case ":-":
      if (!missing) break;
      await expandInto(shell, word, fields, mode, !quoted);
      if (quoted && fields.current === undefined) fields.add("");
      return;
    case "+": case ":+":
      if (!missing) await expandInto(shell, word, fields, mode, !quoted);
      if (quoted && fields.current === undefined) fields.add("");
      return;
    case "=": case ":=": {
      if (!missing) break;
      if (!/^[A-Za-z_]/.test(name)) throw new ExpansionFault(`${name}: bad variable name`);
      const text = await expandText(shell, word);
      shell.set(name, text);
      give(fields, text, quoted, mode);
      return;
    }
    case "?": case ":?": {
      if (!missing) break;
      const text = await expandText(shell, word);
      throw new ExpansionFault(`${name}: ${text === "" ? (op === "?" ? "parameter not set" : "parameter not set or null") : text}`);
    }
    default: {
      if (unset && shell.options.u && !many) throw new ExpansionFault(`${name}: parameter not set`);
      const change = await transformer(shell, part);
      if (many) {
        giveAll(shell, shell.params.map(change), name, quoted, fields, mode);
        return;
      }
      give(fields, change(value ?? ""), quoted, mode);
      return;
    }
  }
  if (many) {
    giveAll(shell, shell.params, name, quoted, fields, mode);
    return;
  }
  if (value === undefined) {
    if (shell.options.u && name !== "!") throw new ExpansionFault(`${name}: parameter not set`);
    if (quoted) fields.add("");
    return;
  }
  give(fields, value, quoted, mode);
}

function giveAll(shell: Shell, values: readonly string[], name: string, quoted: boolean, fields: Fields, mode: Mode): void {
  if (mode !== "fields" || (quoted && name === "*")) {
    const ifs = shell.get("IFS") ?? " \t\n";
    const text = values.join(name === "@" ? " " : ifs.slice(0, 1));
    if (quoted) fields.add(mark(text));
    else give(fields, text, false, mode);
    return;
  }
  values.forEach((value, i) => {
    if (i > 0) fields.end();
    if (quoted) fields.add(mark(value));
    else fields.split(value);
  });
}

async function transformer(shell: Shell, { op, word = [], word2 = [] }: Part & { t: "param" }): Promise<(text: string) => string> {
  switch (op) {
    case "#": case "##": case "%": case "%%": {
      const pattern = await expandText(shell, word, "pattern");
      return (text) => trim(op, pattern, text);
    }
    case "/": case "//": {
      const pattern = await expandText(shell, word, "pattern");
      const text2 = await expandText(shell, word2);
      if (pattern === "") return (text) => text;
      const regexp = new RegExp(patternSource(pattern), op === "//" ? "g" : "");
      return (text) => text.replace(regexp, (found) => (found === "" ? "" : text2));
    }
    case "sub": {
      const [from = "0", length] = splitColon(await expandText(shell, word));
      const start = Number(arithText(shell, from));
      const count = length === undefined ? undefined : Number(arithText(shell, length));
      return (text) => {
        const begin = start < 0 ? Math.max(0, text.length + start) : start;
        if (start < 0 && -start > text.length) return "";
        return count === undefined ? text.slice(begin) : count < 0 ? text.slice(begin, Math.max(begin, text.length + count)) : text.slice(begin, begin + count);
      };
    }
    default: return (text) => text;
  }
}

/** At the colon that is in no parentheses and belongs to no `?`. */
function splitColon(text: string): string[] {
  let depth = 0, questions = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === "(") depth++;
    else if (c === ")") depth--;
    else if (c === "?") questions++;
    else if (c === ":" && depth === 0) {
      if (questions === 0) return [text.slice(0, i), text.slice(i + 1)];
      questions--;
    }
  }
  return [text];
}

/** Paths that fit, sorted; empty where none does. */
export function glob(shell: Shell, pattern: string): string[] {
  const { process } = shell;
  const { fs } = process;
  const absolute = unmark(pattern[0] ?? "") === "/";
  const parts = pattern.split(/[/\u012f]+/);
  let found: { path: string; place: Place | undefined }[] = [{ path: absolute ? "/" : "", place: absolute ? fs.root : process.cwd }];
  const names = parts.filter((part, i) => part !== "" || (i === parts.length - 1 && i > 0));
  names.forEach((part, i) => {
    const last = i === names.length - 1;
    const next: typeof found = [];
    for (const { path, place } of found) {
      if (part === "") {
        if (place?.node.kind === "dir") next.push({ path, place });
        continue;
      }
      const join = (name: string): string => `${path}${name}${last ? "" : "/"}`;
      if (!hasPattern(part)) {
        const name = unmark(part);
        const there = fs.tryFind({ ...creds(shell), cwd: place ?? process.cwd }, name, !last);
        if (there !== undefined) next.push({ path: join(name), place: there });
        continue;
      }
      if (place?.node.kind !== "dir" || !fs.access(process, place, 4)) continue;
      for (const name of [".", "..", ...place.node.names()].sort()) {
        if (name.startsWith(".") && unmark(part[0]!) !== ".") continue;
        if (!matches(part, name)) continue;
        const there = fs.tryFind({ ...creds(shell), cwd: place }, name, !last);
        if (there !== undefined && (last || there.node.kind === "dir")) next.push({ path: join(name), place: there });
      }
    }
    found = next;
  });
  return found.map(({ path }) => path).sort();
}

const creds = ({ process: { uid, gid, groups, umask, cwd } }: Shell): { uid: number; gid: number; groups: readonly number[]; umask: number; cwd: Place } => ({ uid, gid, groups, umask, cwd });
