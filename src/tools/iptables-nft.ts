/**
 * `iptables-nft`, `iptables-nft-restore`, `iptables-nft-save` 1.8.9 and their ip6tables (src/kernel/nft/iptables.ts), and `iptables-translate` and
 * `iptables-restore-translate`, which say in nft's words what they are asked for and change nothing (iptables/xtables-translate.c).
 */
import { parseCommand, type Command } from "../kernel/iptables/commands.ts";
import { ipv4Family, ipv6Family } from "../kernel/iptables/family.ts";
import { isTargetName, parseRule } from "../kernel/iptables/rule.ts";
import { Refusal, usage, words } from "../kernel/iptables/text.ts";
import { translateRule } from "../kernel/iptables/translate.ts";
import { IptablesError } from "../kernel/netns.ts";
import { ebtablesOf } from "../kernel/nft/ebtables.ts";
import { ip6tablesNftOf, iptablesNftOf, type IptablesNftOutput } from "../kernel/nft/iptables.ts";
import { ToolExit, type Streams, type ToolHost } from "./tool.ts";

const VERSION = "v1.8.9 (nf_tables)";

function print(streams: Streams, { stdout, stderr }: IptablesNftOutput): number {
  streams.stdout += stdout;
  streams.stderr += stderr;
  return 0;
}

type Program = "iptables" | "ip6tables";
const callsOf = (tool: Program) => (tool === "iptables" ? iptablesNftOf : ip6tablesNftOf);

const run = (tool: Program) => ({ netns }: ToolHost, args: readonly string[], streams: Streams): number => {
  const hint = `Try \`${tool} -h' or '${tool} --help' for more information.\n`;
  const other = tool === "iptables" ? ["-6", "--ipv6"] : ["-4", "--ipv4"];
  if (args.some((arg) => other.includes(arg))) throw new ToolExit(2, hint);
  if (args.includes("-W") || args.some((arg) => arg.startsWith("--wait-interval"))) {
    const wait = args.some((arg) => arg === "-w" || arg === "--wait");
    streams.stderr += "Ignoring deprecated --wait-interval option.\n";
    if (!wait) throw new ToolExit(2, `${tool} ${VERSION}: --wait-interval only makes sense with --wait\n\n${hint}`);
    const at = args.findIndex((arg) => arg === "-W" || arg === "--wait-interval");
    return run(tool)({ netns } as ToolHost, args.filter((arg, i) => (at < 0 ? !arg.startsWith("--wait-interval") : i !== at && i !== at + 1)), streams);
  }
  if (tool === "iptables") for (const range of reversedRanges(args)) streams.stderr += `xt_iprange: range ${range} is reversed and will never match\n`;
  return print(streams, callsOf(tool)(netns).run(args));
};
export const iptablesNft = run("iptables");
export const ip6tablesNft = run("ip6tables");

/** Ranges of addresses whose end comes before their begin. */
function reversedRanges(args: readonly string[]): string[] {
  const value = (address: string): number => address.split(".").reduce((sum, byte) => sum * 256 + Number(byte), 0);
  return args.filter((arg, i) => {
    const [from = "", to] = arg.split("-");
    return /^--(src|dst)-range$/.test(args[i - 1] ?? "") && to !== undefined && value(from) > value(to);
  });
}

const restoreUsage = (tool: Program): string =>
  `Usage: ${tool}-restore [-c] [-v] [-V] [-t] [-h] [-n] [-T table] [-M command] [-4] [-6] [file]\n\t   [ --counters ]\n\t   [ --verbose ]\n` +
  "\t   [ --version]\n\t   [ --test ]\n\t   [ --help ]\n\t   [ --noflush ]\n\t   [ --table=<TABLE> ]\n\t   [ --modprobe=<command> ]\n" +
  "\t   [ --ipv4 ]\n\t   [ --ipv6 ]\n";

const restore = (tool: Program) => ({ netns }: ToolHost, args: readonly string[], streams: Streams, stdin: string): number => {
  const options: { noflush?: boolean; counters?: boolean; test?: boolean; table?: string } = {};
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === "-n" || arg === "--noflush") options.noflush = true;
    else if (arg === "-c" || arg === "--counters") options.counters = true;
    else if (arg === "-t" || arg === "--test") options.test = true;
    else if (arg === "-V" || arg === "--version") {
      streams.stdout += `${tool}-restore ${VERSION}\n`;
      return 0;
    } else if (arg === "-h" || arg === "--help") {
      streams.stderr += restoreUsage(tool);
      return 0;
    } else if (arg === "-T" || arg === "--table") options.table = args[++i] ?? "";
    else if (arg === "-M" || arg === "--modprobe") i++;
    else if (["-v", "--verbose", ...(tool === "iptables" ? ["-4", "--ipv4"] : ["-6", "--ipv6"])].includes(arg)) continue;
    else if (/^(-w|--wait|-W)/.test(arg)) {
      if (/^(-w|--wait|-W)$/.test(arg) && /^\d+$/.test(args[i + 1] ?? "")) i++;
    } else if (arg.startsWith("--")) throw new ToolExit(1, `${tool}-restore: unrecognized option '${arg}'\nTry \`${tool}-restore -h' for more information.\n`);
    else if (arg.startsWith("-") && arg.length > 1) throw new ToolExit(1, `${tool}-restore: invalid option -- '${arg[1]}'\nTry \`${tool}-restore -h' for more information.\n`);
    else throw new ToolExit(1, `Can't open ${arg}: No such file or directory\n`);
  }
  return print(streams, callsOf(tool)(netns).restore(stdin, options));
};
export const iptablesNftRestore = restore("iptables");
export const ip6tablesNftRestore = restore("ip6tables");

