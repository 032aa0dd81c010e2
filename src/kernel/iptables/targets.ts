/** Targets: one entry per extension, as in iptables' extensions/libxt_*.c and libipt_*.c. */
import {
  ECNOP_CWR, ECNOP_ECE, ECNOP_IP, NAT_RANGE_BYTES, NAT_RANGE_MAP_IPS, NAT_RANGE_PERSISTENT, NAT_RANGE_PROTO_OFFSET,
  NAT_RANGE_PROTO_RANDOM, NAT_RANGE_PROTO_RANDOM_FULLY, NAT_RANGE_PROTO_SPECIFIED, TARGET_CLASSIFY, TARGET_CONNMARK, TARGET_DNAT,
  TARGET_ECN, TARGET_LOG, TARGET_MARK, TARGET_MASQUERADE, TARGET_NETMAP, TARGET_NOTRACK, TARGET_REDIRECT, TARGET_REJECT, TARGET_SNAT,
  TARGET_TCPMSS, TARGET_TEE, TARGET_TOS, TARGET_TTL,
} from "../../../assembly/abi/netfilter.ts";
import { formatIpv4 } from "../address.ts";
import { ARG, type Extension, type RuleHead } from "./extension.ts";
import { parseDscpClass, parseTos } from "./matches.ts";
import {
  formatMask, formatRange, hex, hex2, markMask, number, parseAddress, parseHost, parseNumber, portNumber, quote, usage,
  type Range,
} from "./text.ts";
import type { Writer } from "./writer.ts";

/** `--set-xmark VALUE/MASK` out of the forms it may be typed in: undefined for an option that sets no mark. */
function markOperation(ext: string, name: string, text: string): { value: number; mask: number } | undefined {
  switch (name) {
    case "set-xmark": return markMask(ext, name, text);
    case "set-mark": {
      const { value, mask } = markMask(ext, name, text);
      return { value, mask: (value | mask) >>> 0 };
    }
    case "or-mark": {
      const value = number(ext, name, text);
      return { value, mask: value };
    }
    case "and-mark": return { value: 0, mask: ~number(ext, name, text) >>> 0 };
    case "xor-mark": return { value: number(ext, name, text), mask: 0 };
    default: return undefined;
  }
}

const MARK_OPTIONS = { "set-xmark": ARG, "set-mark": ARG, "and-mark": ARG, "or-mark": ARG, "xor-mark": ARG };
const mark: Extension = {
  name: "MARK",
  options: MARK_OPTIONS,
  create() {
    let operation: { value: number; mask: number } | undefined;
    return {
      option(name, argument) {
        operation = markOperation("MARK", name, argument);
      },
      finish() {
        if (operation === undefined) {
          throw usage("MARK: One of the --set-xmark, --{and,or,xor,set}-mark options is required");
        }
      },
      save: () => ` --set-xmark ${hex(operation!.value)}/${hex(operation!.mask)}`,
      encode(w) {
        w.head(TARGET_MARK, false, 8).u32(operation!.value).u32(operation!.mask);
      },
    };
  },
};

const connmark: Extension = {
  name: "CONNMARK",
  options: { ...MARK_OPTIONS, "save-mark": 0, "restore-mark": 0, nfmask: ARG, ctmask: ARG, mask: ARG },
  create() {
    let mode = -1;
    let ctmark = 0;
    let ctmask = 0xffffffff;
    let nfmask = 0xffffffff;
    return {
      option(name, argument) {
        if (name === "save-mark") mode = 1;
        else if (name === "restore-mark") mode = 2;
        else if (name === "nfmask") nfmask = number("CONNMARK", name, argument);
        else if (name === "ctmask") ctmask = number("CONNMARK", name, argument);
        else if (name === "mask") nfmask = ctmask = number("CONNMARK", name, argument);
        else {
          const operation = markOperation("CONNMARK", name, argument)!;
          mode = 0;
          ctmark = operation.value;
          ctmask = operation.mask;
        }
      },
      finish() {
        if (mode < 0) throw usage("CONNMARK target: No operation specified");
      },
      save: () =>
        mode === 0
          ? ` --set-xmark ${hex(ctmark)}/${hex(ctmask)}`
          : ` --${mode === 1 ? "save" : "restore"}-mark --nfmask ${hex(nfmask)} --ctmask ${hex(ctmask)}`,
      encode(w) {
        w.head(TARGET_CONNMARK, false, 16).u32(mode).u32(ctmark).u32(ctmask).u32(nfmask);
      },
    };
  },
};

