/**
 * One command of iptables on a table: as typed, or as a line of iptables-restore (iptables/iptables.c, do_command4). Changes the
 * draft; the caller commits.
 */
import { NF_ACCEPT } from "../../../assembly/abi/netfilter.ts";
import type { Family } from "./family.ts";
import type { Rule } from "./rule.ts";
import { NO_CHAIN, checkChainName, isTable, type Chain, type Draft, type Entry, type Table } from "./tables.ts";
import { Refusal, parseNumber, usage } from "./text.ts";
import { isTargetName } from "./rule.ts";

/** A command split from the rule's words. */
export interface Command {
  readonly table: string;
  /** `A`, `I`, `D`, `R`, `C`, `L`, `S`, `F`, `Z`, `N`, `X`, `P`, `E`; "" for none, `V` for the version. */
  readonly verb: string;
  readonly chain: string | undefined;
  /** Rule number, new name or policy. */
  readonly extra: string | undefined;
  /** What is left: the rule. */
  readonly words: readonly string[];
  readonly numeric: boolean;
  readonly lineNumbers: boolean;
  readonly verbose: boolean;
  readonly exact: boolean;
}

const VERBS: Readonly<Record<string, string>> = {
  "-A": "A", "--append": "A", "-I": "I", "--insert": "I", "-D": "D", "--delete": "D", "-R": "R", "--replace": "R", "-C": "C",
  "--check": "C", "-L": "L", "--list": "L", "-S": "S", "--list-rules": "S", "-F": "F", "--flush": "F", "-Z": "Z", "--zero": "Z",
  "-N": "N", "--new-chain": "N", "-X": "X", "--delete-chain": "X", "-P": "P", "--policy": "P", "-E": "E", "--rename-chain": "E",
  "-V": "V", "--version": "V",
};
const CHAIN_NEEDED = "AIDRCNPE";
const MANY = "LFSZX"; // chain may be left out
const RULE_VERBS = "AIDRC";

/** Takes the command, its chain and the table off the words. `restore`: as a line of iptables-restore. */
export function parseCommand(words: readonly string[], restore: boolean): Command {
  let table = "filter";
  let verb = "";
  let chain: string | undefined;
  let extra: string | undefined;
  let numeric = false;
  let lineNumbers = false;
  let verbose = false;
  let exact = false;
  const rest: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const next = (): string | undefined => {
      const value = words[i + 1];
      if (value === undefined || (value.startsWith("-") && value.length > 1)) return undefined;
      i++;
      return value;
    };
    const found = VERBS[word];
    if (found !== undefined) {
      if (verb !== "") throw usage(`Cannot use -${found} with -${verb}`);
      verb = found;
      if (CHAIN_NEEDED.includes(found)) {
        chain = words[i + 1];
        if (chain === undefined) throw usage(`option "${word}" requires an argument`);
        i++;
        if (found === "I" || found === "D" || found === "R") {
          const value = words[i + 1];
          if (value !== undefined && !value.startsWith("-") && value !== "!") {
            extra = value;
            i++;
          }
        } else if (found === "P" || found === "E") {
          extra = words[i + 1];
          if (extra === undefined) {
            throw usage(found === "P" ? "-P requires a chain and a policy" : "-E requires old-chain-name and new-chain-name");
          }
          i++;
        }
      } else if (MANY.includes(found)) {
        chain = next();
        if (chain !== undefined && (found === "L" || found === "S" || found === "Z")) extra = next();
      }
      continue;
    }
    if (word === "-t" || word === "--table") {
      if (restore) throw usage("The -t option cannot be used in iptables-restore.\n");
      const value = words[++i];
      if (value === undefined) throw usage(`option "${word}" requires an argument`);
      table = value;
    } else if (word === "-n" || word === "--numeric") numeric = true;
    else if (word === "-v" || word === "--verbose") verbose = true;
    else if (word === "-x" || word === "--exact") exact = true;
    else if (word === "-M" || word === "--modprobe") i++;
    else if (word === "--line-numbers") lineNumbers = true;
    else if (word === "-w" || word === "--wait") {
      const value = words[i + 1];
      if (value !== undefined && parseNumber(value) !== undefined) i++;
      else if (value !== undefined && !value.startsWith("-") && value !== "!") throw usage("wait seconds not numeric");
    } else rest.push(word);
  }
  if (verb === "" && rest[0] !== undefined && !rest[0].startsWith("-") && rest[0] !== "!") {
    throw new Refusal("plain", `Bad argument \`${rest[0]}'`, 2);
  }
  if (RULE_VERBS.includes(verb) && verb !== "") {
    if (numeric) throw usage("Illegal option `-n' with this command");
    if (exact) throw usage("Illegal option `-x' with this command");
    if (lineNumbers) throw usage("Illegal option `-0' with this command");
    if ((verb === "C" || verb === "D") && rest.some((word) => word === "-c" || word === "--set-counters")) {
      throw usage("Illegal option `-c' with this command");
    }
  }
  return { table, verb, chain, extra, words: rest, numeric, lineNumbers, verbose, exact };
}

