/**
 * iptables-nft, iptables-nft-restore and iptables-nft-save 1.8.9 of one namespace: rules of iptables kept in tables of nftables
 * (iptables/nft.c, xtables-restore.c, xtables-save.c). What iptables-nft says itself in nft's expressions and what it leaves to
 * nft_compat looks the same to the kernel here; `nft list` tells them apart.
 */
import { NF_IPSET_TEST } from "../../../assembly/abi/ipset.ts";
import { ENOENT } from "../../../assembly/abi/core.ts";
import { NF_ACCEPT, NF_DROP, TABLE_FILTER, TABLE_MANGLE, TABLE_NAT, TABLE_RAW, TABLE_SECURITY, TABLES as XT_TABLES } from "../../../assembly/abi/netfilter.ts";
import { chainLine, listChains, listRules, parseCommand, type Command } from "../iptables/commands.ts";
import { useFullIptables } from "../iptables/full.ts";
import { ipv4Family, ipv6Family, type Family } from "../iptables/family.ts";
import type { IptablesHandle } from "../iptables/index.ts";
import { isTargetName, parseRule } from "../iptables/rule.ts";
import { checkChainName, isTable, type Entry, type Table as XtTable } from "../iptables/tables.ts";
import { Refusal, parseNumber, usage, words } from "../iptables/text.ts";
import { driverOf } from "../namespace.ts";
import { IptablesError, type Netns } from "../netns.ts";
import { nftOf, type NftHandle } from "./index.ts";
import { ruleOf } from "./iptables-rule.ts";
import type { Base, Chain as NftChain, Rule as NftRule, Table, Transaction } from "./model.ts";

const VERSION = "v1.8.9 (nf_tables)";
/** What differs between iptables-nft and ip6tables-nft. */
interface Kind {
  readonly family: "ip" | "ip6";
  readonly tool: "iptables" | "ip6tables";
}
const IPTABLES: Kind = { family: "ip", tool: "iptables" };
const IP6TABLES: Kind = { family: "ip6", tool: "ip6tables" };

interface Builtin {
  readonly name: string;
  readonly base: Base;
}
const builtin = (name: string, priority: number, type: Base["type"] = "filter"): Builtin =>
  ({ name, base: { type, hook: name.toLowerCase(), priority } });
/** The tables with their chains, in the order in which iptables-nft-save goes through them (enum nft_table_type). */
const TABLES: Readonly<Record<string, { readonly number: number; readonly chains: readonly Builtin[] }>> = {
  mangle: {
    number: TABLE_MANGLE,
    chains: [builtin("PREROUTING", -150), builtin("INPUT", -150), builtin("FORWARD", -150), builtin("OUTPUT", -150, "route"), builtin("POSTROUTING", -150)],
  },
  security: { number: TABLE_SECURITY, chains: [builtin("INPUT", 150), builtin("FORWARD", 150), builtin("OUTPUT", 150)] },
  raw: { number: TABLE_RAW, chains: [builtin("PREROUTING", -300), builtin("OUTPUT", -300)] },
  filter: { number: TABLE_FILTER, chains: [builtin("INPUT", 0), builtin("FORWARD", 0), builtin("OUTPUT", 0)] },
  nat: {
    number: TABLE_NAT,
    chains: [builtin("PREROUTING", -100, "nat"), builtin("INPUT", 100, "nat"), builtin("OUTPUT", -100, "nat"), builtin("POSTROUTING", 100, "nat")],
  },
};

export interface IptablesNftOutput {
  readonly stdout: string;
  /** Warnings. */
  readonly stderr: string;
}

/** The three tools. A failure is an IptablesError, whose message is all that they print to stderr. */
export interface IptablesNft {
  run(args: readonly string[]): IptablesNftOutput;
  restore(text: string, options?: { readonly noflush?: boolean; readonly counters?: boolean; readonly test?: boolean; readonly table?: string }): IptablesNftOutput;
  save(options?: { readonly counters?: boolean; readonly table?: string }): IptablesNftOutput;
}

