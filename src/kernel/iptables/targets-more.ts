/** Targets that only the full kernel has: one entry per extension, as in iptables' extensions/libxt_*.c. */
import {
  CTT_NOTRACK, CTT_ZONE_MARK, HMARK_CT, HMARK_L3, HMARK_SPI, NFQ_BYPASS, NFQ_CPU_FANOUT, SETT_EXIST, SETT_MAP_MARK, SETT_MAP_PRIO,
  SETT_MAP_QUEUE, TARGET_CONTINUE, TARGET_CT, TARGET_HMARK, TARGET_NFQUEUE, TARGET_SET, TARGET_TCPOPTSTRIP, TARGET_TPROXY, TARGET_TRACE,
} from "../../../assembly/abi/xtables.ts";
import { SETDIM_DESTINATION, SETDIM_SOURCE } from "../../../assembly/abi/netfilter.ts";
import { formatIpv4 } from "../address.ts";
import { ARG, type Extension } from "./extension.ts";
import { helperNumber } from "./matches-connections.ts";
import { Refusal, hex, markMask, number, parseAddress, parseNumber, portNumber, quote, usage } from "./text.ts";
import type { Writer } from "./writer.ts";

const must = (ext: string, option: string): Refusal => usage(`${ext}: option "--${option}" must be specified\n`);
const hex8 = (value: number): string => `0x${(value >>> 0).toString(16).padStart(8, "0")}`;
const EXIST: (message: string) => Refusal = (message) => new Refusal("other", message);

const ct: Extension = {
  name: "CT",
  options: { notrack: 0, helper: ARG, timeout: ARG, ctevents: ARG, expevents: ARG, zone: ARG, "zone-orig": ARG, "zone-reply": ARG },
  create() {
    let notrack = false;
    let helper = "";
    let timeout = "";
    let zone = -1;
    let direction = "zone";
    let zoneMark = false;
    let events = 0;
    let expevents = 0;
    const names = (bits: number, known: readonly string[]): string => known.filter((_, bit) => bits & (1 << bit)).join(",");
    const parseEvents = (text: string, known: readonly string[]): number => {
      let bits = 0;
      for (const word of text.split(",")) {
        const bit = known.indexOf(word);
        if (bit < 0) throw usage(`Unknown event type "${word}"`);
        bits |= 1 << bit;
      }
      return bits;
    };
    return {
      option(name, argument) {
        switch (name) {
          case "notrack": notrack = true; break;
          case "helper": helper = argument; break;
          case "timeout": timeout = argument; break;
          case "ctevents": events = parseEvents(argument, CT_EVENTS); break;
          case "expevents": expevents = parseEvents(argument, EXP_EVENTS); break;
          default: {
            direction = name;
            zoneMark = argument === "mark";
            if (zoneMark) {
              zone = 0;
              break;
            }
            const value = parseNumber(argument, 0, 65535);
            if (value === undefined) throw usage(`Cannot parse ${argument} as a zone ID\n`);
            zone = value;
          }
        }
      },
      finish() {
        if (timeout !== "") throw EXIST("No chain/target/match by that name");
        if (helper !== "" && !["ftp", "tftp"].includes(helper)) throw EXIST("No chain/target/match by that name");
      },
      save() {
        if (notrack) return " --notrack";
        let text = "";
        if (helper !== "") text += ` --helper ${helper}`;
        if (events !== 0) text += ` --ctevents ${names(events, CT_EVENTS)}`;
        if (expevents !== 0) text += ` --expevents ${names(expevents, EXP_EVENTS)}`;
        if (zone > 0 || zoneMark || (zone === 0 && direction !== "zone")) text += ` --${direction} ${zoneMark ? "mark" : zone}`;
        return text;
      },
      encode(w) {
        const value = Math.max(zone, 0);
        w.head(TARGET_CT, false, 20).u32((notrack ? CTT_NOTRACK : 0) | (zoneMark ? CTT_ZONE_MARK : 0));
        w.u16(direction === "zone-reply" ? 0 : value).u16(direction === "zone-orig" ? 0 : value);
        w.u32(helperNumber(helper)).u32(events).u32(expevents);
      },
    };
  },
};
// By bit IPCT_*, IPEXP_*
const CT_EVENTS = ["new", "related", "destroy", "reply", "assured", "protoinfo", "helper", "mark", "natseqinfo", "secmark"];
const EXP_EVENTS = ["new"];

