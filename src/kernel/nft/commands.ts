/** nft's commands (nftables src/parser_bison.y, src/rule.c): each is carried out on the model at once; the transaction goes to the kernel as one. */
import type { RuleContext } from "./expressions.ts";
import { ENOENT, elementList, isVerdict, overlapping, type ReadElement } from "./elements.ts";
import { Refused, refusedByKernel, type Cursor, type Place, type Token } from "./lexer.ts";
import { chainText, formatTable, listingOf, setText, tableText, type Listing } from "./list.ts";
import {
  HOOKS, Writer, elementKey, isInterval, type Base, type Chain, type Family, type NftObject, type NftSet, type Rule, type Ruleset, type Table,
  type Transaction,
} from "./model.ts";
import { primary } from "./expressions.ts";
import { statefulBody, statements } from "./rule.ts";
import { TYPES, parseTime, type DataType } from "./types.ts";

export interface Commands {
  readonly ruleset: Ruleset;
  readonly cursor: Cursor;
  readonly tx: Transaction;
  readonly interfaces: DataType;
  readonly listing: Listing;
  /** Elements of a set that packets may change, as the kernel has them now. */
  sync(set: NftSet): void;
  /** Zeroes counters. */
  reset(what: Chain | NftObject): void;
  readonly output: string[];
}

const FAMILIES = ["ip", "ip6", "inet"];
const OTHER_FAMILIES = ["arp", "bridge", "netdev"];
const EEXIST = "File exists";
const EOPNOTSUPP = "Operation not supported";

/** All commands of the text. */
export function runCommands(commands: Commands): void {
  const { cursor } = commands;
  for (cursor.separators(); cursor.token.kind !== "end"; cursor.separators()) {
    command(commands);
    if (!ended(cursor) && !cursor.is(";")) throw cursor.syntax("end of file or newline or semicolon");
  }
}

/** At the end of a line or of the text? */
function ended(cursor: Cursor): boolean {
  const { kind } = cursor.token;
  return kind === "end" || kind === "newline";
}

function command(commands: Commands): void {
  const { cursor } = commands;
  const { token } = cursor;
  if (token.kind === "word" && ["define", "redefine", "undefine"].includes(token.text)) return define(cursor);
  if (token.kind === "word" && token.text === "include") throw new Refused("Could not open file: Permission denied", token);
  const verb = cursor.is("add", "create", "insert", "replace", "delete", "destroy", "flush", "list", "reset", "rename", "get")
    ? cursor.next().text : "add";
  const start = token.from;
  const object = cursor.token;
  switch (object.kind === "word" ? object.text : "") {
    case "table": cursor.next(); return tableCommand(commands, verb, start);
    case "chain": cursor.next(); return chainCommand(commands, verb, start);
    case "rule": cursor.next(); return ruleCommand(commands, verb, start);
    case "set": case "map": cursor.next(); return setCommand(commands, verb, object.text, start);
    case "element": cursor.next(); return elementCommand(commands, verb, start);
    case "counter": case "quota": case "limit": cursor.next(); return objectCommand(commands, verb, object.text, start);
    case "counters": case "quotas": case "limits": cursor.next(); return listObjects(commands, verb, object.text.slice(0, -1));
    case "ruleset": cursor.next(); return rulesetCommand(commands, verb);
    case "tables": case "chains": case "sets": case "maps":
      if (verb === "list") {
        cursor.next();
        return listAll(commands, object.text);
      }
      break;
    case "flowtable": {
      while (!ended(cursor)) {
        if (cursor.is("{")) skipBlock(cursor);
        else cursor.next();
      }
      throw refusedByKernel(ENOENT, { from: start, to: cursor.previous.to + 1 });
    }
    default:
  }
  if (verb === "add" && token === object) {
    // Without a verb and a kind it is a rule: `[family] table chain …`.
    if (token.kind !== "word") throw cursor.syntax();
    return ruleCommand(commands, "add", start);
  }
  throw cursor.syntax();
}

/** `define NAME = words`: put in wherever `$NAME` stands. */
function define(cursor: Cursor): void {
  const verb = cursor.next().text;
  const name = cursor.name().text;
  if (verb === "undefine") {
    cursor.defines.delete(name);
    return;
  }
  cursor.expect("=");
  const words: Token[] = [];
  let depth = 0;
  while (cursor.token.kind !== "end" && (depth > 0 || cursor.token.kind !== "newline") && !(depth === 0 && cursor.is(";"))) {
    if (cursor.is("{")) depth++;
    if (cursor.is("}")) depth--;
    words.push(cursor.next());
  }
  cursor.defines.set(name, words);
  expand(cursor);
}

