/** When a cron schedule is due. Follows github.com/robfig/cron/v3 (spec.go, parser.go, constantdelay.go). */
import { scheduleProblem } from "../../kube-apiserver/complete/validation/cron.ts";
import { UTC } from "./zones.ts";
import type { Zone } from "./zones.ts";

export interface Schedule {
  /** The first time after `afterMs`, in milliseconds since the epoch; undefined when there is none within five years. */
  next(afterMs: number): number | undefined;
}

/** Thrown by {@link parseSchedule}; the message is the parser's. */
export class ScheduleError extends Error {}

const DESCRIPTORS: Readonly<Record<string, string>> = {
  "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
};
const MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split(" ");
const DAYS = "sun mon tue wed thu fri sat".split(" ");
const UNITS_MS: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, "µs": 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const YEARS_MAX = 5;

/** Parses the five fields, a descriptor or `@every`. Throws {@link ScheduleError}. */
export function parseSchedule(text: string, zone: Zone = UTC): Schedule {
  const problem = scheduleProblem(text);
  if (problem !== undefined) throw new ScheduleError(problem);
  if (text.startsWith("@every ")) return every(text.slice(7));
  const [minute, hour, dom, month, dow] = (DESCRIPTORS[text] ?? text).split(/\s+/).filter((field) => field !== "") as [string, string, string, string, string];
  return new SpecSchedule(field(minute, 0, 59), field(hour, 0, 23), field(dom, 1, 31), field(month, 1, 12, MONTHS), field(dow, 0, 6, DAYS), zone);
}

function every(duration: string): Schedule {
  let ms = 0;
  for (const [, amount, unit] of duration.matchAll(/(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)/g)) ms += Number(amount) * UNITS_MS[unit!]!;
  const delay = Math.max(1000, Math.floor(ms / 1000) * 1000);
  return { next: (afterMs) => Math.floor(afterMs / 1000) * 1000 + delay };
}

interface Field {
  readonly values: ReadonlySet<number>;
  /** Written as `*` or `?`. */
  readonly star: boolean;
}

function field(text: string, min: number, max: number, names: readonly string[] = []): Field {
  const values = new Set<number>();
  let star = false;
  const number = (word: string): number => {
    const at = names.indexOf(word.toLowerCase());
    return at < 0 ? Number(word) : at + min;
  };
  for (const part of text.split(",")) {
    if (part === "") continue;
    const [range, stepText] = part.split("/") as [string, string?];
    const [from, to] = range.split("-") as [string, string?];
    const any = from === "*" || from === "?";
    const step = stepText === undefined ? 1 : Number(stepText);
    const first = any ? min : number(from);
    const last = any ? max : to !== undefined ? number(to) : stepText !== undefined ? max : first;
    if (any && step === 1) star = true;
    for (let value = first; value <= last; value += step) values.add(value);
  }
  return { values, star };
}

class SpecSchedule implements Schedule {
  private readonly minute: Field;
  private readonly hour: Field;
  private readonly dom: Field;
  private readonly month: Field;
  private readonly dow: Field;
  private readonly zone: Zone;

  constructor(minute: Field, hour: Field, dom: Field, month: Field, dow: Field, zone: Zone) {
    this.minute = minute;
    this.hour = hour;
    this.dom = dom;
    this.month = month;
    this.dow = dow;
    this.zone = zone;
  }

  next(afterMs: number): number | undefined {
    let t = Math.floor(afterMs / 1000) * 1000 + 1000;
    // Seconds are always 0.
    if (t % MINUTE_MS !== 0) t = t - (t % MINUTE_MS) + MINUTE_MS;
    const lastYear = this.local(t).getUTCFullYear() + YEARS_MAX;
    for (;;) {
      const local = this.local(t);
      const [year, month, day] = [local.getUTCFullYear(), local.getUTCMonth(), local.getUTCDate()];
      if (year > lastYear) return undefined;
      if (!this.month.values.has(month + 1)) t = this.utc(Date.UTC(year, month + 1, 1));
      else if (!this.dayMatches(local)) t = this.midnightAfter(year, month, day);
      else if (!this.hour.values.has(local.getUTCHours())) t = t - (t + this.zone.offsetAt(t)) % HOUR_MS + HOUR_MS;
      else if (!this.minute.values.has(local.getUTCMinutes())) t += MINUTE_MS;
      else return t;
    }
  }

  /** A Date whose UTC fields are the local ones. */
  private local(utcMs: number): Date {
    return new Date(utcMs + this.zone.offsetAt(utcMs));
  }

  /** The time at which clocks show `localMs`. Follows time.Date. */
  private utc(localMs: number): number {
    const guess = localMs - this.zone.offsetAt(localMs);
    return localMs - this.zone.offsetAt(guess);
  }

  /** The beginning of the next day, also where clocks skip midnight. */
  private midnightAfter(year: number, month: number, day: number): number {
    const t = this.utc(Date.UTC(year, month, day + 1));
    const hour = this.local(t).getUTCHours();
    return hour > 12 ? t + (24 - hour) * HOUR_MS : t - hour * HOUR_MS;
  }

  private dayMatches(local: Date): boolean {
    const byDay = this.dom.values.has(local.getUTCDate());
    const byWeekday = this.dow.values.has(local.getUTCDay());
    return this.dom.star || this.dow.star ? byDay && byWeekday : byDay || byWeekday;
  }
}