/** A target that has no effect on packets. */
const silent = (name: string, options: Extension["options"], create: () => Pick<ReturnType<Extension["create"]>, "option" | "save"> & { finish?: ReturnType<Extension["create"]>["finish"] }): Extension => ({
  name,
  options,
  create() {
    const { finish, ...rest } = create();
    return {
      ...rest,
      ...(finish === undefined ? {} : { finish }),
      encode(w) {
        w.head(TARGET_CONTINUE, false, 4).u32(0);
      },
    };
  },
});

const audit = silent("AUDIT", { type: ARG }, () => {
  let type = "";
  return {
    option(_name, argument) {
      const wanted = argument.toLowerCase();
      if (wanted !== "accept" && wanted !== "drop" && wanted !== "reject") throw usage(`Bad action type value \`${argument}'`);
      type = wanted;
    },
    finish(given) {
      if (given.size === 0) throw must("AUDIT", "type");
    },
    save: () => ` --type ${type}`,
  };
});

const checksum = silent("CHECKSUM", { "checksum-fill": 0 }, () => ({
  option() {},
  finish(given) {
    if (given.size === 0) throw usage("CHECKSUM target: Parameter --checksum-fill is required");
  },
  save: () => " --checksum-fill",
}));

const nflog = silent("NFLOG", { "nflog-group": ARG, "nflog-prefix": ARG, "nflog-range": ARG, "nflog-size": ARG, "nflog-threshold": ARG }, () => {
  let group = 0;
  let prefix = "";
  let range = 0;
  let size: number | undefined;
  let threshold = 1;
  return {
    option(name, argument) {
      switch (name) {
        case "nflog-group": group = number("NFLOG", name, argument, 0, 65535); break;
        case "nflog-prefix":
          if (argument.length > 63) throw usage("NFLOG: the prefix is too long, 63 characters at most");
          if (argument.includes("\n")) throw usage("Newlines not allowed in --log-prefix");
          prefix = argument;
          break;
        case "nflog-range": range = number("NFLOG", name, argument); break;
        case "nflog-size": size = number("NFLOG", name, argument); break;
        default: threshold = number("NFLOG", name, argument, 0, 65535);
      }
    },
    finish(given) {
      if (given.has("nflog-size") && given.has("nflog-range")) {
        throw usage('NFLOG: option "--nflog-size" cannot be used together with "--nflog-range".\n');
      }
    },
    save: () =>
      (prefix === "" ? "" : ` --nflog-prefix ${quote(prefix)}`) + (group === 0 ? "" : ` --nflog-group ${group}`) +
      (size === undefined ? "" : ` --nflog-size ${size}`) + (range === 0 ? "" : ` --nflog-range ${range}`) +
      (threshold === 1 ? "" : ` --nflog-threshold ${threshold}`),
  };
});

const idletimer = silent("IDLETIMER", { timeout: ARG, label: ARG, alarm: 0 }, () => {
  let timeout = 0;
  let label = "";
  let alarm = false;
  return {
    option(name, argument) {
      if (name === "timeout") timeout = number("IDLETIMER", name, argument);
      else if (name === "alarm") alarm = true;
      else {
        if (argument.length > 27) throw usage('IDLETIMER: bad value for option "--label"\n');
        label = argument;
      }
    },
    finish(given) {
      if (!given.has("timeout")) throw must("IDLETIMER", "timeout");
      if (!given.has("label")) throw must("IDLETIMER", "label");
      if (timeout === 0 || timeout >= 2147483) throw EXIST("Invalid argument. Run `dmesg' for more information");
    },
    save: () => ` --timeout ${timeout} --label ${label}${alarm ? " --alarm" : ""}`,
  };
});