/** Replaces `$NAME` in all that follows by what it stands for; a set within a set's braces is spread out. */
function expand(cursor: Cursor): void {
  const { tokens } = cursor;
  for (let i = cursor.at; i + 1 < tokens.length; i++) {
    if (tokens[i]!.kind !== "op" || tokens[i]!.text !== "$" || tokens[i + 1]!.kind !== "word") continue;
    const words = cursor.defines.get(tokens[i + 1]!.text);
    if (words === undefined) continue;
    const place = { from: tokens[i]!.from, to: tokens[i + 1]!.to };
    const before = tokens[i - 1]?.text;
    const inside = before === "{" || before === ",";
    const spread = inside && words[0]?.text === "{" ? words.slice(1, -1) : words;
    tokens.splice(i, 2, ...spread.map((word) => ({ ...word, ...place })));
    i--;
  }
}

function family(cursor: Cursor): Family {
  const { token } = cursor;
  if (token.kind === "word" && FAMILIES.includes(token.text)) {
    cursor.next();
    return token.text as Family;
  }
  if (token.kind === "word" && OTHER_FAMILIES.includes(token.text)) throw refusedByKernel(EOPNOTSUPP, token);
  return "ip";
}

interface Named {
  readonly family: Family;
  readonly table: Token;
  readonly found: Table | undefined;
}
function tableName(commands: Commands): Named {
  const { cursor, ruleset } = commands;
  const given = family(cursor);
  const table = cursor.name();
  return { family: given, table, found: ruleset.table(given, table.text) };
}

/** No such table: nft looks whether it is in another family (nft_cmd_enoent_table, table_not_found). */
function noTable(commands: Commands, { table }: Named, plain: boolean): Refused {
  for (const other of commands.ruleset.tables.values()) {
    if (other.name === table.text) return new Refused(`${ENOENT}; did you mean table ‘${other.name}’ in family ${other.family}?`, table);
  }
  return plain ? new Refused(ENOENT, table) : refusedByKernel(ENOENT, table);
}
function needTable(commands: Commands, named: Named, plain: boolean): Table {
  if (named.found === undefined) throw noTable(commands, named, plain);
  return named.found;
}
function handleOf(cursor: Cursor): { readonly number: number; readonly place: Place } | undefined {
  if (!cursor.is("handle")) return undefined;
  cursor.next();
  const place = cursor.token;
  return { number: cursor.number(), place };
}

// Tables

function newTable(commands: Commands, given: Family, name: string, comment: string | undefined, flags: readonly string[]): Table {
  const { tx, ruleset } = commands;
  tx.change(() => ruleset.handles++, () => ruleset.handles--);
  const table: Table = {
    family: given, name, handle: ruleset.handles, comment, flags, chains: new Map(), sets: new Map(), objects: new Map(), handles: 0,
  };
  tx.setIn(ruleset.tables, `${given} ${name}`, table);
  return table;
}

function tableCommand(commands: Commands, verb: string, start: number): void {
  const { cursor, tx } = commands;
  if (verb === "list" || verb === "flush" || verb === "delete" || verb === "destroy" || verb === "reset") {
    const named = tableName(commands);
    if (verb === "list" || verb === "reset") {
      commands.output.push(tableText(commands.listing, needTable(commands, named, true)));
      return;
    }
    if (verb === "destroy" && named.found === undefined) return;
    const table = needTable(commands, named, false);
    for (const chain of table.chains.values()) flushChain(commands, chain);
    if (verb !== "flush") deleteTable(commands, table);
    return;
  }
  const named = tableName(commands);
  const { table: name } = named;
  let table = named.found;
  if (table !== undefined && verb === "create") throw refusedByKernel(EEXIST, name);
  if (!cursor.is("{")) {
    if (table === undefined) newTable(commands, named.family, name.text, undefined, []);
    return;
  }
  cursor.next();
  // The comment and the flags are the table's own; they may stand anywhere in the block.
  const [comment, flags] = tableOptions(cursor);
  table ??= newTable(commands, named.family, name.text, comment, flags);
  const definitions: (() => void)[] = [];
  for (cursor.separators(); !cursor.is("}"); cursor.separators()) definitions.push(...blockPart(commands, table, start));
  cursor.next();
  for (const later of definitions) later();
  void tx;
}

function tableOptions(cursor: Cursor): readonly [string | undefined, readonly string[]] {
  let comment: string | undefined;
  const flags: string[] = [];
  let depth = 0;
  for (let i = 0; cursor.peek(i).kind !== "end"; i++) {
    const token = cursor.peek(i);
    if (token.kind === "op" && token.text === "{") depth++;
    if (token.kind === "op" && token.text === "}" && depth-- === 0) break;
    if (depth !== 0 || token.kind !== "word") continue;
    if (token.text === "comment" && comment === undefined && cursor.peek(i + 1).kind === "string") comment = cursor.peek(i + 1).text;
    if (token.text === "flags") {
      for (let j = i + 1; cursor.peek(j).kind === "word" || cursor.peek(j).text === ","; j++) {
        if (cursor.peek(j).kind === "word") flags.push(cursor.peek(j).text);
      }
    }
  }
  return [comment, flags];
}

