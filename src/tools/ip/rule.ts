/** `ip rule` (ip/iprule.c). */
import {
  FR_ACT_BLACKHOLE, FR_ACT_GOTO, FR_ACT_NOP, FR_ACT_PROHIBIT, FR_ACT_TO_TBL, FR_ACT_UNREACHABLE, NET_RULE_ADD, NET_RULE_DELETE, NET_RULE_LIST,
} from "../../../assembly/abi/net.ts";
import { NET_RULE6_ADD, NET_RULE6_DELETE, NET_RULE6_LIST } from "../../../assembly/abi/net6.ts";
import type { Netns } from "../../kernel/netns.ts";
import { linkRecords } from "../kernel.ts";
import { changeRule, DETACHED, routeRecords, ruleRecords, type RuleRecord } from "../kernel-routes.ts";
import { abbreviates, invalid, ToolExit, unsigned, type Words } from "../tool.ts";
import { inPrefix } from "./address-show.ts";
import { answers, findLink, prefix, printer, TABLES, talk, type IpContext } from "./context.ts";
import { RULE } from "./usage.ts";

export function ipRule(context: IpContext, words: Words): void {
  const verb = words.word;
  if (verb === undefined) return show(context, words, false);
  words.skip();
  if (abbreviates(verb, "list") || abbreviates(verb, "lst") || abbreviates(verb, "show")) return show(context, words, false);
  if (abbreviates(verb, "save")) throw new ToolExit(255, "Not sending a binary stream to stdout\n");
  if (abbreviates(verb, "add")) return modify(context, words, true);
  if (abbreviates(verb, "delete")) return modify(context, words, false);
  if (abbreviates(verb, "flush")) return show(context, words, true);
  if (abbreviates(verb, "help")) throw new ToolExit(255, RULE);
  throw new ToolExit(255, `Command "${verb}" is unknown, try "ip rule help".\n`);
}

type Mutable<T> = { -readonly [K in keyof T]?: T[K] };
/** What is said of a rule; devices by their names. */
type Wanted = Mutable<Omit<RuleRecord, "iif" | "oif">> & { iif?: string; oif?: string; family?: "inet" | "inet6" };

const ACTIONS: Readonly<Record<string, number>> = {
  unicast: FR_ACT_TO_TBL, blackhole: FR_ACT_BLACKHOLE, unreachable: FR_ACT_UNREACHABLE, prohibit: FR_ACT_PROHIBIT, nop: FR_ACT_NOP,
};
/** Names of route types that no rule acts by. */
const TYPES = ["local", "broadcast", "anycast", "multicast", "throw", "nat", "xresolve"];
const IP_PROTOCOLS: Readonly<Record<string, number>> = {
  icmp: 1, igmp: 2, tcp: 6, egp: 8, udp: 17, dccp: 33, ipv6: 41, rsvp: 46, gre: 47, esp: 50, ah: 51, "ipv6-icmp": 58, ospf: 89, ipip: 94, pim: 103, sctp: 132,
  udplite: 136,
};
/** Selectors that this kernel's rules do not have. */
const REFUSED = ["realms", "l3mdev", "uidrange", "tun_id", "suppress_ifgroup", "nat", "map-to", "sup_group"];

function portRange(text: string): number {
  const [first = "", last] = text.split("-");
  const from = unsigned(first, 65535);
  const to = last === undefined ? from : unsigned(last, 65535);
  if (from === undefined || to === undefined) throw invalid("invalid port range\n", text);
  return from + to * 0x10000;
}

