/** Statements that remember: counters, limits, quotas, `last`, `ct count`; as read, and as nft prints them from what the kernel has. */
import * as abi from "../../../assembly/abi/nft.ts";
import { Refused, refusedByKernel, type Cursor } from "./lexer.ts";
import type { Segment, Writer } from "./model.ts";

/** Does one begin here? */
export const startsStateful = (cursor: Cursor): boolean =>
  cursor.is("counter", "limit", "quota", "last") || (cursor.is("ct") && cursor.peek().text === "count");

const RATES: Readonly<Record<string, number>> = { second: 1, minute: 60, hour: 3600, day: 86400, week: 604800 };
const SIZES: Readonly<Record<string, number>> = { bytes: 1, kbytes: 1024, mbytes: 1024 * 1024 };

/** The operation and the text of a stateful statement whose name was read. */
export function statefulBody(cursor: Cursor, ops: Writer, word: string): Segment {
  if (word === "counter") {
    let packets = 0;
    let bytes = 0;
    if (cursor.take("packets")) {
      packets = cursor.number();
      cursor.expect("bytes");
      bytes = cursor.number();
    }
    ops.op(abi.NFTOP_COUNTER, 0, (w) => w.u32(0).u64(packets).u64(bytes));
    return (list) => {
      const [p, b] = list.state();
      return list.stateless ? "counter" : `counter packets ${p} bytes ${b}`;
    };
  }
  if (word === "last") {
    if (cursor.take("used")) cursor.next();
    ops.op(abi.NFTOP_LAST, 0, (w) => w.u32(0));
    return (list) => {
      const [used] = list.state();
      return list.stateless ? "last" : used === 0n ? "last used never" : "last used 0s";
    };
  }
  if (word === "ct") {
    cursor.expect("count");
    const over = cursor.take("over") || (cursor.take("until"), false);
    const count = cursor.number();
    ops.op(abi.NFTOP_CONNLIMIT, 0, (w) => w.u32(0).u32(count).u32(over ? 1 : 0));
    return `ct count ${over ? "over " : ""}${count}`;
  }
  const size = (): readonly [number, string] => {
    const amount = cursor.number();
    const unit = cursor.token.text;
    if (!(unit in SIZES)) throw cursor.syntax();
    cursor.next();
    return [amount, unit];
  };
  if (word === "quota") {
    const over = cursor.take("over") || (cursor.take("until"), false);
    const [amount, unit] = size();
    let used = 0;
    if (cursor.take("used")) {
      const [usedAmount, usedUnit] = size();
      used = usedAmount * SIZES[usedUnit]!;
    }
    ops.op(abi.NFTOP_QUOTA, 0, (w) => w.u32(0).u64(amount * SIZES[unit]!).u64(used).u32(over ? 1 : 0));
    const text = `quota ${over ? "over " : ""}${sizeText(amount * SIZES[unit]!)}`;
    return (list) => {
      const [consumed] = list.state();
      return list.stateless || consumed === 0n ? text : `${text} used ${sizeText(Number(consumed))}`;
    };
  }
  cursor.expect("rate");
  const over = cursor.take("over") || (cursor.take("until"), false);
  const rate = cursor.number();
  // `kbytes/second` is one word to nft's scanner.
  const [unit, perWord] = /^([km]?bytes)(?:\/(\w+))?$/.exec(cursor.token.text)?.slice(1) ?? [undefined, undefined];
  if (unit !== undefined) cursor.next();
  let per = perWord;
  if (per === undefined) {
    if (!cursor.is("/")) throw cursor.syntax(unit === undefined ? "/ or string or bytes" : "/");
    cursor.next();
    per = cursor.token.text;
    if (RATES[per] === undefined) throw cursor.syntax("second or minute or hour or day");
    cursor.next();
  }
  const seconds = RATES[per];
  if (seconds === undefined) throw new Refused("Wrong rate format", cursor.previous);
  let burst = unit === undefined ? 5 : 0;
  let burstText = "";
  if (cursor.take("burst")) {
    const amount = cursor.number();
    const burstUnit = cursor.token.text;
    if (unit === undefined) {
      if (burstUnit !== "packets") throw cursor.syntax("packets");
      burst = amount;
      if (burst !== 5) burstText = ` burst ${burst} packets`;
    } else {
      if (!(burstUnit in SIZES)) throw cursor.syntax();
      burst = amount * SIZES[burstUnit]!;
      if (burst !== 0) burstText = ` burst ${sizeText(burst)}`;
    }
    cursor.next();
  }
  const bytesRate = rate * (unit === undefined ? 1 : SIZES[unit]!);
  if (bytesRate === 0) throw refusedByKernel("Invalid argument", cursor.previous);
  ops.op(abi.NFTOP_LIMIT, 0, (w) => w.u32(0).u64(bytesRate).u64(BigInt(seconds) * 1_000_000_000n).u32(burst)
    .u32((over ? abi.NFTLIMIT_OVER : 0) | (unit === undefined ? 0 : abi.NFTLIMIT_BYTES)));
  const amount = unit === undefined ? String(rate) : `${sizeText(bytesRate)}`;
  const text = `limit rate ${over ? "over " : ""}${amount}/${per}${burstText}`;
  return (list) => {
    list.state();
    return text;
  };
}

