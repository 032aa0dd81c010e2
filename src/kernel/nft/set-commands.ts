/** nft's commands about sets, maps, their elements, and named counters, quotas and limits. */
import { HELPER_FTP, HELPER_TFTP } from "../../../assembly/abi/xtables.ts";
import { EEXIST, needTable, skipBlock, tableName, type Commands } from "./command-context.ts";
import { ENOENT, elementList, overlapping, type ReadElement } from "./elements.ts";
import { primary, type RuleContext } from "./expressions.ts";
import { Refused, refusedByKernel, type Cursor, type Token } from "./lexer.ts";
import { formatTable, listingOf, setText } from "./list.ts";
import { Writer, elementKey, isInterval, type NftObject, type NftSet, type Table } from "./model.ts";
import { statefulBody } from "./stateful.ts";
import { TYPES, parseTime, type DataType } from "./types.ts";

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

export function newSet(commands: Commands, table: Table, kind: string, name: Token, verb: string, start: number): void {
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
    if (token.text !== "elements") cursor.separated(`newline or semicolon${token.text === "type" ? " or ." : token.text === "flags" ? " or comma" : ""}`);
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
  const made = stateful.take();
  const set: NftSet = existing ?? {
    id: tx.id("set"), table, handle: tx.handle(table), name: name.text, anonymous: false, keyTypes, dataTypes, flags, timeout, gcInterval, size, policy,
    autoMerge, comment, typeOf, ops: made, opsText, elements: new Map(), use: 0,
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

export function setCommand(commands: Commands, verb: string, kind: string, start: number): void {
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
      ...(given.ops === undefined ? {} : { ops: given.ops }),
    });
  }
}
function compare(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return 0;
}

export function elementCommand(commands: Commands, verb: string, start: number): void {
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

/** `{ type "ftp" protocol tcp; [l3proto ip;] }` */
function newHelper(commands: Commands, table: Table, name: Token, verb: string): void {
  const { cursor, tx } = commands;
  const open = cursor.expect("{");
  let helper: string | undefined;
  let protocol = "";
  let l3 = table.family === "ip6" ? "ip6" : table.family === "inet" ? "inet" : "ip";
  for (cursor.separators(); !cursor.is("}"); cursor.separators()) {
    if (cursor.take("type")) {
      helper = cursor.name("quoted string").text;
      cursor.expect("protocol");
      if (!cursor.is("tcp", "udp")) throw cursor.syntax("tcp or udp");
      protocol = cursor.next().text;
    } else if (cursor.take("l3proto")) l3 = cursor.name().text;
    else throw cursor.syntax();
  }
  cursor.next();
  const number = HELPERS[`${helper} ${protocol}`];
  if (number === undefined) throw refusedByKernel(ENOENT, { from: open.from, to: cursor.previous.to });
  const key = `ct helper ${name.text}`;
  if (table.objects.has(key)) {
    if (verb === "create") throw refusedByKernel(EEXIST, name);
    return;
  }
  tx.setIn(table.objects, key, {
    id: tx.id("object"), table, handle: tx.handle(table), kind: "ct helper", name: name.text, ops: Uint8Array.of(0, 0, 0, number),
    text: `ct helper type "${helper}" protocol ${protocol}\n\t\tl3proto ${l3}`, comment: undefined, use: 0,
  });
}

const HELPERS: Readonly<Record<string, number>> = { "ftp tcp": HELPER_FTP, "tftp udp": HELPER_TFTP };

export function newObject(commands: Commands, table: Table, kind: string, name: Token, verb: string): void {
  const { cursor, tx } = commands;
  if (kind === "ct helper") return newHelper(commands, table, name, verb);
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

export function objectCommand(commands: Commands, verb: string, kind: string): void {
  const { cursor } = commands;
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

export function listObjects(commands: Commands, verb: string, kind: string): void {
  const only = commands.cursor.token.kind === "word" && commands.cursor.take("table") ? tableName(commands).found : undefined;
  for (const table of commands.ruleset.tables.values()) {
    if (only !== undefined && table !== only) continue;
    commands.output.push(formatTable(table, listingOf(commands.listing, table, kind)));
    if (verb === "reset") for (const object of table.objects.values()) if (object.kind === kind) commands.reset(object);
  }
}