/** One thing in a table's block. Chains are made first and get their rules when all of the block is known. */
function blockPart(commands: Commands, table: Table, start: number): (() => void)[] {
  const { cursor } = commands;
  const token = cursor.next();
  switch (token.text) {
    case "comment": cursor.name("quoted string"); return [];
    case "flags": do cursor.name(); while (cursor.take(",")); return [];
    case "set": case "map": {
      const name = cursor.name();
      const at = cursor.at;
      skipBlock(cursor);
      const after = cursor.at;
      return [() => {
        const back = cursor.at;
        cursor.at = at;
        newSet(commands, table, token.text, name, "add", start);
        cursor.at = Math.max(back, after);
      }];
    }
    case "counter": case "quota": case "limit": {
      const name = cursor.name();
      newObject(commands, table, token.text, name, "add");
      return [];
    }
    case "chain": {
      const name = cursor.name();
      cursor.expect("{");
      const chain = chainBlock(commands, table, name, "add", { from: start, to: name.to });
      // Rules, to be read once all chains and sets of the block are there.
      const at = cursor.at;
      skipTo(cursor);
      const after = cursor.at;
      return [() => {
        const back = cursor.at;
        cursor.at = at;
        for (cursor.separators(); !cursor.is("}"); cursor.separators()) {
          if (cursor.is("type", "policy") || (cursor.is("comment") && cursor.peek().kind === "string")) skipStatement(cursor);
          else appendRule(commands, chain, "add", undefined, undefined);
        }
        cursor.at = Math.max(back, after);
      }];
    }
    case "elements": default:
      cursor.at--;
      throw cursor.syntax();
  }
}
function skipBlock(cursor: Cursor): void {
  cursor.expect("{");
  skipTo(cursor);
}
/** To behind the brace that closes what was opened. */
function skipTo(cursor: Cursor): void {
  for (let depth = 1; depth > 0; cursor.next()) {
    if (cursor.token.kind === "end" || cursor.token.kind === "junk") throw cursor.syntax();
    if (cursor.is("{")) depth++;
    if (cursor.is("}")) depth--;
  }
}
function skipStatement(cursor: Cursor): void {
  while (cursor.token.kind !== "newline" && cursor.token.kind !== "end" && !cursor.is("}")) cursor.next();
}

function deleteTable(commands: Commands, table: Table): void {
  const { tx, ruleset } = commands;
  for (const chain of [...table.chains.values()]) tx.deleteChain(chain);
  for (const set of [...table.sets.values()]) tx.deleteSet(set);
  for (const object of [...table.objects.values()]) tx.deleteObject(object);
  tx.setIn(ruleset.tables, `${table.family} ${table.name}`, undefined);
}

function rulesetCommand(commands: Commands, verb: string): void {
  const { cursor, ruleset } = commands;
  const only = cursor.token.kind === "word" ? family(cursor) : undefined;
  const tables = [...ruleset.tables.values()].filter((table) => only === undefined || table.family === only);
  if (verb === "flush") {
    for (const table of tables) {
      for (const chain of table.chains.values()) flushChain(commands, chain);
    }
    for (const table of tables) deleteTable(commands, table);
  } else if (verb === "list" || verb === "reset") commands.output.push(tables.map((table) => tableText(commands.listing, table)).join(""));
  else throw cursor.syntax();
}

function listAll({ output, ruleset, cursor, listing }: Commands, what: string): void {
  const only = cursor.token.kind === "word" ? family(cursor) : undefined;
  for (const table of ruleset.tables.values()) {
    if (only !== undefined && table.family !== only) continue;
    if (what === "tables") output.push(`table ${table.family} ${table.name}\n`);
    else output.push(formatTable(table, listingOf(listing, table, what)));
  }
}

// Chains

const PRIORITIES: Readonly<Record<string, number>> = { raw: -300, mangle: -150, dstnat: -100, filter: 0, security: 50, srcnat: 100 };
const BLOCK_HOOKS: Readonly<Record<Base["type"], readonly string[]>> = {
  filter: Object.keys(HOOKS), nat: ["prerouting", "input", "output", "postrouting"], route: ["output"],
};

