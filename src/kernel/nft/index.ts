/**
 * nftables of one namespace: `nft -f` over the kernel's transactions (assembly/abi/nft.ts) and `nft list`. Not part of what a page
 * loads: import it where it is wanted.
 */
import * as abi from "../../../assembly/abi/nft.ts";
import { EINVAL, ENOENT } from "../../../assembly/abi/core.ts";
import { NFCT_REALTIME, NF_SET, TABLES as XT_TABLES } from "../../../assembly/abi/netfilter.ts";
import type { NodeContext } from "../context.ts";
import { driverOf } from "../namespace.ts";
import { KernelError, type Netns } from "../netns.ts";
import { runCommands } from "./commands.ts";
import { nftDescribers, type NftRuleText } from "./describers.ts";
import { interfaceType } from "./types.ts";
import { TABLE_NAMES } from "../iptables/tables.ts";
import { Cursor, NftError, Refused, refusedByKernel, type Place } from "./lexer.ts";
import { ruleText, rulesetText, type Listing } from "./list.ts";
import { Ruleset, Transaction, elementKey, hookNumber, isInterval, keyBytes, type Chain, type NftObject, type NftSet, type SetElement, type Table } from "./model.ts";

export { NftError } from "./lexer.ts";

export interface NftOptions {
  /** Where the text comes from, for messages: `/dev/stdin` has them begin with `/dev/stdin:1:5-8: `. Default: a command line. */
  readonly source?: string;
  /** `--check`: everything but the commit. */
  readonly check?: boolean;
  /** The text of a file that `include "PATH"` names; undefined: there is none. */
  readonly readFile?: (path: string) => string | undefined;
  /** `-s`: no counters and the like. */
  readonly stateless?: boolean;
  /** What the machine's kernel is built without: it refuses that as the real one does. */
  readonly without?: readonly "flowtable"[];
  /** `-a` */
  readonly handles?: boolean;
  /** Takes lines that nft prints to stderr beside a listing. */
  readonly warn?: (line: string) => void;
}

export interface Nft {
  /**
   * `nft -f`: all commands of `text`, or none. Returns what list commands print. Throws NftError, whose message is nft's own; then
   * nothing has changed.
   */
  run(text: string, options?: NftOptions): string;
  /** `nft list ruleset`. */
  list(options?: Pick<NftOptions, "stateless" | "handles" | "warn">): string;
  /** Counters of a chain's rules that have one: {packets, bytes} each, in order; undefined: no such chain. */
  counters(family: string, table: string, chain: string): readonly (readonly [bigint, bigint])[] | undefined;
  /** A rule by the numbers of an OBS_NFT record, as `nft monitor trace` names it; undefined if no such rule is loaded now. */
  describe(chain: number, handle: number): NftRuleText | undefined;
}

/** What iptables-nft works on, beside the calls. */
export interface NftHandle extends Nft {
  readonly ruleset: Ruleset;
  /** States of a chain's rules by rule; the policy's behind them. */
  states(chain: Chain): (readonly (readonly [bigint, bigint])[])[];
  /** Runs `change` and gives the kernel the outcome; the errno's words of nft if it refuses, and then nothing has changed. */
  commit(change: (tx: Transaction) => void, check?: boolean): string | undefined;
}

/** What nftables asks about interfaces. */
export interface Interfaces {
  indexOf(name: string): number | undefined;
  nameOf(index: number): string | undefined;
}

