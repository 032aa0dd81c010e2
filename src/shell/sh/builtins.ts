/** The commands that the shell itself has (busybox shell/ash.c, builtintab). */
import { fromBytes } from "../os/bytes.ts";
import { Errno } from "../os/errno.ts";
import { parseSignal, SIGNALS } from "../os/signals.ts";
import { bg, fg, jobs, kill, signalList, wait } from "./jobs.ts";
import { echo, printf } from "./printf.ts";
import { BuiltinFault, Leave, singleQuote, type Options, type Shell } from "./shell.ts";
import { runTest } from "./test.ts";

export type Builtin = (shell: Shell, argv: readonly string[]) => number | Promise<number>;

/** Special ones (POSIX XCU 2.14): their assignments stay, and their mistakes end the shell. */
export const SPECIAL: ReadonlySet<string> = new Set([".", ":", "break", "continue", "eval", "exec", "exit", "export", "readonly", "return", "set", "shift", "source", "times", "trap", "unset"]);

/** Words of the grammar, for `type` and `command -v`. */
const KEYWORDS = new Set(["!", "case", "do", "done", "elif", "else", "esac", "fi", "for", "if", "in", "then", "until", "while", "{", "}", "function"]);
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

const illegalNumber = (word: string): BuiltinFault => new BuiltinFault(`Illegal number: ${word}`);

const number = (word: string): number => {
  if (!/^[0-9]+$/.test(word)) throw illegalNumber(word);
  return Number(word);
};

/** Prints and sees to it that mistakes of writing are told: closed output. */
export async function print(shell: Shell, text: string): Promise<number> {
  try {
    await shell.process.write(1, text);
    return 0;
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
    await shell.say(`write error: ${error.message}`);
    return 1;
  }
}

const ECHO: Builtin = (shell, [, ...args]) => print(shell, echo(args));

const TEST: Builtin = (shell, [name, ...args]) => runTest(shell.process, name!, args, (text) => shell.process.error(`${shell.arg0}: ${text}\n`));

const cd: Builtin = async (shell, argv) => {
  const args = argv.slice(1);
  let physical = false;
  while (args[0] !== undefined && /^-[LP]+$/.test(args[0])) physical = args.shift()!.endsWith("P");
  if (args[0] === "--") args.shift();
  let target = args[0] ?? shell.get("HOME");
  if (target === undefined) throw new BuiltinFault("HOME not set");
  let show = false;
  if (target === "-") {
    target = shell.get("OLDPWD") ?? shell.get("PWD") ?? "/";
    show = true;
  }
  const { process } = shell;
  if (target === "") return 0;
  const candidates = [target];
  if (!target.startsWith("/") && !/^\.\.?(\/|$)/.test(target)) {
    const paths = (shell.get("CDPATH") ?? "").split(":").filter((path) => path !== "");
    candidates.unshift(...paths.map((path) => `${path}/${target}`));
  }
  let failure: Errno | undefined;
  for (const candidate of candidates) {
    const pwd = shell.get("PWD") ?? process.fs.pathOf(process.cwd);
    const logical = normalize(candidate.startsWith("/") ? candidate : `${pwd}/${candidate}`);
    try {
      const place = process.fs.find(process, physical ? candidate : logical);
      if (place.node.kind !== "dir") throw new Errno("ENOTDIR");
      if (!process.fs.access(process, place, 1)) throw new Errno("EACCES");
      process.cwd = place;
      shell.set("OLDPWD", pwd);
      shell.set("PWD", physical ? process.fs.pathOf(place) : logical);
      if (show || candidate !== target) return print(shell, `${shell.get("PWD")}\n`);
      return 0;
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      failure = error;
    }
  }
  throw new BuiltinFault(`can't cd to ${target}: ${failure!.message}`, 2);
};

/** Without `.`, `..` and doubled slashes, by the text alone. */
function normalize(path: string): string {
  const out: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") out.pop();
    else out.push(part);
  }
  return `/${out.join("/")}`;
}