const PORT_PROTOCOLS = [6, 17, 132, 33, 1];
const wantPorts = (rule: RuleHead): void => {
  if (rule.protocolInverted || !PORT_PROTOCOLS.includes(rule.protocol)) {
    throw usage("Need TCP, UDP, SCTP or DCCP with port specification");
  }
};

/** An address of a NAT target's range: its text and how it is encoded. */
export interface NatAddress {
  readonly text: string;
  readonly encode: (w: Writer) => void;
}

/** How a family writes a NAT target's range. */
export interface NatStyle {
  readonly bytes: number;
  /** What stands before and behind the colon of `--to-destination`. */
  readonly split: (text: string) => { readonly addresses: string; readonly ports: string | undefined };
  readonly address: (text: string) => NatAddress;
  /** Where there is no address. */
  readonly none: NatAddress;
  /** Addresses in front of ports. */
  readonly beforePorts: (addresses: string) => string;
}

const nat4Address = (text: string): NatAddress => {
  const value = parseAddress(text);
  return { text: formatIpv4(value), encode: (w) => void w.u32(value) };
};
const NAT4: NatStyle = {
  bytes: NAT_RANGE_BYTES,
  split(text) {
    const colon = text.indexOf(":");
    return colon < 0 ? { addresses: text, ports: undefined } : { addresses: text.slice(0, colon), ports: text.slice(colon + 1) };
  },
  address: nat4Address,
  none: { text: "", encode: (w) => void w.u32(0) },
  beforePorts: (addresses) => addresses,
};

/** The range of a NAT target while it is parsed; ports in host order. */
interface Range2 {
  flags: number;
  lo: NatAddress;
  hi: NatAddress;
  ports: Range;
  base: number;
}

const natPort = (text: string): number => {
  const port = portNumber(text);
  if (port === undefined) throw usage(`Port \`${text}' not valid`);
  return port;
};

/** `LO[-HI]` */
function natPorts(text: string): Range {
  const dash = text.indexOf("-");
  const lo = natPort(dash < 0 ? text : text.slice(0, dash));
  const hi = dash < 0 ? lo : natPort(text.slice(dash + 1));
  if (lo > hi) throw usage(`Port range \`${text.slice(dash + 1)}' funky`);
  return [lo, hi];
}

/** `[ADDRESS[-ADDRESS]][:PORT[-PORT[/BASE]]]` */
function parseTo(text: string, rule: RuleHead, into: Range2, style: NatStyle): void {
  const { addresses, ports } = style.split(text);
  if (ports !== undefined) {
    wantPorts(rule);
    const slash = ports.indexOf("/");
    if (slash >= 0) {
      into.base = natPort(ports.slice(slash + 1));
      into.flags |= NAT_RANGE_PROTO_OFFSET;
    }
    into.ports = natPorts(slash < 0 ? ports : ports.slice(0, slash));
    into.flags |= NAT_RANGE_PROTO_SPECIFIED;
    if (addresses === "") return;
  }
  const dash = addresses.indexOf("-");
  into.lo = style.address(dash < 0 ? addresses : addresses.slice(0, dash));
  into.hi = dash < 0 ? into.lo : style.address(addresses.slice(dash + 1));
  into.flags |= NAT_RANGE_MAP_IPS;
}

/** `LO[-HI]` of MASQUERADE and REDIRECT. */
function parseToPorts(text: string, rule: RuleHead, into: Range2): void {
  wantPorts(rule);
  into.ports = natPorts(text);
  into.flags |= NAT_RANGE_PROTO_SPECIFIED;
}

