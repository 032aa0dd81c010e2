/**
 * The rule set as nft's commands know it, and one transaction over it: changes are made in place with a way back, and become
 * records for the kernel when all commands of a text were carried out.
 */
import * as abi from "../../../assembly/abi/nft.ts";
import { HOOK_FORWARD, HOOK_INPUT, HOOK_OUTPUT, HOOK_POSTROUTING, HOOK_PREROUTING } from "../../../assembly/abi/netfilter.ts";
import type { Rule as XtRule } from "../iptables/rule.ts";
import { hexOf, type DataType } from "./types.ts";

export type Family = "ip" | "ip6" | "inet" | "arp" | "bridge" | "netdev";
export const HOOKS: Readonly<Record<string, number>> = {
  prerouting: HOOK_PREROUTING, input: HOOK_INPUT, forward: HOOK_FORWARD, output: HOOK_OUTPUT, postrouting: HOOK_POSTROUTING,
};

/** The kernel's number of a hook of a family; undefined: it has none of this name. */
export function hookNumber(family: Family, hook: string): number | undefined {
  switch (family) {
    case "bridge": return hook in HOOKS ? abi.NFT_HOOK_BRIDGE + HOOKS[hook]! : hook === "brouting" ? abi.NFT_HOOK_BROUTING : undefined;
    case "arp": return hook === "input" ? abi.NFT_HOOK_ARP_INPUT : hook === "output" ? abi.NFT_HOOK_ARP_OUTPUT : undefined;
    case "netdev": return hook === "ingress" ? abi.NFT_HOOK_INGRESS : hook === "egress" ? abi.NFT_HOOK_EGRESS : undefined;
    default: return HOOKS[hook] ?? (family === "inet" && hook === "ingress" ? abi.NFT_HOOK_INET_INGRESS : undefined);
  }
}

export interface Base {
  readonly type: "filter" | "nat" | "route";
  readonly hook: string;
  readonly priority: number;
  /** Of a chain at a device's ingress or egress. */
  readonly devices?: readonly string[];
}
/** What a rule's text and a map's elements hold that is only known when it is listed. */
export interface ListContext {
  /** The next state of the rule: {packets, bytes} and the like. */
  state(): readonly [bigint, bigint];
  readonly stateless: boolean;
  readonly numeric?: boolean;
}
export type Segment = string | ((context: ListContext) => string);

export interface Rule {
  handle: number;
  readonly segments: readonly Segment[];
  readonly comment: string | undefined;
  readonly ops: Uint8Array;
  /** Chains it jumps to, sets it looks into (anonymous ones end with it), objects it names. */
  readonly chains: readonly Chain[];
  readonly sets: readonly NftSet[];
  readonly objects: readonly { use: number }[];
  readonly checks: readonly Check[];
  /** A rule of iptables-nft: what it says there, and its matches and target as the kernel has them. */
  readonly iptables?: IptablesRule;
  /** The kernel has it already. */
  kept: boolean;
}
export interface IptablesRule {
  readonly rule: XtRule;
  /** Its matches and its target alone, as records of NFTOP_XT; to be asked whether they may stand where they do. */
  readonly parts: readonly Uint8Array[];
  /** Any of it is an extension of xtables to nft. */
  readonly compat: boolean;
}
/** Statements that may stand in some base chains only: nft_chain_validate_hooks, nft_chain_validate_dependency. */
export interface Check {
  readonly type?: Base["type"];
  readonly hooks?: readonly string[];
}
export interface Chain {
  readonly id: number;
  readonly table: Table;
  handle: number;
  name: string;
  base: Base | undefined;
  policy: "accept" | "drop";
  readonly comment: string | undefined;
  rules: Rule[];
  use: number;
  /** A base chain whose policy's counters iptables-nft has set goes on counting what its policy decides. */
  counted?: boolean | undefined;
  /** From where the policy counts, when that was said. */
  counter?: readonly [bigint, bigint] | undefined;
  /** No chain of rules: a flowtable, whose name is its table's `flowtables`. */
  flowtable?: { readonly counter: boolean } | undefined;
}
/** What an element of a verdict map says. */
export interface Verdict {
  readonly code: number;
  readonly text: string;
  readonly chain?: Chain;
}
export interface SetElement {
  readonly key: Uint8Array;
  readonly end: Uint8Array;
  readonly catchall: boolean;
  data?: Uint8Array;
  verdict?: Verdict;
  object?: NftObject;
  /** ms; 0: none of its own. */
  timeout: number;
  expires: number;
  comment: string | undefined;
  /** Statements of its own. */
  readonly ops?: Uint8Array;
  /** Its statements with their states, as the kernel last said. */
  states?: Uint8Array;
}
export interface NftSet {
  readonly id: number;
  readonly table: Table;
  handle: number;
  readonly name: string;
  readonly anonymous: boolean;
  readonly keyTypes: readonly DataType[];
  /** Undefined: a set. "verdict" or an object's kind, or the types of a map's data. */
  readonly dataTypes: readonly DataType[] | "verdict" | "counter" | "quota" | "limit" | undefined;
  readonly flags: ReadonlySet<string>;
  readonly timeout: number;
  readonly gcInterval: number;
  readonly size: number;
  readonly policy: string | undefined;
  readonly autoMerge: boolean;
  readonly comment: string | undefined;
  /** `typeof` as written. */
  readonly typeOf: string | undefined;
  readonly ops: Uint8Array;
  readonly opsText: string;
  elements: Map<string, SetElement>;
  use: number;
}
export interface NftObject {
  readonly id: number;
  readonly table: Table;
  handle: number;
  readonly kind: "counter" | "quota" | "limit" | "ct helper";
  readonly name: string;
  readonly ops: Uint8Array;
  readonly text: Segment;
  readonly comment: string | undefined;
  use: number;
}
export interface Table {
  readonly family: Family;
  readonly name: string;
  handle: number;
  readonly comment: string | undefined;
  flags: readonly string[];
  readonly chains: Map<string, Chain>;
  readonly sets: Map<string, NftSet>;
  readonly objects: Map<string, NftObject>;
  readonly flowtables: Map<string, Chain>;
  handles: number;
}