/** A priority: a number, or a name with a number added to it or taken from it. */
function priority(cursor: Cursor, from: Token): number {
  const sign = cursor.is("-") ? -1 : 1;
  if (cursor.is("-", "+")) cursor.next();
  if (cursor.token.kind === "number") return sign * cursor.number();
  const name = cursor.name();
  const base = PRIORITIES[name.text];
  if (base === undefined) throw new Refused("invalid priority expression value in this context.", { from: from.from, to: name.to });
  if (!cursor.is("+", "-")) return base;
  const by = cursor.next().text === "-" ? -1 : 1;
  return base + by * cursor.number();
}

/**
 * The options at the begin of a chain's block, from behind its brace; the chain is made or found. With `priority` unknown it
 * stays what it is.
 */
function chainBlock(commands: Commands, table: Table, name: Token, verb: string, whole: Place): Chain {
  const { cursor } = commands;
  let base: Base | undefined;
  let policy: "accept" | "drop" | undefined;
  let comment: string | undefined;
  let policyPlace: Place | undefined;
  for (cursor.separators(); cursor.is("type", "policy", "comment", "flags"); cursor.separators()) {
    const word = cursor.next().text;
    if (word === "comment") comment = cursor.name("quoted string").text;
    else if (word === "flags") {
      const flag = cursor.name();
      throw refusedByKernel(EOPNOTSUPP, flag);
    } else if (word === "policy") {
      policyPlace = cursor.token;
      if (!cursor.is("accept", "drop")) throw cursor.syntax("accept or drop or '$'");
      policy = cursor.next().text as "accept" | "drop";
    } else {
      const kind = cursor.name();
      if (!(kind.text in BLOCK_HOOKS)) throw new Refused("unknown chain type", kind);
      cursor.expect("hook");
      const hook = cursor.name();
      if (!(hook.text in HOOKS)) throw new Refused(hook.text === "ingress" || hook.text === "egress" ? `Could not process rule: ${EOPNOTSUPP}` : "unknown chain hook", hook);
      if (cursor.take("device")) throw refusedByKernel(EOPNOTSUPP, cursor.previous);
      const from = cursor.expect("priority");
      base = { type: kind.text as Base["type"], hook: hook.text, priority: priority(cursor, from) };
    }
  }
  const end = cursor.is("}") ? cursor.token.to + 1 : whole.to;
  const place = { from: whole.from, to: end };
  const existing = table.chains.get(name.text);
  if (existing !== undefined) {
    if (verb === "create") throw refusedByKernel(EEXIST, name);
    const was = existing.base;
    if (base !== undefined && (was === undefined || was.type !== base.type || was.hook !== base.hook || was.priority !== base.priority)) {
      throw refusedByKernel(was === undefined || was.priority === base.priority || was.hook !== base.hook ? EOPNOTSUPP : EEXIST, place);
    }
    if (policy !== undefined && policy !== existing.policy) {
      if (was === undefined) throw refusedByKernel(EOPNOTSUPP, policyPlace!);
      const before = existing.policy;
      const after = policy;
      commands.tx.change(() => (existing.policy = after), () => (existing.policy = before));
      commands.tx.chainChanged(existing);
    }
    return existing;
  }
  if (base !== undefined) {
    if (!BLOCK_HOOKS[base.type].includes(base.hook) || (base.type === "nat" && base.priority <= -200)) throw refusedByKernel(EOPNOTSUPP, place);
  }
  return newChain(commands, table, name.text, base, policy ?? "accept", comment);
}

function newChain(commands: Commands, table: Table, name: string, base: Base | undefined, policy: "accept" | "drop", comment: string | undefined): Chain {
  const { tx } = commands;
  const chain: Chain = { id: tx.id("chain"), table, handle: tx.handle(table), name, base, policy, comment, rules: [], use: 0 };
  tx.setIn(table.chains, name, chain);
  tx.chainChanged(chain);
  return chain;
}

function flushChain(commands: Commands, chain: Chain): void {
  for (const rule of chain.rules) commands.tx.release(rule);
  commands.tx.rules(chain, []);
}

