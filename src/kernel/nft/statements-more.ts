/** Statements that give a packet away: to a program, another host, another device, a local socket; and the helper of a connection. */
import * as abi from "../../../assembly/abi/nft.ts";
import { NF_QUEUE } from "../../../assembly/abi/netfilter.ts";
import { NFQ_VERDICT_BYPASS } from "../../../assembly/abi/queue.ts";
import { TARGET_NFQUEUE, TARGET_TPROXY } from "../../../assembly/abi/xtables.ts";
import { Writer as XtWriter } from "../iptables/writer.ts";
import { ENOENT, value } from "./elements.ts";
import { concatenation, startsExpression, type RuleContext } from "./expressions.ts";
import { Refused, refusedByKernel } from "./lexer.ts";
import { type } from "./types.ts";

/** A rule of xtables with this target alone, as the operation that runs it. */
function xtTarget(context: RuleContext, kind: number, length: number, flags: number, body: (writer: XtWriter) => void): void {
  const writer = new XtWriter();
  writer.u32(0).u32(8).head(kind, false, length);
  body(writer);
  writer.view.setUint32(0, writer.at, true);
  const bytes = writer.copy();
  context.ops.op(abi.NFTOP_XT, 0, (w) => w.u32(0).u32(0).u32(flags).data(bytes));
}

/** `queue [flags bypass,fanout] [to A[-B]]`, or the older `queue num A[-B] [bypass][,fanout]`. */
export function queueStatement(context: RuleContext): void {
  const { cursor, ops, segments } = context;
  cursor.next();
  const flags = new Set<string>();
  const readFlags = (): void => {
    while (cursor.is("bypass", "fanout")) {
      flags.add(cursor.next().text);
      if (!cursor.take(",")) break;
    }
  };
  let from = 0;
  let to = 0;
  const numbers = (): void => {
    from = cursor.number();
    to = cursor.take("-") ? cursor.number() : from;
    if (from > 65535 || to > 65535) throw new Refused("Value 65536 exceeds valid range 0-65535", cursor.previous);
    if (to < from) throw new Refused("Range has zero or negative size", cursor.previous);
  };
  if (cursor.take("num")) {
    numbers();
    readFlags();
  } else {
    if (cursor.take("flags")) readFlags();
    if (cursor.take("to")) numbers();
  }
  if (flags.has("fanout") && from === to) throw new Refused("fanout requires a range to be specified", cursor.previous);
  const bypass = flags.has("bypass");
  // A range is shared out as NFQUEUE shares it.
  if (from === to) ops.op(abi.NFTOP_VERDICT, 0, (w) => w.u32(((from << 16) | (bypass ? NFQ_VERDICT_BYPASS : 0) | NF_QUEUE) >>> 0).u32(0));
  else xtTarget(context, TARGET_NFQUEUE, 8, 0, (w) => w.u16(from).u16(to - from + 1).u32(bypass ? 1 : 0));
  const names = ["bypass", "fanout"].filter((name) => flags.has(name));
  segments.push(`queue${names.length === 0 ? "" : ` flags ${names.join(",")}`} to ${from}${from === to ? "" : `-${to}`}`);
}

const NONE = abi.NFT_NO_REGISTER;

/** An interface by name into a register. */
function device(context: RuleContext, register: number): string {
  const { cursor, ops, interfaces } = context;
  if (startsExpression(cursor)) {
    const given = concatenation(context);
    given.load(ops, register);
    return given.text;
  }
  const token = cursor.next();
  const bytes = interfaces.parse(token);
  ops.op(abi.NFTOP_IMMEDIATE, register, (w) => w.u32(4).data(bytes));
  return interfaces.format(bytes);
}

/** `dup to ADDRESS [device NAME]`; of frames `dup to NAME`. */
export function dupStatement(context: RuleContext): void {
  const { cursor, ops, segments, family } = context;
  const from = cursor.next().from;
  cursor.expect("to");
  if (family === "netdev") {
    const text = device(context, 0);
    ops.op(abi.NFTOP_DUP, 0, (w) => w.u8(NONE, 0).u16(0));
    segments.push(`dup to ${text}`);
    return;
  }
  if (family !== "ip" && family !== "ip6") throw new Refused("unsupported family", { from, to: cursor.token.to });
  const address = type(family === "ip" ? "ipv4_addr" : "ipv6_addr");
  let text: string;
  if (startsExpression(cursor)) {
    const given = concatenation(context);
    given.load(ops, 0);
    text = given.text;
  } else {
    const given = value(cursor, address);
    ops.op(abi.NFTOP_IMMEDIATE, 0, (w) => w.u32(given.from_.length).data(given.from_));
    text = address.format(given.from_);
  }
  let out = NONE;
  if (cursor.take("device")) {
    out = 4;
    text += ` device ${device(context, 4)}`;
  }
  ops.op(abi.NFTOP_DUP, 0, (w) => w.u8(0, out).u16(0));
  segments.push(`dup to ${text}`);
}

/** `fwd to NAME` */
export function fwdStatement(context: RuleContext): void {
  const { cursor, ops, segments, family } = context;
  const from = cursor.next().from;
  cursor.expect("to");
  if (family !== "netdev") throw new Refused("unsupported family", { from, to: cursor.token.to });
  const text = device(context, 0);
  ops.op(abi.NFTOP_FWD, 0, (w) => w.u8(0, 0, 0, 0));
  segments.push(`fwd to ${text}`);
}

/** `tproxy [ip] to [ADDRESS][:PORT]`: the packet is a local socket's, in PREROUTING alone. */
export function tproxyStatement(context: RuleContext): void {
  const { cursor, segments } = context;
  const from = cursor.next().from;
  if (context.family === "inet") cursor.take("ip");
  cursor.expect("to");
  const address = type("ipv4_addr");
  let host = new Uint8Array(4);
  let text = "";
  if (!cursor.is(":")) {
    host = new Uint8Array(value(cursor, address).from_);
    text = address.format(host);
  }
  let port = 0;
  if (cursor.take(":")) {
    port = cursor.number();
    text += `:${port}`;
  }
  if (context.l4 !== 6 && context.l4 !== 17 && !context.l4Any) {
    throw new Refused("Transparent proxy support requires transport protocol match", { from, to: cursor.previous.to });
  }
  context.checks.push({ hooks: ["prerouting"] });
  xtTarget(context, TARGET_TPROXY, 16, abi.NFTXT_BREAKS, (w) => {
    for (const byte of host) w.u8(byte);
    w.u16(port).u16(0).u32(0).u32(0);
  });
  segments.push(`tproxy ${context.family === "inet" ? "ip " : ""}to ${text}`);
}

/** `ct helper set "NAME"`: the helper object of that name, for connections that begin. */
export function helperStatement(context: RuleContext): void {
  const { cursor, ops, segments, objects } = context;
  cursor.next();
  cursor.next();
  cursor.expect("set");
  const name = cursor.name();
  const object = context.table.objects.get(`ct helper ${name.text}`);
  if (object === undefined) throw refusedByKernel(ENOENT, name);
  ops.op(abi.NFTOP_IMMEDIATE, 0, (w) => w.u32(4).data(object.ops));
  ops.op(abi.NFTOP_CT_SET, 0, (w) => w.u8(abi.NFTCT_HELPER, 0, 0, 0));
  objects.push(object);
  segments.push(`ct helper set "${object.name}"`);
}
