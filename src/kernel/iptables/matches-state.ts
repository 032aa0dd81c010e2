/** Matches of connections and of what was seen before: conntrack, statistic, recent. */
import {
  CTM_DIRECTION, CTM_EXPIRES, CTM_ORIGSRC, CTM_ORIGSRC_PORT, CTM_PROTO, CTM_STATE, CTM_STATUS, CTSTATE_DNAT,
  CTSTATE_ESTABLISHED, CTSTATE_INVALID, CTSTATE_NEW, CTSTATE_RELATED, CTSTATE_SNAT, CTSTATE_UNTRACKED, CONNTRACK_DATA,
  IPS_ASSURED, IPS_CONFIRMED, IPS_EXPECTED, IPS_SEEN_REPLY, MATCH_CONNTRACK, MATCH_RECENT, MATCH_STATISTIC, RECENT_CHECK,
  RECENT_DESTINATION, RECENT_REAP, RECENT_REMOVE, RECENT_SET, RECENT_TTL, RECENT_UPDATE,
} from "../../../assembly/abi/netfilter.ts";
import { MATCH_RECENT6 } from "../../../assembly/abi/xtables.ts";
import { formatIpv4 } from "../address.ts";
import { ARG, INV, type Extension } from "./extension.ts";
import { bang } from "./match-words.ts";
import { formatMask, formatRange, number, parseDotted, parseHost, parseProtocol, usage, type Range } from "./text.ts";
import type { Writer } from "./writer.ts";

export const STATES: readonly (readonly [string, number])[] = [
  ["INVALID", CTSTATE_INVALID], ["NEW", CTSTATE_NEW], ["RELATED", CTSTATE_RELATED], ["ESTABLISHED", CTSTATE_ESTABLISHED],
  ["UNTRACKED", CTSTATE_UNTRACKED], ["SNAT", CTSTATE_SNAT], ["DNAT", CTSTATE_DNAT],
];
const STATUSES: readonly (readonly [string, number])[] = [
  ["EXPECTED", IPS_EXPECTED], ["SEEN_REPLY", IPS_SEEN_REPLY], ["ASSURED", IPS_ASSURED], ["CONFIRMED", IPS_CONFIRMED],
];
/** Bits of comma-separated names, which may be shortened. */
export const parseNames = (names: readonly (readonly [string, number])[], text: string, wording: string): number => {
  let bits = 0;
  for (const word of text.split(",")) {
    const wanted = word.toUpperCase();
    const found = wanted === "" ? undefined : names.find(([name]) => name.startsWith(wanted));
    if (found === undefined) throw usage(`Bad ${wording} "${word}"`);
    bits |= found[1];
  }
  return bits;
};
export const formatNames = (names: readonly (readonly [string, number])[], bits: number): string =>
  names.filter(([, bit]) => bits & bit).map(([name]) => name).join(",");

const CT_ADDRESSES = ["ctorigsrc", "ctorigdst", "ctreplsrc", "ctrepldst"];
const CT_PORTS = CT_ADDRESSES.map((name) => `${name}port`);

/** An address with its mask as conntrack's options print it, and its bytes. */
export interface Masked {
  readonly text: string;
  readonly encode: (w: Writer) => void;
}
const masked4 = (text: string): Masked => {
  const { address, mask } = parseHost(text);
  return {
    text: mask === 0 ? "anywhere" : `${formatIpv4(address)}${mask === 0xffffffff ? "" : `/${formatMask(mask)}`}`,
    encode: (w) => void w.address(address).address(mask),
  };
};

