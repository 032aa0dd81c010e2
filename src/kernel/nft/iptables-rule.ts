/** Rules of iptables as rules of nftables: their operations, and what nft lists of them (iptables/nft-ipv4.c, nft-shared.c). */
import * as abi from "../../../assembly/abi/nft.ts";
import { MATCH_LIMIT, NF_ACCEPT, NF_DROP, TARGET_ACCEPT, TARGET_DROP, TARGET_NONE, TARGET_RETURN } from "../../../assembly/abi/netfilter.ts";
import type { Entry } from "../iptables/tables.ts";
import type { Rule as XtRule } from "../iptables/rule.ts";
import { addressText, interfaceText, takeApart } from "../iptables/translate.ts";
import { Writer, type Chain as NftChain, type ListContext, type Rule as NftRule, type Segment, type Table, type Transaction } from "./model.ts";

const EXT_NONE = new Uint8Array([TARGET_NONE, 0, 4, 0]);

/** A rule of iptables as one of nftables: matches, a counter, the verdict or target. */
export function ruleOf(tx: Transaction, table: Table, entry: Entry, number: number, chains: ReadonlyMap<string, NftChain>, family: "ip" | "ip6"): NftRule {
  const { rule } = entry;
  const { segments, compat, native } = textOf(rule, family);
  const ops = new Writer();
  const view = new DataView(rule.bytes.buffer, rule.bytes.byteOffset, rule.bytes.byteLength);
  const targetAt = view.getUint32(4, true);
  const parts: Uint8Array[] = [];
  const xt = (matches: Uint8Array, target: Uint8Array): void => {
    const bytes = new Uint8Array(8 + matches.length + target.length);
    const head = new DataView(bytes.buffer);
    head.setUint32(0, bytes.length, true);
    head.setUint32(4, 8 + matches.length, true);
    bytes.set(matches, 8);
    bytes.set(target, 8 + matches.length);
    parts.push(bytes);
    ops.op(abi.NFTOP_XT, 0, (w) => w.u32(0).u32(0).u32(number | (native ? abi.NFTXT_NATIVE : 0)).data(bytes));
  };
  const matches = rule.bytes.subarray(8, targetAt);
  const target = rule.bytes.subarray(targetAt);
  // Limits are nft's own, and count as nft counts.
  let from = 0;
  let limits = 0;
  for (let at = 0; at < matches.length;) {
    const length = matches[at + 2]! | (matches[at + 3]! << 8);
    if (matches[at] === MATCH_LIMIT) {
      if (at > from) xt(matches.subarray(from, at), EXT_NONE);
      from = at + length;
      limitOf(ops, rule, limits++);
    }
    at += length;
  }
  if (matches.length > from) xt(matches.subarray(from), EXT_NONE);
  const [packets, bytes] = entry.set ?? [0n, 0n];
  ops.op(abi.NFTOP_COUNTER, 0, (w) => w.u32(0).u64(packets).u64(bytes));
  const jump = rule.chain === undefined ? undefined : chains.get(rule.chain);
  const verdict = (code: number, chain = 0): void => void ops.op(abi.NFTOP_VERDICT, 0, (w) => w.u32(code).u32(chain));
  if (jump !== undefined) verdict(/ -g [^ ]+$/.test(rule.text) ? abi.NFTV_GOTO : abi.NFTV_JUMP, jump.id);
  else if (target[0] === TARGET_ACCEPT) verdict(NF_ACCEPT);
  else if (target[0] === TARGET_DROP) verdict(NF_DROP);
  else if (target[0] === TARGET_RETURN) verdict(abi.NFTV_RETURN);
  else if (target[0] !== TARGET_NONE) {
    // What looks at the rule's protocol has to see it: the target is asked about with the matches.
    const whole = rule.bytes.slice();
    xt(new Uint8Array(0), target);
    parts[parts.length - 1] = whole;
  }
  return {
    handle: tx.handle(table), segments, comment: undefined, ops: ops.take(), chains: jump === undefined ? [] : [jump], sets: [], objects: [], checks: [],
    iptables: { rule, parts, compat }, kept: false,
  };
}

const UNITS: Readonly<Record<string, number>> = { sec: 1, min: 60, hour: 3600, day: 86400 };
/** The limit of a rule's text that is the `nth`. */
function limitOf(ops: Writer, { text }: XtRule, nth: number): void {
  const [, rate = "3", unit = "hour", burst = "5"] = [...text.matchAll(/ -m limit --limit (\d+)\/(\w+)(?: --limit-burst (\d+))?/g)][nth] ?? [];
  ops.op(abi.NFTOP_LIMIT, 0, (w) => w.u32(0).u64(Number(rate)).u64(UNITS[unit]! * 1e9).u32(Number(burst)).u32(0));
}

