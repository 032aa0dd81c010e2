/**
 * Matches of the full kernel that ask where a packet comes from, goes to, and when, as in iptables' extensions/libxt_*.c: devices, owners, sockets,
 * sets, quotas, the time of day.
 */
import {
  MATCH_PHYSDEV, SETDIM_DESTINATION, SETDIM_SOURCE, SETFLAG_RETURN_NOMATCH, SETFLAG_SKIP_COUNTERS, SETFLAG_SKIP_SUBCOUNTERS,
  PHYSDEV_BRIDGED, PHYSDEV_IN, PHYSDEV_ISIN, PHYSDEV_ISOUT, PHYSDEV_OUT,
} from "../../../assembly/abi/netfilter.ts";
import {
  DEVGROUP_DESTINATION, DEVGROUP_INV_DESTINATION, DEVGROUP_INV_SOURCE, DEVGROUP_SOURCE, MATCH_CGROUP, MATCH_CPU, MATCH_DEVGROUP,
  MATCH_OWNER, MATCH_QUOTA, MATCH_REALM, MATCH_SET_COUNTERS, MATCH_SOCKET, MATCH_TIME, OWNER_GID, OWNER_SOCKET, OWNER_UID,
  SOCKET_NOWILDCARD, SOCKET_RESTORESKMARK, SOCKET_TRANSPARENT, TIME_CONTIGUOUS,
} from "../../../assembly/abi/xtables.ts";
import { ARG, INV, type Extension } from "./extension.ts";
import { bang, bigNumber, must } from "./match-words.ts";
import { Refusal, formatRange, hex, number, parseNumber, usage, type Range } from "./text.ts";
import type { Writer } from "./writer.ts";

const realm: Extension = {
  name: "realm",
  options: { realm: ARG | INV },
  create() {
    let value = 0;
    let mask = 0xffffffff;
    let inverted = false;
    return {
      option(_name, argument, not) {
        const slash = argument.indexOf("/");
        const parsed = parseNumber(slash < 0 ? argument : argument.slice(0, slash));
        if (parsed === undefined) throw usage(`realm: unknown realm "${argument}"\n`);
        value = parsed;
        if (slash >= 0) mask = number("realm", "realm", argument.slice(slash + 1));
        inverted = not;
      },
      finish(given) {
        if (!given.has("realm")) throw must("realm", "realm");
      },
      save: () => `${bang(inverted)} --realm ${hex(value)}${mask === 0xffffffff ? "" : `/${hex(mask)}`}`,
      encode(w) {
        w.head(MATCH_REALM, inverted, 8).u32((value & mask) >>> 0).u32(mask);
      },
    };
  },
};

/** One number behind one option. */
const plain = (name: string, option: string, kind: number, max: number, format: (value: number) => string = String): Extension => ({
  name,
  options: { [option]: ARG | INV },
  create() {
    let value = 0;
    let inverted = false;
    return {
      option(_name, argument, not) {
        value = number(name, option, argument, 0, max, max !== 0xffffffff);
        inverted = not;
      },
      finish(given) {
        if (!given.has(option)) throw must(name, option);
      },
      save: () => `${bang(inverted)} --${option} ${format(value)}`,
      encode(w) {
        w.head(kind, inverted, 4).u32(value);
      },
    };
  },
});

const cgroup: Extension = {
  name: "cgroup",
  options: { cgroup: ARG | INV, path: ARG | INV },
  create() {
    let path: string | undefined;
    let value = 0;
    let inverted = false;
    return {
      option(name, argument, not) {
        if (name === "path") path = argument;
        else value = number("cgroup", name, argument);
        inverted = not;
      },
      finish(given) {
        if (given.size !== 1) throw usage("cgroup: either --cgroup or --path must be specified");
        if (path !== undefined && path !== "" && path !== "/") throw new Refusal("other", "No chain/target/match by that name");
      },
      save: () => `${bang(inverted)} ${path === undefined ? `--cgroup ${value}` : `--path ${path}`}`,
      encode(w) {
        w.head(MATCH_CGROUP, inverted, 4).u32(path === undefined ? value : 0xffffffff);
      },
    };
  },
};

