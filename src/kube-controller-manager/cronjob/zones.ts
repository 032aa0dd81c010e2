/** Local times in the zones of the tz database, without the engine's own: offsets by the rules in zone-rules.ts. */
import { ZONE_RULES } from "./zone-rules.ts";

/** A zone: how many milliseconds its clocks are ahead of UTC at a time. */
export interface Zone {
  offsetAt(utcMs: number): number;
}

export const UTC: Zone = { offsetAt: () => 0 };

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

let rules: Map<string, string> | undefined;

/** The zone of this name, as time.LoadLocation knows it; undefined for unknown ones. */
export function loadZone(name: string): Zone | undefined {
  if (name === "" || name === "UTC") return UTC;
  if (rules === undefined) {
    rules = new Map();
    for (const line of ZONE_RULES) {
      const bar = line.indexOf("|");
      for (const zone of line.slice(bar + 1).split(" ")) rules.set(zone, line.slice(0, bar));
    }
  }
  const rule = rules.get(name);
  return rule === undefined ? undefined : parseRule(rule);
}

/** `[-]h[:mm]` in milliseconds. */
function hours(text: string): number {
  const [h, m = "0"] = text.replace(/^-/, "").split(":");
  return (text.startsWith("-") ? -1 : 1) * (Number(h) * HOUR_MS + Number(m) * 60_000);
}

/** `-1 ,M3.5.0,M10.5.0/3`: POSIX counts west of Greenwich. */
function parseRule(rule: string): Zone {
  const [standardText, ...rest] = rule.split(" ");
  const standard = -hours(standardText!);
  if (rest.length === 0) return { offsetAt: () => standard };
  const [summerText, startText, endText] = rest.join(" ").split(",");
  const summer = summerText === "" ? standard + HOUR_MS : -hours(summerText!);
  const start = transition(startText!);
  const end = transition(endText!);
  return {
    offsetAt(utcMs) {
      const year = new Date(utcMs + standard).getUTCFullYear();
      const [from, to] = [start(year) - standard, end(year) - summer];
      const isSummer = from < to ? utcMs >= from && utcMs < to : utcMs >= from || utcMs < to;
      return isSummer ? summer : standard;
    },
  };
}

/** `Mm.w.d[/time]`: the w-th (5: last) day d of month m, in milliseconds of local time. */
function transition(text: string): (year: number) => number {
  const [day, time = "2"] = text.split("/");
  const [month, week, weekday] = day!.slice(1).split(".").map(Number) as [number, number, number];
  const shift = hours(time);
  return (year) => {
    const first = Date.UTC(year, month - 1, 1);
    const next = Date.UTC(year, month, 1);
    let at = first + ((weekday - new Date(first).getUTCDay() + 7) % 7) * DAY_MS + (week - 1) * 7 * DAY_MS;
    while (at >= next) at -= 7 * DAY_MS;
    return at + shift;
  };
}

/** RFC 3339 with the zone's offset, as Go's time.RFC3339 prints. */
export function formatIn(zone: Zone, utcMs: number): string {
  const offset = zone.offsetAt(utcMs);
  const local = new Date(utcMs + offset).toISOString().slice(0, 19);
  if (offset === 0) return `${local}Z`;
  const minutes = Math.abs(offset) / 60_000;
  const two = (n: number): string => String(n).padStart(2, "0");
  return `${local}${offset < 0 ? "-" : "+"}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}