const LED_OPTIONS = { "led-trigger-id": ARG, "led-delay": ARG, "led-always-blink": 0 };
const secmark: Extension = {
  name: "SECMARK",
  options: { selctx: ARG },
  create() {
    return {
      option(_name, argument) {
        if (argument.length > 255) throw usage(`SECMARK: context too long`);
      },
      finish(given) {
        if (!given.has("selctx")) throw must("SECMARK", "selctx");
        // There is no security module that would know a context.
        throw EXIST("No chain/target/match by that name");
      },
      save: () => "",
      encode() {},
    };
  },
};
const led: Extension = {
  name: "LED",
  options: LED_OPTIONS,
  create: () => ({
    option() {},
    finish(given) {
      if (!given.has("led-trigger-id")) throw must("LED", "led-trigger-id");
      throw EXIST("No chain/target/match by that name");
    },
    save: () => "",
    encode() {},
  }),
};

const nfqueue: Extension = {
  name: "NFQUEUE",
  options: { "queue-num": ARG, "queue-balance": ARG, "queue-bypass": 0, "queue-cpu-fanout": 0 },
  create() {
    let first = 0;
    let last = 0;
    let balance = false;
    let flags = 0;
    return {
      option(name, argument) {
        if (name === "queue-bypass") flags |= NFQ_BYPASS;
        else if (name === "queue-cpu-fanout") flags |= NFQ_CPU_FANOUT;
        else if (name === "queue-num") first = last = number("NFQUEUE", name, argument, 0, 65535);
        else {
          const [lo = "", hi = ""] = argument.split(":");
          first = number("NFQUEUE", name, lo, 0, 65535);
          last = number("NFQUEUE", name, hi, 0, 65535);
          if (first >= last) throw usage(`NFQUEUE: bad range "${argument}"`);
          balance = true;
        }
      },
      finish(given) {
        if (given.has("queue-num") && given.has("queue-balance")) {
          throw usage('NFQUEUE: option "--queue-balance" cannot be used together with "--queue-num".\n');
        }
        if (given.has("queue-cpu-fanout") && !given.has("queue-balance")) {
          throw usage('NFQUEUE: option "--queue-cpu-fanout" also requires "--queue-balance".\n');
        }
      },
      save: () =>
        (balance ? ` --queue-balance ${first}:${last}` : ` --queue-num ${first}`) + (flags & NFQ_BYPASS ? " --queue-bypass" : "") +
        (flags & NFQ_CPU_FANOUT ? " --queue-cpu-fanout" : ""),
      encode(w) {
        w.head(TARGET_NFQUEUE, false, 8).u16(first).u16(last - first + 1).u32(flags);
      },
    };
  },
};

const queue: Extension = {
  name: "QUEUE",
  options: {},
  create: () => ({
    option() {},
    save: () => "",
    encode(w) {
      w.head(TARGET_NFQUEUE, false, 8).u16(0).u16(1).u32(0);
    },
  }),
};

const trace: Extension = {
  name: "TRACE",
  options: {},
  create: () => ({
    option() {},
    save: () => "",
    encode(w) {
      w.head(TARGET_TRACE, false, 0);
    },
  }),
};

interface SetPart { name: string; dims: readonly string[] }
const dimsOf = (dims: readonly string[]): number =>
  dims.slice(0, 3).reduce((bits, dim, i) => bits | ((dim === "src" ? SETDIM_SOURCE : SETDIM_DESTINATION) << (2 * i)), 0);