function chainCommand(commands: Commands, verb: string, start: number): void {
  const { cursor, tx } = commands;
  const named = tableName(commands);
  const name = cursor.name();
  if (verb === "add" || verb === "create") {
    const table = needTable(commands, named, true);
    if (cursor.is("{")) {
      cursor.next();
      let depth = 0;
      let end = name.to;
      for (let i = 0; cursor.peek(i).kind !== "end"; i++) {
        const token = cursor.peek(i);
        if (token.kind === "op" && token.text === "{") depth++;
        if (token.kind === "op" && token.text === "}" && depth-- === 0) {
          // Up to and with what ends the line.
          end = token.to + 1;
          break;
        }
      }
      const chain = chainBlock(commands, table, name, verb, { from: start, to: end });
      for (cursor.separators(); !cursor.is("}"); cursor.separators()) appendRule(commands, chain, "add", undefined, undefined);
      cursor.next();
      return;
    }
    const existing = table.chains.get(name.text);
    if (existing === undefined) newChain(commands, table, name.text, undefined, "accept", undefined);
    else if (verb === "create") throw refusedByKernel(EEXIST, name);
    return;
  }
  if (verb === "list") {
    const table = needTable(commands, named, true);
    const chain = table.chains.get(name.text);
    if (chain === undefined) throw new Refused(ENOENT, name);
    commands.output.push(formatTable(table, [chainText(commands.listing, chain, true)]));
    return;
  }
  if (verb === "destroy" && named.found?.chains.get(name.text) === undefined) return;
  const table = needTable(commands, named, false);
  const chain = table.chains.get(name.text);
  if (chain === undefined) throw refusedByKernel(ENOENT, name);
  if (verb === "flush") flushChain(commands, chain);
  else if (verb === "rename") {
    const to = cursor.name();
    if (table.chains.has(to.text)) throw refusedByKernel(EEXIST, to);
    const entries = [...table.chains];
    const from = chain.name;
    tx.change(() => rename(table, entries, chain, to.text), () => rename(table, entries, chain, from));
  } else if (verb === "delete" || verb === "destroy") {
    if (cursor.is("{")) skipBlock(cursor);
    if (chain.use - chain.rules.reduce((sum, rule) => sum + rule.chains.filter((to) => to === chain).length, 0) > 0 || chain.rules.some((rule) => rule.chains.includes(chain))) {
      throw refusedByKernel("Device or resource busy", name);
    }
    tx.deleteChain(chain);
  } else throw cursor.syntax();
}

function rename(table: Table, entries: readonly (readonly [string, Chain])[], chain: Chain, to: string): void {
  chain.name = to;
  table.chains.clear();
  for (const [, one] of entries) table.chains.set(one.name, one);
}

// Rules

function appendRule(commands: Commands, chain: Chain, verb: string, at: Rule | undefined, replaced: Rule | undefined): void {
  const { cursor, tx, interfaces } = commands;
  const { table } = chain;
  const context: RuleContext = {
    cursor, family: table.family, table, tx, interfaces, ops: new Writer(), segments: [], chains: [], sets: [], objects: [], checks: [],
    l3: undefined, l4: undefined, l3Segment: undefined, l4Segment: undefined, l4Place: undefined, l4Any: false, icmpType: false,
  };
  statements(context);
  if (context.segments.length === 0) throw cursor.syntax();
  let comment: string | undefined;
  if (cursor.take("comment")) comment = cursor.name("string").text;
  const rule: Rule = {
    handle: tx.handle(table), segments: context.segments, comment, ops: context.ops.take(), chains: context.chains, sets: context.sets,
    objects: context.objects, checks: context.checks, kept: false,
  };
  tx.hold(rule);
  const rules = [...chain.rules];
  if (replaced !== undefined) {
    tx.release(replaced);
    rules[rules.indexOf(replaced)] = rule;
  } else if (verb === "insert") rules.splice(at === undefined ? 0 : rules.indexOf(at), 0, rule);
  else rules.splice(at === undefined ? rules.length : rules.indexOf(at) + 1, 0, rule);
  tx.rules(chain, rules);
}

function ruleCommand(commands: Commands, verb: string, start: number): void {
  const { cursor, tx } = commands;
  const named = tableName(commands);
  const name = cursor.name();
  const chainOf = (): Chain => {
    const chain = needTable(commands, named, false).chains.get(name.text);
    if (chain === undefined) throw refusedByKernel(ENOENT, name);
    return chain;
  };
  const byHandle = (chain: Chain, given: { number: number; place: Place }): Rule => {
    const rule = chain.rules.find((one) => one.handle === given.number);
    if (rule === undefined) throw refusedByKernel(ENOENT, given.place);
    return rule;
  };
  void start;
  if (verb === "delete" || verb === "destroy" || verb === "replace") {
    const given = handleOf(cursor);
    if (given === undefined) throw cursor.syntax("handle");
    const chain = chainOf();
    if (verb === "destroy" && !chain.rules.some((rule) => rule.handle === given.number)) return;
    const rule = byHandle(chain, given);
    if (verb === "replace") return appendRule(commands, chain, verb, undefined, rule);
    tx.release(rule);
    tx.rules(chain, chain.rules.filter((one) => one !== rule));
    return;
  }
  if (verb !== "add" && verb !== "insert" && verb !== "create") throw cursor.syntax();
  let at: Rule | undefined;
  const position = cursor.is("position");
  if (cursor.is("handle", "position")) {
    cursor.next();
    const place = cursor.token;
    at = byHandle(chainOf(), { number: cursor.number(), place });
  } else if (cursor.is("index")) {
    const from = cursor.next().from;
    const index = cursor.number();
    at = chainOf().rules[index];
    if (at === undefined) throw refusedByKernel(ENOENT, { from, to: cursor.previous.to });
  }
  void position;
  const table = named.found;
  const chain = table?.chains.get(name.text);
  if (chain === undefined) {
    // The statements are read all the same: what nft can't parse it says first. Only then does the kernel miss the chain.
    if (!startsRule(cursor)) throw cursor.syntax();
    chainOf();
  }
  appendRule(commands, chain!, verb, at, undefined);
}
const startsRule = (cursor: Cursor): boolean => cursor.token.kind === "word" || isVerdict(cursor);

