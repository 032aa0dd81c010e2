/** What stands behind u32's `match` (parse_selector() of tc/f_u32.c): words of the packet with masks, from its IP header on. */
import { parseIpv4 } from "../../kernel/address.ts";
import { ToolExit, unsigned, type Words } from "../tool.ts";
import { answered, talkError } from "./context.ts";
import type { FilterKey } from "./records.ts";

const illegal = (): ToolExit => new ToolExit(1, 'Illegal "match"\n');

/** Fields of an IPv4 header and of what stands behind one without options: bits, offset. */
const IP_FIELDS: Readonly<Record<string, readonly [bits: 8 | 16, at: number]>> = {
  tos: [8, 1], dsfield: [8, 1], precedence: [8, 1], ihl: [8, 0], protocol: [8, 9], dport: [16, 22], sport: [16, 20], icmp_type: [8, 20], icmp_code: [8, 21],
};
/** Fragment bits: no argument. */
const FRAGMENTS: Readonly<Record<string, readonly [value: number, mask: number]>> = {
  nofrag: [0, 0x3fff], firstfrag: [0x2000, 0x3fff], df: [0x4000, 0x4000], mf: [0x2000, 0x2000],
};

/** Reads one SAMPLE; the current word is the one behind it then. */
export function keysOf(words: Words, keys: FilterKey[]): void {
  const kind = words.word;
  if (kind === "u32" || kind === "u16" || kind === "u8") {
    words.next();
    return sized(words, keys, Number(kind.slice(1)), undefined);
  }
  if (kind === "ip") {
    const field = words.next();
    const known = IP_FIELDS[field];
    const fragments = FRAGMENTS[field];
    if (known !== undefined) {
      words.next();
      return sized(words, keys, known[0], known[1]);
    }
    if (fragments !== undefined) {
      words.skip();
      return pack(keys, fragments[0], fragments[1], 16, 6);
    }
    if (field !== "src" && field !== "dst") throw illegal();
    const [address = "", length] = words.next().split("/");
    const number = parseIpv4(address);
    const bits = length === undefined ? 32 : unsigned(length, 32);
    if (number === undefined || bits === undefined) throw illegal();
    words.skip();
    const at = offset(words) ?? (field === "src" ? 12 : 16);
    return pack(keys, number, bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0, 32, at);
  }
  // Behind the header wherever it ends, or another protocol's.
  if (["ip6", "icmp", "tcp", "udp", "mark", "ether"].includes(kind ?? "")) throw talkError(answered("Operation not supported"));
  throw illegal();
}

function sized(words: Words, keys: FilterKey[], bits: number, fixed: number | undefined): void {
  const most = 2 ** bits - 1;
  const value = unsigned(words.word ?? "", most);
  const text = words.next();
  const mask = /^(?:0[xX])?[0-9a-fA-F]+$/.test(text) ? Number.parseInt(text.replace(/^0[xX]/, ""), 16) : undefined;
  if (value === undefined || mask === undefined || mask > most) throw illegal();
  words.skip();
  const at = offset(words) ?? fixed ?? 0;
  pack(keys, value, mask, bits, at);
}

/** `at OFFSET`, where it stands. */
function offset(words: Words): number | undefined {
  if (words.word !== "at") return undefined;
  const text = words.next();
  if (text.startsWith("nexthdr")) throw talkError(answered("Operation not supported"));
  const negative = text.startsWith("-");
  const value = unsigned(negative ? text.slice(1) : text, 0x7fffffff);
  if (value === undefined) throw illegal();
  words.skip();
  return negative ? -value : value;
}

/** pack_key(): a word that is already looked at gets more bits, which have to agree. */
function pack(keys: FilterKey[], value: number, mask: number, bits: number, where: number): void {
  const low = ((where % 4) + 4) % 4;
  if ((bits === 32 && low !== 0) || (bits === 16 && low % 2 !== 0)) throw illegal();
  const shift = bits === 32 ? 0 : bits === 16 ? (low === 0 ? 16 : 0) : (3 - low) * 8;
  const at = where - low;
  const wide = (mask << shift) >>> 0;
  const key = ((value << shift) & wide) >>> 0;
  const same = keys.findIndex((one) => one.at === at);
  if (same < 0) {
    if (keys.length >= 8) throw talkError(answered("Operation not supported"));
    keys.push({ value: key, mask: wide, at });
    return;
  }
  const { value: before, mask: masked } = keys[same]!;
  if (((key ^ before) & masked & wide) !== 0) throw illegal();
  keys[same] = { value: (before | key) >>> 0, mask: (masked | wide) >>> 0, at };
}
