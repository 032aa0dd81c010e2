/** Statements by which packets put elements into sets, and the sets that meters are. */
import * as abi from "../../../assembly/abi/nft.ts";
import { tuple, tupleText } from "./elements.ts";
import { concatenation, registersOf, startsExpression, type Expression, type RuleContext } from "./expressions.ts";
import { Refused, refusedByKernel } from "./lexer.ts";
import { isInterval, keyBytes, Writer, type NftSet, type Segment } from "./model.ts";
import { checkKey, setReference } from "./rule.ts";
import { startsStateful, statefulBody } from "./stateful.ts";
import { formatTime, parseTime, type DataType } from "./types.ts";

/** `add @set { … }`, `update @set { … : … }`. */
export function dynamic(context: RuleContext): void {
  const { cursor } = context;
  const start = cursor.token.from;
  const word = cursor.next().text;
  const how = word === "set" ? cursor.next().text : word;
  // `set add KEY @set` is the older way to say it.
  const older = word === "set";
  let set = older ? undefined : setReference(context);
  if (!older) cursor.expect("{");
  const key = concatenation(context);
  let timeout = 0;
  if (cursor.take("timeout")) {
    const token = cursor.next();
    const ms = parseTime(token.text);
    if (ms === undefined) throw new Refused("Can't parse time", token);
    timeout = ms;
  }
  const inner = new Writer();
  const innerText: RuleContext["segments"] = [];
  while (startsStateful(cursor)) {
    innerText.push(statefulBody(cursor, inner, cursor.next().text));
  }
  let data: Expression | undefined;
  if (!older && cursor.take(":")) data = startsExpression(cursor) ? concatenation(context) : constant(context, set!);
  if (older) set = setReference(context);
  else cursor.expect("}");
  addFromPacket(context, set!, { how, start, key, timeout, inner, innerText, data });
}

/** What packets put into a map may be the same for all. */
function constant({ cursor }: RuleContext, set: NftSet): Expression {
  const { dataTypes } = set;
  if (!Array.isArray(dataTypes)) throw cursor.syntax();
  const types = dataTypes as readonly DataType[];
  const given = tuple(cursor, types);
  return {
    from: given.from, to: given.to, types, text: tupleText(types, given.low),
    load: (ops, register) => void ops.op(abi.NFTOP_IMMEDIATE, register, (w) => w.u32(given.low.length).data(given.low)),
  };
}

interface FromPacket {
  readonly how: string;
  readonly start: number;
  readonly key: Expression;
  readonly timeout: number;
  readonly inner: Writer;
  readonly innerText: readonly Segment[];
  readonly data: Expression | undefined;
}

function addFromPacket(context: RuleContext, set: NftSet, { how, start, key, timeout, inner, innerText, data }: FromPacket): void {
  const { cursor, ops, segments } = context;
  checkKey(set, key);
  const base = registersOf(key.types);
  if (!set.flags.has("dynamic") && !set.flags.has("timeout")) {
    // nft lets the kernel judge: only a hash table takes elements out of packets.
    if (isInterval(set)) throw refusedByKernel("Operation not supported", cursor.previous);
  }
  // What the set gives every element is not said again.
  const given = inner.take();
  if (set.ops.length > 0 && given.length > 0 && kindsOf(set.ops) !== kindsOf(given)) {
    throw refusedByKernel("Operation not supported", { from: start, to: cursor.previous.to });
  }
  key.load(ops, 0);
  data?.load(ops, base);
  const code = how === "add" ? abi.NFTDYN_ADD : how === "update" ? abi.NFTDYN_UPDATE : abi.NFTDYN_DELETE;
  ops.op(abi.NFTOP_DYNSET, 0, (w) => w.u32(set.id).u8(code | (data === undefined ? 0 : abi.NFTDYN_DATA), base, keyBytes(set.keyTypes),
    data === undefined ? 0 : registersOf(data.types) * 4).u64(timeout).data(given));
  segments.push((list) => {
    const extra = set.ops.length > 0 ? "" : innerText.map((segment) => ` ${typeof segment === "string" ? segment : segment({ ...list, stateless: true, state: () => [0n, 0n] })}`).join("");
    return `${how} @${set.name} { ${key.text}${timeout === 0 ? "" : ` timeout ${formatTime(timeout)}`}${extra}${data === undefined ? "" : ` : ${data.text}`} }`;
  });
}

/** The kinds of the operations of an element, one after the other. */
function kindsOf(ops: Uint8Array): string {
  let kinds = "";
  for (let at = 0; at < ops.length; at += ops[at + 2]! | (ops[at + 3]! << 8)) kinds += `${ops[at]} `;
  return kinds;
}

const METER_SIZE = 65535;

/** `meter NAME [size N] { KEY [timeout T] STATEMENT }`: a dynamic set that ends with the rule. */
export function meter(context: RuleContext): void {
  const { cursor, ops, segments, tx, table } = context;
  cursor.next();
  const name = cursor.name().text;
  const size = cursor.take("size") ? cursor.number() : METER_SIZE;
  cursor.expect("{");
  const key = concatenation(context);
  let timeout = 0;
  if (cursor.take("timeout")) {
    const ms = parseTime(cursor.next().text);
    if (ms === undefined) throw new Refused("Can't parse time", cursor.previous);
    timeout = ms;
  }
  const inner = new Writer();
  const innerText: Segment[] = [];
  if (!startsStateful(cursor)) throw cursor.syntax();
  while (startsStateful(cursor)) innerText.push(statefulBody(cursor, inner, cursor.next().text));
  cursor.expect("}");
  const set: NftSet = {
    id: tx.id("set"), table, handle: tx.handle(table), name, anonymous: true, keyTypes: key.types, dataTypes: undefined,
    flags: new Set(timeout > 0 ? ["dynamic", "timeout"] : ["dynamic"]), timeout: 0, gcInterval: 0, size, policy: undefined, autoMerge: false,
    comment: undefined, typeOf: undefined, ops: new Uint8Array(0), opsText: "", elements: new Map(), use: 0,
  };
  tx.newSet(set);
  context.sets.push(set);
  key.load(ops, 0);
  ops.op(abi.NFTOP_DYNSET, 0, (w) => w.u32(set.id).u8(timeout > 0 ? abi.NFTDYN_UPDATE : abi.NFTDYN_ADD, 0, keyBytes(set.keyTypes), 0).u64(timeout).data(inner.take()));
  segments.push((list) => {
    const said = innerText.map((segment) => (typeof segment === "string" ? segment : segment({ ...list, stateless: true, state: () => [0n, 0n] }))).join(" ");
    return `meter ${name} size ${size} { ${key.text}${timeout === 0 ? "" : ` timeout ${formatTime(timeout)}`} ${said} }`;
  });
}