// Sets and maps

const SET_FLAGS = ["constant", "interval", "timeout", "dynamic"];

function readTypes(cursor: Cursor): DataType[] {
  const types: DataType[] = [];
  do {
    const name = cursor.name();
    const found = TYPES.get(name.text);
    if (found === undefined) throw new Refused(`unknown datatype ${name.text}`, name);
    types.push(found);
  } while (cursor.take("."));
  return types;
}

function time(cursor: Cursor): number {
  const token = cursor.next();
  const ms = parseTime(token.text);
  if (ms === undefined) throw new Refused("syntax error, unexpected string", token);
  return ms;
}

function newSet(commands: Commands, table: Table, kind: string, name: Token, verb: string, start: number): void {
  const { cursor, tx, interfaces } = commands;
  const open = cursor.expect("{", "'{'");
  let keyTypes: readonly DataType[] | undefined;
  let dataTypes: NftSet["dataTypes"];
  const flags = new Set<string>();
  let timeout = 0;
  let gcInterval = 0;
  let size = 0;
  let policy: string | undefined;
  let autoMerge = false;
  let comment: string | undefined;
  let typeOf: string | undefined;
  let elementsAt: number | undefined;
  let elementsEnd = 0;
  const stateful = new Writer();
  let opsText = "";
  let typeError: Refused | undefined;
  const datum = (): NftSet["dataTypes"] => {
    if (cursor.is("verdict", "counter", "quota", "limit")) return cursor.next().text as "verdict";
    return readTypes(cursor);
  };
  for (cursor.separators(); !cursor.is("}"); cursor.separators()) {
    const token = cursor.next();
    switch (token.text) {
      case "type":
        try {
          keyTypes = readTypes(cursor);
        } catch (error) {
          if (!(error instanceof Refused) || !error.message.startsWith("unknown datatype")) throw error;
          typeError = error;
        }
        if (cursor.take(":")) dataTypes = datum();
        break;
      case "typeof": {
        const context = {
          cursor, family: table.family, table, tx, interfaces, ops: new Writer(), segments: [], chains: [], sets: [], objects: [], checks: [],
          l3: undefined, l4: undefined, l3Segment: undefined, l4Segment: undefined, l4Place: undefined, l4Any: true, icmpType: true,
        } as RuleContext;
        const parts = (): { types: DataType[]; text: string } => {
          const list = [primary(context)];
          while (cursor.take(".")) list.push(primary(context));
          return { types: list.flatMap((part) => part.types), text: list.map((part) => part.text).join(" . ") };
        };
        const key = parts();
        keyTypes = key.types;
        typeOf = key.text;
        if (cursor.take(":")) {
          if (cursor.is("verdict")) {
            dataTypes = "verdict";
            typeOf += ` : ${cursor.next().text}`;
          } else {
            const data = parts();
            dataTypes = data.types;
            typeOf += ` : ${data.text}`;
          }
        }
        break;
      }
      case "flags":
        do {
          if (!cursor.is(...SET_FLAGS)) throw cursor.syntax("constant or interval or dynamic or timeout");
          flags.add(cursor.next().text);
        } while (cursor.take(","));
        break;
      case "timeout": timeout = time(cursor); break;
      case "gc-interval": gcInterval = time(cursor); break;
      case "size": size = cursor.number(); break;
      case "policy": policy = cursor.name().text; break;
      case "auto-merge": autoMerge = true; break;
      case "comment": comment = cursor.name("quoted string").text; break;
      case "counter": case "limit": case "quota": case "last": {
        const segment = statefulBody(cursor, stateful, token.text);
        opsText += ` ${typeof segment === "string" ? segment : segment({ stateless: true, state: () => [0n, 0n] })}`;
        break;
      }
      case "elements":
        cursor.expect("=");
        elementsAt = cursor.at;
        skipBlock(cursor);
        elementsEnd = cursor.at;
        break;
      default:
        cursor.at--;
        throw cursor.syntax();
    }
  }
  const lastEnd = cursor.previous.to;
  cursor.next();
  if (keyTypes === undefined) {
    const missing = "set definition does not specify key";
    const place = { from: open.from, to: lastEnd };
    throw typeError === undefined ? new Refused(missing, place) : typeError.also(missing, place);
  }
  if (kind === "map" && dataTypes === undefined) throw new Refused("map definition does not specify mapping data type", { from: start, to: name.to });
  if (timeout !== 0) flags.add("timeout");
  if (flags.has("dynamic") && size === 0) size = 65535;
  const existing = table.sets.get(name.text);
  if (existing !== undefined) {
    const same = existing.keyTypes.length === keyTypes.length && existing.keyTypes.every((one, i) => one === keyTypes[i])
      && [...flags].every((flag) => existing.flags.has(flag)) && flags.size === existing.flags.size;
    if (verb === "create" || !same) throw refusedByKernel(EEXIST, name);
  }
  const set: NftSet = existing ?? {
    id: tx.id("set"), table, handle: tx.handle(table), name: name.text, anonymous: false, keyTypes, dataTypes, flags, timeout, gcInterval, size, policy,
    autoMerge, comment, typeOf, ops: stateful.take(), opsText, elements: new Map(), use: 0,
  };
  if (existing === undefined) {
    tx.setIn(table.sets, set.name, set);
    tx.newSet(set);
  }
  if (elementsAt !== undefined) {
    cursor.at = elementsAt;
    addElements(commands, set, "add");
    cursor.at = elementsEnd;
    for (cursor.separators(); !cursor.is("}"); cursor.separators()) cursor.next();
    cursor.next();
  }
}