function read(context: IpContext, words: Words): Wanted {
  const wanted: Wanted = {};
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (word === "not") wanted.invert = true;
    else if (word === "from" || word === "to") {
      const { family, address, bits } = prefix(words.next(), context.family);
      if (bits > 0) wanted.family = family;
      if (word === "from") [wanted.src, wanted.srcBits] = [address, bits];
      else [wanted.dst, wanted.dstBits] = [address, bits];
    } else if (word !== "p" && word !== "pro" && (abbreviates(word, "preference") || abbreviates(word, "order") || abbreviates(word, "priority"))) {
      const text = words.next();
      const pref = unsigned(text);
      if (pref === undefined) throw invalid("preference value is invalid\n", text);
      wanted.pref = pref;
    } else if (abbreviates(word, "tos") || abbreviates(word, "dsfield")) {
      const text = words.next();
      const tos = /^(?:0[xX])?[0-9a-fA-F]{1,2}$/.test(text) ? Number.parseInt(text.replace(/^0[xX]/, ""), 16) : undefined;
      if (tos === undefined) throw invalid("TOS value is invalid\n", text);
      wanted.tos = tos;
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
    } else if (word === "suppress_prefixlength" || word === "sup_pl") {
      const text = words.next();
      const length = unsigned(text, 128);
      if (length === undefined) throw invalid("suppress_prefixlength value is invalid\n", text);
      wanted.suppress = length;
    } else if (word === "iif" || word === "dev") wanted.iif = words.next();
    else if (word === "oif") wanted.oif = words.next();
    else if (word === "ipproto") {
      const text = words.next();
      const protocol = IP_PROTOCOLS[text] ?? unsigned(text, 255);
      if (protocol === undefined) throw invalid('Invalid "ipproto" value\n', text);
      wanted.ipproto = protocol;
    } else if (word === "sport" || word === "dport") wanted[word] = portRange(words.next());
    else if (word === "goto") {
      const text = words.next();
      const target = unsigned(text);
      if (target === undefined) throw invalid("invalid target\n", text);
      wanted.action = FR_ACT_GOTO;
      wanted.target = target;
    } else if (abbreviates(word, "protocol") || REFUSED.includes(word)) {
      words.next();
      throw answers("Operation not supported");
    } else {
      const text = word === "type" ? words.next() : word;
      if (abbreviates(text, "help")) throw new ToolExit(255, RULE);
      const action = ACTIONS[text];
      if (action === undefined) {
        if (!TYPES.includes(text) && unsigned(text, 255) === undefined) throw invalid("Failed to parse rule type", text);
        throw answers("Operation not supported");
      }
      wanted.action = action;
    }
  }
  return wanted;
}

/** Names that rules were given, by rule: a device that is not there has no number. */
const named = new WeakMap<Netns, Map<string, { iif?: string; oif?: string }>>();
const keyOf = (rule: RuleRecord): string => JSON.stringify([rule.pref, rule.srcBits === 0 ? "" : rule.src, rule.srcBits, rule.dstBits === 0 ? "" : rule.dst, rule.dstBits, rule.mark, rule.mask, rule.table, rule.action,
  rule.target, rule.invert, rule.tos, rule.ipproto, rule.sport, rule.dport, rule.suppress]);

function namesOf(netns: Netns, rule: RuleRecord): { iif: string | undefined; oif: string | undefined; iifGone: boolean; oifGone: boolean } {
  const links = linkRecords(netns);
  const known = named.get(netns)?.get(keyOf(rule));
  const of = (index: number, name: string | undefined): readonly [string | undefined, boolean] => {
    if (index === 0) return [undefined, false];
    const link = links.find(({ ifindex }) => ifindex === index);
    return [link?.name ?? name ?? `if${index}`, link === undefined];
  };
  const [iif, iifGone] = of(rule.iif, known?.iif);
  const [oif, oifGone] = of(rule.oif, known?.oif);
  return { iif, oif, iifGone, oifGone };
}

/** A device has come: rules that name it are about it from now on (attach_rules()). */
export function attachRules(netns: Netns): void {
  const known = named.get(netns);
  if (known === undefined) return;
  const links = linkRecords(netns);
  for (const rule of ruleRecords(netns)) {
    const { iif, oif } = known.get(keyOf(rule)) ?? {};
    const now = (name: string | undefined, index: number): number =>
      name === undefined || index === 0 ? index : (links.find((link) => link.name === name)?.ifindex ?? DETACHED);
    const attached = { ...rule, iif: now(iif, rule.iif), oif: now(oif, rule.oif) };
    if (attached.iif === rule.iif && attached.oif === rule.oif) continue;
    remove(netns, rule);
    changeRule(netns, NET_RULE_ADD, attached);
  }
}

