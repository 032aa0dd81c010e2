/**
 * ebtables, ebtables-restore and ebtables-save 1.8.9 (nf_tables) of one namespace: rules of ebtables in tables `bridge filter` and
 * `bridge nat` of nftables (iptables/xtables-eb.c, nft-bridge.c). The broute table, which only ebtables-legacy has, is there when asked for.
 */
import * as abi from "../../../assembly/abi/nft.ts";
import { NF_ACCEPT, NF_DROP } from "../../../assembly/abi/netfilter.ts";
import { Refusal, usage, words } from "../iptables/text.ts";
import { IptablesError, type Netns } from "../netns.ts";
import { isEbTarget, parseEbRule, type EbRule } from "./ebtables-rule.ts";
import { nftOf, type NftHandle } from "./index.ts";
import { Writer, type Base, type Chain as NftChain, type Rule as NftRule, type Segment, type Table, type Transaction } from "./model.ts";

const VERSION = "v1.8.9 (nf_tables)";
const FAMILY = "bridge";
const base = (hook: string, priority: number): Base => ({ type: "filter", hook, priority });
const TABLES: Readonly<Record<string, Readonly<Record<string, Base>>>> = {
  filter: { INPUT: base("input", -200), FORWARD: base("forward", -200), OUTPUT: base("output", -200) },
  nat: { PREROUTING: base("prerouting", -300), OUTPUT: base("output", 100), POSTROUTING: base("postrouting", 300) },
};
const BROUTE: Readonly<Record<string, Base>> = { BROUTING: base("brouting", -350) };

export interface Ebtables {
  /** One command; throws IptablesError, whose message is what ebtables prints to stderr. */
  run(args: readonly string[], options?: { readonly broute?: boolean }): string;
  restore(text: string, options?: { readonly noflush?: boolean; readonly broute?: boolean }): void;
  save(options?: { readonly counters?: boolean }): string;
}

type Policy = "ACCEPT" | "DROP" | "RETURN";
interface Entry {
  readonly rule: EbRule;
  readonly made: NftRule | undefined;
  readonly counter: readonly [bigint, bigint];
}
interface Chain {
  readonly name: string;
  readonly base: Base | undefined;
  policy: Policy;
  entries: Entry[];
  exists: boolean;
  readonly from: NftChain | undefined;
}
type View = Map<string, Chain>;

const other = (message: string): Refusal => new Refusal("other", message);
const NO_CHAIN = "No chain/target/match by that name";
const BAD_RULE = "Bad rule (does a matching rule exist in that chain?)";

const known = new WeakMap<Netns, Ebtables>();
/** What ebtables put into rules of nftables. */
const rulesMade = new WeakMap<NftRule, EbRule>();
/** Of a user chain: the rule at its end that is its policy. */
const policies = new WeakMap<NftRule, Policy>();

/** The ebtables calls of a namespace: the same object every time. */
export function ebtablesOf(netns: Netns): Ebtables {
  let made = known.get(netns);
  if (made === undefined) known.set(netns, (made = createEbtables(nftOf(netns))));
  return made;
}