/** The nft calls of the namespace `netns`. */
export function createNft(context: NodeContext, netns: number, interfaces: Interfaces): NftHandle {
  const ruleset = new Ruleset();
  const interfaceIndex = interfaceType(interfaces.indexOf, interfaces.nameOf);
  const { instance } = context;
  let clockTold = false;

  const ask = (op: number, ...words: number[]): number => {
    [netns, ...words].forEach((word, i) => instance.view.setUint32(4 * i, word, true));
    for (let i = words.length + 1; i < 4; i++) instance.view.setUint32(4 * i, 0, true);
    return context.command(op, 16, "nft", [ENOENT]);
  };

  const states = (chain: Chain, reset = false): (readonly [bigint, bigint])[][] => {
    const all: (readonly [bigint, bigint])[][] = chain.rules.map(() => []);
    let first = 0;
    do {
      if (ask(abi.NF_NFT_CHAIN, chain.id, first, reset ? 1 : 0) < 0) return all;
      const { view } = instance;
      first = view.getUint32(0, true);
      const n = view.getUint32(4, true);
      for (let i = 0; i < n; i++) {
        const at = 8 + i * abi.NFT_STATE_BYTES;
        const kind = view.getUint32(at + 4, true);
        if (kind === abi.NFTOP_NUMGEN) continue;
        const rule = view.getUint32(at, true);
        (rule === abi.NFT_POLICY_RULE ? (all[chain.rules.length] ??= []) : all[rule])?.push([view.getBigUint64(at + 8, true), view.getBigUint64(at + 16, true)]);
      }
    } while (first !== 0);
    return all;
  };

  /** Elements that packets added, and the times that are left. */
  const sync = (set: NftSet): void => {
    if (set.anonymous || !(set.flags.has("dynamic") || set.flags.has("timeout") || set.ops.length > 0 || [...set.elements.values()].some((one) => one.ops !== undefined))) return;
    const before = set.elements;
    const now = new Map<string, SetElement>();
    const key = keyBytes(set.keyTypes);
    const { dataTypes } = set;
    const data = dataTypes === undefined ? 0 : dataTypes === "verdict" ? 8 : typeof dataTypes === "string" ? 4 : keyBytes(dataTypes);
    let cursor = 0;
    do {
      if (ask(abi.NF_NFT_SET, set.id, cursor) < 0) return;
      const { view } = instance;
      cursor = view.getUint32(0, true);
      const n = view.getUint32(4, true);
      let at = 8;
      for (let i = 0; i < n; i++) {
        const statesBytes = view.getUint32(at + 4, true) >>> 8;
        const timeout = Number(view.getBigUint64(at + 8, true));
        const expires = Number(view.getBigUint64(at + 16, true));
        at += abi.NFT_ELEMENT_HEADER;
        const from = instance.copy(at, key);
        at += key;
        const to = isInterval(set) ? instance.copy(at, key) : from;
        if (isInterval(set)) at += key;
        const name = elementKey(from, to, false);
        const known = before.get(name);
        now.set(name, {
          ...known, key: from, end: to, catchall: false, timeout, expires, comment: known?.comment,
          ...(data > 0 && known === undefined && Array.isArray(dataTypes) ? { data: instance.copy(at, data) } : {}),
          ...(statesBytes > 0 ? { states: instance.copy(at + data, statesBytes) } : {}),
        });
        at += data + statesBytes;
      }
    } while (cursor !== 0);
    const catchall = before.get("*");
    if (catchall !== undefined) now.set("*", catchall);
    set.elements = now;
  };

  const objectState = (object: NftObject, reset = false): readonly [bigint, bigint] => {
    if (ask(abi.NF_NFT_OBJECT, object.id, reset ? 1 : 0) < 0) return [0n, 0n];
    return [instance.view.getBigUint64(0, true), instance.view.getBigUint64(8, true)];
  };

  const listing = (options: Pick<NftOptions, "stateless" | "handles" | "warn">): Listing => ({
    stateless: options.stateless ?? false, handles: options.handles ?? false, states, object: objectState, sync, warn: options.warn,
  });

  /** May matches and target stand where packets of these hooks come by? */
  const placed = (part: Uint8Array, table: number, hooks: number): boolean => {
    instance.upload(part);
    [netns, table, hooks].forEach((word, i) => instance.view.setUint32(4 * i, word, true));
    return context.command(abi.NF_NFT_XT_PLACE, 12, "nft", true) >= 0;
  };

  /** Gives the kernel what a transaction has changed; with `check` only looks whether it could. Throws Refused, KernelError. */
  const send = (tx: Transaction, place: Place, check: boolean): void => {
    for (const table of tx.touched) validate(table, place, placed);
    const records = tx.records();
    if (!clockTold && records.length > 0) {
      // What the date was when the node's clock stood at 0: `meta time`, `day` and `hour` ask.
      clockTold = true;
      const { clock } = context;
      [netns, NFCT_REALTIME, Math.max(0, Math.floor(clock.nowMs() / 1000 - clock.nowNs() / 1e9))].forEach((word, i) => instance.view.setUint32(4 * i, word, true));
      context.command(NF_SET, 12, "nft", [EINVAL, ENOENT]);
    }
    if (check) {
      tx.rollback();
      return;
    }
    if (records.length > 0) {
      instance.upload(records);
      instance.view.setUint32(0, netns, true);
      context.command(abi.NF_NFT_COMMIT, 8, "nft");
    }
    tx.committed();
  };

  return {
    ruleset,
    states,
    commit(change, check = false) {
      const tx = new Transaction(ruleset);
      try {
        change(tx);
        send(tx, { from: 0, to: 0 }, check);
        return undefined;
      } catch (error) {
        tx.rollback();
        if (error instanceof Refused) return error.complaints[0]!.message.replace("Could not process rule: ", "");
        if (error instanceof KernelError && error.code === "ENOMEM") return "Cannot allocate memory";
        throw error;
      }
    },
    run(text, options = {}) {
      const cursor = new Cursor(text);
      const tx = new Transaction(ruleset);
      const output: string[] = [];
      try {
        runCommands({
          withoutFlowtables: options.without?.includes("flowtable") ?? false,
          ruleset, cursor, tx, interfaces: interfaceIndex, readFile: options.readFile, hasDevice: (name) => interfaces.indexOf(name) !== undefined, listing: listing(options), sync, output,
          reset: (what) => void ("rules" in what ? states(what, true) : objectState(what, true)),
        });
        send(tx, { from: cursor.tokens[0]!.from, to: cursor.previous.to }, options.check ?? false);
        return output.join("");
      } catch (error) {
        tx.rollback();
        if (error instanceof Refused) throw new NftError(text, error.complaints, options.source);
        if (error instanceof KernelError && error.code === "ENOMEM") {
          throw new NftError(text, refusedByKernel("Cannot allocate memory", { from: 0, to: text.length }).complaints, options.source);
        }
        throw error;
      }
    },
    list: (options = {}) => rulesetText(listing(options), ruleset.tables.values()),
    counters(family, table, name) {
      const chain = ruleset.table(family, table)?.chains.get(name);
      return chain === undefined ? undefined : states(chain).flatMap((list) => list.slice(0, 1));
    },
    describe(id, handle) {
      for (const table of ruleset.tables.values()) {
        for (const chain of table.chains.values()) {
          if (chain.id !== id) continue;
          const at = chain.rules.findIndex((one) => one.handle === handle);
          const rule = chain.rules[at];
          if (handle !== 0 && rule === undefined) return undefined;
          return {
            number: rule === undefined ? chain.rules.length + 1 : at + 1,
            ...(rule?.iptables === undefined ? {} : { iptables: rule.iptables.rule.text }),
            family: table.family, table: table.name, chain: chain.name,
            ruleText: rule === undefined ? `policy ${chain.policy}` : ruleText(rule, false, []),
          };
        }
      }
      return undefined;
    },
  };
}

