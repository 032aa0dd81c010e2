/**
 * nft's commands (nftables src/parser_bison.y, src/rule.c): each is carried out on the model at once; the transaction goes to the kernel
 * as one. Those about tables and the whole rule set stand here.
 */
import { appendRule, chainBlock, chainCommand, flushChain, ruleCommand } from "./chain-commands.ts";
import {
  EEXIST, ended, family, needTable, skipBlock, skipTo, tableName, type Commands,
} from "./command-context.ts";
import { flowtableCommand, listFlowtables, newFlowtable } from "./flowtables.ts";
import { Refused, refusedByKernel, scan, type Cursor, type Token } from "./lexer.ts";
import { formatTable, listingOf, tableText } from "./list.ts";
import type { Family, Table } from "./model.ts";
import { elementCommand, listObjects, newObject, newSet, objectCommand, setCommand } from "./set-commands.ts";

/** All commands of the text. */
export function runCommands(commands: Commands): void {
  const { cursor } = commands;
  for (cursor.separators(); cursor.token.kind !== "end"; cursor.separators()) {
    command(commands);
    if (!ended(cursor) && !cursor.is(";")) throw cursor.syntax("end of file or newline or semicolon");
  }
}

function command(commands: Commands): void {
  const { cursor } = commands;
  const { token } = cursor;
  if (token.kind === "word" && ["define", "redefine", "undefine"].includes(token.text)) return define(cursor);
  if (token.kind === "word" && token.text === "include") return include(commands);
  const verb = cursor.is("add", "create", "insert", "replace", "delete", "destroy", "flush", "list", "reset", "rename", "get")
    ? cursor.next().text : "add";
  const start = token.from;
  const object = cursor.token;
  switch (object.kind === "word" ? object.text : "") {
    case "table": cursor.next(); return tableCommand(commands, verb, start);
    case "chain": cursor.next(); return chainCommand(commands, verb, start);
    case "rule": cursor.next(); return ruleCommand(commands, verb);
    case "set": case "map": cursor.next(); return setCommand(commands, verb, object.text, start);
    case "element": cursor.next(); return elementCommand(commands, verb, start);
    case "counter": case "quota": case "limit": cursor.next(); return objectCommand(commands, verb, object.text);
    case "ct":
      if (cursor.peek().text !== "helper") break;
      cursor.next();
      cursor.next();
      return objectCommand(commands, verb, "ct helper");
    case "counters": case "quotas": case "limits": cursor.next(); return listObjects(commands, verb, object.text.slice(0, -1));
    case "ruleset": cursor.next(); return rulesetCommand(commands, verb);
    case "tables": case "chains": case "sets": case "maps":
      if (verb === "list") {
        cursor.next();
        return listAll(commands, object.text);
      }
      break;
    case "flowtable": cursor.next(); return flowtableCommand(commands, verb, start);
    case "flowtables":
      if (verb !== "list") break;
      cursor.next();
      return listFlowtables(commands);
    default:
  }
  if (verb === "add" && token === object) {
    // Without a verb and a kind it is a rule: `[family] table chain …`.
    if (token.kind !== "word") throw cursor.syntax();
    return ruleCommand(commands, "add");
  }
  throw cursor.syntax();
}

const INCLUDE_DEPTH = 16;
const DEFAULT_PATH = "/etc/";

/** `include "PATH"`: the file's words stand where the command stood, and what is wrong with them is said to be wrong with it. */
function include({ cursor, readFile }: Commands): void {
  const start = cursor.next();
  const path = cursor.name("quoted string");
  const place = { from: start.from, to: path.to };
  const text = readFile?.(path.text) ?? (path.text.startsWith("/") ? undefined : readFile?.(DEFAULT_PATH + path.text));
  if (text === undefined) {
    // A pattern that fits no file is no mistake.
    if (/[*?[]/.test(path.text)) return;
    throw new Refused(`File not found: ${path.text}`, place);
  }
  if (++cursor.includes > INCLUDE_DEPTH) throw new Refused("Include nested too deeply, max 16 levels", place);
  cursor.tokens.splice(cursor.at, 0, ...scan(text).filter(({ kind }) => kind !== "end").map((token) => ({ ...token, ...place })));
  expand(cursor);
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

// Tables

function newTable(commands: Commands, given: Family, name: string, comment: string | undefined, flags: readonly string[]): Table {
  const { tx, ruleset } = commands;
  tx.change(() => ruleset.handles++, () => ruleset.handles--);
  const table: Table = {
    family: given, name, handle: ruleset.handles, comment, flags, chains: new Map(), sets: new Map(), objects: new Map(), flowtables: new Map(), handles: 0,
  };
  tx.setIn(ruleset.tables, `${given} ${name}`, table);
  return table;
}

function tableCommand(commands: Commands, verb: string, start: number): void {
  const { cursor } = commands;
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
  let wrong: Refused | undefined;
  for (cursor.separators(); !cursor.is("}"); cursor.separators()) {
    definitions.push(...blockPart(commands, table, start));
    // What is wrong within a chain comes before what follows it.
    try {
      cursor.separated();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      wrong ??= error;
    }
  }
  cursor.next();
  for (const later of definitions) later();
  if (wrong !== undefined) throw wrong;
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
    case "flowtable": newFlowtable(commands, table, cursor.name(), "add", start); return [];
    case "ct": {
      cursor.expect("helper");
      const name = cursor.name();
      newObject(commands, table, "ct helper", name, "add");
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
          else {
            appendRule(commands, chain, "add", undefined, undefined);
            cursor.separated();
          }
        }
        cursor.at = Math.max(back, after);
      }];
    }
    case "elements": default:
      cursor.at--;
      throw cursor.syntax();
  }
}
function skipStatement(cursor: Cursor): void {
  while (cursor.token.kind !== "newline" && cursor.token.kind !== "end" && !cursor.is("}")) cursor.next();
}

function deleteTable(commands: Commands, table: Table): void {
  const { tx, ruleset } = commands;
  for (const chain of [...table.chains.values()]) tx.deleteChain(chain);
  for (const set of [...table.sets.values()]) tx.deleteSet(set);
  for (const flowtable of [...table.flowtables.values()]) tx.deleteFlowtable(flowtable);
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