function createEbtables(nft: NftHandle): Ebtables {
  const chainsOf = (table: string): Readonly<Record<string, Base>> => (table === "broute" ? BROUTE : TABLES[table]!);

  const viewOf = (name: string): View => {
    const table = nft.ruleset.table(FAMILY, name);
    const view: View = new Map();
    const add = (chainName: string, from: NftChain | undefined, hooked: Base | undefined): void => {
      const states = from === undefined ? [] : nft.states(from);
      let policy: Policy = hooked === undefined ? "RETURN" : from?.policy === "drop" ? "DROP" : "ACCEPT";
      const entries: Entry[] = [];
      from?.rules.forEach((made, i) => {
        const rule = rulesMade.get(made);
        if (rule !== undefined) entries.push({ rule, made, counter: states[i]?.at(-1) ?? [0n, 0n] });
        else if (policies.has(made)) policy = policies.get(made)!;
        else throw new IptablesError(`ebtables ${VERSION}: table \`${name}' is incompatible, use 'nft' tool.`, 0, 1);
      });
      view.set(chainName, { name: chainName, base: hooked, policy, entries, exists: from !== undefined, from });
    };
    for (const [chainName, hooked] of Object.entries(chainsOf(name))) add(chainName, table?.chains.get(chainName), hooked);
    const users = [...(table?.chains.values() ?? [])].filter((chain) => !view.has(chain.name)).sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const chain of users) add(chain.name, chain, undefined);
    return view;
  };

  const commit = (name: string, view: View): string | undefined => nft.commit((tx) => apply(tx, nft, name, view));

  /** The chains that begin at a hook and lead to this one. */
  const reached = (name: string, view: View, chain: Chain): string[] => {
    if (chain.base !== undefined) return [`${name} ${chain.name}`];
    const seen = new Set<Chain>([chain]);
    const found: string[] = [];
    for (const to of seen) {
      for (const from of view.values()) {
        if (seen.has(from) || !from.entries.some(({ rule }) => rule.chain === to.name)) continue;
        seen.add(from);
        if (from.base !== undefined) found.push(`${name} ${from.name}`);
      }
    }
    return found;
  };

  const chainIn = (view: View, name: string): Chain => {
    const chain = view.get(name);
    if (chain === undefined) throw other(NO_CHAIN);
    return chain;
  };

  interface Command {
    readonly table: string;
    readonly verb: string;
    readonly chain: string | undefined;
    readonly rest: readonly string[];
    readonly counters: boolean;
    readonly numbers: boolean;
  }
  const parse = (args: readonly string[]): Command => {
    let table = "filter";
    let verb = "";
    let chain: string | undefined;
    const flags = new Set<string>();
    const rest: string[] = [];
    for (let i = 0; i < args.length; i++) {
      const arg = args[i]!;
      const found = VERBS[arg];
      if (found !== undefined && verb === "") {
        verb = found;
        if (!"LFZX".includes(found) || (args[i + 1] !== undefined && !args[i + 1]!.startsWith("-"))) {
          chain = args[++i];
          if (chain === undefined) throw usage("Unknown argument: '(null)'");
        }
      } else if (arg === "-t" || arg === "--table") table = args[++i] ?? "";
      else if (["--Lc", "--Ln", "--Lx", "--Lmac2"].includes(arg)) flags.add(arg);
      else if (arg === "--concurrent" || arg === "-v" || arg === "--verbose") continue;
      else if (arg === "-M" || arg === "--modprobe") i++;
      else rest.push(arg);
    }
    return { table, verb, chain, rest, counters: flags.has("--Lc"), numbers: flags.has("--Ln") };
  };

  /** Carries a command out on the view; what the kernel would refuse comes back as its words. */
  const change = (view: View, { table, verb, chain: name = "", rest }: Command): string | undefined => {
    switch (verb) {
      case "A": case "I": case "D": {
        const chain = chainIn(view, name);
        const numbered = verb !== "A" && rest[0] !== undefined && /^\d+(:\d+)?$/.test(rest[0]);
        if (verb === "D" && numbered) {
          const [first = 0, last = first] = rest[0]!.split(":").map(Number);
          if (first < 1 || last > chain.entries.length) throw other("Index of deletion too big");
          chain.entries = chain.entries.filter((_, i) => i < first - 1 || i > last - 1);
          return undefined;
        }
        const rule = parseEbRule(numbered ? rest.slice(1) : rest, name);
        if (verb === "D") {
          const at = chain.entries.findIndex((entry) => entry.rule.text === rule.text);
          if (at < 0) throw other(BAD_RULE);
          chain.entries = chain.entries.filter((_, i) => i !== at);
          return undefined;
        }
        if (rule.chain !== undefined && !view.has(rule.chain)) throw usage(`Chain '${rule.chain}' does not exist`);
        const entry: Entry = { rule, made: undefined, counter: rule.counters ?? [0n, 0n] };
        const at = verb === "A" ? chain.entries.length : numbered ? Number(rest[0]) - 1 : 0;
        if (at > chain.entries.length) throw other("Index of insertion too big");
        chain.entries = [...chain.entries.slice(0, at), entry, ...chain.entries.slice(at)];
        chain.exists = true;
        const operation = verb === "A" ? "RULE_APPEND" : "RULE_INSERT";
        if (rule.refused || (rule.places !== undefined && reached(table, view, chain).some((place) => !rule.places!.includes(place)))) {
          return `${operation} failed (Invalid argument): rule in chain ${name}`;
        }
        return undefined;
      }
      case "N":
        if (view.has(name)) throw other("Chain already exists");
        if (isEbTarget(name)) throw usage("chain name may not clash with target name");
        view.set(name, { name, base: undefined, policy: rest[0] === "-P" && rest[1] !== undefined ? policyOf(rest[1]) : "ACCEPT", entries: [], exists: true, from: undefined });
        return undefined;
      case "X":
        for (const chain of name === "" ? [...view.values()].filter((one) => one.base === undefined) : [chainIn(view, name)]) {
          const used = [...view.values()].some((from) => (name !== "" || from.base !== undefined) && from.entries.some(({ rule }) => rule.chain === chain.name));
          if (used || (name !== "" && chain.entries.length > 0)) return `CHAIN_DEL failed (Device or resource busy): chain ${chain.name}`;
          view.delete(chain.name);
        }
        return undefined;
      case "F":
        for (const chain of name === "" ? view.values() : [chainIn(view, name)]) chain.entries = [];
        return undefined;
      case "Z":
        for (const chain of name === "" ? view.values() : [chainIn(view, name)]) chain.entries = chain.entries.map(({ rule }) => ({ rule, made: undefined, counter: [0n, 0n] }));
        return undefined;
      case "P": {
        const policy = policyOf(rest[0] ?? "");
        const chain = chainIn(view, name);
        if (chain.base !== undefined && policy === "RETURN") throw usage("Policy RETURN only allowed for user defined chains");
        chain.policy = policy;
        chain.exists = true;
        return undefined;
      }
      case "E": {
        const chain = chainIn(view, name);
        const to = rest[0] ?? "";
        if (view.has(to)) throw other("Chain already exists");
        const all = [...view.values()];
        view.clear();
        for (const one of all) {
          const called = one === chain ? to : one.name;
          const entries = one.entries.map((entry): Entry => (entry.rule.chain !== name ? entry
            : { ...entry, made: undefined, rule: { ...parseEbRule(words(`${entry.rule.text.replace(/ -j [^ ]+/, ` -j ${to}`)}\n`), ""), counters: entry.counter } }));
          view.set(called, { ...one, name: called, entries });
        }
        return undefined;
      }
      default: return undefined;
    }
  };

  const listed = (view: View, { table, chain: only, counters, numbers }: Command): string => {
    if (only !== undefined && !view.has(only)) throw new IptablesError(`ebtables ${VERSION}: chain \`${only}' in table \`${table}' is incompatible, use 'nft' tool.`, 0, 1);
    const blocks: string[] = [];
    for (const chain of view.values()) {
      if (only !== undefined && chain.name !== only) continue;
      // A user chain's policy is a rule that the listing does not look at.
      let text = `Bridge chain: ${chain.name}, entries: ${chain.entries.length}, policy: ${chain.base === undefined ? "RETURN" : chain.policy}\n`;
      chain.entries.forEach(({ rule, counter }, i) => {
        text += `${numbers ? `${i + 1} ` : ""}${rule.text.trimStart()}${counters ? ` , pcnt = ${counter[0]} -- bcnt = ${counter[1]}` : ""}\n`;
      });
      blocks.push(text);
    }
    return `Bridge table: ${table}\n\n${blocks.join("\n")}`;
  };

  const tableKnown = (name: string, broute: boolean): void => {
    if (name in TABLES || (broute && name === "broute")) return;
    throw new IptablesError(`ebtables ${VERSION}: table '${name}' does not exist\nPerhaps ebtables or your kernel needs to be upgraded.`, 0, 3);
  };

  return {
    run(args, options = {}) {
      try {
        if (args[0] === "-V" || args[0] === "--version") return "ebtables 1.8.9 (nf_tables)\n";
        const command = parse(args);
        tableKnown(command.table, options.broute ?? false);
        if (command.verb === "") throw usage(command.rest[0] === undefined ? "No command specified" : "Unknown argument: '(null)'");
        const view = viewOf(command.table);
        if (command.verb === "L") return listed(view, command);
        const refused = change(view, command) ?? commit(command.table, view)?.replace(/^/, `RULE_APPEND failed (`).concat(`): rule in chain ${command.chain}`);
        if (refused !== undefined) throw new IptablesError(`ebtables ${VERSION}:  ${refused}`, 0, 4);
        return "";
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        if (error.kind === "other") throw new IptablesError(`ebtables: ${error.message}`, 0, 1);
        throw new IptablesError(`ebtables ${VERSION}: ${error.message}\nTry \`ebtables -h' or 'ebtables --help' for more information.`, 0, 2);
      }
    },

    restore(text, { noflush = false, broute = false } = {}) {
      const views = new Map<string, View>();
      let table: string | undefined;
      text.split("\n").forEach((line, i) => {
        const number = i + 1;
        if (line === "" || line.startsWith("#") || line.startsWith("COMMIT")) return;
        const fail = (message: string): IptablesError =>
          new IptablesError(`ebtables-restore ${VERSION}: ${message}\nError occurred at line: ${number}\nTry \`ebtables-restore -h' or 'ebtables-restore --help' for more information.`, number, 2);
        try {
          if (line.startsWith("*")) {
            table = line.slice(1).trim();
            if (!(table in TABLES) && !(broute && table === "broute")) throw fail(`ebtables-restore: line ${number} table name '${table}' invalid`);
            const view = viewOf(table);
            if (!noflush) {
              for (const [name, chain] of [...view]) {
                if (chain.base === undefined) view.delete(name);
                else view.set(name, { ...chain, entries: [], policy: "ACCEPT" });
              }
            }
            views.set(table, view);
            return;
          }
          const view = table === undefined ? undefined : views.get(table);
          if (view === undefined) throw new IptablesError(`ebtables-restore: line ${number} failed`, number, 1);
          if (line.startsWith(":")) {
            const [name = "", policy = ""] = line.slice(1).split(/\s+/);
            const chain = view.get(name);
            if (chain === undefined) view.set(name, { name, base: undefined, policy: policyOf(policy), entries: [], exists: true, from: undefined });
            else {
              chain.policy = policyOf(policy);
              chain.exists = true;
              if (chain.base === undefined) chain.entries = [];
            }
            return;
          }
          const counted = /^\[(\d+):(\d+)\] (.*)$/.exec(line);
          const list = words(`${counted?.[3] ?? line}\n`);
          const refused = change(view, { ...parse(counted === null ? list : [...list, "-c", counted[1]!, counted[2]!]), table: table! });
          if (refused !== undefined) throw new IptablesError(`ebtables-restore ${VERSION}: \nline ${number}: ${refused}`, number, 4);
        } catch (error) {
          if (!(error instanceof Refusal)) throw error;
          if (error.kind === "other") throw new IptablesError(`ebtables-restore: line ${number} failed: ${error.message}.`, number, 1);
          throw fail(error.message);
        }
      });
      for (const [name, view] of views) {
        const refused = commit(name, view);
        if (refused !== undefined) throw new IptablesError(`ebtables-restore ${VERSION}: \nline 0: RULE_APPEND failed (${refused})`, 0, 4);
      }
    },

    save({ counters = false } = {}) {
      let text = "";
      for (const name of ["filter", "nat", "broute"]) {
        if (nft.ruleset.table(FAMILY, name) === undefined) continue;
        const view = viewOf(name);
        text += `*${name}\n`;
        for (const chain of view.values()) text += `:${chain.name} ${chain.policy}\n`;
        for (const chain of view.values()) {
          for (const { rule, counter } of chain.entries) text += `${counters ? `[${counter[0]}:${counter[1]}] ` : ""}-A ${chain.name}${rule.text}\n`;
        }
      }
      return text;
    },
  };
}

