/** What applets share: options as getopt(3) reads them, lines, the words for mistakes. */
import { fromBytes } from "../os/bytes.ts";
import { Errno } from "../os/errno.ts";
import type { Main, Process } from "../os/process.ts";
import type { Place } from "../os/vfs.ts";

export const BANNER = "BusyBox v1.36.1 (2024-06-10 07:11:47 UTC) multi-call binary.";

/** A command line that cannot be read. */
export class UsageFault extends Error {}

export interface Options {
  has(option: string): boolean;
  get(option: string): string | undefined;
  all(option: string): readonly string[];
  readonly rest: string[];
}

/**
 * Reads options. `spec` is getopt's: a letter for each, `:` after those with a value, `::` for an optional one in the same word; a `+` first ends at the first word that is no
 * option. `long`: names and the letter each stands for. Throws UsageFault.
 */
export function getopt(args: readonly string[], spec: string, long: Readonly<Record<string, string>> = {}): Options {
  const inOrder = spec.startsWith("+");
  const values = new Map<string, string[]>();
  const rest: string[] = [];
  const add = (option: string, value = ""): void => void (values.get(option)?.push(value) ?? values.set(option, [value]));
  const takes = (option: string): 0 | 1 | 2 => {
    const at = spec.indexOf(option);
    return spec[at + 1] !== ":" ? 0 : spec[at + 2] === ":" ? 2 : 1;
  };
  for (let i = 0; i < args.length; i++) {
    const word = args[i]!;
    if (word === "--") {
      rest.push(...args.slice(i + 1));
      break;
    }
    if (word.startsWith("--")) {
      const equals = word.indexOf("=");
      const name = word.slice(2, equals < 0 ? undefined : equals);
      const exact = Object.hasOwn(long, name) ? name : undefined;
      const names = exact === undefined ? Object.keys(long).filter((n) => n.startsWith(name)) : [exact];
      if (names.length !== 1) throw new UsageFault(`unrecognized option '--${name}'`);
      const option = long[names[0]!]!;
      const kind = option.length === 1 ? takes(option) : option.endsWith(":") ? 1 : 0;
      const key = option.replace(/:$/, "");
      if (kind === 0) add(key);
      else if (equals >= 0) add(key, word.slice(equals + 1));
      else if (kind === 2) add(key);
      else {
        if (i + 1 >= args.length) throw new UsageFault(`option '--${name}' requires an argument`);
        add(key, args[++i]!);
      }
      continue;
    }
    if (!/^-./.test(word)) {
      if (inOrder) {
        rest.push(...args.slice(i));
        break;
      }
      rest.push(word);
      continue;
    }
    for (let j = 1; j < word.length; j++) {
      const option = word[j]!;
      if (option === ":" || option === "+" || !spec.includes(option)) throw new UsageFault(`invalid option -- '${option}'`);
      const kind = takes(option);
      if (kind === 0) {
        add(option);
        continue;
      }
      const value = word.slice(j + 1);
      if (value !== "" || kind === 2) add(option, value);
      else {
        if (i + 1 >= args.length) throw new UsageFault(`option requires an argument -- '${option}'`);
        add(option, args[++i]!);
      }
      break;
    }
  }
  return { has: (option) => values.has(option), get: (option) => values.get(option)?.at(-1), all: (option) => values.get(option) ?? [], rest };
}

/** A program out of a function that may throw UsageFault or Errno; `usage`: what follows `Usage: NAME`. */
export function applet(usage: string, run: (process: Process, args: readonly string[]) => number | Promise<number>): Main {
  return async (process) => {
    const args = process.argv.slice(1);
    if (args.length === 1 && args[0] === "--help") {
      await process.error(`${BANNER}\n\nUsage: ${process.name} ${usage}\n`);
      return 0;
    }
    try {
      return await run(process, args);
    } catch (error) {
      if (error instanceof UsageFault) {
        await process.error(`${error.message === "" ? "" : `${process.name}: ${error.message}\n`}${BANNER}\n\nUsage: ${process.name} ${usage}\n`);
        return 1;
      }
      if (!(error instanceof Errno)) throw error;
      await process.complain(error.message);
      return 1;
    }
  };
}

/** Lines of a descriptor, without their ends. `ended` of the last one says whether it had one. */
export class LineReader {
  readonly #process: Process;
  readonly #fd: number;
  #buffer = "";
  #over = false;
  readonly #delimiter: string;

  constructor(process: Process, fd: number, delimiter = "\n") {
    this.#process = process;
    this.#fd = fd;
    this.#delimiter = delimiter;
  }

