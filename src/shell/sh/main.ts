/** The program `sh`: its command line, and where it reads from (busybox shell/ash.c: ash_main, cmdloop). */
import { fromBytes } from "../os/bytes.ts";
import { Errno } from "../os/errno.ts";
import type { Main, Process } from "../os/process.ts";
import { setOptions } from "./builtins.ts";
import { jobLines } from "./jobs.ts";
import { ExpansionFault } from "./expand.ts";
import { Parser, SyntaxFault } from "./parser.ts";
import { Leave, Shell, ShellFault } from "./shell.ts";

export const sh: Main = async (process) => {
  const shell = new Shell(process);
  const [argv0 = "sh", ...given] = process.argv;
  shell.arg0 = argv0;
  let args = given;
  let login = argv0.startsWith("-");
  if (args[0] === "-l" || args[0] === "--login") {
    login = true;
    args = args.slice(1);
  }
  let rest: readonly string[];
  try {
    ({ rest } = setOptions(shell, args, false));
  } catch (error) {
    if (!(error instanceof ShellFault)) throw error;
    await process.error(`${argv0}: ${error.message}\n`);
    return 2;
  }
  if (shell.options.c) {
    const [text, name, ...params] = rest;
    if (text === undefined) {
      await process.error(`${argv0}: -c requires an argument\n`);
      return 2;
    }
    if (name !== undefined) shell.arg0 = name;
    shell.params = params;
    return shell.main(() => commandLine(shell, text));
  }
  const [file, ...params] = rest;
  if (file !== undefined && !shell.options.s) {
    let text: string;
    try {
      text = await process.slurp(file);
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      await process.error(`${argv0}: can't open '${file}': ${error.message}\n`);
      return 2;
    }
    shell.arg0 = file;
    shell.params = params;
    shell.scriptLines = true;
    return shell.main(() => shell.evalText(text, 1));
  }
  shell.params = [...(file === undefined ? [] : [file]), ...params];
  const tty = process.fds[0]?.tty !== undefined && process.fds[2]?.tty !== undefined;
  if (tty) shell.options.i = true;
  if (shell.options.i) {
    shell.interactiveSignals();
    if (process.tty !== undefined) {
      shell.options.m = true;
      process.pgid = process.pid;
      process.tty.foreground = process.pid;
    }
  }
  return shell.main(async () => {
    if (login) {
      const profile = await process.slurp("/etc/profile").catch(() => "");
      if (profile !== "") await shell.evalText(profile, 1);
    }
    return readCommands(shell);
  });
};

/** `-c`: the last command may take the shell's place. */
async function commandLine(shell: Shell, text: string): Promise<number> {
  const parser = new Parser(text, { line: 0, aliases: shell.aliases });
  let status = 0;
  for (let command = parser.next(); command !== null; command = parser.next()) {
    if (command !== undefined) status = await shell.run(command, false, parser.rest().trim() === "");
  }
  return status;
}

/** Commands from standard input, a line at a time: what a command reads of it comes after its own line. */
async function readCommands(shell: Shell): Promise<number> {
  const { process } = shell;
  const interactive = shell.options.i;
  let buffer = "", line = 0, status = 0;
  for (;;) {
    if (interactive) {
      const told = jobLines(shell, true);
      if (told !== "") await process.error(told);
      await process.error(await shell.prompt(buffer === "" ? "PS1" : "PS2"));
    }
    const read = await readLine(process, shell);
    if (read === "interrupted") {
      shell.interrupted = false;
      buffer = "";
      shell.status = 130;
      if (shell.pending !== undefined) await shell.runTraps();
      continue;
    }
    if (read === undefined && buffer === "") {
      if (interactive && process.fds[0]?.tty !== undefined) await process.error("\n");
      return status;
    }
    if (read !== undefined && interactive && read.trim() !== "") shell.history.push(read.replace(/\n$/, ""));
    buffer += read ?? "";
    const source = read === undefined ? buffer : buffer.endsWith("\n") ? buffer : `${buffer}\n`;
    const parser = new Parser(source, { line: Math.max(0, line), aliases: shell.aliases, open: read !== undefined });
    let consumed = true;
    try {
      for (;;) {
        const command = parser.next();
        if (command === null) break;
        if (command !== undefined) {
          status = await shell.run(command);
          if (shell.interrupted) {
            shell.interrupted = false;
            if (interactive) await process.error("\n");
          }
        }
        if (parser.rest() === "") break;
      }
      line = parser.line;
    } catch (error) {
      if (error instanceof SyntaxFault && error.incomplete) consumed = false;
      else if (!interactive || error instanceof Leave) throw error;
      else if (error instanceof ShellFault || error instanceof ExpansionFault || error instanceof SyntaxFault) {
        status = await shell.statusOf(error);
        shell.status = status;
      } else throw error;
    }
    if (consumed) buffer = "";
    if (read === undefined) return status;
  }
}

/** One line with its end; undefined at the end of the input. No byte after the line is taken. */
async function readLine(process: Process, shell: Shell): Promise<string | "interrupted" | undefined> {
  await process.flush();
  let text = "";
  for (;;) {
    const file = process.fds[0];
    if (file === undefined || !file.readable) return text === "" ? undefined : text;
    // A terminal gives a line at a time; of a file, what was read too much is given back.
    let got = file.read(file.tty === undefined && file.seek === undefined ? 1 : 4096, process);
    if (got instanceof Promise) {
      const interrupted = new Promise<"interrupted">((resolve) => (shell.interrupt = () => resolve("interrupted")));
      const result = await process.live(Promise.race([got, interrupted]));
      shell.interrupt = undefined;
      if (result === "interrupted") {
        if (shell.options.i) return "interrupted";
        await shell.runTraps();
        continue;
      }
      got = result;
    }
    if (got === undefined) return text === "" ? undefined : text;
    text += fromBytes(got);
    const end = text.indexOf("\n");
    if (end < 0) continue;
    if (end < text.length - 1 && file.seek !== undefined) file.seek(end + 1 - text.length, "cur");
    if (file.seek !== undefined) return text.slice(0, end + 1);
    return text;
  }
}
