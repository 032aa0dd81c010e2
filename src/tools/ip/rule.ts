/** `ip rule` (ip/iprule.c). */
import type { RuleSpec } from "../../kernel/netns.ts";
import { linkRecords, ruleRecords, type RuleRecord } from "../kernel.ts";
import { abbreviates, invalid, ToolExit, unsigned, type Words } from "../tool.ts";
import { answers, findLink, prefix, printer, TABLES, talk, type IpContext, type Prefix } from "./context.ts";
import { RULE } from "./usage.ts";

export function ipRule(context: IpContext, words: Words): void {
  const verb = words.word;
  if (verb === undefined) return show(context);
  words.skip();
  if (abbreviates(verb, "list") || abbreviates(verb, "lst") || abbreviates(verb, "show")) return show(context);
  if (abbreviates(verb, "add")) return modify(context, words, true);
  if (abbreviates(verb, "delete")) return modify(context, words, false);
  if (abbreviates(verb, "flush")) return flush(context);
  if (abbreviates(verb, "help")) throw new ToolExit(255, RULE);
  throw new ToolExit(255, `Command "${verb}" is unknown, try "ip rule help".\n`);
}

interface Wanted {
  from?: Prefix;
  to?: Prefix;
  pref?: number;
  mark?: number;
  mask?: number;
  iif?: string;
  table?: number;
}

/** Selectors and actions that this kernel's rules do not have. */
const REFUSED = ["tos", "dsfield", "realms", "protocol", "oif", "l3mdev", "uidrange", "ipproto", "sport", "dport", "tun_id", "goto",
  "suppress_prefixlength", "suppress_ifgroup", "nat", "map-to"];
const TYPES = ["unicast", "blackhole", "unreachable", "prohibit", "nop", "goto", "nat", "throw", "local", "broadcast", "anycast", "multicast"];

function read(context: IpContext, words: Words): Wanted {
  const wanted: Wanted = {};
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (word === "not") throw answers("Operation not supported");
    if (word === "from" || word === "to") wanted[word] = prefix(words.next(), context.family);
    else if (word !== "p" && (abbreviates(word, "preference") || abbreviates(word, "order") || abbreviates(word, "priority"))) {
      const text = words.next();
      const pref = unsigned(text);
      if (pref === undefined) throw invalid("preference value is invalid\n", text);
      wanted.pref = pref;
    } else if (word === "fwmark") {
      const [mark = "", mask] = words.next().split("/");
      const value = unsigned(mark);
      if (value === undefined) throw invalid("fwmark value is invalid\n", mark);
      wanted.mark = value;
      wanted.mask = 0xffffffff;
      if (mask === undefined) continue;
      const bits = unsigned(mask);
      if (bits === undefined) throw invalid("fwmask value is invalid\n", mask);
      wanted.mask = bits;
    } else if (abbreviates(word, "table") || word === "lookup") {
      const text = words.next();
      const table = TABLES.number(text);
      if (table === undefined) throw invalid("invalid table ID\n", text);
      wanted.table = table;
    } else if (word === "iif" || word === "dev") wanted.iif = words.next();
    else if (REFUSED.includes(word)) {
      words.next();
      throw answers("Operation not supported");
    } else {
      const text = word === "type" ? words.next() : word;
      if (abbreviates(text, "help")) throw new ToolExit(255, RULE);
      if (!TYPES.includes(text) && unsigned(text, 255) === undefined) throw invalid("Failed to parse rule type", text);
      if (text !== "unicast") throw answers("Operation not supported");
    }
  }
  return wanted;
}

/** The first rule that all that is wanted is true of (fib_nl_delrule, rule_find). */
function find({ netns }: IpContext, wanted: Wanted): RuleRecord | undefined {
  const iif = wanted.iif === undefined ? undefined : (findLink(netns, wanted.iif)?.ifindex ?? -1);
  return ruleRecords(netns).find((rule) =>
    (wanted.pref === undefined || rule.pref === wanted.pref) &&
    (wanted.table === undefined || rule.table === wanted.table) &&
    (wanted.mark === undefined || rule.mark === wanted.mark) &&
    (wanted.mask === undefined || rule.mask === wanted.mask) &&
    (iif === undefined || rule.iif === iif) &&
    (wanted.from === undefined || (rule.srcBits === wanted.from.bits && (wanted.from.bits === 0 || rule.src === wanted.from.address))) &&
    (wanted.to === undefined || (rule.dstBits === wanted.to.bits && (wanted.to.bits === 0 || rule.dst === wanted.to.address))));
}