const save = (tool: Program) => ({ netns }: ToolHost, args: readonly string[], streams: Streams): number => {
  const options: { counters?: boolean; table?: string } = {};
  let file = false;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === "-c" || arg === "--counters") options.counters = true;
    else if (arg === "-t" || arg === "--table") options.table = args[++i] ?? "";
    else if (arg === "-f" || arg === "--file") {
      i++;
      file = true;
    } else if (arg === "-V" || arg === "--version") {
      streams.stdout += `${tool}-save ${VERSION}\n`;
      return 0;
    } else if (arg === "-M" || arg === "--modprobe") i++;
    else throw new ToolExit(1, `${tool}-save: ${arg.startsWith("--") ? `unrecognized option '${arg}'` : `invalid option -- '${arg[1] ?? ""}'`}\n` +
      `Look at manual page \`${tool}-save.8' for more information.\n`);
  }
  const { stdout, stderr } = callsOf(tool)(netns).save(options);
  // There is no file system to write to.
  return print(streams, { stdout: file ? "" : stdout, stderr });
};
export const iptablesNftSave = save("iptables");
export const ip6tablesNftSave = save("ip6tables");

/** A command as it is printed when nft has no words for it: the parser has taken the exclamation marks away. */
const shown = (list: readonly string[]): string => list.map((word) => (word === "!" ? "" : word)).join(" ");

/** The commands in nft's words, one to a line; undefined where the tool has none. */
function translate(command: Command, typed: string, family: "ip" | "ip6" = "ip"): string[] | undefined {
  const known = family === "ip" ? ipv4Family() : ipv6Family();
  const surroundings = { isChain: (name: string) => !isTargetName(name, known), setExists: () => true, ...(known === undefined ? {} : { family: known }) };
  const { verb, chain, table } = command;
  switch (verb) {
    case "A": case "I": {
      let parsed: ReturnType<typeof parseRule>;
      try {
        parsed = parseRule(command.words, 0, "", surroundings);
      } catch (error) {
        // Extensions that the kernel does not have: the tool knows their options all the same.
        if (error instanceof Refusal && error.kind === "other") return [`# ${typed} `];
        throw error;
      }
      const lines: string[] = [];
      for (const { text } of parsed.rules) {
        const made = translateRule(text, family, surroundings.isChain);
        if (made === undefined) {
          lines.push(`# ${typed} `);
          continue;
        }
        for (const set of made.sets) lines.push(`add set ${family} ${table} ${set}`);
        lines.push(`${verb === "A" ? "add" : "insert"} rule ${family} ${table} ${chain} ${made.rule}`);
      }
      return lines;
    }
    case "N": return [`add chain ${family} ${table} ${chain}`];
    case "X": return [`delete chain ${family} ${table} ${chain ?? "(null)"}`];
    case "F": return [chain === undefined ? `flush table ${family} ${table}` : `flush chain ${family} ${table} ${chain}`];
    case "L": return [chain === undefined ? `list table ${family} ${table}` : `list chain ${family} ${table} ${chain}`];
    default: return undefined;
  }
}

const QUOTED = /^(add|insert) (rule|set) /;

export const iptablesTranslate = (family: "ip" | "ip6") => (_host: ToolHost, args: readonly string[], streams: Streams): number => {
  const tool = family === "ip" ? "iptables-translate" : "ip6tables-translate";
  try {
    const command = parseCommand(args, false);
    if (command.verb === "V") {
      streams.stdout += `${tool} ${VERSION}\n`;
      return 0;
    }
    if (command.verb === "") {
      parseRule(command.words, 0, "", { isChain: (name) => !isTargetName(name), setExists: () => true });
      throw usage("no command specified");
    }
    const lines = translate(command, shown(args), family);
    if (lines === undefined) {
      streams.stdout += "nft ";
      streams.stderr += "Translation not implemented\n";
      return 1;
    }
    // Of several destinations to one source only the first rule has the program's name before it.
    const destinations = lines.length > 1 ? destinationsOf(args) : 1;
    lines.forEach((line, i) => {
      streams.stdout += `${i % destinations === 0 ? "nft " : ""}${QUOTED.test(line) ? `'${line}'` : line}\n`;
    });
    return 0;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const hint = `Try \`${tool} -h' or '${tool} --help' for more information.`;
    if (error.kind === "usage") throw new IptablesError(`${tool} ${VERSION}: ${error.message}\n${hint}`, 0, 2);
    if (error.kind === "plain") throw new IptablesError(error.exitCode === 2 ? `${error.message}${error.message === "" ? "" : "\n"}${hint}` : error.message, 0, error.exitCode);
    throw new IptablesError(`${tool}: ${error.message}.`, 0, error.exitCode);
  }
};