/** A NAT target: `to` is the option that names the range. */
export const nat = (name: string, kind: number, to: string, flags: readonly string[], needed: boolean, style = NAT4): Extension => ({
  name,
  options: { [to]: ARG, ...Object.fromEntries(flags.map((flag) => [flag, 0])) },
  create() {
    const range: Range2 = { flags: 0, lo: style.none, hi: style.none, ports: [0, 0], base: 0 };
    return {
      option(option, argument, _inverted, rule) {
        if (option === "random") range.flags |= NAT_RANGE_PROTO_RANDOM;
        else if (option === "random-fully") range.flags |= NAT_RANGE_PROTO_RANDOM_FULLY;
        else if (option === "persistent") range.flags |= NAT_RANGE_PERSISTENT;
        else if (to === "to-ports") parseToPorts(argument, rule, range);
        else parseTo(argument, rule, range, style);
      },
      finish(given) {
        if (needed && !given.has(to)) throw usage(`${name}: option "--${to}" must be specified\n`);
      },
      save() {
        let text = "";
        if (range.flags & (NAT_RANGE_MAP_IPS | NAT_RANGE_PROTO_SPECIFIED)) {
          text = ` --${to} `;
          const ports = (range.flags & NAT_RANGE_PROTO_SPECIFIED) !== 0;
          if (range.flags & NAT_RANGE_MAP_IPS) {
            const addresses = range.lo.text + (range.hi.text === range.lo.text ? "" : `-${range.hi.text}`);
            text += ports ? style.beforePorts(addresses) : addresses;
          }
          if (ports) {
            text += (to === "to-ports" ? "" : ":") + formatRange(range.ports, "-");
            if (range.flags & NAT_RANGE_PROTO_OFFSET) text += `/${range.base}`;
          }
        }
        if (range.flags & NAT_RANGE_PROTO_RANDOM) text += " --random";
        if (range.flags & NAT_RANGE_PROTO_RANDOM_FULLY) text += " --random-fully";
        if (range.flags & NAT_RANGE_PERSISTENT) text += " --persistent";
        return text;
      },
      encode(w) {
        w.head(kind, false, style.bytes).u32(range.flags);
        range.lo.encode(w);
        range.hi.encode(w);
        w.u16(range.ports[0]).u16(range.ports[1]).u16(range.base).u16(0);
      },
    };
  },
});

const netmap: Extension = {
  name: "NETMAP",
  options: { to: ARG },
  create() {
    let net = 0;
    let mask = 0xffffffff;
    return {
      option(_name, argument) {
        const slash = argument.indexOf("/");
        const host = parseHost(argument);
        parseAddress(slash < 0 ? argument : argument.slice(0, slash));
        net = host.address;
        mask = host.mask;
      },
      finish(given) {
        if (!given.has("to")) throw usage('NETMAP: option "--to" must be specified\n');
      },
      save() {
        const bits = formatMask(mask);
        return ` --to ${formatIpv4(net)}${bits === "32" ? "" : `/${bits}`}`;
      },
      encode(w) {
        w.head(TARGET_NETMAP, false, NAT_RANGE_BYTES).u32(NAT_RANGE_MAP_IPS).u32(net).u32((net | ~mask) >>> 0).u32(0).u32(0);
      },
    };
  },
};

// extensions/libipt_REJECT.c; name, other name, number
const REJECTS: readonly (readonly [string, string, number])[] = [
  ["icmp-net-unreachable", "net-unreach", 0], ["icmp-host-unreachable", "host-unreach", 1],
  ["icmp-proto-unreachable", "proto-unreach", 2], ["icmp-port-unreachable", "port-unreach", 3],
  ["icmp-net-prohibited", "net-prohib", 5], ["icmp-host-prohibited", "host-prohib", 6], ["tcp-reset", "tcp-rst", 7],
  ["icmp-admin-prohibited", "admin-prohib", 8],
];
const REJECT_DEFAULT = 3;
/** REJECT with its answers (name, other name, number), `standard` being the index of the one that is meant where none is named. */
export const rejectOf = (rejects: typeof REJECTS, standard: number, kind: number): Extension => ({
  name: "REJECT",
  options: { "reject-with": ARG },
  create() {
    let type = rejects[standard]!;
    return {
      option(_name, argument) {
        const wanted = argument.toLowerCase();
        const found = rejects.find(([name, alias]) => name.startsWith(wanted) || alias.startsWith(wanted));
        if (found === undefined || wanted === "") throw usage(`unknown reject type "${argument}"`);
        type = found;
      },
      save: () => ` --reject-with ${type[0]}`,
      encode(w) {
        w.head(kind, false, 4).u32(type[2]);
      },
    };
  },
});