const pwd: Builtin = (shell, argv) => print(shell, `${argv.includes("-P") ? shell.process.fs.pathOf(shell.process.cwd) : (shell.get("PWD") ?? shell.process.fs.pathOf(shell.process.cwd))}\n`);

const leave = (kind: "break" | "continue"): Builtin => (shell, [, word]) => {
  const count = word === undefined ? 1 : number(word);
  if (count <= 0) throw illegalNumber(word!);
  if (shell.loops === 0) return 0;
  throw new Leave(kind, Math.min(count, shell.loops));
};

const exit: Builtin = (shell, [, word]) => {
  throw new Leave("exit", word === undefined ? shell.status : number(word) & 255);
};

const return_: Builtin = (shell, [, word]) => {
  const status = word === undefined ? shell.status : number(word) & 255;
  throw new Leave(shell.calls > 0 || shell.sourced > 0 ? "return" : "exit", status);
};

const evaluate: Builtin = (shell, [, ...words]) => (words.length === 0 ? 0 : shell.evalText(words.join(" ")));

const dot: Builtin = async (shell, [, path, ...params]) => {
  if (path === undefined) return 0;
  let found = path;
  if (!path.includes("/")) {
    const folders = (shell.get("PATH") ?? "").split(":");
    found = folders.map((folder) => `${folder}/${path}`).find((full) => shell.process.fs.tryFind(shell.process, full)?.node.kind === "file") ?? path;
  }
  let text: string;
  try {
    text = await shell.process.slurp(found);
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
    throw new BuiltinFault(`can't open '${path}': ${error.message}`);
  }
  const saved = { params: shell.params, arg0: shell.arg0, scriptLines: shell.scriptLines };
  if (params.length > 0) shell.params = params;
  shell.sourced++;
  try {
    return await shell.evalText(text, 1);
  } catch (error) {
    if (error instanceof Leave && error.kind === "return") return error.count;
    throw error;
  } finally {
    shell.sourced--;
    if (params.length > 0) shell.params = saved.params;
  }
};

const exec: Builtin = async (shell, argv) => {
  const args = argv.slice(1);
  if (args.length === 0) return 0;
  if (args[0] === "--") args.shift();
  const status = await shell.execute(args, new Map(), "exec");
  throw new Leave("exit", status);
};

const declare = (kind: "export" | "readonly"): Builtin => async (shell, [, ...args]) => {
  const change = args[0] === "-n" && kind === "export" ? false : true;
  const words = args[0] === "-p" || args[0] === "-n" ? args.slice(1) : args;
  if (words.length === 0) {
    let out = "";
    for (const [name, variable] of [...shell.vars].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (kind === "export" ? !variable.exported : !variable.readonly) continue;
      out += `${kind} ${name}${variable.value === undefined ? "" : `=${singleQuote(variable.value)}`}\n`;
    }
    return print(shell, out);
  }
  for (const word of words) {
    const equals = word.indexOf("=");
    const name = equals < 0 ? word : word.slice(0, equals);
    if (!NAME.test(name)) throw new BuiltinFault(`${name}: bad variable name`);
    if (equals >= 0) shell.set(name, word.slice(equals + 1));
    const variable = shell.vars.get(name);
    if (variable === undefined) shell.vars.set(name, { value: undefined, exported: kind === "export", readonly: kind === "readonly" });
    else if (kind === "export") variable.exported = change;
    else variable.readonly = true;
  }
  return 0;
};

const local: Builtin = (shell, [, ...words]) => {
  const frame = shell.locals.at(-1);
  if (frame === undefined) throw new BuiltinFault("not in a function");
  for (const word of words) {
    const equals = word.indexOf("=");
    const name = equals < 0 ? word : word.slice(0, equals);
    if (!NAME.test(name)) throw new BuiltinFault(`${name}: bad variable name`);
    const former = shell.vars.get(name);
    if (!frame.has(name)) frame.set(name, former === undefined ? undefined : { ...former });
    if (equals >= 0) shell.set(name, word.slice(equals + 1));
    else if (former !== undefined) shell.vars.set(name, { ...former, value: undefined });
  }
  return 0;
};