const MAPS: readonly (readonly [string, number])[] = [["map-mark", SETT_MAP_MARK], ["map-prio", SETT_MAP_PRIO], ["map-queue", SETT_MAP_QUEUE]];
const set: Extension = {
  name: "SET",
  options: { "add-set": ARG, "del-set": ARG, "map-set": ARG, exist: 0, timeout: ARG, "map-mark": 0, "map-prio": 0, "map-queue": 0 },
  create() {
    const parts: (SetPart | undefined)[] = [undefined, undefined, undefined];
    let flags = 0;
    let timeout = 0xffffffff;
    const shown = (part: SetPart | undefined, option: string): string => (part === undefined ? "" : ` --${option} ${part.name} ${part.dims.join(",")}`);
    return {
      option(name, argument, _not, rule, next) {
        const index = ["add-set", "del-set", "map-set"].indexOf(name);
        if (index >= 0) {
          const directions = next();
          if (directions === undefined || directions.startsWith("-")) throw usage(`--${name} requires two args.`);
          if (argument.length >= 32) throw usage(`setname \`${argument}' too long, max 31 characters.`);
          if (!rule.setExists(argument)) throw usage(`Set ${argument} doesn't exist.\n`);
          const dims = directions.split(",");
          for (const dim of dims) {
            if (dim !== "src" && dim !== "dst") throw usage("You must spcify (the comma separated list of) 'src' or 'dst'.");
          }
          parts[index] = { name: argument, dims };
        } else if (name === "exist") flags |= SETT_EXIST;
        else if (name === "timeout") timeout = number("SET", name, argument, 0, 0x7fffffff);
        else flags |= MAPS.find(([option]) => option === name)![1];
      },
      finish() {
        if (parts.every((part) => part === undefined)) {
          throw usage("You must specify either `--add-set' or `--del-set' or `--map-set'");
        }
        if (parts[2] !== undefined && !(flags & (SETT_MAP_MARK | SETT_MAP_PRIO | SETT_MAP_QUEUE))) {
          throw usage("You must specify flags --map-mark or --map-prio or --map-queue");
        }
      },
      save() {
        let text = shown(parts[0], "add-set");
        if (flags & SETT_EXIST) text += " --exist";
        if (timeout !== 0xffffffff) text += ` --timeout ${timeout}`;
        text += shown(parts[1], "del-set") + shown(parts[2], "map-set");
        for (const [option, flag] of MAPS) if (flags & flag) text += ` --${option}`;
        return text;
      },
      encode(w) {
        w.head(TARGET_SET, false, 124).u32(0).u32(0);
        for (const part of parts) w.u32(part === undefined ? 0 : dimsOf(part.dims)).text(part?.name ?? "", 32);
        w.u32(timeout).u32(flags);
      },
    };
  },
};

const tproxy: Extension = {
  name: "TPROXY",
  options: { "on-port": ARG, "on-ip": ARG, "tproxy-mark": ARG },
  create() {
    let port = 0;
    let address = 0;
    let mark = 0;
    let mask = 0;
    return {
      option(name, argument) {
        if (name === "on-ip") address = parseAddress(argument);
        else if (name === "tproxy-mark") ({ value: mark, mask } = markMask("TPROXY", name, argument));
        else {
          const value = portNumber(argument);
          if (value === undefined) throw usage(`Port "${argument}" does not resolve to anything.\n`);
          port = value;
        }
      },
      finish(given) {
        if (!given.has("on-port")) throw must("TPROXY", "on-port");
      },
      save: () =>
        ` --on-port ${port} --on-ip ${formatIpv4(address)} --tproxy-mark ${hex(mark)}/${hex(mask)}`,
      encode(w) {
        w.head(TARGET_TPROXY, false, 16).address(address).u16(port).u16(0).u32(mark).u32(mask);
      },
    };
  },
};

const TCP_OPTIONS: Readonly<Record<string, number>> = { wscale: 3, mss: 2, "sack-permitted": 4, sack: 5, timestamp: 8, md5: 19 };
const tcpoptstrip: Extension = {
  name: "TCPOPTSTRIP",
  options: { "strip-options": ARG },
  create() {
    const options = new Set<number>();
    return {
      option(_name, argument) {
        for (const word of argument.split(",")) {
          const value = TCP_OPTIONS[word] ?? parseNumber(word, 0, 255);
          if (value === undefined) throw usage(`Bad TCP option value "${word}"`);
          options.add(value);
        }
      },
      finish(given) {
        if (given.size === 0) throw must("TCPOPTSTRIP", "strip-options");
      },
      save: () => ` --strip-options ${[...options].sort((a, b) => a - b).join(",")}`,
      encode(w) {
        w.head(TARGET_TCPOPTSTRIP, false, 32);
        for (let word = 0; word < 8; word++) {
          let bits = 0;
          for (let bit = 0; bit < 32; bit++) if (options.has(word * 32 + bit)) bits |= 1 << bit;
          w.u32(bits >>> 0);
        }
      },
    };
  },
};