/** Takes one rule away: those of its preference go and come back around it, as the kernel's request knows no more than that. */
function remove(netns: Netns, rule: RuleRecord, v6 = false): void {
  const [listing, adding, deleting] = v6 ? [NET_RULE6_LIST, NET_RULE6_ADD, NET_RULE6_DELETE] : [NET_RULE_LIST, NET_RULE_ADD, NET_RULE_DELETE];
  const same = ruleRecords(netns, listing).filter(({ pref, table }) => pref === rule.pref && table === rule.table);
  if (same.length < 2) return changeRule(netns, deleting, rule);
  for (const one of same) changeRule(netns, deleting, one);
  const gone = same.findIndex((one) => JSON.stringify(one) === JSON.stringify(rule));
  same.forEach((one, i) => {
    if (i !== gone) changeRule(netns, adding, one);
  });
}

const SELECTED = ["pref", "table", "mark", "mask", "action", "target", "invert", "tos", "ipproto", "sport", "dport", "suppress"] as const;

/** Is all that is wanted true of the rule (rule_find())? */
function matches(netns: Netns, rule: RuleRecord, wanted: Wanted): boolean {
  const { iif, oif } = namesOf(netns, rule);
  return SELECTED.every((key) => wanted[key] === undefined || wanted[key] === rule[key]) &&
    (wanted.iif === undefined || wanted.iif === iif) && (wanted.oif === undefined || wanted.oif === oif) &&
    (wanted.srcBits === undefined || (rule.srcBits === wanted.srcBits && (wanted.srcBits === 0 || rule.src === wanted.src))) &&
    (wanted.dstBits === undefined || (rule.dstBits === wanted.dstBits && (wanted.dstBits === 0 || rule.dst === wanted.dst)));
}

function modify(context: IpContext, words: Words, add: boolean): void {
  const { netns } = context;
  if (words.word === undefined) throw new ToolExit(1, `"ip rule ${add ? "add" : "del"}" requires arguments.\n`);
  const wanted = read(context, words);
  const v6 = wanted.family === "inet6" || context.family === "inet6";
  const rules = ruleRecords(netns, v6 ? NET_RULE6_LIST : NET_RULE_LIST);
  if (!add) {
    const found = rules.find((rule) => matches(netns, rule, wanted));
    if (found === undefined) throw answers("No such file or directory");
    return talk(() => remove(netns, found, v6));
  }
  const action = wanted.action ?? FR_ACT_TO_TBL;
  const index = (name: string | undefined): number => (name === undefined ? 0 : (findLink(netns, name)?.ifindex ?? DETACHED));
  const pref = wanted.pref ?? lowest(rules);
  if (action === FR_ACT_GOTO && (wanted.target ?? 0) <= pref) throw new ToolExit(2, "Error: Backward goto not supported.\n");
  const rule: RuleRecord = {
    // An action is added to what selects; without a table that is main.
    pref, table: wanted.table ?? (action !== FR_ACT_TO_TBL ? 0 : wanted.action === undefined ? 254 : emptyTable(netns)),
    mark: wanted.mark ?? 0, mask: wanted.mask ?? 0, iif: index(wanted.iif), oif: index(wanted.oif),
    src: wanted.src ?? (v6 ? "::" : "0.0.0.0"), srcBits: wanted.srcBits ?? 0, dst: wanted.dst ?? (v6 ? "::" : "0.0.0.0"), dstBits: wanted.dstBits ?? 0, action,
    target: wanted.target ?? 0, invert: wanted.invert ?? false, tos: wanted.tos ?? 0, ipproto: wanted.ipproto ?? 0, sport: wanted.sport ?? 0,
    dport: wanted.dport ?? 0, suppress: wanted.suppress ?? -1,
  };
  if (rule.suppress >= 0 && action !== FR_ACT_TO_TBL) throw answers("Invalid argument");
  const { iif, oif } = wanted;
  const same = rules.some((one) => keyOf(one) === keyOf(rule) && namesOf(netns, one).iif === iif && namesOf(netns, one).oif === oif);
  if (same && wanted.pref !== undefined) throw answers("File exists");
  talk(() => changeRule(netns, v6 ? NET_RULE6_ADD : NET_RULE_ADD, rule));
  if (iif === undefined && oif === undefined) return;
  let table = named.get(netns);
  if (table === undefined) named.set(netns, (table = new Map()));
  table.set(keyOf(rule), { ...(iif === undefined ? {} : { iif }), ...(oif === undefined ? {} : { oif }) });
}

