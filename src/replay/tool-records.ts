/**
 * Replays recordings of host tools: cli-errors.json (one command after the other in one namespace, state carried over per tool) and
 * cli-outputs.json (namespaces set up by commands, then listings). The formats are those of the recordings' README.
 */
import type { KernelInstance } from "../kernel/memory.ts";
import type { ToolHost, ToolResult } from "../tools/index.ts";
import { perform } from "./activity.ts";
import type { CommandRecord } from "./iptables-rules.ts";
import { newMachine, type Machine } from "./machine.ts";

/**
 * The programs behind the tools of cli-errors.json, those of one group in one namespace. Records of iptables(legacy) and ipset are run
 * in iptables-rules.ts.
 */
const GROUPS: readonly Readonly<Record<string, string>>[] = [
  // bridge and tc went on in the namespace of ip.
  { ip: "ip", bridge: "bridge", ss: "ss", conntrack: "conntrack", tc: "tc" },
  { nft: "nft" },
  {
    "iptables(nf_tables)": "iptables-nft", "iptables(nf_tables) sequence": "iptables-nft", "iptables-restore(nf_tables)": "iptables-nft-restore",
    "iptables-save(nf_tables)": "iptables-nft-save", "ip6tables(nf_tables)": "ip6tables-nft", "ip6tables-restore(nf_tables)": "ip6tables-nft-restore",
    "ip6tables-save(nf_tables)": "ip6tables-nft-save",
  },
  { "iptables-save(legacy)": "iptables-legacy-save" },
];

export interface ToolDifference {
  readonly title: string;
  readonly difference: string;
  /** What was printed, in the shape in which it is compared; absent where the exit status differs. */
  readonly want?: string;
  readonly got?: string;
}

/** Runs the records in order, each group of tools in a namespace of its own; gives the differences and how many were run. */
export function replayCommands(instance: KernelInstance, records: readonly CommandRecord[]): { total: number; differences: ToolDifference[] } {
  const differences: ToolDifference[] = [];
  let total = 0;
  for (const programs of GROUPS) {
    const wanted = records.filter(({ tool }) => tool in programs);
    if (wanted.length === 0) continue;
    const machine = newMachine(instance);
    try {
      const { host } = machine;
      const { netns } = host;
      netns.setLink("lo", { up: true });
      netns.addLink({ kind: "veth", name: "eth0", peer: { name: "eth1" } });
      netns.addLink({ kind: "bridge", name: "br0" });
      for (const name of ["eth0", "eth1", "br0"]) netns.setLink(name, { up: true });
      netns.addAddress("eth0", "10.1.1.1/24");
      machine.run();
      for (const record of wanted) {
        total++;
        const program = programs[record.tool]!;
        // Tables are emptied before each, but for the records of a sequence.
        if (/^ip6?tables(?:-restore)?\(nf_tables\)$/.test(record.tool)) emptyTables(machine);
        const got = machine.tool(host, [program, ...record.args], record.stdin);
        let difference = compareCommand(record, got);
        if (difference === undefined && record.save !== undefined) {
          const saved = machine.tool(host, [`${program.replace(/-restore$/, "")}-save`]).stdout;
          difference = compareSaved(record.save, saved);
        }
        if (difference !== undefined) differences.push({ title: `${record.tool} ${record.args.join(" ")}${record.stdin === undefined ? "" : ` ${JSON.stringify(record.stdin)}`}`, difference,
            want: shape(record.stderr + (record.stdout ?? "")), got: shape(got.stderr + got.stdout) });
      }
    } finally {
      machine.end();
    }
  }
  return { total, differences };
}

/** As the recording emptied the tables; those of iptables-legacy were loaded on that machine. */
function emptyTables({ host, tool }: Machine): void {
  tool(host, ["iptables-legacy", "-L"]);
  for (const table of ["filter", "nat"]) for (const flag of ["-F", "-X"]) tool(host, ["iptables-nft", "-t", table, flag]);
  for (const flag of ["-F", "-X"]) tool(host, ["ip6tables-nft", flag]);
  tool(host, ["iptables-nft", "-P", "INPUT", "ACCEPT"]);
}

/** Tables of iptables-save: their order is that in which they were loaded. One with nothing in it may be there or not. */
function compareSaved(want: readonly string[], text: string): string | undefined {
  const tables = (lines: readonly string[]): string => lines.filter((line) => line !== "" && !line.startsWith("#")).join("\n").split("COMMIT")
    .map((part) => part.trim()).filter((part) => /^-A|DROP/m.test(part)).sort().join("\n");
  const [wanted, got] = [tables(want), tables(text.split("\n"))];
  return wanted === got ? undefined : `saved ${first(wanted, got)}`;
}

/** One record of cli-outputs.json. */
export interface OutputsRecord {
  readonly config: string;
  readonly setup: readonly SetupCommand[];
  readonly activity?: string;
  readonly outputs: readonly (SetupCommand & { readonly stdout: string; readonly stderr?: string })[];
}
interface SetupCommand {
  readonly ns: string;
  readonly cmd: string;
  readonly exit: number;
}

