/** Elements of sets and maps, named and anonymous: how they are written, checked against each other and printed. */
import { NFTV_CONTINUE, NFTV_GOTO, NFTV_JUMP, NFTV_RETURN } from "../../../assembly/abi/nft.ts";
import { NF_ACCEPT, NF_DROP } from "../../../assembly/abi/netfilter.ts";
import { Refused, refusedByKernel, type Cursor, type Place, type Token } from "./lexer.ts";
import { Writer, elementKey, isInterval, keyBytes, padded, type NftSet, type SetElement, type Table, type Verdict } from "./model.ts";
import { elementStatesText, startsStateful, statefulBody } from "./stateful.ts";
import { bytesOf, compareBytes, formatTime, parseTime, type DataType } from "./types.ts";

export const ENOENT = "No such file or directory";

/** A value, or a range of them, of one type. */
export interface Value extends Place {
  readonly from_: Uint8Array;
  readonly to_: Uint8Array;
  readonly prefix: number | undefined;
  readonly wildcard: boolean;
}

/** Reads `$name`s away before a value. */
export function operand(cursor: Cursor): Token {
  const { token } = cursor;
  if (token.kind !== "word" && token.kind !== "number" && token.kind !== "address" && token.kind !== "string") throw cursor.syntax();
  return cursor.next();
}

/** One value of a type: `a`, `a-b`, `a/n`, `a*`, or for sets of bits `a,b` and `(a|b)`. */
export function value(cursor: Cursor, type: DataType, commas = false): Value {
  const start = cursor.token.from;
  if (type.bitmask && cursor.take("(")) {
    const inner = bits(cursor, type, ["|"]);
    cursor.expect(")");
    return { from: start, to: cursor.previous.to, from_: inner, to_: inner, prefix: undefined, wildcard: false };
  }
  if (type.bitmask) {
    const inner = bits(cursor, type, commas ? [",", "|"] : ["|"]);
    return { from: start, to: cursor.previous.to, from_: inner, to_: inner, prefix: undefined, wildcard: false };
  }
  const bracket = cursor.take("[");
  let token = operand(cursor);
  if (type.name === "classid" && cursor.take(":")) {
    const minor = operand(cursor);
    token = { ...token, text: `${token.text}:${minor.text}`, to: minor.to };
  }
  if (bracket) cursor.expect("]");
  if (type.name === "ifname" && token.text.endsWith("*")) {
    const text = token.text.endsWith("\\*") ? `${token.text.slice(0, -2)}*` : token.text.slice(0, -1);
    const parsed = type.parse({ ...token, text });
    return { from: start, to: token.to, from_: parsed, to_: parsed, prefix: text.length * 8, wildcard: !token.text.endsWith("\\*") };
  }
  const first = type.parse(token);
  if (cursor.is("/") && (type.name === "ipv4_addr" || type.name === "ipv6_addr")) {
    cursor.next();
    const length = cursor.number();
    const to = cursor.previous.to;
    if (length > type.bits) throw new Refused(`Prefix length ${length} is invalid for type of ${type.bits} bits width`, { from: start, to });
    const [low, high] = prefixRange(first, length);
    return { from: start, to, from_: low, to_: high, prefix: length, wildcard: false };
  }
  if (cursor.is("-")) {
    cursor.next();
    const last = type.parse(operand(cursor));
    const place = { from: start, to: cursor.previous.to };
    if (compareBytes(last, first) < 0) throw new Refused("Range has zero or negative size", place);
    return { ...place, from_: first, to_: last, prefix: undefined, wildcard: false };
  }
  return { from: start, to: cursor.previous.to, from_: first, to_: first, prefix: undefined, wildcard: false };
}

export function prefixRange(address: Uint8Array, length: number): [Uint8Array, Uint8Array] {
  const low = address.slice();
  const high = address.slice();
  for (let i = 0; i < address.length; i++) {
    const mask = length >= (i + 1) * 8 ? 255 : length <= i * 8 ? 0 : (0xff00 >> (length - i * 8)) & 255;
    low[i]! &= mask;
    high[i]! |= ~mask & 255;
  }
  return [low, high];
}