/** fib_empty_table(): an action that is given goes with no table; the first without routes is taken. */
function emptyTable(netns: Netns): number {
  const taken = new Set(routeRecords(netns, 0).map(({ table }) => table));
  let table = 1;
  while (taken.has(table)) table++;
  return table;
}

/** fib_default_rule_pref(): one less than the second rule's. */
const lowest = (rules: readonly RuleRecord[]): number => {
  const second = rules[1];
  return second === undefined || second.pref === 0 ? 0 : second.pref - 1;
};

/** What `ip rule show` and `flush` choose by. */
interface Filter {
  pref?: number;
  table?: number;
  mark?: number;
  mask?: number;
  tos?: number;
  iif?: string;
  oif?: string;
  from?: ReturnType<typeof prefix>;
  to?: ReturnType<typeof prefix>;
}

function readFilter(context: IpContext, words: Words): Filter {
  const filter: Filter = {};
  for (; words.word !== undefined; words.skip()) {
    const word = words.word;
    if (word === "preference" || word === "order" || word === "priority" || word === "pref") {
      const text = words.next();
      const pref = unsigned(text.split("-")[0]!);
      if (pref === undefined) throw invalid("preference value is invalid\n", text);
      filter.pref = pref;
    } else if (word === "fwmark") {
      const [mark = "", mask] = words.next().split("/");
      const value = unsigned(mark);
      if (value === undefined) throw invalid("invalid fwmark\n", mark);
      filter.mark = value;
      if (mask === undefined) continue;
      const bits = unsigned(mask);
      if (bits === undefined) throw invalid("invalid fwmask\n", mask);
      filter.mask = bits;
    } else if (word === "tos" || word === "dsfield") filter.tos = Number.parseInt(words.next(), 16);
    else if (word === "dev" || word === "iif") filter.iif = words.next();
    else if (word === "oif") filter.oif = words.next();
    else if (abbreviates(word, "lookup") || abbreviates(word, "table")) {
      const text = words.next();
      const table = TABLES.number(text);
      if (table === undefined) throw invalid("invalid table id\n", text);
      filter.table = table;
    } else if (abbreviates(word, "from") || abbreviates(word, "src")) filter.from = prefix(words.next(), context.family);
    else {
      if (abbreviates(word, "dst") || abbreviates(word, "to")) words.next();
      filter.to = prefix(words.word!, context.family);
    }
  }
  return filter;
}

