/** Matches of ip6tables: one entry per extension, as in iptables' extensions/libip6t_*.c. */
import {
  IPRANGE_DESTINATION, IPRANGE_INV_DESTINATION, IPRANGE_INV_SOURCE, IPRANGE_SOURCE, MATCH_TTL,
} from "../../../assembly/abi/netfilter.ts";
import {
  AH6_INV_LENGTH, AH6_INV_SPI, AH6_LENGTH, AH6_RESERVED, FRAG6_FIRST, FRAG6_IDS, FRAG6_INV_IDS, FRAG6_INV_LENGTH, FRAG6_LAST,
  FRAG6_LENGTH, FRAG6_MORE, FRAG6_RESERVED, MATCH_AH6, MATCH_EUI64, MATCH_FRAG6, MATCH_ICMP6, MATCH_IPRANGE6, MATCH_IPV6HEADER,
  MATCH_MH6, MATCH_OPTS6, MATCH_RT6, MATCH_SRH6, OPTS6_INV_LENGTH, OPTS6_LENGTH, OPTS6_MAX, OPTS6_OPTIONS, RT6_ADDRESSES,
  RT6_INV_LENGTH, RT6_INV_SEGMENTS, RT6_INV_TYPE, RT6_LENGTH, RT6_MAX, RT6_NOT_STRICT, RT6_RESERVED, RT6_SEGMENTS, RT6_TYPE,
  SRH6_LSID, SRH6_NSID, SRH6_PSID,
} from "../../../assembly/abi/xtables.ts";
import { formatIpv6, parseIpv6 } from "../address6.ts";
import { ARG, INV, type Extension } from "./extension.ts";
import { NO_HOST, maskLength6, parseHost6, writeBytes, type AddressMask6 } from "./ipv6-text.ts";
import { Refusal, formatRange, number, parseNumber, usage, type Range } from "./text.ts";

const bang = (inverted: boolean): string => (inverted ? " !" : "");
const must = (ext: string, option: string): Refusal => usage(`${ext}: option "--${option}" must be specified\n`);
const together = (ext: string, one: string, other: string): Refusal =>
  usage(`${ext}: option "--${one}" cannot be used together with "--${other}".\n`);
const U32_MAX = 0xffffffff;

/** `LO[:HI]` (XTTYPE_UINT32RC). */
function range(ext: string, option: string, text: string): Range {
  const one = (part: string, otherwise: number): number => {
    const value = part === "" && text.includes(":") ? otherwise : parseNumber(part);
    if (value === undefined) throw usage(`${ext}: bad value for option "--${option}" near "${part}", or out of range (0-${U32_MAX}).\n`);
    return value;
  };
  const [lo = "", hi] = text.split(":");
  const from = one(lo, 0);
  return [from, hi === undefined ? from : one(hi, U32_MAX)];
}

// extensions/libxt_icmp.h icmpv6_codes; name:type[/code]
export const ICMP6_TYPES =
  "destination-unreachable:1 no-route:1/0 communication-prohibited:1/1 beyond-scope:1/2 address-unreachable:1/3 port-unreachable:1/4 " +
  "failed-policy:1/5 reject-route:1/6 packet-too-big:2 time-exceeded:3 ttl-exceeded:3 ttl-zero-during-transit:3/0 " +
  "ttl-zero-during-reassembly:3/1 parameter-problem:4 bad-header:4/0 unknown-header-type:4/1 unknown-option:4/2 echo-request:128 " +
  "ping:128 echo-reply:129 pong:129 router-solicitation:133 router-advertisement:134 neighbour-solicitation:135 " +
  "neighbor-solicitation:135 neighbour-advertisement:136 neighbor-advertisement:136 redirect:137";

