/** Matches of connections and of what was seen before: conntrack, state, connmark, statistic, limit, hashlimit, recent, set. */
import {
  CTM_DIRECTION, CTM_EXPIRES, CTM_ORIGSRC, CTM_ORIGSRC_PORT, CTM_PROTO, CTM_STATE, CTM_STATUS, CTSTATE_DNAT, CTSTATE_ESTABLISHED,
  HASHLIMIT_BYTES, CTSTATE_INVALID, CTSTATE_NEW, CTSTATE_RELATED, CTSTATE_SNAT, CTSTATE_UNTRACKED, CONNTRACK_DATA, HASHLIMIT_DIP, HASHLIMIT_DPT,
  HASHLIMIT_INVERT, HASHLIMIT_SIP, HASHLIMIT_SPT, IPS_ASSURED, IPS_CONFIRMED, IPS_EXPECTED, IPS_SEEN_REPLY, MATCH_CONNMARK,
  MATCH_CONNTRACK, MATCH_HASHLIMIT, MATCH_LIMIT, MATCH_RECENT, MATCH_SET, MATCH_STATE, MATCH_STATISTIC, RECENT_CHECK,
  RECENT_DESTINATION, RECENT_REAP, RECENT_REMOVE, RECENT_SET, RECENT_TTL, RECENT_UPDATE, SETDIM_DESTINATION, SETDIM_SOURCE,
  SETFLAG_RETURN_NOMATCH,
} from "../../../assembly/abi/netfilter.ts";
import { MATCH_RECENT6 } from "../../../assembly/abi/xtables.ts";
import { formatIpv4 } from "../address.ts";
import { ARG, INV, type Extension } from "./extension.ts";
import {
  formatMask, formatRange, hex, markMask, number, parseDotted, parseHost, parseNumber, parseProtocol, usage, type Range,
} from "./text.ts";
import type { Writer } from "./writer.ts";

const bang = (inverted: boolean): string => (inverted ? " !" : "");

const STATES: readonly (readonly [string, number])[] = [
  ["INVALID", CTSTATE_INVALID], ["NEW", CTSTATE_NEW], ["RELATED", CTSTATE_RELATED], ["ESTABLISHED", CTSTATE_ESTABLISHED],
  ["UNTRACKED", CTSTATE_UNTRACKED], ["SNAT", CTSTATE_SNAT], ["DNAT", CTSTATE_DNAT],
];
const STATUSES: readonly (readonly [string, number])[] = [
  ["EXPECTED", IPS_EXPECTED], ["SEEN_REPLY", IPS_SEEN_REPLY], ["ASSURED", IPS_ASSURED], ["CONFIRMED", IPS_CONFIRMED],
];
/** Bits of comma-separated names, which may be shortened. */
const parseNames = (names: readonly (readonly [string, number])[], text: string, wording: string): number => {
  let bits = 0;
  for (const word of text.split(",")) {
    const wanted = word.toUpperCase();
    const found = wanted === "" ? undefined : names.find(([name]) => name.startsWith(wanted));
    if (found === undefined) throw usage(`Bad ${wording} "${word}"`);
    bits |= found[1];
  }
  return bits;
};
const formatNames = (names: readonly (readonly [string, number])[], bits: number): string =>
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

const state: Extension = {
  name: "state",
  options: { state: ARG | INV },
  create() {
    let states = 0;
    let inverted = false;
    return {
      option(_name, argument, not) {
        states = parseNames(STATES.slice(0, 5), argument, "state");
        inverted = not;
      },
      finish(given) {
        if (!given.has("state")) throw usage('state: option "--state" must be specified\n');
      },
      save: () => `${bang(inverted)} --state ${formatNames(STATES, states)}`,
      encode(w) {
        w.head(MATCH_STATE, inverted, 4).u32(states);
      },
    };
  },
};

