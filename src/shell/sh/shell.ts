/**
 * The shell's state and its interpreter (POSIX XCU 2). Words, exit statuses and what is said of mistakes are those of busybox ash
 * (shell/ash.c: evaltree, evalcommand, evalpipe, redirect, exitshell). A subshell is a forked process with a copy of the state.
 */
import { byteString, fromBytes } from "../os/bytes.ts";
import { Errno } from "../os/errno.ts";
import { Pipe, type OpenFile } from "../os/files.ts";
import { DEFAULT_PATH, release, type Ended, type Main, type Process } from "../os/process.ts";
import { SIGNAL_TEXTS, SIGNALS, type Signal } from "../os/signals.ts";
import type { Command, Redirection, Word } from "./ast.ts";
import { BUILTINS, SPECIAL } from "./builtins.ts";
import { arithText, expandText, ExpansionFault, expandWords } from "./expand.ts";
import { matches } from "./pattern.ts";
import { Parser, SyntaxFault } from "./parser.ts";

export interface Variable {
  value: string | undefined;
  exported: boolean;
  readonly: boolean;
}

export interface Job {
  readonly number: number;
  readonly processes: readonly Process[];
  readonly text: string;
  /** Its end has been told. */
  told: boolean;
}

/** Leaves loops, functions, the shell. */
export class Leave {
  readonly kind: "break" | "continue" | "return" | "exit";
  readonly count: number;
  constructor(kind: "break" | "continue" | "return" | "exit", count: number) {
    this.kind = kind;
    this.count = count;
  }
}

/** A command that cannot go on: what is said, and the status. */
export class ShellFault extends Error {
  readonly status: number;
  constructor(message: string, status = 2) {
    super(message);
    this.status = status;
  }
}

export interface Options {
  a: boolean; e: boolean; f: boolean; i: boolean; m: boolean; n: boolean; u: boolean; v: boolean; x: boolean; C: boolean; pipefail: boolean; c: boolean; s: boolean;
}

/** CPU time of one simple command inside the shell, in ns. */
const COMMAND_NS = 4_000;
const CALLS_MAX = 300;

export class Shell {
  process: Process;
  readonly options: Options = { a: false, e: false, f: false, i: false, m: false, n: false, u: false, v: false, x: false, C: false, pipefail: false, c: false, s: false };
  vars = new Map<string, Variable>();
  functions = new Map<string, Command>();
  aliases = new Map<string, string>();
  params: string[] = [];
  arg0 = "sh";
  status = 0;
  /** Status of the last command substitution, for commands that are assignments only. */
  substituted: number | undefined;
  background = 0;
  line = 0;
  loops = 0;
  calls = 0;
  /** Nesting of `.` files and functions, for `return`. */
  sourced = 0;
  jobs: Job[] = [];
  /** `$$`: of the shell that was started, in subshells too. */
  shellPid: number;
  /** What a trap does; `` ignores. EXIT among them. */
  readonly traps = new Map<Signal | "EXIT", string>();
  /** Saved values of `local` variables, one map for each call. */
  readonly locals: Map<string, Variable | undefined>[] = [];
  optind = 1;
  optpos = 0;
  subshell = false;
  /** Inside of a function or `eval` whose failure is looked at. */
  testing = false;
  readonly history: string[] = [];
  #pending: Signal[] = [];
  /** Woken by a signal with a trap: `wait` and `read`. */
  interrupt: (() => void) | undefined;
  /** The user pressed ^C. */
  interrupted = false;
  #trapping = false;
  /** How mistakes begin: `sh: `, and the line in a script. */
  scriptLines = false;