/** A rule in its chain, and what it is in nftables once it was there. */
interface NftEntry extends Entry {
  readonly made: NftRule | undefined;
}
interface ViewChain {
  readonly name: string;
  readonly base: Base | undefined;
  policy: number | undefined;
  set: readonly [bigint, bigint] | undefined;
  entries: NftEntry[];
  /** It is in nftables, or will be. */
  exists: boolean;
  readonly from: NftChain | undefined;
}
/** A table as iptables-nft sees it, to be changed and committed. */
interface View {
  readonly name: string;
  chains: Map<string, ViewChain>;
  /** Rules or chains that iptables-nft does not understand. */
  readonly incompatible: boolean;
  readonly foreignBases: boolean;
  readonly counters: (readonly [bigint, bigint])[];
  readonly rules: number;
}

/** What the kernel says about one operation of a batch. */
interface Failure {
  readonly line: number;
  readonly text: string;
}
/** A command of a restore input, carried out when its table is committed. */
interface Action {
  readonly line: number;
  readonly what: string;
  run(view: View, failures: Failure[]): void;
}

const NO_CHAIN = "No chain/target/match by that name";
const other = (message: string, exitCode = 1): Refusal => new Refusal("other", message, exitCode);

/** The iptables-nft calls of a namespace: the same object every time. */
export const iptablesNftOf = (netns: Netns): IptablesNft => ofKind(netns, IPTABLES, known);
/** Those of ip6tables-nft. */
export const ip6tablesNftOf = (netns: Netns): IptablesNft => ofKind(netns, IP6TABLES, known6);

const known = new WeakMap<Netns, IptablesNft>();
const known6 = new WeakMap<Netns, IptablesNft>();
function ofKind(netns: Netns, kind: Kind, made: WeakMap<Netns, IptablesNft>): IptablesNft {
  let found = made.get(netns);
  if (found === undefined) made.set(netns, (found = createIptablesNft(netns, nftOf(netns), kind)));
  return found;
}

const setNames = (netns: Netns) => (name: string): boolean => {
  const { context, handle } = driverOf(netns)!;
  const { instance } = context;
  const bytes = 32;
  instance.view.setUint32(0, handle, true);
  for (let i = 0; i < bytes; i++) instance.u8[4 + i] = i < name.length ? name.charCodeAt(i) & 255 : 0;
  return context.command(NF_IPSET_TEST, 4 + bytes, "ipset", [ENOENT]) >= 0;
};