const devgroup: Extension = {
  name: "devgroup",
  options: { "src-group": ARG | INV, "dst-group": ARG | INV },
  create() {
    let flags = 0;
    const groups: [number, number][] = [[0, 0xffffffff], [0, 0xffffffff]];
    const text = ([value, mask]: [number, number]): string => `${hex(value)}${mask === 0xffffffff ? "" : `/${hex(mask)}`}`;
    return {
      option(name, argument, not) {
        const slash = argument.indexOf("/");
        const value = number("devgroup", name, slash < 0 ? argument : argument.slice(0, slash));
        const mask = slash < 0 ? 0xffffffff : number("devgroup", name, argument.slice(slash + 1));
        const source = name === "src-group";
        groups[source ? 0 : 1] = [value, mask];
        flags |= source ? DEVGROUP_SOURCE | (not ? DEVGROUP_INV_SOURCE : 0) : DEVGROUP_DESTINATION | (not ? DEVGROUP_INV_DESTINATION : 0);
      },
      finish() {
        if (flags === 0) throw usage("devgroup match: You must specify either '--src-group' or '--dst-group'");
      },
      save: () =>
        (flags & DEVGROUP_SOURCE ? `${bang((flags & DEVGROUP_INV_SOURCE) !== 0)} --src-group ${text(groups[0]!)}` : "") +
        (flags & DEVGROUP_DESTINATION ? `${bang((flags & DEVGROUP_INV_DESTINATION) !== 0)} --dst-group ${text(groups[1]!)}` : ""),
      encode(w) {
        w.head(MATCH_DEVGROUP, false, 20).u32(flags).u32(groups[0]![0]).u32(groups[0]![1]).u32(groups[1]![0]).u32(groups[1]![1]);
      },
    };
  },
};

// Users and groups that every image knows.
const USERS: Readonly<Record<string, number>> = { root: 0, daemon: 1, bin: 2, sys: 3, nobody: 65534, nogroup: 65534, "www-data": 33 };

const owner: Extension = {
  name: "owner",
  options: { "uid-owner": ARG | INV, "gid-owner": ARG | INV, "socket-exists": INV, "suppl-groups": 0 },
  create() {
    let look = 0;
    let inverted = 0;
    let uid: Range = [0, 0];
    let gid: Range = [0, 0];
    let supplementary = false;
    const parse = (text: string, option: string): Range => {
      const known = USERS[text];
      if (known !== undefined) return [known, known];
      const [lo = "", hi] = text.split("-");
      const from = parseNumber(lo);
      const to = hi === undefined ? from : parseNumber(hi);
      if (from === undefined || to === undefined) throw usage(`owner: Bad value for "--${option}" option: "${text}"`);
      return [from, to];
    };
    return {
      option(name, argument, not) {
        if (name === "suppl-groups") {
          supplementary = true;
          return;
        }
        const flag = name === "uid-owner" ? OWNER_UID : name === "gid-owner" ? OWNER_GID : OWNER_SOCKET;
        if (name === "uid-owner") uid = parse(argument, name);
        else if (name === "gid-owner") gid = parse(argument, name);
        look |= flag;
        if (not) inverted |= flag;
      },
      finish() {
        if (look === 0) {
          throw usage("owner: At least one of --uid-owner, --gid-owner or --socket-exists is required");
        }
      },
      save() {
        const not = (flag: number): string => bang((inverted & flag) !== 0);
        let text = "";
        if (look & OWNER_SOCKET) text += `${not(OWNER_SOCKET)} --socket-exists`;
        if (look & OWNER_UID) text += `${not(OWNER_UID)} --uid-owner ${formatRange(uid, "-")}`;
        if (look & OWNER_GID) text += `${not(OWNER_GID)} --gid-owner ${formatRange(gid, "-")}`;
        return supplementary ? `${text} --suppl-groups` : text;
      },
      encode(w) {
        w.head(MATCH_OWNER, false, 24).u32(look).u32(inverted).u32(uid[0]).u32(uid[1]).u32(gid[0]).u32(gid[1]);
      },
    };
  },
};

