/** Rates, sizes, times and handles as tc reads and writes them (tc/tc_util.c, tc/tc_core.c, lib/utils.c of iproute2 6.1). */
import { unsigned } from "../tool.ts";

/** tick_in_usec of a kernel whose /proc/net/psched says 000003e8 00000040: one tick is 64 ns. */
const TICKS_PER_US = 15.625;
export const NS_PER_TICK = 64;
const US = 1e6;

const u32 = (value: number): number => Math.min(0xffffffff, Math.trunc(value));

/** tc_calc_xmittime(): ticks that `size` bytes take at `rate` bytes per second. */
export const xmitTime = (rate: number, size: number): number => u32(u32(US * (size / rate)) * TICKS_PER_US);
/** tc_core_tick2time(), in µs. */
export const tickTime = (ticks: number): number => u32(ticks / TICKS_PER_US);
/** tc_calc_xmitsize() */
export const xmitSize = (rate: number, ticks: number): number => u32((rate * tickTime(ticks)) / US);

const RATES: readonly (readonly [string, number])[] = [
  ["bit", 1], ["kibit", 1024], ["kbit", 1e3], ["mibit", 1024 ** 2], ["mbit", 1e6], ["gibit", 1024 ** 3], ["gbit", 1e9], ["tibit", 1024 ** 4],
  ["tbit", 1e12], ["bps", 8], ["kibps", 8 * 1024], ["kbps", 8e3], ["mibps", 8 * 1024 ** 2], ["mbps", 8e6], ["gibps", 8 * 1024 ** 3], ["gbps", 8e9],
  ["tibps", 8 * 1024 ** 4], ["tbps", 8e12],
];

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/;

function numberAndUnit(text: string): readonly [value: number, unit: string] | undefined {
  const match = NUMBER.exec(text);
  if (match === null) return undefined;
  return [Number(match[0]), text.slice(match[0].length).toLowerCase()];
}

/** get_rate64(): bytes per second; without a unit it is bits. */
export function rateOf(text: string): number | undefined {
  const parsed = numberAndUnit(text);
  if (parsed === undefined || parsed[0] < 0) return undefined;
  const factor = parsed[1] === "" ? 1 : RATES.find(([unit]) => unit === parsed[1])?.[1];
  return factor === undefined ? undefined : Math.trunc((parsed[0] * factor) / 8);
}

const SIZES: Readonly<Record<string, number>> = {
  "": 1, b: 1, k: 1024, kb: 1024, m: 1024 ** 2, mb: 1024 ** 2, g: 1024 ** 3, gb: 1024 ** 3, kbit: 1024 / 8, mbit: 1024 ** 2 / 8, gbit: 1024 ** 3 / 8,
};

/** get_size(): bytes. */
export function sizeOf(text: string): number | undefined {
  const parsed = numberAndUnit(text);
  const factor = parsed === undefined ? undefined : SIZES[parsed[1]];
  if (parsed === undefined || factor === undefined || parsed[0] < 0) return undefined;
  const size = Math.trunc(parsed[0] * factor);
  return size > 0xffffffff ? undefined : size;
}

/** get_size_and_cell(): `SIZE[/CELL]`, the cell a power of two. */
export function sizeAndCell(text: string): number | undefined {
  const slash = text.indexOf("/");
  const size = sizeOf(slash < 0 ? text : text.slice(0, slash));
  if (slash < 0 || size === undefined) return size;
  const cell = unsigned(text.slice(slash + 1));
  return cell === undefined || cell === 0 || (cell & (cell - 1)) !== 0 ? undefined : size;
}

const TIMES: Readonly<Record<string, number>> = {
  "": 1, s: US, sec: US, secs: US, ms: 1e3, msec: 1e3, msecs: 1e3, us: 1, usec: 1, usecs: 1,
};

/** get_time(): µs. */
export function timeOf(text: string): number | undefined {
  const parsed = numberAndUnit(text);
  const factor = parsed === undefined ? undefined : TIMES[parsed[1]];
  return parsed === undefined || factor === undefined || parsed[0] < 0 ? undefined : u32(parsed[0] * factor);
}