function setCommand(commands: Commands, verb: string, kind: string, start: number): void {
  const { cursor, tx } = commands;
  const named = tableName(commands);
  const name = cursor.name();
  if (verb === "add" || verb === "create") {
    if (!cursor.is("{")) throw cursor.syntax("'{'");
    return newSet(commands, needTable(commands, named, true), kind, name, verb, start);
  }
  if (verb === "list" || verb === "reset") {
    const table = needTable(commands, named, true);
    const set = table.sets.get(name.text);
    if (set === undefined) throw new Refused(ENOENT, name);
    commands.output.push(formatTable(table, [setText(commands.listing, set)]));
    return;
  }
  if (verb === "destroy" && named.found?.sets.get(name.text) === undefined) return;
  const table = needTable(commands, named, false);
  const set = table.sets.get(name.text);
  if (set === undefined) throw refusedByKernel(ENOENT, name);
  if (verb === "flush") {
    commands.sync(set);
    tx.flushSet(set);
  } else if (verb === "delete" || verb === "destroy") {
    if (set.use > 0) throw refusedByKernel("Device or resource busy", name);
    tx.deleteSet(set);
  } else throw cursor.syntax();
}

// Elements

function checkRanges(set: NftSet, elements: readonly ReadElement[]): void {
  if (isInterval(set)) return;
  const ranged = elements.find((given) => given.ranged);
  if (ranged !== undefined) {
    throw new Refused("You must add 'flags interval' to your set declaration if you want to add " +
      `${commandsRange(ranged)} elements`, ranged.place);
  }
}
const commandsRange = (given: ReadElement): string => (given.key.length === 4 || given.key.length === 16) && isPrefix(given) ? "prefix" : "range";
function isPrefix({ key, end }: ReadElement): boolean {
  let host = false;
  for (let i = 0; i < key.length; i++) {
    const differ = key[i]! ^ end[i]!;
    if (host && differ !== 255) return false;
    if (differ !== 0) {
      if (((differ + 1) & differ) !== 0 || (key[i]! & differ) !== 0) return false;
      host = true;
    }
  }
  return true;
}

function addElements(commands: Commands, set: NftSet, verb: string): void {
  const { cursor, tx } = commands;
  const elements = elementList(cursor, set, false);
  checkRanges(set, elements);
  for (const given of elements) {
    let { key, end } = given;
    const there = set.elements.get(elementKey(key, end, given.catchall));
    if (there !== undefined) {
      const same = there.verdict?.code === given.verdict?.code && there.verdict?.chain === given.verdict?.chain && there.object === given.object
        && String(there.data ?? "") === String(given.data ?? "");
      if (verb === "create" || !same) throw refusedByKernel(EEXIST, given.place);
      continue;
    }
    if (isInterval(set)) {
      let over = overlapping(set, given);
      while (over !== undefined) {
        if (!set.autoMerge) throw new Refused("interval overlaps with an existing one", given.place);
        tx.deleteElement(set, over);
        if (compare(over.key, key) < 0) key = over.key;
        if (compare(over.end, end) > 0) end = over.end;
        over = overlapping(set, { ...given, key, end });
      }
    }
    if (given.timeout !== 0 && !set.flags.has("timeout")) throw refusedByKernel("Invalid argument", given.place);
    if (set.size !== 0 && set.elements.size >= set.size) throw refusedByKernel("Too many open files in system", given.place);
    tx.addElement(set, {
      key, end, catchall: given.catchall, timeout: given.timeout, expires: given.expires, comment: given.comment,
      ...(given.data === undefined ? {} : { data: given.data }),
      ...(given.verdict === undefined ? {} : { verdict: { code: given.verdict.code, text: given.verdict.text, ...(given.verdict.chain === undefined ? {} : { chain: given.verdict.chain }) } }),
      ...(given.object === undefined ? {} : { object: given.object }),
    });
  }
}
function compare(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return 0;
}

