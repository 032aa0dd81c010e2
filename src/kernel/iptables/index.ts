/** iptables, iptables-restore and iptables-save (legacy, 1.8.9) of one namespace. */
import type { NodeContext } from "../context.ts";
import { IptablesError, type Iptables } from "../netns.ts";
import { appendLine, apply, chainLine, checkTable, listChains, listRules, parseCommand, type Command } from "./commands.ts";
import { DMESG, TABLE_NAMES, Tables, checkChainName, isTable, type Draft, type LoadedTable } from "./tables.ts";
import { Refusal, usage, words } from "./text.ts";
import { ipv4Family, type Family } from "./family.ts";
import { isTargetName } from "./rule.ts";

/** Where a rule of the loaded tables stands: what OBS_RULE records name. */
export interface RuleDescription {
  readonly chain: string;
  /** As iptables-save prints it: `-A CHAIN …`; the policy's line for rule number 0. */
  readonly ruleText: string;
  /** Of a policy: how many rules stand before it. Of a jump: how many rules the chain has that it leads to. */
  readonly rules?: number;
}

/** Iptables of one namespace, and what the tracer asks of it. */
export interface IptablesHandle extends Iptables {
  restore(
    text: string,
    options?: { readonly noflush?: boolean; readonly counters?: boolean; readonly test?: boolean; readonly table?: string },
  ): void;
  /** A rule by the numbers of an OBS_RULE record (`table`: TABLE_*), or undefined if no such rule is loaded now. */
  describe(table: number, chain: number, rule: number): RuleDescription | undefined;
  /** Chains and rules of a loaded table with their counters. */
  counters(table: string): { readonly chain: string; readonly policy: string | undefined; readonly packets: bigint; readonly bytes: bigint;
    readonly rules: readonly (readonly [bigint, bigint])[] }[] | undefined;
}

const VERSION = "v1.8.9 (legacy)";

/** The message of a failed `iptables` command. */
function commandError(error: Refusal, { tool }: Family): IptablesError {
  const hint = `Try \`${tool} -h' or '${tool} --help' for more information.`;
  if (error.kind === "usage") return new IptablesError(`${tool} ${VERSION}: ${error.message}\n${hint}`, 0, 2);
  if (error.kind === "plain") return new IptablesError(error.exitCode === 2 ? `${error.message}${error.message === "" ? "" : "\n"}${hint}` : error.message, 0, error.exitCode);
  return new IptablesError(`${tool}: ${error.message}.`, 0, error.exitCode);
}

/** The message of a line that iptables-restore could not carry out. */
function lineError(error: Refusal, line: number, { tool }: Family): IptablesError {
  const restore = `${tool}-restore`;
  if (error.kind === "other") return new IptablesError(`${restore}: line ${line} failed`, line, error.exitCode);
  const prefix = error.kind === "usage" ? `${restore} ${VERSION}: ` : "";
  return new IptablesError(
    `${prefix}${error.message}\nError occurred at line: ${line}\nTry \`${restore} -h' or '${restore} --help' for more information.`,
    line,
    error.exitCode,
  );
}

const COUNTERS = /^([0-9]+):([0-9]+)$/;

