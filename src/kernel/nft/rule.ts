/** A rule: statements read, checked as nft does (nftables src/evaluate.c), turned into operations and into the text nft lists. */
import * as abi from "../../../assembly/abi/nft.ts";
import {
  checkVerdict, anonymousText, elementList, isVerdict, mergeRanges, rangeText, tuple, tupleText, value, verdict, verdictText, ENOENT,
} from "./elements.ts";
import { concatenation, depend, dependIcmp, isHeader, primary, registersOf, startsExpression, type Expression, type RuleContext } from "./expressions.ts";
import { Refused, refusedByKernel, type Place } from "./lexer.ts";
import { elementKey, keyBytes, type NftSet, type SetElement } from "./model.ts";
import { dynamic, meter } from "./dynamic.ts";
import { flowStatement } from "./flowtables.ts";
import { startsStateful, statefulBody } from "./stateful.ts";
import { dupStatement, fwdStatement, helperStatement, queueStatement, tproxyStatement } from "./statements-more.ts";
import { logStatement, natStatement, rejectStatement } from "./statements.ts";
import { bytesOf, compareBytes, integerType, valueOf, type DataType } from "./types.ts";

const COMPARISONS: Readonly<Record<string, readonly [code: number, text: string]>> = {
  "==": [abi.NFTCMP_EQ, "=="], eq: [abi.NFTCMP_EQ, "=="], "!=": [abi.NFTCMP_NE, "!="], ne: [abi.NFTCMP_NE, "!="],
  "<": [abi.NFTCMP_LT, "<"], lt: [abi.NFTCMP_LT, "<"], "<=": [abi.NFTCMP_LE, "<="], le: [abi.NFTCMP_LE, "<="],
  ">": [abi.NFTCMP_GT, ">"], gt: [abi.NFTCMP_GT, ">"], ">=": [abi.NFTCMP_GE, ">="], ge: [abi.NFTCMP_GE, ">="],
};
const BINARY: Readonly<Record<string, "&" | "|" | "^" | "<<" | ">>">> = {
  "&": "&", and: "&", "|": "|", or: "|", "^": "^", xor: "^", "<<": "<<", lshift: "<<", ">>": ">>", rshift: ">>",
};

/** Statements up to the end of the line, `;` or `}`. */
export function statements(context: RuleContext): void {
  const { cursor } = context;
  let terminal: Place | undefined;
  while (!(cursor.token.kind === "newline" || cursor.token.kind === "end" || cursor.is(";", "}", "comment"))) {
    if (terminal !== undefined) {
      const start = cursor.token;
      // What follows is read first: it may not even be nft's language.
      statement(context);
      throw new Refused("Statement after terminal statement has no effect", { from: start.from, to: cursor.previous.to }, terminal);
    }
    const from = cursor.token.from;
    if (statement(context)) terminal = { from, to: cursor.previous.to };
  }
}

function statement(context: RuleContext): boolean {
  const { cursor, segments, ops } = context;
  const { token } = cursor;
  if (isVerdict(cursor)) {
    const given = verdict(cursor, context.table);
    checkVerdict(given, given);
    ops.op(abi.NFTOP_VERDICT, 0, (w) => w.u32(given.code).u32(given.chain?.id ?? 0));
    if (given.chain !== undefined) context.chains.push(given.chain);
    segments.push(() => verdictText(given));
    return given.code !== abi.NFTV_CONTINUE;
  }
  switch (token.kind === "word" ? token.text : "") {
    case "counter": case "limit": case "quota": case "last": stateful(context); return false;
    case "log": logStatement(context); return false;
    case "reject": rejectStatement(context); return true;
    case "dnat": case "snat": case "masquerade": case "redirect": natStatement(context); return true;
    case "notrack":
      cursor.next();
      ops.op(abi.NFTOP_NOTRACK, 0);
      segments.push("notrack");
      return false;
    case "add": case "update": case "delete": dynamic(context); return false;
    case "meter": meter(context); return false;
    case "queue": queueStatement(context); return true;
    case "dup": dupStatement(context); return false;
    case "fwd": fwdStatement(context); return true;
    case "tproxy": tproxyStatement(context); return false;
    case "ct":
      if (startsStateful(cursor)) {
        stateful(context);
        return false;
      }
      if (cursor.peek().text === "helper" && cursor.peek(2).text === "set") {
        helperStatement(context);
        return false;
      }
      break;
    case "set": dynamic(context); return false;
    case "flow": flowStatement(context); return false;
    default:
  }
  if (startsExpression(cursor)) return match(context);
  // A word that begins nothing: bison reads it as the begin of an expression.
  if (token.kind === "word" && !isHeader(token.text)) {
    cursor.next();
    throw cursor.token.kind === "word" ? cursor.syntax() : cursor.syntax();
  }
  throw cursor.syntax();
}

