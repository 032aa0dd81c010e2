/** Matches of how often, and of a connection's state and mark alone: limit, hashlimit, state, connmark. */
import {
  HASHLIMIT_BYTES, HASHLIMIT_DIP, HASHLIMIT_DPT, HASHLIMIT_INVERT, HASHLIMIT_SIP, HASHLIMIT_SPT, MATCH_CONNMARK,
  MATCH_HASHLIMIT, MATCH_LIMIT, MATCH_STATE,
} from "../../../assembly/abi/netfilter.ts";
import { ARG, INV, type Extension } from "./extension.ts";
import { markOf } from "./matches.ts";
import { STATES, formatNames, parseNames } from "./matches-state.ts";
import { number, parseNumber, usage } from "./text.ts";
import type { Writer } from "./writer.ts";
import { bang } from "./match-words.ts";

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

export const RATE_MATCHES: readonly Extension[] = [state, markOf("connmark", MATCH_CONNMARK), limit, hashlimitOf(32, (w, bits) => void w.address(lengthMask(bits)))];