/** {type, lowest code, highest code}. Names may be shortened. */
function parseIcmp6Type(text: string): [number, number, number] {
  const wanted = text.toLowerCase();
  let found: [string, string] | undefined;
  for (const entry of ICMP6_TYPES.split(" ")) {
    const [name, value] = entry.split(":") as [string, string];
    if (!name.startsWith(wanted)) continue;
    if (found !== undefined) throw usage(`Ambiguous ICMPv6 type \`${text}': \`${found[0]}' or \`${name}'?`);
    found = [name, value];
    if (name === wanted) break;
  }
  const [typeText, codeText] = (found?.[1] ?? text).split("/") as [string, string | undefined];
  const type = parseNumber(typeText, 0, 255);
  if (type === undefined) throw usage(`Unknown ICMPv6 type \`${typeText}'`);
  if (codeText === undefined) return [type, 0, 255];
  const code = parseNumber(codeText, 0, 255);
  if (code === undefined) throw usage(`Unknown ICMPv6 code \`${text}'`);
  return [type, code, code];
}

/** Refuses in the kernel's way a match whose protocol the rule does not ask for. */
const wantProtocol = (protocol: number, wanted: number, inverted: boolean): void => {
  if (protocol !== wanted || inverted) throw new Refusal("other", "Invalid argument. Run `dmesg' for more information");
};

const icmp6: Extension = {
  name: "icmp6",
  options: { "icmpv6-type": ARG | INV },
  create() {
    let type: [number, number, number] = [0, 0, 255];
    let inverted = false;
    return {
      option(_name, argument, not) {
        type = parseIcmp6Type(argument);
        inverted = not;
      },
      finish(given, rule) {
        if (!given.has("icmpv6-type")) throw must("icmp6", "icmpv6-type");
        wantProtocol(rule.protocol, 58, rule.protocolInverted);
      },
      save: () => `${bang(inverted)} --icmpv6-type ${type[0]}${type[1] !== 0 || type[2] !== 255 ? `/${type[1]}` : ""}`,
      encode(w) {
        w.head(MATCH_ICMP6, inverted, 4).u8(type[0]).u8(type[1]).u8(type[2]).u8(0);
      },
    };
  },
};

const FRAG_FLAGS: readonly (readonly [string, number])[] = [
  ["fragres", FRAG6_RESERVED], ["fragfirst", FRAG6_FIRST], ["fragmore", FRAG6_MORE], ["fraglast", FRAG6_LAST],
];
const frag: Extension = {
  name: "frag",
  options: { fragid: ARG | INV, fraglen: ARG | INV, fragres: 0, fragfirst: 0, fragmore: 0, fraglast: 0 },
  create() {
    let ids: Range = [0, U32_MAX];
    let length = 0;
    let flags = 0;
    return {
      option(name, argument, not) {
        if (name === "fragid") {
          ids = range("frag", name, argument);
          flags |= FRAG6_IDS | (not ? FRAG6_INV_IDS : 0);
        } else if (name === "fraglen") {
          length = number("frag", name, argument);
          flags |= FRAG6_LENGTH | (not ? FRAG6_INV_LENGTH : 0);
        } else flags |= FRAG_FLAGS.find(([option]) => option === name)![1];
      },
      finish(given) {
        if (given.has("fragmore") && given.has("fraglast")) throw together("frag", "fragmore", "fraglast");
      },
      save() {
        let text = "";
        if (ids[0] !== 0 || ids[1] !== U32_MAX) text += `${bang((flags & FRAG6_INV_IDS) !== 0)} --fragid ${formatRange(ids)}`;
        if (flags & FRAG6_LENGTH) text += `${bang((flags & FRAG6_INV_LENGTH) !== 0)} --fraglen ${length}`;
        for (const [option, flag] of FRAG_FLAGS) if (flags & flag) text += ` --${option}`;
        return text;
      },
      encode(w) {
        w.head(MATCH_FRAG6, false, 16).u32(ids[0]).u32(ids[1]).u32(length).u32(flags);
      },
    };
  },
};