const unset: Builtin = (shell, [, ...args]) => {
  let functions = false;
  const words = [...args];
  while (words[0] === "-f" || words[0] === "-v") functions = words.shift() === "-f";
  for (const name of words) {
    if (functions) shell.functions.delete(name);
    else {
      if (!NAME.test(name)) throw new BuiltinFault(`${name}: bad variable name`);
      if (shell.vars.has(name)) shell.unset(name);
      else shell.functions.delete(name);
    }
  }
  return 0;
};

const OPTION_NAMES: Readonly<Record<string, keyof Options>> = {
  allexport: "a", errexit: "e", noglob: "f", interactive: "i", monitor: "m", noexec: "n", nounset: "u", verbose: "v", xtrace: "x", noclobber: "C", pipefail: "pipefail",
};

/** Options of `set` and of the shell's own command line; what is left over. */
export function setOptions(shell: Shell, args: readonly string[], params: boolean): { rest: readonly string[]; seen: boolean; show: boolean } {
  let at = 0, show = false, seen = false;
  for (; at < args.length; at++) {
    const word = args[at]!;
    if (word === "--") {
      seen = true;
      at++;
      break;
    }
    if (word === "-" && params) {
      shell.options.x = shell.options.v = false;
      at++;
      seen = at < args.length;
      break;
    }
    if (!/^[-+]./.test(word)) break;
    const on = word[0] === "-";
    for (const c of word.slice(1)) {
      if (c === "o") {
        const name = args[++at];
        if (name === undefined) show = true;
        else {
          const option = OPTION_NAMES[name];
          if (option === undefined) throw new BuiltinFault(`illegal option ${on ? "-" : "+"}o ${name}`);
          shell.options[option] = on;
        }
      } else if (c in shell.options && c.length === 1) shell.options[c as keyof Options] = on;
      else if (!"bhklrtIVE".includes(c)) throw new BuiltinFault(`illegal option ${word[0]}${c}`);
    }
  }
  return { rest: args.slice(at), seen, show };
}

const set: Builtin = async (shell, [, ...args]) => {
  if (args.length === 0) {
    let out = "";
    for (const [name, { value }] of [...shell.vars].sort(([a], [b]) => (a < b ? -1 : 1))) if (value !== undefined) out += `${name}=${singleQuote(value)}\n`;
    return print(shell, out);
  }
  const { rest, seen, show } = setOptions(shell, args, true);
  if (show) {
    let out = "Current option settings\n";
    for (const [name, option] of Object.entries(OPTION_NAMES)) out += `${name.padEnd(16)}${shell.options[option] ? "on" : "off"}\n`;
    return print(shell, out);
  }
  if (seen || rest.length > 0) {
    shell.params = [...rest];
    shell.optind = 1;
    shell.optpos = 0;
  }
  return 0;
};

const shift: Builtin = (shell, [, word]) => {
  const count = word === undefined ? 1 : number(word);
  if (count > shell.params.length) return 1;
  shell.params = shell.params.slice(count);
  return 0;
};