export const padded = (length: number): number => (length + 3) & ~3;
export const keyBytes = (types: readonly DataType[]): number => types.reduce((sum, type) => sum + padded((type.bits + 7) >> 3), 0);
export const isInterval = (set: NftSet): boolean => set.flags.has("interval");
export const elementKey = (key: Uint8Array, end: Uint8Array, catchall: boolean): string => catchall ? "*" : `${hexOf(key)}-${hexOf(end)}`;

/** Bytes of operations and records. */
export class Writer {
  bytes = new Uint8Array(64);
  length = 0;
  #room(more: number): void {
    if (this.length + more <= this.bytes.length) return;
    const wider = new Uint8Array(Math.max(this.bytes.length * 2, this.length + more));
    wider.set(this.bytes.subarray(0, this.length));
    this.bytes = wider;
  }
  u8(...values: readonly number[]): this {
    this.#room(values.length);
    for (const value of values) this.bytes[this.length++] = value;
    return this;
  }
  u16(value: number): this {
    return this.u8(value & 255, (value >> 8) & 255);
  }
  u32(value: number): this {
    return this.u8(value & 255, (value >>> 8) & 255, (value >>> 16) & 255, (value >>> 24) & 255);
  }
  u64(value: bigint | number): this {
    const big = BigInt(value);
    return this.u32(Number(big & 0xffffffffn)).u32(Number((big >> 32n) & 0xffffffffn));
  }
  /** Padded to whole words. */
  data(bytes: Uint8Array): this {
    this.#room(padded(bytes.length));
    this.bytes.set(bytes, this.length);
    this.bytes.fill(0, this.length + bytes.length, this.length + padded(bytes.length));
    this.length += padded(bytes.length);
    return this;
  }
  /** One operation: its header, then what `body` writes. */
  op(kind: number, register: number, body?: (writer: Writer) => void): this {
    const at = this.length;
    this.u8(kind, register).u16(0);
    body?.(this);
    const size = this.length - at;
    this.bytes[at + 2] = size & 255;
    this.bytes[at + 3] = size >> 8;
    return this;
  }
  take(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }
}

/** Free numbers, the smallest first taken. */
class Ids {
  #next = 0;
  readonly #free: number[] = [];
  take(): number {
    return this.#free.pop() ?? this.#next++;
  }
  give(id: number): void {
    this.#free.push(id);
  }
}

export class Ruleset {
  readonly tables = new Map<string, Table>();
  readonly ids = { chain: new Ids(), set: new Ids(), object: new Ids() };
  handles = 0;
  table(family: string, name: string): Table | undefined {
    return this.tables.get(`${family} ${name}`);
  }
}

export class Transaction {
  readonly ruleset: Ruleset;
  readonly #undo: (() => void)[] = [];
  readonly #done: (() => void)[] = [];
  readonly #records = new Writer();
  readonly #chains = new Set<Chain>();
  readonly #deleted = new Set<Chain>();
  /** Tables whose chains have to be looked over before they are committed. */
  readonly touched = new Set<Table>();