/** The largest unit that divides it. */
function sizeText(bytes: number): string {
  if (bytes !== 0 && bytes % SIZES["mbytes"]! === 0) return `${bytes / SIZES["mbytes"]!} mbytes`;
  return bytes !== 0 && bytes % 1024 === 0 ? `${bytes / 1024} kbytes` : `${bytes} bytes`;
}

const UNIT_NAMES: Readonly<Record<string, string>> = { "1": "second", "60": "minute", "3600": "hour", "86400": "day", "604800": "week" };

/** The operations of an element with their states, as NF_NFT_SET answers, in nft's words, each with a space before it. */
export function elementStatesText(bytes: Uint8Array, stateless: boolean): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let text = "";
  for (let at = 0; at < bytes.length;) {
    const length = view.getUint16(at + 2, true);
    const a = view.getBigUint64(at + length, true);
    const b = view.getBigUint64(at + length + 8, true);
    switch (bytes[at]) {
      case abi.NFTOP_COUNTER: text += stateless ? " counter" : ` counter packets ${a} bytes ${b}`; break;
      case abi.NFTOP_LAST: text += stateless ? " last" : a === 0n ? " last used never" : " last used 0s"; break;
      case abi.NFTOP_CONNLIMIT: text += ` ct count ${view.getUint32(at + 12, true) === 1 ? "over " : ""}${view.getUint32(at + 8, true)}`; break;
      case abi.NFTOP_QUOTA: {
        const used = stateless || a === 0n ? "" : ` used ${sizeText(Number(a))}`;
        text += ` quota ${view.getUint32(at + 24, true) === 1 ? "over " : ""}${sizeText(Number(view.getBigUint64(at + 8, true)))}${used}`;
        break;
      }
      default: {
        const rate = Number(view.getBigUint64(at + 8, true));
        const unit = UNIT_NAMES[String(view.getBigUint64(at + 16, true) / 1_000_000_000n)] ?? "second";
        const burst = view.getUint32(at + 24, true);
        const flags = view.getUint32(at + 28, true);
        const ofBytes = (flags & abi.NFTLIMIT_BYTES) !== 0;
        const burstText = ofBytes ? (burst === 0 ? "" : ` burst ${sizeText(burst)}`) : burst === 5 ? "" : ` burst ${burst} packets`;
        text += ` limit rate ${flags & abi.NFTLIMIT_OVER ? "over " : ""}${ofBytes ? sizeText(rate) : rate}/${unit}${burstText}`;
      }
    }
    at += length + 16;
  }
  return text;
}
