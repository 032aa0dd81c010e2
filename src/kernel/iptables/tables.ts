/**
 * The tables of one namespace as the driver knows them, and how a changed one gets into the kernel. A change is made on a copy
 * that shares the chains it does not touch; the kernel takes the whole table or refuses it, then the copy is the table.
 */
import {
  BLOB_CHAIN, BLOB_HEADER, NFCT_REALTIME, NF_ACCEPT, NF_COUNTERS, NF_DROP, NF_REPLACE, NF_SET, POLICY_USER, TABLE_FILTER, TABLE_MANGLE,
  TABLE_NAT, TABLE_RAW, TABLE_SECURITY,
} from "../../../assembly/abi/netfilter.ts";
import { NF_IPSET_TEST } from "../../../assembly/abi/ipset.ts";
import { EINVAL, ELOOP, ENOENT, ENOMEM, ERANGE, MAILBOX_BYTES } from "../../../assembly/abi/core.ts";
import type { NodeContext } from "../context.ts";
import type { Family } from "./family.ts";
import { parseRule, type ParsedRule, type Rule, type Surroundings } from "./rule.ts";
import { Refusal, usage, words } from "./text.ts";

/** A rule in its place. `counter`: its number in the loaded table, or -1 for a rule that is not loaded yet. */
export interface Entry {
  readonly rule: Rule;
  counter: number;
  /** Packets and bytes to begin with, where they do not go on from the loaded rule's. */
  readonly set: readonly [bigint, bigint] | undefined;
}

export interface Chain {
  readonly name: string;
  /** NF_ACCEPT or NF_DROP of a built-in chain, undefined for a user chain. */
  readonly policy: number | undefined;
  /** The policy's counters to begin with, where they do not go on. */
  readonly set: readonly [bigint, bigint] | undefined;
  readonly entries: readonly Entry[];
}

export interface Table {
  readonly name: string;
  /** Built-in chains first, in the order of the hooks; then user chains by name. */
  readonly chains: ReadonlyMap<string, Chain>;
}

export interface LoadedTable extends Table {
  /** Chains by their number in the kernel. */
  readonly order: readonly Chain[];
  readonly rules: number;
}

