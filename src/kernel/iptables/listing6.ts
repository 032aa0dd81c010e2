/** How `ip6tables -L` prints the extensions of IPv6 (extensions/libip6t_*.c). */
import { ICMP6_TYPES } from "./ipv6-matches.ts";
import { arg, get, has, type Option, type Part, type Print } from "./listing.ts";

const not = (option: Option | undefined): string => (option?.not ? "!" : "");
/** ` name:VALUE`, ` names:LO:HI`. */
const spread = (label: string, option: Option | undefined): string => {
  if (option === undefined) return "";
  const value = option.args[0]!;
  return ` ${label}${value.includes(":") ? "s" : ""}:${not(option)}${value}`;
};

const icmp6: Print = (part, format) => {
  const option = get(part, "icmpv6-type");
  const value = option?.args[0] ?? "";
  const name = format.numeric ? undefined : ICMP6_TYPES.split(" ").find((entry) => entry.split(":")[1] === value)?.split(":")[0];
  if (name !== undefined) return ` ipv6-icmp ${not(option)}${name}`;
  const [type, code] = value.split("/");
  return ` ipv6-icmp${option?.not ? " !" : ""}type ${type}${code === undefined ? "" : ` code ${code}`}`;
};

const FRAG_WORDS: readonly (readonly [string, string])[] = [
  ["fragres", "reserved"], ["fragfirst", "first"], ["fragmore", "more"], ["fraglast", "last"],
];
const frag: Print = (part) => {
  const ids = get(part, "fragid");
  const length = get(part, "fraglen");
  let text = ` frag${ids === undefined ? " " : spread("id", ids)}`;
  if (length !== undefined) text += ` length:${not(length)}${length.args[0]}`;
  for (const [option, word] of FRAG_WORDS) if (has(part, option)) text += ` ${word}`;
  return text;
};

const options = (name: string): Print => (part) => {
  const length = get(part, `${name}-len`);
  const list = get(part, `${name}-opts`);
  return ` ${name}${length === undefined ? "" : ` length:${not(length)}${length.args[0]}`}${list === undefined ? "" : ` opts ${list.args[0]}`}`;
};

const rt: Print = (part) => {
  const type = get(part, "rt-type");
  const length = get(part, "rt-len");
  let text = ` rt${type === undefined ? "" : ` type:${not(type)}${type.args[0]}`}${spread("segsleft", get(part, "rt-segsleft"))}`;
  if (length !== undefined) text += ` length:${not(length)}${length.args[0]}`;
  if (has(part, "rt-0-res")) text += " reserved";
  if (has(part, "rt-0-addrs")) text += ` 0-addrs ${arg(part, "rt-0-addrs")}`;
  return has(part, "rt-0-not-strict") ? `${text} 0-not-strict` : text;
};

const ah: Print = (part) => {
  const spi = get(part, "ahspi");
  const length = get(part, "ahlen");
  let text = ` ah${spi === undefined ? " " : spread("spi", spi)}`;
  if (length !== undefined) text += `length:${not(length)}${length.args[0]}`;
  return has(part, "ahres") ? `${text} reserved` : text;
};

const HEADER_BITS: Readonly<Record<string, number>> = {
  "hop-by-hop": 0x80, "ipv6-opts": 0x40, "ipv6-route": 0x20, "ipv6-frag": 0x10, ah: 0x08, esp: 0x04, "ipv6-nonxt": 0x02, protocol: 0x01,
};
const ipv6header: Print = (part) => {
  const header = get(part, "header");
  const bits = (header?.args[0] ?? "").split(",").reduce((sum, name) => sum | (HEADER_BITS[name] ?? 0), 0);
  return ` ipv6header flags:${not(header)}0x${bits.toString(16).toUpperCase().padStart(2, "0")}${has(part, "soft") ? " soft" : ""}`;
};

const SIGNS: Readonly<Record<string, string>> = { "hl-eq": "==", "hl-lt": "<", "hl-gt": ">" };
const HL_WORDS: Readonly<Record<string, string>> = { "hl-set": "set to", "hl-inc": "increment by", "hl-dec": "decrement by" };
const npt = (name: string): Print => (part) => ` ${name} src-pfx ${arg(part, "src-pfx")} dst-pfx ${arg(part, "dst-pfx")}`;

const srh: Print = (part: Part) =>
  ` srh${part.options.map((option) => {
    const [word = "", sign] = option.name.replace(/^srh-/, "").split(/-(?=(?:eq|gt|lt)$)/);
    return ` ${word}${sign === "gt" ? ">" : sign === "lt" ? "<" : ":"}${not(option)}${option.args[0]}`;
  }).join("")}`;

export const IPV6_PRINTS: Readonly<Record<string, Print>> = {
  icmp6, frag, rt, ah, ipv6header, srh,
  hbh: options("hbh"),
  dst: options("dst"),
  mh: (part) => {
    const option = get(part, "mh-type");
    return ` mh${option === undefined ? "" : ` ${not(option)}${option.args[0]}`}`;
  },
  eui64: () => "eui64 ",
  hl: (part) => {
    const option = part.options[0]!;
    return ` HL match HL ${option.not ? "!=" : SIGNS[option.name]} ${option.args[0]}`;
  },
  HL: (part) => {
    const option = part.options[0]!;
    return ` HL ${HL_WORDS[option.name]} ${option.args[0]}`;
  },
  SNPT: npt("SNPT"),
  DNPT: npt("DNPT"),
};