  constructor(process: Process) {
    this.process = process;
    this.shellPid = process.pid;
    for (const [name, value] of process.env) if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) this.vars.set(name, { value, exported: true, readonly: false });
    for (const [name, value] of [["IFS", " \t\n"], ["PS1", "\\w \\$ "], ["PS2", "> "], ["PS4", "+ "], ["OPTIND", "1"], ["PPID", String(process.parent?.pid ?? 0)]] as const) {
      if (name === "IFS" || !this.vars.has(name)) this.vars.set(name, { value, exported: false, readonly: false });
    }
    if (this.get("PATH") === undefined) this.vars.set("PATH", { value: DEFAULT_PATH, exported: false, readonly: false });
    this.vars.set("PWD", { value: process.fs.pathOf(process.cwd), exported: this.vars.get("PWD")?.exported ?? false, readonly: false });
  }

  /** The state of a subshell that runs as `process`. */
  fork(process: Process): Shell {
    const child = new Shell(process);
    Object.assign(child.options, this.options, { i: false, m: false });
    child.vars = new Map([...this.vars].map(([name, variable]) => [name, { ...variable }]));
    child.functions = new Map(this.functions);
    child.aliases = new Map(this.aliases);
    child.params = [...this.params];
    Object.assign(child, {
      arg0: this.arg0, status: this.status, background: this.background, line: this.line, shellPid: this.shellPid, calls: this.calls, sourced: this.sourced, loops: 0, subshell: true, testing: this.testing,
      scriptLines: this.scriptLines, optind: this.optind, optpos: this.optpos,
    });
    // Traps are reset, what is ignored stays so.
    for (const [signal, action] of this.traps) if (action === "" && signal !== "EXIT") child.traps.set(signal, "");
    for (const locals of this.locals) child.locals.push(new Map(locals));
    return child;
  }

  // --- variables

  get(name: string): string | undefined {
    if (name === "LINENO") return String(this.line);
    if (name === "RANDOM") return String(this.process.machine.random.below(32_768));
    if (name === "OPTIND") return String(this.optind);
    if ((name === "COLUMNS" || name === "LINES") && this.options.i && this.process.tty !== undefined) return String(name === "LINES" ? this.process.tty.height : this.process.tty.width);
    return this.vars.get(name)?.value;
  }

  /** Throws ShellFault for a read-only one. */
  set(name: string, value: string, change: { readonly exported?: boolean } = {}): void {
    const former = this.vars.get(name);
    if (former?.readonly === true) throw new ShellFault(`${name}: is read only`);
    const exported = change.exported ?? (former?.exported === true || this.options.a);
    this.vars.set(name, { value, exported, readonly: false });
    if (name === "OPTIND") {
      this.optind = Number(value) || 1;
      this.optpos = 0;
    }
  }

  unset(name: string): void {
    if (this.vars.get(name)?.readonly === true) throw new ShellFault(`${name}: is read only`);
    this.vars.delete(name);
  }

  /** A variable, a positional or a special parameter; undefined: not set. */
  param(name: string): string | undefined {
    switch (name) {
      case "@": case "*": return this.params.length === 0 ? undefined : this.params.join(" ");
      case "#": return String(this.params.length);
      case "?": return String(this.status);
      case "$": return String(this.shellPid);
      case "!": return this.background === 0 ? undefined : String(this.background);
      case "-": return (Object.keys(this.options) as (keyof Options)[]).filter((option) => option.length === 1 && this.options[option]).join("");
      case "0": return this.arg0;
      default: return /^[0-9]/.test(name) ? this.params[Number(name) - 1] : this.get(name);
    }
  }

  environment(extra: ReadonlyMap<string, string> = new Map()): Map<string, string> {
    const env = new Map<string, string>();
    for (const [name, { value, exported }] of this.vars) if (exported && value !== undefined) env.set(name, value);
    for (const [name, value] of extra) env.set(name, value);
    return env;
  }

  homeOf(user: string): string | undefined {
    try {
      const line = fromBytes(this.process.fs.readFile(this.process, "/etc/passwd")).split("\n").find((entry) => entry.startsWith(`${user}:`));
      return line?.split(":")[5];
    } catch {
      return undefined;
    }
  }

  // --- messages

  /** `sh: text`, with the line in scripts. */
  async say(text: string, builtin?: string): Promise<void> {
    const where = this.scriptLines ? `${this.arg0}: ${builtin === undefined ? "" : `${builtin}: `}line ${this.line}: ` : `${this.arg0}: ${builtin === undefined ? "" : `${builtin}: ${this.options.i ? "" : `line ${Math.max(0, this.line)}: `}`}`;
    await this.process.error(`${where}${text}\n`);
  }

  // --- signals

  /** Sets, ignores (``), or resets (undefined) what a signal does. */
  trap(signal: Signal | "EXIT", action: string | undefined): void {
    if (action === undefined) this.traps.delete(signal);
    else this.traps.set(signal, action);
    if (signal === "EXIT") return;
    const { process } = this;
    process.ignored.delete(signal);
    process.handlers.delete(signal);
    if (action === "") process.ignored.add(signal);
    else if (action !== undefined) {
      process.handlers.set(signal, () => {
        this.#pending.push(signal);
        this.interrupt?.();
      });
    } else if (this.options.i) this.interactiveSignals();
  }

  /** An interactive shell outlives what its user sends to others. */
  interactiveSignals(): void {
    const { process } = this;
    for (const signal of ["TERM", "QUIT"] as const) if (!this.traps.has(signal)) process.handlers.set(signal, () => {});
    if (!this.traps.has("INT")) {
      process.handlers.set("INT", () => {
        this.interrupted = true;
        this.interrupt?.();
      });
    }
  }

  get pending(): Signal | undefined {
    return this.#pending[0];
  }

  async runTraps(): Promise<void> {
    if (this.#trapping) return;
    this.#trapping = true;
    try {
      for (let signal = this.#pending.shift(); signal !== undefined; signal = this.#pending.shift()) {
        const action = this.traps.get(signal);
        if (action === undefined || action === "") continue;
        const { status } = this;
        await this.evalText(action);
        this.status = status;
      }
    } finally {
      this.#trapping = false;
    }
  }

  /** What a trap on EXIT does; then the status. */
  async finish(status: number): Promise<number> {
    this.status = status;
    const action = this.traps.get("EXIT");
    if (action !== undefined && action !== "") {
      this.traps.delete("EXIT");
      try {
        await this.evalText(action);
      } catch (error) {
        if (error instanceof Leave && error.kind === "exit") return error.count;
        if (!(error instanceof Leave)) throw error;
      }
    }
    return status;
  }

  // --- running

  /** Text as commands; the status of the last one. Throws Leave, ShellFault, SyntaxFault. */
  async evalText(text: string, line = this.line): Promise<number> {
    const parser = new Parser(text, { line: this.scriptLines ? 1 : Math.max(0, line - 1), aliases: this.aliases });
    let status = 0;
    for (;;) {
      const command = parser.next();
      if (command === null) return status;
      if (command !== undefined) status = await this.run(command);
    }
  }

  /** Runs a whole script to its end; the exit status of the shell. */
  async main(run: () => Promise<number>): Promise<number> {
    let status: number;
    try {
      status = await run();
    } catch (error) {
      status = await this.statusOf(error);
    }
    try {
      return await this.finish(status);
    } catch (error) {
      return this.statusOf(error);
    }
  }

  /** What an error means for the shell: its exit status. It is said on stderr. */
  async statusOf(error: unknown): Promise<number> {
    if (error instanceof Leave) return error.kind === "exit" ? error.count : this.status;
    if (error instanceof ShellFault) {
      if (error.message !== "") await this.say(error.message);
      return error.status;
    }
    if (error instanceof ExpansionFault) {
      await this.say(error.message);
      return 2;
    }
    if (error instanceof SyntaxFault) {
      this.line = error.line;
      await this.say(error.message);
      return 2;
    }
    throw error;
  }

  /** One command. `tested`: its failure is no reason to leave under `set -e`; `last`: nothing comes after it, so that it may take the shell's place. */
  async run(command: Command, tested = false, last = false): Promise<number> {
    if (this.options.n && !this.options.i) return 0;
    const status = await this.#dispatch(command, tested, last);
    this.status = status;
    if (this.#pending.length > 0) {
      await this.runTraps();
    }
    if (status !== 0 && this.options.e && !tested && !this.testing && (command.t === "simple" || (command.t === "pipeline" && !command.negated) || command.t === "subshell")) throw new Leave("exit", status);
    return this.status;
  }

  async #dispatch(command: Command, tested: boolean, last: boolean): Promise<number> {
    switch (command.t) {
      case "simple": return this.#simple(command, tested, last && this.traps.size === 0);
      case "list": {
        let status = 0;
        for (let i = 0; i < command.items.length; i++) status = await this.run(command.items[i]!, tested, last && i === command.items.length - 1);
        return status;
      }
      case "and": case "or": {
        const status = await this.run(command.left, true);
        if ((status === 0) !== (command.t === "and")) return status;
        return this.run(command.right, tested, last);
      }
      case "pipeline": {
        const negated = command.negated;
        const status = command.commands.length === 1 ? await this.run(command.commands[0]!, true) : await this.#pipeline(command.commands);
        return negated ? (status === 0 ? 1 : 0) : status;
      }
      case "background": return this.#background(command.body, command.text);
      case "subshell": {
        this.line = command.line;
        const child = this.spawn((shell) => shell.#inRedirected(command.redirections, () => shell.run(command.body, tested, true)));
        return this.waitForeground([child], "");
      }
      case "group": return this.#inRedirected(command.redirections, () => this.run(command.body, tested));
      case "if":
        return this.#inRedirected(command.redirections, async () => {
          if ((await this.run(command.condition, true)) === 0) return this.run(command.then, tested);
          return command.otherwise === undefined ? 0 : this.run(command.otherwise, tested);
        });
      case "while":
        return this.#inRedirected(command.redirections, () => this.#loop(async (again) => {
          let status = 0;
          while (((await this.run(command.condition, true)) === 0) !== command.until) {
            const body = await again(() => this.run(command.body, tested));
            if (body === undefined) break;
            status = body;
            await this.process.spend(COMMAND_NS);
          }
          return status;
        }));
      case "for": {
        this.line = command.line;
        const values = command.words === undefined ? [...this.params] : await expandWords(this, command.words);
        return this.#inRedirected(command.redirections, () => this.#loop(async (again) => {
          let status = 0;
          for (const value of values) {
            this.set(command.name, value);
            const body = await again(() => this.run(command.body, tested));
            if (body === undefined) break;
            status = body;
            await this.process.spend(COMMAND_NS);
          }
          return status;
        }));
      }
      case "case": {
        this.line = command.line;
        const value = await expandText(this, command.word);
        return this.#inRedirected(command.redirections, async () => {
          for (const { patterns, body } of command.items) {
            for (const pattern of patterns) {
              if (matches(await expandText(this, pattern, "pattern"), value)) return body === undefined ? 0 : this.run(body, tested);
            }
          }
          return 0;
        });
      }
      case "function":
        this.functions.set(command.name, command.body);
        return 0;
    }
  }

  /** `break` and `continue` inside; `again` gives undefined when the loop is over. */
  async #loop(body: (again: (run: () => Promise<number>) => Promise<number | undefined>) => Promise<number>): Promise<number> {
    this.loops++;
    try {
      return await body(async (run) => {
        try {
          return await run();
        } catch (error) {
          if (!(error instanceof Leave) || (error.kind !== "break" && error.kind !== "continue")) throw error;
          if (error.count > 1 && this.loops > 1) throw new Leave(error.kind, error.count - 1);
          return error.kind === "break" ? undefined : 0;
        }
      });
    } finally {
      this.loops--;
    }
  }

  /** A forked process that runs commands of this shell. */
  spawn(run: (shell: Shell) => Promise<number>, before?: (child: Process) => void): Process {
    const child = this.process.fork(async (process) => {
      const shell = this.fork(process);
      return shell.main(() => run(shell));
    });
    // A trap of the parent is none of the child's; what is ignored stays ignored.
    before?.(child);
    return child;
  }

  async #pipeline(commands: readonly Command[]): Promise<number> {
    const children: Process[] = [];
    let input: OpenFile | undefined;
    for (let i = 0; i < commands.length; i++) {
      const pipe = i < commands.length - 1 ? new Pipe() : undefined;
      const output = pipe?.end("write");
      const next = pipe?.end("read");
      const from = input;
      const child = this.spawn((shell) => shell.run(commands[i]!, true, true), (process) => {
        if (from !== undefined) adopt(process, 0, from);
        if (output !== undefined) adopt(process, 1, output);
        if (this.options.m) process.pgid = children[0]?.pid ?? process.pid;
      });
      children.push(child);
      if (from !== undefined) release(from);
      if (output !== undefined) release(output);
      input = next;
    }
    return this.waitForeground(children, "");
  }

  #background(body: Command, text: string): number {
    const child = this.spawn((shell) => shell.run(body, true, true), (process) => {
      if (!this.options.m) {
        process.ignored.add("INT");
        process.ignored.add("QUIT");
        adoptNull(process);
      } else process.pgid = process.pid;
    });
    this.background = child.pid;
    const job = this.addJob([child], text);
    if (this.options.i) void this.process.error(`[${job.number}] ${child.pid}\n`);
    return 0;
  }

  addJob(processes: readonly Process[], text: string): Job {
    let number = 1;
    while (this.jobs.some((job) => job.number === number)) number++;
    const job: Job = { number, processes, text, told: false };
    this.jobs.push(job);
    return job;
  }

  /** Waits for a foreground job, and gives its status: of the last process, or of the last that failed under pipefail. */
  async waitForeground(children: readonly Process[], text: string): Promise<number> {
    const { tty } = this.process;
    const controls = this.options.m && tty !== undefined;
    if (controls) {
      for (const child of children) if (child.pgid === this.process.pgid) child.pgid = children[0]!.pid;
      tty.foreground = children[0]!.pgid;
    }
    const ended: Ended[] = [];
    for (const child of children) ended.push(await this.process.live(child.done));
    for (const child of children) child.reap();
    if (controls) tty.foreground = this.process.pgid;
    const last = ended.at(-1)!;
    if (last.signal !== undefined && last.signal !== "INT" && last.signal !== "PIPE") {
      const word = SIGNAL_TEXTS[last.signal];
      if (word !== undefined) await this.process.error(`${word}\n`);
    } else if (last.signal === "INT") {
      if (this.options.i) this.interrupted = true;
    }
    void text;
    if (!this.options.pipefail) return last.code;
    return ended.findLast(({ code }) => code !== 0)?.code ?? 0;
  }

  /** `$(…)`: what the commands print, without the last newlines. */
  async substitute(body: Command): Promise<string> {
    const pipe = new Pipe();
    const output = pipe.end("write");
    const input = pipe.end("read");
    const child = this.spawn((shell) => shell.run(body, false, true), (process) => adopt(process, 1, output));
    release(output);
    const parts: string[] = [];
    for (;;) {
      const got = input.read(65_536, this.process);
      const bytes = got instanceof Promise ? await this.process.live(got) : got;
      if (bytes === undefined) break;
      parts.push(fromBytes(bytes));
    }
    release(input);
    const { code } = await this.process.live(child.done);
    child.reap();
    this.status = this.substituted = code;
    return parts.join("").replace(/\n+$/, "").replace(/\0/g, "");
  }

  // --- simple commands

  async #simple(command: Command & { t: "simple" }, tested: boolean, last: boolean): Promise<number> {
    this.line = command.line;
    const { process } = this;
    const spending = process.spend(COMMAND_NS);
    if (spending !== undefined) await spending;
    this.substituted = undefined;
    const argv = await expandWords(this, command.words);
    if (argv.length === 0) {
      const values: (readonly [string, string])[] = [];
      for (const { name, value } of command.assignments) {
        const text = await expandText(this, value, "assign");
        this.set(name, text);
        values.push([name, text]);
      }
      if (this.options.x && values.length > 0) await this.#trace(values.map(([name, value]) => `${name}=${quoteWord(value)}`));
      const status = this.substituted ?? 0;
      if (command.redirections.length === 0) return status;
      return this.#inRedirected(command.redirections, async () => status);
    }
    const name = argv[0]!;
    const special = SPECIAL.has(name);
    const body = special ? undefined : this.functions.get(name);
    const builtin = body === undefined ? BUILTINS.get(name) : undefined;
    const assigned = new Map<string, string>();
    if (body === undefined && builtin === undefined) {
      for (const { name: variable, value } of command.assignments) assigned.set(variable, await expandText(this, value, "assign"));
      if (this.options.x) await this.#trace([...[...assigned].map(([n, v]) => `${n}=${quoteWord(v)}`), ...argv.map(quoteWord)]);
      return this.#external(argv, command.redirections, assigned, last);
    }
    const run = async (): Promise<number> => {
      const saved: (readonly [string, Variable | undefined])[] = [];
      for (const { name: variable, value } of command.assignments) {
        const text = await expandText(this, value, "assign");
        assigned.set(variable, text);
        if (!special) saved.push([variable, this.vars.get(variable)]);
        this.set(variable, text, special ? {} : { exported: true });
      }
      if (this.options.x) await this.#trace([...[...assigned].map(([n, v]) => `${n}=${quoteWord(v)}`), ...argv.map(quoteWord)]);
      const { testing } = this;
      this.testing ||= tested;
      try {
        return body === undefined ? await builtin!(this, argv) : await this.call(body, argv.slice(1));
      } finally {
        this.testing = testing;
        for (const [variable, before] of saved) {
          if (before === undefined) this.vars.delete(variable);
          else this.vars.set(variable, before);
        }
      }
    };
    // `exec` without a command keeps its redirections.
    const keep = name === "exec" && argv.length === 1;
    try {
      return await this.#inRedirected(command.redirections, run, keep, special);
    } catch (error) {
      if (error instanceof BuiltinFault) {
        await this.say(error.message, name);
        if (special && !this.options.i) throw new Leave("exit", error.status);
        return error.status;
      }
      throw error;
    }
  }

  async #trace(words: readonly string[]): Promise<void> {
    const ps4 = this.get("PS4") ?? "+ ";
    await this.process.error(`${ps4}${words.join(" ")}\n`);
  }

  async call(body: Command, params: readonly string[]): Promise<number> {
    if (this.calls >= CALLS_MAX) throw new ShellFault("maximum function nesting level exceeded", 2);
    const saved = this.params;
    const loops = this.loops;
    this.params = [...params];
    this.calls++;
    this.loops = 0;
    const locals = new Map<string, Variable | undefined>();
    this.locals.push(locals);
    try {
      return await this.run(body);
    } catch (error) {
      if (error instanceof Leave && error.kind === "return") return error.count;
      throw error;
    } finally {
      this.locals.pop();
      for (const [name, variable] of locals) {
        if (variable === undefined) this.vars.delete(name);
        else this.vars.set(name, variable);
      }
      this.params = saved;
      this.calls--;
      this.loops = loops;
    }
  }

  async #external(argv: readonly string[], redirections: readonly Redirection[], assigned: ReadonlyMap<string, string>, last: boolean): Promise<number> {
    const run = async (shell: Shell): Promise<number> => {
      const opened = await shell.redirect(redirections);
      if (typeof opened === "number") return opened;
      return shell.execute(argv, assigned);
    };
    if (last) return run(this);
    const child = this.process.fork(async (process) => {
      const shell = this.fork(process);
      try {
        return await run(shell);
      } catch (error) {
        return shell.statusOf(error);
      }
    });
    return this.waitForeground([child], argv.join(" "));
  }

  /** Runs a program in this process; its exit code, 126 and 127 where it cannot be run. */
  async execute(argv: readonly string[], assigned: ReadonlyMap<string, string> = new Map(), prefix = ""): Promise<number> {
    const { process } = this;
    const env = this.environment(assigned);
    const name = argv[0]!;
    const found = process.which(name, assigned.get("PATH") ?? this.get("PATH") ?? "");
    const builtin = prefix === "" ? undefined : prefix;
    if (found === undefined) {
      await this.say(`${name}: ${name === "" ? "Permission denied" : "not found"}`, builtin);
      return 127;
    }
    let main: Main;
    try {
      main = process.exec(found.path, argv, env);
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      if (error.code === "ENOEXEC") return this.#script(found.path, argv, env);
      await this.say(`${name}: ${error.code === "ENOENT" ? "not found" : error.message}`, builtin);
      return error.code === "ENOENT" ? 127 : 126;
    }
    resetSignals(process, this.traps);
    return main(process);
  }

  /** A file of commands without `#!`. */
  async #script(path: string, argv: readonly string[], env: ReadonlyMap<string, string>): Promise<number> {
    const bytes = await this.process.slurp(path);
    if (bytes.slice(0, 256).split("\n")[0]!.includes("\0")) {
      await this.say(`${argv[0]}: Exec format error`);
      return 126;
    }
    const { process } = this;
    process.env = new Map(env);
    process.argv = argv;
    resetSignals(process, this.traps);
    const shell = new Shell(process);
    shell.arg0 = path;
    shell.params = argv.slice(1);
    shell.scriptLines = true;
    return shell.main(() => shell.evalText(bytes, 1));
  }

  // --- redirections

  /** Runs with these redirections, and takes them back unless `keep`. Status 1 where one fails. */
  async #inRedirected(redirections: readonly Redirection[], run: () => Promise<number>, keep = false, special = false): Promise<number> {
    if (redirections.length === 0) return run();
    const { process } = this;
    const saved = new Map<number, OpenFile | undefined>();
    await process.flush();
    const status = await this.redirect(redirections, saved);
    try {
      if (status === undefined) return await run();
      if (special && !this.options.i) throw new Leave("exit", status);
      return status;
    } finally {
      if (!process.dead) {
        await process.flush();
        for (const [fd, file] of saved) {
          if (keep && status === undefined) {
            if (file !== undefined) release(file);
          } else if (file !== undefined) process.install(fd, file);
          else if (process.fds[fd] !== undefined) process.close(fd);
        }
      }
    }
  }

  /** Applies redirections; a status where one failed. `saved` gets what was there before. */
  async redirect(redirections: readonly Redirection[], saved?: Map<number, OpenFile | undefined>): Promise<number | undefined> {
    const { process } = this;
    for (const redirection of redirections) {
      const { op } = redirection;
      const put = (fd: number, file: OpenFile): void => {
        if (saved !== undefined && !saved.has(fd)) {
          const former = process.fds[fd];
          if (former !== undefined) former.refs++;
          saved.set(fd, former);
        }
        process.install(fd, file);
      };
      if (op === "<<") {
        put(redirection.fd, hereDocument(await expandText(this, redirection.word)));
        continue;
      }
      const target = await expandText(this, redirection.word);
      if ((op === "<&" || op === ">&") && (target === "-" || /^[0-9]+$/.test(target))) {
        if (target === "-") {
          if (saved !== undefined && !saved.has(redirection.fd)) {
            const former = process.fds[redirection.fd];
            if (former !== undefined) former.refs++;
            saved.set(redirection.fd, former);
          }
          if (process.fds[redirection.fd] !== undefined) process.close(redirection.fd);
          continue;
        }
        const file = process.fds[Number(target)];
        if (file === undefined) {
          await this.say(`dup2(${target},${redirection.fd}): Bad file descriptor`);
          return 1;
        }
        file.refs++;
        put(redirection.fd, file);
        continue;
      }
      const both = op === "&>" || (op === ">&" && redirection.fd === 1);
      const reads = op === "<" || op === "<>" || op === "<&";
      try {
        const flags = op === "<" || op === "<&" ? { read: true } : op === "<>" ? { read: true, write: true, create: true }
          : op === ">>" ? { write: true, create: true, append: true } : { write: true, create: true, truncate: true };
        if (this.options.C && op === ">") {
          const there = process.fs.tryFind(process, target);
          if (there !== undefined && there.node.kind === "file") throw new Errno("EEXIST");
        }
        const opened = process.fs.open(process, target, flags);
        const file = opened instanceof Promise ? await process.live(opened) : opened;
        put(redirection.fd, file);
        if (both) {
          file.refs++;
          put(2, file);
        }
      } catch (error) {
        if (!(error instanceof Errno)) throw error;
        const why = error.code === "ENOENT" || error.code === "ENOTDIR" ? (reads ? "no such file" : error.code === "ENOENT" ? "nonexistent directory" : error.message) : error.message;
        await this.say(`can't ${reads ? "open" : "create"} ${target}: ${why}`);
        return 1;
      }
    }
    return undefined;
  }

  /** The text of a prompt: `\w` and its kin, then parameters. */
  async prompt(name: "PS1" | "PS2"): Promise<string> {
    const raw = this.get(name) ?? "";
    const home = this.get("HOME");
    const cwd = this.get("PWD") ?? "/";
    const short = home !== undefined && home !== "/" && (cwd === home || cwd.startsWith(`${home}/`)) ? `~${cwd.slice(home.length)}` : cwd;
    const user = this.process.uid === 0 ? "root" : String(this.process.uid);
    const text = raw.replace(/\\([\\whHuW$ntea[\]])/g, (_, c: string) => {
      switch (c) {
        case "w": return short;
        case "W": return short === "/" || short === "~" ? short : short.slice(short.lastIndexOf("/") + 1);
        case "h": case "H": return byteString(this.process.machine.hostname);
        case "u": return user;
        case "$": return this.process.uid === 0 ? "#" : "\\$";
        case "n": return "\n";
        case "t": return "\t";
        case "e": return "\x1b";
        case "a": return "\x07";
        case "\\": return "\\\\";
        default: return "";
      }
    });
    const parser = new Parser(`"${text.replace(/"/g, '\\"')}"`);
    try {
      const command = parser.next();
      const word: Word = command?.t === "simple" ? (command.words[0] ?? []) : [];
      return await expandText(this, word);
    } catch (error) {
      if (error instanceof SyntaxFault || error instanceof ExpansionFault) return text;
      throw error;
    }
  }

  /** Arithmetic on a text, for `let`. */
  arith(text: string): bigint {
    return arithText(this, text);
  }
}