/** MACs that no command names were made up by the kernel. */
const MAC = /(?:[0-9a-f]{2}:){5}[0-9a-f]{2}/g;
const unnamed = (text: string, named: ReadonlySet<string>): string =>
  text.replaceAll(MAC, (mac) => (named.has(mac) || /^(?:33:33|01:00:5e|01:80:c2|00:00:00:00|ff:ff)/.test(mac) ? mac : "<mac>"));

export async function replayOutputs(instance: KernelInstance, record: OutputsRecord): Promise<{ total: number; differences: ToolDifference[] }> {
  const differences: ToolDifference[] = [];
  let total = 0;
  const machine = newMachine(instance);
  const named = new Set([...record.setup, ...record.outputs].flatMap(({ cmd }) => cmd.match(MAC) ?? []));
  const iptables = record.config.includes("(nf_tables)") ? "-nft" : "-legacy";
  try {
    for (const { ns } of [...record.setup, ...record.outputs]) {
      if (machine.namespaces.has(ns)) continue;
      machine.within(ns).netns.setLink("lo", { up: true });
    }
    machine.run();
    for (const { ns, cmd, exit } of record.setup) {
      const { exitCode, stderr } = runLine(machine, machine.within(ns), cmd, iptables);
      if (exitCode === exit) continue;
      total++;
      differences.push({ title: `${record.config}: setup: ${cmd}`, difference: `exit ${exit} wanted, got ${exitCode}: ${stderr.trim()}` });
    }
    const { activity } = record;
    if (activity !== undefined && !(await perform(machine, activity))) {
      total++;
      differences.push({ title: `${record.config}: activity`, difference: `not known how to do: ${activity}` });
    }
    for (const output of record.outputs) {
      total++;
      const answer = runLine(machine, machine.within(output.ns), output.cmd, iptables);
      const got = { ...answer, stdout: unnamed(answer.stdout, named) };
      const difference = compareOutput({ ...output, stdout: unnamed(output.stdout, named) }, got);
      if (difference !== undefined) differences.push({ title: `${record.config}: ${output.cmd}`, difference, want: shape((output.stderr ?? "") + output.stdout),
        got: shape(got.stderr + got.stdout) });
    }
  } finally {
    machine.end();
  }
  return { total, differences };
}

/** A line of a shell: commands between `;`, `2>/dev/null`, `|| true`. */
export function runLine(machine: Machine, host: ToolHost, line: string, iptables: string): ToolResult {
  let result: ToolResult = { exitCode: 0, stdout: "", stderr: "" };
  for (const command of commands(line)) {
    const quiet = command.includes("2>/dev/null");
    const forgiven = command.includes("||");
    const end = command.findIndex((word) => word === "2>/dev/null" || word === "||");
    const [name = "", ...args] = end < 0 ? command : command.slice(0, end);
    const program = /^ip6?tables(-save|-restore)?$/.test(name) ? name.replace("tables", `tables${iptables}`) : name;
    const { exitCode, stdout, stderr } = machine.tool(host, [program, ...args]);
    result = { exitCode: forgiven ? 0 : exitCode, stdout: result.stdout + stdout, stderr: result.stderr + (quiet ? "" : stderr) };
  }
  return result;
}

/** Splits a line into the words of its commands as a shell does. */
export function commands(line: string): string[][] {
  const found: string[][] = [[]];
  let word = "";
  let quote = "";
  let any = false;
  const close = (): void => {
    if (word !== "" || any) found.at(-1)!.push(word);
    word = "";
    any = false;
  };
  for (const c of line) {
    if (quote !== "") {
      if (c === quote) quote = "";
      else word += c;
    } else if (c === '"' || c === "'") {
      quote = c;
      any = true;
    } else if (c === " ") close();
    else if (c === ";") {
      close();
      found.push([]);
    } else word += c;
  }
  close();
  return found.filter((words) => words.length > 0);
}

const first = (want: string, got: string): string => {
  const [wanted, given] = [want.split("\n"), got.split("\n")];
  const at = wanted.findIndex((line, i) => line !== given[i]);
  const i = at < 0 ? wanted.length : at;
  return `line ${i + 1}: ${JSON.stringify(wanted[i] ?? "")} wanted, got ${JSON.stringify(given[i] ?? "")}`;
};

export function compareCommand(record: CommandRecord, got: ToolResult): string | undefined {
  if (got.exitCode !== record.exit) return `exit ${record.exit} wanted, got ${got.exitCode}: ${got.stderr.trim().split("\n")[0]}`;
  if (got.stderr !== record.stderr) return `stderr ${first(record.stderr, got.stderr)}`;
  const stdout = record.stdout ?? "";
  return shape(got.stdout) === shape(stdout) ? undefined : `stdout ${first(shape(stdout), shape(got.stdout))}`;
}