const read: Builtin = async (shell, argv) => {
  const args = argv.slice(1);
  let raw = false, prompt: string | undefined, delimiter = "\n", count: number | undefined, timeoutMs: number | undefined, silent = false, fd = 0;
  while (args[0] !== undefined && /^-./.test(args[0]) && args[0] !== "--") {
    const word = args.shift()!;
    for (let i = 1; i < word.length; i++) {
      const c = word[i]!;
      if (c === "r") raw = true;
      else if (c === "s") silent = true;
      else if ("pdntu".includes(c)) {
        const value = word.slice(i + 1) || args.shift() || "";
        if (c === "p") prompt = value;
        else if (c === "d") delimiter = value[0] ?? "\0";
        else if (c === "n") count = number(value);
        else if (c === "u") fd = number(value);
        else timeoutMs = Number(value) * 1000;
        break;
      } else throw new BuiltinFault(`illegal option -${c}`);
    }
  }
  if (args[0] === "--") args.shift();
  const names = args.length === 0 ? ["REPLY"] : args;
  for (const name of names) if (!NAME.test(name)) throw new BuiltinFault(`${name}: bad variable name`);
  const { process } = shell;
  const file = process.fds[fd];
  if (file === undefined || !file.readable) return 1;
  if (prompt !== undefined && file.tty !== undefined) await process.error(prompt);
  const { tty } = file;
  const echoed = tty?.echo ?? true;
  if (tty !== undefined && silent) tty.echo = false;
  let text = "", marks = "", ended = false, status = 0;
  let expired = false;
  const timer = timeoutMs === undefined ? undefined : new Promise<"expired">((resolve) => {
    const cancel = process.clock.after(timeoutMs, () => {
      expired = true;
      resolve("expired");
    });
    process.onEnd.add(cancel);
  });
  for (let backslash = false; ;) {
    if (expired || (count !== undefined && text.length >= count)) break;
    let got = file.read(1, process);
    if (got instanceof Promise) {
      const interrupted = new Promise<"interrupted">((resolve) => (shell.interrupt = () => resolve("interrupted")));
      const result = await process.live(Promise.race([got, interrupted, ...(timer === undefined ? [] : [timer])]));
      shell.interrupt = undefined;
      if (result === "expired" || result === "interrupted") {
        if (tty !== undefined) tty.echo = echoed;
        if (result === "interrupted") {
          const signal = shell.pending;
          return signal === undefined ? 130 : 128 + SIGNALS[signal];
        }
        return 142;
      }
      got = result;
    }
    if (got === undefined) {
      ended = true;
      break;
    }
    const c = fromBytes(got);
    if (backslash) {
      backslash = false;
      if (c !== "\n") {
        text += c;
        marks += "q";
      }
      continue;
    }
    if (c === "\\" && !raw) {
      backslash = true;
      continue;
    }
    if (c === delimiter) break;
    if (c === "\0") continue;
    text += c;
    marks += " ";
  }
  if (tty !== undefined) tty.echo = echoed;
  if (ended) status = 1;
  assignFields(shell, names, text, marks, args.length === 0);
  return status;
};

/** Splits a line that was read among the names: the last one gets the rest. */
function assignFields(shell: Shell, names: readonly string[], text: string, marks: string, whole: boolean): void {
  if (whole) {
    shell.set("REPLY", text);
    return;
  }
  const ifs = shell.get("IFS") ?? " \t\n";
  const isSpace = (i: number): boolean => marks[i] === " " && ifs.includes(text[i]!) && /[ \t\n]/.test(text[i]!);
  const isDelimiter = (i: number): boolean => marks[i] === " " && ifs.includes(text[i]!);
  let at = 0;
  while (at < text.length && isSpace(at)) at++;
  names.forEach((name, i) => {
    if (i === names.length - 1) {
      let end = text.length;
      while (end > at && isSpace(end - 1)) end--;
      // One delimiter after the only field that is left does not count.
      let stop = at;
      while (stop < end && !isDelimiter(stop)) stop++;
      if (stop < end) {
        let after = stop;
        while (after < end && isSpace(after)) after++;
        if (after < end && isDelimiter(after) && !isSpace(after)) after++;
        while (after < end && isSpace(after)) after++;
        if (after >= end) end = stop;
      }
      shell.set(name, text.slice(at, end));
      return;
    }
    let end = at;
    while (end < text.length && !isDelimiter(end)) end++;
    shell.set(name, text.slice(at, end));
    while (end < text.length && isSpace(end)) end++;
    if (end < text.length && isDelimiter(end) && !isSpace(end)) {
      end++;
      while (end < text.length && isSpace(end)) end++;
    }
    at = end;
  });
}