/** A builtin that fails: said with its name; a special one ends the shell. */
export class BuiltinFault extends ShellFault {}

/** Puts a shared file at a descriptor of a new process. */
export function adopt(process: Process, fd: number, file: OpenFile): void {
  file.refs++;
  process.install(fd, file);
}

function adoptNull(process: Process): void {
  const file = process.fs.tryFind(process, "/dev/null")?.node;
  if (file?.kind === "device") process.install(0, file.open());
}

/** A program starts with default actions, but for what is ignored. */
function resetSignals(process: Process, traps: ReadonlyMap<Signal | "EXIT", string>): void {
  process.handlers.clear();
  for (const [signal, action] of traps) if (action === "" && signal !== "EXIT" && signal in SIGNALS) process.ignored.add(signal);
}

/** A here-document: it is read through a pipe. */
function hereDocument(text: string): OpenFile {
  const pipe = new Pipe();
  const end = pipe.end("read");
  const writer = pipe.end("write");
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  // More than the pipe takes at once waits in it.
  void Promise.resolve(text === "" ? undefined : writer.write(bytes, { dead: false })).catch(() => {});
  writer.close();
  return end;
}

/** As `set -x` shows a word. */
export function quoteWord(word: string): string {
  for (let i = 0; i < word.length; i++) {
    const c = word[i]!;
    if (c < "+" || (c >= ";" && c <= "?") || c === "`" || c === "[" || c === "\\" || c > "z") return singleQuote(word);
  }
  return word;
}

export const singleQuote = (text: string): string => `'${text.replace(/'+/g, (quotes) => `'"${quotes}"'`)}'`;