function bits(cursor: Cursor, type: DataType, separators: readonly string[]): Uint8Array {
  const all = type.parse(operand(cursor)).slice();
  while (separators.some((separator) => cursor.is(separator)) && cursor.peek().kind === "word") {
    cursor.next();
    const more = type.parse(operand(cursor));
    for (let i = 0; i < all.length; i++) all[i]! |= more[i]!;
  }
  return all;
}

/** `accept`, `jump chain` … */
export function verdict(cursor: Cursor, table: Table): Verdict & Place {
  const token = cursor.token;
  const simple: Readonly<Record<string, number>> = { accept: NF_ACCEPT, drop: NF_DROP, continue: NFTV_CONTINUE, return: NFTV_RETURN };
  const code = token.kind === "word" ? simple[token.text] : undefined;
  if (code !== undefined) {
    cursor.next();
    return { code, text: token.text, from: token.from, to: token.to };
  }
  if (!cursor.is("jump", "goto")) throw cursor.syntax();
  cursor.next();
  const name = cursor.name();
  const chain = table.chains.get(name.text);
  return {
    code: token.text === "jump" ? NFTV_JUMP : NFTV_GOTO, text: token.text, from: name.from, to: name.to,
    ...(chain === undefined ? {} : { chain }),
  };
}
export const isVerdict = (cursor: Cursor): boolean => cursor.is("accept", "drop", "continue", "return", "jump", "goto");

/** The chain a jump goes to has to be there and no base chain (nft_verdict_init). */
export function checkVerdict(given: Verdict, place: Place): void {
  if (given.code !== NFTV_JUMP && given.code !== NFTV_GOTO) return;
  if (given.chain === undefined) throw refusedByKernel(ENOENT, place);
  if (given.chain.base !== undefined) throw refusedByKernel("Operation not supported", place);
}

export function verdictText({ text, chain }: Verdict): string {
  return chain === undefined ? text : `${text} ${chain.name}`;
}

/** A value of several types, `a . b`, as bytes padded to registers. */
export function tuple(cursor: Cursor, types: readonly DataType[]): { from: number; to: number; low: Uint8Array; high: Uint8Array; ranged: boolean } {
  const size = keyBytes(types);
  const low = new Uint8Array(size);
  const high = new Uint8Array(size);
  let at = 0;
  let ranged = false;
  const start = cursor.token.from;
  types.forEach((type, i) => {
    if (i > 0) cursor.expect(".");
    const part = value(cursor, type);
    if (compareBytes(part.from_, part.to_) !== 0 || (part.prefix !== undefined && !part.wildcard)) ranged = true;
    low.set(part.from_, at);
    high.set(part.to_, at);
    if (part.wildcard) {
      ranged = true;
      high.fill(255, at + part.prefix! / 8, at + 16);
    }
    at += padded(bytesOf(type.bits));
  });
  return { from: start, to: cursor.previous.to, low, high, ranged };
}

export interface ReadElement extends SetElement {
  readonly place: Place;
  readonly ranged: boolean;
}
/** How a set takes its elements. */
export type ElementShape = Pick<NftSet, "keyTypes" | "dataTypes" | "table">;

/** `{ element, … }`, the braces included. `keysOnly`: data may be left out (delete, get). */
export function elementList(cursor: Cursor, shape: ElementShape, keysOnly: boolean): ReadElement[] {
  cursor.expect("{");
  const elements: ReadElement[] = [];
  cursor.newlines();
  while (!cursor.is("}")) {
    elements.push(element(cursor, shape, keysOnly));
    cursor.newlines();
    if (!cursor.take(",")) break;
    cursor.newlines();
  }
  cursor.expect("}");
  return elements;
}