/** HMARK for addresses of `width` bits, whose masks it tells by `mask`. */
export const hmarkOf = (width: number, kind: number, mask: (w: Writer, bits: number) => void): Extension => ({
  name: "HMARK",
  options: {
    "hmark-tuple": ARG, "hmark-mod": ARG, "hmark-offset": ARG, "hmark-rnd": ARG, "hmark-src-prefix": ARG, "hmark-dst-prefix": ARG,
    "hmark-sport-mask": ARG, "hmark-dport-mask": ARG, "hmark-spi-mask": ARG, "hmark-sport": ARG, "hmark-dport": ARG, "hmark-spi": ARG,
    "hmark-proto-mask": ARG,
  },
  create() {
    const values: Record<string, number> = {};
    let useCt = false;
    let layer3 = false;
    const value = (name: string): number => values[name] ?? 0;
    return {
      option(name, argument) {
        const option = name.slice(6);
        if (option === "tuple") {
          for (const word of argument.split(",")) {
            if (word === "ct") useCt = true;
            else if (word === "src") values["src-prefix"] = width;
            else if (word === "dst") values["dst-prefix"] = width;
            else if (word === "sport") values["sport-mask"] = 0xffff;
            else if (word === "dport") values["dport-mask"] = 0xffff;
            else if (word === "spi") values["spi-mask"] = 0xffffffff;
            else if (word === "proto") values["proto-mask"] = 0xff;
            else throw usage(`HMARK: "${word}" is no part of a tuple`);
          }
          layer3 = !["sport-mask", "dport-mask", "spi-mask", "proto-mask"].some((key) => key in values);
        } else {
          if (option in values) throw usage(`HMARK: option "--${name}" can only be used once.\n`);
          values[option] = number("HMARK", name, argument);
        }
      },
      finish(given) {
        if (!given.has("hmark-mod")) throw must("HMARK", "hmark-mod");
        if (!given.has("hmark-rnd")) throw must("HMARK", "hmark-rnd");
        if (value("mod") === 0) throw usage('HMARK: bad value for option "--hmark-mod"\n');
        if (value("spi-mask") !== 0 && (value("sport-mask") !== 0 || value("dport-mask") !== 0)) {
          throw usage('HMARK: you cannot use --hmark-spi-mask and --hmark-?port-mask, at the same time');
        }
        layer3 = !["sport-mask", "dport-mask", "spi-mask", "proto-mask", "sport", "dport", "spi"].some((key) => key in values);
      },
      save() {
        let text = "";
        const show = (key: string, format: (v: number) => string): void => {
          if (key in values) text += ` --hmark-${key} ${format(value(key))}`;
        };
        const hex4 = (v: number): string => `0x${v.toString(16).padStart(4, "0")}`;
        show("src-prefix", String);
        show("dst-prefix", String);
        show("sport-mask", hex4);
        show("dport-mask", hex4);
        show("spi-mask", hex8);
        show("sport", hex4);
        show("dport", hex4);
        show("spi", hex8);
        show("proto-mask", (v) => `0x${v.toString(16).padStart(2, "0")}`);
        show("rnd", hex8);
        show("mod", String);
        show("offset", String);
        return useCt ? ` --hmark-tuple ct${text}` : text;
      },
      encode(w) {
        w.head(kind, false, 28 + width / 4);
        mask(w, value("src-prefix"));
        mask(w, value("dst-prefix"));
        const spi = "spi-mask" in values || "spi" in values;
        if (spi) w.address(value("spi-mask")).address(value("spi"));
        else w.address(((value("sport-mask") << 16) | value("dport-mask")) >>> 0).address(((value("sport") << 16) | value("dport")) >>> 0);
        w.u32(value("proto-mask")).u32(value("rnd")).u32(value("mod")).u32(value("offset"));
        w.u32((useCt ? HMARK_CT : 0) | (spi ? HMARK_SPI : 0) | (layer3 ? HMARK_L3 : 0));
      },
    };
  },
});

export const MORE_TARGETS: readonly Extension[] = [
  ct, audit, checksum, nflog, idletimer, secmark, led, nfqueue, queue, trace, set, tproxy, tcpoptstrip,
  hmarkOf(32, TARGET_HMARK, (w, bits) => void w.address(bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0)),
];