/** hbh and dst. */
const options = (name: string, header: number): Extension => ({
  name,
  options: { [`${name}-len`]: ARG | INV, [`${name}-opts`]: ARG },
  create() {
    let length = 0;
    let flags = 0;
    let list: number[] = [];
    return {
      option(option, argument, not) {
        if (option === `${name}-len`) {
          length = number(name, option, argument);
          flags |= OPTS6_LENGTH | (not ? OPTS6_INV_LENGTH : 0);
          return;
        }
        flags |= OPTS6_OPTIONS;
        list = argument.split(",").map((word) => {
          const [type = "", size] = word.split(":");
          const number_ = parseNumber(type);
          const sizeNumber = size === undefined ? 255 : parseNumber(size);
          if (number_ === undefined) throw usage(`invalid ${name.toUpperCase()} option type \`${type}' specified`);
          if (sizeNumber === undefined) throw usage(`invalid ${name.toUpperCase()} option length \`${size}' specified`);
          return ((number_ & 255) << 8) | (sizeNumber & 255);
        });
        if (list.length > OPTS6_MAX) throw usage(`too many ${name.toUpperCase()} options specified`);
      },
      save() {
        let text = flags & OPTS6_LENGTH ? `${bang((flags & OPTS6_INV_LENGTH) !== 0)} --${name}-len ${length}` : "";
        if (list.length > 0) {
          text += ` --${name}-opts ${list.map((each) => `${each >> 8}${(each & 255) === 255 ? "" : `:${each & 255}`}`).join(",")}`;
        }
        return text;
      },
      encode(w) {
        w.head(MATCH_OPTS6, false, 16 + 2 * OPTS6_MAX).u32(header).u32(length).u32(flags).u32(list.length);
        for (let i = 0; i < OPTS6_MAX; i++) w.u16(list[i] ?? 0);
      },
    };
  },
});

const rt: Extension = {
  name: "rt",
  options: {
    "rt-type": ARG | INV, "rt-segsleft": ARG | INV, "rt-len": ARG | INV, "rt-0-res": 0, "rt-0-addrs": ARG, "rt-0-not-strict": 0,
  },
  create() {
    let type = 0;
    let segments: Range = [0, U32_MAX];
    let length = 0;
    let flags = 0;
    let addresses: Uint8Array[] = [];
    const wantType0 = (option: string): void => {
      if (!(flags & RT6_TYPE) || flags & RT6_INV_TYPE || type !== 0) throw usage(`\`--rt-type 0' required before \`--${option}'`);
    };
    return {
      option(name, argument, not) {
        switch (name) {
          case "rt-type":
            type = number("rt", name, argument);
            flags |= RT6_TYPE | (not ? RT6_INV_TYPE : 0);
            break;
          case "rt-segsleft":
            segments = range("rt", name, argument);
            flags |= RT6_SEGMENTS | (not ? RT6_INV_SEGMENTS : 0);
            break;
          case "rt-len":
            length = number("rt", name, argument);
            flags |= RT6_LENGTH | (not ? RT6_INV_LENGTH : 0);
            break;
          case "rt-0-res":
            wantType0(name);
            flags |= RT6_RESERVED;
            break;
          case "rt-0-addrs":
            wantType0(name);
            addresses = argument.split(",").map((word) => {
              const address = parseIpv6(word);
              if (address === undefined) throw usage(`error parsing address \`${word}'\n`);
              return address;
            });
            if (addresses.length > RT6_MAX) throw usage("too many addresses specified");
            flags |= RT6_ADDRESSES;
            break;
          default:
            if (!(flags & RT6_ADDRESSES)) throw usage("`--rt-0-addrs ...' required before `--rt-0-not-strict'");
            flags |= RT6_NOT_STRICT;
        }
      },
      save() {
        const not = (flag: number): string => bang((flags & flag) !== 0);
        let text = flags & RT6_TYPE ? `${not(RT6_INV_TYPE)} --rt-type ${type}` : "";
        if (segments[0] !== 0 || segments[1] !== U32_MAX) text += `${not(RT6_INV_SEGMENTS)} --rt-segsleft ${formatRange(segments)}`;
        if (flags & RT6_LENGTH) text += `${not(RT6_INV_LENGTH)} --rt-len ${length}`;
        if (flags & RT6_RESERVED) text += " --rt-0-res";
        if (addresses.length > 0) text += ` --rt-0-addrs ${addresses.map((address) => formatIpv6(address)).join(",")}`;
        return flags & RT6_NOT_STRICT ? `${text} --rt-0-not-strict` : text;
      },
      encode(w) {
        w.head(MATCH_RT6, false, 24 + 16 * RT6_MAX).u32(type).u32(segments[0]).u32(segments[1]).u32(length).u32(flags).u32(addresses.length);
        for (let i = 0; i < RT6_MAX; i++) writeBytes(w, addresses[i] ?? new Uint8Array(16));
      },
    };
  },
};

