/**
 * Runs records of iptables (rules as typed and as saved, commands and restore inputs with their errors) against one namespace and says
 * how the answers differ. The formats are those of the recordings' README: iptables-rules.json, cli-errors.json.
 */
import type { Ipset } from "../kernel/ipset.ts";
import { IptablesError, type Iptables } from "../kernel/netns.ts";

/** One record of iptables-rules.json. */
export interface RuleRecord {
  readonly backend: string;
  readonly tool: string;
  readonly table: string;
  readonly chain: string;
  readonly args: readonly string[];
  readonly exit: number;
  readonly save?: readonly string[];
  readonly stderr?: string;
  readonly S?: readonly string[];
  readonly L?: readonly string[];
  readonly "L -n -v --line-numbers"?: readonly string[];
  readonly "save-c"?: readonly string[];
  readonly check?: { readonly exit: number; readonly stderr: string };
  readonly delete?: { readonly exit: number; readonly stderr: string };
}

/** One record of cli-errors.json. */
export interface CommandRecord {
  readonly tool: string;
  readonly args: readonly string[];
  readonly stdin?: string;
  readonly exit: number;
  readonly stderr: string;
  readonly stdout?: string;
  readonly save?: readonly string[];
}

export interface Outcome {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command, taking its failure as the tool's. Anything but an IptablesError is a mistake of ours and goes on. */
export function outcome(run: () => string): Outcome {
  try {
    return { exit: 0, stdout: run(), stderr: "" };
  } catch (error) {
    if (!(error instanceof IptablesError)) throw error;
    return { exit: error.exitCode, stdout: "", stderr: `${error.message}\n` };
  }
}

/** Rules of a table as iptables-save prints them. */
const rulesOf = (iptables: Iptables, table: string): string[] =>
  iptables.save({ table }).split("\n").filter((line) => line.startsWith("-A "));

/** The difference of one rule record, or undefined. `iptables` belongs to a namespace that nothing else uses. */
export function checkRule(iptables: Iptables, record: RuleRecord): string | undefined {
  iptables.restore(`*${record.table}\n:MYCHAIN - [0:0]\nCOMMIT\n`);
  const { exit, stderr } = outcome(() => iptables.run(["-t", record.table, "-A", record.chain, ...record.args]));
  if (exit !== record.exit) return `exit ${record.exit} wanted, got ${exit}: ${stderr.trim()}`;
  if (exit !== 0) return stderr === record.stderr ? undefined : `stderr ${JSON.stringify(record.stderr)} wanted, got ${JSON.stringify(stderr)}`;
  const got = rulesOf(iptables, record.table);
  const want = record.save ?? [];
  if (got.length !== want.length || got.some((line, i) => line !== want[i])) {
    return `${JSON.stringify(want)} wanted, got ${JSON.stringify(got)}`;
  }
  const lines = (args: readonly string[]): string[] =>
    outcome(() => iptables.run(["-t", record.table, ...args])).stdout.trimEnd().split("\n");
  const listed: readonly [string, readonly string[] | undefined, readonly string[]][] = [
    ["S", record.S, lines(["-S", record.chain]).filter((line) => line.startsWith("-A "))],
    ["L -n -v --line-numbers", record["L -n -v --line-numbers"], lines(["-L", record.chain, "-n", "-v", "--line-numbers"])],
    ["L", record.L, lines(["-L", record.chain, "-n"]).slice(2)],
    ["save-c", record["save-c"], iptables.save({ table: record.table, counters: true }).split("\n").filter((line) => /^\[[0-9]+:[0-9]+\] -A /.test(line))],
  ];
  for (const [name, want_, got_] of listed) {
    if (want_ === undefined) continue;
    const a = want_.map((line) => line.trimEnd()).join("\n");
    const b = got_.map((line) => line.trimEnd()).join("\n");
    if (a !== b) return `${name}: ${JSON.stringify(a)} wanted, got ${JSON.stringify(b)}`;
  }
  for (const [verb, want_] of [["-C", record.check], ["-D", record.delete]] as const) {
    // The tool compares padding, too: now and then it does not find what it has just added.
    if (want_ === undefined || want_.exit === 1) continue;
    const { exit: code, stderr: text } = outcome(() => iptables.run(["-t", record.table, verb, record.chain, ...record.args]));
    if (code !== want_.exit || text !== want_.stderr) return `${verb}: ${JSON.stringify(want_)} wanted, got ${code} ${JSON.stringify(text)}`;
  }
  iptables.restore(`*${record.table}\n:MYCHAIN - [0:0]\n${got.join("\n")}\nCOMMIT\n`);
  const again = rulesOf(iptables, record.table);
  return again.join("\n") === got.join("\n") ? undefined : `saved rules restored save as ${JSON.stringify(again)}`;
}

/** The difference of one record of `iptables(legacy)`, or undefined. */
export function checkCommand(iptables: Iptables, record: CommandRecord): string | undefined {
  return compare(record, outcome(() => iptables.run(record.args)));
}

const RESTORE_FLAGS: Readonly<Record<string, "noflush" | "counters" | "test">> = {
  "--noflush": "noflush", "-n": "noflush", "--counters": "counters", "-c": "counters", "--test": "test", "-t": "test",
};

/** The difference of one record of `iptables-restore(legacy)`, or undefined; null: its arguments are no matter of the library. */
export function checkRestore(iptables: Iptables, record: CommandRecord): string | undefined | null {
  const options: { noflush?: boolean; counters?: boolean; test?: boolean } = {};
  for (const arg of record.args) {
    const name = RESTORE_FLAGS[arg];
    if (name === undefined || record.stdin === undefined || record.stdin === "") return null;
    options[name] = true;
  }
  iptables.restore("*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\nCOMMIT\n*nat\nCOMMIT\n");
  const result = outcome(() => {
    iptables.restore(record.stdin ?? "", options);
    return "";
  });
  const difference = compare(record, { ...result, stdout: record.stdout ?? "" });
  if (difference !== undefined || record.save === undefined) return difference;
  // A rule may hold a line break.
  const tables = (lines: readonly string[]): Map<string, string[]> => {
    const found = new Map<string, string[]>();
    let current: string[] = [];
    for (const line of lines) {
      if (line.startsWith("*")) found.set(line, (current = []));
      else if (line !== "COMMIT") current.push(line);
    }
    return found;
  };
  const got = tables(iptables.save().trimEnd().split("\n"));
  for (const [table, lines] of tables(record.save)) {
    const mine = got.get(table);
    // A table that was only ever looked at is not loaded here.
    if (mine === undefined && lines.every((line) => line.endsWith(" ACCEPT [0:0]"))) continue;
    if (mine?.join("\n") !== lines.join("\n")) {
      return `saved ${table}: ${JSON.stringify(lines)} wanted, got ${JSON.stringify(mine)}`;
    }
  }
  return undefined;
}

/** What is chance or the machine's in ipset's listings: the hash's start value, sizes; elements come in the hash's order. */
const shapeOf = (text: string): string =>
  text
    .replace(/initval(>| )0x[0-9a-f]{8}/g, "initval$1x")
    .replace(/(Size in memory: |<memsize>)[0-9]+/g, "$1n")
    .replace(/\btimeout(>| )[0-9]+/g, "timeout$1t")
    .replace(/(?:^(?!Name|Type|Rev|Head|Size|Ref|Num|Memb|create|<\/?ipset|<type|<rev|<head|<mems|<ref|<nume|<\/he|<\/?members>).+\n)+/gm, (block) =>
      `${block.trimEnd().split("\n").sort().join("\n")}\n`);

/** The difference of one record of `ipset` or `ipset restore`, or undefined. State goes on from record to record. */
export function checkIpset(ipset: Ipset, record: CommandRecord): string | undefined {
  const args = record.tool.startsWith("ipset restore") ? ["restore", ...record.tool.split(" ").slice(2), ...record.args] : record.args;
  const result = ipset.run(args, record.stdin);
  return compare({ ...record, ...(record.stdout === undefined ? {} : { stdout: shapeOf(record.stdout) }) }, { ...result, stdout: shapeOf(result.stdout) });
}

function compare(record: CommandRecord, result: Outcome): string | undefined {
  if (result.exit !== record.exit) return `exit ${record.exit} wanted, got ${result.exit}: ${result.stderr.trim()}`;
  if (result.stderr !== record.stderr) return `stderr ${JSON.stringify(record.stderr)} wanted, got ${JSON.stringify(result.stderr)}`;
  if (record.stdout !== undefined && record.stdout !== result.stdout) {
    return `stdout ${JSON.stringify(record.stdout)} wanted, got ${JSON.stringify(result.stdout)}`;
  }
  return undefined;
}