const KINDS: Readonly<Record<string, { readonly number: number; readonly chains: readonly string[] }>> = {
  raw: { number: TABLE_RAW, chains: ["PREROUTING", "OUTPUT"] },
  mangle: { number: TABLE_MANGLE, chains: ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"] },
  nat: { number: TABLE_NAT, chains: ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"] },
  filter: { number: TABLE_FILTER, chains: ["INPUT", "FORWARD", "OUTPUT"] },
  security: { number: TABLE_SECURITY, chains: ["INPUT", "FORWARD", "OUTPUT"] },
};

/** Names of the tables, in the order in which packets meet them. */
export const TABLE_NAMES: readonly string[] = Object.keys(KINDS);
export const isTable = (name: string): boolean => Object.hasOwn(KINDS, name);
/** Chain names as libiptc limits them. */
const CHAIN_NAME_MAX = 28;
const IPSET_NAME = 32;

const ZERO: readonly [bigint, bigint] = [0n, 0n];
/** Rules whose text is remembered: those of some two hundred Services. */
const REMEMBERED_MAX = 2048;
const other = (message: string, exitCode = 1): Refusal => new Refusal("other", message, exitCode);
/** The words of iptc_strerror. */
export const NO_CHAIN = "No chain/target/match by that name";
export const DMESG = ". Run `dmesg' for more information";
const INVALID = `Invalid argument${DMESG}`;

/** A copy of a table that is being changed. */
export class Draft implements Table {
  readonly name: string;
  chains: Map<string, Chain>;
  /** Entries of chains that this draft made, and may therefore change. */
  readonly #own = new Map<string, Entry[]>();
  readonly #surroundings: Surroundings;
  readonly family: Family;
  /** A rule was asked for that depends on the IP sets there are. */
  #sets = false;

  constructor(name: string, from: Table | undefined, setExists: (name: string) => boolean, family: Family) {
    this.name = name;
    this.family = family;
    this.#surroundings = {
      isChain: (chain) => this.chains.has(chain),
      setExists: (set) => {
        this.#sets = true;
        return setExists(set);
      },
      family,
    };
    this.chains = new Map(from?.chains);
    if (from === undefined) {
      for (const chain of KINDS[name]!.chains) {
        this.chains.set(chain, { name: chain, policy: NF_ACCEPT, set: undefined, entries: [] });
      }
    }
  }

  chain(name: string): Chain {
    const chain = this.chains.get(name);
    if (chain === undefined) throw other(NO_CHAIN);
    return chain;
  }

  /** The chain's entries, to be changed. */
  entries(name: string): Entry[] {
    let entries = this.#own.get(name);
    if (entries === undefined) {
      const chain = this.chain(name);
      entries = chain.entries.length === 0 ? [] : chain.entries.slice();
      this.#own.set(name, entries);
      this.chains.set(name, { ...chain, entries });
    }
    return entries;
  }

  /** `-F CHAIN` */
  flush(name: string): void {
    const chain = this.chain(name);
    const entries: Entry[] = [];
    this.#own.set(name, entries);
    this.chains.set(name, { ...chain, entries });
  }

  /** Every chain empty, no user chains, policies as they were: what iptables-restore begins with. */
  clear(): void {
    for (const chain of this.chains.values()) {
      if (chain.policy === undefined) this.chains.delete(chain.name);
      else this.flush(chain.name);
    }
  }

  /** `-N CHAIN` */
  create(name: string): void {
    if (this.chains.has(name)) throw other("Chain already exists");
    this.chains.set(name, { name, policy: undefined, set: undefined, entries: [] });
  }

  /** `-P CHAIN POLICY`, with counters as iptables-restore gives them. */
  policy(name: string, policy: string, set: readonly [bigint, bigint] | undefined): void {
    const chain = this.chains.get(name);
    if (chain?.policy === undefined) throw other("Bad built-in chain name");
    const value = policy === "ACCEPT" ? NF_ACCEPT : policy === "DROP" ? NF_DROP : undefined;
    if (value === undefined) throw other(`Bad policy name${DMESG}`);
    this.chains.set(name, { ...chain, policy: value, set: set ?? chain.set });
  }

  /** `-X [CHAIN]` */
  delete(name: string | undefined): void {
    const names = name === undefined ? [...this.chains.values()].filter((c) => c.policy === undefined).map((c) => c.name) : [name];
    const jumps = new Set<string>();
    for (const chain of this.chains.values()) {
      if (name === undefined && chain.policy === undefined) continue;
      for (const { rule } of chain.entries) if (rule.chain !== undefined) jumps.add(rule.chain);
    }
    for (const one of names) {
      const chain = this.chain(one);
      if (chain.policy !== undefined) throw other(INVALID);
      if (jumps.has(one)) throw other("Too many links");
      if (chain.entries.length !== 0) throw other("Directory not empty");
    }
    for (const one of names) {
      this.chains.delete(one);
      this.#own.delete(one);
    }
  }

  /** `-E OLD NEW` */
  rename(from: string, to: string): void {
    const chain = this.chains.get(from);
    if (chain === undefined || chain.policy !== undefined) throw other(NO_CHAIN);
    if (this.chains.has(to)) throw other("Chain already exists");
    const chains = new Map<string, Chain>();
    const renamed = (entry: Entry): Entry =>
      entry.rule.chain === from
        ? { ...entry, rule: { ...entry.rule, chain: to, text: entry.rule.text.replace(/[^ ]*$/, to) } }
        : entry;
    for (const one of this.chains.values()) {
      const name = one.name === from ? to : one.name;
      chains.set(name, { ...one, name, entries: one.entries.map(renamed) });
    }
    this.#own.clear();
    this.chains = chains;
  }

  /** The rule in `words` from index `at` on. */
  parse(words: readonly string[], at: number, chain: string): ParsedRule {
    const parsed = parseRule(words, at, this.#builtin(chain), this.#surroundings);
    this.#checkJumps(parsed);
    return parsed;
  }

  /**
   * The rule that the text behind `-A CHAIN ` says. The same text says the same in every namespace, but for the chains and sets there are:
   * what nodes restore again and again is read once.
   */
  parseText(text: string, chain: string): ParsedRule {
    const { remembered } = this.family;
    const key = `${this.#builtin(chain)} ${text}`;
    const known = remembered.get(key);
    if (known !== undefined) {
      this.#checkJumps(known);
      return known;
    }
    this.#sets = false;
    const parsed = this.parse(words(`${text}\n`), 0, chain);
    if (!this.#sets) {
      if (remembered.size >= REMEMBERED_MAX) remembered.clear();
      remembered.set(key, parsed);
    }
    return parsed;
  }

  /** The chain's name if it is a built-in one: some options have no meaning there. */
  #builtin(chain: string): string {
    return this.chains.get(chain)?.policy === undefined ? "" : chain;
  }

  #checkJumps({ rules }: ParsedRule): void {
    for (const { chain } of rules) {
      if (chain === undefined) continue;
      const target = this.chains.get(chain);
      if (target === undefined) throw other(NO_CHAIN);
      if (target.policy !== undefined) throw other(INVALID);
    }
  }

  /** `-Z [CHAIN [NUMBER]]` */
  zero(name: string | undefined, number?: number): void {
    for (const chain of name === undefined ? [...this.chains.values()] : [this.chain(name)]) {
      const entries = this.entries(chain.name);
      for (let i = 0; i < entries.length; i++) {
        if (number === undefined || number === i + 1) entries[i] = { rule: entries[i]!.rule, counter: -1, set: undefined };
      }
      if (number === undefined && chain.policy !== undefined) {
        this.chains.set(chain.name, { ...this.chain(chain.name), set: ZERO });
      }
    }
  }
}