const LOG_LEVELS = ["emerg", "alert", "crit", "error", "warning", "notice", "info", "debug"];
const LOG_ALIASES: Readonly<Record<string, number>> = { panic: 0, err: 3, warn: 4 };
const LOG_FLAGS = ["log-tcp-sequence", "log-tcp-options", "log-ip-options", "log-uid", "log-macdecode"];
const LOG_PREFIX_MAX = 29;
const LOG_LEVEL_DEFAULT = 4;
const log: Extension = {
  name: "LOG",
  options: { "log-level": ARG, "log-prefix": ARG, ...Object.fromEntries(LOG_FLAGS.map((flag) => [flag, 0])) },
  create() {
    let level = LOG_LEVEL_DEFAULT;
    let prefix = "";
    const flags = new Set<string>();
    return {
      option(name, argument) {
        if (name === "log-level") {
          const found = LOG_ALIASES[argument] ?? LOG_LEVELS.indexOf(argument);
          const value = found >= 0 ? found : parseNumber(argument, 0, 7);
          if (value === undefined) throw usage(`log level "${argument}" unknown\n`);
          level = value;
        } else if (name === "log-prefix") prefix = argument.slice(0, LOG_PREFIX_MAX);
        else flags.add(name);
      },
      save: () =>
        (prefix === "" ? "" : ` --log-prefix ${quote(prefix)}`) +
        (level === LOG_LEVEL_DEFAULT ? "" : ` --log-level ${level}`) +
        LOG_FLAGS.filter((flag) => flags.has(flag)).map((flag) => ` --${flag}`).join(""),
      encode(w) {
        w.head(TARGET_LOG, false, 0);
      },
    };
  },
};

/** NOTRACK, and CT as far as it says the same. */
const notrack = (name: string, option: string | undefined): Extension => ({
  name,
  options: option === undefined ? {} : { [option]: 0 },
  create: () => ({
    option() {},
    finish(given) {
      if (option !== undefined && !given.has(option)) throw usage(`${name}: option "--${option}" must be specified\n`);
    },
    save: () => (option === undefined ? "" : ` --${option}`),
    encode(w) {
      w.head(TARGET_NOTRACK, false, 0);
    },
  }),
});

const CLAMP = 0xffff;
const tcpmss: Extension = {
  name: "TCPMSS",
  options: { "set-mss": ARG, "clamp-mss-to-pmtu": 0 },
  create() {
    let mss = 0;
    return {
      option(name, argument) {
        mss = name === "set-mss" ? number("TCPMSS", name, argument, 0, 65495, true) : CLAMP;
      },
      finish(given) {
        if (given.size === 0) throw usage("TCPMSS target: At least one parameter is required");
        if (given.size === 2) throw usage('TCPMSS: option "--clamp-mss-to-pmtu" cannot be used together with "--set-mss".\n');
      },
      save: () => (mss === CLAMP ? " --clamp-mss-to-pmtu" : ` --set-mss ${mss}`),
      encode(w) {
        w.head(TARGET_TCPMSS, false, 4).u32(mss);
      },
    };
  },
};

const dscp: Extension = {
  name: "DSCP",
  options: { "set-dscp": ARG, "set-dscp-class": ARG },
  create() {
    let value = 0;
    return {
      option(name, argument) {
        value = name === "set-dscp" ? number("DSCP", name, argument, 0, 63, true) : parseDscpClass(argument);
      },
      finish(given) {
        if (given.size === 0) throw usage("DSCP target: Parameter --set-dscp is required");
      },
      save: () => ` --set-dscp ${hex2(value)}`,
      encode(w) {
        w.head(TARGET_TOS, false, 8).u32(value << 2).u32(0xfc);
      },
    };
  },
};