const connmark: Extension = {
  name: "connmark",
  options: { mark: ARG | INV },
  create() {
    let value = 0;
    let mask = 0;
    let inverted = false;
    return {
      option(_name, argument, not) {
        ({ value, mask } = markMask("connmark", "mark", argument));
        inverted = not;
      },
      finish(given) {
        if (!given.has("mark")) throw usage('connmark: option "--mark" must be specified\n');
      },
      save: () => `${bang(inverted)} --mark ${hex(value)}${mask === 0xffffffff ? "" : `/${hex(mask)}`}`,
      encode(w) {
        w.head(MATCH_CONNMARK, inverted, 8).u32(value).u32(mask);
      },
    };
  },
};

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

const PERIODS: readonly (readonly [string, number])[] = [["day", 86400], ["hour", 3600], ["min", 60], ["sec", 1]];
const LIMIT_SCALE = 10000;
const HASHLIMIT_SCALE = 1000000;

/** `COUNT[/PERIOD]` as the time of one, in 1/scale seconds. */
function parseRate(text: string, scale: number): number {
  const slash = text.indexOf("/");
  let seconds = 1;
  if (slash >= 0) {
    const unit = text.slice(slash + 1).toLowerCase();
    if (unit === "") throw usage(`bad rate "${text}"'`);
    if ("second".startsWith(unit)) seconds = 1;
    else if ("minute".startsWith(unit)) seconds = 60;
    else if ("hour".startsWith(unit)) seconds = 3600;
    else if ("day".startsWith(unit)) seconds = 86400;
    else throw usage(`bad rate "${text}"'`);
  }
  const digits = /^[0-9]+/.exec(text);
  const count = digits ? Number(digits[0]) : 0;
  if (count === 0) throw usage(`bad rate "${text}"'`);
  if (Math.floor(count / seconds) > scale) throw usage(`Rate too fast "${text}"`);
  return Math.floor((scale * seconds) / count);
}

function formatRate(average: number, scale: number): string {
  if (average === 0) return String(scale);
  let i = 1;
  while (i < 4) {
    const period = PERIODS[i]![1] * scale;
    if (average > period || Math.floor(period / average) < period % average) break;
    i++;
  }
  const [name, seconds] = PERIODS[i - 1]!;
  return `${Math.floor((seconds * scale) / average)}/${name}`;
}

const LIMIT_BURST = 5;
const limit: Extension = {
  name: "limit",
  options: { limit: ARG, "limit-burst": ARG },
  create() {
    let average = parseRate("3/hour", LIMIT_SCALE);
    let burst = LIMIT_BURST;
    return {
      option(name, argument) {
        if (name === "limit") average = parseRate(argument, LIMIT_SCALE);
        else burst = number("limit", name, argument, 0, 10000, true);
      },
      save: () => ` --limit ${formatRate(average, LIMIT_SCALE)}${burst === LIMIT_BURST ? "" : ` --limit-burst ${burst}`}`,
      encode(w) {
        w.head(MATCH_LIMIT, false, 12).u32(average).u32(burst).u32(0);
      },
    };
  },
};

const HASHLIMIT_MODES: readonly (readonly [string, number])[] = [
  ["srcip", HASHLIMIT_SIP], ["srcport", HASHLIMIT_SPT], ["dstip", HASHLIMIT_DIP], ["dstport", HASHLIMIT_DPT],
];
/** Where bytes are counted: rates as the kernel's cost of 16 bytes (libxt_hashlimit.c bytes_to_cost, cost_to_bytes). */
const BYTE_SHIFT = 16;
const bytesToCost = (bytes: number): number => Math.floor(0xffffffff / (Math.floor(bytes / BYTE_SHIFT) + 1));
const costToBytes = (cost: number): number => (Math.floor(0xffffffff / cost) - 1) * BYTE_SHIFT;
/** `COUNTb`, `COUNTkb`, `COUNTmb`, or undefined. */
function parseBytes(text: string): number | undefined {
  const found = /^([0-9]+)(b|kb|mb)$/.exec(text);
  if (found === null) return undefined;
  return Number(found[1]) * (found[2] === "b" ? 1 : found[2] === "kb" ? 1024 : 1048576);
}
const formatBytes = (bytes: number): string =>
  bytes >= 1048576 && bytes % 1048576 === 0 ? `${bytes / 1048576}mb` : bytes >= 1024 && bytes % 1024 === 0 ? `${bytes / 1024}kb` : `${bytes}b`;