function time(cursor: Cursor): number {
  const token = operand(cursor);
  const ms = parseTime(token.text);
  if (ms === undefined) throw new Refused("Can't parse time", token);
  return ms;
}

function element(cursor: Cursor, { keyTypes, dataTypes, table }: ElementShape, keysOnly: boolean): ReadElement {
  const catchall = cursor.is("*");
  const start = cursor.token.from;
  let key = new Uint8Array(keyBytes(keyTypes));
  let end = key;
  let ranged = false;
  if (catchall) cursor.next();
  else {
    const read = tuple(cursor, keyTypes);
    key = new Uint8Array(read.low);
    end = new Uint8Array(read.high);
    ranged = read.ranged;
  }
  const place = { from: start, to: cursor.previous.to };
  const made: { -readonly [K in keyof ReadElement]: ReadElement[K] } = {
    key, end, catchall, timeout: 0, expires: 0, comment: undefined, place, ranged,
  };
  const stateful = new Writer();
  while (cursor.is("timeout", "expires", "comment") || startsStateful(cursor)) {
    const word = cursor.next().text;
    if (word === "timeout") made.timeout = time(cursor);
    else if (word === "expires") made.expires = time(cursor);
    else if (word === "comment") made.comment = cursor.name("quoted string").text;
    else statefulBody(cursor, stateful, word);
  }
  if (stateful.length > 0) made.ops = stateful.take();
  if (dataTypes === undefined) {
    if (cursor.is(":")) throw refusedByKernel("Invalid argument", place);
    return made;
  }
  cursor.newlines();
  if (!cursor.take(":")) {
    if (keysOnly) return made;
    throw refusedByKernel("Invalid argument", place);
  }
  cursor.newlines();
  if (dataTypes === "verdict") {
    const given = verdict(cursor, table);
    checkVerdict(given, place);
    made.verdict = given;
  } else if (typeof dataTypes === "string") {
    const name = cursor.name();
    const object = table.objects.get(`${dataTypes} ${name.text}`);
    if (object === undefined) throw refusedByKernel(ENOENT, place);
    made.object = object;
  } else {
    made.data = tuple(cursor, dataTypes).low;
  }
  return made;
}

/** Ranges that touch or overlap become one (interval_map_decompose, setelem_automerge). */
export function mergeRanges(elements: readonly ReadElement[]): ReadElement[] {
  const sorted = [...elements].sort((a, b) => compareBytes(a.key, b.key));
  const merged: ReadElement[] = [];
  for (const next of sorted) {
    const last = merged.at(-1);
    if (last !== undefined && next.verdict === undefined && next.data === undefined && !next.catchall
      && compareBytes(next.key, successor(last.end)) <= 0) {
      if (compareBytes(next.end, last.end) > 0) merged[merged.length - 1] = { ...last, end: next.end };
      continue;
    }
    merged.push(next);
  }
  return merged;
}

export function successor(bytes: Uint8Array): Uint8Array {
  const next = bytes.slice();
  for (let i = next.length - 1; i >= 0; i--) {
    if (next[i] !== 255) {
      next[i]!++;
      return next;
    }
    next[i] = 0;
  }
  return bytes;
}

/** Is the key one of those that the element stands for? */
function within(set: NftSet, there: SetElement, key: Uint8Array): boolean {
  let at = 0;
  for (const type of set.keyTypes) {
    const end = at + bytesOf(type.bits);
    const field = key.subarray(at, end);
    if (compareBytes(there.key.subarray(at, end), field) > 0 || compareBytes(field, there.end.subarray(at, end)) > 0) return false;
    at += padded(bytesOf(type.bits));
  }
  return true;
}