  constructor(ruleset: Ruleset) {
    this.ruleset = ruleset;
  }
  /** Makes a change; `back` takes it back if a later command fails. */
  change(forth: () => void, back: () => void): void {
    forth();
    this.#undo.push(back);
  }
  rollback(): void {
    for (const back of this.#undo.reverse()) back();
  }
  committed(): void {
    for (const run of this.#done) run();
    for (const chain of this.#chains) {
      for (const rule of chain.rules) rule.kept = true;
      chain.counter = undefined;
    }
  }
  setIn<K, V>(map: Map<K, V>, key: K, value: V | undefined): void {
    const before = map.get(key);
    const had = map.has(key);
    // The order of a map is what is listed: what is taken out and comes back has to stand where it stood.
    const order = had && value === undefined ? [...map] : undefined;
    this.change(
      () => {
        if (value === undefined) map.delete(key);
        else map.set(key, value);
      },
      () => {
        if (order !== undefined) {
          map.clear();
          for (const [k, v] of order) map.set(k, v);
        } else if (had) map.set(key, before!);
        else map.delete(key);
      },
    );
  }
  handle(table: Table): number {
    this.change(() => table.handles++, () => table.handles--);
    return table.handles;
  }
  id(kind: "chain" | "set" | "object"): number {
    const id = this.ruleset.ids[kind].take();
    this.#undo.push(() => this.ruleset.ids[kind].give(id));
    return id;
  }
  use(thing: { use: number }, by: number): void {
    this.change(() => (thing.use += by), () => (thing.use -= by));
  }

  // Chains and rules

  chainChanged(chain: Chain): void {
    this.#chains.add(chain);
    this.touched.add(chain.table);
  }
  rules(chain: Chain, rules: Rule[]): void {
    const before = chain.rules;
    this.change(() => (chain.rules = rules), () => (chain.rules = before));
    this.chainChanged(chain);
  }
  /** A rule whose references count from now on. */
  hold(rule: Rule): void {
    for (const thing of [...rule.chains, ...rule.sets, ...rule.objects]) this.use(thing, 1);
  }
  release(rule: Rule): void {
    for (const thing of [...rule.chains, ...rule.objects]) this.use(thing, -1);
    for (const set of rule.sets) {
      this.use(set, -1);
      if (set.anonymous) this.deleteSet(set);
    }
  }
  /** The chain stays where it stands in its table. */
  rename(chain: Chain, to: string): void {
    const { table, name: from } = chain;
    const set = (name: string): void => {
      const entries = [...table.chains.values()];
      chain.name = name;
      table.chains.clear();
      for (const one of entries) table.chains.set(one.name, one);
    };
    this.change(() => set(to), () => set(from));
  }
  deleteChain(chain: Chain): void {
    for (const rule of chain.rules) this.release(rule);
    this.setIn(chain.table.chains, chain.name, undefined);
    this.#deleted.add(chain);
    this.touched.add(chain.table);
    this.#done.push(() => this.ruleset.ids.chain.give(chain.id));
  }

  deleteFlowtable(flowtable: Chain): void {
    this.setIn(flowtable.table.flowtables, flowtable.name, undefined);
    this.#deleted.add(flowtable);
    this.#done.push(() => this.ruleset.ids.chain.give(flowtable.id));
  }

  // Sets and objects

  #record(kind: number, body: (writer: Writer) => void): void {
    const at = this.#records.length;
    this.#records.u32(kind).u32(0);
    body(this.#records);
    new DataView(this.#records.bytes.buffer).setUint32(at + 4, this.#records.length - at, true);
  }
  newSet(set: NftSet): void {
    const { keyTypes, dataTypes } = set;
    const data = dataTypes === undefined ? 0 : dataTypes === "verdict" ? 8 : typeof dataTypes === "string" ? 4 : keyBytes(dataTypes);
    this.#record(abi.NFTREC_SET, (writer) => {
      writer.u32(set.id).u32((isInterval(set) ? abi.NFTSET_INTERVAL : 0) | (set.flags.has("timeout") ? abi.NFTSET_TIMEOUT : 0));
      writer.u32(keyBytes(keyTypes)).u32(data).u64(set.timeout).u32(set.size).u32(keyTypes.length);
      for (let i = 0; i < 16; i++) writer.u8(i < keyTypes.length ? (keyTypes[i]!.bits + 7) >> 3 : 0);
      writer.data(set.ops);
    });
  }
  deleteSet(set: NftSet): void {
    for (const element of set.elements.values()) this.#elementUse(element, -1);
    if (!set.anonymous) this.setIn(set.table.sets, set.name, undefined);
    this.touched.add(set.table);
    this.#done.push(() => this.ruleset.ids.set.give(set.id));
    this.#record(abi.NFTREC_SET_DELETE, (writer) => writer.u32(set.id));
  }
  flushSet(set: NftSet): void {
    const before = set.elements;
    for (const element of before.values()) this.#elementUse(element, -1);
    this.change(() => (set.elements = new Map()), () => (set.elements = before));
    this.#record(abi.NFTREC_SET_FLUSH, (writer) => writer.u32(set.id));
  }
  #elementUse(element: SetElement, by: number): void {
    if (element.verdict?.chain !== undefined) this.use(element.verdict.chain, by);
    if (element.object !== undefined) this.use(element.object, by);
  }
  addElement(set: NftSet, element: SetElement): void {
    const key = elementKey(element.key, element.end, element.catchall);
    this.setIn(set.elements, key, element);
    this.#elementUse(element, 1);
    if (element.verdict !== undefined) this.touched.add(set.table);
    this.#record(abi.NFTREC_ELEMENT, (writer) => {
      writer.u32(set.id).u32(element.catchall ? abi.NFTELEM_CATCHALL : 0).u64(element.timeout).u64(element.expires);
      writer.data(element.key);
      if (isInterval(set)) writer.data(element.end);
      if (element.verdict !== undefined) writer.u32(element.verdict.code).u32(element.verdict.chain?.id ?? 0);
      else if (element.object !== undefined) writer.u32(element.object.id);
      else if (element.data !== undefined) writer.data(element.data);
      if (element.ops !== undefined) writer.data(element.ops);
    });
  }
  deleteElement(set: NftSet, element: SetElement): void {
    this.setIn(set.elements, elementKey(element.key, element.end, element.catchall), undefined);
    this.#elementUse(element, -1);
    this.#record(abi.NFTREC_ELEMENT_DELETE, (writer) => {
      writer.u32(set.id).u32(element.catchall ? abi.NFTELEM_CATCHALL : 0).data(element.key);
      if (isInterval(set)) writer.data(element.end);
    });
  }
  newObject(object: NftObject): void {
    if (object.kind !== "ct helper") this.#record(abi.NFTREC_OBJECT, (writer) => writer.u32(object.id).data(object.ops));
  }
  deleteObject(object: NftObject): void {
    this.setIn(object.table.objects, `${object.kind} ${object.name}`, undefined);
    this.#done.push(() => this.ruleset.ids.object.give(object.id));
    if (object.kind !== "ct helper") this.#record(abi.NFTREC_OBJECT_DELETE, (writer) => writer.u32(object.id));
  }

  /** What the kernel has to be told; empty if nothing. */
  records(): Uint8Array {
    for (const chain of this.#deleted) {
      this.#record(abi.NFTREC_CHAIN_DELETE, (writer) => writer.u32(chain.id));
    }
    for (const chain of this.#chains) {
      if (this.#deleted.has(chain)) continue;
      const { base } = chain;
      const { family } = chain.table;
      const packets6 = family === "ip6" ? abi.NFTCHAIN_IP6 : family === "inet" ? abi.NFTCHAIN_INET : 0;
      const flags = packets6 | (base === undefined ? 0 : abi.NFTCHAIN_BASE | (base.type === "nat" ? abi.NFTCHAIN_NAT : base.type === "route" ? abi.NFTCHAIN_ROUTE : 0)
        | (chain.counted ? abi.NFTCHAIN_COUNTERS : 0) | (chain.counter === undefined ? 0 : abi.NFTCHAIN_COUNTERS_SET)
        | (chain.flowtable === undefined ? 0 : abi.NFTCHAIN_FLOWTABLE | (chain.flowtable.counter ? abi.NFTCHAIN_FLOW_COUNTER : 0)));
      const [packets, bytes] = chain.counter ?? [0n, 0n];
      this.#record(abi.NFTREC_CHAIN, (writer) => {
        const hook = base === undefined ? 0 : chain.flowtable !== undefined ? abi.NFT_HOOK_INGRESS : hookNumber(chain.table.family, base.hook)!;
        writer.u32(chain.id).u32(flags).u32(hook).u32((base?.priority ?? 0) >>> 0);
        writer.u32(chain.policy === "drop" ? 0 : 1).u32(chain.rules.length).u64(packets).u64(bytes);
        if (hook >= abi.NFT_HOOK_INGRESS) {
          const names = base?.devices ?? [];
          writer.u32(names.length).u32(0);
          for (const name of names) for (let i = 0; i < 16; i++) writer.u8(i < name.length ? name.charCodeAt(i) & 255 : 0);
        }
        for (const rule of chain.rules) {
          writer.u32(abi.NFT_RULE_HEADER + rule.ops.length).u32(rule.handle).u32(rule.kept ? 1 : 0).data(rule.ops);
        }
      });
    }
    return this.#records.take();
  }
}