/** What `-N` and iptables-restore ask of a chain's name. */
export function checkChainName(name: string): void {
  if (name.startsWith("-") || name.startsWith("!")) throw usage(`chain name not allowed to start with \`${name[0]}'`);
  if (name.length > CHAIN_NAME_MAX) throw usage(`chain name \`${name}' too long (must be under ${CHAIN_NAME_MAX + 1} chars)`);
  if (/\s/.test(name)) throw usage(`Invalid chain name \`${name}'`);
}

/** The tables that are loaded in one namespace, and their way into the kernel. */
export class Tables {
  readonly #context: NodeContext;
  readonly #netns: number;
  readonly #loaded = new Map<string, LoadedTable>();
  readonly family: Family;
  #clockTold = false;

  constructor(context: NodeContext, netns: number, family: Family) {
    this.#context = context;
    this.#netns = netns;
    this.family = family;
  }

  /** By which number the kernel knows a table. */
  #number(name: string): number {
    return KINDS[name]!.number + this.family.firstTable;
  }

  readonly #setExists = (name: string): boolean => {
    const { instance } = this.#context;
    instance.view.setUint32(0, this.#netns, true);
    for (let i = 0; i < IPSET_NAME; i++) instance.u8[4 + i] = i < name.length ? name.charCodeAt(i) & 255 : 0;
    return this.#context.command(NF_IPSET_TEST, 4 + IPSET_NAME, "ipset", [ENOENT]) >= 0;
  };

  get(name: string): LoadedTable | undefined {
    return this.#loaded.get(name);
  }

  draft(name: string): Draft {
    return new Draft(name, this.#loaded.get(name), this.#setExists, this.family);
  }

  /** Puts a changed table into the kernel. Throws `Refusal` as iptc_strerror words it. */
  commit(draft: Draft): void {
    if (!this.#clockTold) {
      // What the date was when the node's clock stood at 0: the time match asks.
      this.#clockTold = true;
      const { clock, instance } = this.#context;
      instance.view.setUint32(0, this.#netns, true);
      instance.view.setUint32(4, NFCT_REALTIME, true);
      instance.view.setUint32(8, Math.max(0, Math.floor(clock.nowMs() / 1000 - clock.nowNs() / 1e9)), true);
      this.#context.command(NF_SET, 12, "iptables", [EINVAL, ENOENT]);
    }
    const order: Chain[] = [];
    const user: Chain[] = [];
    for (const chain of draft.chains.values()) (chain.policy === undefined ? user : order).push(chain);
    user.sort((a, b) => (a.name < b.name ? -1 : 1));
    order.push(...user);
    const blob = encode(order, this.#loaded.get(draft.name)?.rules ?? -1);
    const { instance } = this.#context;
    instance.upload(blob.bytes);
    instance.view.setUint32(0, this.#netns, true);
    instance.view.setUint32(4, this.#number(draft.name), true);
    instance.view.setUint32(8, 0, true);
    const result = this.#context.command(NF_REPLACE, 12, "iptables", [EINVAL, ELOOP, ENOENT, ENOMEM, ERANGE]);
    if (result < 0) throw refused(-result);
    const chains = new Map<string, Chain>();
    let counter = 0;
    for (const chain of order) {
      for (const entry of chain.entries) entry.counter = counter++;
      chains.set(chain.name, chain.set === undefined ? chain : { ...chain, set: undefined });
    }
    this.#loaded.set(draft.name, { name: draft.name, chains, order: [...chains.values()], rules: blob.rules });
  }

  /** Loads an empty table, as the first look at one does. */
  load(name: string): LoadedTable {
    if (!this.#loaded.has(name)) this.commit(this.draft(name));
    return this.#loaded.get(name)!;
  }

  /** {packets, bytes} of all counters of a loaded table: rules in order, then the policies of built-in chains. */
  counters(name: string): [bigint, bigint][] {
    const table = this.#loaded.get(name);
    if (table === undefined) return [];
    const builtins = KINDS[name]!.chains.length;
    const result: [bigint, bigint][] = [];
    const { instance } = this.#context;
    while (result.length < table.rules + builtins) {
      instance.view.setUint32(0, this.#netns, true);
      instance.view.setUint32(4, this.#number(name), true);
      instance.view.setUint32(8, result.length, true);
      instance.view.setUint32(12, Math.floor(MAILBOX_BYTES / 16), true);
      const bytes = this.#context.command(NF_COUNTERS, 16, "iptables");
      for (let at = 0; at < bytes; at += 16) {
        result.push([instance.view.getBigUint64(at, true), instance.view.getBigUint64(at + 8, true)]);
      }
      if (bytes === 0) break;
    }
    return result;
  }
}

/** iptc_strerror of what the kernel answered. */
function refused(errno: number): Refusal {
  if (errno === ELOOP) return other("Too many levels of symbolic links");
  if (errno === ERANGE) return other("Numerical result out of range");
  if (errno === ENOMEM) return other("Memory allocation problem", 4);
  if (errno === ENOENT) return other(NO_CHAIN);
  return other(INVALID);
}

const NOT = 0xffffffff;

/** The blob of NF_REPLACE: see assembly/abi/netfilter.ts. `before`: rules of the loaded table, -1: none is. */
function encode(order: readonly Chain[], before: number): { bytes: Uint8Array; rules: number } {
  let ruleBytes = 0;
  let rules = 0;
  let builtins = 0;
  let sets = 0;
  const numbers = new Map<string, number>();
  for (let i = 0; i < order.length; i++) {
    const chain = order[i]!;
    numbers.set(chain.name, i);
    if (chain.policy !== undefined) builtins++;
    if (chain.set !== undefined) sets++;
    rules += chain.entries.length;
    for (const entry of chain.entries) {
      ruleBytes += entry.rule.bytes.length;
      if (entry.counter < 0 && entry.set !== undefined) sets++;
    }
  }
  const rulesAt = BLOB_HEADER + BLOB_CHAIN * order.length;
  const mapAt = rulesAt + ruleBytes;
  const setsAt = mapAt + 4 * (rules + builtins);
  const bytes = new Uint8Array(setsAt + 4 + 24 * sets);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, order.length, true);
  view.setUint32(4, rules, true);
  view.setUint32(8, ruleBytes, true);
  view.setUint32(setsAt, sets, true);
  let at = rulesAt;
  let number = 0;
  let setAt = setsAt + 4;
  const set = (counter: number, [packets, bytes_]: readonly [bigint, bigint]): void => {
    view.setUint32(setAt, counter, true);
    view.setBigUint64(setAt + 8, packets, true);
    view.setBigUint64(setAt + 16, bytes_, true);
    setAt += 24;
  };
  for (let i = 0; i < order.length; i++) {
    const chain = order[i]!;
    const head = BLOB_HEADER + BLOB_CHAIN * i;
    view.setUint32(head, at - rulesAt, true);
    view.setUint32(head + 4, chain.entries.length, true);
    view.setUint32(head + 8, number, true);
    view.setUint32(head + 12, chain.policy ?? POLICY_USER, true);
    for (const entry of chain.entries) {
      const { rule } = entry;
      bytes.set(rule.bytes, at);
      if (rule.chain !== undefined) view.setUint32(at + rule.chainAt, numbers.get(rule.chain) ?? NOT, true);
      view.setUint32(mapAt + 4 * number, entry.counter < 0 ? NOT : entry.counter, true);
      if (entry.counter < 0 && entry.set !== undefined) set(number, entry.set);
      at += rule.bytes.length;
      number++;
    }
  }
  for (let i = 0; i < builtins; i++) {
    const chain = order[i]!;
    view.setUint32(mapAt + 4 * (rules + i), before < 0 || chain.set !== undefined ? NOT : before + i, true);
    if (chain.set !== undefined) set(rules + i, chain.set);
  }
  return { bytes, rules };
}
