/** Matches of what stands in the headers of a packet, beyond those that pods, Services and an overlay use. */
import {
  ECN_CWR, ECN_ECE, ECN_INV_CWR, ECN_INV_ECE, ECN_INV_IP, ECN_IP, IPRANGE_DESTINATION, IPRANGE_INV_DESTINATION,
  IPRANGE_INV_SOURCE, IPRANGE_SOURCE, MATCH_ECN, MATCH_ICMP, MATCH_IPRANGE, MATCH_LENGTH, MATCH_MAC, MATCH_MULTIPORT,
  MATCH_PKTTYPE, MATCH_RPFILTER, MATCH_TOS, MATCH_TTL, MULTIPORT_DESTINATION, MULTIPORT_EITHER, MULTIPORT_SOURCE,
  RPFILTER_ACCEPT_LOCAL, RPFILTER_INVERT, RPFILTER_LOOSE, RPFILTER_VALID_MARK,
} from "../../../assembly/abi/netfilter.ts";
import { formatIpv4, formatMac } from "../address.ts";
import { ARG, INV, MULTI, type Extension } from "./extension.ts";
import { ALL_PORTS, bang } from "./match-words.ts";
import { formatRange, hex2, number, parseAddress, usage, type Range, parseNumber, parsePort } from "./text.ts";

const length: Extension = {
  name: "length",
  options: { length: ARG | INV },
  create() {
    let range: Range = ALL_PORTS;
    let inverted = false;
    return {
      option(_name, argument, not) {
        const colon = argument.indexOf(":");
        const one = (text: string, otherwise: number): number =>
          text === "" && colon >= 0 ? otherwise : number("length", "length", text, 0, 65535);
        const lo = one(colon < 0 ? argument : argument.slice(0, colon), 0);
        range = [lo, colon < 0 ? lo : one(argument.slice(colon + 1), 65535)];
        inverted = not;
      },
      finish(given) {
        if (!given.has("length")) throw usage('length: option "--length" must be specified\n');
      },
      save: () => `${bang(inverted)} --length ${formatRange(range)}`,
      encode(w) {
        w.head(MATCH_LENGTH, inverted, 4).u16(range[0]).u16(range[1]);
      },
    };
  },
};

const TTL_MODES = ["ttl-eq", "ttl-ne", "ttl-lt", "ttl-gt"];
const ttl: Extension = {
  name: "ttl",
  options: { "ttl-eq": ARG | INV, ttl: ARG | INV, "ttl-lt": ARG, "ttl-gt": ARG },
  create() {
    let mode = 0;
    let value = 0;
    return {
      option(name, argument, not) {
        value = number("ttl", name, argument, 0, 255, true);
        mode = name === "ttl-lt" ? 2 : name === "ttl-gt" ? 3 : not ? 1 : 0;
      },
      finish(given) {
        if (given.size === 0) throw usage("TTL match: You must specify one of `--ttl-eq', `--ttl-lt', `--ttl-gt");
      },
      save: () => (mode === 1 ? ` ! --ttl-eq ${value}` : ` --${TTL_MODES[mode]} ${value}`),
      encode(w) {
        w.head(MATCH_TTL, false, 8).u32(mode).u32(value);
      },
    };
  },
};

const TOS_NAMES: Readonly<Record<string, number>> = {
  "minimize-delay": 0x10, "maximize-throughput": 0x08, "maximize-reliability": 0x04, "minimize-cost": 0x02, "normal-service": 0x00,
};

/** `VALUE[/MASK]` or a name (XTTYPE_TOSMASK); a number alone means all eight bits. */
export function parseTos(ext: string, option: string, text: string): { value: number; mask: number } {
  const named = TOS_NAMES[text.toLowerCase()];
  if (named !== undefined) return { value: named, mask: 0x3f };
  const slash = text.indexOf("/");
  return {
    value: number(ext, option, slash < 0 ? text : text.slice(0, slash), 0, 255),
    mask: slash < 0 ? 255 : number(ext, option, text.slice(slash + 1), 0, 255),
  };
}