const getopts: Builtin = async (shell, argv) => {
  const [, options = "", name = "", ...given] = argv;
  if (argv.length < 3) throw new BuiltinFault("usage: getopts optstring var [arg]");
  const args = given.length > 0 ? given : shell.params;
  const quiet = options.startsWith(":");
  const finish = (): number => {
    shell.set(name, "?");
    shell.optpos = 0;
    return 1;
  };
  let word = args[shell.optind - 1];
  if (shell.optpos === 0) {
    if (word === undefined || !/^-./.test(word)) return finish();
    if (word === "--") {
      shell.optind++;
      return finish();
    }
    shell.optpos = 1;
  }
  word = args[shell.optind - 1] ?? "";
  const c = word[shell.optpos++] ?? "";
  const ended = shell.optpos >= word.length;
  const index = c === ":" ? -1 : options.indexOf(c, quiet ? 1 : 0);
  const advance = (): void => {
    shell.optind++;
    shell.optpos = 0;
  };
  if (index < 0) {
    if (ended) advance();
    if (quiet) shell.set("OPTARG", c);
    else {
      shell.unset("OPTARG");
      await shell.process.error(`Illegal option -${c}\n`);
    }
    shell.set(name, "?");
    return 0;
  }
  if (options[index + 1] !== ":") {
    if (ended) advance();
    shell.unset("OPTARG");
    shell.set(name, c);
    return 0;
  }
  let value: string | undefined;
  if (!ended) value = word.slice(shell.optpos);
  else {
    shell.optind++;
    value = args[shell.optind - 1];
  }
  advance();
  if (value === undefined) {
    shell.optind--;
    if (quiet) {
      shell.set("OPTARG", c);
      shell.set(name, ":");
    } else {
      shell.unset("OPTARG");
      await shell.process.error(`No arg for -${c} option\n`);
      shell.set(name, "?");
    }
    return 0;
  }
  shell.set("OPTARG", value);
  shell.set(name, c);
  return 0;
};

const trap: Builtin = async (shell, [, ...args]) => {
  if (args[0] === "--") args.shift();
  if (args.length === 0 || args[0] === "-p") {
    let out = "";
    for (const [signal, action] of shell.traps) out += `trap -- ${singleQuote(action)} ${signal}\n`;
    return print(shell, out);
  }
  if (args[0] === "-l") return print(shell, signalList());
  const only = args.length === 1;
  const action = only ? "-" : args[0]!;
  let status = 0;
  for (const word of only ? args : args.slice(1)) {
    const signal = word === "0" || word.toUpperCase() === "EXIT" ? "EXIT" : parseSignal(word);
    if (signal === undefined) {
      await shell.say(`${word}: invalid signal specification`, "trap");
      status = 1;
      continue;
    }
    if (signal === "KILL" || signal === "STOP") continue;
    shell.trap(signal, action === "-" || (/^[0-9]+$/.test(action) && only) ? undefined : action);
  }
  return status;
};

/** What a name means: `verbose` as `type` says it, else as `command -v` does. */
async function describe(shell: Shell, name: string, verbose: boolean): Promise<number> {
  const tell = (long: string, short: string): Promise<number> => print(shell, `${verbose ? long : short}\n`);
  if (KEYWORDS.has(name)) return tell(`${name} is a shell keyword`, name);
  const alias = shell.aliases.get(name);
  if (alias !== undefined) return tell(`${name} is an alias for ${alias}`, `alias ${name}=${singleQuote(alias)}`);
  if (shell.functions.has(name)) return tell(`${name} is a function`, name);
  if (BUILTINS.has(name)) return tell(`${name} is a ${SPECIAL.has(name) ? "special " : ""}shell builtin`, name);
  const found = shell.process.which(name, shell.get("PATH") ?? "");
  if (found !== undefined && found.error === undefined) return tell(`${name} is ${found.path}`, found.path);
  if (verbose) await print(shell, `${name}: not found\n`);
  return 127;
}