function show(context: IpContext, words: Words, flush: boolean): void {
  const { netns, streams, numeric } = context;
  const filter = readFilter(context, words);
  const inet6 = context.family === "inet6";
  const passes = (rule: RuleRecord): boolean => {
    const { iif, oif } = namesOf(netns, rule);
    return (filter.pref === undefined || filter.pref === rule.pref) && (filter.table === undefined || filter.table === rule.table) &&
      (filter.mark === undefined || (filter.mark === rule.mark && (rule.mark !== 0 || rule.mask !== 0))) && (filter.mask === undefined || filter.mask === rule.mask) &&
      (filter.tos === undefined || filter.tos === rule.tos) && (filter.iif === undefined || filter.iif === iif) && (filter.oif === undefined || filter.oif === oif) &&
      (filter.from === undefined || filter.from.bits === 0 || (rule.srcBits > 0 && inPrefix(rule.src, filter.from))) &&
      (filter.to === undefined || filter.to.bits === 0 || (rule.dstBits > 0 && inPrefix(rule.dst, filter.to)));
  };
  const rules = ruleRecords(netns, inet6 ? NET_RULE6_LIST : NET_RULE_LIST).filter(passes);
  if (flush) {
    // All but those of preference 0.
    for (const rule of rules) if (rule.pref !== 0) talk(() => remove(netns, rule, inet6));
    return;
  }
  const p = printer(context);
  const full = inet6 ? 128 : 32;
  p.array(undefined, () => {
    for (const rule of rules) {
      const { iif, oif, iifGone, oifGone } = namesOf(netns, rule);
      p.object(undefined, () => {
        p.any("priority", rule.pref, `${rule.pref}:\t`);
        if (rule.invert) p.any("not", null, "not ");
        const prefixed = (address: string, bits: number): string => (bits === full ? address : `${address}/${bits}`);
        p.fp(`from ${rule.srcBits === 0 ? "all" : prefixed(rule.src, rule.srcBits)}`);
        p.js("src", rule.srcBits === 0 ? "all" : rule.src);
        if (rule.srcBits !== 0 && rule.srcBits !== full) p.js("srclen", rule.srcBits);
        if (rule.dstBits !== 0) {
          p.fp(` to ${prefixed(rule.dst, rule.dstBits)}`);
          p.js("dst", rule.dst);
          if (rule.dstBits !== full) p.js("dstlen", rule.dstBits);
        }
        const hex = (value: number): string => `0x${value.toString(16)}`;
        if (rule.tos !== 0) p.any("tos", hex(rule.tos), ` tos ${hex(rule.tos)}`);
        if (rule.mark !== 0 || rule.mask !== 0) {
          p.any("fwmark", hex(rule.mark), ` fwmark ${hex(rule.mark)}`);
          if (rule.mask !== 0xffffffff) p.any("fwmask", hex(rule.mask), `/${hex(rule.mask)}`);
        }
        if (iif !== undefined) p.any("iif", iif, ` iif ${iif}`);
        if (iifGone) p.any("iif_detached", null, " [detached]");
        if (oif !== undefined) p.any("oif", oif, ` oif ${oif}`);
        if (oifGone) p.any("oif_detached", null, " [detached]");
        if (rule.ipproto !== 0) {
          const name = (numeric ? undefined : Object.entries(IP_PROTOCOLS).find(([, number]) => number === rule.ipproto)?.[0]) ?? `ipproto-${rule.ipproto}`;
          p.any("ipproto", name, ` ipproto ${name}`);
        }
        for (const key of ["sport", "dport"] as const) {
          const [first, last] = [rule[key] % 0x10000, Math.floor(rule[key] / 0x10000)];
          if (rule[key] === 0) continue;
          if (first === last) p.any(key, first, ` ${key} ${first}`);
          else {
            p.any(`${key}_start`, first, ` ${key} ${first}`);
            p.any(`${key}_end`, last, `-${last}`);
          }
        }
        if (rule.action === FR_ACT_TO_TBL || rule.table !== 0) {
          const table = TABLES.name(rule.table, numeric);
          p.any("table", table, ` lookup ${table}`);
          if (rule.suppress >= 0) p.any("suppress_prefixlen", rule.suppress, ` suppress_prefixlength ${rule.suppress}`);
        }
        if (rule.action === FR_ACT_GOTO) {
          p.any("goto", rule.target, ` goto ${rule.target}`);
          if (!rules.some(({ pref }) => pref === rule.target)) p.any("unresolved", null, " [unresolved]");
        } else if (rule.action === FR_ACT_NOP) p.any("nop", null, " nop");
        else if (rule.action !== FR_ACT_TO_TBL) {
          const name = numeric ? String(rule.action) : Object.entries(ACTIONS).find(([, number]) => number === rule.action)?.[0] ?? String(rule.action);
          p.any("action", name, ` ${name}`);
        }
        if (context.details) {
          const protocol = ORIGINAL.includes(rule.pref) ? "kernel" : "unspec";
          p.any("protocol", protocol, ` proto ${protocol}`);
        }
        p.fp("\n");
      });
    }
  });
  streams.stdout += p.take();
}

/** Preferences of the rules that a new namespace has. */
const ORIGINAL = [0, 32766, 32767];