function createIptablesNft(netns: Netns, nft: NftHandle, kind: Kind): IptablesNft {
  useFullIptables();
  const { family, tool } = kind;
  const extensions = family === "ip" ? ipv4Family() : ipv6Family()!;
  const setExists = setNames(netns);

  const legacy = (): boolean => {
    const tables = (family === "ip" ? netns.iptables : netns.ip6tables) as IptablesHandle;
    return Object.keys(TABLES).some((name) => tables.counters(name) !== undefined);
  };
  const warning = (program: string): string => (legacy() ? `# Warning: ${tool}-legacy tables present, use ${program} to see them\n` : "");

  const viewOf = (name: string): View => {
    const table = nft.ruleset.table(family, name);
    const chains = new Map<string, ViewChain>();
    const counters: (readonly [bigint, bigint])[] = [];
    const policies: (readonly [bigint, bigint])[] = [];
    let incompatible = false;
    let foreignBases = false;
    const add = (chainName: string, base: Base | undefined, from: NftChain | undefined): void => {
      const states = from === undefined ? [] : nft.states(from);
      const entries: NftEntry[] = [];
      from?.rules.forEach((made, i) => {
        if (made.iptables === undefined) {
          incompatible = true;
          return;
        }
        entries.push({ rule: made.iptables.rule, counter: counters.length, set: undefined, made });
        counters.push(states[i]?.at(-1) ?? [0n, 0n]);
      });
      if (base !== undefined) policies.push(states[from?.rules.length ?? 0]?.[0] ?? [0n, 0n]);
      chains.set(chainName, {
        name: chainName, base, policy: base === undefined ? undefined : from?.policy === "drop" ? NF_DROP : NF_ACCEPT, set: undefined, entries,
        exists: from !== undefined, from,
      });
    };
    for (const { name: chainName, base } of TABLES[name]!.chains) {
      const there = table?.chains.get(chainName);
      add(chainName, base, there);
      if (there !== undefined && (there.base?.hook !== base.hook || there.base.priority !== base.priority || there.base.type !== base.type)) incompatible = true;
    }
    const users = [...(table?.chains.values() ?? [])].filter((chain) => !chains.has(chain.name)).sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const chain of users) {
      if (chain.base !== undefined) foreignBases = true;
      else add(chain.name, undefined, chain);
    }
    if ([...(table?.sets.values() ?? [])].some((set) => !set.anonymous)) incompatible = true;
    return { name, chains, incompatible, foreignBases, counters: [...counters, ...policies], rules: counters.length };
  };

  /** Puts a view into nftables. Undefined, or what the kernel answered. */
  const commit = (view: View, check = false): string | undefined => nft.commit((tx) => apply(tx, nft, view, family), check);

  const parse = (view: View, list: readonly string[], at: number, chain: string, jumps: Set<string>): ReturnType<typeof parseRule> => {
    const isBuiltin = view.chains.get(chain)?.base !== undefined;
    return parseRule(list, at, isBuiltin ? chain : "", {
      // Whether the chain is there is asked when the rule is made.
      isChain: (name) => {
        if (isTargetName(name, extensions)) return false;
        jumps.add(name);
        return true;
      },
      setExists, family: extensions,
    });
  };

  /** A command as an action on the view; mistakes in its words are thrown here, those about the table when it runs. */
  const actionOf = (view: View, command: Command, line: number, counters?: readonly [bigint, bigint]): Action => {
    const { verb, chain: name = "", extra, words: rest } = command;
    if (verb === "") {
      if (rest.length > 0) parse(view, rest, 0, "", new Set());
      throw usage("no command specified");
    }
    if ("AIDRC".includes(verb)) return ruleAction(view, command, line, counters);
    if (rest.length > 0) {
      const word = rest[0]!;
      throw word.startsWith("-") ? usage(`unknown option "${word}"`) : new Refusal("plain", `Bad argument \`${word}'`, 2);
    }
    const act = (what: string, run: Action["run"]): Action => ({ line, what, run });
    switch (verb) {
      case "N":
        checkChainName(name);
        if (isTargetName(name, extensions)) throw usage("chain name may not clash with target name");
        return act("", (target) => {
          if (target.chains.has(name)) throw other("Chain already exists");
          addChain(target, name);
        });
      case "F":
        return act("", (target) => {
          if (command.chain !== undefined) chainOf(target, name).exists = true;
          for (const chain of command.chain === undefined ? target.chains.values() : [chainOf(target, name)]) chain.entries = [];
        });
      case "X":
        return act("", (target, failures) => {
          const busy = new Set<string>();
          for (const chain of target.chains.values()) {
            if (command.chain === undefined && chain.base === undefined) continue;
            for (const { rule } of chain.entries) if (rule.chain !== undefined) busy.add(rule.chain);
          }
          // Built-in chains go, too, as long as they do nothing: they are made again when they are needed.
          const idle = ({ base, policy, exists, entries }: ViewChain): boolean =>
            base === undefined || (exists && policy !== NF_DROP && entries.length === 0);
          const names = command.chain === undefined ? [...target.chains.values()].filter(idle).map((one) => one.name) : [chainOf(target, name).name];
          const only = command.chain === undefined ? undefined : target.chains.get(name);
          if (only?.base !== undefined && only.policy === NF_DROP) throw other("Directory not empty");
          for (const one of names) {
            const chain = target.chains.get(one)!;
            if (busy.has(one) || (command.chain !== undefined && chain.entries.length > 0)) {
              failures.push({ line, text: `CHAIN_DEL failed (Device or resource busy): chain ${one}` });
            } else if (chain.base === undefined) target.chains.delete(one);
            else target.chains.set(one, { ...chain, exists: false, policy: NF_ACCEPT });
          }
        });
      case "Z": {
        const number = extra === undefined ? undefined : ruleNumber(extra);
        return act("", (target) => {
          for (const chain of command.chain === undefined ? target.chains.values() : [chainOf(target, name)]) {
            chain.entries = chain.entries.map((entry, i) => (number === undefined || number === i + 1 ? { ...entry, counter: -1, set: undefined, made: undefined } : entry));
            if (number !== undefined || chain.base === undefined) continue;
            chain.set = [0n, 0n];
            // The chain goes to the kernel as it was read from there, its policy with it.
            if (chain.from !== undefined) chain.policy = chain.from.policy === "drop" ? NF_DROP : NF_ACCEPT;
          }
        });
      }
      case "P":
        if (view.name === "nat" && extra === "DROP") {
          throw usage('\nThe "nat" table is not intended for filtering, the use of DROP is therefore inhibited.\n\n');
        }
        return act("", (target) => setPolicy(target, name, extra!, undefined));
      case "E":
        checkChainName(extra!);
        return act("", (target, failures) => {
          const chain = chainOf(target, name);
          if (target.chains.has(extra!)) throw other("Chain already exists");
          if (chain.base !== undefined) return;
          // The batch knows a chain of its own by no handle.
          if (chain.from === undefined) failures.push({ line, text: `CHAIN_RENAME failed (No such file or directory): chain ${extra}` });
          else rename(target, name, extra!);
        });
      default:
        return act("", () => {});
    }
  };

  const ruleAction = (view: View, command: Command, line: number, counters?: readonly [bigint, bigint]): Action => {
    const { verb, chain: name = "", extra, words: rest } = command;
    if (verb === "D" && extra !== undefined && rest.length === 0) {
      const number = ruleNumber(extra);
      return {
        line, what: `RULE_DELETE`,
        run: (target) => {
          const chain = chainOf(target, name);
          if (number > chain.entries.length) throw other("Index of deletion too big");
          chain.entries = chain.entries.filter((_, i) => i !== number - 1);
        },
      };
    }
    if (verb === "R" && extra === undefined) throw usage("-R requires a rule number");
    const at = extra === undefined ? 1 : ruleNumber(extra);
    const jumps = new Set<string>();
    const operation = `RULE_${verb === "A" ? "APPEND" : verb === "I" ? "INSERT" : verb === "R" ? "REPLACE" : "DELETE"}`;
    const failed = (errno: string): Failure => ({ line, text: `${operation} failed (${errno}): rule in chain ${name}` });
    let parsed: ReturnType<typeof parseRule>;
    try {
      parsed = parse(view, rest, 0, name, jumps);
    } catch (error) {
      // The tool knows the extension, the kernel does not.
      if (!(error instanceof Refusal) || error.kind !== "other") throw error;
      return { line, what: "", run: (_, failures) => void failures.push(failed("No such file or directory")) };
    }
    const set = parsed.counters ?? counters;
    const rules = parsed.rules.map((rule): NftEntry => ({ rule, counter: -1, set, made: undefined }));
    for (const { rule } of rules) if (rule.chain !== undefined) jumps.add(rule.chain);
    return {
      line, what: `${operation}: rule in chain ${name}`,
      run: (target, failures) => {
        const chain = target.chains.get(name);
        if (chain === undefined) throw other(verb === "C" || verb === "D" ? "Bad rule (does a matching rule exist in that chain?)" : NO_CHAIN);
        for (const jump of jumps) {
          const to = target.chains.get(jump);
          if (to === undefined && (verb === "C" || verb === "D")) throw other("Bad rule (does a matching rule exist in that chain?)");
          if (to === undefined) {
            if (rules.some(({ rule }) => rule.text.includes(` -g ${jump}`))) {
              failures.push(failed("No such file or directory"));
              return;
            }
            throw usage(`Chain '${jump}' does not exist`);
          }
          if (to.base !== undefined && verb !== "C" && verb !== "D") {
            failures.push(failed(to.exists || to === chain ? "Operation not supported" : "No such file or directory"));
            return;
          }
        }
        if (rules.some(({ rule }) => rule.text.endsWith(" -j QUEUE"))) {
          failures.push(failed("No such file or directory"));
          return;
        }
        if (verb === "A") chain.entries = [...chain.entries, ...rules];
        else if (verb === "I") {
          if (at > chain.entries.length + 1) throw other("Index of insertion too big");
          chain.entries = [...chain.entries.slice(0, at - 1), ...rules, ...chain.entries.slice(at - 1)];
        } else if (verb === "R") {
          if (at > chain.entries.length) throw other("Index of replacement too big");
          if (rules.length > 1) throw usage("Replacement rule does not specify a unique address");
          chain.entries = chain.entries.map((entry, i) => (i === at - 1 ? rules[0]! : entry));
        } else {
          for (const { rule } of rules) {
            const index = chain.entries.findIndex((entry) => entry.rule.text === rule.text);
            if (index < 0) throw other("Bad rule (does a matching rule exist in that chain?)");
            if (verb === "D") chain.entries = chain.entries.filter((_, i) => i !== index);
          }
          if (verb === "C") return;
        }
        chain.exists = true;
      },
    };
  };

  /** What -L and -S print of a table, warnings and all. */
  const shown = (command: Command): IptablesNftOutput => {
    if (command.verb !== "L" && command.verb !== "S") return { stdout: "", stderr: "" };
    const view = viewOf(command.table);
    let stderr = warning(`${tool}-legacy`);
    if (view.incompatible) throw new IptablesError(`${stderr}${tool} ${VERSION}: table \`${command.table}' is incompatible, use 'nft' tool.`, 0, 1);
    if (command.chain !== undefined && !view.chains.has(command.chain)) {
      throw new IptablesError(`${stderr}${tool} ${VERSION}: chain \`${command.chain}' in table \`${command.table}' is incompatible, use 'nft' tool.`, 0, 1);
    }
    if (view.foreignBases) stderr += foreign(command.table);
    const table = listed(view);
    return {
      stdout: command.verb === "S" ? listRules(table, command, command.verbose ? view.counters : undefined, view.rules) : listChains(table, command, view.counters, view.rules, tool),
      stderr,
    };
  };

  return {
    run(args) {
      try {
        const command = parseCommand(args, false);
        if (command.verb === "V") return { stdout: `${tool} ${VERSION}\n`, stderr: "" };
        if (!isTable(command.table)) {
          throw new IptablesError(`${tool} ${VERSION}: table '${command.table}' does not exist\nPerhaps iptables or your kernel needs to be upgraded.`, 0, 3);
        }
        const view = viewOf(command.table);
        const action = actionOf(view, command, 0);
        if (command.verb !== "L" && command.verb !== "S") {
          if (view.incompatible) throw new IptablesError(`${tool} ${VERSION}: table \`${command.table}' is incompatible, use 'nft' tool.`, 0, 1);
          const failures: Failure[] = [];
          action.run(view, failures);
          if (failures.length === 0 && command.verb !== "C") {
            const refused = commit(view);
            if (refused !== undefined) failures.push({ line: 0, text: action.what.replace(": ", ` failed (${refused}): `) });
          }
          if (failures.length > 0) throw new IptablesError(`${tool} ${VERSION}:  ${failures[0]!.text}`, 0, 4);
        }
        return shown(command);
      } catch (error) {
        throw error instanceof Refusal ? commandError(error, tool) : error;
      }
    },

    restore(text, options = {}) {
      const { noflush = false, counters = false, test = false } = options;
      let stdout = "";
      let stderr = "";
      let view: View | undefined;
      let actions: Action[] = [];
      let shows: Command[] = [];
      let skipping = false;
      let number = 0;
      const start = (name: string): View => {
        const made = viewOf(name);
        if (!noflush) {
          for (const chain of [...made.chains.values()]) {
            if (chain.base === undefined) made.chains.delete(chain.name);
            else made.chains.set(chain.name, { ...chain, entries: [], exists: false, policy: NF_ACCEPT });
          }
        }
        return made;
      };
      for (const line of text.endsWith("\n") ? text.slice(0, -1).split("\n") : text.split("\n")) {
        number++;
        if (line === "" || line.startsWith("#")) continue;
        try {
          if (line.startsWith("*") && view === undefined && !skipping) {
            const name = line.slice(1).trim().split(/[ \t]/)[0]!;
            if (options.table !== undefined && name !== options.table) {
              skipping = true;
              continue;
            }
            if (!isTable(name)) throw usage(`${tool}-restore: line ${number} table name '${name}' invalid`);
            view = start(name);
            actions = [];
            shows = [];
          } else if (skipping) {
            if (line.startsWith("COMMIT")) skipping = false;
          } else if (view === undefined) {
            throw other("");
          } else if (line === "COMMIT" || line.startsWith("COMMIT ")) {
            if (!test) {
              commitActions(view.name, actions, start);
              for (const command of shows) {
                const printed = shown(command);
                stdout += printed.stdout;
                stderr += printed.stderr;
              }
            } else if (shows.length > 0) stderr += warning(`${tool}-legacy`);
            view = undefined;
          } else if (line.startsWith(":")) {
            actions.push(chainDefinition(line, number, counters, tool, extensions));
          } else {
            const [command, set] = restoreLine(line, counters);
            actions.push(actionOf({ ...view, name: view.name }, command, number, set));
            if (command.verb === "L" || command.verb === "S") shows.push({ ...command, table: view.name });
          }
        } catch (error) {
          throw error instanceof Refusal ? lineError(error, number, tool) : error;
        }
      }
      if (view !== undefined) throw new IptablesError(`${tool}-restore: COMMIT expected at line ${number + 1}`, number + 1, 1);
      return { stdout, stderr };
    },

    save(options = {}) {
      if (options.table !== undefined && !isTable(options.table)) throw new IptablesError(`Table \`${options.table}' does not exist`, 0, 1);
      let stdout = "";
      const stderr = warning(`${tool}-legacy-save`);
      for (const name of Object.keys(TABLES)) {
        if (options.table !== undefined && name !== options.table) continue;
        // A table that is asked for by its name is shown as it would be made.
        if (options.table === undefined && nft.ruleset.table(family, name) === undefined) continue;
        const view = viewOf(name);
        if (view.incompatible) {
          stdout += `# Table \`${name}' is incompatible, use 'nft' tool.\n`;
          continue;
        }
        if (view.foreignBases) stdout += foreign(name);
        stdout += `*${name}\n`;
        let policy = view.rules;
        for (const chain of view.chains.values()) stdout += `${chainLine(chain, chain.base === undefined ? undefined : view.counters[policy++])}\n`;
        for (const chain of view.chains.values()) {
          for (const { rule, counter } of chain.entries) {
            if (options.counters) stdout += `[${view.counters[counter]?.[0] ?? 0n}:${view.counters[counter]?.[1] ?? 0n}] `;
            stdout += `-A ${chain.name}${rule.text}\n`;
          }
        }
        stdout += "COMMIT\n";
      }
      return { stdout, stderr };
    },
  };

  /** Runs a table's actions and commits; on a refusal finds out which of them it was. */
  function commitActions(name: string, actions: readonly Action[], start: (name: string) => View): void {
    const failures: Failure[] = [];
    const view = start(name);
    for (const action of actions) {
      try {
        action.run(view, failures);
      } catch (error) {
        // What the words cannot tell is seen when the table is committed.
        if (error instanceof Refusal && error.kind === "other") {
          throw new IptablesError(`${tool}-restore: line ${action.line} failed: ${error.message}.`, action.line, error.exitCode);
        }
        throw error;
      }
    }
    if (failures.length === 0) {
      const refused = commit(view);
      if (refused === undefined) return;
      const tried = start(name);
      for (const action of actions) {
        action.run(tried, []);
        if (commit(tried, true) === undefined) continue;
        failures.push({ line: action.line, text: action.what.replace(": ", ` failed (${refused}): `) });
        break;
      }
    }
    throw new IptablesError(`${tool}-restore ${VERSION}: \n${failures.map(({ line, text }) => `line ${line}: ${text}`).join("\n")}`, failures[0]?.line ?? 0, 4);
  }
}