const ah: Extension = {
  name: "ah",
  options: { ahspi: ARG | INV, ahlen: ARG | INV, ahres: 0 },
  create() {
    let spis: Range = [0, U32_MAX];
    let length = 0;
    let flags = 0;
    return {
      option(name, argument, not) {
        if (name === "ahspi") {
          spis = range("ah", name, argument);
          if (not) flags |= AH6_INV_SPI;
        } else if (name === "ahlen") {
          length = number("ah", name, argument);
          flags |= AH6_LENGTH | (not ? AH6_INV_LENGTH : 0);
        } else flags |= AH6_RESERVED;
      },
      save() {
        let text = spis[0] !== 0 || spis[1] !== U32_MAX ? `${bang((flags & AH6_INV_SPI) !== 0)} --ahspi ${formatRange(spis)}` : "";
        if (length !== 0 || flags & AH6_INV_LENGTH) text += `${bang((flags & AH6_INV_LENGTH) !== 0)} --ahlen ${length}`;
        return flags & AH6_RESERVED ? `${text} --ahres` : text;
      },
      encode(w) {
        w.head(MATCH_AH6, false, 16).u32(spis[0]).u32(spis[1]).u32(length).u32(flags);
      },
    };
  },
};

const eui64: Extension = {
  name: "eui64",
  options: {},
  create: () => ({
    option() {},
    save: () => "",
    encode(w) {
      w.head(MATCH_EUI64, false, 0);
    },
  }),
};

const MODES = ["eq", "lt", "gt"];
const hl: Extension = {
  name: "hl",
  options: { "hl-lt": ARG, "hl-gt": ARG, "hl-eq": ARG | INV },
  create() {
    let mode = 0;
    let value = 0;
    return {
      option(name, argument, not) {
        value = number("hl", name, argument, 0, 255, true);
        mode = name === "hl-lt" ? 2 : name === "hl-gt" ? 3 : not ? 1 : 0;
      },
      finish(given) {
        if (given.size === 0) throw usage("HL match: You must specify one of `--hl-eq', `--hl-lt', `--hl-gt'");
        const [first, second] = ["hl-lt", "hl-gt", "hl-eq"].filter((name) => given.has(name));
        if (second !== undefined) throw together("hl", first!, second);
      },
      save: () => (mode === 1 ? ` ! --hl-eq ${value}` : ` --hl-${MODES[mode === 0 ? 0 : mode - 1]} ${value}`),
      encode(w) {
        w.head(MATCH_TTL, false, 8).u32(mode).u32(value);
      },
    };
  },
};

