/** Signals by number (signal(7), x86) and what they do where nobody handles them. */

export const SIGNALS = {
  HUP: 1, INT: 2, QUIT: 3, ILL: 4, TRAP: 5, ABRT: 6, BUS: 7, FPE: 8, KILL: 9, USR1: 10, SEGV: 11, USR2: 12, PIPE: 13, ALRM: 14, TERM: 15,
  STKFLT: 16, CHLD: 17, CONT: 18, STOP: 19, TSTP: 20, TTIN: 21, TTOU: 22, URG: 23, XCPU: 24, XFSZ: 25, VTALRM: 26, PROF: 27, WINCH: 28, IO: 29,
  PWR: 30, SYS: 31,
} as const;

export type Signal = keyof typeof SIGNALS;

const BY_NUMBER = new Map(Object.entries(SIGNALS).map(([name, number]) => [number as number, name as Signal]));

export const signalName = (number: number): Signal | undefined => BY_NUMBER.get(number);

/** `15`, `TERM`, `SIGTERM`, in any case; undefined for what is none. 0 is `EXIT`, and no signal. */
export function parseSignal(word: string): Signal | undefined {
  if (/^\d+$/.test(word)) return BY_NUMBER.get(Number(word));
  const name = word.toUpperCase().replace(/^SIG/, "");
  return Object.hasOwn(SIGNALS, name) ? (name as Signal) : undefined;
}

const IGNORED: ReadonlySet<Signal> = new Set<Signal>(["CHLD", "CONT", "URG", "WINCH"]);
const STOPS: ReadonlySet<Signal> = new Set<Signal>(["STOP", "TSTP", "TTIN", "TTOU"]);

/** `stop` stops nothing here: jobs are not suspended. */
export const defaultAction = (signal: Signal): "ignore" | "stop" | "terminate" => (IGNORED.has(signal) ? "ignore" : STOPS.has(signal) ? "stop" : "terminate");

/** How shells word the end by a signal (strsignal of musl and glibc). */
export const SIGNAL_TEXTS: Partial<Record<Signal, string>> = {
  HUP: "Hangup", QUIT: "Quit", ILL: "Illegal instruction", TRAP: "Trace/breakpoint trap", ABRT: "Aborted", BUS: "Bus error", FPE: "Arithmetic exception",
  KILL: "Killed", USR1: "User defined signal 1", SEGV: "Segmentation fault", USR2: "User defined signal 2", ALRM: "Alarm clock", TERM: "Terminated",
};