const type: Builtin = async (shell, [, ...names]) => {
  let status = 0;
  for (const name of names) if ((await describe(shell, name, true)) !== 0) status = 127;
  return status;
};

const command: Builtin = async (shell, argv) => {
  const args = argv.slice(1);
  let describing: "v" | "V" | undefined;
  while (args[0] !== undefined && /^-[pvV]+$/.test(args[0])) {
    const word = args.shift()!;
    if (word.includes("v")) describing = "v";
    if (word.includes("V")) describing = "V";
  }
  if (args[0] === "--") args.shift();
  if (args.length === 0) return 0;
  if (describing !== undefined) return describe(shell, args[0]!, describing === "V");
  const builtin = BUILTINS.get(args[0]!);
  if (builtin !== undefined) return builtin(shell, args);
  const child = shell.spawn((inner) => inner.execute(args));
  return shell.waitForeground([child], "");
};

const alias: Builtin = async (shell, [, ...words]) => {
  if (words.length === 0) return print(shell, [...shell.aliases].map(([name, value]) => `${name}=${singleQuote(value)}\n`).join(""));
  let status = 0;
  for (const word of words) {
    const equals = word.indexOf("=", 1);
    if (equals > 0) shell.aliases.set(word.slice(0, equals), word.slice(equals + 1));
    else if (shell.aliases.has(word)) await print(shell, `${word}=${singleQuote(shell.aliases.get(word)!)}\n`);
    else {
      await shell.process.error(`alias: ${word} not found\n`);
      status = 1;
    }
  }
  return status;
};

const unalias: Builtin = async (shell, [, ...words]) => {
  let status = 0;
  for (const word of words) {
    if (word === "-a") shell.aliases.clear();
    else if (!shell.aliases.delete(word)) {
      await shell.process.error(`unalias: ${word} not found\n`);
      status = 1;
    }
  }
  return status;
};

const umask: Builtin = (shell, [, ...args]) => {
  const { process } = shell;
  const symbolic = args[0] === "-S";
  const word = symbolic ? args[1] : args[0];
  if (word === undefined) {
    const bits = (shift: number): string => ["r", "w", "x"].filter((_, i) => ((process.umask >> shift) & (4 >> i)) === 0).join("");
    return print(shell, symbolic ? `u=${bits(6)},g=${bits(3)},o=${bits(0)}\n` : `${process.umask.toString(8).padStart(4, "0")}\n`);
  }
  if (/^[0-7]+$/.test(word)) process.umask = Number.parseInt(word, 8) & 0o777;
  else {
    const mode = symbolicMode(word, ~process.umask & 0o777, false);
    if (mode === undefined) throw new BuiltinFault(`illegal mode: ${word}`);
    process.umask = ~mode & 0o777;
  }
  return 0;
};

