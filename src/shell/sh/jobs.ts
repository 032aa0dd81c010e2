/** Jobs, and the builtins that wait for processes and send them signals (busybox shell/ash.c: waitcmd, killcmd, jobscmd). */
import type { Process } from "../os/process.ts";
import { parseSignal, SIGNALS, SIGNAL_TEXTS, signalName, type Signal } from "../os/signals.ts";
import { print, type Builtin } from "./builtins.ts";
import { BuiltinFault, type Job, type Shell } from "./shell.ts";

const jobOf = (shell: Shell, word: string): Job | undefined => {
  const live = shell.jobs;
  if (word === "%" || word === "%%" || word === "%+") return live.at(-1);
  if (word === "%-") return live.at(-2);
  if (/^%[0-9]+$/.test(word)) return live.find(({ number: n }) => n === Number(word.slice(1)));
  if (word.startsWith("%")) return live.find(({ text }) => (word[1] === "?" ? text.includes(word.slice(2)) : text.startsWith(word.slice(1))));
  return live.find(({ processes }) => processes.some(({ pid }) => String(pid) === word));
};

const over = ({ processes }: Job): boolean => processes.every(({ dead }) => dead);

function forget(shell: Shell, job: Job): void {
  for (const process of job.processes) if (process.dead) process.reap();
  shell.jobs = shell.jobs.filter((other) => other !== job);
}

export const wait: Builtin = async (shell, [, ...args]) => {
  const { process } = shell;
  const until = async (pending: Promise<unknown>): Promise<Signal | true | undefined> => {
    if (shell.pending !== undefined) return shell.pending;
    const interrupted = new Promise<Signal | true>((resolve) => (shell.interrupt = () => resolve(shell.pending ?? true)));
    const result = await process.live(Promise.race([pending.then(() => undefined), interrupted]));
    shell.interrupt = undefined;
    return result;
  };
  const statusOf = (signal: Signal | true): number => (signal === true ? 130 : 128 + SIGNALS[signal]);
  const one = async (job: Job, pid?: Process): Promise<number> => {
    const last = pid ?? job.processes.at(-1)!;
    const signal = await until(Promise.all((pid === undefined ? job.processes : [pid]).map(({ done }) => done)));
    if (signal !== undefined) return statusOf(signal);
    forget(shell, job);
    const { signal: by, code } = last.ended!;
    const word = by === undefined || by === "INT" || by === "PIPE" ? undefined : SIGNAL_TEXTS[by];
    if (word !== undefined && !shell.options.i) await process.error(`${word}\n`);
    return code;
  };
  if (args.length === 0) {
    for (const job of shell.jobs) {
      const signal = await until(Promise.all(job.processes.map(({ done }) => done)));
      if (signal !== undefined) return statusOf(signal);
    }
    for (const job of shell.jobs) forget(shell, job);
    return 0;
  }
  let status = 0;
  for (const word of args) {
    const job = jobOf(shell, word);
    if (job === undefined) {
      if (word.startsWith("%")) throw new BuiltinFault(`${word}: no such job`);
      status = 127;
      continue;
    }
    status = await one(job, word.startsWith("%") ? undefined : job.processes.find(({ pid }) => String(pid) === word));
  }
  return status;
};

export const signalList = (): string => {
  let out = "";
  for (const [name, n] of Object.entries(SIGNALS)) out += `${String(n).padStart(2)}) ${name}\n`;
  return out;
};