const other = (message: string): Refusal => new Refusal("other", message);

function ruleNumber(text: string): number {
  const value = parseNumber(text, 1, 0xffffffff);
  if (value === undefined) throw usage(`Invalid rule number \`${text}'`);
  return value;
}

const sameRule = (a: Rule, b: Rule): boolean => a.text === b.text;

/** True when the command changes the draft. `counters`: those of the words in front of an iptables-restore line. */
export function apply(draft: Draft, command: Command, counters?: readonly [bigint, bigint]): boolean {
  const { verb, extra, words } = command;
  if (verb === "") {
    if (words.length > 0) draft.parse(words, 0, "");
    throw usage("no command specified");
  }
  const chain = command.chain;
  if (RULE_VERBS.includes(verb)) return ruleCommand(draft, command, chain!, counters);
  if (words.length > 0) throw unexpected(words);
  switch (verb) {
    case "N":
      checkChainName(chain!);
      if (isTargetName(chain!, draft.family)) throw usage("chain name may not clash with target name");
      draft.create(chain!);
      return true;
    case "F":
      for (const name of chain === undefined ? [...draft.chains.keys()] : [draft.chain(chain).name]) draft.flush(name);
      return true;
    case "X":
      draft.delete(chain);
      return true;
    case "Z":
      if (extra !== undefined && ruleNumber(extra) > draft.chain(chain!).entries.length) throw other("Index of counter too big");
      draft.zero(chain, extra === undefined ? undefined : ruleNumber(extra));
      return true;
    case "P":
      if (draft.name === "nat" && extra === "DROP") {
        throw usage('\nThe "nat" table is not intended for filtering, the use of DROP is therefore inhibited.\n\n');
      }
      draft.policy(chain!, extra!, undefined);
      return true;
    case "E":
      checkChainName(extra!);
      draft.rename(chain!, extra!);
      return true;
    default:
      if (chain !== undefined && !draft.chains.has(chain)) throw other(NO_CHAIN);
      return false;
  }
}

/** A word that no command takes. */
function unexpected(words: readonly string[]): Refusal {
  const word = words[0]!;
  if (!word.startsWith("-")) return new Refusal("plain", `Bad argument \`${word}'`, 2);
  return usage(`unknown option "${word}"`);
}

/** `-A CHAIN RULE`, nearly every line of a restore input. False: it is something else or wrong, as `parseCommand` and `apply` will find. */
export function appendLine(draft: Draft, line: string, counters: readonly [bigint, bigint] | undefined): boolean {
  if (!line.startsWith("-A ")) return false;
  const end = line.indexOf(" ", 3);
  const chain = line.slice(3, end);
  if (end < 0 || !draft.chains.has(chain)) return false;
  try {
    const parsed = draft.parseText(line.slice(end + 1), chain);
    const entries = draft.entries(chain);
    for (const rule of parsed.rules) entries.push({ rule, counter: -1, set: parsed.counters ?? counters });
    return true;
  } catch (error) {
    if (error instanceof Refusal) return false;
    throw error;
  }
}

function ruleCommand(draft: Draft, command: Command, chain: string, counters?: readonly [bigint, bigint]): boolean {
  const { verb, extra, words } = command;
  if (verb === "D" && extra !== undefined && words.length === 0) {
    const number = ruleNumber(extra);
    if (number > draft.chain(chain).entries.length) throw other("Index of deletion too big");
    draft.entries(chain).splice(number - 1, 1);
    return true;
  }
  if (verb === "R" && extra === undefined) throw usage("-R requires a rule number");
  const at = extra === undefined ? 1 : ruleNumber(extra);
  const parsed = draft.parse(words, 0, chain);
  if (!draft.chains.has(chain)) throw other(verb === "C" ? "Bad rule (does a matching rule exist in that chain?)" : NO_CHAIN);
  const set = parsed.counters ?? counters;
  const made: Entry[] = parsed.rules.map((rule) => ({ rule, counter: -1, set }));
  const existing = draft.chain(chain).entries;
  switch (verb) {
    case "A":
      draft.entries(chain).push(...made);
      return true;
    case "I":
      if (at > existing.length + 1) throw other("Index of insertion too big");
      draft.entries(chain).splice(at - 1, 0, ...made);
      return true;
    case "R":
      if (at > existing.length) throw other("Index of replacement too big");
      if (made.length > 1) throw usage("Replacement rule does not specify a unique address");
      draft.entries(chain).splice(at - 1, 1, ...made);
      return true;
    default: {
      for (const { rule } of made) {
        const index = draft.chain(chain).entries.findIndex((entry) => sameRule(entry.rule, rule));
        if (index < 0) throw other("Bad rule (does a matching rule exist in that chain?)");
        if (verb === "D") draft.entries(chain).splice(index, 1);
      }
      return verb === "D";
    }
  }
}

