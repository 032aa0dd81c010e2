/** Times: UTC calendars, strftime, what `date -d` takes. */

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];

/** `Jan`, `Feb` … */
export const monthName = (month: number): string => MONTHS[month]!.slice(0, 3);

export interface Calendar {
  readonly year: number; readonly month: number; readonly day: number; readonly hour: number; readonly minute: number; readonly second: number;
  readonly weekday: number; readonly yearDay: number;
}

/** Of milliseconds since the epoch, `offsetMinutes` east of UTC. */
export function calendar(ms: number, offsetMinutes = 0): Calendar {
  const at = new Date(Math.floor(ms) + offsetMinutes * 60_000);
  const year = at.getUTCFullYear();
  return {
    year, month: at.getUTCMonth(), day: at.getUTCDate(), hour: at.getUTCHours(), minute: at.getUTCMinutes(), second: at.getUTCSeconds(), weekday: at.getUTCDay(),
    yearDay: Math.floor((Date.UTC(year, at.getUTCMonth(), at.getUTCDate()) - Date.UTC(year, 0, 1)) / 86_400_000),
  };
}

export interface Zone {
  readonly name: string;
  /** Minutes east of UTC. */
  readonly offset: number;
}

/** $TZ, as far as it says the offset itself (`UTC`, `CET-1`, `EST5`); UTC for all else. */
export function zoneOf(tz: string | undefined): Zone {
  const match = /^([A-Za-z]{3,}|<[-+A-Za-z0-9]+>)([-+]?)([0-9]{1,2})(?::([0-9]{2}))?/.exec(tz ?? "");
  if (match === null) return { name: "UTC", offset: 0 };
  const minutes = Number(match[3]) * 60 + Number(match[4] ?? 0);
  return { name: match[1]!.replace(/[<>]/g, ""), offset: match[2] === "-" ? minutes : -minutes };
}

const two = (value: number): string => String(value).padStart(2, "0");

/** strftime(3), C locale. `ns`: the nanoseconds of the second. */
export function strftime(format: string, ms: number, zone: Zone, ns = 0): string {
  const c = calendar(ms, zone.offset);
  const expand = (text: string): string => text.replace(/%([-_0^#]?)(:{0,3})([a-zA-Z%+])/g, (whole, flag: string, colons: string, letter: string) => {
    const sign = zone.offset < 0 ? "-" : "+";
    const [hours, minutes] = [Math.floor(Math.abs(zone.offset) / 60), Math.abs(zone.offset) % 60];
    const of = (): string => {
      switch (letter) {
        case "a": return DAYS[c.weekday]!.slice(0, 3);
        case "A": return DAYS[c.weekday]!;
        case "b": case "h": return monthName(c.month);
        case "B": return MONTHS[c.month]!;
        case "c": return expand("%a %b %e %H:%M:%S %Y");
        case "C": return two(Math.floor(c.year / 100));
        case "d": return two(c.day);
        case "D": return expand("%m/%d/%y");
        case "e": return String(c.day).padStart(2);
        case "F": return expand("%Y-%m-%d");
        case "g": case "G": case "V": {
          const { year, week } = isoWeek(c);
          return letter === "V" ? two(week) : letter === "G" ? String(year) : two(year % 100);
        }
        case "H": return two(c.hour);
        case "I": return two(((c.hour + 11) % 12) + 1);
        case "j": return String(c.yearDay + 1).padStart(3, "0");
        case "k": return String(c.hour).padStart(2);
        case "l": return String(((c.hour + 11) % 12) + 1).padStart(2);
        case "m": return two(c.month + 1);
        case "M": return two(c.minute);
        case "n": return "\n";
        case "N": return String(ns).padStart(9, "0");
        case "p": return c.hour < 12 ? "AM" : "PM";
        case "P": return c.hour < 12 ? "am" : "pm";
        case "r": return expand("%I:%M:%S %p");
        case "R": return expand("%H:%M");
        case "s": return String(Math.floor(ms / 1000));
        case "S": return two(c.second);
        case "t": return "\t";
        case "T": case "X": return expand("%H:%M:%S");
        case "u": return String(c.weekday === 0 ? 7 : c.weekday);
        case "U": return two(Math.floor((c.yearDay + 7 - c.weekday) / 7));
        case "w": return String(c.weekday);
        case "W": return two(Math.floor((c.yearDay + 7 - ((c.weekday + 6) % 7)) / 7));
        case "x": return expand("%m/%d/%y");
        case "y": return two(c.year % 100);
        case "Y": return String(c.year);
        case "z": return colons === "" ? `${sign}${two(hours)}${two(minutes)}` : `${sign}${two(hours)}:${two(minutes)}`;
        case "Z": return zone.name;
        case "%": return "%";
        default: return whole;
      }
    };
    const value = of();
    return flag === "-" ? value.replace(/^[0 ]+(?=.)/, "") : flag === "_" ? value.replace(/^0+(?=.)/, (zeros) => " ".repeat(zeros.length)) : flag === "^" ? value.toUpperCase() : value;
  });
  return expand(format);
}

function isoWeek(c: Calendar): { year: number; week: number } {
  const weekday = (c.weekday + 6) % 7;
  const week = Math.floor((c.yearDay - weekday + 10) / 7);
  if (week < 1) return { year: c.year - 1, week: weeksIn(c.year - 1) };
  return week > weeksIn(c.year) ? { year: c.year + 1, week: 1 } : { year: c.year, week };
}

const weeksIn = (year: number): number => {
  const first = calendar(Date.UTC(year, 0, 1)).weekday;
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return first === 4 || (leap && first === 3) ? 53 : 52;
};

/** Milliseconds since the epoch of `@N`, `YYYY-MM-DD[ hh:mm[:ss]]`, `hh:mm[:ss]`, `[[[[YY]YY]MM]DD]hhmm[.ss]`; undefined for anything else. */
export function parseDate(text: string, nowMs: number, zone: Zone): number | undefined {
  const at = /^@(-?[0-9]+)$/.exec(text);
  if (at !== null) return Number(at[1]) * 1000;
  const now = calendar(nowMs, zone.offset);
  const utc = (year: number, month: number, day: number, hour: number, minute: number, second: number): number => Date.UTC(year, month, day, hour, minute, second) - zone.offset * 60_000;
  const iso = /^([0-9]{4})[-.]([0-9]{1,2})[-.]([0-9]{1,2})(?:[ T]([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.[0-9]+)?)?)?(Z?)$/.exec(text);
  if (iso !== null) {
    const value = utc(Number(iso[1]), Number(iso[2]) - 1, Number(iso[3]), Number(iso[4] ?? 0), Number(iso[5] ?? 0), Number(iso[6] ?? 0));
    return iso[7] === "Z" ? value + zone.offset * 60_000 : value;
  }
  const time = /^([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?$/.exec(text);
  if (time !== null) return utc(now.year, now.month, now.day, Number(time[1]), Number(time[2]), Number(time[3] ?? 0));
  const digits = /^(?:(?:([0-9]{2})?([0-9]{2}))?([0-9]{2})([0-9]{2}))?([0-9]{2})([0-9]{2})(?:\.([0-9]{2}))?$/.exec(text);
  if (digits === null) return undefined;
  const [, century, short, month, day, hour, minute, second] = digits;
  const year = short === undefined ? now.year : century === undefined ? (Number(short) < 69 ? 2000 : 1900) + Number(short) : Number(century + short);
  return utc(year, month === undefined ? now.month : Number(month) - 1, day === undefined ? now.day : Number(day), Number(hour), Number(minute), Number(second ?? 0));
}