const HASHLIMIT_EXPIRE = 10000;
const BYTE_EXPIRE = 15000;
const BYTE_EXPIRE_BURST = 60000;
const HASHLIMIT_GC = 1000;
const HASHLIMIT_MAX_DEFAULT = 65536;
const lengthMask = (bits: number): number => (bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0);
/** hashlimit for addresses of `width` bits, whose masks it tells by `mask`. */
export const hashlimitOf = (width: number, mask: (w: Writer, bits: number) => void): Extension => ({
  name: "hashlimit",
  options: {
    "hashlimit-upto": ARG | INV, "hashlimit-above": ARG | INV, hashlimit: ARG | INV, "hashlimit-burst": ARG, "hashlimit-mode": ARG,
    "hashlimit-name": ARG, "hashlimit-srcmask": ARG, "hashlimit-dstmask": ARG, "hashlimit-htable-size": ARG,
    "hashlimit-htable-max": ARG, "hashlimit-htable-expire": ARG, "hashlimit-htable-gcinterval": ARG,
  },
  create() {
    let average = 0;
    let above = false;
    let burst = 5;
    let byteRate: number | undefined;
    let burstBytes: number | undefined;
    let mode = 0;
    let name = "";
    let size = 0;
    let max = 0;
    let expire = HASHLIMIT_EXPIRE;
    let gc = HASHLIMIT_GC;
    let sourceBits = width;
    let destinationBits = width;
    const bitsOf = (option: string, text: string): number => {
      const bits = parseNumber(text, 0, width);
      if (bits === undefined) {
        throw usage(`hashlimit: bad value for option "--${option}", neither a valid network mask nor valid CIDR (0-${width}).\n`);
      }
      return bits;
    };
    return {
      option(option, argument, not) {
        switch (option) {
          case "hashlimit-burst":
            burstBytes = parseBytes(argument);
            if (burstBytes === undefined) burst = number("hashlimit", option, argument, 1, 10000, true);
            break;
          case "hashlimit-mode":
            for (const word of argument.split(",")) {
              const found = HASHLIMIT_MODES.find(([text]) => text === word.toLowerCase());
              if (found === undefined) throw usage(`hashlimit: bad value for option "--hashlimit-mode"\n`);
              mode |= found[1];
            }
            break;
          case "hashlimit-name":
            if (argument.length === 0 || argument.length > 255) throw usage("hashlimit: name is too long");
            name = argument;
            break;
          case "hashlimit-srcmask": sourceBits = bitsOf(option, argument); break;
          case "hashlimit-dstmask": destinationBits = bitsOf(option, argument); break;
          case "hashlimit-htable-size": size = number("hashlimit", option, argument); break;
          case "hashlimit-htable-max": max = number("hashlimit", option, argument); break;
          case "hashlimit-htable-expire": expire = number("hashlimit", option, argument); break;
          case "hashlimit-htable-gcinterval": gc = number("hashlimit", option, argument); break;
          default:
            byteRate = argument.endsWith("/s") ? parseBytes(argument.slice(0, -2)) : undefined;
            if (byteRate === 0) throw usage(`bad rate "${argument}"'`);
            average = byteRate === undefined ? parseRate(argument, HASHLIMIT_SCALE) : bytesToCost(byteRate);
            above = (option === "hashlimit-above") !== not;
        }
      },
      finish(given) {
        if (average === 0) throw usage("You have to specify --hashlimit-upto/above");
        if (!given.has("hashlimit-name")) throw usage('hashlimit: option "--hashlimit-name" must be specified\n');
        if (byteRate === undefined) {
          if (burstBytes !== undefined) throw usage("hashlimit: --hashlimit-burst in bytes needs a rate in bytes");
          return;
        }
        const unit = costToBytes(average);
        if (given.has("hashlimit-burst") && (burstBytes ?? burst) < unit) throw usage(`burst cannot be smaller than ${unit}b`);
        burst = given.has("hashlimit-burst") ? Math.floor((burstBytes ?? burst) / unit) : 0;
        mode |= HASHLIMIT_BYTES;
        if (!given.has("hashlimit-htable-expire")) expire = burst === 0 ? BYTE_EXPIRE : BYTE_EXPIRE_BURST;
      },
      save() {
        const rate = byteRate === undefined ? formatRate(average, HASHLIMIT_SCALE) : `${formatBytes(costToBytes(average))}/s`;
        let text = ` --hashlimit-${above ? "above" : "upto"} ${rate}`;
        if (byteRate === undefined) text += ` --hashlimit-burst ${burst}`;
        else if (burst !== 0) text += ` --hashlimit-burst ${formatBytes(burst * costToBytes(average))}`;
        if (mode !== 0) text += ` --hashlimit-mode ${formatNames(HASHLIMIT_MODES, mode)}`;
        text += ` --hashlimit-name ${name}`;
        if (size !== 0) text += ` --hashlimit-htable-size ${size}`;
        if (max !== 0) text += ` --hashlimit-htable-max ${max}`;
        if (gc !== HASHLIMIT_GC) text += ` --hashlimit-htable-gcinterval ${gc}`;
        if (expire !== HASHLIMIT_EXPIRE && expire !== BYTE_EXPIRE && expire !== BYTE_EXPIRE_BURST) text += ` --hashlimit-htable-expire ${expire}`;
        if (sourceBits !== width) text += ` --hashlimit-srcmask ${sourceBits}`;
        if (destinationBits !== width) text += ` --hashlimit-dstmask ${destinationBits}`;
        return text;
      },
      encode(w) {
        w.head(MATCH_HASHLIMIT, false, 296).u64(BigInt(average)).u32(burst).u32(mode | (above ? HASHLIMIT_INVERT : 0));
        mask(w, sourceBits);
        mask(w, destinationBits);
        w.u32(size).u32(max || HASHLIMIT_MAX_DEFAULT).u32(expire);
        w.u32(0).text(name, 256);
      },
    };
  },
});

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