const VERBS: Readonly<Record<string, string>> = {
  "-A": "A", "--append": "A", "-I": "I", "--insert": "I", "-D": "D", "--delete": "D", "-L": "L", "--list": "L", "-F": "F", "--flush": "F", "-Z": "Z",
  "--zero": "Z", "-N": "N", "--new-chain": "N", "-X": "X", "--delete-chain": "X", "-P": "P", "--policy": "P", "-E": "E", "--rename-chain": "E",
};

function policyOf(text: string): Policy {
  if (text !== "ACCEPT" && text !== "DROP" && text !== "RETURN") throw usage(`Unknown policy '${text}'`);
  return text;
}

// Into nftables

function apply(tx: Transaction, { ruleset }: NftHandle, name: string, view: View): void {
  const wanted = [...view.values()].filter(({ exists }) => exists);
  let table = ruleset.table(FAMILY, name);
  if (table === undefined) {
    if (wanted.length === 0) return;
    tx.change(() => ruleset.handles++, () => ruleset.handles--);
    const made: Table = {
      family: FAMILY, name, handle: ruleset.handles, comment: undefined, flags: [], chains: new Map(), sets: new Map(), objects: new Map(), flowtables: new Map(), handles: 0,
    };
    tx.setIn(ruleset.tables, `${FAMILY} ${name}`, made);
    table = made;
  }
  const gone = [...table.chains.values()].filter((chain) => !wanted.some(({ from }) => from === chain));
  for (const chain of gone) {
    for (const rule of chain.rules) tx.release(rule);
    tx.rules(chain, []);
  }
  // Before others take their names.
  for (const chain of gone) tx.deleteChain(chain);
  const there = new Map<string, NftChain>();
  for (const chain of wanted) {
    if (chain.from !== undefined) {
      const { from } = chain;
      if (from.name !== chain.name) tx.rename(from, chain.name);
      there.set(chain.name, from);
      continue;
    }
    const made: NftChain = {
      id: tx.id("chain"), table, handle: tx.handle(table), name: chain.name, base: chain.base, policy: "accept", comment: undefined, rules: [], use: 0,
    };
    tx.setIn(table.chains, chain.name, made);
    tx.chainChanged(made);
    there.set(chain.name, made);
  }
  for (const chain of wanted) {
    const made = there.get(chain.name)!;
    const policy = chain.policy === "DROP" ? "drop" : "accept";
    if (chain.base !== undefined && policy !== made.policy) {
      const before = made.policy;
      tx.change(() => (made.policy = policy), () => (made.policy = before));
      tx.chainChanged(made);
    }
    const before = made.rules;
    const stay = new Set<NftRule>();
    const rules = chain.entries.map((entry) => {
      if (entry.made !== undefined && before.includes(entry.made)) {
        stay.add(entry.made);
        return entry.made;
      }
      const rule = ruleOf(tx, table, entry.rule, there);
      rulesMade.set(rule, entry.rule);
      tx.hold(rule);
      return rule;
    });
    if (chain.base === undefined && chain.policy !== "RETURN") rules.push(policyRule(tx, table, chain.policy));
    if (rules.length === before.length && rules.every((rule, i) => rule === before[i])) continue;
    for (const rule of before) if (!stay.has(rule)) tx.release(rule);
    tx.rules(made, rules);
  }
}