/** Listings in the order of a hash with a seed of the boot: neighbours, connections, sockets. */
const HASHED = /^ifconfig|^ipset (?:list|save)|^ip (?:-\S+ )*neigh|^conntrack |^ss |^netstat |^cat \/proc\/net\/(?:arp|nf_conntrack|if_inet6)/;

/** The items of a listing in an order of its own. */
function sorted(text: string): string {
  if (text.startsWith("lo: flags") || text.includes("\nlo: flags")) return text.split("\n\n").map((part) => {
    const lines = part.split("\n");
    const six = lines.filter((line) => line.startsWith("        inet6 ")).sort();
    return lines.map((line) => (line.startsWith("        inet6 ") ? six.shift()! : line)).join("\n");
  }).join("\n\n");
  if (text.startsWith("[{")) return text.slice(1).trimEnd().replace(/\]$/, "").split(/,(?=\{"dst":)/).sort().join("\n");
  return text.split("\n").sort().join("\n");
}

function compareOutput(want: { readonly cmd: string; readonly exit: number; readonly stdout: string; readonly stderr?: string }, got: ToolResult): string | undefined {
  if (got.exitCode !== want.exit) return `exit ${want.exit} wanted, got ${got.exitCode}: ${got.stderr.trim()}`;
  if ((want.stderr ?? "") !== got.stderr && want.stderr !== undefined) return `stderr ${first(want.stderr, got.stderr)}`;
  const [wanted, given] = [want.stdout, got.stdout].map((text) => (HASHED.test(want.cmd) ? sorted(shape(text)) : shape(text))) as [string, string];
  return wanted === given ? undefined : `stdout ${first(wanted, given)}`;
}

/**
 * Fields that are as they came are compared by their shape only: times, ids, dates, handles that the kernel chose, per-CPU lines beyond
 * the first.
 */
export function shape(text: string): string {
  return text
    // Counters: of what IPv6 says by itself and when, of what else was on its way.
    .replaceAll(/^(?: +\d+){6} $/gm, " N N N N N N ")
    .replaceAll(/"(bytes|packets|multicast|dropped|drops)": ?\d+/g, '"$1":N')
    .replaceAll(/^ *(\S+):(?: +\d+){16}$/gm, "$1: N")
    .replaceAll(/\b(RX|TX) packets \d+  bytes \d+ \([^)]*\)/g, "$1 packets N")
    .replaceAll(/\b(RX|TX) errors 0  dropped \d+/g, "$1 errors 0 dropped N")
    .replaceAll(/ Sent \d+ bytes \d+ pkt/g, " Sent N")
    .replaceAll(/(direct_packets_stat"?:? ?)\d+/g, "$1N")
    .replaceAll(/valid_lft \d+sec/g, "valid_lft <n>sec")
    .replaceAll(/"valid_life_time":(?!4294967295)\d+/g, '"valid_life_time":N')
    .replaceAll(/fe80::[0-9a-f:]*[0-9a-f]/g, "<linklocal>")
    // Timers of bridges, which run while the tools do.
    .replaceAll(/((?:gc|hello|forward_delay)_timer"?:?) *\d+\.\d\d/g, "$1 T")
    .replaceAll(/used \d+\/\d+(?:\/\d+)?/g, "used N")
    .replaceAll(/^cpu=[1-9].*\n/gm, "")
    .replaceAll(/\b(insert|found)=\d+/g, "$1=N")
    .replaceAll(/^# .*\n/gm, "")
    .replaceAll(/^((?:ipv[46] +\d+ )?(?:tcp|udp|icmp|icmpv6|sctp|gre|udplite|dccp|unknown) +\d+) \d+ /gm, "$1 N ")
    // Reference counts of routes.
    .replaceAll(/^([0-9a-f]{32} [0-9a-f]{2} [0-9a-f]{32} 00 [0-9a-f]{32} [0-9a-f]{8}) [0-9a-f]{8} /gm, "$1 N ")
    .replaceAll(/^fe800000000000000(?!0{15})[0-9a-f]{15} /gm, "<linklocal> ")
    .replaceAll(/"(used|confirmed|updated|probes)": ?\d+/g, '"$1":N')
    .replaceAll(/(Size in memory: |<memsize>)\d+/g, "$1N")
    .replaceAll(/(initval[> ]*)0x[0-9a-f]+/g, "$1N")
    .replaceAll(/ (use|id)=\d+/g, " $1=N")
    // What ss reads of the whole machine: /proc/slabinfo's and sockstat's sockets of every namespace.
    .replaceAll(/^Total: \d+$/gm, "Total: N")
    .replaceAll(/^(TCP: +)\d+ \(estab (\d+), closed \d+,/gm, "$1N (estab $2, closed N,")
    .replaceAll(/pid=(?:\d+|<pid>)/g, "pid=N")
    .replaceAll(/(Process|fd=\d+\)\)) +$/gm, "$1")
    .replaceAll(/<(id|timeout)>\d+</g, "<$1>N<")
    .replaceAll(/(\bqdisc \w+ |"handle": ?"|class tbf | parent )(80[0-9a-f]{2}):/g, "$180xx:");
}
