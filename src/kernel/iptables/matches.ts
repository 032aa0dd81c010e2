/** Matches of headers that pods, Services and an overlay use: one entry per extension, as in iptables' extensions/libxt_*.c and libipt_*.c. */
import {
  ADDRTYPE_INV_DESTINATION, ADDRTYPE_INV_SOURCE, ADDRTYPE_LIMIT_IN, ADDRTYPE_LIMIT_OUT, MATCH_ADDRTYPE, MATCH_MARK, MATCH_TCP,
  MATCH_UDP, PORTS_INV_DPORT, PORTS_INV_SPORT, TCP_INV_FLAGS, TCP_INV_OPTION,
} from "../../../assembly/abi/netfilter.ts";
import { ARG, INV, type Extension } from "./extension.ts";
import { ALL_PORTS, bang, must } from "./match-words.ts";
import { formatRange, hex, markMask, parseNumber, parsePorts, quote, usage, type Range } from "./text.ts";

const COMMENT_MAX = 255;
const comment: Extension = {
  name: "comment",
  options: { comment: ARG },
  create() {
    let text = "";
    return {
      option(_name, argument) {
        text = argument.slice(0, COMMENT_MAX);
      },
      finish(given) {
        if (!given.has("comment")) throw usage('comment: option "--comment" must be specified\n');
      },
      save: () => ` --comment ${quote(text)}`,
      encode() {},
    };
  },
};

export const PORT_OPTIONS = { sport: ARG | INV, "source-port": ARG | INV, dport: ARG | INV, "destination-port": ARG | INV };
export const isSource = (name: string): boolean => name === "sport" || name === "source-port";

/** Ports as tcp and udp print them. */
export const savePorts = (source: Range, destination: Range, inverted: number): string => {
  let text = "";
  if (source[0] !== 0 || source[1] !== 65535) text += `${bang((inverted & PORTS_INV_SPORT) !== 0)} --sport ${formatRange(source)}`;
  if (destination[0] !== 0 || destination[1] !== 65535) {
    text += `${bang((inverted & PORTS_INV_DPORT) !== 0)} --dport ${formatRange(destination)}`;
  }
  return text;
};

const TCP_FLAGS = ["FIN", "SYN", "RST", "PSH", "ACK", "URG"];
const parseFlags = (text: string): number => {
  let flags = 0;
  for (const word of text.split(",")) {
    const name = word.toUpperCase();
    const bit = TCP_FLAGS.indexOf(name);
    if (bit >= 0) flags |= 1 << bit;
    else if (name === "ALL") flags |= 63;
    else if (name !== "NONE") throw usage(`Unknown TCP flag \`${word}'`);
  }
  return flags;
};
const formatFlags = (flags: number): string =>
  flags === 0 ? "NONE" : TCP_FLAGS.filter((_, bit) => (flags >> bit) & 1).join(",");

const tcp: Extension = {
  name: "tcp",
  options: { ...PORT_OPTIONS, "tcp-flags": ARG | INV, syn: INV, "tcp-option": ARG | INV },
  create() {
    let source = ALL_PORTS;
    let destination = ALL_PORTS;
    let mask = 0;
    let flags = 0;
    let option = 0;
    let inverted = 0;
    return {
      option(name, argument, not, _rule, next) {
        if (isSource(name)) {
          source = parsePorts(argument);
          if (not) inverted |= PORTS_INV_SPORT;
        } else if (name === "dport" || name === "destination-port") {
          destination = parsePorts(argument);
          if (not) inverted |= PORTS_INV_DPORT;
        } else if (name === "tcp-option") {
          const value = parseNumber(argument, 1, 255);
          if (value === undefined) throw usage(`invalid tcp option \`${argument}' specified`);
          option = value;
          if (not) inverted |= TCP_INV_OPTION;
        } else {
          if (name === "syn") {
            mask = 0x17;
            flags = 2;
          } else {
            const second = next();
            if (second === undefined || second.startsWith("-") || second === "!") throw usage("--tcp-flags requires two args.");
            mask = parseFlags(argument);
            flags = parseFlags(second);
          }
          if (not) inverted |= TCP_INV_FLAGS;
        }
      },
      save() {
        let text = savePorts(source, destination, inverted);
        if (option !== 0) text += `${bang((inverted & TCP_INV_OPTION) !== 0)} --tcp-option ${option}`;
        if (mask !== 0 || inverted & TCP_INV_FLAGS) {
          text += `${bang((inverted & TCP_INV_FLAGS) !== 0)} --tcp-flags ${formatFlags(mask)} ${formatFlags(flags)}`;
        }
        return text;
      },
      encode(w) {
        w.head(MATCH_TCP, false, 12).u16(source[0]).u16(source[1]).u16(destination[0]).u16(destination[1]);
        w.u8(mask).u8(flags).u8(option).u8(inverted);
      },
    };
  },
};