/** The iptables calls of the namespace `netns`, or those of ip6tables. */
export function createIptables(context: NodeContext, netns: number, family = ipv4Family()): IptablesHandle {
  const tables = new Tables(context, netns, family);
  const { tool, firstTable } = family;

  /** What -S and -L print. */
  const shown = (draft: Draft, command: Command): string => {
    if (command.verb !== "S" && command.verb !== "L") return "";
    const counters = command.verbose ? tables.counters(draft.name) : undefined;
    const rules = tables.get(draft.name)?.rules ?? 0;
    return command.verb === "S" ? listRules(draft, command, counters, rules) : listChains(draft, command, counters ?? [], rules, tool);
  };

  /** `:CHAIN POLICY [P:B]` */
  const chainDefinition = (draft: Draft, line: string, number: number, noflush: boolean, counters: boolean): void => {
    const [name = "", policy, count] = line.slice(1).split(/[ \t\n]+/);
    if (name === "") throw usage(`${tool}-restore: line ${number} chain name invalid`);
    if (name.length > 28) throw usage(`Invalid chain name \`${name}' (28 chars max)`);
    if (policy === undefined || policy === "") throw usage(`${tool}-restore: line ${number} policy invalid`);
    const existing = draft.chains.get(name);
    if (existing?.policy === undefined) {
      if (existing === undefined) {
        checkChainName(name);
        if (isTargetName(name, family)) throw usage("chain name may not clash with target name");
        draft.create(name);
      } else if (noflush) draft.flush(name);
      else throw usage(`error creating chain '${name}':File exists`);
    }
    if (policy === "-") return;
    let set: readonly [bigint, bigint] = [0n, 0n];
    if (counters && count !== undefined && count !== "") {
      const match = COUNTERS.exec(count.slice(1, -1));
      if (match === null) throw usage(`invalid policy counters for chain '${name}'`);
      set = [BigInt(match[1]!), BigInt(match[2]!)];
    }
    try {
      draft.policy(name, policy, set);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      throw new IptablesError(
        `${tool}-restore ${VERSION}: Can't set policy \`${policy}' on \`${name}' line ${number}: ${error.message.replace(DMESG, "")}`, number, 1);
    }
  };

  /** One command line in a table's section; the counters in front of it are looked at only with --counters. */
  const commandLine = (draft: Draft, line: string, counters: boolean): string => {
    let text = line;
    let set: readonly [bigint, bigint] | undefined;
    if (line.startsWith("[")) {
      const end = line.indexOf("]");
      if (end < 0) throw usage("Bad line: need ]");
      text = line.slice(end + 1);
      if (counters) {
        const [packets = "", bytes] = line.slice(1, end).split(":");
        if (bytes === undefined) throw usage("Bad line: need :");
        if (!/^[0-9]+$/.test(packets)) throw usage("-c packet counter not numeric");
        if (!/^[0-9]+$/.test(bytes)) throw usage("-c byte counter not numeric");
        set = [BigInt(packets), BigInt(bytes)];
      }
    }
    if (appendLine(draft, text, set)) return "";
    const command = parseCommand(words(`${text}\n`), true);
    apply(draft, command, set);
    return shown(draft, command);
  };

  const saveTable = (table: LoadedTable, counters: boolean): string => {
    const values = tables.counters(table.name);
    let text = `*${table.name}\n`;
    table.order.forEach((chain, i) => {
      text += `${chainLine(chain, values[table.rules + i])}\n`;
    });
    for (const chain of table.order) {
      for (const { rule, counter } of chain.entries) {
        const value = values[counter];
        if (counters) text += `[${value?.[0] ?? 0n}:${value?.[1] ?? 0n}] `;
        text += `-A ${chain.name}${rule.text}\n`;
      }
    }
    return `${text}COMMIT\n`;
  };

  return {
    restore(text, options = {}) {
      const { noflush = false, counters = false, test = false } = options;
      let draft: Draft | undefined;
      let skipping = false;
      let number = 0;
      for (let from = 0; from < text.length;) {
        let to = text.indexOf("\n", from);
        if (to < 0) to = text.length;
        const line = text.slice(from, to);
        from = to + 1;
        number++;
        if (line === "" || line.startsWith("#")) continue;
        try {
          if (line.startsWith("*") && draft === undefined && !skipping) {
            const name = line.slice(1).trim().split(/[ \t]/)[0]!;
            if (options.table !== undefined && name !== options.table) {
              skipping = true;
              continue;
            }
            if (!isTable(name)) throw usage(`${tool}-restore: unable to initialize table '${name}'`);
            draft = tables.draft(name);
            if (!noflush) draft.clear();
          } else if (skipping) {
            if (line.startsWith("COMMIT")) skipping = false;
          } else if (draft === undefined) {
            throw new Refusal("other", "");
          } else if (line === "COMMIT" || line.startsWith("COMMIT ")) {
            if (!test) tables.commit(draft);
            draft = undefined;
          } else if (line.startsWith(":")) {
            chainDefinition(draft, line, number, noflush, counters);
          } else {
            commandLine(draft, line, counters);
          }
        } catch (error) {
          throw error instanceof Refusal ? lineError(error, number, family) : error;
        }
      }
      if (draft !== undefined) throw new IptablesError(`${tool}-restore: COMMIT expected at line ${number + 1}`, number + 1, 1);
    },

    save(options = {}) {
      if (options.table !== undefined && !isTable(options.table)) {
        throw new IptablesError(
          `${tool}-save ${VERSION}: Cannot initialize: Table does not exist (do you need to insmod?)`, 0, 1);
      }
      let text = "";
      for (const name of TABLE_NAMES) {
        if (options.table !== undefined && options.table !== name) continue;
        const table = options.table === undefined ? tables.get(name) : tables.load(name);
        if (table !== undefined) text += saveTable(table, options.counters ?? false);
      }
      return text;
    },

    run(args) {
      try {
        const command = parseCommand(args, false);
        if (command.verb === "V") return `${tool} ${VERSION}\n`;
        checkTable(command.table, family);
        const draft = tables.draft(command.table);
        if (apply(draft, command) || tables.get(command.table) === undefined) tables.commit(draft);
        return shown(draft, command);
      } catch (error) {
        throw error instanceof Refusal ? commandError(error, family) : error;
      }
    },

    describe(table, chain, rule) {
      const loaded = tables.get(TABLE_NAMES[table - firstTable] ?? "");
      const found = loaded?.order[chain];
      if (found === undefined) return undefined;
      if (rule === 0) {
        return found.policy === undefined ? undefined : { chain: found.name, ruleText: `-P ${chainLine(found, undefined).slice(1).split(" [")[0]}`, rules: found.entries.length };
      }
      const entry = found.entries[rule - 1];
      if (entry === undefined) return undefined;
      const { text } = entry.rule;
      const target = text.slice(text.lastIndexOf(" ") + 1);
      const to = loaded!.order.find(({ name, policy }) => name === target && policy === undefined);
      return { chain: found.name, ruleText: `-A ${found.name}${text}`, ...(to === undefined ? {} : { rules: to.entries.length }) };
    },

    counters(name) {
      const table = tables.get(name);
      if (table === undefined) return undefined;
      const values = tables.counters(name);
      return table.order.map((chain, i) => ({
        chain: chain.name,
        policy: chain.policy === undefined ? undefined : chainLine(chain, undefined).split(" ")[1],
        packets: chain.policy === undefined ? 0n : (values[table.rules + i]?.[0] ?? 0n),
        bytes: chain.policy === undefined ? 0n : (values[table.rules + i]?.[1] ?? 0n),
        rules: chain.entries.map((entry) => values[entry.counter] ?? ([0n, 0n] as const)),
      }));
    },
  };
}