/** `counter`, `limit rate …`, `quota …`, `last`, and the named ones. */
export function stateful(context: Pick<RuleContext, "cursor" | "ops" | "segments" | "objects" | "table">): void {
  const { cursor, ops, segments } = context;
  const word = cursor.next().text;
  if (cursor.is("name")) {
    cursor.next();
    if (startsExpression(cursor)) return objectMap(context as RuleContext, word);
    const name = cursor.name();
    const object = context.table.objects.get(`${word} ${name.text}`);
    if (object === undefined) throw refusedByKernel(ENOENT, name);
    ops.op(abi.NFTOP_OBJECT, 0, (w) => w.u32(object.id));
    context.objects.push(object);
    segments.push(`${word} name "${object.name}"`);
    return;
  }
  segments.push(statefulBody(cursor, ops, word));
}

/** `counter name KEY map @map`: the object is looked up. */
function objectMap(context: RuleContext, word: string): void {
  const { cursor, ops, segments } = context;
  const kind = word as "counter";
  const key = concatenation(context);
  cursor.expect("map");
  const set = cursor.is("@") ? setReference(context) : anonymousSet(context, key.types, kind);
  if (set.dataTypes !== kind) throw new Refused(`Expression is not a map with objects`, key);
  checkKey(set, key);
  key.load(ops, 0);
  ops.op(abi.NFTOP_OBJECT_MAP, 0, (w) => w.u32(set.id).u8(keyBytes(set.keyTypes), 0, 0, 0));
  segments.push(() => `${word} name ${key.text} map ${set.anonymous ? anonymousText(set) : `@${set.name}`}`);
}

/** `@name` */
export function setReference(context: RuleContext): NftSet {
  const { cursor } = context;
  const from = cursor.expect("@").from;
  const name = cursor.name();
  const set = context.table.sets.get(name.text);
  if (set === undefined) throw new Refused(ENOENT, { from, to: name.to });
  context.sets.push(set);
  return set;
}

export function checkKey(set: NftSet, expression: Expression): void {
  const same = set.keyTypes.length === expression.types.length
    && set.keyTypes.every((keyType, i) => bytesOf(keyType.bits) === bytesOf(expression.types[i]!.bits));
  if (!same) {
    throw new Refused(
      `datatype mismatch, expected ${describe(set.keyTypes)}, expression has type ${describe(expression.types)}`,
      expression,
    );
  }
}
const DESCRIPTIONS: Readonly<Record<string, string>> = {
  ipv4_addr: "IPv4 address", ipv6_addr: "IPv6 address", inet_service: "internet network service", inet_proto: "Internet protocol", mark: "packet mark",
  ether_addr: "Ethernet address", ifname: "network interface name", integer: "integer",
};
function describe(types: readonly DataType[]): string {
  if (types.length > 1) return `concatenation of (${types.map((one) => describe([one])).join(", ")})`;
  return DESCRIPTIONS[types[0]!.name] ?? types[0]!.name;
}

/** An anonymous set or map; the rule holds it. */
export function anonymousSet(context: RuleContext, keyTypes: readonly DataType[], dataTypes: NftSet["dataTypes"]): NftSet {
  const { tx, table, cursor } = context;
  const start = cursor.token.from;
  let elements = elementList(cursor, { keyTypes, dataTypes, table }, false);
  if (elements.length === 0) throw new Refused("Set is empty", { from: start, to: cursor.previous.to });
  const ranged = elements.some((given) => given.ranged);
  if (ranged && keyTypes.length === 1) elements = mergeRanges(elements);
  const byKey = new Map<string, SetElement>(elements.map((given) => [elementKey(given.key, given.end, given.catchall), given]));
  const set: NftSet = {
    id: tx.id("set"), table, handle: tx.handle(table), name: "__set%d", anonymous: true, keyTypes, dataTypes,
    flags: new Set(ranged ? ["constant", "interval"] : ["constant"]), timeout: 0, gcInterval: 0, size: 0, policy: undefined, autoMerge: false,
    comment: undefined, typeOf: undefined, ops: new Uint8Array(0), opsText: "", elements: new Map(), use: 0,
  };
  tx.newSet(set);
  for (const given of byKey.values()) tx.addElement(set, given);
  context.sets.push(set);
  return set;
}