/** conntrack with a family's addresses: `width` bytes each, behind the ports where they are wide. */
export const conntrackOf = (kind: number, data: number, width: number, parse: (text: string) => Masked): Extension => ({
  name: "conntrack",
  options: {
    ctstate: ARG | INV, ctproto: ARG | INV, ctstatus: ARG | INV, ctexpire: ARG | INV, ctdir: ARG,
    ...Object.fromEntries([...CT_ADDRESSES, ...CT_PORTS].map((name) => [name, ARG | INV])),
  },
  create() {
    let look = 0;
    let inverted = 0;
    let states = 0;
    let status = 0;
    let protocol = 0;
    let expires: Range = [0, 0];
    const addresses: (Masked | undefined)[] = [undefined, undefined, undefined, undefined];
    const ports: Range[] = [[0, 0], [0, 0], [0, 0], [0, 0]];
    const range = (name: string, text: string, max: number): Range => {
      const colon = text.indexOf(":");
      const lo = number("conntrack", name, colon < 0 ? text : text.slice(0, colon) || "0", 0, max);
      return [lo, colon < 0 ? lo : colon + 1 === text.length ? max : number("conntrack", name, text.slice(colon + 1), 0, max)];
    };
    return {
      option(name, argument, not) {
        let flag = 0;
        const address = CT_ADDRESSES.indexOf(name);
        const port = CT_PORTS.indexOf(name);
        if (address >= 0) {
          addresses[address] = parse(argument);
          flag = CTM_ORIGSRC << address;
        } else if (port >= 0) {
          ports[port] = range(name, argument, 65535);
          flag = CTM_ORIGSRC_PORT << port;
        } else if (name === "ctstate") {
          states = parseNames(STATES, argument, "ctstate");
          flag = CTM_STATE;
        } else if (name === "ctstatus") {
          status = argument.toUpperCase() === "NONE" ? 0 : parseNames(STATUSES, argument, "ctstatus");
          flag = CTM_STATUS;
        } else if (name === "ctproto") {
          protocol = parseProtocol(argument);
          flag = CTM_PROTO;
        } else if (name === "ctexpire") {
          expires = range(name, argument, 0xffffffff);
          flag = CTM_EXPIRES;
        } else {
          flag = CTM_DIRECTION;
          const direction = argument.toUpperCase();
          if (direction === "REPLY") inverted |= CTM_DIRECTION;
          else if (direction !== "ORIGINAL") throw usage(`conntrack: Bad value for "--ctdir" option: "${argument}"`);
        }
        look |= flag;
        if (not) inverted |= flag;
      },
      finish() {
        if (look === 0) throw usage("conntrack: At least one option is required");
      },
      save() {
        const not = (flag: number): string => bang((inverted & flag) !== 0);
        let text = "";
        if (look & CTM_STATE) text += `${not(CTM_STATE)} --ctstate ${formatNames(STATES, states)}`;
        if (look & CTM_PROTO) text += `${not(CTM_PROTO)} --ctproto ${protocol}`;
        for (let i = 0; i < 4; i++) {
          const flag = CTM_ORIGSRC << i;
          if (look & flag) text += `${not(flag)} --${CT_ADDRESSES[i]} ${addresses[i]!.text}`;
        }
        for (let i = 0; i < 4; i++) {
          const flag = CTM_ORIGSRC_PORT << i;
          if (look & flag) text += `${not(flag)} --${CT_PORTS[i]} ${formatRange(ports[i]!)}`;
        }
        if (look & CTM_STATUS) text += `${not(CTM_STATUS)} --ctstatus ${status === 0 ? "NONE" : formatNames(STATUSES, status)}`;
        if (look & CTM_EXPIRES) text += `${not(CTM_EXPIRES)} --ctexpire ${formatRange(expires)}`;
        if (look & CTM_DIRECTION) text += ` --ctdir ${inverted & CTM_DIRECTION ? "REPLY" : "ORIGINAL"}`;
        return text;
      },
      encode(w) {
        w.head(kind, false, data).u16(look).u16(inverted).u32(states).u32(status).u32(protocol);
        w.u32(expires[0]).u32(expires[1]);
        const writePorts = (): void => {
          for (const [lo, hi] of ports) w.u16(lo).u16(hi);
        };
        if (width > 4) writePorts();
        for (const address of addresses) {
          if (address !== undefined) address.encode(w);
          else for (let i = 0; i < width / 2; i++) w.u32(0);
        }
        if (width <= 4) writePorts();
      },
    };
  },
});

const PROBABILITY_SCALE = 0x80000000;
const statistic: Extension = {
  name: "statistic",
  options: { mode: ARG, probability: ARG | INV, every: ARG | INV, packet: ARG },
  create() {
    let mode = -1;
    let probability = 0;
    let every = 0;
    let packet = 0;
    let inverted = false;
    return {
      option(name, argument, not) {
        if (not) inverted = true;
        if (name === "mode") {
          if (argument !== "random" && argument !== "nth") throw usage(`Bad mode "${argument}"`);
          mode = argument === "random" ? 0 : 1;
        } else if (name === "probability") {
          const value = /^[0-9]*\.?[0-9]*(e-?[0-9]+)?$/.test(argument) && argument !== "" ? Number(argument) : NaN;
          if (!(value >= 0 && value <= 1)) {
            throw usage('statistic: bad value for option "--probability", or out of range (0-1).\n');
          }
          probability = Math.round(value * PROBABILITY_SCALE);
        } else if (name === "every") {
          every = number("statistic", name, argument, 1, 0xffffffff, true);
        } else packet = number("statistic", name, argument);
      },
      finish(given) {
        if (!given.has("mode")) throw usage('statistic: option "--mode" must be specified\n');
        if (given.has("every") && !given.has("packet")) {
          throw usage('statistic: option "--every" also requires "--packet".\n');
        }
        if (mode === 0 && !given.has("probability")) throw usage("--probability must be specified when using random mode");
        if (mode === 1 && !given.has("every")) throw usage("--every must be specified when using nth mode");
        if (mode === 1 && packet >= every) throw usage(`the --packet p must be 0 <= p <= n-1`);
      },
      save: () =>
        mode === 0
          ? ` --mode random${bang(inverted)} --probability ${(probability / PROBABILITY_SCALE).toFixed(11)}`
          : ` --mode nth${bang(inverted)} --every ${every} --packet ${packet}`,
      encode(w) {
        w.head(MATCH_STATISTIC, inverted, 16).u32(mode);
        if (mode === 0) w.u32(probability).u32(0).u32(0);
        else w.u32(every - 1).u32(every - 1 - packet).u32(0);
      },
    };
  },
};