/** An interface's name, `+` at its end for all that begin so, with the mask of what is compared. */
function encodeName(w: Writer, name: string): void {
  const wildcard = name.endsWith("+");
  w.text(wildcard ? name.slice(0, -1) : name, 16);
  const length = name === "" ? 0 : wildcard ? name.length - 1 : name.length + 1;
  for (let i = 0; i < 16; i++) w.u8(i < length ? 255 : 0);
}

const PHYSDEV_FLAGS: readonly (readonly [string, number])[] = [
  ["physdev-is-in", PHYSDEV_ISIN], ["physdev-in", PHYSDEV_IN], ["physdev-is-out", PHYSDEV_ISOUT], ["physdev-out", PHYSDEV_OUT],
  ["physdev-is-bridged", PHYSDEV_BRIDGED],
];

const physdev: Extension = {
  name: "physdev",
  options: {
    "physdev-in": ARG | INV, "physdev-out": ARG | INV, "physdev-is-bridged": INV, "physdev-is-in": INV, "physdev-is-out": INV,
  },
  create() {
    let look = 0;
    let inverted = 0;
    let inName = "";
    let outName = "";
    return {
      option(name, argument, not) {
        const flag = PHYSDEV_FLAGS.find(([option]) => option === name)![1];
        if (flag & (PHYSDEV_IN | PHYSDEV_OUT) && argument.length > 15) {
          throw usage(`interface name \`${argument}' must be shorter than IFNAMSIZ (15)`);
        }
        if (flag === PHYSDEV_IN) inName = argument;
        else if (flag === PHYSDEV_OUT) outName = argument;
        look |= flag;
        if (not) inverted |= flag;
      },
      finish() {
        if (look === 0) throw usage("PHYSDEV: no physdev option specified");
      },
      save() {
        let text = "";
        for (const [option, flag] of PHYSDEV_FLAGS) {
          if (!(look & flag)) continue;
          text += `${bang((inverted & flag) !== 0)} --${option}`;
          if (flag === PHYSDEV_IN) text += ` ${inName}`;
          else if (flag === PHYSDEV_OUT) text += ` ${outName}`;
        }
        return text;
      },
      encode(w) {
        w.head(MATCH_PHYSDEV, false, 72);
        encodeName(w, inName);
        encodeName(w, outName);
        w.u32(look).u32(inverted);
      },
    };
  },
};

const quota: Extension = {
  name: "quota",
  options: { quota: ARG | INV },
  create() {
    let bytes = 0n;
    let inverted = false;
    return {
      option(_name, argument, not) {
        bytes = bigNumber("quota", "quota", argument);
        inverted = not;
      },
      finish(given) {
        if (!given.has("quota")) throw must("quota", "quota");
      },
      save: () => `${bang(inverted)} --quota ${bytes}`,
      encode(w) {
        w.head(MATCH_QUOTA, inverted, 16).u32(0).u32(0).u64(bytes);
      },
    };
  },
};

const WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const DATE_MAX = 0x7fffffff;
const DAY_MAX = 86399;
const two = (value: number): string => String(value).padStart(2, "0");

/** Seconds of the epoch as year, month, day, hour, minute, second. */
function dateParts(stamp: number): number[] {
  const date = new Date(stamp * 1000);
  return [date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate(), date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()];
}

function parseDate(text: string): number {
  const bad = (): Refusal => usage(`invalid date "${text}" specified, should be YYYY[-MM[-DD[Thh[:mm[:ss]]]]]`);
  const found = /^(\d+)(?:-(\d+)(?:-(\d+)(?:T(\d+)(?::(\d+)(?::(\d+))?)?)?)?)?$/.exec(text);
  if (found === null) throw bad();
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = found.slice(1).map((part) => (part === undefined ? undefined : Number(part)));
  if (year < 1970 || year > 2038 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59) throw bad();
  const stamp = Date.UTC(year, month - 1, day, hour, minute, second) / 1000;
  return Math.min(stamp, DATE_MAX);
}