/** A value that is looked up: `key map { … }`, `key map @name`; the data stand at `register`. */
export function mapLookup(context: RuleContext, key: Expression, dataTypes: readonly DataType[] | undefined): Expression {
  const { cursor } = context;
  const set = cursor.is("@") ? setReference(context) : anonymousSet(context, key.types, dataTypes ?? [integerType(32)]);
  if (!Array.isArray(set.dataTypes)) throw new Refused("Expression is not a map", key);
  checkKey(set, key);
  const data = set.dataTypes as readonly DataType[];
  return {
    from: key.from, to: cursor.previous.to, types: data,
    get text() {
      return `${key.text} map ${set.anonymous ? anonymousText(set) : `@${set.name}`}`;
    },
    load(ops, register) {
      key.load(ops, register);
      ops.op(abi.NFTOP_LOOKUP, register, (w) => w.u32(set.id).u8(abi.NFTLOOKUP_DATA, register, keyBytes(set.keyTypes), keyBytes(data)));
    },
  };
}

/** The operators behind an expression: `& 0xff`, `<< 8`. */
function binary(context: RuleContext, expression: Expression): Expression {
  const { cursor } = context;
  let made = expression;
  while (cursor.token.kind !== "string" && cursor.token.text in BINARY && made.types.length === 1) {
    const operator = BINARY[cursor.next().text]!;
    const before = made;
    const valueType = before.types[0]!;
    const length = bytesOf(valueType.bits);
    if (operator === "<<" || operator === ">>") {
      const by = cursor.number();
      made = {
        ...before, to: cursor.previous.to, binary: true, text: `${before.text} ${operator} ${by}`,
        load(ops, register) {
          before.load(ops, register);
          ops.op(abi.NFTOP_SHIFT, register, (w) => w.u8(register, Math.min(length, 4), operator === ">>" ? 1 : 0, by & 31));
        },
      };
      continue;
    }
    const operandValue = value(cursor, valueType.bitmask ? valueType : valueType);
    const bits = operandValue.from_;
    const invert = bits.map((byte) => ~byte & 255);
    made = {
      ...before, to: cursor.previous.to, binary: true,
      text: `${before.text} ${operator} ${valueType.bitmask && bits.length ? maskText(valueType, bits) : valueType.format(bits)}`,
      load(ops, register) {
        before.load(ops, register);
        const [mask, xor] = operator === "&" ? [bits, new Uint8Array(length)]
          : operator === "|" ? [invert, bits] : [new Uint8Array(length).fill(255), bits];
        ops.op(abi.NFTOP_BITWISE, register, (w) => w.u8(register, length).u16(0).data(mask).data(xor));
      },
    };
    delete (made as { store?: unknown }).store;
    delete (made as { names?: unknown }).names;
  }
  return made;
}

const maskText = (valueType: DataType, bits: Uint8Array): string => {
  const text = valueType.format(bits);
  return text.includes(",") ? `(${text.split(",").join(" | ")})` : text;
};

/** The value that is written: an expression, a map, or a constant of the type. */
function assigned(context: RuleContext, valueType: DataType): Expression {
  const { cursor } = context;
  if (startsExpression(cursor) && !(cursor.token.text === "mark" && false)) {
    const first = concatenation(context);
    if (cursor.take("map")) return mapLookup(context, first, [valueType]);
    return binary(context, first);
  }
  const given = value(cursor, valueType, true);
  return {
    ...given, types: [valueType], text: valueType.format(given.from_),
    load: (ops, register) => void ops.op(abi.NFTOP_IMMEDIATE, register, (w) => w.u32(given.from_.length).data(given.from_)),
  };
}

