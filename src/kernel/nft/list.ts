/** The rule set as `nft list` prints it (nftables src/rule.c). */
import { elementText, sortedElements } from "./elements.ts";
import type { Chain, ListContext, NftObject, NftSet, Rule, Table } from "./model.ts";
import { formatTime } from "./types.ts";

export interface Listing {
  readonly stateless: boolean;
  readonly handles: boolean;
  /** The states of a chain's rules, by rule. */
  states(chain: Chain): readonly (readonly (readonly [bigint, bigint])[])[];
  object(object: NftObject): readonly [bigint, bigint];
  sync(set: NftSet): void;
  /** What nft says to stderr beside the listing. */
  readonly warn?: ((line: string) => void) | undefined;
}

/** `nft list ruleset`. */
export function rulesetText(listing: Listing, tables: Iterable<Table>): string {
  let text = "";
  for (const table of tables) text += tableText(listing, table);
  return text;
}

const handle = ({ handles }: Listing, number: number): string => handles ? ` # handle ${number}` : "";

/** Tables in which extensions of xtables stand are iptables-nft's. */
function warn({ warn }: Listing, table: Table): void {
  for (const chain of table.chains.values()) {
    if (chain.rules.some(({ iptables }) => iptables?.compat === true)) {
      warn?.(`# Warning: table ${table.family} ${table.name} is managed by iptables-nft, do not touch!\n`);
      return;
    }
  }
}

/** A table's block around the parts given, an empty line between any two. */
export function formatTable(table: Table, parts: readonly string[], opening = "", separator = "\n"): string {
  return `table ${table.family} ${table.name} {${opening}\n${parts.join(separator)}}\n`;
}

export function tableText(listing: Listing, table: Table): string {
  warn(listing, table);
  let head = "";
  if (table.flags.length > 0) head += `\tflags ${table.flags.join(",")}\n`;
  if (table.comment !== undefined) head += `\tcomment "${table.comment}"\n`;
  const parts = [
    ...[...table.objects.values()].map((object) => objectText(listing, object)),
    ...[...table.sets.values()].map((set) => setText(listing, set)),
    ...[...table.flowtables.values()].map((flowtable) => flowtableText(listing, flowtable)),
    ...[...table.chains.values()].map((chain) => chainText(listing, chain, true)),
  ];
  return `table ${table.family} ${table.name} {${handle(listing, table.handle)}\n${head}${parts.join("\n")}}\n`;
}

/** The parts that `nft list chains`, `sets`, `maps`, `counters` … print of a table. */
export function listingOf(listing: Listing, table: Table, what: string, only?: NftObject): string[] {
  switch (what) {
    case "chains": return [[...table.chains.values()].map((chain) => chainText(listing, chain, false)).join("")];
    case "sets": return [[...table.sets.values()].filter((set) => set.dataTypes === undefined).map((set) => setText(listing, set)).join("")];
    case "maps": return [[...table.sets.values()].filter((set) => set.dataTypes !== undefined).map((set) => setText(listing, set)).join("")];
    default:
      return [[...table.objects.values()].filter((object) => object.kind === what && (only === undefined || object === only))
        .map((object) => objectText(listing, object)).join("")];
  }
}

function objectText(listing: Listing, object: NftObject): string {
  const context: ListContext = { stateless: listing.stateless, state: () => listing.object(object) };
  const text = typeof object.text === "string" ? object.text : object.text(context);
  const comment = object.comment === undefined ? "" : `\t\tcomment "${object.comment}"\n`;
  const body = text.slice(object.kind.length + 1);
  return `\t${object.kind} ${object.name} {${handle(listing, object.handle)}\n${comment}${body === "" ? "" : `\t\t${body}\n`}\t}\n`;
}

const typeText = (set: NftSet): string => {
  const key = set.keyTypes.map((type) => type.name).join(" . ");
  const { dataTypes } = set;
  if (dataTypes === undefined) return key;
  return `${key} : ${typeof dataTypes === "string" ? dataTypes : dataTypes.map((type) => type.name).join(" . ")}`;
};

const FLAG_ORDER = ["constant", "dynamic", "interval", "timeout"];