const foreign = (table: string): string => `# Table \`${table}' contains incompatible base-chains, use 'nft' tool to list them.\n`;

function commandError(error: Refusal, tool: string): IptablesError {
  const hint = `Try \`${tool} -h' or '${tool} --help' for more information.`;
  if (error.kind === "usage") return new IptablesError(`${tool} ${VERSION}: ${error.message}\n${hint}`, 0, 2);
  if (error.kind === "plain") return new IptablesError(error.exitCode === 2 ? `${error.message}${error.message === "" ? "" : "\n"}${hint}` : error.message, 0, error.exitCode);
  return new IptablesError(`${tool}: ${error.message}.`, 0, error.exitCode);
}

function lineError(error: Refusal, line: number, tool: string): IptablesError {
  if (error.kind === "other") return new IptablesError(`${tool}-restore: line ${line} failed`, line, error.exitCode);
  const prefix = error.kind === "usage" ? `${tool}-restore ${VERSION}: ` : "";
  return new IptablesError(
    `${prefix}${error.message}\nError occurred at line: ${line}\nTry \`${tool}-restore -h' or '${tool}-restore --help' for more information.`,
    line, error.exitCode,
  );
}

function ruleNumber(text: string): number {
  const value = parseNumber(text, 1, 0xffffffff);
  if (value === undefined) throw usage(`Invalid rule number \`${text}'`);
  return value;
}