const SET_NAME_MAX = 32;
const set: Extension = {
  name: "set",
  options: { "match-set": ARG | INV, "return-nomatch": 0 },
  create() {
    let name = "";
    let dims: string[] = [];
    let inverted = false;
    let flags = 0;
    return {
      option(option, argument, not, rule, next) {
        if (option === "return-nomatch") {
          flags |= SETFLAG_RETURN_NOMATCH;
          return;
        }
        const directions = next();
        if (directions === undefined || directions.startsWith("-")) throw usage("--match-set requires two args.");
        if (argument.length >= SET_NAME_MAX) throw usage(`setname \`${argument}' too long, max ${SET_NAME_MAX - 1} characters.`);
        if (!rule.setExists(argument)) throw usage(`Set ${argument} doesn't exist.\n`);
        name = argument;
        dims = directions.split(",");
        if (dims.length > 6) throw usage("Can't be more src/dst options than 6.");
        for (const dim of dims) {
          if (dim !== "src" && dim !== "dst") throw usage("You must spcify (the comma separated list of) 'src' or 'dst'.");
        }
        inverted = not;
      },
      finish(given) {
        if (!given.has("match-set")) throw usage("You must specify `--match-set' with proper arguments");
      },
      save: () => `${bang(inverted)} --match-set ${name} ${dims.join(",")}${flags & SETFLAG_RETURN_NOMATCH ? " --return-nomatch" : ""}`,
      encode(w) {
        let bits = 0;
        dims.forEach((dim, i) => {
          bits |= (dim === "src" ? SETDIM_SOURCE : SETDIM_DESTINATION) << (2 * i);
        });
        w.head(MATCH_SET, inverted, 44).u32(bits).u32(flags).u32(0).text(name, SET_NAME_MAX);
      },
    };
  },
};

export const STATE_MATCHES: readonly Extension[] = [
  conntrackOf(MATCH_CONNTRACK, CONNTRACK_DATA, 4, masked4), state, connmark, statistic, limit,
  hashlimitOf(32, (w, bits) => void w.address(lengthMask(bits))), recentOf(recentMask4("255.255.255.255"), recentMask4, false), set,
];