const tos: Extension = {
  name: "tos",
  options: { tos: ARG | INV },
  create() {
    let value = 0;
    let mask = 0;
    let inverted = false;
    return {
      option(_name, argument, not) {
        ({ value, mask } = parseTos("tos", "tos", argument));
        inverted = not;
      },
      finish(given) {
        if (!given.has("tos")) throw usage('tos: option "--tos" must be specified\n');
      },
      save: () => `${bang(inverted)} --tos ${hex2(value)}/${hex2(mask)}`,
      encode(w) {
        w.head(MATCH_TOS, inverted, 8).u32(value).u32(mask);
      },
    };
  },
};

/** DSCP class names: CSx, AFxy, EF, BE. */
export function parseDscpClass(text: string): number {
  const name = text.toUpperCase();
  if (name === "BE") return 0;
  if (name === "EF") return 0x2e;
  const cs = /^CS([0-7])$/.exec(name);
  if (cs) return Number(cs[1]) << 3;
  const af = /^AF([1-4])([1-3])$/.exec(name);
  if (af) return (Number(af[1]) << 3) | (Number(af[2]) << 1);
  throw usage(`Invalid DSCP value \`${text}'\n`);
}

const dscp: Extension = {
  name: "dscp",
  options: { dscp: ARG | INV, "dscp-class": ARG | INV },
  create() {
    let value = 0;
    let inverted = false;
    return {
      option(name, argument, not) {
        value = name === "dscp" ? number("dscp", "dscp", argument, 0, 63, true) : parseDscpClass(argument);
        inverted = not;
      },
      finish(given) {
        if (given.size === 0) throw usage("DSCP match: Parameter --dscp is required");
      },
      save: () => `${bang(inverted)} --dscp ${hex2(value)}`,
      encode(w) {
        w.head(MATCH_TOS, inverted, 8).u32(value << 2).u32(0xfc);
      },
    };
  },
};

const mac: Extension = {
  name: "mac",
  options: { "mac-source": ARG | INV },
  create() {
    let address = new Uint8Array(6);
    let inverted = false;
    return {
      option(_name, argument, not) {
        const parts = argument.split(":");
        if (parts.length !== 6 || !parts.every((part) => /^[0-9a-fA-F]{1,2}$/.test(part))) {
          throw usage("Invalid MAC address specified.");
        }
        address = Uint8Array.from(parts, (part) => parseInt(part, 16));
        inverted = not;
      },
      finish(given) {
        if (!given.has("mac-source")) throw usage('mac: option "--mac-source" must be specified\n');
      },
      save: () => `${bang(inverted)} --mac-source ${formatMac(address)}`,
      encode(w) {
        w.head(MATCH_MAC, inverted, 8);
        for (const byte of address) w.u8(byte);
        w.u16(0);
      },
    };
  },
};

const PACKET_TYPES = ["unicast", "broadcast", "multicast"];
const pkttype: Extension = {
  name: "pkttype",
  options: { "pkt-type": ARG | INV },
  create() {
    let type = 0;
    let inverted = false;
    return {
      option(_name, argument, not) {
        const wanted = argument.toLowerCase();
        type = PACKET_TYPES.findIndex((name) => name.startsWith(wanted));
        if (wanted === "bcast") type = 1;
        else if (wanted === "mcast") type = 2;
        else if (wanted === "host") type = 0;
        if (type < 0 || wanted === "") throw usage(`Bad packet type '${argument}'`);
        inverted = not;
      },
      finish(given) {
        if (!given.has("pkt-type")) throw usage('pkttype: option "--pkt-type" must be specified\n');
      },
      save: () => `${bang(inverted)} --pkt-type ${PACKET_TYPES[type]}`,
      encode(w) {
        w.head(MATCH_PKTTYPE, inverted, 4).u32(type);
      },
    };
  },
};