/** `u+x,go=r`: the mode that comes of `mode`; undefined for what is none. */
export function symbolicMode(text: string, mode: number, directory: boolean, mask = 0): number | undefined {
  let out = mode;
  for (const clause of text.split(",")) {
    const match = /^([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)$/.exec(clause);
    if (match === null) return undefined;
    const who = match[1] === "" || match[1]!.includes("a") ? "ugo" : match[1]!;
    for (const [, op, what] of match[2]!.matchAll(/([-+=])([rwxXst]*|[ugo])/g)) {
      let bits = 0;
      if (/^[ugo]$/.test(what!)) bits = (out >> (what === "u" ? 6 : what === "g" ? 3 : 0)) & 7;
      else for (const c of what!) bits |= c === "r" ? 4 : c === "w" ? 2 : c === "x" || (c === "X" && (directory || (mode & 0o111) !== 0)) ? 1 : 0;
      let set = 0, affected = 0;
      for (const [c, shift] of [["u", 6], ["g", 3], ["o", 0]] as const) {
        if (!who.includes(c)) continue;
        set |= bits << shift;
        affected |= 7 << shift;
      }
      if (match[1] === "") set &= ~mask;
      if (what!.includes("s")) {
        if (who.includes("u")) set |= 0o4000;
        if (who.includes("g")) set |= 0o2000;
      }
      if (what!.includes("t")) set |= 0o1000;
      if (op === "+") out |= set;
      else if (op === "-") out &= ~set;
      else out = (out & ~affected) | set;
    }
  }
  return out;
}

const let_: Builtin = (shell, [, ...words]) => {
  let value = 0n;
  for (const word of words) value = shell.arith(word);
  return value === 0n ? 1 : 0;
};

const printf_: Builtin = async (shell, [, ...args]) => {
  if (args[0] === "--") args.shift();
  const [format, ...rest] = args;
  if (format === undefined) {
    await shell.process.error("printf: usage: printf FORMAT [ARG]...\n");
    return 1;
  }
  const { text, errors } = printf(format, rest);
  const status = await print(shell, text);
  for (const error of errors) await shell.process.error(`${shell.arg0}: ${error}\n`);
  return errors.length > 0 ? 1 : status;
};

const times: Builtin = (shell) => {
  const format = (ns: number): string => `${Math.floor(ns / 60e9)}m${((ns % 60e9) / 1e9).toFixed(6)}s`;
  const own = format(shell.process.cpuNs);
  return print(shell, `${own} 0m0.000000s\n${format(0)} ${format(0)}\n`);
};

const LIMITS: Readonly<Record<string, string>> = { n: "1048576", u: "unlimited", f: "unlimited", s: "8192", c: "unlimited", t: "unlimited", v: "unlimited", d: "unlimited", l: "8192", m: "unlimited" };

const ulimit: Builtin = (shell, [, ...args]) => {
  const option = args.find((word) => /^-[HSa-z]+$/.test(word))?.replace(/[-HS]/g, "") ?? "f";
  if (args.some((word) => !word.startsWith("-"))) return 0;
  return print(shell, `${LIMITS[option] ?? "unlimited"}\n`);
};

const history: Builtin = (shell) => print(shell, shell.history.map((line, i) => `${String(i).padStart(4)} ${line}\n`).join(""));

const help: Builtin = (shell) => {
  let out = "Built-in commands:\n------------------\n\t", column = 0;
  for (const name of [...BUILTINS.keys()].sort()) {
    if (column + name.length + 1 > 60) {
      out = `${out.trimEnd()}\n\t`;
      column = 0;
    }
    out += `${name} `;
    column += name.length + 1;
  }
  return print(shell, `${out.trimEnd()}\n\n`);
};

export const BUILTINS: ReadonlyMap<string, Builtin> = new Map<string, Builtin>([
  [".", dot], [":", () => 0], ["[", TEST], ["[[", TEST], ["alias", alias], ["bg", bg], ["break", leave("break")], ["cd", cd], ["chdir", cd], ["command", command],
  ["continue", leave("continue")], ["echo", ECHO], ["eval", evaluate], ["exec", exec], ["exit", exit], ["export", declare("export")], ["false", () => 1], ["fg", fg],
  ["getopts", getopts], ["hash", () => 0], ["help", help], ["history", history], ["jobs", jobs], ["kill", kill], ["let", let_], ["local", local], ["printf", printf_], ["pwd", pwd],
  ["read", read], ["readonly", declare("readonly")], ["return", return_], ["set", set], ["shift", shift], ["source", dot], ["test", TEST], ["times", times],
  ["trap", trap], ["true", () => 0], ["type", type], ["ulimit", ulimit], ["umask", umask], ["unalias", unalias], ["unset", unset], ["wait", wait],
]);