/** A match, an assignment or a verdict map, all of which begin with an expression. Is it terminal? */
function match(context: RuleContext): boolean {
  const { cursor, ops, segments } = context;
  const first = primary(context);
  if (cursor.is("set")) {
    cursor.next();
    if (first.store === undefined) throw new Refused("syntax error, unexpected set", cursor.previous);
    depend(context, first);
    const given = assigned(context, first.types[0]!);
    given.load(ops, 0);
    first.store(ops, 0);
    segments.push(() => `${first.text} set ${given.text}`);
    return false;
  }
  depend(context, first);
  if (first.text === "icmp type") context.icmpType = true;
  dependIcmp(context, first);
  let left = first;
  if (cursor.is(".")) left = continueConcatenation(context, first);
  left = binary(context, left);
  if (cursor.take("vmap")) {
    const set = cursor.is("@") ? setReference(context) : anonymousSet(context, left.types, "verdict");
    if (set.dataTypes !== "verdict") throw new Refused("Expression is not a verdict map", left);
    checkKey(set, left);
    left.load(ops, 0);
    ops.op(abi.NFTOP_LOOKUP, 0, (w) => w.u32(set.id).u8(abi.NFTLOOKUP_VERDICT, 0, keyBytes(set.keyTypes), 8));
    segments.push(() => `${left.text} vmap ${set.anonymous ? anonymousText(set) : `@${set.name}`}`);
    return false;
  }
  compare(context, left);
  return false;
}

function continueConcatenation(context: RuleContext, first: Expression): Expression {
  const { cursor } = context;
  cursor.expect(".");
  const rest = concatenation(context);
  return {
    from: first.from, to: rest.to, types: [...first.types, ...rest.types], text: `${first.text} . ${rest.text}`,
    load(ops, register) {
      first.load(ops, register);
      rest.load(ops, register + registersOf(first.types));
    },
  };
}

/** Is what follows a set in braces with one element and nothing else in it? */
function singleton(cursor: RuleContext["cursor"]): boolean {
  if (!cursor.is("{")) return false;
  for (let i = 1; ; i++) {
    const { kind, text } = cursor.peek(i);
    if (kind === "op" && text === "}") return i > 1;
    if (kind === "end" || kind === "newline" || (kind === "op" && text === ",") || (kind === "word" && ["timeout", "expires", "comment"].includes(text))) return false;
  }
}