/** An element of the set that `given` overlaps with, its own double left out. */
export function overlapping(set: NftSet, given: SetElement): SetElement | undefined {
  for (const there of set.elements.values()) {
    if (there.catchall || given.catchall) continue;
    // What touches counts, too, where ranges are merged.
    if (set.autoMerge && set.keyTypes.length === 1
      && (compareBytes(successor(there.end), given.key) === 0 || compareBytes(successor(given.end), there.key) === 0)) return there;
    if (set.keyTypes.length > 1) {
      // Of several fields only where it begins and where it ends are looked for (nft_pipapo_insert).
      const same = elementKey(there.key, there.end, false) === elementKey(given.key, given.end, false);
      if (!same && (within(set, there, given.key) || within(set, there, given.end))) return there;
      continue;
    }
    let at = 0;
    let apart = false;
    for (const type of set.keyTypes) {
      const end = at + bytesOf(type.bits);
      apart ||= compareBytes(there.end.subarray(at, end), given.key.subarray(at, end)) < 0
        || compareBytes(given.end.subarray(at, end), there.key.subarray(at, end)) < 0;
      at += padded(bytesOf(type.bits));
    }
    if (!apart && elementKey(there.key, there.end, false) !== elementKey(given.key, given.end, false)) return there;
  }
  return undefined;
}

// Text

const isAddress = (type: DataType): boolean => type.name === "ipv4_addr" || type.name === "ipv6_addr";

/** A range as nft prints it: one value, a prefix, or both ends. */
export function rangeText(type: DataType, low: Uint8Array, high: Uint8Array): string {
  if (compareBytes(low, high) === 0) return type.format(low);
  if (type.name === "ifname") return `${type.format(low).slice(0, -1)}*"`;
  if (isAddress(type)) {
    for (let length = 0; length < type.bits; length++) {
      const [from, to] = prefixRange(low, length);
      if (compareBytes(from, low) === 0 && compareBytes(to, high) === 0) return `${type.format(low)}/${length}`;
    }
  }
  return `${type.format(low)}-${type.format(high)}`;
}

export function tupleText(types: readonly DataType[], low: Uint8Array, high: Uint8Array = low): string {
  let at = 0;
  return types.map((type) => {
    const length = bytesOf(type.bits);
    const text = rangeText(type, low.subarray(at, at + length), high.subarray(at, at + length));
    at += padded(length);
    return text;
  }).join(" . ");
}

/** In the order in which nft lists elements: of one field by value, of several by their bytes read backwards (list_expr_sort). */
export function sortedElements(set: NftSet): SetElement[] {
  const single = set.keyTypes.length === 1;
  // Intervals of several fields stay as they came.
  if (!single && isInterval(set)) return [...set.elements.values()];
  return [...set.elements.values()].sort((a, b) => {
    if (a.catchall !== b.catchall) return a.catchall ? 1 : -1;
    if (single) return compareBytes(a.key, b.key);
    for (let i = a.key.length - 1; i >= 0; i--) if (a.key[i] !== b.key[i]) return a.key[i]! - b.key[i]!;
    return 0;
  });
}

export function elementText(set: NftSet, given: SetElement, stateless: boolean): string {
  let text = given.catchall ? "*" : tupleText(set.keyTypes, given.key, given.end);
  if (given.timeout !== 0 && given.timeout !== set.timeout) text += ` timeout ${formatTime(given.timeout)}`;
  if (given.expires !== 0 && !stateless) text += ` expires ${formatTime(given.expires)}`;
  if (given.states !== undefined) text += elementStatesText(given.states, stateless);
  if (given.comment !== undefined) text += ` comment "${given.comment}"`;
  const { dataTypes } = set;
  if (given.verdict !== undefined) text += ` : ${verdictText(given.verdict)}`;
  else if (given.object !== undefined) text += ` : "${given.object.name}"`;
  else if (given.data !== undefined && Array.isArray(dataTypes)) text += ` : ${tupleText(dataTypes as readonly DataType[], given.data)}`;
  return text;
}

/** `{ a, b }` of a set without a name. */
export function anonymousText(set: NftSet): string {
  return `{ ${sortedElements(set).map((given) => elementText(set, given, true)).join(", ")} }`;
}