export function setText(listing: Listing, set: NftSet): string {
  listing.sync(set);
  let text = `\t${set.dataTypes === undefined ? "set" : "map"} ${set.name} {${handle(listing, set.handle)}\n`;
  text += set.typeOf === undefined ? `\t\ttype ${typeText(set)}\n` : `\t\ttypeof ${set.typeOf}\n`;
  if (set.policy !== undefined && set.policy !== "performance") text += `\t\tpolicy ${set.policy}\n`;
  if (set.size !== 0) text += `\t\tsize ${set.size}\n`;
  const flags = FLAG_ORDER.filter((flag) => set.flags.has(flag));
  // A time out implies its flag.
  const shown = set.timeout !== 0 && !set.flags.has("dynamic") && flags.length === 1 && flags[0] === "timeout" ? flags : flags;
  if (shown.length > 0) text += `\t\tflags ${shown.join(",")}\n`;
  if (set.timeout !== 0) text += `\t\ttimeout ${formatTime(set.timeout)}\n`;
  if (set.gcInterval !== 0) text += `\t\tgc-interval ${formatTime(set.gcInterval)}\n`;
  if (set.autoMerge) text += `\t\tauto-merge\n`;
  if (set.opsText !== "") text += `\t\t${set.opsText.trim()}\n`;
  if (set.comment !== undefined) text += `\t\tcomment "${set.comment}"\n`;
  if (set.elements.size > 0) {
    const single = set.keyTypes.length === 1 ? (set.keyTypes[0]!.perLine ?? 1) : 1;
    let body = "";
    sortedElements(set).forEach((given, i) => {
      if (i > 0) body += i % single === 0 ? ",\n\t\t\t     " : ", ";
      body += elementText(set, given, listing.stateless);
    });
    text += `\t\telements = { ${body} }\n`;
  }
  return `${text}\t}\n`;
}

const PRIORITIES: readonly (readonly [string, number])[] = [
  ["raw", -300], ["mangle", -150], ["dstnat", -100], ["filter", 0], ["security", 50], ["srcnat", 100],
];

const BRIDGE_PRIORITIES: readonly (readonly [string, number])[] = [["dstnat", -300], ["filter", -200], ["out", 100], ["srcnat", 300]];

/** A priority by the name next to it, up to ten away (prio2str); dstnat and srcnat only where they belong. */
function priorityText(priority: number, hook: string, { family }: Table): string {
  const bridge = family === "bridge";
  for (const [name, value] of bridge ? BRIDGE_PRIORITIES : PRIORITIES) {
    if ((name === "dstnat" && hook !== "prerouting") || (name === "srcnat" && hook !== "postrouting") || (name === "out" && hook !== "output")) continue;
    if ((family === "arp" || family === "netdev") && name !== "filter") continue;
    const by = priority - value;
    if (by === 0) return name;
    if (Math.abs(by) <= 10) return `${name} ${by < 0 ? "-" : "+"} ${Math.abs(by)}`;
  }
  return String(priority);
}

const devicesText = (names: readonly string[] | undefined): string =>
  names === undefined ? "" : names.length === 1 ? ` device "${names[0]}"` : ` devices = { ${names.join(", ")} }`;

export function chainText(listing: Listing, chain: Chain, rules: boolean): string {
  let text = `\tchain ${chain.name} {${handle(listing, chain.handle)}\n`;
  if (chain.comment !== undefined && rules) text += `\t\tcomment "${chain.comment}"\n`;
  const { base } = chain;
  if (base !== undefined) {
    text += `\t\ttype ${base.type} hook ${base.hook}${devicesText(base.devices)} priority ${priorityText(base.priority, base.hook, chain.table)}; policy ${chain.policy};\n`;
  }
  if (rules) {
    const states = listing.states(chain);
    chain.rules.forEach((rule, i) => {
      text += `\t\t${ruleText(rule, listing.stateless, states[i] ?? [])}${handle(listing, rule.handle)}\n`;
    });
  }
  return `${text}\t}\n`;
}

export function flowtableText(listing: Listing, { name, handle: number, base, flowtable, table }: Chain): string {
  const devices = base!.devices!.length === 0 ? "" : `\t\tdevices = { ${base!.devices!.join(", ")} }\n`;
  return `\tflowtable ${name} {${handle(listing, number)}\n\t\thook ingress priority ${priorityText(base!.priority, "ingress", { ...table, family: "netdev" })}\n`
    + `${devices}${flowtable!.counter ? "\t\tcounter\n" : ""}\t}\n`;
}

/** A rule's statements as one line. */
export function ruleText(rule: Rule, stateless: boolean, states: readonly (readonly [bigint, bigint])[]): string {
  let next = 0;
  const context: ListContext = { stateless, state: () => states[next++] ?? [0n, 0n] };
  const parts: string[] = [];
  for (const segment of rule.segments) {
    const text = typeof segment === "string" ? segment : segment(context);
    if (text !== "") parts.push(text);
  }
  if (rule.comment !== undefined) parts.push(`comment "${rule.comment}"`);
  return parts.join(" ");
}