const RECENT_NAME_MAX = 200;
/** recent with a family's mask: how it is read and what it is without one. */
export const recentOf = (whole: Masked, parse: (text: string) => Masked, wide: boolean): Extension => ({
  name: "recent",
  options: {
    set: INV, rcheck: INV, update: INV, remove: INV, seconds: ARG, reap: 0, hitcount: ARG, rttl: 0, name: ARG, mask: ARG, rsource: 0,
    rdest: 0,
  },
  create() {
    let what = 0;
    let inverted = false;
    let seconds = 0;
    let hits = 0;
    let name = "DEFAULT";
    let mask = whole;
    return {
      option(option, argument, not) {
        if (not) inverted = true;
        switch (option) {
          case "set": what |= RECENT_SET; break;
          case "rcheck": what |= RECENT_CHECK; break;
          case "update": what |= RECENT_UPDATE; break;
          case "remove": what |= RECENT_REMOVE; break;
          case "reap": what |= RECENT_REAP; break;
          case "rttl": what |= RECENT_TTL; break;
          case "rdest": what |= RECENT_DESTINATION; break;
          case "rsource": what &= ~RECENT_DESTINATION; break;
          case "seconds": seconds = number("recent", option, argument, 1, 0xffffffff, true); break;
          case "hitcount": hits = number("recent", option, argument); break;
          case "name":
            if (argument.length >= RECENT_NAME_MAX || argument === "") {
              throw usage(`recent: bad value for option "--name"\n`);
            }
            name = argument;
            break;
          case "mask": mask = parse(argument); break;
          default: break;
        }
      },
      finish(given) {
        const modes = ["set", "rcheck", "update", "remove"].filter((mode) => given.has(mode));
        if (modes.length === 0) {
          throw usage("recent: you must specify one of `--set', `--rcheck' `--update' or `--remove'");
        }
        if (modes.length > 1) {
          throw usage(`recent: option "--${modes[0]}" cannot be used together with "--${modes[1]}".\n`);
        }
        if (given.has("reap") && !given.has("seconds")) throw usage('recent: option "--reap" also requires "--seconds".\n');
      },
      save() {
        let text = bang(inverted);
        if (what & RECENT_SET) text += " --set";
        if (what & RECENT_CHECK) text += " --rcheck";
        if (what & RECENT_UPDATE) text += " --update";
        if (what & RECENT_REMOVE) text += " --remove";
        if (seconds !== 0) text += ` --seconds ${seconds}`;
        if (what & RECENT_REAP) text += " --reap";
        if (hits !== 0) text += ` --hitcount ${hits}`;
        if (what & RECENT_TTL) text += " --rttl";
        return `${text} --name ${name} --mask ${mask.text} --r${what & RECENT_DESTINATION ? "dest" : "source"}`;
      },
      encode(w) {
        if (wide) w.head(MATCH_RECENT6, inverted, 232).u32(0).u32(what).u32(seconds).u32(hits);
        else w.head(MATCH_RECENT, inverted, 220).u32(what).u32(seconds).u32(hits);
        mask.encode(w);
        if (!wide) w.u32(0);
        w.text(name, RECENT_NAME_MAX);
      },
    };
  },
});
const recentMask4 = (text: string): Masked => {
  const value = parseDotted(text, true);
  if (value === undefined) throw usage(`recent: Bad IP address: "${text}"\n`);
  return { text: formatIpv4(value), encode: (w) => void w.address(value) };
};

export const STATE_MATCHES: readonly Extension[] = [
  conntrackOf(MATCH_CONNTRACK, CONNTRACK_DATA, 4, masked4), statistic, recentOf(recentMask4("255.255.255.255"), recentMask4, false),
];