export const kill: Builtin = async (shell, [, ...args]) => {
  let signal: Signal | undefined = "TERM", probe = false;
  if (args[0] === "-l") {
    if (args.length === 1) return print(shell, signalList());
    for (const word of args.slice(1)) {
      const found = /^[0-9]+$/.test(word) ? signalName(Number(word) & 127) : parseSignal(word);
      if (found === undefined) throw new BuiltinFault(`unknown signal '${word}'`, 1);
      await print(shell, /^[0-9]+$/.test(word) ? `${found}\n` : `${SIGNALS[found]}\n`);
    }
    return 0;
  }
  if (args[0] === "-s" || args[0] === "-n") {
    args.shift();
    const word = args.shift() ?? "";
    probe = word === "0";
    signal = parseSignal(word);
    if (signal === undefined && !probe) throw new BuiltinFault(`bad signal name '${word}'`, 1);
  } else if (args[0] !== undefined && /^-./.test(args[0]) && args[0] !== "--") {
    const word = args.shift()!.slice(1);
    probe = word === "0";
    signal = parseSignal(word);
    if (signal === undefined && !probe) {
      await shell.process.error(`${shell.arg0}: bad signal name '${word}'\n`);
      return 1;
    }
  }
  if (args[0] === "--") args.shift();
  if (args.length === 0) {
    await shell.process.error(`${shell.arg0}: you need to specify whom to kill\n`);
    return 1;
  }
  let status = 0;
  const table = shell.process.machine.processes;
  for (const word of args) {
    let targets: Process[];
    if (word.startsWith("%")) {
      const job = jobOf(shell, word);
      if (job === undefined) throw new BuiltinFault(`${word}: no such job`, 2);
      targets = [...job.processes];
    } else if (!/^-?[0-9]+$/.test(word)) {
      await shell.process.error(`${shell.arg0}: invalid number '${word}'\n`);
      status = 1;
      continue;
    } else targets = processesOf(table, Number(word), shell.process);
    if (targets.length === 0) {
      await shell.process.error(`${shell.arg0}: can't kill pid ${word}: No such process\n`);
      status = 1;
      continue;
    }
    if (probe) continue;
    for (const target of targets) target.kill(signal!);
  }
  // Those that were killed get to know it, and a shell that sent itself a signal takes its trap.
  return status;
};

/** Who a number given to kill(2) means. */
export function processesOf(table: ReadonlyMap<number, Process>, pid: number, self: Process): Process[] {
  if (pid > 0) {
    const process = table.get(pid);
    return process === undefined ? [] : [process];
  }
  if (pid === -1) return [...table.values()].filter((process) => process !== self && process.pid !== 1);
  const group = pid === 0 ? self.pgid : -pid;
  return [...table.values()].filter(({ pgid }) => pgid === group);
}

const jobState = (job: Job): string => {
  if (!over(job)) return "Running";
  const { code, signal } = job.processes.at(-1)!.ended!;
  return signal === undefined ? (code === 0 ? "Done" : `Done(${code})`) : (SIGNAL_TEXTS[signal] ?? signal);
};

export function jobLines(shell: Shell, finishedOnly: boolean): string {
  let out = "";
  for (const [i, job] of shell.jobs.entries()) {
    if (finishedOnly && !over(job)) continue;
    const mark = i === shell.jobs.length - 1 ? "+" : i === shell.jobs.length - 2 ? "-" : " ";
    out += `[${job.number}]${mark}  ${jobState(job).padEnd(27)}${shell.options.m || shell.options.i ? job.text : ""}\n`;
  }
  for (const job of shell.jobs) if (over(job)) forget(shell, job);
  return out;
}

export const jobs: Builtin = (shell, [, ...args]) => {
  if (args.includes("-p")) return print(shell, shell.jobs.map(({ processes }) => `${processes[0]!.pid}\n`).join(""));
  return print(shell, jobLines(shell, false));
};

export const fg: Builtin = async (shell, [, word = "%%"]) => {
  const job = jobOf(shell, word);
  if (job === undefined) throw new BuiltinFault(`${word}: no such job`);
  if (!shell.options.m) throw new BuiltinFault("job (null) not created under job control");
  await print(shell, `${job.text}\n`);
  shell.jobs = shell.jobs.filter((other) => other !== job);
  return shell.waitForeground(job.processes, job.text);
};

export const bg: Builtin = (shell, [, word = "%%"]) => {
  const job = jobOf(shell, word);
  if (job === undefined) throw new BuiltinFault(`${word}: no such job`);
  return print(shell, `[${job.number}] ${job.text}\n`);
};