function ruleOf(tx: Transaction, table: Table, rule: EbRule, chains: ReadonlyMap<string, NftChain>): NftRule {
  const jump = rule.chain === undefined ? undefined : chains.get(rule.chain);
  return {
    handle: tx.handle(table), segments: rule.segments, comment: undefined, ops: rule.ops((name) => chains.get(name)?.id ?? 0),
    chains: jump === undefined ? [] : [jump], sets: [], objects: [], checks: [],
    iptables: { rule: { text: rule.text, chain: rule.chain, anyInterface: 0, bytes: new Uint8Array(0), chainAt: 0 }, parts: [], compat: true }, kept: false,
  };
}

/** The last rule of a user chain, which is its policy. */
function policyRule(tx: Transaction, table: Table, policy: Policy): NftRule {
  const ops = new Writer();
  ops.op(abi.NFTOP_COUNTER, 0, (w) => w.u32(0).u64(0).u64(0));
  ops.op(abi.NFTOP_VERDICT, 0, (w) => w.u32(policy === "DROP" ? NF_DROP : NF_ACCEPT).u32(0));
  const counter: Segment = ({ stateless, state }) => {
    const [packets, bytes] = state();
    return stateless ? "counter" : `counter packets ${packets} bytes ${bytes}`;
  };
  const rule: NftRule = {
    handle: tx.handle(table), segments: [counter, policy.toLowerCase()], comment: undefined, ops: ops.take(), chains: [], sets: [], objects: [], checks: [], kept: false,
  };
  policies.set(rule, policy);
  return rule;
}