function modify(context: IpContext, words: Words, add: boolean): void {
  const { netns } = context;
  if (words.word === undefined) throw new ToolExit(1, `"ip rule ${add ? "add" : "del"}" requires arguments.\n`);
  const wanted = read(context, words);
  if (wanted.from?.family === "inet6" || wanted.to?.family === "inet6" || context.family === "inet6") throw answers("Operation not supported");
  if (!add) {
    const found = find(context, wanted);
    if (found === undefined) throw answers("No such file or directory");
    return talk(() => netns.deleteRule(specOf(context, found)));
  }
  // An action is added to what selects; without a table that is main.
  const rule = { ...wanted, table: wanted.table ?? 254 };
  const pref = wanted.pref ?? lowest(ruleRecords(netns));
  const same = find(context, { ...rule, pref, mark: rule.mark ?? 0, mask: rule.mask ?? 0, from: rule.from ?? ANY, to: rule.to ?? ANY });
  if (same !== undefined && (rule.iif !== undefined || same.iif === 0) && wanted.pref !== undefined) throw answers("File exists");
  talk(() => netns.addRule({
    pref, table: rule.table,
    ...(rule.mark === undefined ? {} : { fwmark: rule.mark, fwmask: rule.mask ?? 0xffffffff }),
    ...(rule.from === undefined || rule.from.bits === 0 ? {} : { from: `${rule.from.address}/${rule.from.bits}` }),
    ...(rule.to === undefined || rule.to.bits === 0 ? {} : { to: `${rule.to.address}/${rule.to.bits}` }),
    ...(rule.iif === undefined ? {} : { iif: rule.iif }),
  }));
}

const ANY: Prefix = { family: "inet", address: "0.0.0.0", bits: 0, explicit: true };

/** fib_default_rule_pref(): one less than the second rule's. */
const lowest = (rules: readonly RuleRecord[]): number => {
  const second = rules[1];
  return second === undefined || second.pref === 0 ? 0 : second.pref - 1;
};

const specOf = ({ netns }: IpContext, rule: RuleRecord): RuleSpec => {
  const iif = linkRecords(netns).find(({ ifindex }) => ifindex === rule.iif)?.name;
  return {
    pref: rule.pref, table: rule.table,
    ...(rule.mask === 0 ? {} : { fwmark: rule.mark, fwmask: rule.mask }),
    ...(rule.srcBits === 0 ? {} : { from: `${rule.src}/${rule.srcBits}` }), ...(rule.dstBits === 0 ? {} : { to: `${rule.dst}/${rule.dstBits}` }),
    ...(iif === undefined ? {} : { iif }),
  };
};

/** All but those of preference 0. */
function flush(context: IpContext): void {
  for (const rule of ruleRecords(context.netns)) if (rule.pref !== 0) talk(() => context.netns.deleteRule(specOf(context, rule)));
}

function show(context: IpContext): void {
  const { netns, streams, numeric } = context;
  const p = printer(context);
  const links = linkRecords(netns);
  // The rules of IPv6 are those that a kernel without others has.
  const rules = context.family === "inet6" ? DEFAULT_IPV6 : ruleRecords(netns);
  p.array(undefined, () => {
    for (const rule of rules) {
      p.object(undefined, () => {
        p.any("priority", rule.pref, `${rule.pref}:\t`);
        const prefixed = (address: string, bits: number): string => (bits === 32 ? address : `${address}/${bits}`);
        p.fp(`from ${rule.srcBits === 0 ? "all" : prefixed(rule.src, rule.srcBits)}`);
        p.js("src", rule.srcBits === 0 ? "all" : rule.src);
        if (rule.srcBits !== 0 && rule.srcBits !== 32) p.js("srclen", rule.srcBits);
        if (rule.dstBits !== 0) {
          p.fp(` to ${prefixed(rule.dst, rule.dstBits)}`);
          p.js("dst", rule.dst);
          if (rule.dstBits !== 32) p.js("dstlen", rule.dstBits);
        }
        if (rule.mark !== 0 || rule.mask !== 0) {
          const mark = `0x${rule.mark.toString(16)}`;
          p.any("fwmark", mark, ` fwmark ${mark}`);
          if (rule.mask !== 0xffffffff) p.any("fwmask", `0x${rule.mask.toString(16)}`, `/0x${rule.mask.toString(16)}`);
        }
        if (rule.iif !== 0) {
          const name = links.find(({ ifindex }) => ifindex === rule.iif)?.name ?? "";
          p.any("iif", name, ` iif ${name}`);
        }
        const table = TABLES.name(rule.table, numeric);
        p.any("table", table, ` lookup ${table}`);
        p.fp("\n");
      });
    }
  });
  streams.stdout += p.take();
}

const DEFAULT_IPV6: readonly RuleRecord[] = [[0, 255], [32766, 254]].map(([pref = 0, table = 0]) =>
  ({ pref, table, mark: 0, mask: 0, iif: 0, src: "::", srcBits: 0, dst: "::", dstBits: 0 }));