/** parse_percent(): a share of one. */
export function percentOf(text: string): number | undefined {
  const parsed = numberAndUnit(text);
  if (parsed === undefined || (parsed[1] !== "" && parsed[1] !== "%")) return undefined;
  const share = parsed[0] / 100;
  return share < 0 || share > 1 ? undefined : share;
}

/** print_rate(): decimal multiples, the largest that leaves a whole number or three digits. */
export function rateText(bytesPerSecond: number): string {
  let rate = bytesPerSecond * 8;
  let unit = 0;
  for (; unit < 4; unit++) {
    if (rate < 1000 || (rate % 1000 !== 0 && rate < 1e6)) break;
    rate = Math.trunc(rate / 1000);
  }
  return `${rate}${["", "K", "M", "G", "T"][unit]}bit`;
}

/** rint(): ties to even. */
const rint = (value: number): number => {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest < 0.5 || (rest === 0.5 && floor % 2 === 0) ? floor : floor + 1;
};

/** `%.Ng` for positive numbers of this size: no exponent below 10^N. */
export function significant(value: number, digits: number): string {
  if (value === 0) return "0";
  const text = value.toPrecision(digits);
  if (text.includes("e")) {
    const [mantissa = "", exponent = ""] = text.split("e");
    const trimmed = mantissa.includes(".") ? mantissa.replace(/\.?0+$/, "") : mantissa;
    return `${trimmed}e${exponent[0]}${exponent.slice(1).padStart(2, "0")}`;
  }
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** sprint_size() */
export function sizeText(size: number): string {
  const [mega, kilo] = [rint(size / 1024 ** 2), rint(size / 1024)];
  if (size >= 1024 ** 2 && Math.abs(1024 ** 2 * mega - size) < 1024) return `${significant(mega, 6)}Mb`;
  if (size >= 1024 && Math.abs(1024 * kilo - size) < 16) return `${significant(kilo, 6)}Kb`;
  return `${size}b`;
}

/** sprint_time() of µs. */
export function timeText(us: number): string {
  if (us >= US) return `${significant(us / US, 3)}s`;
  return us >= 1e3 ? `${significant(us / 1e3, 3)}ms` : `${Math.trunc(us)}us`;
}

const ROOT = 0xffffffff;
export { ROOT as TC_H_ROOT };

/** strtoul(text, 16) up to the first character that is no digit. */
function hexPrefix(text: string): readonly [value: number, rest: string] | undefined {
  const match = /^(?:0[xX])?[0-9a-fA-F]+/.exec(text);
  return match === null ? undefined : [Number.parseInt(match[0].replace(/^0[xX]/, ""), 16), text.slice(match[0].length)];
}

/** get_qdisc_handle(): `1:` or `1` is 0x10000. */
export function qdiscHandle(text: string): number | undefined {
  if (text === "none") return 0;
  const parsed = hexPrefix(text);
  if (parsed === undefined || parsed[0] > 0xffff || (parsed[1] !== "" && !parsed[1].startsWith(":"))) return undefined;
  return parsed[0] * 0x10000;
}

/** get_tc_classid(): `1:10`, `1:`, `:10`, `root`. */
export function classId(text: string): number | undefined {
  if (text === "root") return ROOT;
  if (text === "none") return 0;
  const major = hexPrefix(text) ?? [0, text];
  if (major[1] === "") return major[1] === text ? undefined : major[0] > ROOT ? undefined : major[0];
  if (!major[1].startsWith(":") || major[0] > 0xffff) return undefined;
  const rest = major[1].slice(1);
  if (rest === "") return major[0] * 0x10000;
  const minor = hexPrefix(rest);
  if (minor === undefined || minor[1] !== "" || minor[0] > 0xffff) return undefined;
  return major[0] * 0x10000 + minor[0];
}

/** print_tc_classid() */
export function classText(id: number): string {
  if (id === ROOT) return "root";
  if (id === 0) return "none";
  const [major, minor] = [Math.floor(id / 0x10000), id % 0x10000];
  if (major === 0) return `:${minor.toString(16)}`;
  return minor === 0 ? `${major.toString(16)}:` : `${major.toString(16)}:${minor.toString(16)}`;
}