function elementCommand(commands: Commands, verb: string, start: number): void {
  const { cursor, tx } = commands;
  const named = tableName(commands);
  const name = cursor.name();
  const table = needTable(commands, named, true);
  const set = table.sets.get(name.text);
  if (set === undefined) throw new Refused(ENOENT, name);
  commands.sync(set);
  if (verb === "add" || verb === "create") return addElements(commands, set, verb);
  if (verb !== "delete" && verb !== "destroy" && verb !== "get") throw cursor.syntax();
  const elements = elementList(cursor, set, true);
  const found = elements.map((given) => {
    const exact = set.elements.get(elementKey(given.key, given.end, given.catchall));
    if (exact !== undefined) return exact;
    if (verb === "get" && isInterval(set)) {
      return [...set.elements.values()].find((one) => compare(one.key, given.key) <= 0 && compare(one.end, given.end) >= 0);
    }
    return undefined;
  });
  found.forEach((one, i) => {
    if (one === undefined && verb !== "destroy") throw refusedByKernel(ENOENT, verb === "get" ? { from: start, to: cursor.previous.to + 1 } : elements[i]!.place);
    if (one !== undefined && verb !== "get") tx.deleteElement(set, one);
  });
  if (verb === "get") {
    const only = new Map(found.map((one) => [elementKey(one!.key, one!.end, one!.catchall), one!]));
    commands.output.push(formatTable(table, [setText(commands.listing, { ...set, elements: only, comment: undefined })]));
  }
}

// Named counters, quotas and limits

function newObject(commands: Commands, table: Table, kind: string, name: Token, verb: string): void {
  const { cursor, tx } = commands;
  const key = `${kind} ${name.text}`;
  const ops = new Writer();
  let text: NftObject["text"];
  let comment: string | undefined;
  if (cursor.take("{")) {
    cursor.separators();
    text = statefulBody(cursor, ops, kind);
    cursor.separators();
    if (cursor.take("comment")) comment = cursor.name("quoted string").text;
    cursor.separators();
    cursor.expect("}");
  } else text = statefulBody(cursor, ops, kind);
  if (table.objects.has(key)) {
    if (verb === "create") throw refusedByKernel(EEXIST, name);
    return;
  }
  const object: NftObject = {
    id: tx.id("object"), table, handle: tx.handle(table), kind: kind as NftObject["kind"], name: name.text, ops: ops.take(), text, comment, use: 0,
  };
  tx.setIn(table.objects, key, object);
  tx.newObject(object);
}

function objectCommand(commands: Commands, verb: string, kind: string, start: number): void {
  const { cursor } = commands;
  void start;
  const named = tableName(commands);
  const name = cursor.name();
  if (verb === "add" || verb === "create") return newObject(commands, needTable(commands, named, true), kind, name, verb);
  const table = needTable(commands, named, verb === "list");
  const object = table.objects.get(`${kind} ${name.text}`);
  if (object === undefined) {
    if (verb === "destroy") return;
    throw verb === "list" ? new Refused(ENOENT, name) : refusedByKernel(ENOENT, name);
  }
  if (verb === "list" || verb === "reset") {
    commands.output.push(formatTable(table, listingOf(commands.listing, table, kind, object)));
    if (verb === "reset") commands.reset(object);
    return;
  }
  if (verb !== "delete" && verb !== "destroy") throw cursor.syntax();
  if (object.use > 0) throw refusedByKernel("Device or resource busy", name);
  commands.tx.deleteObject(object);
}

function listObjects(commands: Commands, verb: string, kind: string): void {
  const only = commands.cursor.token.kind === "word" && commands.cursor.take("table") ? tableName(commands).found : undefined;
  for (const table of commands.ruleset.tables.values()) {
    if (only !== undefined && table !== only) continue;
    commands.output.push(formatTable(table, listingOf(commands.listing, table, kind)));
    if (verb === "reset") for (const object of table.objects.values()) if (object.kind === kind) commands.reset(object);
  }
}