/** Refuses a table's name that does not exist, as `iptables -t` words it. */
export function checkTable(name: string, { tool }: Family): void {
  if (!isTable(name)) {
    throw new Refusal(
      "plain",
      `${tool} v1.8.9 (legacy): can't initialize ${tool} table \`${name}': Table does not exist (do you need to insmod?)\n` +
        `Perhaps ${tool} or your kernel needs to be upgraded.`,
      3,
    );
  }
}

const policyName = (policy: number): string => (policy === NF_ACCEPT ? "ACCEPT" : "DROP");

/** `:CHAIN POLICY [PACKETS:BYTES]` */
export const chainLine = (chain: Chain, counter: readonly [bigint, bigint] | undefined): string =>
  chain.policy === undefined
    ? `:${chain.name} - [0:0]`
    : `:${chain.name} ${policyName(chain.policy)} [${counter?.[0] ?? 0n}:${counter?.[1] ?? 0n}]`;

/** `iptables -S [CHAIN [NUMBER]]`; with counters, if `counters` is given, as listChains has them. */
export function listRules(
  table: Table,
  { chain: name, extra }: Pick<Command, "chain" | "extra">,
  counters?: readonly (readonly [bigint, bigint])[],
  rules = 0,
): string {
  const only = extra === undefined ? undefined : ruleNumber(extra);
  const shown = (value: readonly [bigint, bigint] | undefined): string => (counters === undefined ? "" : ` -c ${value?.[0] ?? 0n} ${value?.[1] ?? 0n}`);
  let heads = "";
  let text = "";
  let builtin = 0;
  for (const chain of table.chains.values()) {
    const policy = chain.policy === undefined ? undefined : counters?.[rules + builtin++];
    if (name !== undefined && chain.name !== name) continue;
    if (only === undefined) heads += chain.policy === undefined ? `-N ${chain.name}\n` : `-P ${chain.name} ${policyName(chain.policy)}${shown(policy)}\n`;
    chain.entries.forEach(({ rule, counter }, i) => {
      if (only !== undefined && only !== i + 1) return;
      // The counters stand before the target.
      const at = counters === undefined ? -1 : rule.text.search(/ -[jg] [^ ]+(?: --[^"]*| "[^"]*")*$/);
      text += `-A ${chain.name}${at < 0 ? rule.text + shown(counters?.[counter]) : rule.text.slice(0, at) + shown(counters?.[counter]) + rule.text.slice(at)}\n`;
    });
  }
  return heads + text;
}

type Listing = typeof import("./listing.ts").listing;
let full: Listing | undefined;
/** How `-L` prints; without it only names, policies and the rules' text are listed. */
export const setListing = (listing: Listing): void => {
  full = listing;
};

const ZERO: readonly [bigint, bigint] = [0n, 0n];

/** `iptables -L [CHAIN [NUMBER]]`. `counters`: of the rules in order, then of the policies; `rules`: how many rules. */
export function listChains(
  table: Table,
  command: Pick<Command, "chain" | "extra" | "numeric" | "verbose" | "exact" | "lineNumbers">,
  counters: readonly (readonly [bigint, bigint])[],
  rules: number,
  tool = "iptables",
): string {
  const references = new Map<string, number>();
  for (const chain of table.chains.values()) {
    for (const { rule } of chain.entries) {
      if (rule.chain !== undefined) references.set(rule.chain, (references.get(rule.chain) ?? 0) + 1);
    }
  }
  let builtin = 0;
  const chains = [...table.chains.values()].map((chain) => ({
    name: chain.name,
    policy: chain.policy === undefined ? undefined : policyName(chain.policy),
    references: references.get(chain.name) ?? 0,
    counter: chain.policy === undefined ? ZERO : (counters[rules + builtin++] ?? ZERO),
    rules: chain.entries.map(({ rule, counter }) => ({ text: rule.text, anyInterface: rule.anyInterface, counter: counters[counter] ?? ZERO })),
  })).filter(({ name }) => command.chain === undefined || name === command.chain);
  if (full !== undefined) return full(chains, { ...command, tool }, command.extra === undefined ? undefined : ruleNumber(command.extra));
  if (command.extra !== undefined) return chains[0]?.rules[ruleNumber(command.extra) - 1]?.text ?? "";
  return chains
    .map(({ name, policy, references: count, rules: list }) =>
      `Chain ${name} (${policy === undefined ? `${count} references` : `policy ${policy}`})\n${list.map(({ text }) => `${text.trim()}\n`).join("")}`)
    .join("\n");
}
