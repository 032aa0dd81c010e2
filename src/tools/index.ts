/**
 * The commands of a host by name. Loaded when a command is run (cluster.hostCommand, kubewire replay of recordings): nothing that boots
 * a cluster imports this folder.
 */
import { IptablesError, KernelError } from "../kernel/netns.ts";
import { bridge } from "./bridge.ts";
import { conntrack } from "./conntrack.ts";
import { crictl, ctr } from "./crictl.ts";
import { ip } from "./ip/index.ts";
import { useFullIptables } from "../kernel/iptables/full.ts";
import { ip6tables, ip6tablesRestore, ip6tablesSave, iptables, iptablesRestore, iptablesSave } from "./iptables.ts";
import {
  ebtables, ebtablesRestore, ebtablesSave, ip6tablesNft, ip6tablesNftRestore, ip6tablesNftSave, iptablesNft, iptablesNftRestore, iptablesNftSave, iptablesRestoreTranslate, iptablesTranslate,
} from "./iptables-nft.ts";
import { ifconfig, netstat, sysctl } from "./net-tools.ts";
import { ipset, nft } from "./nft.ts";
import { ping } from "./ping.ts";
import { cat } from "./proc-net.ts";
import { ss } from "./ss.ts";
import { tc } from "./tc/index.ts";
import { Streams, ToolExit, type Tool, type ToolHost, type ToolResult } from "./tool.ts";

export type { ToolHost, ToolResult } from "./tool.ts";

/** Runs one command. `argv[0]` is its name, a path before it is left out; an unknown one is the shell's error 127. */
export function runTool(host: ToolHost, argv: readonly string[], stdin = ""): ToolResult {
  useFullIptables();
  const streams = new Streams();
  const [path = "", ...args] = argv;
  const name = path.slice(path.lastIndexOf("/") + 1);
  const tool = TOOLS.get(name);
  if (tool === undefined) return { exitCode: 127, stdout: "", stderr: `${path}: command not found\n` };
  let exitCode: number;
  try {
    exitCode = tool(host, args, streams, stdin);
  } catch (error) {
    exitCode = failure(error, streams);
  }
  return { exitCode, stdout: streams.stdout, stderr: streams.stderr };
}

function failure(error: unknown, streams: Streams): number {
  if (error instanceof ToolExit) {
    streams.stderr += error.stderr;
    return error.exitCode;
  }
  if (error instanceof IptablesError) {
    streams.stderr += `${error.message}\n`;
    return error.exitCode;
  }
  if (error instanceof KernelError) {
    streams.stderr += `${error.message}\n`;
    return 2;
  }
  throw error;
}

const TOOLS: ReadonlyMap<string, Tool> = new Map<string, Tool>([
  ["ip", (host, args, streams, stdin) => ip(host, args, streams, runTool, stdin)],
  ["bridge", bridge],
  ["crictl", crictl],
  ["ctr", ctr],
  ["conntrack", conntrack],
  ["ss", ss],
  ["tc", tc],
  ["iptables", iptables],
  ["iptables-legacy", iptables],
  ["iptables-save", iptablesSave],
  ["iptables-legacy-save", iptablesSave],
  ["iptables-restore", iptablesRestore],
  ["iptables-legacy-restore", iptablesRestore],
  ["ip6tables", ip6tables],
  ["ip6tables-legacy", ip6tables],
  ["ip6tables-save", ip6tablesSave],
  ["ip6tables-legacy-save", ip6tablesSave],
  ["ip6tables-restore", ip6tablesRestore],
  ["ip6tables-legacy-restore", ip6tablesRestore],
  ["iptables-nft", iptablesNft],
  ["iptables-nft-save", iptablesNftSave],
  ["iptables-nft-restore", iptablesNftRestore],
  ["ip6tables-nft", ip6tablesNft],
  ["ip6tables-nft-save", ip6tablesNftSave],
  ["ip6tables-nft-restore", ip6tablesNftRestore],
  ["ebtables", ebtables(false)],
  ["ebtables-nft", ebtables(false)],
  ["ebtables-legacy", ebtables(true)],
  ["ebtables-save", ebtablesSave],
  ["ebtables-nft-save", ebtablesSave],
  ["ebtables-legacy-save", ebtablesSave],
  ["ebtables-restore", ebtablesRestore(false)],
  ["ebtables-nft-restore", ebtablesRestore(false)],
  ["ebtables-legacy-restore", ebtablesRestore(true)],
  ["iptables-translate", iptablesTranslate("ip")],
  ["ip6tables-translate", iptablesTranslate("ip6")],
  ["iptables-restore-translate", iptablesRestoreTranslate],
  ["nft", nft],
  ["ipset", ipset],
  ["ifconfig", ifconfig],
  ["netstat", netstat],
  ["ping", ping],
  ["sysctl", sysctl],
  ["cat", cat],
  ["true", () => 0],
]);