function compare(context: RuleContext, left: Expression): void {
  const { cursor, ops, segments } = context;
  const operator = cursor.token.kind === "string" ? undefined : COMPARISONS[cursor.token.text];
  if (operator !== undefined) cursor.next();
  const [code, operatorText] = operator ?? [abi.NFTCMP_EQ, ""];
  const equality = code === abi.NFTCMP_EQ || code === abi.NFTCMP_NE;
  const not = code === abi.NFTCMP_NE;
  // A set of one value is that value (expr_evaluate_relational).
  const single = left.types.length === 1 && singleton(cursor);
  if (single) cursor.next();
  if (!single && cursor.is("{", "@")) {
    const set = cursor.is("@") ? setReference(context) : anonymousSet(context, left.types, undefined);
    checkKey(set, left);
    left.load(ops, 0);
    ops.op(abi.NFTOP_LOOKUP, 0, (w) => w.u32(set.id).u8(not ? abi.NFTLOOKUP_NOT : 0, 0, keyBytes(set.keyTypes), 0));
    segments.push(() => `${left.text} ${not ? "!= " : ""}${set.anonymous ? anonymousText(set) : `@${set.name}`}`);
    if (left.names === "l4" && !not) context.l4Any = true;
    return;
  }
  if (left.types.length > 1) {
    const given = tuple(cursor, left.types);
    left.load(ops, 0);
    ops.op(abi.NFTOP_CMP, 0, (w) => w.u8(code, given.low.length).u16(0).data(given.low));
    segments.push(`${left.text} ${not ? "!= " : ""}${tupleText(left.types, given.low)}`);
    return;
  }
  const valueType = left.types[0]!;
  const length = bytesOf(valueType.bits);
  if (valueType.name === "boolean" && !cursor.is("exists", "missing", "0", "1") && cursor.token.kind !== "number") throw cursor.syntax();
  const right = value(cursor, valueType, !single);
  if (single) cursor.expect("}");
  left.load(ops, 0);
  // `tcp flags syn / syn,ack`: of the bits on the right those on the left.
  if (valueType.bitmask && cursor.take("/")) {
    const mask = value(cursor, valueType, true);
    ops.op(abi.NFTOP_BITWISE, 0, (w) => w.u8(0, length).u16(0).data(mask.from_).data(new Uint8Array(length)));
    ops.op(abi.NFTOP_CMP, 0, (w) => w.u8(code, length).u16(0).data(right.from_));
    segments.push(`${left.text} ${not ? "!= " : ""}${valueType.format(right.from_)} / ${valueType.format(mask.from_)}`);
    return;
  }
  if (valueType.bitmask && !left.binary && (operator === undefined || (not && valueType.name !== "tcp_flag"))) {
    ops.op(abi.NFTOP_BITWISE, 0, (w) => w.u8(0, length).u16(0).data(right.from_).data(new Uint8Array(length)));
    ops.op(abi.NFTOP_CMP, 0, (w) => w.u8(not ? abi.NFTCMP_EQ : abi.NFTCMP_NE, length).u16(0).data(new Uint8Array(length)));
    segments.push(`${left.text} ${not ? "!= " : ""}${valueType.format(right.from_)}`);
    return;
  }
  if (right.prefix !== undefined && equality && valueType.name !== "ifname") {
    const mask = right.from_.map((byte, i) => ~(byte ^ right.to_[i]!) & 255);
    if (right.prefix < valueType.bits) ops.op(abi.NFTOP_BITWISE, 0, (w) => w.u8(0, length).u16(0).data(mask).data(new Uint8Array(length)));
    ops.op(abi.NFTOP_CMP, 0, (w) => w.u8(code, length).u16(0).data(right.from_));
  } else if (right.wildcard) {
    if (right.prefix !== 0) ops.op(abi.NFTOP_CMP, 0, (w) => w.u8(code, right.prefix! / 8).u16(0).data(right.from_.subarray(0, right.prefix! / 8)));
  } else if (compareBytes(right.from_, right.to_) !== 0) {
    if (!equality) throw new Refused(`Relational expression (${operatorText}) is undefined for range`, left);
    ops.op(abi.NFTOP_RANGE, 0, (w) => w.u8(not ? 1 : 0, length).u16(0).data(right.from_).data(right.to_));
  } else {
    ops.op(abi.NFTOP_CMP, 0, (w) => w.u8(code, length).u16(0).data(right.from_));
  }
  // Several bits that have to be just these are printed as a number.
  const several = valueType.bitmask && operator !== undefined && valueType.format(right.from_).includes(",");
  const text = several && !left.binary ? `0x${valueOf(right.from_).toString(16).padStart(2, "0")}` : right.wildcard ? `${valueType.format(right.from_).slice(0, -1)}*"` : rangeText(valueType, right.from_, right.to_);
  if (left.binary && valueType.bitmask && equality && /^(.*) & (.*)$/.test(left.text)) {
    const [, field, mask] = /^(.*) & \(?(.*?)\)?$/.exec(left.text)!;
    segments.push(`${field} ${not ? "!= " : ""}${valueOf(right.from_) === 0n ? "0x0" : text} / ${mask!.split(" | ").join(",")}`);
    return;
  }
  const network = left.binary && equality && valueType.name === "ipv4_addr" ? networkText(left.text, valueType, right.from_) : undefined;
  if (network !== undefined) {
    segments.push(`${left.text.slice(0, left.text.lastIndexOf(" & "))} ${not ? "!= " : ""}${network}`);
    return;
  }
  const printed = code === abi.NFTCMP_EQ ? (left.binary || (valueType.bitmask && operator !== undefined) ? "== " : "") : `${operatorText} `;
  if (left.names !== undefined && code === abi.NFTCMP_EQ && !left.binary && compareBytes(right.from_, right.to_) === 0) learn(context, left, right.from_);
  segments.push(() => `${left.text} ${printed}${right.wildcard || several ? text : rangeText(valueType, right.from_, right.to_)}`);
}

/** `ADDRESS/LENGTH` for `… & MASK` compared with an address of the network; undefined: it is no such mask. */
function networkText(text: string, valueType: DataType, address: Uint8Array): string | undefined {
  const mask = /^[\d.]+$/.exec(text.slice(text.lastIndexOf(" & ") + 3))?.[0];
  if (mask === undefined) return undefined;
  const bits = mask.split(".").map((byte) => Number(byte).toString(2).padStart(8, "0")).join("");
  const length = bits.indexOf("0") < 0 ? 32 : bits.indexOf("0");
  if (bits.includes("01") || address.some((byte, i) => (byte & ~parseInt(bits.slice(8 * i, 8 * i + 8), 2)) !== 0)) return undefined;
  return `${valueType.format(address)}/${length}`;
}

/** A comparison has made a protocol known. */
function learn(context: RuleContext, left: Expression, bytes: Uint8Array): void {
  const number = bytes[0]!;
  if (left.names === "l3") {
    context.l3 = number;
    context.l3Segment = context.segments.length;
    return;
  }
  context.l4 = number;
  // In a table of one family `ip protocol` is what nft would have added itself; in others it says more than that.
  context.l4Segment = left.text === "meta l4proto" || context.family !== "inet" ? context.segments.length : undefined;
  context.l4Place = left;
}

