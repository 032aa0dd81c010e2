/** `iptables`, `iptables-save`, `iptables-restore` around the driver's calls (src/kernel/iptables). */
import type { Iptables } from "../kernel/netns.ts";
import { ToolExit, type Tool, type ToolHost } from "./tool.ts";

/** What the programs of one kind and family share. */
export interface IptablesPrograms {
  /** `iptables` or `ip6tables`. */
  readonly name: string;
  /** As it stands behind the version: `legacy`. */
  readonly kind: string;
  of(host: ToolHost): Pick<Iptables, "run" | "restore" | "save">;
  /** What `-t TABLE` of a table that is not there says. */
  noTable(table: string): string;
}

const LEGACY: IptablesPrograms = {
  name: "iptables", kind: "legacy", of: ({ netns }) => netns.iptables,
  noTable: () => "iptables-save v1.8.9 (legacy): Cannot initialize: Table does not exist (do you need to insmod?)\n",
};
const TABLES = ["raw", "mangle", "nat", "filter", "security"];

const LEGACY6: IptablesPrograms = {
  name: "ip6tables", kind: "legacy", of: ({ netns }) => netns.ip6tables!,
  noTable: () => "ip6tables-save v1.8.9 (legacy): Cannot initialize: Table does not exist (do you need to insmod?)\n",
};
export const ip6tables: Tool = ({ netns }, args, streams) => {
  streams.stdout += netns.ip6tables!.run(args);
  return 0;
};
export const iptables: Tool = ({ netns }, args, streams) => {
  streams.stdout += netns.iptables.run(args);
  return 0;
};

/** Reads options as getopt_long() does: `short` as its optstring, `long` with the letter that each stands for. The rest are operands. */
function getopt(args: readonly string[], short: string, long: Readonly<Record<string, string>>, program: string, hint: string): {
  options: (readonly [letter: string, value: string])[]; operands: string[];
} {
  const options: (readonly [string, string])[] = [];
  const operands: string[] = [];
  const bad = (text: string): ToolExit => new ToolExit(1, `${program}: ${text}\n${hint}`);
  /** 0: no argument, 1: one, 2: one that may be missing. */
  const takes = (letter: string): number => (short.includes(`${letter}::`) ? 2 : short.includes(`${letter}:`) ? 1 : 0);
  for (let at = 0; at < args.length; at++) {
    const arg = args[at]!;
    if (arg === "--") {
      operands.push(...args.slice(at + 1));
      break;
    }
    if (arg.startsWith("--")) {
      const [name = "", value] = arg.slice(2).split(/=(.*)/s);
      const found = Object.keys(long).filter((one) => one === name || one.startsWith(name));
      const full = found.find((one) => one === name) ?? (found.length === 1 ? found[0] : undefined);
      if (full === undefined) throw bad(`unrecognized option '${arg}'`);
      const letter = long[full]!;
      if (takes(letter) === 1 && value === undefined && args[at + 1] === undefined) throw bad(`option '--${full}' requires an argument`);
      options.push([letter, value ?? (takes(letter) === 1 ? args[++at]! : "")]);
    } else if (arg.startsWith("-") && arg !== "-") {
      for (let i = 1; i < arg.length; i++) {
        const letter = arg[i]!;
        if (letter === ":" || !short.includes(letter)) throw bad(`invalid option -- '${letter}'`);
        if (takes(letter) === 0) {
          options.push([letter, ""]);
          continue;
        }
        const rest = arg.slice(i + 1);
        if (rest === "" && takes(letter) === 1 && args[at + 1] === undefined) throw bad(`option requires an argument -- '${letter}'`);
        options.push([letter, rest !== "" || takes(letter) === 2 ? rest : args[++at]!]);
        break;
      }
    } else operands.push(arg);
  }
  return { options, operands };
}

/** `iptables-save [-c] [-t TABLE]`. Without a table: all that are loaded. */
export const saveTool = (programs: IptablesPrograms): Tool => (host, args, streams) => {
  const { name, kind } = programs;
  const { options, operands } = getopt(args, "bcdt:M:f:V", { counters: "c", version: "V", dump: "d", table: "t", modprobe: "M", file: "f", "ipv4": "4", "ipv6": "6" },
    `${name}-save`, `Look at manual page \`${name}-save.8' for more information.\n`);
  let table: string | undefined;
  let counters = false;
  let quiet = false;
  for (const [letter, value] of options) {
    if (letter === "V") {
      streams.stdout += `${name}-save v1.8.9 (${kind})\n`;
      return 0;
    }
    if (letter === "c") counters = true;
    else if (letter === "t") table = value;
    // There are no files to write to.
    else if (letter === "f") quiet = true;
  }
  if (operands.length > 0) throw new ToolExit(1, "Unknown arguments found on commandline\n");
  if (table !== undefined && !TABLES.includes(table)) throw new ToolExit(1, programs.noTable(table));
  const text = programs.of(host).save({ counters, ...(table === undefined ? {} : { table }) });
  if (!quiet) streams.stdout += text;
  return 0;
};

const RESTORE_USAGE = (name: string): string =>
  `Usage: ${name}-restore [-c] [-v] [-V] [-t] [-h] [-n] [-w secs] [-W usecs] [-T table] [-M command] [file]\n` +
  ["counters", "verbose", "version]", "test", "help", "noflush", "wait=<seconds>", "table=<TABLE>", "modprobe=<command>"]
    .map((option) => `\t   [ --${option}${option.endsWith("]") || option.startsWith("wait") ? "" : " ]"}\n`).join("");

/** `iptables-restore [-c] [-n] [-t] [-T TABLE]` of standard input; files there are none. */
export const restoreTool = (programs: IptablesPrograms): Tool => (host, args, streams, stdin) => {
  const { name, kind } = programs;
  const { options, operands } = getopt(args, "bcvVthnw::W::T:M:", {
    counters: "c", verbose: "v", version: "V", test: "t", help: "h", noflush: "n", modprobe: "M", table: "T", wait: "w", "wait-interval": "W", ipv4: "4", ipv6: "6",
  }, `${name}-restore`, `Try \`${name}-restore -h' for more information.\n`);
  const wanted: { noflush?: boolean; counters?: boolean; test?: boolean; table?: string } = {};
  for (const [letter, value] of options) {
    if (letter === "V") {
      streams.stdout += `${name}-restore v1.8.9 (${kind})\n`;
      return 0;
    }
    if (letter === "h") {
      streams.stderr += RESTORE_USAGE(name);
      return 0;
    }
    if (letter === "n") wanted.noflush = true;
    else if (letter === "c") wanted.counters = true;
    else if (letter === "t") wanted.test = true;
    else if (letter === "T") wanted.table = value;
  }
  const [file] = operands;
  if (operands.length > 1) throw new ToolExit(1, "Unknown arguments found on commandline\n");
  if (file !== undefined && file !== "/dev/stdin") throw new ToolExit(1, `Can't open ${file}: No such file or directory\n`);
  programs.of(host).restore(stdin, wanted);
  return 0;
};

export const iptablesSave: Tool = saveTool(LEGACY);
export const iptablesRestore: Tool = restoreTool(LEGACY);
export const ip6tablesSave: Tool = saveTool(LEGACY6);
export const ip6tablesRestore: Tool = restoreTool(LEGACY6);