function destinationsOf(args: readonly string[]): number {
  const at = args.findIndex((arg) => ["-d", "--destination", "--dst"].includes(arg));
  return at < 0 ? 1 : (args[at + 1] ?? "").split(",").length;
}

const HOOKS: Readonly<Record<string, readonly [type: string, priority: number]>> = {
  "raw PREROUTING": ["filter", -300], "raw OUTPUT": ["filter", -300],
  "mangle PREROUTING": ["filter", -150], "mangle INPUT": ["filter", -150], "mangle FORWARD": ["filter", -150], "mangle OUTPUT": ["route", -150],
  "mangle POSTROUTING": ["filter", -150],
  "filter INPUT": ["filter", 0], "filter FORWARD": ["filter", 0], "filter OUTPUT": ["filter", 0],
  "nat PREROUTING": ["nat", -100], "nat INPUT": ["nat", 100], "nat OUTPUT": ["nat", -100], "nat POSTROUTING": ["nat", 100],
  "security INPUT": ["filter", 150], "security FORWARD": ["filter", 150], "security OUTPUT": ["filter", 150],
};

/** `iptables-restore-translate -f FILE`: the input is taken from standard input, the dates of its comments are left out. */
export function iptablesRestoreTranslate(_host: ToolHost, _args: readonly string[], streams: Streams, stdin: string): number {
  const tool = "iptables-translate-restore";
  streams.stdout += `# Translated by iptables-restore-translate v1.8.9\n`;
  let table: string | undefined;
  let number = 0;
  for (const line of stdin.endsWith("\n") ? stdin.slice(0, -1).split("\n") : stdin.split("\n")) {
    number++;
    if (line === "" || line.startsWith("#")) continue;
    try {
      if (line.startsWith("*") && table === undefined) {
        table = line.slice(1).trim().split(/[ \t]/)[0]!;
        streams.stdout += `add table ip ${table}\n`;
      } else if (table === undefined) {
        throw new IptablesError(`${tool}: line ${number} failed`, number, 1);
      } else if (line.startsWith("COMMIT")) {
        table = undefined;
      } else if (line.startsWith(":")) {
        const [chain = "", policy = ""] = line.slice(1).split(/[ \t]+/);
        const hook = HOOKS[`${table} ${chain}`];
        streams.stdout += hook === undefined ? `add chain ip ${table} ${chain}\n`
          : `add chain ip ${table} ${chain} { type ${hook[0]} hook ${chain.toLowerCase()} priority ${hook[1]}; policy ${policy.toLowerCase()}; }\n`;
      } else {
        const text = line.startsWith("[") ? line.slice(line.indexOf("]") + 1).trim() : line;
        const list = words(`${text}\n`);
        const command: Command = { ...parseCommand(list, true), table };
        const lines = translate(command, `-t ${table} ${shown(list)}`);
        if (lines === undefined) throw new IptablesError(`${tool}: line ${number} failed`, number, 1);
        for (const one of lines) streams.stdout += `${one}\n`;
      }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const prefix = error.kind === "usage" ? `${tool} ${VERSION}: ` : "";
      throw new IptablesError(
        `${prefix}${error.message}\nError occurred at line: ${number}\nTry \`${tool} -h' or '${tool} --help' for more information.`, number, error.exitCode);
    }
  }
  streams.stdout += "# Completed\n";
  return 0;
}

/** `ebtables`, and `ebtables-legacy`, which alone has the broute table. */
export const ebtables = (broute: boolean) => ({ netns }: ToolHost, args: readonly string[], streams: Streams): number => {
  streams.stdout += ebtablesOf(netns).run(args, { broute });
  return 0;
};

export const ebtablesRestore = (broute: boolean) => ({ netns }: ToolHost, args: readonly string[], _streams: Streams, stdin: string): number => {
  ebtablesOf(netns).restore(stdin, { broute, noflush: args.includes("--noflush") || args.includes("-n") });
  return 0;
};

export function ebtablesSave({ netns }: ToolHost, args: readonly string[], streams: Streams): number {
  streams.stdout += ebtablesOf(netns).save({ counters: args.includes("-c") || args.includes("--counters") });
  return 0;
}
