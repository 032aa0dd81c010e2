/** Matches of headers that pods, Services and an overlay use: one entry per extension, as in iptables' extensions/libxt_*.c and libipt_*.c. */
import {
  ADDRTYPE_INV_DESTINATION, ADDRTYPE_INV_SOURCE, ADDRTYPE_LIMIT_IN, ADDRTYPE_LIMIT_OUT, MATCH_ADDRTYPE, MATCH_ICMP, MATCH_MARK,
  MATCH_MULTIPORT, MATCH_TCP, MATCH_UDP, MULTIPORT_DESTINATION, MULTIPORT_EITHER, MULTIPORT_SOURCE, PORTS_INV_DPORT,
  PORTS_INV_SPORT, TCP_INV_FLAGS, TCP_INV_OPTION,
} from "../../../assembly/abi/netfilter.ts";
import { ARG, INV, type Extension } from "./extension.ts";
import { ALL_PORTS, bang } from "./match-words.ts";
import { formatRange, hex, markMask, parseNumber, parsePort, parsePorts, quote, usage, type Range } from "./text.ts";

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

const PORT_OPTIONS = { sport: ARG | INV, "source-port": ARG | INV, dport: ARG | INV, "destination-port": ARG | INV };
const isSource = (name: string): boolean => name === "sport" || name === "source-port";

/** Ports as tcp and udp print them. */
const savePorts = (source: Range, destination: Range, inverted: number): string => {
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

// extensions/libxt_icmp.h; name:type[/code]
const ICMP_TYPES =
  "any:255 echo-reply:0 pong:0 destination-unreachable:3 network-unreachable:3/0 host-unreachable:3/1 protocol-unreachable:3/2 " +
  "port-unreachable:3/3 fragmentation-needed:3/4 source-route-failed:3/5 network-unknown:3/6 host-unknown:3/7 " +
  "network-prohibited:3/9 host-prohibited:3/10 tos-network-unreachable:3/11 tos-host-unreachable:3/12 " +
  "communication-prohibited:3/13 host-precedence-violation:3/14 precedence-cutoff:3/15 source-quench:4 redirect:5 " +
  "network-redirect:5/0 host-redirect:5/1 tos-network-redirect:5/2 tos-host-redirect:5/3 echo-request:8 ping:8 " +
  "router-advertisement:9 router-solicitation:10 time-exceeded:11 ttl-exceeded:11 ttl-zero-during-transit:11/0 " +
  "ttl-zero-during-reassembly:11/1 parameter-problem:12 ip-header-bad:12/0 required-option-missing:12/1 timestamp-request:13 " +
  "timestamp-reply:14 address-mask-request:17 address-mask-reply:18";

/** {type, lowest code, highest code}. Names may be shortened. */
function parseIcmpType(text: string): [number, number, number] {
  const wanted = text.toLowerCase();
  let found: [string, string] | undefined;
  for (const entry of ICMP_TYPES.split(" ")) {
    const [name, value] = entry.split(":") as [string, string];
    if (!name.startsWith(wanted)) continue;
    if (found !== undefined) {
      throw usage(`Ambiguous ICMP type \`${text}': \`${found[0]}' or \`${name}'?`);
    }
    found = [name, value];
    if (name === wanted) break;
  }
  const [typeText, codeText] = (found?.[1] ?? text).split("/") as [string, string | undefined];
  const type = parseNumber(typeText, 0, 255);
  if (type === undefined) throw usage(`Unknown ICMP type \`${text}'`);
  if (codeText === undefined) return [type, 0, 255];
  const code = parseNumber(codeText, 0, 255);
  if (code === undefined) throw usage(`Unknown ICMP code \`${codeText}'`);
  return [type, code, code];
}

const icmp: Extension = {
  name: "icmp",
  options: { "icmp-type": ARG | INV },
  create() {
    let type: [number, number, number] = [255, 0, 255];
    let inverted = false;
    return {
      option(_name, argument, not) {
        type = parseIcmpType(argument);
        inverted = not;
      },
      finish(given) {
        if (!given.has("icmp-type")) throw usage('icmp: option "--icmp-type" must be specified\n');
      },
      save() {
        const code = type[1] !== 0 || type[2] !== 255 ? `/${type[1]}` : "";
        return `${bang(inverted)} --icmp-type ${type[0] === 255 ? "any" : `${type[0]}${code}`}`;
      },
      encode(w) {
        w.head(MATCH_ICMP, inverted, 4).u8(type[0]).u8(type[1]).u8(type[2]).u8(0);
      },
    };
  },
};

const PORT_PROTOCOLS = [6, 17, 136, 132, 33];
const MULTIPORT_MAX = 15;
const multiport: Extension = {
  name: "multiport",
  options: {
    "source-ports": ARG | INV, sports: ARG | INV, "destination-ports": ARG | INV, dports: ARG | INV, ports: ARG | INV,
  },
  create() {
    let side = MULTIPORT_EITHER;
    let ports: Range[] = [];
    let inverted = false;
    return {
      option(name, argument, not, rule) {
        if (rule.protocol === 0 || rule.protocolInverted) {
          throw usage("multiport needs `-p tcp', `-p udp', `-p udplite', `-p sctp' or `-p dccp'");
        }
        if (!PORT_PROTOCOLS.includes(rule.protocol)) {
          throw usage("multiport only works with TCP, UDP, UDPLITE, SCTP and DCCP");
        }
        if (ports.length !== 0) throw usage("multiport can only have one option");
        side = name.startsWith("s") ? MULTIPORT_SOURCE : name.startsWith("d") ? MULTIPORT_DESTINATION : MULTIPORT_EITHER;
        let count = 0;
        ports = argument.split(",").map((word) => {
          const colon = word.indexOf(":");
          count += colon < 0 ? 1 : 2;
          if (count > MULTIPORT_MAX) throw usage("too many ports specified");
          if (colon < 0) return [parsePort(word), parsePort(word)];
          const lo = parsePort(word.slice(0, colon));
          const hi = parsePort(word.slice(colon + 1));
          if (lo >= hi) throw usage("invalid portrange specified");
          return [lo, hi];
        });
        inverted = not;
      },
      finish() {
        if (ports.length === 0) throw usage("no ports specified");
      },
      save() {
        const option = side === MULTIPORT_SOURCE ? "sports" : side === MULTIPORT_DESTINATION ? "dports" : "ports";
        return `${bang(inverted)} --${option} ${ports.map((range) => formatRange(range)).join(",")}`;
      },
      encode(w) {
        w.head(MATCH_MULTIPORT, inverted, 4 + 4 * ports.length).u16(side).u16(ports.length);
        for (const [lo, hi] of ports) w.u16(lo).u16(hi);
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

const mark: Extension = {
  name: "mark",
  options: { mark: ARG | INV },
  create() {
    let value = 0;
    let mask = 0;
    let inverted = false;
    return {
      option(_name, argument, not) {
        ({ value, mask } = markMask("mark", "mark", argument));
        inverted = not;
      },
      finish(given) {
        if (!given.has("mark")) throw usage('mark: option "--mark" must be specified\n');
      },
      save: () => `${bang(inverted)} --mark ${hex(value)}${mask === 0xffffffff ? "" : `/${hex(mask)}`}`,
      encode(w) {
        w.head(MATCH_MARK, inverted, 8).u32(value).u32(mask);
      },
    };
  },
};

export const HEADER_MATCHES: readonly Extension[] = [
  comment, tcp, udp, icmp, multiport, addrtype, mark,
];