function chainOf(view: View, name: string): ViewChain {
  const chain = view.chains.get(name);
  if (chain === undefined) throw other(NO_CHAIN);
  return chain;
}

function addChain(view: View, name: string): void {
  view.chains.set(name, { name, base: undefined, policy: undefined, set: undefined, entries: [], exists: true, from: undefined });
}

function setPolicy(view: View, name: string, policy: string, set: readonly [bigint, bigint] | undefined): void {
  const chain = view.chains.get(name);
  if (chain?.base === undefined) throw other("Bad built-in chain name");
  const value = policy === "ACCEPT" ? NF_ACCEPT : policy === "DROP" ? NF_DROP : undefined;
  if (value === undefined) throw other("Bad policy name. Run `dmesg' for more information");
  chain.policy = value;
  chain.set = set ?? chain.set;
  chain.exists = true;
}

function rename(view: View, from: string, to: string): void {
  const chains = new Map<string, ViewChain>();
  for (const chain of view.chains.values()) {
    const entries = chain.entries.map((entry): NftEntry =>
      entry.rule.chain === from ? { ...entry, rule: { ...entry.rule, chain: to, text: entry.rule.text.replace(/[^ ]*$/, to) } } : entry);
    const name = chain.name === from ? to : chain.name;
    chains.set(name, { ...chain, name, entries });
  }
  view.chains = chains;
}