const tos: Extension = {
  name: "TOS",
  options: { "set-tos": ARG, "and-tos": ARG, "or-tos": ARG, "xor-tos": ARG },
  create() {
    let value = 0;
    let mask = 0;
    return {
      option(name, argument) {
        if (name === "set-tos") {
          ({ value, mask } = parseTos("TOS", name, argument));
          return;
        }
        const bits = number("TOS", name, argument, 0, 255);
        value = name === "and-tos" ? 0 : bits;
        mask = name === "and-tos" ? ~bits & 255 : name === "or-tos" ? bits : 0;
      },
      finish(given) {
        if (given.size === 0) throw usage("TOS: An action is required");
      },
      save: () => ` --set-tos ${hex2(value)}/${hex2(mask)}`,
      encode(w) {
        w.head(TARGET_TOS, false, 8).u32(value).u32(mask);
      },
    };
  },
};

const TTL_MODES = ["ttl-set", "ttl-inc", "ttl-dec"];
const ttl: Extension = {
  name: "TTL",
  options: Object.fromEntries(TTL_MODES.map((mode) => [mode, ARG])),
  create() {
    let mode = 0;
    let value = 0;
    return {
      option(name, argument) {
        mode = TTL_MODES.indexOf(name);
        value = number("TTL", name, argument, 0, 255, true);
        if (mode !== 0 && value === 0) throw usage("TTL: increment/decrement by 0?");
      },
      finish(given) {
        if (given.size === 0) throw usage("TTL: You must specify an action");
      },
      save: () => ` --${TTL_MODES[mode]} ${value}`,
      encode(w) {
        w.head(TARGET_TTL, false, 8).u32(mode).u32(value);
      },
    };
  },
};

const tee: Extension = {
  name: "TEE",
  options: { gateway: ARG },
  create() {
    let gateway = 0;
    return {
      option(_name, argument) {
        gateway = parseAddress(argument);
      },
      finish(given) {
        if (!given.has("gateway")) throw usage('TEE: option "--gateway" must be specified\n');
      },
      save: () => ` --gateway ${formatIpv4(gateway)}`,
      encode(w) {
        w.head(TARGET_TEE, false, 4).address(gateway);
      },
    };
  },
};

const classify: Extension = {
  name: "CLASSIFY",
  options: { "set-class": ARG },
  create() {
    let major = 0;
    let minor = 0;
    const hex4 = (value: number): string => value.toString(16).padStart(4, "0");
    return {
      option(_name, argument) {
        const match = /^([0-9a-fA-F]{1,4}):([0-9a-fA-F]{1,4})$/.exec(argument);
        if (match === null) throw usage(`Bad class value "${argument}"`);
        major = parseInt(match[1]!, 16);
        minor = parseInt(match[2]!, 16);
      },
      finish(given) {
        if (!given.has("set-class")) throw usage('CLASSIFY: option "--set-class" must be specified\n');
      },
      save: () => ` --set-class ${hex4(major)}:${hex4(minor)}`,
      encode(w) {
        w.head(TARGET_CLASSIFY, false, 4).u32(((major << 16) | minor) >>> 0);
      },
    };
  },
};

const ecn: Extension = {
  name: "ECN",
  options: { "ecn-tcp-remove": 0 },
  create: () => ({
    option() {},
    finish(given) {
      if (given.size === 0) throw usage("ECN target: An operation is required");
    },
    save: () => " --ecn-tcp-remove",
    encode(w) {
      w.head(TARGET_ECN, false, 8).u32((ECNOP_ECE | ECNOP_CWR) & ~ECNOP_IP).u32(0);
    },
  }),
};

export const TARGET_EXTENSIONS: readonly Extension[] = [
  mark, connmark, nat("DNAT", TARGET_DNAT, "to-destination", ["random", "persistent"], true),
  nat("SNAT", TARGET_SNAT, "to-source", ["random", "random-fully", "persistent"], true),
  nat("MASQUERADE", TARGET_MASQUERADE, "to-ports", ["random", "random-fully"], false),
  nat("REDIRECT", TARGET_REDIRECT, "to-ports", ["random"], false), netmap, rejectOf(REJECTS, REJECT_DEFAULT, TARGET_REJECT), log, notrack("CT", "notrack"),
  notrack("NOTRACK", undefined), tcpmss, dscp, tos, ttl, tee, classify, ecn,
];