// extensions/libip6t_ipv6header.c: names, bit of ip6t_ipv6header.h, number of the header; in the order in which they are printed
const HEADERS: readonly (readonly [string, string, number, number])[] = [
  ["hop-by-hop", "hop", 0x80, 0], ["ipv6-opts", "dst", 0x40, 60], ["ipv6-route", "route", 0x20, 43], ["ipv6-frag", "frag", 0x10, 44],
  ["ah", "auth", 0x08, 51], ["esp", "esp", 0x04, 50], ["ipv6-nonxt", "none", 0x02, 59], ["protocol", "prot", 0x01, 255],
];
const ipv6header: Extension = {
  name: "ipv6header",
  options: { header: ARG | INV, soft: 0 },
  create() {
    let bits = 0;
    let soft = false;
    let inverted = false;
    return {
      option(name, argument, not) {
        if (name === "soft") {
          soft = true;
          return;
        }
        for (const word of argument.split(",")) {
          const value = parseNumber(word);
          const found = HEADERS.find(([long, short, , number_]) => word === long || word === short || value === number_);
          if (found === undefined) throw usage(`unknown header \`${word}' specified`);
          bits |= found[2];
        }
        inverted = not;
      },
      finish(given) {
        if (!given.has("header")) throw must("ipv6header", "header");
      },
      save: () =>
        `${bang(inverted)} --header ${HEADERS.filter(([, , bit]) => bits & bit).map(([long]) => long).join(",")}${soft ? " --soft" : ""}`,
      encode(w) {
        w.head(MATCH_IPV6HEADER, inverted, 8).u32(bits).u32(soft ? 1 : 0);
      },
    };
  },
};

// extensions/libip6t_mh.c
const MH_NAMES: readonly (readonly [string, number])[] = [
  ["binding-refresh-request", 0], ["brr", 0], ["home-test-init", 1], ["hoti", 1], ["careof-test-init", 2], ["coti", 2], ["home-test", 3],
  ["hot", 3], ["careof-test", 4], ["cot", 4], ["binding-update", 5], ["bu", 5], ["binding-acknowledgement", 6], ["ba", 6],
  ["binding-error", 7], ["be", 7],
];
const mhType = (text: string): number => {
  const wanted = text.toLowerCase();
  const exact = MH_NAMES.find(([name]) => name === wanted);
  const found = exact === undefined && wanted !== "" ? MH_NAMES.filter(([name]) => name.startsWith(wanted)) : [];
  if (found.length > 1) throw usage(`Ambiguous MH type \`${text}': \`${found[0]![0]}' or \`${found[1]![0]}'?`);
  const value = exact?.[1] ?? found[0]?.[1] ?? parseNumber(text, 0, 255);
  if (value === undefined) throw usage(`Invalid MH type \`${text}'`);
  return value;
};
const mh: Extension = {
  name: "mh",
  options: { "mh-type": ARG | INV },
  create() {
    let types: Range = [0, 255];
    let inverted = false;
    return {
      option(_name, argument, not) {
        const [lo = "", hi] = argument.split(":");
        const from = lo === "" && hi !== undefined ? 0 : mhType(lo);
        types = [from, hi === undefined ? from : hi === "" ? 255 : mhType(hi)];
        if (types[0] > types[1]) throw usage("Invalid MH type range (min > max)");
        inverted = not;
      },
      finish(_given, rule) {
        wantProtocol(rule.protocol, 135, rule.protocolInverted);
      },
      save: () => (types[0] === 0 && types[1] === 255 ? "" : `${bang(inverted)} --mh-type ${formatRange(types)}`),
      encode(w) {
        w.head(MATCH_MH6, inverted, 4).u8(types[0]).u8(types[1]).u16(0);
      },
    };
  },
};