/** The view as the listings of iptables take it; an interface `+` is not told from none. */
function listed(view: View): XtTable {
  return {
    name: view.name,
    chains: new Map(Array.from(view.chains, ([name, chain]) => [name, {
      ...chain, entries: chain.entries.map((entry) => (entry.rule.anyInterface === 0 ? entry : { ...entry, rule: { ...entry.rule, anyInterface: 0 } })),
    }])),
  };
}

const COUNTERS = /^([0-9]+):([0-9]+)$/;

/** `:CHAIN POLICY [P:B]` */
function chainDefinition(line: string, number: number, counters: boolean, tool: string, extensions: Family): Action {
  const [name = "", policy, count] = line.slice(1).split(/[ \t\n]+/);
  if (name === "") throw usage(`${tool}-restore: line ${number} chain name invalid`);
  checkChainName(name);
  if (policy === undefined || policy === "") throw usage(`${tool}-restore: line ${number} policy invalid`);
  if (isTargetName(name, extensions)) throw usage("chain name may not clash with target name");
  let set: readonly [bigint, bigint] | undefined;
  if (policy !== "-") {
    set = [0n, 0n];
    if (counters && count !== undefined && count !== "") {
      const match = COUNTERS.exec(count.slice(1, -1));
      if (match === null) throw usage(`invalid policy counters for chain '${name}'`);
      set = [BigInt(match[1]!), BigInt(match[2]!)];
    }
  }
  return {
    line: number, what: "",
    run(view) {
      const chain = view.chains.get(name);
      if (chain === undefined) addChain(view, name);
      else if (chain.base === undefined) chain.entries = [];
      else if (policy === "-") chain.exists = true;
      else if (policy !== "ACCEPT" && policy !== "DROP") throw other("Bad policy name");
      else setPolicy(view, name, policy, set);
    },
  };
}