const parseIpRange = (text: string): Range => {
  const dash = text.indexOf("-");
  const from = parseAddress(dash < 0 ? text : text.slice(0, dash));
  return [from, dash < 0 ? from : parseAddress(text.slice(dash + 1))];
};
const iprange: Extension = {
  name: "iprange",
  options: { "src-range": ARG | INV, "dst-range": ARG | INV },
  create() {
    let flags = 0;
    let source: Range = [0, 0];
    let destination: Range = [0, 0];
    return {
      option(name, argument, not) {
        if (name === "src-range") {
          source = parseIpRange(argument);
          flags |= IPRANGE_SOURCE | (not ? IPRANGE_INV_SOURCE : 0);
        } else {
          destination = parseIpRange(argument);
          flags |= IPRANGE_DESTINATION | (not ? IPRANGE_INV_DESTINATION : 0);
        }
      },
      finish() {
        if (flags === 0) throw usage("iprange match: You must specify `--src-range' or `--dst-range'");
      },
      save() {
        const text = (range: Range): string => `${formatIpv4(range[0])}-${formatIpv4(range[1])}`;
        return (
          (flags & IPRANGE_SOURCE ? `${bang((flags & IPRANGE_INV_SOURCE) !== 0)} --src-range ${text(source)}` : "") +
          (flags & IPRANGE_DESTINATION ? `${bang((flags & IPRANGE_INV_DESTINATION) !== 0)} --dst-range ${text(destination)}` : "")
        );
      },
      encode(w) {
        w.head(MATCH_IPRANGE, false, 20).u32(flags).u32(source[0]).u32(source[1]).u32(destination[0]).u32(destination[1]);
      },
    };
  },
};

const ecn: Extension = {
  name: "ecn",
  options: { "ecn-tcp-cwr": INV, "ecn-tcp-ece": INV, "ecn-ip-ect": ARG | INV },
  create() {
    let flags = 0;
    let ect = 0;
    return {
      option(name, argument, not, rule) {
        if (name === "ecn-ip-ect") {
          ect = number("ecn", name, argument, 0, 3, true);
          flags |= ECN_IP | (not ? ECN_INV_IP : 0);
        } else {
          if (rule.protocol !== 6 || rule.protocolInverted) throw usage("TCP ECN matching requires -p tcp");
          if (name === "ecn-tcp-cwr") flags |= ECN_CWR | (not ? ECN_INV_CWR : 0);
          else flags |= ECN_ECE | (not ? ECN_INV_ECE : 0);
        }
      },
      finish() {
        if (flags === 0) throw usage("ECN match: some option required");
      },
      save: () =>
        (flags & ECN_ECE ? `${bang((flags & ECN_INV_ECE) !== 0)} --ecn-tcp-ece` : "") +
        (flags & ECN_CWR ? `${bang((flags & ECN_INV_CWR) !== 0)} --ecn-tcp-cwr` : "") +
        (flags & ECN_IP ? `${bang((flags & ECN_INV_IP) !== 0)} --ecn-ip-ect ${ect}` : ""),
      encode(w) {
        w.head(MATCH_ECN, false, 8).u32(flags).u32(ect);
      },
    };
  },
};

const RPFILTER_OPTIONS: readonly (readonly [string, number])[] = [
  ["loose", RPFILTER_LOOSE], ["validmark", RPFILTER_VALID_MARK], ["accept-local", RPFILTER_ACCEPT_LOCAL], ["invert", RPFILTER_INVERT],
];
const rpfilter: Extension = {
  name: "rpfilter",
  options: { loose: MULTI, validmark: MULTI, "accept-local": MULTI, invert: MULTI },
  create() {
    let flags = 0;
    return {
      option(name) {
        for (const [option, flag] of RPFILTER_OPTIONS) if (option === name) flags |= flag;
      },
      save: () => RPFILTER_OPTIONS.filter(([, flag]) => flags & flag).map(([name]) => ` --${name}`).join(""),
      encode(w) {
        w.head(MATCH_RPFILTER, false, 4).u32(flags);
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

export const PACKET_MATCHES: readonly Extension[] = [icmp, multiport, length, ttl, tos, dscp, mac, pkttype, iprange, ecn, rpfilter];