const udp: Extension = {
  name: "udp",
  options: PORT_OPTIONS,
  create() {
    let source = ALL_PORTS;
    let destination = ALL_PORTS;
    let inverted = 0;
    return {
      option(name, argument, not) {
        if (isSource(name)) source = parsePorts(argument);
        else destination = parsePorts(argument);
        if (not) inverted |= isSource(name) ? PORTS_INV_SPORT : PORTS_INV_DPORT;
      },
      save: () => savePorts(source, destination, inverted),
      encode(w) {
        w.head(MATCH_UDP, false, 12).u16(source[0]).u16(source[1]).u16(destination[0]).u16(destination[1]).u32(inverted);
      },
    };
  },
};

const ADDRESS_TYPES = [
  "UNSPEC", "UNICAST", "LOCAL", "BROADCAST", "ANYCAST", "MULTICAST", "BLACKHOLE", "UNREACHABLE", "PROHIBIT", "THROW", "NAT", "XRESOLVE",
];
const parseTypes = (text: string): number => {
  let mask = 0;
  for (const word of text.split(",")) {
    const wanted = word.toUpperCase();
    const bit = wanted === "" ? -1 : ADDRESS_TYPES.findIndex((name) => name.startsWith(wanted));
    if (bit < 0) throw usage(`addrtype: bad type "${text}"`);
    mask |= 1 << bit;
  }
  return mask;
};
const formatTypes = (mask: number): string => ADDRESS_TYPES.filter((_, bit) => (mask >> bit) & 1).join(",");

const addrtype: Extension = {
  name: "addrtype",
  options: { "src-type": ARG | INV, "dst-type": ARG | INV, "limit-iface-in": 0, "limit-iface-out": 0 },
  create() {
    let source = 0;
    let destination = 0;
    let flags = 0;
    return {
      option(name, argument, not) {
        if (name === "src-type") {
          source = parseTypes(argument);
          if (not) flags |= ADDRTYPE_INV_SOURCE;
        } else if (name === "dst-type") {
          destination = parseTypes(argument);
          if (not) flags |= ADDRTYPE_INV_DESTINATION;
        } else flags |= name === "limit-iface-in" ? ADDRTYPE_LIMIT_IN : ADDRTYPE_LIMIT_OUT;
      },
      finish() {
        if (source === 0 && destination === 0) throw usage("addrtype: you must specify --src-type or --dst-type");
        if (flags & ADDRTYPE_LIMIT_IN && flags & ADDRTYPE_LIMIT_OUT) {
          throw usage("addrtype: you can't specify both --limit-iface-in and --limit-iface-out");
        }
      },
      save() {
        let text = "";
        if (source !== 0) text += `${bang((flags & ADDRTYPE_INV_SOURCE) !== 0)} --src-type ${formatTypes(source)}`;
        if (destination !== 0) text += `${bang((flags & ADDRTYPE_INV_DESTINATION) !== 0)} --dst-type ${formatTypes(destination)}`;
        if (flags & ADDRTYPE_LIMIT_IN) text += " --limit-iface-in";
        if (flags & ADDRTYPE_LIMIT_OUT) text += " --limit-iface-out";
        return text;
      },
      encode(w) {
        w.head(MATCH_ADDRTYPE, false, 8).u16(source).u16(destination).u32(flags);
      },
    };
  },
};

/** What a mark is compared with: the packet's, or its connection's. */
export const markOf = (name: string, kind: number): Extension => ({
  name,
  options: { mark: ARG | INV },
  create() {
    let value = 0;
    let mask = 0;
    let inverted = false;
    return {
      option(_name, argument, not) {
        ({ value, mask } = markMask(name, "mark", argument));
        inverted = not;
      },
      finish(given) {
        if (!given.has("mark")) throw must(name, "mark");
      },
      save: () => `${bang(inverted)} --mark ${hex(value)}${mask === 0xffffffff ? "" : `/${hex(mask)}`}`,
      encode(w) {
        w.head(kind, inverted, 8).u32(value).u32(mask);
      },
    };
  },
});

export const HEADER_MATCHES: readonly Extension[] = [
  comment, tcp, udp, addrtype, markOf("mark", MATCH_MARK),
];
