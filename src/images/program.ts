/** Helpers that the in-box programs share. */
import type { ProgramContext } from "../cri/program.ts";

/** argv[0] names no program of the image, or one that cannot be run; worded as runc words it. */
export class ExecutableNotFound extends Error {
  constructor(name: string, message = name.includes("/") ? `exec: "${name}": stat ${name}: no such file or directory` : `exec: "${name}": executable file not found in $PATH`) {
    super(message);
    this.name = "ExecutableNotFound";
  }
}

export type Program = (context: ProgramContext) => Promise<number>;

/** An image's `run` out of its programs by name. */
export function dispatch(programs: Readonly<Record<string, Program>>): Program {
  return (context) => {
    const name = (context.argv[0] ?? "").replace(/^.*\//, "");
    const program = Object.hasOwn(programs, name) ? programs[name] : undefined;
    return program === undefined ? Promise.reject(new ExecutableNotFound(context.argv[0] ?? "")) : program(context);
  };
}

/** Resolves when the program is asked to stop. */
export const stopped = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });

/** Never resolves: what a program does that ignores SIGTERM, until it is killed. */
export const forever = (): Promise<never> => new Promise(() => undefined);

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** `20/Nov/2026:10:54:04 +0000`, the time in web servers' access logs. */
export function logTime(ms: number): string {
  const iso = new Date(Math.floor(ms)).toISOString();
  const month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][Number(iso.slice(5, 7)) - 1]!;
  return `${iso.slice(8, 10)}/${month}/${iso.slice(0, 4)}:${iso.slice(11, 19)} +0000`;
}
