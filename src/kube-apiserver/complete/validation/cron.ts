/** Cron schedules, as far as judging them goes. Follows ParseStandard of github.com/robfig/cron/v3 (parser.go), with its errors. */

interface Bounds {
  readonly min: number;
  readonly max: number;
  readonly names: Readonly<Record<string, number>>;
}

const named = (list: string, from: number): Record<string, number> => Object.fromEntries(list.split(" ").map((name, i) => [name, i + from]));
const FIELDS: readonly Bounds[] = [
  { min: 0, max: 59, names: {} },
  { min: 0, max: 23, names: {} },
  { min: 1, max: 31, names: {} },
  { min: 1, max: 12, names: named("jan feb mar apr may jun jul aug sep oct nov dec", 1) },
  { min: 0, max: 6, names: named("sun mon tue wed thu fri sat", 0) },
];
const DESCRIPTORS = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

/** What is wrong with a schedule; undefined when nothing is. */
export function scheduleProblem(schedule: string): string | undefined {
  if (schedule === "") return "empty spec string";
  if (schedule.startsWith("@")) {
    if (DESCRIPTORS.includes(schedule)) return undefined;
    const every = /^@every (.*)$/.exec(schedule);
    if (every === null) return `unrecognized descriptor: ${schedule}`;
    const duration = every[1]!;
    return /^[+-]?(\d+(\.\d*)?(ns|us|µs|ms|s|m|h))+$/.test(duration) ? undefined
      : `failed to parse duration ${schedule}: time: ${/^[+-]?\d+$/.test(duration) ? `missing unit in duration ${JSON.stringify(duration)}` : `invalid duration ${JSON.stringify(duration)}`}`;
  }
  const fields = schedule.split(/\s+/).filter((field) => field !== "");
  if (fields.length !== 5) return `expected exactly 5 fields, found ${fields.length}: [${fields.join(" ")}]`;
  for (const [i, field] of fields.entries()) {
    for (const part of field.split(",").filter((text) => text !== "")) {
      const problem = rangeProblem(part, FIELDS[i]!);
      if (problem !== undefined) return problem;
    }
  }
  return undefined;
}

function rangeProblem(text: string, bounds: Bounds): string | undefined {
  const steps = text.split("/");
  const ends = steps[0]!.split("-");
  let [start, end] = [bounds.min, bounds.max];
  if (ends[0] !== "*" && ends[0] !== "?") {
    const first = number(ends[0]!, bounds.names);
    if (typeof first === "string") return first;
    start = first;
    if (ends.length === 1) end = first;
    else if (ends.length === 2) {
      const last = number(ends[1]!, bounds.names);
      if (typeof last === "string") return last;
      end = last;
    } else return `too many hyphens: ${text}`;
  }
  let step = 1;
  if (steps.length === 2) {
    const parsed = number(steps[1]!, {});
    if (typeof parsed === "string") return parsed;
    step = parsed;
    // "N/step" means "N-max/step".
    if (ends.length === 1) end = bounds.max;
  } else if (steps.length > 2) return `too many slashes: ${text}`;
  if (start < bounds.min) return `beginning of range (${start}) below minimum (${bounds.min}): ${text}`;
  if (end > bounds.max) return `end of range (${end}) above maximum (${bounds.max}): ${text}`;
  if (start > end) return `beginning of range (${start}) beyond end of range (${end}): ${text}`;
  if (step === 0) return `step of range should be a positive number: ${text}`;
  return undefined;
}

function number(text: string, names: Readonly<Record<string, number>>): number | string {
  const name = names[text.toLowerCase()];
  if (name !== undefined) return name;
  if (!/^[+-]?\d+$/.test(text)) return `failed to parse int from ${text}: strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`;
  const value = Number(text);
  return value < 0 ? `negative number (${value}) not allowed: ${text}` : value;
}