/** A command line of a restore input and the counters before it. */
function restoreLine(line: string, counters: boolean): [Command, (readonly [bigint, bigint])?] {
  if (!line.startsWith("[")) return [parseCommand(words(`${line}\n`), true)];
  const end = line.indexOf("]");
  if (end < 0) throw usage("Bad line: need ]");
  const command = (): Command => parseCommand(words(`${line.slice(end + 1)}\n`), true);
  if (!counters) return [command()];
  const [packets = "", bytes] = line.slice(1, end).split(":");
  if (bytes === undefined) throw usage("Bad line: need :");
  if (!/^[0-9]+$/.test(packets)) throw usage("-c packet counter not numeric");
  if (!/^[0-9]+$/.test(bytes)) throw usage("-c byte counter not numeric");
  return [command(), [BigInt(packets), BigInt(bytes)]];
}

// Into nftables

/** Makes the tables and chains of a view what it says. */
function apply(tx: Transaction, nft: NftHandle, view: View, family: Kind["family"]): void {
  const { ruleset } = nft;
  let table = ruleset.table(family, view.name);
  const wanted = [...view.chains.values()].filter(({ exists }) => exists);
  if (table === undefined && wanted.length === 0) return;
  table ??= newTable(tx, nft, view.name, family);
  const there = new Map<string, NftChain>();
  const gone = [...table.chains.values()].filter((chain) =>
    !wanted.some(({ from }) => from === chain) && (chain.base === undefined || TABLES[view.name]!.chains.some(({ name }) => name === chain.name)));
  for (const chain of gone) {
    for (const rule of chain.rules) tx.release(rule);
    tx.rules(chain, []);
  }
  // Before others take their names.
  for (const chain of gone) tx.deleteChain(chain);
  for (const chain of wanted) {
    const { from, base } = chain;
    if (from !== undefined) {
      if (from.name !== chain.name) tx.rename(from, chain.name);
      there.set(chain.name, from);
      continue;
    }
    const made: NftChain = {
      id: tx.id("chain"), table, handle: tx.handle(table), name: chain.name, base, policy: "accept", comment: undefined, rules: [], use: 0,
    };
    tx.setIn(table.chains, chain.name, made);
    tx.chainChanged(made);
    there.set(chain.name, made);
  }
  for (const chain of wanted) {
    const made = there.get(chain.name)!;
    const policy = chain.policy === NF_DROP ? "drop" : "accept";
    if (chain.base !== undefined && policy !== made.policy) {
      const before = made.policy;
      tx.change(() => (made.policy = policy), () => (made.policy = before));
      tx.chainChanged(made);
    }
    if (chain.set !== undefined) {
      const { set } = chain;
      // A policy counts only since its numbers were told.
      const { counted } = made;
      tx.change(() => {
        made.counter = set;
        made.counted = true;
      }, () => {
        made.counter = undefined;
        made.counted = counted;
      });
      tx.chainChanged(made);
    }
    const before = made.rules;
    if (before.length === chain.entries.length && chain.entries.every((entry, i) => entry.made === before[i] && entry.rule === before[i]?.iptables?.rule)) continue;
    const stay = new Set<NftRule>();
    const rules = chain.entries.map((entry) => {
      if (entry.made !== undefined && entry.made.iptables?.rule === entry.rule && made.rules.includes(entry.made)) {
        stay.add(entry.made);
        return entry.made;
      }
      const rule = ruleOf(tx, table, entry, TABLES[view.name]!.number + (family === "ip6" ? XT_TABLES : 0), there, family);
      tx.hold(rule);
      return rule;
    });
    for (const rule of before) if (!stay.has(rule)) tx.release(rule);
    tx.rules(made, rules);
  }
}

function newTable(tx: Transaction, { ruleset }: NftHandle, name: string, family: Kind["family"]): Table {
  tx.change(() => ruleset.handles++, () => ruleset.handles--);
  const table: Table = {
    family, name, handle: ruleset.handles, comment: undefined, flags: [], chains: new Map(), sets: new Map(), objects: new Map(), flowtables: new Map(), handles: 0,
  };
  tx.setIn(ruleset.tables, `${family} ${name}`, table);
  return table;
}