function parseDaytime(text: string): number {
  const found = /^(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?$/.exec(text);
  const [hour = 99, minute = 99, second = 0] = (found ?? []).slice(1).map((part) => (part === undefined ? undefined : Number(part)));
  if (found === null || hour > 23 || minute > 59 || second > 59) {
    throw usage(`invalid time "${text}" specified, should be hh:mm[:ss] format and within the boundaries`);
  }
  return hour * 3600 + minute * 60 + second;
}

const clockText = (value: number): string => `${two(Math.floor(value / 3600))}:${two(Math.floor(value / 60) % 60)}:${two(value % 60)}`;

const dateText = (stamp: number, between: string): string => {
  const [y = 0, mo = 0, d = 0, h = 0, mi = 0, s = 0] = dateParts(stamp);
  return `${y}-${two(mo)}-${two(d)}${between}${two(h)}:${two(mi)}:${two(s)}`;
};

const time: Extension = {
  name: "time",
  options: {
    datestart: ARG, datestop: ARG, timestart: ARG, timestop: ARG, weekdays: ARG | INV, monthdays: ARG | INV, kerneltz: 0, localtz: 0,
    utc: 0, contiguous: 0,
  },
  create() {
    let start = 0;
    let stop = DATE_MAX;
    let from = 0;
    let to = DAY_MAX;
    let weekdays = 0xfe;
    let monthdays = 0xfffffffe;
    let kerneltz = false;
    let contiguous = false;
    return {
      option(name, argument, not) {
        switch (name) {
          case "datestart": start = parseDate(argument); break;
          case "datestop": stop = parseDate(argument); break;
          case "timestart": from = parseDaytime(argument); break;
          case "timestop": to = parseDaytime(argument); break;
          case "kerneltz": case "localtz": kerneltz = true; break;
          case "contiguous": contiguous = true; break;
          case "weekdays": {
            weekdays = 0;
            for (const word of argument.split(",")) {
              const day = /^\d+$/.test(word) ? Number(word)
                : WEEKDAYS.findIndex((known) => word.length >= 2 && known.toLowerCase().startsWith(word.slice(0, 3).toLowerCase())) + 1;
              if (day < 1 || day > 7) throw usage(`${/^\d+$/.test(word) ? word : `"${word}"`} is not a valid day specifier`);
              weekdays |= 1 << day;
            }
            if (not) weekdays ^= 0xfe;
            break;
          }
          case "monthdays": {
            monthdays = 0;
            for (const word of argument.split(",")) {
              const day = Number(word);
              if (!/^\d+$/.test(word) || day < 1 || day > 31) throw usage(`${word} is not a valid specifier for --monthdays`);
              monthdays |= 1 << day;
            }
            monthdays >>>= 0;
            if (not) monthdays = (monthdays ^ 0xfffffffe) >>> 0;
            break;
          }
          default: break;
        }
      },
      finish() {
        if (contiguous && from < to) throw usage("time: --contiguous only makes sense when stoptime is smaller than starttime");
      },
      save() {
        let text = "";
        if (from !== 0 || to !== DAY_MAX) text += ` --timestart ${clockText(from)} --timestop ${clockText(to)}`;
        if (monthdays !== 0xfffffffe) {
          const days: number[] = [];
          for (let day = 1; day < 32; day++) if ((monthdays >>> day) & 1) days.push(day);
          text += ` --monthdays ${days.join(",")}`;
        }
        if (weekdays !== 0xfe) {
          text += ` --weekdays ${WEEKDAYS.filter((_, i) => weekdays & (2 << i)).join(",")}`;
        }
        if (start !== 0) text += ` --datestart ${dateText(start, "T")}`;
        // The newest date there is counts as one that was asked for.
        text += ` --datestop ${dateText(stop, "T")}`;
        if (kerneltz) text += " --kerneltz";
        return contiguous ? `${text} --contiguous` : text;
      },
      encode(w) {
        w.head(MATCH_TIME, false, 24).u32(start).u32(stop).u32(from).u32(to).u32(monthdays).u8(weekdays);
        w.u8(contiguous ? TIME_CONTIGUOUS : 0).u16(0);
      },
    };
  },
};

const SOCKET_FLAGS: readonly (readonly [string, number])[] = [
  ["transparent", SOCKET_TRANSPARENT], ["nowildcard", SOCKET_NOWILDCARD], ["restore-skmark", SOCKET_RESTORESKMARK],
];

const socket: Extension = {
  name: "socket",
  options: { transparent: 0, nowildcard: 0, "restore-skmark": 0 },
  create() {
    let flags = 0;
    return {
      option(name) {
        flags |= SOCKET_FLAGS.find(([option]) => option === name)![1];
      },
      save: () => SOCKET_FLAGS.filter(([, flag]) => flags & flag).map(([option]) => ` --${option}`).join(""),
      encode(w) {
        w.head(MATCH_SOCKET, false, 4).u32(flags);
      },
    };
  },
};

const nfacct: Extension = {
  name: "nfacct",
  options: { "nfacct-name": ARG },
  create: () => ({
    option() {},
    finish(given) {
      if (!given.has("nfacct-name")) throw must("nfacct", "nfacct-name");
      // There is no nfacct object: nothing here makes them.
      throw new Refusal("other", "No chain/target/match by that name");
    },
    save: () => "",
    encode() {},
  }),
};

const SET_FLAGS: readonly (readonly [string, number])[] = [
  ["return-nomatch", SETFLAG_RETURN_NOMATCH], ["update-counters", SETFLAG_SKIP_COUNTERS], ["update-subcounters", SETFLAG_SKIP_SUBCOUNTERS],
];

// IPSET_COUNTER_*: equal, not equal, less, greater
const COUNTER_SIGNS = ["", "eq", "eq", "lt", "gt"];

const set: Extension = {
  name: "set",
  options: {
    "match-set": ARG | INV, "return-nomatch": 0, "update-counters": INV, "update-subcounters": INV,
    ...Object.fromEntries(["packets", "bytes"].flatMap((what) => [[`${what}-eq`, ARG | INV], [`${what}-lt`, ARG], [`${what}-gt`, ARG]])),
  },
  create() {
    let name = "";
    let dims: string[] = [];
    let inverted = false;
    let flags = 0;
    const counters: Record<string, { sign: number; value: bigint } | undefined> = {};
    const operation = (what: string): { sign: number; value: bigint } => counters[what] ?? { sign: 0, value: 0n };
    return {
      option(option, argument, not, rule, next) {
        if (option === "match-set") {
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
          return;
        }
        const flag = SET_FLAGS.find(([known]) => known === option)?.[1];
        if (flag === undefined) {
          const [what = "", sign = ""] = option.split("-");
          counters[what] = { sign: sign === "eq" ? (not ? 2 : 1) : COUNTER_SIGNS.indexOf(sign), value: bigNumber("set", option, argument) };
        } else if (flag === SETFLAG_RETURN_NOMATCH || not) flags |= flag;
      },
      finish(given) {
        if (!given.has("match-set")) throw usage("You must specify `--match-set' with proper arguments");
      },
      save() {
        let text = `${bang(inverted)} --match-set ${name} ${dims.join(",")}`;
        for (const [option, flag] of SET_FLAGS) if (flags & flag) text += `${bang(flag !== SETFLAG_RETURN_NOMATCH)} --${option}`;
        for (const what of ["packets", "bytes"]) {
          const { sign, value } = operation(what);
          if (sign !== 0) text += `${bang(sign === 2)} --${what}-${COUNTER_SIGNS[sign]} ${value}`;
        }
        return text;
      },
      encode(w) {
        let bits = 0;
        dims.slice(0, 3).forEach((dim, i) => {
          bits |= (dim === "src" ? SETDIM_SOURCE : SETDIM_DESTINATION) << (2 * i);
        });
        const packets = operation("packets");
        const bytes = operation("bytes");
        w.head(MATCH_SET_COUNTERS, inverted, 64).u32(0).u32(bits).u32(flags).u8(packets.sign).u8(bytes.sign).u16(0);
        w.u64(packets.value).u64(bytes.value).text(name, SET_NAME_MAX);
      },
    };
  },
};

const SET_NAME_MAX = 32;

export const ORIGIN_MATCHES: readonly Extension[] = [
  realm, plain("cpu", "cpu", MATCH_CPU, 0xffffffff), cgroup, devgroup, owner, physdev, quota, time, socket, nfacct, set,
];