  async next(): Promise<{ readonly line: string; readonly ended: boolean } | undefined> {
    for (let from = 0; ;) {
      const end = this.#buffer.indexOf(this.#delimiter, from);
      if (end >= 0) {
        const line = this.#buffer.slice(0, end);
        this.#buffer = this.#buffer.slice(end + 1);
        return { line, ended: true };
      }
      if (this.#over) {
        const line = this.#buffer;
        this.#buffer = "";
        return line === "" ? undefined : { line, ended: false };
      }
      from = this.#buffer.length;
      const bytes = await this.#process.read(this.#fd);
      if (bytes === undefined) this.#over = true;
      else this.#buffer += fromBytes(bytes);
    }
  }
}

/** Calls `run` for each file that is named (`-`, or none: standard input); status 1 where one cannot be opened: `NAME: can't open 'FILE': …`. */
export async function eachInput(process: Process, names: readonly string[], run: (fd: number, name: string) => Promise<number | void>, quoted = true): Promise<number> {
  let status = 0;
  for (const name of names.length === 0 ? ["-"] : names) {
    if (name === "-") {
      status = (await run(0, "-")) || status;
      continue;
    }
    let fd: number;
    try {
      fd = await process.open(name, { read: true });
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      await process.complain(quoted ? `can't open '${name}': ${error.message}` : `${name}: ${error.message}`);
      status = 1;
      continue;
    }
    try {
      status = (await run(fd, name)) || status;
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      await process.complain(`read error: ${error.message}`);
      status = 1;
    }
    if (process.fds[fd] !== undefined) process.close(fd);
  }
  return status;
}

/** Splits a text into lines, the last one without an end too. */
export const linesOf = (text: string): string[] => (text === "" ? [] : (text.endsWith("\n") ? text.slice(0, -1) : text).split("\n"));

export const join = (folder: string, name: string): string => (folder === "" ? name : folder.endsWith("/") ? folder + name : `${folder}/${name}`);

export const baseName = (path: string): string => {
  const trimmed = path.replace(/\/+$/, "");
  return trimmed === "" ? (path === "" ? "" : "/") : trimmed.slice(trimmed.lastIndexOf("/") + 1);
};

/** `5`, `1k`, `2M`: a number with a suffix; undefined for anything else. */
export function sized(text: string): number | undefined {
  const match = /^([0-9]+)(c|w|b|kB|kD|k|K|KB|MB|MD|M|m|G|GB|g|T)?$/.exec(text);
  if (match === null) return undefined;
  const unit: Readonly<Record<string, number>> = { c: 1, w: 2, b: 512, k: 1024, K: 1024, kD: 1000, kB: 1000, KB: 1000, m: 1 << 20, M: 1 << 20, MD: 1e6, MB: 1e6, g: 1073741824, G: 1073741824, GB: 1e9, T: 1099511627776 };
  return Number(match[1]) * (match[2] === undefined ? 1 : unit[match[2]]!);
}

/** Seconds of `5`, `2.5s`, `1m`, `1h`, `1d`, `inf`; undefined for anything else. */
export function duration(word: string): number | undefined {
  if (/^inf(inity)?$/i.test(word)) return Infinity;
  const match = /^([0-9]+\.?[0-9]*|\.[0-9]+)([smhd]?)$/.exec(word);
  return match === null ? undefined : Number(match[1]) * { "": 1, s: 1, m: 60, h: 3600, d: 86_400 }[match[2] as "" | "s"]!;
}

/** The names of users or groups by number, from /etc/passwd or /etc/group. */
export function accounts(process: Process, file: "passwd" | "group"): { readonly byId: ReadonlyMap<number, string>; readonly byName: ReadonlyMap<string, readonly string[]> } {
  const byId = new Map<number, string>();
  const byName = new Map<string, readonly string[]>();
  let text = "";
  try {
    text = fromBytes(process.fs.readFile(process, `/etc/${file}`));
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
  }
  for (const line of linesOf(text)) {
    const fields = line.split(":");
    if (fields.length < 3) continue;
    if (!byId.has(Number(fields[2]))) byId.set(Number(fields[2]), fields[0]!);
    byName.set(fields[0]!, fields);
  }
  return { byId, byName };
}

/** Everything below a place, children in order, each before or after what is in it. */
export function* tree(process: Process, place: Place, path: string): Generator<{ readonly place: Place; readonly path: string }> {
  yield { place, path };
  if (place.node.kind !== "dir") return;
  for (const name of place.node.names()) {
    const child = process.fs.entry(place, name);
    if (child !== undefined) yield* tree(process, child, join(path, name));
  }
}