// extensions/libip6t_srh.c: options in the order of their bits (SRH6_*)
const SRH_OPTIONS = [
  "next-hdr", "hdr-len-eq", "hdr-len-gt", "hdr-len-lt", "segs-left-eq", "segs-left-gt", "segs-left-lt", "last-entry-eq", "last-entry-gt",
  "last-entry-lt", "tag",
];
const SRH_FIELDS = [0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4];
const SRH_SEGMENTS: readonly (readonly [string, number])[] = [["psid", SRH6_PSID], ["nsid", SRH6_NSID], ["lsid", SRH6_LSID]];
const srh: Extension = {
  name: "srh",
  options: Object.fromEntries([...SRH_OPTIONS, ...SRH_SEGMENTS.map(([name]) => name)].map((name) => [`srh-${name}`, ARG | INV])),
  create() {
    const fields = [0, 0, 0, 0, 0];
    const segments: (AddressMask6 | undefined)[] = [undefined, undefined, undefined];
    let flags = 0;
    let inverted = 0;
    return {
      option(name, argument, not) {
        const option = name.slice(4);
        const index = SRH_OPTIONS.indexOf(option);
        const segment = SRH_SEGMENTS.findIndex(([known]) => known === option);
        const flag = index >= 0 ? 1 << index : SRH_SEGMENTS[segment]![1];
        if (index >= 0) fields[SRH_FIELDS[index]!] = number("srh", name, argument, 0, option === "tag" ? 65535 : 255, true);
        else segments[segment] = parseHost6(argument, NO_HOST);
        flags |= flag;
        if (not) inverted |= flag;
      },
      save() {
        let text = "";
        SRH_OPTIONS.forEach((option, index) => {
          if (flags & (1 << index)) text += `${bang((inverted & (1 << index)) !== 0)} --srh-${option} ${fields[SRH_FIELDS[index]!]}`;
        });
        SRH_SEGMENTS.forEach(([option, flag], i) => {
          const segment = segments[i];
          if (segment !== undefined) {
            text += `${bang((inverted & flag) !== 0)} --srh-${option} ${formatIpv6(segment.address)}/${maskLength6(segment.mask)}`;
          }
        });
        return text;
      },
      encode(w) {
        w.head(MATCH_SRH6, false, 16 + 96).u8(fields[0]!).u8(fields[1]!).u8(fields[2]!).u8(fields[3]!).u16(fields[4]!).u16(0);
        w.u32(flags).u32(inverted);
        for (const segment of segments) {
          writeBytes(w, segment?.address ?? new Uint8Array(16));
          writeBytes(w, segment?.mask ?? new Uint8Array(16));
        }
      },
    };
  },
};

const iprange: Extension = {
  name: "iprange",
  options: { "src-range": ARG | INV, "dst-range": ARG | INV },
  create() {
    let flags = 0;
    const none = new Uint8Array(16);
    const ranges: [Uint8Array, Uint8Array][] = [[none, none], [none, none]];
    const text = ([lo, hi]: [Uint8Array, Uint8Array]): string => `${formatIpv6(lo)}-${formatIpv6(hi)}`;
    return {
      option(name, argument, not) {
        const parse = (part: string): Uint8Array => {
          const address = parseIpv6(part);
          if (address === undefined) throw usage(`iprange: Bad value for "--${name}" option: "${part}"`);
          return address;
        };
        const [lo = "", hi] = argument.split("-");
        const from = parse(lo);
        ranges[name === "src-range" ? 0 : 1] = [from, hi === undefined ? from : parse(hi)];
        flags |= name === "src-range" ? IPRANGE_SOURCE | (not ? IPRANGE_INV_SOURCE : 0) : IPRANGE_DESTINATION | (not ? IPRANGE_INV_DESTINATION : 0);
      },
      finish() {
        if (flags === 0) throw usage("iprange match: You must specify `--src-range' or `--dst-range'");
      },
      save: () =>
        (flags & IPRANGE_SOURCE ? `${bang((flags & IPRANGE_INV_SOURCE) !== 0)} --src-range ${text(ranges[0]!)}` : "") +
        (flags & IPRANGE_DESTINATION ? `${bang((flags & IPRANGE_INV_DESTINATION) !== 0)} --dst-range ${text(ranges[1]!)}` : ""),
      encode(w) {
        w.head(MATCH_IPRANGE6, false, 68).u32(flags);
        for (const [lo, hi] of ranges) {
          writeBytes(w, lo);
          writeBytes(w, hi);
        }
      },
    };
  },
};

export const IPV6_MATCHES: readonly Extension[] = [
  icmp6, frag, options("hbh", 0), options("dst", 60), rt, ah, eui64, hl, ipv6header, mh, srh, iprange,
];
