/**
 * Replays recordings of host tools: cli-errors.json (one command after the other in one namespace, state carried over per tool) and
 * cli-outputs.json (namespaces set up by commands, then listings). The formats are those of the recordings' README.
 */
import { devices } from "../kernel/devices.ts";
import { createNodeKernel } from "../kernel/kernel.ts";
import type { KernelInstance } from "../kernel/memory.ts";
import type { Netns } from "../kernel/netns.ts";
import { runTool, type ToolHost, type ToolResult } from "../tools/index.ts";
import { manualClock } from "./clock.ts";
import type { CommandRecord } from "./iptables-rules.ts";

/** The tools whose cli-errors records are run here; those of iptables are in iptables-rules.ts. */
export const TOOLS: readonly string[] = ["ip", "bridge", "ss", "conntrack", "tc"];

/** Kinds of links that the recorded machine had no driver for. */
const MISSING_KINDS = ["dummy", "vlan", "vrf", "ipvlan"];

/** A machine with named namespaces, and no time of its own. */
function machine(instance: KernelInstance): { host: ToolHost; run: () => void; end: () => void; namespaces: Map<string, Netns> } {
  const { clock, set, nextNs } = manualClock();
  let kicked = false;
  const kernel = createNodeKernel(instance, { name: "recorded", seed: 1, devices, clock, onKick: () => { kicked = true; } });
  const namespaces = new Map<string, Netns>();
  let deadlineNs = Infinity;
  /** Until what was sent has arrived: a few ms. */
  const run = (): void => {
    const untilNs = clock.nowNs() + 5e6;
    for (;;) {
      kicked = false;
      const status = kernel.runUntil(clock.nowNs());
      set(status.nowNs);
      ({ deadlineNs } = status);
      const next = Math.min(deadlineNs, nextNs());
      if (!kicked && next > untilNs) break;
      if (!kicked) set(next);
    }
    set(untilNs);
  };
  return {
    namespaces, run, end: () => kernel.destroy(),
    host: {
      netns: kernel.host, namespaces, hasKind: (kind) => !MISSING_KINDS.includes(kind),
      addNetns: (name) => {
        const netns = kernel.addNetns(name);
        namespaces.set(name, netns);
        return netns;
      },
      deleteNetns: (name) => {
        namespaces.get(name)?.delete();
        namespaces.delete(name);
      },
    },
  };
}

export interface ToolDifference {
  readonly title: string;
  readonly difference: string;
}

/** Runs the records of `tools` in order, each tool in a namespace of its own; gives the differences and how many were run. */
export function replayCommands(instance: KernelInstance, records: readonly CommandRecord[]): { total: number; differences: ToolDifference[] } {
  const differences: ToolDifference[] = [];
  let total = 0;
  // State is carried over per tool; bridge and tc went on in the namespace of ip.
  const wanted = records.filter(({ tool }) => TOOLS.includes(tool));
  const { host, run, end } = machine(instance);
  try {
    const netns = host.netns;
    netns.setLink("lo", { up: true });
    netns.addLink({ kind: "veth", name: "eth0", peer: { name: "eth1" } });
    netns.addLink({ kind: "bridge", name: "br0" });
    for (const name of ["eth0", "eth1", "br0"]) netns.setLink(name, { up: true });
    netns.addAddress("eth0", "10.1.1.1/24");
    for (const record of wanted) {
      total++;
      const got = runTool(host, [record.tool, ...record.args], record.stdin);
      run();
      const difference = compareCommand(record, got);
      if (difference !== undefined) differences.push({ title: `${record.tool} ${record.args.join(" ")}`, difference });
    }
  } finally {
    end();
  }
  return { total, differences };
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

/** Commands of these tools are compared; others of a record are none of ours. */
const LISTED = ["ip", "bridge", "ss", "conntrack", "tc", "ifconfig", "netstat", "cat", "iptables", "iptables-save"];

export function replayOutputs(instance: KernelInstance, record: OutputsRecord): { total: number; differences: ToolDifference[] } {
  const differences: ToolDifference[] = [];
  let total = 0;
  const { host, run, end, namespaces } = machine(instance);
  const within = (name: string): ToolHost => ({ ...host, netns: namespaces.get(name) ?? host.addNetns!(name) });
  try {
    for (const { ns } of [...record.setup, ...record.outputs]) {
      if (namespaces.has(ns)) continue;
      host.addNetns!(ns).setLink("lo", { up: true });
    }
    for (const { ns, cmd, exit } of record.setup) {
      const argv = shellWords(cmd);
      if (argv[0] === "ping") {
        within(ns).netns.sockets.ping(argv.at(-1) ?? "", { bytes: 56 }).catch(() => {});
        run();
        continue;
      }
      const { exitCode, stderr } = runTool(within(ns), argv);
      run();
      if (exitCode === exit) continue;
      total++;
      differences.push({ title: `setup: ${cmd}`, difference: `exit ${exit} wanted, got ${exitCode}: ${stderr.trim()}` });
    }
    for (const output of record.outputs) {
      const argv = shellWords(output.cmd);
      if (!LISTED.includes(argv[0] ?? "") || output.cmd.includes(";")) continue;
      total++;
      const got = runTool(within(output.ns), argv);
      run();
      const difference = compareOutput(output, got);
      if (difference !== undefined) differences.push({ title: `${record.config}: ${output.cmd}`, difference });
    }
  } finally {
    end();
  }
  return { total, differences };
}

/** Splits as a shell does: quotes, and what follows `2>/dev/null ||` left out. */
export function shellWords(line: string): string[] {
  const words: string[] = [];
  let word = "";
  let quote = "";
  let any = false;
  for (const c of line.replace(/ 2>\/dev\/null \|\| true$/, "")) {
    if (quote !== "") {
      if (c === quote) quote = "";
      else word += c;
    } else if (c === '"' || c === "'") {
      quote = c;
      any = true;
    } else if (c === " ") {
      if (word !== "" || any) words.push(word);
      word = "";
      any = false;
    } else word += c;
  }
  if (word !== "" || any) words.push(word);
  return words;
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
  return shape(got.stdout) === shape(stdout) ? undefined : `stdout ${first(stdout, got.stdout)}`;
}

function compareOutput(want: { readonly exit: number; readonly stdout: string; readonly stderr?: string }, got: ToolResult): string | undefined {
  if (got.exitCode !== want.exit) return `exit ${want.exit} wanted, got ${got.exitCode}: ${got.stderr.trim()}`;
  if ((want.stderr ?? "") !== got.stderr && want.stderr !== undefined) return `stderr ${first(want.stderr, got.stderr)}`;
  return shape(got.stdout) === shape(want.stdout) ? undefined : `stdout ${first(shape(want.stdout), shape(got.stdout))}`;
}

/**
 * Fields that are as they came are compared by their shape only: times, ids, per-CPU lines beyond the first, counts of packets that
 * IPv6 sends by itself.
 */
function shape(text: string): string {
  return text
    .replaceAll(/^cpu=[1-9].*\n/gm, "")
    .replaceAll(/\b(insert|found)=\d+/g, "$1=N")
    .replaceAll(/^(\w+ +\d+) \d+ /gm, "$1 N ")
    .replaceAll(/ use=\d+/g, " use=N");
}
