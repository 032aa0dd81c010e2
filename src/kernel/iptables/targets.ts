/** Targets: one entry per extension, as in iptables' extensions/libxt_*.c and libipt_*.c. */
import {
  NAT_RANGE_BYTES, NAT_RANGE_MAP_IPS, NAT_RANGE_PERSISTENT, NAT_RANGE_PROTO_OFFSET, NAT_RANGE_PROTO_RANDOM,
  NAT_RANGE_PROTO_RANDOM_FULLY, NAT_RANGE_PROTO_SPECIFIED, TARGET_DNAT, TARGET_MARK, TARGET_MASQUERADE, TARGET_NOTRACK,
  TARGET_REDIRECT, TARGET_REJECT, TARGET_SNAT,
} from "../../../assembly/abi/netfilter.ts";
import { formatIpv4 } from "../address.ts";
import { ARG, type Extension, type RuleHead } from "./extension.ts";
import { formatRange, hex, markMask, number, parseAddress, portNumber, usage, type Range } from "./text.ts";
import type { Writer } from "./writer.ts";

/** `--set-xmark VALUE/MASK` out of the forms it may be typed in: undefined for an option that sets no mark. */
export function markOperation(ext: string, name: string, text: string): { value: number; mask: number } | undefined {
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

export const MARK_OPTIONS = { "set-xmark": ARG, "set-mark": ARG, "and-mark": ARG, "or-mark": ARG, "xor-mark": ARG };
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

export const TARGET_EXTENSIONS: readonly Extension[] = [
  mark, nat("DNAT", TARGET_DNAT, "to-destination", ["random", "persistent"], true),
  nat("SNAT", TARGET_SNAT, "to-source", ["random", "random-fully", "persistent"], true),
  nat("MASQUERADE", TARGET_MASQUERADE, "to-ports", ["random", "random-fully"], false),
  nat("REDIRECT", TARGET_REDIRECT, "to-ports", ["random"], false), rejectOf(REJECTS, REJECT_DEFAULT, TARGET_REJECT), notrack("CT", "notrack"),
  notrack("NOTRACK", undefined),
];