/** What nft lists for a rule of iptables-nft, and whether any of it is an extension of xtables to it. */
function textOf(rule: XtRule, family: "ip" | "ip6"): { segments: Segment[]; compat: boolean; native: boolean } {
  const { own, matches, target, targetPart } = takeApart(rule.text, family, (name) => name === rule.chain);
  const segments: string[] = [];
  let compat = false;
  let native = false;
  const not = (option: { readonly not: boolean }): string => (option.not ? "!= " : "");
  if (own.input !== undefined) segments.push(`iifname ${interfaceText(own.input)}`);
  if (own.output !== undefined) segments.push(`oifname ${interfaceText(own.output)}`);
  const protocolAt = segments.length;
  if (own.protocol !== undefined) segments.push(`meta l4proto ${not(own.protocol)}${own.protocol.args[0]}`);
  if (own.source !== undefined) segments.push(addressText("saddr", own.source, family));
  if (own.destination !== undefined) segments.push(addressText("daddr", own.destination, family));
  if (own.fragment !== undefined) segments.push(`ip frag-off & 8191 ${own.fragment.not ? "==" : "!="} 0`);
  let implied = false;
  for (const { part, text } of matches) {
    const said = nativeMatch(part, text);
    if (said !== undefined) {
      if ((part.name === "tcp" || part.name === "udp") && said !== "") {
        native = true;
        // What the header's name says need not be said before it, unless an extension stands between.
        if (!compat) implied = true;
      }
      if (said !== "") segments.push(said);
      continue;
    }
    compat = true;
    // What needs a set of its own is not put in nft's words here.
    segments.push(part.name === "connlimit" || text === undefined ? `xt match ${part.name}` : text);
  }
  if (implied && own.protocol !== undefined) segments.splice(protocolAt, 1);
  const counter = ({ stateless, state }: ListContext): string => {
    const [packets, bytes] = state();
    return stateless ? "counter" : `counter packets ${packets} bytes ${bytes}`;
  };
  const name = targetPart?.name ?? "";
  const nativeTarget = name === "" || ["ACCEPT", "DROP", "RETURN", "NFLOG", "TRACE"].includes(name) || rule.chain !== undefined;
  if (!nativeTarget) compat = true;
  const said = name === "TRACE" ? "meta nftrace set 1" : name === "NFLOG" ? nflogText(target ?? "") : (target ?? `xt target ${name}`);
  // An extension that says nothing leaves its space.
  let space = "";
  const list: Segment[] = [];
  for (const text of segments) {
    if (text === "") space += " ";
    else {
      const shown = space + text;
      // A limit has a state, which stands before the counter's.
      list.push(text.startsWith("limit rate ") ? ({ state }) => (state(), shown) : shown);
      space = "";
    }
  }
  list.push(space === "" ? counter : (context) => `${space}${counter(context)}`);
  if (said !== "") list.push(said);
  return { segments: list, compat, native };
}

/** nft prints the group before the other options. */
function nflogText(text: string): string {
  const found = /^(log(?: prefix ".*")?)((?: snaplen \d+)?(?: queue-threshold \d+)?)( group \d+)$/.exec(text);
  return found === null ? text : found[1]! + found[3]! + found[2]!;
}

type Part = Parameters<typeof nativeMatch>[0];
/** A match that iptables-nft says in nft's own expressions, as nft lists them; undefined: it is an extension. */
function nativeMatch(part: { readonly name: string; readonly options: readonly { readonly name: string; readonly not: boolean; readonly args: readonly string[] }[] }, text: string | undefined): string | undefined {
  const find = (name: string): Part["options"][number] | undefined => part.options.find((option) => option.name === name);
  const hex = (value: string): string => `0x${Number(value).toString(16).padStart(8, "0")}`;
  switch (part.name) {
    case "tcp": case "udp": {
      if (find("tcp-option") !== undefined) return undefined;
      const pieces: string[] = [];
      for (const name of ["sport", "dport"]) {
        const option = find(name);
        if (option === undefined) continue;
        const [from = "", to = from] = option.args[0]!.split(":");
        pieces.push(`${part.name} ${name} ${from === to ? `${option.not ? "!= " : ""}${from}`
          : from === "0" ? `${option.not ? ">" : "<="} ${to}` : `${option.not ? "!= " : ""}${from}-${to}`}`);
      }
      const flags = find("tcp-flags");
      if (flags !== undefined) {
        const names = (list: string): string => list.toLowerCase();
        const [mask = "", set = ""] = flags.args;
        pieces.push(set === "NONE" ? `tcp flags ${flags.not ? "" : "! "}${names(mask)}` : `tcp flags ${flags.not ? "!= " : ""}${names(set)} / ${names(mask)}`);
      }
      return pieces.join(" ");
    }
    case "limit": return text!.replace(/ burst 5 packets$/, "");
    case "mark": {
      const option = part.options[0]!;
      const [value = "", mask] = option.args[0]!.split("/");
      if (mask === undefined) return `meta mark ${option.not ? "!= " : ""}${hex(value)}`;
      return `meta mark & ${hex(mask)} ${option.not ? "!=" : "=="} ${hex(value)}`;
    }
    default: return undefined;
  }
}