const known = new WeakMap<Netns, NftHandle>();

/** The nft calls of a namespace: the same object every time. Throws KernelError EBADF for one that is not of this kernel. */
export function nftOf(netns: Netns): NftHandle {
  let nft = known.get(netns);
  if (nft === undefined) {
    const driver = driverOf(netns);
    if (driver === undefined) throw new KernelError("EBADF", "nft: EBADF");
    nft = createNft(driver.context, driver.handle, {
      indexOf: (name) => netns.link(name)?.ifindex,
      nameOf: (index) => netns.links().find((link) => link.ifindex === index)?.name,
    });
    known.set(netns, nft);
    nftDescribers.set(netns, nft.describe);
  }
  return nft;
}

const JUMPS = 16;

/** From every base chain: how deep jumps go, and whether statements may stand at its hook (nft_table_validate). */
function validate(table: Table, place: Place, placed: (part: Uint8Array, table: number, hooks: number) => boolean): void {
  const xtTable = TABLE_NAMES.indexOf(table.name) + (table.family === "ip6" ? XT_TABLES : 0);
  const callees = new Map<Chain, Chain[]>();
  const calleesOf = (chain: Chain): Chain[] => {
    let list = callees.get(chain);
    if (list === undefined) {
      list = [];
      for (const rule of chain.rules) {
        list.push(...rule.chains);
        for (const set of rule.sets) {
          if (set.dataTypes !== "verdict") continue;
          for (const { verdict } of set.elements.values()) if (verdict?.chain !== undefined) list.push(verdict.chain);
        }
      }
      callees.set(chain, list);
    }
    return list;
  };
  for (const base of table.chains.values()) {
    if (base.base === undefined) continue;
    const depths = new Map<Chain, number>();
    // Chains on the way and how far each of them has got: a circle is deeper than any limit.
    const path: { readonly chain: Chain; next: number }[] = [];
    const enter = (chain: Chain): void => {
      for (const rule of chain.rules) {
        for (const part of rule.iptables?.parts ?? []) {
          if (!placed(part, xtTable, 1 << hookNumber(table.family, base.base!.hook)!)) throw refusedByKernel("Invalid argument", place);
        }
        for (const { type, hooks } of rule.checks) {
          if ((type !== undefined && base.base!.type !== type) || (hooks !== undefined && !hooks.includes(base.base!.hook))) {
            throw refusedByKernel("Operation not supported", place);
          }
        }
      }
      path.push({ chain, next: 0 });
    };
    enter(base);
    while (path.length > 0) {
      const top = path.at(-1)!;
      const list = calleesOf(top.chain);
      if (top.next >= list.length) {
        path.pop();
        let depth = 0;
        for (const callee of list) depth = Math.max(depth, (depths.get(callee) ?? 0) + 1);
        depths.set(top.chain, depth);
        if (path.length + depth >= JUMPS) throw refusedByKernel("Too many links", place);
        continue;
      }
      const callee = list[top.next++]!;
      if (depths.has(callee)) continue;
      if (path.length >= JUMPS) throw refusedByKernel("Too many links", place);
      enter(callee);
    }
  }
}

