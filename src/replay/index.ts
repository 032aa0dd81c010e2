/** Recordings replayed: which format a file is in, and how its records come out here. */
import { createIptables } from "../kernel/iptables/index.ts";
import { useFullIptables } from "../kernel/iptables/full.ts";
import { createIpset, type Ipset } from "../kernel/ipset.ts";
import { devices } from "../kernel/devices.ts";
import { createNodeKernel } from "../kernel/kernel.ts";
import { KernelInstance, newKernelMemory } from "../kernel/memory.ts";
import type { Iptables, Netns } from "../kernel/netns.ts";
import { runTool } from "../tools/index.ts";
import { ip6tablesNftOf, iptablesNftOf, type IptablesNft } from "../kernel/nft/iptables.ts";
import { nftOf } from "../kernel/nft/index.ts";
import { manualClock } from "./clock.ts";
import { checkCommand, checkIpset, checkRestore, checkRule, type CommandRecord, type RuleRecord } from "./iptables-rules.ts";
import { compareResults, hostHandle, replayCase, type OracleCase, type OracleResult } from "./oracle-case.ts";
import { compareCommand, replayCommands, replayOutputs, type OutputsRecord, type ToolDifference } from "./tool-records.ts";

export interface Summary {
  readonly matched: number;
  readonly total: number;
  /** One line per record that differs. */
  readonly differences: readonly string[];
}

export interface Replayer {
  /** `result` reads the recorded result of an oracle case. Rejects when the format is not known. */
  replay(content: unknown, result: () => OracleResult, options?: { readonly all?: boolean }): Promise<Summary>;
}

const RESET = ["raw", "mangle", "nat", "filter"].map((table) => `*${table}\nCOMMIT\n`).join("");

const summary = (runs: readonly { readonly total: number; readonly differences: readonly ToolDifference[] }[]): Summary => {
  const total = runs.reduce((sum, run) => sum + run.total, 0);
  const lines = runs.flatMap(({ differences }) => differences.map(({ title, difference }) => `${title}: ${difference}`));
  return { matched: Math.max(0, total - lines.length), total, differences: lines };
};

/** iptables-nft in the form of the legacy tools; its warnings go unsaid. */
const withoutWarnings = (nft: IptablesNft): Iptables => ({
  run: (args) => nft.run(args).stdout,
  restore: (text, options) => void nft.restore(text, options),
  save: (options) => nft.save(options).stdout,
  describe: () => undefined,
});

/** Set types that the kernel of the recordings is built without. */
const RECORDED_WITHOUT = ["hash:mac", "hash:net,net", "hash:ip,mark", "hash:net,port,net", "hash:ip,mac"];

/** Replays with the kernel `module`, in memory of its own. */
export function createReplayer(module: WebAssembly.Module): Replayer {
  const instance = new KernelInstance(module, newKernelMemory(true));
  const ipset = (): { ipset: Ipset; end: () => void } => {
    const kernel = createNodeKernel(instance, { name: "recorded", seed: 1, devices, clock: manualClock().clock });
    return { ipset: createIpset(kernel.context, hostHandle(kernel.context), { without: RECORDED_WITHOUT }), end: () => kernel.destroy() };
  };
  const iptables = (): { iptables: Iptables; netns: Netns; end: () => void } => {
    const kernel = createNodeKernel(instance, { name: "recorded", seed: 1, devices, clock: manualClock().clock });
    useFullIptables();
    const ipset = createIpset(kernel.context, hostHandle(kernel.context));
    ipset.restore("create myset hash:ip\ncreate portset bitmap:port range 0-65535\ncreate ipport hash:ip,port\n");
    ipset.restore("create myset6 hash:ip family inet6\ncreate ipport6 hash:ip,port family inet6\n");
    return { iptables: createIptables(kernel.context, hostHandle(kernel.context)), netns: kernel.host, end: () => kernel.destroy() };
  };
  const each = <T>(records: readonly T[], check: (record: T) => string | undefined | null, title: (record: T) => string): Summary => {
    const differences: string[] = [];
    let total = 0;
    for (const record of records) {
      const difference = check(record);
      if (difference === null) continue;
      total++;
      if (difference !== undefined) differences.push(`${title(record)}: ${difference}`);
    }
    return { matched: total - differences.length, total, differences };
  };
  return {
    async replay(content, result, { all = false } = {}) {
      const file = content as { packets?: unknown; records?: readonly unknown[] };
      if (Array.isArray(file.packets)) {
        const oracleCase = content as OracleCase;
        let difference: string | undefined;
        try {
          difference = compareResults(result(), await replayCase(instance, oracleCase), all);
        } catch (error) {
          difference = `${(error as Error).name}: ${(error as Error).message}`;
        }
        return { matched: difference === undefined ? 1 : 0, total: 1, differences: difference === undefined ? [] : [difference] };
      }
      const first = file.records?.[0] as Record<string, unknown> | undefined;
      if (first !== undefined && "config" in first && "outputs" in first) {
        const done = [];
        for (const record of file.records as readonly OutputsRecord[]) done.push(await replayOutputs(instance, record));
        return summary(done);
      }
      if (first === undefined) throw new Error("not a recording that is known here");
      const namespace = iptables();
      const sets = ipset();
      try {
        if ("backend" in first && "chain" in first) {
          return each(
            file.records as readonly RuleRecord[],
            (record) => {
              const six = record.tool === "ip6tables";
              if (record.backend === "legacy") return checkRule(six ? namespace.netns.ip6tables! : namespace.iptables, record);
              nftOf(namespace.netns).run("flush ruleset");
              return checkRule(withoutWarnings((six ? ip6tablesNftOf : iptablesNftOf)(namespace.netns)), record);
            },
            ({ backend, tool, table, chain, args }) => `${backend} ${tool} ${table} ${chain} ${args.join(" ")}`,
          );
        }
        if ("tool" in first && "stderr" in first) {
          const tools = summary([replayCommands(instance, file.records as readonly CommandRecord[])]);
          const rules = each(
            file.records as readonly CommandRecord[],
            (record) => {
              if (record.tool === "iptables(legacy)") namespace.iptables.restore(RESET);
              if (record.tool.startsWith("ipset")) return checkIpset(sets.ipset, record);
              if (record.tool.startsWith("iptables(legacy)")) return checkCommand(namespace.iptables, record);
              if (record.tool !== "iptables-restore(legacy)") return null;
              const difference = checkRestore(namespace.iptables, record);
              if (difference !== null) return difference;
              const got = runTool({ netns: namespace.netns, namespaces: new Map() }, ["iptables-restore", ...record.args], record.stdin);
              return compareCommand(record, got);
            },
            ({ tool, args, stdin }) => `${tool} ${args.join(" ")}${stdin === undefined ? "" : ` ${JSON.stringify(stdin)}`}`,
          );
          return {
            matched: rules.matched + tools.matched, total: rules.total + tools.total, differences: [...rules.differences, ...tools.differences],
          };
        }
        throw new Error("not a recording that is known here");
      } finally {
        namespace.end();
        sets.end();
      }
    },
  };
}
